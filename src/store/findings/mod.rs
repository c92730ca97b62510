//! Findings as they stand. Written only by [`apply`], which writes what changed and nothing else: a run
//! that changes nothing writes no row.

mod apply;
mod filter;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::{FromRow, QueryBuilder};

pub use apply::apply;
pub use filter::{Filter, Order, Owned, count, list};

use super::{
    Tx,
    error::Result,
    row::{Doc, Found, NAMES_SHOWN, Place, after_prefix, runs_of},
};
use crate::model::{
    finding::{Finding, State, Status},
    id::{ControlId, FindingKey, SubjectId},
    outcome::Row,
    policy::Severity,
};

#[derive(FromRow)]
struct Raw {
    key: String,
    control: String,
    subject: String,
    status: String,
    state: Doc<State>,
    severity: String,
    owners: Doc<Vec<String>>,
    rows: Doc<Vec<Row>>,
    row_count: i64,
    fingerprint: Doc<BTreeMap<String, Vec<String>>>,
    facts: Doc<BTreeMap<String, String>>,
    first_seen: DateTime<Utc>,
    run: String,
    changed_at: DateTime<Utc>,
    covered_by: Option<String>,
    definition: String,
}

impl Raw {
    fn read(self) -> Result<Finding> {
        let at = Place {
            table: "finding",
            id: &self.key,
        };
        let state = self.state.0;
        if state.status != at.text("status", &self.status)? {
            return Err(at.wrong("status"));
        }
        Ok(Finding {
            key: at.text("key", &self.key)?,
            severity: at.text("severity", &self.severity)?,
            row_count: at.count("row_count", self.row_count)?,
            definition: at.text("definition", &self.definition)?,
            control: self.control.into(),
            subject: self.subject.into(),
            state,
            owners: self.owners.0,
            rows: self.rows.0,
            fingerprint: self.fingerprint.0,
            facts: self.facts.0,
            first_seen: self.first_seen,
            run: self.run.into(),
            changed_at: self.changed_at,
            covered_by: self.covered_by.map(Into::into),
        })
    }
}

fn read_all(raw: Vec<Raw>) -> Result<Vec<Finding>> {
    raw.into_iter().map(Raw::read).collect()
}

/// Every finding of a control, by subject. In a transaction that writes, this waits until no other
/// worker records the same control and keeps others waiting until the end, so that what is decided from
/// these findings still holds when it is applied. One who needs several controls takes them sorted.
pub async fn of_control(tx: &mut Tx, control: &ControlId) -> Result<Vec<Finding>> {
    tx.turn(&format!("control:{control}")).await?;
    let sql = "select * from finding where control = $1 order by subject, key";
    let raw = on!(tx, c => sqlx::query_as(sql).bind(control.as_str()).fetch_all(c).await)?;
    read_all(raw)
}

/// The subjects that a control has findings of, sorted: those that an evaluation must speak of.
pub async fn subjects(tx: &mut Tx, control: &ControlId) -> Result<Vec<SubjectId>> {
    let sql = "select subject from finding where control = $1 order by subject";
    let rows: Vec<String> =
        on!(tx, c => sqlx::query_scalar(sql).bind(control.as_str()).fetch_all(c).await)?;
    Ok(rows.into_iter().map(SubjectId::from).collect())
}

/// Every control that has findings, sorted; those that no longer exist are to be retired.
pub async fn controls(tx: &mut Tx) -> Result<Vec<ControlId>> {
    let sql = "select distinct control from finding order by control";
    let rows: Vec<String> = on!(tx, c => sqlx::query_scalar(sql).fetch_all(c).await)?;
    Ok(rows.into_iter().map(ControlId::from).collect())
}

/// Every finding on a subject, by control.
pub async fn of_subject(tx: &mut Tx, subject: &SubjectId) -> Result<Vec<Finding>> {
    let sql = "select * from finding where subject = $1 order by control, key";
    let raw = on!(tx, c => sqlx::query_as(sql).bind(subject.as_str()).fetch_all(c).await)?;
    read_all(raw)
}

/// Which of some subjects fail another control than this one and are covered by nothing there, each with the first such
/// control.
pub async fn open_elsewhere(
    tx: &mut Tx,
    control: &ControlId,
    subjects: &[SubjectId],
) -> Result<BTreeMap<SubjectId, ControlId>> {
    let mut found = BTreeMap::new();
    for run in runs_of(subjects) {
        let rows: Vec<(String, String)> = on!(tx, c => {
            let mut q = QueryBuilder::new("select subject, min(control) from finding where subject in (");
            let mut list = q.separated(", ");
            for subject in run {
                list.push_bind(subject.as_str());
            }
            q.push(") and ").push(filter::OPEN);
            q.push(" and covered_by is null and control <> ").push_bind(control.as_str()).push(" group by subject");
            q.build_query_as().fetch_all(c).await
        })?;
        let ids = |(subject, control)| (SubjectId::from(subject), ControlId::from(control));
        found.extend(rows.into_iter().map(ids));
    }
    Ok(found)
}

/// The finding of that key.
pub async fn get(tx: &mut Tx, key: FindingKey) -> Result<Option<Finding>> {
    let sql = "select * from finding where key = $1";
    let raw: Option<Raw> =
        on!(tx, c => sqlx::query_as(sql).bind(key.to_string()).fetch_optional(c).await)?;
    raw.map(Raw::read).transpose()
}

/// The findings of some keys, by key; one that is not there is left out.
pub async fn of_keys(tx: &mut Tx, keys: &[FindingKey]) -> Result<BTreeMap<FindingKey, Finding>> {
    let mut found = BTreeMap::new();
    for run in runs_of(keys) {
        let raw = on!(tx, c => {
            let mut q = QueryBuilder::new("select * from finding where key in (");
            let mut list = q.separated(", ");
            for key in run {
                list.push_bind(key.to_string());
            }
            q.push(") order by key");
            q.build_query_as().fetch_all(c).await
        })?;
        found.extend(read_all(raw)?.into_iter().map(|f| (f.key, f)));
    }
    Ok(found)
}

/// The finding that a person means by `fnd-` and some digits, or by the digits alone.
pub async fn named(tx: &mut Tx, name: &str) -> Result<Found<Finding>> {
    let prefix = name
        .strip_prefix("fnd-")
        .unwrap_or(name)
        .to_ascii_lowercase();
    if prefix.is_empty() || !prefix.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(Found::Nothing);
    }
    let sql = "select * from finding where key >= $1 and key < $2 order by key limit $3";
    let raw = on!(tx, c => sqlx::query_as(sql).bind(&prefix).bind(after_prefix(&prefix)).bind(i64::from(NAMES_SHOWN)).fetch_all(c).await)?;
    Ok(Found::among(read_all(raw)?, |f| f.key.short()))
}

/// How many findings there are of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Of this control.
    pub control: ControlId,
    /// Standing there.
    pub status: Status,
    /// So bad.
    pub severity: Severity,
    /// Kept silent by an exception.
    pub covered: bool,
    /// Nothing is known of them at present.
    pub unverified: bool,
    /// So many.
    pub findings: u64,
}

/// How many findings there are, by control, status, severity, coverage, and whether they can be verified.
pub async fn tally(tx: &mut Tx) -> Result<Vec<Tally>> {
    let sql = "select control, status, severity, covered_by is not null, unverified_since is not null, count(*)
        from finding group by 1, 2, 3, 4, 5 order by 1, 2, 3, 4, 5";
    let rows: Vec<(String, String, String, bool, bool, i64)> =
        on!(tx, c => sqlx::query_as(sql).fetch_all(c).await)?;
    rows.into_iter()
        .map(
            |(control, status, severity, covered, unverified, findings)| {
                let at = Place {
                    table: "finding",
                    id: &control,
                };
                Ok(Tally {
                    status: at.text("status", &status)?,
                    severity: at.text("severity", &severity)?,
                    findings: at.count("count", findings)?,
                    control: control.as_str().into(),
                    covered,
                    unverified,
                })
            },
        )
        .collect()
}
