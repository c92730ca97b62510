//! The command line.

pub mod diagnostics;
pub mod out;
