//! What a run could not know, and what its silence means.

use super::{
    ask::Decided,
    budget,
    cells::{count, distinct},
    emergence::{Volume, days},
    index::{Index, Row},
    options::Options,
    pattern::{Learned, Undeclared},
    stats,
};

/// Of one run; `looked_at` is how many cells and controls it looked at.
pub(crate) fn learned(
    index: &Index<'_>,
    options: &Options,
    today: i32,
    looked_at: (usize, usize),
) -> Vec<Learned> {
    let from = today - days(options.shares_weeks);
    let all: Vec<&Row> = index
        .controls
        .iter()
        .flat_map(|c| c.between(from, today))
        .filter(|r| !r.renewal)
        .collect();
    let mut learned = Vec::new();
    if all.is_empty() {
        learned.push(Learned::NoAsks);
    }
    history(index, options, today, &mut learned);
    teams(index, options, &mut learned);
    missing(index, &all, today, &mut learned);
    budgets(index, options, today, &mut learned);
    let typical = looked_at.0.checked_div(looked_at.1).unwrap_or(0);
    learned.extend(power(index, options, today, (typical, looked_at.1)));
    learned
}

fn history(index: &Index<'_>, options: &Options, today: i32, learned: &mut Vec<Learned>) {
    let kept = u32::try_from((today - index.since + 1).div_euclid(7)).unwrap_or(0);
    let volumes = options.windows.iter().copied();
    let volumes: Vec<Volume> = volumes
        .filter_map(|weeks| Volume::of(index, options, weeks, today))
        .collect();
    if volumes.is_empty() {
        learned.push(Learned::TooLittleHistory {
            weeks: kept,
            needed: options.least_weeks(),
        });
        return;
    }
    let too_young = |entry: &&super::index::Entry<'_>| {
        let effective = entry.effective(today);
        volumes.iter().all(|v| v.usable(today, effective) == 0)
    };
    let controls: Vec<String> = index
        .controls
        .iter()
        .filter(too_young)
        .map(|c| c.id.to_owned())
        .collect();
    if !controls.is_empty() {
        learned.push(Learned::ControlsTooYoung { controls });
    }
}

fn teams(index: &Index<'_>, options: &Options, learned: &mut Vec<Learned>) {
    let teams = index
        .history
        .teams
        .unwrap_or_else(|| count(index.teams.len()));
    if teams < options.min_teams {
        learned.push(Learned::TooFewTeams {
            teams,
            needed: options.min_teams,
        });
    }
}

fn missing(index: &Index<'_>, all: &[&Row], today: i32, learned: &mut Vec<Learned>) {
    let share = |n: usize, of: usize| stats::rounded(n as f64 / of.max(1) as f64);
    let decided = || all.iter().filter(|r| r.outcome(today) != Decided::Pending);
    let unknown = decided().filter(|r| r.outcome(today) == Decided::Unknown);
    let unknown = unknown.count();
    if unknown > 0 {
        learned.push(Learned::OutcomesMissing {
            share: share(unknown, decided().count()),
        });
    }
    let nowhere = all.iter().filter(|r| r.department.is_none()).count();
    if nowhere > 0 {
        learned.push(Learned::DepartmentsMissing {
            share: share(nowhere, all.len()),
        });
    }
    for (attribute, name) in (0..).zip(&index.attributes) {
        let has = |row: &&&Row| {
            row.items
                .iter()
                .any(|item| index.attribute_of.get(*item as usize) == Some(&attribute))
        };
        let without = all.len() - all.iter().filter(has).count();
        if without > 0 {
            learned.push(Learned::AttributesMissing {
                attribute: (*name).to_owned(),
                share: share(without, all.len()),
            });
        }
    }
}

fn budgets(index: &Index<'_>, options: &Options, today: i32, learned: &mut Vec<Learned>) {
    let mut undeclared = Vec::new();
    let mut no_scope = 0;
    for (control, entry) in index.controls.iter().enumerate() {
        let declared = entry.watched.and_then(|w| w.budget).is_some();
        if declared {
            no_scope += u32::from(entry.watched.and_then(|w| w.teams).is_none());
            continue;
        }
        let year = budget::year(index, options, today, control);
        let teams = year.map_or(0, |(_, rows)| distinct(rows.iter().map(|r| r.team)));
        undeclared.push(Undeclared {
            control: entry.id.to_owned(),
            teams,
            in_scope_teams: budget::scope(index, control),
        });
    }
    if !undeclared.is_empty() {
        learned.push(Learned::BudgetsUndeclared {
            controls: undeclared,
        });
    }
    if no_scope > 0 {
        learned.push(Learned::ScopeNotDeclared { controls: no_scope });
    }
}

/// How many asks with nothing in common would have been a signal, on a control that is asked for as often as the mean,
/// if it had been the only one of the run.
fn power(
    index: &Index<'_>,
    options: &Options,
    today: i32,
    (cells, controls): (usize, usize),
) -> Option<Learned> {
    let weeks = *options.windows.first()?;
    let volume = Volume::of(index, options, weeks, today)?;
    let mean = volume.mean()?;
    let blocks = f64::from(volume.blocks());
    let mu = mean.max(options.floor);
    let level = options.q / (controls.max(1) as f64) / (cells.max(1) as f64);
    let shape = options.prior + mu * blocks;
    let rate = options.prior / mu + blocks;
    let enough = |k: &u32| stats::surprise(u64::from(*k), shape, rate) <= level;
    let asks = (options.min_teams..=10_000).find(enough)?;
    let mu = stats::rounded(mu);
    Some(Learned::Power { asks, weeks, mu })
}
