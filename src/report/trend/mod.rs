//! The trend report for policy leads: where exceptions repeat, what they have in common, what a changed policy would
//! have done, and whether earlier changes worked. Pure: from a [`model::Trend`] to a page, Markdown, columns, JSON and
//! the parts of a mail, to the same bytes every time. It works out no statistics; it says what it is given, and what is
//! missing it says is missing.

pub mod columns;
pub mod gather;
pub mod html;
pub mod json;
pub mod mail;
pub mod markdown;
pub mod model;
mod model_policy;
mod model_signal;
mod outline;
mod section;
pub mod send;
mod sentences;
pub mod value;

pub use sentences::sentences;

use model::Trend;
use outline::Section;

/// Why a report cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A template.
    #[error("the page of the trend report cannot be written")]
    Page(#[from] minijinja::Error),
    /// JSON.
    #[error("the trend report cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    /// Columns.
    #[error("a figure of the trend report cannot be written as columns")]
    Columns(#[from] csv::Error),
}

/// The report in its parts, in the order in which it is read.
fn outline(trend: &Trend) -> Vec<Section> {
    let mut all = vec![section::front::signals(trend)];
    all.extend(section::signal::all(trend));
    all.extend(section::policy::all(trend));
    all.extend(section::whole::all(trend));
    all
}

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;
