//! `docs/requirements.md` against the tests: each of the 224 numbers once and in order, each test that is named there
//! exists and carries the number of its row. A row that no test shows says `open`.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const ROWS: usize = 224;

struct Row {
    number: String,
    tests: Vec<String>,
}

#[test]
fn every_requirement_stands_once_and_names_its_tests() {
    let rows = rows();
    let expected: Vec<String> = (1..=ROWS).map(|n| format!("R{n:03}")).collect();
    let numbers: Vec<&String> = rows.iter().map(|r| &r.number).collect();
    assert_eq!(numbers, expected.iter().collect::<Vec<_>>());
    let sources = sources();
    let mut wrong = Vec::new();
    for row in &rows {
        let once: BTreeSet<&String> = row.tests.iter().collect();
        if once.len() != row.tests.len() {
            wrong.push(format!("{}: names a test twice", row.number));
        }
        for test in &row.tests {
            match find(&sources, test) {
                None => wrong.push(format!("{}: there is no test `{test}`", row.number)),
                Some(text) if !text.contains(&row.number) => wrong.push(format!(
                    "{}: `{test}` does not carry the number",
                    row.number
                )),
                Some(_) => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The promises of the README name tests that there are.
#[test]
fn every_promise_names_its_tests() {
    let page = fs::read_to_string("README.md").unwrap();
    let (_, rest) = page.split_once("## What it promises").unwrap();
    let (promises, _) = rest.split_once("\n## ").unwrap();
    let rows: Vec<&str> = promises
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| promise"))
        .collect();
    assert_eq!(rows.len(), 7);
    let sources = sources();
    for row in rows {
        let held = row.trim_matches('|').rsplit(" | ").next().unwrap();
        let tests: Vec<&str> = held.split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty() || held.contains("not yet"), "{row}");
        for test in tests {
            assert!(find(&sources, test).is_some(), "there is no test `{test}`");
        }
    }
}

/// The rows of the page: number and the tests in backticks in the last column.
fn rows() -> Vec<Row> {
    let page = fs::read_to_string("docs/requirements.md").unwrap();
    let lines = page.lines().filter(|line| line.starts_with("| R"));
    lines
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            let [number, level, _, shown] = cells[..] else {
                panic!("four columns: {line}");
            };
            assert!(matches!(level, "M" | "S"), "{line}");
            let tests: Vec<String> = shown
                .split('`')
                .skip(1)
                .step_by(2)
                .map(str::to_owned)
                .collect();
            assert!(
                tests.is_empty() == (shown == "open"),
                "say `open` or name a test: {line}"
            );
            Row {
                number: number.to_owned(),
                tests,
            }
        })
        .collect()
}

/// Every file that may hold a test, with its text.
fn sources() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    for folder in ["src", "tests"] {
        gather(Path::new(folder), &mut files);
    }
    files
}

fn gather(folder: &Path, files: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            files.push((path, text));
        }
    }
}

/// A test `room::name` with the comment above it: the room is a part of the file's path.
fn find<'a>(sources: &'a [(PathBuf, String)], test: &str) -> Option<&'a str> {
    let (room, name) = test.rsplit_once("::")?;
    sources.iter().find_map(|(path, text)| {
        let path = path
            .with_extension("")
            .to_string_lossy()
            .replace(['/', '\\'], "::");
        if !format!("::{path}::").contains(&format!("::{room}::")) {
            return None;
        }
        let at = text.find(&format!("fn {name}("))?;
        let begin = text[..at].rfind("\n\n").unwrap_or(0);
        let indent = text[..at]
            .rsplit('\n')
            .next()?
            .chars()
            .take_while(|c| *c == ' ')
            .count();
        let end = format!("\n{}}}\n", " ".repeat(indent));
        let end = text[at..].find(&end).map_or(text.len(), |e| at + e);
        Some(&text[begin..end])
    })
}
