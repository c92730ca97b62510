//! The facts of an evidence gap: which controls wait for a source, since when, and why.

use super::{Detail, Facts, ROWS, SENTENCE, repeats, seen, source_of};
use crate::{
    finding::Stopped,
    model::{
        finding::{Change, Effect},
        outcome::Unknown,
        run::Run,
        span::Span,
    },
    notify::text,
};

/// The facts of an evidence gap: which controls wait for the source, since when, and why.
pub fn gap(change: &Change, titles: &dyn Fn(&str) -> Option<String>, run: &Run) -> Facts {
    let finding = &change.finding;
    let stopped: Vec<Stopped> = finding.rows.iter().filter_map(Stopped::of_row).collect();
    let source = source_of(finding.subject.as_str()).unwrap_or_default();
    let count = text::counted(finding.row_count, "control");
    let last_good = stopped.iter().filter_map(|s| s.last_good).max();
    let detail = stopped
        .iter()
        .find_map(|s| s.detail.as_deref())
        .map(text::line);
    let since = finding.state.opened_at.or(Some(finding.first_seen));
    let sentence = match change.effect {
        Some(Effect::Resolved) => {
            format!("Source {source} is read again; its controls are checked again")
        }
        _ => format!(
            "{count} not checked since {}: source {source} cannot be read",
            since.map_or_else(|| text::instant(run.instant), text::instant)
        ),
    };
    let rows = stopped
        .iter()
        .take(ROWS * 4)
        .map(|s| stopped_row(s, titles))
        .collect();
    let good = last_good.map_or_else(
        || "It was never read whole.".to_owned(),
        |at| format!("It was last read whole on {}.", text::instant(at)),
    );
    Facts {
        title: format!("Source {source} can be read"),
        sentence: text::clip(&sentence, SENTENCE),
        severity: finding.severity,
        subject: Some(text::line(finding.subject.as_str())),
        source: Some(source),
        environment: None,
        owner: None,
        finding: Some(finding.key.short()),
        since,
        first_seen: Some(finding.first_seen),
        confirmed_at: run.instant,
        due_at: None,
        because: detail,
        repeats: repeats(finding),
        origin: finding.state.origin,
        group_interval: Span::minutes(5),
        detail: Some(Detail {
            policy: None,
            why: Some(format!(
                "{good} Until it is read whole again, what waits for it is neither passed nor resolved: findings keep the state they have."
            )),
            frameworks: Vec::new(),
            condition: None,
            rows,
            more_rows: 0,
            evidence: run.evidence.iter().map(seen).collect(),
            ruled_out: Vec::new(),
            fix: None,
            run: Some(run.id.to_string()),
        }),
        letter: None,
    }
}

fn stopped_row(
    stopped: &Stopped,
    titles: &dyn Fn(&str) -> Option<String>,
) -> Vec<(String, String)> {
    let why: Vec<String> = stopped
        .datasets
        .iter()
        .map(|(dataset, unknown)| format!("{dataset} ({})", reason(*unknown)))
        .collect();
    let control = stopped.control.as_str();
    let named = titles(control).map_or_else(|| control.to_owned(), |t| format!("{control}: {t}"));
    vec![
        (
            "control".to_owned(),
            text::clip(&text::line(&named), SENTENCE),
        ),
        (
            "waits for".to_owned(),
            text::clip(&text::line(&why.join(", ")), SENTENCE),
        ),
        ("not checked since".to_owned(), text::instant(stopped.since)),
    ]
}

/// Why an outcome is not known, in words.
pub const fn reason(unknown: Unknown) -> &'static str {
    match unknown {
        Unknown::SourceError => "the source answered with an error",
        Unknown::Timeout => "the source did not answer in time",
        Unknown::Auth => "the source refused our credentials",
        Unknown::RateLimited => "the source asked us to wait",
        Unknown::Empty => "nothing is there, which the control does not allow",
        Unknown::Incomplete => "rows are missing",
        Unknown::Suspect => "the content is implausible",
        Unknown::Stale => "the evidence is too old",
        Unknown::SchemaChanged => "a column is not what it was",
        Unknown::TypeError => "a value cannot be read as its type",
        Unknown::NullCondition => "the condition is neither true nor false",
        Unknown::LostVisibility => "we can no longer show that we see all there is",
        Unknown::ClockSkew => "the evidence comes from the future",
        Unknown::Unnamed => "the subject cannot be named",
        Unknown::Absent => "the subject was not seen",
        Unknown::AlreadyCounted => "the evidence was counted before",
        Unknown::NeverCollected => "nothing was ever collected",
    }
}
