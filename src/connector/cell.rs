//! One value as a source gave it, before it has a type of ours. Every kind of source speaks this:
//! JSON and XML borrow from the body, CSV and SQL from the record. Never owns more than it must,
//! and never shows a value: it can only name what kind of value it is.

use std::borrow::Cow;

use chrono::{DateTime, NaiveDate};
use serde_json::Value;

use super::coerce;

/// A value of a source. `Null` is a value that is not there; a kind that knows "absent" apart from
/// `null` (JSON does) decides before it makes a cell.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell<'a> {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number, wide enough for every integer that a source may send.
    Int(i128),
    /// A number with a binary fraction.
    Float(f64),
    /// A decimal number, scaled by 10⁹.
    Decimal(i128),
    /// Text.
    Text(Cow<'a, str>),
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds since 1970-01-01 UTC.
    Timestamp(i64),
    /// A length of time in microseconds.
    Duration(i64),
    /// A list of texts; `None` is a null inside it.
    List(Vec<Option<String>>),
    /// A JSON list or object.
    Json(Cow<'a, Value>),
    /// Several values where a path found more than one.
    Many(Vec<&'a Value>),
    /// A value of a type that is not read, as a noun.
    Other(&'static str),
}

impl<'a> Cell<'a> {
    /// Text that is borrowed.
    pub const fn text(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }

    /// What kind of value it is, for a reason that people read. Says nothing of the value itself.
    pub fn noun(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a truth value",
            Self::Int(_) => "a whole number",
            Self::Float(x) if x.fract() == 0.0 => "a whole number",
            Self::Float(_) | Self::Decimal(_) => "a number with a fraction",
            Self::Text(t) if t.is_empty() => "an empty text",
            Self::Text(_) => "text",
            Self::Date(_) => "a day",
            Self::Timestamp(_) => "an instant",
            Self::Duration(_) => "a length of time",
            Self::List(_) => "a list",
            Self::Json(value) if value.is_array() => "a list",
            Self::Json(_) => "an object",
            Self::Many(_) => "several values",
            Self::Other(noun) => noun,
        }
    }

    /// The value as plain text, where it has one form that says all of it. A float has none:
    /// `1.10` and `1.1` are the same number.
    pub fn plain(&self) -> Option<Cow<'_, str>> {
        let text = match self {
            Self::Text(t) => return Some(Cow::Borrowed(t)),
            Self::Int(i) => i.to_string(),
            Self::Bool(b) => b.to_string(),
            Self::Decimal(d) => coerce::decimal_text(*d),
            Self::Date(d) => NaiveDate::from_epoch_days(*d)?.to_string(),
            Self::Timestamp(t) => instant_text(*t)?,
            _ => return None,
        };
        Some(Cow::Owned(text))
    }
}

/// Microseconds since 1970 as RFC 3339 in UTC.
pub fn instant_text(micros: i64) -> Option<String> {
    let at = DateTime::from_timestamp_micros(micros)?;
    Some(at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
}

impl<'a> From<&'a Value> for Cell<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(b) => Self::Bool(*b),
            Value::Number(n) => n
                .as_i128()
                .map(Self::Int)
                .or_else(|| n.as_f64().map(Self::Float))
                .unwrap_or(Self::Other("a number beyond 64 bits")),
            Value::String(s) => Self::text(s),
            Value::Array(_) | Value::Object(_) => Self::Json(Cow::Borrowed(value)),
        }
    }
}

impl From<Value> for Cell<'_> {
    fn from(value: Value) -> Self {
        match value {
            Value::String(s) => Self::Text(Cow::Owned(s)),
            Value::Array(_) | Value::Object(_) => Self::Json(Cow::Owned(value)),
            scalar => match Cell::from(&scalar) {
                Cell::Bool(b) => Self::Bool(b),
                Cell::Int(i) => Self::Int(i),
                Cell::Float(x) => Self::Float(x),
                _ => Self::Null,
            },
        }
    }
}
