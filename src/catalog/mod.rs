//! From files to a catalog. Nothing here reads the network, the database or the clock; a mistake in
//! a file is a diagnostic with its place, and all mistakes of a load come together.

pub mod connector;
pub mod control;
pub mod cron;
pub mod frameworks;
pub mod name;
pub mod policy;
pub mod secret;
pub mod source;
pub mod template;
