//! The plans that judge a population. Two questions, each one plan over the same rows: how many subjects have
//! which outcome (passes never leave the engine), and which rows stand behind the subjects that fail, cannot be
//! told or were known before. The outcome of a row is the condition's own truth: true fails, false passes, NULL
//! is unknown. Several conditions can be asked of the same rows at once.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{RecordBatch, StringViewArray},
        datatypes::{DataType, Field, Schema as ArrowSchema},
    },
    catalog::TableProvider,
    common::{Column, DFSchema, JoinType, Result, ScalarValue, TableReference},
    datasource::{MemTable, provider_as_source},
    functions::expr_fn::{concat, nullif},
    functions_aggregate::expr_fn::{count, max, sum},
    logical_expr::{
        Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, SortExpr, cast, ident, lit, when,
    },
};

use super::{
    control::Told,
    types::Class,
    unique::{self, Proof},
};
use crate::model::{
    control::{Part, SubjectTemplate},
    id::{DatasetName, SubjectId},
};

/// The subject's id in the rows that come out.
pub(super) const SUBJECT: &str = "__subject";
const RANK: &str = "__rank";
const FAILS: &str = "__fails";
const KNOWN: &str = "__known";
const KEY: &str = "__key";
const ROWS: &str = "__rows";

/// The rank of a row for which the condition is true. The smallest rank of a subject's rows is its outcome.
pub(super) const FAIL: i8 = 0;
/// The rank of a row for which it is NULL.
pub(super) const UNKNOWN: i8 = 1;
/// The rank of a row for which it is false.
pub(super) const PASS: i8 = 2;

/// How bad a row is under a condition, in the rows that come out: [`FAIL`], [`UNKNOWN`] or [`PASS`].
pub(super) fn rank(condition: usize) -> String {
    format!("{RANK}{condition}")
}

/// Whether a column of the rows that come out is none of the evidence.
pub(super) fn is_ours(column: &str) -> bool {
    column == SUBJECT
        || column
            .strip_prefix(RANK)
            .is_some_and(|n| n.parse::<usize>().is_ok())
}

fn fails(condition: usize) -> Expr {
    ident(format!("{FAILS}{condition}"))
}

/// A number among the counts: how many subjects have an outcome under a condition.
pub(super) fn tallied(what: &str, condition: usize) -> String {
    format!("{what}{condition}")
}

/// A population with the truth of each condition for each of its rows.
#[derive(Debug, Clone)]
pub(super) struct Judged {
    /// The columns of the evidence, and each condition as one more.
    plan: LogicalPlan,
    /// The columns of the evidence.
    columns: Vec<String>,
    conditions: usize,
    subject: SubjectTemplate,
    proof: Proof,
}

impl Judged {
    /// Adds conditions to a population whose columns have bare names.
    pub(super) fn new(
        population: LogicalPlan,
        conditions: Vec<Expr>,
        subject: &SubjectTemplate,
    ) -> Result<Self> {
        let columns: Vec<String> = population
            .schema()
            .fields()
            .iter()
            .map(|f| f.name().clone())
            .collect();
        let named: Vec<&str> = subject.columns().collect();
        let mut proof = unique::prove(&population, &named);
        proof.unique &= spells_once(subject, population.schema());
        let asked = conditions.len();
        let truths = conditions.into_iter().enumerate();
        let truths = truths.map(|(n, c)| c.alias(format!("{FAILS}{n}")));
        let all = columns.iter().map(ident).chain(truths);
        Ok(Self {
            plan: LogicalPlanBuilder::from(population).project(all)?.build()?,
            columns,
            conditions: asked,
            subject: subject.clone(),
            proof,
        })
    }

    /// One row: how many subjects fail, are unknown and pass under each condition, and how many rows name none.
    pub(super) fn counts(&self) -> Result<LogicalPlan> {
        let plan = LogicalPlanBuilder::from(self.plan.clone());
        let schema = self.plan.schema();
        if self.proof.unique {
            let named = if self.proof.named {
                lit(true)
            } else {
                self.key(schema)?.is_not_null()
            };
            let tally = |condition: Expr| -> Result<Expr> {
                Ok(count(when(named.clone().and(condition), lit(1)).end()?))
            };
            let unnamed = if self.proof.named {
                count(lit(ScalarValue::Int32(None)))
            } else {
                count(when(self.key(schema)?.is_null(), lit(1)).end()?)
            };
            let mut all = vec![unnamed.alias("unnamed")];
            for n in 0..self.conditions {
                all.extend([
                    tally(fails(n).is_true())?.alias(tallied("fail", n)),
                    tally(fails(n).is_unknown())?.alias(tallied("unknown", n)),
                    tally(fails(n).is_false())?.alias(tallied("pass", n)),
                ]);
            }
            return plan.aggregate(Vec::<Expr>::new(), all)?.build();
        }
        let named = ident(KEY).is_not_null();
        let mut of_each = vec![count(lit(1)).alias(ROWS)];
        let mut all = vec![sum(when(ident(KEY).is_null(), ident(ROWS)).end()?).alias("unnamed")];
        for n in 0..self.conditions {
            let worst = max(when(fails(n).is_true(), lit(PASS - FAIL))
                .when(fails(n).is_unknown(), lit(PASS - UNKNOWN))
                .otherwise(lit(0_i8))?);
            of_each.push(worst.alias(rank(n)));
            for (what, is) in [("fail", FAIL), ("unknown", UNKNOWN), ("pass", PASS)] {
                let is = named.clone().and(ident(rank(n)).eq(lit(PASS - is)));
                all.push(count(when(is, lit(1)).end()?).alias(tallied(what, n)));
            }
        }
        plan.aggregate([self.key(schema)?.alias(KEY)], of_each)?
            .aggregate(Vec::<Expr>::new(), all)?
            .build()
    }

    /// The rows that do not pass under every condition or are of subjects known before, sorted by subject and all columns,
    /// so that equal evidence gives equal rows whatever order it is read in. Rows without a subject come last. Where only
    /// outcomes are told, no column of the evidence comes along.
    pub(super) fn rows(&self, known: &[SubjectId], told: Told) -> Result<LogicalPlan> {
        let every = || 0..self.conditions;
        let mut keep = every()
            .map(|n| fails(n).is_not_false())
            .reduce(Expr::or)
            .unwrap_or_else(|| lit(false));
        let mut plan = self.plan.clone();
        if !self.proof.named {
            keep = keep.or(self.key(plan.schema())?.is_null());
        }
        if !known.is_empty() {
            // The known subjects are the side that is held in memory; the population streams past them.
            let on = self.marker(plan.schema())?;
            plan = list(&on.values(known))?
                .join_on(plan, JoinType::Right, [ident(KNOWN).eq(on.expr)])?
                .build()?;
            keep = keep.or(ident(KNOWN).is_not_null());
        }
        let mut all = vec![self.named(plan.schema())?.alias(SUBJECT)];
        for n in every() {
            let bad = when(fails(n).is_true(), lit(FAIL))
                .when(fails(n).is_unknown(), lit(UNKNOWN))
                .otherwise(lit(PASS))?;
            all.push(bad.alias(rank(n)));
        }
        let columns = match told {
            Told::Rows => self.columns.as_slice(),
            Told::Outcomes => &[],
        };
        all.extend(columns.iter().map(ident));
        let order: Vec<SortExpr> = [SUBJECT]
            .into_iter()
            .chain(columns.iter().map(String::as_str))
            .map(|c| ident(c).sort(true, false))
            .collect();
        LogicalPlanBuilder::from(plan)
            .filter(keep)?
            .project(all)?
            .sort(order)?
            .build()
    }

    /// What tells subjects apart: one column as it is where that will do, the whole id otherwise; NULL for a row
    /// without a name.
    fn key(&self, schema: &DFSchema) -> Result<Expr> {
        let mut columns = self.subject.columns();
        match (columns.next(), columns.next()) {
            (Some(one), None) => present(one, schema),
            _ => self.named(schema),
        }
    }

    fn named(&self, schema: &DFSchema) -> Result<Expr> {
        name(&self.subject, &mut |column| present(column, schema))
    }

    /// By what known subjects are found: by the column itself when the id is one text column between literals,
    /// so that no id is spelled out for a subject that passes.
    fn marker(&self, schema: &DFSchema) -> Result<Marker> {
        let (before, column, after) = match self.subject.parts.as_slice() {
            [Part::Literal(before), Part::Column(column)] => (before.as_str(), column, ""),
            [
                Part::Literal(before),
                Part::Column(column),
                Part::Literal(after),
            ] => (before.as_str(), column, after.as_str()),
            _ => return self.whole(schema),
        };
        let ty = schema.field_with_unqualified_name(column)?.data_type();
        if Class::of(ty) != Class::Text {
            return self.whole(schema);
        }
        Ok(Marker {
            expr: ident(column),
            around: Some((before.to_owned(), after.to_owned())),
        })
    }

    fn whole(&self, schema: &DFSchema) -> Result<Marker> {
        Ok(Marker {
            expr: self.named(schema)?,
            around: None,
        })
    }
}

/// How a row is recognised as one of a known subject.
struct Marker {
    expr: Expr,
    /// What stands before and after the column's value in an id.
    around: Option<(String, String)>,
}

impl Marker {
    fn values(&self, known: &[SubjectId]) -> Vec<String> {
        known
            .iter()
            .filter_map(|id| match &self.around {
                None => Some(id.as_str()),
                Some((before, after)) => {
                    id.as_str().strip_prefix(&**before)?.strip_suffix(&**after)
                }
            })
            .map(str::to_owned)
            .collect()
    }
}

/// All rows of a dataset.
pub(super) fn scan(name: &DatasetName, table: Arc<dyn TableProvider>) -> Result<LogicalPlan> {
    let reference = TableReference::partial(name.source.as_str(), &*name.dataset);
    LogicalPlanBuilder::scan(reference, provider_as_source(table), None)?.build()
}

/// Which of some subjects an inventory has. The inventory's columns stand for the subject's in their order.
pub(super) fn present_in(
    inventory: LogicalPlan,
    subject: &SubjectTemplate,
    keys: &[String],
    subjects: &[SubjectId],
) -> Result<LogicalPlan> {
    let schema = Arc::clone(inventory.schema());
    let mut next = keys.iter();
    let id = name(subject, &mut |_| match next.next() {
        Some(key) => present(key, &schema),
        None => Ok(lit(ScalarValue::Utf8(None))),
    })?;
    let ids: Vec<String> = subjects.iter().map(|s| s.as_str().to_owned()).collect();
    let inventory = LogicalPlanBuilder::from(inventory)
        .project([id.alias(SUBJECT)])?
        .build()?;
    list(&ids)?
        .join_on(
            inventory,
            JoinType::LeftSemi,
            [ident(KNOWN).eq(ident(SUBJECT))],
        )?
        .project([ident(KNOWN).alias(SUBJECT)])?
        .build()
}

/// Texts as a table. It lives in this process: a session elsewhere would be given the same list as a small
/// Parquet object.
fn list(values: &[String]) -> Result<LogicalPlanBuilder> {
    let schema = Arc::new(ArrowSchema::new(vec![Field::new(
        KNOWN,
        DataType::Utf8View,
        false,
    )]));
    let array = StringViewArray::from_iter_values(values);
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(array)])?;
    let table = MemTable::try_new(schema, vec![vec![batch]])?;
    LogicalPlanBuilder::scan("known", provider_as_source(Arc::new(table)), None)
}

/// The id of a subject from its columns; NULL when one of them is.
fn name(template: &SubjectTemplate, value: &mut dyn FnMut(&str) -> Result<Expr>) -> Result<Expr> {
    let mut parts = Vec::with_capacity(template.parts.len());
    let mut whole = lit(true);
    for part in &template.parts {
        match part {
            Part::Literal(text) => parts.push(lit(text.as_str())),
            Part::Column(column) => {
                let value = value(column)?;
                whole = whole.and(value.clone().is_not_null());
                parts.push(cast(value, DataType::Utf8View));
            }
        }
    }
    when(whole, concat(parts)).end()
}

/// The value of a column that names something: an empty text names nothing.
fn present(column: &str, schema: &DFSchema) -> Result<Expr> {
    let expr = Expr::Column(Column::from(
        schema.qualified_field_with_unqualified_name(column)?,
    ));
    Ok(match Class::of(&expr.get_type(schema)?) {
        Class::Text => nullif(expr, lit("")),
        _ => expr,
    })
}

/// Whether two different combinations of values can never spell the same id: at most one column is text, and a
/// slash, which no number has, stands between any two.
fn spells_once(template: &SubjectTemplate, schema: &DFSchema) -> bool {
    let text = |c: &str| {
        schema
            .field_with_unqualified_name(c)
            .is_ok_and(|f| Class::of(f.data_type()) == Class::Text)
    };
    let apart = template
        .parts
        .windows(2)
        .all(|pair| !matches!(pair, [Part::Column(_), Part::Column(_)]));
    let slashed = template.parts.iter().skip(1).enumerate().all(|(i, part)| {
        let last = i + 2 == template.parts.len();
        matches!(part, Part::Literal(l) if last || l.contains('/'))
            || matches!(part, Part::Column(_))
    });
    apart && slashed && template.columns().filter(|c| text(c)).count() <= 1
}
