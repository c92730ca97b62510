//! Work around signals: a draft beside its control, what it says in shadow, what chance makes of a register, requests of an
//! older one.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    num::NonZeroU32,
    path::PathBuf,
    process::ExitCode,
};

use chrono::NaiveDate;
use serde_json::json;

use super::{named, show::named_word};
use crate::{
    cli::{
        CLEAN, NOT_CHECKED, USAGE,
        named::refuse,
        open::Opened,
        out::{Format, Out, column, counted},
        runs::object,
    },
    model::{
        finding::{Finding, Status},
        id::ControlId,
        run::Run,
    },
    review::{self, change::Change},
    signal::{Ask, calibrate},
    store::{exceptions, findings, runs, signals},
};

/// Prints a changed control as a difference, or writes it as a draft.
pub(super) async fn draft(
    opened: &Opened,
    name: &str,
    change: &Change,
    into: Option<PathBuf>,
    out: &mut Out,
) -> anyhow::Result<ExitCode> {
    let control = if name.to_ascii_uppercase().starts_with("SIG-") {
        match named(opened, name).await? {
            Ok(signal) => signal.raised.control,
            Err(said) => return refuse(USAGE, said),
        }
    } else {
        name.to_owned()
    };
    let made = match review::draft(
        &opened.set,
        &opened.config.root,
        (&ControlId::new(control), change),
    ) {
        Ok(made) => made,
        Err(review::Error::Refused(said)) => return refuse(USAGE, said),
        Err(error) => return Err(error.into()),
    };
    let Some(folder) = into else {
        out.text(&made.diff)?;
        return Ok(ExitCode::from(CLEAN));
    };
    let file = folder.join(format!("{}.yaml", made.id));
    if file.exists() {
        return refuse(USAGE, format!("{} is there already", file.display()));
    }
    fs::write(&file, &made.text)?;
    out.line(format!(
        "{} runs beside its control from the next load on and tells nobody; `tripline signals shadow` compares them.",
        file.display()
    ))?;
    Ok(ExitCode::from(CLEAN))
}

/// Both outcomes side by side: what only one of them says.
pub(super) async fn shadow(
    opened: &Opened,
    control: &ControlId,
    draft: &ControlId,
    out: &mut Out,
) -> anyhow::Result<ExitCode> {
    let known = |id: &ControlId| opened.set.catalog.control(id).cloned();
    let (Some(_), Some(shadow)) = (known(control), known(draft)) else {
        return refuse(
            USAGE,
            format!(
                "`{control}` and `{draft}` are not both there; `tripline controls` lists what is"
            ),
        );
    };
    if !shadow.shadow {
        return refuse(USAGE, format!("`{draft}` is no draft: it is in force"));
    }
    let mut tx = opened.store().read().await?;
    let mut runs_of = Vec::new();
    let mut said: BTreeMap<String, [&str; 2]> = BTreeMap::new();
    for (at, id) in [control, draft].into_iter().enumerate() {
        runs_of.push(runs::last_counted(&mut tx, id).await?);
        for finding in findings::of_control(&mut tx, id).await? {
            // Whoever has no finding never failed.
            let both = said.entry(finding.subject.to_string());
            if let Some(one) = both.or_insert(["passes"; 2]).get_mut(at) {
                *one = last_said(&finding);
            }
        }
    }
    // What never ran says nothing, neither that anything fails nor that it passes.
    let not_run = runs_of.iter().any(Option::is_none);
    if not_run {
        said.clear();
    }
    let differ: Vec<_> = said
        .iter()
        .filter(|(_, [in_force, draft])| in_force != draft)
        .map(|(subject, [in_force, draft])| {
            object(json!({ "subject": subject, "in_force": in_force, "draft": draft }))
        })
        .collect();
    let looked_at = |run: &Option<Run>| -> Vec<_> {
        let all = run.iter().flat_map(|r| &r.evidence);
        all.map(|used| (used.dataset.clone(), used.content))
            .collect()
    };
    let same_evidence = matches!(runs_of.as_slice(), [a, b] if looked_at(a) == looked_at(b));
    let code = ExitCode::from(if not_run { NOT_CHECKED } else { CLEAN });
    let columns = [
        column("subject", "SUBJECT"),
        column("in_force", "IN FORCE"),
        column("draft", "DRAFT"),
    ];
    match out.format() {
        Format::Table => {}
        Format::Json => {
            out.json(&json!({
                "in_force": runs_of.first(),
                "draft": runs_of.last(),
                "same_evidence": same_evidence,
                "differ": differ,
            }))?;
            return Ok(code);
        }
        _ => {
            out.list(&columns, differ)?;
            return Ok(code);
        }
    }
    for (id, run) in [control, draft].into_iter().zip(&runs_of) {
        out.line(run.as_ref().map_or_else(
            || format!("{id}: it never could look"),
            |r| {
                format!(
                    "{id}: {} fail of {}, as of {}",
                    r.counts.fail,
                    r.counts.population,
                    r.instant.format("%Y-%m-%d %H:%M UTC")
                )
            },
        ))?;
    }
    if not_run {
        out.line("Nothing can be compared before both have run: `tripline check --control NAME` runs one now.")?;
        return Ok(code);
    }
    if !same_evidence {
        out.line("They did not look at the same evidence last: what differs may be the time between them.")?;
    }
    if differ.is_empty() {
        out.line("Both say the same of every subject.")?;
    } else {
        out.list(&columns, differ)?;
    }
    Ok(code)
}

/// What the last run said of a subject, whether it was confirmed or not.
fn last_said(finding: &Finding) -> &'static str {
    let state = &finding.state;
    if state.status == Status::Retired {
        "is gone"
    } else if state.unverified_since.is_some() {
        "cannot be told"
    } else if state.history.ends_with('F') {
        "fails"
    } else {
        "passes"
    }
}

/// How often chance alone would raise a signal here.
pub(super) async fn simulate(
    opened: &Opened,
    rounds: NonZeroU32,
    seed: u64,
    out: &mut Out,
) -> anyhow::Result<ExitCode> {
    let history = review::history(&opened.cx, &opened.set).await?;
    let known = signals::all(&mut opened.store().read().await?).await?;
    let options = review::options(&known, opened.now().date_naive());
    let done =
        tokio::task::spawn_blocking(move || calibrate(&history, &options, seed, rounds)).await?;
    // A number is never replaced by the word that there is none.
    if done.unknown.is_none() {
        review::keep_calibration(&opened.cx, &done).await?;
    }
    if out.format() != Format::Table {
        out.json(&json!(done))?;
        return Ok(ExitCode::from(CLEAN));
    }
    match done.unknown {
        Some(why) => out.line(format!(
            "It cannot be told how often chance alone raises a signal here: {}.",
            named_word(&json!(why))
        ))?,
        None => out.line(format!(
            "Chance alone would raise {:.2} signals a quarter in a register of this size (with 90 % confidence {:.2} to {}; {} asks, {} rounds, {:.0} \
             quarters, seed {seed}).",
            done.false_alarms_per_quarter,
            done.ci90.low,
            done.ci90.high.map_or_else(|| "more".to_owned(), |high| format!("{high:.2}")),
            done.asks,
            done.rounds,
            done.quarters
        ))?,
    }
    Ok(ExitCode::from(CLEAN))
}

/// Why a request cannot have been as it is written.
fn implausible(ask: &Ask, today: NaiveDate, ours: &BTreeSet<String>) -> Option<String> {
    let id = &ask.id;
    if ours.contains(id) {
        return Some(format!(
            "{id} is an exception of this register, and would be counted twice"
        ));
    }
    if ask.day > today {
        return Some(format!("`day` is {}, and today is {today}", ask.day));
    }
    if let Some(decided) = ask.decided.filter(|decided| *decided < ask.day) {
        return Some(format!(
            "`decided` is {decided}, before `day`, which is {}",
            ask.day
        ));
    }
    if let Some(ends) = ask
        .ends
        .filter(|ends| *ends < ask.decided.unwrap_or(ask.day))
    {
        return Some(format!("`ends` is {ends}, before it was decided"));
    }
    let empty = [("id", id), ("team", &ask.team), ("control", &ask.control)];
    let empty = empty.into_iter().find(|(_, text)| text.trim().is_empty());
    empty.map(|(name, _)| format!("`{name}` is empty"))
}

/// Takes requests of an older register in, all of a file or none.
pub(super) async fn import(
    opened: &Opened,
    file: &PathBuf,
    out: &mut Out,
) -> anyhow::Result<ExitCode> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => return refuse(USAGE, format!("{}: {error}", file.display())),
    };
    let now = opened.now();
    let today = now.date_naive();
    let ours: BTreeSet<String> = exceptions::list(
        &mut opened.store().read().await?,
        &exceptions::Filter::default(),
    )
    .await?
    .into_iter()
    .map(|record| record.id.to_string())
    .collect();
    let mut asks: Vec<Ask> = Vec::new();
    let mut wrong = Vec::new();
    for (n, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let read = serde_json::from_str::<Ask>(line)
            .map_err(|error| (error.column(), error.to_string()))
            .and_then(|ask| match implausible(&ask, today, &ours) {
                Some(why) => Err((1, why)),
                None => Ok(ask),
            });
        match read {
            Ok(ask) => asks.push(ask),
            Err((column, why)) => {
                wrong.push(format!("{}:{}:{column}: {why}", file.display(), n + 1));
            }
        }
    }
    if asks.is_empty() && wrong.is_empty() {
        wrong.push(format!(
            "{} holds no request: one JSON object a line is read",
            file.display()
        ));
    }
    if !wrong.is_empty() {
        wrong.push("nothing was taken in".to_owned());
        return refuse(USAGE, wrong.join("\n"));
    }
    let unknown: BTreeSet<&str> = asks
        .iter()
        .map(|a| a.control.as_str())
        .filter(|c| opened.set.catalog.control(&ControlId::new(c)).is_none())
        .collect();
    let mut tx = opened.store().begin().await?;
    let all = signals::keep_past(&mut tx, &asks).await?;
    let past = signals::past(&mut tx).await?;
    let first = signals::since(&mut tx).await?.unwrap_or(today);
    tx.commit().await?;
    out.line(format!(
        "{} requests taken in; {all} are kept. They are read for patterns and cover nothing.",
        asks.len()
    ))?;
    let since = review::beginning(past.iter().map(|a| a.day), first);
    let strays = past.iter().filter(|a| a.day < since).count();
    if strays > 0 {
        out.line(format!(
            "{} before {since} lie more than half a year before all others and are not read: check their days.",
            counted(strays as u64, "request")
        ))?;
    }
    if !unknown.is_empty() {
        let names: Vec<&str> = unknown.into_iter().collect();
        out.line(format!(
            "No control here is called {}: if one was renamed, write the old name under its `formerly:`.",
            names.join(", ")
        ))?;
    }
    Ok(ExitCode::from(CLEAN))
}
