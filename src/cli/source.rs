//! `tripline source`: what is read from, read now, and the word of a person on a collection that Tripline
//! would not believe by itself. A collection is recorded whichever way it went.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::{Args as Arguments, Subcommand};
use indicatif::ProgressBar;
use serde_json::{Map, Value, json};

use super::{
    CLEAN, NOT_CHECKED, USAGE, controls,
    named::{refuse, unambiguous},
    open::Opened,
    out::{Format, Ink, Out, column},
    remark::By,
    runs::object,
};
use crate::{
    catalog::{connector::Kind, source::Source},
    collect::snapshot_of,
    connector::{Progress, http::tape::Tape},
    evidence::{arrow, row},
    model::{
        id::{DatasetName, SourceId},
        snapshot::Snapshot,
        table::Table,
    },
    remark,
    store::{
        Found, Tx,
        snapshots::{self, Accepted, Newest},
    },
};

/// Rows that are shown of each dataset.
const FIRST: usize = 3;

/// Characters that are shown of a row.
const WIDTH: usize = 240;

/// Sources: list them, read one now, or accept a collection that looked wrong.
#[derive(Debug, Clone, Arguments)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    what: What,
}

/// What to do with sources.
#[derive(Debug, Clone, Subcommand)]
pub enum What {
    /// Sources with their datasets and how each was collected last.
    List,
    /// Read a source now: rows, types, nulls, pages, completeness and time of each dataset.
    Test(Test),
    /// Take a suspect collection for complete: the change that it shows is real.
    Accept(Accept),
}

/// Which source to read now.
#[derive(Debug, Clone, Arguments)]
pub struct Test {
    /// The source, as `tripline.yaml` names it.
    source: String,
    /// Only this dataset (may be given more than once).
    #[arg(long, value_name = "NAME")]
    dataset: Vec<String>,
    /// Keep every answer of an HTTP source in this folder, without headers that we sent and without secrets.
    #[arg(long, value_name = "FOLDER", conflicts_with = "replay")]
    record: Option<PathBuf>,
    /// Read the answers from such a folder in place of the source; nothing is recorded as evidence.
    #[arg(long, value_name = "FOLDER")]
    replay: Option<PathBuf>,
}

/// Which collection is believed, and on whose word.
#[derive(Debug, Clone, Arguments)]
pub struct Accept {
    /// The snapshot, or enough of its name, or `source.dataset` for its newest.
    snapshot: String,
    #[command(flatten)]
    by: By,
}

/// Does what the arguments say.
///
/// # Errors
/// When the store or the evidence cannot be read or written.
pub(super) async fn run(args: &Args, opened: &Opened, out: &mut Out) -> anyhow::Result<ExitCode> {
    match &args.what {
        What::List => controls::sources(opened, out).await,
        What::Test(args) => test(args, opened, out).await,
        What::Accept(args) => accept(args, opened, out).await,
    }
}

/// Reads a source and shows what came. Exit code 0 when everything is whole, 3 when something is not.
///
/// # Errors
/// When nothing can be recorded.
pub(super) async fn test(args: &Test, opened: &Opened, out: &mut Out) -> anyhow::Result<ExitCode> {
    let sources = &opened.set.catalog.sources;
    let Some(source) = sources.get(&SourceId::new(&args.source)) else {
        let known = sources.keys().map(SourceId::as_str);
        return refuse(USAGE, unknown("source", &args.source, known));
    };
    let readable = source.connector.datasets.iter().filter(|d| !d.is_view());
    let readable: Vec<&str> = readable.map(|d| d.name.as_str()).collect();
    if let Some(name) = args
        .dataset
        .iter()
        .find(|d| !readable.contains(&d.as_str()))
    {
        return refuse(USAGE, unknown("dataset", name, readable.into_iter()));
    }
    let tape = match (&args.record, &args.replay) {
        (Some(folder), _) => Tape::Record(folder.clone()),
        (None, Some(folder)) => Tape::Replay(folder.clone()),
        (None, None) => Tape::Off,
    };
    if tape != Tape::Off && !matches!(source.connector.kind, Kind::Http(_)) {
        let said = format!(
            "`{}` is not read over HTTP; only the answers of HTTP sources can be recorded and replayed",
            source.id
        );
        return refuse(USAGE, said);
    }
    let bar = Bar::new();
    let collector = &opened.cx.collector;
    let told: Option<&dyn Progress> = Some(&bar);
    let collections = collector.read(source, &args.dataset, (&tape, told)).await;
    bar.0.finish_and_clear();
    let tables: Vec<Option<Table>> = collections.iter().map(|c| c.table.clone()).collect();
    let snapshots: Vec<Snapshot> = if matches!(tape, Tape::Replay(_)) {
        let shown = |c| snapshot_of(c, source, opened.now());
        collections.iter().map(shown).collect()
    } else {
        collector.keep(source, collections).await?
    };
    let mut rows = Vec::new();
    for (snapshot, table) in snapshots.iter().zip(&tables) {
        let columns = table.as_ref().map(columns).unwrap_or_default();
        if out.format() == Format::Table {
            say(snapshot, columns, out)?;
            first(table.as_ref(), out)?;
        } else {
            rows.push(fields(source, snapshot, &columns));
        }
    }
    if out.format() != Format::Table {
        let titles = [
            "dataset", "status", "unknown", "reason", "rows", "pages", "requests", "bytes",
            "took_ms",
        ];
        out.list(&titles.map(|key| column(key, key)), rows)?;
    }
    let whole = snapshots.iter().all(|s| s.status.is_whole());
    Ok(ExitCode::from(if whole { CLEAN } else { NOT_CHECKED }))
}

fn unknown<'a>(noun: &str, name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.collect();
    format!("there is no {noun} `{name}`; known: {}", known.join(", "))
}

/// Rows so far, for a person who waits.
struct Bar(ProgressBar);

impl Bar {
    fn new() -> Self {
        if !Out::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new_spinner();
        bar.enable_steady_tick(std::time::Duration::from_millis(200));
        Self(bar)
    }
}

impl Progress for Bar {
    fn rows(&self, dataset: &str, rows: u64) {
        self.0.set_message(format!("{dataset}: {rows} rows"));
    }
}

/// What came of one dataset, as a program reads it.
fn fields(
    source: &Source,
    snapshot: &Snapshot,
    columns: &[Map<String, Value>],
) -> Map<String, Value> {
    let mut fields = object(json!(snapshot));
    fields.extend(object(json!(snapshot.effort)));
    fields.remove("effort");
    fields.insert("connector".to_owned(), json!(source.connector.id));
    fields.insert("took_ms".to_owned(), json!(took(snapshot)));
    fields.insert("columns".to_owned(), json!(columns));
    fields
}

fn took(snapshot: &Snapshot) -> i64 {
    (snapshot.ended_at - snapshot.started_at).num_milliseconds()
}

/// Says what came of one dataset.
fn say(snapshot: &Snapshot, columns: Vec<Map<String, Value>>, out: &mut Out) -> anyhow::Result<()> {
    let ink = if snapshot.status.is_whole() {
        Ink::Good
    } else {
        Ink::Bad
    };
    let status = out.ink(ink, snapshot.status.as_str());
    let effort = &snapshot.effort;
    out.line(format!(
        "{}: {status}, {} rows, {} pages, {} requests, {} bytes, {} ms",
        snapshot.dataset,
        snapshot.rows,
        effort.pages,
        effort.requests,
        effort.bytes,
        took(snapshot)
    ))?;
    if let Some(reason) = &snapshot.reason {
        let word = snapshot.unknown.map_or("", |unknown| unknown.as_str());
        out.line(format!("  {word}: {}", reason.escape_debug()))?;
    }
    if effort.gone + effort.duplicates > 0 {
        let (gone, twice) = (effort.gone, effort.duplicates);
        out.line(format!(
            "  {gone} rows vanished while it was read, {twice} came twice"
        ))?;
    }
    if !columns.is_empty() {
        let titles = [
            column("column", "COLUMN"),
            column("type", "TYPE"),
            column("key", "KEY"),
            column("nulls", "NULLS"),
        ];
        out.list(&titles, columns)?;
    }
    out.line("")?;
    Ok(())
}

/// The first rows, one line each, as a program would read them.
fn first(table: Option<&Table>, out: &mut Out) -> anyhow::Result<()> {
    let Some(table) = table.filter(|t| t.rows() > 0) else {
        return Ok(());
    };
    let batch = arrow::to_batch(table).context("the rows cannot be shown")?;
    out.line("First rows:")?;
    for n in 0..table.rows().min(FIRST) {
        let row = json!(row::row(&batch, n)).to_string();
        let short: String = row.chars().take(WIDTH).collect();
        let more = if short.len() < row.len() { "…" } else { "" };
        out.line(format!("  {short}{more}"))?;
    }
    out.line("")?;
    Ok(())
}

/// Each column with its type and how often it holds nothing.
fn columns(table: &Table) -> Vec<Map<String, Value>> {
    let defs = table.schema.columns.iter().zip(&table.columns);
    defs.map(|(def, values)| {
        let key = table.schema.key.contains(&def.name);
        object(json!({
            "column": def.name,
            "type": def.ty.as_str(),
            "key": if key { "key" } else { "" },
            "nulls": values.nulls(),
        }))
    })
    .collect()
}

async fn accept(args: &Accept, opened: &Opened, out: &mut Out) -> anyhow::Result<ExitCode> {
    let by = match args.by.person(opened) {
        Ok(by) => by,
        Err(said) => return refuse(USAGE, said),
    };
    let found = meant(&mut opened.store().read().await?, &args.snapshot).await?;
    let name = ("snapshot", args.snapshot.as_str());
    let snapshot = match unambiguous(found, name, "tripline source list --format json") {
        Ok(snapshot) => snapshot,
        Err(said) => return refuse(USAGE, said),
    };
    match remark::accept(&opened.cx, args.by.speaker(&by), &snapshot.id).await? {
        Accepted::Done(accepted) => {
            match out.format() {
                Format::Table => out.line(format!(
                    "{} of `{}` counts as complete: {} rows, accepted by {by}. Controls that read it say so at their next run.",
                    accepted.id, accepted.dataset, accepted.rows
                ))?,
                _ => out.json(&json!(accepted))?,
            }
            Ok(ExitCode::from(CLEAN))
        }
        Accepted::NotSuspect(status) => refuse(
            USAGE,
            format!(
                "{} is {status}; only a suspect collection can be accepted",
                snapshot.id
            ),
        ),
        Accepted::Unknown => refuse(USAGE, format!("{} is gone", snapshot.id)),
    }
}

/// The snapshot that is meant by a name of its own, or by that of its dataset.
async fn meant(tx: &mut Tx, name: &str) -> anyhow::Result<Found<Snapshot>> {
    let Some((source, dataset)) = name.split_once('.') else {
        return Ok(snapshots::named(tx, name).await?);
    };
    let name = DatasetName::new(source, dataset);
    let newest = snapshots::newest(tx, &name, Newest::ANY).await?;
    Ok(newest.map_or(Found::Nothing, Found::One))
}
