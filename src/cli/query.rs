//! `tripline query`: SQL over the newest evidence, or over that of a past instant.

use std::process::ExitCode;

use chrono::{DateTime, Utc};
use clap::Args as Arguments;

use super::{
    CLEAN, NOT_CHECKED, USAGE,
    open::Opened,
    out::{Column, Out},
};
use crate::{
    evaluate::{self, inputs},
    evidence::{Evidence, Standing},
    model::{outcome::Unknown, span::Span},
    store::snapshots,
};

/// Ask the evidence a question in SQL; `tripline sources` names the tables.
#[derive(Debug, Clone, Arguments)]
pub struct Args {
    /// One SELECT.
    sql: String,
    /// The evidence as it was at this instant, which is also what `now()` says.
    #[arg(long, value_name = "TIME")]
    pub(super) as_of: Option<DateTime<Utc>>,
    /// At most so many rows.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    limit: usize,
}

/// Answers it.
///
/// # Errors
/// The store or the evidence cannot be read.
pub(super) async fn run(args: &Args, opened: &Opened, out: &mut Out) -> anyhow::Result<ExitCode> {
    let evidence = match evidence(&args.sql, opened).await? {
        Ok(evidence) => evidence,
        Err(problem) => return refused(&problem),
    };
    let limit = Some(args.limit);
    let engine = &opened.cx.engine;
    let answer = match engine
        .query(&args.sql, &evidence, opened.now(), limit)
        .await
    {
        Ok(answer) => answer,
        Err(evaluate::Error::Sql(problem)) => return refused(&problem.to_string()),
        Err(error @ evaluate::Error::Evidence(Unknown::NeverCollected, _)) => {
            let said =
                format!("error: {error}; `tripline check` and `tripline doctor` read every source");
            Out::stderr().line(said)?;
            return Ok(ExitCode::from(NOT_CHECKED));
        }
        Err(error) => return Err(error.into()),
    };
    let names: Vec<&'static str> = answer
        .columns
        .iter()
        // A process prints one answer, and its headings live as long as it does.
        .map(|c| &*Box::leak(c.name.clone().into_boxed_str()))
        .collect();
    let columns: Vec<Column> = names
        .iter()
        .map(|name| Column {
            key: name,
            title: name,
        })
        .collect();
    out.list(&columns, answer.all().await?)?;
    Ok(ExitCode::from(CLEAN))
}

fn refused(problem: &str) -> anyhow::Result<ExitCode> {
    Out::stderr().line(format!("error: {problem}"))?;
    Ok(ExitCode::from(USAGE))
}

/// The newest believable snapshot of each table that the question reads. How old it is does not matter here.
async fn evidence(sql: &str, opened: &Opened) -> anyhow::Result<Result<Evidence, String>> {
    let set = &opened.set;
    let wanted = match evaluate::datasets_of(sql).and_then(|all| inputs(&all, &set.views)) {
        Ok(wanted) => wanted,
        Err(problem) => return Ok(Err(problem.to_string())),
    };
    let mut evidence = Evidence {
        views: set.views.clone(),
        ..Evidence::default()
    };
    let mut tx = opened.store().read().await?;
    let now = opened.now();
    for name in &wanted {
        let Some(schema) = set.catalog.dataset(name) else {
            let known: Vec<String> = set
                .catalog
                .schemas
                .keys()
                .map(ToString::to_string)
                .collect();
            return Ok(Err(format!(
                "there is no table `{name}`; there are {}",
                known.join(", ")
            )));
        };
        let snapshot = snapshots::newest(&mut tx, name, snapshots::Newest::whole_by(now)).await?;
        let standing = Standing {
            dataset: name,
            schema,
            snapshot: snapshot.as_ref(),
            last_good: None,
        };
        evidence.add(standing, Span::days(365_000), now);
    }
    Ok(Ok(evidence))
}
