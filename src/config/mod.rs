//! `tripline.yaml` and everything that it leads to: one load reads all files, judges them against each
//! other, and gives either a whole that can be run or every mistake at once. Flags stand above the
//! environment, the environment above the file, the file above the defaults. Opens no store, asks no
//! source, and reads no secret.

pub mod file;
pub mod overrides;
mod parts;
pub mod show;
pub mod watch;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::{Value, json};

use crate::{
    audit,
    catalog::{
        Catalog, folder,
        load::{self, Files},
        name::not_a_slug,
        source::Source,
    },
    evidence::{self, options::Home},
    model::{
        control::{Control, Waivable},
        definition::Definition,
        id::{ControlId, Sha, SourceId},
        people::Directory,
    },
    notify::{
        self,
        route::{Desk, misspelt},
        templates::Templates,
    },
    store,
    validate::{
        self,
        dataset::{self, Datasets},
    },
    web,
    yaml::{
        decode::{Cx, Decode as _},
        diagnostic::{Diagnostic, Level},
        tree,
    },
};
use file::{ConfigFile, Limits, Ping};
use overrides::Overrides;
use parts::Parts;

/// The name that is looked for in a folder.
pub const FILE: &str = "tripline.yaml";

/// One installation, with every default filled in and every path made whole.
#[derive(Debug, Clone)]
pub struct Config {
    /// The folder of `tripline.yaml`, from which relative paths start.
    pub root: PathBuf,
    /// Whose installation it is.
    pub organisation: String,
    /// Where state is kept.
    pub store: store::Options,
    /// Where snapshots are kept.
    pub evidence: evidence::Options,
    /// Channels, routes and what all notices have in common.
    pub notify: notify::options::Options,
    /// The audit log.
    pub audit: audit::Options,
    /// Whether time is played with here.
    pub rehearsal: bool,
    /// The HTTP side.
    pub web: web::Options,
    /// The dead-man's switch.
    pub ping: Option<Ping>,
    /// What evaluation may use.
    pub limits: Limits,
    /// The folders and files that a change of which wants a new load.
    pub watched: Vec<PathBuf>,
}

/// What a load gives.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The installation.
    pub config: Config,
    /// Everything that can be run.
    pub catalog: Catalog,
    /// Worth a look, sorted by place.
    pub warnings: Vec<Diagnostic>,
    /// Each setting with where it came from.
    pub settings: Vec<show::Setting>,
}

/// The file that a path means: itself, or `tripline.yaml` in it when it is a folder.
pub fn file_of(path: &Path) -> PathBuf {
    if path.is_dir() {
        path.join(FILE)
    } else {
        path.to_owned()
    }
}

/// Reads an installation whole.
///
/// # Errors
/// Every mistake of every file, sorted by place, with the warnings among them.
pub fn load(path: &Path, given: &Overrides) -> Result<Loaded, Vec<Diagnostic>> {
    let mut out = Vec::new();
    let loaded = read(&file_of(path), given, &mut out);
    out.sort_by(|a, b| (&a.place, a.code).cmp(&(&b.place, b.code)));
    out.dedup();
    match loaded {
        Some(mut loaded) if out.iter().all(|d| d.level != Level::Error) => {
            loaded.warnings = out;
            Ok(loaded)
        }
        _ => Err(out),
    }
}

fn read(path: &Path, given: &Overrides, out: &mut Vec<Diagnostic>) -> Option<Loaded> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let root = path.parent().unwrap_or(Path::new("/")).to_owned();
    let name = path.file_name().map_or_else(|| FILE.into(), PathBuf::from);
    let text = folder::text(&path, &name, out)?;
    let mut node = tree::recover(&name, &text.text, out)?;
    given.apply(&mut node, out);

    let mut cx = Cx {
        root: root.clone(),
        ..Cx::default()
    };
    let file = ConfigFile::decode(&node, &mut cx);
    let parts = parts::read(&node, root.clone());
    let files = load::read(&root, &parts.folders, &mut cx.out);
    let sources = files.sources(&parts.sources, &mut cx);
    let judged = judge(&parts, &files, &sources, &mut cx.out);
    out.append(&mut cx.out);

    let written = Value::decode(&node, &mut Cx::default());
    let digest = Sha::of_json(&json!({ "settings": written, "folders": files.digest }));
    let config = config(file?, root, path, &parts);
    let policies = files.policies.into_iter().filter_map(|p| p.policy);
    Some(Loaded {
        settings: show::settings(&node, &config),
        catalog: Catalog {
            controls: judged.controls,
            connectors: files.connectors,
            policies: policies.map(|p| (p.id.clone(), Arc::new(p))).collect(),
            sources,
            schemas: judged.datasets.schemas,
            promises: judged.datasets.promises,
            definitions: judged.definitions,
            directory: judged.directory,
            digest,
        },
        config,
        warnings: Vec::new(),
    })
}

/// What comes of judging everything against everything.
struct Judged {
    controls: BTreeMap<ControlId, Arc<Control>>,
    definitions: BTreeMap<ControlId, Definition>,
    datasets: Datasets,
    directory: Directory,
}

fn judge(
    parts: &Parts,
    files: &Files,
    sources: &BTreeMap<SourceId, Arc<Source>>,
    out: &mut Vec<Diagnostic>,
) -> Judged {
    let names = parts.names.iter().map(String::as_str);
    let datasets = dataset::all(sources, names, &files.connectors, out);
    let directory = parts.directory.as_ref();
    let (mut controls, mut definitions) = (BTreeMap::new(), BTreeMap::new());
    for entry in &files.controls {
        let checked = validate::control::judge(&entry.open, &datasets, directory, out);
        if let Some(draft) = &entry.draft {
            validate::control::examples(draft.control(), &checked, &datasets, out);
            let (mut control, definition) =
                validate::control::finish(draft.clone(), checked, &datasets);
            if files.never_waived().any(|never| *never == control.id) {
                control.exceptions = Waivable::Never;
            }
            definitions.insert(control.id.clone(), definition);
            controls.insert(control.id.clone(), Arc::new(control));
        }
    }
    let known: Vec<&str> = controls.keys().map(ControlId::as_str).collect();
    for entry in &files.policies {
        validate::policy::judge(entry, &known, &datasets, directory, out);
    }
    if let Some(directory) = directory {
        validate::people::check(directory, out);
        for owner in files.policies.iter().filter_map(|p| p.owner.as_ref()) {
            out.extend(validate::people::unknown(owner, "TL0503", directory));
        }
        for (key, source) in parts.sources.iter() {
            out.extend(not_a_slug(&key.text, &key.place));
            out.extend(validate::people::unknown(
                &source.owner,
                "TL0436",
                directory,
            ));
        }
        if let Some(notify) = &parts.notify {
            out.extend(notices(notify, parts, directory));
            let policies: Vec<&str> = files
                .policies
                .iter()
                .filter_map(|p| Some(p.policy.as_ref()?.id.as_str()))
                .collect();
            out.extend(misspelt(&notify.routes, "control", &known));
            out.extend(misspelt(&notify.routes, "policy", &policies));
        }
    }
    Judged {
        controls,
        definitions,
        datasets,
        directory: parts.directory.clone().unwrap_or_default(),
    }
}

/// Routes against channels and people, and templates of the user's own.
fn notices(
    notify: &notify::options::Options,
    parts: &Parts,
    directory: &Directory,
) -> Vec<Diagnostic> {
    let mut out = Templates::load(notify.notices.templates.as_deref())
        .err()
        .unwrap_or_default();
    let owners = parts
        .sources
        .iter()
        .map(|(id, source)| (SourceId::new(&id.text), source.owner.value.clone()))
        .collect();
    match Desk::new(notify, directory, owners) {
        Ok((_, warnings)) => out.extend(warnings),
        Err(mistakes) => out.extend(mistakes),
    }
    out
}

/// The default place of the store starts from the folder of the file, as one that is written does.
fn below(store: store::Options, root: &Path) -> store::Options {
    match store {
        store::Options::Sqlite(path) if path != Path::new(":memory:") => {
            store::Options::Sqlite(root.join(path))
        }
        other => other,
    }
}

fn config(file: ConfigFile, root: PathBuf, path: PathBuf, parts: &Parts) -> Config {
    let mut evidence = file.evidence;
    if let Home::Folder(folder) = &evidence.0.at {
        evidence.0.at = Home::Folder(root.join(folder));
    }
    let folders = [
        &parts.folders.controls,
        &parts.folders.connectors,
        &parts.folders.policies,
    ];
    let mut watched = vec![path];
    watched.extend(folders.into_iter().map(|f| root.join(&f.path)));
    Config {
        store: below(file.store, &root),
        root,
        organisation: file.organisation.0,
        evidence,
        notify: notify::options::Options {
            channels: file.channels,
            routes: file.routes,
            notices: file.notices,
        },
        audit: file.audit,
        rehearsal: file.rehearsal,
        web: file.web,
        ping: file.ping,
        limits: file.limits,
        watched,
    }
}
