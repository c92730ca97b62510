//! Alertmanager's API v2 as an output. Labels are what never changes of a finding, because another
//! label is another alert there; everything else is an annotation. An alert ends by itself unless it
//! is pushed again, so an end is given only when it goes out: three intervals of its control ahead.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::{
    Url,
    header::{AUTHORIZATION, HeaderMap},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    bundle::{Bundle, Entry, Site, is_good},
    error::{Error, Result},
    http::{self, Post, Poster},
    options::Alertmanager as Options,
};

/// Alerts in one post.
const MAX_POST: usize = 1000;

/// The least time that an alert lives without being pushed again.
const SHORTEST: TimeDelta = TimeDelta::minutes(15);

/// One alert as it is stored, without its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Labels, annotations and the start.
    pub alert: Value,
    /// When it ended, for one that did.
    pub ended_at: Option<DateTime<Utc>>,
    /// Seconds between two runs of its control.
    pub interval: i64,
}

/// The alerts of one message. `interval` is that of the control.
pub fn alerts(bundle: &Bundle, site: &Site, interval: TimeDelta) -> Vec<Alert> {
    bundle
        .entries
        .iter()
        .map(|e| alert(e, site, interval))
        .collect()
}

fn alert(entry: &Entry, site: &Site, interval: TimeDelta) -> Alert {
    let facts = &entry.facts;
    let link = facts.finding.as_deref().and_then(|f| site.link(f));
    let mut alert = json!({
        "labels": {
            "alertname": entry.item.control,
            "subject": facts.subject,
            "source": facts.source,
            "finding": facts.finding,
            "job": "tripline",
        },
        "annotations": {
            "summary": facts.sentence,
            "description": facts.title,
            "severity": facts.severity,
            "owner": facts.owner.as_deref().unwrap_or_default(),
            "environment": facts.environment.as_deref().unwrap_or_default(),
        },
        "startsAt": facts.since.unwrap_or(facts.confirmed_at),
    });
    if let (Some(link), Some(alert)) = (link, alert.as_object_mut()) {
        alert.insert("generatorURL".to_owned(), link.into());
    }
    Alert {
        alert,
        ended_at: is_good(entry.item.word).then_some(facts.confirmed_at),
        interval: interval.num_seconds(),
    }
}

impl Alert {
    /// The alert as it goes out at `now`.
    pub fn at(&self, now: DateTime<Utc>) -> Value {
        let lives = TimeDelta::try_seconds(self.interval.saturating_mul(3))
            .unwrap_or(SHORTEST)
            .max(SHORTEST);
        let ends = self.ended_at.unwrap_or_else(|| now + lives);
        let mut alert = self.alert.clone();
        if let Some(alert) = alert.as_object_mut() {
            alert.insert("endsAt".to_owned(), json!(ends));
        }
        alert
    }
}

/// An Alertmanager.
#[derive(Debug)]
pub struct Alertmanager {
    options: Options,
    url: Url,
    poster: Poster,
}

impl Alertmanager {
    /// Prepares the way without taking it.
    pub fn new(options: &Options) -> Result<Self> {
        let mut url = options.url.value.clone();
        url.path_segments_mut()
            .map_err(|()| Error::Setup("the address has no path".to_owned()))?
            .pop_if_empty()
            .extend(["api", "v2", "alerts"]);
        let poster = Poster::new(options.ca_file.as_deref(), options.timeout)?;
        Ok(Self {
            options: options.clone(),
            url,
            poster,
        })
    }

    /// How often what is open is pushed again.
    pub fn refresh(&self) -> TimeDelta {
        self.options.refresh.to_delta()
    }

    /// Pushes alerts; pushing one again moves its end and nothing else.
    pub async fn send(&self, alerts: &[Alert], now: DateTime<Utc>) -> Result<String> {
        let password = self
            .options
            .password
            .as_ref()
            .map(crate::catalog::secret::Secret::read)
            .transpose()?;
        let mut headers = HeaderMap::new();
        if let (Some(user), Some(password)) = (&self.options.username, &password) {
            let pair = STANDARD.encode(format!("{user}:{}", password.expose_secret()));
            headers.insert(
                AUTHORIZATION,
                http::secret_header(&format!("Basic {pair}"))?,
            );
        }
        let hide: Vec<&SecretString> = password.iter().collect();
        let mut answer = String::new();
        for part in alerts.chunks(MAX_POST) {
            let body: Vec<Value> = part.iter().map(|a| a.at(now)).collect();
            let post = Post {
                url: self.url.clone(),
                headers: headers.clone(),
                content_type: "application/json",
                body: json!(body).to_string(),
                secrets: &hide,
                now,
            };
            answer = self.poster.send(post).await?;
        }
        Ok(answer)
    }
}
