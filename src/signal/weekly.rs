//! Runs over years: what each weekly run would have said, with the same code as a single run.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::{
    ask::History,
    budget,
    cells::Shares,
    emergence,
    index::{Index, date, number},
    options::Options,
    pattern::Kind,
    stats::rounded,
};

/// A pattern in short: enough to follow it from week to week.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Brief {
    /// How it was found.
    pub kind: Kind,
    /// Of which control.
    pub control: String,
    /// What its asks have in common.
    pub descriptor: BTreeMap<String, String>,
    /// Units seen; for a budget, teams.
    pub seen: u32,
    /// Units expected; for a budget, teams allowed.
    pub expected: f64,
    /// The chance of as many or more; for a budget, that it is not exceeded.
    pub p: f64,
}

/// What one run found, in short: patterns that are notified.
pub fn brief(index: &Index<'_>, options: &Options, today: NaiveDate) -> Vec<Brief> {
    let day = number(today);
    let shares = Shares::recent(index, options, day);
    let mut all = Vec::new();
    let id = |control: usize| {
        index
            .controls
            .get(control)
            .map(|c| c.id.to_owned())
            .unwrap_or_default()
    };
    if options.takes(Kind::Emergence) {
        for hit in emergence::scan(index, options, day, &shares).hits {
            all.push(Brief {
                kind: Kind::Emergence,
                control: id(hit.control),
                descriptor: index.described(hit.key),
                seen: hit.k,
                expected: rounded(hit.expected.mu),
                p: rounded(hit.p),
            });
        }
    }
    if options.takes(Kind::ChronicBudget) {
        for spent in budget::scan(index, options, day, &shares) {
            all.push(Brief {
                kind: Kind::ChronicBudget,
                control: id(spent.control),
                descriptor: index.described(spent.key),
                seen: spent.teams,
                expected: rounded(spent.allowed * f64::from(spent.scope)),
                p: rounded(1.0 - spent.posterior),
            });
        }
    }
    all
}

/// Every weekly run from the first day until the last.
#[must_use]
pub fn backtest(
    history: &History,
    options: &Options,
    from: NaiveDate,
    to: NaiveDate,
) -> Vec<(NaiveDate, Vec<Brief>)> {
    let index = Index::of(history, options);
    let run = |day| {
        let today = date(day);
        (today, brief(&index, options, today))
    };
    (number(from)..=number(to)).step_by(7).map(run).collect()
}
