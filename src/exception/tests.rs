//! Routing, decisions and coverage, on one policy with every kind of rule.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use serde_json::json;

use super::{
    Rulebook,
    coverage::{Case, Clause, Coverage, Entry, Known, Policies, Register, Standing, fingerprint},
    decide::{
        Approver, Consequence, Decision, Pending, Refusal, Role, Verdict, Wish, decide, eligible,
        may_grant,
    },
    facet::FACETS,
    reach::Shortage,
    record::Joiner,
    state::Times,
};
use crate::{
    catalog::policy::PolicyFile,
    model::{
        exception::{
            Condition, ExceptedControl, ExceptedSubject, Kind, Level, Pinned, ReasonCode, Risk,
            State, Terms,
        },
        id::{ControlId, Sha, SubjectId},
        outcome::{Outcome, Row, Unknown},
        people::Directory,
        policy::Policy,
        rules::{Check, ExceptionRules, OnViolation, Step},
        span::Span,
    },
    yaml::decode,
};

const POLICY: &str = include_str!("../../tests/cases/exception/policy.yaml");

fn policy() -> Policy {
    let (file, _) = decode::read::<PolicyFile>(Path::new("policy.yaml"), POLICY)
        .unwrap_or_else(|wrong| panic!("{wrong:#?}"));
    file.resolve(&mut Vec::new())
}

fn rulebook() -> Rulebook {
    let rules = policy().exceptions.unwrap();
    Rulebook::new(Arc::new(*rules)).unwrap_or_else(|p| panic!("{p:?}"))
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

// R066, R067, R068, R070, R071, R075, R078, R079, R088, R089, R090, R092, R093, R169: structured rules decide, the
// same way each time; equal to a threshold is not above it.
#[test]
fn the_examples_of_the_policy_come_out_as_they_say() {
    let rulebook = rulebook();
    let examples = policy().examples;
    assert_eq!(examples.len(), 7);
    for example in examples {
        let mut facets = example.given.clone();
        let triage = rulebook.triage(&mut facets);
        let routed = rulebook.route(&triage, &facets);
        let place = &example.place;
        assert_eq!(triage.tier, example.tier, "{place}");
        assert_eq!(routed.names(), example.routes, "{place}");
        assert_eq!(routed.steps, example.steps, "{place}");
        assert_eq!(routed.auto, example.steps.is_empty(), "{place}");
        if let Some(urgency) = example.urgency {
            assert_eq!(triage.urgency, urgency, "{place}");
        }
        assert_eq!(routed.sla, example.sla, "{place}");
    }
}

// R085.
#[test]
fn the_strictest_bounds_of_all_routes_hold() {
    let rulebook = rulebook();
    let mut facets: Row = json!({
        "data_sensitivity": "regulated", "environment": "production", "customer_exposure": true, "business_impact": "high",
        "amount": 6000, "requested_days": 30, "renewal_number": 0, "confidence": 0.9, "sets_precedent": false,
        "legal_exposure": false, "incident_open": true,
    })
    .as_object()
    .cloned()
    .unwrap();
    let triage = rulebook.triage(&mut facets);
    let routed = rulebook.route(&triage, &facets);
    assert_eq!(routed.steps, ["assess", "l1", "l2", "dual"]);
    assert_eq!(routed.max_duration, Span::days(30));
    assert_eq!(routed.revalidate_every, Some(Span::days(14)));
    assert_eq!(routed.require_evidence, ["evaluation", "model_card"]);
    assert_eq!(routed.require_mitigations, [["usage-cap"]]);
    assert_eq!(routed.emergency.unwrap().authority, "oncall-security");
}

fn any_facets() -> impl Strategy<Value = Row> {
    let words = prop_oneof![Just("public"), Just("internal"), Just("regulated")];
    let impact = prop_oneof![Just("low"), Just("high"), Just("critical")];
    let place = prop_oneof![Just("sandbox"), Just("production")];
    (
        proptest::option::of(words),
        proptest::option::of(impact),
        proptest::option::of(place),
        proptest::option::of(any::<bool>()),
        proptest::option::of(0..60_000_i64),
        proptest::option::of(0.0..1.0_f64),
        proptest::option::of(any::<bool>()),
    )
        .prop_map(|(data, impact, place, exposure, amount, confidence, precedent)| {
            json!({
                "data_sensitivity": data, "business_impact": impact, "environment": place,
                "customer_exposure": exposure, "amount": amount, "confidence": confidence,
                "sets_precedent": precedent, "legal_exposure": false, "requested_days": 10, "renewal_number": 0,
            })
            .as_object()
            .cloned()
            .unwrap_or_default()
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    // What is not said never makes the way easier.
    #[test]
    fn to_say_less_never_asks_fewer_people(facets in any_facets(), drop in 0..FACETS.len()) {
        let rulebook = rulebook();
        let steps = |facets: &Row| {
            let mut facets = facets.clone();
            let triage = rulebook.triage(&mut facets);
            let tier = rulebook.rules.tiers.iter().position(|t| t.id == triage.tier).unwrap();
            (tier, rulebook.route(&triage, &facets))
        };
        let (tier, routed) = steps(&facets);
        let mut less = facets.clone();
        less.remove(FACETS[drop].0);
        let (tier_of_less, routed_of_less) = steps(&less);
        prop_assert!(tier_of_less <= tier);
        prop_assert!(!routed_of_less.auto || routed.auto);
        // Of the same tier, every step that was asked for is asked for still.
        if tier_of_less == tier {
            prop_assert!(routed.steps.iter().all(|s| routed_of_less.steps.contains(s)));
        }
    }

    #[test]
    fn the_same_request_takes_the_same_way(facets in any_facets()) {
        let (one, other) = (rulebook(), rulebook());
        let (mut a, mut b) = (facets.clone(), facets);
        let (ta, tb) = (one.triage(&mut a), other.triage(&mut b));
        prop_assert_eq!(&ta, &tb);
        prop_assert_eq!(one.route(&ta, &a), other.route(&tb, &b));
    }
}

const REQUEST: &str = r"
title: Later rotation of the ledger key of credit-scorer
kind: compensated
category: rotation-delay
policy: nhi-credentials#rotation
controls: [rotation]
requester: ben
owner: ola
beneficiary_team: scoring
monitors: [ola]
business_purpose: The ledger vendor moves its key service on 20 January; until then a new key stops card decisions for six hours.
impact_if_denied: Card decisions stop for six hours in the December peak and 40,000 applications wait.
reason_code: vendor_limitation
alternatives: A second key in parallel was tried in the test system; the vendor accepts only one.
risk_introduced: A leaked key stays usable for up to 60 days longer than the policy allows.
risk:
  inherent: { likelihood: medium, impact: high, rating: high }
  residual: { likelihood: low, impact: high, rating: medium }
facets: { business_impact: high, data_sensitivity: confidential, customer_exposure: true, amount: 0 }
scope: { subjects: [aws/secret/svc-1] }
not_before: 2026-12-01T00:00:00Z
expires_at: 2026-12-31T00:00:00Z
conditions:
  - { mitigation: usage-cap, params: { max_calls: 2000 }, responsible: ola }
closure_plan: The key is rotated in the vendor's new service by 28 December.
";

fn directory() -> Directory {
    fn read<T: decode::Decode>(text: &str) -> T {
        decode::read(Path::new("tripline.yaml"), text).unwrap().0
    }
    Directory {
        people: vec![
            read("{ id: ben, name: Ben, email: ben@example.test, team: scoring }"),
            read("{ id: ola, name: Ola, email: ola@example.test, team: scoring }"),
        ],
        teams: vec![read("{ id: scoring, email: scoring@example.test }")],
    }
}

/// What a request lacks when lines of the complete one are replaced: `field: lack`.
fn lacking(edits: &[(&str, &str)]) -> Vec<String> {
    let text = edits.iter().fold(REQUEST.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    });
    let request = crate::catalog::request::read(Path::new("request.yaml"), &text)
        .unwrap_or_else(|wrong| panic!("{wrong:#?}"));
    let policy = policy();
    let rules = policy.exceptions.clone().unwrap();
    let control = |id: &ControlId| {
        let mut control = crate::model::definition::tests::rotation().control(id);
        control.policy = "nhi-credentials#rotation".parse().unwrap();
        (id.as_str() == "rotation").then(|| Arc::new(control))
    };
    let seen = |_: &ControlId, subject: &SubjectId| match subject.as_str() {
        "aws/secret/svc-1" => Ok(true),
        "aws/secret/svc-down" => Err("aws did not answer".to_owned()),
        _ => Ok(false),
    };
    let against = super::complete::Against {
        policy: &policy,
        rules: &rules,
        directory: &directory(),
        controls: &control,
        seen: &seen,
        now: at("2026-11-20T00:00:00Z"),
    };
    super::complete::lacks(&request, &against)
        .into_iter()
        .map(|m| format!("{}: {}", m.field, m.lack))
        .collect()
}

#[test]
fn a_complete_request_lacks_nothing() {
    assert_eq!(lacking(&[]), Vec::<String>::new());
}

// R024, R025, R026, R028, R029, R030, R031, R032, R033, R037, R047, R053, R055, R057, R058, R059, R060, R165,
// R170: everything that is missing is told at once, and nothing generic passes.
#[test]
fn what_a_request_lacks_is_told_by_field() {
    let cases: &[(&[(&str, &str)], &str)] = &[
        (
            &[(
                "title: Later rotation of the ledger key of credit-scorer\n",
                "",
            )],
            "title: missing",
        ),
        (
            &[("category: rotation-delay", "category: no-such")],
            "category: unknown",
        ),
        (&[("controls: [rotation]\n", "")], "controls: missing"),
        (
            &[("controls: [rotation]", "controls: [other]")],
            "controls: unknown",
        ),
        (&[("requester: ben\n", "")], "requester: missing"),
        (
            &[("owner: ola\nbeneficiary", "beneficiary")],
            "owner: missing",
        ),
        (
            &[(
                "owner: ola\nbeneficiary",
                "owner: team:scoring\nbeneficiary",
            )],
            "owner: unknown",
        ),
        (
            &[("beneficiary_team: scoring\n", "")],
            "beneficiary_team: missing",
        ),
        (&[("monitors: [ola]\n", "")], "monitors: missing"),
        (
            &[("reason_code: vendor_limitation\n", "")],
            "reason_code: missing",
        ),
        (
            &[("scope: { subjects: [aws/secret/svc-1] }\n", "")],
            "scope: missing",
        ),
        (
            &[("[aws/secret/svc-1]", "[\"aws/secret/*\"]")],
            "scope: not_permitted",
        ),
        (
            &[("[aws/secret/svc-1]", "[aws/secret/svc-2]")],
            "scope: unknown",
        ),
        (
            &[("[aws/secret/svc-1]", "[aws/secret/svc-down]")],
            "scope: cannot_tell",
        ),
        (
            &[("[aws/secret/svc-1]", "[aws/secret/svc-1, aws/secret/svc-1]")],
            "scope: twice",
        ),
        (
            &[("controls: [rotation]", "controls: [rotation, rotation]")],
            "controls: twice",
        ),
        (
            &[("max_calls: 2000", "max_calls: many")],
            "conditions[0]: wrong_type",
        ),
        (&[("amount: 0", "amount: lots")], "facets: wrong_type"),
        (&[("amount: 0", "amount: -5")], "facets: wrong_type"),
        (
            &[("customer_exposure: true", "customer_exposure: \"no\"")],
            "facets: wrong_type",
        ),
        (
            &[("customer_exposure: true", "regulatory: none")],
            "facets: wrong_type",
        ),
        (
            &[("expires_at: 2026-12-31T00:00:00Z\n", "")],
            "expires_at: indefinite",
        ),
        (
            &[("expires_at: 2026-12-31", "expires_at: 2026-12-01")],
            "expires_at: not_permitted",
        ),
        (
            &[("expires_at: 2026-12-31", "expires_at: 2027-03-02")],
            "expires_at: beyond_limit",
        ),
        (
            &[("params: { max_calls: 2000 }", "params: {}")],
            "conditions[0]: missing",
        ),
        (
            &[("mitigation: usage-cap", "mitigation: hope")],
            "conditions[0]: unknown",
        ),
        (
            &[("data_sensitivity: confidential", "data_sensitivity: cosy")],
            "facets: unknown",
        ),
        (
            &[("data_sensitivity: confidential", "environment: sandbox")],
            "facets: not_permitted",
        ),
        (
            &[(
                "closure_plan: The key",
                "closure_plan: \"The \\u202e key\" #",
            )],
            "closure_plan: hidden",
        ),
    ];
    for (edits, wanted) in cases {
        assert_eq!(lacking(edits), [*wanted], "{edits:?}");
    }
    let nothing = "  - { mitigation: usage-cap, params: { max_calls: 2000 }, responsible: ola }\n";
    assert_eq!(
        lacking(&[("conditions:\n", ""), (nothing, "")]),
        ["conditions: replaces_nothing"]
    );
    // A second condition of the same name would hide how the first stands, and one that reads nothing never fails.
    let again = nothing.replace("2000", "90000");
    assert_eq!(
        lacking(&[(nothing, &format!("{nothing}{again}"))]),
        ["conditions: twice"]
    );
    let hollow = "  - { id: hope, text: Nothing happens, evidence: SELECT name FROM aws.secrets, subject: name, fails_when: \"false\", responsible: ola }\n";
    assert_eq!(
        lacking(&[(nothing, hollow)]),
        ["conditions[0]: replaces_nothing"]
    );
    let purpose = "The ledger vendor moves its key service on 20 January; until then a new key stops card decisions for six hours.";
    for (said, lack) in [
        ("business urgency", "generic"),
        ("There is some business urgency here", "generic"),
        ("Quarter end", "generic"),
        ("The vendor moves", "too_short"),
        ("a a a a a a a a a a a a a a a", "too_short"),
    ] {
        assert_eq!(
            lacking(&[(purpose, said)]),
            [format!("business_purpose: {lack}")],
            "{said}"
        );
    }
}

fn terms() -> Terms {
    let risk = Risk {
        likelihood: Level::Low,
        impact: Level::High,
        rating: Level::Medium,
    };
    Terms {
        title: "Later rotation of the ledger key".to_owned(),
        kind: Kind::Compensated,
        category: "rotation-delay".to_owned(),
        provision: "nhi-credentials#rotation".parse().unwrap(),
        policy: Pinned {
            version: 4,
            effective: "2026-10-01".parse().unwrap(),
            text: Sha::of("text"),
            rules: Sha::of("rules"),
        },
        controls: vec![ExceptedControl {
            control: "rotation".into(),
            definition: Sha::of("rotation"),
        }],
        requester: "ben".into(),
        owner: "ola".into(),
        backup_owner: None,
        beneficiary_team: "scoring".into(),
        monitors: vec!["ola".to_owned()],
        business_purpose: String::new(),
        impact_if_denied: String::new(),
        reason_code: ReasonCode::VendorLimitation,
        alternatives: String::new(),
        risk_introduced: String::new(),
        inherent: risk,
        residual: risk,
        facets: json!({ "amount": 0 }).as_object().cloned().unwrap(),
        facts: BTreeMap::new(),
        subjects: vec![ExceptedSubject {
            control: "rotation".into(),
            subject: "aws/secret/svc-1".into(),
            fingerprint: fingerprint(&shape("3")),
        }],
        selector: None,
        limit: Some("age < 150".to_owned()),
        not_before: at("2026-12-01T00:00:00Z"),
        expires_at: at("2026-12-31T00:00:00Z"),
        review_every: None,
        conditions: vec![Condition {
            id: "usage-cap".to_owned(),
            text: "At most 2000 calls a day".to_owned(),
            check: Check::Attested {
                every: Span::days(7),
            },
            params: BTreeMap::new(),
            on_violation: OnViolation::Suspend,
            grace: Span::hours(2),
            responsible: "ola".to_owned(),
        }],
        evidence: Vec::new(),
        closure_plan: None,
        renewal_of: None,
        renewals: 0,
        original_expires_at: None,
        incident: None,
        ticket: None,
    }
}

fn shape(version: &str) -> BTreeMap<String, Vec<String>> {
    BTreeMap::from([
        ("model".to_owned(), vec!["scorer".to_owned()]),
        ("version".to_owned(), vec![version.to_owned()]),
    ])
}

fn known(standing: Standing, until: Option<DateTime<Utc>>) -> BTreeMap<String, Known> {
    BTreeMap::from([("usage-cap".to_owned(), Known { standing, until })])
}

fn entry(state: State) -> Entry {
    let terms = terms();
    Entry {
        id: "EXC-2026-0001".into(),
        state,
        times: Times {
            submitted_at: None,
            approved_at: None,
            activated_at: Some(terms.not_before),
            suspended_at: None,
            ratify_by: None,
            not_before: terms.not_before,
            expires_at: terms.expires_at,
        },
        limits: policy().exceptions.unwrap().limits,
        doubt: None,
        review_due: None,
        conditions: known(Standing::Holds, None),
        terms: Arc::new(terms),
    }
}

/// What is asked of coverage, with what may be otherwise.
struct Asked {
    control: ControlId,
    definition: Sha,
    waivable: bool,
    subject: SubjectId,
    outcome: Outcome,
    age: i64,
    version: &'static str,
    unverified_since: Option<DateTime<Utc>>,
    policy: Sha,
    now: DateTime<Utc>,
}

impl Default for Asked {
    fn default() -> Self {
        Self {
            control: "rotation".into(),
            definition: Sha::of("rotation"),
            waivable: true,
            subject: "aws/secret/svc-1".into(),
            outcome: Outcome::Fail,
            age: 120,
            version: "3",
            unverified_since: None,
            policy: terms().policy.text,
            now: at("2026-12-10T00:00:00Z"),
        }
    }
}

impl Asked {
    /// The clause that does not hold; nothing when it is covered, or when no exception speaks of it.
    fn of(&self, entries: Vec<Entry>) -> (usize, Vec<Clause>) {
        let coverage = self.coverage(entries);
        (
            coverage.by.len(),
            coverage.lost.iter().map(|l| l.clause).collect(),
        )
    }

    fn coverage(&self, entries: Vec<Entry>) -> Coverage {
        let rows = [json!({ "age": self.age }).as_object().cloned().unwrap()];
        let case = Case {
            control: &self.control,
            definition: self.definition,
            waivable: self.waivable,
            subject: &self.subject,
            outcome: self.outcome,
            rows: &rows,
            fingerprint: &shape(self.version),
            unverified_since: self.unverified_since,
            policies: &Policies::from([(terms().provision.policy, self.policy)]),
            now: self.now,
        };
        let limit = |_: &str, row: &Row| row.get("age")?.as_i64().map(|age| age < 150);
        Register::new(entries).covers(&case, &limit)
    }
}

// R130, R132, R134, R172, R173: each clause by itself takes the cover away, and is named.
#[test]
fn each_clause_must_hold_and_is_named_when_it_does_not() {
    let active = || vec![entry(State::Active)];
    assert_eq!(Asked::default().of(active()), (1, vec![]));
    let lost = |asked: Asked, entries: Vec<Entry>| asked.of(entries);
    let usual = Asked::default;
    for state in State::ALL.iter().filter(|s| **s != State::Active) {
        assert_eq!(
            lost(usual(), vec![entry(*state)]),
            (0, vec![Clause::State]),
            "{state}"
        );
    }
    let early = Asked {
        now: at("2026-11-30T23:59:59Z"),
        ..usual()
    };
    assert_eq!(lost(early, active()), (0, vec![Clause::State]));
    let at_the_end = Asked {
        now: at("2026-12-31T00:00:00Z"),
        ..usual()
    };
    assert_eq!(lost(at_the_end, active()), (0, vec![Clause::State]));
    let edited = Asked {
        definition: Sha::of("edited"),
        ..usual()
    };
    assert_eq!(lost(edited, active()), (0, vec![Clause::Control]));
    let never = Asked {
        waivable: false,
        ..usual()
    };
    assert_eq!(lost(never, active()), (0, vec![Clause::Control]));
    let worse = Asked {
        age: 150,
        ..usual()
    };
    assert_eq!(lost(worse, active()), (0, vec![Clause::Limit]));
    let other = Asked {
        version: "4",
        ..usual()
    };
    assert_eq!(lost(other, active()), (0, vec![Clause::Fingerprint]));
    let unknown = Asked {
        outcome: Outcome::Unknown(Unknown::NullCondition),
        ..usual()
    };
    assert_eq!(lost(unknown, active()), (0, vec![Clause::Outcome]));
    let mut failing = entry(State::Active);
    failing.conditions = known(Standing::Fails, None);
    assert_eq!(lost(usual(), vec![failing]), (0, vec![Clause::Conditions]));
    let mut unlooked = entry(State::Active);
    unlooked.conditions.clear();
    assert_eq!(lost(usual(), vec![unlooked]), (0, vec![Clause::Conditions]));
    // What the log does not bear out covers nothing, whatever else holds.
    let mut doubted = entry(State::Active);
    doubted.doubt = Some("when it ends is not what the log says".to_owned());
    assert_eq!(lost(usual(), vec![doubted]), (0, vec![Clause::Register]));
    let rewritten = Asked {
        policy: Sha::of("another text"),
        ..usual()
    };
    assert_eq!(lost(rewritten, active()), (0, vec![Clause::State]));
    let mut overdue = entry(State::Active);
    overdue.review_due = Some(usual().now);
    assert_eq!(lost(usual(), vec![overdue]), (0, vec![Clause::State]));
}

#[test]
fn what_was_taken_back_before_its_day_is_said_to_be_taken_back() {
    let early = Asked {
        now: at("2026-11-30T00:00:00Z"),
        ..Asked::default()
    };
    let why = |state| early.coverage(vec![entry(state)]).lost.remove(0).why;
    assert_eq!(why(State::Withdrawn), "it is withdrawn");
    assert_eq!(why(State::Approved), "it is not yet in force");
}

// A look or a word is good until the next is late, and then for the grace; whoever asks later is told so, also when
// nobody was there to look.
#[test]
fn what_nobody_looked_at_again_is_not_known_to_hold() {
    let now = Asked::default().now;
    let held = |minutes: i64| {
        let mut entry = entry(State::Active);
        entry.conditions = known(Standing::Holds, Some(now - TimeDelta::minutes(minutes)));
        Asked::default().of(vec![entry])
    };
    assert_eq!(held(-1), (1, vec![]));
    assert_eq!(held(119), (1, vec![]));
    assert_eq!(held(120), (0, vec![Clause::Conditions]));
}

#[test]
fn cover_goes_on_for_a_day_without_evidence_and_no_longer() {
    let held = |minutes: i64| {
        let asked = Asked {
            unverified_since: Some(Asked::default().now - TimeDelta::minutes(minutes)),
            ..Asked::default()
        };
        asked.of(vec![entry(State::Active)])
    };
    assert_eq!(held(24 * 60 - 1), (1, vec![]));
    assert_eq!(held(24 * 60), (0, vec![Clause::Outcome]));
}

#[test]
fn a_name_is_that_name_and_no_other() {
    for subject in [
        "aws/secret/svc-10",
        "aws/secret/svc",
        "aws/secret/SVC-1",
        "aws/secret/svc-1 ",
        "gcp/secret/svc-1",
    ] {
        let asked = Asked {
            subject: subject.into(),
            ..Asked::default()
        };
        assert_eq!(
            asked.of(vec![entry(State::Active)]),
            (0, vec![]),
            "{subject}"
        );
    }
}

#[test]
fn missing_evidence_goes_on_for_its_grace_and_then_uncovers() {
    let held = |minutes: i64| {
        let mut entry = entry(State::Active);
        let since = Asked::default().now - TimeDelta::minutes(minutes);
        entry.conditions = known(Standing::Unknown(since), None);
        Asked::default().of(vec![entry])
    };
    assert_eq!(held(119), (1, vec![]));
    assert_eq!(held(120), (0, vec![Clause::Conditions]));
}

#[test]
fn of_several_that_cover_the_one_that_ends_first_counts_and_losing_one_is_not_losing_all() {
    let mut longer = entry(State::Active);
    longer.id = "EXC-2026-0002".into();
    longer.times.expires_at = at("2027-01-15T00:00:00Z");
    let both = vec![longer.clone(), entry(State::Active)];
    assert_eq!(Asked::default().of(both), (2, vec![]));
    let one = vec![longer, entry(State::Revoked)];
    assert_eq!(Asked::default().of(one), (1, vec![Clause::State]));
}

fn approver(person: &str, team: &str, role: &str) -> Approver {
    Approver {
        person: person.into(),
        name: person.to_owned(),
        team: Some(team.into()),
        roles: vec![Role::own(role)],
    }
}

/// A request on its way through some steps.
struct Way {
    terms: Terms,
    tier: &'static str,
    steps: Vec<Step>,
    decisions: Vec<Decision>,
    wider: Vec<Sha>,
    joiners: Vec<Joiner>,
    state: State,
}

impl Way {
    fn through(steps: &[&str]) -> Self {
        let rules = policy().exceptions.unwrap();
        Self {
            terms: terms(),
            tier: "high",
            steps: steps
                .iter()
                .map(|s| rules.step(s).unwrap().1.clone())
                .collect(),
            decisions: Vec::new(),
            wider: Vec::new(),
            joiners: Vec::new(),
            state: State::PendingDecision,
        }
    }

    fn wish(&self, verdict: Verdict) -> Wish {
        Wish {
            verdict,
            reason: None,
            ends: None,
            conditions: Vec::new(),
            terms: self.terms.digest(),
            package: None,
        }
    }

    fn says(&mut self, who: &Approver, wish: Wish) -> Result<Consequence, Refusal> {
        let rules = policy().exceptions.unwrap();
        let pending = self.pending(&rules);
        let now = at("2026-11-20T00:00:00Z");
        let (decision, consequence) = decide(&pending, who, wish, (false, now))?;
        assert!(eligible(&pending, who, false).is_ok());
        self.decisions.push(decision);
        Ok(consequence)
    }

    fn signs(&mut self, person: &str, team: &str, role: &str) -> Result<Consequence, Refusal> {
        let wish = self.wish(Verdict::Approve);
        self.says(&approver(person, team, role), wish)
    }
}

// R084, R094: two people of two teams, in order, and nobody twice.
#[test]
fn dual_approval_takes_two_people_of_two_teams() {
    let mut way = Way::through(&["dual"]);
    assert_eq!(
        way.signs("eve", "red", "security-lead"),
        Ok(Consequence::GoesOn)
    );
    assert_eq!(
        way.signs("eve", "blue", "security-lead"),
        Err(Refusal::AlreadySigned)
    );
    assert_eq!(
        way.signs("dan", "red", "security-lead"),
        Err(Refusal::SameTeam)
    );
    assert_eq!(
        way.signs("fay", "blue", "approver-l2"),
        Err(Refusal::NotAsked)
    );
    assert_eq!(
        way.signs("fay", "blue", "security-lead"),
        Ok(Consequence::Approved)
    );
}

#[test]
fn steps_are_taken_in_order_and_none_is_skipped() {
    let mut way = Way::through(&["assess", "l1", "l2"]);
    way.tier = "medium";
    assert_eq!(
        way.signs("max", "red", "approver-l2"),
        Err(Refusal::NotAsked)
    );
    assert_eq!(
        way.signs("ann", "red", "model-risk"),
        Ok(Consequence::GoesOn)
    );
    assert_eq!(
        way.signs("kim", "blue", "approver-l1"),
        Err(Refusal::NotAsked)
    );
    assert_eq!(way.signs("lea", "blue", "legal"), Ok(Consequence::GoesOn));
    assert_eq!(
        way.signs("max", "red", "approver-l2"),
        Err(Refusal::NotAsked)
    );
    assert_eq!(
        way.signs("kim", "blue", "approver-l1"),
        Ok(Consequence::GoesOn)
    );
    assert_eq!(
        way.signs("kim", "blue", "approver-l2"),
        Err(Refusal::AlreadySigned)
    );
    assert_eq!(
        way.signs("max", "red", "approver-l2"),
        Ok(Consequence::Approved)
    );
}

#[test]
fn who_asks_answers_or_benefits_never_approves() {
    let mut way = Way::through(&["dual"]);
    assert_eq!(
        way.signs("ben", "red", "security-lead"),
        Err(Refusal::IsRequester)
    );
    assert_eq!(
        way.signs("ola", "red", "security-lead"),
        Err(Refusal::IsOwner)
    );
    assert_eq!(
        way.signs("zoe", "scoring", "security-lead"),
        Err(Refusal::IsBeneficiary)
    );
    let mut deputy = approver("gus", "red", "security-lead");
    deputy.roles[0].on_behalf_of = Some("ben".into());
    let wish = way.wish(Verdict::Approve);
    assert_eq!(way.says(&deputy, wish), Err(Refusal::IsRequester));
}

fn deputy(person: &str, team: &str, role: &str, (lender, of): (&str, &str)) -> Approver {
    let mut who = approver(person, team, role);
    who.roles[0].on_behalf_of = Some(lender.into());
    who.roles[0].their_team = Some(of.into());
    who
}

// A lent role carries what excludes whoever lends it.
#[test]
fn who_acts_for_another_is_bound_by_their_team_too() {
    let mut way = Way::through(&["dual"]);
    let wish = way.wish(Verdict::Approve);
    let for_zoe = deputy("bob", "green", "security-lead", ("zoe", "scoring"));
    assert_eq!(
        way.says(&for_zoe, wish.clone()),
        Err(Refusal::IsBeneficiary)
    );
    // Two teams are two on both sides: that of who signs, and that of whoever let them.
    assert_eq!(
        way.signs("ada", "red", "security-lead"),
        Ok(Consequence::GoesOn)
    );
    let for_ann = deputy("bob", "green", "security-lead", ("ann", "red"));
    assert_eq!(way.says(&for_ann, wish.clone()), Err(Refusal::SameTeam));
    // Of two roles, the one that may.
    let mut both = for_ann;
    both.roles.push(Role::own("security-lead"));
    assert_eq!(way.says(&both, wish), Ok(Consequence::Approved));
}

// Who joins benefits, and their team with them.
#[test]
fn who_joined_never_approves_what_they_joined() {
    let mut way = Way::through(&["dual"]);
    way.joiners.push(Joiner {
        team: "green".into(),
        person: "ida".into(),
        because: "The same key".to_owned(),
        at: at("2026-11-19T00:00:00Z"),
    });
    for (person, team) in [("ida", "red"), ("ann", "green")] {
        assert_eq!(
            way.signs(person, team, "security-lead"),
            Err(Refusal::IsBeneficiary),
            "{person}"
        );
    }
    assert_eq!(
        way.signs("eve", "red", "security-lead"),
        Ok(Consequence::GoesOn)
    );
}

impl Way {
    fn pending<'a>(&'a self, rules: &'a ExceptionRules) -> Pending<'a> {
        Pending {
            state: self.state,
            terms: &self.terms,
            digest: self.terms.digest(),
            wider: &self.wider,
            joiners: &self.joiners,
            tier: self.tier,
            steps: &self.steps,
            decisions: &self.decisions,
            rules,
        }
    }
}

// R112, R113: each who signs may shorten it, and the shortest holds.
#[test]
fn the_earliest_end_that_anybody_names_holds() {
    let rules = policy().exceptions.unwrap();
    let mut way = Way::through(&["dual"]);
    let first = Wish {
        ends: Some(at("2026-12-05T00:00:00Z")),
        ..way.wish(Verdict::Approve)
    };
    let eve = approver("eve", "red", "security-lead");
    assert_eq!(way.says(&eve, first), Ok(Consequence::GoesOn));
    assert_eq!(way.pending(&rules).until(), at("2026-12-05T00:00:00Z"));
    let later = Wish {
        ends: Some(at("2026-12-20T00:00:00Z")),
        ..way.wish(Verdict::Approve)
    };
    let fay = approver("fay", "blue", "security-lead");
    assert_eq!(way.says(&fay, later), Ok(Consequence::Approved));
    assert_eq!(way.pending(&rules).until(), at("2026-12-05T00:00:00Z"));
    // An end by which it would be over before it began is none.
    for end in ["2026-11-19T00:00:00Z", "2026-12-01T00:00:00Z"] {
        let mut way = Way::through(&["dual"]);
        let over = Wish {
            ends: Some(at(end)),
            ..way.wish(Verdict::Approve)
        };
        assert_eq!(way.says(&eve, over), Err(Refusal::EndPassed), "{end}");
    }
    // A role that may not sign for so long signs after one who shortened it.
    let mut way = Way::through(&["l1", "l2"]);
    way.tier = "medium";
    way.terms.expires_at = way.terms.not_before + TimeDelta::days(80);
    let ends = way.terms.not_before + TimeDelta::days(20);
    let short = Wish {
        ends: Some(ends),
        ..way.wish(Verdict::Approve)
    };
    let kim = approver("kim", "blue", "approver-l1");
    assert_eq!(way.says(&kim, short), Ok(Consequence::GoesOn));
    assert_eq!(
        way.signs("max", "red", "approver-l2"),
        Ok(Consequence::Approved)
    );
}

// R112, R113: what an approver adds is part of the terms from then on; what was signed before permitted more, and counts.
#[test]
fn a_condition_that_an_approver_adds_narrows_the_terms() {
    let mut way = Way::through(&["dual"]);
    assert_eq!(
        way.signs("eve", "red", "security-lead"),
        Ok(Consequence::GoesOn)
    );
    let more = Condition {
        id: "weekly-look".to_owned(),
        text: "Somebody looks every week".to_owned(),
        ..terms().conditions.remove(0)
    };
    let refused = Wish {
        reason: Some("no".to_owned()),
        conditions: vec![more.clone()],
        ..way.wish(Verdict::Deny)
    };
    let fay = approver("fay", "blue", "security-lead");
    assert_eq!(way.says(&fay, refused), Err(Refusal::OnlyWithApproval));
    let stale = way.wish(Verdict::Approve);
    way.wider.push(way.terms.digest());
    way.terms.conditions.push(more);
    assert_eq!(
        way.says(&fay, stale),
        Err(Refusal::StaleTerms),
        "whoever signs later sees it"
    );
    assert_eq!(
        way.signs("fay", "blue", "security-lead"),
        Ok(Consequence::Approved)
    );
}

// A question is no signature: who asked may sign what comes back.
#[test]
fn who_asked_a_question_may_sign_the_answer() {
    let mut way = Way::through(&["dual"]);
    let eve = approver("eve", "red", "security-lead");
    let question = Wish {
        reason: Some("Which contract?".to_owned()),
        ..way.wish(Verdict::Ask)
    };
    assert_eq!(way.says(&eve, question), Ok(Consequence::SentBack));
    let yes = way.wish(Verdict::Approve);
    assert_eq!(way.says(&eve, yes), Ok(Consequence::GoesOn));
}

// R082: who assesses says yes or asks; who stands in for those who stayed silent ends the step.
#[test]
fn an_assessment_that_took_too_long_is_completed_by_its_stand_in() {
    let rules = policy().exceptions.unwrap();
    let mut way = Way::through(&["assess", "dual"]);
    way.state = State::InAssessment;
    let no = Wish {
        reason: Some("no".to_owned()),
        ..way.wish(Verdict::Deny)
    };
    let ann = approver("ann", "red", "model-risk");
    assert_eq!(way.says(&ann, no), Err(Refusal::NotOffered));
    let (_, options) = eligible(&way.pending(&rules), &ann, false).unwrap();
    assert_eq!(options.verdicts, [Verdict::Approve, Verdict::Ask]);
    assert_eq!(
        way.signs("ann", "red", "model-risk"),
        Ok(Consequence::GoesOn)
    );
    let lead = approver("sue", "blue", "security-lead");
    let wish = way.wish(Verdict::Approve);
    let now = at("2026-11-24T00:00:00Z");
    let (decision, consequence) = decide(&way.pending(&rules), &lead, wish, (true, now)).unwrap();
    assert_eq!(consequence, Consequence::GoesOn);
    way.decisions.push(decision);
    assert_eq!(way.pending(&rules).open().unwrap().id, "dual");
}

// R098, R139: a grant in an emergency is bound by the authority of who gives it.
#[test]
fn a_grant_is_within_the_authority_of_who_gives_it() {
    let mut rules = policy().exceptions.unwrap();
    let oncall = rules.authority.get_mut("oncall-security").unwrap();
    oncall.max_amount = Some(100.0);
    let emergency = crate::model::rules::Emergency {
        authority: "oncall-security".to_owned(),
        ttl: Span::hours(24),
        ratify_within: Span::hours(24),
    };
    let grants = |way: &Way, rules: &ExceptionRules| {
        let who = approver("ada", "red", "oncall-security");
        may_grant(&way.pending(rules), &who, &emergency).map(|_| ())
    };
    let mut way = Way::through(&["dual"]);
    assert_eq!(grants(&way, &rules), Ok(()));
    way.terms.facets.insert("amount".to_owned(), json!(49_000));
    assert_eq!(grants(&way, &rules), Err(Refusal::BeyondAmount));
    rules.authority.get_mut("oncall-security").unwrap().tiers = vec!["low".to_owned()];
    assert_eq!(grants(&way, &rules), Err(Refusal::BeyondTier));
}

// A chain that nobody can complete is known when it begins.
#[test]
fn a_chain_that_nobody_can_complete_is_seen_before_anybody_signs() {
    let rules = policy().exceptions.unwrap();
    let lacks = |steps: &[&str], people: &[Approver], stand_ins: bool| {
        let mut way = Way::through(steps);
        way.tier = "medium";
        let pending = way.pending(&rules);
        super::reach::shortage(&pending, people, &|_| stand_ins)
            .map(|(step, why)| (step.id.clone(), why))
    };
    let lead = |person, team| approver(person, team, "security-lead");
    let dual = |why| Some(("dual".to_owned(), why));
    assert_eq!(
        lacks(&["dual"], &[lead("a", "red"), lead("b", "blue")], false),
        None
    );
    assert_eq!(
        lacks(
            &["dual"],
            &[lead("a", "scoring"), lead("ben", "red")],
            false
        ),
        dual(Shortage::Nobody)
    );
    assert_eq!(
        lacks(&["dual"], &[lead("a", "red")], false),
        dual(Shortage::TooFew)
    );
    let one_team = [lead("a", "red"), lead("b", "red")];
    assert_eq!(
        lacks(&["dual"], &one_team, false),
        dual(Shortage::TooFewTeams)
    );
    // Those who stand in count once they are asked.
    let board = approver("c", "blue", "ai-risk-board");
    let with_board = [lead("a", "red"), board];
    assert_eq!(lacks(&["dual"], &with_board, false), dual(Shortage::TooFew));
    assert_eq!(lacks(&["dual"], &with_board, true), None);
    // One person cannot sign two steps.
    let mut both = approver("k", "blue", "approver-l1");
    both.roles.push(Role::own("approver-l2"));
    assert_eq!(
        lacks(&["l1", "l2"], std::slice::from_ref(&both), false),
        Some(("l2".to_owned(), Shortage::SamePeople))
    );
    let other = approver("m", "blue", "approver-l1");
    assert_eq!(lacks(&["l1", "l2"], &[both, other], false), None);
}

// R087: to be asked for facts decides nothing; somebody signs.
#[test]
fn a_request_that_only_asks_for_facts_goes_to_the_strictest_step_as_well() {
    let rulebook = rulebook();
    let mut facets: Row = json!({
        "data_sensitivity": "synthetic", "environment": "sandbox", "customer_exposure": false, "business_impact": "low",
        "amount": 250, "requested_days": 14, "renewal_number": 0, "confidence": 0.0, "sets_precedent": false,
        "legal_exposure": false,
    })
    .as_object()
    .cloned()
    .unwrap();
    let triage = rulebook.triage(&mut facets);
    let routed = rulebook.route(&triage, &facets);
    assert_eq!(routed.steps, ["facts", "board"]);
    assert!(!routed.auto);
}

// R098: authority binds the last signature: tier, time and amount; equal to a limit is within it.
#[test]
fn the_last_signature_needs_authority() {
    let mut way = Way::through(&["l1"]);
    assert_eq!(
        way.signs("kim", "blue", "approver-l1"),
        Err(Refusal::BeyondTier)
    );
    way.tier = "medium";
    way.terms.facets.insert("amount".to_owned(), json!(5000));
    assert_eq!(
        way.signs("kim", "blue", "approver-l1"),
        Ok(Consequence::Approved)
    );
    let mut way = Way::through(&["l1"]);
    way.tier = "medium";
    way.terms.facets.insert("amount".to_owned(), json!(5000.01));
    assert_eq!(
        way.signs("kim", "blue", "approver-l1"),
        Err(Refusal::BeyondAmount)
    );
    way.terms.facets.remove("amount");
    assert_eq!(
        way.signs("kim", "blue", "approver-l1"),
        Err(Refusal::BeyondAmount)
    );
    way.terms.facets.insert("amount".to_owned(), json!(0));
    way.terms.expires_at = way.terms.not_before + TimeDelta::days(60) + TimeDelta::seconds(1);
    assert_eq!(
        way.signs("kim", "blue", "approver-l1"),
        Err(Refusal::BeyondDuration)
    );
    let mut wish = way.wish(Verdict::Approve);
    wish.ends = Some(way.terms.not_before + TimeDelta::days(60));
    assert_eq!(
        way.says(&approver("kim", "blue", "approver-l1"), wish),
        Ok(Consequence::Approved)
    );
}

#[test]
fn a_decision_is_about_what_was_seen_and_a_refusal_says_why() {
    let mut way = Way::through(&["dual"]);
    let eve = approver("eve", "red", "security-lead");
    let mut stale = way.wish(Verdict::Approve);
    stale.terms = Sha::of("other terms");
    assert_eq!(way.says(&eve, stale), Err(Refusal::StaleTerms));
    let mut later = way.wish(Verdict::Approve);
    later.ends = Some(way.terms.expires_at + TimeDelta::seconds(1));
    assert_eq!(way.says(&eve, later), Err(Refusal::LaterEnd));
    let mut silent = way.wish(Verdict::Deny);
    silent.reason = Some("  ".to_owned());
    assert_eq!(way.says(&eve, silent.clone()), Err(Refusal::NoReason));
    silent.reason = Some("The vendor has mended it".to_owned());
    assert_eq!(way.says(&eve, silent), Ok(Consequence::Denied));
    for state in State::ALL
        .iter()
        .filter(|s| !matches!(s, State::PendingDecision | State::InAssessment))
    {
        let mut way = Way::through(&["dual"]);
        way.state = *state;
        assert_eq!(
            way.signs("eve", "red", "security-lead"),
            Err(Refusal::NotPending),
            "{state}"
        );
    }
}

// A change of the terms voids what was signed.
#[test]
fn signatures_under_other_terms_count_for_nothing() {
    let mut way = Way::through(&["dual"]);
    assert_eq!(
        way.signs("eve", "red", "security-lead"),
        Ok(Consequence::GoesOn)
    );
    way.terms.title = "Something else".to_owned();
    assert_eq!(
        way.signs("fay", "blue", "security-lead"),
        Ok(Consequence::GoesOn)
    );
    assert_eq!(
        way.signs("eve", "red", "security-lead"),
        Ok(Consequence::Approved)
    );
}
