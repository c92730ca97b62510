//! From text to syntax tree, with DataFusion's own parser. One text is one query or one expression;
//! nothing here looks at data or at a schema, and nothing ever goes back from tree to text.

use std::{collections::BTreeSet, ops::ControlFlow};

use datafusion::{
    common::TableReference,
    sql::{
        parser::Statement as EngineStatement,
        resolve::resolve_table_references,
        sqlparser::{
            ast::{Expr, ObjectName, Query, Spanned, Statement, visit_relations},
            dialect::GenericDialect,
            keywords::Keyword,
            parser::Parser,
            tokenizer::{Span, Token, TokenWithSpan, Tokenizer, Word},
        },
    },
};

use super::problem::{Part, SqlProblem, code};
use crate::model::id::DatasetName;

/// How deep parentheses and subqueries may nest.
const MAX_DEPTH: usize = 50;

/// Reads one query. Anything but a query, and anything after it, is a problem.
pub(super) fn query(part: Part, text: &str) -> Result<Query, SqlProblem> {
    let mut parser = parser(part, text)?;
    let first = parser.peek_token();
    let reads = match &first.token {
        Token::LParen => true,
        Token::Word(word) => matches!(
            word.keyword,
            Keyword::SELECT | Keyword::WITH | Keyword::VALUES
        ),
        _ => false,
    };
    if !reads {
        let what = match &first.token {
            Token::EOF => "there is no query here".to_owned(),
            token => format!("`{token}` cannot be used here: only SELECT reads evidence"),
        };
        return Err(SqlProblem::new(code::READ_ONLY, part, what).at(first.span));
    }
    let query = parser
        .parse_query()
        .map_err(|e| SqlProblem::syntax(part, &e))?;
    end(&mut parser, part)?;
    Ok(*query)
}

/// Reads one expression.
pub(super) fn expression(part: Part, text: &str) -> Result<Expr, SqlProblem> {
    let mut parser = parser(part, text)?;
    if parser.peek_token().token == Token::EOF {
        return Err(SqlProblem::new(
            code::SYNTAX,
            part,
            "there is no condition here",
        ));
    }
    let expr = parser
        .parse_expr()
        .map_err(|e| SqlProblem::syntax(part, &e))?;
    end(&mut parser, part)?;
    Ok(expr)
}

/// The datasets that a query reads, sorted, each once. Names of its own `WITH` are not datasets.
///
/// # Errors
/// The text is not one query, or a table in it is not named `source.dataset`.
pub fn datasets_of(sql: &str) -> Result<Vec<DatasetName>, SqlProblem> {
    let query = query(Part::Evidence, sql)?;
    datasets(Part::Evidence, &query, None)
}

/// As [`datasets_of`], where a bare name means a dataset of `source`.
pub(super) fn datasets(
    part: Part,
    query: &Query,
    source: Option<&str>,
) -> Result<Vec<DatasetName>, SqlProblem> {
    let mut found = BTreeSet::new();
    for reference in references(part, query)? {
        match (&reference, source) {
            (TableReference::Bare { table }, Some(source)) => {
                found.insert(DatasetName::new(source, table));
            }
            (TableReference::Partial { schema, table }, _) => {
                found.insert(DatasetName::new(&**schema, table));
            }
            _ => {
                return Err(SqlProblem::new(
                    code::DATASET,
                    part,
                    format!("`{reference}` is not the name of a dataset"),
                )
                .help("a dataset is named `source.dataset`"));
            }
        }
    }
    Ok(found.into_iter().collect())
}

fn references(part: Part, query: &Query) -> Result<Vec<TableReference>, SqlProblem> {
    resolve_table_references(&statement(query.clone()), false)
        .map(|(tables, _)| tables)
        .map_err(|e| SqlProblem::plan(part, &e))
}

/// Where a dataset is first named in a query.
pub(super) fn place_of(query: &Query, name: &DatasetName) -> Span {
    let found = visit_relations(query, |relation: &ObjectName| {
        let last = relation.0.last().map(|p| p.to_string().replace('"', ""));
        let first = relation.0.first().map(|p| p.to_string().replace('"', ""));
        let here = last.as_deref() == Some(&*name.dataset)
            && (relation.0.len() == 1 || first.as_deref() == Some(name.source.as_str()));
        if here {
            ControlFlow::Break(relation.span())
        } else {
            ControlFlow::Continue(())
        }
    });
    match found {
        ControlFlow::Break(span) => span,
        ControlFlow::Continue(()) => Span::empty(),
    }
}

/// A query in the form that the planner takes.
pub(super) fn statement(query: Query) -> EngineStatement {
    EngineStatement::Statement(Box::new(Statement::Query(Box::new(query))))
}

fn parser(part: Part, text: &str) -> Result<Parser<'static>, SqlProblem> {
    let tokens = Tokenizer::new(&GenericDialect {}, text)
        .tokenize_with_location()
        .map_err(|e| {
            let place = Span::new(e.location, e.location);
            SqlProblem::new(
                code::SYNTAX,
                part,
                format!("this is not SQL: {}", e.message),
            )
            .at(place)
        })?;
    Ok(Parser::new(&GenericDialect {})
        .with_recursion_limit(MAX_DEPTH)
        .with_tokens_with_locations(join_hyphens(tokens)))
}

/// Nothing may follow; a single semicolon is forgiven.
fn end(parser: &mut Parser<'_>, part: Part) -> Result<(), SqlProblem> {
    let _ = parser.consume_token(&Token::SemiColon);
    let rest = parser.peek_token();
    match &rest.token {
        Token::EOF => Ok(()),
        Token::Minus => Err(SqlProblem::new(code::SYNTAX, part, "`-` cannot stand here")
            .at(rest.span)
            .help("put a source with a hyphen in double quotes here: `\"my-source\".dataset`")),
        token => Err(SqlProblem::new(
            code::READ_ONLY,
            part,
            format!("`{token}` follows where the text should end: write one query or condition"),
        )
        .at(rest.span)),
    }
}

/// Reads `FROM my-source.dataset` as people mean it. Names of sources are slugs with hyphens, which SQL would
/// read as a subtraction; directly after FROM or JOIN there is nothing to subtract, so words, digits and
/// hyphens without a space between them are one name there.
fn join_hyphens(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut out: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut after_from = false;
    let mut rest = tokens.into_iter().peekable();
    while let Some(token) = rest.next() {
        if matches!(token.token, Token::Whitespace(_)) {
            out.push(token);
            continue;
        }
        let starts =
            after_from && matches!(&token.token, Token::Word(w) if w.quote_style.is_none());
        after_from = matches!(&token.token, Token::Word(w) if matches!(w.keyword, Keyword::FROM | Keyword::JOIN));
        if !starts {
            out.push(token);
            continue;
        }
        let mut run = vec![token];
        while let Some(next) = rest.next_if(|t| is_of_name(&t.token)) {
            run.push(next);
        }
        out.extend(name_of(&run).unwrap_or(run));
    }
    out
}

fn is_of_name(token: &Token) -> bool {
    matches!(token, Token::Word(w) if w.quote_style.is_none())
        || matches!(
            token,
            Token::Minus | Token::Period | Token::Number(_, false)
        )
}

/// `my`, `-`, `source`, `.`, `x` as the two words of a dataset, if there is a hyphen in the first.
fn name_of(run: &[TokenWithSpan]) -> Option<Vec<TokenWithSpan>> {
    let text: String = run.iter().map(|t| t.token.to_string()).collect();
    let (source, dataset) = text.split_once('.')?;
    let plain = |t: &str| t.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !source.contains('-')
        || !source.split('-').all(plain)
        || dataset.is_empty()
        || !plain(dataset)
    {
        return None;
    }
    let span = Span::new(run.first()?.span.start, run.last()?.span.end);
    let word = |text: &str| {
        TokenWithSpan::new(
            Token::Word(Word {
                value: text.to_owned(),
                quote_style: Some('"'),
                keyword: Keyword::NoKeyword,
            }),
            span,
        )
    };
    Some(vec![
        word(source),
        TokenWithSpan::new(Token::Period, span),
        word(dataset),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(sql: &str) -> String {
        match datasets_of(sql) {
            Ok(names) => names
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" "),
            Err(problem) => problem.to_string(),
        }
    }

    #[test]
    fn datasets_are_the_tables_that_are_not_of_the_query_itself() {
        assert_eq!(
            names(
                "WITH m AS (SELECT * FROM mlflow.model_versions) \
                 SELECT * FROM aws.secrets s JOIN m ON m.secret = s.name \
                 WHERE s.name NOT IN (SELECT name FROM vendor.known) AND EXISTS (SELECT 1 FROM aws.secrets)"
            ),
            "aws.secrets mlflow.model_versions vendor.known"
        );
    }

    #[test]
    fn a_source_with_a_hyphen_needs_no_quotes_after_from() {
        assert_eq!(names("SELECT x FROM my-source.x"), "my-source.x");
        assert_eq!(
            names("SELECT a.x-b.y FROM aws-prod-2.secrets a JOIN aws-2b.t b ON a.x = b.x-1"),
            "aws-2b.t aws-prod-2.secrets"
        );
        assert_eq!(names("SELECT x FROM \"my-source\".x"), "my-source.x");
        assert_eq!(
            names("SELECT x FROM a.b, my-source.x"),
            "line 1, column 22: `-` cannot stand here; put a source with a hyphen in double quotes here: `\"my-source\".dataset`"
        );
    }

    #[test]
    fn what_is_not_one_query_says_so() {
        insta::assert_snapshot!(names("DROP TABLE x"), @"line 1, column 1: `DROP` cannot be used here: only SELECT reads evidence");
        insta::assert_snapshot!(names("SELECT 1; DROP TABLE x"), @"line 1, column 11: `DROP` follows where the text should end: write one query or condition");
        insta::assert_snapshot!(names("SELECT\n  1 +\n FROM a.b"), @"line 3, column 8: `.` follows where the text should end: write one query or condition");
        insta::assert_snapshot!(names("SELECT 'x"), @"line 1, column 8: this is not SQL: Unterminated string literal");
        insta::assert_snapshot!(names("SELECT 1 FROM secrets"), @"`secrets` is not the name of a dataset; a dataset is named `source.dataset`");
        insta::assert_snapshot!(names(""), @"there is no query here");
    }
}
