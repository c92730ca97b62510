//! Connectors: how to read any installation of a system. A connector holds no address, no secret and
//! no owner; it declares typed settings that a source fills in. What is read here is checked as a
//! whole before it is given out, so a [`Connector`] is one that can be used. Opens no files.

mod check;
pub mod column;
pub mod dataset;
pub mod deny;
pub mod http;
pub mod kinds;
pub mod page;
pub mod path;
mod places;
mod resolve;
pub mod template;

use serde_json::Value;

pub use self::resolve::read_all;

use self::{
    column::Column,
    dataset::{Complete, ConfirmGone, Csv, DatasetFile, Each, Format, Rows, Xlsx},
    http::{Http, Probe},
    kinds::{Aws, Files, Sql},
    page::Page,
    template::{Body, Template},
};
use crate::{
    choice,
    model::{
        id::{ConnectorId, Sha},
        table::{ColumnDef, Schema},
    },
    record,
    yaml::{decode::Located, diagnostic::Place, values::Named},
};

record! {
    /// A connector file: how to read any installation of a system. Exactly one of `http`, `aws`, `sql` and `file` says of which kind it is.
    pub struct ConnectorFile {
        /// Its name.
        id: Located<String>,
        /// Its name for people.
        title: Option<String>,
        /// What it reads, and which right it needs for that.
        about: Option<String>,
        /// What a source fills in.
        settings: Named<SettingDef> = Named::default(),
        /// A system that is read over HTTP.
        http: Option<Http>,
        /// Services of AWS.
        aws: Option<Aws>,
        /// A database.
        sql: Option<Sql>,
        /// Files.
        file: Option<Files>,
        /// The tables that it offers.
        datasets: Named<DatasetFile>,
    }
}

choice! {
    /// The type of a setting.
    pub enum SettingType {
        /// Text.
        Text = "text",
        /// An `http` or `https` address.
        Url = "url",
        /// A whole number.
        Int = "int",
        /// `true` or `false`.
        Bool = "bool",
        /// A length of time.
        Duration = "duration",
        /// A file, or a pattern of files.
        Path = "path",
        /// A list of texts.
        List = "list",
        /// A secret, given by reference.
        Secret = "secret",
    }
}

record! {
    /// What a source fills in.
    pub struct SettingDef {
        /// Its type.
        r#type: SettingType,
        /// Whether it may be left out.
        optional: bool = false,
        /// What it is when it is left out.
        default: Option<Value>,
        /// What it is for.
        help: Option<String>,
        /// The only values it may have.
        one_of: Vec<String> = Vec::new(),
    }
}

/// A connector that was read and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Connector {
    /// Its name.
    pub id: ConnectorId,
    /// Its name for people.
    pub title: String,
    /// What it reads, and which right it needs.
    pub about: Option<String>,
    /// Where its name is declared.
    pub place: Place,
    /// What a source fills in, in the order of the file.
    pub settings: Vec<Setting>,
    /// How the system is reached.
    pub kind: Kind,
    /// The tables that it offers, in the order of the file.
    pub datasets: Vec<Dataset>,
}

/// A setting and what it may be.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// Its name.
    pub name: String,
    /// What it may be.
    pub def: SettingDef,
}

/// How a system is reached.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Over HTTP.
    Http(Box<Http>),
    /// As a service of AWS.
    Aws(Box<Aws>),
    /// As a database.
    Sql(Box<Sql>),
    /// As files.
    File(Box<Files>),
}

impl Kind {
    /// The key in the file.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Http(_) => "http",
            Self::Aws(_) => "aws",
            Self::Sql(_) => "sql",
            Self::File(_) => "file",
        }
    }
}

/// The method of an HTTP request. There is no other: connectors only read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET.
    Get,
    /// POST, for searches and GraphQL queries.
    Post,
    /// Vault's LIST.
    List,
}

impl Method {
    /// The method's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::List => "LIST",
        }
    }
}

/// How a dataset is read.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// An HTTP request.
    Http(HttpAsk),
    /// An AWS operation with its body.
    Call {
        /// `service.Operation`.
        operation: Located<String>,
        /// Its parameters.
        body: Option<Body>,
    },
    /// One SELECT statement.
    Select(Located<String>),
    /// Separated values in a file.
    Csv(Csv),
    /// A sheet of a workbook.
    Xlsx(Xlsx),
    /// A JSON document in a file.
    Json,
    /// A JSON value per line of a file.
    Ndjson,
    /// SQL over datasets of the same source; not collected, but looked through.
    View(Located<String>),
}

/// An HTTP request that a dataset or a probe asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpAsk {
    /// The method.
    pub method: Method,
    /// The path, joined to the base address.
    pub path: Template,
    /// Query parameters in the order of the file.
    pub query: Vec<(String, Template)>,
    /// Headers.
    pub headers: Vec<(String, Template)>,
    /// Body as JSON.
    pub body: Option<Body>,
    /// How the answer is written.
    pub format: Format,
}

/// A typed table that a connector offers.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// Its name; the second half of `source.dataset`.
    pub name: String,
    /// What it is.
    pub about: Option<String>,
    /// Where it is declared.
    pub place: Place,
    /// How it is read.
    pub ask: Ask,
    /// Read once for each row of another dataset.
    pub each: Option<Each>,
    /// Where the rows are.
    pub rows: Rows,
    /// How the pages follow each other.
    pub page: Page,
    /// What answers mean, in the order of the file.
    pub responses: Vec<(String, dataset::Answers)>,
    /// The columns that name a row.
    pub key: Vec<String>,
    /// When it is whole.
    pub complete: Complete,
    /// How to ask for one row that is no longer listed.
    pub confirm_gone: Option<ConfirmGone>,
    /// Proof that we see this dataset.
    pub probe: Vec<Probe>,
    /// The columns in the order of the file; empty for a view.
    pub columns: Vec<Column>,
    /// Digest of the dataset and of the kind as they are written.
    pub definition: Sha,
    /// What decides which rows there are: the request, the place of rows, the key, those of its parents.
    pub scope: Value,
}

impl Connector {
    /// The dataset of that name.
    pub fn dataset(&self, name: &str) -> Option<&Dataset> {
        self.datasets.iter().find(|d| d.name == name)
    }

    /// The setting of that name.
    pub fn setting(&self, name: &str) -> Option<&Setting> {
        self.settings.iter().find(|s| s.name == name)
    }

    /// The chain of datasets that a dataset is read for, the topmost first, itself last.
    pub fn lineage<'c>(&'c self, dataset: &'c Dataset) -> Vec<&'c Dataset> {
        let mut chain = vec![dataset];
        let mut at = dataset;
        // A circle is a mistake that the checks report; here it must only end.
        while let Some(parent) = at.each.as_ref().and_then(|e| self.dataset(&e.of))
            && chain.len() <= self.datasets.len()
        {
            chain.push(parent);
            at = parent;
        }
        chain.reverse();
        chain
    }
}

impl Connector {
    /// Everything that the connector can ask for, one line each: for a person who reviews it.
    pub fn touches(&self) -> Vec<String> {
        let http = |ask: &HttpAsk| format!("{} {}", ask.method.as_str(), ask.path);
        let mut all: Vec<String> = match &self.kind {
            Kind::Http(kind) => kind
                .probe
                .iter()
                .filter_map(Probe::ask)
                .map(|a| http(&a))
                .collect(),
            Kind::File(files) => vec![format!("file {}", files.path)],
            Kind::Aws(_) | Kind::Sql(_) => Vec::new(),
        };
        for dataset in &self.datasets {
            all.extend(
                dataset
                    .probe
                    .iter()
                    .filter_map(Probe::ask)
                    .map(|a| http(&a)),
            );
            match &dataset.ask {
                Ask::Http(ask) => all.push(http(ask)),
                Ask::Call { operation, .. } => all.push(format!("call {}", operation.value)),
                Ask::Select(select) => all.push(
                    select
                        .value
                        .split_whitespace()
                        .collect::<Vec<_>>()
                        .join(" "),
                ),
                Ask::Csv(_) | Ask::Xlsx(_) | Ask::Json | Ask::Ndjson | Ask::View(_) => {}
            }
            all.extend(dataset.confirm_gone.as_ref().map(|g| http(&g.ask())));
        }
        let mut seen = std::collections::HashSet::new();
        all.retain(|line| seen.insert(line.clone()));
        all
    }
}

impl Dataset {
    /// What the dataset promises. A view promises its key only: its columns are those of its statement.
    pub fn schema(&self) -> Schema {
        let columns = self
            .columns
            .iter()
            .map(|c| ColumnDef {
                name: c.name.clone(),
                ty: c.ty,
                nullable: c.nullable(),
            })
            .collect();
        Schema {
            columns,
            key: self.key.clone(),
        }
    }

    /// Whether it is SQL over other datasets.
    pub fn is_view(&self) -> bool {
        matches!(self.ask, Ask::View(_))
    }
}

impl ConfirmGone {
    /// The request that asks for one row.
    pub fn ask(&self) -> HttpAsk {
        HttpAsk {
            method: Method::Get,
            path: self.get.clone(),
            query: resolve::pairs(&self.query),
            headers: Vec::new(),
            body: None,
            format: Format::Json,
        }
    }
}

impl Probe {
    /// The request that the probe sends.
    pub fn ask(&self) -> Option<HttpAsk> {
        let (method, path) = match (&self.get, &self.post, &self.list) {
            (Some(path), None, None) => (Method::Get, path),
            (None, Some(path), None) => (Method::Post, path),
            (None, None, Some(path)) => (Method::List, path),
            _ => return None,
        };
        Some(HttpAsk {
            method,
            path: path.clone(),
            query: resolve::pairs(&self.query),
            headers: resolve::pairs(&self.headers),
            body: self.body.clone(),
            format: Format::Json,
        })
    }
}

#[cfg(test)]
mod tests;
