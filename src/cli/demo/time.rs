//! The demo's clock: shows past days while they are played, and the present once they are over.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};

use crate::clock::{Clock, SystemClock};

/// A clock that can be put to a past instant, and let go.
#[derive(Debug, Clone, Default)]
pub(super) struct DemoClock {
    held: Arc<Mutex<Option<DateTime<Utc>>>>,
}

impl DemoClock {
    /// Shows this instant until it is set again or let go.
    pub(super) fn set(&self, to: DateTime<Utc>) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(to);
    }

    /// Shows the present from now on.
    pub(super) fn let_go(&self) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Clock for DemoClock {
    fn now(&self) -> DateTime<Utc> {
        let held = *self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.unwrap_or_else(|| SystemClock.now())
    }
}
