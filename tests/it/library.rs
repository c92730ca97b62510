//! The control library that is shipped: it loads without a word, maps to the frameworks it claims, and each control tells
//! its reader what to do. That each example comes out as it says is `tripline test`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use tripline::{
    catalog::{control, policy::PolicyFile},
    model::{
        control::{Control, Responsibility},
        exception::EvidenceKind,
        outcome::Outcome,
        policy::{FrameworkRef, Policy},
    },
    yaml::{decode, diagnostic::Diagnostic, tree},
};

#[test]
fn every_shipped_file_loads_without_a_word() {
    let (controls, policies) = library();
    assert!(controls.len() >= 12, "{}", controls.len());
    let ids: BTreeSet<&str> = controls.iter().map(|c| c.id.as_str()).collect();
    assert_eq!(ids.len(), controls.len(), "two controls share an id");
    for control in &controls {
        let named = policies
            .get(control.policy.policy.as_str())
            .and_then(|policy| policy.provision(&control.policy.provision));
        assert!(named.is_some(), "{}: {}", control.id, control.policy);
    }
    let enforced: BTreeSet<String> = controls.iter().map(|c| c.policy.to_string()).collect();
    for policy in policies.values() {
        for provision in &policy.provisions {
            let clause = format!("{}#{}", policy.id, provision.id);
            assert!(enforced.contains(&clause), "no control enforces {clause}");
        }
    }
}

#[test]
fn every_shipped_control_says_why_and_what_to_do() {
    for control in library().0 {
        let id = &control.id;
        assert!(control.why.is_some(), "{id} says not why");
        assert!(control.message.is_some(), "{id} has no message");
        assert!(control.fix.is_some(), "{id} has no fix");
        assert!(control.inventory.is_some(), "{id} has no inventory");
        assert!(!control.frameworks.is_empty(), "{id} maps to nothing");
        let expected = |word: &str| control.examples.iter().any(|e| e.expect.as_str() == word);
        for word in ["pass", "fail", "unknown"] {
            assert!(expected(word), "{id} has no example of {word}");
        }
        for example in &control.examples {
            let says = matches!(example.expect, Outcome::Unknown(_)) || !example.because_given;
            assert!(says, "{id}: only an unknown has a reason");
        }
    }
}

/// R197 NIST CSF 2.0, R198 NIST AI RMF, R199 OWASP NHI, R200 ISO 42001, R201 EU AI Act, R202 NIST AI 600-1, R203 BSI C5,
/// R204 CSA. The published OWASP list numbers long-lived secrets NHI7.
#[test]
fn the_library_maps_to_every_framework_it_must() {
    let (controls, policies) = library();
    let of_controls = controls.iter().flat_map(|c| &c.frameworks);
    let of_policies = policies.values().flat_map(|p| &p.frameworks);
    let all = |references: Vec<&FrameworkRef>| -> BTreeSet<String> {
        references
            .iter()
            .map(|r| format!("{}:{}", r.name, r.reference))
            .collect()
    };
    let by_controls = all(of_controls.collect());
    for wanted in [
        "NIST-CSF-2.0:GV.OV",
        "OWASP-NHI-2025:NHI7",
        "OWASP-NHI-2025:NHI3",
        "ISO-42001:A.2.3",
        "ISO-42001:B.2.3",
        "EU-AI-ACT:Art. 9",
        "EU-AI-ACT:Art. 17(4)",
        "EU-AI-ACT:Art. 25",
        "EU-AI-ACT:Art. 28",
        "NIST-AI-600-1:GV-1.3-007",
        "NIST-AI-600-1:GV-4.1-003",
        "BSI-C5:SP-03",
    ] {
        assert!(by_controls.contains(wanted), "no control maps to {wanted}");
    }
    for function in ["GOVERN", "MAP", "MEASURE", "MANAGE"] {
        let begin = format!("NIST-AI-RMF-1.0:{function} ");
        assert!(by_controls.iter().any(|r| r.starts_with(&begin)), "{begin}");
    }
    // The policy exception process itself is what each policy must allow for.
    for policy in policies.values() {
        let mapped = policy.frameworks.iter().any(|r| r.name == "CSA-AICM");
        assert!(mapped, "{} names no exception process", policy.id);
    }
    assert!(all(of_policies.collect()).contains("CSA-AICM:GRC-04"));
}

// R205, R206
#[test]
fn every_shipped_control_is_tagged_by_responsibility_and_phase() {
    let controls = library().0;
    let used: Vec<Responsibility> = controls.iter().filter_map(|c| c.responsibility).collect();
    assert_eq!(used.len(), controls.len(), "a control without the tag");
    for wanted in [
        Responsibility::ModelProvider,
        Responsibility::OrchestratedService,
        Responsibility::Application,
        Responsibility::Shared,
    ] {
        assert!(used.contains(&wanted), "{wanted:?} is not used");
    }
    for control in &controls {
        assert!(!control.lifecycle.is_empty(), "{}", control.id);
    }
}

/// Every shipped control and policy; a diagnostic of any of them is a failure.
pub(crate) fn library() -> (Vec<Control>, BTreeMap<String, Policy>) {
    let mut out: Vec<Diagnostic> = Vec::new();
    let mut controls = Vec::new();
    for (path, text) in texts("controls") {
        match tree::parse(&path, &text) {
            Ok(node) => controls.extend(control::read(&node, &mut out).1),
            Err(mut wrong) => out.append(&mut wrong),
        }
    }
    let mut policies = BTreeMap::new();
    for (path, text) in texts("policies") {
        match decode::read::<PolicyFile>(&path, &text) {
            Ok((file, mut warnings)) => {
                out.append(&mut warnings);
                let policy = file.resolve(&mut out);
                policies.insert(policy.id.to_string(), policy);
            }
            Err(mut wrong) => out.append(&mut wrong),
        }
    }
    assert!(out.is_empty(), "{out:#?}");
    let controls = controls.iter().map(|draft| draft.control().clone());
    (controls.collect(), policies)
}

fn texts(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    gather(Path::new(folder), &mut found);
    found.sort();
    found
}

fn gather(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather(&path, found);
        } else {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
}

/// R034, R042, R043, R044, R045, R061, R062, R063, R064, R187: the shipped policies offer every kind of compensation and of
/// evidence, and a category for every case that people ask about.
#[test]
fn the_policies_offer_what_people_ask_for() {
    let policies = library().1;
    let rules: Vec<_> = policies
        .values()
        .filter_map(|p| p.exceptions.as_ref())
        .collect();
    assert!(rules.len() >= 3, "usage, data and deployment");
    let offered: BTreeSet<&str> = rules
        .iter()
        .flat_map(|r| r.mitigations.keys().map(String::as_str))
        .collect();
    for kind in [
        "closer-watch",
        "narrower-scope",
        "usage-cap",
        "restricted-outputs",
        "decision-sampling",
    ] {
        assert!(offered.contains(kind), "{kind}");
    }
    let categories: BTreeSet<&str> = rules
        .iter()
        .flat_map(|r| r.categories.iter().map(|c| c.id.as_str()))
        .collect();
    for case in [
        "temporary-model",
        "data-use",
        "unworkable-control",
        "encryption",
        "access-extended",
        "new-rule",
    ] {
        assert!(categories.contains(case), "{case}");
    }
    let kinds: Vec<&str> = EvidenceKind::ALL.iter().map(|k| k.as_str()).collect();
    for kind in ["model_card", "evaluation", "incident_history", "vendor_doc"] {
        assert!(kinds.contains(&kind), "{kind}");
    }
}
