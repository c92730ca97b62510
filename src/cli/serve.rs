//! `tripline serve`: the daemon.

use std::{process::ExitCode, sync::Arc};

use tokio_util::sync::CancellationToken;

use crate::{
    clock::SystemClock,
    config::Loaded,
    daemon::serve::{self, Origin},
};

/// Runs until it is told to stop.
///
/// # Errors
/// Something cannot be opened at the start.
pub(super) async fn run(loaded: Loaded, origin: Origin) -> anyhow::Result<ExitCode> {
    let stop = CancellationToken::new();
    serve::serve(loaded, Some(origin), Arc::new(SystemClock), stop).await?;
    Ok(ExitCode::SUCCESS)
}
