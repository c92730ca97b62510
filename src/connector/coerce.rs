//! From a source's value to a column's type. Lossless or refused: `"3"` is read as the integer 3,
//! `"3.7"` is not, and a number with a fraction never becomes text, because `1.10` and `1.1` are
//! the same number and not the same version. Never shows a value in what it refuses.

use std::fmt;

use serde_json::Value;

use super::{cell::Cell, moment};
use crate::model::table::{ColumnType, Values};

/// A value that cannot be read as its column's type. Names the kind of value, never the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mismatch {
    /// What the column wants.
    pub wanted: ColumnType,
    /// What was found, as a noun.
    pub found: Found,
}

/// What was found in place of a value of the column's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// A value of this kind.
    Kind(&'static str),
    /// A whole number or text whose value the type cannot hold.
    Beyond(&'static str),
    /// An epoch outside 1990 to 2100: most often seconds and milliseconds confused, or 0 for "never".
    Epoch,
    /// Several values where one is wanted.
    Several(usize),
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wanted = self.wanted;
        match self.found {
            Found::Kind(noun) => write!(f, "expected {wanted}, found {noun}"),
            Found::Beyond(noun) => write!(f, "expected {wanted}, found {noun} that it cannot hold"),
            Found::Epoch => write!(
                f,
                "expected {wanted}, found a number that is no instant between 1990 and 2100"
            ),
            Found::Several(n) => write!(
                f,
                "expected one {wanted}, found {n} values; `pick: first`, `join` or `count` takes them"
            ),
        }
    }
}

/// How a column reads its values, apart from its type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// The form of a date or an instant, in the letters of `strftime`.
    pub format: Option<String>,
    /// What parts the items when a list comes as one text.
    pub split: Option<String>,
}

/// Reads `cell` as `wanted` and appends it. On a mismatch nothing is appended.
///
/// # Errors
/// The kind of value that was found instead.
pub fn push(
    values: &mut Values,
    wanted: ColumnType,
    cell: &Cell<'_>,
    reading: &Reading,
) -> Result<(), Mismatch> {
    let read = match values {
        _ if matches!(cell, Cell::Null) => {
            push_null(values);
            return Ok(());
        }
        Values::Text(v) if wanted == ColumnType::Json => json(cell).map(|x| v.push(Some(x))),
        Values::Text(v) => text(cell).map(|x| v.push(Some(x))),
        Values::Int(v) => int(cell).map(|x| v.push(Some(x))),
        Values::Float(v) => float(cell).map(|x| v.push(Some(x))),
        Values::Decimal(v) => decimal(cell).map(|x| v.push(Some(x))),
        Values::Bool(v) => boolean(cell).map(|x| v.push(Some(x))),
        Values::Date(v) => date(cell, reading).map(|x| v.push(Some(x))),
        Values::Timestamp(v) => instant(cell, wanted, reading).map(|x| v.push(Some(x))),
        Values::Duration(v) => duration(cell).map(|x| v.push(Some(x))),
        Values::ListText(v) => list(cell, reading).map(|x| v.push(Some(x))),
    };
    read.map_err(|found| Mismatch { wanted, found })
}

/// Appends an absent value.
pub fn push_null(values: &mut Values) {
    match values {
        Values::Text(v) => v.push(None),
        Values::Int(v) | Values::Timestamp(v) | Values::Duration(v) => v.push(None),
        Values::Float(v) => v.push(None),
        Values::Decimal(v) => v.push(None),
        Values::Bool(v) => v.push(None),
        Values::Date(v) => v.push(None),
        Values::ListText(v) => v.push(None),
    }
}

fn other(cell: &Cell<'_>) -> Found {
    match cell {
        Cell::Many(v) => Found::Several(v.len()),
        _ => Found::Kind(cell.noun()),
    }
}

/// A text without NUL: PostgreSQL keeps none, and a name that ends in the middle is two names.
fn text(cell: &Cell<'_>) -> Result<String, Found> {
    let text = cell.plain().ok_or_else(|| other(cell))?;
    if text.contains('\0') {
        return Err(Found::Kind("text with a NUL in it"));
    }
    Ok(text.into_owned())
}

fn int(cell: &Cell<'_>) -> Result<i64, Found> {
    match cell {
        Cell::Int(i) => i64::try_from(*i).map_err(|_| Found::Beyond("a whole number")),
        Cell::Float(x) => whole(*x).ok_or(if x.fract() == 0.0 {
            Found::Beyond("a whole number")
        } else {
            other(cell)
        }),
        Cell::Decimal(d) if d % SCALE == 0 => {
            i64::try_from(d / SCALE).map_err(|_| Found::Beyond("a whole number"))
        }
        Cell::Text(t) => t.trim().parse().map_err(|_| other(cell)),
        _ => Err(other(cell)),
    }
}

/// The largest magnitude up to which a float holds every whole number.
const EXACT: u128 = 1 << f64::MANTISSA_DIGITS;

/// A float as an integer, when it is exactly one.
#[expect(
    clippy::cast_possible_truncation,
    reason = "whole and below 2^53, so nothing is cut off"
)]
fn whole(x: f64) -> Option<i64> {
    (x.fract() == 0.0 && x.abs() <= EXACT as f64).then_some(x as i64)
}

fn float(cell: &Cell<'_>) -> Result<f64, Found> {
    match cell {
        Cell::Float(x) => Ok(*x),
        Cell::Int(i) if i.unsigned_abs() <= EXACT => Ok(*i as f64),
        Cell::Int(_) => Err(Found::Beyond("a whole number")),
        Cell::Decimal(d) => decimal_text(*d).parse().map_err(|_| other(cell)),
        Cell::Text(t) => match t.trim() {
            // `inf` and `NaN` parse as floats, and compare like no number does.
            t if t.bytes().any(|b| b.is_ascii_digit()) => {
                t.parse().ok().filter(|x: &f64| x.is_finite())
            }
            _ => None,
        }
        .ok_or(other(cell)),
        _ => Err(other(cell)),
    }
}

/// A decimal is an integer of this many parts of one.
pub const SCALE: i128 = 1_000_000_000;
/// 38 digits in all.
const DECIMAL_LIMIT: i128 = 10_i128.pow(38);

fn decimal(cell: &Cell<'_>) -> Result<i128, Found> {
    let read = match cell {
        Cell::Decimal(d) => Some(*d),
        Cell::Int(i) => i.checked_mul(SCALE),
        // The shortest text that gives the same float is what the source wrote, up to 17 digits.
        Cell::Float(x) => decimal_of(&x.to_string()),
        Cell::Text(t) => return decimal_of(t.trim()).ok_or(other(cell)),
        _ => return Err(other(cell)),
    };
    read.filter(|d| d.unsigned_abs() < DECIMAL_LIMIT.unsigned_abs())
        .ok_or(Found::Beyond("a number"))
}

/// A decimal text scaled by 10⁹; more than nine digits after the point are refused unless they are zero.
pub fn decimal_of(text: &str) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let fraction = match fraction.trim_end_matches('0') {
        "" if fraction.is_empty() => return None,
        trimmed => trimmed,
    };
    let digits_only = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || fraction.len() > 9 || !digits_only(whole) || !digits_only(fraction) {
        return None;
    }
    let part: i128 = format!("{fraction:0<9}").parse().ok()?;
    let value = whole
        .parse::<i128>()
        .ok()?
        .checked_mul(SCALE)?
        .checked_add(part)?;
    (value < DECIMAL_LIMIT).then_some(if negative { -value } else { value })
}

/// A decimal scaled by 10⁹ as text, without zeros that say nothing.
pub fn decimal_text(d: i128) -> String {
    let (sign, d) = if d < 0 {
        ("-", d.unsigned_abs())
    } else {
        ("", d.unsigned_abs())
    };
    let scale = SCALE.unsigned_abs();
    let text = format!("{sign}{}.{:09}", d / scale, d % scale);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn boolean(cell: &Cell<'_>) -> Result<bool, Found> {
    match cell {
        Cell::Bool(b) => Ok(*b),
        Cell::Int(0) => Ok(false),
        Cell::Int(1) => Ok(true),
        Cell::Text(t) => {
            let t = t.trim();
            let is = |words: &[&str]| words.iter().any(|w| t.eq_ignore_ascii_case(w));
            if is(&["true", "yes", "1"]) {
                Ok(true)
            } else if is(&["false", "no", "0"]) {
                Ok(false)
            } else {
                Err(other(cell))
            }
        }
        _ => Err(other(cell)),
    }
}

fn date(cell: &Cell<'_>, reading: &Reading) -> Result<i32, Found> {
    match cell {
        Cell::Date(d) => Ok(*d),
        // Spreadsheets have only instants: midnight is a day, any other hour would be lost.
        Cell::Timestamp(t) if t % moment::DAY == 0 => {
            i32::try_from(t / moment::DAY).map_err(|_| other(cell))
        }
        Cell::Text(t) => moment::date(t, reading.format.as_deref()).ok_or(other(cell)),
        _ => Err(other(cell)),
    }
}

fn instant(cell: &Cell<'_>, wanted: ColumnType, reading: &Reading) -> Result<i64, Found> {
    if let Cell::Timestamp(t) = cell {
        return Ok(*t);
    }
    match wanted {
        ColumnType::TimestampS => match cell {
            Cell::Int(i) => moment::epoch_seconds(*i),
            Cell::Float(x) => moment::epoch_float(*x),
            Cell::Text(t) => match t.trim().parse::<i64>() {
                Ok(i) => moment::epoch_seconds(i.into()),
                Err(_) => moment::epoch_float(float(cell)?),
            },
            _ => return Err(other(cell)),
        }
        .ok_or(Found::Epoch),
        ColumnType::TimestampMs => {
            let millis = match cell {
                Cell::Int(i) => *i,
                _ => int(cell)?.into(),
            };
            moment::epoch_millis(millis).ok_or(Found::Epoch)
        }
        _ => match cell {
            Cell::Text(t) => moment::instant(t, reading.format.as_deref()).ok_or(other(cell)),
            _ => Err(other(cell)),
        },
    }
}

fn duration(cell: &Cell<'_>) -> Result<i64, Found> {
    match cell {
        Cell::Duration(d) => Ok(*d),
        Cell::Int(i) => i64::try_from(*i)
            .ok()
            .and_then(|s| s.checked_mul(1_000_000))
            .ok_or(Found::Beyond("a whole number")),
        Cell::Float(x) => moment::duration(&x.to_string()).ok_or(other(cell)),
        Cell::Text(t) => moment::duration(t).ok_or(other(cell)),
        _ => Err(other(cell)),
    }
}

fn list(cell: &Cell<'_>, reading: &Reading) -> Result<Vec<String>, Found> {
    match (cell, &reading.split) {
        (Cell::List(items), _) => items
            .iter()
            .map(|i| i.clone().ok_or(Found::Kind("a list with nothing in it")))
            .collect(),
        (Cell::Json(value), _) => {
            let items = value.as_array().ok_or_else(|| other(cell))?;
            items.iter().map(item).collect()
        }
        (Cell::Many(items), _) => items.iter().map(|v| item(v)).collect(),
        (Cell::Text(t), Some(split)) => Ok(t
            .split(split.as_str())
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect()),
        _ => Err(other(cell)),
    }
}

fn item(value: &Value) -> Result<String, Found> {
    text(&Cell::from(value)).map_err(|found| match found {
        Found::Kind("nothing") => Found::Kind("a list with nothing in it"),
        Found::Kind("a list") => Found::Kind("a list of lists"),
        Found::Kind("an object") => Found::Kind("a list of objects"),
        _ => Found::Kind("a list of other things than texts"),
    })
}

fn json(cell: &Cell<'_>) -> Result<String, Found> {
    match cell {
        Cell::Json(value) => Ok(value.to_string()),
        Cell::Text(t) => Ok(Value::from(t.as_ref()).to_string()),
        Cell::Int(i) => Ok(i.to_string()),
        Cell::Bool(b) => Ok(b.to_string()),
        Cell::Float(x) => Ok(Value::from(*x).to_string()),
        Cell::Decimal(d) => Ok(decimal_text(*d)),
        Cell::List(items) => Ok(Value::from(items.clone()).to_string()),
        Cell::Many(items) => {
            Ok(Value::Array(items.iter().map(|v| (*v).clone()).collect()).to_string())
        }
        Cell::Date(_) | Cell::Timestamp(_) => text(cell).map(|t| Value::from(t).to_string()),
        Cell::Null | Cell::Duration(_) | Cell::Other(_) => Err(other(cell)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(value: &Value, ty: ColumnType) -> Result<Value, String> {
        let reading = Reading::default();
        let mut values = Values::with_capacity(ty, 1);
        push(&mut values, ty, &Cell::from(value), &reading).map_err(|m| m.to_string())?;
        Ok(match &values {
            Values::Text(v) => json!(v[0]),
            Values::Int(v) | Values::Timestamp(v) | Values::Duration(v) => json!(v[0]),
            Values::Float(v) => json!(v[0]),
            Values::Decimal(v) => json!(v[0].map(decimal_text)),
            Values::Bool(v) => json!(v[0]),
            Values::Date(v) => json!(v[0]),
            Values::ListText(v) => json!(v[0]),
        })
    }

    #[test]
    fn what_is_lossless_is_read() {
        for (ty, given, want) in [
            (ColumnType::Int, json!("3"), json!(3)),
            (ColumnType::Int, json!(" -3 "), json!(-3)),
            (ColumnType::Int, json!(3.0), json!(3)),
            (ColumnType::Text, json!(3), json!("3")),
            (ColumnType::Text, json!(true), json!("true")),
            (
                ColumnType::Text,
                json!(18_446_744_073_709_551_615_u64),
                json!("18446744073709551615"),
            ),
            (ColumnType::Float, json!("1e3"), json!(1000.0)),
            (ColumnType::Float, json!(7), json!(7.0)),
            (ColumnType::Decimal, json!("12.50"), json!("12.5")),
            (
                ColumnType::Decimal,
                json!("-0.000000001"),
                json!("-0.000000001"),
            ),
            (ColumnType::Decimal, json!(0.1), json!("0.1")),
            (ColumnType::Decimal, json!("1.0000000000"), json!("1")),
            (ColumnType::Bool, json!("True"), json!(true)),
            (ColumnType::Bool, json!("no"), json!(false)),
            (ColumnType::Bool, json!(1), json!(true)),
            (ColumnType::Date, json!("1970-01-03"), json!(2)),
            (
                ColumnType::Timestamp,
                json!("2023-11-14T22:13:20Z"),
                json!(1_700_000_000_000_000_i64),
            ),
            (
                ColumnType::TimestampS,
                json!(1_700_000_000.5),
                json!(1_700_000_000_500_000_i64),
            ),
            (
                ColumnType::TimestampS,
                json!("1700000000"),
                json!(1_700_000_000_000_000_i64),
            ),
            (
                ColumnType::TimestampMs,
                json!(1_700_000_000_000_i64),
                json!(1_700_000_000_000_000_i64),
            ),
            (ColumnType::Duration, json!(90), json!(90_000_000)),
            (ColumnType::Duration, json!("1h"), json!(3_600_000_000_i64)),
            (ColumnType::Duration, json!(0.5), json!(500_000)),
            (ColumnType::ListText, json!(["a", 2]), json!(["a", "2"])),
            (ColumnType::ListText, json!([]), json!([])),
            (
                ColumnType::Json,
                json!({"a": [1, "x"]}),
                json!("{\"a\":[1,\"x\"]}"),
            ),
            (ColumnType::Json, json!("x"), json!("\"x\"")),
            (ColumnType::Int, Value::Null, Value::Null),
        ] {
            assert_eq!(read(&given, ty), Ok(want), "{given} as {ty}");
        }
    }

    #[test]
    fn what_would_lose_something_is_refused_and_not_shown() {
        for (ty, given) in [
            (ColumnType::Int, json!("3.7")),
            (ColumnType::Int, json!(3.7)),
            (ColumnType::Int, json!("")),
            (ColumnType::Int, json!("99999999999999999999")),
            (ColumnType::Int, json!(1e300)),
            (ColumnType::Int, json!(9_223_372_036_854_775_808_u64)),
            (ColumnType::Int, json!(true)),
            (ColumnType::Text, json!(1.1)),
            (ColumnType::Text, json!({"a": 1})),
            (ColumnType::Text, json!(["a"])),
            (ColumnType::Text, json!("a\0b")),
            (ColumnType::Float, json!("NaN")),
            (ColumnType::Float, json!("inf")),
            (ColumnType::Float, json!("1e999")),
            (ColumnType::Float, json!(9_007_199_254_740_993_i64)),
            (ColumnType::Decimal, json!("0.1234567891")),
            (ColumnType::Decimal, json!("1e3")),
            (ColumnType::Decimal, json!("1.")),
            (ColumnType::Decimal, json!("100000000000000000000000000000")),
            (ColumnType::Bool, json!(2)),
            (ColumnType::Bool, json!("maybe")),
            (ColumnType::Date, json!("2026-11-20T10:00:00Z")),
            (ColumnType::Timestamp, json!("2026-11-20")),
            (ColumnType::Timestamp, json!(1_700_000_000)),
            (ColumnType::TimestampS, json!(0)),
            (ColumnType::TimestampS, json!(1_700_000_000_000_i64)),
            (ColumnType::TimestampMs, json!(1_700_000_000)),
            (ColumnType::TimestampMs, json!(1_700_000_000_000.5)),
            (ColumnType::Duration, json!("P1Y")),
            (ColumnType::ListText, json!("a")),
            (ColumnType::ListText, json!(["a", null])),
            (ColumnType::ListText, json!([["a"]])),
            (ColumnType::ListText, json!([1.5])),
        ] {
            let refused = read(&given, ty).expect_err(&format!("{given} as {ty}"));
            assert!(
                refused.starts_with(&format!("expected {ty}, found ")),
                "{refused}"
            );
        }
        insta::assert_snapshot!(read(&json!("hunter2"), ColumnType::Int).unwrap_err(), @"expected int, found text");
        insta::assert_snapshot!(read(&json!(0), ColumnType::TimestampS).unwrap_err(), @"expected timestamp_s, found a number that is no instant between 1990 and 2100");
    }

    #[test]
    fn a_list_in_one_text_is_split_only_when_told() {
        let mut values = Values::with_capacity(ColumnType::ListText, 1);
        let cell = Cell::text("iso27001; soc2 ;");
        let split = Reading {
            split: Some(";".into()),
            ..Reading::default()
        };
        push(&mut values, ColumnType::ListText, &cell, &split).unwrap();
        assert_eq!(
            values,
            Values::ListText(vec![Some(vec!["iso27001".into(), "soc2".into()])])
        );
        assert!(
            push(
                &mut values,
                ColumnType::ListText,
                &cell,
                &Reading::default()
            )
            .is_err()
        );
        assert_eq!(values.len(), 1, "a mismatch appends nothing");
    }

    #[test]
    fn midnight_is_a_day_and_noon_is_not() {
        let mut values = Values::with_capacity(ColumnType::Date, 1);
        let reading = Reading::default();
        push(
            &mut values,
            ColumnType::Date,
            &Cell::Timestamp(2 * moment::DAY),
            &reading,
        )
        .unwrap();
        assert_eq!(values, Values::Date(vec![Some(2)]));
        let noon = Cell::Timestamp(2 * moment::DAY + moment::DAY / 2);
        assert!(push(&mut values, ColumnType::Date, &noon, &reading).is_err());
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "\\PC{0,16}".prop_map(Value::from),
            "[-+]?[0-9]{0,45}([.][0-9]{0,12})?".prop_map(Value::from),
        ];
        leaf.prop_recursive(2, 8, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-c]", inner, 0..3)
                    .prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn nothing_panics_and_a_mismatch_appends_nothing(value in any_json(), ty in prop::sample::select(ColumnType::ALL)) {
            let mut values = Values::with_capacity(ty, 1);
            let appended = push(&mut values, ty, &Cell::from(&value), &Reading::default()).is_ok();
            prop_assert_eq!(values.len(), usize::from(appended));
        }

        #[test]
        fn integers_and_their_texts_come_back(i in any::<i64>()) {
            prop_assert_eq!(read(&json!(i), ColumnType::Int), Ok(json!(i)));
            prop_assert_eq!(read(&json!(i.to_string()), ColumnType::Int), Ok(json!(i)));
            prop_assert_eq!(read(&json!(i), ColumnType::Text), Ok(json!(i.to_string())));
        }

        #[test]
        fn a_float_is_an_integer_only_when_it_comes_back(x in any::<f64>()) {
            if let Ok(i) = read(&json!(x), ColumnType::Int) && let Some(i) = i.as_i64() {
                prop_assert_eq!((i as f64).to_bits(), (x + 0.0).to_bits());
            }
        }

        #[test]
        fn decimals_come_back(whole in -99_999_999_999_i64..99_999_999_999, part in 0_u32..1_000_000_000) {
            let text = format!("{whole}.{part:09}");
            let scaled = decimal_of(&text).unwrap();
            prop_assert_eq!(decimal_of(&decimal_text(scaled)), Some(scaled));
        }
    }
}
