//! What Tripline says of itself: a notice that was given up, an address that is refused, an owner whom
//! nobody knows. Each is said once, and never by the way that failed.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::{recipient_of, settle};
use crate::{
    model::{
        id::ChannelId,
        notice::{Item, Kind, Mode, Word},
        people::Principal,
        policy::Severity,
    },
    notify::{
        facts::Facts,
        route::{Around, Desk, Destination, empty_row},
    },
};

/// Plans what Tripline has to say of itself: to administrators, and to whom a route sends it.
/// `subject` names what it is about, so that it is said once. `not_by` is the channel that failed.
pub fn operation(desk: &Desk, about: &Operation<'_>, now: DateTime<Utc>) -> Vec<Item> {
    let mut row = empty_row();
    row.insert("kind".to_owned(), json!(Kind::Operation));
    row.insert("word".to_owned(), json!(Word::Operation));
    row.insert("severity".to_owned(), json!(Severity::High));
    let mut to = desk.destinations(&row, &Around::default());
    for one in desk.administrators() {
        for direct in desk.direct(&one, Mode::Alert, "you look after Tripline") {
            if !to.iter().any(|d| d.recipient == direct.recipient) {
                to.push(direct);
            }
        }
    }
    to.retain(|d| about.not_by != Some((&d.channel, d.recipient.as_ref())));
    let mut items: Vec<Item> = to
        .iter()
        .map(|d| item(about.subject, about.title, about.sentence, d, now))
        .collect();
    settle(&mut items);
    items
}

/// Plans the same for one person or team, whatever the routes say.
pub fn operation_to(
    desk: &Desk,
    whom: &Principal,
    about: &Operation<'_>,
    now: DateTime<Utc>,
) -> Vec<Item> {
    let to = desk.direct(whom, Mode::Alert, "you answer for it");
    let mut items: Vec<Item> = to
        .iter()
        .map(|d| item(about.subject, about.title, about.sentence, d, now))
        .collect();
    settle(&mut items);
    items
}

/// Something that Tripline has to say of itself.
#[derive(Debug, Clone, Copy)]
pub struct Operation<'a> {
    /// What it is about; said once for each.
    pub subject: &'a str,
    /// A heading.
    pub title: &'a str,
    /// One sentence.
    pub sentence: &'a str,
    /// The channel and recipient that failed, which is no way to say so.
    pub not_by: Option<(&'a ChannelId, Option<&'a Principal>)>,
}

pub(super) fn item(
    subject: &str,
    title: &str,
    sentence: &str,
    to: &Destination,
    now: DateTime<Utc>,
) -> Item {
    let recipient = recipient_of(to);
    Item {
        key: format!("{subject}:{}:{recipient}", to.channel),
        kind: Kind::Operation,
        word: Word::Operation,
        mode: to.mode,
        group: format!("{subject}|{}|{recipient}", to.channel),
        channel: to.channel.clone(),
        recipient: to.recipient.clone(),
        finding: None,
        episode: 0,
        control: None,
        reason: to.reason.clone(),
        facts: json!(Facts::of_operation(title, sentence, now)),
        planned_at: now,
        due_at: now,
    }
}
