//! Databases: SQLite in a file, and the real PostgreSQL.

use std::fs;

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};
use tempfile::TempDir;
use tripline::catalog::source::Source;

use super::{connector, only, rows, source, told, whole};
use crate::systems::Database;

/// A source whose address is in a file of its own, as secrets are.
fn at(folder: &TempDir, address: &str, connector_text: &str) -> Source {
    let path = folder.path().join("address");
    fs::write(&path, address).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&path, mode).unwrap();
    source(
        &connector(connector_text),
        &json!({ "database": { "file": path } }),
    )
}

fn vendors() -> String {
    fs::read_to_string("connectors/vendors-sql.yaml").unwrap()
}

async fn sqlite(folder: &TempDir, statements: &[&str]) -> String {
    let path = folder.path().join("vendors.db");
    let address = format!("sqlite:{}", path.display());
    let mut db = SqliteConnection::connect(&format!("{address}?mode=rwc"))
        .await
        .unwrap();
    for statement in statements {
        sqlx::query(AssertSqlSafe(*statement))
            .execute(&mut db)
            .await
            .unwrap();
    }
    db.close().await.unwrap();
    address
}

const MADE: &str = "CREATE TABLE tripline_vendors (id INTEGER, name TEXT, tier TEXT, review_due TEXT, certifications TEXT)";

#[tokio::test]
async fn vendors_are_read_from_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let rows_made = "INSERT INTO tripline_vendors VALUES (7, 'Acme', 'low', '2026-12-01', 'ISO 27001, SOC 2'), (8, 'Mill', NULL, NULL, NULL)";
    let address = sqlite(&folder, &[MADE, rows_made]).await;
    let read = only(&at(&folder, &address, &vendors())).await;
    whole(&read);
    let seen: Vec<Value> = rows(&read)
        .iter()
        .map(|r| {
            json!([
                r["id"],
                r["name"],
                r["tier"],
                r["review_due"],
                r["certifications"]
            ])
        })
        .collect();
    assert_eq!(
        json!(seen),
        json!([
            ["7", "Acme", "low", "2026-12-01", ["ISO 27001", "SOC 2"]],
            ["8", "Mill", null, null, null]
        ])
    );
}

#[tokio::test]
async fn a_database_that_is_not_as_it_should_be_says_why_and_never_where() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().display().to_string();
    let of = async |address: &str, text: &str| {
        let told = told(&only(&at(&folder, address, text)).await);
        assert!(
            !told.contains(&secret) && !told.contains("hunter2"),
            "{told}"
        );
        told
    };
    let nowhere = format!("sqlite:{secret}/nowhere.db");
    insta::assert_snapshot!(of(&nowhere, &vendors()).await, @"failed (source_error), 0 rows: the database cannot be reached: unable to open database file");
    assert!(
        !folder.path().join("nowhere.db").exists(),
        "a database is never made"
    );
    insta::assert_snapshot!(of("mysql://u:hunter2@db.example.test/x", &vendors()).await, @"failed (source_error), 0 rows: the address of the database is none of `postgres://…` and `sqlite:…`");
    insta::assert_snapshot!(of("postgres://u:hunter2@[bad", &vendors()).await, @"failed (source_error), 0 rows: the address of the database is none of `postgres://…` and `sqlite:…`");
    insta::assert_snapshot!(of("postgres://u:hunter2@127.0.0.1:1/x", &vendors()).await, @"failed (source_error), 0 rows: the database cannot be reached: Connection refused (os error 111)");
    let address = sqlite(&folder, &["CREATE TABLE other (id INTEGER)"]).await;
    insta::assert_snapshot!(of(&address, &vendors()).await, @"failed (schema_changed), 0 rows: the statement does not fit the database: no such table: tripline_vendors");
    let address = sqlite(
        &folder,
        &["CREATE TABLE tripline_vendors (id INTEGER, title TEXT)"],
    )
    .await;
    insta::assert_snapshot!(of(&address, &vendors()).await, @"failed (schema_changed), 0 rows: there is no `name`");
    let short = vendors().replace("timeout: 30s", "timeout: 200ms").replace(
        "select: SELECT * FROM tripline_vendors",
        "select: WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS id, 'x' AS name FROM n WHERE i < 0",
    );
    insta::assert_snapshot!(of(&address, &short).await, @"failed (timeout), 0 rows: the database did not answer within 200ms");
}

#[tokio::test]
async fn a_count_that_differs_and_values_of_another_type_make_it_partial() {
    let folder = tempfile::tempdir().unwrap();
    let rows_made = "INSERT INTO tripline_vendors VALUES (7, 'Acme', 'low', '2026-12-01', NULL), (8, 'Mill', x'00ff', 'soon', NULL)";
    let address = sqlite(&folder, &[MADE, rows_made]).await;
    insta::assert_snapshot!(told(&only(&at(&folder, &address, &vendors())).await), @"partial (type_error), 1 rows: a row cannot be read: `tier` of 8: expected text, found bytes");
    let filtered = vendors().replace(
        "select: SELECT * FROM tripline_vendors",
        "select: SELECT * FROM tripline_vendors WHERE id < 8",
    );
    insta::assert_snapshot!(told(&only(&at(&folder, &address, &filtered)).await), @"partial (incomplete), 1 rows: got 1 of 2 rows");
}

/// Every type of PostgreSQL that we read, and what becomes of it.
const TYPES: &str = r#"
id: types
settings: { database: { type: secret } }
sql: { url: "${database}", timeout: 30s }
datasets:
  rows:
    select: SELECT * FROM typed
    key: [id]
    columns:
      id: { type: text }
      small: int
      big: int
      price: decimal
      ratio: float
      huge: text
      on_: bool
      day: date
      at: timestamp
      local_at: timestamp
      for_: duration
      doc: json
      owner: { type: text, path: doc2, parse: json, at: owner, optional: true }
      tags: list<text>
      status: text
      code: text
"#;

#[tokio::test]
async fn postgres_types_keep_their_meaning() {
    let Some(mut db) = Database::open().await else {
        return;
    };
    db.run("CREATE TYPE mood AS ENUM ('calm', 'wild')").await;
    db.run("CREATE DOMAIN code AS text CHECK (value <> '')")
        .await;
    db.run(
        "CREATE TABLE typed (id uuid, small int2, big int8, price numeric(12,4), ratio float8, huge numeric, on_ bool, day date,
           at timestamptz, local_at timestamp, for_ interval, doc jsonb, doc2 json, tags text[], status mood, code code, secret bytea)",
    )
    .await;
    db.run(
        "INSERT INTO typed VALUES ('6f9619ff-8b86-d011-b42d-00cf4fc964ff', -3, 9007199254740993, 12.5000, 0.1,
           123456789012345678901234567890123456789012345678901234567890.5, true, '2026-11-20', '2026-11-20 13:00+01', '2026-11-20 12:00',
           '1 day 02:00:00.5', '{\"b\": [1, 2.50]}', '{\"owner\": \"risk\"}', '{a,\"b c\"}', 'calm', 'X', '\\x00')",
    )
    .await;
    let folder = tempfile::tempdir().unwrap();
    let read = only(&at(&folder, &db.url, TYPES)).await;
    whole(&read);
    insta::assert_snapshot!(serde_json::to_string_pretty(&rows(&read)).unwrap(), @r#"
    [
      {
        "id": "6f9619ff-8b86-d011-b42d-00cf4fc964ff",
        "small": -3,
        "big": 9007199254740993,
        "price": "12.5",
        "ratio": 0.1,
        "huge": "123456789012345678901234567890123456789012345678901234567890.5",
        "on_": true,
        "day": "2026-11-20",
        "at": "2026-11-20T12:00:00Z",
        "local_at": "2026-11-20T12:00:00Z",
        "for_": 93600.5,
        "doc": "{\"b\":[1,2.5]}",
        "owner": "risk",
        "tags": [
          "a",
          "b c"
        ],
        "status": "calm",
        "code": "X"
      }
    ]
    "#);
    assert_eq!(read.identity.as_deref(), Some("postgres@postgres"));
    // What has no value of ours is a row that does not decode, not a guess.
    db.run("UPDATE typed SET day = 'infinity'").await;
    insta::assert_snapshot!(told(&only(&at(&folder, &db.url, TYPES)).await), @"failed (type_error), 0 rows: a row cannot be read: `day` of 6f9619ff-8b86-d011-b42d-00cf4fc964ff: expected date, found text");
    db.run("UPDATE typed SET day = now(), for_ = '1 month'")
        .await;
    insta::assert_snapshot!(told(&only(&at(&folder, &db.url, TYPES)).await), @"failed (type_error), 0 rows: a row cannot be read: `for_` of 6f9619ff-8b86-d011-b42d-00cf4fc964ff: expected duration, found text");
    let bytes = TYPES.replace("code: text", "secret: text");
    insta::assert_snapshot!(told(&only(&at(&folder, &db.url, &bytes)).await), @"failed (type_error), 0 rows: column `secret` is of type `BYTEA`, which is not read; cast it in the statement");
}

#[tokio::test]
async fn postgres_is_read_in_one_snapshot_and_never_written() {
    let Some(mut db) = Database::open().await else {
        return;
    };
    db.run("CREATE TABLE tripline_vendors (id text, name text)")
        .await;
    db.run("INSERT INTO tripline_vendors SELECT i, 'v' || i FROM generate_series(1, 5000) i")
        .await;
    let folder = tempfile::tempdir().unwrap();
    let read = only(&at(&folder, &db.url, &vendors())).await;
    whole(&read);
    assert_eq!(rows(&read).len(), 5000);
    // A function that writes is stopped by the transaction, whatever the statement looks like.
    db.run("CREATE FUNCTION sly() RETURNS SETOF tripline_vendors LANGUAGE sql AS 'DELETE FROM tripline_vendors RETURNING *'").await;
    let sly = vendors().replace(
        "select: SELECT * FROM tripline_vendors",
        "select: SELECT * FROM sly()",
    );
    insta::assert_snapshot!(told(&only(&at(&folder, &db.url, &sly)).await), @"failed (source_error), 0 rows: the database answered with an error: cannot execute DELETE in a read-only transaction");
    assert_eq!(
        rows(&only(&at(&folder, &db.url, &vendors())).await).len(),
        5000
    );
}

#[tokio::test]
async fn postgres_that_refuses_is_slow_or_lacks_something_says_so() {
    let Some(mut db) = Database::open().await else {
        return;
    };
    db.run("CREATE TABLE tripline_vendors (id text, name text)")
        .await;
    db.run("INSERT INTO tripline_vendors VALUES ('1', 'seven')")
        .await;
    let folder = tempfile::tempdir().unwrap();
    let role = crate::systems::unique("r").replace('-', "_");
    db.run(&format!("CREATE ROLE {role} LOGIN")).await;
    let other = db
        .url
        .replace("postgres://postgres@", &format!("postgres://{role}@"));
    let of = async |url: &str, text: &str| {
        let told = told(&only(&at(&folder, url, text)).await);
        told.replace(&role, "ROLE")
    };
    let allow = format!(
        "DO $$ BEGIN EXECUTE format('GRANT USAGE ON SCHEMA %I TO {role}', current_schema()); END $$"
    );
    db.run(&allow).await;
    insta::assert_snapshot!(of(&other, &vendors()).await, @"failed (auth), 0 rows: the database refuses us: permission denied for table tripline_vendors");
    let instead = |select: &str| {
        vendors().replace(
            "select: SELECT * FROM tripline_vendors",
            &format!("select: {select}"),
        )
    };
    let slow = instead("SELECT pg_sleep(20)::text AS id, 'x' AS name")
        .replace("timeout: 30s", "timeout: 300ms");
    insta::assert_snapshot!(of(&db.url, &slow).await, @"failed (timeout), 0 rows: the database did not answer within 300ms");
    insta::assert_snapshot!(of(&db.url, &instead("SELECT id, name FROM nowhere")).await, @r#"failed (schema_changed), 0 rows: the statement does not fit the database: relation "nowhere" does not exist"#);
    insta::assert_snapshot!(of(&db.url, &instead("SELECT id, name::int::text AS name FROM tripline_vendors")).await, @"failed (type_error), 0 rows: the statement met a value that it cannot compute with (SQLSTATE 22P02)");
    insta::assert_snapshot!(of(&db.url, &instead("SELECT id FROM tripline_vendors")).await, @"failed (schema_changed), 0 rows: there is no `name`");
    let unknown = db.url.replace("/postgres?", "/nowhere?");
    insta::assert_snapshot!(of(&unknown, &vendors()).await, @r#"failed (auth), 0 rows: the database refuses us: database "nowhere" does not exist"#);
}
