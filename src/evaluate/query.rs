//! SQL that a person wrote, over the evidence of an instant. Read-only like a control, without its demands on
//! names and order; rows come as they are made, so that a long answer needs no memory.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use datafusion::{
    arrow::array::RecordBatch, execution::SendableRecordBatchStream,
    logical_expr::LogicalPlanBuilder,
};
use futures::TryStreamExt;

use super::{
    check::{self, OutputColumn},
    engine::{self, Engine, Error, Trouble},
    parse, plan,
    problem::{Part, SqlProblem},
};
use crate::{
    evidence::{Evidence, row},
    model::outcome::{Row, Unknown},
};

/// The answer to a query.
pub struct Answer {
    /// The columns, in the order of the query.
    pub columns: Vec<OutputColumn>,
    stream: SendableRecordBatchStream,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer")
            .field("columns", &self.columns)
            .finish_non_exhaustive()
    }
}

impl Answer {
    /// The next rows, some thousand at a time; nothing when there are no more.
    ///
    /// # Errors
    /// A value cannot be computed, or the evidence cannot be read.
    pub async fn next(&mut self) -> Result<Option<Vec<Row>>, Error> {
        let batch: Option<RecordBatch> =
            self.stream.try_next().await.map_err(|e| told(e.into()))?;
        Ok(batch.map(|batch| {
            (0..batch.num_rows())
                .map(|at| row::row(&batch, at))
                .collect()
        }))
    }

    /// All rows.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub async fn all(mut self) -> Result<Vec<Row>, Error> {
        let mut all = Vec::new();
        while let Some(rows) = self.next().await? {
            all.extend(rows);
        }
        Ok(all)
    }
}

impl Engine {
    /// Answers a query over evidence at an instant; at most `limit` rows when it is given. Says nothing of
    /// whether the evidence may be believed: its reader does.
    ///
    /// # Errors
    /// The query is not one SELECT over this evidence, or the evidence cannot be read.
    pub async fn query(
        &self,
        sql: &str,
        evidence: &Evidence,
        now: DateTime<Utc>,
        limit: Option<usize>,
    ) -> Result<Answer, Error> {
        let query = plan::read_query(Part::Query, sql, &BTreeMap::new()).map_err(engine::first)?;
        let reads = parse::datasets(Part::Query, &query, None)?;
        let mut schemas = evidence.schemas.clone();
        schemas.extend(
            evidence
                .views
                .iter()
                .map(|(n, v)| (n.clone(), v.schema.clone())),
        );
        if let Some(problem) = check::unknown(Part::Query, &query, &reads, &schemas, None).pop() {
            return Err(problem.into());
        }
        let needed = engine::inputs(&reads, &evidence.views)?;
        let never = evidence
            .used
            .iter()
            .find(|u| u.object.is_none() && needed.contains(&u.dataset));
        if let Some(used) = never {
            let what = format!(
                "`{}` was never collected; `tripline source test {}` reads it now",
                used.dataset, used.dataset.source
            );
            return Err(Error::Evidence(Unknown::NeverCollected, what));
        }
        let state = self.open(evidence, now).await.map_err(told)?;
        let plan = plan::query(&state, Part::Query, query).await?;
        let columns = check::columns(&plan);
        let plan = match limit {
            None => plan,
            Some(_) => LogicalPlanBuilder::from(plan)
                .limit(0, limit)
                .and_then(LogicalPlanBuilder::build)
                .map_err(|e| SqlProblem::plan(Part::Query, &e))?,
        };
        // What the engine only finds while it optimises is a mistake in the query all the same.
        let optimised = state
            .optimize(&plan)
            .map_err(|e| SqlProblem::plan(Part::Query, &e))?;
        let stream = engine::run(&state, &optimised).await.map_err(told)?;
        Ok(Answer { columns, stream })
    }
}

/// A person is told what a run would have written down.
fn told(trouble: Trouble) -> Error {
    match trouble {
        Trouble::Unknown(reason, what) => Error::Evidence(reason, what),
        Trouble::Memory(what) => Error::Limit(what),
        Trouble::Error(error) => error,
    }
}
