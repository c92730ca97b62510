//! Digests: one of a recipient for a period, at most. The period is claimed before anything is sent, in
//! the transaction that seals the message, so neither a second replica nor a restart sends it again.

use chrono::{DateTime, Utc};

use super::{Tx, error::Result, row::us};
use crate::model::{
    id::{ChannelId, NoticeId},
    people::Principal,
};

/// A digest of one recipient for one period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// Whose.
    pub recipient: Principal,
    /// On that channel.
    pub channel: ChannelId,
    /// Which period, as a name that sorts by time: `2026-11-20`, `2026-W47`.
    pub period: String,
    /// When it was planned: the next one begins there.
    pub planned_at: DateTime<Utc>,
    /// The message; nothing when there was nothing to say.
    pub batch: Option<NoticeId>,
}

/// Claims a period. Whether it is this caller's; another's is left as it is. The message that it names
/// must be sealed by the end of the transaction.
pub async fn claim(tx: &mut Tx, digest: &Digest) -> Result<bool> {
    let sql = "insert into digest (recipient, channel, period, planned_at, batch) values ($1, $2, $3, $4, $5)
        on conflict (recipient, channel, period) do nothing";
    let changed = change!(
        tx,
        sqlx::query(sql)
            .bind(digest.recipient.to_string())
            .bind(digest.channel.as_str())
            .bind(&digest.period)
            .bind(us(digest.planned_at))
            .bind(digest.batch.as_ref().map(AsRef::<str>::as_ref))
    );
    Ok(changed == 1)
}

/// The last digest of a recipient on a channel, with or without something to say.
pub async fn last(
    tx: &mut Tx,
    recipient: &Principal,
    channel: &ChannelId,
) -> Result<Option<Digest>> {
    let sql = "select period, planned_at, batch from digest where recipient = $1 and channel = $2
        order by planned_at desc, period desc limit 1";
    let row: Option<(String, DateTime<Utc>, Option<String>)> = on!(tx, c => sqlx::query_as(sql)
        .bind(recipient.to_string())
        .bind(channel.as_str())
        .fetch_optional(c)
        .await)?;
    Ok(row.map(|(period, planned_at, batch)| Digest {
        recipient: recipient.clone(),
        channel: channel.clone(),
        period,
        planned_at,
        batch: batch.map(Into::into),
    }))
}
