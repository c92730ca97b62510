//! What the program says of itself while it works: lines on standard error, JSON where nobody watches.
//! `TRIPLINE_LOG` chooses what is said, in the syntax of `tracing_subscriber::EnvFilter`.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;

/// Begins to say. The daemon tells what it does; every other command only what is wrong.
pub(super) fn begin(daemon: bool) {
    let otherwise = if daemon {
        "info,tokio_cron_scheduler=warn,notify=error"
    } else {
        "error,tokio_cron_scheduler=off"
    };
    let filter = EnvFilter::builder()
        .with_env_var("TRIPLINE_LOG")
        .try_from_env()
        .unwrap_or_else(|_| EnvFilter::new(otherwise));
    let begun = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    let begun = if daemon && !io::stderr().is_terminal() {
        begun.json().flatten_event(true).try_init()
    } else {
        begun.with_target(false).try_init()
    };
    drop(begun);
}
