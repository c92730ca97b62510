//! The state machine of a finding. Pure: no I/O, no clock, no randomness.
