//! The tick ledger: one row for each due time of each control, which ends as ran, skipped, missed or
//! failed. Its primary key decides who runs: of any number of replicas, one claims a tick, and only under
//! its fence can the tick be finished.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::{FromRow, QueryBuilder};

use super::{
    Tx,
    error::Result,
    lease::{Claim, held, term},
    row::{Page, Place, int, runs_of, us},
};
use crate::model::{
    id::ControlId,
    run::{Cause, Tick, TickState},
    span::Span,
};

#[derive(FromRow)]
struct Raw {
    control: String,
    scheduled_for: DateTime<Utc>,
    cause: String,
    state: String,
    reason: Option<String>,
    fence: i64,
}

impl Raw {
    fn read(self) -> Result<Tick> {
        let at = Place {
            table: "tick",
            id: &self.control,
        };
        Ok(Tick {
            cause: at.text("cause", &self.cause)?,
            state: at.text("state", &self.state)?,
            control: self.control.into(),
            scheduled_for: self.scheduled_for,
            reason: self.reason,
            fence: self.fence,
        })
    }
}

fn read_all(raw: Vec<Raw>) -> Result<Vec<Tick>> {
    raw.into_iter().map(Raw::read).collect()
}

const COLUMNS: &str = "control, scheduled_for, cause, state, reason, fence";

/// Adds ticks as they are, to be run or already skipped or missed, and gives how many were not in the
/// ledger yet. A tick that is there stays as it is.
pub async fn insert(tx: &mut Tx, ticks: &[Tick]) -> Result<u64> {
    let mut added = 0;
    for run in runs_of(ticks) {
        added += on!(tx, c => {
            let mut q = QueryBuilder::new(
                "insert into tick (control, scheduled_for, cause, state, reason, stands_for, fence) ",
            );
            q.push_values(run, |mut row, tick| {
                row.push_bind(tick.control.as_str())
                    .push_bind(us(tick.scheduled_for))
                    .push_bind(tick.cause.as_str())
                    .push_bind(tick.state.as_str())
                    .push_bind(tick.reason.as_deref())
                    .push_bind(1_i64)
                    .push_bind(tick.fence);
            });
            q.push(" on conflict (control, scheduled_for) do nothing");
            q.build().execute(c).await.map(|done| done.rows_affected())
        })?;
    }
    tx.wrote(added);
    Ok(added)
}

/// Adds one row that stands for `ticks` missed ones, the last of them at `newest`: a year of downtime is
/// accounted for without half a million rows.
pub async fn insert_missed(
    tx: &mut Tx,
    control: &ControlId,
    newest: DateTime<Utc>,
    ticks: u64,
    reason: &str,
) -> Result<()> {
    let sql = "insert into tick (control, scheduled_for, cause, state, reason, stands_for, fence)
        values ($1, $2, $3, $4, $5, $6, 0) on conflict (control, scheduled_for) do nothing";
    change!(
        tx,
        sqlx::query(sql)
            .bind(control.as_str())
            .bind(us(newest))
            .bind(Cause::Schedule.as_str())
            .bind(TickState::Missed.as_str())
            .bind(reason)
            .bind(int(ticks))
    );
    Ok(())
}

/// Takes ticks that are due, oldest first: those that nobody took, and those whose worker let its lease
/// run out. Of one control only the oldest is taken, and none while another worker runs that control.
pub async fn claim(tx: &mut Tx, claim: &Claim<'_>) -> Result<Vec<Tick>> {
    let term = term(tx, claim.lease).await?;
    let skip_locked = tx.skip_locked();
    let raw = on!(tx, c => {
        let mut q = QueryBuilder::new(
            "with free as materialized (select t.control as c, t.scheduled_for as s from tick t \
             where t.state in ('due', 'running') and t.scheduled_for <= ",
        );
        q.push_bind(us(claim.now));
        q.push(" and (t.state = 'due' or t.lease_until <= ").push_bind(term.now);
        q.push(
            ") and not exists (select 1 from tick o where o.control = t.control and o.state = 'running' and o.lease_until > ",
        );
        q.push_bind(term.now);
        q.push(
            ") and not exists (select 1 from tick e where e.control = t.control and e.state in ('due', 'running') \
             and e.scheduled_for < t.scheduled_for) order by t.scheduled_for, t.control limit ",
        );
        q.push_bind(i64::from(claim.limit));
        q.push(skip_locked);
        q.push(") update tick set state = 'running', fence = fence + 1, holder = ").push_bind(claim.holder);
        q.push(", lease_until = ").push_bind(term.until);
        q.push(" where (control, scheduled_for) in (select c, s from free) returning ").push(COLUMNS);
        q.build_query_as().fetch_all(c).await
    })?;
    let mut taken = read_all(raw)?;
    tx.wrote(taken.len() as u64);
    taken.sort_by(|a, b| (a.scheduled_for, &a.control).cmp(&(b.scheduled_for, &b.control)));
    Ok(taken)
}

/// Takes one tick that somebody asked for, adding it when it is new. Nothing when another worker has
/// that very tick, or it has ended already.
pub async fn take(
    tx: &mut Tx,
    control: &ControlId,
    cause: Cause,
    claim: &Claim<'_>,
) -> Result<Option<Tick>> {
    let term = term(tx, claim.lease).await?;
    let sql = "insert into tick (control, scheduled_for, cause, state, stands_for, fence, holder, lease_until)
        values ($1, $2, $3, 'running', 1, 1, $4, $5)
        on conflict (control, scheduled_for) do update set state = 'running', fence = tick.fence + 1,
        holder = excluded.holder, lease_until = excluded.lease_until
        where tick.state = 'due' or (tick.state = 'running' and tick.lease_until <= $6)
        returning control, scheduled_for, cause, state, reason, fence";
    let raw: Option<Raw> = on!(tx, c => sqlx::query_as(sql)
        .bind(control.as_str())
        .bind(us(claim.now))
        .bind(cause.as_str())
        .bind(claim.holder)
        .bind(term.until)
        .bind(term.now)
        .fetch_optional(c)
        .await)?;
    tx.wrote(u64::from(raw.is_some()));
    raw.map(Raw::read).transpose()
}

/// Lets the lease of a tick begin anew.
pub async fn renew(tx: &mut Tx, tick: &Tick, lease: Span) -> Result<()> {
    let term = term(tx, lease).await?;
    let sql = "update tick set lease_until = $1
        where control = $2 and scheduled_for = $3 and fence = $4 and state = 'running'";
    let changed = change!(
        tx,
        sqlx::query(sql)
            .bind(term.until)
            .bind(tick.control.as_str())
            .bind(us(tick.scheduled_for))
            .bind(tick.fence)
    );
    held(changed, "tick", || name(tick))
}

/// Ends a tick under the fence of its claim. Called in the transaction that records what the tick did, so
/// that a worker that lost its lease records nothing.
pub async fn finish(
    tx: &mut Tx,
    tick: &Tick,
    state: TickState,
    reason: Option<&str>,
) -> Result<()> {
    let sql = "update tick set state = $1, reason = $2, lease_until = null
        where control = $3 and scheduled_for = $4 and fence = $5 and state = 'running'";
    let changed = change!(
        tx,
        sqlx::query(sql)
            .bind(state.as_str())
            .bind(reason)
            .bind(tick.control.as_str())
            .bind(us(tick.scheduled_for))
            .bind(tick.fence)
    );
    held(changed, "tick", || name(tick))
}

/// Ends those ticks of a schedule that nobody took and that lie before an instant, and gives how many there
/// were: a slow run is not followed by each tick that came due meanwhile. A second look stays due, because a
/// later tick of the schedule may share evidence and so confirm nothing.
pub async fn skip_before(
    tx: &mut Tx,
    control: &ControlId,
    before: DateTime<Utc>,
    reason: &str,
) -> Result<u64> {
    let sql = "update tick set state = 'skipped', reason = $1
        where control = $2 and scheduled_for < $3 and state = 'due' and cause in ('schedule', 'catch_up')";
    Ok(change!(
        tx,
        sqlx::query(sql)
            .bind(reason)
            .bind(control.as_str())
            .bind(us(before))
    ))
}

/// The newest scheduled time of each control, by which the next one is computed. Ticks of a schedule
/// alone count: what somebody asked for, or a second look, moves no schedule.
pub async fn latest(tx: &mut Tx) -> Result<BTreeMap<ControlId, DateTime<Utc>>> {
    let sql = "select control, max(scheduled_for) from tick where cause in ('schedule', 'catch_up') group by control";
    let rows: Vec<(String, DateTime<Utc>)> = on!(tx, c => sqlx::query_as(sql).fetch_all(c).await)?;
    Ok(rows
        .into_iter()
        .map(|(control, at)| (control.into(), at))
        .collect())
}

/// The tick of a control at a time.
pub async fn get(
    tx: &mut Tx,
    control: &ControlId,
    scheduled_for: DateTime<Utc>,
) -> Result<Option<Tick>> {
    let sql = "select * from tick where control = $1 and scheduled_for = $2";
    let raw: Option<Raw> = on!(tx, c => sqlx::query_as(sql).bind(control.as_str()).bind(us(scheduled_for)).fetch_optional(c).await)?;
    raw.map(Raw::read).transpose()
}

/// The ticks of a control, newest first.
pub async fn of_control(tx: &mut Tx, control: &ControlId, page: Page) -> Result<Vec<Tick>> {
    let sql =
        "select * from tick where control = $1 order by scheduled_for desc limit $2 offset $3";
    let raw = on!(tx, c => sqlx::query_as(sql)
        .bind(control.as_str())
        .bind(i64::from(page.limit))
        .bind(int(page.offset))
        .fetch_all(c)
        .await)?;
    read_all(raw)
}

/// How many due times from one instant up to, and without, another are in which state.
pub async fn counts(
    tx: &mut Tx,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<BTreeMap<TickState, u64>> {
    let sql = "select state, cast(sum(stands_for) as bigint) from tick
        where scheduled_for >= $1 and scheduled_for < $2 group by state";
    let rows: Vec<(String, i64)> =
        on!(tx, c => sqlx::query_as(sql).bind(us(from)).bind(us(to)).fetch_all(c).await)?;
    rows.into_iter()
        .map(|(state, n)| {
            let at = Place {
                table: "tick",
                id: &state,
            };
            Ok((at.text("state", &state)?, at.count("stands_for", n)?))
        })
        .collect()
}

/// The oldest tick that is due and that nobody took, by which one sees how far the work is behind.
pub async fn oldest_due(tx: &mut Tx) -> Result<Option<DateTime<Utc>>> {
    let sql = "select min(scheduled_for) from tick where state = 'due'";
    Ok(on!(tx, c => sqlx::query_scalar(sql).fetch_one(c).await)?)
}

fn name(tick: &Tick) -> String {
    format!("{} at {}", tick.control, tick.scheduled_for.to_rfc3339())
}
