//! One CSV for each figure: plain figures without units, one column for each part of a value, and a column for the
//! reason where a value is missing.

use super::{
    Error, json,
    model::Trend,
    outline,
    outline::{Cell, Table},
};

/// The files: name and content, in the order of the report.
pub fn files(trend: &Trend) -> Result<Vec<(String, Vec<u8>)>, Error> {
    outline(&json::settled_trend(trend)?)
        .iter()
        .flat_map(outline::Section::figures)
        .map(|figure| Ok((name(&figure.id), table(&figure.table)?)))
        .collect()
}

/// The name of a figure's file.
pub(super) fn name(figure: &str) -> String {
    format!("{figure}.csv")
}

fn table(table: &Table) -> Result<Vec<u8>, Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    // Rows of one column may hold values of several kinds: each ending that occurs gets its column.
    let endings: Vec<Vec<&'static str>> = (0..table.columns.len())
        .map(|i| {
            let mut seen: Vec<&'static str> = Vec::new();
            for (ending, _) in table
                .rows
                .iter()
                .filter_map(|row| row.get(i))
                .flat_map(|c| &c.fields)
            {
                if !seen.contains(ending) {
                    seen.push(ending);
                }
            }
            if seen.is_empty() {
                seen.push("");
            }
            seen
        })
        .collect();
    let header = table
        .columns
        .iter()
        .zip(&endings)
        .flat_map(|(column, endings)| {
            endings.iter().map(|ending| {
                if ending.is_empty() {
                    column.key.clone()
                } else {
                    format!("{}_{ending}", column.key)
                }
            })
        });
    writer.write_record(header)?;
    for row in &table.rows {
        let record = row
            .iter()
            .zip(&endings)
            .flat_map(|(cell, endings)| endings.iter().map(|ending| field(cell, ending)));
        writer.write_record(record)?;
    }
    writer
        .into_inner()
        .map_err(|e| csv::Error::from(e.into_error()).into())
}

/// A field; words that a spreadsheet would take for a formula are kept from that by an apostrophe.
fn field(cell: &Cell, ending: &str) -> String {
    let field = cell
        .fields
        .iter()
        .find(|(name, _)| *name == ending)
        .map_or("", |(_, field)| field.as_str());
    let is_formula = field.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if is_formula && field.parse::<f64>().is_err() {
        format!("'{field}")
    } else {
        field.to_owned()
    }
}
