//! The real systems that `tools/systems/up` starts: how to reach, fill and read them.
//!
//! Invariant: a test that needs a system says so through [`required`]; where the systems must be there
//! (`TRIPLINE_TEST_REQUIRE=1`, as `scripts/test` sets it) a missing one is a failure, never a skip.
//! Systems are shared by all tests of a run, so each test makes its own names with [`unique`].

use std::{
    env, fs,
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use mail_parser::MessageParser;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

/// What `tools/systems/up` exports. `None` means: print why and return.
pub(crate) fn required(name: &str) -> Option<String> {
    if let Some(value) = env::var(name).ok().filter(|v| !v.is_empty()) {
        return Some(value);
    }
    let test = std::thread::current().name().unwrap_or("test").to_owned();
    assert!(
        env::var("TRIPLINE_TEST_REQUIRE").as_deref() != Ok("1"),
        "{test}: {name} is not set, and the real systems are required here"
    );
    println!("SKIPPED: {test}, because {name} is not set (tools/systems/up prints it)");
    None
}

/// A file of the test certificates, for example `ca.crt`.
pub(crate) fn certificate(file: &str) -> Option<PathBuf> {
    required("TRIPLINE_TEST_TLS").map(|dir| PathBuf::from(dir).join(file))
}

/// A name that no other test of this run and no earlier run bears.
pub(crate) fn unique(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let run = uuid::Uuid::new_v4().simple().to_string();
    format!("{prefix}-{}{n}", &run[..8])
}

fn http() -> reqwest::Client {
    // Another test may have installed it first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .timeout(Duration::from_mins(1))
        .build()
        .unwrap()
}

/// An MLflow tracking server.
pub(crate) struct Mlflow {
    pub(crate) url: String,
    http: reqwest::Client,
    login: Option<(String, String)>,
}

impl Mlflow {
    /// The one that lets everybody in.
    pub(crate) fn open() -> Option<Self> {
        let url = required("TRIPLINE_TEST_MLFLOW_URL")?;
        let http = http();
        let login = None;
        Some(Self { url, http, login })
    }

    /// The one with logins, as its administrator; its user `reader` has the same password and no rights.
    pub(crate) fn with_logins() -> Option<Self> {
        let url = required("TRIPLINE_TEST_MLFLOW_AUTH_URL")?;
        let password = required("TRIPLINE_TEST_MLFLOW_AUTH_PASSWORD")?;
        Some(Self {
            url,
            http: http(),
            login: Some(("admin".to_owned(), password)),
        })
    }

    /// One call below `/api/2.0/mlflow/`; the answer, which must be a success.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Value) -> Value {
        let url = format!("{}/api/2.0/mlflow/{path}", self.url);
        let mut request = self.http.request(method.parse().unwrap(), url).json(&body);
        if let Some((user, password)) = &self.login {
            request = request.basic_auth(user, Some(password));
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(
            status.is_success(),
            "MLflow {method} {path}: {status} {text}"
        );
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// Registers a model.
    pub(crate) async fn model(&self, name: &str, tags: &[(&str, &str)]) {
        let body = json!({ "name": name, "tags": pairs(tags) });
        self.call("POST", "registered-models/create", body).await;
    }

    /// Adds a version to a model and returns its number.
    pub(crate) async fn version(&self, model: &str, tags: &[(&str, &str)]) -> String {
        let body =
            json!({ "name": model, "source": "s3://models.example.test/m", "tags": pairs(tags) });
        let made = self.call("POST", "model-versions/create", body).await;
        made["model_version"]["version"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Points an alias at a version.
    pub(crate) async fn alias(&self, model: &str, alias: &str, version: &str) {
        let body = json!({ "name": model, "alias": alias, "version": version });
        self.call("POST", "registered-models/alias", body).await;
    }

    /// Sets a tag of a version.
    pub(crate) async fn tag(&self, model: &str, version: &str, key: &str, value: &str) {
        let body = json!({ "name": model, "version": version, "key": key, "value": value });
        self.call("POST", "model-versions/set-tag", body).await;
    }

    /// Takes a tag off a version.
    pub(crate) async fn untag(&self, model: &str, version: &str, key: &str) {
        let body = json!({ "name": model, "version": version, "key": key });
        self.call("DELETE", "model-versions/delete-tag", body).await;
    }

    /// Deletes a model with all its versions.
    pub(crate) async fn delete(&self, model: &str) {
        let body = json!({ "name": model });
        self.call("DELETE", "registered-models/delete", body).await;
    }
}

fn pairs(tags: &[(&str, &str)]) -> Value {
    tags.iter()
        .map(|(key, value)| json!({ "key": key, "value": value }))
        .collect()
}

/// moto, the stand-in for AWS that lets everybody in. Each region is a world of its own, which keeps tests apart.
pub(crate) struct Moto {
    pub(crate) url: String,
    pub(crate) region: String,
    http: reqwest::Client,
}

impl Moto {
    /// The server, seen from one region.
    pub(crate) fn open(region: &str) -> Option<Self> {
        let url = required("TRIPLINE_TEST_MOTO_URL")?;
        Some(Self {
            url,
            region: region.to_owned(),
            http: http(),
        })
    }

    /// Names service and region the way a signature does; nobody checks it.
    fn scope(&self, service: &str) -> String {
        let region = &self.region;
        format!(
            "AWS4-HMAC-SHA256 Credential=test/20260101/{region}/{service}/aws4_request, SignedHeaders=host, Signature=0"
        )
    }

    /// One call of a JSON service, for example `secretsmanager.CreateSecret`; the answer, which must be a success.
    pub(crate) async fn call(&self, target: &str, body: Value) -> Value {
        let service = target.split('.').next().unwrap().to_lowercase();
        let answer = self
            .http
            .post(&self.url)
            .header("x-amz-target", target)
            .header("authorization", self.scope(&service))
            .header("content-type", "application/x-amz-json-1.1")
            .body(body.to_string())
            .send()
            .await
            .unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{target}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// One call of a query service such as IAM; the answer's XML.
    pub(crate) async fn query(&self, service: &str, parameters: &[(&str, &str)]) -> String {
        let answer = self
            .http
            .post(&self.url)
            .header("authorization", self.scope(service))
            .form(parameters)
            .send()
            .await
            .unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(
            status.is_success(),
            "{service} {parameters:?}: {status} {text}"
        );
        text
    }

    /// Creates a bucket.
    pub(crate) async fn bucket(&self, name: &str) {
        let answer = self
            .http
            .put(format!("{}/{name}", self.url))
            .header("authorization", self.scope("s3"))
            .send()
            .await
            .unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
    }

    /// Creates a secret with tags; its value is made up here and of no use.
    pub(crate) async fn secret(&self, name: &str, tags: &[(&str, &str)]) {
        let tags: Value = tags
            .iter()
            .map(|(key, value)| json!({ "Key": key, "Value": value }))
            .collect();
        let body = json!({ "Name": name, "SecretString": unique("value"), "Tags": tags,
            "ClientRequestToken": uuid::Uuid::new_v4().to_string() });
        self.call("secretsmanager.CreateSecret", body).await;
    }

    /// Creates an IAM user with one access key and returns the key's id.
    pub(crate) async fn access_key(&self, user: &str) -> String {
        let version = ("Version", "2010-05-08");
        let create = [("Action", "CreateUser"), ("UserName", user), version];
        self.query("iam", &create).await;
        let create = [("Action", "CreateAccessKey"), ("UserName", user), version];
        let xml = self.query("iam", &create).await;
        let (_, rest) = xml.split_once("<AccessKeyId>").unwrap();
        rest.split_once("</AccessKeyId>").unwrap().0.to_owned()
    }

    /// Creates a model package group with one package and returns the package's ARN.
    pub(crate) async fn model_package(&self, group: &str, approval: &str) -> String {
        let make = json!({ "ModelPackageGroupName": group });
        self.call("SageMaker.CreateModelPackageGroup", make).await;
        let make = json!({ "ModelPackageGroupName": group, "ModelApprovalStatus": approval,
            "InferenceSpecification": { "Containers": [{ "Image": "image.example.test/m:1" }],
                "SupportedContentTypes": ["text/csv"], "SupportedResponseMIMETypes": ["text/csv"] } });
        let package = self.call("SageMaker.CreateModelPackage", make).await;
        package["ModelPackageArn"].as_str().unwrap().to_owned()
    }
}

/// A schema of its own in the real PostgreSQL: the address that leads into it, and a connection.
pub(crate) struct Database {
    pub(crate) url: String,
    pub(crate) connection: PgConnection,
}

impl Database {
    /// Makes the schema; its tables need no prefix.
    pub(crate) async fn open() -> Option<Self> {
        let base = required("TRIPLINE_TEST_DATABASE_URL")?;
        let schema = unique("t").replace('-', "_");
        let mut connection = PgConnection::connect(&base).await.unwrap();
        let make = AssertSqlSafe(format!("CREATE SCHEMA {schema}"));
        sqlx::query(make).execute(&mut connection).await.unwrap();
        let url = format!("{base}?options=-c%20search_path%3D{schema}");
        let connection = PgConnection::connect(&url).await.unwrap();
        Some(Self { url, connection })
    }

    /// Runs one statement.
    pub(crate) async fn run(&mut self, sql: &str) {
        let statement = AssertSqlSafe(sql.to_owned());
        sqlx::query(statement)
            .execute(&mut self.connection)
            .await
            .unwrap();
    }
}

/// A message that the SMTP server took.
pub(crate) struct Mail {
    /// The recipients of the envelope.
    pub(crate) to: Vec<String>,
    pub(crate) subject: String,
    pub(crate) message_id: String,
    pub(crate) text: String,
    pub(crate) html: String,
    /// Every byte of it.
    pub(crate) raw: Vec<u8>,
}

/// The messages for one address so far, oldest first. Tests use addresses of their own: `unique("ada") + "@example.test"`.
pub(crate) fn mails_to(address: &str) -> Option<Vec<Mail>> {
    let dir = required("TRIPLINE_TEST_SMTP_OUT")?;
    let mut files: Vec<PathBuf> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "eml"))
        .collect();
    files.sort();
    let mails = files.iter().map(mail);
    Some(
        mails
            .filter(|m| m.to.iter().any(|to| to == address))
            .collect(),
    )
}

fn mail(file: &PathBuf) -> Mail {
    let raw = fs::read(file).unwrap();
    let envelope = fs::read_to_string(file.with_extension("json")).unwrap();
    let envelope: Value = serde_json::from_str(&envelope).unwrap();
    let to = envelope["to"].as_array().unwrap().iter();
    let message = MessageParser::default().parse(&raw).unwrap();
    let body = |text: Option<std::borrow::Cow<'_, str>>| text.unwrap_or_default().into_owned();
    Mail {
        to: to.map(|to| to.as_str().unwrap().to_owned()).collect(),
        subject: message.subject().unwrap_or_default().to_owned(),
        message_id: message.message_id().unwrap_or_default().to_owned(),
        text: body(message.body_text(0)),
        html: body(message.body_html(0)),
        raw,
    }
}

#[tokio::test]
async fn an_mlflow_can_be_filled() {
    for mlflow in [Mlflow::open(), Mlflow::with_logins()] {
        let Some(mlflow) = mlflow else { return };
        let model = unique("model");
        mlflow.model(&model, &[("owner", "team-a")]).await;
        let version = mlflow.version(&model, &[("validated", "true")]).await;
        mlflow.alias(&model, "production", &version).await;
        mlflow.tag(&model, &version, "secret", "a").await;
        let path = format!("registered-models/get?name={model}");
        let got = mlflow.call("GET", &path, json!({})).await;
        assert_eq!(got["registered_model"]["aliases"][0]["version"], "1");
        assert_eq!(got["registered_model"]["tags"][0]["value"], "team-a");
        mlflow.untag(&model, &version, "secret").await;
        mlflow.delete(&model).await;
        let path = format!("registered-models/search?filter=name%3D'{model}'");
        assert_eq!(mlflow.call("GET", &path, json!({})).await, json!({}));
    }
}

#[tokio::test]
async fn a_moto_can_be_filled() {
    let Some(moto) = Moto::open("eu-north-1") else {
        return;
    };
    let name = unique("secret");
    moto.secret(&name, &[("owner", "team-a")]).await;
    let listed = moto.call("secretsmanager.ListSecrets", json!({})).await;
    let secrets = listed["SecretList"].as_array().unwrap();
    let ours = secrets.iter().find(|s| s["Name"] == name).unwrap();
    assert_eq!(ours["Tags"], json!([{ "Key": "owner", "Value": "team-a" }]));
    let key = moto.access_key(&unique("bot")).await;
    assert_eq!(key.len(), 20, "{key}");
    let package = moto.model_package(&unique("group"), "Approved").await;
    assert!(package.starts_with("arn:aws:sagemaker:"), "{package}");
}

#[tokio::test]
async fn each_test_has_a_schema_of_its_own() {
    for _ in 0..2 {
        let Some(mut database) = Database::open().await else {
            return;
        };
        assert!(database.url.starts_with("postgres://"));
        database.run("CREATE TABLE vendors (id int)").await;
    }
}

#[test]
fn a_mail_is_found_by_the_address_of_its_envelope() {
    let Some(address) = required("TRIPLINE_TEST_SMTP") else {
        return;
    };
    let (Some(user), Some(password), Some(ca)) = (
        required("TRIPLINE_TEST_SMTP_USER"),
        required("TRIPLINE_TEST_SMTP_PASSWORD"),
        certificate("ca.crt"),
    ) else {
        return;
    };
    let to = format!("{}@example.test", unique("ada"));
    let sent = Command::new("curl")
        .args(["--silent", "--show-error", "--ssl-reqd", "--cacert"])
        .arg(ca)
        .args(["--user", &format!("{user}:{password}")])
        .args(["--mail-from", "tripline@example.test", "--mail-rcpt", &to])
        .args(["--upload-file", "-", &format!("smtp://{address}")])
        .stdin(Stdio::piped())
        .spawn()
        .and_then(|mut curl| {
            let mut input = curl.stdin.take().unwrap();
            input.write_all(b"Subject: one\r\nMessage-ID: <1@example.test>\r\n\r\nHello\r\n")?;
            drop(input);
            curl.wait()
        })
        .unwrap();
    assert!(sent.success());
    let mails = mails_to(&to).unwrap();
    assert_eq!(mails.len(), 1);
    let mail = &mails[0];
    assert_eq!(mail.subject, "one");
    assert_eq!(mail.message_id, "1@example.test");
    assert_eq!(mail.text.trim(), "Hello");
    assert!(mail.html.contains("Hello"));
    assert!(mail.raw.starts_with(b"Subject: one"));
    assert!(mails_to("nobody@example.test").unwrap().is_empty());
}
