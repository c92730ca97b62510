//! From the file to the noun: defaults are filled in, and what only the rest of the catalog can judge
//! is set aside.

use std::collections::BTreeMap;

use crate::{
    catalog::{cron, frameworks},
    model::{
        control::{Control, Given, MassChange, Rules, Schedule, Sql},
        id::{ControlId, Sha},
        policy::Severity,
        share::Share,
        span::Span,
    },
    yaml::{
        decode::{Cx, Decode, Located},
        diagnostic::{Diagnostic, Place},
        tree::Node,
    },
};

use super::{
    Column, ControlFile, Count, Due, Facts, MassChangeRule, Open, SeverityRule,
    essential::{Condition, Owner, Population},
};

/// A control that runs this seldom is cleared by two passes instead of three.
const SELDOM: Span = Span::hours(6);

/// The longest wait for a second look.
const RECHECK: Span = Span::minutes(5);

/// What the keys of a file say only together.
pub(super) fn check(file: &ControlFile, _: &Node, cx: &mut Cx) {
    if *file.max_age == Span::default() {
        cx.out.push(
            Diagnostic::error(
                "TL0213",
                &file.max_age.place,
                "with a `max_age` of zero all evidence is too old",
            )
            .help("say how old evidence may be, for example `1h`"),
        );
    }
    let mut seen: Vec<&str> = Vec::new();
    for column in &file.fingerprint {
        if seen.contains(&column.0.as_str()) {
            let what = format!("`{}` is listed twice", column.0);
            cx.out
                .push(Diagnostic::error("TL0214", &column.place, what).help("keep one of them"));
        }
        seen.push(&column.0);
    }
}

/// The control with every default filled in; unknown frameworks are warnings.
pub(super) fn control(file: ControlFile, place: &Place, out: &mut Vec<Diagnostic>) -> Control {
    let schedule = schedule(&file);
    let rules = rules(&file, schedule.interval);
    Control {
        id: ControlId::new(&file.id.0),
        title: file.title.0,
        description: file.description.map(|p| p.0),
        why: file.why.map(|p| p.0),
        policy: file.policy.value,
        frameworks: frameworks::resolve(&file.frameworks, out),
        responsibility: file.responsibility,
        lifecycle: file.lifecycle,
        severity: match file.severity {
            SeverityRule::Fixed(severity) => Given::Fixed(severity),
            SeverityRule::Column(by) => Given::Column {
                column: by.column.value.0,
                otherwise: by.r#else,
            },
        },
        owner: match file.owner {
            Owner::Fixed(name) => Given::Fixed(name.value),
            Owner::Column(by) => Given::Column {
                column: by.column.value.0,
                otherwise: by.r#else.value,
            },
        },
        schedule,
        params: file.params.0,
        evidence: sql(file.evidence.0),
        datasets: Vec::new(),
        max_age: file.max_age.value,
        subject: file.subject.value,
        inventory: file.inventory.map(|i| i.value),
        fails_when: sql(file.fails_when.0),
        on_empty: file.on_empty,
        on_partial: file.on_partial,
        rules,
        due: due(file.due.as_ref()),
        fingerprint: file.fingerprint.into_iter().map(|c| c.value.0).collect(),
        facts: facts(file.facts.as_ref()),
        exceptions: file.exceptions,
        exception_budget: file.exception_budget.map(Share::as_f64),
        message: file.message.map(|m| m.text.value),
        fix: file.fix.map(|p| p.0),
        examples: file.examples.resolve(),
        formerly: file
            .formerly
            .into_iter()
            .map(|f| ControlId::new(f.0))
            .collect(),
        shadow: file.shadow,
        definition: Sha([0; 32]),
        place: place.clone(),
    }
}

fn sql(text: Located<String>) -> Sql {
    Sql {
        text: text.value,
        place: text.place,
        block: text.block,
    }
}

fn schedule(file: &ControlFile) -> Schedule {
    let interval = cron::parse(&file.schedule.0)
        .ok()
        .and_then(|parsed| cron::interval(&parsed, file.timezone));
    Schedule {
        cron: file.schedule.0.value.clone(),
        timezone: file.timezone,
        catch_up: file.catch_up,
        interval: interval.unwrap_or_default(),
    }
}

fn rules(file: &ControlFile, interval: Span) -> Rules {
    let clear = if interval >= SELDOM { 2 } else { 3 };
    let quarter = Span::millis(interval.as_millis() / 4);
    let mass = file.mass_change.as_ref();
    let usual = Rules::default().mass_change;
    Rules {
        confirm: file.confirm.0,
        clear: file.clear.map_or(clear, |Count(n)| n),
        recheck: file.recheck.unwrap_or(quarter.min(RECHECK)),
        reopen_within: file.reopen_within,
        mass_change: mass.map_or(usual, |MassChangeRule { count, share }| MassChange {
            count: *count,
            share: share.as_f64(),
        }),
    }
}

fn facts(facts: Option<&Facts>) -> BTreeMap<String, String> {
    let said = facts.into_iter().flat_map(Facts::said);
    said.map(|(fact, column)| (fact.to_owned(), column.0.clone()))
        .collect()
}

fn due(due: Option<&Due>) -> BTreeMap<Severity, Span> {
    let Some(due) = due else {
        return BTreeMap::new();
    };
    let said = [
        (Severity::Critical, due.critical),
        (Severity::High, due.high),
        (Severity::Medium, due.medium),
        (Severity::Low, due.low),
    ];
    said.into_iter()
        .filter_map(|(severity, span)| span.map(|s| (severity, s)))
        .collect()
}

/// The parts that others judge, read again one by one: their own mistakes are told already.
pub(super) fn open(node: &Node) -> Open {
    let severity = match part(node, "severity") {
        Some(SeverityRule::Column(by)) => Some(by.column),
        _ => None,
    };
    let fingerprint: Vec<Located<Column>> = part(node, "fingerprint").unwrap_or_default();
    let facts: Option<Facts> = part(node, "facts");
    let facts = facts.iter().flat_map(Facts::said);
    let facts: Vec<_> = facts.map(|(_, column)| column.clone()).collect();
    Open {
        id: part(node, "id"),
        policy: part(node, "policy"),
        owner: part(node, "owner"),
        severity,
        params: match node.get("params") {
            None => Some(super::Params::default()),
            Some(_) => part(node, "params"),
        },
        evidence: part::<Population>(node, "evidence").map(|p| p.0),
        fails_when: part::<Condition>(node, "fails_when").map(|c| c.0),
        subject: part(node, "subject"),
        inventory: part(node, "inventory"),
        columns: fingerprint.into_iter().chain(facts).collect(),
        message: part(node, "message"),
        max_age: part(node, "max_age"),
    }
}

fn part<T: Decode>(node: &Node, key: &str) -> Option<T> {
    T::decode(node.get(key)?, &mut Cx::default())
}
