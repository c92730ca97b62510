//! The shipped connectors that are not HTTP.

use std::fs;

use super::connector;

/// R022: sources tie the register to registries, inventories and secret stores.
#[test]
fn each_shipped_connector_is_read_without_a_mistake() {
    let mut files: Vec<_> = fs::read_dir("connectors")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() >= 6);
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let read = connector(&text);
        assert_eq!(
            file.file_stem().and_then(|s| s.to_str()),
            Some(read.id.as_str()),
            "a connector's file bears its name"
        );
        assert!(read.about.is_some(), "{}: say what it reads", read.id);
        for dataset in &read.datasets {
            assert!(
                dataset.about.is_some(),
                "{}.{}: say what it is",
                read.id,
                dataset.name
            );
        }
    }
}

/// The three vendor registries offer the same columns, so that the same controls fit each.
#[test]
fn vendors_look_alike_wherever_they_are_kept() {
    let schema = |name: &str| {
        let text = fs::read_to_string(format!("connectors/{name}.yaml")).unwrap();
        connector(&text).dataset("vendors").unwrap().schema()
    };
    assert_eq!(schema("vendors-sql"), schema("vendors-csv"));
    assert_eq!(schema("vendors-sql"), schema("vendors-xlsx"));
}
