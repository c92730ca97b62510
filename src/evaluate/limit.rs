//! A limit: a condition over one row at an instant, such as `last_rotated_at > now() - INTERVAL '150 days'`. The types
//! of the row are those that its values have; what cannot be told is unknown.

use std::ops::ControlFlow;

use chrono::{DateTime, NaiveDate, Utc};
use datafusion::sql::sqlparser::ast::{Expr, Ident, VisitMut, VisitorMut};
use serde_json::{Value, json};

use super::{
    parse,
    predicate::Predicate,
    problem::{Part, SqlProblem},
};
use crate::model::{outcome::Row, table::ColumnType};

/// The column that stands for the instant. No dataset has one of that name.
const NOW: &str = "tripline_now";

/// What SQL makes of a limit for a row at an instant.
pub fn limit(text: &str, row: &Row, now: DateTime<Utc>) -> Option<bool> {
    let mut row = row.clone();
    row.insert(NOW.to_owned(), json!(now.to_rfc3339()));
    let columns: Vec<(&str, ColumnType)> = row
        .iter()
        .map(|(name, value)| (name.as_str(), type_of(name, value)))
        .collect();
    let predicate = Predicate::new(&timed(text).ok()?, &columns).ok()?;
    predicate.test(&row)
}

/// Whether a limit is an expression at all.
///
/// # Errors
/// What is wrong with it.
pub fn check_limit(text: &str) -> Result<(), SqlProblem> {
    timed(text).map(|_| ())
}

/// The limit with a column in the place of the clock.
fn timed(text: &str) -> Result<String, SqlProblem> {
    let mut expr = parse::expression(Part::Expression, text)?;
    let _: ControlFlow<()> = expr.visit(&mut Clock);
    Ok(expr.to_string())
}

struct Clock;

impl VisitorMut for Clock {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr {
            let name = function.name.to_string().to_lowercase();
            if name == "now" || name == "current_timestamp" {
                *expr = Expr::Identifier(Ident::new(NOW));
            }
        }
        ControlFlow::Continue(())
    }
}

/// The type of a value as a row of evidence writes it.
fn type_of(name: &str, value: &Value) -> ColumnType {
    match value {
        _ if name == NOW => ColumnType::Timestamp,
        Value::Bool(_) => ColumnType::Bool,
        Value::Number(n) if n.is_i64() => ColumnType::Int,
        Value::Number(_) => ColumnType::Float,
        Value::Array(_) => ColumnType::ListText,
        Value::String(text) if DateTime::parse_from_rfc3339(text).is_ok() => ColumnType::Timestamp,
        Value::String(text) if text.parse::<NaiveDate>().is_ok() => ColumnType::Date,
        _ => ColumnType::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_true_false_or_cannot_be_told() {
        let now = "2026-12-10T00:00:00Z".parse().unwrap();
        let of = |text: &str, row: Value| limit(text, row.as_object().unwrap(), now);
        let age = "rotated > now() - INTERVAL '150 days'";
        assert_eq!(
            of(age, json!({ "rotated": "2026-08-01T00:00:00Z" })),
            Some(true)
        );
        assert_eq!(
            of(age, json!({ "rotated": "2026-01-01T00:00:00Z" })),
            Some(false)
        );
        assert_eq!(of(age, json!({ "rotated": null })), None);
        assert_eq!(of(age, json!({ "other": 1 })), None);
        assert_eq!(
            of(
                "uses <= 3 AND tier = 'low'",
                json!({ "uses": 3, "tier": "low" })
            ),
            Some(true)
        );
        assert_eq!(of("uses <= 3", json!({ "uses": 4 })), Some(false));
        assert_eq!(
            of("due > CAST(now() AS DATE)", json!({ "due": "2026-12-11" })),
            Some(true)
        );
        assert!(check_limit("uses <=").is_err());
    }
}
