//! The heartbeat and the tick ledger.
