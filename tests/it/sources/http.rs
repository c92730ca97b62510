//! Sources over HTTP: servers that misbehave in every way we know of, every way of paging, every way of saying
//! who we are, and the real MLflow and nginx.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::StreamExt as _;
use serde_json::{Value, json};
use tripline::{
    catalog::connector::Connector, connector::Collection, model::snapshot::Completeness,
};

use super::{connector, only, read, rows, source, told, whole};
use crate::systems::{Mlflow, certificate, required, unique};

/// What a server was asked.
#[derive(Debug, Clone)]
struct Asked {
    method: Method,
    path: String,
    query: BTreeMap<String, String>,
    headers: HeaderMap,
    body: Bytes,
}

impl Asked {
    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |v| v.to_str().unwrap_or_default())
    }

    fn token(&self) -> &str {
        self.query.get("token").map_or("", String::as_str)
    }
}

/// A server on this machine that answers as it is told.
struct Fake {
    url: String,
    seen: Arc<Mutex<Vec<Asked>>>,
}

impl Fake {
    async fn open(answer: impl Fn(&Asked) -> Response + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (answer, kept) = (Arc::new(answer), seen.clone());
        let app = Router::new().fallback(
            move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
                let query = uri.query().unwrap_or_default();
                let asked = Asked {
                    method,
                    path: uri.path().to_owned(),
                    query: url::form_urlencoded::parse(query.as_bytes())
                        .into_owned()
                        .collect(),
                    headers,
                    body,
                };
                kept.lock().unwrap().push(asked.clone());
                std::future::ready(answer(&asked))
            },
        );
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, seen }
    }

    fn seen(&self) -> Vec<Asked> {
        self.seen.lock().unwrap().clone()
    }
}

fn status(code: u16) -> Response {
    StatusCode::from_u16(code).unwrap().into_response()
}

fn with(mut response: Response, header: &'static str, value: &str) -> Response {
    response
        .headers_mut()
        .insert(header, value.parse().unwrap());
    response
}

fn answer(body: &Value) -> Response {
    with(
        body.to_string().into_response(),
        "content-type",
        "application/json",
    )
}

/// Things with these numbers.
fn things(numbers: std::ops::Range<u32>, next: Option<&str>) -> Value {
    let things: Vec<Value> = numbers
        .map(|n| json!({ "id": format!("t-{n}"), "n": n }))
        .collect();
    json!({ "things": things, "next": next })
}

/// A list of things, page after page, with what the lines add.
fn list(http: &str, dataset: &str) -> Arc<Connector> {
    list_at("/things", http, dataset)
}

fn list_at(path: &str, http: &str, dataset: &str) -> Arc<Connector> {
    connector(&format!(
        r"
id: it
settings:
  url: {{ type: url }}
  key: {{ type: secret, optional: true }}
http:
  base_url: ${{url}}
  retry: {{ attempts: 3, backoff: 1ms..5ms, max_wait: 1500ms }}
{http}
datasets:
  things:
    get: {path}
    rows: {{ at: things }}
    key: [id]
    columns: {{ id: text, n: int }}
{dataset}
"
    ))
}

const CURSOR: &str =
    "    page: { cursor: { from: next, to: query.token } }\n    complete: { reread: 0 }";

fn at(connector: &Arc<Connector>, server: &Fake) -> tripline::catalog::source::Source {
    source(connector, &json!({ "url": server.url }))
}

/// What comes of a list whose second page is answered like this.
async fn second_page(reply: impl Fn() -> Response + Send + Sync + 'static) -> (Collection, usize) {
    let server = Fake::open(move |asked| match asked.token() {
        "" => answer(&things(0..3, Some("2"))),
        _ => reply(),
    })
    .await;
    let collection = only(&at(&list("", CURSOR), &server)).await;
    (collection, server.seen().len())
}

/// What comes of a list that is answered like this.
async fn first_page(reply: impl Fn() -> Response + Send + Sync + 'static) -> (Collection, usize) {
    let server = Fake::open(move |_| reply()).await;
    let collection = only(&at(&list("", CURSOR), &server)).await;
    (collection, server.seen().len())
}

/// An address is another in each run.
fn steady(text: &str) -> String {
    let mut parts = text.split("127.0.0.1:");
    let mut out = parts.next().unwrap().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        out += "HOST";
        out += rest;
    }
    out
}

type Reply = fn() -> Response;

const FAULTS: &[(&str, Reply)] = &[
    ("500", || status(500)),
    ("503", || status(503)),
    ("401", || status(401)),
    ("403", || status(403)),
    ("404", || status(404)),
    ("429 without a word", || status(429)),
    ("429, patience", || with(status(429), "retry-after", "1")),
    ("429, an hour", || with(status(429), "retry-after", "3600")),
    ("garbage", || {
        "<html>Welcome to the proxy</html>".into_response()
    }),
    ("half a page", || {
        let whole = things(3..6, None).to_string();
        whole[..whole.len() / 2].to_owned().into_response()
    }),
    ("an empty 200", || "".into_response()),
    ("no list in it", || answer(&json!({ "message": "moved" }))),
    ("a redirect elsewhere", || {
        with(
            status(302),
            "location",
            "http://elsewhere.example.test/things",
        )
    }),
    ("a row without a key", || {
        answer(&json!({ "things": [{ "n": 7 }] }))
    }),
    ("another type", || {
        answer(&json!({ "things": [{ "id": "t-9", "n": "seven" }] }))
    }),
    ("a row again", || answer(&things(2..4, None))),
    ("the same token", || answer(&things(3..6, Some("2")))),
    ("an endless body", || {
        let chunk = || Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 1 << 20]));
        let endless = futures::stream::repeat_with(chunk);
        Body::from_stream(endless).into_response()
    }),
    ("a body that breaks off", || {
        let parts = [
            Ok(Bytes::from_static(b"{\"things\": [{\"id\": \"t-9\"")),
            Err(std::io::Error::other("gone")),
        ];
        Body::from_stream(futures::stream::iter(parts)).into_response()
    }),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_misbehaves_never_looks_empty_and_never_looks_whole() {
    let mut told_of = String::new();
    for (name, reply) in FAULTS {
        for (page, (collection, asked)) in [
            ("1", first_page(reply).await),
            ("2", second_page(reply).await),
        ] {
            let said = steady(&told(&collection));
            writeln!(told_of, "{name}, page {page}: {said} [{asked} requests]").unwrap();
            let fine = *name == "a row again" && page == "1";
            assert_eq!(
                collection.status.is_whole(),
                fine,
                "{name}, page {page}: {said}"
            );
        }
    }
    insta::assert_snapshot!(told_of);
}

/// Seven things, three on a page, by number of the first.
fn paged(asked: &Asked, from: u32) -> Vec<Value> {
    assert_eq!(asked.path, "/things");
    (from..(from + 3).min(7))
        .map(|n| json!({ "id": format!("t-{n}"), "n": n }))
        .collect()
}

fn number(asked: &Asked, name: &str) -> u32 {
    asked.query.get(name).map_or(0, |n| n.parse().unwrap())
}

type Server = fn(&Asked) -> Response;

/// Each way of paging, as a connector writes it and as a server speaks it.
const PAGINGS: &[(&str, Server)] = &[
    ("{ cursor: { from: meta.next, to: query.from } }", |asked| {
        let from = number(asked, "from");
        let next = (from + 3 < 7).then(|| (from + 3).to_string());
        answer(&json!({ "things": paged(asked, from), "meta": { "next": next } }))
    }),
    ("{ cursor: { from: next, to: header.x-from } }", |asked| {
        let from = asked.header("x-from").parse().unwrap_or(0);
        let next = if from + 3 < 7 {
            json!(from + 3)
        } else {
            json!("")
        };
        answer(&json!({ "things": paged(asked, from), "next": next }))
    }),
    ("link_header", |asked| {
        let from = number(asked, "from");
        let page = answer(&json!({ "things": paged(asked, from) }));
        if from + 3 >= 7 {
            return page;
        }
        let link = format!(
            "</things?from=0>; rel=\"first\", </things?from={}>; rel=\"next\"",
            from + 3
        );
        with(page, "link", &link)
    }),
    (
        "{ next_url: { from: \"$['@odata.nextLink']\" } }",
        |asked| {
            let from = number(asked, "$skip");
            let next = format!("http://{}/things?$skip={}", asked.header("host"), from + 3);
            let next = (from + 3 < 7).then_some(next);
            answer(&json!({ "things": paged(asked, from), "@odata.nextLink": next }))
        },
    ),
    (
        "{ offset: { param: start, limit_param: size, limit: 3, total: count } }",
        |asked| {
            assert_eq!(number(asked, "size"), 3);
            answer(&json!({ "things": paged(asked, number(asked, "start")), "count": 7 }))
        },
    ),
    (
        "{ offset: { param: start, limit: 3, total: { header: x-total-count } } }",
        |asked| {
            let page = answer(&json!({ "things": paged(asked, number(asked, "start")) }));
            with(page, "x-total-count", "7")
        },
    ),
    ("{ offset: { param: start, limit: 3 } }", |asked| {
        answer(&json!({ "things": paged(asked, number(asked, "start")) }))
    }),
    (
        "{ page: { param: page, size_param: per_page, size: 3, total_pages: pages } }",
        |asked| {
            let page = number(asked, "page");
            assert!(page >= 1 && number(asked, "per_page") == 3);
            answer(&json!({ "things": paged(asked, (page - 1) * 3), "pages": 3 }))
        },
    ),
    (
        "{ page: { param: page, size: 3, first: 0 }, has_more: more }",
        |asked| {
            let page = number(asked, "page");
            answer(&json!({ "things": paged(asked, page * 3), "more": page < 2 }))
        },
    ),
    (
        "{ keyset: { column: id, param: after, value: \"id>{}\", limit: 3 } }",
        |asked| {
            let after = asked.query.get("after").map_or("", String::as_str);
            let from = after
                .strip_prefix("id>t-")
                .map_or(0, |n| n.parse::<u32>().unwrap() + 1);
            answer(&json!({ "things": paged(asked, from) }))
        },
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_way_of_paging_reads_each_row_once() {
    for (page, server) in PAGINGS {
        let server = Fake::open(server).await;
        let dataset = format!("    page: {page}\n    complete: {{ reread: 0 }}");
        let collection = only(&at(&list("", &dataset), &server)).await;
        whole(&collection);
        let mut ids: Vec<i64> = rows(&collection)
            .iter()
            .map(|r| r["n"].as_i64().unwrap())
            .collect();
        ids.sort_unstable();
        assert_eq!(ids, (0..7).collect::<Vec<i64>>(), "{page}");
        assert!(
            (3..=4).contains(&server.seen().len()),
            "{page}: {}",
            server.seen().len()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_total_that_was_declared_and_not_reached_is_partial() {
    let server = Fake::open(|asked| {
        let start = number(asked, "start");
        let page = if start < 6 {
            paged(asked, start)
        } else {
            Vec::new()
        };
        answer(&json!({ "things": page, "count": 250 }))
    })
    .await;
    let dataset = "    page: { offset: { param: start, limit: 3, total: count } }\n    complete: { reread: 0 }";
    let collection = only(&at(&list("", dataset), &server)).await;
    assert_eq!(
        told(&collection),
        "partial (incomplete), 6 rows: got 6 of 250 rows"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn more_pages_than_there_may_be_are_never_a_cut() {
    let server = Fake::open(|asked| {
        let page = number(asked, "page");
        answer(&things(page * 3..page * 3 + 3, None))
    })
    .await;
    let dataset =
        "    page: { page: { param: page, size: 3 }, max_pages: 5 }\n    complete: { reread: 0 }";
    let collection = only(&at(&list("", dataset), &server)).await;
    assert_eq!(collection.status, Completeness::Partial);
    let said = told(&collection);
    assert!(said.contains('5'), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_recovers_is_whole_and_a_list_that_moved_is_read_again() {
    let tries = AtomicUsize::new(0);
    let server = Fake::open(move |_| match tries.fetch_add(1, Ordering::SeqCst) {
        0 => with(status(429), "retry-after", "1"),
        1 => status(502),
        _ => answer(&things(0..3, None)),
    })
    .await;
    whole(&only(&at(&list("", CURSOR), &server)).await);
    assert_eq!(server.seen().len(), 3);

    let reads = AtomicUsize::new(0);
    let server = Fake::open(move |asked| {
        // While it is read for the first time, a row is put in before the others.
        let moved = reads.fetch_add(1, Ordering::SeqCst) == 1;
        match (asked.token(), moved) {
            ("", _) => answer(&things(0..3, Some("2"))),
            (_, true) => answer(&things(2..5, None)),
            (_, false) => answer(&things(3..6, None)),
        }
    })
    .await;
    let dataset = CURSOR.replace("reread: 0", "reread: 2");
    let collection = only(&at(&list("", &dataset), &server)).await;
    whole(&collection);
    assert_eq!(rows(&collection).len(), 6);
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_be_asked_too_fast_waits_and_never_more_at_once_than_allowed() {
    let at_once = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
    let seen = at_once.clone();
    let server = Fake::open(move |asked| {
        if asked.path == "/parents" {
            let parents: Vec<Value> = (0..12).map(|n| json!({ "p": n })).collect();
            return answer(&json!({ "parents": parents }));
        }
        let now = seen.0.fetch_add(1, Ordering::SeqCst) + 1;
        seen.1.fetch_max(now, Ordering::SeqCst);
        let done = seen.clone();
        let body = things(number(asked, "p")..number(asked, "p") + 1, None).to_string();
        let slow = futures::stream::once(async move {
            tokio::time::sleep(Duration::from_millis(60)).await;
            done.0.fetch_sub(1, Ordering::SeqCst);
            Ok::<_, std::io::Error>(Bytes::from(body))
        });
        Body::from_stream(slow.boxed()).into_response()
    })
    .await;
    let text = r#"
id: it
settings: { url: { type: url } }
http: { base_url: "${url}", rate: { per_second: 40, concurrency: 3 } }
datasets:
  parents:
    get: /parents
    rows: { at: parents }
    key: [p]
    complete: { reread: 0 }
    columns: { p: int }
  things:
    each: { of: parents, as: p, concurrency: 8 }
    get: /things
    query: { p: "${p.p}" }
    rows: { at: things }
    key: [id]
    complete: { reread: 0 }
    columns: { id: text, n: int, parent: { type: int, from: p.p } }
"#;
    let begun = std::time::Instant::now();
    let collected = read(&source(&connector(text), &json!({ "url": server.url }))).await;
    whole(&collected["things"]);
    assert_eq!(rows(&collected["things"]).len(), 12);
    assert!(
        rows(&collected["things"])
            .iter()
            .all(|r| r["n"] == r["parent"])
    );
    let most = at_once.1.load(Ordering::SeqCst);
    assert!((2..=3).contains(&most), "{most} at once");
    assert!(
        begun.elapsed() >= Duration::from_millis(220),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parent_whose_children_cannot_be_read_makes_it_partial_and_is_named() {
    let server = Fake::open(|asked| match (asked.path.as_str(), number(asked, "p")) {
        ("/parents", _) => answer(&json!({ "parents": [{ "p": 1 }, { "p": 2 }, { "p": 3 }] })),
        (_, 2) => status(403),
        (_, 3) => status(404),
        (_, p) => answer(&things(p..p + 1, None)),
    })
    .await;
    let text = r#"
id: it
settings: { url: { type: url } }
http: { base_url: "${url}", retry: { attempts: 1 } }
datasets:
  parents:
    get: /parents
    rows: { at: parents }
    key: [p]
    complete: { reread: 0 }
    columns: { p: int }
  things:
    each: { of: parents, as: p }
    get: /things
    query: { p: "${p.p}" }
    rows: { at: things }
    responses: { 404: gone }
    key: [id]
    complete: { reread: 0 }
    columns: { id: text, n: int }
"#;
    let collected = read(&source(&connector(text), &json!({ "url": server.url }))).await;
    whole(&collected["parents"]);
    let things = &collected["things"];
    assert_eq!(things.status, Completeness::Partial);
    let said = steady(&told(things));
    assert!(said.contains("403") && said.contains('2'), "{said}");
    assert_eq!(
        things.effort.gone, 1,
        "a child that is gone is no fault: {said}"
    );
}

/// A folder with secrets.
fn secrets(named: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, value) in named {
        std::fs::write(folder.path().join(name), value).unwrap();
    }
    folder
}

fn secret(folder: &tempfile::TempDir, name: &str) -> Value {
    json!({ "file": folder.path().join(name) })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_of_saying_who_we_are_is_understood_and_never_repeated() {
    let kept = secrets(&[("key", "hunter2-of-tripline")]);
    let basic = format!("Basic {}", STANDARD.encode("ada:hunter2-of-tripline"));
    let ways: &[(&str, &str, &str)] = &[
        (
            "auth: { basic: { username: ada, password: \"${key}\" } }",
            "authorization",
            &basic,
        ),
        (
            "auth: { bearer: \"${key}\" }",
            "authorization",
            "Bearer hunter2-of-tripline",
        ),
        (
            "auth: { api_key: { header: x-api-key, value: \"Token ${key}\" } }",
            "x-api-key",
            "Token hunter2-of-tripline",
        ),
        (
            "auth: { vault: { token: \"${key}\", namespace: team } }",
            "x-vault-token",
            "hunter2-of-tripline",
        ),
    ];
    for (auth, header, value) in ways {
        let server = Fake::open(|_| answer(&things(0..2, None))).await;
        let connector = list_at("/v1/sys/things", &format!("  {auth}"), CURSOR);
        let settings = json!({ "url": server.url, "key": secret(&kept, "key") });
        let collection = only(&source(&connector, &settings)).await;
        whole(&collection);
        assert_eq!(server.seen()[0].header(header), *value, "{auth}");

        // A source that repeats what it was told does not get it into our words.
        let (header, echo) = (
            (*header).to_owned(),
            Fake::open({
                let header = (*header).to_owned();
                move |asked| {
                    let said = json!({ "error": format!("bad key {}", asked.header(&header)) });
                    with(
                        (StatusCode::UNAUTHORIZED, said.to_string()).into_response(),
                        "content-type",
                        "application/json",
                    )
                }
            })
            .await,
        );
        let settings = json!({ "url": echo.url, "key": secret(&kept, "key") });
        let refused = only(&source(&connector, &settings)).await;
        let said = told(&refused);
        assert!(said.starts_with("failed (auth)"), "{header}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
        assert!(!format!("{refused:?}").contains("hunter2"));
    }
    let server = Fake::open(|asked| {
        assert_eq!(asked.query["key"], "hunter2-of-tripline");
        status(500)
    })
    .await;
    let connector = list(
        "  auth: { api_key: { query: key, value: \"${key}\" } }",
        CURSOR,
    );
    let settings = json!({ "url": server.url, "key": secret(&kept, "key") });
    let said = told(&only(&source(&connector, &settings)).await);
    assert!(
        said.contains("answered 500") && !said.contains("hunter2"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_fetched_once_kept_and_renewed_once_when_it_is_refused() {
    let kept = secrets(&[("key", "hunter2-of-tripline")]);
    let given = Arc::new(AtomicUsize::new(0));
    let counter = given.clone();
    let server = Fake::open(move |asked| {
        if asked.path == "/token" {
            let form: BTreeMap<String, String> = url::form_urlencoded::parse(&asked.body).into_owned().collect();
            assert_eq!(form["grant_type"], "client_credentials");
            assert_eq!(form["client_id"], "tripline");
            assert_eq!(form["client_secret"], "hunter2-of-tripline");
            assert_eq!(form["scope"], "inventory.read");
            let n = counter.fetch_add(1, Ordering::SeqCst) + 1;
            return answer(&json!({ "access_token": format!("token-{n}"), "token_type": "Bearer", "expires_in": 3600 }));
        }
        // The first token is withdrawn after a page.
        match (asked.header("authorization"), asked.token()) {
            ("Bearer token-1", "") => answer(&things(0..3, Some("2"))),
            ("Bearer token-2", "2") => answer(&things(3..6, None)),
            _ => status(401),
        }
    })
    .await;
    let auth = format!(
        "  auth: {{ oauth2_client_credentials: {{ token_url: \"{}/token\", client_id: tripline, client_secret: \"${{key}}\", scope: inventory.read }} }}",
        server.url
    );
    let connector = list(&auth, CURSOR);
    let settings = json!({ "url": server.url, "key": secret(&kept, "key") });
    let collection = only(&source(&connector, &settings)).await;
    whole(&collection);
    assert_eq!(rows(&collection).len(), 6);
    assert_eq!(given.load(Ordering::SeqCst), 2);
    let asked = server.seen().iter().filter(|a| a.path == "/things").count();
    assert_eq!(asked, 3, "one page was asked for twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn vault_gives_a_token_for_a_role_and_its_warnings_are_believed() {
    let kept = secrets(&[("key", "hunter2-of-tripline")]);
    let server = Fake::open(|asked| {
        if asked.path == "/v1/auth/approle/login" {
            let body: Value = serde_json::from_slice(&asked.body).unwrap();
            assert_eq!(
                body,
                json!({ "role_id": "tripline", "secret_id": "hunter2-of-tripline" })
            );
            return answer(
                &json!({ "auth": { "client_token": "hvs-short", "lease_duration": 3600 } }),
            );
        }
        assert_eq!(asked.header("x-vault-token"), "hvs-short");
        assert_eq!(asked.method.as_str(), "LIST");
        answer(
            &json!({ "data": { "keys": ["a", "b"] }, "warnings": ["the list was cut at 10000"] }),
        )
    })
    .await;
    let text = r#"
id: it
settings: { url: { type: url }, key: { type: secret } }
http:
  base_url: "${url}"
  auth: { vault: { approle: { role_id: tripline, secret_id: "${key}" } } }
datasets:
  leases:
    list: /v1/sys/leases/lookup/database
    rows: { at: data.keys }
    key: [lease]
    complete: { reread: 0, warnings: warnings }
    columns: { lease: { type: text, path: "$" } }
"#;
    let settings = json!({ "url": server.url, "key": secret(&kept, "key") });
    let collection = only(&source(&connector(text), &settings)).await;
    assert_eq!(collection.status, Completeness::Partial);
    let said = told(&collection);
    assert!(said.contains("warn"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_shows_who_we_are_and_without_it_the_door_stays_shut() {
    let (Some(url), Some(ca), Some(cert), Some(key)) = (
        required("TRIPLINE_TEST_NGINX_URL"),
        certificate("ca.crt"),
        certificate("client.crt"),
        certificate("client.key"),
    ) else {
        return;
    };
    let mlflow = Mlflow::open().unwrap();
    let model = unique("behind");
    mlflow.model(&model, &[]).await;
    let text = |tls: &str| {
        format!(
            r#"
id: it
settings: {{ url: {{ type: url }} }}
http: {{ base_url: "${{url}}", retry: {{ attempts: 3, backoff: 1ms..5ms }}, tls: {tls} }}
datasets:
  models:
    get: /api/2.0/mlflow/registered-models/search
    query: {{ filter: "name='{model}'" }}
    rows: {{ at: registered_models, absent: empty }}
    key: [name]
    complete: {{ reread: 0 }}
    columns: {{ name: text }}
"#
        )
    };
    let of = async |tls: String| {
        let connector = connector(&text(&tls));
        only(&source(&connector, &json!({ "url": url }))).await
    };
    let ours = format!(
        "{{ ca_file: \"{}\", cert_file: \"{}\", key_file: {{ file: \"{}\" }} }}",
        ca.display(),
        cert.display(),
        key.display()
    );
    let collection = of(ours).await;
    whole(&collection);
    assert_eq!(rows(&collection), [json!({ "name": model })]);
    let nobody = of(format!("{{ ca_file: \"{}\" }}", ca.display())).await;
    assert!(
        told(&nobody).starts_with("failed (source_error)"),
        "{}",
        told(&nobody)
    );
    assert!(told(&nobody).contains("400"), "{}", told(&nobody));
    let stranger = of("{}".to_owned()).await;
    assert!(
        told(&stranger).contains("certificate"),
        "{}",
        told(&stranger)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_door_that_lets_one_in_three_seconds_through_is_waited_for() {
    let (Some(url), Some(ca), Some(cert), Some(key)) = (
        required("TRIPLINE_TEST_NGINX_SLOW_URL"),
        certificate("ca.crt"),
        certificate("client.crt"),
        certificate("client.key"),
    ) else {
        return;
    };
    let mlflow = Mlflow::open().unwrap();
    let prefix = unique("slow");
    for n in 0..3 {
        mlflow.model(&format!("{prefix}-{n}"), &[]).await;
    }
    let text = format!(
        r#"
id: it
settings: {{ url: {{ type: url }} }}
http:
  base_url: "${{url}}"
  retry: {{ attempts: 8, backoff: 100ms..1s }}
  tls: {{ ca_file: "{}", cert_file: "{}", key_file: {{ file: "{}" }} }}
datasets:
  models:
    get: /api/2.0/mlflow/registered-models/search
    query: {{ max_results: 1, filter: "name LIKE '{prefix}%'" }}
    rows: {{ at: registered_models }}
    page: {{ cursor: {{ from: next_page_token, to: query.page_token }} }}
    key: [name]
    complete: {{ reread: 0 }}
    columns: {{ name: text }}
"#,
        ca.display(),
        cert.display(),
        key.display()
    );
    let collection = only(&source(&connector(&text), &json!({ "url": url }))).await;
    whole(&collection);
    assert_eq!(rows(&collection).len(), 3);
    // A page that comes at once is followed by one that is refused at least once.
    assert!(collection.effort.requests > 3, "{:?}", collection.effort);
}

#[tokio::test(flavor = "multi_thread")]
async fn mlflow_shows_everything_to_an_administrator_and_others_see_that_they_are_blind() {
    let Some(mlflow) = Mlflow::with_logins() else {
        return;
    };
    let model = unique("guarded");
    let tags = [("owner", "team-a"), ("risk_tier", "high")];
    mlflow.model(&model, &tags).await;
    let version = mlflow
        .version(&model, &[("approved_by", "risk-board")])
        .await;
    mlflow.alias(&model, "production", &version).await;
    let password = required("TRIPLINE_TEST_MLFLOW_AUTH_PASSWORD").unwrap();
    let kept = secrets(&[("right", &password), ("wrong", "hunter2-of-tripline")]);
    let shipped = connector(&std::fs::read_to_string("connectors/mlflow.yaml").unwrap());
    let of = async |user: &str, key: &str| {
        let settings =
            json!({ "url": mlflow.url, "username": user, "password": secret(&kept, key) });
        read(&source(&shipped, &settings)).await
    };
    let seen = of("admin", "right").await;
    whole(&seen["models"]);
    let versions = rows(&seen["versions"]);
    let ours = versions.iter().find(|v| v["name"] == json!(model)).unwrap();
    assert_eq!(ours["approved_by"], "risk-board");
    assert_eq!(ours["owner"], "team-a");
    let aliases = rows(&seen["aliases"]);
    let alias = aliases.iter().find(|a| a["model"] == json!(model)).unwrap();
    assert_eq!(alias["alias"], "production");
    for (user, key, wanted) in [
        ("reader", "right", "failed (lost_visibility)"),
        ("admin", "wrong", "failed (auth)"),
    ] {
        let seen = of(user, key).await;
        for (name, collection) in seen {
            let said = told(&collection);
            assert!(said.starts_with(wanted), "{user} {name}: {said}");
            assert!(!said.contains("hunter2"), "{said}");
        }
    }
}
