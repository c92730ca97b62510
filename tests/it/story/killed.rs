//! `kill -9` between any two steps of a run and of a delivery: what was begun is done by whoever comes next,
//! once, and the log is whole.

use std::{fs, thread, time::Duration};

use tripline::crash;

use super::Installation;
use crate::systems::{certificate, mails_to, required, unique};

/// Longer than the lease of a tick or of a message.
const LEASE_OVER: Duration = Duration::from_secs(62);

fn installation(who: &str) -> Option<Installation> {
    let on = Installation::new();
    on.control("vendors/review-overdue.yaml");
    let smtp = required("TRIPLINE_TEST_SMTP")?;
    let (host, port) = smtp.split_once(':').unwrap();
    let user = required("TRIPLINE_TEST_SMTP_USER")?;
    let password = on.secret("smtp", &required("TRIPLINE_TEST_SMTP_PASSWORD")?);
    let ca = certificate("ca.crt")?;
    on.write(
        "vendors.csv",
        "id,name,tier,owner,review_due\nV-1,Acme,high,procurement,2026-01-01\n",
    );
    on.write(
        "tripline.yaml",
        &format!(
            r#"
organisation: Example Bank
store: sqlite:data/tripline.db
evidence: data/evidence
sources:
  vendors: {{ connector: vendors-csv, owner: procurement, refresh: 1m, settings: {{ path: vendors.csv, max_age: 9999d }} }}
teams:
  - {{ id: procurement, email: {who} }}
  - {{ id: platform-security }}
  - {{ id: ml-platform }}
  - {{ id: ai-governance }}
channels:
  mail:
    smtp: {{ host: {host}, port: {port}, from: tripline@example.test, username: {user}, password: {{ file: "{password}" }}, ca_file: "{ca}" }}
routes:
  - {{ when: "kind = 'finding'", to: [owner], as: alert }}
rehearsal: true
audit: {{ origin: example.test/killed, key: {{ file: audit.key }} }}
"#,
            password = password.display(),
            ca = ca.display(),
        ),
    );
    Some(on)
}

/// One life that ends at a point, and the next one.
fn killed_at(point: &str) -> Option<()> {
    let who = unique("killed") + "@example.test";
    let on = installation(&who)?;
    let passes = [
        "2026-12-01T08:00:00Z",
        "2026-12-01T08:06:00Z",
        "2026-12-01T08:08:00Z",
    ];
    let mut died = false;
    for at in passes {
        let ran = on.run(&["check", "--as-of", at], Some(point));
        if ran.code().is_none() {
            died = true;
            break;
        }
    }
    assert!(died, "{point}: the process never came there");
    thread::sleep(LEASE_OVER);
    for at in passes.iter().chain(&[
        "2026-12-01T08:10:00Z",
        "2026-12-01T08:20:00Z",
        "2026-12-01T08:30:00Z",
    ]) {
        let ran = on.check(at);
        assert!(
            matches!(ran.code(), Some(0 | 1)),
            "{point}: {}{}",
            ran.out(),
            ran.err()
        );
    }
    let findings = on.list(&["findings"]);
    assert_eq!(findings.len(), 1, "{point}: {findings:?}");
    assert_eq!(findings[0]["status"], "open", "{point}");
    let mails = mails_to(&who)?;
    let mut ids: Vec<&str> = mails.iter().map(|m| m.message_id.as_str()).collect();
    if point == "deliver.sent" {
        // The server had it and we did not know: it comes again under the same id.
        assert_eq!(ids.len(), 2, "{point}");
    } else {
        assert_eq!(ids.len(), 1, "{point}");
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "{point}: one message, however often");
    let said = on.run(&["audit", "verify"], None).ends(0);
    assert!(said.starts_with("Intact"), "{point}: {said}");
    let evidence = fs::read_dir(on.path("data/evidence")).unwrap().count();
    assert!(evidence > 0, "{point}");
    Some(())
}

/// All points at once: most of the time is waiting for leases to run out.
#[test]
fn whoever_is_killed_leaves_nothing_undone_and_nothing_done_twice() {
    let lives: Vec<_> = crash::POINTS
        .iter()
        .map(|point| {
            thread::Builder::new()
                .name(point.to_string())
                .spawn(|| killed_at(point))
        })
        .collect();
    for (life, point) in lives.into_iter().zip(crash::POINTS) {
        let ended = life.unwrap().join();
        assert!(ended.is_ok(), "{point}");
    }
}
