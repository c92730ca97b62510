//! Figures for Prometheus. What happens is counted where it happens; what stands in the store is read
//! when somebody asks, so that it is true after a restart too.

use std::{collections::BTreeMap, time::Duration};

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::work::Ended;
use crate::{
    model::{
        id::{ControlId, DatasetName},
        policy::Severity,
    },
    run::{Context, Set},
    store::{self, findings, outbox, runs, snapshots, ticks},
};

/// The figures of this process.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

/// Upper bounds of the buckets in seconds, from a control over a few rows to one over millions.
const SECONDS: &[f64] = &[0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0];

impl Metrics {
    /// Begins to count. Once per process.
    ///
    /// # Errors
    /// When something else counts already.
    pub fn install() -> anyhow::Result<Self> {
        let whole = Matcher::Suffix("_seconds".to_owned());
        let builder = PrometheusBuilder::new().set_buckets_for_metric(whole, SECONDS)?;
        let handle = builder.install_recorder()?;
        describe();
        Ok(Self { handle })
    }

    /// Everything, in the text format.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn render(&self, cx: &Context, set: &Set) -> Result<String, store::Error> {
        stand(cx, set).await?;
        self.handle.run_upkeep();
        Ok(self.handle.render())
    }
}

fn describe() {
    describe_counter!("tripline_runs_total", "Runs, by what became of their tick.");
    describe_histogram!(
        "tripline_run_duration_seconds",
        "How long a run took, collection included."
    );
    describe_counter!(
        "tripline_notices_failed_total",
        "Attempts to send a notice that failed."
    );
    describe_counter!(
        "tripline_notices_unrouted_total",
        "What is told to nobody, because no route names anybody who can be reached."
    );
    describe_counter!(
        "tripline_notices_sent_total",
        "Notices that a receiver accepted."
    );
    describe_counter!(
        "tripline_reloads_total",
        "Reloads of the files, by outcome."
    );
    describe_gauge!(
        "tripline_findings_open",
        "Findings with an open episode, by severity."
    );
    describe_gauge!(
        "tripline_control_not_checked",
        "1 when the last run of a control could not check anything."
    );
    describe_gauge!(
        "tripline_control_subjects",
        "Subjects of the last run of a control, by outcome."
    );
    describe_gauge!(
        "tripline_source_last_complete_timestamp_seconds",
        "When a dataset was collected whole for the last time; 0 for never."
    );
    describe_gauge!(
        "tripline_scheduler_lag_seconds",
        "How long the oldest due tick has been waiting."
    );
    describe_gauge!(
        "tripline_exceptions_refused",
        "Exceptions that the last sweep could not move, for example because the clock was set back."
    );
    describe_gauge!("tripline_outbox_waiting", "Messages that are to be sent.");
    describe_gauge!("tripline_outbox_dead", "Messages that were given up.");
    describe_gauge!("tripline_build_info", "1, with the version as a label.");
}

/// Counts the end of a run.
pub fn ran(control: &ControlId, ended: &Ended, took: Duration) {
    let outcome = match ended {
        Ended::Ran(summary) if summary.run.not_checked.is_some() => "not_checked",
        Ended::Ran(_) => "checked",
        Ended::Skipped(..) => "skipped",
        Ended::Failed(..) => "failed",
        Ended::Lost(_) => "lost",
    };
    counter!("tripline_runs_total", "outcome" => outcome).increment(1);
    let unrouted = match ended {
        Ended::Ran(summary) => summary.unrouted,
        _ => 0,
    };
    counter!("tripline_notices_unrouted_total").increment(unrouted);
    histogram!("tripline_run_duration_seconds", "control" => control.to_string())
        .record(took.as_secs_f64());
}

/// Counts what deliveries came to.
pub fn delivered(sent: u64, failed: u64) {
    counter!("tripline_notices_sent_total").increment(sent);
    counter!("tripline_notices_failed_total").increment(failed);
}

/// Notes how many exceptions the last sweep could not move.
pub fn refused(exceptions: usize) {
    gauge!("tripline_exceptions_refused").set(exceptions as f64);
}

/// Counts a reload.
pub fn reloaded(worked: bool) {
    let outcome = if worked { "loaded" } else { "refused" };
    counter!("tripline_reloads_total", "outcome" => outcome).increment(1);
}

/// Reads what stands in the store.
async fn stand(cx: &Context, set: &Set) -> Result<(), store::Error> {
    gauge!("tripline_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    let now = cx.clock.now();
    let mut tx = cx.store.read().await?;

    let mut open: BTreeMap<Severity, u64> = Severity::ALL.iter().map(|s| (*s, 0)).collect();
    for tally in findings::tally(&mut tx)
        .await?
        .iter()
        .filter(|t| t.status.is_open())
    {
        *open.entry(tally.severity).or_default() += tally.findings;
    }
    for (severity, count) in open {
        gauge!("tripline_findings_open", "severity" => severity.as_str()).set(count as f64);
    }

    let controls: Vec<ControlId> = set.catalog.controls.keys().cloned().collect();
    for run in runs::latest(&mut tx, &controls).await? {
        let id = run.control.to_string();
        let not_checked = f64::from(u8::from(run.not_checked.is_some()));
        gauge!("tripline_control_not_checked", "control" => id.clone()).set(not_checked);
        for (outcome, count) in [
            ("pass", run.counts.pass),
            ("fail", run.counts.fail),
            ("unknown", run.counts.unknown),
        ] {
            gauge!("tripline_control_subjects", "control" => id.clone(), "outcome" => outcome)
                .set(count as f64);
        }
    }

    for source in set.catalog.sources.values() {
        for dataset in source.connector.datasets.iter().filter(|d| !d.is_view()) {
            let name = DatasetName::new(source.id.clone(), &dataset.name);
            let whole = snapshots::newest(&mut tx, &name, snapshots::Newest::WHOLE).await?;
            let at = whole.map_or(0, |s| s.started_at.timestamp());
            gauge!("tripline_source_last_complete_timestamp_seconds", "source" => source.id.to_string(), "dataset" => dataset.name.clone())
                .set(at as f64);
        }
    }

    let lag = ticks::oldest_due(&mut tx)
        .await?
        .map_or(0, |at| (now - at).num_seconds().max(0));
    gauge!("tripline_scheduler_lag_seconds").set(lag as f64);
    let batches = outbox::counts(&mut tx).await?;
    gauge!("tripline_outbox_waiting").set(batches.due as f64);
    gauge!("tripline_outbox_dead").set(batches.dead as f64);
    Ok(())
}
