//! The kinds of value that the report prints. Each is written by one function, [`Shown::shown`], wherever it stands:
//! in a chart, a table, a sentence, a mail. Missing is never zero: it is [`Known::Unknown`] with its reason, and a
//! share of fewer than five is printed as a count, because a percentage of so few says more than is known.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::{chart::number, notify::text};

/// Fewer than this, and a share is printed as "3 of 4".
pub const FEW: u64 = 5;

/// A value that the report prints.
pub trait Shown {
    /// The name of the kind, written beside the value in the page so that it can be compared with the file.
    const KIND: &'static str;

    /// The value as people read it.
    fn shown(&self) -> String;

    /// The value for a file of columns: endings of column names, and plain figures without units.
    fn fields(&self) -> Vec<(&'static str, String)>;
}

/// A value, or the reason why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Known<T> {
    /// The value.
    Value(T),
    /// There is none: why, in a few words without a full stop.
    Unknown(String),
}

impl<T> Known<T> {
    /// The value, if there is one.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Unknown(_) => None,
        }
    }

    /// Why there is none.
    pub fn unknown(why: &str) -> Self {
        Self::Unknown(why.to_owned())
    }
}

/// A part of a whole that was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// How many.
    pub part: u64,
    /// Of how many.
    pub of: u64,
}

impl Share {
    /// So many of so many.
    pub fn new(part: u64, of: u64) -> Self {
        Self { part, of }
    }

    /// Whether the whole is too small for a percentage.
    pub fn is_few(self) -> bool {
        self.of < FEW
    }

    /// From 0 to 1; nothing of nothing is 0.
    pub fn ratio(self) -> f64 {
        if self.of == 0 {
            0.0
        } else {
            self.part as f64 / self.of as f64
        }
    }

    /// `46 %`, or `3 of 4` of few.
    pub fn short(self) -> String {
        if self.is_few() {
            self.shown()
        } else {
            number::percent(self.ratio())
        }
    }
}

/// A number that is not a count, printed with one digit after the point.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Amount(pub f64);

/// A share that was not counted but set or estimated, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Proportion(pub f64);

/// A probability from 0 to 1, printed with two significant digits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Probability(pub f64);

/// A time in days.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Days(pub f64);

/// How many times as many, with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// The estimate.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

/// An interval of shares, each end from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// What to expect: the middle and the ends of the band.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Band {
    /// The middle.
    pub mid: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// A measure of any of the kinds that are compared over time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// A count.
    Count(u64),
    /// A share.
    Share(Share),
    /// A time.
    Days(Days),
}

impl Shown for u64 {
    const KIND: &'static str = "count";

    fn shown(&self) -> String {
        text::thousands(*self)
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![("", self.to_string())]
    }
}

impl Shown for NaiveDate {
    const KIND: &'static str = "day";

    fn shown(&self) -> String {
        text::day(*self)
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![("", self.to_string())]
    }
}

impl Shown for Share {
    const KIND: &'static str = "share";

    fn shown(&self) -> String {
        let counts = format!("{} of {}", self.part.shown(), self.of.shown());
        if self.is_few() {
            counts
        } else {
            format!("{} ({counts})", number::percent(self.ratio()))
        }
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![("", self.part.to_string()), ("of", self.of.to_string())]
    }
}

impl Shown for Amount {
    const KIND: &'static str = "amount";

    fn shown(&self) -> String {
        number::fixed(self.0, 1)
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![("", self.0.to_string())]
    }
}

impl Shown for Proportion {
    const KIND: &'static str = "proportion";

    fn shown(&self) -> String {
        number::percent(self.0)
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![("", self.0.to_string())]
    }
}

impl Shown for Probability {
    const KIND: &'static str = "probability";

    fn shown(&self) -> String {
        number::probability(self.0)
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![("", self.0.to_string())]
    }
}

impl Shown for Days {
    const KIND: &'static str = "days";

    fn shown(&self) -> String {
        format!("{} d", number::brief(self.0))
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![("days", self.0.to_string())]
    }
}

impl Shown for Ratio {
    const KIND: &'static str = "ratio";

    fn shown(&self) -> String {
        format!(
            "{} ({} to {})",
            number::times(self.value),
            number::times(self.low),
            number::times(self.high)
        )
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("", self.value.to_string()),
            ("low", self.low.to_string()),
            ("high", self.high.to_string()),
        ]
    }
}

impl Shown for Interval {
    const KIND: &'static str = "interval";

    fn shown(&self) -> String {
        format!(
            "{} to {}",
            number::percent(self.low),
            number::percent(self.high)
        )
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("low", self.low.to_string()),
            ("high", self.high.to_string()),
        ]
    }
}

impl Shown for Band {
    const KIND: &'static str = "band";

    fn shown(&self) -> String {
        format!(
            "{} ({} to {})",
            number::fixed(self.mid, 1),
            number::fixed(self.low, 1),
            number::fixed(self.high, 1)
        )
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("", self.mid.to_string()),
            ("low", self.low.to_string()),
            ("high", self.high.to_string()),
        ]
    }
}

impl Shown for Measure {
    const KIND: &'static str = "measure";

    fn shown(&self) -> String {
        match self {
            Self::Count(value) => value.shown(),
            Self::Share(value) => value.shown(),
            Self::Days(value) => value.shown(),
        }
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        let (value, of) = match self {
            Self::Count(value) => (value.to_string(), String::new()),
            Self::Share(value) => (value.part.to_string(), value.of.to_string()),
            Self::Days(value) => (value.0.to_string(), String::new()),
        };
        vec![("", value), ("of", of)]
    }
}

/// Kinds of values that may be unknown, by name.
trait Optional {
    const KIND: &'static str;
    /// A value of the kind, for the names of its columns alone.
    fn any() -> Self;
}

macro_rules! optional {
    ($($kind:ty = $name:literal, $any:expr;)+) => {$(
        impl Optional for $kind {
            const KIND: &'static str = $name;

            fn any() -> Self {
                $any
            }
        }
    )+};
}

optional! {
    u64 = "known-count", 0;
    NaiveDate = "known-day", NaiveDate::default();
    Share = "known-share", Self::new(0, 0);
    Amount = "known-amount", Self(0.0);
    Proportion = "known-proportion", Self(0.0);
    Probability = "known-probability", Self(0.0);
    Days = "known-days", Self(0.0);
    Ratio = "known-ratio", Self { value: 0.0, low: 0.0, high: 0.0 };
    Interval = "known-interval", Self { low: 0.0, high: 0.0 };
    Band = "known-band", Self { mid: 0.0, low: 0.0, high: 0.0 };
    Measure = "known-measure", Self::Count(0);
}

impl<T: Shown + Optional> Shown for Known<T> {
    const KIND: &'static str = <T as Optional>::KIND;

    fn shown(&self) -> String {
        match self {
            Self::Value(value) => value.shown(),
            Self::Unknown(why) => format!("not known: {}", text::line(why)),
        }
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Value(value) => {
                let mut fields = value.fields();
                fields.push(("unknown", String::new()));
                fields
            }
            Self::Unknown(why) => {
                let mut fields: Vec<_> = T::any()
                    .fields()
                    .into_iter()
                    .map(|(ending, _)| (ending, String::new()))
                    .collect();
                fields.push(("unknown", text::line(why)));
                fields
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_few_is_a_count() {
        assert_eq!(Share::new(3, 4).shown(), "3 of 4");
        assert_eq!(Share::new(0, 0).shown(), "0 of 0");
        assert_eq!(Share::new(31, 68).shown(), "46 % (31 of 68)");
    }

    #[test]
    fn missing_is_not_zero() {
        let none: Known<u64> = Known::unknown("no list of teams");
        assert_eq!(none.shown(), "not known: no list of teams");
        assert_eq!(
            none.fields(),
            [
                ("", String::new()),
                ("unknown", "no list of teams".to_owned())
            ]
        );
        assert_eq!(
            serde_json::to_string(&Known::Value(0_u64)).unwrap(),
            r#"{"value":0}"#
        );
    }
}
