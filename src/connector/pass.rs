//! One reading of a group of datasets, and as many more as it takes to believe it: again when a key came
//! twice, again when rows vanished that may only have moved.

use futures::{StreamExt as _, stream};
use serde_json::Value;

use super::{
    Asking, Confirmed, Meter, Read, Reader, Request,
    collect::{Reading, Shaped, parent_of, patience, scope},
    columns::{self, Problem},
    complete::{Facts, Vanished},
    content,
    error::{Error, Result},
    intake::{Cut, Held, Intake},
    settings::Parent,
};
use crate::{
    catalog::connector::{
        Dataset,
        dataset::{ConfirmGone, Each},
    },
    model::{id::Sha, snapshot::Completeness, table::Table},
};

/// After so many children in a row that could not be read, the others are not asked for.
const GIVE_UP: usize = 10;

/// Reads a group until it can be believed, or as often as it may.
pub(super) struct Passes<'a> {
    /// What is to be collected.
    pub(super) request: &'a Request<'a>,
    /// How it is read.
    pub(super) reader: &'a dyn Reader,
    /// What is read together.
    pub(super) reading: &'a Reading<'a>,
    /// Where effort is counted.
    pub(super) meter: &'a Meter,
}

/// What came of it.
pub(super) struct Pass<'a> {
    /// What each dataset made of the answers.
    pub(super) cuts: Vec<Shaped<'a>>,
    /// What is known of the group as a whole.
    pub(super) facts: Facts<'static>,
    /// Who we are for the source, if a probe of the dataset told.
    pub(super) identity: Option<String>,
}

/// What one reading learnt.
#[derive(Default)]
struct Learnt {
    read: Read,
    listed: u64,
    broken: Option<Error>,
    orphans: Vec<(String, Error)>,
}

impl<'a> Passes<'a> {
    /// Reads the group.
    pub(super) async fn read(&self) -> Pass<'a> {
        let mut identity = None;
        let probes = self
            .reading
            .group
            .first()
            .map_or(&[][..], |d| d.probe.as_slice());
        let mut blind = None;
        if !probes.is_empty() {
            match self.reader.prove(probes, self.meter).await {
                Ok(found) => identity = found,
                Err(error) => blind = Some(error),
            }
        }
        let rereads = self
            .reading
            .group
            .iter()
            .map(|d| self.request.source.complete(&d.name).rereads())
            .max()
            .unwrap_or(0);
        let mut before: Vec<Sha> = Vec::new();
        let mut reads = 0;
        loop {
            reads += 1;
            let (cuts, mut learnt) = match blind.take() {
                None => self.once().await,
                Some(error) => (
                    Intake::new(self.reading.group, None).finish(),
                    Learnt {
                        broken: Some(error),
                        ..Learnt::default()
                    },
                ),
            };
            let mut cuts = self.shape(cuts).await;
            let now: Vec<Sha> = cuts.iter().map(|c| c.content.digest).collect();
            let again = reads <= rereads && learnt.broken.is_none();
            if again && cuts.iter().any(|c| c.content.duplicates > 0) {
                before = now;
                continue;
            }
            if learnt.broken.is_none() && learnt.read.drifts {
                match self.vanished(&mut cuts, before == now).await {
                    Ok(unsure) if unsure && again => {
                        before = now;
                        continue;
                    }
                    Ok(_) => {}
                    Err(error) => learnt.broken = Some(error),
                }
            }
            return Pass {
                cuts,
                facts: self.facts(learnt, reads),
                identity,
            };
        }
    }

    fn facts(&self, learnt: Learnt, reads: u32) -> Facts<'static> {
        let Learnt {
            read,
            broken,
            orphans,
            ..
        } = learnt;
        let first = orphans.first().map(|(_, e)| (e.unknown(), e.chain()));
        let names: Vec<String> = orphans.into_iter().map(|(name, _)| name).collect();
        Facts {
            broken: broken.map(|e| (e.unknown(), e.chain())),
            orphans: first.map(|(unknown, why)| (names, unknown, why)),
            parent: parent_of(self.reading),
            warning: (!read.warnings.is_empty()).then(|| read.warnings.join("; ")),
            total: read.total,
            reads,
            ..Facts::default()
        }
    }

    /// Reads the group once, until it ends, its time is over, or we are told to stop.
    async fn once(&self) -> (Vec<Cut<'a>>, Learnt) {
        let mut intake = Intake::new(self.reading.group, self.request.progress);
        let mut learnt = Learnt::default();
        let work = async {
            match self.reading.group.first().and_then(|d| d.each.as_ref()) {
                None => self.list(&mut intake, &mut learnt).await,
                Some(each) => self.children(each, &mut intake, &mut learnt).await,
            }
        };
        let ended = tokio::select! {
            () = self.request.cancel.cancelled() => Err(Error::Stopped),
            ended = tokio::time::timeout_at(self.reading.deadline, work) => {
                ended.unwrap_or_else(|_| Err(Error::Timeout { at: "the collection".to_owned(), limit: patience(self.request) }))
            }
        };
        learnt.broken = ended.err();
        (intake.finish(), learnt)
    }

    async fn list(&self, intake: &mut Intake<'a>, learnt: &mut Learnt) -> Result<()> {
        let Some(dataset) = self.reading.group.first() else {
            return Ok(());
        };
        learnt.read = self
            .reader
            .read(
                Asking {
                    dataset,
                    parents: &[],
                    meter: self.meter,
                },
                intake,
            )
            .await?;
        if learnt.read.gone {
            return Err(Error::Settings(
                "`gone` is for a row that another dataset listed".to_owned(),
            ));
        }
        Ok(())
    }

    async fn children(
        &self,
        each: &Each,
        intake: &mut Intake<'a>,
        learnt: &mut Learnt,
    ) -> Result<()> {
        let Some(dataset) = self.reading.group.first() else {
            return Ok(());
        };
        let Some(parents) = self
            .reading
            .done
            .get(each.of.value.as_str())
            .and_then(|c| c.table.as_ref())
        else {
            return Ok(());
        };
        if parents.rows() as u64 > each.limit {
            let what = format!(
                "`{}` has {} rows, more than the {} that may be read for",
                each.of.value,
                parents.rows(),
                each.limit
            );
            return Err(Error::Paging {
                at: format!("`{}`", dataset.name),
                what,
            });
        }
        let mut children = stream::iter(0..parents.rows())
            .map(|at| async move {
                let row = Value::Object(columns::row(parents, at));
                let around = vec![Parent {
                    alias: each.r#as.clone(),
                    row,
                }];
                let mut held = Held::default();
                let read = self
                    .reader
                    .read(
                        Asking {
                            dataset,
                            parents: &around,
                            meter: self.meter,
                        },
                        &mut held,
                    )
                    .await;
                (at, around, held, read)
            })
            .buffer_unordered(each.concurrency.max(1) as usize);
        let mut failed_in_a_row = 0;
        while let Some((at, around, held, read)) = children.next().await {
            match read {
                Ok(read) if read.gone => self.meter.gone(),
                Ok(read) => {
                    let before = intake.listed();
                    intake.for_parents(around);
                    held.release(intake)?;
                    learnt.add(read, intake.listed() - before);
                }
                Err(error @ (Error::Stopped | Error::Blind(_))) => return Err(error),
                Err(error) => {
                    failed_in_a_row += 1;
                    if failed_in_a_row >= GIVE_UP {
                        return Err(error);
                    }
                    learnt.orphans.push((name_of(parents, at), error));
                    continue;
                }
            }
            failed_in_a_row = 0;
        }
        Ok(())
    }

    async fn shape(&self, cuts: Vec<Cut<'a>>) -> Vec<Shaped<'a>> {
        let mut shaped = Vec::with_capacity(cuts.len());
        for mut cut in cuts {
            let name = cut.dataset.name.as_str();
            let scope = scope(self.request, cut.dataset);
            let last = self.request.last.whole(name).await;
            // One that asked for another thing is no measure for this one.
            let last = last.filter(|l| l.scope == scope);
            let suspect = self.request.last.suspect(name).await;
            let table = cut.take_table();
            let content = content::of(&table);
            let facts = Facts {
                rows: table.rows() as u64,
                listed: cut.listed,
                undecoded: cut
                    .problem
                    .as_ref()
                    .map(|p| (cut.undecoded, p.unknown, said(p))),
                duplicates: content.twice.clone().map(|key| (content.duplicates, key)),
                seen_before: suspect.is_some_and(|s| {
                    s.status == Completeness::Suspect && s.content == Some(content.digest)
                }),
                ..Facts::default()
            };
            shaped.push(Shaped {
                cut,
                table,
                content,
                facts,
                last,
            });
        }
        shaped
    }

    /// Looks for rows of the last whole snapshot that are not here. Says whether another read may help.
    async fn vanished(&self, cuts: &mut [Shaped<'a>], equal: bool) -> Result<bool> {
        let mut unsure = false;
        for shaped in cuts {
            let Some(last) = &shaped.last else { continue };
            if last.content == Some(shaped.content.digest) {
                continue;
            }
            let Some(before) = self.request.last.keys(&shaped.cut.dataset.name).await else {
                continue;
            };
            let now = content::keys(&shaped.table);
            let mut missing: Vec<&String> = before.difference(&now).collect();
            missing.sort();
            if missing.is_empty() {
                continue;
            }
            shaped.facts.vanished = match &shaped.cut.dataset.confirm_gone {
                Some(gone) if missing.len() as u64 <= gone.limit => {
                    self.confirm(shaped.cut.dataset, gone, &missing).await?
                }
                _ if equal => Vanished::Confirmed,
                _ => Vanished::Unsure(missing.len() as u64),
            };
            unsure |= matches!(shaped.facts.vanished, Vanished::Unsure(_));
        }
        Ok(unsure)
    }

    /// Asks the source for each row that is no longer listed.
    async fn confirm(
        &self,
        dataset: &Dataset,
        gone: &ConfirmGone,
        missing: &[&String],
    ) -> Result<Vanished> {
        for key in missing {
            let values: Vec<Value> = serde_json::from_str(key).unwrap_or_default();
            let row = dataset
                .key
                .iter()
                .cloned()
                .zip(values)
                .collect::<serde_json::Map<_, _>>()
                .into();
            let key_row = Parent {
                alias: "key".to_owned(),
                row,
            };
            if self.reader.confirm(gone, &key_row, self.meter).await? == Confirmed::There {
                return Ok(Vanished::StillThere((*key).clone()));
            }
        }
        Ok(Vanished::Confirmed)
    }
}

impl Learnt {
    /// Adds what one child learnt. A child without a declared total counts as what it gave.
    fn add(&mut self, read: Read, listed: u64) {
        self.read.drifts |= read.drifts;
        self.read.warnings.extend(read.warnings);
        self.read.total = match (self.read.total, read.total) {
            (None, None) => None,
            (sum, own) => Some(sum.unwrap_or(self.listed) + own.unwrap_or(listed)),
        };
        self.listed += listed;
    }
}

/// A row that could not be read, for people.
fn said(problem: &Problem) -> String {
    let Problem {
        row, column, what, ..
    } = problem;
    if row.is_empty() {
        format!("`{column}`: {what}")
    } else {
        format!("`{column}` of {row}: {what}")
    }
}

/// The key of a row, for people.
fn name_of(table: &Table, at: usize) -> String {
    let row = columns::row(table, at);
    let parts = table
        .schema
        .key
        .iter()
        .filter_map(|name| row.get(name))
        .map(|v| match v {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
    parts.collect::<Vec<_>>().join("/")
}
