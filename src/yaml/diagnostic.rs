//! What is wrong in a file, where, and how to mend it. A mistake in a user's file is a diagnostic
//! and never an error: all diagnostics of a load are reported at once.

use std::{fmt, path::Path, sync::Arc};

/// How many characters of a sentence are shown.
const LONGEST: usize = 2_000;

/// A place in a file. Lines and columns start at 1, columns count characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file as the user named it, relative to the folder of `tripline.yaml` where it can be.
    pub file: Arc<Path>,
    /// Line, from 1; 0 means the file as a whole.
    pub line: usize,
    /// Column, from 1; 0 means the line as a whole.
    pub column: usize,
    /// How many characters to underline, at least 1.
    pub width: usize,
}

impl Place {
    /// The file as a whole.
    pub fn file(file: &Path) -> Self {
        Self {
            file: file.into(),
            line: 0,
            column: 0,
            width: 1,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column.max(1))?;
        }
        Ok(())
    }
}

/// Whether a load may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The load fails; the running set stays.
    Error,
    /// Worth a look; the load goes on.
    Warning,
}

/// One mistake: code, place, what is wrong, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// A stable code such as `TL0103`, documented by `tripline explain`.
    pub code: &'static str,
    /// Whether the load may go on.
    pub level: Level,
    /// Where it is.
    pub place: Place,
    /// What is wrong, in one sentence without a full stop.
    pub what: String,
    /// How to mend it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A mistake that stops the load.
    pub fn error(code: &'static str, place: &Place, what: impl Into<String>) -> Self {
        Self {
            code,
            level: Level::Error,
            place: place.clone(),
            what: clipped(what.into()),
            help: None,
        }
    }

    /// Something worth a look that does not stop the load.
    pub fn warning(code: &'static str, place: &Place, what: impl Into<String>) -> Self {
        Self {
            level: Level::Warning,
            ..Self::error(code, place, what)
        }
    }

    /// Adds how to mend it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.code, self.place, self.what)?;
        if let Some(help) = &self.help {
            write!(f, "; {help}")?;
        }
        Ok(())
    }
}

/// A sentence that quotes what was written does not repeat all of a file.
fn clipped(mut what: String) -> String {
    if let Some((end, _)) = what.char_indices().nth(LONGEST) {
        what.truncate(end);
        what.push('…');
    }
    what
}

/// The nearest of `known` to `word`, when it is near enough to be a slip of the keyboard.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|k| {
            (
                strsim::damerau_levenshtein(&word.to_lowercase(), &k.to_lowercase()),
                k,
            )
        })
        .filter(|(distance, k)| {
            *distance <= (k.chars().count() / 3).max(1) || k.starts_with(word) && word.len() > 2
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, k)| k)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_offered_only_when_it_is_near() {
        assert_eq!(nearest("owners", ["owner", "schedule"]), Some("owner"));
        assert_eq!(nearest("shedule", ["owner", "schedule"]), Some("schedule"));
        assert_eq!(nearest("colour", ["owner", "schedule"]), None);
    }

    #[test]
    fn a_diagnostic_reads_as_one_line() {
        let place = Place {
            file: Path::new("controls/a.yaml").into(),
            line: 14,
            column: 5,
            width: 6,
        };
        let d = Diagnostic::error("TL0103", &place, "unknown key `owners`")
            .help("did you mean `owner`?");
        assert_eq!(
            d.to_string(),
            "TL0103 controls/a.yaml:14:5: unknown key `owners`; did you mean `owner`?"
        );
    }
}
