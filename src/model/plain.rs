//! Text that reads as what it says: no character that moves a cursor, clears a screen, or turns the direction of
//! writing, in what people hand in and in what is printed of it.

use serde_json::Value;

/// Characters that change or hide how a text reads: controls but for the end of a line and a tab, and those that turn the
/// direction of writing or are not seen (Unicode TR36, "bidirectional text spoofing").
pub fn hides(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t'))
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// The first character of a text that hides what it says.
pub fn hidden(text: &str) -> Option<char> {
    text.chars().find(|c| hides(*c))
}

/// What is wrong with a text that holds such a character, in a sentence.
pub fn say(what: &str, hidden: char) -> String {
    format!(
        "`{what}` holds the character U+{:04X}, which hides what it says",
        u32::from(hidden)
    )
}

/// The same text with those characters written out, as `\u{1b}`.
pub fn shown(text: &str) -> String {
    if hidden(text).is_none() {
        return text.to_owned();
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if hides(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Every string of a document, names among them, that holds such a character, by its place (`conditions[0].text`).
pub fn hidden_in(document: &Value) -> Vec<(String, char)> {
    let mut found = Vec::new();
    look(document, String::new(), &mut found);
    found
}

fn look(value: &Value, place: String, found: &mut Vec<(String, char)>) {
    match value {
        Value::String(text) => found.extend(hidden(text).map(|c| (place, c))),
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                look(item, format!("{place}[{n}]"), found);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                let dot = if place.is_empty() { "" } else { "." };
                let inner = format!("{place}{dot}{}", shown(name));
                found.extend(hidden(name).map(|c| (inner.clone(), c)));
                look(field, inner, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_hides_or_turns_a_text_is_seen() {
        for text in [
            "a\u{202e}b",
            "a\u{200b}b",
            "a\u{0}b",
            "a\u{2066}b",
            "a\u{feff}b",
            "a\u{1b}[2Jb",
            "a\rb",
            "a\u{9b}b",
        ] {
            assert!(hidden(text).is_some(), "{text:?}");
            assert!(hidden(&shown(text)).is_none(), "{text:?}");
        }
        let plain = "Größe, 日本語, a\ttab and\na line";
        assert_eq!(hidden(plain), None);
        assert_eq!(shown(plain), plain);
        assert_eq!(shown("\u{1b}[2J \u{202e}"), "\\u{1b}[2J \\u{202e}");
    }

    #[test]
    fn every_string_of_a_document_is_looked_at() {
        let found = hidden_in(&json!({
            "title": "plain", "ticket": "T-1\u{7}", "conditions": [{ "text": "x \u{1b}[2J" }], "params": { "a\u{202e}": 1 },
        }));
        let mut places: Vec<&str> = found.iter().map(|(place, _)| place.as_str()).collect();
        // The order of keys is that of the document, or that of their names.
        places.sort_unstable();
        assert_eq!(
            places,
            ["conditions[0].text", "params.a\\u{202e}", "ticket"]
        );
    }
}
