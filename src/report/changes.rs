//! Changes against exceptions: each deviation that began in a period, with the exception that permitted it then, or
//! without one. What was authorised for a subject at a moment is the same question for one instant.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::{
    exception::decide::Verdict,
    model::{
        finding::{Finding, Status},
        id::{ControlId, ExceptionId, SubjectId},
    },
    store::{self, Tx, coverage, exceptions, findings, transitions},
};

/// A deviation of a period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Deviated {
    /// When it was confirmed.
    pub at: DateTime<Utc>,
    /// The control.
    pub control: ControlId,
    /// The subject.
    pub subject: SubjectId,
    /// The finding.
    pub finding: String,
    /// The exception that permitted it then.
    pub exception: Option<String>,
    /// In a word: `covered`, `covered_later` or `not_authorised`.
    pub verdict: &'static str,
}

/// Each deviation that was confirmed in a period, against the register.
///
/// # Errors
/// When the store cannot be read.
pub async fn of_period(
    tx: &mut Tx,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
) -> Result<Vec<Deviated>, store::Error> {
    let opened = transitions::between(tx, from, to).await?;
    let mut all = Vec::new();
    for one in opened {
        // What was open and lost its cover, or passed for a moment, did not begin.
        let was_open = matches!(one.before, Some(Status::Open | Status::Clearing));
        let began = one.after == Status::Open && !was_open;
        if !began {
            continue;
        }
        let Some(finding) = findings::get(tx, one.finding).await? else {
            continue;
        };
        let then = coverage::covering(tx, &[one.finding], one.at).await?;
        let ever = coverage::ever_covering(tx, one.finding, one.at).await?;
        let (exception, verdict) = match (then.first(), ever.first()) {
            (Some(c), _) => (Some(c.exception.clone()), "covered"),
            (None, Some(c)) => (Some(c.exception.clone()), "covered_later"),
            (None, None) => (None, "not_authorised"),
        };
        all.push(Deviated {
            at: one.at,
            control: finding.control,
            subject: finding.subject,
            finding: one.finding.short(),
            exception,
            verdict,
        });
    }
    Ok(all)
}

/// What was authorised for a subject at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Authorised {
    /// The control that it deviated from.
    pub control: ControlId,
    /// The finding.
    pub finding: String,
    /// The exception that made it silent, if one did.
    pub exception: Option<String>,
    /// From when on.
    pub from: Option<DateTime<Utc>>,
    /// Until when: when it ended, or is to end.
    pub until: Option<DateTime<Utc>>,
    /// Why it ended, if it did.
    pub because: Option<String>,
    /// The clause, and the version of its policy that it was approved under.
    pub policy: Option<String>,
    /// Who had approved it by then, and in which role; nobody when the policy itself did.
    pub approved_by: Vec<String>,
}

/// Which exceptions covered a subject at an instant, finding by finding. What nobody had found by then is left out.
///
/// # Errors
/// When the store cannot be read.
pub async fn at(
    tx: &mut Tx,
    subject: &SubjectId,
    at: DateTime<Utc>,
) -> Result<Vec<Authorised>, store::Error> {
    let mut all = Vec::new();
    for finding in findings::of_subject(tx, subject).await? {
        let Finding {
            key,
            control,
            first_seen,
            ..
        } = finding;
        if first_seen > at {
            continue;
        }
        let covers = coverage::covering(tx, &[key], at).await?;
        if covers.is_empty() {
            all.push(Authorised {
                control: control.clone(),
                finding: key.short(),
                exception: None,
                from: None,
                until: None,
                because: None,
                policy: None,
                approved_by: Vec::new(),
            });
        }
        for one in covers {
            let id = ExceptionId::from(one.exception.as_str());
            let (ends, policy, approved_by) = approved(tx, &id, at).await?;
            all.push(Authorised {
                control: control.clone(),
                finding: key.short(),
                exception: Some(one.exception),
                from: Some(one.opened_at),
                until: one.closed_at.or(ends),
                because: one.closed_because,
                policy,
                approved_by,
            });
        }
    }
    Ok(all)
}

/// When an exception ends, under which clause and version it was approved, and by whom until an instant.
async fn approved(
    tx: &mut Tx,
    id: &ExceptionId,
    at: DateTime<Utc>,
) -> Result<(Option<DateTime<Utc>>, Option<String>, Vec<String>), store::Error> {
    let revisions = exceptions::revisions(tx, id).await?;
    // Under the terms that were in force then: a later revision has others.
    let then = revisions
        .iter()
        .rfind(|r| {
            r.reviewed_at
                .or(r.times.submitted_at)
                .is_none_or(|t| t <= at)
        })
        .or(revisions.first());
    let Some((record, frozen)) = then.and_then(|r| Some((r, r.frozen.as_ref()?))) else {
        return Ok((None, None, Vec::new()));
    };
    let terms = &frozen.terms;
    let signed = record
        .decisions
        .iter()
        .filter(|d| d.verdict == Verdict::Approve && d.terms == frozen.digest && d.at <= at);
    Ok((
        Some(record.times.expires_at),
        Some(format!(
            "{} (version {})",
            terms.provision, terms.policy.version
        )),
        signed
            .map(|d| format!("{} as {}", d.name, d.role.role))
            .collect(),
    ))
}
