//! How plain values are read: texts, numbers, truth values, instants, lists, names of the user's choice.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    decode::{Cx, Decode, from_text, scalar},
    tree::{Key, Kind, Node},
};

impl Decode for String {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        scalar(node, "text", cx).map(|s| s.text.clone())
    }

    fn schema(_: &mut serde_json::Map<String, Value>) -> Value {
        json!({ "type": "string" })
    }
}

impl Decode for bool {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        match scalar(node, "`true` or `false`", cx)? {
            s if s.plain && s.text == "true" => Some(true),
            s if s.plain && s.text == "false" => Some(false),
            _ => cx.expected(node, "`true` or `false`"),
        }
    }

    fn schema(_: &mut serde_json::Map<String, Value>) -> Value {
        json!({ "type": "boolean" })
    }
}

macro_rules! numbers {
    ($($type:ty: $wanted:literal, $json:literal;)*) => { $(
        impl Decode for $type {
            fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
                match scalar(node, $wanted, cx)? {
                    s if s.plain => from_text(node, $wanted, cx),
                    _ => cx.expected(node, $wanted),
                }
            }

            fn schema(_: &mut serde_json::Map<String, Value>) -> Value {
                json!({ "type": $json })
            }
        }
    )* };
}

numbers! {
    u16: "a whole number from 0 to 65535", "integer";
    u32: "a whole number, 0 or more", "integer";
    u64: "a whole number, 0 or more", "integer";
    usize: "a whole number, 0 or more", "integer";
    i64: "a whole number", "integer";
    f64: "a number", "number";
}

macro_rules! parsed {
    ($($type:ty: $wanted:literal, $schema:tt;)*) => { $(
        impl Decode for $type {
            fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
                from_text(node, $wanted, cx)
            }

            fn schema(_: &mut serde_json::Map<String, Value>) -> Value {
                json!($schema)
            }
        }
    )* };
}

parsed! {
    chrono::DateTime<chrono::Utc>: "an instant such as `2026-11-20T00:00:00Z`", { "type": "string", "format": "date-time" };
    chrono::NaiveDate: "a date such as `2026-11-20`", { "type": "string", "format": "date" };
    chrono_tz::Tz: "a time zone such as `Europe/Dublin`", { "type": "string" };
    url::Url: "an address such as `https://registry.example.test`", { "type": "string", "format": "uri" };
    std::net::SocketAddr: "an address and port such as `127.0.0.1:8420`", { "type": "string" };
}

impl Decode for std::path::PathBuf {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        String::decode(node, cx).map(|path| cx.root.join(path))
    }

    fn schema(_: &mut serde_json::Map<String, Value>) -> Value {
        json!({ "type": "string" })
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        match &node.kind {
            Kind::Scalar(s) if s.is_null() => Some(None),
            _ => T::decode(node, cx).map(Some),
        }
    }

    fn schema(defs: &mut serde_json::Map<String, Value>) -> Value {
        T::schema(defs)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<T: Decode> Decode for Box<T> {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        T::decode(node, cx).map(Box::new)
    }

    fn schema(defs: &mut serde_json::Map<String, Value>) -> Value {
        T::schema(defs)
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        let Kind::List(items) = &node.kind else {
            return cx.expected(node, "a list");
        };
        // Every item is read before one that failed ends the list.
        let read: Vec<Option<T>> = items.iter().map(|n| T::decode(n, cx)).collect();
        read.into_iter().collect()
    }

    fn schema(defs: &mut serde_json::Map<String, Value>) -> Value {
        json!({ "type": "array", "items": T::schema(defs) })
    }
}

/// A mapping from names of the user's choice, in the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Named<T>(pub Vec<(Key, T)>);

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Named<T> {
    /// The value under `name`.
    pub fn get(&self, name: &str) -> Option<&T> {
        self.0.iter().find(|(k, _)| k.text == name).map(|(_, v)| v)
    }

    /// Keys and values in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &T)> {
        self.0.iter().map(|(k, v)| (k, v))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names and values without their places.
    pub fn to_map(&self) -> BTreeMap<String, T>
    where
        T: Clone,
    {
        self.0
            .iter()
            .map(|(k, v)| (k.text.clone(), v.clone()))
            .collect()
    }
}

impl<T: Decode> Decode for Named<T> {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        let Kind::Map(entries) = &node.kind else {
            return cx.expected(node, "a mapping");
        };
        let read: Vec<Option<(Key, T)>> = entries
            .iter()
            .map(|(k, n)| T::decode(n, cx).map(|v| (k.clone(), v)))
            .collect();
        read.into_iter().collect::<Option<Vec<_>>>().map(Self)
    }

    fn schema(defs: &mut serde_json::Map<String, Value>) -> Value {
        json!({ "type": "object", "additionalProperties": T::schema(defs) })
    }
}

/// Any YAML as JSON: numbers, booleans and null when written plainly, text otherwise.
impl Decode for Value {
    fn decode(node: &Node, _: &mut Cx) -> Option<Self> {
        Some(json_of(node))
    }

    fn schema(_: &mut serde_json::Map<String, Value>) -> Value {
        json!({})
    }
}

fn json_of(node: &Node) -> Value {
    match &node.kind {
        Kind::Scalar(s) if s.is_null() => Value::Null,
        Kind::Scalar(s) if s.plain && s.text == "true" => json!(true),
        Kind::Scalar(s) if s.plain && s.text == "false" => json!(false),
        Kind::Scalar(s) if s.plain => match (s.text.parse::<i64>(), s.text.parse::<f64>()) {
            (Ok(whole), _) => json!(whole),
            (_, Ok(real))
                if real.is_finite()
                    && s.text
                        .starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '.') =>
            {
                json!(real)
            }
            _ => json!(s.text),
        },
        Kind::Scalar(s) => json!(s.text),
        Kind::List(items) => Value::Array(items.iter().map(json_of).collect()),
        Kind::Map(entries) => Value::Object(
            entries
                .iter()
                .map(|(k, n)| (k.text.clone(), json_of(n)))
                .collect(),
        ),
    }
}
