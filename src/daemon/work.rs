//! Working through what is due: claims ticks, runs them side by side under their leases, and ends each
//! with what became of it. One pass is the same for the daemon and for `tripline check`.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream};

use super::metrics;
use crate::{
    crash, deliver,
    model::{
        id::ControlId,
        run::{Cause, Tick, TickState},
        span::Span,
    },
    run::{self, Context, Set, Summary},
    store::{self, lease::Claim, ticks},
};

/// How long a worker may be silent before another takes its tick. Renewed at a third.
const LEASE: Span = Span::secs(60);

/// What became of one tick.
#[derive(Debug)]
pub enum Ended {
    /// It ran.
    Ran(Box<Summary>),
    /// It did not, for this reason.
    Skipped(ControlId, String),
    /// It could not be run to its end.
    Failed(ControlId, run::Error),
    /// Another worker has it now.
    Lost(ControlId),
}

/// Who works, for people who look at the ledger.
pub fn holder() -> String {
    format!("{}-{}", hostname(), std::process::id())
}

fn hostname() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "tripline".to_owned(), |name| name.trim().to_owned())
}

/// Claims up to `limit` ticks that are due.
///
/// # Errors
/// When the ledger cannot be reached.
pub async fn claim(cx: &Context, limit: usize, holder: &str) -> Result<Vec<Tick>, store::Error> {
    let claim = Claim {
        now: cx.clock.now(),
        limit: u32::try_from(limit).unwrap_or(u32::MAX),
        lease: LEASE,
        holder,
    };
    let mut tx = cx.store.begin().await?;
    let claimed = ticks::claim(&mut tx, &claim).await?;
    tx.commit().await?;
    crash::point("run.claimed");
    Ok(claimed)
}

/// Works through everything that is due at the clock's present instant, `limit` ticks at a time, until
/// nothing is; `seen` hears of each at its end. What a run asks to be looked at again later is not due yet.
///
/// # Errors
/// When the ledger cannot be reached.
pub async fn all(
    cx: &Context,
    set: &Arc<Set>,
    (limit, holder): (usize, &str),
    seen: &(dyn Fn(&Ended) + Sync),
) -> Result<Vec<Ended>, store::Error> {
    let mut ended = Vec::new();
    loop {
        let claimed = claim(cx, limit, holder).await?;
        if claimed.is_empty() {
            return Ok(ended);
        }
        let mut running = stream::iter(claimed)
            .map(|tick| one(cx, set, tick))
            .buffer_unordered(limit.max(1));
        while let Some(one) = running.next().await {
            seen(&one);
            ended.push(one);
        }
    }
}

/// Runs one control now because somebody asked. Nothing when another worker runs it at this very moment.
///
/// # Errors
/// When the ledger cannot be reached.
pub async fn asked(
    cx: &Context,
    set: &Arc<Set>,
    control: &ControlId,
    holder: &str,
) -> Result<Option<Ended>, store::Error> {
    let claim = Claim {
        now: cx.clock.now(),
        limit: 1,
        lease: LEASE,
        holder,
    };
    let mut tx = cx.store.begin().await?;
    let tick = ticks::take(&mut tx, control, Cause::Manual, &claim).await?;
    tx.commit().await?;
    match tick {
        Some(tick) => Ok(Some(one(cx, set, tick).await)),
        None => Ok(None),
    }
}

/// Works through one claimed tick and ends it.
pub async fn one(cx: &Context, set: &Arc<Set>, tick: Tick) -> Ended {
    let Some(control) = set.catalog.controls.get(&tick.control) else {
        let why = "the control was removed";
        return match end(cx, &tick, TickState::Skipped, why).await {
            Ok(()) => Ended::Skipped(tick.control.clone(), why.to_owned()),
            Err(error) => Ended::Failed(tick.control, error.into()),
        };
    };
    let begun = Instant::now();
    let work = run::control(cx, set, control, &tick);
    let ended = tokio::select! {
        result = work => match result {
            Ok(summary) => Ended::Ran(Box::new(summary)),
            Err(run::Error::Store(store::Error::LeaseLost { .. })) => Ended::Lost(tick.control.clone()),
            Err(error) => failed(cx, &tick, error).await,
        },
        () = keep(cx, &tick) => Ended::Lost(tick.control.clone()),
    };
    metrics::ran(&tick.control, &ended, begun.elapsed());
    ended
}

/// Renews the lease until it is lost.
async fn keep(cx: &Context, tick: &Tick) {
    loop {
        tokio::time::sleep(LEASE.to_std() / 3).await;
        let renewed = async {
            let mut tx = cx.store.begin().await?;
            ticks::renew(&mut tx, tick, LEASE).await?;
            tx.commit().await
        };
        match renewed.await {
            Ok(()) => {}
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, control = %tick.control, "the lease could not be renewed yet");
            }
            Err(error) => {
                tracing::warn!(%error, control = %tick.control, "the lease is lost: another worker has the tick");
                return;
            }
        }
    }
}

/// A fault that passes leaves the tick to the next claim; any other ends it, with the reason in the ledger.
async fn failed(cx: &Context, tick: &Tick, error: run::Error) -> Ended {
    let said = error.said();
    tracing::error!(error = said, control = %tick.control, scheduled_for = %tick.scheduled_for, "the run could not be recorded");
    if !error.is_transient()
        && let Err(second) = end(cx, tick, TickState::Failed, &said).await
    {
        tracing::error!(error = %second, control = %tick.control, "nor could its end");
    }
    Ended::Failed(tick.control.clone(), error)
}

async fn end(cx: &Context, tick: &Tick, state: TickState, why: &str) -> Result<(), store::Error> {
    let mut tx = cx.store.begin().await?;
    ticks::finish(&mut tx, tick, state, Some(why)).await?;
    tx.commit().await
}

/// How long a worker waits before it looks again whether somebody else left something due.
pub const POLL: Duration = Duration::from_secs(5);

/// How many leaves the log has.
///
/// # Errors
/// The store cannot be read.
pub async fn log_size(cx: &Context) -> Result<u64, store::Error> {
    store::audit::size(&mut cx.store.read().await?).await
}

/// Says what became of a tick, for whoever reads the log of the daemon.
pub fn log(ended: &Ended) {
    match ended {
        Ended::Ran(summary) => {
            let run = &summary.run;
            let counts = run.counts;
            tracing::info!(
                control = %run.control, run = %run.id, pass = counts.pass, fail = counts.fail, unknown = counts.unknown,
                not_checked = run.not_checked.map_or("-", |why| why.as_str()), moved = summary.moved, owed = summary.owed,
                "ran"
            );
            if summary.unrouted > 0 {
                tracing::warn!(
                    control = %run.control, findings = summary.unrouted,
                    "nobody is told of them: no route names anybody who can be reached"
                );
            }
        }
        Ended::Skipped(control, why) => tracing::info!(%control, why, "skipped"),
        Ended::Failed(control, error) => tracing::error!(%control, %error, "failed"),
        Ended::Lost(control) => tracing::warn!(%control, "another worker has it"),
    }
}

/// Tells people what they are owed; what fails is done again at the next turn.
pub async fn deliver(cx: &deliver::Context, set: &Set) {
    match deliver::once(cx, set).await {
        Ok(told) => metrics::delivered(told.sent, told.failed + told.dead),
        Err(error) => tracing::error!(%error, "nobody could be told"),
    }
}
