//! Everything that the report says, as numbers that are already worked out. The renderers add up nothing that is not
//! here, so the page, the mail and the files say the same. Missing is [`Known::Unknown`] with its reason, never zero.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

pub use super::{
    model_policy::{
        Age, Barrier, BarrierKind, BudgetRow, Comparison, Condition, Descriptor, HeatRow, InForce,
        Mark, MarkKind, Month, PolicyTrend, Reason, Register, RiskMonth, RouteTime, Standing,
        Variance, Week,
    },
    model_signal::{
        Candidate, Cause, Effect, Evidence, Gate, GateResult, Newly, Observed, Quote, Signal,
        SignalKind, SignalState,
    },
    value::{Amount, Band, Days, Interval, Known, Measure, Probability, Proportion, Ratio, Share},
};

/// The report of one period.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trend {
    /// Whose report it is.
    pub organisation: String,
    /// When and where it was made. The digest of its content does not hold this.
    pub made: Made,
    /// What it is about.
    pub period: Period,
    /// How the scan did.
    pub counts: Counts,
    /// Asks against the earlier periods, over all policies.
    pub comparisons: Vec<Comparison>,
    /// Signals that are not over, the most urgent first.
    pub signals: Vec<Signal>,
    /// Repeats that are shown and not notified.
    pub watch: Vec<Watch>,
    /// What looks like a signal and is none.
    pub turned_away: Vec<TurnedAway>,
    /// Policies, in the order of the page.
    pub policies: Vec<PolicyTrend>,
    /// The register of exceptions over all policies.
    pub register: Register,
    /// Changes of policies in the last twelve months and what became of the asks.
    pub effects: Vec<Effect>,
    /// By region.
    pub regions: Vec<Place>,
    /// By department.
    pub departments: Vec<Place>,
    /// How good the data is.
    pub quality: Quality,
}

/// When and where a report was made. One that is made again of the same register has the same content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// The instant at which the register was read.
    pub asked_at: DateTime<Utc>,
    /// Where the page is kept, when it has an address.
    pub link: Option<String>,
}

/// The period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// As people call it: `2026Q3`.
    pub name: String,
    /// First day.
    pub from: NaiveDate,
    /// Last day, which is part of it.
    pub to: NaiveDate,
    /// Whether it was over. One that is not is told of so far.
    pub is_over: bool,
    /// First day of which anything is known here.
    pub since: NaiveDate,
    /// The days of it of which anything is known. Nothing when it was over before the register began.
    pub seen: Option<Seen>,
}

/// Days from the first to the last, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The first.
    pub from: NaiveDate,
    /// The last.
    pub to: NaiveDate,
}

impl Period {
    /// Whether the register began in the midst of it.
    pub fn is_in_part(&self) -> bool {
        self.seen.is_some_and(|seen| seen.from > self.from)
    }
}

/// How the scan did in the period.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Signals opened in the period.
    pub opened: u64,
    /// Signals closed in the period, with an effect or without.
    pub closed: u64,
    /// Signals that waited for a conclusion at its end.
    pub open: u64,
    /// Of those, signals whose day was past.
    pub overdue: u64,
    /// Signals that were concluded by its end and not over: a change is linked or measured, or they are put off.
    pub concluded: u64,
    /// Signals judged "not useful", of those judged in the last twelve months.
    pub not_useful: Share,
    /// False alarms in a quarter of the simulation with this organisation's size. Not derived from q.
    pub false_alarms_per_quarter: Known<Amount>,
    /// What the scan would have caught.
    pub power: Known<Power>,
}

/// What the scan would have caught, so that "no signal" is a result.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Power {
    /// A pattern of so many more teams than expected
    pub more_teams: u64,
    /// would have been caught with this probability.
    pub probability: Probability,
}

/// Repeats by the plain rule: so many distinct teams in a quarter asked the same of one control for the same reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// The policy.
    pub policy: String,
    /// The control.
    pub control: String,
    /// The reason that they gave.
    pub reason: String,
    /// Distinct teams.
    pub teams: u64,
    /// The rule's number of teams.
    pub rule: u64,
    /// Asks.
    pub asks: u64,
    /// The first of them.
    pub since: NaiveDate,
}

/// What looks like a signal and is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnedAway {
    /// The policy.
    pub policy: String,
    /// The control.
    pub control: String,
    /// What repeats, in one sentence.
    pub sentence: String,
    /// Distinct teams.
    pub teams: u64,
    /// Asks.
    pub asks: u64,
    /// The gate that turned it away, with its limit.
    pub gate: String,
    /// What the gate saw.
    pub seen: String,
    /// Why it is no signal: "not a policy signal because ...".
    pub why: String,
    /// What it is instead: "help this team", "incident cluster", "guidance gap".
    pub instead: String,
}

/// A region or a department.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// Its name.
    pub name: String,
    /// Teams that asked, of its teams.
    pub teams: Share,
    /// Independent asks in the period.
    pub asks: u64,
    /// Independent asks in the period before.
    pub asks_before: Known<u64>,
    /// Approved, of those decided.
    pub approved: Share,
    /// Exceptions active at the end.
    pub active: u64,
    /// Active exceptions whose residual risk is high, of those that are rated.
    pub high_risk: Share,
}

/// How good the data is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// Requests with a reason code.
    pub with_reason: Share,
    /// Requests with an outcome.
    pub with_outcome: Share,
    /// Controls whose teams in scope are listed.
    pub with_teams: Share,
    /// Requests with evidence.
    pub with_evidence: Share,
    /// Subjects checked in the period, of those in scope: printed beside every rate of passes.
    pub checked: Share,
    /// Attributes that are unknown, by attribute.
    pub unknown: Vec<UnknownShare>,
    /// Weeks of history that there are.
    pub weeks: u64,
    /// Weeks that the scan needs.
    pub weeks_needed: u64,
    /// What else a reader has to know, in whole sentences.
    pub notes: Vec<String>,
}

/// How often an attribute is unknown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnknownShare {
    /// The attribute.
    pub attribute: String,
    /// Asks in which it is unknown.
    pub unknown: Share,
}
