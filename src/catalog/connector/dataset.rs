//! The parts of a dataset as they are written: how it is asked for, where its rows are, how its
//! pages follow each other, what answers mean, and when it is whole.

use serde_json::{Map, Value, json};

use super::{
    column::Column,
    http::Probe,
    page::{Page, Total},
    path::Path,
    template::{Body, Template},
};
use crate::{
    choice,
    model::share::Share,
    record,
    yaml::{
        decode::{Cx, Decode, Fields, Located},
        diagnostic::Diagnostic,
        tree::{Kind, Node},
        values::Named,
    },
};

record! {
    /// A typed table. Exactly one of `get`, `post`, `list`, `call`, `select`, `csv`, `xlsx`, `json`, `ndjson` and `view` says how it is read.
    pub struct DatasetFile {
        /// What it is, in one sentence.
        about: Option<String>,
        /// HTTP GET of this path.
        get: Option<Template>,
        /// HTTP POST to this path: searches and GraphQL queries, never a change.
        post: Option<Template>,
        /// Vault's LIST of this path.
        list: Option<Template>,
        /// An AWS operation: `secretsmanager.ListSecrets`.
        call: Option<Located<String>>,
        /// One SELECT statement.
        select: Option<Located<String>>,
        /// A file of separated values.
        csv: Option<Csv>,
        /// A sheet of a workbook.
        xlsx: Option<Xlsx>,
        /// A file with one JSON document.
        json: Option<Empty>,
        /// A file with one JSON value per line.
        ndjson: Option<Empty>,
        /// SQL over datasets of the same source.
        view: Option<Located<String>>,
        /// Query of the address. A value that is only a setting that is left out leaves the parameter out.
        query: Named<Template> = Named::default(),
        /// Headers of this request.
        headers: Named<Template> = Named::default(),
        /// Body as JSON.
        body: Option<Body>,
        /// How the answer is written; its Content-Type is not asked.
        format: Format = Format::Json,
        /// Read once for each row of another dataset.
        each: Option<Each>,
        /// Where the rows are.
        rows: Rows = Rows::default(),
        /// How the pages follow each other.
        page: Page = Page::default(),
        /// What answers mean that are not the usual ones: a status (`404`) or a class of them (`5xx`).
        responses: Named<Answers> = Named::default(),
        /// The columns that name a row. The same key twice in one collection is paging drift.
        key: Vec<Located<String>>,
        /// When it is whole.
        complete: Complete = Complete::default(),
        /// How to ask for one row that is no longer listed.
        confirm_gone: Option<ConfirmGone>,
        /// Proof that we see this dataset; runs after the probes of the connector.
        probe: Vec<Probe> = Vec::new(),
        /// The columns. A view has those of its statement.
        columns: Named<Column> = Named::default(),
    }
}

choice! {
    /// How an answer is written.
    pub enum Format {
        /// One JSON document.
        Json = "json",
        /// One JSON value per line.
        Ndjson = "ndjson",
        /// Separated values with a header line.
        Csv = "csv",
        /// XML, read into the shape that JSON would have.
        Xml = "xml",
    }
}

record! {
    /// A file of separated values.
    pub struct Csv {
        /// What is between two values.
        delimiter: String = ",".to_owned(),
        /// Whether the first line names the columns; else paths are positions from 0.
        header: bool = true,
    }
}

record! {
    /// A sheet of a workbook.
    pub struct Xlsx {
        /// Its name; the first sheet by default.
        sheet: Option<String>,
        /// The row that names the columns, from 1.
        header_row: u32 = 1,
    }
}

/// A key that says all by being there: `json: {}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Empty;

impl Decode for Empty {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        let before = cx.out.len();
        Fields::of(node, "`{}`", cx)?.finish(cx);
        (cx.out.len() == before).then_some(Self)
    }

    fn schema(_: &mut Map<String, Value>) -> Value {
        json!({ "type": "object", "additionalProperties": false })
    }
}

record! {
    /// List, then read each.
    pub struct Each {
        /// The dataset that lists.
        of: Located<String>,
        /// The name of its row here: `${m.name}`, `from: m.owner`.
        r#as: String,
        /// Reads at the same time, within the connector's own limit.
        concurrency: u32 = 4,
        /// The most rows that may be read for; more is a failure, never a cut.
        limit: u64 = 100_000,
    }
}

choice! {
    /// What it means that the rows are not where they should be.
    pub enum Absent {
        /// The answer is not what we know.
        Error = "error",
        /// There are none.
        Empty = "empty",
    }
}

record! {
    /// Where the rows are in an answer.
    pub struct Rows {
        /// The list; by default the answer itself.
        at: Option<Path>,
        /// What it means that there is nothing at `at`.
        absent: Absent = Absent::Error,
        /// A list inside each row: one row per element, `row` is the object around it.
        unnest: Option<Path>,
        /// Whether `at` leads to an object whose members are the rows, each as `{key, value}`.
        entries: bool = false,
        /// Whether `at` leads to one object that is the only row, as in an answer about one thing.
        one: bool = false,
    }
    check(one_shape)
}

fn one_shape(rows: &Rows, node: &Node, cx: &mut Cx) {
    if rows.entries && rows.one {
        let what = "an object is one row, or its members are rows, not both";
        let d = Diagnostic::error("TL0405", &node.place, what);
        cx.out.push(d.help("keep `one:` or `entries:`"));
    }
}

impl Default for Rows {
    fn default() -> Self {
        Self {
            at: None,
            absent: Absent::Error,
            unnest: None,
            entries: false,
            one: false,
        }
    }
}

choice! {
    /// What an answer means.
    pub enum Action {
        /// A list of nothing. Only where a probe proves that we may list.
        Empty = "empty",
        /// The parent row vanished between list and read; it is dropped and counted.
        Gone = "gone",
        /// The read failed.
        Fail = "fail",
        /// We are asked to wait, then ask again.
        Wait = "wait",
        /// Worth another try.
        Retry = "retry",
    }
}

record! {
    /// What an answer means when something holds of its body.
    pub struct AnswerWhen {
        /// Holds when this leads to anything in the body but `false` and null.
        when: Option<Path>,
        /// What it means.
        then: Action,
    }
}

/// What answers of one status mean; the first that holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Answers(pub Vec<AnswerWhen>);

impl Decode for Answers {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        match &node.kind {
            Kind::Scalar(_) => {
                Action::decode(node, cx).map(|then| Self(vec![AnswerWhen { when: None, then }]))
            }
            Kind::Map(_) => AnswerWhen::decode(node, cx).map(|one| Self(vec![one])),
            Kind::List(_) => Vec::decode(node, cx).map(Self),
        }
    }

    fn schema(defs: &mut Map<String, Value>) -> Value {
        let one = AnswerWhen::schema(defs);
        json!({ "anyOf": [Action::schema(defs), one, { "type": "array", "items": one }] })
    }
}

record! {
    /// When a collection is whole. A source may tighten it.
    #[derive(Default)]
    pub struct Complete {
        /// How often a collection with a key that comes twice is read again: 2 by default.
        reread: Option<u32>,
        /// Fewer rows than this are suspect.
        min_rows: Option<u64>,
        /// A larger share of rows lost since the last whole snapshot is suspect.
        max_drop: Option<Share>,
        /// Where the source says how many rows there are: a path, or `{ header: X-Total-Count }`.
        total: Option<Total>,
        /// A SELECT that counts the rows.
        count: Option<Located<String>>,
        /// Where the source says that it left something out; anything there but null and nothing makes the snapshot partial.
        warnings: Option<Path>,
    }
}

impl Complete {
    /// How often a collection that drifted is read again.
    pub fn rereads(&self) -> u32 {
        self.reread.unwrap_or(2)
    }

    /// These rules with those of a source over them.
    #[must_use]
    pub fn tightened(&self, by: &Self) -> Self {
        Self {
            reread: by.reread.or(self.reread),
            min_rows: by.min_rows.or(self.min_rows),
            max_drop: by.max_drop.or(self.max_drop),
            total: by.total.clone().or_else(|| self.total.clone()),
            count: by.count.clone().or_else(|| self.count.clone()),
            warnings: by.warnings.clone().or_else(|| self.warnings.clone()),
        }
    }
}

record! {
    /// How to ask for one row that is no longer listed: tells *deleted* from *no longer visible*.
    pub struct ConfirmGone {
        /// HTTP GET of this path; `${key.name}` is the column `name` of the row's key.
        get: Template,
        /// Query of the address.
        query: Named<Template> = Named::default(),
        /// The status that says that it is gone.
        gone: u16 = 404,
        /// The most rows that are asked for; more vanished rows are suspect.
        limit: u64 = 100,
    }
}
