//! One run: every leg, every reason, in words and numbers.

use chrono::NaiveDate;

use super::{
    account,
    ask::History,
    budget::{self, Overspent},
    cells::Shares,
    emergence::{self, Expected, Found, Leftover, Test, days},
    findings,
    index::{Index, Key, Row, number},
    learned::learned,
    look_alike::turned_away,
    options::Options,
    pattern::{Baseline, Detected, Evidence, Expectation, Kind, Pattern, Rest, Robustness, Tier},
    rules,
    stats::{self, rounded},
    wording,
};

/// What a run on a day says of a history. The same for the same input, byte for byte, in whatever order the asks come.
#[must_use]
pub fn detect(history: &History, options: &Options, today: NaiveDate) -> Detected {
    run(&Index::of(history, options), options, today)
}

/// The same over an index that is already there.
#[must_use]
pub fn run(index: &Index<'_>, options: &Options, today: NaiveDate) -> Detected {
    let day = number(today);
    let shares = Shares::recent(index, options, day);
    let found = if options.takes(Kind::Emergence) {
        emergence::scan(index, options, day, &shares)
    } else {
        Found::default()
    };
    let overspent = if options.takes(Kind::ChronicBudget) {
        budget::scan(index, options, day, &shares)
    } else {
        Vec::new()
    };
    let mut patterns = Vec::new();
    for (test, runner_up) in found.hits.iter().zip(&found.runners_up) {
        patterns.push(emerging(index, options, day, (test, *runner_up), &found));
    }
    patterns.extend(overspent.iter().map(|o| chronic(index, options, day, o)));
    let raised: Vec<usize> = found
        .hits
        .iter()
        .map(|t| t.control)
        .chain(overspent.iter().map(|o| o.control))
        .collect();
    if options.takes(Kind::RenewalLoop) {
        patterns.extend(rules::renewals(index, options, day));
    }
    if options.takes(Kind::Watch) {
        // What is a signal already need not be watched as well.
        let is_raised = |p: &Pattern| {
            raised.iter().any(|control| {
                let id = index.controls.get(*control).map(|c| c.id);
                id == Some(p.control.as_str())
            })
        };
        let watched = rules::watched(index, options, day).into_iter();
        patterns.extend(watched.filter(|p| !is_raised(p)));
    }
    for pattern in &mut patterns {
        pattern.findings = findings::of(index, options, pattern);
        let defect = findings::defect(index, &pattern.control, &pattern.findings);
        pattern.likely_causes.extend(defect);
    }
    patterns.sort_by(|x, y| {
        let key = |p: &Pattern| (p.tier, p.control.clone(), p.kind, p.descriptor.clone());
        key(x).cmp(&key(y))
    });
    Detected {
        today,
        patterns,
        turned_away: if options.takes(Kind::Emergence) {
            turned_away(index, options, day, &found, &shares, &raised)
        } else {
            Vec::new()
        },
        learned: learned(index, options, day, (found.looked_at, found.controls)),
    }
}

/// An emergence, told in full.
fn emerging(
    index: &Index<'_>,
    options: &Options,
    today: i32,
    (test, runner_up): (&Test, Option<Key>),
    found: &Found,
) -> Pattern {
    let span = (today - days(test.weeks), today);
    let rows = account::rows(index, test.control, test.key, span);
    let members: Vec<&Row> = rows.into_iter().filter(|r| r.counts(today)).collect();
    let at = (test.control, test.key);
    let pattern = rules::plain(index, options, at, span, &members);
    let at = (test.control, test.key, test.weeks);
    let (gates, left) = emergence::gates(index, options, today, at);
    let baseline = today - days(test.weeks.saturating_mul(test.expected.blocks + 1));
    let shared = wording::shared(index, test.key);
    Pattern {
        kind: Kind::Emergence,
        tier: Tier::Signal,
        runner_up: runner_up.map(|key| index.described(key)),
        sentence: wording::emergence(
            &pattern.control,
            &shared,
            &pattern.observed,
            pattern.window,
            test.expected.mu,
        ),
        baseline: Some(Baseline {
            days: account::period((baseline, span.0)),
            blocks: test.expected.blocks,
        }),
        expected: Some(expectation(test)),
        evidence: Evidence {
            p: Some(rounded(test.p)),
            q: Some(rounded(test.q)),
            cells_tested: Some(found.looked_at as u64),
            controls_tested: Some(found.controls as u64),
            ..Evidence::default()
        },
        robustness: Some(robustness(left, &test.expected, test.weeks, options)),
        gates,
        ..pattern
    }
}

fn expectation(test: &Test) -> Expectation {
    let mu = test.expected.mu;
    let counts = stats::mean_interval(u64::from(test.k), 0.9);
    Expectation {
        mu: rounded(mu),
        volume_offset: rounded(test.expected.offset),
        ratio: rounded(f64::from(test.k) / mu),
        ratio_ci90: counts.over(mu),
    }
}

fn robustness(left: Leftover, expected: &Expected, weeks: u32, options: &Options) -> Robustness {
    let [burst, busiest, incident] = left.surprises(expected, weeks, options);
    let rest = |units, p| Rest {
        units,
        p: rounded(p),
    };
    Robustness {
        without_busiest_team: rest(left.busiest, busiest),
        without_densest_days: rest(left.burst, burst),
        without_largest_incident: rest(left.incident, incident),
    }
}

/// A budget that is exceeded, told in full.
fn chronic(index: &Index<'_>, options: &Options, today: i32, spent: &Overspent) -> Pattern {
    let span = (spent.from.max(index.since - 1), today);
    let members = budget::year(index, options, today, spent.control).map_or(Vec::new(), |y| y.1);
    // Of all teams that hold one; what most of them share is told apart.
    let at = (spent.control, super::index::ALL);
    let pattern = rules::plain(index, options, at, span, &members);
    let shared = wording::shared(index, spent.key);
    Pattern {
        kind: Kind::ChronicBudget,
        tier: Tier::Signal,
        descriptor: index.described(spent.key),
        runner_up: spent.runner_up.map(|key| index.described(key)),
        sentence: wording::overspent(
            &pattern.control,
            &shared,
            (spent.teams, spent.scope),
            (spent.budget, spent.allowed),
            pattern.window,
        ),
        likely_causes: account::causes(index, spent.key, &pattern.observed, &pattern.reason_mix),
        evidence: Evidence {
            posterior_over_budget: Some(rounded(spent.posterior)),
            budget: Some(spent.budget),
            budget_at_volume: Some(rounded(spent.allowed)),
            volume_growth: Some(rounded(spent.growth)),
            in_scope_teams: Some(spent.scope),
            ..Evidence::default()
        },
        ..pattern
    }
}
