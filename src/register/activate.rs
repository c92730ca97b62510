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
    store::exceptions,
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
