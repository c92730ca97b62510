//! The register beside the log, for `tripline audit verify`: each exception's rows are read and held against its leaves.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    audit::{
        held::{Happened, Rows, Said, differences},
        leaf::{Fact, Leaf},
        report::Fault,
        verify::Verifier,
    },
    model::id::ExceptionId,
    store::{Tx, audit, exceptions, salts},
};

/// The leaves about exceptions, gathered while the log is read.
#[derive(Debug, Default)]
pub(super) struct Leaves(BTreeMap<ExceptionId, Vec<Said>>);

impl Leaves {
    /// Takes a leaf that speaks of an exception; of those that cannot be read the verifier tells.
    pub(super) fn take(&mut self, row: &audit::Row) {
        if row.kind != "exception" {
            return;
        }
        if let Ok(Leaf {
            at,
            fact: Fact::Exception(fact),
            ..
        }) = Leaf::read(&row.bytes)
        {
            let seq = row.seq;
            let fact = *fact;
            let of_it = self.0.entry(fact.exception.clone()).or_default();
            of_it.push(Said { seq, at, fact });
        }
    }

    /// Holds every row against them, and tells what differs.
    pub(super) async fn compare(self, tx: &mut Tx, verifier: &mut Verifier) -> anyhow::Result<()> {
        let kept = exceptions::ids(tx).await?;
        let ids: BTreeSet<ExceptionId> = kept.into_iter().chain(self.0.keys().cloned()).collect();
        for id in ids {
            let leaves = self.0.get(&id).map_or(&[][..], Vec::as_slice);
            match rows(tx, &id).await {
                Ok(rows) => {
                    for (seq, what) in differences(&id, &rows, leaves) {
                        verifier.problem(Fault::Register, seq, what);
                    }
                }
                // Somebody wrote what nobody can read: that is what is wrong, and not that it cannot be told.
                Err(error) => {
                    let seq = leaves.last().map_or(0, |leaf| leaf.seq);
                    verifier.problem(
                        Fault::Register,
                        seq,
                        format!("{id} cannot be read: {error}"),
                    );
                }
            }
        }
        Ok(())
    }
}

async fn rows(tx: &mut Tx, id: &ExceptionId) -> Result<Rows, crate::store::Error> {
    let revisions = exceptions::revisions(tx, id).await?;
    let events = exceptions::events(tx, id).await?;
    let mut names: BTreeSet<&str> = events.iter().map(|e| e.actor.as_str()).collect();
    names.insert(id.as_str());
    let mut known = BTreeMap::new();
    for name in names {
        if let Some(salt) = salts::get(tx, name).await? {
            known.insert(name.to_owned(), salt);
        }
    }
    let happened = |e: exceptions::Event| Happened {
        at: e.at,
        actor: e.actor,
        act: e.act,
        before: e.before,
        after: e.after,
        reason: e.reason,
    };
    Ok(Rows {
        revisions,
        events: events.into_iter().map(happened).collect(),
        salts: known,
    })
}
