//! After a change was adopted: exceptions that nobody needs any more end by themselves, because what they cover passes
//! under the control as it is now.

use chrono::{DateTime, Utc};

use super::{Error, look::note};
use crate::{
    act::{Actor, moved},
    exception::{
        record::{Closure, Outcome, Record},
        state::Act,
    },
    model::{
        control::Control,
        exception::State,
        finding::{Finding, Status},
        id::ControlId,
        outcome::Authority,
    },
    run::{Context, Set},
    signal::{lifecycle, record::Signal},
    store::{Tx, exceptions, findings, runs, signals},
};

/// Ends what nobody needs any more. Gives how many that were.
///
/// # Errors
/// When the store cannot be read or written; what was not ended is ended at the next turn.
pub async fn adopt(cx: &Context, set: &Set) -> Result<u64, Error> {
    let now = cx.clock.now();
    let known = signals::all(&mut cx.store.read().await?).await?;
    let mut ended = 0;
    for signal in known.iter().filter(|s| is_adopted(s, now)) {
        let id = ControlId::new(&signal.raised.control);
        let Some(control) = set.catalog.control(&id) else {
            continue;
        };
        let mut tx = cx.store.begin().await?;
        let gone = unneeded(&mut tx, control, now).await?;
        if gone.is_empty() {
            continue;
        }
        for mut record in gone {
            end(&mut tx, signal, &mut record, now).await?;
            ended += 1;
        }
        note(&mut tx, signal, ("adopted", None), None, now).await?;
        tx.commit().await?;
    }
    Ok(ended)
}

/// Whether the change of a signal is in force.
pub(super) fn is_adopted(signal: &Signal, now: DateTime<Utc>) -> bool {
    match signal.raised.state {
        lifecycle::State::ChangeLinked { effective }
        | lifecycle::State::Monitoring { effective } => effective <= now.date_naive(),
        lifecycle::State::Closed { .. } => signal.conclusion.is_some(),
        _ => false,
    }
}

/// Exceptions from the control as it was, all of whose subjects pass under it as it is.
async fn unneeded(
    tx: &mut Tx,
    control: &Control,
    now: DateTime<Utc>,
) -> Result<Vec<Record>, Error> {
    let filter = exceptions::Filter {
        states: vec![State::Active, State::Suspended],
        control: Some(control.id.clone()),
    };
    let records = exceptions::list(tx, &filter).await?;
    let older = |r: &Record| {
        let terms = r.frozen.iter().map(|f| &f.terms);
        let mut pinned = terms.flat_map(|t| &t.controls);
        let only = r.request.controls.len() == 1;
        only && pinned.any(|c| c.control == control.id && c.definition != control.definition)
            && matches!(r.state_at(now), State::Active | State::Suspended)
    };
    let records: Vec<Record> = records.into_iter().filter(older).collect();
    if records.is_empty() {
        return Ok(Vec::new());
    }
    // Nothing is known of the control as it is before it has run.
    let last = runs::last_counted(tx, &control.id).await?;
    if last.is_none_or(|run| run.definition != control.definition || run.not_checked.is_some()) {
        return Ok(Vec::new());
    }
    let known = findings::of_control(tx, &control.id).await?;
    let passes = |f: &Finding| {
        let is = f.state.status;
        // What was let go of with its control says nothing of its subject.
        let left = is == Status::Retired && f.state.left != Some(Authority::Control);
        left || matches!(is, Status::Clear | Status::Resolved)
    };
    let still = |record: &Record| {
        let subjects = record.frozen.iter().flat_map(|f| &f.terms.subjects);
        subjects
            .filter_map(|s| known.iter().find(|f| f.subject == s.subject))
            .any(|f| !passes(f))
    };
    Ok(records.into_iter().filter(|r| !still(r)).collect())
}

async fn end(
    tx: &mut Tx,
    signal: &Signal,
    record: &mut Record,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let why = format!(
        "not needed any more: what it covers passes since `{}` was changed ({})",
        signal.raised.control, signal.id
    );
    record.end_reason = Some(why.clone());
    let machine = Actor::Machine;
    moved(tx, record, (Act::Revoke, machine), Some(&why), now)
        .await
        .map_err(crate::run::Error::from)?;
    if let Some(said) = &signal.conclusion {
        record.closure = Some(Closure {
            by: said.by.clone(),
            outcome: Outcome::PolicyChanged,
            note: why.clone(),
            at: now,
        });
        moved(tx, record, (Act::Close, machine), Some(&why), now)
            .await
            .map_err(crate::run::Error::from)?;
    }
    exceptions::update(tx, record, now).await?;
    Ok(())
}
