//! Exceptions: what a request must say, how risky it is, who decides, what an approval covers and until when.
//! Pure: no store, no clock, no files; rows and instants come in, named reasons come out.

mod authority;
pub mod compensation;
pub mod complete;
pub mod coverage;
pub mod decide;
pub mod facet;
pub mod package;
pub mod reach;
pub mod record;
mod route;
mod rulebook;
pub mod state;
mod typed;
mod wording;

#[cfg(test)]
mod tests;

pub use route::{Routed, Triage, TriagedBy};
pub use rulebook::{Rulebook, When};
pub use typed::misfits;
