//! The examples that a control carries.

use std::{collections::BTreeMap, path::Path};

use serde_json::json;
use tripline::{
    evaluate::{Offer, example},
    evidence::View,
    model::{
        control::{Evidence, Example},
        id::DatasetName,
        outcome::Outcome,
        table::Schema,
    },
    yaml::diagnostic::Place,
};

use super::case::{self, Case};

fn story() -> Case {
    serde_json::from_value(json!({
        "note": "", "now": "2026-11-20T00:00:00Z",
        "datasets": {
            "aws.secrets": { "columns": { "name": "text", "rotated": "timestamp", "uses": "int" }, "key": ["name"] },
            "mlflow.versions": { "columns": { "name": "text", "version": "int", "secret": "text" }, "key": ["name", "version"] },
        },
        "views": { "mlflow.used": { "sql": "SELECT DISTINCT secret FROM versions", "columns": { "secret": "text" } } },
        "evidence": "SELECT s.name, s.rotated, s.uses > 3 AS busy FROM aws.secrets s JOIN mlflow.used u ON u.secret = s.name",
        "subject": "aws/secret/{name}", "condition": "rotated < now() - $max AND busy",
        "params": { "max": { "duration": "90d" } }, "want": {},
    }))
    .unwrap()
}

async fn outcome(given: Evidence) -> String {
    let case = story();
    let mut schemas: BTreeMap<DatasetName, Schema> = case
        .datasets
        .iter()
        .map(|(name, d)| (name.clone(), case::schema(&d.columns, &d.key)))
        .collect();
    let mut views = BTreeMap::new();
    for (name, view) in &case.views {
        let schema = case::schema(&view.columns, &[]);
        schemas.insert(name.clone(), schema.clone());
        views.insert(
            name.clone(),
            View {
                sql: view.sql.clone(),
                schema,
            },
        );
    }
    let tried = Example {
        place: Place::file(Path::new("case.yaml")),
        at: case.now,
        given,
        expect: Outcome::Pass,
        because_given: false,
    };
    let offer = Offer {
        schemas: &schemas,
        views: &views,
    };
    match example(&case::control(&case), &tried, offer).await {
        Ok(Outcome::Unknown(reason)) => reason.to_string(),
        Ok(outcome) => outcome.as_str().to_owned(),
        Err(error) => error.to_string(),
    }
}

async fn row(row: serde_json::Value) -> String {
    outcome(Evidence::Row(row.as_object().unwrap().clone())).await
}

async fn rows(given: serde_json::Value) -> String {
    outcome(Evidence::Datasets(serde_json::from_value(given).unwrap())).await
}

#[tokio::test]
async fn a_row_of_the_evidence_is_judged_at_the_instant_of_the_example() {
    assert_eq!(
        row(json!({ "name": "a", "rotated": "2026-01-01T00:00:00Z", "busy": true })).await,
        "fail"
    );
    assert_eq!(
        row(json!({ "name": "a", "rotated": "2026-01-01", "busy": true })).await,
        "fail"
    );
    assert_eq!(
        row(json!({ "name": "a", "rotated": "2026-11-01T00:00:00Z", "busy": true })).await,
        "pass"
    );
    assert_eq!(
        row(json!({ "name": "a", "busy": true })).await,
        "null_condition"
    );
    assert_eq!(row(json!({ "name": "a", "busy": false })).await, "pass");
    assert_eq!(
        row(json!({ "rotated": "2026-01-01", "busy": true })).await,
        "unnamed"
    );
}

#[tokio::test]
async fn rows_per_dataset_test_the_join_as_well() {
    let old = json!({ "name": "a", "rotated": "2026-01-01T00:00:00Z", "uses": 4 });
    let user = json!({ "name": "m", "version": 1, "secret": "a" });
    assert_eq!(
        rows(json!({ "aws.secrets": [old], "mlflow.versions": [user] })).await,
        "fail"
    );
    assert_eq!(
        rows(json!({ "aws.secrets": [old], "mlflow.versions": [] })).await,
        "empty"
    );
    assert_eq!(
        rows(json!({ "aws.secrets": [old], "mlflow.used": [{ "secret": "a" }] })).await,
        "fail"
    );
    assert_eq!(
        rows(json!({ "aws.secrets": [{ "name": "a", "uses": 9 }], "mlflow.versions": [user] }))
            .await,
        "null_condition"
    );
}

#[tokio::test]
async fn an_example_that_does_not_fit_says_why() {
    insta::assert_snapshot!(row(json!({ "nmae": "a" })).await, @r#"`nmae`: expected nothing of that name, found "a""#);
    insta::assert_snapshot!(row(json!({ "name": 3 })).await, @"`name`: expected text, found 3");
    insta::assert_snapshot!(rows(json!({ "aws.secrets": [{ "name": "a", "uses": "many" }] })).await, @r#"`uses`: expected a whole number, found "many""#);
    insta::assert_snapshot!(rows(json!({ "aws.other": [] })).await, @"the example gives rows of `aws.other`, and there is no such dataset");
}
