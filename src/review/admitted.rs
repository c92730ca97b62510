//! Whom an adopted change admitted, and what was found about those since: the price of a policy that was loosened.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::{
    Error,
    adopt::is_adopted,
    again::{judged, known, reopened, subjects},
};
use crate::{
    evaluate::Told,
    model::{
        control::Control,
        finding::Finding,
        id::{ControlId, SubjectId},
        outcome::Outcome,
        run::Run,
    },
    run::{Context, Set},
    signal::record::{Admitted, Later, Signal},
    store::{Tx, coverage, findings, runs},
};

/// Whom the change of a signal admitted, once its control has run as it is now: what failed in its last run as it was, was
/// covered by nothing, and would have passed. Nothing while that cannot be told.
///
/// # Errors
/// The store or the evidence cannot be read.
pub(super) async fn admitted(
    cx: &Context,
    set: &Set,
    signal: &Signal,
) -> Result<Option<Admitted>, Error> {
    let id = ControlId::new(&signal.raised.control);
    let Ok((control, definition)) = known(set, &id) else {
        return Ok(None);
    };
    if signal.admitted.is_some() || !is_adopted(signal, cx.clock.now()) {
        return Ok(None);
    }
    let mut tx = cx.store.read().await?;
    let Some((before, since)) = change(&mut tx, control, signal.opened_at).await? else {
        return Ok(None);
    };
    let Ok((then, evidence)) = reopened(&mut tx, set, &before).await? else {
        return Ok(None);
    };
    let covered = coverage::of_control(&mut tx, &id, before.instant).await?;
    drop(tx);
    let ways = [&then, definition];
    let said = judged(cx, control, (&ways, Told::Outcomes), &evidence, &before).await?;
    let [before_it, after_it] = said.as_slice() else {
        return Ok(None);
    };
    let covered: BTreeSet<&SubjectId> = covered.iter().map(|(_, subject)| subject).collect();
    let still: BTreeSet<&SubjectId> = subjects(after_it, |o| o != Outcome::Pass).collect();
    let passes = |s: &&SubjectId| !still.contains(s) && !covered.contains(s);
    let failed = subjects(before_it, |o| o == Outcome::Fail);
    Ok(Some(Admitted {
        run: before.id.clone(),
        since,
        subjects: failed.filter(passes).cloned().collect(),
        later: Vec::new(),
    }))
}

/// The last run of a control as it was, and the instant of the first as it is; nothing when it did not change since, or has
/// not run.
async fn change(
    tx: &mut Tx,
    control: &Control,
    since: DateTime<Utc>,
) -> Result<Option<(Run, DateTime<Utc>)>, Error> {
    let last = runs::last_counted(tx, &control.id).await?;
    if last.is_none_or(|run| run.definition != control.definition) {
        return Ok(None);
    }
    let before = runs::last_under_another(tx, &control.id, control.definition).await?;
    let Some(before) = before else {
        return Ok(None);
    };
    let first = runs::next_counted(tx, &control.id, before.instant).await?;
    let first = first.filter(|run| run.instant >= since);
    Ok(first.map(|run| (before, run.instant)))
}

/// What was found since about whom a change admitted.
///
/// # Errors
/// The store cannot be read.
pub(super) async fn later(tx: &mut Tx, admitted: &Admitted) -> Result<Vec<Later>, Error> {
    let opened = |f: &Finding| {
        let openings = f.state.openings.iter().chain(&f.state.opened_at);
        openings.max().copied().filter(|at| *at >= admitted.since)
    };
    let mut all = Vec::new();
    for subject in &admitted.subjects {
        for finding in findings::of_subject(tx, subject).await? {
            all.extend(opened(&finding).map(|at| Later {
                subject: subject.clone(),
                control: finding.control.clone(),
                at,
            }));
        }
    }
    Ok(all)
}
