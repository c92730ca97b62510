//! A copy of the whole store in one file, taken while the daemon runs. SQLite writes it itself, from one
//! consistent moment; it is checked, flushed to disk and only then given its name, so a file with that
//! name is always a whole backup. PostgreSQL has `pg_dump`, which keeps triggers and roles as well: for
//! it the error says so.

use std::{
    ffi::OsString,
    fs::File,
    io,
    path::{Path, PathBuf},
};

use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};

use super::{
    backend::Store,
    error::{Error, Result},
};

impl Store {
    /// Copies the store to a file that does not exist yet, and gives its size in bytes.
    pub async fn backup(&self, to: &Path) -> Result<u64> {
        let Self::Sqlite(sqlites) = self else {
            return Err(Error::UsePgDump(to.display().to_string()));
        };
        if to.exists() {
            return Err(Error::Exists(to.to_owned()));
        }
        let partial = partial(to);
        let wrong = |source| Error::File {
            path: partial.clone(),
            source,
        };
        remove(&partial).map_err(wrong)?;
        private(&partial).map_err(wrong)?;
        let target = partial.to_string_lossy();
        if sqlites.options().get_filename() == Path::new(":memory:") {
            vacuum(&mut *sqlites.only().acquire().await?, &target).await?;
        } else {
            // A connection of its own: neither readers nor the writer wait for the copy.
            let mut connection = sqlites.options().connect().await?;
            vacuum(&mut connection, &target).await?;
            connection.close().await?;
        }
        check(&partial).await?;
        let size = publish(&partial, to).map_err(|source| Error::File {
            path: to.to_owned(),
            source,
        })?;
        Ok(size)
    }
}

async fn vacuum(connection: &mut SqliteConnection, target: &str) -> Result<()> {
    sqlx::query("vacuum into $1")
        .bind(target)
        .execute(connection)
        .await?;
    Ok(())
}

/// A backup that cannot be read is none.
async fn check(path: &Path) -> Result<()> {
    let options = SqliteConnectOptions::new().filename(path).read_only(true);
    let mut connection = options.connect().await?;
    let said: String = sqlx::query_scalar("pragma integrity_check(1)")
        .fetch_one(&mut connection)
        .await?;
    connection.close().await?;
    if said == "ok" {
        return Ok(());
    }
    let source = io::Error::new(io::ErrorKind::InvalidData, said);
    Err(Error::File {
        path: path.to_owned(),
        source,
    })
}

/// Flushes the file, then names it, then flushes the name: `vacuum into` alone survives no power cut.
fn publish(partial: &Path, to: &Path) -> io::Result<u64> {
    let file = File::open(partial)?;
    file.sync_all()?;
    let size = file.metadata()?.len();
    // A hard link fails when the name is taken; renaming would overwrite.
    std::fs::hard_link(partial, to)?;
    std::fs::remove_file(partial)?;
    if let Some(folder) = to.parent() {
        let folder = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        File::open(folder)?.sync_all()?;
    }
    Ok(size)
}

/// An empty file for this user alone: SQLite writes into it, and a copy is as secret as what it copies.
fn private(path: &Path) -> io::Result<()> {
    let mut file = std::fs::OpenOptions::new();
    file.create_new(true).write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        file.mode(0o600);
    }
    file.open(path).map(|_| ())
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn partial(to: &Path) -> PathBuf {
    let mut name: OsString = to.as_os_str().to_owned();
    name.push(".partial");
    name.into()
}
