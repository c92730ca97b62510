//! A sheet of a workbook (Office Open XML) as flat rows. Cells come one by one, so a sheet with one
//! stray cell at its far end costs one cell. A number that is whole is a whole number, because a
//! sheet knows no other; an empty cell is a value that is not there.

use std::io::Cursor;

use calamine::{DataRef, ExcelDateTime, Reader as _, Xlsx as Workbook, XlsxError};
use chrono::NaiveDate;

use super::{
    Sink,
    cell::Cell,
    error::{Error, Result},
};
use crate::catalog::connector::dataset::Xlsx;

/// The largest magnitude up to which a float holds every whole number.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Reads one sheet into flat rows. `at` names the file in errors.
pub(super) fn read(bytes: &[u8], xlsx: &Xlsx, at: &str, sink: &mut dyn Sink) -> Result<()> {
    let wrong = |what: String| Error::input(at, what);
    let broken = |e: XlsxError| match e {
        XlsxError::Zip(_) => wrong("it is no workbook, or was cut short".to_owned()),
        XlsxError::Password => wrong("it is protected by a password".to_owned()),
        other => wrong(other.to_string()),
    };
    let mut book: Workbook<_> = Workbook::new(Cursor::new(bytes)).map_err(broken)?;
    let sheets = book.sheet_names();
    let sheet = match &xlsx.sheet {
        Some(name) if sheets.contains(name) => name.clone(),
        Some(name) => {
            let known = sheets.join("`, `");
            return Err(wrong(format!(
                "there is no sheet `{name}`; it has `{known}`"
            )));
        }
        None => sheets
            .first()
            .cloned()
            .ok_or_else(|| wrong("there is no sheet in it".to_owned()))?,
    };
    let mut cells = book.worksheet_cells_reader(&sheet).map_err(broken)?;
    let mut rows = Rows {
        header_row: xlsx.header_row.max(1) - 1,
        width: None,
        row: 0,
        cells: Vec::new(),
    };
    while let Some(cell) = cells.next_cell().map_err(broken)? {
        let (row, column) = cell.get_position();
        if row != rows.row {
            rows.flush(sink)?;
            rows.row = row;
        }
        rows.put(column, cell.get_value());
    }
    rows.flush(sink)?;
    if rows.width.is_none() {
        let row = rows.header_row + 1;
        return Err(wrong(format!(
            "sheet `{sheet}` has nothing in row {row}, where its header should be"
        )));
    }
    Ok(())
}

/// The row that is being put together.
struct Rows {
    header_row: u32,
    /// Columns of the header, once it was read. Nothing to the right of them is read.
    width: Option<usize>,
    row: u32,
    cells: Vec<Cell<'static>>,
}

impl Rows {
    fn put(&mut self, column: u32, value: &DataRef<'_>) {
        let Ok(column) = usize::try_from(column) else {
            return;
        };
        let cell = cell(value);
        if self.row < self.header_row
            || self.width.is_some_and(|w| column >= w)
            || cell == Cell::Null
        {
            return;
        }
        // The header may not grow without end either: no workbook has more columns than this.
        if column < 16_384 {
            if self.cells.len() <= column {
                self.cells.resize(column + 1, Cell::Null);
            }
            if let Some(place) = self.cells.get_mut(column) {
                *place = cell;
            }
        }
    }

    fn flush(&mut self, sink: &mut dyn Sink) -> Result<()> {
        let mut cells = std::mem::take(&mut self.cells);
        if cells.is_empty() {
            return Ok(());
        }
        match self.width {
            None if self.row == self.header_row => {
                let names: Vec<String> = cells
                    .iter()
                    .map(|c| c.plain().unwrap_or_default().trim().to_owned())
                    .collect();
                self.width = Some(names.len());
                sink.header(&names).map(|_| ())
            }
            None => Ok(()),
            Some(width) => {
                cells.resize(width, Cell::Null);
                sink.cells(&cells)
            }
        }
    }
}

fn cell(value: &DataRef<'_>) -> Cell<'static> {
    match value {
        DataRef::Int(i) => Cell::Int((*i).into()),
        DataRef::Float(x) => number(*x),
        DataRef::SharedString(text) => text_cell(text),
        DataRef::Bool(b) => Cell::Bool(*b),
        DataRef::DateTime(at) => instant(at).unwrap_or(Cell::Other("a date out of range")),
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => {
            text_cell(text)
        }
        DataRef::Error(_) => Cell::Other("an error of the sheet"),
        DataRef::Empty => Cell::Null,
    }
}

fn text_cell(text: &str) -> Cell<'static> {
    if text.is_empty() {
        Cell::Null
    } else {
        Cell::Text(text.to_owned().into())
    }
}

#[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
fn number(x: f64) -> Cell<'static> {
    if x.fract() == 0.0 && x.abs() <= EXACT {
        Cell::Int((x as i64).into())
    } else {
        Cell::Float(x)
    }
}

/// A sheet's date is a wall clock without a zone; it is taken as UTC.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a sheet's durations are far below 2^63 microseconds"
)]
fn instant(at: &ExcelDateTime) -> Option<Cell<'static>> {
    if at.is_duration() {
        return Some(Cell::Duration((at.as_f64() * 86_400e6).round() as i64));
    }
    let (year, month, day, hour, minute, second, millis) = at.to_ymd_hms_milli();
    let wall = NaiveDate::from_ymd_opt(year.into(), month.into(), day.into())?.and_hms_milli_opt(
        hour.into(),
        minute.into(),
        second.into(),
        millis.into(),
    )?;
    Some(Cell::Timestamp(wall.and_utc().timestamp_micros()))
}
