//! Writes due times into the ledger. Keeps in memory when each control is next due, so that a beat in
//! which nothing is due costs nothing; the ledger decides whatever two daemons plan at once.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, SubsecRound, Utc};

use super::due::{self, due};
use crate::{
    model::{
        control::{CatchUp, Control},
        id::ControlId,
        run::{Cause, Tick, TickState},
    },
    store::{self, Store, Tx, ticks},
};

/// Why nothing could be planned.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Our database.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A schedule that should not have been loaded.
    #[error(transparent)]
    Due(#[from] due::Error),
}

/// What one beat planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Planned {
    /// Ticks that are to be run.
    pub due: u64,
    /// Ticks that were missed.
    pub missed: u64,
    /// Ticks that were overtaken by the next one before anybody took them.
    pub skipped: u64,
}

/// When each control was last and is next due.
#[derive(Debug)]
pub struct Planner {
    known: BTreeMap<ControlId, Known>,
}

#[derive(Debug)]
struct Known {
    control: Arc<Control>,
    /// The newest tick in the ledger; nothing for a control that was never due.
    last: Option<DateTime<Utc>>,
    /// The next tick; nothing when the schedule never comes due again.
    next: Option<DateTime<Utc>>,
}

impl Planner {
    /// Reads the ledger. Done at start and whenever the controls changed: a new schedule takes effect now,
    /// and a control that is not known yet is due at once.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn load(
        store: &Store,
        controls: &BTreeMap<ControlId, Arc<Control>>,
        now: DateTime<Utc>,
    ) -> Result<Self, Error> {
        let mut tx = store.read().await?;
        let last = ticks::latest(&mut tx).await?;
        let mut known = BTreeMap::new();
        for (id, control) in controls {
            let last = last.get(id).copied();
            let next = match last {
                Some(last) => due::next(&control.schedule, last)?,
                None => Some(now.trunc_subsecs(0)),
            };
            let control = control.clone();
            known.insert(
                id.clone(),
                Known {
                    control,
                    last,
                    next,
                },
            );
        }
        Ok(Self { known })
    }

    /// Whether anything is due.
    pub fn is_due(&self, now: DateTime<Utc>) -> bool {
        self.known
            .values()
            .any(|k| k.next.is_some_and(|next| next <= now))
    }

    /// Writes everything that came due into the ledger, in one transaction.
    ///
    /// # Errors
    /// When the ledger cannot be written; then nothing was, and the next call does it again.
    pub async fn plan(&mut self, store: &Store, now: DateTime<Utc>) -> Result<Planned, Error> {
        let mut planned = Planned::default();
        if !self.is_due(now) {
            return Ok(planned);
        }
        let mut moved = Vec::new();
        let mut tx = store.begin().await?;
        for (id, known) in self
            .known
            .iter()
            .filter(|(_, k)| k.next.is_some_and(|next| next <= now))
        {
            let last = known.plan(&mut tx, id, now, &mut planned).await?;
            moved.push((id.clone(), last, due::next(&known.control.schedule, last)?));
        }
        tx.commit().await?;
        for (id, last, next) in moved {
            if let Some(known) = self.known.get_mut(&id) {
                (known.last, known.next) = (Some(last), next);
            }
        }
        Ok(planned)
    }
}

impl Known {
    /// Writes what came due of one control and gives its newest tick.
    async fn plan(
        &self,
        tx: &mut Tx,
        id: &ControlId,
        now: DateTime<Utc>,
        planned: &mut Planned,
    ) -> Result<DateTime<Utc>, Error> {
        let Some(last) = self.last else {
            let first = now.trunc_subsecs(0);
            planned.due +=
                ticks::insert(tx, &[tick(id, first, Cause::Schedule, TickState::Due)]).await?;
            return Ok(first);
        };
        let due = due(&self.control.schedule, last, now)?;
        if let (true, Some(oldest)) = (due.before > 0, due.missed.first()) {
            // The row stands for those before the oldest that is written by itself.
            let newest = *oldest - chrono::TimeDelta::seconds(1);
            ticks::insert_missed(tx, id, newest, due.before, "nobody was running").await?;
        }
        let missed: Vec<Tick> = due
            .missed
            .iter()
            .map(|at| Tick {
                reason: Some("nobody was running".to_owned()),
                ..tick(id, *at, Cause::Schedule, TickState::Missed)
            })
            .collect();
        planned.missed += due.before + ticks::insert(tx, &missed).await?;
        let run: Vec<Tick> = due
            .run
            .iter()
            .map(|(at, cause)| tick(id, *at, *cause, TickState::Due))
            .collect();
        planned.due += ticks::insert(tx, &run).await?;
        let newest = due
            .run
            .iter()
            .map(|(at, _)| *at)
            .chain(due.missed.iter().copied())
            .max()
            .unwrap_or(last);
        if self.control.schedule.catch_up != CatchUp::All {
            let why = "overtaken: the run before took longer than the interval";
            planned.skipped += ticks::skip_before(tx, id, newest, why).await?;
        }
        Ok(newest)
    }
}

fn tick(control: &ControlId, at: DateTime<Utc>, cause: Cause, state: TickState) -> Tick {
    Tick {
        control: control.clone(),
        scheduled_for: at,
        cause,
        state,
        reason: None,
        fence: 0,
    }
}
