//! Everything about one exception.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::{
    ask::asked,
    list::{doubted, row, why_open},
    named,
    package::bounds,
    refuse, standing,
};
use crate::{
    cli::{
        CLEAN, USAGE,
        open::Opened,
        out::{Format, Ink, Out},
    },
    exception::{
        coverage::Standing,
        record::Record,
        state::{Act, possible},
    },
    notify::text,
    register,
    store::{coverage, exceptions},
};

/// Says everything about one exception.
pub(super) async fn one(opened: &Opened, name: &str, out: &mut Out) -> anyhow::Result<ExitCode> {
    let record = match named(opened, name).await? {
        Ok(record) => record,
        Err(said) => return refuse(USAGE, said),
    };
    let now = opened.now();
    let mut tx = opened.store().read().await?;
    let events = exceptions::events(&mut tx, &record.id).await?;
    let covered = coverage::covered_by(&mut tx, &record.id).await?;
    let silent = covered.iter().filter(|c| c.closed_at.is_none()).count();
    let usage = register::usage(&mut tx, &record).await?;
    let doubt = doubted(&mut tx, std::slice::from_ref(&record), now)
        .await?
        .remove(&record.id);
    if out.format() != Format::Table {
        let events: Vec<Value> = events
            .iter()
            .map(|e| {
                json!({ "at": e.at, "actor": e.actor, "act": e.act, "before": e.before, "after": e.after, "reason": e.reason })
            })
            .collect();
        let covered: Vec<Value> = covered
            .iter()
            .map(|c| {
                json!({ "finding": c.finding, "opened_at": c.opened_at, "closed_at": c.closed_at, "because": c.closed_because })
            })
            .collect();
        out.json(&json!({
            "summary": row(&record, (silent, usage), now), "record": record, "stands": record.state_at(now),
            "possible": possible(record.state_at(now)), "history": events, "coverage": covered, "doubt": doubt,
        }))?;
        return Ok(ExitCode::from(CLEAN));
    }
    // What people wrote is somebody else's text: none of it may write over a terminal.
    let title = text::line(record.request.title.as_deref().unwrap_or_default());
    let head = out.ink(Ink::Bold, &format!("{}: {title}", record.id));
    out.line(head)?;
    out.line(format!(
        "{}. {}",
        standing(&record, now),
        why_open(&record, now)
    ))?;
    if let Some(why) = doubt {
        let said = out.ink(Ink::Bad, &format!("It covers nothing: {why}."));
        out.line(said)?;
    }
    terms(&record, out)?;
    heading("Decisions", out)?;
    if record.decisions.is_empty() {
        out.line("  none yet")?;
    }
    for d in &record.decisions {
        let why = d
            .reason
            .as_ref()
            .map_or_else(String::new, |r| format!(": {}", text::line(r)));
        let behalf = d
            .role
            .on_behalf_of
            .as_ref()
            .map_or_else(String::new, |p| format!(" in the place of {p}"));
        out.line(format!(
            "  {}  {}  {} as {}{behalf} in `{}`{}{why}",
            d.at.format("%Y-%m-%d %H:%M"),
            d.verdict,
            d.name,
            d.role.role,
            d.step,
            bounds(d)
        ))?;
    }
    heading("History", out)?;
    for e in &events {
        let why = e
            .reason
            .as_ref()
            .map_or_else(String::new, |r| format!("  {}", text::line(r)));
        out.line(format!(
            "  {}  {} -> {}  {} by {}{why}",
            e.at.format("%Y-%m-%d %H:%M"),
            e.before,
            e.after,
            e.act,
            e.actor
        ))?;
    }
    heading("Silent because of it", out)?;
    for c in &covered {
        let end = c.closed_at.map_or_else(
            || "still".to_owned(),
            |at| {
                format!(
                    "until {}: {}",
                    at.format("%Y-%m-%d %H:%M"),
                    text::line(c.closed_because.as_deref().unwrap_or_default())
                )
            },
        );
        let short: String = c.finding.chars().take(12).collect();
        out.line(format!(
            "  fnd-{short}  from {}  {end}",
            c.opened_at.format("%Y-%m-%d %H:%M")
        ))?;
    }
    if covered.is_empty() {
        out.line("  nothing yet")?;
    }
    if let Some(question) = &record.question {
        heading("What it asks of the policy", out)?;
        out.line(match &question.answer {
            None => format!(
                "  since {}; whoever leads the policy answers with `tripline exception answer {}`",
                question.at.format("%Y-%m-%d"),
                record.id
            ),
            Some(answer) => format!(
                "  {} answered on {}: {}",
                answer.by,
                answer.at.format("%Y-%m-%d"),
                answer.said
            ),
        })?;
    }
    let may: Vec<&str> = possible(record.state_at(now))
        .iter()
        .filter(|act| permits(&record, **act))
        .map(|a| a.as_str())
        .collect();
    out.line(format!(
        "\nWhat may be done where it stands: {}",
        may.join(", ")
    ))?;
    Ok(ExitCode::from(CLEAN))
}

/// Whether an act that the state permits is one for this exception: some routes permit no grant, and only what asks is
/// answered.
fn permits(record: &Record, act: Act) -> bool {
    match act {
        Act::Grant => {
            let routed = record.frozen.as_ref().map(|f| &f.routed);
            routed.is_some_and(|r| r.emergency.is_some())
        }
        Act::Answer => record.question.as_ref().is_some_and(|q| q.answer.is_none()),
        Act::Question => false,
        _ => true,
    }
}

fn terms(record: &Record, out: &mut Out) -> anyhow::Result<()> {
    let request = &record.request;
    let given = |t: &Option<String>| t.clone().unwrap_or_else(|| "-".to_owned());
    heading("What is asked for", out)?;
    for (name, value) in [
        ("clause", request.provision.to_string()),
        ("controls", request.controls.join(", ")),
        ("subjects", request.subjects.join(", ")),
        ("asked by", given(&request.requester)),
        ("owner", given(&request.owner)),
        ("serves", given(&request.beneficiary_team)),
        ("purpose", given(&request.business_purpose)),
        ("limit", given(&request.limit)),
    ] {
        out.line(format!("  {name:<10} {}", text::line(&value)))?;
    }
    let Some(frozen) = &record.frozen else {
        heading("Missing", out)?;
        for one in &record.lacks {
            out.line(format!("  {:<18} {}", one.field, text::line(&one.say)))?;
        }
        return Ok(());
    };
    out.line(format!(
        "  tier       {}, by {}",
        frozen.triage.tier,
        frozen.routed.names().join(", ")
    ))?;
    out.line(format!("  terms      {}", frozen.digest))?;
    heading("Steps", out)?;
    for step in &frozen.steps {
        out.line(format!("  {:<10} {}", step.id, asked(step)))?;
    }
    heading("Conditions", out)?;
    if frozen.terms.conditions.is_empty() {
        out.line("  none")?;
    }
    for c in &frozen.terms.conditions {
        let now = match record.conditions.get(&c.id) {
            None => "not looked at yet".to_owned(),
            Some(checked) => {
                let word = match checked.standing {
                    Standing::Holds => out.ink(Ink::Good, "good"),
                    Standing::Unknown(_) => out.ink(Ink::Warn, "not known"),
                    Standing::Fails => out.ink(Ink::Bad, "bad"),
                };
                format!(
                    "{word}: {} ({})",
                    checked.said,
                    checked.at.format("%Y-%m-%d %H:%M")
                )
            }
        };
        out.line(format!("  {:<18} {}", c.id, c.text))?;
        out.line(format!("  {:<18} {now}", ""))?;
    }
    Ok(())
}

fn heading(text: &str, out: &mut Out) -> anyhow::Result<()> {
    let text = out.ink(Ink::Bold, text);
    out.line(format!("\n{text}"))?;
    Ok(())
}
