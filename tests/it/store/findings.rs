//! Findings: written when they changed, read back as they were, found by every name.

use proptest::prelude::*;
use tripline::{
    model::{
        finding::{Effect, Finding, Origin, Reason, State, Status},
        id::{FindingKey, Sha},
        outcome::{Authority, Unknown},
        policy::Severity,
    },
    store::{
        Error, Found, Page, Store,
        findings::{self, Filter, Order, Owned},
        transitions,
    },
};

use super::{
    at, memory, postgres,
    samples::{change, finding},
    with_shared_stores, with_stores,
};

/// Writes findings as new ones.
async fn keep(store: &Store, new: &[Finding]) {
    let mut tx = store.begin().await.unwrap();
    let changes: Vec<_> = new.iter().map(|f| change(f.clone(), None)).collect();
    findings::apply(&mut tx, &changes).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_finding_is_read_back_as_it_was_written() {
    with_stores(async |store| {
        let mut odd = finding("b", "aws/secret/x", Status::Suspect);
        odd.rows[0].insert(
            "é \u{0} \\u0000".to_owned(),
            serde_json::json!({ "b": 1, "a": [true] }),
        );
        odd.owners = Vec::new();
        odd.covered_by = Some("EXC-2026-0001".into());
        let all = [
            finding("a", "aws/secret/b", Status::Open),
            finding("a", "aws/secret/a", Status::Clear),
            odd,
        ];
        keep(&store, &all).await;
        let mut tx = store.read().await.unwrap();
        let of_a = findings::of_control(&mut tx, &"a".into()).await.unwrap();
        assert_eq!(of_a, [all[1].clone(), all[0].clone()]);
        let odd = findings::get(&mut tx, all[2].key).await.unwrap().unwrap();
        assert_eq!(odd, all[2]);
        let order = |f: &Finding| f.rows[0].keys().cloned().collect::<Vec<_>>();
        assert_eq!(
            order(&odd),
            order(&all[2]),
            "columns stay in the order of the evidence"
        );
        assert_eq!(
            findings::get(&mut tx, FindingKey(Sha::of("none")))
                .await
                .unwrap(),
            None
        );
        assert_eq!(
            findings::controls(&mut tx).await.unwrap(),
            ["a".into(), "b".into()]
        );
        let subjects = findings::subjects(&mut tx, &"a".into()).await.unwrap();
        assert_eq!(subjects, ["aws/secret/a".into(), "aws/secret/b".into()]);
        assert_eq!(
            findings::of_subject(&mut tx, &"aws/secret/x".into())
                .await
                .unwrap(),
            [all[2].clone()]
        );
    })
    .await;
}

#[tokio::test]
async fn only_what_changed_is_written() {
    with_stores(async |store| {
        let first = finding("a", "s/k/1", Status::Suspect);
        let mut tx = store.begin().await.unwrap();
        let mut changes = vec![
            change(first.clone(), None),
            change(finding("a", "s/k/2", Status::Clear), None),
        ];
        changes[1].dirty = false;
        assert_eq!(findings::apply(&mut tx, &changes).await.unwrap(), 1);
        assert_eq!(
            findings::of_control(&mut tx, &"a".into()).await.unwrap(),
            std::slice::from_ref(&first)
        );
        tx.commit().await.unwrap();

        let mut tx = store.begin().await.unwrap();
        for c in &mut changes {
            c.dirty = false;
        }
        assert_eq!(findings::apply(&mut tx, &changes).await.unwrap(), 0);
        assert_eq!(tx.written(), 0, "a run that changes nothing writes nothing");
        drop(tx);

        let mut later = Finding {
            changed_at: at(99),
            run: "run-2".into(),
            owners: vec!["bo".to_owned()],
            ..first.clone()
        };
        later.state.status = Status::Open;
        later.first_seen = at(50);
        let mut tx = store.begin().await.unwrap();
        findings::apply(&mut tx, &[change(later.clone(), Some(Status::Suspect))])
            .await
            .unwrap();
        later.first_seen = first.first_seen;
        assert_eq!(
            findings::get(&mut tx, first.key).await.unwrap(),
            Some(later),
            "the first sight stays"
        );
        let owned = |name: &str| Filter {
            owned: Some(Owned {
                names: vec![name.to_owned()],
                controls: Vec::new(),
            }),
            ..Filter::default()
        };
        assert_eq!(findings::count(&mut tx, &owned("bo")).await.unwrap(), 1);
        assert_eq!(findings::count(&mut tx, &owned("ada")).await.unwrap(), 0);
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn one_finding_twice_in_one_run_is_refused_alike() {
    with_stores(async |store| {
        let mut tx = store.begin().await.unwrap();
        let twice = change(finding("a", "s/k/1", Status::Open), None);
        let error = findings::apply(&mut tx, &[twice.clone(), twice])
            .await
            .unwrap_err();
        assert!(
            matches!(
                error,
                Error::Inconsistent {
                    table: "finding",
                    ..
                }
            ),
            "{error}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_finding_is_found_by_the_beginning_of_its_key() {
    with_stores(async |store| {
        let all: Vec<Finding> = (0..40)
            .map(|n| finding("a", &format!("s/k/{n}"), Status::Open))
            .collect();
        keep(&store, &all).await;
        let mut tx = store.read().await.unwrap();
        for one in &all {
            let long = findings::named(&mut tx, &one.key.to_string())
                .await
                .unwrap();
            assert_eq!(long, Found::One(one.clone()));
            let short = findings::named(
                &mut tx,
                &one.key.short().to_uppercase().replace("FND", "fnd"),
            )
            .await
            .unwrap();
            assert_eq!(short, Found::One(one.clone()));
        }
        // Forty keys share sixteen first digits.
        let shared = "0123456789abcdef"
            .chars()
            .map(String::from)
            .max_by_key(|d| {
                all.iter()
                    .filter(|f| f.key.to_string().starts_with(d))
                    .count()
            })
            .unwrap();
        let Found::Several(names) = findings::named(&mut tx, &shared).await.unwrap() else {
            panic!("{shared}")
        };
        assert!(
            names.len() >= 2 && names.iter().all(|n| n.starts_with("fnd-")),
            "{names:?}"
        );
        for nobody in ["", "fnd-", "zz", "' or 1=1", "0000000000000000"] {
            assert_eq!(
                findings::named(&mut tx, nobody).await.unwrap(),
                Found::Nothing,
                "{nobody}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn lists_are_filtered_ordered_and_paged() {
    with_stores(async |store| {
        let mut all = Vec::new();
        for (n, status, severity) in [
            (0, Status::Open, Severity::Low),
            (1, Status::Clearing, Severity::Critical),
            (2, Status::Flapping, Severity::High),
            (3, Status::Clear, Severity::Critical),
            (4, Status::Resolved, Severity::Medium),
        ] {
            let odd = n % 2 == 1;
            let mut f = finding(if odd { "b" } else { "a" }, &format!("s/k/{n}"), status);
            f.severity = severity;
            f.first_seen = at(n);
            f.changed_at = at(100 - n);
            f.owners = match n {
                0 => Vec::new(),
                _ => vec![if odd { "Ada" } else { "ada" }.to_owned()],
            };
            f.covered_by = (n == 2).then(|| "EXC-1".into());
            f.state.unverified_since = (n == 1).then(|| at(1));
            all.push(f);
        }
        keep(&store, &all).await;
        let mut tx = store.read().await.unwrap();
        let everything = Filter::default();
        let cases: Vec<(Filter, Vec<usize>)> = vec![
            (everything.clone(), vec![1, 3, 2, 4, 0]),
            (
                Filter {
                    open: true,
                    ..everything.clone()
                },
                vec![1, 2, 0],
            ),
            (
                Filter {
                    status: vec![Status::Clear, Status::Open],
                    ..everything.clone()
                },
                vec![3, 0],
            ),
            (
                Filter {
                    severity: vec![Severity::Critical],
                    ..everything.clone()
                },
                vec![1, 3],
            ),
            (
                Filter {
                    controls: vec!["b".into()],
                    ..everything.clone()
                },
                vec![1, 3],
            ),
            (
                Filter {
                    subject: Some("s/k/4".into()),
                    ..everything.clone()
                },
                vec![4],
            ),
            (
                Filter {
                    covered: Some(true),
                    ..everything.clone()
                },
                vec![2],
            ),
            (
                Filter {
                    covered: Some(false),
                    open: true,
                    ..everything.clone()
                },
                vec![1, 0],
            ),
            (
                Filter {
                    unverified: Some(true),
                    ..everything.clone()
                },
                vec![1],
            ),
            (
                Filter {
                    changed_since: Some(at(98)),
                    ..everything.clone()
                },
                vec![1, 2, 0],
            ),
            (owned(&["ada"], &[]), vec![2, 4]),
            (owned(&["Ada"], &[]), vec![1, 3]),
            (owned(&["ada"], &["a"]), vec![2, 4, 0]),
            (owned(&[], &["a", "b"]), vec![0]),
            (owned(&[], &[]), vec![]),
        ];
        for (filter, want) in cases {
            let want: Vec<Finding> = want.into_iter().map(|n| all[n].clone()).collect();
            let found = findings::list(&mut tx, &filter, Order::Worst, Page::ALL)
                .await
                .unwrap();
            assert_eq!(found, want, "{filter:?}");
            assert_eq!(
                findings::count(&mut tx, &filter).await.unwrap(),
                want.len() as u64
            );
        }
        let page = Page {
            limit: 2,
            offset: 1,
        };
        let newest = findings::list(&mut tx, &everything, Order::Newest, page)
            .await
            .unwrap();
        assert_eq!(newest, [all[1].clone(), all[2].clone()]);
        let tally = findings::tally(&mut tx).await.unwrap();
        assert_eq!(tally.iter().map(|t| t.findings).sum::<u64>(), 5);
        assert!(
            tally
                .iter()
                .any(|t| t.covered && t.status == Status::Flapping && t.findings == 1)
        );
        assert!(
            tally
                .iter()
                .any(|t| t.unverified && t.control.as_str() == "b")
        );
    })
    .await;
}

fn owned(names: &[&str], controls: &[&str]) -> Filter {
    let owned = Owned {
        names: names.iter().map(|n| (*n).to_owned()).collect(),
        controls: controls.iter().map(|c| (*c).into()).collect(),
    };
    Filter {
        owned: Some(owned),
        ..Filter::default()
    }
}

#[tokio::test]
async fn the_timeline_keeps_what_moved_and_what_was_told_and_each_run_once() {
    with_stores(async |store| {
        let mut f = finding("a", "s/k/1", Status::Suspect);
        f.state.transition = 1;
        let mut first = change(f.clone(), None);
        (first.effect, first.reason) = (Some(Effect::Recheck), Reason::AwaitingConfirmation);
        f.state = State {
            status: Status::Open,
            transition: 2,
            ..f.state
        };
        (f.run, f.changed_at) = ("run-2".into(), at(60));
        let second = change(f.clone(), Some(Status::Suspect));
        (f.run, f.changed_at) = ("run-3".into(), at(120));
        let mut third = change(f.clone(), Some(Status::Open));
        (third.effect, third.reason) = (None, Reason::StillOpen);
        let mut tx = store.begin().await.unwrap();
        for c in [&first, &second, &second, &third] {
            findings::apply(&mut tx, std::slice::from_ref(c))
                .await
                .unwrap();
        }
        let timeline = transitions::of_finding(&mut tx, f.key).await.unwrap();
        let seen: Vec<_> = timeline
            .iter()
            .map(|t| (t.number, t.before, t.after, t.effect, t.reason))
            .collect();
        assert_eq!(
            seen,
            [
                (
                    1,
                    None,
                    Status::Suspect,
                    Some(Effect::Recheck),
                    Reason::AwaitingConfirmation
                ),
                (
                    2,
                    Some(Status::Suspect),
                    Status::Open,
                    Some(Effect::Opened),
                    Reason::Confirmed
                ),
            ]
        );
        assert_eq!(
            transitions::between(&mut tx, at(10), at(60)).await.unwrap(),
            timeline[..1]
        );
        assert_eq!(
            transitions::between(&mut tx, at(60), at(61)).await.unwrap(),
            timeline[1..]
        );
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_transaction_that_is_dropped_between_two_statements_leaves_no_trace() {
    with_stores(async |store| {
        let mut tx = store.begin().await.unwrap();
        findings::apply(
            &mut tx,
            &[change(finding("a", "s/k/1", Status::Open), None)],
        )
        .await
        .unwrap();
        drop(tx);
        let mut tx = store.begin().await.unwrap();
        findings::apply(
            &mut tx,
            &[change(finding("a", "s/k/2", Status::Open), None)],
        )
        .await
        .unwrap();
        tx.rollback().await.unwrap();
        // A future that is dropped while a statement runs, as when a task is aborted.
        let mut tx = store.begin().await.unwrap();
        let many: Vec<_> = (0..2000)
            .map(|n| change(finding("a", &format!("s/k/{n}"), Status::Open), None))
            .collect();
        {
            let apply = findings::apply(&mut tx, &many);
            tokio::pin!(apply);
            for _ in 0..3 {
                assert!(futures::poll!(&mut apply).is_pending(), "it is cut short");
                tokio::task::yield_now().await;
            }
        }
        drop(tx);
        let mut tx = store.read().await.unwrap();
        let left = findings::count(&mut tx, &Filter::default()).await.unwrap();
        let timeline = transitions::between(&mut tx, at(-1_000_000), at(1_000_000))
            .await
            .unwrap();
        assert_eq!((left, timeline.len()), (0, 0));
    })
    .await;
}

#[tokio::test]
async fn a_row_that_somebody_else_spoilt_names_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!(
        "sqlite:{}",
        folder.path().join("data/tripline.db").display()
    );
    let store = super::file(folder.path()).await;
    let f = finding("a", "s/k/1", Status::Open);
    keep(&store, std::slice::from_ref(&f)).await;
    super::schema::raw(&address, "update finding set status = 'resolved'")
        .await
        .unwrap();
    let mut tx = store.read().await.unwrap();
    let error = findings::of_control(&mut tx, &"a".into())
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "table `finding`, row `{}`: `status` cannot be read back",
            f.key
        )
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_runs_of_one_control_decide_one_after_the_other() {
    with_shared_stores(async |store| {
        keep(&store, &[finding("a", "s/k/1", Status::Open)]).await;
        // Each adds one to what it read; none may be lost.
        let runs = (0..20).map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut tx = store.begin().await.unwrap();
                let mut known = findings::of_control(&mut tx, &"a".into()).await.unwrap();
                let mut f = known.remove(0);
                f.row_count += 1;
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
                findings::apply(&mut tx, &[change(f, Some(Status::Open))])
                    .await
                    .unwrap();
                tx.commit().await.unwrap();
            })
        });
        for run in futures::future::join_all(runs).await {
            run.unwrap();
        }
        let mut tx = store.read().await.unwrap();
        assert_eq!(
            findings::of_control(&mut tx, &"a".into()).await.unwrap()[0].row_count,
            21
        );
    })
    .await;
}

#[tokio::test]
async fn ten_thousand_findings_are_written_in_one_transaction() {
    with_stores(async |store| {
        let all: Vec<_> = (0..10_000)
            .map(|n| {
                change(
                    finding("a", &format!("aws/secret/prod/service-{n}"), Status::Open),
                    None,
                )
            })
            .collect();
        let begin = std::time::Instant::now();
        let mut tx = store.begin().await.unwrap();
        assert_eq!(findings::apply(&mut tx, &all).await.unwrap(), 10_000);
        let applied = begin.elapsed();
        tx.commit().await.unwrap();
        let committed = begin.elapsed();
        let mut tx = store.read().await.unwrap();
        assert_eq!(
            findings::count(
                &mut tx,
                &Filter {
                    open: true,
                    ..Filter::default()
                }
            )
            .await
            .unwrap(),
            10_000
        );
        let begin = std::time::Instant::now();
        let known = findings::of_control(&mut tx, &"a".into()).await.unwrap();
        assert_eq!(known.len(), 10_000);
        println!(
            "{:?}: applied {applied:?}, committed {committed:?}, read {:?}",
            store.engine(),
            begin.elapsed()
        );
    })
    .await;
}

fn word<T: Copy + std::fmt::Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = T> {
    proptest::sample::select(all)
}

prop_compose! {
    fn any_finding()(
        subject in "[a-z]{1,3}/[a-z]{1,3}/\\PC{0,12}",
        status in word(Status::ALL),
        severity in word(Severity::ALL),
        origin in word(Origin::ALL),
        unverified in proptest::option::of(word(Unknown::ALL)),
        numbers in any::<(u32, u32, u32, u32, u32)>(),
        micros in proptest::collection::vec(0_i64..4_000_000_000_000_000, 8),
        present in any::<[bool; 4]>(),
        owners in proptest::collection::vec("\\PC{0,8}", 0..3),
        keys in proptest::collection::vec(".{0,6}", 0..3),
        texts in proptest::collection::vec(".{0,10}", 0..3),
        row_count in 0_u64..=i64::MAX as u64,
    ) -> Finding {
        let time = |n: usize| chrono::DateTime::from_timestamp_micros(micros[n]).unwrap();
        let mut f = finding("a", &subject, status);
        f.state = State {
            status, origin, unverified,
            fails: numbers.0, passes: numbers.1, episode: numbers.2, absences: numbers.3, transition: numbers.4,
            history: "FP".repeat(numbers.0 as usize % 10),
            announced: present[0],
            opened_at: present[1].then(|| time(0)),
            openings: vec![time(1), time(2)],
            resolved_at: present[2].then(|| time(3)),
            unverified_since: present[3].then(|| time(4)),
            left: present[1].then_some(Authority::Inventory),
            interrupted: present[2],
        };
        f.severity = severity;
        f.owners = owners.into_iter().map(|o| o.replace('\0', "")).collect();
        f.rows = vec![keys.iter().zip(&texts).map(|(k, t)| (k.clone(), serde_json::json!([t, numbers.0, null, { "n": 0.1 }]))).collect()];
        f.facts = keys.iter().cloned().zip(texts.iter().cloned()).collect();
        f.fingerprint = keys.iter().map(|k| (k.clone(), texts.clone())).collect();
        f.row_count = row_count;
        f.first_seen = time(5);
        f.changed_at = time(6);
        f
    }
}

#[test]
fn any_finding_is_read_back_as_it_was_written() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let stores: Vec<Store> = runtime.block_on(async {
        [Some(memory().await), postgres().await]
            .into_iter()
            .flatten()
            .collect()
    });
    let config = ProptestConfig {
        cases: 200,
        ..ProptestConfig::default()
    };
    proptest!(config, |(f in any_finding())| {
        for store in &stores {
            runtime.block_on(async {
                let mut tx = store.begin().await.unwrap();
                findings::apply(&mut tx, &[change(f.clone(), None)]).await.unwrap();
                prop_assert_eq!(findings::get(&mut tx, f.key).await.unwrap(), Some(f.clone()));
                tx.rollback().await.unwrap();
                Ok(())
            })?;
        }
    });
}
