//! How the pages of a list follow each other: a token, a link, an offset, a number, a key. A list that
//! goes on too long is a failure, never a cut.

use serde_json::{Map, Value, json};

use super::path::Path;
use crate::{
    record, tagged,
    yaml::{
        decode::{Cx, Decode},
        diagnostic::Diagnostic,
        tree::{Kind, Node},
    },
};

/// How the pages follow each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// How the next page is asked for.
    pub style: Style,
    /// Whether there is another page, if the source says so.
    pub has_more: Option<Path>,
    /// More pages than this are a failure, never a cut.
    pub max_pages: u64,
}

/// Pages that a source may give unless its connector says more.
pub const MAX_PAGES: u64 = 10_000;

impl Default for Page {
    fn default() -> Self {
        Self {
            style: Style::None,
            has_more: None,
            max_pages: MAX_PAGES,
        }
    }
}

tagged! {
    /// How the next page is asked for.
    pub enum Style {
        /// There is one page.
        None = "none",
        /// The `Link` header with `rel=next` (RFC 8288).
        LinkHeader = "link_header";
        /// A token in the answer.
        Cursor(Cursor) = "cursor",
        /// An address in the answer.
        NextUrl(NextUrl) = "next_url",
        /// A number of rows to skip.
        Offset(Offset) = "offset",
        /// A page number.
        Page(Numbered) = "page",
        /// The last key of the page before.
        Keyset(Keyset) = "keyset",
    }
}

record! {
    /// A token in the answer.
    pub struct Cursor {
        /// Where the token is in the answer; absent, null or empty ends the list.
        from: Path,
        /// Where it goes: `query.page_token`, `body.NextToken`, `header.X-Next`.
        to: Target,
    }
}

record! {
    /// An address in the answer.
    pub struct NextUrl {
        /// Where the address is in the answer.
        from: Path,
    }
}

record! {
    /// A number of rows to skip. Rows that move while we read are lost: ask for a stable order.
    pub struct Offset {
        /// The parameter with the number of rows to skip.
        param: Target,
        /// The parameter with the size of a page.
        limit_param: Option<Target>,
        /// The size of a page.
        limit: u64 = 100,
        /// Where the total is in the answer.
        total: Option<Total>,
    }
}

record! {
    /// A page number.
    pub struct Numbered {
        /// The parameter with the number.
        param: Target,
        /// The parameter with the size of a page.
        size_param: Option<Target>,
        /// The size of a page.
        size: u64 = 100,
        /// The number of the first page.
        first: u64 = 1,
        /// Where the number of pages is in the answer.
        total_pages: Option<Path>,
    }
}

record! {
    /// The last key of the page before.
    pub struct Keyset {
        /// Where the key is in a row.
        column: Path,
        /// The parameter that takes it.
        param: Target,
        /// What the parameter is, with `{}` for the key; only the key by default.
        value: String = "{}".to_owned(),
        /// The parameter with the size of a page.
        limit_param: Option<Target>,
        /// The size of a page.
        limit: u64 = 100,
    }
}

/// Where a value of paging goes in the next request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A query parameter.
    Query(String),
    /// A member of the JSON body, dotted.
    Body(String),
    /// A header.
    Header(String),
}

impl Decode for Target {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        let text = String::decode(node, cx)?;
        match text.split_once('.') {
            Some(("query", name)) => Some(Self::Query(name.to_owned())),
            Some(("body", name)) => Some(Self::Body(name.to_owned())),
            Some(("header", name)) => Some(Self::Header(name.to_owned())),
            _ if !text.contains('.') => Some(Self::Query(text)),
            _ => cx.wrong(
                Diagnostic::error(
                    "TL0403",
                    &node.place,
                    format!("`{text}` is not a place in a request"),
                )
                .help("write `query.NAME`, `body.NAME` or `header.NAME`"),
            ),
        }
    }

    fn schema(_: &mut Map<String, Value>) -> Value {
        json!({ "type": "string" })
    }
}

/// Where a source says how many rows there are.
#[derive(Debug, Clone, PartialEq)]
pub enum Total {
    /// In the answer.
    Path(Path),
    /// In a header.
    Header(String),
}

record! {
    /// A number in a header.
    pub struct HeaderName {
        /// The header.
        header: String,
    }
}

impl Decode for Total {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        match &node.kind {
            Kind::Map(_) => HeaderName::decode(node, cx).map(|h| Self::Header(h.header)),
            _ => Path::decode(node, cx).map(Self::Path),
        }
    }

    fn schema(defs: &mut Map<String, Value>) -> Value {
        json!({ "anyOf": [{ "type": "string" }, HeaderName::schema(defs)] })
    }
}

impl Decode for Page {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        let Kind::Map(entries) = &node.kind else {
            return Style::decode(node, cx).map(|style| Self {
                style,
                ..Self::default()
            });
        };
        let beside = |name: &str| matches!(name, "has_more" | "max_pages");
        let (own, style): (Vec<_>, Vec<_>) =
            entries.iter().cloned().partition(|(k, _)| beside(&k.text));
        let with = |entries| Node {
            place: node.place.clone(),
            kind: Kind::Map(entries),
        };
        let limits = PageLimits::decode(&with(own), cx);
        // `link_header: {}` is the long form of the word, for a limit beside it.
        let style = match style.as_slice() {
            [] => Some(Style::None),
            [(key, _)] if key.text == "link_header" => Some(Style::LinkHeader),
            _ => Style::decode(&with(style), cx),
        };
        let limits = limits?;
        Some(Self {
            style: style?,
            has_more: limits.has_more,
            max_pages: limits.max_pages,
        })
    }

    fn schema(defs: &mut Map<String, Value>) -> Value {
        let limits = PageLimits::schema(defs);
        let limits = defs
            .get("PageLimits")
            .and_then(|d| d.get("properties"))
            .cloned()
            .unwrap_or(limits);
        let mut style = Style::schema(defs);
        if let Some(shapes) = style.get_mut("anyOf").and_then(Value::as_array_mut) {
            for shape in shapes
                .iter_mut()
                .filter_map(|s| s.get_mut("properties"))
                .filter_map(Value::as_object_mut)
            {
                shape.extend(limits.as_object().cloned().unwrap_or_default());
            }
            let mut long = json!({ "link_header": { "type": "object" } });
            if let (Some(long), Some(limits)) = (long.as_object_mut(), limits.as_object()) {
                long.extend(limits.clone());
            }
            shapes.push(json!({ "type": "object", "properties": long, "required": ["link_header"], "additionalProperties": false }));
        }
        style
    }
}

record! {
    /// What stands beside the style of paging.
    pub struct PageLimits {
        /// Whether there is another page, if the source says so.
        has_more: Option<Path>,
        /// More pages than this are a failure, never a cut.
        max_pages: u64 = MAX_PAGES,
    }
}
