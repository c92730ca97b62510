//! Controls over stored evidence: each file in `tests/cases/condition` is one story with its datasets, its
//! condition and what must come out. Beside them: replay, faults, queries and examples.

mod case;
mod examples;
mod faults;
mod query;
mod replay;

use std::{collections::BTreeMap, fs, path::PathBuf};

use tripline::{
    evaluate::Limits,
    model::{
        id::SubjectId,
        outcome::{Evaluation, Observed, Outcome},
    },
};

use self::case::Case;

/// R001, R002, R004, R017: a condition decides by itself, over the evidence of one instant, and never passes
/// on what it does not have.
#[tokio::test]
async fn every_story_comes_out_as_written() {
    let mut wrong = Vec::new();
    let files = cases();
    assert!(files.len() > 30, "tests/cases/condition has the stories");
    for file in files {
        let case = case::read(&file);
        let (_folder, archive) = case::archive();
        let found = case::run(&case, &archive, &Limits::default()).await;
        if let Err(why) = compare(&case, &found) {
            wrong.push(format!("{}: {why}\n{found:#?}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

fn cases() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir("tests/cases/condition")
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    files.sort();
    files
}

fn compare(case: &Case, found: &Evaluation) -> Result<(), String> {
    let want = &case.want;
    let reason = found.not_checked.as_ref().map(|(reason, _)| *reason);
    same("not_checked", &want.not_checked, &reason)?;
    if let Some(because) = &want.because {
        let said = found.not_checked.as_ref().map(|(_, said)| said.as_str());
        same("because", &Some(because.as_str()), &said)?;
    }
    if let Some(counts) = want.counts {
        same(
            "counts",
            &counts,
            &[found.counts.pass, found.counts.fail, found.counts.unknown],
        )?;
        same(
            "population",
            &counts.iter().sum::<u64>(),
            &found.counts.population,
        )?;
    }
    let outcomes = each(found, |o| match o.outcome {
        Outcome::Unknown(reason) => reason.as_str().to_owned(),
        other => other.as_str().to_owned(),
    });
    same("outcomes", &want.outcomes, &outcomes)?;
    some("rows", &want.rows, &each(found, |o| o.rows.clone()))?;
    some(
        "fingerprint",
        &want.fingerprint,
        &each(found, |o| o.fingerprint.clone()),
    )?;
    some("facts", &want.facts, &each(found, |o| o.facts.clone()))?;
    some("owners", &want.owners, &each(found, |o| o.owners.clone()))?;
    some("severity", &want.severity, &each(found, |o| o.severity))?;
    same(
        "absent",
        &want.absent,
        &found.absent.iter().cloned().collect(),
    )
}

fn each<T>(found: &Evaluation, take: impl Fn(&Observed) -> T) -> BTreeMap<SubjectId, T> {
    found
        .observed
        .iter()
        .map(|o| (o.subject.clone(), take(o)))
        .collect()
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, want: &T, found: &T) -> Result<(), String> {
    if want == found {
        Ok(())
    } else {
        Err(format!("{what}: want {want:?}, found {found:?}"))
    }
}

/// As [`same`], for those subjects that the story speaks of.
fn some<T: PartialEq + std::fmt::Debug>(
    what: &str,
    want: &BTreeMap<SubjectId, T>,
    found: &BTreeMap<SubjectId, T>,
) -> Result<(), String> {
    for (subject, value) in want {
        same(
            &format!("{what} of {subject}"),
            &Some(value),
            &found.get(subject),
        )?;
    }
    Ok(())
}
