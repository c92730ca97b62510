//! Names and identities. Each is a type of its own, so that one cannot stand in another's place.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

macro_rules! text_id {
    ($($(#[doc = $doc:literal])* $name:ident;)*) => { $(
        $(#[doc = $doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes the text as it is.
            pub fn new(text: impl AsRef<str>) -> Self {
                Self(text.as_ref().into())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }
    )* };
}

text_id! {
    /// The stable name of a control; renaming makes a new control.
    ControlId;
    /// The name of a policy.
    PolicyId;
    /// The name of a connector.
    ConnectorId;
    /// The name of a source; the first half of `source.dataset` in SQL.
    SourceId;
    /// The canonical id of a subject, `source/kind/native-id`, compared byte for byte.
    SubjectId;
    /// The name of a person.
    PersonId;
    /// The name of a team.
    TeamId;
    /// The name of a channel, for example `mail` or `soc`.
    ChannelId;
    /// The id of an exception, `EXC-2026-0042`.
    ExceptionId;
    /// The id of a signal, `SIG-2026-0007`.
    SignalId;
    /// The id of a run, `run-` and a UUIDv7: sorts by time.
    RunId;
    /// The id of a snapshot, `snap-` and a UUIDv7.
    SnapshotId;
    /// The id of one message: the same for each attempt to send it, `ntc-` and a hash of its key.
    NoticeId;
}

/// A dataset of a source, named `source.dataset` in SQL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DatasetName {
    /// The source.
    pub source: SourceId,
    /// The table that it offers.
    pub dataset: Arc<str>,
}

impl DatasetName {
    /// Joins the two halves.
    pub fn new(source: impl Into<SourceId>, dataset: impl AsRef<str>) -> Self {
        Self {
            source: source.into(),
            dataset: dataset.as_ref().into(),
        }
    }
}

impl fmt::Display for DatasetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.source, self.dataset)
    }
}

impl From<DatasetName> for String {
    fn from(name: DatasetName) -> Self {
        name.to_string()
    }
}

impl TryFrom<String> for DatasetName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl std::str::FromStr for DatasetName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('.') {
            Some((source, dataset))
                if !source.is_empty() && !dataset.is_empty() && !dataset.contains('.') =>
            {
                Ok(Self::new(source, dataset))
            }
            _ => Err("a dataset is named `source.dataset`".to_owned()),
        }
    }
}

/// A SHA-256, written in lower-case hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha(pub [u8; 32]);

impl Sha {
    /// The digest of some bytes.
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        Self(Sha256::digest(bytes.as_ref()).into())
    }

    /// The digest of a value's canonical JSON (RFC 8785), so that key order and spacing do not matter.
    pub fn of_json(value: &serde_json::Value) -> Self {
        // Canonicalisation fails only for numbers that JSON cannot hold, which a `Value` cannot hold either.
        Self::of(
            serde_json_canonicalizer::to_vec(value)
                .unwrap_or_else(|_| value.to_string().into_bytes()),
        )
    }

    /// The first twelve digits, enough for people to compare.
    pub fn short(&self) -> String {
        self.to_string().chars().take(12).collect()
    }
}

impl fmt::Display for Sha {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&hex::encode(self.0))
    }
}

impl fmt::Debug for Sha {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl std::str::FromStr for Sha {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes)
            .map_err(|_| "a SHA-256 is 64 hexadecimal digits".to_owned())?;
        Ok(Self(bytes))
    }
}

impl Serialize for Sha {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sha {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// What makes a finding the same finding: the SHA-256 of `control id | subject id`. Owner, severity,
/// text and policy version are attributes and never part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FindingKey(pub Sha);

impl FindingKey {
    /// The key of one control on one subject.
    pub fn of(control: &ControlId, subject: &SubjectId) -> Self {
        Self(Sha::of(format!("{control}|{subject}")))
    }

    /// The short form in which people name a finding: `fnd-` and twelve digits.
    pub fn short(&self) -> String {
        format!("fnd-{}", self.0.short())
    }
}

impl fmt::Display for FindingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl std::str::FromStr for FindingKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self)
    }
}

/// Whether a text may name a control, a policy, a source or a person: lower-case letters, digits and
/// single hyphens, starting with a letter, at most 64 characters.
pub fn is_slug(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.split('-').all(|part| {
            !part.is_empty()
                && part
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_its_control_and_its_subject_and_nothing_else() {
        let key = |c: &str, s: &str| FindingKey::of(&c.into(), &s.into());
        assert_eq!(key("a", "aws/secret/svc-1"), key("a", "aws/secret/svc-1"));
        assert_ne!(key("a", "aws/secret/svc-1"), key("a", "aws/secret/svc-10"));
        assert_ne!(key("a", "aws/secret/svc-1"), key("a", "aws/secret/SVC-1"));
    }

    #[test]
    fn slugs_are_small_words_with_hyphens() {
        assert!(is_slug("secret-rotation-overdue"));
        for bad in ["", "A", "1a", "a--b", "a-", "a_b", "-a"] {
            assert!(!is_slug(bad), "{bad}");
        }
    }
}
