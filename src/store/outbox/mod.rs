//! What is owed to people and receivers: items, written in the transaction of the run that owes them, and
//! batches, into which they are sealed. An item's key is taken once for ever, so planning twice owes
//! nothing twice; a batch is sent under a lease and a fence, and its id never changes.

mod addresses;
mod batches;
mod items;
mod readers;

pub use addresses::{BadAddress, bad_addresses, is_bad, mark_bad, mend};
pub use batches::{
    Attempt, Counts, Filter, claim, counts, finish, get, list, named, renew, revive, seal,
};
pub use items::{
    Fate, Told, due, enqueue, fates, leave_out, of_batch, of_finding, recipients, told, waiting,
};
pub use readers::{Beginning, Lately, beginnings, defer, heard, lately, standing};

use super::{error::Result, row::Place};
use crate::model::people::Principal;

/// A recipient as a column: `person:ada`, `team:platform`.
fn recipient(text: Option<&str>, at: &Place<'_>) -> Result<Option<Principal>> {
    let Some(text) = text else { return Ok(None) };
    match text.split_once(':') {
        Some(("person", id)) => Ok(Some(Principal::Person(id.into()))),
        Some(("team", id)) => Ok(Some(Principal::Team(id.into()))),
        _ => Err(at.wrong("recipient")),
    }
}
