//! Parameters become typed literals in the syntax tree: a duration an INTERVAL, a list the members of
//! an `IN (…)`, a text one string whatever it contains. Nothing is ever pasted into the text of a query.

use std::{collections::BTreeMap, ops::ControlFlow};

use datafusion::sql::sqlparser::{
    ast::{Array, Expr, Interval, UnaryOperator, Value, ValueWithSpan, VisitMut, VisitorMut},
    tokenizer::Span,
};

use super::problem::{Part, SqlProblem, code};
use crate::model::control::Param;

/// Puts the values of `params` in the place of `$name`; gives what cannot be replaced.
pub(super) fn bind(
    part: Part,
    tree: &mut impl VisitMut,
    params: &BTreeMap<String, Param>,
) -> Vec<SqlProblem> {
    let mut binder = Binder {
        part,
        params,
        problems: Vec::new(),
    };
    let _: ControlFlow<()> = tree.visit(&mut binder);
    binder.problems
}

struct Binder<'a> {
    part: Part,
    params: &'a BTreeMap<String, Param>,
    problems: Vec<SqlProblem>,
}

impl Binder<'_> {
    /// The parameter that an expression names, or a problem.
    fn param(&mut self, value: &ValueWithSpan) -> Option<&Param> {
        let Value::Placeholder(text) = &value.value else {
            return None;
        };
        let name = text.strip_prefix('$').unwrap_or_default();
        let found = self.params.get(name);
        if found.is_none() {
            let problem = if name.is_empty() {
                SqlProblem::new(
                    code::PARAM,
                    self.part,
                    format!("`{text}` is not a parameter"),
                )
                .help("write `$name` for a parameter")
            } else {
                let known = self.params.keys().map(String::as_str);
                SqlProblem::new(
                    code::PARAM,
                    self.part,
                    format!("unknown parameter `${name}`"),
                )
                .nearest(name, "parameters", known.collect::<Vec<_>>())
            };
            self.problems.push(problem.at(value.span));
        }
        found
    }
}

impl VisitorMut for Binder<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::InList { list, .. } = expr
            && let [Expr::Value(value)] = list.as_slice()
            && let Value::Placeholder(name) = &value.value
            && let Some(Param::List(items)) = self.params.get(name.trim_start_matches('$'))
        {
            *list = items.iter().map(|t| text(t)).collect();
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let Expr::Value(value) = expr else {
            return ControlFlow::Continue(());
        };
        let value = value.clone();
        if let Some(param) = self.param(&value) {
            match literal(param) {
                Some(literal) => *expr = literal,
                None => self.problems.push(
                    SqlProblem::new(
                        code::PARAM,
                        self.part,
                        format!("{} does not fit into SQL", value.value),
                    )
                    .at(value.span),
                ),
            }
        }
        ControlFlow::Continue(())
    }
}

/// A parameter as a literal. None when the number is not one or the duration is longer than 292 years.
fn literal(param: &Param) -> Option<Expr> {
    Some(match param {
        Param::Duration(span) => {
            let millis = i64::try_from(span.as_millis()).ok()?;
            millis.checked_mul(1_000_000)?;
            interval(millis)
        }
        Param::Bool(value) => Expr::value(Value::Boolean(*value)),
        Param::Int(value) => number(&value.unsigned_abs().to_string(), *value < 0),
        Param::Float(value) if value.is_finite() => {
            number(&format!("{:?}", value.abs()), value.is_sign_negative())
        }
        Param::Float(_) => return None,
        Param::Text(value) => text(value),
        Param::List(items) => Expr::Array(Array {
            elem: items.iter().map(|t| text(t)).collect(),
            named: true,
        }),
    })
}

/// Milliseconds, so that the interval has neither months nor days and compares as a length of time.
fn interval(millis: i64) -> Expr {
    Expr::Interval(Interval {
        value: Box::new(text(&format!("{millis} milliseconds"))),
        leading_field: None,
        leading_precision: None,
        last_field: None,
        fractional_seconds_precision: None,
    })
}

fn text(value: &str) -> Expr {
    Expr::value(Value::SingleQuotedString(value.to_owned()))
}

fn number(digits: &str, negative: bool) -> Expr {
    let plain = Expr::Value(ValueWithSpan {
        value: Value::Number(digits.to_owned(), false),
        span: Span::empty(),
    });
    if negative {
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr: Box::new(plain),
        }
    } else {
        plain
    }
}
