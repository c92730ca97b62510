//! The trend report from what is kept: requests of this register and of an older one, signals, reviews, runs. What is
//! read is read first; everything after that is worked out without asking anybody.

mod life;
mod policy;
mod register;
mod signals;
mod whole;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Datelike as _, NaiveDate, Utc};

use self::life::{Life, last_day, quarter, quarter_name};
use super::model::{Period, Trend};
use crate::{
    exception::record::Record,
    model::{
        id::{ControlId, PolicyId},
        outcome::Counts,
        policy::Policy,
    },
    report::Error,
    review::{self, Suggestions},
    run::{Context, Set},
    signal::{Ask, Calibration, Detected, History, Index, Options, detect, record::Signal},
    store::{exceptions, exceptions::Event, runs, signals as kept},
};

/// Which period a report is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// As people call it.
    pub name: String,
    /// Its first day.
    pub from: NaiveDate,
    /// Its last.
    pub to: NaiveDate,
}

impl Asked {
    /// A quarter by its name (`2026Q3`), or that of a day.
    ///
    /// # Errors
    /// The name is none of a quarter.
    pub fn quarter(name: Option<&str>, today: NaiveDate) -> Result<Self, String> {
        let from = match name {
            None => quarter(today),
            Some(name) => {
                let wrong = || format!("`{name}` is no quarter: write `2026Q3`");
                let (year, number) = name.split_once(['Q', 'q']).ok_or_else(wrong)?;
                let year: i32 = year.trim_end_matches('-').parse().map_err(|_| wrong())?;
                let number: u32 = number.parse().map_err(|_| wrong())?;
                let month = number.checked_sub(1).filter(|n| *n < 4).ok_or_else(wrong)?;
                NaiveDate::from_ymd_opt(year, month * 3 + 1, 1).ok_or_else(wrong)?
            }
        };
        let last = from.checked_add_months(chrono::Months::new(2));
        Ok(Self {
            name: quarter_name(from),
            from,
            to: last.map_or(from, last_day),
        })
    }
}

/// Everything that is read.
struct Read {
    organisation: String,
    asked: Asked,
    now: DateTime<Utc>,
    history: History,
    options: Options,
    signals: Vec<Signal>,
    suggestions: BTreeMap<String, Vec<Suggestions>>,
    calibration: Option<Calibration>,
    records: Vec<(Record, Vec<Event>)>,
    controls: BTreeMap<String, Watched>,
    policies: Vec<std::sync::Arc<Policy>>,
    teams: Vec<Team>,
}

/// A control as far as the report speaks of it.
struct Watched {
    policy: String,
    version: String,
    budget: Option<f64>,
    counts: Option<Counts>,
}

struct Team {
    id: String,
    department: Option<String>,
    region: Option<String>,
}

/// Puts the report of a period together.
///
/// # Errors
/// The store or the evidence cannot be read.
pub async fn gather(
    cx: &Context,
    set: &Set,
    organisation: &str,
    asked: Asked,
) -> Result<Trend, Error> {
    let now = cx.clock.now();
    let history = review::history(cx, set).await?;
    let mut tx = cx.store.read().await?;
    let signals = kept::all(&mut tx).await?;
    let calibration = review::calibration(&mut tx).await?;
    let mut records = Vec::new();
    for record in exceptions::list(&mut tx, &exceptions::Filter::default()).await? {
        let events = exceptions::events(&mut tx, &record.id).await?;
        records.push((record, events));
    }
    let mut controls = BTreeMap::new();
    for control in set.catalog.controls.values().filter(|c| !c.shadow) {
        let last = runs::last_counted(&mut tx, &control.id).await?;
        let one = Watched {
            policy: control.policy.policy.to_string(),
            version: control.definition.short(),
            budget: control.exception_budget,
            counts: last.map(|run| run.counts),
        };
        controls.insert(control.id.to_string(), one);
    }
    drop(tx);
    let mut suggestions = BTreeMap::new();
    for signal in signals.iter().filter(|s| !s.is_over()) {
        let pattern = &signal.pattern;
        let descriptors = [Some(pattern.descriptor.clone()), pattern.runner_up.clone()];
        let descriptors: Vec<_> = descriptors
            .into_iter()
            .flatten()
            .filter(|d| !d.is_empty())
            .collect();
        let control = ControlId::new(&signal.raised.control);
        match review::suggest(cx, set, &control, &descriptors).await {
            Ok(all) => {
                suggestions.insert(signal.id.to_string(), all);
            }
            // The control is gone, or has nothing that could be tried.
            Err(review::Error::Refused(_) | review::Error::Untried(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let today = asked.to.min(now.date_naive());
    let read = Read {
        organisation: organisation.to_owned(),
        options: review::options(&signals, today),
        now,
        history,
        signals,
        suggestions,
        calibration,
        records,
        controls,
        policies: set.catalog.policies.values().cloned().collect(),
        teams: set
            .catalog
            .directory
            .teams
            .iter()
            .map(|t| Team {
                id: t.id.value.clone(),
                department: t.department.clone(),
                region: t.region.clone(),
            })
            .collect(),
        asked,
    };
    tokio::task::spawn_blocking(move || assemble(&read))
        .await
        .map_err(|e| Error::Ended(e.to_string()))
}

/// An independent ask.
#[derive(Clone, Copy)]
struct One<'r> {
    ask: &'r Ask,
    control: &'r str,
    team: &'r str,
}

/// What the figures are counted over.
struct Ground<'r> {
    read: &'r Read,
    index: &'r Index<'r>,
    detected: &'r Detected,
    /// Independent asks that are no renewals, by day.
    asks: Vec<One<'r>>,
    /// Every request and exception.
    lives: Vec<Life>,
    /// The last day of which anything is known.
    to: NaiveDate,
    /// The ids of asks that belong to a pattern.
    gaps: BTreeSet<String>,
}

impl<'r> Ground<'r> {
    fn policy_of(&self, control: &str) -> Option<&'r str> {
        let known = self.read.controls.get(control);
        known.map(|c| c.policy.as_str())
    }

    /// Independent asks between two days, both included.
    fn between(&self, from: NaiveDate, to: NaiveDate) -> impl Iterator<Item = &One<'r>> {
        let within = move |one: &&One<'_>| one.ask.day >= from && one.ask.day <= to;
        self.asks.iter().filter(within)
    }
}

fn assemble(read: &Read) -> Trend {
    let to = read.asked.to.min(read.now.date_naive());
    let detected = detect(&read.history, &read.options, to);
    let index = Index::of(&read.history, &read.options);
    let mut asks: Vec<One<'_>> = index
        .controls
        .iter()
        .flat_map(|entry| entry.rows.iter().map(move |row| (entry.id, row)))
        .filter(|(_, row)| !row.renewal)
        .filter_map(|(control, row)| {
            Some(One {
                ask: index.ask(row)?,
                control,
                team: index.teams.get(row.team as usize)?,
            })
        })
        .filter(|one| one.ask.day <= to)
        .collect();
    asks.sort_by(|a, b| (a.ask.day, &a.ask.id).cmp(&(b.ask.day, &b.ask.id)));
    let signals = read.signals.iter().map(|s| &s.pattern);
    let gaps = detected
        .patterns
        .iter()
        .chain(signals)
        .flat_map(|p| p.members.iter().cloned())
        .collect();
    let ground = Ground {
        lives: lives(read, &index),
        read,
        index: &index,
        detected: &detected,
        asks,
        to,
        gaps,
    };
    whole::trend(&ground)
}

/// Requests of this register, and those of an older one.
fn lives(read: &Read, index: &Index<'_>) -> Vec<Life> {
    let own = read.records.iter();
    let mut all: Vec<Life> = own
        .map(|(record, events)| Life::of(record, events, read.now))
        .collect();
    let ours: BTreeSet<&str> = read.records.iter().map(|(r, _)| r.id.as_str()).collect();
    for entry in &index.controls {
        let policy = read
            .controls
            .get(entry.id)
            .map_or("", |c| c.policy.as_str());
        let past = entry.rows.iter().filter_map(|row| index.ask(row));
        let past = past.filter(|ask| {
            let id = ask.id.split(['+', ':']).next().unwrap_or_default();
            !ours.contains(id)
        });
        all.extend(past.map(|ask| Life::past(ask, entry.id, policy)));
    }
    all.sort_by(|a, b| (a.asked, &a.id).cmp(&(b.asked, &b.id)));
    all
}

/// The period of the report.
fn period(ground: &Ground<'_>) -> Period {
    Period {
        name: ground.read.asked.name.clone(),
        from: ground.read.asked.from,
        to: ground.read.asked.to,
        asked_at: ground.read.now,
    }
}

/// The policy of that id.
fn policy<'r>(read: &'r Read, id: &str) -> Option<&'r Policy> {
    let id = PolicyId::new(id);
    read.policies.iter().find(|p| p.id == id).map(AsRef::as_ref)
}

/// The same days so many months earlier.
fn earlier(asked: &Asked, months: u32) -> Option<(NaiveDate, NaiveDate)> {
    let from = asked.from.checked_sub_months(chrono::Months::new(months))?;
    // A quarter ends with a month, whose length is its own.
    let last = from.checked_add_months(chrono::Months::new(2))?;
    Some((from, last_day(last.with_day(1)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_is_named_or_that_of_today() {
        let day = |t: &str| t.parse::<NaiveDate>().unwrap();
        let asked = Asked::quarter(Some("2026Q3"), day("2027-01-01")).unwrap();
        assert_eq!(
            (asked.from, asked.to),
            (day("2026-07-01"), day("2026-09-30"))
        );
        let asked = Asked::quarter(None, day("2026-02-11")).unwrap();
        assert_eq!(
            (asked.name.as_str(), asked.to),
            ("2026Q1", day("2026-03-31"))
        );
        assert_eq!(
            earlier(&asked, 3),
            Some((day("2025-10-01"), day("2025-12-31")))
        );
        for wrong in ["2026", "2026Q5", "Q3", "2026Q0", "third"] {
            assert!(
                Asked::quarter(Some(wrong), day("2026-02-11")).is_err(),
                "{wrong}"
            );
        }
    }
}
