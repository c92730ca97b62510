//! The examples of a control: what it says of rows that its author wrote down. The same session, the same
//! plans and the same outcomes as in a run, over rows in memory at the example's instant.

use std::{collections::BTreeMap, sync::Arc};

use datafusion::arrow::datatypes::{Field, Schema as ArrowSchema};

use super::{
    check::{self, column_type},
    control,
    engine::{self, Error, Trouble},
    parse, plan,
    problem::{Part, SqlProblem},
    rows::{self, Mismatch},
    session::{self, Tables},
    stored::Stored,
};
use crate::{
    evidence::{View, arrow},
    model::{
        control::{Control, Evidence as Given, Example},
        id::DatasetName,
        outcome::{Counts, Evaluation, Outcome, Row, Unknown},
        table::{ColumnDef, Schema},
    },
};

/// What a catalog offers to SQL.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    /// The columns of all datasets, views among them.
    pub schemas: &'a BTreeMap<DatasetName, Schema>,
    /// The queries of those that are views.
    pub views: &'a BTreeMap<DatasetName, View>,
}

/// Why an example cannot be tried.
#[derive(Debug, thiserror::Error)]
pub enum ExampleError {
    /// A row is not one of its dataset, or of the evidence.
    #[error("{0}")]
    Row(#[from] Mismatch),
    /// The example gives rows of a dataset that there is not.
    #[error("the example gives rows of `{0}`, and there is no such dataset")]
    Dataset(DatasetName),
    /// The control's SQL is wrong.
    #[error(transparent)]
    Sql(#[from] SqlProblem),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] Error),
}

/// Tries an example: what the control says of the rows that it gives. Several subjects give the worst of their
/// outcomes.
///
/// # Errors
/// The example does not fit the control, or the control's SQL is wrong.
pub async fn example(
    control: &Control,
    example: &Example,
    offer: Offer<'_>,
) -> Result<Outcome, ExampleError> {
    let evaluation = match &example.given {
        Given::Row(row) => one_row(control, example, row, offer).await?,
        Given::Datasets(given) => datasets(control, example, given, offer).await?,
    };
    Ok(worst(&evaluation))
}

/// The name under which the row of an example stands in for the evidence query.
const GIVEN: (&str, &str) = ("example", "given");

async fn one_row(
    control: &Control,
    example: &Example,
    row: &Row,
    offer: Offer<'_>,
) -> Result<Evaluation, ExampleError> {
    let query = plan::read_query(Part::Evidence, &control.evidence.text, &control.params)
        .map_err(engine::first)?;
    let reads = parse::datasets(Part::Evidence, &query, None)?;
    let tables = check::tables(offer.schemas, &reads);
    let state = session::at(session::bare(), &tables, example.at);
    let evidence = plan::query(&state, Part::Evidence, query).await?;
    // The row may leave out any column, whatever the query promises.
    let fields: Vec<Field> = evidence
        .schema()
        .fields()
        .iter()
        .map(|f| Field::new(f.name(), f.data_type().clone(), true))
        .collect();
    let columns = fields.iter().filter_map(|f| {
        Some(ColumnDef {
            name: f.name().clone(),
            ty: column_type(f.data_type())?,
            nullable: true,
        })
    });
    let declared = Schema {
        columns: columns.collect(),
        key: Vec::new(),
    };
    let table = rows::table(&declared, std::slice::from_ref(row))?;
    let fields: Vec<Field> = fields
        .into_iter()
        .filter(|f| declared.column(f.name()).is_some())
        .collect();
    let batch = rows::batch(&Arc::new(ArrowSchema::new(fields)), &table).map_err(internal)?;
    let name = DatasetName::new(GIVEN.0, GIVEN.1);
    let tables = Tables::none();
    tables.add(&name, Arc::new(Stored::rows(batch).map_err(failed)?));
    let state = session::at(session::bare(), &tables, example.at);
    let mut control = control.clone();
    control.evidence.text = format!("SELECT * FROM {name}");
    Ok(control::alone(&state, &control).await?)
}

async fn datasets(
    control: &Control,
    example: &Example,
    given: &BTreeMap<DatasetName, Vec<Row>>,
    offer: Offer<'_>,
) -> Result<Evaluation, ExampleError> {
    if let Some(name) = given.keys().find(|n| !offer.schemas.contains_key(n)) {
        return Err(ExampleError::Dataset(name.clone()));
    }
    let reads = parse::datasets_of(&control.evidence.text)?;
    // A view that the example gives rows of is those rows.
    let views: BTreeMap<DatasetName, View> = offer
        .views
        .iter()
        .filter(|(name, _)| !given.contains_key(name))
        .map(|(name, view)| (name.clone(), view.clone()))
        .collect();
    let tables = Tables::none();
    for name in engine::inputs(&reads, &views)? {
        let Some(schema) = offer.schemas.get(&name) else {
            continue;
        };
        let rows = given.get(&name).map(Vec::as_slice).unwrap_or_default();
        let table = rows::table(schema, rows)?;
        let batch = arrow::to_batch(&table).map_err(internal)?;
        tables.add(&name, Arc::new(Stored::rows(batch).map_err(failed)?));
    }
    let state = session::at(session::bare(), &tables, example.at);
    engine::views(&state, &tables, &views)
        .await
        .map_err(|t| match t {
            Trouble::Error(error) => ExampleError::Engine(error),
            Trouble::Unknown(_, what) | Trouble::Memory(what) => {
                ExampleError::Engine(Error::Limit(what))
            }
        })?;
    Ok(control::alone(&state, control).await?)
}

/// What an evaluation says as a whole: fail before unknown before pass.
fn worst(evaluation: &Evaluation) -> Outcome {
    let Counts { fail, unknown, .. } = evaluation.counts;
    if let Some((reason, _)) = &evaluation.not_checked {
        Outcome::Unknown(*reason)
    } else if fail > 0 {
        Outcome::Fail
    } else if unknown > 0 {
        let reason = evaluation.observed.iter().find_map(|o| match o.outcome {
            Outcome::Unknown(reason) => Some(reason),
            Outcome::Pass | Outcome::Fail => None,
        });
        Outcome::Unknown(reason.unwrap_or(Unknown::NullCondition))
    } else {
        Outcome::Pass
    }
}

fn internal(error: datafusion::arrow::error::ArrowError) -> ExampleError {
    failed(error.into())
}

fn failed(error: datafusion::error::DataFusionError) -> ExampleError {
    ExampleError::Engine(Error::Engine(error))
}
