//! A period of the log as a folder that needs nobody's server: `export.json` (name, keys, where it begins),
//! `leaves.ndjson` (the leaves, byte for byte, each with its number and hash), `checkpoints.ndjson` (the signed
//! heads) and `consistency.ndjson` (that each head continues the one before).
//!
//! Every line has exactly one way to be written, and is refused in any other: a byte that can be changed
//! without anybody noticing is a byte too many. Formats carry `v`; `tools/verify_audit.py` reads them too.

use std::{
    fs,
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    checkpoint::PublicKey,
    log::{Edge, Hashes, leaf_hash},
    report::{Fault, Report},
    verify::{Source, Trust, Verifier},
};
use crate::model::id::Sha;

const FORMAT: &str = "tripline-audit-export";
const VERSION: u32 = 1;

const HEADER: &str = "export.json";
const LEAVES: &str = "leaves.ndjson";
const CHECKPOINTS: &str = "checkpoints.ndjson";
const CONSISTENCY: &str = "consistency.ndjson";

/// A file of an export cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", .path.display())]
pub struct Error {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// The first line of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: String,
    v: u32,
    origin: String,
    /// The first leaf.
    first: u64,
    /// One more than the last leaf.
    size: u64,
    /// The right edge of the tree before the first leaf, from left to right.
    edge: Vec<Sha>,
    keys: Vec<KeyLine>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyLine {
    key: String,
    fingerprint: Sha,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LeafLine {
    seq: u64,
    hash: Sha,
    leaf: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoteLine {
    note: String,
}

/// The proof that the head of size `new` continues the head of size `old`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The earlier head.
    pub old: u64,
    /// The later head.
    pub new: u64,
    /// The hashes.
    pub proof: Vec<Sha>,
}

/// What an export says before its leaves.
#[derive(Debug)]
pub struct Period<'a> {
    /// The log.
    pub origin: &'a str,
    /// The right edge of the tree before the first leaf; its size is the first leaf's number.
    pub edge: &'a Edge,
    /// One more than the last leaf: the size of the last head.
    pub size: u64,
    /// The keys that signed its heads.
    pub keys: &'a [PublicKey],
    /// The signed heads, in their order.
    pub notes: &'a [String],
    /// For each two heads that follow each other.
    pub steps: &'a [Step],
}

/// The heads of an export of leaves `first` to before `end`: the newest that begins it, those within, and the
/// first that covers its end, or the newest there is. Of `sizes`, in their order.
pub fn heads(first: u64, end: u64, sizes: &[u64]) -> &[u64] {
    let from = sizes
        .partition_point(|size| *size <= first)
        .saturating_sub(1);
    let to = sizes
        .partition_point(|size| *size < end)
        .saturating_add(1)
        .min(sizes.len());
    sizes.get(from..to).unwrap_or_default()
}

/// Writes an export, leaf by leaf.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    leaves: BufWriter<fs::File>,
}

impl Writer {
    /// Begins an export in a folder that is made for it.
    ///
    /// # Errors
    /// When the folder is there already or cannot be written.
    pub fn create(folder: &Path, period: &Period<'_>) -> Result<Self, Error> {
        if let Some(parent) = folder.parent() {
            at(parent, fs::create_dir_all(parent))?;
        }
        at(folder, fs::create_dir(folder))?;
        let header = Header {
            format: FORMAT.to_owned(),
            v: VERSION,
            origin: period.origin.to_owned(),
            first: period.edge.size(),
            size: period.size,
            edge: period.edge.hashes().values().copied().collect(),
            keys: period.keys.iter().map(KeyLine::of).collect(),
        };
        let notes = period
            .notes
            .iter()
            .map(|note| NoteLine { note: note.clone() });
        write_lines(&folder.join(HEADER), [header])?;
        write_lines(&folder.join(CHECKPOINTS), notes)?;
        write_lines(&folder.join(CONSISTENCY), period.steps)?;
        let path = folder.join(LEAVES);
        let leaves = BufWriter::new(at(&path, fs::File::create_new(&path))?);
        Ok(Self { path, leaves })
    }

    /// The next leaf.
    ///
    /// # Errors
    /// When it cannot be written, or is not text, which no leaf of ours is.
    pub fn leaf(&mut self, seq: u64, bytes: &[u8]) -> Result<(), Error> {
        let hash = leaf_hash(bytes);
        let text = String::from_utf8(bytes.to_vec()).map_err(io::Error::other);
        let line = text.map(|leaf| LeafLine { seq, hash, leaf });
        at(
            &self.path,
            line.and_then(|line| write_line(&mut self.leaves, &line)),
        )
    }

    /// The end.
    ///
    /// # Errors
    /// When what is buffered cannot be written.
    pub fn finish(mut self) -> Result<(), Error> {
        at(
            &self.path,
            self.leaves
                .flush()
                .and_then(|()| self.leaves.get_ref().sync_all()),
        )
    }
}

impl KeyLine {
    fn of(key: &PublicKey) -> Self {
        Self {
            key: key.to_string(),
            fingerprint: key.fingerprint(),
        }
    }
}

/// Verifies an export in a folder.
///
/// # Errors
/// When a file cannot be read. Whatever the files say is in the report.
pub fn verify(folder: &Path, trust: Trust) -> Result<Report, Error> {
    let open = |name: &'static str| {
        let path = folder.join(name);
        at(&path, fs::File::open(&path)).map(BufReader::new)
    };
    let files = Files {
        header: open(HEADER)?,
        checkpoints: open(CHECKPOINTS)?,
        consistency: open(CONSISTENCY)?,
        leaves: open(LEAVES)?,
    };
    at(folder, files.verify(trust))
}

/// The files of an export, wherever they are.
pub(super) struct Files<R> {
    pub(super) header: R,
    pub(super) checkpoints: R,
    pub(super) consistency: R,
    pub(super) leaves: R,
}

impl<R: BufRead> Files<R> {
    pub(super) fn verify(self, mut trust: Trust) -> io::Result<Report> {
        let mut wrong = Vec::new();
        let header: Vec<Header> = all(HEADER, self.header, &mut wrong)?;
        let edge = match header.as_slice() {
            [header] if wrong.is_empty() => header.edge(),
            _ => None,
        };
        let (Some(header), Some(edge)) = (header.first(), edge) else {
            let mut verifier = Verifier::new(trust, Source::log(Vec::new()));
            verifier.problem(
                Fault::Malformed,
                1,
                format!("`{HEADER}` is not that of an export"),
            );
            return Ok(verifier.finish(0));
        };
        let keys: Vec<Option<PublicKey>> =
            header.keys.iter().map(|k| k.read(&header.origin)).collect();
        trust.origin.get_or_insert_with(|| header.origin.clone());
        let notes: Vec<NoteLine> = all(CHECKPOINTS, self.checkpoints, &mut wrong)?;
        let steps: Vec<Step> = all(CONSISTENCY, self.consistency, &mut wrong)?;
        let mut verifier = Verifier::new(
            trust,
            Source {
                complete: false,
                edge,
                keys: keys.iter().flatten().cloned().collect(),
                notes: notes.into_iter().map(|line| line.note).collect(),
            },
        );
        for (number, _) in (0..).zip(&keys).filter(|(_, key)| key.is_none()) {
            verifier.problem(
                Fault::Key,
                number,
                format!("key number {number} is none of this log"),
            );
        }
        for (file, line) in wrong {
            verifier.problem(
                Fault::Malformed,
                line,
                format!("`{file}`, line {line}, is not as it was written"),
            );
        }
        verifier.consistency(&steps);
        each(self.leaves, |number, line: Option<LeafLine>| {
            if let Some(line) = line {
                verifier.leaf(line.seq, line.leaf.as_bytes(), Some(line.hash));
            } else {
                let what = format!("`{LEAVES}`, line {number}, is not as it was written");
                verifier.problem(Fault::Malformed, number, what);
            }
        })?;
        Ok(verifier.finish(header.size))
    }
}

impl Header {
    /// The right edge before the first leaf, if the header makes sense.
    fn edge(&self) -> Option<Edge> {
        let indexes = Edge::indexes(self.first);
        let sound = self.format == FORMAT
            && self.v == VERSION
            && self.first <= self.size
            && indexes.len() == self.edge.len();
        let hashes: Hashes = indexes.into_iter().zip(self.edge.iter().copied()).collect();
        Edge::new(self.first, &hashes).ok().filter(|_| sound)
    }
}

impl KeyLine {
    fn read(&self, origin: &str) -> Option<PublicKey> {
        let key: PublicKey = self.key.parse().ok()?;
        (key.origin() == origin && key.fingerprint() == self.fingerprint).then_some(key)
    }
}

/// All good lines of a file; of the others their file and number go to `wrong`.
fn all<T: Serialize + DeserializeOwned>(
    file: &'static str,
    from: impl BufRead,
    wrong: &mut Vec<(&'static str, u64)>,
) -> io::Result<Vec<T>> {
    let mut good = Vec::new();
    each(from, |number, line| match line {
        Some(value) => good.push(value),
        None => wrong.push((file, number)),
    })?;
    Ok(good)
}

/// Every line with its number from 1; nothing for one that is not written in the one way it can be.
fn each<T: Serialize + DeserializeOwned>(
    mut from: impl BufRead,
    mut take: impl FnMut(u64, Option<T>),
) -> io::Result<()> {
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if from.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let value: Option<T> = serde_json::from_slice(&line).ok();
        let same = |value: &T| {
            let mut again = serde_json::to_vec(value).unwrap_or_default();
            again.push(b'\n');
            again == line
        };
        take(number, value.filter(same));
    }
    Ok(())
}

fn write_lines<T: Serialize>(path: &Path, lines: impl IntoIterator<Item = T>) -> Result<(), Error> {
    let write = || {
        let mut file = BufWriter::new(fs::File::create_new(path)?);
        for line in lines {
            write_line(&mut file, &line)?;
        }
        file.flush()?;
        file.get_ref().sync_all()
    };
    at(path, write())
}

fn write_line<T: Serialize>(to: &mut impl Write, line: &T) -> io::Result<()> {
    serde_json::to_writer(&mut *to, line)?;
    to.write_all(b"\n")
}

fn at<T>(path: &Path, result: io::Result<T>) -> Result<T, Error> {
    result.map_err(|source| Error {
        path: path.to_owned(),
        source,
    })
}
