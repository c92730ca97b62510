//! Where our keys for AWS come from: those that a connector holds, or the usual chain (environment,
//! profile, web identity, container, instance), and then the role that a source asks for. Keys are
//! kept for one collection, and taken anew when they end. They are in no error, no log and no recording.

use async_trait::async_trait;
use reqsign_aws_v4::{Credential, DefaultCredentialProvider, RequestSigner};
use reqsign_core::{
    Context, OsEnv, ProvideCredential as _, SignRequest as _, SigningCredential as _,
    hash::hex_sha256,
};
use reqsign_file_read_tokio::TokioFileRead;
use reqsign_http_send_reqwest::ReqwestHttpSend;
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use url::{Position, Url};

use super::{
    service,
    speak::{self, Call},
};
use crate::{
    catalog::connector::{
        http::{Timeout, Tls},
        kinds::{Aws, Credentials, Keys as Held},
        template::Template,
    },
    connector::{
        Meter,
        error::{Error, Result},
        http::wire::{Answer, Answered, Fault, Handling, Outgoing, Signer, Wire},
        settings::{Into, Settings},
        tls,
    },
    model::span::Span,
};

/// How we look for keys on this machine: what is not there at once is not there.
const NEARBY: Timeout = Timeout {
    connect: Span::secs(1),
    request: Span::secs(5),
    collection: Span::secs(30),
};

/// Where our keys come from.
pub(super) struct Keys {
    held: Option<Credential>,
    chain: DefaultCredentialProvider,
    role: Option<Role>,
    context: Context,
    kept: Mutex<Option<Credential>>,
}

/// A role that is taken with the keys that we have.
struct Role {
    arn: String,
    external_id: Option<String>,
    region: String,
    address: Url,
    /// A way of its own, because what comes back on it are keys, and must not be recorded.
    wire: Wire,
}

impl Keys {
    /// Fills in what a connector declares. `sts` is the way to take a role, when one is asked for.
    pub(super) fn new(
        aws: &Aws,
        settings: &Settings,
        region: &str,
        endpoint: Option<&Url>,
        sts: impl FnOnce() -> Result<Wire>,
    ) -> Result<Self> {
        let text = |t: &Option<_>| match t {
            Some(t) => settings.text(t, &[], Into::Plain),
            None => Ok(None),
        };
        let role = match text(&aws.assume_role)? {
            None => None,
            Some(arn) => {
                let operation = service::assume_role().ok_or_else(nowhere)?;
                Some(Role {
                    arn,
                    external_id: text(&aws.external_id)?,
                    region: region.to_owned(),
                    address: operation.service.address(region, endpoint)?,
                    wire: sts()?,
                })
            }
        };
        let held = match &aws.credentials {
            Credentials::Default => None,
            Credentials::Keys(keys) => held(keys, settings)?,
        };
        let client = tls::client(&Tls::default(), &NEARBY)?;
        Ok(Self {
            held,
            // No programs are run to find keys.
            chain: DefaultCredentialProvider::builder().no_process().build(),
            role,
            context: Context::new()
                .with_file_read(TokioFileRead)
                .with_http_send(ReqwestHttpSend::new(client))
                .with_env(OsEnv),
            kept: Mutex::new(None),
        })
    }

    /// Keys that are good for a while.
    async fn current(&self) -> Result<Credential> {
        let mut kept = self.kept.lock().await;
        if let Some(keys) = kept.as_ref().filter(|k| k.is_valid()) {
            return Ok(keys.clone());
        }
        let own = self.own().await?;
        let keys = match &self.role {
            None => own,
            Some(role) => role.take(&own).await?,
        };
        Ok(kept.insert(keys).clone())
    }

    async fn own(&self) -> Result<Credential> {
        if let Some(held) = &self.held {
            return Ok(held.clone());
        }
        // What a provider says may quote what it read, so only its kind is told.
        let found = self.chain.provide_credential(&self.context).await;
        found
            .map_err(|e| Error::Keys(format!("the search for AWS keys failed: {}", e.kind())))?
            .ok_or_else(|| {
                Error::Keys("there are no AWS keys in the environment, a profile, a web identity, the container or the instance".to_owned())
            })
    }

    /// Signs a request for a service in a region.
    pub(super) async fn sign(&self, request: &mut Outgoing, call: Call<'_>) -> Result<()> {
        let keys = self.current().await?;
        sign(request, call, &keys).await
    }

    /// Forgets the keys. Whether others can be had.
    pub(super) async fn forget(&self) -> bool {
        *self.kept.lock().await = None;
        self.held.is_none() || self.role.is_some()
    }
}

/// The keys that a connector holds; none when the settings that they need are left out.
fn held(keys: &Held, settings: &Settings) -> Result<Option<Credential>> {
    let secret = |t: &Template| -> Result<_> {
        Ok(settings.secret(t)?.map(|s| s.expose_secret().to_owned()))
    };
    let token = match &keys.session_token {
        Some(template) => secret(template)?,
        None => None,
    };
    match (
        secret(&keys.access_key_id)?,
        secret(&keys.secret_access_key)?,
    ) {
        (Some(access_key_id), Some(secret_access_key)) => Ok(Some(Credential {
            access_key_id,
            secret_access_key,
            session_token: token,
            expires_in: None,
        })),
        (None, None) => Ok(None),
        _ => Err(Error::Settings(
            "an access key id and its secret belong together; only one is given".to_owned(),
        )),
    }
}

/// There is no service to take a role from. The list of services has one.
fn nowhere() -> Error {
    Error::Keys("a role cannot be taken".to_owned())
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys([redacted])")
    }
}

impl Role {
    async fn take(&self, own: &Credential) -> Result<Credential> {
        let operation = service::assume_role().ok_or_else(nowhere)?;
        let mut body = Map::new();
        body.insert("RoleArn".to_owned(), self.arn.clone().into());
        body.insert("RoleSessionName".to_owned(), "tripline".into());
        body.extend(
            self.external_id
                .clone()
                .map(|id| ("ExternalId".to_owned(), id.into())),
        );
        let call = Call {
            operation,
            region: &self.region,
        };
        let request = speak::request(call, self.address.clone(), &Value::Object(body))?;
        let signer = WithOwn { call, own };
        let meter = Meter::default();
        let how = Handling {
            signer: &signer,
            responses: &[],
            meter: &meter,
        };
        let Answered::Ok(answer) = self.wire.send(&request, how).await? else {
            return Err(Error::Keys("the role gave no keys".to_owned()));
        };
        let document = speak::document(operation, &answer)?;
        let given = document.get("Credentials");
        let text = |name: &str| {
            given
                .and_then(|g| g.get(name))
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let missing = || Error::Keys("the role gave no keys".to_owned());
        Ok(Credential {
            access_key_id: text("AccessKeyId").ok_or_else(missing)?,
            secret_access_key: text("SecretAccessKey").ok_or_else(missing)?,
            session_token: text("SessionToken"),
            expires_in: text("Expiration").and_then(|t| t.parse().ok()),
        })
    }
}

/// Signs with the keys that we have before we take a role.
struct WithOwn<'a> {
    call: Call<'a>,
    own: &'a Credential,
}

#[async_trait]
impl Signer for WithOwn<'_> {
    async fn sign(&self, request: &mut Outgoing) -> Result<()> {
        sign(request, self.call, self.own).await
    }

    fn fault(&self, answer: &Answer) -> Option<Fault> {
        speak::fault(answer)
    }
}

/// Signs a request with Signature Version 4.
async fn sign(request: &mut Outgoing, call: Call<'_>, keys: &Credential) -> Result<()> {
    let wrong = |what: String| Error::Keys(format!("the request cannot be signed: {what}"));
    let body = request.body.as_deref().unwrap_or_default();
    let digest = hex_sha256(body)
        .parse()
        .map_err(|_| wrong("its digest".to_owned()))?;
    request.headers.insert("x-amz-content-sha256", digest);
    // AWS signs a path that is encoded twice, except for S3. The signer encodes as for S3, so it is shown
    // a path that is encoded once more than the one that is sent.
    let url = &request.url;
    let twice = url.path().replace('%', "%25");
    let shown = format!(
        "{}{twice}{}",
        &url[..Position::BeforePath],
        &url[Position::AfterPath..]
    );
    let mut parts = http::Request::builder()
        .method(request.method.as_str())
        .uri(shown)
        .body(())
        .map_err(|e| wrong(e.to_string()))?
        .into_parts()
        .0;
    parts.headers = request.headers.clone();
    let service = call.operation.service;
    RequestSigner::new(service.signing, service.signing_region(call.region))
        .sign_request(&Context::new(), &mut parts, Some(keys), None)
        .await
        .map_err(|e| wrong(e.kind().to_string()))?;
    request.headers = parts.headers;
    Ok(())
}
