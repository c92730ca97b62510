//! What people do to a signal: see it, conclude the review that it opened, or say that it was of no use.

use chrono::NaiveDate;

use super::{
    Error,
    look::{DUE, act_of, note},
};
use crate::{
    model::{
        id::{ControlId, PersonId, SignalId},
        plain,
    },
    run::{Context, Set},
    signal::{
        lifecycle::{self, Act, Dismissal},
        record::{Conclusion, Outcome, Signal, word},
    },
    store::signals,
};

/// What somebody does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doing {
    /// They have seen it.
    Acknowledge,
    /// They conclude the review.
    Conclude {
        /// What they came to.
        outcome: Outcome,
        /// From when on the change is in force.
        effective: Option<NaiveDate>,
        /// Until when nothing changes.
        until: Option<NaiveDate>,
        /// The draft that runs in shadow.
        draft: Option<ControlId>,
    },
    /// It is none.
    Dismiss(Dismissal),
    /// It is looked at again after all.
    Reopen,
}

/// Does it.
///
/// # Errors
/// There is no such signal, whoever acts does not lead its policy, nothing is said for a reason, or it may not be done where
/// the signal stands.
pub async fn conclude(
    cx: &Context,
    set: &Set,
    by: &PersonId,
    (id, doing): (&SignalId, Doing),
    because: &str,
) -> Result<Signal, Error> {
    let now = cx.clock.now();
    let today = now.date_naive();
    let mut tx = cx.store.begin().await?;
    let signal = signals::get(&mut tx, id).await?;
    let mut signal = signal.ok_or_else(|| {
        Error::Refused(format!(
            "there is no signal `{id}`; `tripline signals` lists them"
        ))
    })?;
    if !leads(set, &signal, by) {
        let owner = signal.owner.as_deref().unwrap_or("nobody");
        return Err(Error::Refused(format!(
            "{by} may not decide about {id}: the policy is led by {owner} (not_lead)"
        )));
    }
    let because = because.trim();
    if let Some(hidden) = plain::hidden(because) {
        let said = plain::say("because", hidden);
        return Err(Error::Refused(format!("{said} (hidden)")));
    }
    if because.is_empty() && doing != Doing::Acknowledge {
        return Err(Error::Refused(
            "say why: others will want to know (no_reason)".to_owned(),
        ));
    }
    fits(set, &signal, &doing, today)?;
    let (act, name) = match &doing {
        Doing::Acknowledge => (Act::Acknowledge, "acknowledge"),
        Doing::Dismiss(reason) => (Act::Dismiss { reason: *reason }, "dismiss"),
        Doing::Reopen => (Act::Reopen, "reopen"),
        Doing::Conclude {
            outcome,
            effective,
            until,
            ..
        } => (act_of(*outcome, (*effective, *until))?, "conclude"),
    };
    let before = signal.raised.state;
    let Some(after) = lifecycle::next(before, act, today) else {
        return Err(Error::Refused(format!(
            "{id} is {}, and cannot be moved by `{name}` today (not_now)",
            word(before)
        )));
    };
    signal.raised.state = after;
    match doing {
        Doing::Conclude {
            outcome,
            effective,
            draft,
            ..
        } => {
            signal.conclusion = Some(Conclusion {
                outcome,
                by: by.clone(),
                because: because.to_owned(),
                at: now,
                effective,
                draft,
            });
        }
        Doing::Reopen => {
            // It is asked anew: what was concluded then is in its events.
            signal.conclusion = None;
            signal.effect = None;
            signal.admitted = None;
            signal.due = today + DUE;
        }
        Doing::Acknowledge | Doing::Dismiss(_) => {}
    }
    let said = Some(because).filter(|b| !b.is_empty());
    signals::update(&mut tx, &mut signal, now).await?;
    note(&mut tx, &signal, (name, Some(by)), said, now).await?;
    tx.commit().await?;
    Ok(signal)
}

/// Refuses days and drafts that cannot be meant.
fn fits(set: &Set, signal: &Signal, doing: &Doing, today: NaiveDate) -> Result<(), Error> {
    let Doing::Conclude {
        effective,
        until,
        draft,
        ..
    } = doing
    else {
        return Ok(());
    };
    let control = &signal.raised.control;
    if let Some(day) = until.filter(|day| *day <= today) {
        return Err(Error::Refused(format!(
            "`--until {day}` is past: name the day on which it is looked at again (day_past)"
        )));
    }
    if let Some(day) = effective.filter(|day| *day < signal.raised.raised) {
        return Err(Error::Refused(format!(
            "`--effective {day}` is before {} was raised ({}): a change that was in force then did not answer it (day_before_signal)",
            signal.id, signal.raised.raised
        )));
    }
    let Some(draft) = draft else { return Ok(()) };
    match set.catalog.control(draft) {
        Some(known) if known.shadow => Ok(()),
        Some(_) => Err(Error::Refused(format!(
            "`{draft}` is no draft: it is in force (not_a_draft)"
        ))),
        None => Err(Error::Refused(format!(
            "there is no draft `{draft}`: `tripline signals draft {control} --set NAME=VALUE --into FOLDER` writes one (no_draft)"
        ))),
    }
}

/// Whoever leads the policy decides about its signals; where nobody does, every policy lead.
fn leads(set: &Set, signal: &Signal, by: &PersonId) -> bool {
    let directory = &set.catalog.directory;
    let is_lead = directory
        .people
        .iter()
        .any(|p| p.id.value == by.as_str() && p.roles.iter().any(|r| r == "policy-lead"));
    let owner = signal.owner.as_deref();
    owner.map_or(is_lead, |o| directory.leads_to(o, by) || is_lead)
}
