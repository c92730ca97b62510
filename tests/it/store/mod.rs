//! The store from outside: every function on every engine, what it promises when workers meet, and what
//! stays when a transaction dies.

mod audit;
mod findings;
mod outbox;
mod runs;
mod same;
pub(crate) mod samples;
mod schema;
mod ticks;

use chrono::{DateTime, TimeDelta, Utc};
use tripline::store::{Options, Store};

use crate::systems::Database;

/// Runs a test on SQLite in memory, on an SQLite file, and on PostgreSQL where there is one.
pub(crate) async fn with_stores(test: impl AsyncFn(Store)) {
    test(memory().await).await;
    let folder = tempfile::tempdir().unwrap();
    test(file(folder.path()).await).await;
    if let Some(store) = postgres().await {
        test(store).await;
    }
}

/// The same without the store in memory, which has one connection and so knows no two workers.
pub(crate) async fn with_shared_stores(test: impl AsyncFn(Store)) {
    let folder = tempfile::tempdir().unwrap();
    test(file(folder.path()).await).await;
    if let Some(store) = postgres().await {
        test(store).await;
    }
}

pub(crate) async fn memory() -> Store {
    migrated("sqlite::memory:").await
}

pub(crate) async fn file(folder: &std::path::Path) -> Store {
    migrated(&format!(
        "sqlite:{}",
        folder.join("data/tripline.db").display()
    ))
    .await
}

/// A store in a schema of its own, so that tests run side by side.
pub(crate) async fn postgres() -> Option<Store> {
    let database = Database::open().await?;
    Some(migrated(&database.url).await)
}

async fn migrated(address: &str) -> Store {
    let store = Store::open(&Options::from_address(address).unwrap())
        .await
        .unwrap();
    store.migrate().await.unwrap();
    store
}

/// An instant so many seconds after a fixed one.
pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_000_000, 123_456_000).unwrap() + TimeDelta::seconds(seconds)
}
