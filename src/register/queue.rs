//! What waits for a person, with its clock: decisions that they may take, questions to answer, words to give, exceptions
//! to look at again or to look back at.

use chrono::{DateTime, Utc};

use super::{
    Error,
    decide::{approver, escalated},
    people::leads,
};
use crate::{
    choice,
    exception::{decide::eligible, record::Record},
    model::{
        exception::State,
        id::{ExceptionId, PersonId},
        people::{Directory, Principal},
        rules::Check,
    },
    run::Set,
    store::{self, Tx, coverage, exceptions, runs},
};

/// Something that waits for somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The exception.
    pub exception: ExceptionId,
    /// In a few words.
    pub title: String,
    /// What is to be done.
    pub what: String,
    /// By when.
    pub due_at: Option<DateTime<Utc>>,
}

/// What waits for a person, the most pressing first.
///
/// # Errors
/// When the store cannot be read.
pub async fn queue(
    tx: &mut Tx,
    set: &Set,
    by: &PersonId,
    now: DateTime<Utc>,
) -> Result<Vec<Waiting>, Error> {
    let who = approver(tx, set, by, now).await?;
    let directory = &set.catalog.directory;
    let all = exceptions::list(tx, &exceptions::Filter::default()).await?;
    let mut waits = Vec::new();
    for record in &all {
        let mut add = |what: String, due_at| {
            waits.push(Waiting {
                exception: record.id.clone(),
                title: record.request.title.clone().unwrap_or_default(),
                what,
                due_at,
            });
        };
        let mine = |name: &Option<String>| {
            name.as_deref().and_then(|n| directory.find(n)) == Some(Principal::Person(by.clone()))
        };
        let state = record.state_at(now);
        if let Some(pending) = record.pending(now)
            && eligible(&pending, &who, escalated(record, now)).is_ok()
            && let Some(step) = pending.open()
        {
            add(format!("decide step `{}`", step.id), record.step_due(now));
        }
        if state == State::NeedsInfo && mine(&record.request.requester) {
            add("say what is missing".to_owned(), None);
        }
        if state == State::Suspended && mine(&record.request.owner) {
            add(
                "it is suspended: mend it, or have it decided anew".to_owned(),
                None,
            );
        }
        for (what, due) in words(record, directory, by) {
            add(what, Some(due));
        }
        let signed = record
            .decisions
            .iter()
            .any(|d| d.approver == *by && d.options.grants);
        if state == State::Active && signed && record.review_due().is_some() {
            add("look at it again".to_owned(), record.review_due());
        }
        if state == State::Suspended && signed {
            add(
                "it is suspended: decide it anew, or end it".to_owned(),
                None,
            );
        }
        let leads = leads(set, &record.request.provision.policy, by);
        let asks = record.question.as_ref().is_some_and(|q| q.answer.is_none());
        if leads && asks && state != State::Closed {
            let what = "it asks for no end: answer what that asks of the policy";
            add(what.to_owned(), None);
        }
        let stuck = record.frozen.as_ref().and_then(|f| f.unreachable.as_ref());
        if leads
            && state.is_pending()
            && let Some(step) = stuck
        {
            let what = format!("nobody can take step `{step}`: name somebody, or lend a role");
            add(what, record.step_due(now));
        }
        if leads && state.is_over() && state != State::Closed && record.frozen.is_some() {
            add("look back at it and close it".to_owned(), None);
        }
    }
    waits.sort_by_key(|w| (w.due_at.is_none(), w.due_at, w.exception.clone()));
    Ok(waits)
}

choice! {
    /// Whether an exception is used.
    pub enum Usage {
        /// It made something silent.
        Used = "used",
        /// Its control looked since it came into force, and there was nothing to make silent.
        Unused = "unused",
        /// Nobody looked since then, so nobody can tell.
        Unverified = "unverified",
    }
}

/// Whether an exception is used. `Unused` is said only when each of its controls ran on evidence that could be believed since
/// it came into force.
///
/// # Errors
/// When the store cannot be read.
pub async fn usage(tx: &mut Tx, record: &Record) -> Result<Usage, store::Error> {
    if !coverage::covered_by(tx, &record.id).await?.is_empty() {
        return Ok(Usage::Used);
    }
    let Some((from, frozen)) = record.times.activated_at.zip(record.frozen.as_ref()) else {
        return Ok(Usage::Unverified);
    };
    for one in &frozen.terms.controls {
        let ran = runs::last_counted(tx, &one.control).await?;
        if ran.is_none_or(|run| run.instant <= from || run.not_checked.is_some()) {
            return Ok(Usage::Unverified);
        }
    }
    Ok(Usage::Unused)
}

/// The words that a person is to give for conditions of an exception that is in force.
fn words(record: &Record, directory: &Directory, by: &PersonId) -> Vec<(String, DateTime<Utc>)> {
    let Some(frozen) = record
        .frozen
        .as_ref()
        .filter(|_| record.state == State::Active)
    else {
        return Vec::new();
    };
    let conditions = frozen.terms.conditions.iter();
    conditions
        .filter_map(|c| {
            let Check::Attested { every } = c.check else {
                return None;
            };
            let mine = directory.leads_to(&c.responsible, by);
            let from = record.conditions.get(&c.id).map(|c| c.at)?;
            mine.then(|| {
                (
                    format!("say that `{}` holds", c.id),
                    from + every.to_delta(),
                )
            })
        })
        .collect()
}
