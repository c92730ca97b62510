//! What people say about findings: that they do not want to hear of them for a while, and that a
//! result is wrong. Neither changes an outcome.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::id::{ControlId, FindingKey, PersonId, RunId, SubjectId};

/// Silence that somebody asked for. It always ends; a `resolved` goes out all the same if an opening did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mute {
    /// Its id, `mut-` and a UUIDv7.
    pub id: String,
    /// Of this control alone.
    pub control: Option<ControlId>,
    /// Of this subject alone.
    pub subject: Option<SubjectId>,
    /// When it ends.
    pub until: DateTime<Utc>,
    /// Why.
    pub reason: String,
    /// Who asked.
    pub by: PersonId,
    /// When.
    pub at: DateTime<Utc>,
}

impl Mute {
    /// Whether it holds for a control on a subject at an instant. One that names neither holds for all.
    pub fn holds(&self, control: &ControlId, subject: &SubjectId, now: DateTime<Utc>) -> bool {
        now < self.until
            && self.control.as_ref().is_none_or(|c| c == control)
            && self.subject.as_ref().is_none_or(|s| s == subject)
    }
}

/// A person says that a result is wrong: a fault of the control or of its evidence. It goes to the
/// control's owner and is counted; by itself it silences nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrongResult {
    /// Its id, `wrg-` and a UUIDv7.
    pub id: String,
    /// The finding.
    pub finding: FindingKey,
    /// Its control.
    pub control: ControlId,
    /// The run whose result is meant.
    pub run: RunId,
    /// What is wrong.
    pub reason: String,
    /// Who says so.
    pub by: PersonId,
    /// When.
    pub at: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mute_holds_for_what_it_names_until_it_ends() {
        let at: DateTime<Utc> = "2026-11-20T00:00:00Z".parse().unwrap();
        let mute = Mute {
            id: "mut-1".to_owned(),
            control: Some("a".into()),
            subject: None,
            until: at,
            reason: "a planned change".to_owned(),
            by: "ada".into(),
            at: at - chrono::TimeDelta::hours(1),
        };
        let before = at - chrono::TimeDelta::microseconds(1);
        assert!(mute.holds(&"a".into(), &"x/y/z".into(), before));
        assert!(!mute.holds(&"b".into(), &"x/y/z".into(), before));
        assert!(!mute.holds(&"a".into(), &"x/y/z".into(), at));
    }
}
