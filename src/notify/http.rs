//! One post to a machine: time-outs, no redirects, a bounded answer, and an error that says what
//! follows. A header or address that is a secret appears in no error and no log.

use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::{
    Certificate, Client, Url,
    header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
};
use secrecy::{ExposeSecret, SecretString};

use super::{
    error::{Error, Result},
    text,
};
use crate::model::span::Span;

/// How much of an answer is read.
const MAX_ANSWER: usize = 4096;

/// How much of an answer is kept.
const MAX_SAID: usize = 160;

/// Where and how posts go.
#[derive(Debug, Clone)]
pub(super) struct Poster {
    client: Client,
}

/// One post.
#[derive(Debug)]
pub(super) struct Post<'a> {
    /// Where to. Never shown.
    pub url: Url,
    /// Headers beside those that every post has.
    pub headers: HeaderMap,
    /// The body's type.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
    /// What must not be repeated from the answer.
    pub secrets: &'a [&'a SecretString],
    /// The instant, for a `Retry-After` that names one.
    pub now: DateTime<Utc>,
}

impl Poster {
    /// A client that trusts the system's authorities and, if given, one more.
    pub(super) fn new(ca_file: Option<&Path>, timeout: Span) -> Result<Self> {
        // A process has one provider of cryptography; that another part set it first is no mistake.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .user_agent(concat!("tripline/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(timeout.to_std().min(std::time::Duration::from_secs(10)))
            .timeout(timeout.to_std());
        if let Some(path) = ca_file {
            builder = builder.tls_certs_merge(authorities(path)?);
        }
        let client = builder
            .build()
            .map_err(|e| Error::Setup(e.without_url().to_string()))?;
        Ok(Self { client })
    }

    /// Asks for nothing but an answer, and gives its status.
    pub(super) async fn knock(&self, url: Url) -> Result<u16> {
        let answer = self.client.head(url).send().await.map_err(no_answer)?;
        Ok(answer.status().as_u16())
    }

    /// Sends one post and gives the beginning of what was answered.
    pub(super) async fn send(&self, post: Post<'_>) -> Result<String> {
        let request = self
            .client
            .post(post.url)
            .headers(post.headers)
            .header(reqwest::header::CONTENT_TYPE, post.content_type)
            .body(post.body);
        let mut response = request.send().await.map_err(no_answer)?;
        let status = response.status();
        let retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|v| wait(v, post.now));
        let mut answer = Vec::new();
        while answer.len() < MAX_ANSWER {
            match response.chunk().await {
                Ok(Some(chunk)) => answer.extend_from_slice(&chunk),
                // The status is the answer; what follows it is only for people.
                Ok(None) | Err(_) => break,
            }
        }
        answer.truncate(MAX_ANSWER);
        let answer = said(&answer, post.secrets);
        if status.is_success() {
            return Ok(format!("HTTP {} {answer}", status.as_u16())
                .trim_end()
                .to_owned());
        }
        Err(Error::Http {
            status: status.as_u16(),
            retry_after,
            answer,
        })
    }
}

/// A header whose value is a secret.
pub(super) fn secret_header(value: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| Error::Key("it cannot be the value of a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// A header with a value that we made.
pub(super) fn header(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// The certificates of a PEM file.
fn authorities(path: &Path) -> Result<Vec<Certificate>> {
    let wrong = |what: String| Error::File {
        path: path.display().to_string(),
        what,
    };
    let pem = std::fs::read(path).map_err(|e| wrong(e.to_string()))?;
    Certificate::from_pem_bundle(&pem).map_err(|e| wrong(e.without_url().to_string()))
}

fn no_answer(error: reqwest::Error) -> Error {
    let error = error.without_url();
    let what = chain(&error);
    if error.is_connect() {
        Error::Connect(what)
    } else if error.is_builder() {
        Error::Message(what)
    } else {
        Error::Unanswered(if error.is_timeout() {
            "it took too long".to_owned()
        } else {
            what
        })
    }
}

/// An error with its causes, on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut parts = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if parts.last().is_none_or(|last| !last.contains(&text)) {
            parts.push(text);
        }
        next = cause.source();
    }
    text::clip(&text::line(&parts.join(": ")), MAX_SAID * 2)
}

/// The beginning of an answer without anything secret that it repeats.
fn said(answer: &[u8], secrets: &[&SecretString]) -> String {
    let mut answer = String::from_utf8_lossy(answer).into_owned();
    for secret in secrets {
        answer = answer.replace(secret.expose_secret(), "[redacted]");
    }
    text::clip(&text::line(&answer), MAX_SAID)
}

/// `Retry-After`: seconds, or a date (RFC 9110 section 10.2.3).
fn wait(value: &HeaderValue, now: DateTime<Utc>) -> Option<TimeDelta> {
    let value = value.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse::<u32>() {
        return Some(TimeDelta::seconds(seconds.into()));
    }
    let until = DateTime::parse_from_rfc2822(value).ok()?;
    Some((until.with_timezone(&Utc) - now).max(TimeDelta::zero()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_may_ask_for_patience_in_seconds_or_by_a_date() {
        let now = "2026-11-20T08:00:00Z".parse().unwrap();
        let asked = |text: &'static str| wait(&HeaderValue::from_static(text), now);
        assert_eq!(asked("120"), Some(TimeDelta::minutes(2)));
        assert_eq!(
            asked("Fri, 20 Nov 2026 08:05:00 GMT"),
            Some(TimeDelta::minutes(5))
        );
        assert_eq!(
            asked("Fri, 20 Nov 2026 07:05:00 GMT"),
            Some(TimeDelta::zero())
        );
        assert_eq!(asked("soon"), None);
    }

    #[test]
    fn an_answer_that_repeats_a_secret_is_kept_without_it() {
        let secret = SecretString::from("hunter2");
        assert_eq!(
            said(b"routing key hunter2\r\nis invalid", &[&secret]),
            "routing key [redacted] is invalid"
        );
    }
}
