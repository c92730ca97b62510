//! The tick ledger: each tick is claimed once, and ends under its fence.

use std::{collections::BTreeMap, time::Duration};

use tripline::{
    model::{
        run::{Cause, Tick, TickState},
        span::Span,
    },
    store::{Error, Page, Store, Tx, lease::Claim, ticks},
};

use super::{at, samples::tick, with_shared_stores, with_stores};

const LONG: Span = Span::minutes(10);
const OVER: Span = Span::millis(0);

fn claim(seconds: i64, limit: u32, lease: Span) -> Claim<'static> {
    Claim {
        now: at(seconds),
        limit,
        lease,
        holder: "test",
    }
}

async fn add(tx: &mut Tx, all: &[Tick]) -> u64 {
    ticks::insert(tx, all).await.unwrap()
}

#[tokio::test]
async fn a_tick_is_added_once_and_claimed_when_it_is_due() {
    with_stores(async |store| {
        let mut tx = store.begin().await.unwrap();
        let all = [tick("a", 0), tick("b", 0), tick("a", 60)];
        assert_eq!(add(&mut tx, &all).await, 3);
        assert_eq!(add(&mut tx, &all).await, 0);
        assert_eq!(ticks::oldest_due(&mut tx).await.unwrap(), Some(at(0)));
        assert!(
            ticks::claim(&mut tx, &claim(-1, 10, LONG))
                .await
                .unwrap()
                .is_empty()
        );
        let taken = ticks::claim(&mut tx, &claim(0, 10, LONG)).await.unwrap();
        let want = ["a", "b"].map(|c| Tick {
            state: TickState::Running,
            fence: 1,
            ..tick(c, 0)
        });
        assert_eq!(taken, want);
        assert!(
            ticks::claim(&mut tx, &claim(0, 10, LONG))
                .await
                .unwrap()
                .is_empty(),
            "leased"
        );
        ticks::finish(&mut tx, &taken[0], TickState::Ran, None)
            .await
            .unwrap();
        ticks::finish(&mut tx, &taken[1], TickState::Failed, Some("disk full"))
            .await
            .unwrap();
        let failed = ticks::get(&mut tx, &"b".into(), at(0))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (failed.state, failed.reason.as_deref()),
            (TickState::Failed, Some("disk full"))
        );
        assert!(matches!(
            ticks::finish(&mut tx, &taken[0], TickState::Ran, None).await,
            Err(Error::LeaseLost { .. })
        ));
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn of_one_control_one_tick_runs_at_a_time_and_the_oldest_first() {
    with_stores(async |store| {
        let mut tx = store.begin().await.unwrap();
        add(
            &mut tx,
            &[tick("a", 60), tick("a", 0), tick("a", 120), tick("b", 90)],
        )
        .await;
        let taken = ticks::claim(&mut tx, &claim(1000, 10, LONG)).await.unwrap();
        assert_eq!(
            taken
                .iter()
                .map(|t| (t.control.as_str(), t.scheduled_for))
                .collect::<Vec<_>>(),
            [("a", at(0)), ("b", at(90))]
        );
        assert!(
            ticks::claim(&mut tx, &claim(1000, 10, LONG))
                .await
                .unwrap()
                .is_empty(),
            "a runs"
        );
        assert_eq!(
            ticks::skip_before(&mut tx, &"a".into(), at(120), "overlap")
                .await
                .unwrap(),
            1
        );
        ticks::finish(&mut tx, &taken[0], TickState::Ran, None)
            .await
            .unwrap();
        let next = ticks::claim(&mut tx, &claim(1000, 10, LONG)).await.unwrap();
        assert_eq!(
            next.iter().map(|t| t.scheduled_for).collect::<Vec<_>>(),
            [at(120)]
        );
        tx.commit().await.unwrap();
    })
    .await;
}

/// A second look that nobody got to is not overtaken by the schedule: only it reads everything anew.
#[tokio::test]
async fn a_second_look_is_not_skipped() {
    with_stores(async |store| {
        let mut tx = store.begin().await.unwrap();
        let again = Tick {
            cause: Cause::Recheck,
            ..tick("a", 30)
        };
        add(&mut tx, &[tick("a", 0), again, tick("a", 60)]).await;
        let skipped = ticks::skip_before(&mut tx, &"a".into(), at(60), "overlap").await;
        assert_eq!(skipped.unwrap(), 1);
        let next = ticks::claim(&mut tx, &claim(1000, 10, LONG)).await.unwrap();
        assert_eq!(next[0].cause, Cause::Recheck);
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_paused_worker_cannot_finish_what_another_took_over() {
    // R: a lease holder that sleeps past its lease writes nothing afterwards.
    with_stores(async |store| {
        let mut tx = store.begin().await.unwrap();
        add(&mut tx, &[tick("a", 0)]).await;
        let paused = ticks::claim(&mut tx, &claim(0, 1, OVER))
            .await
            .unwrap()
            .remove(0);
        tx.commit().await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
        let mut tx = store.begin().await.unwrap();
        let second = ticks::claim(&mut tx, &claim(0, 1, LONG))
            .await
            .unwrap()
            .remove(0);
        assert_eq!((paused.fence, second.fence), (1, 2));
        tx.commit().await.unwrap();

        let mut tx = store.begin().await.unwrap();
        let error = ticks::finish(&mut tx, &paused, TickState::Ran, None)
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "the lease on tick `a at {}` was lost to another worker",
                at(0).to_rfc3339()
            )
        );
        assert!(matches!(
            ticks::renew(&mut tx, &paused, LONG).await,
            Err(Error::LeaseLost { what: "tick", .. })
        ));
        drop(tx);
        let mut tx = store.begin().await.unwrap();
        ticks::renew(&mut tx, &second, LONG).await.unwrap();
        ticks::finish(&mut tx, &second, TickState::Ran, None)
            .await
            .unwrap();
        assert!(
            matches!(
                ticks::renew(&mut tx, &second, LONG).await,
                Err(Error::LeaseLost { .. })
            ),
            "it has ended"
        );
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_lease_goes_by_the_databases_clock_and_not_by_the_works() {
    with_stores(async |store| {
        let mut tx = store.begin().await.unwrap();
        add(&mut tx, &[tick("a", 0)]).await;
        assert_eq!(
            ticks::claim(&mut tx, &claim(0, 1, LONG))
                .await
                .unwrap()
                .len(),
            1
        );
        // A replayed clock that is years further on does not end the lease.
        assert!(
            ticks::claim(&mut tx, &claim(100_000_000, 1, LONG))
                .await
                .unwrap()
                .is_empty()
        );
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_renewed_lease_is_not_taken_over() {
    with_stores(async |store| {
        let mut tx = store.begin().await.unwrap();
        add(&mut tx, &[tick("a", 0)]).await;
        let mine = ticks::claim(&mut tx, &claim(0, 1, OVER))
            .await
            .unwrap()
            .remove(0);
        ticks::renew(&mut tx, &mine, LONG).await.unwrap();
        tx.commit().await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
        let mut tx = store.begin().await.unwrap();
        assert!(
            ticks::claim(&mut tx, &claim(0, 1, LONG))
                .await
                .unwrap()
                .is_empty()
        );
        ticks::finish(&mut tx, &mine, TickState::Ran, None)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_tick_that_somebody_asks_for_is_taken_by_one() {
    with_stores(async |store| {
        let mut tx = store.begin().await.unwrap();
        let asked = claim(0, 1, LONG);
        let mine = ticks::take(&mut tx, &"a".into(), Cause::Manual, &asked)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (mine.cause, mine.state, mine.fence),
            (Cause::Manual, TickState::Running, 1)
        );
        assert_eq!(
            ticks::take(&mut tx, &"a".into(), Cause::Manual, &asked)
                .await
                .unwrap(),
            None
        );
        ticks::finish(&mut tx, &mine, TickState::Ran, None)
            .await
            .unwrap();
        assert_eq!(
            ticks::take(&mut tx, &"a".into(), Cause::Manual, &asked)
                .await
                .unwrap(),
            None,
            "it has ended"
        );
        add(&mut tx, &[tick("b", 5)]).await;
        let due = ticks::take(&mut tx, &"b".into(), Cause::Manual, &claim(5, 1, OVER))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (due.cause, due.fence),
            (Cause::Schedule, 1),
            "a tick keeps its cause"
        );
        tx.commit().await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
        let mut tx = store.begin().await.unwrap();
        let again = ticks::take(&mut tx, &"b".into(), Cause::Manual, &claim(5, 1, LONG))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(again.fence, 2);
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn every_due_time_is_counted_and_schedules_go_by_their_own_ticks() {
    with_stores(async |store| {
        let mut tx = store.begin().await.unwrap();
        let mut recheck = tick("a", 500);
        recheck.cause = Cause::Recheck;
        let mut skipped = tick("a", 60);
        (skipped.state, skipped.reason) = (TickState::Skipped, Some("overlap".to_owned()));
        let mut caught_up = tick("b", 120);
        caught_up.cause = Cause::CatchUp;
        add(
            &mut tx,
            &[tick("a", 0), skipped.clone(), recheck, caught_up],
        )
        .await;
        ticks::insert_missed(&mut tx, &"b".into(), at(100), 4000, "the daemon was down")
            .await
            .unwrap();
        ticks::insert_missed(&mut tx, &"b".into(), at(100), 4000, "the daemon was down")
            .await
            .unwrap();
        let latest = ticks::latest(&mut tx).await.unwrap();
        assert_eq!(
            latest,
            BTreeMap::from([("a".into(), at(60)), ("b".into(), at(120))])
        );
        let counts = ticks::counts(&mut tx, at(0), at(1000)).await.unwrap();
        let want = [
            (TickState::Due, 3),
            (TickState::Skipped, 1),
            (TickState::Missed, 4000),
        ];
        assert_eq!(counts, BTreeMap::from(want));
        assert_eq!(
            ticks::counts(&mut tx, at(60), at(100)).await.unwrap(),
            BTreeMap::from([(TickState::Skipped, 1)])
        );
        let of_a = ticks::of_control(
            &mut tx,
            &"a".into(),
            Page {
                limit: 1,
                offset: 1,
            },
        )
        .await
        .unwrap();
        assert_eq!(of_a, [skipped]);
        assert_eq!(ticks::get(&mut tx, &"a".into(), at(1)).await.unwrap(), None);
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_workers_claim_a_thousand_ticks_each_exactly_once() {
    with_shared_stores(async |store| {
        let mut tx = store.begin().await.unwrap();
        let all: Vec<Tick> = (0..1000)
            .map(|n| tick(&format!("control-{}", n % 250), i64::from(n / 250)))
            .collect();
        assert_eq!(add(&mut tx, &all).await, 1000);
        tx.commit().await.unwrap();
        let workers = (0..8).map(|_| tokio::spawn(work(store.clone())));
        let done = futures::future::join_all(workers).await;
        let mut seen: Vec<(String, chrono::DateTime<chrono::Utc>)> = Vec::new();
        for worker in done {
            seen.extend(worker.unwrap());
        }
        assert_eq!(seen.len(), 1000);
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 1000, "none twice");
        let mut tx = store.read().await.unwrap();
        let counts = ticks::counts(&mut tx, at(0), at(10)).await.unwrap();
        assert_eq!(counts, BTreeMap::from([(TickState::Ran, 1000)]));
    })
    .await;
}

/// Claims and finishes until everything has ended, and gives what it was given.
async fn work(store: Store) -> Vec<(String, chrono::DateTime<chrono::Utc>)> {
    let mut seen = Vec::new();
    loop {
        let mut tx = store.begin().await.unwrap();
        let taken = ticks::claim(&mut tx, &claim(100, 7, LONG)).await.unwrap();
        let left = ticks::oldest_due(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
        if taken.is_empty() && left.is_none() {
            return seen;
        }
        for tick in &taken {
            assert_eq!(tick.fence, 1);
            seen.push((tick.control.to_string(), tick.scheduled_for));
            let mut tx = store.begin().await.unwrap();
            ticks::finish(&mut tx, tick, TickState::Ran, None)
                .await
                .unwrap();
            tx.commit().await.unwrap();
        }
        if taken.is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}
