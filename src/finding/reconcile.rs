//! One run against everything that is known of its control.
//!
//! Every known finding yields one change, with one reason, whether or not it moved; of the others only
//! those that fail or cannot be told become findings. What did not change is not written again: a
//! change that is not `dirty` holds the row byte for byte as it is kept.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::step::{MAX_ABSENCES, Moment, step};
use crate::model::{
    control::{Control, OnPartial, Rules},
    finding::{Change, Effect, Finding, Observation, Origin, Status},
    id::{RunId, SubjectId},
    outcome::{Authority, Evaluation, Observed, Outcome, Presence, Unknown},
};

/// What a run is reconciled with.
#[derive(Debug)]
pub struct Input<'a> {
    /// The control that ran.
    pub control: &'a Control,
    /// Every finding that is kept of it, retired ones included.
    pub known: Vec<Finding>,
    /// What the run says.
    pub evaluation: &'a Evaluation,
    /// The run.
    pub run: &'a RunId,
    /// Its instant.
    pub now: DateTime<Utc>,
    /// Whether its evidence was not counted before.
    pub counted: bool,
    /// Whether the control had no complete run before.
    pub baseline: bool,
    /// Whether the inventory of record was asked for another thing than at the last counted run.
    pub rescoped: bool,
}

/// What the run does to each finding, sorted by key. A finding that this run changed already stays as it is.
#[must_use]
pub fn reconcile(mut input: Input<'_>) -> Vec<Change> {
    let mut known = std::mem::take(&mut input.known);
    known.sort_unstable_by(|a, b| a.subject.cmp(&b.subject));
    let said = Said::of(&input);
    let fresh = said.fresh(&known);
    let held = !input.baseline && {
        let turned = known.iter().filter(|f| said.turns(f)).count();
        let turned = turned + fresh.iter().filter(|o| o.outcome == Outcome::Fail).count();
        let population = input.evaluation.counts.population;
        input
            .control
            .rules
            .mass_change
            .is_exceeded(turned as u64, population)
    };
    let fresh: Vec<Change> = fresh.into_iter().map(|o| said.begin(o, held)).collect();
    let mut changes: Vec<Change> = known.into_iter().map(|f| said.go_on(f, held)).collect();
    changes.extend(fresh);
    changes.sort_unstable_by_key(|c| c.finding.key);
    changes
}

/// What the removal of their control does to its findings, sorted by key.
#[must_use]
pub fn removed(known: Vec<Finding>, run: &RunId, now: DateTime<Utc>) -> Vec<Change> {
    let mut changes: Vec<Change> = known
        .into_iter()
        .map(|mut finding| {
            let before = finding.state.status;
            let observation = Observation::Left(Authority::Control);
            let step = step(
                &finding.state,
                observation,
                &Rules::default(),
                Moment::at(now),
            );
            let dirty = put(&mut finding.state, step.state);
            mark(&mut finding, dirty, run, now);
            Change {
                finding,
                before: Some(before),
                observation,
                effect: step.effect,
                reason: step.reason,
                dirty,
            }
        })
        .collect();
    changes.sort_unstable_by_key(|c| c.finding.key);
    changes
}

/// When the control is to run again with fresh evidence: once, however many findings ask for it.
#[must_use]
pub fn recheck(changes: &[Change], rules: &Rules, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    changes
        .iter()
        .any(|c| c.effect == Some(Effect::Recheck))
        .then(|| now + rules.recheck.to_delta())
}

/// What a run says, by subject.
struct Said<'a> {
    input: &'a Input<'a>,
    observed: HashMap<&'a SubjectId, &'a Observed>,
    absent: HashMap<&'a SubjectId, Presence>,
}

impl<'a> Said<'a> {
    fn of(input: &'a Input<'a>) -> Self {
        let evaluation = input.evaluation;
        Self {
            input,
            observed: evaluation
                .observed
                .iter()
                .map(|o| (&o.subject, o))
                .collect(),
            absent: evaluation.absent.iter().map(|(s, p)| (s, *p)).collect(),
        }
    }

    /// Subjects that nobody knows and that have something to tell; `known` is sorted by subject.
    fn fresh(&self, known: &[Finding]) -> Vec<&'a Observed> {
        if !self.input.counted {
            return Vec::new();
        }
        let is_known = |s| known.binary_search_by(|f| f.subject.cmp(s)).is_ok();
        let tells = |o: &Observed| match o.outcome {
            Outcome::Pass => false,
            Outcome::Fail => self.why_not_checked().is_none() || self.takes_partial_fails(),
            Outcome::Unknown(_) => self.why_not_checked().is_none(),
        };
        let observed = self.observed.values().copied();
        observed
            .filter(|o| tells(o) && !is_known(&o.subject))
            .collect()
    }

    fn why_not_checked(&self) -> Option<Unknown> {
        self.input
            .evaluation
            .not_checked
            .as_ref()
            .map(|(why, _)| *why)
    }

    fn takes_partial_fails(&self) -> bool {
        self.input.control.on_partial == OnPartial::Open
    }

    /// What the run says of a finding, after completeness was weighed.
    fn observation(&self, finding: &Finding) -> Observation {
        if !self.input.counted || finding.run == *self.input.run {
            return Observation::Unknown(Unknown::AlreadyCounted);
        }
        let outcome = self.observed.get(&finding.subject).map(|o| o.outcome);
        match (self.why_not_checked(), outcome) {
            (Some(_), Some(Outcome::Fail)) if self.takes_partial_fails() => Observation::Fail,
            (Some(why), _) => Observation::Unknown(why),
            (None, Some(outcome)) => outcome.into(),
            (None, None) => self.absence(finding),
        }
    }

    /// Of a subject that a complete run did not see. The inventory's word that it is gone is final, unless
    /// it was asked for another thing than before: then it may only be out of sight. What is out of sight or
    /// out of the control's scope is believed to have left when it was said three times; without an inventory
    /// nobody knows.
    fn absence(&self, finding: &Finding) -> Observation {
        let missed = finding.state.absences + 1;
        match self.absent.get(&finding.subject) {
            Some(Presence::NotInInventory) if missed == 1 && !self.input.rescoped => {
                Observation::Left(Authority::Inventory)
            }
            Some(Presence::NotInInventory) if missed >= MAX_ABSENCES => {
                Observation::Left(Authority::Inventory)
            }
            Some(Presence::OutOfScope) if missed >= MAX_ABSENCES => {
                Observation::Left(Authority::OutOfScope)
            }
            _ => Observation::Unknown(Unknown::Absent),
        }
    }

    /// Whether a finding turns to fail in this run.
    fn turns(&self, finding: &Finding) -> bool {
        let rests = matches!(
            finding.state.status,
            Status::Clear | Status::Resolved | Status::Retired
        );
        rests && self.observation(finding) == Observation::Fail
    }

    fn go_on(&self, mut finding: Finding, held: bool) -> Change {
        let control = self.input.control;
        let before = finding.state.status;
        let observation = self.observation(&finding);
        // A mass change is confirmed by a complete run only.
        let doubted = before == Status::Suspect
            && finding.state.origin == Origin::Mass
            && self.why_not_checked().is_some();
        let moment = Moment {
            now: self.input.now,
            held: doubted || (held && self.turns(&finding)),
            baseline: self.input.baseline,
            changed: finding.definition != control.definition,
            shadow: control.shadow,
        };
        let step = step(&finding.state, observation, &control.rules, moment);
        let mut dirty = put(&mut finding.state, step.state);
        if matches!(observation, Observation::Pass | Observation::Fail) {
            dirty |= put(&mut finding.definition, control.definition);
        }
        if observation == Observation::Fail
            && let Some(observed) = self.observed.get(&finding.subject)
        {
            dirty |= take(&mut finding, observed);
        }
        mark(&mut finding, dirty, self.input.run, self.input.now);
        Change {
            finding,
            before: Some(before),
            observation,
            effect: step.effect,
            reason: step.reason,
            dirty,
        }
    }

    fn begin(&self, observed: &Observed, held: bool) -> Change {
        let Input {
            control, run, now, ..
        } = *self.input;
        let mut finding = Finding::new(&control.id, observed, run, control.definition, now);
        let observation = observed.outcome.into();
        let moment = Moment {
            held,
            baseline: self.input.baseline,
            shadow: control.shadow,
            ..Moment::at(now)
        };
        let step = step(&finding.state, observation, &control.rules, moment);
        finding.state = step.state;
        Change {
            finding,
            before: None,
            observation,
            effect: step.effect,
            reason: step.reason,
            dirty: true,
        }
    }
}

/// Attributes follow what failed last, without a word.
fn take(finding: &mut Finding, observed: &Observed) -> bool {
    let mut dirty = put(&mut finding.severity, observed.severity);
    dirty |= put(&mut finding.row_count, observed.row_count);
    dirty |= copy(&mut finding.owners, &observed.owners);
    dirty |= copy(&mut finding.rows, &observed.rows);
    dirty |= copy(&mut finding.fingerprint, &observed.fingerprint);
    dirty |= copy(&mut finding.facts, &observed.facts);
    dirty
}

fn put<T: PartialEq>(slot: &mut T, value: T) -> bool {
    let differs = *slot != value;
    *slot = value;
    differs
}

fn copy<T: PartialEq + Clone>(slot: &mut T, value: &T) -> bool {
    let differs = slot != value;
    if differs {
        slot.clone_from(value);
    }
    differs
}

fn mark(finding: &mut Finding, dirty: bool, run: &RunId, now: DateTime<Utc>) {
    if dirty {
        finding.run = run.clone();
        finding.changed_at = now;
    }
}
