//! SQLite as a client: the file is opened read-only and is never made. A statement that takes too
//! long is interrupted inside the engine.

use std::{
    str::FromStr as _,
    time::{Duration, Instant},
};

use futures::TryStreamExt as _;
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{
    AssertSqlSafe, Column as _, ConnectOptions as _, Connection as _, Executor as _, Row as _,
    SqlSafeStr as _, SqliteConnection, Statement as _, TypeInfo as _, ValueRef as _,
    sqlite::{SqliteConnectOptions, SqliteRow, SqliteValueRef},
};

use super::{Error, Job};
use crate::connector::{Sink, cell::Cell, error::Result};

/// Instructions of SQLite's machine between two looks at the time.
const LOOK: i32 = 10_000;

/// Reads the rows, and their count in the same snapshot of the data.
pub(super) async fn read(
    address: &SecretString,
    job: Job<'_>,
    sink: &mut dyn Sink,
) -> Result<Option<u64>> {
    let options = SqliteConnectOptions::from_str(address.expose_secret())
        .map_err(|_| Error::Address)?
        .read_only(true)
        .create_if_missing(false)
        .busy_timeout(job.timeout)
        .disable_statement_logging();
    let wrong = |e| Error::of(&e, job.timeout);
    let mut db = options.connect().await.map_err(wrong)?;
    let total = rows(&mut db, job, sink).await;
    // Nothing was written, so there is nothing to lose when closing goes wrong.
    let _closed = db.close().await;
    total
}

async fn rows(db: &mut SqliteConnection, job: Job<'_>, sink: &mut dyn Sink) -> Result<Option<u64>> {
    let wrong = |e| Error::of(&e, job.timeout);
    limit(db, job.timeout).await.map_err(wrong)?;
    let mut tx = db.begin().await.map_err(wrong)?;
    job.meter.request();
    let statement = tx
        .prepare(AssertSqlSafe(job.select).into_sql_str())
        .await
        .map_err(wrong)?;
    let names: Vec<String> = statement
        .columns()
        .iter()
        .map(|c| c.name().to_owned())
        .collect();
    sink.header(&names)?;
    {
        let mut found = statement.query().fetch(&mut *tx);
        while let Some(row) = found.try_next().await.map_err(wrong)? {
            let mut bytes = 0;
            let cells: Vec<Cell<'_>> = (0..names.len())
                .map(|i| cell(&row, i, &mut bytes))
                .collect();
            job.meter.bytes(bytes);
            sink.cells(&cells)?;
        }
    }
    let Some(count) = job.count else {
        return Ok(None);
    };
    job.meter.request();
    let row = sqlx::query(AssertSqlSafe(count))
        .fetch_one(&mut *tx)
        .await
        .map_err(wrong)?;
    match cell(&row, 0, &mut 0) {
        Cell::Int(n) => Ok(Some(u64::try_from(n).map_err(|_| Error::Count)?)),
        _ => Err(Error::Count.into()),
    }
}

async fn limit(db: &mut SqliteConnection, timeout: Duration) -> sqlx::Result<()> {
    let until = Instant::now() + timeout;
    let mut handle = db.lock_handle().await?;
    handle.set_progress_handler(LOOK, move || Instant::now() < until);
    Ok(())
}

fn cell<'r>(row: &'r SqliteRow, at: usize, bytes: &mut u64) -> Cell<'r> {
    let Ok(value) = row.try_get_raw(at) else {
        return Cell::Null;
    };
    if value.is_null() {
        return Cell::Null;
    }
    let name = value.type_info().name().to_owned();
    match name.as_str() {
        "INTEGER" => {
            *bytes += 8;
            decoded::<i64>(value).map(|i| Cell::Int(i.into()))
        }
        "REAL" => {
            *bytes += 8;
            decoded::<f64>(value).map(Cell::Float)
        }
        "TEXT" => decoded::<&str>(value).map(|text| {
            *bytes += text.len() as u64;
            Cell::text(text)
        }),
        _ => None,
    }
    .unwrap_or(Cell::Other("bytes"))
}

fn decoded<'r, T: sqlx::Decode<'r, sqlx::Sqlite>>(value: SqliteValueRef<'r>) -> Option<T> {
    T::decode(value).ok()
}
