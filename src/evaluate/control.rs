//! One control over one run's evidence. Whatever stands between the evidence and a truth is an outcome with its
//! reason; only faults of ours are errors. The same evidence, control and instant give the same evaluation
//! byte for byte.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use datafusion::{
    arrow::{
        array::{Array, AsArray, RecordBatch},
        datatypes::Int64Type,
    },
    common::DataFusionError,
    execution::context::SessionState,
    logical_expr::LogicalPlan,
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
        control::{Control, OnEmpty, OnPartial},
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
        let objections: Vec<(&Used, Unknown)> = evidence.objections().collect();
        let Some((worst, _)) = objections.first() else {
            return self.whole(control, evidence, known, now).await;
        };
        let reason = worst.objection.unwrap_or(Unknown::Incomplete);
        let sentence = why::sentence(evidence, &objections, control.max_age);
        let seen = control.on_partial == OnPartial::Open
            && objections
                .iter()
                .all(|(used, reason)| is_partial(used, *reason));
        if !seen {
            return Ok(not_checked(reason, sentence));
        }
        let partial = self.whole(control, evidence, &[], now).await?;
        Ok(fails_only(partial, reason, sentence))
    }

    async fn whole(
        &self,
        control: &Control,
        evidence: &Evidence,
        known: &[SubjectId],
        now: DateTime<Utc>,
    ) -> Result<Evaluation, Error> {
        let state = match self.open(evidence, now).await {
            Ok(state) => state,
            Err(trouble) => return settle(trouble),
        };
        let inventory = control
            .inventory
            .as_ref()
            .and_then(|name| Some((name, schema_of(evidence, name)?)));
        evaluate(&state, control, inventory, known).await
    }
}

/// Evaluates a control over the tables of a session, a second time with a plan that needs less memory when the
/// first runs out of it.
pub(super) async fn evaluate(
    state: &SessionState,
    control: &Control,
    inventory: Option<(&DatasetName, &Schema)>,
    known: &[SubjectId],
) -> Result<Evaluation, Error> {
    match attempt(state, control, inventory, known).await {
        Ok(evaluation) => Ok(evaluation),
        Err(Trouble::Memory(_)) => {
            let frugal = session::frugal(state);
            match attempt(&frugal, control, inventory, known).await {
                Ok(evaluation) => Ok(evaluation),
                Err(trouble) => settle(trouble),
            }
        }
        Err(trouble) => settle(trouble),
    }
}

/// What is wrong with the evidence is an evaluation; all else is an error.
fn settle(trouble: Trouble) -> Result<Evaluation, Error> {
    match trouble {
        Trouble::Unknown(reason, sentence) => Ok(not_checked(reason, sentence)),
        Trouble::Memory(what) => Err(Error::Limit(what)),
        Trouble::Error(error) => Err(error),
    }
}

async fn attempt(
    state: &SessionState,
    control: &Control,
    inventory: Option<(&DatasetName, &Schema)>,
    known: &[SubjectId],
) -> Result<Evaluation, Trouble> {
    let judged = judged(state, control).await?;
    let counts = counts(&engine::collect(state, &judged.counts()?).await?)?;
    if counts.population == 0 && control.on_empty == OnEmpty::Unknown {
        let what = "the evidence has no rows, and the control does not say `on_empty: pass`";
        return Ok(not_checked(Unknown::Empty, what.to_owned()));
    }
    let known: Vec<SubjectId> = known
        .iter()
        .cloned()
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let mut gather = Gather::new(control);
    if counts.fail + counts.unknown > 0 || !known.is_empty() {
        let mut rows = engine::stream(state, &judged.rows(&known)?).await?;
        while let Some(batch) = rows.try_next().await? {
            gather.take(&batch)?;
        }
    }
    let observed = gather.finish();
    let absent = absent(state, control, inventory, &known, &observed).await?;
    Ok(sealed(None, counts, observed, absent))
}

/// The population of a control with the truth of its condition.
async fn judged(state: &SessionState, control: &Control) -> Result<Judged, Trouble> {
    let query = plan::read_query(Part::Evidence, &control.evidence.text, &control.params)
        .map_err(engine::first)?;
    let population = plan::query(state, Part::Evidence, query).await?;
    judged_over(state, control, population)
}

/// A given population with the truth of a control's condition.
pub(super) fn judged_over(
    state: &SessionState,
    control: &Control,
    population: LogicalPlan,
) -> Result<Judged, Trouble> {
    let population = check::unqualified(population)?;
    let tree = plan::read_expression(Part::FailsWhen, &control.fails_when.text, &control.params)
        .map_err(engine::first)?;
    let condition = plan::expression(state, Part::FailsWhen, tree, population.schema())?;
    Ok(Judged::new(population, condition, &control.subject)?)
}

/// The one row of numbers. A row that names no subject counts as one unknown.
fn counts(batches: &[RecordBatch]) -> Result<Counts, Trouble> {
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
        let (pass, fail) = (number("pass")?, number("fail")?);
        let unknown = number("unknown")? + number("unnamed")?;
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
    inventory: Option<(&DatasetName, &Schema)>,
    known: &[SubjectId],
    observed: &[Observed],
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
