//! Who lets whom act in their place: in one role, for a time. Never deleted.

use chrono::{DateTime, Utc};
use sqlx::FromRow;

use super::{Tx, error::Result, row::us};
use crate::model::id::PersonId;

/// Somebody lets another act in their place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegation {
    /// Its id, `dlg-` and a UUIDv7.
    pub id: String,
    /// Who lets.
    pub person: PersonId,
    /// Who acts.
    pub delegate: PersonId,
    /// In which role.
    pub role: String,
    /// From when on.
    pub begins_at: DateTime<Utc>,
    /// Until when.
    pub ends_at: DateTime<Utc>,
    /// Why.
    pub because: String,
    /// Since when it is known.
    pub created_at: DateTime<Utc>,
    /// When it was taken back.
    pub revoked_at: Option<DateTime<Utc>>,
}

#[derive(FromRow)]
struct Raw {
    id: String,
    person: String,
    delegate: String,
    role: String,
    begins_at: DateTime<Utc>,
    ends_at: DateTime<Utc>,
    because: String,
    created_at: DateTime<Utc>,
    revoked_at: Option<DateTime<Utc>>,
}

impl From<Raw> for Delegation {
    fn from(raw: Raw) -> Self {
        Self {
            id: raw.id,
            person: raw.person.into(),
            delegate: raw.delegate.into(),
            role: raw.role,
            begins_at: raw.begins_at,
            ends_at: raw.ends_at,
            because: raw.because,
            created_at: raw.created_at,
            revoked_at: raw.revoked_at,
        }
    }
}

/// Adds one.
pub async fn insert(tx: &mut Tx, one: &Delegation) -> Result<()> {
    let sql = "insert into delegation (id, person, delegate, role, begins_at, ends_at, because, created_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8)";
    change!(
        tx,
        sqlx::query(sql)
            .bind(&one.id)
            .bind(one.person.as_str())
            .bind(one.delegate.as_str())
            .bind(&one.role)
            .bind(us(one.begins_at))
            .bind(us(one.ends_at))
            .bind(&one.because)
            .bind(us(one.created_at))
    );
    Ok(())
}

/// Those in whose place somebody may act at an instant.
pub async fn to(tx: &mut Tx, delegate: &PersonId, now: DateTime<Utc>) -> Result<Vec<Delegation>> {
    let sql = "select * from delegation where delegate = $1 and begins_at <= $2 and ends_at > $2 and revoked_at is null
        order by ends_at, id";
    let raw: Vec<Raw> = on!(tx, c => sqlx::query_as(sql)
        .bind(delegate.as_str())
        .bind(us(now))
        .fetch_all(c)
        .await)?;
    Ok(raw.into_iter().map(Into::into).collect())
}

/// Every one that there ever was, the newest first.
pub async fn list(tx: &mut Tx) -> Result<Vec<Delegation>> {
    let sql = "select * from delegation order by created_at desc, id desc";
    let raw: Vec<Raw> = on!(tx, c => sqlx::query_as(sql).fetch_all(c).await)?;
    Ok(raw.into_iter().map(Into::into).collect())
}

/// Takes one back; whether it was still good. Only whoever gave it may.
pub async fn revoke(tx: &mut Tx, id: &str, by: &PersonId, at: DateTime<Utc>) -> Result<bool> {
    let sql = "update delegation set revoked_at = $1 where id = $2 and person = $3 and revoked_at is null";
    let changed = change!(tx, sqlx::query(sql).bind(us(at)).bind(id).bind(by.as_str()));
    Ok(changed == 1)
}
