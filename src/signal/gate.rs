//! What looks like a pattern and is none: one team, one incident, one burst, a wave that was denied, a control that is
//! new. Each gate says what it saw, so that a reader can follow it. Counts are capped by team wherever more asks
//! of one team could open a gate.

use serde::{Deserialize, Serialize};

use super::{
    cells::{count, distinct, units},
    index::Row,
    options::Options,
    stats::rounded,
};
use crate::signal::ask::Decided;

/// What a gate looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateName {
    /// The current version of the control is old enough.
    Rollout,
    /// Approved among the approved and denied.
    Approved,
    /// Distinct teams with an approved ask.
    Teams,
    /// Distinct departments.
    Departments,
    /// The share of the busiest team.
    BusiestTeam,
    /// The share of the largest incident or change.
    Incident,
    /// Teams that are left without the densest days.
    Burst,
    /// Where outcomes are missing: the fewest teams in any quarter of half a year. A wave that was denied ends, a
    /// need stays.
    Lasting,
}

/// Whether a gate let a cell through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It did.
    Pass,
    /// It did not.
    Fail,
    /// What it looks at is not known of any ask. It holds nothing back, and the run says so.
    NotKnown,
}

/// One gate and what it saw.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    /// Which one.
    pub name: GateName,
    /// What it saw: a count, a share 0 to 1, or weeks.
    pub value: Option<f64>,
    /// Its limit, in the same unit.
    pub limit: f64,
    /// What it said.
    pub verdict: Verdict,
}

impl Gate {
    fn at_least(name: GateName, value: f64, limit: f64) -> Self {
        Self::of(name, value, limit, value >= limit)
    }

    fn at_most(name: GateName, value: f64, limit: f64) -> Self {
        Self::of(name, value, limit, value <= limit)
    }

    fn of(name: GateName, value: f64, limit: f64, passes: bool) -> Self {
        let verdict = if passes { Verdict::Pass } else { Verdict::Fail };
        Self {
            name,
            value: Some(rounded(value)),
            limit,
            verdict,
        }
    }

    fn not_known(name: GateName, limit: f64) -> Self {
        Self {
            name,
            value: None,
            limit,
            verdict: Verdict::NotKnown,
        }
    }
}

/// The asks of one cell in one window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case<'c, 'r> {
    /// Those that count, by day.
    pub(crate) counted: &'c [&'r Row],
    /// Those that were denied.
    pub(crate) denied: &'c [&'r Row],
    /// The run's day.
    pub(crate) today: i32,
    /// Length of the window, in weeks.
    pub(crate) weeks: u32,
    /// Since when the control's version is in force, when that is known.
    pub(crate) effective: Option<i32>,
}

impl Case<'_, '_> {
    /// Whether too many of its outcomes were never written down.
    pub(crate) fn lacks_outcomes(self, options: &Options) -> bool {
        let unknown = self
            .counted
            .iter()
            .filter(|r| r.outcome(self.today) == Decided::Unknown);
        let all = self.counted.len() + self.denied.len();
        unknown.count() as f64 >= options.unknown_share * all as f64
    }

    /// Every gate, in the order in which the first failure is named.
    pub(crate) fn gates(self, options: &Options) -> [Gate; 8] {
        let counted = self.counted.iter().copied();
        let cap = options.cap;
        let all = f64::from(units(counted.clone(), cap));
        let teams = distinct(counted.clone().map(|r| r.team));
        let departments = distinct(counted.clone().filter_map(|r| r.department));
        let left = distinct(without_burst(self.counted, options.burst_days).map(|r| r.team));
        let incident = f64::from(largest_incident(self.counted, cap)) / all.max(1.0);
        [
            self.rollout(options),
            self.approved(options),
            Gate::at_least(
                GateName::Teams,
                f64::from(teams),
                f64::from(options.min_teams),
            ),
            if departments == 0 {
                Gate::not_known(GateName::Departments, f64::from(options.min_departments))
            } else {
                Gate::at_least(
                    GateName::Departments,
                    f64::from(departments),
                    f64::from(options.min_departments),
                )
            },
            Gate::at_most(
                GateName::BusiestTeam,
                busiest(self.counted, cap).map_or(0.0, |(_, share)| share),
                options.busiest_share,
            ),
            Gate::at_most(GateName::Incident, incident, options.incident_share),
            Gate::at_least(
                GateName::Burst,
                f64::from(left),
                f64::from(options.left_teams),
            ),
            self.lasting(options),
        ]
    }

    fn lasting(self, options: &Options) -> Gate {
        let limit = f64::from(options.lasting_teams);
        if !self.lacks_outcomes(options) {
            return Gate {
                verdict: Verdict::Pass,
                ..Gate::not_known(GateName::Lasting, limit)
            };
        }
        let days = i32::try_from(self.weeks.saturating_mul(7)).unwrap_or(i32::MAX);
        let quarter = |n: i32| {
            let in_it = |r: &&&Row| (self.today - r.day) * 4 / days.max(1) == n;
            distinct(self.counted.iter().filter(in_it).map(|r| r.team))
        };
        let least = if self.weeks < options.lasting_weeks {
            0
        } else {
            (0..4).map(quarter).min().unwrap_or(0)
        };
        Gate::at_least(GateName::Lasting, f64::from(least), limit)
    }

    fn rollout(self, options: &Options) -> Gate {
        let limit = f64::from(options.grace_weeks);
        self.effective.map_or_else(
            || Gate {
                verdict: Verdict::Pass,
                ..Gate::not_known(GateName::Rollout, limit)
            },
            |since| {
                let weeks = f64::from(self.today.saturating_sub(since)) / 7.0;
                Gate::at_least(GateName::Rollout, weeks.floor(), limit)
            },
        )
    }

    fn approved(self, options: &Options) -> Gate {
        let said_yes = |r: &&&Row| r.outcome(self.today) == Decided::Approved;
        let yes = self.counted.iter().filter(said_yes).copied();
        let yes = f64::from(units(yes, options.cap));
        let no = f64::from(units(self.denied.iter().copied(), options.cap));
        if yes + no == 0.0 {
            return Gate::not_known(GateName::Approved, options.approved_share);
        }
        Gate::at_least(GateName::Approved, yes / (yes + no), options.approved_share)
    }
}

/// The team with the largest share, and that share: its asks, among them and the capped asks of the others.
pub(crate) fn busiest(rows: &[&Row], cap: u32) -> Option<(u32, f64)> {
    let mut teams: Vec<u32> = rows.iter().map(|r| r.team).collect();
    teams.sort_unstable();
    let runs: Vec<(u32, u32)> = teams
        .chunk_by(|x, y| x == y)
        .filter_map(|run| Some((*run.first()?, count(run.len()))))
        .collect();
    let all: u32 = runs.iter().map(|(_, n)| (*n).min(cap)).sum();
    runs.into_iter()
        .map(|(team, n)| {
            let others = all - n.min(cap);
            (team, f64::from(n) / f64::from(n + others))
        })
        .max_by(|x, y| x.1.total_cmp(&y.1).then(y.0.cmp(&x.0)))
}

/// Units of the largest incident.
fn largest_incident(rows: &[&Row], cap: u32) -> u32 {
    incident(rows, cap).map_or(0, |(_, units)| units)
}

/// The incident with the most units, and how many.
pub(crate) fn incident(rows: &[&Row], cap: u32) -> Option<(u32, u32)> {
    let mut tagged: Vec<(u32, &Row)> = rows
        .iter()
        .filter_map(|r| Some((r.incident?, *r)))
        .collect();
    tagged.sort_by_key(|(incident, _)| *incident);
    tagged
        .chunk_by(|x, y| x.0 == y.0)
        .filter_map(|run| Some((run.first()?.0, units(run.iter().map(|(_, r)| *r), cap))))
        .max_by(|x, y| x.1.cmp(&y.1).then(y.0.cmp(&x.0)))
}

/// The asks without the run of days in which most teams asked; the first such run, when there are several.
/// `rows` is sorted by day.
pub(crate) fn without_burst<'c, 'r>(
    rows: &'c [&'r Row],
    days: u32,
) -> impl Iterator<Item = &'r Row> + use<'c, 'r> {
    let days = i32::try_from(days).unwrap_or(i32::MAX);
    let mut densest = (0, 0..0);
    let mut from = 0;
    for (to, last) in rows.iter().enumerate() {
        while rows.get(from).is_some_and(|r| last.day - r.day >= days) {
            from += 1;
        }
        let run = rows.get(from..=to).unwrap_or(&[]);
        // A run no longer than the best cannot have more teams.
        if count(run.len()) > densest.0 {
            let teams = distinct(run.iter().map(|r| r.team));
            if teams > densest.0 {
                densest = (teams, from..to + 1);
            }
        }
    }
    let range = densest.1;
    rows.iter()
        .enumerate()
        .filter(move |(at, _)| !range.contains(at))
        .map(|(_, row)| *row)
}
