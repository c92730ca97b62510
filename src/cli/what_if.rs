//! `tripline what-if`: a changed control tried on the evidence that was kept, and what an exception would cover.

use std::{collections::BTreeMap, process::ExitCode};

use chrono::NaiveDate;
use clap::Args as Arguments;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::{
    CLEAN, NOT_CHECKED, USAGE,
    named::refuse,
    open::Opened,
    out::{Format, Ink, Out, column},
    runs::object,
};
use crate::{
    model::{
        exception::State,
        id::{ControlId, ExceptionId},
        span::Span,
    },
    register,
    review::{self, Suggestions, WhatIf, change::Change},
    store::{Found, exceptions},
};

/// Try a changed control on the past, or see what an exception would cover. Changes nothing.
#[derive(Debug, Clone, Arguments)]
pub struct Args {
    /// Ask as of this instant, of what was collected by then; whatever writes is refused outside a rehearsal.
    #[arg(long, value_name = "TIME")]
    pub(super) as_of: Option<chrono::DateTime<chrono::Utc>>,
    /// A control, or an exception (`EXC-2027-0001`).
    what: String,
    /// A parameter's new value (`rotate_within=120d`, may be given more than once).
    #[arg(long = "set", value_name = "NAME=VALUE", id = "change", help = SET)]
    set: Vec<String>,
    /// Another failure condition.
    #[arg(long, value_name = "SQL")]
    fails_when: Option<String>,
    /// Only for rows of which this is true (`vendor = 'Acme'`).
    #[arg(long = "where", value_name = "SQL")]
    scope: Option<String>,
    /// How far back, week by week: a number of weeks (`26w`) or a day (`2026-06-01`).
    #[arg(long, value_name = "SPAN|DATE", default_value = "26w")]
    since: Since,
    /// Whom the change is for (`vendor=Acme`, may be given more than once): `--where` in the words of the control's facts.
    #[arg(long, value_name = "FACT=VALUE")]
    fact: Vec<String>,
}

/// What `--set` is where a control is changed and not a setting.
pub(super) const SET: &str = "A parameter of the control and its new value (`rotate_within=120d`, may be given more than once)";

/// How far back to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Since {
    Weeks(u32),
    Day(NaiveDate),
}

impl Since {
    /// The most weeks that are looked at: five years.
    const MOST: u32 = 260;

    /// How many weeks that is from a day on, that of the day included.
    fn weeks(self, today: NaiveDate) -> Result<u32, String> {
        let weeks = match self {
            Self::Weeks(weeks) => weeks,
            Self::Day(day) if day > today => {
                return Err(format!("`--since {day}` is not past yet"));
            }
            Self::Day(day) => {
                let weeks = (review::monday(today) - review::monday(day)).num_weeks() + 1;
                u32::try_from(weeks).unwrap_or(u32::MAX)
            }
        };
        if weeks > Self::MOST {
            return Err(format!(
                "`--since` reaches {weeks} weeks back, and at most {} are looked at",
                Self::MOST
            ));
        }
        Ok(weeks)
    }
}

impl std::str::FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(day) = text.parse() {
            return Ok(Self::Day(day));
        }
        let span: Span = text
            .parse()
            .map_err(|_| "write a number of weeks (`26w`) or a day (`2026-06-01`)".to_owned())?;
        let week = Span::days(7).as_millis();
        if span.as_millis() < week {
            return Err(format!(
                "{span} is less than a week, and the past is looked at week by week"
            ));
        }
        Ok(Self::Weeks(
            u32::try_from(span.as_millis().div_ceil(week)).unwrap_or(u32::MAX),
        ))
    }
}

/// Does what the arguments say. Without a change, changes are suggested.
///
/// # Errors
/// When the store or the evidence cannot be read.
pub(super) async fn run(args: &Args, opened: &Opened, out: &mut Out) -> anyhow::Result<ExitCode> {
    let is_change = !args.set.is_empty() || args.fails_when.is_some();
    let kind = args.what.get(..4).unwrap_or_default().to_ascii_uppercase();
    if kind == "EXC-" {
        if is_change || args.scope.is_some() || !args.fact.is_empty() {
            return refuse(
                USAGE,
                "an exception is tried as it is: `--set`, `--fails-when`, `--where` and `--fact` change a control",
            );
        }
        return exception(&args.what.to_ascii_uppercase(), opened, out).await;
    }
    if kind == "SIG-" {
        return refuse(
            USAGE,
            format!(
                "`tripline signals show {}` says which changes would help; `tripline what-if CONTROL` tries one",
                args.what
            ),
        );
    }
    let control = ControlId::new(&args.what);
    let (set, facts) = match (pairs(&args.set), pairs(&args.fact)) {
        (Ok(set), Ok(facts)) => (set, facts.into_iter().collect()),
        (Err(said), _) | (_, Err(said)) => return refuse(USAGE, said),
    };
    let described = match described(opened, &control, &facts) {
        Ok(described) => described,
        Err(said) => return refuse(USAGE, said),
    };
    if !is_change {
        if args.scope.is_some() {
            return refuse(
                USAGE,
                "`--where` says whom a change is for: name the change with `--set` or `--fails-when`",
            );
        }
        return suggest(opened, &control, facts, out).await;
    }
    let scopes: Vec<String> = args.scope.iter().cloned().chain(described).collect();
    let change = Change {
        set,
        fails_when: args.fails_when.clone(),
        scope: match scopes.as_slice() {
            [] => None,
            [one] => Some(one.clone()),
            all => Some(format!("({})", all.join(") AND ("))),
        },
    };
    let weeks = match args.since.weeks(opened.now().date_naive()) {
        Ok(weeks) => weeks,
        Err(said) => return refuse(USAGE, said),
    };
    let bar = if Out::stderr().is_terminal() {
        ProgressBar::new(u64::from(weeks))
    } else {
        ProgressBar::hidden()
    };
    let style =
        ProgressStyle::with_template("{spinner} {pos} of {len} weeks judged again, {elapsed}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let mut seen = |done: u32| bar.set_position(u64::from(done));
    let tried = review::what_if(
        &opened.cx,
        &opened.set,
        (&control, &change),
        weeks,
        &mut seen,
    )
    .await;
    bar.finish_and_clear();
    match tried {
        Ok(tried) => print(&tried, out),
        Err(review::Error::Refused(said)) => refuse(USAGE, said),
        Err(error) => Err(error.into()),
    }
}

/// Facts as a condition over the rows of the control, or which facts it has.
fn described(
    opened: &Opened,
    control: &ControlId,
    facts: &BTreeMap<String, String>,
) -> Result<Option<String>, String> {
    let Some(control) = opened
        .set
        .catalog
        .control(control)
        .filter(|_| !facts.is_empty())
    else {
        return Ok(None);
    };
    if let Some(unknown) = facts.keys().find(|fact| !control.facts.contains_key(*fact)) {
        let known: Vec<&str> = control.facts.keys().map(String::as_str).collect();
        let known = if known.is_empty() {
            "it has none".to_owned()
        } else {
            format!("it has {}", known.join(", "))
        };
        return Err(format!("`{}` has no fact `{unknown}`; {known}", control.id));
    }
    Ok(review::scope(control, facts))
}

/// `name=value` pairs, or what is wrong with one. A name is given once.
pub(super) fn pairs(all: &[String]) -> Result<Vec<(String, String)>, String> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for one in all {
        let (name, value) = one
            .split_once('=')
            .ok_or_else(|| format!("`{one}` is no `name=value`"))?;
        let (name, value) = (name.trim(), value.trim());
        if pairs.iter().any(|(known, _)| known == name) {
            return Err(format!("`{name}` is given more than once"));
        }
        pairs.push((name.to_owned(), value.to_owned()));
    }
    Ok(pairs)
}

fn print(tried: &WhatIf, out: &mut Out) -> anyhow::Result<ExitCode> {
    let code = if tried.latest.is_some() {
        CLEAN
    } else {
        NOT_CHECKED
    };
    if out.format() == Format::Json {
        let mut whole = json!(tried);
        if let Value::Object(map) = &mut whole {
            map.insert("sentence".to_owned(), json!(tried.sentence()));
        }
        out.json(&whole)?;
        return Ok(ExitCode::from(code));
    }
    let columns = [
        column("week", "WEEK OF"),
        column("population", "SUBJECTS"),
        column("failing", "FAILED"),
        column("would_fail", "WOULD FAIL"),
        column("cleared", "CLEARED"),
        column("admitted", "ADMITTED"),
        column("newly_failing", "NEWLY FAILING"),
        column("unknown", "UNKNOWN"),
        column("missing", "NOT JUDGED BECAUSE"),
    ];
    if out.format() != Format::Table {
        out.list(&columns, tried.weeks.iter().map(|w| object(json!(w))))?;
        return Ok(ExitCode::from(code));
    }
    let heading = out.ink(Ink::Bold, &tried.sentence());
    out.line(heading)?;
    out.line("")?;
    // Weeks before the first that could be judged say nothing.
    let first = tried.weeks.iter().position(|w| w.missing.is_none());
    let shown = first.and_then(|n| tried.weeks.get(n..)).unwrap_or_default();
    out.list(&columns, shown.iter().map(|w| object(json!(w))))?;
    let unjudged = tried.weeks.len() - shown.len();
    if unjudged > 0 {
        out.line(format!(
            "{unjudged} earlier weeks could not be judged: no run of them is kept."
        ))?;
    }
    let Some(latest) = &tried.latest else {
        return Ok(ExitCode::from(code));
    };
    out.line("")?;
    if latest.moved.is_empty() {
        out.line("It moves nobody in the last of them: no row is for whom it is, or none lies between the old limit and the new.")?;
    } else {
        out.line(format!(
            "In the last of them, as of {}:",
            latest.instant.format("%Y-%m-%d %H:%M UTC")
        ))?;
    }
    for (title, which) in [
        ("Newly admitted", "newly_admitted"),
        ("Cleared", "cleared"),
        ("Newly failing", "newly_failing"),
        ("Cannot be told", "unknown"),
    ] {
        let all: Vec<_> = latest.moved.iter().filter(|m| m.becomes == which).collect();
        if all.is_empty() {
            continue;
        }
        out.line(format!("  {title} ({}):", all.len()))?;
        for one in all.iter().take(SHOWN) {
            let by = one.exceptions.first();
            let by = by.map_or_else(String::new, |e| format!(", {e}"));
            let facts: Vec<String> = one.facts.iter().map(|(k, v)| format!("{k} {v}")).collect();
            let facts = if facts.is_empty() {
                String::new()
            } else {
                format!(" ({})", facts.join(", "))
            };
            out.line(format!("    {} {}{by}{facts}", one.severity, one.subject))?;
        }
        if all.len() > SHOWN {
            out.line(format!(
                "    and {} more (--format json)",
                all.len() - SHOWN
            ))?;
        }
    }
    for veto in &latest.vetoes {
        out.line(format!("  Look before you admit it: {veto}"))?;
    }
    for dropped in &latest.dropped_conditions {
        out.line(format!(
            "  Approvers asked for this, and nobody would any more: {dropped}"
        ))?;
    }
    if let Some(near) = latest.near_limit.filter(|n| *n > 0) {
        out.line(format!("  {near} of those that would pass lie within 5 % of the new limit: expect them to drift over it."))?;
    }
    out.line("")?;
    let dim = out.ink(Ink::Dim, LIMITS);
    out.line(dim)?;
    Ok(ExitCode::from(code))
}

/// The most subjects of a kind on a screen.
const SHOWN: usize = 10;

/// What a what-if cannot know.
const LIMITS: &str = "It assumes that people would have done the same, and sees only subjects with evidence; that an exception was approved \
                      does not say that its risk is acceptable for all.";

async fn suggest(
    opened: &Opened,
    control: &ControlId,
    facts: BTreeMap<String, String>,
    out: &mut Out,
) -> anyhow::Result<ExitCode> {
    let descriptors = if facts.is_empty() {
        Vec::new()
    } else {
        vec![facts]
    };
    let all = match review::suggest(&opened.cx, &opened.set, control, &descriptors).await {
        Ok(all) => all,
        Err(review::Error::Refused(said)) => return refuse(USAGE, said),
        Err(review::Error::Untried(why)) => return refuse(NOT_CHECKED, why),
        Err(error) => return Err(error.into()),
    };
    if out.format() == Format::Table {
        suggestions(&all, out)?;
        if all.iter().all(|s| s.candidates.is_empty()) {
            out.line(format!(
                "No change of a parameter of `{control}` would clear an exception. Try a condition with `--fails-when`."
            ))?;
        }
    } else {
        out.json(&json!(all))?;
    }
    Ok(ExitCode::from(CLEAN))
}

/// The frontier of each parameter, the marked one first.
pub(super) fn suggestions(all: &[Suggestions], out: &mut Out) -> anyhow::Result<()> {
    for one in all {
        let shown = one.candidates.iter().filter(|c| c.is_frontier || c.is_knee);
        let columns = [
            column("try", "CHANGE"),
            column("cleared", "CLEARS"),
            column("teams", "TEAMS"),
            column("admits", "ADMITS"),
            column("severe", "OF HIGH RISK"),
            column("unknown", "UNKNOWN"),
            column("mark", ""),
        ];
        let rows = shown.map(|c| {
            object(json!({
                "try": one.flags(c),
                "cleared": format!("{} of {}", c.cleared.len(), c.of),
                "teams": format!("{} of {}", c.teams, c.of_teams),
                "admits": c.admits(),
                "severe": c.admitted.iter().skip(2).sum::<usize>(),
                "unknown": c.unknown,
                "mark": if c.is_knee { "worth most" } else if c.vetoes.is_empty() { "" } else { "look first" },
            }))
        });
        out.list(&columns, rows)?;
    }
    Ok(())
}

/// What an exception covers, or would.
async fn exception(name: &str, opened: &Opened, out: &mut Out) -> anyhow::Result<ExitCode> {
    let found = exceptions::named(&mut opened.store().read().await?, name).await?;
    let record = match found {
        Found::One(record) => record,
        Found::Nothing => {
            return refuse(USAGE, format!("there is no exception `{name}`"));
        }
        Found::Several(names) => {
            return refuse(
                USAGE,
                format!("`{name}` is the beginning of {}", names.join(", ")),
            );
        }
    };
    let id = ExceptionId::from(record.id.as_str());
    let covers = match register::covers(&opened.cx, &opened.set, &id).await {
        Ok(covers) => covers,
        Err(error @ (register::Error::Refused(_) | register::Error::Nothing(_))) => {
            return refuse(USAGE, error);
        }
        Err(error) => return Err(error.into()),
    };
    // Of a subject that nobody could look at nothing is told, and nothing is told of an exception without subjects.
    let is_told = !covers.is_empty() && covers.iter().all(|c| c.outcome != "unknown");
    let code = ExitCode::from(if is_told { CLEAN } else { NOT_CHECKED });
    if out.format() == Format::Json {
        out.json(&json!(covers))?;
        return Ok(code);
    }
    let stands = record.state_at(opened.now());
    let verb = if stands == State::Active {
        "covers"
    } else {
        "would cover"
    };
    if out.format() == Format::Table {
        out.line(format!("{id} is {stands}. On evidence of now it {verb}:"))?;
    }
    let columns = [
        column("control", "CONTROL"),
        column("subject", "SUBJECT"),
        column("outcome", "OUTCOME"),
        column("covered", "COVERED"),
        column("because", "BECAUSE"),
    ];
    out.list(&columns, covers.iter().map(|c| object(json!(c))))?;
    Ok(code)
}
