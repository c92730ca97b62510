//! People, teams, and who answers to a name.

use serde::{Deserialize, Serialize};

use super::id::{PersonId, TeamId};
use crate::{choice, record, yaml::decode::Located};

choice! {
    /// How often a digest comes.
    pub enum Every {
        /// Each day on which there is something to say.
        Day = "day",
        /// Once a week, on Monday unless `on:` says otherwise.
        Week = "week",
        /// Never; duties that cannot be switched off still come.
        Never = "never",
    }
}

choice! {
    /// A day of the week.
    pub enum Weekday {
        /// Monday.
        Monday = "monday",
        /// Tuesday.
        Tuesday = "tuesday",
        /// Wednesday.
        Wednesday = "wednesday",
        /// Thursday.
        Thursday = "thursday",
        /// Friday.
        Friday = "friday",
        /// Saturday.
        Saturday = "saturday",
        /// Sunday.
        Sunday = "sunday",
    }
}

record! {
    /// When a person's digest comes.
    pub struct DigestTime {
        /// How often.
        every: Every = Every::Day,
        /// The hour in the person's time zone, `08:00`.
        at: TimeOfDay = TimeOfDay::EIGHT,
        /// For a weekly digest: the day.
        weekday: Weekday = Weekday::Monday,
    }
}

impl Default for DigestTime {
    fn default() -> Self {
        Self {
            every: Every::Day,
            at: TimeOfDay::EIGHT,
            weekday: Weekday::Monday,
        }
    }
}

/// A time of day, to the minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeOfDay {
    /// Hour, 0 to 23.
    pub hour: u8,
    /// Minute, 0 to 59.
    pub minute: u8,
}

impl TimeOfDay {
    /// 08:00.
    pub const EIGHT: Self = Self { hour: 8, minute: 0 };
}

impl std::str::FromStr for TimeOfDay {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "write hour and minute: `08:00`";
        let (hour, minute) = text.split_once(':').ok_or(wrong)?;
        let part = |text: &str, limit: u8| match text.parse::<u8>() {
            Ok(n) if text.len() == 2 && n < limit => Ok(n),
            _ => Err(wrong),
        };
        Ok(Self {
            hour: part(hour, 24)?,
            minute: part(minute, 60)?,
        })
    }
}

impl crate::yaml::decode::Decode for TimeOfDay {
    fn decode(node: &crate::yaml::tree::Node, cx: &mut crate::yaml::decode::Cx) -> Option<Self> {
        crate::yaml::decode::from_text(node, "a time of day such as `08:00`", cx)
    }

    fn schema(_: &mut serde_json::Map<String, serde_json::Value>) -> serde_json::Value {
        serde_json::json!({ "type": "string", "pattern": "^[0-2][0-9]:[0-5][0-9]$" })
    }
}

record! {
    /// A team: may own controls, sources and policies.
    pub struct Team {
        /// Its name, as owner columns and `owner:` say it.
        id: Located<String>,
        /// The department it belongs to, for reports.
        department: Option<String>,
        /// The region it works in, for reports.
        region: Option<String>,
        /// Names that it had before: whoever was renamed is not a second team.
        formerly: Vec<String> = Vec::new(),
        /// Where its mail goes; without it, to each of its people.
        email: Option<Located<String>>,
        /// When the digest to the team's address comes.
        digest: DigestTime = DigestTime::default(),
        /// The time zone of that hour.
        timezone: chrono_tz::Tz = chrono_tz::UTC,
    }
}

record! {
    /// A person who is told things or decides them.
    pub struct Person {
        /// The name by which owners and steps refer to the person.
        id: Located<String>,
        /// The name that people read.
        name: String,
        /// Where mail goes.
        email: Located<String>,
        /// The team.
        team: Option<Located<String>>,
        /// What the person may do, for example `control-owner`, `policy-lead`, `administrator`.
        roles: Vec<String> = Vec::new(),
        /// Other accounts of the same person, as sources and registers write them.
        identities: Vec<String> = Vec::new(),
        /// The time zone of digests.
        timezone: chrono_tz::Tz = chrono_tz::UTC,
        /// When the digest comes.
        digest: DigestTime = DigestTime::default(),
    }
}

/// Who is told: a name that people or teams bear.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Principal {
    /// One person.
    Person(PersonId),
    /// A team.
    Team(TeamId),
}

impl std::fmt::Display for Principal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Person(id) => write!(f, "person:{id}"),
            Self::Team(id) => write!(f, "team:{id}"),
        }
    }
}

/// Everybody in `tripline.yaml`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Directory {
    /// People.
    pub people: Vec<Person>,
    /// Teams.
    pub teams: Vec<Team>,
}

impl Directory {
    /// Who bears a name: a person's id, e-mail address or identity, or a team's id or address.
    /// `person:` and `team:` before the name say which. Case matters, except in addresses.
    pub fn find(&self, name: &str) -> Option<Principal> {
        let person = |name: &str| {
            self.people
                .iter()
                .find(|p| {
                    p.id.value == name
                        || p.email.value.eq_ignore_ascii_case(name)
                        || p.identities.iter().any(|i| i == name)
                })
                .map(|p| Principal::Person(PersonId::new(&p.id.value)))
        };
        let team = |name: &str| {
            self.teams
                .iter()
                .find(|t| {
                    t.id.value == name
                        || t.email
                            .as_ref()
                            .is_some_and(|e| e.value.eq_ignore_ascii_case(name))
                })
                .map(|t| Principal::Team(TeamId::new(&t.id.value)))
        };
        match name.split_once(':') {
            Some(("person", rest)) => person(rest),
            Some(("team", rest)) => team(rest),
            _ => person(name).or_else(|| team(name)),
        }
    }

    /// The person of that id.
    pub fn person(&self, id: &PersonId) -> Option<&Person> {
        self.people.iter().find(|p| p.id.value == id.as_str())
    }

    /// The team of that id.
    pub fn team(&self, id: &TeamId) -> Option<&Team> {
        self.teams.iter().find(|t| t.id.value == id.as_str())
    }

    /// The team that a name leads to: itself, or that of the person.
    pub fn team_of(&self, name: &str) -> Option<TeamId> {
        match self.find(name)? {
            Principal::Team(team) => Some(team),
            Principal::Person(person) => {
                let team = self.person(&person)?.team.as_ref()?;
                Some(TeamId::new(&team.value))
            }
        }
    }

    /// The people of a team, in the order of the file.
    pub fn members(&self, team: &TeamId) -> impl Iterator<Item = &Person> {
        self.people
            .iter()
            .filter(move |p| p.team.as_ref().is_some_and(|t| t.value == team.as_str()))
    }

    /// Whether a name leads to a person: it is theirs, or that of their team.
    pub fn leads_to(&self, name: &str, person: &PersonId) -> bool {
        match self.find(name) {
            Some(Principal::Person(one)) => one == *person,
            Some(Principal::Team(team)) => {
                self.members(&team).any(|m| m.id.value == person.as_str())
            }
            None => false,
        }
    }
}
