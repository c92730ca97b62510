//! Rows that are alike but for what a test is about.

use std::collections::BTreeMap;

use serde_json::json;
use tripline::model::{
    finding::{Change, Effect, Finding, Observation, Origin, Reason, State, Status},
    id::{ControlId, DatasetName, FindingKey, Sha, SnapshotId, SubjectId},
    notice::{Batch, Delivery, Item, Kind, Mode, Word},
    outcome::{Counts, Unknown},
    people::Principal,
    policy::Severity,
    run::{Cause, Run, Tick, TickState, Used},
    snapshot::{Completeness, Effort, Snapshot},
};

use super::at;

pub(super) fn finding(control: &str, subject: &str, status: Status) -> Finding {
    let (control, subject) = (ControlId::new(control), SubjectId::new(subject));
    let row =
        json!({ "zone": "b", "name": "a \u{0}\"' é 漢", "age": 91.5, "last": null, "tags": ["x"] });
    Finding {
        key: FindingKey::of(&control, &subject),
        control,
        subject,
        state: State {
            status,
            fails: 2,
            passes: 0,
            history: "PFF".to_owned(),
            episode: 1,
            announced: true,
            origin: Origin::Mass,
            opened_at: Some(at(10)),
            openings: vec![at(-500), at(10)],
            resolved_at: None,
            unverified_since: Some(at(20)),
            unverified: Some(Unknown::Stale),
            absences: 1,
            transition: 3,
            ..State::default()
        },
        severity: Severity::High,
        owners: vec!["ada".to_owned(), "platform security; ünit".to_owned()],
        rows: vec![row.as_object().unwrap().clone()],
        row_count: 1,
        fingerprint: BTreeMap::from([("model".to_owned(), vec!["m1".to_owned(), "m2".to_owned()])]),
        facts: BTreeMap::from([("reason".to_owned(), "too old".to_owned())]),
        first_seen: at(0),
        run: "run-1".into(),
        changed_at: at(10),
        covered_by: None,
        definition: Sha::of("definition"),
    }
}

/// A change that must be written.
pub(super) fn change(finding: Finding, before: Option<Status>) -> Change {
    Change {
        finding,
        before,
        observation: Observation::Fail,
        effect: Some(Effect::Opened),
        reason: Reason::Confirmed,
        dirty: true,
    }
}

pub(crate) fn run(id: &str, control: &str, seconds: i64) -> Run {
    Run {
        id: id.into(),
        control: control.into(),
        scheduled_for: at(seconds - 1),
        cause: Cause::Recheck,
        instant: at(seconds),
        ended_at: at(seconds + 1),
        not_checked: None,
        detail: None,
        counts: Counts {
            population: 100,
            pass: 97,
            fail: 2,
            unknown: 1,
        },
        evidence: Vec::new(),
        definition: Sha::of("definition"),
        outcomes: Sha::of("outcomes"),
        counted: true,
        config: Sha::of("config"),
    }
}

pub(super) fn used(snapshot: &Snapshot) -> Used {
    Used {
        dataset: snapshot.dataset.clone(),
        snapshot: Some(snapshot.id.clone()),
        object: snapshot.object,
        content: snapshot.content,
        status: snapshot.status,
        rows: snapshot.rows,
        collected_at: Some(snapshot.started_at),
        objection: None,
    }
}

pub(super) fn snapshot(id: &str, dataset: &str, status: Completeness, seconds: i64) -> Snapshot {
    Snapshot {
        id: SnapshotId::new(id),
        dataset: DatasetName::new("aws", dataset),
        status,
        unknown: (!status.is_whole()).then_some(Unknown::Incomplete),
        reason: (!status.is_whole()).then(|| "got 187 of 250 rows".to_owned()),
        rows: 187,
        effort: Effort {
            pages: 3,
            requests: 4,
            bytes: 5_000_000_000,
            gone: 1,
            duplicates: 0,
        },
        started_at: at(seconds),
        ended_at: at(seconds + 5),
        content: Some(Sha::of(format!("content {id}"))),
        object: Some(Sha::of(format!("object {id}"))),
        schema: Sha::of("schema"),
        definition: Sha::of("definition"),
        scope: Sha::of("scope"),
        identity: Some("arn:aws:iam::123456789012:role/reader".to_owned()),
        request_ids: vec!["a-1".to_owned()],
    }
}

pub(super) fn tick(control: &str, seconds: i64) -> Tick {
    Tick {
        control: control.into(),
        scheduled_for: at(seconds),
        cause: Cause::Schedule,
        state: TickState::Due,
        reason: None,
        fence: 0,
    }
}

pub(crate) fn item(key: &str, group: &str, seconds: i64) -> Item {
    Item {
        key: key.to_owned(),
        kind: Kind::Finding,
        word: Word::New,
        mode: Mode::Alert,
        group: group.to_owned(),
        channel: "mail".into(),
        recipient: Some(Principal::Person("ada".into())),
        finding: Some(FindingKey::of(&"a".into(), &key.into())),
        episode: 1,
        control: Some("a".into()),
        reason: "route 1: severity is high".to_owned(),
        facts: json!({ "subject": key, "z": 1, "a": [1, 2.5, null] }),
        planned_at: at(seconds),
        due_at: at(seconds + 60),
    }
}

pub(crate) fn batch(id: &str, items: &[&str], seconds: i64) -> Batch {
    Batch {
        id: id.into(),
        channel: "mail".into(),
        recipient: Some(Principal::Team("platform".into())),
        mode: Mode::Alert,
        group: Some("g".to_owned()),
        items: items.iter().map(|i| (*i).to_owned()).collect(),
        message: json!({ "subject": "[HIGH] a", "parts": ["text"] }),
        attempts: 0,
        ambiguous: 0,
        due_at: at(seconds),
        sealed_at: at(seconds),
        state: Delivery::Due,
        last_error: None,
        fence: 0,
    }
}
