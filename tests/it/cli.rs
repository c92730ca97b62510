//! The command line as a person meets it: the program itself, on an installation in a folder of its own.

use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};
use tripline::{
    model::notice::{Batch, Delivery},
    store::{
        Options, Store, audit,
        outbox::{self, Attempt},
    },
};

use crate::{
    store::{at, samples},
    systems::Database,
};

/// An installation.
struct Site {
    folder: tempfile::TempDir,
    store: String,
    vendors: String,
    /// Kept, because its schema goes with it.
    _database: Option<Database>,
}

impl Site {
    fn on(database: Option<Database>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let store = match &database {
            Some(database) => database.url.clone(),
            None => format!("sqlite:{}", root.join("data/tripline.db").display()),
        };
        fs::create_dir(root.join("connectors")).unwrap();
        for name in ["vendors-csv.yaml", "vendors-sql.yaml"] {
            fs::copy(
                Path::new("connectors").join(name),
                root.join("connectors").join(name),
            )
            .unwrap();
        }
        let text = format!(
            "organisation: Example Bank
store: {{ env: CLI_STORE }}
evidence: data/evidence
sources:
  vendors: {{ connector: vendors-csv, owner: procurement, refresh: 1h, settings: {{ path: \"{}\" }} }}
  registry: {{ connector: vendors-sql, owner: procurement, refresh: 1h, settings: {{ database: {{ env: CLI_VENDORS }} }} }}
teams:
  - {{ id: procurement, email: procurement@example.test }}
  - {{ id: platform, email: platform@example.test }}
people:
  - {{ id: ada, name: Ada, email: ada@example.test, team: platform }}
audit: {{ origin: example.test/tripline, key: {{ file: data/audit.key }} }}
",
            root.join("vendors.csv").display()
        );
        fs::write(root.join("tripline.yaml"), text).unwrap();
        Self {
            folder,
            vendors: store.clone(),
            store,
            _database: database,
        }
    }

    async fn both() -> Vec<Self> {
        let mut sites = vec![Self::on(None)];
        sites.extend(Database::open().await.map(|d| Self::on(Some(d))));
        sites
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// So many vendors in the export.
    fn export(&self, vendors: usize) {
        let mut text = "id,name,tier,review_due\n".to_owned();
        for n in 0..vendors {
            let due = if n % 2 == 0 { "2026-12-01" } else { "" };
            writeln!(text, "V-{n:02},Vendor {n},low,{due}").unwrap();
        }
        fs::write(self.path("vendors.csv"), text).unwrap();
    }

    fn run(&self, args: &[&str]) -> Said {
        let output = Command::new(env!("CARGO_BIN_EXE_tripline"))
            .arg("--config")
            .arg(self.folder.path())
            .args(args)
            .env("CLI_STORE", &self.store)
            .env("CLI_VENDORS", &self.vendors)
            .output()
            .unwrap();
        Said::from(&output)
    }

    async fn store(&self) -> Store {
        let store = Store::open(&Options::from_address(&self.store).unwrap())
            .await
            .unwrap();
        store.migrate().await.unwrap();
        store
    }
}

/// What a command said, and its exit code.
#[derive(Debug)]
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl From<&Output> for Said {
    fn from(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout.clone()).unwrap(),
            err: String::from_utf8(output.stderr.clone()).unwrap(),
        }
    }
}

impl Said {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Runs the program without an installation, with a text on its standard input.
fn alone(args: &[&str], input: &str) -> Said {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tripline"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    Said::from(&child.wait_with_output().unwrap())
}

#[test]
fn a_connector_is_begun_and_linted_without_an_installation() {
    for kind in ["http", "aws", "sql", "file"] {
        let begun = alone(&["connector", "new", kind], "");
        assert_eq!(begun.code, 0, "{begun:?}");
        let linted = alone(&["connector", "lint", "-"], &begun.out);
        assert_eq!(linted.code, 0, "{linted:?}");
        assert!(
            linted.out.contains(&format!("({kind}) with ")),
            "{linted:?}"
        );
    }
    for file in fs::read_dir("connectors").unwrap() {
        let file = file.unwrap().path();
        let linted = alone(&["connector", "lint", file.to_str().unwrap()], "");
        assert_eq!(linted.code, 0, "{linted:?}");
    }
}

#[test]
fn every_mistake_of_a_connector_is_said_with_its_place_and_code() {
    let right = alone(&["connector", "new", "sql"], "").out;
    let wrong = right
        .replace("about: One row", "abuot: One row")
        .replace("reviewed_at: { type: date,", "reviewed_at: { type: dat,");
    let linted = alone(&["connector", "lint", "-"], &wrong);
    assert_eq!(linted.code, 2, "{linted:?}");
    for said in [
        "error[TL0103] -:13:5: unknown key `abuot`; did you mean `about`?",
        "error[TL0104] -:21:28: `dat` is not one of",
        "2 errors.",
    ] {
        assert!(linted.out.contains(said), "{said}: {}", linted.out);
    }
    let as_json = alone(&["--format", "json", "connector", "lint", "-"], &wrong).json();
    assert_eq!(as_json.as_array().unwrap().len(), 2, "{as_json}");
    assert!(as_json[0]["code"].as_str().unwrap().starts_with("TL"));
    let missing = alone(&["connector", "lint", "no/such/file.yaml"], "");
    assert_eq!(missing.code, 2);
    assert!(missing.out.contains("TL0006"), "{missing:?}");
}

/// The list of reads that give a secret away is held to at this door too.
#[test]
fn a_connector_that_reads_the_value_of_a_secret_is_refused() {
    let text = alone(&["connector", "new", "aws"], "")
        .out
        .replace("kms.ListAliases", "secretsmanager.GetSecretValue");
    let linted = alone(&["connector", "lint", "-"], &text);
    assert_eq!(linted.code, 2, "{linted:?}");
    assert!(linted.out.contains("error[TL04"), "{linted:?}");
}

#[tokio::test]
async fn a_source_is_read_and_what_came_is_shown() {
    for site in Site::both().await {
        site.export(6);
        let read = site.run(&["connector", "test", "vendors"]);
        assert_eq!(read.code, 0, "{read:?}");
        let lines: Vec<&str> = read.out.lines().collect();
        assert!(
            lines[0].starts_with("vendors.vendors: complete, 6 rows, "),
            "{}",
            read.out
        );
        let columns: Vec<Vec<&str>> = lines[2..6]
            .iter()
            .map(|l| l.split_whitespace().collect())
            .collect();
        assert_eq!(columns[0], ["id", "text", "key", "0"]);
        assert_eq!(columns[1], ["name", "text", "0"]);
        let due = lines.iter().find(|l| l.starts_with("review_due")).unwrap();
        assert_eq!(
            due.split_whitespace().collect::<Vec<_>>(),
            ["review_due", "date", "3"]
        );

        let again = site.run(&[
            "--format",
            "json",
            "source",
            "test",
            "vendors",
            "--dataset",
            "vendors",
        ]);
        let again = again.json()[0].clone();
        assert_eq!(
            (&again["status"], &again["rows"]),
            (&json!("unchanged"), &json!(6))
        );
        assert!(
            again["took_ms"].is_u64() && again["bytes"].as_u64() > Some(0),
            "{again}"
        );

        fs::remove_file(site.path("vendors.csv")).unwrap();
        let gone = site.run(&["source", "test", "vendors"]);
        assert_eq!(gone.code, 3, "{gone:?}");
        assert!(!gone.out.contains("complete"), "{gone:?}");
        let listed = site.run(&["--format", "json", "source", "list"]).json();
        let vendors = listed
            .as_array()
            .unwrap()
            .iter()
            .find(|r| r["dataset"] == "vendors.vendors")
            .unwrap();
        assert!(
            !vendors["last_whole"].is_null(),
            "what was read before stays: {vendors}"
        );

        for (args, said) in [
            (
                ["vendor", "--dataset", "vendors"],
                "there is no source `vendor`; known: registry, vendors",
            ),
            (
                ["vendors", "--dataset", "vendor"],
                "there is no dataset `vendor`; known: vendors",
            ),
        ] {
            let refused = site.run(&[&["source", "test"], args.as_slice()].concat());
            assert_eq!(refused.code, 2);
            assert!(refused.err.contains(said), "{refused:?}");
        }
    }
}

#[tokio::test]
async fn a_registry_in_postgresql_is_read_with_its_count() {
    let Some(mut database) = Database::open().await else {
        return;
    };
    database
        .run("create table vendor (id text, name text, owner text)")
        .await;
    database.run("insert into vendor select 'V-' || n, 'Vendor ' || n, null from generate_series(1, 2500) n").await;
    database
        .run("create view tripline_vendors as select * from vendor")
        .await;
    let site = Site {
        vendors: database.url.clone(),
        ..Site::on(None)
    };
    let read = site.run(&["--format", "json", "connector", "test", "registry"]);
    let came = read.json()[0].clone();
    assert_eq!(
        (read.code, &came["status"], &came["rows"]),
        (0, &json!("complete"), &json!(2500)),
        "{came}"
    );
    let owner = came["columns"]
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["column"] == "owner")
        .unwrap();
    assert_eq!(
        (&owner["type"], &owner["nulls"]),
        (&json!("text"), &json!(2500))
    );
    assert!(
        !read.err.contains(&database.url) && !read.out.contains(&database.url),
        "no address with a password"
    );
}

#[tokio::test]
async fn a_suspect_collection_counts_once_a_person_says_so() {
    for site in Site::both().await {
        site.export(20);
        assert_eq!(site.run(&["source", "test", "vendors"]).code, 0);
        site.export(4);
        let fewer = site.run(&["--format", "json", "source", "test", "vendors"]);
        let snapshot = fewer.json()[0].clone();
        assert_eq!(
            (fewer.code, &snapshot["status"]),
            (3, &json!("suspect")),
            "{snapshot}"
        );
        let id = snapshot["id"].as_str().unwrap();

        for (by, because, said) in [
            ("nobody", "the contract ended", "`nobody` is no person"),
            (
                "procurement",
                "the contract ended",
                "`procurement` is no person",
            ),
            ("ada", "  ", "say why with `--because`"),
        ] {
            let refused = site.run(&["source", "accept", id, "--by", by, "--because", because]);
            assert_eq!(refused.code, 2, "{refused:?}");
            assert!(refused.err.contains(said), "{refused:?}");
        }
        let because = ["--by", "ada", "--because", "sixteen contracts ended"];
        let accepted =
            site.run(&[&["source", "accept", "vendors.vendors"], because.as_slice()].concat());
        assert_eq!(accepted.code, 0, "{accepted:?}");
        assert!(
            accepted.out.starts_with(&format!(
                "{id} of `vendors.vendors` counts as complete: 4 rows"
            )),
            "{accepted:?}"
        );
        let twice = site.run(&[&["source", "accept", id], because.as_slice()].concat());
        assert_eq!(twice.code, 2);
        assert!(
            twice
                .err
                .contains("is complete; only a suspect collection can be accepted"),
            "{twice:?}"
        );

        let store = site.store().await;
        let leaves = audit::leaves_about(&mut store.read().await.unwrap(), id)
            .await
            .unwrap();
        assert_eq!(
            leaves.len(),
            3,
            "how it came, that it counts, and who said so"
        );
        assert!(String::from_utf8_lossy(&leaves[1].bytes).contains("\"complete\""));
        store.close().await;
        assert_eq!(
            site.run(&["source", "test", "vendors"]).code,
            0,
            "four are the measure now"
        );
    }
}

/// Two messages: one that was sent, one that was given up.
async fn letters(site: &Site) -> [Batch; 2] {
    let store = site.store().await;
    let mut tx = store.begin().await.unwrap();
    let items = [
        samples::item("s/k/1", "g", 0),
        samples::item("s/k/2", "h", 0),
    ];
    outbox::enqueue(&mut tx, &items).await.unwrap();
    let letters = [
        samples::batch("ntc-aa11", &["s/k/1"], 1),
        samples::batch("ntc-bb22", &["s/k/2"], 2),
    ];
    outbox::seal(&mut tx, &letters).await.unwrap();
    outbox::finish(&mut tx, &letters[0], &Attempt::Sent { at: at(3) })
        .await
        .unwrap();
    let dead = Attempt::Dead {
        at: at(3),
        error: "550 no such mailbox".to_owned(),
        ambiguous: false,
    };
    outbox::finish(&mut tx, &letters[1], &dead).await.unwrap();
    tx.commit().await.unwrap();
    store.close().await;
    letters
}

#[tokio::test]
async fn notices_are_listed_shown_and_sent_again() {
    for site in Site::both().await {
        letters(&site).await;
        let ids = |args: &[&str]| -> Vec<String> {
            let found = site
                .run(&[&["--format", "json", "notices"], args].concat())
                .json();
            found
                .as_array()
                .unwrap()
                .iter()
                .map(|r| r["id"].as_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!(ids(&[]), ["ntc-bb22", "ntc-aa11"]);
        assert_eq!(ids(&["list", "--state", "dead"]), ["ntc-bb22"]);
        assert_eq!(
            ids(&[
                "--channel",
                "mail",
                "--recipient",
                "team:platform",
                "--state",
                "sent"
            ]),
            ["ntc-aa11"]
        );
        assert!(ids(&["--channel", "soc"]).is_empty());
        assert!(ids(&["--recipient", "ada"]).is_empty());
        let nobody = site.run(&["notices", "--recipient", "nobody"]);
        assert_eq!(nobody.code, 2);
        assert!(
            nobody
                .err
                .contains("nobody in `tripline.yaml` is called `nobody`"),
            "{nobody:?}"
        );

        let shown = site.run(&["notices", "show", "bb"]);
        assert_eq!(shown.code, 0, "{shown:?}");
        for part in [
            "ntc-bb22  dead",
            "alert over mail to team:platform",
            "1 attempts, 0 of them without an answer",
            "said at last: 550 no such mailbox",
            "(route 1: severity is high)",
            "\"subject\": \"[HIGH] a\"",
        ] {
            assert!(shown.out.contains(part), "{part}: {}", shown.out);
        }

        let again = site.run(&["notices", "retry", "ntc-bb22"]);
        assert_eq!(again.code, 0, "{again:?}");
        assert!(again.out.starts_with("ntc-bb22 is due again"), "{again:?}");
        assert_eq!(ids(&["--state", "due"]), ["ntc-bb22"]);
        for (id, said) in [
            ("bb22", "ntc-bb22 is due, and only what was given up"),
            ("aa11", "ntc-aa11 is sent, and only what was given up"),
            (
                "cc",
                "there is no notice `cc`; `tripline notices` lists them",
            ),
        ] {
            let refused = site.run(&["notices", "retry", id]);
            assert_eq!(refused.code, 2, "{refused:?}");
            assert!(refused.err.contains(said), "{refused:?}");
        }
        let store = site.store().await;
        let kept = outbox::get(&mut store.read().await.unwrap(), &"ntc-aa11".into())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            kept.state,
            Delivery::Sent,
            "what was sent is not sent twice"
        );
        store.close().await;
    }
}
