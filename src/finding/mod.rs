//! The state machine of a finding: what one run does to what is known.
//!
//! Pure: the same inputs give the same bytes. Nothing here reads a clock, a file or a database, and
//! nothing but [`step()`] writes a [`State`](crate::model::finding::State). A result that is not known
//! never changes where a finding stands: missing evidence passes nothing and resolves nothing.

mod due;
mod gap;
mod reconcile;
mod step;

pub use due::{Due, due};
pub use gap::{Look, Stopped, gap, gap_control, gap_subject, gap_without};
pub use reconcile::{Input, recheck, reconcile, removed};
pub use step::{Moment, Step, step};

#[cfg(test)]
mod tests;
