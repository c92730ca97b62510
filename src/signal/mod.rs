//! Repeated exceptions that question the policy itself: what repeats, what it has in common, and which change would help.
//! Pure: the same requests give the same bytes.

pub mod suggest;
