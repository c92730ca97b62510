//! YAML as a tree in which every node knows its place. Duplicate keys, aliases and more than one
//! document are mistakes here: a control is reviewed as text, so its text says what it is.

use std::{path::Path, sync::Arc};

use granit_parser::{Event, Parser, ScalarStyle, Span};

use super::diagnostic::{Diagnostic, Place};

/// How deep lists and maps may be nested.
const MAX_DEPTH: usize = 64;

/// A node and where it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where the node begins.
    pub place: Place,
    /// What it is.
    pub kind: Kind,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// A scalar.
    Scalar(Scalar),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the file. Keys are scalars.
    Map(Vec<(Key, Node)>),
}

/// The key of a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Where the key begins.
    pub place: Place,
    /// Its text.
    pub text: String,
}

/// A scalar: its text as the YAML standard reads it, and how it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar {
    /// The text.
    pub text: String,
    /// Whether it was written without quotes, so that `true`, `3` and `null` may be more than text.
    pub plain: bool,
    /// For a literal block (`|`): line and column of its first character in the file.
    pub block: Option<(usize, usize)>,
}

impl Scalar {
    /// Whether this is YAML's null (core schema): `null`, `~`, or nothing at all.
    pub fn is_null(&self) -> bool {
        self.plain && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }
}

impl Node {
    /// What the node is, for a message: "a list".
    pub fn noun(&self) -> &'static str {
        match &self.kind {
            Kind::Scalar(s) if s.is_null() => "nothing",
            Kind::Scalar(_) => "a value",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a mapping",
        }
    }

    /// The value under `key`, if this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.kind {
            Kind::Map(entries) => entries.iter().find(|(k, _)| k.text == key).map(|(_, v)| v),
            _ => None,
        }
    }
}

/// Parses every document of `text`.
///
/// # Errors
/// A diagnostic for text that is not YAML, or for YAML that we do not take.
pub fn parse_all(file: &Path, text: &str) -> Result<Vec<Node>, Vec<Diagnostic>> {
    let (documents, out) = documents(file, text)?;
    if out.is_empty() {
        Ok(documents)
    } else {
        Err(out)
    }
}

/// Parses text that holds exactly one document, and goes on past keys that are given twice, so that the
/// other mistakes of the file can be told with them. The first of two equal keys is read.
pub fn recover(file: &Path, text: &str, out: &mut Vec<Diagnostic>) -> Option<Node> {
    if let Ok((mut found, mut twice)) = documents(file, text)
        && found.len() == 1
        && twice.iter().all(|d| d.code == TWICE)
    {
        out.append(&mut twice);
        return found.pop();
    }
    match parse(file, text) {
        Ok(node) => Some(node),
        Err(mistakes) => {
            out.extend(mistakes);
            None
        }
    }
}

/// The code of a key that is given twice.
const TWICE: &str = "TL0005";

type Documents = (Vec<Node>, Vec<Diagnostic>);

fn documents(file: &Path, text: &str) -> Result<Documents, Vec<Diagnostic>> {
    let mut tree = Tree {
        file: file.into(),
        lines: text.lines().collect(),
        events: Vec::new(),
        out: Vec::new(),
    };
    for event in Parser::new_from_str(text) {
        match event {
            Ok((event, span)) => tree.events.push((event, span)),
            Err(error) => {
                let mark = error.marker();
                let place = tree.at(mark.line(), mark.col(), 1);
                let d = Diagnostic::error(
                    "TL0001",
                    &place,
                    format!("this is not YAML: {}", error.info()),
                );
                return Err(vec![d]);
            }
        }
    }
    tree.events.reverse();
    let mut documents = Vec::new();
    while let Some((event, _)) = tree.events.last() {
        match event {
            Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(..)
            | Event::DocumentEnd => {
                tree.events.pop();
            }
            _ => documents.extend(tree.node(0)),
        }
    }
    Ok((documents, tree.out))
}

/// Parses text that holds exactly one document.
///
/// # Errors
/// As [`parse_all`], and a diagnostic when there is no document or more than one.
pub fn parse(file: &Path, text: &str) -> Result<Node, Vec<Diagnostic>> {
    let mut documents = parse_all(file, text)?;
    match (documents.pop(), documents.last()) {
        (Some(only), None) => Ok(only),
        (None, _) => Err(vec![Diagnostic::error(
            "TL0002",
            &Place::file(file),
            "the file is empty",
        )]),
        (Some(second), Some(_)) => Err(vec![
            Diagnostic::error("TL0003", &second.place, "a second document in one file")
                .help("put it into a file of its own"),
        ]),
    }
}

struct Tree<'t> {
    file: Arc<Path>,
    lines: Vec<&'t str>,
    events: Vec<(Event<'t>, Span)>,
    out: Vec<Diagnostic>,
}

impl<'t> Tree<'t> {
    fn at(&self, line: usize, column_from_0: usize, width: usize) -> Place {
        Place {
            file: self.file.clone(),
            line,
            column: column_from_0 + 1,
            width: width.max(1),
        }
    }

    fn place(&self, span: &Span) -> Place {
        let (start, end) = (span.start, span.end);
        let width = if start.line() == end.line() {
            end.col().saturating_sub(start.col())
        } else {
            1
        };
        self.at(start.line(), start.col(), width)
    }

    fn next(&mut self) -> Option<(Event<'t>, Span)> {
        self.events.pop()
    }

    fn node(&mut self, depth: usize) -> Option<Node> {
        let (event, span) = self.next()?;
        let place = self.place(&span);
        if depth > MAX_DEPTH {
            self.out.push(Diagnostic::error(
                "TL0001",
                &place,
                format!("nested deeper than {MAX_DEPTH} levels"),
            ));
            self.events.clear();
            return None;
        }
        let kind = match event {
            Event::Scalar(text, style, ..) => Kind::Scalar(Scalar {
                text: text.into_owned(),
                plain: style == ScalarStyle::Plain,
                block: (style == ScalarStyle::Literal)
                    .then(|| self.first_of_block(span.start.line())),
            }),
            Event::SequenceStart(..) => Kind::List(self.list(depth)),
            Event::MappingStart(..) => Kind::Map(self.map(depth)),
            _ => {
                self.out.push(
                    Diagnostic::error("TL0004", &place, "anchors and aliases are not taken here")
                        .help("write the value out where it is used"),
                );
                return None;
            }
        };
        Some(Node { place, kind })
    }

    fn list(&mut self, depth: usize) -> Vec<Node> {
        let mut items = Vec::new();
        loop {
            match self.events.last() {
                Some((Event::SequenceEnd, _)) | None => break,
                Some(_) => items.extend(self.node(depth + 1)),
            }
        }
        self.events.pop();
        items
    }

    fn map(&mut self, depth: usize) -> Vec<(Key, Node)> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        loop {
            match self.events.last() {
                Some((Event::MappingEnd, _)) | None => break,
                Some(_) => {}
            }
            let key = self.node(depth + 1);
            let value = self.node(depth + 1);
            let (Some(key), Some(value)) = (key, value) else {
                continue;
            };
            let Kind::Scalar(scalar) = key.kind else {
                self.out.push(Diagnostic::error(
                    "TL0001",
                    &key.place,
                    "a key is a word, not a list or a mapping",
                ));
                continue;
            };
            let key = Key {
                place: key.place,
                text: scalar.text,
            };
            if let Some((first, _)) = entries.iter().find(|(k, _)| k.text == key.text) {
                let what = format!(
                    "`{}` is given twice, first on line {}",
                    key.text, first.place.line
                );
                self.out
                    .push(Diagnostic::error(TWICE, &key.place, what).help("keep one of them"));
                continue;
            }
            entries.push((key, value));
        }
        self.events.pop();
        entries
    }

    /// Line and column of the first character inside a literal block that the parser says starts at `line`.
    /// A block keeps its leading empty lines, so its text begins on the line after its `|`.
    fn first_of_block(&self, line: usize) -> (usize, usize) {
        let header = self
            .lines
            .iter()
            .take(line)
            .rposition(|l| l.contains('|'))
            .map_or(line, |i| i + 1);
        let indent = |l: &str| l.chars().take_while(|c| *c == ' ').count();
        let first = self
            .lines
            .iter()
            .skip(header)
            .find(|l| !l.trim().is_empty());
        (header + 1, first.map_or(0, |l| indent(l)) + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Node {
        parse(Path::new("a.yaml"), text).unwrap()
    }

    fn wrong(text: &str) -> String {
        let found = parse(Path::new("a.yaml"), text).unwrap_err();
        found
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn every_node_knows_its_place() {
        let node = one("id: x\nowner:\n  team: a\nlist: [1, \"two\"]\n");
        let team = node.get("owner").and_then(|o| o.get("team")).unwrap();
        assert_eq!(
            (team.place.line, team.place.column, team.place.width),
            (3, 9, 1)
        );
        let Kind::List(items) = &node.get("list").unwrap().kind else {
            panic!("a list")
        };
        assert_eq!((items[1].place.line, items[1].place.column), (4, 11));
        assert!(matches!(&items[1].kind, Kind::Scalar(s) if !s.plain && s.text == "two"));
    }

    #[test]
    fn a_block_knows_where_its_text_begins() {
        let node = one("sql: |\n    SELECT 1\n    FROM x\nafter: 1\n");
        let Kind::Scalar(s) = &node.get("sql").unwrap().kind else {
            panic!("a scalar")
        };
        assert_eq!(s.text, "SELECT 1\nFROM x\n");
        assert_eq!(s.block, Some((2, 5)));
        let node = one("# first\nsql: |-  # why\n\n  SELECT 1\n");
        let Kind::Scalar(s) = &node.get("sql").unwrap().kind else {
            panic!("a scalar")
        };
        assert_eq!((s.text.as_str(), s.block), ("\nSELECT 1", Some((3, 3))));
    }

    #[test]
    fn what_is_not_taken_says_why() {
        insta::assert_snapshot!(wrong("a: 1\na: 2\n"), @"TL0005 a.yaml:2:1: `a` is given twice, first on line 1; keep one of them");
        insta::assert_snapshot!(wrong("a: &x 1\nb: *x\n"), @"TL0004 a.yaml:2:4: anchors and aliases are not taken here; write the value out where it is used");
        insta::assert_snapshot!(wrong(""), @"TL0002 a.yaml: the file is empty");
        insta::assert_snapshot!(wrong("a: 1\n---\nb: 1\n"), @"TL0003 a.yaml:3:1: a second document in one file; put it into a file of its own");
        assert!(wrong("a: [1, 2\nb: 3\n").starts_with("TL0001 a.yaml:"));
    }
}
