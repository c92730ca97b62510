//! `${name}`: the only substitution in a connector. A setting (`${url}`), a column of a parent row
//! (`${m.name}`), or in `confirm_gone` a column of the key (`${key.name}`). Parsing only: what a name
//! stands for is known when a source is read.

use serde_json::{Map, Value, json};

use crate::yaml::{
    decode::{Cx, Decode},
    diagnostic::{Diagnostic, Place},
    tree::{Kind, Node},
};

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Text as it stands.
    Text(String),
    /// `${name}`: a setting.
    Setting(String),
    /// `${alias.column}`: a column of a parent row, or of the key.
    Column(String, String),
}

/// Text with substitutions, and where it is.
#[derive(Debug, Clone)]
pub struct Template {
    /// The pieces in order.
    pub pieces: Vec<Piece>,
    /// Where it is.
    pub place: Place,
}

impl PartialEq for Template {
    /// Equal texts are equal wherever they are, so that two datasets with the same request are seen to have it.
    fn eq(&self, other: &Self) -> bool {
        self.pieces == other.pieces
    }
}

impl Template {
    /// Reads `text`. `Err` says what is wrong with it.
    pub fn parse(text: &str, place: &Place) -> Result<Self, &'static str> {
        let wrong = "write `${name}`, or `${alias.column}`";
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, tail)) = rest.split_once("${") {
            let (name, tail) = tail.split_once('}').ok_or(wrong)?;
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            pieces.push(match name.split_once('.') {
                Some((alias, column)) if is_word(alias) && is_word(column) => {
                    Piece::Column(alias.to_owned(), column.to_owned())
                }
                None if is_word(name) => Piece::Setting(name.to_owned()),
                _ => return Err(wrong),
            });
            rest = tail;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self {
            pieces,
            place: place.clone(),
        })
    }

    /// The settings it needs.
    pub fn settings(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|p| match p {
            Piece::Setting(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// The columns of parent rows it needs, with the alias of the parent.
    pub fn columns(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pieces.iter().filter_map(|p| match p {
            Piece::Column(alias, column) => Some((alias.as_str(), column.as_str())),
            _ => None,
        })
    }

    /// The setting that is the whole of it: then the value keeps its type, and without a value the thing is left out.
    pub fn whole(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [Piece::Setting(name)] => Some(name),
            _ => None,
        }
    }

    /// The text, if nothing is substituted in it.
    pub fn literal(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The texts between the substitutions, joined: what is always asked for.
    pub fn fixed(&self) -> String {
        self.pieces
            .iter()
            .filter_map(|p| match p {
                Piece::Text(text) => Some(text.as_str()),
                _ => None,
            })
            .collect()
    }
}

impl std::fmt::Display for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.pieces.iter().try_for_each(|p| match p {
            Piece::Text(text) => f.write_str(text),
            Piece::Setting(name) => write!(f, "${{{name}}}"),
            Piece::Column(alias, column) => write!(f, "${{{alias}.{column}}}"),
        })
    }
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

impl Decode for Template {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        let text = String::decode(node, cx)?;
        Self::parse(&text, &node.place).map_or_else(
            |help| {
                cx.wrong(
                    Diagnostic::error("TL0402", &node.place, "a substitution that cannot be read")
                        .help(help),
                )
            },
            Some,
        )
    }

    fn schema(_: &mut Map<String, Value>) -> Value {
        json!({ "type": ["string", "number", "boolean"] })
    }
}

/// A value of its own type, or `${setting}`, which keeps the setting's type.
#[derive(Debug, Clone, PartialEq)]
pub enum Fill<T> {
    /// Written in the connector.
    Fixed(T),
    /// From a setting.
    Setting(Template),
}

impl<T: Decode> Decode for Fill<T> {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        match &node.kind {
            Kind::Scalar(s) if s.text.contains("${") => {
                let template = Template::decode(node, cx)?;
                if template.whole().is_none() {
                    let d = Diagnostic::error(
                        "TL0402",
                        &node.place,
                        "this value keeps its type, so it is one setting and nothing else",
                    );
                    return cx.wrong(d.help("write `${name}` alone"));
                }
                Some(Self::Setting(template))
            }
            _ => T::decode(node, cx).map(Self::Fixed),
        }
    }

    fn schema(defs: &mut Map<String, Value>) -> Value {
        json!({ "anyOf": [T::schema(defs), { "type": "string", "pattern": r"^\$\{[A-Za-z][A-Za-z0-9_]*\}$" }] })
    }
}

/// JSON with templates in its texts: the body of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// A text with substitutions; one that is only `${x}` takes the type of `x`.
    Text(Template),
    /// A number, a truth value, or null.
    Plain(Value),
    /// A list.
    List(Vec<Body>),
    /// An object, in the order of the file.
    Object(Vec<(String, Body)>),
}

impl Body {
    /// Every template in it.
    pub fn templates(&self) -> Vec<&Template> {
        match self {
            Self::Text(template) => vec![template],
            Self::Plain(_) => Vec::new(),
            Self::List(items) => items.iter().flat_map(Self::templates).collect(),
            Self::Object(entries) => entries.iter().flat_map(|(_, b)| b.templates()).collect(),
        }
    }

    /// The value under `key`, if this is an object that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(entries) => entries.iter().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }
}

impl Decode for Body {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        match &node.kind {
            Kind::Scalar(_) => match Value::decode(node, cx)? {
                Value::String(_) => Template::decode(node, cx).map(Self::Text),
                plain => Some(Self::Plain(plain)),
            },
            Kind::List(items) => {
                let read: Vec<_> = items.iter().map(|n| Self::decode(n, cx)).collect();
                read.into_iter().collect::<Option<_>>().map(Self::List)
            }
            Kind::Map(entries) => {
                let read: Vec<_> = entries
                    .iter()
                    .map(|(k, n)| Self::decode(n, cx).map(|b| (k.text.clone(), b)))
                    .collect();
                read.into_iter().collect::<Option<_>>().map(Self::Object)
            }
        }
    }

    fn schema(_: &mut Map<String, Value>) -> Value {
        json!({})
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn read(text: &str) -> Result<Template, &'static str> {
        Template::parse(text, &Place::file(Path::new("a.yaml")))
    }

    #[test]
    fn a_template_is_text_settings_and_columns() {
        let t = read("/api/${org}/x?f='${m.name}'").unwrap();
        assert_eq!(t.settings().collect::<Vec<_>>(), ["org"]);
        assert_eq!(t.columns().collect::<Vec<_>>(), [("m", "name")]);
        assert_eq!(t.fixed(), "/api//x?f=''");
        assert_eq!(t.to_string(), "/api/${org}/x?f='${m.name}'");
        assert_eq!(read("${url}").unwrap().whole(), Some("url"));
        assert_eq!(read("${url}/").unwrap().whole(), None);
        assert_eq!(read("$plain {x}").unwrap().literal(), Some("$plain {x}"));
        for bad in ["${", "${}", "${a b}", "${a.}", "${a.b.c}", "${1}"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
