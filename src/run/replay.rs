//! A past run over again: the same control over the same evidence at the same instant must say the same.

use std::collections::BTreeMap;

use super::{Context, Error, Set};
use crate::{
    evidence::{Evidence, Standing, View},
    model::{
        definition::Definition,
        id::{DatasetName, Sha, SnapshotId},
        outcome::{Counts, Unknown},
        run::Run,
    },
    store::{self, Tx, definitions, snapshots},
};

/// What a replay came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replayed {
    /// The same outcomes, byte for byte.
    Same,
    /// Other outcomes: the program, the evidence or the record is not what it was.
    Different(Box<Difference>),
    /// Nobody kept what the control was then.
    Unknown(Sha),
    /// A snapshot was let go by retention.
    Gone(DatasetName, Option<SnapshotId>),
}

/// How a replay differs from its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The counts as recorded.
    pub then: Counts,
    /// The counts now.
    pub now: Counts,
    /// Why nothing could be told, as recorded.
    pub not_checked_then: Option<Unknown>,
    /// Why nothing can be told now.
    pub not_checked_now: Option<Unknown>,
    /// The digest of the outcomes as recorded.
    pub outcomes_then: Sha,
    /// The digest of the outcomes now.
    pub outcomes_now: Sha,
}

/// Judges the evidence of a run again, at its instant. Changes nothing.
///
/// # Errors
/// The store or the evidence cannot be read.
pub async fn replay(cx: &Context, set: &Set, run: &Run) -> Result<Replayed, Error> {
    let mut tx = cx.store.read().await?;
    let Some(definition) = definition(&mut tx, set, run).await? else {
        return Ok(Replayed::Unknown(run.definition));
    };
    let control = definition.control(&run.control);
    let evidence = match evidence(&mut tx, run, &definition).await? {
        Ok(evidence) => evidence,
        Err((dataset, snapshot)) => return Ok(Replayed::Gone(dataset, snapshot)),
    };
    drop(tx);
    let evaluation = cx
        .engine
        .control(&control, &evidence, &[], run.instant)
        .await?;
    if evaluation.digest == run.outcomes && evaluation.counts == run.counts {
        return Ok(Replayed::Same);
    }
    Ok(Replayed::Different(Box::new(Difference {
        then: run.counts,
        now: evaluation.counts,
        not_checked_then: run.not_checked,
        not_checked_now: evaluation.not_checked.map(|(why, _)| why),
        outcomes_then: run.outcomes,
        outcomes_now: evaluation.digest,
    })))
}

/// A dataset of which the snapshot is no longer kept.
pub type Gone = (DatasetName, Option<SnapshotId>);

/// What a run looked at, as it was kept; what retention let go is named.
///
/// # Errors
/// The store cannot be read.
pub async fn evidence(
    tx: &mut Tx,
    run: &Run,
    definition: &Definition,
) -> Result<Result<Evidence, Gone>, store::Error> {
    let mut evidence = Evidence {
        views: views(definition),
        ..Evidence::default()
    };
    for used in &run.evidence {
        let snapshot = match &used.snapshot {
            Some(id) => snapshots::get(tx, id).await?,
            None => None,
        };
        let promise = definition.datasets.get(&used.dataset);
        let (Some(promise), false) = (promise, snapshot.is_none() && used.snapshot.is_some())
        else {
            return Ok(Err((used.dataset.clone(), used.snapshot.clone())));
        };
        let standing = Standing {
            dataset: &used.dataset,
            schema: &promise.schema,
            snapshot: snapshot.as_ref(),
            last_good: None,
        };
        evidence.add(standing, definition.max_age, run.instant);
    }
    Ok(Ok(evidence))
}

/// What judged: as it is loaded, or as it was kept when it came into force.
///
/// # Errors
/// The store cannot be read.
pub async fn definition(
    tx: &mut Tx,
    set: &Set,
    run: &Run,
) -> Result<Option<Definition>, store::Error> {
    let loaded = set.catalog.control(&run.control);
    if loaded.is_some_and(|c| c.definition == run.definition) {
        return Ok(set.catalog.definitions.get(&run.control).cloned());
    }
    let kept = definitions::get(tx, run.definition).await?;
    Ok(kept.and_then(|k| serde_json::from_value(k.body).ok()))
}

fn views(definition: &Definition) -> BTreeMap<DatasetName, View> {
    let views = definition.datasets.iter().filter_map(|(name, promise)| {
        let view = View {
            sql: promise.view.clone()?,
            schema: promise.schema.clone(),
        };
        Some((name.clone(), view))
    });
    views.collect()
}
