//! The one place where an engine session is put together: which functions exist, how names and types are
//! read, how much memory and which disk a query may use. A session cannot write and cannot read a clock:
//! what it lacks cannot be switched on by SQL.

use std::{
    collections::{BTreeSet, HashMap},
    num::NonZeroUsize,
    path::PathBuf,
    sync::{Arc, LazyLock},
    time::Duration,
};

use chrono::{DateTime, Utc};
use datafusion::{
    arrow::datatypes::SchemaRef,
    catalog::{
        CatalogProvider, MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider,
        SchemaProvider, TableProvider,
    },
    common::DataFusionError,
    datasource::empty::EmptyTable,
    execution::{
        SessionStateDefaults,
        context::SessionState,
        memory_pool::{FairSpillPool, TrackConsumersPool},
        runtime_env::{RuntimeEnv, RuntimeEnvBuilder},
        session_state::SessionStateBuilder,
    },
    logical_expr::{ScalarUDF, Volatility},
    prelude::SessionConfig,
};

use super::types::{Now, Types};
use crate::model::id::DatasetName;

/// The catalog that holds all sources; nobody writes its name.
const CATALOG: &str = "tripline";

/// What one engine may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory that all running queries share; what does not fit spills.
    pub memory: usize,
    /// Where to spill; the system's folder for temporary files when absent.
    pub spill: Option<PathBuf>,
    /// Parts in which a query runs at the same time; 0 means one per core.
    pub partitions: usize,
    /// How long one control may take.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 256 * 1024 * 1024,
            spill: None,
            partitions: 0,
            time: Duration::from_mins(10),
        }
    }
}

/// Functions that a query over evidence does not get, and why.
const WITHHELD: &[(&str, &str)] = &[
    ("random", AGAIN),
    ("rand", AGAIN),
    ("uuid", AGAIN),
    ("gen_random_uuid", AGAIN),
    ("current_time", CLOCK),
    ("localtime", CLOCK),
    ("localtimestamp", CLOCK),
    ("clock_timestamp", CLOCK),
    ("version", AGAIN),
    ("input_file_name", AGAIN),
    ("file_row_index", AGAIN),
    ("repeat", VAST),
    ("array_repeat", VAST),
    ("list_repeat", VAST),
    ("array_resize", VAST),
    ("list_resize", VAST),
    ("approx_distinct", ROUGH),
    ("approx_median", ROUGH),
    ("approx_percentile_cont", ROUGH),
    ("approx_percentile_cont_with_weight", ROUGH),
];
const AGAIN: &str = "the same evidence must give the same answer twice";
const CLOCK: &str = "the run's instant is `now()` or `current_date`";
const VAST: &str = "one row could take all memory with it";
const ROUGH: &str = "an approximate value may differ the second time";

/// Why a function is not there, if it is one that is withheld.
pub(super) fn withheld(name: &str) -> Option<&'static str> {
    WITHHELD
        .iter()
        .find(|(n, _)| *n == name)
        .map(|(_, why)| *why)
}

/// The names of all functions, aliases included, and of what the parser takes for one.
pub(super) fn functions() -> &'static BTreeSet<&'static str> {
    static NAMES: LazyLock<BTreeSet<&'static str>> = LazyLock::new(|| {
        let state = &*BASE;
        let scalar = state.scalar_functions().keys();
        let others = state
            .aggregate_functions()
            .keys()
            .chain(state.window_functions().keys())
            .chain(state.higher_order_functions().keys());
        scalar
            .chain(others)
            .map(String::as_str)
            .chain(["unnest"])
            .collect()
    });
    &NAMES
}

/// Whether a function takes many rows to one value.
pub(super) fn is_aggregate(name: &str) -> bool {
    BASE.aggregate_functions().contains_key(name) && !BASE.scalar_functions().contains_key(name)
}

/// A session without data, for analysis and for expressions over one row.
static BASE: LazyLock<SessionState> =
    LazyLock::new(|| build(config(1), Arc::new(RuntimeEnv::default())));

/// The session for analysis.
pub(super) fn bare() -> &'static SessionState {
    &BASE
}

/// A session under limits, with its own memory pool and spill folder.
pub(super) fn limited(limits: &Limits) -> Result<SessionState, DataFusionError> {
    // A fair share for each part that can spill: a greedy one would leave the others nothing to spill with.
    let pool = TrackConsumersPool::new(FairSpillPool::new(limits.memory), NonZeroUsize::MIN);
    let mut runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(pool));
    if let Some(folder) = &limits.spill {
        runtime = runtime.with_temp_file_path(folder);
    }
    Ok(build(config(limits.partitions), runtime.build_arc()?))
}

/// The same session over the tables of one run, with the clock stopped at `now`.
pub(super) fn at(state: &SessionState, tables: &Tables, now: DateTime<Utc>) -> SessionState {
    let list = MemoryCatalogProviderList::new();
    let catalogs: Arc<MemoryCatalogProviderList> = Arc::new(list);
    let _ = datafusion::catalog::CatalogProviderList::register_catalog(
        &*catalogs,
        CATALOG.to_owned(),
        tables.catalog.clone() as Arc<dyn CatalogProvider>,
    );
    let mut state = SessionStateBuilder::new_from_existing(state.clone())
        .with_catalog_list(catalogs)
        .build();
    state.execution_props_mut().query_execution_start_time = Some(now);
    state
}

/// The session in which a bare table name means a dataset of `source`.
pub(super) fn within(state: &SessionState, source: &str) -> SessionState {
    let mut config = state.config().clone();
    source.clone_into(&mut config.options_mut().catalog.default_schema);
    let now = state.execution_props().query_execution_start_time;
    let mut state = SessionStateBuilder::new_from_existing(state.clone())
        .with_config(config)
        .build();
    state.execution_props_mut().query_execution_start_time = now;
    state
}

/// The same session with a plan that needs less memory and more time: joins that sort and spill instead of
/// holding one side, and one part at a time.
pub(super) fn frugal(state: &SessionState) -> SessionState {
    let mut config = state.config().clone().with_batch_size(1024);
    let options = config.options_mut();
    options.optimizer.prefer_hash_join = false;
    options.execution.target_partitions = 1;
    options.execution.sort_spill_reservation_bytes = 1024 * 1024;
    let now = state.execution_props().query_execution_start_time;
    let mut state = SessionStateBuilder::new_from_existing(state.clone())
        .with_config(config)
        .build();
    state.execution_props_mut().query_execution_start_time = now;
    state
}

/// The table of a dataset in a session.
pub(super) async fn table(
    state: &SessionState,
    name: &DatasetName,
) -> Result<Arc<dyn TableProvider>, DataFusionError> {
    let missing = || DataFusionError::Plan(format!("table '{name}' not found"));
    state
        .catalog_list()
        .catalog(CATALOG)
        .and_then(|c| c.schema(name.source.as_str()))
        .ok_or_else(missing)?
        .table(&name.dataset)
        .await?
        .ok_or_else(missing)
}

/// The tables that one run sees, by source and dataset.
#[derive(Debug)]
pub(super) struct Tables {
    catalog: Arc<MemoryCatalogProvider>,
}

impl Tables {
    /// No tables.
    pub(super) fn none() -> Self {
        Self {
            catalog: Arc::new(MemoryCatalogProvider::new()),
        }
    }

    /// Tables without rows, for analysis.
    pub(super) fn empty(schemas: impl IntoIterator<Item = (DatasetName, SchemaRef)>) -> Self {
        let tables = Self::none();
        for (name, schema) in schemas {
            tables.add(&name, Arc::new(EmptyTable::new(schema)));
        }
        tables
    }

    /// Whether there is a table of that name.
    pub(super) fn has(&self, name: &DatasetName) -> bool {
        self.catalog
            .schema(name.source.as_str())
            .is_some_and(|s| s.table_exist(&name.dataset))
    }

    /// Adds a table, or takes the place of one.
    pub(super) fn add(&self, name: &DatasetName, table: Arc<dyn TableProvider>) {
        let source = name.source.as_str();
        let schema = self.catalog.schema(source).unwrap_or_else(|| {
            let schema: Arc<dyn SchemaProvider> = Arc::new(MemorySchemaProvider::new());
            let _ = self.catalog.register_schema(source, Arc::clone(&schema));
            schema
        });
        let _ = schema.deregister_table(&name.dataset);
        let _ = schema.register_table(name.dataset.to_string(), table);
    }
}

fn config(partitions: usize) -> SessionConfig {
    let mut config = SessionConfig::new().with_default_catalog_and_schema(CATALOG, "none");
    let options = config.options_mut();
    options.catalog.create_default_catalog_and_schema = false;
    // Columns keep the letters that the source gave them: `lastUsedAt` is not `lastusedat`.
    options.sql_parser.enable_ident_normalization = false;
    options.sql_parser.collect_spans = true;
    options.execution.time_zone = Some("UTC".to_owned());
    if partitions > 0 {
        options.execution.target_partitions = partitions;
    }
    config
}

fn build(config: SessionConfig, runtime: Arc<RuntimeEnv>) -> SessionState {
    let mut planners =
        vec![Arc::new(Types) as Arc<dyn datafusion::logical_expr::planner::ExprPlanner>];
    planners.extend(SessionStateDefaults::default_expr_planners());
    let kept = |name: &str, volatility: Volatility| {
        volatility != Volatility::Volatile && withheld(name).is_none()
    };
    let mut scalar = SessionStateDefaults::default_scalar_functions();
    scalar.retain(|f| kept(f.name(), f.signature().volatility) && f.name() != "now");
    scalar.push(Arc::new(ScalarUDF::from(Now::default())));
    let mut aggregates = SessionStateDefaults::default_aggregate_functions();
    aggregates.retain(|f| kept(f.name(), f.signature().volatility));
    SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_expr_planners(planners)
        .with_type_planner(Arc::new(Types))
        .with_scalar_functions(scalar)
        .with_aggregate_functions(aggregates)
        .with_window_functions(SessionStateDefaults::default_window_functions())
        .with_higher_order_functions(SessionStateDefaults::default_higher_order_functions())
        .with_table_functions(HashMap::new())
        .build()
}
