//! New files in the place of old ones: all of them, or none. A mistake anywhere leaves what is loaded as it
//! is, and is told in full.

use std::{sync::Arc, time::Duration};

use tokio::signal::unix::{SignalKind, signal};

use super::{
    absent::{self, When},
    chores, metrics,
    serve::{Daemon, Origin},
    wire,
};
use crate::{
    config::{self, Config, watch::Watch},
    model::id::Sha,
    notify::{
        plan::{Operation, operation},
        text,
    },
    store::{self, outbox},
    yaml::diagnostic::Level,
};

/// How long until files that cannot be watched are read again.
const BLIND: Duration = Duration::from_secs(30);

/// How many mistakes a notice names, and how much of each.
const SHOWN: usize = 3;
const CLIP: usize = 300;

/// What became of a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reloaded {
    /// Everything is new.
    Swapped,
    /// The files say what they said before.
    Same,
    /// The files have mistakes, or lack too much; everything stays.
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
    let mut watch = watched(&daemon);
    loop {
        let edited = async {
            match &mut watch {
                Some(watch) => watch.changed().await,
                None => tokio::time::sleep(BLIND).await,
            }
        };
        tokio::select! {
            () = daemon.stop.cancelled() => return,
            _ = hangup.recv() => {}
            () = edited => {}
        }
        // A folder that was put in the place of another is not the one that was watched. Before the load, so that
        // an edit during it is seen.
        watch = watched(&daemon);
        let reloaded = match once(&daemon, &origin).await {
            Ok(reloaded) => reloaded,
            Err(mistakes) => {
                tracing::error!("nothing was reloaded: what was loaded before goes on");
                refused(&daemon, &mistakes).await;
                Reloaded::Refused
            }
        };
        if reloaded != Reloaded::Same {
            metrics::reloaded(reloaded == Reloaded::Swapped);
        }
    }
}

fn watched(daemon: &Daemon) -> Option<Watch> {
    match Watch::over(&daemon.config.watched) {
        Ok(watch) => Some(watch),
        Err(error) => {
            tracing::warn!(%error, "the files cannot be watched: they are read again from time to time, and at SIGHUP");
            None
        }
    }
}

/// Loads once, and swaps when everything is right.
///
/// # Errors
/// Every reason to leave what is loaded as it is, in words; each was logged.
pub(super) async fn once(daemon: &Daemon, origin: &Origin) -> Result<Reloaded, Vec<String>> {
    let loaded = config::load(&origin.path, &origin.given).map_err(|problems| {
        let mistakes = problems.iter().filter(|p| p.level == Level::Error);
        let said = mistakes.map(|problem| {
            tracing::error!(code = problem.code, "{problem}");
            problem.to_string()
        });
        said.collect::<Vec<String>>()
    })?;
    let live = daemon.live.get();
    if loaded.catalog.digest == live.catalog.digest {
        tracing::info!("nothing changed in the files");
        return Ok(Reloaded::Same);
    }
    for part in at_next_start(&daemon.config, &loaded.config) {
        tracing::warn!(part, "was changed, and holds from the next start on");
    }
    let said = |error: String| {
        tracing::error!("{error}");
        vec![error]
    };
    let (set, delivery) = wire::delivery(&daemon.cx, &loaded.config)
        .and_then(|delivery| Ok((wire::set(loaded.catalog, &loaded.config)?, delivery)))
        .map_err(|error| said(format!("{error:#}")))?;
    let silent = |error: store::Error| said(format!("the store does not answer: {error}"));
    let refusal = absent::refusal(&daemon.cx, &live, &set).await;
    if let Some(doubt) = refusal.map_err(silent)? {
        return Err(said(format!("{doubt}; {}", absent::WAY_OUT)));
    }
    let adopted = chores::adopt(&daemon.cx, &set, When::Load).await;
    let new = adopted.map_err(silent)?.new;
    tracing::info!(controls = set.catalog.controls.len(), new, "reloaded");
    daemon.live.swap(set);
    daemon.deliver_by(delivery);
    daemon.reloaded.notify_one();
    Ok(Reloaded::Swapped)
}

/// Administrators hear that what they wrote does not hold: once a day for the same mistakes.
async fn refused(daemon: &Daemon, mistakes: &[String]) {
    let shown: Vec<String> = mistakes
        .iter()
        .take(SHOWN)
        .map(|m| text::clip(&text::line(m), CLIP))
        .collect();
    let more = match mistakes.len().saturating_sub(shown.len()) {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    let sentence = format!(
        "The files of Tripline were changed and were not taken over; what was loaded before goes on: {}{more}. \
         `tripline validate` says all of it with its place.",
        shown.join("; ")
    );
    if let Err(error) = tell(daemon, ("The files were not loaded again", &sentence)).await {
        tracing::error!(%error, "nobody could be told");
    }
}

/// Plans a word of Tripline about itself.
///
/// # Errors
/// The store cannot be written.
pub(super) async fn tell(
    daemon: &Daemon,
    (title, sentence): (&str, &str),
) -> Result<(), store::Error> {
    let now = daemon.cx.clock.now();
    let subject = format!("files:{}:{}", Sha::of(sentence), now.date_naive());
    let about = Operation {
        subject: &subject,
        title,
        sentence,
        not_by: None,
    };
    let items = operation(&daemon.live.get().desk, &about, now);
    let mut tx = daemon.cx.store.begin().await?;
    outbox::enqueue(&mut tx, &items).await?;
    tx.commit().await?;
    daemon.owed.notify_one();
    Ok(())
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
