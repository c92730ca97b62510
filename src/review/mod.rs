//! The review line: what repeats in the register becomes a signal that somebody answers for; a changed control is tried on
//! the past before anybody adopts it. What decides is pure and stands in `signal`; here it meets the store and evidence.

mod admitted;
mod adopt;
mod again;
pub mod change;
mod conclude;
mod draft;
mod history;
mod look;
mod suggest;
mod what_if;

pub use adopt::adopt;
pub use conclude::{Doing, conclude};
pub use draft::{Draft, draft};
pub use history::{beginning, history, history_at};
pub use look::{Looked, calibration, judged, keep_calibration, look, options, weekly};
pub use suggest::{Suggestions, Untried, scope, suggest, suggest_by};
pub use what_if::{Latest, Moved, Week, WhatIf, monday, what_if};

use crate::{
    run::{self, Context, Set},
    store,
};

/// Why a review could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Our database.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Evidence could not be looked at.
    #[error(transparent)]
    Run(#[from] run::Error),
    /// It cannot be done, and why.
    #[error("{0}")]
    Refused(String),
    /// No value of a parameter could be tried, and why.
    #[error(transparent)]
    Untried(#[from] Untried),
}

/// What is due: once a week the register is looked at, and exceptions that an adopted change made needless end.
///
/// # Errors
/// When the store or the evidence cannot be read or written; what was not done is done at the next turn.
pub async fn turn(cx: &Context, set: &Set) -> Result<Turned, Error> {
    let ended = adopt(cx, set).await?;
    let looked = weekly(cx, set).await?;
    Ok(Turned {
        ended,
        owed: looked.map_or(0, |l| l.owed),
    })
}

/// What a turn did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Turned {
    /// Exceptions that ended.
    pub ended: u64,
    /// Words that are owed.
    pub owed: u64,
}
