//! Each rule of completeness alone, and which of two speaks first.

use super::*;
use crate::model::{
    id::{DatasetName, SnapshotId},
    snapshot::Effort,
};

fn snapshot(rows: u64, content: &str) -> Snapshot {
    let at = "2026-11-20T00:00:00Z".parse().unwrap();
    Snapshot {
        id: SnapshotId::from("snap-1"),
        dataset: DatasetName::new("mlflow", "models"),
        status: Completeness::Complete,
        unknown: None,
        reason: None,
        rows,
        effort: Effort::default(),
        started_at: at,
        ended_at: at,
        content: Some(Sha::of(content)),
        object: None,
        schema: Sha::of(""),
        definition: Sha::of(""),
        scope: Sha::of(""),
        identity: Some("reader".to_owned()),
        request_ids: Vec::new(),
    }
}

fn whole(rows: u64) -> Facts<'static> {
    Facts {
        rows,
        listed: rows,
        reads: 1,
        content: Some(Sha::of("now")),
        ..Facts::default()
    }
}

fn say(facts: &Facts<'_>, rules: Rules) -> String {
    let verdict = judge(facts, rules);
    match verdict.reason() {
        None => verdict.status().to_string(),
        Some(reason) => format!("{} {}: {reason}", verdict.status(), reason.unknown()),
    }
}

#[test]
fn a_collection_that_breaks_no_rule_is_complete_and_one_that_equals_the_last_is_unchanged() {
    assert_eq!(say(&whole(0), Rules::default()), "complete");
    let (other, same) = (snapshot(3, "before"), snapshot(3, "now"));
    assert_eq!(
        say(
            &Facts {
                last: Some(&other),
                ..whole(3)
            },
            Rules::default()
        ),
        "complete"
    );
    assert_eq!(
        say(
            &Facts {
                last: Some(&same),
                ..whole(3)
            },
            Rules::default()
        ),
        "unchanged"
    );
}

#[test]
fn rule_1_what_ended_early_is_partial_and_without_any_row_failed() {
    let broken = Some((
        Unknown::RateLimited,
        "GET x asks us to wait 1h, longer than 2m".to_owned(),
    ));
    insta::assert_snapshot!(say(&Facts { broken: broken.clone(), ..whole(7) }, Rules::default()), @"partial rate_limited: GET x asks us to wait 1h, longer than 2m; 7 rows read before");
    insta::assert_snapshot!(say(&Facts { broken, ..whole(0) }, Rules::default()), @"failed rate_limited: GET x asks us to wait 1h, longer than 2m");
    let undecoded = Some((
        2,
        Unknown::TypeError,
        "`version` of a: expected int, found text".to_owned(),
    ));
    insta::assert_snapshot!(say(&Facts { undecoded: undecoded.clone(), ..whole(7) }, Rules::default()), @"partial type_error: 2 rows cannot be read, the first: `version` of a: expected int, found text");
    insta::assert_snapshot!(say(&Facts { undecoded, ..whole(0) }, Rules::default()), @"failed type_error: 2 rows cannot be read, the first: `version` of a: expected int, found text");
}

#[test]
fn rule_2_a_declared_total_is_kept() {
    insta::assert_snapshot!(say(&Facts { total: Some(250), ..whole(187) }, Rules::default()), @"partial incomplete: got 187 of 250 rows");
    assert_eq!(
        say(
            &Facts {
                total: Some(187),
                ..whole(187)
            },
            Rules::default()
        ),
        "complete"
    );
    // What counts is what the source lists, not the rows that `unnest` makes of it.
    assert_eq!(
        say(
            &Facts {
                total: Some(3),
                listed: 3,
                ..whole(9)
            },
            Rules::default()
        ),
        "complete"
    );
}

#[test]
fn rule_3_a_key_that_comes_twice_and_a_row_that_may_have_moved_are_partial() {
    let duplicates = Some((1, r#"["credit-scorer",1]"#.to_owned()));
    insta::assert_snapshot!(say(&Facts { duplicates, reads: 3, ..whole(3) }, Rules::default()), @r#"partial incomplete: 1 key came twice in each of 3 reads, such as ["credit-scorer",1]: rows moved while they were read"#);
    insta::assert_snapshot!(say(&Facts { vanished: Vanished::Unsure(2), ..whole(3) }, Rules::default()), @"partial incomplete: 2 rows no longer listed, but two reads differ: they may only have moved");
    insta::assert_snapshot!(say(&Facts { vanished: Vanished::StillThere(r#"["b"]"#.to_owned()), ..whole(3) }, Rules::default()), @r#"partial lost_visibility: ["b"] is not listed, although it is still there"#);
    assert_eq!(
        say(
            &Facts {
                vanished: Vanished::Confirmed,
                ..whole(3)
            },
            Rules::default()
        ),
        "complete"
    );
}

#[test]
fn rule_4_what_the_source_warns_of_is_partial() {
    let warning = Some("results are limited to 10,000".to_owned());
    insta::assert_snapshot!(say(&Facts { warning, ..whole(3) }, Rules::default()), @"partial incomplete: the source warns: results are limited to 10,000");
}

#[test]
fn rule_5_too_few_rows_are_suspect_until_they_come_again() {
    let last = snapshot(100, "before");
    let rules = Rules {
        min_rows: Some(50),
        max_drop: Some("20%".parse().unwrap()),
    };
    let facts = |rows| Facts {
        last: Some(&last),
        ..whole(rows)
    };
    assert_eq!(say(&facts(80), rules), "complete");
    insta::assert_snapshot!(say(&facts(79), rules), @"suspect suspect: 79 of 100 rows are left, more than 20% are gone at once");
    insta::assert_snapshot!(say(&facts(49), rules), @"suspect suspect: 49 rows, at least 50 are expected");
    insta::assert_snapshot!(say(&facts(0), Rules::default()), @"suspect suspect: there is no row left of 100");
    assert_eq!(
        say(
            &Facts {
                seen_before: true,
                ..facts(79)
            },
            rules
        ),
        "complete"
    );
}

#[test]
fn rule_6_lost_sight_comes_before_everything_else() {
    let blind = Facts {
        broken: Some((
            Unknown::LostVisibility,
            "lost visibility: GET x: `user.is_admin` is `false`, not `true`".to_owned(),
        )),
        ..whole(7)
    };
    insta::assert_snapshot!(say(&blind, Rules::default()), @"failed lost_visibility: lost visibility: GET x: `user.is_admin` is `false`, not `true`");
    let last = snapshot(7, "now");
    let other = Facts {
        last: Some(&last),
        identity: Some("somebody"),
        ..whole(7)
    };
    insta::assert_snapshot!(say(&other, Rules::default()), @"failed lost_visibility: lost visibility: the source takes us for `somebody`, and before for `reader`");
    assert_eq!(
        say(
            &Facts {
                identity: Some("reader"),
                ..other
            },
            Rules::default()
        ),
        "unchanged"
    );
}

#[test]
fn rule_8_children_that_could_not_be_read_are_named() {
    let orphans = Some((
        ["a", "b", "c", "d", "e", "f"].map(str::to_owned).to_vec(),
        Unknown::Auth,
        "GET x answered 403".to_owned(),
    ));
    insta::assert_snapshot!(say(&Facts { orphans, ..whole(3) }, Rules::default()), @"partial auth: could not be read for a, b, c, d, e and 1 more: GET x answered 403");
    let parent = |status| Facts {
        parent: Some(("models".to_owned(), status, Unknown::Timeout)),
        ..whole(3)
    };
    insta::assert_snapshot!(say(&parent(Completeness::Partial), Rules::default()), @"partial timeout: `models`, which it is read for, is partial");
    insta::assert_snapshot!(say(&parent(Completeness::Failed), Rules::default()), @"failed timeout: `models`, which it is read for, is failed");
}
