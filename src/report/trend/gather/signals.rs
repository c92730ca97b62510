//! Signals as the report tells them, and what looked like one.

use std::collections::BTreeSet;

use super::{Ground, exception_of, policy, then::Then};
use crate::{
    model::policy::Severity,
    report::trend::model::{
        Amount, Candidate, Cause, Effect, Evidence, Gate, GateResult, Known, Newly, Observed,
        Probability, Quote, Ratio, Share, Signal as Told, SignalKind, TurnedAway, Watch,
    },
    review::Suggestions,
    signal::{
        Kind, Pattern,
        gate::{self, GateName, Verdict},
        lifecycle::{self, State},
        pattern::{Because, Descriptor, Route},
        record::Admitted,
        suggest,
    },
};

/// The policy of a control that an older register knew and this installation does not watch.
const STRANGE: &str = "not watched here";

/// Signals that were not over, the most urgent first.
pub(super) fn open(ground: &Ground<'_>) -> Vec<Told> {
    let open = ground.signals.iter().filter(|s| !s.state.is_over());
    let mut all: Vec<&Then<'_>> = open.collect();
    all.sort_by_key(|s| (!s.state.is_open(), s.due.value().copied(), &s.signal.id));
    all.into_iter().map(|s| told(ground, s)).collect()
}

fn told(ground: &Ground<'_>, then: &Then<'_>) -> Told {
    let signal = then.signal;
    let id = signal.provision.as_ref().map(|p| p.policy.to_string());
    let id = id.unwrap_or_default();
    let control = &signal.raised.control;
    let known = ground.read.controls.get(control);
    let version = known.map_or(Some("gone"), |c| c.version.as_deref());
    let suggestions = ground.read.suggestions.get(signal.id.as_str());
    let candidates = suggestions.map_or_else(Vec::new, |all| candidates(all));
    let pattern = then.pattern.as_deref();
    let kind = match signal.raised.kind {
        Kind::ChronicBudget => SignalKind::ChronicBudget,
        Kind::RenewalLoop => SignalKind::RenewalLoop,
        Kind::Emergence | Kind::Watch => SignalKind::Emergence,
    };
    let descriptor = pattern.map_or(&signal.raised.descriptor, |p| &p.descriptor);
    let second = pattern.and_then(|p| p.runner_up.as_ref());
    Told {
        id: signal.id.to_string(),
        kind,
        policy_version: signal.policy_version.map_or_else(
            || "of a version that is not known".to_owned(),
            |v| v.to_string(),
        ),
        policy: id,
        control: control.clone(),
        control_version: version
            .unwrap_or("of a version that is not known")
            .to_owned(),
        sentence: then.sentence.clone(),
        descriptor: words(descriptor),
        runner_up: second
            .map(|d| telling(d, descriptor))
            .filter(|d| d != descriptor)
            .map(|d| words(&d)),
        observed: pattern.map_or_else(
            || Known::unknown("what was seen by then is no longer kept"),
            |p| Known::Value(observed(p)),
        ),
        evidence: evidence(pattern),
        since: then.since(),
        state: then.state,
        owner: signal.owner.clone().unwrap_or_else(|| "nobody".to_owned()),
        due: then.due.clone(),
        is_overdue: then.is_overdue(ground.to),
        untried: candidates.is_empty().then(|| untried(ground, control)),
        candidates,
        teams_elsewhere: pattern.map_or(0, |p| elsewhere(ground, p)),
        gates: pattern.map_or_else(Vec::new, |p| p.gates.iter().map(gate).collect()),
        quotes: pattern
            .iter()
            .flat_map(|p| &p.quotes)
            .map(|q| Quote {
                text: q.text.clone(),
                similar: u64::from(q.similar_count),
            })
            .collect(),
        causes: pattern
            .iter()
            .flat_map(|p| &p.likely_causes)
            .map(|c| Cause {
                cause: word(&serde_json::json!(c.code)),
                why: c.why.clone(),
            })
            .collect(),
        effect: effect(ground, then)
            .map_or_else(|| Known::unknown("no change was made"), Known::Value),
    }
}

/// The kind of subject says nothing: a control looks at subjects of one kind, so all of its asks share it.
pub(super) const SUBJECT_KIND: &str = "subject_kind";

/// A description without what its control says already.
fn telling(one: &Descriptor, beside: &Descriptor) -> Descriptor {
    let mut one = one.clone();
    if !beside.contains_key(SUBJECT_KIND) {
        one.remove(SUBJECT_KIND);
    }
    one
}

/// Why no change of a limit was worked out, and what can be tried.
fn untried(ground: &Ground<'_>, control: &str) -> String {
    let counts = ground.read.controls.get(control);
    match counts {
        None => "the control is gone".to_owned(),
        Some(c) if c.counts.is_none() => "the control had not run".to_owned(),
        Some(c) if c.limits.is_empty() => format!(
            "its control has no limit to move; try another condition: `tripline what-if {control} --fails-when …`"
        ),
        Some(_) => {
            "no change of a limit would clear an exception, or the evidence is no longer kept"
                .to_owned()
        }
    }
}

/// What can be tried on a control, in a few words.
pub(super) fn to_try(ground: &Ground<'_>, control: &str) -> String {
    let known = ground.read.controls.get(control);
    let limit = known.and_then(|c| c.limits.first());
    limit.map_or_else(
        || format!("try another condition or scope: `tripline what-if {control} --fails-when …`"),
        |name| format!("try a changed limit: `tripline what-if {control} --set {name}=…`"),
    )
}

/// Teams among the members of which only an older register knows an exception.
fn elsewhere(ground: &Ground<'_>, pattern: &Pattern) -> u64 {
    let records = &ground.read.records;
    let ours: BTreeSet<&str> = records.iter().map(|(r, _)| r.id.as_str()).collect();
    let members: BTreeSet<&str> = pattern.members.iter().map(String::as_str).collect();
    let rows = ground.index.controls.iter().flat_map(|c| &c.rows);
    let (mut own, mut old) = (BTreeSet::new(), BTreeSet::new());
    for row in rows {
        let Some(ask) = ground.index.ask(row) else {
            continue;
        };
        if !members.contains(ask.id.as_str()) {
            continue;
        }
        let is_own = ours.contains(exception_of(&ask.id, &ours));
        if is_own { &mut own } else { &mut old }.insert(row.team);
    }
    old.difference(&own).count() as u64
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

fn evidence(pattern: Option<&Pattern>) -> Evidence {
    let expected = pattern.and_then(|p| p.expected);
    let other = || {
        if pattern.is_none() {
            "what was seen by then is no longer kept".to_owned()
        } else {
            "it is not how this kind is found".to_owned()
        }
    };
    let probability = |p: Option<f64>| {
        p.map_or_else(|| Known::Unknown(other()), |p| Known::Value(Probability(p)))
    };
    let found = pattern.map(|p| p.evidence).unwrap_or_default();
    Evidence {
        expected: expected.map_or_else(|| Known::Unknown(other()), |e| Known::Value(Amount(e.mu))),
        ratio: expected.map_or_else(
            || Known::Unknown(other()),
            |e| {
                Known::Value(Ratio {
                    value: e.ratio,
                    low: e.ratio_ci90.low,
                    high: e.ratio_ci90.high.unwrap_or(e.ratio),
                })
            },
        ),
        p: probability(found.p),
        q: probability(found.q),
        posterior: probability(found.posterior_over_budget),
    }
}

/// The one that is recommended and the frontier; beside them the best of each scope and of none, though another is better:
/// what a wider change would admit is the price that a narrower one saves.
fn candidates(all: &[Suggestions]) -> Vec<Candidate> {
    let mut told = Vec::new();
    for one in all {
        for (at, c) in one.candidates.iter().enumerate() {
            if c.is_frontier || c.is_knee || is_alternative(&one.candidates, at) {
                told.push(candidate(one, c));
            }
        }
    }
    told.sort_by_key(|c| (!c.is_knee, !c.on_frontier));
    told
}

/// Whether no other of the same scope is worth more, the recommended ones aside.
fn is_alternative(all: &[suggest::Candidate], at: usize) -> bool {
    let Some(one) = all.get(at).filter(|c| !c.is_knee) else {
        return false;
    };
    let of_scope = all.iter().enumerate();
    of_scope
        .filter(|(_, c)| c.scope.is_some() == one.scope.is_some() && !c.is_knee)
        .max_by(|(i, a), (j, b)| a.worth().total_cmp(&b.worth()).then(j.cmp(i)))
        .is_some_and(|(best, _)| best == at)
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
    let percent = |n: f64| format!("{:.0} %", n * 100.0);
    let (name, unit) = asked(gate.name);
    let shown = |n: f64| match unit {
        Unit::Share => percent(n),
        Unit::Weeks => format!("{} weeks", number(n)),
        Unit::Count => number(n),
    };
    let side = match gate.name {
        GateName::BusiestTeam | GateName::Incident => "at most",
        _ => "at least",
    };
    Gate {
        name: name.to_owned(),
        value: match (gate.value, gate.verdict, gate.name) {
            (Some(value), ..) => shown(value),
            // A control that never changed is as old as what is known of it.
            (None, Verdict::Pass, GateName::Rollout) => "as old as the register".to_owned(),
            (None, Verdict::Pass, _) => "not needed, as outcomes are known".to_owned(),
            (None, ..) => "not known".to_owned(),
        },
        limit: format!("{side} {}", shown(gate.limit)),
        result: match gate.verdict {
            Verdict::Fail => GateResult::NotPassed,
            Verdict::NotKnown => GateResult::NotKnown,
            Verdict::Pass => GateResult::Passed,
        },
    }
}

/// In which unit a gate counts.
#[derive(Clone, Copy)]
enum Unit {
    Count,
    Share,
    Weeks,
}

/// What a gate asks for.
const fn asked(name: GateName) -> (&'static str, Unit) {
    match name {
        GateName::Rollout => ("age of the control's version", Unit::Weeks),
        GateName::Approved => ("approved of those decided", Unit::Share),
        GateName::Teams => ("distinct teams with an approved ask", Unit::Count),
        GateName::Departments => ("distinct departments", Unit::Count),
        GateName::BusiestTeam => ("part of the busiest team", Unit::Share),
        GateName::Incident => ("part of the largest incident", Unit::Share),
        GateName::Burst => ("teams without the densest days", Unit::Count),
        GateName::Lasting => ("fewest teams in a quarter", Unit::Count),
    }
}

/// What a change did, as far as one is in force.
pub(super) fn effect(ground: &Ground<'_>, then: &Then<'_>) -> Option<Effect> {
    let signal = then.signal;
    let until = ground.read.until();
    let said = signal.conclusion.as_ref().filter(|c| c.at <= until)?;
    let on = match signal.raised.state {
        State::Monitoring { effective } | State::ChangeLinked { effective } => effective,
        _ => said.effective.unwrap_or_else(|| said.at.date_naive()),
    };
    let seen = if ground.read.is_over() {
        // What is kept is what was measured last: that of the end of the period is measured again.
        let of = (signal.raised.control.as_str(), &signal.raised.descriptor);
        let options = &ground.read.options;
        (on <= ground.to).then(|| lifecycle::effect(ground.index, of, on, ground.to, options))?
    } else {
        signal.effect?
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
    let admitted = |count: &dyn Fn(&Admitted) -> usize| {
        let unknown =
            "its control has not run as it is now, or the evidence before is no longer kept";
        let known = signal
            .admitted
            .as_ref()
            .filter(|a| a.since <= until)
            .map(|a| Known::Value(count(a) as u64));
        known.unwrap_or_else(|| Known::unknown(unknown))
    };
    let later = |a: &Admitted| a.later.iter().filter(|l| l.at <= until).count();
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
        newly_admitted: admitted(&|a| a.subjects.len()),
        found_since: admitted(&later),
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
            |g| (format!("{}: {}", g.name, g.limit), g.value),
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
