//! What the asks about one policy have in common, and what stands in the way of teams.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Days, NaiveDate};

use super::{
    Ground, One,
    life::Life,
    policy::WEEKS,
    signals::{SUBJECT_KIND, to_try, words},
    then::Then,
};
use crate::{
    report::trend::model::{
        Barrier, BarrierKind, Condition, Descriptor, Known, Ratio, Reason, Share,
    },
    signal::{Decided, Kind, Pattern, lifecycle::same_family, pattern::Because, stats::rate_ratio},
};

/// How many descriptions are shown.
const MOST: usize = 8;

/// Asks of the last year.
fn year<'a, 'r>(ground: &Ground<'_>, asks: &'a [&'a One<'r>]) -> Vec<&'a One<'r>> {
    let from = ground.to - Days::new(WEEKS * 7);
    asks.iter().copied().filter(|o| o.ask.day > from).collect()
}

/// What the asks have in common more often than asks about other controls. The kind of subject is left out where it is
/// that of the control.
pub(super) fn descriptors(ground: &Ground<'_>, asks: &[&One<'_>]) -> Vec<Descriptor> {
    let recent = year(ground, asks);
    let from = ground.to - Days::new(WEEKS * 7);
    let ours: BTreeSet<&str> = recent.iter().map(|o| o.control).collect();
    let others: Vec<&One<'_>> = ground
        .between(from + Days::new(1), ground.to)
        .filter(|o| !ours.contains(o.control))
        .collect();
    let teams: BTreeSet<&str> = recent.iter().map(|o| o.team).collect();
    let mut by: BTreeMap<(&str, &str), (u64, BTreeSet<&str>)> = BTreeMap::new();
    for one in &recent {
        for (name, value) in &one.ask.attributes {
            if name == SUBJECT_KIND && is_of_control(&recent, one.control) {
                continue;
            }
            let entry = by.entry((name, value)).or_default();
            entry.0 += 1;
            entry.1.insert(one.team);
        }
    }
    let mut all: Vec<(f64, Descriptor)> = by
        .into_iter()
        .filter(|(_, (n, of))| *n >= 3 && of.len() >= 2)
        .map(|((name, value), (n, of))| {
            let has = |o: &&&One<'_>| o.ask.attributes.get(name).is_some_and(|v| v == value);
            let elsewhere = others.iter().filter(has).count() as u64;
            let ratio = rate_ratio(
                (elsewhere, others.len().max(1) as f64),
                (n, recent.len().max(1) as f64),
                0.9,
            );
            let lift = match (ratio.ratio, ratio.interval.high) {
                (Some(value), Some(high)) => Known::Value(Ratio {
                    value,
                    low: ratio.interval.low,
                    high,
                }),
                _ if others.is_empty() => Known::unknown("nobody asked about another control"),
                _ => Known::unknown("no ask about another control has it"),
            };
            let described = Descriptor {
                descriptor: format!("{name} = {value}"),
                teams: Share::new(of.len() as u64, teams.len() as u64),
                lift,
            };
            (ratio.interval.low, described)
        })
        .collect();
    all.sort_by(|(a, x), (b, y)| b.total_cmp(a).then_with(|| x.descriptor.cmp(&y.descriptor)));
    all.into_iter().take(MOST).map(|(_, d)| d).collect()
}

/// Whether all asks about a control are about one kind of subject.
fn is_of_control(asks: &[&One<'_>], control: &str) -> bool {
    let of = asks.iter().filter(|o| o.control == control);
    let kinds: BTreeSet<&String> = of
        .filter_map(|o| o.ask.attributes.get(SUBJECT_KIND))
        .collect();
    kinds.len() <= 1
}

pub(super) fn reasons(ground: &Ground<'_>, asks: &[&One<'_>]) -> Vec<Reason> {
    let recent = year(ground, asks);
    let mut by: BTreeMap<&str, u64> = BTreeMap::new();
    for one in &recent {
        if let Some(reason) = one.ask.attributes.get("reason") {
            *by.entry(reason).or_default() += 1;
        }
    }
    let of: u64 = by.values().sum();
    let mut all: Vec<(&str, u64)> = by.into_iter().collect();
    all.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let mut sum = 0;
    all.into_iter()
        .map(|(reason, n)| {
            sum += n;
            Reason {
                reason: reason.replace('_', " "),
                asks: Share::new(n, of),
                so_far: Share::new(sum, of),
            }
        })
        .collect()
}

pub(super) fn conditions(lives: &[&Life], to: NaiveDate) -> Vec<Condition> {
    let approved = || {
        lives
            .iter()
            .filter(|l| l.decided.is_some_and(|(on, yes)| yes && on <= to))
    };
    let own = || approved().filter(|l| l.route.is_some());
    let mut by: BTreeMap<&str, u64> = BTreeMap::new();
    for condition in own().flat_map(|l| &l.conditions) {
        *by.entry(condition).or_default() += 1;
    }
    let of = own().count() as u64;
    let mut all: Vec<(&str, u64)> = by.into_iter().collect();
    all.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    all.into_iter()
        .map(|(condition, n)| Condition {
            condition: condition.to_owned(),
            exceptions: Share::new(n, of),
        })
        .collect()
}

/// Where a control is too rigid, where its explanation is unclear, and where teams meet the same obstacle.
pub(super) fn barriers(ground: &Ground<'_>, controls: &[&str]) -> Vec<Barrier> {
    let ours = |control: &str| controls.contains(&control);
    // What is a signal already is told in its words, so that it has one beginning.
    let open = ground.signals.iter().filter(|s| !s.state.is_over());
    let open: Vec<&Then<'_>> = open.filter(|s| ours(&s.signal.raised.control)).collect();
    let mut all = Vec::new();
    for then in &open {
        let Some(pattern) = &then.pattern else {
            continue;
        };
        all.push(Barrier {
            kind: BarrierKind::TooRigid,
            control: pattern.control.clone(),
            sentence: then.sentence.clone(),
            teams: u64::from(pattern.observed.teams),
            asks: u64::from(pattern.observed.independent),
            step: to_try(ground, &pattern.control),
        });
    }
    let is_told = |p: &Pattern| {
        let raised = open.iter().map(|s| &s.signal.raised);
        let mut raised = raised.filter(|r| r.control == p.control);
        raised.any(|r| same_family(&r.descriptor, &p.descriptor))
    };
    let patterns = ground.detected.patterns.iter();
    for p in patterns.filter(|p| ours(&p.control) && !is_told(p)) {
        let (kind, step) = match p.kind {
            Kind::Watch => (
                BarrierKind::SameObstacle,
                "ask these teams what they need".to_owned(),
            ),
            _ => (BarrierKind::TooRigid, to_try(ground, &p.control)),
        };
        all.push(Barrier {
            kind,
            control: p.control.clone(),
            sentence: p.sentence.clone(),
            teams: u64::from(p.observed.teams),
            asks: u64::from(p.observed.independent),
            step,
        });
    }
    let denied = ground.detected.turned_away.iter();
    for one in denied.filter(|o| ours(&o.control) && o.because == Because::DeniedWave) {
        all.push(Barrier {
            kind: BarrierKind::GuidanceUnclear,
            control: one.control.clone(),
            sentence: one.sentence.clone(),
            teams: u64::from(one.observed.teams),
            asks: u64::from(one.observed.independent),
            step: format!(
                "explain what `{}` is for, and what it asks of whom",
                one.control
            ),
        });
    }
    all.extend(shared_vendor(ground, controls));
    all
}

/// Several teams that name the same vendor in approved asks of a quarter, and are no pattern.
fn shared_vendor(ground: &Ground<'_>, controls: &[&str]) -> Vec<Barrier> {
    let from = ground.read.asked.from;
    let mut by: BTreeMap<(&str, &str), (u64, BTreeSet<&str>)> = BTreeMap::new();
    let asks = ground
        .between(from, ground.to)
        .filter(|o| controls.contains(&o.control) && o.outcome == Decided::Approved);
    for one in asks {
        if let Some(vendor) = one.ask.attributes.get("vendor") {
            let entry = by.entry((one.control, vendor)).or_default();
            entry.0 += 1;
            entry.1.insert(one.team);
        }
    }
    let open = ground.signals.iter().filter(|s| !s.state.is_over());
    let patterns = ground.detected.patterns.iter();
    let told: BTreeSet<&str> = patterns
        .map(|p| p.control.as_str())
        .chain(open.map(|s| s.signal.raised.control.as_str()))
        .collect();
    by.into_iter()
        .filter(|((control, _), (_, teams))| teams.len() >= 3 && !told.contains(control))
        .map(|((control, vendor), (asks, teams))| {
            let common = words(&BTreeMap::from([("vendor".to_owned(), vendor.to_owned())]));
            Barrier {
                kind: BarrierKind::SameObstacle,
                control: control.to_owned(),
                sentence: format!(
                    "{} teams with {common} needed an exception from {control} in the period.",
                    teams.len()
                ),
                teams: teams.len() as u64,
                asks,
                step: format!("talk to {vendor} once, for all of them"),
            }
        })
        .collect()
}
