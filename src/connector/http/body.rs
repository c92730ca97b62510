//! The document that an answer holds, by what the connector says it is. The `Content-Type` is not asked:
//! real systems send JSON as HTML.

use serde_json::{Map, Value};

use super::wire::Answer;
use crate::{
    catalog::connector::dataset::{Absent, Csv, Format},
    connector::{
        Sink,
        cell::Cell,
        documents,
        error::{Error, Result},
        separated,
        settings::Parent,
        xml,
    },
};

/// Reads the body of an answer. Lines and separated values become a list of rows.
pub(super) fn document(format: Format, answer: &Answer, absent: Absent) -> Result<Value> {
    let mut all = Gather::default();
    match format {
        Format::Json => return documents::json(&answer.body, &answer.at),
        Format::Xml => {
            let garbage = |what: String| Error::Garbage {
                at: answer.at.clone(),
                what,
            };
            let text = std::str::from_utf8(&answer.body)
                .map_err(|_| garbage("XML that is not UTF-8".to_owned()))?;
            return xml::read(text).map_err(|e| garbage(e.to_string()));
        }
        Format::Ndjson => documents::lines(&answer.body, &answer.at, absent, &mut all)?,
        Format::Csv => {
            let csv = Csv {
                delimiter: ",".to_owned(),
                header: true,
            };
            separated::read(&answer.body, &csv, &answer.at, &mut all)?;
        }
    }
    Ok(Value::Array(all.rows))
}

/// Puts all rows into one document.
#[derive(Default)]
struct Gather {
    names: Vec<String>,
    rows: Vec<Value>,
}

impl Sink for Gather {
    fn page(&mut self, document: Value, _: Vec<Parent>) -> Result<()> {
        match document {
            Value::Array(rows) => self.rows.extend(rows),
            other => self.rows.push(other),
        }
        Ok(())
    }

    fn header(&mut self, names: &[String]) -> Result<Vec<usize>> {
        self.names = names.to_vec();
        Ok((0..names.len()).collect())
    }

    fn cells(&mut self, row: &[Cell<'_>]) -> Result<()> {
        let value = |cell: &Cell<'_>| {
            cell.plain()
                .map_or(Value::Null, |text| Value::String(text.into_owned()))
        };
        let row: Map<String, Value> = self
            .names
            .iter()
            .cloned()
            .zip(row.iter().map(value))
            .collect();
        self.rows.push(Value::Object(row));
        Ok(())
    }

    fn restart(&mut self) {
        self.rows.clear();
    }
}
