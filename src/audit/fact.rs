//! What people and reviews leave in the log.

use serde::{Deserialize, Serialize};

use crate::{
    choice,
    exception::state::Act,
    model::{
        exception::State,
        id::{ControlId, ExceptionId, Sha, SignalId},
    },
};

/// Somebody with more rights than others looked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// Who, [`super::leaf::blind`].
    pub who: Sha,
    /// At what: a path, or the name of a command.
    pub what: String,
}

/// An act on an exception: what was authorised, under which policy, by whom, at which moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExceptionFact {
    /// The exception.
    pub exception: ExceptionId,
    /// Its revision.
    pub revision: u32,
    /// What was done.
    pub act: Act,
    /// Where it stood.
    pub before: State,
    /// Where it stands then.
    pub after: State,
    /// Who did it: `machine`, or a person, [`super::leaf::blind`].
    pub actor: String,
    /// Why, [`super::leaf::blind`].
    pub because: Option<Sha>,
    /// The terms.
    pub terms: Option<Sha>,
    /// The clause that is deviated from.
    pub provision: String,
    /// The version of the policy.
    pub policy_version: Option<u32>,
    /// The routes that applied.
    pub routes: Vec<String>,
    /// The tier.
    pub tier: Option<String>,
    /// The step that was decided.
    pub step: Option<String>,
    /// The role that the approver acted in.
    pub role: Option<String>,
    /// The whole decision, by digest.
    pub decision: Option<Sha>,
}

choice! {
    /// What somebody said.
    pub enum Said {
        /// That a suspect collection may be believed.
        Accepted = "accepted",
        /// That a result is wrong.
        WrongResult = "wrong_result",
        /// That nobody is to be told of something for a while.
        Muted = "muted",
        /// That a mute is over.
        Unmuted = "unmuted",
    }
}

/// What somebody said of a finding or a collection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remark {
    /// What.
    pub said: Said,
    /// Its own id, or that of the collection.
    pub about: String,
    /// Who, [`super::leaf::blind`].
    pub by: Sha,
    /// Why, [`super::leaf::blind`].
    pub because: Sha,
}

/// An act on a signal: what was seen, and what became of the review of the policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignalFact {
    /// The signal.
    pub signal: SignalId,
    /// The control whose exceptions repeat.
    pub control: ControlId,
    /// What was done.
    pub act: String,
    /// Where it stands then.
    pub state: String,
    /// Who did it: `machine`, or a person, [`super::leaf::blind`].
    pub actor: String,
    /// Why, [`super::leaf::blind`].
    pub because: Option<Sha>,
    /// The pattern as it was seen, by digest.
    pub pattern: Sha,
}

/// A report that was made and kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportFact {
    /// Which report.
    pub report: String,
    /// Of which period.
    pub period: String,
    /// Its content.
    pub content: Sha,
}
