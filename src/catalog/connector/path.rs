//! Paths into JSON: dotted (`paging.after`), or RFC 9535 JSONPath when they start with `$`. The one
//! filter that every system needs, `$.tags[?@.key=='owner'].value`, is seen and walked without the
//! general machine, because it is asked once per row and column.

use serde_json::{Map, Value, json};
use serde_json_path::JsonPath;

use crate::yaml::{
    decode::{Cx, Decode},
    diagnostic::Diagnostic,
    tree::Node,
};

/// A path into JSON.
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    text: String,
    steps: Steps,
}

#[derive(Debug, Clone, PartialEq)]
enum Steps {
    /// Names of members, or positions in lists.
    Dotted(Vec<String>),
    /// `$.a.b[?@.name=='is'].then`.
    Filter {
        list: Vec<String>,
        name: String,
        is: String,
        then: Vec<String>,
    },
    /// Anything else.
    Query(Box<JsonPath>),
}

/// What a path leads to.
#[derive(Debug, Clone, PartialEq)]
pub enum Found<'v> {
    /// Nothing.
    None,
    /// One value.
    One(&'v Value),
    /// Two or more.
    Many(Vec<&'v Value>),
}

impl Path {
    /// Reads `text`. `Err` says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let steps = if text.starts_with('$') {
            let query = JsonPath::parse(text).map_err(|e| e.to_string())?;
            filter(text).unwrap_or_else(|| Steps::Query(Box::new(query)))
        } else if text.is_empty() || text.split('.').any(str::is_empty) {
            return Err(
                "write names with dots between them, or a JSONPath that starts with `$`".to_owned(),
            );
        } else {
            Steps::Dotted(split(text))
        };
        Ok(Self {
            text: text.to_owned(),
            steps,
        })
    }

    /// A path of one step, whatever characters the name has.
    pub fn member(name: &str) -> Self {
        Self {
            text: name.to_owned(),
            steps: Steps::Dotted(vec![name.to_owned()]),
        }
    }

    /// The text as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What it leads to from `value`.
    pub fn find<'v>(&self, value: &'v Value) -> Found<'v> {
        match &self.steps {
            Steps::Dotted(steps) => walk(value, steps).map_or(Found::None, Found::One),
            Steps::Filter {
                list,
                name,
                is,
                then,
            } => {
                let Some(list) = walk(value, list) else {
                    return Found::None;
                };
                let children: Box<dyn Iterator<Item = &Value>> = match list {
                    Value::Array(items) => Box::new(items.iter()),
                    Value::Object(members) => Box::new(members.values()),
                    _ => return Found::None,
                };
                gather(
                    children
                        .filter(|c| c.get(name).and_then(Value::as_str) == Some(is))
                        .filter_map(|c| walk(c, then)),
                )
            }
            Steps::Query(query) => gather(query.query(value).all().into_iter()),
        }
    }

    /// The first value it leads to.
    pub fn first<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        match self.find(value) {
            Found::None => None,
            Found::One(found) => Some(found),
            Found::Many(found) => found.first().copied(),
        }
    }
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.text)
    }
}

impl Decode for Path {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        let text = String::decode(node, cx)?;
        Self::parse(&text).map_or_else(
            |why| {
                cx.wrong(
                    Diagnostic::error("TL0403", &node.place, format!("`{text}` is not a path"))
                        .help(why),
                )
            },
            Some,
        )
    }

    fn schema(_: &mut Map<String, Value>) -> Value {
        json!({ "type": "string" })
    }
}

fn split(text: &str) -> Vec<String> {
    text.split('.').map(str::to_owned).collect()
}

fn walk<'v>(value: &'v Value, steps: &[String]) -> Option<&'v Value> {
    steps.iter().try_fold(value, |at, step| match at {
        Value::Object(members) => members.get(step),
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        _ => None,
    })
}

fn gather<'v>(mut found: impl Iterator<Item = &'v Value>) -> Found<'v> {
    let Some(first) = found.next() else {
        return Found::None;
    };
    match found.next() {
        None => Found::One(first),
        Some(second) => Found::Many([first, second].into_iter().chain(found).collect()),
    }
}

/// The text as [`Steps::Filter`], if it has exactly that form.
fn filter(text: &str) -> Option<Steps> {
    let is_name = |s: &str| {
        !s.is_empty()
            && !s.starts_with(|c: char| c.is_ascii_digit())
            && s.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let (list, rest) = text.strip_prefix("$.")?.split_once("[?@.")?;
    let (name, rest) = rest.split_once("==")?;
    let rest = rest.trim_start();
    let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let (is, rest) = rest.get(1..)?.split_once(quote)?;
    let then = rest.strip_prefix("].")?;
    let name = name.trim_end();
    let plain = !is.contains('\\')
        && is_name(name)
        && list.split('.').all(is_name)
        && then.split('.').all(is_name);
    plain.then(|| Steps::Filter {
        list: split(list),
        name: name.to_owned(),
        is: is.to_owned(),
        then: split(then),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(path: &str, value: &Value) -> Vec<Value> {
        match Path::parse(path).unwrap().find(value) {
            Found::None => vec![],
            Found::One(v) => vec![v.clone()],
            Found::Many(v) => v.into_iter().cloned().collect(),
        }
    }

    #[test]
    fn dotted_paths_walk_members_and_positions() {
        let v = json!({ "a": { "b": [1, 2] }, "Next review": 3 });
        assert_eq!(find("a.b.1", &v), [json!(2)]);
        assert_eq!(find("Next review", &v), [json!(3)]);
        assert!(find("a.c", &v).is_empty());
        for bad in ["", "a..b", ".a", "$.a[", "$.tags[?@.key='owner']"] {
            assert!(Path::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_short_way_through_a_filter_agrees_with_the_standard() {
        let v = json!({ "x": { "tags": [{ "key": "owner", "value": "a" }, { "key": "tier" }, { "key": "owner", "value": "b" }, 7] } });
        for path in [
            "$.x.tags[?@.key=='owner'].value",
            "$.x.tags[?@.key == \"tier\"].value",
            "$.x.tags[?@.key=='none'].value",
            "$.x.none[?@.key=='owner'].value",
        ] {
            let Steps::Filter { .. } = Path::parse(path).unwrap().steps else {
                panic!("{path} takes the long way")
            };
            let standard: Vec<Value> = JsonPath::parse(path)
                .unwrap()
                .query(&v)
                .all()
                .into_iter()
                .cloned()
                .collect();
            assert_eq!(find(path, &v), standard, "{path}");
        }
        assert!(matches!(
            Path::parse("$.tags[?@.key=='a' || @.key=='b'].value")
                .unwrap()
                .steps,
            Steps::Query(_)
        ));
    }
}
