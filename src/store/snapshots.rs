//! Snapshots: what was collected, when, and whether it may be believed. Their rows are in the evidence
//! store under `object`. Never changed, except that a person may accept a suspect one, by name.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, QueryBuilder};

use super::{
    Tx,
    error::Result,
    row::{Doc, Found, NAMES_SHOWN, Page, Place, after_prefix, int, us},
};
use crate::model::{
    id::{DatasetName, PersonId, SnapshotId, SourceId},
    outcome::Unknown,
    snapshot::{Completeness, Effort, Snapshot},
};

#[derive(FromRow)]
struct Raw {
    id: String,
    source: String,
    dataset: String,
    status: String,
    unknown: Option<String>,
    reason: Option<String>,
    row_count: i64,
    effort: Doc<Effort>,
    started_at: DateTime<Utc>,
    ended_at: DateTime<Utc>,
    content: Option<String>,
    object: Option<String>,
    schema: String,
    definition: String,
    scope: String,
    identity: Option<String>,
    request_ids: Doc<Vec<String>>,
}

impl Raw {
    fn read(self) -> Result<Snapshot> {
        let at = Place {
            table: "snapshot",
            id: &self.id,
        };
        Ok(Snapshot {
            status: at.text("status", &self.status)?,
            unknown: at.text_opt("unknown", self.unknown.as_deref())?,
            rows: at.count("row_count", self.row_count)?,
            content: at.text_opt("content", self.content.as_deref())?,
            object: at.text_opt("object", self.object.as_deref())?,
            schema: at.text("schema", &self.schema)?,
            definition: at.text("definition", &self.definition)?,
            scope: at.text("scope", &self.scope)?,
            dataset: DatasetName::new(self.source, self.dataset),
            reason: self.reason,
            effort: self.effort.0,
            started_at: self.started_at,
            ended_at: self.ended_at,
            identity: self.identity,
            request_ids: self.request_ids.0,
            id: self.id.into(),
        })
    }
}

fn read_all(raw: Vec<Raw>) -> Result<Vec<Snapshot>> {
    raw.into_iter().map(Raw::read).collect()
}

/// Records a snapshot. Its object is stored before; see [`super::retention`] for what that means for
/// objects that are shared.
pub async fn insert(tx: &mut Tx, snapshot: &Snapshot) -> Result<()> {
    let sql = "insert into snapshot (id, source, dataset, status, unknown, reason, row_count, effort, started_at,
        ended_at, content, object, schema, definition, scope, identity, request_ids)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";
    change!(
        tx,
        sqlx::query(sql)
            .bind(snapshot.id.as_str())
            .bind(snapshot.dataset.source.as_str())
            .bind(&*snapshot.dataset.dataset)
            .bind(snapshot.status.as_str())
            .bind(snapshot.unknown.map(Unknown::as_str))
            .bind(snapshot.reason.as_deref())
            .bind(int(snapshot.rows))
            .bind(Doc(&snapshot.effort))
            .bind(us(snapshot.started_at))
            .bind(us(snapshot.ended_at))
            .bind(snapshot.content.map(|s| s.to_string()))
            .bind(snapshot.object.map(|s| s.to_string()))
            .bind(snapshot.schema.to_string())
            .bind(snapshot.definition.to_string())
            .bind(snapshot.scope.to_string())
            .bind(snapshot.identity.as_deref())
            .bind(Doc(&snapshot.request_ids))
    );
    Ok(())
}

/// The snapshot of that id.
pub async fn get(tx: &mut Tx, id: &SnapshotId) -> Result<Option<Snapshot>> {
    let sql = "select * from snapshot where id = $1";
    let raw: Option<Raw> =
        on!(tx, c => sqlx::query_as(sql).bind(id.as_str()).fetch_optional(c).await)?;
    raw.map(Raw::read).transpose()
}

/// The snapshot that a person means by the beginning of its id, with or without `snap-`.
pub async fn named(tx: &mut Tx, name: &str) -> Result<Found<Snapshot>> {
    let prefix = format!(
        "snap-{}",
        name.strip_prefix("snap-")
            .unwrap_or(name)
            .to_ascii_lowercase()
    );
    let sql = "select * from snapshot where id >= $1 and id < $2 order by id limit $3";
    let raw = on!(tx, c => sqlx::query_as(sql).bind(&prefix).bind(after_prefix(&prefix)).bind(i64::from(NAMES_SHOWN)).fetch_all(c).await)?;
    Ok(Found::among(read_all(raw)?, |s| s.id.to_string()))
}

/// Which of the snapshots of a dataset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Newest {
    /// Only those that outcomes may be drawn from.
    pub whole: bool,
    /// Only those whose collection had ended by then.
    pub by: Option<DateTime<Utc>>,
}

impl Newest {
    /// The last one, believed or not.
    pub const ANY: Self = Self {
        whole: false,
        by: None,
    };

    /// The last complete or unchanged one.
    pub const WHOLE: Self = Self {
        whole: true,
        by: None,
    };

    /// The last one that there was at an instant, believed or not.
    pub const fn any_by(at: DateTime<Utc>) -> Self {
        Self {
            whole: false,
            by: Some(at),
        }
    }

    /// The last complete or unchanged one that there was at an instant.
    pub const fn whole_by(at: DateTime<Utc>) -> Self {
        Self {
            whole: true,
            by: Some(at),
        }
    }
}

/// The newest snapshot of a dataset, by the start of its collection.
pub async fn newest(tx: &mut Tx, dataset: &DatasetName, which: Newest) -> Result<Option<Snapshot>> {
    let raw: Option<Raw> = on!(tx, c => {
        let mut q = QueryBuilder::new("select * from snapshot where source = ");
        q.push_bind(dataset.source.as_str()).push(" and dataset = ").push_bind(&*dataset.dataset);
        if which.whole {
            q.push(" and status in ('complete', 'unchanged')");
        }
        if let Some(by) = which.by {
            q.push(" and ended_at <= ").push_bind(us(by));
        }
        q.push(" order by started_at desc, id desc limit 1");
        q.build_query_as().fetch_optional(c).await
    })?;
    raw.map(Raw::read).transpose()
}

/// The newest snapshot of a dataset that there is by now. One that lies ahead of the clock is no evidence of the present: it
/// is given only when there is no other, so that whoever asks can say what is wrong with it.
pub async fn newest_by_now(
    tx: &mut Tx,
    dataset: &DatasetName,
    now: DateTime<Utc>,
) -> Result<Option<Snapshot>> {
    let any = newest(tx, dataset, Newest::ANY).await?;
    if any.as_ref().is_none_or(|s| s.started_at <= now) {
        return Ok(any);
    }
    Ok(newest(tx, dataset, Newest::any_by(now)).await?.or(any))
}

/// Which snapshots; what is absent asks for nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    /// Of this source.
    pub source: Option<SourceId>,
    /// Of this dataset.
    pub dataset: Option<DatasetName>,
    /// With one of these.
    pub status: Vec<Completeness>,
    /// Collected at that instant or later.
    pub since: Option<DateTime<Utc>>,
}

/// The snapshots that a filter lets through, newest first.
pub async fn list(tx: &mut Tx, filter: &Filter, page: Page) -> Result<Vec<Snapshot>> {
    let raw = on!(tx, c => {
        let mut q = QueryBuilder::new("select * from snapshot where true");
        if let Some(source) = &filter.source {
            q.push(" and source = ").push_bind(source.as_str());
        }
        if let Some(dataset) = &filter.dataset {
            q.push(" and source = ").push_bind(dataset.source.as_str());
            q.push(" and dataset = ").push_bind(&*dataset.dataset);
        }
        if let Some((first, rest)) = filter.status.split_first() {
            q.push(" and status in (").push_bind(first.as_str());
            for status in rest {
                q.push(", ").push_bind(status.as_str());
            }
            q.push(")");
        }
        if let Some(since) = filter.since {
            q.push(" and started_at >= ").push_bind(us(since));
        }
        q.push(" order by started_at desc, id desc limit ").push_bind(i64::from(page.limit));
        q.push(" offset ").push_bind(int(page.offset));
        q.build_query_as().fetch_all(c).await
    })?;
    read_all(raw)
}

/// What became of the wish to accept a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// It counts as complete from now on.
    Done(Box<Snapshot>),
    /// It was not suspect, but this.
    NotSuspect(Completeness),
    /// There is no such snapshot.
    Unknown,
}

/// Who accepts a suspect snapshot, why and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acceptance<'a> {
    /// Who.
    pub by: &'a PersonId,
    /// Why.
    pub because: &'a str,
    /// When.
    pub at: DateTime<Utc>,
}

/// A person takes a suspect snapshot for complete. The row keeps who and why.
pub async fn accept(tx: &mut Tx, id: &SnapshotId, acceptance: &Acceptance<'_>) -> Result<Accepted> {
    let sql = "update snapshot set status = 'complete', unknown = null, accepted_by = $1, accepted_because = $2,
        accepted_at = $3 where id = $4 and status = 'suspect' returning *";
    let raw: Option<Raw> = on!(tx, c => sqlx::query_as(sql)
        .bind(acceptance.by.as_str())
        .bind(acceptance.because)
        .bind(us(acceptance.at))
        .bind(id.as_str())
        .fetch_optional(c)
        .await)?;
    if let Some(raw) = raw {
        tx.wrote(1);
        return Ok(Accepted::Done(Box::new(raw.read()?)));
    }
    Ok(match get(tx, id).await? {
        Some(snapshot) => Accepted::NotSuspect(snapshot.status),
        None => Accepted::Unknown,
    })
}
