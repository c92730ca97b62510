//! Values that are one of several shapes, told apart by a word or by the one key of a mapping:
//! `auth: none`, `auth: { basic: … }`. Never by a `kind:` key, because then a mistake inside has no place.

use serde_json::{Value, json};

use super::{
    decode::Cx,
    diagnostic::{Diagnostic, nearest},
    tree::{Kind, Node},
};

/// What a tagged value may look like, for messages.
#[derive(Debug, Clone, Copy)]
pub struct Shapes {
    /// Words that stand alone.
    pub words: &'static [&'static str],
    /// Keys that hold more.
    pub keys: &'static [&'static str],
}

/// The word, or the one key with what it holds.
#[derive(Debug, Clone, Copy)]
pub enum Tag<'n> {
    /// A word that stands alone.
    Word(&'n str),
    /// A key and what it holds.
    Key(&'n str, &'n Node),
}

impl Shapes {
    /// Finds out which of the shapes a node has, or notes that it has none.
    pub fn of<'n>(&self, node: &'n Node, cx: &mut Cx) -> Option<Tag<'n>> {
        let all = || self.words.iter().chain(self.keys).copied();
        let wanted = || {
            all()
                .map(|w| format!("`{w}`"))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let (text, place) = match &node.kind {
            Kind::Scalar(s) if self.words.contains(&s.text.as_str()) => {
                return Some(Tag::Word(&s.text));
            }
            Kind::Scalar(s) if !s.is_null() => (s.text.as_str(), &node.place),
            Kind::Map(entries) => match entries.as_slice() {
                [(key, value)] if self.keys.contains(&key.text.as_str()) => {
                    return Some(Tag::Key(&key.text, value));
                }
                [(key, _)] => (key.text.as_str(), &key.place),
                [_, (second, _), ..] => {
                    return cx.wrong(
                        Diagnostic::error("TL0105", &second.place, "one of these is enough")
                            .help(format!("keep exactly one key: {}", wanted())),
                    );
                }
                [] => return cx.expected(node, &format!("one of {}", wanted())),
            },
            _ => return cx.expected(node, &format!("one of {}", wanted())),
        };
        let d = if self.keys.contains(&text) {
            Diagnostic::error("TL0102", place, format!("`{text}` needs more"))
                .help(format!("write `{text}:` and its keys below"))
        } else {
            let d = Diagnostic::error(
                "TL0104",
                place,
                format!("`{text}` is not one of {}", wanted()),
            );
            match nearest(text, all()) {
                Some(near) => d.help(format!("did you mean `{near}`?")),
                None => d,
            }
        };
        cx.wrong(d)
    }

    /// The JSON Schema of a tagged value, from the schemas of what its keys hold.
    pub fn schema(&self, held: &[(&'static str, Value)]) -> Value {
        let mut any = Vec::new();
        if !self.words.is_empty() {
            any.push(json!({ "enum": self.words }));
        }
        for (key, schema) in held {
            any.push(json!({
                "type": "object", "properties": { *key: schema }, "required": [key], "additionalProperties": false,
            }));
        }
        json!({ "anyOf": any })
    }
}

/// Declares a tagged value: an enum with its parser and its schema. Words come first, then keys.
#[macro_export]
macro_rules! tagged {
    (
        $(#[doc = $about:literal])*
        pub enum $name:ident {
            $( $(#[doc = $wdoc:literal])* $word:ident = $wtext:literal ),* ;
            $( $(#[doc = $kdoc:literal])* $key:ident ( $held:ty ) = $ktext:literal ),* $(,)?
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, PartialEq)]
        pub enum $name {
            $( $(#[doc = $wdoc])* $word, )*
            $( $(#[doc = $kdoc])* $key($held), )*
        }

        impl $name {
            const SHAPES: $crate::yaml::tagged::Shapes = $crate::yaml::tagged::Shapes { words: &[$($wtext),*], keys: &[$($ktext),*] };
        }

        impl $crate::yaml::decode::Decode for $name {
            fn decode(node: &$crate::yaml::tree::Node, cx: &mut $crate::yaml::decode::Cx) -> Option<Self> {
                match Self::SHAPES.of(node, cx)? {
                    $( $crate::yaml::tagged::Tag::Word($wtext) => Some(Self::$word), )*
                    $( $crate::yaml::tagged::Tag::Key($ktext, held) => <$held as $crate::yaml::decode::Decode>::decode(held, cx).map(Self::$key), )*
                    _ => None,
                }
            }

            fn schema(defs: &mut serde_json::Map<String, serde_json::Value>) -> serde_json::Value {
                let held = [$( ($ktext, $crate::yaml::decode::described(<$held as $crate::yaml::decode::Decode>::schema(defs), concat!("" $(, $kdoc, "\n")*))) ),*];
                Self::SHAPES.schema(&held)
            }
        }
    };
}

#[cfg(test)]
#[expect(unreachable_pub, reason = "the macro declares a public type")]
mod tests {
    use std::path::Path;

    use crate::yaml::decode::read;

    tagged! {
        /// A shape.
        pub enum Shape {
            /// Nothing.
            None = "none";
            /// Round.
            Circle(u32) = "circle",
            /// Many corners.
            Corners(Vec<u32>) = "corners",
        }
    }

    fn wrong(text: &str) -> String {
        read::<Shape>(Path::new("a.yaml"), text)
            .unwrap_err()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_tagged_value_is_a_word_or_one_key() {
        let shape = |text| read::<Shape>(Path::new("a.yaml"), text).unwrap().0;
        assert_eq!(shape("none"), Shape::None);
        assert_eq!(shape("circle: 3"), Shape::Circle(3));
        assert_eq!(shape("corners: [1, 2]"), Shape::Corners(vec![1, 2]));
    }

    #[test]
    fn what_it_is_not_has_a_place() {
        insta::assert_snapshot!(wrong("circel: 3"), @"TL0104 a.yaml:1:1: `circel` is not one of `none`, `circle`, `corners`; did you mean `circle`?");
        insta::assert_snapshot!(wrong("circle"), @"TL0102 a.yaml:1:1: `circle` needs more; write `circle:` and its keys below");
        insta::assert_snapshot!(wrong("circle: 1\ncorners: []"), @"TL0105 a.yaml:2:1: one of these is enough; keep exactly one key: `none`, `circle`, `corners`");
    }
}
