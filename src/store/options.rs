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
    Secret {
        /// Where it is read.
        address: Secret,
        /// Where the path of a file starts from.
        root: PathBuf,
    },
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

    fn file(root: &Path, path: PathBuf) -> Self {
        Self::Sqlite(if path == Path::new(MEMORY) {
            path
        } else {
            root.join(path)
        })
    }

    pub(super) fn address(&self) -> Result<Address> {
        match self {
            Self::Sqlite(path) if path == Path::new(MEMORY) => Ok(Address::Memory),
            Self::Sqlite(path) => Ok(Address::File(path.clone())),
            Self::Postgres(url) => Ok(Address::Postgres(url.as_str().into())),
            Self::Secret { address, root } => {
                let text = address.read()?;
                match shape(text.expose_secret()) {
                    Some(Shape::Sqlite(path)) => Self::file(root, path).address(),
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
            Self::Secret { address, .. } => write!(f, "the address in {address}"),
        }
    }
}

impl Decode for Options {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        const WANTED: &str = "`sqlite:PATH`, `postgres://USER@HOST/DATABASE`, or `{ env: NAME }` for an address with a password";
        let text = match &node.kind {
            Kind::Map(_) => {
                let root = cx.root.clone();
                return Secret::decode(node, cx).map(|address| Self::Secret { address, root });
            }
            Kind::Scalar(s) if !s.is_null() => &s.text,
            _ => return cx.expected(node, WANTED),
        };
        match shape(text) {
            Some(Shape::Sqlite(path)) => Some(Self::file(&cx.root, path)),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::{decode::Cx, tree};

    fn read(text: &str) -> Result<Options, String> {
        let node = tree::parse(Path::new("tripline.yaml"), text).unwrap();
        let mut cx = Cx {
            root: "/etc/tripline".into(),
            ..Cx::default()
        };
        Options::decode(&node, &mut cx).ok_or_else(|| {
            cx.out
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n")
        })
    }

    #[test]
    fn an_address_is_a_file_beside_the_settings_a_server_or_a_secret() {
        let shown = |text: &str| read(text).unwrap().to_string();
        assert_eq!(shown("sqlite:data/t.db"), "sqlite:/etc/tripline/data/t.db");
        assert_eq!(shown("sqlite:///var/t.db"), "sqlite:/var/t.db");
        assert_eq!(shown("'sqlite::memory:'"), "sqlite::memory:");
        assert_eq!(
            shown("postgres://tripline@db.example.test/tripline?sslmode=verify-full"),
            "postgres://tripline@db.example.test/tripline"
        );
        assert_eq!(
            shown("{ env: TRIPLINE_STORE_URL }"),
            "the address in environment variable `TRIPLINE_STORE_URL`"
        );
    }

    #[test]
    fn a_password_in_plain_text_is_refused_and_not_repeated() {
        for address in [
            "postgres://u:hunter2@db.example.test/t",
            "postgresql://db.example.test/t?user=u&password=hunter2",
        ] {
            let said = read(address).unwrap_err();
            assert!(!said.contains("hunter2"), "{said}");
            assert_eq!(
                said,
                "TL0630 tripline.yaml:1:1: the address of the store holds a password in plain text; put the whole address into an environment variable or a file, and write `store: { env: TRIPLINE_STORE_URL }`"
            );
        }
    }

    #[test]
    fn what_is_no_address_says_what_one_looks_like() {
        insta::assert_snapshot!(read("mysql://db.example.test/t").unwrap_err(), @"TL0631 tripline.yaml:1:1: the address of the store is neither SQLite's nor PostgreSQL's; write `sqlite:PATH`, `postgres://USER@HOST/DATABASE`, or `{ env: NAME }` for an address with a password");
        insta::assert_snapshot!(read("'sqlite:'").unwrap_err(), @"TL0631 tripline.yaml:1:1: the address of the store is neither SQLite's nor PostgreSQL's; write `sqlite:PATH`, `postgres://USER@HOST/DATABASE`, or `{ env: NAME }` for an address with a password");
        insta::assert_snapshot!(read("[]").unwrap_err(), @"TL0102 tripline.yaml:1:1: expected `sqlite:PATH`, `postgres://USER@HOST/DATABASE`, or `{ env: NAME }` for an address with a password, found a list");
        insta::assert_snapshot!(read("{ password: x }").unwrap_err(), @"TL0400 tripline.yaml:1:3: `password` is not a place for a secret; write `{ env: NAME }`, `{ file: PATH }` or `{ credential: NAME }`");
    }

    #[test]
    fn an_address_from_the_environment_may_hold_a_password_and_never_shows_it() {
        let options =
            Options::from_address("postgres://u:hunter2@db.example.test/t?password=hunter2")
                .unwrap();
        assert_eq!(
            format!("{options} {options:?}"),
            "postgres://u@db.example.test/t Options(postgres://u@db.example.test/t)"
        );
    }
}
