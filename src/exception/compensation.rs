//! What must hold meanwhile: whether a condition is complete, has values of its types, and could fail at all. The same
//! for what a requester offers and for what an approver adds.

use std::collections::BTreeSet;

use serde_json::Value;

use super::complete::{Lack, Missing};
use crate::model::{
    people::Directory,
    request::Condition,
    rules::{ExceptionRules, ParamType},
    span::Span,
};

/// Everything that a condition lacks; `field` is where it stands.
pub fn lacks(
    field: &str,
    condition: &Condition,
    (rules, directory): (&ExceptionRules, &Directory),
) -> Vec<Missing> {
    let mut all = Vec::new();
    let mut add = |lack, say: String| {
        all.push(Missing {
            field: field.to_owned(),
            lack,
            say,
        });
    };
    match &condition.mitigation {
        None => {
            let machine = condition.evidence.is_some()
                && condition.subject.is_some()
                && condition.fails_when.is_some();
            let named = condition.id.is_some() && condition.text.is_some();
            if !named || !(machine || condition.attested.is_some()) {
                let what = "a condition names a `mitigation`, or has `id`, `text` and either `evidence`, `subject` and `fails_when` or `attested`";
                add(Lack::Missing, what.to_owned());
            }
            if let Some(text) = condition.fails_when.as_deref().filter(|t| is_fixed(t)) {
                let what = format!(
                    "`fails_when: {text}` reads nothing, so it comes out the same whatever happens: name a column of `evidence`"
                );
                add(Lack::ReplacesNothing, what);
            }
        }
        Some(name) => match rules.mitigations.get(name) {
            None => add(
                Lack::Unknown,
                format!("the policy has no mitigation `{name}`"),
            ),
            Some(known) if !condition.params.keys().eq(known.params.keys()) => {
                let wanted: Vec<&str> = known.params.keys().map(String::as_str).collect();
                let what = format!(
                    "`{name}` takes exactly these `params`: {}",
                    wanted.join(", ")
                );
                add(Lack::Missing, what);
            }
            Some(known) => {
                for (param, ty) in &known.params {
                    let value = condition.params.get(param).unwrap_or(&Value::Null);
                    if !fits(*ty, value) {
                        let what = format!("`{param}` of `{name}` is {ty}, and not {value}");
                        add(Lack::WrongType, what);
                    }
                }
            }
        },
    }
    match &condition.responsible {
        None => add(
            Lack::Missing,
            "`responsible` is missing: who answers for this condition?".to_owned(),
        ),
        Some(name) if directory.find(name).is_none() => {
            add(Lack::Unknown, format!("nobody is called `{name}`"));
        }
        Some(_) => {}
    }
    all
}

/// How a condition is called within its exception.
pub fn name(condition: &Condition) -> Option<&str> {
    let own = condition.id.as_deref();
    condition.mitigation.as_deref().or(own)
}

/// Names that several of these conditions bear: how they stand is kept by name, and the last would hide the others.
pub fn twice(conditions: &[Condition]) -> BTreeSet<&str> {
    let mut seen = BTreeSet::new();
    let names = conditions.iter().filter_map(name);
    names.filter(|name| !seen.insert(*name)).collect()
}

fn fits(ty: ParamType, value: &Value) -> bool {
    match ty {
        ParamType::Int => value.as_i64().is_some(),
        ParamType::Float => value.as_f64().is_some(),
        ParamType::Text => value.is_string(),
        ParamType::Duration => value.as_str().is_some_and(|t| t.parse::<Span>().is_ok()),
    }
}

/// Words of SQL that name no column.
const WORDS: &[&str] = &[
    "true", "false", "null", "not", "and", "or", "is", "in", "like", "between", "interval", "case",
    "when", "then", "else", "end", "cast", "as",
];

/// Whether an expression reads no column, so that it comes out the same whatever happens.
fn is_fixed(text: &str) -> bool {
    let mut left = text;
    while let Some(at) =
        left.find(|c: char| c.is_alphabetic() || matches!(c, '_' | '\'' | '"' | '$'))
    {
        let Some((_, from)) = left.split_at_checked(at) else {
            break;
        };
        if let Some(quoted) = from.strip_prefix('\'') {
            left = quoted.split_once('\'').map_or("", |(_, rest)| rest);
            continue;
        }
        if from.starts_with('"') {
            return false;
        }
        let parameter = from.starts_with('$');
        let word = from.trim_start_matches('$');
        let end = word.find(|c: char| !(c.is_alphanumeric() || c == '_'));
        let (word, rest) = word.split_at(end.unwrap_or(word.len()));
        let called = rest.trim_start().starts_with('(');
        if !parameter && !called && !WORDS.contains(&word.to_lowercase().as_str()) {
            return false;
        }
        left = rest;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reads_no_column_cannot_fail() {
        for fixed in [
            "false",
            "1 = 0",
            "NOT true",
            "now() IS NULL",
            "'in_force' = 'x'",
            "$a > 3",
            "",
        ] {
            assert!(is_fixed(fixed), "{fixed}");
        }
        for read in [
            "NOT in_force",
            "calls > $most",
            "\"state\" = 'x'",
            "lower(name) = 'a'",
            "a.b < 3",
        ] {
            assert!(!is_fixed(read), "{read}");
        }
    }
}
