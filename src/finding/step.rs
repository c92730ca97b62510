//! One observation of one subject: where the finding stands next, what that asks for, and why.
//!
//! Every observation yields exactly one reason, and at most one effect. Consecutive *known* results
//! confirm and clear; an unknown holds everything; too many changes are told once, as flapping.

use chrono::{DateTime, TimeDelta, Utc};

use crate::model::{
    control::Rules,
    finding::{Effect, MAX_OPENINGS, Observation, Origin, Reason, State, Status},
    outcome::{Authority, Unknown},
};

/// How many known results the history holds.
const WINDOW: usize = 21;

/// So many changes in the history and more are too many to tell one by one.
const FLAPPING_FROM: usize = 6;

/// So many changes and fewer, and it has settled.
const SETTLED_FROM: usize = 3;

/// Absences that are worth counting.
pub(super) const MAX_ABSENCES: u32 = 3;

/// How far back openings are remembered.
const OPENINGS_FOR: TimeDelta = TimeDelta::days(30);

/// When an observation was made and what is special about its run.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts about one run"
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The run's instant.
    pub now: DateTime<Utc>,
    /// Too many subjects turned to fail with this one: nothing opens before a second complete run agrees.
    pub held: bool,
    /// The control had no complete run before this one.
    pub baseline: bool,
    /// The condition is not the one that judged the subject last.
    pub changed: bool,
    /// The control is in shadow: nothing that opens is told. What was told before is told to its end.
    pub shadow: bool,
}

impl Moment {
    /// An ordinary run.
    pub const fn at(now: DateTime<Utc>) -> Self {
        Self {
            now,
            held: false,
            baseline: false,
            changed: false,
            shadow: false,
        }
    }
}

/// What one observation did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The state after it.
    pub state: State,
    /// What it asks for.
    pub effect: Option<Effect>,
    /// Why.
    pub reason: Reason,
}

pub(super) type Verdict = (Option<Effect>, Reason);

/// Applies one observation to a state.
#[must_use]
pub fn step(state: &State, observation: Observation, rules: &Rules, moment: Moment) -> Step {
    let mut next = state.clone();
    let (effect, reason) = match observation {
        Observation::Pass => known(&mut next, false, rules, moment),
        Observation::Fail => known(&mut next, true, rules, moment),
        Observation::Unknown(why) => hold(&mut next, why, moment.now),
        Observation::Left(by) => leave(&mut next, by),
    };
    count_transition(&mut next, state.status, effect);
    Step {
        state: next,
        effect,
        reason,
    }
}

/// A change of status and everything that is told has a number of its own within the finding.
pub(super) fn count_transition(state: &mut State, before: Status, effect: Option<Effect>) {
    let told = effect.is_some_and(|e| e != Effect::Recheck);
    if told || state.status != before {
        state.transition = state.transition.saturating_add(1);
    }
}

/// Nothing is known: nothing moves, and the finding says since when. A subject that left has nothing to
/// verify; evidence that was counted before takes nothing back.
fn hold(state: &mut State, why: Unknown, now: DateTime<Utc>) -> Verdict {
    if state.status != Status::Retired && why != Unknown::AlreadyCounted {
        match why {
            Unknown::Absent => state.absences = (state.absences + 1).min(MAX_ABSENCES),
            // Its row was there and could not be judged: not an absence.
            Unknown::NullCondition | Unknown::TypeError => state.absences = 0,
            _ => {}
        }
        if state.unverified_since.is_none() {
            state.unverified_since = Some(now);
            state.unverified = Some(why);
        }
    }
    (None, Reason::UnknownHolds)
}

pub(super) fn leave(state: &mut State, by: Authority) -> Verdict {
    if state.status == Status::Retired {
        // The control came back, and the subject is gone after all.
        if state.left == Some(Authority::Control) && by != Authority::Control {
            (state.left, state.interrupted) = (Some(by), false);
        }
        return (None, Reason::AlreadyLeft);
    }
    let told = state.status.is_open() && state.announced;
    state.interrupted = by == Authority::Control && state.status.is_open();
    (state.status, state.left) = (Status::Retired, Some(by));
    (state.fails, state.passes, state.absences) = (0, 0, 0);
    (state.unverified_since, state.unverified) = (None, None);
    (told.then_some(Effect::Retired), Reason::Left)
}

/// What left and is there again begins as from clear.
pub(super) fn revive(state: &mut State) {
    if state.status == Status::Retired {
        (state.status, state.resolved_at) = (Status::Clear, None);
        state.left = None;
    }
}

fn known(state: &mut State, failed: bool, rules: &Rules, moment: Moment) -> Verdict {
    let (effect, reason) = judge(state, failed, rules, moment);
    match effect {
        Some(Effect::Opened | Effect::Reopened | Effect::Flapping) => {
            state.announced = !moment.shadow;
            (effect.filter(|_| state.announced), reason)
        }
        // It opened in shadow, and nobody was told.
        None if failed && state.status.is_open() && !state.announced && !moment.shadow => {
            (state.announced, state.origin) = (true, Origin::Baseline);
            let untold = if state.status == Status::Flapping {
                Effect::Flapping
            } else {
                Effect::Opened
            };
            (Some(untold), Reason::OutOfShadow)
        }
        _ => (effect, reason),
    }
}

fn judge(state: &mut State, failed: bool, rules: &Rules, moment: Moment) -> Verdict {
    (state.unverified_since, state.unverified) = (None, None);
    state.absences = 0;
    revive(state);
    if moment.changed {
        // Results of another condition confirm, clear and flap nothing under this one.
        (state.fails, state.passes) = (0, 0);
        state.history.clear();
    }
    count(state, failed, rules);

    if moment.changed && state.status.is_open() {
        if state.status != Status::Flapping {
            state.status = if failed {
                Status::Open
            } else {
                Status::Clearing
            };
        }
        return (None, Reason::ConditionChanged);
    }
    if failed && moment.held && !state.status.is_open() {
        (state.status, state.origin) = (Status::Suspect, Origin::Mass);
        return (Some(Effect::Recheck), Reason::HeldForMassChange);
    }
    match state.status {
        Status::Flapping => flapping(state, failed, rules, moment.now),
        _ if changes(&state.history) >= FLAPPING_FROM => start_flapping(state, moment.now),
        Status::Open | Status::Clearing => in_episode(state, failed, rules, moment.now),
        _ if failed => suspect_or_open(state, rules, moment),
        _ => pass_without_episode(state, rules, moment.now),
    }
}

/// Counts a known result. Counters stop where more would change nothing, so that a steady subject has a
/// steady row.
fn count(state: &mut State, failed: bool, rules: &Rules) {
    if failed {
        state.passes = 0;
        state.fails = (state.fails + 1).min(rules.confirm.max(2));
    } else {
        state.fails = 0;
        state.passes = (state.passes + 1).min(rules.clear.max(1));
    }
    state.history.push(if failed { 'F' } else { 'P' });
    let surplus = state.history.len().saturating_sub(WINDOW);
    state.history.drain(..surplus);
    // Equal results at the beginning stand for a window filled with them: kept once.
    let first = state.history.chars().next();
    let run = state
        .history
        .chars()
        .take_while(|c| Some(*c) == first)
        .count();
    state.history.drain(..run.saturating_sub(1));
}

fn changes(history: &str) -> usize {
    history
        .chars()
        .zip(history.chars().skip(1))
        .filter(|(a, b)| a != b)
        .count()
}

fn suspect_or_open(state: &mut State, rules: &Rules, moment: Moment) -> Verdict {
    if state.status != Status::Suspect {
        state.origin = if moment.baseline {
            Origin::Baseline
        } else {
            Origin::Single
        };
    }
    let mass = state.origin == Origin::Mass;
    let enough = if mass {
        rules.confirm.max(2)
    } else {
        rules.confirm
    };
    if state.fails < enough {
        state.status = Status::Suspect;
        return (Some(Effect::Recheck), Reason::AwaitingConfirmation);
    }
    let effect = open_again(state, rules, moment.now);
    let reason = if mass {
        Reason::MassChangeConfirmed
    } else {
        Reason::Confirmed
    };
    (Some(effect), reason)
}

/// Opens an episode, and says whether it is the story of the last one again.
pub(super) fn open_again(state: &mut State, rules: &Rules, now: DateTime<Utc>) -> Effect {
    let again = state.interrupted || is_recent(state, rules, now);
    open(state, Status::Open, now);
    if again {
        Effect::Reopened
    } else {
        Effect::Opened
    }
}

pub(super) fn pass_without_episode(
    state: &mut State,
    rules: &Rules,
    now: DateTime<Utc>,
) -> Verdict {
    state.interrupted = false;
    let reason = if state.status == Status::Suspect {
        Reason::Blip
    } else {
        Reason::StillClear
    };
    if is_recent(state, rules, now) {
        state.status = Status::Resolved;
    } else {
        (state.status, state.resolved_at) = (Status::Clear, None);
    }
    (None, reason)
}

fn in_episode(state: &mut State, failed: bool, rules: &Rules, now: DateTime<Utc>) -> Verdict {
    if failed {
        state.status = Status::Open;
        return (None, Reason::StillOpen);
    }
    if state.passes >= rules.clear {
        return resolve(state, now);
    }
    state.status = Status::Clearing;
    (None, Reason::Clearing)
}

fn start_flapping(state: &mut State, now: DateTime<Utc>) -> Verdict {
    if state.status.is_open() {
        state.status = Status::Flapping;
    } else {
        state.origin = Origin::Single;
        open(state, Status::Flapping, now);
    }
    (Some(Effect::Flapping), Reason::TooManyChanges)
}

fn flapping(state: &mut State, failed: bool, rules: &Rules, now: DateTime<Utc>) -> Verdict {
    let settled = changes(&state.history) <= SETTLED_FROM;
    match (settled, failed) {
        (true, true) if state.fails >= rules.confirm => {
            state.status = Status::Open;
            (None, Reason::FlappingEnded)
        }
        (true, false) if state.passes >= rules.clear => resolve(state, now),
        _ => (None, Reason::StillFlapping),
    }
}

/// Opens an episode. One that the removal of its control cut short goes on, with the day since when it is open:
/// nobody mended anything, and no time was won.
fn open(state: &mut State, status: Status, now: DateTime<Utc>) {
    (state.status, state.announced) = (status, true);
    if std::mem::take(&mut state.interrupted) {
        return;
    }
    state.episode = state.episode.saturating_add(1);
    state.opened_at = Some(now);
    state.openings.push(now);
    let surplus = state.openings.len().saturating_sub(MAX_OPENINGS);
    state.openings.drain(..surplus);
    state.openings.retain(|at| now - *at <= OPENINGS_FOR);
}

pub(super) fn resolve(state: &mut State, now: DateTime<Utc>) -> Verdict {
    (state.status, state.resolved_at) = (Status::Resolved, Some(now));
    (state.announced.then_some(Effect::Resolved), Reason::Cleared)
}

fn is_recent(state: &State, rules: &Rules, now: DateTime<Utc>) -> bool {
    state
        .resolved_at
        .is_some_and(|at| now - at <= rules.reopen_within.to_delta())
}
