//! `tripline audit`: shows that nothing in the log was changed, takes a period of it out of the house, and
//! proves one fact of it. Reads only: it neither signs nor mends, and makes no key.

mod held;
mod prove;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use clap::{Args as Arguments, Subcommand};
use serde_json::json;

use self::prove::{Wanted, prove};
use super::{
    CLEAN, INTERNAL, NOT_CHECKED, USAGE,
    files::Files,
    named::refuse,
    out::{Format, Ink, Out},
};
use crate::{
    audit::{
        checkpoint::{Checkpoint, PublicKey},
        export::{self, Period, Step, Writer},
        key::Key,
        log,
        report::{Fault, Report, Verdict},
        verify::{Source, Trust, Verifier},
    },
    config::{Config, Loaded},
    daemon::wire,
    store::{Tx, audit},
};

/// How many rows are held at once.
const PAGE: u32 = 2_000;

/// Show that nothing in the audit log was changed, export it, or prove one fact of it.
#[derive(Debug, Clone, Arguments)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

/// What to do with the log.
#[derive(Debug, Clone, Subcommand)]
pub enum What {
    /// Compare every leaf, every hash and every signed head, and the register with what its leaves say. Exit code 0 intact, 4 changed, 3 not shown.
    Verify {
        /// The folder of an export, in place of the log in the store.
        #[arg(long, value_name = "FOLDER")]
        export: Option<PathBuf>,
        /// What is believed beforehand.
        #[command(flatten)]
        trust: Believed,
    },
    /// Write the log, or a period of it, to a new folder that can be verified without us.
    Export {
        /// The folder; it must not exist.
        path: PathBuf,
        /// From this instant on.
        #[arg(long, value_name = "TIME")]
        since: Option<DateTime<Utc>>,
        /// Up to the first signed head that covers everything before this instant.
        #[arg(long, value_name = "TIME")]
        until: Option<DateTime<Utc>>,
    },
    /// Go on with the log in the store under a new key: the old one is lost, or signed another log.
    NewKey {
        /// It is meant: whoever holds an old head can no longer show that the log goes on from it.
        #[arg(long)]
        yes: bool,
    },
    /// Print the proof that what happened to a finding, a run or an exception is in the log (`c2sp.org/tlog-proof@v1`).
    Prove {
        /// The finding, the run or the exception (`EXC-2027-0001`), or enough of its name.
        what: String,
        /// This leaf of those that speak of it. Without it the last one; of an exception the last that was decided by people.
        #[arg(long, value_name = "NUMBER")]
        leaf: Option<u64>,
        /// All of them, one proof after another.
        #[arg(long, conflicts_with = "leaf")]
        all: bool,
    },
}

/// What is believed beforehand.
#[derive(Debug, Clone, Arguments)]
pub struct Believed {
    /// The public key of the log, `name+id+key`, or a file with it (may be given more than once).
    #[arg(long, value_name = "KEY", value_parser = key)]
    key: Vec<PublicKey>,
    /// A file with a signed head that left the machine (may be given more than once).
    #[arg(long, value_name = "FILE")]
    anchor: Vec<PathBuf>,
}

fn key(text: &str) -> Result<PublicKey, String> {
    let read = if Path::new(text).is_file() {
        fs::read_to_string(text).map_err(|error| error.to_string())?
    } else {
        text.to_owned()
    };
    read.trim().parse().map_err(str::to_owned)
}

impl Believed {
    fn trust(&self) -> anyhow::Result<Trust> {
        let read = |path: &PathBuf| {
            fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
        };
        Ok(Trust {
            keys: self.key.clone(),
            origin: None,
            anchors: self.anchor.iter().map(read).collect::<Result<_, _>>()?,
        })
    }
}

/// Does it, and says what was found.
///
/// # Errors
/// When the store or a file cannot be read or written.
pub(super) async fn run(args: &Args, files: &Files, out: &mut Out) -> anyhow::Result<ExitCode> {
    if let What::Verify {
        export: Some(folder),
        trust,
    } = &args.what
    {
        let report = export::verify(folder, trust.trust()?)?;
        return say(&report, &folder.display().to_string(), out);
    }
    let Loaded { config, .. } = match files.load(&mut Out::stderr())? {
        Ok(loaded) => loaded,
        Err(code) => return Ok(code),
    };
    if let What::NewKey { yes } = args.what {
        return super::new_key::run(&config, yes, out).await;
    }
    let store = wire::open(&config).await?;
    let mut tx = store.read().await?;
    let done = match &args.what {
        What::Verify { trust, .. } => verify(&mut tx, &config, trust.trust()?, out).await,
        What::Export { path, since, until } => {
            let period = (*since, *until);
            write(&mut tx, &config, (path, period), out).await
        }
        What::Prove { what, leaf, all } => {
            let wanted = match (leaf, all) {
                (Some(leaf), _) => Wanted::Leaf(*leaf),
                (None, true) => Wanted::All,
                (None, false) => Wanted::Last,
            };
            prove(&mut tx, what, wanted, out).await
        }
        What::NewKey { .. } => Ok(ExitCode::SUCCESS),
    };
    drop(tx);
    store.close().await;
    done
}

/// The public key of the installation; nothing when it has none yet.
fn own_key(config: &Config) -> anyhow::Result<Option<PublicKey>> {
    let there = config.root.join(&config.audit.key.file).exists();
    Ok(there
        .then(|| wire::key(config))
        .transpose()?
        .map(|key: Key| key.public().clone()))
}

const NO_KEY: &str =
    "there is no key to believe: the one of this log is made at its first start, or give `--key`";

async fn verify(
    tx: &mut Tx,
    config: &Config,
    mut trust: Trust,
    out: &mut Out,
) -> anyhow::Result<ExitCode> {
    if trust.keys.is_empty() {
        trust.keys.extend(own_key(config)?);
    }
    if trust.keys.is_empty() {
        return refuse(USAGE, NO_KEY);
    }
    trust.origin = Some((*config.audit.origin).clone());
    let report = whole(tx, trust).await?;
    say(&report, &config.store.to_string(), out)
}

/// Verifies the log in the store from its first leaf to its last. What the rows say is in the report.
async fn whole(tx: &mut Tx, trust: Trust) -> anyhow::Result<Report> {
    let heads = audit::checkpoints(tx, 0, u32::MAX).await?;
    let notes = heads.iter().map(|head| head.note.clone()).collect();
    let mut verifier = Verifier::new(trust, Source::log(notes));
    for (number, head) in (0..).zip(&heads) {
        if Checkpoint::claim(&head.note).is_ok_and(|claim| claim.size != head.size) {
            let what = format!("head number {number} is kept as one of size {}", head.size);
            verifier.problem(Fault::Checkpoint, number, what);
        }
    }
    let (mut leaf, mut hash) = (0, 0);
    let mut told = held::Leaves::default();
    loop {
        let page = audit::rows(tx, leaf, PAGE).await?;
        let Some(last) = page.last() else { break };
        leaf = last.seq.saturating_add(1);
        for row in &page {
            verifier.leaf(row.seq, &row.bytes, None);
            verifier.label(row.seq, &row.bytes, (&row.kind, row.at));
            told.take(row);
        }
        hash = compare(tx, &mut verifier, (hash, log::stored_count(leaf))).await?;
    }
    compare(tx, &mut verifier, (hash, u64::MAX)).await?;
    told.compare(tx, &mut verifier).await?;
    Ok(verifier.finish(audit::size(tx).await?))
}

/// Hands over the stored hashes from one index to before another, and gives where the next begin.
async fn compare(
    tx: &mut Tx,
    verifier: &mut Verifier,
    (mut from, until): (u64, u64),
) -> anyhow::Result<u64> {
    while from < until {
        let page = audit::stored(tx, from, PAGE).await?;
        if page.is_empty() {
            break;
        }
        for (index, hash) in page {
            if index >= until {
                return Ok(from);
            }
            verifier.stored(index, hash);
            from = index.saturating_add(1);
        }
    }
    Ok(from)
}

/// A span of time, open at either end.
type Between = (Option<DateTime<Utc>>, Option<DateTime<Utc>>);

async fn write(
    tx: &mut Tx,
    config: &Config,
    (path, (since, until)): (&Path, Between),
    out: &mut Out,
) -> anyhow::Result<ExitCode> {
    let Some(key) = own_key(config)? else {
        return refuse(USAGE, NO_KEY);
    };
    let size = audit::size(tx).await?;
    let first = bound(tx, since, size).await?.unwrap_or(0);
    let end = bound(tx, until, size).await?.unwrap_or(size);
    let heads = audit::checkpoints(tx, 0, u32::MAX).await?;
    let sizes: Vec<u64> = heads.iter().map(|head| head.size).collect();
    let chosen = export::heads(first, end, &sizes);
    let Some(last) = chosen.last().copied().filter(|last| *last > first) else {
        let what = "nothing of that period is signed yet; `tripline serve` and `tripline check` sign the log";
        return refuse(NOT_CHECKED, what);
    };
    let within = |head: &&audit::Checkpoint| chosen.contains(&head.size);
    let notes: Vec<String> = heads
        .iter()
        .filter(within)
        .map(|head| head.note.clone())
        .collect();
    let period = Period {
        origin: key.origin(),
        edge: &audit::edge(tx, first).await?,
        size: last,
        keys: std::slice::from_ref(&key),
        notes: &notes,
        steps: &steps(tx, chosen).await?,
    };
    copy(tx, Writer::create(path, &period)?, (first, last)).await?;
    let trust = Trust {
        keys: vec![key.clone()],
        ..Trust::default()
    };
    let report = export::verify(path, trust)?;
    let code = say(&report, &path.display().to_string(), out)?;
    if out.format() == Format::Table && size > last && until.is_none() {
        let left = size - last;
        out.line(format!(
            "  the last {left} leaves of the log are signed by no head yet and were left out"
        ))?;
    }
    Ok(code)
}

/// The first leaf at an instant or later; the end of the log when there is none.
async fn bound(tx: &mut Tx, at: Option<DateTime<Utc>>, size: u64) -> anyhow::Result<Option<u64>> {
    let Some(at) = at else { return Ok(None) };
    Ok(Some(audit::first_since(tx, at).await?.unwrap_or(size)))
}

/// The proofs that each head continues the one before.
async fn steps(tx: &mut Tx, sizes: &[u64]) -> anyhow::Result<Vec<Step>> {
    let mut steps = Vec::new();
    for (&old, &new) in sizes.iter().zip(sizes.iter().skip(1)) {
        let wanted = log::consistency_indexes(new, old)?;
        let hashes = audit::hashes(tx, &wanted).await?;
        let proof = log::consistency(new, old, &hashes)?;
        steps.push(Step { old, new, proof });
    }
    Ok(steps)
}

async fn copy(tx: &mut Tx, mut to: Writer, (first, end): (u64, u64)) -> anyhow::Result<()> {
    let mut from = first;
    while from < end {
        let page = audit::leaves(tx, from, PAGE).await?;
        let Some(last) = page.last() else { break };
        from = last.seq.saturating_add(1);
        for leaf in page.iter().filter(|leaf| leaf.seq < end) {
            to.leaf(leaf.seq, &leaf.bytes)?;
        }
    }
    Ok(to.finish()?)
}

/// Says what a verification found, and what it comes to as an exit code.
fn say(report: &Report, what: &str, out: &mut Out) -> anyhow::Result<ExitCode> {
    let (code, ink, word) = match report.verdict {
        Verdict::Intact => (CLEAN, Ink::Good, "Intact"),
        Verdict::Broken => (INTERNAL, Ink::Bad, "Broken"),
        Verdict::Unproven => (NOT_CHECKED, Ink::Warn, "Unproven"),
    };
    if out.format() != Format::Table {
        out.json(&json!(report))?;
        return Ok(ExitCode::from(code));
    }
    let word = out.ink(ink, word);
    out.line(format!("{word}: {what}"))?;
    for line in lines(report) {
        out.line(format!("  {line}"))?;
    }
    Ok(ExitCode::from(code))
}

/// A report as people read it, without its verdict.
fn lines(report: &Report) -> Vec<String> {
    let root = report
        .root
        .map_or_else(|| "unknown".to_owned(), |root| root.to_string());
    let leaves = report.size.saturating_sub(report.first);
    let mut lines = vec![
        format!("{leaves} leaves from number {}, root {root}", report.first),
        format!(
            "{} signed heads, which hold for the leaves before number {}",
            report.checkpoints, report.signed
        ),
    ];
    if report.size > report.signed {
        let open = report.size - report.signed;
        lines.push(format!(
            "the last {open} leaves are signed by no head yet and could still be rewritten"
        ));
    }
    if report.unchecked > 0 {
        let outside = report.unchecked;
        lines.push(format!(
            "{outside} of the anchors lie outside of it and prove nothing here"
        ));
    }
    for fingerprint in &report.fingerprints {
        let from = if report.keys_given {
            "given"
        } else {
            "its own: compare it with one that you have from elsewhere"
        };
        lines.push(format!("key {fingerprint} ({from})"));
    }
    let problem =
        |p: &crate::audit::report::Problem| format!("{} at {}: {}", p.fault, p.at, p.what);
    lines.extend(report.problems.iter().map(problem));
    lines
}
