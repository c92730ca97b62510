//! One signal on a screen, in the order in which somebody who leads a policy asks.

use std::{collections::BTreeMap, process::ExitCode};

use chrono::NaiveDate;
use serde_json::json;

use crate::{
    cli::{
        CLEAN,
        open::Opened,
        out::{Format, Ink, Out},
        what_if,
    },
    model::id::ControlId,
    review,
    signal::{
        gate::{Gate, GateName, Verdict},
        record::{Signal, word},
    },
    store::signals,
};

/// Prints all that is known of it, and which change would help.
pub(super) async fn show(
    signal: &Signal,
    opened: &Opened,
    out: &mut Out,
) -> anyhow::Result<ExitCode> {
    let events = signals::events(&mut opened.store().read().await?, &signal.id).await?;
    let control = ControlId::new(&signal.raised.control);
    let descriptors: Vec<BTreeMap<String, String>> = [
        Some(signal.pattern.descriptor.clone()),
        signal.pattern.runner_up.clone(),
    ]
    .into_iter()
    .flatten()
    .filter(|d| !d.is_empty())
    .collect();
    let (suggested, untried) =
        match review::suggest(&opened.cx, &opened.set, &control, &descriptors).await {
            Ok(all) => (all, None),
            Err(why @ (review::Error::Refused(_) | review::Error::Untried(_))) => {
                (Vec::new(), Some(why.to_string()))
            }
            Err(error) => return Err(error.into()),
        };
    if out.format() != Format::Table {
        out.json(&json!({ "signal": signal, "events": events, "suggestions": suggested, "untried": untried }))?;
        return Ok(ExitCode::from(CLEAN));
    }
    let heading = out.ink(Ink::Bold, &signal.pattern.sentence);
    out.line(format!("{}  {}", signal.id, word(signal.raised.state)))?;
    out.line(heading)?;
    if let (Some(provision), Some(version)) = (&signal.provision, signal.policy_version) {
        let lead = signal.owner.as_deref().unwrap_or("nobody");
        out.line(format!(
            "It questions {provision} (version {version}), led by {lead}."
        ))?;
    }
    out.line(standing(signal, opened.now().date_naive()))?;
    let seen = &signal.pattern.observed;
    out.line(format!(
        "{} asks, {} of them independent, by {} teams in {} departments for {} subjects: {} approved, {} denied, {} pending.",
        seen.asks, seen.independent, seen.teams, seen.departments, seen.subjects, seen.approved, seen.denied, seen.pending
    ))?;
    if let Some(silent) = signal.pattern.findings.sentence() {
        out.line(silent)?;
    }
    if let Some(expected) = &signal.pattern.expected {
        out.line(format!(
            "Expected were {:.1}; the whole register was {:.2} times as busy as before.",
            expected.mu, expected.volume_offset
        ))?;
    }
    out.line(signal.chance())?;
    section("What may be wrong", out)?;
    for cause in &signal.pattern.likely_causes {
        out.line(format!(
            "  {}: {}",
            named_word(&json!(cause.code)),
            cause.why
        ))?;
    }
    if !signal.pattern.gates.is_empty() {
        section("What it might have been instead", out)?;
        for gate in &signal.pattern.gates {
            out.line(format!("  {}", gate_line(gate)))?;
        }
    }
    if !signal.pattern.quotes.is_empty() {
        section("In their words", out)?;
        for quote in &signal.pattern.quotes {
            let alike = if quote.similar_count > 1 {
                format!(", and {} much alike", quote.similar_count - 1)
            } else {
                String::new()
            };
            out.line(format!("  \"{}\" ({}{alike})", quote.text, quote.ask))?;
        }
    }
    section("Which change would help", out)?;
    if let Some(why) = untried {
        out.line(format!("  None was tried: {why}."))?;
    } else if suggested.iter().all(|s| s.candidates.is_empty()) {
        out.line("  No change of a parameter would clear an exception that is in force.")?;
    } else {
        what_if::suggestions(&suggested, out)?;
        let best = suggested
            .iter()
            .find_map(|s| s.candidates.iter().find(|c| c.is_knee).map(|c| (s, c)));
        if let Some((suggestion, candidate)) = best {
            out.line(format!("  {}.", suggestion.sentence(candidate)))?;
            out.line(format!(
                "  Try it: tripline what-if {control} {}",
                suggestion.flags(candidate)
            ))?;
        }
    }
    if let Some(effect) = &signal.effect {
        section("What the change did", out)?;
        out.line(format!(
            "  {} asks in {:.0} weeks before, {} in {:.0} weeks since: {}",
            effect.before,
            effect.weeks_before,
            effect.after,
            effect.weeks_after,
            effect
                .closing
                .map_or_else(|| "too early to tell".to_owned(), |c| named_word(&json!(c)))
        ))?;
    }
    if let Some(admitted) = &signal.admitted {
        section("Whom the change admitted", out)?;
        out.line(format!(
            "  {} subjects that failed in {}, and {} findings on them since",
            admitted.subjects.len(),
            admitted.run,
            admitted.later.len()
        ))?;
        for one in &admitted.later {
            out.line(format!(
                "  {}  {} failed {}",
                one.at.format("%Y-%m-%d"),
                one.subject,
                one.control
            ))?;
        }
    }
    section("What happened", out)?;
    for event in events {
        let why = event.reason.map_or_else(String::new, |r| format!(": {r}"));
        out.line(format!(
            "  {}  {} by {}{why}",
            event.at.format("%Y-%m-%d"),
            event.act.replace('_', " "),
            event.actor.trim_start_matches("person:")
        ))?;
    }
    Ok(ExitCode::from(CLEAN))
}

/// Where it stands, and what is due by when.
fn standing(signal: &Signal, today: NaiveDate) -> String {
    if signal.is_open() {
        let late = if signal.due < today {
            ", and is overdue"
        } else {
            ""
        };
        return format!("A conclusion was asked for by {}{late}.", signal.due);
    }
    let Some(said) = &signal.conclusion else {
        return format!("It is {}.", word(signal.raised.state));
    };
    let from = said
        .effective
        .map_or_else(String::new, |day| format!(", in force from {day}"));
    let draft = said
        .draft
        .as_ref()
        .map_or_else(String::new, |draft| format!("; `{draft}` runs in shadow"));
    format!(
        "{} concluded on {}: {}{from}{draft}.",
        said.by,
        said.at.format("%Y-%m-%d"),
        named_word(&json!(said.outcome))
    )
}

fn section(title: &str, out: &mut Out) -> anyhow::Result<()> {
    let title = out.ink(Ink::Bold, title);
    out.line("")?;
    out.line(title)?;
    Ok(())
}

pub(super) fn named_word(value: &serde_json::Value) -> String {
    value.as_str().unwrap_or_default().replace('_', " ")
}

/// One gate with its number, its limit and their unit.
fn gate_line(gate: &Gate) -> String {
    let share = |n: f64| format!("{:.0} %", n * 100.0);
    let plain = |n: f64| format!("{n:.0}");
    let (what, least, write): (&str, bool, &dyn Fn(f64) -> String) = match gate.name {
        GateName::Rollout => ("weeks since the control's version came", true, &plain),
        GateName::Approved => ("approved of those decided", true, &share),
        GateName::Teams => ("teams with an approved ask", true, &plain),
        GateName::Departments => ("departments", true, &plain),
        GateName::BusiestTeam => ("asks of the busiest team", false, &share),
        GateName::Incident => ("asks out of one incident or change", false, &share),
        GateName::Burst => ("teams left without the densest days", true, &plain),
        GateName::Lasting => ("teams in the emptiest quarter", true, &plain),
    };
    let bound = if least { "at least" } else { "at most" };
    let limit = write(gate.limit);
    match (gate.value, gate.verdict) {
        (Some(value), Verdict::Pass) => {
            format!("{what}: {} ({bound} {limit} is wanted)", write(value))
        }
        (Some(value), _) => format!("{what}: {}, and {bound} {limit} is wanted", write(value)),
        (None, _) => format!("{what}: not known, so it holds nothing back"),
    }
}
