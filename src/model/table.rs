//! A typed table in columns: what a connector hands over and evidence keeps. Knows nothing of
//! Arrow or of any source.

use serde::{Deserialize, Serialize};

use crate::{choice, model::id::Sha};

choice! {
    /// The type of a column; `reference` for each is the connector guide.
    pub enum ColumnType {
        /// UTF-8 text.
        Text = "text",
        /// 64-bit signed integer; `"3"` is read as 3, `"3.7"` is refused.
        Int = "int",
        /// 64-bit floating point.
        Float = "float",
        /// Decimal with 38 digits, 9 of them after the point.
        Decimal = "decimal",
        /// `true` or `false`.
        Bool = "bool",
        /// A calendar day.
        Date = "date",
        /// An instant in RFC 3339, kept in UTC microseconds.
        Timestamp = "timestamp",
        /// An instant in seconds since 1970.
        TimestampS = "timestamp_s",
        /// An instant in milliseconds since 1970.
        TimestampMs = "timestamp_ms",
        /// A length of time: `3h25m19s`, ISO 8601, or seconds.
        Duration = "duration",
        /// A list of texts.
        ListText = "list<text>",
        /// Anything else, as JSON text.
        Json = "json",
    }
}

/// The values of one column. `None` is an absent value.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Texts, and JSON as text.
    Text(Vec<Option<String>>),
    /// Integers.
    Int(Vec<Option<i64>>),
    /// Floating point.
    Float(Vec<Option<f64>>),
    /// Decimals, scaled by 10⁹.
    Decimal(Vec<Option<i128>>),
    /// Truth values.
    Bool(Vec<Option<bool>>),
    /// Days since 1970-01-01.
    Date(Vec<Option<i32>>),
    /// Microseconds since 1970-01-01 UTC, for all three timestamp types.
    Timestamp(Vec<Option<i64>>),
    /// Microseconds.
    Duration(Vec<Option<i64>>),
    /// Lists of texts.
    ListText(Vec<Option<Vec<String>>>),
}

impl Values {
    /// Room for values of one type.
    pub fn with_capacity(ty: ColumnType, rows: usize) -> Self {
        match ty {
            ColumnType::Text | ColumnType::Json => Self::Text(Vec::with_capacity(rows)),
            ColumnType::Int => Self::Int(Vec::with_capacity(rows)),
            ColumnType::Float => Self::Float(Vec::with_capacity(rows)),
            ColumnType::Decimal => Self::Decimal(Vec::with_capacity(rows)),
            ColumnType::Bool => Self::Bool(Vec::with_capacity(rows)),
            ColumnType::Date => Self::Date(Vec::with_capacity(rows)),
            ColumnType::Timestamp | ColumnType::TimestampS | ColumnType::TimestampMs => {
                Self::Timestamp(Vec::with_capacity(rows))
            }
            ColumnType::Duration => Self::Duration(Vec::with_capacity(rows)),
            ColumnType::ListText => Self::ListText(Vec::with_capacity(rows)),
        }
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(v) => v.len(),
            Self::Int(v) | Self::Timestamp(v) | Self::Duration(v) => v.len(),
            Self::Float(v) => v.len(),
            Self::Decimal(v) => v.len(),
            Self::Bool(v) => v.len(),
            Self::Date(v) => v.len(),
            Self::ListText(v) => v.len(),
        }
    }

    /// Keeps the first `len` values.
    pub fn truncate(&mut self, len: usize) {
        match self {
            Self::Text(v) => v.truncate(len),
            Self::Int(v) | Self::Timestamp(v) | Self::Duration(v) => v.truncate(len),
            Self::Float(v) => v.truncate(len),
            Self::Decimal(v) => v.truncate(len),
            Self::Bool(v) => v.truncate(len),
            Self::Date(v) => v.truncate(len),
            Self::ListText(v) => v.truncate(len),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many are absent.
    pub fn nulls(&self) -> usize {
        fn count<T>(values: &[Option<T>]) -> usize {
            values.iter().filter(|v| v.is_none()).count()
        }
        match self {
            Self::Text(v) => count(v),
            Self::Int(v) | Self::Timestamp(v) | Self::Duration(v) => count(v),
            Self::Float(v) => count(v),
            Self::Decimal(v) => count(v),
            Self::Bool(v) => count(v),
            Self::Date(v) => count(v),
            Self::ListText(v) => count(v),
        }
    }
}

/// What a dataset promises: its columns in order, and its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    /// Columns in the order of the connector file.
    pub columns: Vec<ColumnDef>,
    /// The columns that name a row; a key that comes twice is paging drift.
    pub key: Vec<String>,
}

/// One column of a schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnDef {
    /// The name in SQL.
    pub name: String,
    /// The type.
    #[serde(rename = "type")]
    pub ty: ColumnType,
    /// Whether a value may be absent.
    pub nullable: bool,
}

impl Schema {
    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&ColumnDef> {
        self.columns.iter().find(|c| c.name == name)
    }

    /// The digest of names, types and nullability: equal digests can be read as one table.
    pub fn digest(&self) -> Sha {
        Sha::of_json(&serde_json::json!(self))
    }
}

/// Rows of one dataset, in columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// What the columns are.
    pub schema: Schema,
    /// The values, one entry per column of the schema, all of the same length.
    pub columns: Vec<Values>,
}

impl Table {
    /// A table without rows.
    pub fn empty(schema: Schema) -> Self {
        let columns = schema
            .columns
            .iter()
            .map(|c| Values::with_capacity(c.ty, 0))
            .collect();
        Self { schema, columns }
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, Values::len)
    }

    /// The values of the column of that name.
    pub fn values(&self, name: &str) -> Option<&Values> {
        let at = self.schema.columns.iter().position(|c| c.name == name)?;
        self.columns.get(at)
    }
}
