//! Slack: one message of blocks through an incoming webhook. What strangers wrote goes only into
//! plain text or is escaped, so a subject's name can neither format nor call anybody. Slack takes one
//! message a second and knows no ids: a message whose answer was lost may appear twice.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::{Url, header::HeaderMap};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::{sync::Mutex, time::Instant};

use super::{
    bundle::{Bundle, Site, is_good},
    error::{Error, Result},
    http::{Post, Poster},
    options::Slack as Options,
    text,
};
use crate::model::notice::Kind;

/// Findings that a message lists at most.
const MAX_LISTED: usize = 10;

/// Characters of a header block.
const MAX_HEADER: usize = 150;

/// Characters of a section's text.
const MAX_SECTION: usize = 3000;

/// Slack's own limit.
const PACE: Duration = Duration::from_secs(1);

/// The message: a line for the notification, and blocks.
pub fn payload(bundle: &Bundle, site: &Site) -> Value {
    let headline = bundle.headline();
    let tag = tag(bundle);
    let mut blocks = vec![header(&format!("{tag} {}", header_text(bundle)))];
    blocks.push(plain(&headline));
    if let Some(facts) = bundle.first().map(|e| &e.facts) {
        if let Some(because) = &facts.because {
            blocks.push(plain(because));
        }
        blocks.push(fields(bundle));
    }
    if bundle.count() > 1 {
        let listed: Vec<String> = bundle
            .entries
            .iter()
            .take(MAX_LISTED)
            .map(|e| format!("• {}", text::clip(&e.facts.sentence, 200)))
            .collect();
        let more = bundle.entries.len().saturating_sub(MAX_LISTED);
        let rest = if more > 0 {
            format!("\nand {} more", text::thousands(more as u64))
        } else {
            String::new()
        };
        blocks.push(plain(&format!("{}{rest}", listed.join("\n"))));
    }
    blocks.push(footer(bundle, site));
    json!({ "text": escape(&text::clip(&format!("{tag} {headline}"), 300)), "blocks": blocks })
}

fn tag(bundle: &Bundle) -> String {
    let severity = bundle.severity().as_str().to_uppercase();
    match (bundle.kind(), bundle.word()) {
        (Kind::Operation, _) => "[TRIPLINE]".to_owned(),
        (Kind::Signal, _) => "[SIGNAL]".to_owned(),
        (Kind::Exception, word) => {
            let word = word.map_or_else(String::new, |w| format!(" {}", w.title()));
            format!("[EXCEPTION]{word}")
        }
        (_, Some(word)) if is_good(word) => format!("[{}]", word.title().to_uppercase()),
        (Kind::Gap, _) => "[NOT CHECKED]".to_owned(),
        (_, Some(word)) => format!("[{severity}] {}", word.title()),
        (_, None) => format!("[{severity}]"),
    }
}

fn header_text(bundle: &Bundle) -> String {
    match bundle.first() {
        Some(first) if bundle.count() == 1 && bundle.kind() == Kind::Finding => {
            text::native(first.facts.subject.as_deref().unwrap_or_default()).to_owned()
        }
        Some(first) if bundle.kind() != Kind::Finding => first.facts.title.clone(),
        _ => text::counted(bundle.count(), "finding"),
    }
}

fn header(words: &str) -> Value {
    json!({ "type": "header", "text": { "type": "plain_text", "text": text::clip(words, MAX_HEADER), "emoji": false } })
}

/// Text that Slack shows as it is.
fn plain(words: &str) -> Value {
    json!({ "type": "section", "text": { "type": "plain_text", "text": text::clip(words, MAX_SECTION), "emoji": false } })
}

fn fields(bundle: &Bundle) -> Value {
    let facts = bundle.first().map(|e| &e.facts);
    let pairs = [
        ("Control", Some(bundle.control().to_owned())),
        ("Severity", Some(bundle.severity().to_string())),
        ("Owner", facts.and_then(|f| f.owner.clone())),
        ("Environment", facts.and_then(|f| f.environment.clone())),
        ("Open since", facts.and_then(|f| f.since).map(text::instant)),
        ("Due", facts.and_then(|f| f.due_at).map(text::instant)),
    ];
    let fields: Vec<Value> = pairs
        .into_iter()
        .filter_map(|(name, value)| {
            let words = format!("{name}: {}", text::clip(&value?, 200));
            Some(json!({ "type": "plain_text", "text": words, "emoji": false }))
        })
        .collect();
    json!({ "type": "section", "fields": fields })
}

fn footer(bundle: &Bundle, site: &Site) -> Value {
    let finding = bundle.first().and_then(|e| e.facts.finding.as_deref());
    let action = match (finding, finding.and_then(|f| site.link(f))) {
        (_, Some(link)) => format!("<{}|Open evidence>", escape(&link)),
        (Some(finding), None) => format!("`tripline explain {}`", escape(finding)),
        (None, None) => String::new(),
    };
    let words = format!(
        "{action}  {}  {}",
        escape(&site.organisation),
        escape(bundle.id.as_str())
    );
    json!({ "type": "context", "elements": [{ "type": "mrkdwn", "text": words.trim() }] })
}

/// The three characters that begin something in Slack's own markup.
fn escape(words: &str) -> String {
    words
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// A Slack channel.
#[derive(Debug)]
pub struct Slack {
    options: Options,
    poster: Poster,
    /// When the last message went out.
    last: Mutex<Option<Instant>>,
}

impl Slack {
    /// Prepares the way without taking it.
    pub fn new(options: &Options) -> Result<Self> {
        let poster = Poster::new(None, options.timeout)?;
        Ok(Self {
            options: options.clone(),
            poster,
            last: Mutex::new(None),
        })
    }

    /// Posts one message, at most one a second.
    pub async fn send(&self, body: &str, now: DateTime<Utc>) -> Result<String> {
        let secret = self.options.url.read()?;
        let url: Url = secret
            .expose_secret()
            .parse()
            .map_err(|_| Error::Key("it is not an address"))?;
        let mut last = self.last.lock().await;
        if let Some(last) = *last {
            tokio::time::sleep_until(last + PACE).await;
        }
        let post = Post {
            url,
            headers: HeaderMap::new(),
            content_type: "application/json",
            body: body.to_owned(),
            secrets: &[&secret],
            now,
        };
        let answer = self.poster.send(post).await;
        *last = Some(Instant::now());
        answer
    }
}
