//! Reads that would give a secret's value. We watch secrets, we never hold them: a connector that asks
//! for one does not load, and a request that turns out to ask for one is not sent. The lists are of
//! the ways in which each store gives values away; where that is anything but a short list of paths
//! (Vault), the harmless ones are listed instead.

use serde_json::Value;

use super::{
    Ask, Connector, HttpAsk, Kind, Method,
    dataset::ConfirmGone,
    http::{Auth, Probe},
    template::{Body, Piece, Template},
};
use crate::yaml::{
    decode::{Cx, Located},
    diagnostic::{Diagnostic, Place},
};

/// A request as far as it decides what is given away. What is not known before a source is asked is `_`.
#[derive(Debug, Clone, PartialEq)]
pub struct Outline {
    /// Whether the source is Vault or OpenBao.
    pub vault: bool,
    /// The method.
    pub method: Method,
    /// The path, decoded.
    pub path: String,
    /// Query parameters.
    pub query: Vec<(String, String)>,
    /// The `Accept` header.
    pub accept: String,
}

/// Paths of Vault that a GET may read: everything else may be a value, or make one.
const VAULT_GET: &[&str] = &["/metadata", "/detailed-metadata", "/subkeys"];

/// Paths of Vault below which nothing is a value.
const VAULT_BELOW: &[&str] = &["/sys/", "/auth/", "/identity/"];

/// And the exceptions: these give values, or undo what protects them.
const VAULT_NEVER: &[&str] = &[
    "/sys/raw",
    "/sys/wrapping/unwrap",
    "/sys/unseal",
    "/sys/rekey",
    "/sys/generate-root",
    "/identity/oidc/token",
];

/// What Vault is asked with POST and only answers.
const VAULT_POST: &[&str] = &[
    "/sys/capabilities",
    "/sys/leases/lookup",
    "/lookup-accessor",
    "/secret-id-accessor/lookup",
    "/identity/lookup/",
    "/sys/wrapping/lookup",
    "/lookup-self",
];

/// Operations of AWS that read and do not give a secret away start like this.
const AWS_READS: &[&str] = &[
    "List",
    "Describe",
    "Get",
    "BatchGet",
    "Search",
    "Query",
    "GenerateCredentialReport",
];

/// And those that do.
const AWS_VALUES: &[(&str, &[&str])] = &[
    (
        "secretsmanager",
        &["GetSecretValue", "BatchGetSecretValue", "GetRandomPassword"],
    ),
    (
        "ssm",
        &[
            "GetParameter",
            "GetParameters",
            "GetParametersByPath",
            "GetParameterHistory",
        ],
    ),
    ("sts", &["GetSessionToken", "GetFederationToken"]),
    ("sso", &["GetRoleCredentials"]),
    ("ecr", &["GetAuthorizationToken"]),
    ("codeartifact", &["GetAuthorizationToken"]),
    ("ec2", &["GetPasswordData"]),
    ("lambda", &["GetFunction", "GetFunctionConfiguration"]),
    (
        "redshift",
        &["GetClusterCredentials", "GetClusterCredentialsWithIAM"],
    ),
    (
        "cognito-identity",
        &[
            "GetCredentialsForIdentity",
            "GetOpenIdToken",
            "GetOpenIdTokenForDeveloperIdentity",
        ],
    ),
    ("s3", &["GetObject"]),
];

/// Why a request would give a secret's value away, if it would.
pub fn gives_away(request: &Outline) -> Option<&'static str> {
    let path = request.path.to_ascii_lowercase();
    let segments: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
    let asks = |name: &str| {
        request
            .query
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.to_ascii_lowercase())
    };
    if segments.iter().any(|s| s.ends_with(":access")) {
        return Some(
            "`:access` gives the payload of a secret in Google Secret Manager; list the versions instead",
        );
    }
    if request.vault
        && let Some(why) = vault(request.method, &path)
    {
        return Some(why);
    }
    let after = |name: &str| {
        segments
            .iter()
            .position(|s| *s == name)
            .map(|at| segments.get(at + 1..).unwrap_or_default())
    };
    if asks("api-version").is_some()
        && let Some([_, rest @ ..]) = after("secrets")
        && rest != ["versions"]
    {
        return Some(
            "a single secret of Azure Key Vault comes with its value; list `/secrets`, or its `/versions`",
        );
    }
    let infisical = path.contains("/api/v3/secrets") || path.contains("/api/v4/secrets");
    if infisical && asks("viewSecretValue").as_deref() != Some("false") {
        return Some("Infisical gives values unless it is asked with `viewSecretValue: \"false\"`");
    }
    if asks("viewSecretValue").is_some_and(|v| v != "false") {
        return Some("`viewSecretValue` gives the values of secrets; ask with `\"false\"`");
    }
    if path.contains("/api/v1/")
        && after("secrets").is_some()
        && !infisical
        && !request.accept.contains("as=PartialObjectMetadata")
    {
        return Some(
            "Kubernetes gives secrets with their values; ask with the header `Accept: application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1`",
        );
    }
    let known: &[(&str, &str)] = &[
        (
            "/v3/configs/config/secrets",
            "Doppler gives the values of secrets here; list their names under `/v3/configs/config/secrets/names`",
        ),
        (
            "/api/v4/projects/_/variables",
            "GitLab gives variables with their values",
        ),
    ];
    known
        .iter()
        .find(|(pattern, _)| fits(pattern, &segments))
        .map(|(_, why)| *why)
}

fn fits(pattern: &str, segments: &[&str]) -> bool {
    let pattern: Vec<&str> = pattern.split('/').filter(|s| !s.is_empty()).collect();
    pattern.len() == segments.len()
        && pattern
            .iter()
            .zip(segments)
            .all(|(p, s)| *p == "_" || p == s)
}

fn vault(method: Method, path: &str) -> Option<&'static str> {
    // What is below the version of the API; a base address may or may not hold it.
    let path = path.strip_prefix("/v1").unwrap_or(path);
    let below = |prefixes: &[&str]| prefixes.iter().any(|p| path.starts_with(p));
    let segments: Vec<&str> = path.split('/').collect();
    if below(VAULT_NEVER) {
        return Some("this path of Vault gives values, or undoes what protects them");
    }
    match method {
        Method::List => None,
        Method::Get if below(VAULT_BELOW) => None,
        // The first of the two is where the store is; what comes behind it may be a name.
        Method::Get if values_first(&segments) => {
            Some("`/data/` gives the values of a secret in a KV store; read `/metadata/` instead")
        }
        Method::Get if VAULT_GET.iter().any(|p| path.contains(p)) => None,
        Method::Get => Some(
            "a GET in Vault outside of `/metadata/`, `/sys/`, `/auth/` and `/identity/` gives a value or makes one",
        ),
        Method::Post if VAULT_POST.iter().any(|p| path.contains(p)) => None,
        Method::Post => Some(
            "a POST in Vault that is not one of its lookups changes something or gives a value",
        ),
    }
}

fn values_first(segments: &[&str]) -> bool {
    let first = |names: &[&str]| segments.iter().position(|s| names.contains(s));
    let harmless = first(&["metadata", "detailed-metadata", "subkeys"]);
    first(&["data"]).is_some_and(|data| harmless.is_none_or(|at| data < at))
}

/// Why an operation of AWS would give a secret away or change something, if it would.
pub fn operation(operation: &str) -> Option<String> {
    let Some((service, name)) = operation.split_once('.') else {
        return Some(
            "write `service.Operation`, for example `secretsmanager.ListSecrets`".to_owned(),
        );
    };
    let gives = AWS_VALUES.iter().any(|(s, names)| {
        s.eq_ignore_ascii_case(service) && names.iter().any(|n| n.eq_ignore_ascii_case(name))
    });
    if gives {
        return Some(format!(
            "`{name}` gives a secret's value or a credential; list and describe instead"
        ));
    }
    // Operations of services whose protocol is REST are written as a method and a path.
    let reads = AWS_READS.iter().any(|verb| name.starts_with(verb)) || name.starts_with("GET ");
    (!reads).then(|| format!("`{name}` is not an operation that only reads"))
}

/// Notes every dataset and probe that would give a secret's value away.
pub(super) fn connector(connector: &Connector, cx: &mut Cx) {
    if let Kind::Http(http) = &connector.kind {
        let vault = is_vault(connector);
        let base = known(&http.base_url);
        let base = base.trim_end_matches('/');
        let accept = http.headers.get("Accept").map(known).unwrap_or_default();
        let mut asked: Vec<(HttpAsk, Place)> = Vec::new();
        asked.extend(
            http.probe
                .iter()
                .filter_map(Probe::ask)
                .map(|a| (a.clone(), a.path.place)),
        );
        for dataset in &connector.datasets {
            if let Ask::Http(ask) = &dataset.ask {
                asked.push((ask.clone(), ask.path.place.clone()));
            }
            let more = dataset
                .probe
                .iter()
                .filter_map(Probe::ask)
                .chain(dataset.confirm_gone.as_ref().map(ConfirmGone::ask));
            asked.extend(more.map(|a| (a.clone(), a.path.place)));
        }
        for (ask, place) in asked {
            let own = ask
                .headers
                .iter()
                .find(|(n, _)| n.eq_ignore_ascii_case("accept"))
                .map(|(_, v)| known(v));
            let outline = Outline {
                vault,
                method: ask.method,
                path: format!("{}{}", path_of(base), known(&ask.path)),
                query: ask
                    .query
                    .iter()
                    .map(|(n, v)| (n.clone(), known(v)))
                    .chain(query_of(&known(&ask.path)))
                    .collect(),
                accept: own.unwrap_or_else(|| accept.clone()),
            };
            if let Some(why) = gives_away(&outline) {
                refuse(&place, &ask.path.to_string(), why, cx);
            }
            if let Some(why) = ask.body.as_ref().and_then(body) {
                refuse(&place, &ask.path.to_string(), why, cx);
            }
        }
    }
    for dataset in &connector.datasets {
        if let Ask::Call {
            operation: Located { value, place, .. },
            body,
        } = &dataset.ask
        {
            let decrypts = body
                .as_ref()
                .and_then(|b| b.get("WithDecryption"))
                .is_some_and(|b| *b != Body::Plain(Value::Bool(false)));
            let why = operation(value).or_else(|| {
                decrypts.then(|| "`WithDecryption` gives the value of a parameter".to_owned())
            });
            if let Some(why) = why {
                refuse(place, value, &why, cx);
            }
        }
    }
}

fn refuse(place: &Place, what: &str, why: &str, cx: &mut Cx) {
    cx.out.push(
        Diagnostic::error(
            "TL0423",
            place,
            format!("`{what}` may not be read: a connector never reads a secret's value"),
        )
        .help(why),
    );
}

/// Whether a connector reads Vault or OpenBao, by how it logs in or what it sends.
pub fn is_vault(connector: &Connector) -> bool {
    let Kind::Http(http) = &connector.kind else {
        return false;
    };
    let sends = |name: &str| name.to_ascii_lowercase().starts_with("x-vault-");
    matches!(http.auth, Auth::Vault(_))
        || matches!(&http.auth, Auth::ApiKey(key) if key.header.as_deref().is_some_and(sends))
        || http.headers.iter().any(|(n, _)| sends(&n.text))
}

fn body(body: &Body) -> Option<&'static str> {
    let asked = body
        .get("viewSecretValue")
        .is_some_and(|b| *b != Body::Plain(Value::Bool(false)));
    asked.then_some("`viewSecretValue` gives the values of secrets; ask with `false`")
}

/// A template with `_` for what is not known yet.
fn known(template: &Template) -> String {
    template
        .pieces
        .iter()
        .map(|p| match p {
            Piece::Text(text) => text.as_str(),
            Piece::Setting(_) | Piece::Column(..) => "_",
        })
        .collect()
}

/// The path of an address whose host may be unknown.
fn path_of(base: &str) -> &str {
    let rest = base.split_once("://").map_or(base, |(_, rest)| rest);
    rest.find('/')
        .and_then(|at| rest.get(at..))
        .unwrap_or_default()
}

fn query_of(path: &str) -> Vec<(String, String)> {
    let query = path.split_once('?').map_or("", |(_, q)| q);
    url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(vault: bool, path: &str, query: &[(&str, &str)], accept: &str) -> bool {
        let query = query
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect();
        gives_away(&Outline {
            vault,
            method: Method::Get,
            path: path.to_owned(),
            query,
            accept: accept.to_owned(),
        })
        .is_some()
    }

    #[test]
    fn known_reads_of_values_are_refused() {
        let metadata = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
        for (denied, vault, path, query, accept) in [
            (true, true, "/v1/kv/data/app", &[][..], ""),
            (true, true, "/v1/kv/app", &[], ""),
            (true, true, "/v1/database/creds/app", &[], ""),
            (true, true, "/v1/_/DATA/_", &[], ""),
            (true, true, "/v1/sys/raw/core", &[], ""),
            (true, true, "/v1/kv/data/app/metadata/x", &[], ""),
            (false, true, "/v1/kv/metadata/app", &[], ""),
            (false, true, "/v1/kv/metadata/team/data/db", &[], ""),
            (false, true, "/v1/sys/auth", &[], ""),
            (false, true, "/v1/auth/approle/role/a", &[], ""),
            (false, false, "/api/data/models", &[], ""),
            (
                true,
                false,
                "/v1/projects/p/secrets/s/versions/1:access",
                &[],
                "",
            ),
            (false, false, "/v1/projects/p/secrets/s/versions", &[], ""),
            (true, false, "/secrets/_", &[("api-version", "7.4")], ""),
            (true, false, "/secrets/_/_", &[("api-version", "7.4")], ""),
            (
                false,
                false,
                "/secrets/_/versions",
                &[("api-version", "7.4")],
                "",
            ),
            (false, false, "/secrets", &[("api-version", "7.4")], ""),
            (true, false, "/api/v4/secrets", &[], ""),
            (
                true,
                false,
                "/api/v4/secrets",
                &[("viewSecretValue", "_")],
                "",
            ),
            (true, false, "/x", &[("viewsecretvalue", "true")], ""),
            (
                false,
                false,
                "/api/v4/secrets",
                &[("viewSecretValue", "false")],
                "",
            ),
            (true, false, "/api/v1/secrets", &[], "application/json"),
            (true, false, "/api/v1/namespaces/_/secrets/_", &[], ""),
            (false, false, "/api/v1/secrets", &[], metadata),
            (true, false, "/api/v4/projects/7/variables", &[], ""),
            (false, false, "/repos/o/r/actions/secrets", &[], ""),
        ] {
            assert_eq!(get(vault, path, query, accept), denied, "{path} {query:?}");
        }
    }

    #[test]
    fn vault_is_asked_with_post_only_where_it_only_answers() {
        let post = |path: &str| {
            gives_away(&Outline {
                vault: true,
                method: Method::Post,
                path: path.to_owned(),
                query: vec![],
                accept: String::new(),
            })
        };
        assert!(post("/v1/sys/capabilities-self").is_none());
        assert!(post("/v1/auth/token/lookup-accessor").is_none());
        assert!(post("/v1/auth/approle/role/a/secret-id").is_some());
        assert!(post("/v1/sys/wrapping/unwrap").is_some());
        assert!(post("/v1/auth/token/create").is_some());
    }

    #[test]
    fn aws_is_asked_only_with_reads_that_give_no_value() {
        for fine in [
            "secretsmanager.ListSecrets",
            "secretsmanager.DescribeSecret",
            "iam.ListAccessKeys",
            "iam.GenerateCredentialReport",
            "ssm.DescribeParameters",
            "sts.GetCallerIdentity",
        ] {
            assert_eq!(operation(fine), None, "{fine}");
        }
        for bad in [
            "secretsmanager.GetSecretValue",
            "SecretsManager.batchGetSecretValue",
            "ssm.GetParameter",
            "kms.Decrypt",
            "sts.AssumeRole",
            "iam.CreateAccessKey",
            "iam.DeleteUser",
            "nothing",
        ] {
            assert!(operation(bad).is_some(), "{bad}");
        }
    }
}
