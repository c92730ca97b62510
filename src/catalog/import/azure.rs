//! Policy exemptions of Azure, as `az policy exemption list` prints them. Who approved is free text there, so it is told
//! and not taken over.

use serde_json::Value;

use super::{Draft, draft, entries, instant, said};
use crate::model::{exception::Kind, policy::ProvisionRef};

pub(super) fn read(text: &str, provision: &ProvisionRef) -> Result<Vec<Draft>, String> {
    let value: Value = serde_json::from_str(text).map_err(|e| format!("it is no JSON: {e}"))?;
    let list = value
        .as_array()
        .or_else(|| value.get("value").and_then(Value::as_array));
    let list = list.ok_or("there is no list of exemptions in it")?;
    let all = entries(list, "exemption")?;
    Ok(all
        .into_iter()
        .map(|one| exemption(one, provision))
        .collect())
}

fn exemption(one: &Value, provision: &ProvisionRef) -> Draft {
    // The command line flattens `properties`; the API does not.
    let of = one.get("properties").unwrap_or(one);
    let name = said(of, "/displayName").or_else(|| said(one, "/name"));
    let mut out = draft(name.as_deref().unwrap_or("exemption"), provision);
    if said(of, "/exemptionCategory").as_deref() == Some("Mitigated") {
        out.request.kind = Kind::Compensated;
        out.left_out
            .push("what mitigates it: name the conditions".to_owned());
    }
    out.request.business_purpose = said(of, "/description");
    out.request.expires_at = instant(of, "/expiresOn");
    if out.request.expires_at.is_none() {
        out.left_out.push("an end: it has none".to_owned());
    }
    out.request.requester = said(of, "/metadata/requestedBy");
    for (path, what) in [
        (
            "/metadata/approvedBy",
            "who approved it there, which is free text",
        ),
        ("/metadata/ticketRef", "the ticket"),
    ] {
        if let Some(text) = said(of, path) {
            out.left_out.push(format!("{what}: {text}"));
        }
    }
    if let Some(id) = said(one, "/id") {
        let scope = id
            .split("/providers/Microsoft.Authorization/policyExemptions")
            .next();
        out.request.subjects.extend(scope.map(str::to_owned));
    }
    if let Some(assignment) = said(of, "/policyAssignmentId") {
        out.left_out.push(format!(
            "the assignment {assignment}: name the control that fails in its place"
        ));
    }
    out
}
