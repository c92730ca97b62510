//! Signals with their reviews, what happened to each, and requests of an older register.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{FromRow, QueryBuilder};

use super::{
    Tx,
    error::{Error, Result},
    row::{Doc, Found, NAMES_SHOWN, Place, after_prefix, int, us},
};
use crate::{
    model::id::SignalId,
    signal::{
        Ask,
        record::{Signal, word},
    },
};

#[derive(FromRow)]
struct Raw {
    version: i64,
    body: Doc<Signal>,
}

impl Raw {
    fn read(self) -> Result<Signal> {
        let Doc(signal) = self.body;
        let at = Place {
            table: "signal",
            id: signal.id.as_str(),
        };
        let version = at.count("version", self.version)?;
        Ok(Signal { version, ..signal })
    }
}

/// Something that happened to a signal.
#[derive(Debug, Clone, PartialEq, Eq, FromRow, serde::Serialize)]
pub struct Event {
    /// When.
    pub at: DateTime<Utc>,
    /// Who: a person, or the machine.
    pub actor: String,
    /// What was done.
    pub act: String,
    /// Where it stands then.
    pub state: String,
    /// Why.
    pub reason: Option<String>,
}

/// The next id of a year: `SIG-2026-0007`.
pub async fn next_id(tx: &mut Tx, year: i32) -> Result<SignalId> {
    let sql = "insert into signal_number (year, last) values ($1, 1)
        on conflict (year) do update set last = signal_number.last + 1 returning last";
    let last: i64 = on!(tx, c => sqlx::query_scalar(sql).bind(i64::from(year)).fetch_one(c).await)?;
    tx.wrote(1);
    Ok(SignalId::from(format!("SIG-{year}-{last:04}")))
}

/// Adds a signal.
pub async fn insert(tx: &mut Tx, signal: &Signal, at: DateTime<Utc>) -> Result<()> {
    let sql = "insert into signal (id, version, control, kind, state, policy, opened_at, changed_at, body)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    change!(
        tx,
        sqlx::query(sql)
            .bind(signal.id.as_str())
            .bind(int(signal.version))
            .bind(&signal.raised.control)
            .bind(kind(signal))
            .bind(word(signal.raised.state))
            .bind(signal.provision.as_ref().map(|p| p.policy.to_string()))
            .bind(us(signal.opened_at))
            .bind(us(at))
            .bind(Doc(signal))
    );
    Ok(())
}

fn kind(signal: &Signal) -> String {
    let kind = serde_json::json!(signal.raised.kind);
    kind.as_str().unwrap_or_default().to_owned()
}

/// Writes what became of a signal that was read at `signal.version`, and counts the change.
///
/// # Errors
/// [`Error::Changed`] when somebody else changed it meanwhile.
pub async fn update(tx: &mut Tx, signal: &mut Signal, at: DateTime<Utc>) -> Result<()> {
    let read = signal.version;
    signal.version += 1;
    let sql = "update signal set version = $1, state = $2, changed_at = $3, body = $4 where id = $5 and version = $6";
    let changed = change!(
        tx,
        sqlx::query(sql)
            .bind(int(signal.version))
            .bind(word(signal.raised.state))
            .bind(us(at))
            .bind(Doc(&*signal))
            .bind(signal.id.as_str())
            .bind(int(read))
    );
    if changed == 1 {
        Ok(())
    } else {
        Err(Error::Changed {
            what: format!("signal {}", signal.id),
        })
    }
}

/// Writes down what happened.
pub async fn event(tx: &mut Tx, id: &SignalId, event: &Event) -> Result<()> {
    let sql = "insert into signal_event (signal, number, at, actor, act, state, reason)
        values ($1, (select coalesce(max(number), 0) + 1 from signal_event where signal = $1), $2, $3, $4, $5, $6)";
    change!(
        tx,
        sqlx::query(sql)
            .bind(id.as_str())
            .bind(us(event.at))
            .bind(&event.actor)
            .bind(&event.act)
            .bind(&event.state)
            .bind(event.reason.as_deref())
    );
    Ok(())
}

/// Everything that happened to a signal, oldest first.
pub async fn events(tx: &mut Tx, id: &SignalId) -> Result<Vec<Event>> {
    let sql =
        "select at, actor, act, state, reason from signal_event where signal = $1 order by number";
    Ok(on!(tx, c => sqlx::query_as(sql).bind(id.as_str()).fetch_all(c).await)?)
}

/// Every signal, oldest first.
pub async fn all(tx: &mut Tx) -> Result<Vec<Signal>> {
    let sql = "select version, body from signal order by opened_at, id";
    let raw: Vec<Raw> = on!(tx, c => sqlx::query_as(sql).fetch_all(c).await)?;
    raw.into_iter().map(Raw::read).collect()
}

/// The signal with that id.
pub async fn get(tx: &mut Tx, id: &SignalId) -> Result<Option<Signal>> {
    let sql = "select version, body from signal where id = $1";
    let raw: Option<Raw> =
        on!(tx, c => sqlx::query_as(sql).bind(id.as_str()).fetch_optional(c).await)?;
    raw.map(Raw::read).transpose()
}

/// The signal that a person means by the beginning of its id, with or without `SIG-`.
pub async fn named(tx: &mut Tx, name: &str) -> Result<Found<Signal>> {
    let upper = name.to_ascii_uppercase();
    let prefix = format!("SIG-{}", upper.strip_prefix("SIG-").unwrap_or(&upper));
    let sql = "select version, body from signal where id >= $1 and id < $2 order by id limit $3";
    let raw: Vec<Raw> = on!(tx, c => sqlx::query_as(sql)
        .bind(&prefix)
        .bind(after_prefix(&prefix))
        .bind(i64::from(NAMES_SHOWN))
        .fetch_all(c)
        .await)?;
    let all: Vec<Signal> = raw.into_iter().map(Raw::read).collect::<Result<_>>()?;
    Ok(Found::among(all, |s| s.id.to_string()))
}

/// Keeps requests of an older register; one that is kept already is replaced. Gives how many there are then.
pub async fn keep_past(tx: &mut Tx, asks: &[Ask]) -> Result<u64> {
    for some in asks.chunks(100) {
        let written = on!(tx, c => {
            let mut q = QueryBuilder::new("insert into past_ask (id, day, body) ");
            q.push_values(some, |mut row, ask| {
                row.push_bind(ask.id.clone())
                    .push_bind(ask.day.to_string())
                    .push_bind(Doc(ask));
            });
            q.push(" on conflict (id) do update set day = excluded.day, body = excluded.body");
            q.build().execute(c).await.map(|done| done.rows_affected())
        })?;
        tx.wrote(written);
    }
    let count: i64 =
        on!(tx, c => sqlx::query_scalar("select count(*) from past_ask").fetch_one(c).await)?;
    Ok(u64::try_from(count).unwrap_or_default())
}

/// Requests of an older register, by day.
pub async fn past(tx: &mut Tx) -> Result<Vec<Ask>> {
    let sql = "select body from past_ask order by day, id";
    let raw: Vec<(Doc<Ask>,)> = on!(tx, c => sqlx::query_as(sql).fetch_all(c).await)?;
    Ok(raw.into_iter().map(|(Doc(ask),)| ask).collect())
}

/// The day on which the first definition came into force here.
pub async fn since(tx: &mut Tx) -> Result<Option<NaiveDate>> {
    let first: Option<DateTime<Utc>> = on!(tx, c => sqlx::query_scalar("select min(first_seen) from definition").fetch_one(c).await)?;
    Ok(first.map(|at| at.date_naive()))
}
