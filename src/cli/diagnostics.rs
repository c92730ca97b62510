//! Diagnostics on a screen: with the source line and an underline on a terminal, one line each
//! otherwise, as JSON for programs. Shows a line of a file only to point at it; an environment
//! variable or a flag has no line.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use annotate_snippets::{AnnotationKind, Group, Level as Frame, Origin, Renderer, Snippet};
use serde_json::{Map, Value, json};

use super::out::{Format, Out, column};
use crate::yaml::diagnostic::{Diagnostic, Level, Place};

/// How many mistakes and warnings there are, in words; `None` when there is neither.
pub fn summary(found: &[Diagnostic]) -> Option<String> {
    let count = |level| found.iter().filter(|d| d.level == level).count();
    let say = |n: usize, noun: &str| {
        let plural = if n == 1 { "" } else { "s" };
        (n > 0).then(|| format!("{n} {noun}{plural}"))
    };
    let parts = [
        say(count(Level::Error), "error"),
        say(count(Level::Warning), "warning"),
    ];
    let said: Vec<String> = parts.into_iter().flatten().collect();
    (!said.is_empty()).then(|| said.join(", "))
}

/// Prints all of them, in the order of their places. Paths in them are relative to `root`.
pub fn print(found: &[Diagnostic], root: &Path, out: &mut Out) -> io::Result<()> {
    if out.format() != Format::Table {
        return list(found, root, out);
    }
    let mut texts: BTreeMap<PathBuf, Option<String>> = BTreeMap::new();
    for d in found {
        if !out.is_terminal() {
            out.line(one_line(d, root))?;
            continue;
        }
        let path = shown(root, &d.place.file);
        let text = texts
            .entry(path.clone())
            .or_insert_with_key(|path| fs::read_to_string(path).ok());
        out.drawn(&framed(d, &path, text.as_deref(), out.is_colourful()))?;
        out.line("")?;
    }
    Ok(())
}

fn list(found: &[Diagnostic], root: &Path, out: &mut Out) -> io::Result<()> {
    let columns = [
        column("level", "LEVEL"),
        column("code", "CODE"),
        column("file", "FILE"),
        column("line", "LINE"),
        column("column", "COLUMN"),
        column("what", "WHAT"),
        column("help", "HELP"),
    ];
    out.list(&columns, found.iter().map(|d| fields(d, root)))
}

/// A diagnostic as a program reads it.
pub fn fields(d: &Diagnostic, root: &Path) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("level".to_owned(), json!(word(d.level)));
    map.insert("code".to_owned(), json!(d.code));
    map.insert(
        "file".to_owned(),
        json!(shown(root, &d.place.file).to_string_lossy()),
    );
    map.insert("line".to_owned(), json!(d.place.line));
    map.insert("column".to_owned(), json!(d.place.column));
    map.insert("what".to_owned(), json!(d.what));
    map.insert("help".to_owned(), json!(d.help));
    map
}

const fn word(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
    }
}

/// `error[TL0103] controls/a.yaml:14:5: unknown key `owners`; did you mean `owner`?`
fn one_line(d: &Diagnostic, root: &Path) -> String {
    let mut shifted = d.clone();
    shifted.place.file = shown(root, &d.place.file).into();
    let text = shifted.to_string();
    let rest = text.strip_prefix(d.code).unwrap_or(&text).trim_start();
    format!("{}[{}] {rest}", word(d.level), d.code)
}

/// The path as it can be opened from here, when there is such a file.
fn shown(root: &Path, file: &Path) -> PathBuf {
    let joined = root.join(file);
    if joined.exists() {
        joined
            .strip_prefix(".")
            .map(Path::to_owned)
            .unwrap_or(joined)
    } else {
        file.to_owned()
    }
}

/// With the line of the file, underlined where the mistake is.
pub fn framed(d: &Diagnostic, path: &Path, text: Option<&str>, colour: bool) -> String {
    let level = match d.level {
        Level::Error => Frame::ERROR,
        Level::Warning => Frame::WARNING,
    };
    let title = level.clone().primary_title(d.what.as_str()).id(d.code);
    let nowhere = Place {
        file: path.into(),
        ..d.place.clone()
    }
    .to_string();
    let path = path.to_string_lossy();
    let span = text.and_then(|text| Some((text, span(text, d)?)));
    let mut group = match span {
        Some((text, span)) => Group::with_title(title).element(
            Snippet::source(text)
                .path(path.as_ref())
                .annotation(AnnotationKind::Primary.span(span)),
        ),
        None => Group::with_title(title).element(Origin::path(nowhere.as_str())),
    };
    if let Some(help) = &d.help {
        group = group.element(Frame::HELP.message(help.as_str()));
    }
    let renderer = if colour {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    renderer.render(&[group])
}

/// The bytes that a place covers, if the text has such a place.
fn span(text: &str, d: &Diagnostic) -> Option<std::ops::Range<usize>> {
    let mut start = 0;
    let mut lines = text.split_inclusive('\n');
    for _ in 1..d.place.line {
        start += lines.next()?.len();
    }
    if d.place.line == 0 {
        return None;
    }
    let line = lines
        .next()
        .unwrap_or_default()
        .trim_end_matches(['\n', '\r']);
    let at = |chars: usize| {
        line.char_indices()
            .nth(chars)
            .map_or(line.len(), |(i, _)| i)
    };
    let first = d.place.column.saturating_sub(1);
    let (from, to) = (at(first), at(first + d.place.width));
    Some(start + from..start + to.max(from))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(line: usize, column: usize, width: usize) -> Diagnostic {
        let place = Place {
            file: Path::new("controls/a.yaml").into(),
            line,
            column,
            width,
        };
        Diagnostic::error("TL0103", &place, "unknown key `owners`").help("did you mean `owner`?")
    }

    const TEXT: &str = "id: a\ntitle: é ü\nowners: x\nschedule: \"* * * * *\"\n";

    #[test]
    fn a_terminal_shows_the_line() {
        let show = |d: &Diagnostic, text| framed(d, Path::new("controls/a.yaml"), text, false);
        insta::assert_snapshot!(show(&sample(3, 1, 6), Some(TEXT)), @"
        error[TL0103]: unknown key `owners`
         --> controls/a.yaml:3:1
          |
        3 | owners: x
          | ^^^^^^
          |
          = help: did you mean `owner`?
        ");
        insta::assert_snapshot!(show(&sample(2, 10, 1), Some(TEXT)), @"
        error[TL0103]: unknown key `owners`
         --> controls/a.yaml:2:10
          |
        2 | title: é ü
          |          ^
          |
          = help: did you mean `owner`?
        ");
        insta::assert_snapshot!(show(&sample(0, 0, 1), Some(TEXT)), @"
        error[TL0103]: unknown key `owners`
        --> controls/a.yaml
         = help: did you mean `owner`?
        ");
        insta::assert_snapshot!(show(&sample(99, 1, 1), Some(TEXT)), @"
        error[TL0103]: unknown key `owners`
        --> controls/a.yaml:99:1
         = help: did you mean `owner`?
        ");
        insta::assert_snapshot!(show(&sample(3, 1, 6), None), @"
        error[TL0103]: unknown key `owners`
        --> controls/a.yaml:3:1
         = help: did you mean `owner`?
        ");
        assert!(framed(&sample(3, 1, 6), Path::new("a"), Some(TEXT), true).contains("\u{1b}["));
    }

    #[test]
    fn a_program_reads_one_line_or_json() {
        let d = sample(3, 1, 6);
        insta::assert_snapshot!(one_line(&d, Path::new("/nowhere")), @"error[TL0103] controls/a.yaml:3:1: unknown key `owners`; did you mean `owner`?");
        insta::assert_snapshot!(Value::Object(fields(&d, Path::new("/nowhere"))), @r#"{"level":"error","code":"TL0103","file":"controls/a.yaml","line":3,"column":1,"what":"unknown key `owners`","help":"did you mean `owner`?"}"#);
    }

    #[test]
    fn the_summary_counts_both_kinds() {
        let warning = Diagnostic {
            level: Level::Warning,
            ..sample(1, 1, 1)
        };
        let error = sample(1, 1, 1);
        assert_eq!(summary(&[]), None);
        assert_eq!(summary(std::slice::from_ref(&error)).unwrap(), "1 error");
        assert_eq!(
            summary(&[error.clone(), error, warning]).unwrap(),
            "2 errors, 1 warning"
        );
    }
}
