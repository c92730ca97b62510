//! A sample of exceptions that anybody can draw again: ordered by SHA-256 over a seed and the id, so that whoever names
//! the seed beforehand cannot choose what is drawn. Each is looked at for what an auditor looks for.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::{
    exception::record::Record,
    model::{
        id::{ExceptionId, Sha},
        rules::Ask,
    },
    store::{self, Tx, exceptions},
};

/// Which are drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draw {
    /// Named before anybody looks.
    pub seed: String,
    /// How many.
    pub count: usize,
    /// That came into force from this instant on.
    pub from: Option<DateTime<Utc>>,
    /// That came into force before this instant.
    pub to: Option<DateTime<Utc>>,
}

/// One that was drawn, with what is there and what is not.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each answers a question of its own"
)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Drawn {
    /// The exception.
    pub exception: ExceptionId,
    /// In a few words.
    pub title: String,
    /// Everybody signed who had to, on the same terms, and none of them asked for it.
    pub approval: bool,
    /// It says why.
    pub justification: bool,
    /// It ended on its day or still has one.
    pub expiration: bool,
    /// Somebody answers for it.
    pub owner: bool,
    /// What is not as it should be, in sentences.
    pub objections: Vec<String>,
}

/// Draws a sample.
///
/// # Errors
/// When the store cannot be read.
pub async fn draw(
    tx: &mut Tx,
    draw: &Draw,
    now: DateTime<Utc>,
) -> Result<Vec<Drawn>, store::Error> {
    let all = exceptions::list(tx, &exceptions::Filter::default()).await?;
    let mut within: Vec<&Record> = all
        .iter()
        .filter(|r| {
            r.times.activated_at.is_some_and(|at| {
                draw.from.is_none_or(|from| at >= from) && draw.to.is_none_or(|to| at < to)
            })
        })
        .collect();
    within.sort_by_key(|r| Sha::of(format!("{}\n{}", draw.seed, r.id)).to_string());
    Ok(within
        .into_iter()
        .take(draw.count)
        .map(|r| looked_at(r, now))
        .collect())
}

fn looked_at(record: &Record, now: DateTime<Utc>) -> Drawn {
    let mut objections = Vec::new();
    let frozen = record.frozen.as_ref();
    let terms = frozen.map(|f| &f.terms);
    let approval = frozen.is_some_and(|f| {
        let by_machine = f.routed.auto && f.steps.is_empty();
        let mut all = f.steps.iter().filter(|s| matches!(s.ask, Ask::Approve(_)));
        let last = all.next_back();
        let signed = record
            .decisions
            .iter()
            .filter(|d| d.terms == f.digest && last.is_some_and(|s| s.id == d.step));
        let own = record
            .decisions
            .iter()
            .any(|d| d.approver == f.terms.requester || d.approver == f.terms.owner);
        if own {
            objections.push("who asked or answers for it is among those who signed".to_owned());
        }
        let enough = by_machine || signed.count() > 0;
        if !enough {
            objections.push("nobody signed the last step on these terms".to_owned());
        }
        enough && !own
    });
    let justification = terms.is_some_and(|t| !t.business_purpose.trim().is_empty());
    let expiration = record.state_at(now).is_over() || record.times.expires_at > now;
    let owner = terms.is_some_and(|t| !t.owner.as_str().is_empty());
    Drawn {
        exception: record.id.clone(),
        title: record.request.title.clone().unwrap_or_default(),
        approval,
        justification,
        expiration,
        owner,
        objections,
    }
}
