//! The texts that routes compare with: a word that no notice ever has is a slip of the keyboard, and a route that
//! never matches is a notice that nobody gets. And the findings that no route can match.

use serde_json::json;

use super::{COLUMNS, Desk, empty_row};
use crate::{
    evaluate::Predicate,
    model::{
        finding::Origin,
        notice::{Kind, Word},
        policy::Severity,
    },
    notify::options::Route,
    yaml::{
        decode::Located,
        diagnostic::{Diagnostic, Place, nearest},
    },
};

/// How many right values an error names.
const NAMED: usize = 8;

impl Desk {
    /// The values that a column can have, for those where that is known.
    pub(super) fn values(&self, column: &str) -> Option<Vec<String>> {
        fn all<T: Copy + ToString>(values: &[T]) -> Vec<String> {
            values.iter().map(ToString::to_string).collect()
        }
        let teams = self.directory.teams.iter().map(|t| t.id.value.clone());
        let people = self.directory.people.iter().map(|p| p.id.value.clone());
        Some(match column {
            "kind" => all(Kind::ALL),
            "word" => all(Word::ALL),
            "severity" => all(Severity::ALL),
            "origin" => all(Origin::ALL),
            "team" => teams.collect(),
            "owner" => teams.chain(people).collect(),
            "source" => self.sources.keys().map(ToString::to_string).collect(),
            _ => return None,
        })
    }

    /// A warning when grave findings can match no route. That small ones reach nobody is often meant.
    pub(super) fn unheard(&self, routes: &[Route]) -> Option<Diagnostic> {
        let place = routes.first().and_then(place_of)?;
        let mut row = empty_row();
        row.insert("kind".to_owned(), json!(Kind::Finding));
        let mut heard = |severity: &Severity| {
            row.insert("severity".to_owned(), json!(severity));
            // What is not known here may match there.
            let may = |rule: &super::Rule| {
                rule.when
                    .as_ref()
                    .is_none_or(|when| when.test(&row) != Some(false))
            };
            self.rules.iter().any(may)
        };
        let unheard: Vec<String> = Severity::ALL
            .iter()
            .filter(|s| **s >= Severity::High && !heard(s))
            .map(|s| format!("`{s}`"))
            .collect();
        if unheard.is_empty() {
            return None;
        }
        let what = format!(
            "no route can match a finding of severity {}: nobody is told of it",
            unheard.join(", ")
        );
        Some(Diagnostic::warning("TL0677", &place, what).help(
            "add a route for them, such as `{ when: \"kind = 'finding'\", to: [owner], as: digest }`",
        ))
    }
}

fn place_of(route: &Route) -> Option<Place> {
    let when = route.when.as_ref().map(|w| w.place.clone());
    when.or_else(|| route.to.first().map(|to| to.place.clone()))
}

/// An error for each text that a route compares a column with and that the column never has.
pub(super) fn unknown(
    routes: &[Route],
    values: &dyn Fn(&str) -> Option<Vec<String>>,
) -> Vec<Diagnostic> {
    found(routes, values)
        .into_iter()
        .map(|(place, what, help)| Diagnostic::error("TL0676", &place, what).help(help))
        .collect()
}

/// A warning for each text that a route compares `column` with and that is none of `known`: what is not there now may
/// have been there before.
pub fn misspelt(routes: &[Route], column: &str, known: &[&str]) -> Vec<Diagnostic> {
    let values = |name: &str| {
        let of = || known.iter().map(|k| (*k).to_owned()).collect();
        (name == column).then(of)
    };
    found(routes, &values)
        .into_iter()
        .map(|(place, what, help)| Diagnostic::warning("TL0676", &place, what).help(help))
        .collect()
}

fn found(
    routes: &[Route],
    values: &dyn Fn(&str) -> Option<Vec<String>>,
) -> Vec<(Place, String, String)> {
    let mut out = Vec::new();
    for when in routes.iter().filter_map(|r| r.when.as_ref()) {
        // One that cannot be read is told where it is compiled.
        let Ok(predicate) = Predicate::new(&when.value, COLUMNS) else {
            continue;
        };
        for (column, text) in predicate.compared() {
            let Some(known) = values(column).filter(|known| !known.contains(text)) else {
                continue;
            };
            let what = format!("`{column}` is never `{text}`: this never matches");
            let help = match nearest(text, known.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None if known.is_empty() => format!("there is no {column} at all"),
                None if known.len() > NAMED => format!("it is one of {} others", known.len()),
                None => format!("it is one of: {}", known.join(", ")),
            };
            out.push((inside(when, text), what, help));
        }
    }
    out
}

/// Where a text stands in a condition.
fn inside(when: &Located<String>, text: &str) -> Place {
    let quoted = format!("'{}'", text.replace('\'', "''"));
    let Some((before, _)) = when.value.split_once(&quoted) else {
        return when.place.clone();
    };
    let line = before.matches('\n').count() + 1;
    let column = before.lines().last().map_or(0, |l| l.chars().count()) + 1;
    when.inside(line, column)
}
