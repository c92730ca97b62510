//! Salts under which the audit log holds personal data as digests. They live here and not in the log, so
//! that erasing one cuts the link between a leaf and a person while the leaf still proves.

use rand::RngCore as _;

use super::{Tx, error::Result, row::Place};

/// The salt of a name, made when there is none.
pub async fn of(tx: &mut Tx, name: &str) -> Result<[u8; 16]> {
    let mut fresh = [0; 16];
    rand::rngs::OsRng.fill_bytes(&mut fresh);
    get_or_set(tx, name, fresh).await
}

/// The salt of a name; `fresh`, which is random, becomes it when there is none.
pub async fn get_or_set(tx: &mut Tx, name: &str, fresh: [u8; 16]) -> Result<[u8; 16]> {
    let sql = "insert into salt (name, salt) values ($1, $2) on conflict (name) do nothing";
    change!(tx, sqlx::query(sql).bind(name).bind(fresh.as_slice()));
    Ok(get(tx, name).await?.unwrap_or(fresh))
}

/// The salt of a name.
pub async fn get(tx: &mut Tx, name: &str) -> Result<Option<[u8; 16]>> {
    let sql = "select salt from salt where name = $1";
    let salt: Option<Vec<u8>> =
        on!(tx, c => sqlx::query_scalar(sql).bind(name).fetch_optional(c).await)?;
    let at = Place {
        table: "salt",
        id: name,
    };
    salt.map(|s| s.try_into().map_err(|_| at.wrong("salt")))
        .transpose()
}

/// Erases the salt of a name, and with it the link from the log to whom it names; whether there was one.
pub async fn erase(tx: &mut Tx, name: &str) -> Result<bool> {
    let sql = "delete from salt where name = $1";
    Ok(change!(tx, sqlx::query(sql).bind(name)) == 1)
}
