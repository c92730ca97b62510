//! Whether those who are there can take the steps of a chain: enough of them, of enough teams, nobody twice. A chain that
//! nobody can complete is told when it begins, and not when it has lapsed.

use std::collections::BTreeSet;

use crate::{
    choice,
    model::{
        id::TeamId,
        rules::{Ask, Step},
    },
};

use super::decide::{Approver, Pending, may_take};

choice! {
    /// Why a step cannot be taken by those who are there.
    pub enum Shortage {
        /// Nobody bears the role, or whoever does may not decide this request.
        Nobody = "nobody_eligible",
        /// Fewer people than it takes signatures.
        TooFew = "too_few_eligible",
        /// Fewer teams than it takes.
        TooFewTeams = "too_few_teams",
        /// The same people would have to sign several steps.
        SamePeople = "same_people",
    }
}

impl Shortage {
    /// As people read it.
    pub const fn say(self) -> &'static str {
        match self {
            Self::Nobody => "nobody who is asked may decide it",
            Self::TooFew => "fewer people may decide it than it takes signatures",
            Self::TooFewTeams => "those who may decide it are of too few teams",
            Self::SamePeople => "the same people would have to sign several steps",
        }
    }
}

/// One signature that is missing: of which step, and who could give it.
struct Slot<'a> {
    step: &'a Step,
    people: Vec<usize>,
}

/// The first step that those who are there cannot take, and why; nothing when the chain can be completed. `stand_ins`
/// says of a step whether those who stand in for its role may take it.
pub fn shortage<'a>(
    pending: &Pending<'a>,
    people: &[Approver],
    stand_ins: &dyn Fn(&Step) -> bool,
) -> Option<(&'a Step, Shortage)> {
    let mut slots: Vec<Slot<'a>> = Vec::new();
    for step in pending.steps.iter().filter(|s| !pending.is_done(s)) {
        let escalated = stand_ins(step);
        let may = |role: Option<&str>| -> Vec<usize> {
            let fits = |who: &Approver| match may_take(pending, step, who, escalated) {
                Ok((taken, _)) => role.is_none_or(|role| {
                    let stands_in = escalated && step.escalate.as_ref() == Some(&taken.role);
                    stands_in || who.roles.iter().any(|r| r.role == role)
                }),
                Err(_) => false,
            };
            let all = people.iter().enumerate().filter(|(_, who)| fits(who));
            all.map(|(n, _)| n).collect()
        };
        match &step.ask {
            Ask::Facts => {}
            Ask::Assess(roles) => {
                let said: Vec<&str> = pending.signed(step).map(|d| d.role.role.as_str()).collect();
                for role in roles.iter().filter(|r| !said.contains(&r.as_str())) {
                    let people = may(Some(role));
                    if people.is_empty() {
                        return Some((step, Shortage::Nobody));
                    }
                    slots.push(Slot { step, people });
                }
            }
            Ask::Approve(_) => {
                let missing = (step.quorum as usize).saturating_sub(pending.signed(step).count());
                let able = may(None);
                if able.is_empty() {
                    return Some((step, Shortage::Nobody));
                }
                if able.len() < missing {
                    return Some((step, Shortage::TooFew));
                }
                let teams: BTreeSet<&TeamId> = able
                    .iter()
                    .filter_map(|n| people.get(*n)?.team.as_ref())
                    .collect();
                if step.distinct_teams && teams.len() < missing {
                    return Some((step, Shortage::TooFewTeams));
                }
                let slot = || Slot {
                    step,
                    people: able.clone(),
                };
                slots.extend(std::iter::repeat_with(slot).take(missing));
            }
        }
    }
    unmatched(&slots).map(|step| (step, Shortage::SamePeople))
}

/// The step of the first signature for which nobody is left, when everybody gives one at most (Kuhn's matching).
fn unmatched<'a>(slots: &[Slot<'a>]) -> Option<&'a Step> {
    let mut taken: Vec<Option<usize>> = Vec::new();
    for (n, slot) in slots.iter().enumerate() {
        if !place(n, slots, &mut taken, &mut BTreeSet::new()) {
            return Some(slot.step);
        }
    }
    None
}

fn place(
    slot: usize,
    slots: &[Slot<'_>],
    taken: &mut Vec<Option<usize>>,
    tried: &mut BTreeSet<usize>,
) -> bool {
    let Some(people) = slots.get(slot).map(|s| &s.people) else {
        return false;
    };
    for person in people {
        if !tried.insert(*person) {
            continue;
        }
        if taken.len() <= *person {
            taken.resize(*person + 1, None);
        }
        let holder = taken.get(*person).copied().flatten();
        if holder.is_none_or(|other| place(other, slots, taken, tried)) {
            if let Some(place) = taken.get_mut(*person) {
                *place = Some(slot);
            }
            return true;
        }
    }
    false
}
