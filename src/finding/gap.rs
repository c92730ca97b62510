//! The evidence gap: one finding per source that says that it cannot be read, however many controls wait
//! for it. Its rows are the controls that it stops.
//!
//! It opens when the first of its controls missed two runs in a row, or has no evidence younger than its
//! `max_age`; it resolves when every dataset that was missed was collected whole again. It is no deviation
//! of a subject: no debounce, no flapping, no exception of a control covers it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::step::{
    Verdict, count_transition, leave, open_again, pass_without_episode, resolve, revive,
};
use crate::model::{
    control::Rules,
    finding::{Change, Effect, Finding, Observation, Reason, State, Status},
    id::{ControlId, DatasetName, FindingKey, RunId, Sha, SourceId, SubjectId},
    outcome::{Authority, Row, Unknown},
    policy::Severity,
    run::Used,
    span::Span,
};

/// Runs that one control may miss in a row before its source is said to be unreadable.
const PATIENCE: u32 = 2;

/// What one run of one control saw of one source.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// The source.
    pub source: &'a SourceId,
    /// Who is told: its owner.
    pub owner: &'a str,
    /// How bad a fail of the control is.
    pub severity: Severity,
    /// The control that ran.
    pub control: &'a ControlId,
    /// How old its evidence may be.
    pub max_age: Span,
    /// What the run looked at; other sources' datasets are ignored.
    pub evidence: &'a [Used],
    /// When the newest whole evidence of the control from this source was collected: of several datasets
    /// the oldest.
    pub last_good: Option<DateTime<Utc>>,
    /// Why it could not be read, in one sentence.
    pub detail: Option<&'a str>,
    /// The run.
    pub run: &'a RunId,
    /// Its instant.
    pub now: DateTime<Utc>,
}

/// A control that a gap stops: one row of the gap's finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    /// The control.
    pub control: ControlId,
    /// How bad a fail of it is.
    pub severity: Severity,
    /// Runs missed in a row, counted up to 2.
    pub missed: u32,
    /// When the first of them was.
    pub since: DateTime<Utc>,
    /// When the last of them was.
    pub last: DateTime<Utc>,
    /// The datasets that it waits for, and why.
    pub datasets: BTreeMap<DatasetName, Unknown>,
    /// When its evidence was good last.
    pub last_good: Option<DateTime<Utc>>,
    /// Why it could not be read, in one sentence.
    pub detail: Option<String>,
}

impl Stopped {
    /// Reads a row of a gap's finding.
    pub fn of_row(row: &Row) -> Option<Self> {
        serde_json::from_value(serde_json::Value::Object(row.clone())).ok()
    }

    fn to_row(&self) -> Option<Row> {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::Object(row)) => Some(row),
            _ => None,
        }
    }
}

/// The name under which gaps of a source are kept in a control's place: `source:NAME`.
pub fn gap_control(source: &SourceId) -> ControlId {
    ControlId::from(format!("source:{source}"))
}

/// A source as a subject: `NAME/source/NAME`.
pub fn gap_subject(source: &SourceId) -> SubjectId {
    SubjectId::from(format!("{source}/source/{source}"))
}

/// What a run does to the gap of a source. Nothing when there was no gap and none begins, or when this run
/// was counted before.
#[must_use]
pub fn gap(known: Option<Finding>, look: &Look<'_>) -> Option<Change> {
    if known.as_ref().is_some_and(|f| f.run == *look.run) {
        return None;
    }
    let mut stopped = known.as_ref().map(stopped_by).unwrap_or_default();
    let missed = miss(&mut stopped, look);
    mend(&mut stopped, look);
    if known.is_none() && stopped.is_empty() {
        return None;
    }
    let mut finding = known.clone().unwrap_or_else(|| begin(look));
    finding.owners = vec![look.owner.to_owned()];
    let (effect, reason) = judge(&mut finding.state, &stopped, missed, look);
    write(&mut finding, &stopped);
    let observation = if missed {
        Observation::Fail
    } else {
        Observation::Pass
    };
    Some(change(
        known,
        finding,
        (observation, effect, reason),
        (look.run, look.now),
    ))
}

/// What the removal of a control does to the gap of a source: nobody waits for the source on its behalf.
/// A gap that stops no other control is retired; it was not mended.
#[must_use]
pub fn gap_without(known: Finding, control: &ControlId, run: &RunId, now: DateTime<Utc>) -> Change {
    let mut stopped = stopped_by(&known);
    let waited = stopped.remove(control).is_some();
    let mut finding = known.clone();
    let (effect, reason) = if waited && stopped.is_empty() {
        leave(&mut finding.state, Authority::Control)
    } else {
        (None, Reason::StillOpen)
    };
    write(&mut finding, &stopped);
    let observation = Observation::Left(Authority::Control);
    change(
        Some(known),
        finding,
        (observation, effect, reason),
        (run, now),
    )
}

/// The controls that an open or suspected gap stops. One that was mended keeps its last rows for people.
fn stopped_by(finding: &Finding) -> BTreeMap<ControlId, Stopped> {
    if !finding.state.status.is_open() && finding.state.status != Status::Suspect {
        return BTreeMap::new();
    }
    let rows = finding.rows.iter().filter_map(Stopped::of_row);
    rows.map(|s| (s.control.clone(), s)).collect()
}

/// Notes what this run missed of the source, and whether it missed anything.
fn miss(stopped: &mut BTreeMap<ControlId, Stopped>, look: &Look<'_>) -> bool {
    let of_source = look
        .evidence
        .iter()
        .filter(|u| u.dataset.source == *look.source);
    let datasets: BTreeMap<DatasetName, Unknown> = of_source
        .filter_map(|u| Some((u.dataset.clone(), u.objection?)))
        .collect();
    if datasets.is_empty() {
        stopped.remove(look.control);
        return false;
    }
    let before = stopped.get(look.control);
    let entry = Stopped {
        control: look.control.clone(),
        severity: look.severity,
        missed: before.map_or(1, |s| (s.missed + 1).min(PATIENCE)),
        since: before.map_or(look.now, |s| s.since),
        last: look.now,
        datasets,
        last_good: look.last_good,
        detail: look.detail.map(ToOwned::to_owned),
    };
    stopped.insert(entry.control.clone(), entry);
    true
}

/// A dataset that was collected whole after a control missed it is no longer missed by that control either.
fn mend(stopped: &mut BTreeMap<ControlId, Stopped>, look: &Look<'_>) {
    for used in look.evidence.iter().filter(|u| u.status.is_whole()) {
        for entry in stopped.values_mut().filter(|s| s.control != *look.control) {
            if used.collected_at.is_some_and(|at| at > entry.last) {
                entry.datasets.remove(&used.dataset);
            }
        }
    }
    stopped.retain(|_, s| !s.datasets.is_empty());
}

fn judge(
    state: &mut State,
    stopped: &BTreeMap<ControlId, Stopped>,
    missed: bool,
    look: &Look<'_>,
) -> Verdict {
    let rules = Rules::default();
    let too_old = |s: &Stopped| {
        let age = s.last_good.map(|good| look.now - good);
        age.is_some_and(|age| age > look.max_age.to_delta())
    };
    let enough = |s: &Stopped| s.missed >= PATIENCE || too_old(s);
    revive(state);
    state.fails = stopped.values().map(|s| s.missed).max().unwrap_or(0);
    match (state.status.is_open(), stopped.is_empty()) {
        (true, true) => resolve(state, look.now),
        (true, false) => (None, Reason::StillOpen),
        (false, true) => pass_without_episode(state, &rules, look.now),
        (false, false) if stopped.get(look.control).is_some_and(enough) => {
            (Some(open_again(state, &rules, look.now)), Reason::Confirmed)
        }
        (false, false) => {
            state.status = Status::Suspect;
            (
                missed.then_some(Effect::Recheck),
                Reason::AwaitingConfirmation,
            )
        }
    }
}

fn begin(look: &Look<'_>) -> Finding {
    let (control, subject) = (gap_control(look.source), gap_subject(look.source));
    Finding {
        key: FindingKey::of(&control, &subject),
        definition: Sha::of(control.as_str()),
        control,
        subject,
        state: State::default(),
        severity: look.severity,
        owners: Vec::new(),
        rows: Vec::new(),
        row_count: 0,
        fingerprint: BTreeMap::new(),
        facts: BTreeMap::new(),
        first_seen: look.now,
        run: look.run.clone(),
        changed_at: look.now,
        covered_by: None,
    }
}

fn write(finding: &mut Finding, stopped: &BTreeMap<ControlId, Stopped>) {
    if let Some(worst) = stopped.values().map(|s| s.severity).max() {
        finding.severity = worst;
        finding.rows = stopped.values().filter_map(Stopped::to_row).collect();
        finding.row_count = finding.rows.len() as u64;
    }
}

fn change(
    known: Option<Finding>,
    mut finding: Finding,
    (observation, effect, reason): (Observation, Option<Effect>, Reason),
    (run, now): (&RunId, DateTime<Utc>),
) -> Change {
    let before = known.as_ref().map(|f| f.state.status);
    count_transition(&mut finding.state, before.unwrap_or(Status::Clear), effect);
    let dirty = known.is_none_or(|k| k != finding);
    if dirty {
        finding.run = run.clone();
        finding.changed_at = now;
    }
    Change {
        finding,
        before,
        observation,
        effect,
        reason,
        dirty,
    }
}
