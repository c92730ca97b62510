//! When an open finding becomes overdue. The clock runs from the opening of the episode, and runs on while
//! nothing is known: a source that fell silent mends nothing.

use chrono::{DateTime, Utc};

use crate::model::{control::Control, finding::Finding};

/// How an open finding stands to the time it may stay open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// No episode is open.
    NotOpen,
    /// It may stay open until then.
    Until(DateTime<Utc>),
    /// It should have been mended by then.
    Overdue(DateTime<Utc>),
}

/// When a finding is due, by its severity and its control's `due:`.
#[must_use]
pub fn due(control: &Control, finding: &Finding, now: DateTime<Utc>) -> Due {
    let opened = finding
        .state
        .opened_at
        .filter(|_| finding.state.status.is_open());
    let Some(at) = opened.map(|at| at + control.due(finding.severity).to_delta()) else {
        return Due::NotOpen;
    };
    if now < at {
        Due::Until(at)
    } else {
        Due::Overdue(at)
    }
}
