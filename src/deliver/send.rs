//! Messages on their way: claimed under a lease, tried, and recorded with a leaf. The id of a message is the
//! same in every attempt, so a receiver that took it without saying so can tell.

use chrono::{DateTime, Utc};
use futures::{StreamExt as _, stream};

use super::{Context, Error, Summary, known};
use crate::{
    audit::leaf::{self, Answer, Fact, Leaf, blind},
    crash,
    model::{
        notice::{Batch, Kind, Mode},
        span::Span,
    },
    notify::{
        channel::{Channel, Message},
        email::Recipient,
        error::Class,
        plan::{Operation, operation},
        retry::{self, Next},
    },
    run::Set,
    store::{self, Tx, audit, findings, lease::Claim, outbox, salts},
};

/// How long a worker may be silent before another takes its message; longer than any attempt may last.
const LEASE: Span = Span::secs(60);

/// Messages claimed at once, and sent side by side.
const WIDTH: u32 = 8;

/// What came of one message.
enum Came {
    Sent,
    Failed,
    Dead,
    Dropped,
    /// Another worker has it.
    Lost,
}

/// Sends everything that is due.
pub(super) async fn due(cx: &Context, set: &Set, summary: &mut Summary) -> Result<(), Error> {
    loop {
        let claim = Claim {
            now: cx.clock.now(),
            limit: WIDTH,
            lease: LEASE,
            holder: &cx.holder,
        };
        let mut tx = cx.store.begin().await?;
        let claimed = outbox::claim(&mut tx, &claim).await?;
        tx.commit().await?;
        if claimed.is_empty() {
            return Ok(());
        }
        crash::point("deliver.claimed");
        let mut sending = stream::iter(claimed)
            .map(|batch| one(cx, set, batch))
            .buffer_unordered(WIDTH as usize);
        while let Some(came) = sending.next().await {
            match came? {
                Came::Sent => summary.sent += 1,
                Came::Failed => summary.failed += 1,
                Came::Dead => summary.dead += 1,
                Came::Dropped => summary.left_out += 1,
                Came::Lost => {}
            }
        }
    }
}

async fn one(cx: &Context, set: &Set, batch: Batch) -> Result<Came, Error> {
    let directory = set.desk.directory();
    let to = batch.recipient.as_ref();
    let to = to.and_then(|whom| known::address(directory, whom));
    let channel = cx.channels.get(&batch.channel);
    if let Some(reason) = idle(cx, &batch).await? {
        let at = cx.clock.now();
        let attempt = outbox::Attempt::Dropped { at, reason };
        record(cx, set, &batch, &attempt, None).await?;
        return Ok(Came::Dropped);
    }
    let Some(channel) = channel else {
        let at = cx.clock.now();
        let reason = "channel_removed".to_owned();
        let attempt = outbox::Attempt::Dropped { at, reason };
        record(cx, set, &batch, &attempt, None).await?;
        return Ok(Came::Dropped);
    };
    // Whoever lost the message meanwhile must not send it a second time.
    let mut tx = cx.store.begin().await?;
    match outbox::renew(&mut tx, &batch, LEASE).await {
        Ok(()) => tx.commit().await?,
        Err(store::Error::LeaseLost { .. }) => return Ok(Came::Lost),
        Err(error) => return Err(error.into()),
    }
    let answer = attempt(channel, &batch, to.as_ref(), cx.clock.now()).await;
    crash::point("deliver.sent");
    let now = cx.clock.now();
    let (attempt, class) = judge(&batch, answer, now);
    record(cx, set, &batch, &attempt, class).await?;
    crash::point("deliver.recorded");
    Ok(match attempt {
        outbox::Attempt::Sent { .. } => Came::Sent,
        outbox::Attempt::Retry { .. } => Came::Failed,
        outbox::Attempt::Dead { .. } => Came::Dead,
        outbox::Attempt::Dropped { .. } => Came::Dropped,
    })
}

/// Why a message has nothing left to say. One whose receiver may have it goes on: its end must be told.
async fn idle(cx: &Context, batch: &Batch) -> Result<Option<String>, store::Error> {
    if batch.mode == Mode::Digest || batch.ambiguous > 0 {
        return Ok(None);
    }
    let mut tx = cx.store.read().await?;
    let items = outbox::of_batch(&mut tx, &batch.id).await?;
    let keys: Vec<_> = items.iter().filter_map(|i| i.finding).collect();
    let findings = findings::of_keys(&mut tx, &keys).await?;
    Ok(known::is_idle(&items, &findings).map(|why| why.as_str().to_owned()))
}

async fn attempt(
    channel: &Channel,
    batch: &Batch,
    to: Option<&Recipient>,
    now: DateTime<Utc>,
) -> crate::notify::error::Result<String> {
    let message: Message = serde_json::from_value(batch.message.clone())
        .map_err(|e| crate::notify::error::Error::Message(e.to_string()))?;
    channel.send(&batch.id, &message, to, now).await
}

/// What follows from an answer.
fn judge(
    batch: &Batch,
    answer: crate::notify::error::Result<String>,
    now: DateTime<Utc>,
) -> (outbox::Attempt, Option<Class>) {
    let Err(error) = answer else {
        return (outbox::Attempt::Sent { at: now }, None);
    };
    let class = error.class();
    let ambiguous = error.is_ambiguous();
    let next = if error.is_transient() {
        retry::next(&batch.id, batch.attempts + 1, error.retry_after())
    } else {
        Next::GiveUp
    };
    let error = error.to_string();
    let attempt = match next {
        Next::After(wait) => outbox::Attempt::Retry {
            due_at: now + wait,
            error,
            ambiguous,
        },
        Next::GiveUp => outbox::Attempt::Dead {
            at: now,
            error,
            ambiguous,
        },
    };
    (attempt, Some(class))
}

/// Records what came of an attempt, with its leaf, and what follows from it.
async fn record(
    cx: &Context,
    set: &Set,
    batch: &Batch,
    attempt: &outbox::Attempt,
    class: Option<Class>,
) -> Result<(), Error> {
    let mut tx = cx.store.begin().await?;
    match outbox::finish(&mut tx, batch, attempt).await {
        Err(store::Error::LeaseLost { .. }) => return Ok(()),
        done => done?,
    }
    let name = known::name_of(batch.recipient.as_ref());
    match attempt {
        outbox::Attempt::Sent { .. } => {
            outbox::mend(&mut tx, &batch.channel, &name).await?;
        }
        outbox::Attempt::Dead { at, error, .. } => {
            given_up(&mut tx, set, batch, (*at, error), class).await?;
        }
        outbox::Attempt::Retry { error, due_at, .. } => tracing::warn!(
            notice = %batch.id, channel = %batch.channel, %error, %due_at, attempt = batch.attempts + 1,
            "not accepted; it is tried again"
        ),
        outbox::Attempt::Dropped { reason, .. } => {
            tracing::info!(notice = %batch.id, channel = %batch.channel, reason, "left out");
        }
    }
    let leaf = leaf(&mut tx, batch, attempt, cx.clock.now()).await?;
    audit::append(&mut tx, &[leaf]).await?;
    tx.commit().await?;
    Ok(())
}

/// A message that was given up is told to those who look after Tripline, by another way; what Tripline says
/// of itself is not told again.
async fn given_up(
    tx: &mut Tx,
    set: &Set,
    batch: &Batch,
    (at, error): (DateTime<Utc>, &str),
    class: Option<Class>,
) -> Result<(), store::Error> {
    tracing::error!(notice = %batch.id, channel = %batch.channel, error, "given up");
    let recipient = known::name_of(batch.recipient.as_ref());
    if matches!(class, Some(Class::Gone | Class::BadAddress)) {
        let bad = outbox::BadAddress {
            channel: batch.channel.clone(),
            recipient: recipient.clone(),
            reason: error.to_owned(),
            since: at,
        };
        // One that is refused again is left alone anew.
        outbox::mend(tx, &batch.channel, &recipient).await?;
        outbox::mark_bad(tx, &bad).await?;
    }
    let items = outbox::of_batch(tx, &batch.id).await?;
    if items.iter().any(|i| i.kind == Kind::Operation) {
        return Ok(());
    }
    let whom = batch
        .recipient
        .as_ref()
        .map_or_else(String::new, |r| format!(" to {r}"));
    let about = Operation {
        subject: &format!("dead:{}", batch.id),
        title: "A notice was given up",
        sentence: &format!(
            "The notice {}{whom} over `{}` was given up after {} attempts: {error}. `tripline notices` shows it and \
             sends it again.",
            batch.id,
            batch.channel,
            batch.attempts + 1
        ),
        not_by: Some((&batch.channel, batch.recipient.as_ref())),
    };
    outbox::enqueue(tx, &operation(&set.desk, &about, at)).await?;
    Ok(())
}

async fn leaf(
    tx: &mut Tx,
    batch: &Batch,
    attempt: &outbox::Attempt,
    now: DateTime<Utc>,
) -> Result<Leaf, store::Error> {
    let recipient = match &batch.recipient {
        Some(whom) => {
            let name = whom.to_string();
            Some(blind(&salts::of(tx, &name).await?, &name))
        }
        None => None,
    };
    let salt = salts::of(tx, &format!("notice:{}", batch.id)).await?;
    let answer = match attempt {
        outbox::Attempt::Sent { .. } => Answer::Accepted,
        outbox::Attempt::Retry {
            ambiguous: true, ..
        } => Answer::Ambiguous,
        outbox::Attempt::Retry { .. } => Answer::Failed,
        outbox::Attempt::Dead { .. } => Answer::Dead,
        outbox::Attempt::Dropped { .. } => Answer::Dropped,
    };
    let fact = leaf::Attempt {
        notice: batch.id.clone(),
        channel: batch.channel.clone(),
        recipient,
        message: blind(&salt, &batch.message.to_string()),
        items: batch.items.len() as u64,
        attempt: batch.attempts + 1,
        answer,
    };
    Ok(Leaf::new(now, Fact::Notice(fact)))
}
