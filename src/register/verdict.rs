//! Policy as code at the moment of a request: may this be, for this subject, now? The same control, the same evidence,
//! the same coverage as every run; nothing is recorded, and nothing is guessed.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    Error, facet,
    freeze::{self, Known},
};
use crate::{
    act, choice, evaluate,
    exception::{
        Rulebook,
        coverage::{Case, Register},
        record::Record,
    },
    model::{
        control::{Control, Waivable},
        id::{ControlId, ExceptionId, PolicyId, Sha, SubjectId},
        outcome::{Observed, Outcome, Row},
        request::Request,
        rules::ExceptionRules,
    },
    run::{Context, Set, rehearse},
    store::exceptions,
};

choice! {
    /// The answer, the best first.
    pub enum Answer {
        /// It is as the policy asks.
        Allowed = "allowed",
        /// It deviates, and an exception in force permits that.
        Covered = "covered",
        /// It deviates, and may if somebody decides so.
        ExceptionRequired = "exception_required",
        /// It cannot be told; whoever asks does not act on hope.
        Unknown = "unknown",
        /// It deviates, and no exception is ever permitted.
        Denied = "denied",
    }
}

/// An answer with what it rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The answer.
    pub answer: Answer,
    /// Why, in a sentence.
    pub because: String,
    /// The control.
    pub control: ControlId,
    /// What judges in it.
    pub definition: Sha,
    /// `policy#provision`.
    pub provision: String,
    /// The policy's version.
    pub policy_version: Option<u32>,
    /// The exception that covers it.
    pub exception: Option<ExceptionId>,
    /// Until when that one lasts.
    pub until: Option<DateTime<Utc>>,
    /// Which way a request would go.
    pub tier: Option<String>,
    /// By which routes.
    pub routes: Vec<String>,
    /// Through which steps.
    pub steps: Vec<String>,
    /// What was looked at, by digest of its content.
    pub evidence: Vec<Sha>,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Against {
    /// One control.
    Control(ControlId),
    /// Every control of a policy; the gravest answer counts.
    Policy(PolicyId),
}

/// Answers for a subject, from evidence of now. `facets` is what whoever asks says of the request that they would make.
///
/// # Errors
/// There is no such control or policy, or something cannot be read.
pub async fn verdict(
    cx: &Context,
    set: &Set,
    (against, subject): (&Against, &SubjectId),
    facets: &Map<String, Value>,
) -> Result<Vec<Verdict>, Error> {
    let controls: Vec<&Arc<Control>> = match against {
        Against::Control(id) => set.catalog.control(id).into_iter().collect(),
        Against::Policy(id) => {
            let all = set.catalog.controls.values();
            all.filter(|c| c.policy.policy == *id).collect()
        }
    };
    if controls.is_empty() {
        return Err(Error::refused("no_control", "no control answers that"));
    }
    let mut all = Vec::new();
    for control in controls {
        all.push(of_control(cx, set, control, subject, facets).await?);
    }
    // A control that does not speak of the subject says nothing of it, unless none does.
    if all.iter().any(|(_, speaks)| *speaks) {
        all.retain(|(_, speaks)| *speaks);
    }
    let mut all: Vec<Verdict> = all.into_iter().map(|(verdict, _)| verdict).collect();
    all.sort_by_key(|v| std::cmp::Reverse(v.answer));
    Ok(all)
}

/// What one control says, and whether it speaks of the subject at all: one that cannot look may.
async fn of_control(
    cx: &Context,
    set: &Set,
    control: &Control,
    subject: &SubjectId,
    facets: &Map<String, Value>,
) -> Result<(Verdict, bool), Error> {
    let now = cx.clock.now();
    let decided = rehearse(cx, set, control, std::slice::from_ref(subject)).await?;
    let policy = set.catalog.policies.get(&control.policy.policy);
    let mut verdict = Verdict {
        answer: Answer::Unknown,
        because: String::new(),
        control: control.id.clone(),
        definition: control.definition,
        provision: control.policy.to_string(),
        policy_version: policy.map(|p| p.version),
        exception: None,
        until: None,
        tier: None,
        routes: Vec::new(),
        steps: Vec::new(),
        evidence: decided
            .run
            .evidence
            .iter()
            .filter_map(|u| u.content)
            .collect(),
    };
    if let Some((_, said)) = &decided.evaluation.not_checked {
        verdict.because.clone_from(said);
        return Ok((verdict, true));
    }
    let observed = decided
        .evaluation
        .observed
        .iter()
        .find(|o| o.subject == *subject);
    let Some(observed) = observed else {
        verdict.because = format!("{subject} is not in the population of `{}`", control.id);
        return Ok((verdict, false));
    };
    match observed.outcome {
        Outcome::Pass => {
            verdict.answer = Answer::Allowed;
            verdict.because = format!("it is as `{}` asks", control.policy);
        }
        Outcome::Unknown(why) => {
            verdict.because = format!("it cannot be told: {}", why.as_str().replace('_', " "));
        }
        Outcome::Fail => {
            let filter = exceptions::Filter {
                control: Some(control.id.clone()),
                ..exceptions::Filter::default()
            };
            let mut tx = cx.store.read().await?;
            let records = exceptions::list(&mut tx, &filter).await?;
            let register = act::register(&mut tx, &records, now).await?;
            drop(tx);
            let rules = policy.and_then(|p| p.exceptions.as_deref());
            let request = stub(control, observed, facets);
            let measured = match rules {
                Some(rules) => facet::measured(cx, set, rules, &request).await?,
                None => Row::new(),
            };
            let asked = (&request, measured);
            let case = Case::observed((control, set.policies()), observed, now);
            failing(
                &mut verdict,
                (control, observed, &case),
                (&records, &register, rules),
                asked,
            )?;
        }
    }
    Ok((verdict, true))
}

/// It deviates: whether something covers it, or could.
fn failing(
    verdict: &mut Verdict,
    (control, observed, case): (&Control, &Observed, &Case<'_>),
    (records, register, rules): (&[Record], &Register, Option<&ExceptionRules>),
    (request, measured): (&Request, Row),
) -> Result<(), Error> {
    let now = case.now;
    let waivable = control.exceptions != Waivable::Never;
    let coverage = register.covers(case, &|text, row| evaluate::limit(text, row, now));
    if let Some(id) = coverage.first() {
        let until = records
            .iter()
            .find(|r| r.id == *id)
            .map(|r| r.times.expires_at);
        verdict.answer = Answer::Covered;
        verdict.because = format!("it deviates, and {id} permits that");
        verdict.exception = Some(id.clone());
        verdict.until = until;
        return Ok(());
    }
    let lost = coverage.lost.first().map_or_else(String::new, |l| {
        format!("; {} does not cover it: {}", l.exception, l.why)
    });
    let (Some(rules), true) = (rules, waivable) else {
        verdict.answer = Answer::Denied;
        verdict.because = format!(
            "it deviates, and `{}` permits no exception{lost}",
            control.id
        );
        return Ok(());
    };
    let mut known = freeze::facets_of(request, std::iter::once(observed), &Known::default(), now);
    known.extend(measured);
    let rulebook = Rulebook::new(Arc::new(rules.clone()))
        .map_err(|p| Error::Policy(format!("the rules cannot be used: {}", p.what)))?;
    let triage = rulebook.triage(&mut known);
    let routed = rulebook.route(&triage, &known);
    verdict.answer = Answer::ExceptionRequired;
    verdict.because = format!("it deviates, and an exception is required{lost}");
    verdict.routes = routed.names().into_iter().map(str::to_owned).collect();
    verdict.steps = routed.steps;
    verdict.tier = Some(triage.tier);
    Ok(())
}

/// The request that somebody would make.
fn stub(control: &Control, observed: &Observed, facets: &Map<String, Value>) -> Request {
    Request {
        provision: control.policy.clone(),
        controls: vec![control.id.to_string()],
        subjects: vec![observed.subject.to_string()],
        facets: facets.clone().into_iter().collect(),
        ..Request::empty(control.policy.clone())
    }
}
