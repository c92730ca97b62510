//! A request for an exception as somebody hands it in: anything may be missing.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    exception::{EvidenceKind, Kind, ReasonCode, Risk},
    policy::ProvisionRef,
    rules::OnViolation,
    span::Span,
};

/// A request. The fields mean what those of [`super::exception::Terms`] mean.
#[expect(missing_docs, reason = "each field is that of the terms it becomes")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    pub title: Option<String>,
    pub kind: Kind,
    pub category: Option<String>,
    pub provision: ProvisionRef,
    pub controls: Vec<String>,
    pub requester: Option<String>,
    pub owner: Option<String>,
    pub backup_owner: Option<String>,
    pub beneficiary_team: Option<String>,
    pub monitors: Vec<String>,
    pub business_purpose: Option<String>,
    pub impact_if_denied: Option<String>,
    pub reason_code: Option<ReasonCode>,
    pub alternatives: Option<String>,
    pub risk_introduced: Option<String>,
    /// Without conditions, and with them.
    pub risk: Option<(Risk, Risk)>,
    pub facets: BTreeMap<String, Value>,
    pub subjects: Vec<String>,
    pub selector: Option<String>,
    pub limit: Option<String>,
    pub not_before: Option<DateTime<Utc>>,
    pub expires_at: Option<DateTime<Utc>>,
    pub review_every: Option<Span>,
    pub conditions: Vec<Condition>,
    pub evidence: Vec<Evidence>,
    pub closure_plan: Option<String>,
    pub renewal_of: Option<String>,
    #[serde(default)]
    pub incident: Option<String>,
    #[serde(default)]
    pub ticket: Option<String>,
}

impl Request {
    /// A request that says nothing but which clause it is about.
    pub fn empty(provision: ProvisionRef) -> Self {
        Self {
            title: None,
            kind: Kind::Waiver,
            category: None,
            provision,
            controls: Vec::new(),
            requester: None,
            owner: None,
            backup_owner: None,
            beneficiary_team: None,
            monitors: Vec::new(),
            business_purpose: None,
            impact_if_denied: None,
            reason_code: None,
            alternatives: None,
            risk_introduced: None,
            risk: None,
            facets: BTreeMap::new(),
            subjects: Vec::new(),
            selector: None,
            limit: None,
            not_before: None,
            expires_at: None,
            review_every: None,
            conditions: Vec::new(),
            evidence: Vec::new(),
            closure_plan: None,
            renewal_of: None,
            incident: None,
            ticket: None,
        }
    }
}

/// A condition as it is asked for: one of the policy's mitigations, or one of its own.
#[expect(
    missing_docs,
    reason = "each field is that of the condition it becomes"
)]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    pub mitigation: Option<String>,
    pub params: BTreeMap<String, Value>,
    pub id: Option<String>,
    pub text: Option<String>,
    pub evidence: Option<String>,
    pub subject: Option<String>,
    pub fails_when: Option<String>,
    pub schedule: Option<String>,
    pub max_age: Option<Span>,
    pub attested: Option<Span>,
    pub on_violation: Option<OnViolation>,
    pub grace: Option<Span>,
    pub responsible: Option<String>,
}

/// Evidence as it is named.
#[expect(
    missing_docs,
    reason = "each field is that of the attachment it becomes"
)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    pub kind: EvidenceKind,
    pub uri: String,
    pub sha256: String,
    pub captured_at: DateTime<Utc>,
}
