//! Runs against known findings: who gets a row, what is written again, and what is told.

use std::collections::BTreeMap;

use proptest::prelude::{Just, Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::{
    hour,
    sample::{Register, control, evaluation, not_checked, observed, run, subject},
};
use crate::{
    finding::{Due, Input, due, recheck, reconcile, removed},
    model::{
        control::{Control, OnPartial},
        finding::{Change, Effect, Finding, Observation, Origin, Reason, Status},
        id::Sha,
        outcome::{Authority, Evaluation, Observed, Outcome, Presence, Unknown},
        policy::Severity,
        span::Span,
    },
};

const FAIL: Outcome = Outcome::Fail;
const PASS: Outcome = Outcome::Pass;
const NULL: Outcome = Outcome::Unknown(Unknown::NullCondition);

fn all(outcome: Outcome, count: usize) -> Vec<Observed> {
    (0..count)
        .map(|i| observed(&format!("s{i:04}"), outcome))
        .collect()
}

fn effects(changes: &[Change]) -> Vec<Effect> {
    changes.iter().filter_map(|c| c.effect).collect()
}

fn only(changes: &[Change]) -> &Change {
    assert_eq!(changes.len(), 1);
    &changes[0]
}

/// A register in which `a` is open.
fn with_one_open(control: Control) -> Register {
    let mut register = Register::new(control);
    let fails = evaluation(vec![observed("a", FAIL)], &[]);
    register.run(&fails);
    assert_eq!(effects(&register.run(&fails)), [Effect::Opened]);
    register
}

#[test]
fn passes_of_subjects_that_nobody_knows_leave_no_row() {
    let mut register = Register::new(control());
    let seen = vec![
        observed("a", PASS),
        observed("b", FAIL),
        observed("c", NULL),
    ];
    let changes = register.run(&evaluation(seen, &[]));
    assert_eq!(changes.len(), 2);
    assert_eq!(register.known[&subject("b")].state.status, Status::Suspect);
    let unknown = &register.known[&subject("c")].state;
    assert_eq!(
        (unknown.status, unknown.unverified),
        (Status::Clear, Some(Unknown::NullCondition))
    );
}

#[test]
fn a_second_run_with_nothing_changed_writes_nothing() {
    let mut register = Register::new(control());
    let mut seen = all(FAIL, 20);
    seen.extend((0..5).map(|i| observed(&format!("u{i}"), NULL)));
    let same = evaluation(seen, &[]);
    register.run(&same);
    register.run(&same);
    let third = register.run(&same);
    assert_eq!(third.len(), 25);
    assert!(third.iter().all(|c| !c.dirty && c.effect.is_none()));
    // Nor does an outage, after it was noted once.
    assert!(
        register
            .run(&not_checked(Vec::new()))
            .iter()
            .filter(|c| c.dirty)
            .count()
            == 20
    );
    assert!(
        register
            .run(&not_checked(Vec::new()))
            .iter()
            .all(|c| !c.dirty)
    );
}

#[test]
fn a_run_that_was_not_checked_holds_everything_and_names_nobody_else() {
    let mut register = with_one_open(control());
    let since = hour(register.runs + 1);
    for _ in 0..50 {
        let seen = vec![observed("a", PASS), observed("b", FAIL)];
        let changes = register.run(&not_checked(seen));
        assert_eq!(only(&changes).reason, Reason::UnknownHolds);
        assert_eq!(
            only(&changes).observation,
            Observation::Unknown(Unknown::Timeout)
        );
    }
    let state = &register.known[&subject("a")].state;
    assert_eq!((state.status, state.passes), (Status::Open, 0));
    assert_eq!(state.unverified_since, Some(since), "set once");
}

#[test]
fn a_fail_seen_in_partial_evidence_counts_only_where_the_control_says_so() {
    let partial = not_checked(vec![observed("a", FAIL), observed("b", PASS)]);
    let mut strict = Register::new(control());
    assert!(strict.run(&partial).is_empty());
    let mut open = Register::new(Control {
        on_partial: OnPartial::Open,
        ..control()
    });
    open.run(&partial);
    assert_eq!(effects(&open.run(&partial)), [Effect::Opened]);
    // A pass never counts, whoever says so.
    let passes = not_checked(vec![observed("a", PASS)]);
    for _ in 0..10 {
        assert_eq!(only(&open.run(&passes)).reason, Reason::UnknownHolds);
    }
    assert_eq!(open.known[&subject("a")].state.status, Status::Open);
}

#[test]
fn evidence_that_was_counted_counts_for_nothing_more() {
    let mut register = Register::new(control());
    let fails = evaluation(vec![observed("a", FAIL)], &[]);
    register.run(&fails);
    register.runs += 1;
    let more = evaluation(vec![observed("a", FAIL), observed("b", FAIL)], &[]);
    let changes = register.again(&more, false, false);
    assert_eq!(
        only(&changes).observation,
        Observation::Unknown(Unknown::AlreadyCounted)
    );
    assert!(!only(&changes).dirty);
    assert_eq!(register.known[&subject("a")].state.status, Status::Suspect);
}

#[test]
fn the_same_run_again_does_nothing() {
    let mut register = Register::new(control());
    let fails = evaluation(all(FAIL, 3), &[]);
    for _ in 0..3 {
        register.run(&fails);
        let again = register.again(&fails, true, false);
        assert!(again.iter().all(|c| !c.dirty && c.effect.is_none()));
    }
    assert!(register.known.values().all(|f| f.state.episode == 1));
}

#[test]
fn the_word_of_the_inventory_retires_and_mere_absence_does_not() {
    let mut register = with_one_open(control());
    for _ in 0..10 {
        let gone = evaluation(Vec::new(), &[("a", Presence::NoInventory)]);
        let change = only(&register.run(&gone)).clone();
        assert_eq!(change.observation, Observation::Unknown(Unknown::Absent));
        assert_eq!(change.finding.state.status, Status::Open);
    }
    // Not even an evaluation that forgot to say where it is.
    let silent = evaluation(Vec::new(), &[]);
    assert_eq!(
        only(&register.run(&silent)).finding.state.status,
        Status::Open
    );

    let gone = evaluation(Vec::new(), &[("a", Presence::NotInInventory)]);
    let change = only(&register.run(&gone)).clone();
    assert_eq!(change.observation, Observation::Left(Authority::Inventory));
    assert_eq!(
        (change.effect, change.reason),
        (Some(Effect::Retired), Reason::Left)
    );
    assert_eq!(only(&register.run(&gone)).reason, Reason::AlreadyLeft);
}

#[test]
fn leaving_the_scope_is_believed_at_the_third_complete_run() {
    let mut register = with_one_open(control());
    let out = evaluation(Vec::new(), &[("a", Presence::OutOfScope)]);
    let gone = |register: &mut Register| only(&register.run(&out)).observation;
    assert_eq!(gone(&mut register), Observation::Unknown(Unknown::Absent));
    assert_eq!(gone(&mut register), Observation::Unknown(Unknown::Absent));
    // A run that was not checked counts neither way; one that saw it begins anew.
    register.run(&not_checked(Vec::new()));
    register.run(&evaluation(vec![observed("a", FAIL)], &[]));
    assert_eq!(gone(&mut register), Observation::Unknown(Unknown::Absent));
    assert_eq!(gone(&mut register), Observation::Unknown(Unknown::Absent));
    assert_eq!(
        gone(&mut register),
        Observation::Left(Authority::OutOfScope)
    );
    assert_eq!(register.known[&subject("a")].state.status, Status::Retired);
}

#[test]
fn what_left_and_fails_again_is_a_new_story() {
    let mut register = with_one_open(control());
    register.run(&evaluation(Vec::new(), &[("a", Presence::NotInInventory)]));
    let fails = evaluation(vec![observed("a", FAIL)], &[]);
    assert_eq!(effects(&register.run(&fails)), [Effect::Recheck]);
    assert_eq!(effects(&register.run(&fails)), [Effect::Opened]);
    assert_eq!(register.known[&subject("a")].state.episode, 2);
}

#[test]
fn a_mass_change_waits_for_a_second_complete_run_whatever_confirm_says() {
    let mut control = control();
    control.rules.confirm = 1;
    control.on_partial = OnPartial::Open;
    let mut register = Register::new(control);
    register.run(&evaluation(all(PASS, 30), &[]));
    let fails = evaluation(all(FAIL, 30), &[]);
    let first = register.run(&fails);
    assert!(first.iter().all(|c| c.reason == Reason::HeldForMassChange));
    assert!(
        first
            .iter()
            .all(|c| c.finding.state.status == Status::Suspect)
    );
    let now = hour(1);
    assert_eq!(
        recheck(&first, &register.control.rules, now),
        Some(now + Span::minutes(5).to_delta()),
        "thirty requests, one re-check"
    );
    // Half a page is no second complete run, even where its fails count.
    let partial = register.run(&not_checked(all(FAIL, 30)));
    assert!(
        partial
            .iter()
            .all(|c| c.reason == Reason::HeldForMassChange)
    );
    // Ten of them agree; twenty were never true.
    let mut second = all(FAIL, 10);
    second.extend(all(PASS, 30).into_iter().skip(10));
    let second = register.run(&evaluation(second, &[]));
    let opened: Vec<&Change> = second
        .iter()
        .filter(|c| c.effect == Some(Effect::Opened))
        .collect();
    assert_eq!(opened.len(), 10);
    assert!(
        opened
            .iter()
            .all(|c| c.finding.state.origin == Origin::Mass)
    );
    assert!(
        opened
            .iter()
            .all(|c| c.reason == Reason::MassChangeConfirmed)
    );
    assert_eq!(
        second.iter().filter(|c| c.reason == Reason::Blip).count(),
        20
    );
}

#[test]
fn few_or_a_small_share_are_no_mass_change() {
    let mut control = control();
    control.rules.confirm = 1;
    for (fails, population) in [(20, 20), (100, 1_000)] {
        let mut register = Register::new(control.clone());
        let mut seen = evaluation(all(FAIL, fails), &[]);
        seen.counts.population = population;
        assert_eq!(effects(&register.run(&seen)).len(), fails);
        assert!(
            register
                .known
                .values()
                .all(|f| f.state.origin == Origin::Single)
        );
    }
}

#[test]
fn the_first_run_of_a_control_is_a_baseline_and_no_mass_change() {
    let mut register = Register::new(control());
    let fails = evaluation(all(FAIL, 300), &[]);
    register.runs += 1;
    let first = register.again(&fails, true, true);
    assert!(
        first
            .iter()
            .all(|c| c.reason == Reason::AwaitingConfirmation)
    );
    let mut later = all(FAIL, 299);
    later.push(observed("new", FAIL));
    register.run(&evaluation(later, &[]));
    let origin = |name: &str| register.known[&subject(name)].state.origin;
    assert_eq!(origin("s0000"), Origin::Baseline);
    assert_eq!(origin("new"), Origin::Single);
    assert_eq!(register.known[&subject("s0000")].state.status, Status::Open);
}

#[test]
fn attributes_follow_the_last_fail_without_a_word() {
    let mut register = with_one_open(control());
    let moved = Observed {
        severity: Severity::Critical,
        owners: vec!["payments".to_owned()],
        facts: BTreeMap::from([("region".to_owned(), "eu".to_owned())]),
        ..observed("a", FAIL)
    };
    let change = only(&register.run(&evaluation(vec![moved.clone()], &[]))).clone();
    assert!(change.dirty);
    assert_eq!((change.effect, change.reason), (None, Reason::StillOpen));
    assert_eq!(
        (&change.finding.owners, change.finding.severity),
        (&moved.owners, moved.severity)
    );
    assert_eq!(change.finding.facts, moved.facts);
    // A pass says nothing of what failed.
    let passes = evaluation(vec![observed("a", PASS)], &[]);
    let change = only(&register.run(&passes)).clone();
    assert_eq!(change.finding.rows, moved.rows);
    assert_eq!(change.finding.owners, moved.owners);
}

#[test]
fn a_changed_condition_judges_once_in_silence_and_keeps_the_episode() {
    let mut control = control();
    control.rules.clear = 1;
    let mut register = with_one_open(control);
    register.control.definition = Sha::of("2");
    // What cannot be told was not judged by the new condition.
    register.run(&not_checked(Vec::new()));
    assert_eq!(register.known[&subject("a")].definition, Sha::of("1"));
    let change = only(&register.run(&evaluation(vec![observed("a", FAIL)], &[]))).clone();
    assert_eq!(
        (change.effect, change.reason),
        (None, Reason::ConditionChanged)
    );
    assert_eq!(
        (change.finding.state.status, change.finding.state.episode),
        (Status::Open, 1)
    );
    assert_eq!(change.finding.definition, Sha::of("2"));

    register.control.definition = Sha::of("3");
    let passes = evaluation(vec![observed("a", PASS)], &[]);
    let change = only(&register.run(&passes)).clone();
    assert_eq!(
        (change.effect, change.reason),
        (None, Reason::ConditionChanged)
    );
    assert_eq!(
        change.finding.state.status,
        Status::Clearing,
        "the outcome differs"
    );
    assert_eq!(effects(&register.run(&passes)), [Effect::Resolved]);
}

#[test]
fn results_of_another_condition_confirm_nothing() {
    let mut register = Register::new(control());
    let fails = evaluation(vec![observed("a", FAIL)], &[]);
    register.run(&fails);
    register.control.definition = Sha::of("2");
    assert_eq!(
        only(&register.run(&fails)).reason,
        Reason::AwaitingConfirmation
    );
    assert_eq!(only(&register.run(&fails)).reason, Reason::Confirmed);
}

#[test]
fn a_control_in_shadow_tells_nothing_and_what_is_open_is_told_when_it_leaves() {
    let mut register = Register::new(Control {
        shadow: true,
        ..control()
    });
    let fails = evaluation(vec![observed("a", FAIL), observed("b", FAIL)], &[]);
    assert_eq!(effects(&register.run(&fails)), [Effect::Recheck; 2]);
    assert_eq!(effects(&register.run(&fails)), []);
    assert_eq!(register.known[&subject("a")].state.status, Status::Open);
    // What nobody was told to be wrong is not told to be right.
    for _ in 0..3 {
        let seen = evaluation(vec![observed("a", FAIL), observed("b", PASS)], &[]);
        assert_eq!(effects(&register.run(&seen)), []);
    }
    assert_eq!(register.known[&subject("b")].state.status, Status::Resolved);
    register.control.shadow = false;
    let fails = evaluation(
        vec![observed("a", FAIL)],
        &[("b", Presence::NotInInventory)],
    );
    let changes = register.run(&fails);
    assert_eq!(effects(&changes), [Effect::Opened]);
    assert!(changes.iter().any(|c| c.reason == Reason::OutOfShadow));
    assert_eq!(register.known[&subject("a")].state.origin, Origin::Baseline);
    assert_eq!(effects(&register.run(&fails)), []);
}

#[test]
fn a_removed_control_retires_its_findings_and_tells_of_the_open_ones() {
    let mut register = with_one_open(control());
    register.run(&evaluation(
        vec![observed("a", FAIL), observed("b", FAIL)],
        &[],
    ));
    let known: Vec<Finding> = register.known.values().cloned().collect();
    let changes = removed(known, &run(99), hour(99));
    assert_eq!(effects(&changes), [Effect::Retired]);
    assert!(
        changes
            .iter()
            .all(|c| c.observation == Observation::Left(Authority::Control))
    );
    assert!(
        changes
            .iter()
            .all(|c| c.dirty && c.finding.state.status == Status::Retired)
    );
    let again = removed(
        changes.into_iter().map(|c| c.finding).collect(),
        &run(100),
        hour(100),
    );
    assert!(again.iter().all(|c| !c.dirty && c.effect.is_none()));
}

#[test]
fn an_open_finding_becomes_overdue_and_unknowns_do_not_stop_the_clock() {
    let mut register = with_one_open(control());
    let opened = register.known[&subject("a")].state.opened_at.unwrap();
    register.run(&not_checked(Vec::new()));
    let finding = &register.known[&subject("a")];
    let limit = opened + Span::days(7).to_delta();
    let second = Span::secs(1).to_delta();
    assert_eq!(
        due(&register.control, finding, limit - second),
        Due::Until(limit)
    );
    assert_eq!(due(&register.control, finding, limit), Due::Overdue(limit));
    let mut mended = finding.clone();
    mended.state.status = Status::Resolved;
    assert_eq!(due(&register.control, &mended, limit), Due::NotOpen);
}

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// What a run may say of one subject.
fn words() -> impl Strategy<Value = Option<Outcome>> {
    prop_oneof![
        3 => Just(Some(PASS)),
        4 => Just(Some(FAIL)),
        1 => Just(Some(NULL)),
        1 => Just(None),
    ]
}

#[derive(Debug, Clone)]
struct Turn {
    evaluation: Evaluation,
    counted: bool,
    definition: u8,
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let words = proptest::collection::vec(words(), NAMES.len());
    let turn = (words, 0..10_u8, 0..3_usize, 0..12_u8, 0..20_u8);
    let turn = turn.prop_map(|(words, kind, presence, counted, definition)| {
        let said = || NAMES.iter().zip(&words);
        let seen = said()
            .filter_map(|(n, w)| Some(observed(n, (*w)?)))
            .collect();
        let presence = Presence::ALL[presence];
        let absent: Vec<(&str, Presence)> = said()
            .filter(|(_, w)| w.is_none())
            .map(|(n, _)| (*n, presence))
            .collect();
        Turn {
            evaluation: if kind < 8 {
                evaluation(seen, &absent)
            } else {
                not_checked(seen)
            },
            counted: counted > 0,
            definition: u8::from(definition == 0),
        }
    });
    proptest::collection::vec(turn, 1..40)
}

proptest! {
    #[test]
    fn every_run_is_idempotent_ordered_and_told_at_most_once(
        turns in turns(),
        confirm in 1..3_usize,
        clear in 1..4_usize,
        on_partial in 0..2_usize,
    ) {
        let mut control = control();
        control.rules = super::rules(confirm, clear, 10);
        control.rules.mass_change.count = 3;
        control.on_partial = OnPartial::ALL[on_partial];
        let mut register = Register::new(control);
        let mut told: BTreeMap<_, Vec<Effect>> = BTreeMap::new();
        for (i, turn) in turns.into_iter().enumerate() {
            register.control.definition = Sha::of([turn.definition]);
            register.runs += 1;
            let before: Vec<Finding> = register.known.values().cloned().collect();
            let changes = register.again(&turn.evaluation, turn.counted, i == 0);

            // In whatever order things come.
            let mut shuffled = turn.evaluation.clone();
            shuffled.observed.reverse();
            shuffled.absent.reverse();
            let backwards = reconcile(Input {
                control: &register.control,
                known: before.iter().rev().cloned().collect(),
                evaluation: &shuffled,
                run: &run(register.runs),
                now: hour(register.runs),
                counted: turn.counted,
                baseline: i == 0,
                rescoped: false,
            });
            prop_assert_eq!(&changes, &backwards);
            prop_assert!(changes.is_sorted_by_key(|c| c.finding.key));

            // The same run again changes nothing and tells nothing.
            let again = register.again(&turn.evaluation, turn.counted, i == 0);
            prop_assert!(again.iter().all(|c| !c.dirty && c.effect.is_none_or(|e| e == Effect::Recheck)));

            let untouched = !turn.counted || turn.evaluation.not_checked.is_some();
            for change in &changes {
                let state = &change.finding.state;
                let old = before.iter().find(|f| f.key == change.finding.key);
                prop_assert_eq!(change.before, old.map(|f| f.state.status));
                if untouched && change.observation != Observation::Fail {
                    let old = &old.unwrap().state;
                    prop_assert_eq!((state.status, &state.history), (old.status, &old.history));
                }
                let Some(effect) = change.effect else { continue };
                let episode = told.entry((change.finding.key, state.episode)).or_default();
                let opens = |e: &&Effect| matches!(e, Effect::Opened | Effect::Reopened);
                let opened = episode.iter().filter(opens).count();
                match effect {
                    Effect::Opened | Effect::Reopened => prop_assert_eq!(opened, 0),
                    Effect::Resolved | Effect::Retired => prop_assert!(
                        opened > 0 || episode.contains(&Effect::Flapping)
                    ),
                    _ => {}
                }
                episode.push(effect);
            }
        }
    }
}
