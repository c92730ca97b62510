//! `tripline test`: every control, and every policy with rules for exceptions, says of its own examples what its
//! author says.

use std::{collections::BTreeSet, process::ExitCode, sync::Arc};

use clap::Args as Arguments;
use serde_json::json;

use super::{
    CLEAN, OPEN, USAGE,
    out::{Format, Ink, Out, column, counted},
    runs::object,
};
use crate::{
    config::Loaded,
    daemon::wire,
    evaluate::{self, Offer},
    exception::Rulebook,
    model::{control::Control, id::ControlId, outcome::Outcome, policy::Policy},
    run::Set,
};

/// Try the examples of all controls and policies, or of one control.
#[derive(Debug, Clone, Arguments)]
pub struct Args {
    /// Only this control.
    #[arg(long, value_name = "ID")]
    control: Option<String>,
}

/// An example, and what came of it.
struct Tried {
    /// What `of` is.
    noun: &'static str,
    /// The control or the policy.
    of: String,
    place: String,
    expected: String,
    got: String,
    holds: bool,
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
            of_control(control, &set, &mut tried).await;
        }
    }
    if only.is_none() {
        for policy in set.catalog.policies.values() {
            of_policy(policy, &mut tried)?;
        }
    }
    let wrong = tried.iter().filter(|t| !t.holds).count();
    if out.format() == Format::Table {
        summarize(&tried, wrong, out)?;
    } else {
        let columns = ["of", "place", "expected", "got", "holds"].map(|c| column(c, c));
        out.list(&columns, tried.iter().map(row))?;
    }
    Ok(ExitCode::from(if wrong == 0 { CLEAN } else { OPEN }))
}

async fn of_control(control: &Control, set: &Set, tried: &mut Vec<Tried>) {
    let offer = Offer {
        schemas: &set.catalog.schemas,
        views: &set.views,
    };
    for example in &control.examples {
        let got = evaluate::example(control, example, offer).await;
        let holds = match (&got, example.expect) {
            (Ok(Outcome::Unknown(_)), Outcome::Unknown(_)) if !example.because_given => true,
            (Ok(got), wanted) => *got == wanted,
            (Err(_), _) => false,
        };
        tried.push(Tried {
            noun: "control",
            of: control.id.to_string(),
            place: example.place.to_string(),
            expected: said(example.expect),
            got: got.map_or_else(|e| e.to_string(), said),
            holds,
        });
    }
}

/// The examples of a policy's rules for exceptions.
fn of_policy(policy: &Policy, tried: &mut Vec<Tried>) -> anyhow::Result<()> {
    let Some(rules) = &policy.exceptions else {
        return Ok(());
    };
    let rulebook = Rulebook::new(Arc::new((**rules).clone()))
        .map_err(|problem| anyhow::anyhow!("{}", problem.what))?;
    for example in &policy.examples {
        let mut facets = example.given.clone();
        let triage = rulebook.triage(&mut facets);
        let routed = rulebook.route(&triage, &facets);
        let words = |tier: &str, routes: &[&str], steps: &[String]| {
            vec![
                format!("tier {tier}"),
                format!("routes [{}]", routes.join(", ")),
                format!("steps [{}]", steps.join(", ")),
            ]
        };
        let names: Vec<&str> = example.routes.iter().map(String::as_str).collect();
        let mut expected = words(&example.tier, &names, &example.steps);
        let mut got = words(&triage.tier, &routed.names(), &routed.steps);
        if let Some(urgency) = &example.urgency {
            expected.push(format!("urgency {urgency}"));
            got.push(format!("urgency {}", triage.urgency));
        }
        if let Some(sla) = example.sla {
            expected.push(format!("within {sla}"));
            got.extend(routed.sla.map(|sla| format!("within {sla}")));
        }
        let (expected, got) = (expected.join(", "), got.join(", "));
        tried.push(Tried {
            noun: "policy",
            of: policy.id.to_string(),
            place: example.place.to_string(),
            holds: expected == got,
            expected,
            got,
        });
    }
    Ok(())
}

fn row(one: &Tried) -> serde_json::Map<String, serde_json::Value> {
    object(json!({
        "of": one.of,
        "place": one.place,
        "expected": one.expected,
        "got": one.got,
        "holds": one.holds,
    }))
}

fn summarize(tried: &[Tried], wrong: usize, out: &mut Out) -> anyhow::Result<()> {
    for one in tried.iter().filter(|t| !t.holds) {
        let mark = out.ink(Ink::Bad, "wrong");
        out.line(format!(
            "{mark} {}: {}: expected {}, got {}",
            one.place, one.of, one.expected, one.got
        ))?;
    }
    let of: BTreeSet<(&str, &str)> = tried.iter().map(|t| (t.noun, t.of.as_str())).collect();
    let all: Vec<String> = ["control", "policy"]
        .iter()
        .map(|noun| (noun, of.iter().filter(|(n, _)| n == noun).count()))
        .filter(|(_, count)| *count > 0)
        .map(|(noun, count)| counted(count as u64, noun))
        .collect();
    let examples = counted(tried.len() as u64, "example");
    let sentence = format!("{examples} of {}", all.join(" and "));
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
