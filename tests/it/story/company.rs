//! A small company with one control, and receivers that answer as they are told.

use std::{
    collections::VecDeque,
    fmt::Write as _,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, HeaderValue, StatusCode, header::RETRY_AFTER},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use tripline::store::Options;

use super::{Installation, Ran};
use crate::systems::{Database, certificate, required, unique};

/// A receiver on this machine: it keeps what it is sent, and answers as it was told, then always with 202.
#[derive(Clone)]
pub(super) struct Receiver {
    pub(super) url: String,
    posts: Arc<Mutex<Vec<Post>>>,
    answers: Arc<Mutex<VecDeque<Answer>>>,
}

/// A status, and how long it asks us to wait.
pub(super) type Answer = (u16, Option<&'static str>);

/// One post as it arrived.
#[derive(Debug, Clone)]
pub(super) struct Post {
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Receiver {
    pub(super) async fn open() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Self {
            url: format!("http://{}/hook", listener.local_addr().unwrap()),
            posts: Arc::default(),
            answers: Arc::default(),
        };
        let own = receiver.clone();
        let app = Router::new().fallback(move |headers: HeaderMap, body: Bytes| {
            std::future::ready(own.take(headers, body))
        });
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        receiver
    }

    pub(super) fn take(&self, headers: HeaderMap, body: Bytes) -> Response {
        self.posts.lock().unwrap().push(Post { headers, body });
        let (status, wait) = self
            .answers
            .lock()
            .unwrap()
            .pop_front()
            .unwrap_or((202, None));
        let mut answer = StatusCode::from_u16(status).unwrap().into_response();
        if let Some(wait) = wait {
            let wait = HeaderValue::from_static(wait);
            answer.headers_mut().insert(RETRY_AFTER, wait);
        }
        answer
    }

    /// From here on it answers like this, once.
    pub(super) fn then(&self, status: u16, retry_after: Option<&'static str>) {
        self.answers
            .lock()
            .unwrap()
            .push_back((status, retry_after));
    }

    pub(super) fn posts(&self) -> Vec<Post> {
        self.posts.lock().unwrap().clone()
    }
}

impl Post {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// Where our own facts are kept: each story is told on both engines.
pub(super) async fn stores() -> Vec<(String, Option<Database>)> {
    let mut stores = vec![("sqlite:data/tripline.db".to_owned(), None)];
    stores.extend(Database::open().await.map(|d| (d.url.clone(), Some(d))));
    stores
}

/// A company with one control over the file `vendors.csv`, which opens and resolves at the first look.
pub(super) struct Company {
    pub(super) on: Installation,
    pub(super) ada: String,
    pub(super) procurement: String,
}

impl Company {
    pub(super) fn new(store: &str, channel: &str, routes: &str) -> Option<Self> {
        Self::of(
            store,
            (channel, routes),
            unique("procurement") + "@example.test",
        )
    }

    pub(super) fn of(
        store: &str,
        (channel, routes): (&str, &str),
        procurement: String,
    ) -> Option<Self> {
        let on = Installation::new();
        let smtp = required("TRIPLINE_TEST_SMTP")?;
        let (host, port) = smtp.split_once(':').unwrap();
        let user = required("TRIPLINE_TEST_SMTP_USER")?;
        let password = on.secret("smtp", &required("TRIPLINE_TEST_SMTP_PASSWORD")?);
        let ca = certificate("ca.crt")?;
        let store = on.secret("store", store);
        on.secret("hook", &key(7));
        let ada = unique("ada") + "@example.test";
        on.write("controls/review.yaml", CONTROL);
        on.write(
            "tripline.yaml",
            &format!(
                r#"
organisation: Example Bank
store: {{ file: "{store}" }}
evidence: data/evidence
sources:
  vendors: {{ connector: vendors-csv, owner: procurement, refresh: 1s, settings: {{ path: vendors.csv, max_age: 9999d }} }}
teams:
  - {{ id: procurement, email: {procurement}, timezone: Europe/Berlin, digest: {{ every: day, at: "08:00" }} }}
  - {{ id: platform-security }}
  - {{ id: ml-platform }}
  - {{ id: ai-governance }}
people:
  - {{ id: ada, name: Ada, email: {ada}, team: platform-security, roles: [administrator] }}
channels:
  mail:
    smtp: {{ host: {host}, port: {port}, from: tripline@example.test, username: {user}, password: {{ file: "{password}" }}, ca_file: "{ca}" }}
{channel}
routes:
{routes}
rehearsal: true
audit: {{ origin: example.test/told, key: {{ file: audit.key }} }}
"#,
                store = store.display(),
                password = password.display(),
                ca = ca.display(),
            ),
        );
        Some(Self {
            on,
            ada,
            procurement,
        })
    }

    /// The reviews of these vendors, out of four, have lapsed.
    pub(super) fn lapsed(&self, vendors: &[usize]) {
        let mut text = "id,name,tier,owner,review_due\n".to_owned();
        for n in 0..4 {
            let due = if vendors.contains(&n) {
                "2031-01-01"
            } else {
                "2032-01-01"
            };
            writeln!(text, "V-{n},Vendor {n},high,procurement,{due}").unwrap();
        }
        self.on.write("vendors.csv", &text);
    }

    /// Where its own facts are.
    pub(super) fn address(&self) -> Options {
        let text = std::fs::read_to_string(self.on.path("store")).unwrap();
        match text.strip_prefix("sqlite:") {
            Some(path) => Options::Sqlite(self.on.path(path)),
            None => Options::from_address(&text).unwrap(),
        }
    }

    /// The first look, at which all is well.
    pub(super) fn begins(&self) {
        self.lapsed(&[]);
        self.check("2031-06-02T07:00:00Z").ends(0);
    }

    /// The control runs and whoever is owed a word is told.
    pub(super) fn check(&self, at: &str) -> Ran {
        self.on
            .run(&["check", "--control", "review", "--as-of", at], None)
    }

    /// The notices over a channel, each as its state and what was said last.
    pub(super) fn notices(&self, channel: &str) -> Vec<(String, String)> {
        let listed = self.on.list(&["notices", "--channel", channel]);
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        let told = listed
            .iter()
            .map(|n| (text(&n["state"]), text(&n["last_error"])));
        told.collect()
    }

    pub(super) fn verified(&self) {
        self.on.run(&["audit", "verify"], None).ends(0);
    }
}

pub(super) const CONTROL: &str = r#"
id: review
title: Vendors are reviewed again before their review lapses
policy: third-party-ai#review
severity: high
owner: procurement
schedule: "0 6 * * *"
confirm: 1
clear: 1
evidence: SELECT id, name, review_due FROM vendors.vendors
max_age: 1d
subject: vendors/vendor/{id}
inventory: vendors.vendors
fails_when: review_due < CAST(now() AS DATE)
message: "The review of {{ name }} was due on {{ review_due | date }}"
examples:
  - { at: 2026-11-20T12:00:00Z, given: { id: v1, name: A, review_due: 2026-11-19 }, expect: fail }
  - { at: 2026-11-20T12:00:00Z, given: { id: v2, name: A, review_due: 2026-11-21 }, expect: pass }
  - { at: 2026-11-20T12:00:00Z, given: { id: v3, name: A, review_due: null }, expect: unknown }
"#;

pub(super) const TO_SOC: &str =
    r#"  - { when: "kind = 'finding'", to: [soc], as: alert, resolved: alert }"#;

/// A key for signatures that nobody else has a use for.
pub(super) fn key(byte: u8) -> String {
    format!("whsec_{}", STANDARD.encode([byte; 32]))
}

pub(super) fn webhook(receiver: &Receiver) -> String {
    format!(
        "  soc: {{ webhook: {{ url: \"{}\", secret: {{ file: hook }} }} }}",
        receiver.url
    )
}
