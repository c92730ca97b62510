//! From text to logical plan: parse, refuse, put in the parameters, plan, look again. Every way into the
//! engine goes through here, so that what a control may not do, a query, a view and a route may not either.

use std::collections::BTreeMap;

use datafusion::{
    common::DFSchema,
    execution::context::SessionState,
    logical_expr::{Expr, LogicalPlan},
    sql::sqlparser::ast::{self, ExprWithAlias, Ident, Query, SelectItem, SetExpr, Spanned},
};

use super::{
    audit, param, parse,
    problem::{Part, SqlProblem, code, duplicate},
    refuse,
};
use crate::model::control::Param;

/// Reads a query and puts in its parameters.
///
/// # Errors
/// Everything that can be found wrong without looking at a schema.
pub(super) fn read_query(
    part: Part,
    text: &str,
    params: &BTreeMap<String, Param>,
) -> Result<Query, Vec<SqlProblem>> {
    let mut query = parse::query(part, text).map_err(|p| vec![p])?;
    let mut problems = refuse::found(part, &query);
    problems.extend(param::bind(part, &mut query, params));
    problems.extend(name_outputs(part, &mut query));
    refuse::spell_out(&mut query);
    if problems.is_empty() {
        Ok(query)
    } else {
        Err(problems)
    }
}

/// Reads an expression over the columns of one row and puts in its parameters.
///
/// # Errors
/// As [`read_query`].
pub(super) fn read_expression(
    part: Part,
    text: &str,
    params: &BTreeMap<String, Param>,
) -> Result<ast::Expr, Vec<SqlProblem>> {
    let mut expr = parse::expression(part, text).map_err(|p| vec![p])?;
    let mut problems = refuse::found(part, &expr);
    problems.extend(param::bind(part, &mut expr, params));
    problems.extend(refuse::more_than_a_row(part, &expr));
    refuse::spell_out(&mut expr);
    if problems.is_empty() {
        Ok(expr)
    } else {
        Err(problems)
    }
}

/// Plans a query against the tables of a session.
pub(super) async fn query(
    state: &SessionState,
    part: Part,
    query: Query,
) -> Result<LogicalPlan, SqlProblem> {
    let plan = state
        .statement_to_plan(parse::statement(query))
        .await
        .map_err(|e| SqlProblem::plan(part, &e))?;
    audit::plan(&plan).map_err(|e| SqlProblem::plan(part, &e))?;
    if part == Part::Query {
        return Ok(plan);
    }
    let mut names = std::collections::BTreeSet::new();
    match plan
        .schema()
        .fields()
        .iter()
        .find(|f| !names.insert(f.name()))
    {
        Some(twice) => Err(duplicate(part, twice.name())),
        None => Ok(plan),
    }
}

/// Plans an expression over columns.
pub(super) fn expression(
    state: &SessionState,
    part: Part,
    expr: ast::Expr,
    schema: &DFSchema,
) -> Result<Expr, SqlProblem> {
    let expr = ExprWithAlias { expr, alias: None };
    let planned = state
        .create_logical_expr_from_sql_expr(expr, schema)
        .map_err(|e| SqlProblem::plan(part, &e))?;
    audit::expression(&planned, schema).map_err(|e| SqlProblem::plan(part, &e))?;
    Ok(planned)
}

/// Computed columns need a name, because rows, templates and exceptions speak of columns by name. A person at
/// the command line gets the text of the expression as its name.
fn name_outputs(part: Part, query: &mut Query) -> Vec<SqlProblem> {
    let SetExpr::Select(select) = query.body.as_mut() else {
        return Vec::new();
    };
    let mut problems = Vec::new();
    for item in &mut select.projection {
        let SelectItem::UnnamedExpr(expr) = item else {
            continue;
        };
        if matches!(
            expr,
            ast::Expr::Identifier(_) | ast::Expr::CompoundIdentifier(_)
        ) {
            continue;
        }
        if part == Part::Query {
            let alias = Ident::with_quote('"', expr.to_string());
            *item = SelectItem::ExprWithAlias {
                expr: expr.clone(),
                alias,
            };
        } else {
            let what = format!("the column `{expr}` has no name");
            let problem = SqlProblem::new(code::OUTPUT, part, what).at(expr.span());
            problems.push(problem.help("name it with AS"));
        }
    }
    problems
}
