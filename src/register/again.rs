//! A suspended exception is decided again: everything that is pinned is pinned anew, it is routed by the rules of today,
//! and it takes every signature that its routes ask for. What was said before it was suspended counts for nothing.

use chrono::{DateTime, Utc};

use super::{
    Error, Word,
    decide::{self as deciding, load, seen},
    freeze::{self, Known, Seen},
    submit::{active_of, rules_of},
    way::Way,
};
use crate::{
    act::{Actor, moved},
    exception::{
        decide::{self, Approver, Consequence, Refusal, Verdict, Wish},
        record::{Frozen, Record},
        state::Act,
    },
    model::{
        exception::State,
        id::{ExceptionId, TeamId},
        request::Request,
    },
    run::{Context, Set},
    store::exceptions,
};

/// What is put before an approver: the frozen terms, or for a suspended exception the same terms with everything that is
/// pinned pinned anew, on their way through the rules of today.
pub(super) async fn proposed(
    cx: &Context,
    set: &Set,
    record: &Record,
    seen: &Seen,
) -> Result<Frozen, Error> {
    let now = cx.clock.now();
    let Some(frozen) = &record.frozen else {
        return Err(Error::refused(
            "not_complete",
            format!(
                "{} is not complete, so there is nothing to decide yet",
                record.id
            ),
        ));
    };
    if record.state_at(now) != State::Suspended {
        return Ok(frozen.clone());
    }
    let (policy, rules) = rules_of(set, &record.request)?;
    let mut terms = freeze::again(&frozen.terms, (policy, rules), seen);
    let request = Request {
        not_before: Some(terms.not_before),
        expires_at: Some(record.times.expires_at),
        ..record.request.clone()
    };
    let team = &terms.beneficiary_team;
    let known = Known {
        team: set.catalog.directory.team(&TeamId::new(team.as_str())),
        active_of_team: active_of(cx, team.as_str(), now).await?,
        renewals: terms.renewals,
        original: terms.original_expires_at,
    };
    let asked = (&request, seen, &known);
    let way = Way::of((cx, set), (policy, rules), asked, now).await?;
    let way = way.by_people(rules);
    // It lasts no longer than anybody permitted it, nor than the rules of today permit.
    let most = terms.not_before + way.routed.max_duration.to_delta();
    terms.expires_at = record.times.expires_at.min(most);
    let lacks = way.demands(
        &|kind| terms.evidence.iter().any(|e| e.kind.as_str() == kind),
        &|name| terms.conditions.iter().any(|c| c.id == name),
    );
    let mut lacks: Vec<String> = lacks.into_iter().map(|l| l.say).collect();
    if terms.expires_at <= now {
        lacks.push(format!(
            "under the rules as they are now it lasts at most {}, and that is over",
            way.routed.max_duration
        ));
    }
    if !lacks.is_empty() {
        let say = format!(
            "{} cannot go on as it is, and has to be asked for anew: {}",
            record.id,
            lacks.join("; ")
        );
        return Err(Error::refused("not_enough", say));
    }
    let mut anew = Frozen {
        digest: terms.digest(),
        terms,
        rules: rules.clone(),
        facets: way.facets,
        triage: way.triage,
        routed: way.routed,
        steps: way.steps,
        step_since: record.times.suspended_at.unwrap_or(now),
        escalated: None,
        unreachable: None,
        wider: Vec::new(),
    };
    // What those who signed since then asked for besides.
    let said = record.again(&anew).decisions.to_vec();
    for one in said.iter().filter(|d| d.verdict == Verdict::Approve) {
        if anew.counts(one.terms) {
            anew.narrow(&one.conditions);
        }
    }
    Ok(anew)
}

/// Whether those who stand in for the open step are asked: it waited for longer than the step may take.
pub(super) fn is_late(record: &Record, proposed: &Frozen, now: DateTime<Utc>) -> bool {
    let pending = record.again(proposed);
    let last = pending.decisions.last().map(|d| d.at);
    let since = last.or(record.times.suspended_at);
    let sla = pending.open().map(|s| proposed.routed.sla.unwrap_or(s.sla));
    since
        .zip(sla)
        .is_some_and(|(since, sla)| now - since >= sla.to_delta())
}

/// Takes somebody's word on a suspended exception. It goes on when the whole chain has signed, as a new revision with
/// everything pinned anew.
pub(super) async fn revalidate(
    cx: &Context,
    set: &Set,
    who: &Approver,
    id: &ExceptionId,
    word: Word,
) -> Result<Record, Error> {
    let now = cx.clock.now();
    let before = load(&mut cx.store.begin().await?, id).await?;
    let evidence = Seen::of(cx, set, &before.request).await?;
    let mut frozen = proposed(cx, set, &before, &evidence).await?;
    let mut tx = cx.store.begin().await?;
    let mut record = load(&mut tx, id).await?;
    if (record.revision, record.version) != (before.revision, before.version) {
        return Err(Refusal::StaleTerms.into());
    }
    let (digest, package) = seen(&mut tx, &who.person, id, &word.package).await?;
    let added = deciding::added(set, &frozen, &record.request, &word.conditions)?;
    let wish = Wish {
        verdict: word.verdict,
        reason: word.reason,
        ends: word.ends,
        conditions: added,
        terms: package.terms_digest,
        package: Some(digest),
    };
    let late = is_late(&record, &frozen, now);
    let pending = record.again(&frozen);
    let (decision, consequence) = decide::decide(&pending, who, wish, (late, now))?;
    let until = decision
        .ends
        .map_or(pending.until(), |e| e.min(pending.until()));
    let why = decision.reason.clone();
    let why = why.as_deref();
    let person = Actor::Person(&who.person);
    frozen.narrow(&decision.conditions);
    record.decisions.push(decision);
    match consequence {
        Consequence::Denied => {
            moved(&mut tx, &mut record, (Act::Revoke, person), why, now).await?;
            record.end_reason = why.map(str::to_owned);
        }
        // It stays out of force until the rest of the chain has signed, or the question is answered.
        Consequence::GoesOn | Consequence::SentBack => {
            moved(&mut tx, &mut record, (Act::Sign, person), why, now).await?;
        }
        Consequence::Approved => {
            record.revision += 1;
            record.version = 1;
            record.times.expires_at = record.times.expires_at.min(until);
            record.times.ratify_by = None;
            record.frozen = Some(frozen);
            super::condition::begin(&mut record, now);
            record.reviewed_at = Some(now);
            moved(&mut tx, &mut record, (Act::Restore, person), why, now).await?;
            exceptions::insert(&mut tx, &record, now).await?;
            tx.commit().await?;
            super::condition::of_one(cx, set, record, now).await?;
            return load(&mut cx.store.begin().await?, id).await;
        }
    }
    exceptions::update(&mut tx, &mut record, now).await?;
    tx.commit().await?;
    Ok(record)
}
