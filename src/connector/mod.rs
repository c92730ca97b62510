//! Reads other people's systems. Never writes to them, never reads a secret's value.
