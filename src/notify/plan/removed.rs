//! What is told of the findings of a control that was removed: those who heard that one began hear that nobody
//! looks any more. The control is gone with its routes and words, so what they heard then says who and what.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::{facts::left, settle};
use crate::{
    model::{
        finding::Change,
        id::ChannelId,
        notice::{Item, Mode, Word},
        outcome::Authority,
        people::Principal,
    },
    notify::{
        bundle::{Entry, is_good},
        text,
    },
};

/// How long the first of a group waits for others, as by default on a route.
const WAIT: TimeDelta = TimeDelta::seconds(60);

/// Plans the end of a finding whose control was removed. `told` are the items about it that were told or
/// are about to be, oldest first.
pub fn removed(change: &Change, told: &[Item], now: DateTime<Utc>) -> Vec<Item> {
    let state = &change.finding.state;
    let mut knowing: BTreeMap<(&ChannelId, Option<&Principal>), &Item> = BTreeMap::new();
    for item in told {
        if item.episode == state.episode && !is_good(item.word) {
            knowing.insert((&item.channel, item.recipient.as_ref()), item);
        }
    }
    let ends = knowing.into_values().filter_map(|item| {
        let mut facts = Entry::of(item.clone()).ok()?.facts;
        let name = text::native(change.finding.subject.as_str());
        facts.sentence = text::line(&format!("{name} is no longer watched: {}", facts.title));
        facts.because = Some(left(Authority::Control).to_owned());
        facts.confirmed_at = now;
        facts.due_at = None;
        facts.repeats = None;
        facts.detail = None;
        let recipient = item
            .recipient
            .as_ref()
            .map_or_else(|| "-".to_owned(), ToString::to_string);
        // People read it with what else there is; a machine closes what it opened at once.
        let (mode, due_at) = match item.recipient {
            Some(_) => (Mode::Digest, now),
            None => (Mode::Alert, now + WAIT),
        };
        Some(Item {
            key: format!(
                "{}:{}:{}:{}:{recipient}",
                change.finding.key, state.episode, state.transition, item.channel
            ),
            word: Word::Retired,
            mode,
            group: format!(
                "{}|removed|{}|{recipient}",
                change.finding.control, item.channel
            ),
            reason: "you were told that it began".to_owned(),
            facts: json!(facts),
            planned_at: now,
            due_at,
            ..item.clone()
        })
    });
    let mut items: Vec<Item> = ends.collect();
    settle(&mut items);
    items
}
