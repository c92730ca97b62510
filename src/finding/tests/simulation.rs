//! A seeded world of subjects that fail, heal, flap and lie, read through sources that break: how many
//! notices the default rules make, and how many of them are false.

use super::{FAIL, PASS, UNKNOWN, hour};
use crate::{
    finding::{Moment, step},
    model::{
        control::Rules,
        finding::{Effect, Observation, State},
    },
};

const SUBJECTS: usize = 200;
const RUNS: usize = 720;
const FLAPPERS: usize = 5;

/// SplitMix64: small, seeded, the same on every machine.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn falls(&mut self, probability: f64) -> bool {
        self.share() < probability
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "small and positive"
    )]
    fn lasts(&mut self, mean: f64) -> usize {
        1 + (-(1.0 - self.share()).ln() * mean) as usize
    }
}

struct World {
    /// Whether a subject deviates in a run.
    truth: Vec<Vec<bool>>,
    /// What a control sees of it.
    seen: Vec<Vec<Observation>>,
    /// Runs in which the source was broken.
    broken: Vec<bool>,
}

fn world(seed: u64) -> World {
    let mut dice = Dice(seed);
    let mut truth = vec![vec![false; RUNS]; SUBJECTS];
    for subject in &mut truth {
        let mut run = 0;
        while run < RUNS {
            if dice.falls(0.002) {
                let end = run + dice.lasts(24.0);
                subject[run..end.min(RUNS)].fill(true);
                run = end + 6;
            } else {
                run += 1;
            }
        }
    }
    for subject in truth.iter_mut().take(FLAPPERS) {
        let start = usize::try_from(dice.next() % (RUNS as u64 - 120)).unwrap();
        for i in 0..80 {
            subject[start + i] = (i / 2) % 2 == 0;
        }
    }
    // The share of subjects that an outage hides: all of them, or some of them.
    let mut hidden = vec![0.0; RUNS];
    let mut run = 0;
    while run < RUNS {
        if dice.falls(0.01) {
            let end = run + dice.lasts(4.0);
            let share = if dice.falls(0.7) { 1.0 } else { 0.3 };
            hidden[run..end.min(RUNS)].fill(share);
            run = end + 3;
        } else {
            run += 1;
        }
    }
    let views = truth.iter().map(|subject| {
        let look = |(run, fails): (usize, &bool)| match (dice.falls(hidden[run]), *fails) {
            (true, _) => UNKNOWN,
            (false, true) => {
                if dice.falls(0.002) {
                    PASS
                } else {
                    FAIL
                }
            }
            (false, false) => {
                if dice.falls(0.005) {
                    FAIL
                } else {
                    PASS
                }
            }
        };
        subject.iter().enumerate().map(look).collect()
    });
    World {
        seen: views.collect(),
        broken: hidden.iter().map(|share| *share > 0.0).collect(),
        truth,
    }
}

/// What one subject's finding did, run by run.
struct Told {
    notices: Vec<(usize, Effect)>,
    /// Whether an episode was open after a run.
    open: Vec<bool>,
}

fn tell(seen: &[Observation], rules: &Rules) -> Told {
    let mut state = State::default();
    let mut told = Told {
        notices: Vec::new(),
        open: Vec::new(),
    };
    for (run, observation) in seen.iter().enumerate() {
        let after = step(&state, *observation, rules, Moment::at(hour(run)));
        let effect = after.effect.filter(|e| *e != Effect::Recheck);
        told.notices.extend(effect.map(|e| (run, e)));
        told.open.push(after.state.status.is_open());
        state = after.state;
    }
    told
}

#[derive(Debug, Default)]
struct Score {
    incidents: usize,
    /// Nobody was told, and the source was whole.
    missed: usize,
    /// Nobody was told, and the source was broken meanwhile.
    in_the_dark: usize,
    false_opens: usize,
    false_resolves: usize,
    /// Opened twice in one deviation.
    repeated: usize,
    delays: Vec<usize>,
    flapper_notices: usize,
}

impl Score {
    fn add(&mut self, truth: &[bool], told: &Told, broken: &[bool]) {
        let incidents = incidents(truth);
        let within = |at: usize, (from, to): (usize, usize)| (from..to + 2).contains(&at);
        for (at, effect) in &told.notices {
            let true_one = incidents.iter().any(|i| within(*at, *i));
            match effect {
                Effect::Resolved => self.false_resolves += usize::from(truth[*at]),
                _ => self.false_opens += usize::from(!true_one),
            }
        }
        for incident @ (from, to) in incidents {
            let of_it = told.notices.iter().filter(|(at, _)| within(*at, incident));
            let opens: Vec<&(usize, Effect)> =
                of_it.filter(|(_, e)| *e != Effect::Resolved).collect();
            let opened = opens.iter().filter(|(_, e)| *e != Effect::Flapping).count();
            self.repeated += opened.saturating_sub(1);
            if to - from < 4 || to + 4 >= RUNS {
                continue;
            }
            self.incidents += 1;
            match opens.first() {
                Some((at, _)) => self.delays.push(at - from),
                // An episode that was still open says nothing twice.
                None if told.open[from..to].contains(&true) => {}
                None if broken[from..to].contains(&true) => self.in_the_dark += 1,
                None => self.missed += 1,
            }
        }
    }
}

fn incidents(truth: &[bool]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut run = 0;
    while run < truth.len() {
        let length = truth[run..].iter().take_while(|fails| **fails).count();
        if length > 0 {
            found.push((run, run + length));
        }
        run += length.max(1);
    }
    found
}

#[test]
fn in_a_noisy_world_nothing_is_falsely_resolved() {
    const SEEDS: usize = 4;
    let rules = Rules::default();
    let mut score = Score::default();
    for seed in 1..=SEEDS {
        let world = world(seed as u64);
        for (subject, seen) in world.seen.iter().enumerate() {
            let told = tell(seen, &rules);
            if subject < FLAPPERS {
                score.flapper_notices += told.notices.len();
            } else {
                score.add(&world.truth[subject], &told, &world.broken);
            }
        }
    }
    score.delays.sort_unstable();
    assert!(score.incidents > SEEDS * 150, "{}", score.incidents);
    assert_eq!(score.false_resolves, 0, "an outage or a lie mends nothing");
    assert_eq!(score.repeated, 0, "one deviation is told once");
    assert_eq!(score.missed, 0, "only an outage hides a deviation");
    assert!(score.in_the_dark < SEEDS * 3, "{}", score.in_the_dark);
    // 720 runs of 195 subjects with 0.5 % of false fails.
    assert!(score.false_opens < SEEDS * 10, "{}", score.false_opens);
    let (median, p95) = (score.delays.len() / 2, score.delays.len() * 95 / 100);
    assert_eq!((score.delays[median], score.delays[p95]), (1, 1));
    assert!(
        score.flapper_notices < SEEDS * FLAPPERS * 8,
        "{}",
        score.flapper_notices
    );
}
