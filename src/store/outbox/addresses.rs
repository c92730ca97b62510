//! Addresses that a receiver refused for good. Nothing is sent there until a person says it is mended.

use chrono::{DateTime, Utc};

use crate::{
    model::id::ChannelId,
    store::{Tx, error::Result, row::us},
};

/// An address that a receiver refused for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadAddress {
    /// On that channel.
    pub channel: ChannelId,
    /// The address, or the recipient on a channel without addresses.
    pub recipient: String,
    /// What the receiver said.
    pub reason: String,
    /// When.
    pub since: DateTime<Utc>,
}

/// Marks an address; whether it was good until now, so that it is reported once.
pub async fn mark_bad(tx: &mut Tx, bad: &BadAddress) -> Result<bool> {
    let sql = "insert into bad_address (channel, recipient, reason, since) values ($1, $2, $3, $4)
        on conflict (channel, recipient) do nothing";
    let changed = change!(
        tx,
        sqlx::query(sql)
            .bind(bad.channel.as_str())
            .bind(&bad.recipient)
            .bind(&bad.reason)
            .bind(us(bad.since))
    );
    Ok(changed == 1)
}

/// Whether an address is marked.
pub async fn is_bad(tx: &mut Tx, channel: &ChannelId, recipient: &str) -> Result<bool> {
    let sql = "select count(*) from bad_address where channel = $1 and recipient = $2";
    let n: i64 = on!(tx, c => sqlx::query_scalar(sql).bind(channel.as_str()).bind(recipient).fetch_one(c).await)?;
    Ok(n > 0)
}

/// Takes the mark away; whether there was one.
pub async fn mend(tx: &mut Tx, channel: &ChannelId, recipient: &str) -> Result<bool> {
    let sql = "delete from bad_address where channel = $1 and recipient = $2";
    Ok(change!(tx, sqlx::query(sql).bind(channel.as_str()).bind(recipient)) == 1)
}

/// Every address that is marked.
pub async fn bad_addresses(tx: &mut Tx) -> Result<Vec<BadAddress>> {
    let sql =
        "select channel, recipient, reason, since from bad_address order by channel, recipient";
    let rows: Vec<(String, String, String, DateTime<Utc>)> =
        on!(tx, c => sqlx::query_as(sql).fetch_all(c).await)?;
    let bad = |(channel, recipient, reason, since): (String, _, _, _)| BadAddress {
        channel: channel.into(),
        recipient,
        reason,
        since,
    };
    Ok(rows.into_iter().map(bad).collect())
}
