//! What is told over all policies: the register, what changes did, regions and departments, what is no signal and why,
//! what is on watch, and how good the data is.

use super::{capital, comparisons, register};
use crate::{
    chart::{
        Chart,
        bars::{Bar, Bars},
        forest::{Forest, Row},
    },
    notify::text::{self, counted},
    report::trend::{
        model::{Effect, Place, Trend},
        outline::{Cell, Figure, Look, Section, Table, numbers, words},
        value::{Known, Share, Shown},
    },
};

/// The sections.
pub(in crate::report::trend) fn all(trend: &Trend) -> Vec<Section> {
    let mut whole = register::section(2, "all", "/register", &trend.register);
    "All policies: stock and flow".clone_into(&mut whole.title);
    let mut compared = Section::new(3, "all-compared-section", "Against the earlier periods");
    compared.figure(comparisons(
        "all",
        "/comparisons",
        &trend.comparisons,
        &trend.period,
    ));
    let mut worked = Section::new(2, "effects", "Did it work");
    worked.figure(effects(&trend.effects));
    let mut places = Section::new(2, "places", "By region and department");
    places.figure(place("regions", "region", "/regions", &trend.regions));
    places.figure(place(
        "departments",
        "department",
        "/departments",
        &trend.departments,
    ));
    vec![
        whole,
        compared,
        worked,
        places,
        turned_away(trend),
        watch(trend),
        quality(trend),
    ]
}

fn effects(effects: &[Effect]) -> Figure {
    let rows: Vec<Row> = effects
        .iter()
        .filter_map(|e| {
            let ratio = e.ratio.value()?;
            Some(Row {
                label: text::line(&e.change),
                text: ratio.shown(),
                value: ratio.value,
                interval: (ratio.low, ratio.high),
            })
        })
        .collect();
    let fell = effects
        .iter()
        .filter(|e| e.ratio.value().is_some_and(|r| r.high < 1.0))
        .count();
    let title = if effects.is_empty() {
        "No policy was changed in the last twelve months".to_owned()
    } else {
        format!(
            "After {fell} of {} changes the asks fell beyond chance",
            effects.len()
        )
    };
    Figure {
        id: "effects-ratio".to_owned(),
        title,
        reading: "Each square is the rate of asks after a change against before, its line \
            the 95 % interval. Left of the dashed line there are fewer asks; a line that \
            crosses it may be chance."
            .to_owned(),
        is_table_first: false,
        chart: (!rows.is_empty()).then(|| {
            Chart::Forest(Forest {
                rows,
                less: "fewer asks".to_owned(),
                more: "more".to_owned(),
            })
        }),
        table: Table {
            caption: "Changes of policies in the last twelve months: asks before and after, \
                and what became of the subjects that a change admitted."
                .to_owned(),
            columns: vec![
                words("Change", "change"),
                words("In force since", "since"),
                numbers("Asks before", "asks_before"),
                numbers("Asks after", "asks_after"),
                numbers("After against before (95 % interval)", "ratio"),
                numbers("Newly admitted", "newly_admitted"),
                numbers("Findings on those since", "found_since"),
            ],
            rows: effects
                .iter()
                .enumerate()
                .map(|(i, e)| {
                    let at = format!("/effects/{i}");
                    vec![
                        Cell::words(&e.change)
                            .gloss(&format!("{} · {}", e.policy, e.control))
                            .also("policy", &e.policy)
                            .also("control", &e.control),
                        Cell::value(&format!("{at}/on"), &e.on),
                        Cell::value(&format!("{at}/asks_before"), &e.asks_before)
                            .and(
                                "in",
                                &format!("{at}/weeks_before"),
                                &e.weeks_before,
                                "weeks",
                            )
                            .unit("weeks"),
                        Cell::value(&format!("{at}/asks_after"), &e.asks_after)
                            .and("in", &format!("{at}/weeks_after"), &e.weeks_after, "weeks")
                            .unit("weeks"),
                        Cell::value(&format!("{at}/ratio"), &e.ratio),
                        Cell::value(&format!("{at}/newly_admitted"), &e.newly_admitted),
                        Cell::value(&format!("{at}/found_since"), &e.found_since),
                    ]
                })
                .collect(),
            empty: "There is nothing to measure.".to_owned(),
            look: Look::Cards,
        },
    }
}

fn place(id: &str, noun: &str, base: &str, places: &[Place]) -> Figure {
    let most = places.iter().max_by_key(|p| p.asks);
    Figure {
        id: format!("{id}-asks"),
        title: most.map_or(format!("No {noun} is on record"), |p| {
            format!(
                "Most asks by {noun}: {} ({})",
                text::line(&p.name),
                p.asks.shown()
            )
        }),
        reading: format!("Bars count independent asks of the period by {noun}."),
        is_table_first: false,
        chart: (places.len() > 1).then(|| {
            Chart::Bars(Bars {
                bars: places
                    .iter()
                    .map(|p| Bar {
                        label: text::line(&p.name),
                        value: p.asks as f64,
                        text: p.asks.shown(),
                        note: format!("teams that asked: {}", p.teams.shown()),
                        interval: None,
                        limit: None,
                        is_over: false,
                    })
                    .collect(),
                rule: None,
                is_share: false,
            })
        }),
        table: Table {
            caption: format!("Asks, decisions and accepted risk by {noun}."),
            columns: vec![
                words(&capital(noun), noun),
                numbers("Teams that asked", "teams"),
                numbers("Asks", "asks"),
                numbers("Asks, quarter before", "asks_before"),
                numbers("Approved of those decided", "approved"),
                numbers("Active at the end", "active"),
                numbers("High of those rated", "high_risk"),
            ],
            rows: places
                .iter()
                .enumerate()
                .map(|(i, p)| {
                    let at = format!("{base}/{i}");
                    vec![
                        Cell::words(&p.name),
                        Cell::value(&format!("{at}/teams"), &p.teams),
                        Cell::value(&format!("{at}/asks"), &p.asks),
                        Cell::value(&format!("{at}/asks_before"), &p.asks_before),
                        Cell::value(&format!("{at}/approved"), &p.approved),
                        Cell::value(&format!("{at}/active"), &p.active),
                        Cell::value(&format!("{at}/high_risk"), &p.high_risk),
                    ]
                })
                .collect(),
            empty: format!("No {noun} is on record for the teams that asked."),
            look: Look::Plain,
        },
    }
}

fn turned_away(trend: &Trend) -> Section {
    let mut section = Section::new(2, "turned-away", "Not policy signals, and why");
    section.say(
        "These repeat, and look like a fault of the policy. A gate turned each \
        away, and says what it is instead.",
    );
    section.figure(Figure {
        id: "turned-away-all".to_owned(),
        title: "What looks like a signal and is none".to_owned(),
        reading: String::new(),
        is_table_first: false,
        chart: None,
        table: Table {
            caption: "Repeats that a gate turned away.".to_owned(),
            columns: vec![
                words("What repeats", "repeats"),
                numbers("Teams", "teams"),
                numbers("Asks", "asks"),
                words("Gate", "gate"),
                words("Not a signal because", "why"),
                words("What it is instead", "instead"),
            ],
            rows: trend
                .turned_away
                .iter()
                .enumerate()
                .map(|(i, t)| {
                    let at = format!("/turned_away/{i}");
                    vec![
                        Cell::words(&t.sentence)
                            .gloss(&format!("{} · {}", t.policy, t.control))
                            .also("policy", &t.policy)
                            .also("control", &t.control),
                        Cell::value(&format!("{at}/teams"), &t.teams),
                        Cell::value(&format!("{at}/asks"), &t.asks),
                        Cell::words(&t.gate)
                            .gloss(&format!("seen: {}", t.seen))
                            .also("seen", &t.seen),
                        Cell::words(&t.why),
                        Cell::words(&t.instead),
                    ]
                })
                .collect(),
            empty: "No repeat was turned away.".to_owned(),
            look: Look::Cards,
        },
    });
    section
}

fn watch(trend: &Trend) -> Section {
    let mut section = Section::new(2, "watch", "On watch");
    section.say(
        "So many distinct teams in a quarter asked the same of one control for the \
        same reason. The plain rule is often wrong, so it is shown here and nobody is \
        notified. A control that has a signal is not repeated here.",
    );
    section.figure(Figure {
        id: "watch-all".to_owned(),
        title: "Repeats by the plain rule".to_owned(),
        reading: String::new(),
        is_table_first: false,
        chart: None,
        table: Table {
            caption: "Distinct teams that asked the same of one control for the same reason \
                in the quarter."
                .to_owned(),
            columns: vec![
                words("Control", "control"),
                words("Reason", "reason"),
                numbers("Teams", "teams"),
                numbers("Rule", "rule"),
                numbers("Asks", "asks"),
                words("Since", "since"),
            ],
            rows: trend
                .watch
                .iter()
                .enumerate()
                .map(|(i, w)| {
                    let at = format!("/watch/{i}");
                    vec![
                        Cell::words(&w.control)
                            .gloss(&w.policy)
                            .also("policy", &w.policy),
                        Cell::words(&w.reason),
                        Cell::value(&format!("{at}/teams"), &w.teams),
                        Cell::value(&format!("{at}/rule"), &w.rule),
                        Cell::value(&format!("{at}/asks"), &w.asks),
                        Cell::value(&format!("{at}/since"), &w.since),
                    ]
                })
                .collect(),
            empty: "Beyond the signals above, nothing meets the rule in this period.".to_owned(),
            look: Look::Plain,
        },
    });
    section
}

fn quality(trend: &Trend) -> Section {
    let quality = &trend.quality;
    let mut section = Section::new(2, "quality", "How good the data is");
    if quality.weeks < quality.weeks_needed {
        section.say(&format!(
            "Of history there are {}; the scan needs {}. Until then only the plain \
                rule and renewals are looked at.",
            counted(quality.weeks, "week"),
            counted(quality.weeks_needed, "week")
        ));
    }
    let row = |what: &str, cell: Cell| vec![Cell::words(what), cell];
    let share = |what: &str, key: &str, value: &Share| {
        row(what, Cell::value(&format!("/quality/{key}"), value))
    };
    let mut rows = vec![
        share(
            "Subjects checked, of those in scope",
            "checked",
            &quality.checked,
        ),
        share(
            "Requests with a reason",
            "with_reason",
            &quality.with_reason,
        ),
        share(
            "Requests with an outcome",
            "with_outcome",
            &quality.with_outcome,
        ),
        share(
            "Controls whose teams in scope are listed",
            "with_teams",
            &quality.with_teams,
        ),
        share(
            "Requests with evidence",
            "with_evidence",
            &quality.with_evidence,
        ),
        row(
            "Weeks of history",
            Cell::value("/quality/weeks", &quality.weeks),
        ),
        row(
            "Weeks that the scan needs",
            Cell::value("/quality/weeks_needed", &quality.weeks_needed),
        ),
    ];
    rows.push(match &trend.counts.power {
        Known::Value(power) => row(
            &format!(
                "Probability that {} more teams than expected would have been caught",
                power.more_teams.shown()
            ),
            Cell::value("/counts/power/value/probability", &power.probability),
        ),
        Known::Unknown(why) => row(
            "What the scan would have caught",
            Cell::words(&format!("not known: {why}")),
        ),
    });
    rows.extend(quality.unknown.iter().enumerate().map(|(i, u)| {
        row(
            &format!("Asks whose {} is unknown", u.attribute),
            Cell::value(&format!("/quality/unknown/{i}/unknown"), &u.unknown),
        )
    }));
    section.figure(Figure {
        id: "quality-all".to_owned(),
        title: format!(
            "{} of the subjects in scope were checked",
            quality.checked.shown()
        ),
        reading: String::new(),
        is_table_first: false,
        chart: None,
        table: Table {
            caption: "What the report rests on. What is unknown never matches a description \
                and never counts as zero."
                .to_owned(),
            columns: vec![words("Measure", "measure"), numbers("Value", "value")],
            rows,
            empty: String::new(),
            look: Look::Plain,
        },
    });
    section.list("To know when reading", &quality.notes);
    section
}
