//! One control over one run's evidence. Whatever stands between the evidence and a truth is an outcome with its
//! reason; only faults of ours are errors. The same evidence, control and instant give the same evaluation
//! byte for byte.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use datafusion::{
    arrow::{
        array::{Array, AsArray, RecordBatch},
        datatypes::Int64Type,
    },
    common::DataFusionError,
    execution::context::SessionState,
};
use futures::TryStreamExt;
use serde_json::json;

use super::{
    check,
    engine::{self, Engine, Error, Trouble},
    gather::Gather,
    judge::{self, Judged, SUBJECT},
    plan,
    problem::Part,
    session, why,
};
use crate::{
    evidence::Evidence,
    model::{
        control::{Control, OnEmpty, OnPartial, Param},
        id::{DatasetName, Sha, SubjectId},
        outcome::{Counts, Evaluation, Observed, Outcome, Presence, Unknown},
        run::Used,
        snapshot::Completeness,
        table::Schema,
    },
};

impl Engine {
    /// Evaluates a control over the evidence of one run at its instant. `known` are the subjects that have a
    /// finding: they come out with their outcome also when they pass, or as absent.
    ///
    /// Called again with what was stored of a run, this is its replay: an equal digest proves the outcomes.
    /// Called with other parameters it is a what-if.
    ///
    /// # Errors
    /// Only what is no fault of the evidence: the SQL does not fit the declared columns, the store does not
    /// answer, the limits do not suffice.
    pub async fn control(
        &self,
        control: &Control,
        evidence: &Evidence,
        known: &[SubjectId],
        now: DateTime<Utc>,
    ) -> Result<Evaluation, Error> {
        let condition = [Condition::of(control)];
        let asked = Asked {
            known,
            ..Asked::of(&condition)
        };
        only(self.asked(control, asked, evidence, now).await?)
    }

    /// As [`Engine::control`], for no longer than one control may take: what is not known by then is not checked.
    ///
    /// # Errors
    /// As for [`Engine::control`].
    pub async fn control_in_time(
        &self,
        control: &Control,
        evidence: &Evidence,
        known: &[SubjectId],
        now: DateTime<Utc>,
    ) -> Result<Evaluation, Error> {
        let judged = self.control(control, evidence, known, now);
        if let Ok(judged) = tokio::time::timeout(self.time, judged).await {
            return judged;
        }
        let what = format!(
            "it took longer than {} s to evaluate, which is `limits.time`",
            self.time.as_secs()
        );
        Ok(not_checked(Unknown::Timeout, what))
    }

    /// Evaluates a control under several conditions in one pass over the same rows: what it says, and what it would say.
    /// Each evaluation tells of every subject that does not pass under all of them.
    ///
    /// # Errors
    /// As for [`Engine::control`].
    pub async fn conditions(
        &self,
        control: &Control,
        (conditions, told): (&[Condition<'_>], Told),
        evidence: &Evidence,
        now: DateTime<Utc>,
    ) -> Result<Vec<Evaluation>, Error> {
        let asked = Asked {
            told,
            ..Asked::of(conditions)
        };
        let all = self.asked(control, asked, evidence, now).await?;
        let spoiled = |e: &Evaluation| matches!(e.not_checked, Some((Unknown::TypeError, _)));
        if conditions.len() < 2 || !all.iter().any(spoiled) {
            return Ok(all);
        }
        // A value that one condition cannot compute is nothing to the others.
        let mut each = Vec::new();
        for condition in conditions {
            let one = Asked {
                conditions: std::slice::from_ref(condition),
                ..asked
            };
            each.extend(self.asked(control, one, evidence, now).await?);
        }
        Ok(each)
    }

    async fn asked(
        &self,
        control: &Control,
        asked: Asked<'_>,
        evidence: &Evidence,
        now: DateTime<Utc>,
    ) -> Result<Vec<Evaluation>, Error> {
        let objections: Vec<(&Used, Unknown)> = evidence.objections().collect();
        let Some((worst, _)) = objections.first() else {
            return self.whole(control, asked, evidence, now).await;
        };
        let reason = worst.objection.unwrap_or(Unknown::Incomplete);
        let sentence = why::sentence(evidence, &objections, control.max_age);
        let seen = control.on_partial == OnPartial::Open
            && objections
                .iter()
                .all(|(used, reason)| is_partial(used, *reason));
        if !seen {
            let nothing = not_checked(reason, sentence);
            return Ok(vec![nothing; asked.conditions.len()]);
        }
        let asked = Asked {
            known: &[],
            ..asked
        };
        let partial = self.whole(control, asked, evidence, now).await?;
        let fails = |one| fails_only(one, reason, sentence.clone());
        Ok(partial.into_iter().map(fails).collect())
    }

    async fn whole(
        &self,
        control: &Control,
        asked: Asked<'_>,
        evidence: &Evidence,
        now: DateTime<Utc>,
    ) -> Result<Vec<Evaluation>, Error> {
        let state = match self.open(evidence, now).await {
            Ok(state) => state,
            Err(trouble) => return settle(trouble, asked.conditions.len()),
        };
        let inventory = control
            .inventory
            .as_ref()
            .and_then(|name| Some((name, schema_of(evidence, name)?)));
        evaluate(&state, control, asked, inventory).await
    }
}

/// When a subject fails, with the parameters that it names.
#[derive(Debug, Clone, Copy)]
pub struct Condition<'a> {
    /// SQL over a row of the evidence.
    pub fails_when: &'a str,
    /// What its parameters are.
    pub params: &'a BTreeMap<String, Param>,
}

impl<'a> Condition<'a> {
    /// The condition that a control has.
    fn of(control: &'a Control) -> Self {
        Self {
            fails_when: &control.fails_when.text,
            params: &control.params,
        }
    }
}

/// How much is told of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// Its outcome.
    Outcomes,
    /// Its outcome, with the rows behind it and what they say of it.
    Rows,
}

/// What is asked of a population.
#[derive(Debug, Clone, Copy)]
struct Asked<'a> {
    conditions: &'a [Condition<'a>],
    /// Subjects that are told of in any case.
    known: &'a [SubjectId],
    told: Told,
}

impl<'a> Asked<'a> {
    const fn of(conditions: &'a [Condition<'a>]) -> Self {
        Self {
            conditions,
            known: &[],
            told: Told::Rows,
        }
    }
}

/// Where all subjects are, and the columns that are there.
type Inventory<'a> = Option<(&'a DatasetName, &'a Schema)>;

/// Evaluates a control as it is over the tables of a session.
pub(super) async fn alone(state: &SessionState, control: &Control) -> Result<Evaluation, Error> {
    let condition = [Condition::of(control)];
    only(evaluate(state, control, Asked::of(&condition), None).await?)
}

fn only(mut evaluations: Vec<Evaluation>) -> Result<Evaluation, Error> {
    evaluations.pop().ok_or_else(|| {
        let what = "a condition came out without an evaluation";
        Error::Engine(DataFusionError::Internal(what.to_owned()))
    })
}

/// Evaluates a control over the tables of a session, a second time with a plan that needs less memory when the
/// first runs out of it.
async fn evaluate(
    state: &SessionState,
    control: &Control,
    asked: Asked<'_>,
    inventory: Inventory<'_>,
) -> Result<Vec<Evaluation>, Error> {
    let conditions = asked.conditions.len();
    match attempt(state, control, asked, inventory).await {
        Ok(evaluations) => Ok(evaluations),
        Err(Trouble::Memory(_)) => {
            let frugal = session::frugal(state);
            match attempt(&frugal, control, asked, inventory).await {
                Ok(evaluations) => Ok(evaluations),
                Err(trouble) => settle(trouble, conditions),
            }
        }
        Err(trouble) => settle(trouble, conditions),
    }
}

/// What is wrong with the evidence is an evaluation, under whatever condition; all else is an error.
fn settle(trouble: Trouble, conditions: usize) -> Result<Vec<Evaluation>, Error> {
    match trouble {
        Trouble::Unknown(reason, sentence) => Ok(vec![not_checked(reason, sentence); conditions]),
        Trouble::Memory(what) => Err(Error::Limit(what)),
        Trouble::Error(error) => Err(error),
    }
}

async fn attempt(
    state: &SessionState,
    control: &Control,
    asked: Asked<'_>,
    inventory: Inventory<'_>,
) -> Result<Vec<Evaluation>, Trouble> {
    let Asked {
        conditions,
        known,
        told,
    } = asked;
    let judged = judged(state, control, conditions).await?;
    let tallies = engine::collect(state, &judged.counts()?).await?;
    let counts: Vec<Counts> = (0..conditions.len())
        .map(|n| counts(&tallies, n))
        .collect::<Result<_, Trouble>>()?;
    if counts.iter().all(|c| c.population == 0) && control.on_empty == OnEmpty::Unknown {
        let what = "the evidence has no rows, and the control does not say `on_empty: pass`";
        let nothing = not_checked(Unknown::Empty, what.to_owned());
        return Ok(vec![nothing; conditions.len()]);
    }
    let known: Vec<SubjectId> = known
        .iter()
        .cloned()
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let mut gather: Vec<Gather<'_>> = (0..conditions.len())
        .map(|n| Gather::new(control, n))
        .collect();
    let passes = |c: &Counts| c.fail + c.unknown == 0;
    if !counts.iter().all(passes) || !known.is_empty() {
        let mut rows = engine::stream(state, &judged.rows(&known, told)?).await?;
        while let Some(batch) = rows.try_next().await? {
            for one in &mut gather {
                one.take(&batch)?;
            }
        }
    }
    let mut all = Vec::with_capacity(conditions.len());
    for (one, counts) in gather.into_iter().zip(counts) {
        let observed = one.finish();
        let absent = absent(state, control, inventory, (&known, &observed)).await?;
        all.push(sealed(None, counts, observed, absent));
    }
    Ok(all)
}

/// The population of a control with the truth of each condition.
async fn judged(
    state: &SessionState,
    control: &Control,
    conditions: &[Condition<'_>],
) -> Result<Judged, Trouble> {
    let query = plan::read_query(Part::Evidence, &control.evidence.text, &control.params)
        .map_err(engine::first)?;
    let population = plan::query(state, Part::Evidence, query).await?;
    let population = check::unqualified(population)?;
    let truths = conditions.iter().map(|condition| {
        let tree = plan::read_expression(Part::FailsWhen, condition.fails_when, condition.params)
            .map_err(engine::first)?;
        Ok(plan::expression(
            state,
            Part::FailsWhen,
            tree,
            population.schema(),
        )?)
    });
    let truths: Vec<_> = truths.collect::<Result<_, Trouble>>()?;
    Ok(Judged::new(population, truths, &control.subject)?)
}

/// The numbers of one condition, out of the one row of numbers. A row that names no subject counts as one unknown.
fn counts(batches: &[RecordBatch], condition: usize) -> Result<Counts, Trouble> {
    let tallied = |what| judge::tallied(what, condition);
    let number = |name: &str| -> Option<u64> {
        let batch = batches.iter().find(|b| b.num_rows() == 1)?;
        let column = batch
            .column_by_name(name)?
            .as_primitive_opt::<Int64Type>()?;
        u64::try_from(if column.is_null(0) {
            0
        } else {
            column.value(0)
        })
        .ok()
    };
    let read = || {
        let (pass, fail) = (number(&tallied("pass"))?, number(&tallied("fail"))?);
        let unknown = number(&tallied("unknown"))? + number("unnamed")?;
        Some(Counts {
            population: pass + fail + unknown,
            pass,
            fail,
            unknown,
        })
    };
    read().ok_or_else(|| {
        DataFusionError::Internal("the counts of the outcomes are missing".to_owned()).into()
    })
}

/// Where the known subjects are that are not in the population.
async fn absent(
    state: &SessionState,
    control: &Control,
    inventory: Inventory<'_>,
    (known, observed): (&[SubjectId], &[Observed]),
) -> Result<Vec<(SubjectId, Presence)>, Trouble> {
    let seen: BTreeSet<&SubjectId> = observed.iter().map(|o| &o.subject).collect();
    let gone: Vec<SubjectId> = known
        .iter()
        .filter(|k| !seen.contains(k))
        .cloned()
        .collect();
    let keys = inventory
        .and_then(|(name, schema)| Some((name, check::inventory_keys(schema, &control.subject)?)));
    let Some((name, keys)) = keys else {
        return Ok(gone
            .into_iter()
            .map(|s| (s, Presence::NoInventory))
            .collect());
    };
    if gone.is_empty() {
        return Ok(Vec::new());
    }
    let provider = session::table(state, name).await?;
    let inventory = judge::scan(name, provider)?;
    let plan = judge::present_in(inventory, &control.subject, &keys, &gone)?;
    let mut there = BTreeSet::new();
    for batch in engine::collect(state, &plan).await? {
        let ids = batch
            .column_by_name(SUBJECT)
            .and_then(|c| c.as_string_view_opt());
        there.extend(ids.into_iter().flatten().flatten().map(SubjectId::from));
    }
    Ok(gone
        .into_iter()
        .map(|subject| {
            let presence = if there.contains(&subject) {
                Presence::OutOfScope
            } else {
                Presence::NotInInventory
            };
            (subject, presence)
        })
        .collect())
}

/// Incomplete, but fresh and read as far as it went: a fail that is seen in it is there.
fn is_partial(used: &Used, reason: Unknown) -> bool {
    used.status == Completeness::Partial && used.object.is_some() && reason != Unknown::Stale
}

/// What incomplete evidence may still say: which subjects fail. Everything else is not told.
fn fails_only(mut partial: Evaluation, reason: Unknown, sentence: String) -> Evaluation {
    partial.observed.retain(|o| o.outcome == Outcome::Fail);
    let counts = Counts {
        population: partial.counts.population,
        fail: partial.counts.fail,
        pass: 0,
        unknown: partial.counts.population - partial.counts.fail,
    };
    sealed(
        Some((reason, sentence)),
        counts,
        partial.observed,
        Vec::new(),
    )
}

/// Nothing can be told of any subject.
pub(super) fn not_checked(reason: Unknown, sentence: String) -> Evaluation {
    sealed(
        Some((reason, sentence)),
        Counts::default(),
        Vec::new(),
        Vec::new(),
    )
}

/// Adds the digest: the counts and each subject that fails or is unknown, with its outcome. Which subjects were
/// known before is no part of it, because that is not evidence.
fn sealed(
    not_checked: Option<(Unknown, String)>,
    counts: Counts,
    observed: Vec<Observed>,
    absent: Vec<(SubjectId, Presence)>,
) -> Evaluation {
    let told: Vec<_> = observed
        .iter()
        .filter(|o| o.outcome != Outcome::Pass)
        .map(|o| json!([o.subject, o.outcome]))
        .collect();
    let reason = not_checked.as_ref().map(|(reason, _)| reason);
    let digest =
        Sha::of_json(&json!({ "not_checked": reason, "counts": counts, "observed": told }));
    Evaluation {
        not_checked,
        counts,
        observed,
        absent,
        digest,
    }
}

fn schema_of<'a>(evidence: &'a Evidence, name: &DatasetName) -> Option<&'a Schema> {
    let view = evidence.views.get(name).map(|v| &v.schema);
    view.or_else(|| evidence.schemas.get(name))
}
