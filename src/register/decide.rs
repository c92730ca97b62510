//! Decisions and endings, by people whose token says who they are.

use super::{Error, freeze};
use crate::{
    act::{self, Actor, moved},
    exception::{
        decide::{self, Approver, Consequence, Refusal, Role, Wish},
        record::Record,
        state::Act,
    },
    model::{
        exception::State,
        id::{ExceptionId, PersonId, TeamId},
        rules::Ask,
    },
    run::{Context, Set},
    store::exceptions,
};

/// Somebody as an approver: their name, team and roles as they are now.
fn approver(set: &Set, person: &PersonId) -> Result<Approver, Error> {
    let known = set.catalog.directory.person(person);
    let known = known
        .ok_or_else(|| Error::refused("person_left", format!("`{person}` is not in `people`")))?;
    Ok(Approver {
        person: person.clone(),
        name: known.name.clone(),
        team: known.team.as_ref().map(|t| TeamId::new(&t.value)),
        roles: known
            .roles
            .iter()
            .map(|role| Role {
                role: role.clone(),
                on_behalf_of: None,
            })
            .collect(),
    })
}

async fn load(tx: &mut crate::store::Tx, id: &ExceptionId) -> Result<Record, Error> {
    let found = exceptions::get(tx, id).await?;
    found.ok_or_else(|| Error::Nothing(id.to_string()))
}

/// Decides the open step of a request.
///
/// # Errors
/// The named reason why they may not.
pub async fn decide(
    cx: &Context,
    set: &Set,
    by: &PersonId,
    id: &ExceptionId,
    wish: Wish,
) -> Result<Record, Error> {
    let now = cx.clock.now();
    let who = approver(set, by)?;
    let mut tx = cx.store.begin().await?;
    let mut record = load(&mut tx, id).await?;
    let frozen = record.frozen.as_ref().ok_or(Refusal::NotPending)?;
    let policy = set.catalog.policies.get(&frozen.terms.provision.policy);
    let same = policy.is_some_and(|p| {
        let rules = p.exceptions.as_deref();
        rules.is_some_and(|rules| freeze::pinned(p, rules) == frozen.terms.policy)
    });
    if !same {
        return Err(Refusal::StalePolicy.into());
    }
    let pending = record.pending(now).ok_or(Refusal::NotPending)?;
    let open = pending.open().cloned();
    let window = frozen.routed.sla.or(open.as_ref().map(|s| s.sla));
    let escalated = window.is_some_and(|sla| now - frozen.step_since >= sla.to_delta());
    let (decision, consequence) = decide::decide(&pending, &who, wish, (escalated, now))?;
    let reason = decision.reason.clone();
    let ends = decision.ends;
    record.decisions.push(decision);
    let person = Actor::Person(by);
    let why = reason.as_deref();
    match consequence {
        Consequence::Denied => moved(&mut tx, &mut record, (Act::Deny, person), why, now).await?,
        Consequence::SentBack => {
            moved(&mut tx, &mut record, (Act::SendBack, person), why, now).await?;
        }
        Consequence::GoesOn => go_on(&mut tx, &mut record, person, now).await?,
        Consequence::Approved => {
            if let Some(ends) = ends {
                record.times.expires_at = record.times.expires_at.min(ends);
            }
            moved(&mut tx, &mut record, (Act::Approve, person), why, now).await?;
            if now >= record.times.not_before {
                moved(
                    &mut tx,
                    &mut record,
                    (Act::Activate, Actor::Machine),
                    None,
                    now,
                )
                .await?;
            }
        }
    }
    exceptions::update(&mut tx, &mut record, now).await?;
    tx.commit().await?;
    Ok(record)
}

/// A signature or an opinion that is not the last: the next step may open.
async fn go_on(
    tx: &mut crate::store::Tx,
    record: &mut Record,
    person: Actor<'_>,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<(), Error> {
    let last = record.decisions.last().map(|d| d.step.clone());
    let open = record.pending(now).and_then(|p| p.open().cloned());
    let opens = open
        .as_ref()
        .is_some_and(|step| Some(&step.id) != last.as_ref());
    let asks = open.is_some_and(|step| matches!(step.ask, Ask::Approve(_)));
    if record.state == State::InAssessment && asks {
        moved(tx, record, (Act::Ask, person), None, now).await?;
    } else if record.state == State::PendingDecision {
        moved(tx, record, (Act::Sign, person), None, now).await?;
    }
    if let Some(frozen) = record.frozen.as_mut().filter(|_| opens) {
        frozen.step_since = now;
    }
    Ok(())
}

/// Takes a request back, ends an exception before its time, suspends or restores it, or closes it. `act` is one of
/// these.
///
/// # Errors
/// The named reason why they may not.
pub async fn end(
    cx: &Context,
    set: &Set,
    by: &PersonId,
    (id, act): (&ExceptionId, Act),
    reason: &str,
) -> Result<Record, Error> {
    let now = cx.clock.now();
    if reason.trim().is_empty() {
        return Err(Error::refused(
            "no_reason",
            "say why: others will want to know",
        ));
    }
    let who = approver(set, by)?;
    let mut tx = cx.store.begin().await?;
    let mut record = load(&mut tx, id).await?;
    may_end(&record, &who, act)?;
    // What time alone has ended cannot be ended again.
    if record.state_at(now) != record.state {
        return Err(act::Error::not_now(&record, act, now).into());
    }
    moved(
        &mut tx,
        &mut record,
        (act, Actor::Person(by)),
        Some(reason),
        now,
    )
    .await?;
    record.end_reason = Some(reason.to_owned());
    exceptions::update(&mut tx, &mut record, now).await?;
    tx.commit().await?;
    Ok(record)
}

/// Whoever asks or answers for it may take it back or end it; so may whoever signed its last step. Closing is for those
/// who lead the policy.
fn may_end(record: &Record, who: &Approver, act: Act) -> Result<(), Error> {
    let Some(frozen) = &record.frozen else {
        let own = record.request.requester.as_deref() == Some(who.person.as_str());
        return if own {
            Ok(())
        } else {
            Err(Error::refused(
                "not_yours",
                "only who asked may take it back",
            ))
        };
    };
    let terms = &frozen.terms;
    let own = who.person == terms.requester || who.person == terms.owner;
    let signed = record
        .decisions
        .iter()
        .any(|d| d.approver == who.person && d.options.grants);
    let is = |role: &str| who.roles.iter().any(|r| r.role == role);
    let may = match act {
        Act::Withdraw => own,
        Act::Revoke | Act::Suspend => own || signed || is("policy-lead"),
        Act::Restore => signed,
        Act::Close => is("policy-lead") && !own,
        _ => false,
    };
    if may {
        Ok(())
    } else {
        let say = format!("{} may not `{act}` {}", who.person, record.id);
        Err(Error::refused("not_yours", say))
    }
}
