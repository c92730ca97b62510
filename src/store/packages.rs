//! What was put before approvers, each by its digest. Written once, never changed: with it one proves what was seen.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::FromRow;

use super::{
    Tx,
    error::Result,
    row::{Doc, Place, us},
};
use crate::model::id::{ExceptionId, PersonId, Sha};

/// A package as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Package {
    /// The exception.
    pub exception: ExceptionId,
    /// Its revision.
    pub revision: u32,
    /// Who it was put before.
    pub person: PersonId,
    /// When.
    pub made_at: DateTime<Utc>,
    /// All of it.
    pub body: Value,
}

#[derive(FromRow)]
struct Raw {
    digest: String,
    exception: String,
    revision: i64,
    person: String,
    made_at: DateTime<Utc>,
    body: Doc<Value>,
}

impl Raw {
    fn read(self) -> Result<(Sha, Package)> {
        let at = Place {
            table: "package",
            id: &self.digest,
        };
        let digest: Sha = at.text("digest", &self.digest)?;
        let Doc(body) = self.body;
        if Sha::of_json(&body) != digest {
            return Err(at.wrong("body"));
        }
        let package = Package {
            revision: at.count("revision", self.revision)?,
            exception: self.exception.into(),
            person: self.person.into(),
            made_at: self.made_at,
            body,
        };
        Ok((digest, package))
    }
}

/// Keeps a package by the digest of its canonical JSON (RFC 8785), which is given.
pub async fn put(tx: &mut Tx, package: &Package) -> Result<Sha> {
    let digest = Sha::of_json(&package.body);
    let sql = "insert into package (digest, exception, revision, person, made_at, body)
        values ($1, $2, $3, $4, $5, $6) on conflict (digest) do nothing";
    change!(
        tx,
        sqlx::query(sql)
            .bind(digest.to_string())
            .bind(package.exception.as_str())
            .bind(i64::from(package.revision))
            .bind(package.person.as_str())
            .bind(us(package.made_at))
            .bind(Doc(&package.body))
    );
    Ok(digest)
}

/// The packages of an exception, oldest first.
pub async fn of(tx: &mut Tx, exception: &ExceptionId) -> Result<Vec<(Sha, Package)>> {
    let sql = "select * from package where exception = $1 order by made_at, digest";
    let raw: Vec<Raw> =
        on!(tx, c => sqlx::query_as(sql).bind(exception.as_str()).fetch_all(c).await)?;
    raw.into_iter().map(Raw::read).collect()
}
