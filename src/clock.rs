//! What time it is. The only reader of wall time: everything else is handed an instant or a
//! [`Clock`], so that a test can play days in seconds and a run can be replayed.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// Tells the time.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The present instant, in whole microseconds, because that is what both databases keep.
    fn now(&self) -> DateTime<Utc>;
}

/// A clock that is shared by all parts of one process.
pub type SharedClock = Arc<dyn Clock>;

/// The wall clock of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the wall clock"
    )]
    fn now(&self) -> DateTime<Utc> {
        Utc::now().trunc_subsecs(6)
    }
}

/// A clock that stands where it was put: for tests, for `--as-of`, and for the demo's past.
#[derive(Debug, Clone)]
pub struct ManualClock {
    now: Arc<Mutex<DateTime<Utc>>>,
}

impl ManualClock {
    /// A clock that shows `start` until it is moved.
    pub fn at(start: DateTime<Utc>) -> Self {
        Self {
            now: Arc::new(Mutex::new(start.trunc_subsecs(6))),
        }
    }

    /// Moves the clock, forward or (to test that nothing depends on it) back.
    pub fn advance(&self, by: TimeDelta) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        *now += by;
    }

    /// Puts the clock to an instant.
    pub fn set(&self, to: DateTime<Utc>) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = to.trunc_subsecs(6);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A new id: `prefix` and a UUIDv7 (RFC 9562), so that ids sort by the time at which they were made.
pub fn stamp(prefix: &str, now: DateTime<Utc>) -> String {
    let seconds = u64::try_from(now.timestamp()).unwrap_or(0);
    let at = uuid::Timestamp::from_unix(uuid::NoContext, seconds, now.timestamp_subsec_nanos());
    format!("{prefix}{}", uuid::Uuid::new_v7(at).simple())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let start = "2026-11-20T00:00:00Z".parse().unwrap();
        let clock = ManualClock::at(start);
        assert_eq!(clock.now(), start);
        clock.advance(TimeDelta::hours(2));
        assert_eq!(clock.now(), start + TimeDelta::hours(2));
        clock.set(start);
        assert_eq!(clock.now(), start);
    }

    #[test]
    fn stamps_differ_and_sort_by_time() {
        let now: DateTime<Utc> = "2026-11-20T00:00:00Z".parse().unwrap();
        let (a, b) = (stamp("run-", now), stamp("run-", now));
        assert_ne!(a, b);
        assert!(a < stamp("run-", now + TimeDelta::seconds(1)));
        assert!(a.starts_with("run-"));
    }
}
