//! Facets that evidence answers: an open incident, the time a ticket has left. They are asked for when a request is
//! handed in, and stand above what the requester says. What evidence cannot tell is unknown.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Error, freeze::natives};
use crate::{
    evaluate,
    model::{
        control::{OnEmpty, OnPartial, Param, Part, SubjectTemplate},
        definition::Definition,
        id::ControlId,
        outcome::Row,
        request::Request,
        rules::{ExceptionRules, Measured},
    },
    run::{Context, Set, look},
};

/// What evidence says now of every facet that the rules measure.
pub(super) async fn measured(
    cx: &Context,
    set: &Set,
    rules: &ExceptionRules,
    request: &Request,
) -> Result<Row, Error> {
    let mut row = Row::new();
    for (name, facet) in &rules.facets {
        let id = ControlId::new(format!("facet:{name}"));
        let (_, evaluation) = look(cx, set, &id, &definition(set, name, facet, request)).await?;
        let rows = evaluation.observed.iter().flat_map(|o| &o.rows);
        let mut values = rows.filter_map(|r| r.get(name));
        // Two answers are none.
        let value = match (values.next(), values.next()) {
            (Some(value), None) => value.clone(),
            _ => Value::Null,
        };
        row.insert(name.clone(), value);
    }
    Ok(row)
}

/// A facet is looked at like a control whose one subject is the request and which fails where the value is known.
fn definition(set: &Set, name: &str, facet: &Measured, request: &Request) -> Definition {
    let named = |one: &Option<String>| Param::Text(one.clone().unwrap_or_default());
    let reads = evaluate::datasets_of(&facet.evidence).unwrap_or_default();
    let asked = facet.evidence.trim().trim_end_matches(';');
    Definition {
        evidence: format!("SELECT 'this' AS request, {name} FROM ({asked}) AS facet"),
        fails_when: format!("{name} IS NOT NULL"),
        params: BTreeMap::from([
            ("subjects".to_owned(), Param::List(natives(request))),
            ("incident".to_owned(), named(&request.incident)),
            ("ticket".to_owned(), named(&request.ticket)),
        ]),
        subject: SubjectTemplate {
            parts: vec![
                Part::Literal("register/request/".to_owned()),
                Part::Column("request".to_owned()),
            ],
        },
        inventory: None,
        max_age: facet.max_age,
        on_empty: OnEmpty::Unknown,
        on_partial: OnPartial::Unknown,
        datasets: evaluate::promised(&reads, &set.catalog.promises),
    }
}
