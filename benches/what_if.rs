//! What another limit would have done to 100,000 subjects in each of the last 26 weeks, beside 26 evaluations of the
//! same evidence as it was. CPU time of this process. Prints a table, and fails when the past takes longer than as many
//! evaluations or needs more memory the further it reaches back.

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

use std::{fmt::Write as _, fs, path::Path, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use tokio_util::sync::CancellationToken;
use tripline::{
    clock::ManualClock,
    config::{self, overrides::Overrides},
    daemon::{
        wire,
        work::{self, Ended},
    },
    model::{id::ControlId, run::Run},
    review::{change::Change, what_if},
    run::{Context, Replayed, Set, definition, evidence, replay},
    schedule::plan::Planner,
    store::{Page, findings, runs},
};

mod common;

use common::{Spent, peak};

const SUBJECTS: usize = 100_000;
const WEEKS: u32 = 26;

/// Memory for 26 weeks beside that for two.
const MOST_MEMORY: f64 = 1.15;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    runtime.block_on(measure(folder.path()));
}

/// Secrets with an owner, a vendor and the day they were rotated: a few fail today, each week others.
fn rows(week: u32) -> String {
    let mut text = "name,owner,vendor,rotated\n".to_owned();
    let start: DateTime<Utc> = START.parse().unwrap();
    let now = start + TimeDelta::weeks(i64::from(week));
    for i in 0..SUBJECTS {
        let age = (i * 7 + week as usize * 7) % 92;
        let rotated = now - TimeDelta::days(i64::try_from(age).unwrap());
        writeln!(
            text,
            "app/{i:06},team-{},vendor-{},{}",
            i % 40,
            i % 7,
            rotated.format("%Y-%m-%dT00:00:00Z")
        )
        .unwrap();
    }
    text
}

const START: &str = "2026-01-05T12:00:00Z";

fn install(root: &Path) {
    for name in ["controls", "connectors", "policies"] {
        fs::create_dir(root.join(name)).unwrap();
    }
    let files = [
        (
            "connectors/store.yaml",
            r#"
id: store
title: A secret store
settings: { path: { type: path } }
file: { path: "${path}" }
datasets:
  secrets:
    csv: { header: true }
    key: [name]
    complete: { reread: 0 }
    columns: { name: text, owner: text, vendor: text, rotated: timestamp }
"#,
        ),
        (
            "policies/keys.yaml",
            "id: keys\nversion: 1\neffective: 2026-01-01\ntitle: Keys\nowner: security\nprovisions:\n  rotation: { title: Rotation, text: Keys are rotated. }\n",
        ),
        (
            "tripline.yaml",
            "organisation: Bench\nsources:\n  store: { connector: store, owner: security, refresh: 15m, settings: { path: data/secrets.csv } }\nteams:\n  - { id: security, email: security@example.test }\naudit: { origin: example.test/bench, key: { file: audit.key } }\n",
        ),
        (
            "controls/rotation.yaml",
            r#"
id: rotation
title: Keys are rotated
policy: keys#rotation
severity: high
owner: { column: owner, else: security }
schedule: "0 12 * * 1"
params: { within: 90d }
evidence: SELECT name, owner, vendor, rotated FROM store.secrets
max_age: 1h
subject: store/secret/{name}
inventory: store.secrets
facts: { vendor: vendor }
fails_when: rotated < now() - $within
examples:
  - { at: 2026-11-20T00:00:00Z, given: { name: a, owner: security, vendor: v, rotated: 2026-01-01T00:00:00Z }, expect: fail }
  - { at: 2026-11-20T00:00:00Z, given: { name: b, owner: security, vendor: v, rotated: 2026-11-19T00:00:00Z }, expect: pass }
  - { at: 2026-11-20T00:00:00Z, given: { name: c, owner: security, vendor: v, rotated: null }, expect: unknown }
"#,
        ),
    ];
    for (name, text) in files {
        fs::write(root.join(name), text).unwrap();
    }
    fs::create_dir(root.join("data")).unwrap();
}

async fn measure(root: &Path) {
    install(root);
    let start: DateTime<Utc> = START.parse().unwrap();
    let clock = ManualClock::at(start);
    fs::write(root.join("data/secrets.csv"), rows(0)).unwrap();
    let loaded = config::load(root, &Overrides::default()).unwrap();
    let wired = wire::wire(loaded, Arc::new(clock.clone()), CancellationToken::new())
        .await
        .unwrap();
    let (cx, set) = (wired.cx, Arc::new(wired.set));
    let mut planner = Planner::load(&cx.store, &set.catalog.controls, start)
        .await
        .unwrap();
    for week in 1..=WEEKS {
        fs::write(root.join("data/secrets.csv"), rows(week)).unwrap();
        clock.advance(TimeDelta::weeks(1));
        planner.plan(&cx.store, cx.clock.now()).await.unwrap();
        let ended = work::all(&cx, &set, (1, "bench"), &|_| ()).await.unwrap();
        for one in ended {
            match one {
                Ended::Ran(summary) => {
                    assert_eq!(summary.run.counts.population, SUBJECTS as u64);
                }
                other => panic!("{other:?}"),
            }
        }
    }
    println!("{SUBJECTS} subjects, {WEEKS} weeks");
    println!(
        "{:<44} {:>8} {:>8} {:>10}",
        "", "CPU s", "wall s", "peak MiB"
    );
    for round in 1..=3 {
        let (spent, ()) = Spent::of(replays(&cx, &set)).await;
        say(&format!("{WEEKS} replays, round {round}"), &spent);
    }
    let mut once = f64::MAX;
    for round in 1..=3 {
        let (spent, ()) = Spent::of(evaluations(&cx, &set)).await;
        say(&format!("{WEEKS} evaluations, round {round}"), &spent);
        once = once.min(spent.cpu.as_secs_f64());
    }
    let changes = [
        ("120 days", vec![("within", "120d")], None),
        ("85 days", vec![("within", "85d")], None),
        (
            "120 days for a vendor",
            vec![("within", "120d")],
            Some("vendor = 'vendor-3'"),
        ),
    ];
    for (said, set_to, scope) in changes {
        let change = Change {
            set: set_to
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            fails_when: None,
            scope: scope.map(str::to_owned),
        };
        let mut cheapest = f64::MAX;
        let few = tried(&cx, &set, &change, 2).await;
        say(&format!("{said}, 2 weeks"), &few);
        let (before, mut after) = (peak(), 0);
        for round in 1..=3 {
            let spent = tried(&cx, &set, &change, WEEKS).await;
            say(&format!("{said}, {WEEKS} weeks, round {round}"), &spent);
            cheapest = cheapest.min(spent.cpu.as_secs_f64());
            after = peak();
        }
        let ratio = cheapest / once;
        let grew = after as f64 / before as f64;
        println!(
            "{said}: {ratio:.2} times {WEEKS} evaluations (at most 1); memory grew {grew:.2} times (at most {MOST_MEMORY})"
        );
        assert!(grew <= MOST_MEMORY, "{said}: {grew}");
        assert!(ratio <= 1.0, "{said}: {ratio}");
    }
}

async fn all_runs(cx: &Context) -> Vec<Run> {
    let filter = runs::Filter {
        control: Some(ControlId::from("rotation")),
        ..runs::Filter::default()
    };
    let mut tx = cx.store.read().await.unwrap();
    let all = runs::list(&mut tx, &filter, Page::first(WEEKS))
        .await
        .unwrap();
    assert_eq!(all.len(), WEEKS as usize);
    all
}

/// Every run's evidence judged again, told of nobody but whoever does not pass.
async fn replays(cx: &Context, set: &Set) {
    for run in all_runs(cx).await {
        assert_eq!(replay(cx, set, &run).await.unwrap(), Replayed::Same);
    }
}

/// Every run's evidence evaluated as a run does it: whoever has a finding is told of as well.
async fn evaluations(cx: &Context, set: &Set) {
    let id = ControlId::from("rotation");
    let control = set.catalog.control(&id).unwrap();
    for run in all_runs(cx).await {
        let mut tx = cx.store.read().await.unwrap();
        let definition = definition(&mut tx, set, &run).await.unwrap().unwrap();
        let evidence = evidence(&mut tx, &run, &definition).await.unwrap().unwrap();
        let known = findings::subjects(&mut tx, &id).await.unwrap();
        drop(tx);
        let said = cx.engine.control(control, &evidence, &known, run.instant);
        assert_eq!(said.await.unwrap().digest, run.outcomes);
    }
}

async fn tried(cx: &Context, set: &Set, change: &Change, weeks: u32) -> Spent {
    let control = ControlId::from("rotation");
    let (spent, all) = Spent::of(what_if(cx, set, (&control, change), weeks, &mut |_| ())).await;
    let all = all.unwrap();
    assert_eq!(all.weeks.len(), weeks as usize);
    assert!(
        all.weeks
            .iter()
            .all(|w| w.judged.is_some_and(|j| j.population == SUBJECTS as u64))
    );
    assert!(all.latest.is_some());
    spent
}

fn say(what: &str, spent: &Spent) {
    println!(
        "{what:<44} {:>8.2} {:>8.2} {:>10}",
        spent.cpu.as_secs_f64(),
        spent.wall.as_secs_f64(),
        peak()
    );
}
