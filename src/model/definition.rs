//! Everything that can change an outcome of a control, on its own: what an old run was judged by, and what a
//! changed parameter is tried on. Texts, owner, schedule and severity are not in it.

use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, Serialize};

use super::{
    control::{
        CatchUp, Control, Given, OnEmpty, OnPartial, Param, Rules, Schedule, Sql, SubjectTemplate,
        Waivable,
    },
    id::{ControlId, DatasetName, Sha},
    policy::{ProvisionRef, Severity},
    span::Span,
    table::Schema,
};
use crate::yaml::diagnostic::Place;

/// A definition has no place in a file.
fn nowhere() -> Place {
    Place::file(Path::new("-"))
}

/// What judges.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// The population under test.
    pub evidence: String,
    /// True is fail, false is pass, NULL is unknown.
    pub fails_when: String,
    /// `$name` in SQL.
    pub params: BTreeMap<String, Param>,
    /// How a row names its subject.
    pub subject: SubjectTemplate,
    /// The inventory of record for the subject's kind.
    pub inventory: Option<DatasetName>,
    /// Older evidence is unknown.
    pub max_age: Span,
    /// What an empty population means.
    pub on_empty: OnEmpty,
    /// What a fail seen in incomplete evidence means.
    pub on_partial: OnPartial,
    /// The datasets that it reads, views and what these read included.
    pub datasets: BTreeMap<DatasetName, Promise>,
}

/// A dataset as its connector promises it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promise {
    /// The digest of how it is read.
    pub definition: Sha,
    /// Its columns.
    pub schema: Schema,
    /// The statement of a view.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<String>,
}

impl Definition {
    /// What judges in a control, over what its datasets promise.
    pub fn of(control: &Control, datasets: BTreeMap<DatasetName, Promise>) -> Self {
        Self {
            evidence: control.evidence.text.clone(),
            fails_when: control.fails_when.text.clone(),
            params: control.params.clone(),
            subject: control.subject.clone(),
            inventory: control.inventory.clone(),
            max_age: control.max_age,
            on_empty: control.on_empty,
            on_partial: control.on_partial,
            datasets,
        }
    }

    /// The digest by which runs, findings and exceptions name it.
    pub fn digest(&self) -> Sha {
        Sha::of_json(&serde_json::json!(self))
    }

    /// A control that judges like this and does nothing else: it has no owner, no schedule and no words.
    pub fn control(&self, id: &ControlId) -> Control {
        let sql = |text: &str| Sql {
            text: text.to_owned(),
            place: nowhere(),
            block: None,
        };
        let views = |(_, promise): &(&DatasetName, &Promise)| promise.view.is_none();
        let datasets = self.datasets.iter().filter(views);
        Control {
            id: id.clone(),
            title: String::new(),
            description: None,
            why: None,
            policy: ProvisionRef {
                policy: "".into(),
                provision: String::new(),
            },
            frameworks: Vec::new(),
            responsibility: None,
            lifecycle: Vec::new(),
            severity: Given::Fixed(Severity::Low),
            owner: Given::Fixed(String::new()),
            schedule: Schedule {
                cron: String::new(),
                timezone: chrono_tz::UTC,
                catch_up: CatchUp::Latest,
                interval: Span::default(),
            },
            params: self.params.clone(),
            evidence: sql(&self.evidence),
            datasets: datasets.map(|(name, _)| name.clone()).collect(),
            max_age: self.max_age,
            subject: self.subject.clone(),
            inventory: self.inventory.clone(),
            fails_when: sql(&self.fails_when),
            on_empty: self.on_empty,
            on_partial: self.on_partial,
            rules: Rules::default(),
            due: BTreeMap::new(),
            fingerprint: Vec::new(),
            facts: BTreeMap::new(),
            exceptions: Waivable::Allowed,
            exception_budget: None,
            message: None,
            fix: None,
            examples: Vec::new(),
            formerly: Vec::new(),
            shadow: true,
            definition: self.digest(),
            place: nowhere(),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A definition to build controls from.
    pub(crate) fn rotation() -> Definition {
        Definition {
            evidence: "SELECT name, rotated FROM aws.secrets".to_owned(),
            fails_when: "rotated < now() - $within".to_owned(),
            params: BTreeMap::from([("within".to_owned(), Param::Duration(Span::days(90)))]),
            subject: SubjectTemplate::try_from("aws/secret/{name}".to_owned()).unwrap(),
            inventory: Some(DatasetName::new("aws", "secrets")),
            max_age: Span::hours(1),
            on_empty: OnEmpty::Unknown,
            on_partial: OnPartial::Unknown,
            datasets: BTreeMap::new(),
        }
    }

    #[test]
    fn a_definition_that_was_kept_judges_as_it_did() {
        let kept = serde_json::to_string(&rotation()).unwrap();
        let read: Definition = serde_json::from_str(&kept).unwrap();
        assert_eq!(read, rotation());
        assert_eq!(read.digest(), rotation().digest());
        let control = read.control(&"rotation".into());
        assert_eq!(control.definition, read.digest());
        assert_eq!(Definition::of(&control, read.datasets.clone()), read);
    }
}
