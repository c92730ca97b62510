//! The register held against the log: whether its rows say what the leaves say of them. The log holds digests; whoever has
//! the rows and the salts can compute each of them again. Names what differs and never decides what is right.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::leaf::{ExceptionFact, blind};
use crate::{
    exception::{decide::Decision, record::Record, state::Act},
    model::{
        exception::State,
        id::{ExceptionId, Sha},
    },
};

/// Something that happened to an exception, as the register says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happened {
    /// When.
    pub at: DateTime<Utc>,
    /// Who: a person, or the machine.
    pub actor: String,
    /// What was done.
    pub act: Act,
    /// Where it stood.
    pub before: State,
    /// Where it stands then.
    pub after: State,
    /// Why.
    pub reason: Option<String>,
}

/// What the register says of one exception.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    /// Its revisions, the oldest first.
    pub revisions: Vec<Record>,
    /// What happened to it, the oldest first.
    pub events: Vec<Happened>,
    /// The salts of the names that its leaves are blinded with.
    pub salts: BTreeMap<String, [u8; 16]>,
}

/// A leaf about an exception.
#[derive(Debug, Clone)]
pub struct Said {
    /// Its number.
    pub seq: u64,
    /// When it was recorded.
    pub at: DateTime<Utc>,
    /// What it says.
    pub fact: ExceptionFact,
}

/// What the rows of an exception say otherwise than its leaves: the number of the leaf, and a sentence.
pub fn differences(id: &ExceptionId, rows: &Rows, leaves: &[Said]) -> Vec<(u64, String)> {
    let last = leaves.last().map_or(0, |leaf| leaf.seq);
    let mut found = Vec::new();
    if rows.events.len() != leaves.len() {
        let (kept, known) = (rows.events.len(), leaves.len());
        let what = format!("the register has {kept} acts on {id}, and the log {known}");
        found.push((last, what));
    }
    for (event, leaf) in rows.events.iter().zip(leaves) {
        for what in act(id, event, leaf, &rows.salts) {
            let what = format!(
                "{what} of `{}` on {id} is not what leaf {} says",
                leaf.fact.act, leaf.seq
            );
            found.push((leaf.seq, what));
        }
    }
    for record in &rows.revisions {
        let terms = record.frozen.as_ref().map(|f| f.terms.digest());
        let of_it = |leaf: &&Said| leaf.fact.revision == record.revision;
        if let Some(leaf) = leaves.iter().filter(of_it).find(|l| l.fact.terms != terms) {
            let what = format!(
                "the terms of revision {} of {id} are not those of leaf {}",
                record.revision, leaf.seq
            );
            found.push((leaf.seq, what));
        }
    }
    let newest = rows.revisions.last();
    let decided = newest.map_or(&[][..], |r| &r.decisions);
    found.extend(decisions(id, decided, leaves));
    match (newest, leaves.last()) {
        (Some(record), Some(leaf)) => {
            let (what, seq) = (leaf.fact.differs_from(record), leaf.seq);
            found.extend(
                what.map(|what| (seq, format!("{what} of {id} is not what leaf {seq} says"))),
            );
        }
        (None, Some(leaf)) => {
            found.push((leaf.seq, format!("{id} is not in the register any more")));
        }
        (Some(_), None) => found.push((last, format!("the log does not know {id}"))),
        (None, None) => {}
    }
    found
}

/// What of an event is not what its leaf says.
fn act(
    id: &ExceptionId,
    event: &Happened,
    leaf: &Said,
    salts: &BTreeMap<String, [u8; 16]>,
) -> Vec<&'static str> {
    let fact = &leaf.fact;
    let blinded = |name: &str, text: &str| salts.get(name).map(|salt| blind(salt, text));
    let actor = match event.actor.as_str() {
        "machine" => Some("machine".to_owned()),
        person => blinded(person, person).map(|sha| sha.to_string()),
    };
    let because = event.reason.as_ref().map(|r| blinded(id.as_str(), r));
    let mut wrong = Vec::new();
    if (event.act, event.before, event.after) != (fact.act, fact.before, fact.after) {
        wrong.push("what was done");
    }
    if event.at != leaf.at {
        wrong.push("the instant");
    }
    if actor.as_ref() != Some(&fact.actor) {
        wrong.push("the actor");
    }
    if because != fact.because.map(Some) {
        wrong.push("the reason");
    }
    wrong
}

/// The decisions that are not those of the leaves: each leaf holds the digest of all that was decided until then.
fn decisions(id: &ExceptionId, all: &[Decision], leaves: &[Said]) -> Option<(u64, String)> {
    let until: Vec<Sha> = (0..=all.len())
        .map(|n| ExceptionFact::of_decisions(all.get(..n).unwrap_or_default()))
        .collect();
    let each: Vec<Sha> = all
        .iter()
        .map(|d| Sha::of_json(&serde_json::json!(d)))
        .collect();
    let mut known = 0;
    for leaf in leaves {
        let place = leaf.fact.decisions.map(|digest| {
            let rest = until.iter().enumerate().skip(known);
            rest.into_iter()
                .find(|(_, d)| **d == digest)
                .map(|(n, _)| n)
        });
        let one = leaf
            .fact
            .decision
            .is_none_or(|digest| each.contains(&digest));
        match place {
            Some(Some(n)) if one => known = n,
            None if one => {}
            _ => {
                let what = format!(
                    "what people decided of {id} is not what leaf {} says",
                    leaf.seq
                );
                return Some((leaf.seq, what));
            }
        }
    }
    None
}
