//! Where an installation's files are, and what is said when they have mistakes.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use super::{
    CLEAN, USAGE, diagnostics,
    out::{Format, Ink, Out},
};
use crate::{
    catalog::folder,
    config::{self, FILE, Loaded, overrides::Overrides},
    daemon::serve::Origin,
    yaml::diagnostic::{Diagnostic, Level},
};
use clap::Args;

/// Where the files are, and what stands above them.
#[derive(Debug, Clone, Args)]
pub(super) struct Files {
    /// The installation: its `tripline.yaml`, or the folder that holds it.
    #[arg(long, short, global = true, env = "TRIPLINE_CONFIG", value_name = "PATH", default_value = FILE)]
    config: PathBuf,
    /// Put a value in the place of one of `tripline.yaml` (`--set web.listen=127.0.0.1:9099`).
    #[arg(long, global = true, value_name = "NAME=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| "write `NAME=VALUE`".to_owned())?;
    Ok((name.trim().to_owned(), value.to_owned()))
}

impl Files {
    /// Where to load from again.
    pub(super) fn origin(&self) -> Origin {
        Origin {
            path: self.config.clone(),
            given: self.given(),
        }
    }

    fn given(&self) -> Overrides {
        Overrides::of_process(self.set.clone())
    }

    /// Loads everything. What is wrong is printed to `say`, and the exit code is given in place of the files.
    pub(super) fn load(&self, say: &mut Out) -> anyhow::Result<Result<Loaded, ExitCode>> {
        match config::load(&self.config, &self.given()) {
            Ok(loaded) => Ok(Ok(loaded)),
            Err(found) => {
                diagnostics::print(&found, &self.root(), say)?;
                if let Some(summary) = diagnostics::summary(&found) {
                    say.line(format!("error: {summary}; nothing was started"))?;
                }
                Ok(Err(ExitCode::from(USAGE)))
            }
        }
    }

    /// `tripline validate`: every mistake of every file, or how much is right.
    pub(super) fn validate(&self, path: Option<&Path>, out: &mut Out) -> anyhow::Result<ExitCode> {
        match path {
            Some(path) if path.is_dir() || path.file_name() == Some(FILE.as_ref()) => {
                let other = Self {
                    config: path.to_owned(),
                    ..self.clone()
                };
                other.whole(out)
            }
            Some(file) => self.single(file, out),
            None => self.whole(out),
        }
    }

    /// The mistakes of one file, judged with all others.
    fn single(&self, file: &Path, out: &mut Out) -> anyhow::Result<ExitCode> {
        let file = match file.canonicalize() {
            Ok(file) => file,
            Err(error) => {
                let said = format!(
                    "error: `{}` cannot be read: {}",
                    file.display(),
                    folder::why(&error)
                );
                Out::stderr().line(said)?;
                return Ok(ExitCode::from(USAGE));
            }
        };
        let (all, read) = match config::load(&self.config, &self.given()) {
            Ok(loaded) => {
                let whole = |w: &PathBuf| w.canonicalize().unwrap_or_else(|_| w.clone());
                let read = loaded
                    .config
                    .watched
                    .iter()
                    .any(|w| file.starts_with(whole(w)));
                (loaded.warnings, read)
            }
            Err(found) => (found, true),
        };
        let root = self.root();
        let own =
            |d: &&Diagnostic| root.join(&d.place.file).canonicalize().ok().as_ref() == Some(&file);
        let (found, others): (Vec<&Diagnostic>, Vec<&Diagnostic>) = all.iter().partition(own);
        let found: Vec<Diagnostic> = found.into_iter().cloned().collect();
        if found.is_empty() && !read {
            let said = format!(
                "error: `{}` is in none of the folders that this installation reads (`tripline config show`)",
                file.display()
            );
            Out::stderr().line(said)?;
            return Ok(ExitCode::from(USAGE));
        }
        diagnostics::print(&found, &root, out)?;
        if out.format() == Format::Table {
            let own = diagnostics::summary(&found);
            let others = diagnostics::summary(&others.into_iter().cloned().collect::<Vec<_>>());
            let own = own.map_or_else(
                || out.ink(Ink::Good, "This file is right"),
                |s| out.ink(Ink::Bad, &s),
            );
            let others = others.map_or(String::new(), |s| format!("; in other files: {s}"));
            out.line(format!("{own}{others}."))?;
        }
        let wrong = found.iter().any(|d| d.level == Level::Error);
        Ok(ExitCode::from(if wrong { USAGE } else { CLEAN }))
    }

    fn whole(&self, out: &mut Out) -> anyhow::Result<ExitCode> {
        let (found, loaded) = match config::load(&self.config, &self.given()) {
            Ok(loaded) => (loaded.warnings.clone(), Some(loaded)),
            Err(found) => (found, None),
        };
        diagnostics::print(&found, &self.root(), out)?;
        if out.format() == Format::Table {
            out.line(Self::verdict(&found, loaded.as_ref(), out))?;
        }
        Ok(if loaded.is_some() {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(USAGE)
        })
    }

    fn verdict(found: &[Diagnostic], loaded: Option<&Loaded>, out: &Out) -> String {
        let summary = diagnostics::summary(found);
        let Some(loaded) = loaded else {
            let summary = summary.unwrap_or_else(|| "nothing could be read".to_owned());
            return format!(
                "{}. `tripline explain CODE` says more of each.",
                out.ink(Ink::Bad, &summary)
            );
        };
        let catalog = &loaded.catalog;
        let counts = [
            counted(catalog.controls.len(), "control", "controls"),
            counted(catalog.policies.len(), "policy", "policies"),
            counted(catalog.connectors.len(), "connector", "connectors"),
            counted(catalog.sources.len(), "source", "sources"),
        ];
        let fine = out.ink(Ink::Good, "All files are right");
        let more = summary.map_or(String::new(), |s| format!(", {s}"));
        let said = format!("{fine}: {}{more}.", counts.join(", "));
        if catalog.controls.is_empty() {
            let none = out.ink(Ink::Warn, "Nothing is watched: there is no control");
            return format!(
                "{said} {none} (`tripline config show` says where they are looked for)."
            );
        }
        said
    }

    /// The folder that paths in messages start from, as it was named.
    fn root(&self) -> PathBuf {
        let file = config::file_of(&self.config);
        file.parent().map(PathBuf::from).unwrap_or_default()
    }
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
