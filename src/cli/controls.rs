//! `tripline controls` and `tripline sources`: what is watched, by whom, and how it stands.

use std::process::ExitCode;

use clap::Args as Arguments;
use serde_json::json;

use super::{
    open::Opened,
    out::{Out, column},
    runs::object,
};
use crate::{
    model::{
        control::Given,
        id::{ControlId, DatasetName},
    },
    schedule,
    store::{findings, runs, snapshots},
};

/// Controls with their owner, their schedule and how they stand.
#[derive(Debug, Clone, Arguments)]
pub struct ControlArgs {
    /// Only those of this policy.
    #[arg(long, value_name = "ID")]
    policy: Option<String>,
}

/// Prints the controls.
///
/// # Errors
/// When the store cannot be read.
pub(super) async fn controls(
    args: ControlArgs,
    opened: &Opened,
    out: &mut Out,
) -> anyhow::Result<ExitCode> {
    let catalog = &opened.set.catalog;
    let ids: Vec<ControlId> = catalog.controls.keys().cloned().collect();
    let mut tx = opened.store().read().await?;
    let last = runs::latest(&mut tx, &ids).await?;
    let tally = findings::tally(&mut tx).await?;
    let mut rows = Vec::new();
    for control in catalog.controls.values() {
        if args
            .policy
            .as_ref()
            .is_some_and(|p| control.policy.policy.as_str() != p)
        {
            continue;
        }
        let run = last.iter().find(|r| r.control == control.id);
        let open: u64 = tally
            .iter()
            .filter(|t| t.control == control.id && t.status.is_open())
            .map(|t| t.findings)
            .sum();
        let owner = match &control.owner {
            Given::Fixed(owner) => owner.clone(),
            Given::Column { column, otherwise } => format!("{{{column}}} else {otherwise}"),
        };
        rows.push(object(json!({
            "id": control.id,
            "title": control.title,
            "policy": control.policy.to_string(),
            "frameworks": control.frameworks.iter().map(|f| format!("{}:{}", f.name, f.reference)).collect::<Vec<_>>(),
            "owner": owner,
            "schedule": control.schedule.cron,
            "timezone": control.schedule.timezone.name(),
            "shadow": control.shadow,
            "open": open,
            "last": run.map(|r| r.instant),
            "checked": run.map(|r| match r.not_checked { None => "yes", Some(why) => why.as_str() }),
            "subjects": run.map(|r| r.counts.population),
            "next": schedule::due::next(&control.schedule, opened.now()).ok().flatten(),
            "definition": control.definition,
        })));
    }
    let columns = [
        column("id", "CONTROL"),
        column("policy", "POLICY"),
        column("owner", "OWNER"),
        column("schedule", "SCHEDULE"),
        column("open", "OPEN"),
        column("subjects", "SUBJECTS"),
        column("checked", "CHECKED"),
        column("last", "LAST RUN"),
    ];
    out.list(&columns, rows)?;
    Ok(ExitCode::SUCCESS)
}

/// Sources with their datasets and the newest snapshot of each.
///
/// # Errors
/// When the store cannot be read.
pub(super) async fn sources(opened: &Opened, out: &mut Out) -> anyhow::Result<ExitCode> {
    let mut tx = opened.store().read().await?;
    let mut rows = Vec::new();
    for source in opened.set.catalog.sources.values() {
        for dataset in source.connector.datasets.iter().filter(|d| !d.is_view()) {
            let name = DatasetName::new(source.id.clone(), &dataset.name);
            let newest = snapshots::newest_by_now(&mut tx, &name, opened.now()).await?;
            let whole = snapshots::newest(&mut tx, &name, snapshots::Newest::WHOLE).await?;
            rows.push(object(json!({
                "dataset": name.to_string(),
                "connector": source.connector.id,
                "owner": source.owner,
                "refresh": source.refresh,
                "status": newest.as_ref().map_or("never collected", |s| s.status.as_str()),
                "reason": newest.as_ref().and_then(|s| s.reason.clone()),
                "rows": newest.as_ref().map(|s| s.rows),
                "collected": newest.as_ref().map(|s| s.started_at),
                "last_whole": whole.as_ref().map(|s| s.started_at),
                "snapshot": newest.as_ref().map(|s| s.id.clone()),
            })));
        }
    }
    let columns = [
        column("dataset", "DATASET"),
        column("owner", "OWNER"),
        column("refresh", "REFRESH"),
        column("status", "STATUS"),
        column("rows", "ROWS"),
        column("collected", "COLLECTED"),
        column("last_whole", "LAST WHOLE"),
        column("reason", "REASON"),
    ];
    out.list(&columns, rows)?;
    Ok(ExitCode::SUCCESS)
}
