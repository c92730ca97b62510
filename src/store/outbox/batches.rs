//! Batches: sealed messages on their way, and what became of them.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{FromRow, QueryBuilder};

use super::recipient;
use crate::{
    model::{
        id::{ChannelId, NoticeId},
        notice::{Batch, Delivery},
        people::Principal,
        span::Span,
    },
    store::{
        Tx,
        error::{Error, Result},
        lease::{Claim, held, term},
        row::{Doc, Found, NAMES_SHOWN, Page, Place, after_prefix, int, runs_of, us},
    },
};

#[derive(FromRow)]
struct Raw {
    id: String,
    channel: String,
    recipient: Option<String>,
    mode: String,
    group_key: Option<String>,
    items: Doc<Vec<String>>,
    message: Doc<Value>,
    attempts: i64,
    ambiguous: i64,
    due_at: DateTime<Utc>,
    sealed_at: DateTime<Utc>,
    state: String,
    last_error: Option<String>,
    fence: i64,
}

impl Raw {
    fn read(self) -> Result<Batch> {
        let at = Place {
            table: "batch",
            id: &self.id,
        };
        Ok(Batch {
            recipient: recipient(self.recipient.as_deref(), &at)?,
            mode: at.text("mode", &self.mode)?,
            attempts: at.count("attempts", self.attempts)?,
            ambiguous: at.count("ambiguous", self.ambiguous)?,
            state: at.text("state", &self.state)?,
            channel: self.channel.into(),
            group: self.group_key,
            items: self.items.0,
            message: self.message.0,
            due_at: self.due_at,
            sealed_at: self.sealed_at,
            last_error: self.last_error,
            fence: self.fence,
            id: self.id.into(),
        })
    }
}

fn read_all(raw: Vec<Raw>) -> Result<Vec<Batch>> {
    raw.into_iter().map(Raw::read).collect()
}

/// Adds messages and gives them their items, all of which must still wait.
pub async fn seal(tx: &mut Tx, batches: &[Batch]) -> Result<()> {
    for run in runs_of(batches) {
        let written = on!(tx, c => {
            let mut q = QueryBuilder::new(
                "insert into batch (id, channel, recipient, mode, group_key, items, message, attempts, ambiguous, \
                 due_at, sealed_at, state, last_error, fence) ",
            );
            q.push_values(run, |mut row, batch| {
                row.push_bind(batch.id.as_str())
                    .push_bind(batch.channel.as_str())
                    .push_bind(batch.recipient.as_ref().map(ToString::to_string))
                    .push_bind(batch.mode.as_str())
                    .push_bind(&batch.group)
                    .push_bind(Doc(&batch.items))
                    .push_bind(Doc(&batch.message))
                    .push_bind(int(batch.attempts))
                    .push_bind(int(batch.ambiguous))
                    .push_bind(us(batch.due_at))
                    .push_bind(us(batch.sealed_at))
                    .push_bind(batch.state.as_str())
                    .push_bind(&batch.last_error)
                    .push_bind(batch.fence);
            });
            q.build().execute(c).await.map(|done| done.rows_affected())
        })?;
        tx.wrote(written);
    }
    for batch in batches {
        give(tx, batch).await?;
    }
    Ok(())
}

async fn give(tx: &mut Tx, batch: &Batch) -> Result<()> {
    let mut changed = 0;
    for run in runs_of(&batch.items) {
        changed += on!(tx, c => {
            let mut q = QueryBuilder::new("update item set batch = ");
            q.push_bind(batch.id.as_str());
            q.push(" where batch is null and dropped_at is null and key in (");
            let mut list = q.separated(", ");
            for key in run {
                list.push_bind(key);
            }
            q.push(")");
            q.build().execute(c).await.map(|done| done.rows_affected())
        })?;
    }
    tx.wrote(changed);
    match batch.items.len() as u64 {
        expected if expected == changed => Ok(()),
        expected => Err(Error::RowsAffected {
            what: "seal items",
            expected,
            actual: changed,
        }),
    }
}

/// Takes messages that are due, most overdue first, for this worker to send.
pub async fn claim(tx: &mut Tx, claim: &Claim<'_>) -> Result<Vec<Batch>> {
    let term = term(tx, claim.lease).await?;
    let skip_locked = tx.skip_locked();
    let raw = on!(tx, c => {
        let mut q = QueryBuilder::new(
            "with free as materialized (select id as f from batch where state = 'due' and due_at <= ",
        );
        q.push_bind(us(claim.now));
        q.push(" and (lease_until is null or lease_until <= ").push_bind(term.now);
        q.push(") order by due_at, id limit ").push_bind(i64::from(claim.limit)).push(skip_locked);
        q.push(") update batch set fence = fence + 1, holder = ").push_bind(claim.holder);
        q.push(", lease_until = ").push_bind(term.until);
        q.push(" where id in (select f from free) returning *");
        q.build_query_as().fetch_all(c).await
    })?;
    let mut taken = read_all(raw)?;
    tx.wrote(taken.len() as u64);
    taken.sort_by(|a, b| (a.due_at, &a.id).cmp(&(b.due_at, &b.id)));
    Ok(taken)
}

/// Lets the lease of a message begin anew. Called right before sending: one whose lease is lost must not send.
pub async fn renew(tx: &mut Tx, batch: &Batch, lease: Span) -> Result<()> {
    let term = term(tx, lease).await?;
    let sql = "update batch set lease_until = $1 where id = $2 and fence = $3 and state = 'due'";
    let changed = change!(
        tx,
        sqlx::query(sql)
            .bind(term.until)
            .bind(batch.id.as_str())
            .bind(batch.fence)
    );
    held(changed, "message", || batch.id.to_string())
}

/// What came of an attempt to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    /// The receiver accepted it.
    Sent {
        /// When.
        at: DateTime<Utc>,
    },
    /// It is tried again.
    Retry {
        /// When.
        due_at: DateTime<Utc>,
        /// Why it failed.
        error: String,
        /// Whether the receiver may have it all the same.
        ambiguous: bool,
    },
    /// It is given up.
    Dead {
        /// When.
        at: DateTime<Utc>,
        /// Why it failed.
        error: String,
        /// Whether the receiver may have it all the same.
        ambiguous: bool,
    },
    /// It was not tried, because nothing was left to say.
    Dropped {
        /// When.
        at: DateTime<Utc>,
        /// Why.
        reason: String,
    },
}

/// Records what came of an attempt, under the fence of its claim, and lets go of the lease.
pub async fn finish(tx: &mut Tx, batch: &Batch, attempt: &Attempt) -> Result<()> {
    let (state, tried, ambiguous, due_at, ended_at, said) = match attempt {
        Attempt::Sent { at } => (Delivery::Sent, 1, false, batch.due_at, Some(*at), None),
        Attempt::Retry {
            due_at,
            error,
            ambiguous,
        } => (Delivery::Due, 1, *ambiguous, *due_at, None, Some(error)),
        Attempt::Dead {
            at,
            error,
            ambiguous,
        } => (
            Delivery::Dead,
            1,
            *ambiguous,
            batch.due_at,
            Some(*at),
            Some(error),
        ),
        Attempt::Dropped { at, reason } => (
            Delivery::Dropped,
            0,
            false,
            batch.due_at,
            Some(*at),
            Some(reason),
        ),
    };
    let sql = "update batch set state = $1, attempts = attempts + $2, ambiguous = ambiguous + $3, due_at = $4,
        ended_at = $5, last_error = $6, lease_until = null where id = $7 and fence = $8 and state = 'due'";
    let changed = change!(
        tx,
        sqlx::query(sql)
            .bind(state.as_str())
            .bind(i64::from(tried))
            .bind(i64::from(ambiguous))
            .bind(us(due_at))
            .bind(ended_at.map(us))
            .bind(said)
            .bind(batch.id.as_str())
            .bind(batch.fence)
    );
    held(changed, "message", || batch.id.to_string())
}

/// Sends a dead letter again, on somebody's word; whether it was one.
pub async fn revive(tx: &mut Tx, id: &NoticeId, now: DateTime<Utc>) -> Result<bool> {
    let sql = "update batch set state = 'due', due_at = $1, ended_at = null, fence = fence + 1
        where id = $2 and state = 'dead'";
    Ok(change!(tx, sqlx::query(sql).bind(us(now)).bind(id.as_str())) == 1)
}

/// The message of that id.
pub async fn get(tx: &mut Tx, id: &NoticeId) -> Result<Option<Batch>> {
    let sql = "select * from batch where id = $1";
    let raw: Option<Raw> =
        on!(tx, c => sqlx::query_as(sql).bind(id.as_str()).fetch_optional(c).await)?;
    raw.map(Raw::read).transpose()
}

/// The message that a person means by the beginning of its id, with or without `ntc-`.
pub async fn named(tx: &mut Tx, name: &str) -> Result<Found<Batch>> {
    let prefix = format!(
        "ntc-{}",
        name.strip_prefix("ntc-")
            .unwrap_or(name)
            .to_ascii_lowercase()
    );
    let sql = "select * from batch where id >= $1 and id < $2 order by id limit $3";
    let raw = on!(tx, c => sqlx::query_as(sql).bind(&prefix).bind(after_prefix(&prefix)).bind(i64::from(NAMES_SHOWN)).fetch_all(c).await)?;
    Ok(Found::among(read_all(raw)?, |b| b.id.to_string()))
}

/// Which messages; what is absent asks for nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    /// With that fate.
    pub state: Option<Delivery>,
    /// On that channel.
    pub channel: Option<ChannelId>,
    /// For that recipient.
    pub recipient: Option<Principal>,
    /// Sealed at that instant or later.
    pub since: Option<DateTime<Utc>>,
}

/// The messages that a filter lets through, newest first.
pub async fn list(tx: &mut Tx, filter: &Filter, page: Page) -> Result<Vec<Batch>> {
    let raw = on!(tx, c => {
        let mut q = QueryBuilder::new("select * from batch where true");
        if let Some(state) = filter.state {
            q.push(" and state = ").push_bind(state.as_str());
        }
        if let Some(channel) = &filter.channel {
            q.push(" and channel = ").push_bind(channel.as_str());
        }
        if let Some(whom) = &filter.recipient {
            q.push(" and recipient = ").push_bind(whom.to_string());
        }
        if let Some(since) = filter.since {
            q.push(" and sealed_at >= ").push_bind(us(since));
        }
        q.push(" order by sealed_at desc, id desc limit ").push_bind(i64::from(page.limit));
        q.push(" offset ").push_bind(int(page.offset));
        q.build_query_as().fetch_all(c).await
    })?;
    read_all(raw)
}

/// How full the outbox is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Items that are not sealed yet.
    pub waiting: u64,
    /// Messages to be sent.
    pub due: u64,
    /// Messages that were accepted.
    pub sent: u64,
    /// Messages with nothing left to say.
    pub dropped: u64,
    /// Messages that were given up.
    pub dead: u64,
    /// Since when the oldest message that is not sent should have been.
    pub oldest_due: Option<DateTime<Utc>>,
}

/// How full the outbox is.
pub async fn counts(tx: &mut Tx) -> Result<Counts> {
    let at = Place {
        table: "batch",
        id: "",
    };
    let sql = "select count(*) from item where batch is null and dropped_at is null";
    let waiting: i64 = on!(tx, c => sqlx::query_scalar(sql).fetch_one(c).await)?;
    let sql = "select state, count(*) from batch group by state order by state";
    let states: Vec<(String, i64)> = on!(tx, c => sqlx::query_as(sql).fetch_all(c).await)?;
    let sql = "select min(due_at) from batch where state = 'due'";
    let oldest_due = on!(tx, c => sqlx::query_scalar(sql).fetch_one(c).await)?;
    let mut counts = Counts {
        waiting: at.count("count", waiting)?,
        oldest_due,
        ..Counts::default()
    };
    for (state, n) in states {
        let n = at.count("count", n)?;
        match at.text("state", &state)? {
            Delivery::Due => counts.due = n,
            Delivery::Sent => counts.sent = n,
            Delivery::Dropped => counts.dropped = n,
            Delivery::Dead => counts.dead = n,
        }
    }
    Ok(counts)
}
