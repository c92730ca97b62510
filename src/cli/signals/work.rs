//! Work around signals: a draft beside its control, what it says in shadow, what chance makes of a register, requests of an
//! older one.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    process::ExitCode,
};

use serde_json::json;

use super::{named, show::named_word};
use crate::{
    cli::{
        CLEAN, USAGE,
        named::refuse,
        open::Opened,
        out::{Format, Out, column},
        runs::object,
    },
    model::{
        finding::{Finding, Status},
        id::ControlId,
        run::Run,
    },
    review::{self, change::Change},
    signal::{Ask, calibrate},
    store::{findings, runs, signals},
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
    // Whoever has no finding never failed.
    let mut said: BTreeMap<String, [&str; 2]> = BTreeMap::new();
    for (at, id) in [control, draft].into_iter().enumerate() {
        for finding in findings::of_control(&mut tx, id).await? {
            let both = said.entry(finding.subject.to_string());
            if let Some(one) = both.or_insert(["passes"; 2]).get_mut(at) {
                *one = last_said(&finding);
            }
        }
    }
    let last = |run: &Option<Run>| {
        run.as_ref().map_or_else(
            || "it never ran".to_owned(),
            |r| {
                format!(
                    "{} fail of {}, as of {}",
                    r.counts.fail,
                    r.counts.population,
                    r.instant.format("%Y-%m-%d %H:%M UTC")
                )
            },
        )
    };
    let (now, then) = (
        runs::last_counted(&mut tx, control).await?,
        runs::last_counted(&mut tx, draft).await?,
    );
    let rows: Vec<_> = said
        .iter()
        .filter(|(_, [in_force, draft])| in_force != draft)
        .map(|(subject, [in_force, draft])| {
            object(json!({ "subject": subject, "in_force": in_force, "draft": draft }))
        })
        .collect();
    let columns = [
        column("subject", "SUBJECT"),
        column("in_force", "IN FORCE"),
        column("draft", "DRAFT"),
    ];
    if out.format() == Format::Table {
        out.line(format!("{control}: {}", last(&now)))?;
        out.line(format!("{draft}: {}", last(&then)))?;
        if rows.is_empty() {
            out.line("Both say the same of every subject.")?;
            return Ok(ExitCode::from(CLEAN));
        }
    }
    out.list(&columns, rows)?;
    Ok(ExitCode::from(CLEAN))
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
    rounds: u32,
    seed: u64,
    out: &mut Out,
) -> anyhow::Result<ExitCode> {
    let history = review::history(&opened.cx, &opened.set).await?;
    let known = signals::all(&mut opened.store().read().await?).await?;
    let options = review::options(&known, opened.now().date_naive());
    let done =
        tokio::task::spawn_blocking(move || calibrate(&history, &options, seed, rounds)).await?;
    review::keep_calibration(&opened.cx, &done).await?;
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
            "Chance alone would raise {:.2} signals a quarter in a register of this size ({} asks, {} rounds, {:.0} quarters, seed {seed}).",
            done.false_alarms_per_quarter, done.asks, done.rounds, done.quarters
        ))?,
    }
    Ok(ExitCode::from(CLEAN))
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
    let mut asks: Vec<Ask> = Vec::new();
    let mut wrong = Vec::new();
    for (n, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        match serde_json::from_str::<Ask>(line) {
            Ok(ask) => asks.push(ask),
            Err(error) => wrong.push(format!(
                "{}:{}:{}: {error}",
                file.display(),
                n + 1,
                error.column()
            )),
        }
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
    tx.commit().await?;
    out.line(format!(
        "{} requests taken in; {all} are kept. They are read for patterns and cover nothing.",
        asks.len()
    ))?;
    if !unknown.is_empty() {
        let names: Vec<&str> = unknown.into_iter().collect();
        out.line(format!(
            "No control here is called {}: if one was renamed, write the old name under its `formerly:`.",
            names.join(", ")
        ))?;
    }
    Ok(ExitCode::from(CLEAN))
}
