//! Two policies and a register, with a year of history.

use chrono::{Days as Step, Months};

use super::{day, known, ratio, share};
use crate::report::trend::model::{
    Age, Band, Barrier, BarrierKind, BudgetRow, Comparison, Condition, Days, Descriptor, HeatRow,
    InForce, Interval, Known, Mark, MarkKind, Measure, Month, PolicyTrend, Probability, Proportion,
    Reason, Register, RiskMonth, RouteTime, Standing, Variance, Week,
};

/// Weeks from a Monday on, the first 26 without an expectation.
fn weeks(asks: &[u64], mid: f64) -> Vec<Week> {
    let first = day(2025, 7, 7);
    asks.iter()
        .enumerate()
        .map(|(i, n)| Week {
            from: first + Step::new(7 * i as u64),
            asks: *n,
            expected: if i < 26 {
                Known::unknown("fewer than 26 weeks of history")
            } else {
                known(Band {
                    mid: mid + 0.01 * i as f64,
                    low: if mid > 1.5 { 1.0 } else { 0.0 },
                    high: (mid * 2.4 + 0.02 * i as f64).round(),
                })
            },
        })
        .collect()
}

pub(super) fn register(scale: u64) -> Register {
    let requested = [9, 7, 8, 11, 6, 9, 10, 8, 7, 12, 9, 10, 16, 18, 21];
    let expired = [3, 4, 2, 5, 6, 4, 3, 5, 4, 4, 6, 5, 5, 4, 6];
    let mut active = 22 * scale;
    let first = day(2025, 7, 1);
    let months: Vec<Month> = requested
        .iter()
        .zip(expired)
        .enumerate()
        .map(|(i, (asked, expired))| {
            let i64 = i as u64;
            let approved = (asked * 3 / 4) * scale;
            let revoked = i64 % 3 * scale / 2;
            let ended = (i64 % 2) * scale;
            active = active + approved - (expired * scale).min(active) - revoked - ended;
            Month {
                month: (first + Months::new(u32::try_from(i).unwrap()))
                    .format("%Y-%m")
                    .to_string(),
                requested: asked * scale,
                approved,
                denied: (asked / 5) * scale,
                expired: expired * scale,
                renewed: (i64 % 4) * scale,
                revoked_by_subject_change: revoked,
                ended_otherwise: ended,
                active,
            }
        })
        .collect();
    let risk = months
        .iter()
        .map(|m| {
            let high = m.active / 5;
            let unrated = m.active / 12;
            let low = m.active / 3;
            RiskMonth {
                month: m.month.clone(),
                high,
                low,
                unrated,
                moderate: m.active - high - low - unrated,
            }
        })
        .collect();
    let curve = [
        (0, 100.0, 186),
        (30, 97.1, 171),
        (60, 90.4, 152),
        (90, 74.6, 131),
        (120, 58.2, 98),
        (150, 51.5, 77),
        (180, 44.3, 61),
        (240, 30.2, 40),
        (300, 24.8, 27),
        (365, 17.6, 15),
        (420, 13.2, 9),
    ];
    let last = months.last().unwrap().active;
    let ages = curve
        .iter()
        .map(|(days, mid, at_risk)| Age {
            days: *days,
            at_risk: *at_risk,
            active: known(Band {
                mid: *mid,
                low: (mid - 2.0 - *days as f64 / 40.0_f64).clamp(0.0, *mid),
                high: (mid + 2.0 + *days as f64 / 40.0_f64).clamp(*mid, 100.0),
            }),
        })
        .chain([Age {
            days: 480,
            at_risk: 4,
            active: Known::unknown("fewer than five observed"),
        }])
        .collect();
    Register {
        on: day(2026, 9, 30),
        risk,
        ages,
        older_than_180_days: share(last * 3 / 10, last),
        renewed_twice: share(last / 9, last),
        variance: Variance {
            temporary: last * 6 / 10,
            policy_gap: last * 3 / 10,
            unclear: last - last * 6 / 10 - last * 3 / 10,
        },
        months,
        routes: vec![
            RouteTime {
                route: "auto-approve, low risk".into(),
                p50: known(Days(0.1)),
                p90: known(Days(0.6)),
                approved: share(31, 31),
            },
            RouteTime {
                route: "control owner".into(),
                p50: known(Days(2.4)),
                p90: known(Days(9.0)),
                approved: share(44, 61),
            },
            RouteTime {
                route: "risk and security, both".into(),
                p50: known(Days(6.2)),
                p90: known(Days(21.0)),
                approved: share(17, 29),
            },
            RouteTime {
                route: "risk committee".into(),
                p50: Known::unknown("fewer than five decisions"),
                p90: Known::unknown("fewer than five decisions"),
                approved: share(2, 3),
            },
        ],
    }
}

pub(super) fn compared(now: u64, before: u64, year: u64) -> Vec<Comparison> {
    let count = |n| known(Measure::Count(n));
    vec![
        Comparison {
            what: "Independent asks".into(),
            now: count(now),
            quarter_before: count(before),
            year_before: count(year),
        },
        Comparison {
            what: "Distinct teams that asked".into(),
            now: count(now * 2 / 3),
            quarter_before: count(before * 2 / 3),
            year_before: count(year * 2 / 3),
        },
        Comparison {
            what: "Approved of those decided".into(),
            now: known(Measure::Share(share(now * 3 / 4, now - now / 20))),
            quarter_before: known(Measure::Share(share(before * 3 / 4, before))),
            year_before: Known::unknown("outcomes were not recorded then"),
        },
        Comparison {
            what: "Half decided within".into(),
            now: known(Measure::Days(Days(2.4))),
            quarter_before: known(Measure::Days(Days(3.1))),
            year_before: Known::unknown("outcomes were not recorded then"),
        },
    ]
}

pub(super) fn policies() -> Vec<PolicyTrend> {
    let keys = [
        1, 0, 2, 1, 1, 0, 1, 2, 0, 1, 1, 3, 0, 1, 0, 2, 1, 0, 1, 1, 2, 0, 1, 1, 0, 2, 1, 0, 1, 2,
        1, 0, 1, 0, 2, 1, 1, 0, 1, 1, 2, 0, 1, 0, 1, 2, 1, 0, 1, 1, 0, 2, 1, 1, 0, 2, 4, 3, 5, 6,
        4, 7, 5, 6,
    ];
    let cards = [
        2, 3, 1, 2, 3, 2, 4, 1, 2, 3, 2, 2, 3, 1, 2, 4, 2, 3, 1, 2, 3, 2, 2, 3, 2, 1, 3, 2, 2, 3,
        1, 2, 4, 2, 3, 2, 1, 2, 3, 2, 3, 2, 2, 1, 8, 9, 3, 2, 2, 3, 2, 3, 1, 2, 3, 2, 2, 3, 2, 3,
        2, 3, 2, 3,
    ];
    let mark = |on, kind, label: &str| Mark {
        on,
        kind,
        label: label.into(),
    };
    let heat = |control: &str, asks: &[Option<u64>]| HeatRow {
        control: control.into(),
        asks: asks
            .iter()
            .map(|n| n.map_or_else(|| Known::unknown("no control yet"), Known::Value))
            .collect(),
    };
    let quarters: Vec<String> = ["2025Q3", "2025Q4", "2026Q1", "2026Q2", "2026Q3"]
        .map(String::from)
        .to_vec();
    vec![
        PolicyTrend {
            id: "nhi-credentials".into(),
            title: "Credentials of machines".into(),
            version: known(InForce {
                version: "4".into(),
                effective: day(2026, 3, 2),
            }),
            owner: "Ada (ada@example.test)".into(),
            passed: share(1_204, 1_263),
            checked: share(1_263, 1_402),
            comparisons: compared(42, 14, 13),
            weeks: weeks(&keys, 1.0),
            marks: vec![
                mark(day(2026, 3, 2), MarkKind::PolicyVersion, "v4"),
                mark(day(2026, 4, 13), MarkKind::Incident, "INC-201"),
                mark(day(2026, 8, 31), MarkKind::Signal, "SIG-12"),
            ],
            budgets: vec![
                BudgetRow { control: "secret-rotation-overdue".into(), teams: known(share(13, 61)), interval: known(Interval { low: 0.14, high: 0.31 }), budget: known(Proportion(0.1)), active: known(share(9, 61)), allowed: known(Proportion(0.11)), posterior: known(Probability(0.997)), standing: Standing::Above, checked: share(412, 430) },
                BudgetRow { control: "secret-owner-named".into(), teams: known(share(3, 61)), interval: known(Interval { low: 0.02, high: 0.11 }), budget: known(Proportion(0.1)), active: known(share(1, 61)), allowed: known(Proportion(0.11)), posterior: known(Probability(0.021)), standing: Standing::Within, checked: share(430, 430) },
                BudgetRow { control: "key-has-expiry".into(), teams: known(share(5, 48)), interval: known(Interval { low: 0.05, high: 0.2 }), budget: Known::unknown("none declared"), active: known(share(4, 48)), allowed: Known::unknown("none declared"), posterior: Known::unknown("there is no budget to compare with"), standing: Standing::Undeclared, checked: share(221, 270) },
                BudgetRow { control: "vendor-token-scoped".into(), teams: Known::unknown("no list of teams in scope"), interval: Known::unknown("no list of teams in scope"), budget: Known::unknown("none declared"), active: Known::unknown("no list of teams in scope"), allowed: Known::unknown("none declared"), posterior: Known::unknown("there is no budget to compare with"), standing: Standing::Undeclared, checked: share(200, 272) },
            ],
            quarters: quarters.clone(),
            heat: vec![
                heat("secret-rotation-overdue", &[Some(6), Some(7), Some(5), Some(8), Some(29)]),
                heat("secret-owner-named", &[Some(4), Some(2), Some(3), Some(1), Some(2)]),
                heat("key-has-expiry", &[Some(3), Some(4), Some(4), Some(3), Some(9)]),
                heat("vendor-token-scoped", &[None, None, Some(1), Some(2), Some(2)]),
            ],
            register: register(1),
            descriptors: vec![
                Descriptor { descriptor: "vendor=Acme and env=batch".into(), teams: share(10, 24), lift: ratio(6.1, 3.2, 10.4) },
                Descriptor { descriptor: "vendor=Acme".into(), teams: share(12, 24), lift: ratio(3.4, 2.0, 5.6) },
                Descriptor { descriptor: "region=eu-west".into(), teams: share(9, 24), lift: ratio(1.2, 0.7, 1.9) },
            ],
            reasons: vec![
                Reason { reason: "the vendor cannot do it".into(), asks: share(19, 38), so_far: share(19, 38) },
                Reason { reason: "downtime is not possible".into(), asks: share(8, 38), so_far: share(27, 38) },
                Reason { reason: "migration under way".into(), asks: share(6, 38), so_far: share(33, 38) },
                Reason { reason: "control is wrong".into(), asks: share(3, 38), so_far: share(36, 38) },
                Reason { reason: "other".into(), asks: share(2, 38), so_far: share(38, 38) },
            ],
            conditions: vec![
                Condition { condition: "alert on use from a new address".into(), exceptions: share(17, 31) },
                Condition { condition: "key readable by one service alone".into(), exceptions: share(12, 31) },
            ],
            barriers: vec![
                Barrier { kind: BarrierKind::TooRigid, control: "secret-rotation-overdue".into(), sentence: "11 of 12 asks for vendor=Acme are approved, each for less than 30 days more.".into(), teams: 10, asks: 12, step: "try the what-if of SIG-12".into() },
                Barrier { kind: BarrierKind::GuidanceUnclear, control: "key-has-expiry".into(), sentence: "6 of 9 asks are withdrawn or denied because the key already has an end date elsewhere.".into(), teams: 5, asks: 9, step: "say in the guidance where the end date is read".into() },
                Barrier { kind: BarrierKind::SameObstacle, control: "secret-rotation-overdue".into(), sentence: "7 teams write that the vendor's portal rotates once a quarter.".into(), teams: 7, asks: 7, step: "ask the vendor for rotation on demand".into() },
            ],
        },
        PolicyTrend {
            id: "model-release".into(),
            title: "Release of models".into(),
            version: known(InForce {
                version: "2".into(),
                effective: day(2025, 9, 1),
            }),
            owner: "Grace (grace@example.test)".into(),
            passed: share(318, 352),
            checked: share(352, 360),
            comparisons: compared(31, 44, 29),
            weeks: weeks(&cards, 2.3),
            marks: vec![
                mark(day(2025, 9, 1), MarkKind::PolicyVersion, "v2"),
                mark(day(2025, 11, 17), MarkKind::Signal, "SIG-9"),
                mark(day(2026, 5, 11), MarkKind::Incident, "INC-214"),
            ],
            budgets: vec![
                BudgetRow { control: "model-card-approved".into(), teams: known(share(14, 58)), interval: known(Interval { low: 0.16, high: 0.34 }), budget: known(Proportion(0.1)), active: known(share(11, 58)), allowed: known(Proportion(0.1)), posterior: known(Probability(0.999)), standing: Standing::Above, checked: share(180, 182) },
                BudgetRow { control: "evaluation-before-release".into(), teams: known(share(4, 58)), interval: known(Interval { low: 0.03, high: 0.14 }), budget: known(Proportion(0.15)), active: known(share(3, 58)), allowed: known(Proportion(0.15)), posterior: known(Probability(0.062)), standing: Standing::NotTold, checked: share(172, 178) },
            ],
            quarters,
            heat: vec![
                heat("model-card-approved", &[Some(18), Some(17), Some(19), Some(20), Some(19)]),
                heat("evaluation-before-release", &[Some(9), Some(11), Some(8), Some(24), Some(12)]),
            ],
            register: register(2),
            descriptors: vec![Descriptor { descriptor: "stage=shadow".into(), teams: share(14, 22), lift: ratio(2.4, 1.5, 3.6) }],
            reasons: vec![
                Reason { reason: "the model serves nobody yet".into(), asks: share(17, 29), so_far: share(17, 29) },
                Reason { reason: "reviewers are not available".into(), asks: share(8, 29), so_far: share(25, 29) },
                Reason { reason: "other".into(), asks: share(4, 29), so_far: share(29, 29) },
            ],
            conditions: vec![Condition { condition: "no traffic from customers".into(), exceptions: share(15, 24) }],
            barriers: vec![Barrier { kind: BarrierKind::SameObstacle, control: "model-card-approved".into(), sentence: "8 teams wait for the same two reviewers.".into(), teams: 8, asks: 8, step: "name more reviewers".into() }],
        },
    ]
}
