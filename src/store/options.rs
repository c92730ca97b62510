//! Where the store is: `store: sqlite:PATH`, `store: postgres://USER@HOST/DATABASE`, or a reference to
//! a secret that holds such an address. An address with a password in plain text is a mistake.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};
use url::Url;

use super::error::{Error, Result};
use crate::{
    catalog::secret::Secret,
    yaml::{
        decode::{Cx, Decode},
        diagnostic::Diagnostic,
        tree::{Kind, Node},
    },
};

/// Where the store is, as `tripline.yaml` says it.
#[derive(Clone, PartialEq)]
pub enum Options {
    /// A file, or `:memory:` for a store that ends with the process.
    Sqlite(PathBuf),
    /// A server, without a password.
    Postgres(Url),
    /// The address is a secret.
    Secret(Secret),
}

/// Where to connect.
pub(super) enum Address {
    Memory,
    File(PathBuf),
    Postgres(SecretString),
}

impl Options {
    /// Reads an address from a flag or from the environment, where a password is in its place.
    pub fn from_address(text: &str) -> Result<Self> {
        match shape(text) {
            Some(Shape::Sqlite(path)) => Ok(Self::Sqlite(path)),
            Some(Shape::Postgres(url)) => Ok(Self::Postgres(url)),
            None => Err(Error::Address),
        }
    }

    /// The same with a relative file taken from `folder`.
    #[must_use]
    pub fn inside(self, folder: &Path) -> Self {
        match self {
            Self::Sqlite(path) if path != Path::new(MEMORY) => Self::Sqlite(folder.join(path)),
            other => other,
        }
    }

    pub(super) fn address(&self) -> Result<Address> {
        match self {
            Self::Sqlite(path) if path == Path::new(MEMORY) => Ok(Address::Memory),
            Self::Sqlite(path) => Ok(Address::File(path.clone())),
            Self::Postgres(url) => Ok(Address::Postgres(url.as_str().into())),
            Self::Secret(secret) => {
                let text = secret.read()?;
                match shape(text.expose_secret()) {
                    Some(Shape::Sqlite(path)) => Self::Sqlite(path).address(),
                    Some(Shape::Postgres(_)) => Ok(Address::Postgres(text)),
                    None => Err(Error::Address),
                }
            }
        }
    }
}

const MEMORY: &str = ":memory:";

enum Shape {
    Sqlite(PathBuf),
    Postgres(Url),
}

fn shape(text: &str) -> Option<Shape> {
    if let Some(path) = text.strip_prefix("sqlite:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        return (!path.is_empty()).then(|| Shape::Sqlite(path.into()));
    }
    let url = Url::parse(text).ok()?;
    matches!(url.scheme(), "postgres" | "postgresql").then_some(Shape::Postgres(url))
}

fn has_password(url: &Url) -> bool {
    url.password().is_some() || url.query_pairs().any(|(key, _)| key == "password")
}

impl Default for Options {
    /// A file beside `tripline.yaml`.
    fn default() -> Self {
        Self::Sqlite("data/tripline.db".into())
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Options({self})")
    }
}

impl fmt::Display for Options {
    /// The address without anything secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => {
                let mut url = url.clone();
                url.set_query(None);
                // A URL that cannot have a password has none.
                let _ = url.set_password(None);
                f.write_str(url.as_str())
            }
            Self::Secret(secret) => write!(f, "the address in {secret}"),
        }
    }
}

impl Decode for Options {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        const WANTED: &str = "`sqlite:PATH`, `postgres://USER@HOST/DATABASE`, or `{ env: NAME }` for an address with a password";
        let text = match &node.kind {
            Kind::Map(_) => return Secret::decode(node, cx).map(Self::Secret),
            Kind::Scalar(s) if !s.is_null() => &s.text,
            _ => return cx.expected(node, WANTED),
        };
        match shape(text) {
            Some(Shape::Sqlite(path)) => Some(Self::Sqlite(path)),
            // The text is not repeated: it holds the password.
            Some(Shape::Postgres(url)) if has_password(&url) => cx.wrong(
                Diagnostic::error("TL0630", &node.place, "the address of the store holds a password in plain text").help(
                    "put the whole address into an environment variable or a file, and write `store: { env: TRIPLINE_STORE_URL }`",
                ),
            ),
            Some(Shape::Postgres(url)) => Some(Self::Postgres(url)),
            None => cx.wrong(
                Diagnostic::error("TL0631", &node.place, "the address of the store is neither SQLite's nor PostgreSQL's")
                    .help(format!("write {WANTED}")),
            ),
        }
    }

    fn schema(defs: &mut Map<String, Value>) -> Value {
        json!({ "anyOf": [
            { "type": "string", "pattern": "^(sqlite:.|postgres(ql)?://)" },
            Secret::schema(defs),
        ] })
    }
}
