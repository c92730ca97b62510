//! How often this organisation would be alarmed by chance. Weekly windows overlap, so the level of a single test says
//! nothing about that; it is simulated. In each round every control keeps its asks and its days, and the days are dealt
//! out anew among its asks: nothing emerges but by chance.

use std::{collections::BTreeMap, num::NonZeroU32};

use chrono::{NaiveDate, TimeDelta};
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{
    ask::{Ask, History},
    index::Index,
    lifecycle::{Raised, advance},
    options::Options,
    pattern::Kind,
    stats::{Interval, mean_interval},
    weekly::backtest,
};

/// What was simulated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Emergences that were raised by chance, in a quarter.
    pub false_alarms_per_quarter: f64,
    /// Where that lies with 90 % confidence.
    pub ci90: Interval,
    /// All that was raised, by kind, in a quarter. A budget that is exceeded stays so on any days: what is told of it
    /// here is no chance.
    pub by_kind: BTreeMap<Kind, f64>,
    /// Rounds.
    pub rounds: u32,
    /// Quarters in all rounds.
    pub quarters: f64,
    /// Where the chance began.
    pub seed: u64,
    /// Independent asks.
    pub asks: u64,
    /// Why there is no number.
    pub unknown: Option<Uncalibrated>,
}

impl Calibration {
    /// How many signals of a kind chance alone raises in a quarter, and where that lies with 90 % confidence. Only
    /// emergences are a matter of chance: see [`Self::by_kind`].
    #[must_use]
    pub fn of(&self, kind: Kind) -> Option<(f64, Interval)> {
        let known = self.unknown.is_none() && kind == Kind::Emergence;
        known.then_some((self.false_alarms_per_quarter, self.ci90))
    }
}

/// Why nothing could be simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Uncalibrated {
    /// The register is younger than the least history.
    TooLittleHistory,
}

/// Simulates the organisation's own size. The same seed gives the same numbers, on any machine.
#[must_use]
pub fn calibrate(
    history: &History,
    options: &Options,
    seed: u64,
    rounds: NonZeroU32,
) -> Calibration {
    let rounds = rounds.get();
    let index = Index::of(history, options);
    // One ask for each group of duplicates: dealt out, copies would be asks of their own.
    let asks: Vec<Ask> = index
        .controls
        .iter()
        .flat_map(|c| c.rows.iter().filter(|r| !r.renewal).map(|r| (c.id, r)))
        .filter_map(|(control, r)| {
            let control = control.to_owned();
            index.ask(r).cloned().map(|ask| Ask { control, ..ask })
        })
        .collect();
    let last = asks.iter().map(|a| a.day).max().unwrap_or(history.since);
    let needed = options.least_weeks();
    let first = history.since + TimeDelta::weeks(i64::from(needed));
    let mut calibration = Calibration {
        false_alarms_per_quarter: 0.0,
        ci90: mean_interval(0, 0.9),
        by_kind: BTreeMap::new(),
        rounds,
        quarters: 0.0,
        seed,
        asks: asks.len() as u64,
        unknown: None,
    };
    if first > last || needed == 0 {
        calibration.unknown = Some(Uncalibrated::TooLittleHistory);
        return calibration;
    }
    let mut told: BTreeMap<Kind, u64> = BTreeMap::new();
    for round in 0..rounds {
        let mut chance = ChaCha8Rng::seed_from_u64(seed);
        chance.set_stream(u64::from(round));
        let dealt = History {
            asks: dealt(&asks, &mut chance),
            ..without_asks(history)
        };
        let runs = backtest(&dealt, options, first, last);
        calibration.quarters += runs.len() as f64 / 13.0;
        let mut signals: Vec<Raised> = Vec::new();
        for (today, patterns) in runs {
            let said = advance(&mut signals, &patterns, options, today);
            for (pattern, said) in patterns.iter().zip(said) {
                if said.is_told() {
                    *told.entry(pattern.kind).or_default() += 1;
                }
            }
        }
    }
    let rate = |n: u64| n as f64 / calibration.quarters.max(1e-9);
    let emerged = told.get(&Kind::Emergence).copied().unwrap_or(0);
    let interval = mean_interval(emerged, 0.9);
    calibration.false_alarms_per_quarter = rate(emerged);
    calibration.ci90 = Interval {
        low: interval.low / calibration.quarters.max(1e-9),
        high: interval.high.map(|h| h / calibration.quarters.max(1e-9)),
    };
    calibration.by_kind = told.into_iter().map(|(k, n)| (k, rate(n))).collect();
    calibration
}

fn without_asks(history: &History) -> History {
    History {
        asks: Vec::new(),
        controls: history.controls.clone(),
        findings: Vec::new(),
        aliases: history.aliases.clone(),
        since: history.since,
        teams: history.teams,
    }
}

/// The asks, sorted by control, with the days of each control dealt out anew. The time it took to decide stays the ask's own.
fn dealt(asks: &[Ask], chance: &mut ChaCha8Rng) -> Vec<Ask> {
    let mut dealt = asks.to_vec();
    for of_control in dealt.chunk_by_mut(|x, y| x.control == y.control) {
        let mut days: Vec<NaiveDate> = of_control.iter().map(|a| a.day).collect();
        days.shuffle(chance);
        for (ask, day) in of_control.iter_mut().zip(days) {
            ask.decided = ask.decided.map(|d| day + (d - ask.day));
            ask.day = day;
            // Copies were taken together already.
            ask.text = String::new();
            ask.request = None;
        }
    }
    dealt
}
