//! The table of transitions written out row by row over a history without bounds, for comparison with the
//! machine that keeps counters and a short history. Nothing is shared with it but the nouns.

use std::collections::BTreeSet;

use super::{FAIL, LEFT, PASS, UNKNOWN};
use crate::model::finding::{
    Effect::{self, Flapping, Opened, Recheck, Reopened, Resolved, Retired},
    Observation, Reason, Status,
};

/// One line of a story: what was seen in which hour, and what came of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Line {
    pub(super) hour: usize,
    pub(super) seen: Observation,
    pub(super) status: Status,
    pub(super) effect: Option<Effect>,
    pub(super) reason: Reason,
}

/// A story so far, whole.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    pub(super) confirm: usize,
    pub(super) clear: usize,
    pub(super) reopen_hours: usize,
    pub(super) lines: Vec<Line>,
    /// The rows of the table that were ever used.
    pub(super) rows: BTreeSet<u8>,
}

impl Oracle {
    pub(super) fn push(&mut self, hour: usize, seen: Observation) -> Line {
        let from = self.lines.last().map_or(Status::Clear, |l| l.status);
        let (row, status, effect, reason) = match seen {
            Observation::Unknown(_) => (17, from, None, Reason::UnknownHolds),
            Observation::Left(_) if from == Status::Retired => (0, from, None, Reason::AlreadyLeft),
            Observation::Left(_) => {
                let told = from.is_open().then_some(Retired);
                (19, Status::Retired, told, Reason::Left)
            }
            _ if from == Status::Retired => {
                self.rows.insert(20);
                self.row(Status::Clear, seen, hour)
            }
            _ => self.row(from, seen, hour),
        };
        self.rows.insert(row);
        let line = Line {
            hour,
            seen,
            status,
            effect,
            reason,
        };
        self.lines.push(line);
        line
    }

    fn row(
        &self,
        from: Status,
        seen: Observation,
        hour: usize,
    ) -> (u8, Status, Option<Effect>, Reason) {
        use Status::{Clear, Clearing, Open, Suspect};
        let streak = 1 + self.streak_before(seen);
        let (fails, passes) = if seen == FAIL {
            (streak, 0)
        } else {
            (0, streak)
        };
        let changes = self.changes(seen);
        let recent = self.resolved_within(hour);
        let opening = if recent { Reopened } else { Opened };
        match (from, seen == FAIL) {
            (Status::Flapping, true) if changes <= 3 && fails >= self.confirm => {
                (15, Open, None, Reason::FlappingEnded)
            }
            (Status::Flapping, false) if changes <= 3 && passes >= self.clear => {
                (16, Status::Resolved, Some(Resolved), Reason::Cleared)
            }
            (Status::Flapping, _) => (0, Status::Flapping, None, Reason::StillFlapping),
            _ if changes >= 6 => (14, Status::Flapping, Some(Flapping), Reason::TooManyChanges),
            (Clear, true) if self.confirm > 1 => {
                (1, Suspect, Some(Recheck), Reason::AwaitingConfirmation)
            }
            (Clear, true) => (2, Open, Some(Opened), Reason::Confirmed),
            (Suspect, true) if fails < self.confirm => {
                (3, Suspect, Some(Recheck), Reason::AwaitingConfirmation)
            }
            (Suspect, true) => (
                if recent { 5 } else { 4 },
                Open,
                Some(opening),
                Reason::Confirmed,
            ),
            (Suspect, false) if recent => (6, Status::Resolved, None, Reason::Blip),
            (Suspect, false) => (6, Clear, None, Reason::Blip),
            (Open, true) => (7, Open, None, Reason::StillOpen),
            (Open, false) if self.clear > 1 => (8, Clearing, None, Reason::Clearing),
            (Clearing, false) if passes < self.clear => (10, Clearing, None, Reason::Clearing),
            (Open | Clearing, false) => (9, Status::Resolved, Some(Resolved), Reason::Cleared),
            (Clearing, true) => (11, Open, None, Reason::StillOpen),
            (Status::Resolved, true) if self.confirm > 1 => {
                (12, Suspect, Some(Recheck), Reason::AwaitingConfirmation)
            }
            (Status::Resolved, true) => (12, Open, Some(opening), Reason::Confirmed),
            (Status::Resolved, false) if !recent => (13, Clear, None, Reason::StillClear),
            (Clear | Status::Resolved, false) => (0, from, None, Reason::StillClear),
            (Status::Retired, _) => unreachable!("a retired finding begins as from clear"),
        }
    }

    /// Equal known results in a row before this one, since the subject last left.
    fn streak_before(&self, seen: Observation) -> usize {
        let since = self.lines.iter().rev().take_while(|l| l.seen != LEFT);
        since
            .filter(|l| l.seen != UNKNOWN)
            .take_while(|l| l.seen == seen)
            .count()
    }

    /// Changes among the last 21 known results, this one included.
    fn changes(&self, seen: Observation) -> usize {
        let mut results: Vec<bool> = self
            .lines
            .iter()
            .filter(|l| l.seen == PASS || l.seen == FAIL)
            .map(|l| l.seen == FAIL)
            .collect();
        results.push(seen == FAIL);
        let window = &results[results.len().saturating_sub(21)..];
        window.windows(2).filter(|w| w[0] != w[1]).count()
    }

    /// Whether it was resolved lately, and did not leave or fall back to clear since.
    fn resolved_within(&self, hour: usize) -> bool {
        let since = self.lines.iter().rev();
        let mut remembered =
            since.take_while(|l| !matches!(l.status, Status::Retired | Status::Clear));
        let resolved = remembered.find(|l| l.effect == Some(Resolved));
        resolved.is_some_and(|l| hour - l.hour <= self.reopen_hours)
    }
}
