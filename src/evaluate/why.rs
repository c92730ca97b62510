//! Why a run could not tell anything, in one sentence for people: which dataset, what is wrong with it, when it
//! was collected, and when it was last whole.

use chrono::{DateTime, SecondsFormat, Utc};

use crate::{
    evidence::Evidence,
    model::{outcome::Unknown, run::Used, span::Span},
};

/// One sentence for all snapshots that may not be believed.
pub(super) fn sentence(
    evidence: &Evidence,
    objections: &[(&Used, Unknown)],
    max_age: Span,
) -> String {
    let each: Vec<String> = objections
        .iter()
        .map(|(used, reason)| {
            let note = evidence.notes.get(&used.dataset);
            let what = note
                .and_then(|n| n.reason.clone())
                .filter(|_| *reason != Unknown::Stale)
                .unwrap_or_else(|| words(*reason, max_age));
            let at = used.collected_at;
            let collected = at.map(|at| format!(", collected {}", minute(at)));
            let last = note
                .and_then(|n| n.last_good)
                .filter(|last| Some(*last) != at);
            let good = last.map(|last| format!(", last good {}", minute(last)));
            format!(
                "`{}`: {what}{}{}",
                used.dataset,
                collected.unwrap_or_default(),
                good.unwrap_or_default()
            )
        })
        .collect();
    each.join("; ")
}

fn minute(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn words(reason: Unknown, max_age: Span) -> String {
    match reason {
        Unknown::SourceError => "the source answered with an error",
        Unknown::Timeout => "the source did not answer in time",
        Unknown::Auth => "the source refused our credentials",
        Unknown::RateLimited => "the source asked us to wait longer than we may",
        Unknown::Empty => "there are no rows",
        Unknown::Incomplete => "rows are missing",
        Unknown::Suspect => "its content is implausible",
        Unknown::Stale => return format!("it is older than {max_age}"),
        Unknown::SchemaChanged => "its columns are not what they were",
        Unknown::TypeError => "a value cannot be read as its type",
        Unknown::LostVisibility => "we can no longer show that we see all there is",
        Unknown::ClockSkew => "it comes from the future",
        Unknown::NeverCollected => "it was never collected",
        Unknown::NullCondition | Unknown::Unnamed | Unknown::Absent | Unknown::AlreadyCounted => {
            "it cannot be used"
        }
    }
    .to_owned()
}
