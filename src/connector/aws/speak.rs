//! The protocols of AWS: a call becomes a request, an answer becomes a document of one shape whatever
//! the protocol, and an error is recognised in JSON and in XML, because a service that speaks JSON
//! refuses a signature in XML. Pure.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};
use url::Url;

use super::service::{Operation, Protocol};

/// An operation in a region.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    /// The operation.
    pub operation: Operation<'a>,
    /// The region.
    pub region: &'a str,
}

use crate::{
    catalog::connector::Method,
    connector::{
        documents,
        error::{Error, Result},
        http::{
            answer::Verdict,
            wire::{Answer, Fault, Outgoing},
        },
        xml,
    },
};

/// RFC 3986's unreserved characters stay as they are; AWS signs what everything else is encoded to.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// What AWS says when we are too fast.
const SLOWER: &[&str] = &[
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "SlowDown",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
];

/// What AWS says when it could not, this time.
const AGAIN: &[&str] = &[
    "InternalFailure",
    "InternalError",
    "InternalServerError",
    "InternalServiceError",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "RequestTimeout",
    "RequestTimeoutException",
];

/// What AWS says when it refuses us.
const REFUSED: &[&str] = &[
    "AccessDenied",
    "AccessDeniedException",
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "NotAuthorized",
    "OptInRequired",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnauthorizedOperation",
    "UnrecognizedClientException",
];

/// What AWS says when keys that were fine are so no longer.
const EXPIRED: &[&str] = &["ExpiredToken", "ExpiredTokenException", "RequestExpired"];

/// A request for an operation.
pub(super) fn request(call: Call<'_>, mut address: Url, body: &Value) -> Result<Outgoing> {
    let operation = call.operation;
    let mut headers = HeaderMap::new();
    let (method, body) = match operation.service.protocol {
        Protocol::Json(prefix) => {
            let target = format!("{prefix}.{}", operation.name);
            let target =
                HeaderValue::try_from(target).map_err(|e| Error::Settings(e.to_string()))?;
            headers.insert(HeaderName::from_static("x-amz-target"), target);
            headers.insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/x-amz-json-1.1"),
            );
            (Method::Post, Some(Bytes::from(body.to_string())))
        }
        Protocol::Query(version) => {
            let mut form = vec![
                ("Action".to_owned(), operation.name.to_owned()),
                ("Version".to_owned(), version.to_owned()),
            ];
            flatten("", body, &mut form);
            let encoded: Vec<String> = form
                .iter()
                .map(|(n, v)| format!("{}={}", encode(n), encode(v)))
                .collect();
            let kind = HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8");
            headers.insert(header::CONTENT_TYPE, kind);
            (Method::Post, Some(Bytes::from(encoded.join("&"))))
        }
        Protocol::Rest => {
            address = rest(&address, operation.name, body)?;
            (Method::Get, None)
        }
    };
    let name = format!("{} in {}", operation, call.region);
    Ok(Outgoing {
        method,
        url: address,
        headers,
        body,
        name: Some(name),
    })
}

/// Fills `{name}` in a path from the parameters; those that are left go into the query.
fn rest(address: &Url, path: &str, body: &Value) -> Result<Url> {
    let mut left = body.as_object().cloned().unwrap_or_default();
    let mut filled = String::new();
    let mut rest = path;
    while let Some((before, tail)) = rest.split_once('{') {
        let found = tail.split_once('}').and_then(|(name, tail)| {
            let value = plain(&left.shift_remove(name)?)?;
            Some((value, tail))
        });
        let Some((value, tail)) = found else {
            return Err(Error::Settings(format!(
                "`{path}` needs a value in `body:` for each `{{name}}`"
            )));
        };
        filled.push_str(before);
        filled.push_str(&encode(&value));
        rest = tail;
    }
    filled.push_str(rest);
    let base = address.as_str().trim_end_matches('/');
    let mut url = Url::parse(&format!("{base}{filled}"))
        .map_err(|e| Error::Settings(format!("`{path}`: {e}")))?;
    if url.origin() != address.origin() {
        return Err(Error::Settings(format!("`{path}` leads to another host")));
    }
    let query: Vec<String> = left
        .iter()
        .filter_map(|(name, value)| Some(format!("{}={}", encode(name), encode(&plain(value)?))))
        .collect();
    if !query.is_empty() {
        url.set_query(Some(&query.join("&")));
    }
    Ok(url)
}

/// Parameters as a form knows them: `Tags.member.1.Key`.
fn flatten(prefix: &str, value: &Value, form: &mut Vec<(String, String)>) {
    let under = |name: &str| {
        if prefix.is_empty() {
            name.to_owned()
        } else {
            format!("{prefix}.{name}")
        }
    };
    match value {
        Value::Object(members) => members
            .iter()
            .for_each(|(name, v)| flatten(&under(name), v, form)),
        Value::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                flatten(&under(&format!("member.{}", number + 1)), item, form);
            }
        }
        scalar => form.extend(plain(scalar).map(|v| (prefix.to_owned(), v))),
    }
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

/// The document in an answer. An answer in XML is what is inside of its result.
pub(super) fn document(operation: Operation<'_>, answer: &Answer) -> Result<Value> {
    if !matches!(operation.service.protocol, Protocol::Query(_)) {
        return documents::json(&answer.body, &answer.at);
    }
    let garbage = |what: String| Error::Garbage {
        at: answer.at.clone(),
        what,
    };
    let text = std::str::from_utf8(&answer.body)
        .map_err(|_| garbage("XML that is not UTF-8".to_owned()))?;
    let document = xml::read(text).map_err(|e| garbage(e.to_string()))?;
    let result = format!("{}Result", operation.name);
    match document {
        // An operation without anything to say has an empty result.
        Value::Object(mut members) => match members.shift_remove(&result) {
            Some(Value::Null) => Ok(Value::Object(Map::new())),
            Some(found) => Ok(found),
            None => Err(garbage(format!("there is no `{result}`"))),
        },
        _ => Err(garbage(format!("there is no `{result}`"))),
    }
}

/// The error in an answer, in JSON or XML, whatever the service speaks.
pub(super) fn fault(answer: &Answer) -> Option<Fault> {
    let text = std::str::from_utf8(&answer.body).ok()?;
    let body = match serde_json::from_str::<Value>(text) {
        Ok(body) => body,
        Err(_) => xml::read(text).ok()?,
    };
    // `ErrorResponse/Error` of most, `Response/Errors/Error` of EC2, and the members themselves in JSON.
    let inner = body
        .get("Error")
        .or_else(|| body.get("Errors")?.get("Error"))
        .unwrap_or(&body);
    let said = |names: &[&str]| {
        names
            .iter()
            .find_map(|n| inner.get(n)?.as_str().map(str::to_owned))
    };
    let header = answer
        .headers
        .get("x-amzn-errortype")
        .and_then(|v| v.to_str().ok());
    let code = header
        .map(str::to_owned)
        .or_else(|| said(&["__type", "Code", "code"]))?;
    // `com.amazon.coral.service#AccessDeniedException:http://…`
    let code = code
        .rsplit('#')
        .next()
        .and_then(|c| c.split(':').next())
        .unwrap_or_default();
    let is = |codes: &[&str]| codes.contains(&code);
    Some(Fault {
        verdict: if is(SLOWER) || is(AGAIN) {
            Some(Verdict::Again(None))
        } else {
            is(REFUSED).then_some(Verdict::Refused)
        },
        expired: is(EXPIRED),
        said: match said(&["message", "Message"]) {
            Some(message) => format!("{code}: {message}"),
            None => code.to_owned(),
        },
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn call(operation: &str) -> Call<'_> {
        Call {
            operation: Operation::parse(operation).unwrap(),
            region: "eu-west-1",
        }
    }

    fn asked(operation: &str, body: &Value) -> String {
        let address = Url::parse("https://aws.test/").unwrap();
        let request = request(call(operation), address, body).unwrap();
        let target = request.headers.get("x-amz-target");
        let body = request.body.unwrap_or_default();
        format!(
            "{} {} {} {}",
            request.method.as_str(),
            request.url,
            target.map_or("", |t| t.to_str().unwrap()),
            std::str::from_utf8(&body).unwrap()
        )
    }

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status,
            headers: HeaderMap::new(),
            body: body.to_owned().into(),
            at: "a.B in c".to_owned(),
            url: Url::parse("https://aws.test/").unwrap(),
        }
    }

    #[test]
    fn a_call_becomes_a_request_of_its_protocol() {
        insta::assert_snapshot!(asked("secretsmanager.ListSecrets", &json!({ "MaxResults": 100 })), @r#"POST https://aws.test/ secretsmanager.ListSecrets {"MaxResults":100}"#);
        insta::assert_snapshot!(asked("iam.ListUsers", &json!({ "Marker": "a b/=&", "Tags": [{ "Key": "x" }], "None": null })), @"POST https://aws.test/  Action=ListUsers&Version=2010-05-08&Marker=a%20b%2F%3D%26&Tags.member.1.Key=x");
        insta::assert_snapshot!(asked("bedrock.GET /custom-models/{model}", &json!({ "model": "arn:aws:x/y", "maxResults": 5 })), @"GET https://aws.test/custom-models/arn%3Aaws%3Ax%2Fy?maxResults=5");
        let address = Url::parse("https://aws.test/").unwrap();
        let missing = request(
            call("bedrock.GET /custom-models/{model}"),
            address,
            &json!({}),
        );
        assert!(missing.is_err());
    }

    #[test]
    fn an_answer_in_xml_is_what_is_inside_of_its_result() {
        let text = "<ListUsersResponse><ListUsersResult><IsTruncated>false</IsTruncated><Users/></ListUsersResult></ListUsersResponse>";
        let document = document(call("iam.ListUsers").operation, &answer(200, text)).unwrap();
        assert_eq!(document, json!({ "IsTruncated": "false", "Users": null }));
    }

    #[test]
    fn an_answer_that_is_no_answer_is_garbage() {
        let why = |operation: &str, text: &str| {
            document(call(operation).operation, &answer(200, text))
                .unwrap_err()
                .chain()
        };
        insta::assert_snapshot!(why("iam.ListUsers", "<html><body>hello</body></html>"), @"a.B in c answered with something else than expected: there is no `ListUsersResult`");
        insta::assert_snapshot!(why("iam.ListUsers", "<ListUsersResponse><ListUsersResult>"), @"a.B in c answered with something else than expected: the body is XML that was cut short");
        insta::assert_snapshot!(why("iam.ListUsers", "{}"), @"a.B in c answered with something else than expected: the body holds no XML element");
        insta::assert_snapshot!(why("secretsmanager.ListSecrets", "<html></html>"), @"a.B in c cannot be read: it is a page of HTML, not JSON");
    }

    #[test]
    fn an_error_is_recognised_whatever_it_is_written_in() {
        let said = |status, body: &str| match fault(&answer(status, body)) {
            Some(f) => format!("{:?} {} {}", f.verdict, f.expired, f.said),
            None => "nothing".to_owned(),
        };
        insta::assert_snapshot!(said(400, r#"{"__type":"com.amazonaws.secretsmanager#ResourceNotFoundException","Message":"no such secret"}"#), @"None false ResourceNotFoundException: no such secret");
        insta::assert_snapshot!(said(400, r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#), @"Some(Again(None)) false ThrottlingException: Rate exceeded");
        insta::assert_snapshot!(said(400, r#"{"__type":"AccessDeniedException","Message":"not authorized"}"#), @"Some(Refused) false AccessDeniedException: not authorized");
        insta::assert_snapshot!(said(400, r#"{"__type":"ExpiredTokenException"}"#), @"Some(Refused) true ExpiredTokenException");
        insta::assert_snapshot!(said(403, "<ErrorResponse><Error><Type>Sender</Type><Code>SignatureDoesNotMatch</Code><Message>The signature does not match</Message></Error><RequestId>r</RequestId></ErrorResponse>"), @"Some(Refused) false SignatureDoesNotMatch: The signature does not match");
        insta::assert_snapshot!(said(403, "<Response><Errors><Error><Code>AuthFailure</Code><Message>no</Message></Error></Errors></Response>"), @"Some(Refused) false AuthFailure: no");
        insta::assert_snapshot!(said(500, "<!doctype html>\n<title>500 Internal Server Error</title>"), @"nothing");
        insta::assert_snapshot!(said(200, "{}"), @"nothing");
    }
}
