//! The report before it has a form: sections of words, lists and figures. Page, mail, Markdown and columns are all
//! written from this, so a number that stands in one stands in all. A figure is always a table; a drawing is added to
//! it, never instead. Text from outside is made harmless here, once.

use serde::Serialize;

use super::value::Shown;
use crate::{chart::Chart, notify::text};

/// A part of the report.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Section {
    /// Its anchor.
    pub(super) id: String,
    /// Its title.
    pub(super) title: String,
    /// 2 for a part of the report, 3 for a part of that.
    pub(super) level: u8,
    /// What it says, in order.
    pub(super) parts: Vec<Part>,
}

/// A piece of a section.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub(super) enum Part {
    /// A paragraph.
    Words {
        /// It.
        text: String,
    },
    /// A list.
    List {
        /// What it lists.
        title: String,
        /// One entry each.
        items: Vec<String>,
    },
    /// A figure.
    Figure(Box<Figure>),
}

/// A table, with a drawing of it when there is enough to draw.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Figure {
    /// Its anchor and the name of its file.
    pub(super) id: String,
    /// What it shows: the finding, not the kind of chart.
    pub(super) title: String,
    /// How to read the drawing, and its extremes.
    pub(super) reading: String,
    /// Whether the table stands open before the drawing, because it says more.
    pub(super) is_table_first: bool,
    /// The drawing.
    #[serde(skip)]
    pub(super) chart: Option<Chart>,
    /// The numbers.
    pub(super) table: Table,
}

/// Rows of cells.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Table {
    /// What it shows and in which units.
    pub(super) caption: String,
    /// Its columns; the first one names the row.
    pub(super) columns: Vec<Column>,
    /// Its rows.
    pub(super) rows: Vec<Vec<Cell>>,
    /// What is said when there is no row.
    pub(super) empty: String,
    /// How it is laid out.
    pub(super) look: Look,
}

/// How a table is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Look {
    /// Numbers under each other.
    Plain,
    /// Sentences: on a narrow screen each row becomes a card.
    Cards,
    /// Shaded cells: the table is the drawing.
    Heat,
}

/// A column.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Column {
    /// Its heading.
    pub(super) title: String,
    /// Its name in a file of columns.
    pub(super) key: String,
    /// Whether it holds numbers, which stand at the right.
    pub(super) is_number: bool,
}

/// A column of words.
pub(super) fn words(title: &str, key: &str) -> Column {
    Column {
        title: text::line(title),
        key: key.to_owned(),
        is_number: false,
    }
}

/// A column of numbers.
pub(super) fn numbers(title: &str, key: &str) -> Column {
    Column {
        is_number: true,
        ..words(title, key)
    }
}

/// What stands where a row and a column meet.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Cell {
    /// Its parts, in order; what is small is a gloss on what stands before it.
    pub(super) bits: Vec<Bit>,
    /// From 0, which is none, to 5: how dark it is in a table of the look [`Look::Heat`].
    pub(super) shade: u8,
    /// Its values for a file of columns.
    #[serde(skip)]
    pub(super) fields: Vec<(&'static str, String)>,
}

/// A piece of a cell.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Bit {
    /// As it is read.
    pub(super) text: String,
    /// Where its value stands in the report's JSON (RFC 6901), when it is a value.
    pub(super) at: Option<String>,
    /// The kind of the value.
    pub(super) kind: Option<&'static str>,
    /// Whether it is a gloss.
    pub(super) is_small: bool,
    /// Whether no line ends before it.
    pub(super) is_glued: bool,
    /// Where it leads.
    pub(super) href: Option<String>,
    /// Whether it says that a value is missing.
    pub(super) is_missing: bool,
}

impl Bit {
    fn words(words: &str) -> Self {
        Self {
            text: text::line(words),
            at: None,
            kind: None,
            is_small: false,
            is_glued: false,
            href: None,
            is_missing: false,
        }
    }
}

impl Cell {
    /// Words.
    pub(super) fn words(words: &str) -> Self {
        let bit = Bit::words(words);
        Self {
            fields: vec![("", bit.text.clone())],
            bits: vec![bit],
            shade: 0,
        }
    }

    /// A value that stands at a place of the report's JSON.
    pub(super) fn value<T: Shown>(at: &str, value: &T) -> Self {
        let shown = value.shown();
        let bit = Bit {
            at: Some(at.to_owned()),
            kind: Some(T::KIND),
            is_missing: shown.starts_with("not known"),
            ..Bit::words(&shown)
        };
        Self {
            bits: vec![bit],
            shade: 0,
            fields: value.fields(),
        }
    }

    /// The same, leading somewhere.
    pub(super) fn link(mut self, href: &str) -> Self {
        if let Some(bit) = self.bits.first_mut() {
            bit.href = Some(href.to_owned());
        }
        self
    }

    /// The same with a gloss.
    pub(super) fn gloss(mut self, words: &str) -> Self {
        self.bits.push(Bit {
            is_small: true,
            ..Bit::words(words)
        });
        self
    }

    /// The same with a gloss that belongs to what stands before it.
    pub(super) fn unit(mut self, words: &str) -> Self {
        self.bits.push(Bit {
            is_small: true,
            is_glued: true,
            ..Bit::words(words)
        });
        self
    }

    /// The same with words that are a column of their own in a file.
    pub(super) fn also(mut self, ending: &'static str, words: &str) -> Self {
        self.fields.push((ending, text::line(words)));
        self
    }

    /// The same, as dark as its value.
    pub(super) fn shaded(mut self, shade: u8) -> Self {
        self.shade = shade;
        self
    }

    /// The same with another value, which has its own columns in a file.
    pub(super) fn and<T: Shown>(
        mut self,
        words: &str,
        at: &str,
        value: &T,
        ending: &'static str,
    ) -> Self {
        if !words.is_empty() {
            self = self.gloss(words);
        }
        let other = Self::value(at, value);
        self.bits.extend(other.bits.into_iter().map(|bit| Bit {
            is_small: true,
            ..bit
        }));
        self.fields.extend(
            other
                .fields
                .into_iter()
                .filter(|(name, _)| name.is_empty())
                .map(|(_, field)| (ending, field)),
        );
        self
    }

    /// As one line of text: the value, and after a semicolon what is a gloss on it.
    pub(super) fn text(&self) -> String {
        let joined = |is_small: bool| -> String {
            let bits = self.bits.iter().filter(|bit| bit.is_small == is_small);
            bits.map(|bit| bit.text.as_str())
                .collect::<Vec<_>>()
                .join(" ")
        };
        let (value, gloss) = (joined(false), joined(true));
        if gloss.is_empty() {
            value
        } else {
            format!("{value}; {gloss}")
        }
    }
}

impl Section {
    /// A part of the report.
    pub(super) fn new(level: u8, id: &str, title: &str) -> Self {
        Self {
            id: id.to_owned(),
            title: text::line(title),
            level,
            parts: Vec::new(),
        }
    }

    /// Adds a paragraph.
    pub(super) fn say(&mut self, words: &str) -> &mut Self {
        self.parts.push(Part::Words {
            text: text::line(words),
        });
        self
    }

    /// Adds a list, unless it is empty.
    pub(super) fn list(&mut self, title: &str, items: &[String]) -> &mut Self {
        if !items.is_empty() {
            self.parts.push(Part::List {
                title: title.to_owned(),
                items: items.iter().map(|item| text::line(item)).collect(),
            });
        }
        self
    }

    /// Adds a figure.
    pub(super) fn figure(&mut self, mut figure: Figure) -> &mut Self {
        let table = &mut figure.table;
        for words in [
            &mut figure.title,
            &mut figure.reading,
            &mut table.caption,
            &mut table.empty,
        ] {
            *words = text::line(words);
        }
        self.parts.push(Part::Figure(Box::new(figure)));
        self
    }

    /// Its figures, in order.
    pub(super) fn figures(&self) -> impl Iterator<Item = &Figure> {
        self.parts.iter().filter_map(|part| match part {
            Part::Figure(figure) => Some(&**figure),
            _ => None,
        })
    }
}
