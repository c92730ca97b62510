//! Why the store could not do what it was asked. An absence is never an error, but `None`.

use std::{io, path::PathBuf};

use sqlx::error::ErrorKind;

/// What a function of the store gives.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database refused, or could not be reached.
    #[error("database: {}", said(.0))]
    Driver(sqlx::Error),
    /// A row cannot be read back: somebody else wrote it, or a newer program.
    #[error("table `{table}`, row `{id}`: `{column}` cannot be read back")]
    Inconsistent {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row's key.
        id: String,
    },
    /// A statement changed more or fewer rows than it must; nothing of the transaction may stay.
    #[error("{what}: {expected} rows were to change, {actual} did")]
    RowsAffected {
        /// What was being done.
        what: &'static str,
        /// How many had to change.
        expected: u64,
        /// How many did.
        actual: u64,
    },
    /// Another worker took over after our lease ran out. What was done under it must not be written.
    #[error("the lease on {what} `{id}` was lost to another worker")]
    LeaseLost {
        /// What kind of thing.
        what: &'static str,
        /// Which.
        id: String,
    },
    /// Somebody else changed it between our reading and our writing.
    #[error("{what} was changed by somebody else meanwhile; look at it again")]
    Changed {
        /// What.
        what: String,
    },
    /// A newer Tripline made or migrated this database.
    #[error(
        "the database has schema {found}, this program knows {known}; start the newer Tripline that migrated it"
    )]
    SchemaTooNew {
        /// The schema of the database.
        found: i64,
        /// The newest schema that this program knows.
        known: i64,
    },
    /// The database was not migrated yet.
    #[error(
        "the database has schema {found}, this program needs {needed}; run `tripline db migrate`"
    )]
    SchemaTooOld {
        /// The schema of the database; 0 when there is none.
        found: i64,
        /// The schema that this program needs.
        needed: i64,
    },
    /// A migration is not what it was when it was applied: another program's database, or an edited build.
    #[error(
        "migration {version} of the database is `{found}`, this program's is `{ours}`, or their texts differ"
    )]
    SchemaDiffers {
        /// The migration.
        version: i64,
        /// Its name in the database.
        found: String,
        /// Its name in this program.
        ours: &'static str,
    },
    /// The address is neither SQLite's nor PostgreSQL's.
    #[error(
        "`store:` is `sqlite:PATH` or `postgres://USER@HOST/DATABASE`, given as text or by `{{ env: NAME }}`"
    )]
    Address,
    /// The secret that holds the address cannot be read.
    #[error("the address of the store cannot be read")]
    Secret(#[from] crate::catalog::secret::Error),
    /// The audit log is not whole: hashes that it needs are gone or wrong.
    #[error("the audit log cannot be continued")]
    Log(#[from] crate::audit::log::Error),
    /// A leaf cannot be written as JSON.
    #[error("a leaf of the audit log cannot be written")]
    Leaf(#[source] serde_json::Error),
    /// A file or a folder cannot be used.
    #[error("`{path}` cannot be used")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is there already, and a backup never overwrites.
    #[error("`{0}` exists; a backup is never written over another file")]
    Exists(PathBuf),
    /// PostgreSQL has its own tool for that.
    #[error(
        "PostgreSQL is backed up with its own tool: `pg_dump --format=custom --file={0} DATABASE`"
    )]
    UsePgDump(String),
}

/// The kind of rule that a write broke. SQLite does not say which constraint it was, so neither do we.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Constraint {
    /// The key is taken.
    Unique,
    /// What it refers to is not there.
    ForeignKey,
    /// A value is missing.
    NotNull,
    /// A value is not allowed.
    Check,
}

impl Error {
    /// Whether the same call may succeed later without anybody's doing: the database was busy, away
    /// or starting, or two transactions were in each other's way.
    pub fn is_transient(&self) -> bool {
        let Self::Driver(error) = self else {
            return false;
        };
        match error {
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed => true,
            sqlx::Error::Database(error) => error.code().is_some_and(|code| is_passing(&code)),
            _ => false,
        }
    }

    /// The rule that a write broke, if that is why it was refused.
    pub fn constraint(&self) -> Option<Constraint> {
        let Self::Driver(sqlx::Error::Database(error)) = self else {
            return None;
        };
        match error.kind() {
            ErrorKind::UniqueViolation => Some(Constraint::Unique),
            ErrorKind::ForeignKeyViolation => Some(Constraint::ForeignKey),
            ErrorKind::NotNullViolation => Some(Constraint::NotNull),
            ErrorKind::CheckViolation => Some(Constraint::Check),
            _ => None,
        }
    }
}

/// Codes of conditions that pass. PostgreSQL has five characters: connection lost (class 08), serialisation
/// and deadlock (40), too many connections, shutting down or starting, lock not available, read-only
/// because a standby was promoted or not yet. SQLite has a number whose low byte is 5 (busy) or 6 (locked).
fn is_passing(code: &str) -> bool {
    if code.len() == 5 {
        return code.starts_with("08")
            || code.starts_with("57P")
            || ["40001", "40P01", "53300", "55P03", "25006"].contains(&code);
    }
    code.parse::<u32>().is_ok_and(|n| matches!(n & 0xff, 5 | 6))
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Driver(error)
    }
}

/// What the driver says, once: its own texts repeat their source.
fn said(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        sqlx::Error::Io(error) => format!("cannot be reached: {error}"),
        sqlx::Error::PoolTimedOut => "no connection became free in time".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_is_transient() {
        for code in ["5", "6", "517", "262", "40P01", "08006", "57P03", "53300"] {
            assert!(is_passing(code), "{code}");
        }
        for code in ["1", "13", "2067", "23505", "53100", "42P01", "28P01"] {
            assert!(!is_passing(code), "{code}");
        }
        assert!(Error::from(sqlx::Error::PoolTimedOut).is_transient());
        assert!(!Error::Address.is_transient());
        let lost = Error::LeaseLost {
            what: "tick",
            id: "a".to_owned(),
        };
        assert!(!lost.is_transient());
    }

    #[test]
    fn an_error_says_what_and_how_to_mend_it() {
        insta::assert_snapshot!(Error::SchemaTooOld { found: 0, needed: 1 }, @"the database has schema 0, this program needs 1; run `tripline db migrate`");
        insta::assert_snapshot!(Error::Address, @"`store:` is `sqlite:PATH` or `postgres://USER@HOST/DATABASE`, given as text or by `{ env: NAME }`");
    }
}
