//! AWS, as moto stands in for it: one that lets everybody in, and one that checks signatures and rights.

use std::{collections::BTreeMap, fs, path::PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tripline::{
    connector::Collection,
    model::{outcome::Unknown, snapshot::Completeness},
};

use super::{connector, read, rows, source, told, whole};
use crate::systems::{Moto, required, unique};

fn shipped(name: &str) -> std::sync::Arc<tripline::catalog::connector::Connector> {
    connector(&fs::read_to_string(format!("connectors/{name}.yaml")).unwrap())
}

/// What a shipped connector reads from the moto that lets everybody in.
async fn open(name: &str, moto: &Moto, settings: Value) -> BTreeMap<String, Collection> {
    let folder = tempfile::tempdir().unwrap();
    let secret = secret(&folder, "secret", "any");
    let mut all = json!({ "endpoint": moto.url, "access_key_id": "any", "secret_access_key": { "file": secret } });
    all.as_object_mut()
        .unwrap()
        .extend(settings.as_object().unwrap().clone());
    read(&source(&shipped(name), &all)).await
}

fn secret(folder: &tempfile::TempDir, name: &str, value: &str) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, value).unwrap();
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    path
}

fn by<'r>(rows: &'r [Value], column: &str, value: &str) -> &'r Value {
    rows.iter()
        .find(|r| r[column] == value)
        .unwrap_or_else(|| panic!("no {column} = {value} in {rows:#?}"))
}

/// R011: active secrets with their owner, and R021: one that is being deleted is still seen.
#[tokio::test]
async fn secrets_of_every_region_are_listed_page_after_page() {
    let (Some(here), Some(there)) = (Moto::open("ap-south-1"), Moto::open("ap-south-2")) else {
        return;
    };
    let prefix = unique("nhi");
    for number in 0..120 {
        here.secret(
            &format!("{prefix}/{number:03}"),
            &[("owner", "team-a"), ("environment", "production")],
        )
        .await;
    }
    there.secret(&format!("{prefix}/there"), &[]).await;
    let gone = format!("{prefix}/007");
    here.call(
        "secretsmanager.DeleteSecret",
        json!({ "SecretId": gone, "RecoveryWindowInDays": 7 }),
    )
    .await;

    let read = open(
        "aws-secrets-manager",
        &here,
        json!({ "regions": ["ap-south-1", "ap-south-2"] }),
    )
    .await;
    let secrets = &read["secrets"];
    whole(secrets);
    let all = rows(secrets);
    assert_eq!(
        all.iter()
            .filter(|r| r["name"].as_str().unwrap().starts_with(&prefix))
            .count(),
        121
    );
    assert!(secrets.effort.pages >= 3, "{:?}", secrets.effort);
    let first = by(&all, "name", &format!("{prefix}/000"));
    assert_eq!(
        json!([
            first["owner"],
            first["environment"],
            first["region"],
            first["rotation_enabled"],
            first["last_rotated_at"],
            first["deleted_at"]
        ]),
        json!(["team-a", "production", "ap-south-1", false, null, null])
    );
    assert!(first["created_at"].as_str().unwrap().ends_with('Z'));
    let other = by(&all, "name", &format!("{prefix}/there"));
    assert_eq!(
        json!([other["owner"], other["region"]]),
        json!([null, "ap-south-2"])
    );
    assert!(by(&all, "name", &gone)["deleted_at"].is_string());
    assert!(!secrets.request_ids.is_empty(), "AWS support asks for them");
}

/// R015: a key comes with its owner, its age and its last use.
#[tokio::test]
async fn access_keys_come_with_their_owner_their_age_and_their_last_use() {
    let Some(moto) = Moto::open("us-east-1") else {
        return;
    };
    let (bot, idle) = (unique("bot"), unique("idle"));
    let key = moto.access_key(&bot).await;
    let tag = [
        ("Action", "TagUser"),
        ("UserName", bot.as_str()),
        ("Version", "2010-05-08"),
        ("Tags.member.1.Key", "owner"),
        ("Tags.member.1.Value", "ml-platform"),
    ];
    moto.query("iam", &tag).await;
    let make = [
        ("Action", "CreateUser"),
        ("UserName", idle.as_str()),
        ("Version", "2010-05-08"),
    ];
    moto.query("iam", &make).await;

    let read = open("aws-iam", &moto, json!({})).await;
    for dataset in ["user_list", "users", "access_key_list", "access_keys"] {
        whole(&read[dataset]);
    }
    let users = rows(&read["users"]);
    let user = by(&users, "user_name", &bot);
    assert_eq!(user["owner"], "ml-platform");
    assert_eq!(by(&users, "user_name", &idle)["owner"], Value::Null);
    let keys = rows(&read["access_keys"]);
    let found = by(&keys, "access_key_id", &key);
    assert_eq!(
        json!([
            found["user_name"],
            found["status"],
            found["last_used_service"]
        ]),
        json!([bot, "Active", null])
    );
    // "Older than N days" is a question for a control; what it needs is here, as an instant.
    let since: DateTime<Utc> = found["created_at"].as_str().unwrap().parse().unwrap();
    assert!((Utc::now() - since).abs() < TimeDelta::hours(1), "{since}");
    assert!(!keys.iter().any(|k| k["user_name"] == idle.as_str()));
}

#[tokio::test]
async fn models_come_with_their_approval_and_what_their_card_says() {
    let Some(moto) = Moto::open("eu-south-1") else {
        return;
    };
    let (group, card) = (unique("credit"), unique("card"));
    let arn = moto.model_package(&group, "PendingManualApproval").await;
    let again = json!({ "ModelPackageGroupName": group, "ModelApprovalStatus": "Approved", "CustomerMetadataProperties": { "owner": "risk", "risk_tier": "high" },
        "InferenceSpecification": { "Containers": [{ "Image": "image.example.test/m:2" }], "SupportedContentTypes": ["text/csv"], "SupportedResponseMIMETypes": ["text/csv"] } });
    moto.call("SageMaker.CreateModelPackage", again).await;
    let says = json!({ "model_overview": { "model_name": group, "model_owner": "risk" },
        "intended_uses": { "purpose_of_model": "credit decisions", "risk_rating": "High" } });
    moto.call("SageMaker.CreateModelCard", json!({ "ModelCardName": card, "Content": says.to_string(), "ModelCardStatus": "Approved" })).await;

    let read = open("aws-sagemaker", &moto, json!({ "regions": ["eu-south-1"] })).await;
    for dataset in [
        "model_package_groups",
        "model_package_list",
        "model_packages",
        "model_card_list",
        "model_cards",
    ] {
        whole(&read[dataset]);
    }
    let packages = rows(&read["model_packages"]);
    let pending = by(&packages, "arn", &arn);
    assert_eq!(
        json!([
            pending["group_name"],
            pending["version"],
            pending["approval_status"],
            pending["region"]
        ]),
        json!([group, 1, "PendingManualApproval", "eu-south-1"])
    );
    let approved = packages
        .iter()
        .find(|p| p["group_name"] == group.as_str() && p["version"] == 2)
        .unwrap();
    assert_eq!(
        json!([
            approved["approval_status"],
            approved["owner"],
            approved["risk_tier"],
            approved["images"]
        ]),
        json!(["Approved", "risk", "high", ["image.example.test/m:2"]])
    );
    let cards = rows(&read["model_cards"]);
    let card = by(&cards, "name", &card);
    assert_eq!(
        json!([
            card["status"],
            card["owner"],
            card["purpose"],
            card["risk_rating"]
        ]),
        json!(["Approved", "risk", "credit decisions", "High"])
    );
}

/// Each child that cannot be read is told of; the others are read, and nothing passes as whole.
#[tokio::test]
async fn a_child_that_answers_with_garbage_makes_the_dataset_partial() {
    let Some(moto) = Moto::open("eu-south-2") else {
        return;
    };
    moto.model_package(&unique("credit"), "Approved").await;
    // moto answers ListTags for a package with an HTML page and 500.
    let text = fs::read_to_string("connectors/aws-sagemaker.yaml").unwrap();
    let text = text
        .replace(
            "each: { of: model_package_groups, as: g }",
            "each: { of: model_package_list, as: g }",
        )
        .replace("from: g.name", "from: g.region")
        .replace(
            "rate: { per_second: 5, concurrency: 4 }",
            "retry: { attempts: 1 }",
        );
    let folder = tempfile::tempdir().unwrap();
    let settings = json!({ "endpoint": moto.url, "access_key_id": "any", "secret_access_key": { "file": secret(&folder, "s", "any") }, "regions": ["eu-south-2"] });
    let read = read(&source(&connector(&text), &settings)).await;
    let tags = &read["model_package_group_tags"];
    assert_ne!(tags.status, Completeness::Complete);
    let told = told(tags);
    assert!(
        told.contains("sagemaker.ListTags in eu-south-2 answered 500"),
        "{told}"
    );
}

/// The moto that checks signatures and rights, and the keys that it knows.
struct Guarded {
    url: String,
    keys: PathBuf,
    folder: tempfile::TempDir,
}

impl Guarded {
    fn open() -> Option<Self> {
        Some(Self {
            url: required("TRIPLINE_TEST_MOTO_AUTH_URL")?,
            keys: required("TRIPLINE_TEST_MOTO_AUTH_KEYS")?.into(),
            folder: tempfile::tempdir().unwrap(),
        })
    }

    fn known(&self, file: &str) -> String {
        fs::read_to_string(self.keys.join(file)).unwrap()
    }

    /// Reads with a key; `more` is merged into the settings.
    async fn read(
        &self,
        name: &str,
        key: (&str, &str),
        more: Value,
    ) -> BTreeMap<String, Collection> {
        let path = secret(&self.folder, "key", key.1);
        let mut all = json!({ "endpoint": self.url, "access_key_id": key.0, "secret_access_key": { "file": path } });
        all.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        read(&source(&shipped(name), &all)).await
    }

    /// What comes of the secrets.
    async fn secrets(&self, key: (&str, &str), more: Value) -> Collection {
        let mut settings = json!({ "regions": ["eu-west-1"] });
        settings
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        self.read("aws-secrets-manager", key, settings)
            .await
            .remove("secrets")
            .unwrap()
    }
}

#[tokio::test]
async fn a_right_signature_is_taken_and_a_wrong_one_is_told_as_refused() {
    let Some(guarded) = Guarded::open() else {
        return;
    };
    let (id, value) = (guarded.known("reader.id"), guarded.known("reader.secret"));
    let read = guarded.secrets((&id, &value), json!({})).await;
    whole(&read);
    assert_eq!(
        read.identity.as_deref(),
        Some("arn:aws:iam::123456789012:user/reader")
    );
    // A body that is a form, signed as well, and answers in XML.
    let users = guarded.read("aws-iam", (&id, &value), json!({})).await;
    whole(&users["users"]);
    whole(&users["access_keys"]);

    let wrong = format!("{}x", &value[1..]);
    let read = guarded.secrets((&id, &wrong), json!({})).await;
    assert_eq!(
        (read.status, read.unknown),
        (Completeness::Failed, Some(Unknown::Auth))
    );
    let told = told(&read);
    assert!(told.contains("SignatureDoesNotMatch"), "{told}");
    assert!(!told.contains(&wrong) && !told.contains(&value), "{told}");
    let read = guarded.secrets(("unknown", "key"), json!({})).await;
    assert_eq!(
        (read.status, read.unknown),
        (Completeness::Failed, Some(Unknown::Auth)),
        "{}",
        super::told(&read)
    );
}

#[tokio::test]
async fn a_missing_right_fails_and_never_looks_empty() {
    let Some(guarded) = Guarded::open() else {
        return;
    };
    // The reader may see metadata, and no parameter.
    let text = "
id: parameters
settings:
  endpoint: { type: url }
  access_key_id: text
  secret_access_key: secret
aws:
  regions: [eu-west-1]
  endpoint: ${endpoint}
  credentials: { keys: { access_key_id: \"${access_key_id}\", secret_access_key: \"${secret_access_key}\" } }
datasets:
  parameters:
    call: ssm.DescribeParameters
    rows: { at: Parameters }
    key: [name]
    columns: { name: { type: text, path: Name } }
"
    .replace("access_key_id: text", "access_key_id: { type: text }")
    .replace("secret_access_key: secret", "secret_access_key: { type: secret }");
    let settings = json!({ "endpoint": guarded.url, "access_key_id": guarded.known("reader.id"),
        "secret_access_key": { "file": secret(&guarded.folder, "key", &guarded.known("reader.secret")) } });
    let read = super::only(&source(&connector(&text), &settings)).await;
    assert_eq!(
        (read.status, read.unknown),
        (Completeness::Failed, Some(Unknown::Auth))
    );
    let told = told(&read);
    assert!(
        told.contains("ssm.DescribeParameters in eu-west-1") && told.contains("AccessDenied"),
        "{told}"
    );
}

#[tokio::test]
async fn a_role_is_taken_and_its_keys_are_used() {
    let Some(guarded) = Guarded::open() else {
        return;
    };
    let (id, value) = (guarded.known("reader.id"), guarded.known("reader.secret"));
    let role = guarded.known("role.arn");
    let read = guarded
        .secrets((&id, &value), json!({ "role": role, "external_id": "x" }))
        .await;
    whole(&read);
    assert_eq!(
        read.identity.as_deref(),
        Some("arn:aws:sts::123456789012:assumed-role/reader")
    );
    let read = guarded
        .secrets((&id, &format!("{}x", &value[1..])), json!({ "role": role }))
        .await;
    assert_eq!(
        (read.status, read.unknown),
        (Completeness::Failed, Some(Unknown::Auth))
    );
    assert!(told(&read).contains("sts.AssumeRole"), "{}", told(&read));
}

#[tokio::test]
async fn a_network_without_aws_is_told_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let settings = json!({ "endpoint": "http://127.0.0.1:1", "access_key_id": "any", "regions": ["eu-west-1"],
        "secret_access_key": { "file": secret(&folder, "s", "any") } });
    let text = fs::read_to_string("connectors/aws-secrets-manager.yaml").unwrap();
    let text = text.replace(
        "rate: { per_second: 10, concurrency: 4 }",
        "retry: { attempts: 1 }",
    );
    let read = super::only(&source(&connector(&text), &settings)).await;
    assert_eq!(read.status, Completeness::Failed);
    assert!(
        told(&read).contains("secretsmanager.ListSecrets in eu-west-1"),
        "{}",
        told(&read)
    );
}
