//! Digests: one reader at a time, at the reader's hour. What changed since the last one, what is overdue and
//! what is not checked; nothing when there is nothing to say. The period is claimed in the transaction that
//! puts the digest together, so that of several workers one writes it.

use std::sync::PoisonError;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use serde_json::json;

use super::{Context, Error, Summary, known, seal};
use crate::{
    crash,
    finding::{Due, Stopped, due as due_of},
    model::{
        control::Given,
        exception::State,
        finding::{Finding, Status},
        id::{ChannelId, ControlId, PersonId, TeamId},
        notice::{Batch, Delivery, Item, Mode},
        people::{DigestTime, Principal},
    },
    notify::{
        bundle::Entry,
        channel::Message,
        digest::{self, Ending, Material, Open, Unchecked},
        period::{Period, current},
        route::Desk,
    },
    register,
    run::Set,
    store::{self, Page, Tx, audit, digests, exceptions, findings, outbox},
};

/// A reader with the hour of their digest.
struct Reader {
    whom: Principal,
    time: DigestTime,
    zone: Tz,
}

/// Writes every digest whose hour has come.
pub(super) async fn due(cx: &Context, set: &Set, summary: &mut Summary) -> Result<(), Error> {
    let Some(mail) = set.desk.mail() else {
        return Ok(());
    };
    let now = cx.clock.now();
    for reader in readers(&set.desk) {
        let Some(period) = current(&reader.time, reader.zone, now) else {
            continue;
        };
        if is_settled(cx, &reader.whom, &period) {
            continue;
        }
        if one((cx, set), (&reader, mail), &period, summary).await? {
            crash::point("deliver.sealed");
        }
        settle(cx, reader.whom, period);
    }
    Ok(())
}

fn is_settled(cx: &Context, whom: &Principal, period: &Period) -> bool {
    let settled = cx.settled.lock().unwrap_or_else(PoisonError::into_inner);
    settled.get(whom) == Some(&period.key)
}

fn settle(cx: &Context, whom: Principal, period: Period) {
    let mut settled = cx.settled.lock().unwrap_or_else(PoisonError::into_inner);
    settled.insert(whom, period.key);
}

/// Everybody who may get a digest: people, and teams that have an address of their own.
fn readers(desk: &Desk) -> Vec<Reader> {
    let directory = desk.directory();
    let people = directory.people.iter().map(|p| Reader {
        whom: Principal::Person(PersonId::new(&p.id.value)),
        time: p.digest.clone(),
        zone: p.timezone,
    });
    let teams = directory
        .teams
        .iter()
        .filter(|t| t.email.is_some())
        .map(|t| Reader {
            whom: Principal::Team(TeamId::new(&t.id.value)),
            time: t.digest.clone(),
            zone: t.timezone,
        });
    people.chain(teams).collect()
}

/// Claims the period of one reader and writes the digest, if there is something to say; whether there was.
async fn one(
    (cx, set): (&Context, &Set),
    (reader, mail): (&Reader, &ChannelId),
    period: &Period,
    summary: &mut Summary,
) -> Result<bool, Error> {
    let mut tx = cx.store.begin().await?;
    let last = digests::last(&mut tx, &reader.whom, mail).await?;
    if last
        .as_ref()
        .is_some_and(|l| l.period == period.key || l.planned_at >= period.at)
    {
        return Ok(false);
    }
    let mut claim = digests::Digest {
        recipient: reader.whom.clone(),
        channel: mail.clone(),
        period: period.key.clone(),
        planned_at: period.at,
        batch: None,
    };
    // The hour that had come before there was anything to tell is claimed without a word.
    let Some(last) = last else {
        if digests::claim(&mut tx, &claim).await? {
            tx.commit().await?;
        }
        return Ok(false);
    };
    let waiting: Vec<Item> = outbox::waiting(&mut tx, Mode::Digest, mail, &reader.whom)
        .await?
        .into_iter()
        .filter(|i| i.planned_at <= period.at)
        .collect();
    let sorted = known::sort(&mut tx, cx, set.desk.directory(), waiting, cx.clock.now()).await?;
    let told: Vec<String> = sorted.tell.iter().map(|i| i.key.clone()).collect();
    let heard = outbox::heard(&mut tx, mail, &reader.whom, last.planned_at).await?;
    let entries = entries(sorted.tell, heard);
    let material = material(&mut tx, set, (reader, period), last.planned_at, entries).await?;
    seal::leave_out(&mut tx, &sorted.drop, cx.clock.now(), summary).await?;

    let occasion = material.occasion(cx.all_quiet);
    let letter = if occasion.is_sent() {
        let letter = material.letter(occasion, &cx.site, &cx.templates);
        letter
            .map_err(|e| Error::Channel(mail.clone(), e))
            .map(Some)?
    } else {
        None
    };
    let Some(letter) = letter else {
        if !told.is_empty() {
            outbox::leave_out(&mut tx, &told, occasion.as_str(), cx.clock.now()).await?;
        }
        if digests::claim(&mut tx, &claim).await? {
            tx.commit().await?;
        }
        return Ok(false);
    };
    let batch = batch(
        reader,
        mail,
        period,
        (told, &Message::Letter(letter)),
        cx.clock.now(),
    );
    claim.batch = Some(batch.id.clone());
    if !digests::claim(&mut tx, &claim).await? {
        return Ok(false);
    }
    outbox::seal(&mut tx, &[batch]).await?;
    tx.commit().await?;
    summary.sealed += 1;
    Ok(true)
}

fn batch(
    reader: &Reader,
    mail: &ChannelId,
    period: &Period,
    (items, message): (Vec<String>, &Message),
    now: DateTime<Utc>,
) -> Batch {
    Batch {
        id: digest::id_of(&reader.whom, period),
        channel: mail.clone(),
        recipient: Some(reader.whom.clone()),
        mode: Mode::Digest,
        group: None,
        items,
        message: json!(message),
        attempts: 0,
        ambiguous: 0,
        due_at: now,
        sealed_at: now,
        state: Delivery::Due,
        last_error: None,
        fence: 0,
    }
}

/// What waited for the digest and what was told since the last one, each finding once, as told last.
fn entries(waiting: Vec<Item>, heard: Vec<Item>) -> Vec<Entry> {
    let all: Vec<Item> = heard.into_iter().chain(waiting).collect();
    let (kept, _) = crate::notify::net::supersede(all);
    kept.into_iter()
        .filter_map(|item| Entry::of(item).ok())
        .collect()
}

async fn material(
    tx: &mut Tx,
    set: &Set,
    (reader, period): (&Reader, &Period),
    last: DateTime<Utc>,
    entries: Vec<Entry>,
) -> Result<Material, Error> {
    let owned = owned(set, &reader.whom);
    let filter = findings::Filter {
        open: true,
        covered: Some(false),
        owned: Some(owned.clone()),
        ..findings::Filter::default()
    };
    let found = findings::list(tx, &filter, findings::Order::Worst, Page::ALL).await?;
    let open = found
        .iter()
        .filter_map(|f| open(set, f, period.at))
        .collect();
    Ok(Material {
        reader: reader.whom.clone(),
        zone: reader.zone,
        period: period.clone(),
        last: Some(last),
        entries,
        open,
        unchecked: unchecked(tx, set, &owned).await?,
        waiting: waiting(tx, set, &reader.whom, period.at).await?,
        ending: ending(tx, set, (&reader.whom, last), period.at).await?,
        checkpoint: audit::last_checkpoint(tx).await?.map(|c| c.note),
        unsubscribe: None,
    })
}

/// Every name that leads to a reader, and the controls that the reader owns.
fn owned(set: &Set, whom: &Principal) -> findings::Owned {
    let desk = &set.desk;
    let directory = desk.directory();
    let leads = |name: &str| {
        directory
            .find(name)
            .is_some_and(|owner| owner == *whom || desk.readers(&owner).contains(whom))
    };
    let mut names: Vec<String> = Vec::new();
    for person in &directory.people {
        names.extend([person.id.value.clone(), person.email.value.clone()]);
        names.extend(person.identities.iter().cloned());
    }
    for team in &directory.teams {
        names.push(team.id.value.clone());
        names.extend(team.email.as_ref().map(|e| e.value.clone()));
    }
    names.retain(|name| leads(name));
    names.sort_unstable();
    names.dedup();
    let controls = set.catalog.controls.values();
    let controls: Vec<ControlId> = controls
        .filter(|c| match &c.owner {
            Given::Fixed(owner)
            | Given::Column {
                otherwise: owner, ..
            } => leads(owner),
        })
        .map(|c| c.id.clone())
        .collect();
    findings::Owned { names, controls }
}

fn open(set: &Set, finding: &Finding, now: DateTime<Utc>) -> Option<Open> {
    let control = set.catalog.control(&finding.control)?;
    let (Due::Until(due_at) | Due::Overdue(due_at)) = due_of(control, finding, now) else {
        return None;
    };
    Some(Open {
        finding: finding.key.short(),
        subject: finding.subject.to_string(),
        control: control.id.to_string(),
        title: control.title.clone(),
        severity: finding.severity,
        since: finding.state.opened_at?,
        due_at,
    })
}

/// The reader's controls that wait for a source.
async fn unchecked(
    tx: &mut Tx,
    set: &Set,
    owned: &findings::Owned,
) -> Result<Vec<Unchecked>, store::Error> {
    let gaps: Vec<ControlId> = set
        .catalog
        .sources
        .keys()
        .map(crate::finding::gap_control)
        .collect();
    let filter = findings::Filter {
        status: vec![Status::Open, Status::Clearing, Status::Flapping],
        controls: gaps,
        ..findings::Filter::default()
    };
    let mut all = Vec::new();
    for gap in findings::list(tx, &filter, findings::Order::Worst, Page::ALL).await? {
        let source = gap.subject.as_str().split('/').next().unwrap_or_default();
        for stopped in gap.rows.iter().filter_map(Stopped::of_row) {
            if !owned.controls.contains(&stopped.control) {
                continue;
            }
            let title = set.catalog.control(&stopped.control);
            all.push(Unchecked {
                control: stopped.control.to_string(),
                title: title.map_or_else(String::new, |c| c.title.clone()),
                source: source.to_owned(),
                since: stopped.since,
                why: stopped.detail,
                last_good: stopped.last_good,
            });
        }
    }
    Ok(all)
}

/// Days before its end on which an exception is announced.
const ANNOUNCED: [i64; 4] = [30, 14, 7, 1];

/// What waits for a person in the register.
async fn waiting(
    tx: &mut Tx,
    set: &Set,
    whom: &Principal,
    now: DateTime<Utc>,
) -> Result<Vec<digest::Waiting>, Error> {
    let Principal::Person(person) = whom else {
        return Ok(Vec::new());
    };
    let waits = register::queue(tx, set, person, now).await?;
    let row = |w: register::Waiting| digest::Waiting {
        exception: w.exception.to_string(),
        title: w.title,
        what: w.what,
        due_at: w.due_at,
    };
    Ok(waits.into_iter().map(row).collect())
}

/// Which exceptions of a reader end within thirty days. A day on which nobody wrote digests is made up for by the next:
/// what counts is whether one of the days lies between the last digest and this one.
async fn ending(
    tx: &mut Tx,
    set: &Set,
    (whom, last): (&Principal, DateTime<Utc>),
    now: DateTime<Utc>,
) -> Result<Vec<Ending>, Error> {
    let filter = exceptions::Filter {
        // What is suspended is out of force: its end changes nothing for anybody.
        states: vec![State::Active],
        ..exceptions::Filter::default()
    };
    let directory = set.desk.directory();
    let mut all = Vec::new();
    for record in exceptions::list(tx, &filter).await? {
        let ends_at = record.times.expires_at;
        let days = ANNOUNCED.map(|d| ends_at - TimeDelta::days(d));
        let over = record.state_at(now).is_over();
        if over || days.first().is_none_or(|first| now < *first) {
            continue;
        }
        let request = &record.request;
        let team = request.beneficiary_team.iter().map(|t| format!("team:{t}"));
        let names = [&request.requester, &request.owner, &request.backup_owner];
        let names = names.into_iter().flatten().cloned();
        let mut concerned = names.chain(request.monitors.iter().cloned()).chain(team);
        if concerned.any(|name| directory.find(&name).as_ref() == Some(whom)) {
            all.push(Ending {
                exception: record.id.to_string(),
                covers: request.title.clone().unwrap_or_default(),
                ends_at,
                is_announced_now: days.iter().any(|day| *day > last && *day <= now),
            });
        }
    }
    all.sort_by_key(|e| e.ends_at);
    Ok(all)
}
