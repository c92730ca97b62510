//! Forgetting, and what must not be forgotten. Which evidence may go is decided elsewhere, from what is
//! said here; audit leaves hold its digests and outlive it.
//!
//! Objects are shared by their content: a new snapshot may name an object that is about to go. So the
//! collector, after its snapshot is committed, looks whether the object is still there and stores it
//! again if not; and an object goes only after the rows that named it are gone for good.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sqlx::QueryBuilder;

use super::{
    Tx,
    error::Result,
    row::{Place, runs_of, us},
};
use crate::model::id::{Sha, SnapshotId};

/// The snapshots that open findings stand on: those of the runs that last changed them.
pub async fn under_open_findings(tx: &mut Tx) -> Result<BTreeSet<SnapshotId>> {
    let sql = "select distinct snapshot from run_snapshot where run in
        (select run from finding where status in ('open', 'clearing', 'flapping'))";
    let rows: Vec<String> = on!(tx, c => sqlx::query_scalar(sql).fetch_all(c).await)?;
    Ok(rows.into_iter().map(Into::into).collect())
}

/// The snapshots that exceptions which are not closed are judged on: those of the newest run of each condition.
pub async fn under_exceptions(tx: &mut Tx) -> Result<BTreeSet<SnapshotId>> {
    let sql = "select distinct s.snapshot from run_snapshot s join run r on r.id = s.run
        where exists (select 1 from exception e where e.state <> 'closed' and r.control like e.id || ':%')
        and r.instant = (select max(n.instant) from run n where n.control = r.control)";
    let rows: Vec<String> = on!(tx, c => sqlx::query_scalar(sql).fetch_all(c).await)?;
    Ok(rows.into_iter().map(Into::into).collect())
}

/// Forgets snapshots, and gives the objects that no remaining snapshot names.
pub async fn forget_snapshots(tx: &mut Tx, ids: &[SnapshotId]) -> Result<Vec<Sha>> {
    let mut objects = Vec::new();
    for run in runs_of(ids) {
        let gone: Vec<(String, Option<String>)> = on!(tx, c => {
            let mut q = QueryBuilder::new("delete from snapshot where id in (");
            let mut list = q.separated(", ");
            for id in run {
                list.push_bind(id.as_str());
            }
            q.push(") returning id, object");
            q.build_query_as().fetch_all(c).await
        })?;
        tx.wrote(gone.len() as u64);
        for (id, object) in gone {
            let at = Place {
                table: "snapshot",
                id: &id,
            };
            objects.extend(at.text_opt::<Sha>("object", object.as_deref())?);
        }
    }
    objects.sort_unstable();
    objects.dedup();
    let mut orphans = Vec::new();
    for object in objects {
        if !is_named(tx, object).await? {
            orphans.push(object);
        }
    }
    Ok(orphans)
}

/// Whether any snapshot names an object.
pub async fn is_named(tx: &mut Tx, object: Sha) -> Result<bool> {
    let sql = "select count(*) from (select 1 from snapshot where object = $1 limit 1) as named";
    let n: i64 = on!(tx, c => sqlx::query_scalar(sql).bind(object.to_string()).fetch_one(c).await)?;
    Ok(n > 0)
}

/// Forgets runs before an instant, except the last of each control, the last that counted, and those that
/// last changed a finding; gives how many went.
pub async fn forget_runs(tx: &mut Tx, before: DateTime<Utc>) -> Result<u64> {
    let sql = "delete from run where instant < $1
        and id not in (select f.run from finding f)
        and exists (select 1 from run n where n.control = run.control and n.instant > run.instant)
        and (not counted or exists (select 1 from run n where n.control = run.control and n.counted and n.instant > run.instant))";
    Ok(change!(tx, sqlx::query(sql).bind(us(before))))
}

/// Forgets ticks that ended and lie before an instant, except the newest of each control; gives how many
/// went.
pub async fn forget_ticks(tx: &mut Tx, before: DateTime<Utc>) -> Result<u64> {
    let sql = "delete from tick where scheduled_for < $1 and state not in ('due', 'running')
        and exists (select 1 from tick n where n.control = tick.control and n.cause in ('schedule', 'catch_up')
            and n.scheduled_for > tick.scheduled_for)";
    Ok(change!(tx, sqlx::query(sql).bind(us(before))))
}

/// Forgets messages that were sent or dropped before an instant, with their items, except items of
/// episodes that are still open: their keys are what keeps a notice from going out twice. Gives how many
/// items went.
pub async fn forget_notices(tx: &mut Tx, before: DateTime<Utc>) -> Result<u64> {
    let items = "delete from item where planned_at < $1
        and (dropped_at is not null or exists (select 1 from batch b where b.id = item.batch and b.state in ('sent', 'dropped')))
        and not exists (select 1 from finding f where f.key = item.finding and f.status in ('suspect', 'open', 'clearing', 'flapping'))";
    let gone = change!(tx, sqlx::query(items).bind(us(before)));
    let batches = "delete from batch where sealed_at < $1 and state in ('sent', 'dropped')
        and not exists (select 1 from item i where i.batch = batch.id)
        and not exists (select 1 from digest d where d.batch = batch.id)";
    change!(tx, sqlx::query(batches).bind(us(before)));
    Ok(gone)
}
