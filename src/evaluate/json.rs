//! Rows as people, templates and exceptions see them, and back: JSON objects column by column. Instants are
//! RFC 3339 in UTC, decimals are text so that no digit is lost, durations read `90d`. One value has one
//! spelling, so equal evidence gives equal rows byte for byte.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat, TimeDelta, Utc};
use datafusion::arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions},
    compute::cast,
    datatypes::{
        DataType, Date32Type, Decimal128Type, DurationMicrosecondType, Float64Type, Int64Type,
        SchemaRef, TimeUnit, TimestampMicrosecondType,
    },
    error::ArrowError,
    util::display::array_value_to_string,
};
use serde_json::{Value, json};

use crate::{
    evidence::arrow as columns,
    model::{
        outcome::Row,
        span::Span,
        table::{ColumnDef, ColumnType, Schema, Table, Values},
    },
};

#[cfg_attr(not(test), expect(dead_code, reason = "the engine follows"))]
/// One row of a batch.
pub(super) fn row(batch: &RecordBatch, at: usize) -> Row {
    let schema = batch.schema_ref();
    schema
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, column)| (field.name().clone(), value(column, at)))
        .collect()
}

/// One value. What has no type of ours is written as the engine prints it.
pub(super) fn value(array: &ArrayRef, at: usize) -> Value {
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
        DataType::Timestamp(_, _) => Some(columns::data_type(ColumnType::Timestamp)),
        DataType::Duration(_) => Some(columns::data_type(ColumnType::Duration)),
        DataType::Dictionary(_, values) => Some(values.as_ref().clone()),
        _ => None,
    }
}

/// JSON has no infinity; it is written as text rather than lost.
fn float(value: f64) -> Value {
    serde_json::Number::from_f64(value).map_or_else(|| json!(value.to_string()), Value::Number)
}

/// RFC 3339 in UTC with as many digits as there are.
pub(super) fn instant(at: DateTime<Utc>) -> String {
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

/// A value that is not of its column's type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{column}`: expected {wanted}, found {found}")]
pub struct Mismatch {
    /// The column.
    pub column: String,
    /// What it holds.
    pub wanted: &'static str,
    /// What was given instead.
    pub found: String,
}

/// Rows as a table. A column that a row does not have is NULL.
///
/// # Errors
/// A value is not of its column's type, or a row has a column that the schema lacks.
pub(super) fn table(schema: &Schema, rows: &[Row]) -> Result<Table, Mismatch> {
    let mut table = Table::empty(nullable(schema));
    for row in rows {
        if let Some((name, found)) = row.iter().find(|(k, _)| schema.column(k).is_none()) {
            return Err(Mismatch {
                column: name.clone(),
                wanted: "nothing of that name",
                found: found.to_string(),
            });
        }
        for (column, values) in schema.columns.iter().zip(&mut table.columns) {
            let given = row.get(&column.name).unwrap_or(&Value::Null);
            if !push(values, column.ty, given) {
                return Err(Mismatch {
                    column: column.name.clone(),
                    wanted: noun(column.ty),
                    found: given.to_string(),
                });
            }
        }
    }
    Ok(table)
}

/// Rows as a batch with the engine types of `schema`.
pub(super) fn batch(schema: &SchemaRef, table: &Table) -> Result<RecordBatch, ArrowError> {
    let plain = columns::to_batch(table)?;
    let arrays: Vec<ArrayRef> = schema
        .fields()
        .iter()
        .zip(plain.columns())
        .map(|(field, column)| cast(column, field.data_type()))
        .collect::<Result<_, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(table.rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options)
}

/// The same columns, where every value may be absent: an example gives only what matters.
fn nullable(schema: &Schema) -> Schema {
    Schema {
        columns: schema
            .columns
            .iter()
            .map(|c| ColumnDef {
                nullable: true,
                ..c.clone()
            })
            .collect(),
        key: schema.key.clone(),
    }
}

const fn noun(ty: ColumnType) -> &'static str {
    match ty {
        ColumnType::Text => "text",
        ColumnType::Int => "a whole number",
        ColumnType::Float => "a number",
        ColumnType::Decimal => "a decimal number",
        ColumnType::Bool => "true or false",
        ColumnType::Date => "a date such as 2026-11-20",
        ColumnType::Timestamp => "an instant such as 2026-11-20T00:00:00Z",
        ColumnType::TimestampS => "an instant, or seconds since 1970",
        ColumnType::TimestampMs => "an instant, or milliseconds since 1970",
        ColumnType::Duration => "a duration such as 90d",
        ColumnType::ListText => "a list of texts",
        ColumnType::Json => "JSON",
    }
}

/// Appends one JSON value to a column; false when it is of another type.
fn push(into: &mut Values, ty: ColumnType, given: &Value) -> bool {
    fn put<T>(
        into: &mut Vec<Option<T>>,
        given: &Value,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> bool {
        let value = read(given);
        let fits = given.is_null() || value.is_some();
        into.push(value);
        fits
    }
    match into {
        Values::Text(v) if ty == ColumnType::Json => put(v, given, |g| {
            (!g.is_null()).then(|| g.as_str().map_or_else(|| g.to_string(), str::to_owned))
        }),
        Values::Text(v) => put(v, given, |g| g.as_str().map(str::to_owned)),
        Values::Int(v) => put(v, given, Value::as_i64),
        Values::Float(v) => put(v, given, Value::as_f64),
        Values::Decimal(v) => put(v, given, read_decimal),
        Values::Bool(v) => put(v, given, Value::as_bool),
        Values::Date(v) => put(v, given, |g| {
            let date: NaiveDate = g.as_str()?.parse().ok()?;
            i32::try_from((date - NaiveDate::default()).num_days()).ok()
        }),
        Values::Timestamp(v) => put(v, given, |g| read_instant(g, ty)),
        Values::Duration(v) => put(v, given, |g| {
            let text = g.as_str()?;
            let (sign, text) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
            let span: Span = text.parse().ok()?;
            i64::try_from(span.as_millis())
                .ok()?
                .checked_mul(1_000 * sign)
        }),
        Values::ListText(v) => put(v, given, |g| {
            g.as_array()?
                .iter()
                .map(|i| i.as_str().map(str::to_owned))
                .collect()
        }),
    }
}

fn read_instant(given: &Value, ty: ColumnType) -> Option<i64> {
    if let Some(number) = given.as_i64() {
        return match ty {
            ColumnType::TimestampS => number.checked_mul(1_000_000),
            ColumnType::TimestampMs => number.checked_mul(1_000),
            _ => None,
        };
    }
    let text = given.as_str()?;
    let at = match DateTime::parse_from_rfc3339(text) {
        Ok(at) => at.to_utc(),
        Err(_) => text
            .parse::<NaiveDate>()
            .ok()?
            .and_time(NaiveTime::MIN)
            .and_utc(),
    };
    Some(at.timestamp_micros())
}

/// A decimal with at most nine digits behind the point.
fn read_decimal(given: &Value) -> Option<i128> {
    let text = match given {
        Value::Number(n) => n.to_string(),
        Value::String(s) => s.clone(),
        _ => return None,
    };
    let (negative, text) = text
        .strip_prefix('-')
        .map_or((false, text.as_str()), |rest| (true, rest));
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |t: &str| t.chars().all(|c| c.is_ascii_digit());
    if whole.is_empty() || part.len() > 9 || !digits(whole) || !digits(part) {
        return None;
    }
    let value: i128 = format!("{whole}{part:0<9}").parse().ok()?;
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Schema {
        let columns = ColumnType::ALL
            .iter()
            .map(|ty| ColumnDef {
                name: ty.as_str().replace(['<', '>'], "_"),
                ty: *ty,
                nullable: false,
            })
            .collect();
        Schema {
            columns,
            key: Vec::new(),
        }
    }

    #[test]
    fn a_row_survives_the_way_into_the_engine_and_back() {
        let given = json!({
            "text": "it's", "int": -3, "float": 0.5, "decimal": "-12.000000001", "bool": true, "date": "9999-12-31",
            "timestamp": "2026-11-20T08:00:00.000001Z", "timestamp_s": "2026-11-20T08:00:00Z", "timestamp_ms": "1969-01-01T00:00:00Z",
            "duration": "-1d1h", "list_text_": ["a", "b"], "json": "{\"a\":1}",
        });
        let given = given.as_object().unwrap().clone();
        let empty = Row::new();
        let table = table(&schema(), &[given.clone(), empty]).unwrap();
        let batch = columns::to_batch(&table).unwrap();
        assert_eq!(row(&batch, 0), given);
        assert!(row(&batch, 1).values().all(Value::is_null));
        assert_eq!(
            columns::from_batches(&table.schema, &[batch]).unwrap(),
            table
        );
    }

    #[test]
    fn instants_may_be_numbers_where_the_source_gives_numbers() {
        let given = json!({ "timestamp_s": 1_795_161_600, "timestamp_ms": 1_795_161_600_000_i64 });
        let table = table(&schema(), &[given.as_object().unwrap().clone()]).unwrap();
        let batch = columns::to_batch(&table).unwrap();
        let back = row(&batch, 0);
        assert_eq!(back["timestamp_s"], "2026-11-20T08:00:00Z");
        assert_eq!(back["timestamp_ms"], back["timestamp_s"]);
    }

    #[test]
    fn a_value_of_another_type_names_its_column() {
        let say = |given: Value| {
            table(&schema(), &[given.as_object().unwrap().clone()])
                .unwrap_err()
                .to_string()
        };
        insta::assert_snapshot!(say(json!({ "int": "3" })), @r#"`int`: expected a whole number, found "3""#);
        insta::assert_snapshot!(say(json!({ "timestamp": "yesterday" })), @r#"`timestamp`: expected an instant such as 2026-11-20T00:00:00Z, found "yesterday""#);
        insta::assert_snapshot!(say(json!({ "decimal": 1.000_000_000_1 })), @"`decimal`: expected a decimal number, found 1.0000000001");
        insta::assert_snapshot!(say(json!({ "list_text_": "a" })), @r#"`list_text_`: expected a list of texts, found "a""#);
        insta::assert_snapshot!(say(json!({ "nmae": "a" })), @r#"`nmae`: expected nothing of that name, found "a""#);
    }
}
