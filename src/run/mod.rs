//! The straight line: one control, once. Everything that decides is pure and stands above; this is the
//! only place where the steps meet. What a run found, what it changed, what is owed and the leaves that
//! prove it are written in one transaction, or nothing is.

mod cover;
mod entry;
mod gaps;
mod owed;
mod replay;
mod set;

use chrono::{DateTime, SubsecRound as _, Utc};

pub use cover::{Uncovered, lost};
pub use owed::owed_by_sweep;
pub use replay::{Difference, Gone, Replayed, definition, evidence, replay};
pub use set::Set;

use crate::{
    act,
    audit::leaf::Leaf,
    clock::SharedClock,
    collect::{self, Collector, Need},
    crash,
    evaluate::{self, Engine},
    evidence::Evidence,
    finding,
    model::{
        control::Control,
        definition::Definition,
        finding::{Change, Status},
        id::{ControlId, DatasetName, SubjectId},
        outcome::Evaluation,
        run::{Cause, Run, Tick, TickState},
    },
    notify::plan::Plan,
    store::{self, Store, Tx, findings, outbox, runs, ticks},
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
    /// An exception could not be moved.
    #[error(transparent)]
    Act(#[from] act::Error),
    /// The engine failed, and not because of the evidence.
    #[error(transparent)]
    Evaluate(#[from] evaluate::Error),
}

impl Error {
    /// The error with its causes, in one line.
    pub fn said(&self) -> String {
        let mut said = self.to_string();
        let mut next = std::error::Error::source(self);
        while let Some(cause) = next {
            let text = cause.to_string();
            if !said.ends_with(&text) {
                said = format!("{said}: {text}");
            }
            next = cause.source();
        }
        said
    }

    /// Whether the same run may succeed later without anybody's doing.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) | Self::Collect(collect::Error::Store(error)) => {
                error.is_transient()
            }
            Self::Collect(collect::Error::Evidence(error)) => error.is_transient(),
            Self::Act(act::Error::Store(error)) => error.is_transient(),
            Self::Act(
                act::Error::NotNow { .. } | act::Error::ClockSetBack { .. } | act::Error::Hidden(_),
            ) => false,
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
    /// How many findings wait for a second look.
    pub suspect: u64,
    /// How many notices are owed because of it.
    pub owed: u64,
    /// How many rows of findings were written.
    pub written: u64,
    /// How many findings nobody is told of, because no route names anybody who can be reached.
    pub unrouted: u64,
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
    let judged = judge(cx, set, (control, inputs), (need(tick), &[])).await?;
    let mut tx = cx.store.begin().await?;
    let decided = decide(&mut tx, (cx, set), control, tick, judged).await?;
    let written = record(&mut tx, control, tick, &decided).await?;
    crash::point("run.written");
    tx.commit().await?;
    crash::point("run.committed");
    Ok(decided.summary(written))
}

/// What one control would do if it ran now. Sources are read and their snapshots kept, as always; no finding
/// changes, and nobody is told. `subjects` are looked at although they pass and nobody knows them.
///
/// # Errors
/// When the store or the evidence cannot be read.
pub async fn rehearse(
    cx: &Context,
    set: &Set,
    control: &Control,
    subjects: &[SubjectId],
) -> Result<Decided, Error> {
    let tick = now(cx, &control.id);
    let inputs = set.inputs(&control.id);
    let judged = judge(cx, set, (control, inputs), (Need::Shared, subjects)).await?;
    // Dropped without a commit.
    let mut tx = cx.store.begin().await?;
    decide(&mut tx, (cx, set), control, &tick, judged).await
}

/// Judges by a definition that no file has as a control: a condition of an exception, a changed parameter. Sources
/// are read where their snapshots are not fresh; nothing is written but those.
///
/// # Errors
/// When the store or the evidence cannot be read, or the SQL does not fit.
pub async fn look(
    cx: &Context,
    set: &Set,
    id: &ControlId,
    definition: &Definition,
) -> Result<(Run, Evaluation), Error> {
    let control = definition.control(id);
    let judged = judge(cx, set, (&control, &control.datasets), (Need::Shared, &[])).await?;
    let evaluation = judged.evaluation;
    let made = (judged.evidence, &evaluation, None);
    let run = entry::run(cx, set, &control, &now(cx, id), made, judged.now);
    Ok((run, evaluation))
}

/// A tick of this moment, for what somebody asks for.
fn now(cx: &Context, control: &ControlId) -> Tick {
    Tick {
        control: control.clone(),
        scheduled_for: cx.clock.now(),
        cause: Cause::Manual,
        state: TickState::Due,
        reason: None,
        fence: 0,
    }
}

/// What evidence says.
struct Judged {
    evidence: Evidence,
    evaluation: Evaluation,
    now: DateTime<Utc>,
}

/// What a run comes to, before any of it is written.
#[derive(Debug)]
pub struct Decided {
    /// The run.
    pub run: Run,
    /// What the evidence says of each subject.
    pub evaluation: Evaluation,
    /// What becomes of findings.
    pub changes: Vec<Change>,
    /// Who is owed a word, and why others are not.
    pub plan: Plan,
    /// When it is to be looked at again.
    pub recheck: Option<DateTime<Utc>>,
}

impl Decided {
    /// How many findings change where they stand.
    pub fn moved(&self) -> u64 {
        let moved = |c: &&Change| c.before != Some(c.finding.state.status);
        self.changes.iter().filter(moved).count() as u64
    }

    fn suspect(&self) -> u64 {
        let waits = |c: &&Change| c.finding.state.status == Status::Suspect;
        self.changes.iter().filter(waits).count() as u64
    }

    fn summary(self, written: u64) -> Summary {
        Summary {
            moved: self.moved(),
            suspect: self.suspect(),
            owed: self.plan.items.len() as u64,
            unrouted: self.plan.unrouted(),
            run: self.run,
            written,
            recheck: self.recheck,
        }
    }
}

/// Collects and evaluates.
async fn judge(
    cx: &Context,
    set: &Set,
    (control, inputs): (&Control, &[DatasetName]),
    (need, more): (Need, &[SubjectId]),
) -> Result<Judged, Error> {
    let gathered = cx.collector.gather(&set.catalog, inputs, need).await?;
    crash::point("run.gathered");
    let now = cx.clock.now();
    let evidence = entry::evidence(&cx.store, set, control, &gathered, now).await?;
    let mut subjects = findings::subjects(&mut cx.store.read().await?, &control.id).await?;
    subjects.extend_from_slice(more);
    let engine = &cx.engine;
    let evaluation = engine
        .control_in_time(control, &evidence, &subjects, now)
        .await?;
    crash::point("run.evaluated");
    Ok(Judged {
        evidence,
        evaluation,
        now,
    })
}

/// Reconciles with what is known, and plans who is told.
async fn decide(
    tx: &mut Tx,
    (cx, set): (&Context, &Set),
    control: &Control,
    tick: &Tick,
    judged: Judged,
) -> Result<Decided, Error> {
    let Judged {
        evidence,
        evaluation,
        now,
    } = judged;
    let known = findings::of_control(tx, &control.id).await?;
    let before = runs::last_counted(tx, &control.id).await?;
    let before = before.as_ref();
    let run = entry::run(cx, set, control, tick, (evidence, &evaluation, before), now);
    let mut changes = finding::reconcile(finding::Input {
        control,
        known,
        evaluation: &evaluation,
        run: &run.id,
        now,
        counted: entry::is_fresh(&run, before),
        baseline: before.is_none(),
        rescoped: entry::is_rescoped(tx, control, &run, before).await?,
    });
    let uncovered = cover::cover(
        tx,
        (control, set.policies()),
        &evaluation,
        &mut changes,
        now,
    )
    .await?;
    let gaps = gaps::of(tx, set, control, &run).await?;
    let cause = before
        .filter(|b| b.definition != run.definition)
        .map(|_| "The control was changed since its last run.");
    let plan = owed::of(tx, set, control, &run, (&changes, &gaps, &uncovered), cause).await?;
    let changes: Vec<Change> = changes.into_iter().chain(gaps).collect();
    let recheck = finding::recheck(&changes, &control.rules, now).map(|at| at.trunc_subsecs(0));
    Ok(Decided {
        run,
        evaluation,
        changes,
        plan,
        recheck,
    })
}

/// Writes all of it, with the leaves that prove it. Gives how many rows of findings were written.
async fn record(
    tx: &mut Tx,
    control: &Control,
    tick: &Tick,
    decided: &Decided,
) -> Result<u64, store::Error> {
    runs::insert(tx, &decided.run).await?;
    let written = findings::apply(tx, &decided.changes).await?;
    outbox::enqueue(tx, &decided.plan.items).await?;
    look_again(tx, control, decided.recheck).await?;
    ticks::finish(tx, tick, TickState::Ran, None).await?;
    let leaves = Leaf::of_run(&decided.run, &decided.changes);
    store::audit::append(tx, &leaves).await?;
    Ok(written)
}

/// A second look reads everything anew; every other run shares what others collected.
fn need(tick: &Tick) -> Need {
    match tick.cause {
        Cause::Recheck | Cause::Change => Need::Since(tick.scheduled_for),
        Cause::Schedule | Cause::CatchUp | Cause::Manual => Need::Shared,
    }
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
