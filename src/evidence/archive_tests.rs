//! The archive on a local folder.

use super::*;
use crate::model::table::{ColumnDef, ColumnType, Schema, Values};

fn table(names: &[&str]) -> Table {
    let column = |name: &str, ty| ColumnDef {
        name: name.to_owned(),
        ty,
        nullable: name != "name",
    };
    Table {
        schema: Schema {
            columns: vec![
                column("name", ColumnType::Text),
                column("n", ColumnType::Int),
                column("score", ColumnType::Float),
                column("cost", ColumnType::Decimal),
                column("public", ColumnType::Bool),
                column("due", ColumnType::Date),
                column("at", ColumnType::Timestamp),
                column("idle", ColumnType::Duration),
                column("tags", ColumnType::ListText),
                column("raw", ColumnType::Json),
            ],
            key: vec!["name".to_owned()],
        },
        columns: vec![
            Values::Text(names.iter().map(|n| Some((*n).to_owned())).collect()),
            Values::Int(names.iter().map(|n| i64::try_from(n.len()).ok()).collect()),
            Values::Float(names.iter().map(|_| Some(0.5)).collect()),
            Values::Decimal(names.iter().map(|_| Some(1_500_000_000)).collect()),
            Values::Bool(names.iter().map(|_| None).collect()),
            Values::Date(names.iter().map(|_| Some(20_000)).collect()),
            Values::Timestamp(
                names
                    .iter()
                    .map(|_| Some(253_402_214_400_000_000))
                    .collect(),
            ),
            Values::Duration(names.iter().map(|_| Some(-5)).collect()),
            Values::ListText(
                names
                    .iter()
                    .map(|n| Some(vec![(*n).to_owned(), String::new()]))
                    .collect(),
            ),
            Values::Text(names.iter().map(|_| Some("{}".to_owned())).collect()),
        ],
    }
}

fn archive() -> (tempfile::TempDir, Archive) {
    let folder = tempfile::tempdir().unwrap();
    let archive = Archive::open(&Options::folder(folder.path().join("evidence"))).unwrap();
    (folder, archive)
}

fn file(folder: &tempfile::TempDir, stored: Stored) -> PathBuf {
    folder.path().join("evidence").join(relative(stored.object))
}

#[tokio::test]
async fn a_table_comes_back_as_it_was_sorted_by_its_key() {
    let (_folder, archive) = archive();
    let stored = archive.put(&table(&["c", "a", "b"])).await.unwrap();
    assert_eq!(
        archive.read(stored.object).await.unwrap(),
        table(&["a", "b", "c"])
    );
    let object = archive.find(stored.object).await.unwrap();
    assert!(object.about.unique);
    assert_eq!(object.about.rows, 3);
    assert_eq!(object.about.schema, table(&[]).schema);
    let keys = archive.keys(stored.object).await.unwrap();
    assert_eq!(
        keys,
        ["[\"a\"]", "[\"b\"]", "[\"c\"]"].map(str::to_owned).into()
    );
}

#[tokio::test]
async fn equal_evidence_has_one_name_whatever_the_order_of_its_rows() {
    let (_folder, archive) = archive();
    let one = archive.put(&table(&["a", "b", "c"])).await.unwrap();
    let two = archive.put(&table(&["b", "c", "a"])).await.unwrap();
    let other = archive.put(&table(&["b", "c"])).await.unwrap();
    assert_eq!(one, two);
    assert_ne!(one.object, other.object);
    assert_eq!(archive.list().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_key_that_does_not_name_each_row_once_is_not_called_unique() {
    let (_folder, archive) = archive();
    for names in [&["a", "a"][..], &["a", ""]] {
        let stored = archive.put(&table(names)).await.unwrap();
        assert!(
            !archive.find(stored.object).await.unwrap().about.unique,
            "{names:?}"
        );
    }
    let empty = archive.put(&table(&[])).await.unwrap();
    assert_eq!(archive.read(empty.object).await.unwrap(), table(&[]));
}

#[tokio::test]
async fn an_object_that_was_touched_is_hashed_again() {
    let (folder, archive) = archive();
    let stored = archive.put(&table(&["a"])).await.unwrap();
    archive.find(stored.object).await.unwrap();
    let path = file(&folder, stored);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    assert!(matches!(
        archive.find(stored.object).await,
        Err(Error::Damaged { .. })
    ));
    assert!(matches!(
        archive.read(stored.object).await,
        Err(Error::Damaged { .. })
    ));
    // Collecting the same rows again mends it.
    assert_eq!(archive.put(&table(&["a"])).await.unwrap(), stored);
    archive.verify(stored.object).await.unwrap();
}

#[tokio::test]
async fn what_is_gone_is_missing_and_nothing_is_left_beside() {
    let (folder, archive) = archive();
    let stored = archive.put(&table(&["a"])).await.unwrap();
    assert!(archive.has(stored.object).await.unwrap());
    let beside: Vec<_> = std::fs::read_dir(file(&folder, stored).parent().unwrap())
        .unwrap()
        .collect();
    assert_eq!(beside.len(), 1);
    archive.remove(stored.object).await.unwrap();
    archive.remove(stored.object).await.unwrap();
    assert!(!archive.has(stored.object).await.unwrap());
    assert!(matches!(
        archive.find(stored.object).await,
        Err(Error::Missing(_))
    ));
    assert!(matches!(
        archive.read(stored.object).await,
        Err(Error::Missing(_))
    ));
}

#[tokio::test]
async fn a_value_that_may_not_be_absent_is_not_kept_absent() {
    let (_folder, archive) = archive();
    let mut table = table(&["a"]);
    table.columns[0] = Values::Text(vec![None]);
    assert!(matches!(archive.put(&table).await, Err(Error::Table(_))));
}
