//! The report as JSON: the model with its sentences, keys sorted, no white space, and in `content_sha256` the SHA-256 of
//! all but itself and `made`, which says when and where the report was made. A report of the same register has the same
//! digest, whenever it is made and in whatever form it is written, so that forms can be compared with each other.

use serde_json::{Map, Number, Value};
use sha2::{Digest, Sha256};

use super::{Error, model::Trend, sentences};

/// The name of the hash.
const HASH: &str = "content_sha256";

/// The name of what is no content.
const MADE: &str = "made";

/// What is written, as a value: the places that cells name are places in it.
pub fn value(trend: &Trend) -> Result<Value, Error> {
    let trend = &settled_trend(trend)?;
    let mut value = serde_json::to_value(trend)?;
    if let Value::Object(map) = &mut value {
        map.insert(
            "sentences".to_owned(),
            serde_json::to_value(sentences(trend))?,
        );
    }
    Ok(sorted(value))
}

/// The report with its numbers as the file has them. What is printed is worked out from this, so that a number which
/// lies between two ways to round it is printed as anybody would print it who read the file.
pub(super) fn settled_trend(trend: &Trend) -> Result<Trend, Error> {
    Ok(serde_json::from_value(sorted(serde_json::to_value(
        trend,
    )?))?)
}

/// The SHA-256 of the report, in hexadecimal.
pub fn content_sha256(trend: &Trend) -> Result<String, Error> {
    hash(&value(trend)?)
}

/// The file.
pub fn bytes(trend: &Trend) -> Result<Vec<u8>, Error> {
    let mut value = value(trend)?;
    let hash = hash(&value)?;
    if let Value::Object(map) = &mut value {
        map.insert(HASH.to_owned(), Value::String(hash));
    }
    written(value)
}

/// The file of a report that was kept.
pub fn written(body: Value) -> Result<Vec<u8>, Error> {
    let mut bytes = serde_json::to_vec(&sorted(body))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Whether a report that was kept is what it was when it got this digest.
pub fn is_kept(body: &Value, digest: &str) -> Result<bool, Error> {
    Ok(hash(body)? == digest)
}

/// Whether a file is what it was. The hash is of the text without the members that it does not hold, so nothing has to be
/// read as a number to check it.
pub fn is_intact(file: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(file) else {
        return false;
    };
    let Some((rest, said)) = cut(text.trim_end(), HASH, "\"", "\",") else {
        return false;
    };
    cut(&rest, MADE, "{", "},").is_some_and(|(rest, _)| sha256(rest.as_bytes()) == said)
}

/// A text without a member, and the value of that. Inside of a string its quotes would be escaped, so what is found is the
/// member.
fn cut(text: &str, name: &str, begin: &str, end: &str) -> Option<(String, String)> {
    let (before, rest) = text.split_once(&format!("\"{name}\":{begin}"))?;
    let (value, after) = rest.split_once(end)?;
    Some((format!("{before}{after}"), value.to_owned()))
}

fn hash(value: &Value) -> Result<String, Error> {
    let mut content = value.clone();
    if let Value::Object(map) = &mut content {
        map.retain(|name, _| name != HASH && name != MADE);
    }
    Ok(sha256(&serde_json::to_vec(&sorted(content))?))
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Twelve significant digits: what is read back and written again is the same text.
fn settled(number: &Number) -> Option<Number> {
    if !number.is_f64() {
        return None;
    }
    let rounded = format!("{:.11e}", number.as_f64()?).parse().ok()?;
    Number::from_f64(rounded)
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<(String, Value)> = map.into_iter().collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(
                entries
                    .into_iter()
                    .map(|(k, v)| (k, sorted(v)))
                    .collect::<Map<_, _>>(),
            )
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        Value::Number(number) => Value::Number(settled(&number).unwrap_or(number)),
        other => other,
    }
}
