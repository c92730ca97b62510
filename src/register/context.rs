//! The context package: everything that an approver needs, put together in one call and kept by its digest.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{
    Error,
    again::{is_late, proposed},
    condition,
    decide::{approver, escalated, load},
    freeze::Seen,
};
use crate::{
    catalog::template,
    exception::{
        coverage::{Case, Entry, Known, Policies, Register, Standing},
        decide::eligible,
        package::{Before, Clause, Deviation, Looked, Package, Precedent, Source},
        record::{Frozen, Record},
    },
    model::{
        control::Control,
        exception::State,
        id::{ControlId, ExceptionId, FindingKey, PersonId, Sha, SubjectId},
        outcome::{Observed, Outcome, Row},
        run::Run,
    },
    notify::facts::{self, Detail},
    run::{Context, Set},
    store::{Page, Tx, exceptions, findings, packages},
};

/// How many precedents of each kind are shown, the newest first.
const PRECEDENTS: usize = 10;

/// Puts together what somebody needs to decide an exception, and keeps it.
///
/// # Errors
/// There is no such exception, it is not complete yet, or something cannot be read or written.
pub async fn package(
    cx: &Context,
    set: &Set,
    by: &PersonId,
    id: &ExceptionId,
) -> Result<(Sha, Package), Error> {
    let now = cx.clock.now();
    let who = approver(&mut cx.store.read().await?, set, by, now).await?;
    let record = load(&mut cx.store.begin().await?, id).await?;
    let seen = Seen::of(cx, set, &record.request).await?;
    let frozen = proposed(cx, set, &record, &seen).await?;
    let suspended = record.state_at(now) == State::Suspended;
    let proposal = Record {
        frozen: Some(frozen.clone()),
        ..record.clone()
    };
    let pending = if suspended {
        Some(record.again(&frozen))
    } else {
        proposal.pending(now)
    };
    let late = if suspended {
        is_late(&record, &frozen, now)
    } else {
        escalated(&proposal, now)
    };
    let judged = match pending {
        Some(pending) => eligible(&pending, &who, late),
        None => Err(crate::exception::decide::Refusal::NotPending),
    };
    let mut conditions = BTreeMap::new();
    for one in &frozen.terms.conditions {
        let looked = match condition::look(cx, set, (id, one)).await? {
            Some((checked, _, _)) => Looked {
                standing: checked.standing,
                said: checked.said,
            },
            None => said_so_far(&record, &one.id, now),
        };
        conditions.insert(one.id.clone(), looked);
    }
    let mut tx = cx.store.begin().await?;
    let deviations = deviations(&mut tx, &frozen, &seen, now).await?;
    let all = exceptions::list(&mut tx, &exceptions::Filter::default()).await?;
    let others: Vec<&Record> = all.iter().filter(|r| r.id != *id).collect();
    let like = |same: &dyn Fn(&Record) -> bool| -> Vec<Precedent> {
        let found = others.iter().filter(|r| same(r)).take(PRECEDENTS);
        found.map(|r| precedent(r, now)).collect()
    };
    let request = &record.request;
    let step = pending.and_then(|p| p.open().map(|s| s.id.clone()));
    let package = Package {
        exception: id.clone(),
        revision: record.revision + u32::from(suspended),
        state: record.state_at(now),
        reader: by.clone(),
        made_at: now,
        terms_digest: frozen.digest,
        policy: clause(set, &frozen),
        triage: frozen.triage.clone(),
        routed: frozen.routed.clone(),
        step,
        due_at: record.step_due(now),
        deviations,
        not_covered: not_covered(&frozen, &seen),
        findings: before(&mut tx, &frozen).await?,
        of_subjects: like(&|r| {
            r.request
                .subjects
                .iter()
                .any(|s| request.subjects.contains(s))
        }),
        of_team: like(&|r| r.request.beneficiary_team == request.beneficiary_team),
        of_requester: like(&|r| r.request.requester == request.requester),
        of_clause: like(&|r| r.request.provision == request.provision),
        conditions,
        said: record.decisions.clone(),
        joined: record.joiners.iter().map(|j| j.team.clone()).collect(),
        options: judged.as_ref().ok().map(|(_, options)| options.clone()),
        refused: judged.err().map(|r| r.as_str().to_owned()),
        terms: frozen.terms,
    };
    let kept = packages::Package {
        exception: id.clone(),
        revision: package.revision,
        person: by.clone(),
        made_at: now,
        body: serde_json::json!(package),
    };
    let digest = packages::put(&mut tx, &kept).await?;
    tx.commit().await?;
    Ok((digest, package))
}

fn said_so_far(record: &Record, condition: &str, now: DateTime<Utc>) -> Looked {
    match record.conditions.get(condition) {
        Some(checked) => Looked {
            standing: checked.standing.clone(),
            said: checked.said.clone(),
        },
        None => Looked {
            standing: Standing::Unknown(now),
            said: "a person will say so once it is in force".to_owned(),
        },
    }
}

fn clause(set: &Set, frozen: &Frozen) -> Clause {
    let reference = &frozen.terms.provision;
    let policy = set.catalog.policies.get(&reference.policy);
    let text = policy.and_then(|p| p.provision(&reference.provision));
    Clause {
        reference: reference.to_string(),
        title: policy.map_or_else(String::new, |p| p.title.clone()),
        version: frozen.terms.policy.version,
        effective: frozen.terms.policy.effective,
        text: text.map(|t| t.text.trim().to_owned()),
    }
}

/// Every subject of the request as its control sees it now, and whether it would be silent.
async fn deviations(
    tx: &mut Tx,
    frozen: &Frozen,
    seen: &Seen,
    now: DateTime<Utc>,
) -> Result<Vec<Deviation>, Error> {
    let register = Register::new(vec![granted(frozen, now)]);
    let pinned = Policies::from([(
        frozen.terms.provision.policy.clone(),
        frozen.terms.policy.text,
    )]);
    let mut all = Vec::new();
    for (control, run, observed) in seen.observed() {
        if frozen
            .terms
            .subject(&control.id, &observed.subject)
            .is_none()
        {
            continue;
        }
        let key = FindingKey::of(&control.id, &observed.subject);
        let finding = findings::get(tx, key).await?;
        let coverage = register.covers(
            &Case::observed((control, &pinned), observed, now),
            &|text, row| crate::evaluate::limit(text, row, now),
        );
        let open = finding.as_ref().filter(|f| f.state.status.is_open());
        all.push(Deviation {
            control: control.id.clone(),
            title: control.title.clone(),
            subject: observed.subject.clone(),
            outcome: observed.outcome.as_str().to_owned(),
            severity: observed.severity,
            finding: open.map(|f| f.key.short()),
            since: open.and_then(|f| f.state.opened_at),
            sentence: sentence(control, observed, now),
            crossed: facts::condition(control),
            rows: observed.rows.clone(),
            evidence: sources(run),
            would_cover: match coverage.lost.first() {
                None if coverage.first().is_some() => Ok(()),
                Some(lost) => Err(format!("{}: {}", lost.clause, lost.why)),
                None => Err("it does not speak of it".to_owned()),
            },
        });
    }
    Ok(all)
}

/// One subject of the controls of an exception: whether it is silent because of it, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Covers {
    /// The control.
    pub control: ControlId,
    /// The subject.
    pub subject: SubjectId,
    /// What evidence says of it now.
    pub outcome: &'static str,
    /// Whether it would be silent.
    pub covered: bool,
    /// Why not.
    pub because: Option<String>,
}

/// What an exception would cover if it were in force and every condition held, on evidence of now, and what fails beside it.
///
/// # Errors
/// There is no such exception, its request is not complete, or evidence cannot be looked at.
pub async fn covers(cx: &Context, set: &Set, id: &ExceptionId) -> Result<Vec<Covers>, Error> {
    let mut tx = cx.store.read().await?;
    let record = exceptions::get(&mut tx, id).await?;
    let record = record.ok_or_else(|| Error::Nothing(id.to_string()))?;
    let Some(frozen) = &record.frozen else {
        let say = format!(
            "the request of {id} is not complete: `tripline exception show {id}` says what it lacks"
        );
        return Err(Error::refused("not_complete", say));
    };
    let seen = Seen::of(cx, set, &record.request).await?;
    let now = cx.clock.now();
    let asked = deviations(&mut tx, frozen, &seen, now).await?;
    let mut all: Vec<Covers> = asked
        .into_iter()
        .map(|d| Covers {
            outcome: match d.outcome.as_str() {
                "pass" => "pass",
                "fail" => "fail",
                _ => "unknown",
            },
            control: d.control,
            subject: d.subject,
            covered: d.would_cover.is_ok(),
            because: d.would_cover.err(),
        })
        .collect();
    // What it speaks of and nobody could look at is told as that, never left out.
    for asked in &frozen.terms.subjects {
        let is_told = |c: &Covers| c.control == asked.control && c.subject == asked.subject;
        if !all.iter().any(is_told) {
            all.push(Covers {
                control: asked.control.clone(),
                subject: asked.subject.clone(),
                outcome: "unknown",
                covered: false,
                because: Some(seen.silence(&asked.control)),
            });
        }
    }
    for (control, _, observed) in seen.observed() {
        let asked = frozen.terms.subject(&control.id, &observed.subject);
        if observed.outcome == Outcome::Fail && asked.is_none() {
            all.push(Covers {
                control: control.id.clone(),
                subject: observed.subject.clone(),
                outcome: "fail",
                covered: false,
                because: Some("it does not speak of it".to_owned()),
            });
        }
    }
    Ok(all)
}

/// As if it were in force and every condition held.
fn granted(frozen: &Frozen, now: DateTime<Utc>) -> Entry {
    let terms = std::sync::Arc::new(frozen.terms.clone());
    let holds = |c: &crate::model::exception::Condition| {
        let known = Known {
            standing: Standing::Holds,
            until: None,
        };
        (c.id.clone(), known)
    };
    Entry {
        id: ExceptionId::from("this"),
        doubt: None,
        review_due: None,
        state: State::Active,
        times: crate::exception::state::Times {
            submitted_at: None,
            approved_at: None,
            activated_at: None,
            suspended_at: None,
            ratify_by: None,
            not_before: now,
            expires_at: terms.expires_at.max(now + chrono::TimeDelta::seconds(1)),
        },
        limits: frozen.rules.limits.clone(),
        conditions: terms.conditions.iter().map(holds).collect(),
        terms,
    }
}

fn sentence(control: &Control, observed: &Observed, now: DateTime<Utc>) -> String {
    let row: Option<&Row> = observed.rows.first();
    let said = control
        .message
        .as_ref()
        .zip(row)
        .and_then(|(message, row)| {
            template::message(message, row, observed.subject.as_str(), now).ok()
        });
    said.unwrap_or_else(|| format!("{} {}", observed.subject, observed.outcome.as_str()))
}

fn sources(run: &Run) -> Vec<Source> {
    let all = run.evidence.iter().map(|used| Source {
        dataset: used.dataset.to_string(),
        collected_at: used.collected_at,
        sha256: used.content,
    });
    all.collect()
}

/// What fails under the same controls and is not asked for.
fn not_covered(frozen: &Frozen, seen: &Seen) -> Vec<SubjectId> {
    let failing = seen.observed().filter(|(control, _, o)| {
        o.outcome == Outcome::Fail && frozen.terms.subject(&control.id, &o.subject).is_none()
    });
    let mut all: Vec<SubjectId> = failing.map(|(_, _, o)| o.subject.clone()).collect();
    all.sort();
    all.dedup();
    all
}

/// What was found on the subjects before.
async fn before(tx: &mut Tx, frozen: &Frozen) -> Result<Vec<Before>, Error> {
    let mut subjects: Vec<&SubjectId> = frozen.terms.subjects.iter().map(|s| &s.subject).collect();
    subjects.dedup();
    let mut all = Vec::new();
    for subject in subjects {
        let filter = findings::Filter {
            subject: Some(subject.clone()),
            ..findings::Filter::default()
        };
        let page = Page::first(20);
        for f in findings::list(tx, &filter, findings::Order::Worst, page).await? {
            all.push(Before {
                finding: f.key.short(),
                status: f.state.status.as_str().to_owned(),
                first_seen: f.first_seen,
                episodes: f.state.episode,
                control: f.control,
                subject: f.subject,
            });
        }
    }
    Ok(all)
}

fn precedent(record: &Record, now: DateTime<Utc>) -> Precedent {
    let decided = record.decisions.iter().map(|d| {
        let why = d
            .reason
            .as_ref()
            .map_or_else(String::new, |r| format!(": {r}"));
        format!("{} {} as {}{why}", d.name, d.verdict, d.role.role)
    });
    Precedent {
        exception: record.id.clone(),
        title: record.request.title.clone().unwrap_or_default(),
        state: record.state_at(now),
        team: record.request.beneficiary_team.clone(),
        asked_at: record.times.submitted_at,
        expires_at: record.times.expires_at,
        decided: decided.collect(),
        outcome: record.closure.as_ref().map(|c| c.outcome.to_string()),
        renewals: record.frozen.as_ref().map_or(0, |f| f.terms.renewals),
    }
}

/// What a mail to an approver shows of the package: the policy, the rows, what to know before deciding.
pub(super) async fn detail(
    tx: &mut Tx,
    set: &Set,
    record: &Record,
) -> Result<Option<Detail>, Error> {
    let Some(frozen) = &record.frozen else {
        return Ok(None);
    };
    let terms = &frozen.terms;
    let reference = &terms.provision;
    let policy = set.catalog.policy_of(reference);
    let mut rows = Vec::new();
    let mut more = 0;
    for one in &terms.subjects {
        let key = FindingKey::of(&one.control, &one.subject);
        let Some(finding) = findings::get(tx, key).await? else {
            continue;
        };
        for row in &finding.rows {
            if rows.len() < 5 {
                rows.push(facts::columns(row));
            } else {
                more += 1;
            }
        }
    }
    let control = terms
        .controls
        .first()
        .and_then(|c| set.catalog.control(&c.control));
    let asked = format!(
        "Asked for by {} for {}, from {} until {} (tier {}, {}).",
        terms.requester,
        terms.beneficiary_team,
        terms.not_before.format("%Y-%m-%d"),
        terms.expires_at.format("%Y-%m-%d"),
        frozen.triage.tier,
        frozen.routed.names().join(", ")
    );
    let mut lines = vec![
        asked,
        format!("If it is denied: {}", terms.impact_if_denied),
        format!("What it puts at risk: {}", terms.risk_introduced),
        format!("What else was tried: {}", terms.alternatives),
    ];
    lines.extend(
        terms
            .conditions
            .iter()
            .map(|c| format!("Condition `{}`: {}", c.id, c.text)),
    );
    Ok(Some(Detail {
        policy: policy.map(|p| facts::provision(p, &reference.provision)),
        why: Some(lines.join("\n")),
        frameworks: Vec::new(),
        condition: control.map(|c| facts::condition(c)),
        rows,
        more_rows: more,
        evidence: Vec::new(),
        ruled_out: Vec::new(),
        fix: None,
        run: None,
    }))
}
