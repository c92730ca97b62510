//! The report as a whole: counts, comparisons, places, and how good the data is.

use std::collections::{BTreeMap, BTreeSet};

use chrono::Days;

use super::{
    Ground, One, Team, earlier,
    life::Life,
    made, period,
    policy::{self, checks, comparisons},
    register::register,
    signals,
    then::Then,
};
use crate::{
    model::exception::Level,
    notify::text::counted,
    report::trend::model::{
        Amount, Counts, Effect, Known, Place, Power, Probability, Quality, Share, Trend,
        UnknownShare,
    },
    review,
    signal::{Decided, calibrate::Uncalibrated, pattern::Learned, stats::caught},
};

/// All of it.
pub(super) fn trend(ground: &Ground<'_>) -> Trend {
    let read = ground.read;
    let asks: Vec<&One<'_>> = ground.asks.iter().collect();
    let lives: Vec<&Life> = ground.lives.iter().collect();
    let mut effects: Vec<Effect> = ground
        .signals
        .iter()
        .filter_map(|s| signals::effect(ground, s))
        .filter(|e| e.on <= ground.to && e.on + Days::new(366) >= ground.to)
        .collect();
    effects.sort_by_key(|e| std::cmp::Reverse(e.on));
    Trend {
        organisation: read.organisation.clone(),
        made: made(read),
        period: period(ground),
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
        register: register(&lives, &ground.gaps, (read.asked.from, ground.to)),
        effects,
        regions: places(ground, |t| t.region.as_deref()),
        departments: places(ground, |t| t.department.as_deref()),
        quality: quality(ground),
    }
}

fn counts(ground: &Ground<'_>) -> Counts {
    let read = ground.read;
    let within = (read.asked.from, ground.to);
    let year = ground.to - Days::new(365);
    let judged: Vec<_> = ground
        .signals
        .iter()
        .filter_map(|s| review::judged(s.signal))
        .filter(|j| j.on > year && j.on <= ground.to)
        .collect();
    let useless = judged.iter().filter(|j| !j.useful).count();
    let count = |n: usize| n as u64;
    let all = || ground.signals.iter();
    let is_open = |s: &&Then<'_>| s.state.is_open();
    let power = ground.detected.learned.iter().find_map(|l| match l {
        Learned::Power { asks, mu, .. } => Some(caught(u64::from(*asks), *mu)),
        _ => None,
    });
    Counts {
        opened: count(all().map(|s| s.raised(within)).sum()),
        closed: count(
            all()
                .map(|s| s.became(&["closed", "dismissed"], within))
                .sum(),
        ),
        open: count(all().filter(is_open).count()),
        overdue: count(all().filter(|s| s.is_overdue(ground.to)).count()),
        concluded: count(
            all()
                .filter(|s| !s.state.is_open() && !s.state.is_over())
                .count(),
        ),
        not_useful: Share::new(count(useless), count(judged.len())),
        false_alarms_per_quarter: match &read.calibration {
            Some(_) if read.is_over() => {
                Known::unknown("the simulation that is kept is of a later register")
            }
            Some(c) => match c.unknown {
                None => Known::Value(Amount(c.false_alarms_per_quarter)),
                Some(Uncalibrated::TooLittleHistory) => {
                    Known::unknown("there was too little history to simulate it")
                }
            },
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

/// By region or by department. Teams of which it is not known have a row of their own, so that rows add up; nothing where
/// none is known.
fn places(ground: &Ground<'_>, of: impl Fn(&Team) -> Option<&str>) -> Vec<Place> {
    let read = ground.read;
    let mut by: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for team in &read.teams {
        if let Some(place) = of(team) {
            by.entry(place).or_default().insert(&team.id);
        }
    }
    if by.is_empty() {
        return Vec::new();
    }
    let known: BTreeSet<&str> = by.values().flatten().copied().collect();
    // Those without a place, and those that the directory does not know any more.
    let listed = read.teams.iter().map(|t| t.id.as_str());
    let asked = ground.asks.iter().map(|o| o.team);
    let held = ground.lives.iter().map(|l| l.team.as_str());
    let rest: BTreeSet<&str> = listed
        .chain(asked)
        .chain(held)
        .filter(|t| !known.contains(t))
        .collect();
    let mut all: Vec<Place> = by
        .iter()
        .map(|(name, teams)| place(ground, name, teams))
        .collect();
    let unplaced = place(ground, "not known", &rest);
    if unplaced.asks > 0 || unplaced.approved.of > 0 || unplaced.active > 0 {
        all.push(unplaced);
    }
    all
}

fn place(ground: &Ground<'_>, name: &str, teams: &BTreeSet<&str>) -> Place {
    let read = ground.read;
    let asked = &read.asked;
    let here = |team: &str| teams.contains(team);
    let asks: Vec<&One<'_>> = ground
        .between(asked.from, ground.to)
        .filter(|o| here(o.team))
        .collect();
    let who: BTreeSet<&str> = asks.iter().map(|o| o.team).collect();
    let before = earlier(asked, 3, ground.to).filter(|(from, _)| *from >= read.history.since);
    let lives = || ground.lives.iter().filter(|l| here(&l.team));
    let decided: Vec<bool> = lives()
        .filter_map(|l| l.decided)
        .filter(|(on, _)| *on >= asked.from && *on <= ground.to)
        .map(|(_, yes)| yes)
        .collect();
    let active: Vec<&Life> = lives().filter(|l| l.is_active(ground.to)).collect();
    let rated = active.iter().filter_map(|l| l.residual);
    let (mut high, mut all) = (0, 0);
    for level in rated {
        all += 1;
        high += u64::from(level == Level::High);
    }
    let named = teams.iter().filter(|t| !t.is_empty()).count();
    Place {
        name: name.to_owned(),
        teams: Share::new(who.len() as u64, named as u64),
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
    let decided = |o: &&One<'_>| matches!(o.outcome, Decided::Approved | Decided::Denied);
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
        notes: notes(ground),
    }
}

fn notes(ground: &Ground<'_>) -> Vec<String> {
    let mut all: Vec<String> = ground.detected.learned.iter().filter_map(note).collect();
    let endless = ground.lives.iter().filter(|l| !l.has_end);
    let endless = endless
        .filter(|l| l.decided.is_some_and(|(_, yes)| yes))
        .count();
    if endless > 0 {
        all.push(format!(
            "Of {} of an older register nobody wrote down an end: whether they stand is not known, and they are in no stock.",
            counted(endless as u64, "approved request")
        ));
    }
    if ground.read.is_over() {
        all.push(
            "What is not kept day by day is of today: teams with their departments and regions, names that changed, exception budgets, \
             and to which policy a control belongs."
                .to_owned(),
        );
    }
    all
}

/// What could not be known, in a sentence; what the tables say already is left out.
fn note(learned: &Learned) -> Option<String> {
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    Some(match learned {
        Learned::NoAsks => "Nobody asked for anything.".to_owned(),
        Learned::TooLittleHistory { weeks, needed } => format!(
            "The register was {} old, and a comparison with the past needs {needed}: until then only renewals and the plain rule of \
             teams in a quarter are looked at.",
            counted(u64::from(*weeks), "week")
        ),
        Learned::TooFewTeams { teams, needed } => {
            let teams = counted(u64::from(*teams), "team");
            format!("A pattern among teams needs {needed} of them; the organisation has {teams}.")
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
            "Of {} with a budget it is not known which teams are in scope; the share was taken of the whole organisation.",
            counted(u64::from(*controls), "control")
        ),
        Learned::ControlsTooYoung { controls } => format!(
            "Too young for a comparison with their past: {}.",
            controls.join(", ")
        ),
        Learned::AttributesMissing { .. } | Learned::Power { .. } => return None,
    })
}
