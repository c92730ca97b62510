//! One revision of one exception with all that happened to it. Its terms are frozen when the request is complete;
//! after that only decisions, instants and where it stands are added.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    complete::Missing,
    coverage::{Entry, Standing},
    decide::{Decision, Pending},
    route::{Routed, Triage},
    state::{Act, Times, next, state_at},
};
use crate::model::{
    exception::{State, Suspension, Terms},
    id::{ExceptionId, Sha},
    outcome::Row,
    request::Request,
    rules::{ExceptionRules, Step},
};

/// One revision of one exception.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its id, the same in every revision.
    pub id: ExceptionId,
    /// From 1.
    pub revision: u32,
    /// Counts its changes.
    pub version: u64,
    /// Where it stands as it is written; [`Record::state_at`] says where it stands.
    pub state: State,
    /// The instants by which the clock moves it.
    pub times: Times,
    /// What was handed in.
    pub request: Request,
    /// What that lacks.
    pub lacks: Vec<Missing>,
    /// What is asked for, frozen; nothing while something is missing.
    pub frozen: Option<Frozen>,
    /// What people said.
    pub decisions: Vec<Decision>,
    /// Why it is out of force for now.
    pub suspension: Option<Suspension>,
    /// Why it ended.
    pub end_reason: Option<String>,
    /// How its conditions stand.
    pub standings: BTreeMap<String, Standing>,
}

/// A complete request on its way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Frozen {
    /// What is asked for.
    pub terms: Terms,
    /// The digest of that.
    pub digest: Sha,
    /// The rules as they were.
    pub rules: ExceptionRules,
    /// Everything that was known of it for triage.
    pub facets: Row,
    /// How risky and how pressing it is.
    pub triage: Triage,
    /// Who is asked.
    pub routed: Routed,
    /// The steps that people take, in order.
    pub steps: Vec<Step>,
    /// When the step that is open now was opened.
    pub step_since: DateTime<Utc>,
}

impl Record {
    /// Where it stands at an instant.
    pub fn state_at(&self, now: DateTime<Utc>) -> State {
        match &self.frozen {
            Some(frozen) => state_at(self.state, &self.times, &frozen.rules.limits, now),
            None => self.state,
        }
    }

    /// The request as somebody decides it.
    pub fn pending(&self, now: DateTime<Utc>) -> Option<Pending<'_>> {
        let frozen = self.frozen.as_ref()?;
        Some(Pending {
            state: self.state_at(now),
            terms: &frozen.terms,
            digest: frozen.digest,
            tier: &frozen.triage.tier,
            steps: &frozen.steps,
            decisions: &self.decisions,
            rules: &frozen.rules,
        })
    }

    /// As coverage looks at it.
    pub fn entry(&self) -> Option<Entry> {
        let frozen = self.frozen.as_ref()?;
        Some(Entry {
            id: self.id.clone(),
            terms: Arc::new(frozen.terms.clone()),
            state: self.state,
            times: self.times,
            limits: frozen.rules.limits.clone(),
            conditions: self.standings.clone(),
        })
    }

    /// Moves it: the only way in which its state is written. Nothing when that may not be done where it stands.
    pub fn act(&mut self, act: Act, now: DateTime<Utc>) -> Option<(State, State)> {
        let before = self.state;
        let after = next(before, act)?;
        self.state = after;
        let times = &mut self.times;
        match after {
            State::Submitted => times.submitted_at = times.submitted_at.or(Some(now)),
            State::Approved => times.approved_at = Some(now),
            State::Active => {
                times.activated_at = times.activated_at.or(Some(now));
                times.suspended_at = None;
                self.suspension = None;
            }
            State::Suspended => times.suspended_at = Some(now),
            _ => {}
        }
        Some((before, after))
    }
}
