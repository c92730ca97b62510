//! Tripline watches AI controls: it pulls governed metadata, checks it against controls written
//! as code, tells each owner about real deviations only, and can prove every verdict.
//!
//! Table of contents. Modules are listed in dependency order: each may use only those above it.
//! `tests/it/architecture.rs` holds us to that.

/// Places where a test may kill the process.
pub mod crash;

/// What time it is. Nothing else reads the wall clock.
pub mod clock;

/// YAML with places, strict records, diagnostics.
pub mod yaml;

/// The nouns and the states they move through.
pub mod model;

/// Files become a parsed catalog; every mistake becomes a diagnostic.
pub mod catalog;

/// Reads other people's systems: rows, and whether they are all there.
pub mod connector;

/// Snapshots: Parquet on an object store, named by their content.
pub mod evidence;

/// SQL over evidence: outcomes, replay, queries, expressions over one row.
pub mod evaluate;

/// The state machine of a finding; pure.
pub mod finding;

/// What an exception is, who decides it and what it covers; pure.
pub mod exception;

/// When it is the policy that is wrong: repeated exceptions, what they share, which change would help; pure.
pub mod signal;

/// The Merkle log: leaves, checkpoints, proofs, verification.
pub mod audit;

/// One SQL text for SQLite and PostgreSQL.
pub mod store;

/// One act on an exception, written down.
pub mod act;

/// What is owed to whom, in what words, over which channel.
pub mod notify;

/// Drawings as SVG that can be read without seeing them.
pub mod chart;

/// A catalog against itself: SQL against datasets, routes against people, examples.
pub mod validate;

/// From a source to a snapshot: freshness, single flight, completeness against the last one.
pub mod collect;

/// The straight line: one control, once.
pub mod run;

/// The exception line: load, decide, record.
pub mod register;

/// The review line: signals recorded, changes tried on the past, policies put to the question.
pub mod review;

/// What auditors and policy leads ask for.
pub mod report;

/// What people say of findings and collections.
pub mod remark;

/// From the outbox to people.
pub mod deliver;

/// The heartbeat and the tick ledger.
pub mod schedule;

/// Health, readiness, metrics.
pub mod web;

/// `tripline.yaml`, composed of each part's options.
pub mod config;

/// Wiring, reload, shutdown.
pub mod daemon;

/// The command line: one file per command.
pub mod cli;
