//! A control against the rest: its SQL against the columns of the datasets, what it refers to against
//! what its evidence gives, its owner against the people that there are.

use super::{dataset::Datasets, in_file, people::unknown};
use crate::{
    catalog::{
        control::{Draft, Open},
        load::offer,
        name::Column,
        template,
    },
    evaluate::{self, Checked, OutputColumn, Part, Parts},
    model::{
        control::{Control, Evidence, SubjectTemplate},
        definition::Definition,
        outcome::Row,
        people::Directory,
        table::ColumnType,
    },
    yaml::{
        decode::Located,
        diagnostic::{Diagnostic, Place},
    },
};

/// Judges what a control file leaves open; mistakes are added to `out`. Without a directory nobody is missed.
pub fn judge(
    open: &Open,
    datasets: &Datasets,
    directory: Option<&Directory>,
    out: &mut Vec<Diagnostic>,
) -> Checked {
    if let (Some(owner), Some(directory)) = (&open.owner, directory) {
        out.extend(unknown(owner.name(), "TL0218", directory));
    }
    let checked = sql(open, datasets, out);
    if !checked.columns.is_empty() {
        columns(open, &checked.columns, out);
        message(open, &checked.columns, out);
    }
    checked
}

/// The whole control and what judges in it, when its file and its SQL are sound.
pub fn finish(draft: Draft, checked: Checked, datasets: &Datasets) -> (Control, Definition) {
    let mut reads = checked.datasets;
    reads.extend(draft.control().inventory.clone());
    let definition = Definition::of(
        draft.control(),
        evaluate::promised(&reads, &datasets.promises),
    );
    (draft.finish(reads, definition.digest()), definition)
}

/// Checks the SQL as far as its parts could be read and its datasets are known.
fn sql(open: &Open, datasets: &Datasets, out: &mut Vec<Diagnostic>) -> Checked {
    let (Some(evidence), Some(params)) = (&open.evidence, &open.params) else {
        return Checked::default();
    };
    let reads = evaluate::datasets_of(evidence).unwrap_or_default();
    if reads.iter().any(|name| datasets.is_in_doubt(name)) {
        return Checked::default();
    }
    let inventory = open
        .inventory
        .as_ref()
        .filter(|name| open.subject.is_some() && !datasets.is_in_doubt(name));
    let nameless = SubjectTemplate { parts: Vec::new() };
    let checked = evaluate::check(
        &Parts {
            evidence,
            fails_when: open.fails_when.as_ref().map_or("true", |c| c.as_str()),
            params: &params.0,
            subject: open.subject.as_ref().map_or(&nameless, |s| &s.value),
            inventory: inventory.map(|i| &i.value),
        },
        &datasets.schemas,
    );
    for problem in &checked.problems {
        let whole = |place: &Place| {
            let whole = Located {
                value: String::new(),
                place: place.clone(),
                block: None,
                quote: 0,
            };
            in_file(problem, &whole)
        };
        out.extend(match problem.part {
            Part::FailsWhen => open.fails_when.as_ref().map(|t| in_file(problem, t)),
            Part::Subject => open.subject.as_ref().map(|s| whole(&s.place)),
            Part::Inventory => inventory.map(|i| whole(&i.place)),
            _ => Some(in_file(problem, evidence)),
        });
    }
    checked
}

/// The columns that the control refers to come out of its evidence.
fn columns(open: &Open, given: &[OutputColumn], out: &mut Vec<Diagnostic>) {
    let owner = open.owner.as_ref().and_then(|o| o.column());
    for column in open.columns.iter().chain(owner).chain(&open.severity) {
        out.extend(not_given(&column.0, &column.place, given));
    }
    for column in owner.into_iter().chain(&open.severity) {
        out.extend(not_text(column, given));
    }
}

fn not_given(name: &str, place: &Place, given: &[OutputColumn]) -> Option<Diagnostic> {
    if given.iter().any(|g| g.name == name) {
        return None;
    }
    let what = format!("the evidence has no column `{name}`");
    let d = Diagnostic::error("TL0309", place, what);
    Some(offer(d, name, given.iter().map(|g| g.name.as_str())))
}

/// Owners and severities are words.
fn not_text(column: &Located<Column>, given: &[OutputColumn]) -> Option<Diagnostic> {
    let found = given.iter().find(|g| g.name == column.0)?;
    let texts = [Some(ColumnType::Text), Some(ColumnType::ListText)];
    if texts.contains(&found.ty) {
        return None;
    }
    let ty = found.ty.map_or("of another type", ColumnType::as_str);
    let what = format!("`{}` is {ty}, and must be text", column.0);
    Some(Diagnostic::error("TL0217", &column.place, what))
}

/// The names that the message reads are columns.
fn message(open: &Open, given: &[OutputColumn], out: &mut Vec<Diagnostic>) {
    let Some(message) = &open.message else {
        return;
    };
    for name in &message.names {
        let known = template::BESIDES_COLUMNS.contains(&name.as_str());
        if known || given.iter().any(|g| g.name == *name) {
            continue;
        }
        let what = format!("the message reads `{name}`, which the evidence does not give");
        let d = Diagnostic::error("TL0219", &message.place_of(name), what);
        out.push(offer(d, name, given.iter().map(|g| g.name.as_str())));
    }
}

/// The rows of examples have columns that there are. Says nothing while the SQL has a mistake of its own.
pub fn examples(
    control: &Control,
    checked: &Checked,
    datasets: &Datasets,
    out: &mut Vec<Diagnostic>,
) {
    if checked.columns.is_empty() {
        return;
    }
    for example in &control.examples {
        match &example.given {
            Evidence::Row(row) => {
                let names: Vec<&str> = checked.columns.iter().map(|c| c.name.as_str()).collect();
                strangers(row, &names, "the evidence", &example.place, out);
            }
            Evidence::Datasets(tables) => {
                for (name, rows) in tables {
                    if !checked.datasets.contains(name) {
                        let what = format!("the evidence does not read `{name}`");
                        let d = Diagnostic::error("TL0705", &example.place, what);
                        let known: Vec<String> =
                            checked.datasets.iter().map(ToString::to_string).collect();
                        out.push(offer(
                            d,
                            &name.to_string(),
                            known.iter().map(String::as_str),
                        ));
                        continue;
                    }
                    let Some(schema) = datasets.schemas.get(name) else {
                        continue;
                    };
                    let names: Vec<&str> = schema.columns.iter().map(|c| c.name.as_str()).collect();
                    for row in rows {
                        strangers(row, &names, &format!("`{name}`"), &example.place, out);
                    }
                }
            }
        }
    }
}

fn strangers(row: &Row, known: &[&str], whose: &str, place: &Place, out: &mut Vec<Diagnostic>) {
    for name in row.keys().filter(|name| !known.contains(&name.as_str())) {
        let what = format!("the example gives `{name}`, and {whose} has no such column");
        let d = Diagnostic::error("TL0704", place, what);
        out.push(offer(d, name, known.iter().copied()));
    }
}
