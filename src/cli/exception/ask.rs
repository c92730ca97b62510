//! Asking for an exception: a file is read, judged as the register judges it, and handed in.

use std::{fs, path::Path, process::ExitCode};

use serde_json::json;

use super::{named, refuse, refused, standing};
use crate::{
    catalog::request as file,
    cli::{
        CLEAN, OPEN, USAGE, diagnostics,
        open::Opened,
        out::{Format, Ink, Out},
    },
    exception::{complete::Missing, record::Frozen},
    model::{
        id::PersonId,
        request::{self, Request},
    },
    register,
};

/// A request may not be larger: it is read by people.
const LARGEST: u64 = 256 * 1024;

/// Reads a request, or says its mistakes.
fn read(path: &Path) -> anyhow::Result<Result<Request, ExitCode>> {
    let size = match fs::metadata(path) {
        Ok(meta) => meta.len(),
        Err(error) => {
            return Ok(Err(refuse(
                USAGE,
                format!("{} cannot be read: {error}", path.display()),
            )?));
        }
    };
    if size > LARGEST {
        let said = format!(
            "{} has {size} bytes, and a request has at most {LARGEST}: attach what is larger by its address and SHA-256",
            path.display()
        );
        return Ok(Err(refuse(USAGE, said)?));
    }
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            return Ok(Err(refuse(
                USAGE,
                format!("{} cannot be read: {error}", path.display()),
            )?));
        }
    };
    match file::read(path, &text) {
        Ok(request) => Ok(Ok(request)),
        Err(mistakes) => {
            diagnostics::print(&mistakes, Path::new("."), &mut Out::stderr())?;
            Ok(Err(ExitCode::from(USAGE)))
        }
    }
}

/// Reads what an approver adds, each as YAML or from a file of its own, or says its mistakes.
pub(super) fn conditions(
    given: &[String],
) -> anyhow::Result<Result<Vec<request::Condition>, ExitCode>> {
    let mut all = Vec::new();
    for one in given {
        let written = one.trim_start().starts_with('{') || one.contains(": ");
        let (file, text) = if written {
            (Path::new("--condition"), one.clone())
        } else {
            match fs::read_to_string(one) {
                Ok(text) => (Path::new(one), text),
                Err(error) => {
                    let code = refuse(USAGE, format!("{one} cannot be read: {error}"))?;
                    return Ok(Err(code));
                }
            }
        };
        match file::condition(file, &text) {
            Ok(condition) => all.push(condition),
            Err(mistakes) => {
                diagnostics::print(&mistakes, Path::new("."), &mut Out::stderr())?;
                return Ok(Err(ExitCode::from(USAGE)));
            }
        }
    }
    Ok(Ok(all))
}

/// Says what the register would make of a request.
pub(super) async fn preview(
    opened: &Opened,
    file: &Path,
    out: &mut Out,
) -> anyhow::Result<ExitCode> {
    let request = match read(file)? {
        Ok(request) => request,
        Err(code) => return Ok(code),
    };
    let looked = match register::preview(&opened.cx, &opened.set, &request).await {
        Ok(looked) => looked,
        Err(error) => return refused(error),
    };
    let complete = looked.frozen.is_some();
    if out.format() == Format::Table {
        lacking(&looked.lacks, out)?;
        if let Some(frozen) = &looked.frozen {
            out.line(out.ink(Ink::Good, "It is complete."))?;
            path(frozen, out)?;
        }
    } else {
        out.json(&json!({ "lacks": looked.lacks, "would_be": looked.frozen }))?;
    }
    Ok(ExitCode::from(if complete { CLEAN } else { OPEN }))
}

/// Hands a request in.
pub(super) async fn submit(
    opened: &Opened,
    by: &PersonId,
    (file, again): (&Path, Option<&str>),
    out: &mut Out,
) -> anyhow::Result<ExitCode> {
    let request = match read(file)? {
        Ok(request) => request,
        Err(code) => return Ok(code),
    };
    let before = match again {
        None => None,
        Some(name) => match named(opened, name).await? {
            Ok(record) => Some(record.id),
            Err(said) => return refuse(USAGE, said),
        },
    };
    let done = register::submit(&opened.cx, &opened.set, by, &request, before.as_ref()).await;
    let done = match done {
        Ok(done) => done,
        Err(error) => return refused(error),
    };
    let record = &done.record;
    let complete = record.frozen.is_some();
    if out.format() == Format::Table {
        let id = out.ink(Ink::Bold, record.id.as_str());
        out.line(format!("{id} is {}.", standing(record, opened.now())))?;
        lacking(&record.lacks, out)?;
        if let Some(frozen) = &record.frozen {
            path(frozen, out)?;
        } else {
            let file = file.display();
            out.line(format!(
                "Mend {file} and hand it in again: tripline exception submit {file} --again {}",
                record.id
            ))?;
        }
        for other in &done.alike {
            out.line(format!(
                "{other} asks for the same: `tripline exception join {other}` puts your team on it instead."
            ))?;
        }
    } else {
        out.json(&json!({ "record": record, "alike": done.alike }))?;
    }
    Ok(ExitCode::from(if complete { CLEAN } else { OPEN }))
}

/// Everything that a request lacks.
fn lacking(lacks: &[Missing], out: &mut Out) -> anyhow::Result<()> {
    if lacks.is_empty() {
        return Ok(());
    }
    out.line(out.ink(Ink::Bad, "This is missing, before anybody looks at it:"))?;
    for one in lacks {
        out.line(format!("  {:<18} {}", one.field, one.say))?;
    }
    Ok(())
}

/// Which way a request goes, and why.
fn path(frozen: &Frozen, out: &mut Out) -> anyhow::Result<()> {
    let triage = &frozen.triage;
    out.line(format!(
        "  tier      {} ({})",
        triage.tier,
        triage.tier_by.as_str()
    ))?;
    out.line(format!("  urgency   {}", triage.urgency))?;
    for (route, by) in &frozen.routed.routes {
        out.line(format!("  route     {route} ({by})"))?;
    }
    if frozen.routed.auto {
        out.line("  decided   by the policy itself, in its lowest tier")?;
    }
    for step in &frozen.steps {
        let sla = frozen.routed.sla.unwrap_or(step.sla);
        out.line(format!(
            "  step      {} within {sla}: {}",
            step.id,
            asked(step)
        ))?;
    }
    out.line(format!("  at most   {}", frozen.routed.max_duration))?;
    out.line(format!("  terms     {}", frozen.digest))?;
    Ok(())
}

/// What a step asks of whom.
pub(super) fn asked(step: &crate::model::rules::Step) -> String {
    use crate::model::rules::Ask;
    match &step.ask {
        Ask::Facts => "the requester says what is missing".to_owned(),
        Ask::Assess(roles) => format!("{} say what they think", roles.join(" and ")),
        Ask::Approve(role) => {
            let teams = if step.distinct_teams {
                " of different teams"
            } else {
                ""
            };
            format!(
                "{} of {role}{teams}",
                super::super::out::counted(u64::from(step.quorum), "signature")
            )
        }
    }
}
