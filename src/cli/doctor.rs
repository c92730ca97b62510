//! `tripline doctor`: whether everything that Tripline leans on holds, and what to do about what does not.

use std::{os::unix::fs::PermissionsExt as _, process::ExitCode};

use chrono::TimeDelta;
use serde_json::json;

use super::{
    CLEAN, NOT_CHECKED,
    open::Opened,
    out::{Format, Ink, Out, column},
    runs::object,
};
use crate::{model::snapshot::Completeness, store};

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
        "files: {} controls, {} sources",
        opened.set.catalog.controls.len(),
        opened.set.catalog.sources.len()
    ))];
    all.push(clock(opened).await);
    all.push(key(opened));
    all.push(people(opened));
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

/// The key that signs the log is ours alone.
fn key(opened: &Opened) -> Looked {
    let path = opened.config.root.join(&opened.config.audit.key.file);
    match std::fs::metadata(&path) {
        Err(_) => Looked::fine(format!(
            "audit key: {} is made at the first start",
            path.display()
        )),
        Ok(about) if about.permissions().mode() & 0o077 != 0 => Looked::wrong(
            "audit key",
            format!("others may read {}", path.display()),
            format!("chmod 600 {}", path.display()),
        ),
        Ok(_) => Looked::fine(format!("audit key: {}", path.display())),
    }
}

/// Somebody hears of what goes wrong.
fn people(opened: &Opened) -> Looked {
    if opened.config.notify.routes.is_empty() {
        return Looked::wrong(
            "notices",
            "there is no route: nobody is told anything",
            "add `channels:` and `routes:` to tripline.yaml",
        );
    }
    Looked::fine(format!(
        "notices: {} routes",
        opened.config.notify.routes.len()
    ))
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
