//! The audit log as an auditor meets it: the command, an export, and a verifier that shares no code with us.
//! Somebody who may write to the database lays hands on the log; both verifiers find it and name the place.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};
use tripline::{
    audit::{
        checkpoint,
        key::Key,
        leaf::{Event, Fact, Leaf, Life},
        proof::Proof,
    },
    store::{Options, Store, audit},
};

use crate::{
    store::{at, samples},
    systems::Database,
};

const ORIGIN: &str = "example.test/tripline";

/// The sizes at which the head was signed. Two leaves come after the last.
const HEADS: [i64; 3] = [10, 25, 40];
const LEAVES: i64 = 42;

/// An installation with a log, on a database of its own.
struct Site {
    folder: tempfile::TempDir,
    address: String,
    /// Kept, because its schema goes with it.
    _database: Option<Database>,
}

impl Site {
    async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("data/tripline.db");
        let address = format!("sqlite:{}", file.display());
        Self::made(folder, address, None).await
    }

    async fn postgres() -> Option<Self> {
        let database = Database::open().await?;
        let address = database.url.clone();
        Some(Self::made(tempfile::tempdir().unwrap(), address, Some(database)).await)
    }

    async fn made(folder: tempfile::TempDir, address: String, database: Option<Database>) -> Self {
        let text = format!(
            "organisation: Example Bank\nstore: {{ env: AUDITED_STORE }}\nevidence: data/evidence\n\
             audit: {{ origin: {ORIGIN}, key: {{ file: data/audit.key }} }}\n"
        );
        fs::write(folder.path().join("tripline.yaml"), text).unwrap();
        let site = Self {
            folder,
            address,
            _database: database,
        };
        let key = site.key();
        let store = site.store().await;
        store.migrate().await.unwrap();
        for n in 0..LEAVES {
            let mut tx = store.begin().await.unwrap();
            let head = audit::append(&mut tx, &[leaf(n)]).await.unwrap();
            if HEADS.contains(&(n + 1)) {
                keep(&mut tx, head, &key).await;
            }
            tx.commit().await.unwrap();
        }
        store.close().await;
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn key(&self) -> Key {
        Key::open(&self.path("data/audit.key"), ORIGIN).unwrap()
    }

    async fn store(&self) -> Store {
        Store::open(&Options::from_address(&self.address).unwrap())
            .await
            .unwrap()
    }

    /// Runs the command on this installation.
    fn tripline(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_tripline"))
            .args(["--config"])
            .arg(self.folder.path())
            .args(args)
            .env("AUDITED_STORE", &self.address)
            .output()
            .unwrap()
    }

    /// `tripline audit verify`, as its exit code and its report.
    fn verify(&self, more: &[&str]) -> (i32, Value) {
        let args = [&["--format", "json", "audit", "verify"], more].concat();
        report(&self.tripline(&args))
    }

    /// The other verifier over the same: the database itself, or an export of it where it cannot read that.
    fn verify_otherwise(&self, path: &Path, more: &[&str]) -> (i32, Value) {
        report(&other(path, &self.key(), more))
    }

    fn database(&self) -> Option<PathBuf> {
        self.address.strip_prefix("sqlite:").map(PathBuf::from)
    }

    /// Runs statements as somebody would who owns the database and has put the triggers out of the way.
    async fn attack(&self, statements: &[&str]) {
        if self.database().is_some() {
            let mut c = SqliteConnection::connect(&self.address).await.unwrap();
            let sql =
                "select name from sqlite_master where type = 'trigger' and tbl_name like 'audit%'";
            let names: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut c).await.unwrap();
            assert!(!names.is_empty());
            for name in names {
                let drop = AssertSqlSafe(format!("drop trigger {name}"));
                sqlx::query(drop).execute(&mut c).await.unwrap();
            }
            for statement in statements {
                let statement = AssertSqlSafe((*statement).to_owned());
                let done = sqlx::query(statement).execute(&mut c).await.unwrap();
                assert!(done.rows_affected() > 0);
            }
            c.close().await.unwrap();
        } else {
            let mut c = PgConnection::connect(&self.address).await.unwrap();
            for table in ["leaf", "hash", "checkpoint", "head"] {
                let off = format!("alter table audit_{table} disable trigger user");
                sqlx::query(AssertSqlSafe(off))
                    .execute(&mut c)
                    .await
                    .unwrap();
            }
            for statement in statements {
                let statement = AssertSqlSafe((*statement).to_owned());
                let done = sqlx::query(statement).execute(&mut c).await.unwrap();
                assert!(done.rows_affected() > 0);
            }
            c.close().await.unwrap();
        }
    }

    /// Writes the log anew with another leaf 17, its hashes and so all that follows; `key` signs the heads anew too.
    async fn rewrite(&self, key: Option<&Key>) {
        let mut clear = vec![
            "delete from audit_leaf",
            "delete from audit_hash",
            "update audit_head set size = 0",
        ];
        if key.is_some() {
            clear.push("delete from audit_checkpoint");
        }
        self.attack(&clear).await;
        let store = self.store().await;
        for n in 0..LEAVES {
            let leaf = if n == 17 { leaf(1_000) } else { leaf(n) };
            let mut tx = store.begin().await.unwrap();
            let head = audit::append(&mut tx, &[leaf]).await.unwrap();
            if let Some(key) = key.filter(|_| HEADS.contains(&(n + 1))) {
                keep(&mut tx, head, key).await;
            }
            tx.commit().await.unwrap();
        }
        store.close().await;
    }

    /// The last signed head, as somebody outside holds it.
    async fn anchor(&self) -> PathBuf {
        let store = self.store().await;
        let mut tx = store.read().await.unwrap();
        let note = audit::last_checkpoint(&mut tx).await.unwrap().unwrap().note;
        drop(tx);
        store.close().await;
        let path = self.path("anchor.txt");
        fs::write(&path, note).unwrap();
        path
    }
}

async fn sites() -> Vec<Site> {
    let mut sites = vec![Site::sqlite().await];
    sites.extend(Site::postgres().await);
    sites
}

fn leaf(n: i64) -> Leaf {
    let life = Life {
        event: Event::Start,
        program: format!("1.0.{n}"),
        since: None,
    };
    Leaf::new(at(n), Fact::Life(life))
}

async fn keep(tx: &mut tripline::store::Tx, head: audit::Head, key: &Key) {
    let note = checkpoint::Checkpoint {
        origin: ORIGIN.to_owned(),
        size: head.size,
        root: head.root,
    }
    .sign(key)
    .unwrap();
    let kept = audit::Checkpoint {
        size: head.size,
        note,
        at: at(0),
    };
    assert!(audit::keep_checkpoint(tx, &kept).await.unwrap());
}

/// `tools/verify_audit.py` with the public key from elsewhere.
fn other(path: &Path, key: &Key, more: &[&str]) -> Output {
    Command::new("python3")
        .args(["tools/verify_audit.py", "--json", "--key"])
        .arg(key.public().as_str())
        .args(more)
        .arg(path)
        .output()
        .unwrap()
}

fn report(output: &Output) -> (i32, Value) {
    let said = String::from_utf8_lossy(&output.stderr);
    let report =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no report: {said}"));
    (output.status.code().unwrap(), report)
}

/// What is wrong and where.
fn faults(report: &Value) -> Vec<(String, u64)> {
    let problems = report["problems"].as_array().unwrap().iter();
    problems
        .map(|p| {
            (
                p["fault"].as_str().unwrap().to_owned(),
                p["at"].as_u64().unwrap(),
            )
        })
        .collect()
}

fn named(faults: &[(&str, u64)]) -> Vec<(String, u64)> {
    faults
        .iter()
        .map(|(f, at)| ((*f).to_owned(), *at))
        .collect()
}

// R148
#[tokio::test]
async fn both_verifiers_agree_that_an_untouched_log_and_its_export_are_intact() {
    for site in sites().await {
        let (code, ours) = site.verify(&[]);
        assert_eq!((code, faults(&ours)), (0, vec![]), "{ours}");
        assert_eq!(
            (
                &ours["verdict"],
                &ours["size"],
                &ours["signed"],
                &ours["keys_given"]
            ),
            (&"intact".into(), &42.into(), &40.into(), &true.into())
        );
        if let Some(file) = site.database() {
            let (code, theirs) = site.verify_otherwise(&file, &[]);
            assert_eq!(
                (code, &theirs),
                (0, &ours),
                "the same report, word for word"
            );
        }
        let folder = site.path("export");
        let written = site.tripline(&["audit", "export", folder.to_str().unwrap()]);
        let said = String::from_utf8(written.stdout).unwrap();
        assert_eq!(written.status.code(), Some(0), "{said}");
        assert!(
            said.contains("the last 2 leaves of the log are signed by no head yet"),
            "{said}"
        );
        let (code, ours) = site.verify(&["--export", folder.to_str().unwrap()]);
        assert_eq!(
            (code, &ours["size"], &ours["keys_given"]),
            (0, &40.into(), &false.into())
        );
        let (code, theirs) = site.verify_otherwise(&folder, &[]);
        assert_eq!((code, &theirs["root"]), (0, &ours["root"]));
        let again = site.tripline(&["audit", "export", folder.to_str().unwrap()]);
        assert_eq!(
            again.status.code(),
            Some(4),
            "an export is never written over"
        );
    }
}

#[tokio::test]
async fn a_period_is_exported_with_the_heads_around_it() {
    for site in sites().await {
        let folder = site.path("period");
        let (since, until) = (at(12).to_rfc3339(), at(24).to_rfc3339());
        let (code, ours) = report(&site.tripline(&[
            "--format",
            "json",
            "audit",
            "export",
            folder.to_str().unwrap(),
            "--since",
            &since,
            "--until",
            &until,
        ]));
        assert_eq!(
            (code, &ours["first"], &ours["size"], &ours["checkpoints"]),
            (0, &12.into(), &25.into(), &2.into())
        );
        assert_eq!(site.verify_otherwise(&folder, &[]).0, 0);
        let late = site.path("late");
        let late = site.tripline(&[
            "audit",
            "export",
            late.to_str().unwrap(),
            "--since",
            &at(41).to_rfc3339(),
        ]);
        assert_eq!(late.status.code(), Some(3));
        assert!(
            String::from_utf8_lossy(&late.stderr).contains("nothing of that period is signed yet")
        );
    }
}

/// Statements, what both verifiers name, and whether an export can still be written.
type Attack<'a> = (&'a [&'a str], &'a [(&'a str, u64)], bool);

/// Attacks on the rows, and what both verifiers say of each.
// R148
#[tokio::test]
async fn whatever_is_done_to_the_rows_is_found_and_named_by_both_verifiers() {
    let altered = "update audit_leaf set bytes = (select bytes from audit_leaf where seq = 18) where seq = 17";
    let cut = [
        "delete from audit_leaf where seq >= 30",
        "delete from audit_hash where stored_index >= 56",
        "update audit_head set size = 30",
    ];
    let cases: [Attack; 4] = [
        // The root, its own hash, and the time beside it, which is another leaf's.
        (
            &[altered],
            &[("label", 17), ("root", 25), ("leaf_hash", 17)],
            true,
        ),
        (
            &["delete from audit_leaf where seq = 17"],
            &[("gap", 17)],
            true,
        ),
        // Hashes are missing, so nothing can be exported from there on.
        (&cut, &[("rollback", 40)], false),
        (
            &["update audit_leaf set kind = 'run' where seq = 5"],
            &[("label", 5)],
            false,
        ),
    ];
    for (attack, wanted, exports) in cases {
        for site in sites().await {
            site.attack(attack).await;
            let (code, ours) = site.verify(&[]);
            let mut found = faults(&ours);
            let mut wanted = named(wanted);
            found.sort();
            wanted.sort();
            assert_eq!((code, found), (4, wanted), "{attack:?}: {ours}");
            if let Some(file) = site.database() {
                let (code, theirs) = site.verify_otherwise(&file, &[]);
                assert_eq!((code, theirs), (1, ours), "{attack:?}");
            }
            if !exports {
                continue;
            }
            let folder = site.path("export");
            let written = site.tripline(&[
                "--format",
                "json",
                "audit",
                "export",
                folder.to_str().unwrap(),
            ]);
            let (code, ours) = report(&written);
            assert_eq!(
                (code, ours["verdict"].as_str()),
                (4, Some("broken")),
                "{attack:?}"
            );
            let (code, theirs) = site.verify_otherwise(&folder, &[]);
            assert_eq!((code, faults(&theirs)), (1, faults(&ours)), "{attack:?}");
        }
    }
}

// R148
#[tokio::test]
async fn history_that_was_written_anew_does_not_fit_the_heads_that_were_signed() {
    for site in sites().await {
        site.rewrite(None).await;
        let (code, ours) = site.verify(&[]);
        assert_eq!((code, faults(&ours)), (4, named(&[("root", 25)])), "{ours}");
        if let Some(file) = site.database() {
            assert_eq!(site.verify_otherwise(&file, &[]), (1, ours));
        }
        let folder = site.path("export");
        site.tripline(&["audit", "export", folder.to_str().unwrap()]);
        let (code, theirs) = site.verify_otherwise(&folder, &[]);
        assert!(
            faults(&theirs).contains(&("root".to_owned(), 25)),
            "{theirs}"
        );
        assert_eq!(code, 1);
    }
}

/// Who holds the key too is found by one head that had left the machine before.
// R148
#[tokio::test]
async fn history_that_was_signed_anew_forks_from_a_head_that_left_the_machine() {
    for site in sites().await {
        let anchor = site.anchor().await;
        let anchor = anchor.to_str().unwrap();
        site.rewrite(Some(&site.key())).await;
        assert_eq!(
            site.verify(&[]).0,
            0,
            "by itself it is a log like any other"
        );
        let (code, ours) = site.verify(&["--anchor", anchor]);
        assert_eq!((code, faults(&ours)), (4, named(&[("fork", 40)])), "{ours}");
        if let Some(file) = site.database() {
            assert_eq!(
                site.verify_otherwise(&file, &["--anchor", anchor]),
                (1, ours)
            );
        }
        let folder = site.path("export");
        site.tripline(&["audit", "export", folder.to_str().unwrap()]);
        let (code, ours) = site.verify(&["--export", folder.to_str().unwrap(), "--anchor", anchor]);
        assert_eq!((code, faults(&ours)), (4, named(&[("fork", 40)])));
        let (code, theirs) = site.verify_otherwise(&folder, &["--anchor", anchor]);
        assert_eq!((code, faults(&theirs)), (1, faults(&ours)));
    }
}

#[tokio::test]
async fn without_a_head_or_a_key_nothing_is_claimed() {
    for site in sites().await {
        site.attack(&["delete from audit_checkpoint"]).await;
        let (code, ours) = site.verify(&[]);
        assert_eq!((code, ours["verdict"].as_str()), (3, Some("unproven")));
        let key = site.path("data/audit.key");
        fs::remove_file(&key).unwrap();
        let refused = site.tripline(&["audit", "verify"]);
        assert_eq!(refused.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&refused.stderr).contains("there is no key to believe"));
        assert!(!key.exists(), "no key is made to verify with");
    }
}

#[tokio::test]
async fn a_run_is_proved_by_a_text_that_needs_nobody() {
    for site in sites().await {
        let key = site.key();
        let store = site.store().await;
        let run = samples::run("run-7f3a9c21", "stale-secret", 500);
        let mut tx = store.begin().await.unwrap();
        tripline::store::runs::insert(&mut tx, &run).await.unwrap();
        let head = audit::append(&mut tx, &Leaf::of_run(&run, &[]))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let unsigned = site.tripline(&["audit", "prove", "run-7f3a"]);
        assert_eq!(unsigned.status.code(), Some(3), "{unsigned:?}");
        let mut tx = store.begin().await.unwrap();
        keep(&mut tx, head, &key).await;
        tx.commit().await.unwrap();
        store.close().await;

        let proved = site.tripline(&["audit", "prove", "run-7f3a"]);
        assert_eq!(proved.status.code(), Some(0), "{proved:?}");
        let proof: Proof = String::from_utf8(proved.stdout).unwrap().parse().unwrap();
        assert_eq!(
            (
                proof.seq,
                proof.verify(None, &[key.public().clone()]).unwrap().size
            ),
            (42, 43)
        );
        let leaf = String::from_utf8(proof.leaf.unwrap()).unwrap();
        assert!(leaf.contains("run-7f3a9c21"), "{leaf}");
        let wrong = site.tripline(&["audit", "prove", "run-7f3a", "--leaf", "3"]);
        assert_eq!(wrong.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&wrong.stderr).contains("leaf 3 does not speak of"));
        let unknown = site.tripline(&["audit", "prove", "run-0000"]);
        assert_eq!(unknown.status.code(), Some(2));
    }
}
