//! Runs, the snapshots they used, the definitions they were judged by, and what may be forgotten.

use chrono::TimeDelta;
use serde_json::json;
use tripline::{
    model::{
        finding::Status,
        id::{DatasetName, Sha},
        outcome::Unknown,
        run::{Cause, Run, TickState},
        snapshot::{Completeness, Snapshot},
    },
    store::{
        Constraint, Error, Found, Page, Tx,
        definitions::{self, Definition, Kind},
        findings, retention,
        runs::{self, Filter},
        snapshots::{self, Acceptance, Accepted, Newest},
        ticks,
    },
};

use super::{
    at,
    samples::{change, finding, run, snapshot, tick, used},
    with_stores,
};

async fn keep(tx: &mut Tx, all: &[Snapshot]) {
    for one in all {
        snapshots::insert(tx, one).await.unwrap();
    }
}

#[tokio::test]
async fn a_run_is_read_back_with_the_evidence_it_used() {
    with_stores(async |store| {
        let whole = snapshot("snap-1", "secrets", Completeness::Complete, 0);
        let part = snapshot("snap-2", "users", Completeness::Partial, 0);
        let mut first = run("run-01a", "a", 10);
        first.evidence = vec![used(&whole), used(&part), used(&whole)];
        first.evidence[1].objection = Some(Unknown::Incomplete);
        let mut none = run("run-01b", "a", 20);
        (none.not_checked, none.detail, none.counted) = (
            Some(Unknown::SourceError),
            Some("aws answered 500 since 10:00".to_owned()),
            false,
        );
        none.evidence = vec![used(&whole)];
        (none.evidence[0].snapshot, none.evidence[0].collected_at) = (None, None);
        let mut tx = store.begin().await.unwrap();
        keep(&mut tx, &[whole, part]).await;
        for one in [&first, &none] {
            runs::insert(&mut tx, one).await.unwrap();
        }
        tx.commit().await.unwrap();
        let mut tx = store.begin().await.unwrap();
        assert_eq!(
            runs::get(&mut tx, &first.id).await.unwrap(),
            Some(first.clone())
        );
        assert_eq!(runs::get(&mut tx, &"run-none".into()).await.unwrap(), None);
        assert_eq!(
            runs::last(&mut tx, &"a".into()).await.unwrap(),
            Some(none.clone())
        );
        assert_eq!(
            runs::last_counted(&mut tx, &"a".into()).await.unwrap(),
            Some(first.clone())
        );
        assert_eq!(
            runs::last_counted(&mut tx, &"b".into()).await.unwrap(),
            None
        );
        for (by, then) in [
            (first.instant, Some(first.clone())),
            (first.instant - TimeDelta::microseconds(1), None),
        ] {
            let found = runs::last_counted_by(&mut tx, &"a".into(), Some(by)).await;
            assert_eq!(found.unwrap(), then, "by {by}");
        }
        assert_eq!(
            runs::named(&mut tx, "01A").await.unwrap(),
            Found::One(first.clone())
        );
        assert_eq!(
            runs::named(&mut tx, "run-01b").await.unwrap(),
            Found::One(none.clone())
        );
        assert_eq!(
            runs::named(&mut tx, "run-0").await.unwrap(),
            Found::Several(vec!["run-01a".to_owned(), "run-01b".to_owned()])
        );
        assert_eq!(runs::named(&mut tx, "9").await.unwrap(), Found::Nothing);
        let error = runs::insert(&mut tx, &first).await.unwrap_err();
        assert_eq!(error.constraint(), Some(Constraint::Unique), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_run_over_a_snapshot_that_is_not_there_is_not_committed() {
    with_stores(async |store| {
        let missing = snapshot("snap-none", "secrets", Completeness::Complete, 0);
        let mut one = run("run-1", "a", 0);
        one.evidence = vec![used(&missing)];
        let mut tx = store.begin().await.unwrap();
        runs::insert(&mut tx, &one).await.unwrap();
        let error = tx.commit().await.unwrap_err();
        assert_eq!(error.constraint(), Some(Constraint::ForeignKey), "{error}");
        assert!(!error.is_transient());
        let mut tx = store.begin().await.unwrap();
        assert_eq!(runs::get(&mut tx, &one.id).await.unwrap(), None);
        // In the same transaction the order does not matter.
        runs::insert(&mut tx, &one).await.unwrap();
        snapshots::insert(&mut tx, &missing).await.unwrap();
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn runs_are_listed_newest_first_and_each_control_has_its_latest() {
    with_stores(async |store| {
        let mut tx = store.begin().await.unwrap();
        let mut all: Vec<Run> = Vec::new();
        for n in 0..12 {
            let control = match n % 3 {
                0 => "a",
                1 => "b",
                _ => "c",
            };
            let mut one = run(&format!("run-{n:02}"), control, n);
            one.not_checked = (n % 4 == 0).then_some(Unknown::Timeout);
            runs::insert(&mut tx, &one).await.unwrap();
            all.push(one);
        }
        let ids = |runs: Vec<Run>| runs.iter().map(|r| r.id.to_string()).collect::<Vec<_>>();
        let everything = Filter::default();
        let page = Page {
            limit: 3,
            offset: 1,
        };
        assert_eq!(
            ids(runs::list(&mut tx, &everything, page).await.unwrap()),
            ["run-10", "run-09", "run-08"]
        );
        let of_b = Filter {
            control: Some("b".into()),
            since: Some(at(4)),
            until: Some(at(10)),
            ..everything.clone()
        };
        assert_eq!(
            ids(runs::list(&mut tx, &of_b, Page::default()).await.unwrap()),
            ["run-07", "run-04"]
        );
        let not_checked = Filter {
            not_checked: Some(true),
            ..everything
        };
        assert_eq!(
            ids(runs::list(&mut tx, &not_checked, Page::ALL).await.unwrap()),
            ["run-08", "run-04", "run-00"]
        );
        let latest = runs::latest(&mut tx, &["c".into(), "a".into(), "none".into()])
            .await
            .unwrap();
        assert_eq!(latest, [all[9].clone(), all[11].clone()]);
        assert!(runs::latest(&mut tx, &[]).await.unwrap().is_empty());
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn the_newest_snapshot_is_found_whole_or_not_and_as_it_was_then() {
    with_stores(async |store| {
        let mut tx = store.begin().await.unwrap();
        let all = [
            snapshot("snap-1", "secrets", Completeness::Complete, 0),
            snapshot("snap-2", "secrets", Completeness::Unchanged, 100),
            snapshot("snap-3", "secrets", Completeness::Partial, 200),
            snapshot("snap-4", "users", Completeness::Failed, 300),
        ];
        keep(&mut tx, &all).await;
        let (secrets, users) = (
            DatasetName::new("aws", "secrets"),
            DatasetName::new("aws", "users"),
        );
        let mut newest = async |dataset: &DatasetName, which| {
            snapshots::newest(&mut tx, dataset, which)
                .await
                .unwrap()
                .map(|s| s.id.to_string())
        };
        assert_eq!(
            newest(&secrets, Newest::ANY).await.as_deref(),
            Some("snap-3")
        );
        assert_eq!(
            newest(&secrets, Newest::WHOLE).await.as_deref(),
            Some("snap-2")
        );
        assert_eq!(
            newest(&secrets, Newest::whole_by(at(104))).await.as_deref(),
            Some("snap-1"),
            "it had not ended"
        );
        assert_eq!(
            newest(&secrets, Newest::whole_by(at(105))).await.as_deref(),
            Some("snap-2")
        );
        assert_eq!(newest(&users, Newest::WHOLE).await, None);
        assert_eq!(
            snapshots::get(&mut tx, &"snap-3".into()).await.unwrap(),
            Some(all[2].clone())
        );
        assert_eq!(
            snapshots::named(&mut tx, "3").await.unwrap(),
            Found::One(all[2].clone())
        );
        let filter = snapshots::Filter {
            source: Some("aws".into()),
            status: vec![Completeness::Failed, Completeness::Partial],
            ..Default::default()
        };
        assert_eq!(
            snapshots::list(&mut tx, &filter, Page::ALL).await.unwrap(),
            [all[3].clone(), all[2].clone()]
        );
        let filter = snapshots::Filter {
            dataset: Some(secrets),
            since: Some(at(100)),
            ..Default::default()
        };
        assert_eq!(
            snapshots::list(&mut tx, &filter, Page::first(1))
                .await
                .unwrap(),
            [all[2].clone()]
        );
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_suspect_snapshot_is_accepted_by_a_person_once() {
    with_stores(async |store| {
        let mut tx = store.begin().await.unwrap();
        let suspect = snapshot("snap-1", "secrets", Completeness::Suspect, 0);
        keep(
            &mut tx,
            &[
                suspect.clone(),
                snapshot("snap-2", "secrets", Completeness::Failed, 1),
            ],
        )
        .await;
        let word = Acceptance {
            by: &"ada".into(),
            because: "the account was closed",
            at: at(50),
        };
        let want = Snapshot {
            status: Completeness::Complete,
            unknown: None,
            ..suspect
        };
        let done = snapshots::accept(&mut tx, &"snap-1".into(), &word)
            .await
            .unwrap();
        assert_eq!(done, Accepted::Done(Box::new(want)));
        let again = snapshots::accept(&mut tx, &"snap-1".into(), &word)
            .await
            .unwrap();
        assert_eq!(again, Accepted::NotSuspect(Completeness::Complete));
        let failed = snapshots::accept(&mut tx, &"snap-2".into(), &word)
            .await
            .unwrap();
        assert_eq!(failed, Accepted::NotSuspect(Completeness::Failed));
        assert_eq!(
            snapshots::accept(&mut tx, &"snap-9".into(), &word)
                .await
                .unwrap(),
            Accepted::Unknown
        );
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_definition_is_kept_once_under_the_digest_of_its_canonical_json() {
    with_stores(async |store| {
        let mut tx = store.begin().await.unwrap();
        let body = json!({ "b": [1, 2.5, null, "é\u{0}"], "a": { "y": true, "x": 1.0 } });
        let one = Definition {
            kind: Kind::Control,
            name: "a".to_owned(),
            body: body.clone(),
            first_seen: at(0),
        };
        let digest = definitions::put(&mut tx, &one).await.unwrap();
        assert_eq!(digest, Sha::of_json(&body));
        let later = Definition {
            first_seen: at(9),
            ..one.clone()
        };
        assert_eq!(definitions::put(&mut tx, &later).await.unwrap(), digest);
        let found = definitions::get(&mut tx, digest).await.unwrap().unwrap();
        assert_eq!(
            (found.first_seen, Sha::of_json(&found.body)),
            (at(0), digest)
        );
        let second = Definition {
            body: json!({ "b": 2 }),
            first_seen: at(5),
            ..one
        };
        definitions::put(&mut tx, &second).await.unwrap();
        let versions = definitions::versions(&mut tx, Kind::Control, "a")
            .await
            .unwrap();
        assert_eq!(
            versions
                .iter()
                .map(|(_, d)| d.first_seen)
                .collect::<Vec<_>>(),
            [at(0), at(5)]
        );
        assert!(
            definitions::versions(&mut tx, Kind::Policy, "a")
                .await
                .unwrap()
                .is_empty()
        );
        assert_eq!(
            definitions::get(&mut tx, Sha::of("none")).await.unwrap(),
            None
        );
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_definition_that_was_edited_in_the_database_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!(
        "sqlite:{}",
        folder.path().join("data/tripline.db").display()
    );
    let store = super::file(folder.path()).await;
    let mut tx = store.begin().await.unwrap();
    let one = Definition {
        kind: Kind::Policy,
        name: "p".to_owned(),
        body: json!({ "days": 90 }),
        first_seen: at(0),
    };
    let digest = definitions::put(&mut tx, &one).await.unwrap();
    tx.commit().await.unwrap();
    super::schema::raw(&address, "update definition set body = '{\"days\":120}'")
        .await
        .unwrap();
    let mut tx = store.read().await.unwrap();
    let error = definitions::get(&mut tx, digest).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Inconsistent {
                table: "definition",
                column: "body",
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn evidence_under_open_findings_is_known_and_an_object_goes_with_its_last_snapshot() {
    with_stores(async |store| {
        let mut tx = store.begin().await.unwrap();
        let mut all: Vec<Snapshot> = (0..6)
            .map(|n| {
                snapshot(
                    &format!("snap-{n}"),
                    "secrets",
                    Completeness::Complete,
                    n * 100,
                )
            })
            .collect();
        all[5].status = Completeness::Failed;
        // The same rows twice are one object.
        all[1].object = all[0].object;
        all[2].object = all[3].object;
        keep(&mut tx, &all).await;
        for (n, status) in [(3, Status::Open), (2, Status::Resolved)] {
            let id = format!("run-{n}");
            let mut one = run(&id, "a", 300);
            one.evidence = vec![used(&all[n])];
            runs::insert(&mut tx, &one).await.unwrap();
            let mut f = finding("a", &format!("s/k/{n}"), status);
            f.run = id.as_str().into();
            findings::apply(&mut tx, &[change(f, None)]).await.unwrap();
        }
        let ids = |some: &[Snapshot]| some.iter().map(|s| s.id.clone()).collect::<Vec<_>>();
        let under = retention::under_open_findings(&mut tx).await.unwrap();
        assert_eq!(under.into_iter().collect::<Vec<_>>(), ids(&all[3..4]));
        assert_eq!(
            retention::forget_snapshots(&mut tx, &ids(&all[..1]))
                .await
                .unwrap(),
            [],
            "snap-1 names it too"
        );
        let orphans = retention::forget_snapshots(&mut tx, &ids(&all[1..3]))
            .await
            .unwrap();
        assert_eq!(
            orphans,
            [all[0].object.unwrap()],
            "snap-3 still names the other"
        );
        assert!(
            retention::is_named(&mut tx, all[3].object.unwrap())
                .await
                .unwrap()
        );
        assert!(
            !retention::is_named(&mut tx, all[0].object.unwrap())
                .await
                .unwrap()
        );
        assert!(
            runs::get(&mut tx, &"run-2".into()).await.unwrap().is_some(),
            "the run outlives its evidence"
        );
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn old_runs_and_ticks_go_but_never_the_last_of_a_control() {
    with_stores(async |store| {
        let mut tx = store.begin().await.unwrap();
        for n in 0..6 {
            let mut one = run(&format!("run-{n}"), "a", n);
            one.counted = n < 3;
            runs::insert(&mut tx, &one).await.unwrap();
            let mut t = tick("a", n);
            t.state = if n == 1 {
                TickState::Due
            } else {
                TickState::Ran
            };
            t.cause = if n == 5 {
                Cause::Manual
            } else {
                Cause::Schedule
            };
            ticks::insert(&mut tx, &[t]).await.unwrap();
        }
        let mut f = finding("a", "s/k/1", Status::Clear);
        f.run = "run-0".into();
        findings::apply(&mut tx, &[change(f, None)]).await.unwrap();
        assert_eq!(
            retention::forget_runs(&mut tx, at(1)).await.unwrap(),
            0,
            "a finding speaks of it"
        );
        assert_eq!(retention::forget_runs(&mut tx, at(100)).await.unwrap(), 3);
        let left = runs::list(&mut tx, &Filter::default(), Page::ALL)
            .await
            .unwrap();
        // The last, the last that counted, and the one that a finding speaks of.
        assert_eq!(
            left.iter().map(|r| r.id.as_str()).collect::<Vec<_>>(),
            ["run-5", "run-2", "run-0"]
        );
        assert_eq!(retention::forget_ticks(&mut tx, at(100)).await.unwrap(), 3);
        let left = ticks::of_control(&mut tx, &"a".into(), Page::ALL)
            .await
            .unwrap();
        assert_eq!(
            left.iter().map(|t| t.scheduled_for).collect::<Vec<_>>(),
            [at(5), at(4), at(1)]
        );
        tx.commit().await.unwrap();
    })
    .await;
}
