//! Proofs that what happened to a finding, a run or an exception is in the log.

use std::process::ExitCode;

use serde_json::json;

use crate::{
    audit::{
        leaf::{Fact, Leaf},
        log,
        proof::Proof,
    },
    cli::{
        CLEAN, INTERNAL, NOT_CHECKED, USAGE,
        named::{refuse, unambiguous},
        out::{Format, Out},
    },
    store::{Found, Tx, audit, exceptions, findings, runs},
};

/// Which leaves are proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Leaf(u64),
    All,
    Last,
}

impl Wanted {
    /// Those of the leaves that speak of something. The last of an exception is the one that people decided by.
    fn of(self, leaves: &[audit::Kept]) -> Vec<&audit::Kept> {
        let decided = |kept: &&audit::Kept| {
            let leaf = Leaf::read(&kept.bytes);
            matches!(leaf, Ok(Leaf { fact: Fact::Exception(fact), .. }) if fact.decision.is_some())
        };
        match self {
            Self::All => leaves.iter().collect(),
            Self::Leaf(seq) => leaves.iter().filter(|leaf| leaf.seq == seq).collect(),
            Self::Last => {
                let decision = leaves.iter().rfind(decided);
                decision.or(leaves.last()).into_iter().collect()
            }
        }
    }
}

/// Prints the proofs of what a person means.
pub(super) async fn prove(
    tx: &mut Tx,
    name: &str,
    wanted: Wanted,
    out: &mut Out,
) -> anyhow::Result<ExitCode> {
    let list = "tripline findings --all`, `tripline exception list --all` and `tripline runs";
    let what = ("finding, run or exception", name);
    let id = match unambiguous(meant(tx, name).await?, what, list) {
        Ok(id) => id,
        Err(said) => return refuse(USAGE, said),
    };
    let leaves = audit::leaves_about(tx, &id).await?;
    let numbers: Vec<String> = leaves.iter().map(|leaf| leaf.seq.to_string()).collect();
    let numbers = numbers.join(", ");
    let chosen = wanted.of(&leaves);
    if chosen.is_empty() {
        return match wanted {
            Wanted::Leaf(seq) => refuse(
                USAGE,
                format!("leaf {seq} does not speak of `{id}`; these do: {numbers}"),
            ),
            _ => refuse(INTERNAL, format!("the log does not speak of `{id}`")),
        };
    }
    let head = audit::last_checkpoint(tx).await?;
    let mut proofs = Vec::with_capacity(chosen.len());
    for leaf in chosen {
        let Some(head) = head.as_ref().filter(|head| head.size > leaf.seq) else {
            let what = format!(
                "leaf {} is not signed yet; `tripline serve` and `tripline check` sign the log",
                leaf.seq
            );
            return refuse(NOT_CHECKED, what);
        };
        let indexes = log::inclusion_indexes(head.size, leaf.seq)?;
        proofs.push(Proof {
            seq: leaf.seq,
            hashes: log::inclusion(head.size, leaf.seq, &audit::hashes(tx, &indexes).await?)?,
            leaf: Some(leaf.bytes.clone()),
            note: head.note.clone(),
        });
    }
    if out.format() == Format::Table {
        for proof in &proofs {
            out.text(&proof.to_string())?;
            let said = format!("`{id}` has the leaves {numbers}; this proves {}", proof.seq);
            Out::stderr().line(said)?;
        }
        return Ok(ExitCode::from(CLEAN));
    }
    let one = |proof: &Proof| json!({ "about": id, "leaves": numbers, "leaf": proof.seq, "proof": proof.to_string() });
    match (proofs.as_slice(), wanted) {
        ([proof], Wanted::Last | Wanted::Leaf(_)) => out.json(&one(proof))?,
        (all, _) => out.json(&json!(all.iter().map(one).collect::<Vec<_>>()))?,
    }
    Ok(ExitCode::from(CLEAN))
}

/// The finding, the run or the exception that a person means.
async fn meant(tx: &mut Tx, name: &str) -> anyhow::Result<Found<String>> {
    // No finding and no run is called like that.
    if name.starts_with("EXC-") {
        return Ok(match exceptions::named(tx, name).await? {
            Found::One(record) => Found::One(record.id.to_string()),
            Found::Nothing => Found::Nothing,
            Found::Several(names) => Found::Several(names),
        });
    }
    let finding = match findings::named(tx, name).await? {
        Found::One(finding) => Found::One(finding.key.to_string()),
        Found::Nothing => Found::Nothing,
        Found::Several(names) => Found::Several(names),
    };
    let run = match runs::named(tx, name).await? {
        Found::One(run) => Found::One(run.id.to_string()),
        Found::Nothing => return Ok(finding),
        Found::Several(names) => Found::Several(names),
    };
    Ok(match finding {
        Found::Nothing => run,
        Found::One(key) => Found::Several([key].into_iter().chain(names(run)).collect()),
        Found::Several(keys) => Found::Several(keys.into_iter().chain(names(run)).collect()),
    })
}

fn names(found: Found<String>) -> Vec<String> {
    match found {
        Found::One(name) => vec![name],
        Found::Nothing => Vec::new(),
        Found::Several(names) => names,
    }
}
