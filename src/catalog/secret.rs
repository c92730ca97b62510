//! Secrets by reference. A file names where a secret is and never holds it; a plain text in a
//! secret's place is a mistake. The value is read anew each time it is needed, so that rotating a
//! secret needs no restart. Never shows a value: it lives in a type that prints as redacted.

use std::{io, path::PathBuf};

use secrecy::SecretString;
use serde_json::{Map, Value, json};

use crate::yaml::{
    decode::{Cx, Decode},
    diagnostic::Diagnostic,
    tree::{Kind, Node},
};

/// The modes of a secret's file that let others than owner and group read it, or the group write it.
#[cfg(unix)]
const TOO_WIDE: u32 = 0o137;

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Secret {
    /// In an environment variable.
    Env(String),
    /// In a file of its own.
    File(PathBuf),
    /// In a file that systemd put into `$CREDENTIALS_DIRECTORY`.
    Credential(String),
}

/// Why a secret cannot be read. Names the place, never the value.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The environment variable is not set, or is not text.
    #[error("environment variable `{0}` is not set")]
    Env(String),
    /// There is no folder of credentials.
    #[error("credential `{0}`: `CREDENTIALS_DIRECTORY` is not set, so systemd gave no credentials")]
    NoCredentials(String),
    /// The file cannot be read.
    #[error("secret file `{path}` cannot be read")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is nothing in it.
    #[error("{0} is empty")]
    Empty(Secret),
}

impl std::fmt::Display for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Env(name) => write!(f, "environment variable `{name}`"),
            Self::File(path) => write!(f, "secret file `{}`", path.display()),
            Self::Credential(name) => write!(f, "credential `{name}`"),
        }
    }
}

impl Secret {
    /// Reads the value; line ends behind it are dropped.
    pub fn read(&self) -> Result<SecretString, Error> {
        let text = match self {
            Self::Env(name) => variable(name).ok_or_else(|| Error::Env(name.clone()))?,
            Self::File(_) | Self::Credential(_) => {
                let path = self.path()?;
                std::fs::read_to_string(&path).map_err(|source| Error::File { path, source })?
            }
        };
        let value = text.trim_end_matches(['\n', '\r']);
        if value.is_empty() {
            return Err(Error::Empty(self.clone()));
        }
        Ok(SecretString::from(value))
    }

    /// What is unwise about where the secret is: a file that too many may read.
    pub fn warning(&self) -> Option<String> {
        #[cfg(unix)]
        if let Self::File(path) = self {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
            if mode & TOO_WIDE != 0 {
                return Some(format!(
                    "{self} has mode {mode:04o}; make it 0640 or narrower"
                ));
            }
        }
        None
    }

    fn path(&self) -> Result<PathBuf, Error> {
        match self {
            Self::Credential(name) => variable("CREDENTIALS_DIRECTORY")
                .map(|folder| PathBuf::from(folder).join(name))
                .ok_or_else(|| Error::NoCredentials(name.clone())),
            Self::File(path) => Ok(path.clone()),
            Self::Env(name) => Ok(PathBuf::from(name)),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "where secrets are read")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

impl Decode for Secret {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        let help = "write `{ env: NAME }`, `{ file: PATH }` or `{ credential: NAME }`";
        let Kind::Map(entries) = &node.kind else {
            return cx.wrong(
                Diagnostic::error(
                    "TL0400",
                    &node.place,
                    "a secret is given by reference, never as text",
                )
                .help(help),
            );
        };
        let [(key, value)] = entries.as_slice() else {
            return cx.wrong(
                Diagnostic::error("TL0400", &node.place, "a secret has exactly one place")
                    .help(help),
            );
        };
        match key.text.as_str() {
            "env" => String::decode(value, cx).map(Self::Env),
            "file" => PathBuf::decode(value, cx).map(Self::File),
            "credential" => {
                let name = String::decode(value, cx)?;
                if name.contains('/') || name.starts_with('.') {
                    return cx.wrong(
                        Diagnostic::error(
                            "TL0400",
                            &value.place,
                            "a credential is a name, not a path",
                        )
                        .help(help),
                    );
                }
                Some(Self::Credential(name))
            }
            other => cx.wrong(
                Diagnostic::error(
                    "TL0400",
                    &key.place,
                    format!("`{other}` is not a place for a secret"),
                )
                .help(help),
            ),
        }
    }

    fn schema(_: &mut Map<String, Value>) -> Value {
        let one = |key: &str| json!({ "type": "object", "properties": { key: { "type": "string" } }, "required": [key], "additionalProperties": false });
        json!({ "anyOf": [one("env"), one("file"), one("credential")] })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::yaml::decode::read;

    #[test]
    fn a_plain_text_in_a_secrets_place_is_refused_and_not_repeated() {
        let found = read::<Secret>(Path::new("a.yaml"), "hunter2").unwrap_err();
        assert_eq!(found[0].code, "TL0400");
        assert!(!format!("{found:?}").contains("hunter2"));
    }

    #[test]
    fn a_secret_is_read_anew_each_time_without_its_line_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        let secret = Secret::File(path.clone());
        assert!(matches!(secret.read(), Err(Error::File { .. })));
        for value in ["first", "second"] {
            std::fs::write(&path, format!("{value}\n")).unwrap();
            assert_eq!(secret.read().unwrap().expose_secret(), value);
        }
        std::fs::write(&path, "\n").unwrap();
        assert!(matches!(secret.read(), Err(Error::Empty(_))));
        assert!(!format!("{:?}", SecretString::from("hunter2")).contains("hunter2"));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_everybody_may_read_is_warned_of() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        std::fs::write(&path, "x").unwrap();
        let secret = Secret::File(path.clone());
        for (mode, warned) in [(0o600, false), (0o640, false), (0o644, true), (0o660, true)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(secret.warning().is_some(), warned, "{mode:o}");
        }
    }
}
