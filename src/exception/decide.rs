//! Who may decide, and what a decision does. Each refusal has a name. Whoever asks for an exception, answers for it
//! or benefits from it never approves it; nobody signs twice; the last signature needs authority over the tier, the
//! time and the amount.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    choice,
    model::{
        exception::{State, Terms},
        id::{PersonId, Sha, TeamId},
        rules::{Ask, Emergency, ExceptionRules, Step},
        span::Span,
    },
};

choice! {
    /// What an approver says.
    pub enum Verdict {
        /// Yes.
        Approve = "approve",
        /// No, with a reason.
        Deny = "deny",
        /// Something is missing.
        Ask = "ask",
    }
}

choice! {
    /// Why somebody may not decide.
    pub enum Refusal {
        /// It does not wait for a decision.
        NotPending = "not_pending",
        /// The terms are others than those that were looked at.
        StaleTerms = "stale_terms",
        /// The policy is another than the one that the request was made under.
        StalePolicy = "stale_policy",
        /// They do not bear the role that the open step asks for, and nobody who does let them act.
        NotAsked = "not_asked",
        /// They asked for it.
        IsRequester = "is_requester",
        /// They answer for it.
        IsOwner = "is_owner",
        /// It serves their team.
        IsBeneficiary = "is_beneficiary",
        /// They signed a step of it already.
        AlreadySigned = "already_signed",
        /// Somebody of their team signed this step already.
        SameTeam = "same_team",
        /// Their role may not sign in this tier.
        BeyondTier = "beyond_tier",
        /// Their role may not sign for so long.
        BeyondDuration = "beyond_duration",
        /// Their role may not sign so much, or nobody knows how much it is.
        BeyondAmount = "beyond_amount",
        /// A refusal and a question need a reason.
        NoReason = "no_reason",
        /// An end that is later than the one that was asked for.
        LaterEnd = "later_end",
    }
}

/// Somebody who wants to decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approver {
    /// Who.
    pub person: PersonId,
    /// Their name then: people may leave, and the record stays.
    pub name: String,
    /// Their team.
    pub team: Option<TeamId>,
    /// Their roles, and those that others let them act in.
    pub roles: Vec<Role>,
}

/// A role that somebody acts in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// The role.
    pub role: String,
    /// Who let them act in it, when it is not their own.
    pub on_behalf_of: Option<PersonId>,
}

/// A signature as it is kept, people by value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The step.
    pub step: String,
    /// Who decided.
    pub approver: PersonId,
    /// Their name then.
    pub name: String,
    /// Their team then.
    pub team: Option<TeamId>,
    /// The role that they acted in, and on whose behalf.
    pub role: Role,
    /// What they might have said.
    pub options: Options,
    /// What they said.
    pub verdict: Verdict,
    /// Why.
    pub reason: Option<String>,
    /// An end that is earlier than the one that was asked for.
    pub ends: Option<DateTime<Utc>>,
    /// The terms that they saw.
    pub terms: Sha,
    /// Everything that was put before them.
    pub package: Option<Sha>,
    /// When.
    pub at: DateTime<Utc>,
}

/// What somebody may grant in the open step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// Whether their signature may be the last.
    pub grants: bool,
    /// The longest time that they may sign for.
    pub max_duration: Option<Span>,
    /// The largest amount that they may sign for.
    pub max_amount: Option<f64>,
    /// What they may say.
    pub verdicts: Vec<Verdict>,
}

/// A request as somebody decides it.
#[derive(Debug, Clone, Copy)]
pub struct Pending<'a> {
    /// Where it stands now.
    pub state: State,
    /// What is asked for.
    pub terms: &'a Terms,
    /// The digest of that.
    pub digest: Sha,
    /// Its tier.
    pub tier: &'a str,
    /// The steps of its route that people sign or assess, in order.
    pub steps: &'a [Step],
    /// What was signed so far.
    pub decisions: &'a [Decision],
    /// The rules that it was routed by.
    pub rules: &'a ExceptionRules,
}

impl<'a> Pending<'a> {
    /// The step that is open: the first of which not all signatures are there.
    pub fn open(&self) -> Option<&'a Step> {
        self.steps.iter().find(|step| !self.is_done(step))
    }

    /// Whether it waits for anybody.
    pub fn is_asked(&self) -> bool {
        matches!(self.state, State::PendingDecision | State::InAssessment)
    }

    fn signed(&self, step: &Step) -> impl Iterator<Item = &Decision> {
        let id = step.id.clone();
        self.decisions.iter().filter(move |d| {
            d.step == id && d.verdict == Verdict::Approve && d.terms == self.digest
        })
    }

    fn is_done(&self, step: &Step) -> bool {
        match &step.ask {
            Ask::Facts => true,
            Ask::Approve(_) => self.signed(step).count() >= step.quorum as usize,
            Ask::Assess(roles) => {
                let said: BTreeSet<&str> = self
                    .decisions
                    .iter()
                    .filter(|d| d.step == step.id && d.terms == self.digest)
                    .map(|d| d.role.role.as_str())
                    .collect();
                roles.iter().all(|role| said.contains(role.as_str()))
            }
        }
    }

    /// Whether a step is the last that approves.
    fn is_last(&self, step: &Step) -> bool {
        let last = self
            .steps
            .iter()
            .rev()
            .find(|s| matches!(s.ask, Ask::Approve(_)));
        last.is_some_and(|last| last.id == step.id)
    }

    /// Whether one more signature in a step ends the chain.
    pub fn would_end(&self, step: &Step) -> bool {
        let missing = (step.quorum as usize).saturating_sub(self.signed(step).count());
        self.is_last(step) && missing <= 1
    }
}

/// Why somebody may not decide a request, or in which role they may and what they may grant. `granted` is the role
/// that stands in for the step's own when the step took too long.
///
/// # Errors
/// The first reason against it.
pub fn eligible(
    pending: &Pending<'_>,
    who: &Approver,
    escalated: bool,
) -> Result<(Role, Options), Refusal> {
    if !pending.is_asked() {
        return Err(Refusal::NotPending);
    }
    let step = pending.open().ok_or(Refusal::NotPending)?;
    let terms = pending.terms;
    if who.person == terms.requester {
        return Err(Refusal::IsRequester);
    }
    if who.person == terms.owner || terms.backup_owner.as_ref() == Some(&who.person) {
        return Err(Refusal::IsOwner);
    }
    if who.team.as_ref() == Some(&terms.beneficiary_team) {
        return Err(Refusal::IsBeneficiary);
    }
    let mut asked: Vec<&str> = match &step.ask {
        Ask::Facts => Vec::new(),
        Ask::Approve(role) => vec![role],
        Ask::Assess(roles) => roles.iter().map(String::as_str).collect(),
    };
    asked.extend(step.escalate.as_deref().filter(|_| escalated));
    let role = who
        .roles
        .iter()
        .find(|r| asked.contains(&r.role.as_str()))
        .ok_or(Refusal::NotAsked)?;
    // One who is excluded does not let another act in their place.
    if let Some(behalf) = &role.on_behalf_of {
        if *behalf == terms.requester {
            return Err(Refusal::IsRequester);
        }
        if *behalf == terms.owner || terms.backup_owner.as_ref() == Some(behalf) {
            return Err(Refusal::IsOwner);
        }
    }
    let signed = |d: &&Decision| {
        d.terms == pending.digest
            && (d.approver == who.person
                || d.role.on_behalf_of.as_ref() == Some(&who.person)
                || role.on_behalf_of.as_ref() == Some(&d.approver))
    };
    if pending.decisions.iter().any(|d| signed(&d)) {
        return Err(Refusal::AlreadySigned);
    }
    let same_team = |d: &Decision| d.team.is_none() || d.team == who.team;
    if step.distinct_teams && (who.team.is_none() || pending.signed(step).any(same_team)) {
        return Err(Refusal::SameTeam);
    }
    let options = options(pending, step, &role.role)?;
    Ok((role.clone(), options))
}

/// In which role somebody may grant a request before the chain has decided, and what.
///
/// # Errors
/// The first reason against it.
pub fn may_grant(
    pending: &Pending<'_>,
    who: &Approver,
    emergency: &Emergency,
) -> Result<(Role, Options), Refusal> {
    let terms = pending.terms;
    if who.person == terms.requester {
        return Err(Refusal::IsRequester);
    }
    if who.person == terms.owner || terms.backup_owner.as_ref() == Some(&who.person) {
        return Err(Refusal::IsOwner);
    }
    if who.team.as_ref() == Some(&terms.beneficiary_team) {
        return Err(Refusal::IsBeneficiary);
    }
    let own = |r: &&Role| r.role == emergency.authority && r.on_behalf_of.is_none();
    let role = who.roles.iter().find(own).ok_or(Refusal::NotAsked)?;
    let authority = pending.rules.authority.get(&role.role);
    let options = Options {
        grants: true,
        max_duration: authority.and_then(|a| a.max_duration),
        max_amount: authority.and_then(|a| a.max_amount),
        verdicts: vec![Verdict::Approve],
    };
    Ok((role.clone(), options))
}

/// What a role may grant in a step. Earlier steps are sign-offs, which can stop a request and never grant it.
fn options(pending: &Pending<'_>, step: &Step, role: &str) -> Result<Options, Refusal> {
    let verdicts = vec![Verdict::Approve, Verdict::Deny, Verdict::Ask];
    let grants = pending.is_last(step);
    let authority = pending.rules.authority.get(role);
    let Some(authority) = authority.filter(|_| grants) else {
        if grants {
            return Err(Refusal::BeyondTier);
        }
        return Ok(Options {
            grants,
            max_duration: None,
            max_amount: None,
            verdicts,
        });
    };
    let of_tier = authority.tiers.is_empty() || authority.tiers.iter().any(|t| t == pending.tier);
    if !of_tier || authority.emergency_only {
        return Err(Refusal::BeyondTier);
    }
    let amount = pending
        .terms
        .facets
        .get("amount")
        .and_then(serde_json::Value::as_f64);
    if let Some(most) = authority.max_amount
        && amount.is_none_or(|amount| amount > most)
    {
        return Err(Refusal::BeyondAmount);
    }
    Ok(Options {
        grants,
        max_duration: authority.max_duration,
        max_amount: authority.max_amount,
        verdicts,
    })
}

/// What somebody wants to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// What.
    pub verdict: Verdict,
    /// Why.
    pub reason: Option<String>,
    /// An earlier end.
    pub ends: Option<DateTime<Utc>>,
    /// The terms that they looked at.
    pub terms: Sha,
    /// Everything that was put before them.
    pub package: Option<Sha>,
}

/// What a decision does to the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consequence {
    /// It goes on: more signatures are needed.
    GoesOn,
    /// It is approved.
    Approved,
    /// It is refused.
    Denied,
    /// It goes back to the requester.
    SentBack,
}

/// Decides: the decision as it is kept, and what it does.
///
/// # Errors
/// Why they may not.
pub fn decide(
    pending: &Pending<'_>,
    who: &Approver,
    wish: Wish,
    (escalated, now): (bool, DateTime<Utc>),
) -> Result<(Decision, Consequence), Refusal> {
    let (role, options) = eligible(pending, who, escalated)?;
    if wish.terms != pending.digest {
        return Err(Refusal::StaleTerms);
    }
    let reason = wish.reason.filter(|r| !r.trim().is_empty());
    if wish.verdict != Verdict::Approve && reason.is_none() {
        return Err(Refusal::NoReason);
    }
    let step = pending.open().ok_or(Refusal::NotPending)?;
    let ends = wish.ends.unwrap_or(pending.terms.expires_at);
    if wish.verdict == Verdict::Approve {
        if ends > pending.terms.expires_at {
            return Err(Refusal::LaterEnd);
        }
        let longest = options.max_duration.map(Span::to_delta);
        if longest.is_some_and(|longest| ends - pending.terms.not_before > longest) {
            return Err(Refusal::BeyondDuration);
        }
    }
    let consequence = match wish.verdict {
        Verdict::Deny => Consequence::Denied,
        Verdict::Ask => Consequence::SentBack,
        Verdict::Approve if pending.would_end(step) => Consequence::Approved,
        Verdict::Approve => Consequence::GoesOn,
    };
    let decision = Decision {
        step: step.id.clone(),
        approver: who.person.clone(),
        name: who.name.clone(),
        team: who.team.clone(),
        role,
        options,
        verdict: wish.verdict,
        reason,
        ends: wish.ends,
        terms: wish.terms,
        package: wish.package,
        at: now,
    };
    Ok((decision, consequence))
}
