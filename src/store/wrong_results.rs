//! What people say is wrong about results. Only added to: it is counted, and silences nothing.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::FromRow;

use super::{
    Tx,
    error::Result,
    row::{Place, us},
};
use crate::model::{
    id::{ControlId, FindingKey},
    remark::WrongResult,
};

#[derive(FromRow)]
struct Raw {
    id: String,
    finding: String,
    control: String,
    run: String,
    reason: String,
    said_by: String,
    said_at: DateTime<Utc>,
}

impl Raw {
    fn read(self) -> Result<WrongResult> {
        let at = Place {
            table: "wrong_result",
            id: &self.id,
        };
        Ok(WrongResult {
            finding: at.text("finding", &self.finding)?,
            control: self.control.into(),
            run: self.run.into(),
            reason: self.reason,
            by: self.said_by.into(),
            at: self.said_at,
            id: self.id,
        })
    }
}

/// Adds what somebody said.
pub async fn insert(tx: &mut Tx, wrong: &WrongResult) -> Result<()> {
    let sql = "insert into wrong_result (id, finding, control, run, reason, said_by, said_at)
        values ($1, $2, $3, $4, $5, $6, $7)";
    change!(
        tx,
        sqlx::query(sql)
            .bind(&wrong.id)
            .bind(wrong.finding.to_string())
            .bind(wrong.control.as_str())
            .bind(wrong.run.as_str())
            .bind(&wrong.reason)
            .bind(wrong.by.as_str())
            .bind(us(wrong.at))
    );
    Ok(())
}

/// What was said of a finding, oldest first.
pub async fn of_finding(tx: &mut Tx, finding: FindingKey) -> Result<Vec<WrongResult>> {
    let sql = "select * from wrong_result where finding = $1 order by said_at, id";
    let raw: Vec<Raw> =
        on!(tx, c => sqlx::query_as(sql).bind(finding.to_string()).fetch_all(c).await)?;
    raw.into_iter().map(Raw::read).collect()
}

/// What was said of the results of a control, oldest first.
pub async fn of_control(tx: &mut Tx, control: &ControlId) -> Result<Vec<WrongResult>> {
    let sql = "select * from wrong_result where control = $1 order by said_at, id";
    let raw: Vec<Raw> =
        on!(tx, c => sqlx::query_as(sql).bind(control.as_str()).fetch_all(c).await)?;
    raw.into_iter().map(Raw::read).collect()
}

/// How often results of each control were said to be wrong since an instant.
pub async fn counts(tx: &mut Tx, since: DateTime<Utc>) -> Result<BTreeMap<ControlId, u64>> {
    let sql = "select control, count(*) from wrong_result where said_at >= $1 group by control order by control";
    let rows: Vec<(String, i64)> =
        on!(tx, c => sqlx::query_as(sql).bind(us(since)).fetch_all(c).await)?;
    rows.into_iter()
        .map(|(control, n)| {
            let n = Place {
                table: "wrong_result",
                id: &control,
            }
            .count("count", n)?;
            Ok((control.into(), n))
        })
        .collect()
}
