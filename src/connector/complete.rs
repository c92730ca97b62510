//! Whether a snapshot may be believed. One pure function over what is known of a collection; each
//! answer but the good ones has a named reason. The order of the rules is the order in which a person
//! would want to hear of them: lost sight first, then what failed, then what is missing, then what is odd.

use std::fmt;

use crate::model::{
    id::Sha,
    outcome::Unknown,
    share::Share,
    snapshot::{Completeness, Snapshot},
};

/// What is known of a collection.
#[derive(Debug, Clone, Default)]
pub struct Facts<'a> {
    /// Rows that were read.
    pub rows: u64,
    /// Rows as the source counts them, before `unnest`.
    pub listed: u64,
    /// How many the source says there are.
    pub total: Option<u64>,
    /// What ended the reading early.
    pub broken: Option<(Unknown, String)>,
    /// Rows that did not decode, and what is wrong with the first.
    pub undecoded: Option<(u64, Unknown, String)>,
    /// Rows whose key came before in the last read, with the first such key.
    pub duplicates: Option<(u64, String)>,
    /// How often the source was read.
    pub reads: u32,
    /// What became of rows that the last whole snapshot has and this one has not.
    pub vanished: Vanished,
    /// What the source says that it left out.
    pub warning: Option<String>,
    /// Parent rows whose children could not be read, as people know them, and why the first could not.
    pub orphans: Option<(Vec<String>, Unknown, String)>,
    /// The parent dataset, when it is not whole itself.
    pub parent: Option<(String, Completeness, Unknown)>,
    /// Who we are for the source.
    pub identity: Option<&'a str>,
    /// The last snapshot that was whole, and asked for the same.
    pub last: Option<&'a Snapshot>,
    /// Whether the suspect snapshot after it holds the same.
    pub seen_before: bool,
    /// SHA-256 of the canonical rows.
    pub content: Option<Sha>,
}

/// What became of rows that are no longer listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Vanished {
    /// There are none, or the way the source was read cannot miss a row.
    #[default]
    None,
    /// The source says of each that it is gone, or two reads in a row were equal.
    Confirmed,
    /// So many may have been missed while they moved.
    Unsure(u64),
    /// This one is still there: the list left it out.
    StillThere(String),
}

/// The rules of one dataset.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rules {
    /// Fewer rows than this are suspect.
    pub min_rows: Option<u64>,
    /// A larger share of rows lost is suspect.
    pub max_drop: Option<Share>,
}

/// Whether a snapshot may be believed.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Every rule holds.
    Complete,
    /// Every rule holds, and it equals the last one.
    Unchanged,
    /// Some rows are missing, and we know it.
    Partial(Reason),
    /// Plausible transport, implausible content.
    Suspect(Reason),
    /// Nothing usable, or lost visibility.
    Failed(Reason),
}

/// Why a snapshot is not whole.
#[derive(Debug, Clone, PartialEq)]
pub enum Reason {
    /// We can no longer show that we see all there is.
    Blind(String),
    /// The source takes us for somebody else than before.
    Identity(String, String),
    /// The reading ended early.
    Broken(Unknown, String, u64),
    /// Rows did not decode.
    Undecoded(u64, Unknown, String),
    /// The source has more or fewer rows than we got.
    Total(u64, u64),
    /// A key came twice in every read.
    Drift(u64, String, u32),
    /// Rows that vanished may only have moved.
    Unsure(u64),
    /// The list leaves out a row that is still there.
    LeftOut(String),
    /// The source says that it left something out.
    Warned(String),
    /// Children of these rows could not be read.
    Orphans(Vec<String>, Unknown, String),
    /// The dataset that lists is not whole.
    Parent(String, Completeness, Unknown),
    /// There were rows, and now there is none.
    Emptied(u64),
    /// Fewer rows than the site says there are.
    TooFew(u64, u64),
    /// Too many rows are gone at once.
    Dropped(u64, u64, Share),
}

/// Says whether a collection is whole.
pub fn judge(facts: &Facts<'_>, rules: Rules) -> Verdict {
    if let Some(verdict) = sight(facts) {
        return verdict;
    }
    if let Some(reason) = missing(facts) {
        return Verdict::Partial(reason);
    }
    if let Some(reason) = implausible(facts, rules) {
        // The same implausible content a second time is what is there.
        if !facts.seen_before {
            return Verdict::Suspect(reason);
        }
    }
    match facts.last {
        Some(last) if last.content.is_some() && last.content == facts.content => Verdict::Unchanged,
        _ => Verdict::Complete,
    }
}

/// Rules after which nothing can be used.
fn sight(facts: &Facts<'_>) -> Option<Verdict> {
    if let Some((Unknown::LostVisibility, what)) = &facts.broken {
        return Some(Verdict::Failed(Reason::Blind(what.clone())));
    }
    let before = facts.last.and_then(|l| l.identity.as_deref());
    if let (Some(before), Some(now)) = (before, facts.identity)
        && before != now
    {
        return Some(Verdict::Failed(Reason::Identity(
            before.to_owned(),
            now.to_owned(),
        )));
    }
    if let Some((unknown, what)) = &facts.broken {
        let reason = Reason::Broken(*unknown, what.clone(), facts.rows);
        return Some(if facts.rows == 0 {
            Verdict::Failed(reason)
        } else {
            Verdict::Partial(reason)
        });
    }
    if let Some((count, unknown, what)) = &facts.undecoded {
        let reason = Reason::Undecoded(*count, *unknown, what.clone());
        return Some(if facts.rows == 0 {
            Verdict::Failed(reason)
        } else {
            Verdict::Partial(reason)
        });
    }
    match &facts.parent {
        Some((dataset, Completeness::Failed, unknown)) => Some(Verdict::Failed(Reason::Parent(
            dataset.clone(),
            Completeness::Failed,
            *unknown,
        ))),
        _ => None,
    }
}

/// Rules after which some rows are known to be missing.
fn missing(facts: &Facts<'_>) -> Option<Reason> {
    if let Some(total) = facts.total.filter(|t| *t != facts.listed) {
        return Some(Reason::Total(facts.listed, total));
    }
    if let Some((count, key)) = &facts.duplicates {
        return Some(Reason::Drift(*count, key.clone(), facts.reads));
    }
    if let Some((parents, unknown, why)) = &facts.orphans {
        return Some(Reason::Orphans(parents.clone(), *unknown, why.clone()));
    }
    if let Some((dataset, status, unknown)) = &facts.parent {
        return Some(Reason::Parent(dataset.clone(), *status, *unknown));
    }
    if let Some(said) = &facts.warning {
        return Some(Reason::Warned(said.clone()));
    }
    match &facts.vanished {
        Vanished::None | Vanished::Confirmed => None,
        Vanished::Unsure(count) => Some(Reason::Unsure(*count)),
        Vanished::StillThere(key) => Some(Reason::LeftOut(key.clone())),
    }
}

/// Rules after which the content is odd although nothing failed.
fn implausible(facts: &Facts<'_>, rules: Rules) -> Option<Reason> {
    let before = facts.last.map_or(0, |l| l.rows);
    if facts.rows == 0 && before > 0 {
        return Some(Reason::Emptied(before));
    }
    if let Some(min) = rules.min_rows.filter(|min| facts.rows < *min) {
        return Some(Reason::TooFew(facts.rows, min));
    }
    let lost = before.saturating_sub(facts.rows);
    rules
        .max_drop
        .filter(|most| lost as f64 > most.as_f64() * before as f64)
        .map(|most| Reason::Dropped(facts.rows, before, most))
}

impl Verdict {
    /// The status of the snapshot.
    pub fn status(&self) -> Completeness {
        match self {
            Self::Complete => Completeness::Complete,
            Self::Unchanged => Completeness::Unchanged,
            Self::Partial(_) => Completeness::Partial,
            Self::Suspect(_) => Completeness::Suspect,
            Self::Failed(_) => Completeness::Failed,
        }
    }

    /// Why it is not whole.
    pub fn reason(&self) -> Option<&Reason> {
        match self {
            Self::Complete | Self::Unchanged => None,
            Self::Partial(reason) | Self::Suspect(reason) | Self::Failed(reason) => Some(reason),
        }
    }
}

impl Reason {
    /// The reason as one of the words that outcomes know.
    pub fn unknown(&self) -> Unknown {
        match self {
            Self::Blind(_) | Self::Identity(..) | Self::LeftOut(_) => Unknown::LostVisibility,
            Self::Broken(unknown, ..)
            | Self::Undecoded(_, unknown, _)
            | Self::Parent(_, _, unknown)
            | Self::Orphans(_, unknown, _) => *unknown,
            Self::Total(..) | Self::Drift(..) | Self::Unsure(_) | Self::Warned(_) => {
                Unknown::Incomplete
            }
            Self::Emptied(_) | Self::TooFew(..) | Self::Dropped(..) => Unknown::Suspect,
        }
    }
}

/// How many parents a reason names.
const NAMED: usize = 5;

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = |n: &u64| if *n == 1 { "" } else { "s" };
        match self {
            Self::Blind(what) | Self::Broken(_, what, 0) => f.write_str(what),
            Self::Identity(before, now) => write!(
                f,
                "lost visibility: the source takes us for `{now}`, and before for `{before}`"
            ),
            Self::Broken(_, what, rows) => write!(f, "{what}; {rows} row{} read before", s(rows)),
            Self::Undecoded(1, _, what) => write!(f, "a row cannot be read: {what}"),
            Self::Undecoded(count, _, what) => {
                write!(f, "{count} rows cannot be read, the first: {what}")
            }
            Self::Total(got, total) => write!(f, "got {got} of {total} rows"),
            Self::Drift(count, key, ..=1) => {
                write!(f, "{count} key{} came twice, such as {key}", s(count))
            }
            Self::Drift(count, key, reads) => write!(
                f,
                "{count} key{} came twice in each of {reads} reads, such as {key}: rows moved while they were read",
                s(count)
            ),
            Self::Unsure(count) => write!(
                f,
                "{count} row{} no longer listed, but two reads differ: they may only have moved",
                s(count)
            ),
            Self::LeftOut(key) => write!(f, "{key} is not listed, although it is still there"),
            Self::Warned(said) if said.is_empty() => {
                f.write_str("the source says that it left something out")
            }
            Self::Warned(said) => write!(f, "the source warns: {said}"),
            Self::Orphans(parents, _, why) => {
                let shown = parents
                    .iter()
                    .take(NAMED)
                    .cloned()
                    .collect::<Vec<_>>()
                    .join(", ");
                let more = parents.len().saturating_sub(NAMED);
                let more = if more == 0 {
                    String::new()
                } else {
                    format!(" and {more} more")
                };
                write!(f, "could not be read for {shown}{more}: {why}")
            }
            Self::Parent(dataset, status, _) => {
                write!(f, "`{dataset}`, which it is read for, is {status}")
            }
            Self::Emptied(before) => write!(f, "there is no row left of {before}"),
            Self::TooFew(rows, min) => {
                write!(f, "{rows} row{}, at least {min} are expected", s(rows))
            }
            Self::Dropped(rows, before, most) => write!(
                f,
                "{rows} of {before} rows are left, more than {most} are gone at once"
            ),
        }
    }
}

#[cfg(test)]
mod tests;
