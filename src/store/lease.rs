//! Leases: who works on a tick or a batch, and until when. A lease is counted on the database's clock,
//! which all replicas share. Each claim raises the fence, and every later write names the fence it works
//! under, so a worker that slept past its lease finds that it can change nothing any more.

use chrono::{DateTime, Utc};

use super::{
    backend::{Tx, now},
    error::{Error, Result},
};
use crate::model::span::Span;

/// A wish for work.
#[derive(Debug, Clone)]
pub struct Claim<'a> {
    /// What time it is for the work: what is due by then is taken. A replayed clock may be far from the
    /// database's, which alone decides whether a lease has run out.
    pub now: DateTime<Utc>,
    /// At most so many.
    pub limit: u32,
    /// For how long; renew it at a third.
    pub lease: Span,
    /// Who works, for people who look.
    pub holder: &'a str,
}

/// The database's time and the end of a lease that begins now.
pub(super) struct Term {
    pub(super) now: DateTime<Utc>,
    pub(super) until: DateTime<Utc>,
}

pub(super) async fn term(tx: &mut Tx, lease: Span) -> Result<Term> {
    let now = now(tx).await?;
    let until = now
        .checked_add_signed(lease.to_delta())
        .unwrap_or(DateTime::<Utc>::MAX_UTC);
    Ok(Term { now, until })
}

/// Turns the outcome of a write under a fence into a lost lease when nothing was there to change.
pub(super) fn held(changed: u64, what: &'static str, id: impl FnOnce() -> String) -> Result<()> {
    match changed {
        1 => Ok(()),
        0 => Err(Error::LeaseLost { what, id: id() }),
        actual => Err(Error::RowsAffected {
            what,
            expected: 1,
            actual,
        }),
    }
}
