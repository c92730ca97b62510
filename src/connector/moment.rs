//! Days, instants and lengths of time in the forms that sources send them. Every instant ends as
//! microseconds since 1970 in UTC; a text without a zone is never guessed at, only read by a
//! format that the connector states. Never reads the clock.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};

const MICROS: i64 = 1_000_000;

/// 1990-01-01T00:00:00Z in seconds.
const EARLIEST: i64 = 631_152_000;
/// 2100-01-01T00:00:00Z in seconds.
const LATEST: i64 = 4_102_444_800;

/// Microseconds in a day.
pub const DAY: i64 = 86_400 * MICROS;

/// A day, as days since 1970-01-01. Without a format: `2026-11-20`.
pub fn date(text: &str, format: Option<&str>) -> Option<i32> {
    let text = text.trim();
    let day = match format {
        None => NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?,
        Some(f) => NaiveDate::parse_from_str(text, f).ok()?,
    };
    // `%Y-%m-%d` takes any number of digits for the year, and such a year is a slip of the keyboard.
    (1..=9999)
        .contains(&chrono::Datelike::year(&day))
        .then_some(())?;
    Some(days(day))
}

/// Days since 1970-01-01.
pub fn days(day: NaiveDate) -> i32 {
    day.to_epoch_days()
}

/// An instant in RFC 3339, or in a stated format. A format without a zone means UTC; one without a
/// time of day means midnight.
pub fn instant(text: &str, format: Option<&str>) -> Option<i64> {
    let text = text.trim();
    let Some(format) = format else {
        return Some(DateTime::parse_from_rfc3339(text).ok()?.timestamp_micros());
    };
    if let Ok(zoned) = DateTime::parse_from_str(text, format) {
        return Some(zoned.timestamp_micros());
    }
    let naive = NaiveDateTime::parse_from_str(text, format).or_else(|_| {
        NaiveDate::parse_from_str(text, format).map(|day| day.and_time(NaiveTime::MIN))
    });
    Some(naive.ok()?.and_utc().timestamp_micros())
}

/// An instant as whole seconds since 1970, if it lies between 1990 and 2100.
pub fn epoch_seconds(seconds: i128) -> Option<i64> {
    let seconds = i64::try_from(seconds).ok()?;
    (EARLIEST..LATEST)
        .contains(&seconds)
        .then(|| seconds * MICROS)
}

/// An instant as milliseconds since 1970, if it lies between 1990 and 2100.
pub fn epoch_millis(millis: i128) -> Option<i64> {
    let millis = i64::try_from(millis).ok()?;
    (EARLIEST * 1_000..LATEST * 1_000)
        .contains(&millis)
        .then(|| millis * 1_000)
}

/// An instant as seconds since 1970 with a fraction, to the microsecond, if it lies between 1990 and 2100.
#[expect(
    clippy::cast_possible_truncation,
    reason = "between 1990 and 2100 the product is far below 2^63"
)]
pub fn epoch_float(seconds: f64) -> Option<i64> {
    (EARLIEST as f64..LATEST as f64)
        .contains(&seconds)
        .then(|| (seconds * MICROS as f64).round() as i64)
}

/// A length of time in microseconds: Go (`3h25m19s`, also `d` and `w`), ISO 8601 (`P3DT4H`), or seconds.
/// Years and months of ISO 8601 have no fixed length and are refused.
pub fn duration(text: &str) -> Option<i64> {
    let text = text.trim();
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let micros = match rest.strip_prefix('P') {
        Some(iso) => iso8601(iso)?,
        None if rest.ends_with(|c: char| c.is_ascii_digit()) => micros_of(rest, 1_000_000_000)?,
        None => sum(rest, GO)?,
    };
    Some(if negative { -micros } else { micros })
}

/// Units in nanoseconds, the longer names before those that they begin with.
const GO: &[(&str, i128)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("w", 604_800_000_000_000),
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
];
const ISO_DAYS: &[(&str, i128)] = &[("W", 604_800_000_000_000), ("D", 86_400_000_000_000)];
const ISO_TIME: &[(&str, i128)] = &[
    ("H", 3_600_000_000_000),
    ("M", 60_000_000_000),
    ("S", 1_000_000_000),
];

fn iso8601(text: &str) -> Option<i64> {
    let (days, time) = match text.split_once('T') {
        Some((days, time)) => (days, Some(time)),
        None => (text, None),
    };
    if days.is_empty() && time.is_none() {
        return None;
    }
    let days = if days.is_empty() {
        0
    } else {
        sum(days, ISO_DAYS)?
    };
    let time = time.map_or(Some(0), |t| sum(t, ISO_TIME))?;
    days.checked_add(time)
}

/// Adds up `12h30m` and the like; at least one part is wanted.
fn sum(mut text: &str, units: &[(&str, i128)]) -> Option<i64> {
    let mut total = 0_i64;
    loop {
        let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, rest) = text.split_at_checked(digits)?;
        let (name, nanos) = units.iter().find(|(name, _)| rest.starts_with(name))?;
        total = total.checked_add(micros_of(number, *nanos)?)?;
        text = rest.strip_prefix(name)?;
        if text.is_empty() {
            return Some(total);
        }
    }
}

/// A decimal number of units, each of so many nanoseconds, in microseconds; what is finer is cut off.
fn micros_of(number: &str, nanos: i128) -> Option<i64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let whole: i128 = whole.parse::<u64>().ok()?.into();
    let mut part = 0_i128;
    for digit in format!("{fraction:0<9}").bytes() {
        part = part * 10 + i128::from(digit - b'0');
    }
    let nanos = whole
        .checked_mul(nanos)?
        .checked_add(part.checked_mul(nanos)? / 1_000_000_000)?;
    i64::try_from(nanos / 1_000).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn instants_are_utc_microseconds() {
        let noon = 1_795_176_000_000_000;
        assert_eq!(instant("2026-11-20T12:00:00Z", None), Some(noon));
        assert_eq!(instant("2026-11-20T13:00:00+01:00", None), Some(noon));
        assert_eq!(
            instant("2026-11-20T12:00:00.1234567Z", None),
            Some(noon + 123_456)
        );
        assert_eq!(
            instant("2026-11-20 12:00:00", None),
            None,
            "a text without a zone is not guessed at"
        );
        assert_eq!(
            instant("2026-11-20 12:00:00", Some("%Y-%m-%d %H:%M:%S")),
            Some(noon)
        );
        assert_eq!(
            instant("20.11.2026", Some("%d.%m.%Y")),
            Some(noon - DAY / 2)
        );
        assert_eq!(
            instant("20/11/2026 13:00 +0100", Some("%d/%m/%Y %H:%M %z")),
            Some(noon)
        );
    }

    #[test]
    fn days_need_their_format() {
        assert_eq!(date("1970-01-02", None), Some(1));
        assert_eq!(date(" 02.01.1970 ", Some("%d.%m.%Y")), Some(1));
        assert_eq!(date("02.01.1970", None), None);
        assert_eq!(date("2026-02-30", None), None);
        assert_eq!(date("20260-01-01", None), None);
        assert_eq!(date("2026-11-20T00:00:00Z", None), None);
    }

    #[test]
    fn epochs_outside_1990_to_2100_are_refused() {
        assert_eq!(
            epoch_seconds(1_700_000_000),
            Some(1_700_000_000 * 1_000_000)
        );
        assert_eq!(
            epoch_seconds(1_700_000_000_000),
            None,
            "milliseconds given as seconds"
        );
        assert_eq!(
            epoch_millis(1_700_000_000),
            None,
            "seconds given as milliseconds"
        );
        assert_eq!(
            epoch_millis(1_700_000_000_123),
            Some(1_700_000_000_123 * 1_000)
        );
        assert_eq!(epoch_seconds(0), None);
        assert_eq!(epoch_float(1_700_000_000.25), Some(1_700_000_000_250_000));
        assert_eq!(epoch_float(f64::NAN), None);
    }

    #[test]
    fn durations_come_in_three_forms() {
        let hour = 3_600_000_000;
        for (text, micros) in [
            ("3h25m19s", 3 * hour + 25 * 60_000_000 + 19_000_000),
            ("1.5h", hour + hour / 2),
            ("300ms", 300_000),
            ("2us", 2),
            ("2µs", 2),
            ("1500ns", 1),
            ("86400s", 24 * hour),
            ("90d", 90 * 24 * hour),
            ("P90D", 90 * 24 * hour),
            ("P1W", 7 * 24 * hour),
            ("P1DT2H", 26 * hour),
            ("PT0.5S", 500_000),
            ("3600", hour),
            ("0", 0),
            ("0s", 0),
            ("-1h", -hour),
        ] {
            assert_eq!(duration(text), Some(micros), "{text}");
        }
        for text in [
            "",
            "P",
            "PT",
            "P1Y",
            "P1M",
            "h",
            ".5s",
            "1x",
            "1h30",
            "1.2.3s",
            "PT1H30",
            "99999999999999999999d",
            "--1s",
        ] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,24}", format in "\\PC{0,8}") {
            let _ = (date(&text, None), instant(&text, None), duration(&text));
            let _ = (date(&text, Some(&format)), instant(&text, Some(&format)));
        }

        #[test]
        fn what_go_writes_is_read(h in 0_i64..100_000, m in 0_i64..60, s in 0_i64..60) {
            prop_assert_eq!(duration(&format!("{h}h{m}m{s}s")), Some((h * 3600 + m * 60 + s) * 1_000_000));
            prop_assert_eq!(duration(&format!("PT{h}H{m}M{s}S")), Some((h * 3600 + m * 60 + s) * 1_000_000));
        }
    }
}
