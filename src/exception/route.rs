//! From facets to a tier and a chain of steps. Unknown goes to the stricter side: a tier or a rule that adds holds
//! when its condition is true *or unknown*, one that loosens only when it is *true*. All routes that match are
//! merged: every step that any of them asks for, in the order of the policy; the shortest time; all the evidence.
//! The same facets give the same route, whoever asks.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::rulebook::Rulebook;
use crate::{
    choice,
    model::{
        outcome::Row,
        rules::{Ask, Emergency, ExceptionRules, Route, Step},
        span::Span,
    },
};

choice! {
    /// Why a tier or a route holds.
    pub enum TriagedBy {
        /// Its condition is true.
        True = "true",
        /// Its condition cannot be told, which counts as the stricter side.
        Unknown = "unknown",
        /// It is the last, which holds when no other does.
        Otherwise = "otherwise",
    }
}

/// How risky and how pressing a request is, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Triage {
    /// The tier.
    pub tier: String,
    /// Why.
    pub tier_by: TriagedBy,
    /// The urgency.
    pub urgency: String,
    /// Facets that were not known.
    pub unknown: Vec<String>,
}

/// Who is asked, in which order, within which bounds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Routed {
    /// The routes that match, in the order of the policy, each with why.
    pub routes: Vec<(String, TriagedBy)>,
    /// The steps, in the order of the policy.
    pub steps: Vec<String>,
    /// It is decided by the machine.
    pub auto: bool,
    /// At most so long.
    pub max_duration: Span,
    /// Looked at again at least so often.
    pub revalidate_every: Option<Span>,
    /// Kinds of evidence that must be attached.
    pub require_evidence: Vec<String>,
    /// One of each of these lists of mitigations must be picked.
    pub require_mitigations: Vec<Vec<String>>,
    /// How long each step may take, when a route shortens it.
    pub sla: Option<Span>,
    /// Roles that hear of it besides those that are asked.
    pub also: Vec<String>,
    /// A grant before the decision, when a route permits it.
    pub emergency: Option<Emergency>,
}

impl Routed {
    /// The names of the routes that match.
    pub fn names(&self) -> Vec<&str> {
        self.routes.iter().map(|(id, _)| id.as_str()).collect()
    }
}

impl Rulebook {
    /// Decides how pressing and how risky a request is. `facets` are all that is known of it; urgency is added.
    pub fn triage(&self, facets: &mut Row) -> Triage {
        let rules = &self.rules;
        // Loosening: only what is true counts.
        let pressing = rules.urgency.iter().find(|u| {
            let when = u.when.as_deref();
            when.is_none_or(|when| self.truth(when, facets) == Some(true))
        });
        let urgency = pressing.map_or("normal", |u| u.id.as_str()).to_owned();
        facets.insert("urgency".to_owned(), json!(urgency));
        let held = rules.tiers.iter().find_map(|tier| {
            let by = match tier.when.as_deref().map(|when| self.truth(when, facets)) {
                None => TriagedBy::Otherwise,
                Some(Some(true)) => TriagedBy::True,
                Some(None) => TriagedBy::Unknown,
                Some(Some(false)) => return None,
            };
            Some((tier.id.clone(), by))
        });
        let strictest = || {
            rules
                .tiers
                .first()
                .map(|t| t.id.clone())
                .unwrap_or_default()
        };
        let (tier, tier_by) = held.unwrap_or_else(|| (strictest(), TriagedBy::Otherwise));
        facets.insert("tier".to_owned(), json!(tier));
        let missing = |name: &str| facets.get(name).is_none_or(serde_json::Value::is_null);
        let all = super::facet::FACETS.iter().map(|(name, _)| *name);
        Triage {
            tier,
            tier_by,
            urgency,
            unknown: all
                .filter(|name| missing(name))
                .map(str::to_owned)
                .collect(),
        }
    }

    /// Decides who is asked. `facets` have been triaged.
    pub fn route(&self, triage: &Triage, facets: &Row) -> Routed {
        let rules = &self.rules;
        let matching: Vec<(&Route, TriagedBy)> = rules
            .routes
            .iter()
            .filter_map(|route| {
                let by = match self.truth(&route.when, facets) {
                    Some(true) => TriagedBy::True,
                    None if !route.loosens() => TriagedBy::Unknown,
                    _ => return None,
                };
                Some((route, by))
            })
            .collect();
        let adds = |route: &Route| !route.steps.is_empty();
        let added = matching.iter().any(|(route, _)| adds(route));
        let is_lowest = rules.lowest() == Some(triage.tier.as_str());
        // A machine decides only in the lowest tier, and only when nobody else is asked.
        let easy = !added && is_lowest && matching.iter().any(|(route, _)| route.auto);
        let auto = easy && escalates(rules, facets).is_none();
        let kept: Vec<(&Route, TriagedBy)> = matching
            .into_iter()
            .filter(|(route, _)| !route.auto || auto)
            .collect();
        let asked = |id: &str| kept.iter().any(|(r, _)| r.steps.iter().any(|s| s == id));
        // Somebody always signs: to be asked for facts or for an opinion decides nothing.
        let signs = |step: &&Step| asked(&step.id) && matches!(step.ask, Ask::Approve(_));
        let nobody = !easy && !rules.steps.iter().any(|step| signs(&step));
        let mut steps: Vec<String> = rules
            .steps
            .iter()
            .filter(|step| asked(&step.id) || nobody && step.id == rules.no_match)
            .map(|step| step.id.clone())
            .collect();
        let more = one_more(rules, &mut steps, facets);
        let shortest = |all: &mut dyn Iterator<Item = Span>| all.min();
        let sorted = |mut all: Vec<String>| {
            all.sort();
            all.dedup();
            all
        };
        let routes = || kept.iter().map(|(route, _)| *route);
        let limit = rules.limits.max_duration;
        Routed {
            max_duration: shortest(&mut routes().filter_map(|r| r.max_duration))
                .map_or(limit, |most| most.min(limit)),
            revalidate_every: shortest(&mut routes().filter_map(|r| r.revalidate_every)),
            require_evidence: sorted(routes().flat_map(|r| r.require_evidence.clone()).collect()),
            require_mitigations: rules
                .required_mitigations
                .iter()
                .filter(|required| self.truth(&required.when, facets) != Some(false))
                .map(|required| required.any_of.clone())
                .collect(),
            sla: shortest(&mut routes().filter_map(|r| r.expedite.as_ref().map(|e| e.sla))),
            also: sorted(
                routes()
                    .filter_map(|r| r.expedite.as_ref())
                    .flat_map(|e| e.also.clone())
                    .collect(),
            ),
            emergency: routes().find_map(|r| r.emergency.clone()),
            routes: kept
                .iter()
                .map(|(r, by)| (r.id.clone(), *by))
                .chain(more.map(|why| (why.to_owned(), TriagedBy::True)))
                .collect(),
            steps,
            auto,
        }
    }
}

/// Why a request goes one step further than its routes ask for: it was renewed before, or its team has too many.
fn escalates(rules: &ExceptionRules, facets: &Row) -> Option<&'static str> {
    let number = |name: &str| facets.get(name).and_then(serde_json::Value::as_u64);
    let ceiling = rules.limits.max_active_per_team.map(u64::from);
    if number("renewal_number").is_some_and(|n| n >= 2) {
        return Some("renewed-before");
    }
    let debt = number("active_of_team").zip(ceiling);
    debt.is_some_and(|(active, most)| active >= most)
        .then_some("team-has-many")
}

/// Adds the next signature of the chain, when a request goes one step further; gives why.
fn one_more(rules: &ExceptionRules, steps: &mut Vec<String>, facets: &Row) -> Option<&'static str> {
    let why = escalates(rules, facets)?;
    let signs = |s: &&Step| matches!(s.ask, Ask::Approve(_));
    let after = rules.steps.iter().rposition(|s| steps.contains(&s.id));
    let from = after.map_or(0, |n| n + 1);
    let next = rules.steps.get(from..)?.iter().find(signs)?;
    steps.push(next.id.clone());
    Some(why)
}
