//! What other tools call an exception, read as requests. Nothing is made up: what they do not say stays open, and a
//! pattern never becomes a subject.

mod azure;
mod ciso;
mod prowler;

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::{
    choice,
    model::{exception::Kind, policy::ProvisionRef, request::Request},
};

choice! {
    /// Where exceptions come from.
    pub enum From {
        /// A mutelist of Prowler, in YAML.
        Prowler = "prowler",
        /// Policy exemptions of Azure, in JSON as `az policy exemption list` prints them.
        Azure = "azure",
        /// Security exceptions of CISO Assistant, in JSON as its API answers.
        CisoAssistant = "ciso-assistant",
    }
}

/// A request as far as another tool knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// What it is called there.
    pub name: String,
    /// The request.
    pub request: Request,
    /// What could not be taken over, and why.
    pub left_out: Vec<String>,
}

/// Reads a file of another tool as requests to deviate from a clause.
///
/// # Errors
/// A sentence that says what is wrong with the file.
pub fn read(from: From, text: &str, provision: &ProvisionRef) -> Result<Vec<Draft>, String> {
    match from {
        From::Prowler => prowler::read(text, provision),
        From::Azure => azure::read(text, provision),
        From::CisoAssistant => ciso::read(text, provision),
    }
}

fn draft(name: &str, provision: &ProvisionRef) -> Draft {
    Draft {
        name: name.to_owned(),
        request: Request {
            title: Some(name.to_owned()),
            kind: Kind::Waiver,
            ..Request::empty(provision.clone())
        },
        left_out: Vec::new(),
    }
}

/// The entries of a list, each of which is an object.
fn entries<'v>(list: &'v [Value], what: &str) -> Result<Vec<&'v Value>, String> {
    let no_object = list.iter().zip(1..).find(|(one, _)| !one.is_object());
    match no_object {
        Some((one, n)) => Err(format!("entry {n} is `{one}`, and no {what}")),
        None => Ok(list.iter().collect()),
    }
}

/// A text that says something.
fn said(value: &Value, path: &str) -> Option<String> {
    let text = value.pointer(path)?.as_str()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// An instant, given as one or as a day; a day ends with it.
fn instant(value: &Value, path: &str) -> Option<chrono::DateTime<chrono::Utc>> {
    let text = said(value, path)?;
    if let Ok(at) = text.parse() {
        return Some(at);
    }
    let day: chrono::NaiveDate = text.parse().ok()?;
    Some(day.succ_opt()?.and_time(chrono::NaiveTime::MIN).and_utc())
}

impl Draft {
    /// The request as a file that people go on writing.
    pub fn yaml(&self) -> String {
        let r = &self.request;
        let mut out = format!("# Taken over from another tool: {}\n", one_line(&self.name));
        for left in &self.left_out {
            let _ = writeln!(out, "# Not taken over: {}", one_line(left));
        }
        let mut line = |name: &str, value: Option<Value>| {
            if let Some(value) = value.filter(|v| !v.is_null()) {
                let _ = writeln!(out, "{name}: {value}");
            }
        };
        line("title", r.title.as_ref().map(|t| json!(t)));
        line("kind", Some(json!(r.kind)));
        line("policy", Some(json!(r.provision.to_string())));
        line(
            "controls",
            (!r.controls.is_empty()).then(|| json!(r.controls)),
        );
        line("requester", r.requester.as_ref().map(|t| json!(t)));
        line("owner", r.owner.as_ref().map(|t| json!(t)));
        line(
            "business_purpose",
            r.business_purpose.as_ref().map(|t| json!(t)),
        );
        line("not_before", r.not_before.map(|t| json!(t)));
        line("expires_at", r.expires_at.map(|t| json!(t)));
        if !r.subjects.is_empty() || r.selector.is_some() {
            let mut scope = serde_json::Map::new();
            scope.insert("subjects".to_owned(), json!(r.subjects));
            if let Some(selector) = &r.selector {
                scope.insert("selector".to_owned(), json!(selector));
            }
            line("scope", Some(Value::Object(scope)));
        }
        out
    }
}

fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provision() -> ProvisionRef {
        "nhi-credentials#rotation".parse().unwrap()
    }

    fn shown(from: From, text: &str) -> String {
        let drafts = read(from, text, &provision()).unwrap();
        let all: Vec<String> = drafts.iter().map(Draft::yaml).collect();
        all.join("---\n")
    }

    #[test]
    fn a_mutelist_becomes_drafts_and_its_patterns_become_no_subjects() {
        let text = r#"
Mutelist:
  Accounts:
    "123456789012":
      Checks:
        "secretsmanager_automatic_rotation_enabled":
          Regions: ["eu-west-1"]
          Resources: ["arn:aws:secretsmanager:eu-west-1:123456789012:secret:ledger"]
          Description: "Vendor cannot rotate before March"
        "iam_*":
          Regions: ["*"]
          Resources: [".*"]
          Tags: ["team=scoring"]
"#;
        insta::assert_snapshot!(shown(From::Prowler, text));
    }

    #[test]
    fn an_exemption_of_azure_becomes_a_draft() {
        let text = r#"[{"name": "ex-1", "properties": {"displayName": "Legacy key vault", "description": "Moves in June",
            "exemptionCategory": "Mitigated", "expiresOn": "2026-12-31T00:00:00Z",
            "policyAssignmentId": "/subscriptions/1/providers/Microsoft.Authorization/policyAssignments/rotate",
            "policyDefinitionReferenceIds": ["keys-rotate"], "metadata": {"requestedBy": "eve", "approvedBy": "sam"}},
            "id": "/subscriptions/1/resourceGroups/a/providers/Microsoft.KeyVault/vaults/v1/providers/Microsoft.Authorization/policyExemptions/ex-1"},
            {"name": "ex-2", "properties": {"exemptionCategory": "Waiver", "policyAssignmentId": "p"}}]"#;
        insta::assert_snapshot!(shown(From::Azure, text));
    }

    #[test]
    fn a_security_exception_of_ciso_assistant_becomes_a_draft() {
        let text = r#"{"count": 1, "results": [{"id": "0f1e", "ref_id": "SEC-7", "name": "No rotation for the ledger",
            "description": "The vendor moves in June", "severity": "medium", "status": "approved",
            "expiration_date": "2026-12-31", "owners": [{"str": "olaf@example.test"}], "approver": {"str": "sam@example.test"},
            "assets": [{"str": "ledger-key"}], "requirement_assessments": []}]}"#;
        insta::assert_snapshot!(shown(From::CisoAssistant, text));
    }

    #[test]
    fn what_is_no_such_file_says_so() {
        for from in From::ALL {
            let said = read(*from, "hello: [", &provision()).unwrap_err();
            assert!(!said.is_empty());
            let said = read(*from, "{}", &provision()).unwrap_err();
            assert!(said.contains("no"), "{said}");
        }
    }
}
