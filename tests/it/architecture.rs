//! The order of modules in `src/lib.rs` is the architecture: a module may use only those above it,
//! the pure ones touch nothing outside, each outside crate has one door, and no file grows past its room.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Modules that decide and never do.
const PURE: &[&str] = &["model", "finding", "exception", "signal", "chart"];

/// What a pure module must not mention.
const WORLD: &[&str] = &[
    "sqlx::",
    "reqwest::",
    "lettre::",
    "tokio::",
    "std::fs",
    "std::env",
    "Utc::now",
    "SystemTime",
];

/// Outside crates and the only places that may name them.
const DOORS: &[(&str, &[&str])] = &[
    ("sqlx::", &["src/store/", "src/connector/sql"]),
    (
        "reqwest::",
        &["src/connector/", "src/notify/", "src/daemon", "src/cli/"],
    ),
    ("lettre::", &["src/notify/email"]),
    ("tokio_cron_scheduler::", &["src/schedule"]),
    ("datafusion::", &["src/evaluate/", "src/evidence/"]),
    ("object_store::", &["src/evidence/", "src/evaluate/"]),
    ("granit_parser::", &["src/yaml/"]),
    (
        "minijinja::",
        &["src/notify/", "src/catalog/", "src/report/trend/"],
    ),
    ("tlog_tiles::", &["src/audit/"]),
    ("signed_note::", &["src/audit/"]),
    ("clap::", &["src/cli/"]),
    ("Utc::now", &["src/clock.rs"]),
];

/// Lines that a file may have, its unit tests left out.
const MAX_LINES: usize = 500;

#[test]
fn modules_use_only_those_above_them() {
    let order = modules();
    assert!(order.len() > 10, "src/lib.rs lists the modules");
    for (rank, module) in order.iter().enumerate() {
        for (file, text) in sources(module) {
            for used in mentions(&text) {
                let below = order
                    .iter()
                    .position(|m| *m == used)
                    .is_some_and(|r| r > rank);
                assert!(
                    !below,
                    "{}: `{module}` uses `crate::{used}`, which stands below it in src/lib.rs",
                    file.display()
                );
            }
        }
    }
}

#[test]
fn what_decides_touches_nothing_outside() {
    for module in PURE {
        for (file, text) in sources(module) {
            for word in WORLD {
                assert!(
                    !text.contains(word),
                    "{}: `{module}` is pure and must not mention {word}",
                    file.display()
                );
            }
        }
    }
}

#[test]
fn connectors_and_notices_never_see_the_store() {
    for module in ["connector", "notify"] {
        for (file, text) in sources(module) {
            assert!(
                !mentions(&text).iter().any(|m| m == "store"),
                "{}: `{module}` must not use the store",
                file.display()
            );
        }
    }
}

#[test]
fn each_outside_crate_has_one_door() {
    for module in modules() {
        for (file, text) in sources(&module) {
            let path = file.to_string_lossy().replace('\\', "/");
            for (name, doors) in DOORS {
                let stranger = text.contains(name) && !doors.iter().any(|d| path.starts_with(d));
                assert!(!stranger, "{path}: only {doors:?} may name `{name}`");
            }
        }
    }
}

#[test]
fn no_file_outgrows_its_room() {
    for module in modules() {
        for (file, _) in sources(&module) {
            // Tests beside the code are read by themselves, one story after another.
            if file.to_string_lossy().contains("tests") {
                continue;
            }
            let text = fs::read_to_string(&file).unwrap();
            let lines = text
                .lines()
                .take_while(|l| !l.starts_with("#[cfg(test)]"))
                .count();
            assert!(
                lines <= MAX_LINES,
                "{}: {lines} lines; find the second room in it",
                file.display()
            );
        }
    }
}

#[test]
fn every_module_says_what_it_is() {
    for module in modules() {
        for (file, _) in sources(&module) {
            let text = fs::read_to_string(&file).unwrap();
            assert!(
                text.starts_with("//! "),
                "{}: begin with `//!`: what it is, its invariant, what it never does",
                file.display()
            );
        }
    }
}

#[test]
fn every_crash_point_is_in_the_list_and_in_the_code() {
    let mut found: Vec<String> = Vec::new();
    for module in modules() {
        for (_, text) in sources(&module) {
            let calls = text.match_indices("crash::point(\"");
            found.extend(calls.filter_map(|(at, call)| {
                text[at + call.len()..].split('"').next().map(str::to_owned)
            }));
        }
    }
    found.sort();
    found.dedup();
    let mut listed: Vec<&str> = tripline::crash::POINTS.to_vec();
    listed.sort_unstable();
    assert_eq!(found, listed);
}

fn modules() -> Vec<String> {
    let text = fs::read_to_string("src/lib.rs").unwrap();
    text.lines()
        .filter_map(|l| {
            l.strip_prefix("pub mod ")?
                .strip_suffix(';')
                .map(str::to_owned)
        })
        .collect()
}

/// The files of a module with their code: comments and unit tests left out.
fn sources(module: &str) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    gather(Path::new(&format!("src/{module}")), &mut files);
    gather(Path::new(&format!("src/{module}.rs")), &mut files);
    files.sort();
    files
        .into_iter()
        .map(|f| (f.clone(), code(&fs::read_to_string(f).unwrap())))
        .collect()
}

fn gather(path: &Path, files: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            gather(&entry.unwrap().path(), files);
        }
    } else if path.extension().is_some_and(|e| e == "rs") && path.exists() {
        files.push(path.to_owned());
    }
}

fn code(text: &str) -> String {
    let lines = text.lines().take_while(|l| !l.starts_with("#[cfg(test)]"));
    let code: Vec<&str> = lines
        .filter(|l| !l.trim_start().starts_with("//"))
        .collect();
    code.join("\n")
}

/// The first segment after each `crate::`, inside `crate::{a, b::c}` too.
fn mentions(text: &str) -> Vec<String> {
    let word = |s: &str| -> String {
        s.trim_start()
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect()
    };
    let mut found = Vec::new();
    for (at, prefix) in text.match_indices("crate::") {
        let rest = &text[at + prefix.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            found.push(word(rest));
            continue;
        };
        let mut depth = 0;
        let mut fresh = true;
        for (i, c) in group.char_indices() {
            if fresh && !c.is_whitespace() {
                found.push(word(&group[i..]));
                fresh = false;
            }
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => fresh = true,
                _ => {}
            }
        }
    }
    found
}
