//! What the report tells of one policy, and of the register of exceptions: asks over time, budgets, stock and flow,
//! what the asks share, and what stands in the way of teams.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::value::{Band, Days, Interval, Known, Measure, Proportion, Ratio, Share};

/// One policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyTrend {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its version at the end of the period.
    pub version: String,
    /// In force since.
    pub effective: NaiveDate,
    /// The policy lead.
    pub owner: String,
    /// Passes, of the subjects that were checked.
    pub passed: Share,
    /// Subjects that were checked, of those in scope.
    pub checked: Share,
    /// Against the earlier periods.
    pub comparisons: Vec<Comparison>,
    /// Independent asks by week, oldest first, without a hole.
    pub weeks: Vec<Week>,
    /// What happened meanwhile, oldest first.
    pub marks: Vec<Mark>,
    /// Exception budgets, one row for each control.
    pub budgets: Vec<BudgetRow>,
    /// Names of the quarters of [`PolicyTrend::heat`], oldest first.
    pub quarters: Vec<String>,
    /// Independent asks by control and quarter.
    pub heat: Vec<HeatRow>,
    /// Its part of the register.
    pub register: Register,
    /// What the asks share, the strongest first.
    pub descriptors: Vec<Descriptor>,
    /// Reasons that were given, the most frequent first.
    pub reasons: Vec<Reason>,
    /// Conditions that approvers attached, the most frequent first.
    pub conditions: Vec<Condition>,
    /// What stands in the way of teams.
    pub barriers: Vec<Barrier>,
}

/// A measure now and then.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// What is compared: "independent asks".
    pub what: String,
    /// In the period.
    pub now: Known<Measure>,
    /// In the quarter before.
    pub quarter_before: Known<Measure>,
    /// In the same quarter of the year before.
    pub year_before: Known<Measure>,
}

/// One week.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Week {
    /// Its Monday.
    pub from: NaiveDate,
    /// Independent asks.
    pub asks: u64,
    /// What was expected, with the ends of the 90 % band.
    pub expected: Known<Band>,
}

/// What kind of event it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarkKind {
    /// A version of the policy came into force.
    PolicyVersion,
    /// An incident.
    Incident,
    /// A signal.
    Signal,
}

impl MarkKind {
    /// In words.
    pub fn word(self) -> &'static str {
        match self {
            Self::PolicyVersion => "policy version",
            Self::Incident => "incident",
            Self::Signal => "signal",
        }
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// When.
    pub on: NaiveDate,
    /// Of which kind.
    pub kind: MarkKind,
    /// What, in a word or two: `v4`, `SIG-12`.
    pub label: String,
}

/// Exceptions of one control against its budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BudgetRow {
    /// The control.
    pub control: String,
    /// Teams in scope that hold an active approved exception. Unknown when the teams in scope are.
    pub teams: Known<Share>,
    /// Its 90 % interval.
    pub interval: Known<Interval>,
    /// The budget. Unknown when none is declared.
    pub budget: Known<Proportion>,
    /// Subjects of the control that were checked, of those in scope.
    pub checked: Share,
}

/// Asks of one control by quarter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeatRow {
    /// The control.
    pub control: String,
    /// Independent asks, one for each of the policy's quarters. Unknown before there was the control.
    pub asks: Vec<Known<u64>>,
}

/// The register of exceptions, or the part of one policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Register {
    /// What came, what went and what stood, by month, oldest first.
    pub months: Vec<Month>,
    /// Active exceptions by residual risk at the end of each month.
    pub risk: Vec<RiskMonth>,
    /// How long exceptions last: the share still active so many days after approval.
    pub ages: Vec<Age>,
    /// Active exceptions older than 180 days.
    pub older_than_180_days: Share,
    /// Active exceptions renewed twice or more.
    pub renewed_twice: Share,
    /// Temporary variance apart from unresolved policy gaps.
    pub variance: Variance,
    /// Time to a decision, and what was decided, by route.
    pub routes: Vec<RouteTime>,
}

/// One month of the register.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Month {
    /// As `2026-07`.
    pub month: String,
    /// Requests made.
    pub requested: u64,
    /// Requests approved.
    pub approved: u64,
    /// Requests denied.
    pub denied: u64,
    /// Exceptions that expired.
    pub expired: u64,
    /// Exceptions that were renewed.
    pub renewed: u64,
    /// Exceptions revoked because their subject changed.
    pub revoked_by_subject_change: u64,
    /// Exceptions that ended otherwise: closed early, revoked.
    pub ended_otherwise: u64,
    /// Exceptions active at its end.
    pub active: u64,
}

/// Active exceptions by residual risk at the end of a month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RiskMonth {
    /// As `2026-07`.
    pub month: String,
    /// Critical.
    pub critical: u64,
    /// High.
    pub high: u64,
    /// Moderate.
    pub moderate: u64,
    /// Low.
    pub low: u64,
    /// Without a rating.
    pub unrated: u64,
}

/// A point of the survival curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Age {
    /// Days after approval.
    pub days: u64,
    /// Exceptions observed for so long: those at risk.
    pub at_risk: u64,
    /// Of a hundred, so many are still active (Kaplan-Meier), with the ends of the 95 % band. Unknown for few.
    pub active: Known<Band>,
}

/// Active exceptions: those that bridge a while, and those that show that the policy does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variance {
    /// One team, not renewed, with an end in sight.
    pub temporary: u64,
    /// Member of a signal or a watch, renewed twice, or older than a year.
    pub policy_gap: u64,
    /// Cannot be told.
    pub unclear: u64,
}

/// Decisions on one route.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RouteTime {
    /// The route.
    pub route: String,
    /// Half of the decisions took no longer.
    pub p50: Known<Days>,
    /// Nine of ten took no longer.
    pub p90: Known<Days>,
    /// Approved, of those decided.
    pub approved: Share,
}

/// What asks have in common.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Descriptor {
    /// As `vendor=Acme and env=batch`.
    pub descriptor: String,
    /// Teams with such asks, of those that asked.
    pub teams: Share,
    /// How many times as frequent among the asks as among everything in scope, with its 90 % interval.
    pub lift: Known<Ratio>,
}

/// A reason and how often it was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The reason.
    pub reason: String,
    /// Asks with it, of all with a reason.
    pub asks: Share,
    /// Asks with it or one that is more frequent, of all with a reason.
    pub so_far: Share,
}

/// A condition and how often it was attached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// The condition.
    pub condition: String,
    /// Approved exceptions with it, of all approved.
    pub exceptions: Share,
}

/// What kind of obstacle it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BarrierKind {
    /// The control is stricter than teams can be.
    TooRigid,
    /// Teams ask for what they do not need, or are denied alike: the guidance is unclear.
    GuidanceUnclear,
    /// Several teams meet the same obstacle in their work.
    SameObstacle,
}

impl BarrierKind {
    /// In words.
    pub fn word(self) -> &'static str {
        match self {
            Self::TooRigid => "control too rigid",
            Self::GuidanceUnclear => "guidance unclear",
            Self::SameObstacle => "same obstacle",
        }
    }
}

/// What stands in the way of teams.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Barrier {
    /// Of which kind.
    pub kind: BarrierKind,
    /// The control.
    pub control: String,
    /// What is seen, in one sentence.
    pub sentence: String,
    /// Distinct teams.
    pub teams: u64,
    /// Asks.
    pub asks: u64,
    /// What would help, in a few words.
    pub step: String,
}
