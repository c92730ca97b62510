//! From a source to snapshots. A source is read by one reader of this process at a time and at most
//! once per `refresh`; what it gave is shared by all controls that need it. Every collection ends in
//! a snapshot, also a failed one: nothing here turns absence into rows.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::future::try_join_all;
use tokio_util::sync::CancellationToken;

use crate::{
    audit::leaf::Leaf,
    catalog::{Catalog, connector::Dataset, source::Source},
    clock::{SharedClock, stamp},
    connector::{
        self, Collection, Last, Progress,
        http::{auth::Sessions, tape::Tape},
    },
    crash,
    evidence::{self, Archive},
    model::{
        id::{DatasetName, Sha, SnapshotId, SourceId},
        snapshot::{Completeness, Snapshot},
    },
    store::{self, Store, snapshots},
};

/// Why nothing could be recorded. What a source does wrong is not here: that is a snapshot.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Our database.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Our evidence store.
    #[error(transparent)]
    Evidence(#[from] evidence::Error),
}

/// How fresh evidence must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// What others collected within the source's `refresh` will do.
    Shared,
    /// Collected at that instant or later: a second look.
    Since(DateTime<Utc>),
    /// What there is, without asking any source.
    Kept,
}

/// Whether sources are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sources {
    /// Where what there is is not fresh enough.
    #[default]
    Asked,
    /// Never: the clock does not show the present, and what is collected now is no evidence of another instant.
    Kept,
}

/// Reads sources and records what they gave.
#[derive(Debug)]
pub struct Collector {
    store: Store,
    archive: Archive,
    clock: SharedClock,
    cancel: CancellationToken,
    sources: Sources,
    sessions: Sessions,
    flights: Mutex<BTreeMap<SourceId, Arc<tokio::sync::Mutex<()>>>>,
}

impl Collector {
    /// A collector; cancelling the token ends its collections early.
    pub fn new(
        store: Store,
        archive: Archive,
        clock: SharedClock,
        cancel: CancellationToken,
    ) -> Self {
        Self {
            store,
            archive,
            clock,
            cancel,
            sources: Sources::default(),
            sessions: Sessions::default(),
            flights: Mutex::default(),
        }
    }

    /// The same, asking sources or not.
    #[must_use]
    pub fn with(self, sources: Sources) -> Self {
        Self { sources, ..self }
    }

    /// Whether sources are asked.
    pub const fn sources(&self) -> Sources {
        self.sources
    }

    /// The newest snapshot of each dataset, collected first where it is not fresh enough. Sources are
    /// read side by side.
    ///
    /// # Errors
    /// When nothing can be recorded.
    pub async fn gather(
        &self,
        catalog: &Catalog,
        wanted: &[DatasetName],
        need: Need,
    ) -> Result<Vec<Gathered>, Error> {
        let mut by_source: BTreeMap<&SourceId, BTreeSet<&str>> = BTreeMap::new();
        for name in wanted {
            by_source
                .entry(&name.source)
                .or_default()
                .insert(&name.dataset);
        }
        if need != Need::Kept && self.sources == Sources::Asked {
            let sources = by_source
                .iter()
                .filter_map(|(id, datasets)| Some((catalog.sources.get(*id)?, datasets)));
            try_join_all(sources.map(|(source, datasets)| self.refresh(source, datasets, need)))
                .await?;
        }
        let mut tx = self.store.read().await?;
        let now = self.clock.now();
        let mut gathered = Vec::with_capacity(wanted.len());
        for dataset in wanted {
            gathered.push(Gathered {
                dataset: dataset.clone(),
                snapshot: snapshots::newest_by_now(&mut tx, dataset, now).await?,
            });
        }
        Ok(gathered)
    }

    /// Reads those datasets of a source that are not fresh enough.
    async fn refresh(
        &self,
        source: &Source,
        datasets: &BTreeSet<&str>,
        need: Need,
    ) -> Result<(), Error> {
        let flight = {
            let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
            flights.entry(source.id.clone()).or_default().clone()
        };
        // Who waits here finds the snapshots of the one before, and mostly has nothing left to do.
        let _turn = flight.lock().await;
        let mut stale = Vec::new();
        let mut tx = self.store.read().await?;
        for dataset in datasets {
            let name = DatasetName::new(source.id.clone(), dataset);
            let newest = snapshots::newest_by_now(&mut tx, &name, self.clock.now()).await?;
            if !newest.is_some_and(|s| is_fresh(&s, source, need, self.clock.now())) {
                stale.push((*dataset).to_owned());
            }
        }
        drop(tx);
        if !stale.is_empty() {
            self.collect(source, &stale).await?;
        }
        Ok(())
    }

    /// Reads datasets of a source now, all of them when none is named, and records what came.
    ///
    /// # Errors
    /// When nothing can be recorded.
    pub async fn collect(
        &self,
        source: &Source,
        datasets: &[String],
    ) -> Result<Vec<Snapshot>, Error> {
        let collections = self.read(source, datasets, (&Tape::Off, None)).await;
        self.keep(source, collections).await
    }

    /// Reads datasets of a source now, all of them when none is named, and records nothing. Views are left out.
    pub async fn read(
        &self,
        source: &Source,
        datasets: &[String],
        (tape, progress): (&Tape, Option<&dyn Progress>),
    ) -> Vec<Collection> {
        let last = Recorded {
            store: &self.store,
            archive: &self.archive,
            source,
        };
        let request = connector::Request {
            source,
            datasets,
            last: &last,
            clock: self.clock.clone(),
            sessions: &self.sessions,
            tape,
            cancel: self.cancel.clone(),
            progress,
        };
        let collections = connector::collect(request).await;
        crash::point("collect.read");
        collections
    }

    /// Records what was read, and gives it as it is kept.
    ///
    /// # Errors
    /// When nothing can be recorded.
    pub async fn keep(
        &self,
        source: &Source,
        collections: Vec<Collection>,
    ) -> Result<Vec<Snapshot>, Error> {
        let last = Recorded {
            store: &self.store,
            archive: &self.archive,
            source,
        };
        let mut recorded = Vec::with_capacity(collections.len());
        for collection in collections {
            recorded.push(self.record(&last, collection).await?);
        }
        Ok(recorded)
    }

    /// Keeps one collection: the object first, then the row that names it with its leaf in the log.
    async fn record(&self, last: &Recorded<'_>, collection: Collection) -> Result<Snapshot, Error> {
        let whole = last.whole(&collection.dataset.dataset).await;
        let mut snapshot = snapshot_of(&collection, last.source, self.clock.now());
        if let Some(ahead) = last
            .newest(&collection.dataset.dataset, snapshots::Newest::ANY)
            .await
            && ahead.started_at > self.clock.now()
        {
            let said = format!(
                "it takes the place of one that lies ahead of the clock ({})",
                ahead.started_at.to_rfc3339()
            );
            tracing::warn!(dataset = %snapshot.dataset, "{said}");
            snapshot.reason = Some(match snapshot.reason.take() {
                Some(reason) => format!("{reason}; {said}"),
                None => said,
            });
        }
        let same = whole.filter(|w| {
            snapshot.status == Completeness::Complete
                && w.content == snapshot.content
                && (w.schema, w.scope) == (snapshot.schema, snapshot.scope)
        });
        match (&same, &collection.table) {
            (Some(whole), _) => {
                snapshot.status = Completeness::Unchanged;
                snapshot.object = whole.object;
            }
            (None, Some(table)) => snapshot.object = Some(self.archive.put(table).await?.object),
            (None, None) => {}
        }
        crash::point("collect.stored");
        let mut tx = self.store.begin().await?;
        snapshots::insert(&mut tx, &snapshot).await?;
        store::audit::append(&mut tx, &[Leaf::of_snapshot(&snapshot)]).await?;
        tx.commit().await?;
        crash::point("collect.recorded");
        // Retention may have dropped an object that an older snapshot named while this one was made.
        if let (Some(object), Some(table)) = (snapshot.object, &collection.table)
            && !self.archive.has(object).await?
        {
            self.archive.put(table).await?;
        }
        tracing::info!(
            dataset = %snapshot.dataset, status = %snapshot.status, rows = snapshot.rows,
            reason = snapshot.reason.as_deref().unwrap_or("-"), "collected"
        );
        Ok(snapshot)
    }
}

/// The newest snapshot of a dataset, if there is any.
#[derive(Debug, Clone)]
pub struct Gathered {
    /// The dataset.
    pub dataset: DatasetName,
    /// The snapshot.
    pub snapshot: Option<Snapshot>,
}

/// Whether a snapshot will do. A tenth of `refresh` is slack, so that a control that runs at its source's
/// pace does not find every second snapshot a few seconds too young to be read again.
fn is_fresh(snapshot: &Snapshot, source: &Source, need: Need, now: DateTime<Utc>) -> bool {
    match need {
        Need::Kept => true,
        Need::Since(instant) => snapshot.started_at >= instant && snapshot.started_at <= now,
        Need::Shared => {
            let refresh = source.refresh.to_delta();
            snapshot.started_at <= now && snapshot.age(now) < refresh - refresh / 10
        }
    }
}

/// A collection as it would be kept.
pub fn snapshot_of(collection: &Collection, source: &Source, now: DateTime<Utc>) -> Snapshot {
    let rows = collection.table.as_ref().map_or(0, |t| t.rows() as u64);
    Snapshot {
        id: SnapshotId::from(stamp("snap-", now)),
        dataset: collection.dataset.clone(),
        status: collection.status,
        unknown: collection.unknown,
        reason: collection.reason.clone(),
        rows,
        effort: collection.effort,
        started_at: collection.started_at,
        ended_at: collection.ended_at,
        content: collection.content,
        object: None,
        schema: schema_of(collection, source),
        definition: collection.definition,
        scope: collection.scope,
        identity: collection.identity.clone(),
        request_ids: collection.request_ids.clone(),
    }
}

/// The digest of the columns: those that came, or those that were promised when nothing came.
fn schema_of(collection: &Collection, source: &Source) -> Sha {
    let promised = || {
        source
            .connector
            .dataset(&collection.dataset.dataset)
            .map(Dataset::schema)
    };
    let schema = collection
        .table
        .as_ref()
        .map(|t| t.schema.clone())
        .or_else(promised);
    schema.map_or_else(|| Sha::of([]), |s| s.digest())
}

/// What was collected before, for the rules of completeness.
struct Recorded<'a> {
    store: &'a Store,
    archive: &'a Archive,
    source: &'a Source,
}

impl Recorded<'_> {
    async fn newest(&self, dataset: &str, which: snapshots::Newest) -> Option<Snapshot> {
        let name = DatasetName::new(self.source.id.clone(), dataset);
        let found = async {
            let mut tx = self.store.read().await?;
            snapshots::newest(&mut tx, &name, which).await
        };
        found.await.unwrap_or_else(|error| {
            // Without the last snapshot the rules that need one do not apply; recording will fail just after.
            tracing::error!(%error, dataset = %name, "the last snapshot cannot be read");
            None
        })
    }
}

#[async_trait]
impl Last for Recorded<'_> {
    async fn whole(&self, dataset: &str) -> Option<Snapshot> {
        self.newest(dataset, snapshots::Newest::WHOLE).await
    }

    async fn keys(&self, dataset: &str) -> Option<HashSet<String>> {
        let object = self.whole(dataset).await?.object?;
        match self.archive.keys(object).await {
            Ok(keys) => Some(keys),
            Err(error) => {
                tracing::error!(%error, dataset, "the keys of the last snapshot cannot be read");
                None
            }
        }
    }

    async fn suspect(&self, dataset: &str) -> Option<Snapshot> {
        let newest = self.newest(dataset, snapshots::Newest::ANY).await?;
        (newest.status == Completeness::Suspect).then_some(newest)
    }
}
