//! The sections of the report. Each reads a part of the model and says where in the JSON every value stands.

pub(super) mod front;
pub(super) mod policy;
mod register;
mod shared;
pub(super) mod signal;
pub(super) mod whole;

use super::{
    model::{Comparison, Period},
    outline::{Cell, Figure, Look, Table, numbers, words},
    value::Shown,
};

/// Comparisons with the earlier periods.
fn comparisons(id: &str, base: &str, rows: &[Comparison], period: &Period) -> Figure {
    let caption = if period.is_over {
        "The period against the quarter before and the same quarter of the year before.".to_owned()
    } else {
        let days = period
            .seen
            .map_or(0, |s| (s.to - period.from).num_days() + 1);
        format!(
            "The period is not over: its first {} against as many of the quarter before and of the same quarter of the year before.",
            counted(u64::try_from(days).unwrap_or_default(), "day")
        )
    };
    let now = if period.is_over { "Now" } else { "So far" };
    Figure {
        id: format!("{id}-compared"),
        title: finding(rows),
        reading: String::new(),
        is_table_first: false,
        chart: None,
        table: Table {
            caption,
            columns: vec![
                words("Measure", "measure"),
                numbers(now, "now"),
                numbers("Quarter before", "quarter_before"),
                numbers("Year before", "year_before"),
            ],
            rows: rows
                .iter()
                .enumerate()
                .map(|(i, row)| {
                    vec![
                        Cell::words(&row.what),
                        Cell::value(&format!("{base}/{i}/now"), &row.now),
                        Cell::value(&format!("{base}/{i}/quarter_before"), &row.quarter_before),
                        Cell::value(&format!("{base}/{i}/year_before"), &row.year_before),
                    ]
                })
                .collect(),
            empty: "There is nothing to compare with yet.".to_owned(),
            look: Look::Plain,
        },
    }
}

fn finding(rows: &[Comparison]) -> String {
    let first = rows.first().and_then(|row| Some((row, row.now.value()?)));
    let Some((row, now)) = first else {
        return "Against the earlier periods".to_owned();
    };
    let before = row
        .quarter_before
        .value()
        .map_or_else(String::new, |before| {
            format!(", {} in the quarter before", before.shown())
        });
    format!("{}: {}{before}", row.what, now.shown())
}

/// With a capital letter at its beginning.
pub(super) fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

/// `1 team`, `11 teams`.
fn counted(n: u64, noun: &str) -> String {
    crate::notify::text::counted(n, noun)
}
