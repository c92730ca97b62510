//! Three reports for the tests: a rich one, one without any history, and one of strange words and few cases.

mod policies;

use chrono::{NaiveDate, TimeZone as _, Utc};

use self::policies::{compared, policies, register};
use super::model::{
    Age, Amount, Candidate, Cause, Counts, Effect, Evidence, Gate, GateResult, Known, Made, Newly,
    Observed, Period, Place, Power, Probability, Quality, Quote, Ratio, Register, Seen, Share,
    Signal, SignalKind, SignalState, Trend, TurnedAway, UnknownShare, Variance, Watch,
};

pub(crate) fn day(y: i32, m: u32, d: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(y, m, d).unwrap()
}

fn known<T>(value: T) -> Known<T> {
    Known::Value(value)
}

fn share(part: u64, of: u64) -> Share {
    Share::new(part, of)
}

fn ratio(value: f64, low: f64, high: f64) -> Known<Ratio> {
    known(Ratio { value, low, high })
}

fn gates() -> Vec<Gate> {
    let gate = |name: &str, value: &str, limit: &str| Gate {
        name: name.into(),
        value: value.into(),
        limit: limit.into(),
        result: GateResult::Passed,
    };
    vec![
        gate("Distinct teams with an approved ask", "10", "at least 4"),
        gate("Departments", "6", "at least 3"),
        gate("Approved of those decided", "11 of 12", "at least 0.6"),
        gate(
            "Busiest team's part of approved asks",
            "2 of 11",
            "at most 0.5",
        ),
        gate("Largest incident's part", "1 of 11", "at most 0.5"),
        gate("Teams without the densest 14 days", "8", "at least 3"),
        gate(
            "Age of the control's version",
            "61 weeks",
            "at least 13 weeks",
        ),
    ]
}

fn candidates() -> Vec<Candidate> {
    let one =
        |summary: &str, cleared: u64, teams: u64, newly: Newly, weight: f64, rank: (bool, bool)| {
            Candidate {
                summary: summary.into(),
                cleared: share(cleared, 11),
                teams_cleared: share(teams, 10),
                newly_admitted: newly,
                risk_weight: Amount(weight),
                unknown: 3,
                vetoes: Vec::new(),
                on_frontier: rank.0,
                is_knee: rank.1,
            }
        };
    let newly = |critical, high, moderate, low| Newly {
        total: critical + high + moderate + low,
        critical,
        high,
        moderate,
        low,
        unrated: 0,
    };
    let mut all = vec![
        one(
            "Raise the maximum age of keys from 90 to 120 d only for vendor=Acme and env=batch",
            9,
            8,
            newly(0, 1, 1, 0),
            4.0,
            (true, true),
        ),
        one(
            "Raise it to 120 d for vendor=Acme",
            9,
            8,
            newly(0, 2, 3, 1),
            11.0,
            (false, false),
        ),
        one(
            "Raise it to 105 d only for vendor=Acme and env=batch",
            5,
            4,
            newly(0, 0, 1, 0),
            1.0,
            (true, false),
        ),
        one(
            "Raise it to 120 d for all",
            10,
            9,
            newly(1, 4, 6, 3),
            29.0,
            (true, false),
        ),
        one(
            "Raise it to 180 d for all",
            11,
            10,
            newly(2, 9, 14, 8),
            64.0,
            (true, false),
        ),
        one(
            "Exempt env=batch",
            10,
            9,
            newly(1, 6, 5, 4),
            36.0,
            (false, false),
        ),
    ];
    all[5].vetoes = vec!["a subject it admits leaked a key on 12 Feb 2026".into()];
    all
}

fn signals() -> Vec<Signal> {
    let first = Signal {
        id: "SIG-12".into(),
        kind: SignalKind::Emergence,
        policy: "nhi-credentials".into(),
        policy_version: "4".into(),
        control: "secret-rotation-overdue".into(),
        control_version: "7".into(),
        sentence: "10 teams in 6 departments asked to exceed the maximum age of keys (90 d) for vendor=Acme and env=batch since 3 Aug 2026.".into(),
        descriptor: "vendor=Acme and env=batch".into(),
        runner_up: Some("vendor=Acme".into()),
        observed: known(Observed { teams: 10, departments: 6, asks: 12, duplicates: 4, approved: share(11, 12), pending: 1 }),
        evidence: Evidence { expected: known(Amount(1.8)), ratio: ratio(6.1, 3.2, 10.4), p: known(Probability(0.000_002_1)), q: known(Probability(0.0041)), posterior: Known::unknown("this kind of signal has none") },
        since: day(2026, 8, 3),
        state: SignalState::WhatIfAttached,
        owner: "Ada (ada@example.test)".into(),
        due: known(day(2026, 10, 30)),
        is_overdue: false,
        untried: None,
        teams_elsewhere: 3,
        candidates: candidates(),
        gates: gates(),
        quotes: vec![
            Quote { text: "Acme issues keys for batch tenants once a quarter, so 90 days cannot be met without downtime.".into(), similar: 7 },
            Quote { text: "Vendor portal rotates on the first of the quarter.".into(), similar: 3 },
        ],
        causes: vec![
            Cause { cause: "vendor limit".into(), why: "7 of 12 asks say that Acme issues keys once a quarter".into() },
            Cause { cause: "threshold too tight".into(), why: "9 of 11 exceptions end below 120 d".into() },
        ],
        effect: Known::unknown("no change is linked yet"),
    };
    let second = Signal {
        id: "SIG-9".into(),
        kind: SignalKind::ChronicBudget,
        policy: "model-release".into(),
        policy_version: "2".into(),
        control: "model-card-approved".into(),
        control_version: "3".into(),
        sentence: "14 of 58 teams in scope hold an exception from approved model cards, over a budget of 10 %, for four quarters.".into(),
        descriptor: "stage=shadow".into(),
        runner_up: None,
        observed: known(Observed { teams: 14, departments: 7, asks: 19, duplicates: 2, approved: share(18, 21), pending: 0 }),
        evidence: Evidence { expected: known(Amount(5.8)), ratio: ratio(2.4, 1.5, 3.6), p: Known::unknown("this kind of signal has none"), q: Known::unknown("this kind of signal has none"), posterior: known(Probability(0.993)) },
        since: day(2025, 11, 17),
        state: SignalState::Open,
        owner: "Grace (grace@example.test)".into(),
        due: known(day(2026, 9, 15)),
        is_overdue: true,
        untried: None,
        teams_elsewhere: 0,
        candidates: vec![Candidate {
            summary: "Ask for a model card at promotion, not in stage=shadow".into(),
            cleared: share(15, 18),
            teams_cleared: share(12, 14),
            newly_admitted: Newly { total: 6, critical: 0, high: 1, moderate: 3, low: 1, unrated: 1 },
            risk_weight: Amount(9.5),
            unknown: 4,
            vetoes: vec![],
            on_frontier: true,
            is_knee: true,
        }],
        gates: vec![],
        quotes: vec![],
        causes: vec![Cause { cause: "scope too broad".into(), why: "15 of 18 exceptions are for models that serve nobody".into() }],
        effect: Known::unknown("no change is linked yet"),
    };
    vec![first, second]
}

fn place(
    name: &str,
    teams: Share,
    asks: (u64, u64),
    approved: Share,
    active: u64,
    high: Share,
) -> Place {
    Place {
        name: name.into(),
        teams,
        asks: asks.0,
        asks_before: known(asks.1),
        approved,
        active,
        high_risk: high,
    }
}

fn turned_away() -> Vec<TurnedAway> {
    let one = |control: &str,
               sentence: &str,
               n: (u64, u64),
               gate: &str,
               seen: &str,
               why: &str,
               instead: &str| TurnedAway {
        policy: "model-release".into(),
        control: control.into(),
        sentence: sentence.into(),
        teams: n.0,
        asks: n.1,
        gate: gate.into(),
        seen: seen.into(),
        why: why.into(),
        instead: instead.into(),
    };
    vec![
        one(
            "evaluation-before-release",
            "17 asks in two weeks of May to release without evaluation.",
            (9, 17),
            "largest incident at most half of approved asks",
            "15 of 17",
            "the asks belong to INC-214, and 2 teams remain without those weeks",
            "incident cluster",
        ),
        one(
            "model-card-approved",
            "12 asks from one team for models of one product.",
            (1, 12),
            "busiest team at most half of approved asks",
            "12 of 12",
            "it is one team",
            "help this team",
        ),
        one(
            "secret-owner-named",
            "8 teams asked to leave the owner of a secret open.",
            (8, 9),
            "approved at least 0.6 of those decided",
            "1 of 9",
            "approvers deny it: the policy means it",
            "guidance gap",
        ),
    ]
}

/// Two policies, two open signals, three look-alikes, a watch list, one effect.
pub(crate) fn rich() -> Trend {
    Trend {
        organisation: "Example Bank".into(),
        made: Made { asked_at: Utc.with_ymd_and_hms(2026, 10, 1, 6, 0, 0).unwrap(), link: Some("https://tripline.example.test/reports/trend/2026Q3".into()) },
        period: Period { name: "2026Q3".into(), from: day(2026, 7, 1), to: day(2026, 9, 30), is_over: true, since: day(2025, 7, 7), seen: Some(Seen { from: day(2026, 7, 1), to: day(2026, 9, 30) }) },
        counts: Counts {
            opened: 1,
            closed: 2,
            open: 2,
            overdue: 1,
            concluded: 0,
            not_useful: share(1, 12),
            false_alarms_per_quarter: known(Amount(0.1)),
            power: known(Power { more_teams: 5, probability: Probability(0.8) }),
        },
        comparisons: compared(73, 58, 42),
        signals: signals(),
        watch: vec![
            Watch { policy: "nhi-credentials".into(), control: "key-has-expiry".into(), reason: "control is wrong".into(), teams: 5, rule: 5, asks: 6, since: day(2026, 7, 13) },
            Watch { policy: "model-release".into(), control: "evaluation-before-release".into(), reason: "reviewers are not available".into(), teams: 6, rule: 5, asks: 6, since: day(2026, 7, 20) },
        ],
        turned_away: turned_away(),
        policies: policies(),
        register: register(3),
        effects: vec![
            Effect { change: "Ask for evaluation of fine-tuned models only above 1 % traffic".into(), policy: "model-release".into(), control: "evaluation-before-release".into(), on: day(2026, 2, 2), asks_before: 31, weeks_before: 26, asks_after: 11, weeks_after: 34, ratio: ratio(0.27, 0.12, 0.55), newly_admitted: known(9), found_since: known(0) },
            Effect { change: "Allow-list two vendors for tokens without scope".into(), policy: "nhi-credentials".into(), control: "vendor-token-scoped".into(), on: day(2026, 7, 6), asks_before: 4, weeks_before: 26, asks_after: 2, weeks_after: 12, ratio: ratio(1.08, 0.1, 7.6), newly_admitted: known(3), found_since: Known::unknown("the evidence before the change is no longer kept") },
        ],
        regions: vec![
            place("EMEA", share(19, 34), (44, 30), share(33, 41), 128, share(21, 110)),
            place("Americas", share(9, 18), (21, 19), share(14, 20), 61, share(14, 58)),
            place("Asia and Pacific", share(4, 9), (8, 9), share(3, 4), 18, share(1, 4)),
        ],
        departments: vec![
            place("Lending", share(9, 14), (27, 16), share(20, 25), 77, share(12, 70)),
            place("Payments", share(7, 12), (18, 15), share(13, 17), 51, share(9, 48)),
            place("Fraud", share(6, 11), (13, 12), share(9, 12), 40, share(8, 31)),
            place("Platform", share(7, 15), (11, 10), share(7, 9), 30, share(6, 22)),
            place("People", share(3, 9), (4, 5), share(1, 2), 9, share(1, 3)),
        ],
        quality: Quality {
            with_reason: share(67, 73),
            with_outcome: share(71, 73),
            with_teams: share(5, 6),
            with_evidence: share(69, 73),
            checked: share(1_615, 1_762),
            unknown: vec![
                UnknownShare { attribute: "vendor".into(), unknown: share(9, 73) },
                UnknownShare { attribute: "region".into(), unknown: share(2, 73) },
            ],
            weeks: 64,
            weeks_needed: 39,
            notes: vec!["The team “risk-tools” was merged into “risk-platform” on 4 May 2026; its asks are counted there.".into()],
        },
    }
}

fn nothing() -> Register {
    Register {
        on: day(2026, 9, 30),
        months: vec![],
        risk: vec![],
        ages: vec![],
        older_than_180_days: share(0, 0),
        renewed_twice: share(0, 0),
        variance: Variance {
            temporary: 0,
            policy_gap: 0,
            unclear: 0,
        },
        routes: vec![],
    }
}

/// No history at all.
pub(crate) fn empty() -> Trend {
    let rich = rich();
    Trend {
        made: Made {
            link: None,
            ..rich.made
        },
        counts: Counts {
            opened: 0,
            closed: 0,
            open: 0,
            overdue: 0,
            concluded: 0,
            not_useful: share(0, 0),
            false_alarms_per_quarter: Known::unknown("no simulation was run"),
            power: Known::unknown("fewer than 39 weeks of history"),
        },
        comparisons: vec![],
        signals: vec![],
        watch: vec![],
        turned_away: vec![],
        policies: vec![],
        register: nothing(),
        effects: vec![],
        regions: vec![],
        departments: vec![],
        quality: Quality {
            with_reason: share(0, 0),
            with_outcome: share(0, 0),
            with_teams: share(0, 6),
            with_evidence: share(0, 0),
            checked: share(0, 0),
            unknown: vec![],
            weeks: 0,
            weeks_needed: 39,
            notes: vec![],
        },
        ..rich
    }
}

/// Words that want to be more than words.
pub(crate) const HOSTILE: &str =
    "<script>alert(1)</script> \u{202e}gnp.exe\u{2066} | *x* `y` =cmd() \"q\" '& ]]>";

fn few(register: &mut Register) {
    register.older_than_180_days = share(1, 3);
    register.renewed_twice = share(1, 3);
    register.ages = vec![Age {
        days: 30,
        at_risk: 3,
        active: Known::unknown("fewer than five observed"),
    }];
    for route in &mut register.routes {
        route.approved = share(2, 3);
        route.route = format!("{HOSTILE} {}", route.route);
    }
}

/// Strange words, very long names, and fewer than five of everything.
pub(crate) fn edge() -> Trend {
    let mut trend = rich();
    let long = "a-control-whose-name-goes-on-and-on-until-nobody-remembers-how-it-began".repeat(2);
    trend.organisation = HOSTILE.into();
    trend.counts.not_useful = share(1, 3);
    few(&mut trend.register);
    trend.comparisons = compared(3, 2, 1);
    trend.signals.truncate(1);
    trend.counts.open = 1;
    trend.counts.overdue = 0;
    let signal = &mut trend.signals[0];
    signal.sentence = format!("{HOSTILE} 3 teams asked.");
    signal.id = HOSTILE.into();
    signal.control.clone_from(&long);
    signal.observed = known(Observed {
        teams: 3,
        departments: 3,
        asks: 4,
        duplicates: 0,
        approved: share(2, 3),
        pending: 1,
    });
    signal.due = Known::unknown(HOSTILE);
    signal.quotes = vec![Quote {
        text: format!("{HOSTILE}\n\n# no heading"),
        similar: 1,
    }];
    for candidate in &mut signal.candidates {
        candidate.summary = format!("{HOSTILE} {}", candidate.summary);
        candidate.cleared = share(2, 3);
        candidate.teams_cleared = share(2, 2);
    }
    trend.policies.truncate(1);
    let policy = &mut trend.policies[0];
    policy.title = HOSTILE.into();
    policy.passed = share(3, 4);
    policy.checked = share(4, 4);
    policy.comparisons = compared(3, 2, 1);
    policy.marks[0].label = HOSTILE.into();
    few(&mut policy.register);
    for row in &mut policy.budgets {
        row.control.clone_from(&long);
        row.teams = known(share(1, 3));
        row.active = known(share(1, 3));
        row.allowed = Known::unknown("none declared");
        row.interval = Known::unknown("fewer than five teams");
        row.budget = Known::unknown("none declared");
        row.checked = share(4, 4);
    }
    for row in &mut policy.heat {
        row.control = format!("{HOSTILE} {long}");
    }
    for reason in &mut policy.reasons {
        reason.asks = share(1, 4);
        reason.so_far = share(1, 4);
        reason.reason = HOSTILE.into();
    }
    policy.descriptors[0].descriptor = long.repeat(2);
    for one in &mut policy.descriptors {
        one.teams = share(2, 4);
    }
    for one in &mut policy.conditions {
        one.exceptions = share(1, 2);
    }
    trend.effects[0].change = format!("{HOSTILE} {long}");
    trend.effects.truncate(1);
    for place in trend.regions.iter_mut().chain(&mut trend.departments) {
        place.teams = share(1, 2);
        place.approved = share(1, 2);
        place.high_risk = share(0, 1);
        place.name = format!("{HOSTILE} {}", place.name);
    }
    let quality = &mut trend.quality;
    for one in [
        &mut quality.with_reason,
        &mut quality.with_outcome,
        &mut quality.with_teams,
        &mut quality.with_evidence,
        &mut quality.checked,
    ] {
        *one = share(3, 4);
    }
    for one in &mut quality.unknown {
        one.unknown = share(1, 4);
        one.attribute = HOSTILE.into();
    }
    trend
}
