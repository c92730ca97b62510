//! The file by which somebody asks for an exception. What is missing in it is no mistake of the file: the request is
//! sent back with what it lacks. An unknown key is a mistake, as everywhere.

use std::path::Path;

use serde_json::Value;

use super::name::{Phrase, Slug};
use crate::{
    model::{
        exception::{EvidenceKind, Kind, Level, ReasonCode, Risk},
        policy::ProvisionRef,
        request::{self, Request},
        rules::OnViolation,
        span::Span,
    },
    record,
    yaml::{
        decode::{self, Located},
        diagnostic::Diagnostic,
        values::Named,
    },
};

record! {
    /// A risk as its owner sees it.
    pub struct RiskFile {
        /// How likely.
        likelihood: Level,
        /// How bad.
        impact: Level,
        /// All in all.
        rating: Level,
    }
}

record! {
    /// The risk without the conditions and with them.
    pub struct RisksFile {
        /// Without.
        inherent: RiskFile,
        /// With.
        residual: RiskFile,
    }
}

record! {
    /// Where the deviation happens: exactly these.
    pub struct ScopeFile {
        /// Canonical ids, `source/kind/name`.
        subjects: Vec<Phrase>,
        /// How the list was found; kept for people, never evaluated.
        selector: Option<String>,
    }
}

record! {
    /// A word that is given again and again.
    pub struct AttestedFile {
        /// How often.
        every: Span,
    }
}

record! {
    /// What must hold meanwhile: one of the policy's mitigations with its parameters, or a condition of its own.
    pub struct ConditionFile {
        /// A mitigation of the policy.
        mitigation: Option<Slug>,
        /// Its parameters.
        params: Named<Value> = Named::default(),
        /// For a condition of its own: its name.
        id: Option<Slug>,
        /// What it is.
        text: Option<Phrase>,
        /// SQL over datasets.
        evidence: Option<String>,
        /// The column that names the subject.
        subject: Option<String>,
        /// True means that it does not hold.
        fails_when: Option<String>,
        /// Five fields of cron.
        schedule: Option<String>,
        /// Older evidence is unknown.
        max_age: Option<Span>,
        /// A person's word.
        attested: Option<AttestedFile>,
        /// What happens when it does not hold.
        on_violation: Option<OnViolation>,
        /// How long evidence may be missing.
        grace: Option<Span>,
        /// Who answers for it.
        responsible: Option<Phrase>,
    }
}

record! {
    /// Something that informs the decision.
    pub struct EvidenceFile {
        /// What it is.
        kind: EvidenceKind,
        /// Where it is.
        uri: Phrase,
        /// SHA-256 of its bytes, in hexadecimal.
        sha256: Phrase,
        /// When it was taken.
        captured_at: chrono::DateTime<chrono::Utc>,
    }
}

record! {
    /// A request for an exception.
    pub struct RequestFile {
        /// In a few words.
        title: Option<Phrase>,
        /// Whether something takes the place of what is not done.
        kind: Kind = Kind::Compensated,
        /// One of the policy's categories.
        category: Option<Slug>,
        /// The clause that is deviated from, `policy#provision`.
        policy: Located<ProvisionRef>,
        /// The controls that fail because of it.
        controls: Vec<Slug> = Vec::new(),
        /// Who asks.
        requester: Option<Phrase>,
        /// Who answers for it.
        owner: Option<Phrase>,
        /// Who answers for it when the owner is gone.
        backup_owner: Option<Phrase>,
        /// Whose work it serves.
        beneficiary_team: Option<Phrase>,
        /// Who watches it.
        monitors: Vec<Phrase> = Vec::new(),
        /// What it is good for.
        business_purpose: Option<Phrase>,
        /// What happens without it.
        impact_if_denied: Option<Phrase>,
        /// Why the policy cannot be followed.
        reason_code: Option<ReasonCode>,
        /// What else was tried.
        alternatives: Option<Phrase>,
        /// What it puts at risk.
        risk_introduced: Option<Phrase>,
        /// How large the risk is.
        risk: Option<RisksFile>,
        /// What is known for triage; what is left out is unknown and counts as the most severe.
        facets: Named<Value> = Named::default(),
        /// Where it happens.
        scope: Option<ScopeFile>,
        /// SQL over the finding's row that must stay true.
        limit: Option<String>,
        /// From when on.
        not_before: Option<chrono::DateTime<chrono::Utc>>,
        /// Until when.
        expires_at: Option<chrono::DateTime<chrono::Utc>>,
        /// How often it is looked at again.
        review_every: Option<Span>,
        /// What must hold meanwhile.
        conditions: Vec<ConditionFile> = Vec::new(),
        /// What informs the decision.
        evidence: Vec<EvidenceFile> = Vec::new(),
        /// How it will end.
        closure_plan: Option<Phrase>,
        /// The exception that it renews.
        renewal_of: Option<Phrase>,
        /// The incident that makes it necessary, as its system names it.
        incident: Option<Phrase>,
        /// The ticket or the change that it belongs to, as its system names it.
        ticket: Option<Phrase>,
    }
}

/// Reads a request.
///
/// # Errors
/// Every mistake of the file.
pub fn read(file: &Path, text: &str) -> Result<Request, Vec<Diagnostic>> {
    let (request, _) = decode::read::<RequestFile>(file, text)?;
    Ok(request.resolve())
}

/// Reads one condition, as it stands in a request.
///
/// # Errors
/// Every mistake of the text.
pub fn condition(file: &Path, text: &str) -> Result<request::Condition, Vec<Diagnostic>> {
    let (condition, _) = decode::read::<ConditionFile>(file, text)?;
    Ok(resolve(condition))
}

impl RequestFile {
    /// The request as the register takes it.
    pub fn resolve(self) -> Request {
        let text = |p: Option<Phrase>| p.map(|p| p.0);
        let texts = |all: Vec<Phrase>| all.into_iter().map(|p| p.0).collect::<Vec<String>>();
        let risk = |r: RiskFile| Risk {
            likelihood: r.likelihood,
            impact: r.impact,
            rating: r.rating,
        };
        let (subjects, selector) = self
            .scope
            .map_or((Vec::new(), None), |s| (texts(s.subjects), s.selector));
        Request {
            title: text(self.title),
            kind: self.kind,
            category: self.category.map(|c| c.0),
            provision: self.policy.value,
            controls: self.controls.into_iter().map(|c| c.0).collect(),
            requester: text(self.requester),
            owner: text(self.owner),
            backup_owner: text(self.backup_owner),
            beneficiary_team: text(self.beneficiary_team),
            monitors: texts(self.monitors),
            business_purpose: text(self.business_purpose),
            impact_if_denied: text(self.impact_if_denied),
            reason_code: self.reason_code,
            alternatives: text(self.alternatives),
            risk_introduced: text(self.risk_introduced),
            risk: self.risk.map(|r| (risk(r.inherent), risk(r.residual))),
            facets: self
                .facets
                .0
                .into_iter()
                .map(|(key, value)| (key.text, value))
                .collect(),
            subjects,
            selector,
            limit: self.limit,
            not_before: self.not_before,
            expires_at: self.expires_at,
            review_every: self.review_every,
            conditions: self.conditions.into_iter().map(resolve).collect(),
            evidence: self
                .evidence
                .into_iter()
                .map(|e| request::Evidence {
                    kind: e.kind,
                    uri: e.uri.0,
                    sha256: e.sha256.0,
                    captured_at: e.captured_at,
                })
                .collect(),
            closure_plan: text(self.closure_plan),
            renewal_of: text(self.renewal_of),
            incident: text(self.incident),
            ticket: text(self.ticket),
        }
    }
}

fn resolve(c: ConditionFile) -> request::Condition {
    request::Condition {
        mitigation: c.mitigation.map(|m| m.0),
        params: c.params.0.into_iter().map(|(k, v)| (k.text, v)).collect(),
        id: c.id.map(|i| i.0),
        text: c.text.map(|t| t.0),
        evidence: c.evidence,
        subject: c.subject,
        fails_when: c.fails_when,
        schedule: c.schedule,
        max_age: c.max_age,
        attested: c.attested.map(|a| a.every),
        on_violation: c.on_violation,
        grace: c.grace,
        responsible: c.responsible.map(|r| r.0),
    }
}
