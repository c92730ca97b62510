//! What a run says of its sources: whether each could be read, told as one finding per source however
//! many controls wait for it.

use chrono::{DateTime, Utc};

use super::Set;
use crate::{
    finding::{self, Look},
    model::{
        control::{Control, Given},
        finding::Change,
        id::{DatasetName, FindingKey, SourceId},
        run::Run,
    },
    store::{self, Tx, findings, snapshots},
};

/// What the run does to the gap of each source that it looked at.
pub(super) async fn of(
    tx: &mut Tx,
    set: &Set,
    control: &Control,
    run: &Run,
) -> Result<Vec<Change>, store::Error> {
    let mut sources: Vec<&SourceId> = run.evidence.iter().map(|u| &u.dataset.source).collect();
    sources.sort_unstable();
    sources.dedup();
    let severity = match &control.severity {
        Given::Fixed(severity)
        | Given::Column {
            otherwise: severity,
            ..
        } => *severity,
    };
    let mut changes = Vec::new();
    for source in sources {
        let Some(known) = set.catalog.sources.get(source) else {
            continue;
        };
        let datasets = run
            .evidence
            .iter()
            .filter(|u| u.dataset.source == *source)
            .map(|u| &u.dataset);
        let look = Look {
            source,
            owner: known.owner.as_str(),
            severity,
            control: &control.id,
            max_age: control.max_age,
            evidence: &run.evidence,
            last_good: last_good(tx, datasets).await?,
            detail: run.detail.as_deref(),
            run: &run.id,
            now: run.instant,
        };
        let key = FindingKey::of(&finding::gap_control(source), &finding::gap_subject(source));
        changes.extend(finding::gap(findings::get(tx, key).await?, &look));
    }
    Ok(changes)
}

/// When the datasets of a source were all whole last: the oldest of their newest whole snapshots.
async fn last_good<'a>(
    tx: &mut Tx,
    datasets: impl Iterator<Item = &'a DatasetName>,
) -> Result<Option<DateTime<Utc>>, store::Error> {
    let mut oldest: Option<DateTime<Utc>> = None;
    for dataset in datasets {
        let Some(whole) = snapshots::newest(tx, dataset, snapshots::Newest::WHOLE).await? else {
            return Ok(None);
        };
        oldest = Some(oldest.map_or(whole.started_at, |o| o.min(whole.started_at)));
    }
    Ok(oldest)
}
