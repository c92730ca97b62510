//! The rules for exceptions of a policy against the rest: their SQL against the facets, the controls that they name,
//! and the people behind every role that a step needs. A chain that could never end does not load.

use std::collections::{BTreeMap, BTreeSet};

use super::{dataset::Datasets, in_file};
use crate::{
    catalog::{
        load::{PolicyEntry, offer},
        policy::rules::{Names, Needed},
    },
    evaluate::{self, Parts, Predicate},
    exception::{When, facet},
    model::{
        control::{Param, SubjectTemplate},
        people::Directory,
        rules::ExceptionRules,
        table::ColumnType,
    },
    yaml::{
        decode::Located,
        diagnostic::{Diagnostic, Place},
    },
};

/// Judges what a policy file leaves open; mistakes are added to `out`. Without a directory nobody is missed.
pub fn judge(
    entry: &PolicyEntry,
    controls: &[&str],
    datasets: &Datasets,
    directory: Option<&Directory>,
    out: &mut Vec<Diagnostic>,
) {
    let Some(names) = &entry.names else {
        return;
    };
    for (when, texts) in [
        (When::Triage, &names.conditions.triage),
        (When::Route, &names.conditions.route),
    ] {
        out.extend(texts.iter().filter_map(|text| condition(when, text)));
    }
    for control in &names.controls {
        if !controls.contains(&control.0.as_str()) {
            let what = format!("there is no control `{}` that could be waived", control.0);
            let d = Diagnostic::warning("TL0513", &control.place, what);
            out.push(offer(d, &control.0, controls.iter().copied()));
        }
    }
    for (name, sql) in &names.facets {
        measured(name, sql, datasets, out);
    }
    let Some(policy) = &entry.policy else {
        return;
    };
    for example in &policy.examples {
        for name in example.given.keys() {
            out.extend(stranger(name, &example.place));
        }
    }
    if let Some(rules) = &policy.exceptions {
        authority(rules, names, entry, out);
    }
    if let Some(directory) = directory {
        for needed in &names.roles {
            out.extend(nobody(needed, directory));
        }
    }
}

fn condition(when: When, text: &Located<String>) -> Option<Diagnostic> {
    let problem = Predicate::new(text, &when.columns()).err()?;
    Some(in_file(&problem, text))
}

/// A facet that evidence answers is one that nobody counts, and its SQL gives it with its type.
fn measured(
    name: &Located<String>,
    sql: &Located<String>,
    datasets: &Datasets,
    out: &mut Vec<Diagnostic>,
) {
    let may = || {
        let all = facet::FACETS.iter();
        all.filter(|(facet, _)| !facet::COUNTED.contains(facet))
    };
    let Some((_, wanted)) = may().find(|(facet, _)| *facet == name.value) else {
        let what = format!("evidence cannot answer `{}`", name.value);
        let known = may().map(|(facet, _)| *facet);
        let d = Diagnostic::error("TL0510", &name.place, what);
        out.push(offer(d, name, known.collect::<Vec<_>>().into_iter()));
        return;
    };
    let reads = evaluate::datasets_of(sql).unwrap_or_default();
    if reads.iter().any(|name| datasets.is_in_doubt(name)) {
        return;
    }
    let text = || Param::Text(String::new());
    let params = BTreeMap::from([
        ("subjects".to_owned(), Param::List(Vec::new())),
        ("incident".to_owned(), text()),
        ("ticket".to_owned(), text()),
    ]);
    let parts = Parts {
        evidence: sql,
        fails_when: "true",
        params: &params,
        subject: &SubjectTemplate { parts: Vec::new() },
        inventory: None,
    };
    let checked = evaluate::check(&parts, &datasets.schemas);
    out.extend(checked.problems.iter().map(|p| in_file(p, sql)));
    if !checked.problems.is_empty() {
        return;
    }
    let given = checked.columns.iter().find(|c| c.name == name.value);
    let what = match given.map(|c| c.ty) {
        None => format!("this gives no column `{}`", name.value),
        Some(Some(ty)) if fits(ty, *wanted) => return,
        Some(_) => format!("`{}` must come out as {wanted}", name.value),
    };
    let help = format!("write `SELECT … AS {}`, with a CAST if need be", name.value);
    out.push(Diagnostic::error("TL0515", &sql.place, what).help(help));
}

/// A whole number does where one with a fraction is wanted.
fn fits(given: ColumnType, wanted: ColumnType) -> bool {
    given == wanted || (given == ColumnType::Int && wanted == ColumnType::Float)
}

fn stranger(name: &str, place: &Place) -> Option<Diagnostic> {
    let known = || facet::FACETS.iter().map(|(facet, _)| *facet);
    if known().any(|facet| facet == name) {
        return None;
    }
    let what = format!("the example gives `{name}`, which is no facet of a request");
    let d = Diagnostic::error("TL0704", place, what);
    Some(offer(d, name, known().collect::<Vec<_>>().into_iter()))
}

/// Every role that signs has its authority written, and in every tier somebody's suffices.
fn authority(
    rules: &ExceptionRules,
    names: &Names,
    entry: &PolicyEntry,
    out: &mut Vec<Diagnostic>,
) {
    let known: Vec<&str> = rules.authority.keys().map(String::as_str).collect();
    let mut told = BTreeSet::new();
    for needed in names.roles.iter().filter(|n| n.signs) {
        let role = needed.role.value.as_str();
        if !known.contains(&role) && told.insert(role) {
            let what = format!("nothing says what the role `{role}` may sign");
            let d = Diagnostic::error("TL0512", &needed.role.place, what)
                .help(format!("add `{role}:` under `authority:`"));
            out.push(d);
        }
    }
    let signs = |role: &str| names.roles.iter().any(|n| n.signs && n.role.value == role);
    for tier in &rules.tiers {
        let covers = rules.authority.iter().any(|(role, a)| {
            let of_tier = a.tiers.is_empty() || a.tiers.contains(&tier.id);
            of_tier && !a.emergency_only && signs(role)
        });
        if !covers && let Some(id) = &entry.id {
            let what = format!(
                "nobody who signs a step has authority in the tier `{}`",
                tier.id
            );
            out.push(
                Diagnostic::error("TL0512", &id.place, what).help(
                    "a request of that tier could never be approved: widen somebody's `tiers:`",
                ),
            );
        }
    }
}

/// Enough people bear a role, of enough teams.
fn nobody(needed: &Needed, directory: &Directory) -> Option<Diagnostic> {
    let role = needed.role.value.as_str();
    let bearers = || {
        directory
            .people
            .iter()
            .filter(|p| p.roles.iter().any(|r| r == role))
    };
    let people = bearers().count();
    let teams: BTreeSet<&str> = bearers()
        .filter_map(|p| p.team.as_ref().map(|t| t.value.as_str()))
        .collect();
    let wanted = needed.people as usize;
    let what = if people < wanted {
        format!("{people} of `people` bear the role `{role}`, and this step needs {wanted}")
    } else if needed.distinct_teams && teams.len() < wanted {
        format!(
            "the people with the role `{role}` are of {} teams, and this step needs {wanted}",
            teams.len()
        )
    } else {
        return None;
    };
    Some(
        Diagnostic::error("TL0512", &needed.role.place, what).help(format!(
            "add `{role}` to somebody's `roles:` in `tripline.yaml`"
        )),
    )
}
