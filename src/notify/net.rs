//! What is still true right before it is told. Items are planned when something happens and told a
//! little later; what has changed in between decides. Pure.

use crate::{
    choice,
    model::{
        finding::{Finding, Status},
        notice::{Delivery, Item, Kind, Word},
    },
};

use super::{bundle::is_good, options::Medium};

choice! {
    /// Why an item is no longer worth telling.
    pub enum Dropped {
        /// It is mended, and nobody was told that it began.
        ResolvedMeanwhile = "resolved_meanwhile",
        /// It left, and nobody was told that it began.
        RetiredMeanwhile = "retired_meanwhile",
        /// An exception holds by now.
        CoveredMeanwhile = "covered_meanwhile",
        /// It opened again; that has a notice of its own.
        LaterEpisode = "later_episode",
        /// Something newer of the same finding goes out with it.
        Superseded = "superseded",
        /// It is over, and this reader was never told that it began.
        NeverTold = "never_told",
        /// It was over for a moment, and is open again.
        OpenAgain = "open_again",
        /// The finding is no longer kept.
        FindingGone = "finding_gone",
        /// The reader is no longer in the directory.
        RecipientLeft = "recipient_left",
        /// The channel is no longer in the configuration.
        ChannelRemoved = "channel_removed",
    }
}

/// Whether an item goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is still true.
    Tell,
    /// It cannot be said yet: what it ends is on its way.
    Wait,
    /// It is no longer worth telling.
    Drop(Dropped),
}

/// What is known right before telling.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The finding as it stands now.
    pub finding: Option<&'a Finding>,
    /// What became of the message that told this reader of the same episode, if there was one.
    pub began: Option<Delivery>,
    /// What the channel speaks; nothing when it is no longer there.
    pub medium: Option<Medium>,
    /// Whether the reader is still in the directory, or none is needed.
    pub reachable: bool,
}

/// Decides for one item.
pub fn verdict(item: &Item, known: &Known<'_>) -> Verdict {
    let Some(medium) = known.medium else {
        return Verdict::Drop(Dropped::ChannelRemoved);
    };
    if !known.reachable {
        return Verdict::Drop(Dropped::RecipientLeft);
    }
    if item.finding.is_none() || matches!(item.kind, Kind::Operation | Kind::Digest) {
        return Verdict::Tell;
    }
    let Some(finding) = known.finding else {
        return if is_good(item.word) {
            Verdict::Tell
        } else {
            Verdict::Drop(Dropped::FindingGone)
        };
    };
    if is_good(item.word) {
        over(item, finding, known.began, medium)
    } else {
        open(item, finding)
    }
}

fn open(item: &Item, finding: &Finding) -> Verdict {
    let state = &finding.state;
    if state.episode != item.episode {
        return Verdict::Drop(Dropped::LaterEpisode);
    }
    if !state.status.is_open() {
        return Verdict::Drop(match state.status {
            Status::Retired => Dropped::RetiredMeanwhile,
            _ => Dropped::ResolvedMeanwhile,
        });
    }
    if finding.covered_by.is_some() {
        return Verdict::Drop(Dropped::CoveredMeanwhile);
    }
    Verdict::Tell
}

fn over(item: &Item, finding: &Finding, began: Option<Delivery>, medium: Medium) -> Verdict {
    match began {
        None | Some(Delivery::Dropped | Delivery::Dead) => {
            return Verdict::Drop(Dropped::NeverTold);
        }
        Some(Delivery::Due) => return Verdict::Wait,
        Some(Delivery::Sent) => {}
    }
    // A machine needs the end of each episode that it knows; a person is told what is the case.
    // An episode that the removal of its control cut short goes on when the control comes back.
    let again = finding.state.episode > item.episode || item.word == Word::Retired;
    let later = again && finding.state.status.is_open();
    if later && matches!(medium, Medium::Mail | Medium::Slack) {
        return Verdict::Drop(Dropped::OpenAgain);
    }
    Verdict::Tell
}

/// Of several items of one finding that go out together, only the newest says what is the case.
pub fn supersede(items: Vec<Item>) -> (Vec<Item>, Vec<(String, Dropped)>) {
    let mut kept: Vec<Item> = Vec::with_capacity(items.len());
    let mut dropped = Vec::new();
    let mut newest = std::collections::BTreeMap::new();
    for (at, item) in items.iter().enumerate() {
        if let Some(finding) = item.finding {
            newest
                .entry(finding)
                .and_modify(|best: &mut (chrono::DateTime<chrono::Utc>, usize)| {
                    *best = (*best).max((item.planned_at, at));
                })
                .or_insert((item.planned_at, at));
        }
    }
    for (at, item) in items.into_iter().enumerate() {
        match item.finding.and_then(|f| newest.get(&f)) {
            Some((_, best)) if *best != at => dropped.push((item.key, Dropped::Superseded)),
            _ => kept.push(item),
        }
    }
    (kept, dropped)
}
