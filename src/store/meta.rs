//! Facts about this database, by name. Holds nothing that belongs to a table of its own.

use super::{Tx, error::Result};

/// The id of this installation, made at the first start; the same for all replicas.
pub const INSTANCE: &str = "instance";

/// When a daemon was last alive, as RFC 3339.
pub const HEARTBEAT: &str = "heartbeat";

/// The digest of the configuration that was loaded last.
pub const CONFIG: &str = "config";

/// Before the id of a control that is not loaded any more: since when, as RFC 3339.
pub const AWAY: &str = "away:";

/// The value under a name.
pub async fn get(tx: &mut Tx, key: &str) -> Result<Option<String>> {
    let sql = "select value from meta where key = $1";
    Ok(on!(tx, c => sqlx::query_scalar(sql).bind(key).fetch_optional(c).await)?)
}

/// Puts a value under a name.
pub async fn set(tx: &mut Tx, key: &str, value: &str) -> Result<()> {
    let sql = "insert into meta (key, value) values ($1, $2) on conflict (key) do update set value = excluded.value";
    change!(tx, sqlx::query(sql).bind(key).bind(value));
    Ok(())
}

/// The value under a name; `fresh` becomes it when there is none. Of several replicas that start
/// together, all get the same.
pub async fn get_or_set(tx: &mut Tx, key: &str, fresh: &str) -> Result<String> {
    let sql = "insert into meta (key, value) values ($1, $2) on conflict (key) do nothing";
    change!(tx, sqlx::query(sql).bind(key).bind(fresh));
    Ok(get(tx, key).await?.unwrap_or_else(|| fresh.to_owned()))
}

/// Every fact whose name begins like this, by what follows.
pub async fn under(tx: &mut Tx, prefix: &str) -> Result<Vec<(String, String)>> {
    let sql = "select key, value from meta where key like $1 order by key";
    let like = format!("{prefix}%");
    let found: Vec<(String, String)> =
        on!(tx, c => sqlx::query_as(sql).bind(like).fetch_all(c).await)?;
    let rest = |(key, value): (String, String)| Some((key.strip_prefix(prefix)?.to_owned(), value));
    Ok(found.into_iter().filter_map(rest).collect())
}

/// Takes a fact away.
pub async fn forget(tx: &mut Tx, key: &str) -> Result<()> {
    let sql = "delete from meta where key = $1";
    change!(tx, sqlx::query(sql).bind(key));
    Ok(())
}

/// Every fact, by name.
pub async fn all(tx: &mut Tx) -> Result<Vec<(String, String)>> {
    let sql = "select key, value from meta order by key";
    Ok(on!(tx, c => sqlx::query_as(sql).fetch_all(c).await)?)
}
