//! Mutes: silence that somebody asked for, and that ends. Never deleted; lifting one early keeps who did it.

use chrono::{DateTime, Utc};
use sqlx::FromRow;

use super::{Tx, error::Result, row::us};
use crate::model::{id::PersonId, remark::Mute};

#[derive(FromRow)]
struct Raw {
    id: String,
    control: Option<String>,
    subject: Option<String>,
    until: DateTime<Utc>,
    reason: String,
    said_by: String,
    said_at: DateTime<Utc>,
}

impl From<Raw> for Mute {
    fn from(raw: Raw) -> Self {
        Self {
            id: raw.id,
            control: raw.control.map(Into::into),
            subject: raw.subject.map(Into::into),
            until: raw.until,
            reason: raw.reason,
            by: raw.said_by.into(),
            at: raw.said_at,
        }
    }
}

/// Adds a mute.
pub async fn insert(tx: &mut Tx, mute: &Mute) -> Result<()> {
    let sql = "insert into mute (id, control, subject, until, reason, said_by, said_at)
        values ($1, $2, $3, $4, $5, $6, $7)";
    change!(
        tx,
        sqlx::query(sql)
            .bind(&mute.id)
            .bind(mute.control.as_ref().map(AsRef::<str>::as_ref))
            .bind(mute.subject.as_ref().map(AsRef::<str>::as_ref))
            .bind(us(mute.until))
            .bind(&mute.reason)
            .bind(mute.by.as_str())
            .bind(us(mute.at))
    );
    Ok(())
}

/// Every mute that holds at an instant, the one that ends first first.
pub async fn in_force(tx: &mut Tx, now: DateTime<Utc>) -> Result<Vec<Mute>> {
    let sql = "select * from mute where until > $1 and (lifted_at is null or lifted_at > $1) and said_at <= $1
        order by until, id";
    let raw: Vec<Raw> = on!(tx, c => sqlx::query_as(sql).bind(us(now)).fetch_all(c).await)?;
    Ok(raw.into_iter().map(Into::into).collect())
}

/// Ends a mute before its time; whether it still held.
pub async fn lift(tx: &mut Tx, id: &str, by: &PersonId, at: DateTime<Utc>) -> Result<bool> {
    let sql = "update mute set lifted_by = $1, lifted_at = $2 where id = $3 and until > $2 and lifted_at is null";
    Ok(change!(tx, sqlx::query(sql).bind(by.as_str()).bind(us(at)).bind(id)) == 1)
}
