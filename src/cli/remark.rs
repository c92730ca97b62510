//! `tripline findings wrong` and `tripline mute`: what people say of results.

use std::process::ExitCode;

use chrono::{DateTime, Utc};
use clap::{Args as Arguments, Subcommand};
use serde_json::json;

use super::{
    CLEAN, USAGE,
    named::{refuse, unambiguous},
    open::Opened,
    out::{Format, Out, column},
    runs::object,
};
use crate::{
    model::{
        id::{ControlId, PersonId, SubjectId},
        people::Principal,
        plain,
        span::Span,
    },
    remark::{self, Speaker},
    store::{findings, mutes},
};

/// Who says it, and why.
#[derive(Debug, Clone, Arguments)]
pub struct By {
    /// Who says so: a person of `tripline.yaml`.
    #[arg(long, value_name = "PERSON")]
    by: String,
    /// Why, in a sentence that others will read.
    #[arg(long, value_name = "TEXT")]
    because: String,
}

impl By {
    /// The person, if there is one and they say why; otherwise what to say.
    pub(super) fn person(&self, opened: &Opened) -> Result<PersonId, String> {
        if self.because.trim().is_empty() {
            return Err("say why with `--because`: others will want to know".to_owned());
        }
        if let Some(hidden) = plain::hidden(&self.because) {
            return Err(plain::say("because", hidden));
        }
        match opened.set.catalog.directory.find(&self.by) {
            Some(Principal::Person(by)) => Ok(by),
            _ => Err(format!("`{}` is no person of `tripline.yaml`", self.by)),
        }
    }

    /// Who says what.
    pub(super) fn speaker<'a>(&'a self, by: &'a PersonId) -> Speaker<'a> {
        Speaker {
            by,
            because: self.because.trim(),
        }
    }
}

/// Which result is wrong.
#[derive(Debug, Clone, Arguments)]
pub struct Wrong {
    /// The finding, or enough of its name.
    finding: String,
    #[command(flatten)]
    by: By,
}

/// Says that a result is wrong.
///
/// # Errors
/// When the store cannot be read or written.
pub(super) async fn wrong(
    args: &Wrong,
    opened: &Opened,
    out: &mut Out,
) -> anyhow::Result<ExitCode> {
    let by = match args.by.person(opened) {
        Ok(by) => by,
        Err(said) => return refuse(USAGE, said),
    };
    let found = findings::named(&mut opened.store().read().await?, &args.finding).await?;
    let name = ("finding", args.finding.as_str());
    let finding = match unambiguous(found, name, "tripline findings") {
        Ok(finding) => finding,
        Err(said) => return refuse(USAGE, said),
    };
    let said = args.by.speaker(&by);
    let wrong = remark::wrong(&opened.cx, &opened.set, said, &finding).await?;
    match out.format() {
        Format::Table => out.line(format!(
            "{} is said to be wrong ({}). Who answers for `{}` is told; the finding stands until the control says otherwise.",
            finding.key.short(),
            wrong.id,
            finding.control
        ))?,
        _ => out.json(&json!(wrong))?,
    }
    Ok(ExitCode::from(CLEAN))
}

/// Silence that somebody asks for, and that ends: list it, begin it, end it early.
#[derive(Debug, Clone, Arguments)]
pub struct Args {
    /// What to do; without it, what is muted is listed.
    #[command(subcommand)]
    what: Option<What>,
}

/// What to do with mutes.
#[derive(Debug, Clone, Subcommand)]
pub enum What {
    /// List what is muted.
    List,
    /// Keep silent for a while about a control, a subject, or one on the other. Findings go on being found.
    Begin(Begin),
    /// Speak again before the time is over.
    End {
        /// The mute.
        id: String,
        /// Who, and why.
        #[command(flatten)]
        by: By,
    },
}

/// About what, and for how long.
#[derive(Debug, Clone, Arguments)]
pub struct Begin {
    /// About this control.
    #[arg(long, value_name = "ID", required_unless_present = "subject")]
    control: Option<String>,
    /// About this subject.
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<String>,
    /// For how long (`4h`, `2d`), at most 30 days.
    #[arg(long = "for", value_name = "TIME")]
    how_long: Span,
    #[command(flatten)]
    by: By,
}

/// The longest silence. Who wants more asks for an exception.
const LONGEST: Span = Span::days(30);

/// Does what the arguments say.
///
/// # Errors
/// When the store cannot be read or written.
pub(super) async fn run(args: &Args, opened: &Opened, out: &mut Out) -> anyhow::Result<ExitCode> {
    match args.what.as_ref().unwrap_or(&What::List) {
        What::List => list(opened, out).await,
        What::Begin(args) => begin(args, opened, out).await,
        What::End { id, by } => end(id, by, opened, out).await,
    }
}

async fn list(opened: &Opened, out: &mut Out) -> anyhow::Result<ExitCode> {
    let now = opened.now();
    let muted = mutes::in_force(&mut opened.store().read().await?, now).await?;
    let columns = [
        column("id", "MUTE"),
        column("control", "CONTROL"),
        column("subject", "SUBJECT"),
        column("until", "UNTIL"),
        column("by", "BY"),
        column("reason", "BECAUSE"),
    ];
    out.list(&columns, muted.iter().map(|m| object(json!(m))))?;
    Ok(ExitCode::from(CLEAN))
}

async fn begin(args: &Begin, opened: &Opened, out: &mut Out) -> anyhow::Result<ExitCode> {
    let by = match args.by.person(opened) {
        Ok(by) => by,
        Err(said) => return refuse(USAGE, said),
    };
    if args.how_long > LONGEST || args.how_long == Span::default() {
        return refuse(
            USAGE,
            format!(
                "a mute lasts from a moment to {LONGEST}; what deviates longer needs an exception"
            ),
        );
    }
    let control = args.control.as_deref().map(ControlId::new);
    if let Some(id) = control
        .as_ref()
        .filter(|id| opened.set.catalog.control(id).is_none())
    {
        return refuse(
            USAGE,
            format!("there is no control `{id}`; `tripline controls` lists them"),
        );
    }
    let about = (control, args.subject.as_deref().map(SubjectId::from));
    let until: DateTime<Utc> = opened.now() + args.how_long.to_delta();
    let mute = remark::mute(&opened.cx, args.by.speaker(&by), about, until).await?;
    match out.format() {
        Format::Table => out.line(format!(
            "{}: nobody is told of it until {}. What is mended is told all the same.",
            mute.id,
            until.format("%-d %b %Y %H:%M UTC")
        ))?,
        _ => out.json(&json!(mute))?,
    }
    Ok(ExitCode::from(CLEAN))
}

async fn end(id: &str, by: &By, opened: &Opened, out: &mut Out) -> anyhow::Result<ExitCode> {
    let person = match by.person(opened) {
        Ok(person) => person,
        Err(said) => return refuse(USAGE, said),
    };
    if !remark::unmute(&opened.cx, by.speaker(&person), id).await? {
        return refuse(
            USAGE,
            format!("there is no mute `{id}` that still holds; `tripline mute` lists them"),
        );
    }
    out.line(format!("{id} is over."))?;
    Ok(ExitCode::from(CLEAN))
}
