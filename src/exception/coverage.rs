//! Whether an exception makes a failing subject silent: eight clauses, all of which must hold. The answer names the
//! first that does not, so that "why was I alerted?" has an answer. Used by runs, notices, the command line and
//! reports alike: there is no second opinion.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::state::{Times, state_at};
use crate::{
    choice,
    model::{
        control::{Control, Waivable},
        exception::{Condition, State, Terms},
        finding::Finding,
        id::{ControlId, ExceptionId, PolicyId, Sha, SubjectId},
        outcome::{Observed, Outcome, Row},
        rules::{Limits, OnViolation},
    },
};

choice! {
    /// What must hold for a failing subject to be covered.
    pub enum Clause {
        /// The register can be read and is proved.
        Register = "register",
        /// The exception is in force.
        State = "state",
        /// It is this control, as it was when it was approved, and it may be waived.
        Control = "control",
        /// It is this subject, byte for byte.
        Subject = "subject",
        /// It is no worse than what was approved.
        Limit = "limit",
        /// It is still the thing that was approved.
        Fingerprint = "fingerprint",
        /// The conditions hold.
        Conditions = "conditions",
        /// It is a real fail.
        Outcome = "outcome",
    }
}

/// How a condition stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It holds, by evidence or by a word that is young enough.
    Holds,
    /// It cannot be told at present, since then.
    Unknown(DateTime<Utc>),
    /// It does not hold.
    Fails,
}

/// What is known of a condition, and for how long that is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// How it stood when it was looked at.
    pub standing: Standing,
    /// When the next look is late, or the next word is due: from then on nobody knows. Nothing when it is good for ever.
    pub until: Option<DateTime<Utc>>,
}

impl Known {
    /// How it stands at an instant: what should have been looked at again by then cannot be told.
    fn at(&self, now: DateTime<Utc>) -> Standing {
        match (&self.standing, self.until) {
            (Standing::Holds, Some(until)) if now >= until => Standing::Unknown(until),
            (standing, _) => standing.clone(),
        }
    }
}

/// The digest of the text of each policy as it is now.
pub type Policies = BTreeMap<PolicyId, Sha>;

/// How long missing evidence of a control ends no cover: after that nobody knows any more what is covered.
pub const GRACE: TimeDelta = TimeDelta::hours(24);

/// An exception as coverage looks at it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The exception.
    pub id: ExceptionId,
    /// Why the log does not bear it out; nothing when it does.
    pub doubt: Option<String>,
    /// What was approved.
    pub terms: std::sync::Arc<Terms>,
    /// Where it stands, as it is written.
    pub state: State,
    /// When the clock moves it.
    pub times: Times,
    /// The limits of its policy.
    pub limits: Limits,
    /// By when somebody should have looked at it again.
    pub review_due: Option<DateTime<Utc>>,
    /// What is known of each of its conditions.
    pub conditions: BTreeMap<String, Known>,
}

/// A failing subject.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The control.
    pub control: &'a ControlId,
    /// What judges in it now.
    pub definition: Sha,
    /// Whether its deviations may be excepted at all.
    pub waivable: bool,
    /// The subject.
    pub subject: &'a SubjectId,
    /// What the run says of it.
    pub outcome: Outcome,
    /// The rows that fail.
    pub rows: &'a [Row],
    /// The values of the control's fingerprint columns.
    pub fingerprint: &'a BTreeMap<String, Vec<String>>,
    /// Since when there is no evidence of it, when there is none.
    pub unverified_since: Option<DateTime<Utc>>,
    /// What the policies say now.
    pub policies: &'a Policies,
    /// The instant.
    pub now: DateTime<Utc>,
}

impl<'a> Case<'a> {
    /// A finding as its last run left it. Without its control it is judged by what judged it then.
    pub fn known(
        (control, policies): (Option<&Control>, &'a Policies),
        finding: &'a Finding,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            control: &finding.control,
            definition: control.map_or(finding.definition, |c| c.definition),
            waivable: control.is_none_or(|c| c.exceptions != Waivable::Never),
            subject: &finding.subject,
            outcome: Outcome::Fail,
            rows: &finding.rows,
            fingerprint: &finding.fingerprint,
            unverified_since: finding.state.unverified_since,
            policies,
            now,
        }
    }

    /// A subject as a run sees it.
    pub fn observed(
        (control, policies): (&'a Control, &'a Policies),
        observed: &'a Observed,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            control: &control.id,
            definition: control.definition,
            waivable: control.exceptions != Waivable::Never,
            subject: &observed.subject,
            outcome: observed.outcome,
            rows: &observed.rows,
            fingerprint: &observed.fingerprint,
            unverified_since: None,
            policies,
            now,
        }
    }
}

/// Why an exception does not cover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The exception.
    pub exception: ExceptionId,
    /// The first clause that does not hold.
    pub clause: Clause,
    /// What does not hold, in a sentence.
    pub why: String,
}

/// What covers a case.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Coverage {
    /// All that cover it, the one that ends first first: it is the one that counts.
    pub by: Vec<ExceptionId>,
    /// Those that speak of it and do not cover it.
    pub lost: Vec<Lost>,
}

impl Coverage {
    /// The exception that counts.
    pub fn first(&self) -> Option<&ExceptionId> {
        self.by.first()
    }
}

/// All exceptions that could cover something, by control and subject. Looking one up costs the same however many
/// there are.
#[derive(Debug, Clone, Default)]
pub struct Register {
    entries: Vec<Entry>,
    by_control: HashMap<ControlId, HashMap<SubjectId, Vec<usize>>>,
}

/// What decides the limits of terms: SQL over a row at an instant.
pub type LimitTest<'a> = &'a dyn Fn(&str, &Row) -> Option<bool>;

impl Register {
    /// Exceptions, ready to be asked.
    pub fn new(entries: Vec<Entry>) -> Self {
        let mut by_control: HashMap<ControlId, HashMap<SubjectId, Vec<usize>>> = HashMap::new();
        for (at, entry) in entries.iter().enumerate() {
            for one in &entry.terms.subjects {
                let subjects = by_control.entry(one.control.clone()).or_default();
                subjects.entry(one.subject.clone()).or_default().push(at);
            }
        }
        Self {
            entries,
            by_control,
        }
    }

    /// The exceptions that the log does not bear out, each with the reason.
    pub fn doubted(&self) -> impl Iterator<Item = (&ExceptionId, &str)> {
        self.entries
            .iter()
            .filter_map(|e| Some((&e.id, e.doubt.as_deref()?)))
    }

    /// Whether any exception speaks of a control.
    pub fn speaks_of(&self, control: &ControlId) -> bool {
        self.by_control.contains_key(control)
    }

    /// What covers a case, and why others do not.
    pub fn covers(&self, case: &Case<'_>, limit: LimitTest<'_>) -> Coverage {
        let found = self
            .by_control
            .get(case.control)
            .and_then(|subjects| subjects.get(case.subject));
        let mut coverage = Coverage::default();
        let mut by: Vec<&Entry> = Vec::new();
        for entry in found
            .into_iter()
            .flatten()
            .filter_map(|at| self.entries.get(*at))
        {
            match holds(entry, case, limit) {
                Ok(()) => by.push(entry),
                Err((clause, why)) => coverage.lost.push(Lost {
                    exception: entry.id.clone(),
                    clause,
                    why,
                }),
            }
        }
        by.sort_by(|a, b| {
            let key = |e: &Entry| (e.times.expires_at, e.id.clone());
            key(a).cmp(&key(b))
        });
        coverage.by = by.into_iter().map(|e| e.id.clone()).collect();
        coverage
    }
}

/// The clauses in their order. Whoever cannot read the register at all has no entries to ask.
fn holds(entry: &Entry, case: &Case<'_>, limit: LimitTest<'_>) -> Result<(), (Clause, String)> {
    let terms = &entry.terms;
    if let Some(why) = &entry.doubt {
        return Err((Clause::Register, why.clone()));
    }
    in_force(entry, case).map_err(|why| (Clause::State, why))?;
    let control = terms.controls.iter().find(|c| c.control == *case.control);
    match control {
        Some(_) if !case.waivable => {
            let why = format!("`{}` may never be waived", case.control);
            return Err((Clause::Control, why));
        }
        Some(control) if control.definition == case.definition => {}
        Some(_) => {
            let why = format!(
                "`{}` judges otherwise than when it was approved",
                case.control
            );
            return Err((Clause::Control, why));
        }
        None => {
            let why = format!("it does not speak of `{}`", case.control);
            return Err((Clause::Control, why));
        }
    }
    let Some(subject) = terms.subject(case.control, case.subject) else {
        let why = format!("it does not speak of {}", case.subject);
        return Err((Clause::Subject, why));
    };
    if case.outcome != Outcome::Fail {
        let why = format!(
            "the outcome is {}, and only a fail can be covered",
            case.outcome.as_str()
        );
        return Err((Clause::Outcome, why));
    }
    if let Some(since) = case.unverified_since.filter(|s| case.now - *s >= GRACE) {
        let why = format!(
            "there is no evidence of it since {}, and cover goes on for {} hours without",
            since.format("%Y-%m-%d %H:%M UTC"),
            GRACE.num_hours()
        );
        return Err((Clause::Outcome, why));
    }
    if let Some(text) = &terms.limit
        && (case.rows.is_empty() || case.rows.iter().any(|row| limit(text, row) != Some(true)))
    {
        return Err((Clause::Limit, format!("`{text}` is not true any more")));
    }
    for (column, approved) in &subject.fingerprint {
        let now = case.fingerprint.get(column).map(|values| digest(values));
        if now != Some(*approved) {
            let why = format!("`{column}` is not what it was when it was approved");
            return Err((Clause::Fingerprint, why));
        }
    }
    // Where it was agreed that a violation is only told, it ends no cover.
    let binding = |c: &&Condition| c.on_violation != OnViolation::Notify;
    for condition in terms.conditions.iter().filter(binding) {
        let why = match entry.conditions.get(&condition.id).map(|k| k.at(case.now)) {
            Some(Standing::Holds) => continue,
            // Missing evidence does not storm: what held goes on for the grace.
            Some(Standing::Unknown(since)) if case.now - since < condition.grace.to_delta() => {
                continue;
            }
            Some(Standing::Unknown(since)) => {
                let since = since.format("%Y-%m-%d %H:%M UTC");
                format!("cannot be shown to hold since {since}")
            }
            Some(Standing::Fails) => "does not hold".to_owned(),
            None => "was not looked at yet".to_owned(),
        };
        let why = format!("the condition `{}` {why}", condition.id);
        return Err((Clause::Conditions, why));
    }
    Ok(())
}

/// The second clause: in force by its state, its times and its policy. What puts it out of force counts from its instant on,
/// and not from when somebody writes it down.
fn in_force(entry: &Entry, case: &Case<'_>) -> Result<(), String> {
    let state = state_at(entry.state, &entry.times, &entry.limits, case.now);
    let due = matches!(state, State::Active | State::Approved);
    if due && case.now < entry.times.not_before {
        return Err("it is not yet in force".to_owned());
    }
    if state != State::Active {
        return Err(format!("it is {}", state.as_str().replace('_', " ")));
    }
    let policy = &entry.terms.provision.policy;
    if case.policies.get(policy) != Some(&entry.terms.policy.text) {
        return Err(format!(
            "the text of `{policy}` is not what it was when it was approved"
        ));
    }
    if let Some(due) = entry.review_due.filter(|due| case.now >= *due) {
        return Err(format!(
            "nobody has looked at it again since it was due on {}",
            due.format("%Y-%m-%d")
        ));
    }
    Ok(())
}

/// The digest of the values of one fingerprint column.
pub fn digest(values: &[String]) -> Sha {
    Sha::of_json(&serde_json::json!(values))
}

/// The digests of a subject's fingerprint, column by column.
pub fn fingerprint(values: &BTreeMap<String, Vec<String>>) -> BTreeMap<String, Sha> {
    values
        .iter()
        .map(|(column, values)| (column.clone(), digest(values)))
        .collect()
}
