//! Intake: one function for the file, the command line and whatever comes later. What is incomplete goes back with
//! everything that it lacks; what is complete is frozen, triaged and routed.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike as _, Utc};

use super::{
    Error,
    activate::activate,
    condition,
    decide::load,
    freeze::{self, Known, Seen},
    people::late_now,
    renewal::renewal,
    way::{Way, missing},
};
use crate::{
    act::{self, Actor, moved},
    evaluate::{check_limit, limit},
    exception::{
        complete::{Against, Lack, Missing, lacks},
        record::{Frozen, Question, Record},
        state::{Act, Times},
    },
    model::{
        exception::State,
        id::{ControlId, ExceptionId, PersonId, SubjectId, TeamId},
        outcome::Outcome,
        people::Principal,
        policy::Policy,
        request::Request,
        rules::{Ask, ExceptionRules, Indefinite},
    },
    run::{Context, Set},
    store::{Tx, exceptions},
};

/// What became of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Submitted {
    /// The record.
    pub record: Record,
    /// Others that ask for the same: one may join them instead.
    pub alike: Vec<ExceptionId>,
}

/// A request looked at, and not kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    /// What it lacks.
    pub lacks: Vec<Missing>,
    /// What would be frozen, when it lacks nothing.
    pub frozen: Option<Frozen>,
}

/// Looks at a request as the register would, and keeps nothing.
///
/// # Errors
/// The policy permits no exceptions, or evidence cannot be looked at.
pub async fn preview(cx: &Context, set: &Set, request: &Request) -> Result<Preview, Error> {
    let now = cx.clock.now();
    let (policy, rules) = rules_of(set, request)?;
    let seen = Seen::of(cx, set, request).await?;
    let mut lacks = lacking(set, (policy, rules), request, &seen, now);
    let team = request.beneficiary_team.as_deref().unwrap_or_default();
    let known = Known {
        team: set.catalog.directory.team(&TeamId::new(team)),
        active_of_team: active_of(cx, team, now).await?,
        ..renewal(cx, rules, request, &mut lacks).await?
    };
    lacks.extend(sql_of(set, rules, request, &seen, now));
    let asked = (request, &seen, &known);
    let way = Way::of((cx, set), (policy, rules), asked, now).await?;
    let picked = |m: &str| {
        let mut conditions = request.conditions.iter();
        conditions.any(|c| c.mitigation.as_deref() == Some(m))
    };
    let has = |kind: &str| request.evidence.iter().any(|e| e.kind.as_str() == kind);
    lacks.extend(way.demands(&has, &picked));
    let routed = &way.routed;
    if let Some(end) = request.expires_at {
        let begin = request.not_before.unwrap_or(now);
        if end - begin > routed.max_duration.to_delta()
            && end - begin <= rules.limits.max_duration.to_delta()
        {
            let say = format!(
                "on its routes ({}) it lasts at most {}",
                routed.names().join(", "),
                routed.max_duration
            );
            lacks.push(Missing {
                field: "expires_at".to_owned(),
                lack: Lack::BeyondLimit,
                say,
            });
        }
    }
    // Nobody guesses: what is not known is named and asked for.
    if way.steps.iter().any(|s| s.ask == Ask::Facts) && lacks.is_empty() {
        let unknown = way
            .triage
            .unknown
            .iter()
            .filter(|f| crate::exception::facet::STATED.contains(&f.as_str()));
        for name in unknown {
            lacks.push(missing(
                "facets",
                format!("`{name}` is not known, and too little is known to route it"),
            ));
        }
    }
    if !lacks.is_empty() {
        return Ok(Preview {
            lacks,
            frozen: None,
        });
    }
    let terms = freeze::terms(
        request,
        (policy, rules),
        &set.catalog.directory,
        &seen,
        (&known, now),
    )?;
    Ok(Preview {
        lacks,
        frozen: Some(Frozen {
            digest: terms.digest(),
            terms,
            rules: rules.clone(),
            facets: way.facets,
            triage: way.triage,
            routed: way.routed,
            steps: way.steps,
            step_since: now,
            escalated: None,
            unreachable: None,
            wider: Vec::new(),
        }),
    })
}

/// What is wrong with the SQL of a request: its limit, which must be true today of every row that fails, and its own
/// conditions.
fn sql_of(
    set: &Set,
    rules: &ExceptionRules,
    request: &Request,
    seen: &Seen,
    now: DateTime<Utc>,
) -> Vec<Missing> {
    let mut all = Vec::new();
    let mut lack = |field: &str, say: String| {
        all.push(Missing {
            field: field.to_owned(),
            lack: Lack::NotPermitted,
            say,
        });
    };
    if let Some(text) = &request.limit {
        if let Err(problem) = check_limit(text) {
            lack(
                "limit",
                format!("`{text}` cannot be read: {}", problem.what),
            );
        } else {
            let subjects = &request.subjects;
            let asked = |s: &SubjectId| subjects.iter().any(|n| n == s.as_str());
            let failing = seen
                .observed()
                .filter(|(_, _, o)| o.outcome == Outcome::Fail && asked(&o.subject));
            let over = failing
                .flat_map(|(_, _, o)| o.rows.iter().map(move |row| (o, row)))
                .find(|(_, row)| limit(text, row, now) != Some(true));
            if let Some((observed, _)) = over {
                let say = format!(
                    "`{text}` is not true of {} today, so it would cover nothing of it",
                    observed.subject
                );
                lack("limit", say);
            }
        }
    }
    let natives = freeze::natives(request);
    for (n, asked) in request.conditions.iter().enumerate() {
        let field = format!("conditions[{n}]");
        // What is missing of it is told already.
        let Ok(frozen) = freeze::condition(asked, rules, &natives) else {
            continue;
        };
        for mistake in condition::mistakes(set, &frozen) {
            lack(&field, format!("`{}`: {mistake}", frozen.id));
        }
    }
    all
}

pub(super) fn rules_of<'s>(
    set: &'s Set,
    request: &Request,
) -> Result<(&'s Policy, &'s ExceptionRules), Error> {
    let id = &request.provision.policy;
    let policy = set
        .catalog
        .policies
        .get(id)
        .ok_or_else(|| Error::Policy(format!("there is no policy `{id}`")))?;
    match &policy.exceptions {
        Some(rules) => Ok((policy, rules)),
        None => Err(Error::Policy(format!(
            "the policy `{id}` permits no exceptions: it has no `exceptions:`"
        ))),
    }
}

fn lacking(
    set: &Set,
    (policy, rules): (&Policy, &ExceptionRules),
    request: &Request,
    seen: &Seen,
    now: DateTime<Utc>,
) -> Vec<Missing> {
    let control = |id: &ControlId| set.catalog.control(id).cloned();
    let looked = |control: &ControlId, subject: &SubjectId| seen.sees(control, subject);
    lacks(
        request,
        &Against {
            policy,
            rules,
            directory: &set.catalog.directory,
            controls: &control,
            seen: &looked,
            now,
        },
    )
}

/// How many exceptions of a team are in force.
pub(super) async fn active_of(cx: &Context, team: &str, now: DateTime<Utc>) -> Result<u64, Error> {
    let filter = exceptions::Filter {
        states: vec![State::Active],
        ..exceptions::Filter::default()
    };
    let all = exceptions::list(&mut cx.store.read().await?, &filter).await?;
    let of_team = all.iter().filter(|r| {
        r.state_at(now) == State::Active && r.request.beneficiary_team.as_deref() == Some(team)
    });
    Ok(of_team.count() as u64)
}

/// Hands a request in, for the first time or, with `again`, as a new revision of one that was sent back or refused.
///
/// # Errors
/// Whoever hands it in is not who asks, the policy permits no exceptions, or something cannot be read or written.
pub async fn submit(
    cx: &Context,
    set: &Set,
    by: &PersonId,
    request: &Request,
    again: Option<&ExceptionId>,
) -> Result<Submitted, Error> {
    let now = cx.clock.now();
    let asked = request
        .requester
        .as_deref()
        .and_then(|n| set.catalog.directory.find(n));
    if let Some(asked) = asked
        && asked != Principal::Person(by.clone())
    {
        let say = format!("`requester` is {asked}, and you are {by}: whoever asks hands it in");
        return Err(Error::refused("not_requester", say));
    }
    let looked = preview(cx, set, request).await?;
    let mut tx = cx.store.begin().await?;
    let (id, before) = match again {
        None => (exceptions::next_id(&mut tx, now.year()).await?, None),
        Some(id) => {
            let before = exceptions::get(&mut tx, id).await?;
            let before = before.ok_or_else(|| Error::Nothing(id.to_string()))?;
            if !matches!(
                before.state_at(now),
                State::NeedsInfo | State::Denied | State::Draft
            ) {
                return Err(act::Error::not_now(&before, Act::Submit, now).into());
            }
            own(&mut tx, &before, by).await?;
            (id.clone(), Some(before))
        }
    };
    let revision = before.as_ref().map_or(1, |b| b.revision + 1);
    let (decisions, joiners, question) =
        before.map_or_else(Default::default, |b| (b.decisions, b.joiners, b.question));
    let limits = rules_of(set, request)?.1.limits.clone();
    // A request without an end is never frozen; its row needs some instant.
    let far = now + chrono::TimeDelta::days(36_500);
    let mut record = Record {
        id,
        revision,
        version: 1,
        state: State::Draft,
        times: Times {
            submitted_at: None,
            approved_at: None,
            activated_at: None,
            suspended_at: None,
            ratify_by: None,
            not_before: request.not_before.unwrap_or(now),
            expires_at: request.expires_at.unwrap_or(far),
        },
        request: request.clone(),
        lacks: looked.lacks,
        frozen: looked.frozen,
        decisions,
        suspension: None,
        end_reason: None,
        conditions: BTreeMap::new(),
        joiners,
        reviewed_at: None,
        closure: None,
        limits: Some(limits),
        question,
    };
    if let Some(frozen) = record.frozen.as_mut() {
        frozen.step_since = now;
    }
    let person = Actor::Person(by);
    moved(&mut tx, &mut record, (Act::Submit, person), None, now).await?;
    let machine = Actor::Machine;
    match record
        .frozen
        .as_ref()
        .map(|f| (f.routed.auto, f.steps.clone()))
    {
        None => {
            let why = format!("{} fields are not enough", record.lacks.len());
            moved(
                &mut tx,
                &mut record,
                (Act::SendBack, machine),
                Some(&why),
                now,
            )
            .await?;
            ask_the_policy(&mut tx, &mut record, now).await?;
        }
        Some((true, _)) => {
            let why = "a route of the lowest tier decides it";
            moved(
                &mut tx,
                &mut record,
                (Act::Approve, machine),
                Some(why),
                now,
            )
            .await?;
        }
        Some((false, steps)) => {
            let act = match steps.iter().find(|s| s.ask != Ask::Facts).map(|s| &s.ask) {
                Some(Ask::Assess(_)) => Act::Assess,
                _ => Act::Ask,
            };
            moved(&mut tx, &mut record, (act, machine), None, now).await?;
            // Whether anybody can decide it is told now, and not when it has lapsed.
            if let Some(why) = late_now(&mut tx, set, &mut record, now).await? {
                moved(
                    &mut tx,
                    &mut record,
                    (Act::Escalate, machine),
                    Some(&why),
                    now,
                )
                .await?;
            }
        }
    }
    exceptions::insert(&mut tx, &record, now).await?;
    let alike = alike(&mut tx, &record, now).await?;
    tx.commit().await?;
    if record.state == State::Approved {
        activate(cx, set, record.clone(), now).await?;
        record = load(&mut cx.store.begin().await?, &record.id).await?;
    }
    Ok(Submitted { record, alike })
}

/// Whoever handed a request in hands it in again, and nobody else.
async fn own(tx: &mut Tx, before: &Record, by: &PersonId) -> Result<(), Error> {
    let events = exceptions::events(tx, &before.id).await?;
    let mut handed_in = events.iter().filter(|e| e.act == Act::Submit);
    let theirs = format!("person:{by}");
    if handed_in.all(|e| e.actor == theirs) {
        return Ok(());
    }
    let say = format!(
        "{} is another's: whoever asked hands it in again",
        before.id
    );
    Err(Error::refused("not_yours", say))
}

/// A request without an end is a question to the policy: it is put to whoever leads it, once, and stands until they
/// answer.
async fn ask_the_policy(tx: &mut Tx, record: &mut Record, now: DateTime<Utc>) -> Result<(), Error> {
    let reviewed = record
        .limits
        .as_ref()
        .is_some_and(|l| l.indefinite == Indefinite::PolicyReview);
    let endless = record.lacks.iter().any(|l| l.lack == Lack::Indefinite);
    let waits = record.question.as_ref().is_some_and(|q| q.answer.is_none());
    if !reviewed || !endless || waits {
        return Ok(());
    }
    record.question = Some(Question {
        at: now,
        answer: None,
    });
    let why = format!(
        "it asks for no end: does `{}` say what it should?",
        record.request.provision
    );
    let machine = Actor::Machine;
    moved(tx, record, (Act::Question, machine), Some(&why), now).await?;
    Ok(())
}

/// How many that ask for the same are named at most.
const ALIKE: usize = 3;

/// Requests of other teams to deviate in the same way for the same reason, that are on their way or in force and that
/// the team has not joined: those that whoever asks could join. The newest first.
async fn alike(
    tx: &mut Tx,
    record: &Record,
    now: DateTime<Utc>,
) -> Result<Vec<ExceptionId>, Error> {
    let all = exceptions::list(tx, &exceptions::Filter::default()).await?;
    let request = &record.request;
    let team = &request.beneficiary_team;
    let same = all.into_iter().filter(|other| {
        let state = other.state_at(now);
        let asked = &other.request;
        let joined = other
            .joiners
            .iter()
            .any(|j| Some(j.team.as_str()) == team.as_deref());
        other.id != record.id
            && (state.is_pending() || matches!(state, State::Approved | State::Active))
            && asked.provision == request.provision
            && asked.controls == request.controls
            && asked.reason_code == request.reason_code
            && asked.beneficiary_team != *team
            && !joined
    });
    Ok(same.map(|other| other.id).take(ALIKE).collect())
}
