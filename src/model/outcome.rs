//! What one run says of one subject.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::id::SubjectId;
use crate::{choice, model::policy::Severity};

choice! {
    /// Why an outcome is not known. Missing evidence is a value, so it cannot become a pass.
    pub enum Unknown {
        /// The source answered with an error.
        SourceError = "source_error",
        /// The source did not answer in time, or the evaluation took too long.
        Timeout = "timeout",
        /// The source refused our credentials.
        Auth = "auth",
        /// The source asked us to wait longer than we may.
        RateLimited = "rate_limited",
        /// The population is empty, and the control does not allow that.
        Empty = "empty",
        /// Rows are missing, and we know it.
        Incomplete = "incomplete",
        /// The content is implausible.
        Suspect = "suspect",
        /// The evidence is older than the control allows.
        Stale = "stale",
        /// A column is not what it was.
        SchemaChanged = "schema_changed",
        /// A value cannot be read as its type, or the condition cannot be computed.
        TypeError = "type_error",
        /// The condition is neither true nor false for this subject.
        NullCondition = "null_condition",
        /// We can no longer show that we see all there is.
        LostVisibility = "lost_visibility",
        /// The evidence comes from the future.
        ClockSkew = "clock_skew",
        /// The subject cannot be named.
        Unnamed = "unnamed",
        /// The subject was not among those that the evidence names.
        Absent = "absent",
        /// The evidence was counted before; an outcome counts only once per snapshot.
        AlreadyCounted = "already_counted",
        /// Nothing was ever collected.
        NeverCollected = "never_collected",
    }
}

/// What one run says of one subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome", content = "reason")]
pub enum Outcome {
    /// The condition is false: the subject is as it should be.
    Pass,
    /// The condition is true: the subject deviates.
    Fail,
    /// It cannot be told.
    Unknown(Unknown),
}

impl Outcome {
    /// The word: `pass`, `fail` or `unknown`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Unknown(_) => "unknown",
        }
    }
}

choice! {
    /// Who says that a subject is no longer there.
    pub enum Authority {
        /// The inventory of record no longer has it.
        Inventory = "inventory",
        /// The control was removed.
        Control = "control",
        /// It is in the inventory, but no longer in the control's population.
        OutOfScope = "out_of_scope",
    }
}

/// One row of evidence as people and exceptions see it, column by column.
pub type Row = serde_json::Map<String, serde_json::Value>;

/// A subject that a run has something to say about: it fails, cannot be told, or was known before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// The subject.
    pub subject: SubjectId,
    /// What the run says.
    pub outcome: Outcome,
    /// The rows behind it: the failing ones of a fail, the undecided ones of an unknown, all of a pass. At most
    /// [`MAX_ROWS`], in the order of their columns.
    pub rows: Vec<Row>,
    /// How many rows there were before the cut.
    pub row_count: u64,
    /// How bad it is; the most severe of its rows.
    pub severity: Severity,
    /// Who is told: the values of the owner column, sorted, each once; empty when the control names its owner itself.
    pub owners: Vec<String>,
    /// The values of the control's `fingerprint:` columns, each sorted.
    pub fingerprint: BTreeMap<String, Vec<String>>,
    /// The values of the control's `facts:`.
    pub facts: BTreeMap<String, String>,
}

/// How many rows of one subject are kept with its finding.
pub const MAX_ROWS: usize = 20;

/// How many subjects had which outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Subjects under test.
    pub population: u64,
    /// Passed.
    pub pass: u64,
    /// Failed.
    pub fail: u64,
    /// Not known.
    pub unknown: u64,
}

choice! {
    /// Where a subject went that was known and is no longer in the population.
    pub enum Presence {
        /// The inventory of record still has it: it left the control's scope.
        OutOfScope = "out_of_scope",
        /// The inventory of record does not have it.
        NotInInventory = "not_in_inventory",
        /// The control names no inventory, so it cannot be told.
        NoInventory = "no_inventory",
    }
}

/// Everything that one evaluation says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Why nothing can be told of any subject, with one sentence for people (source, since when, last good).
    /// With `on_partial: open`, the fails that were seen are in `observed` all the same.
    pub not_checked: Option<(Unknown, String)>,
    /// How many subjects had which outcome.
    pub counts: Counts,
    /// Failing, unknown and already known subjects, sorted by subject. Passes of subjects that nobody
    /// knows are only counted.
    pub observed: Vec<Observed>,
    /// Known subjects that are not in the population of a complete run, sorted by subject.
    pub absent: Vec<(SubjectId, Presence)>,
    /// SHA-256 over the counts and the failing and unknown subjects: what a replay must reproduce.
    pub digest: super::id::Sha,
}
