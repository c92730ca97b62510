//! The Merkle tree of RFC 6962 over leaves, kept as hashes that never change once written.
//!
//! Hashes are stored in the order of Crosby and Wallach: each leaf brings its own hash and those of the
//! subtrees that it completes, so appending only appends. Reading is somebody else's: each question comes
//! with the indexes of the hashes that its answer needs.

use std::{cell::RefCell, collections::BTreeMap};

use tlog_tiles::tlog::{self, Hash, HashReader};

use crate::model::id::Sha;

/// No log grows past this; a size beyond it is a mistake or a trick.
const MAX_SIZE: u64 = 1 << 48;

/// Why the tree has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A hash that the answer needs was not given.
    #[error("the stored hash {0} is missing")]
    Missing(u64),
    /// There is no such leaf or no such tree.
    #[error("{asked} is not within a log of {size} leaves")]
    Range {
        /// What was asked for.
        asked: u64,
        /// How many leaves there are.
        size: u64,
    },
    /// The proof proves nothing of the kind.
    #[error("the proof does not hold")]
    Proof,
}

/// Stored hashes by index, as far as somebody fetched them.
pub type Hashes = BTreeMap<u64, Sha>;

/// The hash of a leaf: SHA-256 of a zero byte and the leaf.
pub fn leaf_hash(leaf: &[u8]) -> Sha {
    Sha(tlog::record_hash(leaf).0)
}

/// Where the hash of a leaf is stored.
pub fn leaf_index(seq: u64) -> u64 {
    tlog::stored_hash_index(0, seq.min(MAX_SIZE))
}

/// The leaf whose own hash is stored there; nothing for a hash inside the tree.
pub fn leaf_at(index: u64) -> Option<u64> {
    let (level, seq) = tlog::split_stored_hash_index(index.min(MAX_SIZE));
    (level == 0).then_some(seq)
}

/// How many hashes are stored for so many leaves.
pub fn stored_count(size: u64) -> u64 {
    tlog::stored_hash_count(size.min(MAX_SIZE))
}

/// The right edge of a log: all that is needed to append to it and to name its root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edge {
    size: u64,
    hashes: Hashes,
}

/// What one leaf adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// Its number, from 0.
    pub seq: u64,
    /// Its hash.
    pub leaf_hash: Sha,
    /// The hashes to store, by index: its own and those of the subtrees that it completes.
    pub stored: Vec<(u64, Sha)>,
}

impl Edge {
    /// The indexes of the hashes that the edge of a log of `size` leaves consists of: at most one for each
    /// power of two.
    pub fn indexes(size: u64) -> Vec<u64> {
        tlog::sub_tree_index(0, size.min(MAX_SIZE), Vec::new())
    }

    /// The edge of a log of `size` leaves.
    ///
    /// # Errors
    /// When one of [`Edge::indexes`] is missing, or the size is beyond reason.
    pub fn new(size: u64, hashes: &Hashes) -> Result<Self, Error> {
        within(size, MAX_SIZE)?;
        let kept = Self::indexes(size).into_iter().map(|index| {
            let hash = hashes.get(&index).copied().ok_or(Error::Missing(index))?;
            Ok((index, hash))
        });
        Ok(Self {
            size,
            hashes: kept.collect::<Result<_, Error>>()?,
        })
    }

    /// How many leaves there are.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The hashes of the edge, from left to right.
    pub const fn hashes(&self) -> &Hashes {
        &self.hashes
    }

    /// The root of the tree; of no leaves at all the hash of nothing.
    ///
    /// # Errors
    /// Never for an edge that [`Edge::new`] gave.
    pub fn root(&self) -> Result<Sha, Error> {
        read(&self.hashes, |reader| tlog::tree_hash(self.size, reader)).map(|h| Sha(h.0))
    }

    /// Adds a leaf.
    ///
    /// # Errors
    /// When the log is full.
    pub fn append(&mut self, leaf: &[u8]) -> Result<Appended, Error> {
        self.append_hash(leaf_hash(leaf))
    }

    /// Adds a leaf of which only the hash is known.
    ///
    /// # Errors
    /// When the log is full.
    pub fn append_hash(&mut self, leaf_hash: Sha) -> Result<Appended, Error> {
        let seq = self.size;
        within(seq + 1, MAX_SIZE)?;
        let new = read(&self.hashes, |reader| {
            tlog::stored_hashes_for_record_hash(seq, Hash(leaf_hash.0), reader)
        })?;
        let stored: Vec<(u64, Sha)> = (leaf_index(seq)..)
            .zip(new.into_iter().map(|h| Sha(h.0)))
            .collect();
        self.size += 1;
        self.hashes.extend(stored.iter().copied());
        let edge = Self::indexes(self.size);
        self.hashes.retain(|index, _| edge.contains(index));
        Ok(Appended {
            seq,
            leaf_hash,
            stored,
        })
    }
}

/// The hashes that an inclusion proof needs.
///
/// # Errors
/// When the tree of `size` leaves has no leaf `seq`.
pub fn inclusion_indexes(size: u64, seq: u64) -> Result<Vec<u64>, Error> {
    leaf_within(seq, size)?;
    Ok(wanted(|reader| tlog::prove_record(size, seq, reader)))
}

/// The proof that the tree of `size` leaves contains leaf `seq`: hashes from the leaf's sibling up.
///
/// # Errors
/// When there is no such leaf, or a hash is missing.
pub fn inclusion(size: u64, seq: u64, hashes: &Hashes) -> Result<Vec<Sha>, Error> {
    leaf_within(seq, size)?;
    let proof = read(hashes, |reader| tlog::prove_record(size, seq, reader))?;
    Ok(proof.into_iter().map(|h| Sha(h.0)).collect())
}

/// Checks an inclusion proof against a root.
///
/// # Errors
/// When it does not hold.
pub fn check_inclusion(
    proof: &[Sha],
    (size, root): (u64, Sha),
    seq: u64,
    leaf_hash: Sha,
) -> Result<(), Error> {
    leaf_within(seq, size)?;
    let proof = proof.iter().map(|h| Hash(h.0)).collect();
    tlog::check_record(&proof, size, Hash(root.0), seq, Hash(leaf_hash.0)).map_err(|_| Error::Proof)
}

/// The hashes that a consistency proof needs.
///
/// # Errors
/// When `old` is more than `size`.
pub fn consistency_indexes(size: u64, old: u64) -> Result<Vec<u64>, Error> {
    within(old, size)?;
    if old == 0 {
        return Ok(Vec::new());
    }
    Ok(wanted(|reader| tlog::prove_tree(size, old, reader)))
}

/// The proof that the tree of `size` leaves begins with the tree of `old` leaves.
///
/// # Errors
/// When `old` is more than `size`, or a hash is missing.
pub fn consistency(size: u64, old: u64, hashes: &Hashes) -> Result<Vec<Sha>, Error> {
    within(old, size)?;
    if old == 0 {
        return Ok(Vec::new());
    }
    let proof = read(hashes, |reader| tlog::prove_tree(size, old, reader))?;
    Ok(proof.into_iter().map(|h| Sha(h.0)).collect())
}

/// Checks a consistency proof between two roots. Every tree begins with the tree of no leaves.
///
/// # Errors
/// When it does not hold.
pub fn check_consistency(
    proof: &[Sha],
    (size, root): (u64, Sha),
    (old, old_root): (u64, Sha),
) -> Result<(), Error> {
    within(old, size)?;
    if old == 0 {
        let nothing = proof.is_empty() && old_root.0 == tlog::EMPTY_HASH.0;
        return if nothing { Ok(()) } else { Err(Error::Proof) };
    }
    let proof = proof.iter().map(|h| Hash(h.0)).collect();
    tlog::check_tree(&proof, size, Hash(root.0), old, Hash(old_root.0)).map_err(|_| Error::Proof)
}

fn within(asked: u64, size: u64) -> Result<(), Error> {
    if asked <= size && size <= MAX_SIZE {
        Ok(())
    } else {
        Err(Error::Range { asked, size })
    }
}

fn leaf_within(seq: u64, size: u64) -> Result<(), Error> {
    within(seq, size)?;
    within(seq + 1, size).map_err(|_| Error::Range { asked: seq, size })
}

/// Remembers which hashes it was asked for, and answers with nothing of value.
#[derive(Default)]
struct Recorder(RefCell<Vec<u64>>);

impl HashReader for Recorder {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog::Error> {
        self.0.borrow_mut().extend(indexes);
        Ok(vec![Hash::default(); indexes.len()])
    }
}

/// The tree's questions are synchronous and a database is not: ask once to learn what is needed, and once
/// more when it was fetched.
fn wanted<T>(ask: impl FnOnce(&Recorder) -> Result<T, tlog::Error>) -> Vec<u64> {
    let recorder = Recorder::default();
    // The answer is made of nothing and worth nothing; only what it asked for counts.
    drop(ask(&recorder));
    recorder.0.into_inner()
}

struct Fetched<'a> {
    hashes: &'a Hashes,
    missing: RefCell<Option<u64>>,
}

impl HashReader for Fetched<'_> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog::Error> {
        let one = |index: &u64| {
            let hash = self.hashes.get(index).map(|hash| Hash(hash.0));
            if hash.is_none() {
                *self.missing.borrow_mut() = Some(*index);
            }
            hash.ok_or(tlog::Error::IndexesNotInTree)
        };
        indexes.iter().map(one).collect()
    }
}

fn read<T>(
    hashes: &Hashes,
    ask: impl FnOnce(&Fetched<'_>) -> Result<T, tlog::Error>,
) -> Result<T, Error> {
    let reader = Fetched {
        hashes,
        missing: RefCell::default(),
    };
    ask(&reader).map_err(|_| reader.missing.borrow().map_or(Error::Proof, Error::Missing))
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    /// The Merkle tree hash as RFC 6962 section 2.1 defines it, over all leaves at once.
    fn definition(leaves: &[Vec<u8>]) -> Sha {
        match leaves {
            [] => Sha::of(b""),
            [leaf] => Sha::of([&[0], leaf.as_slice()].concat()),
            _ => {
                let split = leaves.len().next_power_of_two() / 2;
                let (left, right) = leaves.split_at(split);
                let mut hasher = Sha256::new();
                hasher.update([1]);
                hasher.update(definition(left).0);
                hasher.update(definition(right).0);
                Sha(hasher.finalize().into())
            }
        }
    }

    fn leaves(count: usize) -> Vec<Vec<u8>> {
        (0..count)
            .map(|i| format!("leaf {i}").into_bytes())
            .collect()
    }

    /// A log of so many leaves: all its stored hashes, and its root at each size.
    fn grow(leaves: &[Vec<u8>]) -> (Hashes, Vec<Sha>) {
        let mut stored = Hashes::new();
        let mut edge = Edge::new(0, &stored).unwrap();
        let mut roots = vec![edge.root().unwrap()];
        for (seq, leaf) in leaves.iter().enumerate() {
            // From what is stored alone, as a database would.
            let wanted = Edge::indexes(edge.size());
            let fetched: Hashes = wanted.iter().map(|i| (*i, stored[i])).collect();
            assert_eq!(edge, Edge::new(seq as u64, &fetched).unwrap());
            let added = edge.append(leaf).unwrap();
            assert_eq!((added.seq, added.leaf_hash), (seq as u64, leaf_hash(leaf)));
            assert_eq!(added.stored[0].0, leaf_index(added.seq));
            for (index, hash) in added.stored {
                assert_eq!(
                    stored.insert(index, hash),
                    None,
                    "a stored hash never changes"
                );
            }
            assert_eq!(stored.len() as u64, stored_count(edge.size()));
            assert!(edge.hashes().len() <= 64);
            roots.push(edge.root().unwrap());
        }
        (stored, roots)
    }

    fn at<T>(list: &[T], index: u64) -> &T {
        &list[usize::try_from(index).unwrap()]
    }

    #[test]
    fn the_tree_is_that_of_the_standard() {
        let leaves = leaves(70);
        let (_, roots) = grow(&leaves);
        for (size, root) in roots.iter().enumerate() {
            assert_eq!(*root, definition(&leaves[..size]), "{size} leaves");
        }
    }

    #[test]
    fn every_leaf_and_every_earlier_tree_can_be_proved_and_nothing_else() {
        let leaves = leaves(33);
        let (stored, roots) = grow(&leaves);
        let pick =
            |indexes: Vec<u64>| -> Hashes { indexes.iter().map(|i| (*i, stored[i])).collect() };
        for size in 1..=33_u64 {
            let root = *at(&roots, size);
            for seq in 0..size {
                let hashes = pick(inclusion_indexes(size, seq).unwrap());
                let proof = inclusion(size, seq, &hashes).unwrap();
                let leaf = leaf_hash(at::<Vec<u8>>(&leaves, seq));
                check_inclusion(&proof, (size, root), seq, leaf).unwrap();
                let other = leaf_hash(b"another leaf");
                assert_eq!(
                    check_inclusion(&proof, (size, root), seq, other),
                    Err(Error::Proof)
                );
                let elsewhere = (seq + 1) % size;
                if elsewhere != seq {
                    assert!(check_inclusion(&proof, (size, root), elsewhere, leaf).is_err());
                }
            }
            for old in 0..=size {
                let hashes = pick(consistency_indexes(size, old).unwrap());
                let proof = consistency(size, old, &hashes).unwrap();
                let old_root = *at(&roots, old);
                check_consistency(&proof, (size, root), (old, old_root)).unwrap();
                let forked = Sha::of("forked");
                assert!(check_consistency(&proof, (size, root), (old, forked)).is_err());
                assert!(
                    check_consistency(&proof, (size, forked), (old, old_root)).is_err() || old == 0
                );
            }
        }
    }

    #[test]
    fn what_is_missing_or_beyond_is_an_error_and_no_panic() {
        let (stored, roots) = grow(&leaves(10));
        let mut lost = stored.clone();
        lost.remove(&leaf_index(8));
        assert!(matches!(Edge::new(9, &lost), Err(Error::Missing(_))));
        assert!(matches!(inclusion(10, 9, &lost), Err(Error::Missing(_))));
        assert!(matches!(
            inclusion_indexes(10, 10),
            Err(Error::Range { .. })
        ));
        assert!(matches!(
            consistency_indexes(10, 11),
            Err(Error::Range { .. })
        ));
        for size in [u64::MAX, u64::MAX - 1, MAX_SIZE + 1] {
            assert!(Edge::new(size, &stored).is_err());
            assert!(inclusion_indexes(size, 1).is_err());
            assert!(check_inclusion(&[], (size, roots[1]), size - 1, roots[1]).is_err());
            assert!(check_consistency(&[], (size, roots[1]), (1, roots[1])).is_err());
        }
        assert_eq!(
            check_inclusion(&[roots[0]; 100], (5, roots[5]), 1, roots[1]),
            Err(Error::Proof)
        );
    }
}
