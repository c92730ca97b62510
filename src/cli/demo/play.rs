//! Sixty past days, one after the other: each morning the systems are as they were then, every control
//! runs, what failed is looked at again, and whoever is owed a word is told at their hour.

use std::{collections::BTreeMap, fs, path::PathBuf, sync::Arc};

use chrono::{DateTime, Days, NaiveTime, TimeDelta, Utc};

use futures::{StreamExt as _, stream};

use super::{
    answers::{self, Systems},
    company::Day,
    time::DemoClock,
};
use crate::{
    cli::out::{Ink, Out},
    daemon::{absent::When, chores, signing::Signer, work},
    deliver,
    model::{finding::Effect, id::ControlId, policy::Severity},
    register, review,
    run::{Context, Set},
    store::{findings, transitions},
};

/// Controls that run side by side.
const WIDTH: usize = 4;

/// The register is looked at on the days that are so many back, and as many weeks: on a Monday, as a daemon does, it would
/// depend on the day of the visit what the company's year shows.
const LOOK: u64 = 5;

/// What the days are played on.
pub(super) struct Stage {
    /// What every run needs.
    pub(super) cx: Arc<Context>,
    /// What is loaded.
    pub(super) set: Arc<Set>,
    /// Who tells.
    pub(super) delivery: deliver::Context,
    /// The key of the log.
    pub(super) signer: Signer,
    /// What time it is.
    pub(super) clock: DemoClock,
    /// The systems.
    pub(super) systems: Arc<Systems>,
    /// The file of the vendor registry.
    pub(super) vendors: PathBuf,
}

/// What came of all days.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) runs: u64,
    pub(super) not_checked: u64,
    pub(super) opened: u64,
    pub(super) reopened: u64,
    pub(super) resolved: u64,
}

impl Stage {
    /// Plays so many days up to this morning, and says what happened on each.
    pub(super) async fn play(&self, days: u64, out: &mut Out) -> anyhow::Result<Tally> {
        let mut tally = Tally::default();
        let today = self.systems.today.date_naive();
        let first = today.checked_sub_days(Days::new(days)).unwrap_or(today);
        self.clock.set(first.and_time(NaiveTime::MIN).and_utc());
        chores::adopt(&self.cx, &self.set, When::Load).await?;
        let known = self.year().await?;
        self.chance().await?;
        out.line(format!(
            "{known} requests for exceptions are known from the year before.\n"
        ))?;
        for back in (1..=days).rev() {
            let Some(date) = today.checked_sub_days(Days::new(back)) else {
                continue;
            };
            let morning = date.and_time(NaiveTime::MIN).and_utc() + TimeDelta::minutes(6 * 60 + 30);
            self.day(morning, &mut tally).await?;
            review::adopt(&self.cx, &self.set).await?;
            if back % 7 == LOOK {
                review::look(&self.cx, &self.set).await?;
            }
            self.tell(morning).await?;
            self.say(morning, &mut tally, out).await?;
            self.office(back, morning, out).await?;
        }
        Ok(tally)
    }

    /// One day: all controls at half past six, second looks until they are done.
    async fn day(&self, morning: DateTime<Utc>, tally: &mut Tally) -> anyhow::Result<()> {
        let cx = &self.cx;
        self.clock.set(morning);
        self.registry(morning)?;
        register::sweep(cx, &self.set).await?;
        let holder = work::holder();
        let mut running = stream::iter(self.set.catalog.controls.keys())
            .map(|id| work::asked(cx, &self.set, id, &holder))
            .buffer_unordered(WIDTH);
        while let Some(ended) = running.next().await {
            count(tally, ended?.iter());
        }
        drop(running);
        for minutes in [6, 12] {
            self.clock.set(morning + TimeDelta::minutes(minutes));
            let ended = work::all(cx, &self.set, (WIDTH, &holder), &|_| ()).await?;
            count(tally, ended.iter());
        }
        Ok(())
    }

    /// What is owed is told, and the log is signed.
    async fn tell(&self, morning: DateTime<Utc>) -> anyhow::Result<()> {
        for minutes in [20, 105] {
            self.clock.set(morning + TimeDelta::minutes(minutes));
            deliver::once(&self.delivery, &self.set).await?;
        }
        self.signer.sign(&self.cx).await?;
        Ok(())
    }

    /// Writes the vendor registry as procurement exported it on that morning.
    fn registry(&self, now: DateTime<Utc>) -> anyhow::Result<()> {
        let day = Day::of(self.systems.today, now);
        fs::write(&self.vendors, answers::vendors(&self.systems.company, day)?)?;
        fs::File::options()
            .write(true)
            .open(&self.vendors)?
            .set_modified(now.into())?;
        Ok(())
    }

    /// Says what moved on a day; nothing for a day on which nothing did.
    async fn say(
        &self,
        morning: DateTime<Utc>,
        tally: &mut Tally,
        out: &mut Out,
    ) -> anyhow::Result<()> {
        let mut tx = self.cx.store.read().await?;
        let moved = transitions::between(&mut tx, morning, morning + TimeDelta::hours(12)).await?;
        let keys: Vec<_> = moved.iter().map(|t| t.finding).collect();
        let known = findings::of_keys(&mut tx, &keys).await?;
        let mut said: BTreeMap<(&str, ControlId, Severity), Vec<String>> = BTreeMap::new();
        for one in &moved {
            let Some(finding) = known.get(&one.finding) else {
                continue;
            };
            let gap = finding.control.as_str().starts_with("source:");
            let word = match one.effect {
                Some(Effect::Opened) if gap => "not checked",
                Some(Effect::Opened) => {
                    tally.opened += 1;
                    "new"
                }
                Some(Effect::Reopened) => {
                    tally.reopened += 1;
                    "reopened"
                }
                Some(Effect::Resolved) if gap => "checked again",
                Some(Effect::Resolved) => {
                    tally.resolved += 1;
                    "resolved"
                }
                Some(Effect::Retired) => "retired",
                Some(Effect::Uncovered) => "no cover now",
                _ => continue,
            };
            let key = (word, finding.control.clone(), finding.severity);
            said.entry(key)
                .or_default()
                .push(finding.subject.to_string());
        }
        for ((word, control, severity), subjects) in said {
            let ink = match word {
                "new" | "reopened" | "no cover now" => Ink::Bad,
                "not checked" => Ink::Warn,
                _ => Ink::Good,
            };
            let word = out.ink(ink, &format!("{word:<13}"));
            let shown = subjects
                .iter()
                .take(2)
                .cloned()
                .collect::<Vec<_>>()
                .join(", ");
            let more = match subjects.len().saturating_sub(2) {
                0 => String::new(),
                n => format!(" and {n} more"),
            };
            let date = morning.date_naive();
            out.line(format!(
                "{date}  {word} {severity:<8}  {control:<26}  {shown}{more}"
            ))?;
        }
        Ok(())
    }
}

fn count<'a>(tally: &mut Tally, ended: impl Iterator<Item = &'a work::Ended>) {
    for one in ended {
        if let work::Ended::Ran(summary) = one {
            tally.runs += 1;
            tally.not_checked += u64::from(summary.run.not_checked.is_some());
        }
    }
}
