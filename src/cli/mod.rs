//! The command line: one file per command, and here the words that lead to them.

pub mod audit;
pub mod check;
pub mod connector;
pub mod controls;
pub mod db;
pub mod decide;
pub mod demo;
pub mod diagnostics;
pub mod doctor;
pub mod exception;
pub mod explain;
pub mod explain_code;
mod files;
pub mod findings;
mod log;
mod named;
mod new_key;
pub mod notices;
mod open;
pub mod out;
pub mod query;
mod rehearse;
pub mod remark;
pub mod replay;
pub mod report;
pub mod runs;
pub mod schema;
pub mod serve;
pub mod signals;
pub mod source;
pub mod test;
pub mod token;
pub mod what_if;

use std::{io, path::PathBuf, process::ExitCode};

use clap::{CommandFactory as _, Parser, Subcommand};

use self::{
    files::Files,
    open::Opened,
    out::{Format, Out, column},
};
use crate::{
    config::{Loaded, show::Setting},
    crash,
};

/// Everything is as it should be.
const CLEAN: u8 = 0;

/// There are open findings that nothing covers.
const OPEN: u8 = 1;

/// A mistake in the arguments or in a file.
const USAGE: u8 = 2;

/// Something could not be checked.
const NOT_CHECKED: u8 = 3;

/// A fault of Tripline or of its database.
const INTERNAL: u8 = 4;

/// Continuous control monitoring for AI governance.
#[derive(Debug, Parser)]
#[command(
    name = "tripline",
    version,
    about,
    max_term_width = 100,
    after_help = "Exit codes: 0 fine, 1 open findings that nothing covers, 2 a mistake in the arguments or files,\n\
                  3 something could not be checked, 4 a fault of Tripline or of its database."
)]
struct Cli {
    #[command(flatten)]
    files: Files,
    /// How lists are printed.
    #[arg(long, global = true, value_enum, default_value = "table")]
    format: Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Watch: run controls when they are due and tell their owners.
    Serve,
    Check(check::Args),
    /// Read all files and say every mistake at once.
    Validate {
        /// Another installation, or one file of this one: then only its mistakes are told.
        path: Option<PathBuf>,
    },
    Test(test::Args),
    Findings(findings::Args),
    Mute(remark::Args),
    Exception(exception::Args),
    Token(token::Args),
    Decide(decide::Args),
    WhatIf(what_if::Args),
    Signals(signals::Args),
    Report(report::Args),
    Controls(controls::ControlArgs),
    /// Sources with their datasets and how each was collected last.
    Sources,
    Source(source::Args),
    Connector(connector::Args),
    Query(query::Args),
    Runs(runs::Args),
    Notices(notices::Args),
    Replay(replay::Args),
    Audit(audit::Args),
    /// Look at everything that Tripline leans on; every source is read once.
    Doctor,
    /// `tripline.yaml` as it is understood.
    #[command(subcommand)]
    Config(Config),
    Demo(demo::Args),
    /// Print the JSON Schema of a kind of file, for editors.
    Schema(schema::Args),
    Explain(explain::Args),
    /// Bring the store to the schema of this program, copy it, or look at it.
    Db(db::Args),
    /// Print a script that completes commands in a shell.
    Completions {
        /// The shell.
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Subcommand)]
enum Config {
    /// Print every setting; secrets only by reference.
    Show {
        /// Say for each where it came from: a flag, the environment, the file or the default.
        #[arg(long)]
        origin: bool,
    },
}

/// Reads the arguments and does what they say.
pub fn main() -> ExitCode {
    let _armed = crash::arm();
    crate::connector::tls::provider();
    let cli = Cli::parse();
    log::begin(matches!(cli.command, Command::Serve | Command::Demo(_)));
    let mut out = Out::stdout(cli.format);
    match run(cli, &mut out) {
        Ok(code) => code,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let said = Out::stderr().line(format!("error: {error:#}"));
            drop(said);
            ExitCode::from(INTERNAL)
        }
    }
}

/// Commands that need no files come first; all others begin with a load.
fn run(cli: Cli, out: &mut Out) -> anyhow::Result<ExitCode> {
    let is_report = matches!(cli.command, Command::Report(_));
    if !is_report && matches!(out.format(), Format::Html | Format::Md) {
        return named::refuse(USAGE, "`--format html` and `md` are for reports");
    }
    match &cli.command {
        Command::Schema(args) => schema::run(args, out)?,
        Command::Explain(args) if explain_code::is_code(&args.what) => {
            if !explain_code::run(&args.what, out)? {
                return Ok(ExitCode::from(USAGE));
            }
        }
        Command::Completions { shell } => {
            // Generated whole first: a closed pipe is no reason to panic.
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "tripline", &mut script);
            out.text(&String::from_utf8_lossy(&script))?;
        }
        Command::Demo(args) => return runtime()?.block_on(demo::run(args, out)),
        Command::Connector(args) => match &args.what {
            connector::What::Lint { file } => return connector::lint(file, out),
            connector::What::New { kind } => out.text(kind.begin())?,
            connector::What::Test(_) => return runtime()?.block_on(with_files(cli, out)),
        },
        Command::Validate { path } => return cli.files.validate(path.as_deref(), out),
        Command::Audit(args) => return runtime()?.block_on(audit::run(args, &cli.files, out)),
        Command::Db(args) => return runtime()?.block_on(db::run(args, &cli.files, out)),
        _ => return runtime()?.block_on(with_files(cli, out)),
    }
    Ok(ExitCode::SUCCESS)
}

/// Commands that work on an installation.
async fn with_files(cli: Cli, out: &mut Out) -> anyhow::Result<ExitCode> {
    let loaded = match cli.files.load(&mut Out::stderr())? {
        Ok(loaded) => loaded,
        Err(code) => return Ok(code),
    };
    if matches!(cli.command, Command::Serve) {
        return serve::run(loaded, cli.files.origin()).await;
    }
    match cli.command {
        Command::Test(args) => return test::run(&args, loaded, out).await,
        Command::Config(Config::Show { origin }) => return settings(&loaded, origin, out),
        _ => {}
    }
    let as_of = match &cli.command {
        Command::Check(args) => args.as_of,
        Command::Query(args) => args.as_of,
        Command::Exception(args) => args.as_of,
        Command::Token(args) => args.as_of,
        Command::Decide(args) => args.as_of,
        Command::WhatIf(args) => args.as_of,
        Command::Signals(args) => args.as_of,
        Command::Report(args) => args.as_of,
        _ => None,
    };
    if as_of.is_some() && !loaded.config.rehearsal && acts(&cli.command) {
        return named::refuse(USAGE, open::NOT_THEN);
    }
    let opened = Opened::of(loaded, as_of).await?;
    let done = match cli.command {
        Command::Check(args) => check::run(&args, &opened, out).await,
        Command::Mute(args) => remark::run(&args, &opened, out).await,
        Command::Exception(args) => exception::run(args, &opened, out).await,
        Command::Report(args) => report::run(&args, &opened, out).await,
        Command::Decide(args) => decide::run(&args, &opened, out).await,
        Command::WhatIf(args) => what_if::run(&args, &opened, out).await,
        Command::Signals(args) => signals::run(args, &opened, out).await,
        Command::Token(args) => token::run(&args, &opened, out).await,
        Command::Findings(args) => findings::run(args, &opened, out).await,
        Command::Controls(args) => controls::controls(args, &opened, out).await,
        Command::Sources => controls::sources(&opened, out).await,
        Command::Source(args) => source::run(&args, &opened, out).await,
        Command::Connector(connector::Args {
            what: connector::What::Test(args),
        }) => source::test(&args, &opened, out).await,
        Command::Query(args) => query::run(&args, &opened, out).await,
        Command::Explain(args) => explain::run(&args.what, &opened, out).await,
        Command::Notices(args) => notices::run(args, &opened, out).await,
        Command::Doctor => doctor::run(&opened, out).await,
        Command::Runs(args) => runs::run(args, &opened, out).await,
        Command::Replay(args) => replay::run(&args, &opened, out).await,
        _ => Ok(ExitCode::SUCCESS),
    };
    opened.store().close().await;
    done
}

/// Whether a command that can be asked for another instant writes something that others rely on.
fn acts(command: &Command) -> bool {
    match command {
        Command::Check(args) => args.acts(),
        Command::Exception(args) => args.acts(),
        Command::Token(args) => args.acts(),
        Command::Decide(args) => args.acts(),
        Command::Signals(args) => args.acts(),
        Command::Report(args) => args.acts(),
        _ => false,
    }
}

/// Every setting, and where it came from.
fn settings(loaded: &Loaded, origin: bool, out: &mut Out) -> anyhow::Result<ExitCode> {
    let mut columns = vec![column("setting", "SETTING"), column("value", "VALUE")];
    columns.extend(origin.then(|| column("origin", "FROM")));
    out.list(&columns, loaded.settings.iter().map(Setting::row))?;
    Ok(ExitCode::from(CLEAN))
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
