//! One story of `tests/cases/condition`: its datasets, its control and what must come out, and how to lay them
//! out as stored evidence.

use std::{collections::BTreeMap, fs, path::Path};

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
        outcome::{Evaluation, Presence, Row, Unknown},
        policy::{ProvisionRef, Severity},
        snapshot::{Completeness, Effort, Snapshot},
        span::Span,
        table::{ColumnDef, ColumnType, Schema, Table, Values},
    },
    yaml::{decode, diagnostic::Place},
};

/// One story.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    #[expect(dead_code, reason = "for the reader of the file")]
    note: String,
    pub(super) now: DateTime<Utc>,
    pub(super) datasets: BTreeMap<DatasetName, Dataset>,
    #[serde(default)]
    pub(super) views: BTreeMap<DatasetName, ViewFile>,
    pub(super) evidence: String,
    pub(super) subject: String,
    pub(super) condition: String,
    #[serde(default)]
    pub(super) params: BTreeMap<String, Param>,
    #[serde(default)]
    pub(super) known: Vec<SubjectId>,
    pub(super) inventory: Option<DatasetName>,
    #[serde(default)]
    pub(super) on_empty_pass: bool,
    #[serde(default)]
    pub(super) on_partial_open: bool,
    #[serde(default)]
    pub(super) fingerprint: Vec<String>,
    #[serde(default)]
    pub(super) facts: BTreeMap<String, String>,
    pub(super) owner: Option<String>,
    pub(super) severity: Option<String>,
    pub(super) want: Want,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dataset {
    pub(super) columns: BTreeMap<String, ColumnType>,
    #[serde(default)]
    pub(super) key: Vec<String>,
    #[serde(default)]
    pub(super) rows: Vec<Row>,
    pub(super) status: Option<Completeness>,
    pub(super) unknown: Option<Unknown>,
    pub(super) reason: Option<String>,
    pub(super) age: Option<Span>,
    pub(super) last_good: Option<DateTime<Utc>>,
    /// The columns as they were when the snapshot was taken, where they differ.
    pub(super) was: Option<BTreeMap<String, ColumnType>>,
    #[serde(default)]
    pub(super) never: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ViewFile {
    pub(super) sql: String,
    pub(super) columns: BTreeMap<String, ColumnType>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Want {
    pub(super) not_checked: Option<Unknown>,
    pub(super) because: Option<String>,
    /// Subjects that pass, fail, are unknown.
    pub(super) counts: Option<[u64; 3]>,
    /// `fail`, `pass` or the reason of an unknown.
    #[serde(default)]
    pub(super) outcomes: BTreeMap<SubjectId, String>,
    #[serde(default)]
    pub(super) rows: BTreeMap<SubjectId, Vec<Row>>,
    #[serde(default)]
    pub(super) fingerprint: BTreeMap<SubjectId, BTreeMap<String, Vec<String>>>,
    #[serde(default)]
    pub(super) facts: BTreeMap<SubjectId, BTreeMap<String, String>>,
    #[serde(default)]
    pub(super) owners: BTreeMap<SubjectId, Vec<String>>,
    #[serde(default)]
    pub(super) severity: BTreeMap<SubjectId, Severity>,
    #[serde(default)]
    pub(super) absent: BTreeMap<SubjectId, Presence>,
}

pub(super) fn read(file: &Path) -> Case {
    let text = fs::read_to_string(file).unwrap();
    let (value, _) = decode::read::<Value>(file, &text).unwrap();
    serde_json::from_value(value).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

pub(super) fn archive() -> (tempfile::TempDir, Archive) {
    let folder = tempfile::tempdir().unwrap();
    let archive = Archive::open(&Options::folder(folder.path().join("evi dence%41[1]"))).unwrap();
    (folder, archive)
}

pub(super) async fn run(case: &Case, archive: &Archive, limits: &Limits) -> Evaluation {
    let evidence = evidence(case, archive).await;
    let engine = Engine::new(archive.clone(), limits).unwrap();
    engine
        .control(&control(case), &evidence, &case.known, case.now)
        .await
        .unwrap()
}

pub(super) async fn evidence(case: &Case, archive: &Archive) -> Evidence {
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

pub(super) fn schema(columns: &BTreeMap<String, ColumnType>, key: &[String]) -> Schema {
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
pub(super) fn table(schema: &Schema, rows: &[Row]) -> Table {
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

pub(super) fn control(case: &Case) -> Control {
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
        formerly: Vec::new(),
        shadow: false,
        definition: Sha::of("definition"),
        place: place.clone(),
    }
}
