//! The straight line: one control, once. Everything that decides is pure and stands above; this is the
//! only place where the steps meet. What a run found, what it changed, what is owed and the leaves that
//! prove it are written in one transaction, or nothing is.

mod gaps;
mod owed;
mod replay;
mod set;

use chrono::{DateTime, SubsecRound as _, Utc};

pub use replay::{Difference, Replayed, replay};
pub use set::Set;

use crate::{
    audit::leaf::Leaf,
    clock::{SharedClock, stamp},
    collect::{self, Collector, Gathered, Need},
    crash,
    evaluate::{self, Engine},
    evidence::{Evidence, Standing},
    finding,
    model::{
        control::{Control, OnPartial},
        finding::Change,
        id::RunId,
        outcome::{Evaluation, Outcome},
        run::{Cause, Run, Tick, TickState},
    },
    store::{self, Store, Tx, findings, outbox, runs, snapshots, ticks},
};

/// What every run needs.
#[derive(Debug)]
pub struct Context {
    /// Our database.
    pub store: Store,
    /// SQL over evidence.
    pub engine: Engine,
    /// Reads sources.
    pub collector: Collector,
    /// The time.
    pub clock: SharedClock,
}

/// Why a run could not be recorded. What is wrong with evidence is not here: that is an outcome.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Our database.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Evidence could not be recorded.
    #[error(transparent)]
    Collect(#[from] collect::Error),
    /// The engine failed, and not because of the evidence.
    #[error(transparent)]
    Evaluate(#[from] evaluate::Error),
}

impl Error {
    /// Whether the same run may succeed later without anybody's doing.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) | Self::Collect(collect::Error::Store(error)) => {
                error.is_transient()
            }
            Self::Collect(collect::Error::Evidence(error)) => error.is_transient(),
            Self::Evaluate(error) => error.is_transient(),
        }
    }
}

/// What a run did, for logs, metrics and `tripline check`.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// The run.
    pub run: Run,
    /// How many findings changed where they stand.
    pub moved: u64,
    /// How many notices are owed because of it.
    pub owed: u64,
    /// How many rows of findings were written.
    pub written: u64,
    /// When it is looked at again, if it is.
    pub recheck: Option<DateTime<Utc>>,
}

/// Runs one control once.
///
/// # Errors
/// When nothing could be recorded; the tick's lease then runs out, and the tick is run again.
pub async fn control(
    cx: &Context,
    set: &Set,
    control: &Control,
    tick: &Tick,
) -> Result<Summary, Error> {
    let inputs = set.inputs(&control.id);
    let gathered = cx
        .collector
        .gather(&set.catalog, inputs, need(tick))
        .await?;
    crash::point("run.gathered");
    let now = cx.clock.now();
    let evidence = evidence(&cx.store, set, control, &gathered, now).await?;
    let subjects = findings::subjects(&mut cx.store.read().await?, &control.id).await?;
    let evaluation = cx
        .engine
        .control(control, &evidence, &subjects, now)
        .await?;
    crash::point("run.evaluated");

    let mut tx = cx.store.begin().await?;
    let known = findings::of_control(&mut tx, &control.id).await?;
    let before = runs::last_counted(&mut tx, &control.id).await?;
    let run = entry(
        cx,
        set,
        control,
        tick,
        (evidence, &evaluation, before.as_ref()),
        now,
    );

    let changes = finding::reconcile(finding::Input {
        control,
        known,
        evaluation: &evaluation,
        run: &run.id,
        now,
        counted: is_fresh(&run, before.as_ref()),
        baseline: before.is_none(),
    });
    let gaps = gaps::of(&mut tx, set, control, &run).await?;
    let cause = before
        .filter(|b| b.definition != run.definition)
        .map(|_| "The control was changed since its last run.");
    let plan = owed::of(&mut tx, set, control, &run, (&changes, &gaps), cause).await?;
    let all: Vec<Change> = changes.into_iter().chain(gaps).collect();
    let recheck = finding::recheck(&all, &control.rules, now).map(|at| at.trunc_subsecs(0));

    runs::insert(&mut tx, &run).await?;
    let written = findings::apply(&mut tx, &all).await?;
    outbox::enqueue(&mut tx, &plan.items).await?;
    look_again(&mut tx, control, recheck).await?;
    ticks::finish(&mut tx, tick, TickState::Ran, None).await?;
    store::audit::append(&mut tx, &Leaf::of_run(&run, &all)).await?;
    crash::point("run.written");
    tx.commit().await?;
    crash::point("run.committed");

    let moved = all
        .iter()
        .filter(|c| c.before != Some(c.finding.state.status));
    Ok(Summary {
        moved: moved.count() as u64,
        owed: plan.items.len() as u64,
        run,
        written,
        recheck,
    })
}

/// A second look reads everything anew; every other run shares what others collected.
fn need(tick: &Tick) -> Need {
    match tick.cause {
        Cause::Recheck | Cause::Change => Need::Since(tick.scheduled_for),
        Cause::Schedule | Cause::CatchUp | Cause::Manual => Need::Shared,
    }
}

/// What the run looks at, each dataset with when it was whole last.
async fn evidence(
    store: &Store,
    set: &Set,
    control: &Control,
    gathered: &[Gathered],
    now: DateTime<Utc>,
) -> Result<Evidence, store::Error> {
    let mut evidence = Evidence {
        views: set.views.clone(),
        ..Evidence::default()
    };
    let mut tx = store.read().await?;
    for one in gathered {
        let Some(schema) = set.catalog.dataset(&one.dataset) else {
            continue;
        };
        let whole = match &one.snapshot {
            Some(snapshot) if snapshot.status.is_whole() => None,
            _ => snapshots::newest(&mut tx, &one.dataset, snapshots::Newest::WHOLE).await?,
        };
        let standing = Standing {
            dataset: &one.dataset,
            schema,
            snapshot: one.snapshot.as_ref(),
            last_good: whole.map(|s| s.started_at),
        };
        evidence.add(standing, control.max_age, now);
    }
    Ok(evidence)
}

/// The run as it is recorded.
fn entry(
    cx: &Context,
    set: &Set,
    control: &Control,
    tick: &Tick,
    (evidence, evaluation, before): (Evidence, &Evaluation, Option<&Run>),
    now: DateTime<Utc>,
) -> Run {
    let mut run = Run {
        id: RunId::from(stamp("run-", now)),
        control: control.id.clone(),
        scheduled_for: tick.scheduled_for,
        cause: tick.cause,
        instant: now,
        ended_at: cx.clock.now(),
        not_checked: evaluation.not_checked.as_ref().map(|(why, _)| *why),
        detail: evaluation
            .not_checked
            .as_ref()
            .map(|(_, said)| said.clone()),
        counts: evaluation.counts,
        evidence: evidence.used,
        definition: control.definition,
        outcomes: evaluation.digest,
        counted: false,
        config: set.catalog.digest,
    };
    run.counted = is_fresh(&run, before) && tells(control, evaluation);
    run
}

/// Whether a run has something to go by that the last counted run had not: the same evidence is counted
/// once, however often a control runs over it.
fn is_fresh(run: &Run, before: Option<&Run>) -> bool {
    let Some(before) = before else {
        return true;
    };
    let known = |used: &crate::model::run::Used| {
        before
            .evidence
            .iter()
            .any(|b| b.dataset == used.dataset && b.snapshot == used.snapshot)
    };
    before.definition != run.definition || !run.evidence.iter().all(known)
}

/// Whether anything can be told of any subject.
fn tells(control: &Control, evaluation: &Evaluation) -> bool {
    let fails = || {
        evaluation
            .observed
            .iter()
            .any(|o| o.outcome == Outcome::Fail)
    };
    evaluation.not_checked.is_none() || (control.on_partial == OnPartial::Open && fails())
}

/// Writes the second look into the ledger.
async fn look_again(
    tx: &mut Tx,
    control: &Control,
    at: Option<DateTime<Utc>>,
) -> Result<(), store::Error> {
    let Some(scheduled_for) = at else {
        return Ok(());
    };
    let tick = Tick {
        control: control.id.clone(),
        scheduled_for,
        cause: Cause::Recheck,
        state: TickState::Due,
        reason: None,
        fence: 0,
    };
    ticks::insert(tx, &[tick]).await?;
    Ok(())
}
