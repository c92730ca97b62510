//! New files in the place of old ones: all of them, or none. A mistake anywhere leaves what is loaded as it
//! is, and is told in full.

use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use super::{
    chores, metrics,
    serve::{Daemon, Origin},
    wire,
};
use crate::{
    config::{self, Config, watch::Watch},
    yaml::diagnostic::Level,
};

/// What became of a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reloaded {
    /// Everything is new.
    Swapped,
    /// The files say what they said before.
    Same,
    /// The files have mistakes; everything stays.
    Refused,
}

/// Loads again at SIGHUP and when a file changed.
pub(super) async fn reload(daemon: Arc<Daemon>) {
    let Some(origin) = daemon.origin.clone() else {
        return;
    };
    let Ok(mut hangup) = signal(SignalKind::hangup()) else {
        tracing::error!("cannot listen for SIGHUP; only changes of files are seen");
        return;
    };
    let mut watch = match Watch::over(&daemon.config.watched) {
        Ok(watch) => Some(watch),
        Err(error) => {
            tracing::warn!(%error, "the files cannot be watched: SIGHUP loads them again");
            None
        }
    };
    loop {
        let edited = async {
            match &mut watch {
                Some(watch) => watch.changed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = daemon.stop.cancelled() => return,
            _ = hangup.recv() => {}
            () = edited => {}
        }
        let reloaded = once(&daemon, &origin).await;
        if reloaded != Reloaded::Same {
            metrics::reloaded(reloaded == Reloaded::Swapped);
        }
    }
}

/// Loads once, and swaps when everything is right.
pub(super) async fn once(daemon: &Daemon, origin: &Origin) -> Reloaded {
    let loaded = match config::load(&origin.path, &origin.given) {
        Ok(loaded) => loaded,
        Err(problems) => {
            for problem in problems.iter().filter(|p| p.level == Level::Error) {
                tracing::error!(code = problem.code, "{problem}");
            }
            tracing::error!("nothing was reloaded: what was loaded before goes on");
            return Reloaded::Refused;
        }
    };
    if loaded.catalog.digest == daemon.live.get().catalog.digest {
        tracing::info!("nothing changed in the files");
        return Reloaded::Same;
    }
    for part in at_next_start(&daemon.config, &loaded.config) {
        tracing::warn!(part, "was changed, and holds from the next start on");
    }
    let prepared = wire::delivery(&daemon.cx, &loaded.config)
        .and_then(|delivery| Ok((wire::set(loaded.catalog, &loaded.config)?, delivery)));
    let (set, delivery) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "nothing was reloaded");
            return Reloaded::Refused;
        }
    };
    match chores::adopt(&daemon.cx, &set).await {
        Ok(new) => {
            tracing::info!(controls = set.catalog.controls.len(), new, "reloaded");
            daemon.live.swap(set);
            daemon.deliver_by(delivery);
            daemon.reloaded.notify_one();
            Reloaded::Swapped
        }
        Err(error) => {
            tracing::error!(%error, "nothing was reloaded: the store does not answer");
            Reloaded::Refused
        }
    }
}

/// The parts of the settings that a running daemon does not take over.
fn at_next_start(then: &Config, now: &Config) -> Vec<&'static str> {
    let changed = [
        ("store", then.store != now.store),
        ("evidence", then.evidence != now.evidence),
        ("audit", then.audit != now.audit),
        ("web", then.web != now.web),
        ("limits", then.limits != now.limits),
        ("ping", then.ping != now.ping),
    ];
    let changed = changed.into_iter().filter(|(_, changed)| *changed);
    changed.map(|(part, _)| part).collect()
}
