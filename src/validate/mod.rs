//! A catalog against itself: SQL against the columns that the datasets declare, owners against the
//! people that there are, routes against channels, examples against what comes out. Runs without any
//! source, any store and any clock. Judges as much as it can: what a broken file would have said is
//! taken as unknown and makes no second mistake.

pub mod control;
pub mod dataset;
pub mod people;
pub mod policy;

use crate::{
    evaluate::SqlProblem,
    yaml::{
        decode::Located,
        diagnostic::{Diagnostic, Place},
    },
};

/// A mistake in a piece of SQL, pointed at in the file that holds the text.
pub fn in_file(problem: &SqlProblem, text: &Located<String>) -> Diagnostic {
    let place = if problem.line == 0 {
        text.place.clone()
    } else {
        let place = text.inside(problem.line, problem.column);
        Place {
            width: word_at(text, problem.line, problem.column),
            ..place
        }
    };
    let d = Diagnostic::error(problem.code, &place, problem.what.clone());
    match &problem.help {
        Some(help) => d.help(help.clone()),
        None => d,
    }
}

/// How many characters the word at a place of a text has, at least 1.
fn word_at(text: &str, line: usize, column: usize) -> usize {
    let line = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    let word = |c: &char| c.is_alphanumeric() || matches!(c, '_' | '.' | '$' | '"');
    let rest = line.chars().skip(column.saturating_sub(1));
    rest.take_while(word).count().max(1)
}
