//! The command line.

pub mod db;
pub mod diagnostics;
pub mod explain_code;
pub mod out;
pub mod schema;
