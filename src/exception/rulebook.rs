//! The rules of a policy with their conditions planned, ready to be asked in microseconds.

use std::{collections::HashMap, sync::Arc};

use super::facet::{FACETS, TIER};
use crate::{
    evaluate::{Predicate, SqlProblem},
    model::{outcome::Row, rules::ExceptionRules, table::ColumnType},
};

/// Where a condition of the rules stands: which columns it may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Of a tier or of an urgency: before a request has a tier.
    Triage,
    /// Of a route or of a required mitigation.
    Route,
}

impl When {
    /// The columns that it may read.
    pub fn columns(self) -> Vec<(&'static str, ColumnType)> {
        let tier = (self == Self::Route).then_some(TIER);
        FACETS.iter().copied().chain(tier).collect()
    }
}

/// The rules of a policy, ready to be asked.
#[derive(Debug, Clone)]
pub struct Rulebook {
    /// The rules.
    pub rules: Arc<ExceptionRules>,
    conditions: HashMap<String, Predicate>,
}

impl Rulebook {
    /// Plans every condition of the rules.
    ///
    /// # Errors
    /// A condition is not SQL over the facets; loaded rules have none of these.
    pub fn new(rules: Arc<ExceptionRules>) -> Result<Self, SqlProblem> {
        let mut conditions = HashMap::new();
        for (when, text) in all(&rules) {
            if !conditions.contains_key(text) {
                let planned = Predicate::new(text, &when.columns())?;
                conditions.insert(text.to_owned(), planned);
            }
        }
        Ok(Self { rules, conditions })
    }

    /// What SQL makes of a condition: true, false, or unknown.
    pub(super) fn truth(&self, text: &str, facets: &Row) -> Option<bool> {
        self.conditions.get(text)?.test(facets)
    }
}

/// Every condition of the rules.
fn all(rules: &ExceptionRules) -> impl Iterator<Item = (When, &str)> {
    let urgency = rules.urgency.iter().filter_map(|u| u.when.as_deref());
    let tiers = rules.tiers.iter().filter_map(|t| t.when.as_deref());
    let routes = rules.routes.iter().map(|r| r.when.as_str());
    let required = rules.required_mitigations.iter().map(|r| r.when.as_str());
    let triage = urgency.chain(tiers).map(|text| (When::Triage, text));
    triage.chain(routes.chain(required).map(|text| (When::Route, text)))
}
