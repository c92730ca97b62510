//! A control file as people write it, its defaults, and its mistakes.

use std::path::Path;

use super::*;
use crate::{
    model::{
        control::{Given, MassChange, Param},
        outcome::{Outcome, Unknown},
    },
    yaml::{diagnostic::Level, tree::parse},
};

const GOOD: &str = r#"id: secret-rotation-overdue
title: Secrets used by production models are rotated within 90 days
policy: nhi-credentials#rotation
frameworks: [OWASP-NHI-2025:NHI7, NIST-CSF-2.0:GV.OV]
responsibility: application
lifecycle: [operations, continuous-monitoring]
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
facts: { team: team }
message: "{{ name }} was last rotated {{ last_rotated_at | ago }}; {{ model }} v{{ version }} depends on it"
fix: Rotate the secret in its store, then redeploy the model.
examples:
  - { at: 2026-11-20T00:00:00Z, given: { name: a, last_rotated_at: 2026-01-01T00:00:00Z }, expect: fail }
  - { at: 2026-11-20T00:00:00Z, given: { name: b, last_rotated_at: 2026-11-01T00:00:00Z }, expect: pass }
  - { at: 2026-11-20T00:00:00Z, given: { name: c, last_rotated_at: null }, expect: unknown, because: null_condition }
"#;

/// The good file with one line put in another's place; an empty one takes it away.
fn with(key: &str, line: &str) -> String {
    let start = format!("{key}:");
    let mut out = String::new();
    let mut skipping = false;
    for old in GOOD.lines() {
        let inside = old.starts_with(' ');
        skipping = if inside {
            skipping
        } else {
            old.starts_with(&start)
        };
        if skipping && !inside {
            out.push_str(line);
            out.push('\n');
        } else if !skipping {
            out.push_str(old);
            out.push('\n');
        }
    }
    out
}

fn load(text: &str) -> (Option<Control>, String) {
    let node = parse(Path::new("controls/a.yaml"), text).unwrap();
    let mut out = Vec::new();
    let (_, draft) = read(&node, &mut out);
    let said: Vec<String> = out.iter().map(ToString::to_string).collect();
    let sound = out.iter().all(|d| d.level != Level::Error);
    (draft.filter(|_| sound).map(|d| d.control), said.join("\n"))
}

fn wrong(text: &str) -> String {
    let (control, said) = load(text);
    assert!(control.is_none(), "it loads");
    said
}

#[test]
fn a_control_is_read_with_its_defaults() {
    let (control, said) = load(GOOD);
    assert_eq!(said, "");
    let control = control.unwrap();
    assert_eq!(control.id.as_str(), "secret-rotation-overdue");
    assert_eq!(control.policy.to_string(), "nhi-credentials#rotation");
    assert_eq!(control.schedule.interval, Span::minutes(15));
    assert_eq!(control.rules.confirm, 2);
    assert_eq!(control.rules.clear, 3);
    assert_eq!(control.rules.recheck, Span::millis(225_000));
    assert_eq!(
        control.rules.mass_change,
        MassChange {
            count: 20,
            share: 0.1
        }
    );
    assert_eq!(control.due(Severity::High), Span::days(7));
    assert_eq!(control.on_empty, OnEmpty::Unknown);
    assert_eq!(
        control.params["rotate_within"],
        Param::Duration(Span::days(90))
    );
    assert_eq!(
        control.owner,
        Given::Column {
            column: "team".to_owned(),
            otherwise: "platform-security".to_owned()
        }
    );
    let outcomes: Vec<Outcome> = control.examples.iter().map(|e| e.expect).collect();
    assert_eq!(
        outcomes,
        [
            Outcome::Fail,
            Outcome::Pass,
            Outcome::Unknown(Unknown::NullCondition)
        ]
    );
    assert!(control.examples[2].because_given);
    assert_eq!(control.evidence.block, Some((12, 3)));
}

#[test]
fn a_control_that_seldom_runs_needs_fewer_passes_and_waits_five_minutes() {
    let (control, _) = load(&with("schedule", "schedule: \"0 6 * * *\""));
    let rules = control.unwrap().rules;
    assert_eq!(rules.clear, 2);
    assert_eq!(rules.recheck, Span::minutes(5));
    let said = with(
        "fix",
        "clear: 5\nconfirm: 1\nrecheck: 30s\nmass_change: { share: 50% }\ndue: { high: 1d }",
    );
    let control = load(&said).0.unwrap();
    assert_eq!((control.rules.clear, control.rules.confirm), (5, 1));
    assert_eq!(control.rules.recheck, Span::secs(30));
    assert_eq!(control.rules.mass_change.count, 20);
    assert_eq!(control.due(Severity::High), Span::days(1));
    assert_eq!(control.due(Severity::Low), Span::days(90));
}

// R001, R014, R177: a control without one of its four parts does not load, and hears why.
#[test]
fn a_control_without_one_of_its_four_parts_is_refused() {
    insta::assert_snapshot!(wrong(&with("fails_when", "")), @"TL0201 controls/a.yaml:1:1: the control has no failure condition; add `fails_when:` with a condition in SQL: what only a person can judge cannot run on its own");
    insta::assert_snapshot!(wrong(&with("schedule", "schedule:")), @"TL0202 controls/a.yaml:9:9: the control has no schedule; add `schedule:` with five fields of cron, such as `*/15 * * * *`: what nobody starts must start itself");
    insta::assert_snapshot!(wrong(&with("owner", "owner: \"\"")), @"TL0203 controls/a.yaml:8:8: the control has no owner; add `owner:` with a team or a person: what nobody answers for is bypassed the first time that operations become urgent");
    insta::assert_snapshot!(wrong(&with("owner", "owner: { column: team }")), @"TL0101 controls/a.yaml:8:8: `else` is missing; add `else:`");
    insta::assert_snapshot!(wrong(&with("evidence", "evidence: |\n\n")), @"TL0204 controls/a.yaml:14:1: the control has no evidence; add `evidence:` with a SELECT over datasets: an outcome without evidence cannot be shown to anybody");
}

// R002: a condition that is not shown to fail, pass and be unknown is refused.
#[test]
fn a_control_without_all_three_examples_is_refused() {
    insta::assert_snapshot!(wrong(&with("examples", "")), @"TL0701 controls/a.yaml:1:1: the control has no example of: pass, fail, unknown; a control shows one pass, one fail and one unknown, which `tripline test` runs");
    let only = "examples:\n  - { at: 2026-11-20T00:00:00Z, given: { name: a }, expect: fail, because: stale }\n  - { at: soon, given: {}, expect: pass }";
    insta::assert_snapshot!(wrong(&with("examples", only)), @"
    TL0703 controls/a.yaml:24:76: `fail` has no reason; `because` is the reason of an unknown
    TL0102 controls/a.yaml:25:11: expected an instant such as `2026-11-20T00:00:00Z`, found `soon`; input contains invalid characters
    TL0702 controls/a.yaml:25:24: an example needs a row or datasets; an empty population is `{ source.dataset: [] }`
    TL0701 controls/a.yaml:24:3: the control has no example of: unknown; a control shows one pass, one fail and one unknown, which `tripline test` runs
    ");
}

#[test]
fn five_mistakes_are_five_diagnostics() {
    let text = GOOD
        .replace("severity: high", "severity: hihg")
        .replace("*/15 * * * *", "*/15 * * *")
        .replace("max_age: 1h", "max_age: 1 hour")
        .replace("fingerprint:", "fingerprints:")
        .replace("| ago", "| agoo");
    insta::assert_snapshot!(wrong(&text), @"
    TL0104 controls/a.yaml:7:11: `hihg` is not one of `low`, `medium`, `high`, `critical`; did you mean `high`?
    TL0208 controls/a.yaml:9:11: `*/15 * * *` is not a schedule: it needs five fields: minute, hour, day, month, weekday; every quarter of an hour is `*/15 * * * *`, each morning is `0 6 * * *`
    TL0102 controls/a.yaml:15:10: expected a duration such as `90d`, `12h`, `15m` or `30s`, found `1 hour`; the unit is one of `w`, `d`, `h`, `m`, `s`, `ms`
    TL0211 controls/a.yaml:21:60: the message would not render: filter agoo is unknown
    TL0103 controls/a.yaml:19:1: unknown key `fingerprints`; did you mean `fingerprint`?
    ");
}

#[test]
fn each_value_says_what_it_should_have_been() {
    insta::assert_snapshot!(wrong(&with("id", "id: Secret_Rotation")), @"TL0106 controls/a.yaml:1:5: `Secret_Rotation` cannot be a name here; a name is small letters, digits and single hyphens, starts with a letter, and has at most 64 characters");
    insta::assert_snapshot!(wrong(&with("title", "title: \" \"")), @"TL0107 controls/a.yaml:2:8: expected text, found an empty one");
    insta::assert_snapshot!(wrong(&with("policy", "policy: nhi-credentials")), @"TL0212 controls/a.yaml:3:9: `nhi-credentials` does not name a clause of a policy; write the policy's name, `#`, and the clause: `nhi-credentials#rotation`");
    insta::assert_snapshot!(wrong(&with("schedule", "schedule: \"0 0 31 2 *\"")), @"TL0208 controls/a.yaml:9:11: `0 0 31 2 *` names a day that never comes");
    insta::assert_snapshot!(wrong(&with("max_age", "max_age: 0s")), @"TL0213 controls/a.yaml:15:10: with a `max_age` of zero all evidence is too old; say how old evidence may be, for example `1h`");
    insta::assert_snapshot!(wrong(&with("subject", "subject: \"{name}\"")), @"TL0102 controls/a.yaml:16:10: expected a subject such as `aws/secret/{name}`, found `{name}`; write `source/kind/{column}`");
    insta::assert_snapshot!(wrong(&with("inventory", "inventory: secrets")), @"TL0102 controls/a.yaml:18:12: expected a dataset such as `aws.secrets`, found `secrets`; a dataset is named `source.dataset`");
    insta::assert_snapshot!(wrong(&with("fingerprint", "fingerprint: [model, model, \"a b\"]")), @"TL0108 controls/a.yaml:19:29: `a b` cannot be the name of a column; a column is small letters, digits and `_`, and starts with a letter or `_`");
    insta::assert_snapshot!(wrong(&with("fingerprint", "fingerprint: [model, model]")), @"TL0214 controls/a.yaml:19:22: `model` is listed twice; keep one of them");
    insta::assert_snapshot!(wrong(&with("facts", "facts: { teem: team }")), @"TL0103 controls/a.yaml:20:10: unknown key `teem`; did you mean `team`?");
    insta::assert_snapshot!(wrong(&with("fix", "confirm: 0\nexception_budget: 10")), @"
    TL0102 controls/a.yaml:22:10: expected a whole number, 1 or more, found `0`
    TL0102 controls/a.yaml:23:19: expected a share such as `20%`, found `10`; write a number from 0 to 100 and `%`: `20%`
    ");
    insta::assert_snapshot!(wrong(&with("owner", "owner: [a, b]")), @"TL0102 controls/a.yaml:8:8: expected a team, a person, or `{ column: …, else: … }`, found a list");
    insta::assert_snapshot!(wrong(&with("message", "message: |\n  {{ name }}\n  and {% if x %}")), @"TL0211 controls/a.yaml:23:15: the message would not render: unexpected end of input, expected end of block");
}

#[test]
fn an_unknown_framework_is_a_warning() {
    let (control, said) = load(&with("frameworks", "frameworks: [NIST-CSF-2:GV.OV, X:1]"));
    assert_eq!(control.unwrap().frameworks[0].name, "NIST-CSF-2");
    insta::assert_snapshot!(said, @"
    TL0205 controls/a.yaml:4:14: `NIST-CSF-2` is not a framework that Tripline knows by name; did you mean `NIST-CSF-2.0`?
    TL0205 controls/a.yaml:4:32: `X` is not a framework that Tripline knows by name; known: OWASP-NHI-2025, NIST-CSF-2.0, NIST-AI-RMF-1.0, NIST-AI-600-1, ISO-42001, EU-AI-ACT, BSI-C5, BSI-AIC4, CSA-AICM, CSA-CCM
    ");
    insta::assert_snapshot!(wrong(&with("frameworks", "frameworks: [NIST]")), @"TL0206 controls/a.yaml:4:14: `NIST` is not a reference into a framework; write name and place: `NIST-CSF-2.0:GV.OV`");
}

#[test]
fn what_others_must_judge_survives_a_mistake_elsewhere() {
    let node = parse(Path::new("a.yaml"), &with("max_age", "max_age: soon")).unwrap();
    let mut out = Vec::new();
    let (open, draft) = read(&node, &mut out);
    assert!(draft.is_none());
    assert_eq!(open.evidence.unwrap().block, Some((12, 3)));
    assert_eq!(open.fails_when.unwrap().place.line, 17);
    assert_eq!(open.owner.unwrap().name().value, "platform-security");
    assert_eq!(open.columns.len(), 3);
    let message = open.message.unwrap();
    let place = message.place_of("version");
    assert_eq!((place.line, place.width), (21, 7));
}
