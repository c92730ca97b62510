//! A team asks to keep a secret past its ninety days: from an incomplete request to a verified end, on real systems.

use std::fs;

use serde_json::Value;

use super::{Installation, Ran};
use crate::systems::{Database, Mlflow, Moto, certificate, mails_to, required, unique};

/// The systems and people of the story.
struct World {
    mlflow: Mlflow,
    moto: Moto,
    gateway: Database,
    model: String,
    secret: String,
    /// Ends every address, so that nobody else's mail is counted.
    domain: String,
}

async fn world(region: &str) -> Option<World> {
    let mlflow = Mlflow::open()?;
    let moto = Moto::open(region)?;
    let mut gateway = Database::open().await?;
    let (model, secret) = (unique("scorer"), unique("nhi/scorer"));
    mlflow.model(&model, &[("owner", "scoring")]).await;
    let version = mlflow.version(&model, &[("secret", secret.as_str())]).await;
    mlflow.alias(&model, "production", &version).await;
    moto.secret(&secret, &[("owner", "platform-security")])
        .await;
    gateway
        .run("create table gateway_usage (secret text primary key, calls_today bigint)")
        .await;
    gateway
        .run(&format!(
            "insert into gateway_usage values ('{secret}', 120), ('other', 1)"
        ))
        .await;
    Some(World {
        mlflow,
        moto,
        gateway,
        model,
        secret,
        domain: unique("x") + ".example.test",
    })
}

fn settings(on: &Installation, world: &World, store: &str) -> Option<()> {
    let smtp = required("TRIPLINE_TEST_SMTP")?;
    let (host, port) = smtp.split_once(':').unwrap();
    let user = required("TRIPLINE_TEST_SMTP_USER")?;
    let password = on.secret("smtp", &required("TRIPLINE_TEST_SMTP_PASSWORD")?);
    let key = on.secret("aws", "any");
    let gateway = on.secret("gateway", &world.gateway.url);
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
  mlflow: {{ connector: mlflow, owner: platform-security, refresh: 5m, settings: {{ url: "{mlflow}" }} }}
  aws:
    connector: aws-secrets-manager
    owner: platform-security
    refresh: 5m
    settings: {{ regions: [{region}], endpoint: "{moto}", access_key_id: any, secret_access_key: {{ file: "{key}" }} }}
  gateway: {{ connector: gateway, owner: platform-security, refresh: 5m, settings: {{ database: {{ file: "{gateway}" }} }} }}
teams:
  - {{ id: platform-security, email: platform-security@{domain} }}
  - {{ id: scoring, email: scoring@{domain} }}
  - {{ id: risk, email: risk@{domain} }}
  - {{ id: ai-governance, email: ai-governance@{domain} }}
people:
  - {{ id: eve, name: Eve, email: eve@{domain}, team: scoring, roles: [security-lead] }}
  - {{ id: olaf, name: Olaf, email: olaf@{domain}, team: scoring, roles: [control-owner] }}
  - {{ id: sam, name: Sam, email: sam@{domain}, team: platform-security, roles: [security-lead] }}
  - {{ id: pia, name: Pia, email: pia@{domain}, team: platform-security, roles: [security-lead] }}
  - {{ id: tess, name: Tess, email: tess@{domain}, team: risk, roles: [security-lead, control-owner] }}
  - {{ id: lee, name: Lee, email: lee@{domain}, team: ai-governance, roles: [policy-lead] }}
channels:
  mail:
    smtp: {{ host: {host}, port: {port}, from: tripline@example.test, username: {user}, password: {{ file: "{password}" }}, ca_file: "{ca}" }}
routes:
  - {{ when: "kind = 'finding'", to: [owner], as: alert, resolved: alert }}
rehearsal: true
audit: {{ origin: example.test/story, key: {{ file: audit.key }} }}
"#,
            store = store.display(),
            mlflow = world.mlflow.url,
            region = world.moto.region,
            moto = world.moto.url,
            key = key.display(),
            gateway = gateway.display(),
            domain = world.domain,
            password = password.display(),
            ca = ca.display(),
        ),
    );
    Some(())
}

/// The register as people use it.
struct Desk<'a> {
    on: &'a Installation,
    world: &'a World,
}

impl Desk<'_> {
    /// Does something as somebody, at an instant.
    fn does(&self, who: &str, at: &str, words: &[&str]) -> Ran {
        let token = self.on.path(&format!("{who}.token"));
        if !token.exists() {
            let made = self.on.run(
                &[
                    "token",
                    "create",
                    who,
                    "--for",
                    "300d",
                    "--as-of",
                    "2031-06-01T00:00:00Z",
                ],
                None,
            );
            fs::write(&token, made.ends(0)).unwrap();
        }
        let place = |w: &&str| match w.strip_suffix(".yaml") {
            Some(_) => self.on.path(w).display().to_string(),
            None => (*w).to_owned(),
        };
        let words: Vec<String> = words.iter().map(place).collect();
        let mut all = vec!["exception"];
        all.extend(words.iter().map(String::as_str));
        all.extend(["--as-of", at]);
        self.on
            .run_with(&all, &[("TRIPLINE_TOKEN_FILE", token.to_str().unwrap())])
    }

    /// Looks at a package, and gives its digest.
    fn sees(&self, who: &str, at: &str, id: &str) -> (String, Value) {
        let said = self
            .does(who, at, &["package", id, "--format", "json"])
            .ends(0);
        let package: Value = serde_json::from_str(&said).unwrap();
        let digest = package["digest"].as_str().unwrap().to_owned();
        (digest, package["package"].clone())
    }

    /// Looks at what there is to know, and agrees.
    fn approves(&self, who: &str, at: &str, id: &str) -> Ran {
        let (digest, _) = self.sees(who, at, id);
        self.does(who, at, &["approve", id, "--package", &digest[..12]])
    }

    fn stands(&self, id: &str, at: &str) -> String {
        let said = self
            .on
            .run(
                &["exception", "show", id, "--as-of", at, "--format", "json"],
                None,
            )
            .ends(0);
        let record: Value = serde_json::from_str(&said).unwrap();
        record["stands"].as_str().unwrap().to_owned()
    }

    /// The mails to somebody whose subject or text has these words.
    fn told(&self, who: &str, words: &str) -> usize {
        let address = format!("{who}@{}", self.world.domain);
        let mut mails = mails_to(&address).unwrap();
        mails.retain(|m| {
            let alert = String::from_utf8_lossy(&m.raw).contains("List-Id: Tripline alerts");
            alert && (m.subject.contains(words) || m.text.contains(words))
        });
        mails.len()
    }

    /// Silent and open findings on the secret.
    fn findings(&self) -> (usize, usize) {
        let all = self.on.list(&["findings"]);
        let mine = all
            .iter()
            .filter(|f| f["subject"].as_str().unwrap().contains(&self.world.secret));
        let (covered, open): (Vec<&Value>, Vec<&Value>) =
            mine.partition(|f| !f["covered_by"].is_null());
        (covered.len(), open.len())
    }
}

fn request(on: &Installation, world: &World) {
    let text = include_str!("../../cases/exception/company/request.yaml");
    let subject = format!("aws/secret/{}", world.secret);
    on.write("request.yaml", &text.replace("SUBJECT", &subject));
    let vague: String = text
        .replace("SUBJECT", &subject)
        .lines()
        .filter(|l| {
            !l.starts_with("conditions") && !l.contains("mitigation") && !l.starts_with("owner")
        })
        .map(|l| match l.split_once(": ") {
            Some(("business_purpose", _)) => "business_purpose: business urgency\n".to_owned(),
            _ => format!("{l}\n"),
        })
        .collect();
    on.write("vague.yaml", &vague);
}

async fn story(store: &str, mut world: World) {
    let on = Installation::new();
    on.control("secrets/rotation-overdue.yaml");
    on.write(
        "policies/nhi-credentials.yaml",
        include_str!("../../cases/exception/company/policy.yaml"),
    );
    on.write(
        "connectors/gateway.yaml",
        include_str!("../../cases/exception/company/gateway.yaml"),
    );
    let path = on.path("controls/secrets-rotation-overdue.yaml");
    let text = fs::read_to_string(&path).unwrap();
    let own = format!("m.name = '{}'", world.model);
    fs::write(
        &path,
        text.replacen(
            "m.alias = 'production'",
            &format!("m.alias = 'production' AND {own}"),
            1,
        ),
    )
    .unwrap();
    settings(&on, &world, store).unwrap();
    request(&on, &world);
    assert!(on.run(&["validate"], None).ends(0).contains("1 control"));

    // The secret is older than its policy allows, and its owner hears of it.
    on.check("2031-06-02T08:00:00Z").ends(0);
    on.check("2031-06-02T08:06:00Z").ends(1);
    on.check("2031-06-02T08:08:00Z").ends(1);
    let desk = Desk {
        on: &on,
        world: &world,
    };
    assert_eq!(
        (desk.findings(), desk.told("platform-security", "[HIGH]")),
        ((0, 1), 1)
    );

    // R058, R059, R047: a request that says nothing comes back with everything that it lacks, before anybody looks at it.
    let back = desk.does("eve", "2031-06-02T09:00:00Z", &["submit", "vague.yaml"]);
    let said = back.ends(1);
    for lack in ["owner", "business urgency", "conditions", "needs info"] {
        assert!(said.contains(lack), "{lack}: {said}");
    }
    // Nobody acts without a token, and nobody hands in what another asks for.
    let nobody = on.run(&["exception", "queue"], None);
    assert!(
        nobody.code() == Some(2) && nobody.err().contains("TRIPLINE_TOKEN_FILE"),
        "{}",
        nobody.err()
    );
    let other = desk.does("sam", "2031-06-02T09:00:30Z", &["submit", "request.yaml"]);
    assert!(other.err().contains("not_requester"), "{}", other.err());

    // R060, R084: complete, it goes to two people of two teams.
    let id = "EXC-2031-0001";
    let handed = desk.does(
        "eve",
        "2031-06-02T09:05:00Z",
        &["submit", "request.yaml", "--again", id],
    );
    let said = handed.ends(0);
    assert!(
        said.contains("tier      high")
            && said.contains("2 signatures of security-lead of different teams"),
        "{said}"
    );
    on.check("2031-06-02T09:10:00Z").ends(1);
    for (who, mails) in [("sam", 1), ("pia", 1), ("tess", 1), ("eve", 0), ("olaf", 0)] {
        assert_eq!(desk.told(who, "waits for a decision"), mails, "{who}");
    }
    assert_eq!(desk.told("eve", "was sent back"), 1);

    // R102 to R109: everything in one view.
    let (_, package) = desk.sees("sam", "2031-06-02T09:20:00Z", id);
    let deviation = &package["deviations"][0];
    assert_eq!(
        deviation["would_cover"],
        serde_json::json!({ "Ok": null }),
        "{package}"
    );
    assert!(
        deviation["crossed"]
            .as_str()
            .unwrap()
            .contains("rotate_within = 90d"),
        "{deviation}"
    );
    assert!(
        package["policy"]["text"]
            .as_str()
            .unwrap()
            .contains("every 90 days")
    );
    assert_eq!(
        package["conditions"]["usage-cap"]["standing"], "holds",
        "{package}"
    );
    assert!(package["options"]["grants"].as_bool().unwrap());
    let terms = &package["terms"];
    assert_eq!(terms["facets"]["data_sensitivity"], "confidential");
    assert_eq!(terms["evidence"][0]["kind"], "vendor_doc");
    assert_eq!(terms["monitors"], serde_json::json!(["olaf"]));

    // Whoever asks does not approve; neither does whoever answers for it; two of one team are one.
    let own = desk.approves("eve", "2031-06-02T09:30:00Z", id);
    assert!(own.err().contains("is_requester"), "{}", own.err());
    desk.approves("sam", "2031-06-02T09:31:00Z", id).ends(0);
    let twice = desk.approves("sam", "2031-06-02T09:32:00Z", id);
    assert!(twice.err().contains("already_signed"), "{}", twice.err());
    let same = desk.approves("pia", "2031-06-02T09:33:00Z", id);
    assert!(same.err().contains("same_team"), "{}", same.err());
    let (_, package) = desk.sees("tess", "2031-06-02T09:33:30Z", id);
    assert_eq!(
        package["said"][0]["approver"], "sam",
        "what others said so far"
    );
    let unseen = desk.does(
        "tess",
        "2031-06-02T09:34:00Z",
        &["approve", id, "--package", "0123456789ab"],
    );
    assert!(unseen.err().contains("unknown_package"), "{}", unseen.err());
    assert_eq!(desk.findings(), (0, 1), "half an approval covers nothing");
    let done = desk.approves("tess", "2031-06-02T09:35:00Z", id).ends(0);
    assert!(done.contains("active until 2031-07-05"), "{done}");

    // It falls silent, and is still counted.
    on.check("2031-06-02T09:45:00Z").ends(0);
    assert_eq!(desk.findings(), (1, 0));
    assert_eq!(
        desk.told("platform-security", "[HIGH]"),
        1,
        "nobody is told again"
    );
    for who in ["eve", "olaf", "scoring"] {
        assert_eq!(desk.told(who, "is approved until"), 1, "{who}");
    }

    // R132, R134: the model behind it gets a new version, and the next run says so, naming the column.
    let version = world
        .mlflow
        .version(&world.model, &[("secret", world.secret.as_str())])
        .await;
    world
        .mlflow
        .alias(&world.model, "production", &version)
        .await;
    on.check("2031-06-03T08:00:00Z").ends(1);
    on.check("2031-06-03T08:02:00Z").ends(1);
    assert_eq!(desk.findings(), (0, 1));
    assert_eq!(desk.stands(id, "2031-06-03T08:03:00Z"), "suspended");
    assert_eq!(
        desk.told(
            "platform-security",
            "`version` is not what it was when it was approved"
        ),
        1
    );
    assert_eq!(desk.told("olaf", "is suspended"), 1);

    // Looked at again as it is now, by as many as it took at first, it goes on as a new revision.
    let own = desk.approves("eve", "2031-06-03T09:00:00Z", id);
    assert!(own.err().contains("is_requester"), "{}", own.err());
    desk.approves("tess", "2031-06-03T09:05:00Z", id).ends(0);
    assert_eq!(
        desk.stands(id, "2031-06-03T09:05:30Z"),
        "suspended",
        "one of two is not two"
    );
    desk.approves("sam", "2031-06-03T09:06:00Z", id).ends(0);
    on.check("2031-06-03T09:15:00Z").ends(0);
    assert_eq!(desk.findings(), (1, 0));

    // R120, R124: the condition is looked at in practice; when it does not hold, the cover is gone at once.
    let over = format!(
        "update gateway_usage set calls_today = 2001 where secret = '{}'",
        world.secret
    );
    world.gateway.run(&over).await;
    let desk = Desk {
        on: &on,
        world: &world,
    };
    on.check("2031-06-04T08:00:00Z").ends(1);
    on.check("2031-06-04T08:02:00Z").ends(1);
    assert_eq!(desk.findings(), (0, 1));
    assert_eq!(desk.told("olaf", "calls_today = 2001"), 1);
    let under = format!(
        "update gateway_usage set calls_today = 2000 where secret = '{}'",
        world.secret
    );
    world.gateway.run(&under).await;
    let desk = Desk {
        on: &on,
        world: &world,
    };
    desk.approves("sam", "2031-06-04T09:00:00Z", id).ends(0);
    desk.approves("tess", "2031-06-04T09:01:00Z", id).ends(0);
    on.check("2031-06-04T09:15:00Z").ends(0);
    assert_eq!(desk.findings(), (1, 0));

    // Nobody wrote digests on the fourteenth and seventh day before its end; the next one makes up for them.
    on.check("2031-06-20T08:30:00Z").ends(0);
    on.check("2031-06-29T08:30:00Z").ends(0);
    let digests = mails_to(&format!("olaf@{}", desk.world.domain)).unwrap();
    let announced = digests.iter().filter(|m| m.text.contains("ENDS SOON"));
    assert!(
        announced.count() >= 1,
        "{:?}",
        digests.iter().map(|m| &m.subject).collect::<Vec<_>>()
    );

    // R130, R172: it ends while nobody is there, and the first pass afterwards tells.
    on.check("2031-07-06T08:00:00Z").ends(1);
    on.check("2031-07-06T08:02:00Z").ends(1);
    assert_eq!(desk.findings(), (0, 1));
    assert_eq!(desk.stands(id, "2031-07-06T08:03:00Z"), "expired");
    assert_eq!(
        desk.told("platform-security", &format!("{id}: it is expired"))
            + desk.told("platform-security", &format!("{id} is expired")),
        1
    );
    let late = desk.approves("sam", "2031-07-06T09:00:00Z", id);
    assert!(late.err().contains("not_pending"), "{}", late.err());

    // R136: whoever leads the policy looks back at it.
    let early = desk.does(
        "sam",
        "2031-07-07T09:00:00Z",
        &[
            "close",
            id,
            "--outcome",
            "remediated",
            "--because",
            "rotated",
        ],
    );
    assert!(early.err().contains("not_yours"), "{}", early.err());
    desk.does(
        "lee",
        "2031-07-07T09:00:00Z",
        &[
            "close",
            id,
            "--outcome",
            "remediated",
            "--because",
            "The key was rotated.",
        ],
    )
    .ends(0);
    assert_eq!(desk.stands(id, "2031-07-07T09:01:00Z"), "closed");

    // The pass signs the log.
    on.check("2031-07-07T09:10:00Z").ends(1);
    proven(&on);
}

/// The log is whole for both verifiers.
fn proven(on: &Installation) {
    let export = on.intact();
    let leaves = fs::read_to_string(export.join("leaves.ndjson")).unwrap();
    let leaves = leaves.replace(r#"\""#, "\"");
    for part in [
        r#""policy_version":2"#,
        r#""routes":["high"]"#,
        r#""role":"security-lead""#,
    ] {
        assert!(leaves.contains(part), "{part}");
    }
    for act in [
        "submit",
        "send_back",
        "sign",
        "approve",
        "activate",
        "suspend",
        "restore",
        "expire",
        "close",
    ] {
        assert!(leaves.contains(&format!("\"act\":\"{act}\"")), "{act}");
    }
}

/// R024, R027, R036, R037, R039, R041, R052, R058, R059, R060, R074, R084, R092, R095, R102, R104, R105, R106,
/// R108, R109, R110, R112, R115, R116, R118, R119, R120, R124, R127, R130, R131, R132, R136, R141, R143, R144,
/// R146, R148, R149, R166, R168, R172, R173, R181, R188, R213.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_kept_past_its_time_by_two_people_of_two_teams_on_sqlite() {
    let Some(world) = world("eu-central-1").await else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", folder.path().join("story.db").display());
    story(&store, world).await;
}

/// R027, R036, R037, R039, R041, R052, R058, R059, R060, R074, R084, R095, R102, R104, R105, R106, R108, R109,
/// R110, R112, R115, R116, R118, R119, R120, R124, R127, R130, R131, R132, R136, R141, R143, R144, R146, R148,
/// R166, R168, R172, R181, R188, R213: The same on the other store.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_kept_past_its_time_by_two_people_of_two_teams_on_postgres() {
    let Some(world) = world("eu-west-2").await else {
        return;
    };
    let Some(database) = Database::open().await else {
        return;
    };
    story(&database.url, world).await;
}
