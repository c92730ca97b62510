//! What a source filled in, ready for use: secrets are read here, at the start of each collection,
//! and every template of the connector is filled from here. A secret never gets into plain text.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};

use super::error::{Error, Result};
use crate::{
    catalog::{
        connector::template::{Body, Fill, Piece, Template},
        source::{SettingValue, Source},
    },
    model::span::Span,
};

/// What stays as it is in a segment of a path: RFC 3986's unreserved characters.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A parent row, or the key of a row, under the name that templates and columns know it by.
#[derive(Debug, Clone, PartialEq)]
pub struct Parent {
    /// The name: `m` in `${m.name}`.
    pub alias: String,
    /// Its columns by name.
    pub row: Value,
}

/// Where a filled text goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Into {
    /// An address: a setting that opens it is taken as it is, the rest as in a path.
    Address,
    /// Into the path of an address: what is substituted is percent-encoded and never leads upwards.
    Path,
    /// Anywhere else: whoever sends it encodes it.
    Plain,
}

/// What a source filled in.
#[derive(Debug)]
pub struct Settings {
    plain: BTreeMap<String, SettingValue>,
    secret: BTreeMap<String, SecretString>,
}

impl Settings {
    /// Takes the settings of a source and reads its secrets.
    pub fn read(source: &Source) -> Result<Self> {
        let (mut plain, mut secret) = (BTreeMap::new(), BTreeMap::new());
        for (name, value) in &source.settings {
            match value {
                SettingValue::Secret(place) => {
                    secret.insert(name.clone(), place.read()?).map(|_| ())
                }
                value => plain.insert(name.clone(), value.clone()).map(|_| ()),
            };
        }
        Ok(Self { plain, secret })
    }

    /// Takes the settings of a source without reading any secret: for a recording, which needs none.
    pub fn without_secrets(source: &Source) -> Self {
        let (mut plain, mut secret) = (BTreeMap::new(), BTreeMap::new());
        for (name, value) in &source.settings {
            match value {
                SettingValue::Secret(_) => secret
                    .insert(name.clone(), SecretString::from(""))
                    .map(|_| ()),
                value => plain.insert(name.clone(), value.clone()).map(|_| ()),
            };
        }
        Self { plain, secret }
    }

    /// The secrets, for whoever must keep them out of what is shown.
    pub fn secrets(&self) -> Vec<SecretString> {
        self.secret.values().cloned().collect()
    }

    /// Whether a setting has a value.
    pub fn has(&self, name: &str) -> bool {
        self.plain.contains_key(name) || self.secret.contains_key(name)
    }

    /// Fills a template without secrets. `None` when a setting in it is left out.
    pub fn text(
        &self,
        template: &Template,
        parents: &[Parent],
        into: Into,
    ) -> Result<Option<String>> {
        let mut text = String::new();
        for piece in &template.pieces {
            let value = match piece {
                Piece::Text(fixed) => {
                    text.push_str(fixed);
                    continue;
                }
                Piece::Setting(name) if self.secret.contains_key(name) => {
                    return Err(Error::Settings(format!(
                        "the secret `{name}` has no business in `{template}`"
                    )));
                }
                Piece::Setting(name) => match self.plain.get(name) {
                    Some(value) => plain_text(value),
                    None => return Ok(None),
                },
                Piece::Column(alias, column) => column_text(parents, alias, column)?,
            };
            match into {
                Into::Address if text.is_empty() && matches!(piece, Piece::Setting(_)) => {
                    text.push_str(&value);
                }
                Into::Address | Into::Path => push_segment(&mut text, &value)?,
                Into::Plain => text.push_str(&value),
            }
        }
        Ok(Some(text))
    }

    /// Fills a template that may hold secrets. `None` when a setting in it is left out.
    pub fn secret(&self, template: &Template) -> Result<Option<SecretString>> {
        let mut text = String::new();
        for piece in &template.pieces {
            match piece {
                Piece::Text(fixed) => text.push_str(fixed),
                Piece::Setting(name) => match (self.secret.get(name), self.plain.get(name)) {
                    (Some(secret), _) => text.push_str(secret.expose_secret()),
                    (None, Some(plain)) => text.push_str(&plain_text(plain)),
                    (None, None) => return Ok(None),
                },
                Piece::Column(..) => {
                    return Err(Error::Settings(format!(
                        "`{template}` needs a row, and there is none here"
                    )));
                }
            }
        }
        Ok(Some(text.into()))
    }

    /// A list of texts, written out or from a setting.
    pub fn list(&self, fill: &Fill<Vec<String>>) -> Vec<String> {
        match fill {
            Fill::Fixed(items) => items.clone(),
            Fill::Setting(template) => match template.whole().and_then(|name| self.plain.get(name))
            {
                Some(SettingValue::List(items)) => items.clone(),
                Some(value) => vec![plain_text(value)],
                None => Vec::new(),
            },
        }
    }

    /// A length of time, written out or from a setting.
    pub fn span(&self, fill: &Fill<Span>) -> Option<Span> {
        match fill {
            Fill::Fixed(span) => Some(*span),
            Fill::Setting(template) => match template.whole().and_then(|name| self.plain.get(name))
            {
                Some(SettingValue::Duration(span)) => Some(*span),
                _ => None,
            },
        }
    }

    /// The values of a query parameter: none when its setting is left out, several when it is a list.
    pub fn values(&self, template: &Template, parents: &[Parent]) -> Result<Vec<String>> {
        match template.whole().and_then(|name| self.plain.get(name)) {
            Some(SettingValue::List(items)) => Ok(items.clone()),
            _ => Ok(self
                .text(template, parents, Into::Plain)?
                .into_iter()
                .collect()),
        }
    }

    /// Fills a body. A text that is only `${x}` takes the type of `x`; without a value it is left out.
    pub fn body(&self, body: &Body, parents: &[Parent]) -> Result<Option<Value>> {
        Ok(match body {
            Body::Plain(value) => Some(value.clone()),
            Body::Text(template) => match template.whole().and_then(|name| self.plain.get(name)) {
                Some(SettingValue::List(items)) => Some(json!(items)),
                Some(SettingValue::Int(number)) => Some(json!(number)),
                Some(SettingValue::Bool(truth)) => Some(json!(truth)),
                _ => match template.pieces.as_slice() {
                    [Piece::Column(alias, column)] => {
                        Some(column_value(parents, alias, column)?.clone())
                    }
                    _ => self
                        .text(template, parents, Into::Plain)?
                        .map(Value::String),
                },
            },
            Body::List(items) => {
                let filled: Vec<Option<Value>> = items
                    .iter()
                    .map(|i| self.body(i, parents))
                    .collect::<Result<_>>()?;
                Some(Value::Array(filled.into_iter().flatten().collect()))
            }
            Body::Object(entries) => {
                let mut object = Map::new();
                for (key, entry) in entries {
                    object.extend(self.body(entry, parents)?.map(|v| (key.clone(), v)));
                }
                Some(Value::Object(object))
            }
        })
    }
}

fn push_segment(text: &mut String, value: &str) -> Result<()> {
    if value.split(['/', '\\']).any(|s| matches!(s, "." | "..")) {
        return Err(Error::Settings(format!(
            "`{value}` may not stand in a path: it leads somewhere else"
        )));
    }
    text.extend(utf8_percent_encode(value, SEGMENT));
    Ok(())
}

fn column_value<'p>(parents: &'p [Parent], alias: &str, column: &str) -> Result<&'p Value> {
    parents
        .iter()
        .find(|p| p.alias == alias)
        .and_then(|p| p.row.get(column))
        .filter(|v| !v.is_null())
        .ok_or_else(|| Error::Settings(format!("`{alias}.{column}` has no value in this row")))
}

fn column_text(parents: &[Parent], alias: &str, column: &str) -> Result<String> {
    Ok(match column_value(parents, alias, column)? {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    })
}

fn plain_text(value: &SettingValue) -> String {
    match value {
        SettingValue::Text(text) => text.clone(),
        SettingValue::Int(number) => number.to_string(),
        SettingValue::Bool(truth) => truth.to_string(),
        SettingValue::Duration(span) => span.to_string(),
        SettingValue::List(items) => items.join(","),
        // Secrets are kept apart; this is where one is, never what it is.
        SettingValue::Secret(place) => place.to_string(),
    }
}
