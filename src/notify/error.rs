//! Why a message was not accepted, and what that means for the next attempt. The classes are the
//! whole retry policy; the texts name the receiver's answer and never a secret or an address that is one.

use chrono::TimeDelta;

use crate::catalog::secret;

/// What an attempt came to.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An attempt that was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A secret cannot be read; a person can mend that while we wait.
    #[error(transparent)]
    Secret(#[from] secret::Error),
    /// A secret is not of the form that it must have.
    #[error("the secret of this channel is not usable: {0}")]
    Key(&'static str),
    /// A file that the channel names cannot be used.
    #[error("`{path}` cannot be used: {what}")]
    File {
        /// The file.
        path: String,
        /// Why.
        what: String,
    },
    /// Nobody answered before anything was said.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The message was out, and no answer came: the receiver may have it.
    #[error("no answer: {0}")]
    Unanswered(String),
    /// A web server said no.
    #[error("HTTP {status}{}", said(.answer))]
    Http {
        /// The status.
        status: u16,
        /// How long it asks us to wait.
        retry_after: Option<TimeDelta>,
        /// The beginning of what it said.
        answer: String,
    },
    /// A mail server said no.
    #[error("SMTP {code}{}", said(.answer))]
    Smtp {
        /// The three digits.
        code: u16,
        /// What it said.
        answer: String,
    },
    /// The channel cannot work as it is set up; a person can mend that while we wait.
    #[error("the channel cannot work as it is set up: {0}")]
    Setup(String),
    /// A message that was stored cannot be read back, or belongs to another kind of channel.
    #[error("the stored message does not fit its channel: {0}")]
    Message(String),
    /// The recipient has no address, or is no longer in the directory.
    #[error("{0} has no address")]
    NoAddress(String),
}

fn said(answer: &str) -> String {
    if answer.is_empty() {
        String::new()
    } else {
        format!(": {answer}")
    }
}

/// What follows from an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Try again later.
    Transient,
    /// Try again later under the same id, and count that the receiver may have it already.
    Ambiguous,
    /// Give up: it would be refused again.
    Permanent,
    /// Give up, and stop using the channel: the receiver says that it is gone for good.
    Gone,
    /// Give up, and stop using the address: the mail server does not know it.
    BadAddress,
}

impl Error {
    /// What follows from it.
    pub fn class(&self) -> Class {
        match self {
            Self::Secret(_)
            | Self::Key(_)
            | Self::File { .. }
            | Self::Connect(_)
            | Self::Setup(_)
            | Self::Http {
                status: 408 | 425 | 429 | 500..,
                ..
            } => Class::Transient,
            Self::Unanswered(_) => Class::Ambiguous,
            Self::Http { status: 410, .. } => Class::Gone,
            Self::Smtp { code, answer } => smtp_class(*code, answer),
            Self::Http { .. } | Self::Message(_) => Class::Permanent,
            Self::NoAddress(_) => Class::BadAddress,
        }
    }

    /// Whether the same message may be accepted later.
    pub fn is_transient(&self) -> bool {
        matches!(self.class(), Class::Transient | Class::Ambiguous)
    }

    /// Whether the receiver may have the message although it did not say so.
    pub fn is_ambiguous(&self) -> bool {
        self.class() == Class::Ambiguous
    }

    /// How long the receiver asks us to wait.
    pub const fn retry_after(&self) -> Option<TimeDelta> {
        match self {
            Self::Http { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// A refused login is our set-up and not the message: it is tried again once somebody has mended it.
/// RFC 5321 section 4.2.3 and RFC 3463 say which answers are about the address.
fn smtp_class(code: u16, answer: &str) -> Class {
    match code {
        530 | 534 | 535 | 538 => Class::Transient,
        550 | 551 | 553 | 556 if !answer.starts_with("5.7.") => Class::BadAddress,
        500.. if answer.starts_with("5.1.") => Class::BadAddress,
        500.. => Class::Permanent,
        _ => Class::Transient,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_has_its_class() {
        let http = |status| {
            Error::Http {
                status,
                retry_after: None,
                answer: String::new(),
            }
            .class()
        };
        for status in [408, 425, 429, 500, 502, 503, 504, 599] {
            assert_eq!(http(status), Class::Transient, "{status}");
        }
        for status in [301, 400, 401, 403, 404, 413, 422] {
            assert_eq!(http(status), Class::Permanent, "{status}");
        }
        assert_eq!(http(410), Class::Gone);
        let smtp = |code, answer: &str| {
            Error::Smtp {
                code,
                answer: answer.to_owned(),
            }
            .class()
        };
        assert_eq!(smtp(450, "4.2.0 greylisted"), Class::Transient);
        assert_eq!(smtp(421, "closing"), Class::Transient);
        assert_eq!(smtp(535, "5.7.8 authentication failed"), Class::Transient);
        assert_eq!(smtp(550, "5.1.1 no such user"), Class::BadAddress);
        assert_eq!(smtp(550, "5.7.1 rejected by policy"), Class::Permanent);
        assert_eq!(smtp(554, "5.6.0 message refused"), Class::Permanent);
        assert!(Error::Unanswered(String::new()).is_ambiguous());
        assert!(Error::Connect(String::new()).is_transient());
    }

    #[test]
    fn an_error_reads_as_one_sentence() {
        let error = Error::Http {
            status: 400,
            retry_after: None,
            answer: "invalid event".to_owned(),
        };
        assert_eq!(error.to_string(), "HTTP 400: invalid event");
        let error = Error::Smtp {
            code: 421,
            answer: String::new(),
        };
        assert_eq!(error.to_string(), "SMTP 421");
    }
}
