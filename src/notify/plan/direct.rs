//! Words to people by name, whatever the routes say: on an exception, that a decision is wanted, information is needed, it was
//! decided, or is out of force before its time; on a policy, that it is questioned. Nothing else of these is told at once.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::{recipient_of, settle};
use crate::{
    model::{
        notice::{Item, Kind, Mode, Word},
        people::Principal,
        policy::Severity,
    },
    notify::{
        facts::{Detail, Facts, Written},
        route::Desk,
        text,
    },
};

/// Something to say of an exception or a signal.
#[derive(Debug, Clone)]
pub struct About {
    /// Which of the two.
    pub kind: Kind,
    /// Its id.
    pub id: String,
    /// Who answers for it.
    pub owner: Option<String>,
    /// The event, so that it is told once.
    pub event: String,
    /// What happened.
    pub word: Word,
    /// A heading.
    pub title: String,
    /// One sentence.
    pub sentence: String,
    /// Lines that explain it.
    pub because: Option<String>,
    /// What the reader should know: the text of the policy, the failing rows.
    pub detail: Option<Detail>,
    /// By when something is to be done.
    pub due_at: Option<DateTime<Utc>>,
    /// Whether it cannot wait.
    pub is_pressing: bool,
    /// The letter, when its author wrote it.
    pub letter: Option<Written>,
}

/// Plans one word to each of these people and teams, each with why they hear it.
pub fn direct(
    desk: &Desk,
    about: &About,
    whom: &[(Principal, &str)],
    now: DateTime<Utc>,
) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    for (principal, reason) in whom {
        for to in desk.direct(principal, Mode::Alert, reason) {
            let recipient = recipient_of(&to);
            let facts = Facts {
                severity: if about.is_pressing {
                    Severity::Critical
                } else {
                    Severity::Medium
                },
                subject: Some(about.id.clone()),
                owner: about.owner.clone(),
                because: about.because.as_deref().map(|b| text::clip(b, 600)),
                due_at: about.due_at,
                detail: about.detail.clone(),
                letter: about.letter.clone(),
                ..Facts::of_operation(&about.title, &about.sentence, now)
            };
            items.push(Item {
                key: format!("{}:{}:{recipient}", about.event, to.channel),
                kind: about.kind,
                word: about.word,
                mode: to.mode,
                group: format!("{}|{}|{recipient}", about.event, to.channel),
                channel: to.channel.clone(),
                recipient: to.recipient.clone(),
                finding: None,
                episode: 0,
                control: None,
                reason: to.reason.clone(),
                facts: json!(facts),
                planned_at: now,
                due_at: now,
            });
        }
    }
    settle(&mut items);
    items
}
