//! `tripline exception`: ask for an exception, decide it, watch it, end it, look back at it. Whoever acts is known by
//! their token.

mod act;
mod ask;
mod delegate;
mod import;
mod list;
mod package;
mod queue;
mod show;

use std::{path::PathBuf, process::ExitCode};

use chrono::{DateTime, Utc};
use clap::{Args as Arguments, Subcommand};

use super::{
    CLEAN, USAGE,
    named::{refuse, unambiguous},
    open::Opened,
    out::Out,
    token,
};
use crate::{
    exception::record::{Outcome, Record},
    model::{exception::State, id::PersonId},
    register,
    store::exceptions,
};

/// Exceptions: those in force or on their way, unless asked otherwise.
#[derive(Debug, Clone, Arguments)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    /// Ask as of this instant, of what was collected by then; whatever writes is refused outside a rehearsal.
    #[arg(long, global = true, value_name = "TIME")]
    pub(super) as_of: Option<DateTime<Utc>>,
    /// What to do; without it, they are listed.
    #[command(subcommand)]
    what: Option<What>,
    /// Which to list.
    #[command(flatten)]
    which: list::Which,
}

/// What to do with exceptions.
#[derive(Debug, Clone, Subcommand)]
pub enum What {
    /// List them.
    List(list::Which),
    /// Look at a request as the register would, and keep nothing.
    Preview {
        /// The file.
        file: PathBuf,
    },
    /// Hand a request in.
    Submit {
        /// The file.
        file: PathBuf,
        /// It is this request again, which was sent back or denied.
        #[arg(long, value_name = "ID")]
        again: Option<String>,
    },
    /// Say everything about one.
    Show {
        /// The exception.
        id: String,
    },
    /// Put together what you need to decide one.
    Package {
        /// The exception.
        id: String,
    },
    /// What was put before approvers: all of it, or one by its digest, to prove what was seen.
    Seen {
        /// The exception.
        id: String,
        /// The digest, or its first eight digits or more.
        digest: Option<String>,
    },
    /// What waits for you.
    Queue,
    /// Agree, bound to the package that you saw; also to ratify an emergency, or to let a suspended one go on.
    Approve {
        /// The exception.
        id: String,
        /// The digest of the package that you saw (its first eight digits are enough).
        #[arg(long, value_name = "DIGEST")]
        package: String,
        /// An earlier end.
        #[arg(long, value_name = "TIME")]
        ends: Option<DateTime<Utc>>,
        /// What must hold besides: a condition as in a request, as YAML or in a file of its own (may be given more than
        /// once). It is part of the terms from then on.
        #[arg(long = "condition", value_name = "YAML-OR-FILE")]
        conditions: Vec<String>,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        because: Option<String>,
    },
    /// Refuse, with a reason.
    Deny {
        /// The exception.
        id: String,
        /// The digest of the package that you saw.
        #[arg(long, value_name = "DIGEST")]
        package: String,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        because: String,
    },
    /// Send it back with a question.
    Ask {
        /// The exception.
        id: String,
        /// The digest of the package that you saw.
        #[arg(long, value_name = "DIGEST")]
        package: String,
        /// What is missing.
        #[arg(long, value_name = "TEXT")]
        because: String,
    },
    /// Put a request into force at once, in an emergency; the chain must ratify it.
    Grant(Say),
    /// Your team needs the same: join it.
    Join(Say),
    /// Take a request back.
    Withdraw(Say),
    /// End one before its time.
    Revoke(Say),
    /// Put one out of force until it is decided anew.
    Suspend(Say),
    /// You looked at it again, and it may go on.
    Review(Say),
    /// Give your word that a condition holds.
    Attest {
        /// The exception.
        id: String,
        /// The condition.
        condition: String,
        /// What you saw.
        #[arg(long, value_name = "TEXT")]
        because: String,
    },
    /// Let somebody act in your place: in one of your roles, for a time.
    Delegate {
        /// Who acts.
        to: String,
        /// In which of your roles.
        #[arg(long, value_name = "ROLE")]
        role: String,
        /// From when on; now, when left out.
        #[arg(long, value_name = "TIME")]
        from: Option<DateTime<Utc>>,
        /// Until when.
        #[arg(long, value_name = "TIME")]
        until: DateTime<Utc>,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        because: String,
    },
    /// Who acts in whose place, and did before.
    Delegations,
    /// Take a delegation back.
    Undelegate {
        /// Its id.
        id: String,
    },
    /// Turn what another tool calls an exception into drafts, with what each lacks.
    Import(import::Args),
    /// Answer what a request without an end asks of the policy that you lead.
    Answer(Say),
    /// Look back at one that is over.
    Close {
        /// The exception.
        id: String,
        /// How it came out.
        #[arg(long, value_name = "OUTCOME")]
        outcome: Outcome,
        /// In your words.
        #[arg(long, value_name = "TEXT")]
        because: String,
    },
}

/// Which exception, and why.
#[derive(Debug, Clone, Arguments)]
pub struct Say {
    /// The exception.
    id: String,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    because: String,
}

impl Args {
    /// Whether something is written.
    pub(super) const fn acts(&self) -> bool {
        !matches!(
            self.what,
            None | Some(
                What::List(_)
                    | What::Preview { .. }
                    | What::Show { .. }
                    | What::Seen { .. }
                    | What::Queue
                    | What::Delegations
                    | What::Import(_)
            )
        )
    }
}

/// Does what the arguments say.
///
/// # Errors
/// When the store or the evidence cannot be read or written.
pub(super) async fn run(args: Args, opened: &Opened, out: &mut Out) -> anyhow::Result<ExitCode> {
    match args.what.unwrap_or(What::List(args.which)) {
        What::List(which) => list::list(&which, opened, out).await,
        What::Preview { file } => ask::preview(opened, &file, out).await,
        What::Show { id } => show::one(opened, &id, out).await,
        What::Seen { id, digest } => package::seen(opened, &id, digest.as_deref(), out).await,
        What::Import(args) => import::run(opened, &args, out).await,
        What::Delegations => delegate::list(opened, out).await,
        what => match token::who(opened).await? {
            Ok(by) => {
                let done = known(opened, &by, what, out).await;
                // What it covers falls silent at once, and whoever is to hear of it is owed a word; the daemon or the next
                // pass sends it.
                if !opened.looks_back() {
                    register::settle(&opened.cx, &opened.set).await?;
                    register::tell(&opened.cx, &opened.set).await?;
                }
                done
            }
            Err(said) => refuse(USAGE, said),
        },
    }
}

/// What needs to know who acts.
async fn known(
    opened: &Opened,
    by: &PersonId,
    what: What,
    out: &mut Out,
) -> anyhow::Result<ExitCode> {
    match what {
        What::Submit { file, again } => {
            ask::submit(opened, by, (&file, again.as_deref()), out).await
        }
        What::Queue => queue::run(opened, by, out).await,
        What::Delegate {
            to,
            role,
            from,
            until,
            because,
        } => {
            let period = (from.unwrap_or_else(|| opened.now()), until);
            delegate::lend(opened, by, (&to, &role), period, &because, out).await
        }
        What::Undelegate { id } => delegate::take_back(opened, by, &id, out).await,
        What::Package { id } => package::run(opened, by, &id, out).await,
        what => act::run(opened, by, what, out).await,
    }
}

/// The exception that a name means, or what to say.
async fn named(opened: &Opened, name: &str) -> anyhow::Result<Result<Record, String>> {
    let found = exceptions::named(&mut opened.store().read().await?, name).await?;
    Ok(unambiguous(
        found,
        ("exception", name),
        "tripline exception list --all",
    ))
}

/// What came of an act, or why it was refused: a mistake of whoever acts is no fault of ours.
fn outcome(
    done: Result<Record, register::Error>,
    say: impl FnOnce(&Record) -> String,
    out: &mut Out,
) -> anyhow::Result<ExitCode> {
    match done {
        Ok(record) => {
            match out.format() {
                super::out::Format::Table => out.line(say(&record))?,
                _ => out.json(&serde_json::json!(record))?,
            }
            Ok(ExitCode::from(CLEAN))
        }
        Err(error) => refused(error),
    }
}

/// Says why something was refused.
fn refused(error: register::Error) -> anyhow::Result<ExitCode> {
    match error {
        register::Error::Refused(_) | register::Error::Nothing(_) | register::Error::Policy(_) => {
            refuse(USAGE, error)
        }
        register::Error::Store(crate::store::Error::Changed { .. }) => {
            refuse(USAGE, format!("{error}: look at it again, and decide anew"))
        }
        error => Err(error.into()),
    }
}

/// Where an exception stands, for people.
fn standing(record: &Record, now: DateTime<Utc>) -> String {
    match record.state_at(now) {
        State::Active => format!(
            "active until {}",
            record.times.expires_at.format("%Y-%m-%d %H:%M UTC")
        ),
        State::Approved => format!(
            "approved, in force from {}",
            record.times.not_before.format("%Y-%m-%d %H:%M UTC")
        ),
        state => state.as_str().replace('_', " "),
    }
}
