//! What is told of a source that cannot be read: one notice to the source's owner, however many
//! controls wait for it.

use serde_json::json;

use super::{Earlier, Plan, Silence, Silent, due, name_of, recipient_of, settle};
use crate::{
    model::{
        finding::Change,
        notice::{Item, Kind, Mode},
        run::Run,
    },
    notify::{
        bundle::is_good,
        facts::{self, Facts},
        route::{Around, Desk, Destination, empty_row},
    },
};

/// Plans what is told of a source that cannot be read, or can be read again.
pub fn gap(
    change: &Change,
    run: &Run,
    desk: &Desk,
    earlier: &Earlier,
    titles: &dyn Fn(&str) -> Option<String>,
) -> Plan {
    let mut out = Plan::default();
    let finding = &change.finding;
    let Some((effect, word)) = change.effect.and_then(|e| Some((e, facts::word(e, true)?))) else {
        return out;
    };
    let facts = facts::gap(change, titles, run);
    let owner = facts.source.as_deref().and_then(|s| desk.source_owner(s));
    let around = Around {
        owner: owner.clone(),
        policy_lead: None,
        source_owner: owner.clone(),
    };
    let mut row = empty_row();
    desk.describe(owner.as_ref(), &mut row);
    for (name, value) in [
        ("kind", json!(Kind::Gap)),
        ("word", json!(word)),
        ("severity", json!(finding.severity)),
        ("control", json!(finding.control)),
        ("subject", json!(finding.subject)),
        ("source", json!(facts.source)),
    ] {
        row.insert(name.to_owned(), value);
    }
    let mut to = desk.destinations(&row, &around);
    let direct = owner
        .iter()
        .flat_map(|o| desk.direct(o, Mode::Alert, "you own the source"));
    for one in direct {
        let same = |d: &Destination| d.recipient == one.recipient;
        if !to.iter().any(same) {
            to.push(one);
        }
    }
    if is_good(word) {
        let knowing = earlier.get(&(finding.key, finding.state.episode));
        to.retain(|d| {
            knowing.is_some_and(|k| k.contains(&(d.channel.clone(), d.recipient.clone())))
        });
    }
    if to.is_empty() {
        let reason = if is_good(word) {
            Silent::NeverTold
        } else {
            Silent::NobodyToTell
        };
        out.silent.push(Silence {
            finding: finding.key,
            effect,
            reason,
        });
    }
    for to in to {
        let recipient = recipient_of(&to);
        let state = &finding.state;
        let facts = Facts {
            owner: owner.as_ref().map(|o| name_of(desk, o)),
            group_interval: to.interval,
            ..facts.clone()
        };
        out.items.push(Item {
            key: format!(
                "{}:{}:{}:{}:{recipient}",
                finding.key, state.episode, state.transition, to.channel
            ),
            kind: Kind::Gap,
            word,
            mode: to.mode,
            group: format!("{}|{}|{recipient}|{word}", finding.control, to.channel),
            channel: to.channel.clone(),
            recipient: to.recipient.clone(),
            finding: Some(finding.key),
            episode: state.episode,
            control: Some(finding.control.clone()),
            reason: to.reason.clone(),
            facts: json!(facts),
            planned_at: run.instant,
            due_at: due(run.instant, &to),
        });
    }
    settle(&mut out.items);
    out
}
