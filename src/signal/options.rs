//! Every number the detector decides by, with its default and unit.

use serde::{Deserialize, Serialize};

use super::pattern::Kind;

/// The numbers of one detector. The defaults are those that were measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Which kinds of pattern are looked for.
    pub kinds: Vec<Kind>,
    /// Lengths of the windows that are compared with what was before, in weeks.
    pub windows: Vec<u32>,
    /// How many windows of the past are the baseline, at most.
    pub blocks: u32,
    /// How much of a baseline there must be, in weeks. A control that is younger than the register needs one block.
    pub baseline_weeks: u32,
    /// How many asks of one team count, at most, in one window.
    pub cap: u32,
    /// Strength of the prior, in windows.
    pub prior: f64,
    /// Least expected count of a cell, in asks per window.
    pub floor: f64,
    /// Bounds of the volume offset.
    pub offset: (f64, f64),
    /// Share of false discoveries among the cells of one run.
    pub q: f64,
    /// What each attribute of a descriptor costs, in nats.
    pub penalty: f64,
    /// How many attributes a descriptor has, at most 2.
    pub attributes: usize,
    /// Members that two descriptors share, as a share of the smaller one, from which they are one pattern.
    pub overlap: f64,
    /// How many asks must have been seen for the joint share of two attributes to weigh as much as the product of theirs.
    pub joint: f64,
    /// How surprising a cell's own past must be for it to replace what the other controls' shares say: a p.
    pub conflict: f64,
    /// Length of the past from which the shares of attributes are taken, in weeks.
    pub shares_weeks: u32,

    /// Distinct teams with an approved ask, at least.
    pub min_teams: u32,
    /// Distinct departments, at least.
    pub min_departments: u32,
    /// Approved among the approved and denied, at least.
    pub approved_share: f64,
    /// Asks of the busiest team among all, at most.
    pub busiest_share: f64,
    /// Asks out of one incident among all, at most.
    pub incident_share: f64,
    /// Distinct teams that are left without the densest days, at least.
    pub left_teams: u32,
    /// How long a burst is, in days.
    pub burst_days: u32,
    /// How long a new version of a control is left alone, in weeks.
    pub grace_weeks: u32,

    /// How surprising a cell must still be without its densest days, its busiest team or its largest incident: a p.
    pub robust: f64,

    /// Share of asks without an outcome from which outcomes count as missing.
    pub unknown_share: f64,
    /// Where outcomes are missing: distinct teams in each quarter of the window, at least.
    pub lasting_teams: u32,
    /// Where outcomes are missing: length of a window, at least, in weeks.
    pub lasting_weeks: u32,

    /// How sure the budget leg must be that the budget is exceeded.
    pub credibility: f64,
    /// Prior of the share of teams: Beta parameters.
    pub budget_prior: (f64, f64),
    /// What a budget is declared for, in weeks.
    pub budget_weeks: u32,
    /// How much of that must have been seen, in weeks.
    pub budget_min_weeks: u32,
    /// Approved asks, at least.
    pub budget_min_asks: u32,
    /// Quarters of the year in which somebody asked, at least.
    pub budget_quarters: u32,

    /// Renewals from which an exception counts as permanent.
    pub renewals: u32,
    /// Age from which an exception counts as permanent, in days.
    pub renewal_days: u32,

    /// Distinct teams of the watch rule.
    pub watch_teams: u32,
    /// Length of its window, in days.
    pub watch_days: u32,
    /// The attribute that must be the same.
    pub watch_attribute: String,

    /// Cosine of two texts from which they are one ask.
    pub similarity: f64,
    /// How far duplicates lie apart, at most, in days.
    pub similarity_days: u32,

    /// How long a signal that was raised is not raised again, in weeks.
    pub refractory_weeks: u32,
    /// A finding that opened so often was not mended, or was none.
    pub reopened: u32,
    /// Judged signals of a kind from which the share that was not useful means something.
    pub judged_least: u32,
    /// Share of signals that were not useful, at most.
    pub not_useful_share: f64,
    /// What `q` becomes when more were not useful.
    pub q_strict: f64,
    /// What `credibility` becomes then.
    pub credibility_strict: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            kinds: vec![
                Kind::Emergence,
                Kind::ChronicBudget,
                Kind::RenewalLoop,
                Kind::Watch,
            ],
            windows: vec![13, 26],
            blocks: 5,
            baseline_weeks: 26,
            cap: 2,
            prior: 2.0,
            floor: 0.02,
            offset: (0.5, 3.0),
            q: 0.05,
            penalty: 1.5,
            attributes: 2,
            overlap: 0.5,
            joint: 50.0,
            conflict: 0.0001,
            shares_weeks: 52,
            min_teams: 4,
            min_departments: 3,
            approved_share: 0.6,
            busiest_share: 0.5,
            incident_share: 0.5,
            left_teams: 3,
            burst_days: 14,
            grace_weeks: 13,
            robust: 0.01,
            unknown_share: 0.5,
            lasting_teams: 2,
            lasting_weeks: 26,
            credibility: 0.95,
            budget_prior: (1.0, 9.0),
            budget_weeks: 52,
            budget_min_weeks: 26,
            budget_min_asks: 6,
            budget_quarters: 3,
            renewals: 2,
            renewal_days: 365,
            watch_teams: 5,
            watch_days: 90,
            watch_attribute: "reason".to_owned(),
            similarity: 0.4,
            similarity_days: 30,
            refractory_weeks: 13,
            reopened: 3,
            judged_least: 10,
            not_useful_share: 0.1,
            q_strict: 0.02,
            credibility_strict: 0.98,
        }
    }
}

impl Options {
    /// Whether a kind of pattern is looked for.
    pub fn takes(&self, kind: Kind) -> bool {
        self.kinds.contains(&kind)
    }

    /// The least history for a comparison with the past, in weeks: of the shortest window, with its baseline.
    pub fn least_weeks(&self) -> u32 {
        let of = |weeks: &u32| self.baseline_weeks.div_ceil((*weeks).max(1)) * weeks + weeks;
        self.windows.iter().map(of).min().unwrap_or(0)
    }
}
