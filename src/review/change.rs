//! A change to what judges in a control: other parameters, another condition, for everything or only where something
//! holds. Gives the definition as it would be; writes no file.

use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::{
    evaluate,
    model::{control::Param, definition::Definition, id::DatasetName, table::Schema},
};
use std::collections::BTreeMap;

/// A change, as somebody writes it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Change {
    /// Parameters and their new values.
    pub set: Vec<(String, String)>,
    /// Another failure condition.
    pub fails_when: Option<String>,
    /// Only for rows of which this holds; where it is unknown, nothing changes.
    pub scope: Option<String>,
}

/// Why a change cannot be tried, in a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

fn refused<T>(say: String) -> Result<T, Refused> {
    Err(Refused(say))
}

impl Change {
    /// The definition with the change in it.
    ///
    /// # Errors
    /// There is no such parameter, its value is of another type, or the scope cannot be told apart.
    pub fn apply(&self, definition: &Definition) -> Result<Definition, Refused> {
        if self.set.is_empty() && self.fails_when.is_none() {
            return refused("nothing is changed: name a parameter (`--set rotate_within=120d`) or a condition (`--fails-when`)".to_owned());
        }
        let mut changed = definition.clone();
        let mut condition = self
            .fails_when
            .clone()
            .unwrap_or_else(|| definition.fails_when.clone());
        for (name, text) in &self.set {
            let Some(old) = definition.params.get(name) else {
                let known: Vec<&str> = definition.params.keys().map(String::as_str).collect();
                let known = if known.is_empty() {
                    "it has none".to_owned()
                } else {
                    format!("it has {}", known.join(", "))
                };
                return refused(format!("the control has no parameter `{name}`; {known}"));
            };
            let value = parse(old, text)
                .map_err(|want| Refused(format!("`{name}` is {want}, and `{text}` is not")))?;
            if self.scope.is_none() {
                changed.params.insert(name.clone(), value);
                continue;
            }
            // Both values are needed: the old one where the scope does not hold.
            let uses = uses(name)?;
            if uses.is_match(&definition.evidence) {
                return refused(format!(
                    "`${name}` decides in the evidence query which rows there are, so it cannot be changed for some of them only"
                ));
            }
            let other = format!("{name}_proposed");
            condition = uses
                .replace_all(&condition, format!("$${other}"))
                .into_owned();
            changed.params.insert(other, value);
        }
        changed.fails_when = match &self.scope {
            None => condition,
            Some(scope) => format!(
                "CASE WHEN ({scope}) THEN ({condition}) ELSE ({}) END",
                definition.fails_when
            ),
        };
        Ok(changed)
    }

    /// What is wrong with the SQL of a change, judged by what the datasets promise.
    pub fn mistakes(
        &self,
        definition: &Definition,
        schemas: &BTreeMap<DatasetName, Schema>,
    ) -> Vec<String> {
        let problems = |what: &str, fails_when: &str, params: &BTreeMap<String, Param>| {
            let parts = evaluate::Parts {
                evidence: &definition.evidence,
                fails_when,
                params,
                subject: &definition.subject,
                inventory: definition.inventory.as_ref(),
            };
            let problems = evaluate::check(&parts, schemas).problems;
            let said = problems.into_iter().map(|p| {
                let help = p.help.map_or_else(String::new, |h| format!("; {h}"));
                format!("{what}: {}{help}", p.what)
            });
            said.collect::<Vec<String>>()
        };
        if let Some(scope) = &self.scope {
            let said = problems(&format!("`{scope}`"), scope, &definition.params);
            if !said.is_empty() {
                return said;
            }
        }
        match self.apply(definition) {
            Err(refused) => vec![refused.0],
            Ok(_) if self.changes_nothing(definition) => {
                vec!["nothing would change: the control is so already".to_owned()]
            }
            Ok(changed) => problems(
                "the changed condition",
                &changed.fails_when,
                &changed.params,
            ),
        }
    }

    /// Whether everything is as it would be.
    fn changes_nothing(&self, definition: &Definition) -> bool {
        let same = |(name, text): &(String, String)| {
            let old = definition.params.get(name);
            old.is_some_and(|old| parse(old, text).as_ref() == Ok(old))
        };
        let condition = self.fails_when.as_ref();
        self.set.iter().all(same) && condition.is_none_or(|c| *c == definition.fails_when)
    }

    /// In a few words: `rotate_within 90d → 120d where vendor = 'acme'`.
    pub fn words(&self, definition: &Definition) -> String {
        let mut parts: Vec<String> = self
            .set
            .iter()
            .map(|(name, value)| {
                let old = definition.params.get(name).map_or_else(String::new, said);
                format!("{name} {old} → {value}")
            })
            .collect();
        parts.extend(self.fails_when.iter().map(|f| format!("fails when {f}")));
        let scope = self.scope.as_ref();
        let scope = scope.map_or_else(String::new, |s| format!(" where {s}"));
        parts.join(", ") + &scope
    }
}

/// Where a parameter is used: its name, and not the beginning of another.
pub(super) fn uses(name: &str) -> Result<Regex, Refused> {
    Regex::new(&format!(r"\${}\b", regex::escape(name))).map_err(|e| Refused(e.to_string()))
}

/// A value of the type that the parameter has; otherwise what that type is called.
fn parse(like: &Param, text: &str) -> Result<Param, &'static str> {
    Ok(match like {
        Param::Duration(_) => Param::Duration(
            text.parse()
                .map_err(|_| "a length of time such as `120d`")?,
        ),
        Param::Bool(_) => Param::Bool(text.parse().map_err(|_| "`true` or `false`")?),
        Param::Int(_) => Param::Int(text.parse().map_err(|_| "a whole number")?),
        Param::Float(_) => Param::Float(text.parse().map_err(|_| "a number")?),
        Param::Text(_) => Param::Text(text.to_owned()),
        Param::List(_) => Param::List(text.split(',').map(|t| t.trim().to_owned()).collect()),
    })
}

/// A parameter as people write it.
pub fn said(param: &Param) -> String {
    match param {
        Param::Duration(span) => span.to_string(),
        Param::Bool(b) => b.to_string(),
        Param::Int(n) => n.to_string(),
        Param::Float(n) => n.to_string(),
        Param::Text(text) => text.clone(),
        Param::List(all) => all.join(","),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::definition::tests::rotation;

    fn set(value: &str, scope: Option<&str>) -> Change {
        Change {
            set: vec![("within".to_owned(), value.to_owned())],
            fails_when: None,
            scope: scope.map(str::to_owned),
        }
    }

    #[test]
    fn a_change_for_everything_changes_the_parameter() {
        let changed = set("120d", None).apply(&rotation()).unwrap();
        assert_eq!(said(&changed.params["within"]), "120d");
        assert_eq!(changed.fails_when, rotation().fails_when);
        let words = set("120d", None).words(&rotation());
        assert_eq!(words, "within 90d → 120d");
    }

    #[test]
    fn a_change_for_some_keeps_both_values() {
        let changed = set("120d", Some("name LIKE 'x%'"))
            .apply(&rotation())
            .unwrap();
        assert_eq!(
            changed.fails_when,
            "CASE WHEN (name LIKE 'x%') THEN (rotated < now() - $within_proposed) ELSE (rotated < now() - $within) END"
        );
        assert_eq!(said(&changed.params["within"]), "90d");
        assert_eq!(said(&changed.params["within_proposed"]), "120d");
    }

    #[test]
    fn what_cannot_be_tried_is_said() {
        for (change, said) in [
            (Change::default(), "nothing is changed"),
            (set("many", None), "`within` is a length of time"),
            (
                Change {
                    set: vec![("withim".to_owned(), "1d".to_owned())],
                    ..Change::default()
                },
                "no parameter `withim`; it has within",
            ),
        ] {
            let error = change.apply(&rotation()).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        let mut query = rotation();
        query.evidence += " WHERE rotated < now() - $within";
        let error = set("1d", Some("true")).apply(&query).unwrap_err();
        assert!(
            error.to_string().contains("in the evidence query"),
            "{error}"
        );
    }
}
