//! The exception process as it is configured, in words and as a diagram: states and who moves them, tiers, routes, steps,
//! roles and the people who bear them, limits, what a request must say. Made from the same tables that decide.

use std::fmt::Write as _;

use crate::{
    catalog::Catalog,
    exception::{
        facet::FACETS,
        state::{Act, next},
    },
    model::{
        exception::State,
        people::Directory,
        policy::Policy,
        rules::{Ask, Check, ExceptionRules, Step},
    },
};

/// The process of every policy that permits exceptions, as Markdown with Mermaid diagrams.
pub fn markdown(catalog: &Catalog, organisation: &str) -> String {
    let mut out = format!(
        "# How exceptions to policies are asked for, decided, watched and closed\n\n{organisation}. This page is made from what \
         decides: the states and moves of the program, and the policies as they are loaded (digest {}).\n\n",
        catalog.digest
    );
    states(&mut out);
    fields(&mut out);
    for policy in catalog.policies.values() {
        if let Some(rules) = &policy.exceptions {
            of_policy(&mut out, policy, rules, &catalog.directory);
        }
    }
    let without: Vec<String> = catalog
        .policies
        .values()
        .filter(|p| p.exceptions.is_none())
        .map(|p| format!("`{}`", p.id))
        .collect();
    if !without.is_empty() {
        let _ = writeln!(
            out,
            "## Policies that permit no exception\n\n{}\n",
            without.join(", ")
        );
    }
    controls(&mut out, catalog);
    out
}

fn states(out: &mut String) {
    out.push_str("## States\n\nOnly `active` makes a finding silent. A state is written by one of these moves and by nothing else; what time alone ends is computed at every read.\n\n```mermaid\nstateDiagram-v2\n    [*] --> draft\n");
    for from in State::ALL {
        for act in Act::ALL {
            if let Some(to) = next(*from, *act).filter(|to| to != from) {
                let _ = writeln!(out, "    {from} --> {to}: {act}");
            }
        }
    }
    out.push_str("    closed --> [*]\n```\n\n| from | by | to |\n|---|---|---|\n");
    for from in State::ALL {
        for act in Act::ALL {
            if let Some(to) = next(*from, *act) {
                let _ = writeln!(out, "| {from} | {act} | {to} |");
            }
        }
    }
    out.push('\n');
}

fn fields(out: &mut String) {
    out.push_str("## What a request says\n\nTitle, category, clause, controls, requester, owner and backup owner, the team that it serves, who watches it, business purpose, impact if denied, reason, alternatives, the risk that it brings (without conditions and with them), facets, exactly which subjects, a limit, begin and end, how often it is looked at again, conditions, evidence by address and SHA-256, how it will end. What is missing sends it back before anybody looks at it.\n\nFacets: ");
    let names: Vec<String> = FACETS.iter().map(|(name, _)| format!("`{name}`")).collect();
    let _ = writeln!(
        out,
        "{}. What is not known counts as the stricter.\n",
        names.join(", ")
    );
}

fn of_policy(out: &mut String, policy: &Policy, rules: &ExceptionRules, directory: &Directory) {
    let _ = writeln!(
        out,
        "## {} (`{}`, version {}, in force since {})\n",
        policy.title, policy.id, policy.version, policy.effective
    );
    for provision in &policy.provisions {
        let _ = writeln!(
            out,
            "- `{}#{}` {}: {}",
            policy.id,
            provision.id,
            provision.title,
            provision.text.trim().replace('\n', " ")
        );
    }
    let categories: Vec<String> = rules
        .categories
        .iter()
        .map(|c| format!("`{}` ({})", c.id, c.title))
        .collect();
    let _ = writeln!(out, "\nCategories: {}.", categories.join(", "));
    let never: Vec<String> = rules
        .never_waivable
        .iter()
        .map(|c| format!("`{c}`"))
        .collect();
    if !never.is_empty() {
        let _ = writeln!(out, "Never waived: {}.", never.join(", "));
    }
    let l = &rules.limits;
    let _ = writeln!(
        out,
        "Limits: at most {}, renewed at most {} times; undecided requests lapse after {}, approved ones that are not \
         activated after {}, suspended ones are revoked after {}{}. A request without an end: {}.\n",
        l.max_duration,
        l.max_renewals,
        l.request_ttl,
        l.activation_ttl,
        l.max_suspended,
        l.max_active_per_team.map_or_else(String::new, |n| format!(
            "; a team with {n} in force goes one step further"
        )),
        l.indefinite
    );
    diagram(out, rules);
    let _ = writeln!(out, "| tier | when |\n|---|---|");
    for tier in &rules.tiers {
        let _ = writeln!(
            out,
            "| {} | {} |",
            tier.id,
            cell(tier.when.as_deref().unwrap_or("otherwise"))
        );
    }
    let _ = writeln!(out, "\n| route | when | adds |\n|---|---|---|");
    for route in &rules.routes {
        let mut adds: Vec<String> = route.steps.clone();
        if route.auto {
            adds.push("the policy decides".to_owned());
        }
        if let Some(e) = &route.expedite {
            adds.push(format!("within {} each", e.sla));
        }
        if let Some(e) = &route.emergency {
            adds.push(format!(
                "{} may grant for {}, ratified within {}",
                e.authority, e.ttl, e.ratify_within
            ));
        }
        if !route.require_evidence.is_empty() {
            adds.push(format!("evidence: {}", route.require_evidence.join(", ")));
        }
        if let Some(most) = route.max_duration {
            adds.push(format!("at most {most}"));
        }
        if let Some(every) = route.revalidate_every {
            adds.push(format!("looked at again every {every}"));
        }
        let _ = writeln!(
            out,
            "| {} | {} | {} |",
            route.id,
            cell(&route.when),
            cell(&adds.join("; "))
        );
    }
    let _ = writeln!(
        out,
        "\nNo route matches: `{}`.\n\n| step | asks | within | then |\n|---|---|---|---|",
        rules.no_match
    );
    for step in &rules.steps {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} |",
            step.id,
            asked(step),
            step.sla,
            step.escalate.as_deref().unwrap_or("-")
        );
    }
    let _ = writeln!(out, "\n| role | may sign | borne by |\n|---|---|---|");
    for (role, a) in &rules.authority {
        let mut may: Vec<String> = Vec::new();
        if a.emergency_only {
            may.push("emergencies only".to_owned());
        }
        may.push(if a.tiers.is_empty() {
            "every tier".to_owned()
        } else {
            a.tiers.join(", ")
        });
        may.extend(a.max_duration.map(|d| format!("at most {d}")));
        may.extend(a.max_amount.map(|m| format!("up to {m}")));
        let bearers: Vec<String> = directory
            .people
            .iter()
            .filter(|p| p.roles.contains(role))
            .map(|p| {
                format!(
                    "{} ({})",
                    p.name,
                    p.team.as_ref().map_or("no team", |t| t.value.as_str())
                )
            })
            .collect();
        let _ = writeln!(
            out,
            "| {role} | {} | {} |",
            may.join("; "),
            bearers.join(", ")
        );
    }
    if !rules.mitigations.is_empty() {
        let _ = writeln!(out, "\n| mitigation | what | checked |\n|---|---|---|");
    }
    for (id, m) in &rules.mitigations {
        let how = match &m.check {
            Check::Machine { schedule, .. } => format!("by the machine, `{schedule}`"),
            Check::Attested { every } => format!("by a person's word, every {every}"),
        };
        let _ = writeln!(
            out,
            "| {id} | {} | {how}; otherwise {} |",
            cell(&m.text),
            m.on_violation
        );
    }
    out.push('\n');
}

/// The chain: from the request through the steps in their order.
fn diagram(out: &mut String, rules: &ExceptionRules) {
    out.push_str("```mermaid\nflowchart LR\n    request([request]) --> complete{complete?}\n    complete -- no --> request\n    complete -- yes --> triage[[triage]]\n");
    let mut from = "triage".to_owned();
    for step in &rules.steps {
        let _ = writeln!(
            out,
            "    {from} --> {}[\"{}: {}\"]",
            step.id,
            step.id,
            asked(step).replace('"', "'")
        );
        from.clone_from(&step.id);
    }
    let _ = writeln!(
        out,
        "    {from} --> decided([decided])\n    triage -. lowest tier .-> decided\n```\n"
    );
}

fn asked(step: &Step) -> String {
    match &step.ask {
        Ask::Facts => "the requester says what is missing".to_owned(),
        Ask::Assess(roles) => format!("{} say what they think", roles.join(", ")),
        Ask::Approve(role) => {
            let teams = if step.distinct_teams {
                " of different teams"
            } else {
                ""
            };
            format!("{} × {role}{teams}", step.quorum)
        }
    }
}

fn controls(out: &mut String, catalog: &Catalog) {
    out.push_str(
        "## Controls that find what deviates\n\n| control | clause | frameworks |\n|---|---|---|\n",
    );
    for c in catalog.controls.values() {
        let frameworks: Vec<String> = c
            .frameworks
            .iter()
            .map(|f| format!("{} {}", f.name, f.reference))
            .collect();
        let _ = writeln!(
            out,
            "| {} | {} | {} |",
            c.id,
            c.policy,
            cell(&frameworks.join(", "))
        );
    }
}

/// Text that may stand in a cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
