//! Reads files of this machine: separated values, sheets, JSON. A path or a pattern; every file that
//! fits is read, and each must be young enough, because an export that stopped is not an export
//! without changes. A file that changes while it is read is read again. Never reads outside of the
//! folder that a connector names, never follows a link out of it, never writes.

use std::{
    path::{Path, PathBuf},
    time::SystemTime,
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{
    Asking, Confirmed, Meter, Read, Reader, Sink, documents,
    error::{Error, Result},
    separated,
    settings::{Into, Parent, Settings},
    workbook,
};
use crate::{
    catalog::connector::{
        Ask,
        dataset::ConfirmGone,
        http::Probe,
        kinds::{Files, Take},
    },
    model::{size::Size, span::Span},
};

/// The files of one source.
#[derive(Debug)]
pub struct Folder {
    pattern: String,
    inside: Option<PathBuf>,
    take: Take,
    max_age: Option<Span>,
    max_size: Size,
    now: DateTime<Utc>,
}

/// How often a file that changes while it is read is read again.
const TRIES: u32 = 3;

/// A file with the time of its last change and its length.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    path: PathBuf,
    changed: SystemTime,
    length: u64,
}

impl Folder {
    /// Fills in what a connector says of its files. The age of a file counts to `now`.
    pub fn new(files: &Files, settings: &Settings, now: DateTime<Utc>) -> Result<Self> {
        let filled = settings.text(&files.path, &[], Into::Plain)?;
        let pattern = filled.ok_or_else(|| Error::Settings("the path has no value".to_owned()))?;
        let inside = match &files.inside {
            None => None,
            Some(template) => settings
                .text(template, &[], Into::Plain)?
                .map(PathBuf::from),
        };
        Ok(Self {
            pattern,
            inside,
            take: files.take,
            max_age: files.max_age.as_ref().and_then(|age| settings.span(age)),
            max_size: files.max_size,
            now,
        })
    }

    /// The files that fit, sorted by name; at least one.
    async fn find(&self) -> Result<Vec<Found>> {
        let paths = if self.pattern.contains(['*', '?', '[']) {
            self.matches()?
        } else {
            vec![PathBuf::from(&self.pattern)]
        };
        let mut found = Vec::with_capacity(paths.len());
        for path in paths {
            self.allowed(&path).await?;
            found.push(look(path).await?);
        }
        if self.take == Take::Newest
            && let Some(newest) = found
                .iter()
                .max_by_key(|f| (f.changed, f.path.clone()))
                .cloned()
        {
            found = vec![newest];
        }
        Ok(found)
    }

    fn matches(&self) -> Result<Vec<PathBuf>> {
        let strict = glob::MatchOptions {
            require_literal_separator: true,
            require_literal_leading_dot: true,
            case_sensitive: true,
        };
        let paths = glob::glob_with(&self.pattern, strict).map_err(|e| {
            Error::Settings(format!("`{}` is not a pattern: {}", self.pattern, e.msg))
        })?;
        let mut files = Vec::new();
        for path in paths {
            // A folder that cannot be listed may hold files that fit: fewer files is not an answer.
            let path = path.map_err(|e| input(e.path(), std::io::Error::from(e.error().kind())))?;
            if path.is_file() {
                files.push(path);
            }
        }
        if files.is_empty() {
            return Err(Error::input(format!("`{}`", self.pattern), "no file fits"));
        }
        Ok(files)
    }

    /// Refuses a file that is not inside of the folder, wherever links lead.
    async fn allowed(&self, path: &Path) -> Result<()> {
        let Some(inside) = &self.inside else {
            return Ok(());
        };
        let folder = tokio::fs::canonicalize(inside)
            .await
            .map_err(|e| input(inside, e))?;
        let real = tokio::fs::canonicalize(path)
            .await
            .map_err(|e| input(path, e))?;
        if real.starts_with(&folder) {
            Ok(())
        } else {
            Err(Error::Settings(format!(
                "{} is not inside of `{}`",
                shown(path),
                inside.display()
            )))
        }
    }

    /// The content of a file that did not change while it was read.
    async fn content(&self, mut found: Found) -> Result<Vec<u8>> {
        for _ in 0..TRIES {
            self.young(&found)?;
            if found.length > self.max_size.0 {
                return Err(Error::TooLong {
                    at: shown(&found.path),
                    limit: self.max_size,
                });
            }
            let bytes = tokio::fs::read(&found.path)
                .await
                .map_err(|e| input(&found.path, e))?;
            let after = look(found.path.clone()).await?;
            if after == found && bytes.len() as u64 == found.length {
                return Ok(bytes);
            }
            found = after;
        }
        Err(Error::Incomplete(format!(
            "{} changes while it is read; write it elsewhere and move it into its place",
            shown(&found.path)
        )))
    }

    fn young(&self, found: &Found) -> Result<()> {
        let Some(allowed) = self.max_age else {
            return Ok(());
        };
        let age = self.now - DateTime::<Utc>::from(found.changed);
        if age <= allowed.to_delta() {
            return Ok(());
        }
        let seconds = u64::try_from(age.num_seconds()).unwrap_or_default();
        Err(Error::Stale {
            at: shown(&found.path),
            age: Span::secs(seconds),
            allowed,
        })
    }
}

#[async_trait]
impl Reader for Folder {
    async fn prove(&self, _: &[Probe], _: &Meter) -> Result<Option<String>> {
        Ok(None)
    }

    async fn read(&self, ask: Asking<'_>, sink: &mut dyn Sink) -> Result<Read> {
        for found in self.find().await? {
            let at = shown(&found.path);
            ask.meter.request();
            let bytes = self.content(found).await?;
            ask.meter.bytes(bytes.len() as u64);
            match &ask.dataset.ask {
                Ask::Csv(csv) => separated::read(&bytes, csv, &at, sink)?,
                Ask::Xlsx(xlsx) => workbook::read(&bytes, xlsx, &at, sink)?,
                Ask::Json => {
                    sink.page(documents::json(&bytes, &at)?, Vec::new())?;
                }
                Ask::Ndjson => documents::lines(&bytes, &at, ask.dataset.rows.absent, sink)?,
                _ => {
                    return Err(Error::Settings(
                        "a file is `csv`, `xlsx`, `json` or `ndjson`".to_owned(),
                    ));
                }
            }
            ask.meter.page();
        }
        Ok(Read::default())
    }

    async fn confirm(&self, _: &ConfirmGone, _: &Parent, _: &Meter) -> Result<Confirmed> {
        Err(Error::Settings(
            "a file cannot be asked for one row".to_owned(),
        ))
    }
}

async fn look(path: PathBuf) -> Result<Found> {
    let about = tokio::fs::metadata(&path)
        .await
        .map_err(|e| input(&path, e))?;
    if !about.is_file() {
        return Err(Error::input(shown(&path), "it is not a file"));
    }
    Ok(Found {
        changed: about.modified().map_err(|e| input(&path, e))?,
        length: about.len(),
        path,
    })
}

fn shown(path: &Path) -> String {
    format!("`{}`", path.display())
}

fn input(path: &Path, error: std::io::Error) -> Error {
    Error::input(shown(path), error)
}
