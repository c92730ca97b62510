//! Ticks and runs: when a control was due, and what became of it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    id::{ControlId, DatasetName, RunId, Sha, SnapshotId},
    outcome::{Counts, Unknown},
    snapshot::Completeness,
};
use crate::choice;

choice! {
    /// Why a control runs.
    pub enum Cause {
        /// Its schedule says so.
        Schedule = "schedule",
        /// Its schedule said so while the daemon was down.
        CatchUp = "catch_up",
        /// A first fail, a mass change or a gap is looked at again with fresh evidence.
        Recheck = "recheck",
        /// A source said that something changed, or the control's file did.
        Change = "change",
        /// Somebody asked.
        Manual = "manual",
    }
}

choice! {
    /// What became of a tick. Every due tick ends in one of the last four.
    pub enum TickState {
        /// Nobody has taken it yet.
        Due = "due",
        /// A worker holds its lease.
        Running = "running",
        /// It ran.
        Ran = "ran",
        /// It did not run, for a reason that is stored.
        Skipped = "skipped",
        /// It was due while nobody was there.
        Missed = "missed",
        /// It could not be run to its end: a fault of ours.
        Failed = "failed",
    }
}

/// One due time of one control. Control and time are its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tick {
    /// The control.
    pub control: ControlId,
    /// When it was due.
    pub scheduled_for: DateTime<Utc>,
    /// Why it is due.
    pub cause: Cause,
    /// What became of it.
    pub state: TickState,
    /// Why it was skipped or failed.
    pub reason: Option<String>,
    /// Grows with every claim; a worker writes only under its own.
    pub fence: i64,
}

/// Which snapshot a run used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// The dataset.
    pub dataset: DatasetName,
    /// The snapshot; nothing when none was ever taken.
    pub snapshot: Option<SnapshotId>,
    /// The stored object.
    pub object: Option<Sha>,
    /// Its canonical content.
    pub content: Option<Sha>,
    /// Whether it could be believed.
    pub status: Completeness,
    /// Rows.
    pub rows: u64,
    /// When its collection began.
    pub collected_at: Option<DateTime<Utc>>,
    /// Why no outcome could be drawn from it.
    pub objection: Option<Unknown>,
}

/// One evaluation of one control at one instant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// The control.
    pub control: ControlId,
    /// When it was due.
    pub scheduled_for: DateTime<Utc>,
    /// Why it ran.
    pub cause: Cause,
    /// What `now()` was: the instant at which the evaluation began.
    pub instant: DateTime<Utc>,
    /// When all was recorded.
    pub ended_at: DateTime<Utc>,
    /// Why nothing could be told of any subject; nothing when the run is complete.
    pub not_checked: Option<Unknown>,
    /// The same in one sentence: source, since when, last good.
    pub detail: Option<String>,
    /// How many subjects had which outcome.
    pub counts: Counts,
    /// What it looked at.
    pub evidence: Vec<Used>,
    /// The definition of the control.
    pub definition: Sha,
    /// SHA-256 of the failing and unknown subjects and the counts: what a replay must reproduce.
    pub outcomes: Sha,
    /// Whether its outcomes count towards confirm and clear: only once for the same evidence.
    pub counted: bool,
    /// The hash of the whole configuration.
    pub config: Sha,
}
