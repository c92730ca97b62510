//! What a verification found: a verdict, how far it reaches, and each thing that is wrong with its place.
//!
//! Both verifiers, this one and the one in Python, use these words and numbers.

use serde::Serialize;

use crate::{choice, model::id::Sha};

choice! {
    /// What is wrong.
    pub enum Fault {
        /// A line or a file is not written as it should be; at the line.
        Malformed = "malformed",
        /// A key in an export is none, or not of this log; at its number in the list.
        Key = "key",
        /// A head is no checkpoint; at its number in the list.
        Checkpoint = "checkpoint",
        /// No key that is trusted signed the head, or not this text; at the head's size.
        Signature = "signature",
        /// The head of another log; at its size.
        Origin = "origin",
        /// The heads do not grow; at the size of the one that is out of order.
        Order = "order",
        /// Two signed heads of one size differ: the log was shown in two ways; at their size.
        Fork = "fork",
        /// A leaf is missing, doubled or out of order; at the number that was expected.
        Gap = "gap",
        /// A leaf's bytes do not have the hash that is recorded; at the leaf.
        LeafHash = "leaf_hash",
        /// What stands beside a leaf is not what the leaf says; at the leaf.
        Label = "label",
        /// A hash inside the tree is not that of the leaves below it; at its index.
        StoredHash = "stored_hash",
        /// There are more or fewer leaves than the log says; at the number found.
        Head = "head",
        /// The leaves are not those that were signed; at the size of the first head that does not fit.
        Root = "root",
        /// A head was signed that is longer than the log: its end was cut off; at the head's size.
        Rollback = "rollback",
        /// A row of the register is not what its leaf says; at the leaf.
        Register = "register",
        /// A head is not the continuation of the one before, or it is not shown to be; at the later head's size.
        Consistency = "consistency",
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What.
    pub fault: Fault,
    /// Where; each [`Fault`] says what the number means.
    pub at: u64,
    /// In a sentence.
    pub what: String,
}

choice! {
    /// What a verification comes to.
    pub enum Verdict {
        /// Everything up to the last signed head is what was signed.
        Intact = "intact",
        /// It is not.
        Broken = "broken",
        /// Nothing contradicts, and something that was to be shown could not be.
        Unproven = "unproven",
    }
}

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What it comes to.
    pub verdict: Verdict,
    /// The first leaf that was looked at.
    pub first: u64,
    /// The number of leaves up to the last one.
    pub size: u64,
    /// The root of all of them.
    pub root: Option<Sha>,
    /// Up to where a signed head holds; what comes after can still be rewritten.
    pub signed: u64,
    /// Heads whose signature holds, anchors included.
    pub checkpoints: u64,
    /// Anchors that lie outside of what was looked at.
    pub unchecked: u64,
    /// Whether the keys were brought by whoever asks, and not by what is verified.
    pub keys_given: bool,
    /// The SHA-256 of each key.
    pub fingerprints: Vec<Sha>,
    /// What is wrong; at most a thousand of them.
    pub problems: Vec<Problem>,
}

impl Report {
    /// The exit code of a command: 0 intact, 1 broken, 3 unproven.
    pub const fn exit_code(&self) -> u8 {
        match self.verdict {
            Verdict::Intact => 0,
            Verdict::Broken => 1,
            Verdict::Unproven => 3,
        }
    }
}
