//! `tripline notices`: every message with what became of it, one with all it says, and a second chance for
//! one that was given up. Sends nothing itself: what is revived goes out with the next delivery.

use std::process::ExitCode;

use clap::{Args as Arguments, Subcommand};
use serde_json::{Map, Value, json};

use super::{
    CLEAN, USAGE,
    named::{refuse, unambiguous},
    open::Opened,
    out::{Format, Ink, Out, column},
    runs::object,
};
use crate::{
    model::{
        id::ChannelId,
        notice::{Batch, Delivery, Item},
    },
    store::{Page, outbox},
};

/// Messages with what became of each, the newest first.
#[derive(Debug, Clone, Arguments)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    /// What to do; without it, they are listed.
    #[command(subcommand)]
    what: Option<What>,
    /// Which to list.
    #[command(flatten)]
    list: Which,
}

/// What to do with notices.
#[derive(Debug, Clone, Subcommand)]
pub enum What {
    /// List them, the newest first.
    List(Which),
    /// Print one with what it says and why it was owed.
    Show {
        /// The notice, or enough of its name.
        id: String,
    },
    /// Send one again that was given up: it goes out with the next delivery, under the same id.
    Retry {
        /// The notice, or enough of its name.
        id: String,
    },
}

/// Which notices.
#[derive(Debug, Clone, Arguments)]
pub struct Which {
    /// Only with that fate: `due`, `sent`, `dropped` or `dead`.
    #[arg(long, value_name = "STATE")]
    state: Option<Delivery>,
    /// Only over this channel.
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<String>,
    /// Only for this person or team: an id, an address, or `person:ID` and `team:ID`.
    #[arg(long, value_name = "NAME")]
    recipient: Option<String>,
    /// At most so many.
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u32,
}

/// Does what the arguments say.
///
/// # Errors
/// When the store cannot be read or written.
pub(super) async fn run(args: Args, opened: &Opened, out: &mut Out) -> anyhow::Result<ExitCode> {
    match args.what.unwrap_or(What::List(args.list)) {
        What::List(which) => list(which, opened, out).await,
        What::Show { id } => show(&id, opened, out).await,
        What::Retry { id } => retry(&id, opened, out).await,
    }
}

async fn list(which: Which, opened: &Opened, out: &mut Out) -> anyhow::Result<ExitCode> {
    let recipient = match &which.recipient {
        None => None,
        Some(name) => match opened.set.catalog.directory.find(name) {
            Some(whom) => Some(whom),
            None => {
                return refuse(
                    USAGE,
                    format!("nobody in `tripline.yaml` is called `{name}`"),
                );
            }
        },
    };
    let filter = outbox::Filter {
        state: which.state,
        channel: which.channel.map(ChannelId::from),
        recipient,
        since: None,
    };
    let mut tx = opened.store().read().await?;
    let found = outbox::list(&mut tx, &filter, Page::first(which.limit)).await?;
    let columns = [
        column("id", "NOTICE"),
        column("state", "STATE"),
        column("channel", "CHANNEL"),
        column("recipient", "RECIPIENT"),
        column("mode", "AS"),
        column("items", "ITEMS"),
        column("sealed", "WRITTEN"),
        column("attempts", "ATTEMPTS"),
        column("last_error", "WHY NOT"),
    ];
    out.list(&columns, found.iter().map(row))?;
    if out.format() == Format::Table {
        if found.is_empty() {
            out.line("No notices. What waits to be written is counted at `/metrics`.")?;
        } else if found.iter().any(|batch| batch.state == Delivery::Dead) {
            out.line("`tripline notices retry NOTICE` sends again what was given up.")?;
        }
    }
    Ok(ExitCode::from(CLEAN))
}

/// A notice as a program reads it, without what it says.
fn row(batch: &Batch) -> Map<String, Value> {
    object(json!({
        "id": batch.id,
        "state": batch.state,
        "channel": batch.channel,
        "recipient": batch.recipient.as_ref().map(ToString::to_string),
        "mode": batch.mode,
        "items": batch.items.len(),
        "sealed": batch.sealed_at.format("%Y-%m-%d %H:%M").to_string(),
        "sealed_at": batch.sealed_at,
        "due_at": batch.due_at,
        "attempts": batch.attempts,
        "ambiguous": batch.ambiguous,
        "last_error": batch.last_error,
    }))
}

async fn show(name: &str, opened: &Opened, out: &mut Out) -> anyhow::Result<ExitCode> {
    let mut tx = opened.store().read().await?;
    let found = outbox::named(&mut tx, name).await?;
    let batch = match unambiguous(found, ("notice", name), "tripline notices") {
        Ok(batch) => batch,
        Err(said) => return refuse(USAGE, said),
    };
    let items = outbox::of_batch(&mut tx, &batch.id).await?;
    if out.format() == Format::Table {
        for line in lines(&batch, &items, out) {
            out.line(line)?;
        }
    } else {
        let mut fields = row(&batch);
        fields.insert("items".to_owned(), json!(items));
        fields.insert("message".to_owned(), batch.message);
        out.json(&Value::Object(fields))?;
    }
    Ok(ExitCode::from(CLEAN))
}

/// A notice as a person reads it.
fn lines(batch: &Batch, items: &[Item], out: &Out) -> Vec<String> {
    let ink = match batch.state {
        Delivery::Sent => Ink::Good,
        Delivery::Dead => Ink::Bad,
        Delivery::Due | Delivery::Dropped => Ink::Warn,
    };
    let whom = batch
        .recipient
        .as_ref()
        .map_or_else(String::new, |whom| format!(" to {whom}"));
    let mut lines = vec![
        format!("{}  {}", batch.id, out.ink(ink, batch.state.as_str())),
        format!(
            "{} over {}{whom}, written {}, {} attempts, {} of them without an answer",
            batch.mode,
            batch.channel,
            batch.sealed_at.format("%Y-%m-%d %H:%M:%S"),
            batch.attempts,
            batch.ambiguous
        ),
    ];
    if let Some(error) = &batch.last_error {
        lines.push(format!("said at last: {}", error.escape_debug()));
    }
    lines.push(String::new());
    for item in items {
        let control = item.control.as_ref().map_or("-", |id| id.as_str());
        let finding = item
            .finding
            .map_or_else(|| "-".to_owned(), |key| key.short());
        let word = item.word.title();
        lines.push(format!("{word}  {finding}  {control}  ({})", item.reason));
    }
    lines.push(String::new());
    lines.push(format!("{:#}", batch.message));
    lines
}

async fn retry(name: &str, opened: &Opened, out: &mut Out) -> anyhow::Result<ExitCode> {
    let mut tx = opened.store().begin().await?;
    let found = outbox::named(&mut tx, name).await?;
    let batch = match unambiguous(found, ("notice", name), "tripline notices") {
        Ok(batch) => batch,
        Err(said) => return refuse(USAGE, said),
    };
    if !outbox::revive(&mut tx, &batch.id, opened.now()).await? {
        let said = format!(
            "{} is {}, and only what was given up (`dead`) is sent again",
            batch.id, batch.state
        );
        return refuse(USAGE, said);
    }
    tx.commit().await?;
    let next = "it goes out with the next delivery: `tripline serve`, or `tripline check` now";
    match out.format() {
        Format::Table => out.line(format!("{} is due again; {next}.", batch.id))?,
        _ => out.json(&json!({ "id": batch.id, "state": Delivery::Due }))?,
    }
    Ok(ExitCode::from(CLEAN))
}
