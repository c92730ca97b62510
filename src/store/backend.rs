//! The two engines, and the one place that tells them apart. Everything else writes its SQL once and
//! lets [`on!`] compile it for both.

use std::{path::Path, str::FromStr as _, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use secrecy::ExposeSecret as _;
use sqlx::{
    ConnectOptions as _, Connection as _, Postgres, Sqlite, Transaction,
    postgres::{PgConnectOptions, PgPool, PgPoolOptions},
    sqlite::{
        SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
    },
};

use super::{
    error::{Error, Result},
    options::{Address, Options},
};

/// How long a writer waits for another process to finish writing an SQLite file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait before a file is opened again that others are opening.
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// How long anything waits for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(30);

/// Connections that read one SQLite file at the same time; it has one writer.
const SQLITE_READERS: u32 = 4;

/// Connections to PostgreSQL.
const POSTGRES_CONNECTIONS: u32 = 10;

/// Evaluates `$body` with `$c` bound to the transaction's connection. The body is compiled once for each
/// engine, so the SQL and the types are written once.
macro_rules! on {
    ($tx:expr, $c:ident => $body:expr) => {
        match &mut $tx.conn {
            $crate::store::backend::Conn::Sqlite(t) => {
                let $c = &mut **t;
                $body
            }
            $crate::store::backend::Conn::Postgres(t) => {
                let $c = &mut **t;
                $body
            }
        }
    };
}

/// Runs a statement that writes, and gives how many rows it changed.
macro_rules! change {
    ($tx:expr, $query:expr) => {{
        let changed = on!($tx, c => $query.execute(c).await.map(|done| done.rows_affected()))?;
        $tx.wrote(changed);
        changed
    }};
}

/// Which database runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// A file of this machine.
    Sqlite,
    /// A server that many replicas share.
    Postgres,
}

/// An open store. Cheap to clone; all clones share their connections.
#[derive(Debug, Clone)]
pub enum Store {
    /// A file of this machine.
    Sqlite(Sqlites),
    /// A server that many replicas share.
    Postgres(PgPool),
}

/// SQLite has one writer: writers of this process wait for its only connection in the order in which
/// they came, instead of polling a lock. Readers see the last commit and wait for nobody.
#[derive(Debug, Clone)]
pub struct Sqlites {
    write: SqlitePool,
    read: SqlitePool,
    options: Arc<SqliteConnectOptions>,
    /// The file that was opened, and which one it was.
    file: Option<(Arc<Path>, FileId)>,
}

/// Which file has a name: its device and its number there.
type FileId = (u64, u64);

/// A transaction. Dropped without [`Tx::commit`], it leaves no trace.
#[derive(Debug)]
pub struct Tx {
    pub(super) conn: Conn,
    mode: Mode,
    written: u64,
}

#[derive(Debug)]
pub(super) enum Conn {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Read,
    Write,
}

impl Store {
    /// Opens the store, making an SQLite file and its folder when there is none. Does not migrate:
    /// [`Store::migrate`] does, and [`Store::ready`] tells whether that is needed.
    pub async fn open(options: &Options) -> Result<Self> {
        match options.address()? {
            Address::Memory => {
                let options = sqlite(SqliteConnectOptions::new());
                // Each connection to memory would be a database of its own, so there is one, kept for ever.
                let pool = SqlitePoolOptions::new()
                    .max_connections(1)
                    .min_connections(1)
                    .idle_timeout(None)
                    .max_lifetime(None)
                    .acquire_timeout(ACQUIRE_TIMEOUT)
                    .connect_with(options.clone())
                    .await?;
                Ok(Self::Sqlite(Sqlites {
                    write: pool.clone(),
                    read: pool,
                    options: Arc::new(options),
                    file: None,
                }))
            }
            Address::File(path) => Self::file(&path).await,
            Address::Postgres(url) => {
                let options =
                    PgConnectOptions::from_str(url.expose_secret()).map_err(|_| Error::Address)?;
                let options = match options.get_application_name() {
                    Some(_) => options,
                    None => options.application_name("tripline"),
                };
                // The pool would try until its time is up and then say no more than that; one attempt says why.
                options.connect().await?.close().await?;
                let pool = PgPoolOptions::new()
                    .max_connections(POSTGRES_CONNECTIONS)
                    .acquire_timeout(ACQUIRE_TIMEOUT)
                    .connect_lazy_with(options);
                Ok(Self::Postgres(pool))
            }
        }
    }

    async fn file(path: &Path) -> Result<Self> {
        let opened = prepare(path).and_then(|()| id(path));
        let opened = opened.map_err(|source| Error::File {
            path: path.to_owned(),
            source,
        })?;
        let options = sqlite(SqliteConnectOptions::new().filename(path))
            // Only `prepare` makes a file: one that is gone later is a loss, not a new store.
            .create_if_missing(false)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let pool = |n, options| {
            SqlitePoolOptions::new()
                .max_connections(n)
                .acquire_timeout(ACQUIRE_TIMEOUT)
                .connect_with(options)
        };
        // Of several programs that turn on the write-ahead log of a new file at the same time, SQLite
        // refuses all but one at once: its busy timeout does not hold for that step.
        let mut patience = BUSY_TIMEOUT.as_millis() / BUSY_PAUSE.as_millis();
        let write = loop {
            match pool(1, options.clone()).await.map_err(Error::from) {
                Err(error) if error.is_transient() && patience > 0 => patience -= 1,
                opened => break opened?,
            }
            tokio::time::sleep(BUSY_PAUSE).await;
        };
        let read = pool(SQLITE_READERS, options.clone().pragma("query_only", "on")).await?;
        Ok(Self::Sqlite(Sqlites {
            write,
            read,
            options: Arc::new(options),
            file: Some((path.into(), opened)),
        }))
    }

    /// Begins to write. On SQLite the writer's place is taken at once, because a reader that turns
    /// writer is refused without waiting.
    pub async fn begin(&self) -> Result<Tx> {
        let conn = match self {
            Self::Sqlite(s) => Conn::Sqlite(s.write.begin_with("begin immediate").await?),
            Self::Postgres(p) => Conn::Postgres(p.begin().await?),
        };
        Ok(Tx {
            conn,
            mode: Mode::Write,
            written: 0,
        })
    }

    /// Begins to read: everything as it was at one moment, whatever others commit meanwhile.
    pub async fn read(&self) -> Result<Tx> {
        let conn = match self {
            Self::Sqlite(s) => Conn::Sqlite(s.read.begin().await?),
            Self::Postgres(p) => Conn::Postgres(
                p.begin_with("begin isolation level repeatable read read only")
                    .await?,
            ),
        };
        Ok(Tx {
            conn,
            mode: Mode::Read,
            written: 0,
        })
    }

    /// Whether the database answers, has its tables, and is the one that was opened. A file that was moved away goes
    /// on answering whoever has it open, and nobody would find there what is written now.
    pub async fn ping(&self) -> Result<()> {
        if let Self::Sqlite(Sqlites {
            file: Some((path, opened)),
            ..
        }) = self
        {
            let wrong = |source| Error::File {
                path: path.to_path_buf(),
                source,
            };
            if id(path).map_err(wrong)? != *opened {
                let what = "this is another file than the one that was opened; stop, and put the right one in its place";
                return Err(wrong(std::io::Error::other(what)));
            }
        }
        self.ready().await
    }

    /// Which database runs.
    pub fn engine(&self) -> Engine {
        match self {
            Self::Sqlite(_) => Engine::Sqlite,
            Self::Postgres(_) => Engine::Postgres,
        }
    }

    /// Ends every connection after its work; later calls are refused.
    pub async fn close(&self) {
        match self {
            Self::Sqlite(s) => {
                s.read.close().await;
                s.write.close().await;
            }
            Self::Postgres(p) => p.close().await,
        }
    }
}

impl Sqlites {
    /// How a connection of its own is opened, apart from the pools.
    pub(super) fn options(&self) -> &SqliteConnectOptions {
        &self.options
    }

    /// The connection of a database in memory, which no other connection can see.
    pub(super) fn only(&self) -> &SqlitePool {
        &self.write
    }
}

impl Tx {
    /// Makes everything true at once.
    pub async fn commit(self) -> Result<()> {
        match self.conn {
            Conn::Sqlite(t) => t.commit().await?,
            Conn::Postgres(t) => t.commit().await?,
        }
        Ok(())
    }

    /// Undoes everything, and waits for it. Dropping does the same without waiting.
    pub async fn rollback(self) -> Result<()> {
        match self.conn {
            Conn::Sqlite(t) => t.rollback().await?,
            Conn::Postgres(t) => t.rollback().await?,
        }
        Ok(())
    }

    /// How many rows were written so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    pub(super) fn wrote(&mut self, rows: u64) {
        self.written += rows;
    }

    pub(super) fn engine(&self) -> Engine {
        match self.conn {
            Conn::Sqlite(_) => Engine::Sqlite,
            Conn::Postgres(_) => Engine::Postgres,
        }
    }

    /// Waits until nobody else works under `name`, and keeps others waiting until the end of this
    /// transaction. SQLite has one writer anyway. One who takes several turns takes them in sorted order.
    pub(super) async fn turn(&mut self, name: &str) -> Result<()> {
        if let (Mode::Write, Conn::Postgres(t)) = (self.mode, &mut self.conn) {
            sqlx::query(
                "select pg_advisory_xact_lock(hashtextextended(current_schema() || ':' || $1, 0))",
            )
            .bind(name)
            .execute(&mut **t)
            .await?;
        }
        Ok(())
    }

    /// What a select ends with that takes rows for this transaction alone and passes over those that
    /// others hold. SQLite has one writer, so there is nobody to pass over.
    pub(super) fn skip_locked(&self) -> &'static str {
        match self.engine() {
            Engine::Sqlite => "",
            Engine::Postgres => " for update skip locked",
        }
    }

    /// The same, waiting for those who hold a row instead of passing over it.
    pub(super) fn for_update(&self) -> &'static str {
        match (self.engine(), self.mode) {
            (Engine::Postgres, Mode::Write) => " for update",
            _ => "",
        }
    }
}

/// What time it is for the database: the only clock that leases go by, because all replicas share it.
pub async fn now(tx: &mut Tx) -> Result<DateTime<Utc>> {
    let clock = match tx.engine() {
        Engine::Sqlite => "select strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')",
        Engine::Postgres => "select clock_timestamp()",
    };
    Ok(on!(tx, c => sqlx::query_scalar(clock).fetch_one(c).await)?)
}

fn sqlite(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options
        .create_if_missing(true)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        // The log of a large run is cut back once it is in the database.
        .pragma("journal_size_limit", "67108864")
        // In KiB: a batch of findings touches many pages of the key's index.
        .pragma("cache_size", "-32768")
}

/// Which file has this name now.
#[cfg(unix)]
fn id(path: &Path) -> std::io::Result<FileId> {
    use std::os::unix::fs::MetadataExt as _;
    let about = std::fs::metadata(path)?;
    Ok((about.dev(), about.ino()))
}

#[cfg(not(unix))]
fn id(_: &Path) -> std::io::Result<FileId> {
    Ok((0, 0))
}

/// Makes the folder and the file, both for this user alone: they hold findings and addresses.
fn prepare(path: &Path) -> std::io::Result<()> {
    let mut folder = std::fs::DirBuilder::new();
    let mut file = std::fs::OpenOptions::new();
    file.create_new(true).write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
        folder.mode(0o700);
        file.mode(0o600);
    }
    if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        folder.recursive(true).create(parent)?;
    }
    match file.open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        other => other.map(|_| ()),
    }
}
