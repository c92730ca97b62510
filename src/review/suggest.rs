//! The limits of a control tried one after the other over its last evidence: what each would clear and what it would
//! admit, for everybody and for those whom a signal describes.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{
    Error,
    again::{judged, known, reopened, subjects},
    change::said,
    what_if::veto,
};
use crate::{
    evaluate::Told,
    evidence::Evidence,
    model::{
        control::{Control, Param},
        definition::Definition,
        id::{ControlId, ExceptionId, RunId, SubjectId},
        outcome::{Evaluation, Observed, Outcome},
        policy::Severity,
        run::Run,
        span::Span,
    },
    run::{Context, Set},
    signal::suggest::{Candidate, Failing, Risk, candidates},
    store::{coverage, runs},
};

/// How many values are tried in one pass.
const AT_ONCE: usize = 6;

/// Whom a change is for: facts with their values, and the same as SQL.
type Scope = (BTreeMap<String, String>, String);

/// Why no value of a parameter of a control could be tried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Untried {
    /// It has none that is a limit.
    #[error(
        "`{0}` has no parameter that is a length of time or a number: try a condition with `--fails-when`"
    )]
    NoLimit(ControlId),
    /// It never could look.
    #[error(
        "no run of `{0}` could look yet, so there is no evidence to try a change on: `tripline check` runs it"
    )]
    NotRun(ControlId),
    /// What it looked at last is gone.
    #[error("the evidence of the last run of `{0}` cannot be judged again: {1}")]
    Gone(ControlId, String),
}

/// What changing one parameter of a control would do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Suggestions {
    /// The parameter.
    pub parameter: String,
    /// Its value.
    pub current: String,
    /// The values that were tried, as `--set` takes them.
    pub values: Vec<String>,
    /// The scopes besides everybody, as `--where` takes them.
    pub scopes: Vec<String>,
    /// The run whose evidence was judged again.
    pub run: RunId,
    /// Each change that would clear something.
    pub candidates: Vec<Candidate>,
}

impl Suggestions {
    /// A candidate as somebody would try it: `--set rotate_within=120d --where "vendor = 'Acme'"`.
    pub fn flags(&self, one: &Candidate) -> String {
        let value = self.values.get(one.value).map_or("?", String::as_str);
        let scope = one.scope.and_then(|s| self.scopes.get(s));
        let scope = scope.map_or_else(String::new, |s| format!(" --where \"{s}\""));
        format!("--set {}={value}{scope}", self.parameter)
    }

    /// A candidate in a sentence.
    pub fn sentence(&self, one: &Candidate) -> String {
        let value = self.values.get(one.value).map_or("?", String::as_str);
        let scope = one.scope.and_then(|s| self.scopes.get(s));
        let scope = scope.map_or_else(
            || " for everybody".to_owned(),
            |s| format!(" only where {s}"),
        );
        let severe: usize = one.admitted.iter().skip(2).sum();
        format!(
            "{} {} → {value}{scope} clears {} of {} exceptions ({} of {} teams) and newly admits {} subjects that fail today \
             ({severe} of high risk or above); of {} it cannot be told",
            self.parameter,
            self.current,
            one.cleared.len(),
            one.of,
            one.teams,
            one.of_teams,
            one.admits(),
            one.unknown
        )
    }
}

/// Tries every parameter that is a limit: a length of time or a number. `descriptors` say whom a signal is about, fact by
/// fact; one that names something that the control's `facts:` do not know is left out.
///
/// # Errors
/// There is no such control, nothing could be tried ([`Untried`]), or the store or the evidence cannot be read.
pub async fn suggest(
    cx: &Context,
    set: &Set,
    control: &ControlId,
    descriptors: &[BTreeMap<String, String>],
) -> Result<Vec<Suggestions>, Error> {
    suggest_by(cx, set, control, descriptors, None).await
}

/// The same over the last evidence of an instant or before.
///
/// # Errors
/// There is no such control, nothing could be tried ([`Untried`]), or the store or the evidence cannot be read.
pub async fn suggest_by(
    cx: &Context,
    set: &Set,
    control: &ControlId,
    descriptors: &[BTreeMap<String, String>],
    by: Option<DateTime<Utc>>,
) -> Result<Vec<Suggestions>, Error> {
    let (control, now) = known(set, control)?;
    if !now.params.values().any(is_limit) {
        return Err(Untried::NoLimit(control.id.clone()).into());
    }
    let mut tx = cx.store.read().await?;
    let Some(run) = runs::last_counted_by(&mut tx, &control.id, by).await? else {
        return Err(Untried::NotRun(control.id.clone()).into());
    };
    let (then, evidence) = match reopened(&mut tx, set, &run).await? {
        Ok(both) => both,
        Err(why) => return Err(Untried::Gone(control.id.clone(), why).into()),
    };
    let covered = coverage::of_control(&mut tx, &control.id, run.instant).await?;
    drop(tx);
    let evidence = &evidence;
    let Some(before) = judged(cx, control, (&[&then], Told::Rows), evidence, &run)
        .await?
        .pop()
    else {
        return Err(Error::Refused(format!("nothing was said of {}", run.id)));
    };
    let is = |o: &&Observed| o.outcome == Outcome::Fail;
    let failed: Vec<&Observed> = before.observed.iter().filter(is).collect();
    let scopes: Vec<Scope> = descriptors
        .iter()
        .filter_map(|d| Some((d.clone(), scope(control, d)?)))
        .collect();
    let mut all = Vec::new();
    for (name, param) in &then.params {
        let mut tried = Vec::new();
        for up in [true, false] {
            let values = grid(param, up);
            tried = along(
                cx,
                control,
                (&then, evidence, &run),
                (name, &values),
                &covered,
            )
            .await?;
            let loosens = |(_, after): &(_, Evaluation)| after.counts.fail < before.counts.fail;
            if tried.iter().any(loosens) {
                break;
            }
            tried.clear();
        }
        if tried.is_empty() {
            continue;
        }
        let looked = failing(cx, &run, (&failed, &tried), (&covered, &scopes)).await?;
        all.push(Suggestions {
            parameter: name.clone(),
            current: said(param),
            values: tried.iter().map(|(value, _)| said(value)).collect(),
            scopes: scopes.iter().map(|(_, sql)| sql.clone()).collect(),
            run: run.id.clone(),
            candidates: candidates(&looked, tried.len(), scopes.len()),
        });
    }
    Ok(all)
}

/// What would be said with each value of a parameter in turn, until everything that is covered passes or it is plain
/// that they only tighten. A few at a time, in one pass over the evidence.
async fn along(
    cx: &Context,
    control: &Control,
    (then, evidence, run): (&Definition, &Evidence, &Run),
    (name, values): (&str, &[Param]),
    covered: &[(ExceptionId, SubjectId)],
) -> Result<Vec<(Param, Evaluation)>, Error> {
    let mut tried = Vec::new();
    for values in values.chunks(AT_ONCE) {
        let changed: Vec<Definition> = values.iter().map(|v| with(then, name, v)).collect();
        let ways: Vec<&Definition> = [then].into_iter().chain(&changed).collect();
        let mut said = judged(cx, control, (&ways, Told::Outcomes), evidence, run)
            .await?
            .into_iter();
        let failing = said.next().map_or(0, |before| before.counts.fail);
        let mut loosens = false;
        for (value, after) in values.iter().zip(said) {
            loosens |= after.counts.fail < failing;
            let fails: BTreeSet<&SubjectId> = subjects(&after, |o| o == Outcome::Fail).collect();
            let done = covered.iter().all(|(_, s)| !fails.contains(s));
            tried.push((value.clone(), after));
            if done {
                return Ok(tried);
            }
        }
        if !loosens {
            break;
        }
    }
    Ok(tried)
}

fn with(definition: &Definition, name: &str, value: &Param) -> Definition {
    let mut changed = definition.clone();
    changed.params.insert(name.to_owned(), value.clone());
    changed
}

/// What a signal describes, as SQL over the rows of a control; nothing when its facts do not know it.
pub fn scope(control: &Control, descriptor: &BTreeMap<String, String>) -> Option<String> {
    let parts: Option<Vec<String>> = descriptor
        .iter()
        .map(|(fact, value)| {
            let column = control.facts.get(fact)?;
            Some(format!("{column} = '{}'", value.replace('\'', "''")))
        })
        .collect();
    parts.filter(|p| !p.is_empty()).map(|p| p.join(" AND "))
}

/// Each subject that fails, as the grid sees it.
async fn failing(
    cx: &Context,
    run: &Run,
    (failed, tried): (&[&Observed], &[(Param, Evaluation)]),
    (covered, scopes): (&[(ExceptionId, SubjectId)], &[Scope]),
) -> Result<Vec<Failing>, Error> {
    let mut by: BTreeMap<&SubjectId, Vec<String>> = BTreeMap::new();
    for (exception, subject) in covered {
        by.entry(subject).or_default().push(exception.to_string());
    }
    let outcomes: Vec<BTreeMap<&SubjectId, Outcome>> = tried
        .iter()
        .map(|(_, e)| e.observed.iter().map(|o| (&o.subject, o.outcome)).collect())
        .collect();
    let uncovered = failed.iter().filter(|o| !by.contains_key(&o.subject));
    let mut tx = cx.store.read().await?;
    let vetoes = veto(&mut tx, &run.control, uncovered.copied()).await?;
    let mut all = Vec::new();
    for one in failed {
        let at = |n: &BTreeMap<&SubjectId, Outcome>| n.get(&one.subject).copied();
        let passes = |o: Option<Outcome>| matches!(o, None | Some(Outcome::Pass));
        let exceptions = by.get(&one.subject).cloned().unwrap_or_default();
        let holds = |d: &BTreeMap<String, String>| {
            d.iter()
                .all(|(fact, value)| one.facts.get(fact) == Some(value))
        };
        all.push(Failing {
            exceptions,
            team: one.owners.first().cloned().unwrap_or_default(),
            passes_from: outcomes.iter().position(|n| passes(at(n))),
            is_unknown: outcomes
                .iter()
                .any(|n| matches!(at(n), Some(Outcome::Unknown(_)))),
            scopes: scopes.iter().map(|(d, _)| holds(d)).collect(),
            risk: match one.severity {
                Severity::Low => Risk::Low,
                Severity::Medium => Risk::Medium,
                Severity::High => Risk::High,
                Severity::Critical => Risk::Critical,
            },
            veto: vetoes.get(&one.subject).cloned(),
        });
    }
    Ok(all)
}

/// Whether there are values to try for a parameter.
fn is_limit(param: &Param) -> bool {
    matches!(param, Param::Duration(_) | Param::Int(_) | Param::Float(_))
}

/// The values to try for a parameter: twenty-four steps up from what it is, or down.
fn grid(param: &Param, up: bool) -> Vec<Param> {
    let steps = 1..=24_u64;
    match param {
        Param::Duration(span) => {
            let day = Span::days(1).as_millis();
            let at = span.as_millis();
            let step = match at / day {
                0..=4 => Span::hours(12).as_millis(),
                5..=120 => 5 * day,
                121..=365 => 10 * day,
                _ => 30 * day,
            };
            let base = at / step * step;
            steps
                .filter_map(|n| {
                    let by = n * step;
                    let to = if up {
                        Some(base + by)
                    } else {
                        at.checked_sub(by)
                    };
                    to.filter(|to| *to > 0)
                        .map(|to| Param::Duration(Span::millis(to)))
                })
                .collect()
        }
        Param::Int(at) => {
            let step = (at.unsigned_abs() / 10).max(1);
            steps
                .filter_map(|n| {
                    let by = i64::try_from(n * step).ok()?;
                    let to = if up {
                        at.checked_add(by)
                    } else {
                        at.checked_sub(by)
                    };
                    to.map(Param::Int)
                })
                .collect()
        }
        Param::Float(at) => {
            let step = (at.abs() / 10.0).max(0.01);
            steps
                .map(|n| n as f64 * step)
                .map(|by| Param::Float(if up { at + by } else { at - by }))
                .collect()
        }
        _ => Vec::new(),
    }
}
