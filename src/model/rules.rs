//! What a policy says of exceptions to it: categories, limits, tiers, who may decide, in which steps, by which
//! routes. A part of the policy and versioned with it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    id::{ControlId, Sha},
    outcome::Row,
    span::Span,
};
use crate::{choice, yaml::diagnostic::Place};

/// The rules for exceptions of one policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExceptionRules {
    /// The few kinds of exception that people ask for.
    pub categories: Vec<Category>,
    /// Controls of which no deviation is ever permitted.
    pub never_waivable: Vec<ControlId>,
    /// Facets that evidence answers, and nobody else.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facets: BTreeMap<String, Measured>,
    /// How long, how often, how many.
    pub limits: Limits,
    /// What a request must say before anybody reviews it.
    pub completeness: Completeness,
    /// What makes a request pressing; the first that is true wins, and the last has no condition.
    pub urgency: Vec<Urgency>,
    /// How risky a request is, the strictest first: the first that is true or unknown wins.
    pub tiers: Vec<Tier>,
    /// What a role may sign.
    pub authority: BTreeMap<String, Authority>,
    /// Everything that may be asked of people; this order is the order of every route.
    pub steps: Vec<Step>,
    /// Who decides what: all that match are merged.
    pub routes: Vec<Route>,
    /// The step for a request that no route matches.
    pub no_match: String,
    /// Compensations to pick from.
    pub mitigations: BTreeMap<String, Mitigation>,
    /// Compensations that a request must pick from when a condition is true or unknown.
    pub required_mitigations: Vec<Required>,
}

/// A kind of exception.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Category {
    /// Its name.
    pub id: String,
    /// A heading.
    pub title: String,
    /// The provisions that it may deviate from.
    pub provisions: Vec<String>,
}

/// A facet that is read from evidence when a request is handed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// SQL over datasets that gives one row with a column of the facet's name. `$subjects` are the native ids of the
    /// subjects, `$incident` and `$ticket` what the request names; they are empty when it names none.
    pub evidence: String,
    /// Older evidence leaves the facet unknown.
    pub max_age: Span,
}

choice! {
    /// What becomes of a request without an end.
    pub enum Indefinite {
        /// It opens a review of the policy instead.
        PolicyReview = "policy_review",
        /// It is sent back.
        Refuse = "refuse",
    }
}

/// How long, how often, how many.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// From activation to end.
    pub max_duration: Span,
    /// How often an exception may be renewed.
    pub max_renewals: u32,
    /// Undecided requests lapse after that.
    pub request_ttl: Span,
    /// Approved ones that were not activated lapse after that.
    pub activation_ttl: Span,
    /// Suspended ones are revoked after that.
    pub max_suspended: Span,
    /// Active ones of one team; above it a request goes one step further.
    pub max_active_per_team: Option<u32>,
    /// What becomes of a request without an end.
    pub indefinite: Indefinite,
    /// What was in force for the same so long ago or less is renewed by a request, whatever that says.
    #[serde(
        default = "Limits::usual_look_back",
        skip_serializing_if = "Limits::is_usual"
    )]
    pub look_back: Span,
}

impl Limits {
    /// How far back a policy looks for what a request renews, unless it says otherwise.
    pub const fn usual_look_back() -> Span {
        Span::days(90)
    }

    // Not written when it is the usual one, so that rules keep the digest that they had.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
    fn is_usual(look_back: &Span) -> bool {
        *look_back == Self::usual_look_back()
    }
}

/// What a request must say before anybody reviews it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completeness {
    /// The fewest words of a field, by its name.
    pub min_words: BTreeMap<String, u32>,
    /// What says nothing, in small letters.
    pub generic_phrases: Vec<String>,
}

/// What makes a request pressing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Urgency {
    /// Its name.
    pub id: String,
    /// SQL over the facets; it holds only when it is true. The last has none.
    pub when: Option<String>,
}

/// How risky a request is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tier {
    /// Its name.
    pub id: String,
    /// SQL over the facets; it holds when it is true or unknown. The last has none.
    pub when: Option<String>,
}

/// What a role may sign. A limit that is not written is no limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Authority {
    /// Only in these tiers; all when empty.
    pub tiers: Vec<String>,
    /// At most so long.
    pub max_duration: Option<Span>,
    /// At most so much, in the policy's unit. An unknown amount is above it.
    pub max_amount: Option<f64>,
    /// Only to grant in an emergency.
    pub emergency_only: bool,
}

/// What a step asks of people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// The requester says what is missing.
    Facts,
    /// Each of these roles says what it thinks.
    Assess(Vec<String>),
    /// People of a role sign.
    Approve(String),
}

/// Something that may be asked of people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its name.
    pub id: String,
    /// What is asked.
    pub ask: Ask,
    /// How many signatures it takes.
    pub quorum: u32,
    /// Whether they are of different teams.
    pub distinct_teams: bool,
    /// How long it may take.
    pub sla: Span,
    /// The role that decides when it takes longer, or when nobody may sign.
    pub escalate: Option<String>,
}

/// A shorter window for the same chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expedite {
    /// How long each step may take.
    pub sla: Span,
    /// Roles that hear of it besides those that are asked.
    pub also: Vec<String>,
}

/// A grant before the chain has decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Emergency {
    /// The role that may grant it.
    pub authority: String,
    /// How long it holds at most.
    pub ttl: Span,
    /// When the chain must have decided.
    pub ratify_within: Span,
}

/// Who decides what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Route {
    /// Its name.
    pub id: String,
    /// SQL over the facets.
    pub when: String,
    /// Steps that it adds.
    pub steps: Vec<String>,
    /// It decides by itself, when nothing else adds a step. Only in the lowest tier.
    pub auto: bool,
    /// At most so long.
    pub max_duration: Option<Span>,
    /// Looked at again at least so often.
    pub revalidate_every: Option<Span>,
    /// Kinds of evidence that must be attached.
    pub require_evidence: Vec<String>,
    /// It shortens windows.
    pub expedite: Option<Expedite>,
    /// It permits a grant before the decision.
    pub emergency: Option<Emergency>,
}

impl Route {
    /// Whether it loosens: such a rule holds only when it is true. One that adds holds when it is unknown, too.
    pub const fn loosens(&self) -> bool {
        self.auto || self.expedite.is_some() || self.emergency.is_some()
    }
}

choice! {
    /// What happens when a condition does not hold.
    pub enum OnViolation {
        /// The exception is suspended.
        Suspend = "suspend",
        /// The exception ends.
        Revoke = "revoke",
        /// Its owner and its monitors are told.
        Notify = "notify",
    }
}

choice! {
    /// What a value of a mitigation is.
    pub enum ParamType {
        /// A whole number.
        Int = "int",
        /// A number.
        Float = "float",
        /// A text.
        Text = "text",
        /// A length of time.
        Duration = "duration",
    }
}

/// How a condition is checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// By the machine, like a small control.
    Machine {
        /// SQL over datasets; `$subjects` are the native ids of the exception's subjects.
        evidence: String,
        /// The column that names the subject.
        subject: String,
        /// True means that the condition does not hold; unknown counts as true.
        fails_when: String,
        /// Five fields of cron.
        schedule: String,
        /// Older evidence is unknown.
        max_age: Span,
    },
    /// By a person's word, again and again.
    Attested {
        /// How often.
        every: Span,
    },
}

/// A compensation to pick from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mitigation {
    /// What it is; `{{ name }}` is one of its parameters.
    pub text: String,
    /// Its parameters.
    pub params: BTreeMap<String, ParamType>,
    /// How it is checked.
    pub check: Check,
    /// What happens when it does not hold.
    pub on_violation: OnViolation,
}

/// Compensations that a request must pick from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Required {
    /// SQL over the facets; it holds when it is true or unknown.
    pub when: String,
    /// One of these.
    pub any_of: Vec<String>,
}

/// What must come out for a request with these facets.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// Where it stands.
    pub place: Place,
    /// What is known of the request; all else is unknown.
    pub given: Row,
    /// The tier.
    pub tier: String,
    /// The routes that match, in the order of the policy.
    pub routes: Vec<String>,
    /// The steps, in the order of the policy.
    pub steps: Vec<String>,
    /// The urgency, when it matters.
    pub urgency: Option<String>,
    /// How long each step may take, when it matters.
    pub sla: Option<Span>,
}

impl ExceptionRules {
    /// The digest that requests and decisions are bound to.
    pub fn digest(&self) -> Sha {
        Sha::of_json(&serde_json::json!(self))
    }

    /// The step of that name, with its place in the chain.
    pub fn step(&self, id: &str) -> Option<(usize, &Step)> {
        self.steps.iter().enumerate().find(|(_, s)| s.id == id)
    }

    /// The tier of least risk.
    pub fn lowest(&self) -> Option<&str> {
        self.tiers.last().map(|t| t.id.as_str())
    }
}
