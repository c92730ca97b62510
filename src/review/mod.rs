//! The review line: what repeats in the register becomes a signal that somebody answers for; a changed control is tried on
//! the past before anybody adopts it. What decides is pure and stands in `signal`; here it meets the store and evidence.

pub mod change;
mod suggest;
mod what_if;

pub use suggest::{Suggestions, scope, suggest};
pub use what_if::{Latest, Moved, Week, WhatIf, monday, what_if};

use crate::{run, store};

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
}
