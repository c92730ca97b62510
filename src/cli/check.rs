//! `tripline check`: one pass of everything that is due, or of one control now, and whoever is owed a word is
//! told. What `tripline serve` does all day, once.

use std::{collections::BTreeMap, process::ExitCode, time::Duration};

use chrono::{DateTime, Utc};
use clap::Args as Arguments;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::{
    CLEAN, INTERNAL, NOT_CHECKED, OPEN, USAGE,
    open::Opened,
    out::{Format, Ink, Out, column, counted},
    rehearse,
    runs::object,
};
use crate::{
    daemon::{
        absent::{self, Absent, When},
        chores,
        signing::Signer,
        wire,
        work::{self, Ended},
    },
    deliver,
    model::{id::ControlId, policy::Severity},
    register,
    report::trend::send::quarterly,
    review,
    run::Summary,
    schedule::plan::Planner,
    store::findings,
};

/// Run what is due now, or one control whether it is due or not, and tell whoever is owed a word.
#[derive(Debug, Clone, Arguments)]
pub struct Args {
    /// Only this control, now.
    #[arg(long, value_name = "ID")]
    control: Option<String>,
    /// Live at this instant (`2026-11-20T08:00:00Z`): what is due, how old evidence is, what mails say. Outside a
    /// rehearsal only with `--dry-run` or `--subject`, and then on stored evidence.
    #[arg(long, value_name = "TIME")]
    pub(super) as_of: Option<DateTime<Utc>>,
    /// Say what a pass would find, change and tell, and do none of it; sources are read all the same.
    #[arg(long)]
    dry_run: bool,
    /// Say what the controls make of this one subject now (`aws/secret/ledger-key`), as a dry run.
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<String>,
    /// Controls whose files are gone are gone for good: let go of their findings now. Without it they are let go of
    /// when they were away for an hour, and not at all when it is too much to believe.
    #[arg(long, conflicts_with_all = ["dry_run", "subject"])]
    let_go: bool,
    /// End with exit code 1 only for open findings of this severity or worse.
    #[arg(long, value_name = "SEVERITY", default_value = "low")]
    fail_on: Severity,
}

impl Args {
    /// Whether it is a pass, and not only the question what a pass would do.
    pub(super) const fn acts(&self) -> bool {
        !self.dry_run && self.subject.is_none()
    }
}

/// Does one pass.
///
/// # Errors
/// When the store cannot be reached.
pub(super) async fn run(args: &Args, opened: &Opened, out: &mut Out) -> anyhow::Result<ExitCode> {
    let only = args.control.as_deref().map(ControlId::new);
    if let Some(id) = &only
        && !opened.set.catalog.controls.contains_key(id)
    {
        let said = format!("error: there is no control `{id}`; `tripline controls` lists them");
        Out::stderr().line(said)?;
        return Ok(ExitCode::from(USAGE));
    }
    if let Some(subject) = &args.subject {
        return rehearse::subject(opened, only.as_ref(), subject, out).await;
    }
    if args.dry_run {
        return rehearse::all(opened, only.as_ref(), out).await;
    }
    let signer = Signer::open(opened.store(), &opened.config).await?;
    let when = if args.let_go { When::Meant } else { When::Load };
    if let Some(doubt) = doubted(opened, when).await? {
        let said = format!("error: {doubt}\n{}", absent::WAY_OUT);
        Out::stderr().line(said)?;
        return Ok(ExitCode::from(USAGE));
    }
    chores::adopt(&opened.cx, &opened.set, when).await?;
    let first = register::sweep(&opened.cx, &opened.set).await?;
    let bar = bar(opened, only.is_some());
    let ended = match &only {
        Some(id) => one(opened, id).await?,
        None => due(opened, &bar).await?,
    };
    // What time and the files do to exceptions: also what happened while nobody was there.
    let last = register::sweep(&opened.cx, &opened.set).await?;
    review::turn(&opened.cx, &opened.set).await?;
    let site = opened.config.notify.site(&opened.config.organisation);
    quarterly(&opened.cx, &opened.set, &site).await?;
    bar.finish_and_clear();
    let delivery = wire::delivery(&opened.cx, &opened.config)?;
    let told = deliver::once(&delivery, &opened.set).await?;
    signer.sign(&opened.cx).await?;

    let all = open(opened, only.as_ref(), Severity::Low).await?;
    let grave = open(opened, only.as_ref(), args.fail_on).await?;
    say(&ended, all, out)?;
    if out.format() == Format::Table && told != deliver::Summary::default() {
        out.line(said(&told))?;
    }
    let refused: BTreeMap<_, _> = first.refused.into_iter().chain(last.refused).collect();
    for (id, why) in &refused {
        Out::stderr().line(format!("warning: {id} was left as it is: {why}"))?;
    }
    Ok(ExitCode::from(verdict(&ended, refused.len(), grave)))
}

/// Why the files are not believed.
async fn doubted(opened: &Opened, when: When) -> anyhow::Result<Option<String>> {
    if when == When::Meant {
        return Ok(None);
    }
    let absent = Absent::of(&mut opened.store().read().await?, &opened.set).await?;
    Ok(absent.doubt())
}

/// Runs everything that is due.
async fn due(opened: &Opened, bar: &ProgressBar) -> anyhow::Result<Vec<Ended>> {
    let cx = &opened.cx;
    let now = opened.now();
    let mut planner = Planner::load(&cx.store, &opened.set.catalog.controls, now).await?;
    planner.plan(&cx.store, now).await?;
    let width = opened.config.limits.runs.max(1);
    let seen = |_: &Ended| bar.inc(1);
    Ok(work::all(cx, &opened.set, (width, &work::holder()), &seen).await?)
}

/// Runs one control.
async fn one(opened: &Opened, id: &ControlId) -> anyhow::Result<Vec<Ended>> {
    let ended = work::asked(&opened.cx, &opened.set, id, &work::holder()).await?;
    ended.map_or_else(
        || anyhow::bail!("another worker runs `{id}` at this moment; try again when it is done"),
        |ended| Ok(vec![ended]),
    )
}

/// Shown to a person when it takes longer than two seconds.
fn bar(opened: &Opened, single: bool) -> ProgressBar {
    if !Out::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let total = if single {
        1
    } else {
        opened.set.catalog.controls.len() as u64
    };
    let bar = ProgressBar::new(total);
    let style =
        ProgressStyle::with_template("{spinner} {pos} of at most {len} controls, {elapsed}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// How many open findings of that severity or worse nothing covers.
async fn open(opened: &Opened, only: Option<&ControlId>, least: Severity) -> anyhow::Result<u64> {
    let mut tx = opened.store().read().await?;
    let tally = findings::tally(&mut tx).await?;
    let open = tally
        .iter()
        .filter(|t| t.status.is_open() && !t.covered && t.severity >= least)
        .filter(|t| only.is_none_or(|id| t.control == *id));
    Ok(open.map(|t| t.findings).sum())
}

fn verdict(ended: &[Ended], refused: usize, open: u64) -> u8 {
    let failed = |e: &Ended| matches!(e, Ended::Failed(..));
    let blind = |e: &Ended| matches!(e, Ended::Ran(s) if s.run.not_checked.is_some());
    if ended.iter().any(failed) {
        INTERNAL
    } else if ended.iter().any(blind) || refused > 0 {
        NOT_CHECKED
    } else if open > 0 {
        OPEN
    } else if ran(ended).any(|s| s.run.counts.unknown > 0) {
        NOT_CHECKED
    } else {
        CLEAN
    }
}

fn ran(ended: &[Ended]) -> impl Iterator<Item = &Summary> {
    ended.iter().filter_map(|e| match e {
        Ended::Ran(summary) => Some(summary.as_ref()),
        _ => None,
    })
}

fn say(ended: &[Ended], open: u64, out: &mut Out) -> anyhow::Result<()> {
    let rows = ended.iter().map(|ended| {
        let row = match ended {
            Ended::Ran(summary) => {
                let run = &summary.run;
                json!({
                    "control": run.control,
                    "checked": run.not_checked.map_or("yes", |why| why.as_str()),
                    "subjects": run.counts.population,
                    "pass": run.counts.pass,
                    "fail": run.counts.fail,
                    "unknown": run.counts.unknown,
                    "changed": summary.moved,
                    "recheck": summary.recheck,
                    "detail": run.detail,
                    "run": run.id,
                })
            }
            Ended::Skipped(control, why) => json!({ "control": control, "checked": "skipped", "detail": why }),
            Ended::Failed(control, error) => {
                json!({ "control": control, "checked": "failed", "detail": error.said() })
            }
            Ended::Lost(control) => {
                json!({ "control": control, "checked": "lost", "detail": "another worker took it over" })
            }
        };
        object(row)
    });
    let columns = [
        column("control", "CONTROL"),
        column("checked", "CHECKED"),
        column("subjects", "SUBJECTS"),
        column("pass", "PASS"),
        column("fail", "FAIL"),
        column("unknown", "UNKNOWN"),
        column("changed", "CHANGED"),
        column("detail", "WHY NOT"),
    ];
    if !ended.is_empty() || out.format() != Format::Table {
        out.list(&columns, rows)?;
    }
    if out.format() != Format::Table {
        return Ok(());
    }
    if ended.is_empty() {
        out.line("Nothing was due. `tripline check --control ID` runs a control all the same.")?;
    }
    let unknown: u64 = ran(ended).map(|s| s.run.counts.unknown).sum();
    let sentence = if open == 0 {
        let waits: u64 = ran(ended).map(|s| s.suspect).sum();
        let mut parts = Vec::new();
        if waits > 0 {
            let wait = if waits == 1 { "waits" } else { "wait" };
            parts.push(format!("{waits} {wait} for a second look"));
        }
        if unknown > 0 {
            parts.push(format!("{unknown} unknown"));
        }
        if parts.is_empty() {
            out.ink(Ink::Good, "No open findings.")
        } else {
            let said = format!("No open findings yet: {}.", parts.join(", "));
            out.ink(Ink::Warn, &said)
        }
    } else {
        let open = out.ink(Ink::Bad, &counted(open, "open finding"));
        format!("{open}: `tripline findings` lists them.")
    };
    out.line(sentence)?;
    let again = ended.iter().filter_map(|e| match e {
        Ended::Ran(summary) => summary.recheck,
        _ => None,
    });
    if let Some(at) = again.max() {
        out.line(format!(
            "Something failed for the first time: it is read anew and looked at again at {} before anybody is told.",
            at.format("%H:%M:%S UTC")
        ))?;
    }
    Ok(())
}

/// What was told, in one line.
fn said(told: &deliver::Summary) -> String {
    let mut parts = vec![format!("{} sent", counted(told.sent, "message"))];
    if told.failed > 0 {
        parts.push(format!("{} not accepted yet", told.failed));
    }
    if told.dead > 0 {
        parts.push(format!("{} given up", told.dead));
    }
    format!("{}.", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_checked_outweighs_what_is_open() {
        assert_eq!(verdict(&[], 0, 0), CLEAN);
        assert_eq!(verdict(&[], 0, 2), OPEN);
        // An exception that could not be moved was not looked after.
        assert_eq!(verdict(&[], 1, 2), NOT_CHECKED);
        let lost = Ended::Lost(ControlId::new("a"));
        assert_eq!(verdict(&[lost], 0, 0), CLEAN);
    }
}
