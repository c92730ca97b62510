//! Runs: what was evaluated, when, over which evidence, with which counts. Inserted once, never changed.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, QueryBuilder};

use super::{
    Tx,
    error::Result,
    row::{Doc, Found, NAMES_SHOWN, Page, Place, after_prefix, int, runs_of, us},
};
use crate::model::{
    id::{ControlId, RunId, Sha},
    outcome::{Counts, Unknown},
    run::{Run, Used},
};

#[derive(FromRow)]
struct Raw {
    id: String,
    control: String,
    scheduled_for: DateTime<Utc>,
    cause: String,
    instant: DateTime<Utc>,
    ended_at: DateTime<Utc>,
    not_checked: Option<String>,
    detail: Option<String>,
    population: i64,
    pass_count: i64,
    fail_count: i64,
    unknown_count: i64,
    evidence: Doc<Vec<Used>>,
    definition: String,
    outcomes: String,
    counted: bool,
    config: String,
}

impl Raw {
    fn read(self) -> Result<Run> {
        let at = Place {
            table: "run",
            id: &self.id,
        };
        Ok(Run {
            cause: at.text("cause", &self.cause)?,
            not_checked: at.text_opt("not_checked", self.not_checked.as_deref())?,
            counts: Counts {
                population: at.count("population", self.population)?,
                pass: at.count("pass_count", self.pass_count)?,
                fail: at.count("fail_count", self.fail_count)?,
                unknown: at.count("unknown_count", self.unknown_count)?,
            },
            definition: at.text("definition", &self.definition)?,
            outcomes: at.text("outcomes", &self.outcomes)?,
            config: at.text("config", &self.config)?,
            control: self.control.into(),
            scheduled_for: self.scheduled_for,
            instant: self.instant,
            ended_at: self.ended_at,
            detail: self.detail,
            evidence: self.evidence.0,
            counted: self.counted,
            id: self.id.into(),
        })
    }
}

fn read_all(raw: Vec<Raw>) -> Result<Vec<Run>> {
    raw.into_iter().map(Raw::read).collect()
}

/// Records a run and which snapshots it used. Those must be in the store by the end of the transaction.
pub async fn insert(tx: &mut Tx, run: &Run) -> Result<()> {
    let sql = "insert into run (id, control, scheduled_for, cause, instant, ended_at, not_checked, detail, population,
        pass_count, fail_count, unknown_count, evidence, definition, outcomes, counted, config)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";
    change!(
        tx,
        sqlx::query(sql)
            .bind(run.id.as_str())
            .bind(run.control.as_str())
            .bind(us(run.scheduled_for))
            .bind(run.cause.as_str())
            .bind(us(run.instant))
            .bind(us(run.ended_at))
            .bind(run.not_checked.map(Unknown::as_str))
            .bind(run.detail.as_deref())
            .bind(int(run.counts.population))
            .bind(int(run.counts.pass))
            .bind(int(run.counts.fail))
            .bind(int(run.counts.unknown))
            .bind(Doc(&run.evidence))
            .bind(run.definition.to_string())
            .bind(run.outcomes.to_string())
            .bind(run.counted)
            .bind(run.config.to_string())
    );
    let sql = "insert into run_snapshot (run, snapshot) values ($1, $2) on conflict (run, snapshot) do nothing";
    for snapshot in run.evidence.iter().filter_map(|u| u.snapshot.as_ref()) {
        change!(
            tx,
            sqlx::query(sql)
                .bind(run.id.as_str())
                .bind(snapshot.as_str())
        );
    }
    Ok(())
}

/// The run of that id.
pub async fn get(tx: &mut Tx, id: &RunId) -> Result<Option<Run>> {
    let sql = "select * from run where id = $1";
    let raw: Option<Raw> =
        on!(tx, c => sqlx::query_as(sql).bind(id.as_str()).fetch_optional(c).await)?;
    raw.map(Raw::read).transpose()
}

/// The run that a person means by the beginning of its id, with or without `run-`.
pub async fn named(tx: &mut Tx, name: &str) -> Result<Found<Run>> {
    let prefix = format!(
        "run-{}",
        name.strip_prefix("run-")
            .unwrap_or(name)
            .to_ascii_lowercase()
    );
    let sql = "select * from run where id >= $1 and id < $2 order by id limit $3";
    let raw = on!(tx, c => sqlx::query_as(sql).bind(&prefix).bind(after_prefix(&prefix)).bind(i64::from(NAMES_SHOWN)).fetch_all(c).await)?;
    Ok(Found::among(read_all(raw)?, |r| r.id.to_string()))
}

/// The last run of a control.
pub async fn last(tx: &mut Tx, control: &ControlId) -> Result<Option<Run>> {
    let sql = "select * from run where control = $1 order by instant desc, id desc limit 1";
    let raw: Option<Raw> =
        on!(tx, c => sqlx::query_as(sql).bind(control.as_str()).fetch_optional(c).await)?;
    raw.map(Raw::read).transpose()
}

/// The last run of a control whose outcomes counted. The same evidence is not counted twice.
pub async fn last_counted(tx: &mut Tx, control: &ControlId) -> Result<Option<Run>> {
    last_counted_by(tx, control, None).await
}

/// The same of those that judged at an instant or before.
pub async fn last_counted_by(
    tx: &mut Tx,
    control: &ControlId,
    by: Option<DateTime<Utc>>,
) -> Result<Option<Run>> {
    let raw: Option<Raw> = on!(tx, c => {
        let mut q = QueryBuilder::new("select * from run where counted and control = ");
        q.push_bind(control.as_str());
        if let Some(by) = by {
            q.push(" and instant <= ").push_bind(us(by));
        }
        q.push(" order by instant desc, id desc limit 1");
        q.build_query_as().fetch_optional(c).await
    })?;
    raw.map(Raw::read).transpose()
}

/// The last run of a control whose outcomes counted, under another definition than this one.
pub async fn last_under_another(
    tx: &mut Tx,
    control: &ControlId,
    definition: Sha,
) -> Result<Option<Run>> {
    let sql = "select * from run where control = $1 and counted and definition <> $2
        order by instant desc, id desc limit 1";
    let raw: Option<Raw> = on!(tx, c => sqlx::query_as(sql)
        .bind(control.as_str())
        .bind(definition.to_string())
        .fetch_optional(c)
        .await)?;
    raw.map(Raw::read).transpose()
}

/// The first run of a control after an instant whose outcomes counted.
pub async fn next_counted(
    tx: &mut Tx,
    control: &ControlId,
    after: DateTime<Utc>,
) -> Result<Option<Run>> {
    let sql = "select * from run where control = $1 and counted and instant > $2 order by instant, id limit 1";
    let raw: Option<Raw> = on!(tx, c => sqlx::query_as(sql)
        .bind(control.as_str())
        .bind(us(after))
        .fetch_optional(c)
        .await)?;
    raw.map(Raw::read).transpose()
}

/// The last run of each of some controls, by control; controls that never ran are left out.
pub async fn latest(tx: &mut Tx, controls: &[ControlId]) -> Result<Vec<Run>> {
    let mut found = Vec::new();
    for some in runs_of(controls) {
        let raw = on!(tx, c => {
            // One step into an index for each control, however many runs there are.
            let mut q = QueryBuilder::new("with wanted (control) as (");
            q.push_values(some, |mut row, control| {
                row.push_bind(control.as_str());
            });
            q.push(
                ") select run.* from wanted join run on run.id = (select r.id from run r \
                 where r.control = wanted.control order by r.instant desc, r.id desc limit 1)",
            );
            q.build_query_as().fetch_all(c).await
        })?;
        found.extend(read_all(raw)?);
    }
    found.sort_by(|a, b| a.control.cmp(&b.control));
    Ok(found)
}

/// Which runs; what is absent asks for nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    /// Of this control.
    pub control: Option<ControlId>,
    /// Judged at that instant or later.
    pub since: Option<DateTime<Utc>>,
    /// Judged before that instant.
    pub until: Option<DateTime<Utc>>,
    /// That could not check anything, or could.
    pub not_checked: Option<bool>,
}

/// The runs that a filter lets through, newest first.
pub async fn list(tx: &mut Tx, filter: &Filter, page: Page) -> Result<Vec<Run>> {
    let raw = on!(tx, c => {
        let mut q = QueryBuilder::new("select * from run where true");
        if let Some(control) = &filter.control {
            q.push(" and control = ").push_bind(control.as_str());
        }
        if let Some(since) = filter.since {
            q.push(" and instant >= ").push_bind(us(since));
        }
        if let Some(until) = filter.until {
            q.push(" and instant < ").push_bind(us(until));
        }
        if let Some(not_checked) = filter.not_checked {
            q.push(if not_checked { " and not_checked is not null" } else { " and not_checked is null" });
        }
        q.push(" order by instant desc, id desc limit ").push_bind(i64::from(page.limit));
        q.push(" offset ").push_bind(int(page.offset));
        q.build_query_as().fetch_all(c).await
    })?;
    read_all(raw)
}
