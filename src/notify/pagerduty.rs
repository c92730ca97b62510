//! PagerDuty Events v2. The deduplication key is the finding and its episode, so a repeated attempt
//! changes nothing and a resolve ends exactly what was triggered. What is told of many at once is one
//! incident of its control and owner. The routing key is added when an event goes out and is never stored.

use chrono::{DateTime, Utc};
use reqwest::{Url, header::HeaderMap};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::{
    bundle::{Bundle, Entry, Site, is_good},
    error::{Error, Result},
    http::{Post, Poster},
    options::Pagerduty as Options,
    text,
};
use crate::model::{finding::Origin, id::Sha, policy::Severity};

/// Where PagerDuty takes events.
const ENQUEUE: &str = "https://events.pagerduty.com/v2/enqueue";

/// Where PagerDuty takes events, as an address.
pub(super) fn home() -> Result<Url> {
    ENQUEUE
        .parse()
        .map_err(|_| Error::Message(ENQUEUE.to_owned()))
}

/// Characters of a summary.
const MAX_SUMMARY: usize = 1024;

/// More than this many at once are one incident.
const MAX_EVENTS: usize = 10;

/// The events of one message, in the order in which they are sent. `all_closed` says that nothing of
/// the group is open any longer, so an incident of the whole group ends too.
pub fn events(bundle: &Bundle, site: &Site, all_closed: bool) -> Vec<Value> {
    let Some(first) = bundle.first() else {
        return Vec::new();
    };
    let group = group_key(first);
    if !bundle.is_bad() {
        let mut keys: Vec<String> = bundle.entries.iter().map(dedup_key).collect();
        keys.extend(all_closed.then_some(group));
        return keys
            .iter()
            .map(|key| json!({ "event_action": "resolve", "dedup_key": key }))
            .collect();
    }
    if bundle.origin() != Origin::Single || bundle.entries.len() > MAX_EVENTS {
        return vec![trigger(
            first,
            &group,
            &bundle.headline(),
            bundle.severity(),
            bundle.count(),
            site,
        )];
    }
    bundle
        .entries
        .iter()
        .map(|e| {
            if is_good(e.item.word) {
                return json!({ "event_action": "resolve", "dedup_key": dedup_key(e) });
            }
            trigger(
                e,
                &dedup_key(e),
                &e.facts.sentence,
                e.facts.severity,
                1,
                site,
            )
        })
        .collect()
}

fn trigger(
    entry: &Entry,
    key: &str,
    summary: &str,
    severity: Severity,
    count: u64,
    site: &Site,
) -> Value {
    let facts = &entry.facts;
    let link = facts.finding.as_deref().and_then(|f| site.link(f));
    let links: Vec<Value> = link
        .iter()
        .map(|href| json!({ "href": href, "text": "Open evidence" }))
        .collect();
    json!({
        "event_action": "trigger",
        "dedup_key": key,
        "client": "Tripline",
        "payload": {
            "summary": text::clip(summary, MAX_SUMMARY),
            "source": facts.subject.as_deref().or(facts.source.as_deref()).unwrap_or("tripline"),
            "severity": severity_word(severity),
            "timestamp": facts.since.unwrap_or(facts.confirmed_at),
            "component": entry.item.control,
            "group": facts.owner,
            "class": entry.item.word,
            "custom_details": {
                "title": facts.title,
                "because": facts.because,
                "environment": facts.environment,
                "due": facts.due_at,
                "findings": count,
                "explain": facts.finding.as_deref().map(|f| format!("tripline explain {f}")),
            },
        },
        "links": links,
    })
}

/// Finding and episode: the whole of what a notice is about, whatever is told of it later.
fn dedup_key(entry: &Entry) -> String {
    entry.item.finding.map_or_else(
        || format!("tripline:{}", Sha::of(&entry.item.key).short()),
        |finding| format!("tripline:{finding}:{}", entry.item.episode),
    )
}

/// The incident of many findings: one for each control and owner.
fn group_key(entry: &Entry) -> String {
    let control = entry.item.control.as_ref().map_or("", |c| c.as_str());
    let owner = entry.facts.owner.as_deref().unwrap_or_default();
    format!("tripline:group:{}", Sha::of(format!("{control}|{owner}")))
}

const fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low => "info",
    }
}

/// A PagerDuty service.
#[derive(Debug)]
pub struct Pagerduty {
    options: Options,
    url: Url,
    poster: Poster,
}

impl Pagerduty {
    /// Prepares the way without taking it.
    pub fn new(options: &Options) -> Result<Self> {
        let url = match &options.url {
            Some(url) => url.value.clone(),
            None => ENQUEUE
                .parse()
                .map_err(|_| Error::Setup("no address".to_owned()))?,
        };
        let poster = Poster::new(None, options.timeout)?;
        Ok(Self {
            options: options.clone(),
            url,
            poster,
        })
    }

    /// Sends the events one after the other. A second attempt sends all of them again, which their
    /// keys make harmless.
    pub async fn send(&self, events: &[Value], now: DateTime<Utc>) -> Result<String> {
        let key = self.options.routing_key.read()?;
        let mut answer = String::new();
        for event in events {
            let mut event = event.clone();
            if let Some(event) = event.as_object_mut() {
                event.insert("routing_key".to_owned(), key.expose_secret().into());
            }
            let post = Post {
                url: self.url.clone(),
                headers: HeaderMap::new(),
                content_type: "application/json",
                body: event.to_string(),
                secrets: &[&key],
                now,
            };
            answer = self.poster.send(post).await?;
        }
        Ok(answer)
    }
}
