//! Files: each way in which one may be wrong ends in a clear status and reason, never in fewer rows.

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use rust_xlsxwriter::{Format, Workbook};
use serde_json::{Value, json};

use super::{connector, only, rows, source, told, whole};

const HEADER: &str = "id,name,tier,review_due,certifications,subprocessors";

fn shipped(name: &str) -> std::sync::Arc<tripline::catalog::connector::Connector> {
    connector(&fs::read_to_string(format!("connectors/{name}.yaml")).unwrap())
}

/// What comes of a file of separated values that holds `text`.
async fn csv(text: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vendors.csv");
    fs::write(&path, text).unwrap();
    of_path("vendors-csv", &path)
        .await
        .replace(&folder.path().display().to_string(), "…")
}

async fn of_path(name: &str, path: &Path) -> String {
    let source = source(&shipped(name), &json!({ "path": path }));
    told(&only(&source).await)
}

#[tokio::test]
async fn vendors_are_read_from_separated_values() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vendors.csv");
    let lines = [
        HEADER,
        "V-1,Acme,critical,2026-12-01,\"ISO 27001, SOC 2\",",
        "2,\"Data \"\"Mill\"\", Inc\",low,,,Cloud Co",
    ];
    fs::write(&path, lines.join("\r\n")).unwrap();
    let read = only(&source(&shipped("vendors-csv"), &json!({ "path": path }))).await;
    whole(&read);
    let seen: Vec<Value> = rows(&read)
        .iter()
        .map(|r| {
            json!([
                r["id"],
                r["name"],
                r["tier"],
                r["review_due"],
                r["certifications"],
                r["subprocessors"],
                r["owner"]
            ])
        })
        .collect();
    assert_eq!(
        json!(seen),
        json!([
            [
                "V-1",
                "Acme",
                "critical",
                "2026-12-01",
                ["ISO 27001", "SOC 2"],
                null,
                null
            ],
            [
                "2",
                "Data \"Mill\", Inc",
                "low",
                null,
                null,
                ["Cloud Co"],
                null
            ],
        ])
    );
}

#[tokio::test]
async fn a_file_that_is_not_whole_is_partial_or_failed_and_says_why() {
    let with = |lines: &str| format!("{HEADER}\n{lines}");
    insta::assert_snapshot!(csv(with("1,Acme,low,2026-12-01,,\n2,Mill,lo").as_bytes()).await, @"partial (incomplete), 1 rows: `…/vendors.csv` was cut short: its last line has 3 of 6 values; 1 row read before");
    insta::assert_snapshot!(csv(with("1,Acme,low,2026-12-01,,\n2,\"Mill,low,,,\n3,X,low,,,\n").as_bytes()).await, @"partial (incomplete), 1 rows: `…/vendors.csv` was cut short: it ends inside of quotes; 1 row read before");
    insta::assert_snapshot!(csv(with("1,Acme,low,01.12.2026,,\n2,Mill,low,2026-12-01,,\n3,Mill,low,soon,,\n").as_bytes()).await, @"partial (type_error), 1 rows: 2 rows cannot be read, the first: `review_due` of 1: expected date, found text");
    insta::assert_snapshot!(csv(with(",Acme,low,,,\n").as_bytes()).await, @"failed (schema_changed), 0 rows: a row cannot be read: `id`: expected text, found nothing");
    insta::assert_snapshot!(csv(with("1,Acme,low,,,\n1,Mill,low,,,\n").as_bytes()).await, @r#"partial (incomplete), 2 rows: 1 key came twice, such as ["1"]"#);
    insta::assert_snapshot!(csv(with("1,Acme,low,,,,,\n").as_bytes()).await, @"failed (source_error), 0 rows: `…/vendors.csv` cannot be read: line 2 has 8 instead of 6 values");
    insta::assert_snapshot!(csv(b"id;name\n1;Acme\n").await, @"failed (schema_changed), 0 rows: there is no `id`, `name`; is the delimiter `;`?");
    insta::assert_snapshot!(csv(b"id,name,id\n1,Acme,2\n").await, @"failed (schema_changed), 0 rows: there is `id` more than once");
    insta::assert_snapshot!(csv(b"number,name\n1,Acme\n").await, @"failed (schema_changed), 0 rows: there is no `id`");
    insta::assert_snapshot!(csv(with("").as_bytes()).await, @"suspect (suspect), 0 rows: 0 rows, at least 1 are expected");
    insta::assert_snapshot!(csv(b"").await, @"failed (source_error), 0 rows: `…/vendors.csv` cannot be read: there is nothing in it");
    insta::assert_snapshot!(csv(b"id,name\n1,M\xFCller\n").await, @"failed (source_error), 0 rows: `…/vendors.csv` cannot be read: line 2 is not UTF-8; save it as UTF-8");
}

#[tokio::test]
async fn a_file_that_is_missing_old_or_elsewhere_is_unreadable() {
    let folder = tempfile::tempdir().unwrap();
    let hide = |text: String| text.replace(&folder.path().display().to_string(), "…");
    let path = folder.path().join("vendors.csv");
    insta::assert_snapshot!(hide(of_path("vendors-csv", &path).await), @"failed (source_error), 0 rows: `…/vendors.csv` cannot be read: No such file or directory (os error 2)");
    insta::assert_snapshot!(hide(of_path("vendors-csv", &folder.path().join("*.csv")).await), @"failed (source_error), 0 rows: `…/*.csv` cannot be read: no file fits");
    insta::assert_snapshot!(hide(of_path("vendors-csv", folder.path()).await), @"failed (source_error), 0 rows: `…` cannot be read: it is not a file");
    fs::write(&path, format!("{HEADER}\n1,Acme,low,,,\n")).unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_hours(9 * 24 + 1))
        .unwrap();
    let stale = hide(of_path("vendors-csv", &path).await);
    let (before, _) = stale.split_once(" ago").unwrap();
    insta::assert_snapshot!(before.trim_end_matches(|c: char| c != 'd'), @"failed (stale), 0 rows: `…/vendors.csv` was last changed 9d");
}

#[tokio::test]
async fn every_file_that_fits_a_pattern_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, lines: &str| {
        fs::write(folder.path().join(name), format!("{HEADER}\n{lines}")).unwrap();
    };
    write("a.csv", "1,Acme,low,,,\n");
    write("b.csv", "2,Mill,low,,,\n");
    write(".hidden.csv", "3,No,low,,,\n");
    fs::create_dir(folder.path().join("c.csv")).unwrap();
    let all = source(
        &shipped("vendors-csv"),
        &json!({ "path": folder.path().join("*.csv") }),
    );
    let read = only(&all).await;
    whole(&read);
    assert_eq!(rows(&read).len(), 2);
    assert_eq!(read.effort.pages, 2);
    // One of them that is cut short makes the whole partial, and what came before it stays.
    write("b.csv", "2,Mill");
    let read = only(&all).await;
    assert!(told(&read).starts_with("partial"), "{}", told(&read));
}

const NEWEST: &str = r#"
id: newest
settings: { path: { type: path }, inside: { type: path, optional: true } }
file: { path: "${path}", take: newest, inside: "${inside}", max_size: 1KiB }
datasets:
  things:
    ndjson: {}
    key: [id]
    columns: { id: int, at: { type: timestamp, optional: true } }
"#;

#[tokio::test]
async fn the_newest_file_may_be_the_only_one_that_counts() {
    let folder = tempfile::tempdir().unwrap();
    let connector = connector(NEWEST);
    for (name, age) in [("2.ndjson", 10), ("1.ndjson", 20)] {
        let path = folder.path().join(name);
        fs::write(&path, format!("{{\"id\": {}}}\n", &name[..1])).unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(age))
            .unwrap();
    }
    let read = only(&source(
        &connector,
        &json!({ "path": folder.path().join("*.ndjson") }),
    ))
    .await;
    whole(&read);
    assert_eq!(rows(&read), [json!({ "id": 2, "at": null })]);
}

#[tokio::test]
async fn a_file_outside_of_its_folder_or_too_long_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("in");
    fs::create_dir(&inside).unwrap();
    fs::write(folder.path().join("out.ndjson"), "{\"id\": 1}\n").unwrap();
    std::os::unix::fs::symlink(folder.path().join("out.ndjson"), inside.join("link.ndjson"))
        .unwrap();
    fs::write(inside.join("long.ndjson"), "{\"id\": 1}\n".repeat(200)).unwrap();
    fs::write(inside.join("fine.ndjson"), "{\"id\": 1}\n").unwrap();
    let connector = connector(NEWEST);
    let of = async |name: &str| {
        let settings = json!({ "path": inside.join(name), "inside": inside });
        let text = told(&only(&source(&connector, &settings)).await);
        text.replace(&folder.path().display().to_string(), "…")
    };
    insta::assert_snapshot!(of("fine.ndjson").await, @"complete (), 1 rows:");
    insta::assert_snapshot!(of("../out.ndjson").await, @"failed (source_error), 0 rows: `…/in/../out.ndjson` is not inside of `…/in`");
    insta::assert_snapshot!(of("link.ndjson").await, @"failed (source_error), 0 rows: `…/in/link.ndjson` is not inside of `…/in`");
    insta::assert_snapshot!(of("long.ndjson").await, @"failed (source_error), 0 rows: `…/in/long.ndjson` is longer than 1KiB");
}

/// Writes a workbook as people keep one: dates as dates, numbers as numbers, an empty row in between.
fn workbook(path: &Path, sheet: &str, change: impl FnOnce(&mut rust_xlsxwriter::Worksheet)) {
    let mut book = Workbook::new();
    book.add_worksheet().set_name("Notes").unwrap();
    let page = book.add_worksheet().set_name(sheet).unwrap();
    for (column, name) in (0..).zip(["ID", "Name", "Tier", "Review due", "Certifications"]) {
        page.write(0, column, name).unwrap();
    }
    let day = Format::new().set_num_format("dd.mm.yyyy");
    page.write(1, 0, 1001).unwrap();
    page.write(1, 1, "Acme").unwrap();
    page.write(1, 2, "critical").unwrap();
    let due = rust_xlsxwriter::ExcelDateTime::from_ymd(2026, 12, 1).unwrap();
    page.write_with_format(1, 3, &due, &day).unwrap();
    page.write(1, 4, "ISO 27001, SOC 2").unwrap();
    page.write(3, 0, "V-2").unwrap();
    page.write(3, 1, "Mill").unwrap();
    change(page);
    book.save(path).unwrap();
}

#[tokio::test]
async fn vendors_are_read_from_a_sheet() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vendors.xlsx");
    workbook(&path, "Vendors", |page| {
        // A stray cell far away is no row and no column of ours.
        page.write(1, 12_000, "stray").unwrap();
    });
    let read = only(&source(&shipped("vendors-xlsx"), &json!({ "path": path }))).await;
    whole(&read);
    let seen: Vec<Value> = rows(&read)
        .iter()
        .map(|r| json!([r["id"], r["name"], r["review_due"], r["certifications"]]))
        .collect();
    assert_eq!(
        json!(seen),
        json!([
            ["1001", "Acme", "2026-12-01", ["ISO 27001", "SOC 2"]],
            ["V-2", "Mill", null, null]
        ])
    );
}

#[tokio::test]
async fn a_sheet_that_is_not_what_it_should_be_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vendors.xlsx");
    let of = async || {
        let text = of_path("vendors-xlsx", &path).await;
        text.replace(&folder.path().display().to_string(), "…")
    };
    workbook(&path, "Suppliers", |_| {});
    insta::assert_snapshot!(of().await, @"failed (source_error), 0 rows: `…/vendors.xlsx` cannot be read: there is no sheet `Vendors`; it has `Notes`, `Suppliers`");
    workbook(&path, "Vendors", |page| {
        page.write(1, 3, 46_000.5).unwrap();
        page.write(3, 3, "next year").unwrap();
    });
    insta::assert_snapshot!(of().await, @"failed (type_error), 0 rows: 2 rows cannot be read, the first: `review_due` of 1001: expected date, found a number with a fraction");
    workbook(&path, "Vendors", |page| {
        page.write_formula(
            3,
            1,
            rust_xlsxwriter::Formula::new("=1/0").set_result("#DIV/0!"),
        )
        .unwrap();
    });
    insta::assert_snapshot!(of().await, @"partial (type_error), 1 rows: a row cannot be read: `name` of V-2: expected text, found an error of the sheet");
    let mut book = Workbook::new();
    book.add_worksheet().set_name("Vendors").unwrap();
    book.save(&path).unwrap();
    insta::assert_snapshot!(of().await, @"failed (source_error), 0 rows: `…/vendors.xlsx` cannot be read: sheet `Vendors` has nothing in row 1, where its header should be");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    insta::assert_snapshot!(of().await, @"failed (source_error), 0 rows: `…/vendors.xlsx` cannot be read: it is no workbook, or was cut short");
    fs::write(&path, "id,name\n").unwrap();
    insta::assert_snapshot!(of().await, @"failed (source_error), 0 rows: `…/vendors.xlsx` cannot be read: it is no workbook, or was cut short");
}

#[tokio::test]
async fn json_is_read_as_one_document_and_line_by_line() {
    let folder = tempfile::tempdir().unwrap();
    let text = r#"
id: things
settings: { path: { type: path } }
file: { path: "${path}" }
datasets:
  things:
    json: {}
    rows: { at: data.things }
    key: [id]
    columns: { id: int, owner: { type: text, path: "$.tags[?@.key=='owner'].value", optional: true } }
"#;
    let connector = connector(text);
    let path = folder.path().join("things.json");
    let of = async |content: &str| {
        fs::write(&path, content).unwrap();
        let read = only(&source(&connector, &json!({ "path": path }))).await;
        let told = told(&read).replace(&folder.path().display().to_string(), "…");
        format!("{told}{}", json!(rows(&read)))
    };
    insta::assert_snapshot!(of(r#"{"data":{"things":[{"id":1,"tags":[{"key":"owner","value":"a"}]},{"id":"2"}]}}"#).await, @r#"complete (), 2 rows: [{"id":1,"owner":"a"},{"id":2,"owner":null}]"#);
    insta::assert_snapshot!(of(r#"{"data":{"things":[{"id":1}"#).await, @"failed (incomplete), 0 rows: `…/things.json` was cut short: it ends inside of its JSON[]");
    insta::assert_snapshot!(of(r#"{"data":{}}"#).await, @"failed (source_error), 0 rows: `things` answered with something else than expected: there is nothing at `data.things`[]");
}
