//! What is recorded: one kind of leaf for each kind of fact, as canonical JSON (RFC 8785).
//! A leaf is written once and kept byte for byte; its shape belongs to its version `v`, so a kind that must
//! change gets a new version and old leaves stay readable. A leaf holds no secret, no row of evidence and no
//! personal data: people are [`blind`] digests, whose salts live where they can be erased. Subjects are
//! systems and stand in plain text.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use super::fact::{
    Access, Authority, AuthorityFact, ExceptionFact, Remark, ReportFact, Said, SignalFact,
};
use crate::{
    choice,
    model::{
        finding::{Change, Effect, Observation, Reason, Status},
        id::{
            ChannelId, ControlId, DatasetName, ExceptionId, FindingKey, NoticeId, RunId, Sha,
            SnapshotId, SubjectId,
        },
        outcome::{Counts, Unknown},
        policy::Severity,
        run::{self, Cause},
        snapshot::{Completeness, Snapshot},
    },
};

/// The version of the shapes below.
const VERSION: u32 = 1;

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Leaf {
    /// The version of its shape.
    pub v: u32,
    /// When it was recorded.
    pub at: DateTime<Utc>,
    /// What was.
    #[serde(flatten)]
    pub fact: Fact,
}

/// What a leaf records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fact {
    /// A control ran.
    Run(Box<RunFact>),
    /// A finding moved, or something was to be told of it.
    Transition(Box<Transition>),
    /// Evidence was collected, or could not be.
    Evidence(Box<EvidenceFact>),
    /// A notice was tried.
    Notice(Attempt),
    /// A file that decides came into force.
    Definition(Definition),
    /// The daemon started, stopped, or was away.
    Life(Life),
    /// The log goes on under another key.
    Key(KeyChange),
    /// Somebody with more rights than others looked.
    Read(Access),
    /// Somebody said something of a finding or a collection.
    Remark(Remark),
    /// Something happened to an exception.
    Exception(Box<ExceptionFact>),
    /// Something happened to a signal.
    Signal(Box<SignalFact>),
    /// A report was made.
    Report(ReportFact),
    /// Somebody may act as somebody, or may no longer.
    Authority(AuthorityFact),
}

/// A run of a control: what it looked at, and what it said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunFact {
    /// The run.
    pub run: RunId,
    /// The control.
    pub control: ControlId,
    /// What the control said then.
    pub definition: Sha,
    /// The whole configuration then.
    pub config: Sha,
    /// When it was due.
    pub scheduled_for: DateTime<Utc>,
    /// Why it ran.
    pub cause: Cause,
    /// What `now()` was.
    pub instant: DateTime<Utc>,
    /// Why nothing could be told.
    pub not_checked: Option<Unknown>,
    /// How many subjects had which outcome.
    pub counts: Counts,
    /// Whether its outcomes count.
    pub counted: bool,
    /// The digest of its outcomes: what a replay must reproduce.
    pub outcomes: Sha,
    /// The snapshots.
    pub evidence: Vec<Seen>,
}

/// A snapshot that a run looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// The dataset.
    pub dataset: DatasetName,
    /// The snapshot.
    pub snapshot: Option<SnapshotId>,
    /// Its rows.
    pub content: Option<Sha>,
    /// Whether it could be believed.
    pub status: Completeness,
    /// How many rows.
    pub rows: u64,
    /// When its collection began.
    pub collected_at: Option<DateTime<Utc>>,
    /// Why no outcome could be drawn from it.
    pub objection: Option<Unknown>,
}

/// A finding before and after one observation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transition {
    /// The finding.
    pub finding: FindingKey,
    /// The control.
    pub control: ControlId,
    /// The subject.
    pub subject: SubjectId,
    /// The run that observed it.
    pub run: RunId,
    /// What the control said then.
    pub definition: Sha,
    /// The episode.
    pub episode: u32,
    /// The transition's number within the finding.
    pub number: u32,
    /// Where it stood.
    pub before: Option<Status>,
    /// Where it stands.
    pub after: Status,
    /// What was observed.
    pub observation: Observation,
    /// What is to be told.
    pub effect: Option<Effect>,
    /// Why.
    pub reason: Reason,
    /// How bad it is.
    pub severity: Severity,
    /// The exception that keeps it silent.
    pub covered_by: Option<ExceptionId>,
}

/// A collection of a dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceFact {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// What was collected.
    pub dataset: DatasetName,
    /// Whether it may be believed.
    pub status: Completeness,
    /// Why not.
    pub unknown: Option<Unknown>,
    /// How many rows.
    pub rows: u64,
    /// When the collection began: the evidence is as of then.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: DateTime<Utc>,
    /// The rows.
    pub content: Option<Sha>,
    /// The stored object.
    pub object: Option<Sha>,
    /// The columns.
    pub schema: Sha,
    /// How it was read.
    pub definition: Sha,
    /// What was asked for.
    pub scope: Sha,
}

choice! {
    /// How an attempt to send a notice ended.
    pub enum Answer {
        /// The receiver took it.
        Accepted = "accepted",
        /// It will be tried again.
        Failed = "failed",
        /// Nobody knows whether the receiver took it; it will be tried again under the same id.
        Ambiguous = "ambiguous",
        /// Given up.
        Dead = "dead",
        /// Nothing was left to say.
        Dropped = "dropped",
    }
}

/// An attempt to send a notice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    /// The notice: the id that travels to the receiver.
    pub notice: NoticeId,
    /// Over which channel.
    pub channel: ChannelId,
    /// To whom, [`blind`].
    pub recipient: Option<Sha>,
    /// The message, [`blind`].
    pub message: Sha,
    /// How many items it tells of.
    pub items: u64,
    /// The attempt, from 1.
    pub attempt: u32,
    /// How it ended.
    pub answer: Answer,
}

choice! {
    /// What kind of file a definition is.
    pub enum What {
        /// `tripline.yaml` with everything that it names.
        Config = "config",
        /// A control.
        Control = "control",
        /// A policy.
        Policy = "policy",
        /// A connector.
        Connector = "connector",
    }
}

/// A file that decides came into force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// Its kind.
    pub what: What,
    /// Its id.
    pub id: String,
    /// Its version, where the file has one.
    pub version: Option<u32>,
    /// Its content.
    pub digest: Sha,
}

choice! {
    /// What happened to the daemon.
    pub enum Event {
        /// It started.
        Start = "start",
        /// It stopped in order.
        Stop = "stop",
        /// It was not there.
        Gap = "gap",
    }
}

/// The daemon's own life.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Life {
    /// What happened.
    pub event: Event,
    /// The version of the program.
    pub program: String,
    /// For a gap: since when nobody was there.
    pub since: Option<DateTime<Utc>>,
}

/// The log goes on under another key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyChange {
    /// The fingerprint of the key before; nothing for the first.
    pub from: Option<Sha>,
    /// The key from now on, in its public text form.
    pub to: String,
}

impl Leaf {
    /// A leaf of the present shape.
    pub const fn new(at: DateTime<Utc>, fact: Fact) -> Self {
        Self {
            v: VERSION,
            at,
            fact,
        }
    }

    /// What one run leaves in the log: itself, and each finding that moved or of which something is told.
    pub fn of_run<'a>(run: &run::Run, changes: impl IntoIterator<Item = &'a Change>) -> Vec<Self> {
        let moved = changes.into_iter().filter_map(Transition::of);
        let facts = std::iter::once(Fact::Run(Box::new(RunFact::of(run))))
            .chain(moved.map(|t| Fact::Transition(Box::new(t))));
        facts.map(|fact| Self::new(run.ended_at, fact)).collect()
    }

    /// What changes of findings outside any run leave in the log.
    pub fn of_changes<'a>(
        at: DateTime<Utc>,
        changes: impl IntoIterator<Item = &'a Change>,
    ) -> Vec<Self> {
        let moved = changes.into_iter().filter_map(Transition::of);
        moved
            .map(|t| Self::new(at, Fact::Transition(Box::new(t))))
            .collect()
    }

    /// What a collection leaves in the log.
    pub fn of_snapshot(snapshot: &Snapshot) -> Self {
        let fact = Fact::Evidence(Box::new(EvidenceFact::of(snapshot)));
        Self::new(snapshot.ended_at, fact)
    }

    /// Its kind, as in its text.
    pub const fn kind(&self) -> &'static str {
        match self.fact {
            Fact::Run(_) => "run",
            Fact::Transition(_) => "transition",
            Fact::Evidence(_) => "evidence",
            Fact::Notice(_) => "notice",
            Fact::Definition(_) => "definition",
            Fact::Life(_) => "life",
            Fact::Key(_) => "key",
            Fact::Read(_) => "read",
            Fact::Remark(_) => "remark",
            Fact::Exception(_) => "exception",
            Fact::Signal(_) => "signal",
            Fact::Report(_) => "report",
            Fact::Authority(_) => "authority",
        }
    }

    /// Its bytes: canonical JSON. These are hashed, kept and verified; nobody writes them a second time.
    ///
    /// # Errors
    /// Never for the kinds above, which hold nothing that JSON cannot.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json_canonicalizer::to_vec(self)
    }

    /// Reads a leaf back.
    ///
    /// # Errors
    /// When it is of a kind or version that this program does not know.
    pub fn read(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}

/// The digest of personal data under a salt. Whoever erases the salt erases the link; whoever has both can
/// show that the leaf speaks of this person.
pub fn blind(salt: &[u8; 16], value: &str) -> Sha {
    Sha::of([salt.as_slice(), value.as_bytes()].concat())
}

impl RunFact {
    fn of(run: &run::Run) -> Self {
        let seen = |used: &run::Used| Seen {
            dataset: used.dataset.clone(),
            snapshot: used.snapshot.clone(),
            content: used.content,
            status: used.status,
            rows: used.rows,
            collected_at: used.collected_at,
            objection: used.objection,
        };
        Self {
            run: run.id.clone(),
            control: run.control.clone(),
            definition: run.definition,
            config: run.config,
            scheduled_for: run.scheduled_for,
            cause: run.cause,
            instant: run.instant,
            not_checked: run.not_checked,
            counts: run.counts,
            counted: run.counted,
            outcomes: run.outcomes,
            evidence: run.evidence.iter().map(seen).collect(),
        }
    }
}

impl Transition {
    /// Nothing for a finding that stands where it stood and of which nothing is told.
    fn of(change: &Change) -> Option<Self> {
        let finding = &change.finding;
        let state = &finding.state;
        let told = change.effect.is_some_and(|e| e != Effect::Recheck);
        let moved = change.before != Some(state.status);
        (told || moved).then(|| Self {
            finding: finding.key,
            control: finding.control.clone(),
            subject: finding.subject.clone(),
            run: finding.run.clone(),
            definition: finding.definition,
            episode: state.episode,
            number: state.transition,
            before: change.before,
            after: state.status,
            observation: change.observation,
            effect: change.effect,
            reason: change.reason,
            severity: finding.severity,
            covered_by: finding.covered_by.clone(),
        })
    }
}

impl EvidenceFact {
    fn of(snapshot: &Snapshot) -> Self {
        Self {
            snapshot: snapshot.id.clone(),
            dataset: snapshot.dataset.clone(),
            status: snapshot.status,
            unknown: snapshot.unknown,
            rows: snapshot.rows,
            started_at: snapshot.started_at,
            ended_at: snapshot.ended_at,
            content: snapshot.content,
            object: snapshot.object,
            schema: snapshot.schema,
            definition: snapshot.definition,
            scope: snapshot.scope,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        finding::{Finding, State},
        snapshot::Effort,
    };

    fn at() -> DateTime<Utc> {
        "2026-11-20T08:00:00Z".parse().unwrap()
    }

    fn text(fact: Fact) -> String {
        let leaf = Leaf::new(at(), fact);
        let bytes = leaf.to_bytes().unwrap();
        assert_eq!(Leaf::read(&bytes).unwrap(), leaf, "it can be read back");
        let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(value["kind"], leaf.kind());
        assert_eq!(
            serde_json_canonicalizer::to_vec(&value).unwrap(),
            bytes,
            "canonical"
        );
        String::from_utf8(bytes).unwrap()
    }

    fn run() -> run::Run {
        run::Run {
            id: "run-1".into(),
            control: "rotation".into(),
            scheduled_for: at(),
            cause: Cause::Schedule,
            instant: at(),
            ended_at: at(),
            not_checked: None,
            detail: Some("somebody's words".to_owned()),
            counts: Counts {
                population: 3,
                pass: 2,
                fail: 1,
                unknown: 0,
            },
            evidence: Vec::new(),
            definition: Sha([1; 32]),
            outcomes: Sha([2; 32]),
            counted: true,
            config: Sha([3; 32]),
        }
    }

    fn change(before: Option<Status>, after: Status, effect: Option<Effect>) -> Change {
        let (control, subject) = (ControlId::from("rotation"), SubjectId::from("aws/secret/a"));
        Change {
            finding: Finding {
                key: FindingKey::of(&control, &subject),
                control,
                subject,
                state: State {
                    status: after,
                    ..State::default()
                },
                severity: Severity::High,
                owners: vec!["ada".to_owned()],
                rows: Vec::new(),
                row_count: 0,
                fingerprint: std::collections::BTreeMap::new(),
                facts: std::collections::BTreeMap::new(),
                first_seen: at(),
                run: "run-1".into(),
                changed_at: at(),
                covered_by: None,
                definition: Sha([1; 32]),
            },
            before,
            observation: Observation::Fail,
            effect,
            reason: Reason::Confirmed,
            dirty: true,
        }
    }

    #[test]
    fn a_run_leaves_itself_and_what_moved() {
        let still = change(Some(Status::Open), Status::Open, None);
        let looked_at = change(
            Some(Status::Suspect),
            Status::Suspect,
            Some(Effect::Recheck),
        );
        let opened = change(Some(Status::Suspect), Status::Open, Some(Effect::Opened));
        let leaves = Leaf::of_run(&run(), [&still, &looked_at, &opened]);
        let kinds: Vec<&str> = leaves.iter().map(Leaf::kind).collect();
        assert_eq!(kinds, ["run", "transition"]);
        for leaf in leaves {
            let text = text(leaf.fact);
            assert!(
                !text.contains("somebody"),
                "words of people stay out: {text}"
            );
            assert!(!text.contains("ada"), "people stay out: {text}");
        }
    }

    #[test]
    fn the_shape_of_each_kind_is_pinned() {
        let short = |text: String| {
            text.replace(&"01".repeat(32), "01…")
                .replace(&"02".repeat(32), "02…")
                .replace(&"03".repeat(32), "03…")
        };
        insta::assert_snapshot!(short(text(Fact::Run(Box::new(RunFact::of(&run()))))), @r#"{"at":"2026-11-20T08:00:00Z","cause":"schedule","config":"03…","control":"rotation","counted":true,"counts":{"fail":1,"pass":2,"population":3,"unknown":0},"definition":"01…","evidence":[],"instant":"2026-11-20T08:00:00Z","kind":"run","not_checked":null,"outcomes":"02…","run":"run-1","scheduled_for":"2026-11-20T08:00:00Z","v":1}"#);
        let opened = change(Some(Status::Suspect), Status::Open, Some(Effect::Opened));
        insta::assert_snapshot!(short(text(Fact::Transition(Box::new(Transition::of(&opened).unwrap())))), @r#"{"after":"open","at":"2026-11-20T08:00:00Z","before":"suspect","control":"rotation","covered_by":null,"definition":"01…","effect":"opened","episode":0,"finding":"3687e55c516715688d0f7fdeb1776ee5d93bb47088730f1854b9dcf63315d46f","kind":"transition","number":0,"observation":"fail","reason":"confirmed","run":"run-1","severity":"high","subject":"aws/secret/a","v":1}"#);
        let snapshot = Snapshot {
            id: "snap-1".into(),
            dataset: DatasetName::new("aws", "secrets"),
            status: Completeness::Partial,
            unknown: Some(Unknown::Incomplete),
            reason: Some("somebody's words".to_owned()),
            rows: 187,
            effort: Effort::default(),
            started_at: at(),
            ended_at: at(),
            content: Some(Sha([1; 32])),
            object: Some(Sha([2; 32])),
            schema: Sha([3; 32]),
            definition: Sha([1; 32]),
            scope: Sha([2; 32]),
            identity: Some("somebody".to_owned()),
            request_ids: Vec::new(),
        };
        insta::assert_snapshot!(short(text(Leaf::of_snapshot(&snapshot).fact)), @r#"{"at":"2026-11-20T08:00:00Z","content":"01…","dataset":"aws.secrets","definition":"01…","ended_at":"2026-11-20T08:00:00Z","kind":"evidence","object":"02…","rows":187,"schema":"03…","scope":"02…","snapshot":"snap-1","started_at":"2026-11-20T08:00:00Z","status":"partial","unknown":"incomplete","v":1}"#);
        let attempt = Attempt {
            notice: "ntc-1".into(),
            channel: "mail".into(),
            recipient: Some(blind(&[7; 16], "ada@example.test")),
            message: Sha([2; 32]),
            items: 3,
            attempt: 1,
            answer: Answer::Accepted,
        };
        insta::assert_snapshot!(short(text(Fact::Notice(attempt))), @r#"{"answer":"accepted","at":"2026-11-20T08:00:00Z","attempt":1,"channel":"mail","items":3,"kind":"notice","message":"02…","notice":"ntc-1","recipient":"5d7a905eb671ef33774f6d2c06586046021394a843e06773daa2426639a88c65","v":1}"#);
        let definition = Definition {
            what: What::Control,
            id: "rotation".to_owned(),
            version: None,
            digest: Sha([1; 32]),
        };
        insta::assert_snapshot!(short(text(Fact::Definition(definition))), @r#"{"at":"2026-11-20T08:00:00Z","digest":"01…","id":"rotation","kind":"definition","v":1,"version":null,"what":"control"}"#);
        let gap = Life {
            event: Event::Gap,
            program: "0.1.0".to_owned(),
            since: Some(at()),
        };
        insta::assert_snapshot!(text(Fact::Life(gap)), @r#"{"at":"2026-11-20T08:00:00Z","event":"gap","kind":"life","program":"0.1.0","since":"2026-11-20T08:00:00Z","v":1}"#);
        let key = KeyChange {
            from: None,
            to: "name+id+key".to_owned(),
        };
        insta::assert_snapshot!(text(Fact::Key(key)), @r#"{"at":"2026-11-20T08:00:00Z","from":null,"kind":"key","to":"name+id+key","v":1}"#);
        let access = Access {
            who: Sha([3; 32]),
            what: "/findings".to_owned(),
        };
        let remark = Remark {
            said: Said::Muted,
            about: "mut-1".to_owned(),
            by: Sha([3; 32]),
            because: Sha([2; 32]),
        };
        insta::assert_snapshot!(short(text(Fact::Remark(remark))), @r#"{"about":"mut-1","at":"2026-11-20T08:00:00Z","because":"02…","by":"03…","kind":"remark","said":"muted","v":1}"#);
        insta::assert_snapshot!(short(text(Fact::Read(access))), @r#"{"at":"2026-11-20T08:00:00Z","kind":"read","v":1,"what":"/findings","who":"03…"}"#);
    }

    #[test]
    fn a_person_is_known_only_to_who_has_the_salt() {
        let (one, other) = ([1; 16], [2; 16]);
        let ada = "ada@example.test";
        assert_eq!(blind(&one, ada), blind(&one, ada));
        assert_ne!(blind(&one, ada), blind(&other, ada));
        assert_ne!(blind(&one, ada), Sha::of(ada));
    }
}
