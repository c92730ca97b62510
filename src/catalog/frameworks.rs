//! The published frameworks that a control or policy may answer to, and how a reference into one is
//! written: `NAME:REF`. The table knows names and titles, never the content of a framework.

use crate::{
    model::policy::FrameworkRef,
    yaml::{
        decode::{Cx, Decode, Located, scalar},
        diagnostic::{Diagnostic, Place, nearest},
        tree::Node,
    },
};

/// Names and titles, in the order in which they are listed to people.
pub const FRAMEWORKS: &[(&str, &str)] = &[
    ("OWASP-NHI-2025", "OWASP Non-Human Identities Top 10 (2025)"),
    ("NIST-CSF-2.0", "NIST Cybersecurity Framework 2.0"),
    (
        "NIST-AI-RMF-1.0",
        "NIST AI Risk Management Framework 1.0 (AI 100-1)",
    ),
    (
        "NIST-AI-600-1",
        "NIST AI RMF Generative AI Profile (AI 600-1)",
    ),
    (
        "ISO-42001",
        "ISO/IEC 42001:2023 Artificial intelligence management system",
    ),
    (
        "EU-AI-ACT",
        "Regulation (EU) 2024/1689, Artificial Intelligence Act",
    ),
    (
        "BSI-C5",
        "BSI Cloud Computing Compliance Criteria Catalogue (C5)",
    ),
    (
        "BSI-AIC4",
        "BSI AI Cloud Service Compliance Criteria Catalogue (AIC4)",
    ),
    ("CSA-AICM", "CSA AI Controls Matrix"),
    ("CSA-CCM", "CSA Cloud Controls Matrix"),
];

/// The title of a framework, when the table knows it.
pub fn title(name: &str) -> Option<&'static str> {
    FRAMEWORKS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, title)| *title)
}

/// A reference as a file writes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference(pub FrameworkRef);

impl Decode for Reference {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        let text = &scalar(node, "`FRAMEWORK:REFERENCE`", cx)?.text;
        let parts = text
            .split_once(':')
            .map(|(name, reference)| (name.trim(), reference.trim()));
        let Some((name, reference)) = parts.filter(|(n, r)| !n.is_empty() && !r.is_empty()) else {
            return cx.wrong(
                Diagnostic::error(
                    "TL0206",
                    &node.place,
                    format!("`{text}` is not a reference into a framework"),
                )
                .help("write name and place: `NIST-CSF-2.0:GV.OV`"),
            );
        };
        Some(Self(FrameworkRef {
            name: name.to_owned(),
            reference: reference.to_owned(),
        }))
    }

    fn schema(_: &mut serde_json::Map<String, serde_json::Value>) -> serde_json::Value {
        serde_json::json!({ "type": "string", "pattern": "^[^:]+:.+$" })
    }
}

/// The references of a file, with a warning for each framework that the table does not know.
pub fn resolve(references: &[Located<Reference>], out: &mut Vec<Diagnostic>) -> Vec<FrameworkRef> {
    for reference in references {
        let name = &reference.value.0.name;
        if title(name).is_none() {
            out.push(unknown(name, &reference.place));
        }
    }
    references.iter().map(|r| r.value.0.clone()).collect()
}

fn unknown(name: &str, place: &Place) -> Diagnostic {
    let names = || FRAMEWORKS.iter().map(|(name, _)| *name);
    let what = format!("`{name}` is not a framework that Tripline knows by name");
    Diagnostic::warning("TL0205", place, what).help(match nearest(name, names()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known: {}", names().collect::<Vec<_>>().join(", ")),
    })
}
