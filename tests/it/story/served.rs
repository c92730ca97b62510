//! The daemon as a process: it watches, answers, takes edits whole or not at all, and stops in order.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::Installation;

/// A daemon, and what it says.
struct Daemon {
    child: Child,
    said: mpsc::Receiver<Value>,
    address: String,
}

impl Daemon {
    fn start(on: &Installation) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tripline"))
            .arg("--config")
            .arg(on.path(""))
            .arg("serve")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (send, said) = mpsc::channel();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = send.send(serde_json::from_str(&line).unwrap_or(Value::String(line)));
            }
        });
        let mut daemon = Self {
            child,
            said,
            address: String::new(),
        };
        let started = daemon.says("watching");
        started["address"]
            .as_str()
            .unwrap()
            .clone_into(&mut daemon.address);
        daemon
    }

    /// Waits until it says this, and gives the line.
    #[track_caller]
    fn says(&self, message: &str) -> Value {
        let until = Instant::now() + Duration::from_mins(5);
        let mut heard = Vec::new();
        while let Ok(line) = self
            .said
            .recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            if line["message"]
                .as_str()
                .is_some_and(|m| m.starts_with(message))
            {
                return line;
            }
            heard.push(line.to_string());
        }
        panic!("it never said `{message}`:\n{}", heard.join("\n"));
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let answer = reqwest::get(format!("http://{}{path}", self.address))
            .await
            .unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([name, &id])
                .status()
                .unwrap()
                .success()
        );
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn installation() -> Installation {
    let on = Installation::new();
    on.control("vendors/review-overdue.yaml");
    on.write(
        "vendors.csv",
        "id,name,tier,owner,review_due\nV-1,Acme,high,procurement,2026-01-01\n",
    );
    on.write(
        "tripline.yaml",
        "organisation: Example Bank\nstore: sqlite:data/tripline.db\nevidence: data/evidence\nsources:\n  vendors: \
         { connector: vendors-csv, owner: procurement, refresh: 1m, settings: { path: vendors.csv, max_age: 9999d } }\n\
         teams: [{ id: procurement }, { id: platform-security }, { id: ml-platform }, { id: ai-governance }]\n\
         audit: { origin: example.test/served, key: { file: audit.key } }\nweb: { listen: \"127.0.0.1:0\" }\n",
    );
    on
}

/// Starts, runs what is due, answers probes with figures that promtool accepts, and ends with 0.
#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_watches_answers_and_stops_in_order() {
    let on = installation();
    let mut daemon = Daemon::start(&on);
    let ran = daemon.says("ran");
    assert_eq!(ran["control"], "vendor-review-overdue");
    assert_eq!(ran["fail"], 1);
    assert_eq!(daemon.get("/healthz").await, (200, "ok\n".to_owned()));
    let (status, ready) = daemon.get("/readyz").await;
    assert_eq!(status, 200, "{ready}");
    let (_, figures) = daemon.get("/metrics").await;
    for name in [
        "tripline_runs_total",
        "tripline_findings_open",
        "tripline_source_last_complete_timestamp_seconds",
    ] {
        assert!(figures.contains(name), "{name}\n{figures}");
    }
    let Some(promtool) = crate::systems::required("TRIPLINE_TEST_PROMTOOL") else {
        return;
    };
    let mut promtool = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is installed by tools/systems/install");
    promtool
        .stdin
        .take()
        .unwrap()
        .write_all(figures.as_bytes())
        .unwrap();
    let checked = promtool.wait_with_output().unwrap();
    assert!(
        checked.status.success(),
        "{}",
        String::from_utf8_lossy(&checked.stderr)
    );

    daemon.signal("-TERM");
    daemon.says("stopped");
    assert_eq!(daemon.child.wait().unwrap().code(), Some(0));
    on.run(&["audit", "verify"], None).ends(0);
}

/// R014: a mistake keeps what runs; a good edit is taken whole, by file change and by SIGHUP.
#[test]
fn an_edit_is_taken_whole_or_not_at_all() {
    let on = installation();
    let daemon = Daemon::start(&on);
    daemon.says("ran");
    let file = on.path("controls/vendors-review-overdue.yaml");
    let good = fs::read_to_string(&file).unwrap();
    fs::write(&file, good.replace("review_due <", "review_dou <")).unwrap();
    let refused = daemon.says("TL0304");
    assert!(
        refused["message"].as_str().unwrap().contains("review_dou"),
        "{refused}"
    );
    daemon.says("nothing was reloaded");
    fs::write(
        &file,
        good.replace("id: vendor-review-overdue", "id: vendor-review-late"),
    )
    .unwrap();
    let taken = daemon.says("reloaded");
    assert_eq!(taken["controls"], 1);
    assert_eq!(daemon.says("ran")["control"], "vendor-review-late");
    daemon.signal("-HUP");
    daemon.says("nothing changed");
}

/// A whole folder that is put in the place of another is seen, and so is what is edited in it afterwards; one without
/// controls is not believed.
#[test]
fn a_folder_that_was_replaced_is_still_watched_and_an_empty_one_is_refused() {
    let on = installation();
    let daemon = Daemon::start(&on);
    daemon.says("ran");
    let (folder, aside) = (on.path("controls"), on.path("aside"));
    let file = folder.join("vendors-review-overdue.yaml");
    let good = fs::read_to_string(&file).unwrap();
    fs::rename(&folder, &aside).unwrap();
    let refused = daemon.says("the files hold no control any more");
    assert_eq!(refused["level"], "ERROR", "{refused}");
    fs::create_dir(&folder).unwrap();
    fs::write(&file, good.replace("title: ", "title: Again, ")).unwrap();
    assert_eq!(daemon.says("reloaded")["controls"], 1);
    fs::write(&file, good.replace("title: ", "title: Once more, ")).unwrap();
    assert_eq!(daemon.says("reloaded")["controls"], 1);
    assert!(on.list(&["findings", "--all"]).len() == 1);
}

/// R148: the store is moved away under the daemon: it is not ready any more, and makes no new one.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_gone_is_no_new_store() {
    let on = installation();
    let mut daemon = Daemon::start(&on);
    daemon.says("ran");
    assert_eq!(daemon.get("/readyz").await.0, 200);
    daemon.signal("-TERM");
    daemon.says("stopped");
    daemon.child.wait().unwrap();
    let daemon = Daemon::start(&on);
    fs::rename(on.path("data"), on.path("gone")).unwrap();
    let (status, said) = daemon.get("/readyz").await;
    assert_eq!(status, 503, "{said}");
    assert!(!on.path("data/tripline.db").exists());
    drop(daemon);
    // The key remembers that there was a log.
    let said = on.run(&["check"], None);
    said.ends(4);
    assert!(
        said.err().contains("is its folder mounted?"),
        "{}",
        said.err()
    );
    assert!(!on.path("data/tripline.db").exists());
    // Somebody makes a new one: one key does not sign two logs.
    on.run(&["db", "migrate"], None).ends(0);
    let said = on.run(&["check"], None);
    said.ends(4);
    assert!(
        said.err().contains("one key never signs two logs"),
        "{}",
        said.err()
    );
    on.run(&["audit", "new-key"], None).ends(2);
    on.run(&["audit", "new-key", "--yes"], None).ends(0);
    on.run(&["check"], None).ends(0);
    on.run(&["audit", "verify"], None).ends(0);
    // The key of a log that was signed is not made anew.
    fs::rename(on.path("audit.key"), on.path("lost.key")).unwrap();
    let said = on.run(&["check"], None);
    said.ends(4);
    assert!(said.err().contains("is not there"), "{}", said.err());
    assert!(!on.path("audit.key").exists());
    fs::rename(on.path("lost.key"), on.path("audit.key")).unwrap();
    on.run(&["check"], None).ends(0);
}
