//! The report in three to six sentences, each with its numbers and of how many.

use std::fmt::Write as _;

use super::{
    model::{Measure, Period, Signal, Standing, Trend},
    section,
    value::{Known, Shown},
};
use crate::notify::text::{counted, line};

/// The sentences, the most important first.
pub fn sentences(trend: &Trend) -> Vec<String> {
    if let Some(nothing) = nothing(&trend.period) {
        return vec![nothing];
    }
    let mut all = Vec::with_capacity(6);
    all.push(signals(trend));
    all.extend(what_if(trend));
    all.push(asks(trend));
    all.extend(budgets(trend));
    all.push(stock(trend));
    all.extend(worked(trend));
    all
}

/// Of a period that was over before the register began there is nothing else to say.
fn nothing(period: &Period) -> Option<String> {
    period.seen.is_none().then(|| {
        format!(
            "Nothing is known here of {}: the register begins on {}.",
            line(&period.name),
            period.since.shown()
        )
    })
}

fn signals(trend: &Trend) -> String {
    let Some(first) = trend.signals.first() else {
        return section::front::none(trend);
    };
    let counts = &trend.counts;
    let is = |n: u64| if n == 1 { "is" } else { "are" };
    let mut said = match counts.open {
        0 => "No signal waits for a conclusion".to_owned(),
        n => format!("{} {} open", counted(n, "signal"), is(n)),
    };
    if counts.overdue > 0 {
        let _ = match counts.overdue {
            1 if counts.open == 1 => write!(said, ", and its conclusion is overdue"),
            n if n == counts.open => write!(said, ", all of them overdue"),
            n => write!(said, ", {} of them overdue", n.shown()),
        };
    }
    if counts.concluded > 0 {
        let n = counts.concluded;
        let _ = write!(
            said,
            "; {} {} concluded and not over",
            counted(n, "signal"),
            is(n)
        );
    }
    let which = if trend.signals.len() == 1 {
        ""
    } else {
        "The most urgent: "
    };
    format!("{said}. {which}{}", line(&first.sentence))
}

/// Of the most urgent signal that has one.
fn what_if(trend: &Trend) -> Option<String> {
    let knee = |s: &'_ Signal| s.candidates.iter().find(|c| c.is_knee).cloned();
    let of = |s| knee(s).map(|c| (s, c));
    let (signal, knee) = trend.signals.iter().find_map(of)?;
    let newly = &knee.newly_admitted;
    let grave = newly.critical + newly.high;
    Some(format!(
        "For {}: {} would clear {} of the exceptions in force and {} of their teams, and newly admit {} that fail{}.",
        line(&signal.id),
        line(&knee.summary),
        knee.cleared.shown(),
        knee.teams_cleared.shown(),
        counted(newly.total, "subject"),
        if newly.total == 0 {
            String::new()
        } else {
            format!(", {} of high risk or above", grave.shown())
        }
    ))
}

fn asks(trend: &Trend) -> String {
    let period = &trend.period;
    let Some(first) = trend.comparisons.first() else {
        return format!("No exception was asked for in {}.", line(&period.name));
    };
    let then = |value: &Known<Measure>| match value {
        Known::Value(value) => value.shown(),
        Known::Unknown(why) => format!("not known ({})", line(why)),
    };
    let begins = if period.is_in_part() {
        format!(", since the register began on {}", period.since.shown())
    } else {
        String::new()
    };
    let (so_far, before, year) = if period.is_over {
        ("", "quarter before", "same quarter of the year before")
    } else {
        (
            " so far",
            "as many days of the quarter before",
            "of the same quarter of the year before",
        )
    };
    format!(
        "{}: {} in {}{so_far}{begins}; {before}: {}; {year}: {}.",
        section::capital(&line(&first.what)),
        then(&first.now),
        line(&period.name),
        then(&first.quarter_before),
        then(&first.year_before),
    )
}

fn budgets(trend: &Trend) -> Option<String> {
    let rows: Vec<_> = trend
        .policies
        .iter()
        .flat_map(|p| &p.budgets)
        .filter_map(|b| Some((b, b.teams.value()?, b.budget.value()?)))
        .collect();
    if rows.is_empty() {
        return None;
    }
    let mut over: Vec<_> = rows
        .iter()
        .filter(|(row, ..)| row.standing == Standing::Above)
        .collect();
    over.sort_by(|a, b| (b.1.ratio() - b.2.0).total_cmp(&(a.1.ratio() - a.2.0)));
    let of = counted(rows.len() as u64, "control");
    let open = rows
        .iter()
        .filter(|(row, ..)| matches!(row.standing, Standing::NotTold | Standing::NotJudged));
    let rest = match open.count() as u64 {
        0 => String::new(),
        n => format!(" Of {} it cannot be told.", counted(n, "control")),
    };
    Some(match over.first() {
        None => format!("No control is above its exception budget, of {of} with a budget.{rest}"),
        Some((row, teams, budget)) => format!(
            "Above the exception budget: {} of {of} with a budget. Furthest is {}: \
                {} of the teams in scope held an exception within its year, the budget is {}.{rest}",
            over.len(),
            line(&row.control),
            teams.shown(),
            budget.shown(),
        ),
    })
}

fn stock(trend: &Trend) -> String {
    let register = &trend.register;
    let Some(last) = register.months.last() else {
        return "No exception is on record.".to_owned();
    };
    let seen = &register.variance;
    let verb = |n: u64, one: &str, many: &str| {
        format!("{} {}", n.shown(), if n == 1 { one } else { many })
    };
    format!(
        "{} {} on {}: {} a while, {} an unresolved policy gap, {} neither. Older than 180 days: {}.",
        counted(last.active, "exception"),
        if last.active == 1 { "stands" } else { "stand" },
        register.on.shown(),
        verb(seen.temporary, "bridges", "bridge"),
        verb(seen.policy_gap, "shows", "show"),
        verb(seen.unclear, "is", "are"),
        register.older_than_180_days.shown(),
    )
}

fn worked(trend: &Trend) -> Option<String> {
    let effect = trend.effects.first()?;
    let since = effect.on.shown();
    Some(match &effect.ratio {
        Known::Value(ratio) => {
            let verdict = if ratio.high < 1.0 {
                "fell"
            } else if ratio.low > 1.0 {
                "rose"
            } else {
                "did not change beyond chance"
            };
            format!(
                "Since “{}” ({since}) asks {verdict}: the rate is {} times what it was, 95 \
                    % interval.",
                line(&effect.change),
                ratio.shown(),
            )
        }
        Known::Unknown(why) => format!(
            "What “{}” ({since}) did to the asks is not known: {}.",
            line(&effect.change),
            line(why)
        ),
    })
}
