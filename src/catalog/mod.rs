//! From files to a catalog. Nothing here reads the network, the database or the clock; a mistake in
//! a file is a diagnostic with its place, and all mistakes of a load come together.

pub mod connector;
pub mod control;
pub mod cron;
pub mod folder;
pub mod frameworks;
pub mod import;
pub mod load;
pub mod name;
pub mod policy;
pub mod request;
pub mod secret;
pub mod source;
pub mod template;

use std::{collections::BTreeMap, sync::Arc};

use crate::model::{
    control::Control,
    definition::{Definition, Promise},
    id::{ConnectorId, ControlId, DatasetName, PolicyId, Sha, SourceId},
    people::Directory,
    policy::{Policy, ProvisionRef},
    table::Schema,
};
use connector::Connector;
use source::Source;

/// Everything that one load of the files says, checked as a whole: what is in here can be run.
#[derive(Debug, Clone)]
pub struct Catalog {
    /// Controls by name.
    pub controls: BTreeMap<ControlId, Arc<Control>>,
    /// Connectors by name.
    pub connectors: BTreeMap<ConnectorId, Arc<Connector>>,
    /// Policies by name.
    pub policies: BTreeMap<PolicyId, Arc<Policy>>,
    /// Sources by name.
    pub sources: BTreeMap<SourceId, Arc<Source>>,
    /// What each dataset of each source promises, views with the columns of their statement.
    pub schemas: BTreeMap<DatasetName, Schema>,
    /// The same with how each is defined.
    pub promises: BTreeMap<DatasetName, Promise>,
    /// What judges in each control.
    pub definitions: BTreeMap<ControlId, Definition>,
    /// People and teams.
    pub directory: Directory,
    /// The digest of every file; it is recorded with each run.
    pub digest: Sha,
}

impl Catalog {
    /// What a dataset promises.
    pub fn dataset(&self, name: &DatasetName) -> Option<&Schema> {
        self.schemas.get(name)
    }

    /// The control of that name.
    pub fn control(&self, id: &ControlId) -> Option<&Arc<Control>> {
        self.controls.get(id)
    }

    /// The policy of a clause, if it still has that clause.
    pub fn policy_of(&self, clause: &ProvisionRef) -> Option<&Arc<Policy>> {
        self.policies
            .get(&clause.policy)
            .filter(|p| p.provision(&clause.provision).is_some())
    }

    /// The controls that read a dataset, in the order of their names.
    pub fn readers_of<'c>(
        &'c self,
        dataset: &'c DatasetName,
    ) -> impl Iterator<Item = &'c Arc<Control>> {
        self.controls
            .values()
            .filter(move |c| c.datasets.contains(dataset))
    }
}
