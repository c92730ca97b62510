//! Sources that cannot be read: one finding per source, told once, whoever waits for it.

use chrono::{DateTime, Utc};

use super::{hour, sample::run};
use crate::{
    finding::{Look, Stopped, gap, gap_without},
    model::{
        finding::{Change, Effect, Finding, Reason, Status},
        id::{ControlId, SourceId},
        outcome::Unknown,
        policy::Severity,
        run::Used,
        snapshot::Completeness,
        span::Span,
    },
};

/// A source and the finding of its gap, seen by runs of several controls.
struct Watch {
    source: SourceId,
    known: Option<Finding>,
    runs: usize,
    last_good: Option<DateTime<Utc>>,
    effects: Vec<Effect>,
}

impl Watch {
    fn new() -> Self {
        Self {
            source: SourceId::from("aws"),
            known: None,
            runs: 0,
            last_good: None,
            effects: Vec::new(),
        }
    }

    /// A control runs, an hour after the last run, and finds its datasets whole or not.
    fn run(&mut self, control: &str, datasets: &[(&str, Option<Unknown>)]) -> Option<Change> {
        self.runs += 1;
        let used = |(name, objection): &(&str, Option<Unknown>)| Used {
            dataset: name.to_string().try_into().unwrap(),
            snapshot: None,
            object: None,
            content: None,
            status: if objection.is_none() {
                Completeness::Complete
            } else {
                Completeness::Failed
            },
            rows: 0,
            collected_at: Some(hour(self.runs)),
            objection: *objection,
        };
        let evidence: Vec<Used> = datasets.iter().map(used).collect();
        let change = gap(
            self.known.take(),
            &Look {
                source: &self.source,
                owner: "platform",
                severity: if control == "keys" {
                    Severity::Critical
                } else {
                    Severity::High
                },
                control: &ControlId::from(control),
                max_age: Span::hours(24),
                evidence: &evidence,
                last_good: self.last_good,
                detail: Some("no answer"),
                run: &run(self.runs),
                now: hour(self.runs),
            },
        );
        self.known = change.as_ref().map(|c| c.finding.clone());
        self.effects.extend(change.iter().filter_map(|c| c.effect));
        change
    }

    fn status(&self) -> Status {
        self.known.as_ref().unwrap().state.status
    }

    fn stopped(&self) -> Vec<Stopped> {
        self.known
            .as_ref()
            .unwrap()
            .rows
            .iter()
            .filter_map(Stopped::of_row)
            .collect()
    }
}

const DOWN: Option<Unknown> = Some(Unknown::SourceError);

#[test]
fn a_source_that_answers_has_no_gap() {
    let mut watch = Watch::new();
    assert_eq!(watch.run("rotation", &[("aws.secrets", None)]), None);
    assert_eq!(
        watch.run("rotation", &[("mlflow.models", DOWN)]),
        None,
        "another source"
    );
}

#[test]
fn one_missed_run_is_looked_at_again_and_two_open_the_gap() {
    let mut watch = Watch::new();
    let first = watch.run("rotation", &[("aws.secrets", DOWN)]).unwrap();
    assert_eq!(
        (first.effect, first.reason),
        (Some(Effect::Recheck), Reason::AwaitingConfirmation)
    );
    let second = watch.run("rotation", &[("aws.secrets", DOWN)]).unwrap();
    assert_eq!(
        (second.effect, second.reason),
        (Some(Effect::Opened), Reason::Confirmed)
    );
    assert_eq!(second.finding.owners, ["platform"]);
    assert_eq!(second.finding.subject.as_str(), "aws/source/aws");
    for _ in 0..5 {
        let change = watch.run("rotation", &[("aws.secrets", DOWN)]).unwrap();
        assert_eq!((change.effect, change.reason), (None, Reason::StillOpen));
    }
    let back = watch.run("rotation", &[("aws.secrets", None)]).unwrap();
    assert_eq!(
        (back.effect, back.reason),
        (Some(Effect::Resolved), Reason::Cleared)
    );
    assert_eq!(
        watch.stopped().len(),
        1,
        "whom it stopped is still to be read"
    );
}

#[test]
fn a_single_missed_run_tells_nobody() {
    let mut watch = Watch::new();
    for _ in 0..3 {
        watch.run("rotation", &[("aws.secrets", DOWN)]);
        let change = watch.run("rotation", &[("aws.secrets", None)]).unwrap();
        assert_eq!((change.effect, change.reason), (None, Reason::Blip));
    }
    assert_eq!(watch.effects, [Effect::Recheck; 3]);
}

#[test]
fn evidence_past_its_age_opens_the_gap_at_once() {
    let mut watch = Watch::new();
    watch.runs = 30;
    watch.last_good = Some(hour(1));
    watch.run("rotation", &[("aws.secrets", Some(Unknown::Stale))]);
    assert_eq!(watch.effects, [Effect::Opened]);
}

#[test]
fn many_controls_make_one_gap_and_the_runs_of_one_do_not_count_for_another() {
    let mut watch = Watch::new();
    for control in ["rotation", "keys", "owners"] {
        watch.run(control, &[("aws.secrets", DOWN)]);
        assert_eq!(watch.status(), Status::Suspect, "one run of each");
    }
    for control in ["rotation", "keys", "owners"] {
        watch.run(control, &[("aws.secrets", DOWN)]);
    }
    let told: Vec<_> = watch
        .effects
        .iter()
        .filter(|e| **e != Effect::Recheck)
        .collect();
    assert_eq!(told, [&Effect::Opened]);
    let controls: Vec<String> = watch
        .stopped()
        .iter()
        .map(|s| s.control.to_string())
        .collect();
    assert_eq!(controls, ["keys", "owners", "rotation"]);
    assert_eq!(
        watch.known.as_ref().unwrap().severity,
        Severity::Critical,
        "the worst of them"
    );
    // The first complete collection ends it for all of them.
    watch.run("owners", &[("aws.secrets", None)]);
    assert_eq!(watch.status(), Status::Resolved);
}

#[test]
fn another_dataset_of_the_source_does_not_end_the_gap() {
    let mut watch = Watch::new();
    for _ in 0..4 {
        watch.run("rotation", &[("aws.secrets", DOWN)]);
        watch.run("keys", &[("aws.keys", None)]);
    }
    assert_eq!(watch.status(), Status::Open);
    assert_eq!(
        watch.effects,
        [Effect::Recheck, Effect::Opened],
        "and does not flap"
    );
    // What was collected before the miss proves nothing.
    let known = watch.known.clone().unwrap();
    let evidence = [Used {
        dataset: "aws.secrets".to_owned().try_into().unwrap(),
        snapshot: None,
        object: None,
        content: None,
        status: Completeness::Complete,
        rows: 1,
        collected_at: Some(hour(1)),
        objection: None,
    }];
    let old = gap(
        Some(known),
        &Look {
            source: &watch.source,
            owner: "platform",
            severity: Severity::High,
            control: &ControlId::from("owners"),
            max_age: Span::days(30),
            evidence: &evidence,
            last_good: Some(hour(1)),
            detail: None,
            run: &run(99),
            now: hour(99),
        },
    );
    assert_eq!(old.unwrap().finding.state.status, Status::Open);
}

#[test]
fn a_gap_that_comes_back_within_a_week_is_the_same_story_again() {
    let mut watch = Watch::new();
    for _ in 0..2 {
        watch.run("rotation", &[("aws.secrets", DOWN)]);
        watch.run("rotation", &[("aws.secrets", DOWN)]);
        watch.run("rotation", &[("aws.secrets", None)]);
    }
    watch.runs += 8 * 24;
    watch.run("rotation", &[("aws.secrets", DOWN)]);
    watch.run("rotation", &[("aws.secrets", DOWN)]);
    let told: Vec<Effect> = watch
        .effects
        .iter()
        .copied()
        .filter(|e| *e != Effect::Recheck)
        .collect();
    let wanted = [
        Effect::Opened,
        Effect::Resolved,
        Effect::Reopened,
        Effect::Resolved,
        Effect::Opened,
    ];
    assert_eq!(told, wanted);
    assert_eq!(watch.known.unwrap().state.openings.len(), 3);
}

#[test]
fn the_same_run_again_counts_once() {
    let mut watch = Watch::new();
    watch.run("rotation", &[("aws.secrets", DOWN)]);
    let kept = watch.known.clone();
    watch.runs -= 1;
    assert_eq!(watch.run("rotation", &[("aws.secrets", DOWN)]), None);
    watch.known = kept;
    assert_eq!(watch.status(), Status::Suspect);
}

#[test]
fn a_gap_that_only_a_removed_control_waited_for_is_retired() {
    let mut watch = Watch::new();
    for _ in 0..2 {
        watch.run("rotation", &[("aws.secrets", DOWN)]);
        watch.run("keys", &[("aws.keys", DOWN)]);
    }
    let first = gap_without(watch.known.unwrap(), &"rotation".into(), &run(50), hour(50));
    assert_eq!((first.effect, first.reason), (None, Reason::StillOpen));
    let stranger = gap_without(first.finding, &"owners".into(), &run(51), hour(51));
    assert!(!stranger.dirty);
    let last = gap_without(stranger.finding, &"keys".into(), &run(52), hour(52));
    assert_eq!(
        (last.effect, last.reason),
        (Some(Effect::Retired), Reason::Left)
    );
    assert_eq!(last.finding.state.status, Status::Retired);
}
