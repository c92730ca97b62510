//! What the detector says: patterns, what only looked like one, and what could not be known.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::{gate::Gate, stats::Interval, wording::of};

/// A descriptor: attributes and the values that all members share. Empty when they share nothing but the control.
pub type Descriptor = BTreeMap<String, String>;

/// How a pattern was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// More independent asks than the past explains.
    Emergence,
    /// More teams with an exception than the declared budget, all year.
    ChronicBudget,
    /// Exceptions that are renewed again and again.
    RenewalLoop,
    /// Many teams with one reason.
    Watch,
}

/// Whether anybody is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// The policy lead is told.
    Signal,
    /// It stands in the trend report.
    Watch,
}

/// Days from the first until the last, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// The first.
    pub from: NaiveDate,
    /// The last.
    pub to: NaiveDate,
}

/// What a window is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// The days before the window.
    pub days: Period,
    /// How many windows long it is.
    pub blocks: u32,
}

/// What was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// All asks, duplicates and denied ones included, withdrawn ones not.
    pub asks: u32,
    /// Asks after duplicates were taken as one.
    pub independent: u32,
    /// Duplicates.
    pub duplicates: u32,
    /// Independent asks that speak for a pattern, of each team no more than the cap.
    pub units: u32,
    /// Distinct teams among those that speak for it; of what only looks like a pattern, all that asked.
    pub teams: u32,
    /// Distinct departments among them.
    pub departments: u32,
    /// Subjects that were asked for.
    pub subjects: u32,
    /// Independent asks that were approved.
    pub approved: u32,
    /// That were denied.
    pub denied: u32,
    /// That nobody has decided.
    pub pending: u32,
    /// That were decided in a way nobody wrote down.
    pub unknown: u32,
    /// Renewals of earlier exceptions: a series of their own.
    pub renewals: u32,
}

/// What findings say beside the asks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Findings {
    /// Findings that the exceptions of its members keep silent today.
    pub silent: u32,
    /// The teams that answer for those.
    pub teams: u32,
    /// Teams among them that never asked.
    pub unasked: u32,
    /// Findings of such subjects that opened again and again.
    pub reopened: u32,
}

impl Findings {
    /// Whom the exceptions keep silent, in a sentence; nothing when that is nobody.
    pub fn sentence(&self) -> Option<String> {
        let beside = match self.unasked {
            0 => String::new(),
            1 => "; one of those teams never asked".to_owned(),
            n => format!("; {n} of those teams never asked"),
        };
        (self.silent > 0).then(|| {
            format!(
                "Their exceptions keep {} of {} silent{beside}.",
                of(self.silent, "finding", "findings"),
                of(self.teams, "team", "teams"),
            )
        })
    }
}

/// What was expected of the window.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Expectation {
    /// Expected units.
    pub mu: f64,
    /// How much more is asked for now than in the baseline, of all other controls.
    pub volume_offset: f64,
    /// Seen over expected.
    pub ratio: f64,
    /// Where that ratio lies with 90 % confidence, for a known expectation.
    pub ratio_ci90: Interval,
}

/// How strong the evidence is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The chance of as many or more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p: Option<f64>,
    /// Adjusted for all cells and controls of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub q: Option<f64>,
    /// Non-empty cells the run looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cells_tested: Option<u64>,
    /// Controls with an ask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub controls_tested: Option<u64>,
    /// The chance that the share of teams is above the budget.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub posterior_over_budget: Option<f64>,
    /// The declared budget, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<f64>,
    /// The budget at today's volume of asks, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_at_volume: Option<f64>,
    /// Today's volume of asks over that of the register's first year, other controls only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_growth: Option<f64>,
    /// Teams in scope.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_scope_teams: Option<u32>,
}

/// What is left without one cause.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rest {
    /// Units.
    pub units: u32,
    /// How surprising they still are.
    pub p: f64,
}

/// Whether the pattern stands without what one cause may have brought.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Robustness {
    /// Without the team with the largest share.
    pub without_busiest_team: Rest,
    /// Without the densest days.
    pub without_densest_days: Rest,
    /// Without the largest incident or change.
    pub without_largest_incident: Rest,
}

/// What a team wrote, and how many wrote alike. For policy leads only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// The ask.
    pub ask: String,
    /// Its text.
    pub text: String,
    /// How many of the members are near-identical, itself included.
    pub similar_count: u32,
}

/// A value and how many asks have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Portion {
    /// The value; nothing where it is not known.
    pub value: Option<String>,
    /// How many.
    pub asks: u32,
}

/// What may be wrong. A hint for a reader, no verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CauseCode {
    /// The limit fits nobody who asked.
    ThresholdTight,
    /// The control covers what it was not meant for.
    ScopeTooBroad,
    /// A vendor cannot do better.
    VendorLimit,
    /// The control fails what it should pass.
    ControlDefect,
    /// Teams do not know what is expected.
    GuidanceGap,
}

/// A likely cause and what speaks for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// Which.
    pub code: CauseCode,
    /// What speaks for it, in words.
    pub why: String,
}

/// Repeated asks that question the policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pattern {
    /// How it was found.
    pub kind: Kind,
    /// Whether anybody is told.
    pub tier: Tier,
    /// Of which control.
    pub control: String,
    /// What its asks have in common.
    pub descriptor: Descriptor,
    /// The next best description.
    pub runner_up: Option<Descriptor>,
    /// The pattern in one sentence, with its numbers.
    pub sentence: String,
    /// The days that were looked at.
    pub window: Period,
    /// What they were compared with.
    pub baseline: Option<Baseline>,
    /// Day of the first member in the window.
    pub first_seen: Option<NaiveDate>,
    /// Day of the last.
    pub last_seen: Option<NaiveDate>,
    /// What was seen.
    pub observed: Observed,
    /// What findings say beside the asks.
    #[serde(default)]
    pub findings: Findings,
    /// What was expected.
    pub expected: Option<Expectation>,
    /// How strong the evidence is.
    pub evidence: Evidence,
    /// Whether it stands without one cause.
    pub robustness: Option<Robustness>,
    /// Each gate and what it saw.
    pub gates: Vec<Gate>,
    /// Ids of the asks that speak for it, by day.
    pub members: Vec<String>,
    /// Who benefits: members by department, where it is known.
    pub by_department: Vec<Portion>,
    /// Up to three that stand for the rest.
    pub quotes: Vec<Quote>,
    /// Reasons of the members.
    pub reason_mix: Vec<Portion>,
    /// What may be wrong.
    pub likely_causes: Vec<Cause>,
}

/// Why something that would have been an alarm is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Because {
    /// The control is new.
    Rollout,
    /// Many asks are one request.
    Bulk,
    /// Most come from one team.
    OneTeam,
    /// Most come out of one incident.
    Incident,
    /// Most were denied.
    DeniedWave,
    /// All at once, and little before or after.
    Burst,
    /// Too few teams.
    FewTeams,
    /// Too few departments.
    FewDepartments,
    /// Outcomes are missing, and it has not lasted.
    NotLasting,
    /// What is left without one cause is nothing unusual.
    OneCause,
    /// Nobody has decided enough of them.
    Undecided,
}

/// Who can use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// Help this team.
    HelpThisTeam,
    /// One incident, with its asks.
    IncidentCluster,
    /// The policy is not understood.
    GuidanceGap,
    /// A new control is hard to begin with.
    OnboardingFriction,
    /// One request for many subjects.
    OneRequestManySubjects,
    /// Looked at again next week.
    LookAgain,
}

impl Because {
    /// Who can use it.
    pub const fn route(self) -> Route {
        match self {
            Self::Rollout => Route::OnboardingFriction,
            Self::Bulk => Route::OneRequestManySubjects,
            Self::OneTeam => Route::HelpThisTeam,
            Self::Incident => Route::IncidentCluster,
            Self::DeniedWave => Route::GuidanceGap,
            Self::Burst
            | Self::FewTeams
            | Self::FewDepartments
            | Self::NotLasting
            | Self::OneCause
            | Self::Undecided => Route::LookAgain,
        }
    }
}

/// What would have been an alarm, and is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LookAlike {
    /// Of which control.
    pub control: String,
    /// What its asks have in common.
    pub descriptor: Descriptor,
    /// Why it is none.
    pub because: Because,
    /// Who can use it.
    pub route: Route,
    /// The same in one sentence, with its numbers.
    pub sentence: String,
    /// The days that were looked at.
    pub window: Period,
    /// What was seen.
    pub observed: Observed,
    /// The chance of as many asks, however they came.
    pub p: f64,
    /// Each gate and what it saw.
    pub gates: Vec<Gate>,
}

/// A control without a declared budget.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undeclared {
    /// Its id.
    pub control: String,
    /// Distinct teams with an approved exception within the year.
    pub teams: u32,
    /// Teams in scope.
    pub in_scope_teams: u32,
}

/// What could not be known, and what no signal means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Learned {
    /// Nobody asked for anything.
    NoAsks,
    /// The register is too young for a comparison with the past.
    TooLittleHistory {
        /// Weeks it was kept.
        weeks: u32,
        /// Weeks that are needed.
        needed: u32,
    },
    /// The organisation has too few teams for a pattern among them.
    TooFewTeams {
        /// Teams.
        teams: u32,
        /// Teams that are needed.
        needed: u32,
    },
    /// Outcomes were not written down: only what lasts for half a year is raised, and no budget is judged by them.
    OutcomesMissing {
        /// Share of the asks that were decided, 0 to 1.
        share: f64,
    },
    /// Teams without a department: the spread over departments is not known.
    DepartmentsMissing {
        /// Share of the asks, 0 to 1.
        share: f64,
    },
    /// An attribute that is not known of some asks: they match no description with it.
    AttributesMissing {
        /// The attribute.
        attribute: String,
        /// Share of the asks, 0 to 1.
        share: f64,
    },
    /// Controls that have no budget, so that a misfit that was always there cannot be told from what was meant.
    BudgetsUndeclared {
        /// Which.
        controls: Vec<Undeclared>,
    },
    /// Controls with a budget whose teams in scope are not known: the share was taken of the whole organisation.
    ScopeNotDeclared {
        /// How many.
        controls: u32,
    },
    /// Controls whose current version is too young for a baseline.
    ControlsTooYoung {
        /// Which.
        controls: Vec<String>,
    },
    /// What no signal means: on a typical control, so many independent asks that share nothing would have been one.
    Power {
        /// Asks within a window.
        asks: u32,
        /// Length of the window, in weeks.
        weeks: u32,
        /// Expected asks of such a control.
        mu: f64,
    },
}

/// What one run says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Detected {
    /// The day of the run.
    pub today: NaiveDate,
    /// Patterns: signals first, then what is watched; by control.
    pub patterns: Vec<Pattern>,
    /// What would have been an alarm, by control.
    pub turned_away: Vec<LookAlike>,
    /// What could not be known.
    pub learned: Vec<Learned>,
}
