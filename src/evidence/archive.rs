//! Where snapshots are: immutable objects named by the SHA-256 of their bytes, in a local folder or an
//! S3-compatible bucket. An object is whole or it is not there: writing is atomic and durable, and before an
//! object is used for the first time, or after it was touched, its bytes are hashed again. Never overwrites
//! and never trusts a name.

use std::{
    collections::HashMap,
    fmt, io,
    path::{Path as FilePath, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use datafusion::{
    arrow::error::ArrowError,
    object_store::{
        self, ObjectMeta, ObjectStore, ObjectStoreExt, aws::AmazonS3Builder,
        local::LocalFileSystem, path::Path,
    },
    parquet::{errors::ParquetError, file::metadata::ParquetMetaDataReader},
};
use futures::TryStreamExt;
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use url::Url;

use super::{
    arrow,
    options::{Home, Options, Settings},
    parquet::{self, About},
    row,
};
use crate::{
    catalog::secret,
    model::{id::Sha, table::Table},
};

/// Why evidence could not be kept or read. Names objects, never what is in them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such object.
    #[error("evidence object {0} is not there")]
    Missing(Sha),
    /// The bytes of an object are not those that gave it its name.
    #[error("evidence object {wanted} is damaged: its content has the hash {found}")]
    Damaged {
        /// The name.
        wanted: Sha,
        /// What the bytes hash to.
        found: Sha,
    },
    /// The bytes are as they were written, but they are not a table of ours.
    #[error("evidence object {0} cannot be read")]
    Unreadable(Sha, #[source] ParquetError),
    /// A table cannot be written.
    #[error("the table does not fit its columns")]
    Table(#[source] ArrowError),
    /// A table cannot be written.
    #[error("the table cannot be written as Parquet")]
    Write(#[source] ParquetError),
    /// The object store does not answer, or refuses.
    #[error("the evidence store failed")]
    Store(#[from] object_store::Error),
    /// The folder cannot be written.
    #[error("evidence cannot be written to `{0}`")]
    Folder(PathBuf, #[source] io::Error),
    /// A key of the object store cannot be read.
    #[error(transparent)]
    Secret(#[from] secret::Error),
    /// The evidence folder's path cannot be an address.
    #[error("`{0}` cannot be a folder for evidence")]
    Address(PathBuf),
}

/// Results of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Whether trying again later may help: the store failed, rather than the object.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Store(_) | Self::Folder(_, _))
    }
}

/// How many objects are remembered as hashed; beyond that all are forgotten and hashed again when needed.
const REMEMBERED: usize = 4_096;

/// How much of the end of an object is read first to learn what it holds.
const FOOTER: u64 = 64 * 1024;

/// An object that was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Its name: the SHA-256 of its bytes.
    pub object: Sha,
    /// Its size.
    pub bytes: u64,
}

/// An object that was found to be what its name says.
#[derive(Debug, Clone)]
pub struct Object {
    /// Its name.
    pub name: Sha,
    /// What it says of itself.
    pub about: Arc<About>,
    meta: ObjectMeta,
}

/// The evidence store.
#[derive(Clone)]
pub struct Archive {
    store: Arc<dyn ObjectStore>,
    /// The address of the store, without the path of an object.
    root: Url,
    /// The path before each object.
    base: Path,
    /// The folder, when it is one.
    folder: Option<PathBuf>,
    /// Objects that were hashed by this process, as they were then.
    seen: Arc<Mutex<HashMap<Sha, Object>>>,
}

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Archive({}{})", self.root, self.base)
    }
}

impl Archive {
    /// Opens the evidence store; a folder is made when it is not there.
    ///
    /// # Errors
    /// The folder cannot be made, a key cannot be read, or the settings of the bucket are incomplete.
    pub fn open(options: &Options) -> Result<Self> {
        match &options.0.at {
            Home::Folder(folder) => Self::local(folder),
            Home::Bucket { bucket, prefix } => Self::remote(bucket, prefix, &options.0),
        }
    }

    fn local(folder: &FilePath) -> Result<Self> {
        let failed = |e| Error::Folder(folder.to_owned(), e);
        private().create(folder).map_err(failed)?;
        let folder = folder.canonicalize().map_err(failed)?;
        let base = Path::from_absolute_path(&folder).map_err(|_| Error::Address(folder.clone()))?;
        let root = Url::parse("file:///").map_err(|_| Error::Address(folder.clone()))?;
        Ok(Self {
            store: Arc::new(LocalFileSystem::new()),
            root,
            base,
            folder: Some(folder),
            seen: Arc::default(),
        })
    }

    fn remote(bucket: &str, prefix: &str, settings: &Settings) -> Result<Self> {
        let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
        if let Some(endpoint) = &settings.endpoint {
            builder = builder
                .with_endpoint(endpoint.as_str().trim_end_matches('/'))
                .with_allow_http(endpoint.scheme() == "http");
        }
        if let Some(region) = &settings.region {
            builder = builder.with_region(region);
        }
        if let (Some(id), Some(key)) = (&settings.access_key, &settings.secret_key) {
            builder = builder
                .with_access_key_id(id.read()?.expose_secret())
                .with_secret_access_key(key.read()?.expose_secret());
        }
        let root = Url::parse(&format!("s3://{bucket}/"))
            .map_err(|_| Error::Address(PathBuf::from(bucket)))?;
        Ok(Self {
            store: Arc::new(builder.build()?),
            root,
            base: Path::from(prefix),
            folder: None,
            seen: Arc::default(),
        })
    }

    /// Keeps a table. The same rows have the same name, so that keeping them again writes nothing.
    ///
    /// # Errors
    /// The table does not fit its columns, or the store cannot be written.
    pub async fn put(&self, table: &Table) -> Result<Stored> {
        let batch = arrow::to_batch(table).map_err(Error::Table)?;
        let schema = table.schema.clone();
        // Sorting and compressing a million rows takes a second of one core.
        let encoded = tokio::task::spawn_blocking(move || parquet::write(&schema, &batch)).await;
        let bytes = encoded
            .map_err(|e| Error::Write(ParquetError::External(Box::new(e))))?
            .map_err(Error::Write)?;
        let stored = Stored {
            object: Sha::of(&bytes),
            bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        };
        // An object that is there but damaged is written anew.
        if self.find(stored.object).await.is_err() {
            self.write(stored.object, bytes).await?;
        }
        Ok(stored)
    }

    /// Writes all bytes or none, and on a local disk waits until they would survive a power cut.
    async fn write(&self, name: Sha, bytes: Bytes) -> Result<()> {
        let Some(folder) = &self.folder else {
            self.store.put(&self.path(name), bytes.into()).await?;
            return Ok(());
        };
        let target = folder.join(relative(name));
        let failed = target.clone();
        tokio::task::spawn_blocking(move || durably(&target, &bytes))
            .await
            .map_err(io::Error::other)
            .flatten()
            .map_err(|e| Error::Folder(failed, e))
    }

    /// Whether an object is there, without looking at its bytes.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn has(&self, name: Sha) -> Result<bool> {
        match self.store.head(&self.path(name)).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    /// Finds an object and makes sure that it is what its name says. Its bytes are hashed when this process
    /// has not done so since the object was last touched.
    ///
    /// # Errors
    /// It is not there, is damaged or unreadable, or the store does not answer.
    pub async fn find(&self, name: Sha) -> Result<Object> {
        let path = self.path(name);
        let meta = match self.store.head(&path).await {
            Err(object_store::Error::NotFound { .. }) => return Err(Error::Missing(name)),
            other => other?,
        };
        let known = self.lock().get(&name).filter(|o| o.meta == meta).cloned();
        if let Some(object) = known {
            return Ok(object);
        }
        let found = self.hash(&path).await?;
        if found != name {
            return Err(Error::Damaged {
                wanted: name,
                found,
            });
        }
        let object = Object {
            name,
            about: Arc::new(self.about(name, &meta).await?),
            meta,
        };
        let mut seen = self.lock();
        if seen.len() >= REMEMBERED {
            seen.clear();
        }
        seen.insert(name, object.clone());
        Ok(object)
    }

    /// Hashes an object anew, whatever was found before.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub async fn verify(&self, name: Sha) -> Result<Object> {
        self.lock().remove(&name);
        self.find(name).await
    }

    /// Reads a whole object as a table. Its bytes are hashed on the way.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub async fn read(&self, name: Sha) -> Result<Table> {
        let bytes = match self.store.get(&self.path(name)).await {
            Err(object_store::Error::NotFound { .. }) => return Err(Error::Missing(name)),
            other => other?.bytes().await?,
        };
        let found = Sha::of(&bytes);
        if found != name {
            return Err(Error::Damaged {
                wanted: name,
                found,
            });
        }
        parquet::read(bytes).map_err(|e| Error::Unreadable(name, e))
    }

    /// The keys of all rows, each as the JSON array of its key columns in the order of the schema.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub async fn keys(&self, name: Sha) -> Result<std::collections::HashSet<String>> {
        let table = self.read(name).await?;
        let batch = arrow::to_batch(&table).map_err(Error::Table)?;
        let columns: Vec<_> = table
            .schema
            .key
            .iter()
            .filter_map(|k| batch.column_by_name(k))
            .collect();
        Ok((0..batch.num_rows())
            .map(|at| {
                let key = columns.iter().map(|c| row::value(c, at)).collect();
                serde_json::Value::Array(key).to_string()
            })
            .collect())
    }

    /// Removes an object. One that is not there is removed already.
    ///
    /// # Errors
    /// The store does not answer, or refuses.
    pub async fn remove(&self, name: Sha) -> Result<()> {
        self.lock().remove(&name);
        match self.store.delete(&self.path(name)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// The names of all objects, for housekeeping.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn list(&self) -> Result<Vec<Sha>> {
        let all: Vec<ObjectMeta> = self.store.list(Some(&self.base)).try_collect().await?;
        Ok(all.iter().filter_map(|m| name_of(&m.location)).collect())
    }

    /// The store, for an engine that reads objects in parts.
    pub fn store(&self) -> (&Url, Arc<dyn ObjectStore>) {
        (&self.root, Arc::clone(&self.store))
    }

    /// The address of an object in that store.
    pub fn address(&self, name: Sha) -> Option<Url> {
        match &self.folder {
            Some(folder) => Url::from_file_path(folder.join(relative(name))).ok(),
            None => self.root.join(self.path(name).as_ref()).ok(),
        }
    }

    fn path(&self, name: Sha) -> Path {
        relative(name)
            .split('/')
            .fold(self.base.clone(), Path::join)
    }

    async fn hash(&self, path: &Path) -> Result<Sha> {
        let mut stream = self.store.get(path).await?.into_stream();
        let mut hash = Sha256::new();
        while let Some(chunk) = stream.try_next().await? {
            hash.update(&chunk);
        }
        Ok(Sha(hash.finalize().into()))
    }

    /// What an object says of itself, from its last bytes alone.
    async fn about(&self, name: Sha, meta: &ObjectMeta) -> Result<About> {
        let unreadable = |e| Error::Unreadable(name, e);
        let mut wanted = FOOTER.min(meta.size);
        loop {
            let range = meta.size - wanted..meta.size;
            let bytes = self.store.get_range(&meta.location, range).await?;
            let mut reader = ParquetMetaDataReader::new();
            match reader.try_parse_sized(&bytes, meta.size) {
                Ok(()) => {
                    let metadata = reader.finish().map_err(unreadable)?;
                    return parquet::about(&metadata).map_err(unreadable);
                }
                Err(ParquetError::NeedMoreData(more)) if wanted < meta.size => {
                    let more = u64::try_from(more).unwrap_or(meta.size);
                    wanted = more.max(wanted + 1).min(meta.size);
                }
                Err(e) => return Err(unreadable(e)),
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Sha, Object>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `sha256/ab/cdef….parquet`: 256 folders, so that none grows too long to list.
fn relative(name: Sha) -> String {
    let hex = name.to_string();
    let (first, rest) = hex.split_at(2);
    format!("sha256/{first}/{rest}.parquet")
}

fn name_of(path: &Path) -> Option<Sha> {
    let mut parts = path.as_ref().rsplit('/');
    let rest = parts.next()?.strip_suffix(".parquet")?;
    format!("{}{rest}", parts.next()?).parse().ok()
}

/// Makes folders for this user alone: evidence is what others' systems keep from most people.
fn private() -> std::fs::DirBuilder {
    let mut folder = std::fs::DirBuilder::new();
    folder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        folder.mode(0o700);
    }
    folder
}

/// Writes beside the target, waits for the disk, then puts the file in its place and waits for the folder.
fn durably(target: &FilePath, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
    let folder = target
        .parent()
        .ok_or_else(|| io::Error::other("no folder"))?;
    private().create(folder)?;
    let beside = target.with_extension(format!("{}.new", uuid::Uuid::new_v4()));
    let written = (|| {
        let mut file = std::fs::OpenOptions::new();
        file.create_new(true).write(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            file.mode(0o600);
        }
        let mut file = file.open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&beside, target)?;
        std::fs::File::open(folder)?.sync_all()
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    written
}

#[cfg(test)]
#[path = "archive_tests.rs"]
mod tests;
