//! Decision tokens: a JSON Web Signature (RFC 7515, compact) over what was answered when somebody asked. One profile and
//! no other: EdDSA over Ed25519 (RFC 8037), `typ` fixed, issuer and audience fixed, an end of minutes. What lasts is the
//! proof in the log; a token only carries an answer to where it is acted on.
//!
//! The key is derived from the key of the log and is not that key, so that no signature of one kind can be taken for
//! another.

use chrono::{DateTime, Utc};
use ed25519_dalek::{SigningKey, pkcs8::EncodePrivateKey as _};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// What kind of token it is; a token of another kind is none of ours.
const TYP: &str = "tripline-decision+jwt";

/// Who it is for.
const AUDIENCE: &str = "tripline-decision";

/// What is signed besides the answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claims {
    /// The name of the log.
    pub iss: String,
    /// Who it is for.
    pub aud: String,
    /// The subject that was asked about.
    pub sub: String,
    /// Its own id.
    pub jti: String,
    /// When it was answered, in seconds of Unix time.
    pub iat: i64,
    /// Until when the answer may be acted on, in seconds of Unix time.
    pub exp: i64,
    /// The answer.
    #[serde(flatten)]
    pub answer: Map<String, Value>,
}

/// Why a token is not believed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is no token of this profile, was not signed by this key, or is over.
    #[error("the token is not believed: {0}")]
    NotBelieved(String),
    /// The key cannot sign.
    #[error("the key cannot sign tokens")]
    Key,
}

/// The key that signs decision tokens, with its public half.
#[derive(Clone)]
pub struct Signer {
    encoding: EncodingKey,
    public: Vec<u8>,
    issuer: String,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer")
            .field("issuer", &self.issuer)
            .field("kid", &self.kid())
            .finish_non_exhaustive()
    }
}

impl Signer {
    /// The key of tokens of a log.
    ///
    /// # Errors
    /// The key cannot be written in the form that signing needs.
    pub(super) fn derive(seed: &[u8], issuer: &str) -> Result<Self, Error> {
        let mut hash = Sha256::new();
        hash.update(b"tripline decision token v1\0");
        hash.update(seed);
        let secret = SigningKey::from_bytes(&hash.finalize().into());
        let der = secret.to_pkcs8_der().map_err(|_| Error::Key)?;
        Ok(Self {
            encoding: EncodingKey::from_ed_der(der.as_bytes()),
            public: secret.verifying_key().to_bytes().to_vec(),
            issuer: issuer.to_owned(),
        })
    }

    /// The public half as a JSON Web Key (RFC 8037).
    pub fn jwk(&self) -> Value {
        json!({
            "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": self.kid(),
            "x": URL_SAFE_NO_PAD.encode(&self.public),
        })
    }

    fn kid(&self) -> String {
        let digest: [u8; 32] = Sha256::digest(&self.public).into();
        URL_SAFE_NO_PAD.encode(digest.get(..8).unwrap_or_default())
    }

    /// Signs an answer.
    ///
    /// # Errors
    /// The key cannot sign.
    pub fn sign(
        &self,
        (subject, jti): (&str, String),
        answer: Map<String, Value>,
        (now, until): (DateTime<Utc>, DateTime<Utc>),
    ) -> Result<String, Error> {
        let header = Header {
            typ: Some(TYP.to_owned()),
            kid: Some(self.kid()),
            ..Header::new(Algorithm::EdDSA)
        };
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: AUDIENCE.to_owned(),
            sub: subject.to_owned(),
            jti,
            iat: now.timestamp(),
            exp: until.timestamp(),
            answer,
        };
        jsonwebtoken::encode(&header, &claims, &self.encoding).map_err(|_| Error::Key)
    }
}

/// Checks a token against the public half as [`Signer::jwk`] gives it, at an instant.
///
/// # Errors
/// Why it is not believed.
pub fn verify(token: &str, jwk: &Value, issuer: &str, now: DateTime<Utc>) -> Result<Claims, Error> {
    let no = |why: &str| Error::NotBelieved(why.to_owned());
    let header = jsonwebtoken::decode_header(token).map_err(|e| no(&e.to_string()))?;
    if header.typ.as_deref() != Some(TYP) {
        return Err(no("it is a token of another kind"));
    }
    let x = jwk.get("x").and_then(Value::as_str).unwrap_or_default();
    let key = DecodingKey::from_ed_components(x).map_err(|e| no(&e.to_string()))?;
    let mut rules = Validation::new(Algorithm::EdDSA);
    rules.set_audience(&[AUDIENCE]);
    rules.set_issuer(&[issuer]);
    rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    // The instant is ours to say, and there is no leeway.
    rules.validate_exp = false;
    let claims = jsonwebtoken::decode::<Claims>(token, &key, &rules)
        .map_err(|e| no(&e.to_string()))?
        .claims;
    if now.timestamp() >= claims.exp {
        return Err(no("it is over"));
    }
    if now.timestamp() < claims.iat {
        return Err(no("it is from the future"));
    }
    Ok(claims)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-11-20T08:00:00Z".parse().unwrap()
    }

    fn signer() -> Signer {
        Signer::derive(&[7; 32], "example.test/tripline").unwrap()
    }

    fn token() -> String {
        let answer = json!({ "answer": "covered", "exception": "EXC-2026-0001" });
        let until = now() + TimeDelta::minutes(5);
        let about = ("aws/secret/a", "one".to_owned());
        let answer = answer.as_object().unwrap().clone();
        signer().sign(about, answer, (now(), until)).unwrap()
    }

    fn believed(token: &str, at: DateTime<Utc>) -> Result<Claims, Error> {
        verify(token, &signer().jwk(), "example.test/tripline", at)
    }

    #[test]
    fn an_answer_is_believed_until_it_is_over() {
        let claims = believed(&token(), now()).unwrap();
        assert_eq!(claims.answer["answer"], "covered");
        believed(&token(), now() + TimeDelta::seconds(299)).unwrap();
        believed(&token(), now() + TimeDelta::seconds(300)).unwrap_err();
        believed(&token(), now() - TimeDelta::seconds(1)).unwrap_err();
    }

    #[test]
    fn what_was_changed_or_comes_from_elsewhere_is_not_believed() {
        let token = token();
        let parts: Vec<&str> = token.split('.').collect();
        let other = URL_SAFE_NO_PAD.encode(
            String::from_utf8(URL_SAFE_NO_PAD.decode(parts[1]).unwrap())
                .unwrap()
                .replace("covered", "allowed"),
        );
        believed(&format!("{}.{other}.{}", parts[0], parts[2]), now()).unwrap_err();
        // No signature at all, and a key that is not ours.
        let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"tripline-decision+jwt"}"#);
        believed(&format!("{none}.{}.", parts[1]), now()).unwrap_err();
        let stranger = Signer::derive(&[8; 32], "example.test/tripline").unwrap();
        verify(&token, &stranger.jwk(), "example.test/tripline", now()).unwrap_err();
        verify(&token, &signer().jwk(), "example.test/other", now()).unwrap_err();
    }
}
