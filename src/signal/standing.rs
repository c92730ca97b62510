//! Where every control stands against its exception budget, over it or not, by the same count as the signal.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::{
    budget::{Growth, held, scope, unjudged, weighed},
    index::{Index, number},
    options::Options,
};

/// Why a budget is not judged, however many teams hold an exception.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unjudged {
    /// Too few asks were approved in its year.
    FewAsks,
    /// Too little of its year was seen.
    TooYoung,
    /// Those who asked come from too few departments.
    FewDepartments,
    /// Somebody asked in too few quarters of it: it may be one wave.
    FewQuarters,
}

/// How the share of teams lies to what the budget allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spending {
    /// Above it, as surely as a signal must be.
    Above,
    /// Neither above nor within can be told from so few teams.
    NotTold,
    /// Within it, as surely.
    Within,
    /// It looks above it, and a rule of the signal holds it back.
    NotJudged(Unjudged),
}

/// The teams that hold an exception from a control.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standing {
    /// Distinct teams with an approved exception in the budget's year.
    pub teams: u32,
    /// Teams in scope.
    pub scope: u32,
    /// Its budget; nothing where none is declared.
    pub spent: Option<Spent>,
}

/// What that is beside a declared budget.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spent {
    /// The declared budget.
    pub budget: f64,
    /// The budget at today's volume of asks.
    pub allowed: f64,
    /// The chance that the share of teams, without the densest days, is above what is allowed.
    pub posterior: f64,
    /// What that comes to.
    pub spending: Spending,
}

/// Of every control, by its id.
#[must_use]
pub fn standings(
    index: &Index<'_>,
    options: &Options,
    today: NaiveDate,
) -> BTreeMap<String, Standing> {
    let today = number(today);
    let growth = Growth::of(index, options, today);
    let of = |(at, id): (usize, &str)| {
        let held = held(index, options, today, at)?;
        let spent = weighed(index, options, (at, &held), &growth).map(|spent| {
            let sure = options.credibility;
            let spending = if spent.posterior >= sure {
                unjudged(index, options, today, &held).map_or(Spending::Above, Spending::NotJudged)
            } else if spent.posterior <= 1.0 - sure {
                Spending::Within
            } else {
                Spending::NotTold
            };
            Spent {
                budget: spent.budget,
                allowed: spent.allowed,
                posterior: spent.posterior,
                spending,
            }
        });
        let standing = Standing {
            teams: held.teams,
            scope: scope(index, at),
            spent,
        };
        Some((id.to_owned(), standing))
    };
    let controls = index.controls.iter().map(|c| c.id).enumerate();
    controls.filter_map(of).collect()
}
