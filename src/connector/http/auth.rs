//! Who we are for a source. Secrets are read when a collection begins; tokens that a login gave are
//! kept in [`Sessions`] until a minute before they end, across collections, and one login serves all
//! who wait for it. A 401 forgets the token once. Nothing here prints a secret.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex as StdMutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Mutex;

use super::{
    login::Login,
    wire::{Outgoing, Signer},
};
use crate::{
    catalog::connector::{
        http::{Auth, Basic},
        template::Template,
    },
    connector::{
        error::{Error, Result},
        settings::Settings,
    },
    model::id::Sha,
};

/// How long before its end a token is no longer used.
const MARGIN: Duration = Duration::from_mins(1);

/// Tokens that logins gave, kept across collections. Cheap to clone; all clones are the same.
#[derive(Clone, Default)]
pub struct Sessions {
    slots: Arc<StdMutex<HashMap<Sha, Slot>>>,
}

type Slot = Arc<Mutex<Option<Token>>>;

/// A token and when it ends.
#[derive(Debug, Clone)]
pub struct Token {
    /// The token.
    pub value: SecretString,
    /// How long it lasts from when it was given; without an end it is kept until a 401.
    pub lasts: Option<Duration>,
    /// When it was given.
    pub given: Instant,
}

impl Token {
    fn is_fresh(&self) -> bool {
        self.lasts
            .is_none_or(|lasts| self.given.elapsed() + MARGIN < lasts)
    }
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sessions")
    }
}

impl Sessions {
    fn slot(&self, key: Sha) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.entry(key).or_default().clone()
    }
}

/// Says who we are, in the way that a connector declares.
pub enum Identity {
    /// Nothing is said.
    Nobody,
    /// Headers that never change.
    Headers(HeaderMap),
    /// A query parameter that never changes.
    Query(String, SecretString),
    /// A token that a login gives.
    Login {
        /// How to log in.
        login: Box<Login>,
        /// Where the token is kept.
        slot: Slot,
    },
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Nobody => "Nobody",
            Self::Headers(_) => "Headers([redacted])",
            Self::Query(..) => "Query([redacted])",
            Self::Login { .. } => "Login([redacted])",
        })
    }
}

impl Identity {
    /// Fills in what a connector declares. When every setting that it needs is left out, nothing is said;
    /// when only some are, that is a mistake.
    pub fn new(
        auth: &Auth,
        settings: &Settings,
        sessions: &Sessions,
        login: impl FnOnce() -> Result<Option<Login>>,
    ) -> Result<Self> {
        let given = |t: &Template| settings.secret(t);
        Ok(match auth {
            Auth::None => Self::Nobody,
            Auth::Basic(Basic { username, password }) => match (given(username)?, given(password)?)
            {
                (None, None) => Self::Nobody,
                (Some(name), Some(password)) => {
                    let pair = format!("{}:{}", name.expose_secret(), password.expose_secret());
                    headers(
                        &header::AUTHORIZATION,
                        &format!("Basic {}", BASE64_STANDARD.encode(pair)).into(),
                    )?
                }
                _ => {
                    return Err(Error::Settings(
                        "a user name and a password belong together; only one is given".to_owned(),
                    ));
                }
            },
            Auth::Bearer(token) => match given(token)? {
                None => Self::Nobody,
                Some(token) => headers(
                    &header::AUTHORIZATION,
                    &format!("Bearer {}", token.expose_secret()).into(),
                )?,
            },
            Auth::ApiKey(key) => match (given(&key.value)?, &key.header, &key.query) {
                (Some(value), Some(name), _) => {
                    let name = name
                        .parse::<HeaderName>()
                        .map_err(|_| Error::Settings(format!("`{name}` is not a header")))?;
                    headers(&name, &value)?
                }
                (Some(value), None, Some(name)) => Self::Query(name.clone(), value),
                _ => Self::Nobody,
            },
            Auth::ClientCredentials(_) | Auth::Jwt(_) | Auth::Vault(_) => match login()? {
                None => Self::Nobody,
                Some(login) => {
                    let slot = sessions.slot(login.fingerprint());
                    Self::Login {
                        login: Box::new(login),
                        slot,
                    }
                }
            },
        })
    }
}

#[async_trait]
impl Signer for Identity {
    async fn sign(&self, request: &mut Outgoing) -> Result<()> {
        match self {
            Self::Nobody => {}
            Self::Headers(own) => request.headers.extend(own.clone()),
            Self::Query(name, value) => {
                request
                    .url
                    .query_pairs_mut()
                    .append_pair(name, value.expose_secret());
            }
            Self::Login { login, slot } => {
                let mut kept = slot.lock().await;
                let token = match kept.as_ref().filter(|t| t.is_fresh()) {
                    Some(token) => token.value.clone(),
                    None => kept.insert(login.token().await?).value.clone(),
                };
                drop(kept);
                login.show(&token, &mut request.headers)?;
            }
        }
        Ok(())
    }

    async fn forget(&self) -> bool {
        match self {
            Self::Login { slot, login } => {
                *slot.lock().await = None;
                login.can_renew()
            }
            _ => false,
        }
    }
}

fn headers(name: &HeaderName, value: &SecretString) -> Result<Identity> {
    Ok(Identity::Headers(HeaderMap::from_iter([(
        name.clone(),
        sensitive(value)?,
    )])))
}

/// A header value that prints as `Sensitive`.
pub fn sensitive(value: &SecretString) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(value.expose_secret()).map_err(|_| {
        Error::Settings("a secret holds characters that no header can carry".to_owned())
    })?;
    value.set_sensitive(true);
    Ok(value)
}
