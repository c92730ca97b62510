//! SQL that a person writes over evidence.

use serde_json::{Value, json};
use tripline::evaluate::{Engine, Limits};

use super::case::{self, Case};

fn story() -> Case {
    serde_json::from_value(json!({
        "note": "", "now": "2026-11-20T08:00:00Z",
        "datasets": {
            "aws-prod.secrets": { "columns": { "name": "text", "at": "timestamp", "cost": "decimal" }, "key": ["name"], "rows": [
                { "name": "b", "at": "2026-11-19T08:00:00Z", "cost": 3 }, { "name": "a" }, { "name": "c" } ] },
            "c.none": { "columns": { "name": "text" }, "never": true },
        },
        "views": { "aws-prod.names": { "sql": "SELECT name FROM secrets", "columns": { "name": "text" } } },
        "evidence": "", "subject": "a/b/{name}", "condition": "", "want": {},
    }))
    .unwrap()
}

async fn ask(sql: &str, limit: Option<usize>) -> Result<(Vec<String>, Vec<Value>), String> {
    let case = story();
    let (_folder, archive) = case::archive();
    let evidence = case::evidence(&case, &archive).await;
    let engine = Engine::new(archive, &Limits::default()).unwrap();
    let answer = engine
        .query(sql, &evidence, case.now, limit)
        .await
        .map_err(|e| e.to_string())?;
    let columns = answer.columns.iter().map(|c| c.name.clone()).collect();
    let rows = answer.all().await.map_err(|e| e.to_string())?;
    Ok((columns, rows.into_iter().map(Value::Object).collect()))
}

async fn wrong(sql: &str) -> String {
    ask(sql, None).await.unwrap_err()
}

#[tokio::test]
async fn a_query_reads_datasets_and_views_at_its_instant() {
    let (columns, rows) = ask("SELECT name, now() - at AS age, cost, count(*) OVER () FROM aws-prod.secrets ORDER BY name", None)
        .await
        .unwrap();
    assert_eq!(columns.join(" "), "name age cost count(*) OVER ()");
    assert_eq!(
        rows[1],
        json!({ "name": "b", "age": "1d", "cost": "3", "count(*) OVER ()": 3 })
    );
    let (_, rows) = ask(
        "SELECT s.name, n.name FROM \"aws-prod\".secrets s, \"aws-prod\".names n",
        Some(2),
    )
    .await
    .unwrap();
    assert_eq!(rows.len(), 2);
    let (_, rows) = ask("SELECT 1 AS one WHERE false", None).await.unwrap();
    assert_eq!(rows, Vec::<Value>::new());
}

#[tokio::test]
async fn a_query_only_reads() {
    insta::assert_snapshot!(wrong("DELETE FROM aws-prod.secrets").await, @"the SQL cannot be used: line 1, column 1: `DELETE` cannot be used here: only SELECT reads evidence");
    insta::assert_snapshot!(wrong("COPY (SELECT 1) TO '/tmp/x'").await, @"the SQL cannot be used: line 1, column 1: `COPY` cannot be used here: only SELECT reads evidence");
    insta::assert_snapshot!(wrong("SELECT * FROM information_schema.tables").await, @"the SQL cannot be used: line 1, column 15: unknown dataset `information_schema.tables`; known datasets: aws-prod.names, aws-prod.secrets, c.none");
    insta::assert_snapshot!(wrong("SELECT random()").await, @"the SQL cannot be used: line 1, column 8: `random` is not available here: the same evidence must give the same answer twice");
    insta::assert_snapshot!(wrong("SELECT * FROM '/etc/passwd'").await, @"the SQL cannot be used: `/etc/passwd` is not the name of a dataset; a dataset is named `source.dataset`");
}

#[tokio::test]
async fn mistakes_are_told_as_in_a_control() {
    insta::assert_snapshot!(wrong("SELECT nam FROM aws-prod.secrets").await, @"the SQL cannot be used: line 1, column 8: unknown column `nam`; did you mean `name`?");
    insta::assert_snapshot!(wrong("SELECT name FROM aws-prod.secret").await, @"the SQL cannot be used: line 1, column 18: unknown dataset `aws-prod.secret`; did you mean `aws-prod.secrets`?");
    insta::assert_snapshot!(wrong("SELECT name FROM c.none").await, @"`c.none` was never collected; `tripline source test c` reads it now");
    insta::assert_snapshot!(wrong("SELECT name FROM aws-prod.secrets WHERE at > 'soon'").await, @"the SQL cannot be used: Error parsing timestamp from 'soon': timestamp must contain at least 10 characters");
    insta::assert_snapshot!(wrong("SELECT CAST(name AS BIGINT) AS n FROM aws-prod.secrets").await, @"a value cannot be read or computed: Cannot cast string 'a' to value of Int64 type");
    insta::assert_snapshot!(wrong("SELECT name FROM aws-prod.secrets WHERE at > $when").await, @"the SQL cannot be used: line 1, column 46: unknown parameter `$when`");
}
