//! `tripline decide`: may this be, for this subject, now? For pipelines and gateways that ask before they act, with an
//! answer that they can check without us.

use std::{fs, path::PathBuf, process::ExitCode};

use chrono::{DateTime, TimeDelta, Utc};
use clap::{Args as Arguments, Subcommand};
use serde_json::{Map, json};

use super::{
    CLEAN, NOT_CHECKED, OPEN, USAGE,
    named::refuse,
    open::Opened,
    out::{Format, Ink, Out},
};
use crate::{
    audit::token,
    clock::stamp,
    daemon::signing::Signer,
    exception::misfits,
    model::{
        id::{ControlId, SubjectId},
        span::Span,
    },
    register::{self, Against, Answer, Verdict},
};

/// Ask whether something may be, for a subject, now: allowed, covered by an exception, an exception is required, or denied.
#[derive(Debug, Clone, Arguments)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Args {
    /// Ask as of this instant, of what was collected by then; whatever writes is refused outside a rehearsal.
    #[arg(long, global = true, value_name = "TIME")]
    pub(super) as_of: Option<DateTime<Utc>>,
    /// What to do with tokens; without it, the question is answered.
    #[command(subcommand)]
    what: Option<What>,
    /// By this control.
    #[arg(long, value_name = "ID", required_unless_present = "policy")]
    control: Option<String>,
    /// By every control of this policy; the gravest answer counts.
    #[arg(long, value_name = "ID", conflicts_with = "control")]
    policy: Option<String>,
    /// The subject (`aws/secret/ledger-key`).
    #[arg(long, value_name = "SUBJECT", required = true)]
    subject: Option<String>,
    /// What is known of the request that would be made (`data_sensitivity=internal`, may be given more than once).
    #[arg(long, value_name = "NAME=VALUE")]
    facet: Vec<String>,
    /// Print a signed token that others can check, good for so long; never longer than the exception.
    #[arg(long, value_name = "TIME")]
    token: Option<Span>,
}

/// What to do with tokens.
#[derive(Debug, Clone, Subcommand)]
pub enum What {
    /// Check a token.
    Verify {
        /// A file with the token.
        file: PathBuf,
    },
    /// Print the public half of the key that signs tokens, as a JSON Web Key.
    Key,
}

impl Args {
    /// Whether an answer is signed that others act on.
    pub(super) const fn acts(&self) -> bool {
        self.token.is_some()
    }
}

/// The longest that an answer may be acted on.
const LONGEST: Span = Span::hours(1);

/// Does what the arguments say. Ends with 0 when it may be, 1 when it may not, 3 when it cannot be told.
///
/// # Errors
/// When the store or the evidence cannot be read.
pub(super) async fn run(args: &Args, opened: &Opened, out: &mut Out) -> anyhow::Result<ExitCode> {
    let held = Signer::open(opened.store(), &opened.config).await?;
    let key = held.key();
    match &args.what {
        Some(What::Key) => {
            out.json(&key.tokens().jwk())?;
            return Ok(ExitCode::from(CLEAN));
        }
        Some(What::Verify { file }) => {
            let text = fs::read_to_string(file);
            let text = match text {
                Ok(text) => text,
                Err(error) => return refuse(USAGE, format!("{}: {error}", file.display())),
            };
            let jwk = key.tokens().jwk();
            let issuer = key.public().origin();
            return match token::verify(text.trim(), &jwk, issuer, opened.now()) {
                Ok(claims) => {
                    out.json(&json!(claims))?;
                    Ok(ExitCode::from(CLEAN))
                }
                Err(error) => refuse(OPEN, error),
            };
        }
        None => {}
    }
    let mut facets = Map::new();
    for one in &args.facet {
        let Some((name, value)) = one.split_once('=') else {
            return refuse(USAGE, format!("`{one}` is no `name=value`"));
        };
        let value = serde_json::from_str(value).unwrap_or_else(|_| json!(value));
        facets.insert(name.to_owned(), value);
    }
    if let Some(wrong) = misfits(&facets).first() {
        return refuse(USAGE, &wrong.say);
    }
    let against = match (&args.control, &args.policy) {
        (Some(id), _) => Against::Control(ControlId::new(id)),
        (None, policy) => Against::Policy(policy.as_deref().unwrap_or_default().into()),
    };
    let subject = SubjectId::from(args.subject.as_deref().unwrap_or_default());
    let all = register::verdict(&opened.cx, &opened.set, (&against, &subject), &facets).await;
    let all = match all {
        Ok(all) => all,
        Err(register::Error::Refused(refused)) => return refuse(USAGE, refused.say),
        Err(error) => return Err(error.into()),
    };
    let Some(worst) = all.first() else {
        return refuse(USAGE, "no control answers that");
    };
    if let Some(lasts) = args.token {
        let now = opened.now();
        if lasts > LONGEST {
            Out::stderr().line(format!(
                "warning: an answer is good for at most {LONGEST}, and not for {lasts}"
            ))?;
        }
        let mut until = now + lasts.min(LONGEST).to_delta();
        if let Some(end) = worst.until {
            until = until.min(end);
        }
        // A token speaks in whole seconds and never past its exception.
        let until = until - TimeDelta::nanoseconds(i64::from(until.timestamp_subsec_nanos()));
        let answer = json!(worst);
        let answer = answer.as_object().cloned().unwrap_or_default();
        let signed =
            key.tokens()
                .sign((subject.as_str(), stamp("dec-", now)), answer, (now, until))?;
        out.line(signed)?;
    } else {
        say(&all, out)?;
    }
    Ok(ExitCode::from(match worst.answer {
        Answer::Allowed | Answer::Covered => CLEAN,
        Answer::ExceptionRequired | Answer::Denied => OPEN,
        Answer::Unknown => NOT_CHECKED,
    }))
}

fn say(all: &[Verdict], out: &mut Out) -> anyhow::Result<()> {
    if out.format() != Format::Table {
        out.json(&json!({ "answer": all.first().map(|v| v.answer), "by": all }))?;
        return Ok(());
    }
    for one in all {
        let ink = match one.answer {
            Answer::Allowed | Answer::Covered => Ink::Good,
            Answer::ExceptionRequired | Answer::Unknown => Ink::Warn,
            Answer::Denied => Ink::Bad,
        };
        let word = out.ink(ink, &one.answer.as_str().replace('_', " "));
        out.line(format!("{word}: {}", one.because))?;
        out.line(format!(
            "  by {} ({}, version {})",
            one.control,
            one.provision,
            one.policy_version.unwrap_or(0)
        ))?;
        if let Some(until) = one.until {
            out.line(format!("  until {}", until.format("%Y-%m-%d %H:%M UTC")))?;
        }
        if let Some(tier) = &one.tier {
            out.line(format!(
                "  a request would be of tier {tier}, by {}",
                one.routes.join(", ")
            ))?;
            out.line(format!(
                "  through {}",
                if one.steps.is_empty() {
                    "no step".to_owned()
                } else {
                    one.steps.join(", ")
                }
            ))?;
        }
    }
    Ok(())
}
