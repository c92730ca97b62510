//! A control as the daemon runs it: every name resolved, every default filled in.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    id::{ControlId, DatasetName, Sha, SubjectId},
    outcome::{Outcome, Row},
    policy::{FrameworkRef, ProvisionRef, Severity},
    span::Span,
};
use crate::{choice, yaml::diagnostic::Place};

choice! {
    /// What to do with ticks that were missed while the daemon was down.
    pub enum CatchUp {
        /// Run once for the newest and record the others as missed.
        Latest = "latest",
        /// Run each.
        All = "all",
        /// Run none; record all as missed.
        None = "none",
    }
}

choice! {
    /// What an empty population means.
    pub enum OnEmpty {
        /// It cannot be told from evidence that got lost.
        Unknown = "unknown",
        /// It is expected.
        Pass = "pass",
    }
}

choice! {
    /// What a fail seen in incomplete evidence means.
    pub enum OnPartial {
        /// Nothing: an anti-join over missing rows invents failures.
        Unknown = "unknown",
        /// It counts; a pass never does.
        Open = "open",
    }
}

choice! {
    /// Who is responsible in the shared-responsibility model for AI services.
    pub enum Responsibility {
        /// The provider of the model.
        ModelProvider = "model-provider",
        /// The provider of orchestrated services.
        OrchestratedService = "orchestrated-service",
        /// The application or its customer.
        Application = "application",
        /// Shared between provider and customer.
        Shared = "shared",
    }
}

choice! {
    /// The phase of a model's life that a control belongs to.
    pub enum Lifecycle {
        /// Guardrails.
        Guardrails = "guardrails",
        /// Evaluation.
        Evaluation = "evaluation",
        /// Orchestration and the supply chain of AI services.
        SupplyChain = "supply-chain",
        /// Operations.
        Operations = "operations",
        /// Maintenance.
        Maintenance = "maintenance",
        /// Continuous monitoring.
        ContinuousMonitoring = "continuous-monitoring",
        /// Continuous improvement.
        ContinuousImprovement = "continuous-improvement",
        /// Archiving.
        Archiving = "archiving",
        /// Deletion of data.
        DataDeletion = "data-deletion",
    }
}

choice! {
    /// Whether a deviation from the control may be excepted at all.
    pub enum Waivable {
        /// Through the register.
        Allowed = "allowed",
        /// Never.
        Never = "never",
    }
}

/// A typed parameter, `$name` in SQL. Replaced in the parsed statement by a literal, never by text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Param {
    /// A length of time: an INTERVAL in SQL.
    Duration(Span),
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// A text.
    Text(String),
    /// A list of texts, for `IN ($name)`.
    List(Vec<String>),
}

/// SQL with its place in the file, so that a mistake in it can be pointed at.
#[derive(Debug, Clone, PartialEq)]
pub struct Sql {
    /// The text.
    pub text: String,
    /// Where the text begins, and for a literal block where its first character is.
    pub place: Place,
    /// As [`crate::yaml::decode::Located::block`].
    pub block: Option<(usize, usize)>,
}

/// A value that a column gives for each row, or one that the control fixes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Given<T> {
    /// Fixed by the control.
    Fixed(T),
    /// From a column of the evidence; `otherwise` where the column is NULL or names nobody.
    Column {
        /// The column.
        column: String,
        /// The value for rows without one.
        otherwise: T,
    },
}

/// `source/kind/{column}`: how a row names its subject. Values are used byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct SubjectTemplate {
    /// Literal texts and columns in turn.
    pub parts: Vec<Part>,
}

/// A piece of a [`SubjectTemplate`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Text as it stands.
    Literal(String),
    /// The value of a column.
    Column(String),
}

impl SubjectTemplate {
    /// The columns it needs.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|p| match p {
            Part::Column(c) => Some(c.as_str()),
            Part::Literal(_) => None,
        })
    }
}

impl From<SubjectTemplate> for String {
    fn from(template: SubjectTemplate) -> Self {
        template.to_string()
    }
}

impl TryFrom<String> for SubjectTemplate {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl std::fmt::Display for SubjectTemplate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.parts.iter().try_for_each(|p| match p {
            Part::Literal(text) => f.write_str(text),
            Part::Column(column) => write!(f, "{{{column}}}"),
        })
    }
}

impl std::str::FromStr for SubjectTemplate {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "write `source/kind/{column}`";
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((literal, tail)) = rest.split_once('{') {
            let (column, tail) = tail.split_once('}').ok_or(wrong)?;
            if !literal.is_empty() {
                parts.push(Part::Literal(literal.to_owned()));
            }
            if column.is_empty()
                || !column
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || c == '_')
            {
                return Err(wrong);
            }
            parts.push(Part::Column(column.to_owned()));
            rest = tail;
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.to_owned()));
        }
        let shape = matches!(parts.first(), Some(Part::Literal(l)) if l.split('/').filter(|s| !s.is_empty()).count() == 2 && l.ends_with('/') && !l.starts_with('/'));
        if shape && parts.len() > 1 {
            Ok(Self { parts })
        } else {
            Err(wrong)
        }
    }
}

/// When a control runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// Five fields of cron.
    pub cron: String,
    /// The time zone that the fields speak of.
    pub timezone: chrono_tz::Tz,
    /// After downtime.
    pub catch_up: CatchUp,
    /// The usual distance between two ticks: the shortest of the next ten at load.
    pub interval: Span,
}

/// Debounce and hysteresis, with every default filled in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rules {
    /// Consecutive known fails that open a finding, at least 1.
    pub confirm: u32,
    /// Consecutive known passes that resolve it, at least 1.
    pub clear: u32,
    /// How soon after a first fail the control runs again with fresh evidence.
    pub recheck: Span,
    /// How long after a resolve a new fail is the same story again.
    pub reopen_within: Span,
    /// How many subjects may turn to fail in one run before the run is held for a second one.
    pub mass_change: MassChange,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            confirm: 2,
            clear: 3,
            recheck: Span::minutes(5),
            reopen_within: Span::days(7),
            mass_change: MassChange {
                count: 20,
                share: 0.10,
            },
        }
    }
}

/// More than `max(count, share × population)` is a mass change.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MassChange {
    /// Subjects.
    pub count: u64,
    /// Share of the population, 0 to 1.
    pub share: f64,
}

impl MassChange {
    /// Whether so many at once are too many to believe at first sight.
    pub fn is_exceeded(self, turned: u64, population: u64) -> bool {
        turned > self.count && turned as f64 > self.share * population as f64
    }
}

/// An example that `tripline test` runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// Where it stands.
    pub place: Place,
    /// What `now()` is.
    pub at: chrono::DateTime<chrono::Utc>,
    /// The evidence.
    pub given: Evidence,
    /// The outcome that must come out; for an unknown its reason.
    pub expect: Outcome,
    /// Whether the reason of an unknown was written and must agree.
    pub because_given: bool,
}

/// What an example is given: one row of the evidence query, or rows of each dataset, so that the join is tested too.
#[derive(Debug, Clone, PartialEq)]
pub enum Evidence {
    /// A row as the evidence query would return it.
    Row(Row),
    /// Rows by dataset.
    Datasets(BTreeMap<DatasetName, Vec<Row>>),
}

/// One requirement as code.
#[derive(Debug, Clone, PartialEq)]
pub struct Control {
    /// Stable for ever.
    pub id: ControlId,
    /// The passing condition in words.
    pub title: String,
    /// More words.
    pub description: Option<String>,
    /// Why it matters.
    pub why: Option<String>,
    /// The text that it enforces.
    pub policy: ProvisionRef,
    /// Where frameworks ask for it.
    pub frameworks: Vec<FrameworkRef>,
    /// Shared-responsibility tag.
    pub responsibility: Option<Responsibility>,
    /// Lifecycle tags.
    pub lifecycle: Vec<Lifecycle>,
    /// How bad a deviation is.
    pub severity: Given<Severity>,
    /// Who is told: names of people or teams.
    pub owner: Given<String>,
    /// When it runs.
    pub schedule: Schedule,
    /// `$name` in SQL.
    pub params: BTreeMap<String, Param>,
    /// The population under test.
    pub evidence: Sql,
    /// The datasets that the evidence query and the inventory read, sorted.
    pub datasets: Vec<DatasetName>,
    /// Older evidence is unknown.
    pub max_age: Span,
    /// How a row names its subject.
    pub subject: SubjectTemplate,
    /// The inventory of record for the subject's kind.
    pub inventory: Option<DatasetName>,
    /// True is fail, false is pass, NULL is unknown.
    pub fails_when: Sql,
    /// What an empty population means.
    pub on_empty: OnEmpty,
    /// What a fail seen in incomplete evidence means.
    pub on_partial: OnPartial,
    /// Debounce and hysteresis.
    pub rules: Rules,
    /// When an open finding becomes overdue.
    pub due: BTreeMap<Severity, Span>,
    /// Columns that an exception is bound to.
    pub fingerprint: Vec<String>,
    /// Fact to column, for signals.
    pub facts: BTreeMap<String, String>,
    /// Whether a deviation may be excepted.
    pub exceptions: Waivable,
    /// Share of in-scope teams that may be excepted before the policy is questioned, 0 to 1.
    pub exception_budget: Option<f64>,
    /// Template over the row: one sentence with the true values.
    pub message: Option<String>,
    /// What to do, in Markdown.
    pub fix: Option<String>,
    /// What `tripline test` runs.
    pub examples: Vec<Example>,
    /// Names that it had before.
    pub formerly: Vec<ControlId>,
    /// Evaluated and recorded, never announced.
    pub shadow: bool,
    /// SHA-256 of everything that can change an outcome.
    pub definition: Sha,
    /// Where it was read from.
    pub place: Place,
}

impl Control {
    /// How long a finding of that severity may stay open.
    pub fn due(&self, severity: Severity) -> Span {
        self.due.get(&severity).copied().unwrap_or(match severity {
            Severity::Critical => Span::days(2),
            Severity::High => Span::days(7),
            Severity::Medium => Span::days(30),
            Severity::Low => Span::days(90),
        })
    }
}

/// A subject's id from a row, when every column of the template has a value.
pub fn subject_of(template: &SubjectTemplate, row: &Row) -> Option<SubjectId> {
    let mut id = String::new();
    for part in &template.parts {
        match part {
            Part::Literal(text) => id.push_str(text),
            Part::Column(column) => match row.get(column)? {
                serde_json::Value::String(text) if !text.is_empty() => id.push_str(text),
                serde_json::Value::Number(n) => id.push_str(&n.to_string()),
                serde_json::Value::Bool(b) => id.push_str(if *b { "true" } else { "false" }),
                _ => return None,
            },
        }
    }
    Some(SubjectId::from(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_template_has_source_kind_and_a_column() {
        let template: SubjectTemplate = "aws/secret/{name}".parse().unwrap();
        assert_eq!(template.columns().collect::<Vec<_>>(), ["name"]);
        assert_eq!(template.to_string(), "aws/secret/{name}");
        let two: SubjectTemplate = "mlflow/model-version/{name}/{version}".parse().unwrap();
        let row = serde_json::json!({ "name": "a", "version": 3 });
        assert_eq!(
            subject_of(&two, row.as_object().unwrap()).unwrap().as_str(),
            "mlflow/model-version/a/3"
        );
        let nameless = serde_json::json!({ "name": null, "version": 3 });
        assert_eq!(subject_of(&two, nameless.as_object().unwrap()), None);
        for bad in [
            "aws/secret/",
            "aws/{name}",
            "{name}",
            "aws/secret/{",
            "/aws/secret/{x}",
            "aws/secret/{a b}",
        ] {
            assert!(bad.parse::<SubjectTemplate>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_mass_change_needs_both_a_count_and_a_share() {
        let rule = Rules::default().mass_change;
        assert!(!rule.is_exceeded(20, 100));
        assert!(rule.is_exceeded(21, 100));
        assert!(!rule.is_exceeded(100, 1_000));
        assert!(rule.is_exceeded(101, 1_000));
    }
}
