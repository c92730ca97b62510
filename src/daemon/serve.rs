//! The daemon from start to stop. [`serve`] stays one straight line, so that both can be read side by side;
//! each loop below does one thing and ends when it is told to.

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use anyhow::Context as _;
use sd_notify::NotifyState;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{Notify, Semaphore, mpsc},
    time::MissedTickBehavior,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Live,
    absent::{self, When},
    chores,
    metrics::{self, Metrics},
    probe::Pages,
    signing::Signer,
    wire::{self, Wired},
    work,
};
use crate::{
    audit::leaf::Event,
    clock::SharedClock,
    config::{Config, Loaded, overrides::Overrides},
    deliver,
    evidence::Archive,
    register,
    report::trend::send::quarterly,
    review,
    run::Context,
    schedule::{
        heart::{self, Heart, Pulse},
        plan::Planner,
    },
    web,
};

/// How long work that was begun may take to end in order.
const GRACE: Duration = Duration::from_secs(25);

/// How long exceptions wait for their next look; what people do is told at once.
const SWEEP: Duration = Duration::from_secs(10);

/// How often the head of the log is signed and the store hears that we live.
const SIGN: Duration = Duration::from_mins(1);

/// How often old evidence is let go.
const RETAIN: Duration = Duration::from_hours(24);

/// How many leaves may wait for a signature.
const UNSIGNED: u64 = 100;

/// Where an installation was loaded from, for the next load.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Its file.
    pub path: PathBuf,
    /// What stands above the file.
    pub given: Overrides,
}

/// What the loops share.
#[derive(Debug)]
pub(super) struct Daemon {
    pub(super) cx: Arc<Context>,
    pub(super) live: Live,
    pub(super) archive: Archive,
    pub(super) config: Config,
    pub(super) signer: Signer,
    /// The ways out; a reload puts others in their place.
    pub(super) delivery: RwLock<Arc<deliver::Context>>,
    pub(super) origin: Option<Origin>,
    pub(super) pulse: Pulse,
    /// Something may be due.
    pub(super) due: Notify,
    /// Something may have to be told.
    pub(super) owed: Notify,
    /// Other controls are in force than before.
    pub(super) reloaded: Notify,
    pub(super) stop: CancellationToken,
}

impl Daemon {
    /// The ways out as they are now.
    fn delivery(&self) -> Arc<deliver::Context> {
        self.delivery
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Puts other ways out in their place.
    pub(super) fn deliver_by(&self, delivery: deliver::Context) {
        *self
            .delivery
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(delivery);
    }
}

/// Runs until it is told to stop. `origin` is where to load from again; without it nothing is reloaded.
///
/// # Errors
/// Something cannot be opened at the start, or the way it ended is not in order.
pub async fn serve(
    loaded: Loaded,
    origin: Option<Origin>,
    clock: SharedClock,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let figures = Metrics::install()?;
    let collecting = CancellationToken::new();
    if loaded.config.rehearsal {
        tracing::warn!(
            "this is a rehearsal (`rehearsal: true`): commands may act at any instant, and nothing here proves when it was done"
        );
    }
    let wired = wire::wire(loaded, clock, collecting.clone()).await?;
    let listener = web::bind(wired.config.web.listen).await?;
    let address = listener.local_addr()?;
    let daemon = Arc::new(daemon(wired, origin, stop.clone()).await?);
    for (name, channel) in daemon.config.notify.channels.iter() {
        for error in channel.secrets().into_iter().filter_map(|s| s.read().err()) {
            tracing::warn!(channel = name.text, %error, "nobody can be told over it until that is mended");
        }
    }
    chores::life(&daemon.cx, Event::Start).await?;
    let adopted = chores::adopt(&daemon.cx, &daemon.live.get(), When::Load).await?;
    if let Some(doubt) = &adopted.doubted {
        doubted(&daemon, doubt).await?;
    }
    let (heart, beats) = Heart::start().await?;
    let watch = heart::watch(daemon.pulse.clone(), Duration::from_secs(1), || {
        tracing::error!("the heartbeat stopped; ending, so that somebody notices");
        std::process::exit(heart::STOPPED);
    })?;

    let tasks = TaskTracker::new();
    tasks.spawn(plan(daemon.clone(), beats));
    tasks.spawn(run(daemon.clone()));
    tasks.spawn(tell(daemon.clone()));
    tasks.spawn(govern(daemon.clone()));
    tasks.spawn(sign(daemon.clone()));
    tasks.spawn(knock(daemon.clone()));
    tasks.spawn(retain(daemon.clone()));
    tasks.spawn(super::reload::reload(daemon.clone()));
    let pages = Arc::new(Pages::new(daemon.clone(), figures));
    tasks.spawn(served(
        web::serve(listener, pages, stop.clone()),
        stop.clone(),
    ));
    tracing::info!(%address, controls = daemon.live.get().catalog.controls.len(), new = adopted.new, "watching");
    ready();

    signalled(&stop).await?;
    tracing::info!("stopping: no new run begins, those that run may end");
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
    stop.cancel();
    tasks.close();
    if tokio::time::timeout(GRACE, tasks.wait()).await.is_err() {
        tracing::warn!("some work did not end in time; its lease runs out and it is done again");
        collecting.cancel();
    }
    drop(watch);
    heart.stop().await;
    chores::life(&daemon.cx, Event::Stop).await?;
    daemon.signer.sign(&daemon.cx).await?;
    daemon.cx.store.close().await;
    tracing::info!("stopped");
    Ok(())
}

async fn daemon(
    wired: Wired,
    origin: Option<Origin>,
    stop: CancellationToken,
) -> anyhow::Result<Daemon> {
    let Wired {
        cx,
        set,
        archive,
        config,
    } = wired;
    let signer = Signer::open(&cx.store, &config).await?;
    let delivery = wire::delivery(&cx, &config)?;
    Ok(Daemon {
        cx,
        live: Live::new(set),
        archive,
        config,
        signer,
        delivery: RwLock::new(Arc::new(delivery)),
        origin,
        pulse: Pulse::default(),
        due: Notify::new(),
        owed: Notify::new(),
        reloaded: Notify::new(),
        stop,
    })
}

/// Controls are missing at the start, and so many that it is not believed: they are not watched, what they found
/// stays as it is, and administrators hear of it.
async fn doubted(daemon: &Daemon, doubt: &str) -> anyhow::Result<()> {
    tracing::error!(
        "{doubt}; nothing is let go of, and they are not watched: {}",
        absent::WAY_OUT
    );
    let sentence = format!(
        "At the start {doubt}. Nothing is let go of, and they are not watched; {}.",
        absent::WAY_OUT
    );
    super::reload::tell(daemon, ("Controls are missing", &sentence)).await?;
    Ok(())
}

/// Says to whoever started us that we are ready, and keeps saying that we live.
fn ready() {
    let _ = sd_notify::notify(&[NotifyState::Ready]);
}

/// Waits for SIGTERM, SIGINT or the token.
async fn signalled(stop: &CancellationToken) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = stop.cancelled() => {}
    }
    Ok(())
}

/// The web server's end is the daemon's end, unless it was told to stop.
async fn served(server: impl Future<Output = Result<(), web::Error>>, stop: CancellationToken) {
    if let Err(error) = server.await {
        tracing::error!(%error, "the web server ended");
    }
    stop.cancel();
}

/// At every beat: writes what came due into the ledger.
async fn plan(daemon: Arc<Daemon>, mut beats: mpsc::Receiver<()>) {
    let mut planner: Option<Planner> = None;
    loop {
        tokio::select! {
            () = daemon.stop.cancelled() => return,
            () = daemon.reloaded.notified() => planner = None,
            beat = beats.recv() => {
                if beat.is_none() {
                    return;
                }
            }
        }
        daemon.pulse.beat();
        let _ = sd_notify::notify(&[NotifyState::Watchdog]);
        if let Err(error) = beat(&daemon, &mut planner).await {
            tracing::error!(%error, "what is due could not be written down; the next beat tries again");
            planner = None;
        }
    }
}

async fn beat(daemon: &Daemon, planner: &mut Option<Planner>) -> anyhow::Result<()> {
    let now = daemon.cx.clock.now();
    let mut current = if let Some(current) = planner.take() {
        current
    } else {
        let set = daemon.live.get();
        Planner::load(&daemon.cx.store, &set.catalog.controls, now).await?
    };
    let wrote = current.plan(&daemon.cx.store, now).await?;
    if wrote.due > 0 {
        daemon.due.notify_one();
    }
    if wrote.missed + wrote.skipped > 0 {
        tracing::warn!(
            missed = wrote.missed,
            skipped = wrote.skipped,
            "not every due time was kept"
        );
    }
    *planner = Some(current);
    Ok(())
}

/// Runs what is due, as many controls at the same time as the settings allow.
async fn run(daemon: Arc<Daemon>) {
    let width = daemon.config.limits.runs.max(1);
    let free = Arc::new(Semaphore::new(width));
    let running = TaskTracker::new();
    let holder = work::holder();
    while !daemon.stop.is_cancelled() {
        let room = free.available_permits();
        let claimed = match work::claim(&daemon.cx, room, &holder).await {
            Ok(claimed) => claimed,
            Err(error) => {
                tracing::error!(%error, "the ledger cannot be read");
                Vec::new()
            }
        };
        let idle = claimed.is_empty();
        for tick in claimed {
            let Ok(permit) = free.clone().acquire_owned().await else {
                break;
            };
            let daemon = daemon.clone();
            running.spawn(async move {
                let set = daemon.live.get();
                let ended = work::one(&daemon.cx, &set, tick).await;
                work::log(&ended);
                drop(permit);
                daemon.owed.notify_one();
                daemon.due.notify_one();
            });
        }
        if idle || free.available_permits() == 0 {
            tokio::select! {
                () = daemon.stop.cancelled() => {}
                () = daemon.due.notified() => {}
                () = tokio::time::sleep(work::POLL) => {}
            }
        }
    }
    running.close();
    running.wait().await;
}

/// Tells people what they are owed, soon after a run and at least every few seconds.
async fn tell(daemon: Arc<Daemon>) {
    while !daemon.stop.is_cancelled() {
        work::deliver(&daemon.delivery(), &daemon.live.get()).await;
        tokio::select! {
            () = daemon.stop.cancelled() => {}
            () = daemon.owed.notified() => {}
            () = tokio::time::sleep(work::POLL) => {}
        }
    }
}

/// Does to exceptions what time, evidence and the files ask for.
async fn govern(daemon: Arc<Daemon>) {
    loop {
        if let Err(error) = absent::later(&daemon.cx, &daemon.live.get()).await {
            tracing::error!(%error, "what is left of removed controls could not be looked at");
        }
        let swept = register::sweep(&daemon.cx, &daemon.live.get()).await;
        if let Ok(swept) = &swept {
            metrics::refused(swept.refused.len());
        }
        match swept {
            Ok(swept) if swept.moved + swept.uncovered + swept.owed > 0 => {
                tracing::info!(
                    moved = swept.moved,
                    uncovered = swept.uncovered,
                    owed = swept.owed,
                    "exceptions"
                );
                daemon.owed.notify_one();
            }
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "exceptions could not be looked after"),
        }
        match review::turn(&daemon.cx, &daemon.live.get()).await {
            Ok(turned) if turned != review::Turned::default() => {
                tracing::info!(ended = turned.ended, owed = turned.owed, "signals");
                daemon.owed.notify_one();
            }
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "the register could not be looked at"),
        }
        let set = daemon.live.get();
        let site = daemon.config.notify.site(&daemon.config.organisation);
        match quarterly(&daemon.cx, &set, &site).await {
            Ok(0) => {}
            Ok(owed) => {
                tracing::info!(owed, "the report of the last quarter");
                daemon.owed.notify_one();
            }
            Err(error) => tracing::error!(%error, "the report of the last quarter was not made"),
        }
        if !pause(&daemon, SWEEP).await {
            return;
        }
    }
}

/// Signs the log every minute, and earlier when much was written.
async fn sign(daemon: Arc<Daemon>) {
    let mut signed = 0;
    let mut since = Duration::ZERO;
    let step = Duration::from_secs(10);
    while pause(&daemon, step).await {
        since += step;
        let grown = work::log_size(&daemon.cx).await.unwrap_or(signed) >= signed + UNSIGNED;
        if !grown && since < SIGN {
            continue;
        }
        since = Duration::ZERO;
        let done = async {
            chores::alive(&daemon.cx).await?;
            daemon.signer.sign(&daemon.cx).await
        };
        match done.await {
            Ok(size) => signed = size,
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "the log could not be signed");
            }
        }
    }
}

/// Knocks at the dead-man's switch, if there is one, as long as the ledger is worked off.
async fn knock(daemon: Arc<Daemon>) {
    let Some(ping) = daemon.config.ping.clone() else {
        return;
    };
    let mut every = tokio::time::interval(ping.every.to_std());
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = daemon.stop.cancelled() => return,
            _ = every.tick() => {}
        }
        if let Err(error) = chores::ping(&ping).await {
            tracing::warn!(error = format!("{error:#}"), "nobody hears that we live");
        }
    }
}

/// Once a day: lets go of what is old.
async fn retain(daemon: Arc<Daemon>) {
    loop {
        match chores::retain(&daemon.cx, &daemon.archive, &daemon.config.evidence).await {
            Ok(0) => {}
            Ok(gone) => tracing::info!(gone, "old snapshots let go"),
            Err(error) => tracing::error!(error = format!("{error:#}"), "old snapshots stay"),
        }
        if !pause(&daemon, RETAIN).await {
            return;
        }
    }
}

/// Waits; false when the daemon stops meanwhile.
async fn pause(daemon: &Daemon, time: Duration) -> bool {
    tokio::select! {
        () = daemon.stop.cancelled() => false,
        () = tokio::time::sleep(time) => true,
    }
}
