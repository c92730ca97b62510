//! The report as Markdown: the same sections and the same tables. Long tables show their last rows and name the file
//! that holds all of them.

use std::fmt::Write as _;

use super::{
    Error, columns, json,
    model::Trend,
    outline,
    outline::{Cell, Figure, Part, Table},
    section, sentences,
    value::Shown,
};
use crate::notify::text;

/// More rows than this, and only the last ones are shown.
const LONG: usize = 26;

/// How many rows of a long table are shown.
const LAST: usize = 13;

/// The report.
pub fn render(trend: &Trend) -> Result<String, Error> {
    let trend = &json::settled_trend(trend)?;
    let period = &trend.period;
    let mut out = format!(
        "# Exceptions and policies, {}: {}\n\n{} to {}{}. Read from the register on {}.\n\n",
        escape(&text::line(&period.name)),
        escape(&text::line(&trend.organisation)),
        period.from.shown(),
        period.to.shown(),
        if period.is_over {
            ""
        } else {
            ", which is not over"
        },
        text::instant(trend.made.asked_at),
    );
    for sentence in sentences(trend) {
        let _ = writeln!(out, "- {}", escape(&sentence));
    }
    out.push('\n');
    let counts: Vec<String> = section::front::counts(trend)
        .into_iter()
        .map(|(what, cell)| format!("{what}: {}", escape(&cell.text())))
        .collect();
    let _ = writeln!(out, "{}.\n", counts.join(" · "));
    for section in outline(trend) {
        let _ = writeln!(
            out,
            "{} {}\n",
            "#".repeat(usize::from(section.level)),
            escape(&section.title)
        );
        for part in &section.parts {
            match part {
                Part::Words { text } => {
                    let _ = writeln!(out, "{}\n", escape(text));
                }
                Part::List { title, items } => {
                    let _ = writeln!(out, "{}:\n", escape(title));
                    for item in items {
                        let _ = writeln!(out, "- {}", escape(item));
                    }
                    out.push('\n');
                }
                Part::Figure(figure) => write_figure(&mut out, figure, &section.title),
            }
        }
    }
    let _ = writeln!(
        out,
        "---\n\nSHA-256 of the content: `{}`",
        json::content_sha256(trend)?
    );
    Ok(out)
}

fn write_figure(out: &mut String, figure: &Figure, above: &str) {
    if figure.title != above {
        let _ = writeln!(out, "**{}**\n", escape(&figure.title));
    }
    let table = &figure.table;
    if table.rows.is_empty() {
        let _ = writeln!(out, "{}\n", escape(&table.empty));
        return;
    }
    let _ = writeln!(out, "{}\n", escape(&table.caption));
    let hidden = if table.rows.len() > LONG {
        table.rows.len() - LAST
    } else {
        0
    };
    write_rows(out, table, hidden);
    if hidden > 0 {
        let _ = writeln!(
            out,
            "\nThe {hidden} rows before are in `{}`.",
            columns::name(&figure.id)
        );
    }
    out.push('\n');
}

fn write_rows(out: &mut String, table: &Table, hidden: usize) {
    let titles: Vec<String> = table.columns.iter().map(|c| escape(&c.title)).collect();
    let _ = writeln!(out, "| {} |", titles.join(" | "));
    let rules: Vec<&str> = table
        .columns
        .iter()
        .map(|c| if c.is_number { "---:" } else { "---" })
        .collect();
    let _ = writeln!(out, "|{}|", rules.join("|"));
    for row in table.rows.iter().skip(hidden) {
        let cells: Vec<String> = row.iter().map(cell).collect();
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
}

fn cell(cell: &Cell) -> String {
    escape(&cell.text())
}

/// Words as words: nothing in them is taken for Markdown or HTML.
fn escape(words: &str) -> String {
    let mut out = String::with_capacity(words.len());
    for c in words.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '|' | '*' | '_' | '`' | '[' | ']' | '\\' | '#' | '~' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}
