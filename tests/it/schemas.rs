//! The JSON Schemas in docs/schemas are those of the program, and what ships with it keeps to them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::ValueEnum as _;
use serde_json::Value;
use tripline::{
    cli::schema::Kind,
    yaml::{
        decode::{Cx, Decode as _},
        tree,
    },
};

/// Set it to write the schemas anew after a record has changed.
const WRITE: &str = "TRIPLINE_WRITE_SCHEMAS";

fn file(kind: Kind) -> PathBuf {
    format!("docs/schemas/{}.schema.json", kind.as_str()).into()
}

#[test]
fn the_schemas_in_the_manual_are_those_of_the_program() {
    for kind in Kind::value_variants() {
        let text = format!("{:#}\n", kind.schema());
        if std::env::var_os(WRITE).is_some() {
            fs::create_dir_all("docs/schemas").unwrap();
            fs::write(file(*kind), &text).unwrap();
        }
        let kept = fs::read_to_string(file(*kind)).unwrap_or_default();
        assert!(
            kept == text,
            "{} is not what the program says: run this test with {WRITE}=1",
            file(*kind).display()
        );
    }
}

#[test]
fn the_schemas_are_schemas() {
    for kind in Kind::value_variants() {
        jsonschema::meta::validate(&kind.schema()).unwrap();
    }
}

#[test]
fn what_ships_keeps_to_the_schemas() {
    let folders = [
        (Kind::Control, "controls"),
        (Kind::Connector, "connectors"),
        (Kind::Policy, "policies"),
    ];
    for (kind, folder) in folders {
        let validator = jsonschema::validator_for(&kind.schema()).unwrap();
        let files = yaml_below(Path::new(folder));
        for path in files {
            let text = fs::read_to_string(&path).unwrap();
            for node in tree::parse_all(&path, &text).unwrap() {
                let value = Value::decode(&node, &mut Cx::default()).unwrap();
                let wrong: Vec<String> = validator
                    .iter_errors(&value)
                    .map(|e| format!("{}: {e}", e.instance_path()))
                    .collect();
                assert!(wrong.is_empty(), "{}: {wrong:#?}", path.display());
            }
        }
    }
}

/// An editor with the schema underlines what the parser refuses.
#[test]
fn the_schema_refuses_what_the_parser_refuses() {
    let validator = jsonschema::validator_for(&Kind::Control.schema()).unwrap();
    let path = Path::new("controls/secrets/rotation-overdue.yaml");
    let text = fs::read_to_string(path).unwrap();
    let value = |text: &str| {
        let node = tree::parse(path, text).unwrap();
        Value::decode(&node, &mut Cx::default()).unwrap()
    };
    validator.validate(&value(&text)).unwrap();
    for (from, to) in [
        ("id:", "idd:"),
        ("max_age: ", "max_age: soon # "),
        ("severity: ", "severity: very # "),
        ("expect: unknown", "expect: pass"),
        ("fails_when:", "failswhen:"),
    ] {
        assert!(text.contains(from), "{from}");
        assert!(!validator.is_valid(&value(&text.replace(from, to))), "{to}");
    }
}

fn yaml_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(yaml_below(&path));
        } else if path.extension().is_some_and(|e| e == "yaml") {
            files.push(path);
        }
    }
    files.sort();
    files
}
