//! The parts of `tripline.yaml` that the rest of the catalog is judged against, each read on its own:
//! a mistake in one of them is told where the whole file is read, and does not hide the others.

use std::path::PathBuf;

use crate::{
    catalog::{folder::Folder, load::Folders, source::SourceFile},
    model::people::Directory,
    notify,
    yaml::{
        decode::{Cx, Decode, Located},
        tree::{Kind, Node},
        values::Named,
    },
};

/// What could be read.
#[derive(Debug)]
pub(super) struct Parts {
    /// The sources that could be read.
    pub(super) sources: Named<SourceFile>,
    /// The names of all sources.
    pub(super) names: Vec<String>,
    /// People and teams; `None` when one of them cannot be read, so that a name is not missed wrongly.
    pub(super) directory: Option<Directory>,
    /// Channels and routes; `None` when one of them cannot be read.
    pub(super) notify: Option<notify::options::Options>,
    /// Where the other files are.
    pub(super) folders: Folders,
}

pub(super) fn read(node: &Node, root: PathBuf) -> Parts {
    let mut silent = Cx {
        root,
        ..Cx::default()
    };
    let cx = &mut silent;
    let (sources, names) = sources(node, cx);
    let teams = part(node, "teams", cx);
    let people = part(node, "people", cx);
    let channels = part(node, "channels", cx);
    let routes = part(node, "routes", cx);
    let notices = part(node, "notices", cx);
    Parts {
        sources,
        names,
        directory: teams
            .zip(people)
            .map(|(teams, people)| Directory { people, teams }),
        notify: channels
            .zip(routes)
            .zip(notices)
            .map(|((channels, routes), notices)| notify::options::Options {
                channels,
                routes,
                notices,
            }),
        folders: Folders {
            controls: folder(node, "controls", cx),
            connectors: folder(node, "connectors", cx),
            policies: folder(node, "policies", cx),
        },
    }
}

fn sources(node: &Node, cx: &mut Cx) -> (Named<SourceFile>, Vec<String>) {
    let Some(Kind::Map(entries)) = node.get("sources").map(|n| &n.kind) else {
        return (Named::default(), Vec::new());
    };
    let names = entries.iter().map(|(key, _)| key.text.clone()).collect();
    let read = entries
        .iter()
        .filter_map(|(key, node)| Some((key.clone(), SourceFile::decode(node, cx)?)));
    (Named(read.collect()), names)
}

/// The value under a key, or what its absence stands for; `None` when it has a mistake.
fn part<T: Decode + Default>(node: &Node, key: &str, cx: &mut Cx) -> Option<T> {
    match node.get(key) {
        None => Some(T::default()),
        Some(found) => T::decode(found, cx),
    }
}

fn folder(node: &Node, key: &str, cx: &mut Cx) -> Folder {
    let named = node
        .get(key)
        .and_then(|n| Located::<PathBuf>::decode(n, cx));
    match named {
        Some(named) => Folder {
            path: named.value,
            named: Some(named.place),
        },
        None => Folder::beside(key),
    }
}
