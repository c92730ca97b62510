//! One sentence for each thing that is said, with its numbers.

use super::{
    index::{Index, Key, NONE},
    pattern::{Because, Observed, Period},
};

/// A count with its noun.
pub(crate) fn of(count: u32, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// `11 teams in 6 departments`.
fn who(observed: &Observed) -> String {
    let teams = of(observed.teams, "team", "teams");
    match observed.departments {
        0 => teams,
        n => format!("{teams} in {}", of(n, "department", "departments")),
    }
}

/// ` where vendor = Acme and env = batch`; nothing when nothing is shared.
pub(crate) fn shared(index: &Index<'_>, key: Key) -> String {
    let items: Vec<String> = key
        .into_iter()
        .filter(|item| *item != NONE)
        .filter_map(|item| index.items.get(item as usize))
        .map(|(name, value)| format!("{name} = {value}"))
        .collect();
    if items.is_empty() {
        String::new()
    } else {
        format!(" where {}", items.join(" and "))
    }
}

fn day(date: chrono::NaiveDate) -> impl std::fmt::Display {
    date.format("%-d %B %Y")
}

/// Of an emergence.
pub(crate) fn emergence(
    control: &str,
    shared: &str,
    observed: &Observed,
    window: Period,
    mu: f64,
) -> String {
    format!(
        "{} asked for exceptions to {control}{shared} since {}: {} where {} expected.",
        who(observed),
        day(window.from),
        of(observed.units, "independent ask", "independent asks"),
        if mu < 0.1 {
            "less than 0.1 was".to_owned()
        } else {
            format!("{mu:.1} were")
        },
    )
}

/// Of a budget that is exceeded.
pub(crate) fn overspent(
    control: &str,
    shared: &str,
    (teams, scope): (u32, u32),
    (budget, allowed): (f64, f64),
    window: Period,
) -> String {
    let volume = if allowed > budget + 0.005 {
        format!(" ({:.0} % at today's volume of asks)", allowed * 100.0)
    } else {
        String::new()
    };
    format!(
        "{teams} of {scope} teams in scope held an approved exception to {control} since {}: the budget is {:.0} % \
         of teams{volume}{}.",
        day(window.from),
        budget * 100.0,
        if shared.is_empty() {
            String::new()
        } else {
            format!("; most are{shared}")
        },
    )
}

/// Of exceptions that do not end.
pub(crate) fn renewed(
    control: &str,
    exceptions: u32,
    teams: u32,
    (most, oldest): (u32, i32),
) -> String {
    format!(
        "{} to {control} of {} {} permanent in all but name: renewed up to {}, the oldest {oldest} days old.",
        of(exceptions, "exception", "exceptions"),
        of(teams, "team", "teams"),
        if exceptions == 1 { "is" } else { "are" },
        of(most, "time", "times"),
    )
}

/// Of too many temporary exceptions.
pub(crate) fn temporary(control: &str, share: f64, limit: f64) -> String {
    format!(
        "{:.0} % of the active exceptions to {control} are called temporary; its policy allows {:.0} %.",
        share * 100.0,
        limit * 100.0
    )
}

/// Of the watch rule.
pub(crate) fn watched(control: &str, shared: &str, observed: &Observed, days: u32) -> String {
    format!(
        "{} asked for exceptions to {control}{shared} within {days} days.",
        who(observed)
    )
}

/// Why something is no pattern.
pub(crate) fn turned_away(
    control: &str,
    shared: &str,
    observed: &Observed,
    because: Because,
    seen: &str,
) -> String {
    let asks = of(observed.asks, "ask", "asks");
    let why = match because {
        Because::Rollout => format!("the control's version is new: {seen} weeks"),
        Because::Bulk => format!("{} of them are duplicates", observed.duplicates),
        Because::OneTeam => format!("one team made most of them: {seen}"),
        Because::Incident => format!("most come out of one incident: {seen}"),
        Because::DeniedWave => format!("{} of them were denied", observed.denied),
        Because::Burst => format!("without the densest days {seen} teams are left"),
        Because::FewTeams => format!("{seen} teams are too few"),
        Because::FewDepartments => format!("{seen} departments are too few"),
        Because::NotLasting => {
            "their outcomes were not written down, and they have not lasted half a year".to_owned()
        }
        Because::OneCause => {
            "without the busiest team, the densest days or the largest incident, what is left is usual"
                .to_owned()
        }
        Because::Undecided => format!("{} of them are not decided yet", observed.pending),
    };
    format!("{asks} for {control}{shared} look like a pattern and are none: {why}.")
}
