//! From rows as JSON to typed columns. Coercions are lossless or they are a [`Problem`]; a row that
//! cannot be read is never dropped in silence, and never changes what came before it.

use serde_json::{Map, Value};

use super::settings::Parent;
use crate::{
    catalog::connector::Dataset,
    model::{
        outcome::Unknown,
        table::{Schema, Table},
    },
};

/// Why a row cannot be read as its columns say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The column.
    pub column: String,
    /// What is wrong, in a few words, with the value cut short: "`3.7` is not an int".
    pub what: String,
    /// `TypeError` for a value of another type, `SchemaChanged` for one that is missing though it is not optional.
    pub unknown: Unknown,
}

/// What stands around a row: the object it was unnested from, and the rows it was read for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Around<'a> {
    /// `from: row.…`: the object around an unnested row.
    pub outer: Option<&'a Value>,
    /// `from: m.…`: parent rows as [`row`] gives them, and what a kind adds (`aws`).
    pub parents: &'a [Parent],
}

/// Makes typed columns of rows.
#[derive(Debug)]
pub struct Shaper {
    schema: Schema,
}

impl Shaper {
    /// A shaper for the columns of a dataset.
    pub fn new(dataset: &Dataset) -> Self {
        Self {
            schema: dataset.schema(),
        }
    }

    /// Adds a row, or says why it cannot be read; then nothing of it is added.
    pub fn push(&mut self, _row: &Value, _around: Around<'_>) -> Result<(), Problem> {
        Ok(())
    }

    /// How many rows were added.
    pub fn rows(&self) -> usize {
        0
    }

    /// The rows in columns.
    pub fn finish(self) -> Table {
        Table::empty(self.schema)
    }
}

/// A row of a table as JSON, for templates and columns of its children: instants as RFC 3339,
/// decimals as text, durations in seconds, JSON columns as text.
pub fn row(_table: &Table, _at: usize) -> Map<String, Value> {
    Map::new()
}
