//! The register as the detector reads it: each request for an exception and each team that joined one is an ask of a team
//! about a control, with what evidence said of its subjects.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::{Error, again::reopened};
use crate::{
    exception::{decide::Verdict, record::Record},
    model::{
        control::{Control, Given, OnEmpty, Part, SubjectTemplate},
        definition::Definition,
        exception::State,
        finding::Finding,
        id::{ControlId, ExceptionId, SubjectId},
    },
    run::{Context, Set},
    signal::{Aliases, Ask, Decided, History, Seen, Watched},
    store::{Tx, coverage, definitions, exceptions, findings, runs, signals},
};

/// No request for so long is the end of a register's memory.
const SILENCE: TimeDelta = TimeDelta::weeks(26);

/// Everything that is known of asks, from this register and an older one.
///
/// # Errors
/// The store or the evidence cannot be read.
pub async fn history(cx: &Context, set: &Set) -> Result<History, Error> {
    history_at(cx, set, cx.clock.now()).await
}

/// The same with what exceptions covered, and what was decided, at an instant.
///
/// # Errors
/// The store or the evidence cannot be read.
pub async fn history_at(cx: &Context, set: &Set, now: DateTime<Utc>) -> Result<History, Error> {
    let mut tx = cx.store.read().await?;
    let mut asks = signals::past(&mut tx).await?;
    for record in exceptions::list(&mut tx, &exceptions::Filter::default()).await? {
        asks.extend(of_record(set, &record, now));
    }
    let ours = signals::since(&mut tx).await?;
    let since = beginning(
        asks.iter().map(|a| a.day),
        ours.unwrap_or_else(|| now.date_naive()),
    );
    asks.retain(|a| a.day >= since);
    let (mut controls, mut seen) = (Vec::new(), Vec::new());
    let drafts = |c: &&std::sync::Arc<Control>| !c.shadow;
    for control in set.catalog.controls.values().filter(drafts) {
        let mut one = watched(&mut tx, control).await?;
        let all = findings::of_control(&mut tx, &control.id).await?;
        one.findings = u32::try_from(all.len()).unwrap_or(u32::MAX);
        let covers = coverage::of_control(&mut tx, &control.id, now).await?;
        let of = |a: &&Ask| a.control == control.id.as_str();
        let asks: Vec<&Ask> = asks.iter().filter(of).collect();
        seen.extend(speaking(set, &all, (&covers, &asks)));
        controls.push(one);
    }
    drop(tx);
    for one in &mut controls {
        if one.budget.is_none() {
            continue;
        }
        let asked: BTreeSet<&str> = asks
            .iter()
            .filter(|a| a.control == one.control)
            .map(|a| a.team.as_str())
            .collect();
        let counted = teams_in_scope(cx, set, &ControlId::new(&one.control), now).await?;
        // Where one team answers for what others need, its rows do not say who is in scope.
        one.teams = counted.filter(|n| *n as usize >= asked.len());
    }
    let directory = &set.catalog.directory;
    Ok(History {
        asks,
        controls,
        findings: seen,
        aliases: aliases(set),
        since,
        teams: u32::try_from(directory.teams.len()).ok().filter(|n| *n > 0),
    })
}

/// Since when it is known who asked: as far back from the first day here as asks follow each other. Those beyond a silence
/// of half a year are strays, or a year that was mistyped, and say nothing of how much was asked for in between.
pub fn beginning(asked: impl Iterator<Item = NaiveDate>, ours: NaiveDate) -> NaiveDate {
    let mut days: Vec<NaiveDate> = asked.filter(|day| *day < ours).collect();
    days.sort_unstable_by(|a, b| b.cmp(a));
    let mut since = ours;
    for day in days {
        if since - day > SILENCE {
            break;
        }
        since = day;
    }
    since
}

/// Findings that an exception keeps silent, or that opened more than once.
fn speaking(
    set: &Set,
    findings: &[Finding],
    (covers, asks): (&[(ExceptionId, SubjectId)], &[&Ask]),
) -> Vec<Seen> {
    // Whoever joined is covered by the same exception, and is an ask of its own.
    let mut of: BTreeMap<&str, Vec<&Ask>> = BTreeMap::new();
    for ask in asks {
        let exception = ask.id.split([':', '+']).next().unwrap_or_default();
        of.entry(exception).or_default().push(ask);
    }
    let mut by: BTreeMap<&SubjectId, BTreeSet<&str>> = BTreeMap::new();
    for (exception, subject) in covers {
        let asks = of.get(exception.as_str()).into_iter().flatten();
        let all = by.entry(subject).or_default();
        all.extend(asks.map(|a| a.id.as_str()));
    }
    let directory = &set.catalog.directory;
    let team = |owner: &String| directory.team_of(owner).map(|t| t.to_string());
    let mut all = Vec::new();
    for finding in findings {
        let by = by.get(&finding.subject);
        if by.is_none() && finding.state.episode < 2 {
            continue;
        }
        all.push(Seen {
            control: finding.control.to_string(),
            team: finding.owners.iter().find_map(team),
            facts: finding.facts.clone(),
            asks: by.into_iter().flatten().map(|&id| id.to_owned()).collect(),
            opened: finding.state.episode,
        });
    }
    all
}

fn aliases(set: &Set) -> Aliases {
    let directory = &set.catalog.directory;
    let of_team = |t: &crate::model::people::Team| {
        let name = t.id.value.clone();
        let old = t.formerly.clone();
        old.into_iter().map(move |f| (f, name.clone()))
    };
    let of_control = |c: &std::sync::Arc<Control>| {
        let name = c.id.to_string();
        let old = c.formerly.clone();
        old.into_iter().map(move |f| (f.to_string(), name.clone()))
    };
    Aliases {
        teams: directory.teams.iter().flat_map(of_team).collect(),
        controls: set.catalog.controls.values().flat_map(of_control).collect(),
    }
}

/// A control as the detector watches it.
async fn watched(tx: &mut Tx, control: &Control) -> Result<Watched, Error> {
    let kind = definitions::Kind::Control;
    let versions = definitions::versions(tx, kind, control.id.as_str()).await?;
    // The first that is known may be older than we are; only a change is the beginning of something.
    let effective = (versions.len() > 1)
        .then(|| {
            versions
                .iter()
                .find(|(digest, _)| *digest == control.definition)
        })
        .flatten();
    Ok(Watched {
        control: control.id.to_string(),
        effective: effective.map(|(_, d)| d.first_seen.date_naive()),
        budget: control.exception_budget,
        teams: None,
        temporary: None,
        findings: 0,
    })
}

/// What a request was, once for each of its controls and each team that needs it.
fn of_record(set: &Set, record: &Record, now: DateTime<Utc>) -> Vec<Ask> {
    let request = &record.request;
    let terms = record.frozen.as_ref().map(|f| &f.terms);
    let mut attributes: BTreeMap<String, String> =
        terms.map_or_else(BTreeMap::new, |t| t.facts.clone());
    // Who asks is counted, and is nothing that asks have in common.
    for own in ["team", "owner", "owner_unit", "department"] {
        attributes.remove(own);
    }
    if let Some(reason) = request.reason_code {
        attributes.insert("reason".to_owned(), reason.to_string());
    }
    let kinds: BTreeSet<&str> = request
        .subjects
        .iter()
        .filter_map(|s| s.split('/').nth(1))
        .collect();
    if let (1, Some(kind)) = (kinds.len(), kinds.first()) {
        attributes.insert("subject_kind".to_owned(), (*kind).to_owned());
    }
    let words = [&request.business_purpose, &request.impact_if_denied];
    let text: Vec<&str> = words.into_iter().flatten().map(String::as_str).collect();
    let (outcome, decided) = outcome(record, now);
    let submitted = record.times.submitted_at.unwrap_or(record.times.not_before);
    let subjects = u32::try_from(request.subjects.len()).unwrap_or(u32::MAX);
    let mut asks = Vec::new();
    for control in &request.controls {
        let team = request.beneficiary_team.clone();
        let first = team
            .into_iter()
            .map(|t| (t, submitted, text.join(" "), None));
        let joined = record.joiners.iter().map(|j| {
            let team = j.team.to_string();
            (team.clone(), j.at, j.because.clone(), Some(team))
        });
        for (team, at, text, joiner) in first.chain(joined) {
            let suffix = joiner.map_or_else(String::new, |t| format!("+{t}"));
            let several = if request.controls.len() > 1 {
                format!(":{control}")
            } else {
                String::new()
            };
            asks.push(Ask {
                id: format!("{}{several}{suffix}", record.id),
                day: at.date_naive(),
                department: department(set, &team),
                team,
                control: control.clone(),
                attributes: attributes.clone(),
                incident: request.incident.clone(),
                request: request.ticket.clone(),
                text,
                outcome,
                decided,
                renewal_of: request.renewal_of.clone(),
                renewals: terms.map_or(0, |t| t.renewals),
                subjects: subjects.max(1),
                ends: Some(record.times.expires_at.date_naive()),
            });
        }
    }
    asks
}

fn department(set: &Set, team: &str) -> Option<String> {
    let teams = &set.catalog.directory.teams;
    let known = |t: &&crate::model::people::Team| {
        t.id.value == team || t.formerly.iter().any(|f| f == team)
    };
    teams.iter().find(known)?.department.clone()
}

/// What became of a request, and since when that is known.
fn outcome(record: &Record, now: DateTime<Utc>) -> (Decided, Option<NaiveDate>) {
    let last = |verdict: Verdict| {
        let said = record.decisions.iter().rev().find(|d| d.verdict == verdict);
        said.map(|d| d.at.date_naive())
    };
    let approved = record.times.approved_at.or(record.times.activated_at);
    if let Some(at) = approved {
        return (Decided::Approved, Some(at.date_naive()));
    }
    match record.state_at(now) {
        State::Denied => (Decided::Denied, last(Verdict::Deny)),
        // Looked back at without having been in force: it was denied, taken back, or nobody decided it.
        State::Closed if last(Verdict::Deny).is_some() => (Decided::Denied, last(Verdict::Deny)),
        State::Withdrawn | State::Closed => (Decided::Withdrawn, None),
        State::Lapsed => (Decided::Unknown, None),
        _ => (Decided::Pending, None),
    }
}

/// How many teams answer for something that a control looks at, by its last evidence; nothing when its rows name nobody.
async fn teams_in_scope(
    cx: &Context,
    set: &Set,
    id: &ControlId,
    now: DateTime<Utc>,
) -> Result<Option<u32>, Error> {
    let Some(control) = set.catalog.control(id) else {
        return Ok(None);
    };
    let Given::Column { column, .. } = &control.owner else {
        return Ok(None);
    };
    let mut tx = cx.store.read().await?;
    let Some(run) = runs::last_counted_by(&mut tx, id, Some(now)).await? else {
        return Ok(None);
    };
    let Ok((then, evidence)) = reopened(&mut tx, set, &run).await? else {
        return Ok(None);
    };
    drop(tx);
    let rows = then.evidence.trim().trim_end_matches(';');
    let counted = Definition {
        evidence: format!(
            "SELECT DISTINCT {column} AS team FROM ({rows}) AS population WHERE {column} IS NOT NULL"
        ),
        fails_when: "true".to_owned(),
        subject: SubjectTemplate {
            parts: vec![
                Part::Literal("register/team/".to_owned()),
                Part::Column("team".to_owned()),
            ],
        },
        inventory: None,
        on_empty: OnEmpty::Pass,
        ..then
    };
    let judge = counted.control(id);
    let counted = cx.engine.control(&judge, &evidence, &[], run.instant).await;
    let counted = counted.map_err(crate::run::Error::from)?;
    Ok(u32::try_from(counted.counts.population)
        .ok()
        .filter(|n| *n > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stray_or_mistyped_day_is_not_the_beginning() {
        let day = |t: &str| t.parse::<NaiveDate>().unwrap();
        let ours = day("2026-10-01");
        let of = |days: &[&str]| beginning(days.iter().map(|t| day(t)), ours);
        assert_eq!(of(&[]), ours);
        assert_eq!(of(&["2027-01-01"]), ours, "an ask of ours is later");
        assert_eq!(
            of(&["2026-03-01", "2025-11-01", "2026-06-01"]),
            day("2025-11-01")
        );
        let strays = [
            "2005-03-02",
            "2024-09-02",
            "2026-03-01",
            "2025-11-01",
            "2026-06-01",
        ];
        assert_eq!(of(&strays), day("2025-11-01"));
        assert_eq!(
            of(&["2026-01-01"]),
            ours,
            "a register that ended long before ours began"
        );
    }
}
