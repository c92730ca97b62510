//! Sources read as the daemon reads them, from a connector file to collections: databases, files and AWS.

mod aws;
mod file;
mod http;
mod shipped;
mod sql;

use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
    sync::Arc,
};

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tripline::{
    catalog::{
        connector::{Connector, read_all},
        source::{Source, SourceFile},
    },
    clock::{SharedClock, SystemClock},
    connector::{
        Collection, Last, Request, collect, columns,
        http::{auth::Sessions, tape::Tape},
    },
    model::{
        snapshot::{Completeness, Snapshot},
        table::Table,
    },
    yaml::{decode, values::Named},
};

/// Nothing was collected before.
pub(super) struct Never;

#[async_trait]
impl Last for Never {
    async fn whole(&self, _: &str) -> Option<Snapshot> {
        None
    }

    async fn keys(&self, _: &str) -> Option<HashSet<String>> {
        None
    }

    async fn suspect(&self, _: &str) -> Option<Snapshot> {
        None
    }
}

/// A connector as it is written, or the mistakes in it.
pub(super) fn connector(text: &str) -> Arc<Connector> {
    let (mut connectors, _) = read_all(Path::new("connector.yaml"), text)
        .unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    Arc::new(connectors.remove(0))
}

/// A source that fills in a connector; `settings` is JSON, which is YAML.
pub(super) fn source(connector: &Arc<Connector>, settings: &Value) -> Source {
    let text = json!({ "it": { "connector": connector.id.as_str(), "owner": "platform", "settings": settings } });
    let text = text.to_string();
    let (mut sources, _) = decode::read::<Named<SourceFile>>(Path::new("tripline.yaml"), &text)
        .unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    let (key, file) = sources.0.remove(0);
    let mut cx = decode::Cx::default();
    Source::resolve(&key, file, connector, &mut cx).unwrap_or_else(|| panic!("{:#?}", cx.out))
}

/// Everything that a source offers, by dataset.
pub(super) async fn read(source: &Source) -> BTreeMap<String, Collection> {
    let clock: SharedClock = Arc::new(SystemClock);
    let request = Request {
        source,
        datasets: &[],
        last: &Never,
        clock,
        sessions: &Sessions::default(),
        tape: &Tape::Off,
        cancel: CancellationToken::new(),
        progress: None,
    };
    let collected = collect(request).await;
    let by_name = |c: Collection| (c.dataset.dataset.to_string(), c);
    collected.into_iter().map(by_name).collect()
}

/// The one dataset of a source.
pub(super) async fn only(source: &Source) -> Collection {
    let mut collected = read(source).await;
    assert_eq!(collected.len(), 1);
    collected.pop_first().unwrap().1
}

/// The rows of a collection as JSON.
pub(super) fn rows(collection: &Collection) -> Vec<Value> {
    let Some(table) = &collection.table else {
        return Vec::new();
    };
    (0..table.rows())
        .map(|at| Value::Object(columns::row(table, at)))
        .collect()
}

/// Status, number of rows and reason in one line.
pub(super) fn told(collection: &Collection) -> String {
    let rows = collection.table.as_ref().map_or(0, Table::rows);
    let reason = collection.reason.clone().unwrap_or_default();
    let unknown = collection.unknown.map_or("", |u| u.as_str());
    format!("{} ({unknown}), {rows} rows: {reason}", collection.status)
}

/// That a collection is whole, else why it is not.
pub(super) fn whole(collection: &Collection) {
    assert_eq!(
        collection.status,
        Completeness::Complete,
        "{}: {}",
        collection.dataset,
        told(collection)
    );
}
