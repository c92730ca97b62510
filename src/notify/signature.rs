//! Standard Webhooks 1.0.0: who sent a post and that nobody changed it. `v1` is an HMAC-SHA256 over
//! `id.timestamp.body`; a key that is being rotated signs beside the new one.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use hmac::{Hmac, Mac as _};
use secrecy::{ExposeSecret as _, SecretBox, SecretString};
use sha2::Sha256;

use super::error::{Error, Result};

/// A key of 24 to 64 bytes.
#[derive(Debug)]
pub struct Key(SecretBox<Vec<u8>>);

impl Key {
    /// Reads `whsec_` and base64.
    pub fn parse(secret: &SecretString) -> Result<Self> {
        let wrong = Error::Key("write `whsec_` and 24 to 64 bytes in base64");
        let Some(text) = secret.expose_secret().strip_prefix("whsec_") else {
            return Err(wrong);
        };
        match STANDARD.decode(text) {
            Ok(bytes) if (24..=64).contains(&bytes.len()) => {
                Ok(Self(SecretBox::new(Box::new(bytes))))
            }
            _ => Err(wrong),
        }
    }

    /// One signature: `v1,` and base64.
    fn sign(&self, signed: &str) -> Result<String> {
        // HMAC takes a key of any length, so this does not fail.
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose_secret())
            .map_err(|_| Error::Key("it has no length"))?;
        mac.update(signed.as_bytes());
        Ok(format!(
            "v1,{}",
            STANDARD.encode(mac.finalize().into_bytes())
        ))
    }
}

/// The value of `webhook-signature` for one attempt: a signature for each key, by spaces.
pub fn sign(keys: &[Key], id: &str, at: DateTime<Utc>, body: &str) -> Result<String> {
    let signed = format!("{id}.{}.{body}", at.timestamp());
    let all: Result<Vec<String>> = keys.iter().map(|key| key.sign(&signed)).collect();
    Ok(all?.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(byte: u8) -> SecretString {
        format!("whsec_{}", STANDARD.encode([byte; 32])).into()
    }

    #[test]
    fn the_reference_implementation_accepts_our_signatures() {
        let (old, new) = (secret(1), secret(2));
        let keys = [Key::parse(&new).unwrap(), Key::parse(&old).unwrap()];
        // The reference implementation compares with the wall clock.
        let now = crate::clock::Clock::now(&crate::clock::SystemClock);
        let body = r#"{"a":1}"#;
        let value = sign(&keys, "ntc-1", now, body).unwrap();
        let mut headers = http::HeaderMap::new();
        headers.insert("webhook-id", "ntc-1".parse().unwrap());
        headers.insert(
            "webhook-timestamp",
            now.timestamp().to_string().parse().unwrap(),
        );
        headers.insert("webhook-signature", value.parse().unwrap());
        for secret in [&old, &new] {
            let verifier = standardwebhooks::Webhook::new(secret.expose_secret()).unwrap();
            verifier.verify(body.as_bytes(), &headers).unwrap();
            assert!(verifier.verify(br#"{"a":2}"#, &headers).is_err());
        }
        let stranger = standardwebhooks::Webhook::new(secret(3).expose_secret()).unwrap();
        assert!(stranger.verify(body.as_bytes(), &headers).is_err());
    }

    #[test]
    fn a_key_is_long_enough_or_refused_without_being_shown() {
        for text in ["hunter2", "whsec_", "whsec_aGVsbG8=", "whsec_%%%"] {
            let error = Key::parse(&SecretString::from(text)).unwrap_err();
            assert!(!error.to_string().contains("hunter2"));
        }
        assert!(!format!("{:?}", Key::parse(&secret(7)).unwrap()).contains("7, 7"));
    }
}
