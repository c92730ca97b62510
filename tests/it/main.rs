//! The one integration binary. Each file is a room of the house seen from outside, or a promise.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and reads the environment of its own run"
)]

mod architecture;
mod audit;
mod catalog;
mod cli;
mod evaluate;
mod library;
mod lifecycle;
mod requirements;
mod schemas;
mod sources;
mod store;
mod story;
mod systems;
