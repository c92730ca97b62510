//! The audit log: leaves byte for byte, the hashes of their tree, and the signed heads. Appended in the
//! transaction of the fact that a leaf records, so both are true or neither is. Never updated and never
//! deleted from; triggers refuse, and whoever gets past them is found out by the hashes.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::{FromRow, QueryBuilder};

use super::{
    Tx,
    error::{Error, Result},
    row::{Place, int, runs_of, us},
};
use crate::{
    audit::{
        leaf::{Fact, Leaf},
        log::{self, Edge, Hashes},
    },
    model::id::{ExceptionId, Sha},
};

/// How many leaves there are, and the root of their tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// How many leaves.
    pub size: u64,
    /// The root.
    pub root: Sha,
}

/// A leaf as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its number, from 0.
    pub seq: u64,
    /// Its bytes: what is hashed, proved and exported.
    pub bytes: Vec<u8>,
}

/// Adds leaves, in their order, and gives the head after them. Waits until nobody else appends, and keeps
/// others waiting until the end of the transaction: call it last.
pub async fn append(tx: &mut Tx, leaves: &[Leaf]) -> Result<Head> {
    if leaves.is_empty() {
        return head(tx).await;
    }
    // The head is taken before anything is read, so that no two transactions continue from the same one.
    let sql = "update audit_head set size = size + $1 where id = 1 returning size";
    let added = int(leaves.len());
    let size: i64 = on!(tx, c => sqlx::query_scalar(sql).bind(added).fetch_one(c).await)?;
    tx.wrote(1);
    let mut edge = edge(tx, read_size(size - added)?).await?;
    let mut rows = Vec::with_capacity(leaves.len());
    let mut hashes = Vec::with_capacity(2 * leaves.len());
    for leaf in leaves {
        let bytes = leaf.to_bytes().map_err(Error::Leaf)?;
        let appended = edge.append(&bytes)?;
        hashes.extend(appended.stored);
        rows.push((appended.seq, leaf, bytes));
    }
    for run in runs_of(&rows) {
        insert_leaves(tx, run).await?;
    }
    for run in runs_of(&hashes) {
        insert_hashes(tx, run).await?;
    }
    Ok(Head {
        size: edge.size(),
        root: edge.root()?,
    })
}

async fn insert_leaves(tx: &mut Tx, rows: &[(u64, &Leaf, Vec<u8>)]) -> Result<()> {
    let written = on!(tx, c => {
        let mut q = QueryBuilder::new("insert into audit_leaf (seq, kind, about, at, bytes) ");
        q.push_values(rows, |mut row, (seq, leaf, bytes)| {
            row.push_bind(int(*seq))
                .push_bind(leaf.kind())
                .push_bind(about(&leaf.fact))
                .push_bind(us(leaf.at))
                .push_bind(bytes.as_slice());
        });
        q.build().execute(c).await.map(|done| done.rows_affected())
    })?;
    tx.wrote(written);
    Ok(())
}

async fn insert_hashes(tx: &mut Tx, rows: &[(u64, Sha)]) -> Result<()> {
    let written = on!(tx, c => {
        let mut q = QueryBuilder::new("insert into audit_hash (stored_index, hash) ");
        q.push_values(rows, |mut row, (index, hash)| {
            row.push_bind(int(*index)).push_bind(hash.0.as_slice());
        });
        q.build().execute(c).await.map(|done| done.rows_affected())
    })?;
    tx.wrote(written);
    Ok(())
}

/// What a leaf speaks of, by the id that people know it by.
fn about(fact: &Fact) -> Option<String> {
    match fact {
        Fact::Run(run) => Some(run.run.to_string()),
        Fact::Transition(t) => Some(t.finding.to_string()),
        Fact::Evidence(e) => Some(e.snapshot.to_string()),
        Fact::Notice(n) => Some(n.notice.to_string()),
        Fact::Definition(d) => Some(d.id.clone()),
        Fact::Remark(r) => Some(r.about.clone()),
        Fact::Exception(e) => Some(e.exception.to_string()),
        Fact::Signal(s) => Some(s.signal.to_string()),
        Fact::Report(r) => Some(r.content.to_string()),
        Fact::Authority(a) => Some(a.about.clone()),
        Fact::Life(_) | Fact::Key(_) | Fact::Read(_) => None,
    }
}

/// How many leaves there are.
pub async fn size(tx: &mut Tx) -> Result<u64> {
    let sql = "select size from audit_head where id = 1";
    read_size(on!(tx, c => sqlx::query_scalar(sql).fetch_one(c).await)?)
}

/// How many leaves there are, and the root of their tree.
pub async fn head(tx: &mut Tx) -> Result<Head> {
    let size = size(tx).await?;
    let edge = edge(tx, size).await?;
    Ok(Head {
        size,
        root: edge.root()?,
    })
}

/// The right edge of the log when it had so many leaves.
pub async fn edge(tx: &mut Tx, size: u64) -> Result<Edge> {
    let hashes = hashes(tx, &Edge::indexes(size)).await?;
    Ok(Edge::new(size, &hashes)?)
}

/// The stored hashes with those indexes; one that is not there is left out, and missed by whoever needs it.
pub async fn hashes(tx: &mut Tx, indexes: &[u64]) -> Result<Hashes> {
    let mut found = Hashes::new();
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
        for row in rows {
            let (index, hash) = read_hash(row)?;
            found.insert(index, hash);
        }
    }
    Ok(found)
}

fn read_hash((index, hash): (i64, Vec<u8>)) -> Result<(u64, Sha)> {
    let id = index.to_string();
    let at = Place {
        table: "audit_hash",
        id: &id,
    };
    let hash: [u8; 32] = hash.try_into().map_err(|_| at.wrong("hash"))?;
    Ok((at.count("stored_index", index)?, Sha(hash)))
}

/// A leaf with what is searched by beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its number, from 0.
    pub seq: u64,
    /// Its kind, as the row says.
    pub kind: String,
    /// When it was recorded, as the row says.
    pub at: DateTime<Utc>,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// The rows of the leaves from one number on, at most so many: for whoever believes none of them.
pub async fn rows(tx: &mut Tx, from: u64, limit: u32) -> Result<Vec<Row>> {
    let sql = "select seq, kind, at, bytes from audit_leaf where seq >= $1 order by seq limit $2";
    let rows: Vec<(i64, String, DateTime<Utc>, Vec<u8>)> = on!(tx, c => sqlx::query_as(sql).bind(int(from)).bind(i64::from(limit)).fetch_all(c).await)?;
    rows.into_iter()
        .map(|(seq, kind, at, bytes)| {
            Ok(Row {
                seq: read_size(seq)?,
                kind,
                at,
                bytes,
            })
        })
        .collect()
}

/// The stored hashes from one index on, in the order of indexes, at most so many.
pub async fn stored(tx: &mut Tx, from: u64, limit: u32) -> Result<Vec<(u64, Sha)>> {
    let sql = "select stored_index, hash from audit_hash where stored_index >= $1 order by stored_index limit $2";
    let rows: Vec<(i64, Vec<u8>)> = on!(tx, c => sqlx::query_as(sql).bind(int(from)).bind(i64::from(limit)).fetch_all(c).await)?;
    rows.into_iter().map(read_hash).collect()
}

#[derive(FromRow)]
struct Raw {
    seq: i64,
    bytes: Vec<u8>,
}

fn read_all(raw: Vec<Raw>) -> Result<Vec<Kept>> {
    raw.into_iter()
        .map(|raw| {
            Ok(Kept {
                seq: read_size(raw.seq)?,
                bytes: raw.bytes,
            })
        })
        .collect()
}

/// The leaves from one number on, at most so many.
pub async fn leaves(tx: &mut Tx, from: u64, limit: u32) -> Result<Vec<Kept>> {
    let sql = "select seq, bytes from audit_leaf where seq >= $1 order by seq limit $2";
    read_all(
        on!(tx, c => sqlx::query_as(sql).bind(int(from)).bind(i64::from(limit)).fetch_all(c).await)?,
    )
}

/// The leaves that speak of a run, a finding, a snapshot, a notice or a definition, oldest first.
pub async fn leaves_about(tx: &mut Tx, id: &str) -> Result<Vec<Kept>> {
    let sql = "select seq, bytes from audit_leaf where about = $1 order by seq";
    read_all(on!(tx, c => sqlx::query_as(sql).bind(id).fetch_all(c).await)?)
}

/// The newest leaf about an exception, with the hash that is kept for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Newest {
    /// The leaf.
    pub kept: Kept,
    /// Its hash in the tree; nothing when there is none.
    pub hash: Option<Sha>,
}

/// The newest leaf about each of these exceptions: one look-up by index for each, however long the log is.
pub async fn newest_of_exceptions(
    tx: &mut Tx,
    ids: &[&ExceptionId],
) -> Result<BTreeMap<ExceptionId, Newest>> {
    let mut all: Vec<(ExceptionId, Kept)> = Vec::with_capacity(ids.len());
    for run in runs_of(ids) {
        let rows: Vec<(String, i64, Vec<u8>)> = on!(tx, c => {
            let mut q = QueryBuilder::new(
                "select l.about, l.seq, l.bytes from audit_leaf l where l.kind = 'exception' and l.about in (",
            );
            let mut list = q.separated(", ");
            for id in run {
                list.push_bind(id.as_str());
            }
            q.push(") and l.seq = (select max(n.seq) from audit_leaf n where n.about = l.about and n.kind = 'exception')");
            q.build_query_as().fetch_all(c).await
        })?;
        for (about, seq, bytes) in rows {
            let seq = read_size(seq)?;
            all.push((about.into(), Kept { seq, bytes }));
        }
    }
    let indexes: Vec<u64> = all
        .iter()
        .map(|(_, kept)| log::leaf_index(kept.seq))
        .collect();
    let hashes = hashes(tx, &indexes).await?;
    let newest = |(id, kept): (ExceptionId, Kept)| {
        let hash = hashes.get(&log::leaf_index(kept.seq)).copied();
        (id, Newest { kept, hash })
    };
    Ok(all.into_iter().map(newest).collect())
}

/// The number of the first leaf that was recorded at an instant or later: where the export of a period begins.
pub async fn first_since(tx: &mut Tx, at: DateTime<Utc>) -> Result<Option<u64>> {
    let sql = "select min(seq) from audit_leaf where at >= $1";
    let seq: Option<i64> = on!(tx, c => sqlx::query_scalar(sql).bind(us(at)).fetch_one(c).await)?;
    seq.map(read_size).transpose()
}

/// A signed head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// How many leaves it speaks for.
    pub size: u64,
    /// The signed note.
    pub note: String,
    /// When it was signed.
    pub at: DateTime<Utc>,
}

/// Keeps a signed head; whether there was none of that size yet.
pub async fn keep_checkpoint(tx: &mut Tx, checkpoint: &Checkpoint) -> Result<bool> {
    // Two replicas may sign the same head at once, and the trigger of SQLite comes before its conflict clause.
    let sql = "insert into audit_checkpoint (size, note, at) select $1, $2, $3
        where not exists (select 1 from audit_checkpoint where size = $1) on conflict (size) do nothing";
    let changed = change!(
        tx,
        sqlx::query(sql)
            .bind(int(checkpoint.size))
            .bind(&checkpoint.note)
            .bind(us(checkpoint.at))
    );
    Ok(changed == 1)
}

/// The signed heads of at least so many leaves, smallest first.
pub async fn checkpoints(tx: &mut Tx, from: u64, limit: u32) -> Result<Vec<Checkpoint>> {
    let sql = "select size, note, at from audit_checkpoint where size >= $1 order by size limit $2";
    let rows = on!(tx, c => sqlx::query_as(sql).bind(int(from)).bind(i64::from(limit)).fetch_all(c).await)?;
    rows.into_iter().map(read_checkpoint).collect()
}

/// The last signed head.
pub async fn last_checkpoint(tx: &mut Tx) -> Result<Option<Checkpoint>> {
    let sql = "select size, note, at from audit_checkpoint order by size desc limit 1";
    let row = on!(tx, c => sqlx::query_as(sql).fetch_optional(c).await)?;
    row.map(read_checkpoint).transpose()
}

fn read_checkpoint((size, note, at): (i64, String, DateTime<Utc>)) -> Result<Checkpoint> {
    Ok(Checkpoint {
        size: read_size(size)?,
        note,
        at,
    })
}

fn read_size(n: i64) -> Result<u64> {
    Place {
        table: "audit_leaf",
        id: &n.to_string(),
    }
    .count("seq", n)
}
