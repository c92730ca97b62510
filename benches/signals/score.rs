//! The scorer: the same for every detector.

use std::collections::{BTreeMap, BTreeSet};

use super::world::World;

/// One alarm: in which run, of which control, with which description (of those that describe).
#[derive(Debug, Clone, PartialEq)]
pub struct Alarm {
    pub week: i64,
    pub control: String,
    pub descriptor: Option<BTreeMap<String, String>>,
    pub kind: &'static str,
    pub note: String,
}

/// How long a control stays quiet after an alarm, in weeks: for every detector.
const REFRACTORY: i64 = 13;
/// Found later than this many weeks is not found.
const HORIZON: i64 = 26;

/// What one detector did in one world.
#[derive(Debug, Clone, Default)]
pub struct Score {
    pub found: u32,
    pub false_alarms: u32,
    pub patterns: u32,
    pub in_time: u32,
    pub delays: Vec<f64>,
    pub asks: Vec<f64>,
    pub tripped_by: BTreeMap<String, u32>,
    pub false_kinds: BTreeMap<String, u32>,
    pub jaccard: Vec<f64>,
    pub exact: Vec<f64>,
    pub kinds: BTreeMap<String, (u32, u32)>,
    pub quarters: f64,
}

/// Keeps one alarm for each control within thirteen weeks.
pub fn thinned(mut alarms: Vec<Alarm>) -> Vec<Alarm> {
    alarms.sort_by_key(|a| a.week);
    let mut last: BTreeMap<String, i64> = BTreeMap::new();
    alarms.retain(|a| {
        let quiet = last
            .get(&a.control)
            .is_some_and(|w| a.week - w < REFRACTORY);
        if !quiet {
            last.insert(a.control.clone(), a.week);
        }
        !quiet
    });
    alarms
}

pub fn show(world: &World, alarms: Vec<Alarm>) {
    let labels: BTreeMap<&str, _> = world
        .meta
        .labels
        .iter()
        .map(|l| (l.control.as_str(), l))
        .collect();
    for a in thinned(alarms) {
        let l = labels.get(a.control.as_str());
        let ok = l.is_some_and(|l| l.real && (l.from_week..l.end_week).contains(&a.week));
        println!(
            "{} seed {} w{} {} {} {:?} {} {}",
            if ok { "TP" } else { "FP" },
            world.meta.seed,
            a.week,
            a.control,
            a.kind,
            a.descriptor,
            a.note,
            l.map_or(String::new(), |l| format!(
                "{} {} {:?}",
                l.kind, l.from_week, l.attrs
            ))
        );
    }
}

pub fn score(world: &World, alarms: Vec<Alarm>) -> Score {
    let meta = &world.meta;
    let labels: BTreeMap<&str, _> = meta
        .labels
        .iter()
        .map(|l| (l.control.as_str(), l))
        .collect();
    let mut score = Score {
        quarters: (meta.weeks - meta.hist) as f64 / 13.0,
        ..Score::default()
    };
    let mut found: BTreeMap<&str, i64> = BTreeMap::new();
    for alarm in thinned(alarms) {
        let label = labels.get(alarm.control.as_str());
        let hit = label.filter(|l| l.real && (l.from_week..l.end_week).contains(&alarm.week));
        let Some(label) = hit else {
            score.false_alarms += 1;
            let near = |l: &&&super::world::Label| {
                !l.real && (l.from_week - 1..=l.end_week + 13).contains(&alarm.week)
            };
            let why = match label {
                Some(l) if l.real => "early".to_owned(),
                l => l
                    .filter(near)
                    .map_or("background".to_owned(), |l| l.kind.clone()),
            };
            *score.tripped_by.entry(why).or_default() += 1;
            *score.false_kinds.entry(alarm.kind.to_owned()).or_default() += 1;
            continue;
        };
        if found.contains_key(label.id.as_str()) {
            continue;
        }
        found.insert(&label.id, alarm.week);
        if let Some(described) = &alarm.descriptor {
            let recent = || {
                world.events.iter().filter(|e| {
                    e.control == alarm.control
                        && (alarm.week - 26..=alarm.week).contains(&e.week())
                        && e.week() > alarm.week - 26
                })
            };
            let told: BTreeSet<&str> = recent()
                .filter(|e| {
                    described
                        .iter()
                        .all(|(k, v)| e.attributes.get(k) == Some(v))
                })
                .map(|e| e.id.as_str())
                .collect();
            let truth: BTreeSet<&str> = recent()
                .filter(|e| e.src == label.id)
                .map(|e| e.id.as_str())
                .collect();
            let both = told.intersection(&truth).count() as f64;
            score
                .jaccard
                .push(both / (told.union(&truth).count() as f64).max(1.0));
            score
                .exact
                .push(f64::from(u8::from(*described == label.attrs)));
        }
    }
    for label in meta.labels.iter().filter(|l| l.real) {
        score.patterns += 1;
        let kind = score.kinds.entry(label.kind.clone()).or_default();
        kind.1 += 1;
        let Some(week) = found.get(label.id.as_str()) else {
            continue;
        };
        score.found += 1;
        score.delays.push((week - label.from_week) as f64);
        let asks = world.events.iter().filter(|e| e.src == label.id);
        let until = asks.filter(|e| (label.from_week..=*week).contains(&e.week()));
        score.asks.push(until.count() as f64);
        if week - label.from_week <= HORIZON {
            score.in_time += 1;
            kind.0 += 1;
        }
    }
    score
}

/// All worlds together.
#[derive(Debug, Clone, Default)]
pub struct Pooled {
    pub precision: f64,
    pub recall: f64,
    pub f1: f64,
    pub delay: f64,
    pub delay_p90: f64,
    pub asks: f64,
    pub per_quarter: f64,
    pub exact: f64,
    pub jaccard: f64,
    pub kinds: BTreeMap<String, f64>,
    pub tripped_by: BTreeMap<String, u32>,
    pub false_kinds: BTreeMap<String, u32>,
}

pub fn pooled<'s>(scores: impl Iterator<Item = &'s Score> + Clone) -> Pooled {
    let sum = |of: &dyn Fn(&Score) -> u32| f64::from(scores.clone().map(of).sum::<u32>());
    let (found, wrong) = (sum(&|s| s.found), sum(&|s| s.false_alarms));
    let precision = found / (found + wrong).max(1.0);
    let recall = sum(&|s| s.in_time) / sum(&|s| s.patterns).max(1.0);
    let all = |of: &dyn Fn(&Score) -> Vec<f64>| scores.clone().flat_map(of).collect::<Vec<_>>();
    let delays = all(&|s| s.delays.clone());
    let mut kinds: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    let mut tripped_by = BTreeMap::new();
    let mut false_kinds = BTreeMap::new();
    for score in scores.clone() {
        for (kind, (hit, of)) in &score.kinds {
            let sum = kinds.entry(kind.clone()).or_default();
            *sum = (sum.0 + hit, sum.1 + of);
        }
        for (why, n) in &score.tripped_by {
            *tripped_by.entry(why.clone()).or_default() += n;
        }
        for (why, n) in &score.false_kinds {
            *false_kinds.entry(why.clone()).or_default() += n;
        }
    }
    Pooled {
        precision,
        recall,
        f1: 2.0 * precision * recall / (precision + recall).max(1e-9),
        delay: quantile(delays.clone(), 0.5),
        delay_p90: quantile(delays, 0.9),
        asks: quantile(all(&|s| s.asks.clone()), 0.5),
        per_quarter: wrong / scores.clone().map(|s| s.quarters).sum::<f64>().max(1.0),
        exact: mean(&all(&|s| s.exact.clone())),
        jaccard: mean(&all(&|s| s.jaccard.clone())),
        kinds: kinds
            .into_iter()
            .map(|(k, (hit, of))| (k, f64::from(hit) / f64::from(of)))
            .collect(),
        tripped_by,
        false_kinds,
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / (values.len() as f64).max(1.0)
}

/// Linear between the two nearest, as numpy does.
pub fn quantile(mut values: Vec<f64>, at: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = at * (values.len().saturating_sub(1)) as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place"
    )]
    let low = place.floor() as usize;
    match (values.get(low), values.get(low + 1)) {
        (Some(x), Some(y)) => x + (y - x) * place.fract(),
        (Some(x), None) => *x,
        _ => f64::NAN,
    }
}
