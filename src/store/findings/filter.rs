//! Lists of findings: which, in what order, which part.

use chrono::{DateTime, Utc};
use sqlx::QueryBuilder;

use super::read_all;
use crate::{
    model::{
        finding::{Finding, Status},
        id::{ControlId, SubjectId},
        policy::Severity,
    },
    store::{
        Tx,
        error::Result,
        row::{Page, Place, int, us},
    },
};

/// Which findings; what is empty or absent asks for nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    /// Standing in one of these.
    pub status: Vec<Status>,
    /// With an open episode.
    pub open: bool,
    /// As bad as one of these.
    pub severity: Vec<Severity>,
    /// Of one of these controls.
    pub controls: Vec<ControlId>,
    /// On this subject.
    pub subject: Option<SubjectId>,
    /// Owned by somebody.
    pub owned: Option<Owned>,
    /// Kept silent by an exception, or not.
    pub covered: Option<bool>,
    /// Nothing is known of them at present, or something is.
    pub unverified: Option<bool>,
    /// Changed at that instant or later.
    pub changed_since: Option<DateTime<Utc>>,
}

/// Whose a finding is: its own owners decide, and where it has none, its control's.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Owned {
    /// Every name that stands for the owner.
    pub names: Vec<String>,
    /// The controls whose owner it is.
    pub controls: Vec<ControlId>,
}

/// What comes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// The most severe, and of those the oldest.
    #[default]
    Worst,
    /// What changed last.
    Newest,
}

impl Order {
    fn sql(self) -> &'static str {
        match self {
            Self::Worst => {
                " order by case severity when 'critical' then 0 when 'high' then 1 when 'medium' then 2 else 3 end, \
                 first_seen, key"
            }
            Self::Newest => " order by changed_at desc, key",
        }
    }
}

/// Pushes ` and column in (…)`, or nothing for an empty list.
macro_rules! among {
    ($query:ident, $column:literal, $values:expr) => {
        if let Some((first, rest)) = $values.split_first() {
            $query
                .push(concat!(" and ", $column, " in ("))
                .push_bind(first.as_str());
            for value in rest {
                $query.push(", ").push_bind(value.as_str());
            }
            $query.push(")");
        }
    };
}

/// With an open episode, as the partial index says it.
pub(super) const OPEN: &str = "status in ('open', 'clearing', 'flapping')";

macro_rules! filter {
    ($query:ident, $filter:expr) => {{
        let filter: &Filter = $filter;
        among!($query, "status", filter.status);
        among!($query, "severity", filter.severity);
        among!($query, "control", filter.controls);
        if filter.open {
            $query.push(" and ").push(OPEN);
        }
        if let Some(subject) = &filter.subject {
            $query.push(" and subject = ").push_bind(subject.as_str());
        }
        if let Some(covered) = filter.covered {
            $query.push(if covered {
                " and covered_by is not null"
            } else {
                " and covered_by is null"
            });
        }
        if let Some(unverified) = filter.unverified {
            $query.push(if unverified {
                " and unverified_since is not null"
            } else {
                " and unverified_since is null"
            });
        }
        if let Some(since) = filter.changed_since {
            $query.push(" and changed_at >= ").push_bind(us(since));
        }
        if let Some(owned) = &filter.owned {
            $query.push(" and (key in (select finding from finding_owner where true");
            among!($query, "owner", owned.names);
            $query.push(if owned.names.is_empty() {
                " and false)"
            } else {
                ")"
            });
            $query.push(
                " or not exists (select 1 from finding_owner o where o.finding = finding.key)",
            );
            among!($query, "control", owned.controls);
            $query.push(if owned.controls.is_empty() {
                " and false)"
            } else {
                ")"
            });
        }
    }};
}

/// The findings that a filter lets through.
pub async fn list(tx: &mut Tx, filter: &Filter, order: Order, page: Page) -> Result<Vec<Finding>> {
    let raw = on!(tx, c => {
        let mut q = QueryBuilder::new("select * from finding where true");
        filter!(q, filter);
        q.push(order.sql());
        q.push(" limit ").push_bind(i64::from(page.limit));
        q.push(" offset ").push_bind(int(page.offset));
        q.build_query_as().fetch_all(c).await
    })?;
    read_all(raw)
}

/// How many findings a filter lets through.
pub async fn count(tx: &mut Tx, filter: &Filter) -> Result<u64> {
    let n: i64 = on!(tx, c => {
        let mut q = QueryBuilder::new("select count(*) from finding where true");
        filter!(q, filter);
        q.build_query_scalar().fetch_one(c).await
    })?;
    Place {
        table: "finding",
        id: "",
    }
    .count("count", n)
}
