//! What people do to an exception besides deciding it: take it back, end it, put it out of force, look at it again, join
//! it, look back at it.

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    Error,
    decide::{approver, load},
    identity,
    people::leads,
};
use crate::{
    act::{self, Actor, moved},
    audit::leaf::{Authority, AuthorityFact, Fact, Leaf},
    clock::stamp,
    exception::{
        decide::{Approver, Decision, Verdict},
        record::{Closure, Joiner, Outcome, Record, Reply},
        state::Act,
    },
    model::{
        control::Given,
        exception::{State, Suspension},
        id::{ControlId, ExceptionId, PersonId},
        people::Principal,
    },
    run::{Context, Set},
    store::{Tx, audit, delegations, delegations::Delegation, exceptions},
};

/// Takes a request back, ends an exception before its time, puts it out of force, or looks at it again. `act` is one of
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
    let reason = why(reason)?;
    let who = approver(&mut cx.store.read().await?, set, by, now).await?;
    let mut tx = cx.store.begin().await?;
    let mut record = load(&mut tx, id).await?;
    may_end(set, &record, &who, act)?;
    match act {
        Act::Suspend => record.suspension = Some(Suspension::Asked),
        Act::Review => record.reviewed_at = Some(now),
        Act::Revoke | Act::Withdraw => record.end_reason = Some(reason.to_owned()),
        _ => {}
    }
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
    exceptions::update(&mut tx, &mut record, now).await?;
    tx.commit().await?;
    Ok(record)
}

/// Whoever asks or answers for it may take it back or end it; so may whoever signed its last step, whoever leads its
/// policy, and whoever answers for one of its controls. Closing is for those who lead the policy.
fn may_end(set: &Set, record: &Record, who: &Approver, act: Act) -> Result<(), Error> {
    let directory = &set.catalog.directory;
    let named = |name: &Option<String>| {
        let found = name.as_deref().and_then(|n| directory.find(n));
        found == Some(Principal::Person(who.person.clone()))
    };
    let own = match &record.frozen {
        Some(frozen) => who.person == frozen.terms.requester || who.person == frozen.terms.owner,
        None => named(&record.request.requester),
    };
    let signed = record
        .decisions
        .iter()
        .any(|d| d.approver == who.person && d.options.grants);
    let leads = leads(set, &record.request.provision.policy, &who.person);
    let of_control = || {
        let controls = record.request.controls.iter().map(ControlId::new);
        let mut controls = controls.filter_map(|id| set.catalog.control(&id).cloned());
        controls.any(|control| {
            let (Given::Fixed(name)
            | Given::Column {
                otherwise: name, ..
            }) = &control.owner;
            directory.leads_to(name, &who.person)
        })
    };
    let (may, say) = match act {
        Act::Withdraw => (own, "only who asked or answers for it may take it back"),
        Act::Revoke | Act::Suspend => (
            own || signed || leads || of_control(),
            "only who asked, answers for it or its control, signed it or leads the policy may end it",
        ),
        Act::Review => (
            signed || leads,
            "only who signed it last or leads the policy looks at it again",
        ),
        Act::Close | Act::Answer => (leads, "only who leads the policy may do that"),
        _ => (false, "that is nobody's to do"),
    };
    if may {
        Ok(())
    } else {
        Err(Error::refused("not_yours", format!("{}: {say}", record.id)))
    }
}

fn why(reason: &str) -> Result<&str, Error> {
    match reason.trim() {
        "" => Err(Error::refused(
            "no_reason",
            "say why: others will want to know",
        )),
        reason => {
            super::plainly("because", Some(reason))?;
            Ok(reason)
        }
    }
}

/// Looks back at an exception that is over, with how it came out. Those that were in force need an outcome.
///
/// # Errors
/// The named reason why they may not.
pub async fn close(
    cx: &Context,
    set: &Set,
    by: &PersonId,
    id: &ExceptionId,
    (outcome, note): (Outcome, &str),
) -> Result<Record, Error> {
    let now = cx.clock.now();
    let note = why(note)?;
    let who = approver(&mut cx.store.read().await?, set, by, now).await?;
    let mut tx = cx.store.begin().await?;
    let mut record = load(&mut tx, id).await?;
    may_end(set, &record, &who, Act::Close)?;
    let was_active = record.times.activated_at.is_some();
    if was_active == (outcome == Outcome::NeverActive) {
        let say = if was_active {
            format!("{id} was in force, so it has an outcome")
        } else {
            format!("{id} never was in force: its outcome is `never_active`")
        };
        return Err(Error::refused("wrong_outcome", say));
    }
    // What time ended and no sweep has written down yet.
    super::sweep::one(&mut tx, set, &mut record, now).await?;
    record.closure = Some(Closure {
        by: by.clone(),
        outcome,
        note: note.to_owned(),
        at: now,
    });
    let said = format!("{outcome}: {note}");
    moved(
        &mut tx,
        &mut record,
        (Act::Close, Actor::Person(by)),
        Some(&said),
        now,
    )
    .await?;
    exceptions::update(&mut tx, &mut record, now).await?;
    tx.commit().await?;
    Ok(record)
}

/// Answers what a request without an end asks of the policy. It is told to who asked, and stands with the request.
///
/// # Errors
/// The named reason why they may not.
pub async fn answer(
    cx: &Context,
    set: &Set,
    by: &PersonId,
    id: &ExceptionId,
    said: &str,
) -> Result<Record, Error> {
    let now = cx.clock.now();
    let said = why(said)?;
    let who = approver(&mut cx.store.read().await?, set, by, now).await?;
    let mut tx = cx.store.begin().await?;
    let mut record = load(&mut tx, id).await?;
    may_end(set, &record, &who, Act::Answer)?;
    let question = record.question.as_mut().filter(|q| q.answer.is_none());
    let Some(question) = question else {
        let say = format!("{id} asks nothing of the policy that is not answered");
        return Err(Error::refused("no_question", say));
    };
    question.answer = Some(Reply {
        by: by.clone(),
        said: said.to_owned(),
        at: now,
    });
    let person = Actor::Person(by);
    moved(&mut tx, &mut record, (Act::Answer, person), Some(said), now).await?;
    exceptions::update(&mut tx, &mut record, now).await?;
    tx.commit().await?;
    Ok(record)
}

/// Another team asks for the same: it joins instead of asking anew. What it joins goes on as it is; the team is counted.
///
/// # Errors
/// The named reason why they may not.
pub async fn join(
    cx: &Context,
    set: &Set,
    by: &PersonId,
    id: &ExceptionId,
    because: &str,
) -> Result<Record, Error> {
    let now = cx.clock.now();
    let because = why(because)?;
    let who = approver(&mut cx.store.read().await?, set, by, now).await?;
    let mut tx = cx.store.begin().await?;
    let mut record = load(&mut tx, id).await?;
    let state = record.state_at(now);
    if !(state.is_pending() || matches!(state, State::Approved | State::Active)) {
        return Err(act::Error::not_now(&record, Act::Join, now).into());
    }
    let Some(team) = who.team else {
        return Err(Error::refused(
            "no_team",
            format!("{by} is of no team, and teams join"),
        ));
    };
    let own = record.request.beneficiary_team.as_deref() == Some(team.as_str());
    if own || record.joiners.iter().any(|j| j.team == team) {
        return Err(Error::refused(
            "joined_already",
            format!("{team} asks for it already"),
        ));
    }
    // Who benefits never approves: whose team signed asks for their own.
    let of_team = |d: &Decision| {
        d.verdict == Verdict::Approve
            && [&d.team, &d.role.their_team].contains(&&Some(team.clone()))
    };
    if record.decisions.iter().any(of_team) {
        let say = format!("somebody of {team} signed {id}, and nobody approves what serves them");
        return Err(Error::refused("has_signed", say));
    }
    record.joiners.push(Joiner {
        team,
        person: by.clone(),
        because: because.to_owned(),
        at: now,
    });
    moved(
        &mut tx,
        &mut record,
        (Act::Join, Actor::Person(by)),
        Some(because),
        now,
    )
    .await?;
    exceptions::update(&mut tx, &mut record, now).await?;
    tx.commit().await?;
    Ok(record)
}

/// Lets another act in one's place: in one of one's own roles, for a time.
///
/// # Errors
/// The named reason why they may not.
pub async fn delegate(
    cx: &Context,
    set: &Set,
    by: &PersonId,
    (to, role): (&PersonId, &str),
    (begins_at, ends_at): (DateTime<Utc>, DateTime<Utc>),
    because: &str,
) -> Result<Delegation, Error> {
    let now = cx.clock.now();
    let because = why(because)?;
    let directory = &set.catalog.directory;
    let own = directory
        .person(by)
        .is_some_and(|p| p.roles.iter().any(|r| r == role));
    if !own {
        let say =
            format!("you do not bear the role `{role}`, and nobody lends what they do not have");
        return Err(Error::refused("not_yours", say));
    }
    if to == by || directory.person(to).is_none() {
        return Err(Error::refused(
            "nobody",
            format!("`{to}` is nobody who could act in your place"),
        ));
    }
    if ends_at <= begins_at || ends_at <= now || ends_at - begins_at > LONGEST_LOAN {
        let say = "it ends before it begins, is over, or lasts longer than ninety days".to_owned();
        return Err(Error::refused("wrong_time", say));
    }
    let one = Delegation {
        id: stamp("dlg-", now),
        person: by.clone(),
        delegate: to.clone(),
        role: role.to_owned(),
        begins_at,
        ends_at,
        because: because.to_owned(),
        created_at: now,
        revoked_at: None,
    };
    let mut tx = cx.store.begin().await?;
    delegations::insert(&mut tx, &one).await?;
    prove(&mut tx, Authority::Lent, &one, now).await?;
    tx.commit().await?;
    Ok(one)
}

/// Takes a role back that was lent; whether it was still lent. Only whoever lent it may.
///
/// # Errors
/// When the store cannot be read or written.
pub async fn undelegate(cx: &Context, by: &PersonId, id: &str) -> Result<bool, Error> {
    let now = cx.clock.now();
    let mut tx = cx.store.begin().await?;
    if !delegations::revoke(&mut tx, id, by, now).await? {
        return Ok(false);
    }
    let all = delegations::list(&mut tx).await?;
    if let Some(one) = all.iter().find(|d| d.id == id) {
        prove(&mut tx, Authority::TakenBack, one, now).await?;
    }
    tx.commit().await?;
    Ok(true)
}

/// The leaf of a role that was lent or taken back.
async fn prove(
    tx: &mut Tx,
    what: Authority,
    one: &Delegation,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let fact = AuthorityFact {
        what,
        about: one.id.clone(),
        person: identity::blinded(tx, &one.person).await?,
        delegate: Some(identity::blinded(tx, &one.delegate).await?),
        role: Some(one.role.clone()),
        begins_at: one.begins_at,
        ends_at: one.ends_at,
    };
    audit::append(tx, &[Leaf::new(now, Fact::Authority(fact))]).await?;
    Ok(())
}

/// The longest that a role is lent.
const LONGEST_LOAN: TimeDelta = TimeDelta::days(90);
