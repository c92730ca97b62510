//! `tripline source`: what is read from, read now, and the word of a person on a collection that Tripline
//! would not believe by itself. A collection is recorded whichever way it went.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args as Arguments, Subcommand};
use indicatif::ProgressBar;
use serde_json::{Map, Value, json};

use super::{
    CLEAN, NOT_CHECKED, USAGE, controls,
    named::{refuse, unambiguous},
    open::Opened,
    out::{Format, Ink, Out, column},
    runs::object,
};
use crate::{
    audit::leaf::Leaf,
    catalog::source::Source,
    connector::Progress,
    model::{
        id::{DatasetName, SourceId},
        people::Principal,
        snapshot::Snapshot,
        table::Table,
    },
    store::{
        self, Found, Tx,
        snapshots::{self, Acceptance, Accepted, Newest},
    },
};

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
}

/// Which collection is believed, and on whose word.
#[derive(Debug, Clone, Arguments)]
pub struct Accept {
    /// The snapshot, or enough of its name, or `source.dataset` for its newest.
    snapshot: String,
    /// Who says so: a person of `tripline.yaml`.
    #[arg(long, value_name = "PERSON")]
    by: String,
    /// Why it is believed.
    #[arg(long, value_name = "TEXT")]
    because: String,
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
    let bar = Bar::new();
    let told: Option<&dyn Progress> = Some(&bar);
    let snapshots = opened
        .cx
        .collector
        .collect(source, &args.dataset, told)
        .await;
    bar.0.finish_and_clear();
    let snapshots = snapshots?;
    let mut rows = Vec::new();
    for snapshot in &snapshots {
        let table = match snapshot.object {
            Some(object) => {
                let read = opened.archive.read(object).await;
                Some(read.context("what was just recorded cannot be read")?)
            }
            None => None,
        };
        let columns = table.as_ref().map(columns).unwrap_or_default();
        if out.format() == Format::Table {
            say(snapshot, columns, out)?;
        } else {
            rows.push(row(source, snapshot, &columns));
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
fn row(source: &Source, snapshot: &Snapshot, columns: &[Map<String, Value>]) -> Map<String, Value> {
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
    let Some(Principal::Person(by)) = opened.set.catalog.directory.find(&args.by) else {
        let said = format!("`{}` is no person of `tripline.yaml`", args.by);
        return refuse(USAGE, said);
    };
    if args.because.trim().is_empty() {
        return refuse(
            USAGE,
            "say why with `--because`: it stays beside the evidence",
        );
    }
    let mut tx = opened.store().begin().await?;
    let found = meant(&mut tx, &args.snapshot).await?;
    let name = ("snapshot", args.snapshot.as_str());
    let snapshot = match unambiguous(found, name, "tripline source list --format json") {
        Ok(snapshot) => snapshot,
        Err(said) => return refuse(USAGE, said),
    };
    let acceptance = Acceptance {
        by: &by,
        because: args.because.trim(),
        at: opened.now(),
    };
    match snapshots::accept(&mut tx, &snapshot.id, &acceptance).await? {
        Accepted::Done(accepted) => {
            // The evidence counts from now on, and the log says since when.
            let leaf = Leaf {
                at: opened.now(),
                ..Leaf::of_snapshot(&accepted)
            };
            store::audit::append(&mut tx, &[leaf]).await?;
            tx.commit().await?;
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
