//! What the pages are told: whether the daemon can do its work, and its figures.

use std::sync::Arc;

use async_trait::async_trait;

use super::{metrics::Metrics, serve::Daemon};
use crate::web::{Check, Probe};

/// Beats that may be missing before readiness ends, counted between two looks at least two seconds apart.
const LATE_SECONDS: i64 = 30;

/// The daemon as its pages see it.
pub(super) struct Pages {
    daemon: Arc<Daemon>,
    figures: Metrics,
}

impl Pages {
    pub(super) const fn new(daemon: Arc<Daemon>, figures: Metrics) -> Self {
        Self { daemon, figures }
    }
}

#[async_trait]
impl Probe for Pages {
    async fn ready(&self) -> Vec<Check> {
        let daemon = &self.daemon;
        let database = daemon.cx.store.ping().await;
        let late = async {
            let mut tx = daemon.cx.store.read().await?;
            crate::store::ticks::oldest_due(&mut tx).await
        };
        let late = late
            .await
            .map(|oldest| oldest.map_or(0, |at| (daemon.cx.clock.now() - at).num_seconds().max(0)));
        vec![
            Check {
                name: "database",
                ok: database.is_ok(),
                detail: database.map_or_else(|e| e.to_string(), |()| "answers".to_owned()),
            },
            Check {
                name: "scheduler",
                ok: daemon.pulse.count() > 0,
                detail: format!("{} beats", daemon.pulse.count()),
            },
            Check {
                name: "ledger",
                ok: matches!(late, Ok(seconds) if seconds <= LATE_SECONDS * 20),
                detail: late.map_or_else(
                    |e| e.to_string(),
                    |seconds| format!("the oldest due run has been waiting for {seconds} s"),
                ),
            },
        ]
    }

    async fn metrics(&self) -> Option<String> {
        let set = self.daemon.live.get();
        match self.figures.render(&self.daemon.cx, &set).await {
            Ok(text) => Some(text),
            Err(error) => {
                tracing::error!(%error, "the figures cannot be read");
                None
            }
        }
    }
}
