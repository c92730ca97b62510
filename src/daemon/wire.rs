//! From what was loaded to what can run: opens the store and the evidence, and hands every part what it
//! needs. Used by the daemon and by every command that runs a control or reads evidence.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use super::signing;
use crate::{
    audit::key::Key,
    catalog::Catalog,
    clock::SharedClock,
    collect::{Collector, Sources},
    config::{Config, Loaded},
    deliver,
    evaluate::Engine,
    evidence::Archive,
    model::id::SourceId,
    notify::route::Desk,
    run::{Context, Set},
    store::{self, Schema, Store},
};

/// An installation that is ready to run.
#[derive(Debug)]
pub struct Wired {
    /// What every run needs.
    pub cx: Arc<Context>,
    /// What is loaded.
    pub set: Set,
    /// The evidence.
    pub archive: Archive,
    /// Its settings.
    pub config: Config,
}

/// Opens what the settings name. A store without tables gets them; one with older tables is left as it is,
/// because a migration is for a person to decide.
///
/// # Errors
/// The store or the evidence cannot be opened.
pub async fn wire(
    loaded: Loaded,
    clock: SharedClock,
    cancel: CancellationToken,
) -> anyhow::Result<Wired> {
    wire_with(loaded, clock, Sources::Asked, cancel).await
}

/// The same for whoever may only look at what was collected.
///
/// # Errors
/// The store or the evidence cannot be opened.
pub async fn wire_with(
    loaded: Loaded,
    clock: SharedClock,
    sources: Sources,
    cancel: CancellationToken,
) -> anyhow::Result<Wired> {
    let Loaded {
        config, catalog, ..
    } = loaded;
    let store = open(&config).await?;
    let archive = Archive::open(&config.evidence).context("the evidence cannot be opened")?;
    let engine = Engine::new(archive.clone(), &config.limits.engine())
        .context("the engine cannot be started")?;
    let collector =
        Collector::new(store.clone(), archive.clone(), clock.clone(), cancel).with(sources);
    let cx = Context {
        store,
        engine,
        collector,
        clock,
    };
    Ok(Wired {
        cx: Arc::new(cx),
        set: set(catalog, &config)?,
        archive,
        config,
    })
}

/// Opens the store of an installation, ready to be read and written.
///
/// # Errors
/// It cannot be opened, or its tables are not those of this program.
pub async fn open(config: &Config) -> anyhow::Result<Store> {
    let options = &config.store;
    if let (store::Options::Sqlite(path), Some(signed)) = (options, signing::signed(config))
        && path != Path::new(":memory:")
        && !path.exists()
    {
        anyhow::bail!(
            "{options} is not there, and its log was signed, {signed} leaves of it: is its folder mounted? Put a backup in \
             its place; or begin anew, without what it held: `tripline audit new-key`"
        );
    }
    fresh(config).await
}

/// As [`open`], also where there was a store before and is none now: somebody decided to begin anew.
///
/// # Errors
/// It cannot be opened, or its tables are not those of this program.
pub async fn fresh(config: &Config) -> anyhow::Result<Store> {
    let options = &config.store;
    let store = Store::open(options)
        .await
        .with_context(|| format!("{options} cannot be opened"))?;
    if matches!(store.schema().await?, Schema::Older(0)) {
        store
            .migrate()
            .await
            .with_context(|| format!("{options} cannot be given its tables"))?;
    }
    store.ready().await?;
    Ok(store)
}

/// What is loaded, prepared for runs.
///
/// # Errors
/// A mistake that the load should have refused.
pub fn set(catalog: Catalog, config: &Config) -> anyhow::Result<Set> {
    let owners: BTreeMap<SourceId, String> = catalog
        .sources
        .iter()
        .map(|(id, source)| (id.clone(), source.owner.to_string()))
        .collect();
    let (desk, _) = Desk::new(&config.notify, &catalog.directory, owners).map_err(|problems| {
        let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("the routes cannot be used:\n{}", said.join("\n"))
    })?;
    Ok(Set::new(catalog, desk)?)
}

/// The key that signs the log, without a look at the log: [`signing::Signer`] has that.
///
/// # Errors
/// It cannot be read or written, or is of another log.
pub fn key(config: &Config) -> anyhow::Result<Key> {
    let path = config.root.join(&config.audit.key.file);
    Ok(Key::open(&path, &config.audit.origin)?)
}

/// Everything that a delivery needs.
///
/// # Errors
/// A channel or a template cannot be used.
pub fn delivery(cx: &Context, config: &Config) -> anyhow::Result<deliver::Context> {
    let means = (cx.store.clone(), cx.clock.clone());
    let organisation = &config.organisation;
    let made = deliver::Context::new(means, &config.notify, organisation, super::work::holder())?;
    Ok(made)
}
