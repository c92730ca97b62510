//! A connector against itself: names, references, and parts that belong together. What passes here can
//! be asked; whether the source answers is another matter. Every mistake has a code, a place and help.

use super::{
    Ask, Connector, Dataset, Kind, SettingType,
    column::{Column, Origin},
    dataset::{Action, Answers},
    page::Style,
};
use crate::{
    catalog::{name::is_column, source::of_default},
    model::id::is_slug,
    yaml::{
        decode::Cx,
        diagnostic::{Diagnostic, Place, nearest},
    },
};

/// How many datasets may be read for each other.
const MAX_DEPTH: usize = 3;

/// Notes what is wrong with a connector as a whole.
pub(super) fn connector(connector: &Connector, cx: &mut Cx) {
    if !is_slug(connector.id.as_str()) {
        let d = Diagnostic::error(
            "TL0406",
            &connector.place,
            format!("`{}` cannot be the name of a connector", connector.id),
        );
        cx.out
            .push(d.help("small letters, digits and single hyphens, at most 64"));
    }
    if connector.datasets.is_empty() {
        cx.out.push(Diagnostic::error(
            "TL0413",
            &connector.place,
            "a connector without datasets reads nothing",
        ));
    }
    settings(connector, cx);
    for dataset in &connector.datasets {
        word("a dataset", &dataset.name, &dataset.place, cx);
        for column in &dataset.columns {
            word("a column", &column.name, &column.place, cx);
        }
        fits_kind(connector, dataset, cx);
        has_columns(dataset, cx);
        parents(connector, dataset, cx);
        origins(connector, dataset, cx);
        answers(connector, dataset, cx);
        pages(dataset, cx);
    }
}

fn word(what: &str, name: &str, place: &Place, cx: &mut Cx) {
    if !is_column(name) {
        let d = Diagnostic::error(
            "TL0406",
            place,
            format!("`{name}` cannot be the name of {what}"),
        );
        cx.out.push(d.help("small letters, digits and `_`, starting with a letter, so that SQL takes it without quotes"));
    }
}

fn settings(connector: &Connector, cx: &mut Cx) {
    for setting in &connector.settings {
        let place = &connector.place;
        let wrong = |what: String| {
            Diagnostic::error(
                "TL0416",
                place,
                format!("setting `{}`: {what}", setting.name),
            )
        };
        if !is_column(&setting.name) {
            word("a setting", &setting.name, place, cx);
        }
        match &setting.def.default {
            Some(_) if setting.def.r#type == SettingType::Secret => {
                cx.out.push(wrong("a secret has no default".to_owned()));
            }
            Some(_) if setting.def.optional => {
                cx.out.push(
                    wrong("`optional` and `default` exclude each other".to_owned())
                        .help("what has a default may be left out anyway"),
                );
            }
            Some(default) if of_default(setting, default).is_none() => {
                cx.out.push(wrong(format!(
                    "its default is not of type {}",
                    setting.def.r#type
                )));
            }
            _ => {}
        }
        if !setting.def.one_of.is_empty() && setting.def.r#type != SettingType::Text {
            cx.out.push(wrong("`one_of` is for texts".to_owned()));
        }
    }
}

/// A dataset is read in a way that its connector's kind knows.
fn fits_kind(connector: &Connector, dataset: &Dataset, cx: &mut Cx) {
    let fits = matches!(
        (&connector.kind, &dataset.ask),
        (_, Ask::View(_))
            | (Kind::Http(_), Ask::Http(_))
            | (Kind::Aws(_), Ask::Call { .. })
            | (Kind::Sql(_), Ask::Select(_))
            | (
                Kind::File(_),
                Ask::Csv(_) | Ask::Xlsx(_) | Ask::Json | Ask::Ndjson
            )
    );
    if !fits {
        let ways = match connector.kind {
            Kind::Http(_) => "`get`, `post` or `list`",
            Kind::Aws(_) => "`call`",
            Kind::Sql(_) => "`select`",
            Kind::File(_) => "`csv`, `xlsx`, `json` or `ndjson`",
        };
        let what = format!(
            "`{}` is not read in a way that `{}` knows",
            dataset.name,
            connector.kind.as_str()
        );
        cx.out.push(
            Diagnostic::error("TL0412", &dataset.place, what)
                .help(format!("use {ways}, or `view`")),
        );
    }
    let idle = |name: &str| {
        let what = format!(
            "`{}`: `{name}` does nothing for a dataset that is read like this",
            dataset.name
        );
        Diagnostic::error("TL0417", &dataset.place, what).help(format!("leave `{name}` out"))
    };
    let documents = matches!(dataset.ask, Ask::Http(_) | Ask::Call { .. });
    if !documents {
        for (given, name) in [
            (dataset.each.is_some(), "each"),
            (dataset.page.style != Style::None, "page"),
            (!dataset.responses.is_empty(), "responses"),
            (dataset.confirm_gone.is_some(), "confirm_gone"),
            (!dataset.probe.is_empty(), "probe"),
            (dataset.complete.total.is_some(), "complete.total"),
            (dataset.complete.warnings.is_some(), "complete.warnings"),
        ] {
            if given {
                cx.out.push(idle(name));
            }
        }
    }
    if dataset.complete.count.is_some() && !matches!(dataset.ask, Ask::Select(_)) {
        cx.out.push(idle("complete.count"));
    }
}

fn has_columns(dataset: &Dataset, cx: &mut Cx) {
    let wrong = |what: &str, help: &str| {
        Diagnostic::error(
            "TL0413",
            &dataset.place,
            format!("`{}` {what}", dataset.name),
        )
        .help(help)
    };
    if dataset.is_view() {
        if !dataset.columns.is_empty() {
            cx.out.push(wrong(
                "is a view, and has the columns of its statement",
                "leave `columns:` out",
            ));
        }
        return;
    }
    if dataset.columns.is_empty() {
        cx.out.push(wrong(
            "has no columns",
            "add `columns:`; only what is declared is kept",
        ));
        return;
    }
    if dataset.key.is_empty() {
        cx.out.push(wrong(
            "has no key",
            "name the columns that tell its rows apart",
        ));
    }
    for (at, key) in dataset.key.iter().enumerate() {
        let column = dataset.columns.iter().find(|c| c.name == *key);
        if column.is_none() {
            let d = Diagnostic::error(
                "TL0411",
                &dataset.place,
                format!(
                    "`{}`: the key `{key}` is not one of its columns",
                    dataset.name
                ),
            );
            cx.out.push(with_nearest(
                d,
                key,
                dataset.columns.iter().map(|c| c.name.as_str()),
            ));
        }
        if column.is_some_and(Column::nullable) {
            let d = Diagnostic::error(
                "TL0411",
                &dataset.place,
                format!("`{}`: the key `{key}` may be absent", dataset.name),
            );
            cx.out.push(d.help("a row without its key cannot be told apart: leave `optional` out, or give a `default`"));
        }
        if dataset.key.iter().take(at).any(|k| k == key) {
            cx.out.push(Diagnostic::error(
                "TL0411",
                &dataset.place,
                format!("`{}`: the key names `{key}` twice", dataset.name),
            ));
        }
    }
}

/// `each:` leads to a dataset that is read first, and not too deep.
fn parents(connector: &Connector, dataset: &Dataset, cx: &mut Cx) {
    let Some(each) = &dataset.each else { return };
    let Some(parent) = connector.dataset(&each.of) else {
        let d = Diagnostic::error(
            "TL0410",
            &each.of.place,
            format!("there is no dataset `{}`", each.of.value),
        );
        cx.out.push(with_nearest(
            d,
            &each.of,
            connector.datasets.iter().map(|d| d.name.as_str()),
        ));
        return;
    };
    if parent.is_view() {
        let d = Diagnostic::error(
            "TL0410",
            &each.of.place,
            format!("`{}` is a view, and is not collected", each.of.value),
        );
        cx.out
            .push(d.help("read for the dataset that the view is made of"));
    }
    let depth = connector.lineage(dataset).len();
    if depth > MAX_DEPTH {
        let circle = depth > connector.datasets.len();
        let what = if circle {
            format!("`{}` is read for itself", dataset.name)
        } else {
            format!(
                "`{}` is read {depth} deep; at most {MAX_DEPTH} are read for each other",
                dataset.name
            )
        };
        cx.out
            .push(Diagnostic::error("TL0410", &each.of.place, what));
    }
    if matches!(each.r#as.as_str(), "row" | "key" | "aws") || !is_column(&each.r#as) {
        cx.out.push(Diagnostic::error(
            "TL0410",
            &each.of.place,
            format!("`{}` cannot name a parent row", each.r#as),
        ));
    }
}

/// `from:` leads to something that is there.
fn origins(connector: &Connector, dataset: &Dataset, cx: &mut Cx) {
    let parent = dataset
        .each
        .as_ref()
        .and_then(|e| Some((e.r#as.as_str(), connector.dataset(&e.of)?)));
    for column in &dataset.columns {
        let Origin::Beside(from) = &column.origin else {
            continue;
        };
        let wrong = |what: String| Diagnostic::error("TL0414", &column.place, what);
        match from.alias.as_str() {
            "row" if dataset.rows.unnest.is_some() => {}
            "row" => cx.out.push(
                wrong(
                    "`row` is the object around an unnested row, and nothing is unnested here"
                        .to_owned(),
                )
                .help("use `path:`"),
            ),
            "aws" if matches!(connector.kind, Kind::Aws(_)) => {}
            alias => match parent.filter(|(name, _)| *name == alias) {
                Some((_, parent)) => {
                    let name = from.path.as_str();
                    if parent.columns.iter().all(|c| c.name != name) {
                        let d = wrong(format!("`{}` has no column `{name}`", parent.name));
                        cx.out.push(with_nearest(
                            d,
                            name,
                            parent.columns.iter().map(|c| c.name.as_str()),
                        ));
                    }
                }
                None if dataset.each.as_ref().is_some_and(|e| e.r#as == alias) => {}
                None => cx.out.push(
                    wrong(format!("`{alias}` is not the name of a parent row"))
                        .help("give it with `each: { of: …, as: … }`"),
                ),
            },
        }
    }
}

fn answers(connector: &Connector, dataset: &Dataset, cx: &mut Cx) {
    let probed = !dataset.probe.is_empty()
        || match &connector.kind {
            Kind::Http(http) => !http.probe.is_empty(),
            Kind::Aws(aws) => !aws.probe.is_empty(),
            Kind::Sql(_) | Kind::File(_) => false,
        };
    for (status, Answers(answers)) in &dataset.responses {
        let shape = status.len() == 3
            && status.starts_with(['1', '2', '3', '4', '5'])
            && status
                .chars()
                .skip(1)
                .all(|c| c.is_ascii_digit() || c == 'x');
        if !shape {
            let d = Diagnostic::error(
                "TL0415",
                &dataset.place,
                format!("`{}`: `{status}` is not a status", dataset.name),
            );
            cx.out
                .push(d.help("write `404`, or `5xx` for a class of them"));
        }
        let means = |action| answers.iter().any(|a| a.then == action);
        if means(Action::Gone) && dataset.each.is_none() {
            let d = Diagnostic::error(
                "TL0415",
                &dataset.place,
                format!(
                    "`{}`: `gone` is for a row that another dataset listed",
                    dataset.name
                ),
            );
            cx.out.push(d.help("a list that is not there is `fail`"));
        }
        if means(Action::Empty) && !probed {
            let d = Diagnostic::error(
                "TL0415",
                &dataset.place,
                format!("`{}`: `empty` needs a probe", dataset.name),
            );
            cx.out.push(d.help(format!("{status} may also mean that we may not look; add a `probe:` that proves that we may")));
        }
    }
}

fn pages(dataset: &Dataset, cx: &mut Cx) {
    let wrong = |what: &str| {
        Diagnostic::error(
            "TL0404",
            &dataset.place,
            format!("`{}`: {what}", dataset.name),
        )
    };
    if dataset.page.max_pages == 0 {
        cx.out.push(wrong("`max_pages` is at least 1"));
    }
    let size = match &dataset.page.style {
        Style::Offset(offset) => offset.limit,
        Style::Page(numbered) => numbered.size,
        Style::Keyset(keyset) => keyset.limit,
        Style::None | Style::LinkHeader | Style::Cursor(_) | Style::NextUrl(_) => 1,
    };
    if size == 0 {
        cx.out.push(wrong("a page holds at least one row"));
    }
    if let Ask::Http(ask) = &dataset.ask
        && matches!(dataset.page.style, Style::Offset(_) | Style::Page(_))
        && !ask
            .query
            .iter()
            .any(|(name, value)| orders(name) || orders(&value.fixed()))
        && ask.body.is_none()
    {
        let what = format!(
            "`{}` skips rows without asking for an order: a row that moves while we read is lost",
            dataset.name
        );
        let d = Diagnostic::warning("TL0420", &dataset.place, what);
        cx.out
            .push(d.help("ask for an order that does not change, by key or by time of creation"));
    }
}

fn orders(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    text.contains("order") || text.contains("sort")
}

/// Adds the nearest known word, or all of them.
pub(super) fn with_nearest<'a>(
    d: Diagnostic,
    word: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Diagnostic {
    match nearest(word, known.clone()) {
        Some(near) => d.help(format!("did you mean `{near}`?")),
        None => d.help(format!("known: {}", known.collect::<Vec<_>>().join(", "))),
    }
}
