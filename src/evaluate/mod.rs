//! SQL over evidence.
