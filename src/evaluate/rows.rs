//! Rows that people write, as tables: the rows of an example, the row that a route looks at. Reads what
//! [`crate::evidence::row`] writes.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, NaiveTime};
use datafusion::arrow::{
    array::{ArrayRef, RecordBatch, RecordBatchOptions},
    compute::cast,
    datatypes::SchemaRef,
    error::ArrowError,
};
use serde_json::Value;

use crate::{
    evidence::arrow as columns,
    model::{
        outcome::Row,
        span::Span,
        table::{ColumnDef, ColumnType, Schema, Table, Values},
    },
};

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
    use serde_json::json;

    use super::*;
    use crate::evidence::row::row;

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
