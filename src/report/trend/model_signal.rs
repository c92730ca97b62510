//! A signal as the report tells it: what repeats, how surprising that is, what a changed policy would have done, and
//! what became of it.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::value::{Amount, Known, Probability, Ratio, Share};

/// What kind of repeat it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignalKind {
    /// More teams than expected since lately.
    Emergence,
    /// More teams than the control's exception budget, for long.
    ChronicBudget,
    /// Exceptions that are renewed again and again.
    RenewalLoop,
}

impl SignalKind {
    /// In words.
    pub fn word(self) -> &'static str {
        match self {
            Self::Emergence => "emergence",
            Self::ChronicBudget => "over budget",
            Self::RenewalLoop => "renewal loop",
        }
    }
}

/// Where a signal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignalState {
    /// Nobody looked yet.
    Open,
    /// The policy lead has seen it.
    Acknowledged,
    /// A what-if is attached.
    WhatIfAttached,
    /// A change of the policy is linked.
    ChangeLinked,
    /// The change is in force and its effect is measured.
    Monitoring,
    /// Closed, and the asks fell.
    ClosedEffective,
    /// Closed, and the asks did not fall.
    ClosedNoEffect,
    /// Dismissed, with a reason.
    Dismissed,
    /// To be looked at later.
    Snoozed,
}

impl SignalState {
    /// Whether somebody still has to conclude.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::Acknowledged | Self::WhatIfAttached)
    }

    /// Whether it is over for now.
    pub fn is_over(self) -> bool {
        matches!(
            self,
            Self::ClosedEffective | Self::ClosedNoEffect | Self::Dismissed
        )
    }

    /// In words.
    pub fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::WhatIfAttached => "what-if attached",
            Self::ChangeLinked => "change linked",
            Self::Monitoring => "monitoring",
            Self::ClosedEffective => "closed, effective",
            Self::ClosedNoEffect => "closed, no effect",
            Self::Dismissed => "dismissed",
            Self::Snoozed => "snoozed",
        }
    }
}

/// A repeat that questions the policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// Its id.
    pub id: String,
    /// Of which kind.
    pub kind: SignalKind,
    /// The policy.
    pub policy: String,
    /// Its version.
    pub policy_version: String,
    /// The control.
    pub control: String,
    /// Its version.
    pub control_version: String,
    /// What repeats, in one sentence with its numbers and a full stop.
    pub sentence: String,
    /// What the asks have in common: `vendor=Acme and env=batch`.
    pub descriptor: String,
    /// The second best description.
    pub runner_up: Option<String>,
    /// What was seen. Unknown when what was seen by the end of the period is no longer kept.
    pub observed: Known<Observed>,
    /// How surprising it is.
    pub evidence: Evidence,
    /// Since when: the beginning of the days that its sentence speaks of.
    pub since: NaiveDate,
    /// Where it stands.
    pub state: SignalState,
    /// The policy lead.
    pub owner: String,
    /// When an answer is due.
    pub due: Known<NaiveDate>,
    /// Whether that day is past.
    pub is_overdue: bool,
    /// What changed policies would have done; empty when none was worked out.
    pub candidates: Vec<Candidate>,
    /// Why none was worked out, and what can be tried instead.
    pub untried: Option<String>,
    /// Teams of which only an older register knows an exception: no what-if sees those.
    pub teams_elsewhere: u64,
    /// The gates that it passed; empty for a kind that is not found by them.
    pub gates: Vec<Gate>,
    /// What people wrote, shortened. For policy leads alone: never in a mail.
    pub quotes: Vec<Quote>,
    /// What the cause may be.
    pub causes: Vec<Cause>,
    /// What a linked change did.
    pub effect: Known<Effect>,
}

/// What was seen in the window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// Distinct teams.
    pub teams: u64,
    /// Distinct departments.
    pub departments: u64,
    /// Independent asks.
    pub asks: u64,
    /// Duplicates that are not counted.
    pub duplicates: u64,
    /// Approved, of those decided.
    pub approved: Share,
    /// Not decided yet.
    pub pending: u64,
}

/// How surprising it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Units expected in the window: teams, each counted at most twice.
    pub expected: Known<Amount>,
    /// Seen against expected, with its 90 % interval.
    pub ratio: Known<Ratio>,
    /// How likely so much is by chance.
    pub p: Known<Probability>,
    /// The same with every other test of the run taken into account.
    pub q: Known<Probability>,
    /// How likely the share of teams is over the budget.
    pub posterior: Known<Probability>,
}

/// A changed policy, played over stored evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// The change, in words: "Raise max key age 90 to 120 d for vendor=Acme and env=batch".
    pub summary: String,
    /// Exceptions that would not be needed, of the signal's.
    pub cleared: Share,
    /// Teams all of whose exceptions would not be needed, of the signal's.
    pub teams_cleared: Share,
    /// Subjects that fail today, are not excepted and would pass, by risk tier.
    pub newly_admitted: Newly,
    /// The same, weighted by risk: the horizontal axis of the frontier.
    pub risk_weight: Amount,
    /// Subjects whose evidence is missing: neither cleared nor admitted.
    pub unknown: u64,
    /// Why it must not be done as it is: a past incident on an admitted subject.
    pub vetoes: Vec<String>,
    /// Whether no other candidate clears more and admits less.
    pub on_frontier: bool,
    /// Whether it is the knee of the frontier.
    pub is_knee: bool,
}

/// Subjects by risk tier.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Newly {
    /// All of them.
    pub total: u64,
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

/// A gate against look-alikes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// What it asks for: "distinct teams with an approved ask".
    pub name: String,
    /// What it saw.
    pub value: String,
    /// What it wants, with its unit.
    pub limit: String,
    /// What it said.
    pub result: GateResult,
}

/// What a gate said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateResult {
    /// It let through.
    Passed,
    /// It turned away.
    NotPassed,
    /// What it looks at is not known, so it held nothing back.
    NotKnown,
}

impl GateResult {
    /// In words.
    pub fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::NotPassed => "not passed",
            Self::NotKnown => "not known: it holds nothing back",
        }
    }
}

/// What somebody wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// The words.
    pub text: String,
    /// Asks with similar words, this one among them.
    pub similar: u64,
}

/// What the cause may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// In a word: "threshold too tight".
    pub cause: String,
    /// Why that is likely, with its numbers.
    pub why: String,
}

/// What a change of a policy did to the asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// The change, in words.
    pub change: String,
    /// The policy.
    pub policy: String,
    /// The control.
    pub control: String,
    /// In force since.
    pub on: NaiveDate,
    /// Asks before.
    pub asks_before: u64,
    /// Weeks before.
    pub weeks_before: u64,
    /// Asks after.
    pub asks_after: u64,
    /// Weeks after.
    pub weeks_after: u64,
    /// Rate after against rate before, with its 95 % interval.
    pub ratio: Known<Ratio>,
    /// Subjects that the change admitted.
    pub newly_admitted: Known<u64>,
    /// What was found about those since.
    pub found_since: Known<u64>,
}
