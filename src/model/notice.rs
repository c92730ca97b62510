//! What is owed to whom: items, grouped into batches, sent as messages.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    id::{ChannelId, ControlId, FindingKey, NoticeId},
    people::Principal,
};
use crate::choice;

choice! {
    /// What a notice is about.
    pub enum Kind {
        /// A deviation.
        Finding = "finding",
        /// A source that cannot be read.
        Gap = "gap",
        /// A policy that is questioned.
        Signal = "signal",
        /// An exception.
        Exception = "exception",
        /// Tripline itself: a dead letter, a refused reload, a bad address.
        Operation = "operation",
        /// A report.
        Report = "report",
        /// A person's digest.
        Digest = "digest",
    }
}

choice! {
    /// How a notice travels.
    pub enum Mode {
        /// At once, after the group wait.
        Alert = "alert",
        /// With the person's next digest.
        Digest = "digest",
    }
}

choice! {
    /// The one set of words for what happened, in every channel.
    pub enum Word {
        /// A finding opened.
        New = "new",
        /// It opened again.
        Reopened = "reopened",
        /// Digest and pages only.
        StillOpen = "still_open",
        /// Changes too often.
        Flapping = "flapping",
        /// Mended.
        Resolved = "resolved",
        /// Gone.
        Retired = "retired",
        /// An exception holds.
        Covered = "covered",
        /// An exception no longer holds.
        NoLongerCovered = "no_longer_covered",
        /// Evidence is missing, stale or partial.
        NotChecked = "not_checked",
        /// Evidence is there again.
        CheckedAgain = "checked_again",
        /// Somebody asks for an exception.
        Requested = "requested",
        /// A request lacks something.
        InfoNeeded = "info_needed",
        /// A request was decided.
        Decided = "decided",
        /// A condition of an exception does not hold, and the exception goes on.
        ConditionFailed = "condition_failed",
        /// An exception is out of force before its time.
        Ended = "ended",
        /// A repeated pattern questions a policy.
        Questioned = "questioned",
        /// A report was made.
        Reported = "reported",
        /// Something about Tripline itself.
        Operation = "operation",
    }
}

impl Word {
    /// As people read it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::New => "New",
            Self::Reopened => "Reopened",
            Self::StillOpen => "Still open",
            Self::Flapping => "Flapping",
            Self::Resolved => "Resolved",
            Self::Retired => "Retired",
            Self::Covered => "Covered",
            Self::NoLongerCovered => "No longer covered",
            Self::NotChecked => "Not checked",
            Self::CheckedAgain => "Checked again",
            Self::Requested => "Decision wanted",
            Self::InfoNeeded => "Information needed",
            Self::Decided => "Decided",
            Self::ConditionFailed => "Condition not met",
            Self::Ended => "Out of force",
            Self::Questioned => "Policy questioned",
            Self::Reported => "Report",
            Self::Operation => "Tripline",
        }
    }
}

/// One thing owed to one recipient on one channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// `finding:episode:transition:channel:recipient`; unique, so that planning twice changes nothing.
    pub key: String,
    /// What it is about.
    pub kind: Kind,
    /// What happened.
    pub word: Word,
    /// How it travels.
    pub mode: Mode,
    /// Items of one group become one message: control, owner, channel, recipient, word class.
    pub group: String,
    /// The channel.
    pub channel: ChannelId,
    /// Who, on a channel that knows people.
    pub recipient: Option<Principal>,
    /// The finding.
    pub finding: Option<FindingKey>,
    /// Its episode.
    pub episode: u32,
    /// The control.
    pub control: Option<ControlId>,
    /// Why it is owed: the route and its reason.
    pub reason: String,
    /// What the message says, as facts for the template.
    pub facts: serde_json::Value,
    /// When it was planned.
    pub planned_at: DateTime<Utc>,
    /// Not before: the end of the group wait.
    pub due_at: DateTime<Utc>,
}

choice! {
    /// What became of a batch.
    pub enum Delivery {
        /// To be sent.
        Due = "due",
        /// Accepted by the receiver.
        Sent = "sent",
        /// Not sent, because nothing was left to say; the reason is stored.
        Dropped = "dropped",
        /// Given up: reported by a notice of its own.
        Dead = "dead",
    }
}

/// One message with one id: sealed once, sent until it is accepted or dead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// The id that travels to the receiver, the same for each attempt.
    pub id: NoticeId,
    /// The channel.
    pub channel: ChannelId,
    /// Who.
    pub recipient: Option<Principal>,
    /// How it travels.
    pub mode: Mode,
    /// The group of its items, so that later ones of the same group know what was told and when; nothing for a digest.
    pub group: Option<String>,
    /// The keys of its items.
    pub items: Vec<String>,
    /// The rendered message, in the form of its channel.
    pub message: serde_json::Value,
    /// Attempts so far.
    pub attempts: u32,
    /// How many of them got no answer after the message was out, so that the receiver may have it.
    pub ambiguous: u32,
    /// When the next attempt is due.
    pub due_at: DateTime<Utc>,
    /// When it was sealed.
    pub sealed_at: DateTime<Utc>,
    /// What became of it.
    pub state: Delivery,
    /// The last error, or why it was dropped.
    pub last_error: Option<String>,
    /// Grows with every claim; a worker writes only under its own.
    pub fence: i64,
}
