//! Everything that an approver is given, in one piece: what is asked for, what deviates and by how much, what the policy
//! says at its version, what happened before, what would be covered and what not, and what they may decide. Its digest
//! is part of the decision, so that one can prove what was seen.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::{
    coverage::Standing,
    decide::{Decision, Options},
    route::{Routed, Triage},
};
use crate::model::{
    exception::{State, Terms},
    id::{ControlId, ExceptionId, PersonId, Sha, SubjectId, TeamId},
    outcome::Row,
    policy::Severity,
};

/// The package of one approver.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Package {
    /// The exception.
    pub exception: ExceptionId,
    /// The revision that is decided.
    pub revision: u32,
    /// Where it stands.
    pub state: State,
    /// Who it is put before.
    pub reader: PersonId,
    /// When it was put together.
    pub made_at: DateTime<Utc>,
    /// What is asked for.
    pub terms: Terms,
    /// The digest of that.
    pub terms_digest: Sha,
    /// What the policy says.
    pub policy: Clause,
    /// How risky and pressing it is, and why.
    pub triage: Triage,
    /// Who is asked, by which routes.
    pub routed: Routed,
    /// The step that is open.
    pub step: Option<String>,
    /// By when it should be taken.
    pub due_at: Option<DateTime<Utc>>,
    /// What deviates.
    pub deviations: Vec<Deviation>,
    /// What deviates under the same controls and is not asked for: it would not be covered.
    pub not_covered: Vec<SubjectId>,
    /// Earlier findings on its subjects.
    pub findings: Vec<Before>,
    /// Earlier exceptions for its subjects.
    pub of_subjects: Vec<Precedent>,
    /// Earlier exceptions for its team.
    pub of_team: Vec<Precedent>,
    /// Earlier requests of who asks.
    pub of_requester: Vec<Precedent>,
    /// Earlier requests to deviate from the same clause.
    pub of_clause: Vec<Precedent>,
    /// How its conditions stand now.
    pub conditions: BTreeMap<String, Looked>,
    /// What others said of it.
    pub said: Vec<Decision>,
    /// Teams that ask for the same.
    pub joined: Vec<TeamId>,
    /// What the reader may decide.
    pub options: Option<Options>,
    /// Why they may not.
    pub refused: Option<String>,
}

/// A clause of a policy at its version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clause {
    /// `policy#provision`.
    pub reference: String,
    /// The policy's title.
    pub title: String,
    /// The version.
    pub version: u32,
    /// Since when it is in force.
    pub effective: NaiveDate,
    /// Its wording.
    pub text: Option<String>,
}

/// One subject that deviates, as evidence shows it now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deviation {
    /// The control.
    pub control: ControlId,
    /// What should hold.
    pub title: String,
    /// The subject.
    pub subject: SubjectId,
    /// `pass`, `fail` or `unknown`.
    pub outcome: String,
    /// How bad it is.
    pub severity: Severity,
    /// The finding, when there is one, by its short name.
    pub finding: Option<String>,
    /// Since when it is open.
    pub since: Option<DateTime<Utc>>,
    /// What is the case, with the values.
    pub sentence: String,
    /// What was crossed: the condition with its parameters.
    pub crossed: String,
    /// The rows.
    pub rows: Vec<Row>,
    /// What was looked at: dataset, when, and the digest of its content.
    pub evidence: Vec<Source>,
    /// Whether it would be silent if this were approved, or the clause that would not hold.
    pub would_cover: Result<(), String>,
}

/// A snapshot that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// `source.dataset`.
    pub dataset: String,
    /// When it was collected.
    pub collected_at: Option<DateTime<Utc>>,
    /// SHA-256 of its content.
    pub sha256: Option<Sha>,
}

/// A finding of the past.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// Its short name.
    pub finding: String,
    /// The control.
    pub control: ControlId,
    /// The subject.
    pub subject: SubjectId,
    /// Where it stands.
    pub status: String,
    /// When it was seen first.
    pub first_seen: DateTime<Utc>,
    /// How often it opened.
    pub episodes: u32,
}

/// An exception of the past, with what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Precedent {
    /// The exception.
    pub exception: ExceptionId,
    /// In a few words.
    pub title: String,
    /// Where it stands.
    pub state: State,
    /// Whose work it served.
    pub team: Option<String>,
    /// When it was asked for.
    pub asked_at: Option<DateTime<Utc>>,
    /// Until when.
    pub expires_at: DateTime<Utc>,
    /// Who decided, and what.
    pub decided: Vec<String>,
    /// How it came out.
    pub outcome: Option<String>,
    /// How often it was renewed.
    pub renewals: u32,
}

/// How a condition stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Looked {
    /// How it stands.
    pub standing: Standing,
    /// What was seen.
    pub said: String,
}

impl Package {
    /// The digest of its canonical JSON (RFC 8785).
    pub fn digest(&self) -> Sha {
        Sha::of_json(&serde_json::json!(self))
    }
}
