//! Why something could not be read. No message holds a secret, a header or the query of an address.

use crate::{catalog::secret, model::outcome::Unknown};

/// Why something could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A secret cannot be read.
    #[error("a secret cannot be read")]
    Secret(#[from] secret::Error),
    /// There are no keys to sign a request with, or they cannot be used.
    #[error("{0}")]
    Keys(String),
    /// What the source's settings and the connector make together cannot be asked.
    #[error("{0}")]
    Settings(String),
    /// No answer came: no connection, no TLS, or it broke off.
    #[error("{at} did not answer")]
    Transport {
        /// Method and address, without its query.
        at: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No answer came in time.
    #[error("{at} did not answer within {limit}")]
    Timeout {
        /// Method and address, without its query.
        at: String,
        /// How long we waited.
        limit: crate::model::span::Span,
    },
    /// The source refuses us.
    #[error("{at} answered {status}: the source refuses us{hint}")]
    Refused {
        /// Method and address, without its query.
        at: String,
        /// The status.
        status: u16,
        /// What the answer says, cut short.
        hint: String,
    },
    /// The source answered with an error.
    #[error("{at} answered {status}{hint}")]
    Status {
        /// Method and address, without its query.
        at: String,
        /// The status.
        status: u16,
        /// What the answer says, cut short.
        hint: String,
    },
    /// The source asks us to wait longer than we may.
    #[error("{at} asks us to wait {asked}, longer than {allowed}")]
    RateLimited {
        /// Method and address, without its query.
        at: String,
        /// What it asks for.
        asked: crate::model::span::Span,
        /// What we may.
        allowed: crate::model::span::Span,
    },
    /// The answer is not what the connector says it is.
    #[error("{at} answered with something else than expected: {what}")]
    Garbage {
        /// Method and address, or the file.
        at: String,
        /// What is wrong with it.
        what: String,
    },
    /// The answer is longer than allowed.
    #[error("{at} is longer than {limit}")]
    TooLong {
        /// Method and address, or the file.
        at: String,
        /// What is allowed.
        limit: crate::model::size::Size,
    },
    /// A redirect or a next-link leads to a host that is not allowed.
    #[error("{at} leads to `{host}`, which is not an allowed host")]
    Stranger {
        /// Method and address, without its query.
        at: String,
        /// The host.
        host: String,
    },
    /// The pages never end, or come again.
    #[error("{at}: {what}")]
    Paging {
        /// Method and address, without its query.
        at: String,
        /// What is wrong.
        what: String,
    },
    /// A probe shows that we no longer see what we should.
    #[error("lost visibility: {0}")]
    Blind(String),
    /// The database or the file cannot be read.
    #[error("{at} cannot be read")]
    Input {
        /// The database or the file, without credentials.
        at: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A database cannot be read.
    #[error(transparent)]
    Sql(#[from] super::sql::Error),
    /// A header, or the columns of a statement, do not have what the dataset needs.
    #[error("{0}")]
    Header(String),
    /// A file is older than it may be.
    #[error("{at} was last changed {age} ago; `max_age` is {allowed}")]
    Stale {
        /// The file.
        at: String,
        /// How long ago it was changed.
        age: crate::model::span::Span,
        /// What is allowed.
        allowed: crate::model::span::Span,
    },
    /// The source says that it left something out.
    #[error("{0}")]
    Incomplete(String),
    /// We were told to stop.
    #[error("stopped")]
    Stopped,
}

/// A result of this room.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A file or a database that cannot be read, and why.
    pub(super) fn input(
        at: impl Into<String>,
        why: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Input {
            at: at.into(),
            source: why.into(),
        }
    }

    /// Whether another try may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Transport { .. } | Self::Timeout { .. } => true,
            Self::Sql(error) => error.is_transient(),
            _ => false,
        }
    }

    /// Why outcomes that need this evidence are not known.
    pub fn unknown(&self) -> Unknown {
        match self {
            Self::Timeout { .. } => Unknown::Timeout,
            Self::Sql(error) => error.unknown(),
            Self::Header(_) => Unknown::SchemaChanged,
            Self::Stale { .. } => Unknown::Stale,
            Self::Secret(_) | Self::Keys(_) | Self::Refused { .. } => Unknown::Auth,
            Self::RateLimited { .. } | Self::Status { status: 429, .. } => Unknown::RateLimited,
            Self::Blind(_) => Unknown::LostVisibility,
            Self::Paging { .. } | Self::Incomplete(_) => Unknown::Incomplete,
            Self::Settings(_)
            | Self::Transport { .. }
            | Self::Status { .. }
            | Self::Garbage { .. }
            | Self::TooLong { .. }
            | Self::Stranger { .. }
            | Self::Input { .. }
            | Self::Stopped => Unknown::SourceError,
        }
    }

    /// The message with those of its causes, for the reason of a snapshot.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut at: Option<&dyn std::error::Error> = std::error::Error::source(self);
        while let Some(cause) = at {
            let more = cause.to_string();
            if !text.contains(&more) {
                text.push_str(": ");
                text.push_str(&more);
            }
            at = cause.source();
        }
        text
    }
}
