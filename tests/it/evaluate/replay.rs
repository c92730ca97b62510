//! The same evidence gives the same answer: in whatever order rows were read, whoever was known before, and
//! whether the engine could prove that a row stands alone or had to group. And it is the right answer, by a
//! second judge that is nothing but a loop.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};
use tripline::{
    evaluate::{Condition, Engine, Limits, Told},
    model::{
        id::SubjectId,
        outcome::{Counts, Evaluation, Observed, Outcome, Row, Unknown},
    },
};

use super::case::{self, Case};

/// A row as its columns: name, place, whether it is bad.
type Plain = (Option<String>, i64, Option<bool>);

fn rows() -> impl Strategy<Value = Vec<Plain>> {
    let name = prop_oneof![
        1 => Just(None),
        1 => Just(Some(String::new())),
        8 => "[a-c]/?[a-c]?".prop_map(Some),
    ];
    let bad = prop_oneof![1 => Just(None), 4 => any::<bool>().prop_map(Some)];
    proptest::collection::vec((name, 0..3_i64, bad), 1..40)
}

fn story(rows: &[Plain], key: &[&str], subject: &str, known: &[&str]) -> Case {
    let rows: Vec<Value> = rows
        .iter()
        .map(|(name, place, bad)| json!({ "name": name, "place": place, "bad": bad }))
        .collect();
    serde_json::from_value(json!({
        "note": "", "now": "2026-11-20T00:00:00Z",
        "datasets": { "a.b": { "columns": { "name": "text", "place": "int", "bad": "bool" }, "key": key, "rows": rows } },
        "evidence": "SELECT * FROM a.b", "subject": subject, "condition": "bad", "known": known,
        "fingerprint": ["place"], "want": {},
    }))
    .unwrap()
}

fn judge(case: &Case) -> Evaluation {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let (_folder, archive) = case::archive();
    runtime.block_on(case::run(case, &archive, &Limits::default()))
}

/// What several conditions say of the rows of a story, in one pass.
fn judge_each(case: &Case, asked: &[&str], told: Told) -> Vec<Evaluation> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let (_folder, archive) = case::archive();
    let conditions: Vec<Condition<'_>> = asked
        .iter()
        .map(|fails_when| Condition {
            fails_when,
            params: &case.params,
        })
        .collect();
    runtime.block_on(async {
        let evidence = case::evidence(case, &archive).await;
        let engine = Engine::new(archive.clone(), &Limits::default()).unwrap();
        let control = case::control(case);
        let all = engine.conditions(&control, (&conditions, told), &evidence, case.now);
        all.await.unwrap()
    })
}

/// Worst first, as subjects are judged: fail, then unknown, then pass.
fn by_hand(rows: &[Plain], with_place: bool) -> (Counts, BTreeMap<SubjectId, Outcome>) {
    let mut subjects: BTreeMap<String, u8> = BTreeMap::new();
    let mut unnamed = 0;
    for (name, place, bad) in rows {
        let Some(name) = name.as_deref().filter(|n| !n.is_empty()) else {
            unnamed += 1;
            continue;
        };
        let id = if with_place {
            format!("a/b/{name}/{place}")
        } else {
            format!("a/b/{name}")
        };
        let rank = match bad {
            Some(true) => 0,
            None => 1,
            Some(false) => 2,
        };
        let worst = subjects.entry(id).or_insert(rank);
        *worst = rank.min(*worst);
    }
    let count = |rank| subjects.values().filter(|r| **r == rank).count() as u64;
    let counts = Counts {
        population: subjects.len() as u64 + unnamed,
        pass: count(2),
        fail: count(0),
        unknown: count(1) + unnamed,
    };
    let told = subjects
        .into_iter()
        .filter(|(_, rank)| *rank < 2)
        .map(|(id, rank)| {
            let outcome = if rank == 0 {
                Outcome::Fail
            } else {
                Outcome::Unknown(Unknown::NullCondition)
            };
            (SubjectId::from(id), outcome)
        });
    (counts, told.collect())
}

fn named(evaluation: &Evaluation) -> BTreeMap<SubjectId, Outcome> {
    evaluation
        .observed
        .iter()
        .filter(|o| o.outcome != Outcome::Unknown(Unknown::Unnamed))
        .map(|o| (o.subject.clone(), o.outcome))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn outcomes_do_not_depend_on_the_order_of_rows(rows in rows(), seed in any::<u64>()) {
        let mut shuffled = rows.clone();
        let mut state = seed | 1;
        for i in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            shuffled.swap(i, usize::try_from(state >> 33).unwrap() % (i + 1));
        }
        for (subject, with_place) in [("a/b/{name}", false), ("a/b/{name}/{place}", true)] {
            let one = judge(&story(&rows, &[], subject, &[]));
            let two = judge(&story(&shuffled, &[], subject, &[]));
            prop_assert_eq!(&one, &two);
            let (counts, told) = by_hand(&rows, with_place);
            prop_assert_eq!(one.counts, counts);
            prop_assert_eq!(named(&one), told);
        }
    }

    #[test]
    fn a_proof_changes_the_work_and_not_the_answer(rows in rows()) {
        let mut rows: Vec<Plain> = rows.into_iter().filter(|r| r.0.as_deref().is_some_and(|n| !n.is_empty())).collect();
        rows.sort();
        rows.dedup_by_key(|r| (r.0.clone(), r.1));
        prop_assume!(!rows.is_empty());
        for subject in ["a/b/{name}", "a/b/{name}/{place}"] {
            let proved = judge(&story(&rows, &["name", "place"], subject, &["a/b/a"]));
            let grouped = judge(&story(&rows, &[], subject, &["a/b/a"]));
            prop_assert_eq!(proved, grouped);
        }
    }

    #[test]
    fn several_conditions_in_one_pass_say_what_each_says_alone(rows in rows()) {
        let asked = ["bad", "place > 1", "bad AND place < 2", "NOT bad", "name < 'b'", "false"];
        for (key, subject) in [(&[] as &[&str], "a/b/{name}"), (&["name", "place"], "a/b/{name}/{place}")] {
            let mut rows = rows.clone();
            if !key.is_empty() {
                rows.retain(|r| r.0.as_deref().is_some_and(|n| !n.is_empty()));
                rows.sort();
                rows.dedup_by_key(|r| (r.0.clone(), r.1));
            }
            let story = story(&rows, key, subject, &[]);
            let outcomes = judge_each(&story, &asked, Told::Outcomes);
            let together = judge_each(&story, &asked, Told::Rows);
            for ((condition, together), outcomes) in asked.iter().zip(together).zip(outcomes) {
                let mut one = story.clone();
                one.condition = (*condition).to_owned();
                let alone = judge(&one);
                prop_assert_eq!(told(&together), told(&alone), "{}", condition);
                prop_assert_eq!(together.counts, alone.counts, "{}", condition);
                prop_assert_eq!(together.digest, alone.digest, "{}", condition);
                prop_assert_eq!((outcomes.counts, outcomes.digest), (alone.counts, alone.digest), "{}", condition);
            }
        }
    }
}

/// What is said of whatever does not pass, with its rows.
fn told(evaluation: &Evaluation) -> Vec<&Observed> {
    let all = evaluation.observed.iter();
    all.filter(|o| o.outcome != Outcome::Pass).collect()
}

#[test]
fn what_one_condition_cannot_compute_is_nothing_to_the_others() {
    let rows: Vec<Plain> = [("a", Some(true)), ("b", None)]
        .map(|(name, bad)| (Some(name.to_owned()), 0, bad))
        .to_vec();
    let story = story(&rows, &["name"], "a/b/{name}", &[]);
    let all = judge_each(
        &story,
        &["bad", "CAST(name AS INT) = 1", "place = 0"],
        Told::Outcomes,
    );
    assert_eq!([all[0].counts.fail, all[0].counts.unknown], [1, 1]);
    let (why, _) = all[1].not_checked.as_ref().unwrap();
    assert_eq!(*why, Unknown::TypeError);
    assert_eq!(all[2].counts.fail, 2);
}

#[test]
fn a_replay_has_the_digest_of_its_run_whoever_was_known() {
    let rows: Vec<Plain> = ["a", "b", "c"]
        .into_iter()
        .zip([Some(true), Some(false), None])
        .map(|(name, bad)| (Some(name.to_owned()), 0, bad))
        .collect();
    let run = judge(&story(
        &rows,
        &["name"],
        "a/b/{name}",
        &["a/b/b", "a/b/gone"],
    ));
    let replay = judge(&story(&rows, &["name"], "a/b/{name}", &[]));
    assert_eq!(run.observed.len(), 3);
    assert_eq!(replay.observed.len(), 2);
    assert_eq!(run.digest, replay.digest);
    let mut other = rows.clone();
    other[1].2 = Some(true);
    assert_ne!(
        run.digest,
        judge(&story(&other, &["name"], "a/b/{name}", &[])).digest
    );
}

#[test]
fn what_would_another_parameter_have_done() {
    let story = |days: u64| -> Case {
        serde_json::from_value(json!({
            "note": "", "now": "2026-11-20T00:00:00Z",
            "datasets": { "a.b": { "columns": { "name": "text", "at": "timestamp" }, "key": ["name"], "rows": [
                { "name": "x", "at": "2026-08-01T00:00:00Z" }, { "name": "y", "at": "2026-01-01T00:00:00Z" } ] } },
            "evidence": "SELECT * FROM a.b", "subject": "a/b/{name}", "condition": "at < now() - $max",
            "params": { "max": { "duration": format!("{days}d") } }, "want": {},
        }))
        .unwrap()
    };
    assert_eq!(judge(&story(90)).counts.fail, 2);
    assert_eq!(judge(&story(120)).counts.fail, 1);
}

/// A subject with more rows than are kept says how many there were, and always keeps the same ones.
#[test]
fn the_rows_that_are_kept_do_not_depend_on_chance() {
    let rows: Vec<Plain> = (0..60)
        .map(|i| (Some("a".to_owned()), i, Some(true)))
        .collect();
    let found = judge(&story(&rows, &[], "a/b/{name}", &[]));
    let observed = &found.observed[0];
    assert_eq!(observed.row_count, 60);
    assert_eq!(observed.rows.len(), tripline::model::outcome::MAX_ROWS);
    let places: Vec<&Value> = observed.rows.iter().map(|r: &Row| &r["place"]).collect();
    assert_eq!(
        places,
        (0..20)
            .map(|i| json!(i))
            .collect::<Vec<_>>()
            .iter()
            .collect::<Vec<_>>()
    );
    assert_eq!(observed.fingerprint["place"].len(), 60);
}

/// Memory for a fraction of the rows: what does not fit goes to disk, and the answer is the same.
#[tokio::test]
async fn a_population_larger_than_its_memory_is_judged_all_the_same() {
    let long = "x".repeat(200);
    let rows: Vec<Plain> = (0..30_000)
        .map(|i| {
            (
                Some(format!("{long}{:05}", i % 25_000)),
                i64::from(i % 3 == 0),
                Some(i % 10 == 0),
            )
        })
        .collect();
    let case = story(&rows, &[], "a/b/{name}", &[]);
    let (_folder, archive) = case::archive();
    let spill = tempfile::tempdir().unwrap();
    let limits = |memory| Limits {
        memory,
        spill: Some(spill.path().to_owned()),
        partitions: 2,
        ..Limits::default()
    };
    let evidence = case::evidence(&case, &archive).await;
    let control = case::control(&case);
    let judge = async |memory: usize| {
        let engine = Engine::new(archive.clone(), &limits(memory)).unwrap();
        engine.control(&control, &evidence, &[], case.now).await
    };
    let plenty = judge(512 << 20).await.unwrap();
    assert_eq!(plenty.counts.population, 25_000);
    let little = judge(6 << 20).await.unwrap();
    assert_eq!(plenty, little);
    let error = judge(10_000).await.unwrap_err();
    assert!(
        matches!(error, tripline::evaluate::Error::Limit(_)) && error.is_transient(),
        "{error}"
    );
}
