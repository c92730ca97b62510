//! `tripline doctor`: whether everything that Tripline leans on holds, and what to do about what does not.

use std::{os::unix::fs::PermissionsExt as _, path::Path, process::ExitCode};

use chrono::TimeDelta;
use serde_json::json;

use super::{
    CLEAN, NOT_CHECKED,
    open::Opened,
    out::{Format, Ink, Out, column, counted},
    runs::object,
};
use crate::{
    config::file::{Address, Ping},
    daemon::signing::{self, Signer},
    evidence::options::Home,
    model::snapshot::Completeness,
    store,
};

/// One thing that was looked at.
struct Looked {
    what: String,
    trouble: Option<(String, String)>,
}

impl Looked {
    fn fine(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            trouble: None,
        }
    }

    fn wrong(what: impl Into<String>, why: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            trouble: Some((why.into(), mend.into())),
        }
    }
}

/// How far the database's clock may be from ours.
const SKEW: TimeDelta = TimeDelta::seconds(30);

/// Looks at everything. Reads each source once. Exit code 3 when something does not hold.
///
/// # Errors
/// The output cannot be written.
pub(super) async fn run(opened: &Opened, out: &mut Out) -> anyhow::Result<ExitCode> {
    let mut all = vec![Looked::fine(format!(
        "files: {}, {}",
        counted(opened.set.catalog.controls.len() as u64, "control"),
        counted(opened.set.catalog.sources.len() as u64, "source")
    ))];
    if opened.config.rehearsal {
        all.push(Looked::fine(
            "rehearsal: time is played with here, and nothing that is recorded proves when it was done; take `rehearsal:` out of \
             tripline.yaml before anybody relies on this installation",
        ));
    }
    all.push(clock(opened).await);
    all.push(key(opened).await);
    all.extend(secrecy(opened));
    all.extend(people(opened).await);
    for source in opened.set.catalog.sources.values() {
        if out.is_terminal() {
            Out::stderr().line(format!("reading {} …", source.id))?;
        }
        all.extend(read(opened, source).await);
    }
    let is_well = all.iter().all(|l| l.trouble.is_none());
    if out.format() == Format::Table {
        for one in &all {
            match &one.trouble {
                None => out.line(format!("{}  {}", out.ink(Ink::Good, "ok   "), one.what))?,
                Some((why, mend)) => {
                    out.line(format!(
                        "{}  {}: {why}",
                        out.ink(Ink::Bad, "wrong"),
                        one.what
                    ))?;
                    out.line(format!("       {mend}"))?;
                }
            }
        }
    } else {
        let rows = all.iter().map(|l| {
            object(json!({
                "what": l.what,
                "ok": l.trouble.is_none(),
                "why": l.trouble.as_ref().map(|t| &t.0),
                "mend": l.trouble.as_ref().map(|t| &t.1),
            }))
        });
        out.list(&["what", "ok", "why", "mend"].map(|c| column(c, c)), rows)?;
    }
    Ok(ExitCode::from(if is_well { CLEAN } else { NOT_CHECKED }))
}

/// The store answers, and tells the same time.
async fn clock(opened: &Opened) -> Looked {
    let asked = async {
        let mut tx = opened.store().read().await?;
        store::now(&mut tx).await
    };
    match asked.await {
        Err(error) => Looked::wrong("store", error.to_string(), "see `store:` in tripline.yaml"),
        Ok(theirs) if (theirs - opened.now()).abs() > SKEW => Looked::wrong(
            "clock",
            format!("the database says {theirs}, this machine {}", opened.now()),
            "let both keep time by NTP: leases and evidence depend on it",
        ),
        Ok(_) => Looked::fine(format!(
            "store: {}, schema current, clocks agree",
            opened.config.store
        )),
    }
}

/// The key that signs the log is ours alone, and signed the log that is in the store.
async fn key(opened: &Opened) -> Looked {
    let config = &opened.config;
    let path = config.root.join(&config.audit.key.file);
    match signing::began(opened.store(), config).await {
        Ok(false) => {
            let what = format!("audit key: {} is made at the first start", path.display());
            return Looked::fine(what);
        }
        Ok(true) => {}
        Err(error) => return Looked::wrong("audit key", format!("{error:#}"), "see `store:`"),
    }
    match Signer::open(opened.store(), config).await {
        Ok(_) => Looked::fine(format!(
            "audit key: {}, and the log in the store is the one that it signed",
            path.display()
        )),
        Err(error) => Looked::wrong(
            "audit key",
            format!("{error:#}"),
            "see `audit:` in tripline.yaml and docs/guides/operations.md",
        ),
    }
}

/// Nobody else reads what is kept.
fn secrecy(opened: &Opened) -> Vec<Looked> {
    let mut kept: Vec<&Path> = Vec::new();
    if let store::Options::Sqlite(path) = &opened.config.store {
        kept.push(path);
    }
    if let Home::Folder(path) = &opened.config.evidence.0.at {
        kept.push(path);
    }
    let open = |path: &&Path| {
        let mode = std::fs::metadata(path).map(|about| about.permissions().mode());
        mode.is_ok_and(|mode| mode & 0o077 != 0)
    };
    let wrong = kept.into_iter().filter(open).map(|path| {
        let path = path.display();
        Looked::wrong(
            "what is kept",
            format!("others may read {path}: findings, evidence and addresses are in it"),
            format!("chmod go= {path}"),
        )
    });
    wrong.collect()
}

/// Somebody hears of what goes wrong, and every channel lets us in.
async fn people(opened: &Opened) -> Vec<Looked> {
    let notify = &opened.config.notify;
    let mut all = Vec::new();
    if notify.routes.is_empty() {
        all.push(Looked::wrong(
            "notices",
            "there is no route: only owners are told, by mail, if there is a mail channel",
            "add `channels:` and `routes:` to tripline.yaml",
        ));
    } else {
        let routes = counted(notify.routes.len() as u64, "route");
        all.push(Looked::fine(format!("notices: {routes}")));
    }
    for (name, channel) in notify.channels.iter() {
        let what = format!("channel {}", name.text);
        all.push(match channel.reach().await {
            Ok(said) => Looked::fine(format!("{what}: {said}")),
            Err(error) => Looked::wrong(
                what,
                error.to_string(),
                format!("see `channels.{}` in tripline.yaml", name.text),
            ),
        });
    }
    if let Some(Ping {
        url: Address::Secret(secret),
        ..
    }) = &opened.config.ping
        && let Err(error) = secret.read()
    {
        all.push(Looked::wrong(
            "ping",
            error.to_string(),
            "see `ping:` in tripline.yaml",
        ));
    }
    all
}

/// A source can be read, whole.
async fn read(opened: &Opened, source: &crate::catalog::source::Source) -> Vec<Looked> {
    let what = |dataset: &str| format!("source {}.{dataset}", source.id);
    match opened.cx.collector.collect(source, &[]).await {
        Err(error) => vec![Looked::wrong(
            format!("source {}", source.id),
            error.to_string(),
            "see `evidence:` and `store:` in tripline.yaml",
        )],
        Ok(snapshots) => snapshots
            .into_iter()
            .map(|s| {
                let name = what(&s.dataset.dataset);
                match s.status {
                    Completeness::Complete | Completeness::Unchanged => {
                        Looked::fine(format!("{name}: {} rows", s.rows))
                    }
                    other => Looked::wrong(
                        name,
                        s.reason.unwrap_or_else(|| other.to_string()),
                        format!("controls that read it say unknown; `sources.{}` in tripline.yaml has its settings", source.id),
                    ),
                }
            })
            .collect(),
    }
}
