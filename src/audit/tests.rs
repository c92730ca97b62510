//! Logs that somebody laid hands on: whatever was changed, the verifiers say so.

use std::io::Cursor;

use super::{
    checkpoint::{Checkpoint, PublicKey},
    export::{self, Files, Period, Step, Writer},
    key::Key,
    leaf::{Definition, Fact, Leaf, What},
    log::{self, Edge, Hashes},
    report::{Fault, Report, Verdict},
    verify::{Source, Trust, Verifier},
};
use crate::model::id::Sha;

const ORIGIN: &str = "example.test/tripline";

/// A log as a database keeps it.
#[derive(Clone)]
struct Log {
    leaves: Vec<Vec<u8>>,
    stored: Hashes,
    notes: Vec<String>,
    sizes: Vec<u64>,
}

impl Log {
    /// So many leaves, with a signed head after each of these sizes.
    fn grow(key: &Key, count: u64, sizes: &[u64]) -> Self {
        let mut log = Self {
            leaves: Vec::new(),
            stored: Hashes::new(),
            notes: Vec::new(),
            sizes: sizes.to_vec(),
        };
        let mut edge = Edge::default();
        for seq in 0..count {
            let leaf = leaf(seq);
            log.stored.extend(edge.append(&leaf).unwrap().stored);
            log.leaves.push(leaf);
            if sizes.contains(&edge.size()) {
                log.notes.push(head(&edge).sign(key).unwrap());
            }
        }
        log
    }

    /// Verified as a whole, from what the database holds.
    fn verify(&self, trust: Trust) -> Report {
        self.verify_as(trust, self.leaves.len() as u64)
    }

    fn verify_as(&self, trust: Trust, size: u64) -> Report {
        let mut verifier = Verifier::new(trust, Source::log(self.notes.clone()));
        for (seq, leaf) in (0..).zip(&self.leaves) {
            verifier.leaf(seq, leaf, None);
        }
        for (index, hash) in &self.stored {
            verifier.stored(*index, *hash);
        }
        verifier.finish(size)
    }

    fn edge(&self, size: u64) -> Edge {
        Edge::new(size, &self.stored).unwrap()
    }

    fn steps(&self) -> Vec<Step> {
        let pairs = self.sizes.iter().zip(self.sizes.iter().skip(1));
        let step = |(old, new): (&u64, &u64)| Step {
            old: *old,
            new: *new,
            proof: log::consistency(*new, *old, &self.stored).unwrap(),
        };
        pairs.map(step).collect()
    }
}

fn leaf(seq: u64) -> Vec<u8> {
    let definition = Definition {
        what: What::Control,
        id: format!("control-{seq}"),
        version: None,
        digest: Sha::of(seq.to_string()),
    };
    let at = "2026-11-20T08:00:00Z".parse().unwrap();
    Leaf::new(at, Fact::Definition(definition))
        .to_bytes()
        .unwrap()
}

fn head(edge: &Edge) -> Checkpoint {
    Checkpoint {
        origin: ORIGIN.to_owned(),
        size: edge.size(),
        root: edge.root().unwrap(),
    }
}

fn trust(key: &Key) -> Trust {
    Trust {
        keys: vec![key.public().clone()],
        origin: Some(ORIGIN.to_owned()),
        anchors: Vec::new(),
    }
}

fn faults(report: &Report) -> Vec<(Fault, u64)> {
    report.problems.iter().map(|p| (p.fault, p.at)).collect()
}

#[test]
fn a_log_that_nobody_touched_is_intact() {
    let key = Key::generate(ORIGIN).unwrap();
    for count in [1, 2, 3, 7, 64, 100, 257] {
        let log = Log::grow(&key, count, &[1, count / 2, count]);
        let report = log.verify(trust(&key));
        assert_eq!(faults(&report), []);
        assert_eq!(
            (report.verdict, report.signed, report.size),
            (Verdict::Intact, count, count)
        );
        assert_eq!(report.root, Some(log.edge(count).root().unwrap()));
    }
}

#[test]
fn what_nobody_signed_is_unproven_and_the_unsigned_end_is_said() {
    let key = Key::generate(ORIGIN).unwrap();
    assert_eq!(
        Log::grow(&key, 5, &[]).verify(trust(&key)).verdict,
        Verdict::Unproven
    );
    assert_eq!(
        Log::grow(&key, 0, &[]).verify(trust(&key)).verdict,
        Verdict::Unproven
    );
    let tail = Log::grow(&key, 9, &[4, 6]).verify(trust(&key));
    assert_eq!(
        (tail.verdict, tail.signed, tail.size),
        (Verdict::Intact, 6, 9)
    );
}

/// The leaves of a thousand-leaf log: each one altered, deleted, exchanged, and the log cut before it.
#[test]
fn no_leaf_of_a_thousand_can_be_altered_deleted_moved_or_cut_off() {
    let key = Key::generate(ORIGIN).unwrap();
    let log = Log::grow(&key, 1_000, &[100, 500, 1_000]);
    let trust = trust(&key);
    assert_eq!(log.verify(trust.clone()).verdict, Verdict::Intact);
    // The tree is all that a changed leaf has to pass: whoever writes the database writes its hashes too.
    let rewritten = |leaves: &[&[u8]]| {
        let mut verifier = Verifier::new(trust.clone(), Source::log(log.notes.clone()));
        for (seq, leaf) in (0..).zip(leaves) {
            verifier.leaf(seq, leaf, Some(log::leaf_hash(leaf)));
        }
        verifier.finish(leaves.len() as u64)
    };
    let leaves: Vec<&[u8]> = log.leaves.iter().map(Vec::as_slice).collect();
    for seq in 0..1_000_usize {
        let covering = *log.sizes.iter().find(|size| **size > seq as u64).unwrap();

        let mut altered = log.leaves[seq].clone();
        let byte = seq * 7 % altered.len();
        altered[byte] ^= 1 << (seq % 8);
        let mut changed = leaves.clone();
        changed[seq] = &altered;
        assert_eq!(
            faults(&rewritten(&changed)),
            [(Fault::Root, covering)],
            "leaf {seq}"
        );

        let mut fewer = leaves.clone();
        fewer.remove(seq);
        assert_eq!(
            rewritten(&fewer).verdict,
            Verdict::Broken,
            "without leaf {seq}"
        );

        let mut moved = leaves.clone();
        moved.swap(seq, (seq + 1) % 1_000);
        assert_eq!(
            rewritten(&moved).verdict,
            Verdict::Broken,
            "leaf {seq} and the next"
        );

        let cut = rewritten(&leaves[..seq]);
        let (fault, _) = faults(&cut)[0];
        assert_eq!(fault, Fault::Rollback, "cut before leaf {seq}");
    }
}

#[test]
fn every_row_of_a_database_is_compared() {
    let key = Key::generate(ORIGIN).unwrap();
    let log = Log::grow(&key, 60, &[20, 60]);
    let trust = trust(&key);
    for index in log.stored.keys() {
        let mut altered = log.clone();
        altered.stored.insert(*index, Sha::of("altered"));
        let wanted = match log::leaf_at(*index) {
            Some(seq) => (Fault::LeafHash, seq),
            None => (Fault::StoredHash, *index),
        };
        assert_eq!(faults(&altered.verify(trust.clone())), [wanted]);
        let mut deleted = log.clone();
        deleted.stored.remove(index);
        assert_eq!(
            faults(&deleted.verify(trust.clone())),
            [(Fault::StoredHash, *index)]
        );
    }
    for seq in 0..60 {
        let mut altered = log.clone();
        altered.leaves[seq].push(b' ');
        let report = altered.verify(trust.clone());
        assert_eq!(faults(&report)[0].0, Fault::Root);
        assert!(faults(&report).contains(&(Fault::LeafHash, seq as u64)));
    }
    let mut more = log.clone();
    more.stored.insert(5_000, Sha::of("more"));
    assert_eq!(
        faults(&more.verify(trust.clone())),
        [(Fault::StoredHash, 5_000)]
    );
    assert_eq!(faults(&log.verify_as(trust, 61)), [(Fault::Head, 60)]);
}

#[test]
fn what_stands_beside_a_leaf_must_be_what_the_leaf_says() {
    let key = Key::generate(ORIGIN).unwrap();
    let mut verifier = Verifier::new(trust(&key), Source::log(Vec::new()));
    let at = "2026-11-20T08:00:00Z".parse().unwrap();
    let later = "2026-11-20T08:00:01Z".parse().unwrap();
    verifier.label(0, &leaf(0), ("definition", at));
    verifier.label(1, &leaf(1), ("run", at));
    verifier.label(2, &leaf(2), ("definition", later));
    verifier.label(3, b"no leaf", ("definition", at));
    let labels: Vec<_> = faults(&verifier.finish(0));
    assert_eq!(
        labels,
        [(Fault::Label, 1), (Fault::Label, 2), (Fault::Label, 3)]
    );
}

#[test]
fn heads_of_other_keys_names_and_forks_are_told_apart() {
    let key = Key::generate(ORIGIN).unwrap();
    let log = Log::grow(&key, 30, &[10, 20, 30]);
    let wrong_key = Trust {
        keys: vec![Key::generate(ORIGIN).unwrap().public().clone()],
        ..trust(&key)
    };
    let report = log.verify(wrong_key);
    assert_eq!(
        faults(&report),
        [10, 20, 30].map(|size| (Fault::Signature, size))
    );

    let wrong_name = Trust {
        origin: Some("example.test/other".to_owned()),
        ..trust(&key)
    };
    assert_eq!(
        faults(&log.verify(wrong_name)),
        [10, 20, 30].map(|size| (Fault::Origin, size))
    );

    // The owner of the key showed another history to somebody else.
    let mut other = Log::grow(&key, 0, &[]);
    let mut edge = Edge::default();
    for seq in 0..20 {
        let leaf = if seq == 7 { leaf(700) } else { leaf(seq) };
        edge.append(&leaf).unwrap();
        other.leaves.push(leaf);
    }
    let shown = head(&edge).sign(&key).unwrap();
    let seen_elsewhere = Trust {
        anchors: vec![shown],
        ..trust(&key)
    };
    assert_eq!(faults(&log.verify(seen_elsewhere)), [(Fault::Fork, 20)]);

    let mut garbled = log.clone();
    garbled.notes[1] = "hello".to_owned();
    assert_eq!(
        faults(&garbled.verify(trust(&key))),
        [(Fault::Checkpoint, 1)]
    );
    let mut exchanged = log.clone();
    exchanged.notes.swap(0, 1);
    assert_eq!(faults(&exchanged.verify(trust(&key))), [(Fault::Order, 10)]);
}

#[test]
fn a_log_that_was_cut_back_with_its_heads_is_caught_by_a_head_that_left_the_machine() {
    let key = Key::generate(ORIGIN).unwrap();
    let log = Log::grow(&key, 30, &[10, 20, 30]);
    let cut = Log::grow(&key, 20, &[10, 20]);
    assert_eq!(
        cut.verify(trust(&key)).verdict,
        Verdict::Intact,
        "from inside nobody can tell"
    );
    let anchored = |note: usize| Trust {
        anchors: vec![log.notes[note].clone()],
        ..trust(&key)
    };
    assert_eq!(faults(&cut.verify(anchored(2))), [(Fault::Rollback, 30)]);
    assert_eq!(cut.verify(anchored(1)).verdict, Verdict::Intact);
    // The same for a log that was rewritten and signed again from the beginning.
    let other = Key::generate(ORIGIN).unwrap();
    let rewritten = Log::grow(&other, 30, &[10, 20, 30]);
    assert_eq!(rewritten.verify(anchored(0)).verdict, Verdict::Broken);
}

/// An export in memory.
#[derive(Clone)]
struct Export {
    files: [Vec<u8>; 4],
}

const NAMES: [&str; 4] = [
    "export.json",
    "checkpoints.ndjson",
    "consistency.ndjson",
    "leaves.ndjson",
];

impl Export {
    /// Leaves from `first` on, up to the last head.
    fn of(log: &Log, keys: &[PublicKey], first: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("export");
        let size = *log.sizes.last().unwrap();
        let sizes = export::heads(first, size, &log.sizes);
        let skip = log.sizes.len() - sizes.len();
        let edge = log.edge(first);
        let mut writer = Writer::create(
            &path,
            &Period {
                origin: ORIGIN,
                edge: &edge,
                size,
                keys,
                notes: &log.notes[skip..],
                steps: &log.steps()[skip..],
            },
        )
        .unwrap();
        for seq in first..size {
            writer
                .leaf(seq, &log.leaves[usize::try_from(seq).unwrap()])
                .unwrap();
        }
        writer.finish().unwrap();
        let files = NAMES.map(|name| std::fs::read(path.join(name)).unwrap());
        let read = export::verify(&path, Trust::default()).unwrap();
        let export = Self { files };
        assert_eq!(
            read,
            export.verify(Trust::default()),
            "the same from a folder and from memory"
        );
        export
    }

    fn verify(&self, trust: Trust) -> Report {
        let [header, checkpoints, consistency, leaves] = self.files.clone().map(Cursor::new);
        let files = Files {
            header,
            checkpoints,
            consistency,
            leaves,
        };
        files.verify(trust).unwrap()
    }
}

#[test]
fn an_export_of_any_period_verifies_by_itself() {
    let key = Key::generate(ORIGIN).unwrap();
    let log = Log::grow(&key, 50, &[5, 10, 17, 32, 50]);
    for first in 0..50 {
        let export = Export::of(&log, &[key.public().clone()], first);
        let report = export.verify(trust(&key));
        assert_eq!(faults(&report), [], "from {first}");
        assert_eq!(
            (report.verdict, report.first, report.signed),
            (Verdict::Intact, first, 50)
        );
        assert!(report.keys_given);
        let alone = export.verify(Trust::default());
        assert!(!alone.keys_given && alone.verdict == Verdict::Intact);
        assert_eq!(alone.fingerprints, [key.public().fingerprint()]);
    }
}

#[test]
fn an_anchor_that_lies_outside_of_an_export_is_not_called_checked() {
    let key = Key::generate(ORIGIN).unwrap();
    let log = Log::grow(&key, 50, &[5, 10, 17, 32, 50]);
    let later = Log::grow(&key, 60, &[60]);
    let export = Export::of(&log, &[key.public().clone()], 17);
    for (anchor, verdict, unchecked) in [
        (&log.notes[0], Verdict::Unproven, 1),
        (&log.notes[3], Verdict::Intact, 0),
        (&later.notes[0], Verdict::Unproven, 1),
    ] {
        let report = export.verify(Trust {
            anchors: vec![anchor.clone()],
            ..trust(&key)
        });
        assert_eq!((report.verdict, report.unchecked), (verdict, unchecked));
    }
}

#[test]
fn no_byte_of_an_export_can_be_changed() {
    let key = Key::generate(ORIGIN).unwrap();
    let log = Log::grow(&key, 14, &[4, 9, 14]);
    let export = Export::of(&log, &[key.public().clone()], 5);
    let trust = trust(&key);
    assert_eq!(export.verify(trust.clone()).verdict, Verdict::Intact);
    for (file, name) in NAMES.iter().enumerate() {
        for at in 0..export.files[file].len() {
            let mut altered = export.clone();
            altered.files[file][at] ^= 1 << (at % 8);
            assert_eq!(
                altered.verify(trust.clone()).verdict,
                Verdict::Broken,
                "{name}, byte {at}"
            );
        }
        for at in 0..export.files[file].len() {
            let mut cut = export.clone();
            cut.files[file].truncate(at);
            assert_eq!(
                cut.verify(trust.clone()).verdict,
                Verdict::Broken,
                "{name}, cut at {at}"
            );
        }
        let lines: Vec<&[u8]> = export.files[file]
            .split_inclusive(|b| *b == b'\n')
            .collect();
        for at in 0..lines.len() {
            let with = |lines: &[&[u8]]| {
                let mut altered = export.clone();
                altered.files[file] = lines.concat();
                altered.verify(trust.clone())
            };
            let mut fewer = lines.clone();
            fewer.remove(at);
            assert_eq!(
                with(&fewer).verdict,
                Verdict::Broken,
                "{name} without line {at}"
            );
            let mut doubled = lines.clone();
            doubled.insert(at, lines[at]);
            assert_eq!(
                with(&doubled).verdict,
                Verdict::Broken,
                "{name}, line {at} twice"
            );
            if at > 0 {
                let mut moved = lines.clone();
                moved.swap(at, at - 1);
                assert_eq!(
                    with(&moved).verdict,
                    Verdict::Broken,
                    "{name}, line {at} moved"
                );
            }
        }
    }
}

#[test]
fn a_thousand_problems_are_enough() {
    let key = Key::generate(ORIGIN).unwrap();
    let mut verifier = Verifier::new(trust(&key), Source::log(Vec::new()));
    for seq in 0..5_000 {
        verifier.leaf(seq, b"leaf", Some(Sha::of("not this")));
    }
    assert_eq!(verifier.finish(5_000).problems.len(), 1_000);
}

#[test]
fn the_heads_of_an_export_cover_its_leaves() {
    let sizes = [5, 10, 17, 32, 50];
    for (first, end, wanted) in [
        (0, 5, &[5][..]),
        (0, 6, &[5, 10]),
        (5, 17, &[5, 10, 17]),
        (7, 18, &[5, 10, 17, 32]),
        (40, 45, &[32, 50]),
        (50, 60, &[50]),
        (0, 99, &sizes),
    ] {
        assert_eq!(export::heads(first, end, &sizes), wanted, "{first}..{end}");
    }
    assert_eq!(export::heads(0, 10, &[]), &[] as &[u64]);
}
