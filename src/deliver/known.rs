//! What is known right before telling: how the findings stand, who was told that they began, and whether
//! the reader can be reached.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Context, beginnings};
use crate::{
    model::{
        finding::Finding,
        id::{ChannelId, FindingKey, PersonId},
        notice::{Delivery, Item},
        people::{Directory, Principal},
        remark::Mute,
    },
    notify::{
        bundle::is_good,
        email::Recipient,
        net::{self, Dropped, Known, Verdict},
    },
    store::{self, Tx, findings, mutes, outbox},
};

/// How long an address that was refused is left alone before it is tried again.
pub(super) const PROBE: TimeDelta = TimeDelta::hours(12);

/// How long an item waits for the message that says what it ends.
const SOON: TimeDelta = TimeDelta::seconds(30);

/// How long a muted item rests before it is looked at again: a mute that is lifted early is noticed by then.
const REST: TimeDelta = TimeDelta::minutes(5);

/// Items, sorted by what becomes of them.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    /// Worth telling now.
    pub(super) tell: Vec<Item>,
    /// To be looked at again at that instant.
    pub(super) wait: Vec<(String, DateTime<Utc>)>,
    /// No longer worth telling.
    pub(super) drop: Vec<(String, Dropped)>,
}

/// Looks at items of one reader on one channel once more. Openings come first, so that an end whose
/// beginning is left out here is left out too.
pub(super) async fn sort(
    tx: &mut Tx,
    cx: &Context,
    directory: &Directory,
    items: Vec<Item>,
    now: DateTime<Utc>,
) -> Result<Sorted, store::Error> {
    let mut sorted = Sorted::default();
    let Some(first) = items.first() else {
        return Ok(sorted);
    };
    let (channel, whom) = (first.channel.clone(), first.recipient.clone());
    if let Some(until) = probe_at(tx, &channel, whom.as_ref(), now).await? {
        sorted.wait = items.into_iter().map(|i| (i.key, until)).collect();
        return Ok(sorted);
    }
    let keys: Vec<FindingKey> = items.iter().filter_map(|i| i.finding).collect();
    let findings = findings::of_keys(tx, &keys).await?;
    let mut began = began(tx, &keys, (&channel, whom.as_ref())).await?;
    let mutes = mutes::in_force(tx, now).await?;
    let medium = cx.channels.get(&channel).map(super::Channel::medium);
    let reachable = whom
        .as_ref()
        .is_none_or(|w| address(directory, w).is_some());
    let (endings, openings): (Vec<Item>, Vec<Item>) =
        items.into_iter().partition(|i| is_good(i.word));
    for item in openings.into_iter().chain(endings) {
        let episode = item.finding.map(|f| (f, item.episode));
        let known = Known {
            finding: item.finding.and_then(|f| findings.get(&f)),
            began: episode.and_then(|e| began.get(&e).copied()),
            medium,
            reachable,
        };
        match net::verdict(&item, &known) {
            Verdict::Tell => match muted_until(&mutes, &item, known.finding, now) {
                Some(until) => sorted.wait.push((item.key, until.min(now + REST))),
                None => sorted.tell.push(item),
            },
            Verdict::Wait => sorted.wait.push((item.key, now + SOON)),
            Verdict::Drop(why) => {
                // An opening that waited and is left out was never told.
                if let (false, Some(episode)) = (is_good(item.word), episode)
                    && began.get(&episode) == Some(&Delivery::Due)
                {
                    began.remove(&episode);
                }
                sorted.drop.push((item.key, why));
            }
        }
    }
    let (tell, superseded) = net::supersede(std::mem::take(&mut sorted.tell));
    sorted.tell = tell;
    sorted.drop.extend(superseded);
    Ok(sorted)
}

/// Until when nobody is to hear of it. What is over is told all the same.
fn muted_until(
    mutes: &[Mute],
    item: &Item,
    finding: Option<&Finding>,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let finding = finding.filter(|_| !is_good(item.word))?;
    let holds = |m: &&Mute| m.holds(&finding.control, &finding.subject, now);
    mutes.iter().filter(holds).map(|m| m.until).max()
}

/// What became of the newest message that told this reader that an episode began.
async fn began(
    tx: &mut Tx,
    keys: &[FindingKey],
    (channel, whom): (&ChannelId, Option<&Principal>),
) -> Result<BTreeMap<(FindingKey, u32), Delivery>, store::Error> {
    let mut began = BTreeMap::new();
    for one in outbox::beginnings(tx, keys, &beginnings()).await? {
        if one.channel == *channel && one.recipient.as_ref() == whom {
            let state = one.state.unwrap_or(Delivery::Due);
            let kept = began.entry((one.finding, one.episode)).or_insert(state);
            // Who heard it once has heard it.
            if *kept != Delivery::Sent {
                *kept = state;
            }
        }
    }
    Ok(began)
}

/// Whether the items of a message that was put together earlier are all beside the point by now.
pub(super) fn is_idle(items: &[Item], findings: &BTreeMap<FindingKey, Finding>) -> Option<Dropped> {
    let mut why = None;
    for item in items {
        let finding = item.finding.and_then(|f| findings.get(&f))?;
        if is_good(item.word) {
            return None;
        }
        let known = Known {
            finding: Some(finding),
            began: None,
            // Only the standing of the finding is asked for here.
            medium: Some(crate::notify::options::Medium::Mail),
            reachable: true,
        };
        match net::verdict(item, &known) {
            Verdict::Drop(dropped) => why = Some(dropped),
            Verdict::Tell | Verdict::Wait => return None,
        }
    }
    why
}

/// Until when an address that was refused is left alone; nothing when it may be used, or tried again.
async fn probe_at(
    tx: &mut Tx,
    channel: &ChannelId,
    whom: Option<&Principal>,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, store::Error> {
    let name = name_of(whom);
    if !outbox::is_bad(tx, channel, &name).await? {
        return Ok(None);
    }
    let bad = outbox::bad_addresses(tx).await?;
    let since = bad
        .into_iter()
        .find(|b| b.channel == *channel && b.recipient == name)
        .map_or(now, |b| b.since);
    let until = since + PROBE;
    Ok((now < until).then_some(until))
}

/// A reader as the list of refused addresses knows them; the channel itself when it has no readers.
pub(super) fn name_of(whom: Option<&Principal>) -> String {
    whom.map_or_else(String::new, ToString::to_string)
}

/// Where mail for a reader goes.
pub(super) fn address(directory: &Directory, whom: &Principal) -> Option<Recipient> {
    match whom {
        Principal::Person(id) => person(directory, id),
        Principal::Team(id) => directory.team(id).and_then(|t| {
            Some(Recipient {
                name: Some(t.id.value.clone()),
                address: t.email.as_ref()?.value.clone(),
            })
        }),
    }
}

fn person(directory: &Directory, id: &PersonId) -> Option<Recipient> {
    directory.person(id).map(|p| Recipient {
        name: Some(p.name.clone()),
        address: p.email.value.clone(),
    })
}
