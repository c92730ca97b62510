//! The audit log in the database: no gap, no fork, nothing taken back.

use std::collections::BTreeMap;

use tripline::{
    audit::{
        leaf::{Event, Fact, Leaf, Life},
        log::{self, Edge, Hashes},
    },
    model::{finding::Status, id::Sha},
    store::{
        Options, Store,
        audit::{self, Checkpoint, Head, Kept},
        findings, salts,
    },
};

use super::{
    at,
    samples::{change, finding, run, snapshot},
    schema::raw,
    with_shared_stores, with_stores,
};
use crate::systems::Database;

fn leaf(n: i64) -> Leaf {
    let life = Life {
        event: Event::Start,
        program: format!("1.0.{n}"),
        since: None,
    };
    Leaf::new(at(n), Fact::Life(life))
}

/// The log built anew from its leaves alone.
fn rebuilt(leaves: &[Kept]) -> Head {
    let mut edge = Edge::new(0, &Hashes::new()).unwrap();
    for (n, leaf) in leaves.iter().enumerate() {
        assert_eq!(leaf.seq, n as u64, "no gap");
        edge.append(&leaf.bytes).unwrap();
    }
    Head {
        size: edge.size(),
        root: edge.root().unwrap(),
    }
}

#[tokio::test]
async fn leaves_are_kept_byte_for_byte_and_their_tree_is_that_of_the_standard() {
    with_stores(async |store| {
        let mut written = Vec::new();
        for batch in [0..1, 1..1, 1..4, 4..30, 30..2500] {
            let leaves: Vec<Leaf> = batch.map(leaf).collect();
            let mut tx = store.begin().await.unwrap();
            let head = audit::append(&mut tx, &leaves).await.unwrap();
            written.extend(leaves);
            assert_eq!(head, audit::head(&mut tx).await.unwrap());
            assert_eq!(head.size, written.len() as u64);
            tx.commit().await.unwrap();
        }
        let mut tx = store.read().await.unwrap();
        let kept = audit::leaves(&mut tx, 0, u32::MAX).await.unwrap();
        for (kept, written) in kept.iter().zip(&written) {
            assert_eq!(kept.bytes, written.to_bytes().unwrap());
        }
        let head = audit::head(&mut tx).await.unwrap();
        assert_eq!(rebuilt(&kept), head);
        let page = audit::leaves(&mut tx, 2498, 10).await.unwrap();
        assert_eq!(page, kept[2498..]);
        // A proof from what is stored alone.
        let wanted = log::inclusion_indexes(head.size, 17).unwrap();
        let proof = log::inclusion(
            head.size,
            17,
            &audit::hashes(&mut tx, &wanted).await.unwrap(),
        )
        .unwrap();
        log::check_inclusion(
            &proof,
            (head.size, head.root),
            17,
            log::leaf_hash(&kept[17].bytes),
        )
        .unwrap();
        let old = audit::edge(&mut tx, 30).await.unwrap().root().unwrap();
        let wanted = log::consistency_indexes(head.size, 30).unwrap();
        let proof = log::consistency(
            head.size,
            30,
            &audit::hashes(&mut tx, &wanted).await.unwrap(),
        )
        .unwrap();
        log::check_consistency(&proof, (head.size, head.root), (30, old)).unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn forty_appends_at_once_leave_no_gap_and_no_fork() {
    with_shared_stores(async |store| {
        let appends = (0..40).map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut tx = store.begin().await.unwrap();
                let head = audit::append(&mut tx, &[leaf(2 * n), leaf(2 * n + 1)])
                    .await
                    .unwrap();
                if n % 4 == 3 {
                    return None;
                }
                tx.commit().await.unwrap();
                Some(head)
            })
        });
        let heads: Vec<Head> = futures::future::join_all(appends)
            .await
            .into_iter()
            .filter_map(Result::unwrap)
            .collect();
        let mut tx = store.read().await.unwrap();
        let kept = audit::leaves(&mut tx, 0, u32::MAX).await.unwrap();
        assert_eq!(
            (heads.len(), kept.len()),
            (30, 60),
            "what was not committed left nothing"
        );
        assert_eq!(rebuilt(&kept), audit::head(&mut tx).await.unwrap());
        let by_size: BTreeMap<u64, Sha> = heads.iter().map(|h| (h.size, h.root)).collect();
        assert_eq!(by_size.len(), 30);
        for (size, root) in by_size {
            assert_eq!(
                audit::edge(&mut tx, size).await.unwrap().root().unwrap(),
                root
            );
        }
    })
    .await;
}

#[tokio::test]
async fn a_fact_and_its_leaf_are_true_together_or_not_at_all() {
    with_stores(async |store| {
        let changes = [change(finding("a", "s/k/1", Status::Open), None)];
        let leaves = Leaf::of_run(&run("run-1", "a", 0), &changes);
        for commit in [false, true] {
            let mut tx = store.begin().await.unwrap();
            findings::apply(&mut tx, &changes).await.unwrap();
            audit::append(&mut tx, &leaves).await.unwrap();
            if commit {
                tx.commit().await.unwrap();
            } else {
                drop(tx);
            }
            let mut tx = store.read().await.unwrap();
            let known = findings::of_control(&mut tx, &"a".into()).await.unwrap();
            let size = audit::size(&mut tx).await.unwrap();
            assert_eq!((known.len(), size), if commit { (1, 2) } else { (0, 0) });
        }
    })
    .await;
}

#[tokio::test]
async fn leaves_are_found_by_what_they_speak_of_and_when() {
    with_stores(async |store| {
        let mut tx = store.begin().await.unwrap();
        let changes = [
            change(finding("a", "s/k/1", Status::Open), None),
            change(finding("a", "s/k/2", Status::Open), None),
        ];
        let one = snapshot(
            "snap-1",
            "secrets",
            tripline::model::snapshot::Completeness::Complete,
            0,
        );
        let mut leaves = vec![Leaf::of_snapshot(&one)];
        leaves.extend(Leaf::of_run(&run("run-1", "a", 100), &changes));
        leaves.push(leaf(200));
        audit::append(&mut tx, &leaves).await.unwrap();
        let key = changes[1].finding.key.to_string();
        for (id, want) in [
            ("snap-1", vec![0]),
            ("run-1", vec![1]),
            (&key, vec![3]),
            ("none", vec![]),
        ] {
            let found = audit::leaves_about(&mut tx, id).await.unwrap();
            assert_eq!(
                found.iter().map(|k| k.seq).collect::<Vec<_>>(),
                want,
                "{id}"
            );
        }
        assert_eq!(audit::first_since(&mut tx, at(0)).await.unwrap(), Some(0));
        assert_eq!(audit::first_since(&mut tx, at(101)).await.unwrap(), Some(1));
        assert_eq!(audit::first_since(&mut tx, at(200)).await.unwrap(), Some(4));
        assert_eq!(audit::first_since(&mut tx, at(201)).await.unwrap(), None);
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_signed_head_is_kept_once() {
    with_stores(async |store| {
        let mut tx = store.begin().await.unwrap();
        assert_eq!(audit::last_checkpoint(&mut tx).await.unwrap(), None);
        let signed = |size| Checkpoint {
            size,
            note: format!("log\n{size}\n"),
            at: at(0),
        };
        for size in [3, 1, 2] {
            assert!(
                audit::keep_checkpoint(&mut tx, &signed(size))
                    .await
                    .unwrap()
            );
        }
        let again = Checkpoint {
            note: "another".to_owned(),
            ..signed(2)
        };
        assert!(!audit::keep_checkpoint(&mut tx, &again).await.unwrap());
        assert_eq!(
            audit::last_checkpoint(&mut tx).await.unwrap(),
            Some(signed(3))
        );
        assert_eq!(
            audit::checkpoints(&mut tx, 2, 10).await.unwrap(),
            [signed(2), signed(3)]
        );
        assert_eq!(
            audit::checkpoints(&mut tx, 0, 1).await.unwrap(),
            [signed(1)]
        );
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_salt_stays_until_it_is_erased() {
    with_stores(async |store| {
        let mut tx = store.begin().await.unwrap();
        assert_eq!(salts::get(&mut tx, "person:ada").await.unwrap(), None);
        assert_eq!(
            salts::get_or_set(&mut tx, "person:ada", [1; 16])
                .await
                .unwrap(),
            [1; 16]
        );
        assert_eq!(
            salts::get_or_set(&mut tx, "person:ada", [2; 16])
                .await
                .unwrap(),
            [1; 16]
        );
        assert!(salts::erase(&mut tx, "person:ada").await.unwrap());
        assert!(!salts::erase(&mut tx, "person:ada").await.unwrap());
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn the_database_refuses_to_take_back_what_was_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let mut addresses = vec![format!("sqlite:{}", folder.path().join("t.db").display())];
    addresses.extend(Database::open().await.map(|d| d.url));
    for address in addresses {
        let store = Store::open(&Options::from_address(&address).unwrap())
            .await
            .unwrap();
        store.migrate().await.unwrap();
        let mut tx = store.begin().await.unwrap();
        audit::append(&mut tx, &[leaf(0), leaf(1)]).await.unwrap();
        let signed = Checkpoint {
            size: 2,
            note: "n".to_owned(),
            at: at(0),
        };
        audit::keep_checkpoint(&mut tx, &signed).await.unwrap();
        tx.commit().await.unwrap();
        let mut tx = store.read().await.unwrap();
        let before = (
            audit::leaves(&mut tx, 0, 10).await.unwrap(),
            audit::head(&mut tx).await.unwrap(),
        );
        drop(tx);
        let mut attacks = vec![
            "update audit_leaf set kind = 'x' where seq = 0",
            "delete from audit_leaf where seq = 1",
            "update audit_hash set hash = hash where stored_index = 0",
            "delete from audit_hash",
            "update audit_checkpoint set note = 'x'",
            "delete from audit_checkpoint",
            "update audit_head set size = 1",
            "delete from audit_head",
            "insert into audit_head (id, size) values (1, 0)",
        ];
        if address.starts_with("sqlite:") {
            attacks.extend([
                "insert or replace into audit_leaf select seq, 'x', about, at, bytes from audit_leaf",
                "insert or replace into audit_hash select stored_index, x'00' from audit_hash",
                "insert or replace into audit_checkpoint values (2, 'x', '2026-01-01T00:00:00+00:00')",
                "insert or replace into audit_head (id, size) values (1, 0)",
            ]);
        } else {
            attacks.extend([
                "truncate audit_leaf",
                "truncate audit_hash",
                "truncate audit_checkpoint",
                "truncate audit_head",
            ]);
        }
        for attack in attacks {
            let said = raw(&address, attack).await.unwrap_err().to_string();
            assert!(
                said.contains("append-only")
                    || said.contains("only grows")
                    || said.contains("unique"),
                "{attack}: {said}"
            );
        }
        let mut tx = store.read().await.unwrap();
        assert_eq!(
            (
                audit::leaves(&mut tx, 0, 10).await.unwrap(),
                audit::head(&mut tx).await.unwrap()
            ),
            before
        );
    }
}

#[tokio::test]
async fn a_log_whose_hashes_are_gone_is_not_continued() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!(
        "sqlite:{}",
        folder.path().join("data/tripline.db").display()
    );
    let store = super::file(folder.path()).await;
    let mut tx = store.begin().await.unwrap();
    audit::append(&mut tx, &[leaf(0)]).await.unwrap();
    tx.commit().await.unwrap();
    raw(&address, "drop trigger audit_hash_delete")
        .await
        .unwrap();
    raw(&address, "delete from audit_hash").await.unwrap();
    let mut tx = store.begin().await.unwrap();
    let error = audit::append(&mut tx, &[leaf(1)]).await.unwrap_err();
    assert_eq!(error.to_string(), "the audit log cannot be continued");
}
