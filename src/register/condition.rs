//! The conditions of exceptions that are in force, looked at on their own schedule. A machine-checked condition is a
//! small control: the same engine, the same three outcomes, a run that is recorded and can be replayed. What cannot
//! be shown to hold does not hold, once its grace is over.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::{Error, sweep::Swept};
use crate::{
    act::{self, Actor, moved},
    catalog::cron,
    evaluate,
    exception::{
        coverage::Standing,
        record::{Checked, Record},
        state::Act,
    },
    model::{
        control::{OnEmpty, OnPartial, Part, SubjectTemplate},
        definition::Definition,
        exception::{Condition, State, Suspension},
        id::{ControlId, ExceptionId, PersonId},
        outcome::Evaluation,
        rules::{Check, OnViolation},
        run::Run,
    },
    run::{self, Context, Set},
    store::{Tx, definitions, exceptions, runs},
};

/// The name under which the runs of a condition are recorded.
pub(super) fn name(exception: &ExceptionId, condition: &Condition) -> ControlId {
    ControlId::new(format!("{exception}:{}", condition.id))
}

/// What judges in a machine-checked condition, over what its datasets promise now.
fn definition(set: &Set, condition: &Condition) -> Option<Definition> {
    let Check::Machine {
        evidence,
        subject,
        fails_when,
        max_age,
        ..
    } = &condition.check
    else {
        return None;
    };
    let reads = evaluate::datasets_of(evidence).unwrap_or_default();
    Some(Definition {
        evidence: evidence.clone(),
        fails_when: fails_when.clone(),
        params: condition.params.clone(),
        subject: SubjectTemplate {
            // With a source and a kind, as every template has: what is kept is read again for a replay.
            parts: vec![
                Part::Literal("register/condition/".to_owned()),
                Part::Column(subject.clone()),
            ],
        },
        inventory: None,
        max_age: *max_age,
        on_empty: OnEmpty::Unknown,
        on_partial: OnPartial::Unknown,
        datasets: evaluate::promised(&reads, &set.catalog.promises),
    })
}

/// What is wrong with the SQL of a condition, if something is.
pub(super) fn mistakes(set: &Set, condition: &Condition) -> Vec<String> {
    let Some(definition) = definition(set, condition) else {
        return Vec::new();
    };
    let parts = evaluate::Parts {
        evidence: &definition.evidence,
        fails_when: &definition.fails_when,
        params: &definition.params,
        subject: &definition.subject,
        inventory: None,
    };
    let checked = evaluate::check(&parts, &set.catalog.schemas);
    let mut said: Vec<String> = checked.problems.iter().map(|p| p.what.clone()).collect();
    if let Check::Machine { schedule, .. } = &condition.check {
        said.extend(
            cron::parse(schedule)
                .err()
                .map(|e| format!("`schedule`: {e}")),
        );
    }
    said
}

/// Looks at a machine-checked condition now; nothing for one that rests on a person's word.
pub(super) async fn look(
    cx: &Context,
    set: &Set,
    (id, condition): (&ExceptionId, &Condition),
) -> Result<Option<(Checked, Run, Definition)>, Error> {
    let Some(definition) = definition(set, condition) else {
        return Ok(None);
    };
    let now = cx.clock.now();
    let name = name(id, condition);
    let (run, evaluation) = run::look(cx, set, &name, &definition).await?;
    let (standing, said) = standing(&evaluation, now);
    let checked = Checked {
        standing,
        at: now,
        run: Some(run.id.clone()),
        by: None,
        said,
    };
    Ok(Some((checked, run, definition)))
}

/// What an evaluation says of a condition as a whole.
fn standing(evaluation: &Evaluation, now: DateTime<Utc>) -> (Standing, String) {
    let counts = evaluation.counts;
    if let Some((_, said)) = &evaluation.not_checked {
        return (Standing::Unknown(now), said.clone());
    }
    if counts.fail > 0 {
        let first = evaluation.observed.iter().find(|o| !o.rows.is_empty());
        let row = first
            .and_then(|o| o.rows.first())
            .map_or_else(String::new, |row| {
                let all: Vec<String> = row.iter().map(|(k, v)| format!("{k} = {v}")).collect();
                format!(": {}", all.join(", "))
            });
        return (Standing::Fails, format!("it does not hold{row}"));
    }
    if counts.unknown > 0 || counts.pass == 0 {
        return (Standing::Unknown(now), "it cannot be told".to_owned());
    }
    let said = format!("it holds ({} looked at)", counts.pass);
    (Standing::Holds, said)
}

/// When a condition is to be looked at again.
fn due(condition: &Condition, last: Option<&Checked>) -> Option<DateTime<Utc>> {
    let Some(last) = last else {
        // A person's word is due for the first time one interval after the exception came into force.
        return matches!(condition.check, Check::Machine { .. })
            .then_some(DateTime::<Utc>::MIN_UTC);
    };
    match &condition.check {
        Check::Machine { schedule, .. } => {
            let cron = cron::parse(schedule).ok()?;
            cron.find_next_occurrence(&last.at, false).ok()
        }
        Check::Attested { every } => Some(last.at + every.to_delta()),
    }
}

/// Looks at every condition that is due of the exceptions that are in force, or were put out of force by one. Counts
/// how many were looked at.
///
/// # Errors
/// When the store cannot be read or written; what was not written is looked at again.
pub(super) async fn due_ones(cx: &Context, set: &Set, swept: &mut Swept) -> Result<(), Error> {
    let now = cx.clock.now();
    let filter = exceptions::Filter {
        states: vec![State::Active, State::Suspended],
        ..exceptions::Filter::default()
    };
    let records = exceptions::list(&mut cx.store.read().await?, &filter).await?;
    for record in records {
        if !matches!(record.state_at(now), State::Active | State::Suspended) {
            continue;
        }
        let id = record.id.clone();
        let looked = of_one(cx, set, record, now).await;
        swept.looked += swept.unless_refused(&id, looked)?;
    }
    Ok(())
}

/// Looks at the conditions of one exception that are due, and does what was agreed where one does not hold.
pub(super) async fn of_one(
    cx: &Context,
    set: &Set,
    record: Record,
    now: DateTime<Utc>,
) -> Result<u64, Error> {
    let Some(frozen) = &record.frozen else {
        return Ok(0);
    };
    let mut seen: BTreeMap<String, (Checked, Option<(Run, Definition)>)> = BTreeMap::new();
    for condition in &frozen.terms.conditions {
        let last = record.conditions.get(&condition.id);
        if due(condition, last).is_none_or(|due| due > now) {
            continue;
        }
        if let Some((checked, run, definition)) = look(cx, set, (&record.id, condition)).await? {
            seen.insert(condition.id.clone(), (checked, Some((run, definition))));
        } else {
            seen.insert(condition.id.clone(), (silent(last, now), None));
        }
    }
    if seen.is_empty() {
        return Ok(0);
    }
    let count = seen.len() as u64;
    let mut tx = cx.store.begin().await?;
    let Some(mut record) = exceptions::get(&mut tx, &record.id).await? else {
        return Ok(0);
    };
    for (id, (mut checked, run)) in seen {
        if let Some((run, definition)) = run {
            keep(&mut tx, &run, &definition).await?;
        }
        // What was unknown before is unknown since then: that is what the grace is counted from.
        let before = record.conditions.get(&id).map(|c| c.standing.clone());
        if checked.standing != Standing::Holds
            && matches!(before, None | Some(Standing::Holds))
            && let Some(said) = warns(&record, &id, &checked)
        {
            moved(
                &mut tx,
                &mut record,
                (Act::Warn, Actor::Machine),
                Some(&said),
                now,
            )
            .await?;
        }
        if let (Standing::Unknown(_), Some(Standing::Unknown(since))) = (&checked.standing, &before)
        {
            checked.standing = Standing::Unknown(*since);
        }
        record.conditions.insert(id, checked);
    }
    consequences(&mut tx, &mut record, now).await?;
    exceptions::update(&mut tx, &mut record, now).await?;
    tx.commit().await?;
    Ok(count)
}

/// What to say when a condition stops holding of which it was agreed that it is only told.
fn warns(record: &Record, id: &str, checked: &Checked) -> Option<String> {
    let conditions = &record.frozen.as_ref()?.terms.conditions;
    let condition = conditions.iter().find(|c| c.id == id)?;
    let only_told = condition.on_violation == OnViolation::Notify && record.state == State::Active;
    only_told.then(|| format!("the condition `{id}`: {}", checked.said))
}

/// Nobody gave their word in time.
fn silent(last: Option<&Checked>, now: DateTime<Utc>) -> Checked {
    let said = match last {
        Some(last) => format!(
            "nobody has said that it holds since {}",
            last.at.format("%Y-%m-%d %H:%M UTC")
        ),
        None => "nobody has said yet that it holds".to_owned(),
    };
    Checked {
        standing: Standing::Unknown(now),
        at: now,
        run: None,
        by: None,
        said,
    }
}

/// A person's word is due for the first time one interval after the beginning.
pub(super) fn first_word(one: &Condition, now: DateTime<Utc>) -> Checked {
    let said = match &one.check {
        Check::Attested { every } => {
            let by = now + every.to_delta();
            format!(
                "the first word is due by {}",
                by.format("%Y-%m-%d %H:%M UTC")
            )
        }
        Check::Machine { .. } => String::new(),
    };
    Checked {
        standing: Standing::Holds,
        at: now,
        run: None,
        by: None,
        said,
    }
}

/// Lets the conditions of an exception begin anew: what the machine checks is looked at again, and a person's word goes on
/// or is due for the first time.
pub(super) fn begin(record: &mut Record, now: DateTime<Utc>) {
    let Some(frozen) = &record.frozen else {
        return;
    };
    for one in &frozen.terms.conditions {
        if matches!(one.check, Check::Machine { .. }) {
            record.conditions.remove(&one.id);
        } else {
            let kept = record.conditions.entry(one.id.clone());
            kept.or_insert_with(|| first_word(one, now));
        }
    }
}

/// Records the run of a condition with what judged, so that it can be replayed.
pub(super) async fn keep(tx: &mut Tx, run: &Run, definition: &Definition) -> Result<(), Error> {
    if definitions::get(tx, run.definition).await?.is_none() {
        let kept = definitions::Definition {
            kind: definitions::Kind::Control,
            name: run.control.to_string(),
            body: serde_json::json!(definition),
            first_seen: run.instant,
        };
        definitions::put(tx, &kept).await?;
    }
    runs::insert(tx, run).await?;
    Ok(())
}

/// What was agreed for a condition that does not hold, or cannot be shown to hold for longer than its grace; and back
/// into force when what was missing returned.
async fn consequences(tx: &mut Tx, record: &mut Record, now: DateTime<Utc>) -> Result<(), Error> {
    let Some(frozen) = &record.frozen else {
        return Ok(());
    };
    let mut worst: Option<(OnViolation, Suspension, String)> = None;
    for condition in &frozen.terms.conditions {
        let Some(checked) = record.conditions.get(&condition.id) else {
            continue;
        };
        let cause = match checked.standing {
            Standing::Holds => continue,
            Standing::Fails => Suspension::ConditionFailed,
            Standing::Unknown(since) if now - since < condition.grace.to_delta() => continue,
            Standing::Unknown(_) => Suspension::ConditionUnknown,
        };
        let why = format!("the condition `{}`: {}", condition.id, checked.said);
        let graver = worst
            .as_ref()
            .is_none_or(|(then, ..)| rank(condition.on_violation) > rank(*then));
        if graver {
            worst = Some((condition.on_violation, cause, why));
        }
    }
    let machine = Actor::Machine;
    match (record.state_at(now), worst) {
        (State::Active, Some((OnViolation::Suspend, cause, why))) => {
            record.suspension = Some(cause);
            moved(tx, record, (Act::Suspend, machine), Some(&why), now).await?;
        }
        (State::Active | State::Suspended, Some((OnViolation::Revoke, _, why))) => {
            moved(tx, record, (Act::Revoke, machine), Some(&why), now).await?;
            record.end_reason = Some(why);
        }
        (State::Suspended, None) if record.suspension == Some(Suspension::ConditionUnknown) => {
            let why = "what was missing is there again, and every condition holds";
            moved(tx, record, (Act::Restore, machine), Some(why), now).await?;
        }
        _ => {}
    }
    Ok(())
}

/// Whether a condition ends something when it does not hold.
pub(super) fn binds(condition: &Condition) -> bool {
    condition.on_violation != OnViolation::Notify
}

const fn rank(what: OnViolation) -> u8 {
    match what {
        OnViolation::Notify => 0,
        OnViolation::Suspend => 1,
        OnViolation::Revoke => 2,
    }
}

/// A person gives their word that a condition holds.
///
/// # Errors
/// There is no such condition, it is checked by the machine, or it is not theirs to say.
pub async fn attest(
    cx: &Context,
    set: &Set,
    by: &PersonId,
    (id, condition): (&ExceptionId, &str),
    said: &str,
) -> Result<Record, Error> {
    let now = cx.clock.now();
    let mut tx = cx.store.begin().await?;
    let found = exceptions::get(&mut tx, id).await?;
    let mut record = found.ok_or_else(|| Error::Nothing(id.to_string()))?;
    let terms = record.frozen.as_ref().map(|f| &f.terms);
    let known = terms.and_then(|t| t.conditions.iter().find(|c| c.id == condition));
    let Some(known) = known else {
        let say = format!("{id} has no condition `{condition}`");
        return Err(Error::refused("no_condition", say));
    };
    if matches!(known.check, Check::Machine { .. }) {
        let say =
            format!("`{condition}` is checked by the machine, and nobody's word replaces that");
        return Err(Error::refused("machine_checked", say));
    }
    let theirs = set.catalog.directory.leads_to(&known.responsible, by);
    if !theirs {
        let say = format!("`{condition}` is for {} to say", known.responsible);
        return Err(Error::refused("not_yours", say));
    }
    if said.trim().is_empty() {
        return Err(Error::refused("no_reason", "say what you saw"));
    }
    super::plainly("because", Some(said))?;
    let checked = Checked {
        standing: Standing::Holds,
        at: now,
        run: None,
        by: Some(by.clone()),
        said: said.trim().to_owned(),
    };
    record.conditions.insert(condition.to_owned(), checked);
    if record.state == State::Active {
        let why = format!("`{condition}` holds: {}", said.trim());
        moved(
            &mut tx,
            &mut record,
            (Act::Review, Actor::Person(by)),
            Some(&why),
            now,
        )
        .await?;
    } else if !matches!(
        record.state_at(now),
        State::Approved | State::Suspended | State::PendingDecision
    ) {
        return Err(act::Error::not_now(&record, Act::Review, now).into());
    }
    consequences(&mut tx, &mut record, now).await?;
    exceptions::update(&mut tx, &mut record, now).await?;
    tx.commit().await?;
    Ok(record)
}
