//! What is owed to whom, in what words, over which channel.

pub mod alert;
pub mod alertmanager;
pub mod bundle;
pub mod channel;
pub mod digest;
mod duties;
pub mod email;
pub mod error;
pub mod facts;
pub mod group;
mod http;
pub mod net;
pub mod options;
pub mod pagerduty;
pub mod period;
pub mod plan;
mod reach;
pub mod retry;
pub mod route;
pub mod signature;
pub mod slack;
pub mod templates;
pub mod text;
pub mod webhook;

#[cfg(test)]
mod tests;
