//! An exception: an approved, bounded, conditional permission to deviate. Its terms are immutable; what happens to
//! it is added beside them.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::{
    control::Param,
    id::{ControlId, ExceptionId, PersonId, Sha, SubjectId, TeamId},
    outcome::Row,
    policy::ProvisionRef,
    rules::{Check, OnViolation},
    span::Span,
};
use crate::choice;

choice! {
    /// Whether something takes the place of what is not done.
    pub enum Kind {
        /// Nothing does: the risk is accepted.
        Waiver = "waiver",
        /// Conditions compensate for it.
        Compensated = "compensated",
    }
}

choice! {
    /// Why the policy cannot be followed.
    pub enum ReasonCode {
        /// The vendor does not permit it.
        VendorLimitation = "vendor_limitation",
        /// The technology does not permit it.
        TechnicalLimitation = "technical_limitation",
        /// It takes longer than the policy gives.
        NeedsTime = "needs_time",
        /// It costs more than it protects.
        Disproportionate = "disproportionate",
        /// A rule of law or a contract asks for the opposite.
        ConflictingDuty = "conflicting_duty",
        /// The policy does not speak of this case.
        NotForeseen = "not_foreseen",
        /// An incident is being dealt with.
        Incident = "incident",
        /// Something is tried out.
        Experiment = "experiment",
        /// None of these; the text says what.
        Other = "other",
    }
}

choice! {
    /// Small, middling or large.
    pub enum Level {
        /// Small.
        Low = "low",
        /// Middling.
        Medium = "medium",
        /// Large.
        High = "high",
    }
}

/// A risk as its owner sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Risk {
    /// How likely.
    pub likelihood: Level,
    /// How bad.
    pub impact: Level,
    /// All in all.
    pub rating: Level,
}

choice! {
    /// What a piece of evidence is.
    pub enum EvidenceKind {
        /// What a model is for and how it was made.
        ModelCard = "model_card",
        /// How well it does.
        Evaluation = "evaluation",
        /// What went wrong before.
        IncidentHistory = "incident_history",
        /// What a vendor says.
        VendorDoc = "vendor_doc",
        /// Work that is planned.
        Ticket = "ticket",
        /// Something else.
        Other = "other",
    }
}

/// Something that informs the decision, by address and digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// What it is.
    pub kind: EvidenceKind,
    /// Where it is.
    pub uri: String,
    /// SHA-256 of its bytes, so that one can prove what was seen.
    pub sha256: Sha,
    /// When it was taken.
    pub captured_at: DateTime<Utc>,
}

/// The policy as it was when the request was made. A decision is pinned to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pinned {
    /// The version.
    pub version: u32,
    /// Since when it is in force.
    pub effective: NaiveDate,
    /// Of its text.
    pub text: Sha,
    /// Of its rules for exceptions.
    pub rules: Sha,
}

/// A control that is deviated from, as it was then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExceptedControl {
    /// The control.
    pub control: ControlId,
    /// The digest of what judges in it.
    pub definition: Sha,
}

/// A subject under one control, frozen, with what it was like then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExceptedSubject {
    /// The control.
    pub control: ControlId,
    /// The subject, compared byte for byte.
    pub subject: SubjectId,
    /// The digest of each column of the control's fingerprint.
    pub fingerprint: BTreeMap<String, Sha>,
}

/// Something that must hold while the exception is active.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// Its name within the exception.
    pub id: String,
    /// What it is.
    pub text: String,
    /// How it is checked.
    pub check: Check,
    /// `$name` in its SQL.
    pub params: BTreeMap<String, Param>,
    /// What happens when it does not hold.
    pub on_violation: OnViolation,
    /// How long evidence may be missing before it counts as a violation.
    pub grace: Span,
    /// Who answers for it.
    pub responsible: String,
}

/// What is asked for, in full. A decision is bound to the digest of these.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    /// In a few words.
    pub title: String,
    /// Whether something compensates.
    pub kind: Kind,
    /// One of the policy's categories.
    pub category: String,
    /// The clause that is deviated from.
    pub provision: ProvisionRef,
    /// The policy as it was then.
    pub policy: Pinned,
    /// The controls that fail because of it.
    pub controls: Vec<ExceptedControl>,
    /// Who asks.
    pub requester: PersonId,
    /// Who answers for it.
    pub owner: PersonId,
    /// Who answers for it when the owner is gone.
    pub backup_owner: Option<PersonId>,
    /// Whose work it serves.
    pub beneficiary_team: TeamId,
    /// Who watches it.
    pub monitors: Vec<String>,
    /// What it is good for.
    pub business_purpose: String,
    /// What happens without it.
    pub impact_if_denied: String,
    /// Why the policy cannot be followed.
    pub reason_code: ReasonCode,
    /// What else was tried.
    pub alternatives: String,
    /// What it puts at risk.
    pub risk_introduced: String,
    /// The risk without conditions.
    pub inherent: Risk,
    /// The risk with them.
    pub residual: Risk,
    /// What the requester says of it, for triage.
    pub facets: Row,
    /// What evidence said of it then.
    pub facts: BTreeMap<String, String>,
    /// Exactly these.
    pub subjects: Vec<ExceptedSubject>,
    /// How they were found; kept for people.
    pub selector: Option<String>,
    /// SQL over the finding's row that must be true.
    pub limit: Option<String>,
    /// Not before this instant.
    pub not_before: DateTime<Utc>,
    /// Not from this instant on.
    pub expires_at: DateTime<Utc>,
    /// How often it is looked at again.
    pub review_every: Option<Span>,
    /// What must hold meanwhile.
    pub conditions: Vec<Condition>,
    /// What informs the decision.
    pub evidence: Vec<Attachment>,
    /// How it will end.
    pub closure_plan: Option<String>,
    /// The exception that it renews.
    pub renewal_of: Option<ExceptionId>,
    /// How often it was renewed, with this.
    pub renewals: u32,
    /// When the first of those that it renews was to end.
    #[serde(default)]
    pub original_expires_at: Option<DateTime<Utc>>,
    /// The incident that makes it necessary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<String>,
    /// The ticket or the change that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
}

impl Terms {
    /// The digest of the canonical JSON (RFC 8785) of the terms: what a decision is bound to.
    pub fn digest(&self) -> Sha {
        Sha::of_json(&serde_json::json!(self))
    }

    /// How long it is asked for.
    pub fn duration(&self) -> Span {
        let millis = (self.expires_at - self.not_before).num_milliseconds();
        Span::millis(millis.max(0).unsigned_abs())
    }

    /// The frozen entry for a subject under a control.
    pub fn subject(&self, control: &ControlId, subject: &SubjectId) -> Option<&ExceptedSubject> {
        self.subjects
            .iter()
            .find(|s| s.control == *control && s.subject == *subject)
    }
}

choice! {
    /// Where an exception stands.
    pub enum State {
        /// Being written.
        Draft = "draft",
        /// Handed in.
        Submitted = "submitted",
        /// Sent back for what is missing.
        NeedsInfo = "needs_info",
        /// People say what they think.
        InAssessment = "in_assessment",
        /// People sign.
        PendingDecision = "pending_decision",
        /// Signed by all, not yet in force.
        Approved = "approved",
        /// In force: the only state that covers.
        Active = "active",
        /// Out of force until somebody or something restores it.
        Suspended = "suspended",
        /// Refused.
        Denied = "denied",
        /// Over, because its time is.
        Expired = "expired",
        /// Ended before its time.
        Revoked = "revoked",
        /// Taken back by those who asked.
        Withdrawn = "withdrawn",
        /// Over without a decision, or without having been in force.
        Lapsed = "lapsed",
        /// Looked back at, with an outcome.
        Closed = "closed",
    }
}

impl State {
    /// Whether something is waited for before it could be in force.
    pub const fn is_pending(self) -> bool {
        matches!(
            self,
            Self::Submitted | Self::NeedsInfo | Self::InAssessment | Self::PendingDecision
        )
    }

    /// Whether it is over, but for looking back.
    pub const fn is_over(self) -> bool {
        matches!(
            self,
            Self::Denied
                | Self::Expired
                | Self::Revoked
                | Self::Withdrawn
                | Self::Lapsed
                | Self::Closed
        )
    }
}

choice! {
    /// Why an exception is out of force for now.
    pub enum Suspension {
        /// What it was approved for is not what is there now.
        FingerprintChanged = "fingerprint_changed",
        /// A condition does not hold.
        ConditionFailed = "condition_failed",
        /// A condition cannot be shown to hold.
        ConditionUnknown = "condition_unknown",
        /// The policy says something else now.
        PolicyChanged = "policy_changed",
        /// The control judges otherwise now.
        ControlChanged = "control_changed",
        /// Who answers for it is gone.
        OwnerGone = "owner_gone",
        /// Nobody looked at it again in time.
        ReviewOverdue = "review_overdue",
        /// A person said so.
        Asked = "asked",
    }
}
