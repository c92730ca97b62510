//! `tripline test`: every control says of its own examples what its author says.

use std::process::ExitCode;

use clap::Args as Arguments;
use serde_json::json;

use super::{
    CLEAN, OPEN, USAGE,
    out::{Format, Ink, Out, column},
    runs::object,
};
use crate::{
    config::Loaded,
    daemon::wire,
    evaluate::{self, Offer},
    model::{
        control::{Control, Example},
        id::ControlId,
        outcome::Outcome,
    },
    run::Set,
};

/// Try the examples of all controls, or of one.
#[derive(Debug, Clone, Arguments)]
pub struct Args {
    /// Only this control.
    #[arg(long, value_name = "ID")]
    control: Option<String>,
}

/// An example, and what came of it.
struct Tried<'a> {
    control: &'a Control,
    example: &'a Example,
    got: Result<Outcome, String>,
}

impl Tried<'_> {
    fn holds(&self) -> bool {
        match (&self.got, self.example.expect) {
            (Ok(Outcome::Unknown(_)), Outcome::Unknown(_)) if !self.example.because_given => true,
            (Ok(got), wanted) => *got == wanted,
            (Err(_), _) => false,
        }
    }
}

fn said(outcome: Outcome) -> String {
    match outcome {
        Outcome::Unknown(why) => format!("unknown, because: {}", why.as_str()),
        other => other.as_str().to_owned(),
    }
}

/// Tries them. Exit code 1 when one does not come out as it says.
///
/// # Errors
/// The output cannot be written.
pub(super) async fn run(args: &Args, loaded: Loaded, out: &mut Out) -> anyhow::Result<ExitCode> {
    let Loaded {
        config, catalog, ..
    } = loaded;
    let set = wire::set(catalog, &config)?;
    let only = args.control.as_deref().map(ControlId::new);
    if let Some(id) = only.as_ref().filter(|id| set.catalog.control(id).is_none()) {
        Out::stderr().line(format!("error: there is no control `{id}`"))?;
        return Ok(ExitCode::from(USAGE));
    }
    let mut tried = Vec::new();
    for control in set.catalog.controls.values() {
        if only.as_ref().is_none_or(|id| *id == control.id) {
            try_all(control, &set, &mut tried).await;
        }
    }
    let wrong = tried.iter().filter(|t| !t.holds()).count();
    if out.format() == Format::Table {
        summarize(&tried, wrong, out)?;
    } else {
        list(&tried, out)?;
    }
    Ok(ExitCode::from(if wrong == 0 { CLEAN } else { OPEN }))
}

async fn try_all<'a>(control: &'a Control, set: &Set, tried: &mut Vec<Tried<'a>>) {
    let offer = Offer {
        schemas: &set.catalog.schemas,
        views: &set.views,
    };
    for example in &control.examples {
        let got = evaluate::example(control, example, offer).await;
        tried.push(Tried {
            control,
            example,
            got: got.map_err(|e| e.to_string()),
        });
    }
}

fn summarize(tried: &[Tried<'_>], wrong: usize, out: &mut Out) -> anyhow::Result<()> {
    for one in tried.iter().filter(|t| !t.holds()) {
        let got = match &one.got {
            Ok(got) => said(*got),
            Err(why) => why.clone(),
        };
        let mark = out.ink(Ink::Bad, "wrong");
        out.line(format!(
            "{mark} {}: {}: expected {}, got {got}",
            one.example.place,
            one.control.id,
            said(one.example.expect)
        ))?;
    }
    let controls: std::collections::BTreeSet<&ControlId> =
        tried.iter().map(|t| &t.control.id).collect();
    let noun = if controls.len() == 1 {
        "control"
    } else {
        "controls"
    };
    let sentence = format!("{} examples of {} {noun}", tried.len(), controls.len());
    out.line(if wrong == 0 {
        format!(
            "{}: {sentence} come out as they say.",
            out.ink(Ink::Good, "Passed")
        )
    } else {
        format!(
            "{}: {wrong} of {sentence} do not.",
            out.ink(Ink::Bad, "Failed")
        )
    })?;
    Ok(())
}

fn list(tried: &[Tried<'_>], out: &mut Out) -> anyhow::Result<()> {
    let rows = tried.iter().map(|one| {
        object(json!({
            "control": one.control.id,
            "place": one.example.place.to_string(),
            "expected": said(one.example.expect),
            "got": one.got.as_ref().map_or_else(Clone::clone, |got| said(*got)),
            "holds": one.holds(),
        }))
    });
    let columns = ["control", "place", "expected", "got", "holds"].map(|c| column(c, c));
    out.list(&columns, rows)?;
    Ok(())
}
