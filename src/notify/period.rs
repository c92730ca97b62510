//! When a reader's digest is due, in the reader's own time zone and across changes of its clocks. A
//! period has a key, and one reader gets at most one digest for each key. Pure.

use chrono::{
    DateTime, Datelike as _, Days, LocalResult, NaiveDate, NaiveTime, TimeDelta, TimeZone as _, Utc,
};
use chrono_tz::Tz;

use crate::model::people::{DigestTime, Every, TimeOfDay, Weekday};

/// One period of one reader: the newest whose hour has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    /// `day:2026-11-20` or `week:2026-11-16`.
    pub key: String,
    /// When its digest was due.
    pub at: DateTime<Utc>,
    /// The beginning, when no digest came before.
    pub from: DateTime<Utc>,
    /// Whether only what cannot be switched off is told.
    pub duties_only: bool,
}

/// The newest period whose hour has come at `now`.
pub fn current(time: &DigestTime, zone: Tz, now: DateTime<Utc>) -> Option<Period> {
    let today = now.with_timezone(&zone).date_naive();
    let weekday = match time.every {
        Every::Day => None,
        Every::Week => Some(time.weekday),
        // What cannot be switched off comes once a week.
        Every::Never => Some(Weekday::Monday),
    };
    let length: u64 = if weekday.is_some() { 7 } else { 1 };
    let back = weekday.map_or(0, |w| days_since(today, w));
    let date = today.checked_sub_days(Days::new(back))?;
    let at = instant(date, time.at, zone)?;
    let (date, at) = if at <= now {
        (date, at)
    } else {
        let before = date.checked_sub_days(Days::new(length))?;
        (before, instant(before, time.at, zone)?)
    };
    let word = if weekday.is_some() { "week" } else { "day" };
    Some(Period {
        key: format!("{word}:{date}"),
        at,
        from: instant(date.checked_sub_days(Days::new(length))?, time.at, zone)?,
        duties_only: time.every == Every::Never,
    })
}

fn days_since(today: NaiveDate, weekday: Weekday) -> u64 {
    let wanted = Weekday::ALL
        .iter()
        .position(|w| *w == weekday)
        .unwrap_or_default() as u64;
    let is = u64::from(today.weekday().num_days_from_monday());
    (is + 7 - wanted) % 7
}

/// The instant of a time of day. Where the clocks skip it, the first instant after the gap; where they
/// show it twice, the first of the two.
fn instant(date: NaiveDate, time: TimeOfDay, zone: Tz) -> Option<DateTime<Utc>> {
    let time = NaiveTime::from_hms_opt(time.hour.into(), time.minute.into(), 0)?;
    let mut local = date.and_time(time);
    // Gaps are at most a day long (a zone that crossed the date line), and in whole minutes.
    for _ in 0..=24 * 60 {
        match zone.from_local_datetime(&local) {
            LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => return Some(at.to_utc()),
            LocalResult::None => local += TimeDelta::minutes(1),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn daily(hour: u8, minute: u8) -> DigestTime {
        DigestTime {
            every: Every::Day,
            at: TimeOfDay { hour, minute },
            weekday: Weekday::Monday,
        }
    }

    fn period(time: &DigestTime, zone: Tz, now: &str) -> String {
        let p = current(time, zone, at(now)).unwrap();
        format!("{} {}", p.key, p.at.format("%F %H:%M"))
    }

    #[test]
    fn a_daily_digest_comes_at_the_readers_hour() {
        let dublin = Tz::Europe__Dublin;
        assert_eq!(
            period(&daily(8, 0), dublin, "2026-11-20T07:59:59Z"),
            "day:2026-11-19 2026-11-19 08:00"
        );
        assert_eq!(
            period(&daily(8, 0), dublin, "2026-11-20T08:00:00Z"),
            "day:2026-11-20 2026-11-20 08:00"
        );
        // After downtime only the newest is left.
        assert_eq!(
            period(&daily(8, 0), dublin, "2026-11-23T11:00:00Z"),
            "day:2026-11-23 2026-11-23 08:00"
        );
        assert_eq!(
            period(&daily(8, 0), Tz::Pacific__Auckland, "2026-11-20T08:00:00Z"),
            "day:2026-11-20 2026-11-19 19:00"
        );
    }

    #[test]
    fn a_weekly_digest_comes_on_its_day() {
        let weekly = DigestTime {
            every: Every::Week,
            weekday: Weekday::Wednesday,
            ..daily(8, 0)
        };
        assert_eq!(
            period(&weekly, Tz::UTC, "2026-11-18T08:00:00Z"),
            "week:2026-11-18 2026-11-18 08:00"
        );
        assert_eq!(
            period(&weekly, Tz::UTC, "2026-11-18T07:59:00Z"),
            "week:2026-11-11 2026-11-11 08:00"
        );
        assert_eq!(
            period(&weekly, Tz::UTC, "2026-11-24T23:00:00Z"),
            "week:2026-11-18 2026-11-18 08:00"
        );
        let never = DigestTime {
            every: Every::Never,
            ..daily(8, 0)
        };
        let p = current(&never, Tz::UTC, at("2026-11-20T09:00:00Z")).unwrap();
        assert_eq!((p.key.as_str(), p.duties_only), ("week:2026-11-16", true));
    }

    #[test]
    fn every_day_has_one_digest_across_both_changes_of_the_clocks() {
        for zone in [
            Tz::Europe__Dublin,
            Tz::America__New_York,
            Tz::Australia__Lord_Howe,
            Tz::America__Sao_Paulo,
            Tz::Asia__Kathmandu,
        ] {
            for time in [
                daily(0, 0),
                daily(1, 30),
                daily(2, 15),
                daily(2, 30),
                daily(8, 0),
                daily(23, 59),
            ] {
                let mut seen: Vec<(String, DateTime<Utc>)> = Vec::new();
                let mut now = at("2026-01-01T12:00:00Z");
                while now < at("2027-01-01T12:00:00Z") {
                    let p = current(&time, zone, now).unwrap();
                    assert!(p.at <= now && p.from < p.at);
                    if seen.last().is_none_or(|(key, _)| *key != p.key) {
                        assert!(
                            now - p.at < TimeDelta::minutes(31) || seen.is_empty(),
                            "{zone} {} late at {now}",
                            p.key
                        );
                        seen.push((p.key, p.at));
                    }
                    now += TimeDelta::minutes(30);
                }
                assert_eq!(seen.len(), 366, "{zone} {time:?}");
                let keys: std::collections::BTreeSet<_> = seen.iter().map(|(key, _)| key).collect();
                assert_eq!(keys.len(), 366);
            }
        }
    }

    #[test]
    fn an_hour_that_the_clocks_skip_or_repeat_comes_once() {
        let dublin = Tz::Europe__Dublin;
        // 01:00 to 02:00 does not exist on 29 March 2026, and comes twice on 25 October.
        assert_eq!(
            period(&daily(1, 30), dublin, "2026-03-29T12:00:00Z"),
            "day:2026-03-29 2026-03-29 01:00"
        );
        assert_eq!(
            period(&daily(1, 30), dublin, "2026-10-25T12:00:00Z"),
            "day:2026-10-25 2026-10-25 00:30"
        );
    }
}
