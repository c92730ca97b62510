//! Policies and what they mean by severe.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::{
    id::{PolicyId, Sha},
    rules::{Example, ExceptionRules},
};
use crate::choice;

choice! {
    /// How bad a deviation is.
    pub enum Severity {
        /// To be mended in the course of things.
        Low = "low",
        /// To be mended soon.
        Medium = "medium",
        /// To be mended within days.
        High = "high",
        /// To be mended now.
        Critical = "critical",
    }
}

/// One clause of one policy: `policy#provision`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProvisionRef {
    /// The policy.
    pub policy: PolicyId,
    /// The clause.
    pub provision: String,
}

impl std::fmt::Display for ProvisionRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}#{}", self.policy, self.provision)
    }
}

impl std::str::FromStr for ProvisionRef {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('#') {
            Some((policy, provision)) if !policy.is_empty() && !provision.is_empty() => Ok(Self {
                policy: policy.into(),
                provision: provision.to_owned(),
            }),
            _ => Err("write `policy#provision`"),
        }
    }
}

/// A reference into a published framework, `NAME:REF`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FrameworkRef {
    /// The framework, for example `NIST-CSF-2.0`.
    pub name: String,
    /// The place in it, for example `GV.OV`.
    pub reference: String,
}

/// The text that controls enforce, at one version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Its name.
    pub id: PolicyId,
    /// Every change is a new version.
    pub version: u32,
    /// The day from which it is in force.
    pub effective: NaiveDate,
    /// What it is about.
    pub title: String,
    /// The policy lead: a person or a team.
    pub owner: String,
    /// Frameworks that it answers to.
    pub frameworks: Vec<FrameworkRef>,
    /// Its clauses.
    pub provisions: Vec<Provision>,
    /// Its rules for exceptions; without them nothing may be excepted.
    pub exceptions: Option<Box<ExceptionRules>>,
    /// What `tripline test` runs.
    #[serde(skip)]
    pub examples: Vec<Example>,
}

/// One clause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provision {
    /// Its name within the policy.
    pub id: String,
    /// A heading.
    pub title: String,
    /// The wording.
    pub text: String,
}

impl Policy {
    /// The clause of that name.
    pub fn provision(&self, id: &str) -> Option<&Provision> {
        self.provisions.iter().find(|p| p.id == id)
    }

    /// The digest of the text with its version and date: what a decision is pinned to.
    pub fn text_digest(&self) -> Sha {
        Sha::of_json(&serde_json::json!({
            "id": self.id, "version": self.version, "effective": self.effective, "provisions": self.provisions,
        }))
    }
}
