//! Templates over facts: the sentence of a control, and the frame in which mails are written. One
//! environment, so that a template that loads is a template that renders. A template reads the values
//! it is handed and nothing else: no file, no environment, and the clock only as the instant `now`.

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta, Utc};
use minijinja::{Environment, Error, ErrorKind, Output, State, Value, escape_formatter};

use crate::model::outcome::Row;

/// The name under which a template's context holds the instant of the run, as RFC 3339 text.
pub const NOW: &str = "now";

/// Names that a control's message may use besides the columns of its evidence.
pub const BESIDES_COLUMNS: &[&str] = &[NOW, "subject"];

/// The environment of every template. Filters of ours: `ago` ("3 days ago", "in 2 hours", "never" for
/// an absent value) and `date` ("2026-11-20"). An absent value shows as "not set".
pub fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_debug(false);
    environment.set_formatter(show);
    environment.add_filter("ago", ago);
    environment.add_filter("date", date);
    environment
}

/// What is wrong in a template, and where in its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// What is wrong, without a full stop.
    pub what: String,
}

/// Checks a template and gives the names that it reads, sorted.
///
/// # Errors
/// The first thing that would keep it from rendering: its syntax, or a filter, test or function that is not there.
pub fn check(text: &str) -> Result<Vec<String>, Mistake> {
    let environment = environment();
    let template = environment
        .template_from_str(text)
        .map_err(|e| mistake(text, &e))?;
    // Filters are looked up while rendering, so it is rendered once, over nothing.
    if let Err(error) = template.render(Value::from_pairs([(NOW, Value::from(""))])) {
        let unknown = [
            ErrorKind::UnknownFilter,
            ErrorKind::UnknownTest,
            ErrorKind::UnknownFunction,
            ErrorKind::UnknownMethod,
            ErrorKind::TemplateNotFound,
            ErrorKind::BadInclude,
        ];
        if unknown.contains(&error.kind()) {
            return Err(mistake(text, &error));
        }
    }
    let globals: Vec<&str> = environment.globals().map(|(name, _)| name).collect();
    let mut names: Vec<String> = template
        .undeclared_variables(false)
        .into_iter()
        .filter(|name| !globals.contains(&name.as_str()))
        .collect();
    names.sort();
    Ok(names)
}

/// Renders a control's message over a row of its evidence.
///
/// # Errors
/// One sentence for people.
pub fn message(text: &str, row: &Row, subject: &str, now: DateTime<Utc>) -> Result<String, String> {
    let mut context = row.clone();
    context.insert("subject".to_owned(), subject.into());
    context.insert(NOW.to_owned(), now.to_rfc3339().into());
    let rendered = environment().render_str(text, value(&context.into()));
    rendered
        .map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))
        .map_err(|e| mistake(text, &e).what)
}

/// JSON as a template sees it.
pub fn value(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::from(()),
        serde_json::Value::Bool(b) => Value::from(*b),
        serde_json::Value::Number(n) => match (n.as_i64(), n.as_u64()) {
            (Some(whole), _) => Value::from(whole),
            (_, Some(whole)) => Value::from(whole),
            _ => Value::from(n.as_f64()),
        },
        serde_json::Value::String(text) => Value::from(text),
        serde_json::Value::Array(items) => Value::from(items.iter().map(value).collect::<Vec<_>>()),
        serde_json::Value::Object(map) => {
            Value::from_pairs(map.iter().map(|(k, v)| (k.as_str(), value(v))))
        }
    }
}

fn mistake(text: &str, error: &Error) -> Mistake {
    let start = error.range().map_or(0, |r| r.start);
    let before = text.get(..start).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |i| i + 1);
    Mistake {
        line: before.matches('\n').count() + 1,
        column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
        what: error
            .detail()
            .map_or_else(|| error.kind().to_string(), str::to_owned),
    }
}

fn show(out: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    if value.is_none() || value.is_undefined() {
        escape_formatter(out, state, &Value::from("not set"))
    } else {
        escape_formatter(out, state, value)
    }
}

fn ago(state: &State, value: &Value) -> String {
    let Some(text) = value.as_str() else {
        return "never".to_owned();
    };
    let now = state.lookup(NOW);
    let now = now.as_ref().and_then(|n| n.as_str()).and_then(instant);
    match (now, instant(text)) {
        (Some(now), Some(then)) => distance(now - then),
        _ => text.to_owned(),
    }
}

fn date(value: &Value) -> String {
    match value.as_str() {
        None => "no date".to_owned(),
        Some(text) => {
            instant(text).map_or_else(|| text.to_owned(), |t| t.format("%Y-%m-%d").to_string())
        }
    }
}

/// An instant or a day as evidence writes it.
fn instant(text: &str) -> Option<DateTime<Utc>> {
    let full = DateTime::parse_from_rfc3339(text).map(|t| t.to_utc());
    let local = || NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").map(|t| t.and_utc());
    let day = || NaiveDate::parse_from_str(text, "%Y-%m-%d");
    full.or_else(|_| local())
        .ok()
        .or_else(|| Some(day().ok()?.and_hms_opt(0, 0, 0)?.and_utc()))
}

/// "324 days ago", "in 5 hours", "just now". Days are not rounded into months: people count days.
pub fn distance(passed: TimeDelta) -> String {
    let minutes = passed.num_minutes().abs();
    let (count, unit) = match minutes {
        0 => return "just now".to_owned(),
        1..60 => (minutes, "minute"),
        60..2_880 => (minutes / 60, "hour"),
        _ => (minutes / 1_440, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    if passed > TimeDelta::zero() {
        format!("{count} {unit}{plural} ago")
    } else {
        format!("in {count} {unit}{plural}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn say(text: &str, row: &serde_json::Value) -> String {
        let now = "2026-11-20T00:00:00Z".parse().unwrap();
        message(text, row.as_object().unwrap(), "aws/secret/a", now).unwrap()
    }

    #[test]
    fn a_message_says_the_true_values() {
        let row = json!({ "name": "a<b>", "last": "2026-01-01T00:00:00.000000Z", "due": "2026-11-22", "none": null, "n": 3, "tags": ["x", "y"] });
        assert_eq!(
            say("{{ name }}: {{ last | ago }}, {{ last | date }}", &row),
            "a<b>: 323 days ago, 2026-01-01"
        );
        assert_eq!(
            say(
                "{{ due | ago }} {{ none | ago }} {{ none | date }} {{ none }}",
                &row
            ),
            "in 2 days never no date not set"
        );
        assert_eq!(
            say("{{ n + 1 }}\n  {{ tags | join('+') }} {{ subject }}", &row),
            "4 x+y aws/secret/a"
        );
        assert_eq!(say("{{ name | ago }}", &row), "a<b>");
    }

    #[test]
    fn distances_use_the_unit_that_people_use() {
        for (minutes, text) in [
            (0, "just now"),
            (1, "1 minute ago"),
            (59, "59 minutes ago"),
            (61, "1 hour ago"),
            (47 * 60, "47 hours ago"),
            (48 * 60, "2 days ago"),
            (-90, "in 1 hour"),
        ] {
            assert_eq!(distance(TimeDelta::minutes(minutes)), text);
        }
    }

    #[test]
    fn what_would_not_render_is_found_at_load() {
        assert_eq!(check("{{ b }} {{ a | ago }} {{ b }}").unwrap(), ["a", "b"]);
        let wrong = |text| {
            let m = check(text).unwrap_err();
            format!("{}:{} {}", m.line, m.column, m.what)
        };
        insta::assert_snapshot!(wrong("{{ a "), @"1:4 unexpected end of input, expected end of variable block");
        insta::assert_snapshot!(wrong("first\n {{ a | agoo }}"), @"2:9 filter agoo is unknown");
        insta::assert_snapshot!(wrong("{% if a %}x"), @"1:11 unexpected end of input, expected end of block");
        insta::assert_snapshot!(wrong("{{ open('/etc/passwd') }}"), @"1:4 open is unknown");
        insta::assert_snapshot!(wrong("{% include 'x' %}{{ 1 | nope }}"), @"1:4 tried to include non-existing template 'x'");
    }
}
