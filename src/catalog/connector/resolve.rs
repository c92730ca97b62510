//! From what is written to a connector that can be used: exactly one kind, exactly one way to read each
//! dataset, digests of what was written. All mistakes of a file come together.

use std::path::Path as FilePath;

use serde_json::{Value, json};

use super::{
    Ask, Connector, ConnectorFile, Dataset, HttpAsk, Kind, Method, Setting, check,
    dataset::DatasetFile, deny, places, template::Template,
};
use crate::{
    model::id::{ConnectorId, Sha},
    yaml::{
        decode::{Cx, Decode as _},
        diagnostic::{Diagnostic, Level, Place},
        tree::{self, Node},
        values::Named,
    },
};

/// Reads every connector of a file. Several may stand in one file, with `---` between them.
///
/// # Errors
/// Every mistake of the file. Warnings alone do not fail; they are given with the connectors.
pub fn read_all(
    file: &FilePath,
    text: &str,
) -> Result<(Vec<Connector>, Vec<Diagnostic>), Vec<Diagnostic>> {
    let nodes = tree::parse_all(file, text)?;
    if nodes.is_empty() {
        return Err(vec![Diagnostic::error(
            "TL0002",
            &Place::file(file),
            "the file is empty",
        )]);
    }
    let mut cx = Cx::default();
    let read: Vec<Option<Connector>> = nodes
        .iter()
        .map(|node| {
            let file = ConnectorFile::decode(node, &mut cx)?;
            resolve(file, node, &mut cx)
        })
        .collect();
    match read.into_iter().collect::<Option<Vec<_>>>() {
        Some(connectors) if cx.out.iter().all(|d| d.level != Level::Error) => {
            Ok((connectors, cx.out))
        }
        _ => Err(cx.out),
    }
}

fn resolve(file: ConnectorFile, node: &Node, cx: &mut Cx) -> Option<Connector> {
    let place = file.id.place.clone();
    let kind = kind_of(&file, node, cx)?;
    let written = |name: &str, cx: &mut Cx| {
        node.get(name)
            .and_then(|n| Value::decode(n, cx))
            .unwrap_or(Value::Null)
    };
    let reached = written(kind.as_str(), cx);
    let before = cx.out.len();
    let mut datasets = Vec::new();
    for (key, dataset) in file.datasets.0 {
        let at = node.get("datasets").and_then(|d| d.get(&key.text));
        let own = at.and_then(|n| Value::decode(n, cx)).unwrap_or(Value::Null);
        let columns = dataset
            .columns
            .0
            .iter()
            .map(|(k, c)| c.clone().named(&k.text))
            .collect();
        let Some(ask) = ask_of(&dataset, at.unwrap_or(node), cx) else {
            continue;
        };
        datasets.push(Dataset {
            place: key.place,
            about: dataset.about,
            ask,
            each: dataset.each,
            rows: dataset.rows,
            page: dataset.page,
            responses: dataset
                .responses
                .0
                .into_iter()
                .map(|(k, a)| (k.text, a))
                .collect(),
            key: dataset.key.iter().map(|k| k.value.clone()).collect(),
            complete: dataset.complete,
            confirm_gone: dataset.confirm_gone,
            probe: dataset.probe,
            columns,
            definition: Sha::of_json(&json!({ "kind": reached, "dataset": own })),
            scope: scope_of(&own),
            name: key.text,
        });
    }
    let settings = file
        .settings
        .0
        .into_iter()
        .map(|(k, def)| Setting { name: k.text, def })
        .collect();
    let connector = Connector {
        id: ConnectorId::new(&file.id.value),
        title: file.title.unwrap_or_else(|| file.id.value.clone()),
        about: file.about,
        place,
        settings,
        kind,
        datasets: with_parents(datasets),
    };
    if cx.out.len() == before {
        check::connector(&connector, cx);
        places::connector(&connector, cx);
        deny::connector(&connector, cx);
    }
    Some(connector)
}

fn kind_of(file: &ConnectorFile, node: &Node, cx: &mut Cx) -> Option<Kind> {
    let mut given: Vec<Kind> = Vec::new();
    given.extend(file.http.clone().map(|k| Kind::Http(Box::new(k))));
    given.extend(file.aws.clone().map(|k| Kind::Aws(Box::new(k))));
    given.extend(file.sql.clone().map(|k| Kind::Sql(Box::new(k))));
    given.extend(file.file.clone().map(|k| Kind::File(Box::new(k))));
    match (given.pop(), given.is_empty()) {
        (Some(kind), true) => Some(kind),
        _ => cx.wrong(
            Diagnostic::error("TL0401", &node.place, "a connector is of exactly one kind")
                .help("keep one of `http:`, `aws:`, `sql:` and `file:`"),
        ),
    }
}

fn ask_of(dataset: &DatasetFile, node: &Node, cx: &mut Cx) -> Option<Ask> {
    let http = |method, path: &Template| {
        Ask::Http(HttpAsk {
            method,
            path: path.clone(),
            query: pairs(&dataset.query),
            headers: pairs(&dataset.headers),
            body: dataset.body.clone(),
            format: dataset.format,
        })
    };
    let mut given: Vec<Ask> = Vec::new();
    given.extend(dataset.get.as_ref().map(|p| http(Method::Get, p)));
    given.extend(dataset.post.as_ref().map(|p| http(Method::Post, p)));
    given.extend(dataset.list.as_ref().map(|p| http(Method::List, p)));
    given.extend(dataset.call.clone().map(|operation| Ask::Call {
        operation,
        body: dataset.body.clone(),
    }));
    given.extend(dataset.select.clone().map(Ask::Select));
    given.extend(dataset.csv.clone().map(Ask::Csv));
    given.extend(dataset.xlsx.clone().map(Ask::Xlsx));
    given.extend(dataset.json.as_ref().map(|_| Ask::Json));
    given.extend(dataset.ndjson.as_ref().map(|_| Ask::Ndjson));
    given.extend(dataset.view.clone().map(Ask::View));
    match (given.pop(), given.is_empty()) {
        (Some(ask), true) => Some(ask),
        _ => cx.wrong(
            Diagnostic::error("TL0401", &node.place, "a dataset is read in exactly one way")
                .help("keep one of `get`, `post`, `list`, `call`, `select`, `csv`, `xlsx`, `json`, `ndjson` and `view`"),
        ),
    }
}

pub(super) fn pairs<T: Clone>(named: &Named<T>) -> Vec<(String, T)> {
    named
        .iter()
        .map(|(k, v)| (k.text.clone(), v.clone()))
        .collect()
}

/// What of a dataset, as it is written, decides which rows there are.
fn scope_of(dataset: &Value) -> Value {
    const DECIDES: &[&str] = &[
        "get", "post", "list", "call", "select", "csv", "xlsx", "json", "ndjson", "view", "query",
        "headers", "body", "each", "rows", "key",
    ];
    let mut scope = dataset.clone();
    if let Some(members) = scope.as_object_mut() {
        members.retain(|name, _| DECIDES.contains(&name.as_str()));
    }
    scope
}

/// A dataset that is read for the rows of another has that one's scope in its own.
fn with_parents(mut datasets: Vec<Dataset>) -> Vec<Dataset> {
    let own: Vec<(String, Option<String>, Value)> = datasets
        .iter()
        .map(|d| {
            (
                d.name.clone(),
                d.each.as_ref().map(|e| e.of.value.clone()),
                d.scope.clone(),
            )
        })
        .collect();
    for dataset in &mut datasets {
        let mut chain = vec![dataset.scope.clone()];
        let mut of = dataset.each.as_ref().map(|e| e.of.value.clone());
        // A circle is a mistake that the checks report; here it must only end.
        while let Some((_, next, scope)) = own
            .iter()
            .find(|(name, _, _)| Some(name) == of.as_ref())
            .filter(|_| chain.len() <= own.len())
        {
            chain.push(scope.clone());
            of.clone_from(next);
        }
        dataset.scope = Value::Array(chain);
    }
    datasets
}
