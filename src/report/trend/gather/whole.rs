//! The report as a whole: counts, comparisons, places, and how good the data is.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Days, NaiveDate};

use super::{
    Ground, One, Team, earlier,
    life::Life,
    period,
    policy::{self, checks, comparisons},
    register::register,
    signals,
};
use crate::{
    model::exception::Level,
    report::trend::model::{
        Amount, Counts, Effect, Known, Place, Power, Probability, Quality, Share, Trend,
        UnknownShare,
    },
    review,
    signal::{Decided, lifecycle::State, pattern::Learned, stats::caught},
};

/// All of it.
pub(super) fn trend(ground: &Ground<'_>) -> Trend {
    let read = ground.read;
    let asks: Vec<&One<'_>> = ground.asks.iter().collect();
    let lives: Vec<&Life> = ground.lives.iter().collect();
    let mut effects: Vec<Effect> = read
        .signals
        .iter()
        .filter_map(|s| signals::effect(ground, s))
        .filter(|e| e.on + Days::new(366) >= ground.to)
        .collect();
    effects.sort_by_key(|e| std::cmp::Reverse(e.on));
    Trend {
        organisation: read.organisation.clone(),
        period: period(ground),
        link: None,
        counts: counts(ground),
        comparisons: comparisons(ground, &asks, &lives),
        signals: signals::open(ground),
        watch: signals::watch(ground),
        turned_away: signals::turned_away(ground),
        policies: read
            .policies
            .iter()
            .filter_map(|p| policy::policy(ground, p))
            .collect(),
        register: register(&lives, &ground.gaps, ground.to),
        effects,
        regions: places(ground, |t| t.region.as_deref()),
        departments: places(ground, |t| t.department.as_deref()),
        quality: quality(ground),
    }
}

fn counts(ground: &Ground<'_>) -> Counts {
    let read = ground.read;
    let within = |day: NaiveDate| day >= read.asked.from && day <= read.asked.to;
    let year = ground.to - Days::new(365);
    let judged: Vec<_> = read
        .signals
        .iter()
        .filter_map(review::judged)
        .filter(|j| j.on > year && j.on <= ground.to)
        .collect();
    let useless = judged.iter().filter(|j| !j.useful).count();
    let closed = |state: State| match state {
        State::Closed { on, .. } | State::Dismissed { on, .. } => within(on),
        _ => false,
    };
    let count = |n: usize| n as u64;
    let all = || read.signals.iter();
    let power = ground.detected.learned.iter().find_map(|l| match l {
        Learned::Power { asks, mu, .. } => Some(caught(u64::from(*asks), *mu)),
        _ => None,
    });
    Counts {
        opened: count(all().filter(|s| within(s.opened_at.date_naive())).count()),
        closed: count(all().filter(|s| closed(s.raised.state)).count()),
        open: count(all().filter(|s| !s.is_over()).count()),
        not_useful: Share::new(count(useless), count(judged.len())),
        false_alarms_per_quarter: match &read.calibration {
            Some(c) if c.unknown.is_none() => Known::Value(Amount(c.false_alarms_per_quarter)),
            Some(_) => Known::unknown("there is too little history to simulate it"),
            None => Known::unknown("it was not simulated yet: tripline signals calibrate"),
        },
        power: power.map_or_else(
            || Known::unknown("there is too little history"),
            |(more_teams, probability)| {
                Known::Value(Power {
                    more_teams,
                    probability: Probability(probability),
                })
            },
        ),
    }
}

/// By region or by department, for those that are known.
fn places(ground: &Ground<'_>, of: impl Fn(&Team) -> Option<&str>) -> Vec<Place> {
    let read = ground.read;
    let mut by: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for team in &read.teams {
        if let Some(place) = of(team) {
            by.entry(place).or_default().insert(&team.id);
        }
    }
    let asked = &read.asked;
    by.into_iter()
        .map(|(name, teams)| {
            let here = |team: &str| teams.contains(team);
            let asks: Vec<&One<'_>> = ground
                .between(asked.from, ground.to)
                .filter(|o| here(o.team))
                .collect();
            let who: BTreeSet<&str> = asks.iter().map(|o| o.team).collect();
            let before = earlier(asked, 3).filter(|(from, _)| *from >= read.history.since);
            let lives = || ground.lives.iter().filter(|l| here(&l.team));
            let decided: Vec<bool> = lives()
                .filter_map(|l| l.decided)
                .filter(|(on, _)| *on >= asked.from && *on <= asked.to)
                .map(|(_, yes)| yes)
                .collect();
            let active: Vec<&Life> = lives().filter(|l| l.is_active(ground.to)).collect();
            let rated = active.iter().filter_map(|l| l.residual);
            let (mut high, mut all) = (0, 0);
            for level in rated {
                all += 1;
                high += u64::from(level == Level::High);
            }
            Place {
                name: name.to_owned(),
                teams: Share::new(who.len() as u64, teams.len() as u64),
                asks: asks.len() as u64,
                asks_before: before.map_or_else(
                    || Known::unknown("the register does not reach so far back"),
                    |(from, to)| {
                        let then = ground.between(from, to).filter(|o| here(o.team));
                        Known::Value(then.count() as u64)
                    },
                ),
                approved: Share::new(
                    decided.iter().filter(|yes| **yes).count() as u64,
                    decided.len() as u64,
                ),
                active: active.len() as u64,
                high_risk: Share::new(high, all),
            }
        })
        .collect()
}

fn quality(ground: &Ground<'_>) -> Quality {
    let read = ground.read;
    let asks = &ground.asks;
    let of = asks.len() as u64;
    let count = |which: &dyn Fn(&&One<'_>) -> bool| asks.iter().filter(which).count() as u64;
    let watched = &read.history.controls;
    let asked: BTreeSet<&str> = asks.iter().map(|o| o.control).collect();
    let with_teams = watched
        .iter()
        .filter(|w| asked.contains(w.control.as_str()) && w.teams.is_some());
    let evidence: Vec<bool> = ground.lives.iter().filter_map(|l| l.has_evidence).collect();
    let (_, checked) = checks(ground, |_| true);
    let attributes = ground.index.attributes.iter();
    let decided = |o: &&One<'_>| matches!(o.ask.outcome, Decided::Approved | Decided::Denied);
    Quality {
        with_reason: Share::new(count(&|o| o.ask.attributes.contains_key("reason")), of),
        with_outcome: Share::new(count(&decided), of),
        with_teams: Share::new(with_teams.count() as u64, asked.len() as u64),
        with_evidence: Share::new(
            evidence.iter().filter(|has| **has).count() as u64,
            evidence.len() as u64,
        ),
        checked,
        unknown: attributes
            .map(|name| UnknownShare {
                attribute: (*name).to_owned(),
                unknown: Share::new(count(&|o| !o.ask.attributes.contains_key(*name)), of),
            })
            .collect(),
        weeks: u64::try_from((ground.to - read.history.since).num_weeks()).unwrap_or(0),
        weeks_needed: u64::from(read.options.least_weeks()),
        notes: ground.detected.learned.iter().filter_map(note).collect(),
    }
}

/// What could not be known, in a sentence; what the tables say already is left out.
fn note(learned: &Learned) -> Option<String> {
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    Some(match learned {
        Learned::NoAsks => "Nobody asked for anything.".to_owned(),
        Learned::TooLittleHistory { weeks, needed } => format!(
            "The register is {weeks} weeks old, and a comparison with the past needs {needed}: until then only renewals and the plain rule of \
             teams in a quarter are looked at."
        ),
        Learned::TooFewTeams { teams, needed } => {
            format!("There are {teams} teams, and a pattern among teams needs {needed}.")
        }
        Learned::OutcomesMissing { share } => format!(
            "Of {} of the requests nobody wrote down how they were decided: only what lasts for half a year is raised.",
            percent(*share)
        ),
        Learned::DepartmentsMissing { share } => format!(
            "Of {} of the requests the department is not known.",
            percent(*share)
        ),
        Learned::BudgetsUndeclared { controls } => {
            let names: Vec<&str> = controls.iter().map(|c| c.control.as_str()).collect();
            format!(
                "No exception budget is declared for {}: a misfit that was always there cannot be told from what was meant.",
                names.join(", ")
            )
        }
        Learned::ScopeNotDeclared { controls } => format!(
            "Of {controls} controls with a budget it is not known which teams are in scope; the share was taken of the whole organisation."
        ),
        Learned::ControlsTooYoung { controls } => format!(
            "Too young for a comparison with their past: {}.",
            controls.join(", ")
        ),
        Learned::AttributesMissing { .. } | Learned::Power { .. } => return None,
    })
}
