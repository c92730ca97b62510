//! A past run judged again over the evidence that was kept, as it was and as it would be.

use super::{Error, change::uses};
use crate::{
    evaluate::{Condition, Told},
    evidence::Evidence,
    model::{
        control::Control,
        definition::Definition,
        id::{ControlId, SubjectId},
        outcome::{Evaluation, Outcome},
        run::Run,
    },
    run::{Context, Set, definition, evidence},
    store::Tx,
};

/// A control that is loaded, and what judges in it.
pub(super) fn known<'s>(
    set: &'s Set,
    id: &ControlId,
) -> Result<(&'s Control, &'s Definition), Error> {
    let control = set.catalog.control(id);
    let definition = set.catalog.definitions.get(id);
    match (control, definition) {
        (Some(control), Some(definition)) => Ok((control, definition)),
        _ => Err(Error::Refused(format!(
            "there is no control `{id}`; `tripline controls` lists them"
        ))),
    }
}

/// A run's evidence with what judged it then, or why that is no longer there.
pub(super) async fn reopened(
    tx: &mut Tx,
    set: &Set,
    run: &Run,
) -> Result<Result<(Definition, Evidence), String>, Error> {
    let Some(then) = definition(tx, set, run).await? else {
        return Ok(Err("what the control was then was not kept".to_owned()));
    };
    Ok(match evidence(tx, run, &then).await? {
        Ok(evidence) => Ok((then, evidence)),
        Err((dataset, _)) => Err(format!("retention let the snapshot of `{dataset}` go")),
    })
}

/// What a control says of the evidence of a run in each of several ways, the first of which is how it was. In one pass
/// where they differ in nothing that decides which rows there are.
pub(super) async fn judged(
    cx: &Context,
    control: &Control,
    (ways, told): (&[&Definition], Told),
    evidence: &Evidence,
    run: &Run,
) -> Result<Vec<Evaluation>, Error> {
    let judge = |definition: &Definition| {
        let mut judge = definition.control(&control.id);
        // Over the same query the same columns come out, and so what they say of a subject.
        if control.evidence.text == definition.evidence {
            judge.facts.clone_from(&control.facts);
            judge.severity = control.severity.clone();
            judge.owner = control.owner.clone();
        }
        judge
    };
    let engine = &cx.engine;
    let Some((first, others)) = ways.split_first() else {
        return Ok(Vec::new());
    };
    let control = judge(first);
    if others.iter().all(|other| same_rows(first, other)) {
        let conditions: Vec<Condition<'_>> = ways
            .iter()
            .map(|way| Condition {
                fails_when: &way.fails_when,
                params: &way.params,
            })
            .collect();
        let said = engine.conditions(&control, (&conditions, told), evidence, run.instant);
        return Ok(said.await.map_err(crate::run::Error::from)?);
    }
    let mut all = Vec::new();
    let mut known = Vec::new();
    for way in ways {
        let control = judge(way);
        let said = engine.control(&control, evidence, &known, run.instant);
        let said = said.await.map_err(crate::run::Error::from)?;
        known.extend(subjects(&said, |o| o == Outcome::Fail).cloned());
        all.push(said);
    }
    Ok(all)
}

/// Whether two definitions look at the same rows: neither their queries differ, nor a parameter in them.
fn same_rows(one: &Definition, other: &Definition) -> bool {
    let used = |name: &str| uses(name).is_ok_and(|u| u.is_match(&one.evidence));
    one.evidence == other.evidence
        && one.subject == other.subject
        && other
            .params
            .iter()
            .all(|(name, value)| one.params.get(name) == Some(value) || !used(name))
}

/// The subjects with an outcome that is asked for.
pub(super) fn subjects(
    evaluation: &Evaluation,
    which: impl Fn(Outcome) -> bool,
) -> impl Iterator<Item = &SubjectId> {
    let of = evaluation.observed.iter();
    of.filter(move |o| which(o.outcome)).map(|o| &o.subject)
}
