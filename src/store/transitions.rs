//! The timeline of findings: each time one changed where it stands, or something was to be told of it,
//! with the reason. Only added to; written with the finding itself.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, QueryBuilder};

use super::{
    Tx,
    error::Result,
    row::{Place, int, runs_of, us},
};
use crate::model::{
    finding::{Change, Effect, Reason, Status},
    id::{FindingKey, RunId},
};

/// One step of a finding that is worth remembering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// The finding.
    pub finding: FindingKey,
    /// The run that did it.
    pub run: RunId,
    /// How many there were before, this one included.
    pub number: u32,
    /// The episode it belongs to.
    pub episode: u32,
    /// When.
    pub at: DateTime<Utc>,
    /// Where the finding stood; nothing for a new one.
    pub before: Option<Status>,
    /// Where it stands now.
    pub after: Status,
    /// What was to be done.
    pub effect: Option<Effect>,
    /// Why.
    pub reason: Reason,
}

#[derive(FromRow)]
struct Raw {
    finding: String,
    run: String,
    number: i64,
    episode: i64,
    at: DateTime<Utc>,
    before: Option<String>,
    after: String,
    effect: Option<String>,
    reason: String,
}

impl Raw {
    fn read(self) -> Result<Transition> {
        let at = Place {
            table: "transition",
            id: &self.finding,
        };
        Ok(Transition {
            finding: at.text("finding", &self.finding)?,
            number: at.count("number", self.number)?,
            episode: at.count("episode", self.episode)?,
            at: self.at,
            before: at.text_opt("before", self.before.as_deref())?,
            after: at.text("after", &self.after)?,
            effect: at.text_opt("effect", self.effect.as_deref())?,
            reason: at.text("reason", &self.reason)?,
            run: self.run.into(),
        })
    }
}

fn is_kept(change: &Change) -> bool {
    change.before != Some(change.finding.state.status)
        || change.effect.is_some_and(|e| e != Effect::Recheck)
}

/// Keeps those changes that moved a finding or told of it. The same run twice keeps them once.
pub(super) async fn keep(tx: &mut Tx, changes: &[&Change]) -> Result<()> {
    let kept: Vec<&Change> = changes.iter().copied().filter(|c| is_kept(c)).collect();
    for run in runs_of(&kept) {
        let written = on!(tx, c => {
            let mut q = QueryBuilder::new(
                "insert into transition (finding, run, number, episode, at, before, after, effect, reason) ",
            );
            q.push_values(run, |mut row, change| {
                let finding = &change.finding;
                row.push_bind(finding.key.to_string())
                    .push_bind(finding.run.as_str())
                    .push_bind(int(finding.state.transition))
                    .push_bind(int(finding.state.episode))
                    .push_bind(us(finding.changed_at))
                    .push_bind(change.before.map(Status::as_str))
                    .push_bind(finding.state.status.as_str())
                    .push_bind(change.effect.map(Effect::as_str))
                    .push_bind(change.reason.as_str());
            });
            q.push(" on conflict (finding, run, number) do nothing");
            q.build().execute(c).await.map(|done| done.rows_affected())
        })?;
        tx.wrote(written);
    }
    Ok(())
}

fn read_all(raw: Vec<Raw>) -> Result<Vec<Transition>> {
    raw.into_iter().map(Raw::read).collect()
}

/// The timeline of a finding, oldest first.
pub async fn of_finding(tx: &mut Tx, key: FindingKey) -> Result<Vec<Transition>> {
    let sql = "select * from transition where finding = $1 order by at, number, run";
    read_all(on!(tx, c => sqlx::query_as(sql).bind(key.to_string()).fetch_all(c).await)?)
}

/// Everything that moved from one instant up to, and without, another; oldest first.
pub async fn between(
    tx: &mut Tx,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<Transition>> {
    let sql =
        "select * from transition where at >= $1 and at < $2 order by at, finding, number, run";
    read_all(on!(tx, c => sqlx::query_as(sql).bind(us(from)).bind(us(to)).fetch_all(c).await)?)
}
