//! `tripline report`: what auditors ask for.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

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
    daemon::signing::Signer,
    model::id::SubjectId,
    report::{
        self, changes, pack, process,
        sample::{self, Draw},
        trend::{self, gather::Asked, model::Trend},
    },
    store::reports,
};

/// What auditors ask for: the process, a sample, what was permitted when, changes against exceptions, and all of it as
/// one signed folder.
#[derive(Debug, Clone, Arguments)]
pub struct Args {
    /// Ask as of this instant, of what was collected by then; whatever writes is refused outside a rehearsal.
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
        /// The moment; a date alone is its beginning in UTC.
        #[arg(value_parser = moment)]
        time: DateTime<Utc>,
    },
    /// Each deviation that began in a period, with the exception that permitted it or without one.
    Changes {
        /// The time.
        #[command(flatten)]
        period: Period,
    },
    /// Where exceptions repeat, what they have in common, and which change of a policy would help: for those who lead
    /// policies. `--format html`, `md`, `csv` or `json`.
    Trend {
        /// The quarter (`2026Q3`); the one that runs now if left out.
        #[arg(long, value_name = "QUARTER")]
        period: Option<String>,
        /// Write it into this folder; with `csv`, one file for each figure.
        #[arg(long, value_name = "FOLDER")]
        into: Option<PathBuf>,
    },
    /// Trend reports that were made, the newest first; or one of them as it was made, after its digest was checked.
    Kept {
        /// The beginning of its digest, or a quarter for the newest of it.
        which: Option<String>,
        /// Write it into this folder; with `csv`, one file for each figure.
        #[arg(long, value_name = "FOLDER")]
        into: Option<PathBuf>,
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
    /// From this instant on; a date alone is its beginning in UTC.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: Option<DateTime<Utc>>,
    /// Before this instant.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    to: Option<DateTime<Utc>>,
}

/// An instant, or a date for its beginning.
fn moment(text: &str) -> Result<DateTime<Utc>, String> {
    let day = format!("{text}T00:00:00Z");
    text.parse()
        .or_else(|_| day.parse())
        .map_err(|_| "write an instant or a date: `2026-11-20T08:00:00Z`, `2026-11-20`".to_owned())
}

impl Period {
    fn bounds(self, now: DateTime<Utc>) -> (DateTime<Utc>, DateTime<Utc>) {
        let to = self.to.unwrap_or(now);
        (self.from.unwrap_or(to - chrono::TimeDelta::days(92)), to)
    }
}

impl Args {
    /// Whether a report is kept or signed.
    pub(super) const fn acts(&self) -> bool {
        matches!(self.what, What::Trend { .. } | What::Pack { .. })
    }
}

/// Reports.
///
/// # Errors
/// When the store cannot be read, or a file not be written.
pub(super) async fn run(args: &Args, opened: &Opened, out: &mut Out) -> anyhow::Result<ExitCode> {
    let now = opened.now();
    if let What::Trend { period, into } = &args.what {
        return trend(period.as_deref(), into.as_deref(), opened, out).await;
    }
    if let What::Kept { which, into } = &args.what {
        return kept(which.as_deref(), into.as_deref(), opened, out).await;
    }
    let mut tx = opened.store().read().await?;
    match &args.what {
        What::Trend { .. } | What::Kept { .. } => {}
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
        What::At { time, .. } if *time > now && !opened.config.rehearsal => {
            return refuse(USAGE, format!("{} has not come yet", time.to_rfc3339()));
        }
        What::Changes { period } if period.bounds(now).0 > period.bounds(now).1 => {
            return refuse(USAGE, "the period ends before it begins");
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
                "policy",
                "approved_by",
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
            let signer = Signer::open(opened.store(), &opened.config).await?;
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
            match pack::write(&mut tx, &opened.set, (folder, signer.key()), &wanted, now).await {
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

/// Makes the trend report, keeps it, and writes it in the format that was asked for.
async fn trend(
    period: Option<&str>,
    into: Option<&Path>,
    opened: &Opened,
    out: &mut Out,
) -> anyhow::Result<ExitCode> {
    let asked = match Asked::quarter(period, opened.now().date_naive()) {
        Ok(asked) => asked,
        Err(said) => return refuse(USAGE, said),
    };
    if asked.from > opened.now().date_naive() {
        return refuse(USAGE, format!("{} has not begun", asked.name));
    }
    let site = opened.config.notify.site(&opened.config.organisation);
    let made = trend::gather::gather(&opened.cx, &opened.set, &site, asked).await?;
    let content = trend::send::keep(&opened.cx, &made).await?;
    let said = format!("kept as {}, and in the audit log.", content.short());
    if let Err(why) = write(&forms(&made, out.format())?, into, &said, out)? {
        return refuse(USAGE, why);
    }
    Ok(ExitCode::from(CLEAN))
}

/// A report in a format: its files with their names.
fn forms(made: &Trend, format: Format) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let name = format!("trend-{}", made.period.name);
    Ok(match format {
        Format::Html => vec![(format!("{name}.html"), trend::html::render(made)?.into())],
        Format::Json | Format::Ndjson => vec![(format!("{name}.json"), trend::json::bytes(made)?)],
        Format::Csv => trend::columns::files(made)?,
        Format::Table | Format::Md => {
            vec![(format!("{name}.md"), trend::markdown::render(made)?.into())]
        }
    })
}

/// Writes files into a folder and says so with `said`; a single one without a folder to the reader. What was asked wrongly
/// is given back.
fn write(
    files: &[(String, Vec<u8>)],
    into: Option<&Path>,
    said: &str,
    out: &mut Out,
) -> anyhow::Result<Result<(), &'static str>> {
    let Some(folder) = into else {
        let [(_, only)] = files else {
            return Ok(Err("one file for each figure: name a folder with `--into`"));
        };
        out.text(&String::from_utf8_lossy(only))?;
        return Ok(Ok(()));
    };
    fs::create_dir_all(folder)?;
    for (name, bytes) in files {
        fs::write(folder.join(name), bytes)?;
    }
    let many = counted(files.len() as u64, "file");
    Out::stderr().line(format!("{many} in {}; {said}", folder.display()))?;
    Ok(Ok(()))
}

/// Lists the reports that were kept, or gives one of them.
async fn kept(
    which: Option<&str>,
    into: Option<&Path>,
    opened: &Opened,
    out: &mut Out,
) -> anyhow::Result<ExitCode> {
    let mut tx = opened.store().read().await?;
    let all = reports::list(&mut tx, trend::send::KIND).await?;
    let Some(name) = which else {
        let columns = [
            column("period", "PERIOD"),
            column("made_at", "MADE AT"),
            column("content", "SHA-256 OF ITS CONTENT"),
        ];
        out.list(&columns, all.iter().map(|r| object(json!(r))))?;
        return Ok(ExitCode::from(CLEAN));
    };
    // The newest of a quarter, or the one whose digest begins so.
    let newest = all.iter().find(|r| r.period.eq_ignore_ascii_case(name));
    let lower = name.to_ascii_lowercase();
    let found = newest.map_or_else(
        || {
            all.iter()
                .filter(|r| r.content.starts_with(&lower))
                .collect()
        },
        |one| vec![one],
    );
    let one = match found.as_slice() {
        [one] => *one,
        [] => {
            let said = format!("no report `{name}` is kept; `tripline report kept` lists them");
            return refuse(USAGE, said);
        }
        _ => return refuse(USAGE, format!("more than one report begins with `{name}`")),
    };
    let digest = one.content.parse().map_err(anyhow::Error::msg)?;
    let body = reports::get(&mut tx, digest).await?.unwrap_or_default();
    if !trend::json::is_kept(&body, &one.content)? {
        let said = format!("what is kept as {} is not what was made", digest.short());
        return refuse(OPEN, said);
    }
    let files = if matches!(out.format(), Format::Table | Format::Json | Format::Ndjson) {
        vec![(
            format!("trend-{}.json", one.period),
            trend::json::written(body)?,
        )]
    } else if let Ok(made) = serde_json::from_value::<Trend>(body) {
        forms(&made, out.format())?
    } else {
        let said = "it was made by another version, which had other parts: only JSON can be given";
        return refuse(USAGE, said);
    };
    let said = format!("it is what was kept as {}.", digest.short());
    if let Err(why) = write(&files, into, &said, out)? {
        return refuse(USAGE, why);
    }
    Ok(ExitCode::from(CLEAN))
}
