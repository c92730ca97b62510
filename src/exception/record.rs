//! One revision of one exception with all that happened to it. Its terms are frozen when the request is complete;
//! after that only decisions, instants and where it stands are added.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    complete::Missing,
    coverage::{Entry, Known, Standing},
    decide::{Decision, Pending},
    route::{Routed, Triage},
    state::{Act, Times, next, state_at},
};
use crate::{
    catalog::cron,
    choice,
    model::{
        exception::{Condition, State, Suspension, Terms},
        id::{ExceptionId, PersonId, RunId, Sha, TeamId},
        outcome::Row,
        request::Request,
        rules::{Check, ExceptionRules, Limits, Step},
    },
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
    /// How its conditions stand, by name.
    #[serde(default)]
    pub conditions: BTreeMap<String, Checked>,
    /// Other teams that ask for the same.
    #[serde(default)]
    pub joiners: Vec<Joiner>,
    /// When somebody looked at it again.
    #[serde(default)]
    pub reviewed_at: Option<DateTime<Utc>>,
    /// How it came out.
    #[serde(default)]
    pub closure: Option<Closure>,
    /// The limits of its policy when it was handed in: those of a request that is not complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// What it asks of the policy itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<Question>,
}

/// A request without an end is a question to whoever leads the policy. It stands until they answer it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Since when.
    pub at: DateTime<Utc>,
    /// What they said.
    pub answer: Option<Reply>,
}

/// What whoever leads a policy answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// Who.
    pub by: PersonId,
    /// In their words.
    pub said: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// How a condition stands, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// How it stands.
    pub standing: Standing,
    /// When it was looked at.
    pub at: DateTime<Utc>,
    /// The run that looked, when the machine did.
    pub run: Option<RunId>,
    /// Who gave their word, when a person did.
    pub by: Option<PersonId>,
    /// What was seen or said.
    pub said: String,
}

impl Checked {
    /// What coverage may go by. A look is good until the next one is late, which it is when even evidence as old as may
    /// be would be older; a word is good until the next is due.
    fn known(&self, condition: &Condition) -> Known {
        let until = match &condition.check {
            Check::Attested { every } => Some(self.at + every.to_delta()),
            Check::Machine {
                schedule, max_age, ..
            } => cron::parse(schedule)
                .ok()
                .and_then(|cron| cron.find_next_occurrence(&self.at, false).ok())
                .map(|next| next + max_age.to_delta()),
        };
        Known {
            standing: self.standing.clone(),
            until,
        }
    }
}

/// A team that asks for the same as another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joiner {
    /// The team.
    pub team: TeamId,
    /// Who asks for it.
    pub person: PersonId,
    /// Why they need it, too.
    pub because: String,
    /// Since when.
    pub at: DateTime<Utc>,
}

choice! {
    /// How an exception came out.
    pub enum Outcome {
        /// What deviated was mended.
        Remediated = "remediated",
        /// The policy was changed.
        PolicyChanged = "policy_changed",
        /// Another exception took its place.
        Renewed = "renewed",
        /// What it was about is gone.
        Decommissioned = "decommissioned",
        /// It is how it should be, and the control will say so.
        AcceptedAsDesigned = "accepted_as_designed_change",
        /// It never was in force.
        NeverActive = "never_active",
    }
}

/// What whoever closed it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closure {
    /// Who.
    pub by: PersonId,
    /// How it came out.
    pub outcome: Outcome,
    /// In their words.
    pub note: String,
    /// When.
    pub at: DateTime<Utc>,
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
    /// The step that took too long, when its stand-ins were asked.
    #[serde(default)]
    pub escalated: Option<String>,
    /// The step that nobody can take, when whoever leads the policy was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreachable: Option<String>,
    /// The digests of the terms before approvers added conditions to them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wider: Vec<Sha>,
}

impl Frozen {
    /// Whether what was said under some terms counts under these.
    pub fn counts(&self, terms: Sha) -> bool {
        terms == self.digest || self.wider.contains(&terms)
    }

    /// Adds what an approver asks for besides; gives whether there was anything to add. What was signed before stays
    /// signed: it permitted more.
    pub fn narrow(&mut self, conditions: &[Condition]) -> bool {
        if conditions.is_empty() {
            return false;
        }
        self.wider.push(self.digest);
        self.terms.conditions.extend_from_slice(conditions);
        self.digest = self.terms.digest();
        true
    }
}

impl Record {
    /// Where it stands at an instant.
    pub fn state_at(&self, now: DateTime<Utc>) -> State {
        let frozen = self.frozen.as_ref().map(|f| &f.rules.limits);
        match frozen.or(self.limits.as_ref()) {
            Some(limits) => state_at(self.state, &self.times, limits, now),
            None => self.state,
        }
    }

    /// The request as somebody decides it.
    pub fn pending(&self, now: DateTime<Utc>) -> Option<Pending<'_>> {
        let frozen = self.frozen.as_ref()?;
        Some(Pending {
            // What was granted in an emergency is in force, and still has to be decided.
            state: match self.state_at(now) {
                State::Active if self.times.ratify_by.is_some() => State::PendingDecision,
                state => state,
            },
            decisions: &self.decisions,
            ..self.asked(frozen)
        })
    }

    /// A suspended exception as it is decided again, under terms with everything pinned anew: the whole chain, and only
    /// what was said since it was suspended counts.
    pub fn again<'a>(&'a self, proposed: &'a Frozen) -> Pending<'a> {
        let from = self.times.suspended_at;
        let before = |d: &Decision| from.is_some_and(|from| d.at < from);
        let since = self.decisions.partition_point(before);
        Pending {
            state: State::PendingDecision,
            decisions: self.decisions.get(since..).unwrap_or_default(),
            ..self.asked(proposed)
        }
    }

    fn asked<'a>(&'a self, frozen: &'a Frozen) -> Pending<'a> {
        Pending {
            state: self.state,
            terms: &frozen.terms,
            digest: frozen.digest,
            wider: &frozen.wider,
            joiners: &self.joiners,
            tier: &frozen.triage.tier,
            steps: &frozen.steps,
            decisions: &[],
            rules: &frozen.rules,
        }
    }

    /// As coverage looks at it.
    pub fn entry(&self) -> Option<Entry> {
        let frozen = self.frozen.as_ref()?;
        Some(Entry {
            id: self.id.clone(),
            doubt: None,
            terms: Arc::new(frozen.terms.clone()),
            state: self.state,
            times: self.times,
            limits: frozen.rules.limits.clone(),
            review_due: self.review_due(),
            conditions: frozen
                .terms
                .conditions
                .iter()
                .filter_map(|c| Some((c.id.clone(), self.conditions.get(&c.id)?.known(c))))
                .collect(),
        })
    }

    /// Whether somebody should have looked at it again by now.
    pub fn review_due(&self) -> Option<DateTime<Utc>> {
        let frozen = self.frozen.as_ref()?;
        let every = [frozen.terms.review_every, frozen.routed.revalidate_every];
        let every = every.into_iter().flatten().min()?;
        let from = self.reviewed_at.or(self.times.activated_at)?;
        Some(from + every.to_delta())
    }

    /// By when the open step should be taken; nothing when nobody is asked.
    pub fn step_due(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let frozen = self.frozen.as_ref()?;
        let pending = self.pending(now)?;
        if !pending.is_asked() {
            return None;
        }
        let step = pending.open()?;
        let sla = frozen.routed.sla.unwrap_or(step.sla);
        Some(frozen.step_since + sla.to_delta())
    }

    /// Moves it: the only way in which its state is written. Nothing when that may not be done where it stands.
    pub fn act(&mut self, act: Act, now: DateTime<Utc>) -> Option<(State, State)> {
        let before = self.state;
        let after = next(before, act)?;
        self.state = after;
        // Another team joins it where it stands.
        if act == Act::Join {
            return Some((before, after));
        }
        let times = &mut self.times;
        match after {
            State::Submitted => times.submitted_at = times.submitted_at.or(Some(now)),
            State::Approved => times.approved_at = Some(now),
            State::Active => {
                times.activated_at = times.activated_at.or(Some(now));
                times.suspended_at = None;
                self.suspension = None;
            }
            // A signature of several that let it go on leaves it where it is, since when it is.
            State::Suspended if before != State::Suspended => times.suspended_at = Some(now),
            _ => {}
        }
        Some((before, after))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{rules::OnViolation, span::Span};

    #[test]
    fn a_look_is_good_until_the_next_is_late_and_a_word_until_the_next_is_due() {
        let at: DateTime<Utc> = "2026-12-01T08:10:00Z".parse().unwrap();
        let checked = Checked {
            standing: Standing::Holds,
            at,
            run: None,
            by: None,
            said: String::new(),
        };
        let until = |check: Check| {
            let condition = Condition {
                id: "watch".to_owned(),
                text: String::new(),
                check,
                params: BTreeMap::new(),
                on_violation: OnViolation::Suspend,
                grace: Span::default(),
                responsible: String::new(),
            };
            checked.known(&condition).until.unwrap().to_rfc3339()
        };
        let machine = Check::Machine {
            evidence: String::new(),
            subject: String::new(),
            fails_when: String::new(),
            schedule: "0 * * * *".to_owned(),
            max_age: Span::hours(2),
        };
        assert_eq!(until(machine), "2026-12-01T11:00:00+00:00");
        let word = Check::Attested {
            every: Span::days(7),
        };
        assert_eq!(until(word), "2026-12-08T08:10:00+00:00");
    }
}
