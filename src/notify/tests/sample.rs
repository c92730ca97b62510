//! A small company: one control, its policy, a few people, all channels.

use std::{collections::BTreeMap, path::Path};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use crate::{
    catalog,
    model::{
        control::Control,
        finding::{Change, Effect, Finding, Observation, Origin, Reason, State, Status},
        id::{DatasetName, FindingKey, RunId, Sha, SnapshotId, SourceId},
        outcome::{Counts, Row},
        people::{Directory, Person, Team},
        policy::{Policy, Severity},
        run::{Cause, Run, Used},
        snapshot::Completeness,
    },
    notify::{
        bundle::Site,
        facts::Told,
        options::{Channel, Notices, Options, Route},
        plan::{Earlier, Plan, Planning, plan},
        route::Desk,
    },
    record,
    yaml::{decode, diagnostic::Diagnostic, tree, values::Named},
};

const CONTROL: &str = r#"
id: secret-rotation-overdue
title: Secrets used by production models are rotated within 90 days
why: A leaked secret is worth something for as long as it works.
policy: nhi-credentials#rotation
frameworks: [OWASP-NHI-2025:NHI7, NIST-CSF-2.0:GV.OV]
severity: high
owner: { column: team, else: platform-security }
schedule: "*/15 * * * *"
params: { rotate_within: 90d }
evidence: |
  SELECT s.name, s.last_rotated_at, s.owner AS team, m.name AS model, m.version
  FROM aws.secrets s JOIN mlflow.model_versions m ON m.secret = s.name
  WHERE m.alias = 'production'
max_age: 1h
subject: aws/secret/{name}
fails_when: last_rotated_at < now() - $rotate_within
inventory: aws.secrets
fingerprint: [model, version]
message: "{{ name }} was last rotated {{ last_rotated_at | ago }}; {{ model }} v{{ version }} depends on it"
fix: |
  Rotate the secret in its store.
  Then redeploy the model.
examples:
  - { at: 2026-11-20T00:00:00Z, given: { name: a, last_rotated_at: 2026-01-01T00:00:00Z }, expect: fail }
  - { at: 2026-11-20T00:00:00Z, given: { name: b, last_rotated_at: 2026-11-01T00:00:00Z }, expect: pass }
  - { at: 2026-11-20T00:00:00Z, given: { name: c, last_rotated_at: null }, expect: unknown }
"#;

const POLICY: &str = "
id: nhi-credentials
version: 3
effective: 2026-10-01
title: Credentials of non-human identities
owner: lena
provisions:
  rotation:
    title: Rotation
    text: A secret that a production model uses is rotated at least every 90 days.
";

const COMPANY: &str = r#"
teams:
  - { id: platform-security, department: security, email: platform-security@example.test }
  - { id: ml-platform, department: engineering, region: emea }
people:
  - { id: ada, name: Ada, email: ada@example.test, team: ml-platform, roles: [control-owner], timezone: Europe/Dublin }
  - { id: ben, name: Ben, email: ben@example.test, team: ml-platform }
  - { id: lena, name: Lena, email: lena@example.test, roles: [policy-lead] }
  - { id: omar, name: Omar, email: omar@example.test, roles: [administrator] }
channels:
  mail: { smtp: { host: localhost, tls: none, from: "Tripline <tripline@example.test>" } }
  soc: { webhook: { url: "https://soc.example.test/hooks/tripline" } }
  chat: { slack: { url: { env: TRIPLINE_NOT_SET } } }
  pager: { pagerduty: { routing_key: { env: TRIPLINE_NOT_SET } } }
  am: { alertmanager: { url: "http://127.0.0.1:9093" } }
"#;

pub(super) const ROUTES: &str = r#"
routes:
  - { when: "kind = 'finding' AND severity IN ('high', 'critical')", to: [soc, "team:platform-security"], as: alert }
  - { when: "kind = 'finding'", to: [owner], as: digest }
"#;

record! {
    /// A `tripline.yaml`, as far as notices go.
    pub struct Company {
        /// Teams.
        teams: Vec<Team> = Vec::new(),
        /// People.
        people: Vec<Person> = Vec::new(),
        /// Channels.
        channels: Named<Channel> = Named::default(),
        /// Routes.
        routes: Vec<Route> = Vec::new(),
        /// What all have in common.
        notices: Notices = Notices::default(),
    }
}

pub(super) fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// The instant of every sample run.
pub(super) fn now() -> DateTime<Utc> {
    at("2026-11-20T08:05:00Z")
}

pub(super) fn control() -> Control {
    let node = tree::parse(Path::new("controls/rotation.yaml"), CONTROL).unwrap();
    let mut out = Vec::new();
    let (_, draft) = catalog::control::read(&node, &mut out);
    let draft = draft.unwrap_or_else(|| panic!("{out:?}"));
    draft.finish(vec!["aws.secrets".parse().unwrap()], Sha::of("definition"))
}

pub(super) fn policy() -> Policy {
    let (file, _) =
        decode::read::<catalog::policy::PolicyFile>(Path::new("policies/nhi.yaml"), POLICY)
            .unwrap();
    file.resolve(&mut Vec::new())
}

/// The company with routes of its own.
pub(super) fn company(routes: &str) -> Result<(Desk, Vec<Diagnostic>), Vec<Diagnostic>> {
    let text = format!("{COMPANY}{routes}");
    let (company, _) = decode::read::<Company>(Path::new("tripline.yaml"), &text)?;
    let directory = Directory {
        people: company.people,
        teams: company.teams,
    };
    let sources = BTreeMap::from([(SourceId::from("aws"), "omar".to_owned())]);
    let options = Options {
        channels: company.channels,
        routes: company.routes,
        notices: company.notices,
    };
    Desk::new(&options, &directory, sources)
}

pub(super) fn desk(routes: &str) -> Desk {
    company(routes).unwrap_or_else(|d| panic!("{d:?}")).0
}

pub(super) fn site() -> Site {
    Site {
        organisation: "Example Bank".to_owned(),
        url: Some("https://tripline.example.test".parse().unwrap()),
    }
}

/// Without pages: messages name commands.
pub(super) fn bare_site() -> Site {
    Site {
        url: None,
        ..site()
    }
}

pub(super) fn run() -> Run {
    Run {
        id: RunId::from("run-0001"),
        control: "secret-rotation-overdue".into(),
        scheduled_for: now() - TimeDelta::minutes(5),
        cause: Cause::Recheck,
        instant: now(),
        ended_at: now(),
        not_checked: None,
        detail: None,
        counts: Counts::default(),
        evidence: vec![used("aws.secrets", 1204), used("mlflow.model_versions", 86)],
        definition: Sha::of("definition"),
        outcomes: Sha::of("outcomes"),
        counted: true,
        config: Sha::of("config"),
    }
}

fn used(dataset: &str, rows: u64) -> Used {
    Used {
        dataset: dataset.parse::<DatasetName>().unwrap(),
        snapshot: Some(SnapshotId::new(format!("snap-{rows}"))),
        object: Some(Sha::of(dataset)),
        content: Some(Sha::of(dataset)),
        status: Completeness::Complete,
        rows,
        collected_at: Some(now() - TimeDelta::minutes(2)),
        objection: None,
    }
}

/// A finding of the sample control that has just opened.
pub(super) fn finding(name: &str) -> Finding {
    let subject = format!("aws/secret/{name}").into();
    let row = json!({ "name": name, "last_rotated_at": "2026-04-20T00:00:00Z", "team": "ml-platform", "model": "credit-scorer", "version": 3 });
    let row: Row = row.as_object().unwrap().clone();
    Finding {
        key: FindingKey::of(&"secret-rotation-overdue".into(), &subject),
        control: "secret-rotation-overdue".into(),
        subject,
        state: State {
            status: Status::Open,
            fails: 2,
            episode: 1,
            announced: true,
            opened_at: Some(now()),
            openings: vec![now()],
            transition: 2,
            ..State::default()
        },
        severity: Severity::High,
        owners: vec!["ml-platform".to_owned()],
        rows: vec![row],
        row_count: 1,
        fingerprint: BTreeMap::new(),
        facts: BTreeMap::from([("environment".to_owned(), "production".to_owned())]),
        first_seen: now() - TimeDelta::minutes(5),
        run: RunId::from("run-0001"),
        changed_at: now(),
        covered_by: None,
        definition: Sha::of("definition"),
    }
}

pub(super) fn change(finding: Finding, effect: Effect) -> Change {
    Change {
        finding,
        before: Some(Status::Suspect),
        observation: Observation::Fail,
        effect: Some(effect),
        reason: Reason::Confirmed,
        dirty: true,
    }
}

/// A subject that has just opened.
pub(super) fn opened(name: &str) -> Change {
    change(finding(name), Effect::Opened)
}

/// The same subject, mended two days later.
pub(super) fn resolved(name: &str) -> Change {
    let mut finding = finding(name);
    finding.state.status = Status::Resolved;
    finding.state.opened_at = Some(now() - TimeDelta::days(2));
    finding.state.resolved_at = Some(now());
    finding.state.transition = 4;
    Change {
        observation: Observation::Pass,
        reason: Reason::Cleared,
        ..change(finding, Effect::Resolved)
    }
}

/// Many subjects that turned at once.
pub(super) fn many(count: usize, origin: Origin) -> Vec<Change> {
    (0..count)
        .map(|n| {
            let mut one = opened(&format!("svc-{n:04}"));
            one.finding.state.origin = origin;
            one
        })
        .collect()
}

/// Plans the changes of one run with the sample routes.
pub(super) fn planned(changes: &[Change]) -> Plan {
    planned_by(&desk(ROUTES), changes, &Earlier::new())
}

pub(super) fn planned_by(desk: &Desk, changes: &[Change], earlier: &Earlier) -> Plan {
    let (control, policy, run) = (control(), policy(), run());
    plan(&Planning {
        told: Told {
            control: &control,
            policy: Some(&policy),
            run: &run,
            cause: None,
        },
        changes,
        desk,
        earlier,
        now: now(),
    })
}
