//! What findings say beside the asks: whom exceptions keep silent, and what opens again and again.

use std::collections::BTreeSet;

use super::{
    ask::Seen,
    cells::count,
    index::{Index, Row},
    options::Options,
    pattern::{Cause, CauseCode, Descriptor, Findings, Pattern},
};

/// Beside the reason, what is an attribute of asks and no fact of a subject.
const OF_ASKS: &str = "subject_kind";

/// What findings say of a pattern.
pub(crate) fn of(index: &Index<'_>, options: &Options, pattern: &Pattern) -> Findings {
    let control = pattern.control.as_str();
    let members: BTreeSet<&str> = pattern.members.iter().map(String::as_str).collect();
    let silent: Vec<&Seen> = seen(index, control)
        .filter(|f| f.asks.iter().any(|a| members.contains(a.as_str())))
        .collect();
    let teams: BTreeSet<&str> = silent.iter().filter_map(|f| index.team(f)).collect();
    let asked = asked(index, control);
    let again = seen(index, control)
        .filter(|f| f.opened >= options.reopened && is_one(options, f, &pattern.descriptor));
    Findings {
        silent: count(silent.len()),
        teams: count(teams.len()),
        unasked: count(teams.difference(&asked).count()),
        reopened: count(again.count()),
    }
}

/// Teams that hold an exception to a control although they never asked: what somebody else asked for covers theirs, too.
pub(crate) fn beside<'i>(index: &'i Index<'_>, control: &str, rows: &[&Row]) -> BTreeSet<&'i str> {
    let ids: BTreeSet<&str> = rows
        .iter()
        .filter_map(|r| index.ask(r))
        .map(|a| a.id.as_str())
        .collect();
    let asked = asked(index, control);
    seen(index, control)
        .filter(|f| f.asks.iter().any(|a| ids.contains(a.as_str())))
        .filter_map(|f| index.team(f))
        .filter(|t| !asked.contains(t))
        .collect()
}

/// Findings that open again and again speak against the control itself.
pub(crate) fn defect(index: &Index<'_>, control: &str, found: &Findings) -> Option<Cause> {
    let all = index.controls.iter().find(|c| c.id == control)?.watched?;
    let often = found.reopened >= LEAST_AGAIN && found.reopened * 4 >= all.findings;
    often.then(|| Cause {
        code: CauseCode::ControlDefect,
        why: format!(
            "{} of its {} findings opened again and again: it may fail what it should pass",
            found.reopened, all.findings
        ),
    })
}

/// So many must have opened again and again before anybody is bothered with it.
const LEAST_AGAIN: u32 = 3;

fn seen<'i>(index: &'i Index<'_>, control: &str) -> impl Iterator<Item = &'i Seen> {
    let all = index.history.findings.iter();
    all.filter(move |f| index.control(&f.control) == control)
}

/// The teams that ever asked.
fn asked<'i>(index: &'i Index<'_>, control: &str) -> BTreeSet<&'i str> {
    let entry = index.controls.iter().find(|c| c.id == control);
    let rows = entry.into_iter().flat_map(|e| &e.rows);
    rows.filter_map(|r| index.teams.get(r.team as usize).copied())
        .collect()
}

/// Whether a descriptor fits a finding, as far as findings can know.
fn is_one(options: &Options, finding: &Seen, descriptor: &Descriptor) -> bool {
    let of_asks = |name: &str| name == options.watch_attribute || name == OF_ASKS;
    descriptor
        .iter()
        .filter(|(name, _)| !of_asks(name))
        .all(|(name, value)| finding.facts.get(name) == Some(value))
}
