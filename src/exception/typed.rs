//! What somebody says of a request for triage: known names, and values of their type. A value that nobody can read would
//! count as unknown, and make the way longer without a word.

use serde_json::Value;

use super::{
    complete::{Lack, Missing},
    facet::{self, FACETS, STATED},
};
use crate::model::table::ColumnType;

/// What is wrong with what somebody says: names that are not theirs to say, and values that are not of their type.
pub fn misfits<'f>(said: impl IntoIterator<Item = (&'f String, &'f Value)>) -> Vec<Missing> {
    let mut all = Vec::new();
    for (name, value) in said {
        let mut add = |lack, say| {
            all.push(Missing {
                field: "facets".to_owned(),
                lack,
                say,
            });
        };
        if !STATED.contains(&name.as_str()) {
            let known = STATED.join(", ");
            add(
                Lack::NotPermitted,
                format!("`{name}` is not for the requester to say; known: {known}"),
            );
            continue;
        }
        if value.is_null() {
            continue;
        }
        let known = facet::values(name);
        if known.is_empty() {
            if let Some(wanted) = wanted(name, value) {
                add(
                    Lack::WrongType,
                    format!("`{name}` is {wanted}, and not {value}"),
                );
            }
        } else if !value.as_str().is_some_and(|v| known.contains(&v)) {
            add(
                Lack::Unknown,
                format!("`{name}` is one of {}", known.join(", ")),
            );
        }
    }
    all
}

/// What a value should be, when it is not.
fn wanted(name: &str, value: &Value) -> Option<&'static str> {
    let (_, ty) = FACETS.iter().find(|(known, _)| *known == name)?;
    let (fits, wanted) = match ty {
        ColumnType::Bool => (value.is_boolean(), "true or false"),
        ColumnType::Float | ColumnType::Int => {
            let fits = value.as_f64().is_some_and(|n| n >= 0.0);
            (fits, "a number that is not negative")
        }
        ColumnType::ListText => {
            let texts = |list: &Vec<Value>| list.iter().all(Value::is_string);
            (value.as_array().is_some_and(texts), "a list of names")
        }
        _ => (value.is_string(), "a text"),
    };
    (!fits).then_some(wanted)
}
