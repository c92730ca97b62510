//! What people say of findings and collections: that they do not want to hear of something for a while, that a
//! result is wrong, that a collection may be believed. Each is kept with who and why, in one transaction with
//! the leaf that proves it; none changes an outcome.

use chrono::{DateTime, Utc};

use crate::{
    audit::leaf::{self, Fact, Leaf, Said, blind},
    clock::stamp,
    model::{
        control::Given,
        finding::Finding,
        id::{ControlId, PersonId, SnapshotId, SubjectId},
        remark::{Mute, WrongResult},
    },
    notify::plan::{Operation, operation_to},
    run::{Context, Set},
    store::{
        self, Tx, audit, mutes, outbox, salts,
        snapshots::{self, Acceptance, Accepted},
        wrong_results,
    },
};

/// Who says something, and why.
#[derive(Debug, Clone, Copy)]
pub struct Speaker<'a> {
    /// A person of `tripline.yaml`.
    pub by: &'a PersonId,
    /// Why, in a sentence that others will read.
    pub because: &'a str,
}

/// Keeps silent about a control, a subject, or one on the other, until an instant. What was open before is told
/// when it ends.
///
/// # Errors
/// When the store cannot be written.
pub async fn mute(
    cx: &Context,
    speaker: Speaker<'_>,
    (control, subject): (Option<ControlId>, Option<SubjectId>),
    until: DateTime<Utc>,
) -> Result<Mute, store::Error> {
    let now = cx.clock.now();
    let mute = Mute {
        id: stamp("mut-", now),
        control,
        subject,
        until,
        reason: speaker.because.to_owned(),
        by: speaker.by.clone(),
        at: now,
    };
    let mut tx = cx.store.begin().await?;
    mutes::insert(&mut tx, &mute).await?;
    prove(&mut tx, Said::Muted, &mute.id, speaker, now).await?;
    tx.commit().await?;
    Ok(mute)
}

/// Ends a mute before its time; whether it still held.
///
/// # Errors
/// When the store cannot be written.
pub async fn unmute(cx: &Context, speaker: Speaker<'_>, id: &str) -> Result<bool, store::Error> {
    let now = cx.clock.now();
    let mut tx = cx.store.begin().await?;
    let held = mutes::lift(&mut tx, id, speaker.by, now).await?;
    if held {
        prove(&mut tx, Said::Unmuted, id, speaker, now).await?;
    }
    tx.commit().await?;
    Ok(held)
}

/// Says that a result is wrong: a fault of the control or of its evidence. The control's owner hears of it, it
/// is counted, and it silences nothing.
///
/// # Errors
/// When the store cannot be written.
pub async fn wrong(
    cx: &Context,
    set: &Set,
    speaker: Speaker<'_>,
    finding: &Finding,
) -> Result<WrongResult, store::Error> {
    let now = cx.clock.now();
    let wrong = WrongResult {
        id: stamp("wrg-", now),
        finding: finding.key,
        control: finding.control.clone(),
        run: finding.run.clone(),
        reason: speaker.because.to_owned(),
        by: speaker.by.clone(),
        at: now,
    };
    let mut tx = cx.store.begin().await?;
    wrong_results::insert(&mut tx, &wrong).await?;
    let owner = set
        .catalog
        .control(&finding.control)
        .map(|c| match &c.owner {
            Given::Fixed(name)
            | Given::Column {
                otherwise: name, ..
            } => name.clone(),
        });
    if let Some(owner) = owner.and_then(|name| set.desk.directory().find(&name)) {
        let about = Operation {
            subject: &format!("wrong:{}", wrong.id),
            title: "A result is said to be wrong",
            sentence: &format!(
                "{} says of `{}` on {}: {}. `tripline explain {}` shows what the control saw.",
                speaker.by,
                finding.control,
                finding.subject,
                speaker.because.trim_end_matches('.'),
                finding.key.short()
            ),
            not_by: None,
        };
        let items = operation_to(&set.desk, &owner, &about, now);
        outbox::enqueue(&mut tx, &items).await?;
    }
    prove(&mut tx, Said::WrongResult, &wrong.id, speaker, now).await?;
    tx.commit().await?;
    Ok(wrong)
}

/// Takes a suspect collection for complete: the change that it shows is real.
///
/// # Errors
/// When the store cannot be written.
pub async fn accept(
    cx: &Context,
    speaker: Speaker<'_>,
    snapshot: &SnapshotId,
) -> Result<Accepted, store::Error> {
    let now = cx.clock.now();
    let acceptance = Acceptance {
        by: speaker.by,
        because: speaker.because,
        at: now,
    };
    let mut tx = cx.store.begin().await?;
    let done = snapshots::accept(&mut tx, snapshot, &acceptance).await?;
    if let Accepted::Done(accepted) = &done {
        // The evidence counts from now on, and the log says since when.
        let leaf = Leaf {
            at: now,
            ..Leaf::of_snapshot(accepted)
        };
        audit::append(&mut tx, &[leaf]).await?;
        prove(&mut tx, Said::Accepted, snapshot.as_str(), speaker, now).await?;
        tx.commit().await?;
    }
    Ok(done)
}

/// The leaf of what somebody said.
async fn prove(
    tx: &mut Tx,
    said: Said,
    about: &str,
    speaker: Speaker<'_>,
    now: DateTime<Utc>,
) -> Result<(), store::Error> {
    let person = format!("person:{}", speaker.by);
    let by = blind(&salts::of(tx, &person).await?, &person);
    let because = blind(&salts::of(tx, about).await?, speaker.because);
    let fact = leaf::Remark {
        said,
        about: about.to_owned(),
        by,
        because,
    };
    audit::append(tx, &[Leaf::new(now, Fact::Remark(fact))]).await?;
    Ok(())
}
