//! What is wrong in a piece of SQL, where in its text, and how to mend it. Every mistake that can be
//! found without data is found at load; a problem never carries a value of the evidence.

use std::fmt;

use datafusion::{
    common::{Diagnostic, SchemaError},
    error::DataFusionError,
    sql::sqlparser::{parser::ParserError, tokenizer::Span},
};

use crate::yaml::diagnostic::nearest;

/// Which piece of SQL, or what stands beside it in a control.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The evidence query of a control.
    Evidence,
    /// Its failure condition.
    FailsWhen,
    /// Its subject template.
    Subject,
    /// Its inventory of record.
    Inventory,
    /// The query of a view.
    View,
    /// A query that a person wrote.
    Query,
    /// An expression over one row: a route, a limit, a condition.
    Expression,
}

/// One mistake in a piece of SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlProblem {
    /// A stable code, `TL03nn`.
    pub code: &'static str,
    /// Which text it is in.
    pub part: Part,
    /// Line inside that text, from 1; 0 means the text as a whole.
    pub line: usize,
    /// Column inside that text in characters, from 1; 0 means the text as a whole.
    pub column: usize,
    /// What is wrong, in one sentence without a full stop.
    pub what: String,
    /// How to mend it.
    pub help: Option<String>,
}

/// The codes of this part of the house.
pub(super) mod code {
    pub(in crate::evaluate) const SYNTAX: &str = "TL0301";
    pub(in crate::evaluate) const READ_ONLY: &str = "TL0302";
    pub(in crate::evaluate) const DATASET: &str = "TL0303";
    pub(in crate::evaluate) const COLUMN: &str = "TL0304";
    pub(in crate::evaluate) const TYPE: &str = "TL0305";
    pub(in crate::evaluate) const FUNCTION: &str = "TL0306";
    pub(in crate::evaluate) const PARAM: &str = "TL0307";
    pub(in crate::evaluate) const CONDITION: &str = "TL0308";
    pub(in crate::evaluate) const OUTPUT: &str = "TL0309";
    pub(in crate::evaluate) const SUBJECT: &str = "TL0310";
    pub(in crate::evaluate) const INVENTORY: &str = "TL0311";
    pub(in crate::evaluate) const ORDER: &str = "TL0312";
}

impl SqlProblem {
    /// A mistake of the text as a whole.
    pub(super) fn new(code: &'static str, part: Part, what: impl Into<String>) -> Self {
        Self {
            code,
            part,
            line: 0,
            column: 0,
            what: what.into(),
            help: None,
        }
    }

    /// The same mistake at a place of the text; an empty span leaves it as it is.
    #[must_use]
    pub(super) fn at(mut self, span: Span) -> Self {
        if span.start.line > 0 {
            self.line = usize::try_from(span.start.line).unwrap_or(0);
            self.column = usize::try_from(span.start.column).unwrap_or(0);
        }
        self
    }

    /// Adds how to mend it.
    #[must_use]
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds the nearest of `known`, or all of them when none is near.
    #[must_use]
    pub(super) fn nearest<'a>(
        self,
        word: &str,
        noun: &str,
        known: impl IntoIterator<Item = &'a str> + Clone,
    ) -> Self {
        if let Some(near) = nearest(word, known.clone()) {
            return self.help(format!("did you mean `{near}`?"));
        }
        let known: Vec<&str> = known.into_iter().take(30).collect();
        if known.is_empty() {
            return self;
        }
        self.help(format!("known {noun}: {}", known.join(", ")))
    }

    /// What the parser says.
    pub(super) fn syntax(part: Part, error: &ParserError) -> Self {
        let text = match error {
            ParserError::TokenizerError(text) | ParserError::ParserError(text) => text.clone(),
            ParserError::RecursionLimitExceeded => "it is nested too deeply".to_owned(),
        };
        let (what, line, column) = place_in(&text);
        Self {
            line,
            column,
            ..Self::new(code::SYNTAX, part, format!("this is not SQL: {what}"))
        }
    }

    /// What the planner says.
    pub(super) fn plan(part: Part, error: &DataFusionError) -> Self {
        let span = spot(error);
        match error.find_root() {
            DataFusionError::SQL(parser, _) => Self::syntax(part, parser),
            DataFusionError::SchemaError(schema, _) => schema_problem(part, schema),
            root => Self::new(code::TYPE, part, sentence(root)),
        }
        .at_location(span)
        .with_help_of(error)
    }

    /// Our own rules say how to mend what they refuse.
    fn with_help_of(self, error: &DataFusionError) -> Self {
        match error.diagnostic().and_then(|d| d.helps.first()) {
            Some(help) if self.help.is_none() => self.help(help.message.clone()),
            _ => self,
        }
    }

    fn at_location(mut self, span: Option<datafusion::common::Span>) -> Self {
        if let Some(span) = span {
            self.line = usize::try_from(span.start.line).unwrap_or(0);
            self.column = usize::try_from(span.start.column).unwrap_or(0);
        }
        self
    }
}

impl fmt::Display for SqlProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}, column {}: ", self.line, self.column)?;
        }
        f.write_str(&self.what)?;
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for SqlProblem {}

/// Where the planner points to, if it points at all.
fn spot(error: &DataFusionError) -> Option<datafusion::common::Span> {
    error.diagnostic().and_then(|d: &Diagnostic| d.span)
}

fn schema_problem(part: Part, error: &SchemaError) -> SqlProblem {
    match error {
        SchemaError::FieldNotFound {
            field,
            valid_fields,
        } => {
            let known: Vec<&str> = valid_fields.iter().map(|c| c.name.as_str()).collect();
            let what = match &field.relation {
                Some(relation) => format!("unknown column `{}.{}`", relation.table(), field.name),
                None => format!("unknown column `{}`", field.name),
            };
            SqlProblem::new(code::COLUMN, part, what).nearest(
                &field.name,
                "columns",
                known.iter().copied(),
            )
        }
        SchemaError::AmbiguousReference { field } => SqlProblem::new(
            code::COLUMN,
            part,
            format!("`{}` is in more than one dataset here", field.name),
        )
        .help(format!(
            "write which one: `a.{}` with the dataset's alias",
            field.name
        )),
        SchemaError::DuplicateUnqualifiedField { name }
        | SchemaError::DuplicateQualifiedField { name, .. } => duplicate(part, name),
    }
}

/// Two output columns of one name.
pub(super) fn duplicate(part: Part, name: &str) -> SqlProblem {
    SqlProblem::new(
        code::OUTPUT,
        part,
        format!("two output columns are called `{name}`"),
    )
    .help("give one of them another name with AS")
}

/// The words of an error without the engine's preamble and without line breaks.
pub(super) fn sentence(error: &DataFusionError) -> String {
    let text = match error {
        DataFusionError::Plan(text)
        | DataFusionError::Execution(text)
        | DataFusionError::NotImplemented(text)
        | DataFusionError::Configuration(text) => text.clone(),
        DataFusionError::ArrowError(error, _) => error.to_string(),
        other => other.to_string(),
    };
    let mut text = text.lines().next().unwrap_or_default().trim();
    for kind in ["Parser error: ", "Cast error: ", "Compute error: "] {
        text = text.strip_prefix(kind).unwrap_or(text);
    }
    text.trim_end_matches('.').to_owned()
}

/// Splits `… at Line: 1, Column: 17` off a message of the parser.
fn place_in(text: &str) -> (String, usize, usize) {
    let Some((what, place)) = text.rsplit_once(" at Line: ") else {
        return (text.to_owned(), 0, 0);
    };
    let Some((line, column)) = place.split_once(", Column: ") else {
        return (text.to_owned(), 0, 0);
    };
    let digits = |t: &str| {
        t.chars()
            .take_while(char::is_ascii_digit)
            .collect::<String>()
            .parse()
            .unwrap_or(0)
    };
    (what.to_owned(), digits(line), digits(column))
}
