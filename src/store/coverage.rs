//! When which exception kept which finding silent: opened and closed, never written over.

use chrono::{DateTime, Utc};
use sqlx::FromRow;

use super::{Tx, error::Result, row::us};
use crate::model::id::{ControlId, ExceptionId, FindingKey, SubjectId};

/// A finding is silent from now on because of an exception.
pub async fn cover(
    tx: &mut Tx,
    id: &ExceptionId,
    finding: FindingKey,
    at: DateTime<Utc>,
) -> Result<()> {
    let sql = "insert into coverage (exception, finding, opened_at) values ($1, $2, $3)
        on conflict (exception, finding, opened_at) do nothing";
    change!(
        tx,
        sqlx::query(sql)
            .bind(id.as_str())
            .bind(finding.to_string())
            .bind(us(at))
    );
    Ok(())
}

/// A finding is no longer silent because of an exception, or need not be.
pub async fn uncover(
    tx: &mut Tx,
    finding: FindingKey,
    because: &str,
    at: DateTime<Utc>,
) -> Result<()> {
    let sql = "update coverage set closed_at = $1, closed_because = $2 where finding = $3 and closed_at is null";
    change!(
        tx,
        sqlx::query(sql)
            .bind(us(at))
            .bind(because)
            .bind(finding.to_string())
    );
    Ok(())
}

/// When an exception kept a finding silent.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Covered {
    /// The exception.
    pub exception: String,
    /// The finding.
    pub finding: String,
    /// From when on.
    pub opened_at: DateTime<Utc>,
    /// Until when.
    pub closed_at: Option<DateTime<Utc>>,
    /// Why it ended.
    pub closed_because: Option<String>,
}

/// Which exceptions kept findings on a subject silent at an instant: what was authorised then.
pub async fn covering(
    tx: &mut Tx,
    findings: &[FindingKey],
    at: DateTime<Utc>,
) -> Result<Vec<Covered>> {
    let mut all = Vec::new();
    let sql = "select * from coverage where finding = $1 and opened_at <= $2 and (closed_at is null or closed_at > $2)
        order by opened_at, exception";
    for finding in findings {
        let found: Vec<Covered> = on!(tx, c => sqlx::query_as(sql)
            .bind(finding.to_string())
            .bind(us(at))
            .fetch_all(c)
            .await)?;
        all.extend(found);
    }
    Ok(all)
}

/// What kept a finding silent after an instant, the first first.
pub async fn ever_covering(
    tx: &mut Tx,
    finding: FindingKey,
    after: DateTime<Utc>,
) -> Result<Vec<Covered>> {
    let sql = "select * from coverage where finding = $1 and opened_at > $2 order by opened_at, exception";
    Ok(on!(tx, c => sqlx::query_as(sql)
        .bind(finding.to_string())
        .bind(us(after))
        .fetch_all(c)
        .await)?)
}

/// What an exception ever kept silent, oldest first.
pub async fn covered_by(tx: &mut Tx, id: &ExceptionId) -> Result<Vec<Covered>> {
    let sql = "select * from coverage where exception = $1 order by opened_at, finding";
    Ok(on!(tx, c => sqlx::query_as(sql).bind(id.as_str()).fetch_all(c).await)?)
}

/// Which subjects of a control were covered at an instant, and by what.
pub async fn of_control(
    tx: &mut Tx,
    control: &ControlId,
    at: DateTime<Utc>,
) -> Result<Vec<(ExceptionId, SubjectId)>> {
    // From what is covered, which is little, to its findings: SQLite takes a cross join in the order it is written.
    let sql = "select c.exception, f.subject from coverage c cross join finding f
        where f.key = c.finding and f.control = $1 and c.opened_at <= $2 and (c.closed_at is null or c.closed_at > $2)
        order by c.exception, f.subject";
    let raw: Vec<(String, String)> = on!(tx, c => sqlx::query_as(sql)
        .bind(control.as_str())
        .bind(us(at))
        .fetch_all(c)
        .await)?;
    let ids = |(exception, subject)| (ExceptionId::from(exception), SubjectId::from(subject));
    Ok(raw.into_iter().map(ids).collect())
}
