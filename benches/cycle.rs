//! A whole cycle over 100,000 subjects of one source over HTTP: collect, snapshot, evaluate twenty controls,
//! reconcile, record; beside what fetching and parsing the same bytes costs alone. CPU time of this process:
//! the server runs in one of its own. Prints a table, and fails when a promise of the design is broken.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a benchmark may fail loudly, and prints what it measured"
)]

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use axum::{Router, extract::Query, response::IntoResponse as _, routing::get};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tripline::{
    clock::ManualClock,
    config::{self, overrides::Overrides},
    daemon::{
        wire,
        work::{self, Ended},
    },
    schedule::plan::Planner,
};

mod common;

use common::{Spent, peak};

const SUBJECTS: usize = 100_000;
const PAGE: usize = 1_000;
const CONTROLS: usize = 20;

/// Fetching and parsing alone may take this much less than a whole cycle.
const MOST: f64 = 3.0;

/// In MiB.
const MOST_MEMORY: u64 = 512;

fn main() {
    // Cargo hands its own arguments on.
    if std::env::args().any(|a| a == "--serve") {
        runtime().block_on(serve());
        return;
    }
    let mut server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    install(folder.path(), &server.url);
    runtime().block_on(measure(folder.path(), &server.url));
    server.child.kill().unwrap();
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap()
}

struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg("--serve")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut url)
            .unwrap();
        let url = url.trim().to_owned();
        Self { child, url }
    }
}

/// Pages of secrets with what a secret store says of each.
async fn serve() {
    let pages: Arc<Vec<String>> = Arc::new((0..SUBJECTS / PAGE).map(page).collect());
    let app = Router::new().route(
        "/secrets",
        get(move |Query(query): Query<Vec<(String, String)>>| {
            let token = query.iter().find(|(name, _)| name == "token");
            let n: usize = token.map_or(0, |(_, t)| t.parse().unwrap());
            let body = pages[n].clone();
            std::future::ready(([("content-type", "application/json")], body).into_response())
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("http://{}", listener.local_addr().unwrap());
    std::io::stdout().flush().unwrap();
    axum::serve(listener, app).await.unwrap();
}

fn page(n: usize) -> String {
    let mut rows = String::new();
    for i in n * PAGE..(n + 1) * PAGE {
        let day = if i % 1_000 == 7 { 1 } else { 20 };
        write!(
            rows,
            r#"{}{{"arn":"arn:aws:secretsmanager:eu-west-1:000000000000:secret:app/{i:06}","name":"app/{i:06}","description":"Credential number {i} of a service that nobody remembers","owner":"team-{}","created":"2025-01-01T00:00:00Z","rotated":"2026-11-{day:02}T06:00:00Z","rotation_enabled":true,"kms_key":"alias/app-{}","tags":{{"env":"prod","cost":"{}"}}}}"#,
            if rows.is_empty() { "" } else { "," },
            i % 40,
            i % 7,
            i % 90,
        )
        .unwrap();
    }
    let next = if (n + 1) * PAGE < SUBJECTS {
        format!(r#","next":"{}""#, n + 1)
    } else {
        String::new()
    };
    format!(r#"{{"secrets":[{rows}]{next}}}"#)
}

fn install(root: &Path, url: &str) {
    for name in ["controls", "connectors", "policies"] {
        fs::create_dir(root.join(name)).unwrap();
    }
    let files = [
        (
            "connectors/store.yaml",
            r#"
id: store
title: A secret store
settings: { url: { type: url } }
http: { base_url: "${url}" }
datasets:
  secrets:
    get: /secrets
    rows: { at: secrets }
    page: { cursor: { from: next, to: query.token } }
    key: [name]
    complete: { reread: 0 }
    columns:
      name: text
      arn: text
      owner: text
      created: timestamp
      rotated: timestamp
      rotation_enabled: bool
      kms_key: text
      env: { type: text, path: tags.env }
"#
            .to_owned(),
        ),
        (
            "policies/keys.yaml",
            "id: keys\nversion: 1\neffective: 2026-01-01\ntitle: Keys\nowner: security\nprovisions:\n  rotation: { title: Rotation, text: Keys are rotated. }\n".to_owned(),
        ),
        (
            "tripline.yaml",
            format!(
                "organisation: Bench\nsources:\n  aws: {{ connector: store, owner: security, refresh: 15m, settings: {{ url: \"{url}\" }} }}\nteams:\n  - {{ id: security, email: security@example.test }}\naudit: {{ origin: example.test/bench, key: {{ file: audit.key }} }}\n"
            ),
        ),
    ];
    for (name, text) in files {
        fs::write(root.join(name), text).unwrap();
    }
    for n in 0..CONTROLS {
        let text = format!(
            r#"
id: rotation-{n}
title: Keys are rotated ({n})
policy: keys#rotation
severity: high
owner: {{ column: owner, else: security }}
schedule: "*/15 * * * *"
params: {{ within: {}d }}
evidence: SELECT name, owner, rotated, kms_key FROM aws.secrets WHERE env = 'prod'
max_age: 1h
subject: aws/secret/{{name}}
inventory: aws.secrets
fails_when: rotated < now() - $within
message: "{{{{ name }}}} was last rotated {{{{ rotated | ago }}}}"
examples:
  - {{ at: 2026-11-20T00:00:00Z, given: {{ name: a, owner: security, kms_key: k, rotated: 2026-01-01T00:00:00Z }}, expect: fail }}
  - {{ at: 2026-11-20T00:00:00Z, given: {{ name: b, owner: security, kms_key: k, rotated: 2026-11-19T00:00:00Z }}, expect: pass }}
  - {{ at: 2026-11-20T00:00:00Z, given: {{ name: c, owner: security, kms_key: k, rotated: null }}, expect: unknown }}
"#,
            14 + n % 4
        );
        fs::write(root.join(format!("controls/rotation-{n}.yaml")), text).unwrap();
    }
}

/// Fetches and parses every page, and does nothing with them.
async fn alone(url: &str) -> usize {
    let client = reqwest::Client::new();
    let (mut rows, mut next) = (0, String::new());
    loop {
        let bytes = client
            .get(format!("{url}/secrets{next}"))
            .send()
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap();
        let page: Value = serde_json::from_slice(&bytes).unwrap();
        rows += page["secrets"].as_array().unwrap().len();
        match page["next"].as_str() {
            Some(token) => next = format!("?token={token}"),
            None => return rows,
        }
    }
}

async fn measure(root: &Path, url: &str) {
    // Another part may have installed it first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let start: DateTime<Utc> = "2026-11-20T12:00:00Z".parse().unwrap();
    let clock = ManualClock::at(start);
    let loaded = config::load(root, &Overrides::default()).unwrap();
    let wired = wire::wire(loaded, Arc::new(clock.clone()), CancellationToken::new())
        .await
        .unwrap();
    let set = Arc::new(wired.set);
    let mut planner = Planner::load(&wired.cx.store, &set.catalog.controls, start)
        .await
        .unwrap();
    println!("{SUBJECTS} subjects, {CONTROLS} controls, pages of {PAGE}");
    println!(
        "{:<34} {:>8} {:>8} {:>9} {:>10}",
        "", "CPU s", "wall s", "findings", "peak MiB"
    );
    let mut fetched = Duration::MAX;
    for round in 1..=3 {
        let (spent, rows) = Spent::of(alone(url)).await;
        assert_eq!(rows, SUBJECTS);
        fetched = fetched.min(spent.cpu);
        say(
            &format!("fetch and parse alone, round {round}"),
            &spent,
            None,
        );
    }
    let mut wrote = Vec::new();
    let mut cheapest = Duration::MAX;
    for round in 1..=5 {
        clock.advance(TimeDelta::minutes(15));
        let (spent, written) = Spent::of(async {
            planner
                .plan(&wired.cx.store, clock_of(&wired.cx))
                .await
                .unwrap();
            let ended = work::all(&wired.cx, &set, (2, "bench"), &|_| ())
                .await
                .unwrap();
            let ran = ended.iter().map(|e| match e {
                Ended::Ran(summary) => {
                    assert_eq!(summary.run.counts.population, SUBJECTS as u64);
                    summary.written
                }
                other => panic!("{other:?}"),
            });
            ran.sum::<u64>()
        })
        .await;
        say(
            &format!("a whole cycle, round {round}"),
            &spent,
            Some(written),
        );
        wrote.push(written);
        cheapest = cheapest.min(spent.cpu);
    }
    let ratio = cheapest.as_secs_f64() / fetched.as_secs_f64();
    println!("a cycle costs {ratio:.2} times of fetching and parsing alone (at most {MOST})");
    assert_eq!(
        wrote.last(),
        Some(&0),
        "nothing changed, and rows were written: {wrote:?}"
    );
    assert!(ratio <= MOST, "{ratio}");
    assert!(peak() <= MOST_MEMORY, "{} MiB", peak());
}

fn clock_of(cx: &tripline::run::Context) -> DateTime<Utc> {
    cx.clock.now()
}

fn say(what: &str, spent: &Spent, written: Option<u64>) {
    let written = written.map_or_else(String::new, |n| n.to_string());
    println!(
        "{what:<34} {:>8.2} {:>8.2} {written:>9} {:>10}",
        spent.cpu.as_secs_f64(),
        spent.wall.as_secs_f64(),
        peak()
    );
}
