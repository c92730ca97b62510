//! The demo: what it prints, what it leaves, and that a newcomer can go on from there.

use std::fs;

use serde_json::Value;

use super::Installation;

/// Every model with what is known of it, and the exceptions on its secrets with their ends: that of the guide.
const GOVERNED: &str = "
    SELECT DISTINCT m.name AS model, m.purpose, m.risk_tier, m.data_sensitivity, e.id AS exception, e.expires_at AS ends
    FROM mlflow.models m
    LEFT JOIN mlflow.versions v ON v.name = m.name
    LEFT JOIN tripline.findings f ON f.subject = concat('aws/secret/', v.secret)
    LEFT JOIN tripline.exceptions e ON e.id = f.covered_by";

/// R003, R004, R006, R008, R009, R012, R023: sixty days of a company that does not exist, through the ordinary
/// connectors, with no network.
#[test]
fn the_demo_plays_sixty_days_and_leaves_an_installation_behind() {
    let on = Installation::new();
    let at = on.path("demo");
    let folder = at.to_str().unwrap();
    let said = on.run(&["demo", "--once", "--at", folder], None).ends(0);
    for line in [
        "new           critical  model-unapproved            mlflow/model-version/credit-scorer/3",
        "resolved      critical  model-unapproved            mlflow/model-version/credit-scorer/3",
        "new           high      secret-rotation-overdue     aws/secret/nhi/scoring/ledger-key",
        "not checked   critical  source:mlflow               mlflow/source/mlflow",
        "checked again critical  source:mlflow               mlflow/source/mlflow",
        "retired       low       secret-unused               aws/secret/nhi/marketing/old-export",
        // One exception from its request to its end.
        "comes back to Eve for business_purpose, owner",
        "is complete and waits for step `dual`",
        "after tess: active",
        "`version` is not what it was when it was approved",
        "no cover now  high      secret-rotation-overdue     aws/secret/nhi/claims/archive-key",
        "expired: its time is over",
        "after lee: closed",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }
    // A short outage and an empty answer open nothing and resolve nothing.
    let wrong = said
        .lines()
        .filter(|l| l.contains("secret-unused") && l.contains("resolved"));
    assert_eq!(wrong.count(), 0, "{said}");
    let mails = fs::read_dir(at.join("mails")).unwrap().count();
    assert!((40..240).contains(&mails), "{mails} mails");

    let json = |arguments: &[&str]| -> Vec<Value> {
        let ran = on.run(
            &[&["--config", folder, "--format", "json"], arguments].concat(),
            None,
        );
        serde_json::from_str(&ran.ends(0)).unwrap()
    };
    let excepted = json(&["exception", "list", "--all"]);
    assert_eq!(excepted.len(), 9, "{excepted:?}");
    let open = json(&["findings"]);
    assert!((3..16).contains(&open.len()), "{}", open.len());
    let rows = json(&["query", "SELECT count(*) AS n FROM mlflow.models"]);
    assert_eq!(rows[0]["n"], 19);
    let governed = json(&["query", GOVERNED]);
    assert!(governed.len() >= 19, "{governed:?}");
    let excepted: Vec<&Value> = governed
        .iter()
        .filter(|g| g["exception"].is_string())
        .collect();
    assert!(excepted.len() >= 5, "{governed:?}");
    for one in excepted {
        for known in ["purpose", "risk_tier", "data_sensitivity", "ends"] {
            assert!(one[known].is_string(), "{known}: {one}");
        }
    }
    signals_of_the_year(&on, folder);
    on.run(&["--config", folder, "audit", "verify"], None)
        .ends(0);

    // A folder that is something else is left alone.
    let refused = on.run(
        &[
            "demo",
            "--once",
            "--at",
            on.path("policies").to_str().unwrap(),
        ],
        None,
    );
    assert_eq!(refused.code(), Some(4), "{}", refused.out());
    assert!(on.path("policies/model-governance.yaml").exists());
}

/// A year of exceptions has two true patterns and three look-alikes; the report shows the two and explains the three.
fn signals_of_the_year(on: &Installation, folder: &str) {
    let json = |words: &[&str], code: i32| -> Value {
        let all = [&["--config", folder, "--format", "json"], words].concat();
        serde_json::from_str(&on.run(&all, None).ends(code)).unwrap()
    };
    let signals = json(&["signals"], 1);
    let of: Vec<(&str, &str)> = signals
        .as_array()
        .unwrap()
        .iter()
        .map(|s| (s["kind"].as_str().unwrap(), s["control"].as_str().unwrap()))
        .collect();
    assert_eq!(
        of,
        [
            ("chronic_budget", "vendor-review-overdue"),
            ("emergence", "secret-rotation-overdue")
        ]
    );
    let rotation = signals[1]["sentence"].as_str().unwrap();
    let eleven = "11 teams in 7 departments asked for exceptions to secret-rotation-overdue where environment = batch and vendor = Lumen Language";
    assert!(rotation.contains(eleven), "{rotation}");
    let shown = json(&["signals", "show", signals[1]["id"].as_str().unwrap()], 0);
    let suggested = &shown["suggestions"][0];
    let best = suggested["candidates"].as_array().unwrap();
    let best = best.iter().find(|c| c["is_knee"] == true).unwrap();
    assert!(
        best["scope"].is_u64(),
        "for those who need it, not for everybody: {best}"
    );
    let words = [
        "what-if",
        "secret-rotation-overdue",
        "--set",
        "rotate_within=120d",
        "--since",
        "2w",
    ];
    let everybody = json(&words, 0);
    let scope = [
        "--where",
        "environment = 'batch' AND vendor = 'Lumen Language'",
    ];
    let scoped = json(&[&words[..], &scope].concat(), 0);
    let count = |tried: &Value, of: &str| tried["latest"][of].as_array().unwrap().len();
    assert_eq!(
        (
            count(&everybody, "cleared"),
            count(&everybody, "exceptions")
        ),
        (6, 8)
    );
    assert_eq!(everybody["latest"]["admitted"]["high"], 2);
    assert_eq!(
        (count(&scoped, "cleared"), &scoped["latest"]["admitted"]),
        (6, &serde_json::json!({}))
    );
    let trend = json(&["report", "trend"], 0);
    let instead: Vec<&str> = trend["turned_away"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t["instead"].as_str().unwrap())
        .collect();
    for one in ["incident cluster", "guidance gap", "help this team"] {
        assert!(instead.contains(&one), "{one}: {instead:?}");
    }
    assert_eq!(trend["signals"].as_array().unwrap().len(), 2);
}

/// R002, R007, R012, R020, R076, R077, R080, R171, R224: every example of every shipped control comes out as its author says,
/// lineage of training data among them.
#[test]
fn every_shipped_example_comes_out_as_it_says() {
    let on = Installation::new();
    let said = on.run(&["--config", "tripline.yaml", "test"], None).ends(0);
    assert!(said.starts_with("Passed"), "{said}");
    let one = on.run(
        &[
            "--config",
            "tripline.yaml",
            "test",
            "--control",
            "model-lineage-missing",
        ],
        None,
    );
    assert!(one.ends(0).contains("of 1 control "));
}
