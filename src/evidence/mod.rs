//! Snapshots: Parquet on an object store, named by their content. Knows nothing of where rows come from and
//! decides nothing about them.

pub mod arrow;
