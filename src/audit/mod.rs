//! The tamper-evident log: every decision is a leaf of a Merkle tree (RFC 6962) whose signed heads leave the
//! machine. Whoever holds one of them can tell, without us, whether anything before it was changed.
//!
//! Pure over its inputs: the database keeps leaves and hashes, this module says which, and what they prove.
//! The only files it touches are the key and an export. It never decides what is worth recording.
//!
//! Formats are those of C2SP (checkpoints are signed notes, proofs are `tlog-proof`), so that tools that are
//! not ours can read them; `tools/verify_audit.py` does, and shares no code with this.

pub mod checkpoint;
pub mod export;
mod fact;
pub mod held;
pub mod key;
pub mod leaf;
pub mod log;
pub mod proof;
pub mod report;
pub mod token;
pub mod verify;

use std::path::PathBuf;

use crate::{
    record,
    yaml::{
        decode::{Cx, Located},
        diagnostic::Diagnostic,
        tree::Node,
    },
};

record! {
    /// The audit log: its name and its key.
    pub struct Options {
        /// The name of the log, for example `example.test/tripline`: what its signed heads begin with. It is part
        /// of the key, so a log that is renamed needs a new one.
        origin: Located<String>,
        /// The key that signs the heads of the log; made at the first start, readable by nobody else.
        key: KeyOptions,
    }
    check(check_options)
}

record! {
    /// Where the key is.
    pub struct KeyOptions {
        /// The file, mode 0600.
        file: PathBuf,
    }
}

fn check_options(options: &Options, _: &Node, cx: &mut Cx) {
    if !checkpoint::is_origin(&options.origin) {
        let place = &options.origin.place;
        let what = format!("`{}` cannot name a log", options.origin.value);
        cx.out.push(Diagnostic::error("TL0660", place, what).help(
            "write a host and a path without spaces and `+`, for example `example.test/tripline`",
        ));
    }
}

#[cfg(test)]
mod tests;
