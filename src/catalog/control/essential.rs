//! The four parts without which a control is not one: failure condition, schedule, owner, evidence.
//! Each says, when it is missing or left empty, why it cannot be done without.

use crate::{
    catalog::{cron, name::Column},
    record,
    yaml::{
        decode::{Cx, Decode, Located, scalar},
        diagnostic::{Diagnostic, Place},
        tree::{Kind, Node},
    },
};

/// One of the four, in words.
struct Essential {
    code: &'static str,
    what: &'static str,
    why: &'static str,
}

impl Essential {
    fn missing(&self, place: &Place) -> Diagnostic {
        Diagnostic::error(self.code, place, self.what).help(self.why)
    }

    /// The text of the part; an empty one is a missing one.
    fn text(&self, node: &Node, cx: &mut Cx) -> Option<Located<String>> {
        match &node.kind {
            Kind::Scalar(s) if s.is_null() || s.text.trim().is_empty() => {
                cx.wrong(self.missing(&node.place))
            }
            _ => Located::<String>::decode(node, cx),
        }
    }
}

const CONDITION: Essential = Essential {
    code: "TL0201",
    what: "the control has no failure condition",
    why: "add `fails_when:` with a condition in SQL: what only a person can judge cannot run on its own",
};

const SCHEDULE: Essential = Essential {
    code: "TL0202",
    what: "the control has no schedule",
    why: "add `schedule:` with five fields of cron, such as `*/15 * * * *`: what nobody starts must start itself",
};

const OWNER: Essential = Essential {
    code: "TL0203",
    what: "the control has no owner",
    why: "add `owner:` with a team or a person: what nobody answers for is bypassed the first time that operations become urgent",
};

const EVIDENCE: Essential = Essential {
    code: "TL0204",
    what: "the control has no evidence",
    why: "add `evidence:` with a SELECT over datasets: an outcome without evidence cannot be shown to anybody",
};

/// SQL whose true is a fail.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition(pub Located<String>);

impl Decode for Condition {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        CONDITION.text(node, cx).map(Self)
    }

    fn schema(defs: &mut serde_json::Map<String, serde_json::Value>) -> serde_json::Value {
        String::schema(defs)
    }

    fn missing(_: &str, place: &Place) -> Diagnostic {
        CONDITION.missing(place)
    }
}

/// The SELECT that gives the population under test.
#[derive(Debug, Clone, PartialEq)]
pub struct Population(pub Located<String>);

impl Decode for Population {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        EVIDENCE.text(node, cx).map(Self)
    }

    fn schema(defs: &mut serde_json::Map<String, serde_json::Value>) -> serde_json::Value {
        String::schema(defs)
    }

    fn missing(_: &str, place: &Place) -> Diagnostic {
        EVIDENCE.missing(place)
    }
}

/// Five fields of cron that come round.
#[derive(Debug, Clone, PartialEq)]
pub struct Cron(pub Located<String>);

impl Decode for Cron {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        let text = SCHEDULE.text(node, cx)?;
        match cron::parse(&text) {
            Err(why) => cx.wrong(
                Diagnostic::error(
                    "TL0208",
                    &text.place,
                    format!("`{}` is not a schedule: {why}", text.value),
                )
                .help("every quarter of an hour is `*/15 * * * *`, each morning is `0 6 * * *`"),
            ),
            Ok(parsed) if cron::interval(&parsed, chrono_tz::UTC).is_none() => {
                cx.wrong(Diagnostic::error(
                    "TL0208",
                    &text.place,
                    format!("`{}` names a day that never comes", text.value),
                ))
            }
            Ok(_) => Some(Self(text)),
        }
    }

    fn schema(_: &mut serde_json::Map<String, serde_json::Value>) -> serde_json::Value {
        serde_json::json!({ "type": "string", "pattern": "^\\S+ +\\S+ +\\S+ +\\S+ +\\S+$" })
    }

    fn missing(_: &str, place: &Place) -> Diagnostic {
        SCHEDULE.missing(place)
    }
}

record! {
    /// The owner as a column of the evidence says it.
    pub struct OwnerColumn {
        /// The column; each of its values is a person or a team.
        column: Located<Column>,
        /// Who is told where the column names nobody.
        r#else: Located<String>,
    }
}

/// Who answers for what a control finds.
#[derive(Debug, Clone, PartialEq)]
pub enum Owner {
    /// A team or a person.
    Fixed(Located<String>),
    /// By a column.
    Column(OwnerColumn),
}

impl Owner {
    /// The name that the file itself says.
    pub fn name(&self) -> &Located<String> {
        match self {
            Self::Fixed(name) => name,
            Self::Column(by) => &by.r#else,
        }
    }

    /// The column, if there is one.
    pub fn column(&self) -> Option<&Located<Column>> {
        match self {
            Self::Fixed(_) => None,
            Self::Column(by) => Some(&by.column),
        }
    }
}

impl Decode for Owner {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        match &node.kind {
            Kind::Map(_) => OwnerColumn::decode(node, cx).map(Self::Column),
            Kind::List(_) => {
                scalar(node, "a team, a person, or `{ column: …, else: … }`", cx).map(|_| None)?
            }
            Kind::Scalar(_) => OWNER.text(node, cx).map(Self::Fixed),
        }
    }

    fn schema(defs: &mut serde_json::Map<String, serde_json::Value>) -> serde_json::Value {
        serde_json::json!({ "anyOf": [String::schema(defs), OwnerColumn::schema(defs)] })
    }

    fn missing(_: &str, place: &Place) -> Diagnostic {
        OWNER.missing(place)
    }
}
