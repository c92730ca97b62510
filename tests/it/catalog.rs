//! The catalog from outside: what ships loads; what people write wrong is told all at once, at its
//! place, with how to mend it; and no text whatever brings the readers down.

use std::{
    fs,
    path::{Path, PathBuf},
};

use proptest::prelude::*;
use tripline::{
    catalog::{
        connector, control,
        folder::Folder,
        load::{self, Folders},
        policy::PolicyFile,
    },
    config::{self, Loaded, file::ConfigFile, overrides::Overrides},
    model::id::DatasetName,
    validate,
    yaml::{
        decode::{Cx, Decode as _},
        diagnostic::{Diagnostic, Level},
        tree,
    },
};

const CASES: &str = "tests/cases/catalog";

// R001, R014: every control that ships has its four parts, and the clause that it enforces exists.
#[test]
fn what_ships_loads_without_a_word() {
    let folders = Folders {
        controls: Folder::beside("controls"),
        connectors: Folder::beside("connectors"),
        policies: Folder::beside("policies"),
    };
    let mut out = Vec::new();
    let files = load::read(Path::new("."), &folders, &mut out);
    assert_eq!(lines(&out), "");
    assert!(files.controls.len() >= 12, "{}", files.controls.len());
    assert!(files.controls.iter().all(|c| c.draft.is_some()));
    assert!(files.policies.len() >= 3);
}

/// An installation that is sound, into which a case puts one file.
struct Installation {
    folder: tempfile::TempDir,
}

impl Installation {
    fn sound() -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(&Path::new(CASES).join("base"), folder.path());
        Self { folder }
    }

    fn with(name: &str, text: &str) -> Self {
        let sound = Self::sound();
        sound.write(name, text);
        sound
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn load(&self) -> Result<Loaded, Vec<Diagnostic>> {
        self.load_with(&Overrides::default())
    }

    fn load_with(&self, overrides: &Overrides) -> Result<Loaded, Vec<Diagnostic>> {
        config::load(self.folder.path(), overrides)
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(path, target).unwrap();
        }
    }
}

fn lines(found: &[Diagnostic]) -> String {
    let said: Vec<String> = found.iter().map(ToString::to_string).collect();
    said.join("\n")
}

fn yaml_in(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
        .collect();
    files.sort();
    files
}

#[test]
fn a_sound_installation_loads() {
    let loaded = Installation::sound()
        .load()
        .map_err(|found| lines(&found))
        .unwrap();
    assert_eq!(lines(&loaded.warnings), "");
    let control = loaded
        .catalog
        .control(&"secret-rotation-overdue".into())
        .unwrap();
    let reads: Vec<String> = control.datasets.iter().map(ToString::to_string).collect();
    assert_eq!(reads, ["aws.owned", "aws.secrets", "mlflow.model_versions"]);
    let view = loaded
        .catalog
        .dataset(&DatasetName::new("aws", "owned"))
        .unwrap();
    assert_eq!(view.columns.len(), 3);
    assert_eq!(loaded.config.organisation, "Example Bank");
    assert!(loaded.config.watched[0].is_absolute());
}

// R001, R002, R014, R177: what is refused, and in which words.
#[test]
fn every_mistake_is_told_at_its_place() {
    for path in yaml_in(Path::new(CASES)) {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let (kind, _) = name.split_once('-').unwrap();
        let place = match kind {
            "config" => "tripline.yaml".to_owned(),
            "policy" => "policies/case.yaml".to_owned(),
            kind => format!("{kind}s/case.yaml"),
        };
        let case = Installation::with(&place, &fs::read_to_string(&path).unwrap());
        let found = case
            .load()
            .map_or_else(|found| found, |loaded| loaded.warnings);
        assert!(!found.is_empty(), "{name}: nothing is said");
        for d in &found {
            assert!(
                tripline::cli::explain_code::all().any(|(code, _, _)| code == d.code),
                "{} is not explained",
                d.code
            );
        }
        insta::assert_snapshot!(name, lines(&found));
    }
}

#[test]
fn five_mistakes_in_one_file_are_five_diagnostics() {
    let text = fs::read_to_string(Path::new(CASES).join("control-five-mistakes.yaml")).unwrap();
    let found = Installation::with("controls/case.yaml", &text)
        .load()
        .unwrap_err();
    assert_eq!(found.len(), 5, "{}", lines(&found));
    assert!(found.iter().all(|d| d.level == Level::Error));
}

#[test]
fn no_secret_of_a_file_is_repeated() {
    let text = fs::read_to_string(Path::new(CASES).join("config-secrets.yaml")).unwrap();
    assert!(text.contains("hunter2"));
    let found = Installation::with("tripline.yaml", &text)
        .load()
        .unwrap_err();
    assert!(!format!("{found:?}").contains("hunter2"));
}

#[test]
fn flags_stand_above_the_environment_above_the_file_above_the_defaults() {
    let sound = Installation::sound();
    let origins = |overrides: &Overrides| {
        let loaded = sound
            .load_with(overrides)
            .map_err(|found| lines(&found))
            .unwrap();
        let shown = loaded
            .settings
            .iter()
            .find(|s| s.name == "organisation")
            .unwrap()
            .clone();
        (loaded, shown)
    };
    let mut given = Overrides::default();
    let (loaded, shown) = origins(&given);
    assert_eq!(shown.origin, "tripline.yaml:1:15");
    assert!(loaded.settings.iter().any(|s| s.name == "web.listen"
        && s.value == "127.0.0.1:8420"
        && s.origin == "default"
        && s.variable.as_deref() == Some("TRIPLINE_WEB_LISTEN")));
    let digest = loaded.catalog.digest;

    given.variables.insert(
        "TRIPLINE_ORGANISATION".to_owned(),
        "From Variable".to_owned(),
    );
    let (loaded, shown) = origins(&given);
    assert_eq!(loaded.config.organisation, "From Variable");
    assert_eq!(shown.origin, "environment variable TRIPLINE_ORGANISATION");
    assert_ne!(loaded.catalog.digest, digest);

    given
        .flags
        .push(("organisation".to_owned(), "From Flag".to_owned()));
    let (loaded, shown) = origins(&given);
    assert_eq!(loaded.config.organisation, "From Flag");
    assert_eq!(shown.origin, "--set organisation");

    given
        .flags
        .push(("web.listen".to_owned(), "nowhere".to_owned()));
    given.flags.push(("web.lisen".to_owned(), "x".to_owned()));
    let found = sound.load_with(&given).unwrap_err();
    insta::assert_snapshot!(lines(&found), @"
    TL0602 --set web.lisen: there is no setting `web.lisen`; did you mean `web.listen`?
    TL0102 --set web.listen: expected an address and port such as `127.0.0.1:8420`, found `nowhere`; invalid socket address syntax
    ");
}

#[test]
fn a_password_in_the_environment_is_referred_to_and_never_shown() {
    let sound = Installation::sound();
    let mut given = Overrides::default();
    let address = "postgres://tripline:hunter2@db.example.test/tripline";
    given
        .variables
        .insert("TRIPLINE_STORE".to_owned(), address.to_owned());
    let loaded = sound.load_with(&given).unwrap();
    assert!(!format!("{loaded:?}").contains("hunter2"));
    assert!(
        loaded
            .settings
            .iter()
            .any(|s| s.name == "store.env" && s.value == "TRIPLINE_STORE")
    );
}

#[test]
fn the_definition_changes_with_what_can_change_an_outcome_and_with_nothing_else() {
    let definition = |edit: &dyn Fn(&str) -> String, file: &str| {
        let sound = Installation::sound();
        let path = sound.folder.path().join(file);
        let text = fs::read_to_string(&path).unwrap();
        let edited = edit(&text);
        assert!(
            file.is_empty() || edited != text || edit("") == "same",
            "nothing is edited"
        );
        fs::write(path, edited).unwrap();
        let loaded = sound.load().map_err(|found| lines(&found)).unwrap();
        loaded.catalog.controls.values().next().unwrap().definition
    };
    let control = "controls/rotation.yaml";
    let before = definition(
        &|text| {
            if text.is_empty() {
                "same".to_owned()
            } else {
                text.to_owned()
            }
        },
        control,
    );
    for (from, to) in [
        ("title: Secrets", "title: All secrets"),
        ("severity: high", "severity: low"),
        ("else: platform-security", "else: ada"),
        ("*/15 * * * *", "0 6 * * *"),
        ("was last", "has been"),
    ] {
        assert_eq!(
            definition(&|text| text.replace(from, to), control),
            before,
            "{from}"
        );
    }
    for (from, to) in [
        ("rotate_within: 90d", "rotate_within: 91d"),
        ("max_age: 1h", "max_age: 2h"),
        ("'production'", "'staging'"),
        ("fails_when: last", "on_empty: pass\nfails_when: last"),
        (
            "fails_when: last_rotated_at <",
            "fails_when: last_rotated_at <=",
        ),
    ] {
        assert_ne!(
            definition(&|text| text.replace(from, to), control),
            before,
            "{from}"
        );
    }
    // What the view reads is part of what the control reads.
    let edit = |text: &str| {
        text.replace(
            "uses: { type: int, optional: true }",
            "uses: { type: float, optional: true }",
        )
    };
    assert_ne!(definition(&edit, "connectors/store.yaml"), before);
}

/// Every text that a reader of files may meet, cut, doubled and strewn with the characters of YAML.
fn any_text() -> impl Strategy<Value = String> {
    let mut texts = Vec::new();
    for folder in [
        "",
        "base",
        "base/controls",
        "base/connectors",
        "base/policies",
    ] {
        for path in yaml_in(&Path::new(CASES).join(folder)) {
            texts.push(fs::read_to_string(path).unwrap());
        }
    }
    let edit = (
        any::<prop::sample::Index>(),
        0..40_usize,
        "[-{}\\[\\]:,\"'|>#&*!%@`~? \n\t$<é0a]{0,4}",
    );
    (
        prop::sample::select(texts),
        prop::collection::vec(edit, 0..6),
    )
        .prop_map(|(text, edits)| {
            let mut chars: Vec<char> = text.chars().collect();
            for (at, cut, put) in edits {
                let at = at.index(chars.len() + 1).min(chars.len());
                let end = (at + cut).min(chars.len());
                chars.splice(at..end, put.chars());
            }
            chars.into_iter().collect()
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_text_brings_a_reader_down(text in any_text()) {
        let path = Path::new("case.yaml");
        let _ = connector::read_all(path, &text);
        if let Ok(node) = tree::parse(path, &text) {
            let mut cx = Cx::default();
            let config = ConfigFile::decode(&node, &mut cx);
            let policy = PolicyFile::decode(&node, &mut cx);
            prop_assert!(config.is_some() || policy.is_some() || !cx.out.is_empty());
            let mut out = Vec::new();
            let (open, draft) = control::read(&node, &mut out);
            prop_assert!(draft.is_some() || !out.is_empty());
            let datasets = validate::dataset::Datasets::default();
            let checked = validate::control::judge(&open, &datasets, None, &mut out);
            if let Some(draft) = draft {
                let _ = validate::control::finish(draft, checked, &datasets);
            }
            for d in out.iter().chain(&cx.out) {
                let _ = tripline::cli::diagnostics::framed(d, path, Some(&text), false);
            }
        }
    }
}
