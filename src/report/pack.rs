//! The evidence for one question, as one signed folder: "is an approved exception process mandated by the governance
//! programme established, and followed whenever a deviation from an established policy occurs?" Each file stands in a
//! manifest by its SHA-256, and the manifest is signed.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{
    Error, changes, process,
    sample::{self, Draw},
};
use crate::{
    audit::key::Key,
    clock::stamp,
    model::id::Sha,
    run::Set,
    store::{Tx, audit, coverage, exceptions, packages},
};

/// The question that the pack answers.
const QUESTION: &str = "Is an approved exception process mandated by the governance program established and followed \
    whenever a deviation from an established policy occurs?";

/// How long the signature of a manifest is to be believed without asking us again.
const BELIEVED: TimeDelta = TimeDelta::days(3650);

/// What a pack is made of.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// Who asks it of us.
    pub organisation: &'a str,
    /// The period.
    pub period: (DateTime<Utc>, DateTime<Utc>),
    /// The sample.
    pub draw: Draw,
}

/// Writes a pack into a folder that is empty or not there yet. Gives how many files it has.
///
/// # Errors
/// When the store cannot be read, or a file not be written.
pub async fn write(
    tx: &mut Tx,
    set: &Set,
    (folder, key): (&Path, &Key),
    wanted: &Wanted<'_>,
    now: DateTime<Utc>,
) -> Result<usize, Error> {
    let file = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::File { path, source }
    };
    if folder.exists() && fs::read_dir(folder).map_err(file(folder))?.next().is_some() {
        return Err(Error::NotEmpty(folder.to_owned()));
    }
    fs::create_dir_all(folder).map_err(file(folder))?;
    let all = exceptions::list(tx, &exceptions::Filter::default()).await?;
    let mut register = Vec::new();
    let mut seen: BTreeMap<String, Value> = BTreeMap::new();
    for record in &all {
        let events = exceptions::events(tx, &record.id).await?;
        let events: Vec<Value> = events
            .iter()
            .map(|e| json!({ "at": e.at, "actor": e.actor, "act": e.act, "before": e.before, "after": e.after, "reason": e.reason }))
            .collect();
        let covered = coverage::covered_by(tx, &record.id).await?;
        let covered: Vec<Value> = covered
            .iter()
            .map(|c| json!({ "finding": c.finding, "from": c.opened_at, "until": c.closed_at, "because": c.closed_because }))
            .collect();
        register.push(json!({ "stands": record.state_at(now), "record": record, "history": events, "silent": covered }));
        for (digest, package) in packages::of(tx, &record.id).await? {
            seen.insert(digest.to_string(), package.body);
        }
    }
    let drawn = sample::draw(tx, &wanted.draw, now).await?;
    let deviated = changes::of_period(tx, wanted.period).await?;
    let head = audit::last_checkpoint(tx).await?;
    let without = deviated
        .iter()
        .filter(|d| d.verdict == "not_authorised")
        .count();
    let objections = drawn.iter().filter(|d| !d.objections.is_empty()).count();
    let answer = format!(
        "# {QUESTION}\n\nAnswered for {} at {now} for the time from {} to {}.\n\n\
         - The process, as it is configured and enforced: `process.md`.\n\
         - {} exceptions of every outcome, with terms, decisions, history and what each made silent: `register.json`.\n\
         - What each approver was shown, by digest: `packages.json` ({}).\n\
         - {} deviations began in the period; {without} of them were not authorised by an exception, and were alerted: `changes.json`.\n\
         - A sample of {} drawn with the seed `{}`; {objections} with objections: `sample.json`.\n\
         - The newest signed head of the audit log: `checkpoint.txt`. `tripline audit verify` checks the log against it.\n\n\
         `manifest.json` names every file by SHA-256; `manifest.jws` signs it (EdDSA, key in `key.json`).\n",
        wanted.organisation,
        wanted.period.0,
        wanted.period.1,
        all.len(),
        seen.len(),
        deviated.len(),
        drawn.len(),
        wanted.draw.seed,
    );
    let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap_or_default() + "\n";
    let files: Vec<(&str, String)> = vec![
        ("README.md", answer),
        (
            "process.md",
            process::markdown(&set.catalog, wanted.organisation),
        ),
        ("register.json", pretty(&json!(register))),
        ("packages.json", pretty(&json!(seen))),
        ("changes.json", pretty(&json!(deviated))),
        ("sample.json", pretty(&json!(drawn))),
        ("checkpoint.txt", head.map_or_else(String::new, |h| h.note)),
        ("key.json", pretty(&key.tokens().jwk())),
    ];
    let mut manifest: BTreeMap<&str, String> = BTreeMap::new();
    for (name, text) in &files {
        let path: PathBuf = folder.join(name);
        fs::write(&path, text).map_err(file(&path))?;
        manifest.insert(name, Sha::of(text).to_string());
    }
    let manifest = pretty(&json!({ "question": QUESTION, "made_at": now, "files": manifest }));
    let path = folder.join("manifest.json");
    fs::write(&path, &manifest).map_err(file(&path))?;
    let claims = json!({ "manifest_sha256": Sha::of(&manifest) });
    let signed = key
        .tokens()
        .sign(
            ("manifest.json", stamp("pack-", now)),
            claims.as_object().cloned().unwrap_or_default(),
            (now, now + BELIEVED),
        )
        .map_err(|e| Error::Sign(e.to_string()))?;
    let path = folder.join("manifest.jws");
    fs::write(&path, signed + "\n").map_err(file(&path))?;
    Ok(files.len() + 2)
}
