//! Sources: one installation of a system, read through a connector, with its address, its
//! credentials and its owner. Values are checked against the types that the connector declares;
//! secrets stay references until the moment they are used.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value, json};

use super::{
    connector::{
        Connector, Setting, SettingType,
        dataset::Complete,
        http::{Rate, Retry, Timeout, Tls},
    },
    secret::Secret,
};
use crate::{
    model::{
        id::{SourceId, TeamId},
        span::Span,
    },
    record,
    yaml::{
        decode::{Cx, Decode, Located},
        diagnostic::{Diagnostic, Level, Place, nearest},
        tree::{Key, Kind, Node},
        values::Named,
    },
};

record! {
    /// One installation of a system.
    pub struct SourceFile {
        /// The connector that reads it.
        connector: Located<String>,
        /// The team that is told when it cannot be read.
        owner: Located<String>,
        /// How old what was read may be before it is read again.
        refresh: Span = Span::minutes(15),
        /// What the connector asks for.
        settings: Named<Raw> = Named::default(),
        /// TLS, in place of the connector's.
        tls: Option<Tls>,
        /// How long we wait, in place of the connector's.
        timeout: Option<Timeout>,
        /// How fast we ask, in place of the connector's.
        rate: Option<Rate>,
        /// When we ask again, in place of the connector's.
        retry: Option<Retry>,
        /// Hosts that next-links and redirects may lead to, in place of the connector's.
        allow_hosts: Option<Vec<String>>,
        /// What the site knows of a dataset.
        datasets: Named<DatasetRules> = Named::default(),
    }
    check(check_source)
}

/// Every run would read the whole source again, however many controls share it.
fn check_source(source: &SourceFile, _: &Node, cx: &mut Cx) {
    if source.refresh.to_std().is_zero() {
        let place = &source.connector.place;
        let what = "`refresh: 0s` reads the source again for each run of each control";
        cx.out.push(
            Diagnostic::warning("TL0437", place, what)
                .help("write how old it may be, for example `15m`"),
        );
    }
}

record! {
    /// What the site knows of a dataset.
    pub struct DatasetRules {
        /// When it is whole; each key given here takes the place of the connector's.
        complete: Complete = Complete::default(),
    }
}

/// A value whose type only the connector knows.
#[derive(Debug, Clone, PartialEq)]
pub struct Raw(pub Node);

impl Decode for Raw {
    fn decode(node: &Node, _: &mut Cx) -> Option<Self> {
        Some(Self(node.clone()))
    }

    fn schema(_: &mut Map<String, Value>) -> Value {
        json!({})
    }
}

/// The value of a setting.
#[derive(Debug, Clone, PartialEq)]
pub enum SettingValue {
    /// Text, an address or a path.
    Text(String),
    /// A whole number.
    Int(i64),
    /// A truth value.
    Bool(bool),
    /// A length of time.
    Duration(Span),
    /// A list of texts.
    List(Vec<String>),
    /// Where a secret is.
    Secret(Secret),
}

/// A source that was read and checked against its connector.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// Its name; the first half of `source.dataset`.
    pub id: SourceId,
    /// Where it is declared.
    pub place: Place,
    /// The connector that reads it.
    pub connector: Arc<Connector>,
    /// The team that is told when it cannot be read.
    pub owner: TeamId,
    /// How old what was read may be before it is read again.
    pub refresh: Span,
    /// The settings that have a value, given or by default.
    pub settings: BTreeMap<String, SettingValue>,
    /// TLS, in place of the connector's.
    pub tls: Option<Tls>,
    /// How long we wait, in place of the connector's.
    pub timeout: Option<Timeout>,
    /// How fast we ask, in place of the connector's.
    pub rate: Option<Rate>,
    /// When we ask again, in place of the connector's.
    pub retry: Option<Retry>,
    /// Hosts that next-links and redirects may lead to, in place of the connector's.
    pub allow_hosts: Option<Vec<String>>,
    /// What the site knows of its datasets.
    pub rules: BTreeMap<String, Complete>,
}

impl Source {
    /// Checks a source against the connector it names, which the caller has looked up. `None` means
    /// that at least one diagnostic was noted.
    pub fn resolve(
        key: &Key,
        file: SourceFile,
        connector: &Arc<Connector>,
        cx: &mut Cx,
    ) -> Option<Self> {
        let errors = |cx: &Cx| cx.out.iter().filter(|d| d.level == Level::Error).count();
        let before = errors(cx);
        let settings = settings(key, &file, connector, cx);
        for (name, _) in file.datasets.iter() {
            if connector.dataset(&name.text).is_none() {
                let what = format!("`{}` has no dataset `{}`", connector.id, name.text);
                let d = Diagnostic::error("TL0431", &name.place, what);
                cx.out.push(with_nearest(
                    d,
                    &name.text,
                    connector.datasets.iter().map(|d| d.name.as_str()),
                ));
            }
        }
        (errors(cx) == before).then(|| Self {
            id: SourceId::new(&key.text),
            place: key.place.clone(),
            connector: connector.clone(),
            owner: TeamId::new(&file.owner.value),
            refresh: file.refresh,
            settings,
            tls: file.tls,
            timeout: file.timeout,
            rate: file.rate,
            retry: file.retry,
            allow_hosts: file.allow_hosts,
            rules: file
                .datasets
                .0
                .into_iter()
                .map(|(k, r)| (k.text, r.complete))
                .collect(),
        })
    }

    /// When a dataset is whole: the connector's rules with the site's over them.
    pub fn complete(&self, dataset: &str) -> Complete {
        let own = self
            .connector
            .dataset(dataset)
            .map(|d| d.complete.clone())
            .unwrap_or_default();
        match self.rules.get(dataset) {
            Some(rules) => own.tightened(rules),
            None => own,
        }
    }

    /// The settings as JSON without secrets: a secret is only where it is.
    pub fn public_settings(&self) -> Value {
        let shown = self.settings.iter().map(|(name, value)| {
            let value = match value {
                SettingValue::Text(text) => json!(text),
                SettingValue::Int(number) => json!(number),
                SettingValue::Bool(truth) => json!(truth),
                SettingValue::Duration(span) => json!(span),
                SettingValue::List(items) => json!(items),
                SettingValue::Secret(place) => json!(place.to_string()),
            };
            (name.clone(), value)
        });
        Value::Object(shown.collect())
    }
}

fn settings(
    key: &Key,
    file: &SourceFile,
    connector: &Connector,
    cx: &mut Cx,
) -> BTreeMap<String, SettingValue> {
    let mut values = BTreeMap::new();
    for (name, raw) in file.settings.iter() {
        let Some(setting) = connector.setting(&name.text) else {
            let what = format!("`{}` has no setting `{}`", connector.id, name.text);
            let d = Diagnostic::error("TL0432", &name.place, what);
            cx.out.push(with_nearest(
                d,
                &name.text,
                connector.settings.iter().map(|s| s.name.as_str()),
            ));
            continue;
        };
        if let Some(value) = value(setting, &raw.0, cx) {
            values.insert(name.text.clone(), value);
        }
    }
    for setting in &connector.settings {
        let given = file.settings.get(&setting.name).is_some();
        match (&setting.def.default, given) {
            (_, true) => {}
            (Some(default), false) => {
                values.extend(of_default(setting, default).map(|v| (setting.name.clone(), v)));
            }
            (None, false) if setting.def.optional => {}
            (None, false) => {
                let what = format!("source `{}` needs the setting `{}`", key.text, setting.name);
                let help = setting
                    .def
                    .help
                    .clone()
                    .unwrap_or_else(|| format!("add `{}:` under `settings:`", setting.name));
                cx.out
                    .push(Diagnostic::error("TL0433", &key.place, what).help(help));
            }
        }
    }
    values
}

fn value(setting: &Setting, node: &Node, cx: &mut Cx) -> Option<SettingValue> {
    if setting.def.r#type == SettingType::Secret {
        let secret = Secret::decode(node, cx)?;
        if let Some(warning) = secret.warning() {
            cx.out
                .push(Diagnostic::warning("TL0434", &node.place, warning));
        }
        return Some(SettingValue::Secret(secret));
    }
    let value = match setting.def.r#type {
        SettingType::List => SettingValue::List(Vec::decode(node, cx)?),
        SettingType::Duration => SettingValue::Duration(Span::decode(node, cx)?),
        SettingType::Int => SettingValue::Int(i64::decode(node, cx)?),
        SettingType::Bool => SettingValue::Bool(bool::decode(node, cx)?),
        SettingType::Url => {
            let url = url::Url::decode(node, cx)?;
            if !matches!(url.scheme(), "http" | "https")
                || !url.username().is_empty()
                || url.password().is_some()
            {
                let d = Diagnostic::error(
                    "TL0435",
                    &node.place,
                    "the address is not one that we may ask",
                );
                return cx.wrong(d.help("write `https://host/…`, without a user or a password"));
            }
            SettingValue::Text(url.as_str().trim_end_matches('/').to_owned())
        }
        SettingType::Path => {
            let path = std::path::PathBuf::decode(node, cx)?;
            SettingValue::Text(path.to_string_lossy().into_owned())
        }
        SettingType::Text | SettingType::Secret => SettingValue::Text(String::decode(node, cx)?),
    };
    let allowed = &setting.def.one_of;
    if let SettingValue::Text(text) = &value
        && !allowed.is_empty()
        && !allowed.contains(text)
    {
        let what = format!("`{text}` is not one of: {}", allowed.join(", "));
        let d = Diagnostic::error("TL0104", &node.place, what);
        return cx.wrong(with_nearest(d, text, allowed.iter().map(String::as_str)));
    }
    Some(value)
}

/// The value that a default stands for; defaults are checked when the connector is read.
pub(super) fn of_default(setting: &Setting, default: &Value) -> Option<SettingValue> {
    match (setting.def.r#type, default) {
        (SettingType::Duration, Value::String(text)) => {
            text.parse().ok().map(SettingValue::Duration)
        }
        (SettingType::List, Value::Array(items)) => {
            let texts = items
                .iter()
                .map(|i| i.as_str().map(str::to_owned))
                .collect::<Option<_>>()?;
            Some(SettingValue::List(texts))
        }
        (SettingType::Int, Value::Number(number)) => number.as_i64().map(SettingValue::Int),
        (SettingType::Bool, Value::Bool(truth)) => Some(SettingValue::Bool(*truth)),
        (SettingType::Text | SettingType::Url | SettingType::Path, Value::String(text)) => {
            Some(SettingValue::Text(text.clone()))
        }
        (SettingType::Text, Value::Number(number)) => Some(SettingValue::Text(number.to_string())),
        _ => None,
    }
}

fn with_nearest<'a>(
    d: Diagnostic,
    word: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Diagnostic {
    match nearest(word, known.clone()) {
        Some(near) => d.help(format!("did you mean `{near}`?")),
        None => d.help(format!("known: {}", known.collect::<Vec<_>>().join(", "))),
    }
}

/// Whether a value is there at all, for a reader that has only the node.
pub fn is_null(node: &Node) -> bool {
    matches!(&node.kind, Kind::Scalar(s) if s.is_null())
}
