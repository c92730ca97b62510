//! A checkpoint: the head of the log, signed. C2SP `tlog-checkpoint` in a C2SP `signed-note`, Ed25519.
//!
//! A [`Checkpoint`] that came from text was verified: there is no other way to get one. Signatures of keys
//! that nobody named (witnesses, keys of other kinds) are ignored, as the format asks.

use std::{collections::BTreeMap, fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::VerifyingKey;
use signed_note::{
    Note, NoteError, StandardVerifier, Verifier, VerifierList, is_key_name_valid,
    new_ed25519_verifier_key,
};
use tlog_tiles::{checkpoint as tile, tlog::Hash};

use super::key::Key;
use crate::model::id::Sha;

/// Why a text is no checkpoint of this log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is no signed note, or what is signed is no checkpoint.
    #[error("this is no checkpoint")]
    Malformed,
    /// None of the known keys signed it.
    #[error("no known key signed it")]
    Unsigned,
    /// A known key's signature does not fit.
    #[error("the signature does not fit")]
    Signature,
    /// It is the head of another log.
    #[error("it is a head of the log `{0}`")]
    Origin(String),
}

/// The head of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log.
    pub origin: String,
    /// How many leaves.
    pub size: u64,
    /// The root of their tree.
    pub root: Sha,
}

/// Whether a text may name a log: what the name of a key may be, on one line.
pub fn is_origin(text: &str) -> bool {
    is_key_name_valid(text) && !text.chars().any(char::is_control)
}

impl Checkpoint {
    /// Signs the head: the text of the note, ready to be published.
    ///
    /// # Errors
    /// When the origin is not that of the key.
    pub fn sign(&self, key: &Key) -> Result<String, Error> {
        if self.origin != key.public().origin() {
            return Err(Error::Origin(self.origin.clone()));
        }
        let body = tile::Checkpoint::new(&self.origin, self.size, Hash(self.root.0), "")
            .map_err(|_| Error::Malformed)?;
        let mut note = Note::new(&body.to_bytes(), &[]).map_err(|_| Error::Malformed)?;
        note.add_sigs(&[key.signer()])
            .map_err(|_| Error::Signature)?;
        String::from_utf8(note.to_bytes()).map_err(|_| Error::Malformed)
    }

    /// Reads a signed head. At least one of the keys must have signed it, and it must be a head of that key's log.
    ///
    /// # Errors
    /// When it is malformed, not signed by a known key, wrongly signed, or of another log.
    pub fn verify(note: &str, keys: &[PublicKey]) -> Result<Self, Error> {
        let claim = Self::claim(note)?;
        let parsed = Note::from_bytes(note.as_bytes()).map_err(|_| Error::Malformed)?;
        let known = VerifierList::new(each_once(keys));
        let (by, _) = parsed.verify(&known).map_err(|error| match error {
            NoteError::UnverifiedNote => Error::Unsigned,
            _ => Error::Signature,
        })?;
        if by.iter().any(|s| s.name() == claim.origin) {
            Ok(claim)
        } else {
            Err(Error::Origin(claim.origin))
        }
    }

    /// What a note claims to be, true or not: to say in a report what it is that does not hold.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn claim(note: &str) -> Result<Self, Error> {
        let note = Note::from_bytes(note.as_bytes()).map_err(|_| Error::Malformed)?;
        let body = tile::Checkpoint::from_bytes(note.text()).map_err(|_| Error::Malformed)?;
        Ok(Self {
            origin: body.origin().to_owned(),
            size: body.size(),
            root: Sha(body.hash().0),
        })
    }
}

/// A key that is named twice would be ambiguous.
fn each_once(keys: &[PublicKey]) -> Vec<Box<dyn Verifier>> {
    let keys: BTreeMap<&str, &PublicKey> = keys.iter().map(|k| (k.as_str(), k)).collect();
    let boxed = |k: &PublicKey| -> Box<dyn Verifier> { Box::new(k.verifier.clone()) };
    keys.into_values().map(boxed).collect()
}

/// The public half of a log's key, `name+id+key`.
#[derive(Clone)]
pub struct PublicKey {
    text: String,
    verifier: StandardVerifier,
    key: VerifyingKey,
}

impl PublicKey {
    /// The key of a log.
    pub(super) fn new(origin: &str, key: VerifyingKey) -> Option<Self> {
        let text = new_ed25519_verifier_key(origin, &key);
        let verifier = StandardVerifier::new(&text).ok()?;
        Some(Self {
            text,
            verifier,
            key,
        })
    }

    /// The log that it signs for.
    pub fn origin(&self) -> &str {
        self.verifier.name()
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// SHA-256 of the 32 bytes of the key: what people compare.
    pub fn fingerprint(&self) -> Sha {
        Sha::of(self.key.as_bytes())
    }
}

impl FromStr for PublicKey {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong =
            "a public key of a log is `name+id+key`, with the id that belongs to name and key";
        // The key itself may hold a `+`, the name and the id may not.
        let (name, rest) = text.split_once('+').ok_or(wrong)?;
        let (_, key) = rest.split_once('+').ok_or(wrong)?;
        let key = STANDARD.decode(key).map_err(|_| wrong)?;
        let key = key
            .get(1..)
            .and_then(|k| VerifyingKey::try_from(k).ok())
            .ok_or(wrong)?;
        // Written back and compared, so that there is one text for one key.
        Self::new(name, key).filter(|k| k.text == text).ok_or(wrong)
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for PublicKey {}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: &str = "example.test/tripline";

    fn head(size: u64) -> Checkpoint {
        Checkpoint {
            origin: ORIGIN.to_owned(),
            size,
            root: Sha::of(size.to_string()),
        }
    }

    #[test]
    fn a_head_that_we_signed_is_a_note_that_everybody_can_read() {
        let key = Key::generate(ORIGIN).unwrap();
        let note = head(7).sign(&key).unwrap();
        let lines: Vec<&str> = note.lines().collect();
        assert_eq!(lines[0], ORIGIN);
        assert_eq!(lines[1], "7");
        assert_eq!(STANDARD.decode(lines[2]).unwrap(), Sha::of("7").0);
        assert_eq!(lines[3], "");
        assert!(lines[4].starts_with("\u{2014} example.test/tripline "));
        assert_eq!(
            Checkpoint::verify(&note, &[key.public().clone()]),
            Ok(head(7))
        );
    }

    #[test]
    fn a_published_note_of_another_program_verifies() {
        // The example of the signed-note specification, which is signed but no checkpoint.
        let key = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        let key: PublicKey = key.parse().unwrap();
        assert_eq!(key.origin(), "PeterNeumann");
        assert!(
            "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
                .parse::<PublicKey>()
                .is_err()
        );
        assert!(
            "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
                .parse::<PublicKey>()
                .is_err()
        );
    }

    #[test]
    fn a_wrong_key_an_unknown_one_and_a_broken_signature_are_told_apart() {
        let key = Key::generate(ORIGIN).unwrap();
        let note = head(7).sign(&key).unwrap();
        let ours = [key.public().clone()];
        let stranger = Key::generate(ORIGIN).unwrap();
        assert_eq!(
            Checkpoint::verify(&note, &[stranger.public().clone()]),
            Err(Error::Unsigned)
        );
        let forged = note.replace("\n7\n", "\n8\n");
        assert_eq!(Checkpoint::verify(&forged, &ours), Err(Error::Signature));
        assert_eq!(Checkpoint::verify("hello", &ours), Err(Error::Malformed));
        // Signed by a key that we know, but the head of another log.
        let other = Key::generate("example.test/other").unwrap();
        assert_eq!(head(7).sign(&other), Err(Error::Origin(ORIGIN.to_owned())));
        let mut lent = Note::new(&note_text(&note), &[]).unwrap();
        lent.add_sigs(&[other.signer()]).unwrap();
        let lent = String::from_utf8(lent.to_bytes()).unwrap();
        assert_eq!(
            Checkpoint::verify(&lent, &[other.public().clone()]),
            Err(Error::Origin(ORIGIN.to_owned()))
        );
    }

    #[test]
    fn signatures_of_witnesses_that_nobody_named_are_ignored() {
        let key = Key::generate(ORIGIN).unwrap();
        let witness = Key::generate("witness.example.test").unwrap();
        let mut note = Note::from_bytes(head(7).sign(&key).unwrap().as_bytes()).unwrap();
        note.add_sigs(&[witness.signer()]).unwrap();
        let note = String::from_utf8(note.to_bytes()).unwrap();
        let ours = key.public().clone();
        assert_eq!(
            Checkpoint::verify(&note, &[ours.clone(), ours]),
            Ok(head(7))
        );
        assert_eq!(
            Checkpoint::verify(&note, &[witness.public().clone()]),
            Err(Error::Origin(ORIGIN.to_owned())),
            "a witness alone makes no head of a log"
        );
    }

    #[test]
    fn a_log_has_a_name_on_one_line() {
        for good in ["example.test/tripline", "e"] {
            assert!(is_origin(good));
        }
        for bad in ["", "a b", "a+b", "a\nb", "a\u{0}b"] {
            assert!(!is_origin(bad), "{bad:?}");
        }
    }

    fn note_text(note: &str) -> Vec<u8> {
        Note::from_bytes(note.as_bytes()).unwrap().text().to_vec()
    }
}
