//! A world: the asks of one organisation over some years, with the hidden truth of why each was made.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::Path,
};

use chrono::{NaiveDate, TimeDelta};
use serde::{Deserialize, Serialize};
use tripline::signal::{Aliases, Ask, Decided, History, Watched};

/// A control of a world.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Control {
    pub id: String,
    pub budget: Option<f64>,
    pub effective_week: Option<i64>,
    #[serde(default)]
    pub teams: Option<u32>,
}

/// What was put into a world on purpose.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Label {
    pub id: String,
    pub kind: String,
    pub control: String,
    pub attrs: BTreeMap<String, String>,
    pub from_week: i64,
    pub end_week: i64,
    /// Whether it questions the policy; else it only looks as if.
    pub real: bool,
}

/// The first line of a world's file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Meta {
    pub seed: u64,
    pub weeks: i64,
    /// Weeks of history before the first run.
    pub hist: i64,
    pub teams: u32,
    pub controls: Vec<Control>,
    pub labels: Vec<Label>,
}

/// One ask, with `src` hidden from detectors.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Event {
    pub id: String,
    pub day: i64,
    pub team: String,
    pub department: String,
    pub control: String,
    pub attributes: BTreeMap<String, String>,
    pub incident: Option<String>,
    pub request: Option<String>,
    pub outcome: Decided,
    pub src: String,
}

impl Event {
    pub fn week(&self) -> i64 {
        self.day.div_euclid(7)
    }
}

#[derive(Debug, Clone)]
pub struct World {
    pub meta: Meta,
    pub events: Vec<Event>,
}

/// Day 0 of every world: a Monday.
pub fn first_day() -> NaiveDate {
    NaiveDate::from_ymd_opt(2023, 1, 2).unwrap_or_default()
}

pub fn day(at: i64) -> NaiveDate {
    first_day() + TimeDelta::days(at)
}

/// The last day of a week: when its run takes place.
pub fn run_day(week: i64) -> NaiveDate {
    day(week * 7 + 6)
}

/// The week of a run.
pub fn week_of(today: NaiveDate) -> i64 {
    (today - first_day()).num_days().div_euclid(7)
}

impl World {
    pub fn read(path: &Path) -> Result<Self, Box<dyn std::error::Error>> {
        let mut lines = BufReader::new(std::fs::File::open(path)?).lines();
        let meta = serde_json::from_str(&lines.next().ok_or("an empty file")??)?;
        let events = lines
            .map(|line| Ok(serde_json::from_str(&line?)?))
            .collect::<Result<_, Box<dyn std::error::Error>>>()?;
        Ok(Self { meta, events })
    }

    pub fn write(&self, path: &Path) -> Result<(), Box<dyn std::error::Error>> {
        let mut text = serde_json::to_string(&self.meta)?;
        for event in &self.events {
            text.push('\n');
            text.push_str(&serde_json::to_string(event)?);
        }
        text.push('\n');
        Ok(std::fs::write(path, text)?)
    }

    /// What a detector is shown.
    pub fn history(&self) -> History {
        let ask = |e: &Event| Ask {
            id: e.id.clone(),
            day: day(e.day),
            team: e.team.clone(),
            department: Some(e.department.clone()),
            control: e.control.clone(),
            attributes: e.attributes.clone(),
            incident: e.incident.clone(),
            request: e.request.clone(),
            text: String::new(),
            outcome: e.outcome,
            decided: None,
            renewal_of: None,
            renewals: 0,
            subjects: 1,
            ends: None,
        };
        let watched = |c: &Control| Watched {
            control: c.id.clone(),
            effective: c.effective_week.map(|w| day(w * 7)),
            budget: c.budget,
            teams: c.teams,
            temporary: None,
            findings: 0,
        };
        History {
            asks: self.events.iter().map(ask).collect(),
            controls: self.meta.controls.iter().map(watched).collect(),
            findings: Vec::new(),
            aliases: Aliases::default(),
            since: first_day(),
            teams: Some(self.meta.teams),
        }
    }
}
