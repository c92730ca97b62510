//! What a run looks at, and the run as it is recorded.

use chrono::{DateTime, Utc};

use super::{Context, Set};
use crate::{
    clock::stamp,
    collect::Gathered,
    evidence::{Evidence, Standing},
    model::{
        control::{Control, OnPartial},
        id::RunId,
        outcome::{Evaluation, Outcome},
        run::{Run, Tick, Used},
    },
    store::{self, Store, Tx, snapshots},
};

/// What the run looks at, each dataset with when it was whole last.
pub(super) async fn evidence(
    store: &Store,
    set: &Set,
    control: &Control,
    gathered: &[Gathered],
    now: DateTime<Utc>,
) -> Result<Evidence, store::Error> {
    let mut evidence = Evidence {
        views: set.views.clone(),
        ..Evidence::default()
    };
    let mut tx = store.read().await?;
    for one in gathered {
        let Some(schema) = set.catalog.dataset(&one.dataset) else {
            continue;
        };
        let whole = match &one.snapshot {
            Some(snapshot) if snapshot.status.is_whole() => None,
            _ => {
                let by_now = snapshots::Newest::whole_by(now);
                snapshots::newest(&mut tx, &one.dataset, by_now).await?
            }
        };
        let standing = Standing {
            dataset: &one.dataset,
            schema,
            snapshot: one.snapshot.as_ref(),
            last_good: whole.map(|s| s.started_at),
        };
        evidence.add(standing, control.max_age, now);
    }
    Ok(evidence)
}

/// The run as it is recorded.
pub(super) fn run(
    cx: &Context,
    set: &Set,
    control: &Control,
    tick: &Tick,
    (evidence, evaluation, before): (Evidence, &Evaluation, Option<&Run>),
    now: DateTime<Utc>,
) -> Run {
    let mut run = Run {
        id: RunId::from(stamp("run-", now)),
        control: control.id.clone(),
        scheduled_for: tick.scheduled_for,
        cause: tick.cause,
        instant: now,
        ended_at: cx.clock.now(),
        not_checked: evaluation.not_checked.as_ref().map(|(why, _)| *why),
        detail: evaluation
            .not_checked
            .as_ref()
            .map(|(_, said)| said.clone()),
        counts: evaluation.counts,
        evidence: evidence.used,
        definition: control.definition,
        outcomes: evaluation.digest,
        counted: false,
        config: set.catalog.digest,
    };
    run.counted = is_fresh(&run, before) && tells(control, evaluation);
    run
}

/// Whether a run has something to go by that the last counted run had not: the same evidence is counted
/// once, however often a control runs over it.
pub(super) fn is_fresh(run: &Run, before: Option<&Run>) -> bool {
    let Some(before) = before else {
        return true;
    };
    let known = |used: &Used| {
        before
            .evidence
            .iter()
            .any(|b| b.dataset == used.dataset && b.snapshot == used.snapshot)
    };
    before.definition != run.definition || !run.evidence.iter().all(known)
}

/// Whether the inventory of record was asked for another thing than at the last counted run: its connector
/// or its settings were changed, and what is missing may only be out of sight.
pub(super) async fn is_rescoped(
    tx: &mut Tx,
    control: &Control,
    run: &Run,
    before: Option<&Run>,
) -> Result<bool, store::Error> {
    let (Some(inventory), Some(before)) = (&control.inventory, before) else {
        return Ok(false);
    };
    // An inventory that is a view rests on datasets of its own source.
    let of_source = run
        .evidence
        .iter()
        .filter(|u| u.dataset.source == inventory.source);
    for now in of_source {
        let then = before.evidence.iter().find(|b| b.dataset == now.dataset);
        let (Some(now), Some(then)) = (&now.snapshot, then.and_then(|t| t.snapshot.as_ref()))
        else {
            continue;
        };
        if now == then {
            continue;
        }
        let (now, then) = (
            snapshots::get(tx, now).await?,
            snapshots::get(tx, then).await?,
        );
        if let (Some(now), Some(then)) = (now, then)
            && now.scope != then.scope
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether anything can be told of any subject.
fn tells(control: &Control, evaluation: &Evaluation) -> bool {
    let fails = || {
        evaluation
            .observed
            .iter()
            .any(|o| o.outcome == Outcome::Fail)
    };
    evaluation.not_checked.is_none() || (control.on_partial == OnPartial::Open && fails())
}
