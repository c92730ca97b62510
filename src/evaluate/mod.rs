//! SQL over evidence: outcomes, replay, queries, expressions over one row. All of it is SQL on Apache
//! DataFusion, read-only by construction, with the clock stopped at an instant that the caller gives.
//! Evidence that is missing, damaged or of another shape is an outcome and never an error, and never a pass.

mod audit;
mod check;
mod control;
mod engine;
mod example;
mod gather;
mod judge;
mod limit;
mod param;
mod parse;
mod plan;
mod predicate;
mod problem;
mod query;
mod refuse;
mod rows;
mod session;
mod stored;
mod types;
mod unique;
mod why;

pub use check::{
    Checked, OutputColumn, Parts, check, check_view, datasets_of_view, promised, view_schema,
};
pub use control::{Condition, Told};
pub use engine::{Engine, Error, Result, inputs};
pub use example::{ExampleError, Offer, example};
pub use limit::{check_limit, limit};
pub use parse::datasets_of;
pub use predicate::{Predicate, PredicateError};
pub use problem::{Part, SqlProblem};
pub use query::Answer;
pub use rows::Mismatch;
pub use session::Limits;
