//! Writes what a run changed: the finding, its owners, and where it moved.

use std::collections::HashSet;

use sqlx::QueryBuilder;

use crate::{
    model::finding::{Change, Finding},
    store::{
        Tx,
        error::{Error, Result},
        row::{Doc, int, runs_of, us, us_opt},
        transitions,
    },
};

const INSERT: &str = "insert into finding (key, control, subject, status, opened_at, unverified_since, state, severity, \
    owners, rows, row_count, fingerprint, facts, first_seen, run, changed_at, covered_by, definition) ";

/// The key, its two halves and the first sight never change.
const UPDATE: &str = " on conflict (key) do update set status = excluded.status, opened_at = excluded.opened_at, \
    unverified_since = excluded.unverified_since, state = excluded.state, severity = excluded.severity, \
    owners = excluded.owners, rows = excluded.rows, row_count = excluded.row_count, \
    fingerprint = excluded.fingerprint, facts = excluded.facts, run = excluded.run, \
    changed_at = excluded.changed_at, covered_by = excluded.covered_by, definition = excluded.definition";

/// Writes the findings of those changes that are `dirty`, and gives how many there were. A change of
/// where a finding stands, or something that was told of it, is kept in its timeline as well.
pub async fn apply(tx: &mut Tx, changes: &[Change]) -> Result<u64> {
    let dirty: Vec<&Change> = changes.iter().filter(|c| c.dirty).collect();
    each_once(&dirty)?;
    for run in runs_of(&dirty) {
        upsert(tx, run).await?;
    }
    owners(tx, &dirty).await?;
    transitions::keep(tx, &dirty).await?;
    Ok(dirty.len() as u64)
}

/// A run says one thing of a finding. PostgreSQL refuses two in one statement and SQLite takes the last,
/// so neither is asked.
fn each_once(changes: &[&Change]) -> Result<()> {
    let mut seen = HashSet::with_capacity(changes.len());
    match changes.iter().find(|c| !seen.insert(c.finding.key)) {
        None => Ok(()),
        Some(twice) => Err(Error::Inconsistent {
            table: "finding",
            column: "key",
            id: twice.finding.key.to_string(),
        }),
    }
}

async fn upsert(tx: &mut Tx, changes: &[&Change]) -> Result<()> {
    let written = on!(tx, c => {
        let mut q = QueryBuilder::new(INSERT);
        q.push_values(changes, |mut row, change| {
            let Finding { key, control, subject, state, severity, owners, rows, row_count, fingerprint, facts,
                first_seen, run, changed_at, covered_by, definition } = &change.finding;
            row.push_bind(key.to_string())
                .push_bind(control.as_str())
                .push_bind(subject.as_str())
                .push_bind(state.status.as_str())
                .push_bind(us_opt(state.opened_at))
                .push_bind(us_opt(state.unverified_since))
                .push_bind(Doc(state))
                .push_bind(severity.as_str())
                .push_bind(Doc(owners))
                .push_bind(Doc(rows))
                .push_bind(int(*row_count))
                .push_bind(Doc(fingerprint))
                .push_bind(Doc(facts))
                .push_bind(us(*first_seen))
                .push_bind(run.as_str())
                .push_bind(us(*changed_at))
                .push_bind(covered_by.as_ref().map(AsRef::<str>::as_ref))
                .push_bind(definition.to_string());
        });
        q.push(UPDATE);
        q.build().execute(c).await.map(|done| done.rows_affected())
    })?;
    tx.wrote(written);
    Ok(())
}

/// Owners are searched, so they have a table; a finding that is not new may have had others.
async fn owners(tx: &mut Tx, changes: &[&Change]) -> Result<()> {
    let known: Vec<String> = changes
        .iter()
        .filter(|c| c.before.is_some())
        .map(|c| c.finding.key.to_string())
        .collect();
    for run in runs_of(&known) {
        let gone = on!(tx, c => {
            let mut q = QueryBuilder::new("delete from finding_owner where finding in (");
            let mut keys = q.separated(", ");
            for key in run {
                keys.push_bind(key);
            }
            q.push(")");
            q.build().execute(c).await.map(|done| done.rows_affected())
        })?;
        tx.wrote(gone);
    }
    let pairs: Vec<(&str, String)> = changes
        .iter()
        .flat_map(|c| {
            c.finding
                .owners
                .iter()
                .map(|o| (o.as_str(), c.finding.key.to_string()))
        })
        .collect();
    for run in runs_of(&pairs) {
        let written = on!(tx, c => {
            let mut q = QueryBuilder::new("insert into finding_owner (owner, finding) ");
            q.push_values(run, |mut row, (owner, key)| {
                row.push_bind(*owner).push_bind(key);
            });
            q.push(" on conflict (owner, finding) do nothing");
            q.build().execute(c).await.map(|done| done.rows_affected())
        })?;
        tx.wrote(written);
    }
    Ok(())
}
