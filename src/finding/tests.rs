//! The machine against an oracle, against its invariants, against a seeded world, and run by run.

mod exhaustive;
mod gap;
mod oracle;
mod reconcile;
mod sample;
mod simulation;

use chrono::{DateTime, TimeDelta, Utc};

use crate::model::{
    control::{MassChange, Rules},
    finding::Observation,
    outcome::{Authority, Unknown},
    span::Span,
};

const PASS: Observation = Observation::Pass;
const FAIL: Observation = Observation::Fail;
const UNKNOWN: Observation = Observation::Unknown(Unknown::SourceError);
const LEFT: Observation = Observation::Left(Authority::Inventory);

/// So many hours after the beginning of all stories.
fn hour(hours: usize) -> DateTime<Utc> {
    let start: DateTime<Utc> = "2026-03-01T00:00:00Z".parse().unwrap();
    start + TimeDelta::hours(i64::try_from(hours).unwrap())
}

fn rules(confirm: usize, clear: usize, reopen_hours: usize) -> Rules {
    Rules {
        confirm: u32::try_from(confirm).unwrap(),
        clear: u32::try_from(clear).unwrap(),
        recheck: Span::minutes(5),
        reopen_within: Span::hours(reopen_hours as u64),
        mass_change: MassChange {
            count: 20,
            share: 0.10,
        },
    }
}
