//! Snapshots: Parquet on an object store, named by their content. Knows nothing of where rows come from and
//! decides nothing about them.

pub mod archive;
pub mod arrow;
pub mod options;
pub mod parquet;
pub mod retention;
pub mod row;
mod seen;

pub use archive::{Archive, Error, Object, Stored};
pub use options::Options;
pub use seen::{Evidence, Note, Standing, View};
