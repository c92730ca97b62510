//! Who is told: the routes of `tripline.yaml`, compiled against the directory. All that match apply,
//! and each says by which number and text it matched. Decides nothing about what is worth telling.

mod compile;
mod literals;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

pub use literals::misspelt;

use super::options::Medium;
use crate::{
    evaluate::Predicate,
    model::{
        id::{ChannelId, PersonId, SourceId, TeamId},
        notice::Mode,
        outcome::Row,
        people::{Directory, Principal},
        span::Span,
        table::ColumnType,
    },
};

/// What `when:` of a route may speak of. What a notice does not have is NULL.
pub const COLUMNS: &[(&str, ColumnType)] = &[
    ("kind", ColumnType::Text),
    ("word", ColumnType::Text),
    ("severity", ColumnType::Text),
    ("control", ColumnType::Text),
    ("policy", ColumnType::Text),
    ("provision", ColumnType::Text),
    ("subject", ColumnType::Text),
    ("source", ColumnType::Text),
    ("owner", ColumnType::Text),
    ("team", ColumnType::Text),
    ("department", ColumnType::Text),
    ("region", ColumnType::Text),
    ("environment", ColumnType::Text),
    ("vendor", ColumnType::Text),
    ("model_family", ColumnType::Text),
    ("data_class", ColumnType::Text),
    ("origin", ColumnType::Text),
];

/// One entry of `to:`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum To {
    Channel(ChannelId),
    Owner,
    PolicyLead,
    SourceOwner,
    Principal(Principal),
}

/// One compiled route.
#[derive(Debug)]
struct Rule {
    /// `route 2`, as messages and records name it.
    name: String,
    text: Option<String>,
    when: Option<Predicate>,
    to: Vec<To>,
    mode: Mode,
    resolved: Mode,
    via: Option<ChannelId>,
    wait: Span,
    interval: Span,
}

/// The people around one notice, by the names that a route may use.
#[derive(Debug, Clone, Default)]
pub struct Around {
    /// Who answers for the subject.
    pub owner: Option<Principal>,
    /// Who leads the policy.
    pub policy_lead: Option<Principal>,
    /// Who answers for the source.
    pub source_owner: Option<Principal>,
}

/// One who is told, how, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Where.
    pub channel: ChannelId,
    /// Who, on a channel that knows people.
    pub recipient: Option<Principal>,
    /// At once or with the digest.
    pub mode: Mode,
    /// How it is told that it is mended.
    pub resolved: Mode,
    /// The group wait.
    pub wait: Span,
    /// The group interval.
    pub interval: Span,
    /// Which route, with its text.
    pub reason: String,
}

/// Everything that decides who is told: routes, channels, people and who owns which source.
#[derive(Debug, Default)]
pub struct Desk {
    rules: Vec<Rule>,
    channels: BTreeMap<ChannelId, Medium>,
    mail: Option<ChannelId>,
    directory: Directory,
    sources: BTreeMap<SourceId, String>,
}

impl Desk {
    /// What a channel speaks.
    pub fn medium(&self, channel: &ChannelId) -> Option<Medium> {
        self.channels.get(channel).copied()
    }

    /// The mail channel for what no route speaks of.
    pub const fn mail(&self) -> Option<&ChannelId> {
        self.mail.as_ref()
    }

    /// Everybody.
    pub const fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Who answers for a source.
    pub fn source_owner(&self, source: &str) -> Option<Principal> {
        self.directory.find(self.sources.get(source)?)
    }

    /// Those who look after Tripline itself, in the order of the file.
    pub fn administrators(&self) -> Vec<Principal> {
        let people = self.directory.people.iter();
        people
            .filter(|p| p.roles.iter().any(|r| r == "administrator"))
            .map(|p| Principal::Person(PersonId::new(&p.id.value)))
            .collect()
    }

    /// Who takes mail for a name: itself, or the people of a team that has no address.
    pub fn readers(&self, principal: &Principal) -> Vec<Principal> {
        match principal {
            Principal::Team(id) if self.directory.team(id).is_none_or(|t| t.email.is_none()) => {
                self.members(id)
            }
            _ => vec![principal.clone()],
        }
    }

    fn members(&self, team: &TeamId) -> Vec<Principal> {
        let people = self.directory.members(team);
        people
            .map(|p| Principal::Person(PersonId::new(&p.id.value)))
            .collect()
    }

    /// The columns that a name gives to a route's row.
    pub fn describe(&self, principal: Option<&Principal>, row: &mut Row) {
        let team = match principal {
            Some(Principal::Team(id)) => self.directory.team(id),
            Some(Principal::Person(id)) => self
                .directory
                .person(id)
                .and_then(|p| p.team.as_ref())
                .and_then(|t| self.directory.team(&TeamId::new(&t.value))),
            None => None,
        };
        let name = principal.map(|p| match p {
            Principal::Person(id) => id.to_string(),
            Principal::Team(id) => id.to_string(),
        });
        row.insert("owner".to_owned(), json!(name));
        row.insert("team".to_owned(), json!(team.map(|t| &t.id.value)));
        row.insert(
            "department".to_owned(),
            json!(team.and_then(|t| t.department.as_ref())),
        );
        row.insert(
            "region".to_owned(),
            json!(team.and_then(|t| t.region.as_ref())),
        );
    }

    /// Everybody whom a route sends this notice to, each once: whoever is told at once by one route is
    /// not told again by another.
    pub fn destinations(&self, row: &Row, around: &Around) -> Vec<Destination> {
        let mut out: Vec<Destination> = Vec::new();
        for rule in self.rules.iter().filter(|r| r.matches(row)) {
            for found in self.of_rule(rule, around) {
                let same = |d: &&mut Destination| {
                    d.channel == found.channel && d.recipient == found.recipient
                };
                match out.iter_mut().find(same) {
                    None => out.push(found),
                    Some(kept) if kept.mode == Mode::Digest && found.mode == Mode::Alert => {
                        *kept = found;
                    }
                    Some(kept) if found.resolved == Mode::Alert => kept.resolved = Mode::Alert,
                    Some(_) => {}
                }
            }
        }
        out
    }

    fn of_rule(&self, rule: &Rule, around: &Around) -> Vec<Destination> {
        let to = |channel: &ChannelId, recipient: Option<Principal>| {
            let machine = recipient.is_none();
            Destination {
                channel: channel.clone(),
                recipient,
                mode: if machine { Mode::Alert } else { rule.mode },
                resolved: if machine { Mode::Alert } else { rule.resolved },
                wait: rule.wait,
                interval: rule.interval,
                reason: rule.reason(),
            }
        };
        let people = |principal: &Option<Principal>| -> Vec<Destination> {
            let (Some(principal), Some(via)) = (principal, &rule.via) else {
                return Vec::new();
            };
            self.readers(principal)
                .into_iter()
                .map(|p| to(via, Some(p)))
                .collect()
        };
        rule.to
            .iter()
            .flat_map(|t| match t {
                To::Channel(channel) => vec![to(channel, None)],
                To::Owner => people(&around.owner),
                To::PolicyLead => people(&around.policy_lead),
                To::SourceOwner => people(&around.source_owner),
                To::Principal(principal) => people(&Some(principal.clone())),
            })
            .collect()
    }

    /// Somebody who is told whatever the routes say.
    pub fn direct(&self, principal: &Principal, mode: Mode, reason: &str) -> Vec<Destination> {
        let Some(mail) = &self.mail else {
            return Vec::new();
        };
        let readers: BTreeSet<Principal> = self.readers(principal).into_iter().collect();
        readers
            .into_iter()
            .map(|recipient| Destination {
                channel: mail.clone(),
                recipient: Some(recipient),
                mode,
                resolved: mode,
                wait: Span::secs(60),
                interval: Span::minutes(5),
                reason: reason.to_owned(),
            })
            .collect()
    }
}

impl Rule {
    /// A condition that is neither true nor false does not match.
    fn matches(&self, row: &Row) -> bool {
        self.when
            .as_ref()
            .is_none_or(|when| when.test(row) == Some(true))
    }

    fn reason(&self) -> String {
        match &self.text {
            Some(text) => format!("{}: {text}", self.name),
            None => format!("{}: everything", self.name),
        }
    }
}

/// A row with every column, all of them absent.
pub fn empty_row() -> Row {
    COLUMNS
        .iter()
        .map(|(name, _)| ((*name).to_owned(), Value::Null))
        .collect()
}
