//! What a notice says, as facts: planned with the run, stored with the item, and given to whatever
//! template or payload the channel needs. Every text in here is one line of harmless characters or a
//! block of them (see [`text`]); escaping for HTML, JSON or markup happens where it is written out.

mod gap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use gap::{gap, reason};

use super::text;
use crate::{
    catalog::template,
    model::{
        control::{Control, Param},
        finding::{Change, Effect, Finding, Observation, Origin, Reason},
        notice::Word,
        outcome::{Authority, Row},
        policy::{Policy, Severity},
        run::{Run, Used},
        span::Span,
    },
};

/// Rows of evidence that a message shows.
const ROWS: usize = 5;

/// How long a sentence may get.
const SENTENCE: usize = 400;

/// How much of a provision's text a message quotes.
const QUOTE: usize = 600;

/// The facts of one item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// What should hold: the title of the control, or what is not checked.
    pub title: String,
    /// What is the case: one sentence with the true values.
    pub sentence: String,
    /// How bad it is.
    pub severity: Severity,
    /// The thing under test, by its canonical id.
    pub subject: Option<String>,
    /// The source that it belongs to.
    pub source: Option<String>,
    /// The environment, when the evidence tells.
    pub environment: Option<String>,
    /// Who answers for it, as people read it.
    pub owner: Option<String>,
    /// The short name of the finding, `fnd-` and twelve digits.
    pub finding: Option<String>,
    /// Since when it is open.
    pub since: Option<DateTime<Utc>>,
    /// When there first was something to say of it.
    pub first_seen: Option<DateTime<Utc>>,
    /// The instant of the run that says so.
    pub confirmed_at: DateTime<Utc>,
    /// When it should be mended.
    pub due_at: Option<DateTime<Utc>>,
    /// Why it is told now: the reason of a resolve, of a retirement, of lost cover, of a gap.
    pub because: Option<String>,
    /// "opened 3 times in 30 days".
    pub repeats: Option<String>,
    /// Whether it opened alone, with implausibly many others, or before it was watched.
    pub origin: Origin,
    /// How long later items of the same group wait at least.
    pub group_interval: Span,
    /// The rest; left out for all but the first of many that are told together.
    pub detail: Option<Detail>,
    /// A letter that is written already: a report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub letter: Option<Written>,
}

/// A letter as its author wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// One line.
    pub subject: String,
    /// For those who read text.
    pub text: String,
    /// For those who read HTML.
    pub html: String,
}

/// What only a message about few findings has room for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Detail {
    /// The text that is not kept.
    pub policy: Option<PolicyText>,
    /// Why the control exists.
    pub why: Option<String>,
    /// Where frameworks ask for it.
    pub frameworks: Vec<String>,
    /// The condition that is true, as SQL.
    pub condition: Option<String>,
    /// The failing rows, column by column.
    pub rows: Vec<Vec<(String, String)>>,
    /// How many failing rows there are beyond those.
    pub more_rows: u64,
    /// What the run looked at.
    pub evidence: Vec<Seen>,
    /// What was checked to rule a mistake out.
    pub ruled_out: Vec<String>,
    /// What to do.
    pub fix: Option<String>,
    /// The run.
    pub run: Option<String>,
}

/// A provision at its version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyText {
    /// The policy's title.
    pub title: String,
    /// `policy#provision`.
    pub reference: String,
    /// The version in force.
    pub version: u32,
    /// Since when.
    pub effective: chrono::NaiveDate,
    /// The wording of the provision.
    pub text: Option<String>,
}

/// A snapshot that the run looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// `source.dataset`.
    pub dataset: String,
    /// The snapshot's id.
    pub snapshot: Option<String>,
    /// SHA-256 of its canonical rows.
    pub sha256: Option<String>,
    /// When its collection began.
    pub collected_at: Option<DateTime<Utc>>,
    /// How many rows it has.
    pub rows: u64,
}

/// A run with everything that its notices draw on.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// The control.
    pub control: &'a Control,
    /// Its policy.
    pub policy: Option<&'a Policy>,
    /// The run.
    pub run: &'a Run,
    /// Why so many turned at once, when a mass change is told.
    pub cause: Option<&'a str>,
}

impl Told<'_> {
    /// The facts of one change, without owner and detail.
    pub fn of(&self, change: &Change) -> Facts {
        let finding = &change.finding;
        let now = self.run.instant;
        Facts {
            title: text::line(&self.control.title),
            sentence: self.sentence(change),
            severity: finding.severity,
            subject: Some(text::line(finding.subject.as_str())),
            source: source_of(finding.subject.as_str()),
            environment: finding.facts.get("environment").map(|e| text::line(e)),
            owner: None,
            finding: Some(finding.key.short()),
            since: finding.state.opened_at,
            first_seen: Some(finding.first_seen),
            confirmed_at: now,
            due_at: finding
                .state
                .opened_at
                .map(|at| at + self.control.due(finding.severity).to_delta()),
            because: self.because(change),
            repeats: repeats(finding),
            origin: finding.state.origin,
            group_interval: Span::minutes(5),
            detail: None,
            letter: None,
        }
    }

    /// What only the first notices of a group carry.
    pub fn detail(&self, change: &Change) -> Detail {
        let finding = &change.finding;
        let control = self.control;
        Detail {
            policy: self.policy.map(|p| provision(p, &control.policy.provision)),
            why: control.why.as_deref().map(text::block),
            frameworks: control
                .frameworks
                .iter()
                .map(|f| format!("{}:{}", f.name, f.reference))
                .collect(),
            condition: Some(condition(control)),
            rows: finding.rows.iter().take(ROWS).map(columns).collect(),
            more_rows: finding
                .row_count
                .saturating_sub(finding.rows.len().min(ROWS) as u64),
            evidence: self.run.evidence.iter().map(seen).collect(),
            ruled_out: self.ruled_out(change),
            fix: control.fix.as_deref().map(text::block),
            run: Some(self.run.id.to_string()),
        }
    }

    /// The control's own sentence with the values that were seen; of what is over, what is the case now.
    fn sentence(&self, change: &Change) -> String {
        let finding = &change.finding;
        let name = text::native(finding.subject.as_str());
        let title = &self.control.title;
        let said = match change.effect {
            Some(Effect::Resolved) => format!("{name} passes again: {title}"),
            Some(Effect::Retired) => format!("{name} left: {title}"),
            _ => self
                .control
                .message
                .as_deref()
                .and_then(|message| {
                    let row = finding.rows.first()?;
                    template::message(message, row, finding.subject.as_str(), self.run.instant).ok()
                })
                .unwrap_or_else(|| format!("{name} fails: {title}")),
        };
        text::clip(&text::line(&said), SENTENCE)
    }

    fn because(&self, change: &Change) -> Option<String> {
        let last = self
            .run
            .evidence
            .iter()
            .filter_map(|u| u.collected_at)
            .max();
        let seen = last.map_or(String::new(), |at| {
            format!(", last in evidence of {}", text::instant(at))
        });
        match (change.effect?, change.observation) {
            (Effect::Resolved, _) => Some(format!(
                "It passed {} in a row on complete evidence{seen}.",
                text::counted(u64::from(self.control.rules.clear), "time")
            )),
            (Effect::Retired, Observation::Left(authority)) => Some(left(authority).to_owned()),
            (Effect::Flapping, _) => Some(
                "It changed between pass and fail too often to say; no more is told until it settles.".to_owned(),
            ),
            (Effect::Uncovered, _) => Some("The exception that covered it no longer holds.".to_owned()),
            (Effect::Opened | Effect::Reopened, _) if change.finding.state.origin == Origin::Mass => {
                self.cause.map(text::line)
            }
            _ if change.reason == Reason::OutOfShadow => {
                Some("Its control was in shadow when it opened, and no longer is.".to_owned())
            }
            _ => None,
        }
    }

    fn ruled_out(&self, change: &Change) -> Vec<String> {
        let confirm = self.control.rules.confirm;
        let mut out = Vec::new();
        if confirm > 1 && matches!(change.effect, Some(Effect::Opened | Effect::Reopened)) {
            out.push(format!(
                "A passing fault: it failed {} in a row, each time on evidence that was read anew.",
                text::counted(u64::from(confirm), "time")
            ));
        }
        if self.run.not_checked.is_none() {
            out.push(format!(
                "Missing or old evidence: every dataset was complete and younger than {}.",
                self.control.max_age
            ));
        }
        if change.finding.covered_by.is_none() {
            out.push("An accepted deviation: no active exception covers it.".to_owned());
        }
        out
    }
}

impl Facts {
    /// The facts of what Tripline says of itself.
    pub fn of_operation(title: &str, sentence: &str, now: DateTime<Utc>) -> Self {
        Self {
            title: text::line(title),
            sentence: text::clip(&text::line(sentence), SENTENCE),
            severity: Severity::High,
            subject: None,
            source: None,
            environment: None,
            owner: None,
            finding: None,
            since: None,
            first_seen: None,
            confirmed_at: now,
            due_at: None,
            because: None,
            repeats: None,
            origin: Origin::Single,
            group_interval: Span::minutes(5),
            detail: None,
            letter: None,
        }
    }
}

/// What a retirement means, in a sentence.
pub(super) const fn left(authority: Authority) -> &'static str {
    match authority {
        Authority::Inventory => {
            "The inventory of record no longer has it. It left; it was not mended."
        }
        Authority::Control => "Its control was removed. It was not mended.",
        Authority::OutOfScope => {
            "It is still in the inventory, but no longer in the control's population. It was not mended."
        }
    }
}

fn repeats(finding: &Finding) -> Option<String> {
    let times = u32::try_from(finding.state.openings.len()).unwrap_or(u32::MAX);
    (times > 1).then(|| format!("{} time in 30 days", text::ordinal(times)))
}

fn source_of(subject: &str) -> Option<String> {
    let (source, rest) = subject.split_once('/')?;
    (!source.is_empty() && !rest.is_empty()).then(|| text::line(source))
}

/// The failure condition, with the values of the parameters in it.
pub fn condition(control: &Control) -> String {
    let text = text::block(&control.fails_when.text);
    let with: Vec<String> = control
        .params
        .iter()
        .filter(|(name, _)| text.contains(&format!("${name}")))
        .map(|(name, param)| format!("{name} = {}", shown(param)))
        .collect();
    if with.is_empty() {
        text
    } else {
        format!("{text}, with {}", with.join(", "))
    }
}

fn shown(param: &Param) -> String {
    match param {
        Param::Duration(span) => span.to_string(),
        Param::Bool(value) => value.to_string(),
        Param::Int(value) => value.to_string(),
        Param::Float(value) => value.to_string(),
        Param::Text(value) => text::clip(&text::line(value), 120),
        Param::List(values) => text::clip(&text::line(&values.join(", ")), 120),
    }
}

/// The provision that a control enforces, with its wording at the version in force.
pub fn provision(policy: &Policy, id: &str) -> PolicyText {
    PolicyText {
        title: text::line(&policy.title),
        reference: format!("{}#{id}", policy.id),
        version: policy.version,
        effective: policy.effective,
        text: policy
            .provision(id)
            .map(|p| text::clip(&text::block(&p.text), QUOTE)),
    }
}

fn seen(used: &Used) -> Seen {
    Seen {
        dataset: used.dataset.to_string(),
        snapshot: used.snapshot.as_ref().map(ToString::to_string),
        sha256: used.content.as_ref().map(ToString::to_string),
        collected_at: used.collected_at,
        rows: used.rows,
    }
}

/// A row as people read it: names and values.
pub fn columns(row: &Row) -> Vec<(String, String)> {
    row.iter()
        .map(|(name, value)| {
            let shown = match value {
                serde_json::Value::Null => "not set".to_owned(),
                serde_json::Value::String(s) => s.clone(),
                other => other.to_string(),
            };
            (text::line(name), text::clip(&text::line(&shown), 120))
        })
        .collect()
}

/// The word for what a change is, when it is told at all.
pub const fn word(effect: Effect, gap: bool) -> Option<Word> {
    match (effect, gap) {
        (Effect::Recheck, _) => None,
        (Effect::Opened | Effect::Reopened | Effect::Flapping | Effect::Uncovered, true) => {
            Some(Word::NotChecked)
        }
        (Effect::Resolved | Effect::Retired, true) => Some(Word::CheckedAgain),
        (Effect::Opened, false) => Some(Word::New),
        (Effect::Reopened, false) => Some(Word::Reopened),
        (Effect::Flapping, false) => Some(Word::Flapping),
        (Effect::Resolved, false) => Some(Word::Resolved),
        (Effect::Retired, false) => Some(Word::Retired),
        (Effect::OpenedCovered, _) => Some(Word::Covered),
        (Effect::Uncovered, false) => Some(Word::NoLongerCovered),
    }
}
