//! The demo's company: what each of its systems says on which day. Read from `demo/company.yaml`;
//! days are counted from today, which is day 0.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value, json};

use crate::{
    choice, record,
    yaml::{
        decode::{Cx, Decode},
        tree::{Kind, Node},
        values::Named,
    },
};

record! {
    /// The whole company.
    pub struct Company {
        /// What the model registry holds.
        models: Vec<Model>,
        /// What the secret store holds.
        secrets: Vec<Secret>,
        /// What the vendor registry holds.
        vendors: Vec<Vendor>,
        /// When a system did not tell the truth.
        outages: Vec<Outage>,
    }
}

record! {
    /// A registered model.
    pub struct Model {
        /// Its name.
        name: String,
        /// Its tags.
        tags: Named<OverTime>,
        /// The day it was registered.
        made: f64,
        /// Which version serves production.
        production: OverTime,
        /// Its versions.
        versions: Vec<Version>,
    }
}

record! {
    /// A version of a model.
    pub struct Version {
        /// Its number.
        version: u32,
        /// The day it was registered.
        made: f64,
        /// Its tags.
        tags: Named<OverTime>,
    }
}

record! {
    /// A secret.
    pub struct Secret {
        /// Its name.
        name: String,
        /// Its tag `owner`.
        owner: OverTime,
        /// Its tag `environment`.
        environment: Option<String>,
        /// The day it was made.
        made: f64,
        /// The days on which it was rotated.
        rotated: Vec<f64>,
        /// When it was used.
        used: Used,
        /// The day it was removed.
        gone: Option<f64>,
    }
}

record! {
    /// A vendor.
    pub struct Vendor {
        /// Its number.
        id: String,
        /// Its name.
        name: String,
        /// How much depends on it.
        tier: String,
        /// Who answers for it.
        owner: String,
        /// The day it was entered.
        since: f64 = -1_000.0,
        /// The day its review is due.
        review_due: OverTime,
        /// The day its contract ends.
        contract_until: OverTime,
        /// The day its certificate ends.
        certified_until: OverTime,
    }
}

choice! {
    /// How a system that does not tell the truth looks from outside.
    pub enum Answer {
        /// 500.
        Error = "error",
        /// 200, and nothing in it.
        Empty = "empty",
    }
}

record! {
    /// A time in which a system does not tell the truth.
    pub struct Outage {
        /// The source.
        source: String,
        /// Its first day.
        from: f64,
        /// Its end.
        to: f64,
        /// How it looks from outside.
        answer: Answer,
    }
}

/// A value, or what it was from which day on.
#[derive(Debug, Clone, PartialEq)]
pub struct OverTime(Vec<(f64, Value)>);

/// When a secret was used: every day, or on some days.
#[derive(Debug, Clone, PartialEq)]
pub struct Used(Option<Vec<f64>>);

impl OverTime {
    /// What it is on a day; nothing before its first day.
    pub fn on(&self, day: f64) -> Option<&Value> {
        let now = self.0.iter().rev().find(|(from, _)| *from <= day)?;
        Some(&now.1).filter(|v| !v.is_null())
    }
}

impl Decode for OverTime {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        let value = Value::decode(node, cx)?;
        let steps = value.as_array().and_then(|steps| {
            let step = |s: &Value| match s.as_array()?.as_slice() {
                [from, is] => Some((from.as_f64()?, is.clone())),
                _ => None,
            };
            steps.iter().map(step).collect::<Option<Vec<_>>>()
        });
        match steps {
            Some(steps) => Some(Self(steps)),
            None if matches!(node.kind, Kind::Scalar(_)) => Some(Self(vec![(f64::MIN, value)])),
            None => cx.expected(node, "a value, or a list of `[day, value]`"),
        }
    }

    fn schema(_: &mut Map<String, Value>) -> Value {
        json!({})
    }
}

impl Decode for Used {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        match &node.kind {
            Kind::Scalar(s) if s.text == "always" => Some(Self(None)),
            _ => Vec::decode(node, cx).map(|days| Self(Some(days))),
        }
    }

    fn schema(_: &mut Map<String, Value>) -> Value {
        json!({})
    }
}

/// The company on one day.
#[derive(Debug, Clone, Copy)]
pub struct Day {
    /// Today at the instant at which the demo was started.
    pub today: DateTime<Utc>,
    /// Days since then, negative for the past.
    pub number: f64,
}

impl Day {
    /// The day of an instant.
    pub fn of(today: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        let seconds = (now - today).num_seconds() as f64;
        Self {
            today,
            number: seconds / 86_400.0,
        }
    }

    /// The instant of another day.
    pub fn instant(&self, number: f64) -> DateTime<Utc> {
        #[expect(clippy::cast_possible_truncation, reason = "days of a demo")]
        let seconds = (number * 86_400.0) as i64;
        self.today + TimeDelta::seconds(seconds)
    }
}

impl Secret {
    /// Whether it exists.
    pub fn exists(&self, day: Day) -> bool {
        self.made <= day.number && self.gone.is_none_or(|gone| day.number < gone)
    }

    /// When it was last rotated.
    pub fn last_rotated(&self, day: Day) -> Option<f64> {
        self.rotated
            .iter()
            .copied()
            .filter(|d| *d <= day.number)
            .reduce(f64::max)
    }

    /// When it was last used.
    pub fn last_used(&self, day: Day) -> Option<f64> {
        match &self.used.0 {
            None => Some(day.number.floor()),
            Some(days) => days
                .iter()
                .copied()
                .filter(|d| *d <= day.number)
                .reduce(f64::max),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_company_can_be_read() {
        let text = include_str!("../../../demo/company.yaml");
        let (company, _) =
            crate::yaml::decode::read::<Company>(std::path::Path::new("company.yaml"), text)
                .unwrap();
        assert!(
            company.models.len() >= 8 && company.secrets.len() >= 10 && company.vendors.len() >= 5
        );
        let scorer = &company.models[0];
        assert_eq!(scorer.production.on(-60.0), Some(&json!("2")));
        assert_eq!(scorer.production.on(0.0), Some(&json!("3")));
    }
}
