//! `tripline signals`: repeated exceptions that question a policy, and what those who lead it do about them.

mod show;
mod work;

use std::{num::NonZeroU32, path::PathBuf, process::ExitCode};

use chrono::{DateTime, NaiveDate, Utc};
use clap::{Args as Arguments, Subcommand, ValueEnum};
use serde_json::json;

use self::{
    show::{named_word, show},
    work::{draft, import, shadow, simulate},
};
use super::{
    CLEAN, OPEN, USAGE,
    named::refuse,
    open::Opened,
    out::{Format, Out, column},
    runs::object,
    token, what_if,
};
use crate::{
    model::id::{ControlId, SignalId},
    review::{self, Doing, change::Change},
    signal::{
        lifecycle::Dismissal,
        record::{Outcome, Signal, word},
    },
    store::{Found, signals},
};

/// Repeated exceptions that question a policy, and what becomes of each.
#[derive(Debug, Clone, Arguments)]
pub struct Args {
    /// Ask as of this instant, of what was collected by then; whatever writes is refused outside a rehearsal.
    #[arg(long, global = true, value_name = "TIME")]
    pub(super) as_of: Option<DateTime<Utc>>,
    /// Also those that are over.
    #[arg(long, global = true)]
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
    /// List them, as without a word.
    List,
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
        #[arg(long = "set", value_name = "NAME=VALUE", id = "change", help = what_if::SET)]
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
        #[arg(long, value_name = "N", default_value = "20")]
        rounds: NonZeroU32,
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

impl Args {
    /// Whether something is written.
    pub(super) const fn acts(&self) -> bool {
        !matches!(
            self.what,
            None | Some(What::Show { .. } | What::Draft { .. } | What::Shadow { .. })
        )
    }
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
        What::List => list(args.all, opened, out).await,
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
