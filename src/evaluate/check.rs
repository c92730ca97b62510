//! What is wrong with the SQL of a control, found at load against the declared columns of its datasets and
//! without any data. Also says what comes out of the evidence query, so that owner, severity, fingerprint
//! and facts can be checked against it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::DateTime;
use datafusion::{
    arrow::datatypes::{DataType, SchemaRef},
    common::DFSchema,
    execution::context::SessionState,
    logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder},
    sql::sqlparser::ast::Query,
};
use futures::FutureExt;

use super::{
    parse, plan,
    problem::{Part, SqlProblem, code},
    session::{self, Tables},
};
use crate::{
    evidence::arrow,
    model::{
        control::{Param, SubjectTemplate},
        definition::Promise,
        id::DatasetName,
        table::{ColumnDef, ColumnType, Schema},
    },
};

/// The parts of a control that SQL is in or that speak of its columns.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// The evidence query.
    pub evidence: &'a str,
    /// The failure condition.
    pub fails_when: &'a str,
    /// Its parameters.
    pub params: &'a BTreeMap<String, Param>,
    /// How a row names its subject.
    pub subject: &'a SubjectTemplate,
    /// The inventory of record.
    pub inventory: Option<&'a DatasetName>,
}

/// A column that comes out of an evidence query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputColumn {
    /// Its name.
    pub name: String,
    /// Its type, when it is one that a dataset can have.
    pub ty: Option<ColumnType>,
    /// Whether it may be NULL.
    pub nullable: bool,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checked {
    /// The columns of the evidence; empty when the query has a mistake.
    pub columns: Vec<OutputColumn>,
    /// The datasets that the evidence reads, sorted, without the inventory.
    pub datasets: Vec<DatasetName>,
    /// Every mistake that was found.
    pub problems: Vec<SqlProblem>,
}

/// Checks the SQL of a control against the declared columns of all datasets, views among them.
pub fn check(parts: &Parts<'_>, schemas: &BTreeMap<DatasetName, Schema>) -> Checked {
    let mut checked = Checked::default();
    let condition = plan::read_expression(Part::FailsWhen, parts.fails_when, parts.params);
    match plan::read_query(Part::Evidence, parts.evidence, parts.params) {
        Err(problems) => checked.problems.extend(problems),
        Ok(query) => match parse::datasets(Part::Evidence, &query, None) {
            Err(problem) => checked.problems.push(problem),
            Ok(datasets) => {
                checked.problems = unknown(Part::Evidence, &query, &datasets, schemas, None);
                checked.datasets = datasets;
                if checked.problems.is_empty() {
                    match evidence(query, schemas, &checked.datasets) {
                        Err(problem) => checked.problems.push(problem),
                        Ok((state, plan)) => {
                            checked.columns = columns(&plan);
                            checked
                                .problems
                                .extend(subject(parts.subject, &checked.columns));
                            if let Ok(expr) = &condition {
                                let found = fails_when(&state, &plan, expr.clone());
                                checked.problems.extend(found.err());
                            }
                        }
                    }
                }
            }
        },
    }
    if let Err(problems) = condition {
        checked.problems.extend(problems);
    }
    if let Some(name) = parts.inventory {
        checked
            .problems
            .extend(inventory(name, parts.subject, schemas));
    }
    checked
}

/// Checks the query of a view: it reads datasets of its own source by their bare names and gives the declared
/// columns.
pub fn check_view(
    source: &str,
    sql: &str,
    declared: &Schema,
    schemas: &BTreeMap<DatasetName, Schema>,
) -> Vec<SqlProblem> {
    match plan_view(source, sql, schemas) {
        Err(problems) => problems,
        Ok(plan) => compare(declared, &columns(&plan)),
    }
}

/// What a view promises: the columns that its query gives, and the key that its connector says.
///
/// # Errors
/// Every mistake in the query, a column of a type that no dataset has, a key that does not come out.
pub fn view_schema(
    source: &str,
    sql: &str,
    key: &[String],
    schemas: &BTreeMap<DatasetName, Schema>,
) -> Result<Schema, Vec<SqlProblem>> {
    let plan = plan_view(source, sql, schemas)?;
    let given = columns(&plan);
    let problem = |what: String| SqlProblem::new(code::OUTPUT, Part::View, what);
    let mut problems = Vec::new();
    let mut defs = Vec::new();
    for column in &given {
        match column.ty {
            Some(ty) => defs.push(ColumnDef {
                name: column.name.clone(),
                ty,
                nullable: column.nullable,
            }),
            None => problems.push(
                problem(format!(
                    "the view gives `{}` as a type that no dataset has",
                    column.name
                ))
                .help("CAST it to text, a number, a truth value or a time"),
            ),
        }
    }
    for name in key.iter().filter(|k| !given.iter().any(|g| g.name == **k)) {
        problems.push(
            problem(format!("the view does not give its key `{name}`")).nearest(
                name,
                "columns",
                given.iter().map(|g| g.name.as_str()),
            ),
        );
    }
    if problems.is_empty() {
        Ok(Schema {
            columns: defs,
            key: key.to_vec(),
        })
    } else {
        Err(problems)
    }
}

/// The datasets of its own source that a view reads, sorted.
///
/// # Errors
/// The text is not one query, or reads something that is not of this source.
pub fn datasets_of_view(source: &str, sql: &str) -> Result<Vec<DatasetName>, SqlProblem> {
    let query = parse::query(Part::View, sql)?;
    parse::datasets(Part::View, &query, Some(source))
}

/// What the named datasets promise, and what those promise that the views among them read.
pub fn promised(
    names: &[DatasetName],
    all: &BTreeMap<DatasetName, Promise>,
) -> BTreeMap<DatasetName, Promise> {
    let mut found = BTreeMap::new();
    let mut left = names.to_vec();
    while let Some(name) = left.pop() {
        let Some(promise) = all.get(&name) else {
            continue;
        };
        if let Some(sql) = &promise.view {
            left.extend(datasets_of_view(name.source.as_str(), sql).unwrap_or_default());
        }
        found.insert(name, promise.clone());
    }
    found
}

fn plan_view(
    source: &str,
    sql: &str,
    schemas: &BTreeMap<DatasetName, Schema>,
) -> Result<LogicalPlan, Vec<SqlProblem>> {
    let query = plan::read_query(Part::View, sql, &BTreeMap::new())?;
    let datasets = parse::datasets(Part::View, &query, Some(source)).map_err(|p| vec![p])?;
    let problems = unknown(Part::View, &query, &datasets, schemas, Some(source));
    if !problems.is_empty() {
        return Err(problems);
    }
    let tables = tables(schemas, &datasets);
    let state = session::within(&session::at(session::bare(), &tables, some_time()), source);
    plan_now(&state, Part::View, query).map_err(|p| vec![p])
}

/// Whether the columns that a view gives are those that it declares.
fn compare(declared: &Schema, given: &[OutputColumn]) -> Vec<SqlProblem> {
    let problem = |what: String| SqlProblem::new(code::OUTPUT, Part::View, what);
    let mut problems = Vec::new();
    for column in &declared.columns {
        match given.iter().find(|g| g.name == column.name) {
            None => problems.push(
                problem(format!(
                    "the view does not give the column `{}`",
                    column.name
                ))
                .nearest(
                    &column.name,
                    "columns",
                    given.iter().map(|g| g.name.as_str()),
                ),
            ),
            Some(g) if g.ty.map(arrow::data_type) != Some(arrow::data_type(column.ty)) => {
                let found = g.ty.map_or("another type", ColumnType::as_str);
                problems.push(problem(format!(
                    "the view gives `{}` as {found}, and {} is declared",
                    column.name, column.ty
                )));
            }
            Some(_) => {}
        }
    }
    problems
}

/// Tables that nobody offers, each at its place.
pub(super) fn unknown(
    part: Part,
    query: &Query,
    datasets: &[DatasetName],
    schemas: &BTreeMap<DatasetName, Schema>,
    source: Option<&str>,
) -> Vec<SqlProblem> {
    let known: BTreeSet<String> = schemas
        .keys()
        .filter(|n| source.is_none_or(|s| n.source.as_str() == s))
        .map(|n| match source {
            Some(_) => n.dataset.to_string(),
            None => n.to_string(),
        })
        .collect();
    datasets
        .iter()
        .filter(|name| !schemas.contains_key(name))
        .map(|name| {
            let word = match source {
                Some(_) => name.dataset.to_string(),
                None => name.to_string(),
            };
            SqlProblem::new(code::DATASET, part, format!("unknown dataset `{word}`"))
                .nearest(&word, "datasets", known.iter().map(String::as_str))
                .at(parse::place_of(query, name))
        })
        .collect()
}

pub(super) fn tables(schemas: &BTreeMap<DatasetName, Schema>, datasets: &[DatasetName]) -> Tables {
    Tables::empty(datasets.iter().filter_map(|name| {
        let schema: SchemaRef = arrow::schema(schemas.get(name)?);
        Some((name.clone(), schema))
    }))
}

fn evidence(
    query: Query,
    schemas: &BTreeMap<DatasetName, Schema>,
    datasets: &[DatasetName],
) -> Result<(SessionState, LogicalPlan), SqlProblem> {
    let state = session::at(session::bare(), &tables(schemas, datasets), some_time());
    let plan = plan_now(&state, Part::Evidence, query)?;
    Ok((state, plan))
}

/// Plans and optimises at once: the tables have no rows, so nothing waits, and what the engine folds before
/// it runs (a date that is none) shows here.
fn plan_now(state: &SessionState, part: Part, query: Query) -> Result<LogicalPlan, SqlProblem> {
    let plan = plan::query(state, part, query)
        .now_or_never()
        .unwrap_or_else(|| Err(SqlProblem::new(code::TYPE, part, "it cannot be planned")))?;
    state
        .optimize(&plan)
        .map_err(|e| SqlProblem::plan(part, &e))?;
    Ok(plan)
}

fn fails_when(
    state: &SessionState,
    evidence: &LogicalPlan,
    expr: datafusion::sql::sqlparser::ast::Expr,
) -> Result<(), SqlProblem> {
    let part = Part::FailsWhen;
    let evidence = unqualified(evidence.clone()).map_err(|e| SqlProblem::plan(part, &e))?;
    let schema: &DFSchema = evidence.schema();
    let expr = plan::expression(state, part, expr, schema)?;
    let ty = expr
        .get_type(schema)
        .map_err(|e| SqlProblem::plan(part, &e))?;
    if ty != DataType::Boolean {
        let class = super::types::Class::of(&ty).noun();
        let what = format!("the condition is {class}, and must be true or false");
        return Err(SqlProblem::new(code::CONDITION, part, what));
    }
    LogicalPlanBuilder::from(evidence)
        .project([expr.alias("fails")])
        .and_then(LogicalPlanBuilder::build)
        .and_then(|plan| state.optimize(&plan))
        .map(|_| ())
        .map_err(|e| SqlProblem::plan(part, &e))
}

/// The columns of a plan by their bare names, as a condition sees them.
pub(super) fn unqualified(plan: LogicalPlan) -> datafusion::common::Result<LogicalPlan> {
    let columns: Vec<Expr> = plan
        .schema()
        .columns()
        .into_iter()
        .map(|c| {
            let name = c.name.clone();
            Expr::Column(c).alias(name)
        })
        .collect();
    LogicalPlanBuilder::from(plan).project(columns)?.build()
}

pub(super) fn columns(plan: &LogicalPlan) -> Vec<OutputColumn> {
    plan.schema()
        .fields()
        .iter()
        .map(|f| OutputColumn {
            name: f.name().clone(),
            ty: column_type(f.data_type()),
            nullable: f.is_nullable(),
        })
        .collect()
}

/// The type of column that an engine type is, if it is one.
pub(super) fn column_type(ty: &DataType) -> Option<ColumnType> {
    Some(match ty {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => ColumnType::Text,
        ty if ty.is_integer() => ColumnType::Int,
        DataType::Float16 | DataType::Float32 | DataType::Float64 => ColumnType::Float,
        DataType::Decimal128(_, _) => ColumnType::Decimal,
        DataType::Boolean => ColumnType::Bool,
        DataType::Date32 => ColumnType::Date,
        DataType::Timestamp(_, _) => ColumnType::Timestamp,
        DataType::Duration(_) => ColumnType::Duration,
        DataType::List(item) if column_type(item.data_type()) == Some(ColumnType::Text) => {
            ColumnType::ListText
        }
        _ => return None,
    })
}

/// Types whose values have one spelling, so that they can stand in an id.
const fn can_name(ty: ColumnType) -> bool {
    matches!(ty, ColumnType::Text | ColumnType::Int | ColumnType::Bool)
}

fn subject(template: &SubjectTemplate, columns: &[OutputColumn]) -> Vec<SqlProblem> {
    let names = || columns.iter().map(|c| c.name.as_str());
    template
        .columns()
        .filter_map(|name| {
            let problem = |what: String| SqlProblem::new(code::SUBJECT, Part::Subject, what);
            match columns.iter().find(|c| c.name == name) {
                None => Some(
                    problem(format!("the evidence has no column `{name}`")).nearest(
                        name,
                        "columns",
                        names().collect::<Vec<_>>(),
                    ),
                ),
                Some(c) if c.ty.is_some_and(can_name) => None,
                Some(_) => Some(
                    problem(format!("`{name}` cannot name a subject"))
                        .help("use a column of text, whole numbers or truth values"),
                ),
            }
        })
        .collect()
}

fn inventory(
    name: &DatasetName,
    subject: &SubjectTemplate,
    schemas: &BTreeMap<DatasetName, Schema>,
) -> Option<SqlProblem> {
    let problem = |what: String| SqlProblem::new(code::INVENTORY, Part::Inventory, what);
    let Some(schema) = schemas.get(name) else {
        let known: Vec<String> = schemas.keys().map(ToString::to_string).collect();
        let what = format!("unknown dataset `{name}`");
        return Some(problem(what).nearest(
            &name.to_string(),
            "datasets",
            known.iter().map(String::as_str),
        ));
    };
    let Some(keys) = inventory_keys(schema, subject) else {
        let wanted = subject.columns().count();
        let what = format!(
            "`{name}` has the key ({}), and the subject `{subject}` has {wanted} other column{}",
            schema.key.join(", "),
            if wanted == 1 { "" } else { "s" },
        );
        return Some(
            problem(what).help("an inventory has the columns of the subject, or is keyed like it"),
        );
    };
    keys.iter()
        .find(|k| !schema.column(k).is_some_and(|c| can_name(c.ty)))
        .map(|k| problem(format!("`{k}` of `{name}` cannot name a subject")))
}

/// The columns by which an inventory knows a subject, in the order of the subject's columns: those of the same names
/// where it has them all, its key otherwise. Nothing when neither fits.
pub(super) fn inventory_keys(schema: &Schema, subject: &SubjectTemplate) -> Option<Vec<String>> {
    let wanted: Vec<String> = subject.columns().map(str::to_owned).collect();
    if wanted.iter().all(|w| schema.column(w).is_some()) {
        return Some(wanted);
    }
    (wanted.len() == schema.key.len()).then(|| schema.key.clone())
}

/// An instant for plans that are never run.
fn some_time() -> chrono::DateTime<chrono::Utc> {
    DateTime::UNIX_EPOCH
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
