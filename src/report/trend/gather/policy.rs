//! One policy: what was asked around it over time, and its budgets.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Days, NaiveDate};

use super::{
    Ground, One, earlier,
    life::{Life, last_day, quarter, quarter_name},
    register::register,
    shared,
};
use crate::{
    model::policy::Policy,
    notify::text::day,
    report::trend::model::{
        Band, BudgetRow, Comparison, HeatRow, InForce, Interval, Known, Mark, MarkKind, Measure,
        PolicyTrend, Probability, Proportion, Share, Standing, Week,
    },
    review::monday,
    signal::{
        Spending, Unjudged,
        stats::{expected_band, share_interval},
    },
};

/// How many weeks are drawn, and how long the year of a budget is.
pub(super) const WEEKS: u64 = 52;

/// How many weeks before one the expectation of it rests on, and how many of them there must be.
const BASELINE: (u64, u64) = (26, 13);

/// How many quarters the table of controls shows.
const QUARTERS: u32 = 5;

/// A policy, when anybody asked around it or it has a budget.
pub(super) fn policy(ground: &Ground<'_>, policy: &Policy) -> Option<PolicyTrend> {
    ground.seen()?;
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
    let budgets: Vec<BudgetRow> = controls.iter().filter_map(|c| budget(ground, c)).collect();
    let declared = budgets.iter().any(|b| b.budget.value().is_some());
    if asks.is_empty() && lives.is_empty() && !declared {
        return None;
    }
    let (passed, checked) = checks(ground, |name| controls.contains(&name));
    Some(PolicyTrend {
        id: id.to_owned(),
        title: policy.title.clone(),
        version: in_force(ground, policy),
        owner: policy.owner.clone(),
        passed,
        checked,
        comparisons: comparisons(ground, &asks, &lives),
        weeks: weeks(ground, &asks),
        marks: marks(ground, policy, &asks),
        budgets,
        quarters: named(ground),
        heat: heat(ground, &controls, &asks),
        register: register(&lives, &ground.gaps, (ground.read.asked.from, ground.to)),
        descriptors: shared::descriptors(ground, &asks),
        reasons: shared::reasons(ground, &asks),
        conditions: shared::conditions(&lives, ground.to),
        barriers: shared::barriers(ground, &controls),
    })
}

/// The version that was in force at the end of the period. What a file said before it was changed is not kept, so it is known
/// only of a version whose day had come by then.
fn in_force(ground: &Ground<'_>, policy: &Policy) -> Known<InForce> {
    if policy.effective > ground.to {
        return Known::Unknown(format!(
            "version {} is in force from {} on only, and what was before it is not kept",
            policy.version,
            day(policy.effective),
        ));
    }
    Known::Value(InForce {
        version: policy.version.to_string(),
        effective: policy.effective,
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
        ground.seen().map(|seen| (seen.from, seen.to)),
        earlier(asked, 3, ground.to),
        earlier(asked, 12, ground.to),
    ];
    let over = |measure: &dyn Fn(NaiveDate, NaiveDate) -> Measure| -> [Known<Measure>; 3] {
        spans.map(|span| match span {
            // What was seen in part is told of the period itself, and is nothing to compare with.
            Some((from, to)) if from >= since => Known::Value(measure(from, to)),
            Some((_, to)) if to >= since => Known::unknown("the register began in the midst of it"),
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
        one("Independent asks", over(&count)),
        one("Teams that asked", over(&teams)),
        one("Approved of those decided", over(&decided)),
    ]
}

/// Whole weeks: one that is not over by the last day would look like a quiet one.
fn weeks(ground: &Ground<'_>, asks: &[&One<'_>]) -> Vec<Week> {
    let last = monday(ground.to + Days::new(1)) - Days::new(7);
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
    for signal in ground.signals.iter().map(|s| s.signal) {
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

/// Teams that hold an exception from a control, against its budget, as the scan counts them; nothing for a control that
/// nobody holds one from and that declares none.
fn budget(ground: &Ground<'_>, control: &str) -> Option<BudgetRow> {
    let known = ground.read.controls.get(control)?;
    let standing = ground.standings.get(control)?;
    let active = ground.lives.iter().filter(|l| l.is_active(ground.to));
    let active: BTreeSet<&str> = active
        .filter(|l| l.controls.iter().any(|c| c == control))
        .flat_map(|l| l.holders.iter().map(String::as_str))
        .collect();
    if known.budget.is_none() && standing.teams == 0 && active.is_empty() {
        return None;
    }
    let (_, checked) = checks(ground, |name| name == control);
    let scope = u64::from(standing.scope);
    let share = |n: u64| Share::new(n.min(scope), scope);
    let teams = share(u64::from(standing.teams));
    let spent = standing.spent.filter(|_| known.is_known);
    let none = || {
        if known.is_known {
            Known::unknown("none is declared")
        } else {
            Known::unknown("the control was not known here by then")
        }
    };
    let (posterior, verdict) = match spent.map(|s| (s.spending, s.posterior)) {
        None => (
            Known::unknown("there is no budget to compare with"),
            Standing::Undeclared,
        ),
        Some((Spending::NotJudged(why), _)) => (Known::unknown(unjudged(why)), Standing::NotJudged),
        Some((spending, p)) => (
            Known::Value(Probability(p)),
            match spending {
                Spending::Above => Standing::Above,
                Spending::Within => Standing::Within,
                _ => Standing::NotTold,
            },
        ),
    };
    Some(BudgetRow {
        control: control.to_owned(),
        teams: Known::Value(teams),
        interval: Known::Value(interval(teams)),
        active: Known::Value(share(active.len() as u64)),
        budget: spent.map_or_else(&none, |s| Known::Value(Proportion(s.budget))),
        allowed: spent.map_or_else(&none, |s| Known::Value(Proportion(s.allowed))),
        posterior,
        standing: verdict,
        checked,
    })
}

/// Why a budget that looks spent is not judged.
const fn unjudged(why: Unjudged) -> &'static str {
    match why {
        Unjudged::FewAsks => "too few asks were approved in its year",
        Unjudged::TooYoung => "too little of its year was seen",
        Unjudged::FewDepartments => "those who asked come from too few departments",
        Unjudged::FewQuarters => "all asked within two quarters: it may be one wave",
    }
}

/// The 90 % interval of a share that was counted, by the prior of Jeffreys, so that the share lies in it.
fn interval(share: Share) -> Interval {
    let (low, high) = share_interval(share.part, share.of, (0.5, 0.5), 0.9);
    Interval {
        low: if share.part == 0 { 0.0 } else { low },
        high: if share.part == share.of { 1.0 } else { high },
    }
}

/// The names of the quarters, with what was not seen of one.
fn named(ground: &Ground<'_>) -> Vec<String> {
    let since = ground.read.history.since;
    let name = |first: NaiveDate| {
        let name = quarter_name(first);
        let last = last_of(first);
        if ground.to >= first && ground.to < last {
            format!("{name} so far")
        } else if since > first && since <= last {
            format!("{name} in part")
        } else {
            name
        }
    };
    quarters(ground.to).into_iter().map(name).collect()
}

fn last_of(first: NaiveDate) -> NaiveDate {
    let months = first.checked_add_months(chrono::Months::new(2));
    months.map_or(first, last_day)
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
                let last = last_of(*first);
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
