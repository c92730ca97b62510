//! Whom the register turns to: everybody as an approver with the roles that others lend them, who leads a policy, and
//! what becomes of a step that nobody takes.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::{Error, decide::escalated};
use crate::{
    exception::{
        decide::{Approver, Role, eligible},
        reach::shortage,
        record::Record,
    },
    model::{
        id::{PersonId, PolicyId, TeamId},
        people::{Directory, Person},
        rules::Step,
    },
    run::Set,
    store::{self, Tx, delegations},
};

/// Everybody as an approver: their roles as they are now, and those that others let them act in.
pub(super) async fn approvers(
    tx: &mut Tx,
    directory: &Directory,
    now: DateTime<Utc>,
) -> Result<Vec<Approver>, store::Error> {
    let mut lent: BTreeMap<PersonId, Vec<Role>> = BTreeMap::new();
    for one in delegations::list(tx).await? {
        let holds = one.revoked_at.is_none() && one.begins_at <= now && now < one.ends_at;
        if let Some(role) = borrowed(directory, &one).filter(|_| holds) {
            lent.entry(one.delegate).or_default().push(role);
        }
    }
    let all = directory.people.iter().map(|p| {
        let mut who = by_own_roles(p);
        who.roles
            .extend(lent.remove(&who.person).unwrap_or_default());
        who
    });
    Ok(all.collect())
}

/// Somebody with nothing but their own roles.
pub(super) fn by_own_roles(person: &Person) -> Approver {
    Approver {
        person: PersonId::new(&person.id.value),
        name: person.name.clone(),
        team: person.team.as_ref().map(|t| TeamId::new(&t.value)),
        roles: person.roles.iter().map(Role::own).collect(),
    }
}

/// A lent role. Nobody lends what they do not have any more.
pub(super) fn borrowed(directory: &Directory, one: &delegations::Delegation) -> Option<Role> {
    let lender = directory.person(&one.person)?;
    lender.roles.contains(&one.role).then(|| Role {
        role: one.role.clone(),
        on_behalf_of: Some(one.person.clone()),
        their_team: lender.team.as_ref().map(|t| TeamId::new(&t.value)),
    })
}

/// Those who may take the open step of a request.
pub(super) fn asked(
    people: &[Approver],
    record: &Record,
    escalated: bool,
    now: DateTime<Utc>,
) -> Vec<PersonId> {
    let Some(pending) = record.pending(now) else {
        return Vec::new();
    };
    let may = |who: &&Approver| eligible(&pending, who, escalated).is_ok();
    let all = people.iter().filter(may);
    all.map(|who| who.person.clone()).collect()
}

/// Whether somebody leads a policy: by the role, or because the policy names them or their team as its owner.
pub(super) fn leads(set: &Set, policy: &PolicyId, who: &PersonId) -> bool {
    let directory = &set.catalog.directory;
    let by_role = directory
        .person(who)
        .is_some_and(|p| p.roles.iter().any(|r| r == "policy-lead"));
    let policy = set.catalog.policies.get(policy);
    by_role || policy.is_some_and(|p| directory.leads_to(&p.owner, who))
}

/// Everybody who leads a policy; when nobody does, whoever administers Tripline.
pub(super) fn leaders(set: &Set, policy: &PolicyId) -> Vec<PersonId> {
    let people = &set.catalog.directory.people;
    let all = people.iter().map(|p| PersonId::new(&p.id.value));
    let found: Vec<PersonId> = all.filter(|p| leads(set, policy, p)).collect();
    if !found.is_empty() {
        return found;
    }
    let administers = |p: &&Person| p.roles.iter().any(|r| r == "administrator");
    let all = people.iter().filter(administers);
    all.map(|p| PersonId::new(&p.id.value)).collect()
}

/// How it ends what is said when a step cannot be taken even by those who stand in.
pub(super) const TO_THE_LEAD: &str = "whoever leads the policy is asked to see to it";

/// What to say when the open step took too long, or a step cannot be taken by those who are there: then those who stand
/// in for it are asked, and when they cannot take it either, whoever leads the policy. The record remembers that, so that
/// it is said once.
pub(super) fn late(people: &[Approver], record: &mut Record, now: DateTime<Utc>) -> Option<String> {
    let due_at = record.step_due(now)?;
    let pending = record.pending(now)?;
    let open = pending.open()?.clone();
    let stand_in = escalated(record, now);
    let frozen = record.frozen.as_ref()?;
    let asked = frozen.escalated.as_ref() == Some(&open.id);
    // What others stand in for later can be completed; the open step needs somebody now.
    let alone = |step: &Step| step.id != open.id || stand_in;
    let short = shortage(&pending, people, &alone);
    let by_all = shortage(&pending, people, &|_| true);
    let told = frozen.unreachable.clone();
    let stuck = by_all.map(|(step, why)| (step.id.clone(), why));
    let short = short.map(|(step, why)| (step.id.clone(), why));
    let frozen = record.frozen.as_mut()?;
    if open.escalate.is_some() && !asked {
        let here = short.filter(|(step, _)| *step == open.id);
        let why = if now >= due_at {
            Some("the open step took too long: its stand-ins are asked".to_owned())
        } else {
            here.filter(|_| stuck.as_ref().is_none_or(|(step, _)| *step != open.id))
                .map(|(step, why)| {
                    format!(
                        "step `{step}` cannot be taken: {} ({why}); its stand-ins are asked",
                        why.say()
                    )
                })
        };
        if why.is_some() {
            frozen.escalated = Some(open.id);
            return why;
        }
    }
    let (step, why) = stuck?;
    if told.as_ref() == Some(&step) {
        return None;
    }
    let said = format!(
        "step `{step}` cannot be taken by anybody: {} ({why}); {TO_THE_LEAD}",
        why.say()
    );
    frozen.unreachable = Some(step);
    Some(said)
}

/// The same, with everybody as they are now.
pub(super) async fn late_now(
    tx: &mut Tx,
    set: &Set,
    record: &mut Record,
    now: DateTime<Utc>,
) -> Result<Option<String>, Error> {
    if record.step_due(now).is_none() {
        return Ok(None);
    }
    let people = approvers(tx, &set.catalog.directory, now).await?;
    Ok(late(&people, record, now))
}
