//! How long exceptions last.

use std::collections::BTreeSet;

use chrono::NaiveDate;

use super::life::Life;
use crate::report::trend::model::{Age, Band, Known};

/// Days that are read beside those on which one ended.
const ROUND: &[i64] = &[0, 30, 90, 180, 365];

/// Nothing is told of what lasts longer.
const LONGEST: i64 = 365;

/// More days than these on which one ended are read at the end of their weeks.
const MOST: usize = 16;

/// Fewer than these at risk say nothing about how long exceptions last.
const FEW_AT_RISK: u64 = 5;

/// How long exceptions last (Kaplan and Meier 1958): read at every day on which one ended, because that is where the curve
/// steps.
pub(super) fn ages(lives: &[&Life], to: NaiveDate) -> Vec<Age> {
    let known: Vec<(i64, bool)> = lives.iter().filter_map(|l| l.age(to)).collect();
    let Some(longest) = known.iter().map(|(days, _)| *days).max() else {
        return Vec::new();
    };
    let over = known.iter().filter(|(_, over)| *over);
    let ends: BTreeSet<i64> = over.map(|(d, _)| *d).filter(|d| *d > 0).collect();
    let told = ends.iter().copied().filter(|d| *d <= LONGEST);
    let told: Vec<i64> = told.collect();
    let week = |day: &i64| {
        if told.len() > MOST {
            (day + 6) / 7 * 7
        } else {
            *day
        }
    };
    let mut read: BTreeSet<i64> = told.iter().map(week).collect();
    let round = ROUND.iter().filter(|d| **d <= longest.min(LONGEST));
    read.extend(round.copied());
    read.into_iter()
        .map(|day| age(&known, &ends, day))
        .collect()
}

fn age(known: &[(i64, bool)], ends: &BTreeSet<i64>, until: i64) -> Age {
    let at_risk = |day: i64| known.iter().filter(|(d, _)| *d >= day).count() as f64;
    let (mut alive, mut sum, mut of) = (1.0_f64, 0.0_f64, at_risk(until.max(1)));
    for day in ends.range(..=until) {
        let n = at_risk(*day);
        let gone = known.iter().filter(|(d, over)| *over && d == day).count() as f64;
        alive *= 1.0 - gone / n;
        of = n;
        if n > gone {
            sum += gone / (n * (n - gone));
        }
    }
    let left = known.iter().filter(|(d, _)| *d >= until).count() as u64;
    let (low, high) = band(alive, sum, of);
    Age {
        days: u64::try_from(until).unwrap_or_default(),
        at_risk: left,
        active: if left < FEW_AT_RISK {
            Known::unknown("fewer than five were in force for so long")
        } else if until == 0 {
            Known::Value(Band {
                mid: 100.0,
                low: 100.0,
                high: 100.0,
            })
        } else {
            Known::Value(Band {
                mid: 100.0 * alive,
                low: 100.0 * low,
                high: 100.0 * high,
            })
        },
    }
}

/// The 95 % band by the logarithm of the hazard, which never leaves 0 to 1 (Kalbfleisch and Prentice 1980), over the
/// variance of Greenwood (1926). Where all or none are left that has no width; the exact bound of so many has
/// (Clopper and Pearson 1934).
fn band(alive: f64, sum: f64, of: f64) -> (f64, f64) {
    let bound = 0.025_f64.powf(1.0 / of.max(1.0));
    if alive >= 1.0 {
        return (bound, 1.0);
    }
    if alive <= 0.0 {
        return (0.0, 1.0 - bound);
    }
    let wide = 1.96 * sum.sqrt() / alive.ln().abs();
    (alive.powf(wide.exp()), alive.powf((-wide).exp()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::trend::gather::register::tests::{day, life};

    fn near(left: f64, right: f64) {
        assert!((left - right).abs() < 1e-4, "{left} is not {right}");
    }

    #[test]
    fn survival_is_that_of_kaplan_and_meier() {
        // Over after 10, 20 and 20 days; five still in force after 30.
        let mut lives = vec![
            life("a", 0, Some(10)),
            life("b", 0, Some(20)),
            life("c", 0, Some(20)),
        ];
        lives.extend((0..5).map(|n| life(&format!("d{n}"), 0, None)));
        let lives: Vec<&Life> = lives.iter().collect();
        let ages = ages(&lives, day(30));
        let days: Vec<u64> = ages.iter().map(|a| a.days).collect();
        assert_eq!(days, [0, 10, 20, 30], "the days on which the curve steps");
        let at = |days: u64| ages.iter().find(|a| a.days == days).unwrap();
        assert_eq!((at(10).at_risk, at(20).at_risk, at(30).at_risk), (8, 7, 5));
        near(at(10).active.value().unwrap().mid, 87.5);
        let last = at(30).active.value().unwrap();
        near(last.mid, 62.5);
        // By hand: Greenwood 1/(8*7) + 2/(7*5) = 0.075, over ln 0.625 squared.
        near(last.low, 22.932_6);
        near(last.high, 86.070_1);
    }

    #[test]
    fn a_band_has_width_where_all_are_left_and_nothing_is_told_of_few() {
        let (low, high) = band(1.0, 0.0, 10.0);
        near(low, 0.691_503);
        near(high, 1.0);
        let (low, high) = band(0.0, 1.0, 10.0);
        near(low, 0.0);
        near(high, 0.308_497);
        let few: Vec<Life> = (0..4).map(|n| life(&format!("{n}"), 0, None)).collect();
        let few: Vec<&Life> = few.iter().collect();
        assert!(
            ages(&few, day(90))
                .iter()
                .all(|a| a.active.value().is_none())
        );
    }
}
