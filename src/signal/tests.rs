//! Stories of one organisation: what it asks for, and what the detector makes of it.

use std::{collections::BTreeMap, num::NonZeroU32};

use chrono::{NaiveDate, TimeDelta};
use proptest::prelude::*;

use super::{
    Ask, Decided, Detected, History, Index, Kind, Options, Pattern, Seen, Tier, Watched, backtest,
    calibrate, detect,
    gate::GateName,
    lifecycle::{
        Act, Closing, Dismissal, Judged, Raised, Said, State, advance, effect, next, stepped,
        usefulness,
    },
    pattern::{Because, CauseCode, Learned, Route},
    stats,
    weekly::Brief,
};

/// A Monday.
fn start() -> NaiveDate {
    NaiveDate::from_ymd_opt(2024, 1, 1).unwrap()
}

fn week(at: i64) -> NaiveDate {
    start() + TimeDelta::weeks(at)
}

/// The last day of the story.
fn today() -> NaiveDate {
    week(130) + TimeDelta::days(6)
}

fn attributes(given: &[(&str, &str)]) -> BTreeMap<String, String> {
    given
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

fn ask(day: NaiveDate, team: usize, control: &str, values: &[(&str, &str)]) -> Ask {
    let shared: Vec<String> = values.iter().map(|(_, v)| (*v).to_owned()).collect();
    Ask {
        id: format!("{day}-{team}-{control}-{}", shared.join("-")),
        day,
        team: format!("team-{team:02}"),
        department: Some(format!("department-{}", team % 7)),
        control: control.to_owned(),
        attributes: attributes(values),
        incident: None,
        request: None,
        text: String::new(),
        outcome: Decided::Approved,
        decided: None,
        renewal_of: None,
        renewals: 0,
        subjects: 1,
        ends: None,
    }
}

/// Two and a half years of an organisation of sixty teams and twenty controls in which nothing is wrong.
fn quiet() -> History {
    let mut asks = Vec::new();
    for at in 0..131_usize {
        for control in 0..20_usize {
            if (at * 7 + control * 5) % 11 != 0 {
                continue;
            }
            let day = week(i64::try_from(at).unwrap())
                + TimeDelta::days(i64::try_from(control % 5).unwrap());
            let (vendor, reason) = (
                format!("vendor-{}", (at + control) % 8),
                format!("reason-{}", (at * 3 + control) % 6),
            );
            let env = format!("env-{}", (at + control * 2) % 4);
            let values = [
                ("env", env.as_str()),
                ("reason", reason.as_str()),
                ("vendor", vendor.as_str()),
            ];
            asks.push(ask(
                day,
                (at * 13 + control * 7) % 60,
                &format!("control-{control:02}"),
                &values,
            ));
        }
    }
    let controls = (0..20)
        .map(|control| Watched {
            control: format!("control-{control:02}"),
            effective: None,
            budget: Some(0.3),
            teams: Some(60),
            temporary: None,
            findings: 0,
        })
        .collect();
    History {
        asks,
        controls,
        findings: Vec::new(),
        aliases: super::Aliases::default(),
        since: start(),
        teams: Some(60),
    }
}

const CONTROL: &str = "control-05";
const SHARED: [(&str, &str); 3] = [
    ("env", "batch"),
    ("reason", "vendor_limit"),
    ("vendor", "acme"),
];

/// Ten teams in the last ten weeks with one need.
fn need() -> Vec<Ask> {
    (0..10)
        .map(|n| {
            let reason = if n % 2 == 0 {
                "vendor_limit"
            } else {
                "reason-1"
            };
            let shared = [SHARED[0], ("reason", reason), SHARED[2]];
            ask(
                week(121 + n),
                usize::try_from(n).unwrap() * 5,
                CONTROL,
                &shared,
            )
        })
        .collect()
}

fn with(more: Vec<Ask>) -> History {
    let mut history = quiet();
    history.asks.extend(more);
    history
}

fn run(history: &History) -> Detected {
    detect(history, &Options::default(), today())
}

fn signals(detected: &Detected) -> Vec<(&str, Kind)> {
    let signals = detected.patterns.iter().filter(|p| p.tier == Tier::Signal);
    signals.map(|p| (p.control.as_str(), p.kind)).collect()
}

fn emerged(detected: &Detected) -> &Pattern {
    let is_one = |p: &&Pattern| (p.control.as_str(), p.kind) == (CONTROL, Kind::Emergence);
    detected.patterns.iter().find(is_one).unwrap()
}

fn because(detected: &Detected) -> Option<(Because, Route)> {
    let of = detected.turned_away.iter().find(|l| l.control == CONTROL);
    of.map(|l| (l.because, l.route))
}

/// A need that is none, and why.
fn turned_away(history: &History, why: Because, route: Route) {
    let detected = run(history);
    assert_eq!(signals(&detected), [], "{:#?}", detected.patterns);
    assert_eq!(
        because(&detected),
        Some((why, route)),
        "{:#?}",
        detected.turned_away
    );
}

#[test]
fn nothing_is_said_of_an_organisation_in_which_nothing_is_wrong() {
    let detected = run(&quiet());
    assert_eq!(
        (signals(&detected), detected.turned_away.len()),
        (vec![], 0)
    );
    let power = detected.learned.iter().find_map(|l| match l {
        Learned::Power { asks, .. } => Some(*asks),
        _ => None,
    });
    assert!((6..=14).contains(&power.unwrap()), "{power:?}");
}

// R153, R156: the same exception, asked for again and again, questions the policy.
#[test]
fn ten_teams_with_one_need_are_a_signal_with_everything_a_lead_must_know() {
    let detected = run(&with(need()));
    assert_eq!(signals(&detected), [(CONTROL, Kind::Emergence)]);
    let pattern = &detected.patterns[0];
    let told: Vec<_> = pattern
        .descriptor
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    assert!(
        told.contains(&("vendor", "acme")) || told.contains(&("env", "batch")),
        "{told:?}"
    );
    assert!(pattern.runner_up.is_some());
    assert_eq!((pattern.observed.teams, pattern.observed.units), (10, 10));
    assert_eq!(
        (pattern.observed.departments, pattern.members.len()),
        (7, 10)
    );
    let expected = pattern.expected.unwrap();
    assert!(expected.mu < 1.0 && expected.ratio_ci90.low > 1.0);
    assert!(pattern.evidence.p.unwrap() < 1e-6 && pattern.evidence.q.unwrap() <= 0.05);
    assert!(
        pattern
            .gates
            .iter()
            .all(|g| g.verdict != super::gate::Verdict::Fail)
    );
    assert!(pattern.robustness.unwrap().without_densest_days.p <= 0.01);
    assert!(
        pattern
            .sentence
            .starts_with("10 teams in 7 departments asked for exceptions to control-05 where "),
        "{}",
        pattern.sentence
    );
    assert!(
        pattern
            .likely_causes
            .iter()
            .any(|c| matches!(c.code, CauseCode::VendorLimit | CauseCode::ScopeTooBroad))
    );
    assert_eq!(pattern.first_seen, Some(week(121)));
}

#[test]
fn the_worked_values_of_the_test_hold() {
    // Two units of prior and nothing seen in three quarters: mu = 2 / rate.
    let p = |mu: f64, k: u64| stats::surprise(k, 2.0, 2.0 / mu);
    let near = |left: f64, right: f64| assert!((left / right - 1.0).abs() < 0.06, "{left} {right}");
    near(p(0.18, 5), 2.1e-5);
    near(p(0.0462, 4), 1.3e-6);
    near(p(0.4, 5), 6.6e-4);
    near(p(0.4, 8), 4.6e-6);
}

/// So many asks each of so many teams, all with one reason.
fn asked(teams: usize, each: usize) -> History {
    let mut asks = Vec::new();
    for team in 0..teams {
        for n in 0..each {
            let day = week(122) + TimeDelta::days(i64::try_from(team * 9 + n).unwrap());
            let mut one = ask(day, team * 11, CONTROL, &SHARED[1..2]);
            one.id.push_str(&n.to_string());
            asks.push(one);
        }
    }
    with(asks)
}

// R154: five distinct teams, not five requests.
#[test]
fn the_watch_rule_counts_teams_and_not_requests() {
    let options = Options {
        kinds: vec![Kind::Watch],
        ..Options::default()
    };
    let watched = |teams, each| {
        let detected = detect(&asked(teams, each), &options, today());
        let on = detected.patterns.iter().filter(|p| p.control == CONTROL);
        on.count()
    };
    assert_eq!((watched(1, 5), watched(4, 3), watched(5, 1)), (0, 0, 1));
}

// R154: one signal, not one for each way to see it.
#[test]
fn five_teams_with_one_reason_where_nobody_asked_before_are_one_signal() {
    let detected = run(&asked(5, 1));
    let on: Vec<Kind> = detected
        .patterns
        .iter()
        .filter(|p| p.control == CONTROL)
        .map(|p| p.kind)
        .collect();
    assert_eq!(on, [Kind::Emergence]);
    assert_eq!(signals(&run(&asked(1, 5))), []);
}

#[test]
fn a_watched_pattern_is_no_signal_and_becomes_none_when_it_is_one() {
    let detected = run(&with(need()));
    assert!(
        detected
            .patterns
            .iter()
            .all(|p| p.control != CONTROL || p.kind != Kind::Watch)
    );
    for pattern in detected.patterns.iter().filter(|p| p.kind == Kind::Watch) {
        assert_eq!(pattern.tier, Tier::Watch);
    }
}

#[test]
fn one_team_that_asks_all_the_time_needs_help() {
    let mut asks = need();
    for ask in &mut asks {
        ask.team = "team-07".to_owned();
        ask.department = Some("department-0".to_owned());
    }
    turned_away(&with(asks), Because::OneTeam, Route::HelpThisTeam);
}

#[test]
fn asks_out_of_one_incident_are_an_incident() {
    let mut asks = need();
    for ask in asks.iter_mut().take(7) {
        ask.incident = Some("INC-1".to_owned());
    }
    turned_away(&with(asks), Because::Incident, Route::IncidentCluster);
}

#[test]
fn asks_that_were_denied_are_a_gap_in_guidance() {
    let mut asks = need();
    for ask in asks.iter_mut().skip(2) {
        ask.outcome = Decided::Denied;
    }
    turned_away(&with(asks), Because::DeniedWave, Route::GuidanceGap);
}

#[test]
fn a_control_that_is_new_is_left_alone() {
    let mut history = with(need());
    history.controls[5].effective = Some(week(121));
    turned_away(&history, Because::Rollout, Route::OnboardingFriction);
}

#[test]
fn asks_within_a_few_days_are_a_burst() {
    let mut asks = need();
    for (n, ask) in asks.iter_mut().enumerate() {
        ask.day = week(127) + TimeDelta::days(i64::try_from(n).unwrap());
    }
    turned_away(&with(asks), Because::Burst, Route::LookAgain);
}

#[test]
fn one_request_for_many_subjects_is_one_request() {
    let mut asks = need();
    for (n, ask) in asks.iter_mut().enumerate() {
        ask.team = format!("team-{:02}", n % 2);
        ask.request = Some(format!("REQ-{}", n % 2));
    }
    turned_away(&with(asks), Because::Bulk, Route::OneRequestManySubjects);
}

#[test]
fn too_few_departments_are_no_breadth() {
    let mut history = with(need());
    for ask in &mut history.asks {
        ask.department = Some(format!(
            "department-{}",
            usize::from(ask.control != CONTROL)
        ));
    }
    turned_away(&history, Because::FewDepartments, Route::LookAgain);
}

#[test]
fn what_is_not_decided_yet_is_no_evidence_until_it_is() {
    let mut asks = need();
    for ask in &mut asks {
        ask.decided = Some(today() + TimeDelta::days(10));
    }
    let history = with(asks);
    turned_away(&history, Because::Undecided, Route::LookAgain);
    let later = detect(&history, &Options::default(), today() + TimeDelta::days(10));
    assert_eq!(signals(&later), [(CONTROL, Kind::Emergence)]);
}

#[test]
fn withdrawn_asks_count_nowhere() {
    let mut asks = need();
    for ask in &mut asks {
        ask.outcome = Decided::Withdrawn;
    }
    let same = run(&with(asks));
    assert_eq!(same, run(&quiet()));
}

#[test]
fn a_renamed_team_is_not_breadth() {
    let mut asks = need();
    for (n, ask) in asks.iter_mut().enumerate() {
        ask.team = format!("payments-{n}");
        ask.department = Some(format!("department-{n}"));
    }
    let mut history = with(asks);
    assert_eq!(signals(&run(&history)), [(CONTROL, Kind::Emergence)]);
    for n in 0..9 {
        let (old, new) = (format!("payments-{n}"), format!("payments-{}", n + 1));
        history.aliases.teams.insert(old, new);
    }
    turned_away(&history, Because::OneTeam, Route::HelpThisTeam);
}

#[test]
fn a_renamed_control_keeps_its_past() {
    let mut history = quiet();
    // Nine asks in ten weeks, as ever: under two names they would look new.
    for at in 0..131 {
        let team = usize::try_from(at * 7 % 60).unwrap();
        let name = if at < 118 { "key-age" } else { "key-rotation" };
        history
            .asks
            .push(ask(week(at), team, name, &[("reason", "legacy")]));
    }
    let renamed = |d: &Detected| {
        signals(d)
            .iter()
            .filter(|(c, k)| *c == "key-rotation" && *k == Kind::Emergence)
            .count()
    };
    assert_eq!(renamed(&run(&history)), 1);
    history
        .aliases
        .controls
        .insert("key-age".to_owned(), "key-rotation".to_owned());
    let detected = run(&history);
    assert_eq!(renamed(&detected), 0, "{:#?}", detected.patterns);
}

#[test]
fn names_that_were_changed_in_a_circle_stay() {
    let mut history = with(need());
    for (old, new) in [("team-05", "team-10"), ("team-10", "team-05")] {
        history.aliases.teams.insert(old.to_owned(), new.to_owned());
    }
    assert_eq!(signals(&run(&history)), [(CONTROL, Kind::Emergence)]);
}

#[test]
fn near_identical_texts_of_one_team_are_one_ask() {
    let text = |n: i64| {
        format!(
            "Vendor Acme only rotates API keys every {n} days, so svc-{n} cannot meet the limit"
        )
    };
    let mut asks = need();
    asks.truncate(4);
    for (n, ask) in asks.iter_mut().enumerate() {
        ask.text = text(i64::try_from(n).unwrap());
    }
    let mut copies = Vec::new();
    for ask in &asks {
        for n in 1..4 {
            let copy = Ask {
                id: format!("{}-{n}", ask.id),
                day: ask.day + TimeDelta::days(n),
                text: text(n * 30),
                ..ask.clone()
            };
            copies.push(copy);
        }
    }
    let mut other = ask(week(128), 20, CONTROL, &SHARED);
    other.text = "The owner of the service account left and a new one is being assigned".to_owned();
    asks.push(other);
    asks.extend(copies);
    let history = with(asks);
    let index = Index::of(&history, &Options::default());
    let rows = &index
        .controls
        .iter()
        .find(|c| c.id == CONTROL)
        .unwrap()
        .rows;
    let acme: Vec<u32> = rows
        .iter()
        .filter(|r| {
            index
                .ask(r)
                .unwrap()
                .attributes
                .get("vendor")
                .is_some_and(|v| v == "acme")
        })
        .map(|r| r.copies)
        .collect();
    assert_eq!(acme, [4, 4, 4, 4, 1]);
}

#[test]
fn quotes_stand_for_the_rest() {
    let mut asks = need();
    for (n, ask) in asks.iter_mut().enumerate() {
        ask.text = if n < 7 {
            format!(
                "Vendor Acme only rotates keys every {n} days, so svc-{n} cannot meet the limit"
            )
        } else {
            "Hardware does not support the required cipher suites".to_owned()
        };
    }
    let detected = run(&with(asks));
    let counts: Vec<u32> = detected.patterns[0]
        .quotes
        .iter()
        .map(|q| q.similar_count)
        .collect();
    assert_eq!(counts, [7, 3]);
}

#[test]
fn a_policy_that_changed_within_the_window_starts_its_past_anew() {
    let mut history = with(need());
    // In force for 20 weeks: past its grace, and without one whole quarter before the window.
    history.controls[5].effective = Some(week(111));
    let detected = run(&history);
    assert_eq!(signals(&detected), []);
    let young = detected
        .learned
        .iter()
        .any(|l| matches!(l, Learned::ControlsTooYoung { controls } if controls == &[CONTROL]));
    assert!(young, "{:?}", detected.learned);
    history.controls[5].effective = Some(week(100));
    assert_eq!(signals(&run(&history)), [(CONTROL, Kind::Emergence)]);
}

#[test]
fn a_version_of_the_future_changes_nothing_today() {
    let mut history = with(need());
    history.controls[5].effective = Some(week(140));
    assert_eq!(signals(&run(&history)), [(CONTROL, Kind::Emergence)]);
}

#[test]
fn without_outcomes_only_what_lasts_is_raised_and_the_run_says_so() {
    let mut history = with(need());
    for ask in &mut history.asks {
        ask.outcome = Decided::Unknown;
    }
    turned_away(&history, Because::NotLasting, Route::LookAgain);
    let share = run(&history).learned.into_iter().find_map(|l| match l {
        Learned::OutcomesMissing { share } => Some(share),
        _ => None,
    });
    assert_eq!(share, Some(1.0));
    // The same need for half a year.
    for n in 0..18 {
        let mut more = ask(
            week(104 + n),
            usize::try_from(n).unwrap() * 3 + 1,
            CONTROL,
            &SHARED,
        );
        more.outcome = Decided::Unknown;
        history.asks.push(more);
    }
    assert_eq!(signals(&run(&history)), [(CONTROL, Kind::Emergence)]);
}

#[test]
fn what_is_not_known_matches_no_description() {
    let mut asks = need();
    for (n, ask) in asks.iter_mut().enumerate() {
        if n % 2 == 0 {
            ask.attributes
                .insert("vendor".to_owned(), "unknown".to_owned());
            ask.attributes.insert("env".to_owned(), String::new());
        }
        ask.attributes.remove("reason");
    }
    let detected = run(&with(asks));
    for pattern in &detected.patterns {
        assert!(
            pattern
                .descriptor
                .values()
                .all(|v| !v.is_empty() && v != "unknown")
        );
    }
    let missing = detected
        .learned
        .iter()
        .filter(|l| matches!(l, Learned::AttributesMissing { .. }));
    assert_eq!(missing.count(), 3);
}

#[test]
fn without_departments_their_spread_is_not_known_and_said_so() {
    let mut history = with(need());
    for ask in &mut history.asks {
        ask.department = None;
    }
    let detected = run(&history);
    let pattern = &detected.patterns[0];
    let gate = pattern
        .gates
        .iter()
        .find(|g| g.name == GateName::Departments)
        .unwrap();
    assert_eq!(
        (gate.value, gate.verdict),
        (None, super::gate::Verdict::NotKnown)
    );
    assert!(
        detected
            .learned
            .contains(&Learned::DepartmentsMissing { share: 1.0 })
    );
}

#[test]
fn a_register_that_is_empty_or_three_weeks_old_says_so() {
    let empty = History {
        asks: Vec::new(),
        ..quiet()
    };
    let detected = run(&empty);
    assert_eq!(detected.patterns.len() + detected.turned_away.len(), 0);
    assert!(detected.learned.contains(&Learned::NoAsks));
    let mut young = with(need());
    young.since = week(128);
    young.asks.retain(|a| a.day >= week(128));
    let detected = run(&young);
    assert_eq!(signals(&detected), []);
    assert!(
        detected.learned.contains(&Learned::TooLittleHistory {
            weeks: 3,
            needed: 39
        }),
        "{:?}",
        detected.learned
    );
}

#[test]
fn an_organisation_of_one_team_has_no_patterns_and_is_told_so() {
    let mut history = with(need());
    history.teams = Some(1);
    for ask in &mut history.asks {
        ask.team = "all of us".to_owned();
    }
    let detected = run(&history);
    assert_eq!(signals(&detected), []);
    assert!(detected.learned.contains(&Learned::TooFewTeams {
        teams: 1,
        needed: 4
    }));
}

#[test]
fn teams_that_ask_together_and_are_refused_raise_nothing() {
    let mut asks = Vec::new();
    for team in 0..40 {
        let mut one = ask(
            week(119 + i64::try_from(team % 12).unwrap()),
            team,
            CONTROL,
            &SHARED,
        );
        one.outcome = Decided::Denied;
        asks.push(one);
    }
    turned_away(&with(asks), Because::DeniedWave, Route::GuidanceGap);
}

/// One approved ask each of so many teams, spread over the last year, on a control with a budget of a tenth.
fn chronic(teams: usize, scope: u32) -> History {
    let mut history = quiet();
    history.asks.retain(|a| a.control != CONTROL);
    for team in 0..teams {
        let at = 79 + i64::try_from(team * 51 / teams).unwrap();
        history
            .asks
            .push(ask(week(at), team, CONTROL, &[("vendor", "acme")]));
    }
    history.controls[5].budget = Some(0.1);
    history.controls[5].teams = Some(scope);
    history
}

#[test]
fn a_budget_is_spent_at_the_worked_counts_of_the_teams_in_scope() {
    for (scope, fires) in [(20, 6), (60, 11), (200, 28)] {
        // The densest fortnight is left out: one more ask is spent on it.
        for (teams, raised) in [(fires + 3, true), (fires - 1, false)] {
            let detected = run(&chronic(teams, scope));
            let spent = signals(&detected).contains(&(CONTROL, Kind::ChronicBudget));
            assert_eq!(spent, raised, "{teams} of {scope}");
        }
    }
    let detected = run(&chronic(20, 60));
    let pattern = detected
        .patterns
        .iter()
        .find(|p| p.kind == Kind::ChronicBudget)
        .unwrap();
    assert_eq!(pattern.descriptor, attributes(&[("vendor", "acme")]));
    assert_eq!(
        (pattern.evidence.in_scope_teams, pattern.evidence.budget),
        (Some(60), Some(0.1))
    );
    assert!(
        pattern.sentence.contains("the budget is 10 % of teams"),
        "{}",
        pattern.sentence
    );
}

#[test]
fn a_budget_that_nobody_declared_is_suggested_and_not_judged() {
    let mut history = chronic(25, 60);
    history.controls[5].budget = None;
    let detected = run(&history);
    assert!(!signals(&detected).contains(&(CONTROL, Kind::ChronicBudget)));
    let suggested = detected.learned.iter().find_map(|l| match l {
        Learned::BudgetsUndeclared { controls } => Some(controls[0].teams),
        _ => None,
    });
    assert_eq!(suggested, Some(25));
}

#[test]
fn a_budget_grows_with_the_asks_of_the_whole_organisation() {
    let mut history = chronic(16, 60);
    assert!(signals(&run(&history)).contains(&(CONTROL, Kind::ChronicBudget)));
    // Everything else is asked for three times as often as in the first year.
    let more: Vec<Ask> = history
        .asks
        .iter()
        .filter(|a| a.control != CONTROL && a.day > week(78))
        .flat_map(|a| {
            (1..3).map(|n| {
                let team = format!(
                    "team-{:02}",
                    (a.team[5..].parse::<usize>().unwrap() + n * 17) % 60
                );
                Ask {
                    id: format!("{}-{n}", a.id),
                    team,
                    ..a.clone()
                }
            })
        })
        .collect();
    history.asks.extend(more);
    assert!(!signals(&run(&history)).contains(&(CONTROL, Kind::ChronicBudget)));
}

#[test]
fn a_register_that_was_hardly_used_at_first_says_nothing_of_growth() {
    let spent =
        |history: &History| signals(&run(history)).contains(&(CONTROL, Kind::ChronicBudget));
    let mut history = chronic(16, 60);
    history.asks.retain(|a| a.day > week(78));
    // One old ask far from all others, and then one in each quarter.
    history.asks.push(ask(week(1), 3, "control-07", &[]));
    assert!(spent(&history));
    for quarter in 0..6 {
        let at = week(4 + quarter * 13);
        history.asks.push(ask(at, 4, "control-08", &[]));
    }
    assert!(spent(&history));
}

#[test]
fn exceptions_that_are_renewed_again_and_again_are_permanent_in_all_but_name() {
    let mut history = quiet();
    let mut last: Option<String> = None;
    for n in 0..3_u32 {
        let mut one = ask(week(60 + i64::from(n) * 26), 3, CONTROL, &[]);
        one.renewal_of.clone_from(&last);
        one.renewals = n;
        last = Some(one.id.clone());
        history.asks.push(one);
    }
    let detected = run(&history);
    let pattern = detected
        .patterns
        .iter()
        .find(|p| p.kind == Kind::RenewalLoop)
        .unwrap();
    assert_eq!((pattern.tier, pattern.members.len()), (Tier::Watch, 1));
    assert!(
        pattern.sentence.contains("renewed up to 2 times"),
        "{}",
        pattern.sentence
    );
    let mut old = ask(week(60), 4, "control-06", &[]);
    old.ends = Some(week(200));
    let mut ended = ask(week(60), 4, "control-07", &[]);
    ended.ends = Some(week(120));
    history.asks.extend([old, ended]);
    let detected = run(&history);
    let loops: Vec<&str> = detected
        .patterns
        .iter()
        .filter(|p| p.kind == Kind::RenewalLoop)
        .map(|p| p.control.as_str())
        .collect();
    assert_eq!(loops, [CONTROL, "control-06"]);
}

#[test]
fn a_chain_of_renewals_that_bites_its_tail_ends() {
    let mut history = quiet();
    let mut one = ask(week(100), 3, CONTROL, &[]);
    one.renewal_of = Some(one.id.clone());
    history.asks.push(one);
    let _ = run(&history);
}

#[test]
fn a_renewal_is_no_new_need() {
    let mut asks = need();
    for ask in &mut asks {
        ask.renewals = 1;
    }
    assert!(
        !signals(&run(&with(asks)))
            .iter()
            .any(|(_, k)| *k == Kind::Emergence)
    );
}

#[test]
fn two_runs_say_the_same_byte_for_byte() {
    let history = with(need());
    let text = |h: &History| serde_json::to_string(&run(h)).unwrap();
    assert_eq!(text(&history), text(&history.clone()));
    let back: Detected = serde_json::from_str(&text(&history)).unwrap();
    assert_eq!(serde_json::to_string(&back).unwrap(), text(&history));
}

#[test]
fn a_single_run_and_the_runs_over_years_say_the_same() {
    let history = with(need());
    let runs = backtest(
        &history,
        &Options::default(),
        today() - TimeDelta::weeks(20),
        today(),
    );
    assert_eq!(runs.len(), 21);
    for (day, briefs) in runs {
        let detected = detect(&history, &Options::default(), day);
        let mut briefs: Vec<_> = briefs
            .into_iter()
            .map(|b| (b.control, b.kind, b.descriptor))
            .collect();
        briefs.sort();
        let full = detected
            .patterns
            .into_iter()
            .filter(|p| matches!(p.kind, Kind::Emergence | Kind::ChronicBudget));
        let mut full: Vec<_> = full.map(|p| (p.control, p.kind, p.descriptor)).collect();
        full.sort();
        assert_eq!(briefs, full, "{day}");
    }
}

#[test]
fn what_is_asked_for_tomorrow_changes_nothing_today() {
    let mut history = with(need());
    let before = run(&history);
    for team in 0..30 {
        history.asks.push(ask(week(132), team, CONTROL, &SHARED));
    }
    assert_eq!(before, run(&history));
}

#[test]
fn chance_is_the_same_with_the_same_seed() {
    let history = with(need());
    let two = NonZeroU32::new(2).unwrap();
    let first = calibrate(&history, &Options::default(), 7, two);
    assert_eq!(first, calibrate(&history, &Options::default(), 7, two));
    assert!(first.quarters > 10.0 && first.ci90.low <= first.false_alarms_per_quarter);
    let rate = Some((first.false_alarms_per_quarter, first.ci90));
    assert_eq!(first.of(Kind::Emergence), rate);
    assert_eq!(
        first.of(Kind::ChronicBudget),
        None,
        "a budget stays exceeded on any days: that is no chance"
    );
    let young = History {
        since: week(120),
        ..quiet()
    };
    assert!(
        calibrate(&young, &Options::default(), 7, two)
            .unknown
            .is_some()
    );
}

fn brief(control: &str, shared: &[(&str, &str)]) -> Brief {
    Brief {
        kind: Kind::Emergence,
        control: control.to_owned(),
        descriptor: attributes(shared),
        seen: 8,
        expected: 0.5,
        p: 1e-6,
    }
}

#[test]
fn a_signal_is_raised_once_and_then_only_reminded_of() {
    let options = Options::default();
    let mut known: Vec<Raised> = Vec::new();
    let mut say = |at: i64, shared: &[(&str, &str)]| {
        advance(&mut known, &[brief(CONTROL, shared)], &options, week(at))[0]
    };
    assert_eq!(say(0, &SHARED[..1]), Said::Alarm);
    assert_eq!(say(1, &SHARED[..2]), Said::Reminder);
    assert_eq!(say(2, &[]), Said::Reminder);
    assert_eq!(say(3, &[("env", "online")]), Said::Alarm);
    // Nobody acted, and it was not seen for a quarter.
    let nothing = advance(&mut known, &[], &options, week(16));
    assert_eq!(nothing, []);
    assert!(known.iter().all(|s| matches!(
        s.state,
        State::Closed {
            closing: Closing::Faded,
            ..
        }
    )));
    assert_eq!(
        advance(
            &mut known,
            &[brief(CONTROL, &SHARED[..1])],
            &options,
            week(20)
        ),
        [Said::Back]
    );
}

#[test]
fn a_dismissed_signal_keeps_quiet_for_a_quarter_and_a_snoozed_one_until_its_day() {
    let options = Options::default();
    let mut known = Vec::new();
    let one =
        |known: &mut Vec<Raised>, at| advance(known, &[brief(CONTROL, &[])], &options, week(at))[0];
    assert_eq!(one(&mut known, 0), Said::Alarm);
    known[0].state = next(
        State::Open,
        Act::Dismiss {
            reason: Dismissal::NotUseful,
        },
        week(1),
    )
    .unwrap();
    assert_eq!(one(&mut known, 13), Said::Refractory);
    assert_eq!(one(&mut known, 14), Said::Back);
    known[0].state = next(State::Open, Act::Snooze { until: week(30) }, week(15)).unwrap();
    assert_eq!(one(&mut known, 29), Said::Snoozed);
    assert_eq!(one(&mut known, 30), Said::SnoozeOver);
}

#[test]
fn only_what_the_table_allows_is_done_to_a_signal() {
    let day = week(10);
    let linked = next(
        State::Acknowledged,
        Act::LinkChange {
            effective: week(11),
        },
        day,
    )
    .unwrap();
    assert_eq!(next(linked, Act::Monitor, day), None);
    let monitored = next(linked, Act::Monitor, week(11)).unwrap();
    assert_eq!(
        next(
            monitored,
            Act::Dismiss {
                reason: Dismissal::Accepted
            },
            day
        ),
        None
    );
    let closed = next(
        monitored,
        Act::Close {
            closing: Closing::Effective,
        },
        day,
    )
    .unwrap();
    assert_eq!(next(closed, Act::Reopen, day), Some(State::Open));
    assert_eq!(
        next(
            State::Open,
            Act::Close {
                closing: Closing::Effective
            },
            day
        ),
        None
    );
    assert_eq!(next(State::Open, Act::Snooze { until: day }, day), None);
}

// R162: the effect of a change is shown.
#[test]
fn a_change_is_effective_when_the_whole_interval_lies_below_one() {
    let options = Options::default();
    let history = with(need());
    let index = Index::of(&history, &options);
    let shared = attributes(&SHARED[..1]);
    let of = |change, now| {
        effect(
            &index,
            (CONTROL, &shared),
            week(change),
            week(now),
            &options,
        )
    };
    let early = of(131, 135);
    assert_eq!((early.before, early.after, early.closing), (10, 0, None));
    let worked = of(131, 160);
    assert_eq!(
        (worked.ratio.ratio, worked.closing),
        (Some(0.0), Some(Closing::Effective))
    );
    let not = of(120, 147);
    assert_eq!(
        (not.before, not.after, not.closing),
        (0, 10, Some(Closing::NoEffect))
    );
}

#[test]
fn signals_that_are_not_useful_make_the_detector_stricter() {
    let options = Options::default();
    let judged = |bad: usize, all: usize| -> Vec<Judged> {
        (0..all)
            .map(|n| Judged {
                kind: Kind::Emergence,
                on: week(100),
                useful: n >= bad,
            })
            .collect()
    };
    let q = |judged: &[Judged], at| {
        stepped(&options, &usefulness(judged, &options, week(at)))
            .q
            .to_bits()
    };
    let (usual, strict) = (0.05_f64.to_bits(), 0.02_f64.to_bits());
    assert_eq!(q(&judged(2, 9), 110), usual);
    assert_eq!(q(&judged(1, 10), 110), usual);
    assert_eq!(q(&judged(2, 10), 110), strict);
    assert_eq!(q(&judged(2, 10), 153), usual);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_order_of_asks_does_not_matter(seed in any::<u64>()) {
        let history = with(need());
        let mut turned = history.clone();
        let n = turned.asks.len();
        // A walk through all places in another order.
        let mut state = seed | 1;
        for at in (1..n).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            turned.asks.swap(at, usize::try_from(state >> 33).unwrap() % (at + 1));
        }
        prop_assert_eq!(
            serde_json::to_string(&run(&history)).unwrap(),
            serde_json::to_string(&run(&turned)).unwrap()
        );
    }

    #[test]
    fn denied_asks_never_add_a_pattern(
        denied in prop::collection::vec((0_i64..131, 0_usize..60, 0_usize..20, 0_usize..3), 1..60),
        needed in 0_usize..10,
    ) {
        let mut history = with(need().into_iter().take(needed).collect());
        let raised = |d: &Detected| d.patterns.iter().map(|p| p.control.clone()).collect::<std::collections::BTreeSet<_>>();
        let signalled = |d: &Detected| signals(d).into_iter().map(|(c, k)| (c.to_owned(), k)).collect::<std::collections::BTreeSet<_>>();
        let before = run(&history);
        for (at, team, control, values) in denied {
            let mut one = ask(week(at), team, &format!("control-{control:02}"), &SHARED[..values]);
            one.id.push_str("-denied");
            one.outcome = Decided::Denied;
            history.asks.push(one);
        }
        let after = run(&history);
        prop_assert!(raised(&after).is_subset(&raised(&before)));
        prop_assert!(signalled(&after).is_subset(&signalled(&before)));
    }

    #[test]
    fn more_asks_of_a_team_that_counts_in_full_never_add_a_signal(
        copies in prop::collection::vec((0_usize..200, 1_usize..4), 1..20),
        needed in 0_usize..10,
    ) {
        // Every ask twice on its day: each team counts in full wherever it counts.
        let once = with(need().into_iter().take(needed).collect());
        let again = once.asks.iter().map(|a| Ask { id: format!("{}-again", a.id), ..a.clone() });
        let mut history = History { asks: once.asks.iter().cloned().chain(again).collect(), ..once.clone() };
        let before = run(&history);
        for (at, times) in copies {
            let of = history.asks[at % history.asks.len()].clone();
            for n in 0..times {
                let id = format!("{}-more-{n}-{}", of.id, history.asks.len());
                history.asks.push(Ask { id, ..of.clone() });
            }
        }
        let after = run(&history);
        let raised = |d: &Detected| signals(d).into_iter().map(|(c, k)| (c.to_owned(), k)).collect::<std::collections::BTreeSet<_>>();
        prop_assert!(raised(&after).is_subset(&raised(&before)), "{:?} {:?}", raised(&after), raised(&before));
    }
}

#[test]
fn two_hundred_thousand_asks_are_read_in_time() {
    let mut history = quiet();
    let few = history.asks.clone();
    while history.asks.len() < 200_000 {
        let at = history.asks.len();
        history
            .asks
            .extend(few.iter().enumerate().map(|(n, a)| Ask {
                id: format!("{at}-{n}"),
                text: format!(
                    "We cannot meet the limit of {} before the vendor ships part {}",
                    a.control,
                    n % 50
                ),
                ..a.clone()
            }));
    }
    let start = std::time::Instant::now();
    let _ = run(&history);
    // Seconds where the machine is slow and nothing is optimised; quadratic work would take hours.
    assert!(start.elapsed().as_secs() < 900, "{:?}", start.elapsed());
}

/// A finding that the exception of an ask keeps silent.
fn silent(ask: &str, team: usize, facts: &[(&str, &str)]) -> Seen {
    Seen {
        control: CONTROL.to_owned(),
        team: Some(format!("team-{team:02}")),
        facts: attributes(facts),
        asks: vec![ask.to_owned()],
        opened: 1,
    }
}

#[test]
fn findings_say_whom_the_exceptions_keep_silent() {
    let mut history = with(need());
    let asks = need();
    let facts = [SHARED[0], SHARED[2]];
    history.findings = asks
        .iter()
        .zip([0, 5, 10])
        .map(|(ask, team)| silent(&ask.id, team, &facts))
        .collect();
    // Two teams that were taken along, one of them under its old name as well.
    history.findings.push(silent(&asks[0].id, 57, &facts));
    let mut old = silent(&asks[1].id, 57, &facts);
    old.team = Some("the-old-name".to_owned());
    history.findings.push(old);
    history.findings.push(silent(&asks[1].id, 58, &facts));
    history
        .aliases
        .teams
        .insert("the-old-name".to_owned(), "team-57".to_owned());
    // Silent for another reason.
    history.findings.push(silent("some other ask", 59, &facts));
    let detected = run(&history);
    let found = &emerged(&detected).findings;
    assert_eq!(
        (found.silent, found.teams, found.unasked, found.reopened),
        (6, 5, 2, 0)
    );
    assert_eq!(
        found.sentence().unwrap(),
        "Their exceptions keep 6 findings of 5 teams silent; 2 of those teams never asked."
    );
    assert_eq!(emerged(&run(&with(need()))).findings.sentence(), None);
}

#[test]
fn findings_that_open_again_and_again_speak_against_the_control() {
    let mut history = with(need());
    history.controls[5].findings = 12;
    let again = |team, opened, facts: &[(&str, &str)]| Seen {
        asks: Vec::new(),
        opened,
        ..silent("", team, facts)
    };
    let facts = [SHARED[0], SHARED[2]];
    // Twice is nothing yet, and other subjects are no argument.
    history.findings = vec![
        again(1, 3, &facts),
        again(2, 4, &facts),
        again(3, 2, &facts),
        again(4, 9, &[("vendor", "globex")]),
    ];
    let defect = |history: &History| {
        let detected = run(history);
        let causes = emerged(&detected).likely_causes.iter();
        causes
            .filter(|c| c.code == CauseCode::ControlDefect)
            .map(|c| c.why.clone())
            .collect::<Vec<_>>()
    };
    assert!(defect(&history).is_empty());
    history.findings.push(again(5, 3, &facts));
    assert_eq!(
        defect(&history),
        ["3 of its 12 findings opened again and again: it may fail what it should pass"]
    );
    history.controls[5].findings = 13;
    assert!(defect(&history).is_empty());
}

#[test]
fn whoever_is_covered_by_what_another_team_asked_for_holds_an_exception() {
    let mut history = chronic(10, 60);
    let spent =
        |history: &History| signals(&run(history)).contains(&(CONTROL, Kind::ChronicBudget));
    assert!(!spent(&history));
    let ids: Vec<String> = history
        .asks
        .iter()
        .filter(|a| a.control == CONTROL)
        .map(|a| a.id.clone())
        .collect();
    // Teams that asked themselves are not counted twice.
    for (team, id) in ids.iter().enumerate() {
        history
            .findings
            .push(silent(id, team, &[("vendor", "acme")]));
    }
    assert!(!spent(&history));
    for team in 50..54 {
        history
            .findings
            .push(silent(&ids[6], team, &[("vendor", "acme")]));
    }
    assert!(spent(&history));
}
