//! What is owed: once by its key, sealed whole, sent under a lease, counted, never lost.

use std::{collections::BTreeMap, time::Duration};

use tripline::{
    model::{
        finding::Status,
        notice::{Batch, Delivery, Item, Mode},
        people::Principal,
        remark::{Mute, WrongResult},
        span::Span,
    },
    store::{
        Constraint, Error, Found, Page, Store,
        digests::{self, Digest},
        findings,
        lease::Claim,
        mutes,
        outbox::{self, Attempt, BadAddress, Counts, Fate, Told},
        retention, wrong_results,
    },
};

use super::{
    at,
    samples::{batch, change, finding, item},
    with_shared_stores, with_stores,
};

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

fn keys(items: &[Item]) -> Vec<&str> {
    items.iter().map(|i| i.key.as_str()).collect()
}

#[tokio::test]
async fn what_is_owed_is_owed_once_and_read_back_as_it_was() {
    with_stores(async |store| {
        let mut tx = store.begin().await.unwrap();
        let mut bare = item("bare", "g", 5);
        (bare.recipient, bare.finding, bare.control) = (None, None, None);
        let all = [item("k1", "g", 0), bare.clone()];
        assert_eq!(outbox::enqueue(&mut tx, &all).await.unwrap(), 2);
        let mut again = item("k1", "other", 99);
        again.reason = "planned twice".to_owned();
        assert_eq!(outbox::enqueue(&mut tx, &[again]).await.unwrap(), 0);
        let due = outbox::due(&mut tx, Mode::Alert, at(60), 10).await.unwrap();
        assert_eq!(
            due,
            [all.to_vec()],
            "a group goes whole once its first is due"
        );
        assert!(
            outbox::due(&mut tx, Mode::Alert, at(59), 10)
                .await
                .unwrap()
                .is_empty()
        );
        assert!(
            outbox::due(&mut tx, Mode::Digest, at(99), 10)
                .await
                .unwrap()
                .is_empty()
        );
        let order = |i: &Item| {
            i.facts
                .as_object()
                .unwrap()
                .keys()
                .cloned()
                .collect::<Vec<_>>()
        };
        assert_eq!(order(&due[0][0]), ["subject", "z", "a"]);
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn groups_come_whole_and_the_most_overdue_first() {
    with_stores(async |store| {
        let mut tx = store.begin().await.unwrap();
        let all = [
            item("b1", "b", 10),
            item("a1", "a", 20),
            item("c1", "c", 30),
            item("b2", "b", 500),
        ];
        outbox::enqueue(&mut tx, &all).await.unwrap();
        let due = outbox::due(&mut tx, Mode::Alert, at(85), 10).await.unwrap();
        assert_eq!(
            due.iter().map(|g| keys(g)).collect::<Vec<_>>(),
            [vec!["b1", "b2"], vec!["a1"]]
        );
        let one = outbox::due(&mut tx, Mode::Alert, at(1000), 1)
            .await
            .unwrap();
        assert_eq!(
            one.iter().map(|g| keys(g)).collect::<Vec<_>>(),
            [vec!["b1", "b2"]]
        );
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_digest_gathers_what_waits_for_one_recipient() {
    with_stores(async |store| {
        let mut tx = store.begin().await.unwrap();
        let bo = Principal::Person("bo".into());
        let mut all = vec![
            item("k1", "g", 0),
            item("k2", "g", 1),
            item("k3", "g", 2),
            item("k4", "g", 3),
        ];
        all.iter_mut().take(3).for_each(|i| i.mode = Mode::Digest);
        all[2].recipient = Some(bo.clone());
        outbox::enqueue(&mut tx, &all).await.unwrap();
        let ada = Principal::Person("ada".into());
        let whom = outbox::recipients(&mut tx, Mode::Digest).await.unwrap();
        assert_eq!(
            whom,
            [("mail".into(), ada.clone()), ("mail".into(), bo.clone())]
        );
        let waiting = outbox::waiting(&mut tx, Mode::Digest, &"mail".into(), &ada)
            .await
            .unwrap();
        assert_eq!(keys(&waiting), ["k1", "k2"]);
        assert_eq!(
            outbox::waiting(&mut tx, Mode::Digest, &"soc".into(), &ada)
                .await
                .unwrap(),
            []
        );

        let digest = Digest {
            recipient: ada.clone(),
            channel: "mail".into(),
            period: "2026-11-20".to_owned(),
            planned_at: at(5),
            batch: Some("ntc-1".into()),
        };
        assert!(digests::claim(&mut tx, &digest).await.unwrap());
        outbox::seal(&mut tx, &[batch("ntc-1", &["k1", "k2"], 5)])
            .await
            .unwrap();
        assert!(
            !digests::claim(
                &mut tx,
                &Digest {
                    batch: None,
                    ..digest.clone()
                }
            )
            .await
            .unwrap(),
            "claimed"
        );
        let quiet = Digest {
            period: "2026-11-21".to_owned(),
            planned_at: at(90),
            batch: None,
            ..digest.clone()
        };
        assert_eq!(
            digests::last(&mut tx, &ada, &"mail".into()).await.unwrap(),
            Some(digest)
        );
        assert!(digests::claim(&mut tx, &quiet).await.unwrap());
        assert_eq!(
            digests::last(&mut tx, &ada, &"mail".into()).await.unwrap(),
            Some(quiet)
        );
        assert_eq!(
            digests::last(&mut tx, &bo, &"mail".into()).await.unwrap(),
            None
        );
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_batch_takes_its_items_all_or_none() {
    with_stores(async |store| {
        let mut tx = store.begin().await.unwrap();
        outbox::enqueue(
            &mut tx,
            &[item("k1", "g", 0), item("k2", "g", 1), item("k3", "g", 2)],
        )
        .await
        .unwrap();
        let sealed = batch("ntc-1", &["k2", "k1"], 100);
        outbox::seal(&mut tx, std::slice::from_ref(&sealed))
            .await
            .unwrap();
        assert_eq!(
            outbox::get(&mut tx, &"ntc-1".into()).await.unwrap(),
            Some(sealed.clone()),
            "in its own order"
        );
        assert_eq!(
            keys(&outbox::of_batch(&mut tx, &sealed.id).await.unwrap()),
            ["k1", "k2"]
        );
        outbox::leave_out(&mut tx, &["k3".to_owned()], "resolved meanwhile", at(100))
            .await
            .unwrap();
        assert!(
            outbox::due(&mut tx, Mode::Alert, at(1000), 10)
                .await
                .unwrap()
                .is_empty()
        );
        let fate = |key: &str| outbox_fate(key);
        let fates = [
            outbox::fates(&mut tx, fate("k1")).await.unwrap(),
            outbox::fates(&mut tx, fate("k3")).await.unwrap(),
        ];
        assert_eq!(fates[0][0].1, Fate::Sealed("ntc-1".into()));
        assert_eq!(
            fates[1][0].1,
            Fate::LeftOut("resolved meanwhile".to_owned())
        );
        tx.commit().await.unwrap();

        for spoilt in [&["k1"][..], &["k3"], &["none"]] {
            let mut tx = store.begin().await.unwrap();
            let error = outbox::seal(&mut tx, &[batch("ntc-2", spoilt, 100)])
                .await
                .unwrap_err();
            assert!(
                matches!(
                    error,
                    Error::RowsAffected {
                        expected: 1,
                        actual: 0,
                        ..
                    }
                ),
                "{error}"
            );
        }
        let mut tx = store.begin().await.unwrap();
        let error = outbox::leave_out(&mut tx, &["k1".to_owned()], "x", at(0))
            .await
            .unwrap_err();
        assert!(matches!(error, Error::RowsAffected { .. }), "{error}");
        drop(tx);
        let mut tx = store.begin().await.unwrap();
        let error = outbox::seal(&mut tx, &[batch("ntc-1", &[], 0)])
            .await
            .unwrap_err();
        assert_eq!(error.constraint(), Some(Constraint::Unique));
    })
    .await;
}

fn outbox_fate(key: &str) -> tripline::model::id::FindingKey {
    item(key, "g", 0).finding.unwrap()
}

async fn sealed(store: &Store, id: &str, seconds: i64) -> Batch {
    let mut tx = store.begin().await.unwrap();
    let one = batch(id, &[], seconds);
    outbox::seal(&mut tx, std::slice::from_ref(&one))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    one
}

#[tokio::test]
async fn a_message_is_tried_until_it_is_sent_dead_or_dropped() {
    with_stores(async |store| {
        sealed(&store, "ntc-1", 0).await;
        sealed(&store, "ntc-2", 1).await;
        sealed(&store, "ntc-3", 2).await;
        let mut tx = store.begin().await.unwrap();
        let taken = outbox::claim(&mut tx, &claim(1, 10, LONG)).await.unwrap();
        assert_eq!(
            taken
                .iter()
                .map(|b| (b.id.as_str(), b.fence))
                .collect::<Vec<_>>(),
            [("ntc-1", 1), ("ntc-2", 1)]
        );
        assert!(
            outbox::claim(&mut tx, &claim(1, 10, LONG))
                .await
                .unwrap()
                .is_empty(),
            "leased"
        );
        let retry = Attempt::Retry {
            due_at: at(60),
            error: "answer lost".to_owned(),
            ambiguous: true,
        };
        outbox::finish(&mut tx, &taken[0], &retry).await.unwrap();
        outbox::finish(&mut tx, &taken[1], &Attempt::Sent { at: at(2) })
            .await
            .unwrap();
        let third = outbox::claim(&mut tx, &claim(2, 10, LONG))
            .await
            .unwrap()
            .remove(0);
        outbox::finish(
            &mut tx,
            &third,
            &Attempt::Dropped {
                at: at(3),
                reason: "resolved".to_owned(),
            },
        )
        .await
        .unwrap();
        assert!(
            outbox::claim(&mut tx, &claim(59, 10, LONG))
                .await
                .unwrap()
                .is_empty()
        );
        let again = outbox::claim(&mut tx, &claim(60, 10, LONG))
            .await
            .unwrap()
            .remove(0);
        assert_eq!((again.attempts, again.ambiguous, again.fence), (1, 1, 2));
        assert_eq!(again.last_error.as_deref(), Some("answer lost"));
        let dead = Attempt::Dead {
            at: at(61),
            error: "410".to_owned(),
            ambiguous: false,
        };
        outbox::finish(&mut tx, &again, &dead).await.unwrap();
        assert!(matches!(
            outbox::finish(&mut tx, &again, &dead).await,
            Err(Error::LeaseLost {
                what: "message",
                ..
            })
        ));
        let counts = outbox::counts(&mut tx).await.unwrap();
        assert_eq!(
            counts,
            Counts {
                sent: 1,
                dropped: 1,
                dead: 1,
                ..Counts::default()
            }
        );
        let filter = outbox::Filter {
            state: Some(Delivery::Dead),
            ..Default::default()
        };
        let dead = outbox::list(&mut tx, &filter, Page::ALL).await.unwrap();
        assert_eq!(
            dead.iter()
                .map(|b| (b.attempts, b.last_error.as_deref()))
                .collect::<Vec<_>>(),
            [(2, Some("410"))]
        );
        assert!(
            outbox::revive(&mut tx, &"ntc-1".into(), at(70))
                .await
                .unwrap()
        );
        assert!(
            !outbox::revive(&mut tx, &"ntc-2".into(), at(70))
                .await
                .unwrap()
        );
        assert_eq!(
            outbox::counts(&mut tx).await.unwrap().oldest_due,
            Some(at(70))
        );
        assert_eq!(
            outbox::claim(&mut tx, &claim(70, 10, LONG))
                .await
                .unwrap()
                .len(),
            1
        );
        let named = outbox::named(&mut tx, "NTC-2".to_lowercase().as_str())
            .await
            .unwrap();
        assert!(matches!(named, Found::One(b) if b.state == Delivery::Sent));
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_paused_sender_can_neither_send_nor_record_after_its_lease() {
    with_stores(async |store| {
        sealed(&store, "ntc-1", 0).await;
        let mut tx = store.begin().await.unwrap();
        let paused = outbox::claim(&mut tx, &claim(0, 1, OVER))
            .await
            .unwrap()
            .remove(0);
        tx.commit().await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
        let mut tx = store.begin().await.unwrap();
        let second = outbox::claim(&mut tx, &claim(0, 1, LONG))
            .await
            .unwrap()
            .remove(0);
        assert!(matches!(
            outbox::renew(&mut tx, &paused, LONG).await,
            Err(Error::LeaseLost { .. })
        ));
        let sent = Attempt::Sent { at: at(1) };
        assert!(matches!(
            outbox::finish(&mut tx, &paused, &sent).await,
            Err(Error::LeaseLost { .. })
        ));
        outbox::renew(&mut tx, &second, LONG).await.unwrap();
        outbox::finish(&mut tx, &second, &sent).await.unwrap();
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_workers_seal_each_group_once_and_send_each_message_once() {
    with_shared_stores(async |store| {
        let mut tx = store.begin().await.unwrap();
        let all: Vec<Item> = (0..400)
            .map(|n| item(&format!("k{n:03}"), &format!("g{}", n % 40), n % 7))
            .collect();
        outbox::enqueue(&mut tx, &all).await.unwrap();
        tx.commit().await.unwrap();
        let workers = (0..6).map(|_| tokio::spawn(send_all(store.clone())));
        let mut sent: BTreeMap<String, usize> = BTreeMap::new();
        for worker in futures::future::join_all(workers).await {
            for id in worker.unwrap() {
                *sent.entry(id).or_default() += 1;
            }
        }
        assert_eq!(sent.len(), 40);
        assert!(sent.values().all(|n| *n == 1), "{sent:?}");
        let mut tx = store.read().await.unwrap();
        assert_eq!(
            outbox::counts(&mut tx).await.unwrap(),
            Counts {
                sent: 40,
                ..Counts::default()
            }
        );
        let told = outbox::told(&mut tx, &["g0".to_owned(), "none".to_owned()])
            .await
            .unwrap();
        assert_eq!(
            told,
            BTreeMap::from([(
                "g0".to_owned(),
                Told {
                    last: Some(at(100)),
                    items: 10
                }
            )])
        );
    })
    .await;
}

async fn send_all(store: Store) -> Vec<String> {
    let mut sent = Vec::new();
    loop {
        let mut tx = store.begin().await.unwrap();
        let groups = outbox::due(&mut tx, Mode::Alert, at(1000), 3)
            .await
            .unwrap();
        let batches: Vec<Batch> = groups
            .iter()
            .map(|g| Batch {
                group: Some(g[0].group.clone()),
                ..batch(&format!("ntc-{}", g[0].group), &keys(g), 100)
            })
            .collect();
        outbox::seal(&mut tx, &batches).await.unwrap();
        tx.commit().await.unwrap();
        let mut tx = store.begin().await.unwrap();
        let taken = outbox::claim(&mut tx, &claim(1000, 2, LONG)).await.unwrap();
        tx.commit().await.unwrap();
        for one in &taken {
            sent.push(one.id.to_string());
            let mut tx = store.begin().await.unwrap();
            outbox::finish(&mut tx, one, &Attempt::Sent { at: at(1001) })
                .await
                .unwrap();
            tx.commit().await.unwrap();
        }
        if groups.is_empty() && taken.is_empty() {
            return sent;
        }
    }
}

#[tokio::test]
async fn a_bad_address_is_reported_once_and_mended_by_hand() {
    with_stores(async |store| {
        let mut tx = store.begin().await.unwrap();
        let bad = BadAddress {
            channel: "mail".into(),
            recipient: "ada@example.test".to_owned(),
            reason: "550 no such user".to_owned(),
            since: at(0),
        };
        assert!(outbox::mark_bad(&mut tx, &bad).await.unwrap());
        assert!(
            !outbox::mark_bad(
                &mut tx,
                &BadAddress {
                    since: at(9),
                    ..bad.clone()
                }
            )
            .await
            .unwrap()
        );
        assert!(
            outbox::is_bad(&mut tx, &bad.channel, &bad.recipient)
                .await
                .unwrap()
        );
        assert!(
            !outbox::is_bad(&mut tx, &bad.channel, "bo@example.test")
                .await
                .unwrap()
        );
        assert_eq!(
            outbox::bad_addresses(&mut tx).await.unwrap(),
            std::slice::from_ref(&bad)
        );
        assert!(
            outbox::mend(&mut tx, &bad.channel, &bad.recipient)
                .await
                .unwrap()
        );
        assert!(
            !outbox::mend(&mut tx, &bad.channel, &bad.recipient)
                .await
                .unwrap()
        );
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn old_notices_go_but_the_keys_of_open_episodes_stay() {
    with_stores(async |store| {
        let mut tx = store.begin().await.unwrap();
        let (open, over) = (
            finding("a", "s/k/1", Status::Open),
            finding("a", "s/k/2", Status::Resolved),
        );
        findings::apply(
            &mut tx,
            &[change(open.clone(), None), change(over.clone(), None)],
        )
        .await
        .unwrap();
        let mut all = vec![
            item("k1", "g", 0),
            item("k2", "g", 0),
            item("k3", "g", 0),
            item("k4", "h", 0),
        ];
        (all[0].finding, all[1].finding, all[2].finding) =
            (Some(open.key), Some(over.key), Some(over.key));
        outbox::enqueue(&mut tx, &all).await.unwrap();
        outbox::seal(
            &mut tx,
            &[
                batch("ntc-1", &["k1"], 0),
                batch("ntc-2", &["k2"], 0),
                batch("ntc-3", &["k3"], 0),
            ],
        )
        .await
        .unwrap();
        for one in outbox::claim(&mut tx, &claim(1, 2, LONG)).await.unwrap() {
            outbox::finish(&mut tx, &one, &Attempt::Sent { at: at(1) })
                .await
                .unwrap();
        }
        assert_eq!(retention::forget_notices(&mut tx, at(0)).await.unwrap(), 0);
        assert_eq!(
            retention::forget_notices(&mut tx, at(1000)).await.unwrap(),
            1
        );
        let left = outbox::list(&mut tx, &outbox::Filter::default(), Page::ALL)
            .await
            .unwrap();
        assert_eq!(
            left.iter().map(|b| b.id.as_str()).collect::<Vec<_>>(),
            ["ntc-3", "ntc-1"],
            "one is due, one is of an open episode"
        );
        assert_eq!(
            outbox::enqueue(&mut tx, &all).await.unwrap(),
            1,
            "only the forgotten key is free again"
        );
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_mute_ends_by_itself_or_is_lifted_once() {
    with_stores(async |store| {
        let mut tx = store.begin().await.unwrap();
        let mute = |id: &str, until: i64| Mute {
            id: id.to_owned(),
            control: Some("a".into()),
            subject: (id == "mut-2").then(|| "s/k/1".into()),
            until: at(until),
            reason: "a planned change".to_owned(),
            by: "ada".into(),
            at: at(0),
        };
        for one in [mute("mut-1", 100), mute("mut-2", 50)] {
            mutes::insert(&mut tx, &one).await.unwrap();
        }
        let mut held = async |now| mutes::in_force(&mut tx, at(now)).await.unwrap();
        assert_eq!(held(-1).await, []);
        assert_eq!(held(0).await, [mute("mut-2", 50), mute("mut-1", 100)]);
        assert_eq!(held(50).await, [mute("mut-1", 100)]);
        assert!(
            mutes::lift(&mut tx, "mut-1", &"bo".into(), at(60))
                .await
                .unwrap()
        );
        assert!(
            !mutes::lift(&mut tx, "mut-1", &"bo".into(), at(61))
                .await
                .unwrap()
        );
        assert!(
            !mutes::lift(&mut tx, "mut-2", &"bo".into(), at(61))
                .await
                .unwrap(),
            "it had ended"
        );
        assert_eq!(mutes::in_force(&mut tx, at(60)).await.unwrap(), []);
        assert_eq!(
            mutes::in_force(&mut tx, at(55)).await.unwrap(),
            [mute("mut-1", 100)],
            "as it was then"
        );
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_wrong_result_is_kept_and_counted() {
    with_stores(async |store| {
        let mut tx = store.begin().await.unwrap();
        let f = finding("a", "s/k/1", Status::Open);
        let wrong = |n: i64, control: &str| WrongResult {
            id: format!("wrg-{n}"),
            finding: f.key,
            control: control.into(),
            run: "run-1".into(),
            reason: "the secret is rotated elsewhere".to_owned(),
            by: "ada".into(),
            at: at(n),
        };
        let all = [wrong(1, "a"), wrong(2, "a"), wrong(3, "b")];
        for one in &all {
            wrong_results::insert(&mut tx, one).await.unwrap();
        }
        assert_eq!(
            wrong_results::of_finding(&mut tx, f.key).await.unwrap(),
            all
        );
        assert_eq!(
            wrong_results::of_control(&mut tx, &"a".into())
                .await
                .unwrap(),
            all[..2]
        );
        let counts = wrong_results::counts(&mut tx, at(2)).await.unwrap();
        assert_eq!(counts, BTreeMap::from([("a".into(), 1), ("b".into(), 1)]));
        tx.commit().await.unwrap();
    })
    .await;
}
