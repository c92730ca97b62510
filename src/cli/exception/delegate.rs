//! Acting in somebody's place: who, in which role, from when to when.

use std::process::ExitCode;

use chrono::{DateTime, Utc};
use serde_json::json;

use super::{refuse, refused};
use crate::{
    cli::{
        CLEAN, USAGE,
        open::Opened,
        out::{Out, column},
        runs::object,
    },
    model::id::PersonId,
    register,
    store::delegations,
};

/// Lends a role.
pub(super) async fn lend(
    opened: &Opened,
    by: &PersonId,
    (to, role): (&str, &str),
    period: (DateTime<Utc>, DateTime<Utc>),
    because: &str,
    out: &mut Out,
) -> anyhow::Result<ExitCode> {
    let to = PersonId::new(to);
    let done = register::delegate(&opened.cx, &opened.set, by, (&to, role), period, because).await;
    match done {
        Ok(one) => {
            out.line(format!(
                "{} acts as {role} in your place until {} ({}). Both names stand in each decision.",
                one.delegate,
                one.ends_at.format("%Y-%m-%d %H:%M UTC"),
                one.id
            ))?;
            Ok(ExitCode::from(CLEAN))
        }
        Err(error) => refused(error),
    }
}

/// Takes a role back.
pub(super) async fn take_back(
    opened: &Opened,
    by: &PersonId,
    id: &str,
    out: &mut Out,
) -> anyhow::Result<ExitCode> {
    if !register::undelegate(&opened.cx, by, id).await? {
        let said = format!(
            "you have not given `{id}`, or took it back; `tripline exception delegations` lists them"
        );
        return refuse(USAGE, said);
    }
    out.line(format!("{id} is taken back."))?;
    Ok(ExitCode::from(CLEAN))
}

/// Every delegation that there ever was.
pub(super) async fn list(opened: &Opened, out: &mut Out) -> anyhow::Result<ExitCode> {
    let all = delegations::list(&mut opened.store().read().await?).await?;
    let columns = [
        "id",
        "person",
        "delegate",
        "role",
        "begins_at",
        "ends_at",
        "revoked_at",
        "because",
    ]
    .map(|c| column(c, c));
    let rows = all.iter().map(|d| {
        object(json!({
            "id": d.id, "person": d.person, "delegate": d.delegate, "role": d.role, "begins_at": d.begins_at,
            "ends_at": d.ends_at, "revoked_at": d.revoked_at, "because": d.because,
        }))
    });
    out.list(&columns, rows)?;
    Ok(ExitCode::from(CLEAN))
}
