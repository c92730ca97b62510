//! The straight line.
