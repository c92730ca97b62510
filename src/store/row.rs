//! From values to columns and back: numbers, words, instants, documents, pages. Nothing is lost on the
//! way in, and what cannot be read on the way out is an error that names its place.

use std::str::FromStr;

use chrono::{DateTime, SubsecRound, Utc};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::{
    Decode, Encode, Postgres, Sqlite, Type,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgTypeInfo, PgValueRef},
    sqlite::{SqliteArgumentsBuffer, SqliteTypeInfo, SqliteValueRef},
};

use super::error::{Error, Result};

/// Which part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// At most so many.
    pub limit: u32,
    /// Without the first so many.
    pub offset: u64,
}

impl Page {
    /// Everything.
    pub const ALL: Self = Self {
        limit: u32::MAX,
        offset: 0,
    };

    /// The first so many.
    pub const fn first(limit: u32) -> Self {
        Self { limit, offset: 0 }
    }
}

impl Default for Page {
    fn default() -> Self {
        Self::first(100)
    }
}

/// What a name that a person typed stands for.
#[derive(Debug, Clone, PartialEq)]
pub enum Found<T> {
    /// Exactly one.
    One(T),
    /// Nothing.
    Nothing,
    /// More than one begins like that; a few of their names.
    Several(Vec<String>),
}

/// How many names [`Found::Several`] shows.
pub(super) const NAMES_SHOWN: u32 = 5;

impl<T> Found<T> {
    /// Decides from the rows that begin like the name.
    pub(super) fn among(mut rows: Vec<T>, name: impl Fn(&T) -> String) -> Self {
        match rows.len() {
            0 => Self::Nothing,
            1 => rows.pop().map_or(Self::Nothing, Self::One),
            _ => Self::Several(rows.iter().map(name).collect()),
        }
    }
}

/// The least text after all that begin with `prefix`, when they go on with ASCII.
pub(super) fn after_prefix(prefix: &str) -> String {
    format!("{prefix}\u{7f}")
}

/// A document as it was written, key order included: JSON text on SQLite, `json` on PostgreSQL.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Doc<T>(pub(super) T);

impl<T> Type<Sqlite> for Doc<T> {
    fn type_info() -> SqliteTypeInfo {
        <str as Type<Sqlite>>::type_info()
    }

    fn compatible(ty: &SqliteTypeInfo) -> bool {
        <str as Type<Sqlite>>::compatible(ty)
    }
}

impl<T> Type<Postgres> for Doc<T> {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("json")
    }
}

impl<T: Serialize> Encode<'_, Sqlite> for Doc<T> {
    fn encode_by_ref(&self, buffer: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        Encode::<Sqlite>::encode(serde_json::to_string(&self.0)?, buffer)
    }
}

impl<T: Serialize> Encode<'_, Postgres> for Doc<T> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        Encode::<Postgres>::encode(serde_json::to_string(&self.0)?, buffer)
    }
}

impl<T: DeserializeOwned> Decode<'_, Sqlite> for Doc<T> {
    fn decode(value: SqliteValueRef<'_>) -> Result<Self, BoxDynError> {
        Ok(Self(serde_json::from_str(
            <&str as Decode<Sqlite>>::decode(value)?,
        )?))
    }
}

impl<T: DeserializeOwned> Decode<'_, Postgres> for Doc<T> {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        Ok(Self(serde_json::from_str(
            <&str as Decode<Postgres>>::decode(value)?,
        )?))
    }
}

/// An instant as both engines keep it.
pub(super) fn us(at: DateTime<Utc>) -> DateTime<Utc> {
    at.trunc_subsecs(6)
}

/// The same for an instant that may be absent.
pub(super) fn us_opt(at: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
    at.map(us)
}

/// A count as a column; what does not fit 63 bits is no count of anything.
pub(super) fn int(n: impl TryInto<i64>) -> i64 {
    n.try_into().unwrap_or(i64::MAX)
}

/// The place of a value, for when it cannot be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) table: &'static str,
    pub(super) id: &'a str,
}

impl Place<'_> {
    /// The error for a column of this row.
    pub(super) fn wrong(&self, column: &'static str) -> Error {
        Error::Inconsistent {
            table: self.table,
            column,
            id: self.id.to_owned(),
        }
    }

    /// Reads a text that has a form of its own: a word, a digest, an id.
    pub(super) fn text<T: FromStr>(&self, column: &'static str, text: &str) -> Result<T> {
        text.parse().map_err(|_| self.wrong(column))
    }

    /// The same for a text that may be absent.
    pub(super) fn text_opt<T: FromStr>(
        &self,
        column: &'static str,
        text: Option<&str>,
    ) -> Result<Option<T>> {
        text.map(|t| self.text(column, t)).transpose()
    }

    /// Reads a count.
    pub(super) fn count<T: TryFrom<i64>>(&self, column: &'static str, n: i64) -> Result<T> {
        n.try_into().map_err(|_| self.wrong(column))
    }
}

/// Runs of rows for multi-row statements. Few different lengths, so that a connection keeps few prepared
/// statements; short enough for the bound values of 32 columns (SQLite takes 32,766, PostgreSQL 65,535).
pub(super) fn runs_of<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let length = [1000, 100, 10, 1].into_iter().find(|n| *n <= rows.len())?;
        let (run, rest) = rows.split_at_checked(length)?;
        rows = rest;
        Some(run)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_split_into_runs_of_few_lengths() {
        for n in [0, 1, 9, 10, 999, 1000, 1001, 2345] {
            let rows: Vec<usize> = (0..n).collect();
            let runs: Vec<&[usize]> = runs_of(&rows).collect();
            assert_eq!(runs.concat(), rows);
            assert!(runs.iter().all(|r| [1, 10, 100, 1000].contains(&r.len())));
        }
    }

    #[test]
    fn a_name_stands_for_one_or_says_why_not() {
        let name = |s: &&str| (*s).to_owned();
        assert_eq!(Found::among(vec!["a"], name), Found::One("a"));
        assert_eq!(Found::among(Vec::<&str>::new(), name), Found::Nothing);
        assert_eq!(
            Found::among(vec!["ab", "ac"], name),
            Found::Several(vec!["ab".to_owned(), "ac".to_owned()])
        );
    }

    #[test]
    fn what_cannot_be_read_back_names_its_place() {
        let place = Place {
            table: "finding",
            id: "fnd-1",
        };
        assert_eq!(
            place
                .text::<crate::model::finding::Status>("status", "opne")
                .unwrap_err()
                .to_string(),
            "table `finding`, row `fnd-1`: `status` cannot be read back"
        );
        assert!(place.count::<u32>("fails", -1).is_err());
        assert_eq!(place.count::<u32>("fails", 3).unwrap(), 3);
    }
}
