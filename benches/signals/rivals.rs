//! Other ways to find repeated asks, written down as they are usually meant. Their numbers are those that were best
//! on the seeds that everything was tuned on.

use std::collections::{BTreeMap, BTreeSet};

use tripline::signal::{Decided, Kind, Options};

use super::{
    ours,
    score::Alarm,
    world::{Event, World},
};

fn by_control(world: &World, keep: impl Fn(&Event) -> bool) -> BTreeMap<&str, Vec<&Event>> {
    let mut of: BTreeMap<&str, Vec<&Event>> = BTreeMap::new();
    for event in world.events.iter().filter(|e| keep(e)) {
        of.entry(&event.control).or_default().push(event);
    }
    of
}

fn alarm(week: i64, control: &str) -> Alarm {
    Alarm {
        week,
        control: control.to_owned(),
        descriptor: None,
        kind: "rule",
        note: String::new(),
    }
}

fn recent<'e>(events: &[&'e Event], from: i64, to: i64) -> Vec<&'e Event> {
    let low = events.partition_point(|e| e.week() <= from);
    let high = events.partition_point(|e| e.week() <= to);
    events[low..high.max(low)].to_vec()
}

fn teams(events: &[&Event]) -> usize {
    events
        .iter()
        .map(|e| e.team.as_str())
        .collect::<BTreeSet<_>>()
        .len()
}

/// An alarm in every week in which a control's last quarter satisfies a rule.
fn each_week(
    world: &World,
    keep: impl Fn(&Event) -> bool,
    rule: impl Fn(i64, &str, &[&Event], &[&Event]) -> bool,
) -> Vec<Alarm> {
    let of = by_control(world, keep);
    let mut alarms = Vec::new();
    for (control, events) in &of {
        for week in world.meta.hist..world.meta.weeks {
            let window = recent(events, week - 13, week);
            if rule(week, control, &window, events) {
                alarms.push(alarm(week, control));
            }
        }
    }
    alarms
}

pub fn requests(world: &World, n: usize) -> Vec<Alarm> {
    each_week(world, |_| true, |_, _, window, _| window.len() >= n)
}

pub fn distinct_teams(world: &World, n: usize) -> Vec<Alarm> {
    each_week(world, |_| true, |_, _, window, _| teams(window) >= n)
}

pub fn approved_teams(world: &World, n: usize) -> Vec<Alarm> {
    let approved = |e: &Event| e.outcome == Decided::Approved;
    each_week(world, approved, |_, _, window, _| teams(window) >= n)
}

/// So many teams, and so many times as many as in the mean of the three quarters before.
pub fn ratio(world: &World, n: usize, times: f64) -> Vec<Alarm> {
    each_week(
        world,
        |_| true,
        |week, _, window, all| {
            let before = (1..=3).map(|b| teams(&recent(all, week - 13 * (b + 1), week - 13 * b)));
            let mean = before.sum::<usize>() as f64 / 3.0;
            let k = teams(window);
            k >= n && k as f64 >= times * mean.max(0.5)
        },
    )
}

/// The cumulative sum of Page (1954) for Poisson counts, against the rate of the first year.
pub fn cusum(world: &World, h: f64, times: f64, gated: bool) -> Vec<Alarm> {
    let mut groups = BTreeSet::new();
    let mut kept = BTreeSet::new();
    for event in &world.events {
        if event
            .request
            .as_ref()
            .is_none_or(|r| groups.insert(r.clone()))
        {
            kept.insert(event.id.as_str());
        }
    }
    let of = by_control(world, |e| !gated || kept.contains(e.id.as_str()));
    let mut alarms = Vec::new();
    for (control, events) in &of {
        let first = recent(events, -1, world.meta.hist - 1).len() as f64;
        let usual = ((first + 0.5) / world.meta.hist as f64).max(0.05);
        let raised = usual * times;
        let drift = (raised - usual) / (raised / usual).ln();
        let mut sum = 0.0_f64;
        for week in world.meta.hist..world.meta.weeks {
            sum = (sum + recent(events, week - 1, week).len() as f64 - drift).max(0.0);
            if sum > h {
                sum = 0.0;
                let quarter = recent(events, week - 13, week);
                if !gated || opens(world, control, week, &quarter) {
                    alarms.push(alarm(week, control));
                }
            }
        }
    }
    alarms
}

/// The same gates as the detector's, in the rival's own words.
fn opens(world: &World, control: &str, week: i64, window: &[&Event]) -> bool {
    let approved: Vec<&Event> = window
        .iter()
        .copied()
        .filter(|e| e.outcome == Decided::Approved)
        .collect();
    let most = |key: &dyn Fn(&Event) -> Option<String>| {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for name in approved.iter().filter_map(|e| key(e)) {
            *counts.entry(name).or_default() += 1;
        }
        counts.into_values().max().unwrap_or(0)
    };
    let n = approved.len() as f64;
    let departments: BTreeSet<&str> = approved.iter().map(|e| e.department.as_str()).collect();
    let effective = world
        .meta
        .controls
        .iter()
        .find(|c| c.id == control)
        .and_then(|c| c.effective_week);
    let mut densest = (0, 0..0);
    for from in 0..approved.len() {
        let to = approved.partition_point(|e| e.day < approved[from].day + 14);
        let k = teams(&approved[from..to]);
        if k > densest.0 {
            densest = (k, from..to);
        }
    }
    let rest: Vec<&Event> = approved
        .iter()
        .enumerate()
        .filter(|(at, _)| !densest.1.contains(at))
        .map(|(_, e)| *e)
        .collect();
    n >= 0.6 * window.len() as f64
        && teams(&approved) >= 4
        && departments.len() >= 3
        && most(&|e| Some(e.team.clone())) as f64 <= 0.5 * n
        && most(&|e| e.incident.clone()) as f64 <= 0.5 * n
        && teams(&rest) >= 3
        && !effective.is_some_and(|since| (0..13).contains(&(week - since)))
}

/// The gated cumulative sum beside the detector's own budget leg: the strongest rival.
pub fn gated_cusum_and_budget(world: &World, h: f64, times: f64) -> Vec<Alarm> {
    let budget = Options {
        kinds: vec![Kind::ChronicBudget],
        ..Options::default()
    };
    let mut alarms = cusum(world, h, times, true);
    alarms.extend(ours(world, &budget));
    alarms
}

/// The detector without its gates, on asks as they come.
pub fn without_gates(world: &World, q: f64) -> Vec<Alarm> {
    let mut bare = world.clone();
    for event in &mut bare.events {
        event.outcome = Decided::Approved;
        event.request = None;
    }
    for control in &mut bare.meta.controls {
        control.effective_week = None;
    }
    let open = Options {
        q,
        min_departments: 0,
        busiest_share: 1.0,
        incident_share: 1.0,
        left_teams: 0,
        robust: 1.0,
        cap: 1000,
        ..Options::default()
    };
    ours(&bare, &open)
}
