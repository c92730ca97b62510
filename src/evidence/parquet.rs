//! One table as one Parquet file: sorted by key, so that equal evidence is equal bytes and so has one name;
//! compressed; in row groups small enough to be read in parts and on all cores. The file carries the declared
//! columns and whether the key was found to name each row once, so that it can be read without the catalog of
//! its time.

use bytes::Bytes;
use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array},
        compute::take_record_batch,
        datatypes::DataType,
        error::ArrowError,
        row::{RowConverter, Rows, SortField},
    },
    parquet::{
        arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder},
        basic::{Compression, ZstdLevel},
        errors::ParquetError,
        file::{
            metadata::{KeyValue, ParquetMetaData},
            properties::WriterProperties,
        },
    },
};

use super::arrow;
use crate::model::table::{Schema, Table};

/// Rows per row group: a part that one core reads at a time.
const ROW_GROUP: usize = 128 * 1024;

/// Under which names the file says what it holds.
const SCHEMA: &str = "tripline.schema";
const UNIQUE: &str = "tripline.unique";

/// What a file says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// The columns that were declared when it was written.
    pub schema: Schema,
    /// Whether the key names each row, and each row once, with neither an absent nor an empty value.
    pub unique: bool,
    /// Rows.
    pub rows: u64,
}

/// A table as the bytes of a file.
///
/// # Errors
/// The columns do not fit their schema.
pub(super) fn write(schema: &Schema, batch: &RecordBatch) -> Result<Bytes, ParquetError> {
    let (batch, unique) = by_key(schema, batch)?;
    let json = serde_json::to_string(schema).map_err(|e| ParquetError::External(Box::new(e)))?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_max_row_group_row_count(Some(ROW_GROUP))
        .set_key_value_metadata(Some(vec![
            KeyValue::new(SCHEMA.to_owned(), json),
            KeyValue::new(UNIQUE.to_owned(), unique.to_string()),
        ]))
        .build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties))?;
    writer.write(&batch)?;
    writer.close()?;
    Ok(Bytes::from(bytes))
}

/// The whole table of a file.
///
/// # Errors
/// The file is damaged, or was not written by [`write`].
pub(super) fn read(bytes: Bytes) -> Result<Table, ParquetError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes)?;
    let about = about(builder.metadata())?;
    let batches: Vec<RecordBatch> = builder.build()?.collect::<Result<_, ArrowError>>()?;
    Ok(arrow::from_batches(&about.schema, &batches)?)
}

/// What a file says of itself.
///
/// # Errors
/// It was not written by [`write`].
pub(super) fn about(metadata: &ParquetMetaData) -> Result<About, ParquetError> {
    let file = metadata.file_metadata();
    let says = |key: &str| {
        file.key_value_metadata()?
            .iter()
            .find(|kv| kv.key == key)?
            .value
            .clone()
    };
    let missing = || ParquetError::General("the file does not say what it holds".to_owned());
    let schema = says(SCHEMA).ok_or_else(missing)?;
    Ok(About {
        schema: serde_json::from_str(&schema).map_err(|e| ParquetError::External(Box::new(e)))?,
        unique: says(UNIQUE).is_some_and(|v| v == "true"),
        rows: u64::try_from(file.num_rows()).unwrap_or(0),
    })
}

/// The rows in the order of their key, and whether it names each once. Without a key the rows stay as they are.
fn by_key(schema: &Schema, batch: &RecordBatch) -> Result<(RecordBatch, bool), ArrowError> {
    let keys: Vec<ArrayRef> = schema
        .key
        .iter()
        .filter_map(|k| batch.column_by_name(k).cloned())
        .collect();
    if keys.is_empty() || keys.len() < schema.key.len() {
        return Ok((batch.clone(), false));
    }
    let fields = keys
        .iter()
        .map(|k| SortField::new(k.data_type().clone()))
        .collect();
    let rows = RowConverter::new(fields)?.convert_columns(&keys)?;
    let order = order(&rows);
    let distinct = order
        .windows(2)
        .all(|pair| matches!(pair, [a, b] if rows.row(*a) != rows.row(*b)));
    let unique = distinct && keys.iter().all(is_named);
    let sorted = order.windows(2).all(|pair| matches!(pair, [a, b] if a < b));
    if sorted {
        return Ok((batch.clone(), unique));
    }
    let indices: UInt32Array = order
        .iter()
        .map(|i| u32::try_from(*i).ok())
        .collect::<Option<Vec<u32>>>()
        .map(UInt32Array::from)
        .ok_or_else(|| ArrowError::InvalidArgumentError("more than 4 billion rows".to_owned()))?;
    Ok((take_record_batch(batch, &indices)?, unique))
}

/// The places of the rows in the order of their keys; equal keys keep their order.
fn order(rows: &Rows) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rows.num_rows()).collect();
    order.sort_by(|a, b| rows.row(*a).cmp(&rows.row(*b)));
    order
}

fn is_named(array: &ArrayRef) -> bool {
    let empty = array.data_type() == &DataType::Utf8View
        && array
            .as_string_view_opt()
            .is_some_and(|a| a.iter().any(|t| t == Some("")));
    array.null_count() == 0 && !empty
}
