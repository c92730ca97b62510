//! Evidence that is damaged, gone or of another shape is never a pass and never an empty population.

use std::{fs, path::PathBuf};

use serde_json::json;
use tripline::{
    evaluate::{Engine, Error, Limits},
    evidence::{Archive, Evidence},
    model::{
        control::Control,
        outcome::{Evaluation, Unknown},
    },
};

use super::case::{self, Case};

/// Everything passes, and an empty population would pass too.
fn story() -> Case {
    serde_json::from_value(json!({
        "note": "", "now": "2026-11-20T00:00:00Z",
        "datasets": {
            "a.b": { "columns": { "name": "text" }, "key": ["name"], "rows": [{ "name": "x" }, { "name": "y" }] },
            "c.d": { "columns": { "name": "text" }, "key": ["name"], "rows": [{ "name": "bad" }] },
        },
        "evidence": "SELECT a.name, d.name IS NOT NULL AS bad FROM a.b a LEFT JOIN c.d d ON d.name = a.name",
        "subject": "a/b/{name}", "condition": "bad", "on_empty_pass": true, "known": ["a/b/gone"], "want": {},
    }))
    .unwrap()
}

struct Stage {
    _folder: tempfile::TempDir,
    archive: Archive,
    evidence: Evidence,
    control: Control,
    case: Case,
}

impl Stage {
    async fn new() -> Self {
        let case = story();
        let (folder, archive) = case::archive();
        Self {
            _folder: folder,
            evidence: case::evidence(&case, &archive).await,
            control: case::control(&case),
            archive,
            case,
        }
    }

    /// The file behind the second dataset.
    fn file(&self) -> PathBuf {
        let object = self.evidence.used[1].object.unwrap();
        self.archive
            .address(object)
            .unwrap()
            .to_file_path()
            .unwrap()
    }

    async fn judge(&self, engine: &Engine) -> Result<Evaluation, Error> {
        engine
            .control(
                &self.control,
                &self.evidence,
                &self.case.known,
                self.case.now,
            )
            .await
    }

    fn engine(&self) -> Engine {
        Engine::new(self.archive.clone(), &Limits::default()).unwrap()
    }
}

fn is_not_checked(found: &Evaluation, wanted: Unknown) {
    let (reason, sentence) = found.not_checked.as_ref().unwrap();
    assert_eq!(*reason, wanted, "{sentence}");
    assert!(sentence.contains("`c.d`"), "{sentence}");
    assert_eq!(found.counts.pass, 0);
    assert_eq!(found.absent, []);
}

#[tokio::test]
async fn a_flipped_bit_is_found_before_and_after_the_first_use() {
    let stage = Stage::new().await;
    let engine = stage.engine();
    assert_eq!(stage.judge(&engine).await.unwrap().counts.pass, 2);
    let whole = fs::read(stage.file()).unwrap();
    for place in [10, whole.len() / 2, whole.len() - 10] {
        let mut bytes = whole.clone();
        bytes[place] ^= 1;
        fs::write(stage.file(), bytes).unwrap();
        is_not_checked(&stage.judge(&engine).await.unwrap(), Unknown::Incomplete);
        is_not_checked(
            &stage.judge(&stage.engine()).await.unwrap(),
            Unknown::Incomplete,
        );
    }
    fs::write(stage.file(), whole).unwrap();
    assert_eq!(stage.judge(&engine).await.unwrap().counts.pass, 2);
}

#[tokio::test]
async fn an_object_that_is_gone_or_cut_off_is_not_an_empty_table() {
    let stage = Stage::new().await;
    let engine = stage.engine();
    stage.judge(&engine).await.unwrap();
    let whole = fs::read(stage.file()).unwrap();
    for part in [&[][..], &whole[..whole.len() / 2]] {
        fs::write(stage.file(), part).unwrap();
        is_not_checked(&stage.judge(&engine).await.unwrap(), Unknown::Incomplete);
    }
    fs::remove_file(stage.file()).unwrap();
    is_not_checked(&stage.judge(&engine).await.unwrap(), Unknown::Incomplete);
}

#[tokio::test]
async fn a_control_whose_sql_does_not_fit_is_an_error_and_not_an_outcome() {
    let mut stage = Stage::new().await;
    stage.control.fails_when.text = "badd".to_owned();
    let error = stage.judge(&stage.engine()).await.unwrap_err();
    assert!(
        matches!(error, Error::Sql(_)) && !error.is_transient(),
        "{error}"
    );
    stage.control.fails_when.text = "bad".to_owned();
    stage.control.evidence.text = "DROP TABLE a.b".to_owned();
    assert!(matches!(
        stage.judge(&stage.engine()).await,
        Err(Error::Sql(_))
    ));
    assert!(stage.file().exists());
}
