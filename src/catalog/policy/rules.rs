//! The exception rules of a policy file: categories, limits, tiers, authority, steps, routes, mitigations. What the
//! file alone can tell is judged here; its SQL, its controls and the people behind its roles are judged with the
//! rest of the catalog.

use std::collections::BTreeSet;

use serde_json::Value;

use super::parts::{
    AuthorityFile, CategoryFile, CompletenessFile, FacetFile, LimitsFile, MitigationFile,
    RequiredFile, RouteFile, StepFile, TierFile, UrgencyFile, mitigation, route, step,
};
use crate::{
    catalog::{
        load::offer,
        name::{Phrase, Slug, not_a_slug},
    },
    model::{
        id::ControlId,
        rules::{
            Authority, Category, Completeness, Example, ExceptionRules, Limits, Measured, Required,
            Tier, Urgency,
        },
        span::Span,
    },
    record,
    yaml::{
        decode::{Cx, Located},
        diagnostic::Diagnostic,
        tree::Node,
        values::Named,
    },
};

record! {
    /// The rules for exceptions to a policy.
    pub struct RulesFile {
        /// The few kinds of exception that people ask for.
        categories: Named<CategoryFile>,
        /// Controls of which no deviation is ever permitted.
        never_waivable: Vec<Located<Slug>> = Vec::new(),
        /// Facets that evidence answers, whatever the requester says.
        facets: Named<FacetFile> = Named::default(),
        /// How long, how often, how many.
        limits: LimitsFile = LimitsFile::default(),
        /// What a request must say before anybody reviews it.
        completeness: CompletenessFile = CompletenessFile::default(),
        /// What makes a request pressing; the last has no condition.
        urgency: Vec<UrgencyFile> = Vec::new(),
        /// How risky a request is, the strictest first; the last has no condition.
        tiers: Vec<TierFile>,
        /// What each role may sign.
        authority: Named<AuthorityFile>,
        /// Everything that may be asked of people; this order is the order of every route.
        steps: Vec<StepFile>,
        /// The step for a request that no route matches.
        no_match: Located<Slug>,
        /// Who decides what.
        routes: Vec<RouteFile>,
        /// Compensations to pick from.
        mitigations: Named<MitigationFile> = Named::default(),
        /// Compensations that a request must pick from.
        required_mitigations: Vec<RequiredFile> = Vec::new(),
    }
    check(names_fit)
}

record! {
    /// What must come out.
    pub struct Expect {
        /// The tier.
        tier: String,
        /// The routes that match, in the order of the policy.
        routes: Vec<String>,
        /// The steps, in the order of the policy.
        steps: Vec<String>,
        /// The urgency, when it matters.
        urgency: Option<String>,
        /// How long each step may take, when a route shortens it.
        sla: Option<Span>,
    }
}

record! {
    /// An example of the exception rules, run by `tripline test`. Every route is shown at least once.
    pub struct ExampleFile {
        /// Facets; what is left out is unknown.
        given: Located<Value>,
        /// What must come out.
        expect: Expect,
    }
}

impl ExampleFile {
    /// The example with its place.
    pub fn resolve(self) -> Example {
        let Expect {
            tier,
            routes,
            steps,
            urgency,
            sla,
        } = self.expect;
        Example {
            given: self.given.value.as_object().cloned().unwrap_or_default(),
            place: self.given.place,
            tier,
            routes,
            steps,
            urgency,
            sla,
        }
    }
}

/// Names that the rules refer to are there, each once; what is last has no condition.
fn names_fit(rules: &RulesFile, node: &Node, cx: &mut Cx) {
    let tiers: Vec<&Located<Slug>> = rules.tiers.iter().map(|t| &t.id).collect();
    let steps: Vec<&Located<Slug>> = rules.steps.iter().map(|s| &s.id).collect();
    let routes: Vec<&Located<Slug>> = rules.routes.iter().map(|r| &r.id).collect();
    let urgencies: Vec<&Located<Slug>> = rules.urgency.iter().map(|u| &u.id).collect();
    for (noun, names) in [
        ("tier", &tiers),
        ("step", &steps),
        ("route", &routes),
        ("urgency", &urgencies),
    ] {
        once(noun, names, cx);
    }
    for named in [
        rules.categories.iter().map(|(k, _)| k).collect::<Vec<_>>(),
        rules.mitigations.iter().map(|(k, _)| k).collect(),
    ] {
        for key in named {
            cx.out.extend(not_a_slug(&key.text, &key.place));
        }
    }
    let mut missing = |noun: &str, name: &Located<Slug>, known: &[&str]| {
        if !known.contains(&name.0.as_str()) {
            let what = format!("there is no {noun} `{}`", name.0);
            let d = Diagnostic::error("TL0510", &name.place, what);
            cx.out.push(offer(d, &name.0, known.iter().copied()));
        }
    };
    let known =
        |all: &[&Located<Slug>]| -> Vec<String> { all.iter().map(|l| l.0.clone()).collect() };
    let (tier_names, step_names) = (known(&tiers), known(&steps));
    let tier_names: Vec<&str> = tier_names.iter().map(String::as_str).collect();
    let step_names: Vec<&str> = step_names.iter().map(String::as_str).collect();
    for step in rules.routes.iter().flat_map(|r| &r.steps) {
        missing("step", step, &step_names);
    }
    missing("step", &rules.no_match, &step_names);
    for tier in rules.authority.iter().flat_map(|(_, a)| &a.tiers) {
        missing("tier", tier, &tier_names);
    }
    let mitigations: Vec<&str> = rules
        .mitigations
        .iter()
        .map(|(k, _)| k.text.as_str())
        .collect();
    for name in rules.required_mitigations.iter().flat_map(|r| &r.any_of) {
        missing("mitigation", name, &mitigations);
    }
    last_is_open(
        "tiers",
        rules.tiers.iter().map(|t| t.when.as_ref()),
        node,
        cx,
    );
    if !rules.urgency.is_empty() {
        last_is_open(
            "urgency",
            rules.urgency.iter().map(|u| u.when.as_ref()),
            node,
            cx,
        );
    }
    if rules.routes.is_empty() || rules.categories.is_empty() {
        let what = "rules for exceptions need at least one category and one route";
        cx.out.push(Diagnostic::error("TL0511", &node.place, what));
    }
}

fn once(noun: &str, names: &[&Located<Slug>], cx: &mut Cx) {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(&name.0) {
            let what = format!("there is a {noun} `{}` already", name.0);
            cx.out.push(
                Diagnostic::error("TL0109", &name.place, what)
                    .help("give one of them another name"),
            );
        }
    }
}

/// Of a list in which the first that holds wins, the last holds always and no other does.
fn last_is_open<'r>(
    key: &str,
    conditions: impl Iterator<Item = Option<&'r Located<String>>>,
    node: &Node,
    cx: &mut Cx,
) {
    let open: Vec<bool> = conditions.map(|when| when.is_none()).collect();
    let place = node.get(key).map_or(&node.place, |n| &n.place);
    let fits = open
        .split_last()
        .is_some_and(|(last, rest)| *last && !rest.contains(&true));
    if !fits {
        let what = format!("of `{key}` the last has no `when`, and every other has one");
        let d = Diagnostic::error("TL0511", place, what);
        cx.out
            .push(d.help("the first that holds wins, and the last is for all that is left"));
    }
}

/// The conditions of a policy file with their places, for whoever checks their SQL.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Conditions {
    /// Of urgency and tiers.
    pub triage: Vec<Located<String>>,
    /// Of routes and required mitigations.
    pub route: Vec<Located<String>>,
}

/// Names of a policy file that others judge.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Names {
    /// Its conditions.
    pub conditions: Conditions,
    /// Controls that may never be waived.
    pub controls: Vec<Located<Slug>>,
    /// Provisions that categories name.
    pub provisions: Vec<Located<Slug>>,
    /// Roles that somebody must bear.
    pub roles: Vec<Needed>,
    /// Facets that evidence answers: the place of the name, and the SQL.
    pub facets: Vec<(Located<String>, Located<String>)>,
}

/// A role that somebody must bear.
#[derive(Debug, Clone, PartialEq)]
pub struct Needed {
    /// The role.
    pub role: Located<String>,
    /// How many people.
    pub people: u32,
    /// Whether of as many teams.
    pub distinct_teams: bool,
    /// Whether they sign, and so need authority.
    pub signs: bool,
}

impl RulesFile {
    /// What others judge.
    pub fn names(&self) -> Names {
        let needed = |role: &Located<Phrase>, people, distinct_teams, signs| Needed {
            role: role.clone().map(|r| r.0),
            people,
            distinct_teams,
            signs,
        };
        let mut roles = Vec::new();
        for step in &self.steps {
            roles.extend(step.assess.iter().map(|r| needed(r, 1, false, false)));
            let quorum = (step.quorum, step.distinct_teams);
            roles.extend(
                step.approve
                    .iter()
                    .map(|r| needed(r, quorum.0, quorum.1, true)),
            );
            let escalate = step.on_breach.iter().map(|b| &b.escalate);
            roles.extend(escalate.map(|r| needed(r, 1, false, step.approve.is_some())));
        }
        for route in &self.routes {
            let authority = route.emergency.iter().map(|e| &e.authority);
            roles.extend(authority.map(|r| needed(r, 1, false, true)));
            let also = route.expedite.iter().flat_map(|e| &e.also);
            roles.extend(also.map(|r| needed(r, 1, false, false)));
        }
        let triage = self.urgency.iter().map(|u| &u.when);
        let triage = triage.chain(self.tiers.iter().map(|t| &t.when));
        let route = self.routes.iter().map(|r| &r.when);
        let route = route.chain(self.required_mitigations.iter().map(|r| &r.when));
        Names {
            conditions: Conditions {
                triage: triage.flatten().cloned().collect(),
                route: route.cloned().collect(),
            },
            controls: self.never_waivable.clone(),
            provisions: self
                .categories
                .iter()
                .flat_map(|(_, c)| c.provisions.clone())
                .collect(),
            roles,
            facets: self
                .facets
                .iter()
                .map(|(key, facet)| {
                    let name = Located {
                        value: key.text.clone(),
                        place: key.place.clone(),
                        block: None,
                        quote: 0,
                    };
                    (name, facet.evidence.clone())
                })
                .collect(),
        }
    }

    /// The rules as the daemon's noun.
    pub fn resolve(self) -> ExceptionRules {
        let id = |slug: Located<Slug>| slug.value.0;
        let ids = |slugs: Vec<Located<Slug>>| slugs.into_iter().map(id).collect::<Vec<String>>();
        let when = |text: Option<Located<String>>| text.map(|t| t.value);
        ExceptionRules {
            categories: self
                .categories
                .0
                .into_iter()
                .map(|(key, category)| Category {
                    id: key.text,
                    title: category.title.0,
                    provisions: ids(category.provisions),
                })
                .collect(),
            never_waivable: ids(self.never_waivable)
                .into_iter()
                .map(ControlId::new)
                .collect(),
            facets: self
                .facets
                .0
                .into_iter()
                .map(|(key, facet)| {
                    let measured = Measured {
                        evidence: facet.evidence.value,
                        max_age: facet.max_age,
                    };
                    (key.text, measured)
                })
                .collect(),
            limits: Limits {
                max_duration: self.limits.max_duration,
                max_renewals: self.limits.max_renewals,
                request_ttl: self.limits.request_ttl,
                activation_ttl: self.limits.activation_ttl,
                max_suspended: self.limits.max_suspended,
                max_active_per_team: self.limits.max_active_per_team,
                indefinite: self.limits.indefinite,
                look_back: self.limits.look_back,
            },
            completeness: Completeness {
                min_words: self.completeness.min_words.to_map(),
                generic_phrases: self
                    .completeness
                    .generic_phrases
                    .into_iter()
                    .map(|p| p.0.to_lowercase())
                    .collect(),
            },
            urgency: self
                .urgency
                .into_iter()
                .map(|u| Urgency {
                    id: id(u.id),
                    when: when(u.when),
                })
                .collect(),
            tiers: self
                .tiers
                .into_iter()
                .map(|t| Tier {
                    id: id(t.id),
                    when: when(t.when),
                })
                .collect(),
            authority: self
                .authority
                .0
                .into_iter()
                .map(|(key, a)| {
                    let authority = Authority {
                        tiers: ids(a.tiers),
                        max_duration: a.max_duration,
                        max_amount: a.max_amount,
                        emergency_only: a.only.is_some(),
                    };
                    (key.text, authority)
                })
                .collect(),
            steps: self.steps.into_iter().map(step).collect(),
            routes: self.routes.into_iter().map(route).collect(),
            no_match: id(self.no_match),
            mitigations: self
                .mitigations
                .0
                .into_iter()
                .map(|(key, m)| (key.text, mitigation(m)))
                .collect(),
            required_mitigations: self
                .required_mitigations
                .into_iter()
                .map(|r| Required {
                    when: r.when.value,
                    any_of: ids(r.any_of),
                })
                .collect(),
        }
    }
}
