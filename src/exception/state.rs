//! Where an exception stands, and what may be done to it. State is written by a transition and by nothing else;
//! what the clock alone decides is computed at every read by one function, so that no caller can forget it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    choice,
    model::{exception::State, rules::Limits},
};

/// The instants by which the clock moves an exception.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// When it was handed in for the first time.
    pub submitted_at: Option<DateTime<Utc>>,
    /// When it was signed by all.
    pub approved_at: Option<DateTime<Utc>>,
    /// When it came into force.
    pub activated_at: Option<DateTime<Utc>>,
    /// When it was put out of force.
    pub suspended_at: Option<DateTime<Utc>>,
    /// For an emergency grant: by when the chain must have decided.
    pub ratify_by: Option<DateTime<Utc>>,
    /// Not before this instant.
    pub not_before: DateTime<Utc>,
    /// Not from this instant on.
    pub expires_at: DateTime<Utc>,
}

/// Where an exception stands at an instant: as it was written, unless time has passed over it. Half-open: at the
/// instant of its end it is over.
#[expect(clippy::match_same_arms, reason = "one line for each row of the table")]
pub fn state_at(written: State, times: &Times, limits: &Limits, now: DateTime<Utc>) -> State {
    let passed = |from: Option<DateTime<Utc>>, span: crate::model::span::Span| {
        from.is_some_and(|from| now - from >= span.to_delta())
    };
    let over = now >= times.expires_at;
    match written {
        State::Submitted | State::NeedsInfo | State::InAssessment | State::PendingDecision
            if over || passed(times.submitted_at, limits.request_ttl) =>
        {
            State::Lapsed
        }
        // What was approved long before it begins has its time from then on.
        State::Approved
            if over
                || passed(
                    times.approved_at.map(|at| at.max(times.not_before)),
                    limits.activation_ttl,
                ) =>
        {
            State::Lapsed
        }
        State::Active if over => State::Expired,
        State::Active if times.ratify_by.is_some_and(|by| now >= by) => State::Revoked,
        State::Suspended if over => State::Expired,
        State::Suspended if passed(times.suspended_at, limits.max_suspended) => State::Revoked,
        other => other,
    }
}

choice! {
    /// What is done to an exception.
    pub enum Act {
        /// Handed in, for the first time or again.
        Submit = "submit",
        /// Sent back for what is missing.
        SendBack = "send_back",
        /// People are asked what they think.
        Assess = "assess",
        /// People are asked to sign.
        Ask = "ask",
        /// A signature that is not the last.
        Sign = "sign",
        /// The last signature.
        Approve = "approve",
        /// Refused.
        Deny = "deny",
        /// Into force.
        Activate = "activate",
        /// Into force before the chain has decided.
        Grant = "grant",
        /// Out of force for now.
        Suspend = "suspend",
        /// Into force again.
        Restore = "restore",
        /// Ended before its time.
        Revoke = "revoke",
        /// Taken back.
        Withdraw = "withdraw",
        /// Written anew after it was refused.
        Rework = "rework",
        /// Its time is over.
        Expire = "expire",
        /// Nobody decided, or nobody activated it, in time.
        Lapse = "lapse",
        /// An open step took too long: its stand-ins are asked.
        Escalate = "escalate",
        /// What was granted in an emergency is signed by all.
        Ratify = "ratify",
        /// A condition does not hold, and it was agreed that it goes on all the same.
        Warn = "warn",
        /// Somebody looked at it again, and it may go on.
        Review = "review",
        /// Another team asks for the same.
        Join = "join",
        /// Looked back at.
        Close = "close",
        /// It asks for no end: whoever leads the policy is asked.
        Question = "question",
        /// Whoever leads the policy answered.
        Answer = "answer",
    }
}

/// Where an act leads from a state; nothing when it may not be done there.
#[expect(clippy::match_same_arms, reason = "one line for each row of the table")]
pub const fn next(state: State, act: Act) -> Option<State> {
    use State::{
        Active, Approved, Closed, Denied, Draft, Expired, InAssessment, Lapsed, NeedsInfo,
        PendingDecision, Revoked, Submitted, Suspended, Withdrawn,
    };
    Some(match (state, act) {
        (Draft | NeedsInfo, Act::Submit) => Submitted,
        (Submitted | InAssessment | PendingDecision | Approved, Act::SendBack) => NeedsInfo,
        (Submitted, Act::Assess) => InAssessment,
        (Submitted | InAssessment, Act::Ask) => PendingDecision,
        (PendingDecision, Act::Sign | Act::Escalate) => PendingDecision,
        (InAssessment, Act::Sign | Act::Escalate) => InAssessment,
        (Submitted | PendingDecision, Act::Approve) => Approved,
        (PendingDecision, Act::Deny) => Denied,
        (PendingDecision, Act::Grant) => Active,
        (Approved, Act::Activate) => Active,
        (Active, Act::Sign | Act::Escalate | Act::Ratify | Act::Review | Act::Warn) => Active,
        (Active, Act::Suspend) => Suspended,
        (Suspended, Act::Restore) => Active,
        // A signature of several that let it go on.
        (Suspended, Act::Sign) => Suspended,
        (Active | Suspended, Act::Revoke) => Revoked,
        (Active | Suspended, Act::Expire) => Expired,
        (
            Draft | Submitted | NeedsInfo | InAssessment | PendingDecision | Approved,
            Act::Withdraw,
        ) => Withdrawn,
        (Submitted | NeedsInfo | InAssessment | PendingDecision | Approved, Act::Lapse) => Lapsed,
        (Submitted, Act::Join) => Submitted,
        (NeedsInfo, Act::Join) => NeedsInfo,
        (InAssessment, Act::Join) => InAssessment,
        (PendingDecision, Act::Join) => PendingDecision,
        (Approved, Act::Join) => Approved,
        (Active, Act::Join) => Active,
        (Denied, Act::Rework) => Draft,
        (Expired | Revoked | Lapsed | Denied | Withdrawn, Act::Close) => Closed,
        (NeedsInfo, Act::Question) => NeedsInfo,
        // The policy is asked, whatever became of the request.
        (state, Act::Answer) if !matches!(state, Draft | Closed) => state,
        _ => return None,
    })
}

/// Everything that may be done in a state, for people who ask.
pub fn possible(state: State) -> Vec<Act> {
    Act::ALL
        .iter()
        .copied()
        .filter(|act| next(state, *act).is_some())
        .collect()
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;
    use crate::model::{rules::Indefinite, span::Span};

    fn limits() -> Limits {
        Limits {
            max_duration: Span::days(90),
            max_renewals: 2,
            request_ttl: Span::days(14),
            activation_ttl: Span::days(7),
            max_suspended: Span::days(30),
            max_active_per_team: None,
            indefinite: Indefinite::PolicyReview,
            look_back: Limits::usual_look_back(),
        }
    }

    fn start() -> DateTime<Utc> {
        "2026-11-01T00:00:00Z".parse().unwrap()
    }

    fn times() -> Times {
        Times {
            submitted_at: Some(start()),
            approved_at: Some(start()),
            activated_at: Some(start()),
            suspended_at: Some(start()),
            ratify_by: None,
            not_before: start(),
            expires_at: start() + TimeDelta::days(60),
        }
    }

    fn at(written: State, days: i64) -> State {
        state_at(
            written,
            &times(),
            &limits(),
            start() + TimeDelta::days(days),
        )
    }

    #[test]
    fn time_alone_ends_what_nobody_ended() {
        for (written, days, wanted) in [
            (State::PendingDecision, 13, State::PendingDecision),
            (State::PendingDecision, 14, State::Lapsed),
            (State::NeedsInfo, 14, State::Lapsed),
            (State::Approved, 6, State::Approved),
            (State::Approved, 7, State::Lapsed),
            (State::Active, 59, State::Active),
            (State::Active, 60, State::Expired),
            (State::Suspended, 29, State::Suspended),
            (State::Suspended, 30, State::Revoked),
            (State::Suspended, 60, State::Expired),
            (State::Draft, 400, State::Draft),
            (State::Revoked, 400, State::Revoked),
        ] {
            assert_eq!(at(written, days), wanted, "{written} after {days} days");
        }
    }

    #[test]
    fn an_exception_ends_at_its_instant_and_not_after_it() {
        let end = times().expires_at;
        let state = |now| state_at(State::Active, &times(), &limits(), now);
        assert_eq!(state(end - TimeDelta::microseconds(1)), State::Active);
        assert_eq!(state(end), State::Expired);
    }

    #[test]
    fn an_emergency_grant_that_nobody_ratified_is_over() {
        let granted = Times {
            ratify_by: Some(start() + TimeDelta::days(1)),
            ..times()
        };
        let state = |hours| {
            let now = start() + TimeDelta::hours(hours);
            state_at(State::Active, &granted, &limits(), now)
        };
        assert_eq!(state(23), State::Active);
        assert_eq!(state(24), State::Revoked);
    }

    #[test]
    fn one_approved_long_before_it_begins_waits_for_its_day() {
        let later = Times {
            not_before: start() + TimeDelta::days(20),
            ..times()
        };
        let state = |days| {
            let now = start() + TimeDelta::days(days);
            state_at(State::Approved, &later, &limits(), now)
        };
        assert_eq!(state(19), State::Approved);
        assert_eq!(state(20), State::Approved, "its day has come");
        assert_eq!(state(26), State::Approved);
        assert_eq!(state(27), State::Lapsed);
    }

    proptest! {
        #[test]
        fn what_is_over_never_covers_again(acts in proptest::collection::vec(0..Act::ALL.len(), 0..40)) {
            let mut state = State::Draft;
            let mut ended = false;
            for act in acts {
                let Some(then) = next(state, Act::ALL[act]) else { continue };
                ended |= matches!(then, State::Expired | State::Revoked | State::Closed | State::Lapsed | State::Withdrawn);
                prop_assert!(!ended || !matches!(then, State::Active | State::Approved | State::Suspended));
                state = then;
            }
        }

        #[test]
        fn nothing_becomes_active_but_by_activation_a_grant_or_restoration(from in 0..State::ALL.len(), act in 0..Act::ALL.len()) {
            let (from, act) = (State::ALL[from], Act::ALL[act]);
            if from != State::Active && next(from, act) == Some(State::Active) {
                prop_assert!(matches!((from, act),
                    (State::Approved, Act::Activate) | (State::PendingDecision, Act::Grant) | (State::Suspended, Act::Restore)));
            }
        }
    }

    #[test]
    fn every_state_can_be_left_but_the_last() {
        for state in State::ALL {
            assert_eq!(
                possible(*state).is_empty(),
                *state == State::Closed,
                "{state}"
            );
        }
    }
}
