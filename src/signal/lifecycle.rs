//! What becomes of a signal after it was raised. One open signal for each control and family of descriptors; seeing
//! it again is a reminder and no new alarm; a change that was made is measured; and when people find signals of a
//! kind not useful, the detector becomes stricter and says so (the loop of Tricorder, Sadowski et al. 2015 and 2018).

use chrono::{NaiveDate, TimeDelta};
use serde::{Deserialize, Serialize};

use super::{
    ask::Decided,
    index::{Index, Row, number},
    options::Options,
    pattern::{Descriptor, Kind},
    stats::{RateRatio, rate_ratio},
    weekly::Brief,
};

/// What came of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Closing {
    /// Fewer ask.
    Effective,
    /// As many ask as before.
    NoEffect,
    /// Nobody acted, and it was not seen again for the whole refractory time.
    Faded,
}

/// Why a signal was dismissed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dismissal {
    /// It was not useful.
    NotUseful,
    /// It is right, and the policy stays as it is.
    Accepted,
    /// It is another signal.
    Duplicate,
    /// The data were wrong.
    WrongData,
}

/// Where a signal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Raised.
    Open,
    /// The policy lead has seen it.
    Acknowledged,
    /// A change of the policy is linked to it.
    ChangeLinked {
        /// When the change takes effect.
        effective: NaiveDate,
    },
    /// The change is in force, and its effect is measured.
    Monitoring {
        /// Since when.
        effective: NaiveDate,
    },
    /// Over.
    Closed {
        /// What came of it.
        closing: Closing,
        /// When.
        on: NaiveDate,
    },
    /// Dismissed.
    Dismissed {
        /// Why.
        reason: Dismissal,
        /// When.
        on: NaiveDate,
    },
    /// Not to be told before a day.
    Snoozed {
        /// That day.
        until: NaiveDate,
    },
}

/// What is done to a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum Act {
    /// Its lead has seen it.
    Acknowledge,
    /// A change is linked, in force from a day.
    LinkChange {
        /// That day.
        effective: NaiveDate,
    },
    /// The change came into force.
    Monitor,
    /// Its effect is known.
    Close {
        /// What came of it.
        closing: Closing,
    },
    /// It is dismissed.
    Dismiss {
        /// Why.
        reason: Dismissal,
    },
    /// It is not to be told before a day.
    Snooze {
        /// That day.
        until: NaiveDate,
    },
    /// It is open again.
    Reopen,
}

/// Where an act leads on a day; nothing when it may not be done.
#[must_use]
pub fn next(state: State, act: Act, today: NaiveDate) -> Option<State> {
    use State::{Acknowledged, ChangeLinked, Closed, Dismissed, Monitoring, Open, Snoozed};
    Some(match (state, act) {
        (Open, Act::Acknowledge) => Acknowledged,
        // A day that was given wrong is given again.
        (
            Open | Acknowledged | ChangeLinked { .. } | Monitoring { .. },
            Act::LinkChange { effective },
        ) => ChangeLinked { effective },
        (ChangeLinked { effective }, Act::Monitor) if effective <= today => {
            Monitoring { effective }
        }
        (Open, Act::Close { closing }) if closing == Closing::Faded => {
            Closed { closing, on: today }
        }
        (Monitoring { .. }, Act::Close { closing }) if closing != Closing::Faded => {
            Closed { closing, on: today }
        }
        (Open | Acknowledged | Snoozed { .. }, Act::Dismiss { reason }) => {
            Dismissed { reason, on: today }
        }
        (Open | Acknowledged, Act::Snooze { until }) if until > today => Snoozed { until },
        (
            ChangeLinked { .. }
            | Monitoring { .. }
            | Snoozed { .. }
            | Dismissed { .. }
            | Closed { .. },
            Act::Reopen,
        ) => Open,
        _ => return None,
    })
}

/// A signal that was raised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Raised {
    /// How it was found first.
    pub kind: Kind,
    /// Of which control.
    pub control: String,
    /// What its asks had in common when it was raised.
    pub descriptor: Descriptor,
    /// When it was raised last.
    pub raised: NaiveDate,
    /// When a run saw it last.
    pub seen: NaiveDate,
    /// Where it stands.
    pub state: State,
}

/// What a run says of one pattern, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// New: the lead is told.
    Alarm,
    /// It was snoozed, and the time is over: the lead is told.
    SnoozeOver,
    /// It was over or dismissed, and is back after the refractory time: the lead is told.
    Back,
    /// It is open: a reminder.
    Reminder,
    /// It is snoozed.
    Snoozed,
    /// It was over or dismissed a short while ago.
    Refractory,
}

impl Said {
    /// Whether somebody is told.
    pub const fn is_told(self) -> bool {
        matches!(self, Self::Alarm | Self::SnoozeOver | Self::Back)
    }
}

/// Whether two descriptors are of one family: one says the same as the other, or more.
#[must_use]
pub fn same_family(x: &Descriptor, y: &Descriptor) -> bool {
    let within = |x: &Descriptor, y: &Descriptor| x.iter().all(|(k, v)| y.get(k) == Some(v));
    within(x, y) || within(y, x)
}

/// What a run says of each pattern, in their order; the signals are brought up to date. Signals that nobody touched and no
/// run saw for the whole refractory time fade.
pub fn advance(
    signals: &mut Vec<Raised>,
    patterns: &[Brief],
    options: &Options,
    today: NaiveDate,
) -> Vec<Said> {
    let quiet = TimeDelta::weeks(i64::from(options.refractory_weeks));
    let said = patterns
        .iter()
        .map(|pattern| {
            let known = signals.iter_mut().rev().find(|s| {
                s.control == pattern.control && same_family(&s.descriptor, &pattern.descriptor)
            });
            let Some(known) = known else {
                signals.push(Raised {
                    kind: pattern.kind,
                    control: pattern.control.clone(),
                    descriptor: pattern.descriptor.clone(),
                    raised: today,
                    seen: today,
                    state: State::Open,
                });
                return Said::Alarm;
            };
            let said = again(known, quiet, today);
            known.seen = today;
            if said.is_told() {
                known.raised = today;
                known.state = State::Open;
            }
            said
        })
        .collect();
    for signal in signals {
        let faded = today - signal.seen >= quiet;
        let closing = Closing::Faded;
        if let (true, Some(state)) = (faded, next(signal.state, Act::Close { closing }, today)) {
            signal.state = state;
        }
    }
    said
}

/// What is said of a signal that is seen again.
fn again(known: &Raised, quiet: TimeDelta, today: NaiveDate) -> Said {
    let recent = |on: NaiveDate| today - on < quiet || today - known.raised < quiet;
    match known.state {
        State::Open
        | State::Acknowledged
        | State::ChangeLinked { .. }
        | State::Monitoring { .. } => Said::Reminder,
        State::Snoozed { until } if until > today => Said::Snoozed,
        State::Snoozed { .. } => Said::SnoozeOver,
        // What faded was not seen for the refractory time already.
        State::Closed {
            closing: Closing::Faded,
            ..
        } if today - known.raised >= quiet => Said::Back,
        State::Closed { on, .. } | State::Dismissed { on, .. } if recent(on) => Said::Refractory,
        State::Closed { .. } | State::Dismissed { .. } => Said::Back,
    }
}

/// How the asks changed with a change of the policy.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// Independent asks before, within a year.
    pub before: u64,
    /// Weeks before.
    pub weeks_before: f64,
    /// Independent asks since.
    pub after: u64,
    /// Weeks since.
    pub weeks_after: f64,
    /// Rate after over rate before, with an exact 95 % interval.
    pub ratio: RateRatio,
    /// What can be said; nothing while it is too early.
    pub closing: Option<Closing>,
}

/// The effect of a change on the asks of one control and descriptor. Denied asks count: a team that was refused still
/// had the need. It is effective once the whole interval lies below 1, and without effect when that is not so after
/// two quarters.
#[must_use]
pub fn effect(
    index: &Index<'_>,
    (control, descriptor): (&str, &Descriptor),
    effective: NaiveDate,
    today: NaiveDate,
    options: &Options,
) -> Effect {
    let (change, now) = (number(effective), number(today));
    let start = (change - 1 - super::emergence::days(options.budget_weeks)).max(index.since - 1);
    let entry = index.controls.iter().find(|c| c.id == control);
    let is_one = |row: &&Row| {
        let has = |(name, value): (&String, &String)| {
            super::account::value(index, row, name) == Some(value.as_str())
        };
        !row.renewal && row.outcome(now) != Decided::Withdrawn && descriptor.iter().all(has)
    };
    let seen = |from: i32, to: i32| {
        let rows = entry.map_or(&[][..], |e| e.between(from, to));
        rows.iter().filter(is_one).count() as u64
    };
    let weeks = |from: i32, to: i32| f64::from((to - from).max(0)) / 7.0;
    let before = (seen(start, change - 1), weeks(start, change - 1));
    let after = (seen(change - 1, now), weeks(change - 1, now));
    let ratio = if before.1 > 0.0 && after.1 > 0.0 {
        rate_ratio(before, after, 0.95)
    } else {
        rate_ratio((0, 1.0), (0, 1.0), 0.95)
    };
    let falls = ratio.interval.high.is_some_and(|high| high < 1.0);
    let quarters = after.1 / 13.0;
    let closing = if before.1 <= 0.0 {
        // Nothing was seen before the change: there is nothing to compare with.
        None
    } else if quarters >= 1.0 && falls {
        Some(Closing::Effective)
    } else {
        (quarters >= 2.0).then_some(Closing::NoEffect)
    };
    Effect {
        before: before.0,
        weeks_before: before.1,
        after: after.0,
        weeks_after: after.1,
        ratio,
        closing,
    }
}

/// What a lead said of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// How the signal was found.
    pub kind: Kind,
    /// When the lead said so.
    pub on: NaiveDate,
    /// Whether it was useful.
    pub useful: bool,
}

/// How useful the signals of one kind are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Usefulness {
    /// Of which kind.
    pub kind: Kind,
    /// Signals that were judged within the trailing year.
    pub judged: u32,
    /// Of those, not useful.
    pub not_useful: u32,
    /// Whether the detector is stricter because of it; the lead is told.
    pub stricter: bool,
}

/// Of every kind that anybody judged within the trailing year.
#[must_use]
pub fn usefulness(judged: &[Judged], options: &Options, today: NaiveDate) -> Vec<Usefulness> {
    let year = TimeDelta::weeks(i64::from(options.budget_weeks));
    let recent = |j: &&Judged| j.on <= today && today - j.on < year;
    let kinds = [
        Kind::Emergence,
        Kind::ChronicBudget,
        Kind::RenewalLoop,
        Kind::Watch,
    ];
    kinds
        .into_iter()
        .filter_map(|kind| {
            let of_kind = || judged.iter().filter(recent).filter(|j| j.kind == kind);
            let all = super::cells::count(of_kind().count());
            let bad = super::cells::count(of_kind().filter(|j| !j.useful).count());
            (all > 0).then(|| Usefulness {
                kind,
                judged: all,
                not_useful: bad,
                stricter: all >= options.judged_least
                    && f64::from(bad) > options.not_useful_share * f64::from(all),
            })
        })
        .collect()
}

/// The numbers of a detector whose signals were judged: one step stricter for each kind that was not useful too often.
#[must_use]
pub fn stepped(options: &Options, usefulness: &[Usefulness]) -> Options {
    let strict = |kind| usefulness.iter().any(|u| u.kind == kind && u.stricter);
    let mut stepped = options.clone();
    if strict(Kind::Emergence) {
        stepped.q = stepped.q.min(options.q_strict);
    }
    if strict(Kind::ChronicBudget) {
        stepped.credibility = stepped.credibility.max(options.credibility_strict);
    }
    stepped
}
