//! A catalog against itself.
