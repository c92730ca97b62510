//! One act on an exception, written down: the move, what happened as a row, and the leaf that proves it. Every change
//! of an exception's state goes through here.

mod proved;

use chrono::{DateTime, Utc};
use serde_json::json;

pub use proved::register;

use crate::{
    audit::leaf::{ExceptionFact, Fact, Leaf, blind},
    exception::{record::Record, state::Act},
    model::{
        exception::{State, Suspension},
        id::{ExceptionId, PersonId, Sha},
        plain,
    },
    store::{self, Tx, audit, exceptions, salts},
};

/// Why an act was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Our database.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The clock says that it is earlier than what was done last.
    #[error(
        "{id} was moved at {last}, and the clock says {now}: it was set back, and nothing is moved until it is right"
    )]
    ClockSetBack {
        /// The exception.
        id: ExceptionId,
        /// When it was moved last.
        last: DateTime<Utc>,
        /// What the clock says.
        now: DateTime<Utc>,
    },
    /// The reason holds a character that hides what it says.
    #[error("{}", plain::say("because", *.0))]
    Hidden(char),
    /// It may not be done where the exception stands.
    #[error("{id} is {state}, and cannot be moved by `{act}`")]
    NotNow {
        /// The exception.
        id: ExceptionId,
        /// Where it stands.
        state: State,
        /// What was to be done.
        act: Act,
    },
}

impl Error {
    /// An act that may not be done where a record stands.
    pub fn not_now(record: &Record, act: Act, now: DateTime<Utc>) -> Self {
        Self::NotNow {
            id: record.id.clone(),
            state: record.state_at(now),
            act,
        }
    }
}

/// Who moves an exception.
#[derive(Debug, Clone, Copy)]
pub enum Actor<'a> {
    /// Tripline itself.
    Machine,
    /// A person.
    Person(&'a PersonId),
}

impl Actor<'_> {
    fn name(self) -> String {
        match self {
            Self::Machine => "machine".to_owned(),
            Self::Person(person) => format!("person:{person}"),
        }
    }
}

/// Moves a record and writes down that it was moved: event and leaf. The record itself is written by the caller.
///
/// # Errors
/// It may not be done where the exception stands, or the store cannot be written.
pub async fn moved(
    tx: &mut Tx,
    record: &mut Record,
    (act, actor): (Act, Actor<'_>),
    reason: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let said = reason.map(|reason| match actor {
        // What the machine says may quote evidence, which says what it likes.
        Actor::Machine => Ok(plain::shown(reason)),
        Actor::Person(_) => plain::hidden(reason).map_or(Ok(reason.to_owned()), Err),
    });
    let said = said.transpose().map_err(Error::Hidden)?;
    let reason = said.as_deref();
    let last = exceptions::last_event(tx, &record.id).await?;
    if let Some(last) = last.filter(|last| *last > now) {
        return Err(Error::ClockSetBack {
            id: record.id.clone(),
            last,
            now,
        });
    }
    let Some((before, after)) = record.act(act, now) else {
        return Err(Error::not_now(record, act, now));
    };
    let event = exceptions::Event {
        at: now,
        actor: actor.name(),
        act,
        before,
        after,
        reason: reason.map(str::to_owned),
    };
    exceptions::event(tx, record, &event).await?;
    let leaf = leaf(tx, record, (act, actor), (before, after), reason, now).await?;
    audit::append(tx, &[leaf]).await?;
    Ok(())
}

async fn leaf(
    tx: &mut Tx,
    record: &Record,
    (act, actor): (Act, Actor<'_>),
    (before, after): (State, State),
    reason: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Leaf, store::Error> {
    let actor = match actor {
        Actor::Machine => "machine".to_owned(),
        Actor::Person(_) => {
            let name = actor.name();
            blind(&salts::of(tx, &name).await?, &name).to_string()
        }
    };
    let because: Option<Sha> = match reason {
        Some(reason) => Some(blind(&salts::of(tx, record.id.as_str()).await?, reason)),
        None => None,
    };
    let frozen = record.frozen.as_ref();
    let decided = matches!(act, Act::Sign | Act::Approve | Act::Deny | Act::SendBack);
    let decision = record.decisions.last().filter(|_| decided);
    let fact = ExceptionFact {
        exception: record.id.clone(),
        revision: record.revision,
        act,
        before,
        after,
        actor,
        because,
        terms: frozen.map(|f| f.digest),
        provision: record.request.provision.to_string(),
        policy_version: frozen.map(|f| f.terms.policy.version),
        routes: frozen.map_or_else(Vec::new, |f| {
            f.routed.names().into_iter().map(str::to_owned).collect()
        }),
        tier: frozen.map(|f| f.triage.tier.clone()),
        step: decision.map(|d| d.step.clone()),
        role: decision.map(|d| d.role.role.clone()),
        decision: decision.map(|d| Sha::of_json(&json!(d))),
        times: Some(record.times),
        decisions: Some(ExceptionFact::of_decisions(&record.decisions)),
    };
    Ok(Leaf::new(now, Fact::Exception(Box::new(fact))))
}

/// Puts an exception that is in force out of force.
///
/// # Errors
/// When the store cannot be read or written.
pub async fn suspend(
    tx: &mut Tx,
    id: &ExceptionId,
    (cause, why): (Suspension, &str),
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let Some(mut record) = exceptions::get(tx, id).await? else {
        return Ok(());
    };
    if record.state_at(now) != State::Active {
        return Ok(());
    }
    record.suspension = Some(cause);
    moved(
        tx,
        &mut record,
        (Act::Suspend, Actor::Machine),
        Some(why),
        now,
    )
    .await?;
    exceptions::update(tx, &mut record, now).await?;
    Ok(())
}
