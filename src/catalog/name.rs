//! Names and phrases in files: slugs that other files refer to, columns and parameters that SQL refers
//! to, texts that must say something. Each says in its diagnostic what it is for.

use crate::{
    model::id::is_slug,
    yaml::{
        decode::{Cx, Decode, scalar},
        diagnostic::{Diagnostic, Place},
        tree::Node,
    },
};

/// A name that other files and the database refer to: small letters, digits and single hyphens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slug(pub String);

impl Decode for Slug {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        let text = &scalar(node, "a name such as `secret-rotation`", cx)?.text;
        match not_a_slug(text, &node.place) {
            Some(wrong) => cx.wrong(wrong),
            None => Some(Self(text.clone())),
        }
    }

    fn schema(_: &mut serde_json::Map<String, serde_json::Value>) -> serde_json::Value {
        serde_json::json!({ "type": "string", "pattern": "^[a-z][a-z0-9]*(-[a-z0-9]+)*$", "maxLength": 64 })
    }
}

/// What is wrong with a text as a name, if anything.
pub fn not_a_slug(text: &str, place: &Place) -> Option<Diagnostic> {
    (!is_slug(text)).then(|| {
        Diagnostic::error("TL0106", place, format!("`{text}` cannot be a name here"))
            .help("a name is small letters, digits and single hyphens, starts with a letter, and has at most 64 characters")
    })
}

/// A column of a dataset or of a query: a word that needs no quotes in SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column(pub String);

impl Decode for Column {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        let text = &scalar(node, "the name of a column", cx)?.text;
        if is_column(text) {
            return Some(Self(text.clone()));
        }
        cx.wrong(
            Diagnostic::error(
                "TL0108",
                &node.place,
                format!("`{text}` cannot be the name of a column"),
            )
            .help("a column is small letters, digits and `_`, and starts with a letter or `_`"),
        )
    }

    fn schema(_: &mut serde_json::Map<String, serde_json::Value>) -> serde_json::Value {
        serde_json::json!({ "type": "string", "pattern": "^[a-z_][a-z0-9_]*$" })
    }
}

/// Whether a text is a word that SQL takes without quotes.
pub fn is_column(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// A text that says something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phrase(pub String);

impl Decode for Phrase {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        let text = scalar(node, "text", cx)?.text.trim();
        if text.is_empty() {
            return cx.wrong(Diagnostic::error(
                "TL0107",
                &node.place,
                "expected text, found an empty one",
            ));
        }
        Some(Self(text.to_owned()))
    }

    fn schema(_: &mut serde_json::Map<String, serde_json::Value>) -> serde_json::Value {
        serde_json::json!({ "type": "string", "minLength": 1 })
    }
}
