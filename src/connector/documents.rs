//! JSON as one document, and JSON as one value per line. What ends in the middle of a value was cut
//! short; that is told apart from what was never JSON.

use serde_json::Value;

use super::{
    Sink,
    error::{Error, Result},
};
use crate::catalog::connector::dataset::Absent;

/// Values of a file of lines that are handed over at once.
const BATCH: usize = 1_000;

/// Reads one document. `at` names it in errors.
pub(super) fn json(bytes: &[u8], at: &str) -> Result<Value> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    serde_json::from_slice(bytes).map_err(|e| {
        if e.is_eof() && !bytes.trim_ascii().is_empty() {
            Error::Incomplete(format!("{at} was cut short: it ends inside of its JSON"))
        } else {
            Error::input(at, what_is(bytes))
        }
    })
}

/// Reads one value per line, empty lines left out, and hands them over as lists. A text without any
/// value is most often a writer that never came so far; `absent` says whether it means "none".
pub(super) fn lines(bytes: &[u8], at: &str, absent: Absent, sink: &mut dyn Sink) -> Result<()> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let mut batch = Vec::new();
    let mut lines = bytes.split(|b| *b == b'\n').enumerate().peekable();
    let mut any = false;
    while let Some((number, line)) = lines.next() {
        let last = lines.peek().is_none();
        if line.trim_ascii().is_empty() {
            continue;
        }
        let value = match serde_json::from_slice(line) {
            Ok(value) => value,
            Err(error) => {
                hand_over(&mut batch, sink)?;
                return Err(if last && error.is_eof() {
                    Error::Incomplete(format!(
                        "{at} was cut short: it ends inside of line {}",
                        number + 1
                    ))
                } else {
                    Error::input(at, format!("line {} is not JSON", number + 1))
                });
            }
        };
        any = true;
        batch.push(value);
        if batch.len() == BATCH {
            hand_over(&mut batch, sink)?;
        }
    }
    if any || absent == Absent::Empty {
        return hand_over(&mut batch, sink);
    }
    Err(Error::input(at, "there is nothing in it"))
}

fn hand_over(batch: &mut Vec<Value>, sink: &mut dyn Sink) -> Result<()> {
    if batch.is_empty() {
        return Ok(());
    }
    let page = Value::Array(std::mem::take(batch));
    sink.page(page, Vec::new())
}

/// What a body is that is not JSON, without repeating it.
fn what_is(bytes: &[u8]) -> &'static str {
    let text = bytes.trim_ascii_start();
    match text.first() {
        None => "there is nothing in it",
        Some(b'<')
            if text
                .get(..64.min(text.len()))
                .is_some_and(|t| t.to_ascii_lowercase().windows(5).any(|w| w == b"<html")) =>
        {
            "it is a page of HTML, not JSON"
        }
        Some(b'<') => "it is XML or HTML, not JSON",
        Some(b'{' | b'[') => "it begins like JSON and is not",
        Some(_) => "it is not JSON",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::connector::testing::Kept;

    fn read(text: &[u8]) -> (Kept, Result<(), String>) {
        let mut kept = Kept::default();
        let done = lines(text, "a.ndjson", Absent::Error, &mut kept);
        (kept, done.map_err(|e| e.chain()))
    }

    #[test]
    fn each_line_is_a_row() {
        let (kept, done) = read(b"\xEF\xBB\xBF{\"a\":1}\n\n{\"a\":2}\r\n{\"a\":3}");
        assert_eq!(done, Ok(()));
        assert_eq!(kept.documents, 3);
        let many = "1\n".repeat(BATCH + 1);
        assert_eq!(read(many.as_bytes()).0.documents, BATCH + 1);
    }

    #[test]
    fn what_was_cut_short_is_told_from_what_is_no_json() {
        let why = |text: &str| {
            let (kept, done) = read(text.as_bytes());
            format!("{} rows; {}", kept.documents, done.unwrap_err())
        };
        insta::assert_snapshot!(why("{\"a\":1}\n{\"a\":"), @"1 rows; a.ndjson was cut short: it ends inside of line 2");
        insta::assert_snapshot!(why("{\"a\":1}\n{\"a\":\n{}"), @"1 rows; a.ndjson cannot be read: line 2 is not JSON");
        insta::assert_snapshot!(why("1\nhello\n"), @"1 rows; a.ndjson cannot be read: line 2 is not JSON");
        insta::assert_snapshot!(why(""), @"0 rows; a.ndjson cannot be read: there is nothing in it");
        let why = |text: &str| json(text.as_bytes(), "a.json").unwrap_err().chain();
        insta::assert_snapshot!(why("{\"a\": [1, 2"), @"a.json was cut short: it ends inside of its JSON");
        insta::assert_snapshot!(why("<!DOCTYPE html><html><body>"), @"a.json cannot be read: it is a page of HTML, not JSON");
        insta::assert_snapshot!(why("{'a': 1}"), @"a.json cannot be read: it begins like JSON and is not");
        insta::assert_snapshot!(why(" "), @"a.json cannot be read: there is nothing in it");
        assert!(lines(b"", "a", Absent::Empty, &mut Kept::default()).is_ok());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = (read(&bytes), json(&bytes, "a"));
        }
    }
}
