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
    pub(super) control: String,
    pub(super) policy: String,
    pub(super) team: String,
    pub(super) asked: NaiveDate,
    /// When it was decided, and whether it was approved.
    pub(super) decided: Option<(NaiveDate, bool)>,
    /// From when on it was in force.
    pub(super) from: Option<NaiveDate>,
    /// When it was over, and why.
    pub(super) over: Option<(NaiveDate, Over)>,
    pub(super) renewals: u32,
    pub(super) residual: Option<Level>,
    pub(super) route: Option<String>,
    pub(super) conditions: Vec<String>,
    pub(super) has_evidence: Option<bool>,
}

impl Life {
    /// Whether it is in force on a day.
    pub(super) fn is_active(&self, on: NaiveDate) -> bool {
        self.from.is_some_and(|from| from <= on) && self.over.is_none_or(|(over, _)| over > on)
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
            (None, State::Expired | State::Revoked) => {
                Some((day(record.times.expires_at), Over::Expired))
            }
            (None, _) => None,
        };
        Self {
            id: record.id.to_string(),
            control: request.controls.first().cloned().unwrap_or_default(),
            policy: request.provision.policy.to_string(),
            team: request.beneficiary_team.clone().unwrap_or_default(),
            asked: day(record.times.submitted_at.unwrap_or(record.times.not_before)),
            decided,
            from: record.times.activated_at.map(day),
            over,
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
    pub(super) fn past(ask: &Ask, control: &str, policy: &str) -> Self {
        let known = ask.decided.unwrap_or(ask.day);
        let approved = ask.outcome == Decided::Approved;
        Self {
            id: ask.id.clone(),
            control: control.to_owned(),
            policy: policy.to_owned(),
            team: ask.team.clone(),
            asked: ask.day,
            decided: match ask.outcome {
                Decided::Approved => Some((known, true)),
                Decided::Denied => Some((known, false)),
                _ => None,
            },
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
