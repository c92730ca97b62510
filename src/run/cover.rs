//! What a run's failing subjects are covered by. Evaluated at each run with the evidence of the run; a finding that
//! loses its cover is told at once, with the clause that no longer holds.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::{
    act::{self, Error},
    evaluate::limit,
    exception::coverage::{Case, Clause, Coverage, Policies, Register},
    model::{
        control::Control,
        exception::Suspension,
        finding::{Change, Effect, Observation},
        id::{ExceptionId, FindingKey},
        outcome::{Evaluation, Row},
    },
    store::{self, Tx, coverage, exceptions},
};

/// Why findings lost their cover, by finding: for the words of the notice.
pub type Uncovered = BTreeMap<FindingKey, String>;

/// Puts the cover on changes: what opens under an exception is not told, what loses it is told at once.
///
/// # Errors
/// When the register cannot be read or written; nothing is covered then, and the run is not recorded.
pub(super) async fn cover(
    tx: &mut Tx,
    (control, policies): (&Control, &Policies),
    evaluation: &Evaluation,
    changes: &mut [Change],
    now: DateTime<Utc>,
) -> Result<Uncovered, Error> {
    let mut lost = Uncovered::new();
    let filter = exceptions::Filter {
        control: Some(control.id.clone()),
        ..exceptions::Filter::default()
    };
    let covered = changes.iter().any(|c| c.finding.covered_by.is_some());
    let records = exceptions::list(tx, &filter).await?;
    if records.is_empty() && !covered {
        return Ok(lost);
    }
    let register = act::register(tx, &records, now).await?;
    let limits = |text: &str, row: &Row| limit(text, row, now);
    let mut changed_shape: Vec<(ExceptionId, String)> = Vec::new();
    for change in changes.iter_mut() {
        let coverage = of(
            &register,
            (control, policies),
            evaluation,
            change,
            &limits,
            now,
        );
        for one in coverage
            .lost
            .iter()
            .filter(|l| l.clause == Clause::Fingerprint)
        {
            changed_shape.push((one.exception.clone(), one.why.clone()));
        }
        apply(tx, change, &coverage, &mut lost, now).await?;
    }
    for (id, why) in changed_shape {
        let suspended = act::suspend(tx, &id, (Suspension::FingerprintChanged, &why), now).await;
        match suspended {
            // It covers nothing as it is; one that cannot be moved keeps no run from being recorded.
            Err(error @ (Error::ClockSetBack { .. } | Error::NotNow { .. })) => {
                tracing::warn!(exception = %id, %error, "an exception cannot be moved");
            }
            other => other?,
        }
    }
    Ok(lost)
}

/// What covers the finding of a change, by what the run saw of it.
fn of(
    register: &Register,
    (control, policies): (&Control, &Policies),
    evaluation: &Evaluation,
    change: &Change,
    limits: &dyn Fn(&str, &Row) -> Option<bool>,
    now: DateTime<Utc>,
) -> Coverage {
    let finding = &change.finding;
    let observed = evaluation
        .observed
        .iter()
        .find(|o| o.subject == finding.subject);
    // What cannot be told at present is judged by what failed last: missing evidence ends no cover by itself.
    let (rows, shape) = match (change.observation, observed) {
        (Observation::Fail, Some(observed)) => (&observed.rows, &observed.fingerprint),
        _ => (&finding.rows, &finding.fingerprint),
    };
    let case = Case {
        rows,
        fingerprint: shape,
        ..Case::known((Some(control), policies), finding, now)
    };
    register.covers(&case, limits)
}

async fn apply(
    tx: &mut Tx,
    change: &mut Change,
    coverage: &Coverage,
    uncovered: &mut Uncovered,
    now: DateTime<Utc>,
) -> Result<(), store::Error> {
    let key = change.finding.key;
    let open = change.finding.state.status.is_open();
    let before = change.finding.covered_by.clone();
    let after = coverage.first().filter(|_| open).cloned();
    if before == after {
        if after.is_some()
            && matches!(
                change.effect,
                Some(Effect::Opened | Effect::Reopened | Effect::Flapping)
            )
        {
            change.effect = Some(Effect::OpenedCovered);
        }
        return Ok(());
    }
    // What passes needs no cover. Should it fail before it is resolved, that run tells.
    if open && after.is_none() && change.observation == Observation::Pass {
        return Ok(());
    }
    change.dirty = true;
    change.finding.covered_by.clone_from(&after);
    if change.dirty && change.finding.changed_at < now {
        change.finding.changed_at = now;
    }
    let because = lost(before.as_ref(), open, coverage);
    if before.is_some() {
        coverage::uncover(tx, key, &because, now).await?;
    }
    match &after {
        Some(id) => {
            coverage::cover(tx, id, key, now).await?;
            if matches!(
                change.effect,
                Some(Effect::Opened | Effect::Reopened | Effect::Flapping)
            ) {
                change.effect = Some(Effect::OpenedCovered);
            }
        }
        // Losing cover is told without waiting for anything.
        None if open && before.is_some() => {
            if change.effect.is_none() || change.effect == Some(Effect::Recheck) {
                change.effect = Some(Effect::Uncovered);
                change.finding.state.transition = change.finding.state.transition.saturating_add(1);
            }
            uncovered.insert(key, because);
        }
        None => {}
    }
    Ok(())
}

/// Why a finding is no longer covered by what covered it, in a sentence.
pub fn lost(before: Option<&ExceptionId>, open: bool, coverage: &Coverage) -> String {
    match (before, open) {
        (Some(_), false) => "the finding is over".to_owned(),
        (Some(id), true) => coverage
            .lost
            .iter()
            .find(|l| l.exception == *id)
            .map_or_else(
                || format!("{id} does not speak of it any more"),
                |l| format!("{id}: {}", l.why),
            ),
        (None, _) => String::new(),
    }
}
