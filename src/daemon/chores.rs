//! What must be done besides running controls: what came into force is recorded, old evidence goes, and whoever watches us hears that we live. Each chore may fail without harm; it is done again at its next
//! turn.

use std::time::Duration;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use secrecy::ExposeSecret as _;

use super::absent::{self, When};
use crate::{
    audit::leaf::{self, Event, Fact, Leaf, Life, What},
    config::file::{Address, Ping},
    connector,
    evidence::{self, Archive, retention},
    model::id::Sha,
    run::{Context, Set},
    store::{self, Page, Tx, audit, definitions, meta, snapshots},
};

/// How long runs, ticks and delivered notices are kept for people; what proves them is in the log for ever.
const HISTORY_DAYS: i64 = 400;

/// Records that the daemon began or stopped; on a start also since when nobody was there.
///
/// # Errors
/// The store cannot be written.
pub async fn life(cx: &Context, event: Event) -> Result<(), store::Error> {
    let now = cx.clock.now();
    let mut tx = cx.store.begin().await?;
    let mut leaves = Vec::new();
    let life = |event, since| {
        let program = env!("CARGO_PKG_VERSION").to_owned();
        Leaf::new(
            now,
            Fact::Life(Life {
                event,
                program,
                since,
            }),
        )
    };
    if event == Event::Start
        && let Some(alive) = meta::get(&mut tx, meta::HEARTBEAT).await?
        && let Ok(since) = alive.parse::<DateTime<Utc>>()
    {
        leaves.push(life(Event::Gap, Some(since)));
    }
    leaves.push(life(event, None));
    beat(&mut tx, now).await?;
    audit::append(&mut tx, &leaves).await?;
    tx.commit().await
}

/// Notes that the daemon lives.
///
/// # Errors
/// The store cannot be written.
pub async fn alive(cx: &Context) -> Result<(), store::Error> {
    let mut tx = cx.store.begin().await?;
    beat(&mut tx, cx.clock.now()).await?;
    tx.commit().await
}

async fn beat(tx: &mut Tx, now: DateTime<Utc>) -> Result<(), store::Error> {
    meta::set(tx, meta::HEARTBEAT, &now.to_rfc3339()).await
}

/// What a load brought.
#[derive(Debug, Default)]
pub struct Adopted {
    /// How many definitions are new.
    pub new: usize,
    /// Why the absence of controls is not believed, in a sentence.
    pub doubted: Option<String>,
}

/// Records which definitions came into force since the last load, and since when controls are away. What belongs to
/// those that were away for long enough is let go; at once, when that is meant.
///
/// # Errors
/// The store cannot be written.
pub async fn adopt(cx: &Context, set: &Set, when: When) -> Result<Adopted, store::Error> {
    let now = cx.clock.now();
    let mut tx = cx.store.begin().await?;
    let mut leaves = Vec::new();
    keep(&mut tx, set, now).await?;
    for (what, id, version, digest) in in_force(set) {
        let key = format!("{what}:{id}");
        if meta::get(&mut tx, &key).await? == Some(digest.to_string()) {
            continue;
        }
        meta::set(&mut tx, &key, &digest.to_string()).await?;
        let fact = leaf::Definition {
            what,
            id,
            version,
            digest,
        };
        leaves.push(Leaf::new(now, Fact::Definition(fact)));
    }
    let new = leaves.len();
    let settled = absent::settle(&mut tx, set, (when, now)).await?;
    leaves.extend(settled.leaves);
    audit::append(&mut tx, &leaves).await?;
    tx.commit().await?;
    for control in settled.missed {
        let until = now + absent::GRACE;
        tracing::warn!(%control, %until, "is not loaded any more: its findings stay as they are until then");
    }
    Ok(Adopted {
        new,
        doubted: settled.doubted,
    })
}

/// Keeps what judges in each control, so that its runs can be replayed when its file has changed.
async fn keep(tx: &mut Tx, set: &Set, now: DateTime<Utc>) -> Result<(), store::Error> {
    for (id, definition) in &set.catalog.definitions {
        let digest = definition.digest();
        if definitions::get(tx, digest).await?.is_none() {
            let one = definitions::Definition {
                kind: definitions::Kind::Control,
                name: id.to_string(),
                body: serde_json::json!(definition),
                first_seen: now,
            };
            definitions::put(tx, &one).await?;
        }
    }
    Ok(())
}

fn in_force(set: &Set) -> Vec<(What, String, Option<u32>, Sha)> {
    let catalog = &set.catalog;
    let whole = (What::Config, "tripline".to_owned(), None, catalog.digest);
    let controls = catalog
        .controls
        .values()
        .map(|c| (What::Control, c.id.to_string(), None, c.definition));
    let policies = catalog.policies.values().map(|p| {
        let digest = serde_json::to_value(p.as_ref()).map_or(Sha::of([]), |v| Sha::of_json(&v));
        (What::Policy, p.id.to_string(), Some(p.version), digest)
    });
    std::iter::once(whole)
        .chain(controls)
        .chain(policies)
        .collect()
}

/// Lets go of snapshots, runs, ticks and notices that nothing needs any more. Gives how many snapshots went.
///
/// # Errors
/// The store or the evidence cannot be written.
pub async fn retain(
    cx: &Context,
    archive: &Archive,
    options: &evidence::Options,
) -> anyhow::Result<usize> {
    let now = cx.clock.now();
    let mut tx = cx.store.begin().await?;
    let all = snapshots::list(&mut tx, &snapshots::Filter::default(), Page::ALL).await?;
    let references = retention::References {
        findings: store::retention::under_open_findings(&mut tx).await?,
        exceptions: store::retention::under_exceptions(&mut tx).await?,
    };
    let rule = retention::Rule {
        keep: options.0.keep,
        keep_last: usize::try_from(options.0.keep_last).unwrap_or(usize::MAX),
    };
    let decision = retention::decide(&all, &references, rule, now);
    let expired: Vec<_> = decision
        .verdicts
        .into_iter()
        .filter_map(|(id, verdict)| (!verdict.stays()).then_some(id))
        .collect();
    let orphans = store::retention::forget_snapshots(&mut tx, &expired).await?;
    let before = now - chrono::TimeDelta::days(HISTORY_DAYS);
    store::retention::forget_runs(&mut tx, before).await?;
    store::retention::forget_ticks(&mut tx, before).await?;
    store::retention::forget_notices(&mut tx, before).await?;
    tx.commit().await?;
    for object in orphans {
        archive.remove(object).await?;
    }
    Ok(expired.len())
}

/// Knocks at the address that waits for us.
///
/// # Errors
/// The address is not known or did not answer with success; the message never names it.
pub async fn ping(ping: &Ping) -> anyhow::Result<()> {
    let url = match &ping.url {
        Address::Url(url) => url.to_string(),
        Address::Secret(secret) => secret.read()?.expose_secret().to_owned(),
    };
    connector::tls::provider();
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(10))
        .build()
        .map_err(reqwest::Error::without_url)?;
    let answer = client.get(url).send().await;
    answer
        .and_then(reqwest::Response::error_for_status)
        .map_err(reqwest::Error::without_url)
        .context("the dead-man's switch could not be reached")?;
    Ok(())
}
