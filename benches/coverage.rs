//! What covers 100,000 findings among 10,000 exceptions, in CPU time; and whether it grows with the findings alone.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a benchmark may fail loudly"
)]

use std::{collections::BTreeMap, hint::black_box, sync::Arc};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tripline::{
    exception::{
        coverage::{Case, Entry, Policies, Register, digest},
        state::Times,
    },
    model::{
        exception::{ExceptedControl, ExceptedSubject, State, Terms},
        id::{ControlId, ExceptionId, Sha, SubjectId},
        outcome::Outcome,
        rules::Limits,
    },
};

/// The terms of the request that the tests know, for ten subjects of their own.
fn register(exceptions: usize) -> Register {
    let terms: Terms =
        serde_json::from_str(include_str!("../tests/cases/exception/terms.json")).unwrap();
    let limits: Limits =
        serde_json::from_str(include_str!("../tests/cases/exception/limits.json")).unwrap();
    let entries = (0..exceptions).map(|n| {
        let subjects = (0..10).map(|k| ExceptedSubject {
            control: ControlId::new("rotation"),
            subject: subject(n * 10 + k),
            fingerprint: BTreeMap::from([("version".to_owned(), digest(&["1".to_owned()]))]),
        });
        let terms = Terms {
            controls: vec![ExceptedControl {
                control: ControlId::new("rotation"),
                definition: Sha::of("rotation"),
            }],
            subjects: subjects.collect(),
            limit: None,
            conditions: Vec::new(),
            ..terms.clone()
        };
        Entry {
            id: ExceptionId::from(format!("EXC-2026-{n:05}")),
            state: State::Active,
            times: Times {
                submitted_at: None,
                approved_at: None,
                activated_at: None,
                suspended_at: None,
                ratify_by: None,
                not_before: terms.not_before,
                expires_at: terms.expires_at,
            },
            limits: limits.clone(),
            doubt: None,
            review_due: None,
            conditions: BTreeMap::new(),
            terms: Arc::new(terms),
        }
    });
    Register::new(entries.collect())
}

fn subject(n: usize) -> SubjectId {
    SubjectId::from(format!("aws/secret/nhi/{n}"))
}

fn coverage(c: &mut Criterion) {
    let register = register(10_000);
    let control = ControlId::new("rotation");
    let shape = BTreeMap::from([("version".to_owned(), vec!["1".to_owned()])]);
    let now = "2026-12-10T00:00:00Z".parse().unwrap();
    let terms: Terms =
        serde_json::from_str(include_str!("../tests/cases/exception/terms.json")).unwrap();
    let policies = Policies::from([(terms.provision.policy, terms.policy.text)]);
    let mut group = c.benchmark_group("coverage against 10,000 exceptions");
    for findings in [10_000_usize, 100_000] {
        let subjects: Vec<SubjectId> = (0..findings).map(subject).collect();
        group.throughput(Throughput::Elements(findings as u64));
        group.sample_size(10);
        group.bench_with_input(
            BenchmarkId::from_parameter(findings),
            &subjects,
            |b, subjects| {
                b.iter(|| {
                    let covered = subjects.iter().filter(|subject| {
                        let case = Case {
                            control: &control,
                            definition: Sha::of("rotation"),
                            waivable: true,
                            subject,
                            outcome: Outcome::Fail,
                            rows: &[],
                            fingerprint: &shape,
                            unverified_since: None,
                            policies: &policies,
                            now,
                        };
                        register.covers(&case, &|_, _| Some(true)).first().is_some()
                    });
                    assert_eq!(black_box(covered.count()), findings);
                });
            },
        );
    }
    group.finish();
}

criterion_group!(benches, coverage);
criterion_main!(benches);
