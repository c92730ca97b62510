//! The heartbeat: one job of one scheduler, once a second, and a watchdog that ends the process
//! when the heart stops, because a silent monitor is worse than none. The only place that names
//! the scheduler library; what is due is computed by `due` and kept in the ledger.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::mpsc;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

/// The exit code of a process whose heart stopped: `EX_SOFTWARE` of sysexits.h.
pub const STOPPED: i32 = 70;

/// So many seconds without a beat end the process.
const PATIENCE: u32 = 10;

/// The scheduler could not be started.
#[derive(Debug, thiserror::Error)]
#[error("the heartbeat cannot be started: {0}")]
pub struct Error(#[from] JobSchedulerError);

/// A running heartbeat.
pub struct Heart {
    scheduler: JobScheduler,
}

impl std::fmt::Debug for Heart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Heart")
    }
}

impl Heart {
    /// Starts beating once a second. A beat that finds the one before still waiting is dropped: the
    /// ledger loses nothing by it, since due times are computed from what it holds.
    ///
    /// # Errors
    /// When the scheduler cannot be started.
    pub async fn start() -> Result<(Self, mpsc::Receiver<()>), Error> {
        let (send, receive) = mpsc::channel(1);
        let scheduler = JobScheduler::new().await?;
        let beat = Job::new_async("* * * * * *", move |_, _| {
            let send = send.clone();
            Box::pin(async move {
                // Full means that the last beat is still being worked on; closed means shutdown.
                let _ = send.try_send(());
            })
        })?;
        scheduler.add(beat).await?;
        scheduler.start().await?;
        Ok((Self { scheduler }, receive))
    }

    /// Stops beating.
    pub async fn stop(mut self) {
        if let Err(error) = self.scheduler.shutdown().await {
            tracing::warn!(%error, "the heartbeat did not stop cleanly");
        }
    }
}

/// Counts the beats that were worked through.
#[derive(Debug, Clone, Default)]
pub struct Pulse {
    beats: Arc<AtomicU64>,
}

impl Pulse {
    /// One more beat was worked through.
    pub fn beat(&self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.beats.load(Ordering::Relaxed)
    }
}

/// Watches a pulse from a thread of its own and calls `stopped` once when it fails.
///
/// It counts its own rounds and not seconds: a process that was stopped as a whole (SIGSTOP, a
/// suspended machine) is given its time again when it goes on.
pub fn watch(
    pulse: Pulse,
    round: Duration,
    stopped: impl FnOnce() + Send + 'static,
) -> std::io::Result<Watch> {
    let alive = Arc::new(());
    let watched = Arc::downgrade(&alive);
    std::thread::Builder::new()
        .name("watchdog".to_owned())
        .spawn(move || {
            let mut silence = Silence::since(pulse.count());
            loop {
                let slept = Instant::now();
                std::thread::sleep(round);
                if watched.strong_count() == 0 {
                    return;
                }
                if silence.lasts(pulse.count(), slept.elapsed() > round * 3) {
                    return stopped();
                }
            }
        })?;
    Ok(Watch { _alive: alive })
}

/// How many rounds nothing was heard.
struct Silence {
    heard: u64,
    rounds: u32,
}

impl Silence {
    const fn since(heard: u64) -> Self {
        Self { heard, rounds: 0 }
    }

    /// One more round with so many beats in all. Whether that is too long; a round in which the process itself slept
    /// begins anew.
    fn lasts(&mut self, heard: u64, overslept: bool) -> bool {
        if heard != self.heard || overslept {
            *self = Self::since(heard);
        } else {
            self.rounds += 1;
        }
        self.rounds >= PATIENCE
    }
}

/// Keeps the watchdog awake; dropped, it sleeps for good.
#[derive(Debug)]
pub struct Watch {
    _alive: Arc<()>,
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc as channel;

    use super::*;

    #[test]
    fn silence_lasts_after_ten_rounds_without_a_beat() {
        let mut silence = Silence::since(3);
        for _ in 0..9 {
            assert!(!silence.lasts(3, false));
        }
        assert!(!silence.lasts(4, false), "it beats");
        for _ in 0..9 {
            assert!(!silence.lasts(4, false));
        }
        assert!(!silence.lasts(4, true), "the whole process slept");
        for _ in 0..9 {
            assert!(!silence.lasts(4, false));
        }
        assert!(silence.lasts(4, false));
    }

    #[test]
    fn the_watchdog_bites_when_the_heart_stops() {
        let (bite, bitten) = channel::channel();
        let round = Duration::from_millis(5);
        let _watch = watch(Pulse::default(), round, move || bite.send(()).unwrap()).unwrap();
        bitten
            .recv_timeout(Duration::from_mins(2))
            .expect("it stopped");
    }

    #[test]
    fn a_watchdog_that_is_let_go_bites_nobody() {
        let (bite, bitten) = channel::channel::<()>();
        let round = Duration::from_secs(1);
        let watch = watch(Pulse::default(), round, move || {
            bite.send(()).unwrap();
        })
        .unwrap();
        drop(watch);
        // Its thread ends, and its end of the line with it.
        let ended = bitten.recv_timeout(Duration::from_mins(2));
        assert_eq!(ended, Err(channel::RecvTimeoutError::Disconnected));
    }

    #[tokio::test]
    async fn the_heart_beats_about_once_a_second() {
        let (heart, mut beats) = Heart::start().await.unwrap();
        let mut beat = async || {
            let next = tokio::time::timeout(Duration::from_mins(2), beats.recv());
            next.await.unwrap().unwrap();
        };
        // One beat may have waited for us.
        beat().await;
        let started = Instant::now();
        for _ in 0..3 {
            beat().await;
        }
        assert!(
            started.elapsed() > Duration::from_millis(1_500),
            "not faster than once a second"
        );
        heart.stop().await;
    }
}
