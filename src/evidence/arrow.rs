//! From a table of the model to Arrow and back. One type of column is one Arrow type, everywhere:
//!
//! | column | Arrow | in SQL |
//! |---|---|---|
//! | text, json | Utf8View | text |
//! | int | Int64 | |
//! | float | Float64; what is not a number is absent | |
//! | decimal | Decimal128(38, 9) | |
//! | bool | Boolean | |
//! | date | Date32 | |
//! | timestamp, timestamp_s, timestamp_ms | Timestamp(µs, UTC) | |
//! | duration | Duration(µs): a length, so it compares with `INTERVAL '90 days'` and adds to an instant | |
//! | `list<text>` | List of Utf8 | `array_has`, `unnest` |

use std::sync::Arc;

use datafusion::arrow::{
    array::{
        Array, ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array,
        DurationMicrosecondArray, Float64Array, Int64Array, ListBuilder, RecordBatch,
        RecordBatchOptions, StringBuilder, StringViewArray, TimestampMicrosecondArray,
    },
    datatypes::{
        DataType, Date32Type, Decimal128Type, DurationMicrosecondType, Field, Float64Type,
        Int64Type, Schema as ArrowSchema, SchemaRef, TimeUnit, TimestampMicrosecondType,
    },
    error::ArrowError,
};

use crate::model::table::{ColumnType, Schema, Table, Values};

/// Digits of a decimal, and how many of them stand after the point.
const DECIMAL: (u8, i8) = (38, 9);

/// The Arrow type of a column.
pub fn data_type(ty: ColumnType) -> DataType {
    match ty {
        ColumnType::Text | ColumnType::Json => DataType::Utf8View,
        ColumnType::Int => DataType::Int64,
        ColumnType::Float => DataType::Float64,
        ColumnType::Decimal => DataType::Decimal128(DECIMAL.0, DECIMAL.1),
        ColumnType::Bool => DataType::Boolean,
        ColumnType::Date => DataType::Date32,
        ColumnType::Timestamp | ColumnType::TimestampS | ColumnType::TimestampMs => {
            DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC")))
        }
        ColumnType::Duration => DataType::Duration(TimeUnit::Microsecond),
        ColumnType::ListText => {
            DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)))
        }
    }
}

/// The Arrow schema of a dataset.
pub fn schema(schema: &Schema) -> SchemaRef {
    let fields: Vec<Field> = schema
        .columns
        .iter()
        .map(|c| Field::new(&c.name, data_type(c.ty), c.nullable))
        .collect();
    Arc::new(ArrowSchema::new(fields))
}

/// A table as one batch.
///
/// # Errors
/// A column that may not be absent has an absent value, or columns differ in length.
pub fn to_batch(table: &Table) -> Result<RecordBatch, ArrowError> {
    let columns: Vec<ArrayRef> = table.columns.iter().map(array).collect::<Result<_, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(table.rows()));
    RecordBatch::try_new_with_options(schema(&table.schema), columns, &options)
}

fn array(values: &Values) -> Result<ArrayRef, ArrowError> {
    Ok(match values {
        Values::Text(v) => Arc::new(v.iter().map(Option::as_deref).collect::<StringViewArray>()),
        Values::Int(v) => Arc::new(Int64Array::from(v.clone())),
        Values::Float(v) => Arc::new(
            v.iter()
                .map(|f| f.filter(|f| !f.is_nan()))
                .collect::<Float64Array>(),
        ),
        Values::Decimal(v) => Arc::new(
            Decimal128Array::from(v.clone()).with_precision_and_scale(DECIMAL.0, DECIMAL.1)?,
        ),
        Values::Bool(v) => Arc::new(BooleanArray::from(v.clone())),
        Values::Date(v) => Arc::new(Date32Array::from(v.clone())),
        Values::Timestamp(v) => {
            Arc::new(TimestampMicrosecondArray::from(v.clone()).with_timezone("UTC"))
        }
        Values::Duration(v) => Arc::new(DurationMicrosecondArray::from(v.clone())),
        Values::ListText(v) => {
            let mut lists = ListBuilder::new(StringBuilder::new());
            for list in v {
                match list {
                    Some(items) => lists.append_value(items.iter().map(Some)),
                    None => lists.append_null(),
                }
            }
            Arc::new(lists.finish())
        }
    })
}

/// Batches as a table of `schema`.
///
/// # Errors
/// A batch lacks a column, or has it in another type.
pub fn from_batches(schema: &Schema, batches: &[RecordBatch]) -> Result<Table, ArrowError> {
    let mut table = Table::empty(schema.clone());
    for batch in batches {
        for (column, into) in schema.columns.iter().zip(&mut table.columns) {
            let array = batch.column_by_name(&column.name).ok_or_else(|| {
                ArrowError::SchemaError(format!("column `{}` is missing", column.name))
            })?;
            if array.data_type() != &data_type(column.ty) || !append(into, array) {
                return Err(ArrowError::SchemaError(format!(
                    "column `{}` is of another type",
                    column.name
                )));
            }
        }
    }
    Ok(table)
}

/// Appends an array to values of its own kind; false when it is of another.
fn append(into: &mut Values, array: &ArrayRef) -> bool {
    match into {
        Values::Text(v) => array
            .as_string_view_opt()
            .map(|a| v.extend(a.iter().map(|t| t.map(str::to_owned)))),
        Values::Int(v) => array.as_primitive_opt::<Int64Type>().map(|a| v.extend(a)),
        Values::Float(v) => array.as_primitive_opt::<Float64Type>().map(|a| v.extend(a)),
        Values::Decimal(v) => array
            .as_primitive_opt::<Decimal128Type>()
            .map(|a| v.extend(a)),
        Values::Bool(v) => array.as_boolean_opt().map(|a| v.extend(a)),
        Values::Date(v) => array.as_primitive_opt::<Date32Type>().map(|a| v.extend(a)),
        Values::Timestamp(v) => array
            .as_primitive_opt::<TimestampMicrosecondType>()
            .map(|a| v.extend(a)),
        Values::Duration(v) => array
            .as_primitive_opt::<DurationMicrosecondType>()
            .map(|a| v.extend(a)),
        Values::ListText(v) => array
            .as_list_opt::<i32>()
            .map(|a| v.extend(a.iter().map(|list| list.map(|l| texts(&l))))),
    }
    .is_some()
}

fn texts(array: &ArrayRef) -> Vec<String> {
    array
        .as_string_opt::<i32>()
        .map(|a| a.iter().flatten().map(str::to_owned).collect())
        .unwrap_or_default()
}
