//! `tripline what-if`: a changed control tried on the evidence that was kept, and what an exception would cover.

use std::{collections::BTreeMap, process::ExitCode};

use clap::Args as Arguments;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::{
    CLEAN, NOT_CHECKED, USAGE,
    named::refuse,
    open::Opened,
    out::{Format, Ink, Out, column},
    runs::object,
};
use crate::{
    model::{
        exception::State,
        id::{ControlId, ExceptionId},
        span::Span,
    },
    register,
    review::{self, Suggestions, WhatIf, change::Change},
    store::{Found, exceptions},
};

/// Try a changed control on the past, or see what an exception would cover. Changes nothing.
#[derive(Debug, Clone, Arguments)]
pub struct Args {
    /// Live at this instant, as `tripline check --as-of` does.
    #[arg(long, value_name = "TIME")]
    pub(super) as_of: Option<chrono::DateTime<chrono::Utc>>,
    /// A control, or an exception (`EXC-2027-0001`).
    what: String,
    /// A parameter's new value (`rotate_within=120d`, may be given more than once).
    #[arg(long = "set", value_name = "NAME=VALUE", id = "change")]
    set: Vec<String>,
    /// Another failure condition.
    #[arg(long, value_name = "SQL")]
    fails_when: Option<String>,
    /// Only for rows of which this is true (`vendor = 'Acme'`).
    #[arg(long = "where", value_name = "SQL")]
    scope: Option<String>,
    /// How far back, week by week.
    #[arg(long, value_name = "TIME", default_value = "26w")]
    since: Span,
    /// Whom a suggested change should be for (`vendor=Acme`, may be given more than once).
    #[arg(long, value_name = "FACT=VALUE")]
    fact: Vec<String>,
}

/// Does what the arguments say. Without a change, changes are suggested.
///
/// # Errors
/// When the store or the evidence cannot be read.
pub(super) async fn run(args: &Args, opened: &Opened, out: &mut Out) -> anyhow::Result<ExitCode> {
    if args.what.starts_with("EXC-") {
        return exception(&args.what, opened, out).await;
    }
    let control = ControlId::new(&args.what);
    let (set, facts) = match (pairs(&args.set), pairs(&args.fact)) {
        (Ok(set), Ok(facts)) => (set, facts),
        (Err(said), _) | (_, Err(said)) => return refuse(USAGE, said),
    };
    if set.is_empty() && args.fails_when.is_none() {
        if args.scope.is_some() {
            return refuse(
                USAGE,
                "`--where` says whom a change is for: name the change with `--set` or `--fails-when`",
            );
        }
        return suggest(opened, &control, facts.into_iter().collect(), out).await;
    }
    let change = Change {
        set,
        fails_when: args.fails_when.clone(),
        scope: args.scope.clone(),
    };
    let weeks = args.since.as_millis().div_ceil(Span::days(7).as_millis());
    let weeks = u32::try_from(weeks.clamp(1, 260)).unwrap_or(260);
    let bar = if Out::stderr().is_terminal() {
        ProgressBar::new(u64::from(weeks))
    } else {
        ProgressBar::hidden()
    };
    let style =
        ProgressStyle::with_template("{spinner} {pos} of {len} weeks judged again, {elapsed}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let mut seen = |done: u32| bar.set_position(u64::from(done));
    let tried = review::what_if(
        &opened.cx,
        &opened.set,
        (&control, &change),
        weeks,
        &mut seen,
    )
    .await;
    bar.finish_and_clear();
    match tried {
        Ok(tried) => print(&tried, out),
        Err(review::Error::Refused(said)) => refuse(USAGE, said),
        Err(error) => Err(error.into()),
    }
}

/// `name=value` pairs, or what is wrong with one.
pub(super) fn pairs(all: &[String]) -> Result<Vec<(String, String)>, String> {
    all.iter()
        .map(|one| {
            let pair = one.split_once('=').map(|(k, v)| (k.trim(), v.trim()));
            let pair = pair.map(|(k, v)| (k.to_owned(), v.to_owned()));
            pair.ok_or_else(|| format!("`{one}` is no `name=value`"))
        })
        .collect()
}

fn print(tried: &WhatIf, out: &mut Out) -> anyhow::Result<ExitCode> {
    let code = if tried.latest.is_some() {
        CLEAN
    } else {
        NOT_CHECKED
    };
    if out.format() != Format::Table {
        let mut whole = json!(tried);
        if let Value::Object(map) = &mut whole {
            map.insert("sentence".to_owned(), json!(tried.sentence()));
        }
        out.json(&whole)?;
        return Ok(ExitCode::from(code));
    }
    let heading = out.ink(Ink::Bold, &tried.sentence());
    out.line(heading)?;
    out.line("")?;
    let columns = [
        column("week", "WEEK OF"),
        column("population", "SUBJECTS"),
        column("failing", "FAILED"),
        column("would_fail", "WOULD FAIL"),
        column("cleared", "CLEARED"),
        column("admitted", "ADMITTED"),
        column("newly_failing", "NEWLY FAILING"),
        column("unknown", "UNKNOWN"),
        column("missing", "NOT JUDGED BECAUSE"),
    ];
    // Weeks before the first that could be judged say nothing.
    let first = tried.weeks.iter().position(|w| w.missing.is_none());
    let shown = first.and_then(|n| tried.weeks.get(n..)).unwrap_or_default();
    let rows = shown.iter().map(|w| {
        let mut row = object(json!(w));
        if w.missing.is_some() {
            for key in columns.iter().map(|c| c.key).skip(1).take(7) {
                row.insert(key.to_owned(), Value::Null);
            }
        }
        row
    });
    out.list(&columns, rows)?;
    let unjudged = tried.weeks.len() - shown.len();
    if unjudged > 0 {
        out.line(format!(
            "{unjudged} earlier weeks could not be judged: no run of them is kept."
        ))?;
    }
    let Some(latest) = &tried.latest else {
        return Ok(ExitCode::from(code));
    };
    out.line("")?;
    out.line(format!(
        "In the last of them, as of {}:",
        latest.instant.format("%Y-%m-%d %H:%M UTC")
    ))?;
    for (title, which) in [
        ("Newly admitted", "newly_admitted"),
        ("Cleared", "cleared"),
        ("Newly failing", "newly_failing"),
        ("Cannot be told", "unknown"),
    ] {
        let all: Vec<_> = latest.moved.iter().filter(|m| m.becomes == which).collect();
        if all.is_empty() {
            continue;
        }
        out.line(format!("  {title} ({}):", all.len()))?;
        for one in all.iter().take(SHOWN) {
            let by = one.exceptions.first();
            let by = by.map_or_else(String::new, |e| format!(", {e}"));
            let facts: Vec<String> = one.facts.iter().map(|(k, v)| format!("{k} {v}")).collect();
            let facts = if facts.is_empty() {
                String::new()
            } else {
                format!(" ({})", facts.join(", "))
            };
            out.line(format!("    {} {}{by}{facts}", one.severity, one.subject))?;
        }
        if all.len() > SHOWN {
            out.line(format!(
                "    and {} more (--format json)",
                all.len() - SHOWN
            ))?;
        }
    }
    for veto in &latest.vetoes {
        out.line(format!("  Look before you admit it: {veto}"))?;
    }
    for dropped in &latest.dropped_conditions {
        out.line(format!(
            "  Approvers asked for this, and nobody would any more: {dropped}"
        ))?;
    }
    if let Some(near) = latest.near_limit.filter(|n| *n > 0) {
        out.line(format!("  {near} of those that would pass lie within 5 % of the new limit: expect them to drift over it."))?;
    }
    out.line("")?;
    let dim = out.ink(Ink::Dim, LIMITS);
    out.line(dim)?;
    Ok(ExitCode::from(code))
}

/// The most subjects of a kind on a screen.
const SHOWN: usize = 10;

/// What a what-if cannot know.
const LIMITS: &str = "It assumes that people would have done the same, and sees only subjects with evidence; that an exception was approved \
                      does not say that its risk is acceptable for all.";

async fn suggest(
    opened: &Opened,
    control: &ControlId,
    facts: BTreeMap<String, String>,
    out: &mut Out,
) -> anyhow::Result<ExitCode> {
    let descriptors = if facts.is_empty() {
        Vec::new()
    } else {
        vec![facts]
    };
    let all = match review::suggest(&opened.cx, &opened.set, control, &descriptors).await {
        Ok(all) => all,
        Err(review::Error::Refused(said)) => return refuse(USAGE, said),
        Err(error) => return Err(error.into()),
    };
    if out.format() == Format::Table {
        suggestions(&all, out)?;
        if all.iter().all(|s| s.candidates.is_empty()) {
            out.line(format!(
                "No change of a parameter of `{control}` would clear an exception. Try a condition with `--fails-when`."
            ))?;
        }
    } else {
        out.json(&json!(all))?;
    }
    Ok(ExitCode::from(CLEAN))
}

/// The frontier of each parameter, the marked one first.
pub(super) fn suggestions(all: &[Suggestions], out: &mut Out) -> anyhow::Result<()> {
    for one in all {
        let shown = one.candidates.iter().filter(|c| c.is_frontier || c.is_knee);
        let columns = [
            column("try", "CHANGE"),
            column("cleared", "CLEARS"),
            column("teams", "TEAMS"),
            column("admits", "ADMITS"),
            column("severe", "OF HIGH RISK"),
            column("unknown", "UNKNOWN"),
            column("mark", ""),
        ];
        let rows = shown.map(|c| {
            object(json!({
                "try": one.flags(c),
                "cleared": format!("{} of {}", c.cleared.len(), c.of),
                "teams": format!("{} of {}", c.teams, c.of_teams),
                "admits": c.admits(),
                "severe": c.admitted.iter().skip(2).sum::<usize>(),
                "unknown": c.unknown,
                "mark": if c.is_knee { "worth most" } else if c.vetoes.is_empty() { "" } else { "look first" },
            }))
        });
        out.list(&columns, rows)?;
    }
    Ok(())
}

/// What an exception covers, or would.
async fn exception(name: &str, opened: &Opened, out: &mut Out) -> anyhow::Result<ExitCode> {
    let found = exceptions::named(&mut opened.store().read().await?, name).await?;
    let record = match found {
        Found::One(record) => record,
        Found::Nothing => {
            return refuse(USAGE, format!("there is no exception `{name}`"));
        }
        Found::Several(names) => {
            return refuse(
                USAGE,
                format!("`{name}` is the beginning of {}", names.join(", ")),
            );
        }
    };
    let id = ExceptionId::from(record.id.as_str());
    let covers = match register::covers(&opened.cx, &opened.set, &id).await {
        Ok(covers) => covers,
        Err(error @ (register::Error::Refused(_) | register::Error::Nothing(_))) => {
            return refuse(USAGE, error);
        }
        Err(error) => return Err(error.into()),
    };
    if out.format() != Format::Table {
        out.json(&json!(covers))?;
        return Ok(ExitCode::from(CLEAN));
    }
    let stands = record.state_at(opened.now());
    let verb = if stands == State::Active {
        "covers"
    } else {
        "would cover"
    };
    out.line(format!("{id} is {stands}. On evidence of now it {verb}:"))?;
    let columns = [
        column("control", "CONTROL"),
        column("subject", "SUBJECT"),
        column("outcome", "OUTCOME"),
        column("covered", "COVERED"),
        column("because", "BECAUSE"),
    ];
    out.list(&columns, covers.iter().map(|c| object(json!(c))))?;
    Ok(ExitCode::from(CLEAN))
}
