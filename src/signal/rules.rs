//! The two legs that need no statistics: exceptions that never end, and the watch rule.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    account,
    ask::{Ask, Decided},
    cells::{count, distinct},
    index::{ALL, Index, Key, NONE, Row, number},
    options::Options,
    pattern::{Evidence, Findings, Kind, Pattern, Tier},
    wording,
};

/// One exception that is permanent in all but name.
struct Loop<'i> {
    row: &'i Row,
    times: u32,
    age: i32,
}

/// Exceptions that were renewed again and again or are older than allowed, one row for each control; and controls with
/// more temporary exceptions than their policy allows.
pub(crate) fn renewals(index: &Index<'_>, options: &Options, today: i32) -> Vec<Pattern> {
    let asks: HashMap<&str, &Ask> = index
        .history
        .asks
        .iter()
        .map(|a| (a.id.as_str(), a))
        .collect();
    let renewed: BTreeSet<&str> = index
        .history
        .asks
        .iter()
        .filter(|a| number(a.day) <= today && a.outcome == Decided::Approved)
        .filter_map(|a| a.renewal_of.as_deref())
        .collect();
    let mut patterns = Vec::new();
    for (control, entry) in index.controls.iter().enumerate() {
        let rows = entry.between(i32::MIN, today);
        let is_latest = |row: &&Row| {
            row.outcome(today) == Decided::Approved
                && index
                    .ask(row)
                    .is_some_and(|a| !renewed.contains(a.id.as_str()))
        };
        let loops: Vec<Loop<'_>> = rows
            .iter()
            .filter(is_latest)
            .filter_map(|row| judge(index.ask(row)?, &asks, row, options, today))
            .collect();
        let temporary = entry.watched.and_then(|w| w.temporary);
        let temporary = temporary.filter(|t| t.share > t.limit);
        if loops.is_empty() && temporary.is_none() {
            continue;
        }
        let members: Vec<&Row> = loops.iter().map(|l| l.row).collect();
        let teams = distinct(members.iter().map(|r| r.team));
        let departments = distinct(members.iter().filter_map(|r| r.department));
        let most = loops.iter().map(|l| l.times).max().unwrap_or(0);
        let oldest = loops.iter().map(|l| l.age).max().unwrap_or(0);
        let mut sentences = Vec::new();
        if !loops.is_empty() {
            let n = count(loops.len());
            sentences.push(wording::renewed(entry.id, n, teams, (most, oldest)));
        }
        if let Some(t) = temporary {
            sentences.push(wording::temporary(entry.id, t.share, t.limit));
        }
        let broad = teams >= options.min_teams
            && (departments == 0 || departments >= options.min_departments);
        let from = members.first().map_or(today - 1, |r| r.day - 1);
        let tier = if broad { Tier::Signal } else { Tier::Watch };
        let pattern = plain(index, options, (control, ALL), (from, today), &members);
        patterns.push(Pattern {
            kind: Kind::RenewalLoop,
            tier,
            sentence: sentences.join(" "),
            ..pattern
        });
    }
    patterns
}

/// Whether one exception is permanent in all but name: how often it was renewed, and for how long it has been held.
fn judge<'i>(
    ask: &Ask,
    asks: &HashMap<&str, &Ask>,
    row: &'i Row,
    options: &Options,
    today: i32,
) -> Option<Loop<'i>> {
    if ask.ends.is_some_and(|end| number(end) <= today) {
        return None;
    }
    let (mut first, mut steps) = (ask, 0);
    // A chain that bites its tail ends somewhere.
    while let Some(earlier) = first.renewal_of.as_deref().and_then(|id| asks.get(id)) {
        if steps as usize > asks.len() {
            break;
        }
        (first, steps) = (earlier, steps + 1);
    }
    let times = ask.renewals.max(steps);
    // Without an end it is only known to have been held until it was asked for again.
    let until = ask.ends.map_or(row.day, |_| today);
    let age = until - number(first.day);
    let limit = i32::try_from(options.renewal_days).unwrap_or(i32::MAX);
    (times >= options.renewals || age > limit).then_some(Loop { row, times, age })
}

/// Controls for which enough distinct teams asked with the same reason. A denied ask is no evidence here either.
pub(crate) fn watched(index: &Index<'_>, options: &Options, today: i32) -> Vec<Pattern> {
    let days = i32::try_from(options.watch_days).unwrap_or(i32::MAX);
    let span = (today.saturating_sub(days), today);
    let mut patterns = Vec::new();
    for (control, entry) in index.controls.iter().enumerate() {
        let mut by_reason: BTreeMap<u32, Vec<&Row>> = BTreeMap::new();
        for row in entry.between(span.0, span.1) {
            if row.renewal || row.outcome(today) == Decided::Denied {
                continue;
            }
            let is_reason = |item: &&u32| {
                let named = index.items.get(**item as usize);
                named.is_some_and(|(name, _)| *name == options.watch_attribute)
            };
            if let Some(reason) = row.items.iter().find(is_reason) {
                by_reason.entry(*reason).or_default().push(row);
            }
        }
        for (reason, members) in by_reason {
            if distinct(members.iter().map(|r| r.team)) < options.watch_teams {
                continue;
            }
            let key = [reason, NONE];
            let pattern = plain(index, options, (control, key), span, &members);
            let shared = wording::shared(index, key);
            patterns.push(Pattern {
                kind: Kind::Watch,
                sentence: wording::watched(
                    entry.id,
                    &shared,
                    &pattern.observed,
                    options.watch_days,
                ),
                ..pattern
            });
        }
    }
    patterns
}

/// A pattern of these members, with what every kind has.
pub(crate) fn plain(
    index: &Index<'_>,
    options: &Options,
    (control, key): (usize, Key),
    span: (i32, i32),
    members: &[&Row],
) -> Pattern {
    let rows = account::rows(index, control, key, span);
    let observed = account::observed(&rows, members, options, span.1);
    let reason_mix = account::reasons(index, members, options);
    Pattern {
        kind: Kind::Watch,
        tier: Tier::Watch,
        control: index
            .controls
            .get(control)
            .map(|c| c.id.to_owned())
            .unwrap_or_default(),
        descriptor: index.described(key),
        runner_up: None,
        sentence: String::new(),
        window: account::period(span),
        baseline: None,
        first_seen: members.first().map(|r| super::index::date(r.day)),
        last_seen: members.last().map(|r| super::index::date(r.day)),
        likely_causes: account::causes(index, key, &observed, &reason_mix),
        observed,
        findings: Findings::default(),
        expected: None,
        evidence: Evidence::default(),
        robustness: None,
        gates: Vec::new(),
        members: account::ids(index, members),
        by_department: account::departments(index, members),
        quotes: account::quotes(index, members, options),
        reason_mix,
    }
}
