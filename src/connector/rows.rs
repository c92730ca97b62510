//! Finds the rows in a document, as a dataset's `rows:` says. Rows that are not where they should be
//! are a mistake, never an empty list, unless the connector says that their absence means none.

use serde_json::{Map, Value};

use crate::catalog::connector::{
    dataset::{Absent, Rows},
    path::Found,
};

/// The rows of a document, before `unnest`.
#[derive(Debug, Clone, PartialEq)]
pub enum Located<'v> {
    /// The elements of a list.
    List(&'v [Value]),
    /// What a path with several results, or an object with entries, gave.
    Loose(Vec<std::borrow::Cow<'v, Value>>),
}

impl Located<'_> {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::List(rows) => rows.len(),
            Self::Loose(rows) => rows.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The last one.
    pub fn last(&self) -> Option<&Value> {
        match self {
            Self::List(rows) => rows.last(),
            Self::Loose(rows) => rows.last().map(std::borrow::Cow::as_ref),
        }
    }

    /// Each in turn.
    pub fn each(&self) -> Box<dyn Iterator<Item = &Value> + '_> {
        match self {
            Self::List(rows) => Box::new(rows.iter()),
            Self::Loose(rows) => Box::new(rows.iter().map(std::borrow::Cow::as_ref)),
        }
    }
}

/// Finds the rows of `document`. `Err` says what is there instead.
pub fn locate<'v>(rows: &Rows, document: &'v Value) -> Result<Located<'v>, String> {
    let found = match &rows.at {
        None => Found::One(document),
        Some(path) => path.find(document),
    };
    let at = || {
        rows.at
            .as_ref()
            .map_or_else(|| "the answer".to_owned(), |p| format!("`{p}`"))
    };
    match found {
        Found::One(Value::Array(list)) if !rows.entries && !rows.one => Ok(Located::List(list)),
        Found::One(row @ Value::Object(_)) if rows.one => {
            Ok(Located::Loose(vec![std::borrow::Cow::Borrowed(row)]))
        }
        Found::One(Value::Object(members)) if rows.entries => {
            let entry = |(key, value): (&String, &Value)| {
                let members = [
                    ("key".to_owned(), Value::String(key.clone())),
                    ("value".to_owned(), value.clone()),
                ];
                std::borrow::Cow::Owned(Value::Object(Map::from_iter(members)))
            };
            Ok(Located::Loose(members.iter().map(entry).collect()))
        }
        Found::None | Found::One(Value::Null) if rows.absent == Absent::Empty => {
            Ok(Located::List(&[]))
        }
        Found::None => Err(format!("there is nothing at {}", at())),
        // One object where a list is promised: XML and some lists of one look like this only with a `$…[*]` path.
        Found::One(other) => Err(format!(
            "{} is {}, not {}",
            at(),
            noun(other),
            if rows.entries || rows.one {
                "an object"
            } else {
                "a list"
            }
        )),
        Found::Many(many) => Ok(Located::Loose(
            many.into_iter().map(std::borrow::Cow::Borrowed).collect(),
        )),
    }
}

/// The elements of the list inside a row that `unnest` leads to; no list means none.
pub fn unnested<'v>(rows: &Rows, row: &'v Value) -> Result<Vec<&'v Value>, String> {
    let Some(path) = &rows.unnest else {
        return Ok(vec![row]);
    };
    match path.find(row) {
        Found::None | Found::One(Value::Null) => Ok(Vec::new()),
        Found::One(Value::Array(list)) => Ok(list.iter().collect()),
        Found::One(other) => Err(format!("`{path}` is {}, not a list", noun(other))),
        Found::Many(many) => Ok(many),
    }
}

/// What a value is, for a message.
pub fn noun(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalog::connector::path::Path;

    fn rows(at: &str) -> Rows {
        Rows {
            at: Some(Path::parse(at).unwrap()),
            ..Rows::default()
        }
    }

    #[test]
    fn one_object_may_be_the_only_row() {
        let rows = Rows {
            one: true,
            ..rows("user")
        };
        let answer = json!({ "user": { "name": "a" } });
        let found = locate(&rows, &answer).unwrap();
        assert_eq!(found.last(), Some(&json!({ "name": "a" })));
        let wrong = |answer: Value| locate(&rows, &answer).unwrap_err();
        assert_eq!(
            wrong(json!({ "user": [] })),
            "`user` is a list, not an object"
        );
        assert_eq!(wrong(json!({})), "there is nothing at `user`");
    }

    #[test]
    fn rows_are_where_they_should_be_or_it_is_a_mistake() {
        let answer = json!({ "models": [1, 2], "one": { "a": 1, "b": 2 }, "none": null });
        assert_eq!(locate(&rows("models"), &answer).unwrap().len(), 2);
        assert_eq!(
            locate(&rows("gone"), &answer).unwrap_err(),
            "there is nothing at `gone`"
        );
        assert_eq!(
            locate(&rows("one"), &answer).unwrap_err(),
            "`one` is an object, not a list"
        );
        assert_eq!(
            locate(&rows("none"), &answer).unwrap_err(),
            "`none` is null, not a list"
        );
        let lenient = |at| Rows {
            absent: Absent::Empty,
            ..rows(at)
        };
        assert!(locate(&lenient("gone"), &answer).unwrap().is_empty());
        assert!(locate(&lenient("none"), &answer).unwrap().is_empty());
        assert!(locate(&lenient("one"), &answer).is_err());
    }

    #[test]
    fn members_of_an_object_and_several_results_are_rows_too() {
        let answer = json!({ "data": { "kv/": { "type": "kv" } } });
        let entries = Rows {
            entries: true,
            ..rows("data")
        };
        let found = locate(&entries, &answer).unwrap();
        assert_eq!(
            found.last().unwrap(),
            &json!({ "key": "kv/", "value": { "type": "kv" } })
        );
        let all = locate(&rows("$[*].x"), &json!([{ "x": 1 }, { "x": 2 }, {}]))
            .unwrap()
            .each()
            .cloned()
            .collect::<Vec<_>>();
        assert_eq!(all, [json!(1), json!(2)]);
    }

    #[test]
    fn a_row_without_its_inner_list_gives_none() {
        let aliases = Rows {
            unnest: Some(Path::parse("aliases").unwrap()),
            ..Rows::default()
        };
        assert_eq!(
            unnested(&aliases, &json!({ "aliases": [1, 2] }))
                .unwrap()
                .len(),
            2
        );
        assert!(unnested(&aliases, &json!({})).unwrap().is_empty());
        assert!(unnested(&aliases, &json!({ "aliases": "x" })).is_err());
    }
}
