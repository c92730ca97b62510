//! Items: one thing owed to one recipient on one channel, until it is sealed into a batch or left out.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{FromRow, QueryBuilder};

use super::recipient;
use crate::{
    model::{
        id::{ChannelId, FindingKey, NoticeId},
        notice::{Item, Mode},
        people::Principal,
    },
    store::{
        Tx,
        error::{Error, Result},
        row::{Doc, Place, int, runs_of, us},
    },
};

#[derive(FromRow)]
pub(super) struct Raw {
    key: String,
    kind: String,
    word: String,
    mode: String,
    group_key: String,
    channel: String,
    recipient: Option<String>,
    finding: Option<String>,
    episode: i64,
    control: Option<String>,
    reason: String,
    facts: Doc<Value>,
    planned_at: DateTime<Utc>,
    due_at: DateTime<Utc>,
    batch: Option<String>,
    dropped_because: Option<String>,
}

impl Raw {
    fn read(self) -> Result<Item> {
        let at = Place {
            table: "item",
            id: &self.key,
        };
        Ok(Item {
            kind: at.text("kind", &self.kind)?,
            word: at.text("word", &self.word)?,
            mode: at.text("mode", &self.mode)?,
            recipient: recipient(self.recipient.as_deref(), &at)?,
            finding: at.text_opt("finding", self.finding.as_deref())?,
            episode: at.count("episode", self.episode)?,
            group: self.group_key,
            channel: self.channel.into(),
            control: self.control.map(Into::into),
            reason: self.reason,
            facts: self.facts.0,
            planned_at: self.planned_at,
            due_at: self.due_at,
            key: self.key,
        })
    }
}

pub(super) fn read_all(raw: Vec<Raw>) -> Result<Vec<Item>> {
    raw.into_iter().map(Raw::read).collect()
}

/// Adds what is owed, and gives how much of it was not owed before.
pub async fn enqueue(tx: &mut Tx, items: &[Item]) -> Result<u64> {
    let mut added = 0;
    for run in runs_of(items) {
        added += on!(tx, c => {
            let mut q = QueryBuilder::new(
                "insert into item (key, kind, word, mode, group_key, channel, recipient, finding, episode, control, \
                 reason, facts, planned_at, due_at) ",
            );
            q.push_values(run, |mut row, item| {
                row.push_bind(&item.key)
                    .push_bind(item.kind.as_str())
                    .push_bind(item.word.as_str())
                    .push_bind(item.mode.as_str())
                    .push_bind(&item.group)
                    .push_bind(item.channel.as_str())
                    .push_bind(item.recipient.as_ref().map(ToString::to_string))
                    .push_bind(item.finding.map(|f| f.to_string()))
                    .push_bind(int(item.episode))
                    .push_bind(item.control.as_ref().map(AsRef::<str>::as_ref))
                    .push_bind(&item.reason)
                    .push_bind(Doc(&item.facts))
                    .push_bind(us(item.planned_at))
                    .push_bind(us(item.due_at));
            });
            q.push(" on conflict (key) do nothing");
            q.build().execute(c).await.map(|done| done.rows_affected())
        })?;
    }
    tx.wrote(added);
    Ok(added)
}

/// The groups of which something is due, most overdue first, each with everything in it that waits. In a
/// transaction that writes they are this worker's until its end, and another worker waits for them.
pub async fn due(
    tx: &mut Tx,
    mode: Mode,
    now: DateTime<Utc>,
    groups: u32,
) -> Result<Vec<Vec<Item>>> {
    let for_update = tx.for_update();
    let raw: Vec<Raw> = on!(tx, c => {
        let mut q = QueryBuilder::new(
            "select * from item where batch is null and dropped_at is null and mode = ",
        );
        q.push_bind(mode.as_str());
        q.push(
            " and group_key in (select group_key from item where batch is null and dropped_at is null and mode = ",
        );
        q.push_bind(mode.as_str());
        q.push(" group by group_key having min(due_at) <= ").push_bind(us(now));
        q.push(" order by min(due_at), group_key limit ").push_bind(i64::from(groups));
        q.push(") order by group_key, planned_at, key").push(for_update);
        q.build_query_as().fetch_all(c).await
    })?;
    let mut found: Vec<Vec<Item>> = Vec::new();
    for item in read_all(raw)? {
        match found.last_mut() {
            Some(group) if group.first().is_some_and(|i| i.group == item.group) => group.push(item),
            _ => found.push(vec![item]),
        }
    }
    found.sort_by_key(|group| group.iter().map(|i| i.due_at).min());
    Ok(found)
}

/// Everything of one mode that waits for one recipient on one channel, oldest first; this worker's until
/// the end of a transaction that writes.
pub async fn waiting(
    tx: &mut Tx,
    mode: Mode,
    channel: &ChannelId,
    whom: &Principal,
) -> Result<Vec<Item>> {
    let for_update = tx.for_update();
    let raw = on!(tx, c => {
        let mut q = QueryBuilder::new("select * from item where batch is null and dropped_at is null and mode = ");
        q.push_bind(mode.as_str());
        q.push(" and channel = ").push_bind(channel.as_str());
        q.push(" and recipient = ").push_bind(whom.to_string());
        q.push(" order by planned_at, key").push(for_update);
        q.build_query_as().fetch_all(c).await
    })?;
    read_all(raw)
}

/// For whom something of one mode waits, and on which channel.
pub async fn recipients(tx: &mut Tx, mode: Mode) -> Result<Vec<(ChannelId, Principal)>> {
    let sql = "select distinct channel, recipient from item
        where batch is null and dropped_at is null and mode = $1 and recipient is not null order by channel, recipient";
    let rows: Vec<(String, String)> =
        on!(tx, c => sqlx::query_as(sql).bind(mode.as_str()).fetch_all(c).await)?;
    rows.into_iter()
        .map(|(channel, whom)| {
            let at = Place {
                table: "item",
                id: &channel,
            };
            let whom = recipient(Some(&whom), &at)?.ok_or_else(|| at.wrong("recipient"))?;
            Ok((channel.as_str().into(), whom))
        })
        .collect()
}

/// What a group was told so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Told {
    /// When its last message was sealed.
    pub last: Option<DateTime<Utc>>,
    /// How many items its messages held.
    pub items: u64,
}

/// What each of some groups was told so far; groups that were told nothing are left out.
pub async fn told(tx: &mut Tx, groups: &[String]) -> Result<BTreeMap<String, Told>> {
    let mut found = BTreeMap::new();
    for run in runs_of(groups) {
        let rows: Vec<(String, DateTime<Utc>, i64)> = on!(tx, c => {
            let mut q = QueryBuilder::new(
                "select i.group_key, max(b.sealed_at), count(*) from item i join batch b on b.id = i.batch \
                 where b.state in ('due', 'sent') and i.group_key in (",
            );
            let mut list = q.separated(", ");
            for group in run {
                list.push_bind(group);
            }
            q.push(") group by i.group_key order by i.group_key");
            q.build_query_as().fetch_all(c).await
        })?;
        for (group, last, items) in rows {
            let items = Place {
                table: "item",
                id: &group,
            }
            .count("count", items)?;
            found.insert(
                group,
                Told {
                    last: Some(last),
                    items,
                },
            );
        }
    }
    Ok(found)
}

/// Ends items that need not be sent any more, with the reason.
pub async fn leave_out(
    tx: &mut Tx,
    keys: &[String],
    because: &str,
    at: DateTime<Utc>,
) -> Result<()> {
    let mut changed = 0;
    for run in runs_of(keys) {
        changed += on!(tx, c => {
            let mut q = QueryBuilder::new("update item set dropped_at = ");
            q.push_bind(us(at)).push(", dropped_because = ").push_bind(because);
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
    match keys.len() as u64 {
        expected if expected == changed => Ok(()),
        expected => Err(Error::RowsAffected {
            what: "leave out items",
            expected,
            actual: changed,
        }),
    }
}

/// What became of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It waits.
    Waiting,
    /// It is part of that message.
    Sealed(NoticeId),
    /// It was left out, for that reason.
    LeftOut(String),
}

/// Everything that was ever owed about a finding, oldest first, and what became of it.
pub async fn fates(tx: &mut Tx, finding: FindingKey) -> Result<Vec<(Item, Fate)>> {
    let sql = "select * from item where finding = $1 order by planned_at, key";
    let raw: Vec<Raw> =
        on!(tx, c => sqlx::query_as(sql).bind(finding.to_string()).fetch_all(c).await)?;
    raw.into_iter()
        .map(|raw| {
            let fate = match (&raw.batch, &raw.dropped_because) {
                (Some(batch), _) => Fate::Sealed(batch.as_str().into()),
                (None, Some(because)) => Fate::LeftOut(because.clone()),
                (None, None) => Fate::Waiting,
            };
            Ok((raw.read()?, fate))
        })
        .collect()
}

/// Everything that was ever owed about a finding, oldest first.
pub async fn of_finding(tx: &mut Tx, finding: FindingKey) -> Result<Vec<Item>> {
    Ok(fates(tx, finding)
        .await?
        .into_iter()
        .map(|(item, _)| item)
        .collect())
}

/// The items of a message, oldest first.
pub async fn of_batch(tx: &mut Tx, batch: &NoticeId) -> Result<Vec<Item>> {
    let sql = "select * from item where batch = $1 order by planned_at, key";
    read_all(on!(tx, c => sqlx::query_as(sql).bind(batch.as_str()).fetch_all(c).await)?)
}
