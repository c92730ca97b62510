//! What is loaded, prepared for runs: all of it from one reading of the files, so that a run never sees half
//! of an edit.

use std::collections::BTreeMap;

use crate::{
    catalog::{
        Catalog,
        connector::{Ask, Dataset},
        source::Source,
    },
    evaluate::{self, SqlProblem},
    evidence::View,
    exception::coverage::Policies,
    model::id::{ControlId, DatasetName},
    notify::route::Desk,
};

/// Everything that decides what a run looks at, how it judges, and who is told.
#[derive(Debug)]
pub struct Set {
    /// Controls, connectors, policies, sources, people.
    pub catalog: Catalog,
    /// Who is told, over which channel.
    pub desk: Desk,
    /// Datasets that are SQL over others of their source.
    pub views: BTreeMap<DatasetName, View>,
    /// What the policies say, by digest: what approvals are pinned to.
    policies: Policies,
    /// The datasets that each control rests on, with the inputs of views in the place of the views.
    inputs: BTreeMap<ControlId, Vec<DatasetName>>,
}

impl Set {
    /// Prepares what was loaded.
    ///
    /// # Errors
    /// A view cannot be read; a loaded catalog has none of these.
    pub fn new(catalog: Catalog, desk: Desk) -> Result<Self, SqlProblem> {
        let views = views(&catalog);
        let inputs = catalog
            .controls
            .iter()
            .map(|(id, control)| Ok((id.clone(), evaluate::inputs(&control.datasets, &views)?)))
            .collect::<Result<_, SqlProblem>>()?;
        let texts = catalog.policies.iter();
        let policies = texts.map(|(id, p)| (id.clone(), p.text_digest())).collect();
        Ok(Self {
            catalog,
            desk,
            views,
            policies,
            inputs,
        })
    }

    /// The digest of the text of each policy.
    pub fn policies(&self) -> &Policies {
        &self.policies
    }

    /// The datasets that must be collected for a control.
    pub fn inputs(&self, control: &ControlId) -> &[DatasetName] {
        self.inputs.get(control).map_or(&[], Vec::as_slice)
    }
}

fn views(catalog: &Catalog) -> BTreeMap<DatasetName, View> {
    let mut views = BTreeMap::new();
    for (source, dataset) in datasets(catalog) {
        let name = DatasetName::new(source.id.clone(), &dataset.name);
        if let (Ask::View(sql), Some(schema)) = (&dataset.ask, catalog.dataset(&name)) {
            let view = View {
                sql: sql.value.clone(),
                schema: schema.clone(),
            };
            views.insert(name, view);
        }
    }
    views
}

fn datasets(catalog: &Catalog) -> impl Iterator<Item = (&Source, &Dataset)> {
    catalog.sources.values().flat_map(|source| {
        let datasets = source.connector.datasets.iter();
        datasets.map(move |dataset| (source.as_ref(), dataset))
    })
}
