//! Where answers become tables. Datasets that ask for the same thing share one reading: each answer is
//! cut once for each of them. What cannot be read is counted, never dropped in silence.

use serde_json::Value;

use super::{
    Progress, Sink,
    cell::Cell,
    columns::{Around, Problem, Shaper},
    error::{Error, Result},
    rows,
    settings::Parent,
};
use crate::{catalog::connector::Dataset, model::table::Table};

/// Takes the answers of one reading.
pub(super) struct Intake<'a> {
    cuts: Vec<Cut<'a>>,
    parents: Vec<Parent>,
    progress: Option<&'a dyn Progress>,
}

/// What one dataset made of a reading.
#[derive(Debug)]
pub(super) struct Cut<'a> {
    /// The dataset.
    pub(super) dataset: &'a Dataset,
    shaper: Shaper,
    /// Rows as the source counts them, before `unnest`.
    pub(super) listed: u64,
    /// Rows that could not be read.
    pub(super) undecoded: u64,
    /// The first of them.
    pub(super) problem: Option<Problem>,
    places: Vec<usize>,
}

impl<'a> Cut<'a> {
    fn new(dataset: &'a Dataset) -> Self {
        Self {
            dataset,
            shaper: Shaper::new(dataset),
            listed: 0,
            undecoded: 0,
            problem: None,
            places: Vec::new(),
        }
    }

    /// The rows in columns.
    pub(super) fn take_table(&mut self) -> Table {
        std::mem::replace(&mut self.shaper, Shaper::new(self.dataset)).finish()
    }

    fn note(&mut self, read: Result<(), Problem>) {
        if let Err(problem) = read {
            self.undecoded += 1;
            self.problem.get_or_insert(problem);
        }
    }

    fn document(&mut self, document: &Value, parents: &[Parent]) -> Result<()> {
        let garbage = |what| Error::Garbage {
            at: format!("`{}`", self.dataset.name),
            what,
        };
        let found = rows::locate(&self.dataset.rows, document).map_err(garbage)?;
        let inner = self.dataset.rows.unnest.is_some();
        self.listed += found.len() as u64;
        for row in found.each() {
            match rows::unnested(&self.dataset.rows, row) {
                Ok(rows) => {
                    for element in rows {
                        let read = self.shaper.push(
                            element,
                            Around {
                                outer: inner.then_some(row),
                                parents,
                            },
                        );
                        self.note(read);
                    }
                }
                Err(what) => {
                    let column = self
                        .dataset
                        .rows
                        .unnest
                        .as_ref()
                        .map(ToString::to_string)
                        .unwrap_or_default();
                    let unknown = crate::model::outcome::Unknown::SchemaChanged;
                    self.note(Err(Problem {
                        row: String::new(),
                        column,
                        what,
                        unknown,
                    }));
                }
            }
        }
        Ok(())
    }
}

impl<'a> Intake<'a> {
    /// An intake for datasets that ask for the same.
    pub(super) fn new(datasets: &[&'a Dataset], progress: Option<&'a dyn Progress>) -> Self {
        Self {
            cuts: datasets.iter().map(|d| Cut::new(d)).collect(),
            parents: Vec::new(),
            progress,
        }
    }

    /// From here on, answers are for these parent rows.
    pub(super) fn for_parents(&mut self, parents: Vec<Parent>) {
        self.parents = parents;
    }

    /// Rows as the source counts them, so far.
    pub(super) fn listed(&self) -> u64 {
        self.cuts.first().map_or(0, |c| c.listed)
    }

    /// What each dataset made of the reading.
    pub(super) fn finish(self) -> Vec<Cut<'a>> {
        self.cuts
    }

    fn tell(&self) {
        if let Some(progress) = self.progress {
            for cut in &self.cuts {
                progress.rows(&cut.dataset.name, cut.shaper.rows() as u64);
            }
        }
    }
}

impl Sink for Intake<'_> {
    fn page(&mut self, document: Value, beside: Vec<Parent>) -> Result<()> {
        let parents: Vec<Parent>;
        let around = if beside.is_empty() {
            &self.parents
        } else {
            parents = self.parents.iter().cloned().chain(beside).collect();
            &parents
        };
        for cut in &mut self.cuts {
            cut.document(&document, around)?;
        }
        self.tell();
        Ok(())
    }

    fn header(&mut self, names: &[String]) -> Result<Vec<usize>> {
        let mut all = Vec::new();
        for cut in &mut self.cuts {
            cut.places = cut
                .shaper
                .header(names)
                .map_err(|e| Error::Header(e.to_string()))?;
            all.extend(&cut.places);
        }
        all.sort_unstable();
        all.dedup();
        Ok(all)
    }

    fn cells(&mut self, row: &[Cell<'_>]) -> Result<()> {
        for cut in &mut self.cuts {
            cut.listed += 1;
            let read = cut.shaper.push_cells(row);
            cut.note(read);
        }
        if self
            .cuts
            .first()
            .is_some_and(|c| c.listed.is_multiple_of(1_000))
        {
            self.tell();
        }
        Ok(())
    }

    fn restart(&mut self) {
        for cut in &mut self.cuts {
            *cut = Cut::new(cut.dataset);
        }
    }
}

/// Keeps the answers of one child until all of them are there, so that a child that vanishes halfway
/// leaves nothing behind.
#[derive(Debug, Default)]
pub(super) struct Held {
    pages: Vec<(Value, Vec<Parent>)>,
}

impl Held {
    /// Hands over what was kept.
    pub(super) fn release(self, into: &mut Intake<'_>) -> Result<()> {
        self.pages
            .into_iter()
            .try_for_each(|(document, beside)| into.page(document, beside))
    }
}

impl Sink for Held {
    fn page(&mut self, document: Value, beside: Vec<Parent>) -> Result<()> {
        self.pages.push((document, beside));
        Ok(())
    }

    fn header(&mut self, _: &[String]) -> Result<Vec<usize>> {
        Err(Error::Settings(
            "only documents can be read for each row".to_owned(),
        ))
    }

    fn cells(&mut self, _: &[Cell<'_>]) -> Result<()> {
        Err(Error::Settings(
            "only documents can be read for each row".to_owned(),
        ))
    }

    fn restart(&mut self) {
        self.pages.clear();
    }
}
