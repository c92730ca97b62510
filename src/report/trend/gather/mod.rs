//! The trend report from what is kept: requests of this register and of an older one, signals, reviews, runs. What is
//! read is read first; everything after that is worked out without asking anybody.

mod life;
mod policy;
mod register;
mod shared;
mod signals;
mod survival;
mod then;
mod whole;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Datelike as _, Days, NaiveDate, NaiveTime, Utc};

use self::{
    life::{Life, last_day, quarter, quarter_name},
    then::{Then, stood},
};
use super::model::{Made, Period, Seen, Trend};
use crate::{
    exception::record::Record,
    model::{
        control::{Control, Param},
        id::{ControlId, PolicyId},
        outcome::Counts,
        policy::Policy,
    },
    notify::bundle::Site,
    report::Error,
    review::{self, Suggestions},
    run::{Context, Set},
    signal::{
        Ask, Calibration, Decided, Detected, History, Index, Options, Standing, detect,
        record::Signal, standings,
    },
    store::{Tx, definitions, exceptions, exceptions::Event, runs, signals as kept},
};

/// Of more quarters than these that ended while nobody was there no report is made.
const MISSED: usize = 8;

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

    /// This quarter and those after it, before another: the last of them, where many were missed.
    pub(super) fn until(self, end: &Self) -> Vec<Self> {
        let mut all = Vec::new();
        let mut next = Some(self.from);
        while let Some(from) = next.filter(|from| *from < end.from) {
            let last = from.checked_add_months(chrono::Months::new(2));
            all.push(Self {
                name: quarter_name(from),
                from,
                to: last.map_or(from, last_day),
            });
            next = from.checked_add_months(chrono::Months::new(3));
        }
        let many = all.len().saturating_sub(MISSED);
        all.split_off(many)
    }
}

/// Everything that is read. It is what held at the end of the period, as far as that is kept.
struct Read {
    organisation: String,
    link: Option<String>,
    asked: Asked,
    now: DateTime<Utc>,
    history: History,
    options: Options,
    signals: Vec<(Signal, Vec<kept::Event>)>,
    suggestions: BTreeMap<String, Vec<Suggestions>>,
    calibration: Option<Calibration>,
    records: Vec<(Record, Vec<Event>)>,
    controls: BTreeMap<String, Watched>,
    policies: Vec<std::sync::Arc<Policy>>,
    teams: Vec<Team>,
}

impl Read {
    /// The last instant that the report tells of: the end of the period, or now while it is not over.
    fn until(&self) -> DateTime<Utc> {
        until(&self.asked, self.now)
    }

    /// The last day of it.
    fn to(&self) -> NaiveDate {
        self.until().date_naive()
    }

    /// Whether the period was over: then what is known today only may not be told.
    fn is_over(&self) -> bool {
        self.asked.to < self.now.date_naive()
    }
}

fn until(asked: &Asked, now: DateTime<Utc>) -> DateTime<Utc> {
    let next = (asked.to + Days::new(1)).and_time(NaiveTime::MIN).and_utc();
    // What is kept is kept to the microsecond.
    now.min(next - chrono::TimeDelta::microseconds(1))
}

/// A control as far as the report speaks of it.
struct Watched {
    policy: String,
    /// Nothing where it is not known which version it had.
    version: Option<String>,
    budget: Option<f64>,
    /// Whether it was known here by the end of the period.
    is_known: bool,
    counts: Option<Counts>,
    /// The parameters that a what-if can move.
    limits: Vec<String>,
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
pub async fn gather(cx: &Context, set: &Set, site: &Site, asked: Asked) -> Result<Trend, Error> {
    let now = cx.clock.now();
    let until = until(&asked, now);
    let is_over = asked.to < now.date_naive();
    let mut history = review::history_at(cx, set, until).await?;
    history.asks.retain(|a| a.day <= until.date_naive());
    if is_over {
        // How often each had opened by then is not kept with it.
        history.findings.iter_mut().for_each(|f| f.opened = 0);
    }
    let mut tx = cx.store.read().await?;
    let all = kept::all(&mut tx).await?;
    let options = review::options(&all, until.date_naive());
    let mut signals = Vec::new();
    for signal in all.into_iter().filter(|s| s.opened_at <= until) {
        let events = kept::events(&mut tx, &signal.id).await?;
        signals.push((signal, events));
    }
    let calibration = review::calibration(&mut tx).await?;
    let mut records = Vec::new();
    for record in exceptions::list(&mut tx, &exceptions::Filter::default()).await? {
        let events = exceptions::events(&mut tx, &record.id).await?;
        records.push((record, events));
    }
    let mut controls = BTreeMap::new();
    for control in set.catalog.controls.values().filter(|c| !c.shadow) {
        let of = history.controls.iter_mut();
        let of = of.filter(|w| w.control == control.id.as_str());
        let one = watched(&mut tx, control, (until, is_over), of.last()).await?;
        controls.insert(control.id.to_string(), one);
    }
    drop(tx);
    let suggestions = suggestions(cx, set, &signals, until).await?;
    let read = Read {
        organisation: site.organisation.clone(),
        link: site.under(&["reports", super::send::KIND, &asked.name]),
        options,
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

/// A control as it was; what the detector is told of it, too.
async fn watched(
    tx: &mut Tx,
    control: &Control,
    (until, is_over): (DateTime<Utc>, bool),
    beside: Option<&mut crate::signal::Watched>,
) -> Result<Watched, Error> {
    let last = runs::last_counted_by(tx, &control.id, Some(until)).await?;
    let kind = definitions::Kind::Control;
    let versions = definitions::versions(tx, kind, control.id.as_str()).await?;
    let then = versions.iter().rfind(|(_, d)| d.first_seen <= until);
    let digest = match (&last, is_over) {
        (_, false) => Some(control.definition),
        (Some(run), true) => Some(run.definition),
        (None, true) => then.map(|(digest, _)| *digest),
    };
    if let (true, Some(beside)) = (is_over, beside) {
        // The first that is known may be older than we are; only a change is the beginning of something.
        let began = versions.iter().position(|(d, _)| Some(*d) == digest);
        let began = began.filter(|at| *at > 0).and_then(|at| versions.get(at));
        beside.effective = began.map(|(_, d)| d.first_seen.date_naive());
    }
    let is_limit = |p: &&Param| matches!(p, Param::Duration(_) | Param::Int(_) | Param::Float(_));
    let limits = control.params.iter().filter(|(_, p)| is_limit(p));
    Ok(Watched {
        policy: control.policy.policy.to_string(),
        version: digest.map(|d| d.short()),
        budget: control.exception_budget,
        is_known: !is_over || digest.is_some(),
        counts: last.map(|run| run.counts),
        limits: limits.map(|(name, _)| name.clone()).collect(),
    })
}

/// What changed limits would have done, over the evidence of the end of the period, for signals that were not over then.
async fn suggestions(
    cx: &Context,
    set: &Set,
    signals: &[(Signal, Vec<kept::Event>)],
    until: DateTime<Utc>,
) -> Result<BTreeMap<String, Vec<Suggestions>>, Error> {
    let mut suggestions = BTreeMap::new();
    for (signal, events) in signals {
        if stood(signal, events, until).is_over() {
            continue;
        }
        let descriptors = [
            Some(signal.pattern.descriptor.clone()),
            signal.pattern.runner_up.clone(),
        ];
        let descriptors: Vec<_> = descriptors
            .into_iter()
            .flatten()
            .filter(|d| !d.is_empty())
            .collect();
        let control = ControlId::new(&signal.raised.control);
        match review::suggest_by(cx, set, &control, &descriptors, Some(until)).await {
            Ok(all) => {
                suggestions.insert(signal.id.to_string(), all);
            }
            // The control is gone.
            Err(review::Error::Refused(_) | review::Error::Untried(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(suggestions)
}

/// An independent ask.
#[derive(Clone, Copy)]
struct One<'r> {
    ask: &'r Ask,
    control: &'r str,
    team: &'r str,
    /// What had become of it by the last day.
    outcome: Decided,
}

/// What the figures are counted over.
struct Ground<'r> {
    read: &'r Read,
    index: &'r Index<'r>,
    detected: &'r Detected,
    /// Signals that were raised by the end of the period, as they were then.
    signals: Vec<Then<'r>>,
    /// Controls against their budgets.
    standings: BTreeMap<String, Standing>,
    /// Independent asks that are no renewals, by day.
    asks: Vec<One<'r>>,
    /// Every request and exception.
    lives: Vec<Life>,
    /// The last day of which anything is known.
    to: NaiveDate,
    /// The ids of exceptions that belong to a pattern.
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

    /// The days of the period of which anything is known.
    fn seen(&self) -> Option<Seen> {
        let from = self.read.asked.from.max(self.read.history.since);
        (from <= self.to).then_some(Seen { from, to: self.to })
    }
}

fn assemble(read: &Read) -> Trend {
    let to = read.to();
    let detected = detect(&read.history, &read.options, to);
    let index = Index::of(&read.history, &read.options);
    let today = to.num_days_from_ce();
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
                outcome: row.outcome(today),
            })
        })
        .collect();
    asks.sort_by(|a, b| (a.ask.day, &a.ask.id).cmp(&(b.ask.day, &b.ask.id)));
    let signals: Vec<Then<'_>> = then::signals(read, &detected);
    let ours: BTreeSet<&str> = read.records.iter().map(|(r, _)| r.id.as_str()).collect();
    let told = signals.iter().filter(|s| s.questions());
    let gaps = detected
        .patterns
        .iter()
        .chain(told.filter_map(|s| s.pattern.as_deref()))
        .flat_map(|p| p.members.iter())
        .map(|id| exception_of(id, &ours).to_owned())
        .collect();
    let ground = Ground {
        lives: lives(read, &index, &ours),
        standings: standings(&index, &read.options, to),
        read,
        index: &index,
        detected: &detected,
        signals,
        asks,
        to,
        gaps,
    };
    whole::trend(&ground)
}

/// The exception that an ask is of, by its id: asks of one that names several controls or teams are told apart by a suffix.
fn exception_of<'a>(ask: &'a str, ours: &BTreeSet<&str>) -> &'a str {
    let id = ask.split(['+', ':']).next().unwrap_or_default();
    if ours.contains(id) { id } else { ask }
}

/// Requests of this register, and those of an older one.
fn lives(read: &Read, index: &Index<'_>, ours: &BTreeSet<&str>) -> Vec<Life> {
    let own = read.records.iter();
    let mut all: Vec<Life> = own
        .map(|(record, events)| Life::of(record, events, read.now))
        .filter(|life| life.asked <= read.to())
        .collect();
    for entry in &index.controls {
        let policy = read
            .controls
            .get(entry.id)
            .map_or("", |c| c.policy.as_str());
        for row in &entry.rows {
            let team = index.teams.get(row.team as usize);
            let (Some(ask), Some(team)) = (index.ask(row), team) else {
                continue;
            };
            if !ours.contains(exception_of(&ask.id, ours)) {
                all.push(Life::past(ask, entry.id, policy, team));
            }
        }
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
        is_over: ground.read.is_over(),
        since: ground.read.history.since,
        seen: ground.seen(),
    }
}

/// When and where it is made.
fn made(read: &Read) -> Made {
    Made {
        asked_at: read.now,
        link: read.link.clone(),
    }
}

/// The policy of that id.
fn policy<'r>(read: &'r Read, id: &str) -> Option<&'r Policy> {
    let id = PolicyId::new(id);
    read.policies.iter().find(|p| p.id == id).map(AsRef::as_ref)
}

/// The same quarter so many months earlier; while the period is not over, as many days of it.
fn earlier(asked: &Asked, months: u32, to: NaiveDate) -> Option<(NaiveDate, NaiveDate)> {
    let from = asked.from.checked_sub_months(chrono::Months::new(months))?;
    // A quarter ends with a month, whose length is its own.
    let last = from.checked_add_months(chrono::Months::new(2))?;
    let last = last_day(last.with_day(1)?);
    if to >= asked.to {
        return Some((from, last));
    }
    Some((from, last.min(from + (to - asked.from))))
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
            earlier(&asked, 3, asked.to),
            Some((day("2025-10-01"), day("2025-12-31")))
        );
        assert_eq!(
            earlier(&asked, 3, day("2026-02-11")),
            Some((day("2025-10-01"), day("2025-11-11"))),
            "as many days of a quarter that is not over"
        );
        for wrong in ["2026", "2026Q5", "Q3", "2026Q0", "third"] {
            assert!(
                Asked::quarter(Some(wrong), day("2026-02-11")).is_err(),
                "{wrong}"
            );
        }
    }
}
