//! Into force: on its day, when what compensates is in place and what was approved is still what is there.

use chrono::{DateTime, Utc};

use super::{Error, condition, freeze::Seen};
use crate::{
    act::{Actor, moved},
    exception::{
        coverage::{Standing, fingerprint},
        record::Record,
        state::Act,
    },
    model::exception::State,
    run::{Context, Set},
    store::{Tx, exceptions, runs},
};

/// Brings an approved exception into force if it may be; otherwise says why not, in its record. Whether it was moved.
///
/// # Errors
/// When evidence or the store cannot be read, or the store not written.
pub(super) async fn activate(
    cx: &Context,
    set: &Set,
    record: Record,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let Some(frozen) = &record.frozen else {
        return Ok(false);
    };
    if record.state_at(now) != State::Approved || now < record.times.not_before {
        return Ok(false);
    }
    let changed = changed(&Seen::of(cx, set, &record.request).await?, &record);
    let mut looked = Vec::new();
    for one in &frozen.terms.conditions {
        let checked = match condition::look(cx, set, (&record.id, one)).await? {
            Some((checked, run, definition)) => (checked, Some((run, definition))),
            None => (condition::first_word(one, now), None),
        };
        looked.push((one.clone(), checked));
    }
    let mut tx = cx.store.begin().await?;
    let Some(mut record) = exceptions::get(&mut tx, &record.id).await? else {
        return Ok(false);
    };
    if record.state != State::Approved {
        return Ok(false);
    }
    let mut missing = Vec::new();
    for (one, (checked, run)) in looked {
        if let Some((run, definition)) = run {
            condition::keep(&mut tx, &run, &definition).await?;
        }
        if checked.standing != Standing::Holds && condition::binds(&one) {
            missing.push(format!("`{}`: {}", one.id, checked.said));
        }
        record.conditions.insert(one.id, checked);
    }
    let machine = Actor::Machine;
    let moves = if let Some(why) = changed {
        moved(
            &mut tx,
            &mut record,
            (Act::SendBack, machine),
            Some(&why),
            now,
        )
        .await?;
        true
    } else if missing.is_empty() {
        let why = match record.conditions.len() {
            0 => "its day has come".to_owned(),
            _ => "its day has come, and every condition was in place".to_owned(),
        };
        moved(
            &mut tx,
            &mut record,
            (Act::Activate, machine),
            Some(&why),
            now,
        )
        .await?;
        true
    } else {
        false
    };
    exceptions::update(&mut tx, &mut record, now).await?;
    tx.commit().await?;
    Ok(moves)
}

/// What is not what it was when it was approved, in a sentence.
pub(super) fn changed(seen: &Seen, record: &Record) -> Option<String> {
    let terms = &record.frozen.as_ref()?.terms;
    for subject in &terms.subjects {
        let now = seen.observed_of(&subject.control, &subject.subject);
        let Some(now) = now.map(|o| fingerprint(&o.fingerprint)) else {
            continue;
        };
        for (column, approved) in &subject.fingerprint {
            if now.get(column) != Some(approved) {
                return Some(format!(
                    "`{column}` of {} is not what it was when it was approved",
                    subject.subject
                ));
            }
        }
    }
    None
}

/// Whether something else judges in one of its controls than when it was approved, and the control has run since: until
/// then nobody knows what that makes of its subjects. A change of words or of the schedule is none.
pub(super) async fn judged_otherwise(
    tx: &mut Tx,
    set: &Set,
    record: &Record,
) -> Result<Option<String>, Error> {
    let controls = record.frozen.iter().flat_map(|f| &f.terms.controls);
    for one in controls {
        let Some(control) = set.catalog.control(&one.control) else {
            continue;
        };
        if control.definition == one.definition {
            continue;
        }
        let ran = runs::last_counted(tx, &one.control).await?;
        if ran.is_some_and(|run| run.definition == control.definition) {
            return Ok(Some(format!(
                "`{}` judges otherwise than when it was approved",
                one.control
            )));
        }
    }
    Ok(None)
}
