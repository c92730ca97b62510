//! The heartbeat and the tick ledger. Every due time of every control becomes one row that ends as
//! ran, skipped, missed or failed, with the reason: across restarts, clock jumps and changes of
//! daylight saving. Due times are computed here, from the last one in the ledger, never from now.

pub mod due;
pub mod heart;
pub mod plan;
