//! One joined, three-valued control over a million secrets and five thousand models that are held as Parquet
//! evidence: reading, joining, judging and counting, with the rows of those that fail. Criterion's numbers are
//! records (secrets) per second of the wall clock; the last line is records per second of one core.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a benchmark may fail loudly"
)]

use std::{collections::BTreeMap, hint::black_box, path::Path, time::Duration};

use chrono::{DateTime, Utc};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tripline::{
    evaluate::{Engine, Limits},
    evidence::{Archive, Evidence, Options},
    model::{
        control::{
            CatchUp, Control, Given, OnEmpty, OnPartial, Param, Rules, Schedule, Sql, Waivable,
        },
        id::{DatasetName, Sha, SubjectId},
        policy::{ProvisionRef, Severity},
        run::Used,
        snapshot::Completeness,
        span::Span,
        table::{ColumnDef, ColumnType, Schema, Table, Values},
    },
    yaml::diagnostic::Place,
};

mod common;

use common::Spent;

/// In millions of records per CPU-second.
const LEAST: f64 = 5.0;

const SECRETS: i64 = 1_000_000;
const MODELS: i64 = 5_000;

fn now() -> DateTime<Utc> {
    "2026-11-20T00:00:00Z".parse().unwrap()
}

fn schema(columns: &[(&str, ColumnType)], key: &str) -> Schema {
    let columns = columns.iter().map(|(name, ty)| ColumnDef {
        name: (*name).to_owned(),
        ty: *ty,
        nullable: *name != key,
    });
    Schema {
        columns: columns.collect(),
        key: vec![key.to_owned()],
    }
}

/// One in a thousand was rotated too long ago, one in a thousand never.
fn secrets() -> Table {
    let all = 0..SECRETS;
    let rotated = |i: i64| {
        let days = if i % 1_000 == 7 { 200 } else { i % 80 };
        (i % 1_000 != 8).then(|| now().timestamp_micros() - days * 86_400_000_000 - i)
    };
    Table {
        schema: schema(
            &[
                ("name", ColumnType::Text),
                ("rotated", ColumnType::Timestamp),
                ("model", ColumnType::Text),
                ("note", ColumnType::Text),
            ],
            "name",
        ),
        columns: vec![
            Values::Text(
                all.clone()
                    .map(|i| Some(format!("secret-{i:07}")))
                    .collect(),
            ),
            Values::Timestamp(all.clone().map(rotated).collect()),
            Values::Text(
                all.clone()
                    .map(|i| Some(format!("model-{:04}", i % MODELS)))
                    .collect(),
            ),
            Values::Text(
                all.map(|i| Some(format!("nobody reads this column {i}")))
                    .collect(),
            ),
        ],
    }
}

fn models() -> Table {
    Table {
        schema: schema(
            &[("name", ColumnType::Text), ("env", ColumnType::Text)],
            "name",
        ),
        columns: vec![
            Values::Text((0..MODELS).map(|i| Some(format!("model-{i:04}"))).collect()),
            Values::Text(
                (0..MODELS)
                    .map(|i| Some(if i % 5 == 0 { "test" } else { "prod" }.to_owned()))
                    .collect(),
            ),
        ],
    }
}

fn control() -> Control {
    let place = Place::file(Path::new("bench.yaml"));
    let sql = |text: &str| Sql {
        text: text.to_owned(),
        place: place.clone(),
        block: None,
    };
    Control {
        id: "bench".into(),
        title: "Secrets are rotated".to_owned(),
        description: None,
        why: None,
        policy: ProvisionRef {
            policy: "policy".into(),
            provision: "provision".to_owned(),
        },
        frameworks: Vec::new(),
        responsibility: None,
        lifecycle: Vec::new(),
        severity: Given::Fixed(Severity::High),
        owner: Given::Fixed("platform".to_owned()),
        schedule: Schedule {
            cron: "*/15 * * * *".to_owned(),
            timezone: chrono_tz::UTC,
            catch_up: CatchUp::Latest,
            interval: Span::minutes(15),
        },
        params: BTreeMap::from([("max".to_owned(), Param::Duration(Span::days(90)))]),
        evidence: sql(
            "SELECT s.name, s.rotated, m.env FROM aws.secrets s JOIN mlflow.models m ON m.name = s.model",
        ),
        datasets: Vec::new(),
        max_age: Span::hours(1),
        subject: "aws/secret/{name}".parse().unwrap(),
        inventory: None,
        fails_when: sql("env = 'prod' AND rotated < now() - $max"),
        on_empty: OnEmpty::Unknown,
        on_partial: OnPartial::Unknown,
        rules: Rules::default(),
        due: BTreeMap::new(),
        fingerprint: Vec::new(),
        facts: BTreeMap::new(),
        exceptions: Waivable::Allowed,
        exception_budget: None,
        message: None,
        fix: None,
        examples: Vec::new(),
        formerly: Vec::new(),
        shadow: false,
        definition: Sha::of("definition"),
        place: place.clone(),
    }
}

async fn evidence(archive: &Archive) -> Evidence {
    let mut evidence = Evidence::default();
    for (name, table) in [("aws.secrets", secrets()), ("mlflow.models", models())] {
        let dataset: DatasetName = name.parse().unwrap();
        let object = archive.put(&table).await.unwrap().object;
        evidence
            .schemas
            .insert(dataset.clone(), table.schema.clone());
        evidence.used.push(Used {
            dataset,
            snapshot: Some("snap-bench".into()),
            object: Some(object),
            content: None,
            status: Completeness::Complete,
            rows: table.rows() as u64,
            collected_at: Some(now()),
            objection: None,
        });
    }
    evidence
}

fn control_over_a_million(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let archive = Archive::open(&Options::folder(folder.path())).unwrap();
    let evidence = runtime.block_on(evidence(&archive));
    let engine = Engine::new(archive, &Limits::default()).unwrap();
    let control = control();
    let known: Vec<SubjectId> = (0..2_000)
        .map(|i| SubjectId::from(format!("aws/secret/secret-{:07}", i * 500)))
        .collect();
    let mut group = c.benchmark_group("control");
    group.throughput(Throughput::Elements(SECRETS.unsigned_abs()));
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(10));
    for (name, known) in [("nobody known", &[][..]), ("2,000 known", &known)] {
        group.bench_function(name, |b| {
            b.iter(|| {
                let found = runtime
                    .block_on(engine.control(&control, &evidence, known, now()))
                    .unwrap();
                assert_eq!(found.counts.population, SECRETS.unsigned_abs());
                black_box(found)
            });
        });
    }
    group.finish();
    let rounds = 40;
    let (spent, ()) = runtime.block_on(Spent::of(async {
        for _ in 0..rounds {
            black_box(
                engine
                    .control(&control, &evidence, &[], now())
                    .await
                    .unwrap(),
            );
        }
    }));
    let rate = f64::from(rounds) * SECRETS as f64 / spent.cpu.as_secs_f64() / 1e6;
    println!(
        "{rate:.1} million records per CPU-second (at least {LEAST}); {:.0} ms of the wall clock each",
        spent.wall.as_secs_f64() * 1e3 / f64::from(rounds)
    );
    assert!(rate >= LEAST, "{rate}");
}

criterion_group!(benches, control_over_a_million);
criterion_main!(benches);
