//! The daemon: everything wired together, kept alive, reloaded and stopped.

pub mod absent;
pub mod chores;
pub mod metrics;
mod probe;
mod reload;
pub mod serve;
pub mod signing;
pub mod wire;
pub mod work;

use std::sync::{Arc, PoisonError, RwLock};

use crate::run::Set;

/// What is loaded now. A reload swaps it whole or leaves it as it is.
#[derive(Debug)]
pub struct Live {
    set: RwLock<Arc<Set>>,
}

impl Live {
    /// Begins with a set.
    pub fn new(set: Set) -> Self {
        Self {
            set: RwLock::new(Arc::new(set)),
        }
    }

    /// The set that is loaded. Who holds it keeps working with it to the end.
    pub fn get(&self) -> Arc<Set> {
        self.set
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Puts another in its place.
    pub fn swap(&self, set: Set) {
        *self.set.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(set);
    }
}
