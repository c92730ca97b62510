//! Where our reading of types is stricter or kinder than the engine's, all in one place and all of it in
//! plain expressions that any DataFusion session understands:
//!
//! - Instants are microseconds in UTC, `now()` and `TIMESTAMP '…'` too, so that a date in the year 9999,
//!   which many systems write for "never", compares instead of overflowing nanoseconds.
//! - A duration compares with an INTERVAL by its length. The engine would compare months, then days, then
//!   nanoseconds, and call 25 hours shorter than one day.
//! - Texts, numbers, truth values and instants do not compare with each other. The engine would cast every
//!   value at run time, and one bad value would make the whole run fail.
//! - A division by zero is NULL, so one subject is unknown and not all of them; a sum that overflows is an
//!   error and never wraps around.

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::{DataType, Field, FieldRef, TimeUnit},
    common::{DFSchema, DataFusionError, Diagnostic, Result, ScalarValue},
    logical_expr::{
        BinaryExpr, Cast, ColumnarValue, Expr, ExprSchemable, Operator, ScalarFunctionArgs,
        ScalarUDFImpl, Signature, Volatility, lit,
        planner::{ExprPlanner, PlannerResult, RawBinaryExpr, TypePlanner},
        simplify::{ExprSimplifyResult, SimplifyContext},
    },
    sql::sqlparser::ast::{self, BinaryOperator},
};

/// The type of every instant.
pub(super) fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC")))
}

/// What can be compared with what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// NULL without a type, which compares with everything.
    Nothing,
    Text,
    Number,
    Bool,
    Date,
    Instant,
    Duration,
    Interval,
    /// Lists and all else: the engine decides.
    Other,
}

impl Class {
    /// The class of an engine type.
    pub(super) fn of(ty: &DataType) -> Self {
        match ty {
            DataType::Null => Self::Nothing,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::Text,
            ty if ty.is_numeric() => Self::Number,
            DataType::Boolean => Self::Bool,
            DataType::Date32 | DataType::Date64 => Self::Date,
            DataType::Timestamp(_, _) => Self::Instant,
            DataType::Duration(_) => Self::Duration,
            DataType::Interval(_) => Self::Interval,
            DataType::Dictionary(_, values) => Self::of(values),
            _ => Self::Other,
        }
    }

    /// The word for people.
    pub(super) const fn noun(self) -> &'static str {
        match self {
            Self::Nothing => "NULL",
            Self::Text => "text",
            Self::Number => "a number",
            Self::Bool => "true or false",
            Self::Date => "a date",
            Self::Instant => "an instant",
            Self::Duration => "a duration",
            Self::Interval => "an interval",
            Self::Other => "of another type",
        }
    }
}

/// Plans operators and type names by the rules above.
#[derive(Debug)]
pub(super) struct Types;

impl ExprPlanner for Types {
    fn plan_binary_op(
        &self,
        raw: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let (Ok(left), Ok(right)) = (raw.left.get_type(schema), raw.right.get_type(schema)) else {
            return Ok(PlannerResult::Original(raw));
        };
        match &raw.op {
            BinaryOperator::Eq
            | BinaryOperator::NotEq
            | BinaryOperator::Lt
            | BinaryOperator::LtEq
            | BinaryOperator::Gt
            | BinaryOperator::GtEq => comparison(raw, &left, &right).map(PlannerResult::Original),
            BinaryOperator::Plus | BinaryOperator::Minus | BinaryOperator::Multiply => {
                Ok(arithmetic(raw, &left, &right))
            }
            BinaryOperator::Divide | BinaryOperator::Modulo
                if Class::of(&left) == Class::Number && Class::of(&right) == Class::Number =>
            {
                Ok(PlannerResult::Original(RawBinaryExpr {
                    right: unless_zero(raw.right, &right)?,
                    ..raw
                }))
            }
            _ => Ok(PlannerResult::Original(raw)),
        }
    }
}

impl TypePlanner for Types {
    fn plan_type_field(&self, sql: &ast::DataType) -> Result<Option<FieldRef>> {
        Ok(match sql {
            ast::DataType::Timestamp(_, _) | ast::DataType::Datetime(_) => {
                Some(Arc::new(Field::new("", instant(), true)))
            }
            _ => None,
        })
    }
}

/// Both sides of a comparison, made comparable, or why they are not.
fn comparison(mut raw: RawBinaryExpr, left: &DataType, right: &DataType) -> Result<RawBinaryExpr> {
    let (l, r) = (Class::of(left), Class::of(right));
    match (l, r) {
        (Class::Instant | Class::Date, Class::Instant) | (Class::Instant, Class::Date) => {
            raw.left = as_instant(raw.left, left);
            raw.right = as_instant(raw.right, right);
        }
        (Class::Instant | Class::Date, Class::Text) if is_literal(&raw.right) => {}
        (Class::Text, Class::Instant | Class::Date) if is_literal(&raw.left) => {}
        (Class::Duration, Class::Interval) => raw.right = as_duration(&raw.right)?,
        (Class::Interval, Class::Duration) => raw.left = as_duration(&raw.left)?,
        (Class::Interval, _) | (_, Class::Interval) => {
            return Err(wrong(
                &raw.left,
                format!("{} cannot be compared with {}", l.noun(), r.noun()),
                "compare a duration with it, or add it to an instant",
            ));
        }
        (Class::Other | Class::Nothing, _) | (_, Class::Other | Class::Nothing) => {}
        (l, r) if l == r => {}
        (l, r) => {
            return Err(wrong(
                &raw.left,
                format!("{} cannot be compared with {}", l.noun(), r.noun()),
                &cast_hint(l, r),
            ));
        }
    }
    Ok(raw)
}

fn cast_hint(l: Class, r: Class) -> String {
    let to = match (l, r) {
        (Class::Text, other) | (other, Class::Text) => match other {
            Class::Number => "DOUBLE",
            Class::Bool => "BOOLEAN",
            Class::Date => "DATE",
            _ => "TIMESTAMP",
        },
        _ => return "both sides must be of one type".to_owned(),
    };
    format!("write TRY_CAST(… AS {to}): a value that cannot be read is then NULL, which is unknown")
}

/// Sums and products: whole numbers are computed where they cannot wrap around; instants are brought to
/// one precision.
fn arithmetic(
    mut raw: RawBinaryExpr,
    left: &DataType,
    right: &DataType,
) -> PlannerResult<RawBinaryExpr> {
    if left.is_integer() && right.is_integer() {
        let wide = |e: Expr| cast(e, DataType::Decimal128(38, 0));
        let op = match raw.op {
            BinaryOperator::Plus => Operator::Plus,
            BinaryOperator::Minus => Operator::Minus,
            _ => Operator::Multiply,
        };
        let sum = Expr::BinaryExpr(BinaryExpr::new(
            Box::new(wide(raw.left)),
            op,
            Box::new(wide(raw.right)),
        ));
        return PlannerResult::Planned(cast(sum, DataType::Int64));
    }
    match (Class::of(left), Class::of(right)) {
        (Class::Instant | Class::Date, Class::Instant) | (Class::Instant, Class::Date) => {
            raw.left = as_instant(raw.left, left);
            raw.right = as_instant(raw.right, right);
        }
        (Class::Instant, _) => raw.left = as_instant(raw.left, left),
        (_, Class::Instant) => raw.right = as_instant(raw.right, right),
        _ => {}
    }
    PlannerResult::Original(raw)
}

fn as_instant(expr: Expr, ty: &DataType) -> Expr {
    if *ty == instant() {
        expr
    } else {
        cast(expr, instant())
    }
}

fn cast(expr: Expr, to: DataType) -> Expr {
    Expr::Cast(Cast::new(Box::new(expr), to))
}

fn is_literal(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(_, _))
}

/// `NULLIF(divisor, 0)`, unless it is written out and not zero.
fn unless_zero(divisor: Expr, ty: &DataType) -> Result<Expr> {
    let zero = ScalarValue::new_zero(ty)?;
    Ok(match &divisor {
        Expr::Literal(value, _) if *value != zero => divisor,
        _ => datafusion::functions::expr_fn::nullif(divisor, lit(zero)),
    })
}

/// A written INTERVAL as the duration that it is. A month has no fixed length.
fn as_duration(expr: &Expr) -> Result<Expr> {
    let Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(value)), _) = expr else {
        return Err(wrong(
            expr,
            "an interval that is not written out cannot be compared with a duration".to_owned(),
            "write it out: `INTERVAL '90 days'`, or use a parameter",
        ));
    };
    if value.months != 0 {
        return Err(wrong(
            expr,
            "a month has no fixed length, so no duration is longer or shorter".to_owned(),
            "write it in days",
        ));
    }
    let micros = i64::from(value.days) * 86_400_000_000 + value.nanoseconds / 1_000;
    Ok(lit(ScalarValue::DurationMicrosecond(Some(micros))))
}

/// A mistake with a place, when the expression knows one.
pub(super) fn wrong(at: &Expr, what: String, help: &str) -> DataFusionError {
    let span = at.spans().and_then(datafusion::common::Spans::first);
    let diagnostic = Diagnostic::new_error(what.clone(), span).with_help(help, None);
    DataFusionError::Diagnostic(Box::new(diagnostic), Box::new(DataFusionError::Plan(what)))
}

/// `now()` and `current_timestamp`: the run's instant in microseconds.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Now {
    signature: Signature,
    aliases: Vec<String>,
}

impl Default for Now {
    fn default() -> Self {
        Self {
            signature: Signature::nullary(Volatility::Stable),
            aliases: vec!["current_timestamp".to_owned()],
        }
    }
}

impl ScalarUDFImpl for Now {
    fn name(&self) -> &'static str {
        "now"
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(instant())
    }

    fn simplify(&self, args: Vec<Expr>, cx: &SimplifyContext) -> Result<ExprSimplifyResult> {
        Ok(match cx.query_execution_start_time() {
            Some(now) => ExprSimplifyResult::Simplified(lit(ScalarValue::TimestampMicrosecond(
                Some(now.timestamp_micros()),
                Some(Arc::from("UTC")),
            ))),
            None => ExprSimplifyResult::Original(args),
        })
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Err(DataFusionError::Internal(
            "now() stands for the run's instant, which is fixed before it runs".to_owned(),
        ))
    }
}
