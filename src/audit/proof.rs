//! One leaf with its proof in one text file that needs nobody's server: `c2sp.org/tlog-proof@v1`.
//!
//! The leaf itself travels as the `extra` line. The format does not authenticate that line, and does not
//! need to: the leaf's hash is computed from it, and the proof holds for that hash or it does not.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    checkpoint::{self, Checkpoint, PublicKey},
    log,
};
use crate::model::id::Sha;

const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// Why a proof does not prove what it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is not written as a proof is.
    #[error("this is no `c2sp.org/tlog-proof@v1`")]
    Malformed,
    /// The leaf is neither given nor in the file.
    #[error("the leaf is not in the file and was not given")]
    NoLeaf,
    /// The head that it ends in.
    #[error("the checkpoint in it: {0}")]
    Checkpoint(#[from] checkpoint::Error),
    /// The leaf is not in the tree at that place.
    #[error("the leaf is not in the log: {0}")]
    Inclusion(#[from] log::Error),
}

/// A leaf's number, the way from it to the root, and the signed root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The leaf, byte for byte.
    pub leaf: Option<Vec<u8>>,
    /// Its number in the log, from 0.
    pub seq: u64,
    /// The hashes from its sibling up.
    pub hashes: Vec<Sha>,
    /// The signed head of the tree that contains it.
    pub note: String,
}

impl Proof {
    /// Checks that the leaf is in a log whose head one of the keys signed. `leaf` overrides the one in the file.
    ///
    /// # Errors
    /// When anything of it does not hold.
    pub fn verify(&self, leaf: Option<&[u8]>, keys: &[PublicKey]) -> Result<Checkpoint, Error> {
        let leaf = leaf.or(self.leaf.as_deref()).ok_or(Error::NoLeaf)?;
        let head = Checkpoint::verify(&self.note, keys)?;
        let tree = (head.size, head.root);
        log::check_inclusion(&self.hashes, tree, self.seq, log::leaf_hash(leaf))?;
        Ok(head)
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(leaf) = &self.leaf {
            writeln!(f, "extra {}", STANDARD.encode(leaf))?;
        }
        writeln!(f, "index {}", self.seq)?;
        for hash in &self.hashes {
            writeln!(f, "{}", STANDARD.encode(hash.0))?;
        }
        write!(f, "\n{}", self.note)
    }
}

impl FromStr for Proof {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (head, note) = text.split_once("\n\n").ok_or(Error::Malformed)?;
        let mut lines = head.lines().peekable();
        if lines.next() != Some(HEADER) {
            return Err(Error::Malformed);
        }
        let extra = lines.next_if(|line| line.starts_with("extra "));
        let leaf = extra
            .map(|line| decode(line.trim_start_matches("extra ")))
            .transpose()?;
        let index = lines
            .next()
            .and_then(|line| line.strip_prefix("index "))
            .ok_or(Error::Malformed)?;
        let seq: u64 = index.parse().map_err(|_| Error::Malformed)?;
        let hash = |line: &str| {
            let bytes = decode(line)?.try_into().map_err(|_| Error::Malformed)?;
            Ok(Sha(bytes))
        };
        let hashes = lines.map(hash).collect::<Result<_, Error>>()?;
        let proof = Self {
            leaf,
            seq,
            hashes,
            note: note.to_owned(),
        };
        // Written back and compared: there is one text for one proof.
        if proof.to_string() == text {
            Ok(proof)
        } else {
            Err(Error::Malformed)
        }
    }
}

fn decode(text: &str) -> Result<Vec<u8>, Error> {
    STANDARD.decode(text).map_err(|_| Error::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{
        key::Key,
        log::{Edge, Hashes},
    };

    const ORIGIN: &str = "example.test/tripline";

    fn proofs(count: u64) -> (Key, Vec<Proof>) {
        let key = Key::generate(ORIGIN).unwrap();
        let mut stored = Hashes::new();
        let mut edge = Edge::new(0, &stored).unwrap();
        let leaf = |seq: u64| format!("{{\"leaf\":{seq}}}").into_bytes();
        for seq in 0..count {
            stored.extend(edge.append(&leaf(seq)).unwrap().stored);
        }
        let head = Checkpoint {
            origin: ORIGIN.to_owned(),
            size: count,
            root: edge.root().unwrap(),
        };
        let note = head.sign(&key).unwrap();
        let proof = |seq| Proof {
            leaf: Some(leaf(seq)),
            seq,
            hashes: log::inclusion(count, seq, &stored).unwrap(),
            note: note.clone(),
        };
        (key, (0..count).map(proof).collect())
    }

    #[test]
    fn a_proof_is_one_text_that_verifies_without_us() {
        let (key, proofs) = proofs(11);
        let keys = [key.public().clone()];
        for proof in proofs {
            let text = proof.to_string();
            let read: Proof = text.parse().unwrap();
            assert_eq!(read, proof);
            assert_eq!(read.verify(None, &keys).unwrap().size, 11);
            let bare = Proof { leaf: None, ..read };
            assert_eq!(bare.to_string().parse::<Proof>().unwrap(), bare);
            assert_eq!(bare.verify(None, &keys), Err(Error::NoLeaf));
            assert!(bare.verify(proof.leaf.as_deref(), &keys).is_ok());
            assert!(matches!(
                bare.verify(Some(b"another"), &keys),
                Err(Error::Inclusion(_))
            ));
        }
    }

    #[test]
    fn a_proof_has_the_lines_of_the_format() {
        let (_, proofs) = proofs(3);
        let text = Proof {
            leaf: None,
            ..proofs[2].clone()
        }
        .to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[..2], ["c2sp.org/tlog-proof@v1", "index 2"]);
        assert_eq!((lines[2].len(), lines[3]), (44, ""));
        assert_eq!(lines[4..6], [ORIGIN, "3"]);
    }

    #[test]
    fn no_byte_of_a_proof_can_be_changed() {
        let (key, proofs) = proofs(5);
        let keys = [key.public().clone()];
        let text = proofs[3].to_string();
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut bytes = text.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                let Ok(changed) = String::from_utf8(bytes) else {
                    continue;
                };
                let verdict = changed.parse::<Proof>().and_then(|p| p.verify(None, &keys));
                assert!(verdict.is_err(), "byte {at}, bit {bit}");
            }
        }
        for cut in (0..text.len()).filter(|cut| text.is_char_boundary(*cut)) {
            let verdict = text[..cut]
                .parse::<Proof>()
                .and_then(|p| p.verify(None, &keys));
            assert!(verdict.is_err(), "cut after {cut} bytes");
        }
    }
}
