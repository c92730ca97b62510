//! The message of a control: a template that is known to render.

use crate::{
    catalog::template,
    yaml::{
        decode::{Cx, Decode, Located},
        diagnostic::{Diagnostic, Place},
        tree::Node,
    },
};

/// A template over the row.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// The template.
    pub text: Located<String>,
    /// The names that it reads, sorted.
    pub names: Vec<String>,
}

impl Message {
    /// Where the template first says a name.
    pub fn place_of(&self, name: &str) -> Place {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        for (number, line) in self.text.lines().enumerate() {
            for (at, _) in line.match_indices(name) {
                let (before, after) = (line.get(..at), line.get(at + name.len()..));
                let alone = !before.unwrap_or_default().ends_with(word)
                    && !after.unwrap_or_default().starts_with(word);
                let inside = before
                    .unwrap_or_default()
                    .rfind("{{")
                    .max(before.unwrap_or_default().rfind("{%"));
                if alone && inside.is_some() {
                    let column = before.unwrap_or_default().chars().count() + 1;
                    let place = self.text.inside(number + 1, column);
                    return Place {
                        width: name.chars().count(),
                        ..place
                    };
                }
            }
        }
        self.text.place.clone()
    }
}

impl Decode for Message {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        let text = Located::<String>::decode(node, cx)?;
        match template::check(&text) {
            Ok(names) => Some(Self { text, names }),
            Err(mistake) => cx.wrong(Diagnostic::error(
                "TL0211",
                &text.inside(mistake.line, mistake.column),
                format!("the message would not render: {}", mistake.what),
            )),
        }
    }

    fn schema(defs: &mut serde_json::Map<String, serde_json::Value>) -> serde_json::Value {
        String::schema(defs)
    }
}
