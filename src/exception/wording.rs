//! Whether a text says something: how many words it has, whether it could be said of anything, whether it hides
//! what it says.

use crate::model::rules::ExceptionRules;

/// The phrases that say nothing, wherever they stand.
const GENERIC: &[&str] = &[
    "business urgency",
    "business need",
    "business reasons",
    "management request",
    "management decision",
    "time pressure",
    "as discussed",
    "urgent",
    "needed asap",
    "to be defined",
    "n/a",
];

/// Words that a text has beyond its generic phrases before it says something.
const BEYOND: usize = 6;

/// How many words a text has.
pub(super) fn words(text: &str) -> usize {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|w| !w.is_empty())
        .count()
}

/// The generic phrase that a text is made of, when it says little besides.
pub(super) fn generic(text: &str, rules: &ExceptionRules) -> Option<String> {
    let small = text.to_lowercase();
    let own = rules
        .completeness
        .generic_phrases
        .iter()
        .map(String::as_str);
    let found: Vec<&str> = GENERIC
        .iter()
        .copied()
        .chain(own)
        .filter(|phrase| small.contains(phrase))
        .collect();
    let first = (*found.first()?).to_owned();
    let rest = found
        .iter()
        .fold(small, |rest, phrase| rest.replace(phrase, " "));
    (words(&rest) < BEYOND).then_some(first)
}

/// Characters that change or hide how a text reads: controls, and those that turn the direction of writing
/// (Unicode TR36, "bidirectional text spoofing").
pub(super) fn hides(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t' | '\r'))
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_is_between_signs() {
        assert_eq!(words("Card decisions stop: six hours, 40,000 wait."), 8);
        assert_eq!(words(" -- "), 0);
    }

    #[test]
    fn what_hides_or_turns_a_text_is_seen() {
        for hidden in [
            "a\u{202e}b",
            "a\u{200b}b",
            "a\u{0}b",
            "a\u{2066}b",
            "a\u{feff}b",
        ] {
            assert!(hidden.chars().any(hides), "{hidden:?}");
        }
        assert!(!"Größe, 日本語, a\ttab and\na line".chars().any(hides));
    }
}
