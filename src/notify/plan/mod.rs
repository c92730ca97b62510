//! What is owed to whom after a run. Pure: the same changes, routes and people give the same items
//! under the same keys, so planning twice changes nothing. Everything that is told carries its reason,
//! and so does everything that is not.

mod direct;
mod gap;
mod operation;
mod removed;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde_json::json;

pub use direct::{About, direct};
pub use gap::gap;
pub use operation::{Operation, operation, operation_to};
pub use removed::removed;

use super::{
    bundle::is_good,
    facts::{self, Facts, Told},
    route::{Around, Desk, Destination, empty_row},
};
use crate::{
    choice,
    model::{
        control::Given,
        finding::{Change, Effect, Finding, Origin},
        id::{ChannelId, FindingKey},
        notice::{Item, Kind, Mode, Word},
        outcome::Row,
        people::Principal,
        span::Span,
    },
};

/// Items of one group that carry every detail; a message shows those of its first.
const DETAILED: usize = 3;

choice! {
    /// Why something that happened is not told.
    pub enum Silent {
        /// It is not confirmed: the control runs again first.
        Unconfirmed = "unconfirmed",
        /// The control is in shadow.
        Shadow = "shadow",
        /// An exception holds.
        Covered = "covered",
        /// No route matches.
        NoRoute = "no_route",
        /// A route matches, and nobody that it names can be reached.
        NobodyToTell = "nobody_to_tell",
        /// It is over, and nobody was told that it began.
        NeverTold = "never_told",
    }
}

/// Something that happened and is not told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    /// Of which finding.
    pub finding: FindingKey,
    /// What happened.
    pub effect: Effect,
    /// Why nobody is told.
    pub reason: Silent,
}

/// Who was told, or is about to be told, that an episode of a finding is open.
pub type Earlier = BTreeMap<(FindingKey, u32), BTreeSet<(ChannelId, Option<Principal>)>>;

/// Everything that a plan is made of.
#[derive(Debug, Clone, Copy)]
pub struct Planning<'a> {
    /// The run with its control and policy.
    pub told: Told<'a>,
    /// What the run changed.
    pub changes: &'a [Change],
    /// Routes and people.
    pub desk: &'a Desk,
    /// Who knows of what is over now; needed for changes whose effect is resolved or retired.
    pub earlier: &'a Earlier,
    /// The instant of planning.
    pub now: DateTime<Utc>,
}

/// What is owed, and what is not.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// What is owed, by key.
    pub items: Vec<Item>,
    /// What is not, with the reason.
    pub silent: Vec<Silence>,
}

impl Plan {
    /// How much is told to nobody because no route names anybody who can be reached.
    pub fn unrouted(&self) -> u64 {
        let lost = |s: &&Silence| matches!(s.reason, Silent::NoRoute | Silent::NobodyToTell);
        self.silent.iter().filter(lost).count() as u64
    }
}

/// Plans the notices of one run of one control.
pub fn plan(planning: &Planning<'_>) -> Plan {
    let mut out = Plan::default();
    let mut changes: Vec<&Change> = planning
        .changes
        .iter()
        .filter(|c| c.effect.is_some())
        .collect();
    // The order in which a message lists them, so that the first of each group carries the details.
    changes.sort_by(|a, b| {
        let key = |c: &Change| {
            (
                std::cmp::Reverse(c.finding.severity),
                c.finding.subject.clone(),
            )
        };
        key(a).cmp(&key(b))
    });
    let mut detailed: BTreeMap<String, usize> = BTreeMap::new();
    for change in changes {
        match planning.one(change) {
            Ok(items) => {
                for (mut item, facts) in items {
                    let seen = detailed.entry(item.group.clone()).or_default();
                    *seen += 1;
                    let detail = (*seen <= DETAILED).then(|| planning.told.detail(change));
                    item.facts = json!(Facts { detail, ..facts });
                    out.items.push(item);
                }
            }
            Err(Some(silence)) => out.silent.push(silence),
            Err(None) => {}
        }
    }
    out.items.extend(planning.misnamed());
    settle(&mut out.items);
    out
}

/// Sorts by key and keeps one item for each.
fn settle(items: &mut Vec<Item>) {
    items.sort_by(|a, b| a.key.cmp(&b.key));
    items.dedup_by(|a, b| a.key == b.key);
}

impl Planning<'_> {
    /// The items of one change, or why there are none.
    fn one(&self, change: &Change) -> Result<Vec<(Item, Facts)>, Option<Silence>> {
        let effect = change.effect.ok_or(None)?;
        let finding = &change.finding;
        let silent = |reason| {
            Some(Silence {
                finding: finding.key,
                effect,
                reason,
            })
        };
        let word = facts::word(effect, false).ok_or_else(|| silent(Silent::Unconfirmed))?;
        if self.told.control.shadow {
            return Err(silent(Silent::Shadow));
        }
        if word == Word::Covered || (finding.covered_by.is_some() && !is_good(word)) {
            return Err(silent(Silent::Covered));
        }
        let facts = self.told.of(change);
        let mut items: Vec<(Item, Facts)> = Vec::new();
        let mut matched = false;
        let mut met: BTreeSet<(ChannelId, Option<Principal>)> = BTreeSet::new();
        for owner in self.owners(finding) {
            let around = Around {
                owner: owner.clone(),
                policy_lead: self
                    .told
                    .policy
                    .and_then(|p| self.desk.directory().find(&p.owner)),
                source_owner: facts
                    .source
                    .as_deref()
                    .and_then(|s| self.desk.source_owner(s)),
            };
            let row = self.row(finding, &facts, word, &around);
            for to in self.desk.destinations(&row, &around) {
                matched = true;
                if is_good(word) || !met.insert((to.channel.clone(), to.recipient.clone())) {
                    continue;
                }
                items.push(self.item(finding, word, &facts, &to, owner.as_ref()));
            }
            if is_good(word) {
                for to in self.knowing(finding, &row, &around) {
                    if met.insert((to.channel.clone(), to.recipient.clone())) {
                        items.push(self.item(finding, word, &facts, &to, owner.as_ref()));
                    }
                }
            }
        }
        match (items.is_empty(), is_good(word), matched) {
            (false, ..) => Ok(items),
            (true, true, _) => Err(silent(Silent::NeverTold)),
            (true, false, true) => Err(silent(Silent::NobodyToTell)),
            (true, false, false) => Err(silent(Silent::NoRoute)),
        }
    }

    /// Who hears that it is over: those who heard that it began, whoever the routes name by now.
    fn knowing(&self, finding: &Finding, row: &Row, around: &Around) -> Vec<Destination> {
        let Some(knowing) = self.earlier.get(&(finding.key, finding.state.episode)) else {
            return Vec::new();
        };
        let routed = self.desk.destinations(row, around);
        knowing
            .iter()
            .map(|(channel, recipient)| {
                let same = |d: &&Destination| d.channel == *channel && d.recipient == *recipient;
                let kept = routed.iter().find(same);
                let by_default = if recipient.is_some() {
                    Mode::Digest
                } else {
                    Mode::Alert
                };
                let mode = match kept {
                    Some(d) if d.mode == Mode::Alert => d.resolved,
                    _ => by_default,
                };
                Destination {
                    channel: channel.clone(),
                    recipient: recipient.clone(),
                    mode,
                    resolved: mode,
                    wait: kept.map_or(Span::secs(60), |d| d.wait),
                    interval: kept.map_or(Span::minutes(5), |d| d.interval),
                    reason: kept.map_or_else(
                        || "you were told that it began".to_owned(),
                        |d| d.reason.clone(),
                    ),
                }
            })
            .collect()
    }

    /// Who answers for a finding: its own owners first, the control's for rows that name nobody.
    fn owners(&self, finding: &Finding) -> Vec<Option<Principal>> {
        let find = |name: &str| self.desk.directory().find(name);
        let otherwise = match &self.told.control.owner {
            Given::Fixed(name)
            | Given::Column {
                otherwise: name, ..
            } => find(name),
        };
        let named: BTreeSet<Option<Principal>> = match &self.told.control.owner {
            Given::Column { .. } if !finding.owners.is_empty() => finding
                .owners
                .iter()
                .map(|name| find(name).or_else(|| otherwise.clone()))
                .collect(),
            _ => BTreeSet::from([otherwise]),
        };
        named.into_iter().collect()
    }

    fn row(&self, finding: &Finding, facts: &Facts, word: Word, around: &Around) -> Row {
        let control = self.told.control;
        let mut row = empty_row();
        self.desk.describe(around.owner.as_ref(), &mut row);
        for (name, value) in [
            ("kind", json!(Kind::Finding)),
            ("word", json!(word)),
            ("severity", json!(finding.severity)),
            ("control", json!(control.id)),
            ("policy", json!(control.policy.policy)),
            ("provision", json!(control.policy.provision)),
            ("subject", json!(finding.subject)),
            ("source", json!(facts.source)),
            ("origin", json!(finding.state.origin)),
        ] {
            row.insert(name.to_owned(), value);
        }
        for name in [
            "environment",
            "vendor",
            "model_family",
            "data_class",
            "region",
            "department",
        ] {
            if let Some(value) = finding.facts.get(name) {
                row.insert(name.to_owned(), json!(value));
            }
        }
        row
    }

    fn item(
        &self,
        finding: &Finding,
        word: Word,
        facts: &Facts,
        to: &Destination,
        owner: Option<&Principal>,
    ) -> (Item, Facts) {
        let class = match (is_good(word), finding.state.origin) {
            (true, _) => "over",
            (false, Origin::Single) => "open",
            (false, Origin::Mass) => "mass",
            (false, Origin::Baseline) => "baseline",
        };
        let recipient = recipient_of(to);
        let owner_name = owner.map_or_else(|| "nobody".to_owned(), ToString::to_string);
        let state = &finding.state;
        let item = Item {
            key: format!(
                "{}:{}:{}:{}:{recipient}",
                finding.key, state.episode, state.transition, to.channel
            ),
            kind: Kind::Finding,
            word,
            mode: to.mode,
            group: format!(
                "{}|{owner_name}|{}|{recipient}|{class}",
                finding.control, to.channel
            ),
            channel: to.channel.clone(),
            recipient: to.recipient.clone(),
            finding: Some(finding.key),
            episode: state.episode,
            control: Some(finding.control.clone()),
            reason: to.reason.clone(),
            facts: serde_json::Value::Null,
            planned_at: self.now,
            due_at: due(self.now, to),
        };
        let facts = Facts {
            owner: owner.map(|o| name_of(self.desk, o)),
            group_interval: to.interval,
            ..facts.clone()
        };
        (item, facts)
    }

    /// Owners that the evidence names and nobody bears: the source's owner hears of each once, with
    /// the next digest.
    fn misnamed(&self) -> Vec<Item> {
        let Given::Column { column, otherwise } = &self.told.control.owner else {
            return Vec::new();
        };
        let opened = self
            .changes
            .iter()
            .filter(|c| c.effect.is_some() && !self.told.control.shadow);
        let mut names: BTreeMap<(&str, &str), &Finding> = BTreeMap::new();
        for change in opened {
            let source = change
                .finding
                .subject
                .as_str()
                .split('/')
                .next()
                .unwrap_or_default();
            for name in &change.finding.owners {
                if self.desk.directory().find(name).is_none() {
                    names.entry((source, name)).or_insert(&change.finding);
                }
            }
        }
        let mut out = Vec::new();
        for ((source, name), finding) in names {
            let Some(principal) = self.desk.source_owner(source) else {
                continue;
            };
            let sentence = format!(
                "`{column}` of {} names `{name}`, who is nobody in `people` or `teams`; {otherwise} is told instead",
                finding.subject
            );
            for to in self.desk.direct(
                &principal,
                Mode::Digest,
                "you own the source that names an owner whom nobody knows",
            ) {
                let subject = format!("owner:{}:{name}", self.told.control.id);
                let title = format!("Nobody is called `{name}`");
                out.push(operation::item(&subject, &title, &sentence, &to, self.now));
            }
        }
        out
    }
}

fn recipient_of(to: &Destination) -> String {
    to.recipient
        .as_ref()
        .map_or_else(|| "-".to_owned(), ToString::to_string)
}

fn due(now: DateTime<Utc>, to: &Destination) -> DateTime<Utc> {
    match to.mode {
        Mode::Alert => now + to.wait.to_delta(),
        Mode::Digest => now,
    }
}

/// How people read a name.
fn name_of(desk: &Desk, principal: &Principal) -> String {
    match principal {
        Principal::Person(id) => desk
            .directory()
            .person(id)
            .map_or_else(|| id.to_string(), |p| p.name.clone()),
        Principal::Team(id) => id.to_string(),
    }
}
