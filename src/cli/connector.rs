//! `tripline connector`: begin one, say what is wrong with one before anything runs, and read with it.

use std::{
    io::{self, Read as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args as Arguments, Subcommand, ValueEnum};

use super::{
    CLEAN, USAGE, diagnostics,
    out::{Format, Ink, Out},
    source::Test,
};
use crate::{
    catalog::{
        connector::{Connector, read_all},
        folder,
    },
    yaml::diagnostic::Diagnostic,
};

/// Connectors: begin one, look for mistakes in one, or read with one.
#[derive(Debug, Clone, Arguments)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub(super) what: What,
}

/// What to do with connectors.
#[derive(Debug, Clone, Subcommand)]
pub enum What {
    /// Say every mistake of a connector file, without an installation and without any network.
    Lint {
        /// The file; `-` is standard input.
        file: PathBuf,
    },
    /// Read a source now: rows, types, nulls, pages, completeness and time of each dataset.
    Test(Test),
    /// Print a connector file to begin with.
    New {
        /// What it reads.
        #[arg(value_enum)]
        kind: Kind,
    },
}

/// What a connector reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// A JSON interface over HTTP.
    Http,
    /// A service of AWS.
    Aws,
    /// A database: PostgreSQL or SQLite.
    Sql,
    /// Files: CSV, JSON, NDJSON or XLSX.
    File,
}

impl Kind {
    /// A file that is right as it stands.
    pub const fn begin(self) -> &'static str {
        match self {
            Self::Http => include_str!("connector/http.yaml"),
            Self::Aws => include_str!("connector/aws.yaml"),
            Self::Sql => include_str!("connector/sql.yaml"),
            Self::File => include_str!("connector/file.yaml"),
        }
    }
}

/// Says what is right with a connector file, or every mistake of it. Exit code 0 or 2.
///
/// # Errors
/// When standard input cannot be read, or the output cannot be written.
pub(super) fn lint(file: &Path, out: &mut Out) -> anyhow::Result<ExitCode> {
    let mut found = Vec::new();
    let text = if file == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text)?;
        Some(text)
    } else {
        folder::text(file, file, &mut found).map(|read| read.text)
    };
    let connectors = match text.map(|text| read_all(file, &text)) {
        Some(Ok((connectors, warnings))) => {
            found.extend(warnings);
            Some(connectors)
        }
        Some(Err(mistakes)) => {
            found.extend(mistakes);
            None
        }
        None => None,
    };
    found.sort_by(|a: &Diagnostic, b| (&a.place, a.code).cmp(&(&b.place, b.code)));
    diagnostics::print(&found, Path::new("."), out)?;
    if out.format() == Format::Table {
        out.line(verdict(&found, connectors.as_deref(), out))?;
    }
    Ok(ExitCode::from(if connectors.is_some() {
        CLEAN
    } else {
        USAGE
    }))
}

fn verdict(found: &[Diagnostic], connectors: Option<&[Connector]>, out: &Out) -> String {
    let summary = diagnostics::summary(found);
    let Some(connectors) = connectors else {
        let summary = summary.unwrap_or_else(|| "nothing could be read".to_owned());
        let summary = out.ink(Ink::Bad, &summary);
        return format!("{summary}. `tripline explain CODE` says more of each.");
    };
    let one = |c: &Connector| {
        let datasets: Vec<&str> = c.datasets.iter().map(|d| d.name.as_str()).collect();
        format!(
            "`{}` ({}) with {}",
            c.id,
            c.kind.as_str(),
            datasets.join(", ")
        )
    };
    let connectors: Vec<String> = connectors.iter().map(one).collect();
    let fine = out.ink(Ink::Good, "Right");
    let more = summary.map_or(String::new(), |s| format!(", {s}"));
    format!("{fine}: {}{more}.", connectors.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_beginning_is_right_as_it_stands() {
        for kind in Kind::value_variants() {
            let (connectors, warnings) = read_all(Path::new("new.yaml"), kind.begin())
                .unwrap_or_else(|all| panic!("{kind:?}: {all:#?}"));
            assert_eq!(warnings, [], "{kind:?}");
            let word = kind.to_possible_value().unwrap();
            assert_eq!(connectors[0].kind.as_str(), word.get_name());
        }
    }
}
