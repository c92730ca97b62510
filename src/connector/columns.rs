//! From decoded rows to the columns of a table. Paths and types are settled once per dataset; a row
//! is read straight into the columns, without a map in between. A row that does not decode adds
//! nothing and is a [`Problem`], so that the snapshot can say that it is partial; a problem repeats
//! no value but the row's key, only the column and the kind of value that was found.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::{
    cell::{Cell, instant_text},
    coerce::{self, Mismatch, Reading},
    settings::Parent,
};
use crate::{
    catalog::connector::{
        Dataset,
        column::{Column, From, Origin, Pick},
        path::{Found, Path},
    },
    model::{
        outcome::Unknown,
        table::{ColumnType, Schema, Table, Values},
    },
};

/// Why a row cannot be read as its columns say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key of the row, as far as it can be read; empty when it cannot.
    pub row: String,
    /// The column.
    pub column: String,
    /// What is wrong, in a few words: "expected int, found text". Never the value.
    pub what: String,
    /// `TypeError` for a value of another type, `SchemaChanged` for one that is missing though it is not optional.
    pub unknown: Unknown,
}

/// What stands around a row: the object it was unnested from, and the rows it was read for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Around<'a> {
    /// `from: row.…`: the object around an unnested row.
    pub outer: Option<&'a Value>,
    /// `from: m.…`: parent rows as [`row`] gives them, and what a kind adds (`aws`).
    pub parents: &'a [Parent],
}

/// Makes typed columns of rows.
#[derive(Debug)]
pub struct Shaper {
    schema: Schema,
    columns: Vec<Planned>,
    /// Positions of the key columns.
    key: Vec<usize>,
    values: Vec<Values>,
    rows: usize,
    /// For flat rows: where each column is in them.
    places: Vec<Option<usize>>,
}

#[derive(Debug)]
struct Planned {
    column: Column,
    reading: Reading,
    /// A key column may not be absent, whatever else it says.
    required: bool,
}

/// Why one value could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Mismatch(Mismatch),
    Absent(ColumnType),
    NotJson,
}

impl std::fmt::Display for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Mismatch(m) => m.fmt(f),
            Self::Absent(ty) => write!(f, "expected {ty}, found nothing"),
            Self::NotJson => f.write_str("expected a text that holds JSON"),
        }
    }
}

impl Shaper {
    /// A shaper for the columns of a dataset.
    pub fn new(dataset: &Dataset) -> Self {
        let schema = dataset.schema();
        let columns: Vec<Planned> = dataset
            .columns
            .iter()
            .map(|column| Planned {
                reading: Reading {
                    format: column.format.clone(),
                    split: column.split.clone(),
                },
                required: !column.nullable() || schema.key.contains(&column.name),
                column: column.clone(),
            })
            .collect();
        let position = |name: &String| columns.iter().position(|c| c.column.name == *name);
        Self {
            key: schema.key.iter().filter_map(position).collect(),
            values: columns
                .iter()
                .map(|c| Values::with_capacity(c.column.ty, 0))
                .collect(),
            rows: 0,
            places: Vec::new(),
            columns,
            schema,
        }
    }

    /// Finds the columns in a header, for sources whose rows are flat. Gives the places that are read.
    pub fn header(&mut self, names: &[String]) -> Result<Vec<usize>, Unbound> {
        let mut unbound = Unbound::default();
        self.places.clear();
        for planned in &self.columns {
            let Origin::Row(path) = &planned.column.origin else {
                self.places.push(None);
                continue;
            };
            let mut found = (0..).zip(names).filter(|(_, name)| *name == path.as_str());
            let place = found.next().map(|(i, _)| i);
            if found.next().is_some() {
                unbound.twice.push(path.as_str().to_owned());
            } else if place.is_none() && planned.required && planned.column.default.is_none() {
                unbound.missing.push(path.as_str().to_owned());
            }
            self.places.push(place);
        }
        if unbound == Unbound::default() {
            Ok(self.places.iter().flatten().copied().collect())
        } else {
            Err(unbound)
        }
    }

    /// Adds a row, or says why it cannot be read; then nothing of it is added.
    pub fn push(&mut self, row: &Value, around: Around<'_>) -> Result<(), Problem> {
        self.read(|_, column| json_cell(column, row, around))
    }

    /// Adds a flat row, or says why it cannot be read; then nothing of it is added.
    pub fn push_cells(&mut self, cells: &[Cell<'_>]) -> Result<(), Problem> {
        let places = std::mem::take(&mut self.places);
        let read = self.read(|at, column| {
            let place = places.get(at).copied().flatten();
            match place.and_then(|p| cells.get(p)) {
                None => Ok(None),
                Some(cell) => flat_cell(column, cell),
            }
        });
        self.places = places;
        read
    }

    fn read<'r>(
        &mut self,
        cell: impl Fn(usize, &Column) -> Result<Option<Cell<'r>>, What>,
    ) -> Result<(), Problem> {
        for (at, (planned, values)) in self.columns.iter().zip(&mut self.values).enumerate() {
            let read = cell(at, &planned.column).and_then(|c| put(planned, values, c));
            if let Err(what) = read {
                for values in &mut self.values {
                    values.truncate(self.rows);
                }
                return Err(Problem {
                    row: self.key_of(&cell),
                    column: planned.column.name.clone(),
                    what: what.to_string(),
                    unknown: match what {
                        What::Absent(_) => Unknown::SchemaChanged,
                        What::Mismatch(_) | What::NotJson => Unknown::TypeError,
                    },
                });
            }
        }
        self.rows += 1;
        Ok(())
    }

    /// The key of a row for people, as far as it can be read.
    fn key_of<'r>(
        &self,
        cell: &impl Fn(usize, &Column) -> Result<Option<Cell<'r>>, What>,
    ) -> String {
        let parts = self.key.iter().filter_map(|at| {
            let column = &self.columns.get(*at)?.column;
            if looks_secret(&column.name) {
                return Some("…".to_owned());
            }
            let found = cell(*at, column).ok().flatten()?;
            Some(found.plain()?.chars().take(KEY_SHOWN).collect())
        });
        parts.collect::<Vec<String>>().join("/")
    }

    /// How many rows were added.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The rows in columns.
    pub fn finish(self) -> Table {
        Table {
            schema: self.schema,
            columns: self.values,
        }
    }
}

/// Characters of a key that a problem shows.
const KEY_SHOWN: usize = 120;

/// A row of a table as JSON, for templates and columns of its children: instants as RFC 3339,
/// decimals as text, durations in seconds, JSON columns as text.
pub fn row(table: &Table, at: usize) -> Map<String, Value> {
    let names = table.schema.columns.iter().map(|c| c.name.clone());
    let values = table
        .columns
        .iter()
        .map(|v| value(v, at).unwrap_or_default());
    names.zip(values).collect()
}

fn value(values: &Values, at: usize) -> Option<Value> {
    Some(match values {
        Values::Text(v) => json!(v.get(at)?.as_ref()?),
        Values::Int(v) => json!(v.get(at)?.as_ref()?),
        Values::Float(v) => json!(v.get(at)?.as_ref()?),
        Values::Decimal(v) => json!(coerce::decimal_text((*v.get(at)?)?)),
        Values::Bool(v) => json!(v.get(at)?.as_ref()?),
        Values::Date(v) => json!(Cell::Date((*v.get(at)?)?).plain()?),
        Values::Timestamp(v) => json!(instant_text((*v.get(at)?)?)?),
        Values::Duration(v) => {
            let micros = (*v.get(at)?)?;
            if micros % 1_000_000 == 0 {
                json!(micros / 1_000_000)
            } else {
                json!(micros as f64 / 1e6)
            }
        }
        Values::ListText(v) => json!(v.get(at)?.as_ref()?),
    })
}

/// A header that does not fit the columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unbound {
    /// Columns that are not in the header.
    pub missing: Vec<String>,
    /// Columns whose name is in the header more than once.
    pub twice: Vec<String>,
}

impl std::fmt::Display for Unbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let list = |names: &[String]| {
            names
                .iter()
                .map(|n| format!("`{n}`"))
                .collect::<Vec<_>>()
                .join(", ")
        };
        match (self.missing.as_slice(), self.twice.as_slice()) {
            (missing, []) => write!(f, "there is no {}", list(missing)),
            ([], twice) => write!(f, "there is {} more than once", list(twice)),
            (missing, twice) => write!(
                f,
                "there is no {}, and {} more than once",
                list(missing),
                list(twice)
            ),
        }
    }
}

/// Whether a column of this name may hold a secret itself rather than speak of one.
fn looks_secret(name: &str) -> bool {
    [
        "password",
        "token",
        "credential",
        "private_key",
        "secret_value",
        "api_key",
    ]
    .iter()
    .any(|word| name.ends_with(word))
}

/// Appends a value to its column: NULL and the default where they stand, else the value as its type.
fn put(planned: &Planned, values: &mut Values, cell: Option<Cell<'_>>) -> Result<(), What> {
    let column = &planned.column;
    let cell = cell.filter(|c| !matches!(c, Cell::Null));
    let cell = match (cell, &column.default) {
        (Some(cell), _) if is_null_of(&cell, &column.null_if) => None,
        (None, Some(default)) => Some(Cell::from(default)),
        (cell, _) => cell,
    };
    match cell {
        Some(cell) => {
            coerce::push(values, column.ty, &cell, &planned.reading).map_err(What::Mismatch)
        }
        None if planned.required => Err(What::Absent(column.ty)),
        None => {
            coerce::push_null(values);
            Ok(())
        }
    }
}

/// Whether a value is one of those that mean that there is none.
fn is_null_of(cell: &Cell<'_>, nulls: &[Value]) -> bool {
    nulls.iter().any(|null| match (null, cell) {
        (Value::String(null), Cell::Text(text)) => null == text,
        (null, Cell::Text(text)) => null.to_string() == *text,
        (Value::Number(null), Cell::Int(i)) => null.as_i128() == Some(*i),
        (Value::Number(null), Cell::Float(x)) => null.as_f64() == Some(*x),
        (Value::Bool(null), Cell::Bool(b)) => null == b,
        (Value::String(null), cell) => cell.plain().is_some_and(|text| *null == text),
        _ => false,
    })
}

fn json_cell<'v>(
    column: &Column,
    row: &'v Value,
    around: Around<'v>,
) -> Result<Option<Cell<'v>>, What> {
    let found = match &column.origin {
        Origin::Row(path) => path.find(row),
        Origin::Beside(From { alias, path }) if alias == "row" => {
            around.outer.map_or(Found::None, |outer| path.find(outer))
        }
        Origin::Beside(From { alias, path }) => {
            let parent = around.parents.iter().find(|p| p.alias == *alias);
            parent.map_or(Found::None, |p| path.find(&p.row))
        }
    };
    let Some(at) = &column.json else {
        return Ok(picked(column, found));
    };
    let text = match found {
        Found::One(Value::String(text)) => Cow::Borrowed(text.as_str()),
        Found::None | Found::One(Value::Null) => return Ok(None),
        // Some versions of a system send the object itself where others send it as a text.
        Found::One(value) => Cow::Owned(value.to_string()),
        Found::Many(_) => return Err(What::NotJson),
    };
    opened(column, at.as_ref(), &text)
}

fn flat_cell<'v>(column: &Column, cell: &Cell<'v>) -> Result<Option<Cell<'v>>, What> {
    match (&column.json, cell) {
        (Some(at), Cell::Text(text)) => opened(column, at.as_ref(), text),
        (Some(at), Cell::Json(value)) => opened(column, at.as_ref(), &value.to_string()),
        _ => Ok(Some(cell.clone())),
    }
}

/// What is inside a text that holds JSON.
fn opened<'v>(column: &Column, at: Option<&Path>, text: &str) -> Result<Option<Cell<'v>>, What> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let value: Value = serde_json::from_str(text).map_err(|_| What::NotJson)?;
    let Some(path) = at else {
        return Ok(Some(Cell::from(value)));
    };
    Ok(match picked(column, path.find(&value)) {
        Some(Cell::Many(several)) => Some(Cell::from(Value::Array(
            several.into_iter().cloned().collect(),
        ))),
        Some(Cell::Json(value)) => Some(Cell::Json(Cow::Owned(value.into_owned()))),
        Some(Cell::Text(text)) => Some(Cell::Text(Cow::Owned(text.into_owned()))),
        Some(Cell::Int(i)) => Some(Cell::Int(i)),
        Some(Cell::Float(x)) => Some(Cell::Float(x)),
        Some(Cell::Bool(b)) => Some(Cell::Bool(b)),
        _ => None,
    })
}

/// Whether the value is looked for with a JSONPath, which may find several.
fn is_query(column: &Column) -> bool {
    let path = match (&column.json, &column.origin) {
        (Some(Some(path)), _) | (_, Origin::Row(path) | Origin::Beside(From { path, .. })) => path,
    };
    path.as_str().starts_with('$')
}

/// One value of what a path found, by the column's `pick`.
fn picked<'v>(column: &Column, found: Found<'v>) -> Option<Cell<'v>> {
    let Some(pick) = column.pick else {
        return match found {
            Found::None => None,
            Found::One(value) if column.ty == ColumnType::ListText && is_query(column) => {
                // A query that may find several values found one of them: a list of one.
                Some(match value {
                    Value::Array(_) | Value::Null => Cell::from(value),
                    one => Cell::Many(vec![one]),
                })
            }
            Found::One(value) => Some(Cell::from(value)),
            Found::Many(values) => Some(Cell::Many(values)),
        };
    };
    let values: Vec<&Value> = match found {
        Found::None | Found::One(Value::Null) => Vec::new(),
        Found::One(Value::Array(items)) => items.iter().collect(),
        Found::One(value) => vec![value],
        Found::Many(values) => values,
    };
    match pick {
        Pick::Count => Some(Cell::Int(values.len() as i128)),
        Pick::First => values.first().map(|v| Cell::from(*v)),
        Pick::Join if values.is_empty() => None,
        Pick::Join => {
            let texts: Option<Vec<String>> = values
                .iter()
                .map(|v| Cell::from(*v).plain().map(Cow::into_owned))
                .collect();
            Some(texts.map_or(Cell::Many(values), |t| Cell::Text(Cow::Owned(t.join(", ")))))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path as FilePath;

    use super::*;
    use crate::catalog::connector::read_all;

    fn shaper(columns: &str, key: &str) -> Shaper {
        let text = format!(
            "id: t\naws: {{ regions: [eu-west-1] }}\ndatasets:\n  d:\n    call: iam.ListUsers\n    rows: {{ unnest: all }}\n    key: [{key}]\n    columns:\n{columns}"
        );
        let (connectors, _) = read_all(FilePath::new("t.yaml"), &text).unwrap();
        Shaper::new(&connectors[0].datasets[0])
    }

    const MODELS: &str = "
      name: text
      version: int
      owner: { type: text, path: \"$.tags[?@.key=='owner'].value\", optional: true }
      stage: { type: text, default: none }
      rotated_at: { type: timestamp, optional: true, null_if: [\"\", \"0001-01-01T00:00:00Z\"] }
      group: { type: text, from: row.name, optional: true }
      region: { type: text, from: aws.region, optional: true }
      card_owner: { type: text, path: Content, parse: json, at: overview.owner, optional: true }
      first: { type: text, path: list, pick: first, optional: true }
      all: { type: text, path: list, pick: join, optional: true }
      how_many: { type: int, path: list, pick: count }
      labels: { type: list<text>, path: \"$.tags[*].key\", optional: true }
";

    #[test]
    fn a_row_is_read_by_its_columns() {
        let mut shaper = shaper(MODELS, "name");
        let outer = json!({ "name": "group-a" });
        let parents = [Parent {
            alias: "aws".into(),
            row: json!({ "region": "eu-west-1" }),
        }];
        let around = Around {
            outer: Some(&outer),
            parents: &parents,
        };
        let full = json!({
            "name": "a", "version": "3", "rotated_at": "0001-01-01T00:00:00Z",
            "tags": [{ "key": "owner", "value": "risk" }, { "key": "tier" }],
            "Content": "{\"overview\":{\"owner\":\"ml\"}}", "list": ["x", "y"], "stage": "live",
        });
        shaper.push(&full, around).unwrap();
        shaper
            .push(
                &json!({ "name": "b", "version": 4, "stage": null, "tags": [{ "key": "tier" }] }),
                Around::default(),
            )
            .unwrap();
        assert_eq!(shaper.rows(), 2);
        let table = shaper.finish();
        insta::assert_snapshot!(json!(row(&table, 0)), @r#"{"name":"a","version":3,"owner":"risk","stage":"live","rotated_at":null,"group":"group-a","region":"eu-west-1","card_owner":"ml","first":"x","all":"x, y","how_many":2,"labels":["owner","tier"]}"#);
        insta::assert_snapshot!(json!(row(&table, 1)), @r#"{"name":"b","version":4,"owner":null,"stage":"none","rotated_at":null,"group":null,"region":null,"card_owner":null,"first":null,"all":null,"how_many":0,"labels":["tier"]}"#);
    }

    #[test]
    fn a_row_that_does_not_decode_adds_nothing_and_names_its_place_not_its_value() {
        let mut shaper = shaper(MODELS, "name");
        let mut why = |row: Value| {
            let problem = shaper.push(&row, Around::default()).unwrap_err();
            format!(
                "{}.{}: {} ({})",
                problem.row, problem.column, problem.what, problem.unknown
            )
        };
        insta::assert_snapshot!(why(json!({ "name": "a", "version": "3.7" })), @"a.version: expected int, found text (type_error)");
        insta::assert_snapshot!(why(json!({ "name": "a" })), @"a.version: expected int, found nothing (schema_changed)");
        insta::assert_snapshot!(why(json!({ "version": 1 })), @".name: expected text, found nothing (schema_changed)");
        insta::assert_snapshot!(why(json!({ "name": "a", "version": 1, "Content": "hunter2" })), @"a.card_owner: expected a text that holds JSON (type_error)");
        insta::assert_snapshot!(why(json!({ "name": "a", "version": 1, "tags": [{ "key": "owner", "value": "x" }, { "key": "owner", "value": "y" }] })), @"a.owner: expected one text, found 2 values; `pick: first`, `join` or `count` takes them (type_error)");
        insta::assert_snapshot!(why(json!([1])), @".name: expected text, found nothing (schema_changed)");
        assert_eq!(shaper.rows(), 0);
        shaper
            .push(&json!({ "name": "b", "version": 1 }), Around::default())
            .unwrap();
        assert!(shaper.finish().columns.iter().all(|c| c.len() == 1));
    }

    #[test]
    fn the_key_may_not_be_absent_and_a_key_that_is_a_secret_is_not_shown() {
        let mut shaper = shaper("      api_token: text\n      n: int\n", "api_token");
        let problem = shaper
            .push(&json!({ "n": 1 }), Around::default())
            .unwrap_err();
        assert_eq!(
            (problem.column.as_str(), problem.unknown),
            ("api_token", Unknown::SchemaChanged)
        );
        let problem = shaper
            .push(
                &json!({ "api_token": "hunter2", "n": "x" }),
                Around::default(),
            )
            .unwrap_err();
        assert!(!format!("{problem:?}").contains("hunter2"));
    }

    #[test]
    fn flat_rows_are_bound_by_their_header() {
        let columns = "      id: int\n      next: { type: date, path: Next review, format: \"%d.%m.%Y\" }\n      tags: { type: list<text>, split: \";\", optional: true }\n";
        let mut shaper = shaper(columns, "id");
        let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        insta::assert_snapshot!(shaper.header(&names(&["Next review", "other"])).unwrap_err(), @"there is no `id`");
        insta::assert_snapshot!(shaper.header(&names(&["id", "id", "Next review"])).unwrap_err(), @"there is `id` more than once");
        insta::assert_snapshot!(shaper.header(&names(&["id", "id"])).unwrap_err(), @"there is no `Next review`, and `id` more than once");
        assert_eq!(
            shaper.header(&names(&["other", "Next review", "id"])),
            Ok(vec![2, 1])
        );
        shaper
            .push_cells(&[Cell::Null, Cell::text("02.01.1970"), Cell::text("7")])
            .unwrap();
        let problem = shaper
            .push_cells(&[Cell::Null, Cell::text("1970-01-02"), Cell::text("8")])
            .unwrap_err();
        assert_eq!(
            (problem.row.as_str(), problem.what.as_str()),
            ("8", "expected date, found text")
        );
        shaper
            .header(&names(&["id", "Next review", "tags"]))
            .unwrap();
        shaper
            .push_cells(&[Cell::Int(9), Cell::Date(1), Cell::text("a; b")])
            .unwrap();
        let table = shaper.finish();
        insta::assert_snapshot!(json!([row(&table, 0), row(&table, 1)]), @r#"[{"id":7,"next":"1970-01-02","tags":null},{"id":9,"next":"1970-01-02","tags":["a","b"]}]"#);
    }
}
