//! When what waits in a group goes out. The first notice waits a little for others; later ones go out
//! when as many wait as were told already, or after the group interval, which doubles with each notice
//! up to an hour. So 20 subjects that fail one after the other are five notices and not twenty, and
//! nothing waits longer than an hour. Pure.

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    choice,
    model::{notice::Item, span::Span},
};

/// After this long without a notice a group begins anew; also the longest that an item waits.
pub const QUIET: TimeDelta = TimeDelta::hours(1);

/// What a group was told lately.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History {
    /// When the last notice of the group was put together.
    pub last: DateTime<Utc>,
    /// Items told within the last hour before that.
    pub told: u64,
    /// Notices within that hour.
    pub notices: u32,
}

choice! {
    /// Why a group goes out now, or waits.
    pub enum Timing {
        /// It is the first notice of the group.
        First = "first",
        /// As many wait as were told.
        Doubled = "doubled",
        /// The group interval is over.
        IntervalOver = "interval_over",
        /// Others may join within the group wait.
        GroupWait = "group_wait",
        /// The group was told a moment ago.
        GroupInterval = "group_interval",
    }
}

/// Whether a group goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Now, for that reason.
    Now(Timing),
    /// Not before that instant, for that reason.
    Later(DateTime<Utc>, Timing),
}

/// Decides for the items that wait in one group.
pub fn when(
    waiting: &[Item],
    history: Option<&History>,
    interval: Span,
    now: DateTime<Utc>,
) -> When {
    let Some(due) = waiting.iter().map(|i| i.due_at).min() else {
        return When::Later(now + QUIET, Timing::GroupWait);
    };
    if now < due {
        return When::Later(due, Timing::GroupWait);
    }
    let Some(history) = history.filter(|h| now - h.last < QUIET) else {
        return When::Now(Timing::First);
    };
    if waiting.len() as u64 >= history.told {
        return When::Now(Timing::Doubled);
    }
    let factor = 1_i32 << history.notices.saturating_sub(1).min(10);
    let wait = interval
        .to_delta()
        .checked_mul(factor)
        .unwrap_or(QUIET)
        .min(QUIET);
    let next = history.last + wait;
    if now >= next {
        When::Now(Timing::IntervalOver)
    } else {
        When::Later(next, Timing::GroupInterval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::notice::{Kind, Mode, Word};

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn item(planned: i64, wait: i64) -> Item {
        Item {
            key: planned.to_string(),
            kind: Kind::Finding,
            word: Word::New,
            mode: Mode::Alert,
            group: "g".to_owned(),
            channel: "soc".into(),
            recipient: None,
            finding: None,
            episode: 1,
            control: None,
            reason: String::new(),
            facts: serde_json::Value::Null,
            planned_at: at(planned),
            due_at: at(planned + wait),
        }
    }

    /// Plays one new item each `every` seconds and counts how many each notice carries.
    fn play(count: i64, every: i64, wait: i64, interval: u64) -> Vec<usize> {
        let (mut waiting, mut sent): (Vec<Item>, Vec<(i64, usize)>) = (Vec::new(), Vec::new());
        for second in 0..100_000 {
            if second % every == 0 && second / every < count {
                waiting.push(item(second, wait));
            }
            let recent: Vec<_> = sent.iter().filter(|(t, _)| second - t < 3600).collect();
            let history = recent.last().map(|(last, _)| History {
                last: at(*last),
                told: recent.iter().map(|(_, n)| *n as u64).sum(),
                notices: u32::try_from(recent.len()).unwrap(),
            });
            let interval = Span::secs(interval);
            if !waiting.is_empty()
                && matches!(
                    when(&waiting, history.as_ref(), interval, at(second)),
                    When::Now(_)
                )
            {
                sent.push((second, waiting.len()));
                waiting.clear();
            }
        }
        assert!(waiting.is_empty());
        sent.into_iter().map(|(_, n)| n).collect()
    }

    #[test]
    fn twenty_staggered_subjects_are_five_notices() {
        assert_eq!(play(20, 1, 1, 2), [2, 2, 4, 8, 4]);
    }

    #[test]
    fn all_at_once_is_one_notice_after_the_group_wait() {
        assert_eq!(play(1, 1, 60, 300), [1]);
        let many: Vec<Item> = (0..5_000).map(|_| item(0, 60)).collect();
        assert_eq!(
            when(&many, None, Span::minutes(5), at(59)),
            When::Later(at(60), Timing::GroupWait)
        );
        assert_eq!(
            when(&many, None, Span::minutes(5), at(60)),
            When::Now(Timing::First)
        );
    }

    #[test]
    fn nothing_waits_longer_than_an_hour() {
        let history = History {
            last: at(0),
            told: 1_000,
            notices: 30,
        };
        let one = [item(0, 0)];
        assert_eq!(
            when(&one, Some(&history), Span::minutes(5), at(3599)),
            When::Later(at(3600), Timing::GroupInterval)
        );
        assert!(matches!(
            when(&one, Some(&history), Span::minutes(5), at(3600)),
            When::Now(_)
        ));
    }
}
