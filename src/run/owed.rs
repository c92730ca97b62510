//! Who is owed a word because of a run: what the store knows of earlier words, handed to the pure
//! planning of `notify`.

use super::{Set, Uncovered};
use chrono::{DateTime, Utc};

use crate::{
    model::{
        control::Control,
        finding::Change,
        id::FindingKey,
        notice::{Item, Word},
        run::Run,
    },
    notify::{
        bundle::is_good,
        facts::Told,
        plan::{Earlier, Plan, Planning, gap, plan},
    },
    store::{self, Tx, outbox, runs},
};

/// What a run owes: for findings and for sources that cannot be read.
pub(super) async fn of(
    tx: &mut Tx,
    set: &Set,
    control: &Control,
    run: &Run,
    (changes, gaps, uncovered): (&[Change], &[Change], &Uncovered),
    cause: Option<&str>,
) -> Result<Plan, store::Error> {
    let telling = changes.iter().chain(gaps).filter(|c| c.effect.is_some());
    let keys: Vec<FindingKey> = telling.map(|c| c.finding.key).collect();
    if keys.is_empty() {
        return Ok(Plan::default());
    }
    let earlier = earlier(tx, &keys).await?;
    let planning = Planning {
        told: Told {
            control,
            policy: set.catalog.policy_of(&control.policy).map(AsRef::as_ref),
            run,
            cause,
        },
        changes,
        desk: &set.desk,
        earlier: &earlier,
        now: run.instant,
    };
    let mut owed = plan(&planning);
    say_why(&mut owed.items, uncovered);
    let title = |id: &str| {
        let control = set.catalog.controls.get(id)?;
        Some(control.title.clone())
    };
    for change in gaps {
        let more = gap(change, run, &set.desk, &earlier, &title);
        owed.items.extend(more.items);
        owed.silent.extend(more.silent);
    }
    Ok(owed)
}

/// Who was told that an episode of these findings began.
pub(crate) async fn earlier(tx: &mut Tx, keys: &[FindingKey]) -> Result<Earlier, store::Error> {
    let words: Vec<Word> = Word::ALL.iter().copied().filter(|w| !is_good(*w)).collect();
    let mut earlier = Earlier::new();
    for one in outbox::beginnings(tx, keys, &words).await? {
        let knowing = earlier.entry((one.finding, one.episode)).or_default();
        knowing.insert((one.channel, one.recipient));
    }
    Ok(earlier)
}

/// Who is owed a word because findings lost their cover without a run: an exception ended, or was put out of force.
///
/// # Errors
/// When the store cannot be read.
pub async fn owed_by_sweep(
    tx: &mut Tx,
    set: &Set,
    control: &Control,
    changes: &[Change],
    uncovered: &Uncovered,
    now: DateTime<Utc>,
) -> Result<Vec<Item>, store::Error> {
    let Some(last) = runs::latest(tx, std::slice::from_ref(&control.id))
        .await?
        .pop()
    else {
        return Ok(Vec::new());
    };
    let run = Run {
        instant: now,
        ..last
    };
    let plan = of(tx, set, control, &run, (changes, &[], uncovered), None).await?;
    Ok(plan.items)
}

/// What lost its cover is told with the clause that no longer holds.
fn say_why(items: &mut [Item], uncovered: &Uncovered) {
    for item in items.iter_mut().filter(|i| i.word == Word::NoLongerCovered) {
        let why = item.finding.and_then(|f| uncovered.get(&f));
        if let (Some(why), Some(facts)) = (why, item.facts.as_object_mut()) {
            let said = format!("It was covered by an exception, and no longer is: {why}.");
            facts.insert("because".to_owned(), serde_json::json!(said));
        }
    }
}
