//! A secret grows old, a vendor's review lapses, a model loses its approval. Each is found, told once, and
//! closed when it is mended; what cannot be read closes nothing.

use std::{fs, process::Command};

use serde_json::Value;

use super::Installation;
use crate::systems::{Database, Mlflow, Moto, certificate, mails_to, required, unique};

/// The systems of one story.
struct World {
    mlflow: Mlflow,
    moto: Moto,
    vendors: Database,
    model: String,
    version: String,
    secret: String,
    security: String,
    procurement: String,
}

/// Fills real systems with a model in production, its secret, and a vendor. Each region of AWS is a world of
/// its own.
async fn world(region: &str) -> Option<World> {
    let mlflow = Mlflow::open()?;
    let moto = Moto::open(region)?;
    let mut vendors = Database::open().await?;
    let (model, secret) = (unique("scorer"), unique("nhi/scorer"));
    // Others come and go beside it; the inventory must not look as if it had shrunk.
    for _ in 0..4 {
        mlflow
            .model(&unique("bystander"), &[("owner", "ml-platform")])
            .await;
    }
    mlflow.model(&model, &[("owner", "ml-platform")]).await;
    let tags = [
        ("approved_by", "risk-board"),
        ("approved_at", "2026-01-05T00:00:00Z"),
        ("secret", secret.as_str()),
    ];
    let version = mlflow.version(&model, &tags).await;
    mlflow.alias(&model, "production", &version).await;
    moto.secret(&secret, &[("owner", "platform-security")])
        .await;
    vendors
        .run("create table tripline_vendors (id text, name text, tier text, owner text, review_due date)")
        .await;
    vendors
        .run("insert into tripline_vendors values ('V-1', 'Acme', 'high', 'procurement', '2031-03-01'), \
              ('V-2', 'Globex', 'low', 'procurement', '2040-01-01')")
        .await;
    Some(World {
        mlflow,
        moto,
        vendors,
        model,
        version,
        secret,
        security: unique("security") + "@example.test",
        procurement: unique("procurement") + "@example.test",
    })
}

/// The installation that watches them. `mlflow` is its address there.
fn settings(on: &Installation, world: &World, store: &str, mlflow: &str) -> Option<()> {
    let smtp = required("TRIPLINE_TEST_SMTP")?;
    let (host, port) = smtp.split_once(':').unwrap();
    let user = required("TRIPLINE_TEST_SMTP_USER")?;
    let password = on.secret("smtp", &required("TRIPLINE_TEST_SMTP_PASSWORD")?);
    let key = on.secret("aws", "any");
    let vendors = on.secret("vendors", &world.vendors.url);
    let store = on.secret("store", store);
    let ca = certificate("ca.crt")?;
    on.write(
        "tripline.yaml",
        &format!(
            r#"
organisation: Example Bank
store: {{ file: "{store}" }}
evidence: data/evidence
sources:
  mlflow:
    connector: mlflow
    owner: ml-platform
    refresh: 15m
    settings: {{ url: "{mlflow}" }}
  aws:
    connector: aws-secrets-manager
    owner: platform-security
    refresh: 15m
    settings: {{ regions: [{region}], endpoint: "{moto}", access_key_id: any, secret_access_key: {{ file: "{key}" }} }}
  vendors:
    connector: vendors-sql
    owner: procurement
    refresh: 1h
    settings: {{ database: {{ file: "{vendors}" }} }}
teams:
  - {{ id: platform-security, email: {security} }}
  - {{ id: ml-platform, email: {security} }}
  - {{ id: procurement, email: {procurement} }}
  - {{ id: ai-governance, email: {procurement} }}
channels:
  mail:
    smtp: {{ host: {host}, port: {port}, from: tripline@example.test, username: {user}, password: {{ file: "{password}" }}, ca_file: "{ca}" }}
routes:
  - {{ when: "kind = 'finding'", to: [owner], as: alert, resolved: alert }}
rehearsal: true
audit: {{ origin: example.test/story, key: {{ file: audit.key }} }}
"#,
            store = store.display(),
            region = world.moto.region,
            moto = world.moto.url,
            key = key.display(),
            vendors = vendors.display(),
            security = world.security,
            procurement = world.procurement,
            password = password.display(),
            ca = ca.display(),
        ),
    );
    Some(())
}

/// The findings on the story's own subjects, as `control status`.
fn standing(on: &Installation, world: &World) -> Vec<String> {
    let mut found: Vec<String> = on
        .list(&["findings", "--all"])
        .iter()
        .filter(|f| {
            let subject = f["subject"].as_str().unwrap();
            [&world.model, &world.secret]
                .iter()
                .any(|n| subject.contains(n.as_str()))
                || subject == "vendors/vendor/V-1"
        })
        .map(|f| {
            format!(
                "{} {}",
                f["control"].as_str().unwrap(),
                f["state"].as_str().unwrap()
            )
        })
        .collect();
    found.sort();
    found
}

/// Scheduled controls pull evidence, find real deviations, and tell their owners once; missing evidence closes
/// nothing; every outcome can be replayed; the log proves all of it.
async fn story(store: &str, mut world: World) {
    let on = Installation::new();
    for file in [
        "secrets/rotation-overdue.yaml",
        "vendors/review-overdue.yaml",
        "models/unapproved.yaml",
    ] {
        on.control(file);
    }
    // Other stories are told on the same MLflow: each control looks at its own model.
    for (file, alias) in [
        ("secrets-rotation-overdue", "m.alias = 'production'"),
        ("models-unapproved", "alias = 'production'"),
    ] {
        let path = on.path(&format!("controls/{file}.yaml"));
        let text = fs::read_to_string(&path).unwrap();
        let name = alias.replace("alias = 'production'", "name = ");
        let own = format!("{alias} AND {name}'{}'", world.model);
        assert!(text.contains(alias), "{file}");
        fs::write(&path, text.replacen(alias, &own, 1)).unwrap();
    }
    let mlflow = world.mlflow.url.clone();
    settings(&on, &world, store, &mlflow).unwrap();

    // All is well, and nobody hears anything.
    assert!(on.run(&["validate"], None).ends(0).contains("3 controls"));
    on.check("2026-12-01T08:00:00Z").ends(0);
    assert_eq!(standing(&on, &world), Vec::<String>::new());

    // Years later nothing was rotated, the review lapsed, and somebody took the approval away.
    world
        .mlflow
        .untag(&world.model, &world.version, "approved_by")
        .await;
    on.check("2031-06-02T08:00:00Z").ends(0);
    assert_eq!(
        standing(&on, &world),
        [
            "model-unapproved suspect",
            "secret-rotation-overdue suspect",
            "vendor-review-overdue suspect"
        ]
    );
    on.check("2031-06-02T08:06:00Z").ends(1);
    let open = [
        "model-unapproved open",
        "secret-rotation-overdue open",
        "vendor-review-overdue open",
    ];
    assert_eq!(standing(&on, &world), open);
    on.check("2031-06-02T08:08:00Z").ends(1);
    // Alerts; a digest of the day comes at its hour besides.
    let told = |who: &str| {
        let mut mails = mails_to(who).unwrap();
        mails.retain(|m| String::from_utf8_lossy(&m.raw).contains("List-Id: Tripline alerts"));
        mails
    };
    assert_eq!(told(&world.procurement).len(), 1, "one mail for the vendor");
    assert_eq!(told(&world.security).len(), 2, "one for each control");
    let mail = &told(&world.procurement)[0];
    assert!(mail.subject.contains("V-1"), "{}", mail.subject);
    assert!(
        mail.text.contains("Acme") && mail.html.contains("Acme"),
        "{}",
        mail.text
    );

    // It stays as it is for a day, and nobody is told again.
    for at in ["2031-06-02T09:00:00Z", "2031-06-03T08:00:00Z"] {
        on.check(at).ends(1);
    }
    assert_eq!(standing(&on, &world), open);
    assert_eq!(
        (told(&world.procurement).len(), told(&world.security).len()),
        (1, 2)
    );

    // MLflow is down: what stands on it is not checked, and nothing is closed.
    settings(&on, &world, store, "http://127.0.0.1:9").unwrap();
    for at in ["2031-06-03T09:00:00Z", "2031-06-03T09:30:00Z"] {
        on.check(at).ends(3);
    }
    assert_eq!(
        standing(&on, &world),
        [
            "model-unapproved open, not checked",
            "secret-rotation-overdue open, not checked",
            "vendor-review-overdue open"
        ]
    );
    settings(&on, &world, store, &mlflow).unwrap();

    // All three are mended: approved again, reviewed again, and the secret is gone for good.
    world
        .mlflow
        .tag(&world.model, &world.version, "approved_by", "risk-board")
        .await;
    world
        .vendors
        .run("update tripline_vendors set review_due = '2032-06-01' where id = 'V-1'")
        .await;
    let other = unique("nhi/other");
    world
        .moto
        .secret(&other, &[("owner", "platform-security")])
        .await;
    world
        .mlflow
        .tag(&world.model, &world.version, "secret", &other)
        .await;
    let gone = serde_json::json!({ "SecretId": world.secret, "ForceDeleteWithoutRecovery": true });
    world.moto.call("secretsmanager.DeleteSecret", gone).await;
    for day in ["04", "05", "06", "07"] {
        for time in ["08:00", "08:08"] {
            on.check(&format!("2031-06-{day}T{time}:00Z"));
        }
    }
    assert_eq!(
        standing(&on, &world),
        [
            "model-unapproved resolved",
            "secret-rotation-overdue retired",
            "vendor-review-overdue resolved"
        ]
    );
    // What took the secret's place is as old by then, and is found too.
    on.check("2031-06-08T08:00:00Z").ends(1);
    assert_eq!(
        told(&world.procurement).len(),
        2,
        "that it is over is told once"
    );

    proven(&on);
}

/// Every run can be replayed, and the log is what was signed, for us and for somebody who does not trust us.
fn proven(on: &Installation) {
    let runs = on.list(&["runs", "--limit", "500"]);
    assert!(runs.len() > 20, "{}", runs.len());
    for run in runs.iter().step_by(5) {
        let id = run["id"].as_str().unwrap();
        assert!(
            on.run(&["replay", id], None)
                .ends(0)
                .contains("the same outcomes")
        );
    }
    let export = on.intact();
    let finding: &Value = &on.list(&["findings", "--all"])[0];
    let explained = on
        .run(&["explain", finding["id"].as_str().unwrap()], None)
        .ends(0);
    assert!(
        explained.contains("History") && explained.contains("Who was told"),
        "{explained}"
    );
    on.run(&["audit", "prove", finding["id"].as_str().unwrap()], None)
        .ends(0);

    // One leaf is not what it was: both say so.
    let leaves = export.join("leaves.ndjson");
    let text = fs::read_to_string(&leaves).unwrap();
    fs::write(
        &leaves,
        text.replacen("risk-board", "risk-b0ard", 1)
            .replacen("2031", "2032", 1),
    )
    .unwrap();
    let ours = on.run(
        &["audit", "verify", "--export", export.to_str().unwrap()],
        None,
    );
    assert_eq!(ours.code(), Some(4), "{}", ours.out());
    let theirs = Command::new("python3")
        .arg("tools/verify_audit.py")
        .arg(&export)
        .output()
        .unwrap();
    assert_eq!(
        theirs.status.code(),
        Some(1),
        "{}",
        String::from_utf8_lossy(&theirs.stdout)
    );
}

/// R003, R004, R005, R010, R011, R015, R016, R017, R022, R183, R189.
#[tokio::test(flavor = "multi_thread")]
async fn a_deviation_is_found_told_once_and_closed_on_sqlite() {
    let Some(world) = world("eu-north-1").await else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", folder.path().join("story.db").display());
    story(&store, world).await;
}

/// R003, R004, R005, R010, R011, R015, R016, R017, R022, R183, R189.
#[tokio::test(flavor = "multi_thread")]
async fn a_deviation_is_found_told_once_and_closed_on_postgres() {
    let Some(world) = world("eu-south-1").await else {
        return;
    };
    let Some(database) = Database::open().await else {
        return;
    };
    story(&database.url, world).await;
}
