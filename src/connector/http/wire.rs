//! One request and its answer, with patience: rate, concurrency, time-outs, retries, redirects, the
//! limit of a body. Only reads are sent, so each may be sent again. Used by the kinds `http` and `aws`.
//! Never follows a redirect to a host that is not allowed, and never shows who we are to another origin.

use std::{num::NonZeroU32, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use http::{HeaderMap, header};
use serde_json::Value;
use tokio::sync::Semaphore;
use url::Url;

use super::{
    answer::{self, Verdict},
    tape::Line,
};
use crate::{
    catalog::connector::{
        Method,
        dataset::Answers,
        http::{Rate, Retry, Timeout},
    },
    connector::{
        Meter,
        error::{Error, Result},
        redact::Scrub,
    },
    model::{size::Size, span::Span},
};

/// How many redirects are followed.
const MAX_REDIRECTS: usize = 5;

/// A request before it is signed.
#[derive(Clone)]
pub struct Outgoing {
    /// The method; there is none that changes anything.
    pub method: Method,
    /// The address.
    pub url: Url,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Option<Bytes>,
    /// What it is called in messages, where its address says too little.
    pub name: Option<String>,
}

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.at())
    }
}

impl Outgoing {
    /// A GET of an address.
    pub fn get(url: Url) -> Self {
        Self {
            method: Method::Get,
            url,
            headers: HeaderMap::new(),
            body: None,
            name: None,
        }
    }

    /// A POST of a JSON document.
    pub fn post(url: Url, body: &Value) -> Self {
        let headers = HeaderMap::from_iter([(
            header::CONTENT_TYPE,
            header::HeaderValue::from_static("application/json"),
        )]);
        Self {
            method: Method::Post,
            url,
            headers,
            body: Some(body.to_string().into()),
            name: None,
        }
    }

    /// Its name, or method and address without query, for messages.
    pub fn at(&self) -> String {
        if let Some(name) = &self.name {
            return name.clone();
        }
        let port = self
            .url
            .port()
            .map_or_else(String::new, |p| format!(":{p}"));
        let host = self.url.host_str().unwrap_or_default();
        format!(
            "{} {}://{host}{port}{}",
            self.method.as_str(),
            self.url.scheme(),
            self.url.path()
        )
    }
}

/// An answer with its whole body.
#[derive(Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// The body, decompressed.
    pub body: Bytes,
    /// Method and address without query, for messages.
    pub at: String,
    /// The address that answered, after redirects: what a relative link is relative to.
    pub url: Url,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} → {}", self.at, self.status)
    }
}

/// What came of a request.
#[derive(Debug)]
pub enum Answered {
    /// A success.
    Ok(Box<Answer>),
    /// `responses:` says that this means a list of nothing.
    Empty,
    /// `responses:` says that the parent row vanished.
    Gone,
}

/// Says who we are.
#[async_trait]
pub trait Signer: Send + Sync {
    /// Signs a request, after logging in where that is needed.
    async fn sign(&self, request: &mut Outgoing) -> Result<()>;

    /// Forgets what was cached, after a 401. Whether signing again can make a difference.
    async fn forget(&self) -> bool {
        false
    }

    /// What the system itself says is wrong, where its answers say more than their status does.
    fn fault(&self, _: &Answer) -> Option<Fault> {
        None
    }
}

/// What a system says is wrong, in its own dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What the answer means, where that is not what its status means.
    pub verdict: Option<Verdict>,
    /// Whether who we are was right and has run out.
    pub expired: bool,
    /// What it says, for people.
    pub said: String,
}

/// Signs nothing.
#[derive(Debug, Clone, Copy)]
pub struct Unsigned;

#[async_trait]
impl Signer for Unsigned {
    async fn sign(&self, _: &mut Outgoing) -> Result<()> {
        Ok(())
    }
}

/// How one request is sent.
#[derive(Clone, Copy)]
pub struct Handling<'a> {
    /// Who says who we are.
    pub signer: &'a dyn Signer,
    /// What answers mean that are not the usual ones.
    pub responses: &'a [(String, Answers)],
    /// Where effort is counted.
    pub meter: &'a Meter,
}

/// How patient a wire is, and whom it may talk to.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How long we wait.
    pub timeout: Timeout,
    /// How fast we ask.
    pub rate: Rate,
    /// When we ask again.
    pub retry: Retry,
    /// The longest body, decompressed.
    pub max_body: Size,
    /// Hosts that may be talked to: `host`, or `host:port` for another port than the usual.
    pub hosts: Vec<String>,
}

/// A way to one system.
pub struct Wire {
    line: Line,
    limits: Limits,
    limiter: Option<DefaultDirectRateLimiter>,
    slots: Semaphore,
    scrub: Scrub,
}

impl Wire {
    /// A wire over a line. `scrub` knows the secrets that no message may show.
    pub fn new(line: Line, limits: Limits, scrub: Scrub) -> Self {
        let slots = Semaphore::new(limits.rate.concurrency as usize);
        Self {
            line,
            limiter: limits.rate.per_second.and_then(limiter),
            slots,
            limits,
            scrub,
        }
    }

    /// Sends a request until it is answered for good.
    pub async fn send(&self, request: &Outgoing, how: Handling<'_>) -> Result<Answered> {
        let (mut attempt, mut renewed) = (0, false);
        loop {
            attempt += 1;
            let last = attempt >= self.limits.retry.attempts;
            let pause = match self.once(request, how).await {
                Err(error) if error.is_transient() && !last => self.backoff(attempt),
                Err(error) => return Err(error),
                Ok(answer) => match self.meaning(&answer, how) {
                    Verdict::Ok => return Ok(Answered::Ok(Box::new(answer))),
                    Verdict::Empty => return Ok(Answered::Empty),
                    Verdict::Gone => return Ok(Answered::Gone),
                    Verdict::Refused
                        if !renewed && is_about_us(&answer, how) && how.signer.forget().await =>
                    {
                        renewed = true;
                        attempt -= 1;
                        Duration::ZERO
                    }
                    Verdict::Refused => return Err(self.refused(&answer, how)),
                    Verdict::Fail => return Err(self.failed(&answer, how)),
                    Verdict::Again(Some(asked)) if asked > self.limits.retry.max_wait => {
                        return Err(Error::RateLimited {
                            at: answer.at,
                            asked,
                            allowed: self.limits.retry.max_wait,
                        });
                    }
                    Verdict::Again(_) if last => return Err(self.failed(&answer, how)),
                    Verdict::Again(asked) => {
                        asked.map_or_else(|| self.backoff(attempt), Span::to_std)
                    }
                },
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// What an answer means: as the connector maps it, else as the system says it, else as HTTP does.
    fn meaning(&self, answer: &Answer, how: Handling<'_>) -> Verdict {
        let plain = answer::judge(answer, how.responses, &self.limits.retry);
        if matches!(plain, Verdict::Ok | Verdict::Empty | Verdict::Gone) {
            return plain;
        }
        match (plain, how.signer.fault(answer).and_then(|f| f.verdict)) {
            (Verdict::Again(asked), Some(Verdict::Again(_))) => Verdict::Again(asked),
            (_, Some(own)) => own,
            (plain, None) => plain,
        }
    }

    /// Whether an address may be talked to.
    pub fn allows(&self, url: &Url) -> bool {
        matches!(url.scheme(), "http" | "https")
            && url.host_str().is_some_and(|host| {
                let full = url
                    .port()
                    .map_or_else(|| host.to_owned(), |p| format!("{host}:{p}"));
                self.limits
                    .hosts
                    .iter()
                    .any(|h| h.eq_ignore_ascii_case(&full))
            })
    }

    /// Takes our secrets out of a text.
    pub fn scrub(&self) -> &Scrub {
        &self.scrub
    }

    /// Sends a request once and follows redirects to allowed hosts. Another origin never learns who we are.
    async fn once(&self, request: &Outgoing, how: Handling<'_>) -> Result<Answer> {
        let mut hop = request.clone();
        for _ in 0..=MAX_REDIRECTS {
            let mut signed = hop.clone();
            if self.line.is_live() && hop.url.origin() == request.url.origin() {
                how.signer.sign(&mut signed).await?;
            }
            let answer = self.exchange(&signed, how.meter).await?;
            let Some(to) = redirect(&answer) else {
                return Ok(answer);
            };
            let to = hop.url.join(&to).map_err(|_| Error::Garbage {
                at: answer.at.clone(),
                what: "a redirect to nowhere".to_owned(),
            })?;
            let downgraded = hop.url.scheme() == "https" && to.scheme() != "https";
            if !self.allows(&to) || downgraded {
                let host = to.host_str().unwrap_or_default().to_owned();
                return Err(Error::Stranger {
                    at: answer.at,
                    host,
                });
            }
            if hop.method != Method::Get {
                return Err(self.failed(&answer, how));
            }
            hop.url = to;
        }
        Err(Error::Paging {
            at: request.at(),
            what: format!("more than {MAX_REDIRECTS} redirects"),
        })
    }

    async fn exchange(&self, request: &Outgoing, meter: &Meter) -> Result<Answer> {
        // The permit is held until the body is read. The semaphore is never closed.
        let _permit = self.slots.acquire().await.map_err(|_| Error::Stopped)?;
        if let Some(limiter) = &self.limiter {
            limiter.until_ready().await;
        }
        meter.request();
        let answer = self
            .line
            .exchange(request, &self.limits, &self.scrub)
            .await?;
        meter.bytes(answer.body.len() as u64);
        if let Some(id) = answer::request_id(&answer.headers) {
            meter.id(id);
        }
        Ok(answer)
    }

    fn backoff(&self, attempt: u32) -> Duration {
        let backoff = self.limits.retry.backoff;
        let doubled = backoff
            .first
            .to_std()
            .saturating_mul(1_u32 << attempt.saturating_sub(1).min(16));
        // Half of it is chance, so that many readers do not come back at once.
        doubled
            .min(backoff.longest.to_std())
            .mul_f64(0.5 + rand::random::<f64>() / 2.0)
    }

    fn hint(&self, answer: &Answer, how: Handling<'_>) -> String {
        match how.signer.fault(answer) {
            Some(fault) => format!(": {}", self.scrub.text(&fault.said, answer::HINT)),
            None => answer::hint(answer, &self.scrub),
        }
    }

    fn refused(&self, answer: &Answer, how: Handling<'_>) -> Error {
        Error::Refused {
            at: answer.at.clone(),
            status: answer.status,
            hint: self.hint(answer, how),
        }
    }

    fn failed(&self, answer: &Answer, how: Handling<'_>) -> Error {
        Error::Status {
            at: answer.at.clone(),
            status: answer.status,
            hint: self.hint(answer, how),
        }
    }
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Whether an answer says that who we are no longer holds.
fn is_about_us(answer: &Answer, how: Handling<'_>) -> bool {
    answer.status == 401 || how.signer.fault(answer).is_some_and(|f| f.expired)
}

/// So many requests per second, none of them saved up.
fn limiter(per_second: f64) -> Option<DefaultDirectRateLimiter> {
    let pause = Duration::try_from_secs_f64(1.0 / per_second).ok()?;
    let burst = NonZeroU32::MIN;
    Some(RateLimiter::direct(
        Quota::with_period(pause)?.allow_burst(burst),
    ))
}

fn redirect(answer: &Answer) -> Option<String> {
    if !matches!(answer.status, 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    answer
        .headers
        .get(header::LOCATION)?
        .to_str()
        .ok()
        .map(str::to_owned)
}
