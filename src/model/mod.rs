//! The nouns of Tripline and the states they move through. No I/O, no clock, no randomness.

pub mod control;
pub mod definition;
pub mod exception;
pub mod finding;
pub mod id;
pub mod notice;
pub mod outcome;
pub mod people;
pub mod plain;
pub mod policy;
pub mod remark;
pub mod request;
pub mod rules;
pub mod run;
pub mod share;
pub mod size;
pub mod snapshot;
pub mod span;
pub mod table;
