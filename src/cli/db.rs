//! `tripline db`: brings the store to the schema of this program, and copies it while the daemon runs.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::Subcommand;

use super::{
    USAGE,
    files::Files,
    out::{Ink, Out},
};
use crate::store::{Options, Schema, Store};

/// Bring the store to the schema of this program, copy it, or look at it.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Another store than that of `tripline.yaml`: `sqlite:PATH` or `postgres://…`. An address with a password
    /// belongs into the environment variable.
    #[arg(long, env = "TRIPLINE_STORE", hide_env_values = true)]
    store: Option<String>,
    #[command(subcommand)]
    what: Db,
}

/// What to do with the store.
#[derive(Debug, Clone, Subcommand)]
pub enum Db {
    /// Bring the store to the schema of this program; does nothing when it is there already.
    Migrate,
    /// Copy the whole store to a new file while the daemon runs (SQLite; PostgreSQL has `pg_dump`).
    Backup {
        /// The file to write; it must not exist.
        to: PathBuf,
    },
    /// Say which store this is, and how its schema stands to this program.
    Status,
}

/// Does it, and says what was done.
pub(super) async fn run(args: &Args, files: &Files, out: &mut Out) -> anyhow::Result<ExitCode> {
    let options = match &args.store {
        Some(address) => match Options::from_address(address) {
            Ok(options) => options,
            Err(error) => {
                Out::stderr().line(format!("error: --store: {error}"))?;
                return Ok(ExitCode::from(USAGE));
            }
        },
        None => match files.load(&mut Out::stderr())? {
            Ok(loaded) => loaded.config.store,
            Err(code) => return Ok(code),
        },
    };
    act(&args.what, &options, out).await?;
    Ok(ExitCode::SUCCESS)
}

/// Does it to one store.
///
/// # Errors
/// The store cannot be opened, migrated or copied.
pub async fn act(what: &Db, options: &Options, out: &mut Out) -> anyhow::Result<()> {
    let store = Store::open(options)
        .await
        .with_context(|| format!("{options} cannot be opened"))?;
    match what {
        Db::Migrate => {
            let done = store
                .migrate()
                .await
                .context("the store cannot be migrated")?;
            out.line(match done.applied.as_slice() {
                [] => format!("{options} is at schema {} already", done.to),
                names => format!(
                    "{options} went from schema {} to {}: {}",
                    done.from,
                    done.to,
                    names.join(", ")
                ),
            })?;
        }
        Db::Backup { to } => {
            let bytes = store
                .backup(to)
                .await
                .context("the store cannot be copied")?;
            out.line(format!(
                "copied {options} to {} ({bytes} bytes)",
                to.display()
            ))?;
        }
        Db::Status => {
            let stand = match store.schema().await? {
                Schema::Current => out.ink(Ink::Good, "current"),
                Schema::Older(found) => out.ink(
                    Ink::Warn,
                    &format!("older (schema {found}): run `tripline db migrate`"),
                ),
                Schema::Newer(found) => out.ink(
                    Ink::Bad,
                    &format!("newer (schema {found}): start the newer Tripline that migrated it"),
                ),
            };
            out.line(format!("{options}: {stand}"))?;
        }
    }
    store.close().await;
    Ok(())
}
