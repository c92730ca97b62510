//! Items that go out as one message, and what the message says as a whole. Each channel writes the
//! same bundle in its own form. Pure.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{
    error::{Error, Result},
    facts::Facts,
    text,
};
use crate::model::{
    finding::Origin,
    id::{NoticeId, Sha},
    notice::{Item, Kind, Word},
    policy::Severity,
};

/// Where this Tripline is, for links and senders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Whose it is.
    pub organisation: String,
    /// Where people reach it.
    pub url: Option<url::Url>,
}

impl Site {
    /// Where a finding can be read.
    pub fn link(&self, finding: &str) -> Option<String> {
        self.under(&["findings", finding])
    }

    /// An address below ours.
    pub fn under(&self, path: &[&str]) -> Option<String> {
        let mut url = self.url.clone()?;
        url.path_segments_mut().ok()?.pop_if_empty().extend(path);
        Some(url.into())
    }

    /// Us as the source of an event: a URI reference.
    pub fn source(&self) -> String {
        self.url.as_ref().map_or_else(
            || {
                let name = percent_encoding::utf8_percent_encode(
                    &self.organisation,
                    percent_encoding::NON_ALPHANUMERIC,
                );
                format!("/tripline/{name}")
            },
            ToString::to_string,
        )
    }
}

/// One item with its facts read back.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The item.
    pub item: Item,
    /// Its facts.
    pub facts: Facts,
}

/// Items of one group, for one recipient on one channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Bundle {
    /// The message's id.
    pub id: NoticeId,
    /// The items, the worst first, then by subject.
    pub entries: Vec<Entry>,
    /// When it was put together.
    pub sealed_at: DateTime<Utc>,
}

/// The id of the message that tells these items: the same items make the same id.
pub fn id_of<'a>(keys: impl IntoIterator<Item = &'a str>) -> NoticeId {
    let mut keys: Vec<&str> = keys.into_iter().collect();
    keys.sort_unstable();
    let digest = Sha::of(keys.join("\n")).to_string();
    NoticeId::from(format!("ntc-{}", digest.get(..24).unwrap_or(&digest)))
}

impl Bundle {
    /// Puts items together. All are of one group, and there is at least one.
    pub fn of(items: Vec<Item>, sealed_at: DateTime<Utc>) -> Result<Self> {
        let id = id_of(items.iter().map(|i| i.key.as_str()));
        let mut entries = items
            .into_iter()
            .map(Entry::of)
            .collect::<Result<Vec<_>>>()?;
        entries.sort_by(|a, b| {
            let key = |e: &Entry| {
                (
                    std::cmp::Reverse(e.facts.severity),
                    e.facts.subject.clone(),
                    e.item.key.clone(),
                )
            };
            key(a).cmp(&key(b))
        });
        if entries.is_empty() {
            return Err(Error::Message(
                "a message needs something to say".to_owned(),
            ));
        }
        Ok(Self {
            id,
            entries,
            sealed_at,
        })
    }

    /// The first and worst of them.
    pub fn first(&self) -> Option<&Entry> {
        self.entries.first()
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.entries.len() as u64
    }

    /// What the message is about.
    pub fn kind(&self) -> Kind {
        self.first().map_or(Kind::Operation, |e| e.item.kind)
    }

    /// What happened, when the same happened to all of them.
    pub fn word(&self) -> Option<Word> {
        let mut words = self.entries.iter().map(|e| e.item.word);
        let first = words.next()?;
        words.all(|w| w == first).then_some(first)
    }

    /// The worst severity.
    pub fn severity(&self) -> Severity {
        self.entries
            .iter()
            .map(|e| e.facts.severity)
            .max()
            .unwrap_or(Severity::Low)
    }

    /// Whether something is wrong, or is mended again.
    pub fn is_bad(&self) -> bool {
        self.entries.iter().any(|e| !is_good(e.item.word))
    }

    /// The control, or what stands in its place.
    pub fn control(&self) -> &str {
        self.first()
            .and_then(|e| e.item.control.as_ref())
            .map_or("tripline", |c| c.as_str())
    }

    /// How it came about, when it came about in the same way for all.
    pub fn origin(&self) -> Origin {
        self.first().map_or(Origin::Single, |e| e.facts.origin)
    }

    /// What is the case, in one sentence without a full stop.
    pub fn headline(&self) -> String {
        let Some(first) = self.first() else {
            return String::new();
        };
        let (count, control, title) = (self.count(), self.control(), &first.facts.title);
        match (self.origin(), count) {
            (_, 1) => first.facts.sentence.clone(),
            (Origin::Baseline, _) if self.is_bad() => format!(
                "{} already fail {control} as it runs for the first time: {title}",
                text::counted(count, "subject")
            ),
            (Origin::Mass, _) if self.is_bad() => format!(
                "{} in {control} at once; probably the control or its source changed",
                text::counted(count, "new finding")
            ),
            _ => format!("{} in {control}: {title}", self.counted_words()),
        }
    }

    /// `2 new, 1 reopened`.
    fn counted_words(&self) -> String {
        let mut counts: BTreeMap<Word, u64> = BTreeMap::new();
        for entry in &self.entries {
            *counts.entry(entry.item.word).or_default() += 1;
        }
        let said: Vec<String> = counts
            .iter()
            .map(|(word, n)| format!("{} {}", text::thousands(*n), word.title().to_lowercase()))
            .collect();
        said.join(", ")
    }

    /// The subject of a mail: the same for all that is ever told of one finding. Of an exception it says what is wanted
    /// of the reader; its mails are one thread all the same, by their headers.
    pub fn subject_line(&self) -> String {
        let Some(first) = self.first() else {
            return String::new();
        };
        let facts = &first.facts;
        let tag = self.severity().as_str().to_uppercase();
        match self.kind() {
            Kind::Gap => format!(
                "[NOT CHECKED] Source {}",
                facts.source.as_deref().unwrap_or("unknown")
            ),
            Kind::Exception => {
                let about = facts.subject.as_deref().unwrap_or_default();
                let word = self.word().map_or("exception", Word::title).to_uppercase();
                let by = match (self.word(), facts.due_at) {
                    (Some(Word::Requested | Word::InfoNeeded), Some(due)) => {
                        format!(" by {}", due.format("%-d %b"))
                    }
                    _ => String::new(),
                };
                format!("[{word}] {about}{by}: {}", text::clip(&facts.title, 120))
            }
            Kind::Signal => format!("[SIGNAL] {}", text::clip(&facts.title, 120)),
            Kind::Operation => format!("[TRIPLINE] {}", text::clip(&facts.title, 120)),
            _ => {
                let place = facts
                    .source
                    .as_deref()
                    .map_or_else(String::new, |s| format!(", {s}"));
                let place = format!("({}{place})", self.control());
                let what = if self.count() == 1 {
                    let name = text::native(facts.subject.as_deref().unwrap_or_default());
                    format!(
                        "{} fails: {}",
                        text::clip(name, 60),
                        text::clip(&facts.title, 60)
                    )
                } else {
                    let count = text::thousands(self.count());
                    format!("{count} fail: {}", text::clip(&facts.title, 80))
                };
                format!("[{tag}] {what} {place}")
            }
        }
    }

    /// The names of the threads that a mail continues: all that is told of the control to this owner,
    /// and for a single finding that finding.
    pub fn threads(&self) -> Vec<String> {
        let Some(first) = self.first() else {
            return Vec::new();
        };
        let short = |text: &str| {
            Sha::of(text)
                .to_string()
                .chars()
                .take(16)
                .collect::<String>()
        };
        if let (Some(finding), 1) = (&first.item.finding, self.count()) {
            return vec![format!("finding.{}", short(&finding.to_string()))];
        }
        if first.item.kind == Kind::Exception {
            let about = first.facts.subject.as_deref().unwrap_or_default();
            return vec![format!("exception.{}", short(about))];
        }
        if first.item.kind == Kind::Signal {
            let about = first.facts.subject.as_deref().unwrap_or_default();
            return vec![format!("signal.{}", short(about))];
        }
        let owner = first.facts.owner.as_deref().unwrap_or_default();
        vec![format!(
            "group.{}",
            short(&format!("{}|{owner}", self.control()))
        )]
    }

    /// Why the recipient gets this.
    pub fn reason(&self) -> &str {
        self.first().map_or("", |e| e.item.reason.as_str())
    }
}

impl Entry {
    /// Reads the facts of an item back.
    pub fn of(mut item: Item) -> Result<Self> {
        let facts = std::mem::replace(&mut item.facts, Value::Null);
        let facts = serde_json::from_value(facts)
            .map_err(|e| Error::Message(format!("item {}: {e}", item.key)))?;
        Ok(Self { item, facts })
    }
}

/// Whether a word says that something is over.
pub const fn is_good(word: Word) -> bool {
    matches!(
        word,
        Word::Resolved | Word::Retired | Word::Covered | Word::CheckedAgain
    )
}
