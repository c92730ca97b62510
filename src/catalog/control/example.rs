//! Examples of a control: what must come out for which evidence. At least one fail, one pass and one
//! unknown, because a condition that is only tried where it holds is not tried.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    choice,
    model::{
        control::{self, Evidence},
        id::DatasetName,
        outcome::{Outcome, Row, Unknown},
    },
    record,
    yaml::{
        decode::{Cx, Decode, Located},
        diagnostic::{Diagnostic, Place},
        tree::{Kind, Node},
    },
};

choice! {
    /// What must come out.
    pub enum Expect {
        /// The condition is false.
        Pass = "pass",
        /// The condition is true.
        Fail = "fail",
        /// It cannot be told.
        Unknown = "unknown",
    }
}

record! {
    /// One example.
    pub struct Example {
        /// The instant of the run: what `now()` is.
        at: chrono::DateTime<chrono::Utc>,
        /// One row as the evidence query gives it, or rows by dataset so that the query is tried as well.
        given: Given,
        /// What must come out.
        expect: Expect,
        /// For an unknown: the reason that it must have.
        because: Option<Located<Unknown>>,
    }
    check(because_of_unknown)
}

fn because_of_unknown(example: &Example, _: &Node, cx: &mut Cx) {
    if let (Some(because), true) = (&example.because, example.expect != Expect::Unknown) {
        let what = format!("`{}` has no reason", example.expect);
        cx.out.push(
            Diagnostic::error("TL0703", &because.place, what)
                .help("`because` is the reason of an unknown"),
        );
    }
}

/// The evidence of an example.
#[derive(Debug, Clone, PartialEq)]
pub struct Given(pub Evidence);

impl Decode for Given {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        let Kind::Map(entries) = &node.kind else {
            return cx.expected(node, "a row, or rows by dataset");
        };
        if entries.is_empty() {
            return cx.wrong(
                Diagnostic::error("TL0702", &node.place, "an example needs a row or datasets")
                    .help("an empty population is `{ source.dataset: [] }`"),
            );
        }
        if !entries.iter().any(|(key, _)| key.text.contains('.')) {
            return Value::decode(node, cx)
                .and_then(row)
                .map(Evidence::Row)
                .map(Self);
        }
        let tables: Vec<_> = entries
            .iter()
            .map(|(key, node)| Some((dataset(&key.text, &key.place, cx)?, rows(node, cx)?)))
            .collect();
        let tables: Option<BTreeMap<_, _>> = tables.into_iter().collect();
        tables.map(Evidence::Datasets).map(Self)
    }

    fn schema(_: &mut serde_json::Map<String, Value>) -> Value {
        serde_json::json!({ "type": "object", "minProperties": 1 })
    }
}

fn dataset(name: &str, place: &Place, cx: &mut Cx) -> Option<DatasetName> {
    match name.parse() {
        Ok(name) => Some(name),
        Err(help) => {
            let what = format!("`{name}` is not the name of a dataset");
            cx.wrong(Diagnostic::error("TL0702", place, what).help(help))
        }
    }
}

fn rows(node: &Node, cx: &mut Cx) -> Option<Vec<Row>> {
    let Kind::List(items) = &node.kind else {
        return cx.expected(node, "a list of rows");
    };
    let rows: Vec<Option<Row>> = items
        .iter()
        .map(|item| match &item.kind {
            Kind::Map(_) => Value::decode(item, cx).and_then(row),
            _ => cx.expected(item, "a row"),
        })
        .collect();
    rows.into_iter().collect()
}

fn row(value: Value) -> Option<Row> {
    match value {
        Value::Object(row) => Some(row),
        _ => None,
    }
}

/// All examples of a control.
#[derive(Debug, Clone, PartialEq)]
pub struct Examples(pub Vec<Located<Example>>);

impl Examples {
    /// The examples as the daemon's noun.
    pub fn resolve(&self) -> Vec<control::Example> {
        self.0.iter().map(resolve).collect()
    }
}

impl Decode for Examples {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        let examples = Vec::<Located<Example>>::decode(node, cx);
        // Counted in the text, so that one example with a slip in it is not also a missing one.
        let has = |wanted: &Expect| {
            match &node.kind {
            Kind::List(items) => items.iter().any(|item| {
                matches!(item.get("expect").map(|e| &e.kind), Some(Kind::Scalar(s)) if s.text == wanted.as_str())
            }),
            _ => true,
        }
        };
        let lacking: Vec<&str> = Expect::ALL
            .iter()
            .filter(|expect| !has(expect))
            .map(|expect| expect.as_str())
            .collect();
        if lacking.is_empty() {
            return examples.map(Self);
        }
        cx.wrong(lack(&lacking, &node.place))
    }

    fn schema(defs: &mut serde_json::Map<String, Value>) -> Value {
        let has = |word: &str| serde_json::json!({ "contains": { "properties": { "expect": { "const": word } } } });
        serde_json::json!({
            "type": "array", "items": Example::schema(defs), "allOf": [has("pass"), has("fail"), has("unknown")],
        })
    }

    fn missing(_: &str, place: &Place) -> Diagnostic {
        lack(&["pass", "fail", "unknown"], place)
    }
}

fn lack(words: &[&str], place: &Place) -> Diagnostic {
    let what = format!("the control has no example of: {}", words.join(", "));
    Diagnostic::error("TL0701", place, what)
        .help("a control shows one pass, one fail and one unknown, which `tripline test` runs")
}

fn resolve(example: &Located<Example>) -> control::Example {
    let because = example.because.as_ref().map(|b| b.value);
    control::Example {
        place: example.place.clone(),
        at: example.at,
        given: example.given.0.clone(),
        expect: match example.expect {
            Expect::Pass => Outcome::Pass,
            Expect::Fail => Outcome::Fail,
            Expect::Unknown => Outcome::Unknown(because.unwrap_or(Unknown::NullCondition)),
        },
        because_given: because.is_some(),
    }
}
