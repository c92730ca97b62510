//! Changes against exceptions: each deviation that began in a period, with the exception that permitted it then, or
//! without one. What was authorised for a subject at a moment is the same question for one instant.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::{
    model::{
        finding::{Finding, Status},
        id::{ControlId, SubjectId},
    },
    store::{self, Tx, coverage, findings, transitions},
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
        let began = one.after == Status::Open && one.before != Some(Status::Clearing);
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
    /// Until when.
    pub until: Option<DateTime<Utc>>,
    /// Why it ended.
    pub because: Option<String>,
}

/// Which exceptions covered a subject at an instant, finding by finding.
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
        let Finding { key, control, .. } = finding;
        let covers = coverage::covering(tx, &[key], at).await?;
        if covers.is_empty() {
            all.push(Authorised {
                control: control.clone(),
                finding: key.short(),
                exception: None,
                from: None,
                until: None,
                because: None,
            });
        }
        for one in covers {
            all.push(Authorised {
                control: control.clone(),
                finding: key.short(),
                exception: Some(one.exception),
                from: Some(one.opened_at),
                until: one.closed_at,
                because: one.closed_because,
            });
        }
    }
    Ok(all)
}
