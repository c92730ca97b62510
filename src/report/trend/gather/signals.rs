//! Signals as the report tells them, and what looked like one.

use super::{Ground, policy};
use crate::{
    model::policy::Severity,
    report::trend::model::{
        Amount, Candidate, Cause, Effect, Evidence, Gate, Known, Newly, Observed, Probability,
        Quote, Ratio, Share, Signal as Told, SignalKind, SignalState, TurnedAway, Watch,
    },
    review::Suggestions,
    signal::{
        Kind, Pattern,
        gate::{self, Verdict},
        lifecycle::{Closing, State},
        pattern::{Because, Descriptor, Route},
        record::{Admitted, Signal},
        suggest,
    },
};

/// The policy of a control that an older register knew and this installation does not watch.
const STRANGE: &str = "not watched here";

/// Signals that are not over, the most urgent first.
pub(super) fn open(ground: &Ground<'_>) -> Vec<Told> {
    let mut all: Vec<&Signal> = ground
        .read
        .signals
        .iter()
        .filter(|s| !s.is_over())
        .collect();
    all.sort_by_key(|s| (!s.is_open(), s.due, s.id.clone()));
    all.into_iter().map(|s| told(ground, s)).collect()
}

fn told(ground: &Ground<'_>, signal: &Signal) -> Told {
    let pattern = &signal.pattern;
    let id = signal.provision.as_ref().map(|p| p.policy.to_string());
    let id = id.unwrap_or_default();
    let control = &signal.raised.control;
    let known = ground.read.controls.get(control);
    let suggestions = ground.read.suggestions.get(signal.id.as_str());
    Told {
        id: signal.id.to_string(),
        kind: match signal.raised.kind {
            Kind::ChronicBudget => SignalKind::ChronicBudget,
            Kind::RenewalLoop => SignalKind::RenewalLoop,
            Kind::Emergence | Kind::Watch => SignalKind::Emergence,
        },
        policy_version: signal
            .policy_version
            .map_or_else(|| "?".to_owned(), |v| v.to_string()),
        policy: id,
        control: control.clone(),
        control_version: known.map_or_else(|| "gone".to_owned(), |c| c.version.clone()),
        sentence: [Some(pattern.sentence.clone()), pattern.findings.sentence()]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" "),
        descriptor: words(&pattern.descriptor),
        runner_up: pattern.runner_up.as_ref().map(words),
        observed: observed(pattern),
        evidence: evidence(pattern),
        since: pattern.first_seen.unwrap_or(pattern.window.from),
        state: state(signal.raised.state),
        owner: signal.owner.clone().unwrap_or_else(|| "nobody".to_owned()),
        due: if signal.is_open() {
            Known::Value(signal.due)
        } else {
            Known::unknown("it was concluded")
        },
        candidates: suggestions.map_or_else(Vec::new, |all| candidates(all)),
        gates: pattern.gates.iter().map(gate).collect(),
        quotes: pattern
            .quotes
            .iter()
            .map(|q| Quote {
                text: q.text.clone(),
                similar: u64::from(q.similar_count),
            })
            .collect(),
        causes: pattern
            .likely_causes
            .iter()
            .map(|c| Cause {
                cause: word(&serde_json::json!(c.code)),
                why: c.why.clone(),
            })
            .collect(),
        effect: effect(ground, signal)
            .map_or_else(|| Known::unknown("no change was made"), Known::Value),
    }
}

/// `vendor = Acme and environment = batch`.
pub(super) fn words(descriptor: &Descriptor) -> String {
    let all: Vec<String> = descriptor
        .iter()
        .map(|(k, v)| format!("{k} = {v}"))
        .collect();
    if all.is_empty() {
        "nothing but the control".to_owned()
    } else {
        all.join(" and ")
    }
}

fn word(value: &serde_json::Value) -> String {
    value.as_str().unwrap_or_default().replace('_', " ")
}

fn observed(pattern: &Pattern) -> Observed {
    let seen = &pattern.observed;
    Observed {
        teams: u64::from(seen.teams),
        departments: u64::from(seen.departments),
        asks: u64::from(seen.independent),
        duplicates: u64::from(seen.duplicates),
        approved: Share::new(
            u64::from(seen.approved),
            u64::from(seen.approved + seen.denied),
        ),
        pending: u64::from(seen.pending),
    }
}

fn evidence(pattern: &Pattern) -> Evidence {
    let other = || "it is not how this kind is found".to_owned();
    let probability = |p: Option<f64>| {
        p.map_or_else(|| Known::Unknown(other()), |p| Known::Value(Probability(p)))
    };
    Evidence {
        expected: pattern
            .expected
            .map_or_else(|| Known::Unknown(other()), |e| Known::Value(Amount(e.mu))),
        ratio: pattern.expected.map_or_else(
            || Known::Unknown(other()),
            |e| {
                Known::Value(Ratio {
                    value: e.ratio,
                    low: e.ratio_ci90.low,
                    high: e.ratio_ci90.high.unwrap_or(e.ratio),
                })
            },
        ),
        p: probability(pattern.evidence.p),
        q: probability(pattern.evidence.q),
        posterior: probability(pattern.evidence.posterior_over_budget),
    }
}

const fn state(state: State) -> SignalState {
    match state {
        State::Open => SignalState::Open,
        State::Acknowledged => SignalState::Acknowledged,
        State::ChangeLinked { .. } => SignalState::ChangeLinked,
        State::Monitoring { .. } => SignalState::Monitoring,
        State::Closed {
            closing: Closing::Effective,
            ..
        } => SignalState::ClosedEffective,
        State::Closed { .. } => SignalState::ClosedNoEffect,
        State::Dismissed { .. } => SignalState::Dismissed,
        State::Snoozed { .. } => SignalState::Snoozed,
    }
}

fn candidates(all: &[Suggestions]) -> Vec<Candidate> {
    let mut told = Vec::new();
    for one in all {
        for c in &one.candidates {
            if !c.is_frontier && !c.is_knee {
                continue;
            }
            told.push(candidate(one, c));
        }
    }
    told.sort_by_key(|c| !c.is_knee);
    told
}

fn candidate(of: &Suggestions, c: &suggest::Candidate) -> Candidate {
    let value = of.values.get(c.value).map_or("?", String::as_str);
    let scope = c.scope.and_then(|s| of.scopes.get(s));
    let scope = scope.map_or_else(
        || " for everybody".to_owned(),
        |s| format!(" only where {s}"),
    );
    let at = |severity: Severity| c.admitted.get(severity as usize).copied().unwrap_or(0) as u64;
    Candidate {
        summary: format!("{} from {} to {value}{scope}", of.parameter, of.current),
        cleared: Share::new(c.cleared.len() as u64, c.of as u64),
        teams_cleared: Share::new(c.teams as u64, c.of_teams as u64),
        newly_admitted: Newly {
            total: c.admits() as u64,
            critical: at(Severity::Critical),
            high: at(Severity::High),
            moderate: at(Severity::Medium),
            low: at(Severity::Low),
            unrated: 0,
        },
        risk_weight: Amount(c.weight),
        unknown: c.unknown as u64,
        vetoes: c.vetoes.clone(),
        on_frontier: c.is_frontier,
        is_knee: c.is_knee,
    }
}

pub(super) fn gate(gate: &gate::Gate) -> Gate {
    let number = |n: f64| {
        let text = format!("{n:.2}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    Gate {
        name: word(&serde_json::json!(gate.name)),
        value: gate.value.map_or_else(|| "not known".to_owned(), number),
        limit: number(gate.limit),
        is_passed: gate.verdict != Verdict::Fail,
    }
}

/// What a change did, as far as one is in force.
pub(super) fn effect(ground: &Ground<'_>, signal: &Signal) -> Option<Effect> {
    let seen = signal.effect.as_ref()?;
    let said = signal.conclusion.as_ref()?;
    let on = match signal.raised.state {
        State::Monitoring { effective } | State::ChangeLinked { effective } => effective,
        _ => said.effective.unwrap_or_else(|| said.at.date_naive()),
    };
    let policy = signal.provision.as_ref().map(|p| p.policy.to_string());
    let weeks = |n: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "weeks"
        )]
        let whole = n.round().max(0.0) as u64;
        whole
    };
    let admitted = |count: fn(&Admitted) -> usize| {
        let unknown =
            "its control has not run as it is now, or the evidence before is no longer kept";
        let known = signal
            .admitted
            .as_ref()
            .map(|a| Known::Value(count(a) as u64));
        known.unwrap_or_else(|| Known::unknown(unknown))
    };
    let ratio = &seen.ratio;
    Some(Effect {
        change: said.because.clone(),
        policy: policy
            .as_deref()
            .and_then(|id| super::policy(ground.read, id))
            .map_or_else(|| policy.clone().unwrap_or_default(), |p| p.title.clone()),
        control: signal.raised.control.clone(),
        on,
        asks_before: seen.before,
        weeks_before: weeks(seen.weeks_before),
        asks_after: seen.after,
        weeks_after: weeks(seen.weeks_after),
        ratio: match (ratio.ratio, ratio.interval.high) {
            (Some(value), Some(high)) => Known::Value(Ratio {
                value,
                low: ratio.interval.low,
                high,
            }),
            _ => Known::unknown("nobody had asked before"),
        },
        newly_admitted: admitted(|a| a.subjects.len()),
        found_since: admitted(|a| a.later.len()),
    })
}

/// What looks like a signal and is none.
pub(super) fn turned_away(ground: &Ground<'_>) -> Vec<TurnedAway> {
    let all = ground.detected.turned_away.iter();
    all.map(|one| {
        let failed = one
            .gates
            .iter()
            .find(|g| g.verdict == Verdict::Fail)
            .map(gate);
        let shown = failed.map_or_else(
            || {
                (
                    word(&serde_json::json!(one.because)),
                    "it held it back".to_owned(),
                )
            },
            |g| (format!("{}, limit {}", g.name, g.limit), g.value),
        );
        TurnedAway {
            policy: ground.policy_of(&one.control).unwrap_or(STRANGE).to_owned(),
            control: one.control.clone(),
            sentence: one.sentence.clone(),
            teams: u64::from(one.observed.teams),
            asks: u64::from(one.observed.independent),
            gate: shown.0,
            seen: shown.1,
            why: because(one.because).to_owned(),
            instead: instead(one.route).to_owned(),
        }
    })
    .collect()
}

const fn because(because: Because) -> &'static str {
    match because {
        Because::Rollout => {
            "not a policy signal because the control is new, and beginnings are busy"
        }
        Because::Bulk => "not a policy signal because it is one request for many subjects",
        Because::OneTeam => "not a policy signal because most come from one team",
        Because::Incident => "not a policy signal because most come out of one incident",
        Because::DeniedWave => "not a policy signal because those who decide found no need",
        Because::Burst => {
            "not a policy signal because all came at once, and little before or after"
        }
        Because::FewTeams => "not a policy signal because too few teams need it",
        Because::FewDepartments => "not a policy signal because too few departments need it",
        Because::NotLasting => {
            "not a policy signal because outcomes are missing and it has not lasted"
        }
        Because::OneCause => {
            "not a policy signal because nothing unusual is left without one cause"
        }
        Because::Undecided => "not a policy signal yet because too little is decided",
    }
}

const fn instead(route: Route) -> &'static str {
    match route {
        Route::HelpThisTeam => "help this team",
        Route::IncidentCluster => "incident cluster",
        Route::GuidanceGap => "guidance gap",
        Route::OnboardingFriction => "onboarding friction",
        Route::OneRequestManySubjects => "one request, many subjects",
        Route::LookAgain => "look again next week",
    }
}

/// Repeats that are shown and not notified.
pub(super) fn watch(ground: &Ground<'_>) -> Vec<Watch> {
    let all = ground.detected.patterns.iter();
    all.filter(|p| p.kind == Kind::Watch)
        .map(|p| {
            let id = ground.policy_of(&p.control).unwrap_or(STRANGE);
            Watch {
                policy: policy(ground.read, id).map_or_else(|| id.to_owned(), |p| p.id.to_string()),
                control: p.control.clone(),
                reason: words(&p.descriptor),
                teams: u64::from(p.observed.teams),
                rule: u64::from(ground.read.options.watch_teams),
                asks: u64::from(p.observed.independent),
                since: p.first_seen.unwrap_or(p.window.from),
            }
        })
        .collect()
}
