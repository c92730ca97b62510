//! A control and evaluations of it, as small as the types allow.

use std::{collections::BTreeMap, path::Path};

use super::{hour, rules};
use crate::{
    model::{
        control::{CatchUp, Control, Given, OnEmpty, OnPartial, Schedule, Sql, Waivable},
        id::{ControlId, RunId, Sha, SubjectId},
        outcome::{Counts, Evaluation, Observed, Outcome, Presence, Unknown},
        policy::{ProvisionRef, Severity},
        span::Span,
    },
    yaml::diagnostic::Place,
};

pub(super) fn control() -> Control {
    let place = Place::file(Path::new("controls/rotation.yaml"));
    let sql = |text: &str| Sql {
        text: text.to_owned(),
        place: place.clone(),
        block: None,
    };
    Control {
        id: ControlId::from("rotation"),
        title: "Secrets are rotated".to_owned(),
        description: None,
        why: None,
        policy: ProvisionRef {
            policy: "nhi".into(),
            provision: "rotation".to_owned(),
        },
        frameworks: Vec::new(),
        responsibility: None,
        lifecycle: Vec::new(),
        severity: Given::Fixed(Severity::High),
        owner: Given::Fixed("platform".to_owned()),
        schedule: Schedule {
            cron: "0 * * * *".to_owned(),
            timezone: chrono_tz::UTC,
            catch_up: CatchUp::Latest,
            interval: Span::hours(1),
        },
        params: BTreeMap::new(),
        evidence: sql("SELECT name FROM aws.secrets"),
        datasets: Vec::new(),
        max_age: Span::hours(1),
        subject: "aws/secret/{name}".parse().unwrap(),
        inventory: None,
        fails_when: sql("stale"),
        on_empty: OnEmpty::Unknown,
        on_partial: OnPartial::Unknown,
        rules: rules(2, 3, 168),
        due: BTreeMap::new(),
        fingerprint: Vec::new(),
        facts: BTreeMap::new(),
        exceptions: Waivable::Allowed,
        exception_budget: None,
        message: None,
        fix: None,
        examples: Vec::new(),
        formerly: Vec::new(),
        shadow: false,
        definition: Sha::of("1"),
        place,
    }
}

pub(super) fn subject(name: &str) -> SubjectId {
    SubjectId::from(format!("aws/secret/{name}"))
}

pub(super) fn observed(name: &str, outcome: Outcome) -> Observed {
    let row = serde_json::json!({ "name": name });
    let shown = outcome != Outcome::Pass;
    Observed {
        subject: subject(name),
        outcome,
        rows: row
            .as_object()
            .filter(|_| shown)
            .cloned()
            .into_iter()
            .collect(),
        row_count: u64::from(shown),
        severity: Severity::High,
        owners: vec!["platform".to_owned()],
        fingerprint: BTreeMap::new(),
        facts: BTreeMap::new(),
    }
}

pub(super) fn evaluation(observed: Vec<Observed>, absent: &[(&str, Presence)]) -> Evaluation {
    Evaluation {
        not_checked: None,
        counts: Counts {
            population: observed.len() as u64,
            ..Counts::default()
        },
        observed,
        absent: absent.iter().map(|(name, p)| (subject(name), *p)).collect(),
        digest: Sha::of("outcomes"),
    }
}

pub(super) fn not_checked(observed: Vec<Observed>) -> Evaluation {
    Evaluation {
        not_checked: Some((Unknown::Timeout, "aws did not answer".to_owned())),
        ..evaluation(observed, &[])
    }
}

pub(super) fn run(number: usize) -> RunId {
    RunId::from(format!("run-{number:06}"))
}

/// A control's findings from run to run.
pub(super) struct Register {
    pub(super) control: Control,
    pub(super) known: BTreeMap<SubjectId, crate::model::finding::Finding>,
    pub(super) runs: usize,
}

impl Register {
    pub(super) fn new(control: Control) -> Self {
        Self {
            control,
            known: BTreeMap::new(),
            runs: 0,
        }
    }

    /// Runs the control an hour after the last time, and keeps what changed.
    pub(super) fn run(&mut self, evaluation: &Evaluation) -> Vec<crate::model::finding::Change> {
        self.runs += 1;
        self.again(evaluation, true, false)
    }

    /// The same run once more.
    pub(super) fn again(
        &mut self,
        evaluation: &Evaluation,
        counted: bool,
        baseline: bool,
    ) -> Vec<crate::model::finding::Change> {
        let changes = crate::finding::reconcile(crate::finding::Input {
            control: &self.control,
            known: self.known.values().cloned().collect(),
            evaluation,
            run: &run(self.runs),
            now: hour(self.runs),
            counted,
            baseline,
            rescoped: false,
        });
        for change in &changes {
            let kept = self.known.get(&change.finding.subject);
            assert_eq!(
                change.dirty,
                kept != Some(&change.finding),
                "dirty is what differs"
            );
            let subject = change.finding.subject.clone();
            self.known.insert(subject, change.finding.clone());
        }
        changes
    }
}
