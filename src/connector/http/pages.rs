//! How one page leads to the next. A small state machine without any network: it changes the next
//! request and says when the list ends. A token that comes twice, a page that leads to itself, and a
//! list longer than allowed are mistakes, never ends.

use std::collections::HashSet;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde_json::{Map, Value};
use url::Url;

use crate::catalog::connector::{
    page::{Page, Style, Target, Total},
    path::Path,
};

/// What is asked for besides what is always asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Turn {
    /// Query parameters to set.
    pub query: Vec<(String, String)>,
    /// Members of the body to set, dotted.
    pub body: Vec<(String, Value)>,
    /// Headers to set.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The address as the source gave it, in place of ours.
    pub url: Option<Url>,
}

/// One answer, as far as paging looks at it.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// The document.
    pub document: &'a Value,
    /// Headers.
    pub headers: &'a HeaderMap,
    /// The address that answered.
    pub url: &'a Url,
    /// How many rows were in it.
    pub rows: usize,
    /// The last of them.
    pub last: Option<&'a Value>,
}

/// Where a list is.
#[derive(Debug)]
pub struct Pages<'p> {
    page: &'p Page,
    read: u64,
    rows: u64,
    seen: HashSet<String>,
    /// How many rows the source says there are.
    pub total: Option<u64>,
}

impl<'p> Pages<'p> {
    /// The beginning of a list.
    pub fn new(page: &'p Page) -> Self {
        Self {
            page,
            read: 0,
            rows: 0,
            seen: HashSet::new(),
            total: None,
        }
    }

    /// What the first page asks for.
    pub fn first(&self) -> Turn {
        let mut turn = self.sized();
        match &self.page.style {
            Style::Offset(offset) => set(&mut turn, Some(&offset.param), "0"),
            Style::Page(numbered) => set(
                &mut turn,
                Some(&numbered.param),
                &numbered.first.to_string(),
            ),
            _ => {}
        }
        turn
    }

    /// What every page asks for: its size.
    fn sized(&self) -> Turn {
        let mut turn = Turn::default();
        match &self.page.style {
            Style::Offset(offset) => set(
                &mut turn,
                offset.limit_param.as_ref(),
                &offset.limit.to_string(),
            ),
            Style::Page(numbered) => set(
                &mut turn,
                numbered.size_param.as_ref(),
                &numbered.size.to_string(),
            ),
            Style::Keyset(keyset) => set(
                &mut turn,
                keyset.limit_param.as_ref(),
                &keyset.limit.to_string(),
            ),
            Style::None | Style::LinkHeader | Style::Cursor(_) | Style::NextUrl(_) => {}
        }
        turn
    }

    /// Whether several pages may come from a list that moved between them.
    pub fn drifts(&self) -> bool {
        self.read > 1 && !matches!(self.page.style, Style::Keyset(_))
    }

    /// What the next page asks for, or nothing at the end. `Err` says what is wrong with the list.
    pub fn next(&mut self, seen: Seen<'_>) -> Result<Option<Turn>, String> {
        self.read += 1;
        self.rows += seen.rows as u64;
        if let Style::Offset(offset) = &self.page.style
            && let Some(total) = offset
                .total
                .as_ref()
                .and_then(|t| declared(t, seen.document, seen.headers))
        {
            self.total = Some(total);
        }
        if let Some(more) = &self.page.has_more
            && !more.first(seen.document).is_some_and(is_true)
        {
            return Ok(None);
        }
        let Some((turn, mark)) = self.turn(&seen)? else {
            return Ok(None);
        };
        if !self.seen.insert(mark) {
            return Err("the pages lead in a circle: the same page was named twice".to_owned());
        }
        if self.read >= self.page.max_pages {
            return Err(format!("more than {} pages", self.page.max_pages));
        }
        Ok(Some(turn))
    }

    fn turn(&self, seen: &Seen<'_>) -> Result<Option<(Turn, String)>, String> {
        let mut turn = self.sized();
        let mark = match &self.page.style {
            Style::None => return Ok(None),
            Style::Cursor(cursor) => {
                let Some(token) = token(&cursor.from, seen.document)? else {
                    return Ok(None);
                };
                match &cursor.to {
                    // A token goes back as what it came as: some services take no number for a text.
                    Target::Body(path) => {
                        let as_it_came = cursor.from.first(seen.document).cloned();
                        turn.body.extend(as_it_came.map(|v| (path.clone(), v)));
                    }
                    to => set(&mut turn, Some(to), &token),
                }
                token
            }
            Style::LinkHeader => {
                let Some(link) = next_link(seen.headers) else {
                    return Ok(None);
                };
                Self::address(&mut turn, seen.url, &link)?
            }
            Style::NextUrl(next) => {
                let Some(link) = token(&next.from, seen.document)? else {
                    return Ok(None);
                };
                Self::address(&mut turn, seen.url, &link)?
            }
            Style::Offset(offset) => {
                // With a total the source may leave rows out of a page, so only the total ends the list.
                // Without one, what we got is the only measure, and an empty page is the end.
                let skip = if self.total.is_some() {
                    self.read * offset.limit
                } else {
                    self.rows
                };
                if self.total.map_or(seen.rows == 0, |total| skip >= total) {
                    return Ok(None);
                }
                set(&mut turn, Some(&offset.param), &skip.to_string());
                skip.to_string()
            }
            Style::Page(numbered) => {
                let pages = numbered
                    .total_pages
                    .as_ref()
                    .and_then(|p| number(p.first(seen.document)?));
                if pages.map_or(seen.rows == 0, |pages| self.read >= pages) {
                    return Ok(None);
                }
                let next = numbered.first + self.read;
                set(&mut turn, Some(&numbered.param), &next.to_string());
                next.to_string()
            }
            Style::Keyset(keyset) => {
                let Some(last) = seen.last else {
                    return Ok(None);
                };
                let key = keyset
                    .column
                    .first(last)
                    .and_then(text)
                    .ok_or_else(|| format!("the last row has no `{}`", keyset.column))?;
                set(
                    &mut turn,
                    Some(&keyset.param),
                    &keyset.value.replace("{}", &key),
                );
                key
            }
        };
        Ok(Some((turn, mark)))
    }

    fn address(turn: &mut Turn, base: &Url, link: &str) -> Result<String, String> {
        let url = base
            .join(link)
            .map_err(|_| "the link to the next page is not an address".to_owned())?;
        // The link says all that the next request asks for.
        *turn = Turn {
            url: Some(url.clone()),
            ..Turn::default()
        };
        Ok(url.to_string())
    }
}

impl Turn {
    /// Sets what it asks for in an address, a body and headers.
    pub fn apply(&self, url: &mut Url, body: &mut Option<Value>, headers: &mut HeaderMap) {
        if let Some(own) = &self.url {
            url.clone_from(own);
        }
        if !self.query.is_empty() {
            let kept: Vec<(String, String)> = url
                .query_pairs()
                .filter(|(name, _)| !self.query.iter().any(|(n, _)| n == name))
                .map(|(n, v)| (n.into_owned(), v.into_owned()))
                .collect();
            url.query_pairs_mut()
                .clear()
                .extend_pairs(kept)
                .extend_pairs(&self.query);
        }
        for (path, value) in &self.body {
            put(
                body.get_or_insert_with(|| Value::Object(Map::new())),
                path,
                value.clone(),
            );
        }
        headers.extend(self.headers.iter().cloned().map(|(n, v)| (Some(n), v)));
    }
}

/// The number that a source declares.
pub fn declared(total: &Total, document: &Value, headers: &HeaderMap) -> Option<u64> {
    match total {
        Total::Path(path) => number(path.first(document)?),
        Total::Header(name) => headers.get(name)?.to_str().ok()?.trim().parse().ok(),
    }
}

fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn is_true(value: &Value) -> bool {
    match value {
        Value::Bool(truth) => *truth,
        Value::String(text) => text.eq_ignore_ascii_case("true"),
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The token at a path: nothing when it is absent, null or empty.
fn token(path: &Path, document: &Value) -> Result<Option<String>, String> {
    match path.first(document) {
        None | Some(Value::Null | Value::Bool(false)) => Ok(None),
        Some(value) => match text(value) {
            Some(token) => Ok(Some(token).filter(|t| !t.is_empty())),
            None => Err(format!(
                "what leads to the next page, `{path}`, is not a text"
            )),
        },
    }
}

fn set(turn: &mut Turn, target: Option<&Target>, value: &str) {
    match target {
        None => {}
        Some(Target::Query(name)) => turn.query.push((name.clone(), value.to_owned())),
        Some(Target::Body(path)) => {
            let number = value.parse::<u64>().ok().filter(|n| n.to_string() == value);
            turn.body.push((
                path.clone(),
                number.map_or_else(|| value.into(), Into::into),
            ));
        }
        Some(Target::Header(name)) => {
            if let (Ok(name), Ok(value)) = (name.parse(), value.parse()) {
                turn.headers.push((name, value));
            }
        }
    }
}

fn put(at: &mut Value, path: &str, value: Value) {
    let (name, rest) = path
        .split_once('.')
        .map_or((path, None), |(n, r)| (n, Some(r)));
    if let Value::Object(members) = at {
        let member = members
            .entry(name.to_owned())
            .or_insert_with(|| Value::Object(Map::new()));
        match rest {
            None => *member = value,
            Some(rest) => put(member, rest, value),
        }
    }
}

/// The address of `rel="next"` in the `Link` headers (RFC 8288).
fn next_link(headers: &HeaderMap) -> Option<String> {
    headers
        .get_all(header::LINK)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .find_map(|line| {
            let mut rest = line;
            while let Some((_, tail)) = rest.split_once('<') {
                let (address, tail) = tail.split_once('>')?;
                let (parameters, tail) = tail.split_once(',').unwrap_or((tail, ""));
                let next = parameters.split(';').any(|p| {
                    let (name, value) = p.split_once('=').unwrap_or_default();
                    name.trim().eq_ignore_ascii_case("rel")
                        && value
                            .trim()
                            .trim_matches('"')
                            .split(' ')
                            .any(|r| r == "next")
                });
                if next {
                    return Some(address.to_owned());
                }
                rest = tail;
            }
            None
        })
}

#[cfg(test)]
mod tests {
    use std::path::Path as FilePath;

    use serde_json::json;

    use super::*;
    use crate::yaml::decode::read;

    fn page(text: &str) -> Page {
        read(FilePath::new("a.yaml"), text).unwrap().0
    }

    fn headers(link: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::LINK, link.parse().unwrap())])
    }

    struct List<'p>(Pages<'p>);

    impl List<'_> {
        fn next(&mut self, document: &Value, rows: usize) -> Result<Option<Turn>, String> {
            self.with(document, &HeaderMap::new(), rows, None)
        }

        fn with(
            &mut self,
            document: &Value,
            headers: &HeaderMap,
            rows: usize,
            last: Option<&Value>,
        ) -> Result<Option<Turn>, String> {
            let url = Url::parse("https://a.test/v1/x?limit=2").unwrap();
            self.0.next(Seen {
                document,
                headers,
                url: &url,
                rows,
                last,
            })
        }

        fn query(&mut self, document: &Value, rows: usize) -> Option<String> {
            let turn = self.next(document, rows).unwrap()?;
            Some(
                turn.query
                    .iter()
                    .map(|(n, v)| format!("{n}={v}"))
                    .collect::<Vec<_>>()
                    .join("&"),
            )
        }
    }

    #[test]
    fn a_cursor_ends_when_it_is_absent_null_or_empty() {
        let page = page("cursor: { from: next, to: query.token }");
        for end in [json!({}), json!({ "next": null }), json!({ "next": "" })] {
            let mut list = List(Pages::new(&page));
            assert_eq!(list.query(&json!({ "next": "a" }), 2).unwrap(), "token=a");
            assert_eq!(list.query(&json!({ "next": 7 }), 0).unwrap(), "token=7");
            assert_eq!(list.next(&end, 1), Ok(None));
        }
        assert!(
            List(Pages::new(&page))
                .next(&json!({ "next": {} }), 1)
                .is_err()
        );
    }

    #[test]
    fn a_token_in_a_body_goes_back_as_what_it_came_as() {
        let page = page("cursor: { from: next, to: body.token }");
        for token in [json!("10"), json!(10)] {
            let turn = Pages::new(&page).next(Seen {
                document: &json!({ "next": token }),
                headers: &HeaderMap::new(),
                url: &Url::parse("https://a.test/").unwrap(),
                rows: 1,
                last: None,
            });
            assert_eq!(turn.unwrap().unwrap().body, [("token".to_owned(), token)]);
        }
    }

    #[test]
    fn a_token_that_loops_and_a_list_without_end_are_mistakes() {
        let circle = page("cursor: { from: next, to: query.token }");
        let mut list = List(Pages::new(&circle));
        list.next(&json!({ "next": "a" }), 1).unwrap();
        list.next(&json!({ "next": "b" }), 1).unwrap();
        assert_eq!(
            list.next(&json!({ "next": "a" }), 1).unwrap_err(),
            "the pages lead in a circle: the same page was named twice"
        );
        let short = page("cursor: { from: next, to: query.token }\nmax_pages: 2");
        let mut list = List(Pages::new(&short));
        list.next(&json!({ "next": "a" }), 1).unwrap();
        assert_eq!(
            list.next(&json!({ "next": "b" }), 1).unwrap_err(),
            "more than 2 pages"
        );
        // Two pages are allowed, and the second is the last.
        let mut list = List(Pages::new(&short));
        list.next(&json!({ "next": "a" }), 1).unwrap();
        assert_eq!(list.next(&json!({}), 1), Ok(None));
    }

    #[test]
    fn a_link_header_names_the_next_page() {
        let page = page("link_header");
        let mut list = List(Pages::new(&page));
        let both = headers(
            r#"<https://a.test/v1/x?page=1>; rel="prev", <?page=3>; title="a"; rel="next last""#,
        );
        let turn = list.with(&json!([]), &both, 2, None).unwrap().unwrap();
        assert_eq!(turn.url.unwrap().as_str(), "https://a.test/v1/x?page=3");
        assert!(
            list.with(&json!([]), &headers(r#"<x>; rel="prev""#), 2, None)
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn an_address_in_the_answer_is_taken_as_it_is() {
        let page = page("next_url: { from: '$[\"@odata.nextLink\"]' }");
        let mut list = List(Pages::new(&page));
        let turn = list
            .next(&json!({ "@odata.nextLink": "https://b.test/y?t=1" }), 2)
            .unwrap()
            .unwrap();
        assert_eq!(turn.url.unwrap().host_str(), Some("b.test"));
    }

    #[test]
    fn an_offset_without_a_total_goes_on_by_what_it_got_until_nothing_comes() {
        let page = page("offset: { param: query.offset, limit_param: query.limit, limit: 2 }");
        let mut list = List(Pages::new(&page));
        assert_eq!(list.0.first().query.len(), 2);
        // The source gives less than asked for; going on by what was asked for would lose rows.
        assert_eq!(list.query(&json!([]), 1).unwrap(), "limit=2&offset=1");
        assert_eq!(list.next(&json!([]), 0), Ok(None));
    }

    #[test]
    fn an_offset_with_a_total_never_stops_at_a_short_page() {
        let page = page("offset: { param: o, limit: 2, total: { header: X-Total-Count } }");
        let mut list = List(Pages::new(&page));
        let total = HeaderMap::from_iter([(
            "x-total-count".parse::<HeaderName>().unwrap(),
            "5".parse().unwrap(),
        )]);
        for rows in [2, 0] {
            assert!(list.with(&json!([]), &total, rows, None).unwrap().is_some());
        }
        assert!(list.with(&json!([]), &total, 1, None).unwrap().is_none());
        assert_eq!(list.0.total, Some(5));
    }

    #[test]
    fn pages_are_numbered_until_the_last_or_an_empty_one() {
        let known = page("page: { param: p, size_param: s, size: 2, total_pages: pages }");
        let mut list = List(Pages::new(&known));
        assert!(list.next(&json!({ "pages": 2 }), 2).unwrap().is_some());
        assert_eq!(list.next(&json!({ "pages": "2" }), 2), Ok(None));
        let unknown = page("page: { param: p, first: 0 }");
        let mut list = List(Pages::new(&unknown));
        assert!(list.next(&json!({}), 1).unwrap().is_some());
        assert_eq!(list.next(&json!({}), 0), Ok(None));
    }

    #[test]
    fn a_keyset_goes_on_behind_the_last_key_and_may_not_stand_still() {
        let page = page("keyset: { column: sys_id, param: q, value: 'sys_id>{}^ORDERBYsys_id' }");
        let mut list = List(Pages::new(&page));
        let row = json!({ "sys_id": "b" });
        let none = HeaderMap::new();
        let turn = list
            .with(&json!([]), &none, 2, Some(&row))
            .unwrap()
            .unwrap();
        assert_eq!(
            turn.query,
            [("q".to_owned(), "sys_id>b^ORDERBYsys_id".to_owned())]
        );
        assert!(list.with(&json!([]), &none, 2, Some(&row)).is_err());
        assert!(list.with(&json!([]), &none, 1, Some(&json!({}))).is_err());
        assert!(
            List(Pages::new(&page))
                .with(&json!([]), &none, 0, None)
                .unwrap()
                .is_none()
        );
        assert!(!list.0.drifts());
    }

    #[test]
    fn has_more_ends_a_list_whatever_the_token_says() {
        let page = page("cursor: { from: next, to: query.t }\nhas_more: more");
        let mut list = List(Pages::new(&page));
        assert!(
            list.next(&json!({ "next": "a", "more": true }), 2)
                .unwrap()
                .is_some()
        );
        assert_eq!(
            list.next(&json!({ "next": "b", "more": false }), 2),
            Ok(None)
        );
    }

    #[test]
    fn a_turn_changes_query_and_body_and_keeps_the_rest() {
        let turn = Turn {
            query: vec![("t".to_owned(), "a b".to_owned())],
            body: vec![("page.next".to_owned(), json!("c"))],
            ..Turn::default()
        };
        let mut url = Url::parse("https://a.test/x?t=1&keep=2").unwrap();
        let (mut body, mut headers) = (Some(json!({ "page": { "size": 1 } })), HeaderMap::new());
        turn.apply(&mut url, &mut body, &mut headers);
        assert_eq!(url.query(), Some("keep=2&t=a+b"));
        assert_eq!(body.unwrap(), json!({ "page": { "size": 1, "next": "c" } }));
    }
}
