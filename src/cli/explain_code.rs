//! `tripline explain TLnnnn`: what a code means, why it is a mistake, and how to mend it. Works
//! offline: the page of the manual that lists all codes is part of the program.

use std::io;

use super::out::{Ink, Out};
use crate::yaml::diagnostic::nearest;

/// The page: a heading `## TLnnnn · what` for each code, and its paragraphs.
const PAGE: &str = include_str!("../../docs/reference/diagnostics.md");

/// Whether a text is meant as a code and not as a finding.
pub fn is_code(text: &str) -> bool {
    let digits = text.strip_prefix("TL").or_else(|| text.strip_prefix("tl"));
    digits.is_some_and(|d| !d.is_empty() && d.chars().all(|c| c.is_ascii_digit()))
}

/// Every code with its heading and its paragraphs, in the order of the page.
pub fn all() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    PAGE.split("\n## ").skip(1).filter_map(|section| {
        let (heading, text) = section.split_once('\n')?;
        let (code, title) = heading.split_once(" · ")?;
        let end = text.find("\n# ").unwrap_or(text.len());
        Some((code, title, text.get(..end)?.trim()))
    })
}

/// Prints what a code means; gives whether there is such a code.
pub fn run(code: &str, out: &mut Out) -> io::Result<bool> {
    let code = code.to_uppercase();
    if let Some((code, title, text)) = all().find(|(known, _, _)| *known == code) {
        let heading = out.ink(Ink::Bold, &format!("{code}: {title}"));
        out.line(heading)?;
        out.line("")?;
        out.line(text)?;
        return Ok(true);
    }
    let near = nearest(&code, all().map(|(known, _, _)| known));
    let hint = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
    Out::stderr().line(format!("there is no code {code}{hint}"))?;
    Ok(false)
}

#[cfg(test)]
mod tests {
    use std::{
        collections::{BTreeMap, BTreeSet},
        fs,
        path::Path,
    };

    use super::*;

    /// The codes that the code says, each with a file that says it.
    fn used() -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        walk(Path::new("src"), &mut found);
        found
    }

    fn walk(folder: &Path, found: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]").next().unwrap();
                for (at, _) in code.match_indices("\"TL") {
                    let word: String = code[at + 1..].chars().take_while(|c| *c != '"').collect();
                    if word.len() == 6 && is_code(&word) {
                        found.insert(word, path.display().to_string());
                    }
                }
            }
        }
    }

    #[test]
    fn every_code_is_explained_and_every_explanation_is_of_a_code() {
        let used = used();
        assert!(used.len() > 40);
        let explained: BTreeSet<&str> = all().map(|(code, _, _)| code).collect();
        let missing: Vec<_> = used
            .iter()
            .filter(|(code, _)| !explained.contains(code.as_str()))
            .collect();
        assert!(
            missing.is_empty(),
            "explain these in docs/reference/diagnostics.md: {missing:?}"
        );
        let idle: Vec<_> = explained
            .iter()
            .filter(|code| !used.contains_key(**code))
            .collect();
        assert!(idle.is_empty(), "nothing says these: {idle:?}");
        let sorted: Vec<&str> = all().map(|(code, _, _)| code).collect();
        assert!(sorted.is_sorted(), "the page is in the order of codes");
        for (code, title, text) in all() {
            assert!(
                !title.is_empty() && text.len() > 30,
                "{code} says too little"
            );
        }
    }

    #[test]
    fn a_code_is_told_from_a_finding() {
        assert!(is_code("TL0103") && is_code("tl0103"));
        assert!(!is_code("fnd-00112233") && !is_code("TL") && !is_code("TLX"));
    }
}
