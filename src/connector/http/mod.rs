//! The kind `http`: requests as a connector declares them, page after page, and probes. Reads only:
//! there is no method here that changes anything.

pub mod answer;
pub mod auth;
mod body;
mod login;
pub mod pages;
mod probe;
pub mod tape;
pub mod wire;

use async_trait::async_trait;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use url::Url;

use self::{
    auth::{Identity, Sessions},
    login::Login,
    pages::{Pages, Seen, declared},
    tape::{Line, Tape},
    wire::{Answered, Handling, Limits, Outgoing, Wire},
};
use super::{
    Asking, Confirmed, Meter, Read, Reader, Sink,
    error::{Error, Result},
    redact::Scrub,
    rows,
    settings::{Into as Goes, Parent, Settings},
    tls,
};
use crate::{
    catalog::{
        connector::{
            Ask, HttpAsk, Method,
            dataset::{Answers, ConfirmGone},
            deny::{self, Outline},
            http::{Http as Declared, Probe},
        },
        source::Source,
    },
    clock::SharedClock,
};

/// How often a list is begun again because the source says that its pages expired (410).
const RESTARTS: u32 = 2;

/// A system that is read over HTTP.
#[derive(Debug)]
pub struct Http {
    wire: Wire,
    identity: Identity,
    settings: Settings,
    base: Url,
    headers: HeaderMap,
    vault: bool,
}

/// What a reader is made of besides its source.
#[derive(Debug, Clone, Copy)]
pub struct Means<'a> {
    /// Where tokens are kept.
    pub sessions: &'a Sessions,
    /// Whether the collection is recorded or replayed.
    pub tape: &'a Tape,
    /// For the times in assertions.
    pub clock: &'a SharedClock,
}

impl Http {
    /// Makes ready to read a source: reads its secrets, checks its address, builds its client.
    pub fn open(declared: &Declared, source: &Source, means: Means<'_>) -> Result<Self> {
        let settings = match means.tape {
            Tape::Replay(_) => Settings::without_secrets(source),
            Tape::Off | Tape::Record(_) => Settings::read(source)?,
        };
        let base = base(declared, &settings)?;
        let limits = limits(declared, source, &base);
        let tls = source.tls.as_ref().unwrap_or(&declared.tls);
        let client = tls::client(tls, &limits.timeout)?;
        let line = Line::new(means.tape, client.clone())?;
        let identity = if line.is_live() {
            let around = login::Around {
                settings: &settings,
                base: &base,
                limits: &limits,
                clock: means.clock,
            };
            Identity::new(&declared.auth, &settings, means.sessions, || {
                Login::new(&declared.auth, &around, client)
            })?
        } else {
            Identity::Nobody
        };
        let mut headers =
            HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static("application/json"))]);
        for (name, template) in declared.headers.iter() {
            if let Some(value) = settings.secret(template)? {
                headers.insert(header_name(&name.text)?, auth::sensitive(&value)?);
            }
        }
        let wire = Wire::new(line, limits, Scrub::new(settings.secrets()));
        Ok(Self {
            wire,
            identity,
            settings,
            base,
            headers,
            vault: deny::is_vault(&source.connector),
        })
    }

    /// The request that a dataset or a probe asks for, without paging.
    fn request(
        &self,
        ask: &HttpAsk,
        parents: &[Parent],
    ) -> Result<(Url, Option<Value>, HeaderMap)> {
        let path = self
            .settings
            .text(&ask.path, parents, Goes::Path)?
            .ok_or_else(|| {
                Error::Settings(format!("`{}` needs a setting that is left out", ask.path))
            })?;
        let base = self.base.as_str().trim_end_matches('/');
        let joined = format!("{base}/{}", path.trim_start_matches('/'));
        let mut url =
            Url::parse(&joined).map_err(|e| Error::Settings(format!("`{}`: {e}", ask.path)))?;
        if url.origin() != self.base.origin() {
            return Err(Error::Settings(format!(
                "`{}` leads to another host",
                ask.path
            )));
        }
        for (name, template) in &ask.query {
            for value in self.settings.values(template, parents)? {
                url.query_pairs_mut().append_pair(name, &value);
            }
        }
        let body = match &ask.body {
            Some(body) => self.settings.body(body, parents)?,
            None => None,
        };
        let mut headers = self.headers.clone();
        for (name, template) in &ask.headers {
            if let Some(value) = self.settings.secret(template)? {
                headers.insert(header_name(name)?, auth::sensitive(&value)?);
            }
        }
        Ok((url, body, headers))
    }

    async fn ask(
        &self,
        ask: &HttpAsk,
        request: (Url, Option<Value>, HeaderMap),
        responses: &[(String, Answers)],
        meter: &Meter,
    ) -> Result<Answered> {
        let (url, body, mut headers) = request;
        if !self.wire.allows(&url) {
            return Err(Error::Stranger {
                at: ask.path.to_string(),
                host: url.host_str().unwrap_or_default().to_owned(),
            });
        }
        self.harmless(ask.method, &url, &headers)?;
        if body.is_some() {
            headers.insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/json"),
            );
        }
        let outgoing = Outgoing {
            method: ask.method,
            url,
            headers,
            body: body.map(|b| b.to_string().into()),
            name: None,
        };
        self.wire
            .send(
                &outgoing,
                Handling {
                    signer: &self.identity,
                    responses,
                    meter,
                },
            )
            .await
    }

    /// Refuses a request that would give a secret's value away, whatever a setting or a link made of it.
    fn harmless(&self, method: Method, url: &Url, headers: &HeaderMap) -> Result<()> {
        let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok());
        let outline = Outline {
            vault: self.vault,
            method,
            path: percent_decode_str(url.path())
                .decode_utf8_lossy()
                .into_owned(),
            query: url.query_pairs().into_owned().collect(),
            accept: accept.unwrap_or_default().to_owned(),
        };
        match deny::gives_away(&outline) {
            None => Ok(()),
            Some(why) => Err(Error::Settings(format!("{}: {why}", outline.path))),
        }
    }

    /// Reads a list from its first page to its last.
    async fn list(&self, ask: &HttpAsk, asking: Asking<'_>, sink: &mut dyn Sink) -> Result<Read> {
        let dataset = asking.dataset;
        let mut read = Read::default();
        let mut pages = Pages::new(&dataset.page);
        let mut turn = pages.first();
        loop {
            let (mut url, mut body, mut headers) = self.request(ask, asking.parents)?;
            turn.apply(&mut url, &mut body, &mut headers);
            let answer = match self
                .ask(ask, (url, body, headers), &dataset.responses, asking.meter)
                .await?
            {
                Answered::Ok(answer) => answer,
                Answered::Gone => return Ok(Read { gone: true, ..read }),
                Answered::Empty => return Ok(read),
            };
            asking.meter.page();
            let document = body::document(ask.format, &answer, dataset.rows.absent)?;
            let next = {
                let found =
                    rows::locate(&dataset.rows, &document).map_err(|what| Error::Garbage {
                        at: answer.at.clone(),
                        what,
                    })?;
                if let Some(total) = dataset
                    .complete
                    .total
                    .as_ref()
                    .and_then(|t| declared(t, &document, &answer.headers))
                {
                    read.total = Some(total);
                }
                read.warnings.extend(
                    dataset
                        .complete
                        .warnings
                        .as_ref()
                        .and_then(|w| warning(w.first(&document)?, self.wire.scrub())),
                );
                let seen = Seen {
                    document: &document,
                    headers: &answer.headers,
                    url: &answer.url,
                    rows: found.len(),
                    last: found.last(),
                };
                pages.next(seen).map_err(|what| Error::Paging {
                    at: answer.at.clone(),
                    what,
                })?
            };
            read.total = read.total.or(pages.total);
            sink.page(document, Vec::new())?;
            match next {
                Some(next) => turn = next,
                None => break,
            }
        }
        read.drifts = pages.drifts() && read.total.is_none();
        Ok(read)
    }
}

#[async_trait]
impl Reader for Http {
    async fn prove(&self, probes: &[Probe], meter: &Meter) -> Result<Option<String>> {
        let mut identity = Vec::new();
        for probe in probes {
            let asked = probe
                .r#if
                .as_ref()
                .is_none_or(|setting| self.settings.has(setting));
            let Some(ask) = probe.ask().filter(|_| asked) else {
                continue;
            };
            let answered = self.ask(&ask, self.request(&ask, &[])?, &[], meter).await;
            identity.extend(probe::check(probe, answered, self.wire.scrub())?);
        }
        Ok((!identity.is_empty()).then(|| identity.join(" ")))
    }

    async fn read(&self, asking: Asking<'_>, sink: &mut dyn Sink) -> Result<Read> {
        let Ask::Http(ask) = &asking.dataset.ask else {
            return Err(Error::Settings(format!(
                "`{}` is not read over HTTP",
                asking.dataset.name
            )));
        };
        for _ in 0..RESTARTS {
            match self.list(ask, asking, sink).await {
                // The pages expired: what the answer offers to go on with is another list, so it begins again.
                Err(Error::Status { status: 410, .. }) => sink.restart(),
                other => return other,
            }
        }
        self.list(ask, asking, sink).await
    }

    async fn confirm(&self, gone: &ConfirmGone, key: &Parent, meter: &Meter) -> Result<Confirmed> {
        let ask = gone.ask();
        let request = self.request(&ask, std::slice::from_ref(key))?;
        match self.ask(&ask, request, &[], meter).await {
            Ok(_) => Ok(Confirmed::There),
            Err(Error::Status { status, .. }) if status == gone.gone => Ok(Confirmed::Gone),
            // Refused for one row that we saw before: it is not deleted, it is out of our sight.
            Err(Error::Refused { at, status, .. }) => Err(Error::Blind(format!(
                "{at} answered {status} for a row that was listed before"
            ))),
            Err(other) => Err(other),
        }
    }
}

/// What a source says that it left out, if it says anything.
pub(super) fn warning(value: &Value, scrub: &Scrub) -> Option<String> {
    let said = match value {
        Value::Null | Value::Bool(false) => return None,
        Value::Array(items) if items.is_empty() => return None,
        Value::Object(members) if members.is_empty() => return None,
        Value::Array(items) => items
            .iter()
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join("; "),
        Value::String(text) => text.clone(),
        Value::Bool(true) | Value::Number(_) | Value::Object(_) => String::new(),
    };
    Some(scrub.text(&said, 200))
}

fn base(declared: &Declared, settings: &Settings) -> Result<Url> {
    let text = settings
        .text(&declared.base_url, &[], Goes::Address)?
        .ok_or_else(|| {
            Error::Settings(format!(
                "`{}` needs a setting that is left out",
                declared.base_url
            ))
        })?;
    let url = Url::parse(&text).map_err(|e| Error::Settings(format!("`base_url`: {e}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(Error::Settings(
            "`base_url` is not an http address".to_owned(),
        ));
    }
    Ok(url)
}

fn limits(declared: &Declared, source: &Source, base: &Url) -> Limits {
    let own = base.host_str().map(|h| {
        base.port()
            .map_or_else(|| h.to_owned(), |p| format!("{h}:{p}"))
    });
    let allowed = source
        .allow_hosts
        .as_ref()
        .or(declared.allow_hosts.as_ref());
    Limits {
        timeout: source
            .timeout
            .clone()
            .unwrap_or_else(|| declared.timeout.clone()),
        rate: source.rate.clone().unwrap_or_else(|| declared.rate.clone()),
        retry: source
            .retry
            .clone()
            .unwrap_or_else(|| declared.retry.clone()),
        max_body: declared.max_body,
        hosts: allowed.into_iter().flatten().cloned().chain(own).collect(),
    }
}

fn header_name(name: &str) -> Result<HeaderName> {
    name.parse()
        .map_err(|_| Error::Settings(format!("`{name}` is not a header")))
}
