//! A row of evidence as people, templates and exceptions see it: a JSON object, column by column. Instants
//! are RFC 3339 in UTC, decimals are text so that no digit is lost, durations read `90d`. One value has one
//! spelling, so equal evidence gives equal rows byte for byte.

use chrono::{DateTime, NaiveDate, SecondsFormat, TimeDelta, Utc};
use datafusion::arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch},
    compute::cast,
    datatypes::{
        DataType, Date32Type, Decimal128Type, DurationMicrosecondType, Float64Type, Int64Type,
        TimeUnit, TimestampMicrosecondType,
    },
    util::display::array_value_to_string,
};
use serde_json::{Value, json};

use super::arrow;
use crate::model::{outcome::Row, span::Span, table::ColumnType};

/// One row of a batch.
pub fn row(batch: &RecordBatch, at: usize) -> Row {
    let schema = batch.schema_ref();
    schema
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, column)| (field.name().clone(), value(column, at)))
        .collect()
}

/// One value. What has no type of ours is written as the engine prints it.
pub fn value(array: &ArrayRef, at: usize) -> Value {
    if array.is_null(at) {
        return Value::Null;
    }
    known(array, at)
        .unwrap_or_else(|| Value::String(array_value_to_string(array, at).unwrap_or_default()))
}

fn known(array: &ArrayRef, at: usize) -> Option<Value> {
    Some(match array.data_type() {
        DataType::Utf8 => json!(array.as_string_opt::<i32>()?.value(at)),
        DataType::LargeUtf8 => json!(array.as_string_opt::<i64>()?.value(at)),
        DataType::Utf8View => json!(array.as_string_view_opt()?.value(at)),
        DataType::Boolean => json!(array.as_boolean_opt()?.value(at)),
        DataType::Int64 => json!(array.as_primitive_opt::<Int64Type>()?.value(at)),
        DataType::Float64 => float(array.as_primitive_opt::<Float64Type>()?.value(at)),
        DataType::Decimal128(_, scale) => {
            let digits = array.as_primitive_opt::<Decimal128Type>()?.value(at);
            json!(decimal(digits, *scale))
        }
        DataType::Date32 => {
            let days = array.as_primitive_opt::<Date32Type>()?.value(at);
            let date = NaiveDate::default().checked_add_signed(TimeDelta::days(days.into()))?;
            json!(date.to_string())
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let micros = array
                .as_primitive_opt::<TimestampMicrosecondType>()?
                .value(at);
            json!(instant(DateTime::from_timestamp_micros(micros)?))
        }
        DataType::Duration(TimeUnit::Microsecond) => {
            json!(duration(
                array
                    .as_primitive_opt::<DurationMicrosecondType>()?
                    .value(at)
            ))
        }
        DataType::List(_) => {
            let items = array.as_list_opt::<i32>()?.value(at);
            Value::Array((0..items.len()).map(|i| value(&items, i)).collect())
        }
        // Narrower numbers and coarser times come from functions only.
        ty => {
            let wide = wider(ty)?;
            value(&cast(&array.slice(at, 1), &wide).ok()?, 0)
        }
    })
}

fn wider(ty: &DataType) -> Option<DataType> {
    match ty {
        DataType::UInt64 => Some(DataType::Decimal128(20, 0)),
        ty if ty.is_integer() => Some(DataType::Int64),
        DataType::Float16 | DataType::Float32 => Some(DataType::Float64),
        DataType::Timestamp(_, _) => Some(arrow::data_type(ColumnType::Timestamp)),
        DataType::Duration(_) => Some(arrow::data_type(ColumnType::Duration)),
        DataType::Dictionary(_, values) => Some(values.as_ref().clone()),
        _ => None,
    }
}

/// JSON has no infinity; it is written as text rather than lost.
fn float(value: f64) -> Value {
    serde_json::Number::from_f64(value).map_or_else(|| json!(value.to_string()), Value::Number)
}

/// RFC 3339 in UTC with as many digits as there are.
pub fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// A decimal without the zeros behind it.
fn decimal(digits: i128, scale: i8) -> String {
    let places = usize::try_from(scale).unwrap_or(0);
    let text = format!("{:0>width$}", digits.unsigned_abs(), width = places + 1);
    let (whole, part) = text.split_at(text.len() - places);
    let part = part.trim_end_matches('0');
    let sign = if digits < 0 { "-" } else { "" };
    if part.is_empty() {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{part}")
    }
}

/// A length of time to the millisecond, as [`Span`] writes it.
fn duration(micros: i64) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    format!("{sign}{}", Span::millis(micros.unsigned_abs() / 1_000))
}
