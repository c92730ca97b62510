//! A finding: one control, one subject, many runs.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    id::{ControlId, ExceptionId, FindingKey, RunId, SubjectId},
    outcome::{Authority, Observed, Outcome, Row, Unknown},
    policy::Severity,
};
use crate::choice;

choice! {
    /// Where a finding stands.
    pub enum Status {
        /// As it should be.
        Clear = "clear",
        /// Failed, not yet confirmed.
        Suspect = "suspect",
        /// A confirmed deviation.
        Open = "open",
        /// Passing again, not yet often enough.
        Clearing = "clearing",
        /// Changes too often to say.
        Flapping = "flapping",
        /// Was open, is mended.
        Resolved = "resolved",
        /// The subject or the control is gone; not the same as mended.
        Retired = "retired",
    }
}

impl Status {
    /// Whether an episode is open.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::Clearing | Self::Flapping)
    }
}

choice! {
    /// How an episode came about; decides how it is told.
    pub enum Origin {
        /// By itself.
        Single = "single",
        /// Together with implausibly many others in one run.
        Mass = "mass",
        /// It failed already when the control ran for the first time.
        Baseline = "baseline",
    }
}

/// How many openings of one finding are kept, so that a notice can say "third time in 30 days".
pub const MAX_OPENINGS: usize = 20;

/// The state of a finding. `step` in `finding` is its only writer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Where it stands.
    pub status: Status,
    /// Consecutive known fails, counted up to `confirm` or 2, whichever is more.
    pub fails: u32,
    /// Consecutive known passes, counted up to `clear`.
    pub passes: u32,
    /// The last 21 known results, `F` and `P`, oldest first; equal results at the beginning are kept once,
    /// which changes no count of changes.
    pub history: String,
    /// How often it opened.
    pub episode: u32,
    /// Whether this episode was told.
    pub announced: bool,
    /// How this episode came about.
    pub origin: Origin,
    /// When this episode opened.
    pub opened_at: Option<DateTime<Utc>>,
    /// When it opened in the 30 days up to its last opening, that one included: oldest first, at most
    /// [`MAX_OPENINGS`].
    #[serde(default)]
    pub openings: Vec<DateTime<Utc>>,
    /// When it was last mended.
    pub resolved_at: Option<DateTime<Utc>>,
    /// Since when nothing is known.
    pub unverified_since: Option<DateTime<Utc>>,
    /// Why nothing was known then.
    pub unverified: Option<Unknown>,
    /// Complete runs in a row in which the subject was not seen, counted up to 3.
    pub absences: u32,
    /// Counts every transition; part of a notice's key.
    pub transition: u32,
    /// Who said that it left, as long as it is retired. Not known of what was retired by an older program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<Authority>,
    /// Its episode was open when its control was removed: should the control come back, the episode goes on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub interrupted: bool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            status: Status::Clear,
            fails: 0,
            passes: 0,
            history: String::new(),
            episode: 0,
            announced: false,
            origin: Origin::Single,
            opened_at: None,
            openings: Vec::new(),
            resolved_at: None,
            unverified_since: None,
            unverified: None,
            absences: 0,
            transition: 0,
            left: None,
            interrupted: false,
        }
    }
}

/// What a run says of one subject, after completeness was weighed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Observation {
    /// As it should be.
    Pass,
    /// Deviates.
    Fail,
    /// It cannot be told.
    Unknown(Unknown),
    /// It is no longer there.
    Left(Authority),
}

impl From<Outcome> for Observation {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Pass => Self::Pass,
            Outcome::Fail => Self::Fail,
            Outcome::Unknown(why) => Self::Unknown(why),
        }
    }
}

choice! {
    /// What a transition asks the world to do.
    pub enum Effect {
        /// Run again soon, with fresh evidence.
        Recheck = "recheck",
        /// Tell that it opened.
        Opened = "opened",
        /// Tell that it opened again.
        Reopened = "reopened",
        /// Tell that it changes too often.
        Flapping = "flapping",
        /// Tell that it is mended.
        Resolved = "resolved",
        /// Tell that it is gone.
        Retired = "retired",
        /// It opened while an exception covers it: recorded, not told.
        OpenedCovered = "opened_covered",
        /// Tell at once that no exception covers it any longer.
        Uncovered = "uncovered",
    }
}

choice! {
    /// Why a step did what it did. Every observation yields exactly one.
    pub enum Reason {
        /// It passes, as before.
        StillClear = "still_clear",
        /// A first fail, to be confirmed.
        AwaitingConfirmation = "awaiting_confirmation",
        /// Failed often enough.
        Confirmed = "confirmed",
        /// Failed once and passed again before it was confirmed.
        Blip = "blip",
        /// It fails, as before.
        StillOpen = "still_open",
        /// It passes, not yet often enough.
        Clearing = "clearing",
        /// Passed often enough.
        Cleared = "cleared",
        /// It changes too often.
        TooManyChanges = "too_many_changes",
        /// It still changes too often.
        StillFlapping = "still_flapping",
        /// It settled on fail.
        FlappingEnded = "flapping_ended",
        /// Nothing is known, so everything stays.
        UnknownHolds = "unknown_holds",
        /// The subject or the control left.
        Left = "left",
        /// It left before; nothing more to say.
        AlreadyLeft = "already_left",
        /// Too many turned at once; held for a second complete run.
        HeldForMassChange = "held_for_mass_change",
        /// A second complete run agreed with a mass change.
        MassChangeConfirmed = "mass_change_confirmed",
        /// The condition changed: judged by it for the first time, without a word.
        ConditionChanged = "condition_changed",
        /// It opened while its control was in shadow, and is told now that it no longer is.
        OutOfShadow = "out_of_shadow",
    }
}

/// A finding as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// What makes it the same.
    pub key: FindingKey,
    /// The control.
    pub control: ControlId,
    /// The subject.
    pub subject: SubjectId,
    /// Where it stands.
    pub state: State,
    /// An attribute: how bad.
    pub severity: Severity,
    /// An attribute: values of the owner column.
    pub owners: Vec<String>,
    /// The rows that failed last.
    pub rows: Vec<Row>,
    /// How many there were.
    pub row_count: u64,
    /// Values of the fingerprint columns when it failed last.
    pub fingerprint: BTreeMap<String, Vec<String>>,
    /// Values of the facts when it failed last.
    pub facts: BTreeMap<String, String>,
    /// When there first was something to say: a fail, or that it could not be told.
    pub first_seen: DateTime<Utc>,
    /// The run that last changed it.
    pub run: RunId,
    /// When that was.
    pub changed_at: DateTime<Utc>,
    /// The exception that keeps it silent.
    pub covered_by: Option<ExceptionId>,
    /// The definition of the control that judged it last.
    pub definition: super::id::Sha,
}

/// What one run does to one finding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The finding after the run.
    pub finding: Finding,
    /// Where it stood before; nothing for a new one.
    pub before: Option<Status>,
    /// What the run said.
    pub observation: Observation,
    /// What is to be done.
    pub effect: Option<Effect>,
    /// Why.
    pub reason: Reason,
    /// Whether the row differs from the one that is kept, so that it must be written.
    pub dirty: bool,
}

impl Finding {
    /// A finding that was never seen before.
    pub fn new(
        control: &ControlId,
        observed: &Observed,
        run: &RunId,
        definition: super::id::Sha,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            key: FindingKey::of(control, &observed.subject),
            control: control.clone(),
            subject: observed.subject.clone(),
            state: State::default(),
            severity: observed.severity,
            owners: observed.owners.clone(),
            rows: observed.rows.clone(),
            row_count: observed.row_count,
            fingerprint: observed.fingerprint.clone(),
            facts: observed.facts.clone(),
            first_seen: now,
            run: run.clone(),
            changed_at: now,
            covered_by: None,
            definition,
        }
    }
}
