//! Serves what MLflow and AWS Secrets Manager answered when they were filled with the demo's company,
//! on loopback HTTP, with times, tags and listings as they were on the day that the clock shows.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::company::{Answer, Company, Day, Model, OverTime};
use crate::{clock::SharedClock, yaml::values::Named};

/// What the demo's systems know.
#[derive(Debug)]
pub struct Systems {
    /// The company.
    pub company: Company,
    /// The day that is day 0.
    pub today: DateTime<Utc>,
    /// Which day it is.
    pub clock: SharedClock,
    /// The answers as they were recorded.
    pub recorded: Recorded,
}

/// The answers as they were recorded.
#[derive(Debug)]
pub struct Recorded {
    models: Vec<Value>,
    versions: Vec<Value>,
    secrets: Vec<Value>,
}

impl Recorded {
    /// The answers that are part of the program.
    ///
    /// # Errors
    /// When one of them is not JSON.
    pub fn shipped() -> serde_json::Result<Self> {
        let rows = |text: &str, at: &str| -> serde_json::Result<Vec<Value>> {
            let body: Value = serde_json::from_str(text)?;
            Ok(body
                .get(at)
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default())
        };
        Ok(Self {
            models: rows(
                include_str!("../../../demo/recorded/registered-models.json"),
                "registered_models",
            )?,
            versions: rows(
                include_str!("../../../demo/recorded/model-versions.json"),
                "model_versions",
            )?,
            secrets: rows(
                include_str!("../../../demo/recorded/secrets.json"),
                "SecretList",
            )?,
        })
    }
}

/// All routes: MLflow's as they are, AWS's at the root.
pub fn router(systems: Arc<Systems>) -> Router {
    Router::new()
        .route("/api/2.0/mlflow/registered-models/search", get(models))
        .route("/api/2.0/mlflow/registered-models/get", get(model))
        .route("/api/2.0/mlflow/model-versions/search", get(versions))
        .route("/", post(aws))
        .with_state(systems)
}

async fn models(State(systems): State<Arc<Systems>>) -> Response {
    let rows = systems.models();
    systems.answer("mlflow", &json!({ "registered_models": rows }))
}

async fn model(
    State(systems): State<Arc<Systems>>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let name = query.get("name").map_or("", String::as_str);
    let found = systems
        .models()
        .into_iter()
        .find(|m| m.get("name").is_some_and(|n| n == name));
    if let Some(row) = found {
        return systems.answer("mlflow", &json!({ "registered_model": row }));
    }
    let body = json!({
        "error_code": "RESOURCE_DOES_NOT_EXIST",
        "message": format!("Registered Model with name={name} not found"),
    });
    (StatusCode::NOT_FOUND, Json(body)).into_response()
}

async fn versions(
    State(systems): State<Arc<Systems>>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let filter = query.get("filter").map_or("", String::as_str);
    let name = filter
        .strip_prefix("name='")
        .and_then(|rest| rest.strip_suffix('\''));
    let rows = systems.versions(name);
    systems.answer("mlflow", &json!({ "model_versions": rows }))
}

async fn aws(State(systems): State<Arc<Systems>>, headers: HeaderMap, body: Bytes) -> Response {
    if body.starts_with(b"Action=GetCallerIdentity") {
        let xml = [(header::CONTENT_TYPE, "text/xml")];
        return (xml, include_str!("../../../demo/recorded/caller.xml")).into_response();
    }
    let target = headers
        .get("x-amz-target")
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default();
    if target == "secretsmanager.ListSecrets" {
        let rows = systems.secrets();
        systems.answer("aws", &json!({ "SecretList": rows }))
    } else {
        let body =
            json!({ "__type": "UnknownOperationException", "message": "not part of the demo" });
        (StatusCode::BAD_REQUEST, Json(body)).into_response()
    }
}

impl Systems {
    fn day(&self) -> Day {
        Day::of(self.today, self.clock.now())
    }

    /// An answer, unless the system is out on this day.
    fn answer(&self, source: &str, body: &Value) -> Response {
        let day = self.day().number;
        let outage = self
            .company
            .outages
            .iter()
            .find(|o| o.source == source && o.from <= day && day < o.to);
        match outage.map(|o| o.answer) {
            None => Json(body).into_response(),
            Some(Answer::Error) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error").into_response()
            }
            Some(Answer::Empty) => Json(json!({})).into_response(),
        }
    }

    fn models(&self) -> Vec<Value> {
        let day = self.day();
        let alive = self.company.models.iter().filter(|m| m.made <= day.number);
        alive.filter_map(|m| self.model(m, day)).collect()
    }

    fn model(&self, model: &Model, day: Day) -> Option<Value> {
        let mut row = named(&self.recorded.models, "name", &model.name)?.clone();
        let aliases: Vec<Value> = model
            .production
            .on(day.number)
            .map(|version| json!({ "alias": "production", "version": version }))
            .into_iter()
            .collect();
        set(&mut row, "creation_timestamp", millis(day, model.made));
        set(&mut row, "last_updated_timestamp", millis(day, model.made));
        set(&mut row, "tags", tags(&model.tags, day));
        set(&mut row, "aliases", json!(aliases));
        if let Some(object) = row.as_object_mut() {
            // Versions are listed by their own call; the newest per stage would be those of the recording.
            object.remove("latest_versions");
        }
        Some(row)
    }

    fn versions(&self, name: Option<&str>) -> Vec<Value> {
        let day = self.day();
        let mut rows = Vec::new();
        for model in self
            .company
            .models
            .iter()
            .filter(|m| name.is_none_or(|n| n == m.name))
        {
            for version in model.versions.iter().filter(|v| v.made <= day.number) {
                let of_model = self
                    .recorded
                    .versions
                    .iter()
                    .filter(|r| r.get("name").is_some_and(|n| *n == model.name));
                let number = version.version.to_string();
                let Some(recorded) = of_model
                    .clone()
                    .find(|r| r.get("version").is_some_and(|v| *v == number))
                else {
                    continue;
                };
                let mut row = recorded.clone();
                set(&mut row, "creation_timestamp", millis(day, version.made));
                set(
                    &mut row,
                    "last_updated_timestamp",
                    millis(day, version.made),
                );
                set(&mut row, "tags", tags(&version.tags, day));
                rows.push(row);
            }
        }
        rows
    }

    fn secrets(&self) -> Vec<Value> {
        let day = self.day();
        let mut rows = Vec::new();
        for secret in self.company.secrets.iter().filter(|s| s.exists(day)) {
            let Some(recorded) = named(&self.recorded.secrets, "Name", &secret.name) else {
                continue;
            };
            let mut row = recorded.clone();
            let owner: Vec<Value> = secret
                .owner
                .on(day.number)
                .map(|owner| json!({ "Key": "owner", "Value": owner }))
                .into_iter()
                .collect();
            let changed = secret.last_rotated(day).unwrap_or(secret.made);
            set(&mut row, "CreatedDate", seconds(day, secret.made));
            set(&mut row, "LastChangedDate", seconds(day, changed));
            set(
                &mut row,
                "LastRotatedDate",
                secret
                    .last_rotated(day)
                    .map_or(Value::Null, |d| seconds(day, d)),
            );
            set(
                &mut row,
                "LastAccessedDate",
                secret
                    .last_used(day)
                    .map_or(Value::Null, |d| seconds(day, d)),
            );
            let environment = secret.environment.iter();
            let environment = environment.map(|e| json!({ "Key": "environment", "Value": e }));
            let tags: Vec<Value> = owner.into_iter().chain(environment).collect();
            set(&mut row, "Tags", json!(tags));
            rows.push(row);
        }
        rows
    }
}

/// The vendor registry on a day, as the file that procurement exports.
///
/// # Errors
/// When a value cannot be written as CSV.
pub fn vendors(company: &Company, day: Day) -> Result<String, csv::Error> {
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record([
        "id",
        "name",
        "tier",
        "owner",
        "review_due",
        "contract_until",
        "certified_until",
    ])?;
    for vendor in company.vendors.iter().filter(|v| v.since <= day.number) {
        let date = |value: &OverTime| {
            let number = value.on(day.number).and_then(Value::as_f64);
            number.map_or(String::new(), |n| day.instant(n).date_naive().to_string())
        };
        out.write_record([
            vendor.id.as_str(),
            &vendor.name,
            &vendor.tier,
            &vendor.owner,
            &date(&vendor.review_due),
            &date(&vendor.contract_until),
            &date(&vendor.certified_until),
        ])?;
    }
    let bytes = out
        .into_inner()
        .map_err(|e| csv::Error::from(e.into_error()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn named<'r>(rows: &'r [Value], key: &str, name: &str) -> Option<&'r Value> {
    rows.iter().find(|r| r.get(key).is_some_and(|n| n == name))
}

fn set(row: &mut Value, key: &str, value: Value) {
    if let Some(object) = row.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
}

/// Tags on a day. A tag that is a number of a day, such as `approved_at`, is written as its instant.
fn tags(tags: &Named<OverTime>, day: Day) -> Value {
    let of_day = tags.iter().filter_map(|(key, value)| {
        let value = match value.on(day.number)? {
            Value::Number(n) => json!(day.instant(n.as_f64()?)),
            other => other.clone(),
        };
        Some(json!({ "key": key.text, "value": value }))
    });
    Value::Array(of_day.collect())
}

fn millis(day: Day, number: f64) -> Value {
    json!(day.instant(number).timestamp_millis())
}

fn seconds(day: Day, number: f64) -> Value {
    json!(day.instant(number).timestamp())
}
