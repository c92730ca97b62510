//! Signals: repeated asks for exceptions that mean the policy itself is wrong, and which change of a limit would help.
//! Pure: no store, no clock, no files; a history and a day come in, patterns and named reasons come out.

mod account;
pub mod ask;
mod budget;
pub mod calibrate;
mod cells;
pub mod detect;
mod emergence;
mod findings;
pub mod gate;
mod index;
mod learned;
pub mod lifecycle;
mod look_alike;
pub mod options;
pub mod pattern;
pub mod record;
mod rules;
mod standing;
pub mod stats;
pub mod suggest;
mod text;
pub mod weekly;
mod wording;

pub use ask::{Aliases, Ask, Decided, History, Seen, Temporary, Watched};
pub use calibrate::{Calibration, calibrate};
pub use detect::{detect, run};
pub use index::Index;
pub use options::Options;
pub use pattern::{Detected, Kind, LookAlike, Pattern, Tier};
pub use standing::{Spending, Standing, Unjudged, standings};
pub use weekly::{Brief, backtest};

#[cfg(test)]
mod tests;
