//! One immutable collection of a dataset, and whether it may be believed.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    id::{DatasetName, Sha, SnapshotId},
    outcome::Unknown,
    span::Span,
};
use crate::choice;

choice! {
    /// Whether a snapshot may be believed. Decided once, by the collector, never by a control's author.
    pub enum Completeness {
        /// Every rule holds.
        Complete = "complete",
        /// Complete, and equal to the last one.
        Unchanged = "unchanged",
        /// Some rows are missing, and we know it.
        Partial = "partial",
        /// Plausible transport, implausible content: held until a second equal read or a person accepts it.
        Suspect = "suspect",
        /// Nothing usable, or lost visibility.
        Failed = "failed",
    }
}

impl Completeness {
    /// Whether outcomes may be drawn from it in both directions.
    pub const fn is_whole(self) -> bool {
        matches!(self, Self::Complete | Self::Unchanged)
    }
}

/// How a collection went, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Effort {
    /// Pages read.
    pub pages: u64,
    /// Requests sent, retries included.
    pub requests: u64,
    /// Bytes of bodies read.
    pub bytes: u64,
    /// Children that vanished between list and read.
    pub gone: u64,
    /// Keys that came more than once.
    pub duplicates: u64,
}

/// One immutable collection of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Its id.
    pub id: SnapshotId,
    /// What was collected.
    pub dataset: DatasetName,
    /// Whether it may be believed.
    pub status: Completeness,
    /// Why it is not whole, as a word.
    pub unknown: Option<Unknown>,
    /// Why, in one sentence for people ("got 187 of 250 rows").
    pub reason: Option<String>,
    /// Rows it holds.
    pub rows: u64,
    /// How the collection went.
    pub effort: Effort,
    /// When the collection began.
    pub started_at: DateTime<Utc>,
    /// When it ended: the age of the evidence counts from the start.
    pub ended_at: DateTime<Utc>,
    /// SHA-256 of the canonical rows, sorted by key; absent when nothing was read.
    pub content: Option<Sha>,
    /// SHA-256 of the stored object, which is also its name in the evidence store.
    pub object: Option<Sha>,
    /// Digest of the columns.
    pub schema: Sha,
    /// Digest of the connector's definition of this dataset.
    pub definition: Sha,
    /// Digest of what was asked for: address, path, filter, key, settings without secrets.
    pub scope: Sha,
    /// Who we were for the source, if a probe told.
    pub identity: Option<String>,
    /// Ids that the source gave to our requests, for its support.
    pub request_ids: Vec<String>,
}

impl Snapshot {
    /// The age of the evidence at an instant. The start counts, because a row may have changed right after it was read.
    pub fn age(&self, now: DateTime<Utc>) -> chrono::TimeDelta {
        now - self.started_at
    }

    /// Why an outcome may not be drawn from it at `now`, or nothing when it may.
    pub fn objection(&self, max_age: Span, now: DateTime<Utc>) -> Option<Unknown> {
        if !self.status.is_whole() {
            return Some(self.unknown.unwrap_or(Unknown::Incomplete));
        }
        if self.started_at > now + chrono::TimeDelta::minutes(5) {
            return Some(Unknown::ClockSkew);
        }
        (self.age(now) > max_age.to_delta()).then_some(Unknown::Stale)
    }
}
