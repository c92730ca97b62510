//! A column of a dataset: where its value is in a row, and of what type it is.

use serde_json::{Map, Value, json};

use super::path::Path;
use crate::{
    choice,
    model::table::ColumnType,
    record,
    yaml::{
        decode::{Cx, Decode},
        diagnostic::{Diagnostic, Place},
        tree::{Kind, Node},
    },
};

choice! {
    /// What to do when the path of a single value leads to several.
    pub enum Pick {
        /// Take the first.
        First = "first",
        /// Join the texts with a comma.
        Join = "join",
        /// Count them.
        Count = "count",
    }
}

choice! {
    /// What a text holds that is more than a text.
    pub enum Parse {
        /// JSON; a path goes on inside it.
        Json = "json",
    }
}

record! {
    /// A column in its long form.
    pub struct LongColumn {
        /// The type.
        r#type: ColumnType,
        /// Where the value is in the row; by default the member of the column's name.
        path: Option<Path>,
        /// Where the value is beside the row: `m.owner` is a column of the parent row, `row.name` is in the object around an unnested row.
        from: Option<From>,
        /// Whether the value may be absent; then it is NULL.
        optional: bool = false,
        /// What stands for an absent value.
        default: Option<Value>,
        /// Values that mean that there is none.
        null_if: Vec<Value> = Vec::new(),
        /// What a text holds; `at` then leads into it.
        parse: Option<Parse>,
        /// Where the value is inside of what `parse` gives.
        at: Option<Path>,
        /// What to do with several values.
        pick: Option<Pick>,
        /// How a date or time is written, as in `strftime`: `%d.%m.%Y`.
        format: Option<String>,
        /// What is between the items when a list comes as one text: `;`.
        split: Option<String>,
        /// What it means.
        about: Option<String>,
    }
    check(one_origin)
}

/// A column of a dataset.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// The name in SQL; filled in when the dataset is read.
    pub name: String,
    /// Where it is declared.
    pub place: Place,
    /// The type.
    pub ty: ColumnType,
    /// Where the value is.
    pub origin: Origin,
    /// Whether the value may be absent.
    pub optional: bool,
    /// What stands for an absent value.
    pub default: Option<Value>,
    /// Values that mean that there is none.
    pub null_if: Vec<Value>,
    /// Whether the value is a text that holds JSON; the path, if any, leads on inside it.
    pub json: Option<Option<Path>>,
    /// What to do with several values.
    pub pick: Option<Pick>,
    /// How a date or time is written.
    pub format: Option<String>,
    /// What is between the items when a list comes as one text.
    pub split: Option<String>,
    /// What it means.
    pub about: Option<String>,
}

/// Where the value of a column is.
#[derive(Debug, Clone, PartialEq)]
pub enum Origin {
    /// In the row.
    Row(Path),
    /// Beside the row.
    Beside(From),
}

/// A value beside the row: `m.owner`, `row.name`.
#[derive(Debug, Clone, PartialEq)]
pub struct From {
    /// The alias of a parent row (`each: { as: m }`), `row` for the object around an unnested row, or
    /// `aws` for the region and account that an AWS call went to.
    pub alias: String,
    /// Where it is in there.
    pub path: Path,
}

impl Decode for From {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        let text = String::decode(node, cx)?;
        let found = text.split_once('.').and_then(|(alias, path)| {
            Path::parse(path).ok().map(|path| Self {
                alias: alias.to_owned(),
                path,
            })
        });
        match found {
            Some(from) => Some(from),
            None => cx.wrong(
                Diagnostic::error(
                    "TL0403",
                    &node.place,
                    format!("`{text}` is not a place beside the row"),
                )
                .help("write `alias.column`, or `row.path`"),
            ),
        }
    }

    fn schema(_: &mut Map<String, Value>) -> Value {
        json!({ "type": "string", "pattern": r"^[a-z][a-z0-9_]*\..+$" })
    }
}

impl Column {
    /// The column under its name; without a path of its own, the path is the name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        if self.name.is_empty() {
            name.clone_into(&mut self.name);
            if let Origin::Row(path) = &mut self.origin
                && path.as_str().is_empty()
            {
                *path = Path::member(name);
            }
        }
        self
    }

    fn of(place: &Place, long: LongColumn) -> Self {
        let origin = match (long.from, long.path) {
            (Some(from), _) => Origin::Beside(from),
            (None, Some(path)) => Origin::Row(path),
            (None, None) => Origin::Row(Path::member("")),
        };
        Self {
            name: String::new(),
            place: place.clone(),
            ty: long.r#type,
            origin,
            optional: long.optional,
            default: long.default,
            null_if: long.null_if,
            json: long.parse.map(|Parse::Json| long.at),
            pick: long.pick,
            format: long.format,
            split: long.split,
            about: long.about,
        }
    }

    /// Whether the column may hold NULL.
    pub fn nullable(&self) -> bool {
        self.optional
    }
}

impl Decode for Column {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        if let Kind::Scalar(_) = &node.kind {
            let ty = ColumnType::decode(node, cx)?;
            let long = LongColumn {
                r#type: ty,
                path: None,
                from: None,
                optional: false,
                default: None,
                null_if: Vec::new(),
                parse: None,
                at: None,
                pick: None,
                format: None,
                split: None,
                about: None,
            };
            return Some(Self::of(&node.place, long));
        }
        LongColumn::decode(node, cx).map(|long| Self::of(&node.place, long))
    }

    fn schema(defs: &mut Map<String, Value>) -> Value {
        json!({ "anyOf": [ColumnType::schema(defs), LongColumn::schema(defs)] })
    }
}

fn one_origin(column: &LongColumn, node: &Node, cx: &mut Cx) {
    if column.path.is_some() && column.from.is_some() {
        cx.out.push(
            Diagnostic::error(
                "TL0405",
                &node.place,
                "a value is in the row or beside it, not both",
            )
            .help("keep `path:` or `from:`"),
        );
    }
    if column.at.is_some() && column.parse.is_none() {
        cx.out.push(
            Diagnostic::error("TL0405", &node.place, "`at` leads into what `parse` gives")
                .help("add `parse: json`"),
        );
    }
    if column.optional && column.default.is_some() {
        cx.out.push(
            Diagnostic::error(
                "TL0405",
                &node.place,
                "an absent value is NULL or has a default, not both",
            )
            .help("keep `optional:` or `default:`"),
        );
    }
}
