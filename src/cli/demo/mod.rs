//! The demo's systems: a small company that does not exist, and what its model registry, secret store
//! and vendor registry answer on each day of its past.

pub mod answers;
pub mod company;
