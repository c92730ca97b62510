//! Which change of a limit would help: every value of a grid, for everybody or only for those that a signal
//! describes, with what it would clear and what it would newly admit. Suggests and never applies.
//!
//! A change that clears exceptions also admits subjects that nobody looked at. Both are counted side by side; the
//! frontier are the changes of which no other clears as much at less risk, and the one that is marked weighs
//! them against each other.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// A subject that fails today, as a changed limit would see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Failing {
    /// The exceptions that cover it; empty when none does.
    pub exceptions: Vec<String>,
    /// The team that it belongs to.
    pub team: String,
    /// The first value of the grid at which it passes; nothing when it passes at none, or cannot be told.
    pub passes_from: Option<usize>,
    /// Whether it cannot be told at some value.
    pub is_unknown: bool,
    /// In which of the scopes it is. The scope of everybody is not among them.
    pub scopes: Vec<bool>,
    /// How much weighs admitting it.
    pub risk: Risk,
    /// Why it must not be admitted unseen: another open finding on it.
    pub veto: Option<String>,
}

/// How much weighs a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// Low.
    Low,
    /// Medium.
    Medium,
    /// High.
    High,
    /// Critical.
    Critical,
}

impl Risk {
    /// Three times the one below.
    pub const fn weight(self) -> f64 {
        match self {
            Self::Low => 1.0,
            Self::Medium => 3.0,
            Self::High => 9.0,
            Self::Critical => 27.0,
        }
    }
}

/// What clearing one exception may cost in newly admitted weight: four of the lowest.
pub const WORTH: f64 = 4.0;

/// One change with what it would do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Which value of the grid.
    pub value: usize,
    /// Which scope; nothing for everybody.
    pub scope: Option<usize>,
    /// Exceptions all of whose subjects would pass.
    pub cleared: Vec<String>,
    /// Of how many exceptions.
    pub of: usize,
    /// How many teams would need none any more.
    pub teams: usize,
    /// Of how many teams.
    pub of_teams: usize,
    /// Subjects that fail, that nothing covers, and that would pass: by risk, the lowest first.
    pub admitted: [usize; 4],
    /// Their weight.
    pub weight: f64,
    /// Subjects of which it cannot be told.
    pub unknown: usize,
    /// Why it must not be done unseen.
    pub vetoes: Vec<String>,
    /// No other clears as many at less weight.
    pub is_frontier: bool,
    /// The one that is worth most: exceptions cleared, less what is admitted. Never one with a veto.
    pub is_knee: bool,
}

impl Candidate {
    /// How many would be admitted.
    pub fn admits(&self) -> usize {
        self.admitted.iter().sum()
    }

    /// What it is worth.
    pub fn worth(&self) -> f64 {
        self.cleared.len() as f64 - self.weight / WORTH
    }
}

/// Every value of a grid for everybody and for each scope, those of equal effect once. In the order of scopes, then values.
pub fn candidates(failing: &[Failing], values: usize, scopes: usize) -> Vec<Candidate> {
    let mut all: Vec<Candidate> = Vec::new();
    for scope in std::iter::once(None).chain((0..scopes).map(Some)) {
        for value in 0..values {
            let one = candidate(failing, value, scope);
            // A larger value that does the same is a looser limit for nothing.
            let same = all.last().is_some_and(|last| {
                last.scope == scope && last.cleared == one.cleared && last.admitted == one.admitted
            });
            if !same && !one.cleared.is_empty() {
                all.push(one);
            }
        }
    }
    let better = |a: &Candidate, b: &Candidate| {
        a.cleared.len() >= b.cleared.len()
            && a.weight <= b.weight
            && (a.cleared.len() > b.cleared.len() || a.weight < b.weight)
    };
    let frontier: Vec<bool> = all
        .iter()
        .map(|one| !all.iter().any(|other| better(other, one)))
        .collect();
    for (one, is_frontier) in all.iter_mut().zip(frontier) {
        one.is_frontier = is_frontier;
    }
    let best = all
        .iter()
        .enumerate()
        .filter(|(_, c)| c.vetoes.is_empty() && c.worth() > 0.0)
        // Of equal ones the narrower, then the tighter: the later scope, the earlier value.
        .max_by(|(_, a), (_, b)| {
            a.worth()
                .total_cmp(&b.worth())
                .then(a.scope.cmp(&b.scope))
                .then(b.value.cmp(&a.value))
        })
        .map(|(at, _)| at);
    if let Some(one) = best.and_then(|at| all.get_mut(at)) {
        one.is_knee = true;
    }
    all
}

fn candidate(failing: &[Failing], value: usize, scope: Option<usize>) -> Candidate {
    let reached = |one: &Failing| scope.is_none_or(|s| one.scopes.get(s) == Some(&true));
    let passes = |one: &Failing| reached(one) && one.passes_from.is_some_and(|from| from <= value);
    let mut every: BTreeSet<&str> = BTreeSet::new();
    let mut kept: BTreeSet<&str> = BTreeSet::new();
    let mut teams: BTreeSet<&str> = BTreeSet::new();
    let mut waiting: BTreeSet<&str> = BTreeSet::new();
    let mut admitted = [0_usize; 4];
    let (mut weight, mut unknown, mut vetoes) = (0.0, 0, Vec::new());
    for one in failing {
        let covered = !one.exceptions.is_empty();
        every.extend(one.exceptions.iter().map(String::as_str));
        if covered {
            teams.insert(&one.team);
        }
        if passes(one) {
            if !covered {
                if let Some(count) = admitted.get_mut(one.risk as usize) {
                    *count += 1;
                }
                weight += one.risk.weight();
                vetoes.extend(one.veto.clone());
            }
            continue;
        }
        unknown += usize::from(reached(one) && one.is_unknown);
        kept.extend(one.exceptions.iter().map(String::as_str));
        if covered {
            waiting.insert(&one.team);
        }
    }
    vetoes.sort();
    vetoes.dedup();
    Candidate {
        value,
        scope,
        of: every.len(),
        cleared: every.difference(&kept).map(|&e| e.to_owned()).collect(),
        teams: teams.difference(&waiting).count(),
        of_teams: teams.len(),
        admitted,
        weight,
        unknown,
        vetoes,
        is_frontier: false,
        is_knee: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(exception: &str, team: &str, from: usize, scoped: bool, risk: Risk) -> Failing {
        Failing {
            exceptions: if exception.is_empty() {
                Vec::new()
            } else {
                vec![exception.to_owned()]
            },
            team: team.to_owned(),
            passes_from: Some(from),
            is_unknown: false,
            scopes: vec![scoped],
            risk,
            veto: None,
        }
    }

    /// Eleven keys of a vendor whose rotation takes longer, and keys that were forgotten.
    fn world() -> Vec<Failing> {
        let mut all: Vec<Failing> = (0..10)
            .map(|n| one(&format!("E{n}"), &format!("t{n}"), 2, true, Risk::Low))
            .collect();
        all.push(one("E10", "t10", 9, true, Risk::Low));
        all.push(one("", "t3", 2, true, Risk::High));
        all.push(one("", "t3", 9, true, Risk::High));
        all.push(one("", "t4", 9, true, Risk::High));
        all.extend((0..14).map(|_| one("", "t20", 1, false, Risk::Medium)));
        all
    }

    #[test]
    fn a_scoped_change_clears_as_much_and_admits_less() {
        let all = candidates(&world(), 12, 1);
        let at = |scope, value| {
            all.iter()
                .find(|c| c.scope == scope && c.value == value)
                .unwrap()
        };
        let (global, scoped) = (at(None, 2), at(Some(0), 2));
        assert_eq!((global.cleared.len(), global.admits()), (10, 15));
        assert_eq!((scoped.cleared.len(), scoped.admits()), (10, 1));
        assert_eq!((scoped.teams, scoped.of_teams), (10, 11));
        assert!(scoped.is_knee && scoped.is_frontier && !global.is_frontier);
        assert_eq!(at(Some(0), 9).cleared.len(), 11);
        assert_eq!(all.iter().filter(|c| c.is_knee).count(), 1);
    }

    #[test]
    fn an_exception_is_cleared_when_all_that_it_covers_passes() {
        let two = [
            one("E", "t", 1, true, Risk::Low),
            one("E", "t", 3, true, Risk::Low),
        ];
        let all = candidates(&two, 5, 0);
        assert_eq!(all.len(), 1, "{all:?}");
        assert_eq!((all[0].value, all[0].of), (3, 1));
    }

    #[test]
    fn what_cannot_be_told_is_neither_cleared_nor_admitted() {
        let unknown = Failing {
            passes_from: None,
            is_unknown: true,
            ..one("E", "t", 0, true, Risk::Low)
        };
        let all = candidates(&[unknown, one("F", "u", 0, true, Risk::Low)], 2, 0);
        assert_eq!((all[0].cleared.len(), all[0].of, all[0].unknown), (1, 2, 1));
    }

    #[test]
    fn a_veto_is_shown_and_never_marked() {
        let mut all = world();
        all[11].veto = Some("aws/secret/x is unowned, too".to_owned());
        let found = candidates(&all, 12, 1);
        assert!(found.iter().any(|c| !c.vetoes.is_empty()));
        assert!(found.iter().all(|c| !c.is_knee || c.vetoes.is_empty()));
    }

    #[test]
    fn nothing_is_suggested_where_it_costs_more_than_it_clears() {
        let mut all = vec![one("E", "t", 1, false, Risk::Low)];
        all.extend((0..5).map(|_| one("", "u", 1, false, Risk::Medium)));
        assert!(candidates(&all, 3, 0).iter().all(|c| !c.is_knee));
        assert!(candidates(&[], 3, 1).is_empty());
    }

    /// A world in which one group truly needs a longer limit and some keys were forgotten: who fails, and who of them is
    /// of the group. The group is described with one error in a hundred.
    fn keys(random: &mut rand_chacha::ChaCha8Rng) -> Vec<(Failing, bool)> {
        use rand::Rng as _;
        let need = [105.0, 120.0, 135.0, 150.0][random.gen_range(0..4)];
        let mut all = Vec::new();
        for n in 0..400 {
            let of_group = random.gen_bool(0.12);
            let forgotten = !of_group && random.gen_bool(0.06);
            let age: f64 = if of_group {
                random.gen_range(60.0..need)
            } else if forgotten {
                random.gen_range(91.0..400.0)
            } else {
                // Gamma with shape 4 and scale 16.
                (0..4)
                    .map(|_| -16.0 * random.gen_range(f64::EPSILON..1.0).ln())
                    .sum()
            };
            let excepted = random.gen_bool(if of_group { 0.8 } else { 0.08 });
            let described = of_group != random.gen_bool(0.01);
            let risk = match random.gen_range(0.0..1.0) {
                r if r < 0.6 => Risk::Low,
                r if r < 0.9 => Risk::Medium,
                _ => Risk::High,
            };
            if age <= 90.0 {
                continue;
            }
            // The grid goes up by five days.
            let steps = ((age - 90.0) / 5.0).ceil();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "few steps"
            )]
            let from = steps as usize - 1;
            let failing = Failing {
                exceptions: excepted.then(|| format!("E{n}")).into_iter().collect(),
                team: format!("t{}", n % 40),
                passes_from: (from < 24).then_some(from),
                is_unknown: false,
                scopes: vec![described],
                risk,
                veto: None,
            };
            all.push((failing, of_group));
        }
        all
    }

    // Figures of this kind of world say how the suggestion weighs, and nothing of anybody's register.
    #[test]
    fn in_five_hundred_worlds_the_suggestion_clears_most_and_admits_next_to_nobody_it_should_not() {
        use rand::SeedableRng as _;
        let (mut worlds, mut cleared, mut wrong) = (0.0, 0.0, 0.0);
        for seed in 0..500 {
            let all = keys(&mut rand_chacha::ChaCha8Rng::seed_from_u64(seed));
            let failing: Vec<Failing> = all.iter().map(|(f, _)| f.clone()).collect();
            if failing.iter().filter(|f| !f.exceptions.is_empty()).count() < 5 {
                continue;
            }
            worlds += 1.0;
            let found = candidates(&failing, 24, 1);
            let Some(best) = found.iter().find(|c| c.is_knee) else {
                continue;
            };
            cleared += best.cleared.len() as f64 / best.of as f64;
            let admitted = all.iter().filter(|(f, of_group)| {
                let reached = best.scope.is_none_or(|s| f.scopes[s]);
                let passes = f.passes_from.is_some_and(|from| from <= best.value);
                !of_group && f.exceptions.is_empty() && reached && passes
            });
            wrong += admitted.count() as f64;
        }
        let (cleared, wrong) = (cleared / worlds, wrong / worlds);
        assert!(worlds > 450.0, "{worlds} worlds");
        assert!(cleared >= 0.70, "{cleared:.3} of the exceptions");
        assert!(
            wrong <= 0.5,
            "{wrong:.3} subjects that should go on failing"
        );
        println!(
            "{worlds} worlds: {cleared:.3} of the exceptions cleared, {wrong:.3} wrongly admitted"
        );
    }
}
