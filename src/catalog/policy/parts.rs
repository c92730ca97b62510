//! The parts that exception rules are written in, each judged on its own.

use crate::{
    catalog::name::{Phrase, Slug},
    model::{
        rules::{
            self, Ask, Check, Emergency, Expedite, Indefinite, Limits, OnViolation, ParamType,
            Route, Step,
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
    /// A kind of exception that people ask for.
    pub struct CategoryFile {
        /// A heading.
        title: Phrase,
        /// The provisions that it may deviate from; all of them when left out.
        provisions: Vec<Located<Slug>> = Vec::new(),
    }
}

record! {
    /// A facet that evidence answers.
    pub struct FacetFile {
        /// SQL over datasets that gives one row with a column of the facet's name. `$subjects` are the native ids of
        /// the subjects, `$incident` and `$ticket` what the request names, and empty when it names none.
        evidence: Located<String>,
        /// Older evidence leaves the facet unknown.
        max_age: Span = Span::hours(1),
    }
}

record! {
    /// How long, how often, how many.
    pub struct LimitsFile {
        /// From activation to end.
        max_duration: Span = Span::days(90),
        /// How often an exception may be renewed.
        max_renewals: u32 = 2,
        /// Undecided requests lapse after that.
        request_ttl: Span = Span::days(14),
        /// Approved ones that were not activated lapse after that.
        activation_ttl: Span = Span::days(7),
        /// Suspended ones are revoked after that.
        max_suspended: Span = Span::days(30),
        /// Active ones of one team; above it a request goes one step further.
        max_active_per_team: Option<u32>,
        /// What becomes of a request without an end.
        indefinite: Indefinite = Indefinite::PolicyReview,
        /// What was in force for the same control, subject and team so long ago or less is renewed by a request, whatever
        /// that says.
        look_back: Span = Limits::usual_look_back(),
    }
}

impl Default for LimitsFile {
    fn default() -> Self {
        Self {
            max_duration: Span::days(90),
            max_renewals: 2,
            request_ttl: Span::days(14),
            activation_ttl: Span::days(7),
            max_suspended: Span::days(30),
            max_active_per_team: None,
            indefinite: Indefinite::PolicyReview,
            look_back: Limits::usual_look_back(),
        }
    }
}

record! {
    /// What a request must say before anybody reviews it.
    #[derive(Default)]
    pub struct CompletenessFile {
        /// The fewest words of a field, by its name.
        min_words: Named<u32> = Named::default(),
        /// Phrases that say nothing, besides those that Tripline knows.
        generic_phrases: Vec<Phrase> = Vec::new(),
    }
}

record! {
    /// What makes a request pressing. The first that is true wins.
    pub struct UrgencyFile {
        /// Its name, as routes compare it.
        id: Located<Slug>,
        /// SQL over the facets. The last has none.
        when: Option<Located<String>>,
    }
}

record! {
    /// How risky a request is. The first that is true or unknown wins.
    pub struct TierFile {
        /// Its name, as routes compare it.
        id: Located<Slug>,
        /// SQL over the facets. The last has none.
        when: Option<Located<String>>,
    }
}

record! {
    /// What a role may sign. A limit that is not written is no limit.
    pub struct AuthorityFile {
        /// Only in these tiers.
        tiers: Vec<Located<Slug>> = Vec::new(),
        /// At most so long.
        max_duration: Option<Span>,
        /// At most so much.
        max_amount: Option<f64>,
        /// `emergency`: only to grant before the decision.
        only: Option<Located<String>>,
    }
    check(only_in_an_emergency)
}

fn only_in_an_emergency(authority: &AuthorityFile, _: &Node, cx: &mut Cx) {
    if let Some(only) = authority.only.as_ref().filter(|o| o.value != "emergency") {
        let what = format!("`only: {}` is not known", only.value);
        cx.out
            .push(Diagnostic::error("TL0510", &only.place, what).help("write `only: emergency`"));
    }
}

record! {
    /// What happens when a step takes too long or nobody may sign it.
    pub struct BreachFile {
        /// The role that decides instead.
        escalate: Located<Phrase>,
    }
}

record! {
    /// Something that may be asked of people: exactly one of `ask`, `assess` and `approve`.
    pub struct StepFile {
        /// Its name, as routes refer to it.
        id: Located<Slug>,
        /// `requester`: say what is missing.
        ask: Option<Located<String>>,
        /// Roles that each say what they think.
        assess: Vec<Located<Phrase>> = Vec::new(),
        /// The role that signs.
        approve: Option<Located<Phrase>>,
        /// How many signatures it takes.
        quorum: u32 = 1,
        /// Whether they are of different teams.
        distinct_teams: bool = false,
        /// How long it may take.
        sla: Span = Span::days(2),
        /// What happens when it takes longer.
        on_breach: Option<BreachFile>,
    }
    check(one_question)
}

fn one_question(step: &StepFile, node: &Node, cx: &mut Cx) {
    let asks = [
        step.ask.is_some(),
        !step.assess.is_empty(),
        step.approve.is_some(),
    ];
    if asks.iter().filter(|a| **a).count() != 1 {
        let what = "a step needs exactly one of `ask`, `assess` and `approve`";
        cx.out.push(Diagnostic::error("TL0105", &node.place, what));
    }
    if let Some(ask) = step.ask.as_ref().filter(|a| a.value != "requester") {
        let what = format!("`ask: {}` is not known", ask.value);
        let d = Diagnostic::error("TL0510", &ask.place, what);
        cx.out
            .push(d.help("write `ask: requester`, or `assess:` with roles"));
    }
    if step.quorum == 0 || (step.distinct_teams && step.quorum < 2) {
        let place = node.get("quorum").map_or(&node.place, |n| &n.place);
        let what = "signatures of different teams are at least two, and a step has at least one";
        cx.out.push(Diagnostic::error("TL0510", place, what));
    }
}

record! {
    /// A shorter window for the same chain.
    pub struct ExpediteFile {
        /// How long each step may take.
        sla: Span,
        /// Roles that hear of it besides those that are asked.
        also: Vec<Located<Phrase>> = Vec::new(),
    }
}

record! {
    /// A grant before the chain has decided.
    pub struct EmergencyFile {
        /// The role that may grant it.
        authority: Located<Phrase>,
        /// How long it holds at most.
        ttl: Span = Span::days(1),
        /// When the chain must have decided; otherwise it ends.
        ratify_within: Span = Span::days(1),
    }
}

record! {
    /// Who decides what. All routes that match are merged.
    pub struct RouteFile {
        /// Its name.
        id: Located<Slug>,
        /// SQL over the facets and `tier`.
        when: Located<String>,
        /// Steps that it adds.
        steps: Vec<Located<Slug>> = Vec::new(),
        /// It decides by itself when nothing else adds a step; only in the lowest tier and with a `max_duration`.
        auto: bool = false,
        /// At most so long.
        max_duration: Option<Span>,
        /// Looked at again at least so often.
        revalidate_every: Option<Span>,
        /// Kinds of evidence that must be attached.
        require_evidence: Vec<Phrase> = Vec::new(),
        /// It shortens windows.
        expedite: Option<ExpediteFile>,
        /// It permits a grant before the decision.
        emergency: Option<EmergencyFile>,
    }
    check(does_something)
}

fn does_something(route: &RouteFile, node: &Node, cx: &mut Cx) {
    if route.auto && (!route.steps.is_empty() || route.max_duration.is_none()) {
        let what = "a route that decides by itself adds no step and has a `max_duration`";
        cx.out.push(Diagnostic::error("TL0511", &node.place, what));
    }
    let bounds = route.max_duration.is_some()
        || route.revalidate_every.is_some()
        || !route.require_evidence.is_empty();
    let loosens = route.auto || route.expedite.is_some() || route.emergency.is_some();
    if route.steps.is_empty() && !bounds && !loosens {
        let what = format!("route `{}` does nothing", route.id.0);
        cx.out.push(Diagnostic::error("TL0511", &node.place, what));
    }
}

record! {
    /// A word that must be given again and again.
    pub struct AttestedFile {
        /// How often.
        every: Span,
    }
}

record! {
    /// A compensation to pick from: checked by the machine (`evidence`, `subject`, `fails_when`, `schedule`) or by a
    /// person's word (`attested`).
    pub struct MitigationFile {
        /// What it is; `{{ name }}` is one of its parameters.
        text: Phrase,
        /// Its parameters and what they are.
        params: Named<ParamType> = Named::default(),
        /// SQL over datasets; `$subjects` are the native ids of the exception's subjects.
        evidence: Option<Located<String>>,
        /// The column that names the subject.
        subject: Option<Located<String>>,
        /// True means that it does not hold; unknown counts as true.
        fails_when: Option<Located<String>>,
        /// Five fields of cron.
        schedule: Option<Located<String>>,
        /// Older evidence is unknown.
        max_age: Span = Span::hours(1),
        /// A person's word.
        attested: Option<AttestedFile>,
        /// What happens when it does not hold.
        on_violation: OnViolation = OnViolation::Suspend,
    }
    check(one_way_to_check)
}

fn one_way_to_check(mitigation: &MitigationFile, node: &Node, cx: &mut Cx) {
    let parts = [
        mitigation.evidence.is_some(),
        mitigation.subject.is_some(),
        mitigation.fails_when.is_some(),
        mitigation.schedule.is_some(),
    ];
    let machine = parts.iter().all(|p| *p);
    let nothing = parts.iter().all(|p| !*p);
    if !(machine && mitigation.attested.is_none() || nothing && mitigation.attested.is_some()) {
        let what = "a mitigation is checked by the machine or attested by a person";
        cx.out
            .push(Diagnostic::error("TL0510", &node.place, what).help(
            "give `evidence`, `subject`, `fails_when` and `schedule`, or `attested: { every: 7d }`",
        ));
    }
}

record! {
    /// Compensations that a request must pick from.
    pub struct RequiredFile {
        /// SQL over the facets and `tier`; it holds when it is true or unknown.
        when: Located<String>,
        /// One of these.
        any_of: Vec<Located<Slug>>,
    }
}

pub(super) fn step(step: StepFile) -> Step {
    let ask = match step.approve {
        Some(role) => Ask::Approve(role.value.0),
        None if step.assess.is_empty() => Ask::Facts,
        None => Ask::Assess(step.assess.into_iter().map(|r| r.value.0).collect()),
    };
    Step {
        id: step.id.value.0,
        ask,
        quorum: step.quorum,
        distinct_teams: step.distinct_teams,
        sla: step.sla,
        escalate: step.on_breach.map(|b| b.escalate.value.0),
    }
}

pub(super) fn route(route: RouteFile) -> Route {
    let roles = |roles: Vec<Located<Phrase>>| roles.into_iter().map(|r| r.value.0).collect();
    Route {
        id: route.id.value.0,
        when: route.when.value,
        steps: route.steps.into_iter().map(|s| s.value.0).collect(),
        auto: route.auto,
        max_duration: route.max_duration,
        revalidate_every: route.revalidate_every,
        require_evidence: route.require_evidence.into_iter().map(|k| k.0).collect(),
        expedite: route.expedite.map(|e| Expedite {
            sla: e.sla,
            also: roles(e.also),
        }),
        emergency: route.emergency.map(|e| Emergency {
            authority: e.authority.value.0,
            ttl: e.ttl,
            ratify_within: e.ratify_within,
        }),
    }
}

pub(super) fn mitigation(m: MitigationFile) -> rules::Mitigation {
    let text = |t: Option<Located<String>>| t.map(|t| t.value).unwrap_or_default();
    let check = match m.attested {
        Some(attested) => Check::Attested {
            every: attested.every,
        },
        None => Check::Machine {
            evidence: text(m.evidence),
            subject: text(m.subject),
            fails_when: text(m.fails_when),
            schedule: text(m.schedule),
            max_age: m.max_age,
        },
    };
    rules::Mitigation {
        text: m.text.0,
        params: m.params.to_map(),
        check,
        on_violation: m.on_violation,
    }
}
