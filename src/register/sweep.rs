//! What time and the files do to the register: requests that nobody decided lapse, exceptions end, those whose day has
//! come begin, those whose policy or owner changed are suspended; and whatever loses its cover by that is told at once,
//! also when the daemon was away at that instant.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::{
    Error,
    activate::{activate, judged_otherwise},
    condition,
    people::late_now,
    tell,
};
use crate::{
    act::{self, Actor, moved},
    audit::leaf::Leaf,
    evaluate::limit,
    exception::{
        coverage::{Case, Clause, Coverage, Policies, Register},
        record::Record,
        state::Act,
    },
    model::{
        control::{Control, Waivable},
        exception::{State, Suspension},
        finding::{Change, Effect, Finding, Observation, Reason, Status},
        id::{ControlId, ExceptionId, FindingKey, Sha},
        outcome::{Authority, Unknown},
    },
    notify::plan::{Operation, operation},
    run::{Context, Set, Uncovered, lost, owed_by_sweep},
    store::{self, Page, Tx, audit, coverage, exceptions, findings, outbox},
};

/// What a sweep did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Swept {
    /// Exceptions that were moved.
    pub moved: u64,
    /// Conditions that were looked at.
    pub looked: u64,
    /// Findings that lost their cover.
    pub uncovered: u64,
    /// Words that are owed because of it.
    pub owed: u64,
    /// Exceptions that could not be moved, each with the named reason. They are tried again at the next sweep.
    pub refused: Vec<(ExceptionId, String)>,
}

impl Swept {
    /// One record that cannot be moved keeps nothing else from being done; a store that fails does.
    pub(super) fn unless_refused<T: Default>(
        &mut self,
        id: &ExceptionId,
        done: Result<T, Error>,
    ) -> Result<T, Error> {
        match done {
            // Somebody was faster: whatever is still due is done at the next sweep.
            Err(Error::Store(store::Error::Changed { .. })) => Ok(T::default()),
            Err(error @ Error::Store(_)) => Err(error),
            Err(error) => {
                tracing::warn!(exception = %id, %error, "an exception cannot be moved");
                self.refused.push((id.clone(), error.to_string()));
                Ok(T::default())
            }
            Ok(done) => Ok(done),
        }
    }
}

/// Does what is due.
///
/// # Errors
/// When the store cannot be read or written; what was not done is done at the next sweep.
pub async fn sweep(cx: &Context, set: &Set) -> Result<Swept, Error> {
    let now = cx.clock.now();
    let mut swept = Swept::default();
    let living = [
        State::Submitted,
        State::NeedsInfo,
        State::InAssessment,
        State::PendingDecision,
        State::Approved,
        State::Active,
        State::Suspended,
    ];
    let filter = exceptions::Filter {
        states: living.to_vec(),
        ..exceptions::Filter::default()
    };
    let records = exceptions::list(&mut cx.store.read().await?, &filter).await?;
    for record in records {
        let id = record.id.clone();
        let moves = turn(cx, set, record, now).await;
        swept.moved += u64::from(swept.unless_refused(&id, moves)?);
    }
    condition::due_ones(cx, set, &mut swept).await?;
    swept.uncovered = settle(cx, set).await?;
    swept.owed = tell::tell(cx, set).await?;
    Ok(swept)
}

/// Does what is due to one exception; whether it was moved.
async fn turn(
    cx: &Context,
    set: &Set,
    mut record: Record,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let mut tx = cx.store.begin().await?;
    if one(&mut tx, set, &mut record, now).await? {
        tx.commit().await?;
        return Ok(true);
    }
    drop(tx);
    if record.state == State::Approved {
        return activate(cx, set, record, now).await;
    }
    Ok(false)
}

/// Moves one exception, if it is to be moved; whether it was.
pub(super) async fn one(
    tx: &mut Tx,
    set: &Set,
    record: &mut Record,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let machine = Actor::Machine;
    let due = match (record.state, record.state_at(now)) {
        (_, State::Lapsed) if record.state != State::Lapsed => Some((
            Act::Lapse,
            "nobody decided it, or nobody needed it, in time",
        )),
        (State::Active | State::Suspended, State::Expired) => {
            Some((Act::Expire, "its time is over"))
        }
        (State::Active, State::Revoked) => {
            Some((Act::Revoke, "nobody ratified the emergency grant in time"))
        }
        (State::Suspended, State::Revoked) => Some((Act::Revoke, "it was suspended for too long")),
        _ => None,
    };
    if let Some((act, why)) = due {
        moved(tx, record, (act, machine), Some(why), now).await?;
        exceptions::update(tx, record, now).await?;
        return Ok(true);
    }
    if let Some(why) = late_now(tx, set, record, now).await? {
        moved(tx, record, (Act::Escalate, machine), Some(&why), now).await?;
        exceptions::update(tx, record, now).await?;
        return Ok(true);
    }
    if record.state == State::Active && gone(tx, record).await? {
        let why = "what it covers is gone: no inventory has it any more";
        record.end_reason = Some(why.to_owned());
        moved(tx, record, (Act::Revoke, machine), Some(why), now).await?;
        exceptions::update(tx, record, now).await?;
        return Ok(true);
    }
    if record.state == State::Active
        && let Some(cause) = cause(set, record, now)
    {
        let why = cause.1;
        act::suspend(tx, &record.id, (cause.0, &why), now).await?;
        return Ok(true);
    }
    if record.state == State::Active
        && let Some(why) = judged_otherwise(tx, set, record).await?
    {
        act::suspend(tx, &record.id, (Suspension::ControlChanged, &why), now).await?;
        return Ok(true);
    }
    Ok(false)
}

/// Whether every subject of an exception left the inventory of record: the end of an identity is the end of what it
/// may. That nobody looks at it, because its control is not loaded, says nothing of the subject.
async fn gone(tx: &mut Tx, record: &Record) -> Result<bool, Error> {
    let subjects = record.frozen.iter().flat_map(|f| &f.terms.subjects);
    let keys: Vec<FindingKey> = subjects
        .map(|s| FindingKey::of(&s.control, &s.subject))
        .collect();
    let known = findings::of_keys(tx, &keys).await?;
    let left = |f: &Finding| {
        f.state.status == Status::Retired && f.state.left == Some(Authority::Inventory)
    };
    Ok(!keys.is_empty() && known.len() == keys.len() && known.values().all(left))
}

/// What in the files puts an active exception out of force.
fn cause(set: &Set, record: &Record, now: DateTime<Utc>) -> Option<(Suspension, String)> {
    if let Some(due) = record.review_due().filter(|due| now >= *due) {
        let why = format!(
            "nobody has looked at it again since it was due on {}",
            due.format("%Y-%m-%d")
        );
        return Some((Suspension::ReviewOverdue, why));
    }
    let terms = &record.frozen.as_ref()?.terms;
    let policy = set.catalog.policies.get(&terms.provision.policy);
    // A policy that is not loaded has changed nothing, and no control of it is loaded either.
    if policy.is_some_and(|p| p.text_digest() != terms.policy.text) {
        let why = format!(
            "the text of `{}` is not what it was when it was approved",
            terms.provision.policy
        );
        return Some((Suspension::PolicyChanged, why));
    }
    let there = |person| set.catalog.directory.person(person).is_some();
    if !there(&terms.owner) && !terms.backup_owner.as_ref().is_some_and(there) {
        let why = format!("`{}`, who answers for it, is gone", terms.owner);
        return Some((Suspension::OwnerGone, why));
    }
    None
}

/// Puts the cover on findings and takes it away, by what their last run saw: after an act of somebody, and after what
/// time did. Gives how many lost theirs.
///
/// # Errors
/// When the store cannot be read or written.
pub async fn settle(cx: &Context, set: &Set) -> Result<u64, Error> {
    let now = cx.clock.now();
    let mut tx = cx.store.begin().await?;
    let count = cover(&mut tx, set, now).await?;
    tx.commit().await?;
    Ok(count)
}

/// A control that was changed may pass what it failed: its next run says so, or tells that the exception was from the control
/// as it was. Until then nothing is known that anybody should be told.
fn awaits_judgement(control: &Control, finding: &Finding, coverage: &Coverage) -> bool {
    let by_change = |id: &ExceptionId| {
        let mut lost = coverage.lost.iter();
        lost.any(|l| l.exception == *id && l.clause == Clause::Control)
    };
    control.exceptions != Waivable::Never
        && finding.definition != control.definition
        && finding.covered_by.as_ref().is_some_and(by_change)
}

async fn cover(tx: &mut Tx, set: &Set, now: DateTime<Utc>) -> Result<u64, Error> {
    let filter = exceptions::Filter {
        states: vec![
            State::Active,
            State::Suspended,
            State::Expired,
            State::Revoked,
        ],
        ..exceptions::Filter::default()
    };
    let records = exceptions::list(tx, &filter).await?;
    let register = act::register(tx, &records, now).await?;
    // Whoever looks after Tripline hears once of each row that the log does not bear out.
    for (id, why) in register.doubted() {
        let about = Operation {
            subject: &format!("register:{id}:{}", Sha::of(why)),
            title: "An exception is not what the log says",
            sentence: &format!(
                "{id} covers nothing: {why}. `tripline audit verify` says what differs."
            ),
            not_by: None,
        };
        outbox::enqueue(tx, &operation(&set.desk, &about, now)).await?;
    }
    let mut keys: BTreeSet<FindingKey> = BTreeSet::new();
    for record in records.iter().filter(|r| r.state_at(now) == State::Active) {
        let subjects = record.frozen.iter().flat_map(|f| &f.terms.subjects);
        keys.extend(subjects.map(|s| FindingKey::of(&s.control, &s.subject)));
    }
    let covered = findings::Filter {
        covered: Some(true),
        ..findings::Filter::default()
    };
    let covered = findings::list(tx, &covered, findings::Order::Worst, Page::ALL).await?;
    keys.extend(covered.iter().map(|f| f.key));
    let keys: Vec<FindingKey> = keys.into_iter().collect();
    let mut by_control: BTreeMap<ControlId, Vec<Change>> = BTreeMap::new();
    let mut why = Uncovered::new();
    for (key, mut finding) in findings::of_keys(tx, &keys).await? {
        let Some(control) = set.catalog.control(&finding.control) else {
            continue;
        };
        let open = finding.state.status.is_open();
        let coverage = covers(&register, (control, set.policies()), &finding, now);
        let after = coverage.first().filter(|_| open).cloned();
        let before = finding.covered_by.clone();
        if before == after {
            continue;
        }
        // What passes needs no cover. Should it fail before it is resolved, that run tells.
        let passes = finding.state.status == Status::Clearing;
        if after.is_none() && (passes || awaits_judgement(control, &finding, &coverage)) {
            continue;
        }
        let because = lost(before.as_ref(), open, &coverage);
        if before.is_some() {
            coverage::uncover(tx, key, &because, now).await?;
        }
        if let Some(id) = &after {
            coverage::cover(tx, id, key, now).await?;
        }
        let told = open && after.is_none();
        if told {
            why.insert(key, because);
        }
        finding.covered_by = after;
        let id = finding.control.clone();
        by_control
            .entry(id)
            .or_default()
            .push(change(&mut finding, told, now));
    }
    let mut count = 0;
    for (id, changes) in by_control {
        count += changes.iter().filter(|c| c.effect.is_some()).count() as u64;
        findings::apply(tx, &changes).await?;
        audit::append(tx, &Leaf::of_changes(now, &changes)).await?;
        if let Some(control) = set.catalog.control(&id) {
            let items = owed_by_sweep(tx, set, control, &changes, &why, now).await?;
            outbox::enqueue(tx, &items).await?;
        }
    }
    Ok(count)
}

fn covers(
    register: &Register,
    (control, policies): (&Control, &Policies),
    finding: &Finding,
    now: DateTime<Utc>,
) -> Coverage {
    let case = Case::known((Some(control), policies), finding, now);
    register.covers(&case, &|text, row| limit(text, row, now))
}

/// The finding goes on standing on the evidence of its last run.
fn change(finding: &mut Finding, told: bool, now: DateTime<Utc>) -> Change {
    finding.changed_at = now;
    if told {
        finding.state.transition = finding.state.transition.saturating_add(1);
    }
    Change {
        before: Some(finding.state.status),
        finding: finding.clone(),
        observation: Observation::Unknown(Unknown::AlreadyCounted),
        effect: told.then_some(Effect::Uncovered),
        reason: Reason::StillOpen,
        dirty: true,
    }
}
