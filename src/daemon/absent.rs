//! Controls that were loaded once and are not now. A file that is away for a moment, as during a checkout, closes
//! nothing: findings of such a control stay as they are, and are let go when it was away for a while, or when
//! somebody says that it is meant. Since when it is away stands in the store, so that a restart and `tripline check`
//! count the same. A load that would let go of too much is not believed at all.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    audit::leaf::Leaf,
    clock::stamp,
    finding,
    model::{
        finding::{Change, Finding, Status},
        id::{ControlId, FindingKey, RunId},
        notice::Item,
    },
    notify::plan,
    run::{Context, Set},
    store::{self, Tx, audit, findings, meta, outbox},
};

/// How long a control may be away before its findings are let go.
pub const GRACE: TimeDelta = TimeDelta::hours(1);

/// How many controls are named before the others are counted.
const NAMED: usize = 3;

/// What to do about a load that is not believed.
pub const WAY_OUT: &str = "are the folders of `tripline.yaml` all there? `tripline validate` counts what it finds. When the controls are removed for \
    good, `tripline check --let-go` lets go of their findings";

/// Why controls that are not loaded are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Files were loaded: what is missing from here on begins to count.
    Load,
    /// Time went by.
    Later,
    /// Somebody says that they are removed for good.
    Meant,
}

/// The controls that are not loaded and have something standing.
#[derive(Debug, Default)]
pub struct Absent {
    /// Each with since when that counts; nothing for those whose absence nobody took over yet.
    since: BTreeMap<ControlId, Option<DateTime<Utc>>>,
    /// How many of their findings are open.
    open: u64,
    /// How many are open at all.
    all_open: u64,
    /// How many controls are loaded.
    loaded: usize,
}

impl Absent {
    /// Looks at what stands in the store.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn of(tx: &mut Tx, set: &Set) -> Result<Self, store::Error> {
        let known = |id: &ControlId| set.catalog.controls.contains_key(id);
        let mut absent = Self {
            loaded: set.catalog.controls.len(),
            ..Self::default()
        };
        let mut standing: BTreeSet<ControlId> = BTreeSet::new();
        for tally in findings::tally(tx).await? {
            if tally.control.as_str().starts_with("source:") {
                continue;
            }
            let open = if tally.status.is_open() {
                tally.findings
            } else {
                0
            };
            absent.all_open += open;
            if !known(&tally.control) && tally.status != Status::Retired {
                absent.open += open;
                standing.insert(tally.control);
            }
        }
        let waiting = gaps(tx, set).await?;
        standing.extend(
            waiting
                .into_iter()
                .flat_map(|(_, stopped)| stopped)
                .filter(|id| !known(id)),
        );
        let counted = counted(tx).await?;
        let since = |id: ControlId| {
            let at = counted.get(&id).copied();
            (id, at)
        };
        absent.since = standing.into_iter().map(since).collect();
        Ok(absent)
    }

    /// Why the absence of those that begin to be missing is not believed, in a sentence.
    pub fn doubt(&self) -> Option<String> {
        let fresh = self.since.values().any(Option::is_none);
        let all = self.loaded == 0;
        if !fresh || !(all || self.open * 2 > self.all_open) {
            return None;
        }
        let mut names: Vec<String> = self
            .since
            .keys()
            .take(NAMED)
            .map(|id| format!("`{id}`"))
            .collect();
        if let Some(more) = self.since.len().checked_sub(NAMED).filter(|more| *more > 0) {
            names.push(format!("{more} more"));
        }
        let names = names.join(", ");
        let what = if all {
            "the files hold no control any more".to_owned()
        } else {
            "the files lack controls that were loaded before".to_owned()
        };
        Some(format!(
            "{what} ({names}): {} of {} open findings would be let go",
            self.open, self.all_open
        ))
    }

    /// Whether one of these is among the missing, and was not so before.
    fn begins_with_any_of(&self, set: &Set) -> bool {
        let mut fresh = self.since.iter().filter(|(_, since)| since.is_none());
        fresh.any(|(id, _)| set.catalog.controls.contains_key(id))
    }
}

/// Why a reload is not to be believed, in a sentence. `live` is what runs now.
///
/// # Errors
/// The store cannot be read.
pub async fn refusal(cx: &Context, live: &Set, new: &Set) -> Result<Option<String>, store::Error> {
    let before = live.catalog.controls.len();
    let absent = Absent::of(&mut cx.store.read().await?, new).await?;
    if absent.loaded == 0 && before > 0 {
        let known = absent.doubt();
        return Ok(Some(known.unwrap_or_else(|| {
            format!("the files hold no control any more, and {before} are loaded")
        })));
    }
    Ok(absent.doubt().filter(|_| absent.begins_with_any_of(live)))
}

/// What became of controls that are not loaded.
#[derive(Debug, Default)]
pub struct Settled {
    /// What proves it.
    pub leaves: Vec<Leaf>,
    /// Those whose absence begins to count.
    pub missed: Vec<ControlId>,
    /// Why an absence does not count, in a sentence.
    pub doubted: Option<String>,
}

/// Notes since when controls are away, and lets go of the findings of those that were away for long enough: nobody
/// watches their subjects any more.
///
/// # Errors
/// The store cannot be read or written.
pub async fn settle(
    tx: &mut Tx,
    set: &Set,
    (when, now): (When, DateTime<Utc>),
) -> Result<Settled, store::Error> {
    let absent = Absent::of(tx, set).await?;
    for id in counted(tx).await?.into_keys() {
        if !absent.since.contains_key(&id) {
            meta::forget(tx, &name(&id)).await?;
        }
    }
    let mut settled = Settled {
        doubted: absent.doubt().filter(|_| when == When::Load),
        ..Settled::default()
    };
    let mut gone: BTreeSet<ControlId> = BTreeSet::new();
    for (id, since) in absent.since {
        match (when, since) {
            (When::Meant, _) => {
                gone.insert(id);
            }
            (_, Some(since)) if now - since >= GRACE => {
                gone.insert(id);
            }
            (When::Load, None) if settled.doubted.is_none() => {
                meta::set(tx, &name(&id), &now.to_rfc3339()).await?;
                settled.missed.push(id);
            }
            _ => {}
        }
    }
    for id in &gone {
        meta::forget(tx, &name(id)).await?;
    }
    settled.leaves = retire(tx, set, &gone, now).await?;
    Ok(settled)
}

/// Lets go, as time goes by, of what was away for long enough.
///
/// # Errors
/// The store cannot be read or written.
pub async fn later(cx: &Context, set: &Set) -> Result<(), store::Error> {
    if counted(&mut cx.store.read().await?).await?.is_empty() {
        return Ok(());
    }
    let now = cx.clock.now();
    let mut tx = cx.store.begin().await?;
    let settled = settle(&mut tx, set, (When::Later, now)).await?;
    audit::append(&mut tx, &settled.leaves).await?;
    tx.commit().await
}

fn name(id: &ControlId) -> String {
    format!("{}{id}", meta::AWAY)
}

/// Since when the absence of controls counts.
async fn counted(tx: &mut Tx) -> Result<BTreeMap<ControlId, DateTime<Utc>>, store::Error> {
    let kept = meta::under(tx, meta::AWAY).await?.into_iter();
    let read = |(id, at): (String, String)| Some((ControlId::from(id), at.parse().ok()?));
    Ok(kept.filter_map(read).collect())
}

/// The gaps of our sources, each with the controls that it stops.
async fn gaps(tx: &mut Tx, set: &Set) -> Result<Vec<(Finding, Vec<ControlId>)>, store::Error> {
    let mut gaps = Vec::new();
    for source in set.catalog.sources.keys() {
        let key = FindingKey::of(&finding::gap_control(source), &finding::gap_subject(source));
        let waits = |g: &Finding| g.state.status.is_open() || g.state.status == Status::Suspect;
        if let Some(gap) = findings::get(tx, key).await?.filter(waits) {
            let rows = gap.rows.iter().filter_map(finding::Stopped::of_row);
            let stopped = rows.map(|s| s.control).collect();
            gaps.push((gap, stopped));
        }
    }
    Ok(gaps)
}

async fn retire(
    tx: &mut Tx,
    set: &Set,
    gone: &BTreeSet<ControlId>,
    now: DateTime<Utc>,
) -> Result<Vec<Leaf>, store::Error> {
    let run = RunId::from(stamp("load-", now));
    let mut changes: Vec<Change> = Vec::new();
    for id in gone {
        let kept = findings::of_control(tx, id).await?;
        let here = kept
            .into_iter()
            .filter(|f| f.state.status != Status::Retired);
        changes.extend(finding::removed(here.collect(), &run, now));
    }
    findings::apply(tx, &changes).await?;
    let mut ends = Vec::new();
    for change in changes.iter().filter(|c| c.effect.is_some()) {
        let fates = outbox::fates(tx, change.finding.key).await?.into_iter();
        let told = fates.filter(|(_, fate)| !matches!(fate, outbox::Fate::LeftOut(_)));
        let told: Vec<Item> = told.map(|(item, _)| item).collect();
        ends.extend(plan::removed(change, &told, now));
    }
    outbox::enqueue(tx, &ends).await?;
    for (mut gap, stopped) in gaps(tx, set).await? {
        for control in stopped.iter().filter(|id| gone.contains(*id)) {
            let change = finding::gap_without(gap, control, &run, now);
            findings::apply(tx, std::slice::from_ref(&change)).await?;
            gap = change.finding.clone();
            changes.push(change);
        }
    }
    Ok(Leaf::of_changes(now, &changes))
}
