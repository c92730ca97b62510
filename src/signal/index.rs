//! The register as the detector sees it: independent asks by control and day, with every name as a number. Built once,
//! and read by every run over it.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet, HashMap},
};

use chrono::{Datelike, NaiveDate};

use super::{
    ask::{Ask, Decided, History, Seen, Watched},
    options::Options,
    text::{Corpus, Direction, masked},
};

/// A descriptor: up to two attribute values, sorted; `NONE` where there is none.
pub(crate) type Key = [u32; 2];
/// No attribute value.
pub(crate) const NONE: u32 = u32::MAX;
/// The descriptor that every ask of a control matches.
pub(crate) const ALL: Key = [NONE, NONE];
/// Texts that a new one is compared with, at most: many different texts of one team in one month are a stream of
/// work, and no reason to be slow.
const RECENT: usize = 24;

/// One independent ask.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// Its place in the history, of the first among its duplicates.
    pub(crate) ask: usize,
    /// Days from the common era.
    pub(crate) day: i32,
    pub(crate) team: u32,
    pub(crate) department: Option<u32>,
    /// Attribute values, sorted; one attribute never has two.
    pub(crate) items: Vec<u32>,
    pub(crate) incident: Option<u32>,
    /// The day its outcome is known.
    pub(crate) known: i32,
    outcome: Decided,
    /// Whether it renews another: a series of its own.
    pub(crate) renewal: bool,
    /// How many asks it stands for, itself included.
    pub(crate) copies: u32,
    pub(crate) subjects: u32,
}

impl Row {
    /// What is known of its outcome on a day.
    pub(crate) fn outcome(&self, today: i32) -> Decided {
        if self.known > today {
            Decided::Pending
        } else {
            self.outcome
        }
    }

    /// Whether it speaks for a pattern: approved, or decided in a way that nobody wrote down. What is pending may yet
    /// be denied, and a denied ask never speaks against a policy.
    pub(crate) fn counts(&self, today: i32) -> bool {
        !self.renewal && matches!(self.outcome(today), Decided::Approved | Decided::Unknown)
    }

    /// Whether it has every value of a descriptor.
    pub(crate) fn matches(&self, key: Key) -> bool {
        let has = |item: u32| item == NONE || self.items.binary_search(&item).is_ok();
        key.into_iter().all(has)
    }
}

/// The whole register, ready to be read.
#[derive(Debug)]
pub struct Index<'h> {
    /// What it was made from.
    pub(crate) history: &'h History,
    /// Controls in order of their ids.
    pub(crate) controls: Vec<Entry<'h>>,
    /// Attribute values in order: attribute, value.
    pub(crate) items: Vec<(&'h str, &'h str)>,
    /// To which attribute each value belongs, as a number.
    pub(crate) attribute_of: Vec<u32>,
    /// Names of attributes, sorted.
    pub(crate) attributes: Vec<&'h str>,
    /// Names of teams, after renames.
    pub(crate) teams: Vec<&'h str>,
    /// Names of departments.
    pub(crate) departments: Vec<&'h str>,
    /// Names of incidents.
    pub(crate) incidents: Vec<&'h str>,
    /// First day of the register.
    pub(crate) since: i32,
    /// How alike texts are.
    pub(crate) corpus: Corpus,
}

/// One control with its asks.
#[derive(Debug)]
pub(crate) struct Entry<'h> {
    pub(crate) id: &'h str,
    pub(crate) watched: Option<&'h Watched>,
    /// Independent asks, by day.
    pub(crate) rows: Vec<Row>,
}

impl Entry<'_> {
    /// Asks after `from` and until `to`, that day included.
    pub(crate) fn between(&self, from: i32, to: i32) -> &[Row] {
        let low = self.rows.partition_point(|r| r.day <= from);
        let high = self.rows.partition_point(|r| r.day <= to);
        self.rows.get(low..high.max(low)).unwrap_or(&[])
    }

    /// Since when its current version is in force, when that is no later than `today`.
    pub(crate) fn effective(&self, today: i32) -> Option<i32> {
        let day = number(self.watched?.effective?);
        (day <= today).then_some(day)
    }
}

/// Names as numbers, in the order of the names.
struct Names<'h> {
    names: Vec<&'h str>,
    places: HashMap<&'h str, u32>,
}

impl<'h> Names<'h> {
    fn of(names: BTreeSet<&'h str>) -> Self {
        let names: Vec<&str> = names.into_iter().collect();
        let places = names.iter().copied().zip(0..).collect();
        Self { names, places }
    }

    fn place(&self, name: &str) -> Option<u32> {
        self.places.get(name).copied()
    }
}

/// A day as a number.
pub(crate) fn number(day: NaiveDate) -> i32 {
    day.num_days_from_ce()
}

/// The day of a number.
pub(crate) fn date(number: i32) -> NaiveDate {
    NaiveDate::from_num_days_from_ce_opt(number).unwrap_or(NaiveDate::MAX)
}

/// What a name was changed to, through any number of renames. Names that were changed in a circle stay.
fn current<'h>(name: &'h str, renamed: &'h BTreeMap<String, String>) -> &'h str {
    let mut now = name;
    for _ in 0..=renamed.len() {
        match renamed.get(now) {
            Some(next) if next != now => now = next,
            _ => return now,
        }
    }
    name
}

impl<'h> Index<'h> {
    /// Of a history. Near-linear: texts are compared within one team, control and month only.
    #[must_use]
    pub fn of(history: &'h History, options: &Options) -> Self {
        let team = |ask: &'h Ask| current(&ask.team, &history.aliases.teams);
        let control = |id: &'h str| current(id, &history.aliases.controls);
        let mut asks: Vec<(usize, &Ask)> = history
            .asks
            .iter()
            .enumerate()
            .filter(|(_, a)| a.outcome != Decided::Withdrawn)
            .collect();
        asks.sort_by(|(_, x), (_, y)| in_order(x, y));
        let all = || asks.iter().map(|(_, a)| *a);

        let watched: BTreeMap<&str, &Watched> = history
            .controls
            .iter()
            .map(|w| (control(&w.control), w))
            .collect();
        let controls = Names::of(
            all()
                .map(|a| control(&a.control))
                .chain(watched.keys().copied())
                .collect(),
        );
        let teams = Names::of(all().map(team).collect());
        let departments = Names::of(all().filter_map(|a| a.department.as_deref()).collect());
        let incidents = Names::of(all().filter_map(|a| a.incident.as_deref()).collect());
        let items: BTreeSet<(&str, &str)> = all().flat_map(known).collect();
        let items: Vec<(&str, &str)> = items.into_iter().collect();
        let places: HashMap<(&str, &str), u32> = items.iter().copied().zip(0..).collect();
        let attributes = Names::of(items.iter().map(|(a, _)| *a).collect());
        let attribute_of = items
            .iter()
            .map(|(a, _)| attributes.place(a).unwrap_or(NONE))
            .collect();
        let texts: Vec<&str> = all().map(|a| a.text.as_str()).collect();
        let corpus = Corpus::of(&texts);

        let mut entries: Vec<Entry<'_>> = controls
            .names
            .iter()
            .map(|id| Entry {
                id,
                watched: watched.get(id).copied(),
                rows: Vec::new(),
            })
            .collect();
        let mut groups: BTreeMap<(u32, u32, bool), Vec<Row>> = BTreeMap::new();
        for (at, ask) in &asks {
            let mut held: Vec<u32> = known(ask)
                .filter_map(|item| places.get(&item).copied())
                .collect();
            held.sort_unstable();
            let place = |names: &Names<'_>, name: &Option<String>| {
                name.as_deref().and_then(|name| names.place(name))
            };
            let row = Row {
                ask: *at,
                day: number(ask.day),
                team: teams.place(team(ask)).unwrap_or(NONE),
                department: place(&departments, &ask.department),
                items: held,
                incident: place(&incidents, &ask.incident),
                known: ask.decided.map_or(i32::MIN, number),
                outcome: ask.outcome,
                renewal: ask.renewals > 0 || ask.renewal_of.is_some(),
                copies: 1,
                subjects: ask.subjects,
            };
            let control = controls.place(control(&ask.control)).unwrap_or(NONE);
            // A denied ask never stands for an approved one, nor the other way round.
            let denied = ask.outcome == Decided::Denied;
            groups
                .entry((control, row.team, denied))
                .or_default()
                .push(row);
        }
        for ((control, ..), rows) in groups {
            let independent = independent(rows, history, &corpus, options);
            if let Some(entry) = entries.get_mut(control as usize) {
                entry.rows.extend(independent);
            }
        }
        for entry in &mut entries {
            entry.rows.sort_by(|x, y| {
                let ask = |r: &Row| history.asks.get(r.ask).map(|a| &a.id);
                x.day.cmp(&y.day).then_with(|| ask(x).cmp(&ask(y)))
            });
        }
        Self {
            history,
            controls: entries,
            items,
            attribute_of,
            attributes: attributes.names,
            teams: teams.names,
            departments: departments.names,
            incidents: incidents.names,
            since: number(history.since),
            corpus,
        }
    }

    /// The ask a row stands for.
    pub(crate) fn ask(&self, row: &Row) -> Option<&'h Ask> {
        self.history.asks.get(row.ask)
    }

    /// What a control is called today.
    pub(crate) fn control<'n>(&'n self, id: &'n str) -> &'n str {
        current(id, &self.history.aliases.controls)
    }

    /// What the team that answers for a finding is called today.
    pub(crate) fn team<'n>(&'n self, finding: &'n Seen) -> Option<&'n str> {
        let name = finding.team.as_deref()?;
        Some(current(name, &self.history.aliases.teams))
    }

    /// A descriptor in words.
    pub(crate) fn described(&self, key: Key) -> BTreeMap<String, String> {
        key.into_iter()
            .filter_map(|item| self.items.get(item as usize))
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }
}

/// Attribute values of an ask; an empty one or `unknown` is not known.
fn known(ask: &Ask) -> impl Iterator<Item = (&str, &str)> {
    let named = |v: &str| !v.trim().is_empty() && !v.trim().eq_ignore_ascii_case("unknown");
    ask.attributes
        .iter()
        .filter(move |(_, value)| named(value))
        .map(|(name, value)| (name.as_str(), value.as_str()))
}

/// By day; then by everything that tells two asks apart, so that the order in which they came does not matter.
fn in_order(x: &Ask, y: &Ask) -> Ordering {
    let key = |a: &Ask| (a.day, a.decided, a.outcome, a.subjects, a.renewals);
    x.day
        .cmp(&y.day)
        .then_with(|| x.id.cmp(&y.id))
        .then_with(|| x.control.cmp(&y.control))
        .then_with(|| x.team.cmp(&y.team))
        .then_with(|| x.text.cmp(&y.text))
        .then_with(|| x.request.cmp(&y.request))
        .then_with(|| x.incident.cmp(&y.incident))
        .then_with(|| x.attributes.cmp(&y.attributes))
        .then_with(|| x.department.cmp(&y.department))
        .then_with(|| key(x).cmp(&key(y)))
}

/// A group of duplicates that may still grow.
struct Group {
    /// The place of its row.
    at: usize,
    last: i32,
    masked: String,
    direction: Option<Direction>,
}

/// The independent asks among those of one team for one control, sorted by day: the same parent request is one ask,
/// and so are near-identical texts within a month. A renewal is never a duplicate.
fn independent(rows: Vec<Row>, history: &History, corpus: &Corpus, options: &Options) -> Vec<Row> {
    let span = i32::try_from(options.similarity_days).unwrap_or(i32::MAX);
    let mut kept: Vec<Row> = Vec::with_capacity(rows.len());
    let mut requests: HashMap<&str, usize> = HashMap::new();
    let mut recent: Vec<Group> = Vec::new();
    for row in rows {
        let Some(ask) = history.asks.get(row.ask) else {
            continue;
        };
        if row.renewal {
            kept.push(row);
            continue;
        }
        recent.retain(|g| row.day.saturating_sub(g.last) <= span);
        let same = ask
            .request
            .as_deref()
            .and_then(|r| requests.get(r).copied());
        let words = masked(&ask.text);
        let mut direction = None;
        let alike = same.or_else(|| {
            if words.is_empty() {
                return None;
            }
            if let Some(group) = recent.iter().find(|g| g.masked == words) {
                return Some(group.at);
            }
            if recent.is_empty() {
                return None;
            }
            let mine = &*direction.insert(corpus.direction(&words));
            recent.iter_mut().rev().find_map(|g| {
                let theirs = g
                    .direction
                    .get_or_insert_with(|| corpus.direction(&g.masked));
                (mine.cosine(theirs) >= options.similarity).then_some(g.at)
            })
        });
        let at = alike.unwrap_or(kept.len());
        if let Some(request) = ask.request.as_deref() {
            requests.entry(request).or_insert(at);
        }
        if let Some(first) = kept.get_mut(at) {
            first.copies += 1;
            first.subjects = first.subjects.saturating_add(row.subjects);
            if row.outcome == Decided::Approved && first.outcome != Decided::Approved {
                (first.outcome, first.known) = (row.outcome, row.known);
            }
            if let Some(group) = recent.iter_mut().find(|g| g.at == at) {
                group.last = row.day;
            }
            continue;
        }
        if !words.is_empty() {
            if recent.len() >= RECENT {
                recent.remove(0);
            }
            recent.push(Group {
                at,
                last: row.day,
                masked: words,
                direction,
            });
        }
        kept.push(row);
    }
    kept
}
