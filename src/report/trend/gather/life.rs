//! Exceptions as the report counts them: when each was asked for, decided, in force and over, whether this register kept
//! it or an older one.

use chrono::{DateTime, Datelike as _, Days, Months, NaiveDate, Utc};

use crate::{
    exception::{record::Record, state::Act},
    model::exception::{Level, State, Suspension},
    signal::{Ask, Decided},
    store::exceptions::Event,
};

/// Why one is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// Its time was.
    Expired,
    /// Its subject is not what it was.
    SubjectChanged,
    /// Something else.
    Otherwise,
}

/// One exception or request.
#[derive(Debug, Clone)]
pub(super) struct Life {
    pub(super) id: String,
    pub(super) controls: Vec<String>,
    pub(super) policy: String,
    /// The team that asked; empty when none is on record.
    pub(super) team: String,
    /// It and those that joined: all of them hold the exception.
    pub(super) holders: Vec<String>,
    pub(super) asked: NaiveDate,
    /// When it was decided, and whether it was approved.
    pub(super) decided: Option<(NaiveDate, bool)>,
    /// How many days that took; nothing when nobody wrote down when it was decided.
    pub(super) took: Option<i64>,
    /// From when on it was in force.
    pub(super) from: Option<NaiveDate>,
    /// When it was over, and why.
    pub(super) over: Option<(NaiveDate, Over)>,
    /// Days from and until which it was out of force meanwhile.
    pub(super) suspended: Vec<(NaiveDate, Option<NaiveDate>)>,
    /// Whether it has an end.
    pub(super) has_end: bool,
    pub(super) renewals: u32,
    pub(super) residual: Option<Level>,
    pub(super) route: Option<String>,
    pub(super) conditions: Vec<String>,
    pub(super) has_evidence: Option<bool>,
}

impl Life {
    /// Whether it is in force on a day: only then does it cover anything, and only then is its risk accepted.
    pub(super) fn is_active(&self, on: NaiveDate) -> bool {
        let out = |(from, until): &(NaiveDate, Option<NaiveDate>)| {
            *from <= on && until.is_none_or(|u| u > on)
        };
        self.from.is_some_and(|from| from <= on)
            && self.over.is_none_or(|(over, _)| over > on)
            && !self.suspended.iter().any(out)
    }

    /// How many days it was in force by then, and whether it was over by then.
    pub(super) fn age(&self, on: NaiveDate) -> Option<(i64, bool)> {
        let from = self.from.filter(|from| *from <= on)?;
        let over = self.over.map(|(over, _)| over).filter(|over| *over <= on);
        Some(((over.unwrap_or(on) - from).num_days(), over.is_some()))
    }

    /// Of an exception in this register.
    pub(super) fn of(record: &Record, events: &[Event], now: DateTime<Utc>) -> Self {
        let request = &record.request;
        let frozen = record.frozen.as_ref();
        let day = |at: DateTime<Utc>| at.date_naive();
        let denied = events.iter().rev().find(|e| e.act == Act::Deny);
        let approved = record.times.approved_at.or(record.times.activated_at);
        let decided = approved
            .map(|at| (day(at), true))
            .or_else(|| denied.map(|e| (day(e.at), false)));
        let ended = events
            .iter()
            .rev()
            .find(|e| matches!(e.act, Act::Revoke | Act::Expire));
        let over = match (ended, record.state_at(now)) {
            (Some(e), _) if e.act == Act::Expire => Some((day(e.at), Over::Expired)),
            (Some(e), _) => {
                let changed = record.suspension == Some(Suspension::FingerprintChanged);
                let why = if changed {
                    Over::SubjectChanged
                } else {
                    Over::Otherwise
                };
                Some((day(e.at), why))
            }
            (None, State::Expired) => Some((day(record.times.expires_at), Over::Expired)),
            // Out of force for too long, and nobody has looked since.
            (None, State::Revoked) => Some((day(now), Over::Otherwise)),
            (None, _) => None,
        };
        let asked = day(record.times.submitted_at.unwrap_or(record.times.not_before));
        let team = request.beneficiary_team.clone().unwrap_or_default();
        let joined = record.joiners.iter().map(|j| j.team.to_string());
        let holders = [team.clone()].into_iter().filter(|t| !t.is_empty());
        Self {
            id: record.id.to_string(),
            controls: request.controls.clone(),
            policy: request.provision.policy.to_string(),
            holders: holders.chain(joined).collect(),
            team,
            asked,
            decided,
            took: decided.map(|(on, _)| (on - asked).num_days()),
            from: record.times.activated_at.map(day),
            over,
            suspended: suspended(record, events, now),
            has_end: true,
            renewals: frozen.map_or(0, |f| f.terms.renewals),
            residual: frozen.map(|f| f.terms.residual.rating),
            route: frozen.map(|f| f.routed.names().join(" + ")),
            conditions: frozen.map_or_else(Vec::new, |f| {
                f.terms.conditions.iter().map(|c| c.id.clone()).collect()
            }),
            has_evidence: frozen.map(|f| !f.terms.evidence.is_empty()),
        }
    }

    /// Of a request in an older register.
    pub(super) fn past(ask: &Ask, control: &str, policy: &str, team: &str) -> Self {
        let known = ask.decided.unwrap_or(ask.day);
        let approved = ask.outcome == Decided::Approved;
        Self {
            id: ask.id.clone(),
            controls: vec![control.to_owned()],
            policy: policy.to_owned(),
            team: team.to_owned(),
            holders: vec![team.to_owned()],
            asked: ask.day,
            decided: match ask.outcome {
                Decided::Approved => Some((known, true)),
                Decided::Denied => Some((known, false)),
                _ => None,
            },
            took: ask.decided.map(|on| (on - ask.day).num_days()),
            suspended: Vec::new(),
            has_end: ask.ends.is_some(),
            // Of one whose end nobody wrote down it cannot be told how long it was in force.
            from: ask.ends.filter(|_| approved).map(|_| known),
            over: ask
                .ends
                .filter(|_| approved)
                .map(|ends| (ends, Over::Expired)),
            renewals: ask.renewals,
            residual: None,
            route: None,
            conditions: Vec::new(),
            has_evidence: None,
        }
    }
}

/// When an exception was out of force for a while.
fn suspended(
    record: &Record,
    events: &[Event],
    now: DateTime<Utc>,
) -> Vec<(NaiveDate, Option<NaiveDate>)> {
    let mut all: Vec<(NaiveDate, Option<NaiveDate>)> = Vec::new();
    for event in events {
        let on = event.at.date_naive();
        match (event.after == State::Suspended, all.last_mut()) {
            (true, Some((_, None))) | (false, None | Some((_, Some(_)))) => {}
            (true, _) => all.push((on, None)),
            (false, Some((_, until))) => *until = Some(on),
        }
    }
    let is_out = record.state_at(now) == State::Suspended;
    if is_out && all.last().is_none_or(|(_, until)| until.is_some()) {
        let since = record.times.suspended_at.unwrap_or(now);
        all.push((since.date_naive(), None));
    }
    all
}

/// The first days of so many months up to that of a day, oldest first.
pub(super) fn months(to: NaiveDate, count: u32) -> Vec<NaiveDate> {
    let first = to.with_day(1).unwrap_or(to);
    (0..count)
        .rev()
        .filter_map(|back| first.checked_sub_months(Months::new(back)))
        .collect()
}

/// The last day of a month, by its first.
pub(super) fn last_day(first: NaiveDate) -> NaiveDate {
    first
        .checked_add_months(Months::new(1))
        .map_or(first, |next| next - Days::new(1))
}

/// The first day of a day's quarter.
pub(super) fn quarter(day: NaiveDate) -> NaiveDate {
    let month = day.month0() / 3 * 3 + 1;
    NaiveDate::from_ymd_opt(day.year(), month, 1).unwrap_or(day)
}

/// `2026Q3`.
pub(super) fn quarter_name(day: NaiveDate) -> String {
    format!("{}Q{}", day.year(), day.month0() / 3 + 1)
}
