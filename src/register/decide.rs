//! Decisions, by people whose token says who they are, bound to what was put before them.

use chrono::{DateTime, Utc};

use super::{
    Error,
    activate::activate,
    again, freeze,
    people::{borrowed, by_own_roles},
};
use crate::{
    act::{Actor, moved},
    exception::{
        compensation,
        decide::{self, Approver, Consequence, Refusal, Verdict, Wish},
        package::Package,
        record::{Frozen, Record},
        state::Act,
    },
    model::{
        exception::{Condition, State},
        id::{ExceptionId, PersonId, Sha},
        request::{self, Request},
        rules::Ask,
    },
    run::{Context, Set},
    store::{Tx, delegations, exceptions, packages},
};

/// Somebody as an approver: their name, team and roles as they are now, and the roles that others let them act in.
pub(super) async fn approver(
    tx: &mut Tx,
    set: &Set,
    person: &PersonId,
    now: DateTime<Utc>,
) -> Result<Approver, Error> {
    let directory = &set.catalog.directory;
    let known = directory.person(person);
    let known = known
        .ok_or_else(|| Error::refused("person_left", format!("`{person}` is not in `people`")))?;
    let mut who = by_own_roles(known);
    let lent = delegations::to(tx, person, now).await?;
    let lent = lent.iter().filter_map(|one| borrowed(directory, one));
    who.roles.extend(lent);
    Ok(who)
}

pub(super) async fn load(tx: &mut Tx, id: &ExceptionId) -> Result<Record, Error> {
    let found = exceptions::get(tx, id).await?;
    found.ok_or_else(|| Error::Nothing(id.to_string()))
}

/// Whether the open step took too long, so that its stand-ins may take it, or nobody else may.
pub(super) fn escalated(record: &Record, now: DateTime<Utc>) -> bool {
    let late = record.step_due(now).is_some_and(|due| now >= due);
    let asked = record.frozen.as_ref().and_then(|f| f.escalated.as_ref());
    let open = record.pending(now).and_then(|p| p.open());
    late || asked.is_some() && asked == open.map(|s| &s.id)
}

/// Whether the policy is what it was when a request was frozen.
fn same_policy(set: &Set, frozen: &Frozen) -> bool {
    let policy = set.catalog.policies.get(&frozen.terms.provision.policy);
    policy.is_some_and(|p| {
        let rules = p.exceptions.as_deref();
        rules.is_some_and(|rules| freeze::pinned(p, rules) == frozen.terms.policy)
    })
}

/// What somebody says of an exception, bound to what they saw.
#[derive(Debug, Clone, PartialEq)]
pub struct Word {
    /// What.
    pub verdict: Verdict,
    /// Why.
    pub reason: Option<String>,
    /// An earlier end.
    pub ends: Option<DateTime<Utc>>,
    /// What must hold besides.
    pub conditions: Vec<request::Condition>,
    /// The digest of the package that was put before them, or enough of it.
    pub package: String,
}

/// What an approver adds to the conditions of a request, frozen as those are.
pub(super) fn added(
    set: &Set,
    frozen: &Frozen,
    request: &Request,
    asked: &[request::Condition],
) -> Result<Vec<Condition>, Error> {
    let natives = freeze::natives(request);
    let against = (&frozen.rules, &set.catalog.directory);
    let mut wrong: Vec<String> = Vec::new();
    let mut all: Vec<Condition> = Vec::new();
    for one in asked {
        let lacks = compensation::lacks("condition", one, against);
        if !lacks.is_empty() {
            wrong.extend(lacks.into_iter().map(|l| l.say));
            continue;
        }
        let one = freeze::condition(one, &frozen.rules, &natives)?;
        let known = frozen.terms.conditions.iter().chain(&all);
        if known.into_iter().any(|c| c.id == one.id) {
            wrong.push(format!("a condition `{}` is there already", one.id));
        }
        wrong.extend(super::condition::mistakes(set, &one));
        all.push(one);
    }
    if wrong.is_empty() {
        Ok(all)
    } else {
        Err(Error::refused("condition", wrong.join("; ")))
    }
}

/// The package that somebody names, if it was put before them.
pub(super) async fn seen(
    tx: &mut Tx,
    by: &PersonId,
    id: &ExceptionId,
    named: &str,
) -> Result<(Sha, Package), Error> {
    let unknown = || {
        let say = format!(
            "nothing with the digest `{named}` was put before you; `tripline exception package {id}` shows what is to be \
             decided, and its digest"
        );
        Error::refused("unknown_package", say)
    };
    if named.len() < 8 {
        return Err(unknown());
    }
    let all = packages::of(tx, id).await?;
    let found = all
        .into_iter()
        .rfind(|(digest, p)| p.person == *by && digest.to_string().starts_with(named));
    let (digest, kept) = found.ok_or_else(unknown)?;
    let package = serde_json::from_value(kept.body).map_err(|_| unknown())?;
    Ok((digest, package))
}

/// Decides the open step of a request, ratifies what was granted in an emergency, or lets a suspended exception go on.
///
/// # Errors
/// The named reason why they may not.
pub async fn decide(
    cx: &Context,
    set: &Set,
    by: &PersonId,
    id: &ExceptionId,
    word: Word,
) -> Result<Record, Error> {
    super::plainly("because", word.reason.as_deref())?;
    let now = cx.clock.now();
    let who = approver(&mut cx.store.read().await?, set, by, now).await?;
    let state = load(&mut cx.store.begin().await?, id).await?.state_at(now);
    if state == State::Suspended {
        return again::revalidate(cx, set, &who, id, word).await;
    }
    let mut tx = cx.store.begin().await?;
    let mut record = load(&mut tx, id).await?;
    let frozen = record.frozen.as_ref().ok_or(Refusal::NotPending)?;
    if !same_policy(set, frozen) {
        return Err(Refusal::StalePolicy.into());
    }
    let (digest, package) = seen(&mut tx, by, id, &word.package).await?;
    let escalated = escalated(&record, now);
    let pending = record.pending(now).ok_or(Refusal::NotPending)?;
    let wish = Wish {
        verdict: word.verdict,
        reason: word.reason,
        ends: word.ends,
        conditions: added(set, frozen, &record.request, &word.conditions)?,
        terms: package.terms_digest,
        package: Some(digest),
    };
    let (decision, consequence) = decide::decide(&pending, &who, wish, (escalated, now))?;
    let reason = decision.reason.clone();
    let ends = decision.ends;
    let until = ends.map_or(pending.until(), |end| end.min(pending.until()));
    let granted = record.state == State::Active;
    let conditions = decision.conditions.clone();
    record.decisions.push(decision);
    // Terms are not edited: with another condition they are those of a new revision.
    let narrowed = record
        .frozen
        .as_mut()
        .is_some_and(|f| f.narrow(&conditions));
    if narrowed {
        record.revision += 1;
        record.version = 1;
        if granted {
            super::condition::begin(&mut record, now);
        }
    }
    let person = Actor::Person(by);
    let why = reason.as_deref();
    match (consequence, granted) {
        (Consequence::Denied, false) => {
            moved(&mut tx, &mut record, (Act::Deny, person), why, now).await?;
        }
        (Consequence::SentBack, false) => {
            moved(&mut tx, &mut record, (Act::SendBack, person), why, now).await?;
        }
        // What was granted in an emergency and is not ratified is unwound.
        (Consequence::Denied | Consequence::SentBack, true) => {
            moved(&mut tx, &mut record, (Act::Revoke, person), why, now).await?;
            record.end_reason.clone_from(&reason);
        }
        (Consequence::GoesOn, _) => go_on(&mut tx, &mut record, person, now).await?,
        (Consequence::Approved, granted) => {
            record.times.expires_at = until;
            record.times.ratify_by = None;
            let act = if granted { Act::Ratify } else { Act::Approve };
            moved(&mut tx, &mut record, (act, person), why, now).await?;
        }
    }
    if narrowed {
        exceptions::insert(&mut tx, &record, now).await?;
    } else {
        exceptions::update(&mut tx, &mut record, now).await?;
    }
    tx.commit().await?;
    if record.state == State::Approved {
        activate(cx, set, record, now).await?;
    } else if narrowed && granted {
        super::condition::of_one(cx, set, record, now).await?;
    }
    load(&mut cx.store.begin().await?, id).await
}

/// Puts a request into force before the chain has decided: in an emergency, by one authority, for a short time. The chain
/// goes on, and if it has not signed in time, the grant is unwound.
///
/// # Errors
/// The named reason why they may not.
pub async fn grant(
    cx: &Context,
    set: &Set,
    by: &PersonId,
    id: &ExceptionId,
    reason: &str,
) -> Result<Record, Error> {
    let now = cx.clock.now();
    let who = approver(&mut cx.store.read().await?, set, by, now).await?;
    let mut tx = cx.store.begin().await?;
    let mut record = load(&mut tx, id).await?;
    let pending = record.pending(now).ok_or(Refusal::NotPending)?;
    if pending.state != State::PendingDecision || record.state != State::PendingDecision {
        return Err(Refusal::NotPending.into());
    }
    let frozen = record.frozen.as_ref().ok_or(Refusal::NotPending)?;
    if !same_policy(set, frozen) {
        return Err(Refusal::StalePolicy.into());
    }
    let Some(emergency) = frozen.routed.emergency.clone() else {
        let say = format!(
            "no route of {id} permits a grant before the decision ({})",
            frozen.routed.names().join(", ")
        );
        return Err(Error::refused("no_emergency", say));
    };
    if reason.trim().is_empty() {
        return Err(Refusal::NoReason.into());
    }
    let (role, options) = decide::may_grant(&pending, &who, &emergency)?;
    let ttl = [Some(emergency.ttl), options.max_duration]
        .into_iter()
        .flatten()
        .min();
    let end = now + ttl.unwrap_or(emergency.ttl).to_delta();
    let decision = decide::Decision {
        step: "emergency".to_owned(),
        approver: who.person.clone(),
        name: who.name.clone(),
        team: who.team.clone(),
        role,
        options,
        verdict: Verdict::Approve,
        reason: Some(reason.trim().to_owned()),
        ends: Some(end),
        conditions: Vec::new(),
        terms: frozen.digest,
        package: None,
        at: now,
    };
    record.decisions.push(decision);
    record.times.not_before = record.times.not_before.min(now);
    record.times.expires_at = record.times.expires_at.min(end);
    record.times.ratify_by = Some(now + emergency.ratify_within.to_delta());
    super::condition::begin(&mut record, now);
    let person = Actor::Person(by);
    moved(
        &mut tx,
        &mut record,
        (Act::Grant, person),
        Some(reason),
        now,
    )
    .await?;
    exceptions::update(&mut tx, &mut record, now).await?;
    tx.commit().await?;
    super::condition::of_one(cx, set, record, now).await?;
    load(&mut cx.store.begin().await?, id).await
}

/// A signature or an opinion that is not the last: the next step may open.
async fn go_on(
    tx: &mut Tx,
    record: &mut Record,
    person: Actor<'_>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let last = record.decisions.last().map(|d| d.step.clone());
    let open = record.pending(now).and_then(|p| p.open().cloned());
    let opens = open
        .as_ref()
        .is_some_and(|step| Some(&step.id) != last.as_ref());
    let asks = open.is_some_and(|step| matches!(step.ask, Ask::Approve(_)));
    if record.state == State::InAssessment && asks {
        moved(tx, record, (Act::Ask, person), None, now).await?;
    } else {
        moved(tx, record, (Act::Sign, person), None, now).await?;
    }
    if let Some(frozen) = record.frozen.as_mut().filter(|_| opens) {
        frozen.step_since = now;
    }
    Ok(())
}
