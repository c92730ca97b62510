//! What the answer to a probe proves. A probe that is answered otherwise than it must be is lost
//! visibility; one that is not answered at all is a source that cannot be read.

use regex::Regex;
use serde_json::Value;

use super::wire::{Answer, Answered};
use crate::{
    catalog::connector::http::{Probe, Require},
    connector::{
        error::{Error, Result},
        redact::Scrub,
    },
};

/// Checks the answer to a probe. Gives who we are, if the probe tells.
pub(super) fn check(
    probe: &Probe,
    answered: Result<Answered>,
    scrub: &Scrub,
) -> Result<Option<String>> {
    let answer = match answered {
        Ok(Answered::Ok(answer)) => *answer,
        Ok(Answered::Empty | Answered::Gone) => {
            return Err(Error::Blind("a probe was answered with nothing".to_owned()));
        }
        // 401 is about our credentials, and says so; any other refusal is about what we may see.
        Err(Error::Refused { at, status, hint }) if status != 401 => {
            return Err(Error::Blind(format!("{at} answered {status}{hint}")));
        }
        Err(Error::Status {
            at,
            status: status @ 400..=499,
            hint,
        }) => return Err(Error::Blind(format!("{at} answered {status}{hint}"))),
        Err(other) => return Err(other),
    };
    let needs_body =
        probe.identity.is_some() || probe.require.as_ref().is_some_and(|r| r.path.is_some());
    let body: Value = match serde_json::from_slice(&answer.body) {
        Ok(body) => body,
        Err(_) if !needs_body => Value::Null,
        Err(_) => {
            return Err(Error::Garbage {
                at: answer.at,
                what: "no JSON".to_owned(),
            });
        }
    };
    if let Some(require) = &probe.require {
        fulfilled(require, &answer, &body, scrub)
            .map_err(|what| Error::Blind(format!("{}: {what}", answer.at)))?;
    }
    Ok(probe
        .identity
        .as_ref()
        .and_then(|path| Some(scrub.text(&plain(path.first(&body)?), 200))))
}

fn fulfilled(
    require: &Require,
    answer: &Answer,
    body: &Value,
    scrub: &Scrub,
) -> Result<(), String> {
    let (name, found) = match (&require.path, &require.header) {
        (Some(path), _) => (path.to_string(), path.first(body).cloned()),
        (None, Some(header)) => {
            let value = answer.headers.get(header).and_then(|v| v.to_str().ok());
            (header.clone(), value.map(|v| Value::String(v.to_owned())))
        }
        (None, None) => return Ok(()),
    };
    let shown = |v: &Value| scrub.text(&plain(v), 60);
    let found = found.ok_or_else(|| format!("`{name}` is missing"))?;
    if let Some(wanted) = &require.equals
        && !same(&found, wanted)
    {
        return Err(format!(
            "`{name}` is `{}`, not `{}`",
            shown(&found),
            shown(wanted)
        ));
    }
    if let Some(wanted) = &require.contains
        && !contains(&found, wanted)
    {
        return Err(format!("`{name}` does not contain `{}`", shown(wanted)));
    }
    if let Some(pattern) = &require.matches {
        let regex = Regex::new(&format!("^(?:{pattern})$")).map_err(|e| e.to_string())?;
        if !regex.is_match(&plain(&found)) {
            return Err(format!(
                "`{name}` is `{}`, which does not match `{pattern}`",
                shown(&found)
            ));
        }
    }
    Ok(())
}

fn same(found: &Value, wanted: &Value) -> bool {
    found == wanted
        || matches!(found, Value::String(_) | Value::Number(_) | Value::Bool(_))
            && plain(found) == plain(wanted)
}

fn contains(found: &Value, wanted: &Value) -> bool {
    match found {
        Value::Array(items) => items.iter().any(|i| same(i, wanted)),
        Value::String(text) => text.contains(&plain(wanted)),
        _ => false,
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use http::HeaderMap;
    use url::Url;

    use super::*;
    use crate::yaml::decode::read;

    fn ask(probe: &str, body: &str) -> String {
        let probe: Probe = read(Path::new("a.yaml"), probe).unwrap().0;
        let answer = Answer {
            status: 200,
            headers: HeaderMap::from_iter([(
                "x-scopes".parse::<http::HeaderName>().unwrap(),
                "read:org, repo".parse().unwrap(),
            )]),
            body: body.to_owned().into(),
            at: "GET http://x.test/me".to_owned(),
            url: Url::parse("http://x.test").unwrap(),
        };
        match check(
            &probe,
            Ok(Answered::Ok(Box::new(answer))),
            &Scrub::default(),
        ) {
            Ok(identity) => format!("ok {}", identity.unwrap_or_default()),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_probe_holds_or_visibility_is_lost() {
        let admin = "get: /me\nrequire: { path: user.is_admin, equals: true }\nidentity: user.name";
        assert_eq!(
            ask(admin, r#"{"user":{"is_admin":true,"name":"reader"}}"#),
            "ok reader"
        );
        assert_eq!(
            ask(admin, r#"{"user":{"is_admin":false}}"#),
            "lost visibility: GET http://x.test/me: `user.is_admin` is `false`, not `true`"
        );
        assert_eq!(
            ask(admin, "{}"),
            "lost visibility: GET http://x.test/me: `user.is_admin` is missing"
        );
        assert_eq!(
            ask(admin, "<html>"),
            "GET http://x.test/me answered with something else than expected: no JSON"
        );
        let list = "post: /caps\nrequire: { path: capabilities, contains: list }";
        assert_eq!(ask(list, r#"{"capabilities":["read","list"]}"#), "ok ");
        assert!(ask(list, r#"{"capabilities":["read"]}"#).contains("does not contain `list`"));
        let role = "get: /me\nrequire: { path: role, matches: 'admin|reader-.*' }";
        assert_eq!(ask(role, r#"{"role":"reader-eu"}"#), "ok ");
        assert!(ask(role, r#"{"role":"no-admin"}"#).contains("does not match"));
        assert_eq!(
            ask(
                "get: /me\nrequire: { header: X-Scopes, contains: 'read:org' }",
                ""
            ),
            "ok "
        );
        assert_eq!(ask("get: /me", "anything"), "ok ");
    }
}
