//! Reports as they were made, by the digest of their content. Kept, never changed.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::FromRow;

use super::{
    Tx,
    error::Result,
    row::{Doc, us},
};
use crate::model::id::Sha;

/// A report as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, FromRow, serde::Serialize)]
pub struct Made {
    /// The digest of its content.
    pub content: String,
    /// Which report.
    pub kind: String,
    /// Of which period.
    pub period: String,
    /// When it was made.
    pub made_at: DateTime<Utc>,
}

/// Keeps a report. Whether it is new: the same content is kept once.
pub async fn keep(
    tx: &mut Tx,
    (kind, period): (&str, &str),
    content: Sha,
    body: &Value,
    at: DateTime<Utc>,
) -> Result<bool> {
    let sql =
        "insert into report (content, kind, period, made_at, body) values ($1, $2, $3, $4, $5)
        on conflict (content) do nothing";
    let written = change!(
        tx,
        sqlx::query(sql)
            .bind(content.to_string())
            .bind(kind)
            .bind(period)
            .bind(us(at))
            .bind(Doc(body))
    );
    Ok(written > 0)
}

/// Reports of a kind, the newest first.
pub async fn list(tx: &mut Tx, kind: &str) -> Result<Vec<Made>> {
    let sql = "select content, kind, period, made_at from report where kind = $1 order by made_at desc, content";
    Ok(on!(tx, c => sqlx::query_as(sql).bind(kind).fetch_all(c).await)?)
}

/// A report as it was made.
pub async fn get(tx: &mut Tx, content: Sha) -> Result<Option<Value>> {
    let sql = "select body from report where content = $1";
    let raw: Option<(Doc<Value>,)> =
        on!(tx, c => sqlx::query_as(sql).bind(content.to_string()).fetch_optional(c).await)?;
    Ok(raw.map(|(Doc(body),)| body))
}
