//! Logins that give a token: OAuth 2.0 client credentials (RFC 6749 §4.4), a signed assertion
//! (RFC 7523, and GitHub's form of it), and Vault's methods. Answers of a login are never shown.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::{Url, form_urlencoded};

use super::{
    auth::{Token, sensitive},
    tape::Line,
    wire::{Limits, Outgoing},
};
use crate::{
    catalog::connector::{
        Method,
        http::{Auth, ClientCredentials, Exchange, Jwt, Vault},
        path::Path,
        template::Template,
    },
    clock::SharedClock,
    connector::{
        error::{Error, Result},
        redact::Scrub,
        settings::{Into as Goes, Settings},
    },
    model::id::Sha,
};

/// How long an assertion is good for; GitHub takes ten minutes at most.
const ASSERTION_MINUTES: i64 = 9;

/// A way to get a token.
pub struct Login {
    line: Line,
    limits: Limits,
    clock: SharedClock,
    how: How,
}

enum How {
    Form {
        url: Url,
        form: Vec<(&'static str, SecretString)>,
    },
    Assertion(Box<Assertion>),
    VaultToken {
        token: SecretString,
        namespace: Option<String>,
    },
    Vault {
        url: Url,
        body: Vec<(&'static str, SecretString)>,
        namespace: Option<String>,
    },
}

struct Assertion {
    url: Url,
    key: EncodingKey,
    key_digest: Sha,
    key_id: Option<String>,
    claims: Value,
    exchange: Exchange,
    token: Option<Path>,
}

/// What a login is made of besides what the connector declares.
#[derive(Clone)]
pub struct Around<'a> {
    /// What the source filled in.
    pub settings: &'a Settings,
    /// The base address: where Vault's methods are.
    pub base: &'a Url,
    /// Time-outs and the limit of a body.
    pub limits: &'a Limits,
    /// For the times in an assertion.
    pub clock: &'a SharedClock,
}

impl Login {
    /// Fills in what a connector declares; nothing when all the settings that it needs are left out.
    pub fn new(auth: &Auth, around: &Around<'_>, client: reqwest::Client) -> Result<Option<Self>> {
        let how = match auth {
            Auth::ClientCredentials(credentials) => form(credentials, around.settings)?,
            Auth::Jwt(jwt) => assertion(jwt, around.settings)?,
            Auth::Vault(vault) => vault_login(vault, around)?,
            Auth::None | Auth::Basic(_) | Auth::Bearer(_) | Auth::ApiKey(_) => None,
        };
        Ok(how.map(|how| Self {
            line: Line::Live(client),
            limits: around.limits.clone(),
            clock: around.clock.clone(),
            how,
        }))
    }

    /// What makes two logins the same: all that is sent, secrets included, as a digest.
    pub fn fingerprint(&self) -> Sha {
        let mut digest = Sha256::new();
        let mut add = |bytes: &[u8]| {
            digest.update((bytes.len() as u64).to_be_bytes());
            digest.update(bytes);
        };
        match &self.how {
            How::Form { url, form } => {
                add(url.as_str().as_bytes());
                for (name, value) in form {
                    add(name.as_bytes());
                    add(value.expose_secret().as_bytes());
                }
            }
            How::Assertion(a) => {
                add(a.url.as_str().as_bytes());
                add(&a.key_digest.0);
                add(a.claims.to_string().as_bytes());
            }
            How::VaultToken { token, namespace } => {
                add(token.expose_secret().as_bytes());
                add(namespace.as_deref().unwrap_or_default().as_bytes());
            }
            How::Vault {
                url,
                body,
                namespace,
            } => {
                add(url.as_str().as_bytes());
                add(namespace.as_deref().unwrap_or_default().as_bytes());
                for (_, value) in body {
                    add(value.expose_secret().as_bytes());
                }
            }
        }
        Sha(digest.finalize().into())
    }

    /// Whether another login can give another token.
    pub fn can_renew(&self) -> bool {
        !matches!(self.how, How::VaultToken { .. })
    }

    /// Logs in.
    pub async fn token(&self) -> Result<Token> {
        let at_path = |path: &str| Path::parse(path).map_err(Error::Settings);
        let (request, token, lasts) = match &self.how {
            How::VaultToken { token, .. } => {
                return Ok(Token {
                    value: token.clone(),
                    lasts: None,
                    given: Instant::now(),
                });
            }
            How::Form { url, form } => (
                posted(url, form),
                at_path("access_token")?,
                at_path("expires_in")?,
            ),
            How::Assertion(a) => {
                let default = if a.exchange == Exchange::Grant {
                    "access_token"
                } else {
                    "token"
                };
                let token = a.token.clone().map_or_else(|| at_path(default), Ok)?;
                (self.asserted(a)?, token, at_path("expires_in")?)
            }
            How::Vault { url, body, .. } => {
                let body: Value = body
                    .iter()
                    .map(|(n, v)| ((*n).to_owned(), json!(v.expose_secret())))
                    .collect::<serde_json::Map<_, _>>()
                    .into();
                (
                    Outgoing::post(url.clone(), &body),
                    at_path("auth.client_token")?,
                    at_path("auth.lease_duration")?,
                )
            }
        };
        let mut request = request;
        if let How::Vault {
            namespace: Some(namespace),
            ..
        } = &self.how
        {
            request.headers.insert(
                HeaderName::from_static("x-vault-namespace"),
                plain(namespace)?,
            );
        }
        let given = Instant::now();
        let answer = self
            .line
            .exchange(&request, &self.limits, &Scrub::default())
            .await?;
        if !(200..300).contains(&answer.status) {
            let word = serde_json::from_slice::<Value>(&answer.body)
                .ok()
                .and_then(|b| {
                    Some(
                        b.get("error")?
                            .as_str()?
                            .chars()
                            .take(60)
                            .collect::<String>(),
                    )
                });
            let hint = word
                .filter(|w| w.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
                .map_or_else(String::new, |w| format!(": {w}"));
            return Err(match answer.status {
                400..=403 => Error::Refused {
                    at: answer.at,
                    status: answer.status,
                    hint,
                },
                status => Error::Status {
                    at: answer.at,
                    status,
                    hint,
                },
            });
        }
        let body: Value = serde_json::from_slice(&answer.body).map_err(|_| Error::Garbage {
            at: answer.at.clone(),
            what: "a login without JSON".to_owned(),
        })?;
        let value = token
            .first(&body)
            .and_then(Value::as_str)
            .ok_or_else(|| Error::Garbage {
                at: answer.at.clone(),
                what: "a login without a token".to_owned(),
            })?;
        let seconds = lasts
            .first(&body)
            .and_then(|v| v.as_u64().or_else(|| v.as_str()?.parse().ok()))
            .filter(|s| *s > 0);
        let until = body
            .get("expires_at")
            .and_then(Value::as_str)
            .and_then(|t| t.parse::<chrono::DateTime<chrono::Utc>>().ok());
        let lasts = seconds
            .map(Duration::from_secs)
            .or_else(|| (until? - self.clock.now()).to_std().ok());
        Ok(Token {
            value: value.into(),
            lasts,
            given,
        })
    }

    /// Shows a token in the headers of a request.
    pub fn show(&self, token: &SecretString, headers: &mut HeaderMap) -> Result<()> {
        match &self.how {
            How::Vault { namespace, .. } | How::VaultToken { namespace, .. } => {
                headers.insert(HeaderName::from_static("x-vault-token"), sensitive(token)?);
                headers.insert(
                    HeaderName::from_static("x-vault-request"),
                    HeaderValue::from_static("true"),
                );
                if let Some(namespace) = namespace {
                    headers.insert(
                        HeaderName::from_static("x-vault-namespace"),
                        plain(namespace)?,
                    );
                }
            }
            How::Form { .. } | How::Assertion(_) => {
                let bearer = SecretString::from(format!("Bearer {}", token.expose_secret()));
                headers.insert(header::AUTHORIZATION, sensitive(&bearer)?);
            }
        }
        Ok(())
    }

    fn asserted(&self, assertion: &Assertion) -> Result<Outgoing> {
        let now = self.clock.now();
        let mut claims = assertion.claims.clone();
        if let Some(claims) = claims.as_object_mut() {
            // A minute of grace, because clocks differ.
            claims.insert(
                "iat".to_owned(),
                json!((now - chrono::TimeDelta::minutes(1)).timestamp()),
            );
            claims.insert(
                "exp".to_owned(),
                json!((now + chrono::TimeDelta::minutes(ASSERTION_MINUTES)).timestamp()),
            );
        }
        let header = Header {
            kid: assertion.key_id.clone(),
            ..Header::new(Algorithm::RS256)
        };
        let signed = jsonwebtoken::encode(&header, &claims, &assertion.key)
            .map_err(|_| Error::Settings("the private key cannot sign".to_owned()))?;
        let signed = SecretString::from(signed);
        match assertion.exchange {
            Exchange::Grant => {
                let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
                let form = [("grant_type", grant.into()), ("assertion", signed)];
                Ok(posted(&assertion.url, &form))
            }
            Exchange::Bearer => {
                let mut request = Outgoing::post(assertion.url.clone(), &json!({}));
                let bearer = SecretString::from(format!("Bearer {}", signed.expose_secret()));
                request
                    .headers
                    .insert(header::AUTHORIZATION, sensitive(&bearer)?);
                Ok(request)
            }
        }
    }
}

fn posted(url: &Url, form: &[(&'static str, SecretString)]) -> Outgoing {
    let mut body = form_urlencoded::Serializer::new(String::new());
    for (name, value) in form {
        body.append_pair(name, value.expose_secret());
    }
    let mut headers = HeaderMap::new();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/x-www-form-urlencoded"),
    );
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    Outgoing {
        method: Method::Post,
        url: url.clone(),
        headers,
        body: Some(Bytes::from(body.finish())),
        name: None,
    }
}

fn form(credentials: &ClientCredentials, settings: &Settings) -> Result<Option<How>> {
    let id = settings.secret(&credentials.client_id)?;
    let secret = settings.secret(&credentials.client_secret)?;
    let (id, secret) = match (id, secret) {
        (None, None) => return Ok(None),
        (Some(id), Some(secret)) => (id, secret),
        _ => {
            return Err(Error::Settings(
                "a client id and a client secret belong together; only one is given".to_owned(),
            ));
        }
    };
    let mut form = vec![
        ("grant_type", "client_credentials".into()),
        ("client_id", id),
        ("client_secret", secret),
    ];
    for (name, template) in [
        ("scope", &credentials.scope),
        ("audience", &credentials.audience),
    ] {
        if let Some(value) = template
            .as_ref()
            .map(|t| settings.secret(t))
            .transpose()?
            .flatten()
        {
            form.push((name, value));
        }
    }
    Ok(Some(How::Form {
        url: address(&credentials.token_url, settings)?,
        form,
    }))
}

fn assertion(jwt: &Jwt, settings: &Settings) -> Result<Option<How>> {
    let Some(pem) = settings.secret(&jwt.private_key)? else {
        return Ok(None);
    };
    let key = EncodingKey::from_rsa_pem(pem.expose_secret().as_bytes())
        .map_err(|_| Error::Settings("the private key is not an RSA key in PEM".to_owned()))?;
    let text = |template: Option<&Template>| {
        template
            .map(|t| settings.text(t, &[], Goes::Plain))
            .transpose()
            .map(Option::flatten)
    };
    let url = address(&jwt.token_url, settings)?;
    let mut claims = serde_json::Map::new();
    let audience = text(jwt.audience.as_ref())?;
    let audience = audience.or_else(|| (jwt.exchange == Exchange::Grant).then(|| url.to_string()));
    let given = [
        ("iss", text(Some(&jwt.issuer))?),
        ("sub", text(jwt.subject.as_ref())?),
        ("scope", text(jwt.scope.as_ref())?),
        ("aud", audience),
    ];
    claims.extend(
        given
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), json!(value?)))),
    );
    Ok(Some(How::Assertion(Box::new(Assertion {
        url,
        key,
        key_digest: Sha::of(pem.expose_secret()),
        key_id: text(jwt.key_id.as_ref())?,
        claims: claims.into(),
        exchange: jwt.exchange,
        token: jwt.token.clone(),
    }))))
}

fn vault_login(vault: &Vault, around: &Around<'_>) -> Result<Option<How>> {
    let settings = around.settings;
    let namespace = vault
        .namespace
        .as_ref()
        .map(|t| settings.text(t, &[], Goes::Plain))
        .transpose()?
        .flatten();
    let login = |mount: &str| {
        let base = around.base.as_str().trim_end_matches('/');
        let base = if base.ends_with("/v1") {
            base.to_owned()
        } else {
            format!("{base}/v1")
        };
        Url::parse(&format!("{base}/auth/{}/login", mount.trim_matches('/')))
            .map_err(|e| Error::Settings(e.to_string()))
    };
    if let Some(token) = &vault.token {
        return Ok(settings
            .secret(token)?
            .map(|token| How::VaultToken { token, namespace }));
    }
    if let Some(approle) = &vault.approle {
        let body = match (
            settings.secret(&approle.role_id)?,
            settings.secret(&approle.secret_id)?,
        ) {
            (None, None) => return Ok(None),
            (Some(role), Some(secret)) => vec![("role_id", role), ("secret_id", secret)],
            _ => {
                return Err(Error::Settings(
                    "a role id and a secret id belong together; only one is given".to_owned(),
                ));
            }
        };
        return Ok(Some(How::Vault {
            url: login(&approle.mount)?,
            body,
            namespace,
        }));
    }
    let Some(kubernetes) = &vault.kubernetes else {
        return Ok(None);
    };
    let (Some(role), Some(jwt)) = (
        settings.secret(&kubernetes.role)?,
        settings.secret(&kubernetes.jwt)?,
    ) else {
        return Ok(None);
    };
    Ok(Some(How::Vault {
        url: login(&kubernetes.mount)?,
        body: vec![("role", role), ("jwt", jwt)],
        namespace,
    }))
}

fn address(template: &Template, settings: &Settings) -> Result<Url> {
    let text = settings
        .text(template, &[], Goes::Address)?
        .ok_or_else(|| Error::Settings(format!("`{template}` has no value")))?;
    let url = Url::parse(&text).map_err(|e| Error::Settings(format!("`{template}`: {e}")))?;
    if matches!(url.scheme(), "http" | "https") {
        Ok(url)
    } else {
        Err(Error::Settings(format!(
            "`{template}` is not an http address"
        )))
    }
}

fn plain(text: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(text)
        .map_err(|_| Error::Settings(format!("`{text}` cannot stand in a header")))
}
