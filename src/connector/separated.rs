//! Separated values (RFC 4180): every line has as many values as the header, and the text ends
//! outside of quotes. A text that does not was cut short, and what was read of it is not all.

use csv::{ByteRecord, ReaderBuilder};

use super::{
    Sink,
    cell::Cell,
    error::{Error, Result},
};
use crate::catalog::connector::dataset::Csv;

/// What people put between values, for a hint when a text does not have what its connector says.
const USUAL: [char; 4] = [',', ';', '\t', '|'];

/// Reads a text into flat rows. `at` names it in errors.
pub(super) fn read(bytes: &[u8], csv: &Csv, at: &str, sink: &mut dyn Sink) -> Result<()> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let delimiter = delimiter(&csv.delimiter)?;
    let wrong = |what: String| Error::input(at, what);
    if let Some(what) = not_text(bytes) {
        return Err(wrong(what.to_owned()));
    }
    let cut = |what: &str| Error::Incomplete(format!("{at} was cut short: {what}"));
    let in_quotes = ends_in_quotes(bytes, delimiter);
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .from_reader(bytes);
    let mut record = ByteRecord::new();
    let mut width = None;
    while reader
        .read_byte_record(&mut record)
        .map_err(|e| wrong(e.to_string()))?
    {
        let line = record.position().map_or(0, csv::Position::line);
        let values = texts(&record)
            .ok_or_else(|| wrong(format!("line {line} is not UTF-8; save it as UTF-8")))?;
        let last = reader.position().byte() >= bytes.len() as u64;
        if last && in_quotes {
            // The end of the file is no end of a value: this row is not one that was seen.
            return Err(cut("it ends inside of quotes"));
        }
        match width {
            None => {
                width = Some(values.len());
                let names = names(&values, csv.header);
                sink.header(&names)
                    .map_err(|e| hint(e, &names, delimiter))?;
                if !csv.header {
                    sink.cells(&cells(&values))?;
                }
            }
            Some(width) if values.len() == width => sink.cells(&cells(&values))?,
            Some(width) => {
                let found = values.len();
                return Err(if last && found < width {
                    cut(&format!("its last line has {found} of {width} values"))
                } else {
                    wrong(format!("line {line} has {found} instead of {width} values"))
                });
            }
        }
    }
    if width.is_none() {
        return Err(wrong("there is nothing in it".to_owned()));
    }
    Ok(())
}

fn delimiter(text: &str) -> Result<u8> {
    match text.as_bytes() {
        [one] => Ok(*one),
        br"\t" => Ok(b'\t'),
        _ => Err(Error::Settings(format!(
            "`delimiter: {text}` is not one character"
        ))),
    }
}

/// What shows that this is no text in UTF-8.
fn not_text(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") {
        return Some("it is UTF-16; save it as UTF-8");
    }
    if bytes.starts_with(b"PK\x03\x04") {
        return Some("it is a workbook or an archive, not separated values");
    }
    if bytes.contains(&0) {
        return Some("it holds zero bytes: it is no text, or was not written to its end");
    }
    None
}

fn texts(record: &ByteRecord) -> Option<Vec<&str>> {
    record
        .iter()
        .map(|value| std::str::from_utf8(value).ok())
        .collect()
}

fn names(values: &[&str], header: bool) -> Vec<String> {
    if header {
        values.iter().map(|v| v.trim().to_owned()).collect()
    } else {
        (0..values.len()).map(|i| i.to_string()).collect()
    }
}

/// A value that is empty is a value that is not there: separated values have no other way to say it.
fn cells<'v>(values: &[&'v str]) -> Vec<Cell<'v>> {
    let cell = |value: &&'v str| {
        if value.is_empty() {
            Cell::Null
        } else {
            Cell::text(value)
        }
    };
    values.iter().map(cell).collect()
}

/// A header of one name that has another usual delimiter in it was most often written with that one.
fn hint(error: Error, names: &[String], delimiter: u8) -> Error {
    let ([only], Error::Header(what)) = (names, &error) else {
        return error;
    };
    let other = USUAL
        .iter()
        .find(|c| **c != char::from(delimiter) && only.contains(**c));
    match other {
        Some(c) => Error::Header(format!(
            "{what}; is the delimiter `{}`?",
            c.escape_default()
        )),
        None => error,
    }
}

/// Whether the text ends inside of quotes. The reader takes the end of the text as the end of the value.
fn ends_in_quotes(bytes: &[u8], delimiter: u8) -> bool {
    let mut inside = false;
    let mut fresh = true;
    let mut rest = bytes.iter().peekable();
    while let Some(byte) = rest.next() {
        match (inside, *byte) {
            (true, b'"') if rest.peek() == Some(&&b'"') => {
                rest.next();
            }
            (true, b'"') => inside = false,
            (true, _) => {}
            (false, b'"') if fresh => inside = true,
            (false, b) => {
                fresh = b == delimiter || b == b'\n' || b == b'\r';
                continue;
            }
        }
        fresh = false;
    }
    inside
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::connector::testing::Kept;

    fn csv(text: &[u8], delimiter: &str) -> (Kept, Result<(), String>) {
        let mut kept = Kept::default();
        let how = Csv {
            delimiter: delimiter.to_owned(),
            header: true,
        };
        let done = read(text, &how, "a.csv", &mut kept);
        (kept, done.map_err(|e| e.chain()))
    }

    #[test]
    fn lines_become_rows_of_texts() {
        let (kept, done) = csv(
            b"\xEF\xBB\xBFid;Next review\r\n1;\"a;\"\"b\"\"\nc\"\r\n2;\r\n",
            ";",
        );
        assert_eq!(done, Ok(()));
        assert_eq!(kept.names, ["id", "Next review"]);
        assert_eq!(kept.rows, [["1", "a;\"b\"\nc"], ["2", "∅"]]);
    }

    #[test]
    fn a_text_that_was_cut_short_says_so_and_keeps_what_came_before() {
        let cut = |text: &str| {
            let (kept, done) = csv(text.as_bytes(), ",");
            format!("{} rows; {}", kept.rows.len(), done.unwrap_err())
        };
        insta::assert_snapshot!(cut("a,b,c\n1,2,3\n4,5"), @"1 rows; a.csv was cut short: its last line has 2 of 3 values");
        insta::assert_snapshot!(cut("a,b\n1,2\n3,\"four and"), @"1 rows; a.csv was cut short: it ends inside of quotes");
        insta::assert_snapshot!(cut("a,b\n1,2\n3,\"four \"\""), @"1 rows; a.csv was cut short: it ends inside of quotes");
        insta::assert_snapshot!(cut("a,b\n1,2\n\"3"), @"1 rows; a.csv was cut short: it ends inside of quotes");
        let (_, done) = csv(b"a,b\n1,2\n3,\"four\"", ",");
        assert_eq!(done, Ok(()), "a last line without its end is whole");
    }

    #[test]
    fn what_is_not_the_text_it_should_be_says_why() {
        let why = |text: &[u8], delimiter: &str| csv(text, delimiter).1.unwrap_err();
        insta::assert_snapshot!(why(b"a,b\n1,2,3\n4,5\n", ","), @"a.csv cannot be read: line 2 has 3 instead of 2 values");
        insta::assert_snapshot!(why(b"a,b\n1\n4,5\n", ","), @"a.csv cannot be read: line 2 has 1 instead of 2 values");
        insta::assert_snapshot!(why(b"", ","), @"a.csv cannot be read: there is nothing in it");
        insta::assert_snapshot!(why(b"\xFF\xFEa\0", ","), @"a.csv cannot be read: it is UTF-16; save it as UTF-8");
        insta::assert_snapshot!(why(b"PK\x03\x04...", ","), @"a.csv cannot be read: it is a workbook or an archive, not separated values");
        insta::assert_snapshot!(why(b"a,b\nM\xFCller,1\n", ","), @"a.csv cannot be read: line 2 is not UTF-8; save it as UTF-8");
        insta::assert_snapshot!(why(b"a,b\n\0\0\0", ","), @"a.csv cannot be read: it holds zero bytes: it is no text, or was not written to its end");
        insta::assert_snapshot!(why(b"a", "::"), @"`delimiter: ::` is not one character");
    }

    #[test]
    fn a_wrong_delimiter_is_guessed_at_in_words_only() {
        let names = ["id;name".to_owned()];
        let error = hint(Error::Header("there is no `id`".into()), &names, b',');
        insta::assert_snapshot!(error.chain(), @"there is no `id`; is the delimiter `;`?");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = csv(&bytes, ",");
        }

        #[test]
        fn what_a_writer_writes_is_read_whole(rows in prop::collection::vec(prop::collection::vec("[a-z\",;\r\n é]{1,6}", 3..=3), 1..6)) {
            let mut writer = csv::WriterBuilder::new().from_writer(Vec::new());
            writer.write_record(["a", "b", "c"]).unwrap();
            for row in &rows {
                writer.write_record(row).unwrap();
            }
            let (kept, done) = csv(&writer.into_inner().unwrap(), ",");
            prop_assert_eq!(done, Ok(()));
            prop_assert_eq!(kept.rows, rows);
        }

    }
}
