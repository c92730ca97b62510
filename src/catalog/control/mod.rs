//! The control file: every key that a control may have, with the mistakes that the file alone can show.
//! What needs the rest of the catalog (datasets, policies, people) is kept aside in [`Open`] and judged
//! when everything is read, so that one load tells all mistakes. Never guesses: what a control does not
//! say has a default written here, and nowhere else.

pub mod essential;
pub mod example;
pub mod message;
pub mod param;
#[cfg(test)]
mod tests;

mod resolve;

use crate::{
    catalog::{
        frameworks::Reference,
        name::{Column, Phrase, Slug},
    },
    model::{
        control::{
            CatchUp, Control, Lifecycle, OnEmpty, OnPartial, Responsibility, SubjectTemplate,
            Waivable,
        },
        id::{DatasetName, Sha},
        policy::{ProvisionRef, Severity},
        share::Share,
        span::Span,
    },
    record,
    yaml::{
        decode::{Cx, Decode, Located, from_text},
        diagnostic::Diagnostic,
        tree::{Kind, Node},
    },
};
use essential::{Condition, Cron, Owner, Population};
use example::Examples;
use message::Message;
use param::Params;

record! {
    /// The severity as a column of the evidence says it.
    pub struct SeverityColumn {
        /// The column; its values are `low`, `medium`, `high`, `critical`.
        column: Located<Column>,
        /// The severity where the column says nothing of the kind.
        r#else: Severity,
    }
}

/// How bad a deviation is.
#[derive(Debug, Clone, PartialEq)]
pub enum SeverityRule {
    /// The same for all.
    Fixed(Severity),
    /// By a column.
    Column(SeverityColumn),
}

impl Decode for SeverityRule {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        match &node.kind {
            Kind::Map(_) => SeverityColumn::decode(node, cx).map(Self::Column),
            _ => Severity::decode(node, cx).map(Self::Fixed),
        }
    }

    fn schema(defs: &mut serde_json::Map<String, serde_json::Value>) -> serde_json::Value {
        serde_json::json!({ "anyOf": [Severity::schema(defs), SeverityColumn::schema(defs)] })
    }
}

record! {
    /// How many subjects may turn to fail in one run before the run is held for a second one: more than
    /// both the count and the share.
    pub struct MassChangeRule {
        /// Subjects.
        count: u64 = 20,
        /// Share of the population.
        share: Share = Share::percent(10),
    }
}

record! {
    /// When an open finding becomes overdue, by severity.
    pub struct Due {
        /// For critical findings; 2 days if not said.
        critical: Option<Span>,
        /// For high findings; 7 days if not said.
        high: Option<Span>,
        /// For medium findings; 30 days if not said.
        medium: Option<Span>,
        /// For low findings; 90 days if not said.
        low: Option<Span>,
    }
}

record! {
    /// Facts by which signals compare what repeats, each with the column that says it.
    pub struct Facts {
        /// Who supplies it.
        vendor: Option<Located<Column>>,
        /// Where it runs.
        region: Option<Located<Column>>,
        /// Production, test, development.
        environment: Option<Located<Column>>,
        /// How sensitive its data is.
        data_class: Option<Located<Column>>,
        /// Which model it is or serves.
        model: Option<Located<Column>>,
        /// What kind of model that is.
        model_family: Option<Located<Column>>,
        /// Who runs it.
        team: Option<Located<Column>>,
        /// The department of who runs it.
        department: Option<Located<Column>>,
    }
}

impl Facts {
    /// Facts and columns, those that are said.
    pub fn said(&self) -> impl Iterator<Item = (&'static str, &Located<Column>)> {
        [
            ("vendor", &self.vendor),
            ("region", &self.region),
            ("environment", &self.environment),
            ("data_class", &self.data_class),
            ("model", &self.model),
            ("model_family", &self.model_family),
            ("team", &self.team),
            ("department", &self.department),
        ]
        .into_iter()
        .filter_map(|(fact, column)| Some((fact, column.as_ref()?)))
    }
}

record! {
    /// A control: one requirement as code.
    pub struct ControlFile {
        /// Stable for ever: part of each finding's key. Another id is another control.
        id: Located<Slug>,
        /// The passing condition in words: "Secrets are rotated within 90 days".
        title: Phrase,
        /// More words, for pages and mails, in Markdown.
        description: Option<Phrase>,
        /// Why it matters, for pages and mails, in Markdown.
        why: Option<Phrase>,
        /// The clause that the control enforces, `policy#provision`.
        policy: Located<ProvisionRef>,
        /// Where frameworks ask for it, `NAME:REF`, for example `NIST-CSF-2.0:GV.OV`.
        frameworks: Vec<Located<Reference>> = Vec::new(),
        /// Who is responsible in the shared-responsibility model.
        responsibility: Option<Responsibility>,
        /// The phases of a model's life that the control belongs to.
        lifecycle: Vec<Lifecycle> = Vec::new(),
        /// How bad a deviation is: a word, or `{ column: c, else: high }`.
        severity: SeverityRule,
        /// Who is told: a team or a person, or `{ column: c, else: team }`.
        owner: Owner,
        /// When it runs: five fields of cron.
        schedule: Cron,
        /// The time zone of the schedule.
        timezone: chrono_tz::Tz = chrono_tz::UTC,
        /// After downtime: run once for the newest missed tick, run each, or run none.
        catch_up: CatchUp = CatchUp::Latest,
        /// Typed values, `$name` in SQL: a duration, a truth value, a number, a text, a list of texts.
        params: Params = Params::default(),
        /// A SELECT over datasets: the population under test with the columns needed.
        evidence: Population,
        /// Older evidence is unknown.
        max_age: Located<Span>,
        /// How a row names its subject, `source/kind/{column}`.
        subject: Located<SubjectTemplate>,
        /// The inventory of record for the subject's kind, `source.dataset`. Without it nothing is retired for absence.
        inventory: Option<Located<DatasetName>>,
        /// A condition in SQL: true is fail, false is pass, NULL is unknown.
        fails_when: Condition,
        /// What an empty population means.
        on_empty: OnEmpty = OnEmpty::Unknown,
        /// Whether a fail that was seen in incomplete evidence counts (`open`) or not (`unknown`).
        on_partial: OnPartial = OnPartial::Unknown,
        /// Consecutive known fails that open a finding.
        confirm: Count = Count(2),
        /// Consecutive known passes that resolve it: 3, or 2 when the control runs every six hours or less often.
        clear: Option<Count>,
        /// How soon after a first fail the control runs again with fresh evidence: a quarter of the interval, at most 5 minutes.
        recheck: Option<Span>,
        /// How long after a resolve a new fail is the same story again.
        reopen_within: Span = Span::days(7),
        /// How many subjects may turn to fail in one run before the run is held for a second one.
        mass_change: Option<MassChangeRule>,
        /// When an open finding becomes overdue, by severity.
        due: Option<Due>,
        /// Columns that an exception is bound to.
        fingerprint: Vec<Located<Column>> = Vec::new(),
        /// Facts by which signals compare what repeats, each with its column.
        facts: Option<Facts>,
        /// Whether a deviation may be excepted.
        exceptions: Waivable = Waivable::Allowed,
        /// Share of in-scope teams that may be excepted before the policy is questioned.
        exception_budget: Option<Share>,
        /// A minijinja template over the row: one sentence with the true values.
        message: Option<Message>,
        /// What to do, in Markdown.
        fix: Option<Phrase>,
        /// At least one pass, one fail and one unknown, run by `tripline test`.
        examples: Examples,
        /// Names that it had before, by which older exceptions know it.
        formerly: Vec<Slug> = Vec::new(),
        /// Evaluated and recorded, never announced.
        shadow: bool = false,
    }
    check(resolve::check)
}

/// A count of runs, at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count(pub u32);

impl Decode for Count {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        match u32::decode(node, cx)? {
            0 => cx.expected(node, "a whole number, 1 or more"),
            n => Some(Self(n)),
        }
    }

    fn schema(_: &mut serde_json::Map<String, serde_json::Value>) -> serde_json::Value {
        serde_json::json!({ "type": "integer", "minimum": 1 })
    }
}

impl Decode for SubjectTemplate {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        from_text(node, "a subject such as `aws/secret/{name}`", cx)
    }

    fn schema(_: &mut serde_json::Map<String, serde_json::Value>) -> serde_json::Value {
        serde_json::json!({ "type": "string", "pattern": "^[^/{}]+/[^/{}]+/.*\\{[A-Za-z0-9_]+\\}" })
    }
}

impl Decode for DatasetName {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        from_text(node, "a dataset such as `aws.secrets`", cx)
    }

    fn schema(_: &mut serde_json::Map<String, serde_json::Value>) -> serde_json::Value {
        serde_json::json!({ "type": "string", "pattern": "^[^.]+\\.[^.]+$" })
    }
}

/// What only the rest of the catalog can judge, each part where the file could be read that far: a file
/// with a mistake in one place is still checked in all others.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Open {
    /// The name.
    pub id: Option<Located<Slug>>,
    /// The clause.
    pub policy: Option<Located<ProvisionRef>>,
    /// Who is told; with the column, if there is one.
    pub owner: Option<Owner>,
    /// The column of the severity.
    pub severity: Option<Located<Column>>,
    /// Parameters; `None` when one cannot be read, so that SQL is not blamed for it.
    pub params: Option<Params>,
    /// The population.
    pub evidence: Option<Located<String>>,
    /// The condition.
    pub fails_when: Option<Located<String>>,
    /// How a row names its subject.
    pub subject: Option<Located<SubjectTemplate>>,
    /// The inventory of record.
    pub inventory: Option<Located<DatasetName>>,
    /// Columns named by `fingerprint:` and `facts:`.
    pub columns: Vec<Located<Column>>,
    /// The message.
    pub message: Option<Message>,
    /// How old evidence may be.
    pub max_age: Option<Located<Span>>,
}

/// A control of which everything is known but what it reads: datasets and definition come when its SQL
/// has been checked against the sources.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    control: Control,
}

impl Draft {
    /// The control as far as the file says it.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// The whole control, with the datasets that it reads and the digest of what can change an outcome.
    pub fn finish(self, mut datasets: Vec<DatasetName>, definition: Sha) -> Control {
        datasets.sort();
        datasets.dedup();
        Control {
            datasets,
            definition,
            ..self.control
        }
    }
}

/// Reads one control: what remains to be judged, and the control itself unless the file has a mistake.
pub fn read(node: &Node, out: &mut Vec<Diagnostic>) -> (Open, Option<Draft>) {
    let mut cx = Cx::default();
    let file = ControlFile::decode(node, &mut cx);
    out.append(&mut cx.out);
    let draft = file.map(|file| Draft {
        control: resolve::control(file, &node.place, out),
    });
    (resolve::open(node), draft)
}
