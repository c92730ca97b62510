//! When a message that was not accepted is tried again: an explicit list, 72 hours long. Pure; the
//! jitter comes from the message's id, so that the same history gives the same times.

use chrono::TimeDelta;

use crate::model::id::{NoticeId, Sha};

/// Minutes between one attempt and the next. After the last one the message is given up.
const MINUTES: &[i64] = &[
    1, 2, 5, 10, 15, 30, 60, 120, 240, 360, 480, 720, 720, 720, 720, 117,
];

/// The longest wait that a receiver may ask for.
const LONGEST_WAIT: TimeDelta = TimeDelta::hours(12);

/// What follows a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Another attempt after that time.
    After(TimeDelta),
    /// None: it was tried for 72 hours.
    GiveUp,
}

/// What follows attempt number `attempts` (from 1): the next wait, up to a tenth shorter so that
/// messages that failed together do not come back together, and at least what the receiver asked for.
pub fn next(id: &NoticeId, attempts: u32, asked: Option<TimeDelta>) -> Next {
    let at = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
    let Some(minutes) = MINUTES.get(at) else {
        return Next::GiveUp;
    };
    let digest = Sha::of(format!("{id}|{attempts}")).0;
    let share = i64::from(digest.first().copied().unwrap_or_default());
    let wait = TimeDelta::seconds(minutes * 60 - minutes * 6 * share / 255);
    let asked = asked.unwrap_or_default().min(LONGEST_WAIT);
    Next::After(wait.max(asked))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_tried_for_72_hours_and_then_given_up() {
        assert_eq!(MINUTES.iter().sum::<i64>(), 72 * 60);
        let id = NoticeId::from("ntc-1");
        let waits: Vec<TimeDelta> = (1..)
            .map_while(|n| match next(&id, n, None) {
                Next::After(wait) => Some(wait),
                Next::GiveUp => None,
            })
            .collect();
        assert_eq!(waits.len(), MINUTES.len());
        let total: TimeDelta = waits.iter().sum();
        assert!((65..=72).contains(&total.num_hours()), "{total}");
    }

    #[test]
    fn messages_that_failed_together_do_not_come_back_together() {
        let waits: std::collections::BTreeSet<String> = (0..20)
            .map(|n| format!("{:?}", next(&NoticeId::from(format!("ntc-{n}")), 7, None)))
            .collect();
        assert!(waits.len() > 10, "{waits:?}");
    }

    #[test]
    fn a_receiver_may_ask_for_more_patience_but_not_for_ever() {
        let id = NoticeId::from("ntc-1");
        assert_eq!(
            next(&id, 1, Some(TimeDelta::minutes(30))),
            Next::After(TimeDelta::minutes(30))
        );
        assert_eq!(
            next(&id, 1, Some(TimeDelta::days(30))),
            Next::After(TimeDelta::hours(12))
        );
        let Next::After(wait) = next(&id, 7, Some(TimeDelta::seconds(1))) else {
            panic!()
        };
        assert!(wait >= TimeDelta::minutes(54));
    }
}
