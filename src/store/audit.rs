//! The Merkle log as rows: leaves verbatim, the hashes of the tree, signed checkpoints. A leaf is appended
//! in the transaction of the fact that it records, so there is no fact without a leaf and no leaf without
//! its fact. Both engines refuse to change or delete a row; what gets past that is caught by the hashes.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::QueryBuilder;

use super::{
    Tx,
    error::{Error, Result},
    row::{Place, int, runs_of, us},
};
use crate::{
    audit::{leaf::Leaf, log::Edge},
    model::id::Sha,
};

/// A leaf as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its number, from 0.
    pub seq: u64,
    /// Its bytes, over which its hash runs.
    pub bytes: Vec<u8>,
}

/// A signed head of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// How many leaves it speaks of.
    pub size: u64,
    /// The signed note.
    pub note: String,
    /// When it was signed.
    pub at: DateTime<Utc>,
}

/// Appends leaves in their order and gives the new size. Called last in a transaction: from here to its
/// end every other append waits.
pub async fn append(tx: &mut Tx, leaves: &[Leaf]) -> Result<u64> {
    let mut edge = edge_for_append(tx).await?;
    let mut rows = Vec::with_capacity(leaves.len());
    let mut hashes = Vec::with_capacity(2 * leaves.len());
    for leaf in leaves {
        let bytes = leaf
            .to_bytes()
            .map_err(|_| wrong("audit_leaf", edge.size()))?;
        let appended = edge
            .append(&bytes)
            .map_err(|_| wrong("audit_hash", edge.size()))?;
        rows.push((appended.seq, leaf.kind(), leaf.at, bytes));
        hashes.extend(appended.stored);
    }
    insert(tx, &rows, &hashes).await?;
    let sql = "update audit_head set size = $1 where id = 1";
    change!(tx, sqlx::query(sql).bind(int(edge.size())));
    Ok(edge.size())
}

async fn insert(
    tx: &mut Tx,
    rows: &[(u64, &'static str, DateTime<Utc>, Vec<u8>)],
    hashes: &[(u64, Sha)],
) -> Result<()> {
    for run in runs_of(rows) {
        let added = on!(tx, c => {
            let mut q = QueryBuilder::new("insert into audit_leaf (seq, kind, at, bytes) ");
            q.push_values(run, |mut row, (seq, kind, at, bytes)| {
                row.push_bind(int(*seq)).push_bind(*kind).push_bind(us(*at)).push_bind(bytes.as_slice());
            });
            q.build().execute(c).await.map(|done| done.rows_affected())
        })?;
        tx.wrote(added);
    }
    for run in runs_of(hashes) {
        let added = on!(tx, c => {
            let mut q = QueryBuilder::new("insert into audit_hash (stored_index, hash) ");
            q.push_values(run, |mut row, (index, hash)| {
                row.push_bind(int(*index)).push_bind(hash.0.to_vec());
            });
            q.build().execute(c).await.map(|done| done.rows_affected())
        })?;
        tx.wrote(added);
    }
    Ok(())
}

/// The right edge of the log; in a transaction that writes, others wait until its end.
async fn edge_for_append(tx: &mut Tx) -> Result<Edge> {
    let sql = format!(
        "select size from audit_head where id = 1{}",
        tx.for_update()
    );
    let size: i64 = on!(tx, c => sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(c).await)?;
    let size = u64::try_from(size).map_err(|_| wrong("audit_head", 1))?;
    let hashes = hashes(tx, &Edge::indexes(size)).await?;
    Edge::new(size, &hashes).map_err(|_| wrong("audit_hash", size))
}

/// The right edge of the log as it is now.
pub async fn edge(tx: &mut Tx) -> Result<Edge> {
    edge_for_append(tx).await
}

/// Stored hashes by index; those that are not there are left out.
pub async fn hashes(tx: &mut Tx, indexes: &[u64]) -> Result<BTreeMap<u64, Sha>> {
    let mut found = BTreeMap::new();
    for run in runs_of(indexes) {
        let rows: Vec<(i64, Vec<u8>)> = on!(tx, c => {
            let mut q = QueryBuilder::new("select stored_index, hash from audit_hash where stored_index in (");
            let mut list = q.separated(", ");
            for index in run {
                list.push_bind(int(*index));
            }
            q.push(") order by stored_index");
            q.build_query_as().fetch_all(c).await
        })?;
        for (index, hash) in rows {
            let index = u64::try_from(index).map_err(|_| wrong("audit_hash", 0))?;
            let hash: [u8; 32] = hash.try_into().map_err(|_| wrong("audit_hash", index))?;
            found.insert(index, Sha(hash));
        }
    }
    Ok(found)
}

/// Leaves from a number on, in order, at most so many.
pub async fn leaves(tx: &mut Tx, from: u64, limit: u32) -> Result<Vec<Kept>> {
    let sql = "select seq, bytes from audit_leaf where seq >= $1 order by seq limit $2";
    let rows: Vec<(i64, Vec<u8>)> = on!(tx, c => sqlx::query_as(sql)
        .bind(int(from))
        .bind(i64::from(limit))
        .fetch_all(c)
        .await)?;
    rows.into_iter()
        .map(|(seq, bytes)| {
            let seq = u64::try_from(seq).map_err(|_| wrong("audit_leaf", from))?;
            Ok(Kept { seq, bytes })
        })
        .collect()
}

/// Keeps a signed checkpoint. The same size is signed once.
pub async fn keep(tx: &mut Tx, signed: &Signed) -> Result<()> {
    let sql = "insert into audit_checkpoint (size, note, at) select $1, $2, $3
        where not exists (select 1 from audit_checkpoint where size = $1)";
    change!(
        tx,
        sqlx::query(sql)
            .bind(int(signed.size))
            .bind(&signed.note)
            .bind(us(signed.at))
    );
    Ok(())
}

/// The last signed checkpoint.
pub async fn last(tx: &mut Tx) -> Result<Option<Signed>> {
    let mut all = signed(
        tx,
        "select size, note, at from audit_checkpoint order by size desc limit 1",
    )
    .await?;
    Ok(all.pop())
}

/// Every signed checkpoint, oldest first.
pub async fn checkpoints(tx: &mut Tx) -> Result<Vec<Signed>> {
    signed(
        tx,
        "select size, note, at from audit_checkpoint order by size",
    )
    .await
}

async fn signed(tx: &mut Tx, sql: &'static str) -> Result<Vec<Signed>> {
    let rows: Vec<(i64, String, DateTime<Utc>)> =
        on!(tx, c => sqlx::query_as(sql).fetch_all(c).await)?;
    rows.into_iter()
        .map(|(size, note, at)| {
            let size = u64::try_from(size).map_err(|_| wrong("audit_checkpoint", 0))?;
            Ok(Signed { size, note, at })
        })
        .collect()
}

fn wrong(table: &'static str, id: u64) -> Error {
    let id = id.to_string();
    Place { table, id: &id }.wrong("bytes")
}
