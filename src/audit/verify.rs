//! Whether a log is what was signed: every leaf, every stored hash, every head, from the first to the last.
//!
//! The verifier is handed what there is, in order, and holds no more of it than the right edge of the tree.
//! It believes nothing but the keys, the name and the heads that the caller brings from elsewhere. It says
//! what is wrong and where, as narrowly as the hashes allow; it never mends.

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, Utc};

use super::{
    checkpoint::{self, Checkpoint, PublicKey},
    export::Step,
    log::{Edge, check_consistency, leaf_at, leaf_hash},
    report::{Fault, Problem, Report, Verdict},
};
use crate::model::id::Sha;

/// Problems that are told one by one; a log that was rewritten has as many as leaves.
const MAX_PROBLEMS: usize = 1_000;

/// What is believed beforehand.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// Keys known from elsewhere. Without any, an export's own keys are used, and the report says so.
    pub keys: Vec<PublicKey>,
    /// The log's name, when it is known.
    pub origin: Option<String>,
    /// Heads that were seen elsewhere: in the footer of a digest, in a file, at a witness.
    pub anchors: Vec<String>,
}

/// What is verified, before its first leaf.
#[derive(Debug)]
pub struct Source {
    /// Whether this is a log from its beginning to its end, and not a period of it.
    pub complete: bool,
    /// The right edge of the tree before the first leaf.
    pub edge: Edge,
    /// The keys that it brings itself; used when nobody brings better ones.
    pub keys: Vec<PublicKey>,
    /// Its signed heads, in their order.
    pub notes: Vec<String>,
}

impl Source {
    /// A whole log, from its first leaf to its last.
    pub fn log(notes: Vec<String>) -> Self {
        Self {
            complete: true,
            edge: Edge::default(),
            keys: Vec::new(),
            notes,
        }
    }
}

/// Looks at a log once, from its first leaf to its last.
#[expect(
    clippy::struct_excessive_bools,
    reason = "what was seen so far; each stands for itself"
)]
#[derive(Debug)]
pub struct Verifier {
    keys: Vec<PublicKey>,
    keys_given: bool,
    origin: Option<String>,
    complete: bool,
    first: u64,
    next: u64,
    /// The tree so far; ends at the first gap.
    edge: Edge,
    whole: bool,
    /// Verified heads of the log itself, in order.
    listed: Vec<(u64, Sha)>,
    /// All verified heads, anchors included.
    heads: BTreeMap<u64, Sha>,
    /// Hashes that the leaves so far make and that no stored hash was compared with yet.
    expected: VecDeque<(u64, Sha)>,
    compares: bool,
    hash_failed: bool,
    /// The last head that holds.
    signed: Option<u64>,
    root_failed: bool,
    problems: Vec<Problem>,
}

impl Verifier {
    /// Begins: checks the heads of the log and those that were brought from elsewhere.
    pub fn new(trust: Trust, source: Source) -> Self {
        let keys_given = !trust.keys.is_empty();
        let first = source.edge.size();
        let mut new = Self {
            keys: if keys_given { trust.keys } else { source.keys },
            keys_given,
            origin: trust.origin,
            complete: source.complete,
            first,
            next: first,
            edge: source.edge,
            whole: true,
            listed: Vec::new(),
            heads: BTreeMap::new(),
            expected: VecDeque::new(),
            compares: false,
            hash_failed: false,
            signed: None,
            root_failed: false,
            problems: Vec::new(),
        };
        for (number, note) in (0..).zip(&source.notes) {
            if let Some(head) = new.head(number, note) {
                new.list(&head);
            }
        }
        for (number, note) in (source.notes.len() as u64..).zip(&trust.anchors) {
            if let Some(head) = new.head(number, note) {
                new.agrees(&head);
            }
        }
        new.meet();
        new
    }

    /// Notes a problem that the caller found.
    pub fn problem(&mut self, fault: Fault, at: u64, what: impl Into<String>) {
        if self.problems.len() < MAX_PROBLEMS {
            let what = what.into();
            self.problems.push(Problem { fault, at, what });
        }
    }

    /// The next leaf, and the hash that is recorded for it if one is recorded beside it.
    pub fn leaf(&mut self, seq: u64, bytes: &[u8], recorded: Option<Sha>) {
        if seq != self.next {
            let what = format!("leaf {} should come, and leaf {seq} does", self.next);
            self.problem(Fault::Gap, self.next, what);
            self.whole = false;
        }
        self.next = seq.saturating_add(1);
        let hash = leaf_hash(bytes);
        if recorded.is_some_and(|r| r != hash) {
            self.problem(
                Fault::LeafHash,
                seq,
                format!("leaf {seq} does not have the recorded hash"),
            );
        }
        if self.whole {
            match self.edge.append_hash(hash) {
                Ok(added) => self.expected.extend(added.stored),
                Err(_) => self.whole = false,
            }
            self.meet();
        }
    }

    /// What stands beside a leaf in a database: its kind and its time, which are searched by.
    pub fn label(&mut self, seq: u64, bytes: &[u8], (kind, at): (&str, DateTime<Utc>)) {
        #[derive(serde::Deserialize)]
        struct Label {
            kind: String,
            at: DateTime<Utc>,
        }
        let says: Option<Label> = serde_json::from_slice(bytes).ok();
        if says.is_none_or(|l| l.kind != kind || l.at != at) {
            let what = format!(
                "leaf {seq} does not say that it is a `{kind}` of {}",
                at.to_rfc3339()
            );
            self.problem(Fault::Label, seq, what);
        }
    }

    /// The next stored hash of a database, in the order of indexes. Its leaf must have come before.
    pub fn stored(&mut self, index: u64, hash: Sha) {
        self.compares = true;
        let expected = self.expected.pop_front();
        if expected == Some((index, hash)) || !self.whole || self.hash_failed {
            return;
        }
        match expected {
            Some((wanted, _)) if wanted == index => self.wrong_hash(index),
            // One is missing or too many: nothing can be compared from here on.
            _ => self.uneven(expected.map_or(index, |(wanted, _)| wanted.min(index))),
        }
    }

    /// A proof that the log's head of one size continues the one before, for each two heads in their order.
    pub fn consistency(&mut self, steps: &[Step]) {
        let pairs: Vec<_> = self
            .listed
            .iter()
            .copied()
            .zip(self.listed.iter().copied().skip(1))
            .collect();
        for (place, (old, new)) in pairs.iter().enumerate() {
            let step = steps
                .get(place)
                .filter(|s| (s.old, s.new) == (old.0, new.0));
            let Some(step) = step else {
                let what = format!(
                    "nothing shows that the head of size {} continues that of size {}",
                    new.0, old.0
                );
                return self.problem(Fault::Consistency, new.0, what);
            };
            if check_consistency(&step.proof, *new, *old).is_err() {
                let what = format!(
                    "the head of size {} does not continue that of size {}",
                    new.0, old.0
                );
                self.problem(Fault::Consistency, new.0, what);
            }
        }
        if let Some(step) = steps.get(pairs.len()) {
            let what = format!(
                "a proof leads to size {}, of which there is no head",
                step.new
            );
            self.problem(Fault::Consistency, step.new, what);
        }
    }

    /// The end: `size` is how many leaves the log says it has.
    pub fn finish(mut self, size: u64) -> Report {
        if self.next != size {
            let what = format!(
                "the log says it has {size} leaves, and ends after {}",
                self.next
            );
            self.problem(Fault::Head, self.next, what);
        }
        if let Some((index, _)) = self
            .expected
            .front()
            .copied()
            .filter(|_| self.compares && !self.hash_failed)
        {
            self.uneven(index);
        }
        let beyond = |limit: u64| {
            self.heads
                .range(limit.saturating_add(1)..)
                .map(|(size, _)| *size)
        };
        let listed = self
            .listed
            .iter()
            .map(|(size, _)| *size)
            .find(|size| *size > self.next);
        let cut = if self.complete {
            beyond(self.next).next()
        } else {
            listed
        };
        if let Some(size) = cut {
            let what = format!(
                "a head of size {size} was signed, and only {} leaves are left",
                self.next
            );
            self.problem(Fault::Rollback, size, what);
        }
        let outside = |size: &u64| *size < self.first || *size > self.next;
        let is_listed = |size: &u64| self.listed.iter().any(|(s, _)| s == size);
        let unchecked = self
            .heads
            .keys()
            .filter(|s| outside(s) && !is_listed(s))
            .count() as u64;
        Report {
            verdict: match (self.problems.is_empty(), self.signed, unchecked) {
                (false, ..) => Verdict::Broken,
                (true, Some(_), 0) => Verdict::Intact,
                _ => Verdict::Unproven,
            },
            first: self.first,
            size: self.next,
            root: self.edge.root().ok().filter(|_| self.whole),
            signed: self.signed.unwrap_or(self.first),
            checkpoints: self.heads.len() as u64,
            unchecked,
            keys_given: self.keys_given,
            fingerprints: self.keys.iter().map(PublicKey::fingerprint).collect(),
            problems: self.problems,
        }
    }

    fn head(&mut self, number: u64, note: &str) -> Option<Checkpoint> {
        let Ok(claim) = Checkpoint::claim(note) else {
            let what = format!("head number {number} is no checkpoint");
            self.problem(Fault::Checkpoint, number, what);
            return None;
        };
        let other_log = self.origin.as_ref().is_some_and(|o| *o != claim.origin);
        match Checkpoint::verify(note, &self.keys) {
            Ok(head) if !other_log => return Some(head),
            Ok(_) | Err(checkpoint::Error::Origin(_)) => {
                let what = format!(
                    "the head of size {} is of the log `{}`",
                    claim.size, claim.origin
                );
                self.problem(Fault::Origin, claim.size, what);
            }
            Err(_) => {
                let what = format!(
                    "no trusted key signed the head of size {} as it stands",
                    claim.size
                );
                self.problem(Fault::Signature, claim.size, what);
            }
        }
        None
    }

    fn list(&mut self, head: &Checkpoint) {
        let last = self.listed.last().map(|(size, _)| *size);
        if !self.agrees(head) {
            return;
        }
        match last.filter(|last| head.size <= *last) {
            Some(last) => {
                let what = format!(
                    "the head of size {} comes after that of size {last}",
                    head.size
                );
                self.problem(Fault::Order, head.size, what);
            }
            None => self.listed.push((head.size, head.root)),
        }
    }

    /// Whether no other head of the same size was signed.
    fn agrees(&mut self, head: &Checkpoint) -> bool {
        let known = *self.heads.entry(head.size).or_insert(head.root);
        if known != head.root {
            let what = format!(
                "two heads of size {} were signed over different leaves",
                head.size
            );
            self.problem(Fault::Fork, head.size, what);
        }
        known == head.root
    }

    /// Compares the tree with the head of its size, if there is one.
    fn meet(&mut self) {
        let size = self.edge.size();
        let Some(signed) = self.heads.get(&size).copied().filter(|_| !self.root_failed) else {
            return;
        };
        if self.edge.root() == Ok(signed) {
            self.signed = Some(size);
            return;
        }
        self.root_failed = true;
        let since = self.signed.unwrap_or(self.first);
        let what = format!(
            "leaves {since} to {} are not those that were signed",
            size.saturating_sub(1)
        );
        self.problem(Fault::Root, size, what);
    }

    fn wrong_hash(&mut self, index: u64) {
        self.hash_failed = true;
        if let Some(seq) = leaf_at(index) {
            let what = format!("leaf {seq} does not have the recorded hash");
            self.problem(Fault::LeafHash, seq, what);
        } else {
            let what = format!("the stored hash {index} is not that of the leaves below it");
            self.problem(Fault::StoredHash, index, what);
        }
    }

    fn uneven(&mut self, index: u64) {
        self.hash_failed = true;
        let what = format!("stored hashes and leaves do not go together from the hash {index} on");
        self.problem(Fault::StoredHash, index, what);
    }
}
