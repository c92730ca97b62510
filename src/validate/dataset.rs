//! What the datasets of all sources promise: declared columns, and for a view those that its statement
//! gives. Also the digest of each definition, by which a control knows that what it reads has changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::json;

use super::in_file;
use crate::{
    catalog::{
        connector::{Ask, Connector, Dataset},
        source::Source,
    },
    evaluate,
    model::{
        definition::Promise,
        id::{ConnectorId, DatasetName, Sha, SourceId},
        table::Schema,
    },
    yaml::{decode::Located, diagnostic::Diagnostic},
};

/// What can be read.
#[derive(Debug, Clone, Default)]
pub struct Datasets {
    /// What each promises.
    pub schemas: BTreeMap<DatasetName, Schema>,
    /// The same with how each is defined; the digest of a view holds those of what it reads.
    pub promises: BTreeMap<DatasetName, Promise>,
    /// Datasets that there would be but for a mistake that is told already.
    pub broken: BTreeSet<DatasetName>,
    /// Sources that there would be but for a mistake that is told already.
    pub broken_sources: BTreeSet<SourceId>,
}

impl Datasets {
    /// Whether a dataset may be there but for a mistake elsewhere.
    pub fn is_in_doubt(&self, name: &DatasetName) -> bool {
        self.broken_sources.contains(&name.source) || self.broken.contains(name)
    }
}

/// The datasets of all sources. `named` are the sources that `tripline.yaml` names, sound or not;
/// connectors that no source uses are judged as well.
pub fn all<'s>(
    sources: &BTreeMap<SourceId, Arc<Source>>,
    named: impl Iterator<Item = &'s str>,
    connectors: &BTreeMap<ConnectorId, Arc<Connector>>,
    out: &mut Vec<Diagnostic>,
) -> Datasets {
    let mut datasets = Datasets {
        broken_sources: named
            .filter(|name| !sources.contains_key(*name))
            .map(SourceId::new)
            .collect(),
        ..Datasets::default()
    };
    // A connector that several sources use makes its mistakes once.
    let mut told: BTreeSet<&ConnectorId> = BTreeSet::new();
    for source in sources.values() {
        let mut found = Vec::new();
        datasets.add(&source.id, &source.connector, &mut found);
        if told.insert(&source.connector.id) {
            out.append(&mut found);
        }
    }
    for connector in connectors.values().filter(|c| !told.contains(&c.id)) {
        let nowhere = SourceId::new(&connector.id);
        Datasets::default().add(&nowhere, connector, out);
    }
    datasets
}

impl Datasets {
    fn add(&mut self, source: &SourceId, connector: &Connector, out: &mut Vec<Diagnostic>) {
        let mut views = Vec::new();
        for dataset in &connector.datasets {
            let name = DatasetName::new(source.clone(), &dataset.name);
            if let Ask::View(sql) = &dataset.ask {
                views.push(View { name, dataset, sql });
            } else {
                self.promise(name, dataset.definition, dataset.schema(), None);
            }
        }
        self.views(views, out);
    }

    /// Views in the order in which they read each other; what is left over reads itself.
    fn views(&mut self, mut left: Vec<View<'_>>, out: &mut Vec<Diagnostic>) {
        while !left.is_empty() {
            let names: BTreeSet<DatasetName> = left.iter().map(|v| v.name.clone()).collect();
            let (ready, waiting): (Vec<_>, Vec<_>) = left
                .into_iter()
                .partition(|view| view.reads().iter().all(|r| !names.contains(r)));
            for view in &ready {
                self.view(view, out);
            }
            if ready.is_empty() {
                for view in waiting {
                    let what = format!("the view `{}` reads itself", view.dataset.name);
                    out.push(Diagnostic::error("TL0406", &view.sql.place, what));
                    self.broken.insert(view.name);
                }
                return;
            }
            left = waiting;
        }
    }

    fn promise(
        &mut self,
        name: DatasetName,
        definition: Sha,
        schema: Schema,
        view: Option<String>,
    ) {
        self.schemas.insert(name.clone(), schema.clone());
        let promise = Promise {
            definition,
            schema,
            view,
        };
        self.promises.insert(name, promise);
    }

    fn view(&mut self, view: &View<'_>, out: &mut Vec<Diagnostic>) {
        let reads = view.reads();
        let name = view.name.clone();
        if reads.iter().any(|r| self.broken.contains(r)) {
            self.broken.insert(name);
            return;
        }
        let key = &view.dataset.key;
        match evaluate::view_schema(name.source.as_str(), view.sql, key, &self.schemas) {
            Ok(schema) => {
                let below: BTreeMap<&str, Sha> = reads
                    .iter()
                    .filter_map(|r| Some((r.dataset.as_ref(), self.promises.get(r)?.definition)))
                    .collect();
                let definition = json!({ "view": view.dataset.definition, "reads": below });
                let sql = view.sql.value.clone();
                self.promise(name, Sha::of_json(&definition), schema, Some(sql));
            }
            Err(problems) => {
                out.extend(problems.iter().map(|p| in_file(p, view.sql)));
                self.broken.insert(name);
            }
        }
    }
}

/// A view of one source.
struct View<'c> {
    name: DatasetName,
    dataset: &'c Dataset,
    sql: &'c Located<String>,
}

impl View<'_> {
    /// What it reads; nothing when it cannot be told, which is told elsewhere.
    fn reads(&self) -> Vec<DatasetName> {
        evaluate::datasets_of_view(self.name.source.as_str(), self.sql).unwrap_or_default()
    }
}
