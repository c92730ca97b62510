//! Schedules: five fields of cron in a time zone. The one reader of cron expressions, so that what a
//! file may say and what the heartbeat does are the same. Pure: the interval of a schedule is taken
//! from a fixed instant, never from the clock, so that a file means the same on every day.

use chrono::{DateTime, TimeZone, Utc};
use chrono_tz::Tz;
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};

use crate::model::span::Span;

/// From here the next occurrences are counted: a Monday at midnight, weeks away from any change of clocks.
const ANCHOR: (i32, u32, u32) = (2026, 1, 5);

/// How many occurrences the interval is taken from.
const OCCURRENCES: usize = 10;

/// Reads five fields of cron: minute, hour, day of month, month, day of week.
///
/// # Errors
/// One sentence that says what is wrong, without a full stop.
pub fn parse(text: &str) -> Result<Cron, String> {
    if text.split_whitespace().count() != 5 || text.contains('@') {
        return Err("it needs five fields: minute, hour, day, month, weekday".to_owned());
    }
    CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed)
        .build()
        .parse(text)
        .map_err(|error| {
            let text = error.to_string().replace("CronPattern ", "it ");
            // The parser speaks of its own parts before it comes to the point.
            let point = text
                .split_once(": ")
                .map_or(text.as_str(), |(_, rest)| rest);
            let mut chars = point.trim_end_matches('.').chars();
            chars.next().map_or_else(String::new, |c| {
                c.to_lowercase().collect::<String>() + chars.as_str()
            })
        })
}

/// The shortest distance between two of the next ten occurrences; `None` when there are not two.
pub fn interval(cron: &Cron, timezone: Tz) -> Option<Span> {
    let (year, month, day) = ANCHOR;
    let anchor = timezone
        .with_ymd_and_hms(year, month, day, 0, 0, 0)
        .earliest()?;
    let ticks: Vec<DateTime<Utc>> = cron
        .iter_from(anchor, croner::Direction::Forward)
        .take(OCCURRENCES)
        .map(|t| t.with_timezone(&Utc))
        .collect();
    ticks
        .windows(2)
        .filter_map(|pair| match pair {
            [a, b] => u64::try_from((*b - *a).num_milliseconds()).ok(),
            _ => None,
        })
        .min()
        .map(Span::millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every(text: &str) -> String {
        let cron = parse(text).unwrap();
        interval(&cron, chrono_tz::Europe::Dublin)
            .map_or_else(|| "never".to_owned(), |s| s.to_string())
    }

    #[test]
    fn the_interval_is_the_shortest_of_the_next_ten() {
        assert_eq!(every("*/15 * * * *"), "15m");
        assert_eq!(every("* * * * *"), "1m");
        assert_eq!(every("0 6 * * *"), "1d");
        assert_eq!(every("0 6,8 * * mon-fri"), "2h");
        assert_eq!(every("0 6 * * 1"), "7d");
        assert_eq!(every("0 0 1 * *"), "28d");
        assert_eq!(every("0 0 29 2 *"), "1461d");
        assert_eq!(every("0 0 30 2 *"), "never");
    }

    #[test]
    fn what_is_not_five_fields_says_why() {
        insta::assert_snapshot!(parse("* * * * * *").unwrap_err(), @"it needs five fields: minute, hour, day, month, weekday");
        insta::assert_snapshot!(parse("@daily").unwrap_err(), @"it needs five fields: minute, hour, day, month, weekday");
        insta::assert_snapshot!(parse("61 * * * *").unwrap_err(), @"number out of bounds");
        insta::assert_snapshot!(parse("a b c d e").unwrap_err(), @"it contains illegal character 'A' in part 'A'");
        insta::assert_snapshot!(parse("*/0 * * * *").unwrap_err(), @"step cannot be zero");
        insta::assert_snapshot!(parse("10-5 * * * *").unwrap_err(), @"range out of bounds");
    }
}
