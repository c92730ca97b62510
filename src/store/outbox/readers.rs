//! What readers know: who was told that something began, what stands open for whom, what a group was
//! told lately. Asked in bulk, because thousands of findings may change in one run.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::{FromRow, QueryBuilder};

use super::{
    items::{Raw, read_all},
    recipient,
};
use crate::{
    model::{
        id::{ChannelId, FindingKey, NoticeId},
        notice::{Delivery, Item, Word},
        people::Principal,
    },
    store::{
        Tx,
        error::Result,
        row::{Place, runs_of, us},
    },
};

/// Somebody was told, or is about to be told, that an episode of a finding is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beginning {
    /// The finding.
    pub finding: FindingKey,
    /// Its episode.
    pub episode: u32,
    /// Over which channel.
    pub channel: ChannelId,
    /// Who, on a channel that knows people.
    pub recipient: Option<Principal>,
    /// The message, when it was put together.
    pub batch: Option<NoticeId>,
    /// What became of that message.
    pub state: Option<Delivery>,
}

#[derive(FromRow)]
struct RawBeginning {
    key: String,
    finding: String,
    episode: i64,
    channel: String,
    recipient: Option<String>,
    batch: Option<String>,
    state: Option<String>,
}

impl RawBeginning {
    fn read(self) -> Result<Beginning> {
        let at = Place {
            table: "item",
            id: &self.key,
        };
        Ok(Beginning {
            finding: at.text("finding", &self.finding)?,
            episode: at.count("episode", self.episode)?,
            recipient: recipient(self.recipient.as_deref(), &at)?,
            state: at.text_opt("state", self.state.as_deref())?,
            channel: self.channel.as_str().into(),
            batch: self.batch.map(Into::into),
        })
    }
}

/// Who was told, in one of these words, of each of some findings; items that were left out are not among
/// them.
pub async fn beginnings(
    tx: &mut Tx,
    findings: &[FindingKey],
    words: &[Word],
) -> Result<Vec<Beginning>> {
    let mut found = Vec::new();
    for run in runs_of(findings) {
        let raw: Vec<RawBeginning> = on!(tx, c => {
            let mut q = QueryBuilder::new(
                "select i.key, i.finding, i.episode, i.channel, i.recipient, i.batch, b.state from item i \
                 left join batch b on b.id = i.batch where i.dropped_at is null and i.word in (",
            );
            let mut list = q.separated(", ");
            for word in words {
                list.push_bind(word.as_str());
            }
            q.push(") and i.finding in (");
            let mut list = q.separated(", ");
            for key in run {
                list.push_bind(key.to_string());
            }
            q.push(") order by i.planned_at, i.key");
            q.build_query_as().fetch_all(c).await
        })?;
        for one in raw {
            found.push(one.read()?);
        }
    }
    Ok(found)
}

/// What one reader was told, or is about to be told, in one of these words, of findings that are open now;
/// oldest first. Items that were left out are not among them.
pub async fn standing(
    tx: &mut Tx,
    channel: &ChannelId,
    whom: Option<&Principal>,
    words: &[Word],
) -> Result<Vec<Item>> {
    let raw: Vec<Raw> = on!(tx, c => {
        let mut q = QueryBuilder::new(
            "select i.* from item i join finding f on f.key = i.finding \
             where i.dropped_at is null and f.status in ('open', 'clearing', 'flapping') and i.channel = ",
        );
        q.push_bind(channel.as_str());
        match whom {
            Some(whom) => q.push(" and i.recipient = ").push_bind(whom.to_string()),
            None => q.push(" and i.recipient is null"),
        };
        q.push(" and i.word in (");
        let mut list = q.separated(", ");
        for word in words {
            list.push_bind(word.as_str());
        }
        q.push(") order by i.planned_at, i.key");
        q.build_query_as().fetch_all(c).await
    })?;
    read_all(raw)
}

/// What was told to one reader by messages that were sealed after an instant and accepted; oldest first.
pub async fn heard(
    tx: &mut Tx,
    channel: &ChannelId,
    whom: &Principal,
    since: DateTime<Utc>,
) -> Result<Vec<Item>> {
    let sql = "select i.* from item i join batch b on b.id = i.batch
        where i.channel = $1 and i.recipient = $2 and b.mode = 'alert' and b.state = 'sent' and b.sealed_at > $3
        order by i.planned_at, i.key";
    let raw = on!(tx, c => sqlx::query_as(sql)
        .bind(channel.as_str())
        .bind(whom.to_string())
        .bind(us(since))
        .fetch_all(c)
        .await)?;
    read_all(raw)
}

/// What a group was told since an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lately {
    /// When its last message was sealed.
    pub last: DateTime<Utc>,
    /// How many items its messages held.
    pub items: u64,
    /// How many messages there were.
    pub messages: u32,
}

/// What each of some groups was told since an instant; groups that were told nothing are left out.
pub async fn lately(
    tx: &mut Tx,
    groups: &[String],
    since: DateTime<Utc>,
) -> Result<BTreeMap<String, Lately>> {
    let mut found = BTreeMap::new();
    for run in runs_of(groups) {
        let rows: Vec<(String, DateTime<Utc>, i64, i64)> = on!(tx, c => {
            let mut q = QueryBuilder::new(
                "select i.group_key, max(b.sealed_at), count(*), count(distinct b.id) from item i \
                 join batch b on b.id = i.batch where b.state in ('due', 'sent') and b.sealed_at > ",
            );
            q.push_bind(us(since)).push(" and i.group_key in (");
            let mut list = q.separated(", ");
            for group in run {
                list.push_bind(group);
            }
            q.push(") group by i.group_key order by i.group_key");
            q.build_query_as().fetch_all(c).await
        })?;
        for (group, last, items, messages) in rows {
            let at = Place {
                table: "item",
                id: &group,
            };
            let lately = Lately {
                last,
                items: at.count("count", items)?,
                messages: at.count("count", messages)?,
            };
            found.insert(group, lately);
        }
    }
    Ok(found)
}

/// Lets items that wait, wait longer.
pub async fn defer(tx: &mut Tx, keys: &[String], until: DateTime<Utc>) -> Result<()> {
    let mut changed = 0;
    for run in runs_of(keys) {
        changed += on!(tx, c => {
            let mut q = QueryBuilder::new("update item set due_at = ");
            q.push_bind(us(until));
            q.push(" where batch is null and dropped_at is null and key in (");
            let mut list = q.separated(", ");
            for key in run {
                list.push_bind(key);
            }
            q.push(")");
            q.build().execute(c).await.map(|done| done.rows_affected())
        })?;
    }
    tx.wrote(changed);
    Ok(())
}
