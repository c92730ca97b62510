//! What auditors and policy leads ask for: where exceptions repeat and what they have in common; the process as it is configured, a sample that can be drawn again, what was permitted at a
//! moment, changes against exceptions, and all of it in one signed folder.

pub mod changes;
pub mod pack;
pub mod process;
pub mod sample;
pub mod trend;

use crate::{run, store};

/// Why a report cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Our database.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The evidence.
    #[error(transparent)]
    Run(#[from] run::Error),
    /// A review.
    #[error(transparent)]
    Review(#[from] crate::review::Error),
    /// A trend report cannot be written.
    #[error(transparent)]
    Trend(#[from] trend::Error),
    /// Work beside everything else came to no end.
    #[error("the report came to no end: {0}")]
    Ended(String),
    /// A file cannot be written.
    #[error("{}: {source}", .path.display())]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The folder holds something already.
    #[error("{} holds something already; name a folder that is empty or not there yet", .0.display())]
    NotEmpty(std::path::PathBuf),
    /// The manifest cannot be signed.
    #[error("the manifest cannot be signed: {0}")]
    Sign(String),
}
