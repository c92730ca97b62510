//! What machines are told: CloudEvents 1.0, the body of Alertmanager's own webhooks (version 4), or a
//! template's JSON. The body is written once and stored, so each attempt carries the same bytes under
//! the same `webhook-id`; it is thin, and names what it leaves out.

use chrono::{DateTime, Utc};
use reqwest::header::HeaderMap;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::{
    bundle::{Bundle, Entry, Site, is_good},
    error::{Error, Result},
    http::{self, Post, Poster},
    options::{HeaderValue, Webhook as Options},
    signature::{self, Key},
};
use crate::model::id::NoticeId;

/// Standard Webhooks asks for less than this.
const MAX_BODY: usize = 20_000;

/// The type of an event in its envelope.
pub(super) const CLOUDEVENT: &str = "application/cloudevents+json";

/// Findings that a body lists at most.
const MAX_LISTED: usize = 50;

/// A body with its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// Its type.
    pub content_type: &'static str,
    /// The text.
    pub text: String,
}

/// A CloudEvents envelope: `source` and `id` are its key, `type` says kind and word.
pub fn cloudevent(bundle: &Bundle, site: &Site) -> Body {
    let word = bundle.word().map_or("changed", |w| w.as_str());
    let text = fitting(bundle, |entries, more| {
        json!({
            "specversion": "1.0",
            "id": bundle.id,
            "source": site.source(),
            "type": format!("tripline.{}.{word}", bundle.kind()),
            "time": bundle.sealed_at,
            "subject": bundle.control(),
            "datacontenttype": "application/json",
            "data": data(bundle, site, entries, more),
        })
    });
    Body {
        content_type: CLOUDEVENT,
        text,
    }
}

fn data(bundle: &Bundle, site: &Site, entries: &[Entry], more: usize) -> Value {
    let first = bundle.first();
    let detail = first.and_then(|e| e.facts.detail.as_ref());
    let findings: Vec<Value> = entries.iter().map(|e| finding(e, site)).collect();
    json!({
        "kind": bundle.kind(),
        "word": bundle.word(),
        "headline": bundle.headline(),
        "severity": bundle.severity(),
        "control": bundle.control(),
        "title": first.map(|e| e.facts.title.as_str()),
        "policy": detail.and_then(|d| d.policy.as_ref()).map(|p| json!({ "provision": p.reference, "version": p.version })),
        "because": first.and_then(|e| e.facts.because.as_deref()),
        "count": bundle.count(),
        "findings": findings,
        "more": more,
        "evidence": detail.map(|d| &d.evidence),
        "run": detail.and_then(|d| d.run.as_deref()),
        "reason": bundle.reason(),
    })
}

fn finding(entry: &Entry, site: &Site) -> Value {
    let facts = &entry.facts;
    json!({
        "finding": entry.item.finding,
        "episode": entry.item.episode,
        "word": entry.item.word,
        "subject": facts.subject,
        "severity": facts.severity,
        "environment": facts.environment,
        "owner": facts.owner,
        "sentence": facts.sentence,
        "since": facts.since,
        "due": facts.due_at,
        "link": facts.finding.as_deref().and_then(|f| site.link(f)),
    })
}

/// What Alertmanager would post to a webhook, so that receivers made for it work unchanged.
pub fn alertmanager(bundle: &Bundle, site: &Site) -> Body {
    let status = if bundle.is_bad() {
        "firing"
    } else {
        "resolved"
    };
    let external = site
        .url
        .as_ref()
        .map_or_else(String::new, ToString::to_string);
    let text = fitting(bundle, |entries, more| {
        let alerts: Vec<Value> = entries.iter().map(|e| alert(e, site)).collect();
        let common = json!({ "alertname": bundle.control(), "control": bundle.control() });
        json!({
            "version": "4",
            "groupKey": bundle.first().map(|e| e.item.group.as_str()),
            "truncatedAlerts": more,
            "status": status,
            "receiver": bundle.first().map(|e| e.item.channel.as_str()),
            "groupLabels": common,
            "commonLabels": common,
            "commonAnnotations": { "headline": bundle.headline() },
            "externalURL": external,
            "alerts": alerts,
        })
    });
    Body {
        content_type: "application/json",
        text,
    }
}

fn alert(entry: &Entry, site: &Site) -> Value {
    let facts = &entry.facts;
    let good = is_good(entry.item.word);
    let never = "0001-01-01T00:00:00Z";
    let ends = if good {
        json!(facts.confirmed_at)
    } else {
        json!(never)
    };
    let key = entry
        .item
        .finding
        .map(|f| f.to_string())
        .unwrap_or_default();
    json!({
        "status": if good { "resolved" } else { "firing" },
        "labels": {
            "alertname": entry.item.control, "control": entry.item.control, "subject": facts.subject,
            "severity": facts.severity, "owner": facts.owner.as_deref().unwrap_or_default(),
        },
        "annotations": { "summary": facts.sentence, "description": facts.title, "word": entry.item.word },
        "startsAt": facts.since.unwrap_or(facts.confirmed_at),
        "endsAt": ends,
        "generatorURL": facts.finding.as_deref().and_then(|f| site.link(f)).unwrap_or_default(),
        "fingerprint": key.get(..16).unwrap_or_default(),
    })
}

/// Writes as many entries as fit.
fn fitting(bundle: &Bundle, write: impl Fn(&[Entry], usize) -> Value) -> String {
    let mut listed = bundle.entries.len().min(MAX_LISTED);
    loop {
        let entries = bundle.entries.get(..listed).unwrap_or_default();
        let text = write(entries, bundle.entries.len() - entries.len()).to_string();
        if text.len() < MAX_BODY || listed == 0 {
            return text;
        }
        listed = if listed > 1 { listed / 2 } else { 0 };
    }
}

/// A machine that takes signed posts.
#[derive(Debug)]
pub struct Webhook {
    options: Options,
    poster: Poster,
}

impl Webhook {
    /// Prepares the way without taking it.
    pub fn new(options: &Options) -> Result<Self> {
        let poster = Poster::new(options.ca_file.as_deref(), options.timeout)?;
        Ok(Self {
            options: options.clone(),
            poster,
        })
    }

    /// Posts one body, once: the same id for each attempt, the time of this one.
    pub async fn send(
        &self,
        id: &NoticeId,
        content_type: &'static str,
        body: &str,
        now: DateTime<Utc>,
    ) -> Result<String> {
        let secrets: Vec<SecretString> = [&self.options.secret, &self.options.previous_secret]
            .into_iter()
            .flatten()
            .map(crate::catalog::secret::Secret::read)
            .collect::<Result<_, _>>()?;
        let keys = secrets.iter().map(Key::parse).collect::<Result<Vec<_>>>()?;
        let mut headers = HeaderMap::new();
        let mut hidden: Vec<SecretString> = Vec::new();
        for (name, value) in self.options.headers.iter() {
            let name = reqwest::header::HeaderName::try_from(name.text.as_str()).map_err(|_| {
                Error::Setup(format!("`{}` is not the name of a header", name.text))
            })?;
            let value = match value {
                HeaderValue::Text(text) => {
                    reqwest::header::HeaderValue::from_str(text).map_err(|_| {
                        Error::Setup(format!("`{name}` has a value that no header can have"))
                    })?
                }
                HeaderValue::Secret(secret) => {
                    let secret = secret.read()?;
                    let value = http::secret_header(secret.expose_secret())?;
                    hidden.push(secret);
                    value
                }
            };
            headers.insert(name, value);
        }
        http::header(&mut headers, "webhook-id", id.as_str());
        http::header(
            &mut headers,
            "webhook-timestamp",
            &now.timestamp().to_string(),
        );
        if !keys.is_empty() {
            http::header(
                &mut headers,
                "webhook-signature",
                &signature::sign(&keys, id.as_str(), now, body)?,
            );
        }
        let hide: Vec<&SecretString> = secrets.iter().chain(&hidden).collect();
        let post = Post {
            url: self.options.url.value.clone(),
            headers,
            content_type,
            body: body.to_owned(),
            secrets: &hide,
            now,
        };
        self.poster.send(post).await
    }
}
