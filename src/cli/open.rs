//! What most commands begin with: the files loaded and the store open.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::{ManualClock, SharedClock, SystemClock},
    config::{Config, Loaded},
    daemon::wire,
    run::{Context, Set},
    store::Store,
};

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
    /// Opens what was loaded. With `as_of` all of it lives at that instant.
    pub(super) async fn of(loaded: Loaded, as_of: Option<DateTime<Utc>>) -> anyhow::Result<Self> {
        let clock: SharedClock = match as_of {
            Some(at) => Arc::new(ManualClock::at(at)),
            None => Arc::new(SystemClock),
        };
        let wired = wire::wire(loaded, clock, CancellationToken::new()).await?;
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

    /// What time it is for the command.
    pub(super) fn now(&self) -> DateTime<Utc> {
        self.cx.clock.now()
    }
}
