//! The year before the demo's sixty days, as requests of an older register; and the eight teams that ask for the same
//! thing in these days.

use std::{num::NonZeroU32, path::Path};

use anyhow::Context as _;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde_json::Value;

use super::play::Stage;
use crate::{
    catalog::request,
    clock::Clock as _,
    exception::decide::Verdict,
    model::id::PersonId,
    register::{self, Word},
    review,
    signal::{Ask, calibrate},
    store::signals,
};

/// One request a line, its days counted from today.
const YEAR: &str = include_str!("../../../demo/history.ndjson");

/// What each of the eight hands in.
const REQUEST: &str = include_str!("../../../demo/requests/batch-key.yaml");

/// Who asks on which day, counted back from today: when their key is ninety days old, and a few hours.
const EIGHT: &[(u64, &str, &str, &str)] = &[
    (
        41,
        "lending",
        "ina",
        "The batch tenant of the vendor takes one key, and the nightly letters would stop while it changes.",
    ),
    (
        36,
        "cards",
        "kay",
        "Dispute summaries run every night, and the vendor has announced two keys per tenant for next quarter.",
    ),
    (
        28,
        "treasury",
        "tove",
        "The morning notes are written in a batch, and the vendor changes its keys only with a restart of the tenant.",
    ),
    (
        24,
        "pricing",
        "pim",
        "Rate explanations are generated overnight; a new key before the vendor's release ends the run half way.",
    ),
    (
        20,
        "onboarding",
        "ole",
        "Welcome texts for new customers come from the batch service, which accepts one key at a time.",
    ),
    (
        16,
        "collections",
        "cora",
        "Payment plans are explained in letters written overnight, and their service cannot overlap two keys.",
    ),
    (
        11,
        "trade-desk",
        "tilo",
        "The batch that sums up contracts would lose its queue with the old key, the vendor says.",
    ),
    (
        7,
        "service-desk",
        "sena",
        "Answers to tickets are drafted in a nightly run; the vendor promises a second key slot next year.",
    ),
];

impl Stage {
    /// Takes the year before in, and simulates what chance makes of a register of this size.
    pub(super) async fn year(&self) -> anyhow::Result<usize> {
        let today = self.systems.today.date_naive();
        let mut asks: Vec<Ask> = Vec::new();
        for line in YEAR.lines() {
            let mut ask: Value = serde_json::from_str(line)?;
            for key in ["day", "decided", "ends"] {
                let place = ask.get_mut(key);
                if let Some((place, days)) = place.and_then(|p| p.as_i64().map(|days| (p, days))) {
                    let day: NaiveDate = today + TimeDelta::days(days);
                    *place = day.to_string().into();
                }
            }
            asks.push(serde_json::from_value(ask)?);
        }
        let mut tx = self.cx.store.begin().await?;
        signals::keep_past(&mut tx, &asks).await?;
        tx.commit().await?;
        Ok(asks.len())
    }

    /// What chance alone would raise.
    pub(super) async fn chance(&self) -> anyhow::Result<()> {
        let history = review::history(&self.cx, &self.set).await?;
        let options = review::options(&[], self.clock.now().date_naive());
        let rounds = NonZeroU32::MIN.saturating_add(9);
        let done =
            tokio::task::spawn_blocking(move || calibrate(&history, &options, 1, rounds)).await?;
        review::keep_calibration(&self.cx, &done).await?;
        Ok(())
    }

    /// A team that asks on a day and the control owner's answer, if one does.
    pub(super) async fn batch(
        &self,
        back: u64,
        at: DateTime<Utc>,
    ) -> anyhow::Result<Option<String>> {
        let Some((_, team, person, words)) = EIGHT.iter().find(|(day, ..)| *day == back) else {
            return Ok(None);
        };
        self.clock.set(at);
        let end = at + TimeDelta::days(60);
        let text = REQUEST
            .replace("TEAM", team)
            .replace("PERSON", person)
            .replace("WORDS", words)
            .replace("END", &end.to_rfc3339());
        let request = request::read(Path::new("demo/requests/batch-key.yaml"), &text)
            .map_err(|all| anyhow::anyhow!("the demo's request: {all:?}"))?;
        let (cx, set) = (&self.cx, &self.set);
        let done = register::submit(cx, set, &PersonId::new(*person), &request, None).await?;
        let id = done.record.id.clone();
        let lacks: Vec<&str> = done.record.lacks.iter().map(|l| l.say.as_str()).collect();
        anyhow::ensure!(lacks.is_empty(), "{id} lacks: {}", lacks.join("; "));
        let ada = PersonId::new("ada");
        self.clock.set(at + TimeDelta::hours(2));
        let (digest, _) = register::package(cx, set, &ada, &id).await?;
        let word = Word {
            verdict: Verdict::Approve,
            reason: Some("The texts are public, and the vendor has given a date.".to_owned()),
            ends: None,
            conditions: Vec::new(),
            package: digest.to_string(),
        };
        let record = register::decide(cx, set, &ada, &id, word)
            .await
            .context(id.to_string())?;
        let state = record.state_at(self.clock.now());
        Ok(Some(format!(
            "{id} for {team}, the vendor cannot rotate in time: {state} after ada"
        )))
    }
}
