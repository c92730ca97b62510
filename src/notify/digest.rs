//! The digest: what changed for one reader since the last one, and what is due. Delta first, then
//! what is new, what is overdue, which exceptions end, what is mended, what is not checked. Pure; when
//! there is nothing to say, it says nothing, and says why.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use serde_json::{Value, json};

pub use super::duties::{Ending, Waiting};
use super::{
    alert::{label, tone},
    bundle::{Entry, Site, is_good},
    email::{Letter, List},
    error::Result,
    options::AllQuiet,
    period::Period,
    templates::Templates,
    text,
};
use crate::{
    choice,
    model::{
        id::{NoticeId, Sha},
        notice::{Kind, Word},
        people::Principal,
        policy::Severity,
    },
};

/// Rows of one section.
const MAX_ROWS: usize = 20;

/// Mail programs cut off what is longer than 102 kB.
const MAX_HTML: usize = 95_000;

/// How long a finding stays overdue before a digest comes for that alone again.
const REMIND: TimeDelta = TimeDelta::days(7);

/// Silence after which all is said to be quiet.
const LONG_SILENCE: TimeDelta = TimeDelta::days(28);

/// A finding that is open, of those that the reader follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// Its short name.
    pub finding: String,
    /// The subject.
    pub subject: String,
    /// The control.
    pub control: String,
    /// The control's title.
    pub title: String,
    /// How bad it is.
    pub severity: Severity,
    /// Since when it is open.
    pub since: DateTime<Utc>,
    /// When it should be mended.
    pub due_at: DateTime<Utc>,
}

/// A control of the reader that is not checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unchecked {
    /// The control.
    pub control: String,
    /// Its title.
    pub title: String,
    /// The source that it waits for.
    pub source: String,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Why, in one sentence.
    pub why: Option<String>,
    /// When its evidence was good last.
    pub last_good: Option<DateTime<Utc>>,
}

/// Everything that a digest is made of.
#[derive(Debug, Clone)]
pub struct Material {
    /// Who reads it.
    pub reader: Principal,
    /// The reader's time zone.
    pub zone: Tz,
    /// The period.
    pub period: Period,
    /// The last digest that was sent to the reader.
    pub last: Option<DateTime<Utc>>,
    /// What was told to the reader since, and what waited for the digest.
    pub entries: Vec<Entry>,
    /// What is open of what the reader follows.
    pub open: Vec<Open>,
    /// What is not checked of what the reader owns.
    pub unchecked: Vec<Unchecked>,
    /// What waits for the reader.
    pub waiting: Vec<Waiting>,
    /// Which of the reader's exceptions end soon.
    pub ending: Vec<Ending>,
    /// The newest signed checkpoint of the audit log.
    pub checkpoint: Option<String>,
    /// Where one click ends the list.
    pub unsubscribe: Option<String>,
}

choice! {
    /// Why a digest is sent, or is not.
    pub enum Occasion {
        /// Something changed.
        Changed = "changed",
        /// Something became overdue.
        BecameOverdue = "became_overdue",
        /// Something is overdue for another week.
        StillOverdue = "still_overdue",
        /// Something waits for the reader, and is due.
        Waiting = "waiting",
        /// An exception ends soon.
        ExceptionEnds = "exception_ends",
        /// Nothing happened for four weeks, and the reader wants to hear that.
        AllQuiet = "all_quiet",
        /// There is nothing to say.
        NothingToSay = "nothing_to_say",
        /// The reader wants none, and nothing is overdue.
        Unwanted = "unwanted",
    }
}

impl Occasion {
    /// Whether a digest is sent.
    pub const fn is_sent(self) -> bool {
        !matches!(self, Self::NothingToSay | Self::Unwanted)
    }
}

/// The id of a reader's digest for a period.
pub fn id_of(reader: &Principal, period: &Period) -> NoticeId {
    super::bundle::id_of([format!("digest|{reader}|{}", period.key).as_str()])
}

impl Material {
    fn since(&self) -> DateTime<Utc> {
        self.last.unwrap_or(self.period.from)
    }

    fn now(&self) -> DateTime<Utc> {
        self.period.at
    }

    fn overdue(&self) -> Vec<&Open> {
        let mut overdue: Vec<&Open> = self
            .open
            .iter()
            .filter(|o| o.due_at <= self.now())
            .collect();
        overdue.sort_by(|a, b| {
            (b.severity, a.due_at, &a.finding).cmp(&(a.severity, b.due_at, &b.finding))
        });
        overdue
    }

    /// Whether there is something to say, and why.
    pub fn occasion(&self, all_quiet: AllQuiet) -> Occasion {
        let overdue = self.overdue();
        if !overdue.is_empty()
            && self
                .last
                .is_none_or(|last| overdue.iter().any(|o| o.due_at > last))
        {
            return Occasion::BecameOverdue;
        }
        if !overdue.is_empty() && self.last.is_some_and(|last| self.now() - last >= REMIND) {
            return Occasion::StillOverdue;
        }
        if self.period.duties_only {
            return Occasion::Unwanted;
        }
        let began = self.unchecked.iter().any(|u| u.since > self.since());
        // Exceptions were told at once; a digest repeats them and does not come for them.
        let told = |kind: Kind| matches!(kind, Kind::Exception | Kind::Signal | Kind::Report);
        let news = self.entries.iter().any(|e| !told(e.item.kind));
        if news || began {
            return Occasion::Changed;
        }
        if self.waiting.iter().any(|w| self.is_pressing(w)) {
            return Occasion::Waiting;
        }
        if self.ending.iter().any(|e| e.is_announced_now) {
            return Occasion::ExceptionEnds;
        }
        let silent = self
            .last
            .is_none_or(|last| self.now() - last >= LONG_SILENCE);
        if all_quiet == AllQuiet::Month && silent {
            Occasion::AllQuiet
        } else {
            Occasion::NothingToSay
        }
    }

    /// Whether something that waits became due since the last digest, or is due within a day.
    fn is_pressing(&self, waiting: &Waiting) -> bool {
        waiting
            .due_at
            .is_some_and(|due| due > self.since() && due <= self.now() + TimeDelta::days(1))
    }

    /// `2 new · 1 resolved · 7 still open (oldest 41 d) · 1 not checked · 2 exceptions end within 14 d`.
    pub fn delta(&self) -> String {
        self.counts().join(" · ")
    }

    fn counts(&self) -> Vec<String> {
        let mut out = Vec::new();
        if !self.period.duties_only {
            for word in [
                Word::New,
                Word::Reopened,
                Word::NoLongerCovered,
                Word::Flapping,
                Word::Resolved,
                Word::Retired,
                Word::CheckedAgain,
                Word::InfoNeeded,
                Word::Decided,
                Word::ConditionFailed,
                Word::Ended,
                Word::Questioned,
            ] {
                let n = self.entries.iter().filter(|e| e.item.word == word).count();
                if n > 0 {
                    out.push(format!(
                        "{} {}",
                        text::thousands(n as u64),
                        word.title().to_lowercase()
                    ));
                }
            }
        }
        // What is new is counted as that.
        let began = |o: &Open| {
            let mut news = self.entries.iter().filter(|e| !is_good(e.item.word));
            news.any(|e| e.facts.finding.as_deref() == Some(o.finding.as_str()))
        };
        let still = self
            .open
            .iter()
            .filter(|o| self.period.duties_only || !began(o));
        let still: Vec<DateTime<Utc>> = still.map(|o| o.since).collect();
        if let Some(oldest) = still.iter().copied().min() {
            let open = text::thousands(still.len() as u64);
            out.push(format!(
                "{open} still open (oldest {})",
                text::length(self.now() - oldest)
            ));
        }
        let overdue = self.overdue().len();
        if overdue > 0 {
            out.push(format!("{} overdue", text::thousands(overdue as u64)));
        }
        if !self.unchecked.is_empty() {
            out.push(format!(
                "{} not checked",
                text::thousands(self.unchecked.len() as u64)
            ));
        }
        let waiting = self.waiting.len() as u64;
        if waiting > 0 {
            let waits = if waiting == 1 { "waits" } else { "wait" };
            out.push(format!("{waiting} {waits} for you"));
        }
        if let Some(last) = self.ending.iter().map(|e| e.ends_at).max() {
            let (n, days) = (
                self.ending.len() as u64,
                (last - self.now()).num_days().max(0) + 1,
            );
            let ends = if n == 1 {
                "exception ends"
            } else {
                "exceptions end"
            };
            out.push(format!("{n} {ends} within {days} d"));
        }
        if out.is_empty() && !self.entries.is_empty() {
            out.push(text::counted(self.entries.len() as u64, "item"));
        }
        out
    }

    /// Writes the digest.
    pub fn letter(&self, occasion: Occasion, site: &Site, templates: &Templates) -> Result<Letter> {
        let mut rows = MAX_ROWS;
        loop {
            let facts = self.context(occasion, site, rows);
            let html = templates.render("digest.html", &facts)?;
            if html.len() > MAX_HTML && rows > 1 {
                rows /= 2;
                continue;
            }
            let short = Sha::of(self.reader.to_string()).short();
            return Ok(Letter {
                subject: self.subject(occasion),
                text: templates.render("digest.txt", &facts)?,
                html,
                thread: vec![format!("digest.{short}")],
                list: List::Digest,
                unsubscribe: Some(self.unsubscribe.clone().unwrap_or_default()),
            });
        }
    }

    fn subject(&self, occasion: Occasion) -> String {
        let day = self.now().with_timezone(&self.zone).format("%-d %b");
        let mut counts = self.counts();
        if occasion == Occasion::AllQuiet {
            counts = vec!["all quiet".to_owned()];
        }
        counts.truncate(3);
        format!("[Tripline] {day}: {}", counts.join(", "))
    }

    fn context(&self, occasion: Occasion, site: &Site, rows: usize) -> Value {
        let since = self
            .since()
            .with_timezone(&self.zone)
            .format("%a %-d %b %Y")
            .to_string();
        let quiet = (occasion == Occasion::AllQuiet).then(|| {
            format!("Nothing changed since {since}. Your controls run, and this is only to say so.")
        });
        let delta = if occasion == Occasion::AllQuiet {
            "all quiet".to_owned()
        } else {
            self.delta()
        };
        json!({
            "subject": self.subject(occasion),
            "preheader": delta,
            "heading": format!("Your controls since {since}"),
            "delta": delta,
            "sections": self.sections(site, rows),
            "quiet": quiet,
            "why": self.why(site),
            "unsubscribe": self.unsubscribe,
            "checkpoint": self.checkpoint.as_deref().map(str::trim_end),
            "all_link": site.under(&["findings"]),
            "organisation": site.organisation,
            "now": self.now().to_rfc3339(),
        })
    }

    fn why(&self, site: &Site) -> String {
        let who = match &self.reader {
            Principal::Person(_) => "you answer for what is in it",
            Principal::Team(_) => "your team answers for what is in it",
        };
        let duty =
            "Findings of yours that are overdue come once a week even if you want no digest.";
        format!(
            "You get this because {who} at {}. {duty}",
            site.organisation
        )
    }

    fn sections(&self, site: &Site, limit: usize) -> Vec<Value> {
        let entries = |keep: &dyn Fn(&Entry) -> bool| -> Vec<Value> {
            let mut kept: Vec<&Entry> = self.entries.iter().filter(|e| keep(e)).collect();
            kept.sort_by(|a, b| {
                (b.facts.severity, &a.item.key).cmp(&(a.facts.severity, &b.item.key))
            });
            kept.into_iter().map(|e| entry_row(e, site)).collect()
        };
        let of_findings = |e: &Entry| e.item.kind == Kind::Finding;
        let overdue: Vec<Value> = self
            .overdue()
            .into_iter()
            .map(|o| self.overdue_row(o, site))
            .collect();
        let mut unchecked = entries(&|e| e.item.kind == Kind::Gap);
        unchecked.extend(self.unchecked.iter().map(unchecked_row));
        let mut sections = vec![("Overdue", overdue)];
        if !self.period.duties_only {
            sections.insert(
                0,
                ("New", entries(&|e| of_findings(e) && !is_good(e.item.word))),
            );
            sections.push((
                "Waits for you",
                self.waiting.iter().map(|w| w.row(self.now())).collect(),
            ));
            sections.push((
                "Exceptions ending",
                self.ending.iter().map(|e| e.row(self.now())).collect(),
            ));
            sections.push(("Exceptions", entries(&|e| e.item.kind == Kind::Exception)));
            sections.push((
                "Policies questioned",
                entries(&|e| e.item.kind == Kind::Signal),
            ));
            sections.push((
                "Resolved",
                entries(&|e| of_findings(e) && is_good(e.item.word)),
            ));
            sections.push(("Not checked", unchecked));
            sections.push((
                "Tripline itself",
                entries(&|e| e.item.kind == Kind::Operation),
            ));
        }
        sections
            .into_iter()
            .filter(|(_, rows)| !rows.is_empty())
            .map(|(title, mut rows)| {
                let more = rows.len().saturating_sub(limit);
                rows.truncate(limit);
                let more = (more > 0).then(|| text::thousands(more as u64));
                json!({ "title": title, "rows": rows, "more": more })
            })
            .collect()
    }

    fn overdue_row(&self, open: &Open, site: &Site) -> Value {
        let link = site.link(&open.finding);
        json!({
            "label": format!("OVERDUE {}", open.severity.as_str().to_uppercase()),
            "tone": tone(Some(Word::StillOpen), open.severity),
            "sentence": format!("{}: {}", text::native(&open.subject), open.title),
            "line": format!(
                "{} · open for {} · was due {}",
                open.control, text::length(self.now() - open.since), text::day(open.due_at.date_naive())
            ),
            "command": link.is_none().then(|| format!("tripline explain {}", open.finding)),
            "link": link,
        })
    }
}

fn entry_row(entry: &Entry, site: &Site) -> Value {
    let facts = &entry.facts;
    let good = is_good(entry.item.word);
    let parts = [
        entry
            .item
            .control
            .as_ref()
            .filter(|_| entry.item.kind == Kind::Finding)
            .map(ToString::to_string),
        facts.environment.clone(),
        facts
            .since
            .filter(|_| !good)
            .map(|at| format!("since {}", text::instant(at))),
        facts.repeats.clone().filter(|_| !good),
        facts
            .due_at
            .filter(|_| !good)
            .map(|at| format!("due {}", text::day(at.date_naive()))),
        facts
            .because
            .clone()
            .filter(|_| good || entry.item.kind == Kind::Gap),
    ];
    let about: Vec<String> = parts.into_iter().flatten().collect();
    let link = facts.finding.as_deref().and_then(|f| site.link(f));
    let command = facts
        .finding
        .as_deref()
        .filter(|_| link.is_none())
        .map(|f| format!("tripline explain {f}"));
    json!({
        "label": label(Some(entry.item.word), entry.item.kind, facts.severity),
        "tone": tone(Some(entry.item.word), facts.severity),
        "sentence": text::clip(&facts.sentence, 300),
        "line": text::clip(&about.join(" · "), 300),
        "command": command,
        "link": link,
    })
}

fn unchecked_row(unchecked: &Unchecked) -> Value {
    let good = unchecked.last_good.map_or_else(
        || "never read whole".to_owned(),
        |at| format!("last good {}", text::instant(at)),
    );
    let since = text::instant(unchecked.since);
    let why = unchecked.why.as_deref().map_or_else(String::new, |w| {
        format!(" · {}", text::clip(&text::line(w), 200))
    });
    json!({
        "label": "NOT CHECKED",
        "tone": "warn",
        "sentence": format!("{}: findings keep the state they have", unchecked.title),
        "line": format!("{} · source {} since {since} · {good}{why}", unchecked.control, unchecked.source),
    })
}
