//! Which exceptions there are, and the row of each.

use std::{collections::BTreeMap, process::ExitCode};

use chrono::{DateTime, Utc};
use clap::Args as Arguments;
use serde_json::{Map, Value, json};

use super::refuse;
use crate::{
    act,
    cli::{
        CLEAN, USAGE,
        open::Opened,
        out::{Format, Out, column},
        runs::object,
    },
    exception::{facet::FACETS, record::Record},
    model::{
        exception::State,
        id::{ExceptionId, PolicyId, TeamId},
        table::ColumnType,
    },
    register,
    store::{Tx, coverage, exceptions},
};

/// Which exceptions.
#[derive(Debug, Clone, Arguments)]
pub struct Which {
    /// Only those that stand here (may be given more than once).
    #[arg(long, value_name = "STATE")]
    state: Vec<State>,
    /// Only from this policy, or from this clause (`policy#provision`).
    #[arg(long, value_name = "POLICY")]
    policy: Option<String>,
    /// Only for this team.
    #[arg(long, value_name = "TEAM")]
    team: Option<String>,
    /// Only for this subject.
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<String>,
    /// Only those of which this is known: `regulated`, `customer_exposure` and `external_model` are yes-or-no facets of
    /// a request. What is not known counts as yes.
    #[arg(long, value_name = "FACET")]
    touching: Vec<String>,
    /// Those that are over, too.
    #[arg(long)]
    all: bool,
    /// As they stood at this instant.
    #[arg(long, value_name = "TIME")]
    at: Option<DateTime<Utc>>,
}

impl Which {
    /// The first name that nothing bears: a list that is empty for a slip of the pen says that there is nothing.
    fn unknown(&self, opened: &Opened) -> Option<String> {
        let yes_or_no: Vec<&str> = FACETS
            .iter()
            .filter(|(_, ty)| *ty == ColumnType::Bool)
            .map(|(name, _)| *name)
            .collect();
        if let Some(facet) = self
            .touching
            .iter()
            .find(|f| !yes_or_no.contains(&f.as_str()))
        {
            let known = yes_or_no.join(", ");
            return Some(format!("there is no facet `{facet}`; known: {known}"));
        }
        let catalog = &opened.set.catalog;
        if let Some(name) = &self.policy {
            let id = name
                .split_once('#')
                .map_or(name.as_str(), |(policy, _)| policy);
            if !catalog.policies.contains_key(&PolicyId::new(id)) {
                return Some(format!("there is no policy `{id}`"));
            }
        }
        let team = self.team.as_ref()?;
        let known = catalog.directory.team(&TeamId::new(team)).is_some();
        (!known).then(|| format!("there is no team `{team}`"))
    }

    fn takes(&self, record: &Record, now: DateTime<Utc>) -> bool {
        let request = &record.request;
        let state = record.state_at(now);
        let stands = if self.state.is_empty() {
            self.all || !state.is_over()
        } else {
            self.state.contains(&state)
        };
        let of_policy = self.policy.as_ref().is_none_or(|p| {
            request.provision.policy.as_str() == p || request.provision.to_string() == *p
        });
        let of_team = self.team.is_none() || request.beneficiary_team == self.team;
        let of_subject = self
            .subject
            .as_ref()
            .is_none_or(|s| request.subjects.contains(s));
        // Unknown counts as the more severe.
        let touches = |facet: &String| {
            let facets = record.frozen.as_ref().map(|f| &f.facets);
            facets.and_then(|f| f.get(facet)).and_then(Value::as_bool) != Some(false)
        };
        stands && of_policy && of_team && of_subject && self.touching.iter().all(touches)
    }
}

/// Lists exceptions.
pub(super) async fn list(
    which: &Which,
    opened: &Opened,
    out: &mut Out,
) -> anyhow::Result<ExitCode> {
    if let Some(said) = which.unknown(opened) {
        return refuse(USAGE, said);
    }
    let now = which.at.unwrap_or_else(|| opened.now());
    let mut tx = opened.store().read().await?;
    let mut all = exceptions::list(&mut tx, &exceptions::Filter::default()).await?;
    let doubted = doubted(&mut tx, &all, opened.now()).await?;
    if which.at.is_some() {
        for record in &mut all {
            let events = exceptions::events(&mut tx, &record.id).await?;
            let then = events.iter().rfind(|e| e.at <= now);
            record.state = then.map_or(State::Draft, |e| e.after);
        }
        all.retain(|r| r.times.submitted_at.is_some_and(|at| at <= now));
    }
    all.retain(|r| which.takes(r, now));
    let columns = [
        column("id", "EXCEPTION"),
        column("stands", "STATE"),
        column("tier", "TIER"),
        column("title", "TITLE"),
        column("team", "FOR"),
        column("owner", "OWNER"),
        column("ends", "UNTIL"),
        column("covers", "SILENT"),
    ];
    let mut rows = Vec::new();
    for record in &all {
        let covered = coverage::covered_by(&mut tx, &record.id).await?;
        let silent = covered
            .iter()
            .filter(|c| c.opened_at <= now && c.closed_at.is_none_or(|closed| closed > now));
        let silent = silent.count();
        let usage = register::usage(&mut tx, record).await?;
        let mut shown = row(record, (silent, usage), now);
        if let Some(why) = doubted.get(&record.id) {
            shown.insert("doubt".to_owned(), json!(why));
            Out::stderr().line(format!("warning: {} covers nothing: {why}", record.id))?;
        }
        rows.push(shown);
    }
    out.list(&columns, rows)?;
    if out.format() == Format::Table && all.is_empty() {
        out.line("None. `--all` shows those that are over; `tripline exception submit FILE` asks for one.")?;
    }
    Ok(ExitCode::from(CLEAN))
}

/// Those that the log does not bear out, with the reason: they cover nothing, whatever their rows say.
pub(super) async fn doubted(
    tx: &mut Tx,
    all: &[Record],
    now: DateTime<Utc>,
) -> anyhow::Result<BTreeMap<ExceptionId, String>> {
    let register = act::register(tx, all, now).await?;
    let doubted = register.doubted();
    Ok(doubted
        .map(|(id, why)| (id.clone(), why.to_owned()))
        .collect())
}

/// The answer to "which exceptions are there, who approved each, what was required, does it hold now, and why is it
/// still open?".
pub(super) fn row(
    record: &Record,
    (silent, usage): (usize, register::Usage),
    now: DateTime<Utc>,
) -> Map<String, Value> {
    let request = &record.request;
    let frozen = record.frozen.as_ref();
    // A request without an end has some instant in its row, and nobody asked for that.
    let asked = request.expires_at.map(|_| record.times.expires_at);
    let end = frozen.map_or(asked, |_| Some(record.times.expires_at));
    let approved: Vec<String> = record
        .decisions
        .iter()
        .map(|d| {
            format!(
                "{} ({}) as {}: {}",
                d.name, d.approver, d.role.role, d.verdict
            )
        })
        .collect();
    let conditions: Map<String, Value> = frozen
        .map(|f| f.terms.conditions.iter())
        .into_iter()
        .flatten()
        .map(|c| {
            let now = record.conditions.get(&c.id);
            let value = json!({ "text": c.text, "standing": now.map(|c| &c.standing), "said": now.map(|c| &c.said) });
            (c.id.clone(), value)
        })
        .collect();
    object(json!({
        "id": record.id,
        "revision": record.revision,
        "stands": record.state_at(now),
        "title": request.title,
        "tier": frozen.map(|f| &f.triage.tier),
        "policy": request.provision.to_string(),
        "policy_version": frozen.map(|f| f.terms.policy.version),
        "controls": request.controls,
        "subjects": request.subjects,
        "team": request.beneficiary_team,
        "requester": request.requester,
        "owner": request.owner,
        "asked_at": record.times.submitted_at,
        "active_since": record.times.activated_at,
        "ends": end.map(|end| end.format("%Y-%m-%d").to_string()),
        "expires_at": end,
        "renewals": frozen.map(|f| f.terms.renewals),
        "facets": frozen.map(|f| &f.facets),
        "residual_risk": frozen.map(|f| &f.terms.residual),
        "decided": approved,
        "conditions": conditions,
        "covers": silent,
        "usage": usage,
        "question": record.question,
        "because": why_open(record, now),
    }))
}

/// Why an exception that is not over is neither expired nor a change of the policy.
pub(super) fn why_open(record: &Record, now: DateTime<Utc>) -> String {
    let state = record.state_at(now);
    let ends = record.times.expires_at.format("%Y-%m-%d");
    let plan = record.request.closure_plan.as_deref();
    let plan = plan.map_or_else(String::new, |p| {
        format!(" It is to end like this: {}", p.trim())
    });
    let reason = record
        .request
        .reason_code
        .map_or_else(String::new, |r| r.as_str().replace('_', " "));
    match state {
        State::Active | State::Suspended => {
            let renewed = record.frozen.as_ref().map_or(0, |f| f.terms.renewals);
            let renewed = if renewed > 0 {
                format!(", renewed {renewed} times")
            } else {
                String::new()
            };
            let out = record.suspension.map_or_else(String::new, |s| {
                format!(" It is suspended: {}.", s.as_str().replace('_', " "))
            });
            format!(
                "Its end is on {ends}{renewed}; the policy stands because the reason is {reason}, which is its team's and not the policy's until others ask for the same.{plan}{out}"
            )
        }
        state if state.is_pending() => match record.step_due(now) {
            Some(due) => format!(
                "It waits for a decision, due {}.",
                due.format("%Y-%m-%d %H:%M UTC")
            ),
            None => "It waits for what is missing.".to_owned(),
        },
        State::Approved => "It is approved and not yet in force.".to_owned(),
        State::Closed => record.closure.as_ref().map_or_else(
            || "It was looked back at.".to_owned(),
            |c| {
                format!(
                    "It came out as {}: {}",
                    c.outcome.as_str().replace('_', " "),
                    c.note
                )
            },
        ),
        _ => format!(
            "It is over; whoever leads the policy looks back at it (`tripline exception close {}`).",
            record.id
        ),
    }
}
