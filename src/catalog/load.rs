//! The folders of controls, connectors and policies, read whole: each file on its own first, then the
//! names by which they refer to each other. A file that cannot be read makes no second mistake
//! elsewhere: what it would have named is taken as unknown, not as missing.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use sha2::{Digest as _, Sha256};

use super::{
    connector::{self, Connector},
    control,
    folder::{self, Folder, Text},
    name::Slug,
    policy::{self, PolicyFile},
    source::{Source, SourceFile},
};
use crate::{
    model::{
        id::{ConnectorId, ControlId, Sha, SourceId},
        policy::{Policy, ProvisionRef},
    },
    yaml::{
        decode::{Cx, Decode as _, Located},
        diagnostic::{Diagnostic, Place, nearest},
        tree::{self, Kind, Node},
        values::Named,
    },
};

/// Where each kind of file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folders {
    /// Control files.
    pub controls: Folder,
    /// Connector files; a connector of ours that is not here comes with the program.
    pub connectors: Folder,
    /// Policy files.
    pub policies: Folder,
}

/// A control file: what remains to be judged, and the control unless the file has a mistake.
#[derive(Debug, Clone, PartialEq)]
pub struct ControlEntry {
    /// The parts that only the rest of the catalog can judge.
    pub open: control::Open,
    /// The control as far as the file says it.
    pub draft: Option<control::Draft>,
}

/// A policy file: the places that others judge, and the policy unless the file has a mistake.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyEntry {
    /// Its name.
    pub id: Option<Located<Slug>>,
    /// Who leads it.
    pub owner: Option<Located<String>>,
    /// What its rules for exceptions leave to others.
    pub names: Option<policy::rules::Names>,
    /// The policy.
    pub policy: Option<Policy>,
}

/// Everything in the folders.
#[derive(Debug, Clone, Default)]
pub struct Files {
    /// Controls in the order of their paths.
    pub controls: Vec<ControlEntry>,
    /// Policies in the order of their paths.
    pub policies: Vec<PolicyEntry>,
    /// Connectors by name.
    pub connectors: BTreeMap<ConnectorId, Arc<Connector>>,
    /// The digest of all names and texts.
    pub digest: Option<Sha>,
    clauses: Clauses,
    connectors_are_known: bool,
}

/// The clauses that policy files name, even those with a mistake elsewhere.
#[derive(Debug, Clone, Default)]
struct Clauses {
    of: BTreeMap<String, BTreeSet<String>>,
    /// Whether a policy file could not be read at all, so that a name may be in it.
    in_doubt: bool,
}

/// Reads every file of the folders; mistakes are added to `out`.
pub fn read(root: &Path, folders: &Folders, out: &mut Vec<Diagnostic>) -> Files {
    let mut files = Files {
        connectors_are_known: true,
        ..Files::default()
    };
    let mut digest = Sha256::new();
    let mut texts = |folder: &Folder, out: &mut Vec<Diagnostic>| {
        let texts = folder::read(root, folder, out);
        for Text { name, text } in &texts {
            digest.update(name.to_string_lossy().as_bytes());
            digest.update([0]);
            digest.update(Sha::of(text).0);
        }
        texts
    };
    let policies = texts(&folders.policies, out);
    let connectors = texts(&folders.connectors, out);
    let controls = texts(&folders.controls, out);
    for text in policies {
        files.policy(&text, out);
    }
    for text in connectors {
        files.connector(&text, out);
    }
    for text in controls {
        files.control(&text, out);
    }
    files.digest = Some(Sha(digest.finalize().into()));
    files.duplicates(out);
    files.references(out);
    files
}

impl Files {
    fn policy(&mut self, file: &Text, out: &mut Vec<Diagnostic>) {
        let Some(node) = tree::recover(&file.name, &file.text, out) else {
            self.clauses.in_doubt = true;
            return;
        };
        self.clauses.note(&node);
        let mut cx = Cx::default();
        let file = PolicyFile::decode(&node, &mut cx);
        out.append(&mut cx.out);
        // The places are read once more on their own, so that a mistake elsewhere does not hide theirs.
        self.policies.push(PolicyEntry {
            id: node.get("id").and_then(|n| Located::decode(n, &mut cx)),
            owner: node.get("owner").and_then(|n| Located::decode(n, &mut cx)),
            names: file
                .as_ref()
                .and_then(|f| Some(f.exceptions.as_ref()?.names())),
            policy: file.map(|file| file.resolve(out)),
        });
    }

    fn connector(&mut self, file: &Text, out: &mut Vec<Diagnostic>) {
        match connector::read_all(&file.name, &file.text) {
            Ok((connectors, warnings)) => {
                out.extend(warnings);
                for connector in connectors {
                    let place = connector.place.clone();
                    let twice = self
                        .connectors
                        .insert(connector.id.clone(), Arc::new(connector));
                    if let Some(first) = twice {
                        out.push(given_twice(
                            "connector",
                            first.id.as_str(),
                            &place,
                            &first.place,
                        ));
                    }
                }
            }
            Err(found) => {
                out.extend(found);
                self.connectors_are_known = false;
            }
        }
    }

    fn control(&mut self, file: &Text, out: &mut Vec<Diagnostic>) {
        if let Some(node) = tree::recover(&file.name, &file.text, out) {
            let (open, draft) = control::read(&node, out);
            self.controls.push(ControlEntry { open, draft });
        }
    }

    /// One name, one file: the first by path keeps it.
    fn duplicates(&self, out: &mut Vec<Diagnostic>) {
        let controls = self.controls.iter().filter_map(|c| c.open.id.as_ref());
        once("control", controls, out);
        let policies = self.policies.iter().filter_map(|p| p.id.as_ref());
        once("policy", policies, out);
    }

    /// Every clause that a control names is in a policy.
    fn references(&self, out: &mut Vec<Diagnostic>) {
        let named = self.controls.iter().filter_map(|c| c.open.policy.as_ref());
        out.extend(named.filter_map(|reference| self.clauses.lacks(reference)));
    }

    /// Controls of which a policy permits no exception.
    pub fn never_waived(&self) -> impl Iterator<Item = &ControlId> {
        let policies = self.policies.iter().filter_map(|p| p.policy.as_ref());
        let rules = policies.filter_map(|p| p.exceptions.as_ref());
        rules.flat_map(|r| &r.never_waivable)
    }

    /// The sources, each against its connector. A source whose connector cannot be read is left out
    /// without a mistake of its own.
    pub fn sources(
        &self,
        named: &Named<SourceFile>,
        cx: &mut Cx,
    ) -> BTreeMap<SourceId, Arc<Source>> {
        let mut sources = BTreeMap::new();
        for (key, file) in named.iter() {
            let name = &file.connector;
            let Some(connector) = self.connectors.get(name.value.as_str()) else {
                if self.connectors_are_known {
                    let known = self.connectors.keys().map(ConnectorId::as_str);
                    let what = format!("there is no connector `{}`", name.value);
                    let d = Diagnostic::error("TL0430", &name.place, what);
                    cx.out.push(offer(d, &name.value, known));
                }
                continue;
            };
            let source = Source::resolve(key, file.clone(), connector, cx);
            sources.extend(source.map(|s| (s.id.clone(), Arc::new(s))));
        }
        sources
    }
}

impl Clauses {
    fn note(&mut self, node: &Node) {
        let text = |node: &Node| match &node.kind {
            Kind::Scalar(s) => Some(s.text.clone()),
            _ => None,
        };
        let Some(id) = node.get("id").and_then(text) else {
            self.in_doubt = true;
            return;
        };
        let clauses = self.of.entry(id).or_default();
        if let Some(Kind::Map(entries)) = node.get("provisions").map(|n| &n.kind) {
            clauses.extend(entries.iter().map(|(key, _)| key.text.clone()));
        }
    }

    fn lacks(&self, reference: &Located<ProvisionRef>) -> Option<Diagnostic> {
        let ProvisionRef { policy, provision } = &reference.value;
        match self.of.get(policy.as_str()) {
            Some(clauses) if clauses.contains(provision) => None,
            Some(clauses) => {
                let what = format!("policy `{policy}` has no clause `{provision}`");
                let d = Diagnostic::error("TL0216", &reference.place, what);
                Some(offer(d, provision, clauses.iter().map(String::as_str)))
            }
            None if self.in_doubt => None,
            None => {
                let d = Diagnostic::error(
                    "TL0215",
                    &reference.place,
                    format!("there is no policy `{policy}`"),
                );
                Some(offer(
                    d,
                    policy.as_str(),
                    self.of.keys().map(String::as_str),
                ))
            }
        }
    }
}

fn once<'f>(noun: &str, names: impl Iterator<Item = &'f Located<Slug>>, out: &mut Vec<Diagnostic>) {
    let mut seen: BTreeMap<&str, &Place> = BTreeMap::new();
    for name in names {
        match seen.get(name.0.as_str()) {
            Some(first) => out.push(given_twice(noun, &name.0, &name.place, first)),
            None => {
                seen.insert(&name.0, &name.place);
            }
        }
    }
}

fn given_twice(noun: &str, name: &str, place: &Place, first: &Place) -> Diagnostic {
    Diagnostic::error(
        "TL0109",
        place,
        format!("there is a {noun} `{name}` already, at {first}"),
    )
    .help("give one of them another name")
}

/// Adds the nearest of the known names, or all of them.
pub fn offer<'a>(
    d: Diagnostic,
    word: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Diagnostic {
    if let Some(near) = nearest(word, known.clone()) {
        return d.help(format!("did you mean `{near}`?"));
    }
    let known: Vec<&str> = known.collect();
    if known.is_empty() {
        d
    } else {
        d.help(format!("known: {}", known.join(", ")))
    }
}
