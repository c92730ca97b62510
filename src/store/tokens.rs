//! Personal tokens: who acts. Only the digest of a token is kept, so nobody who reads this table can act.

use chrono::{DateTime, Utc};
use sqlx::FromRow;

use super::{
    Tx,
    error::Result,
    row::{Doc, us},
};
use crate::model::id::{PersonId, Sha};

/// A token as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its id, `tok-` and a UUIDv7.
    pub id: String,
    /// Whose it is.
    pub person: PersonId,
    /// What it is called.
    pub name: String,
    /// What it may be used for.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
    /// When it was taken back.
    pub revoked_at: Option<DateTime<Utc>>,
}

#[derive(FromRow)]
struct Raw {
    id: String,
    person: String,
    name: String,
    scopes: Doc<Vec<String>>,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    revoked_at: Option<DateTime<Utc>>,
}

impl From<Raw> for Token {
    fn from(raw: Raw) -> Self {
        Self {
            id: raw.id,
            person: raw.person.into(),
            name: raw.name,
            scopes: raw.scopes.0,
            created_at: raw.created_at,
            expires_at: raw.expires_at,
            revoked_at: raw.revoked_at,
        }
    }
}

/// Keeps a token by its digest.
pub async fn insert(tx: &mut Tx, token: &Token, digest: Sha) -> Result<()> {
    let sql = "insert into token (id, digest, person, name, scopes, created_at, expires_at)
        values ($1, $2, $3, $4, $5, $6, $7)";
    change!(
        tx,
        sqlx::query(sql)
            .bind(&token.id)
            .bind(digest.to_string())
            .bind(token.person.as_str())
            .bind(&token.name)
            .bind(Doc(&token.scopes))
            .bind(us(token.created_at))
            .bind(us(token.expires_at))
    );
    Ok(())
}

/// The token of that digest.
pub async fn get(tx: &mut Tx, digest: Sha) -> Result<Option<Token>> {
    let sql = "select id, person, name, scopes, created_at, expires_at, revoked_at from token where digest = $1";
    let raw: Option<Raw> =
        on!(tx, c => sqlx::query_as(sql).bind(digest.to_string()).fetch_optional(c).await)?;
    Ok(raw.map(Into::into))
}

/// Every token, the newest first.
pub async fn list(tx: &mut Tx) -> Result<Vec<Token>> {
    let sql = "select id, person, name, scopes, created_at, expires_at, revoked_at from token
        order by created_at desc, id desc";
    let raw: Vec<Raw> = on!(tx, c => sqlx::query_as(sql).fetch_all(c).await)?;
    Ok(raw.into_iter().map(Into::into).collect())
}

/// Takes a token back; whether it was still good.
pub async fn revoke(tx: &mut Tx, id: &str, at: DateTime<Utc>) -> Result<bool> {
    let sql = "update token set revoked_at = $1 where id = $2 and revoked_at is null";
    Ok(change!(tx, sqlx::query(sql).bind(us(at)).bind(id)) == 1)
}
