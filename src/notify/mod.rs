//! What is owed to whom.
