//! One section for each open signal: the numbers, what a changed policy would have done, the gates, the words of people.

use std::fmt::Write as _;

use super::counted;
use crate::{
    chart::{
        Chart,
        frontier::{Dot, Frontier, Rank},
    },
    notify::text,
    report::trend::{
        model::{Candidate, Observed, Signal, SignalKind, Trend},
        outline::{Cell, Figure, Look, Section, Table, numbers, words},
        value::{Known, Probability, Shown},
    },
};

/// What every what-if assumes.
const LIMITS: &str = "A what-if assumes that teams behave as they did, though they drift \
    towards a new limit. It sees only subjects with evidence: what is unknown is neither \
    cleared nor admitted. That an exception was approved does not prove that its risk was \
    acceptable.";

/// The sections.
pub(in crate::report::trend) fn all(trend: &Trend) -> Vec<Section> {
    trend.signals.iter().enumerate().map(one).collect()
}

fn one((i, signal): (usize, &Signal)) -> Section {
    let id = format!("s{}", i + 1);
    let base = format!("/signals/{i}");
    let title = format!("{}: {} ({})", signal.id, signal.control, signal.kind.word());
    let mut section = Section::new(3, &id, &title);
    section.say(&signal.sentence);
    let mut common = format!("In common: {}.", signal.descriptor);
    if let Some(second) = &signal.runner_up {
        let _ = write!(common, " Second best description: {second}.");
    }
    section.say(&common);
    section.figure(what_if(&id, &base, signal));
    if !signal.candidates.is_empty() {
        section.say(LIMITS);
    }
    if signal.teams_elsewhere > 0 && !signal.candidates.is_empty() {
        section.say(
            "A what-if counts exceptions of this register alone: what some of the teams hold by \
            an older one, it does not see. The numbers below say how many those are.",
        );
    }
    section.figure(numbers_of(&id, &base, signal));
    if !signal.gates.is_empty() {
        section.figure(gates(&id, signal));
    }
    let causes: Vec<String> = signal
        .causes
        .iter()
        .map(|c| format!("{}: {}", c.cause, c.why))
        .collect();
    section.list("Likely causes", &causes);
    let quotes: Vec<String> = signal
        .quotes
        .iter()
        .map(|q| {
            format!(
                "“{}” ({} like it)",
                text::clip(&text::line(&q.text), 280),
                counted(q.similar, "ask")
            )
        })
        .collect();
    section.list("In people's words, for policy leads alone", &quotes);
    section
}

fn numbers_of(id: &str, base: &str, signal: &Signal) -> Figure {
    let evidence = &signal.evidence;
    let row = |what: &str, cell: Cell| vec![Cell::words(what), cell];
    let mut rows = match &signal.observed {
        Known::Value(seen) => observed(&format!("{base}/observed/value"), seen),
        Known::Unknown(why) => vec![row(
            "What was seen",
            Cell::words(&format!("not known: {why}")),
        )],
    };
    rows.push(row(
        "Teams whose exceptions stand in an older register alone",
        Cell::value(&format!("{base}/teams_elsewhere"), &signal.teams_elsewhere),
    ));
    // What a kind of signal is not judged by is left out, not printed as unknown.
    let is_emergence = signal.kind == SignalKind::Emergence;
    if is_emergence || evidence.expected.value().is_some() {
        rows.push(row(
            "Expected units of teams",
            Cell::value(&format!("{base}/evidence/expected"), &evidence.expected),
        ));
    }
    if is_emergence || evidence.ratio.value().is_some() {
        rows.push(row(
            "Seen against expected (90 % interval)",
            Cell::value(&format!("{base}/evidence/ratio"), &evidence.ratio),
        ));
    }
    let judged = |what: &str, key: &str, value: &Known<Probability>| {
        row(what, Cell::value(&format!("{base}/evidence/{key}"), value))
    };
    match signal.kind {
        SignalKind::Emergence => rows.extend([
            judged("p: by chance", "p", &evidence.p),
            judged("q: with all tests of the scan", "q", &evidence.q),
        ]),
        SignalKind::ChronicBudget => rows.push(judged(
            "Posterior: over its budget",
            "posterior",
            &evidence.posterior,
        )),
        SignalKind::RenewalLoop => {}
    }
    rows.extend([
        row(
            "Since",
            Cell::value(&format!("{base}/since"), &signal.since),
        ),
        row(
            if signal.is_overdue {
                "Overdue since"
            } else {
                "Due"
            },
            Cell::value(&format!("{base}/due"), &signal.due),
        ),
        row("State", Cell::words(signal.state.word())),
        row("Owner", Cell::words(&signal.owner)),
        row(
            "Policy and version",
            Cell::words(&format!("{}, {}", signal.policy, signal.policy_version)),
        ),
        row(
            "Control and version",
            Cell::words(&format!("{}, {}", signal.control, signal.control_version)),
        ),
    ]);
    match &signal.effect {
        Known::Value(effect) => {
            rows.push(row("Linked change", Cell::words(&effect.change)));
            rows.push(row(
                "Asks after against before (95 % interval)",
                Cell::value(&format!("{base}/effect/value/ratio"), &effect.ratio),
            ));
        }
        Known::Unknown(why) => rows.push(row(
            "Effect of a linked change",
            Cell::words(&format!("not known: {why}")),
        )),
    }
    Figure {
        id: format!("{id}-numbers"),
        title: "The numbers".to_owned(),
        reading: String::new(),
        is_table_first: false,
        chart: None,
        table: Table {
            caption: format!("What {} rests on.", signal.id),
            columns: vec![words("Measure", "measure"), numbers("Value", "value")],
            rows,
            empty: String::new(),
            look: Look::Plain,
        },
    }
}

/// What was seen, in rows.
fn observed(at: &str, seen: &Observed) -> Vec<Vec<Cell>> {
    let row = |what: &str, cell: Cell| vec![Cell::words(what), cell];
    vec![
        row(
            "Distinct teams",
            Cell::value(&format!("{at}/teams"), &seen.teams),
        ),
        row(
            "Distinct departments",
            Cell::value(&format!("{at}/departments"), &seen.departments),
        ),
        row(
            "Independent asks",
            Cell::value(&format!("{at}/asks"), &seen.asks),
        ),
        row(
            "Duplicates not counted",
            Cell::value(&format!("{at}/duplicates"), &seen.duplicates),
        ),
        row(
            "Approved of those decided",
            Cell::value(&format!("{at}/approved"), &seen.approved),
        ),
        row(
            "Not decided yet",
            Cell::value(&format!("{at}/pending"), &seen.pending),
        ),
    ]
}

fn letter(i: usize) -> String {
    let n = u8::try_from(i % 26).unwrap_or_default();
    let letter = char::from(b'A' + n);
    match i / 26 {
        0 => letter.to_string(),
        round => format!("{letter}{round}"),
    }
}

fn standing(candidate: &Candidate) -> (Rank, &'static str) {
    if !candidate.vetoes.is_empty() {
        (Rank::Vetoed, "vetoed")
    } else if candidate.is_knee {
        (Rank::Knee, "best trade")
    } else if candidate.on_frontier {
        (Rank::Frontier, "on the frontier")
    } else {
        (Rank::Inside, "another is better")
    }
}

fn finding(signal: &Signal) -> String {
    match signal.candidates.iter().find(|c| c.is_knee) {
        Some(knee) => format!(
            "{} clears {} exceptions and newly admits {}",
            text::line(&knee.summary),
            knee.cleared.shown(),
            counted(knee.newly_admitted.total, "subject")
        ),
        None => "What a changed policy would have done".to_owned(),
    }
}

fn what_if(id: &str, base: &str, signal: &Signal) -> Figure {
    let points: Vec<Dot> = signal
        .candidates
        .iter()
        .enumerate()
        .map(|(i, c)| Dot {
            letter: letter(i),
            x: c.risk_weight.0,
            y: c.teams_cleared.part as f64,
            rank: standing(c).0,
        })
        .collect();
    let chart = (points.len() > 1).then(|| {
        Chart::Frontier(Frontier {
            points,
            x_name: "newly admitted subjects, weighted by risk".to_owned(),
            y_name: "teams cleared".to_owned(),
        })
    });
    Figure {
        id: format!("{id}-what-if"),
        title: finding(signal),
        reading: format!(
            "Each point is one of {} candidate changes. Higher clears more teams, further \
                right newly admits more risk. Filled points joined by a dashed line are the \
                frontier, the diamond is the best trade, open points are worse than \
                another, crosses are vetoed.",
            signal.candidates.len()
        ),
        is_table_first: true,
        chart,
        table: Table {
            caption: "Candidate changes, played over stored evidence: the recommended one, the \
                frontier, and the best other one of each scope, though another is better. \
                Nothing here is applied."
                .to_owned(),
            columns: vec![
                words("Change", "change"),
                numbers("Exceptions cleared", "cleared"),
                numbers("Teams cleared", "teams_cleared"),
                numbers("Newly admitted", "newly_admitted"),
                numbers("Risk weight", "risk_weight"),
                numbers("Unknown", "unknown"),
                words("Standing", "standing"),
            ],
            rows: signal
                .candidates
                .iter()
                .enumerate()
                .map(|(i, c)| candidate(i, c, &format!("{base}/candidates/{i}")))
                .collect(),
            empty: signal.untried.as_ref().map_or_else(
                || "No change was worked out for this signal.".to_owned(),
                |why| format!("No change was worked out: {why}"),
            ),
            look: Look::Cards,
        },
    }
}

fn candidate(i: usize, candidate: &Candidate, at: &str) -> Vec<Cell> {
    let newly = &candidate.newly_admitted;
    let mut admitted = Cell::value(&format!("{at}/newly_admitted/total"), &newly.total);
    let mut is_first = true;
    for (tier, value) in [
        ("critical", &newly.critical),
        ("high", &newly.high),
        ("moderate", &newly.moderate),
        ("low", &newly.low),
        ("unrated", &newly.unrated),
    ] {
        // Every tier has its column in a file, whether it is said in the table or not.
        if *value > 0 {
            let before = if is_first { "" } else { "·" };
            admitted = admitted
                .and(before, &format!("{at}/newly_admitted/{tier}"), value, tier)
                .unit(tier);
            is_first = false;
        } else {
            admitted.fields.push((tier, "0".to_owned()));
        }
    }
    let mut standing = Cell::words(standing(candidate).1);
    for veto in &candidate.vetoes {
        standing = standing.gloss(veto);
    }
    let standing = standing.also("vetoes", &candidate.vetoes.join("; "));
    vec![
        Cell::words(&format!("{}. {}", letter(i), candidate.summary)),
        Cell::value(&format!("{at}/cleared"), &candidate.cleared),
        Cell::value(&format!("{at}/teams_cleared"), &candidate.teams_cleared),
        admitted,
        Cell::value(&format!("{at}/risk_weight"), &candidate.risk_weight),
        Cell::value(&format!("{at}/unknown"), &candidate.unknown),
        standing,
    ]
}

fn gates(id: &str, signal: &Signal) -> Figure {
    Figure {
        id: format!("{id}-gates"),
        title: "Why it is not one of the look-alikes".to_owned(),
        reading: String::new(),
        is_table_first: false,
        chart: None,
        table: Table {
            caption: "Gates against one noisy team, an incident, a rollout, a wave of denials."
                .to_owned(),
            columns: vec![
                words("Gate", "gate"),
                numbers("Seen", "seen"),
                numbers("Limit", "limit"),
                words("Result", "result"),
            ],
            rows: signal
                .gates
                .iter()
                .map(|gate| {
                    vec![
                        Cell::words(&gate.name),
                        Cell::words(&gate.value),
                        Cell::words(&gate.limit),
                        Cell::words(gate.result.word()),
                    ]
                })
                .collect(),
            empty: "This kind of signal passes no gates.".to_owned(),
            look: Look::Plain,
        },
    }
}
