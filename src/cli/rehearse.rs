//! `tripline check --dry-run` and `--subject`: what a pass would find, change and tell, and why, with nothing
//! done. Sources are read and their snapshots kept, so that a rehearsal sees what a run would see.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::{
    CLEAN, NOT_CHECKED, OPEN, USAGE,
    open::Opened,
    out::{Format, Ink, Out, column, counted},
    runs::object,
};
use crate::{
    model::{
        control::{Control, Part},
        finding::Change,
        id::{ControlId, SubjectId},
        notice::Item,
        outcome::Outcome,
    },
    notify::text,
    run::{Decided, rehearse},
};

/// Changes that are listed one by one for people.
const SHOWN: usize = 20;

/// The controls that were asked for.
fn controls<'o>(opened: &'o Opened, only: Option<&ControlId>) -> impl Iterator<Item = &'o Control> {
    let controls = opened.set.catalog.controls.values();
    let only = only.cloned();
    controls
        .filter(move |c| only.as_ref().is_none_or(|id| c.id == *id))
        .map(AsRef::as_ref)
}

/// What a pass over the controls would do.
///
/// # Errors
/// When the store or the evidence cannot be read.
pub(super) async fn all(
    opened: &Opened,
    only: Option<&ControlId>,
    out: &mut Out,
) -> anyhow::Result<ExitCode> {
    let mut decided = Vec::new();
    for control in controls(opened, only) {
        decided.push(rehearse(&opened.cx, &opened.set, control, &[]).await?);
    }
    let columns = [
        column("control", "CONTROL"),
        column("subjects", "SUBJECTS"),
        column("pass", "PASS"),
        column("fail", "FAIL"),
        column("unknown", "UNKNOWN"),
        column("moved", "WOULD CHANGE"),
        column("owed", "WOULD TELL"),
        column("detail", "WHY NOT"),
    ];
    out.list(&columns, decided.iter().map(row))?;
    if out.format() == Format::Table {
        for one in &decided {
            people(one, out)?;
        }
        out.line("A dry run: nothing was changed, and nobody was told.")?;
    }
    Ok(ExitCode::from(verdict(&decided)))
}

fn row(one: &Decided) -> serde_json::Map<String, Value> {
    let run = &one.run;
    object(json!({
        "control": run.control,
        "subjects": run.counts.population,
        "pass": run.counts.pass,
        "fail": run.counts.fail,
        "unknown": run.counts.unknown,
        "moved": one.moved(),
        "owed": one.plan.items.len(),
        "detail": run.detail,
        "changes": moves(one).map(change).collect::<Vec<_>>(),
        "notices": one.plan.items.iter().map(notice).collect::<Vec<_>>(),
        "recheck": one.recheck,
    }))
}

/// Changes that move a finding or of which something is told.
fn moves(one: &Decided) -> impl Iterator<Item = &Change> {
    let moves = |c: &&Change| c.before != Some(c.finding.state.status) || c.effect.is_some();
    one.changes.iter().filter(moves)
}

fn change(change: &Change) -> Value {
    json!({
        "subject": change.finding.subject,
        "before": change.before,
        "after": change.finding.state.status,
        "reason": change.reason,
        "effect": change.effect,
    })
}

fn notice(item: &Item) -> Value {
    json!({
        "word": item.word,
        "channel": item.channel,
        "recipient": item.recipient.as_ref().map(ToString::to_string),
        "mode": item.mode,
        "reason": item.reason,
    })
}

fn people(one: &Decided, out: &mut Out) -> anyhow::Result<()> {
    let moves: Vec<&Change> = moves(one).collect();
    for change in moves.iter().take(SHOWN) {
        let before = change.before.map_or("-", |b| b.as_str());
        out.line(format!(
            "{}: {} would go from {before} to {} ({}).",
            one.run.control,
            text::line(change.finding.subject.as_str()),
            change.finding.state.status,
            change.reason
        ))?;
    }
    if moves.len() > SHOWN {
        out.line(format!(
            "{}: and {} more; `--format json` has them all.",
            one.run.control,
            moves.len() - SHOWN
        ))?;
    }
    Ok(())
}

fn verdict(decided: &[Decided]) -> u8 {
    if decided.iter().any(|d| d.run.not_checked.is_some()) {
        NOT_CHECKED
    } else if decided.iter().any(|d| d.run.counts.fail > 0) {
        OPEN
    } else {
        CLEAN
    }
}

/// What each control makes of one subject.
///
/// # Errors
/// When the store or the evidence cannot be read.
pub(super) async fn subject(
    opened: &Opened,
    only: Option<&ControlId>,
    name: &str,
    out: &mut Out,
) -> anyhow::Result<ExitCode> {
    let subject = SubjectId::from(name);
    let able: Vec<&Control> = controls(opened, only).filter(|c| names(c, name)).collect();
    if able.is_empty() {
        Out::stderr().line(format!(
            "error: no control looks at subjects like `{name}`; they are written `source/kind/name`, and `tripline \
             findings --all` and `tripline query` show some"
        ))?;
        return Ok(ExitCode::from(USAGE));
    }
    let mut rows = Vec::new();
    let mut decided = Vec::new();
    for control in able {
        let one = rehearse(
            &opened.cx,
            &opened.set,
            control,
            std::slice::from_ref(&subject),
        )
        .await?;
        rows.push(object(of_subject(&one, &subject)));
        decided.push(one);
    }
    let columns = [
        column("control", "CONTROL"),
        column("outcome", "OUTCOME"),
        column("finding", "FINDING"),
        column("because", "BECAUSE"),
    ];
    let outcome = |word: &str| rows.iter().any(|r| r.get("outcome") == Some(&json!(word)));
    let code = if outcome("fail") {
        OPEN
    } else if outcome("unknown") {
        NOT_CHECKED
    } else {
        CLEAN
    };
    let looked = decided.len() as u64;
    out.list(&columns, rows)?;
    if out.format() == Format::Table {
        let said = format!(
            "{} looked at {name}. A dry run: nothing was changed.",
            counted(looked, "control")
        );
        let said = out.ink(if code == CLEAN { Ink::Good } else { Ink::Bad }, &said);
        out.line(said)?;
    }
    Ok(ExitCode::from(code))
}

/// Whether the control could name such a subject: the text before its first column is how the name begins.
fn names(control: &Control, subject: &str) -> bool {
    match control.subject.parts.first() {
        Some(Part::Literal(text)) => subject.starts_with(text.as_str()),
        _ => false,
    }
}

fn of_subject(one: &Decided, subject: &SubjectId) -> Value {
    let observed = one
        .evaluation
        .observed
        .iter()
        .find(|o| o.subject == *subject);
    let absent = one.evaluation.absent.iter().find(|(s, _)| s == subject);
    let finding = one.changes.iter().find(|c| c.finding.subject == *subject);
    let (outcome, because) = match (observed.map(|o| o.outcome), &one.evaluation.not_checked) {
        (Some(Outcome::Unknown(why)), _) => ("unknown", why.to_string()),
        (Some(outcome), None) => (outcome.as_str(), String::new()),
        (_, Some((_, said))) => ("unknown", said.clone()),
        (None, None) => (
            "absent",
            absent.map_or_else(String::new, |(_, presence)| presence.to_string()),
        ),
    };
    json!({
        "control": one.run.control,
        "outcome": outcome,
        "finding": finding.map(|c| c.finding.state.status),
        "because": because,
        "rows": observed.map(|o| &o.rows),
        "snapshots": one.run.evidence.iter().map(|u| &u.snapshot).collect::<Vec<_>>(),
    })
}
