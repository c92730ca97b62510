//! What people do to an exception, one act each, bound to what they saw.

use std::process::ExitCode;

use super::{What, ask, named, outcome, refuse, standing};
use crate::{
    cli::{USAGE, open::Opened, out::Out},
    exception::{decide::Verdict, record::Record, state::Act},
    model::id::PersonId,
    register::{self, Word},
};

/// Does one act.
pub(super) async fn run(
    opened: &Opened,
    by: &PersonId,
    what: What,
    out: &mut Out,
) -> anyhow::Result<ExitCode> {
    let (cx, set) = (&opened.cx, &opened.set);
    let name = match &what {
        What::Approve { id, .. }
        | What::Deny { id, .. }
        | What::Ask { id, .. }
        | What::Attest { id, .. }
        | What::Close { id, .. } => id.clone(),
        What::Grant(say)
        | What::Join(say)
        | What::Withdraw(say)
        | What::Revoke(say)
        | What::Suspend(say)
        | What::Review(say)
        | What::Answer(say) => say.id.clone(),
        _ => return refuse(USAGE, "nothing to do"),
    };
    let id = match named(opened, &name).await? {
        Ok(record) => record.id,
        Err(said) => return refuse(USAGE, said),
    };
    let end = |act, reason: String| {
        let id = id.clone();
        async move { register::end(cx, set, by, (&id, act), &reason).await }
    };
    let done = match what {
        What::Approve {
            package,
            ends,
            conditions,
            because,
            ..
        } => {
            let conditions = match ask::conditions(&conditions)? {
                Ok(conditions) => conditions,
                Err(code) => return Ok(code),
            };
            let word = Word {
                verdict: Verdict::Approve,
                reason: because,
                ends,
                conditions,
                package,
            };
            register::decide(cx, set, by, &id, word).await
        }
        What::Deny {
            package, because, ..
        } => register::decide(cx, set, by, &id, word(Verdict::Deny, package, because)).await,
        What::Ask {
            package, because, ..
        } => register::decide(cx, set, by, &id, word(Verdict::Ask, package, because)).await,
        What::Grant(say) => register::grant(cx, set, by, &id, &say.because).await,
        What::Join(say) => register::join(cx, set, by, &id, &say.because).await,
        What::Withdraw(say) => end(Act::Withdraw, say.because).await,
        What::Revoke(say) => end(Act::Revoke, say.because).await,
        What::Suspend(say) => end(Act::Suspend, say.because).await,
        What::Review(say) => end(Act::Review, say.because).await,
        What::Answer(say) => register::answer(cx, set, by, &id, &say.because).await,
        What::Attest {
            condition, because, ..
        } => register::attest(cx, set, by, (&id, &condition), &because).await,
        What::Close {
            outcome, because, ..
        } => register::close(cx, set, by, &id, (outcome, &because)).await,
        _ => return refuse(USAGE, "nothing to do"),
    };
    let now = opened.now();
    outcome(done, |record| said(record, now), out)
}

fn word(verdict: Verdict, package: String, because: String) -> Word {
    Word {
        verdict,
        reason: Some(because),
        ends: None,
        conditions: Vec::new(),
        package,
    }
}

/// Where it stands now, and what it waits for.
fn said(record: &Record, now: chrono::DateTime<chrono::Utc>) -> String {
    let waits = record
        .pending(now)
        .filter(|p| p.state == crate::model::exception::State::PendingDecision)
        .and_then(|p| p.open().map(|s| s.id.clone()))
        .map_or_else(String::new, |step| {
            format!(", and waits for the step `{step}`")
        });
    let blocked: Vec<String> = match record.state {
        crate::model::exception::State::Approved => {
            let not = |c: &&crate::exception::record::Checked| {
                c.standing != crate::exception::coverage::Standing::Holds
            };
            let all = record.conditions.iter().filter(|(_, c)| not(c));
            all.map(|(id, c)| format!("\n  not in place yet: `{id}`: {}", c.said))
                .collect()
        }
        _ => Vec::new(),
    };
    format!(
        "{} is {}{waits}.{}",
        record.id,
        standing(record, now),
        blocked.concat()
    )
}
