//! What people and reviews leave in the log.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    choice,
    exception::{
        decide::Decision,
        record::Record,
        state::{Act, Times},
    },
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
    /// The instants by which the clock moves it from then on. Leaves of before these were kept have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<Times>,
    /// Everything that people had decided of it by then, by digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decisions: Option<Sha>,
}

impl ExceptionFact {
    /// The digest of everything that people decided.
    pub fn of_decisions(all: &[Decision]) -> Sha {
        Sha::of_json(&json!(all))
    }

    /// What a record says otherwise than the log, of which this is the newest word about it; nothing when they agree. A
    /// leaf that does not hold something is compared on what it holds.
    pub fn differs_from(&self, record: &Record) -> Option<&'static str> {
        let terms = record.frozen.as_ref().map(|f| f.terms.digest());
        let kept = record.frozen.as_ref().map(|f| f.digest);
        let frozen = record.frozen.as_ref();
        if self.revision != record.revision {
            Some("its revision")
        } else if self.after != record.state {
            Some("where it stands")
        } else if self.terms != terms || self.terms != kept {
            Some("its terms")
        } else if frozen.is_some_and(|f| f.rules.digest() != f.terms.policy.rules) {
            Some("the limits of its policy")
        } else if self.times.is_some_and(|times| times != record.times) {
            Some("when it begins and ends")
        } else if self
            .decisions
            .is_some_and(|all| all != Self::of_decisions(&record.decisions))
        {
            Some("what people decided")
        } else {
            None
        }
    }
}

choice! {
    /// What became of the right to act as somebody.
    pub enum Authority {
        /// A token was made.
        TokenMade = "token_made",
        /// A token was taken back.
        TokenTakenBack = "token_taken_back",
        /// A role was lent.
        Lent = "lent",
        /// A role that was lent was taken back.
        TakenBack = "taken_back",
    }
}

/// Who may act, and in whose place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthorityFact {
    /// What became of it.
    pub what: Authority,
    /// The token or the delegation.
    pub about: String,
    /// Whose right it is, [`super::leaf::blind`].
    pub person: Sha,
    /// Who acts in their place, [`super::leaf::blind`].
    pub delegate: Option<Sha>,
    /// In which role.
    pub role: Option<String>,
    /// From when on.
    pub begins_at: DateTime<Utc>,
    /// Until when.
    pub ends_at: DateTime<Utc>,
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A leaf of before times and decisions were kept is read, hashed and compared as it is.
    #[test]
    fn a_leaf_of_before_is_read_as_it_is_and_compared_on_what_it_holds() {
        let old = r#"{"act":"activate","actor":"machine","after":"active","because":null,"before":"approved","decision":null,"exception":"EXC-2026-0001","policy_version":3,"provision":"nhi#rotation","revision":1,"role":null,"routes":[],"step":null,"terms":null,"tier":null}"#;
        let fact: ExceptionFact = serde_json::from_str(old).unwrap();
        assert_eq!((fact.times, fact.decisions), (None, None));
        let again = serde_json_canonicalizer::to_string(&fact).unwrap();
        assert_eq!(again, old, "byte for byte");
    }
}
