//! The alert: one bundle as a letter, in the order in which a security team reads it: what is wrong
//! with the true values, why it matters, where and since when, the evidence, what was ruled out, what
//! to do, and why it came to this reader.

use serde_json::{Value, json};

use super::{
    bundle::{Bundle, Entry, Site, is_good},
    email::{Letter, List},
    error::Result,
    facts::{Detail, Facts, Seen},
    templates::Templates,
    text,
};
use crate::{
    catalog::template,
    model::{
        notice::{Kind, Word},
        policy::Severity,
    },
};

/// Findings that a message lists at most.
pub(super) const MAX_LISTED: usize = 20;

/// Writes a bundle as a letter.
pub fn letter(bundle: &Bundle, site: &Site, templates: &Templates) -> Result<Letter> {
    let written = bundle.first().and_then(|e| e.facts.letter.as_ref());
    if let Some(written) = written {
        return Ok(Letter {
            subject: written.subject.clone(),
            text: written.text.clone(),
            html: written.html.clone(),
            thread: bundle.threads(),
            list: List::Digest,
            unsubscribe: None,
        });
    }
    let facts = context(bundle, site);
    let again = bundle
        .entries
        .iter()
        .all(|e| e.item.word != Word::New && e.item.word != Word::NotChecked);
    let prefix = if again
        && !matches!(
            bundle.kind(),
            Kind::Operation | Kind::Exception | Kind::Signal
        ) {
        "Re: "
    } else {
        ""
    };
    Ok(Letter {
        subject: format!("{prefix}{}", bundle.subject_line()),
        text: templates.render("alert.txt", &facts)?,
        html: templates.render("alert.html", &facts)?,
        thread: bundle.threads(),
        list: List::Alerts,
        unsubscribe: None,
    })
}

/// What the templates of a single message are given.
pub fn context(bundle: &Bundle, site: &Site) -> Value {
    let Some(first) = bundle.first() else {
        return json!({});
    };
    let facts = &first.facts;
    let headline = bundle.headline();
    let label = label(bundle.word(), bundle.kind(), bundle.severity());
    let entries: Vec<Value> = bundle
        .entries
        .iter()
        .take(MAX_LISTED)
        .map(|e| entry(e, site))
        .collect();
    let more = bundle.entries.len().saturating_sub(MAX_LISTED);
    let table = if bundle.count() == 1 {
        table_of_one(first)
    } else {
        table_of_many(bundle)
    };
    json!({
        "subject": bundle.subject_line(),
        "preheader": text::clip(&format!("{label}: {headline}"), 140),
        "label": label,
        "tone": tone(bundle.word(), bundle.severity()),
        "headline": headline,
        "because": facts.because,
        "detail": facts.detail.as_ref().map_or_else(|| json!({}), |d| detail(d, bundle)),
        "entries": entries,
        "more": if more > 0 { json!(text::thousands(more as u64)) } else { Value::Null },
        "table": table,
        "actions": actions(bundle, site),
        "reason": bundle.reason(),
        "id": bundle.id,
        "organisation": site.organisation,
        "now": bundle.sealed_at.to_rfc3339(),
    })
}

fn entry(entry: &Entry, site: &Site) -> Value {
    let facts = &entry.facts;
    let parts = [
        facts.subject.clone(),
        facts.owner.clone(),
        facts.since.map(|at| format!("since {}", text::instant(at))),
        facts.repeats.clone(),
    ];
    let about: Vec<String> = parts.into_iter().flatten().collect();
    let link = facts.finding.as_deref().and_then(|f| site.link(f));
    json!({
        "label": label(Some(entry.item.word), entry.item.kind, facts.severity),
        "tone": tone(Some(entry.item.word), facts.severity),
        "sentence": facts.sentence,
        "line": about.join(" · "),
        "command": command(facts).filter(|_| link.is_none()),
        "link": link,
    })
}

fn command(facts: &Facts) -> Option<String> {
    facts
        .finding
        .as_deref()
        .map(|f| format!("tripline explain {f}"))
}

/// What is over needs no remedy, and its last failing row is no longer the case.
fn detail(detail: &Detail, bundle: &Bundle) -> Value {
    let bad = bundle.is_bad();
    let policy = detail.policy.as_ref().map(|p| {
        json!({
            "title": p.title, "reference": p.reference, "version": p.version,
            "effective_day": text::day(p.effective), "text": p.text,
        })
    });
    let evidence: Vec<Value> = detail.evidence.iter().map(seen).collect();
    let fix: Vec<&str> = detail
        .fix
        .as_deref()
        .unwrap_or_default()
        .lines()
        .filter(|l| !l.is_empty())
        .collect();
    json!({
        "policy": policy,
        "why": detail.why,
        "frameworks": detail.frameworks,
        "condition": detail.condition.as_ref().filter(|_| bad),
        "rows_title": (!bad && !detail.rows.is_empty()).then_some("It failed last with these values:"),
        "rows": if bundle.count() == 1 { json!(detail.rows) } else { json!([]) },
        "more_rows": detail.more_rows,
        "evidence": evidence,
        "ruled_out": if bad { json!(detail.ruled_out) } else { json!([]) },
        "fix_lines": if bad { json!(fix) } else { json!([]) },
        "run": detail.run,
    })
}

fn seen(seen: &Seen) -> Value {
    let parts = [
        Some(format!(
            "{}: {}",
            seen.dataset,
            text::counted(seen.rows, "row")
        )),
        seen.collected_at
            .map(|at| format!("collected {}", text::instant(at))),
        seen.snapshot.clone(),
    ];
    let said: Vec<String> = parts.into_iter().flatten().collect();
    json!({ "line": said.join(", "), "sha256": seen.sha256 })
}

fn table_of_one(entry: &Entry) -> Vec<[String; 2]> {
    let facts = &entry.facts;
    let now = facts.confirmed_at;
    let since = |at| format!("{} ({})", text::instant(at), template::distance(now - at));
    let good = is_good(entry.item.word);
    let opened = facts
        .since
        .filter(|_| !good)
        .map(|at| match &facts.repeats {
            Some(repeats) => format!("{}, {repeats}", since(at)),
            None => since(at),
        });
    let was_open = facts
        .since
        .filter(|_| good)
        .map(|at| format!("{}, from {}", text::length(now - at), text::instant(at)));
    let of_exception = entry.item.kind == Kind::Exception;
    let of_signal = entry.item.kind == Kind::Signal;
    let graded = entry.item.kind != Kind::Operation && !of_exception && !of_signal;
    let severity = graded.then(|| facts.severity.to_string());
    let rows = [
        (
            "Subject",
            facts
                .subject
                .clone()
                .filter(|_| entry.item.kind == Kind::Finding),
        ),
        ("Exception", facts.subject.clone().filter(|_| of_exception)),
        ("Signal", facts.subject.clone().filter(|_| of_signal)),
        ("Environment", facts.environment.clone()),
        ("Owner", facts.owner.clone()),
        (
            "Control",
            entry
                .item
                .control
                .as_ref()
                .filter(|_| entry.item.kind == Kind::Finding)
                .map(|c| format!("{c}: {}", facts.title)),
        ),
        ("Severity", severity),
        ("Open since", opened),
        ("Was open", was_open),
        (
            "First seen",
            facts
                .first_seen
                .filter(|f| Some(*f) != facts.since)
                .map(since),
        ),
        (
            if of_exception || of_signal {
                "Since"
            } else {
                "Confirmed"
            },
            Some(text::instant(now)),
        ),
        ("Due", facts.due_at.filter(|_| !good).map(since)),
        ("Finding", facts.finding.clone()),
    ];
    present(rows)
}

fn table_of_many(bundle: &Bundle) -> Vec<[String; 2]> {
    let Some(first) = bundle.first() else {
        return Vec::new();
    };
    let facts = &first.facts;
    present([
        (
            "Control",
            Some(format!("{}: {}", bundle.control(), facts.title)),
        ),
        ("Findings", Some(text::thousands(bundle.count()))),
        ("Severity", Some(bundle.severity().to_string())),
        ("Owner", facts.owner.clone()),
        ("Confirmed", Some(text::instant(facts.confirmed_at))),
    ])
}

fn present<const N: usize>(rows: [(&str, Option<String>); N]) -> Vec<[String; 2]> {
    rows.into_iter()
        .filter_map(|(name, value)| Some([name.to_owned(), value?]))
        .collect()
}

/// What the reader can do: a name, and an address or a command.
fn actions(bundle: &Bundle, site: &Site) -> Value {
    let Some(first) = bundle.first() else {
        return json!([]);
    };
    let facts = &first.facts;
    let source = facts.source.as_deref().unwrap_or_default();
    let mut actions = Vec::new();
    if bundle.kind() == Kind::Gap && bundle.is_bad() {
        actions.push(json!([
            "Try to read it",
            null,
            format!("tripline connector test {source}")
        ]));
    }
    if bundle.kind() == Kind::Exception {
        let about = facts.subject.as_deref().unwrap_or_default();
        let (say, what) = match first.item.word {
            Word::Requested => (
                "See everything that there is to know, and decide",
                "package",
            ),
            _ => ("See how it stands", "show"),
        };
        let link = site.under(&["exceptions", about]);
        actions.push(json!([
            say,
            link,
            format!("tripline exception {what} {about}")
        ]));
    } else if bundle.kind() == Kind::Signal {
        let about = facts.subject.as_deref().unwrap_or_default();
        actions.push(json!([
            "See what repeats, what it has in common and which change would help",
            site.under(&["signals", about]),
            format!("tripline signals show {about}")
        ]));
    } else if let (1, Some(command)) = (bundle.count(), command(facts)) {
        let link = facts.finding.as_deref().and_then(|f| site.link(f));
        actions.push(json!([
            if bundle.is_bad() {
                "See the evidence and why nothing covers it"
            } else {
                "See its evidence and history"
            },
            link,
            command
        ]));
        if let Some(finding) = facts.finding.as_deref().filter(|_| bundle.is_bad()) {
            actions.push(json!([
                "Say that the result is wrong",
                null,
                format!("tripline findings wrong {finding} --by YOU --because WHY")
            ]));
            actions.push(json!([
                "Ask for an exception",
                null,
                "tripline exception submit REQUEST.yaml"
            ]));
        }
    } else if bundle.kind() == Kind::Finding {
        let link = site
            .under(&["findings"])
            .map(|l| format!("{l}?control={}", bundle.control()));
        actions.push(json!([
            "See all of them",
            link,
            format!("tripline findings --control {}", bundle.control())
        ]));
    }
    json!(actions)
}

/// Word and severity, never colour alone.
pub(super) fn label(word: Option<Word>, kind: Kind, severity: Severity) -> String {
    let severity = severity.as_str().to_uppercase();
    match word {
        Some(word) if is_good(word) || kind != Kind::Finding => word.title().to_uppercase(),
        Some(word) => format!("{} {severity}", word.title().to_uppercase()),
        None => severity,
    }
}

/// The colour that goes with it.
pub(super) fn tone(word: Option<Word>, severity: Severity) -> &'static str {
    match (word, severity) {
        (Some(Word::Resolved | Word::CheckedAgain), _) => "good",
        (
            Some(
                Word::Retired
                | Word::Covered
                | Word::Operation
                | Word::Decided
                | Word::InfoNeeded
                | Word::Questioned,
            ),
            _,
        ) => "calm",
        (Some(Word::NotChecked | Word::Flapping), _) | (_, Severity::Low | Severity::Medium) => {
            "warn"
        }
        _ => "bad",
    }
}
