//! The report in three to six sentences, each with its numbers and of how many.

use super::{
    model::{Measure, Signal, Trend},
    section,
    value::{Known, Shown},
};
use crate::notify::text::{counted, line};

/// The sentences, the most important first.
pub fn sentences(trend: &Trend) -> Vec<String> {
    let mut all = Vec::with_capacity(6);
    all.push(signals(trend));
    all.extend(what_if(trend));
    all.push(asks(trend));
    all.extend(budgets(trend));
    all.push(stock(trend));
    all.extend(worked(trend));
    all
}

fn signals(trend: &Trend) -> String {
    let Some(first) = trend.signals.first() else {
        return section::front::none(trend);
    };
    let n = trend.signals.len();
    let verb = if n == 1 { "is" } else { "are" };
    format!(
        "{} {verb} open. {} {}",
        counted(n as u64, "signal"),
        if n == 1 { "" } else { "The most urgent:" },
        line(&first.sentence)
    )
    .replace("  ", " ")
}

fn what_if(trend: &Trend) -> Option<String> {
    let knee = |s: &Signal| s.candidates.iter().find(|c| c.is_knee).cloned();
    let knee = trend.signals.first().and_then(knee)?;
    let newly = &knee.newly_admitted;
    let grave = newly.critical + newly.high;
    Some(format!(
        "{} would clear {} exceptions and {} teams, and newly admit {} that fail today, {} \
            of them rated high or critical.",
        line(&knee.summary),
        knee.cleared.shown(),
        knee.teams_cleared.shown(),
        counted(newly.total, "subject"),
        grave.shown(),
    ))
}

fn asks(trend: &Trend) -> String {
    let Some(first) = trend.comparisons.first() else {
        return format!(
            "No exception was asked for in {}.",
            line(&trend.period.name)
        );
    };
    let then = |value: &Known<Measure>| match value {
        Known::Value(value) => value.shown(),
        Known::Unknown(why) => format!("not known ({})", line(why)),
    };
    format!(
        "{}: {} in {}; quarter before: {}; same quarter of the year before: {}.",
        line(&first.what),
        then(&first.now),
        line(&trend.period.name),
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
        .filter(|(_, teams, budget)| teams.ratio() > budget.0)
        .collect();
    over.sort_by(|a, b| (b.1.ratio() - b.2.0).total_cmp(&(a.1.ratio() - a.2.0)));
    let of = counted(rows.len() as u64, "control");
    Some(match over.first() {
        None => format!("No control is over its exception budget, of {of} that declare one."),
        Some((row, teams, budget)) => format!(
            "Over the exception budget: {} of {of} that declare one. Furthest over is {}: \
                {} of the teams in scope hold an exception, the budget is {}.",
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
    format!(
        "{} stand at the end of the period: {} bridge a while, {} show an unresolved policy \
            gap, {} cannot be told. Older than 180 days: {}.",
        counted(last.active, "exception"),
        register.variance.temporary.shown(),
        register.variance.policy_gap.shown(),
        register.variance.unclear.shown(),
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
