//! The breadth scan: which cells hold more independent asks than their past, their control and the volume of the whole
//! register explain.
//!
//! The rate of a cell is uncertain: its prior is a Gamma around what independence of control and attributes would
//! give, its own past sharpens it, and a count is judged by the predictive distribution, which is negative binomial.
//! (Gamma-Poisson shrinkage as in DuMouchel 1999; rules over recent against past as in WSARE, Wong et al. 2005;
//! conditioning on the volume of everything else as in the space-time permutation scan, Kulldorff et al. 2005.)

use super::{
    cells::{Shares, arity, cells, distinct, units},
    gate::{Case, Gate, Verdict, busiest, incident, without_burst},
    index::{Index, Key, Row},
    options::Options,
    stats,
};

/// One cell that was tested.
#[derive(Debug, Clone)]
pub(crate) struct Test {
    /// Place of the control.
    pub(crate) control: usize,
    pub(crate) key: Key,
    /// Length of its window, in weeks.
    pub(crate) weeks: u32,
    /// Units seen in the window.
    pub(crate) k: u32,
    /// What to expect of the window.
    pub(crate) expected: Expected,
    /// The chance of as many or more.
    pub(crate) p: f64,
    /// Adjusted for the number of cells.
    pub(crate) q: f64,
    /// How far it is above what was expected, less what its description costs, in nats.
    pub(crate) score: f64,
}

/// What to expect of one cell in one window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Expected {
    /// Expected units.
    pub(crate) mu: f64,
    /// How much more is asked for now than in the baseline, of all other controls.
    pub(crate) offset: f64,
    /// Shape of the rate's Gamma.
    pub(crate) shape: f64,
    /// Its rate, in windows, before the offset.
    pub(crate) rate: f64,
    /// Blocks of the baseline.
    pub(crate) blocks: u32,
}

impl Expected {
    /// The chance of `k` or more.
    pub(crate) fn surprise(&self, k: u32) -> f64 {
        stats::surprise(u64::from(k), self.shape, self.rate / self.offset)
    }
}

/// What one run found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Non-empty cells, all windows together.
    pub(crate) looked_at: usize,
    /// Controls that anybody asked for.
    pub(crate) controls: usize,
    /// The level at which the cells of one control were judged.
    pub(crate) level: f64,
    /// Discoveries by control, the best first; of each control those whose members do not overlap.
    pub(crate) hits: Vec<Test>,
    /// For each hit the best other description of its control.
    pub(crate) runners_up: Vec<Option<Key>>,
}

/// The volume of every control, now and in each block of the baseline.
#[derive(Debug)]
pub(crate) struct Volume {
    pub(crate) weeks: u32,
    now: Vec<u32>,
    /// By block, the latest first; then by control.
    blocks: Vec<Vec<u32>>,
}

impl Volume {
    /// Of a window of so many weeks that ends today. Nothing when the register is too young for a baseline.
    pub(crate) fn of(index: &Index<'_>, options: &Options, weeks: u32, today: i32) -> Option<Self> {
        let days = days(weeks);
        let whole = (today - index.since + 1).div_euclid(days) - 1;
        let blocks = u32::try_from(whole).ok()?.min(options.blocks);
        if blocks == 0 || blocks * weeks < options.baseline_weeks {
            return None;
        }
        let counts = |from: i32, to: i32| {
            let of = |rows: &[Row]| units(rows.iter().filter(|r| r.counts(today)), options.cap);
            index
                .controls
                .iter()
                .map(|c| of(c.between(from, to)))
                .collect()
        };
        Some(Self {
            weeks,
            now: counts(today - days, today),
            blocks: (1..=blocks)
                .map(|back| block(today, weeks, back))
                .map(|(from, to)| counts(from, to))
                .collect(),
        })
    }

    /// How many blocks the baseline has.
    pub(crate) fn blocks(&self) -> u32 {
        super::cells::count(self.blocks.len())
    }

    /// Units of the mean control in a block.
    pub(crate) fn mean(&self) -> Option<f64> {
        let all: u32 = self.blocks.iter().flatten().sum();
        let of = self.blocks.len() * self.now.len();
        (of > 0).then(|| f64::from(all) / of as f64)
    }

    /// How many blocks of the baseline lie wholly within the control's current version.
    pub(crate) fn usable(&self, today: i32, effective: Option<i32>) -> u32 {
        let all = self.blocks();
        let Some(since) = effective else {
            return all;
        };
        let whole = (today - since + 1).div_euclid(days(self.weeks)) - 1;
        u32::try_from(whole).unwrap_or(0).min(all)
    }

    /// What to expect of a cell with the given share of its control's asks and so many units in its usable blocks.
    pub(crate) fn expected(
        &self,
        control: usize,
        blocks: u32,
        (portion, seen_before): (f64, u32),
        options: &Options,
    ) -> Expected {
        let sum = |counts: &Vec<u32>| f64::from(counts.iter().sum::<u32>());
        let own = |counts: &Vec<u32>| f64::from(counts.get(control).copied().unwrap_or(0));
        let used = self.blocks.iter().take(blocks as usize);
        let n = f64::from(blocks);
        let all_past: f64 = used.clone().map(sum).sum();
        let own_past: f64 = used.map(own).sum();
        let others_now = sum(&self.now) - own(&self.now);
        let others_past = (all_past - own_past) / n;
        let offset =
            ((others_now + 1.0) / (others_past + 1.0)).clamp(options.offset.0, options.offset.1);
        let mean = all_past / n / (self.now.len().max(1) as f64);
        let control_rate = (options.prior * mean + own_past) / (options.prior + n);
        let apart = (control_rate * portion).max(options.floor);
        let base = if stats::surprise(
            u64::from(seen_before),
            options.prior,
            options.prior / apart / n,
        ) <= options.conflict
        {
            // A value that mostly this control knows is not rare here: its own past contradicts what the others say.
            f64::from(seen_before) / n
        } else {
            apart
        };
        let shape = options.prior + f64::from(seen_before);
        let rate = options.prior / base + n;
        Expected {
            mu: shape / rate * offset,
            offset,
            shape,
            rate,
            blocks,
        }
    }
}

/// So many weeks in days.
pub(crate) fn days(weeks: u32) -> i32 {
    i32::try_from(weeks.saturating_mul(7)).unwrap_or(i32::MAX)
}

/// The window `back` windows ago: after the first day, until the second.
pub(crate) fn block(today: i32, weeks: u32, back: u32) -> (i32, i32) {
    let back = i32::try_from(back).unwrap_or(0);
    let to = today - back * days(weeks);
    (to - days(weeks), to)
}

/// One cell's past: units of each usable block, summed.
pub(crate) fn past(
    index: &Index<'_>,
    (control, key): (usize, Key),
    volume: &Volume,
    blocks: u32,
    today: i32,
    cap: u32,
) -> u32 {
    let Some(entry) = index.controls.get(control) else {
        return 0;
    };
    let of = |(from, to)| {
        let rows = entry.between(from, to).iter();
        units(rows.filter(|r| r.counts(today) && r.matches(key)), cap)
    };
    (1..=blocks)
        .map(|back| of(block(today, volume.weeks, back)))
        .sum()
}

/// The asks of one control in a window: those that count, and those that were denied.
pub(crate) fn window(rows: &[Row], today: i32) -> (Vec<&Row>, Vec<&Row>) {
    use crate::signal::ask::Decided;
    let counted = rows.iter().filter(|r| r.counts(today)).collect();
    let denied = rows
        .iter()
        .filter(|r| !r.renewal && r.outcome(today) == Decided::Denied)
        .collect();
    (counted, denied)
}

/// Looks at every non-empty cell.
pub(crate) fn scan(index: &Index<'_>, options: &Options, today: i32, shares: &Shares) -> Found {
    let mut looked_at = vec![0; index.controls.len()];
    let mut tests: Vec<Test> = Vec::new();
    for weeks in &options.windows {
        let Some(volume) = Volume::of(index, options, *weeks, today) else {
            continue;
        };
        for (control, entry) in index.controls.iter().enumerate() {
            let (counted, denied) = window(entry.between(today - days(*weeks), today), today);
            if counted.is_empty() {
                continue;
            }
            let effective = entry.effective(today);
            let blocks = volume.usable(today, effective);
            let cells = cells(&counted, options.attributes);
            if let Some(sum) = looked_at.get_mut(control) {
                *sum += cells.len();
            }
            if blocks == 0 {
                continue;
            }
            for (key, members) in cells {
                if distinct(members.iter().map(|r| r.team)) < options.min_teams {
                    continue;
                }
                let denied: Vec<&Row> = denied.iter().copied().filter(|r| r.matches(key)).collect();
                let case = Case {
                    counted: &members,
                    denied: &denied,
                    today,
                    weeks: *weeks,
                    effective,
                };
                if case
                    .gates(options)
                    .iter()
                    .any(|g| g.verdict == Verdict::Fail)
                {
                    continue;
                }
                let past = past(index, (control, key), &volume, blocks, today, options.cap);
                let expected =
                    volume.expected(control, blocks, (shares.share(key, control), past), options);
                let k = units(members.iter().copied(), options.cap);
                let left = Leftover::of(&members, options);
                if left.p(&expected, *weeks, options) > options.robust {
                    continue;
                }
                let penalty = options.penalty * f64::from(arity(key));
                tests.push(Test {
                    control,
                    key,
                    weeks: *weeks,
                    k,
                    expected,
                    p: expected.surprise(k),
                    q: 1.0,
                    score: stats::likelihood_ratio(f64::from(k), expected.mu) - penalty,
                });
            }
        }
    }
    discover(index, options, today, tests, &looked_at)
}

/// What is left of a cell without what one cause may have brought, in units: without its densest days, without its
/// busiest team, without its largest incident.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Leftover {
    pub(crate) burst: u32,
    pub(crate) busiest: u32,
    pub(crate) incident: u32,
}

impl Leftover {
    pub(crate) fn of(members: &[&Row], options: &Options) -> Self {
        let cap = options.cap;
        let left = without_burst(members, options.burst_days);
        let busy = busiest(members, cap).map(|(team, _)| team);
        let tagged = incident(members, cap).map(|(incident, _)| incident);
        let but =
            |keep: &dyn Fn(&Row) -> bool| units(members.iter().copied().filter(|r| keep(r)), cap);
        Self {
            burst: units(left, cap),
            busiest: but(&|r| Some(r.team) != busy),
            incident: but(&|r| tagged.is_none() || r.incident != tagged),
        }
    }

    /// How surprising each leftover is: without the burst in a window that much shorter.
    pub(crate) fn surprises(&self, expected: &Expected, weeks: u32, options: &Options) -> [f64; 3] {
        let window = f64::from(weeks * 7);
        let rest = (window - f64::from(options.burst_days)).max(1.0) / window;
        let shorter = Expected {
            offset: expected.offset * rest,
            ..*expected
        };
        [
            shorter.surprise(self.burst),
            expected.surprise(self.busiest),
            expected.surprise(self.incident),
        ]
    }

    fn p(&self, expected: &Expected, weeks: u32, options: &Options) -> f64 {
        self.surprises(expected, weeks, options)
            .into_iter()
            .fold(0.0, f64::max)
    }
}

/// Controls the discoveries, and gives each pattern its shortest good description.
///
/// One pattern fills dozens of nested cells. If each counted as a discovery, a pattern that is known already would
/// lower the bar for chance elsewhere. So a control is one hypothesis: its p is that of Simes (1986) over all of its
/// non-empty cells, controls are judged by Benjamini and Hochberg, and the cells of those that were found at the level
/// that is left for them (Benjamini and Bogomolov 2014).
fn discover(
    index: &Index<'_>,
    options: &Options,
    today: i32,
    mut tests: Vec<Test>,
    looked_at: &[usize],
) -> Found {
    tests.sort_by(|x, y| {
        x.control
            .cmp(&y.control)
            .then(y.score.total_cmp(&x.score))
            .then(arity(x.key).cmp(&arity(y.key)))
            .then(x.key.cmp(&y.key))
            .then(x.weeks.cmp(&y.weeks))
    });
    let asked_for = looked_at.iter().filter(|n| **n > 0).count();
    let mut found = Found {
        looked_at: looked_at.iter().sum(),
        controls: asked_for,
        ..Found::default()
    };
    let cells_of = |control: usize| looked_at.get(control).copied().unwrap_or(0);
    let families: Vec<(f64, Vec<f64>)> = tests
        .chunk_by(|x, y| x.control == y.control)
        .map(|family| {
            let p: Vec<f64> = family.iter().map(|t| t.p).collect();
            let of = family.first().map_or(0, |t| cells_of(t.control));
            let within = stats::adjusted(&p, of);
            (within.iter().copied().fold(1.0, f64::min), within)
        })
        .collect();
    let simes: Vec<f64> = families.iter().map(|(p, _)| *p).collect();
    let across = stats::adjusted(&simes, asked_for);
    let selected = across.iter().filter(|q| **q <= options.q).count();
    found.level = options.q * selected.max(1) as f64 / asked_for.max(1) as f64;
    let of_controls = tests.chunk_by_mut(|x, y| x.control == y.control);
    for ((family, (_, within)), q) in of_controls.zip(&families).zip(across) {
        if q > options.q {
            continue;
        }
        for (test, within) in family.iter_mut().zip(within) {
            // The cell's own p, adjusted for the cells of its control and for the controls.
            test.q = (within / found.level * options.q).max(q).min(1.0);
        }
        let mut kept: Vec<(&Test, Vec<usize>)> = Vec::new();
        for test in family.iter().filter(|t| t.q <= options.q) {
            let members = members(index, test, today);
            let overlaps = kept
                .iter()
                .any(|(_, theirs)| overlap(&members, theirs) >= options.overlap);
            if !overlaps {
                kept.push((test, members));
            }
        }
        for (test, _) in kept {
            let other = family.iter().find(|t| t.key != test.key);
            found.runners_up.push(other.map(|t| t.key));
            found.hits.push(test.clone());
        }
    }
    found
}

fn members(index: &Index<'_>, test: &Test, today: i32) -> Vec<usize> {
    let rows = index
        .controls
        .get(test.control)
        .map_or(&[][..], |c| c.between(today - days(test.weeks), today));
    let mut asks: Vec<usize> = rows
        .iter()
        .filter(|r| r.counts(today) && r.matches(test.key))
        .map(|r| r.ask)
        .collect();
    asks.sort_unstable();
    asks
}

/// What two sorted sets share, as a share of the smaller one.
fn overlap(left: &[usize], right: &[usize]) -> f64 {
    let both = left.iter().filter(|x| right.binary_search(x).is_ok());
    both.count() as f64 / left.len().min(right.len()).max(1) as f64
}

/// The gates of a cell and what is left of it without one cause.
pub(crate) fn gates(
    index: &Index<'_>,
    options: &Options,
    today: i32,
    (control, key, weeks): (usize, Key, u32),
) -> (Vec<Gate>, Leftover) {
    let rows = index
        .controls
        .get(control)
        .map_or(&[][..], |c| c.between(today - days(weeks), today));
    let (mut counted, mut denied) = window(rows, today);
    counted.retain(|r| r.matches(key));
    denied.retain(|r| r.matches(key));
    let case = Case {
        counted: &counted,
        denied: &denied,
        today,
        weeks,
        effective: index.controls.get(control).and_then(|c| c.effective(today)),
    };
    (
        case.gates(options).to_vec(),
        Leftover::of(&counted, options),
    )
}
