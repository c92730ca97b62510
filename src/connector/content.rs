//! What a table holds, whatever order it came in: rows are put in the order of their keys and hashed
//! cell by cell, so two collections with the same rows have the same digest. No cell becomes JSON.

use std::collections::HashSet;

use sha2::{Digest as _, Sha256};

use crate::model::{
    id::Sha,
    table::{Table, Values},
};

/// What a table holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// SHA-256 of the schema and of the rows in the order of their keys.
    pub digest: Sha,
    /// Rows whose key came before.
    pub duplicates: u64,
    /// The first such key, as [`keys`] writes it.
    pub twice: Option<String>,
}

/// Finds out what a table holds.
pub fn of(table: &Table) -> Content {
    let rows = table.rows();
    let key = key_columns(table);
    let encoded: Vec<Vec<u8>> = (0..rows).map(|at| encode(&key, at)).collect();
    let mut order: Vec<usize> = (0..rows).collect();
    order.sort_by(|a, b| encoded.get(*a).cmp(&encoded.get(*b)));
    let (mut duplicates, mut twice) = (0, None);
    for pair in order.windows(2) {
        if let [a, b] = pair
            && encoded.get(*a) == encoded.get(*b)
        {
            duplicates += 1;
            twice.get_or_insert(*a);
        }
    }
    let all: Vec<&Values> = table.columns.iter().collect();
    let mut hasher = Sha256::new();
    hasher.update(table.schema.digest().0);
    hasher.update((rows as u64).to_be_bytes());
    let mut buffer = Vec::with_capacity(256);
    for at in order {
        buffer.clear();
        for values in &all {
            put(&mut buffer, values, at);
        }
        hasher.update(&buffer);
    }
    Content {
        digest: Sha(hasher.finalize().into()),
        duplicates,
        twice: twice.map(|at| text_of(&key, at)),
    }
}

/// The key of every row as a JSON array of its key columns: how [`super::Last::keys`] writes them too.
pub fn keys(table: &Table) -> HashSet<String> {
    let key = key_columns(table);
    (0..table.rows()).map(|at| text_of(&key, at)).collect()
}

fn key_columns(table: &Table) -> Vec<&Values> {
    table
        .schema
        .key
        .iter()
        .filter_map(|name| table.values(name))
        .collect()
}

fn encode(columns: &[&Values], at: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(32);
    for values in columns {
        put(&mut bytes, values, at);
    }
    bytes
}

/// Appends one cell so that no two different cells, and no two different rows of cells, give the same bytes.
fn put(bytes: &mut Vec<u8>, values: &Values, at: usize) {
    fn number<T: Copy, const N: usize>(
        bytes: &mut Vec<u8>,
        column: &[Option<T>],
        at: usize,
        write: fn(T) -> [u8; N],
    ) {
        match column.get(at).copied().flatten() {
            Some(value) => {
                bytes.push(1);
                bytes.extend(write(value));
            }
            None => bytes.push(0),
        }
    }
    fn text(bytes: &mut Vec<u8>, text: &str) {
        bytes.extend((text.len() as u64).to_be_bytes());
        bytes.extend(text.as_bytes());
    }
    match values {
        Values::Text(column) => match column.get(at) {
            Some(Some(value)) => {
                bytes.push(1);
                text(bytes, value);
            }
            _ => bytes.push(0),
        },
        Values::Int(column) | Values::Timestamp(column) | Values::Duration(column) => {
            number(bytes, column, at, i64::to_be_bytes);
        }
        Values::Float(column) => number(bytes, column, at, |x: f64| {
            if x == 0.0 {
                0.0_f64.to_be_bytes()
            } else {
                x.to_be_bytes()
            }
        }),
        Values::Decimal(column) => number(bytes, column, at, i128::to_be_bytes),
        Values::Date(column) => number(bytes, column, at, i32::to_be_bytes),
        Values::Bool(column) => number(bytes, column, at, |b: bool| [u8::from(b)]),
        Values::ListText(column) => match column.get(at) {
            Some(Some(items)) => {
                bytes.push(1);
                bytes.extend((items.len() as u64).to_be_bytes());
                for item in items {
                    text(bytes, item);
                }
            }
            _ => bytes.push(0),
        },
    }
}

/// A row's key as a JSON array.
fn text_of(columns: &[&Values], at: usize) -> String {
    let mut text = String::from("[");
    for (i, values) in columns.iter().enumerate() {
        if i > 0 {
            text.push(',');
        }
        let cell = match values {
            Values::Text(column) => column.get(at).and_then(|v| v.as_ref()).map(|v| quoted(v)),
            Values::Int(column) | Values::Timestamp(column) | Values::Duration(column) => {
                column.get(at).copied().flatten().map(|v| v.to_string())
            }
            Values::Float(column) => column.get(at).copied().flatten().map(|v| v.to_string()),
            Values::Decimal(column) => column.get(at).copied().flatten().map(|v| v.to_string()),
            Values::Bool(column) => column.get(at).copied().flatten().map(|v| v.to_string()),
            Values::Date(column) => column.get(at).copied().flatten().map(|v| v.to_string()),
            Values::ListText(column) => column.get(at).and_then(|v| v.as_ref()).map(|v| {
                format!(
                    "[{}]",
                    v.iter().map(|i| quoted(i)).collect::<Vec<_>>().join(",")
                )
            }),
        };
        text.push_str(cell.as_deref().unwrap_or("null"));
    }
    text.push(']');
    text
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::table::{ColumnDef, ColumnType, Schema};

    fn table(names: &[Option<&str>], numbers: &[Option<i64>]) -> Table {
        let column = |name: &str, ty| ColumnDef {
            name: name.to_owned(),
            ty,
            nullable: true,
        };
        Table {
            schema: Schema {
                columns: vec![
                    column("name", ColumnType::Text),
                    column("n", ColumnType::Int),
                ],
                key: vec!["name".to_owned()],
            },
            columns: vec![
                Values::Text(names.iter().map(|n| n.map(str::to_owned)).collect()),
                Values::Int(numbers.to_vec()),
            ],
        }
    }

    #[test]
    fn the_order_of_pages_does_not_matter_and_everything_else_does() {
        let a = of(&table(&[Some("x"), Some("y")], &[Some(1), None]));
        assert_eq!(a, of(&table(&[Some("y"), Some("x")], &[None, Some(1)])));
        for other in [
            table(&[Some("x"), Some("y")], &[Some(1), Some(0)]),
            table(&[Some("x"), Some("z")], &[Some(1), None]),
            table(&[Some("x")], &[Some(1)]),
            table(&[], &[]),
        ] {
            assert_ne!(a.digest, of(&other).digest);
        }
        // Neighbouring texts do not run into each other, and nothing is not the empty text.
        assert_ne!(
            of(&table(&[Some("")], &[None])).digest,
            of(&table(&[None], &[None])).digest
        );
    }

    #[test]
    fn a_key_that_comes_twice_is_counted_and_named() {
        let found = of(&table(
            &[Some("b\"1"), Some("a"), Some("b\"1"), Some("b\"1")],
            &[Some(1); 4],
        ));
        assert_eq!(found.duplicates, 2);
        assert_eq!(found.twice.unwrap(), r#"["b\"1"]"#);
        assert_eq!(
            keys(&table(&[Some("a"), None], &[None; 2])),
            HashSet::from([r#"["a"]"#.to_owned(), "[null]".to_owned()])
        );
    }
}
