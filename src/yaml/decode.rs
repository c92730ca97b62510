//! From a tree to typed values, with every mistake reported at once. One declaration of a record
//! is at the same time its parser, its JSON Schema and its reference page, so the three cannot
//! drift apart.

use serde_json::{Value, json};

use super::{
    diagnostic::{Diagnostic, Place, nearest},
    tree::{Key, Kind, Node, Scalar},
};

/// Where mistakes go while a file is decoded.
#[derive(Debug, Default)]
pub struct Cx {
    /// What was found so far.
    pub out: Vec<Diagnostic>,
    /// The folder that relative paths in the file start from; empty leaves them as they are.
    pub root: std::path::PathBuf,
}

impl Cx {
    /// Notes a mistake and gives `None`, for `return cx.wrong(…)`.
    pub fn wrong<T>(&mut self, d: Diagnostic) -> Option<T> {
        self.out.push(d);
        None
    }

    /// Notes that a node is not what was asked for.
    pub fn expected<T>(&mut self, node: &Node, wanted: &str) -> Option<T> {
        let found = match &node.kind {
            Kind::Scalar(s) if !s.is_null() => format!("`{}`", shorten(&s.text)),
            _ => node.noun().to_owned(),
        };
        self.wrong(Diagnostic::error(
            "TL0102",
            &node.place,
            format!("expected {wanted}, found {found}"),
        ))
    }
}

fn shorten(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    if line.chars().count() > 40 {
        format!("{}…", line.chars().take(40).collect::<String>())
    } else {
        line.to_owned()
    }
}

/// A value that can be read from a node and can describe itself as JSON Schema (draft 2020-12).
pub trait Decode: Sized {
    /// Reads the value. `None` means that at least one diagnostic was noted.
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self>;

    /// The JSON Schema of the value; named records go into `defs` and are referred to.
    fn schema(defs: &mut serde_json::Map<String, Value>) -> Value;

    /// The value that an absent key stands for, if there is one.
    fn absent() -> Option<Self> {
        None
    }

    /// What to say when the key is required and is not there. A type that knows why it is needed says so.
    fn missing(name: &str, place: &Place) -> Diagnostic {
        Diagnostic::error("TL0101", place, format!("`{name}` is missing"))
            .help(format!("add `{name}:`"))
    }
}

/// A value with its place, for mistakes that can only be seen later.
#[derive(Debug, Clone, PartialEq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where it is.
    pub place: Place,
    /// For a literal block: line and column of its first character in the file.
    pub block: Option<(usize, usize)>,
    /// How many characters stand before a text that is no block: 1 when it is quoted.
    pub quote: usize,
}

impl<T> Located<T> {
    /// The place of `line` and `column` (from 1) inside a text value.
    pub fn inside(&self, line: usize, column: usize) -> Place {
        let (line, column) = match self.block {
            Some((first, indent)) => (
                first + line.saturating_sub(1),
                indent + column.saturating_sub(1),
            ),
            None if line <= 1 => (
                self.place.line,
                self.place.column + self.quote + column.saturating_sub(1),
            ),
            None => (self.place.line, self.place.column),
        };
        Place {
            line,
            column,
            width: 1,
            ..self.place.clone()
        }
    }

    /// The same place with another value.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Located<U> {
        Located {
            value: f(self.value),
            place: self.place,
            block: self.block,
            quote: self.quote,
        }
    }
}

impl<T> std::ops::Deref for Located<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Decode> Decode for Located<T> {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        let (block, quote) = match &node.kind {
            Kind::Scalar(s) => (s.block, usize::from(!s.plain)),
            _ => (None, 0),
        };
        T::decode(node, cx).map(|value| Self {
            value,
            place: node.place.clone(),
            block,
            quote,
        })
    }

    fn schema(defs: &mut serde_json::Map<String, Value>) -> Value {
        T::schema(defs)
    }

    fn missing(name: &str, place: &Place) -> Diagnostic {
        T::missing(name, place)
    }
}

/// The keys of a mapping while a record is read from it.
#[derive(Debug)]
pub struct Fields<'n> {
    place: Place,
    entries: &'n [(Key, Node)],
    known: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// The keys of `node`, if it is a mapping.
    pub fn of(node: &'n Node, what: &str, cx: &mut Cx) -> Option<Self> {
        match &node.kind {
            Kind::Map(entries) => Some(Self {
                place: node.place.clone(),
                entries,
                known: Vec::new(),
            }),
            _ => cx.expected(node, what),
        }
    }

    /// Reads one key, or takes what its absence stands for.
    pub fn take<T: Decode>(
        &mut self,
        name: &'static str,
        default: Option<T>,
        cx: &mut Cx,
    ) -> Option<T> {
        let name = name.trim_start_matches("r#");
        self.known.push(name);
        match self.entries.iter().find(|(k, _)| k.text == name) {
            Some((_, node)) => T::decode(node, cx),
            None => match default.or_else(T::absent) {
                Some(value) => Some(value),
                None => cx.wrong(T::missing(name, &self.place)),
            },
        }
    }

    /// Notes every key that nobody asked for.
    pub fn finish(self, cx: &mut Cx) {
        for (key, _) in self
            .entries
            .iter()
            .filter(|(k, _)| !self.known.contains(&k.text.as_str()))
        {
            let d = Diagnostic::error("TL0103", &key.place, format!("unknown key `{}`", key.text));
            cx.out
                .push(match nearest(&key.text, self.known.iter().copied()) {
                    Some(near) => d.help(format!("did you mean `{near}`?")),
                    None => d.help(format!("known keys: {}", self.known.join(", "))),
                });
        }
    }
}

/// Declares a record: a struct with its documentation, its parser and its schema.
///
/// A field without a default is required unless its type stands for absence (`Option`).
/// `check(fn)` names a function `fn(&Self, &Node, &mut Cx)` that notes what fields alone do not show.
#[macro_export]
macro_rules! record {
    (
        $(#[doc = $about:literal])* $(#[derive($($derive:path),*)])?
        pub struct $name:ident {
            $( $(#[doc = $doc:literal])* $field:ident : $type:ty $(= $default:expr)? ),* $(,)?
        }
        $(check($check:path))?
    ) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, PartialEq $($(, $derive)*)?)]
        pub struct $name { $( $(#[doc = $doc])* pub $field: $type, )* }

        impl $crate::yaml::decode::Decode for $name {
            fn decode(node: &$crate::yaml::tree::Node, cx: &mut $crate::yaml::decode::Cx) -> Option<Self> {
                let mut fields = $crate::yaml::decode::Fields::of(node, "a mapping", cx)?;
                // Every field is read before the first that failed ends the record, so that all mistakes show.
                $( let $field: Option<$type> = fields.take(stringify!($field), $crate::record!(@default $($default)?), cx); )*
                fields.finish(cx);
                let value = Self { $( $field: $field?, )* };
                $( $check(&value, node, cx); )?
                Some(value)
            }

            fn schema(defs: &mut serde_json::Map<String, serde_json::Value>) -> serde_json::Value {
                let name = stringify!($name);
                if !defs.contains_key(name) {
                    defs.insert(name.to_owned(), serde_json::Value::Null);
                    let mut properties = serde_json::Map::new();
                    #[allow(unused_mut, clippy::allow_attributes)]
                    let mut required: Vec<&str> = Vec::new();
                    $(
                        let schema = <$type as $crate::yaml::decode::Decode>::schema(defs);
                        let optional = $crate::record!(@optional $type $(, $default)?);
                        let field = stringify!($field).trim_start_matches("r#");
                        properties.insert(field.to_owned(), $crate::yaml::decode::described(schema, concat!("" $(, $doc, "\n")*)));
                        if !optional { required.push(field); }
                    )*
                    let mut object = serde_json::json!({
                        "type": "object", "properties": properties, "additionalProperties": false,
                    });
                    if let (Some(object), false) = (object.as_object_mut(), required.is_empty()) {
                        object.insert("required".to_owned(), serde_json::json!(required));
                    }
                    let object = $crate::yaml::decode::described(object, concat!("" $(, $about, "\n")*));
                    defs.insert(name.to_owned(), object);
                }
                serde_json::json!({ "$ref": format!("#/$defs/{name}") })
            }
        }
    };
    (@default) => { None };
    (@default $default:expr) => { Some($default) };
    (@optional $type:ty) => { <$type as $crate::yaml::decode::Decode>::absent().is_some() };
    (@optional $type:ty, $default:expr) => { true };
}

/// Declares a closed set of words: an enum with its parser, its schema and its text form, in files,
/// in JSON and in the database alike.
#[macro_export]
macro_rules! choice {
    (
        $(#[doc = $about:literal])*
        pub enum $name:ident { $( $(#[doc = $doc:literal])* $variant:ident = $word:literal ),* $(,)? }
    ) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $( $(#[doc = $doc])* $variant, )* }

        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word that stands for the value in files.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                Self::ALL.iter().copied().find(|v| v.as_str() == text).ok_or_else(|| format!("`{text}` is none of: {}", [$($word),*].join(", ")))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> { to.serialize_str(self.as_str()) }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                <String as serde::Deserialize>::deserialize(from)?.parse().map_err(serde::de::Error::custom)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.pad(self.as_str()) }
        }

        impl $crate::yaml::decode::Decode for $name {
            fn decode(node: &$crate::yaml::tree::Node, cx: &mut $crate::yaml::decode::Cx) -> Option<Self> {
                $crate::yaml::decode::word(node, cx, Self::ALL, Self::as_str)
            }

            fn schema(_: &mut serde_json::Map<String, serde_json::Value>) -> serde_json::Value {
                serde_json::json!({ "enum": [$($word),*] })
            }
        }
    };
}

/// Reads one of a closed set of words.
pub fn word<T: Copy>(
    node: &Node,
    cx: &mut Cx,
    all: &[T],
    text: impl Fn(T) -> &'static str,
) -> Option<T> {
    let wanted = || {
        all.iter()
            .map(|v| format!("`{}`", text(*v)))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let Kind::Scalar(s) = &node.kind else {
        return cx.expected(node, &format!("one of {}", wanted()));
    };
    if let Some(found) = all.iter().find(|v| text(**v) == s.text) {
        return Some(*found);
    }
    let d = Diagnostic::error(
        "TL0104",
        &node.place,
        format!("`{}` is not one of {}", shorten(&s.text), wanted()),
    );
    cx.wrong(match nearest(&s.text, all.iter().map(|v| text(*v))) {
        Some(near) => d.help(format!("did you mean `{near}`?")),
        None => d,
    })
}

/// A schema with its documentation.
pub fn described(mut schema: Value, doc: &str) -> Value {
    let doc = doc.lines().map(str::trim).collect::<Vec<_>>().join("\n");
    if let (Some(object), false) = (schema.as_object_mut(), doc.trim().is_empty()) {
        object.insert("description".to_owned(), json!(doc.trim()));
    }
    schema
}

/// The whole schema of a file kind, for `tripline schema`.
pub fn schema_of<T: Decode>(title: &str) -> Value {
    let mut defs = serde_json::Map::new();
    let root = T::schema(&mut defs);
    let mut out =
        json!({ "$schema": "https://json-schema.org/draft/2020-12/schema", "title": title });
    if let (Some(out), Some(root)) = (out.as_object_mut(), root.as_object()) {
        out.extend(root.clone());
        out.insert("$defs".to_owned(), Value::Object(defs));
    }
    out
}

/// Reads a whole file of one kind.
///
/// # Errors
/// Every mistake of the file. Warnings alone do not fail; they are given with the value.
pub fn read<T: Decode>(
    file: &std::path::Path,
    text: &str,
) -> Result<(T, Vec<Diagnostic>), Vec<Diagnostic>> {
    let node = super::tree::parse(file, text)?;
    let mut cx = Cx::default();
    match T::decode(&node, &mut cx) {
        Some(value)
            if cx
                .out
                .iter()
                .all(|d| d.level != super::diagnostic::Level::Error) =>
        {
            Ok((value, cx.out))
        }
        _ => Err(cx.out),
    }
}

/// The scalar of a node, unless it is null, a list or a mapping.
pub fn scalar<'n>(node: &'n Node, wanted: &str, cx: &mut Cx) -> Option<&'n Scalar> {
    match &node.kind {
        Kind::Scalar(s) if !s.is_null() => Some(s),
        _ => cx.expected(node, wanted),
    }
}

/// Reads a scalar through `FromStr`, with the error's own words in the diagnostic.
pub fn from_text<T>(node: &Node, wanted: &str, cx: &mut Cx) -> Option<T>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    let s = scalar(node, wanted, cx)?;
    match s.text.parse() {
        Ok(value) => Some(value),
        Err(error) => cx.wrong(
            Diagnostic::error(
                "TL0102",
                &node.place,
                format!("expected {wanted}, found `{}`", shorten(&s.text)),
            )
            .help(error.to_string()),
        ),
    }
}

#[cfg(test)]
#[expect(unreachable_pub, reason = "the macros declare public types")]
mod tests {
    use std::path::Path;

    use super::*;

    choice! {
        /// How bad.
        pub enum Level { /** Not much. */ Low = "low", /** Very. */ High = "high" }
    }

    record! {
        /// A thing.
        pub struct Thing {
            /// Its name.
            id: String,
            /// How bad.
            level: Level = Level::Low,
            /// How often.
            every: Option<u32>,
            /// The word is taken in Rust.
            r#else: Option<Located<String>>,
            /// More things.
            parts: Vec<Thing> = Vec::new(),
        }
    }

    fn wrong(text: &str) -> String {
        let found = read::<Thing>(Path::new("a.yaml"), text).unwrap_err();
        found
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn a_record_is_read_with_its_defaults() {
        let (thing, _) = read::<Thing>(
            Path::new("a.yaml"),
            "id: no\nelse: x\nparts: [{ id: 7, level: high }]\n",
        )
        .unwrap();
        assert_eq!(thing.id, "no");
        assert_eq!(thing.level, Level::Low);
        assert_eq!(thing.parts[0].id, "7");
        assert_eq!(thing.parts[0].level, Level::High);
        assert_eq!(thing.r#else.unwrap().place.line, 2);
    }

    #[test]
    fn all_mistakes_of_a_file_are_reported_at_once() {
        insta::assert_snapshot!(wrong("level: hihg\nevery: often\nelze: x\nparts: [{ id: [1] }]\n"), @"
        TL0101 a.yaml:1:1: `id` is missing; add `id:`
        TL0104 a.yaml:1:8: `hihg` is not one of `low`, `high`; did you mean `high`?
        TL0102 a.yaml:2:8: expected a whole number, 0 or more, found `often`; invalid digit found in string
        TL0102 a.yaml:4:15: expected text, found a list
        TL0103 a.yaml:3:1: unknown key `elze`; did you mean `else`?
        ");
    }

    #[test]
    fn the_schema_says_what_the_parser_takes() {
        let schema = schema_of::<Thing>("thing");
        assert_eq!(schema["$ref"], "#/$defs/Thing");
        let thing = &schema["$defs"]["Thing"];
        assert_eq!(thing["required"], json!(["id"]));
        assert_eq!(thing["additionalProperties"], json!(false));
        assert_eq!(
            thing["properties"]["else"]["description"],
            "The word is taken in Rust."
        );
        assert_eq!(thing["properties"]["level"]["enum"], json!(["low", "high"]));
    }
}
