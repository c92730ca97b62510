//! The context package on a screen: one page, in the order in which people decide.

use std::process::ExitCode;

use super::{named, refuse, refused};
use crate::{
    cli::{
        CLEAN, USAGE,
        open::Opened,
        out::{Format, Ink, Out, column},
        runs::object,
    },
    exception::{
        coverage::Standing,
        decide::{Decision, Verdict},
        package::{Deviation, Package, Precedent},
    },
    model::{
        id::{PersonId, Sha},
        outcome::Row,
    },
    register,
    store::packages,
};

/// Puts a package together, keeps it, and prints it with its digest.
pub(super) async fn run(
    opened: &Opened,
    by: &PersonId,
    name: &str,
    out: &mut Out,
) -> anyhow::Result<ExitCode> {
    let id = match named(opened, name).await? {
        Ok(record) => record.id,
        Err(said) => return refuse(USAGE, said),
    };
    let (digest, package) = match register::package(&opened.cx, &opened.set, by, &id).await {
        Ok(made) => made,
        Err(error) => return refused(error),
    };
    if out.format() == Format::Table {
        page(&package, digest, out)?;
    } else {
        out.json(&serde_json::json!({ "digest": digest, "package": package }))?;
    }
    Ok(ExitCode::from(CLEAN))
}

/// Lists what was put before approvers, or prints one of it as it was kept: its digest stands in the decision.
pub(super) async fn seen(
    opened: &Opened,
    name: &str,
    digest: Option<&str>,
    out: &mut Out,
) -> anyhow::Result<ExitCode> {
    let record = match named(opened, name).await? {
        Ok(record) => record,
        Err(said) => return refuse(USAGE, said),
    };
    let all = packages::of(&mut opened.store().read().await?, &record.id).await?;
    let Some(wanted) = digest else {
        let decided = |sha: &Sha| {
            record
                .decisions
                .iter()
                .find(|d| d.package.as_ref() == Some(sha))
        };
        let columns =
            ["package", "person", "made_at", "revision", "decision"].map(|c| column(c, c));
        let rows = all.iter().map(|(sha, kept)| {
            object(serde_json::json!({
                "package": sha, "person": kept.person, "made_at": kept.made_at, "revision": kept.revision,
                "decision": decided(sha).map(|d| d.verdict),
            }))
        });
        out.list(&columns, rows)?;
        return Ok(ExitCode::from(CLEAN));
    };
    let found = all
        .iter()
        .find(|(sha, _)| wanted.len() >= 8 && sha.to_string().starts_with(wanted));
    match found {
        None => refuse(
            USAGE,
            format!("nothing with the digest `{wanted}` was put before anybody"),
        ),
        Some((_, kept)) => {
            out.json(&kept.body)?;
            Ok(ExitCode::from(CLEAN))
        }
    }
}

fn page(p: &Package, digest: Sha, out: &mut Out) -> anyhow::Result<()> {
    let terms = &p.terms;
    out.line(out.ink(Ink::Bold, &format!("{}: {}", p.exception, terms.title)))?;
    out.line(format!(
        "{} asks for {}, from {} until {}. {} answers for it.",
        terms.requester,
        terms.beneficiary_team,
        terms.not_before.format("%Y-%m-%d"),
        terms.expires_at.format("%Y-%m-%d %H:%M UTC"),
        terms.owner
    ))?;
    heading("Why", out)?;
    for (name, text) in [
        ("purpose", &terms.business_purpose),
        ("if denied", &terms.impact_if_denied),
        ("tried", &terms.alternatives),
        ("risk", &terms.risk_introduced),
    ] {
        out.line(format!("  {name:<10} {}", text.trim()))?;
    }
    out.line(format!(
        "  {:<10} {} without the conditions, {} with them",
        "rated",
        terms.inherent.rating.as_str(),
        terms.residual.rating.as_str()
    ))?;
    asked(p, out)?;
    heading("The policy", out)?;
    let c = &p.policy;
    out.line(format!(
        "  {}, {}, version {} in force since {}",
        c.title, c.reference, c.version, c.effective
    ))?;
    for line in c
        .text
        .as_deref()
        .unwrap_or("this clause is no longer there")
        .lines()
    {
        out.line(format!("  | {line}"))?;
    }
    heading("What deviates", out)?;
    if p.deviations.is_empty() {
        out.line("  none of it is in evidence now")?;
    }
    for d in &p.deviations {
        deviation(d, out)?;
    }
    if !p.not_covered.is_empty() {
        let all: Vec<&str> = p.not_covered.iter().take(5).map(AsRef::as_ref).collect();
        let more = p.not_covered.len().saturating_sub(5);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        out.line(format!(
            "  It would not cover what else fails: {}{more}",
            all.join(", ")
        ))?;
    }
    heading("What must hold meanwhile", out)?;
    if terms.conditions.is_empty() {
        out.line("  nothing")?;
    }
    for one in &terms.conditions {
        let now = p.conditions.get(&one.id).map_or_else(String::new, |l| {
            let word = match l.standing {
                Standing::Holds => "holds now",
                Standing::Unknown(_) => "cannot be told now",
                Standing::Fails => "does not hold now",
            };
            format!("{word}: {}", l.said)
        });
        out.line(format!(
            "  {:<18} {} (otherwise: {})",
            one.id, one.text, one.on_violation
        ))?;
        out.line(format!("  {:<18} {now}", ""))?;
    }
    heading("What is attached", out)?;
    if terms.evidence.is_empty() {
        out.line("  nothing")?;
    }
    for e in &terms.evidence {
        out.line(format!(
            "  {:<16} {}  sha256 {}",
            e.kind.as_str(),
            e.uri,
            e.sha256.short()
        ))?;
    }
    heading("What happened before", out)?;
    for f in &p.findings {
        out.line(format!(
            "  {}  {} {} {}, seen first {}",
            f.finding,
            f.control,
            f.subject,
            f.status,
            f.first_seen.format("%Y-%m-%d")
        ))?;
    }
    past("for these subjects", &p.of_subjects, out)?;
    past("for this team", &p.of_team, out)?;
    past("asked by the same person", &p.of_requester, out)?;
    past("from the same clause", &p.of_clause, out)?;
    heading("Said so far", out)?;
    for d in &p.said {
        let why = d
            .reason
            .as_ref()
            .map_or_else(String::new, |r| format!(": {r}"));
        out.line(format!(
            "  {} {} as {} in `{}`{}{why}",
            d.name,
            d.verdict,
            d.role.role,
            d.step,
            bounds(d)
        ))?;
    }
    if p.said.is_empty() {
        out.line("  nothing")?;
    }
    decide(p, digest, out)
}

/// What is asked for, in full: whatever is not in evidence is shown all the same.
fn asked(p: &Package, out: &mut Out) -> anyhow::Result<()> {
    let terms = &p.terms;
    heading("What is asked for", out)?;
    let mut subjects: Vec<&str> = terms.subjects.iter().map(|s| s.subject.as_ref()).collect();
    subjects.sort_unstable();
    subjects.dedup();
    let facets: Vec<String> = terms
        .facets
        .iter()
        .map(|(name, value)| format!("{name} = {value}"))
        .collect();
    let none = || "none".to_owned();
    for (name, text) in [
        ("subjects", subjects.join(", ")),
        ("limit", terms.limit.clone().unwrap_or_else(none)),
        ("category", terms.category.clone()),
        ("because", terms.reason_code.as_str().replace('_', " ")),
        ("said of it", facets.join(", ")),
        ("watched by", terms.monitors.join(", ")),
        ("its end", terms.closure_plan.clone().unwrap_or_else(none)),
    ] {
        out.line(format!("  {name:<10} {}", text.trim()))?;
    }
    Ok(())
}

/// The end and the conditions that a decision asks for besides.
pub(super) fn bounds(d: &Decision) -> String {
    let end = d.ends.map(|end| {
        let end = end.format("%Y-%m-%d %H:%M UTC");
        format!(", until {end} at the latest")
    });
    let conditions = d.conditions.iter();
    let conditions = conditions.map(|c| format!(", on the condition `{}` ({})", c.id, c.text));
    end.into_iter().chain(conditions).collect()
}

fn decide(p: &Package, digest: Sha, out: &mut Out) -> anyhow::Result<()> {
    heading("Your decision", out)?;
    out.line(format!(
        "  tier {}, by {}",
        p.triage.tier,
        p.routed.names().join(", ")
    ))?;
    if let (Some(options), Some(step)) = (&p.options, &p.step) {
        let due = p.due_at.map_or_else(String::new, |d| {
            format!(", due {}", d.format("%Y-%m-%d %H:%M UTC"))
        });
        let grants = if options.grants {
            let most = options
                .max_duration
                .map_or_else(String::new, |m| format!(" for at most {m}"));
            format!("your signature may be the last{most}")
        } else {
            "your signature is one of several steps".to_owned()
        };
        out.line(format!("  step `{step}`{due}; {grants}"))?;
        let short = digest.short();
        for verdict in &options.verdicts {
            let more = match verdict {
                Verdict::Approve => "[--ends TIME] [--condition YAML]",
                Verdict::Deny | Verdict::Ask => "--because '…'",
            };
            out.line(format!(
                "  tripline exception {verdict} {} --package {short} {more}",
                p.exception
            ))?;
        }
    } else {
        let why = p.refused.as_deref().unwrap_or("not_pending");
        out.line(format!("  You may not decide it now ({why})."))?;
    }
    out.line(format!("\nPackage {digest}, terms {}", p.terms_digest))?;
    Ok(())
}

fn deviation(d: &Deviation, out: &mut Out) -> anyhow::Result<()> {
    let finding = d.finding.as_deref().unwrap_or("no open finding");
    let since = d.since.map_or_else(String::new, |s| {
        format!(", open since {}", s.format("%Y-%m-%d"))
    });
    out.line(format!(
        "  {} ({finding}, {}{since}): {} now",
        d.subject,
        d.severity,
        match d.outcome.as_str() {
            "pass" => "it does not deviate",
            "fail" => "it deviates",
            _ => "it cannot be told whether it deviates",
        }
    ))?;
    out.line(format!("    {}: {}", d.control, d.title))?;
    out.line(format!("    {}", d.sentence))?;
    out.line(format!("    fails when {}", d.crossed))?;
    for row in &d.rows {
        out.line(format!("    {}", shown(row)))?;
    }
    for s in &d.evidence {
        let at = s.collected_at.map_or_else(
            || "never".to_owned(),
            |at| at.format("%Y-%m-%d %H:%M").to_string(),
        );
        let sha = s
            .sha256
            .map_or_else(String::new, |s| format!(", sha256 {}", s.short()));
        out.line(format!("    seen in {} of {at}{sha}", s.dataset))?;
    }
    match &d.would_cover {
        Ok(()) => out.line("    would be silent")?,
        Err(why) => out.line(format!("    would not be silent: {why}"))?,
    }
    Ok(())
}

fn shown(row: &Row) -> String {
    let all: Vec<String> = row
        .iter()
        .map(|(k, v)| match v.as_str() {
            Some(text) => format!("{k} = {text}"),
            None => format!("{k} = {v}"),
        })
        .collect();
    all.join(" · ")
}

fn past(what: &str, all: &[Precedent], out: &mut Out) -> anyhow::Result<()> {
    if all.is_empty() {
        out.line(format!("  no exception {what}"))?;
        return Ok(());
    }
    out.line(format!("  exceptions {what}:"))?;
    for one in all {
        let came = one
            .outcome
            .as_ref()
            .map_or_else(String::new, |o| format!(", {o}"));
        let decided = one.decided.join("; ");
        out.line(format!(
            "    {} {} ({}{came}) {decided}",
            one.exception, one.title, one.state
        ))?;
    }
    Ok(())
}

fn heading(text: &str, out: &mut Out) -> anyhow::Result<()> {
    let text = out.ink(Ink::Bold, text);
    out.line(format!("\n{text}"))?;
    Ok(())
}
