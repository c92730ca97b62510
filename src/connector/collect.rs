//! The common part: which datasets are read, in which order, for which parent rows and how often, and
//! whether the result is whole. Nothing here knows how a kind reads, and nothing here fails: what went
//! wrong is in the collections.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde_json::json;
use tokio::time::Instant;

use super::{
    Collection, Meter, Reader, Request,
    complete::{Facts, Rules, Verdict, judge},
    content::Content,
    error::{Error, Result},
    intake::Cut,
    open,
    pass::{Pass, Passes},
};
use crate::{
    catalog::connector::{Ask, Connector, Dataset, Kind},
    model::{
        id::{DatasetName, Sha},
        outcome::Unknown,
        snapshot::{Completeness, Snapshot},
        span::Span,
    },
};

/// For a kind that declares no time-out for a whole collection.
const COLLECTION: Span = Span::minutes(10);

/// Collects datasets of one source. Always gives one collection for each dataset that was asked for,
/// in the order of the connector file.
pub async fn collect(request: Request<'_>) -> Vec<Collection> {
    let wanted = wanted(&request);
    let mut done: BTreeMap<String, Collection> = BTreeMap::new();
    let started = request.clock.now();
    let opened = match open(&request) {
        Ok(reader) => prove(&request, reader.as_ref())
            .await
            .map(|identity| (reader, identity)),
        Err(error) => Err(error),
    };
    match opened {
        Err(error) => {
            for dataset in wanted.iter().copied() {
                let failed = Ended {
                    started,
                    identity: None,
                    meter: &Meter::default(),
                };
                done.insert(
                    dataset.name.clone(),
                    failed.without_rows(&request, dataset, &error),
                );
            }
        }
        Ok((reader, identity)) => {
            let deadline = Instant::now() + patience(&request).to_std();
            for group in groups(&request.source.connector, &wanted) {
                let collected = read_group(
                    &request,
                    reader.as_ref(),
                    Reading {
                        group: &group,
                        done: &done,
                        identity: identity.clone(),
                        deadline,
                    },
                )
                .await;
                done.extend(
                    collected
                        .into_iter()
                        .map(|c| (c.dataset.dataset.to_string(), c)),
                );
            }
        }
    }
    let asked =
        |name: &str| request.datasets.is_empty() || request.datasets.iter().any(|d| d == name);
    wanted
        .iter()
        .filter(|d| asked(&d.name))
        .filter_map(|d| done.remove(&d.name))
        .collect()
}

async fn prove(request: &Request<'_>, reader: &dyn Reader) -> Result<Option<String>> {
    let probes = match &request.source.connector.kind {
        Kind::Http(http) => http.probe.as_slice(),
        Kind::Aws(aws) => aws.probe.as_slice(),
        Kind::Sql(_) | Kind::File(_) => &[],
    };
    let meter = Meter::default();
    let proving = reader.prove(probes, &meter);
    tokio::select! {
        () = request.cancel.cancelled() => Err(Error::Stopped),
        proved = tokio::time::timeout(patience(request).to_std(), proving) => {
            proved.unwrap_or_else(|_| Err(Error::Timeout { at: "a probe".to_owned(), limit: patience(request) }))
        }
    }
}

/// How long a whole collection may take.
pub(super) fn patience(request: &Request<'_>) -> Span {
    let own = match &request.source.connector.kind {
        Kind::Http(http) => http.timeout.collection,
        Kind::Aws(aws) => aws.timeout.collection,
        Kind::Sql(_) | Kind::File(_) => COLLECTION,
    };
    request
        .source
        .timeout
        .as_ref()
        .map_or(own, |t| t.collection)
}

/// The datasets that are needed: those asked for, and those that they are read for.
fn wanted<'r>(request: &Request<'r>) -> Vec<&'r Dataset> {
    let connector = &request.source.connector;
    let asked = |d: &&Dataset| request.datasets.is_empty() || request.datasets.contains(&d.name);
    let needed: BTreeSet<&str> = connector
        .datasets
        .iter()
        .filter(|d| !d.is_view())
        .filter(asked)
        .flat_map(|d| connector.lineage(d))
        .map(|d| d.name.as_str())
        .collect();
    connector
        .datasets
        .iter()
        .filter(|d| needed.contains(d.name.as_str()))
        .collect()
}

/// Datasets that ask for the same together, parents before children.
fn groups<'c>(connector: &'c Connector, wanted: &[&'c Dataset]) -> Vec<Vec<&'c Dataset>> {
    let mut sorted = wanted.to_vec();
    sorted.sort_by_key(|d| connector.lineage(d).len());
    let mut groups: Vec<Vec<&Dataset>> = Vec::new();
    for dataset in sorted {
        match groups
            .iter_mut()
            .find(|g| g.first().is_some_and(|first| same_request(first, dataset)))
        {
            Some(group) => group.push(dataset),
            None => groups.push(vec![dataset]),
        }
    }
    groups
}

fn same_request(a: &Dataset, b: &Dataset) -> bool {
    let each = |d: &Dataset| {
        d.each
            .as_ref()
            .map(|e| (e.of.value.clone(), e.r#as.clone()))
    };
    let asks = match (&a.ask, &b.ask) {
        (Ask::Http(a), Ask::Http(b)) => a == b,
        (
            Ask::Call {
                operation: a,
                body: x,
            },
            Ask::Call {
                operation: b,
                body: y,
            },
        ) => a.value == b.value && x == y,
        _ => false,
    };
    asks && each(a) == each(b)
        && a.page == b.page
        && a.responses == b.responses
        && a.probe == b.probe
}

/// What is read together, and what was read before.
#[derive(Clone)]
pub(super) struct Reading<'a> {
    /// Datasets that ask for the same.
    pub group: &'a [&'a Dataset],
    /// What was collected already, for parents.
    pub done: &'a BTreeMap<String, Collection>,
    /// Who we are for the source.
    pub identity: Option<String>,
    /// When the whole collection must have ended.
    pub deadline: Instant,
}

async fn read_group(
    request: &Request<'_>,
    reader: &dyn Reader,
    reading: Reading<'_>,
) -> Vec<Collection> {
    let meter = Meter::default();
    let started = request.clock.now();
    let passes = Passes {
        request,
        reader,
        reading: &reading,
        meter: &meter,
    };
    let pass = passes.read().await;
    let identity = pass.identity.clone().or_else(|| reading.identity.clone());
    let ended = Ended {
        started,
        identity,
        meter: &meter,
    };
    let Pass { cuts, facts, .. } = pass;
    cuts.into_iter()
        .map(|cut| ended.collection(request, cut, &facts))
        .collect()
}

/// What all datasets of a group share when it ends.
struct Ended<'a> {
    started: DateTime<Utc>,
    identity: Option<String>,
    meter: &'a Meter,
}

/// One dataset of a group, read.
#[derive(Debug)]
pub(super) struct Shaped<'a> {
    /// What was made of the answers.
    pub cut: Cut<'a>,
    /// The rows.
    pub table: crate::model::table::Table,
    /// What they hold.
    pub content: Content,
    /// What is known of it alone.
    pub facts: Facts<'static>,
    /// The last whole snapshot that asked for the same.
    pub last: Option<Snapshot>,
}

impl Ended<'_> {
    fn collection(
        &self,
        request: &Request<'_>,
        shaped: Shaped<'_>,
        group: &Facts<'static>,
    ) -> Collection {
        let Shaped {
            cut,
            table,
            content,
            facts: own,
            last,
        } = shaped;
        let source = request.source;
        let complete = source.complete(&cut.dataset.name);
        let facts = Facts {
            broken: group.broken.clone(),
            orphans: group.orphans.clone(),
            parent: group.parent.clone(),
            warning: group.warning.clone(),
            total: group.total,
            reads: group.reads,
            identity: self.identity.as_deref(),
            last: last.as_ref(),
            content: Some(content.digest),
            ..own
        };
        let verdict = judge(
            &facts,
            Rules {
                min_rows: complete.min_rows,
                max_drop: complete.max_drop,
            },
        );
        let mut collection = self.empty(request, cut.dataset, &verdict);
        collection.effort.duplicates = content.duplicates;
        if verdict.status() != Completeness::Failed {
            collection.content = Some(content.digest);
            collection.table = Some(table);
        }
        collection
    }

    fn without_rows(&self, request: &Request<'_>, dataset: &Dataset, error: &Error) -> Collection {
        let broken = Some((error.unknown(), error.chain()));
        self.empty(
            request,
            dataset,
            &judge(
                &Facts {
                    broken,
                    ..Facts::default()
                },
                Rules::default(),
            ),
        )
    }

    fn empty(&self, request: &Request<'_>, dataset: &Dataset, verdict: &Verdict) -> Collection {
        Collection {
            dataset: DatasetName::new(request.source.id.clone(), &dataset.name),
            table: None,
            status: verdict.status(),
            unknown: verdict.reason().map(super::complete::Reason::unknown),
            reason: verdict.reason().map(ToString::to_string),
            effort: self.meter.effort(),
            started_at: self.started,
            ended_at: request.clock.now(),
            content: None,
            definition: dataset.definition,
            scope: scope(request, dataset),
            identity: self.identity.clone(),
            request_ids: self.meter.ids(),
        }
    }
}

/// The digest of what is asked for: address, request, place of rows, key, settings without secrets.
pub(super) fn scope(request: &Request<'_>, dataset: &Dataset) -> Sha {
    let source = request.source;
    let address = match &source.connector.kind {
        Kind::Http(http) => http.base_url.to_string(),
        Kind::Aws(aws) => aws
            .endpoint
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        Kind::Sql(sql) => sql.url.to_string(),
        Kind::File(file) => file.path.to_string(),
    };
    let kind = source.connector.kind.as_str();
    Sha::of_json(
        &json!({ "kind": kind, "address": address, "dataset": dataset.scope, "settings": source.public_settings() }),
    )
}

/// Who is to blame for a child whose parent is not whole.
pub(super) fn parent_of(reading: &Reading<'_>) -> Option<(String, Completeness, Unknown)> {
    let each = reading.group.first()?.each.as_ref()?;
    let parent = reading.done.get(each.of.value.as_str())?;
    (!parent.status.is_whole()).then(|| {
        (
            each.of.value.clone(),
            parent.status,
            parent.unknown.unwrap_or(Unknown::Incomplete),
        )
    })
}
