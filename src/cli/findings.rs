//! `tripline findings`: what deviates, the worst first.

use std::process::ExitCode;

use chrono::{DateTime, Utc};
use clap::{Args as Arguments, Subcommand};
use serde_json::{Map, Value, json};

use super::{
    open::Opened,
    out::{Format, Out, column},
    remark,
};
use crate::{
    catalog::Catalog,
    finding::{Due, due},
    model::{
        finding::{Finding, Status},
        id::{ControlId, SubjectId},
        policy::Severity,
    },
    store::{Page, findings},
};

/// Findings, the worst first: open ones, unless asked otherwise.
#[derive(Debug, Clone, Arguments)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    /// What to do; without it, they are listed.
    #[command(subcommand)]
    what: Option<What>,
    /// Which to list.
    #[command(flatten)]
    which: Which,
}

/// What to do with findings.
#[derive(Debug, Clone, Subcommand)]
pub enum What {
    /// List them.
    List(Which),
    /// Say that a result is wrong: a fault of the control or of its evidence. Who answers for the control is told.
    Wrong(remark::Wrong),
}

/// Which findings.
#[derive(Debug, Clone, Arguments)]
pub struct Which {
    /// Only of this control (may be given more than once).
    #[arg(long, value_name = "ID")]
    control: Vec<String>,
    /// Only on this subject.
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<String>,
    /// Only as bad as this (may be given more than once).
    #[arg(long, value_name = "SEVERITY")]
    severity: Vec<Severity>,
    /// Only those that stand here; `clear`, `suspect`, `open`, `clearing`, `flapping`, `resolved`, `retired`.
    #[arg(long, value_name = "STATUS")]
    status: Vec<Status>,
    /// Those that are resolved, retired or clear too.
    #[arg(long)]
    all: bool,
    /// At most so many.
    #[arg(long, value_name = "N", default_value_t = 200)]
    limit: u32,
}

/// Prints the findings that the arguments ask for.
///
/// # Errors
/// When the store cannot be read.
pub(super) async fn run(args: Args, opened: &Opened, out: &mut Out) -> anyhow::Result<ExitCode> {
    match args.what.unwrap_or(What::List(args.which)) {
        What::List(which) => list(which, opened, out).await,
        What::Wrong(wrong) => remark::wrong(&wrong, opened, out).await,
    }
}

async fn list(args: Which, opened: &Opened, out: &mut Out) -> anyhow::Result<ExitCode> {
    let filter = findings::Filter {
        open: !args.all && args.status.is_empty(),
        status: args.status,
        severity: args.severity,
        controls: args.control.iter().map(ControlId::new).collect(),
        subject: args.subject.map(SubjectId::from),
        ..findings::Filter::default()
    };
    let now = opened.now();
    let mut tx = opened.store().read().await?;
    let found = findings::list(
        &mut tx,
        &filter,
        findings::Order::Worst,
        Page::first(args.limit),
    )
    .await?;
    let total = findings::count(&mut tx, &filter).await?;
    let columns = [
        column("id", "FINDING"),
        column("severity", "SEVERITY"),
        column("state", "STATE"),
        column("control", "CONTROL"),
        column("subject", "SUBJECT"),
        column("owners", "OWNERS"),
        column("since", "SINCE"),
        column("due", "DUE"),
    ];
    out.list(
        &columns,
        found.iter().map(|f| row(f, &opened.set.catalog, now)),
    )?;
    if out.format() == Format::Table && total > found.len() as u64 {
        let more = total - found.len() as u64;
        out.line(format!("and {more} more: --limit {total} shows all"))?;
    }
    if out.format() == Format::Table && found.is_empty() {
        out.line("Nothing deviates. `tripline runs` shows what was checked, `--all` what is not confirmed or over.")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A finding as a program reads it.
pub(super) fn row(finding: &Finding, catalog: &Catalog, now: DateTime<Utc>) -> Map<String, Value> {
    let state = &finding.state;
    let control = catalog.controls.get(&finding.control);
    let due = control.and_then(|c| match due(c, finding, now) {
        Due::NotOpen => None,
        Due::Until(at) => Some(format!("by {}", at.date_naive())),
        Due::Overdue(at) => Some(format!("overdue since {}", at.date_naive())),
    });
    let fields = json!({
        "id": finding.key.short(),
        "key": finding.key,
        "severity": finding.severity,
        "state": word(finding),
        "status": state.status,
        "control": finding.control,
        "title": control.map(|c| &c.title),
        "subject": finding.subject,
        "owners": finding.owners,
        "since": state.opened_at.map(|at| at.format("%Y-%m-%d %H:%M").to_string()),
        "opened_at": state.opened_at,
        "due": due,
        "episode": state.episode,
        "first_seen": finding.first_seen,
        "changed_at": finding.changed_at,
        "resolved_at": state.resolved_at,
        "unverified_since": state.unverified_since,
        "covered_by": finding.covered_by,
        "rows": finding.rows,
    });
    match fields {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// Where a finding stands, in one word, with what is not known said beside it.
fn word(finding: &Finding) -> String {
    let status = finding.state.status.as_str();
    match finding.state.unverified_since {
        Some(_) => format!("{status}, not checked"),
        None => match &finding.covered_by {
            Some(id) => format!("{status}, silent by {id}"),
            None => status.to_owned(),
        },
    }
}
