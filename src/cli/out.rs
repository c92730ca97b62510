//! What a command prints: lists as a table for people or as JSON, NDJSON and CSV for programs, on
//! standard output; what went wrong on standard error. Colour and frames are for terminals only. The
//! one place that writes to either stream.

use std::{
    borrow::Cow,
    io::{self, IsTerminal as _, Write},
};

use clap::ValueEnum;
use serde_json::{Map, Value};

use crate::model::plain;

/// How a list is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// Aligned columns for people.
    #[default]
    Table,
    /// One JSON array.
    Json,
    /// One JSON object per line.
    Ndjson,
    /// Comma-separated values with a header.
    Csv,
    /// A page; for reports.
    Html,
    /// Markdown; for reports.
    Md,
}

/// A colour with a meaning. Never the only carrier of it: the word is always there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// Something failed.
    Bad,
    /// Something wants a look.
    Warn,
    /// Something is as it should be.
    Good,
    /// Something beside the point.
    Dim,
    /// A heading.
    Bold,
}

/// How our own ink goes on behind its escape, and how it ends.
const INKS: &[&str] = &["[1;31m", "[33m", "[32m", "[2m", "[1m", "[0m"];

/// A column of a list: its key in JSON and CSV, its heading in a table.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// The key.
    pub key: &'static str,
    /// The heading.
    pub title: &'static str,
}

/// Names a column.
pub const fn column(key: &'static str, title: &'static str) -> Column {
    Column { key, title }
}

/// A stream that a command writes to, and what may be sent there.
pub struct Out {
    to: Box<dyn Write + Send>,
    format: Format,
    colour: bool,
    terminal: bool,
}

impl std::fmt::Debug for Out {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Out")
            .field("format", &self.format)
            .field("colour", &self.colour)
            .finish_non_exhaustive()
    }
}

impl Out {
    /// Standard output in a format.
    pub fn stdout(format: Format) -> Self {
        let terminal = io::stdout().is_terminal();
        Self {
            to: Box::new(io::stdout()),
            format,
            colour: terminal && colour_is_welcome(),
            terminal,
        }
    }

    /// Standard error, for diagnostics and progress.
    pub fn stderr() -> Self {
        let terminal = io::stderr().is_terminal();
        Self {
            to: Box::new(io::stderr()),
            format: Format::Table,
            colour: terminal && colour_is_welcome(),
            terminal,
        }
    }

    /// Any writer, without colour.
    pub fn plain(to: Box<dyn Write + Send>, format: Format) -> Self {
        Self {
            to,
            format,
            colour: false,
            terminal: false,
        }
    }

    /// How lists are printed here.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Whether a person is watching.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Whether colour is welcome.
    pub fn is_colourful(&self) -> bool {
        self.colour
    }

    /// A text in a colour, where colour is welcome.
    pub fn ink(&self, ink: Ink, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let code = match ink {
            Ink::Bad => "1;31",
            Ink::Warn => "33",
            Ink::Good => "32",
            Ink::Dim => "2",
            Ink::Bold => "1",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }

    /// One line.
    pub fn line(&mut self, text: impl AsRef<str>) -> io::Result<()> {
        let text = self.readable(text.as_ref());
        writeln!(self.to, "{text}")
    }

    /// A frame around the lines of a file, with colours of its own; whoever draws it replaces what would hide something.
    pub fn drawn(&mut self, frame: &str) -> io::Result<()> {
        writeln!(self.to, "{frame}")
    }

    /// A text that ends its own lines.
    pub fn text(&mut self, text: &str) -> io::Result<()> {
        let text = self.readable(text);
        self.to.write_all(text.as_bytes())
    }

    /// A text as it may be printed: with our own ink, and with whatever else moves a cursor, clears a screen or turns the
    /// direction of writing written out.
    fn readable<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if plain::hidden(text).is_none() {
            return Cow::Borrowed(text);
        }
        let mut shown = String::with_capacity(text.len() + 8);
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('\u{1b}') {
            shown.push_str(&plain::shown(before));
            let own = INKS
                .iter()
                .find(|ink| self.colour && after.starts_with(**ink));
            shown.push_str(if own.is_some() { "\u{1b}" } else { "\\u{1b}" });
            rest = after;
        }
        shown.push_str(&plain::shown(rest));
        Cow::Owned(shown)
    }

    /// One JSON value, indented.
    pub fn json(&mut self, value: &Value) -> io::Result<()> {
        writeln!(self.to, "{value:#}")
    }

    /// A list in this stream's format. In a table and in CSV the columns say what is shown; JSON has
    /// the rows as they are.
    pub fn list(
        &mut self,
        columns: &[Column],
        rows: impl IntoIterator<Item = Map<String, Value>>,
    ) -> io::Result<()> {
        match self.format {
            Format::Json => {
                let rows = rows.into_iter().map(Value::Object).collect();
                self.json(&Value::Array(rows))
            }
            Format::Ndjson => rows
                .into_iter()
                .try_for_each(|row| writeln!(self.to, "{}", Value::Object(row))),
            Format::Csv => self.csv(columns, rows),
            Format::Table | Format::Html | Format::Md => self.table(columns, rows),
        }
    }

    fn csv(
        &mut self,
        columns: &[Column],
        rows: impl IntoIterator<Item = Map<String, Value>>,
    ) -> io::Result<()> {
        let mut csv = csv::Writer::from_writer(&mut self.to);
        csv.write_record(columns.iter().map(|c| c.key))?;
        for row in rows {
            csv.write_record(columns.iter().map(|c| harmless(cell(row.get(c.key)))))?;
        }
        csv.flush()
    }

    fn table(
        &mut self,
        columns: &[Column],
        rows: impl IntoIterator<Item = Map<String, Value>>,
    ) -> io::Result<()> {
        let cells: Vec<Vec<String>> = rows
            .into_iter()
            .map(|row| {
                columns
                    .iter()
                    .map(|c| printable(&cell(row.get(c.key))))
                    .collect()
            })
            .collect();
        let widths: Vec<usize> = columns
            .iter()
            .enumerate()
            .map(|(i, c)| {
                let widest = cells
                    .iter()
                    .filter_map(|row| row.get(i))
                    .map(|t| t.chars().count());
                widest.max().unwrap_or(0).max(c.title.chars().count())
            })
            .collect();
        let heading = aligned(columns.iter().map(|c| c.title), &widths);
        let heading = self.ink(Ink::Bold, &heading);
        self.line(heading)?;
        for row in &cells {
            self.line(aligned(row.iter().map(String::as_str), &widths))?;
        }
        Ok(())
    }
}

/// A command may be told not to use colour by `NO_COLOR` (any value) and by a terminal that has none.
fn colour_is_welcome() -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb")
}

/// A value as a person reads it: texts as they are, nothing for null.
fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) => {
            let items: Vec<String> = items.iter().map(|v| cell(Some(v))).collect();
            items.join(", ")
        }
        Some(other) => other.to_string(),
    }
}

/// A text that came from outside, without the characters by which it could write over a terminal.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() || plain::hides(c) {
                ' '
            } else {
                c
            }
        })
        .collect()
}

/// A cell that a spreadsheet will not take for a formula.
fn harmless(text: String) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) && text.parse::<f64>().is_err() {
        format!("'{text}")
    } else {
        text
    }
}

fn aligned<'a>(cells: impl Iterator<Item = &'a str>, widths: &[usize]) -> String {
    let mut line = String::new();
    for (text, width) in cells.zip(widths) {
        let pad = width.saturating_sub(text.chars().count());
        line.push_str(text);
        line.extend(std::iter::repeat_n(' ', pad + 2));
    }
    line.trim_end().to_owned()
}

/// So many of something, in words.
pub(super) fn counted(count: u64, noun: &str) -> String {
    match noun.strip_suffix('y') {
        _ if count == 1 => format!("1 {noun}"),
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{count} {stem}ies"),
        _ => format!("{count} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::json;

    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn printed(format: Format) -> String {
        let shared = Shared::default();
        let mut out = Out::plain(Box::new(shared.clone()), format);
        let rows = [
            json!({ "id": "a", "n": 3, "note": "say \"x\", twice", "tags": ["p", "q"] }),
            json!({ "id": "longer", "n": null, "note": "=cmd\u{1b}[2J", "tags": [] }),
        ];
        let rows = rows.into_iter().map(|r| r.as_object().unwrap().clone());
        let columns = [
            column("id", "CONTROL"),
            column("n", "N"),
            column("note", "NOTE"),
            column("tags", "TAGS"),
        ];
        out.list(&columns, rows).unwrap();
        let bytes = shared.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_list_is_printed_in_four_ways() {
        insta::assert_snapshot!(printed(Format::Table), @r#"
        CONTROL  N  NOTE            TAGS
        a        3  say "x", twice  p, q
        longer      =cmd [2J
        "#);
        insta::assert_snapshot!(printed(Format::Csv), @r#"
        id,n,note,tags
        a,3,"say ""x"", twice","p, q"
        longer,,'=cmd[2J,
        "#);
        insta::assert_snapshot!(printed(Format::Ndjson), @r#"
        {"id":"a","n":3,"note":"say \"x\", twice","tags":["p","q"]}
        {"id":"longer","n":null,"note":"=cmd\u001b[2J","tags":[]}
        "#);
        let json: Value = serde_json::from_str(&printed(Format::Json)).unwrap();
        assert_eq!(json[0]["tags"], json!(["p", "q"]));
    }

    /// What a register or a source holds is printed as text, wherever it came from.
    #[test]
    fn nothing_that_is_printed_writes_over_the_terminal() {
        let said = |colour: bool| {
            let shared = Shared::default();
            let mut out = Out {
                colour,
                ..Out::plain(Box::new(shared.clone()), Format::Table)
            };
            let word = out.ink(Ink::Bad, "fail");
            out.line(format!(
                "{word}: \u{1b}[2J\u{1b}]0;pwn\u{7} \u{202e}gnihtyna"
            ))
            .unwrap();
            out.text("a\n\u{1b}[31mb\n").unwrap();
            let bytes = shared.0.lock().unwrap().clone();
            String::from_utf8(bytes).unwrap()
        };
        let rest = ": \\u{1b}[2J\\u{1b}]0;pwn\\u{7} \\u{202e}gnihtyna\na\n\\u{1b}[31mb\n";
        assert_eq!(said(false), format!("fail{rest}"));
        assert_eq!(said(true), format!("\u{1b}[1;31mfail\u{1b}[0m{rest}"));
    }

    #[test]
    fn colour_needs_a_terminal() {
        let out = Out::plain(Box::new(io::sink()), Format::Table);
        assert_eq!(out.ink(Ink::Bad, "fail"), "fail");
        let out = Out {
            colour: true,
            ..out
        };
        assert_eq!(out.ink(Ink::Bad, "fail"), "\u{1b}[1;31mfail\u{1b}[0m");
    }
}
