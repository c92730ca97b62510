//! Every definition that ever judged anything, by its digest: controls, policies, configurations. An old
//! run is replayed with the definition it had. Inserted once, never changed.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::FromRow;

use super::{
    Tx,
    error::Result,
    row::{Place, us},
};
use crate::{choice, model::id::Sha};

choice! {
    /// What a definition defines.
    pub enum Kind {
        /// A control: everything that can change an outcome.
        Control = "control",
        /// A policy with its provisions.
        Policy = "policy",
        /// How a connector reads a dataset.
        Dataset = "dataset",
        /// The whole configuration, without secrets.
        Config = "config",
    }
}

/// A definition as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    /// What it defines.
    pub kind: Kind,
    /// The id of the control or policy.
    pub name: String,
    /// The definition itself.
    pub body: Value,
    /// When it was first in force.
    pub first_seen: DateTime<Utc>,
}

#[derive(FromRow)]
struct Raw {
    digest: String,
    kind: String,
    name: String,
    body: String,
    first_seen: DateTime<Utc>,
}

impl Raw {
    /// The body is kept as text, byte for byte, so that its digest can be checked again here.
    fn read(self) -> Result<(Sha, Definition)> {
        let at = Place {
            table: "definition",
            id: &self.digest,
        };
        let digest: Sha = at.text("digest", &self.digest)?;
        if Sha::of(&self.body) != digest {
            return Err(at.wrong("body"));
        }
        let definition = Definition {
            kind: at.text("kind", &self.kind)?,
            body: at.text("body", &self.body)?,
            name: self.name,
            first_seen: self.first_seen,
        };
        Ok((digest, definition))
    }
}

/// Keeps a definition, unless it is kept already, and gives its digest: that of its canonical JSON, as
/// [`Sha::of_json`] computes it.
pub async fn put(tx: &mut Tx, definition: &Definition) -> Result<Sha> {
    let body = canonical(&definition.body);
    let digest = Sha::of(&body);
    let sql =
        "insert into definition (digest, kind, name, body, first_seen) values ($1, $2, $3, $4, $5)
        on conflict (digest) do nothing";
    change!(
        tx,
        sqlx::query(sql)
            .bind(digest.to_string())
            .bind(definition.kind.as_str())
            .bind(&definition.name)
            .bind(&body)
            .bind(us(definition.first_seen))
    );
    Ok(digest)
}

/// The definition with that digest.
pub async fn get(tx: &mut Tx, digest: Sha) -> Result<Option<Definition>> {
    let sql = "select * from definition where digest = $1";
    let raw: Option<Raw> =
        on!(tx, c => sqlx::query_as(sql).bind(digest.to_string()).fetch_optional(c).await)?;
    raw.map(|r| r.read().map(|(_, d)| d)).transpose()
}

/// Every definition that something ever had, oldest first.
pub async fn versions(tx: &mut Tx, kind: Kind, name: &str) -> Result<Vec<(Sha, Definition)>> {
    let sql = "select * from definition where kind = $1 and name = $2 order by first_seen, digest";
    let raw: Vec<Raw> =
        on!(tx, c => sqlx::query_as(sql).bind(kind.as_str()).bind(name).fetch_all(c).await)?;
    raw.into_iter().map(Raw::read).collect()
}

/// The canonical JSON (RFC 8785) of a value, over which [`Sha::of_json`] runs.
fn canonical(value: &Value) -> String {
    serde_json_canonicalizer::to_string(value).unwrap_or_else(|_| value.to_string())
}
