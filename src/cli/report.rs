//! `tripline report`: what auditors ask for.

use std::{path::PathBuf, process::ExitCode};

use chrono::{DateTime, Utc};
use clap::{Args as Arguments, Subcommand};
use serde_json::json;

use super::{
    CLEAN, OPEN, USAGE,
    named::refuse,
    open::Opened,
    out::{Format, Out, column, counted},
    runs::object,
};
use crate::{
    daemon::wire,
    model::id::SubjectId,
    report::{
        self, changes, pack, process,
        sample::{self, Draw},
    },
};

/// What auditors ask for: the process, a sample, what was permitted when, changes against exceptions, and all of it as
/// one signed folder.
#[derive(Debug, Clone, Arguments)]
pub struct Args {
    /// Live at this instant, as `tripline check --as-of` does.
    #[arg(long, global = true, value_name = "TIME")]
    pub(super) as_of: Option<DateTime<Utc>>,
    /// What to report.
    #[command(subcommand)]
    what: What,
}

/// What to report.
#[derive(Debug, Clone, Subcommand)]
pub enum What {
    /// The process of exceptions as it is configured, as Markdown with diagrams.
    Process,
    /// Draw a sample of exceptions that anybody can draw again.
    Sample {
        /// Named before anybody looks.
        #[arg(long, value_name = "TEXT")]
        seed: String,
        /// How many.
        #[arg(long, value_name = "N", default_value_t = 25)]
        count: usize,
        /// The time.
        #[command(flatten)]
        period: Period,
    },
    /// What was authorised for a subject at a moment.
    At {
        /// The subject.
        subject: String,
        /// The moment.
        time: DateTime<Utc>,
    },
    /// Each deviation that began in a period, with the exception that permitted it or without one.
    Changes {
        /// The time.
        #[command(flatten)]
        period: Period,
    },
    /// The evidence that an exception process is established and followed, as one signed folder.
    Pack {
        /// The folder; empty or not there yet.
        folder: PathBuf,
        /// The seed of the sample in it.
        #[arg(long, value_name = "TEXT")]
        seed: String,
        /// The time.
        #[command(flatten)]
        period: Period,
    },
}

/// A period.
#[derive(Debug, Clone, Copy, Arguments)]
pub struct Period {
    /// From this instant on.
    #[arg(long, value_name = "TIME")]
    from: Option<DateTime<Utc>>,
    /// Before this instant.
    #[arg(long, value_name = "TIME")]
    to: Option<DateTime<Utc>>,
}

impl Period {
    fn bounds(self, now: DateTime<Utc>) -> (DateTime<Utc>, DateTime<Utc>) {
        let to = self.to.unwrap_or(now);
        (self.from.unwrap_or(to - chrono::TimeDelta::days(92)), to)
    }
}

/// Reports.
///
/// # Errors
/// When the store cannot be read, or a file not be written.
pub(super) async fn run(args: &Args, opened: &Opened, out: &mut Out) -> anyhow::Result<ExitCode> {
    let now = opened.now();
    let mut tx = opened.store().read().await?;
    match &args.what {
        What::Process => {
            out.text(&process::markdown(
                &opened.set.catalog,
                &opened.config.organisation,
            ))?;
        }
        What::Sample {
            seed,
            count,
            period,
        } => {
            let draw = Draw {
                seed: seed.clone(),
                count: *count,
                from: period.from,
                to: period.to,
            };
            let drawn = sample::draw(&mut tx, &draw, now).await?;
            let columns = [
                "exception",
                "title",
                "approval",
                "justification",
                "expiration",
                "owner",
                "objections",
            ]
            .map(|c| column(c, c));
            out.list(&columns, drawn.iter().map(|d| object(json!(d))))?;
            if out.format() == Format::Table {
                let many = counted(drawn.len() as u64, "exception");
                out.line(format!(
                    "{many} drawn with the seed `{seed}`: the same seed draws the same."
                ))?;
            }
            let bad = drawn.iter().any(|d| !d.objections.is_empty());
            return Ok(ExitCode::from(if bad { OPEN } else { CLEAN }));
        }
        What::At { subject, time } => {
            let all = changes::at(&mut tx, &SubjectId::from(subject.as_str()), *time).await?;
            let columns = [
                "control",
                "finding",
                "exception",
                "from",
                "until",
                "because",
            ]
            .map(|c| column(c, c));
            out.list(&columns, all.iter().map(|a| object(json!(a))))?;
            if out.format() == Format::Table && all.is_empty() {
                out.line("Nothing was ever found on it.")?;
            }
        }
        What::Changes { period } => {
            let all = changes::of_period(&mut tx, period.bounds(now)).await?;
            let columns = [
                "at",
                "control",
                "subject",
                "finding",
                "exception",
                "verdict",
            ]
            .map(|c| column(c, c));
            out.list(&columns, all.iter().map(|a| object(json!(a))))?;
            if out.format() == Format::Table {
                let without = all.iter().filter(|a| a.verdict == "not_authorised").count();
                let many = counted(all.len() as u64, "deviation");
                out.line(format!(
                    "{many} began in that time, {without} without an exception."
                ))?;
            }
        }
        What::Pack {
            folder,
            seed,
            period,
        } => {
            let key = wire::key(&opened.config)?;
            let wanted = pack::Wanted {
                organisation: &opened.config.organisation,
                period: period.bounds(now),
                draw: Draw {
                    seed: seed.clone(),
                    count: 25,
                    from: period.from,
                    to: period.to,
                },
            };
            match pack::write(&mut tx, &opened.set, (folder, &key), &wanted, now).await {
                Ok(files) => out.line(format!(
                    "{} in {}",
                    counted(files as u64, "file"),
                    folder.display()
                ))?,
                Err(error @ report::Error::NotEmpty(_)) => return refuse(USAGE, error),
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(ExitCode::from(CLEAN))
}
