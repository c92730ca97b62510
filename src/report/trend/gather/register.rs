//! Stock and flow of exceptions: what came, what went, what stood, how long, at which risk, decided how fast.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use super::life::{Life, Over, last_day, months};
use crate::{
    model::exception::Level,
    report::trend::model::{
        Age, Band, Days, Known, Month, Register, RiskMonth, RouteTime, Share, Variance,
    },
};

/// How many months are shown.
const MONTHS: u32 = 12;

/// The days at which the survival curve is read.
const AGES: &[u64] = &[0, 14, 30, 45, 60, 90, 120, 180, 270, 365];

/// Fewer than these at risk say nothing about how long exceptions last.
const FEW_AT_RISK: u64 = 3;

/// The register of some exceptions at the end of a period. `gaps` are those that belong to a pattern.
pub(super) fn register(lives: &[&Life], gaps: &BTreeSet<String>, to: NaiveDate) -> Register {
    let firsts = months(to, MONTHS);
    let active: Vec<&&Life> = lives.iter().filter(|l| l.is_active(to)).collect();
    let count = |of: usize| of as u64;
    let older = active
        .iter()
        .filter(|l| l.age(to).is_some_and(|(days, _)| days > 180));
    let twice = active.iter().filter(|l| l.renewals >= 2);
    Register {
        months: firsts
            .iter()
            .map(|first| month(lives, *first, to))
            .collect(),
        risk: firsts.iter().map(|first| risk(lives, *first, to)).collect(),
        ages: ages(lives, to),
        older_than_180_days: Share::new(count(older.count()), count(active.len())),
        renewed_twice: Share::new(count(twice.count()), count(active.len())),
        variance: variance(&active, gaps, to),
        routes: routes(lives, to),
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
        // A request rates its residual risk as low, medium or high.
        critical: 0,
        high: count(Some(Level::High)),
        moderate: count(Some(Level::Medium)),
        low: count(Some(Level::Low)),
        unrated: count(None),
    }
}

/// How long exceptions last (Kaplan and Meier 1958), with the band of Greenwood (1926).
fn ages(lives: &[&Life], to: NaiveDate) -> Vec<Age> {
    let known: Vec<(i64, bool)> = lives.iter().filter_map(|l| l.age(to)).collect();
    if known.is_empty() {
        return Vec::new();
    }
    let ends: BTreeSet<i64> = known
        .iter()
        .filter(|(_, over)| *over)
        .map(|(d, _)| *d)
        .collect();
    AGES.iter()
        .map(|days| {
            let until = i64::try_from(*days).unwrap_or(i64::MAX);
            let at_risk = |day: i64| known.iter().filter(|(d, _)| *d >= day).count() as f64;
            let (mut alive, mut sum) = (1.0_f64, 0.0_f64);
            for day in ends.iter().filter(|d| **d <= until && **d > 0) {
                let n = at_risk(*day);
                let gone = known.iter().filter(|(d, over)| *over && d == day).count() as f64;
                alive *= 1.0 - gone / n;
                if n > gone {
                    sum += gone / (n * (n - gone));
                }
            }
            let left = known.iter().filter(|(d, _)| *d >= until).count() as u64;
            let wide = 1.96 * alive * sum.sqrt();
            Age {
                days: *days,
                at_risk: left,
                active: if left >= FEW_AT_RISK || (*days == 0 && left > 0) {
                    Known::Value(Band {
                        mid: 100.0 * alive,
                        low: 100.0 * (alive - wide).max(0.0),
                        high: 100.0 * (alive + wide).min(1.0),
                    })
                } else {
                    Known::unknown("too few were in force for so long")
                },
            }
        })
        .collect()
}

fn variance(active: &[&&Life], gaps: &BTreeSet<String>, to: NaiveDate) -> Variance {
    let mut all = Variance {
        temporary: 0,
        policy_gap: 0,
        unclear: 0,
    };
    for life in active {
        let old = life.age(to).is_some_and(|(days, _)| days > 365);
        if gaps.contains(&life.id) || life.renewals >= 2 || old {
            all.policy_gap += 1;
        } else if life.renewals == 0 {
            all.temporary += 1;
        } else {
            all.unclear += 1;
        }
    }
    all
}

fn routes(lives: &[&Life], to: NaiveDate) -> Vec<RouteTime> {
    let mut by: BTreeMap<&str, Vec<(i64, bool)>> = BTreeMap::new();
    for life in lives {
        let (Some((on, approved)), Some(route)) = (life.decided, life.route.as_deref()) else {
            continue;
        };
        if on <= to {
            let days = (on - life.asked).num_days();
            by.entry(route).or_default().push((days, approved));
        }
    }
    by.into_iter()
        .map(|(route, decided)| {
            let mut days: Vec<i64> = decided.iter().map(|(d, _)| *d).collect();
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
pub(super) fn quantile(days: &[i64], percent: usize) -> Known<Days> {
    let rank = (days.len() * percent).div_ceil(100).saturating_sub(1);
    match days.get(rank) {
        Some(days) => Known::Value(Days(*days as f64)),
        None => Known::unknown("nothing was decided"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(n: u64) -> NaiveDate {
        NaiveDate::default() + chrono::Days::new(n)
    }

    fn life(id: &str, from: u64, over: Option<u64>) -> Life {
        Life {
            id: id.to_owned(),
            control: "c".to_owned(),
            policy: "p".to_owned(),
            team: "t".to_owned(),
            asked: day(from),
            decided: Some((day(from), true)),
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
        let register = register(&lives, &BTreeSet::from(["b".to_owned()]), day(58));
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
    fn survival_is_that_of_kaplan_and_meier() {
        // Over after 10, 20 and 20 days; two still in force after 30.
        let lives = [
            life("a", 0, Some(10)),
            life("b", 0, Some(20)),
            life("c", 0, Some(20)),
            life("d", 0, None),
            life("e", 0, None),
        ];
        let lives: Vec<&Life> = lives.iter().collect();
        let ages = ages(&lives, day(30));
        let at = |days: u64| ages.iter().find(|a| a.days == days).unwrap();
        assert_eq!((at(14).at_risk, at(30).at_risk), (4, 2));
        let fourteen = at(14).active.value().unwrap().mid;
        assert!((fourteen - 80.0).abs() < 1e-9, "{fourteen}");
        assert!(at(30).active.value().is_none(), "too few are left to say");
    }

    #[test]
    fn quantiles_are_days_that_were_seen() {
        assert_eq!(quantile(&[1, 2, 3, 9], 50), Known::Value(Days(2.0)));
        assert_eq!(quantile(&[1, 2, 3, 9], 90), Known::Value(Days(9.0)));
        assert!(quantile(&[], 50).value().is_none());
    }
}
