//! A signal with the review of the policy that it opened: who answers for it, by when, and what they came to.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::{
    lifecycle::{Effect, Raised, State},
    pattern::{Kind, Pattern},
    stats::Interval,
};
use crate::{
    choice,
    model::{
        id::{ControlId, PersonId, RunId, SignalId, SubjectId},
        policy::ProvisionRef,
    },
};

choice! {
    /// What a review of a policy comes to.
    pub enum Outcome {
        /// The policy is written anew.
        RevisePolicy = "revise_policy",
        /// The control is mended.
        FixControl = "fix_control",
        /// The policy stays, and is explained.
        Guidance = "guidance",
        /// All stays as it is, for a reason and until a day.
        Keep = "keep",
    }
}

/// What a review came to, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conclusion {
    /// What.
    pub outcome: Outcome,
    /// Who says so.
    pub by: PersonId,
    /// In their words.
    pub because: String,
    /// When.
    pub at: DateTime<Utc>,
    /// From when on the change is in force.
    #[serde(default)]
    pub effective: Option<NaiveDate>,
    /// The draft that runs in shadow, while there is one.
    pub draft: Option<ControlId>,
}

/// Whom a change admitted: what failed and was covered by nothing before it, and passes since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admitted {
    /// The last run before the change, whose evidence was judged both ways.
    pub run: RunId,
    /// The instant of the first run after it.
    pub since: DateTime<Utc>,
    /// Who they are.
    pub subjects: Vec<SubjectId>,
    /// What was found about them since.
    pub later: Vec<Later>,
}

/// A finding on a subject that a change admitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Later {
    /// The subject.
    pub subject: SubjectId,
    /// The control that it failed.
    pub control: ControlId,
    /// When that opened last.
    pub at: DateTime<Utc>,
}

/// A signal and its review.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// Its id.
    pub id: SignalId,
    /// Counts its changes.
    pub version: u64,
    /// What was raised, and where it stands.
    pub raised: Raised,
    /// The pattern as a run saw it last.
    pub pattern: Pattern,
    /// The clause that is questioned.
    pub provision: Option<ProvisionRef>,
    /// Its version when it was.
    pub policy_version: Option<u32>,
    /// Who leads the policy.
    pub owner: Option<String>,
    /// When it was raised first.
    pub opened_at: DateTime<Utc>,
    /// By when somebody concludes.
    pub due: NaiveDate,
    /// How many signals a quarter a detector like this one raises here by chance.
    pub false_alarms_per_quarter: Option<f64>,
    /// Where that number lies with 90 % confidence.
    #[serde(default)]
    pub false_alarms_ci90: Option<Interval>,
    /// What the review came to.
    pub conclusion: Option<Conclusion>,
    /// What the change did.
    pub effect: Option<Effect>,
    /// Whom it admitted.
    #[serde(default)]
    pub admitted: Option<Admitted>,
}

impl Signal {
    /// Whether somebody still has to conclude.
    pub const fn is_open(&self) -> bool {
        matches!(self.raised.state, State::Open | State::Acknowledged)
    }

    /// How much of it may be chance, in a sentence.
    pub fn chance(&self) -> String {
        match (self.raised.kind, self.false_alarms_per_quarter) {
            (Kind::ChronicBudget, _) => self.pattern.evidence.posterior_over_budget.map_or_else(
                || "How sure it is that the budget is exceeded was not written down.".to_owned(),
                |p| format!("That more teams hold an exception than the budget allows is {:.0} % sure.", p * 100.0),
            ),
            (Kind::RenewalLoop, _) => "Renewals are counted: chance has no part in it.".to_owned(),
            (Kind::Emergence | Kind::Watch, None) => {
                "How often chance alone raises one here was not simulated yet: `tripline signals calibrate`.".to_owned()
            }
            (Kind::Emergence | Kind::Watch, Some(rate)) => {
                let within = self.false_alarms_ci90.and_then(|i| Some((i.low, i.high?)));
                let within = within.map_or_else(String::new, |(low, high)| {
                    format!(" (with 90 % confidence {low:.2} to {high:.2})")
                });
                format!("Chance alone raises about {rate:.2} of these a quarter here{within}.")
            }
        }
    }

    /// Whether it is over for now.
    pub const fn is_over(&self) -> bool {
        matches!(
            self.raised.state,
            State::Closed { .. } | State::Dismissed { .. }
        )
    }
}

/// The word for where a signal stands.
pub const fn word(state: State) -> &'static str {
    match state {
        State::Open => "open",
        State::Acknowledged => "acknowledged",
        State::ChangeLinked { .. } => "change_linked",
        State::Monitoring { .. } => "monitoring",
        State::Closed { .. } => "closed",
        State::Dismissed { .. } => "dismissed",
        State::Snoozed { .. } => "snoozed",
    }
}
