//! What `check` says, in its own words.

use std::collections::BTreeMap;

use super::{Checked, Parts, check, check_view, datasets_of_view, view_schema};
use crate::model::{
    control::{Param, SubjectTemplate},
    id::DatasetName,
    table::{ColumnDef, ColumnType, Schema},
};

fn schema(columns: &[(&str, ColumnType)], key: &[&str]) -> Schema {
    Schema {
        columns: columns
            .iter()
            .map(|(name, ty)| ColumnDef {
                name: (*name).to_owned(),
                ty: *ty,
                nullable: !key.contains(name),
            })
            .collect(),
        key: key.iter().map(ToString::to_string).collect(),
    }
}

fn schemas() -> BTreeMap<DatasetName, Schema> {
    use ColumnType::{Bool, Date, Decimal, Duration, Float, Int, ListText, Text, Timestamp};
    BTreeMap::from([
        (
            DatasetName::new("aws", "secrets"),
            schema(
                &[
                    ("name", Text),
                    ("last_rotated_at", Timestamp),
                    ("expires", Date),
                    ("version", Text),
                    ("uses", Int),
                    ("score", Float),
                    ("cost", Decimal),
                    ("idle", Duration),
                    ("public", Bool),
                    ("tags", ListText),
                    ("lastUsedAt", Timestamp),
                ],
                &["name"],
            ),
        ),
        (
            DatasetName::new("my-source", "models"),
            schema(
                &[("name", Text), ("version", Int), ("secret", Text)],
                &["name", "version"],
            ),
        ),
    ])
}

fn params() -> BTreeMap<String, Param> {
    BTreeMap::from([
        (
            "rotate_within".to_owned(),
            Param::Duration("90d".parse().unwrap()),
        ),
        (
            "envs".to_owned(),
            Param::List(vec!["prod".to_owned(), "it's".to_owned()]),
        ),
        ("limit".to_owned(), Param::Int(-3)),
    ])
}

fn run(evidence: &str, fails_when: &str) -> Checked {
    let subject: SubjectTemplate = "aws/secret/{name}".parse().unwrap();
    let inventory = DatasetName::new("aws", "secrets");
    let params = params();
    let parts = Parts {
        evidence,
        fails_when,
        params: &params,
        subject: &subject,
        inventory: Some(&inventory),
    };
    check(&parts, &schemas())
}

fn says(evidence: &str, fails_when: &str) -> String {
    let checked = run(evidence, fails_when);
    let lines: Vec<String> = checked
        .problems
        .iter()
        .map(|p| format!("{} {:?} {p}", p.code, p.part))
        .collect();
    if lines.is_empty() {
        "fine".to_owned()
    } else {
        lines.join("\n")
    }
}

const ALL: &str = "SELECT * FROM aws.secrets";

#[test]
fn a_sound_control_gives_its_datasets_and_typed_columns() {
    let checked = run(
        "SELECT s.name, s.last_rotated_at, m.version, s.idle, count(*) AS n
         FROM aws.secrets s JOIN my-source.models m ON m.secret = s.name
         WHERE m.name IN ($envs) GROUP BY ALL",
        "last_rotated_at < now() - $rotate_within",
    );
    assert_eq!(checked.problems, []);
    let columns: Vec<String> = checked
        .columns
        .iter()
        .map(|c| {
            format!(
                "{} {}{}",
                c.name,
                c.ty.unwrap(),
                if c.nullable { "?" } else { "" }
            )
        })
        .collect();
    insta::assert_snapshot!(columns.join(", "), @"name text, last_rotated_at timestamp?, version int, idle duration?, n int");
    let datasets: Vec<String> = checked.datasets.iter().map(ToString::to_string).collect();
    assert_eq!(datasets, ["aws.secrets", "my-source.models"]);
}

#[test]
fn conditions_that_hold_water() {
    for condition in [
        "last_rotated_at < now() - $rotate_within",
        "now() - last_rotated_at > $rotate_within",
        "idle > INTERVAL '36 hours'",
        "idle BETWEEN INTERVAL '1 day' AND $rotate_within",
        "expires < current_date",
        "expires < now() + INTERVAL '1 month'",
        "last_rotated_at < '2026-01-01'",
        "last_rotated_at < TIMESTAMP '2026-01-01'",
        "last_rotated_at IN ('2026-01-01T00:00:00Z')",
        "public",
        "NOT public OR uses > 3 AND score < 0.5",
        "name IN ($envs)",
        "name NOT IN ($envs)",
        "array_has(tags, 'x')",
        "uses < $limit",
        "uses / 0 > 1",
        "cost > 1.5",
        "TRY_CAST(version AS BIGINT) > 9",
        "lastUsedAt IS NULL",
        "name LIKE 'a%' AND regexp_like(name, '^a')",
        "CASE version WHEN '1' THEN true ELSE false END",
    ] {
        assert_eq!(says(ALL, condition), "fine", "{condition}");
    }
}

#[test]
fn mistakes_have_a_place_and_a_remedy() {
    insta::assert_snapshot!(says("SELECT name\nFROM aws.secret", "true"), @"TL0303 Evidence line 2, column 6: unknown dataset `aws.secret`; did you mean `aws.secrets`?");
    insta::assert_snapshot!(says("SELECT nam\nFROM aws.secrets", "true"), @"TL0304 Evidence line 1, column 8: unknown column `nam`; did you mean `name`?");
    insta::assert_snapshot!(says("SELECT s.nam FROM aws.secrets s", "true"), @"TL0304 Evidence line 1, column 8: unknown column `s.nam`; did you mean `name`?");
    insta::assert_snapshot!(says(ALL, "nmae = 'x'"), @"TL0304 FailsWhen line 1, column 1: unknown column `nmae`; did you mean `name`?");
    insta::assert_snapshot!(says(ALL, "lastusedat IS NULL"), @"TL0304 FailsWhen line 1, column 1: unknown column `lastusedat`; did you mean `lastUsedAt`?");
    insta::assert_snapshot!(says(ALL, "name"), @"TL0308 FailsWhen the condition is text, and must be true or false");
    insta::assert_snapshot!(says(ALL, "uses > 'x'"), @"TL0305 FailsWhen line 1, column 1: a number cannot be compared with text; write TRY_CAST(… AS DOUBLE): a value that cannot be read is then NULL, which is unknown");
    insta::assert_snapshot!(says(ALL, "version > 9"), @"TL0305 FailsWhen line 1, column 1: text cannot be compared with a number; write TRY_CAST(… AS DOUBLE): a value that cannot be read is then NULL, which is unknown");
    insta::assert_snapshot!(says(ALL, "version IN (8, 9)"), @"TL0305 FailsWhen line 1, column 1: text cannot be compared with a number; write both sides in one type, with TRY_CAST(… AS …)");
    insta::assert_snapshot!(says(ALL, "last_rotated_at < '2026-13-01'"), @"TL0305 FailsWhen Error parsing timestamp from '2026-13-01': error parsing date");
    insta::assert_snapshot!(says(ALL, "last_rotated_at < version"), @"TL0305 FailsWhen line 1, column 1: an instant cannot be compared with text; write TRY_CAST(… AS TIMESTAMP): a value that cannot be read is then NULL, which is unknown");
    insta::assert_snapshot!(says(ALL, "public = 1"), @"TL0305 FailsWhen line 1, column 1: true or false cannot be compared with a number; both sides must be of one type");
    insta::assert_snapshot!(says(ALL, "idle > INTERVAL '1 month'"), @"TL0305 FailsWhen a month has no fixed length, so no duration is longer or shorter; write it in days");
    insta::assert_snapshot!(says(ALL, "idle > 3"), @"TL0305 FailsWhen line 1, column 1: a duration cannot be compared with a number; both sides must be of one type");
    insta::assert_snapshot!(says(ALL, "idle IN (INTERVAL '1 day')"), @"TL0305 FailsWhen line 1, column 1: a duration cannot be compared with an interval; write both sides in one type, with TRY_CAST(… AS …)");
    insta::assert_snapshot!(says(ALL, "current_date - expires > $rotate_within"), @"TL0305 FailsWhen a number cannot be compared with an interval; compare a duration with it, or add it to an instant");
    insta::assert_snapshot!(says(ALL, "uses > $limitt"), @"TL0307 FailsWhen line 1, column 8: unknown parameter `$limitt`; did you mean `limit`?");
    insta::assert_snapshot!(says(ALL, "uses > ?"), @"TL0307 FailsWhen line 1, column 8: `?` is not a parameter; write `$name` for a parameter");
    insta::assert_snapshot!(says("SELECT version, version AS name, uses + 1 FROM aws.secrets", "true"), @"TL0309 Evidence line 1, column 34: the column `uses + 1` has no name; name it with AS");
    insta::assert_snapshot!(says("SELECT a.name, b.name FROM aws.secrets a, aws.secrets b", "true"), @"TL0309 Evidence two output columns are called `name`; give one of them another name with AS");
    insta::assert_snapshot!(says("SELECT last_rotated_at AS name FROM aws.secrets", "true"), @"TL0310 Subject `name` cannot name a subject; use a column of text, whole numbers or truth values");
    insta::assert_snapshot!(says("SELECT uses FROM aws.secrets", "true"), @"TL0310 Subject the evidence has no column `name`; known columns: uses");
    insta::assert_snapshot!(says("SELECT name FROM aws.secrets a JOIN \"my-source\".models USING (version)", "true"), @"TL0304 Evidence line 1, column 8: `name` is in more than one dataset here; write which one: `a.name` with the dataset's alias");
}

#[test]
fn whatever_writes_or_answers_differently_twice_is_refused() {
    insta::assert_snapshot!(says("DROP TABLE aws.secrets", "true"), @"TL0302 Evidence line 1, column 1: `DROP` cannot be used here: only SELECT reads evidence");
    insta::assert_snapshot!(says("COPY aws.secrets TO '/tmp/x'", "true"), @"TL0302 Evidence line 1, column 1: `COPY` cannot be used here: only SELECT reads evidence");
    insta::assert_snapshot!(says("SET x = 1", "true"), @"TL0302 Evidence line 1, column 1: `SET` cannot be used here: only SELECT reads evidence");
    insta::assert_snapshot!(says("INSERT INTO aws.secrets SELECT * FROM aws.secrets", "true"), @"TL0302 Evidence line 1, column 1: `INSERT` cannot be used here: only SELECT reads evidence");
    insta::assert_snapshot!(says("WITH x AS (SELECT 1 AS a) DELETE FROM aws.secrets", "true"), @"TL0302 Evidence line 1, column 27: only SELECT reads evidence");
    insta::assert_snapshot!(says("SELECT * INTO aws.other FROM aws.secrets", "true"), @"TL0302 Evidence line 1, column 1: SELECT INTO writes; only SELECT reads evidence");
    insta::assert_snapshot!(says("SELECT * FROM aws.secrets; DROP TABLE x", "true"), @"TL0302 Evidence line 1, column 28: `DROP` follows where the text should end: write one query or condition");
    insta::assert_snapshot!(says("SELECT * FROM '/etc/passwd'", "true"), @"TL0303 Evidence `/etc/passwd` is not the name of a dataset; a dataset is named `source.dataset`");
    insta::assert_snapshot!(says("SELECT * FROM read_csv('/etc/passwd')", "true"), @"TL0302 Evidence line 1, column 15: `read_csv(…)` is not a dataset; FROM reads datasets, subqueries and `unnest(…)`");
    insta::assert_snapshot!(says("SELECT * FROM aws.secrets TABLESAMPLE (10 PERCENT)", "true"), @"TL0312 Evidence line 1, column 15: TABLESAMPLE takes other rows each time");
    insta::assert_snapshot!(says("SELECT * FROM aws.secrets LIMIT 10", "true"), @"TL0312 Evidence line 1, column 1: LIMIT would hide subjects from the control; remove it: subjects that pass are only counted");
    insta::assert_snapshot!(says("SELECT * FROM (SELECT * FROM aws.secrets LIMIT 10) AS x", "true"), @"TL0312 Evidence line 1, column 16: LIMIT takes any rows without ORDER BY; add ORDER BY");
    insta::assert_snapshot!(says("SELECT name, array_agg(version) AS v FROM aws.secrets GROUP BY name", "true"), @"TL0312 Evidence line 1, column 14: `array_agg` depends on the order of rows; write `array_agg(… ORDER BY …)`");
    insta::assert_snapshot!(says("SELECT name, row_number() OVER (PARTITION BY version) AS n FROM aws.secrets", "n > 1"), @"TL0312 Evidence line 1, column 14: `row_number` depends on the order of rows; write `OVER (… ORDER BY …)`");
    for function in [
        "random()",
        "uuid()",
        "current_time",
        "version()",
        "approx_distinct(name)",
    ] {
        let condition = format!("{function} IS NULL");
        assert!(
            says(ALL, &condition).contains("is not available here"),
            "{function}"
        );
    }
    insta::assert_snapshot!(says(ALL, "random() > 0.5"), @"TL0306 FailsWhen line 1, column 1: `random` is not available here: the same evidence must give the same answer twice");
    insta::assert_snapshot!(says(ALL, "lowr(name) = 'x'"), @"TL0306 FailsWhen line 1, column 1: unknown function `lowr`; did you mean `lower`?");
    insta::assert_snapshot!(says(ALL, "name IN (SELECT name FROM aws.secrets)"), @"TL0308 FailsWhen line 1, column 10: a condition cannot contain a query; compute it as a column of the evidence query");
    insta::assert_snapshot!(says(ALL, "count(*) > 1"), @"TL0308 FailsWhen line 1, column 1: a condition sees one row, and `count` needs several; compute it as a column of the evidence query");
    insta::assert_snapshot!(says(ALL, "true; DROP TABLE x"), @"TL0302 FailsWhen line 1, column 7: `DROP` follows where the text should end: write one query or condition");
}

#[test]
fn every_mistake_of_both_parts_is_reported_at_once() {
    insta::assert_snapshot!(says("SELECT random() AS r, $x AS x FROM aws.secrets", "foo(name) AND $y"), @"
    TL0306 Evidence line 1, column 8: `random` is not available here: the same evidence must give the same answer twice
    TL0307 Evidence line 1, column 23: unknown parameter `$x`; known parameters: envs, limit, rotate_within
    TL0306 FailsWhen line 1, column 1: unknown function `foo`
    TL0307 FailsWhen line 1, column 15: unknown parameter `$y`; known parameters: envs, limit, rotate_within
    ");
}

#[test]
fn an_inventory_knows_the_subject_by_name_or_by_key() {
    let (params, schemas) = (params(), schemas());
    let say = |subject: &str, inventory: DatasetName| {
        let subject: SubjectTemplate = subject.parse().unwrap();
        let parts = Parts {
            evidence: ALL,
            fails_when: "true",
            params: &params,
            subject: &subject,
            inventory: Some(&inventory),
        };
        check(&parts, &schemas)
            .problems
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    };
    let by_name = "aws/secret/{name}";
    assert_eq!(say(by_name, DatasetName::new("aws", "secrets")), "");
    assert_eq!(say(by_name, DatasetName::new("my-source", "models")), "");
    let by_place = "aws/secret/{version}";
    assert_eq!(say(by_place, DatasetName::new("aws", "secrets")), "");
    insta::assert_snapshot!(say("aws/secret/{public}", DatasetName::new("my-source", "models")), @"`my-source.models` has the key (name, version), and the subject `aws/secret/{public}` has 1 other column; an inventory has the columns of the subject, or is keyed like it");
    insta::assert_snapshot!(say(by_name, DatasetName::new("aws", "secret")), @"unknown dataset `aws.secret`; did you mean `aws.secrets`?");
}

#[test]
fn a_view_reads_its_own_source_and_gives_what_it_declares() {
    let declared = schema(
        &[("name", ColumnType::Text), ("n", ColumnType::Int)],
        &["name"],
    );
    let say = |sql: &str| {
        check_view("aws", sql, &declared, &schemas())
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_eq!(say("SELECT name, uses AS n FROM secrets"), "");
    insta::assert_snapshot!(say("SELECT name, score AS n FROM secrets"), @"the view gives `n` as float, and int is declared");
    insta::assert_snapshot!(say("SELECT name FROM secrets"), @"the view does not give the column `n`; known columns: name");
    insta::assert_snapshot!(say("SELECT name FROM secrts"), @"line 1, column 18: unknown dataset `secrts`; did you mean `secrets`?");
}

#[test]
fn a_view_promises_what_its_query_gives() {
    let of = |sql: &str, key: &[&str]| {
        let key: Vec<String> = key.iter().map(ToString::to_string).collect();
        view_schema("aws", sql, &key, &schemas()).map_err(|problems| {
            let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
            said.join("\n")
        })
    };
    let sql = "SELECT s.name, count(*) AS n, max(s.last_rotated_at) AS newest FROM secrets s GROUP BY s.name";
    let schema = of(sql, &["name"]).unwrap();
    let columns: Vec<String> = schema
        .columns
        .iter()
        .map(|c| format!("{} {}", c.name, c.ty))
        .collect();
    assert_eq!(columns, ["name text", "n int", "newest timestamp"]);
    assert_eq!(schema.key, ["name"]);
    assert_eq!(
        datasets_of_view("aws", sql).unwrap(),
        [DatasetName::new("aws", "secrets")]
    );
    insta::assert_snapshot!(of("SELECT name FROM secrets", &["nam"]).unwrap_err(), @"the view does not give its key `nam`; did you mean `name`?");
    insta::assert_snapshot!(of("SELECT named FROM secrets", &[]).unwrap_err(), @"line 1, column 8: unknown column `named`; did you mean `name`?");
    insta::assert_snapshot!(of("SELECT make_array(1) AS x FROM secrets", &[]).unwrap_err(), @"the view gives `x` as a type that no dataset has; CAST it to text, a number, a truth value or a time");
}

#[test]
fn what_may_never_end_or_take_all_memory_is_refused() {
    insta::assert_snapshot!([
        says("WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT name FROM aws.secrets, r", "true"),
        says(ALL, "length(repeat(name, 900000000)) > 0"),
        says(ALL, "lpad(name, 900000000, 'a') = ''"),
        says(ALL, "lpad(name, length(name), 'a') = ''"),
        says(ALL, "lpad(name, 12, 'a') = ''"),
    ].join("\n---\n"), @"
    TL0306 Evidence line 1, column 1: WITH RECURSIVE may never end; write the steps out, or compute the depth in a view of the connector
    ---
    TL0306 FailsWhen line 1, column 8: `repeat` is not available here: one row could take all memory with it
    ---
    TL0306 FailsWhen line 1, column 1: `lpad` needs a length that is written down, 1000 at most
    ---
    TL0306 FailsWhen line 1, column 1: `lpad` needs a length that is written down, 1000 at most
    ---
    fine
    ");
}
