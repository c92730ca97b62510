//! What Tripline keeps, in SQLite or in PostgreSQL, through one SQL text.
//!
//! Every table is a module of free functions over [`Tx`]; what belongs together is written in one
//! transaction or not at all. The rules that keep one text true on both engines: texts sort by their
//! bytes, instants are UTC with microseconds, JSON columns hold objects or arrays and are never asked
//! inside SQL, sums are cast to `bigint`, every list has an order with a unique tail, and a row that
//! cannot be read back is an error that names table, column and id.
//!
//! The store keeps and finds; it never decides. Only `backend.rs` knows which engine runs, and only
//! this module names the driver.

#[macro_use]
mod backend;
mod backup;
mod error;
mod migrate;
mod options;
mod row;

pub mod audit;
pub mod coverage;
pub mod definitions;
pub mod delegations;
pub mod digests;
pub mod exceptions;
pub mod findings;
pub mod lease;
pub mod meta;
pub mod mutes;
pub mod outbox;
pub mod packages;
pub mod reports;
pub mod retention;
pub mod runs;
pub mod salts;
pub mod signals;
pub mod snapshots;
pub mod ticks;
pub mod tokens;
pub mod transitions;
pub mod wrong_results;

pub use backend::{Engine, Store, Tx, now};
pub use error::{Constraint, Error, Result};
pub use migrate::{Migrated, Schema};
pub use options::Options;
pub use row::{Found, Page};
