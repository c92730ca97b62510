//! `tripline schema KIND`: the JSON Schema of a kind of file, so that editors complete and check it.

use std::io;

use clap::ValueEnum;
use serde_json::Value;

use super::out::Out;
use crate::{
    catalog::{
        connector::ConnectorFile, control::ControlFile, policy::PolicyFile, request::RequestFile,
    },
    config::file::ConfigFile,
    yaml::decode::schema_of,
};

/// A kind of file that people write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// A control.
    Control,
    /// A connector.
    Connector,
    /// A policy.
    Policy,
    /// `tripline.yaml`.
    Config,
    /// A request for an exception.
    Request,
}

impl Kind {
    /// The word on the command line, which is also the name of the schema's file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Connector => "connector",
            Self::Policy => "policy",
            Self::Config => "config",
            Self::Request => "request",
        }
    }

    /// The schema.
    pub fn schema(self) -> Value {
        let title = format!("Tripline {}", self.as_str());
        match self {
            Self::Control => schema_of::<ControlFile>(&title),
            Self::Connector => schema_of::<ConnectorFile>(&title),
            Self::Policy => schema_of::<PolicyFile>(&title),
            Self::Config => schema_of::<ConfigFile>(&title),
            Self::Request => schema_of::<RequestFile>(&title),
        }
    }
}

/// What to print.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The kind of file.
    #[arg(value_enum)]
    pub kind: Kind,
}

/// Prints the schema.
pub fn run(args: &Args, out: &mut Out) -> io::Result<()> {
    out.json(&args.kind.schema())
}
