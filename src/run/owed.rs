//! Who is owed a word because of a run: what the store knows of earlier words, handed to the pure
//! planning of `notify`.

use super::Set;
use crate::{
    model::{control::Control, finding::Change, id::FindingKey, notice::Word, run::Run},
    notify::{
        bundle::is_good,
        facts::Told,
        plan::{Earlier, Plan, Planning, gap, plan},
    },
    store::{self, Tx, outbox},
};

/// What a run owes: for findings and for sources that cannot be read.
pub(super) async fn of(
    tx: &mut Tx,
    set: &Set,
    control: &Control,
    run: &Run,
    (changes, gaps): (&[Change], &[Change]),
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
