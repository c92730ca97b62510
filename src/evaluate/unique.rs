//! Whether an evidence query gives one row per subject, proved from the keys of its datasets. A proof saves
//! the engine from grouping a million names to find that each stands alone. No proof is no harm: then rows are
//! grouped.

use std::collections::BTreeSet;

use datafusion::{
    catalog::default_table_source::source_as_provider,
    common::{Column, DFSchema},
    logical_expr::{
        Aggregate, Distinct, Expr, Join, JoinType, LogicalPlan, Operator, TableScan,
        utils::split_conjunction,
    },
};

use super::stored::Stored;

/// Columns that together name each row of a plan once, by their place in it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    columns: BTreeSet<usize>,
    /// Whether they have a value in each row that is neither absent nor empty.
    named: bool,
}

/// What is known of the rows of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Proof {
    /// Each combination of the columns stands in one row only.
    pub(super) unique: bool,
    /// Each of the columns has a value in each row that is neither absent nor empty.
    pub(super) named: bool,
}

/// What is known of some output columns of a query.
pub(super) fn prove(plan: &LogicalPlan, columns: &[&str]) -> Proof {
    let none = Proof {
        unique: false,
        named: false,
    };
    let places: Option<BTreeSet<usize>> = columns
        .iter()
        .map(|c| plan.schema().index_of_column_by_name(None, c))
        .collect();
    let Some(places) = places else {
        return none;
    };
    keys(plan)
        .into_iter()
        .filter(|k| k.columns.is_subset(&places))
        .fold(none, |proof, key| Proof {
            unique: true,
            named: proof.named || key.named && key.columns == places,
        })
}

fn keys(plan: &LogicalPlan) -> Vec<Key> {
    match plan {
        LogicalPlan::TableScan(scan) => of_scan(scan),
        LogicalPlan::SubqueryAlias(alias) => keys(&alias.input),
        LogicalPlan::Sort(sort) => keys(&sort.input),
        LogicalPlan::Limit(limit) => keys(&limit.input),
        LogicalPlan::Window(window) => keys(&window.input),
        LogicalPlan::Filter(filter) => {
            let bound = bound(&filter.predicate, filter.input.schema());
            keys(&filter.input)
                .into_iter()
                .map(|key| without(key, &bound))
                .collect()
        }
        LogicalPlan::Projection(projection) => {
            let from: Vec<Option<usize>> = projection
                .expr
                .iter()
                .map(|e| place(e, projection.input.schema()))
                .collect();
            renamed(keys(&projection.input), &from)
        }
        LogicalPlan::Join(join) => of_join(join),
        LogicalPlan::Aggregate(aggregate) => of_aggregate(aggregate),
        LogicalPlan::Distinct(Distinct::All(input)) => vec![Key {
            columns: (0..input.schema().fields().len()).collect(),
            named: false,
        }],
        _ => Vec::new(),
    }
}

fn of_scan(scan: &TableScan) -> Vec<Key> {
    let Ok(provider) = source_as_provider(&scan.source) else {
        return Vec::new();
    };
    if let Some(view) = provider.get_logical_plan() {
        return keys(&view);
    }
    let key = Stored::of(&*provider).map(Stored::key).unwrap_or_default();
    let columns: Option<BTreeSet<usize>> = key
        .iter()
        .map(|k| scan.projected_schema.index_of_column_by_name(None, k))
        .collect();
    columns
        .filter(|c| !c.is_empty())
        .map(|columns| Key {
            columns,
            named: true,
        })
        .into_iter()
        .collect()
}

/// A side's keys live through a join when each of its rows meets at most one row of the other side, which the
/// other side's key among the joined columns makes sure of. Rows that a join fills with NULL have no key.
fn of_join(join: &Join) -> Vec<Key> {
    let (left, right) = (keys(&join.left), keys(&join.right));
    let (met_left, met_right) = met(join);
    let one = |keys: &[Key], met: &BTreeSet<usize>| keys.iter().any(|k| k.columns.is_subset(met));
    let width = join.left.schema().fields().len();
    let shifted = |keys: Vec<Key>| {
        keys.into_iter().map(move |k| Key {
            columns: k.columns.into_iter().map(|c| c + width).collect(),
            named: k.named,
        })
    };
    match join.join_type {
        JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => left,
        JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => right,
        JoinType::Inner | JoinType::Left | JoinType::Right => {
            let mut out = Vec::new();
            if join.join_type != JoinType::Right && one(&right, &met_right) {
                out.extend(left.clone());
            }
            if join.join_type != JoinType::Left && one(&left, &met_left) {
                out.extend(shifted(right.clone()));
            }
            if join.join_type == JoinType::Inner {
                for l in &left {
                    out.extend(shifted(right.clone()).map(|r| Key {
                        columns: l.columns.union(&r.columns).copied().collect(),
                        named: l.named && r.named,
                    }));
                }
            }
            out
        }
        JoinType::Full => Vec::new(),
    }
}

/// The columns of each side that a join holds equal to a column of the other side or to a literal.
fn met(join: &Join) -> (BTreeSet<usize>, BTreeSet<usize>) {
    let (l, r) = (join.left.schema(), join.right.schema());
    let mut left = BTreeSet::new();
    let mut right = BTreeSet::new();
    let mut pair = |a: &Expr, b: &Expr| {
        if let (Some(a), Some(b)) = (place(a, l), place(b, r)) {
            left.insert(a);
            right.insert(b);
        }
    };
    for (a, b) in &join.on {
        pair(a, b);
    }
    for part in join.filter.iter().flat_map(split_conjunction) {
        if let Some((a, b)) = equal(part) {
            pair(a, b);
            pair(b, a);
        }
    }
    if let Some(filter) = &join.filter {
        left.extend(bound(filter, l));
        right.extend(bound(filter, r));
    }
    (left, right)
}

/// Columns that a condition holds equal to a literal: they have one value in all rows.
fn bound(predicate: &Expr, schema: &DFSchema) -> BTreeSet<usize> {
    split_conjunction(predicate)
        .into_iter()
        .filter_map(equal)
        .filter_map(|(a, b)| match (a, b) {
            (column, Expr::Literal(_, _)) | (Expr::Literal(_, _), column) => place(column, schema),
            _ => None,
        })
        .collect()
}

fn equal(expr: &Expr) -> Option<(&Expr, &Expr)> {
    match expr {
        Expr::BinaryExpr(b) if b.op == Operator::Eq => Some((&b.left, &b.right)),
        _ => None,
    }
}

/// A key that is complete without the columns that have one value anyway; what is left names rows as before.
fn without(key: Key, bound: &BTreeSet<usize>) -> Key {
    let columns: BTreeSet<usize> = key.columns.difference(bound).copied().collect();
    if columns.is_empty() {
        key
    } else {
        Key { columns, ..key }
    }
}

fn of_aggregate(aggregate: &Aggregate) -> Vec<Key> {
    let plain = aggregate
        .group_expr
        .iter()
        .all(|e| !matches!(e, Expr::GroupingSet(_)));
    if !plain || aggregate.group_expr.is_empty() {
        return Vec::new();
    }
    vec![Key {
        columns: (0..aggregate.group_expr.len()).collect(),
        named: false,
    }]
}

/// Keys by the places of a projection, whose column `i` is column `from[i]` of its input.
fn renamed(keys: Vec<Key>, from: &[Option<usize>]) -> Vec<Key> {
    keys.into_iter()
        .filter_map(|key| {
            let columns: Option<BTreeSet<usize>> = key
                .columns
                .iter()
                .map(|c| from.iter().position(|f| *f == Some(*c)))
                .collect();
            columns.map(|columns| Key {
                columns,
                named: key.named,
            })
        })
        .collect()
}

/// The place of a plain column, however it is called now.
fn place(expr: &Expr, schema: &DFSchema) -> Option<usize> {
    let column: &Column = match expr {
        Expr::Column(column) => column,
        Expr::Alias(alias) => return place(&alias.expr, schema),
        _ => return None,
    };
    schema.maybe_index_of_column(column)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::{
        array::RecordBatch,
        datatypes::{DataType, Field, Schema},
    };
    use futures::FutureExt;

    use super::*;
    use crate::{
        evaluate::{
            plan,
            problem::Part,
            session::{self, Tables},
        },
        model::id::DatasetName,
    };

    /// `u` unique and named, `n` unique only, `-` neither.
    fn proof(sql: &str, columns: &[&str]) -> &'static str {
        let tables = Tables::none();
        let add = |name: &str, columns: &[&str], key: &[&str]| {
            let fields: Vec<Field> = columns
                .iter()
                .map(|c| Field::new(*c, DataType::Utf8View, true))
                .collect();
            let batch = RecordBatch::new_empty(Arc::new(Schema::new(fields)));
            let table = Stored::keyed(batch, key).unwrap();
            tables.add(&DatasetName::new("x", name), Arc::new(table));
        };
        add("secrets", &["name", "model", "env"], &["name"]);
        add("models", &["name", "team"], &["name"]);
        add(
            "aliases",
            &["model", "alias", "version"],
            &["model", "alias"],
        );
        add("loose", &["name"], &[]);
        let state = session::at(session::bare(), &tables, chrono::DateTime::UNIX_EPOCH);
        let query =
            plan::read_query(Part::Evidence, sql, &std::collections::BTreeMap::new()).unwrap();
        let plan = plan::query(&state, Part::Evidence, query)
            .now_or_never()
            .unwrap()
            .unwrap();
        match prove(&plan, columns) {
            Proof {
                unique: true,
                named: true,
            } => "u",
            Proof {
                unique: true,
                named: false,
            } => "n",
            Proof { unique: false, .. } => "-",
        }
    }

    #[test]
    fn a_key_lives_through_what_does_not_repeat_rows() {
        for (sql, wanted) in [
            ("SELECT * FROM x.secrets", "u"),
            (
                "SELECT name AS name, upper(env) AS env FROM x.secrets WHERE env <> 'test' ORDER BY env",
                "u",
            ),
            (
                "WITH s AS (SELECT * FROM x.secrets) SELECT s.name, row_number() OVER (ORDER BY s.env) AS n FROM s",
                "u",
            ),
            // Many secrets, each with at most one model.
            (
                "SELECT s.name, m.team FROM x.secrets s JOIN x.models m ON m.name = s.model",
                "u",
            ),
            (
                "SELECT s.name, m.team FROM x.secrets s JOIN x.models m ON s.model = m.name AND m.team <> 'x'",
                "u",
            ),
            (
                "SELECT s.name, m.team FROM x.models m JOIN x.secrets s ON m.name = s.model",
                "u",
            ),
            (
                "SELECT s.name, m.team FROM x.secrets s LEFT JOIN x.models m ON m.name = s.model",
                "u",
            ),
            (
                "SELECT s.name FROM x.models m RIGHT JOIN x.secrets s ON m.name = s.model",
                "u",
            ),
            (
                "SELECT s.name FROM x.secrets s LEFT SEMI JOIN x.loose l ON l.name = s.model",
                "u",
            ),
            (
                "SELECT name FROM x.secrets WHERE model NOT IN (SELECT name FROM x.loose)",
                "u",
            ),
            // Each secret with at most one alias of that name.
            (
                "SELECT s.name FROM x.secrets s JOIN x.aliases a ON a.model = s.model AND a.alias = 'production'",
                "u",
            ),
            (
                "SELECT model AS name FROM x.aliases WHERE alias = 'production'",
                "u",
            ),
            // One secret may have many models that use it, and then stands in many rows.
            (
                "SELECT s.name FROM x.secrets s JOIN x.secrets t ON t.model = s.name",
                "-",
            ),
            (
                "SELECT m.name FROM x.secrets s JOIN x.models m ON m.name = s.model",
                "-",
            ),
            ("SELECT s.name FROM x.secrets s, x.models m", "-"),
            (
                "SELECT s.name FROM x.secrets s JOIN x.aliases a ON a.model = s.model",
                "-",
            ),
            (
                "SELECT m.name FROM x.secrets s LEFT JOIN x.models m ON m.name = s.model",
                "-",
            ),
            (
                "SELECT s.name FROM x.secrets s LEFT JOIN x.loose l ON l.name = s.name",
                "-",
            ),
            (
                "SELECT s.name FROM x.secrets s FULL JOIN x.models m ON m.name = s.model",
                "-",
            ),
            (
                "SELECT s.name FROM x.models m LEFT JOIN x.secrets s ON s.name = m.name",
                "-",
            ),
            (
                "SELECT name FROM x.secrets UNION ALL SELECT name FROM x.secrets",
                "-",
            ),
            ("SELECT name FROM x.loose", "-"),
            ("SELECT upper(name) AS name FROM x.secrets", "-"),
            ("SELECT env AS name FROM x.secrets", "-"),
            ("SELECT model AS name FROM x.aliases", "-"),
            // Groups are distinct, and one of them may be nobody's.
            ("SELECT name, count(*) AS n FROM x.loose GROUP BY name", "n"),
            ("SELECT DISTINCT name FROM x.loose", "n"),
            (
                "SELECT name FROM x.loose UNION SELECT name FROM x.loose",
                "n",
            ),
            (
                "SELECT DISTINCT name, team FROM x.models JOIN x.loose USING (name)",
                "-",
            ),
        ] {
            assert_eq!(proof(sql, &["name"]), wanted, "{sql}");
        }
    }

    #[test]
    fn a_subject_may_need_more_columns_than_the_key() {
        let all = "SELECT * FROM x.aliases";
        assert_eq!(proof(all, &["model", "alias"]), "u");
        assert_eq!(proof(all, &["model", "alias", "version"]), "n");
        assert_eq!(proof(all, &["model", "version"]), "-");
        let pairs = "SELECT s.name AS secret, m.name AS model FROM x.secrets s, x.models m";
        assert_eq!(proof(pairs, &["secret", "model"]), "u");
    }
}
