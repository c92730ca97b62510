//! Whether a text says something: how many words it has, whether it could be said of anything.

use std::collections::BTreeSet;

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

/// How many words a text has. A text that goes on saying the same has as many as it has different ones.
pub(super) fn words(text: &str) -> usize {
    let small = text.to_lowercase();
    let all: Vec<&str> = small
        .split(|c: char| !c.is_alphanumeric())
        .filter(|w| !w.is_empty())
        .collect();
    let different = all.iter().collect::<BTreeSet<_>>().len();
    if different * 2 < all.len() {
        different
    } else {
        all.len()
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_is_between_signs() {
        assert_eq!(words("Card decisions stop: six hours, 40,000 wait."), 8);
        assert_eq!(words(" -- "), 0);
        assert_eq!(words("a a a a a a a a a a a a"), 1);
    }
}
