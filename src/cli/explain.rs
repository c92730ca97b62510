//! `tripline explain FINDING`: what deviates, from what, since when, who was told, and what to do.

use std::process::ExitCode;

use clap::Args as Arguments;
use serde_json::{Value, json};

use super::{
    CLEAN, USAGE,
    findings::row,
    open::Opened,
    out::{Format, Ink, Out},
};
use crate::{
    act,
    evaluate::limit,
    exception::coverage::{Case, Coverage},
    model::{
        control::{Control, Waivable},
        finding::{Finding, Status},
        notice::Item,
    },
    notify::text,
    store::{Found, exceptions, findings, outbox, transitions},
};

/// Say all about a finding, or what a code such as TL0103 means.
#[derive(Debug, Clone, Arguments)]
pub struct Args {
    /// A finding as `tripline findings` names it, or a code.
    pub(super) what: String,
}

/// Explains a finding.
///
/// # Errors
/// The store cannot be read.
pub(super) async fn run(what: &str, opened: &Opened, out: &mut Out) -> anyhow::Result<ExitCode> {
    let mut tx = opened.store().read().await?;
    let finding = match findings::named(&mut tx, what).await? {
        Found::One(finding) => finding,
        Found::Nothing => {
            let said = format!(
                "error: there is no finding `{what}`; `tripline findings --all` lists them"
            );
            Out::stderr().line(said)?;
            return Ok(ExitCode::from(USAGE));
        }
        Found::Several(names) => {
            let said = format!(
                "error: more than one finding begins with `{what}`: {}",
                names.join(", ")
            );
            Out::stderr().line(said)?;
            return Ok(ExitCode::from(USAGE));
        }
    };
    let history = transitions::of_finding(&mut tx, finding.key).await?;
    let told = outbox::fates(&mut tx, finding.key).await?;
    let records = exceptions::list(
        &mut tx,
        &exceptions::Filter {
            control: Some(finding.control.clone()),
            ..exceptions::Filter::default()
        },
    )
    .await?;
    let control = opened
        .set
        .catalog
        .control(&finding.control)
        .map(AsRef::as_ref);
    let now = opened.now();
    let register = act::register(&mut tx, &records, now).await?;
    let case = Case::known((control, opened.set.policies()), &finding, now);
    let cover = register.covers(&case, &|text, row| limit(text, row, now));
    if out.format() != Format::Table {
        let fields = row(&finding, &opened.set.catalog, opened.now());
        let fates: Vec<Value> = told
            .iter()
            .map(|(item, fate)| json!({ "item": item, "fate": fate_of(fate) }))
            .collect();
        let covered: Vec<&str> = cover.by.iter().map(AsRef::as_ref).collect();
        let lost: Vec<Value> = cover
            .lost
            .iter()
            .map(|l| json!({ "exception": l.exception, "clause": l.clause, "why": l.why }))
            .collect();
        out.json(&json!({ "covered_by": covered, "not_covered_by": lost, "finding": fields, "history": history.iter().map(moved).collect::<Vec<_>>(), "told": fates }))?;
        return Ok(ExitCode::from(CLEAN));
    }
    head(&finding, control, opened, out)?;
    rows(&finding, out)?;
    covers(&finding, control, &cover, out)?;
    heading("History", out)?;
    for one in &history {
        let before = one.before.map_or("new", |b| b.as_str());
        out.line(format!(
            "  {}  {before} -> {}  {}",
            one.at, one.after, one.reason
        ))?;
    }
    heading("Who was told", out)?;
    if told.is_empty() {
        out.line(format!("  Nobody: {}.", nobody(&finding, control)))?;
    }
    for (item, fate) in &told {
        out.line(format!(
            "  {}  {}  {}",
            item.planned_at,
            to(item),
            fate_of(fate)
        ))?;
    }
    if let Some(fix) = control.and_then(|c| c.fix.as_ref()) {
        heading("What to do", out)?;
        out.line(format!("  {}", fix.trim()))?;
    }
    out.line(format!(
        "\n`tripline replay {}` judges its last evidence again; `tripline audit prove {}` proves its record.",
        finding.run,
        finding.key.short()
    ))?;
    Ok(ExitCode::from(CLEAN))
}

/// Why nobody was told of a finding.
fn nobody(finding: &Finding, control: Option<&Control>) -> &'static str {
    let state = &finding.state;
    match state.status {
        Status::Suspect => "it is not confirmed yet",
        _ if state.episode == 0 => "it never opened",
        _ if finding.covered_by.is_some() => "an exception covers it",
        _ if !state.announced || control.is_some_and(|c| c.shadow) => "its control was in shadow",
        _ => {
            "no route of tripline.yaml that matched it names anybody who can be reached; \
              `tripline validate` looks at the routes"
        }
    }
}

fn head(
    finding: &Finding,
    control: Option<&Control>,
    opened: &Opened,
    out: &mut Out,
) -> anyhow::Result<()> {
    let title = out.ink(Ink::Bold, &text::line(finding.subject.as_str()));
    let state = &finding.state;
    out.line(format!("{title}: {}, {}", finding.severity, state.status))?;
    if let Some(since) = state.unverified_since {
        let said = out.ink(Ink::Warn, &format!("not checked since {since}"));
        out.line(said)?;
    }
    let Some(control) = control else {
        out.line(format!("{} is no longer a control.", finding.control))?;
        return Ok(());
    };
    out.line(format!("{}: {}", control.id, control.title))?;
    if let Some(why) = &control.why {
        out.line(why.trim())?;
    }
    heading("Against", out)?;
    let policy = opened.set.catalog.policy_of(&control.policy);
    let clause = policy.and_then(|p| Some((p, p.provision(&control.policy.provision)?)));
    match clause {
        Some((policy, clause)) => {
            out.line(format!(
                "  {} (version {}): {}",
                control.policy,
                policy.version,
                clause.text.trim()
            ))?;
        }
        None => out.line(format!("  {}", control.policy))?,
    }
    heading("Because", out)?;
    out.line(format!(
        "  it fails when: {}",
        control.fails_when.text.trim()
    ))?;
    Ok(())
}

/// What covers a finding, and why what speaks of it does not.
fn covers(
    finding: &Finding,
    control: Option<&Control>,
    cover: &Coverage,
    out: &mut Out,
) -> anyhow::Result<()> {
    heading("Exceptions", out)?;
    for id in &cover.by {
        out.line(format!(
            "  {id} covers it: it is silent, and still counted."
        ))?;
    }
    for lost in &cover.lost {
        out.line(format!(
            "  {} does not cover it ({}): {}",
            lost.exception,
            lost.clause,
            text::line(&lost.why)
        ))?;
    }
    if cover.by.is_empty() && cover.lost.is_empty() {
        let never = control.is_some_and(|c| c.exceptions == Waivable::Never);
        let say = if never {
            format!("none, and `{}` permits none", finding.control)
        } else {
            "none speaks of it".to_owned()
        };
        out.line(format!("  {say}"))?;
    }
    Ok(())
}

fn rows(finding: &Finding, out: &mut Out) -> anyhow::Result<()> {
    for row in &finding.rows {
        for (name, value) in row {
            let value = match value {
                Value::String(text) => text::line(text),
                other => text::line(&other.to_string()),
            };
            out.line(format!("    {:<20} {value}", text::line(name)))?;
        }
        out.line("")?;
    }
    let more = finding.row_count.saturating_sub(finding.rows.len() as u64);
    if more > 0 {
        out.line(format!("    and {more} more rows"))?;
    }
    Ok(())
}

fn heading(text: &str, out: &mut Out) -> anyhow::Result<()> {
    let text = out.ink(Ink::Bold, text);
    out.line(format!("\n{text}"))?;
    Ok(())
}

fn to(item: &Item) -> String {
    let whom = item
        .recipient
        .as_ref()
        .map_or_else(String::new, |r| format!(" {r}"));
    format!("{} by {}{whom} ({})", item.word, item.channel, item.reason)
}

fn fate_of(fate: &outbox::Fate) -> String {
    match fate {
        outbox::Fate::Waiting => "waits".to_owned(),
        outbox::Fate::Sealed(batch) => format!("in {batch}"),
        outbox::Fate::LeftOut(why) => format!("left out: {why}"),
    }
}

fn moved(one: &transitions::Transition) -> Value {
    json!({
        "at": one.at, "before": one.before, "after": one.after, "effect": one.effect, "reason": one.reason,
        "run": one.run, "episode": one.episode,
    })
}
