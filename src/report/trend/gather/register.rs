//! Stock and flow of exceptions: what came, what went, what stood, how long, at which risk, decided how fast.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use super::{
    life::{Life, Over, last_day, months},
    survival::ages,
};
use crate::{
    model::exception::Level,
    report::trend::model::{Days, Known, Month, Register, RiskMonth, RouteTime, Share, Variance},
};

/// How many months are shown.
const MONTHS: u32 = 12;

/// Of fewer decisions no quantile is told.
const FEW: usize = 5;

/// The register of some exceptions at the end of a period. `gaps` are those that belong to a pattern.
pub(super) fn register(
    lives: &[&Life],
    gaps: &BTreeSet<String>,
    (from, to): (NaiveDate, NaiveDate),
) -> Register {
    // Without any there is neither stock nor flow.
    let firsts = if lives.is_empty() {
        Vec::new()
    } else {
        months(to, MONTHS)
    };
    let active: Vec<&&Life> = lives.iter().filter(|l| l.is_active(to)).collect();
    let count = |of: usize| of as u64;
    let older = active
        .iter()
        .filter(|l| l.age(to).is_some_and(|(days, _)| days > 180));
    let twice = active.iter().filter(|l| l.renewals >= 2);
    Register {
        on: to,
        months: firsts
            .iter()
            .map(|first| month(lives, *first, to))
            .collect(),
        risk: firsts.iter().map(|first| risk(lives, *first, to)).collect(),
        ages: ages(lives, to),
        older_than_180_days: Share::new(count(older.count()), count(active.len())),
        renewed_twice: Share::new(count(twice.count()), count(active.len())),
        variance: variance(&active, gaps, to),
        routes: routes(lives, (from, to)),
    }
}

fn month(lives: &[&Life], first: NaiveDate, to: NaiveDate) -> Month {
    let last = last_day(first).min(to);
    let within = |day: NaiveDate| day >= first && day <= last;
    let count = |which: &dyn Fn(&Life) -> bool| lives.iter().filter(|l| which(l)).count() as u64;
    let ended =
        |why: Over| count(&|l: &Life| l.over.is_some_and(|(over, how)| within(over) && how == why));
    Month {
        month: first.format("%Y-%m").to_string(),
        requested: count(&|l| within(l.asked)),
        approved: count(&|l| l.decided.is_some_and(|(on, yes)| yes && within(on))),
        denied: count(&|l| l.decided.is_some_and(|(on, yes)| !yes && within(on))),
        expired: ended(Over::Expired),
        renewed: count(&|l| l.renewals > 0 && l.decided.is_some_and(|(on, yes)| yes && within(on))),
        revoked_by_subject_change: ended(Over::SubjectChanged),
        ended_otherwise: ended(Over::Otherwise),
        active: count(&|l| l.is_active(last)),
    }
}

fn risk(lives: &[&Life], first: NaiveDate, to: NaiveDate) -> RiskMonth {
    let last = last_day(first).min(to);
    let count = |level: Option<Level>| {
        let all = lives.iter().filter(|l| l.is_active(last));
        all.filter(|l| l.residual == level).count() as u64
    };
    RiskMonth {
        month: first.format("%Y-%m").to_string(),
        high: count(Some(Level::High)),
        moderate: count(Some(Level::Medium)),
        low: count(Some(Level::Low)),
        unrated: count(None),
    }
}

fn variance(active: &[&&Life], gaps: &BTreeSet<String>, to: NaiveDate) -> Variance {
    let mut all = Variance {
        temporary: 0,
        policy_gap: 0,
        unclear: 0,
    };
    for life in active {
        let old = life.age(to).is_some_and(|(days, _)| days > 365);
        let is_one_team = life.holders.len() == 1;
        if gaps.contains(&life.id) || life.renewals >= 2 || old {
            all.policy_gap += 1;
        } else if life.renewals == 0 && is_one_team && life.has_end {
            all.temporary += 1;
        } else {
            all.unclear += 1;
        }
    }
    all
}

/// Of an older register nobody wrote down who decided.
const OLDER: &str = "older register, route not known";

/// What was decided in the period, by route.
fn routes(lives: &[&Life], (from, to): (NaiveDate, NaiveDate)) -> Vec<RouteTime> {
    let mut by: BTreeMap<&str, Vec<(Option<i64>, bool)>> = BTreeMap::new();
    for life in lives {
        let Some((on, approved)) = life.decided else {
            continue;
        };
        if on >= from && on <= to {
            let route = life.route.as_deref().unwrap_or(OLDER);
            by.entry(route).or_default().push((life.took, approved));
        }
    }
    by.into_iter()
        .map(|(route, decided)| {
            let mut days: Vec<i64> = decided.iter().filter_map(|(d, _)| *d).collect();
            days.sort_unstable();
            let approved = decided.iter().filter(|(_, yes)| *yes).count();
            RouteTime {
                route: route.to_owned(),
                p50: quantile(&days, 50),
                p90: quantile(&days, 90),
                approved: Share::new(approved as u64, decided.len() as u64),
            }
        })
        .collect()
}

/// The least of sorted numbers that so many percent do not exceed.
fn quantile(days: &[i64], percent: usize) -> Known<Days> {
    if days.len() < FEW {
        return Known::unknown("fewer than five decisions with their days");
    }
    let rank = (days.len() * percent).div_ceil(100).saturating_sub(1);
    match days.get(rank) {
        Some(days) => Known::Value(Days(*days as f64)),
        None => Known::unknown("nothing was decided"),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn day(n: u64) -> NaiveDate {
        NaiveDate::default() + chrono::Days::new(n)
    }

    pub(in super::super) fn life(id: &str, from: u64, over: Option<u64>) -> Life {
        Life {
            id: id.to_owned(),
            controls: vec!["c".to_owned()],
            policy: "p".to_owned(),
            team: "t".to_owned(),
            holders: vec!["t".to_owned()],
            asked: day(from),
            decided: Some((day(from), true)),
            took: Some(0),
            suspended: Vec::new(),
            has_end: true,
            from: Some(day(from)),
            over: over.map(|n| (day(n), Over::Expired)),
            renewals: 0,
            residual: Some(Level::Low),
            route: Some("low".to_owned()),
            conditions: Vec::new(),
            has_evidence: Some(true),
        }
    }

    #[test]
    fn what_came_what_went_and_what_stands_add_up() {
        let lives = [
            life("a", 0, Some(40)),
            life("b", 5, None),
            life("c", 33, Some(58)),
        ];
        let lives: Vec<&Life> = lives.iter().collect();
        let register = register(&lives, &BTreeSet::from(["b".to_owned()]), (day(0), day(58)));
        let [.., january, february] = register.months.as_slice() else {
            panic!("{register:?}");
        };
        assert_eq!((january.requested, january.active), (2, 2));
        assert_eq!(
            (february.requested, february.expired, february.active),
            (1, 2, 1)
        );
        assert_eq!(
            (register.variance.temporary, register.variance.policy_gap),
            (0, 1),
            "what belongs to a pattern is no passing need"
        );
    }

    #[test]
    fn what_is_temporary_has_one_team_and_an_end_and_was_not_renewed() {
        let mut lives = [
            life("passing", 40, None),
            life("renewed-once", 40, None),
            life("shared", 40, None),
            life("endless", 40, None),
            life("renewed-twice", 40, None),
            life("out-of-force", 40, None),
        ];
        lives[1].renewals = 1;
        lives[2].holders.push("u".to_owned());
        lives[3].has_end = false;
        lives[4].renewals = 2;
        lives[5].suspended = vec![(day(50), None)];
        let lives: Vec<&Life> = lives.iter().collect();
        let register = register(&lives, &BTreeSet::new(), (day(0), day(58)));
        let seen = &register.variance;
        assert_eq!((seen.temporary, seen.unclear, seen.policy_gap), (1, 3, 1));
        let stock = register.months.last().unwrap().active;
        assert_eq!(stock, 5, "what is suspended covers nothing");
    }

    #[test]
    fn decisions_are_those_of_the_period_by_whoever_made_them() {
        let mut lives = [
            life("a", 10, None),
            life("b", 40, None),
            life("c", 41, None),
        ];
        lives[2].route = None;
        lives[2].decided = Some((day(45), false));
        lives[2].took = None;
        let lives: Vec<&Life> = lives.iter().collect();
        let register = register(&lives, &BTreeSet::new(), (day(31), day(58)));
        let told: Vec<(&str, Share)> = register
            .routes
            .iter()
            .map(|r| (r.route.as_str(), r.approved))
            .collect();
        assert_eq!(told, [("low", Share::new(1, 1)), (OLDER, Share::new(0, 1))]);
    }

    #[test]
    fn quantiles_are_days_that_were_seen() {
        assert_eq!(quantile(&[1, 2, 3, 4, 9], 50), Known::Value(Days(3.0)));
        assert_eq!(quantile(&[1, 2, 3, 4, 9], 90), Known::Value(Days(9.0)));
        assert!(quantile(&[1, 2, 3, 9], 50).value().is_none(), "too few");
    }
}
