//! What a query over evidence may not contain, found in the syntax tree before anything is planned:
//! whatever writes, samples, calls functions that give another answer the second time, or depends on an
//! order that nobody asked for. The session has no such function either; here they get a place and a
//! sentence.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::{
    ast::{
        BinaryOperator, Distinct, Expr, Function, FunctionArgumentClause, FunctionArguments, Query,
        Select, SetExpr, Spanned, TableFactor, UnaryOperator, Visit, VisitMut, Visitor, VisitorMut,
        WindowType,
    },
    tokenizer::Span,
};

use super::{
    problem::{Part, SqlProblem, code},
    session,
};

/// Everything in `tree` that may not be there.
pub(super) fn found(part: Part, tree: &impl Visit) -> Vec<SqlProblem> {
    let mut finder = Finder {
        part,
        depth: 0,
        problems: Vec::new(),
    };
    let _: ControlFlow<()> = tree.visit(&mut finder);
    finder.problems
}

/// What reads more than the row it is given: a subquery, an aggregate, a window.
pub(super) fn more_than_a_row(part: Part, expr: &Expr) -> Vec<SqlProblem> {
    let mut finder = RowOnly {
        part,
        problems: Vec::new(),
    };
    let _: ControlFlow<()> = expr.visit(&mut finder);
    finder.problems
}

/// Writes `x BETWEEN a AND b` as the two comparisons that it means, so that one rule sees all comparisons.
pub(super) fn spell_out(tree: &mut impl VisitMut) {
    let _: ControlFlow<()> = tree.visit(&mut Speller);
}

/// Aggregates whose value depends on the order of rows.
const ORDERED: &[&str] = &[
    "array_agg",
    "string_agg",
    "first_value",
    "last_value",
    "nth_value",
];

/// Window functions that mean nothing without an order.
const NUMBERING: &[&str] = &[
    "row_number",
    "rank",
    "dense_rank",
    "percent_rank",
    "cume_dist",
    "ntile",
    "lag",
    "lead",
    "first_value",
    "last_value",
    "nth_value",
];

/// Functions that make a text as long as they are told.
const PADDING: &[&str] = &["lpad", "rpad"];

/// The longest text that they may make.
const LONGEST_TEXT: u32 = 1000;

/// Whether a function that pads is told a length that is known and small.
fn is_short(function: &Function) -> bool {
    let FunctionArguments::List(list) = &function.args else {
        return false;
    };
    let length = list.args.get(1).map(ToString::to_string);
    length.is_some_and(|text| text.parse::<u32>().is_ok_and(|n| n <= LONGEST_TEXT))
}

struct Finder {
    part: Part,
    depth: usize,
    problems: Vec<SqlProblem>,
}

impl Finder {
    fn note(&mut self, code: &'static str, span: Span, what: impl Into<String>, help: &str) {
        let problem = SqlProblem::new(code, self.part, what).at(span);
        self.problems.push(if help.is_empty() {
            problem
        } else {
            problem.help(help)
        });
    }

    fn body(&mut self, body: &SetExpr, ordered: bool) {
        match body {
            SetExpr::Select(select) => {
                if matches!(select.distinct, Some(Distinct::On(_))) && !ordered {
                    self.note(
                        code::ORDER,
                        select.span(),
                        "DISTINCT ON takes any row without ORDER BY",
                        "add ORDER BY",
                    );
                }
            }
            SetExpr::SetOperation { left, right, .. } => {
                self.body(left, ordered);
                self.body(right, ordered);
            }
            SetExpr::Query(_) | SetExpr::Values(_) => {}
            SetExpr::Insert(_)
            | SetExpr::Update(_)
            | SetExpr::Delete(_)
            | SetExpr::Merge(_)
            | SetExpr::Table(_) => self.note(
                code::READ_ONLY,
                body.span(),
                "only SELECT reads evidence",
                "",
            ),
        }
    }

    /// A cut-off population would hide subjects, and without an order it would hide others each time.
    fn limit(&mut self, query: &Query) {
        if query.limit_clause.is_none() && query.fetch.is_none() {
            return;
        }
        let span = query.span();
        if self.depth == 1 && self.part == Part::Evidence {
            self.note(
                code::ORDER,
                span,
                "LIMIT would hide subjects from the control",
                "remove it: subjects that pass are only counted",
            );
        } else if query.order_by.is_none() && self.part != Part::Query {
            self.note(
                code::ORDER,
                span,
                "LIMIT takes any rows without ORDER BY",
                "add ORDER BY",
            );
        }
    }

    fn function(&mut self, function: &Function) {
        let name = function.name.to_string().to_lowercase();
        let span = function.name.span();
        if let Some(why) = session::withheld(&name) {
            let what = format!("`{name}` is not available here: {why}");
            return self.note(code::FUNCTION, span, what, "");
        }
        let known = session::functions();
        if !known.contains(name.as_str()) {
            let problem = SqlProblem::new(
                code::FUNCTION,
                self.part,
                format!("unknown function `{name}`"),
            );
            let problem = match crate::yaml::diagnostic::nearest(&name, known.iter().copied()) {
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None => problem,
            };
            return self.problems.push(problem.at(span));
        }
        if PADDING.contains(&name.as_str()) && !is_short(function) {
            let what =
                format!("`{name}` needs a length that is written down, {LONGEST_TEXT} at most");
            self.note(code::FUNCTION, span, what, "");
        }
        match &function.over {
            None if ORDERED.contains(&name.as_str()) && !has_order(function) => {
                let what = format!("`{name}` depends on the order of rows");
                let help = format!("write `{name}(… ORDER BY …)`");
                self.note(code::ORDER, span, what, &help);
            }
            Some(WindowType::WindowSpec(window))
                if window.order_by.is_empty() && NUMBERING.contains(&name.as_str()) =>
            {
                let what = format!("`{name}` depends on the order of rows");
                self.note(code::ORDER, span, what, "write `OVER (… ORDER BY …)`");
            }
            _ => {}
        }
    }
}

fn has_order(function: &Function) -> bool {
    !function.within_group.is_empty()
        || matches!(&function.args, FunctionArguments::List(list)
            if list.clauses.iter().any(|c| matches!(c, FunctionArgumentClause::OrderBy(_))))
}

impl Visitor for Finder {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.depth += 1;
        self.body(&query.body, query.order_by.is_some());
        self.limit(query);
        if query.with.as_ref().is_some_and(|with| with.recursive) {
            let what = "WITH RECURSIVE may never end";
            let help = "write the steps out, or compute the depth in a view of the connector";
            self.note(code::FUNCTION, query.span(), what, help);
        }
        let extra = !query.locks.is_empty()
            || query.for_clause.is_some()
            || query.settings.is_some()
            || query.format_clause.is_some()
            || !query.pipe_operators.is_empty();
        if extra {
            let what = "only a plain SELECT reads evidence: no FOR, SETTINGS, FORMAT or `|>`";
            self.note(code::READ_ONLY, query.span(), what, "");
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        if select.into.is_some() {
            let what = "SELECT INTO writes; only SELECT reads evidence";
            self.note(code::READ_ONLY, select.span(), what, "");
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<()> {
        match table {
            TableFactor::Table {
                args, sample, name, ..
            } => {
                if args.is_some() {
                    let what = format!("`{name}(…)` is not a dataset");
                    let help = "FROM reads datasets, subqueries and `unnest(…)`";
                    self.note(code::READ_ONLY, name.span(), what, help);
                }
                if sample.is_some() {
                    let what = "TABLESAMPLE takes other rows each time";
                    self.note(code::ORDER, name.span(), what, "");
                }
            }
            TableFactor::TableFunction { .. } | TableFactor::Function { .. } => {
                let help = "FROM reads datasets, subqueries and `unnest(…)`";
                let what = "a table function is not a dataset";
                self.note(code::READ_ONLY, table.span(), what, help);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr {
            self.function(function);
        }
        ControlFlow::Continue(())
    }
}

struct RowOnly {
    part: Part,
    problems: Vec<SqlProblem>,
}

impl RowOnly {
    fn note(&mut self, span: Span, what: &str) {
        let problem = SqlProblem::new(code::CONDITION, self.part, what).at(span);
        let help = "compute it as a column of the evidence query";
        self.problems.push(if self.part == Part::FailsWhen {
            problem.help(help)
        } else {
            problem
        });
    }
}

impl Visitor for RowOnly {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.note(query.span(), "a condition cannot contain a query");
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr {
            let name = function.name.to_string().to_lowercase();
            if function.over.is_some() || session::is_aggregate(&name) {
                let what = format!("a condition sees one row, and `{name}` needs several");
                self.note(function.name.span(), &what);
            }
        }
        ControlFlow::Continue(())
    }
}

struct Speller;

impl VisitorMut for Speller {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let Expr::Between {
            expr: value,
            negated,
            low,
            high,
        } = expr
        else {
            return ControlFlow::Continue(());
        };
        let compare = |op, to: &Expr| {
            Box::new(Expr::BinaryOp {
                left: value.clone(),
                op,
                right: Box::new(to.clone()),
            })
        };
        let both = Expr::Nested(Box::new(Expr::BinaryOp {
            left: compare(BinaryOperator::GtEq, low),
            op: BinaryOperator::And,
            right: compare(BinaryOperator::LtEq, high),
        }));
        *expr = if *negated {
            Expr::UnaryOp {
                op: UnaryOperator::Not,
                expr: Box::new(both),
            }
        } else {
            both
        };
        ControlFlow::Continue(())
    }
}
