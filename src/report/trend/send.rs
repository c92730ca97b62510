//! A report that is made is kept by the digest of its content and proved by the log; at the beginning of a quarter that of
//! the last one goes to those who lead policies.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{
    gather::{Asked, gather},
    json, mail,
    model::Trend,
};
use crate::{
    audit::leaf::{Fact, Leaf, ReportFact},
    model::{
        id::{PersonId, Sha},
        notice::{Kind, Word},
        people::{Directory, Principal},
    },
    notify::{
        bundle::Site,
        facts::Written,
        plan::{About, direct},
    },
    report::Error,
    run::{Context, Set},
    store::{Tx, audit, meta, outbox, reports},
};

/// What kind of report this is, in the store and in the log.
pub const KIND: &str = "trend";

/// The quarter of the last turn.
const QUARTER: &str = "report.trend";

/// Keeps a report and writes down that it was made. Gives the digest of its content.
///
/// # Errors
/// The store cannot be written.
pub async fn keep(cx: &Context, trend: &Trend) -> Result<Sha, Error> {
    let mut tx = cx.store.begin().await?;
    let content = keep_in(&mut tx, trend, cx.clock.now()).await?;
    tx.commit().await?;
    Ok(content)
}

async fn keep_in(tx: &mut Tx, trend: &Trend, now: DateTime<Utc>) -> Result<Sha, Error> {
    let bytes = json::bytes(trend)?;
    let body: Value = serde_json::from_slice(&bytes).map_err(super::Error::from)?;
    let content = json::content_sha256(trend)?;
    let content: Sha = content
        .parse()
        .map_err(|_| Error::Ended(format!("`{content}` is no digest")))?;
    let period = trend.period.name.as_str();
    if reports::keep(tx, (KIND, period), content, &body, now).await? {
        let fact = ReportFact {
            report: KIND.to_owned(),
            period: period.to_owned(),
            content,
        };
        audit::append(tx, &[Leaf::new(now, Fact::Report(fact))]).await?;
    }
    Ok(content)
}

/// At the first turn of a quarter the report of the last one is made and owed to policy leads. Reports of quarters that ended
/// while nobody was there are made and kept as well, and named in it. Gives how many words that are.
///
/// # Errors
/// The store or the evidence cannot be read or written; it is tried again at the next turn.
pub async fn quarterly(cx: &Context, set: &Set, site: &Site) -> Result<u64, Error> {
    let today = cx.clock.now().date_naive();
    let this = Asked::quarter(None, today).map_err(Error::Ended)?;
    let last = meta::get(&mut cx.store.read().await?, QUARTER).await?;
    if last.as_ref() == Some(&this.name) {
        return Ok(0);
    }
    let Some(before) = last else {
        // The first turn ever: there is no quarter that we have seen to its end.
        let mut tx = cx.store.begin().await?;
        meta::set(&mut tx, QUARTER, &this.name).await?;
        tx.commit().await?;
        return Ok(0);
    };
    let since = Asked::quarter(Some(&before), today).map_err(Error::Ended)?;
    let mut made = Vec::new();
    for asked in since.until(&this) {
        made.push(gather(cx, set, site, asked).await?);
    }
    let now = cx.clock.now();
    let mut tx = cx.store.begin().await?;
    let mut owed = 0;
    let missed = made.len().saturating_sub(1);
    for trend in made.iter().take(missed) {
        keep_in(&mut tx, trend, now).await?;
    }
    if let Some(trend) = made.last() {
        owed = tell(&mut tx, set, (trend, &names(made.iter().take(missed))), now).await?;
    }
    meta::set(&mut tx, QUARTER, &this.name).await?;
    tx.commit().await?;
    Ok(owed)
}

fn names<'t>(made: impl Iterator<Item = &'t Trend>) -> Vec<&'t str> {
    made.map(|t| t.period.name.as_str()).collect()
}

/// Keeps the report of a quarter and owes it to those who lead policies. `missed` are the quarters of which nobody was told.
async fn tell(
    tx: &mut Tx,
    set: &Set,
    (trend, missed): (&Trend, &[&str]),
    now: DateTime<Utc>,
) -> Result<u64, Error> {
    let period = trend.period.name.as_str();
    let content = keep_in(tx, trend, now).await?;
    let parts = mail::parts(trend, &foot(tx, trend, missed).await?)?;
    let about = About {
        kind: Kind::Report,
        id: content.to_string(),
        owner: None,
        event: format!("{KIND}:{period}"),
        word: Word::Reported,
        title: parts.subject.clone(),
        sentence: super::sentences(trend)
            .into_iter()
            .next()
            .unwrap_or_default(),
        because: None,
        detail: None,
        due_at: None,
        is_pressing: false,
        letter: Some(Written {
            subject: parts.subject,
            text: parts.text,
            html: parts.html,
        }),
    };
    let whom: Vec<(Principal, &str)> = leads(&set.catalog.directory, set)
        .into_iter()
        .map(|p| (p, "you lead a policy"))
        .collect();
    let items = direct(&set.desk, &about, &whom, now);
    outbox::enqueue(tx, &items).await?;
    Ok(items.len() as u64)
}

/// What stands under the mail: where the page is or how it is made, and what proves the log.
async fn foot(tx: &mut Tx, trend: &Trend, missed: &[&str]) -> Result<mail::Foot, Error> {
    let command = format!(
        "tripline report trend --period {} --format html --into reports",
        trend.period.name
    );
    Ok(mail::Foot {
        why: "You get this because you lead a policy.".to_owned(),
        command: trend.made.link.is_none().then_some(command),
        beside: (!missed.is_empty()).then(|| {
            format!(
                "Nobody was told of {} when it ended: tripline report kept lists what was made of it.",
                missed.join(", ")
            )
        }),
        unsubscribe: None,
        checkpoint: audit::last_checkpoint(tx)
            .await?
            .map(|c| c.note.trim_end().to_owned()),
    })
}

/// Whoever leads a policy: its owner, and everybody with the role.
fn leads(directory: &Directory, set: &Set) -> BTreeSet<Principal> {
    let owners = set.catalog.policies.values();
    let owners = owners.filter_map(|p| directory.find(&p.owner));
    let people = directory
        .people
        .iter()
        .filter(|p| p.roles.iter().any(|r| r == "policy-lead"))
        .map(|p| Principal::Person(PersonId::new(&p.id.value)));
    owners.chain(people).collect()
}
