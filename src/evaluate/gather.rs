//! From the rows that came out of the engine to what is said of each subject under one condition. Rows come sorted by
//! subject, so one subject is held at a time; the rows that decide are those of its worst rank.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, RecordBatch},
        datatypes::Int8Type,
    },
    common::{DataFusionError, Result},
};
use serde_json::Value;

use super::judge::{self, FAIL, SUBJECT, UNKNOWN};
use crate::{
    evidence::row,
    model::{
        control::{Control, Given},
        id::SubjectId,
        outcome::{MAX_ROWS, Observed, Outcome, Row, Unknown},
        policy::Severity,
    },
};

/// Collects what is said of each subject.
pub(super) struct Gather<'a> {
    control: &'a Control,
    /// What its rank is called.
    rank: String,
    open: Option<Group>,
    done: Vec<Observed>,
}

/// One subject while its rows go by. A missing subject stands for all rows that name none.
struct Group {
    subject: Option<String>,
    rank: i8,
    rows: Vec<Row>,
    count: u64,
    severity: Severity,
    owners: BTreeSet<String>,
    fingerprint: BTreeMap<String, BTreeSet<String>>,
    facts: BTreeMap<String, BTreeSet<String>>,
}

impl<'a> Gather<'a> {
    pub(super) fn new(control: &'a Control, condition: usize) -> Self {
        Self {
            control,
            rank: judge::rank(condition),
            open: None,
            done: Vec::new(),
        }
    }

    /// Takes the next rows.
    pub(super) fn take(&mut self, batch: &RecordBatch) -> Result<()> {
        let missing = || DataFusionError::Internal("a column of the outcome is missing".to_owned());
        let subjects = batch
            .column_by_name(SUBJECT)
            .and_then(|c| c.as_string_view_opt())
            .ok_or_else(missing)?;
        let ranks = batch
            .column_by_name(&self.rank)
            .and_then(|c| c.as_primitive_opt::<Int8Type>())
            .ok_or_else(missing)?;
        let columns = Columns::of(batch);
        for at in 0..batch.num_rows() {
            let subject = subjects.is_valid(at).then(|| subjects.value(at));
            // Whatever a row without a name would say, it says of nobody.
            let rank = subject.map_or(UNKNOWN, |_| ranks.value(at));
            let is_its = |g: &&Group| g.subject.as_deref() == subject;
            let so_far = self.open.as_ref().filter(is_its).map(|g| g.rank);
            if so_far.is_none() {
                self.close();
            }
            // Nothing that was seen of a subject counts beside something worse.
            if so_far.is_none_or(|worst| rank < worst) {
                self.open = Some(Group::new(subject, rank, self.control));
            }
            if let Some(group) = self.open.as_mut().filter(|g| g.rank == rank) {
                group.add(self.control, &columns, at);
            }
        }
        Ok(())
    }

    /// What is said of each subject, sorted by subject.
    pub(super) fn finish(mut self) -> Vec<Observed> {
        self.close();
        self.done.sort_by(|a, b| a.subject.cmp(&b.subject));
        self.done
    }

    fn close(&mut self) {
        if let Some(group) = self.open.take() {
            self.done.push(group.observed(self.control));
        }
    }
}

/// The columns of the evidence in a batch.
struct Columns<'a> {
    named: Vec<(&'a str, &'a ArrayRef)>,
}

impl<'a> Columns<'a> {
    fn of(batch: &'a RecordBatch) -> Self {
        let fields = batch.schema_ref().fields();
        Self {
            named: fields
                .iter()
                .map(|f| f.name().as_str())
                .zip(batch.columns())
                .filter(|(name, _)| !judge::is_ours(name))
                .collect(),
        }
    }

    fn row(&self, at: usize) -> Row {
        self.named
            .iter()
            .map(|(name, column)| ((*name).to_owned(), row::value(column, at)))
            .collect()
    }

    /// The value of a column as text; nothing where it is NULL or there is no such column.
    fn text(&self, name: &str, at: usize) -> Option<String> {
        let (_, column) = self.named.iter().find(|(n, _)| *n == name)?;
        match row::value(column, at) {
            Value::Null => None,
            Value::String(text) => Some(text),
            other => Some(other.to_string()),
        }
    }
}

impl Group {
    fn new(subject: Option<&str>, rank: i8, control: &Control) -> Self {
        let sets = |names: &mut dyn Iterator<Item = &String>| {
            names.map(|n| (n.clone(), BTreeSet::new())).collect()
        };
        Self {
            subject: subject.map(str::to_owned),
            rank,
            rows: Vec::new(),
            count: 0,
            severity: Severity::Low,
            owners: BTreeSet::new(),
            fingerprint: sets(&mut control.fingerprint.iter()),
            facts: sets(&mut control.facts.keys()),
        }
    }

    fn add(&mut self, control: &Control, columns: &Columns<'_>, at: usize) {
        self.count += 1;
        if self.rows.len() < MAX_ROWS && !columns.named.is_empty() {
            self.rows.push(columns.row(at));
        }
        self.severity = self.severity.max(match &control.severity {
            Given::Fixed(severity) => *severity,
            Given::Column { column, otherwise } => columns
                .text(column, at)
                .and_then(|t| t.to_lowercase().parse().ok())
                .unwrap_or(*otherwise),
        });
        if let Given::Column { column, .. } = &control.owner {
            self.owners
                .extend(columns.text(column, at).filter(|o| !o.is_empty()));
        }
        for (name, values) in &mut self.fingerprint {
            values.extend(columns.text(name, at));
        }
        for (fact, values) in &mut self.facts {
            let column = control.facts.get(fact);
            values.extend(column.and_then(|c| columns.text(c, at)));
        }
    }

    fn observed(self, control: &Control) -> Observed {
        let lists = |sets: BTreeMap<String, BTreeSet<String>>| {
            sets.into_iter()
                .map(|(name, values)| (name, values.into_iter().collect::<Vec<_>>()))
        };
        let outcome = match (&self.subject, self.rank) {
            (None, _) => Outcome::Unknown(Unknown::Unnamed),
            (_, FAIL) => Outcome::Fail,
            (_, UNKNOWN) => Outcome::Unknown(Unknown::NullCondition),
            _ => Outcome::Pass,
        };
        Observed {
            subject: self.subject.map_or_else(
                || SubjectId::from(control.subject.to_string()),
                SubjectId::from,
            ),
            outcome,
            rows: self.rows,
            row_count: self.count,
            severity: self.severity,
            owners: self.owners.into_iter().collect(),
            fingerprint: lists(self.fingerprint).collect(),
            facts: lists(self.facts)
                .filter(|(_, values)| !values.is_empty())
                .map(|(fact, values)| (fact, values.join(", ")))
                .collect(),
        }
    }
}
