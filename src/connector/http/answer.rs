//! What an answer means, before anybody looks for rows in it. Pure: the same answer always means the same.

use http::{HeaderMap, header};
use serde_json::Value;

use super::wire::Answer;
use crate::{
    catalog::connector::{
        dataset::{Action, Answers},
        http::Retry,
        path::Path,
    },
    connector::redact::Scrub,
    model::span::Span,
};

/// What an answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It holds what was asked for.
    Ok,
    /// It means a list of nothing.
    Empty,
    /// It means that the parent row vanished.
    Gone,
    /// The source refuses us.
    Refused,
    /// It is an error, and asking again would not help.
    Fail,
    /// Ask again, after as long as the source says, if it says.
    Again(Option<Span>),
}

/// Headers in which sources give ids to requests.
const REQUEST_IDS: &[&str] = &[
    "x-request-id",
    "x-amzn-requestid",
    "x-amz-request-id",
    "x-vault-request-id",
    "x-github-request-id",
    "x-ms-request-id",
    "request-id",
    "x-goog-request-id",
];

/// How much of an error's body is shown.
pub const HINT: usize = 200;

/// Says what an answer means: first what the connector maps, then what HTTP says.
pub fn judge(answer: &Answer, responses: &[(String, Answers)], retry: &Retry) -> Verdict {
    if let Some(action) = mapped(answer, responses) {
        return match action {
            Action::Empty => Verdict::Empty,
            Action::Gone => Verdict::Gone,
            Action::Fail if matches!(answer.status, 401 | 403) => Verdict::Refused,
            Action::Fail => Verdict::Fail,
            Action::Wait | Action::Retry => Verdict::Again(asked_to_wait(&answer.headers)),
        };
    }
    match answer.status {
        200..=299 => Verdict::Ok,
        429 => Verdict::Again(asked_to_wait(&answer.headers)),
        // Some sources refuse with 403 when they mean "too fast"; they say how long.
        403 if asked_to_wait(&answer.headers).is_some() => {
            Verdict::Again(asked_to_wait(&answer.headers))
        }
        401 | 403 => Verdict::Refused,
        status if retry.statuses.contains(&status) => {
            Verdict::Again(asked_to_wait(&answer.headers))
        }
        _ => Verdict::Fail,
    }
}

fn mapped(answer: &Answer, responses: &[(String, Answers)]) -> Option<Action> {
    let mut body: Option<Option<Value>> = None;
    for (status, answers) in responses.iter().filter(|(s, _)| fits(s, answer.status)) {
        for one in &answers.0 {
            let Some(when) = &one.when else {
                return Some(one.then);
            };
            let body = body.get_or_insert_with(|| serde_json::from_slice(&answer.body).ok());
            if body.as_ref().is_some_and(|b| holds(when, b)) {
                return Some(one.then);
            }
        }
        debug_assert!(
            !status.is_empty(),
            "a status is checked when the connector is read"
        );
    }
    None
}

/// Whether `404` or `5xx` names a status.
pub fn fits(pattern: &str, status: u16) -> bool {
    let status = status.to_string();
    pattern.len() == status.len()
        && pattern
            .chars()
            .zip(status.chars())
            .all(|(p, s)| p == s || p == 'x')
}

/// Whether a path leads to anything but `false`, null and nothing.
fn holds(path: &Path, body: &Value) -> bool {
    path.first(body)
        .is_some_and(|v| !matches!(v, Value::Null | Value::Bool(false)))
}

/// How long a source asks us to wait: `Retry-After` in seconds or as a date, or an exhausted budget
/// with the second at which it is filled again. Dates are measured against the source's own clock.
fn asked_to_wait(headers: &HeaderMap) -> Option<Span> {
    let text = |name: &str| {
        headers
            .get(name)
            .and_then(|v| v.to_str().ok())
            .map(str::trim)
    };
    let date = |text: &str| {
        chrono::DateTime::parse_from_rfc2822(text)
            .ok()
            .map(|d| d.timestamp())
    };
    let now = text(header::DATE.as_str()).and_then(date);
    let until = |second: i64| now.map(|now| Span::secs(u64::try_from(second - now).unwrap_or(0)));
    if let Some(after) = text(header::RETRY_AFTER.as_str()) {
        return after
            .parse()
            .map(Span::secs)
            .ok()
            .or_else(|| date(after).and_then(until));
    }
    match (text("x-ratelimit-remaining"), text("x-ratelimit-reset")) {
        (Some("0"), Some(reset)) => reset.parse().ok().and_then(until),
        _ => None,
    }
}

/// The id that the source gave to our request.
pub fn request_id(headers: &HeaderMap) -> Option<&str> {
    REQUEST_IDS
        .iter()
        .find_map(|name| headers.get(*name)?.to_str().ok())
}

/// What the body of an error says, cut short and without our secrets: `: Permission denied`.
pub fn hint(answer: &Answer, scrub: &Scrub) -> String {
    let said = match serde_json::from_slice::<Value>(&answer.body) {
        Ok(body) => message(&body).unwrap_or_default(),
        // A page for a browser says nothing that belongs into a reason.
        Err(_) if answer.body.trim_ascii_start().starts_with(b"<") => String::new(),
        Err(_) => String::from_utf8_lossy(&answer.body).into_owned(),
    };
    match scrub.text(&said, HINT) {
        said if said.is_empty() => said,
        said => format!(": {said}"),
    }
}

fn message(body: &Value) -> Option<String> {
    let text = |v: &Value| {
        v.as_str()
            .map(str::to_owned)
            .or_else(|| v.get("message")?.as_str().map(str::to_owned))
    };
    [
        "message",
        "Message",
        "error_description",
        "error",
        "detail",
        "errors",
    ]
    .iter()
    .find_map(|name| {
        let value = body.get(name)?;
        match value {
            Value::Array(items) => items.iter().find_map(text),
            other => text(other),
        }
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use url::Url;

    use super::*;
    use crate::catalog::connector::dataset::AnswerWhen;

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Answer {
        let headers = headers.iter().map(|(n, v)| {
            (
                http::HeaderName::from_static(n),
                HeaderValue::from_str(v).unwrap(),
            )
        });
        Answer {
            status,
            headers: headers.collect(),
            body: body.to_owned().into(),
            at: "GET x".to_owned(),
            url: Url::parse("http://x.test").unwrap(),
        }
    }

    fn plain(status: u16) -> Verdict {
        judge(&answer(status, &[], ""), &[], &Retry::default())
    }

    #[test]
    fn http_says_what_an_answer_means() {
        assert_eq!(plain(200), Verdict::Ok);
        assert_eq!(plain(401), Verdict::Refused);
        assert_eq!(plain(403), Verdict::Refused);
        assert_eq!(plain(404), Verdict::Fail);
        assert_eq!(plain(501), Verdict::Fail);
        for again in [429, 500, 502, 503, 504] {
            assert_eq!(plain(again), Verdict::Again(None), "{again}");
        }
    }

    #[test]
    fn the_connector_may_say_otherwise_by_status_and_by_body() {
        let when = |path: &str, then| AnswerWhen {
            when: Some(Path::parse(path).unwrap()),
            then,
        };
        let responses = vec![
            (
                "503".to_owned(),
                Answers(vec![when("$.errors[?search(@,'sealed')]", Action::Fail)]),
            ),
            (
                "404".to_owned(),
                Answers(vec![AnswerWhen {
                    when: None,
                    then: Action::Empty,
                }]),
            ),
            (
                "200".to_owned(),
                Answers(vec![when("errors", Action::Fail)]),
            ),
            (
                "5xx".to_owned(),
                Answers(vec![AnswerWhen {
                    when: None,
                    then: Action::Retry,
                }]),
            ),
        ];
        let of = |status, body| judge(&answer(status, &[], body), &responses, &Retry::default());
        assert_eq!(of(503, r#"{"errors":["Vault is sealed"]}"#), Verdict::Fail);
        assert_eq!(of(503, r#"{"errors":["busy"]}"#), Verdict::Again(None));
        assert_eq!(of(500, "<html>"), Verdict::Again(None));
        assert_eq!(of(404, ""), Verdict::Empty);
        assert_eq!(of(200, r#"{"data":1}"#), Verdict::Ok);
        assert_eq!(of(200, r#"{"errors":[{"message":"no"}]}"#), Verdict::Fail);
    }

    #[test]
    fn a_source_may_ask_for_time_in_four_ways() {
        let date = ("date", "Fri, 20 Nov 2026 10:00:00 GMT");
        let wait =
            |headers: &[(&'static str, &str)]| asked_to_wait(&answer(429, headers, "").headers);
        assert_eq!(wait(&[("retry-after", "7")]), Some(Span::secs(7)));
        assert_eq!(
            wait(&[date, ("retry-after", "Fri, 20 Nov 2026 10:01:30 GMT")]),
            Some(Span::secs(90))
        );
        assert_eq!(
            wait(&[date, ("retry-after", "Fri, 20 Nov 2026 09:00:00 GMT")]),
            Some(Span::secs(0))
        );
        assert_eq!(
            wait(&[
                date,
                ("x-ratelimit-remaining", "0"),
                ("x-ratelimit-reset", "1795168810")
            ]),
            Some(Span::secs(10))
        );
        assert_eq!(
            wait(&[
                ("x-ratelimit-remaining", "5"),
                ("x-ratelimit-reset", "1795168810")
            ]),
            None
        );
        let limited = answer(403, &[("retry-after", "3")], "");
        assert_eq!(
            judge(&limited, &[], &Retry::default()),
            Verdict::Again(Some(Span::secs(3)))
        );
    }

    #[test]
    fn an_error_says_why_and_never_says_our_secret_back() {
        let scrub = Scrub::new(vec!["hunter2hunter2".into()]);
        let of = |body| hint(&answer(400, &[], body), &scrub);
        assert_eq!(
            of(r#"{"error_code":"X","message":"no such model"}"#),
            ": no such model"
        );
        assert_eq!(
            of(r#"{"errors":["permission denied"]}"#),
            ": permission denied"
        );
        assert_eq!(
            of(r#"{"errors":[{"message":"bad hunter2hunter2"}]}"#),
            ": bad REDACTED"
        );
        assert_eq!(of("<!doctype html><title>500</title>"), "");
        assert_eq!(of("Permission denied"), ": Permission denied");
    }
}
