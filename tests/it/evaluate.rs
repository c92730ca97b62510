//! Controls over stored evidence: each file in `tests/cases/condition` is one story with its datasets, its
//! condition and what must come out.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use tripline::{
    evaluate::{Engine, Limits},
    evidence::{Archive, Evidence, Options, Standing, View},
    model::{
        control::{
            CatchUp, Control, Given, OnEmpty, OnPartial, Param, Rules, Schedule, Sql, Waivable,
        },
        id::{DatasetName, Sha, SubjectId},
        outcome::{Evaluation, Observed, Outcome, Presence, Row, Unknown},
        policy::{ProvisionRef, Severity},
        snapshot::{Completeness, Effort, Snapshot},
        span::Span,
        table::{ColumnDef, ColumnType, Schema, Table, Values},
    },
    yaml::{decode, diagnostic::Place},
};

/// One story.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    #[expect(dead_code, reason = "for the reader of the file")]
    note: String,
    now: DateTime<Utc>,
    datasets: BTreeMap<DatasetName, Dataset>,
    #[serde(default)]
    views: BTreeMap<DatasetName, ViewFile>,
    evidence: String,
    subject: String,
    condition: String,
    #[serde(default)]
    params: BTreeMap<String, Param>,
    #[serde(default)]
    known: Vec<SubjectId>,
    inventory: Option<DatasetName>,
    #[serde(default)]
    on_empty_pass: bool,
    #[serde(default)]
    on_partial_open: bool,
    #[serde(default)]
    fingerprint: Vec<String>,
    #[serde(default)]
    facts: BTreeMap<String, String>,
    owner: Option<String>,
    severity: Option<String>,
    want: Want,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Dataset {
    columns: BTreeMap<String, ColumnType>,
    #[serde(default)]
    key: Vec<String>,
    #[serde(default)]
    rows: Vec<Row>,
    status: Option<Completeness>,
    unknown: Option<Unknown>,
    reason: Option<String>,
    age: Option<Span>,
    last_good: Option<DateTime<Utc>>,
    /// The columns as they were when the snapshot was taken, where they differ.
    was: Option<BTreeMap<String, ColumnType>>,
    #[serde(default)]
    never: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ViewFile {
    sql: String,
    columns: BTreeMap<String, ColumnType>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Want {
    not_checked: Option<Unknown>,
    because: Option<String>,
    /// Subjects that pass, fail, are unknown.
    counts: Option<[u64; 3]>,
    /// `fail`, `pass` or the reason of an unknown.
    #[serde(default)]
    outcomes: BTreeMap<SubjectId, String>,
    #[serde(default)]
    rows: BTreeMap<SubjectId, Vec<Row>>,
    #[serde(default)]
    fingerprint: BTreeMap<SubjectId, BTreeMap<String, Vec<String>>>,
    #[serde(default)]
    facts: BTreeMap<SubjectId, BTreeMap<String, String>>,
    #[serde(default)]
    owners: BTreeMap<SubjectId, Vec<String>>,
    #[serde(default)]
    severity: BTreeMap<SubjectId, Severity>,
    #[serde(default)]
    absent: BTreeMap<SubjectId, Presence>,
}

#[tokio::test]
async fn every_story_comes_out_as_written() {
    let mut wrong = Vec::new();
    let files = cases();
    assert!(files.len() > 10, "tests/cases/condition has the stories");
    for file in files {
        let case = read(&file);
        let (_folder, archive) = archive();
        let found = run(&case, &archive, &Limits::default()).await;
        if let Err(why) = compare(&case, &found) {
            wrong.push(format!("{}: {why}\n{found:#?}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

fn cases() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir("tests/cases/condition")
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    files.sort();
    files
}

fn read(file: &Path) -> Case {
    let text = fs::read_to_string(file).unwrap();
    let (value, _) = decode::read::<Value>(file, &text).unwrap();
    serde_json::from_value(value).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

fn archive() -> (tempfile::TempDir, Archive) {
    let folder = tempfile::tempdir().unwrap();
    let archive = Archive::open(&Options::folder(folder.path().join("evi dence%41[1]"))).unwrap();
    (folder, archive)
}

async fn run(case: &Case, archive: &Archive, limits: &Limits) -> Evaluation {
    let evidence = evidence(case, archive).await;
    let engine = Engine::new(archive.clone(), limits).unwrap();
    engine
        .control(&control(case), &evidence, &case.known, case.now)
        .await
        .unwrap()
}

async fn evidence(case: &Case, archive: &Archive) -> Evidence {
    let mut evidence = Evidence::default();
    for (name, dataset) in &case.datasets {
        let declared = schema(&dataset.columns, &dataset.key);
        let stored = schema(
            dataset.was.as_ref().unwrap_or(&dataset.columns),
            &dataset.key,
        );
        let table = table(&stored, &dataset.rows);
        let object = archive.put(&table).await.unwrap().object;
        let started_at = case.now - dataset.age.unwrap_or(Span::minutes(5)).to_delta();
        let snapshot = Snapshot {
            id: "snap-1".into(),
            dataset: name.clone(),
            status: dataset.status.unwrap_or(Completeness::Complete),
            unknown: dataset.unknown,
            reason: dataset.reason.clone(),
            rows: table.rows() as u64,
            effort: Effort::default(),
            started_at,
            ended_at: started_at,
            content: None,
            object: Some(object),
            schema: stored.digest(),
            definition: Sha::of("definition"),
            scope: Sha::of("scope"),
            identity: None,
            request_ids: Vec::new(),
        };
        let standing = Standing {
            dataset: name,
            schema: &declared,
            snapshot: (!dataset.never).then_some(&snapshot),
            last_good: dataset.last_good,
        };
        evidence.add(standing, Span::hours(1), case.now);
    }
    for (name, view) in &case.views {
        let view = View {
            sql: view.sql.clone(),
            schema: schema(&view.columns, &[]),
        };
        evidence.views.insert(name.clone(), view);
    }
    evidence
}

fn schema(columns: &BTreeMap<String, ColumnType>, key: &[String]) -> Schema {
    Schema {
        columns: columns
            .iter()
            .map(|(name, ty)| ColumnDef {
                name: name.clone(),
                ty: *ty,
                nullable: !key.contains(name),
            })
            .collect(),
        key: key.to_vec(),
    }
}

/// Rows as a table, by hand: the reader of rows belongs to the code under test.
fn table(schema: &Schema, rows: &[Row]) -> Table {
    let mut table = Table::empty(schema.clone());
    for row in rows {
        for (column, values) in schema.columns.iter().zip(&mut table.columns) {
            let given = row.get(&column.name).filter(|v| !v.is_null());
            match values {
                Values::Text(v) => v.push(given.map(|g| g.as_str().unwrap().to_owned())),
                Values::Int(v) => v.push(given.map(|g| g.as_i64().unwrap())),
                Values::Float(v) => v.push(given.map(|g| g.as_f64().unwrap_or(f64::NAN))),
                Values::Decimal(v) => {
                    v.push(given.map(|g| i128::from(g.as_i64().unwrap()) * 1_000_000_000));
                }
                Values::Bool(v) => v.push(given.map(|g| g.as_bool().unwrap())),
                Values::Date(v) => v.push(given.map(|g| {
                    let day: chrono::NaiveDate = g.as_str().unwrap().parse().unwrap();
                    i32::try_from((day - chrono::NaiveDate::default()).num_days()).unwrap()
                })),
                Values::Timestamp(v) => v.push(given.map(|g| {
                    let at: DateTime<Utc> = g.as_str().unwrap().parse().unwrap();
                    at.timestamp_micros()
                })),
                Values::Duration(v) => v.push(given.map(|g| {
                    let span: Span = g.as_str().unwrap().parse().unwrap();
                    span.to_delta().num_microseconds().unwrap()
                })),
                Values::ListText(v) => v.push(given.map(|g| {
                    let items = g.as_array().unwrap().iter();
                    items.map(|i| i.as_str().unwrap().to_owned()).collect()
                })),
            }
        }
    }
    table
}

fn control(case: &Case) -> Control {
    let place = Place::file(Path::new("case.yaml"));
    let sql = |text: &str| Sql {
        text: text.to_owned(),
        place: place.clone(),
        block: None,
    };
    Control {
        id: "case".into(),
        title: "A case".to_owned(),
        description: None,
        why: None,
        policy: ProvisionRef {
            policy: "policy".into(),
            provision: "provision".to_owned(),
        },
        frameworks: Vec::new(),
        responsibility: None,
        lifecycle: Vec::new(),
        severity: match &case.severity {
            None => Given::Fixed(Severity::High),
            Some(column) => Given::Column {
                column: column.clone(),
                otherwise: Severity::Medium,
            },
        },
        owner: match &case.owner {
            None => Given::Fixed("platform".to_owned()),
            Some(column) => Given::Column {
                column: column.clone(),
                otherwise: "platform".to_owned(),
            },
        },
        schedule: Schedule {
            cron: "*/15 * * * *".to_owned(),
            timezone: chrono_tz::UTC,
            catch_up: CatchUp::Latest,
            interval: Span::minutes(15),
        },
        params: case.params.clone(),
        evidence: sql(&case.evidence),
        datasets: case.datasets.keys().cloned().collect(),
        max_age: Span::hours(1),
        subject: case.subject.parse().unwrap(),
        inventory: case.inventory.clone(),
        fails_when: sql(&case.condition),
        on_empty: if case.on_empty_pass {
            OnEmpty::Pass
        } else {
            OnEmpty::Unknown
        },
        on_partial: if case.on_partial_open {
            OnPartial::Open
        } else {
            OnPartial::Unknown
        },
        rules: Rules::default(),
        due: BTreeMap::new(),
        fingerprint: case.fingerprint.clone(),
        facts: case.facts.clone(),
        exceptions: Waivable::Allowed,
        exception_budget: None,
        message: None,
        fix: None,
        examples: Vec::new(),
        shadow: false,
        definition: Sha::of("definition"),
        place: place.clone(),
    }
}

fn compare(case: &Case, found: &Evaluation) -> Result<(), String> {
    let want = &case.want;
    let reason = found.not_checked.as_ref().map(|(reason, _)| *reason);
    same("not_checked", &want.not_checked, &reason)?;
    if let Some(because) = &want.because {
        let said = found.not_checked.as_ref().map(|(_, said)| said.as_str());
        same("because", &Some(because.as_str()), &said)?;
    }
    if let Some(counts) = want.counts {
        same(
            "counts",
            &counts,
            &[found.counts.pass, found.counts.fail, found.counts.unknown],
        )?;
        same(
            "population",
            &counts.iter().sum::<u64>(),
            &found.counts.population,
        )?;
    }
    let outcomes = each(found, |o| match o.outcome {
        Outcome::Unknown(reason) => reason.as_str().to_owned(),
        other => other.as_str().to_owned(),
    });
    same("outcomes", &want.outcomes, &outcomes)?;
    some("rows", &want.rows, &each(found, |o| o.rows.clone()))?;
    some(
        "fingerprint",
        &want.fingerprint,
        &each(found, |o| o.fingerprint.clone()),
    )?;
    some("facts", &want.facts, &each(found, |o| o.facts.clone()))?;
    some("owners", &want.owners, &each(found, |o| o.owners.clone()))?;
    some("severity", &want.severity, &each(found, |o| o.severity))?;
    same(
        "absent",
        &want.absent,
        &found.absent.iter().cloned().collect(),
    )
}

fn each<T>(found: &Evaluation, take: impl Fn(&Observed) -> T) -> BTreeMap<SubjectId, T> {
    found
        .observed
        .iter()
        .map(|o| (o.subject.clone(), take(o)))
        .collect()
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, want: &T, found: &T) -> Result<(), String> {
    if want == found {
        Ok(())
    } else {
        Err(format!("{what}: want {want:?}, found {found:?}"))
    }
}

/// As [`same`], for those subjects that the story speaks of.
fn some<T: PartialEq + std::fmt::Debug>(
    what: &str,
    want: &BTreeMap<SubjectId, T>,
    found: &BTreeMap<SubjectId, T>,
) -> Result<(), String> {
    for (subject, value) in want {
        same(
            &format!("{what} of {subject}"),
            &Some(value),
            &found.get(subject),
        )?;
    }
    Ok(())
}
