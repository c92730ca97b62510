//! What may be shown. Texts from a source pass here before they reach an error, a log or a recording,
//! because a source may say our own secret back to us.

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use url::Url;

/// What stands where a secret was.
pub const REDACTED: &str = "REDACTED";

/// Shorter secrets are not looked for: they would blank out ordinary words.
const SHORTEST: usize = 4;

/// Parts of names whose values are secrets.
const SECRET_WORDS: &[&str] = &[
    "secret",
    "password",
    "passwd",
    "token",
    "apikey",
    "api_key",
    "authorization",
    "cookie",
    "credential",
    "private_key",
    "privatekey",
    "session",
    "signature",
    "assertion",
];

/// Names that look like secrets and are not: tokens of paging, ids, counts and times.
const HARMLESS: &[&str] = &[
    "next_page_token",
    "nextpagetoken",
    "nexttoken",
    "page_token",
    "pagetoken",
    "secret_id_accessor",
    "secretlist",
    "secret_id_ttl",
    "secret_id_num_uses",
    "token_type",
    "token_policies",
    "token_ttl",
    "token_max_ttl",
    "token_last_used_at",
    "token_expires_at",
    "token_expired",
    "token_id",
    "secrettype",
    "secretversionstostages",
];

/// Knows the secrets of one collection and takes them out of texts.
#[derive(Debug, Default)]
pub struct Scrub {
    secrets: Vec<SecretString>,
}

impl Scrub {
    /// Knows these secrets.
    pub fn new(secrets: Vec<SecretString>) -> Self {
        Self {
            secrets: secrets
                .into_iter()
                .filter(|s| s.expose_secret().len() >= SHORTEST)
                .collect(),
        }
    }

    /// The text without any of the secrets, and no longer than `most` characters.
    pub fn text(&self, text: &str, most: usize) -> String {
        let mut clean = text.to_owned();
        for secret in &self.secrets {
            let secret = secret.expose_secret();
            clean = clean.replace(secret, REDACTED);
            let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            clean = clean.replace(&encoded, REDACTED);
        }
        let clean: String = clean.split_whitespace().collect::<Vec<_>>().join(" ");
        match clean.char_indices().nth(most) {
            Some((at, _)) => format!("{}…", clean.get(..at).unwrap_or_default()),
            None => clean,
        }
    }

    /// The document without the secrets and without the values of names that look like secrets.
    pub fn document(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                for secret in &self.secrets {
                    if text.contains(secret.expose_secret()) {
                        *text = text.replace(secret.expose_secret(), REDACTED);
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|i| self.document(i)),
            Value::Object(members) => {
                for (name, member) in members.iter_mut() {
                    match member {
                        Value::String(text) if is_secret(name) && !text.is_empty() => {
                            REDACTED.clone_into(text);
                        }
                        _ => self.document(member),
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// The address without the values of query parameters that look like secrets.
    pub fn address(&self, url: &Url) -> String {
        let mut clean = url.clone();
        if url.query().is_some() {
            let pairs: Vec<(String, String)> = url
                .query_pairs()
                .map(|(name, value)| {
                    let value = if is_secret(&name) {
                        REDACTED.to_owned()
                    } else {
                        self.text(&value, usize::MAX)
                    };
                    (name.into_owned(), value)
                })
                .collect();
            clean.query_pairs_mut().clear().extend_pairs(pairs);
        }
        clean.to_string()
    }
}

/// Whether the value under a name is likely a secret.
pub fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('-', "_");
    !HARMLESS.contains(&name.as_str()) && SECRET_WORDS.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn scrub() -> Scrub {
        Scrub::new(vec!["s3cr/et+value".into(), "x".into()])
    }

    #[test]
    fn a_secret_that_is_said_back_is_taken_out() {
        assert_eq!(
            scrub().text("bad token s3cr/et+value\n  for x", 100),
            "bad token REDACTED for x"
        );
        assert_eq!(
            scrub().text("…?t=s3cr%2Fet%2Bvalue&b", 100),
            "…?t=REDACTED&b"
        );
        assert_eq!(scrub().text("a long text", 6), "a long…");
    }

    #[test]
    fn a_recording_keeps_shape_and_loses_secrets() {
        let mut body = json!({ "client_token": "hvs.1", "next_page_token": "abc", "keys": ["a s3cr/et+value"], "data": { "Password": "x", "n": 1, "secret": { "name": "kept" } } });
        scrub().document(&mut body);
        assert_eq!(
            body,
            json!({ "client_token": "REDACTED", "next_page_token": "abc", "keys": ["a REDACTED"], "data": { "Password": "REDACTED", "n": 1, "secret": { "name": "kept" } } })
        );
        let url = Url::parse("https://a.test/x?access_token=1&name=b").unwrap();
        assert_eq!(
            scrub().address(&url),
            "https://a.test/x?access_token=REDACTED&name=b"
        );
    }
}
