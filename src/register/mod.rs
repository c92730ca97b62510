//! The exception line: load, decide, record. What decides is pure and stands in `exception`; here it meets the store,
//! evidence and the log, and each act is one transaction with the leaf that proves it.

mod activate;
mod again;
mod condition;
mod context;
mod decide;
mod end;
mod facet;
mod freeze;
mod identity;
mod people;
mod queue;
mod renewal;
mod submit;
mod sweep;
mod tell;
mod verdict;
mod way;

pub use condition::attest;
pub use context::{Covers, covers, package};
pub use decide::{Word, decide, grant};
pub use end::{answer, close, delegate, end, join, undelegate};
pub use identity::{Identity, issue, revoke, who};
pub use queue::{Usage, Waiting, queue, usage};
pub use submit::{Submitted, preview, submit};
pub use sweep::{Swept, settle, sweep};
pub use tell::tell;
pub use verdict::{Against, Answer, Verdict, verdict};

use crate::{act, exception::decide::Refusal, model::plain, run, store};

/// Why something could not be done in the register.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Our database.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Evidence could not be looked at.
    #[error(transparent)]
    Run(#[from] run::Error),
    /// The policy permits no exceptions, or is not there.
    #[error("{0}")]
    Policy(String),
    /// Whoever acts may not.
    #[error("{0}")]
    Refused(Refused),
    /// There is no such exception.
    #[error("there is no exception `{0}`; `tripline exception list` lists them")]
    Nothing(String),
}

/// Why whoever acts may not, for people and for machines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The name of the reason.
    pub reason: String,
    /// A sentence.
    pub say: String,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.say, self.reason)
    }
}

impl Error {
    pub(crate) fn refused(reason: impl Into<String>, say: impl Into<String>) -> Self {
        Self::Refused(Refused {
            reason: reason.into(),
            say: say.into(),
        })
    }
}

/// Refuses what somebody says when it holds characters that hide what it says.
fn plainly(what: &str, said: Option<&str>) -> Result<(), Error> {
    match said.and_then(plain::hidden) {
        Some(hidden) => Err(Error::refused("hidden", plain::say(what, hidden))),
        None => Ok(()),
    }
}

impl From<act::Error> for Error {
    fn from(error: act::Error) -> Self {
        match error {
            act::Error::Store(error) => Self::Store(error),
            not_now @ act::Error::NotNow { .. } => Self::refused("not_now", not_now.to_string()),
            hidden @ act::Error::Hidden(_) => Self::refused("hidden", hidden.to_string()),
            back @ act::Error::ClockSetBack { .. } => {
                Self::refused("clock_set_back", back.to_string())
            }
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let say = match refusal {
            Refusal::NotPending => "it does not wait for a decision",
            Refusal::StaleTerms => {
                "the terms are others than those that you looked at; look at it again"
            }
            Refusal::StalePolicy => {
                "the policy changed since the request was made; it has to be handed in again"
            }
            Refusal::NotAsked => "the open step asks for a role that you do not bear",
            Refusal::IsRequester => "you asked for it, and nobody approves what they asked for",
            Refusal::IsOwner => "you answer for it, and nobody approves what they answer for",
            Refusal::IsBeneficiary => {
                "it serves your team or that of whoever lent you the role, and nobody approves what serves them"
            }
            Refusal::AlreadySigned => "you signed a step of it already",
            Refusal::SameTeam => {
                "somebody of your team or of that of whoever lent you the role signed this step already, and it takes two teams"
            }
            Refusal::BeyondTier => "your role may not sign the last step in this tier",
            Refusal::BeyondDuration => {
                "your role may not sign for so long; give an earlier end with `--ends`"
            }
            Refusal::BeyondAmount => {
                "your role may not sign for so much, or nobody said how much it is"
            }
            Refusal::NoReason => "a refusal and a question need a reason",
            Refusal::LaterEnd => "the end is later than the one that was asked for",
            Refusal::EndPassed => "by that end it would be over before it began",
            Refusal::NotOffered => {
                "the open step asks what you think: agree and say so, or send it back with a question"
            }
            Refusal::OnlyWithApproval => "conditions are added by who agrees",
        };
        Self::refused(refusal.as_str(), say)
    }
}
