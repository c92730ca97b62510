//! The report as the two parts of a mail: tables without drawings, because mail programs do not draw, and plain text.
//! It carries counts and sentences; what people wrote stays on the page.

use minijinja::{AutoEscape, Environment, syntax::SyntaxConfig};
use serde::Serialize;
use serde_json::json;

use super::{
    Error,
    model::{Known, Signal, SignalState, Trend},
    section, sentences,
    value::Shown,
};
use crate::{catalog::template, notify::text};

/// Templates of the mail, by name; the frame is that of every mail.
const TEMPLATES: &[(&str, &str)] = &[
    (
        "frame.html",
        include_str!("../../notify/templates/frame.html"),
    ),
    ("trend.html", include_str!("templates/mail.html")),
    ("trend.txt", include_str!("templates/mail.txt")),
];

/// Signals that are told; the page has all.
const MOST: usize = 10;

/// What stands under the mail.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Foot {
    /// Why the reader gets it, in a sentence.
    pub why: String,
    /// How the page is made, where it has no address.
    pub command: Option<String>,
    /// What else was made meanwhile, in a sentence.
    pub beside: Option<String>,
    /// Where the reader ends it, or changes how often it comes.
    pub unsubscribe: Option<String>,
    /// The newest signed checkpoint of the audit log.
    pub checkpoint: Option<String>,
}

/// The parts of the mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// Its subject.
    pub subject: String,
    /// For people who read HTML.
    pub html: String,
    /// For people who read text.
    pub text: String,
}

#[derive(Serialize)]
struct Row {
    label: &'static str,
    tone: &'static str,
    sentence: String,
    line: String,
    what_if: Option<String>,
}

#[derive(Serialize)]
struct Line {
    what: String,
    value: String,
}

/// The mail.
pub fn parts(trend: &Trend, foot: &Foot) -> Result<Parts, Error> {
    let trend = &super::json::settled_trend(trend)?;
    let mut sentences = sentences(trend);
    let first = if sentences.is_empty() {
        String::new()
    } else {
        sentences.remove(0)
    };
    let subject = format!(
        "Exceptions and policies, {}: {} open",
        text::line(&trend.period.name),
        text::counted(trend.counts.open, "signal"),
    );
    let facts = json!({
        "subject": subject,
        "preheader": text::clip(&first, 140),
        "organisation": text::line(&trend.organisation),
        "first": first,
        "sentences": sentences,
        "rows": trend.signals.iter().take(MOST).map(row).collect::<Vec<_>>(),
        "more": trend.signals.len().saturating_sub(MOST),
        "counts": counts(trend),
        "link": trend.made.link,
        "foot": foot,
    });
    let environment = environment()?;
    let write = |name: &str| {
        environment
            .get_template(name)?
            .render(template::value(&facts))
    };
    Ok(Parts {
        html: write("trend.html")?,
        text: write("trend.txt")?,
        subject,
    })
}

fn environment() -> Result<Environment<'static>, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_syntax(
        SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()?,
    );
    environment.set_auto_escape_callback(|name| {
        if name
            .rsplit_once('.')
            .is_some_and(|(_, ending)| ending == "html")
        {
            AutoEscape::Html
        } else {
            AutoEscape::None
        }
    });
    for (name, source) in TEMPLATES {
        environment.add_template(name, source)?;
    }
    Ok(environment)
}

fn row(signal: &Signal) -> Row {
    let tone = match signal.state {
        SignalState::Open => "bad",
        SignalState::Acknowledged | SignalState::WhatIfAttached => "warn",
        SignalState::ClosedEffective => "good",
        _ => "calm",
    };
    let due = match &signal.due {
        Known::Value(day) if signal.is_overdue => format!("overdue since {}", day.shown()),
        Known::Value(day) => format!("due {}", day.shown()),
        Known::Unknown(_) => "no due date".to_owned(),
    };
    let knee = signal.candidates.iter().find(|c| c.is_knee);
    Row {
        label: signal.state.word(),
        tone,
        sentence: text::line(&signal.sentence),
        line: text::line(&format!(
            "{} · {} · {}{} · {} · {due}",
            signal.id,
            signal.policy,
            signal.kind.word(),
            // Not of a kind that is found otherwise.
            signal
                .evidence
                .expected
                .value()
                .map_or_else(String::new, |e| format!(" · expected {}", e.shown())),
            signal.owner,
        )),
        what_if: knee.map(|c| {
            format!(
                "{}: clears {}, newly admits {}",
                text::line(&c.summary),
                c.cleared.shown(),
                c.newly_admitted.total.shown()
            )
        }),
    }
}

fn counts(trend: &Trend) -> Vec<Line> {
    let line = |what: &str, value: String| Line {
        what: what.to_owned(),
        value,
    };
    let mut lines: Vec<Line> = section::front::counts(trend)
        .into_iter()
        .map(|(what, cell)| line(what, cell.text()))
        .collect();
    lines.push(line("on watch", (trend.watch.len() as u64).shown()));
    lines.push(line(
        "turned away by a gate",
        (trend.turned_away.len() as u64).shown(),
    ));
    lines.push(line("subjects checked", trend.quality.checked.shown()));
    lines
}
