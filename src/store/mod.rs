//! Our database. Never decides.
