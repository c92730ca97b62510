//! What the detector reads: every ask for an exception, the controls they were for, and since when anybody kept count.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

/// What became of an ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decided {
    /// The exception was approved.
    Approved,
    /// It was denied: evidence for the policy, never against it.
    Denied,
    /// Nobody has decided yet.
    Pending,
    /// It was decided, and nobody wrote down how.
    Unknown,
    /// The team took it back: it counts nowhere.
    Withdrawn,
}

/// One ask for an exception.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// The request's id.
    pub id: String,
    /// The day it was handed in.
    pub day: NaiveDate,
    /// The team that asked.
    pub team: String,
    /// The department the team belongs to, where it is known.
    #[serde(default)]
    pub department: Option<String>,
    /// The control it was for.
    pub control: String,
    /// What is known of the subject and the reason; what is not known is left out and matches no descriptor.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// The incident or change it came out of.
    #[serde(default)]
    pub incident: Option<String>,
    /// The parent request, or the group of duplicates.
    #[serde(default)]
    pub request: Option<String>,
    /// Why, in the team's words.
    #[serde(default)]
    pub text: String,
    /// What became of it.
    pub outcome: Decided,
    /// The outcome is not known before this day; without it, it was known at once.
    #[serde(default)]
    pub decided: Option<NaiveDate>,
    /// The ask it renews.
    #[serde(default)]
    pub renewal_of: Option<String>,
    /// How often it was renewed before.
    #[serde(default)]
    pub renewals: u32,
    /// How many subjects it is for.
    #[serde(default = "one")]
    pub subjects: u32,
    /// The day the exception ends or ended, where it is known.
    #[serde(default)]
    pub ends: Option<NaiveDate>,
}

const fn one() -> u32 {
    1
}

/// A control whose asks are watched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watched {
    /// Its id.
    pub control: String,
    /// Since when its current version is in force; without it, longer than the register is kept.
    #[serde(default)]
    pub effective: Option<NaiveDate>,
    /// The declared exception budget: the share of teams in scope, 0 to 1, that may hold an approved exception
    /// within 52 weeks.
    #[serde(default)]
    pub budget: Option<f64>,
    /// How many teams are in its scope.
    #[serde(default)]
    pub teams: Option<u32>,
    /// How many of its active exceptions are called temporary, and how many may be.
    #[serde(default)]
    pub temporary: Option<Temporary>,
    /// How many findings it ever had.
    #[serde(default)]
    pub findings: u32,
}

/// A finding that says something of a control beside the asks: exceptions keep it silent, or it opens again and again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// The control.
    pub control: String,
    /// The team that answers for the subject, where it is known.
    #[serde(default)]
    pub team: Option<String>,
    /// What is known of the subject.
    #[serde(default)]
    pub facts: BTreeMap<String, String>,
    /// The asks whose exceptions keep it silent today.
    #[serde(default)]
    pub asks: Vec<String>,
    /// How often it opened.
    #[serde(default)]
    pub opened: u32,
}

/// The temporary ones among the active exceptions of a control.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Temporary {
    /// Their share today, 0 to 1.
    pub share: f64,
    /// The largest share its policy allows, 0 to 1.
    pub limit: f64,
}

/// Names that changed, old to new. A team that was renamed is not a second team.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Aliases {
    /// Teams.
    #[serde(default)]
    pub teams: BTreeMap<String, String>,
    /// Controls.
    #[serde(default)]
    pub controls: BTreeMap<String, String>,
}

/// Everything that is known of asks. Their order does not matter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// Every ask.
    pub asks: Vec<Ask>,
    /// Every control, those that nobody asked for included.
    pub controls: Vec<Watched>,
    /// Findings that say something beside the asks.
    #[serde(default)]
    pub findings: Vec<Seen>,
    /// Teams and controls that were renamed.
    #[serde(default)]
    pub aliases: Aliases,
    /// The first day the register was kept.
    pub since: NaiveDate,
    /// How many teams the organisation has.
    #[serde(default)]
    pub teams: Option<u32>,
}
