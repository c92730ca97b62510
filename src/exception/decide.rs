//! Who may decide, and what a decision does. Each refusal has a name. Whoever asks for an exception, answers for it
//! or benefits from it never approves it; nobody signs twice; the last signature needs authority over the tier, the
//! time and the amount.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    authority::{bounded, options, within},
    record::Joiner,
};
use crate::{
    choice,
    model::{
        exception::{Condition, State, Terms},
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
        /// An end by which it would be over before it began.
        EndPassed = "end_passed",
        /// The open step does not ask for that: who assesses says what they think, or asks.
        NotOffered = "not_offered",
        /// Conditions are added by who agrees; who refuses or asks says so in words.
        OnlyWithApproval = "only_with_approval",
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
    /// The team of that person then: what binds them binds who acts in their place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub their_team: Option<TeamId>,
}

impl Role {
    /// A role of one's own.
    pub fn own(role: impl Into<String>) -> Self {
        Self {
            role: role.into(),
            on_behalf_of: None,
            their_team: None,
        }
    }
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
    /// What must hold besides what was asked for: from this decision on it is part of the terms.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The terms that they saw.
    pub terms: Sha,
    /// Everything that was put before them.
    pub package: Option<Sha>,
    /// When.
    pub at: DateTime<Utc>,
}

impl Decision {
    /// Whether somebody had a part in it: as who signed, or as who let them.
    fn is_of(&self, person: &PersonId) -> bool {
        self.approver == *person || self.role.on_behalf_of.as_ref() == Some(person)
    }

    /// The teams that it speaks for: that of who signed, and that of who let them.
    fn teams(&self) -> impl Iterator<Item = &TeamId> {
        self.team.iter().chain(&self.role.their_team)
    }
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
    /// The digests of the same terms before approvers added conditions to them. What was signed under these counts:
    /// it permitted more.
    pub wider: &'a [Sha],
    /// Other teams that ask for the same, and so benefit from it.
    pub joiners: &'a [Joiner],
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

    /// Every signature and assessment that counts.
    fn agreed(&self) -> impl Iterator<Item = &'a Decision> {
        let (digest, wider) = (self.digest, self.wider);
        self.decisions.iter().filter(move |d| {
            d.verdict == Verdict::Approve && (d.terms == digest || wider.contains(&d.terms))
        })
    }

    pub(super) fn signed(&self, step: &Step) -> impl Iterator<Item = &'a Decision> {
        let id = step.id.clone();
        self.agreed().filter(move |d| d.step == id)
    }

    /// Whether everything is there that a step asks for.
    pub(super) fn is_done(&self, step: &Step) -> bool {
        match &step.ask {
            Ask::Facts => true,
            Ask::Approve(_) => self.signed(step).count() >= step.quorum as usize,
            Ask::Assess(roles) => {
                let said: BTreeSet<&str> =
                    self.signed(step).map(|d| d.role.role.as_str()).collect();
                // Who stands in for those who stayed silent speaks for them all.
                let stood_in = step.escalate.as_deref().is_some_and(|r| said.contains(r));
                stood_in || roles.iter().all(|role| said.contains(role.as_str()))
            }
        }
    }

    /// Until when it may last by what was signed so far: the earliest end that anybody named holds.
    pub fn until(&self) -> DateTime<Utc> {
        // A grant in an emergency ends by itself; it is no step of the chain.
        let of_chain = |d: &&Decision| self.steps.iter().any(|s| s.id == d.step);
        let ends = self.agreed().filter(of_chain).filter_map(|d| d.ends);
        ends.fold(self.terms.expires_at, DateTime::min)
    }

    /// Whether a step is the last that approves.
    pub(super) fn is_last(&self, step: &Step) -> bool {
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

/// Why somebody may not decide a request, or in which role they may and what they may grant. `escalated` says that the
/// role that stands in for the step's own is asked, too, because the step took too long or nobody else may take it.
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
    may_take(pending, step, who, escalated)
}

/// The same of a step that may not be open yet.
pub(super) fn may_take(
    pending: &Pending<'_>,
    step: &Step,
    who: &Approver,
    escalated: bool,
) -> Result<(Role, Options), Refusal> {
    excluded(pending, &who.person, who.team.as_ref())?;
    let mut asked: Vec<&str> = match &step.ask {
        Ask::Facts => Vec::new(),
        Ask::Approve(role) => vec![role],
        Ask::Assess(roles) => roles.iter().map(String::as_str).collect(),
    };
    asked.extend(step.escalate.as_deref().filter(|_| escalated));
    let mut first = None;
    // Of several roles, lent ones among them, the first that they may act in.
    for role in who
        .roles
        .iter()
        .filter(|r| asked.contains(&r.role.as_str()))
    {
        match in_role(pending, step, who, role) {
            Ok(options) => return Ok((role.clone(), options)),
            Err(refusal) => first = first.or(Some(refusal)),
        }
    }
    Err(first.unwrap_or(Refusal::NotAsked))
}

fn in_role(
    pending: &Pending<'_>,
    step: &Step,
    who: &Approver,
    role: &Role,
) -> Result<Options, Refusal> {
    // One who is excluded does not let another act in their place.
    if let Some(behalf) = &role.on_behalf_of {
        excluded(pending, behalf, role.their_team.as_ref())?;
    }
    let lender = role.on_behalf_of.as_ref();
    let signed = |d: &Decision| d.is_of(&who.person) || lender.is_some_and(|l| d.is_of(l));
    if pending.agreed().any(signed) {
        return Err(Refusal::AlreadySigned);
    }
    if step.distinct_teams {
        let teams: Vec<&TeamId> = who.team.iter().chain(&role.their_team).collect();
        let unknown = who.team.is_none() || lender.is_some() && role.their_team.is_none();
        let same = |d: &Decision| d.team.is_none() || d.teams().any(|team| teams.contains(&team));
        if unknown || pending.signed(step).any(same) {
            return Err(Refusal::SameTeam);
        }
    }
    options(pending, step, &role.role)
}

/// Whoever asks for it, answers for it or benefits from it has no part in its decision; nor has who joined it.
fn excluded(
    pending: &Pending<'_>,
    person: &PersonId,
    team: Option<&TeamId>,
) -> Result<(), Refusal> {
    let terms = pending.terms;
    if *person == terms.requester {
        return Err(Refusal::IsRequester);
    }
    if *person == terms.owner || terms.backup_owner.as_ref() == Some(person) {
        return Err(Refusal::IsOwner);
    }
    let joined = |j: &Joiner| j.person == *person || team == Some(&j.team);
    if team == Some(&terms.beneficiary_team) || pending.joiners.iter().any(joined) {
        return Err(Refusal::IsBeneficiary);
    }
    Ok(())
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
    excluded(pending, &who.person, who.team.as_ref())?;
    let own = |r: &&Role| r.role == emergency.authority && r.on_behalf_of.is_none();
    let role = who.roles.iter().find(own).ok_or(Refusal::NotAsked)?;
    if let Some(authority) = pending.rules.authority.get(&role.role) {
        within(authority, pending)?;
    }
    let authority = pending.rules.authority.get(&role.role);
    let options = Options {
        grants: true,
        max_duration: authority.and_then(|a| a.max_duration),
        max_amount: authority.and_then(|a| a.max_amount),
        verdicts: vec![Verdict::Approve],
    };
    Ok((role.clone(), options))
}

/// What somebody wants to say.
#[derive(Debug, Clone, PartialEq)]
pub struct Wish {
    /// What.
    pub verdict: Verdict,
    /// Why.
    pub reason: Option<String>,
    /// An earlier end.
    pub ends: Option<DateTime<Utc>>,
    /// What must hold besides.
    pub conditions: Vec<Condition>,
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
    if !options.verdicts.contains(&wish.verdict) {
        return Err(Refusal::NotOffered);
    }
    let reason = wish.reason.filter(|r| !r.trim().is_empty());
    if wish.verdict != Verdict::Approve && reason.is_none() {
        return Err(Refusal::NoReason);
    }
    let step = pending.open().ok_or(Refusal::NotPending)?;
    if wish.verdict == Verdict::Approve {
        bounded(pending, &options, wish.ends, now)?;
    } else if !wish.conditions.is_empty() {
        return Err(Refusal::OnlyWithApproval);
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
        conditions: wish.conditions,
        terms: wish.terms,
        package: wish.package,
        at: now,
    };
    Ok((decision, consequence))
}
