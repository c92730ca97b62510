//! Which ticks of a schedule have come due, and what to do with those that nobody was there for.
//! Pure: the same ledger and the same instant give the same answer.

use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};
use croner::Cron;

use crate::model::{
    control::{CatchUp, Schedule},
    run::Cause,
};

/// A tick that is taken up within this time came in time; later it is a catch-up.
const GRACE: TimeDelta = TimeDelta::seconds(60);

/// So many missed ticks are written one by one; those before them share one row that counts them.
const WRITTEN_ONE_BY_ONE: usize = 1_000;

/// What became due.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Due {
    /// Ticks to run, oldest first.
    pub run: Vec<(DateTime<Utc>, Cause)>,
    /// Ticks to record as missed, oldest first.
    pub missed: Vec<DateTime<Utc>>,
    /// How many ticks before the first of `missed` were missed too.
    pub before: u64,
}

/// A cron expression that cannot be read. Files with one do not load, so this is a fault of ours.
#[derive(Debug, thiserror::Error)]
#[error("the schedule `{cron}` cannot be read: {source}")]
pub struct Error {
    cron: String,
    source: croner::errors::CronError,
}

/// The ticks of `schedule` after `last` and up to `now`.
///
/// A tick in an hour that does not exist on the day of a change runs at the first instant after
/// it; one in an hour that comes twice runs on the first occurrence only.
///
/// # Errors
/// When the cron expression cannot be read.
pub fn due(schedule: &Schedule, last: DateTime<Utc>, now: DateTime<Utc>) -> Result<Due, Error> {
    let mut ticks = Vec::new();
    let mut before = 0_u64;
    let cron = parse(schedule)?;
    let mut at = last;
    while let Some(next) = after(&cron, schedule, at).filter(|t| *t <= now) {
        ticks.push(next);
        at = next;
        // Old ticks are only counted, so that a year of downtime does not fill the memory.
        if ticks.len() > 2 * WRITTEN_ONE_BY_ONE && schedule.catch_up != CatchUp::All {
            ticks.drain(..WRITTEN_ONE_BY_ONE);
            before += WRITTEN_ONE_BY_ONE as u64;
        }
    }
    let Some(newest) = ticks.last().copied() else {
        return Ok(Due::default());
    };
    let in_time = now - newest <= GRACE;
    let cause = |alone: bool| {
        if alone && in_time {
            Cause::Schedule
        } else {
            Cause::CatchUp
        }
    };
    Ok(match schedule.catch_up {
        CatchUp::All => Due {
            run: ticks.iter().map(|t| (*t, cause(*t == newest))).collect(),
            ..Due::default()
        },
        CatchUp::Latest => {
            ticks.pop();
            Due {
                run: vec![(newest, cause(ticks.is_empty()))],
                missed: ticks,
                before,
            }
        }
        CatchUp::None if in_time => {
            ticks.pop();
            Due {
                run: vec![(newest, Cause::Schedule)],
                missed: ticks,
                before,
            }
        }
        CatchUp::None => Due {
            run: Vec::new(),
            missed: ticks,
            before,
        },
    })
}

/// The first tick of `schedule` after an instant; nothing when there is none for years.
///
/// # Errors
/// When the cron expression cannot be read.
pub fn next(schedule: &Schedule, last: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, Error> {
    Ok(after(&parse(schedule)?, schedule, last))
}

fn parse(schedule: &Schedule) -> Result<Cron, Error> {
    Cron::from_str(&schedule.cron).map_err(|source| Error {
        cron: schedule.cron.clone(),
        source,
    })
}

fn after(cron: &Cron, schedule: &Schedule, last: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let local = last.with_timezone(&schedule.timezone);
    // No match within croner's horizon (`30 2 30 2 *`) is a schedule that never comes due.
    let next = cron.find_next_occurrence(&local, false).ok()?;
    Some(next.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use chrono::Datelike;

    use super::*;
    use crate::model::span::Span;

    fn schedule(cron: &str, zone: &str, catch_up: CatchUp) -> Schedule {
        Schedule {
            cron: cron.to_owned(),
            timezone: zone.parse().unwrap(),
            catch_up,
            interval: Span::hours(1),
        }
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_tick_in_time_is_the_schedules() {
        let hourly = schedule("0 * * * *", "UTC", CatchUp::Latest);
        let due = due(
            &hourly,
            at("2026-11-20T09:00:00Z"),
            at("2026-11-20T10:00:05Z"),
        )
        .unwrap();
        assert_eq!(due.run, [(at("2026-11-20T10:00:00Z"), Cause::Schedule)]);
        assert!(due.missed.is_empty());
    }

    #[test]
    fn after_downtime_the_newest_runs_and_the_others_are_missed() {
        let hourly = schedule("0 * * * *", "UTC", CatchUp::Latest);
        let due = due(
            &hourly,
            at("2026-11-20T06:00:00Z"),
            at("2026-11-20T09:30:00Z"),
        )
        .unwrap();
        assert_eq!(due.run, [(at("2026-11-20T09:00:00Z"), Cause::CatchUp)]);
        assert_eq!(
            due.missed,
            [at("2026-11-20T07:00:00Z"), at("2026-11-20T08:00:00Z")]
        );
    }

    #[test]
    fn the_other_two_ways_to_catch_up() {
        let (from, to) = (at("2026-11-20T06:00:00Z"), at("2026-11-20T08:30:00Z"));
        let all = due(&schedule("0 * * * *", "UTC", CatchUp::All), from, to).unwrap();
        assert_eq!(
            all.run,
            [
                (at("2026-11-20T07:00:00Z"), Cause::CatchUp),
                (at("2026-11-20T08:00:00Z"), Cause::CatchUp)
            ]
        );
        let none = due(&schedule("0 * * * *", "UTC", CatchUp::None), from, to).unwrap();
        assert_eq!((none.run.len(), none.missed.len()), (0, 2));
    }

    #[test]
    fn a_clock_that_was_set_back_runs_nothing_twice() {
        let hourly = schedule("0 * * * *", "UTC", CatchUp::Latest);
        let due = due(
            &hourly,
            at("2026-11-20T10:00:00Z"),
            at("2026-11-20T08:30:00Z"),
        )
        .unwrap();
        assert_eq!(due, Due::default());
    }

    #[test]
    fn long_downtime_is_counted_and_not_written_minute_by_minute() {
        let minutely = schedule("* * * * *", "UTC", CatchUp::Latest);
        let due = due(
            &minutely,
            at("2026-01-01T00:00:00Z"),
            at("2026-01-08T00:00:00Z"),
        )
        .unwrap();
        let ticks = 7 * 24 * 60;
        assert_eq!(
            due.run.len() + due.missed.len() + usize::try_from(due.before).unwrap(),
            ticks
        );
        assert!(due.missed.len() <= 2 * WRITTEN_ONE_BY_ONE);
    }

    #[test]
    fn every_local_day_has_one_tick_in_every_zone() {
        for zone in [
            "Europe/Dublin",
            "America/New_York",
            "Australia/Lord_Howe",
            "America/Sao_Paulo",
            "Asia/Kolkata",
        ] {
            for cron in [
                "30 0 * * *",
                "30 1 * * *",
                "15 2 * * *",
                "30 2 * * *",
                "59 23 * * *",
            ] {
                let daily = schedule(cron, zone, CatchUp::All);
                let from = at("2025-12-30T00:00:00Z");
                let due = due(&daily, from, at("2027-01-02T00:00:00Z")).unwrap();
                let mut days: Vec<_> = due
                    .run
                    .iter()
                    .map(|(t, _)| t.with_timezone(&daily.timezone).date_naive())
                    .collect();
                days.retain(|d| d.year() == 2026);
                let count = days.len();
                days.dedup();
                assert_eq!((days.len(), count), (365, 365), "{zone} {cron}");
            }
        }
    }

    #[test]
    fn the_hour_moves_with_daylight_saving() {
        let daily = schedule("5 2 * * *", "Europe/Dublin", CatchUp::Latest);
        assert_eq!(
            next(&daily, at("2026-03-27T12:00:00Z")).unwrap(),
            Some(at("2026-03-28T02:05:00Z"))
        );
        assert_eq!(
            next(&daily, at("2026-03-30T12:00:00Z")).unwrap(),
            Some(at("2026-03-31T01:05:00Z"))
        );
        assert_eq!(
            next(&daily, at("2026-10-26T12:00:00Z")).unwrap(),
            Some(at("2026-10-27T02:05:00Z"))
        );
    }
}
