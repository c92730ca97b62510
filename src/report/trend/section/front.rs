//! The first screen: the signals that are open.

use crate::report::trend::{
    model::{Signal, Trend},
    outline::{Cell, Figure, Look, Section, Table, numbers, words},
    value::{Known, Shown},
};

/// The table of open signals.
pub(in crate::report::trend) fn signals(trend: &Trend) -> Section {
    let mut section = Section::new(2, "signals", "Signals");
    section.figure(Figure {
        id: "signals-open".to_owned(),
        title: "Signals that are not over".to_owned(),
        reading: String::new(),
        is_table_first: false,
        chart: None,
        table: Table {
            caption: "Expected: teams, each counted at most twice. q: how likely so much is \
                by chance, with every test of the scan taken into account. Posterior: how \
                likely the control is over its exception budget."
                .to_owned(),
            columns: vec![
                words("Signal", "signal"),
                numbers("Teams", "teams"),
                numbers("Evidence", "evidence"),
                words("Since", "since"),
                words("Best what-if", "best_what_if"),
                words("Owner", "owner"),
            ],
            rows: trend.signals.iter().enumerate().map(row).collect(),
            empty: none(trend),
            look: Look::Cards,
        },
    });
    section
}

fn row((i, signal): (usize, &Signal)) -> Vec<Cell> {
    let base = format!("/signals/{i}");
    let name = Cell::words(&signal.sentence)
        .link(&format!("#s{}", i + 1))
        .gloss(&format!(
            "{} · {} · {} · {}",
            signal.id,
            signal.policy,
            signal.control,
            signal.kind.word()
        ))
        .also("id", &signal.id)
        .also("policy", &signal.policy)
        .also("control", &signal.control)
        .also("kind", signal.kind.word());
    let evidence = &signal.evidence;
    let surprise = match (&evidence.q, &evidence.posterior) {
        (Known::Value(_), _) => Cell::value(&format!("{base}/evidence/q"), &evidence.q)
            .gloss("q")
            .also("measure", "q"),
        (_, Known::Value(_)) => {
            Cell::value(&format!("{base}/evidence/posterior"), &evidence.posterior)
                .gloss("posterior")
                .also("measure", "posterior")
        }
        _ => Cell::words("renewals are counted"),
    };
    let teams = match &signal.observed {
        Known::Value(seen) => {
            let cell = Cell::value(&format!("{base}/observed/value/teams"), &seen.teams);
            // What a kind is not found by is left out, not printed as unknown.
            match &evidence.expected {
                Known::Value(expected) => cell.and(
                    "expected",
                    &format!("{base}/evidence/expected/value"),
                    expected,
                    "expected",
                ),
                Known::Unknown(_) => cell,
            }
        }
        Known::Unknown(why) => Cell::words(&format!("not known: {why}")),
    };
    let due = if signal.is_overdue {
        "· overdue since"
    } else {
        "· due"
    };
    let owner = Cell::words(&signal.owner).gloss(signal.state.word());
    let owner = match &signal.due {
        Known::Value(day) => owner.and(due, &format!("{base}/due/value"), day, "due"),
        Known::Unknown(_) => owner,
    };
    vec![
        name,
        teams,
        surprise,
        Cell::value(&format!("{base}/since"), &signal.since),
        best(&base, signal),
        owner,
    ]
}

/// The knee of the frontier, what it clears and what it admits.
fn best(base: &str, signal: &Signal) -> Cell {
    let knee = signal
        .candidates
        .iter()
        .enumerate()
        .find(|(_, c)| c.is_knee);
    let Some((i, knee)) = knee else {
        let why = signal.untried.as_deref();
        return Cell::words(why.unwrap_or("none is worth what it would admit"));
    };
    let at = format!("{base}/candidates/{i}");
    Cell::words(&knee.summary)
        .and("clears", &format!("{at}/cleared"), &knee.cleared, "cleared")
        .and(
            "and admits",
            &format!("{at}/newly_admitted/total"),
            &knee.newly_admitted.total,
            "newly_admitted",
        )
}

/// "No signal" as a result, with the power that it had.
pub(in crate::report::trend) fn none(trend: &Trend) -> String {
    match &trend.counts.power {
        Known::Value(power) => format!(
            "No signal is open. That is a result: the scan would have caught a pattern of \
                {} more teams than expected with probability {}.",
            power.more_teams.shown(),
            power.probability.shown()
        ),
        Known::Unknown(why) => format!(
            "No signal is open. That is no result yet: what the scan would have caught is \
                not known ({why})."
        ),
    }
}

/// Counts of the first screen: what, and the value.
pub(in crate::report::trend) fn counts(trend: &Trend) -> Vec<(&'static str, Cell)> {
    let counts = &trend.counts;
    vec![
        ("signals open", Cell::value("/counts/open", &counts.open)),
        (
            "of those overdue",
            Cell::value("/counts/overdue", &counts.overdue),
        ),
        (
            "concluded, not over",
            Cell::value("/counts/concluded", &counts.concluded),
        ),
        (
            "opened in the period",
            Cell::value("/counts/opened", &counts.opened),
        ),
        (
            "closed in the period",
            Cell::value("/counts/closed", &counts.closed),
        ),
        (
            "judged not useful, twelve months",
            Cell::value("/counts/not_useful", &counts.not_useful),
        ),
        (
            "false alarms a quarter, simulated",
            Cell::value(
                "/counts/false_alarms_per_quarter",
                &counts.false_alarms_per_quarter,
            ),
        ),
    ]
}
