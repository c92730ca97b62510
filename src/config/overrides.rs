//! What stands above the file: flags, then environment variables `TRIPLINE_*`. Each takes the place of
//! a value before anything is read from the file, so that a mistake in a flag is told like one in the
//! file, at its own place. The one reader of the environment for settings.

use std::collections::BTreeMap;

use crate::{
    catalog::load::offer,
    yaml::{
        diagnostic::{Diagnostic, Place},
        tree::{Key, Kind, Node, Scalar},
    },
};

/// Settings that a flag or a variable may set, as paths in the file.
pub const SETTINGS: &[&str] = &[
    "organisation",
    "store",
    "evidence",
    "controls",
    "connectors",
    "policies",
    "audit.origin",
    "audit.key.file",
    "web.listen",
    "notices.url",
    "notices.templates",
    "limits.memory",
    "limits.spill",
    "limits.partitions",
    "limits.runs",
];

/// What flags and the environment say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--set NAME=VALUE`, in the order of the command line.
    pub flags: Vec<(String, String)>,
    /// Environment variables by name.
    pub variables: BTreeMap<String, String>,
}

impl Overrides {
    /// Flags over the variables of this process.
    pub fn of_process(flags: Vec<(String, String)>) -> Self {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, value)| name.starts_with("TRIPLINE_") && !value.is_empty())
            .collect();
        Self { flags, variables }
    }

    /// Puts every value into its place in the tree; a flag after a variable, so that it wins.
    pub(super) fn apply(&self, tree: &mut Node, out: &mut Vec<Diagnostic>) {
        for setting in SETTINGS {
            let name = variable(setting);
            if let Some(value) = self.variables.get(&name) {
                put(tree, setting, of_variable(setting, &name, value));
            }
        }
        for (name, value) in &self.flags {
            let place = Place::file(format!("--set {name}").as_ref());
            if SETTINGS.contains(&name.as_str()) {
                put(tree, name, scalar(place, value));
            } else {
                let what = format!("there is no setting `{name}`");
                let d = Diagnostic::error("TL0602", &place, what);
                out.push(offer(d, name, SETTINGS.iter().copied()));
            }
        }
    }
}

/// The environment variable of a setting: `TRIPLINE_WEB_LISTEN` for `web.listen`.
pub fn variable(setting: &str) -> String {
    format!("TRIPLINE_{}", setting.replace('.', "_").to_uppercase())
}

/// The address of a store may hold a password, so a variable that has one is referred to and not copied.
fn of_variable(setting: &str, name: &str, value: &str) -> Node {
    let place = Place::file(format!("environment variable {name}").as_ref());
    if setting != "store" || value.starts_with("sqlite:") {
        return scalar(place, value);
    }
    let key = Key {
        place: place.clone(),
        text: "env".to_owned(),
    };
    Node {
        kind: Kind::Map(vec![(key, scalar(place.clone(), name))]),
        place,
    }
}

fn scalar(place: Place, text: &str) -> Node {
    Node {
        place,
        kind: Kind::Scalar(Scalar {
            text: text.to_owned(),
            plain: true,
            block: None,
        }),
    }
}

/// Sets the value at a dotted path, making mappings where there are none.
fn put(tree: &mut Node, path: &str, value: Node) {
    let (key, rest) = match path.split_once('.') {
        Some((key, rest)) => (key, Some(rest)),
        None => (path, None),
    };
    if !matches!(tree.kind, Kind::Map(_)) {
        tree.kind = Kind::Map(Vec::new());
    }
    let Kind::Map(entries) = &mut tree.kind else {
        return;
    };
    let known = entries.iter().position(|(k, _)| k.text == key);
    let at = known.unwrap_or_else(|| {
        let place = value.place.clone();
        let text = key.to_owned();
        let empty = Node {
            place: place.clone(),
            kind: Kind::Map(Vec::new()),
        };
        entries.push((Key { place, text }, empty));
        entries.len() - 1
    });
    match (rest, entries.get_mut(at)) {
        (None, Some((_, old))) => *old = value,
        (Some(rest), Some((_, inner))) => put(inner, rest, value),
        (_, None) => {}
    }
}
