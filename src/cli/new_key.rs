//! `tripline audit new-key`: the log in the store goes on under another key, because the one it had is lost or signed
//! another log. Never by itself: everybody who holds an old head has to be told.

use std::process::ExitCode;

use super::{USAGE, named::refuse, out::Out};
use crate::{
    clock::{Clock as _, SystemClock},
    config::Config,
    daemon::{signing, wire},
};

/// What is lost by it.
const MEANS: &str = "a new key is a new log in the eyes of everybody who holds a signed head of the old one: they can no longer \
    show that nothing before it was changed. When that is decided, add `--yes`, and tell them the new public key";

/// Does it, when it is meant.
///
/// # Errors
/// When the store or the files cannot be read or written.
pub(super) async fn run(config: &Config, yes: bool, out: &mut Out) -> anyhow::Result<ExitCode> {
    if !yes {
        return refuse(USAGE, MEANS);
    }
    let store = wire::fresh(config).await?;
    let (signer, aside) = signing::renew(&store, config, SystemClock.now()).await?;
    store.close().await;
    out.line(format!(
        "The log goes on under {}",
        signer.key().public().as_str()
    ))?;
    if let Some(aside) = aside {
        out.line(format!(
            "The key before is kept as {}: heads that it signed are verified with `--key` and its public half.",
            aside.display()
        ))?;
    }
    out.line(
        "Tell whoever verifies the log, and keep a copy of the new key where the store is not.",
    )?;
    Ok(ExitCode::SUCCESS)
}
