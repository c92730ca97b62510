//! The record of `tripline.yaml`: each part's own options under one roof. Knows what a user may write,
//! and nothing of what it means.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use crate::{
    audit,
    catalog::{name::Phrase, secret::Secret, source::SourceFile},
    evaluate, evidence,
    model::{
        people::{Person, Team},
        size::Size,
        span::Span,
    },
    notify::options::{Channel, Notices, Route},
    record, store, web,
    yaml::{
        decode::{Cx, Decode, Located},
        tree::{Kind, Node},
        values::Named,
    },
};

record! {
    /// `tripline.yaml`: one installation of Tripline.
    pub struct ConfigFile {
        /// Whose installation it is; pages and mails say it.
        organisation: Phrase,
        /// Where state is kept: `sqlite:PATH`, `postgres://USER@HOST/DATABASE`, or a secret that holds such an address.
        store: store::Options = store::Options::default(),
        /// Where snapshots are kept: a folder, `s3://bucket/prefix`, or either with its settings.
        evidence: evidence::Options = evidence::Options::default(),
        /// The systems that are read, by the names that SQL uses.
        sources: Named<SourceFile> = Named::default(),
        /// Teams.
        teams: Vec<Team> = Vec::new(),
        /// People.
        people: Vec<Person> = Vec::new(),
        /// Where notices go.
        channels: Named<Channel> = Named::default(),
        /// Who is told what; all that match apply.
        routes: Vec<Route> = Vec::new(),
        /// What all notices have in common.
        notices: Notices = Notices::default(),
        /// The audit log.
        audit: audit::Options,
        /// Whether time is played with here: acts and runs may be done at an instant that `--as-of` names. Never for an
        /// installation that anybody relies on.
        rehearsal: bool = false,
        /// The HTTP side.
        web: web::Options = web::Options::default(),
        /// An address that hears from us as long as all is well, so that our silence is heard.
        ping: Option<Ping>,
        /// What evaluation may use.
        limits: Limits = Limits::default(),
        /// The folder of control files, relative to this file.
        controls: Option<Located<PathBuf>>,
        /// The folder of connector files, relative to this file.
        connectors: Option<Located<PathBuf>>,
        /// The folder of policy files, relative to this file.
        policies: Option<Located<PathBuf>>,
    }
}

record! {
    /// A dead-man's switch: whoever watches the address raises an alarm when nothing comes any more.
    pub struct Ping {
        /// Where to knock; a secret where the address itself is the right to knock.
        url: Address,
        /// How often.
        every: Span = Span::minutes(1),
    }
}

/// An address as it stands, or one that is a secret.
#[derive(Debug, Clone, PartialEq)]
pub enum Address {
    /// As it stands.
    Url(url::Url),
    /// By reference.
    Secret(Secret),
}

impl Decode for Address {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        match &node.kind {
            Kind::Map(_) => Secret::decode(node, cx).map(Self::Secret),
            _ => url::Url::decode(node, cx).map(Self::Url),
        }
    }

    fn schema(defs: &mut Map<String, Value>) -> Value {
        json!({ "anyOf": [url::Url::schema(defs), Secret::schema(defs)] })
    }
}

record! {
    /// What evaluation may use.
    pub struct Limits {
        /// Memory that all running queries share; what does not fit spills to disk.
        memory: Size = Size::mebibytes(256),
        /// Where to spill; the system's folder for temporary files if not said.
        spill: Option<PathBuf>,
        /// Parts in which a query runs at the same time; 0 is one per core.
        partitions: usize = 0,
        /// Controls that run at the same time.
        runs: usize = 4,
        /// How long the evaluation of one control may take; then it is not checked.
        time: Span = Span::minutes(10),
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: Size::mebibytes(256),
            spill: None,
            partitions: 0,
            runs: 4,
            time: Span::minutes(10),
        }
    }
}

impl Limits {
    /// As the engine takes them.
    pub fn engine(&self) -> evaluate::Limits {
        evaluate::Limits {
            memory: usize::try_from(self.memory.0).unwrap_or(usize::MAX),
            spill: self.spill.clone(),
            partitions: self.partitions,
            time: self.time.to_std(),
        }
    }
}
