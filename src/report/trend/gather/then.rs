//! Signals as they stood at the end of a period. What became of one stands in its events; what was seen of it by then is what
//! a look kept, when none looked since, and is looked for again otherwise.

use std::borrow::Cow;

use chrono::{DateTime, NaiveDate, Utc};

use super::Read;
use crate::{
    report::trend::model::{Known, SignalState},
    signal::{
        Detected, Pattern, detect,
        lifecycle::{Closing, Dismissal, State, same_family},
        record::{Signal, word},
    },
    store::signals::Event,
};

/// A signal at the end of the period.
pub(super) struct Then<'r> {
    /// It, as it is today.
    pub(super) signal: &'r Signal,
    /// Everything that happened to it, oldest first; what came later is among it.
    pub(super) events: &'r [Event],
    /// Where it stood.
    pub(super) state: SignalState,
    /// What was seen of it; nothing when that is not kept and not seen again.
    pub(super) pattern: Option<Cow<'r, Pattern>>,
    /// It in words.
    pub(super) sentence: String,
    /// When somebody had to conclude.
    pub(super) due: Known<NaiveDate>,
}

impl Then<'_> {
    /// Whether its members show that the policy does not fit: not those of a signal that was none, or that was answered.
    pub(super) fn questions(&self) -> bool {
        if !self.state.is_over() {
            return true;
        }
        match self.signal.raised.state {
            State::Dismissed { reason, .. } => reason == Dismissal::Accepted,
            State::Closed { closing, .. } => closing == Closing::NoEffect,
            _ => false,
        }
    }

    /// Whether its day was past.
    pub(super) fn is_overdue(&self, to: NaiveDate) -> bool {
        self.state.is_open() && self.due.value().is_some_and(|due| *due < to)
    }

    /// Since when: the beginning of the days that its sentence speaks of.
    pub(super) fn since(&self) -> NaiveDate {
        self.pattern
            .as_ref()
            .map_or_else(|| self.signal.opened_at.date_naive(), |p| p.window.from)
    }

    /// How often it came to a state of those in the days between, both included.
    pub(super) fn became(&self, of: &[&str], (from, to): (NaiveDate, NaiveDate)) -> usize {
        let mut before = "";
        let mut times = 0;
        for event in self.events {
            let on = event.at.date_naive();
            let is_new = of.contains(&event.state.as_str()) && !of.contains(&before);
            times += usize::from(is_new && on >= from && on <= to);
            before = &event.state;
        }
        times
    }

    /// How often it was raised in the days between, both included.
    pub(super) fn raised(&self, (from, to): (NaiveDate, NaiveDate)) -> usize {
        let within = |e: &&Event| e.at.date_naive() >= from && e.at.date_naive() <= to;
        self.events
            .iter()
            .filter(|e| is_raise(e))
            .filter(within)
            .count()
    }
}

fn is_raise(event: &Event) -> bool {
    event.act == "raise" || event.act == "raise_again"
}

/// Signals that were raised by the end of the period.
pub(super) fn signals<'r>(read: &'r Read, detected: &'r Detected) -> Vec<Then<'r>> {
    let of = |(signal, events): &'r (Signal, Vec<Event>)| then(read, detected, signal, events);
    read.signals.iter().map(of).collect()
}

fn then<'r>(
    read: &'r Read,
    detected: &'r Detected,
    signal: &'r Signal,
    events: &'r [Event],
) -> Then<'r> {
    let until = read.until();
    let state = stood(signal, events, until);
    let pattern = pattern(read, detected, signal, events);
    let raised = || events.iter().filter(|e| is_raise(e));
    let sentence = match &pattern {
        Some(pattern) => [Some(pattern.sentence.clone()), pattern.findings.sentence()]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" "),
        None => raised()
            .rfind(|e| e.at <= until)
            .and_then(|e| e.reason.clone())
            .unwrap_or_else(|| {
                format!(
                    "Exceptions to {} repeat; what was seen by then is not kept.",
                    signal.raised.control
                )
            }),
    };
    let due = if !state.is_open() {
        Known::unknown("it was concluded")
    } else if raised().any(|e| e.at > until) {
        Known::unknown("it was asked anew since")
    } else {
        Known::Value(signal.due)
    };
    Then {
        signal,
        events,
        state,
        pattern,
        sentence,
        due,
    }
}

/// Where a signal stood at an instant.
pub(super) fn stood(signal: &Signal, events: &[Event], until: DateTime<Utc>) -> SignalState {
    let last = events.iter().rfind(|e| e.at <= until);
    let now = signal.raised.state;
    match last.map_or_else(|| word(now), |e| e.state.as_str()) {
        "acknowledged" => SignalState::Acknowledged,
        "change_linked" => SignalState::ChangeLinked,
        "monitoring" => SignalState::Monitoring,
        "snoozed" => SignalState::Snoozed,
        "dismissed" => SignalState::Dismissed,
        "closed" => match now {
            State::Closed {
                closing: Closing::Effective,
                ..
            } => SignalState::ClosedEffective,
            _ => SignalState::ClosedNoEffect,
        },
        _ => SignalState::Open,
    }
}

/// What was seen of a signal by the end of the period.
fn pattern<'r>(
    read: &'r Read,
    detected: &'r Detected,
    signal: &'r Signal,
    events: &[Event],
) -> Option<Cow<'r, Pattern>> {
    let raised = &signal.raised;
    if !read.is_over() || raised.seen <= read.to() {
        return Some(Cow::Borrowed(&signal.pattern));
    }
    let is_its = |p: &&Pattern| {
        p.kind == raised.kind
            && p.control == raised.control
            && same_family(&p.descriptor, &raised.descriptor)
    };
    if let Some(pattern) = detected.patterns.iter().find(is_its) {
        return Some(Cow::Borrowed(pattern));
    }
    let until = read.until();
    let last = events.iter().rfind(|e| is_raise(e) && e.at <= until)?;
    let looked = detect(&read.history, &read.options, last.at.date_naive());
    looked
        .patterns
        .into_iter()
        .find(|p| is_its(&p))
        .map(Cow::Owned)
}
