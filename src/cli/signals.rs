//! `tripline signals`: repeated exceptions that question a policy, and what those who lead it do about them.

use std::{collections::BTreeMap, fs, path::PathBuf, process::ExitCode};

use chrono::{DateTime, NaiveDate, Utc};
use clap::{Args as Arguments, Subcommand, ValueEnum};
use serde_json::json;

use super::{
    CLEAN, OPEN, USAGE,
    named::refuse,
    open::Opened,
    out::{Format, Ink, Out, column},
    runs::object,
    token, what_if,
};
use crate::{
    model::id::{ControlId, SignalId},
    review::{self, Doing, change::Change},
    signal::{
        Ask, calibrate,
        lifecycle::Dismissal,
        record::{Outcome, Signal, word},
    },
    store::{Found, findings, runs, signals},
};

/// Repeated exceptions that question a policy, and what becomes of each.
#[derive(Debug, Clone, Arguments)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    /// Live at this instant, as `tripline check --as-of` does.
    #[arg(long, global = true, value_name = "TIME")]
    pub(super) as_of: Option<DateTime<Utc>>,
    /// Also those that are over.
    #[arg(long)]
    all: bool,
    /// What to do; without it, they are listed.
    #[command(subcommand)]
    what: Option<What>,
}

/// Why a signal was none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Reason {
    /// It was not useful; the detector becomes stricter when that happens too often.
    NotUseful,
    /// It is right, and all stays as it is for good.
    Accepted,
    /// It is another signal.
    Duplicate,
    /// The data were wrong.
    WrongData,
}

/// What to do with signals.
#[derive(Debug, Clone, Subcommand)]
pub enum What {
    /// Everything about one: what repeats, what it has in common, which change would help, what happened.
    Show {
        /// The signal, or enough of its name.
        id: String,
    },
    /// Look at the register now; the daemon does once a week.
    Look,
    /// Say that you have seen it.
    Acknowledge {
        /// The signal, or enough of its name.
        id: String,
    },
    /// Conclude the review that it opened.
    Conclude {
        /// The signal, or enough of its name.
        id: String,
        /// What the review comes to: `revise_policy`, `fix_control`, `guidance` or `keep`.
        #[arg(long, value_name = "WHAT")]
        outcome: Outcome,
        /// In your words.
        #[arg(long, value_name = "TEXT")]
        because: String,
        /// From when on the change is in force.
        #[arg(long, value_name = "DATE")]
        effective: Option<NaiveDate>,
        /// With `keep`: when it is looked at again.
        #[arg(long, value_name = "DATE")]
        until: Option<NaiveDate>,
        /// The draft that runs in shadow meanwhile.
        #[arg(long, value_name = "CONTROL")]
        draft: Option<String>,
    },
    /// Say that it is none.
    Dismiss {
        /// The signal, or enough of its name.
        id: String,
        /// Why.
        #[arg(long, value_enum)]
        reason: Reason,
        /// In your words.
        #[arg(long, value_name = "TEXT")]
        because: String,
    },
    /// Open it again.
    Reopen {
        /// The signal, or enough of its name.
        id: String,
        /// In your words.
        #[arg(long, value_name = "TEXT")]
        because: String,
    },
    /// Print a changed control as the difference to its file, or write it beside it to run in shadow.
    Draft {
        /// A signal, or a control.
        id: String,
        /// A parameter's new value.
        #[arg(long = "set", value_name = "NAME=VALUE", id = "change")]
        set: Vec<String>,
        /// Another failure condition.
        #[arg(long, value_name = "SQL")]
        fails_when: Option<String>,
        /// Only for rows of which this is true.
        #[arg(long = "where", value_name = "SQL")]
        scope: Option<String>,
        /// Write the draft into this folder.
        #[arg(long, value_name = "FOLDER")]
        into: Option<PathBuf>,
    },
    /// What a draft in shadow says beside the control that is in force.
    Shadow {
        /// The control in force.
        control: String,
        /// Its draft.
        #[arg(long, value_name = "CONTROL")]
        draft: Option<String>,
    },
    /// Simulate how often chance alone would raise a signal in a register of this size, and keep the number.
    Calibrate {
        /// How often the days are dealt out anew.
        #[arg(long, value_name = "N", default_value_t = 20)]
        rounds: u32,
        /// Where chance begins.
        #[arg(long, value_name = "N", default_value_t = 1)]
        seed: u64,
    },
    /// Take in requests of an older register, one JSON object a line. They are read for patterns and cover nothing.
    Import {
        /// The file.
        file: PathBuf,
    },
}

/// Does what the arguments say. The list ends with 1 while a review is open.
///
/// # Errors
/// When the store or the evidence cannot be read or written.
pub(super) async fn run(args: Args, opened: &Opened, out: &mut Out) -> anyhow::Result<ExitCode> {
    let Some(what) = args.what else {
        return list(args.all, opened, out).await;
    };
    match what {
        What::Show { id } => match named(opened, &id).await? {
            Ok(signal) => show(&signal, opened, out).await,
            Err(said) => refuse(USAGE, said),
        },
        What::Look => look(opened, out).await,
        What::Acknowledge { id } => act(opened, &id, Doing::Acknowledge, String::new(), out).await,
        What::Conclude {
            id,
            outcome,
            because,
            effective,
            until,
            draft,
        } => {
            let doing = Doing::Conclude {
                outcome,
                effective,
                until,
                draft: draft.map(ControlId::new),
            };
            act(opened, &id, doing, because, out).await
        }
        What::Dismiss {
            id,
            reason,
            because: why,
        } => {
            let reason = match reason {
                Reason::NotUseful => Dismissal::NotUseful,
                Reason::Accepted => Dismissal::Accepted,
                Reason::Duplicate => Dismissal::Duplicate,
                Reason::WrongData => Dismissal::WrongData,
            };
            act(opened, &id, Doing::Dismiss(reason), why, out).await
        }
        What::Reopen { id, because } => act(opened, &id, Doing::Reopen, because, out).await,
        What::Draft {
            id,
            set,
            fails_when,
            scope,
            into,
        } => {
            let set = match what_if::pairs(&set) {
                Ok(set) => set,
                Err(said) => return refuse(USAGE, said),
            };
            let change = Change {
                set,
                fails_when,
                scope,
            };
            draft(opened, &id, &change, into, out).await
        }
        What::Shadow { control, draft } => {
            let draft = draft.unwrap_or_else(|| format!("{control}-draft"));
            shadow(
                opened,
                &ControlId::new(control),
                &ControlId::new(draft),
                out,
            )
            .await
        }
        What::Calibrate { rounds, seed } => simulate(opened, rounds, seed, out).await,
        What::Import { file } => import(opened, &file, out).await,
    }
}

/// The signal that somebody means, or what to tell them.
async fn named(opened: &Opened, name: &str) -> anyhow::Result<Result<Signal, String>> {
    let found = signals::named(&mut opened.store().read().await?, name).await?;
    Ok(match found {
        Found::One(signal) => Ok(signal),
        Found::Nothing => Err(format!(
            "there is no signal `{name}`; `tripline signals --all` lists them"
        )),
        Found::Several(names) => Err(format!(
            "more than one signal begins with `{name}`: {}",
            names.join(", ")
        )),
    })
}

async fn list(all: bool, opened: &Opened, out: &mut Out) -> anyhow::Result<ExitCode> {
    let known = signals::all(&mut opened.store().read().await?).await?;
    let shown: Vec<&Signal> = known.iter().filter(|s| all || !s.is_over()).collect();
    let columns = [
        column("id", "SIGNAL"),
        column("state", "STATE"),
        column("kind", "KIND"),
        column("provision", "ASKS ABOUT"),
        column("due", "DUE"),
        column("owner", "LEAD"),
        column("sentence", "WHAT REPEATS"),
    ];
    out.list(&columns, shown.iter().map(|s| object(row(s))))?;
    if out.format() == Format::Table && shown.is_empty() {
        out.line("No policy is questioned. `tripline report trend` says what that means.")?;
    }
    let open = shown.iter().any(|s| s.is_open());
    Ok(ExitCode::from(if open { OPEN } else { CLEAN }))
}

fn row(signal: &Signal) -> serde_json::Value {
    json!({
        "id": signal.id,
        "state": word(signal.raised.state),
        "kind": signal.raised.kind,
        "control": signal.raised.control,
        "provision": signal.provision.as_ref().map(ToString::to_string),
        "due": signal.due,
        "owner": signal.owner,
        "opened": signal.opened_at,
        "sentence": signal.pattern.sentence,
    })
}

async fn show(signal: &Signal, opened: &Opened, out: &mut Out) -> anyhow::Result<ExitCode> {
    let events = signals::events(&mut opened.store().read().await?, &signal.id).await?;
    let control = ControlId::new(&signal.raised.control);
    let descriptors: Vec<BTreeMap<String, String>> = [
        Some(signal.pattern.descriptor.clone()),
        signal.pattern.runner_up.clone(),
    ]
    .into_iter()
    .flatten()
    .filter(|d| !d.is_empty())
    .collect();
    let suggested = match review::suggest(&opened.cx, &opened.set, &control, &descriptors).await {
        Ok(all) => all,
        Err(review::Error::Refused(_)) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    if out.format() != Format::Table {
        out.json(&json!({ "signal": signal, "events": events, "suggestions": suggested }))?;
        return Ok(ExitCode::from(CLEAN));
    }
    let heading = out.ink(Ink::Bold, &signal.pattern.sentence);
    out.line(format!("{}  {}", signal.id, word(signal.raised.state)))?;
    out.line(heading)?;
    if let (Some(provision), Some(version)) = (&signal.provision, signal.policy_version) {
        let lead = signal.owner.as_deref().unwrap_or("nobody");
        out.line(format!(
            "It questions {provision} (version {version}), led by {lead}; a conclusion is due on {}.",
            signal.due
        ))?;
    }
    let seen = &signal.pattern.observed;
    out.line(format!(
        "{} asks, {} of them independent, by {} teams in {} departments for {} subjects: {} approved, {} denied, {} pending.",
        seen.asks, seen.independent, seen.teams, seen.departments, seen.subjects, seen.approved, seen.denied, seen.pending
    ))?;
    if let Some(expected) = &signal.pattern.expected {
        out.line(format!(
            "Expected were {:.1}; the whole register was {:.2} times as busy as before.",
            expected.mu, expected.volume_offset
        ))?;
    }
    let chance = signal.false_alarms_per_quarter.map_or_else(
        || "How often chance alone raises one here was not simulated yet: `tripline signals calibrate`.".to_owned(),
        |rate| format!("Chance alone raises about {rate:.2} of these a quarter here."),
    );
    out.line(chance)?;
    section("What may be wrong", out)?;
    for cause in &signal.pattern.likely_causes {
        out.line(format!(
            "  {}: {}",
            named_word(&json!(cause.code)),
            cause.why
        ))?;
    }
    section("Gates", out)?;
    for gate in &signal.pattern.gates {
        out.line(format!("  {}", gate_line(&json!(gate))))?;
    }
    if !signal.pattern.quotes.is_empty() {
        section("In their words", out)?;
        for quote in &signal.pattern.quotes {
            let alike = if quote.similar_count > 1 {
                format!(", and {} much alike", quote.similar_count - 1)
            } else {
                String::new()
            };
            out.line(format!("  \"{}\" ({}{alike})", quote.text, quote.ask))?;
        }
    }
    section("Which change would help", out)?;
    if suggested.iter().all(|s| s.candidates.is_empty()) {
        out.line("  No change of a parameter would clear an exception that is in force.")?;
    } else {
        what_if::suggestions(&suggested, out)?;
        let best = suggested
            .iter()
            .find_map(|s| s.candidates.iter().find(|c| c.is_knee).map(|c| (s, c)));
        if let Some((suggestion, candidate)) = best {
            out.line(format!("  {}.", suggestion.sentence(candidate)))?;
            out.line(format!(
                "  Try it: tripline what-if {control} {}",
                suggestion.flags(candidate)
            ))?;
        }
    }
    if let Some(effect) = &signal.effect {
        section("What the change did", out)?;
        out.line(format!(
            "  {} asks in {:.0} weeks before, {} in {:.0} weeks since: {}",
            effect.before,
            effect.weeks_before,
            effect.after,
            effect.weeks_after,
            effect
                .closing
                .map_or_else(|| "too early to tell".to_owned(), |c| named_word(&json!(c)))
        ))?;
    }
    section("What happened", out)?;
    for event in events {
        let why = event.reason.map_or_else(String::new, |r| format!(": {r}"));
        out.line(format!(
            "  {}  {} by {}{why}",
            event.at.format("%Y-%m-%d"),
            event.act.replace('_', " "),
            event.actor.trim_start_matches("person:")
        ))?;
    }
    Ok(ExitCode::from(CLEAN))
}

fn section(title: &str, out: &mut Out) -> anyhow::Result<()> {
    let title = out.ink(Ink::Bold, title);
    out.line("")?;
    out.line(title)?;
    Ok(())
}

fn named_word(value: &serde_json::Value) -> String {
    value.as_str().unwrap_or_default().replace('_', " ")
}

fn gate_line(gate: &serde_json::Value) -> String {
    let text = |key: &str| {
        gate.get(key).map_or_else(String::new, |v| match v {
            serde_json::Value::Null => "not known".to_owned(),
            serde_json::Value::String(s) => s.replace('_', " "),
            other => other
                .as_f64()
                .map_or_else(|| other.to_string(), |n| format!("{n:.2}")),
        })
    };
    format!(
        "{}: {} (limit {}): {}",
        text("name"),
        text("value"),
        text("limit"),
        text("verdict")
    )
}

async fn look(opened: &Opened, out: &mut Out) -> anyhow::Result<ExitCode> {
    let looked = match review::look(&opened.cx, &opened.set).await {
        Ok(looked) => looked,
        Err(review::Error::Refused(said)) => return refuse(USAGE, said),
        Err(error) => return Err(error.into()),
    };
    if out.format() != Format::Table {
        out.json(
            &json!({ "detected": looked.detected, "said": looked.said, "owed": looked.owed }),
        )?;
        return Ok(ExitCode::from(CLEAN));
    }
    for (id, said) in &looked.said {
        out.line(format!("{id}: {}", named_word(&json!(said))))?;
    }
    let away = looked.detected.turned_away.len();
    out.line(format!(
        "{} signals, {} of them told; {away} patterns are none, and `tripline report trend` says why.",
        looked.said.len(),
        looked.said.iter().filter(|(_, s)| s.is_told()).count()
    ))?;
    for one in &looked.detected.turned_away {
        out.line(format!("  not a signal: {}", one.sentence))?;
    }
    Ok(ExitCode::from(CLEAN))
}

async fn act(
    opened: &Opened,
    name: &str,
    doing: Doing,
    because: String,
    out: &mut Out,
) -> anyhow::Result<ExitCode> {
    let signal = match named(opened, name).await? {
        Ok(signal) => signal,
        Err(said) => return refuse(USAGE, said),
    };
    let by = match token::who(opened).await? {
        Ok(by) => by,
        Err(said) => return refuse(USAGE, said),
    };
    let id = SignalId::from(signal.id.as_str());
    let done = review::conclude(&opened.cx, &opened.set, &by, (&id, doing), &because).await;
    match done {
        Ok(signal) => {
            if out.format() == Format::Table {
                out.line(format!(
                    "{} is {}.",
                    signal.id,
                    word(signal.raised.state).replace('_', " ")
                ))?;
            } else {
                out.json(&row(&signal))?;
            }
            Ok(ExitCode::from(CLEAN))
        }
        Err(review::Error::Refused(said)) => refuse(USAGE, said),
        Err(error) => Err(error.into()),
    }
}

async fn draft(
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
async fn shadow(
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
    let mut fails: BTreeMap<String, [bool; 2]> = BTreeMap::new();
    for (at, id) in [control, draft].into_iter().enumerate() {
        for finding in findings::of_control(&mut tx, id).await? {
            if finding.state.status.is_open() {
                let both = fails.entry(finding.subject.to_string()).or_default();
                if let Some(one) = both.get_mut(at) {
                    *one = true;
                }
            }
        }
    }
    let last = |run: &Option<crate::model::run::Run>| {
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
    let rows: Vec<_> = fails
        .iter()
        .filter(|(_, both)| both[0] != both[1])
        .map(|(subject, both)| {
            object(json!({
                "subject": subject,
                "in_force": if both[0] { "fails" } else { "passes" },
                "draft": if both[1] { "fails" } else { "passes" },
            }))
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

async fn simulate(
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

async fn import(opened: &Opened, file: &PathBuf, out: &mut Out) -> anyhow::Result<ExitCode> {
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
    let unknown: std::collections::BTreeSet<&str> = asks
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
