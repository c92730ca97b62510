//! The budget leg: a policy that never fitted does not change, so nothing emerges. What shows it is that more teams
//! hold an exception, all year, than its owner said there would be. Only declared budgets are judged.

use super::{
    cells::{Shares, arity, cells, count, distinct, units},
    emergence::days,
    findings,
    gate::without_burst,
    index::{ALL, Index, Key, Row},
    options::Options,
    stats,
};
use crate::signal::{ask::Decided, standing::Unjudged};

/// A control whose budget is exceeded.
#[derive(Debug, Clone)]
pub(crate) struct Overspent {
    pub(crate) control: usize,
    /// What its asks have in common, against those of the other controls.
    pub(crate) key: Key,
    pub(crate) runner_up: Option<Key>,
    /// The year that was looked at: after this day.
    pub(crate) from: i32,
    /// Distinct teams with an approved exception, without the densest days.
    pub(crate) teams: u32,
    /// Teams in scope.
    pub(crate) scope: u32,
    /// The declared budget.
    pub(crate) budget: f64,
    /// The budget at today's volume of asks.
    pub(crate) allowed: f64,
    /// How much more is asked for than in the register's first year, of all other controls; at least 1.
    pub(crate) growth: f64,
    /// The chance that the share of teams is above what is allowed.
    pub(crate) posterior: f64,
}

/// The approved asks of one control in its budget's year, and when that began. Renewals are among them: the team
/// holds an exception.
pub(crate) fn year<'i>(
    index: &'i Index<'_>,
    options: &Options,
    today: i32,
    control: usize,
) -> Option<(i32, Vec<&'i Row>)> {
    let entry = index.controls.get(control)?;
    let whole = today - days(options.budget_weeks);
    let grace = |since: i32| since - 1 + days(options.grace_weeks);
    let from = entry
        .effective(today)
        .map_or(whole, |s| whole.max(grace(s)));
    let rows = entry
        .between(from, today)
        .iter()
        .filter(|r| r.outcome(today) == Decided::Approved)
        .collect();
    Some((from, rows))
}

/// Every control with a declared budget that is exceeded.
pub(crate) fn scan(
    index: &Index<'_>,
    options: &Options,
    today: i32,
    shares: &Shares,
) -> Vec<Overspent> {
    let growth = Growth::of(index, options, today);
    let judged = |control| judge(index, options, today, control, (&growth, shares));
    (0..index.controls.len()).filter_map(judged).collect()
}

fn judge(
    index: &Index<'_>,
    options: &Options,
    today: i32,
    control: usize,
    (growth, shares): (&Growth, &Shares),
) -> Option<Overspent> {
    let held = held(index, options, today, control)?;
    let spent = weighed(index, options, (control, &held), growth)?;
    let is_judged = unjudged(index, options, today, &held).is_none();
    if !is_judged || spent.posterior < options.credibility {
        return None;
    }
    let (key, runner_up) = contrast(options, control, &held.rows, shares);
    Some(Overspent {
        key,
        runner_up,
        ..spent
    })
}

/// Who holds an exception from a control in its budget's year.
pub(crate) struct Held<'i> {
    /// After this day.
    from: i32,
    /// The approved asks.
    rows: Vec<&'i Row>,
    /// Those without the densest days.
    spread: Vec<&'i Row>,
    /// Distinct teams of all of them, and teams that are covered beside them.
    pub(crate) teams: u32,
    /// The same without the densest days.
    lasting: u32,
}

/// Counts who holds one. Whoever is covered by what another team asked for holds an exception as well.
pub(crate) fn held<'i>(
    index: &'i Index<'_>,
    options: &Options,
    today: i32,
    control: usize,
) -> Option<Held<'i>> {
    let id = index.controls.get(control)?.id;
    let (from, rows) = year(index, options, today, control)?;
    let spread: Vec<&Row> = without_burst(&rows, options.burst_days).collect();
    let teams = |rows: &[&Row]| {
        let beside = findings::beside(index, id, rows);
        distinct(rows.iter().map(|r| r.team)) + count(beside.len())
    };
    Some(Held {
        teams: teams(&rows),
        lasting: teams(&spread),
        from,
        rows,
        spread,
    })
}

/// The share of teams against the declared budget, judged or not; nothing where none is declared.
pub(crate) fn weighed(
    index: &Index<'_>,
    options: &Options,
    (control, held): (usize, &Held<'_>),
    growth: &Growth,
) -> Option<Overspent> {
    let budget = index.controls.get(control)?.watched?.budget?;
    let scope = scope(index, control);
    let growth = growth.without(control);
    // A team that asks g times as often holds an exception with the chance that one of g asks would give.
    let allowed = 1.0 - (1.0 - budget.clamp(0.0, 1.0)).powf(growth);
    let teams = held.lasting;
    Some(Overspent {
        control,
        key: ALL,
        runner_up: None,
        from: held.from,
        teams,
        scope,
        budget,
        allowed,
        growth,
        posterior: stats::share_above(allowed, teams.min(scope), scope, options.budget_prior),
    })
}

/// Why a budget is not judged, however many teams hold an exception.
pub(crate) fn unjudged(
    index: &Index<'_>,
    options: &Options,
    today: i32,
    held: &Held<'_>,
) -> Option<Unjudged> {
    let seen = today - held.from.max(index.since - 1);
    let departments = distinct(held.spread.iter().filter_map(|r| r.department));
    let quarter = |r: &&Row| u32::try_from((today - r.day) / 91).unwrap_or(0);
    if count(held.rows.len()) < options.budget_min_asks {
        Some(Unjudged::FewAsks)
    } else if seen < days(options.budget_min_weeks) {
        Some(Unjudged::TooYoung)
    } else if departments != 0 && departments < options.min_departments {
        Some(Unjudged::FewDepartments)
    } else if distinct(held.spread.iter().map(quarter)) < options.budget_quarters {
        Some(Unjudged::FewQuarters)
    } else {
        None
    }
}

/// Teams in a control's scope: as declared for it, else all of the organisation, else all that ever asked for anything.
pub(crate) fn scope(index: &Index<'_>, control: usize) -> u32 {
    let declared = index.controls.get(control).and_then(|c| c.watched?.teams);
    declared
        .or(index.history.teams)
        .unwrap_or_else(|| count(index.teams.len()))
}

/// How the volume of asks grew since the register's first year, in which budgets were declared. That year begins where
/// four quarters in a row saw asks: a register that is only being taken up, or a few old asks far from all others,
/// say nothing of how much was asked for.
pub(crate) struct Growth {
    first: Vec<u32>,
    last: Vec<u32>,
}

impl Growth {
    pub(crate) fn of(index: &Index<'_>, options: &Options, today: i32) -> Self {
        let quarter = days(13);
        let quarters = (options.budget_weeks / 13).max(1);
        // Counted by quarter, as everything is: one busy team is no growth.
        let year = |start: i32| -> Vec<u32> {
            let of = |entry: &super::index::Entry<'_>| {
                (0..quarters)
                    .zip((0..).map(|n| start + n * quarter))
                    .map(|(_, from)| entry.between(from, (from + quarter).min(today)))
                    .map(|rows| units(rows.iter().filter(|r| r.counts(today)), options.cap))
                    .sum()
            };
            index.controls.iter().map(of).collect()
        };
        let length = days(quarters * 13);
        let last = (today - length).max(index.since - 1);
        let lively = |start: &i32| {
            let mut of_year = (0..quarters).zip((0..).map(|n| start + n * quarter));
            of_year.all(|(_, from)| {
                let mut all = index.controls.iter();
                all.any(|entry| !entry.between(from, (from + quarter).min(today)).is_empty())
            })
        };
        let mut starts = (0..)
            .map(|n| index.since - 1 + n * quarter)
            .take_while(|start| *start < last);
        Self {
            first: year(starts.find(lively).unwrap_or(last)),
            last: year(last),
        }
    }

    fn without(&self, control: usize) -> f64 {
        let others = |counts: &[u32]| {
            let all: u32 = counts.iter().sum();
            f64::from(all - counts.get(control).copied().unwrap_or(0))
        };
        let first = others(&self.first);
        if first < LEAST_FIRST {
            return 1.0;
        }
        ((others(&self.last) + 1.0) / (first + 1.0)).max(1.0)
    }
}

/// What the asks of one control have in common that those of other controls have not: the descriptor that covers at
/// least half of its teams with the largest likelihood ratio, and the next best. (A contrast set, Bay and Pazzani
/// 2001.)
pub(crate) fn contrast(
    options: &Options,
    control: usize,
    rows: &[&Row],
    shares: &Shares,
) -> (Key, Option<Key>) {
    let teams = f64::from(distinct(rows.iter().map(|r| r.team)));
    let each = rows.len() as f64 / teams.max(1.0);
    let mut ranked: Vec<(f64, Key)> = vec![(LEAST_CONTRAST, ALL)];
    for (key, members) in cells(rows, options.attributes) {
        let with = f64::from(distinct(members.iter().map(|r| r.team)));
        if key == ALL || with < 0.5 * teams {
            continue;
        }
        let expected = teams * (1.0 - (1.0 - shares.share(key, control).min(1.0)).powf(each));
        let penalty = options.penalty * f64::from(arity(key));
        ranked.push((stats::likelihood_ratio(with, expected) - penalty, key));
    }
    ranked.sort_by(|x, y| {
        y.0.total_cmp(&x.0)
            .then(arity(x.1).cmp(&arity(y.1)))
            .then(x.1.cmp(&y.1))
    });
    let mut ranked = ranked.into_iter().map(|(_, key)| key);
    (ranked.next().unwrap_or(ALL), ranked.next())
}

/// Fewer asks in the first year, one in two weeks, say nothing of growth.
const LEAST_FIRST: f64 = 26.0;

/// A descriptor must be better than none by this much, in nats.
const LEAST_CONTRAST: f64 = 2.0;
