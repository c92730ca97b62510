//! Who acts: a personal token, shown once when it is made and kept as a digest. It ends by itself.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use rand::RngCore as _;
use secrecy::{ExposeSecret as _, SecretString};

use super::Error;
use crate::{
    audit::leaf::{Authority, AuthorityFact, Fact, Leaf, blind},
    clock::stamp,
    model::{
        id::{PersonId, Sha},
        people::Directory,
        span::Span,
    },
    run::Context,
    store::{
        Tx, audit, salts,
        tokens::{self, Token},
    },
};

/// How a token begins, so that it is recognised where it does not belong.
const PREFIX: &str = "tlp_";

/// What a token may be used for.
pub(super) const SCOPES: &[&str] = &["register"];

/// Who a token says we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The person.
    pub person: PersonId,
    /// The token.
    pub token: String,
}

/// Makes a token for a person. It is given once, here.
///
/// # Errors
/// When the store cannot be written.
pub async fn issue(
    cx: &Context,
    (person, name): (&PersonId, &str),
    lasts: Span,
) -> Result<(Token, SecretString), Error> {
    let mut bytes = [0; 32];
    rand::rngs::OsRng.fill_bytes(&mut bytes);
    let secret = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
    super::plainly("name", Some(name))?;
    let now = cx.clock.now();
    let token = Token {
        id: stamp("tok-", now),
        person: person.clone(),
        name: name.to_owned(),
        scopes: SCOPES.iter().map(|s| (*s).to_owned()).collect(),
        created_at: now,
        expires_at: now + lasts.to_delta(),
        revoked_at: None,
    };
    let mut tx = cx.store.begin().await?;
    tokens::insert(&mut tx, &token, Sha::of(&secret)).await?;
    prove(&mut tx, Authority::TokenMade, &token, now).await?;
    tx.commit().await?;
    Ok((token, secret.into()))
}

/// Takes a token back; whether it was still good.
///
/// # Errors
/// When the store cannot be read or written.
pub async fn revoke(cx: &Context, id: &str) -> Result<bool, Error> {
    let now = cx.clock.now();
    let mut tx = cx.store.begin().await?;
    if !tokens::revoke(&mut tx, id, now).await? {
        return Ok(false);
    }
    let all = tokens::list(&mut tx).await?;
    if let Some(token) = all.iter().find(|t| t.id == id) {
        prove(&mut tx, Authority::TokenTakenBack, token, now).await?;
    }
    tx.commit().await?;
    Ok(true)
}

/// The leaf of a token that was made or taken back: who may act as whom is proved, too.
async fn prove(
    tx: &mut Tx,
    what: Authority,
    token: &Token,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let fact = AuthorityFact {
        what,
        about: token.id.clone(),
        person: blinded(tx, &token.person).await?,
        delegate: None,
        role: None,
        begins_at: token.created_at,
        ends_at: token.expires_at,
    };
    audit::append(tx, &[Leaf::new(now, Fact::Authority(fact))]).await?;
    Ok(())
}

/// A person as the log names them.
pub(super) async fn blinded(tx: &mut Tx, person: &PersonId) -> Result<Sha, Error> {
    let name = format!("person:{person}");
    Ok(blind(&salts::of(tx, &name).await?, &name))
}

/// Who a token belongs to, if it is good now and its person is still there.
///
/// # Errors
/// A named reason.
pub async fn who(
    cx: &Context,
    directory: &Directory,
    secret: &SecretString,
    now: DateTime<Utc>,
) -> Result<Identity, Error> {
    let refuse = |reason: &str, say: &str| Err(Error::refused(reason, say));
    let text = secret.expose_secret().trim();
    if !text.starts_with(PREFIX) {
        return refuse(
            "no_token",
            "this is no token of Tripline; `tripline token create` makes one",
        );
    }
    let found = tokens::get(&mut cx.store.read().await?, Sha::of(text)).await?;
    let Some(token) = found else {
        return refuse("unknown_token", "nobody has this token");
    };
    if now < token.created_at {
        return refuse(
            "token_not_made_yet",
            "this token was made later than the clock says; the clock is wrong",
        );
    }
    if token.revoked_at.is_some() {
        return refuse("revoked_token", "this token was taken back");
    }
    if now >= token.expires_at {
        return refuse(
            "expired_token",
            "this token is over; `tripline token create` makes another",
        );
    }
    if directory.person(&token.person).is_none() {
        return refuse(
            "person_left",
            "whose token this is is no longer in `people`",
        );
    }
    Ok(Identity {
        person: token.person,
        token: token.id,
    })
}
