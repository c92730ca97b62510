//! The command line: one file per command, and here the words that lead to them. Exit codes: 0 fine,
//! 2 a mistake in the arguments or files, 4 a fault of Tripline or of its database.

pub mod db;
pub mod demo;
pub mod diagnostics;
pub mod explain_code;
pub mod out;
pub mod schema;

use std::{io, process::ExitCode};

use clap::{CommandFactory as _, Parser, Subcommand};

use self::out::{Format, Out};
use crate::{crash, store};

/// A mistake in the arguments or in a file.
const USAGE: u8 = 2;

/// A fault of Tripline or of its database.
const INTERNAL: u8 = 4;

/// Continuous control monitoring for AI governance.
#[derive(Debug, Parser)]
#[command(name = "tripline", version, about, max_term_width = 100)]
struct Cli {
    /// How lists are printed.
    #[arg(long, global = true, value_enum, default_value = "table")]
    format: Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the JSON Schema of a kind of file, for editors.
    Schema(schema::Args),
    /// Say what a code such as TL0103 means and how to mend it.
    Explain {
        /// The code.
        code: String,
    },
    /// Bring the store to the schema of this program, copy it, or look at it.
    Db {
        /// Where the store is: `sqlite:PATH`, or `postgres://…`; an address with a password belongs into the
        /// environment variable.
        #[arg(
            long,
            env = "TRIPLINE_STORE",
            hide_env_values = true,
            default_value = "sqlite:data/tripline.db"
        )]
        store: String,
        #[command(subcommand)]
        what: db::Db,
    },
    /// Print a script that completes commands in a shell.
    Completions {
        /// The shell.
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
}

/// Reads the arguments and does what they say.
pub fn main() -> ExitCode {
    let _armed = crash::arm();
    crate::connector::tls::provider();
    let cli = Cli::parse();
    let mut out = Out::stdout(cli.format);
    match run(cli.command, &mut out) {
        Ok(code) => code,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let said = Out::stderr().line(format!("error: {error:#}"));
            drop(said);
            ExitCode::from(INTERNAL)
        }
    }
}

fn run(command: Command, out: &mut Out) -> anyhow::Result<ExitCode> {
    match command {
        Command::Schema(args) => schema::run(&args, out)?,
        Command::Explain { code } => {
            if !explain_code::run(&code, out)? {
                return Ok(ExitCode::from(USAGE));
            }
        }
        Command::Db { store, what } => {
            let options = match store::Options::from_address(&store) {
                Ok(options) => options,
                Err(error) => {
                    Out::stderr().line(format!("error: --store: {error}"))?;
                    return Ok(ExitCode::from(USAGE));
                }
            };
            runtime()?.block_on(db::run(&what, &options, out))?;
        }
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "tripline", &mut io::stdout());
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
}

/// Whether the reader of our output has gone, as `head` does when it has enough.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let io = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<io::Error>());
    io.is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_sound() {
        Cli::command().debug_assert();
    }
}
