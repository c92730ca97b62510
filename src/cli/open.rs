//! What most commands begin with: the files loaded and the store open.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::{Clock as _, ManualClock, SharedClock, SystemClock},
    collect::Sources,
    config::{Config, Loaded},
    daemon::wire,
    run::{Context, Set},
    store::Store,
};

/// Why an act is not done at an instant that somebody names.
pub(super) const NOT_THEN: &str = "`--as-of` asks how things stood or will stand; what is done is done now. Only an \
     installation that says `rehearsal: true` in tripline.yaml plays with time";

/// An installation as a command sees it.
#[derive(Debug)]
pub(super) struct Opened {
    /// What every run needs.
    pub(super) cx: Arc<Context>,
    /// What is loaded.
    pub(super) set: Arc<Set>,
    /// Its settings.
    pub(super) config: Config,
}

impl Opened {
    /// Opens what was loaded. With `as_of` all of it lives at that instant, and no source is asked: what there was then, or
    /// is now, was collected. In a rehearsal that instant is as good as the present.
    pub(super) async fn of(loaded: Loaded, as_of: Option<DateTime<Utc>>) -> anyhow::Result<Self> {
        let clock: SharedClock = match as_of {
            Some(at) => Arc::new(ManualClock::at(at)),
            None => Arc::new(SystemClock),
        };
        let sources = match as_of {
            Some(_) if !loaded.config.rehearsal => Sources::Kept,
            _ => Sources::Asked,
        };
        let wired = wire::wire_with(loaded, clock, sources, CancellationToken::new()).await?;
        Ok(Self {
            cx: wired.cx,
            set: Arc::new(wired.set),
            config: wired.config,
        })
    }

    /// The store.
    pub(super) fn store(&self) -> &Store {
        &self.cx.store
    }

    /// What time it is, whatever instant was named: whether somebody may act is never a question to the past.
    pub(super) fn present(&self) -> DateTime<Utc> {
        if self.config.rehearsal {
            self.now()
        } else {
            SystemClock.now()
        }
    }

    /// Whether the command looks from another instant than the present, at what was collected.
    pub(super) fn looks_back(&self) -> bool {
        self.cx.collector.sources() == Sources::Kept
    }

    /// What time it is for the command.
    pub(super) fn now(&self) -> DateTime<Utc> {
        self.cx.clock.now()
    }
}
