//! The format as people write it, and what it says of mistakes.

use std::path::Path;

use serde_json::json;

use super::{column::Origin, page::Style, *};
use crate::yaml::{
    decode::schema_of,
    diagnostic::{Diagnostic, Level},
};

const MLFLOW: &str = r#"
id: registry
settings:
  url: { type: url }
  username: { type: text, optional: true }
  password: { type: secret, optional: true }
http:
  base_url: ${url}
  auth:
    basic: { username: "${username}", password: "${password}" }
  timeout: { connect: 5s, request: 30s, collection: 10m }
  rate: { per_second: 5, concurrency: 4 }
  retry: { attempts: 5, backoff: 500ms..30s, statuses: [429, 502, 503, 504], max_wait: 2m }
  max_body: 32MiB
  probe:
    - if: username
      get: /api/2.0/mlflow/users/current
      require: { path: user.is_admin, equals: true }
datasets:
  models:
    get: /api/2.0/mlflow/registered-models/search
    query: { max_results: 100, order_by: name ASC }
    rows: { at: registered_models, absent: empty }
    page: { cursor: { from: next_page_token, to: query.page_token } }
    key: [name]
    complete: { reread: 2, max_drop: 20% }
    columns:
      name: text
      owner: { type: text, path: "$.tags[?@.key=='owner'].value", optional: true }
  aliases:
    get: /api/2.0/mlflow/registered-models/search
    query: { max_results: 100, order_by: name ASC }
    rows: { at: registered_models, absent: empty, unnest: aliases }
    page: { cursor: { from: next_page_token, to: query.page_token } }
    key: [model, alias]
    columns: { model: { type: text, from: row.name }, alias: text, version: int }
  versions:
    each: { of: models, as: m, concurrency: 4 }
    get: /api/2.0/mlflow/model-versions/search
    query: { filter: "name='${m.name}'", max_results: 1000 }
    rows: { at: model_versions, absent: empty }
    page: { cursor: { from: next_page_token, to: query.page_token }, max_pages: 50 }
    responses: { 404: gone, 403: fail }
    key: [name, version]
    columns:
      name: text
      version: int
      owner: { type: text, from: m.owner, optional: true }
  model_versions:
    view: SELECT v.*, a.alias FROM versions v LEFT JOIN aliases a ON a.model = v.name AND a.version = v.version
    key: [name, version, alias]
"#;

fn read(text: &str) -> (Vec<Connector>, Vec<Diagnostic>) {
    read_all(Path::new("c.yaml"), text).unwrap_or_else(|all| panic!("{}", lines(&all)))
}

fn lines(all: &[Diagnostic]) -> String {
    all.iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

fn wrong(text: &str) -> String {
    lines(&read_all(Path::new("c.yaml"), text).expect_err("it is wrong"))
}

/// A small connector that is right, with one thing put in another's place.
fn with(from: &str, to: &str) -> String {
    assert!(MLFLOW.contains(from), "{from}");
    wrong(&MLFLOW.replacen(from, to, 1))
}

#[test]
fn a_connector_is_read_as_it_is_meant() {
    let (connectors, notes) = read(MLFLOW);
    assert!(notes.is_empty(), "{}", lines(&notes));
    let c = &connectors[0];
    let versions = c.dataset("versions").unwrap();
    assert_eq!(versions.schema().key, ["name", "version"]);
    assert_eq!(versions.page.max_pages, 50);
    assert!(matches!(&versions.page.style, Style::Cursor(_)));
    assert!(matches!(&versions.columns[2].origin, Origin::Beside(f) if f.alias == "m"));
    assert_eq!(
        c.lineage(versions)
            .iter()
            .map(|d| d.name.as_str())
            .collect::<Vec<_>>(),
        ["models", "versions"]
    );
    assert!(c.dataset("model_versions").unwrap().is_view());
    let Kind::Http(http) = &c.kind else {
        panic!("http")
    };
    assert_eq!(http.max_body.to_string(), "32MiB");
    assert_eq!(
        c.touches(),
        [
            "GET /api/2.0/mlflow/users/current",
            "GET /api/2.0/mlflow/registered-models/search",
            "GET /api/2.0/mlflow/model-versions/search",
        ]
    );
}

#[test]
fn several_connectors_stand_in_one_file() {
    let (connectors, _) = read(
        "id: vendors-sql\nsettings: { database: { type: secret } }\nsql: { url: \"${database}\", timeout: 30s }\ndatasets:\n  vendors:\n    select: select id from v\n    key: [id]\n    complete: { count: select count(*) from v, min_rows: 1 }\n    columns: { id: int }\n---\nid: vendors-csv\nsettings: { path: { type: path }, max_age: { type: duration, default: 8d } }\nfile: { path: \"${path}\", max_age: \"${max_age}\" }\ndatasets:\n  vendors:\n    csv: { delimiter: \";\" }\n    key: [id]\n    columns: { id: text, next: { type: date, path: Next review, format: \"%d.%m.%Y\" } }\n---\nid: secrets\nsettings: { regions: { type: list }, role: { type: text, optional: true } }\naws: { regions: \"${regions}\", credentials: default, assume_role: \"${role}\" }\ndatasets:\n  secrets:\n    call: secretsmanager.ListSecrets\n    body: { MaxResults: 100, IncludePlannedDeletion: true }\n    rows: { at: SecretList }\n    page: { cursor: { from: NextToken, to: body.NextToken } }\n    key: [arn]\n    columns: { arn: { type: text, path: ARN }, region: { type: text, from: aws.region } }\n",
    );
    let kinds: Vec<&str> = connectors.iter().map(|c| c.kind.as_str()).collect();
    assert_eq!(kinds, ["sql", "file", "aws"]);
}

#[test]
fn all_mistakes_of_a_file_come_at_once() {
    insta::assert_snapshot!(wrong("id: a\nhttp: { base_urll: x, auth: basik, rate: { concurrency: many } }\ndatasets:\n  b:\n    gett: /x\n    key: [id]\n    columns: { id: txt }\n"), @"
    TL0101 c.yaml:2:7: `base_url` is missing; add `base_url:`
    TL0104 c.yaml:2:29: `basik` is not one of `none`, `basic`, `bearer`, `api_key`, `oauth2_client_credentials`, `oauth2_jwt`, `vault`; did you mean `basic`?
    TL0102 c.yaml:2:57: expected a whole number, 0 or more, found `many`; invalid digit found in string
    TL0103 c.yaml:2:9: unknown key `base_urll`; did you mean `base_url`?
    TL0104 c.yaml:7:20: `txt` is not one of `text`, `int`, `float`, `decimal`, `bool`, `date`, `timestamp`, `timestamp_s`, `timestamp_ms`, `duration`, `list<text>`, `json`; did you mean `text`?
    TL0103 c.yaml:5:5: unknown key `gett`; did you mean `get`?
    ");
}

#[test]
fn a_connector_is_of_one_kind_and_a_dataset_is_read_in_one_way_that_fits() {
    insta::assert_snapshot!(with("http:\n", "sql: { url: x }\nhttp:\n"), @"TL0401 c.yaml:2:1: a connector is of exactly one kind; keep one of `http:`, `aws:`, `sql:` and `file:`");
    insta::assert_snapshot!(with("    rows: { at: registered_models, absent: empty }\n", "    list: /x\n"), @"TL0401 c.yaml:21:5: a dataset is read in exactly one way; keep one of `get`, `post`, `list`, `call`, `select`, `csv`, `xlsx`, `json`, `ndjson` and `view`");
    insta::assert_snapshot!(with("    get: /api/2.0/mlflow/model-versions/search\n    query: { filter: \"name='${m.name}'\", max_results: 1000 }\n", "    select: select 1\n"), @"
    TL0412 c.yaml:37:3: `versions` is not read in a way that `http` knows; use `get`, `post` or `list`, or `view`
    TL0417 c.yaml:37:3: `versions`: `each` does nothing for a dataset that is read like this; leave `each` out
    TL0417 c.yaml:37:3: `versions`: `page` does nothing for a dataset that is read like this; leave `page` out
    TL0417 c.yaml:37:3: `versions`: `responses` does nothing for a dataset that is read like this; leave `responses` out
    ");
}

#[test]
fn what_a_template_names_must_be_there() {
    insta::assert_snapshot!(with("base_url: ${url}", "base_url: ${ur}"), @"
    TL0407 c.yaml:8:13: there is no setting `ur`; did you mean `url`?
    TL0419 c.yaml:2:5: the setting `url` is used nowhere; write `${url}` where it belongs, or leave it out
    ");
    insta::assert_snapshot!(with("${m.name}", "${m.nam}"), @"TL0409 c.yaml:40:22: `m` has no column `nam`; did you mean `name`?");
    insta::assert_snapshot!(with("max_results: 100, order_by: name ASC", "x: \"${m.name}\""), @"TL0409 c.yaml:22:17: there is no row `m` here; add `each: { of: …, as: … }` to read for the rows of another dataset");
    insta::assert_snapshot!(with("from: m.owner", "from: m.ownr"), @"TL0414 c.yaml:48:14: `models` has no column `ownr`; did you mean `owner`?");
    insta::assert_snapshot!(with("from: m.owner", "from: p.owner"), @"TL0414 c.yaml:48:14: `p` is not the name of a parent row; give it with `each: { of: …, as: … }`");
    insta::assert_snapshot!(with("base_url: ${url}", "base_url: ${url"), @"TL0402 c.yaml:8:13: a substitution that cannot be read; write `${name}`, or `${alias.column}`");
}

#[test]
fn a_secret_goes_only_where_it_is_not_shown() {
    insta::assert_snapshot!(with("max_results: 100, order_by: name ASC", "key: \"${password}\""), @"TL0408 c.yaml:22:19: the secret `password` would be shown here; a secret goes into `auth:`, a header, or the address of a database");
}

#[test]
fn each_leads_to_a_dataset_and_not_too_deep() {
    insta::assert_snapshot!(with("of: models", "of: model"), @"TL0410 c.yaml:38:17: there is no dataset `model`; did you mean `models`?");
    assert!(
        with("of: models", "of: versions")
            .contains("TL0410 c.yaml:38:17: `versions` is read for itself")
    );
    assert!(with("of: models", "of: model_versions").contains("is a view, and is not collected"));
}

#[test]
fn a_key_names_columns_that_are_always_there() {
    insta::assert_snapshot!(with("key: [name]", "key: [id]"), @"TL0411 c.yaml:20:3: `models`: the key `id` is not one of its columns; known: name, owner");
    insta::assert_snapshot!(with("key: [name]", "key: [name, owner, name]"), @"
    TL0411 c.yaml:20:3: `models`: the key `owner` may be absent; a row without its key cannot be told apart: leave `optional` out, or give a `default`
    TL0411 c.yaml:20:3: `models`: the key names `name` twice
    ");
    insta::assert_snapshot!(with("key: [name]", "key: []"), @"TL0413 c.yaml:20:3: `models` has no key; name the columns that tell its rows apart");
}

#[test]
fn nothing_means_empty_without_a_proof() {
    // R017: an empty answer is no evidence unless a probe proves that we may look.
    let unproven = MLFLOW.replace("    - if: username\n      get: /api/2.0/mlflow/users/current\n      require: { path: user.is_admin, equals: true }\n", "    []\n");
    let unproven = unproven.replace(
        "responses: { 404: gone, 403: fail }",
        "responses: { 404: empty, 4040: fail }",
    );
    insta::assert_snapshot!(wrong(&unproven), @"
    TL0415 c.yaml:35:3: `versions`: `empty` needs a probe; 404 may also mean that we may not look; add a `probe:` that proves that we may
    TL0415 c.yaml:35:3: `versions`: `4040` is not a status; write `404`, or `5xx` for a class of them
    ");
    insta::assert_snapshot!(with("    key: [name]\n", "    responses: { 404: gone }\n    key: [name]\n"), @"TL0415 c.yaml:20:3: `models`: `gone` is for a row that another dataset listed; a list that is not there is `fail`");
}

#[test]
fn skipping_rows_without_an_order_is_warned_of() {
    let text = MLFLOW.replacen(
        "cursor: { from: next_page_token, to: query.page_token }",
        "offset: { param: query.offset, limit_param: query.limit }",
        1,
    );
    assert!(read(&text).1.is_empty());
    let (_, notes) = read(&text.replacen(", order_by: name ASC", "", 1));
    insta::assert_snapshot!(lines(&notes), @"TL0420 c.yaml:20:3: `models` skips rows without asking for an order: a row that moves while we read is lost; ask for an order that does not change, by key or by time of creation");
    assert!(notes.iter().all(|n| n.level == Level::Warning));
}

#[test]
fn a_path_stays_on_its_system_and_never_leads_to_a_secrets_value() {
    insta::assert_snapshot!(with("get: /api/2.0/mlflow/registered-models/search", "get: https://other.test/x"), @"TL0421 c.yaml:21:10: `https://other.test/x` is not a path of this system; a path starts with `/` and is joined to `base_url`, so that all paths can be listed");
    let vault = MLFLOW.replace("basic: { username: \"${username}\", password: \"${password}\" }", "vault: { token: \"${password}\" }").replace("- if: username\n      get: /api/2.0/mlflow/users/current\n      require: { path: user.is_admin, equals: true }", "[]").replace("  username: { type: text, optional: true }\n", "");
    let vault = vault
        .replace("probe:\n    []", "probe: []")
        .replace(
            "/api/2.0/mlflow/registered-models/search",
            "/v1/kv/metadata/app",
        )
        .replace(
            "/api/2.0/mlflow/model-versions/search",
            "/v1/kv/data/${m.name}",
        );
    insta::assert_snapshot!(wrong(&vault), @"TL0423 c.yaml:35:10: `/v1/kv/data/${m.name}` may not be read: a connector never reads a secret's value; `/data/` gives the values of a secret in a KV store; read `/metadata/` instead");
    let aws = "id: a\naws: { regions: [eu-west-1] }\ndatasets:\n  s:\n    call: secretsmanager.GetSecretValue\n    key: [arn]\n    columns: { arn: text }\n  p:\n    call: ssm.DescribeParameters\n    body: { WithDecryption: true }\n    key: [arn]\n    columns: { arn: text }\n";
    insta::assert_snapshot!(wrong(aws), @"
    TL0423 c.yaml:5:11: `secretsmanager.GetSecretValue` may not be read: a connector never reads a secret's value; `GetSecretValue` gives a secret's value or a credential; list and describe instead
    TL0423 c.yaml:9:11: `ssm.DescribeParameters` may not be read: a connector never reads a secret's value; `WithDecryption` gives the value of a parameter
    ");
}

#[test]
fn the_scope_changes_with_what_is_asked_for_and_not_with_how_it_is_shown() {
    let scope = |text: &str| read(text).0[0].dataset("versions").unwrap().scope.clone();
    let definition = |text: &str| read(text).0[0].dataset("versions").unwrap().definition;
    let as_it_is = scope(MLFLOW);
    for (from, to, same) in [
        ("max_results: 1000", "max_results: 500", false),
        // The dataset that lists decides as well.
        (
            "order_by: name ASC }\n    rows: { at: registered_models, absent: empty }",
            "filter: x }\n    rows: { at: registered_models, absent: empty }",
            false,
        ),
        (
            "      version: int\n      owner",
            "      version: text\n      owner",
            true,
        ),
        ("rate: { per_second: 5", "rate: { per_second: 6", true),
    ] {
        let changed = MLFLOW.replacen(from, to, 1);
        assert_ne!(changed, MLFLOW, "{from}");
        assert_eq!(scope(&changed) == as_it_is, same, "{from}");
    }
    assert_ne!(
        definition(MLFLOW),
        definition(&MLFLOW.replacen(
            "      version: int\n      owner",
            "      version: text\n      owner",
            1
        ))
    );
}

#[test]
fn the_schema_takes_what_the_parser_takes() {
    let schema = schema_of::<ConnectorFile>("connector");
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mut document: serde_json::Value = json!({
        "id": "a", "http": { "base_url": "${url}", "auth": { "bearer": "${token}" } },
        "datasets": { "d": { "get": "/x", "page": "link_header", "key": ["id"], "columns": { "id": "text", "n": { "type": "int", "optional": true } } } },
    });
    assert!(
        validator.is_valid(&document),
        "{:?}",
        validator
            .iter_errors(&document)
            .map(|e| e.to_string())
            .collect::<Vec<_>>()
    );
    document["datasets"]["d"]["page"] =
        json!({ "cursor": { "from": "a", "to": "query.b" }, "max_pages": 3 });
    assert!(validator.is_valid(&document));
    document["datasets"]["d"]["page"] = json!({ "cursor": { "from": "a" } });
    assert!(!validator.is_valid(&document));
}
