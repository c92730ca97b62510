//! A second look at a whole plan, for what single operators do not show: lists, joins and CASE compare
//! too, and an INTERVAL must not end up where the engine would compare months before days.

use datafusion::{
    common::{
        DFSchema, Result,
        tree_node::{TreeNode, TreeNodeRecursion},
    },
    execution::context::SQLOptions,
    logical_expr::{Expr, ExprSchemable, LogicalPlan, Operator, utils::merge_schema},
};

use super::types::{Class, wrong};

/// Refuses a plan that writes or that compares what cannot be compared.
pub(super) fn plan(plan: &LogicalPlan) -> Result<()> {
    SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false)
        .verify_plan(plan)?;
    plan.apply_with_subqueries(|node| {
        let inputs = node.inputs();
        let schema = if inputs.is_empty() {
            node.schema().as_ref().clone()
        } else {
            merge_schema(&inputs)
        };
        if let LogicalPlan::Join(join) = node {
            for (left, right) in &join.on {
                same(&schema, left, right)?;
            }
        }
        node.apply_expressions(|expr| {
            expression(expr, &schema)?;
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(())
}

/// Refuses an expression that compares what cannot be compared.
pub(super) fn expression(expr: &Expr, schema: &DFSchema) -> Result<()> {
    expr.apply(|expr| {
        match expr {
            Expr::InList(list) => {
                for member in &list.list {
                    same(schema, &list.expr, member)?;
                }
            }
            Expr::Case(case) => {
                if let Some(value) = &case.expr {
                    for (when, _) in &case.when_then_expr {
                        same(schema, value, when)?;
                    }
                }
            }
            Expr::BinaryExpr(b)
                if matches!(b.op, Operator::IsDistinctFrom | Operator::IsNotDistinctFrom) =>
            {
                same(schema, &b.left, &b.right)?;
            }
            _ => {}
        }
        if !adds(expr) {
            expr.apply_children(|child| {
                if class(child, schema) == Some(Class::Interval) {
                    let what = "an interval can only be added to an instant or compared with a duration";
                    return Err(wrong(
                        child,
                        what.to_owned(),
                        "write `at < now() - INTERVAL '90 days'` or `duration > INTERVAL '90 days'`",
                    ));
                }
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

fn adds(expr: &Expr) -> bool {
    match expr {
        Expr::BinaryExpr(b) => matches!(
            b.op,
            Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide
        ),
        Expr::Negative(_) | Expr::Alias(_) => true,
        _ => false,
    }
}

/// The class of an expression; nothing when it cannot be told here, as for a column of an outer query.
fn class(expr: &Expr, schema: &DFSchema) -> Option<Class> {
    expr.get_type(schema).ok().map(|t| Class::of(&t))
}

fn same(schema: &DFSchema, left: &Expr, right: &Expr) -> Result<()> {
    let (Some(l), Some(r)) = (class(left, schema), class(right, schema)) else {
        return Ok(());
    };
    let written = matches!(right, Expr::Literal(_, _));
    let fits = match (l, r) {
        (Class::Interval, _) | (_, Class::Interval) => false,
        (Class::Nothing | Class::Other, _) | (_, Class::Nothing | Class::Other) => true,
        (Class::Instant | Class::Date, Class::Text) => written,
        (l, r) => l == r,
    };
    if fits {
        Ok(())
    } else {
        let what = format!("{} cannot be compared with {}", l.noun(), r.noun());
        Err(wrong(
            left,
            what,
            "write both sides in one type, with TRY_CAST(… AS …)",
        ))
    }
}
