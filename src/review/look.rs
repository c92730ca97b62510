//! The weekly look at the register: patterns become signals, each opens one review of its policy, and whoever leads the
//! policy is told once. Changes that came into force are measured, and signals that nobody needs any more are over.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike as _, Days, NaiveDate, Utc};
use serde_json::json;

use super::{
    Error,
    admitted::{admitted, later},
    history::history,
    what_if::monday,
};
use crate::{
    audit::leaf::{Fact, Leaf, SignalFact, blind},
    model::{
        id::{ControlId, PersonId, Sha, SignalId},
        notice::{Kind, Word},
        people::Principal,
    },
    notify::plan::{About, direct},
    run::{Context, Set},
    signal::{
        Brief, Calibration, Detected, History, Index, Options, Pattern, Tier, detect,
        lifecycle::{
            self, Act, Dismissal, Effect, Judged, Raised, Said, State, advance, same_family,
        },
        record::{Outcome, Signal, word},
    },
    store::{Tx, audit, meta, outbox, salts, signals},
};

/// Since when the register was looked at: the Monday of the last look's week.
const WEEK: &str = "signals.week";

/// What was simulated last.
const CALIBRATION: &str = "signals.calibration";

/// How long somebody has for concluding a review.
pub(super) const DUE: Days = Days::new(30);

/// What a look came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Looked {
    /// What was seen.
    pub detected: Detected,
    /// What was said of each pattern that is a signal.
    pub said: Vec<(SignalId, Said)>,
    /// How many words are owed.
    pub owed: u64,
}

/// Looks once a week, on the first turn of a week; nothing on all others.
///
/// # Errors
/// When the store or the evidence cannot be read or written; it is looked at again at the next turn.
pub async fn weekly(cx: &Context, set: &Set) -> Result<Option<Looked>, Error> {
    let week = monday(cx.clock.now().date_naive()).to_string();
    if meta::get(&mut cx.store.read().await?, WEEK).await?.as_ref() == Some(&week) {
        return Ok(None);
    }
    look(cx, set).await.map(Some)
}

/// What the detector works with: its defaults, a step stricter for each kind of signal that was not useful too often.
pub fn options(known: &[Signal], today: NaiveDate) -> Options {
    let judged: Vec<Judged> = known.iter().filter_map(judged).collect();
    let options = Options::default();
    let usefulness = lifecycle::usefulness(&judged, &options, today);
    lifecycle::stepped(&options, &usefulness)
}

/// Whether a signal was of use, as far as somebody said so.
pub fn judged(signal: &Signal) -> Option<Judged> {
    let (on, useful) = match (signal.raised.state, &signal.conclusion) {
        (State::Dismissed { reason, on }, _) => (on, reason != Dismissal::NotUseful),
        (_, Some(said)) => (said.at.date_naive(), true),
        _ => return None,
    };
    Some(Judged {
        kind: signal.raised.kind,
        on,
        useful,
    })
}

/// What the organisation's own size makes of chance, as it was simulated last.
///
/// # Errors
/// When the store cannot be read.
pub async fn calibration(tx: &mut Tx) -> Result<Option<Calibration>, Error> {
    let kept = meta::get(tx, CALIBRATION).await?;
    Ok(kept.and_then(|text| serde_json::from_str(&text).ok()))
}

/// Keeps what was simulated.
///
/// # Errors
/// When the store cannot be written.
pub async fn keep_calibration(cx: &Context, one: &Calibration) -> Result<(), Error> {
    let mut tx = cx.store.begin().await?;
    meta::set(&mut tx, CALIBRATION, &json!(one).to_string()).await?;
    tx.commit().await?;
    Ok(())
}

/// Looks now.
///
/// # Errors
/// When the store or the evidence cannot be read or written.
pub async fn look(cx: &Context, set: &Set) -> Result<Looked, Error> {
    let now = cx.clock.now();
    let today = now.date_naive();
    let history = history(cx, set).await?;
    let known = signals::all(&mut cx.store.read().await?).await?;
    let options = options(&known, today);
    let (history, options, detected) = seen(history, options, today).await?;

    // Before anything is written: evidence is judged again.
    let mut measured = BTreeMap::new();
    for signal in &known {
        let of = admitted(cx, set, signal).await?;
        measured.extend(of.map(|a| (signal.id.clone(), a)));
    }
    let mut tx = cx.store.begin().await?;
    let mut known = signals::all(&mut tx).await?;
    let chance = calibration(&mut tx).await?;
    let patterns: Vec<&Pattern> = detected
        .patterns
        .iter()
        .filter(|p| p.tier == Tier::Signal)
        .collect();
    let briefs: Vec<Brief> = patterns.iter().map(|p| brief(p)).collect();
    let mut raised: Vec<Raised> = known.iter().map(|s| s.raised.clone()).collect();
    let all = advance(&mut raised, &briefs, &options, today);
    let mut said = Vec::new();
    let mut owed = 0;
    for (pattern, what) in patterns.iter().zip(all) {
        let is_its = |r: &Raised| {
            r.control == pattern.control && same_family(&r.descriptor, &pattern.descriptor)
        };
        let Some(at) = raised.iter().rposition(is_its) else {
            continue;
        };
        let Some(after) = raised.get(at).cloned() else {
            continue;
        };
        let rate = chance.as_ref().and_then(|c| c.of(pattern.kind));
        let mut signal = match known.get(at) {
            Some(signal) => signal.clone(),
            None => opened(&mut tx, set, (pattern, after.clone()), now).await?,
        };
        let is_new = known.get(at).is_none();
        signal.raised = after;
        signal.pattern = (*pattern).clone();
        signal.false_alarms_per_quarter = rate.map(|(rate, _)| rate);
        signal.false_alarms_ci90 = rate.map(|(_, interval)| interval);
        if what.is_told() && !is_new {
            // It is asked anew: what was concluded then is in its events.
            signal.conclusion = None;
            signal.due = today + DUE;
        }
        if is_new {
            signals::insert(&mut tx, &signal, now).await?;
        } else {
            signals::update(&mut tx, &mut signal, now).await?;
        }
        if what.is_told() {
            let act = if is_new { "raise" } else { "raise_again" };
            note(&mut tx, &signal, (act, None), Some(&pattern.sentence), now).await?;
            owed += tell(&mut tx, set, &signal, now).await?;
        }
        said.push((signal.id.clone(), what));
        match known.get_mut(at) {
            Some(old) => *old = signal,
            None => known.push(signal),
        }
    }
    // What was not seen: it may have faded, or a change may be in force by now.
    let index = Index::of(&history, &options);
    for (at, mut signal) in known.into_iter().enumerate() {
        let faded = raised.get(at).filter(|r| r.state != signal.raised.state);
        if let Some(after) = faded {
            signal.raised.clone_from(after);
        }
        let mut moved = faded.is_some() | settle(&mut signal, &index, &options, today);
        if let Some(new) = measured.remove(&signal.id) {
            signal.admitted = Some(new);
            moved = true;
        }
        if let Some(admitted) = &mut signal.admitted {
            let later = later(&mut tx, admitted).await?;
            moved |= admitted.later != later;
            admitted.later = later;
        }
        if moved {
            signals::update(&mut tx, &mut signal, now).await?;
            let act = word(signal.raised.state);
            note(&mut tx, &signal, (act, None), None, now).await?;
        }
    }
    meta::set(&mut tx, WEEK, &monday(today).to_string()).await?;
    tx.commit().await?;
    Ok(Looked {
        detected,
        said,
        owed,
    })
}

/// The detector works beside everything else.
async fn seen(
    history: History,
    options: Options,
    today: NaiveDate,
) -> Result<(History, Options, Detected), Error> {
    let work = move || {
        let detected = detect(&history, &options, today);
        (history, options, detected)
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| Error::Refused(format!("the detector ended: {e}")))
}

fn brief(pattern: &Pattern) -> Brief {
    Brief {
        kind: pattern.kind,
        control: pattern.control.clone(),
        descriptor: pattern.descriptor.clone(),
        seen: pattern.observed.units,
        expected: pattern.expected.map_or(0.0, |e| e.mu),
        p: pattern.evidence.p.unwrap_or_default(),
    }
}

/// A signal that nobody has seen yet.
async fn opened(
    tx: &mut Tx,
    set: &Set,
    (pattern, raised): (&Pattern, Raised),
    now: DateTime<Utc>,
) -> Result<Signal, Error> {
    let control = set.catalog.control(&ControlId::new(&pattern.control));
    let provision = control.map(|c| c.policy.clone());
    let policy = provision
        .as_ref()
        .and_then(|p| set.catalog.policies.get(&p.policy));
    Ok(Signal {
        id: signals::next_id(tx, now.year()).await?,
        version: 1,
        raised,
        pattern: pattern.clone(),
        policy_version: policy.map(|p| p.version),
        owner: policy.map(|p| p.owner.clone()),
        provision,
        opened_at: now,
        due: now.date_naive() + DUE,
        false_alarms_per_quarter: None,
        false_alarms_ci90: None,
        conclusion: None,
        effect: None,
        admitted: None,
    })
}

/// Does to a signal what time does. Whether something was done.
fn settle(signal: &mut Signal, index: &Index<'_>, options: &Options, today: NaiveDate) -> bool {
    let mut moved = false;
    if let Some(next) = lifecycle::next(signal.raised.state, Act::Monitor, today) {
        signal.raised.state = next;
        moved = true;
    }
    let State::Monitoring { effective } = signal.raised.state else {
        return moved;
    };
    let what = (signal.raised.control.as_str(), &signal.raised.descriptor);
    let effect: Effect = lifecycle::effect(index, what, effective, today, options);
    if signal.effect != Some(effect) {
        signal.effect = Some(effect);
        moved = true;
    }
    if let Some(closing) = effect.closing
        && let Some(next) = lifecycle::next(signal.raised.state, Act::Close { closing }, today)
    {
        signal.raised.state = next;
        moved = true;
    }
    moved
}

/// Writes down what was done to a signal: event and leaf.
///
/// # Errors
/// When the store cannot be written.
pub(super) async fn note(
    tx: &mut Tx,
    signal: &Signal,
    (act, by): (&str, Option<&PersonId>),
    because: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let actor = by.map_or_else(|| "machine".to_owned(), |p| format!("person:{p}"));
    let state = word(signal.raised.state);
    let event = signals::Event {
        at: now,
        actor: actor.clone(),
        act: act.to_owned(),
        state: state.to_owned(),
        reason: because.map(str::to_owned),
    };
    signals::event(tx, &signal.id, &event).await?;
    let actor = match by {
        None => actor,
        Some(_) => blind(&salts::of(tx, &actor).await?, &actor).to_string(),
    };
    let because = match because {
        Some(text) => Some(blind(&salts::of(tx, signal.id.as_str()).await?, text)),
        None => None,
    };
    let fact = SignalFact {
        signal: signal.id.clone(),
        control: ControlId::new(&signal.raised.control),
        act: act.to_owned(),
        state: state.to_owned(),
        actor,
        because,
        pattern: Sha::of_json(&json!(signal.pattern)),
    };
    audit::append(tx, &[Leaf::new(now, Fact::Signal(Box::new(fact)))]).await?;
    Ok(())
}

/// Tells whoever leads the policy, once.
async fn tell(tx: &mut Tx, set: &Set, signal: &Signal, now: DateTime<Utc>) -> Result<u64, Error> {
    let directory = &set.catalog.directory;
    let owner = signal.owner.as_deref().and_then(|o| directory.find(o));
    let leads = directory
        .people
        .iter()
        .filter(|p| p.roles.iter().any(|r| r == "policy-lead"))
        .map(|p| Principal::Person(PersonId::new(&p.id.value)));
    let whom: Vec<(Principal, &str)> = match owner {
        Some(owner) => vec![(owner, "you lead the policy")],
        // A control that is gone, or a policy that nobody leads.
        None => leads.map(|p| (p, "you lead policies")).collect(),
    };
    let chance = signal.chance();
    let clause = signal
        .provision
        .as_ref()
        .map_or_else(|| signal.raised.control.clone(), ToString::to_string);
    let about = About {
        kind: Kind::Signal,
        id: signal.id.to_string(),
        owner: signal.owner.clone(),
        event: format!("{}:{}", signal.id, signal.version),
        word: Word::Questioned,
        title: format!("{clause} is asked around again and again"),
        sentence: signal.pattern.sentence.clone(),
        because: Some(format!(
            "Either the policy, the control or its explanation does not fit the work. {chance}"
        )),
        detail: None,
        due_at: signal.due.and_hms_opt(0, 0, 0).map(|at| at.and_utc()),
        is_pressing: false,
        letter: None,
    };
    let items = direct(&set.desk, &about, &whom, now);
    outbox::enqueue(tx, &items).await?;
    Ok(items.len() as u64)
}

/// The word for what a conclusion does to the state of a signal.
pub(super) fn act_of(
    outcome: Outcome,
    (effective, until): (Option<NaiveDate>, Option<NaiveDate>),
) -> Result<Act, Error> {
    match (outcome, effective, until) {
        (Outcome::Keep, None, Some(until)) => Ok(Act::Snooze { until }),
        (Outcome::Keep, ..) => Err(Error::Refused(
            "to keep a policy as it is needs the day on which it is looked at again: `--until 2027-06-01`".to_owned(),
        )),
        (_, Some(effective), None) => Ok(Act::LinkChange { effective }),
        _ => Err(Error::Refused(
            "a change needs the day from which it is in force: `--effective 2027-01-01`".to_owned(),
        )),
    }
}
