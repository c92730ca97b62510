//! Both engines answer the same, whatever is asked of them in whatever order.

use proptest::prelude::*;
use tripline::{
    model::{
        finding::{Effect, Status},
        id::{DatasetName, SnapshotId},
        notice::{Batch, Mode},
        policy::Severity,
        run::{Cause, TickState},
        snapshot::Completeness,
        span::Span,
    },
    store::{
        Error, Page, Store, Tx,
        digests::{self, Digest},
        findings::{self, Filter, Order, Owned},
        lease::Claim,
        meta, mutes,
        outbox::{self, Attempt},
        retention, runs,
        snapshots::{self, Newest},
        ticks, transitions, wrong_results,
    },
};

use super::{
    at, file, memory, postgres,
    samples::{batch, change, finding, item, run, snapshot, tick, used},
};

/// One thing to ask of a store. Numbers are small, so that operations meet.
#[derive(Debug, Clone)]
enum Op {
    Apply {
        control: u8,
        subjects: Vec<u8>,
        status: Status,
        severity: Severity,
        owner: u8,
        dirty: bool,
    },
    Findings {
        open: bool,
        owner: u8,
        newest: bool,
        limit: u8,
        offset: u8,
    },
    Run {
        id: u8,
        control: u8,
        snapshot: Option<u8>,
        counted: bool,
    },
    Runs {
        control: Option<u8>,
        since: u8,
    },
    Snapshot {
        id: u8,
        dataset: u8,
        status: Completeness,
        seconds: u8,
    },
    Snapshots {
        dataset: u8,
        by: Option<u8>,
    },
    Forget {
        before: u8,
        ids: Vec<u8>,
    },
    Tick {
        control: u8,
        seconds: u8,
        state: TickState,
        cause: Cause,
    },
    ClaimTicks {
        now: u8,
        limit: u8,
    },
    TakeTick {
        control: u8,
        now: u8,
    },
    FinishTick {
        which: u8,
        state: TickState,
    },
    SkipTicks {
        control: u8,
        before: u8,
    },
    Ticks {
        from: u8,
    },
    Enqueue {
        keys: Vec<u8>,
        group: u8,
        digest: bool,
        seconds: u8,
    },
    Seal {
        now: u8,
        id: u8,
        groups: u8,
    },
    Digest {
        id: u8,
        period: u8,
    },
    ClaimBatches {
        now: u8,
        limit: u8,
    },
    FinishBatch {
        which: u8,
        attempt: u8,
        seconds: u8,
    },
    LeaveOut {
        key: u8,
    },
    Outbox,
    Meta {
        key: u8,
        value: u8,
    },
}

fn word<T: Copy + std::fmt::Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = T> {
    proptest::sample::select(all)
}

fn op() -> impl Strategy<Value = Op> {
    use proptest::{collection::vec, option::of};
    let (few, time) = (0_u8..4, 0_u8..60);
    prop_oneof![
        4 => (few.clone(), vec(0_u8..6, 0..4), word(Status::ALL), word(Severity::ALL), few.clone(), any::<bool>())
            .prop_map(|(control, subjects, status, severity, owner, dirty)| Op::Apply { control, subjects, status, severity, owner, dirty }),
        2 => (any::<bool>(), few.clone(), any::<bool>(), few.clone(), few.clone())
            .prop_map(|(open, owner, newest, limit, offset)| Op::Findings { open, owner, newest, limit, offset }),
        2 => (0_u8..12, few.clone(), of(0_u8..6), any::<bool>())
            .prop_map(|(id, control, snapshot, counted)| Op::Run { id, control, snapshot, counted }),
        1 => (of(few.clone()), time.clone()).prop_map(|(control, since)| Op::Runs { control, since }),
        3 => (0_u8..6, few.clone(), word(Completeness::ALL), time.clone())
            .prop_map(|(id, dataset, status, seconds)| Op::Snapshot { id, dataset, status, seconds }),
        1 => (few.clone(), of(time.clone())).prop_map(|(dataset, by)| Op::Snapshots { dataset, by }),
        1 => (time.clone(), vec(0_u8..6, 0..3)).prop_map(|(before, ids)| Op::Forget { before, ids }),
        4 => (few.clone(), time.clone(), word(TickState::ALL), word(Cause::ALL))
            .prop_map(|(control, seconds, state, cause)| Op::Tick { control, seconds, state, cause }),
        3 => (time.clone(), few.clone()).prop_map(|(now, limit)| Op::ClaimTicks { now, limit }),
        1 => (few.clone(), time.clone()).prop_map(|(control, now)| Op::TakeTick { control, now }),
        3 => (few.clone(), word(TickState::ALL)).prop_map(|(which, state)| Op::FinishTick { which, state }),
        1 => (few.clone(), time.clone()).prop_map(|(control, before)| Op::SkipTicks { control, before }),
        1 => time.clone().prop_map(|from| Op::Ticks { from }),
        4 => (vec(0_u8..20, 0..4), few.clone(), any::<bool>(), time.clone())
            .prop_map(|(keys, group, digest, seconds)| Op::Enqueue { keys, group, digest, seconds }),
        3 => (time.clone(), 0_u8..8, 1_u8..3).prop_map(|(now, id, groups)| Op::Seal { now, id, groups }),
        1 => (0_u8..8, few.clone()).prop_map(|(id, period)| Op::Digest { id, period }),
        3 => (time.clone(), few.clone()).prop_map(|(now, limit)| Op::ClaimBatches { now, limit }),
        3 => (few.clone(), few.clone(), time).prop_map(|(which, attempt, seconds)| Op::FinishBatch { which, attempt, seconds }),
        1 => (0_u8..20).prop_map(|key| Op::LeaveOut { key }),
        1 => Just(Op::Outbox),
        1 => (few.clone(), few).prop_map(|(key, value)| Op::Meta { key, value }),
    ]
}

/// A store, and what was claimed from it so far.
struct World {
    store: Store,
    ticks: Vec<tripline::model::run::Tick>,
    batches: Vec<Batch>,
}

/// What an answer is compared by: values as they are, errors by their kind.
fn said<T: std::fmt::Debug>(answer: Result<T, Error>) -> String {
    match answer {
        Ok(value) => format!("{value:?}"),
        Err(error @ Error::Driver(_)) => format!("refused: {:?}", error.constraint()),
        Err(error) => error.to_string(),
    }
}

fn control(n: u8) -> String {
    format!("control-{n}")
}

/// Long leases, so that no answer depends on how fast an engine is.
fn claim(now: u8, limit: u8) -> Claim<'static> {
    Claim {
        now: at(now.into()),
        limit: limit.into(),
        lease: Span::hours(1),
        holder: "test",
    }
}

impl World {
    /// Does it in a transaction of its own, which stays only when nothing was refused.
    async fn ask(&mut self, op: &Op) -> String {
        let mut tx = self.store.begin().await.unwrap();
        let answer = self.answer(&mut tx, op).await;
        match answer {
            Ok(answer) => match tx.commit().await {
                Ok(()) => answer,
                Err(error) => format!("at the end {}", said::<()>(Err(error))),
            },
            Err(error) => {
                tx.rollback().await.unwrap();
                said::<()>(Err(error))
            }
        }
    }

    async fn answer(&mut self, tx: &mut Tx, op: &Op) -> Result<String, Error> {
        Ok(match op {
            Op::Apply { .. } | Op::Findings { .. } => on_findings(tx, op).await?,
            Op::Run { .. }
            | Op::Runs { .. }
            | Op::Snapshot { .. }
            | Op::Snapshots { .. }
            | Op::Forget { .. } => on_runs(tx, op).await?,
            Op::Tick { .. }
            | Op::ClaimTicks { .. }
            | Op::TakeTick { .. }
            | Op::FinishTick { .. }
            | Op::SkipTicks { .. }
            | Op::Ticks { .. } => on_ticks(tx, op, &mut self.ticks).await?,
            Op::Meta { key, value } => {
                let (key, value) = (key.to_string(), value.to_string());
                let first = meta::get_or_set(tx, &key, &value).await?;
                meta::set(tx, &key, &value).await?;
                format!("{first} {:?} {}", meta::all(tx).await?, tx.written())
            }
            _ => on_outbox(tx, op, &mut self.batches).await?,
        })
    }
}

async fn on_findings(tx: &mut Tx, op: &Op) -> Result<String, Error> {
    match op {
        Op::Apply {
            control: c,
            subjects,
            status,
            severity,
            owner,
            dirty,
        } => {
            let known = findings::of_control(tx, &control(*c).into()).await?;
            let changes: Vec<_> = subjects
                .iter()
                .map(|s| {
                    let mut f = finding(&control(*c), &format!("s/K/{s}"), *status);
                    let before = known
                        .iter()
                        .find(|k| k.key == f.key)
                        .map(|k| k.state.status);
                    f.severity = *severity;
                    f.state.transition = known.len().try_into().unwrap();
                    f.owners = (0..*owner).map(|n| format!("owner {n}")).collect();
                    f.covered_by = (*owner == 2).then(|| "EXC-1".into());
                    let mut c = change(f, before);
                    c.dirty = *dirty;
                    c.effect = (*owner > 1).then_some(Effect::Opened);
                    c
                })
                .collect();
            let written = findings::apply(tx, &changes).await?;
            Ok(format!(
                "{written} {:?}",
                findings::of_control(tx, &control(*c).into()).await?
            ))
        }
        Op::Findings {
            open,
            owner,
            newest,
            limit,
            offset,
        } => {
            let owned = Owned {
                names: vec![format!("owner {owner}")],
                controls: vec![control(*limit).into()],
            };
            let filter = Filter {
                open: *open,
                owned: (*owner > 0).then_some(owned),
                ..Filter::default()
            };
            let order = if *newest { Order::Newest } else { Order::Worst };
            let page = Page {
                limit: (*limit).into(),
                offset: (*offset).into(),
            };
            let list = findings::list(tx, &filter, order, page).await?;
            let timeline = transitions::between(tx, at(0), at(1000)).await?;
            Ok(format!(
                "{list:?} {} {:?} {timeline:?}",
                findings::count(tx, &filter).await?,
                findings::tally(tx).await?
            ))
        }
        other => unreachable!("{other:?}"),
    }
}

async fn on_runs(tx: &mut Tx, op: &Op) -> Result<String, Error> {
    match op {
        Op::Run {
            id,
            control: c,
            snapshot: s,
            counted,
        } => {
            let mut one = run(&format!("run-{id:02}"), &control(*c), (*id / 3).into());
            one.counted = *counted;
            if let Some(s) = s {
                one.evidence = vec![used(&snapshot(
                    &format!("snap-{s}"),
                    "d",
                    Completeness::Complete,
                    0,
                ))];
            }
            runs::insert(tx, &one).await?;
            Ok(format!("{:?}", runs::last_counted(tx, &one.control).await?))
        }
        Op::Runs { control: c, since } => {
            let filter = runs::Filter {
                control: c.map(|c| control(c).into()),
                since: Some(at((*since / 10).into())),
                ..Default::default()
            };
            let all: Vec<_> = (0..5).map(|n| control(n).into()).collect();
            Ok(format!(
                "{:?} {:?}",
                runs::list(tx, &filter, Page::ALL).await?,
                runs::latest(tx, &all).await?
            ))
        }
        Op::Snapshot {
            id,
            dataset,
            status,
            seconds,
        } => {
            let one = snapshot(
                &format!("snap-{id}"),
                &format!("d{dataset}"),
                *status,
                (*seconds).into(),
            );
            snapshots::insert(tx, &one).await?;
            Ok(format!("{:?}", snapshots::named(tx, "snap").await?))
        }
        Op::Snapshots { dataset, by } => {
            let name = DatasetName::new("aws", format!("d{dataset}"));
            let which = by.map_or(Newest::ANY, |by| Newest::whole_by(at(by.into())));
            let filter = snapshots::Filter {
                dataset: Some(name.clone()),
                ..Default::default()
            };
            Ok(format!(
                "{:?} {:?}",
                snapshots::newest(tx, &name, which).await?,
                snapshots::list(tx, &filter, Page::ALL).await?
            ))
        }
        Op::Forget { before, ids } => {
            let ids: Vec<SnapshotId> = ids
                .iter()
                .map(|n| SnapshotId::new(format!("snap-{n}")))
                .collect();
            let (under, before) = (
                retention::under_open_findings(tx).await?,
                at((*before).into()),
            );
            let objects = retention::forget_snapshots(tx, &ids).await?;
            let runs = retention::forget_runs(tx, before).await?;
            let ticks = retention::forget_ticks(tx, before).await?;
            let items = retention::forget_notices(tx, before).await?;
            Ok(format!("{under:?} {objects:?} {runs} {ticks} {items}"))
        }
        other => unreachable!("{other:?}"),
    }
}

async fn on_ticks(
    tx: &mut Tx,
    op: &Op,
    claimed: &mut Vec<tripline::model::run::Tick>,
) -> Result<String, Error> {
    match op {
        Op::Tick {
            control: c,
            seconds,
            state,
            cause,
        } => {
            let mut one = tick(&control(*c), (*seconds).into());
            // A running tick has a lease, which only a claim gives.
            one.state = if *state == TickState::Running {
                TickState::Due
            } else {
                *state
            };
            one.cause = *cause;
            if *state == TickState::Missed {
                ticks::insert_missed(tx, &one.control, one.scheduled_for, 7, "down").await?;
            }
            Ok(ticks::insert(tx, &[one]).await?.to_string())
        }
        Op::ClaimTicks { now, limit } => {
            let taken = ticks::claim(tx, &claim(*now, *limit)).await?;
            claimed.extend(taken.clone());
            Ok(format!("{taken:?}"))
        }
        Op::TakeTick { control: c, now } => {
            let taken =
                ticks::take(tx, &control(*c).into(), Cause::Manual, &claim(*now, 1)).await?;
            claimed.extend(taken.clone());
            Ok(format!("{taken:?}"))
        }
        Op::FinishTick { which, state } => {
            let Some(one) = claimed.get(usize::from(*which)).cloned() else {
                return Ok(String::new());
            };
            ticks::renew(tx, &one, Span::hours(1)).await?;
            ticks::finish(tx, &one, *state, Some("why")).await?;
            Ok(format!(
                "{:?}",
                ticks::get(tx, &one.control, one.scheduled_for).await?
            ))
        }
        Op::SkipTicks { control: c, before } => {
            Ok(
                ticks::skip_before(tx, &control(*c).into(), at((*before).into()), "overlap")
                    .await?
                    .to_string(),
            )
        }
        Op::Ticks { from } => {
            let (latest, oldest) = (ticks::latest(tx).await?, ticks::oldest_due(tx).await?);
            let counts = ticks::counts(tx, at((*from).into()), at(1000)).await?;
            Ok(format!(
                "{latest:?} {oldest:?} {counts:?} {:?}",
                ticks::of_control(tx, &control(1).into(), Page::ALL).await?
            ))
        }
        other => unreachable!("{other:?}"),
    }
}

async fn on_outbox(tx: &mut Tx, op: &Op, claimed: &mut Vec<Batch>) -> Result<String, Error> {
    match op {
        Op::Enqueue {
            keys,
            group,
            digest,
            seconds,
        } => {
            let items: Vec<_> = keys
                .iter()
                .map(|k| {
                    let mut one = item(
                        &format!("k{k}"),
                        &format!("G{group}"),
                        i64::from(*seconds) - 60,
                    );
                    one.mode = if *digest { Mode::Digest } else { Mode::Alert };
                    one
                })
                .collect();
            Ok(outbox::enqueue(tx, &items).await?.to_string())
        }
        Op::Seal { now, id, groups } => {
            let due = outbox::due(tx, Mode::Alert, at((*now).into()), (*groups).into()).await?;
            let keys: Vec<&str> = due.iter().flatten().map(|i| i.key.as_str()).collect();
            outbox::seal(tx, &[batch(&format!("ntc-{id}"), &keys, (*now).into())]).await?;
            let told = outbox::told(tx, &["G0".to_owned(), "G1".to_owned()]).await?;
            Ok(format!(
                "{due:?} {told:?} {:?}",
                outbox::of_batch(tx, &format!("ntc-{id}").into()).await?
            ))
        }
        Op::Digest { id, period } => {
            let whom = outbox::recipients(tx, Mode::Digest).await?;
            let Some((channel, recipient)) = whom.first().cloned() else {
                return Ok(String::new());
            };
            let items = outbox::waiting(tx, Mode::Digest, &channel, &recipient).await?;
            let id = format!("ntc-d{id}");
            let period = format!("2026-11-0{period}");
            let digest = Digest {
                recipient,
                channel,
                period,
                planned_at: at(5),
                batch: Some(id.as_str().into()),
            };
            if digests::claim(tx, &digest).await? {
                let keys: Vec<&str> = items.iter().map(|i| i.key.as_str()).collect();
                outbox::seal(tx, &[batch(&id, &keys, 5)]).await?;
            }
            Ok(format!(
                "{items:?} {:?}",
                digests::last(tx, &digest.recipient, &digest.channel).await?
            ))
        }
        Op::ClaimBatches { now, limit } => {
            let taken = outbox::claim(tx, &claim(*now, *limit)).await?;
            claimed.extend(taken.clone());
            Ok(format!("{taken:?}"))
        }
        Op::FinishBatch {
            which,
            attempt,
            seconds,
        } => {
            let Some(one) = claimed.get(usize::from(*which)).cloned() else {
                return Ok(String::new());
            };
            let at = at((*seconds).into());
            let attempt = match attempt {
                0 => Attempt::Sent { at },
                1 => Attempt::Retry {
                    due_at: at,
                    error: "503".to_owned(),
                    ambiguous: true,
                },
                2 => Attempt::Dead {
                    at,
                    error: "410".to_owned(),
                    ambiguous: false,
                },
                _ => Attempt::Dropped {
                    at,
                    reason: "resolved".to_owned(),
                },
            };
            outbox::finish(tx, &one, &attempt).await?;
            let revived = outbox::revive(tx, &one.id, at).await?;
            Ok(format!("{revived} {:?}", outbox::get(tx, &one.id).await?))
        }
        Op::LeaveOut { key } => {
            let key = format!("k{key}");
            outbox::leave_out(tx, std::slice::from_ref(&key), "resolved", at(1)).await?;
            Ok(format!(
                "{:?}",
                outbox::fates(tx, item(&key, "", 0).finding.unwrap()).await?
            ))
        }
        Op::Outbox => {
            let all = outbox::list(tx, &outbox::Filter::default(), Page::ALL).await?;
            let wrong = wrong_results::counts(tx, at(0)).await?;
            Ok(format!(
                "{:?} {all:?} {wrong:?} {:?}",
                outbox::counts(tx).await?,
                mutes::in_force(tx, at(0)).await?
            ))
        }
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn both_engines_answer_the_same_to_any_sequence_of_questions() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = ProptestConfig {
        cases: 40,
        max_shrink_iters: 300,
        ..ProptestConfig::default()
    };
    let case = std::cell::Cell::new(0);
    proptest!(config, |(ops in proptest::collection::vec(op(), 1..60))| {
        case.set(case.get() + 1);
        runtime.block_on(async {
            let place = folder.path().join(case.get().to_string());
            let stores = [Some(memory().await), Some(file(&place).await), postgres().await];
            let mut worlds: Vec<World> = stores.into_iter().flatten().map(|store| World { store, ticks: Vec::new(), batches: Vec::new() }).collect();
            for (n, op) in ops.iter().enumerate() {
                let mut answers = Vec::new();
                for world in &mut worlds {
                    answers.push(world.ask(op).await);
                }
                for (answer, world) in answers.iter().zip(&worlds) {
                    prop_assert_eq!(answer, &answers[0], "{}: {:?} on {:?}", n, op, world.store.engine());
                }
            }
            for world in worlds {
                world.store.close().await;
            }
            Ok(())
        })?;
    });
}
