//! What a digest says of exceptions: what waits for its reader, and what ends soon.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::text;

/// An exception of the reader that ends soon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// Its id.
    pub exception: String,
    /// What it covers.
    pub covers: String,
    /// When it ends.
    pub ends_at: DateTime<Utc>,
    /// Whether this is one of the days on which its end is announced.
    pub is_announced_now: bool,
}

/// Something about an exception that waits for the reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The exception.
    pub exception: String,
    /// In a few words.
    pub title: String,
    /// What is to be done.
    pub what: String,
    /// By when.
    pub due_at: Option<DateTime<Utc>>,
}

impl Waiting {
    /// As a digest shows it.
    pub(super) fn row(&self, now: DateTime<Utc>) -> Value {
        let line = match self.due_at {
            Some(due) if due < now => format!("overdue by {}", text::length(now - due)),
            Some(due) => format!("due in {}", text::length(due - now)),
            None => "no date".to_owned(),
        };
        json!({
            "label": "WAITS",
            "tone": if self.due_at.is_some_and(|due| due < now) { "bad" } else { "calm" },
            "sentence": format!("{}: {} ({})", self.exception, self.what, self.title),
            "line": line,
        })
    }
}

impl Ending {
    /// As a digest shows it.
    pub(super) fn row(&self, now: DateTime<Utc>) -> Value {
        let left = text::length(self.ends_at - now);
        json!({
            "label": "ENDS SOON",
            "tone": "warn",
            "sentence": format!("{} covers {}", self.exception, self.covers),
            "line": format!("ends {}, in {left}", text::day(self.ends_at.date_naive())),
        })
    }
}
