//! `tripline runs` and `tripline ticks`: what was checked, and what became of every due time.

use std::process::ExitCode;

use clap::Args as Arguments;
use serde_json::{Map, Value, json};

use super::{
    open::Opened,
    out::{Out, column},
};
use crate::{
    model::{id::ControlId, run::Run},
    store::{Page, runs, ticks},
};

/// Runs, the newest first.
#[derive(Debug, Clone, Arguments)]
pub struct Args {
    /// Only of this control.
    #[arg(long, value_name = "ID")]
    control: Option<String>,
    /// Only runs that could not check anything.
    #[arg(long)]
    not_checked: bool,
    /// Every due time of the control in place of its runs: ran, skipped, missed, with the reason.
    #[arg(long, requires = "control")]
    ticks: bool,
    /// At most so many.
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u32,
}

/// Prints the runs that the arguments ask for.
///
/// # Errors
/// When the store cannot be read.
pub(super) async fn run(args: Args, opened: &Opened, out: &mut Out) -> anyhow::Result<ExitCode> {
    let control = args.control.map(ControlId::from);
    let mut tx = opened.store().read().await?;
    if let (true, Some(control)) = (args.ticks, &control) {
        let columns = [
            column("scheduled_for", "DUE"),
            column("cause", "CAUSE"),
            column("state", "STATE"),
            column("reason", "REASON"),
        ];
        let found = ticks::of_control(&mut tx, control, Page::first(args.limit)).await?;
        out.list(&columns, found.iter().map(|t| object(json!(t))))?;
        return Ok(ExitCode::SUCCESS);
    }
    let filter = runs::Filter {
        control,
        not_checked: args.not_checked.then_some(true),
        ..runs::Filter::default()
    };
    let found = runs::list(&mut tx, &filter, Page::first(args.limit)).await?;
    let columns = [
        column("id", "RUN"),
        column("control", "CONTROL"),
        column("at", "AT"),
        column("cause", "CAUSE"),
        column("population", "SUBJECTS"),
        column("pass", "PASS"),
        column("fail", "FAIL"),
        column("unknown", "UNKNOWN"),
        column("not_checked", "NOT CHECKED"),
    ];
    out.list(&columns, found.iter().map(row))?;
    Ok(ExitCode::SUCCESS)
}

/// A run as a program reads it.
fn row(run: &Run) -> Map<String, Value> {
    let mut fields = object(json!(run));
    let counts = json!(run.counts);
    fields.remove("counts");
    fields.extend(object(counts));
    fields.insert(
        "at".to_owned(),
        json!(run.instant.format("%Y-%m-%d %H:%M:%S").to_string()),
    );
    fields
}

/// The fields of a JSON object.
pub(super) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => [("value".to_owned(), other)].into_iter().collect(),
    }
}
