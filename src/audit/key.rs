//! The key that signs the heads of the log: Ed25519, bound to the log's name, in a file that only we may read.
//!
//! It is made at the first start and never replaced: a key that is lost is a new log in the eyes of everybody
//! who holds an old head, and that must be somebody's decision.

use std::{
    fmt, fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::SigningKey;
use rand::rngs::OsRng;
use secrecy::{ExposeSecret as _, SecretString};
use signed_note::{StandardSigner, generate_key};

use super::{
    checkpoint::{PublicKey, is_origin},
    token::Signer,
};

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read or written.
    #[error("{}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others may read the key.
    #[error("{}: mode {mode:04o} lets others read the key that signs the audit log; `chmod 600` it", .path.display())]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It is no key.
    #[error("{}: this is no key of an audit log; an empty file was never used and may be deleted", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// It is the key of another log.
    #[error("{}: this is the key of the log `{found}`, not of `{wanted}`", .path.display())]
    OtherLog {
        /// The file.
        path: PathBuf,
        /// Whose key it is.
        found: String,
        /// Whose key it should be.
        wanted: String,
    },
    /// The log's name cannot be a key's name.
    #[error("`{0}` cannot name a log")]
    Origin(String),
}

/// A key with its public half. Never printed.
#[derive(Clone)]
pub struct Key {
    signer: StandardSigner,
    public: PublicKey,
    tokens: Signer,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

impl Key {
    /// The key in a file; made there when there is no such file.
    ///
    /// # Errors
    /// When the file cannot be read or written, is open to others, or holds no key of this log.
    pub fn open(path: &Path, origin: &str) -> Result<Self, Error> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Self::create(path, origin);
            }
            read => SecretString::from(read.map_err(|source| file(path, source))?),
        };
        private(path)?;
        let key = Self::parse(&text).ok_or_else(|| Error::Malformed {
            path: path.to_owned(),
        })?;
        if key.public.origin() != origin {
            return Err(Error::OtherLog {
                path: path.to_owned(),
                found: key.public.origin().to_owned(),
                wanted: origin.to_owned(),
            });
        }
        Ok(key)
    }

    /// A new key that is nowhere kept.
    ///
    /// # Errors
    /// When the origin cannot name a log.
    pub fn generate(origin: &str) -> Result<Self, Error> {
        Self::make(origin).map(|(key, _)| key)
    }

    /// The half that everybody may know.
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The key of decision tokens, which comes from this one and is another.
    pub const fn tokens(&self) -> &Signer {
        &self.tokens
    }

    pub(super) const fn signer(&self) -> &StandardSigner {
        &self.signer
    }

    fn create(path: &Path, origin: &str) -> Result<Self, Error> {
        let (key, text) = Self::make(origin)?;
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|source| file(folder, source))?;
        }
        let written = exclusive(path).and_then(|mut file| {
            writeln!(file, "{}", text.expose_secret())?;
            file.sync_all()
        });
        match written {
            // Somebody else started at the same time and was first.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Self::open(path, origin),
            written => written.map(|()| key).map_err(|source| file(path, source)),
        }
    }

    fn make(origin: &str) -> Result<(Self, SecretString), Error> {
        let wrong = || Error::Origin(origin.to_owned());
        if !is_origin(origin) {
            return Err(wrong());
        }
        let text = SecretString::from(generate_key(&mut OsRng, origin).0);
        let key = Self::parse(&text).ok_or_else(wrong)?;
        Ok((key, text))
    }

    /// `PRIVATE+KEY+name+id+key`, as the signed-note format writes it.
    fn parse(text: &SecretString) -> Option<Self> {
        let text = text.expose_secret().trim_end();
        let signer = StandardSigner::new(text).ok()?;
        // The key itself may hold a `+`, the name and the id may not.
        let (name, rest) = text.strip_prefix("PRIVATE+KEY+")?.split_once('+')?;
        let (_, secret) = rest.split_once('+')?;
        let secret = STANDARD.decode(secret).ok()?;
        // The first byte says which kind of key it is; the signer knows only this kind.
        let secret = SigningKey::try_from(secret.get(1..)?).ok()?;
        let public = PublicKey::new(name, secret.verifying_key())?;
        let tokens = Signer::derive(secret.as_bytes(), name).ok()?;
        Some(Self {
            signer,
            public,
            tokens,
        })
    }
}

fn file(path: &Path, source: io::Error) -> Error {
    Error::File {
        path: path.to_owned(),
        source,
    }
}

#[cfg(unix)]
fn exclusive(path: &Path) -> io::Result<fs::File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

#[cfg(not(unix))]
fn exclusive(path: &Path) -> io::Result<fs::File> {
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
}

#[cfg(unix)]
fn private(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(path)
        .map_err(|source| file(path, source))?
        .permissions()
        .mode()
        & 0o7777;
    match mode & 0o077 {
        0 => Ok(()),
        _ => Err(Error::TooOpen {
            path: path.to_owned(),
            mode,
        }),
    }
}

#[cfg(not(unix))]
fn private(_: &Path) -> Result<(), Error> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data/audit.key");
        let made = Key::open(&path, "example.test/tripline").unwrap();
        let read = Key::open(&path, "example.test/tripline").unwrap();
        assert_eq!(made.public(), read.public());
        let other = Key::generate("example.test/tripline").unwrap();
        assert_ne!(made.public(), other.public());
        let secret = fs::read_to_string(&path).unwrap();
        let secret = secret.trim_end().splitn(5, '+').last().unwrap();
        assert!(
            !format!("{made:?}").contains(secret),
            "a key is never printed"
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.key");
        Key::open(&path, "example.test/tripline").unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        for mode in [0o640, 0o604, 0o620, 0o644] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = Key::open(&path, "example.test/tripline").unwrap_err();
            assert!(matches!(error, Error::TooOpen { .. }), "{error}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        Key::open(&path, "example.test/tripline").unwrap();
    }

    #[test]
    fn what_is_no_key_of_this_log_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.key");
        Key::open(&path, "example.test/tripline").unwrap();
        let error = Key::open(&path, "example.test/other").unwrap_err();
        insta::assert_snapshot!(
            error.to_string().replace(&*path.to_string_lossy(), "audit.key"),
            @"audit.key: this is the key of the log `example.test/tripline`, not of `example.test/other`"
        );
        for text in ["", "PRIVATE+KEY+a+00000000+AAAA", "hello"] {
            fs::write(&path, text).unwrap();
            let error = Key::open(&path, "example.test/tripline").unwrap_err();
            assert!(matches!(error, Error::Malformed { .. }), "{error}");
        }
        assert!(matches!(Key::generate("a b"), Err(Error::Origin(_))));
        assert!(matches!(
            Key::open(folder.path(), "a"),
            Err(Error::File { .. })
        ));
    }
}
