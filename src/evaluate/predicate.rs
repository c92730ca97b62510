//! A condition over one row, outside any run: a route, a limit, a condition of an exception. Planned once,
//! then answered in microseconds without a session, a thread or a clock; the three truth values of SQL
//! come out as `Some(true)`, `Some(false)` and `None`.

use std::{collections::BTreeSet, sync::Arc};

use datafusion::{
    arrow::{
        array::{Array, AsArray},
        datatypes::{DataType, SchemaRef},
    },
    common::{
        DFSchema, ScalarValue,
        tree_node::{TreeNode, TreeNodeRecursion},
    },
    logical_expr::{ColumnarValue, Expr, ExprSchemable, Operator, Volatility},
    physical_expr::PhysicalExpr,
};

use super::{
    plan,
    problem::{Part, SqlProblem, code},
    rows, session,
    types::Class,
};
use crate::{
    evidence::arrow,
    model::{
        outcome::Row,
        table::{ColumnDef, ColumnType, Schema},
    },
};

/// A condition over the columns of one row.
#[derive(Debug, Clone)]
pub struct Predicate {
    text: String,
    expr: Arc<dyn PhysicalExpr>,
    /// The columns that the condition reads, in the order in which it was planned.
    columns: Schema,
    schema: SchemaRef,
    compared: Vec<(String, String)>,
}

/// Why a condition over a row has no answer at all.
#[derive(Debug, thiserror::Error)]
pub enum PredicateError {
    /// A value of the row is not of its column's type.
    #[error(transparent)]
    Row(#[from] rows::Mismatch),
    /// The condition cannot be computed for these values.
    #[error("`{text}` cannot be computed: {why}")]
    Value {
        /// The condition.
        text: String,
        /// Why not.
        why: String,
    },
}

impl Predicate {
    /// Plans a condition over columns.
    ///
    /// # Errors
    /// It is not one boolean expression over these columns, reads more than one row, or asks for the time.
    pub fn new(expr: &str, columns: &[(&str, ColumnType)]) -> Result<Self, SqlProblem> {
        let part = Part::Expression;
        let tree = plan::read_expression(part, expr, &std::collections::BTreeMap::new())
            .map_err(|problems| first(problems, part))?;
        let all = Schema {
            columns: columns
                .iter()
                .map(|(name, ty)| ColumnDef {
                    name: (*name).to_owned(),
                    ty: *ty,
                    nullable: true,
                })
                .collect(),
            key: Vec::new(),
        };
        let wrap = |e: &datafusion::error::DataFusionError| SqlProblem::plan(part, e);
        let state = session::bare();
        let wide = DFSchema::try_from(arrow::schema(&all)).map_err(|e| wrap(&e))?;
        let planned = plan::expression(state, part, tree, &wide)?;
        let ty = planned.get_type(&wide).map_err(|e| wrap(&e))?;
        if ty != DataType::Boolean {
            let what = format!(
                "the condition is {}, and must be true or false",
                Class::of(&ty).noun()
            );
            return Err(SqlProblem::new(code::CONDITION, part, what));
        }
        if asks_time(&planned) {
            return Err(SqlProblem::new(
                code::FUNCTION,
                part,
                "there is no clock here: the row alone decides",
            ));
        }
        let used = used(&planned);
        let compared = compared(&planned);
        let columns = Schema {
            columns: all
                .columns
                .into_iter()
                .filter(|c| used.contains(&c.name))
                .collect(),
            key: Vec::new(),
        };
        let schema = arrow::schema(&columns);
        let narrow = DFSchema::try_from(Arc::clone(&schema)).map_err(|e| wrap(&e))?;
        let expr_text = expr.to_owned();
        let expr = state
            .create_physical_expr(planned, &narrow)
            .map_err(|e| wrap(&e))?;
        Ok(Self {
            text: expr_text,
            expr,
            columns,
            schema,
            compared,
        })
    }

    /// The condition as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The columns that the condition reads.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.columns.columns.iter().map(|c| c.name.as_str())
    }

    /// The columns that the condition compares with a text, each with that text.
    pub fn compared(&self) -> &[(String, String)] {
        &self.compared
    }

    /// The truth of the condition for a row. `None` is SQL's unknown, and what cannot be computed is unknown
    /// too: [`Self::try_test`] says why.
    pub fn test(&self, row: &Row) -> Option<bool> {
        self.try_test(row).ok().flatten()
    }

    /// As [`Self::test`]. Columns that the row lacks are NULL, columns that the condition does not read are not
    /// looked at.
    ///
    /// # Errors
    /// A value is not of its column's type, or the condition cannot be computed for it.
    pub fn try_test(&self, row: &Row) -> Result<Option<bool>, PredicateError> {
        let seen: Row = self
            .columns()
            .filter_map(|name| Some((name.to_owned(), row.get(name)?.clone())))
            .collect();
        let fail = |why: String| PredicateError::Value {
            text: self.text.clone(),
            why,
        };
        let table = rows::table(&self.columns, &[seen])?;
        let batch = rows::batch(&self.schema, &table).map_err(|e| fail(e.to_string()))?;
        let truth = self
            .expr
            .evaluate(&batch)
            .map_err(|e| fail(super::problem::sentence(&e)))?;
        Ok(match truth {
            ColumnarValue::Scalar(ScalarValue::Boolean(value)) => value,
            ColumnarValue::Array(array) => array
                .as_boolean_opt()
                .and_then(|a| a.is_valid(0).then(|| a.value(0))),
            ColumnarValue::Scalar(_) => None,
        })
    }
}

impl PartialEq for Predicate {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.columns == other.columns
    }
}

fn first(problems: Vec<SqlProblem>, part: Part) -> SqlProblem {
    problems
        .into_iter()
        .next()
        .unwrap_or_else(|| SqlProblem::new(code::SYNTAX, part, "it cannot be read"))
}

fn used(expr: &Expr) -> BTreeSet<String> {
    expr.column_refs()
        .into_iter()
        .map(|c| c.name.clone())
        .collect()
}

fn compared(expr: &Expr) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut note = |column: &Expr, text: &Expr| {
        if let (Some(column), Some(text)) = (column_of(column), text_of(text)) {
            found.push((column, text));
        }
    };
    let _ = expr.apply(|e| {
        match e {
            Expr::BinaryExpr(b) if matches!(b.op, Operator::Eq | Operator::NotEq) => {
                note(&b.left, &b.right);
                note(&b.right, &b.left);
            }
            Expr::InList(list) => list.list.iter().for_each(|one| note(&list.expr, one)),
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    });
    found.sort_unstable();
    found.dedup();
    found
}

fn column_of(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Column(column) => Some(column.name.clone()),
        Expr::Cast(cast) => column_of(&cast.expr),
        _ => None,
    }
}

fn text_of(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Literal(value, _) => value.try_as_str().flatten().map(ToOwned::to_owned),
        Expr::Cast(cast) => text_of(&cast.expr),
        _ => None,
    }
}

/// Whether an expression means another thing at another time.
fn asks_time(expr: &Expr) -> bool {
    let mut asks = false;
    let _ = expr.apply(|e| {
        if let Expr::ScalarFunction(f) = e {
            asks |= f.func.signature().volatility != Volatility::Immutable;
        }
        Ok(TreeNodeRecursion::Continue)
    });
    asks
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const COLUMNS: &[(&str, ColumnType)] = &[
        ("kind", ColumnType::Text),
        ("severity", ColumnType::Text),
        ("subjects", ColumnType::Int),
        ("since", ColumnType::Timestamp),
        ("frameworks", ColumnType::ListText),
    ];

    fn ask(expr: &str, row: &serde_json::Value) -> Result<Option<bool>, String> {
        let predicate = Predicate::new(expr, COLUMNS).map_err(|p| p.to_string())?;
        predicate
            .try_test(row.as_object().unwrap())
            .map_err(|e| e.to_string())
    }

    #[test]
    fn a_route_matches_a_row() {
        let route = "kind = 'finding' AND severity IN ('high', 'critical')";
        assert_eq!(
            ask(
                route,
                &json!({ "kind": "finding", "severity": "high", "other": [1] })
            ),
            Ok(Some(true))
        );
        assert_eq!(
            ask(route, &json!({ "kind": "finding", "severity": "low" })),
            Ok(Some(false))
        );
        assert_eq!(ask(route, &json!({ "kind": "signal" })), Ok(Some(false)));
        assert_eq!(ask(route, &json!({ "kind": "finding" })), Ok(None));
        assert_eq!(ask("true", &json!({})), Ok(Some(true)));
        assert_eq!(
            ask(
                "array_has(frameworks, 'x')",
                &json!({ "frameworks": ["x"] })
            ),
            Ok(Some(true))
        );
        assert_eq!(
            ask(
                "since < '2026-01-01'",
                &json!({ "since": "2025-01-01T00:00:00Z" })
            ),
            Ok(Some(true))
        );
    }

    #[test]
    fn a_value_never_becomes_sql() {
        let row = &json!({ "kind": "finding' OR 'a' = 'a" });
        assert_eq!(ask("kind = 'finding'", row), Ok(Some(false)));
    }

    #[test]
    fn what_is_no_condition_says_why() {
        insta::assert_snapshot!(ask("kindd = 'x'", &json!({})).unwrap_err(), @"line 1, column 1: unknown column `kindd`; did you mean `kind`?");
        insta::assert_snapshot!(ask("subjects", &json!({})).unwrap_err(), @"the condition is a number, and must be true or false");
        insta::assert_snapshot!(ask("subjects > 'x'", &json!({})).unwrap_err(), @"line 1, column 1: a number cannot be compared with text; write TRY_CAST(… AS DOUBLE): a value that cannot be read is then NULL, which is unknown");
        insta::assert_snapshot!(ask("since < now()", &json!({})).unwrap_err(), @"there is no clock here: the row alone decides");
        insta::assert_snapshot!(ask("count(*) > 1", &json!({})).unwrap_err(), @"line 1, column 1: a condition sees one row, and `count` needs several");
        insta::assert_snapshot!(ask("subjects > $x", &json!({})).unwrap_err(), @"line 1, column 12: unknown parameter `$x`");
        insta::assert_snapshot!(ask("subjects > 1", &json!({ "subjects": "many" })).unwrap_err(), @r#"`subjects`: expected a whole number, found "many""#);
        insta::assert_snapshot!(ask("CAST(kind AS BIGINT) > 1", &json!({ "kind": "many" })).unwrap_err(), @"`CAST(kind AS BIGINT) > 1` cannot be computed: Cannot cast string 'many' to value of Int64 type");
    }
}
