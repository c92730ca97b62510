//! A length of time as people write it: `90d`, `12h`, `15m`, `30s`, `500ms`, or several parts in a row.

use std::{fmt, str::FromStr, time::Duration};

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::yaml::{
    decode::{self, Cx, Decode},
    tree::Node,
};

/// A length of time, in whole milliseconds, never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span {
    millis: u64,
}

const UNITS: &[(&str, u64)] = &[
    ("ms", 1),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
];

impl Span {
    /// So many milliseconds.
    pub const fn millis(millis: u64) -> Self {
        Self { millis }
    }

    /// So many seconds.
    pub const fn secs(secs: u64) -> Self {
        Self {
            millis: secs * 1_000,
        }
    }

    /// So many minutes.
    pub const fn minutes(minutes: u64) -> Self {
        Self::secs(minutes * 60)
    }

    /// So many hours.
    pub const fn hours(hours: u64) -> Self {
        Self::secs(hours * 3_600)
    }

    /// So many days of 24 hours.
    pub const fn days(days: u64) -> Self {
        Self::hours(days * 24)
    }

    /// The length in milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.millis
    }

    /// For timers.
    pub const fn to_std(self) -> Duration {
        Duration::from_millis(self.millis)
    }

    /// For arithmetic with instants; more than 292 million years is cut off.
    pub fn to_delta(self) -> TimeDelta {
        i64::try_from(self.millis)
            .ok()
            .and_then(TimeDelta::try_milliseconds)
            .unwrap_or(TimeDelta::MAX)
    }
}

/// Why a text is not a [`Span`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is nothing to read, or a part without a number.
    #[error("write a number and a unit: `90d`, `12h`, `15m`, `30s`")]
    Shape,
    /// The unit is none of ours.
    #[error("the unit is one of `w`, `d`, `h`, `m`, `s`, `ms`")]
    Unit,
    /// It does not fit.
    #[error("that is too long")]
    Size,
}

impl FromStr for Span {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (mut rest, mut millis) = (text, 0_u64);
        if rest.is_empty() {
            return Err(Error::Shape);
        }
        while !rest.is_empty() {
            let digits = rest
                .find(|c: char| !c.is_ascii_digit())
                .ok_or(Error::Shape)?;
            let (number, tail) = rest.split_at(digits);
            let letters = tail
                .find(|c: char| !c.is_ascii_alphabetic())
                .unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(letters);
            if number.is_empty() {
                return Err(Error::Shape);
            }
            let number: u64 = number.parse().map_err(|_| Error::Size)?;
            let (_, size) = UNITS.iter().find(|(u, _)| *u == unit).ok_or(Error::Unit)?;
            let part = number.checked_mul(*size).ok_or(Error::Size)?;
            millis = millis.checked_add(part).ok_or(Error::Size)?;
            rest = tail;
        }
        Ok(Self { millis })
    }
}

impl fmt::Display for Span {
    /// The shortest exact form: `90d`, `1d12h`, `0s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.millis;
        let mut parts = Vec::new();
        for (unit, size) in [
            ("d", 86_400_000),
            ("h", 3_600_000),
            ("m", 60_000),
            ("s", 1_000),
            ("ms", 1),
        ] {
            if rest >= size {
                parts.push(format!("{}{unit}", rest / size));
                rest %= size;
            }
        }
        f.pad(
            if parts.is_empty() {
                "0s".to_owned()
            } else {
                parts.concat()
            }
            .as_str(),
        )
    }
}

impl Decode for Span {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        decode::from_text(node, "a duration such as `90d`, `12h`, `15m` or `30s`", cx)
    }

    fn schema(_: &mut serde_json::Map<String, serde_json::Value>) -> serde_json::Value {
        serde_json::json!({ "type": "string", "pattern": "^([0-9]+(w|d|h|m|s|ms))+$" })
    }
}

impl Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_and_write_as_people_do() {
        for (text, same) in [
            ("90d", "90d"),
            ("36h", "1d12h"),
            ("1h30m", "1h30m"),
            ("500ms", "500ms"),
            ("0s", "0s"),
            ("2w", "14d"),
        ] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), same);
        }
    }

    #[test]
    fn what_is_not_a_span_says_why() {
        assert_eq!("".parse::<Span>(), Err(Error::Shape));
        assert_eq!("90".parse::<Span>(), Err(Error::Shape));
        assert_eq!("d".parse::<Span>(), Err(Error::Shape));
        assert_eq!("3y".parse::<Span>(), Err(Error::Unit));
        assert_eq!("99999999999999999999d".parse::<Span>(), Err(Error::Size));
        assert_eq!("-1d".parse::<Span>(), Err(Error::Shape));
    }
}
