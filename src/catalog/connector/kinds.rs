//! The kinds that are not HTTP: AWS, SQL and files.

use super::{
    http::{Probe, Rate, Retry, Timeout, Tls},
    template::{Fill, Template},
};
use crate::{
    choice,
    model::{size::Size, span::Span},
    record, tagged,
};

record! {
    /// Services of AWS, signed with Signature Version 4.
    pub struct Aws {
        /// The regions to ask; each dataset is read in each.
        regions: Fill<Vec<String>>,
        /// Where our keys come from.
        credentials: Credentials = Credentials::Default,
        /// A role to take.
        assume_role: Option<Template>,
        /// The external id that the role asks for.
        external_id: Option<Template>,
        /// Another address for all services, for tests and private endpoints.
        endpoint: Option<Template>,
        /// TLS.
        tls: Tls = Tls::default(),
        /// How long we wait.
        timeout: Timeout = Timeout::default(),
        /// How fast we ask.
        rate: Rate = Rate::default(),
        /// When we ask again.
        retry: Retry = Retry::default(),
        /// The longest body, after decompression: 32MiB by default.
        max_body: Size = Size::mebibytes(32),
        /// Proof that we see what we think we see.
        probe: Vec<Probe> = Vec::new(),
    }
}

tagged! {
    /// Where our keys for AWS come from.
    pub enum Credentials {
        /// The usual chain: environment, profile, web identity, container, instance.
        Default = "default";
        /// Keys that we hold.
        Keys(Keys) = "keys",
    }
}

record! {
    /// Keys that we hold.
    pub struct Keys {
        /// Access key id.
        access_key_id: Template,
        /// Secret access key.
        secret_access_key: Template,
        /// Session token, for temporary keys.
        session_token: Option<Template>,
    }
}

record! {
    /// A database that is read with SELECT.
    pub struct Sql {
        /// `postgres://…` or `sqlite:…`.
        url: Template,
        /// For one statement.
        timeout: Span = Span::secs(30),
        /// TLS: authorities for PostgreSQL.
        tls: Tls = Tls::default(),
    }
}

record! {
    /// Files on this machine.
    pub struct Files {
        /// A path, or a pattern with `*`.
        path: Template,
        /// Which of the files that fit are read: `all` for an export in parts, `newest` for one file per day.
        take: Take = Take::All,
        /// The folder that the files must be in, wherever links lead.
        inside: Option<Template>,
        /// A file that was changed longer ago than this is unreadable, not unchanged.
        max_age: Option<Fill<Span>>,
        /// The longest file.
        max_size: Size = Size::mebibytes(256),
    }
}

choice! {
    /// Which of the files that fit a pattern are read.
    pub enum Take {
        /// Each of them.
        All = "all",
        /// The one that was changed last.
        Newest = "newest",
    }
}
