//! From the outbox to people: what is owed is put together, looked at once more, and sent until the
//! receiver takes it or 72 hours are over. Everything that is sent and everything that is not has its
//! reason in the store, and every attempt its leaf in the log.

mod digests;
mod known;
mod seal;
mod send;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, Utc};

use crate::{
    clock::SharedClock,
    model::{
        id::{ChannelId, FindingKey},
        notice::Word,
        people::Principal,
    },
    notify::{
        self, alertmanager,
        bundle::{Entry, Site, is_good},
        channel::{Channel, Channels, Message},
        options::{AllQuiet, Options},
        templates::Templates,
    },
    register,
    run::Set,
    store::{self, Store, Tx, outbox},
    yaml::diagnostic::Diagnostic,
};

/// What every delivery needs.
#[derive(Debug)]
pub struct Context {
    /// Our database.
    pub store: Store,
    /// The time.
    pub clock: SharedClock,
    /// The ways out.
    pub channels: Channels,
    /// The frames of messages.
    pub templates: Templates,
    /// Where we are, for links and senders.
    pub site: Site,
    /// Whether a digest comes now and then although there is nothing to say.
    pub all_quiet: AllQuiet,
    /// Who works, for people who look at leases.
    pub holder: String,
    /// The newest period of each reader that was settled, so that a pass in which no digest is due asks
    /// the store nothing.
    settled: Mutex<BTreeMap<Principal, String>>,
    /// When what stands was last pushed to each Alertmanager.
    refreshed: Mutex<BTreeMap<ChannelId, DateTime<Utc>>>,
}

/// Why nothing could be delivered. What a receiver does wrong is not here: that is an attempt with its reason.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Our database.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The register cannot be read.
    #[error(transparent)]
    Register(#[from] register::Error),
    /// A channel cannot be prepared.
    #[error("channel `{0}`: {1}")]
    Channel(ChannelId, notify::error::Error),
    /// The user's own templates cannot be read.
    #[error("the templates cannot be read: {0}")]
    Templates(String),
}

/// What a pass did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Messages put together.
    pub sealed: u64,
    /// Items left out, because they were no longer worth telling.
    pub left_out: u64,
    /// Messages that a receiver took.
    pub sent: u64,
    /// Attempts that failed and are made again.
    pub failed: u64,
    /// Messages that were given up.
    pub dead: u64,
}

impl Context {
    /// Prepares every channel without opening one.
    ///
    /// # Errors
    /// A channel or a template cannot be used.
    pub fn new(
        (store, clock): (Store, SharedClock),
        options: &Options,
        organisation: &str,
        holder: String,
    ) -> Result<Self, Error> {
        let said = |all: Vec<Diagnostic>| {
            let all: Vec<String> = all.iter().map(ToString::to_string).collect();
            Error::Templates(all.join("; "))
        };
        Ok(Self {
            store,
            clock,
            channels: Channels::open(&options.channels).map_err(|(id, e)| Error::Channel(id, e))?,
            templates: Templates::load(options.notices.templates.as_deref()).map_err(said)?,
            site: options.site(organisation),
            all_quiet: options.notices.all_quiet,
            holder,
            settled: Mutex::default(),
            refreshed: Mutex::default(),
        })
    }
}

/// Tells everybody what they are owed by now.
///
/// # Errors
/// When the store cannot be read or written; what was not recorded is done again.
pub async fn once(cx: &Context, set: &Set) -> Result<Summary, Error> {
    let mut summary = Summary::default();
    seal::due(cx, set, &mut summary).await?;
    digests::due(cx, set, &mut summary).await?;
    send::due(cx, set, &mut summary).await?;
    refresh(cx).await?;
    Ok(summary)
}

/// Pushes what stands open to each Alertmanager again, before it would take our silence for its end.
async fn refresh(cx: &Context) -> Result<(), Error> {
    let now = cx.clock.now();
    for (id, channel) in cx.channels.iter() {
        let Channel::Alertmanager(receiver) = channel else {
            continue;
        };
        let is_due = {
            let mut refreshed = cx.refreshed.lock().unwrap_or_else(PoisonError::into_inner);
            let last = refreshed.get(id).copied();
            let due = last.is_none_or(|last| now - last >= receiver.refresh());
            if due {
                refreshed.insert(id.clone(), now);
            }
            due
        };
        if !is_due {
            continue;
        }
        let alerts = standing(cx, id).await?;
        if let (false, Err(error)) = (alerts.is_empty(), receiver.send(&alerts, now).await) {
            tracing::warn!(%error, channel = %id, "what stands open could not be pushed again");
        }
    }
    Ok(())
}

/// The alerts that a channel was given of findings that are open now, each as it was last given.
async fn standing(cx: &Context, channel: &ChannelId) -> Result<Vec<alertmanager::Alert>, Error> {
    let mut tx = cx.store.read().await?;
    let items = outbox::standing(&mut tx, channel, None, &beginnings()).await?;
    let open: BTreeSet<FindingKey> = items.iter().filter_map(|i| i.finding).collect();
    let mut alerts = Vec::new();
    for finding in open {
        alerts.extend(last_given(&mut tx, channel, finding).await?);
    }
    Ok(alerts)
}

/// The alert of one finding out of the newest message that told of it on this channel.
async fn last_given(
    tx: &mut Tx,
    channel: &ChannelId,
    finding: FindingKey,
) -> Result<Option<alertmanager::Alert>, Error> {
    for (item, fate) in outbox::fates(tx, finding).await?.into_iter().rev() {
        let outbox::Fate::Sealed(batch) = fate else {
            continue;
        };
        if item.channel != *channel || is_good(item.word) {
            continue;
        }
        let Some(batch) = outbox::get(tx, &batch).await? else {
            continue;
        };
        let Ok(Message::Alerts(alerts)) = serde_json::from_value(batch.message) else {
            continue;
        };
        let subject = Entry::of(item).ok().and_then(|e| e.facts.subject);
        let of_subject = |a: &alertmanager::Alert| {
            a.alert.pointer("/labels/subject").and_then(|s| s.as_str()) == subject.as_deref()
        };
        return Ok(alerts.into_iter().find(of_subject));
    }
    Ok(None)
}

/// The words that say that something is open.
pub(crate) fn beginnings() -> Vec<Word> {
    Word::ALL.iter().copied().filter(|w| !is_good(*w)).collect()
}
