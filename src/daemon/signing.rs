//! Who signs the heads of the log. Beside the key stands what it signed last, so that one key never signs two logs: a
//! store that was lost, replaced or put back to an older day is found out before anything is signed, and what becomes
//! of it is somebody's decision.

use std::{
    ffi::OsString,
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use chrono::{DateTime, Utc};

use crate::{
    audit::{
        checkpoint::Checkpoint,
        key::Key,
        leaf::{Fact, KeyChange, Leaf},
    },
    config::Config,
    run::Context,
    store::{Store, Tx, audit},
};

/// What to do when key and log are not of each other.
const WAY_OUT: &str = "bring back the store and the key that belong together, or go on with this store under a new key: \
    `tripline audit new-key`";

/// The key of the log, and what it signed last.
#[derive(Debug)]
pub struct Signer {
    key: Key,
    path: PathBuf,
}

impl Signer {
    /// The key of an installation; made when the log was never signed.
    ///
    /// # Errors
    /// It is not there although the log was signed with it, it is of another log than the one in the store, or it
    /// cannot be read.
    pub async fn open(store: &Store, config: &Config) -> anyhow::Result<Self> {
        let path = place(config);
        let mut tx = store.read().await?;
        let last = audit::last_checkpoint(&mut tx).await?;
        if let Some(last) = last.as_ref().filter(|_| !path.exists()) {
            bail!(
                "{} is not there, and with it the log in {} was signed, {} leaves of it; {WAY_OUT}",
                path.display(),
                config.store,
                last.size
            );
        }
        if !path.exists() && memory(&path).exists() {
            bail!(
                "{} is not there, and it signed a log before: {} says so; {WAY_OUT}",
                path.display(),
                memory(&path).display()
            );
        }
        let key = Key::open(&path, &config.audit.origin)?;
        let signer = Self { key, path };
        if let Some(last) = last {
            signer.verified(&last.note).with_context(|| {
                format!(
                    "the log in {} was last signed with another key than {}; {WAY_OUT}",
                    config.store,
                    signer.path.display()
                )
            })?;
        }
        signer.belongs(&mut tx).await?;
        Ok(signer)
    }

    /// The key.
    pub const fn key(&self) -> &Key {
        &self.key
    }

    /// Signs the head of the log, unless it was signed already. Gives its size.
    ///
    /// # Errors
    /// The log is another than the one that was signed before, or the store or the file cannot be written.
    pub async fn sign(&self, cx: &Context) -> anyhow::Result<u64> {
        let mut tx = cx.store.begin().await?;
        let head = audit::head(&mut tx).await?;
        let last = audit::last_checkpoint(&mut tx).await?;
        if head.size == 0 {
            return Ok(0);
        }
        if let Some(last) = last.filter(|last| last.size == head.size) {
            if !memory(&self.path).exists() {
                self.remember(&last.note)?;
            }
            return Ok(head.size);
        }
        self.belongs(&mut tx).await?;
        self.keep(&mut tx, head, cx.clock.now()).await?;
        tx.commit().await?;
        Ok(head.size)
    }

    async fn keep(&self, tx: &mut Tx, head: audit::Head, now: DateTime<Utc>) -> anyhow::Result<()> {
        let note = Checkpoint {
            origin: self.key.public().origin().to_owned(),
            size: head.size,
            root: head.root,
        }
        .sign(&self.key)?;
        // Before anybody sees it: a note that left the machine is never forgotten.
        self.remember(&note)?;
        let kept = audit::Checkpoint {
            size: head.size,
            note,
            at: now,
        };
        audit::keep_checkpoint(tx, &kept).await?;
        Ok(())
    }

    /// Whether the log in the store contains what was signed before.
    async fn belongs(&self, tx: &mut Tx) -> anyhow::Result<()> {
        let path = memory(&self.path);
        let Some(note) = read(&path)? else {
            return Ok(());
        };
        let last = self.verified(&note).with_context(|| {
            format!("{} is not of the key beside it; {WAY_OUT}", path.display())
        })?;
        let size = audit::size(tx).await?;
        let same = size >= last.size
            && match audit::edge(tx, last.size).await {
                Ok(edge) => edge.root().is_ok_and(|root| root == last.root),
                Err(error) if error.is_transient() => return Err(error.into()),
                Err(_) => false,
            };
        if !same {
            bail!(
                "the log in the store has {size} leaves and is not the one of which {} signed {} leaves: nothing is \
                 signed, because one key never signs two logs; was the store replaced, or an older backup put back? {WAY_OUT}",
                self.path.display(),
                last.size
            );
        }
        Ok(())
    }

    fn verified(&self, note: &str) -> anyhow::Result<Checkpoint> {
        let keys = std::slice::from_ref(self.key.public());
        Ok(Checkpoint::verify(note, keys)?)
    }

    /// Keeps what was signed last, whole or not at all.
    fn remember(&self, note: &str) -> anyhow::Result<()> {
        let to = memory(&self.path);
        let part = beside(&self.path, ".signed.part");
        let write = || -> io::Result<()> {
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&part)?;
            file.write_all(note.as_bytes())?;
            file.sync_all()?;
            fs::rename(&part, &to)
        };
        write().with_context(|| format!("{} cannot be written", to.display()))
    }
}

/// Goes on with the log in the store under a new key; the old one, if it is there, is kept under another name. Gives the
/// new key and where the old one is.
///
/// # Errors
/// The store or the files cannot be read or written.
pub async fn renew(
    store: &Store,
    config: &Config,
    now: DateTime<Utc>,
) -> anyhow::Result<(Signer, Option<PathBuf>)> {
    let path = place(config);
    // Opening one that is not there would make it.
    let old = path
        .exists()
        .then(|| Key::open(&path, &config.audit.origin).ok())
        .flatten();
    let old = old.map(|key| key.public().fingerprint());
    let aside = beside(&path, &format!(".until-{}", now.format("%Y%m%dT%H%M%SZ")));
    let mut moved = None;
    for (from, to) in [
        (path.clone(), aside.clone()),
        (memory(&path), memory(&aside)),
    ] {
        if from.exists() {
            fs::rename(&from, &to)
                .with_context(|| format!("{} cannot be renamed", from.display()))?;
            moved = Some(aside.clone());
        }
    }
    let key = Key::open(&path, &config.audit.origin)?;
    let fact = Fact::Key(KeyChange {
        from: old,
        to: key.public().as_str().to_owned(),
    });
    let signer = Signer { key, path };
    let mut tx = store.begin().await?;
    let head = audit::append(&mut tx, &[Leaf::new(now, fact)]).await?;
    signer.keep(&mut tx, head, now).await?;
    tx.commit().await?;
    Ok((signer, moved))
}

/// Whether the log of an installation was ever signed, as far as its files and its store tell.
///
/// # Errors
/// The store cannot be read.
pub async fn began(store: &Store, config: &Config) -> anyhow::Result<bool> {
    let path = place(config);
    let kept = audit::last_checkpoint(&mut store.read().await?).await?;
    Ok(path.exists() || memory(&path).exists() || kept.is_some())
}

/// How many leaves the key of an installation signed; nothing when it signed none, or nobody knows.
pub fn signed(config: &Config) -> Option<u64> {
    let note = read(&memory(&place(config))).ok()??;
    Some(Checkpoint::claim(&note).ok()?.size)
}

fn place(config: &Config) -> PathBuf {
    config.root.join(&config.audit.key.file)
}

fn memory(key: &Path) -> PathBuf {
    beside(key, ".signed")
}

fn beside(path: &Path, more: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(more);
    name.into()
}

fn read(path: &Path) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(note) => Ok(Some(note)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
    }
}
