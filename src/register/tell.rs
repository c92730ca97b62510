//! Who hears of what happened in the register. Each event is told once, whoever caused it and whenever: what happened
//! while nobody could be told waits in the store.

use std::collections::BTreeSet;

use chrono::TimeDelta;

use super::{
    Error, context,
    people::{TO_THE_LEAD, approvers, asked, leaders},
};
use crate::{
    exception::{decide::Approver, record::Record, state::Act},
    model::{
        exception::State,
        id::PersonId,
        notice::{Kind, Word},
        people::{Directory, Principal},
        rules::Ask,
    },
    notify::plan::{About, direct},
    run::{Context, Set},
    store::{exceptions, exceptions::Untold, outbox},
};

/// Owes a word to everybody who is to hear of what happened since the last time. Gives how many are owed.
///
/// # Errors
/// When the store cannot be read or written; what was not written is told the next time.
pub async fn tell(cx: &Context, set: &Set) -> Result<u64, Error> {
    let now = cx.clock.now();
    let untold = exceptions::untold(&mut cx.store.read().await?).await?;
    let mut owed = 0;
    for one in untold {
        let mut tx = cx.store.begin().await?;
        let record = exceptions::revision(&mut tx, &one.exception, one.revision).await?;
        if !exceptions::told(&mut tx, &one, now).await? {
            continue;
        }
        let people = approvers(&mut tx, &set.catalog.directory, one.event.at).await?;
        if let Some(record) = record
            && let Some((mut about, whom)) = news(set, &people, &one, &record)
        {
            if about.word == Word::Requested {
                about.detail = context::detail(&mut tx, set, &record).await?;
            }
            let items = direct(&set.desk, &about, &whom, now);
            owed += items.len() as u64;
            outbox::enqueue(&mut tx, &items).await?;
        }
        tx.commit().await?;
    }
    Ok(owed)
}

/// What to say of an event and to whom; nothing of most of them.
fn news(
    set: &Set,
    people: &[Approver],
    one: &Untold,
    record: &Record,
) -> Option<(About, Vec<(Principal, &'static str)>)> {
    let event = &one.event;
    let id = &record.id;
    let title = record.request.title.clone().unwrap_or_default();
    let directory = &set.catalog.directory;
    let about = |word, sentence: String| About {
        kind: Kind::Exception,
        id: id.to_string(),
        owner: record.frozen.as_ref().map(|f| f.terms.owner.to_string()),
        event: format!("{id}:{}:{}", one.revision, one.number),
        word,
        title: title.clone(),
        sentence,
        because: event.reason.clone(),
        detail: None,
        due_at: None,
        is_pressing: false,
        letter: None,
    };
    let asks = matches!(
        (event.act, event.after),
        (
            Act::Assess | Act::Ask | Act::Sign | Act::Escalate,
            State::InAssessment | State::PendingDecision
        )
    );
    if asks {
        return wanted(
            (set, people),
            record,
            event,
            about(Word::Requested, String::new()),
        );
    }
    let policy = &record.request.provision.policy;
    let leaders = |why| -> Vec<(Principal, &'static str)> {
        let all = leaders(set, policy).into_iter();
        all.map(|p| (Principal::Person(p), why)).collect()
    };
    match event.act {
        Act::Question => {
            let sentence = format!(
                "{id} asks to deviate from `{}` without an end, and waits for your answer",
                record.request.provision
            );
            let whom = leaders("you lead the policy");
            return Some((about(Word::Questioned, sentence), whom));
        }
        Act::Answer => {
            let sentence = format!(
                "What {id} asks of `{}` is answered",
                record.request.provision
            );
            let whom = concerned(directory, record, Act::SendBack);
            return Some((about(Word::Decided, sentence), whom));
        }
        Act::Sign if event.after == State::Suspended => {
            let sentence = format!("{id} is suspended, and was looked at anew");
            let whom = concerned(directory, record, event.act);
            return Some((about(Word::InfoNeeded, sentence), whom));
        }
        _ => {}
    }
    let (word, sentence) = match (event.act, event.after) {
        (Act::SendBack, _) => (
            Word::InfoNeeded,
            format!("{id} was sent back: {}", lacking(record, event)),
        ),
        (Act::Approve, _) => (Word::Decided, format!("{id} is approved{}", until(record))),
        (Act::Deny, _) => (Word::Decided, format!("{id} is denied")),
        (Act::Grant, _) => (
            Word::Decided,
            format!(
                "{id} was granted in an emergency{}, and has to be ratified",
                until(record)
            ),
        ),
        (Act::Ratify, _) => (Word::Decided, format!("{id} is ratified{}", until(record))),
        (Act::Warn, _) => (
            Word::ConditionFailed,
            format!("A condition of {id} does not hold; {id} goes on, as was agreed"),
        ),
        (Act::Suspend, _) => (Word::Ended, format!("{id} is suspended")),
        (Act::Revoke, _) => (Word::Ended, format!("{id} is revoked")),
        (Act::Lapse, _) => (Word::Ended, format!("{id} has lapsed")),
        (Act::Expire, _) => (Word::Ended, format!("{id} has ended: its time is over")),
        _ => return None,
    };
    let mut about = about(word, sentence);
    about.is_pressing = event.act == Act::Grant;
    Some((about, concerned(directory, record, event.act)))
}

fn until(record: &Record) -> String {
    format!(
        " until {}",
        record.times.expires_at.format("%Y-%m-%d %H:%M UTC")
    )
}

fn lacking(record: &Record, event: &exceptions::Event) -> String {
    if record.lacks.is_empty() {
        return event.reason.clone().unwrap_or_default();
    }
    let all: Vec<&str> = record.lacks.iter().map(|l| l.say.as_str()).collect();
    all.join("; ")
}

/// Those whose answer the open step waits for.
fn wanted(
    (set, people): (&Set, &[Approver]),
    record: &Record,
    event: &exceptions::Event,
    about: About,
) -> Option<(About, Vec<(Principal, &'static str)>)> {
    let directory = &set.catalog.directory;
    let frozen = record.frozen.as_ref()?;
    let now = event.at;
    let pending = record.pending(now)?;
    let step = pending.open()?;
    // Another signature in the same step asks nobody anew.
    let since = (frozen.step_since - event.at).abs();
    let begins = since < TimeDelta::milliseconds(1) || event.act == Act::Escalate;
    if !begins {
        return None;
    }
    let escalated = event.act == Act::Escalate;
    let mut whom: Vec<(Principal, &'static str)> = asked(people, record, escalated, now)
        .into_iter()
        .map(|p| (Principal::Person(p), "you may decide it"))
        .collect();
    for person in &directory.people {
        if person.roles.iter().any(|r| frozen.routed.also.contains(r)) {
            let person = Principal::Person(PersonId::new(&person.id.value));
            whom.push((person, "it is pressing, and your role hears of it"));
        }
    }
    // What nobody there can take is for whoever leads the policy to see to.
    let said = event.reason.as_deref();
    let to_the_lead = said.is_some_and(|why| why.ends_with(TO_THE_LEAD));
    if let Some(step) = frozen.unreachable.as_ref().filter(|_| to_the_lead) {
        let policy = &record.request.provision.policy;
        let leaders = leaders(set, policy).into_iter().map(Principal::Person);
        let leaders = leaders.map(|p| (p, "you lead the policy"));
        let sentence = format!(
            "Nobody can take step `{step}` of {}: name somebody who may, or lend the role",
            record.id
        );
        let about = About {
            sentence,
            is_pressing: true,
            ..about
        };
        return Some((about, leaders.collect()));
    }
    let what = match &step.ask {
        Ask::Assess(_) => "an assessment",
        _ => "a decision",
    };
    let late = if escalated && record.step_due(now).is_some_and(|due| now >= due) {
        ", which took too long"
    } else {
        ""
    };
    let sentence = format!(
        "{} waits for {what} of yours in step `{}`{late}: {}",
        record.id, step.id, frozen.terms.title
    );
    Some((
        About {
            sentence,
            because: Some(frozen.terms.business_purpose.clone()),
            due_at: record.step_due(now),
            is_pressing: frozen.routed.sla.is_some() || escalated,
            ..about
        },
        whom,
    ))
}

/// Everybody whom it concerns: who asked, who answers for it, who watches it, whom it serves, who joined. A lack of
/// information concerns only who asked.
fn concerned(directory: &Directory, record: &Record, act: Act) -> Vec<(Principal, &'static str)> {
    let mut whom: Vec<(Principal, &'static str)> = Vec::new();
    let mut add = |name: Option<&String>, why| {
        if let Some(principal) = name.and_then(|n| directory.find(n)) {
            whom.push((principal, why));
        }
    };
    let request = &record.request;
    add(request.requester.as_ref(), "you asked for it");
    if act != Act::SendBack {
        add(request.owner.as_ref(), "you answer for it");
        for monitor in &request.monitors {
            add(Some(monitor), "you watch it");
        }
        let team = request
            .beneficiary_team
            .as_ref()
            .map(|t| format!("team:{t}"));
        add(team.as_ref(), "it serves your team");
        for joiner in &record.joiners {
            add(Some(&joiner.person.to_string()), "you joined it");
        }
    }
    if act == Act::Grant
        && let Some(frozen) = &record.frozen
    {
        let skipped: BTreeSet<&str> = frozen
            .steps
            .iter()
            .flat_map(|s| match &s.ask {
                Ask::Facts => Vec::new(),
                Ask::Approve(role) => vec![role.as_str()],
                Ask::Assess(roles) => roles.iter().map(String::as_str).collect(),
            })
            .collect();
        for person in &directory.people {
            if person.roles.iter().any(|r| skipped.contains(r.as_str())) {
                let id = Principal::Person(PersonId::new(&person.id.value));
                whom.push((id, "your decision was skipped in an emergency"));
            }
        }
    }
    whom
}
