//! The frames in which messages are written. Ours are part of the program; a user's folder may hold
//! files of the same names, and those are used instead. What goes into HTML and JSON is escaped by
//! the name's ending, so a template has to ask for it to be otherwise.

use std::{fs, path::Path};

use minijinja::{AutoEscape, Environment, Value, syntax::SyntaxConfig};

use super::{
    error::{Error, Result},
    text,
};
use crate::{
    catalog::template,
    yaml::diagnostic::{Diagnostic, Place},
};

/// Ours, by name.
const OURS: &[(&str, &str)] = &[
    ("alert.html", include_str!("templates/alert.html")),
    ("alert.txt", include_str!("templates/alert.txt")),
    ("digest.html", include_str!("templates/digest.html")),
    ("digest.txt", include_str!("templates/digest.txt")),
    ("frame.html", include_str!("templates/frame.html")),
    ("teams.json", include_str!("templates/teams.json")),
];

/// All templates, checked.
#[derive(Debug)]
pub struct Templates {
    ours: Environment<'static>,
    environment: Environment<'static>,
}

impl Templates {
    /// Ours alone.
    pub fn ours() -> Self {
        let mut environment = template::environment();
        let syntax = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build();
        if let Ok(syntax) = syntax {
            environment.set_syntax(syntax);
        }
        environment.set_auto_escape_callback(|name| {
            match name.rsplit_once('.').map(|(_, ending)| ending) {
                Some("html") => AutoEscape::Html,
                Some("json") => AutoEscape::Json,
                _ => AutoEscape::None,
            }
        });
        environment.add_filter("time", |at: &str| {
            at.parse().map_or_else(|_| at.to_owned(), text::instant)
        });
        environment.add_filter("clip", |words: &str, limit: usize| text::clip(words, limit));
        for (name, source) in OURS {
            // That ours can be read is shown by the tests.
            let _ = environment.add_template(name, source);
        }
        Self {
            ours: environment.clone(),
            environment,
        }
    }

    /// Ours, with the user's own in their place.
    ///
    /// # Errors
    /// Every file that cannot be read as a template.
    pub fn load(folder: Option<&Path>) -> Result<Self, Vec<Diagnostic>> {
        let mut out = Self::ours();
        let Some(folder) = folder else {
            return Ok(out);
        };
        let entries = fs::read_dir(folder).map_err(|e| {
            vec![Diagnostic::error(
                "TL0650",
                &Place::file(folder),
                format!("the folder of templates cannot be read: {e}"),
            )]
        })?;
        let mut paths: Vec<_> = entries
            .filter_map(|e| e.ok().map(|e| e.path()))
            .filter(|p| p.is_file())
            .collect();
        paths.sort();
        let wrong: Vec<Diagnostic> = paths
            .iter()
            .filter_map(|path| out.replace(path).err())
            .collect();
        if wrong.is_empty() {
            Ok(out)
        } else {
            Err(wrong)
        }
    }

    fn replace(&mut self, path: &Path) -> Result<(), Diagnostic> {
        let wrong = |line: usize, what: String| {
            let place = Place {
                line,
                column: 1,
                ..Place::file(path)
            };
            Diagnostic::error("TL0651", &place, what)
        };
        let name = path
            .file_name()
            .and_then(|n| n.to_str())
            .unwrap_or_default()
            .to_owned();
        let source = fs::read_to_string(path)
            .map_err(|e| wrong(0, format!("the template cannot be read: {e}")))?;
        self.environment
            .add_template_owned(name, source)
            .map_err(|e| {
                let what = e
                    .detail()
                    .map_or_else(|| e.kind().to_string(), str::to_owned);
                wrong(
                    e.line().unwrap_or(1),
                    format!("the template cannot be read: {what}"),
                )
            })
    }

    /// Whether there is a template of that name.
    pub fn has(&self, name: &str) -> bool {
        self.environment.get_template(name).is_ok()
    }

    /// Writes facts into a frame. One of the user's that fails on them is said in the log, and ours is
    /// used, so that a mistake in a template loses no notice.
    pub fn render(&self, name: &str, facts: &serde_json::Value) -> Result<String> {
        let value: Value = template::value(facts);
        let write =
            |environment: &Environment<'_>| environment.get_template(name)?.render(value.clone());
        write(&self.environment).or_else(|error| {
            tracing::warn!(template = name, %error, "a template failed; ours is used");
            write(&self.ours).map_err(|e| Error::Setup(format!("template `{name}`: {e}")))
        })
    }
}
