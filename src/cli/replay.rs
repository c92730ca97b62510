//! `tripline replay`: a past run judged again over its own evidence, which must say the same.

use std::process::ExitCode;

use clap::Args as Arguments;
use serde_json::json;

use super::{
    CLEAN, INTERNAL, NOT_CHECKED, USAGE,
    open::Opened,
    out::{Format, Ink, Out},
};
use crate::{
    run::{Replayed, replay},
    store::{Found, runs},
};

/// Judge a past run again, over its own evidence at its own instant.
#[derive(Debug, Clone, Arguments)]
pub struct Args {
    /// The run, or enough of its name; `tripline runs` lists them.
    run: String,
}

/// Replays a run and says what came of it. Exit code 0 for the same outcomes, 4 for others, 3 when it
/// cannot be replayed any more.
///
/// # Errors
/// When the store or the evidence cannot be read.
pub(super) async fn run(args: &Args, opened: &Opened, out: &mut Out) -> anyhow::Result<ExitCode> {
    let found = runs::named(&mut opened.store().read().await?, &args.run).await?;
    let run = match found {
        Found::One(run) => run,
        Found::Nothing => {
            let said = format!(
                "error: there is no run `{}`; `tripline runs` lists them",
                args.run
            );
            Out::stderr().line(said)?;
            return Ok(ExitCode::from(USAGE));
        }
        Found::Several(names) => {
            let said = format!(
                "error: more than one run begins with `{}`: {}",
                args.run,
                names.join(", ")
            );
            Out::stderr().line(said)?;
            return Ok(ExitCode::from(USAGE));
        }
    };
    let replayed = replay(&opened.cx, &opened.set, &run).await?;
    let (code, word, sentence) = match &replayed {
        Replayed::Same => (
            CLEAN,
            "same",
            format!(
                "{}: the same outcomes, {} pass, {} fail, {} unknown.",
                run.id, run.counts.pass, run.counts.fail, run.counts.unknown
            ),
        ),
        Replayed::Different(d) => (
            INTERNAL,
            "different",
            format!(
                "{}: other outcomes than recorded: {}/{}/{} pass/fail/unknown then, {}/{}/{} now. The evidence, the record or \
             the program is not what it was; `tripline audit verify` tells which.",
                run.id,
                d.then.pass,
                d.then.fail,
                d.then.unknown,
                d.now.pass,
                d.now.fail,
                d.now.unknown
            ),
        ),
        Replayed::Unknown(then) => (
            NOT_CHECKED,
            "unknown_control",
            format!(
                "{}: what `{}` was then ({}) was not kept. Load the files as they were, and replay with them.",
                run.id,
                run.control,
                then.short(),
            ),
        ),
        Replayed::Gone(dataset, snapshot) => (
            NOT_CHECKED,
            "gone",
            format!(
                "{}: the snapshot {} of `{dataset}` is no longer kept.",
                run.id,
                snapshot.as_ref().map_or("-", |s| s.as_str())
            ),
        ),
    };
    if out.format() == Format::Table {
        let ink = if code == CLEAN { Ink::Good } else { Ink::Bad };
        let sentence = out.ink(ink, &sentence);
        out.line(sentence)?;
    } else {
        out.json(&json!({ "run": run.id, "replayed": word, "detail": sentence, "outcomes": run.outcomes }))?;
    }
    Ok(ExitCode::from(code))
}
