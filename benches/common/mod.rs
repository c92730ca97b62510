//! What something cost this process.

#![allow(
    clippy::allow_attributes,
    dead_code,
    reason = "not every benchmark asks for everything"
)]

use std::{
    fs,
    time::{Duration, Instant},
};

/// What something cost.
pub(crate) struct Spent {
    /// Time of all cores together.
    pub(crate) cpu: Duration,
    /// Time of the clock on the wall.
    pub(crate) wall: Duration,
}

impl Spent {
    /// What some work costs.
    pub(crate) async fn of<T>(work: impl Future<Output = T>) -> (Self, T) {
        let (cpu, wall) = (cpu(), Instant::now());
        let done = work.await;
        let spent = Self {
            cpu: self::cpu().saturating_sub(cpu),
            wall: wall.elapsed(),
        };
        (spent, done)
    }
}

/// CPU time of this process, in the kernel's ticks of ten milliseconds (proc(5)).
pub(crate) fn cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let (_, rest) = stat.rsplit_once(')').unwrap();
    let field = |n: usize| -> u64 { rest.split_whitespace().nth(n).unwrap().parse().unwrap() };
    Duration::from_millis((field(11) + field(12)) * 10)
}

/// The most memory that this process ever held, in MiB.
pub(crate) fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib / 1024
}
