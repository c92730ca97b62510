//! Every sequence of eight observations, and random long ones, against the oracle and the invariants.

use std::collections::BTreeMap;

use proptest::prelude::{Strategy, prop_assert, prop_assert_eq, proptest};

use super::{FAIL, LEFT, PASS, UNKNOWN, hour, oracle::Oracle, rules};
use crate::{
    finding::{Moment, Step, step},
    model::{
        control::Rules,
        finding::{Effect, Observation, State},
        outcome::Unknown,
    },
};

const ALL: [Observation; 4] = [PASS, FAIL, UNKNOWN, LEFT];

/// What was told of each episode along a story, and how many known passes precede this point.
#[derive(Debug, Clone, Default)]
struct Told {
    effects: BTreeMap<u32, Vec<Effect>>,
    passes: u32,
}

impl Told {
    /// The invariants that need no oracle.
    fn check(&mut self, before: &State, seen: Observation, after: &Step, rules: &Rules) {
        if let Observation::Unknown(_) = seen {
            let held = |s: &State| (s.status, s.fails, s.passes, s.history.clone(), s.episode);
            assert_eq!(
                held(before),
                held(&after.state),
                "an unknown changes nothing"
            );
            assert_eq!(after.effect, None);
        }
        self.passes = match seen {
            Observation::Pass => self.passes + 1,
            Observation::Unknown(_) => self.passes,
            Observation::Fail | Observation::Left(_) => 0,
        };
        let Some(effect) = after.effect else { return };
        let told = self.effects.entry(after.state.episode).or_default();
        let opened = |told: &[Effect]| {
            let is_opening = |e: &&Effect| matches!(e, Effect::Opened | Effect::Reopened);
            told.iter().filter(is_opening).count()
        };
        match effect {
            Effect::Opened | Effect::Reopened => {
                assert_eq!(opened(told), 0, "at most one opening per episode");
            }
            Effect::Resolved => {
                assert!(self.passes >= rules.clear, "resolved by known passes");
                assert!(
                    opened(told) > 0 || told.contains(&Effect::Flapping),
                    "resolved only after it was told"
                );
                assert!(!told.contains(&Effect::Resolved), "resolved once");
            }
            _ => {}
        }
        told.push(effect);
    }
}

fn walk(oracle: &mut Oracle, rules: &Rules, state: &State, told: &Told, depth: usize) -> u64 {
    if depth == 8 {
        return 1;
    }
    let mut count = 0;
    for seen in ALL {
        let moment = Moment::at(hour(depth));
        let after = step(state, seen, rules, moment);
        assert_eq!(after, step(state, seen, rules, moment), "a function");
        let line = oracle.push(depth, seen);
        assert_eq!(
            (after.state.status, after.effect, after.reason),
            (line.status, line.effect, line.reason),
            "{:?}",
            oracle.lines
        );
        let mut told = told.clone();
        told.check(state, seen, &after, rules);
        count += walk(oracle, rules, &after.state, &told, depth + 1);
        oracle.lines.pop();
    }
    count
}

#[test]
fn every_sequence_of_eight_agrees_with_the_table() {
    let mut rows = std::collections::BTreeSet::new();
    for (confirm, clear, reopen) in [
        (2, 3, 168),
        (1, 1, 168),
        (2, 2, 168),
        (3, 2, 168),
        (1, 1, 1),
        (2, 1, 2),
    ] {
        let mut oracle = Oracle {
            confirm,
            clear,
            reopen_hours: reopen,
            ..Oracle::default()
        };
        let rules = rules(confirm, clear, reopen);
        let count = walk(&mut oracle, &rules, &State::default(), &Told::default(), 0);
        assert_eq!(count, 65_536);
        rows.append(&mut oracle.rows);
    }
    // Leaving flapping (15, 16) takes more than eight results.
    for row in (1..=14).chain([17, 19, 20]) {
        assert!(rows.contains(&row), "row {row} was never used");
    }
}

fn observations() -> impl Strategy<Value = Vec<Observation>> {
    // Long stories of steady and of restless stretches, so that flapping is entered and left.
    let stretch = (
        0..5_usize,
        1..25_usize,
        proptest::collection::vec(0..4_usize, 25),
    );
    let stretch = stretch.prop_map(|(kind, length, mixed)| {
        (0..length)
            .map(|i| match kind {
                0 => PASS,
                1 => FAIL,
                2 => [PASS, FAIL][i % 2],
                3 => [PASS, FAIL, UNKNOWN][mixed[i] % 3],
                _ => ALL[mixed[i]],
            })
            .collect::<Vec<_>>()
    });
    proptest::collection::vec(stretch, 1..8).prop_map(|s| s.concat())
}

proptest! {
    #[test]
    fn long_stories_agree_with_a_history_without_bounds(
        story in observations(),
        confirm in 1..4_usize,
        clear in 1..4_usize,
        reopen in 1..30_usize,
    ) {
        let mut oracle = Oracle { confirm, clear, reopen_hours: reopen, ..Oracle::default() };
        let rules = rules(confirm, clear, reopen);
        let (mut state, mut told) = (State::default(), Told::default());
        for (at, seen) in story.into_iter().enumerate() {
            let after = step(&state, seen, &rules, Moment::at(hour(at)));
            let line = oracle.push(at, seen);
            prop_assert_eq!(
                (after.state.status, after.effect, after.reason),
                (line.status, line.effect, line.reason)
            );
            prop_assert!(after.state.history.len() <= 21);
            told.check(&state, seen, &after, &rules);
            state = after.state;
        }
    }

    #[test]
    fn no_run_of_unknowns_moves_anything(
        story in observations(),
        unknowns in proptest::collection::vec(0..Unknown::ALL.len(), 1..40),
    ) {
        let rules = rules(2, 3, 168);
        let mut state = State::default();
        for (at, seen) in story.iter().enumerate() {
            state = step(&state, *seen, &rules, Moment::at(hour(at))).state;
        }
        let mut held = state.clone();
        for (i, why) in unknowns.iter().enumerate() {
            let moment = Moment { held: i % 2 == 0, changed: i % 3 == 0, ..Moment::at(hour(500 + i)) };
            let after = step(&held, Observation::Unknown(Unknown::ALL[*why]), &rules, moment);
            prop_assert_eq!(after.effect, None);
            held = after.state;
        }
        let but = |s: &State| State { unverified_since: None, unverified: None, absences: 0, ..s.clone() };
        prop_assert_eq!(but(&held), but(&state));
    }
}

#[test]
fn flapping_is_left_for_open_and_for_resolved() {
    let rules = rules(2, 3, 168);
    for (settles, status, effect) in [
        (FAIL, crate::model::finding::Status::Open, None),
        (
            PASS,
            crate::model::finding::Status::Resolved,
            Some(Effect::Resolved),
        ),
    ] {
        let mut state = State::default();
        let mut effects = Vec::new();
        let story = [FAIL, PASS].repeat(10).into_iter().chain([settles; 21]);
        for (at, seen) in story.enumerate() {
            let after = step(&state, seen, &rules, Moment::at(hour(at)));
            effects.extend(after.effect.filter(|e| *e != Effect::Recheck));
            state = after.state;
        }
        assert_eq!(state.status, status);
        let wanted: Vec<Effect> = [Some(Effect::Flapping), effect]
            .into_iter()
            .flatten()
            .collect();
        assert_eq!(effects, wanted, "told once, and its end");
        assert_eq!(state.episode, 1);
    }
}

#[test]
fn openings_are_counted_over_thirty_days() {
    let rules = rules(1, 1, 168);
    let mut state = State::default();
    let mut openings = Vec::new();
    for day in [0, 5, 10, 29, 36] {
        // Passes between, so that it does not count as flapping.
        for (hours, seen) in [FAIL].into_iter().chain([PASS; 20]).enumerate() {
            state = step(&state, seen, &rules, Moment::at(hour(day * 24 + hours))).state;
        }
        openings.push(state.openings.len());
    }
    assert_eq!(openings, [1, 2, 3, 4, 3], "the third time in 30 days");
}
