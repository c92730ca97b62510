//! What one run looks at: which snapshot of each dataset, whether it may be believed at the run's instant, and
//! what its columns are. A run is replayed by building the same value again from what was stored with it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::model::{
    id::DatasetName,
    outcome::Unknown,
    run::Used,
    snapshot::{Completeness, Snapshot},
    span::Span,
    table::Schema,
};

/// What one run looks at.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Evidence {
    /// The snapshots, views left out.
    pub used: Vec<Used>,
    /// The columns that SQL may speak of: of each dataset in `used`.
    pub schemas: BTreeMap<DatasetName, Schema>,
    /// SQL over datasets of the same source.
    pub views: BTreeMap<DatasetName, View>,
    /// For people: why a snapshot is not whole, and when the last whole one was collected.
    pub notes: BTreeMap<DatasetName, Note>,
}

/// A dataset that is computed from others of its source, as complete as these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// One SELECT; a bare name in it is a dataset of the same source.
    pub sql: String,
    /// The columns that it gives.
    pub schema: Schema,
}

/// What people are told of a snapshot that may not be believed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Note {
    /// Why it is not whole ("got 187 of 250 rows").
    pub reason: Option<String>,
    /// When the collection of the last whole one began.
    pub last_good: Option<DateTime<Utc>>,
}

/// A dataset as it stands when a run begins.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    /// The dataset.
    pub dataset: &'a DatasetName,
    /// Its declared columns.
    pub schema: &'a Schema,
    /// Its newest snapshot, if there is any.
    pub snapshot: Option<&'a Snapshot>,
    /// When the collection of its last whole snapshot began.
    pub last_good: Option<DateTime<Utc>>,
}

impl Evidence {
    /// Adds a dataset as it stands, believed only when it is whole and no older than `max_age` at `now`.
    pub fn add(&mut self, standing: Standing<'_>, max_age: Span, now: DateTime<Utc>) {
        let Standing {
            dataset,
            schema,
            snapshot,
            last_good,
        } = standing;
        self.used.push(used(dataset, snapshot, max_age, now));
        self.schemas.insert(dataset.clone(), schema.clone());
        let note = Note {
            reason: snapshot.and_then(|s| s.reason.clone()),
            last_good,
        };
        if note != Note::default() {
            self.notes.insert(dataset.clone(), note);
        }
    }

    /// The snapshots that may not be believed.
    pub fn objections(&self) -> impl Iterator<Item = (&Used, Unknown)> {
        self.used.iter().filter_map(|u| Some((u, u.objection?)))
    }
}

/// What a run writes down of a dataset.
fn used(
    dataset: &DatasetName,
    snapshot: Option<&Snapshot>,
    max_age: Span,
    now: DateTime<Utc>,
) -> Used {
    let Some(snapshot) = snapshot else {
        return Used {
            dataset: dataset.clone(),
            snapshot: None,
            object: None,
            content: None,
            status: Completeness::Failed,
            rows: 0,
            collected_at: None,
            objection: Some(Unknown::NeverCollected),
        };
    };
    Used {
        dataset: dataset.clone(),
        snapshot: Some(snapshot.id.clone()),
        object: snapshot.object,
        content: snapshot.content,
        status: snapshot.status,
        rows: snapshot.rows,
        collected_at: Some(snapshot.started_at),
        objection: objection(snapshot, max_age, now),
    }
}

/// Why nothing may be drawn from a snapshot. A partial one that is also too old is too old, so that a fail seen
/// in it does not count either; a whole one without an object has nothing to look at.
fn objection(snapshot: &Snapshot, max_age: Span, now: DateTime<Utc>) -> Option<Unknown> {
    if snapshot.status == Completeness::Partial && snapshot.age(now) > max_age.to_delta() {
        return Some(Unknown::Stale);
    }
    snapshot
        .objection(max_age, now)
        .or_else(|| snapshot.object.is_none().then_some(Unknown::NeverCollected))
}
