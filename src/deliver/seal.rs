//! Alerts: groups of which something is due are looked at once more and put together into messages, or wait
//! for others.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::{Context, Error, Summary, beginnings, known};
use crate::{
    crash,
    model::{
        notice::{Batch, Delivery, Item, Mode},
        span::Span,
    },
    notify::{
        bundle::{Bundle, is_good},
        channel::Frame,
        error,
        group::{self, History, When},
        net::Dropped,
    },
    run::Set,
    store::{self, Tx, outbox},
};

/// Groups that one transaction looks at.
const GROUPS: u32 = 20;

/// Puts together everything that goes out now.
pub(super) async fn due(cx: &Context, set: &Set, summary: &mut Summary) -> Result<(), Error> {
    loop {
        let now = cx.clock.now();
        let mut tx = cx.store.begin().await?;
        let groups = outbox::due(&mut tx, Mode::Alert, now, GROUPS).await?;
        if groups.is_empty() {
            return Ok(());
        }
        for items in groups {
            group(&mut tx, (cx, set), items, now, summary).await?;
        }
        tx.commit().await?;
        crash::point("deliver.sealed");
    }
}

async fn group(
    tx: &mut Tx,
    (cx, set): (&Context, &Set),
    items: Vec<Item>,
    now: DateTime<Utc>,
    summary: &mut Summary,
) -> Result<(), Error> {
    let directory = set.desk.directory();
    let sorted = known::sort(tx, cx, directory, items, now).await?;
    leave_out(tx, &sorted.drop, now, summary).await?;
    for (key, until) in &sorted.wait {
        outbox::defer(tx, std::slice::from_ref(key), *until).await?;
    }
    let Some(first) = sorted.tell.first() else {
        return Ok(());
    };
    let lately = outbox::lately(tx, std::slice::from_ref(&first.group), now - group::QUIET).await?;
    let history = lately.get(&first.group).map(|l| History {
        last: l.last,
        told: l.items,
        notices: l.messages,
    });
    match group::when(&sorted.tell, history.as_ref(), interval(first), now) {
        When::Later(until, _) => {
            let keys: Vec<String> = sorted.tell.into_iter().map(|i| i.key).collect();
            outbox::defer(tx, &keys, until).await?;
        }
        When::Now(_) => seal(tx, (cx, set), sorted.tell, now, summary).await?,
    }
    Ok(())
}

/// The group interval that the item was planned with.
fn interval(item: &Item) -> Span {
    let given = item.facts.get("group_interval").cloned();
    given
        .and_then(|v| serde_json::from_value(v).ok())
        .unwrap_or(Span::minutes(5))
}

async fn seal(
    tx: &mut Tx,
    (cx, set): (&Context, &Set),
    items: Vec<Item>,
    now: DateTime<Utc>,
    summary: &mut Summary,
) -> Result<(), Error> {
    let keys: Vec<String> = items.iter().map(|i| i.key.clone()).collect();
    let all_closed = all_closed(tx, &items).await?;
    match write((cx, set), items, all_closed, now) {
        Ok(batch) => {
            outbox::seal(tx, &[batch]).await?;
            summary.sealed += 1;
        }
        Err(error) => {
            // It would fail in the same way each time: told here, and kept with its reason.
            tracing::error!(%error, ?keys, "a message cannot be written");
            let why = format!("it cannot be written: {error}");
            outbox::leave_out(tx, &keys, &why, now).await?;
            summary.left_out += keys.len() as u64;
        }
    }
    Ok(())
}

fn write(
    (cx, set): (&Context, &Set),
    items: Vec<Item>,
    all_closed: bool,
    now: DateTime<Utc>,
) -> error::Result<Batch> {
    let bundle = Bundle::of(items, now)?;
    let Some(first) = bundle.first().map(|e| e.item.clone()) else {
        return Err(error::Error::Message("there is nothing to say".to_owned()));
    };
    let channel = cx
        .channels
        .get(&first.channel)
        .ok_or_else(|| error::Error::Message("the channel is not there".to_owned()))?;
    let control = first.control.as_ref().and_then(|c| set.catalog.control(c));
    let frame = Frame {
        site: &cx.site,
        templates: &cx.templates,
        interval: control.map_or(TimeDelta::minutes(5), |c| c.schedule.interval.to_delta()),
        all_closed,
    };
    Ok(Batch {
        id: bundle.id.clone(),
        channel: first.channel,
        recipient: first.recipient,
        mode: Mode::Alert,
        group: Some(first.group),
        items: bundle.entries.iter().map(|e| e.item.key.clone()).collect(),
        message: json!(channel.write(&bundle, &frame)?),
        attempts: 0,
        ambiguous: 0,
        due_at: now,
        sealed_at: now,
        state: Delivery::Due,
        last_error: None,
        fence: 0,
    })
}

/// Whether nothing that this reader was told of the control is open any longer.
async fn all_closed(tx: &mut Tx, items: &[Item]) -> Result<bool, store::Error> {
    let Some(first) = items.first() else {
        return Ok(true);
    };
    if !items.iter().all(|i| is_good(i.word)) {
        return Ok(false);
    }
    let words = beginnings();
    let open = outbox::standing(tx, &first.channel, first.recipient.as_ref(), &words).await?;
    Ok(!open.iter().any(|o| o.control == first.control))
}

/// Leaves items out, each with its reason.
pub(super) async fn leave_out(
    tx: &mut Tx,
    dropped: &[(String, Dropped)],
    now: DateTime<Utc>,
    summary: &mut Summary,
) -> Result<(), store::Error> {
    for (key, why) in dropped {
        outbox::leave_out(tx, std::slice::from_ref(key), why.as_str(), now).await?;
    }
    summary.left_out += dropped.len() as u64;
    Ok(())
}
