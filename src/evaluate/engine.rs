//! The engine: one session under limits that all runs share, and from it one session per run that sees exactly
//! the evidence of that run at exactly its instant.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use datafusion::{
    arrow::{array::RecordBatch, datatypes::Field, error::ArrowError},
    catalog::default_table_source::source_as_provider,
    common::{DataFusionError, tree_node::TreeNodeRecursion},
    datasource::ViewTable,
    execution::{SendableRecordBatchStream, context::SessionState},
    logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast, ident},
    physical_plan::execute_stream,
};
use futures::TryStreamExt;

use super::{
    parse, plan,
    problem::{Part, SqlProblem, code, sentence},
    session::{self, Limits, Tables},
    stored::Stored,
};
use crate::{
    evidence::{self, Archive, Evidence, View},
    model::{id::DatasetName, outcome::Unknown, table::Schema},
};

/// Why something could not be evaluated that is no fault of the evidence.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The SQL is wrong for these datasets.
    #[error("the SQL cannot be used: {0}")]
    Sql(#[from] SqlProblem),
    /// The evidence cannot be used. A control never fails with this: there it is an outcome.
    #[error("{1}")]
    Evidence(Unknown, String),
    /// The evidence store does not answer.
    #[error(transparent)]
    Store(#[from] evidence::Error),
    /// The query needs more than its limits allow, even when it spills.
    #[error("the query needs more memory or disk than it may use: {0}")]
    Limit(String),
    /// The engine failed.
    #[error("the engine failed")]
    Engine(#[source] DataFusionError),
}

/// Results of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Whether the same may succeed later without anybody's doing.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => error.is_transient(),
            Self::Limit(_) => true,
            Self::Evidence(_, _) | Self::Sql(_) | Self::Engine(_) => false,
        }
    }
}

/// Why a run has no answer: what is wrong with the evidence, or what else.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Nothing can be told of any subject, with the reason in a sentence.
    Unknown(Unknown, String),
    /// Memory ran out; another plan may need less.
    Memory(String),
    /// Anything that is not the evidence's fault.
    Error(Error),
}

impl From<SqlProblem> for Trouble {
    fn from(problem: SqlProblem) -> Self {
        Self::Error(Error::Sql(problem))
    }
}

impl From<DataFusionError> for Trouble {
    /// Values that cannot be computed and objects that cannot be read make outcomes unknown; a store that does
    /// not answer and a fault of the engine make the run fail, so that it is tried again.
    fn from(error: DataFusionError) -> Self {
        let damaged = |e: &dyn std::fmt::Display| {
            Self::Unknown(
                Unknown::Incomplete,
                format!("an evidence object cannot be read: {e}"),
            )
        };
        let typed = |e: &DataFusionError| {
            let what = format!("a value cannot be read or computed: {}", sentence(e));
            Self::Unknown(Unknown::TypeError, what)
        };
        match error.find_root() {
            DataFusionError::ResourcesExhausted(what) => Self::Memory(what.clone()),
            DataFusionError::ArrowError(arrow, _) => match &**arrow {
                ArrowError::ParquetError(e) => damaged(e),
                ArrowError::MemoryError(what) => Self::Memory(what.clone()),
                ArrowError::IoError(_, _) | ArrowError::ExternalError(_) => {
                    Self::Error(Error::Engine(error))
                }
                _ => typed(error.find_root()),
            },
            DataFusionError::Execution(_) => typed(error.find_root()),
            DataFusionError::ParquetError(e) => damaged(e),
            DataFusionError::External(e) => match e.downcast_ref::<evidence::Error>() {
                Some(e) => damaged(e),
                None => Self::Error(Error::Engine(error)),
            },
            _ => Self::Error(Error::Engine(error)),
        }
    }
}

/// SQL over evidence.
#[derive(Debug, Clone)]
pub struct Engine {
    archive: Archive,
    base: Arc<SessionState>,
    pub(super) time: Duration,
}

impl Engine {
    /// An engine over an archive.
    ///
    /// # Errors
    /// The folder to spill to cannot be used.
    pub fn new(archive: Archive, limits: &Limits) -> Result<Self> {
        let base = session::limited(limits).map_err(Error::Engine)?;
        let (root, store) = archive.store();
        base.runtime_env().register_object_store(root, store);
        Ok(Self {
            archive,
            base: Arc::new(base),
            time: limits.time,
        })
    }

    /// A session that sees the evidence of one run at its instant.
    pub(super) async fn open(
        &self,
        evidence: &Evidence,
        now: DateTime<Utc>,
    ) -> Result<SessionState, Trouble> {
        let tables = Tables::none();
        for used in &evidence.used {
            let name = &used.dataset;
            let (Some(object), Some(declared)) = (used.object, evidence.schemas.get(name)) else {
                continue;
            };
            let object = match self.archive.find(object).await {
                Ok(object) => object,
                Err(e) if e.is_transient() => return Err(Trouble::Error(e.into())),
                Err(e) => {
                    return Err(Trouble::Unknown(
                        Unknown::Incomplete,
                        format!("`{name}`: {e}"),
                    ));
                }
            };
            let table = Stored::object(&self.archive, object, declared)?;
            tables.add(name, Arc::new(table));
        }
        let state = session::at(&self.base, &tables, now);
        views(&state, &tables, &evidence.views).await?;
        Ok(state)
    }
}

/// Adds views, each after those that it reads. A view whose inputs are not there is left out, so that a control
/// that reads it finds no such table.
pub(super) async fn views(
    state: &SessionState,
    tables: &Tables,
    views: &BTreeMap<DatasetName, View>,
) -> Result<(), Trouble> {
    let mut left: Vec<(&DatasetName, &View)> = views.iter().collect();
    loop {
        let before = left.len();
        let mut later = Vec::new();
        for (name, view) in left {
            let source = name.source.as_str();
            let query = plan::read_query(Part::View, &view.sql, &BTreeMap::new()).map_err(first)?;
            let inputs = parse::datasets(Part::View, &query, Some(source))?;
            if !inputs.iter().all(|i| tables.has(i)) {
                later.push((name, view));
                continue;
            }
            let planned = plan::query(&session::within(state, source), Part::View, query).await?;
            let planned = as_declared(planned, &view.schema)?;
            tables.add(
                name,
                Arc::new(ViewTable::new(planned, Some(view.sql.clone()))),
            );
        }
        if later.is_empty() || later.len() == before {
            return Ok(());
        }
        left = later;
    }
}

/// Exactly the declared columns of a view, in their order and of their types.
fn as_declared(plan: LogicalPlan, schema: &Schema) -> Result<LogicalPlan, Trouble> {
    let bare = super::check::unqualified(plan)?;
    let columns: Vec<Expr> = schema
        .columns
        .iter()
        .map(|c| {
            let declared = evidence::arrow::data_type(c.ty);
            let given = bare
                .schema()
                .field_with_unqualified_name(&c.name)?
                .data_type();
            Ok(if *given == declared {
                ident(&c.name)
            } else {
                cast(ident(&c.name), declared).alias(&c.name)
            })
        })
        .collect::<Result<_, DataFusionError>>()?;
    Ok(LogicalPlanBuilder::from(bare).project(columns)?.build()?)
}

/// The first of several problems.
pub(super) fn first(problems: Vec<SqlProblem>) -> SqlProblem {
    problems
        .into_iter()
        .next()
        .unwrap_or_else(|| SqlProblem::new(code::SYNTAX, Part::Query, "it cannot be read"))
}

/// Makes sure that every column that a plan reads is in its object as it is declared. The engine would read a
/// missing column as NULL and cast one of another type.
pub(super) fn same_columns(plan: &LogicalPlan) -> Result<(), Trouble> {
    let mut trouble = None;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Ok(provider) = source_as_provider(&scan.source)
            && let Some((_, about)) = Stored::of(&*provider).and_then(Stored::about)
        {
            for field in scan.projected_schema.fields() {
                if let Some(why) = differs(field, &about.schema) {
                    trouble.get_or_insert(format!("`{}`: {why}", scan.table_name));
                }
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    match trouble {
        Some(why) => Err(Trouble::Unknown(Unknown::SchemaChanged, why)),
        None => Ok(()),
    }
}

fn differs(field: &Field, stored: &Schema) -> Option<String> {
    let name = field.name();
    let Some(column) = stored.column(name) else {
        return Some(format!("the snapshot has no column `{name}`"));
    };
    if &evidence::arrow::data_type(column.ty) != field.data_type() {
        return Some(format!("`{name}` was {} in the snapshot", column.ty));
    }
    (column.nullable && !field.is_nullable())
        .then(|| format!("`{name}` could be absent in the snapshot"))
}

/// Runs a plan; batches come as they are made.
pub(super) async fn stream(
    state: &SessionState,
    plan: &LogicalPlan,
) -> Result<SendableRecordBatchStream, Trouble> {
    run(state, &state.optimize(plan)?).await
}

/// As [`stream`], for a plan that is optimised.
pub(super) async fn run(
    state: &SessionState,
    optimised: &LogicalPlan,
) -> Result<SendableRecordBatchStream, Trouble> {
    same_columns(optimised)?;
    let physical = state
        .query_planner()
        .create_physical_plan(optimised, state)
        .await?;
    Ok(execute_stream(physical, state.task_ctx())?)
}

/// Runs a plan whose answer is small.
pub(super) async fn collect(
    state: &SessionState,
    plan: &LogicalPlan,
) -> Result<Vec<RecordBatch>, Trouble> {
    Ok(stream(state, plan).await?.try_collect().await?)
}

/// The datasets that a control or a query needs, with the inputs of views in the place of the views.
///
/// # Errors
/// A view cannot be read.
pub fn inputs(
    wanted: &[DatasetName],
    views: &BTreeMap<DatasetName, View>,
) -> Result<Vec<DatasetName>, SqlProblem> {
    let mut found = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut left: Vec<DatasetName> = wanted.to_vec();
    while let Some(name) = left.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        match views.get(&name) {
            None => {
                found.insert(name);
            }
            Some(view) => {
                let query = parse::query(Part::View, &view.sql)?;
                left.extend(parse::datasets(
                    Part::View,
                    &query,
                    Some(name.source.as_str()),
                )?);
            }
        }
    }
    Ok(found.into_iter().collect())
}
