//! Wiring, reload, shutdown.
