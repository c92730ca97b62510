//! Where each setting came from: flag, environment variable, file or default. Shows where a secret is
//! and never what it is.

use serde_json::{Map, Value, json};

use super::{
    Config,
    overrides::{SETTINGS, variable},
};
use crate::{
    evidence::options::Home,
    yaml::tree::{Kind, Node},
};

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its path in the file: `web.listen`.
    pub name: String,
    /// What it is, as it would be written.
    pub value: String,
    /// Where it came from: `--set …`, `environment variable …`, `tripline.yaml:3:5`, or `default`.
    pub origin: String,
    /// The variable that may set it, if one may.
    pub variable: Option<String>,
}

impl Setting {
    /// As a row of a list.
    pub fn row(&self) -> Map<String, Value> {
        let row = json!({
            "setting": self.name, "value": self.value, "origin": self.origin, "variable": self.variable,
        });
        row.as_object().cloned().unwrap_or_default()
    }
}

/// Every setting of the file, and the defaults of those that a flag may set, sorted by name.
pub(super) fn settings(tree: &Node, config: &Config) -> Vec<Setting> {
    let mut found = Vec::new();
    walk(tree, "", &mut found);
    for name in SETTINGS {
        let inside = format!("{name}.");
        if found
            .iter()
            .any(|s| s.name == *name || s.name.starts_with(&inside))
        {
            continue;
        }
        found.extend(default(name, config).map(|value| Setting {
            name: (*name).to_owned(),
            value,
            origin: "default".to_owned(),
            variable: None,
        }));
    }
    for setting in &mut found {
        let known = SETTINGS.contains(&setting.name.as_str());
        setting.variable = known.then(|| variable(&setting.name));
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

fn walk(node: &Node, path: &str, found: &mut Vec<Setting>) {
    let at = |part: &str| {
        if path.is_empty() {
            part.to_owned()
        } else {
            format!("{path}.{part}")
        }
    };
    match &node.kind {
        Kind::Map(entries) => entries
            .iter()
            .for_each(|(key, inner)| walk(inner, &at(&key.text), found)),
        Kind::List(items) if items.iter().any(|i| !matches!(i.kind, Kind::Scalar(_))) => {
            for (number, inner) in items.iter().enumerate() {
                walk(inner, &at(&number.to_string()), found);
            }
        }
        _ => found.push(Setting {
            name: path.to_owned(),
            value: text(node),
            origin: node.place.to_string(),
            variable: None,
        }),
    }
}

fn text(node: &Node) -> String {
    match &node.kind {
        Kind::Scalar(s) => without_secrets(&s.text),
        Kind::List(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        Kind::Map(_) => String::new(),
    }
}

/// An address without what stands between `:` and `@`, and without the values of its query, where tokens travel.
fn without_secrets(text: &str) -> String {
    let Some(mut url) = url::Url::parse(text).ok().filter(url::Url::has_host) else {
        return text.to_owned();
    };
    let names: Vec<String> = url
        .query_pairs()
        .map(|(name, _)| name.into_owned())
        .collect();
    if url.password().is_none() && names.is_empty() {
        return text.to_owned();
    }
    if url.password().is_some() {
        let _ = url.set_password(Some("***"));
    }
    if !names.is_empty() {
        let hidden: Vec<String> = names.iter().map(|name| format!("{name}=***")).collect();
        url.set_query(Some(&hidden.join("&")));
    }
    url.into()
}

fn default(name: &str, config: &Config) -> Option<String> {
    Some(match name {
        "store" => config.store.to_string(),
        "evidence" => match &config.evidence.0.at {
            Home::Folder(path) => path.display().to_string(),
            Home::Bucket { bucket, prefix } => format!("s3://{bucket}/{prefix}"),
        },
        "controls" | "connectors" | "policies" => config.root.join(name).display().to_string(),
        "web.listen" => config.web.listen.to_string(),
        "limits.memory" => config.limits.memory.to_string(),
        "limits.partitions" => config.limits.partitions.to_string(),
        "limits.runs" => config.limits.runs.to_string(),
        _ => return None,
    })
}
