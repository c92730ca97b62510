//! Which snapshots may go. A pure decision: whatever an open finding or an unclosed exception refers to stays,
//! as do the newest whole snapshots of each dataset; an object goes only when no snapshot that stays shares it.
//! Deletes nothing itself.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use crate::model::{
    id::{Sha, SnapshotId},
    snapshot::Snapshot,
    span::Span,
};

/// How long snapshots stay that nothing refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// How long after the start of its collection a snapshot stays, whatever refers to it.
    pub keep: Span,
    /// How many of the newest whole snapshots of a dataset stay however old they are.
    pub keep_last: usize,
}

/// What refers to snapshots.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct References {
    /// Snapshots of the runs that open findings stand on.
    pub findings: BTreeSet<SnapshotId>,
    /// Snapshots that unclosed exceptions were decided or are judged on.
    pub exceptions: BTreeSet<SnapshotId>,
}

/// What becomes of a snapshot, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It stays: it is younger than the rule asks.
    Young,
    /// It stays: an open finding stands on it.
    Finding,
    /// It stays: an unclosed exception stands on it.
    Exception,
    /// It stays: it is one of the newest whole ones of its dataset.
    Last,
    /// It may go: it is older than the rule asks, and nothing refers to it.
    Expired,
}

impl Verdict {
    /// Whether the snapshot stays.
    pub const fn stays(self) -> bool {
        !matches!(self, Self::Expired)
    }
}

/// What may go and what stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decision {
    /// Each snapshot with its verdict, in the order given.
    pub verdicts: Vec<(SnapshotId, Verdict)>,
    /// Objects of snapshots that may go and that no snapshot that stays shares, sorted.
    pub objects: Vec<Sha>,
}

/// Decides what may go at `now`. `snapshots` are all that are listed; an object that is not listed is not
/// spoken of.
pub fn decide(
    snapshots: &[Snapshot],
    references: &References,
    rule: Rule,
    now: DateTime<Utc>,
) -> Decision {
    let last = newest(snapshots, rule.keep_last);
    let verdicts: Vec<(SnapshotId, Verdict)> = snapshots
        .iter()
        .map(|s| {
            let verdict = if references.findings.contains(&s.id) {
                Verdict::Finding
            } else if references.exceptions.contains(&s.id) {
                Verdict::Exception
            } else if last.contains(&s.id) {
                Verdict::Last
            } else if s.age(now) <= rule.keep.to_delta() {
                Verdict::Young
            } else {
                Verdict::Expired
            };
            (s.id.clone(), verdict)
        })
        .collect();
    let objects = |stays: bool| -> BTreeSet<Sha> {
        snapshots
            .iter()
            .zip(&verdicts)
            .filter(|(_, (_, verdict))| verdict.stays() == stays)
            .filter_map(|(s, _)| s.object)
            .collect()
    };
    let needed = objects(true);
    Decision {
        objects: objects(false).difference(&needed).copied().collect(),
        verdicts,
    }
}

/// The newest `count` whole snapshots of each dataset.
fn newest(snapshots: &[Snapshot], count: usize) -> BTreeSet<SnapshotId> {
    let mut by_dataset: BTreeMap<_, Vec<&Snapshot>> = BTreeMap::new();
    for snapshot in snapshots.iter().filter(|s| s.status.is_whole()) {
        by_dataset
            .entry(&snapshot.dataset)
            .or_default()
            .push(snapshot);
    }
    by_dataset
        .into_values()
        .flat_map(|mut all| {
            all.sort_by(|a, b| (b.started_at, &b.id).cmp(&(a.started_at, &a.id)));
            all.into_iter()
                .take(count)
                .map(|s| s.id.clone())
                .collect::<Vec<_>>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        id::DatasetName,
        snapshot::{Completeness, Effort},
    };

    fn now() -> DateTime<Utc> {
        "2026-11-20T00:00:00Z".parse().unwrap()
    }

    fn snapshot(id: &str, days: i64, status: Completeness, object: &str) -> Snapshot {
        let at = now() - chrono::TimeDelta::days(days);
        Snapshot {
            id: id.into(),
            dataset: DatasetName::new("aws", "secrets"),
            status,
            unknown: None,
            reason: None,
            rows: 1,
            effort: Effort::default(),
            started_at: at,
            ended_at: at,
            content: None,
            object: (!object.is_empty()).then(|| Sha::of(object)),
            schema: Sha::of("schema"),
            definition: Sha::of("definition"),
            scope: Sha::of("scope"),
            identity: None,
            request_ids: Vec::new(),
        }
    }

    fn rule() -> Rule {
        Rule {
            keep: Span::days(30),
            keep_last: 1,
        }
    }

    #[test]
    fn what_nothing_refers_to_goes_when_it_is_old() {
        let snapshots = [
            snapshot("finding", 90, Completeness::Complete, "a"),
            snapshot("exception", 80, Completeness::Complete, "b"),
            snapshot("old", 70, Completeness::Complete, "c"),
            snapshot("last", 60, Completeness::Unchanged, "d"),
            snapshot("failed", 50, Completeness::Failed, ""),
            snapshot("young", 30, Completeness::Partial, "e"),
        ];
        let references = References {
            findings: BTreeSet::from(["finding".into()]),
            exceptions: BTreeSet::from(["exception".into()]),
        };
        let decision = decide(&snapshots, &references, rule(), now());
        let verdicts: Vec<Verdict> = decision.verdicts.iter().map(|(_, v)| *v).collect();
        assert_eq!(
            verdicts,
            [
                Verdict::Finding,
                Verdict::Exception,
                Verdict::Expired,
                Verdict::Last,
                Verdict::Expired,
                Verdict::Young
            ]
        );
        assert_eq!(decision.objects, [Sha::of("c")]);
    }

    #[test]
    fn an_object_stays_while_any_snapshot_that_stays_shares_it() {
        let snapshots = [
            snapshot("old", 90, Completeness::Complete, "same"),
            snapshot("older", 91, Completeness::Complete, "other"),
            snapshot("new", 1, Completeness::Unchanged, "same"),
        ];
        let decision = decide(&snapshots, &References::default(), rule(), now());
        assert_eq!(decision.verdicts[0].1, Verdict::Expired);
        assert_eq!(decision.objects, [Sha::of("other")]);
    }
}
