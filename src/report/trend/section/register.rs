//! The register of exceptions: what came, what went, what stands, how long, with which risk, and how fast it was
//! decided. The same for one policy and for all.

use super::counted;
use crate::{
    chart::{
        Chart,
        stack::{Series, Stack, Tone},
        survival::{Step, Survival},
    },
    notify::text,
    report::trend::{
        model::{Month, Register, RiskMonth},
        outline::{Cell, Figure, Look, Section, Table, numbers, words},
        value::Shown,
    },
};

/// The section, whose values stand below `base` in the JSON.
pub(super) fn section(level: u8, id: &str, base: &str, register: &Register) -> Section {
    let mut section = Section::new(
        level,
        &format!("{id}-register"),
        "Exceptions: stock and flow",
    );
    if register.months.is_empty() {
        section.say("No exception is on record, so there is no stock and no flow to show.");
        return section;
    }
    section.figure(variance(id, base, register));
    section.figure(requests(id, base, register));
    section.figure(flow(id, base, register));
    section.figure(risk(id, base, register));
    section.figure(ages(id, base, register));
    section.figure(routes(id, base, register));
    section
}

fn variance(id: &str, base: &str, register: &Register) -> Figure {
    let seen = &register.variance;
    let row =
        |what: &str, cell: Cell, means: &str| vec![Cell::words(what), cell, Cell::words(means)];
    Figure {
        id: format!("{id}-variance"),
        title: format!(
            "{} and {} on {}",
            counted(seen.temporary, "temporary exception"),
            counted(seen.policy_gap, "unresolved policy gap"),
            register.on.shown()
        ),
        reading: String::new(),
        is_table_first: false,
        chart: None,
        table: Table {
            caption: format!(
                "Active exceptions on {}. What bridges a while is no fault of the policy; what \
                    stays shows where it does not fit.",
                register.on.shown()
            ),
            columns: vec![
                words("Active exceptions", "what"),
                numbers("Number", "number"),
                words("What that means", "means"),
            ],
            rows: vec![
                row(
                    "Temporary variance",
                    Cell::value(&format!("{base}/variance/temporary"), &seen.temporary),
                    "one team, not renewed, with an end",
                ),
                row(
                    "Unresolved policy gap",
                    Cell::value(&format!("{base}/variance/policy_gap"), &seen.policy_gap),
                    "in a signal or on watch, renewed twice, or older than a year",
                ),
                row(
                    "Neither",
                    Cell::value(&format!("{base}/variance/unclear"), &seen.unclear),
                    "renewed once, shared by several teams, or without a team or an end on record",
                ),
                row(
                    "Older than 180 days",
                    Cell::value(
                        &format!("{base}/older_than_180_days"),
                        &register.older_than_180_days,
                    ),
                    "of those active",
                ),
                row(
                    "Renewed twice or more",
                    Cell::value(&format!("{base}/renewed_twice"), &register.renewed_twice),
                    "of those active",
                ),
            ],
            empty: String::new(),
            look: Look::Plain,
        },
    }
}

fn series<T>(name: &str, look: Tone, rows: &[T], of: impl Fn(&T) -> u64) -> Series {
    Series {
        name: name.to_owned(),
        values: rows.iter().map(|row| of(row) as f64).collect(),
        is_below: false,
        look,
    }
}

fn below(series: Series) -> Series {
    Series {
        is_below: true,
        ..series
    }
}

fn stacked(columns: Vec<String>, series: Vec<Series>) -> Option<Chart> {
    let has_any = series.iter().any(|s| s.values.iter().any(|v| *v > 0.0));
    (has_any && !columns.is_empty()).then_some(Chart::Stack(Stack { columns, series }))
}

fn named(months: &[Month]) -> Vec<String> {
    months.iter().map(|m| text::line(&m.month)).collect()
}

fn requests(id: &str, base: &str, register: &Register) -> Figure {
    let months = &register.months;
    let sum = |of: fn(&Month) -> u64| months.iter().map(of).sum::<u64>();
    Figure {
        id: format!("{id}-decided"),
        title: format!(
            "{} approved and {} denied in {}",
            counted(sum(|m| m.approved), "request"),
            sum(|m| m.denied).shown(),
            counted(months.len() as u64, "month")
        ),
        reading: "Columns count decisions by month: approved full, denied striped. The \
            number above is their sum."
            .to_owned(),
        is_table_first: false,
        chart: stacked(
            named(months),
            vec![
                series("approved", Tone::Full, months, |m| m.approved),
                series("denied", Tone::Stripes, months, |m| m.denied),
            ],
        ),
        table: Table {
            caption: format!(
                "Requests and decisions by month; the last one is told until {}.",
                register.on.shown()
            ),
            columns: vec![
                words("Month", "month"),
                numbers("Requested", "requested"),
                numbers("Approved", "approved"),
                numbers("Denied", "denied"),
            ],
            rows: months
                .iter()
                .enumerate()
                .map(|(i, m)| {
                    let at = format!("{base}/months/{i}");
                    vec![
                        Cell::words(&m.month),
                        Cell::value(&format!("{at}/requested"), &m.requested),
                        Cell::value(&format!("{at}/approved"), &m.approved),
                        Cell::value(&format!("{at}/denied"), &m.denied),
                    ]
                })
                .collect(),
            empty: "There is no month of history yet.".to_owned(),
            look: Look::Plain,
        },
    }
}

fn flow(id: &str, base: &str, register: &Register) -> Figure {
    let months = &register.months;
    let title = match (months.first(), months.last()) {
        (Some(first), Some(last)) if months.len() > 1 => format!(
            "Active exceptions went from {} to {} in {}",
            first.active.shown(),
            last.active.shown(),
            counted(months.len() as u64, "month")
        ),
        (_, Some(last)) => format!("{} active", counted(last.active, "exception")),
        _ => "No exception yet".to_owned(),
    };
    Figure {
        id: format!("{id}-stock"),
        title,
        reading: "Above the line: exceptions that stand at the end of the month. Below: \
            those that ended in it, by how. The numbers are the sums."
            .to_owned(),
        is_table_first: false,
        chart: stacked(
            named(months),
            vec![
                series("active at the end of the month", Tone::Full, months, |m| {
                    m.active
                }),
                below(series("expired", Tone::Stripes, months, |m| m.expired)),
                below(series(
                    "revoked: subject changed",
                    Tone::Dots,
                    months,
                    |m| m.revoked_by_subject_change,
                )),
                below(series("ended otherwise", Tone::Empty, months, |m| {
                    m.ended_otherwise
                })),
            ],
        ),
        table: Table {
            caption: format!(
                "Stock and flow of exceptions by month; the last one is told until {}. A renewal \
                    neither begins nor ends one. What is suspended is not active.",
                register.on.shown()
            ),
            columns: vec![
                words("Month", "month"),
                numbers("Approved", "approved"),
                numbers("Renewed", "renewed"),
                numbers("Expired", "expired"),
                numbers("Revoked: subject changed", "revoked_by_subject_change"),
                numbers("Ended otherwise", "ended_otherwise"),
                numbers("Active at its end", "active"),
            ],
            rows: months
                .iter()
                .enumerate()
                .map(|(i, m)| {
                    let at = format!("{base}/months/{i}");
                    vec![
                        Cell::words(&m.month),
                        Cell::value(&format!("{at}/approved"), &m.approved),
                        Cell::value(&format!("{at}/renewed"), &m.renewed),
                        Cell::value(&format!("{at}/expired"), &m.expired),
                        Cell::value(
                            &format!("{at}/revoked_by_subject_change"),
                            &m.revoked_by_subject_change,
                        ),
                        Cell::value(&format!("{at}/ended_otherwise"), &m.ended_otherwise),
                        Cell::value(&format!("{at}/active"), &m.active),
                    ]
                })
                .collect(),
            empty: "There is no month of history yet.".to_owned(),
            look: Look::Plain,
        },
    }
}

fn risk(id: &str, base: &str, register: &Register) -> Figure {
    let months = &register.risk;
    let rated = |m: &RiskMonth| m.high + m.moderate + m.low;
    let title = match (months.first(), months.last()) {
        (Some(first), Some(last)) if months.len() > 1 => format!(
            "Accepted risk: {} of {} rated active exceptions high, {} of {} at the beginning; {} not rated",
            last.high.shown(),
            rated(last).shown(),
            first.high.shown(),
            rated(first).shown(),
            last.unrated.shown()
        ),
        _ => "Accepted risk over time".to_owned(),
    };
    Figure {
        id: format!("{id}-risk"),
        title,
        reading: "Columns count active exceptions at the end of each month by residual \
            risk, the gravest at the bottom."
            .to_owned(),
        is_table_first: false,
        chart: stacked(
            months.iter().map(|m| text::line(&m.month)).collect(),
            vec![
                series("high", Tone::Full, months, |m| m.high),
                series("moderate", Tone::Lines, months, |m| m.moderate),
                series("low", Tone::Dots, months, |m| m.low),
                series("not rated", Tone::Empty, months, |m| m.unrated),
            ],
        ),
        table: Table {
            caption: "Active exceptions at the end of each month by the residual risk that was \
                accepted with them; an older register rates none."
                .to_owned(),
            columns: vec![
                words("Month", "month"),
                numbers("High", "high"),
                numbers("Moderate", "moderate"),
                numbers("Low", "low"),
                numbers("Not rated", "unrated"),
            ],
            rows: months
                .iter()
                .enumerate()
                .map(|(i, m)| {
                    let at = format!("{base}/risk/{i}");
                    vec![
                        Cell::words(&m.month),
                        Cell::value(&format!("{at}/high"), &m.high),
                        Cell::value(&format!("{at}/moderate"), &m.moderate),
                        Cell::value(&format!("{at}/low"), &m.low),
                        Cell::value(&format!("{at}/unrated"), &m.unrated),
                    ]
                })
                .collect(),
            empty: "There is no month of history yet.".to_owned(),
            look: Look::Plain,
        },
    }
}

fn ages(id: &str, base: &str, register: &Register) -> Figure {
    let points: Vec<Step> = register
        .ages
        .iter()
        .filter_map(|age| {
            let band = age.active.value()?;
            Some(Step {
                days: age.days,
                share: band.mid,
                band: (band.low, band.high),
            })
        })
        .collect();
    let chart = (points.len() > 2).then(|| {
        Chart::Survival(Survival {
            points,
            told: vec![90, 180, 365],
        })
    });
    Figure {
        id: format!("{id}-ages"),
        title: if register.older_than_180_days.of == 0 {
            "How long exceptions last is not known yet".to_owned()
        } else {
            format!(
                "{} of the active exceptions are older than 180 days",
                register.older_than_180_days.shown()
            )
        },
        reading: "The curve says how many of a hundred exceptions are still active so many \
            days after approval; the shaded band is its 95 % interval."
            .to_owned(),
        is_table_first: false,
        chart,
        table: Table {
            caption: "Of a hundred exceptions, how many are still active so many days after \
                approval (Kaplan-Meier, 95 % band), and how many were observed for so long. Read on \
                the days on which some ended, which are taken by the week where they are many."
                .to_owned(),
            columns: vec![
                numbers("Days", "days"),
                numbers("Observed", "at_risk"),
                numbers("Still active of 100", "active"),
            ],
            rows: register
                .ages
                .iter()
                .enumerate()
                .map(|(i, age)| {
                    let at = format!("{base}/ages/{i}");
                    vec![
                        Cell::value(&format!("{at}/days"), &age.days),
                        Cell::value(&format!("{at}/at_risk"), &age.at_risk),
                        Cell::value(&format!("{at}/active"), &age.active),
                    ]
                })
                .collect(),
            empty: "No exception was observed long enough.".to_owned(),
            look: Look::Plain,
        },
    }
}

fn routes(id: &str, base: &str, register: &Register) -> Figure {
    Figure {
        id: format!("{id}-routes"),
        title: "Time to a decision, and what was decided".to_owned(),
        reading: String::new(),
        is_table_first: false,
        chart: None,
        table: Table {
            caption:
                "Decisions of the period by route. p50: half took no longer; p90: nine of ten took no longer."
                    .to_owned(),
            columns: vec![
                words("Route", "route"),
                numbers("p50", "p50"),
                numbers("p90", "p90"),
                numbers("Approved of those decided", "approved"),
            ],
            rows: register
                .routes
                .iter()
                .enumerate()
                .map(|(i, r)| {
                    let at = format!("{base}/routes/{i}");
                    vec![
                        Cell::words(&r.route),
                        Cell::value(&format!("{at}/p50"), &r.p50),
                        Cell::value(&format!("{at}/p90"), &r.p90),
                        Cell::value(&format!("{at}/approved"), &r.approved),
                    ]
                })
                .collect(),
            empty: "Nothing was decided in the period.".to_owned(),
            look: Look::Plain,
        },
    }
}
