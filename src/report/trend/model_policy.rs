//! What the report tells of one policy, and of the register of exceptions: asks over time, budgets, stock and flow,
//! what the asks share, and what stands in the way of teams.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::value::{Band, Days, Interval, Known, Measure, Probability, Proportion, Ratio, Share};

/// One policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyTrend {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// What was in force at the end of the period.
    pub version: Known<InForce>,
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

/// The version of a policy that was in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InForce {
    /// Its number.
    pub version: String,
    /// Since when.
    pub effective: NaiveDate,
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
    /// Teams in scope with an approved exception in the year that a budget speaks of, as the scan counts them.
    pub teams: Known<Share>,
    /// Its 90 % interval.
    pub interval: Known<Interval>,
    /// Teams in scope whose exception was active on the last day.
    pub active: Known<Share>,
    /// The budget. Unknown when none is declared.
    pub budget: Known<Proportion>,
    /// The budget at the volume of asks of the day. Unknown when none is declared.
    pub allowed: Known<Proportion>,
    /// How likely it is that the share is above that.
    pub posterior: Known<Probability>,
    /// What that comes to.
    pub standing: Standing,
    /// Subjects of the control that were checked, of those in scope.
    pub checked: Share,
}

/// Where the share of teams lies beside the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Above it, by the rule of the signal.
    Above,
    /// Too few teams to tell it from the budget.
    NotTold,
    /// Within it.
    Within,
    /// It looks above, and a rule of the signal holds it back.
    NotJudged,
    /// None is declared.
    Undeclared,
}

impl Standing {
    /// In words.
    pub fn word(self) -> &'static str {
        match self {
            Self::Above => "above its budget",
            Self::NotTold => "cannot be told from its budget",
            Self::Within => "within its budget",
            Self::NotJudged => "not judged",
            Self::Undeclared => "no budget",
        }
    }
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
    /// The day that it is told of, at which its last month ends.
    pub on: NaiveDate,
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
    /// Of a hundred, so many are still active (Kaplan-Meier), with the ends of the 95 % band. Unknown for fewer than five.
    pub active: Known<Band>,
}

/// Active exceptions: those that bridge a while, and those that show that the policy does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variance {
    /// One team, not renewed, with an end.
    pub temporary: u64,
    /// Member of a signal or a watch, renewed twice, or older than a year.
    pub policy_gap: u64,
    /// Neither: renewed once, shared by several teams, or without a team or an end on record.
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
    /// How many times as frequent among these asks as among asks about other controls, with its 90 % interval.
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
