//! What carries a request: the network, the network with a recorder beside it, or a recording alone.
//! A recording is a folder of JSON files `{request{method,url,body}, status, headers, body}`; it holds
//! no header that we sent and no secret, so it may be kept beside a test.

use std::{
    collections::{HashMap, VecDeque},
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::wire::{Answer, Limits, Outgoing};
use crate::{
    catalog::connector::Method,
    connector::{
        error::{Error, Result},
        redact::{Scrub, is_secret},
    },
};

/// Whether a collection is recorded, or read from a recording.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Tape {
    /// Neither.
    #[default]
    Off,
    /// Recorded into a folder.
    Record(PathBuf),
    /// Read from a folder, without any network.
    Replay(PathBuf),
}

/// What carries a request.
#[derive(Debug)]
pub enum Line {
    /// The network.
    Live(reqwest::Client),
    /// The network, with every answer written to a folder.
    Recording(reqwest::Client, PathBuf, AtomicUsize),
    /// A recording.
    Replaying(Mutex<HashMap<String, VecDeque<Recorded>>>),
}

/// One recorded answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Recorded {
    request: Asked,
    status: u16,
    #[serde(default)]
    headers: HashMap<String, String>,
    #[serde(default)]
    body: Value,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Asked {
    method: String,
    url: String,
    #[serde(default)]
    body: Value,
}

/// Headers of an answer that are worth recording.
const KEPT: &[&str] = &[
    "link",
    "retry-after",
    "date",
    "location",
    "x-total-count",
    "content-type",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
];

impl Line {
    /// The line that a tape asks for.
    pub fn new(tape: &Tape, client: reqwest::Client) -> Result<Self> {
        Ok(match tape {
            Tape::Off => Self::Live(client),
            Tape::Record(folder) => {
                std::fs::create_dir_all(folder).map_err(|e| broken(folder, e))?;
                Self::Recording(client, folder.clone(), AtomicUsize::new(1))
            }
            Tape::Replay(folder) => Self::Replaying(Mutex::new(load(folder)?)),
        })
    }

    /// Whether requests leave the process, so that they have to be signed.
    pub fn is_live(&self) -> bool {
        !matches!(self, Self::Replaying(_))
    }

    /// Sends a request and reads the whole answer.
    pub async fn exchange(
        &self,
        request: &Outgoing,
        limits: &Limits,
        scrub: &Scrub,
    ) -> Result<Answer> {
        match self {
            Self::Live(client) => over_network(client, request, limits).await,
            Self::Recording(client, folder, number) => {
                let answer = over_network(client, request, limits).await?;
                let path = folder.join(format!(
                    "{:04}.json",
                    number.fetch_add(1, Ordering::Relaxed)
                ));
                let text = serde_json::to_string_pretty(&recorded(request, &answer, scrub))
                    .map_err(|e| broken(&path, e))?;
                std::fs::write(&path, text).map_err(|e| broken(&path, e))?;
                Ok(answer)
            }
            Self::Replaying(recorded) => {
                let mut recorded = recorded.lock().unwrap_or_else(PoisonError::into_inner);
                let answers = recorded.get_mut(&key(
                    request.method.as_str(),
                    &request.url,
                    &body_of(request),
                ));
                // The last answer stands for all that follow, as when a list is read again.
                let found = answers.and_then(|a| {
                    if a.len() > 1 {
                        a.pop_front()
                    } else {
                        a.front().cloned()
                    }
                });
                let found = found.ok_or_else(|| Error::Input {
                    at: request.at(),
                    source: "it is not in the recording".into(),
                })?;
                Ok(replayed(request, found))
            }
        }
    }
}

async fn over_network(
    client: &reqwest::Client,
    request: &Outgoing,
    limits: &Limits,
) -> Result<Answer> {
    let at = request.at();
    let failed = |e: reqwest::Error| {
        if e.is_timeout() {
            return Error::Timeout {
                at: request.at(),
                limit: if e.is_connect() {
                    limits.timeout.connect
                } else {
                    limits.timeout.request
                },
            };
        }
        Error::Transport {
            at: request.at(),
            source: e.without_url().into(),
        }
    };
    let method = match request.method {
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
        Method::List => {
            reqwest::Method::from_bytes(b"LIST").map_err(|e| Error::Settings(e.to_string()))?
        }
    };
    let mut sending = client
        .request(method, request.url.clone())
        .headers(request.headers.clone());
    if let Some(body) = &request.body {
        sending = sending.body(body.clone());
    }
    let mut response = sending.send().await.map_err(failed)?;
    let (status, headers, url) = (
        response.status().as_u16(),
        response.headers().clone(),
        response.url().clone(),
    );
    let limit = usize::try_from(limits.max_body.0).unwrap_or(usize::MAX);
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len().saturating_add(chunk.len()) > limit {
            return Err(Error::TooLong {
                at,
                limit: limits.max_body,
            });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer {
        status,
        headers,
        body: body.freeze(),
        at,
        url,
    })
}

fn recorded(request: &Outgoing, answer: &Answer, scrub: &Scrub) -> Recorded {
    let clean = |bytes: &[u8]| {
        let mut body = serde_json::from_slice(bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(bytes).into_owned()));
        scrub.document(&mut body);
        body
    };
    let headers = answer
        .headers
        .iter()
        .filter(|(name, _)| KEPT.contains(&name.as_str()) && !is_secret(name.as_str()));
    Recorded {
        request: Asked {
            method: request.method.as_str().to_owned(),
            url: scrub.address(&request.url),
            body: request.body.as_ref().map_or(Value::Null, |b| clean(b)),
        },
        status: answer.status,
        headers: headers
            .filter_map(|(n, v)| Some((n.to_string(), scrub.text(v.to_str().ok()?, usize::MAX))))
            .collect(),
        body: clean(&answer.body),
    }
}

fn replayed(request: &Outgoing, recorded: Recorded) -> Answer {
    let header = |(name, value): (String, String)| {
        Some((
            name.parse::<HeaderName>().ok()?,
            value.parse::<HeaderValue>().ok()?,
        ))
    };
    let body = match recorded.body {
        Value::String(text) => Bytes::from(text),
        Value::Null => Bytes::new(),
        document => Bytes::from(document.to_string()),
    };
    Answer {
        status: recorded.status,
        headers: recorded
            .headers
            .into_iter()
            .filter_map(header)
            .collect::<HeaderMap>(),
        body,
        at: request.at(),
        url: request.url.clone(),
    }
}

fn load(folder: &Path) -> Result<HashMap<String, VecDeque<Recorded>>> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .map_err(|e| broken(folder, e))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .collect();
    paths.sort();
    let mut found: HashMap<String, VecDeque<Recorded>> = HashMap::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).map_err(|e| broken(&path, e))?;
        let recorded: Recorded = serde_json::from_str(&text).map_err(|e| broken(&path, e))?;
        let url = Url::parse(&recorded.request.url).map_err(|e| broken(&path, e))?;
        let key = key(&recorded.request.method, &url, &recorded.request.body);
        found.entry(key).or_default().push_back(recorded);
    }
    Ok(found)
}

/// What makes a request the same request: method, path, query in any order, and body; not the host,
/// and not what a recording leaves out.
fn key(method: &str, url: &Url, body: &Value) -> String {
    let mut query: Vec<String> = url
        .query_pairs()
        .filter(|(name, _)| !is_secret(name))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    query.sort();
    format!(
        "{method} {}?{} {}",
        url.path(),
        query.join("&"),
        crate::model::id::Sha::of_json(body).short()
    )
}

fn body_of(request: &Outgoing) -> Value {
    request.body.as_ref().map_or(Value::Null, |b| {
        let mut body = serde_json::from_slice(b)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(b).into_owned()));
        Scrub::default().document(&mut body);
        body
    })
}

fn broken(path: &Path, why: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Input {
        at: format!("recording `{}`", path.display()),
        source: why.into(),
    }
}
