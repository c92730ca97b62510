//! The register as coverage may believe it: a row that says otherwise than the newest leaf about it covers nothing. State
//! is written by an act, an act leaves a leaf, and whatever was written past both is found here.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::{
    audit::{
        leaf::{Fact, Leaf},
        log::leaf_hash,
    },
    exception::{coverage::Register, record::Record},
    model::{exception::State, id::ExceptionId},
    store::{
        self, Tx,
        audit::{self, Newest},
    },
};

/// The register of these records. Those that could cover something are held against the log: one look-up for each.
///
/// # Errors
/// When the log cannot be read; whoever asks covers nothing then.
pub async fn register(
    tx: &mut Tx,
    records: &[Record],
    now: DateTime<Utc>,
) -> Result<Register, store::Error> {
    let could = |r: &&Record| r.state_at(now) == State::Active;
    let ids: Vec<&ExceptionId> = records.iter().filter(could).map(|r| &r.id).collect();
    let newest = audit::newest_of_exceptions(tx, &ids).await?;
    let mut entries = Vec::with_capacity(records.len());
    for record in records {
        let Some(mut entry) = record.entry() else {
            continue;
        };
        if could(&record) {
            entry.doubt = doubt(record, &newest);
        }
        entries.push(entry);
    }
    Ok(Register::new(entries))
}

/// Why a record is not believed; nothing when the log says the same.
fn doubt(record: &Record, newest: &BTreeMap<ExceptionId, Newest>) -> Option<String> {
    let Some(leaf) = newest.get(&record.id) else {
        return Some("the log does not know it".to_owned());
    };
    let seq = leaf.kept.seq;
    if leaf.hash != Some(leaf_hash(&leaf.kept.bytes)) {
        return Some(format!("the leaf {seq} of the log was changed"));
    }
    let Ok(Leaf {
        fact: Fact::Exception(fact),
        ..
    }) = Leaf::read(&leaf.kept.bytes)
    else {
        return Some(format!("the leaf {seq} of the log cannot be read"));
    };
    let what = fact.differs_from(record)?;
    Some(format!(
        "{what} is not what the log says (leaf {seq}): it was changed past the register"
    ))
}
