//! The story of one exception in the demo: asked for, sent back, decided by two people of two teams, looked at again,
//! put out of force when a model changed, decided anew, ended on its day, and looked back at.

use std::path::Path;

use anyhow::Context as _;
use chrono::{DateTime, TimeDelta, Utc};

use super::play::Stage;
use crate::{
    catalog::request,
    cli::out::{Ink, Out},
    exception::{
        decide::Verdict,
        record::{Outcome, Record},
        state::Act,
    },
    model::id::{ExceptionId, PersonId},
    register::{self, Word},
    store::{exceptions, signals},
};

/// What the team hands in.
const REQUEST: &str = include_str!("../../../demo/requests/archive-key.yaml");

/// The day on which it ends, counted back from today.
const END: i64 = 12;

impl Stage {
    /// What people do in the register on a day, counted back from today.
    pub(super) async fn office(
        &self,
        back: u64,
        morning: DateTime<Utc>,
        out: &mut Out,
    ) -> anyhow::Result<()> {
        self.by_itself(morning, out).await?;
        let at = morning + TimeDelta::hours(3);
        let batch = self.batch(back, at).await?;
        let said = match back {
            _ if batch.is_some() => batch.unwrap_or_default(),
            48 => self.hand_in(at, true).await?,
            47 => self.hand_in(at, false).await?,
            46 => {
                self.approve("ada", at).await?;
                self.approve("tess", at + TimeDelta::hours(2)).await?
            }
            33 | 21 => {
                self.end("tess", Act::Review, "Nothing changed at the vendor.", at)
                    .await?
            }
            // It takes the two that it took at first.
            16 => {
                self.approve("ada", at).await?;
                self.approve("tess", at + TimeDelta::hours(1)).await?
            }
            2 => self.close(at).await?,
            _ => return Ok(()),
        };
        let (cx, set) = (&self.cx, &self.set);
        register::settle(cx, set).await?;
        register::tell(cx, set).await?;
        let word = out.ink(Ink::Bold, &format!("{:<13}", "exception"));
        out.line(format!("{}  {word} {said}", morning.date_naive()))?;
        Ok(())
    }

    /// What time and evidence did to exceptions on a morning.
    async fn by_itself(&self, morning: DateTime<Utc>, out: &mut Out) -> anyhow::Result<()> {
        let mut tx = self.cx.store.read().await?;
        for signal in signals::all(&mut tx).await? {
            for event in signals::events(&mut tx, &signal.id).await? {
                if event.at >= morning && event.at < morning + TimeDelta::hours(2) {
                    let word = out.ink(Ink::Bad, &format!("{:<13}", "signal"));
                    let why = event.reason.unwrap_or(event.state);
                    out.line(format!(
                        "{}  {word} {}: {why}",
                        morning.date_naive(),
                        signal.id
                    ))?;
                }
            }
        }
        for record in exceptions::list(&mut tx, &exceptions::Filter::default()).await? {
            for event in exceptions::events(&mut tx, &record.id).await? {
                let today = event.at >= morning && event.at < morning + TimeDelta::hours(2);
                let (true, true) = (today, event.actor == "machine") else {
                    continue;
                };
                let word = out.ink(Ink::Warn, &format!("{:<13}", "exception"));
                let why = event.reason.unwrap_or_default();
                let (day, id, after) = (morning.date_naive(), &record.id, event.after);
                out.line(format!("{day}  {word} {id} {after}: {why}"))?;
            }
        }
        Ok(())
    }

    async fn hand_in(&self, at: DateTime<Utc>, vague: bool) -> anyhow::Result<String> {
        self.clock.set(at);
        let end = at + TimeDelta::days(47 - END);
        let mut text = REQUEST
            .replace("END", &end.to_rfc3339())
            .replace("BEGIN", &at.to_rfc3339());
        if vague {
            let lines = text.lines().map(|l| match l.split_once(':') {
                Some(("business_purpose", _)) => "business_purpose: business urgency",
                Some(("owner", _)) => "",
                _ => l,
            });
            text = lines.collect::<Vec<_>>().join("\n");
        }
        let request = request::read(Path::new("demo/requests/archive-key.yaml"), &text)
            .map_err(|all| anyhow::anyhow!("the demo's request: {all:?}"))?;
        let again = if vague {
            None
        } else {
            Some(self.current().await?)
        };
        let done = register::submit(&self.cx, &self.set, &eve(), &request, again.as_ref()).await?;
        let record = done.record;
        Ok(if record.frozen.is_some() {
            let pending = record.pending(at);
            let step = pending.and_then(|p| p.open().map(|s| s.id.clone()));
            format!(
                "{} is complete and waits for step `{}`",
                record.id,
                step.unwrap_or_default()
            )
        } else {
            let lacks: Vec<&str> = record.lacks.iter().map(|l| l.field.as_str()).collect();
            format!("{} comes back to Eve for {}", record.id, lacks.join(", "))
        })
    }

    async fn approve(&self, who: &str, at: DateTime<Utc>) -> anyhow::Result<String> {
        self.clock.set(at);
        let (cx, set, by) = (&self.cx, &self.set, PersonId::new(who));
        let id = self.current().await?;
        let (digest, _) = register::package(cx, set, &by, &id).await?;
        let word = Word {
            verdict: Verdict::Approve,
            reason: Some(
                "The conditions keep the risk small until the vendor has moved.".to_owned(),
            ),
            ends: None,
            conditions: Vec::new(),
            package: digest.to_string(),
        };
        let record = register::decide(cx, set, &by, &id, word).await?;
        Ok(said(&record, who, at))
    }

    async fn end(
        &self,
        who: &str,
        act: Act,
        reason: &str,
        at: DateTime<Utc>,
    ) -> anyhow::Result<String> {
        self.clock.set(at);
        let id = self.current().await?;
        let by = PersonId::new(who);
        let record = register::end(&self.cx, &self.set, &by, (&id, act), reason).await?;
        Ok(said(&record, who, at))
    }

    async fn close(&self, at: DateTime<Utc>) -> anyhow::Result<String> {
        self.clock.set(at);
        let id = self.current().await?;
        let by = PersonId::new("lee");
        let came = (
            Outcome::Remediated,
            "The key was rotated in the vendor's new service.",
        );
        let record = register::close(&self.cx, &self.set, &by, &id, came).await?;
        Ok(said(&record, "lee", at))
    }

    async fn current(&self) -> anyhow::Result<ExceptionId> {
        let filter = exceptions::Filter::default();
        let all = exceptions::list(&mut self.cx.store.read().await?, &filter).await?;
        let first = all.last().context("the demo's exception is not there")?;
        Ok(first.id.clone())
    }
}

fn eve() -> PersonId {
    PersonId::new("eve")
}

fn said(record: &Record, who: &str, at: DateTime<Utc>) -> String {
    let state = record.state_at(at).as_str().replace('_', " ");
    format!("{} after {who}: {state}", record.id)
}
