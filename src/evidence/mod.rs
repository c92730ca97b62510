//! Snapshots on an object store.
