//! A sink for tests that keeps what it is given.

use serde_json::Value;

use super::{Sink, cell::Cell, error::Result, settings::Parent};

/// Keeps what it is given.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// The names of the header.
    pub names: Vec<String>,
    /// Flat rows as texts; `∅` stands for nothing.
    pub rows: Vec<Vec<String>>,
    /// How many rows came in documents that are lists.
    pub documents: usize,
    /// The documents themselves.
    pub pages: Vec<Value>,
}

impl Sink for Kept {
    fn page(&mut self, document: Value, _: Vec<Parent>) -> Result<()> {
        self.documents += document.as_array().map_or(0, Vec::len);
        self.pages.push(document);
        Ok(())
    }

    fn header(&mut self, names: &[String]) -> Result<Vec<usize>> {
        self.names = names.to_vec();
        Ok((0..names.len()).collect())
    }

    fn cells(&mut self, row: &[Cell<'_>]) -> Result<()> {
        let text = |cell: &Cell<'_>| match cell {
            Cell::Null => "∅".to_owned(),
            cell => match cell.plain() {
                Some(text) => text.into_owned(),
                None => format!("<{}>", cell.noun()),
            },
        };
        self.rows.push(row.iter().map(text).collect());
        Ok(())
    }

    fn restart(&mut self) {
        *self = Self::default();
    }
}
