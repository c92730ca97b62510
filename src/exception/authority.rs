//! What a role may grant: in which tier, how much, for how long. Authority is data, and binds the last signature.

use chrono::{DateTime, Utc};

use super::decide::{Options, Pending, Refusal, Verdict};
use crate::model::{
    rules::{Ask, Authority, Step},
    span::Span,
};

/// What a role may grant in a step. Earlier steps are sign-offs, which can stop a request and never grant it.
pub(super) fn options(pending: &Pending<'_>, step: &Step, role: &str) -> Result<Options, Refusal> {
    let verdicts = match step.ask {
        Ask::Approve(_) => vec![Verdict::Approve, Verdict::Deny, Verdict::Ask],
        Ask::Assess(_) | Ask::Facts => vec![Verdict::Approve, Verdict::Ask],
    };
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
    if authority.emergency_only {
        return Err(Refusal::BeyondTier);
    }
    within(authority, pending)?;
    Ok(Options {
        grants,
        max_duration: authority.max_duration,
        max_amount: authority.max_amount,
        verdicts,
    })
}

/// Whether what is asked for is within what a role may sign, but for the time.
pub(super) fn within(authority: &Authority, pending: &Pending<'_>) -> Result<(), Refusal> {
    let of_tier = authority.tiers.is_empty() || authority.tiers.iter().any(|t| t == pending.tier);
    if !of_tier {
        return Err(Refusal::BeyondTier);
    }
    let amount = pending.terms.facets.get("amount");
    let amount = amount.and_then(serde_json::Value::as_f64);
    if let Some(most) = authority.max_amount
        && amount.is_none_or(|amount| amount > most)
    {
        return Err(Refusal::BeyondAmount);
    }
    Ok(())
}

/// Whether a signature may stand for the time that it would hold, with the ends that others named.
pub(super) fn bounded(
    pending: &Pending<'_>,
    options: &Options,
    ends: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<(), Refusal> {
    let terms = pending.terms;
    if ends.is_some_and(|end| end > terms.expires_at) {
        return Err(Refusal::LaterEnd);
    }
    let until = ends.map_or(pending.until(), |end| end.min(pending.until()));
    if until <= now || until <= terms.not_before {
        return Err(Refusal::EndPassed);
    }
    let longest = options.max_duration.map(Span::to_delta);
    if longest.is_some_and(|longest| until - terms.not_before > longest) {
        return Err(Refusal::BeyondDuration);
    }
    Ok(())
}
