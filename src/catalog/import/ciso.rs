//! Security exceptions of CISO Assistant, as its API answers. Its status can be written by anybody who may edit, so
//! `approved` is told and not taken over: here it is decided anew.

use serde_json::Value;

use super::{Draft, draft, entries, instant, said};
use crate::model::policy::ProvisionRef;

pub(super) fn read(text: &str, provision: &ProvisionRef) -> Result<Vec<Draft>, String> {
    let value: Value = serde_json::from_str(text).map_err(|e| format!("it is no JSON: {e}"))?;
    let list = value
        .as_array()
        .or_else(|| value.get("results").and_then(Value::as_array));
    let list = list.ok_or("there are no `results` in it")?;
    let all = entries(list, "security exception")?;
    Ok(all
        .into_iter()
        .map(|one| exception(one, provision))
        .collect())
}

fn exception(one: &Value, provision: &ProvisionRef) -> Draft {
    let name = said(one, "/name");
    let mut out = draft(name.as_deref().unwrap_or("security exception"), provision);
    out.request.business_purpose = said(one, "/description");
    out.request.expires_at = instant(one, "/expiration_date");
    if out.request.expires_at.is_none() {
        out.left_out.push("an end: it has none".to_owned());
    }
    let names = |key: &str| -> Vec<String> {
        let list = one.get(key).and_then(Value::as_array);
        let name = |v: &Value| v.as_str().map(str::to_owned).or_else(|| said(v, "/str"));
        list.into_iter().flatten().filter_map(name).collect()
    };
    let mut owners = names("owners").into_iter();
    out.request.owner = owners.next();
    for other in owners {
        out.left_out
            .push(format!("the owner {other}: one answers for it"));
    }
    out.request.subjects = names("assets");
    for (path, what) in [
        ("/ref_id", "its number there"),
        ("/severity", "its severity there"),
        ("/status", "its status there, which decides nothing here"),
        ("/approver/str", "who approved it there"),
    ] {
        if let Some(text) = said(one, path) {
            out.left_out.push(format!("{what}: {text}"));
        }
    }
    out
}
