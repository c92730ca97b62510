//! One policy: what was asked around it over time, its budgets, what the asks share and what stands in the way of teams.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Days, NaiveDate};

use super::{
    Ground, One, earlier,
    life::{Life, last_day, quarter, quarter_name},
    register::register,
    signals::words,
};
use crate::{
    model::policy::Policy,
    report::trend::model::{
        Band, Barrier, BarrierKind, BudgetRow, Comparison, Condition, Descriptor, HeatRow,
        Interval, Known, Mark, MarkKind, Measure, PolicyTrend, Proportion, Ratio, Reason, Share,
        Week,
    },
    review::monday,
    signal::{
        Decided, Kind,
        pattern::Because,
        stats::{expected_band, rate_ratio, share_interval},
    },
};

/// How many weeks are drawn.
const WEEKS: u64 = 52;

/// How many weeks before one the expectation of it rests on, and how many of them there must be.
const BASELINE: (u64, u64) = (26, 13);

/// How many quarters the table of controls shows.
const QUARTERS: u32 = 5;

/// How many descriptions are shown.
const MOST: usize = 8;

/// A policy, when anybody asked around it or it has a budget.
pub(super) fn policy(ground: &Ground<'_>, policy: &Policy) -> Option<PolicyTrend> {
    let id = policy.id.as_str();
    let controls: Vec<&str> = ground
        .read
        .controls
        .iter()
        .filter(|(_, c)| c.policy == id)
        .map(|(name, _)| name.as_str())
        .collect();
    let asks: Vec<&One<'_>> = ground
        .asks
        .iter()
        .filter(|one| controls.contains(&one.control))
        .collect();
    let lives: Vec<&Life> = ground.lives.iter().filter(|l| l.policy == id).collect();
    let budgets: Vec<BudgetRow> = controls
        .iter()
        .filter_map(|c| budget(ground, c, &lives))
        .collect();
    let declared = budgets.iter().any(|b| b.budget.value().is_some());
    if asks.is_empty() && lives.is_empty() && !declared {
        return None;
    }
    let (passed, checked) = checks(ground, |name| controls.contains(&name));
    Some(PolicyTrend {
        id: id.to_owned(),
        title: policy.title.clone(),
        version: policy.version.to_string(),
        effective: policy.effective,
        owner: policy.owner.clone(),
        passed,
        checked,
        comparisons: comparisons(ground, &asks, &lives),
        weeks: weeks(ground, &asks),
        marks: marks(ground, policy, &asks),
        budgets,
        quarters: quarters(ground.to).into_iter().map(quarter_name).collect(),
        heat: heat(ground, &controls, &asks),
        register: register(&lives, &ground.gaps, ground.to),
        descriptors: descriptors(ground, &asks),
        reasons: reasons(ground, &asks),
        conditions: conditions(&lives, ground.to),
        barriers: barriers(ground, &controls),
    })
}

/// Passes of what was checked, and what was checked of what there is, in the last runs of some controls.
pub(super) fn checks(ground: &Ground<'_>, which: impl Fn(&str) -> bool) -> (Share, Share) {
    let (mut passed, mut checked) = (Share::new(0, 0), Share::new(0, 0));
    for (name, control) in &ground.read.controls {
        let (true, Some(counts)) = (which(name), &control.counts) else {
            continue;
        };
        let known = counts.pass + counts.fail;
        passed.part += counts.pass;
        passed.of += known;
        checked.part += known;
        checked.of += counts.population;
    }
    (passed, checked)
}

/// The period against the quarter before and the same of the year before.
pub(super) fn comparisons(
    ground: &Ground<'_>,
    asks: &[&One<'_>],
    lives: &[&Life],
) -> Vec<Comparison> {
    let asked = &ground.read.asked;
    let since = ground.read.history.since;
    let spans = [
        Some((asked.from, asked.to)),
        earlier(asked, 3),
        earlier(asked, 12),
    ];
    let over = |measure: &dyn Fn(NaiveDate, NaiveDate) -> Measure| -> [Known<Measure>; 3] {
        spans.map(|span| match span {
            // Of a time that was seen in part what was seen is told; one before the register is none.
            Some((from, to)) if from >= since || (from == asked.from && to >= since) => {
                Known::Value(measure(from, to))
            }
            _ => Known::unknown("the register does not reach so far back"),
        })
    };
    let one = |what: &str, [now, quarter_before, year_before]: [Known<Measure>; 3]| Comparison {
        what: what.to_owned(),
        now,
        quarter_before,
        year_before,
    };
    let count = |from, to| {
        let within = asks.iter().filter(|o| o.ask.day >= from && o.ask.day <= to);
        Measure::Count(within.count() as u64)
    };
    let teams = |from, to| {
        let within = asks.iter().filter(|o| o.ask.day >= from && o.ask.day <= to);
        let teams: BTreeSet<&str> = within.map(|o| o.team).collect();
        Measure::Count(teams.len() as u64)
    };
    let decided = |from, to| {
        let within = lives
            .iter()
            .filter_map(|l| l.decided)
            .filter(|(on, _)| *on >= from && *on <= to);
        let (mut yes, mut all) = (0, 0);
        for (_, approved) in within {
            all += 1;
            yes += u64::from(approved);
        }
        Measure::Share(Share::new(yes, all))
    };
    vec![
        one("independent asks", over(&count)),
        one("teams that asked", over(&teams)),
        one("approved of those decided", over(&decided)),
    ]
}

fn weeks(ground: &Ground<'_>, asks: &[&One<'_>]) -> Vec<Week> {
    let last = monday(ground.to);
    let first = (last - Days::new((WEEKS - 1) * 7)).max(monday(ground.read.history.since));
    let mut all = Vec::new();
    let mut week = first;
    while week <= last {
        let seen = |from: NaiveDate, to: NaiveDate| {
            let within = asks.iter().filter(|o| o.ask.day >= from && o.ask.day < to);
            within.count() as u64
        };
        let start = (week - Days::new(BASELINE.0 * 7)).max(ground.read.history.since);
        let before = (week - start).num_days();
        let enough = before >= i64::try_from(BASELINE.1 * 7).unwrap_or(i64::MAX);
        all.push(Week {
            from: week,
            asks: seen(week, week + Days::new(7)),
            expected: if enough {
                let blocks = before as f64 / 7.0;
                let (mid, low, high) = expected_band(seen(start, week), blocks, 0.5, 0.9);
                Known::Value(Band { mid, low, high })
            } else {
                Known::unknown("too little was seen before")
            },
        });
        week = week + Days::new(7);
    }
    all
}

fn marks(ground: &Ground<'_>, policy: &Policy, asks: &[&One<'_>]) -> Vec<Mark> {
    let from = monday(ground.to) - Days::new((WEEKS - 1) * 7);
    let within = |day: NaiveDate| day >= from && day <= ground.to;
    let mut all = Vec::new();
    if within(policy.effective) {
        all.push(Mark {
            on: policy.effective,
            kind: MarkKind::PolicyVersion,
            label: format!("v{}", policy.version),
        });
    }
    let mut incidents: BTreeMap<&str, (NaiveDate, u32)> = BTreeMap::new();
    for one in asks {
        if let Some(id) = &one.ask.incident {
            let entry = incidents.entry(id).or_insert((one.ask.day, 0));
            entry.1 += 1;
        }
    }
    // An incident of a single ask is that ask.
    let several = incidents
        .into_iter()
        .filter(|(_, (day, n))| *n > 1 && within(*day));
    all.extend(several.map(|(id, (on, _))| Mark {
        on,
        kind: MarkKind::Incident,
        label: id.to_owned(),
    }));
    for signal in &ground.read.signals {
        let on = signal.opened_at.date_naive();
        let of_policy = signal
            .provision
            .as_ref()
            .is_some_and(|p| p.policy == policy.id);
        if of_policy && within(on) {
            all.push(Mark {
                on,
                kind: MarkKind::Signal,
                label: signal.id.to_string(),
            });
        }
    }
    all.sort_by(|a, b| (a.on, &a.label).cmp(&(b.on, &b.label)));
    all
}

/// Teams that hold an exception from a control, against its budget; nothing for a control that nobody asked about and that
/// declares none.
fn budget(ground: &Ground<'_>, control: &str, lives: &[&Life]) -> Option<BudgetRow> {
    let known = ground.read.controls.get(control)?;
    // A budget speaks of a year: of teams that held an exception at some time in it.
    let year = ground.to - Days::new(WEEKS * 7);
    let held = |l: &&&Life| {
        let approved = l
            .decided
            .is_some_and(|(on, yes)| yes && on > year && on <= ground.to);
        l.control == control && (approved || l.is_active(ground.to))
    };
    let holders: BTreeSet<&str> = lives.iter().filter(held).map(|l| l.team.as_str()).collect();
    if known.budget.is_none() && holders.is_empty() {
        return None;
    }
    let watched = ground.read.history.controls.iter();
    let scope = watched
        .filter(|w| w.control == control)
        .find_map(|w| w.teams);
    // As the detector does: where it is not known who is in scope, everybody is.
    let scope = scope.or(ground.read.history.teams);
    let count = holders.len() as u64;
    let (_, checked) = checks(ground, |name| name == control);
    let share = scope.map(|of| Share::new(count.min(u64::from(of)), u64::from(of)));
    Some(BudgetRow {
        control: control.to_owned(),
        teams: share.map_or_else(
            || Known::unknown("it is not known which teams are in scope"),
            Known::Value,
        ),
        interval: share.map_or_else(
            || Known::unknown("it is not known which teams are in scope"),
            |s| {
                let prior = ground.read.options.budget_prior;
                let (low, high) = share_interval(s.part, s.of, prior, 0.9);
                Known::Value(Interval { low, high })
            },
        ),
        budget: known.budget.map_or_else(
            || Known::unknown("none is declared"),
            |b| Known::Value(Proportion(b)),
        ),
        checked,
    })
}

fn quarters(to: NaiveDate) -> Vec<NaiveDate> {
    let now = quarter(to);
    (0..QUARTERS)
        .rev()
        .filter_map(|back| now.checked_sub_months(chrono::Months::new(back * 3)))
        .collect()
}

fn heat(ground: &Ground<'_>, controls: &[&str], asks: &[&One<'_>]) -> Vec<HeatRow> {
    let quarters = quarters(ground.to);
    let since = ground.read.history.since;
    let rows = controls.iter().map(|control| HeatRow {
        control: (*control).to_owned(),
        asks: quarters
            .iter()
            .map(|first| {
                let months = first.checked_add_months(chrono::Months::new(2));
                let last = months.map_or(*first, last_day);
                if last < since {
                    return Known::unknown("before the register");
                }
                let within = |o: &&&One<'_>| {
                    o.control == *control && o.ask.day >= *first && o.ask.day <= last
                };
                Known::Value(asks.iter().filter(within).count() as u64)
            })
            .collect(),
    });
    // A control that nobody ever asked about says nothing.
    rows.filter(|row| row.asks.iter().any(|n| n.value().is_some_and(|n| *n > 0)))
        .collect()
}

/// Asks of the last year.
fn year<'a, 'r>(ground: &Ground<'_>, asks: &'a [&'a One<'r>]) -> Vec<&'a One<'r>> {
    let from = ground.to - Days::new(WEEKS * 7);
    asks.iter().copied().filter(|o| o.ask.day > from).collect()
}

fn descriptors(ground: &Ground<'_>, asks: &[&One<'_>]) -> Vec<Descriptor> {
    let recent = year(ground, asks);
    let from = ground.to - Days::new(WEEKS * 7);
    let ours: BTreeSet<&str> = recent.iter().map(|o| o.control).collect();
    let others: Vec<&One<'_>> = ground
        .between(from, ground.to)
        .filter(|o| !ours.contains(o.control))
        .collect();
    let teams: BTreeSet<&str> = recent.iter().map(|o| o.team).collect();
    let mut by: BTreeMap<(&str, &str), (u64, BTreeSet<&str>)> = BTreeMap::new();
    for one in &recent {
        for (name, value) in &one.ask.attributes {
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
                _ => Known::unknown("no ask about another policy has it"),
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

fn reasons(ground: &Ground<'_>, asks: &[&One<'_>]) -> Vec<Reason> {
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

fn conditions(lives: &[&Life], to: NaiveDate) -> Vec<Condition> {
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
fn barriers(ground: &Ground<'_>, controls: &[&str]) -> Vec<Barrier> {
    let ours = |control: &str| controls.contains(&control);
    let mut all = Vec::new();
    for p in ground.detected.patterns.iter().filter(|p| ours(&p.control)) {
        let (kind, step) = match p.kind {
            Kind::Watch => (BarrierKind::SameObstacle, "ask these teams what they need"),
            _ => (
                BarrierKind::TooRigid,
                "try a changed limit: `tripline what-if`",
            ),
        };
        all.push(Barrier {
            kind,
            control: p.control.clone(),
            sentence: p.sentence.clone(),
            teams: u64::from(p.observed.teams),
            asks: u64::from(p.observed.independent),
            step: step.to_owned(),
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
        .filter(|o| controls.contains(&o.control) && o.ask.outcome == Decided::Approved);
    for one in asks {
        if let Some(vendor) = one.ask.attributes.get("vendor") {
            let entry = by.entry((one.control, vendor)).or_default();
            entry.0 += 1;
            entry.1.insert(one.team);
        }
    }
    let told: BTreeSet<&str> = ground
        .detected
        .patterns
        .iter()
        .map(|p| p.control.as_str())
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
