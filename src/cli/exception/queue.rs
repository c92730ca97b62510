//! What waits for whoever asks.

use std::process::ExitCode;

use serde_json::json;

use crate::{
    cli::{
        CLEAN,
        open::Opened,
        out::{Format, Out, column},
        runs::object,
    },
    model::id::PersonId,
    register,
};

/// What waits for somebody: decisions, words to give, things to look at again.
pub(super) async fn run(opened: &Opened, by: &PersonId, out: &mut Out) -> anyhow::Result<ExitCode> {
    let waits = register::queue(
        &mut opened.store().read().await?,
        &opened.set,
        by,
        opened.now(),
    )
    .await?;
    let columns = [
        column("id", "EXCEPTION"),
        column("what", "WHAT"),
        column("title", "TITLE"),
        column("due_at", "DUE"),
    ];
    let none = waits.is_empty();
    let rows = waits.iter().map(|w| {
        object(json!({ "id": w.exception, "what": w.what, "title": w.title, "due_at": w.due_at }))
    });
    out.list(&columns, rows)?;
    if out.format() == Format::Table && none {
        out.line("Nothing waits for you.")?;
    }
    Ok(ExitCode::from(CLEAN))
}
