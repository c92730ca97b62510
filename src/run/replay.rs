//! A past run over again: the same control over the same evidence at the same instant must say the same.

use super::{Context, Error, Set};
use crate::{
    evidence::{Evidence, Standing},
    model::{
        id::{DatasetName, Sha, SnapshotId},
        outcome::{Counts, Unknown},
        run::Run,
    },
    store::snapshots,
};

/// What a replay came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replayed {
    /// The same outcomes, byte for byte.
    Same,
    /// Other outcomes: the program, the evidence or the record is not what it was.
    Different(Box<Difference>),
    /// The control is not what it was; its file at that time is needed.
    OtherControl {
        /// What it was.
        then: Sha,
        /// What is loaded; nothing when the control is gone.
        now: Option<Sha>,
    },
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
    let control = set.catalog.control(&run.control);
    let Some(control) = control.filter(|c| c.definition == run.definition) else {
        return Ok(Replayed::OtherControl {
            then: run.definition,
            now: control.map(|c| c.definition),
        });
    };
    let mut evidence = Evidence {
        views: set.views.clone(),
        ..Evidence::default()
    };
    let mut tx = cx.store.read().await?;
    for used in &run.evidence {
        let snapshot = match &used.snapshot {
            Some(id) => snapshots::get(&mut tx, id).await?,
            None => None,
        };
        let gone = || Replayed::Gone(used.dataset.clone(), used.snapshot.clone());
        if snapshot.is_none() && used.snapshot.is_some() {
            return Ok(gone());
        }
        let Some(schema) = set.catalog.dataset(&used.dataset) else {
            return Ok(gone());
        };
        let standing = Standing {
            dataset: &used.dataset,
            schema,
            snapshot: snapshot.as_ref(),
            last_good: None,
        };
        evidence.add(standing, control.max_age, run.instant);
    }
    drop(tx);
    let evaluation = cx
        .engine
        .control(control, &evidence, &[], run.instant)
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
