//! Mutelists of Prowler: accounts, checks, regions, resources, tags. Their names are regular expressions that match
//! anywhere; only a name without any sign of a pattern becomes a subject.

use std::path::Path;

use serde_json::Value;

use super::{Draft, draft, said};
use crate::{model::policy::ProvisionRef, yaml::decode};

/// What makes a name a pattern.
const PATTERN: [char; 11] = ['*', '.', '?', '+', '[', ']', '(', ')', '|', '^', '$'];

pub(super) fn read(text: &str, provision: &ProvisionRef) -> Result<Vec<Draft>, String> {
    let read = decode::read::<Value>(Path::new("mutelist"), text);
    let (value, _) = read.map_err(|all| {
        let first = all.into_iter().next();
        first.map_or_else(String::new, |d| {
            format!("line {}: {}", d.place.line, d.what)
        })
    })?;
    let accounts = value
        .pointer("/Mutelist/Accounts")
        .and_then(Value::as_object)
        .ok_or("there is no `Mutelist.Accounts` in it: it is no mutelist of Prowler")?;
    let mut drafts = Vec::new();
    for (account, of_account) in accounts {
        let checks = of_account.get("Checks").and_then(Value::as_object);
        for (check, rule) in checks.into_iter().flatten() {
            drafts.push(one(account, check, rule, provision));
        }
    }
    Ok(drafts)
}

fn one(account: &str, check: &str, rule: &Value, provision: &ProvisionRef) -> Draft {
    let mut out = draft(&format!("{check} in {account}"), provision);
    out.request.business_purpose = said(rule, "/Description");
    let names = |key: &str| -> Vec<String> {
        let list = rule.get(key).and_then(Value::as_array);
        let names = list.into_iter().flatten().filter_map(Value::as_str);
        names.map(str::to_owned).collect()
    };
    let (exact, patterns): (Vec<String>, Vec<String>) = names("Resources")
        .into_iter()
        .partition(|r| !r.contains(PATTERN));
    out.request.subjects = exact;
    if !patterns.is_empty() {
        out.request.selector = Some(patterns.join(", "));
        out.left_out.push(format!(
            "the patterns {}: an exception names each subject",
            patterns.join(", ")
        ));
    }
    for key in ["Regions", "Tags"] {
        let all = names(key);
        if !all.is_empty() {
            out.left_out.push(format!("{key} {}", all.join(", ")));
        }
    }
    if rule.get("Exceptions").is_some_and(|e| !e.is_null()) {
        out.left_out
            .push("`Exceptions`, which mute less than the rest says".to_owned());
    }
    out.left_out.push(format!(
        "the check `{check}`: name the control that fails in its place"
    ));
    out.left_out.push("an end: a mutelist has none".to_owned());
    out
}
