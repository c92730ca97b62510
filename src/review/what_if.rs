//! What a changed control would have said, over the evidence that was kept: each past week judged twice, as it was
//! and as it would be. Three-valued throughout: what cannot be told is neither cleared nor admitted. Changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Datelike as _, Days, NaiveDate, NaiveTime, Utc};
use serde::Serialize;

use super::{
    Error,
    again::{judged, known, reopened, subjects},
    change::Change,
};
use crate::{
    evaluate::Told,
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
    store::{Page, Tx, coverage, exceptions, findings, runs},
};

/// One week, judged twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Week {
    /// Its Monday.
    pub week: NaiveDate,
    /// Its last run that could look.
    pub run: Option<RunId>,
    /// Why it could not be judged, when it could not.
    pub missing: Option<String>,
    /// What came out; nothing of a week that could not be judged.
    #[serde(flatten)]
    pub judged: Option<Judged>,
}

/// How many subjects of a week were, and would have been, what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Judged {
    /// How many there were.
    pub population: u64,
    /// Failed then.
    pub failing: u64,
    /// Would have failed.
    pub would_fail: u64,
    /// Failed, were covered by an exception, and would have passed.
    pub cleared: u64,
    /// Failed, were covered by nothing, and would have passed.
    pub admitted: u64,
    /// Passed, and would have failed.
    pub newly_failing: u64,
    /// Of which it could not be told, before or after.
    pub unknown: u64,
}

/// A subject that the change moves, or of which it cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Moved {
    /// The subject.
    pub subject: SubjectId,
    /// `cleared`, `newly_admitted`, `newly_failing` or `unknown`.
    pub becomes: &'static str,
    /// What covers it.
    pub exceptions: Vec<ExceptionId>,
    /// Who answers for it.
    pub owners: Vec<String>,
    /// How bad it is.
    pub severity: Severity,
    /// What is known of it.
    pub facts: BTreeMap<String, String>,
    /// Why it must not be admitted unseen.
    pub veto: Option<String>,
}

/// The last week, in full.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Latest {
    /// The run that was judged again.
    pub run: RunId,
    /// Its instant.
    pub instant: DateTime<Utc>,
    /// Exceptions of this control that covered something then.
    pub exceptions: Vec<ExceptionId>,
    /// Those of which every subject would pass.
    pub cleared: Vec<ExceptionId>,
    /// Newly admitted subjects by severity, the least severe first.
    pub admitted: BTreeMap<String, u64>,
    /// Why some must not be admitted unseen.
    pub vetoes: Vec<String>,
    /// What approvers asked for that the change would drop.
    pub dropped_conditions: Vec<String>,
    /// Of the subjects that would pass, how many lie within a twentieth of the new limit.
    pub near_limit: Option<u64>,
    /// Every subject that is moved, by its id.
    pub moved: Vec<Moved>,
}

/// What a change would have done.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WhatIf {
    /// The control.
    pub control: ControlId,
    /// The change, in words.
    pub change: String,
    /// Week by week, the oldest first.
    pub weeks: Vec<Week>,
    /// The last week that could be judged.
    pub latest: Option<Latest>,
}

/// Tries a change on the past. `seen` is told after each week.
///
/// # Errors
/// There is no such control, the change does not fit it, or the store or the evidence cannot be read.
pub async fn what_if(
    cx: &Context,
    set: &Set,
    (control, change): (&ControlId, &Change),
    weeks: u32,
    seen: &mut (dyn FnMut(u32) + Send),
) -> Result<WhatIf, Error> {
    let (control, now) = known(set, control)?;
    let mistakes = change.mistakes(now, &set.catalog.schemas);
    if !mistakes.is_empty() {
        return Err(Error::Refused(mistakes.join("\n")));
    }
    let mut out = WhatIf {
        control: control.id.clone(),
        change: change.words(now),
        weeks: Vec::new(),
        latest: None,
    };
    let monday = monday(cx.clock.now().date_naive());
    // Backwards: the first that can be judged is the last week, told in full.
    for back in 0..weeks {
        let week = monday - Days::new(u64::from(back) * 7);
        let in_full = out.latest.is_none();
        let (one, latest) = of_week(cx, set, (control, change), (week, in_full)).await?;
        out.weeks.push(one);
        out.latest = out.latest.or(latest);
        seen(back + 1);
    }
    out.weeks.reverse();
    Ok(out)
}

/// The Monday of a day's week.
pub fn monday(day: NaiveDate) -> NaiveDate {
    day - Days::new(u64::from(day.weekday().num_days_from_monday()))
}

fn missing(week: NaiveDate, run: Option<&Run>, why: String) -> Week {
    Week {
        week,
        run: run.map(|r| r.id.clone()),
        missing: Some(why),
        judged: None,
    }
}

/// The last run of a week that could look.
async fn last_of(tx: &mut Tx, control: &ControlId, week: NaiveDate) -> Result<Option<Run>, Error> {
    let filter = runs::Filter {
        control: Some(control.clone()),
        since: Some(week.and_time(NaiveTime::MIN).and_utc()),
        until: Some((week + Days::new(7)).and_time(NaiveTime::MIN).and_utc()),
        not_checked: Some(false),
    };
    Ok(runs::list(tx, &filter, Page::first(1)).await?.pop())
}

async fn of_week(
    cx: &Context,
    set: &Set,
    (control, change): (&Control, &Change),
    (week, in_full): (NaiveDate, bool),
) -> Result<(Week, Option<Latest>), Error> {
    let mut tx = cx.store.read().await?;
    let Some(run) = last_of(&mut tx, &control.id, week).await? else {
        let why = "no run of that week could look".to_owned();
        return Ok((missing(week, None, why), None));
    };
    let (then, evidence) = match reopened(&mut tx, set, &run).await? {
        Ok(both) => both,
        Err(why) => return Ok((missing(week, Some(&run), why), None)),
    };
    let changed = match change.apply(&then) {
        Ok(changed) => changed,
        // The control had other parameters then.
        Err(refused) => return Ok((missing(week, Some(&run), refused.0), None)),
    };
    let covered = coverage::of_control(&mut tx, &control.id, run.instant).await?;
    drop(tx);
    let near = in_full.then(|| near(change, &then)).flatten();
    let tighter = near.and_then(|c| c.apply(&then).ok());
    let mut ways = vec![&then, &changed];
    ways.extend(&tighter);
    let told = if in_full { Told::Rows } else { Told::Outcomes };
    let said = judged(cx, control, (&ways, told), &evidence, &run).await?;
    let [before, after, tight @ ..] = said.as_slice() else {
        return Err(Error::Refused(format!("nothing was said of {}", run.id)));
    };
    let moves = Moves::of(before, after, &covered);
    let count = |n: usize| n as u64;
    let one = Week {
        week,
        run: Some(run.id.clone()),
        missing: None,
        judged: Some(Judged {
            population: before.counts.population,
            failing: before.counts.fail,
            would_fail: after.counts.fail,
            cleared: count(moves.cleared.len()),
            admitted: count(moves.admitted.len()),
            newly_failing: count(moves.newly_failing.len()),
            unknown: count(moves.unknown.len()),
        }),
    };
    if !in_full {
        return Ok((one, None));
    }
    let near_limit = tight.first().map(|tight| after_only(tight, after));
    let latest = moves.latest(cx, &run, (before, after), near_limit).await?;
    Ok((one, Some(latest)))
}

/// The same change with a limit that is a twentieth tighter: who passes only beyond that sits at the new limit.
fn near(change: &Change, then: &Definition) -> Option<Change> {
    let [(name, text)] = change.set.as_slice() else {
        return None;
    };
    let tighter = match then.params.get(name)? {
        Param::Duration(_) => {
            let new: Span = text.parse().ok()?;
            Span::millis(new.as_millis() / 20 * 19).to_string()
        }
        Param::Int(_) | Param::Float(_) => (text.parse::<f64>().ok()? * 0.95).to_string(),
        _ => return None,
    };
    Some(Change {
        set: vec![(name.clone(), tighter)],
        ..change.clone()
    })
}

/// How many fail only when the limit is a twentieth tighter.
fn after_only(tight: &Evaluation, after: &Evaluation) -> u64 {
    let fails: BTreeSet<&SubjectId> = subjects(after, |o| o == Outcome::Fail).collect();
    let more = subjects(tight, |o| o == Outcome::Fail).filter(|s| !fails.contains(s));
    more.count() as u64
}

/// Who moves, by subject.
struct Moves<'e> {
    cleared: Vec<&'e Observed>,
    admitted: Vec<&'e Observed>,
    newly_failing: Vec<&'e Observed>,
    unknown: Vec<&'e Observed>,
    covered: BTreeMap<&'e SubjectId, Vec<&'e ExceptionId>>,
}

impl<'e> Moves<'e> {
    fn of(
        before: &'e Evaluation,
        after: &'e Evaluation,
        covers: &'e [(ExceptionId, SubjectId)],
    ) -> Self {
        let mut covered: BTreeMap<&SubjectId, Vec<&ExceptionId>> = BTreeMap::new();
        for (exception, subject) in covers {
            covered.entry(subject).or_default().push(exception);
        }
        let outcomes = |e: &'e Evaluation| -> BTreeMap<&'e SubjectId, &'e Observed> {
            e.observed.iter().map(|o| (&o.subject, o)).collect()
        };
        let (then, now) = (outcomes(before), outcomes(after));
        let mut moves = Self {
            cleared: Vec::new(),
            admitted: Vec::new(),
            newly_failing: Vec::new(),
            unknown: Vec::new(),
            covered,
        };
        for (subject, was) in &then {
            let is = now.get(subject);
            match (was.outcome, is.map(|o| o.outcome)) {
                (Outcome::Unknown(_), _) | (_, Some(Outcome::Unknown(_))) => {
                    moves.unknown.push(was);
                }
                // No longer in the population counts as passing: nobody looks at it any more.
                (Outcome::Fail, None | Some(Outcome::Pass)) => {
                    if moves.covered.contains_key(subject) {
                        moves.cleared.push(was);
                    } else {
                        moves.admitted.push(was);
                    }
                }
                (Outcome::Pass, Some(Outcome::Fail)) => moves.newly_failing.push(was),
                _ => {}
            }
        }
        // What only passed before is not among what was observed.
        for (subject, is) in &now {
            if then.contains_key(subject) {
                continue;
            }
            match is.outcome {
                Outcome::Fail => moves.newly_failing.push(is),
                Outcome::Unknown(_) => moves.unknown.push(is),
                Outcome::Pass => {}
            }
        }
        moves
    }

    async fn latest(
        &self,
        cx: &Context,
        run: &Run,
        (before, after): (&Evaluation, &Evaluation),
        near_limit: Option<u64>,
    ) -> Result<Latest, Error> {
        let mut tx = cx.store.read().await?;
        let still: BTreeSet<&SubjectId> = subjects(after, |o| o != Outcome::Pass).collect();
        let mut every: BTreeSet<&ExceptionId> = BTreeSet::new();
        let mut kept: BTreeSet<&ExceptionId> = BTreeSet::new();
        for subject in subjects(before, |o| o == Outcome::Fail) {
            let by = self.covered.get(subject).into_iter().flatten();
            every.extend(by.clone());
            if still.contains(subject) {
                kept.extend(by);
            }
        }
        let cleared: Vec<ExceptionId> = every.difference(&kept).map(|&e| e.clone()).collect();
        let mut admitted: BTreeMap<String, u64> = BTreeMap::new();
        let mut moved = Vec::new();
        let mut vetoes = Vec::new();
        let other = veto(&mut tx, &run.control, self.admitted.iter().copied()).await?;
        for (becomes, all) in [
            ("cleared", &self.cleared),
            ("newly_admitted", &self.admitted),
            ("newly_failing", &self.newly_failing),
            ("unknown", &self.unknown),
        ] {
            for one in all {
                let mut veto = None;
                if becomes == "newly_admitted" {
                    *admitted.entry(one.severity.to_string()).or_default() += 1;
                    veto = other.get(&one.subject).cloned();
                }
                vetoes.extend(veto.clone());
                let by = self.covered.get(&one.subject).into_iter().flatten();
                moved.push(Moved {
                    subject: one.subject.clone(),
                    becomes,
                    exceptions: by.map(|&e| e.clone()).collect(),
                    owners: one.owners.clone(),
                    severity: one.severity,
                    facts: one.facts.clone(),
                    veto,
                });
            }
        }
        moved.sort_by(|a, b| a.subject.cmp(&b.subject));
        let mut dropped_conditions = Vec::new();
        for id in &cleared {
            let record = exceptions::get(&mut tx, id).await?;
            let terms = record.and_then(|r| r.frozen).map(|f| f.terms);
            let conditions = terms.iter().flat_map(|t| &t.conditions);
            dropped_conditions.extend(conditions.map(|c| format!("{id}: {}", c.text)));
        }
        Ok(Latest {
            run: run.id.clone(),
            instant: run.instant,
            exceptions: every.into_iter().cloned().collect(),
            cleared,
            admitted,
            vetoes,
            dropped_conditions,
            near_limit,
            moved,
        })
    }
}

/// Subjects with another open finding that nothing covers: whoever admits them should know.
pub(super) async fn veto(
    tx: &mut Tx,
    control: &ControlId,
    observed: impl Iterator<Item = &Observed>,
) -> Result<BTreeMap<SubjectId, String>, Error> {
    let subjects: Vec<SubjectId> = observed.map(|o| o.subject.clone()).collect();
    let other = findings::open_elsewhere(tx, control, &subjects).await?;
    let say = |(subject, other): (SubjectId, ControlId)| {
        let why = format!("{subject} fails `{other}`, too");
        (subject, why)
    };
    Ok(other.into_iter().map(say).collect())
}

impl WhatIf {
    /// What it comes to, in a sentence.
    pub fn sentence(&self) -> String {
        let Some(latest) = &self.latest else {
            return format!(
                "{}: no week of that time could be judged again.",
                self.change
            );
        };
        let admitted: u64 = latest.admitted.values().sum();
        let by: Vec<String> = latest
            .admitted
            .iter()
            .map(|(severity, n)| format!("{n} {severity}"))
            .collect();
        let by = if by.is_empty() {
            String::new()
        } else {
            format!(" ({})", by.join(", "))
        };
        let count = |which: &str| latest.moved.iter().filter(|m| m.becomes == which).count();
        format!(
            "{} clears {} of {} exceptions, newly admits {admitted} subjects that fail today{by}, makes {} fail that pass, and cannot be told of {}.",
            self.change,
            latest.cleared.len(),
            latest.exceptions.len(),
            count("newly_failing"),
            count("unknown"),
        )
    }
}
