//! Parameters of a control: the type is what the value looks like. Quotes make a text of anything.

use std::collections::BTreeMap;

use crate::{
    catalog::name::is_column,
    model::{control::Param, span::Span},
    yaml::{
        decode::{Cx, Decode},
        diagnostic::Diagnostic,
        tree::{Kind, Node, Scalar},
    },
};

/// The parameters of one control by name.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Params(pub BTreeMap<String, Param>);

impl Decode for Params {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        let Kind::Map(entries) = &node.kind else {
            return cx.expected(node, "a mapping from names to values");
        };
        let mut params = Some(BTreeMap::new());
        for (key, node) in entries {
            let named = is_column(&key.text);
            if !named {
                let what = format!("`{}` cannot be the name of a parameter", key.text);
                cx.out.push(
                    Diagnostic::error("TL0209", &key.place, what).help(
                        "a parameter is small letters, digits and `_`: `$rotate_within` in SQL",
                    ),
                );
            }
            params = match (params, value(node, cx)) {
                (Some(mut params), Some(value)) if named => {
                    params.insert(key.text.clone(), value);
                    Some(params)
                }
                _ => None,
            };
        }
        params.map(Self)
    }

    fn schema(_: &mut serde_json::Map<String, serde_json::Value>) -> serde_json::Value {
        serde_json::json!({
            "type": "object",
            "propertyNames": { "pattern": "^[a-z_][a-z0-9_]*$" },
            "additionalProperties": { "anyOf": [
                { "type": ["boolean", "number", "string"] },
                { "type": "array", "minItems": 1, "items": { "type": ["boolean", "number", "string"] } },
            ] },
        })
    }
}

fn value(node: &Node, cx: &mut Cx) -> Option<Param> {
    match &node.kind {
        Kind::Scalar(s) if !s.is_null() => Some(of_scalar(s)),
        Kind::List(items) if !items.is_empty() => {
            let texts: Vec<Option<String>> =
                items.iter().map(|item| String::decode(item, cx)).collect();
            texts
                .into_iter()
                .collect::<Option<Vec<_>>>()
                .map(Param::List)
        }
        _ => {
            let what = format!(
                "a parameter cannot be {}",
                match &node.kind {
                    Kind::List(_) => "an empty list",
                    _ => node.noun(),
                }
            );
            cx.wrong(Diagnostic::error("TL0209", &node.place, what).help(
                "write a duration (`90d`), `true` or `false`, a number, a text, or a list of texts",
            ))
        }
    }
}

fn of_scalar(s: &Scalar) -> Param {
    let text = s.text.as_str();
    if !s.plain {
        return Param::Text(text.to_owned());
    }
    let number = text.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '.');
    match text {
        "true" => Param::Bool(true),
        "false" => Param::Bool(false),
        _ => {
            if let Ok(span) = text.parse::<Span>() {
                Param::Duration(span)
            } else if let (true, Ok(whole)) = (number, text.parse()) {
                Param::Int(whole)
            } else {
                match text.parse::<f64>() {
                    Ok(real) if number && real.is_finite() => Param::Float(real),
                    _ => Param::Text(text.to_owned()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::yaml::decode::read;

    #[test]
    fn a_value_has_the_type_that_it_looks_like() {
        let text = "within: 90d\nlong: 1d12h\non: true\nn: 3\nminus: -3\nreal: 0.5\ntext: abc\nquoted: \"90d\"\ndate: 2026-01-01\nlist: [a, 3]\n";
        let (params, _) = read::<Params>(Path::new("a.yaml"), text).unwrap();
        let of = |name: &str| params.0[name].clone();
        assert_eq!(of("within"), Param::Duration(Span::days(90)));
        assert_eq!(of("long"), Param::Duration(Span::hours(36)));
        assert_eq!(of("on"), Param::Bool(true));
        assert_eq!(of("n"), Param::Int(3));
        assert_eq!(of("minus"), Param::Int(-3));
        assert_eq!(of("real"), Param::Float(0.5));
        assert_eq!(of("text"), Param::Text("abc".to_owned()));
        assert_eq!(of("quoted"), Param::Text("90d".to_owned()));
        assert_eq!(of("date"), Param::Text("2026-01-01".to_owned()));
        assert_eq!(
            of("list"),
            Param::List(vec!["a".to_owned(), "3".to_owned()])
        );
    }

    #[test]
    fn what_is_no_parameter_is_said_for_each() {
        let wrong = read::<Params>(
            Path::new("a.yaml"),
            "Within: 1\nnone:\nempty: []\nmap: { a: 1 }\nlist: [[1]]\n",
        )
        .unwrap_err();
        let wrong: Vec<String> = wrong.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(wrong.join("\n"), @"
        TL0209 a.yaml:1:1: `Within` cannot be the name of a parameter; a parameter is small letters, digits and `_`: `$rotate_within` in SQL
        TL0209 a.yaml:2:5: a parameter cannot be nothing; write a duration (`90d`), `true` or `false`, a number, a text, or a list of texts
        TL0209 a.yaml:3:8: a parameter cannot be an empty list; write a duration (`90d`), `true` or `false`, a number, a text, or a list of texts
        TL0209 a.yaml:4:6: a parameter cannot be a mapping; write a duration (`90d`), `true` or `false`, a number, a text, or a list of texts
        TL0102 a.yaml:5:8: expected text, found a list
        ");
    }
}
