//! Stories of findings in virtual time: `tests/cases/lifecycle/*.yaml`. One file is one story that a
//! control owner can read: what the evidence says at each hour, what becomes of each finding, and why.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use tripline::{
    finding::{Due, Input, Look, due, gap, recheck, reconcile, removed},
    model::{
        control::{CatchUp, Control, Given, OnEmpty, OnPartial, Rules, Schedule, Sql, Waivable},
        finding::{Change, Finding, Status},
        id::{ControlId, RunId, Sha, SourceId, SubjectId},
        outcome::{Counts, Evaluation, Observed, Outcome, Presence, Unknown},
        policy::{ProvisionRef, Severity},
        run::Used,
        snapshot::Completeness,
        span::Span,
    },
    record,
    yaml::{decode, diagnostic::Place, values::Named},
};

record! {
    /// One story.
    pub struct Story {
        /// In one sentence.
        shows: String,
        /// Debounce.
        confirm: u32 = 2,
        /// Debounce.
        clear: u32 = 3,
        /// How long a resolved finding is remembered.
        reopen_within: Span = Span::days(7),
        /// What fails in partial evidence mean.
        on_partial: OnPartial = OnPartial::Unknown,
        /// How old evidence may be.
        max_age: Span = Span::hours(1),
        /// What happens.
        steps: Vec<Step>,
    }
}

record! {
    /// One run, or one event.
    pub struct Step {
        /// When, counted from the beginning.
        at: Span,
        /// A remark for the reader.
        note: Option<String>,
        /// What the evidence says of each subject: `pass`, `fail`, an unknown's reason, or where it went:
        /// `not_in_inventory`, `out_of_scope`, `no_inventory`. `svc-{1..30}` names thirty.
        given: Named<String> = Named::default(),
        /// Why nothing could be told of any subject.
        not_checked: Option<Unknown>,
        /// The evidence is the one that was counted already.
        same_evidence: bool = false,
        /// The control runs for the first time.
        baseline: bool = false,
        /// The inventory is asked for another thing than before.
        rescoped: bool = false,
        /// Subjects under test, when there are more than those that are named.
        population: Option<u64>,
        /// From here on the control has another condition.
        condition: Option<String>,
        /// From here on the control is in shadow, or no longer.
        shadow: Option<bool>,
        /// The control is removed.
        removed: bool = false,
        /// For the gap of a source: the control that runs (`rotation` by default), and what it reads:
        /// `whole`, or why not.
        control: Option<String>,
        /// See `control`.
        reads: Named<String> = Named::default(),
        /// How long after this step the control is run again; nothing when it is not.
        recheck: Option<Span>,
        /// Findings that are overdue now.
        overdue: Vec<String> = Vec::new(),
        /// What becomes of each finding that moves or of which something is told: status, reason, effect.
        expect: Named<String> = Named::default(),
    }
}

#[test]
fn every_story_ends_as_it_is_told() {
    let mut files: Vec<PathBuf> = fs::read_dir("tests/cases/lifecycle")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() >= 12, "{} stories", files.len());
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let (story, _) = decode::read::<Story>(&file, &text)
            .unwrap_or_else(|mistakes| panic!("{}: {mistakes:#?}", file.display()));
        let mut stage = Stage::of(&story);
        for step in &story.steps {
            let place = format!("{}, at {}", file.display(), step.at);
            stage.play(step, &place);
        }
    }
}

/// The control, what is known of it, and of its sources.
struct Stage {
    control: Control,
    known: BTreeMap<SubjectId, Finding>,
    gaps: BTreeMap<SourceId, Finding>,
    last_good: BTreeMap<String, DateTime<Utc>>,
    runs: usize,
}

impl Stage {
    fn of(story: &Story) -> Self {
        let mut control = control();
        control.rules.confirm = story.confirm;
        control.rules.clear = story.clear;
        control.rules.reopen_within = story.reopen_within;
        control.on_partial = story.on_partial;
        control.max_age = story.max_age;
        Self {
            control,
            known: BTreeMap::new(),
            gaps: BTreeMap::new(),
            last_good: BTreeMap::new(),
            runs: 0,
        }
    }

    fn play(&mut self, step: &Step, place: &str) {
        self.runs += 1;
        let start: DateTime<Utc> = "2026-03-01T00:00:00Z".parse().unwrap();
        let now = start + step.at.to_delta();
        let run = RunId::from(format!("run-{:04}", self.runs));
        if let Some(condition) = &step.condition {
            self.control.definition = Sha::of(condition);
        }
        self.control.shadow = step.shadow.unwrap_or(self.control.shadow);

        let changes = if !step.reads.is_empty() {
            self.read(step, &run, now)
        } else if step.removed {
            removed(self.known.values().cloned().collect(), &run, now)
        } else {
            reconcile(Input {
                control: &self.control,
                known: self.known.values().cloned().collect(),
                evaluation: &evaluation(step),
                run: &run,
                now,
                counted: !step.same_evidence,
                baseline: step.baseline,
                rescoped: step.rescoped,
            })
        };
        compare(step, &changes, place);
        let again = recheck(&changes, &self.control.rules, now);
        assert_eq!(
            again,
            step.recheck.map(|s| now + s.to_delta()),
            "{place}: re-check"
        );
        for change in changes {
            let finding = change.finding;
            if step.reads.is_empty() {
                self.known.insert(finding.subject.clone(), finding);
            } else {
                let source = finding.owners[0].as_str().into();
                self.gaps.insert(source, finding);
            }
        }
        let overdue: BTreeSet<&str> = self
            .known
            .values()
            .filter(|f| matches!(due(&self.control, f, now), Due::Overdue(_)))
            .map(|f| name(&f.subject))
            .collect();
        let wanted: BTreeSet<&str> = step.overdue.iter().map(String::as_str).collect();
        assert_eq!(overdue, wanted, "{place}: overdue");
    }

    /// A control reads datasets of one source. The source's owner bears its name.
    fn read(&mut self, step: &Step, run: &RunId, now: DateTime<Utc>) -> Vec<Change> {
        let name = step
            .control
            .clone()
            .unwrap_or_else(|| "rotation".to_owned());
        let evidence: Vec<Used> = step
            .reads
            .iter()
            .map(|(dataset, word)| used(&dataset.text, word, now))
            .collect();
        let source = evidence[0].dataset.source.clone();
        let last_good = self.last_good.get(&name).copied();
        if evidence.iter().all(|u| u.objection.is_none()) {
            self.last_good.insert(name.clone(), now);
        }
        let look = Look {
            source: &source,
            owner: source.as_str(),
            severity: Severity::High,
            control: &ControlId::from(name),
            max_age: self.control.max_age,
            evidence: &evidence,
            last_good,
            detail: None,
            run,
            now,
        };
        gap(self.gaps.remove(&source), &look).into_iter().collect()
    }
}

/// Every finding that moved, or of which something is told, must be expected, and every one that is
/// expected must be there.
fn compare(step: &Step, changes: &[Change], place: &str) {
    let mut wanted = BTreeMap::new();
    for (names, words) in step.expect.iter() {
        for name in spread(&names.text) {
            wanted.insert(name, words.clone());
        }
    }
    for change in changes {
        let finding = &change.finding;
        let name = if step.reads.is_empty() {
            name(&finding.subject).to_owned()
        } else {
            finding.owners[0].clone()
        };
        let told = describe(change);
        let moved = change.before.unwrap_or(Status::Clear) != finding.state.status;
        match wanted.remove(&name) {
            Some(words) if words == "untouched" => {
                assert!(!change.dirty, "{place}: `{name}` was written: {told}");
            }
            Some(words) => assert_eq!(words, told, "{place}: `{name}`"),
            None => assert!(
                !moved && change.effect.is_none(),
                "{place}: `{name}` did what nobody expects: {told}"
            ),
        }
    }
    assert!(
        wanted.is_empty(),
        "{place}: nothing is known of {:?}",
        wanted.keys()
    );
}

/// `open, confirmed, reopened, 3 times in 30 days`.
fn describe(change: &Change) -> String {
    let state = &change.finding.state;
    let mut words = vec![state.status.to_string(), change.reason.to_string()];
    words.extend(change.effect.map(|e| e.to_string()));
    if change.effect.is_some() && state.status.is_open() && state.openings.len() > 1 {
        words.push(format!("{} times in 30 days", state.openings.len()));
    }
    words.join(", ")
}

fn evaluation(step: &Step) -> Evaluation {
    let mut observed = Vec::new();
    let mut absent = Vec::new();
    for (names, word) in step.given.iter() {
        for name in spread(&names.text) {
            let subject = SubjectId::from(format!("aws/secret/{name}"));
            match word.parse::<Presence>() {
                Ok(presence) => absent.push((subject, presence)),
                Err(_) => observed.push(observation(subject, word)),
            }
        }
    }
    Evaluation {
        not_checked: step
            .not_checked
            .map(|why| (why, "the source says why".to_owned())),
        counts: Counts {
            population: step.population.unwrap_or(observed.len() as u64),
            ..Counts::default()
        },
        observed,
        absent,
        digest: Sha::of("outcomes"),
    }
}

fn observation(subject: SubjectId, word: &str) -> Observed {
    let outcome = match word {
        "pass" => Outcome::Pass,
        "fail" => Outcome::Fail,
        why => Outcome::Unknown(why.parse().unwrap()),
    };
    Observed {
        subject,
        outcome,
        rows: Vec::new(),
        row_count: 0,
        severity: Severity::High,
        owners: Vec::new(),
        fingerprint: BTreeMap::new(),
        facts: BTreeMap::new(),
    }
}

fn used(dataset: &str, word: &str, now: DateTime<Utc>) -> Used {
    let objection: Option<Unknown> = (word != "whole").then(|| word.parse().unwrap());
    Used {
        dataset: dataset.parse().unwrap(),
        snapshot: None,
        object: None,
        content: None,
        status: if objection.is_none() {
            Completeness::Complete
        } else {
            Completeness::Failed
        },
        rows: 0,
        collected_at: Some(now),
        objection,
    }
}

/// `svc-{1..3}` is `svc-1`, `svc-2`, `svc-3`.
fn spread(names: &str) -> Vec<String> {
    let Some((prefix, range)) = names.split_once('{') else {
        return vec![names.to_owned()];
    };
    let (from, to) = range.trim_end_matches('}').split_once("..").unwrap();
    let (from, to): (usize, usize) = (from.parse().unwrap(), to.parse().unwrap());
    (from..=to).map(|i| format!("{prefix}{i}")).collect()
}

fn name(subject: &SubjectId) -> &str {
    subject.as_str().rsplit('/').next().unwrap()
}

fn control() -> Control {
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
            policy: "nhi-credentials".into(),
            provision: "rotation".to_owned(),
        },
        frameworks: Vec::new(),
        responsibility: None,
        lifecycle: Vec::new(),
        severity: Given::Fixed(Severity::High),
        owner: Given::Fixed("platform-security".to_owned()),
        schedule: Schedule {
            cron: "0 * * * *".to_owned(),
            timezone: chrono_tz::UTC,
            catch_up: CatchUp::Latest,
            interval: Span::hours(1),
        },
        params: BTreeMap::new(),
        evidence: sql("SELECT name, stale FROM aws.secrets"),
        datasets: vec!["aws.secrets".parse().unwrap()],
        max_age: Span::hours(1),
        subject: "aws/secret/{name}".parse().unwrap(),
        inventory: Some("aws.secrets".parse().unwrap()),
        fails_when: sql("stale"),
        on_empty: OnEmpty::Unknown,
        on_partial: OnPartial::Unknown,
        rules: Rules::default(),
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
        definition: Sha::of("first"),
        place,
    }
}
