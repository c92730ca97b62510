//! Reads a table or a view of somebody's PostgreSQL or SQLite database: one SELECT in a read-only
//! transaction, with a time limit, and its count in the same snapshot of the data. The address is a
//! secret and is in no error. Never writes, never holds a connection after the rows are read.

mod postgres;
mod sqlite;

use std::time::Duration;

use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    Asking, Confirmed, Meter, Read, Reader, Sink,
    error::{self, Result},
    settings::{Parent, Settings},
};
use crate::{
    catalog::{
        connector::{
            Ask,
            dataset::ConfirmGone,
            http::{Probe, Tls},
            kinds::Sql,
        },
        source::Source,
    },
    model::{outcome::Unknown, span::Span},
};

/// A database that is read.
#[derive(Debug)]
pub struct Database {
    address: SecretString,
    timeout: Duration,
    tls: Tls,
    source: Source,
}

/// What is read of it.
#[derive(Debug, Clone, Copy)]
struct Job<'a> {
    select: &'a str,
    /// A statement that gives the number of rows there should be.
    count: Option<&'a str>,
    /// For each statement.
    timeout: Duration,
    tls: &'a Tls,
    meter: &'a Meter,
}

impl Database {
    /// Fills in what a connector says of a database.
    pub fn new(source: &Source, sql: &Sql, settings: &Settings) -> Result<Self> {
        let address = settings.secret(&sql.url)?;
        Ok(Self {
            address: address.ok_or(Error::Address)?,
            timeout: sql.timeout.to_std(),
            tls: source.tls.clone().unwrap_or_else(|| sql.tls.clone()),
            source: source.clone(),
        })
    }

    fn is_postgres(&self) -> Result<bool> {
        match self.address.expose_secret().split(':').next() {
            Some("postgres" | "postgresql") => Ok(true),
            Some("sqlite") => Ok(false),
            _ => Err(Error::Address.into()),
        }
    }
}

#[async_trait]
impl Reader for Database {
    async fn prove(&self, _: &[Probe], meter: &Meter) -> Result<Option<String>> {
        if !self.is_postgres()? {
            return Ok(None);
        }
        // Row-level security shows another role other rows: who we are belongs to what we see.
        let job = Job {
            select: "SELECT current_user || '@' || current_database()",
            count: None,
            timeout: self.timeout,
            tls: &self.tls,
            meter,
        };
        Ok(Some(postgres::identity(&self.address, job).await?))
    }

    async fn read(&self, ask: Asking<'_>, sink: &mut dyn Sink) -> Result<Read> {
        let Ask::Select(select) = &ask.dataset.ask else {
            return Err(error::Error::Settings(
                "a database is read with `select`".to_owned(),
            ));
        };
        let count = self.source.complete(&ask.dataset.name).count;
        let job = Job {
            select,
            count: count.as_ref().map(|c| c.value.as_str()),
            timeout: self.timeout,
            tls: &self.tls,
            meter: ask.meter,
        };
        one_select(job.select).map_err(Error::NotOne)?;
        if let Some(count) = job.count {
            one_select(count).map_err(Error::NotOne)?;
        }
        let total = if self.is_postgres()? {
            postgres::read(&self.address, job, sink).await?
        } else {
            sqlite::read(&self.address, job, sink).await?
        };
        ask.meter.page();
        Ok(Read {
            total,
            ..Read::default()
        })
    }

    async fn confirm(&self, _: &ConfirmGone, _: &Parent, _: &Meter) -> Result<Confirmed> {
        Err(error::Error::Settings(
            "a database is not asked for one row".to_owned(),
        ))
    }
}

/// Why a database could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is none that we can connect to.
    #[error("the address of the database is none of `postgres://…` and `sqlite:…`")]
    Address,
    /// A file that TLS needs.
    #[error("TLS for the database cannot be set up: {0}")]
    Tls(String),
    /// There is no connection to be had.
    #[error("the database cannot be reached: {0}")]
    Connect(String),
    /// The database does not take our credentials, or does not let us read this.
    #[error("the database refuses us: {0}")]
    Refused(String),
    /// A statement took too long.
    #[error("the database did not answer within {0}")]
    Timeout(Span),
    /// The statement names something that is not there.
    #[error("the statement does not fit the database: {0}")]
    Changed(String),
    /// A value of the statement cannot be computed. The database's own words may repeat the value, so they are left out.
    #[error("the statement met a value that it cannot compute with (SQLSTATE {0})")]
    Value(String),
    /// Anything else.
    #[error("the database answered with an error: {0}")]
    Statement(String),
    /// Not one SELECT.
    #[error("{0}")]
    NotOne(NotOne),
    /// A column that we cannot read.
    #[error("column `{column}` is of type `{ty}`, which is not read; cast it in the statement")]
    Type {
        /// The column.
        column: String,
        /// Its type, as the database calls it.
        ty: String,
    },
    /// The count is not a number.
    #[error("`complete.count` gives no number")]
    Count,
}

impl Error {
    /// Whether another try may help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Connect(_) | Self::Timeout(_))
    }

    /// Why outcomes that need this evidence are not known.
    pub fn unknown(&self) -> Unknown {
        match self {
            Self::Refused(_) => Unknown::Auth,
            Self::Timeout(_) => Unknown::Timeout,
            Self::Changed(_) => Unknown::SchemaChanged,
            Self::Type { .. } | Self::Value(_) | Self::Count => Unknown::TypeError,
            Self::Address
            | Self::Tls(_)
            | Self::Connect(_)
            | Self::Statement(_)
            | Self::NotOne(_) => Unknown::SourceError,
        }
    }

    fn timeout(after: Duration) -> Self {
        Self::Timeout(Span::millis(
            u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
        ))
    }

    /// Sorts what the driver says; `timeout` is what a cancelled statement had.
    fn of(error: &sqlx::Error, timeout: Duration) -> Self {
        let sqlx::Error::Database(said) = error else {
            return match error {
                sqlx::Error::Io(e) => Self::Connect(e.to_string()),
                sqlx::Error::Tls(e) => Self::Connect(format!("TLS: {e}")),
                other => Self::Statement(other.to_string()),
            };
        };
        // The message alone: what else comes with it repeats values, or names lines of the server's own code.
        let message = said.message().to_owned();
        match said.code().as_deref() {
            Some("57014" | "9") => Self::timeout(timeout),
            Some(c) if c.starts_with("28") || c == "42501" || c == "3D000" => {
                Self::Refused(message)
            }
            Some(c) if c.len() == 5 && c.starts_with("22") => Self::Value(c.to_owned()),
            Some("42P01" | "42703" | "3F000" | "42883") => Self::Changed(message),
            Some("57P03" | "53300" | "5" | "6" | "14") => Self::Connect(message),
            // SQLite says all mistakes of a statement with one code.
            Some("1") if message.starts_with("no such") => Self::Changed(message),
            _ => Self::Statement(message),
        }
    }
}

/// Why a text is not one SELECT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotOne {
    /// Something else than `SELECT`, `WITH`, `VALUES` or `TABLE` comes first.
    #[error("the statement does not begin with SELECT or WITH")]
    Kind,
    /// There is more after a semicolon.
    #[error("there is more than one statement")]
    Several,
}

/// Whether a text is one statement that only reads, as far as its words show. The read-only
/// transaction holds it to that; this only says it better, and SQLite would run all of several.
///
/// # Errors
/// What it is instead.
pub fn one_select(sql: &str) -> Result<(), NotOne> {
    let bare = blank(sql);
    let word: String = bare
        .trim_start_matches(|c: char| c.is_whitespace() || c == '(')
        .chars()
        .take_while(char::is_ascii_alphabetic)
        .collect();
    if !["select", "with", "values", "table"].contains(&word.to_ascii_lowercase().as_str()) {
        return Err(NotOne::Kind);
    }
    match bare.split_once(';') {
        Some((_, rest)) if rest.chars().any(|c| !c.is_whitespace() && c != ';') => {
            Err(NotOne::Several)
        }
        _ => Ok(()),
    }
}

/// The statement with comments and everything in quotes blanked out.
fn blank(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len());
    let mut rest = sql;
    while let Some(c) = rest.chars().next() {
        let skip = match c {
            '\'' | '"' | '`' => quoted(rest, c),
            '$' => dollar(rest),
            '-' if rest.starts_with("--") => rest.find('\n'),
            '/' if rest.starts_with("/*") => rest.find("*/").map(|i| i + 2),
            _ => Some(0),
        };
        match skip {
            Some(0) => {
                out.push(c);
                rest = rest.get(c.len_utf8()..).unwrap_or_default();
            }
            Some(n) => {
                out.push(' ');
                rest = rest.get(n..).unwrap_or_default();
            }
            None => return out,
        }
    }
    out
}

/// Length of a text in quotes, a doubled quote being part of it.
fn quoted(text: &str, quote: char) -> Option<usize> {
    let mut at = 1;
    loop {
        let close = at + text.get(at..)?.find(quote)?;
        at = close + 1;
        if !text.get(at..)?.starts_with(quote) {
            return Some(at);
        }
        at += 1;
    }
}

/// Length of `$tag$ … $tag$`, or 0 when the dollar begins nothing of that kind.
fn dollar(text: &str) -> Option<usize> {
    let tag_end = text
        .get(1..)?
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let Some(tag) = tag_end
        .and_then(|i| text.get(..i + 2))
        .filter(|t| t.ends_with('$'))
    else {
        return Some(0);
    };
    let body = text.get(tag.len()..)?;
    body.find(tag).map(|i| i + 2 * tag.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_one_statement_that_reads_is_taken() {
        for fine in [
            "select 1",
            "SELECT 1;",
            "  -- the vendors\n/* all; of */ with a as (select 1) select * from a ; ",
            "(select 1) union (select 2)",
            "values (1)",
            "select ';', \"a;b\", 'it''s; ' from t",
            "select $$ a; b $$, $x$ ; $x$",
        ] {
            assert_eq!(one_select(fine), Ok(()), "{fine}");
        }
        for (sql, why) in [
            ("", NotOne::Kind),
            ("delete from t", NotOne::Kind),
            ("-- select\ndrop table t", NotOne::Kind),
            ("pragma journal_mode = delete", NotOne::Kind),
            ("select 1; delete from t", NotOne::Several),
            ("select 1;;select 2", NotOne::Several),
            ("select ';' ; select 2", NotOne::Several),
            ("select 1 /* */ ; /* x */ select 2", NotOne::Several),
        ] {
            assert_eq!(one_select(sql), Err(why), "{sql}");
        }
    }

    proptest! {
        #[test]
        fn no_statement_makes_it_panic(sql in "[selct $x'\"`;*/\\-\nµ]{0,40}") {
            let _ = one_select(&sql);
        }
    }
}
