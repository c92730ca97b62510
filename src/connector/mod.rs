//! Reads other people's systems. Never writes to them, never reads a secret's value, and never calls
//! something complete that may not be: a collection is a value even when it failed.
//!
//! The seam between the common part and the kinds: the common part ([`collect`]) decides which
//! datasets are read, in which order, for which parent rows, how often, and whether the result is whole.
//! A kind is a [`Reader`]: it reads *one* dataset for *one* parent row (or none), with its own retries
//! and paging, and hands each answer as a JSON document to a [`Sink`]. The sink finds the rows in it
//! (`rows:`), makes typed columns of them ([`columns::Shaper`]), and says how many there were. Kinds without
//! documents (SQL, sheets, separated values) hand over a header and flat rows.
//!
//! What a kind must tell: each request, page and byte to the [`Meter`]; a declared total and warnings
//! in [`Read`]. What it must not do: drop a row, stop early without an error, or retry a whole dataset.

pub mod aws;
pub mod cell;
pub mod coerce;
mod collect;
pub mod columns;
pub mod complete;
pub mod content;
mod documents;
pub mod error;
pub mod file;
pub mod http;
mod intake;
pub mod moment;
mod pass;
pub mod redact;
pub mod rows;
mod separated;
pub mod settings;
pub mod sql;
#[cfg(test)]
mod testing;
pub mod tls;
mod workbook;
pub mod xml;

use std::{
    collections::HashSet,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use self::{
    aws::Account,
    error::Result,
    file::Folder,
    http::{Http, Means, auth::Sessions, tape::Tape},
    settings::{Parent, Settings},
    sql::Database,
};

pub use self::collect::collect;
use crate::{
    catalog::{
        connector::{Dataset, Kind, dataset::ConfirmGone, http::Probe},
        source::Source,
    },
    clock::SharedClock,
    model::{
        id::{DatasetName, Sha},
        outcome::Unknown,
        snapshot::{Completeness, Effort, Snapshot},
        table::Table,
    },
};

/// What is to be collected.
#[derive(Clone)]
pub struct Request<'a> {
    /// From where.
    pub source: &'a Source,
    /// Which datasets; empty means all. Views are not collected.
    pub datasets: &'a [String],
    /// What was collected before.
    pub last: &'a dyn Last,
    /// For the times of the collection.
    pub clock: SharedClock,
    /// Where tokens are kept between collections.
    pub sessions: &'a Sessions,
    /// Whether the collection is recorded, or read from a recording.
    pub tape: &'a Tape,
    /// Ends the collection early.
    pub cancel: CancellationToken,
    /// Who is told how far it is.
    pub progress: Option<&'a dyn Progress>,
}

/// What was collected before, as far as completeness needs to know it.
#[async_trait]
pub trait Last: Send + Sync {
    /// The last snapshot of a dataset that was whole, or that a person accepted.
    async fn whole(&self, dataset: &str) -> Option<Snapshot>;

    /// The keys of the rows of that snapshot, as [`collect`] writes them: the key columns as a JSON array.
    async fn keys(&self, dataset: &str) -> Option<HashSet<String>>;

    /// The snapshot after the last whole one, if it is suspect: a second equal read confirms it.
    async fn suspect(&self, dataset: &str) -> Option<Snapshot>;
}

/// Who is told how far a collection is.
pub trait Progress: Send + Sync {
    /// So many rows of a dataset were read so far.
    fn rows(&self, dataset: &str, rows: u64);
}

/// One collection of one dataset: rows, and whether they are all there.
#[derive(Debug, Clone, PartialEq)]
pub struct Collection {
    /// What was collected.
    pub dataset: DatasetName,
    /// The rows; absent when nothing usable was read.
    pub table: Option<Table>,
    /// Whether it may be believed.
    pub status: Completeness,
    /// Why it is not whole, as a word.
    pub unknown: Option<Unknown>,
    /// Why, in one sentence for people.
    pub reason: Option<String>,
    /// How it went, in numbers.
    pub effort: Effort,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: DateTime<Utc>,
    /// SHA-256 of the canonical rows, sorted by key.
    pub content: Option<Sha>,
    /// Digest of the connector's definition of this dataset.
    pub definition: Sha,
    /// Digest of what was asked for, with the settings and without secrets.
    pub scope: Sha,
    /// Who we were for the source, if a probe told.
    pub identity: Option<String>,
    /// Ids that the source gave to our requests.
    pub request_ids: Vec<String>,
}

/// Makes ready to read a source: reads its secrets, checks its address.
fn open(request: &Request<'_>) -> Result<Box<dyn Reader>> {
    let source = request.source;
    let means = Means {
        sessions: request.sessions,
        tape: request.tape,
        clock: &request.clock,
    };
    Ok(match &source.connector.kind {
        Kind::Http(http) => Box::new(Http::open(http, source, means)?),
        Kind::Sql(sql) => Box::new(Database::new(source, sql, &Settings::read(source)?)?),
        Kind::File(files) => Box::new(Folder::new(
            files,
            &Settings::read(source)?,
            request.clock.now(),
        )?),
        Kind::Aws(aws) => Box::new(Account::open(aws, source, means)?),
    })
}

/// How one kind reads.
#[async_trait]
pub trait Reader: Send + Sync {
    /// Asks the probes. Gives who we are for the source, if one of them tells; a wrong answer is [`error::Error::Blind`].
    async fn prove(&self, probes: &[Probe], meter: &Meter) -> Result<Option<String>>;

    /// Reads all pages of a dataset for one parent row, or for none.
    async fn read(&self, ask: Asking<'_>, sink: &mut dyn Sink) -> Result<Read>;

    /// Asks for one row by its key.
    async fn confirm(&self, gone: &ConfirmGone, key: &Parent, meter: &Meter) -> Result<Confirmed>;
}

/// Whether a row that is no longer listed is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmed {
    /// The source says so.
    Gone,
    /// It is still there: the list left it out.
    There,
}

/// What a kind is to read.
#[derive(Clone, Copy)]
pub struct Asking<'a> {
    /// The dataset.
    pub dataset: &'a Dataset,
    /// The rows it is read for: for `each`, the parent under its alias, and that one's parents.
    pub parents: &'a [Parent],
    /// Where effort is counted.
    pub meter: &'a Meter,
}

/// Where a kind hands its answers.
pub trait Sink: Send {
    /// Takes one answer. `beside` is what a kind adds to the parents of its rows (`aws`). A document
    /// without rows where they should be is [`error::Error::Garbage`]; count them with [`rows::locate`].
    fn page(&mut self, document: Value, beside: Vec<Parent>) -> Result<()>;

    /// Takes the names of the columns of flat rows (a statement's, a sheet's), before the first of
    /// them. Gives the places that are read; without a column that must be there it is [`error::Error::Header`].
    fn header(&mut self, names: &[String]) -> Result<Vec<usize>>;

    /// Takes one flat row: a value for each name of the header.
    fn cells(&mut self, row: &[cell::Cell<'_>]) -> Result<()>;

    /// Forgets every page of this read: the list is begun again.
    fn restart(&mut self);
}

/// What a kind learnt while it read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Read {
    /// How many rows the source says there are.
    pub total: Option<u64>,
    /// What the source says it left out.
    pub warnings: Vec<String>,
    /// Whether a list took more than one answer without the source promising that they belong together:
    /// then a row that moved meanwhile may have been missed.
    pub drifts: bool,
    /// Whether the parent row vanished between list and read.
    pub gone: bool,
}

/// Counts effort while it is made, so that it is known after a failure too.
#[derive(Debug, Default)]
pub struct Meter {
    pages: AtomicU64,
    requests: AtomicU64,
    bytes: AtomicU64,
    gone: AtomicU64,
    ids: Mutex<Vec<String>>,
}

/// Ids of requests that are kept of one collection.
const MAX_IDS: usize = 20;

impl Meter {
    /// A request was sent.
    pub fn request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// A page was read.
    pub fn page(&self) {
        self.pages.fetch_add(1, Ordering::Relaxed);
    }

    /// So many bytes of a body were read.
    pub fn bytes(&self, count: u64) {
        self.bytes.fetch_add(count, Ordering::Relaxed);
    }

    /// A parent row vanished between list and read.
    pub fn gone(&self) {
        self.gone.fetch_add(1, Ordering::Relaxed);
    }

    /// The source gave our request an id.
    pub fn id(&self, id: &str) {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        if ids.len() < MAX_IDS {
            ids.push(id.chars().take(100).collect());
        }
    }

    /// What was counted.
    pub fn effort(&self) -> Effort {
        Effort {
            pages: self.pages.load(Ordering::Relaxed),
            requests: self.requests.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            gone: self.gone.load(Ordering::Relaxed),
            duplicates: 0,
        }
    }

    /// The ids that the source gave.
    pub fn ids(&self) -> Vec<String> {
        self.ids
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
