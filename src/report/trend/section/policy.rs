//! The sections of one policy: asks over time, budgets, quarters, then what the asks share, what stands in the way of
//! teams, and its part of the register.

use super::{comparisons, counted, register, shared};
use crate::{
    chart::{
        Chart,
        bars::{Bar, Bars},
        line::{Flag, Line, Point, Shape},
    },
    notify::text,
    report::trend::{
        model::{BudgetRow, MarkKind, Period, PolicyTrend, Standing, Trend},
        outline::{Cell, Figure, Look, Section, Table, numbers, words},
        value::{Known, Shown},
    },
};

/// The sections, policy by policy.
pub(in crate::report::trend) fn all(trend: &Trend) -> Vec<Section> {
    // One scale for all policies, or their charts could not be compared.
    let top = trend
        .policies
        .iter()
        .flat_map(|p| &p.weeks)
        .map(|w| (w.asks as f64).max(w.expected.value().map_or(0.0, |b| b.high)))
        .fold(0.0, f64::max);
    trend
        .policies
        .iter()
        .enumerate()
        .flat_map(|(i, policy)| one(i, policy, (top, &trend.period)))
        .collect()
}

fn one(i: usize, policy: &PolicyTrend, (top, period): (f64, &Period)) -> Vec<Section> {
    let id = format!("p{}", i + 1);
    let base = format!("/policies/{i}");
    let mut head = Section::new(2, &id, &policy.title);
    let version = match &policy.version {
        Known::Value(v) => format!(
            "version {}, in force since {}",
            v.version,
            v.effective.shown()
        ),
        Known::Unknown(why) => format!("whose version then is not known ({})", text::line(why)),
    };
    let passes = if policy.checked.of == 0 {
        "Nothing of it had been checked.".to_owned()
    } else {
        format!(
            "{} of the subjects that were checked pass; checked were {} of those in scope.",
            policy.passed.shown(),
            policy.checked.shown(),
        )
    };
    head.say(&format!(
        "{}, {version}, owned by {}. {passes}",
        policy.id, policy.owner,
    ));
    head.figure(asks(&id, &base, policy, top));
    head.figure(comparisons(
        &id,
        &format!("{base}/comparisons"),
        &policy.comparisons,
        period,
    ));
    let mut controls = Section::new(3, &format!("{id}-controls"), "By control");
    controls.figure(budgets(&id, &base, policy));
    controls.figure(heat(&id, &base, policy));
    let [common, barriers] = shared::sections(&id, &base, policy);
    let stock = register::section(3, &id, &format!("{base}/register"), &policy.register);
    vec![head, controls, common, barriers, stock]
}

fn asks(id: &str, base: &str, policy: &PolicyTrend, top: f64) -> Figure {
    let above = policy
        .weeks
        .iter()
        .filter(|w| w.expected.value().is_some_and(|b| w.asks as f64 > b.high))
        .count();
    let known = policy
        .weeks
        .iter()
        .filter(|w| w.expected.value().is_some())
        .count();
    let most = policy.weeks.iter().max_by_key(|w| w.asks);
    let title = match (known, above) {
        (0, _) => format!(
            "Asks about {} by week; what to expect is not known yet",
            text::line(&policy.title)
        ),
        (_, 0) => "Asks stayed within what was expected".to_owned(),
        (_, n) => format!("Asks were above what was expected in {n} of {known} weeks"),
    };
    let extremes = most.map_or(String::new(), |w| {
        format!(
            " Most: {} in the week of {}.",
            w.asks.shown(),
            w.from.shown()
        )
    });
    let marks = policy
        .marks
        .iter()
        .map(|m| Flag {
            on: m.on,
            label: text::clip(&text::line(&m.label), 24),
            shape: match m.kind {
                MarkKind::PolicyVersion => Shape::Square,
                MarkKind::Incident => Shape::Triangle,
                MarkKind::Signal => Shape::Diamond,
            },
        })
        .collect();
    let chart = (policy.weeks.len() > 1).then(|| {
        Chart::Line(Line {
            points: policy
                .weeks
                .iter()
                .map(|w| Point {
                    on: w.from,
                    value: w.asks as f64,
                    band: w.expected.value().map(|b| (b.low, b.high)),
                })
                .collect(),
            marks,
            common_top: top,
            name: "asks a week".to_owned(),
        })
    });
    let happened = |from: chrono::NaiveDate| -> String {
        let words: Vec<String> = policy
            .marks
            .iter()
            .filter(|m| (m.on - from).num_days() >= 0 && (m.on - from).num_days() < 7)
            .map(|m| format!("{} ({})", m.label, m.kind.word()))
            .collect();
        words.join(", ")
    };
    Figure {
        id: format!("{id}-asks"),
        title,
        reading: format!(
            "The line counts independent asks by week; the shaded band holds nine of ten \
                weeks when nothing changed. Filled points are above the band. Squares mark \
                versions of the policy, triangles incidents, diamonds signals. All policies \
                have the same scale.{extremes}"
        ),
        is_table_first: false,
        chart,
        table: Table {
            caption: format!(
                "Independent asks about {} by whole weeks, with what was expected and its 90 % band.",
                policy.id
            ),
            columns: vec![
                words("Week of", "week"),
                numbers("Asks", "asks"),
                numbers("Expected (90 % band)", "expected"),
                words("What happened", "happened"),
            ],
            rows: policy
                .weeks
                .iter()
                .enumerate()
                .map(|(i, w)| {
                    vec![
                        Cell::value(&format!("{base}/weeks/{i}/from"), &w.from),
                        Cell::value(&format!("{base}/weeks/{i}/asks"), &w.asks),
                        Cell::value(&format!("{base}/weeks/{i}/expected"), &w.expected),
                        Cell::words(&happened(w.from)),
                    ]
                })
                .collect(),
            empty: "There is no week of history yet.".to_owned(),
            look: Look::Plain,
        },
    }
}

fn is_over(row: &BudgetRow) -> bool {
    row.standing == Standing::Above
}

fn budgets(id: &str, base: &str, policy: &PolicyTrend) -> Figure {
    let over = policy.budgets.iter().filter(|b| is_over(b)).count();
    let declared = policy
        .budgets
        .iter()
        .filter(|b| b.budget.value().is_some())
        .count();
    let title = match (declared, over) {
        (0, _) => "No control declares an exception budget".to_owned(),
        (n, 0) => format!(
            "No control is above its exception budget, of {} with a budget",
            counted(n as u64, "control")
        ),
        (n, over) => format!(
            "Above the exception budget: {over} of {} with a budget",
            counted(n as u64, "control")
        ),
    };
    let bars: Vec<Bar> = policy
        .budgets
        .iter()
        .filter_map(|row| {
            let teams = row.teams.value().filter(|t| !t.is_few())?;
            Some(Bar {
                label: text::line(&row.control),
                value: teams.ratio(),
                text: teams.shown(),
                note: match &row.budget {
                    Known::Value(budget) if is_over(row) => {
                        format!("{}, {}", row.standing.word(), budget.shown())
                    }
                    Known::Value(budget) => format!("budget {}", budget.shown()),
                    Known::Unknown(_) => "no budget".to_owned(),
                },
                interval: row.interval.value().map(|i| (i.low, i.high)),
                limit: row.budget.value().map(|b| b.0),
                is_over: is_over(row),
            })
        })
        .collect();
    let chart = (!bars.is_empty()).then_some(Chart::Bars(Bars {
        bars,
        rule: None,
        is_share: true,
    }));
    Figure {
        id: format!("{id}-budgets"),
        title,
        reading: "Each bar is the share of the teams in scope with an approved exception within \
            the budget's year; the thin line is its 90 % interval, the dashed line the budget \
            that the control declares."
            .to_owned(),
        is_table_first: false,
        chart,
        table: Table {
            caption:
                "Teams in scope with an approved exception within 52 weeks, as the scan counts \
                them: those that joined and those that are covered beside are among them. A \
                budget is allowed more as the volume of all other asks grows. How likely the \
                share is above that is worked out without the densest 14 days, and begins from \
                one team in ten (Beta(1, 9)); above and within are said from 0.95 on. Where no \
                budget is declared, declare one: without it the scan cannot tell a busy control \
                from a misfit."
                    .to_owned(),
            columns: vec![
                words("Control", "control"),
                numbers("Teams within 52 weeks", "teams"),
                numbers("90 % interval", "interval"),
                numbers("Active at the end", "active"),
                numbers("Budget", "budget"),
                numbers("At this volume", "allowed"),
                numbers("Probability above", "posterior"),
                words("Standing", "standing"),
                numbers("Subjects checked", "checked"),
            ],
            rows: policy
                .budgets
                .iter()
                .enumerate()
                .map(|(i, row)| {
                    let at = format!("{base}/budgets/{i}");
                    // Beside "none is declared" there is nothing more to say.
                    let is_declared = row.standing != Standing::Undeclared;
                    let declared = |cell: Cell| {
                        if is_declared { cell } else { Cell::words("") }
                    };
                    vec![
                        Cell::words(&row.control),
                        Cell::value(&format!("{at}/teams"), &row.teams),
                        Cell::value(&format!("{at}/interval"), &row.interval),
                        Cell::value(&format!("{at}/active"), &row.active),
                        Cell::value(&format!("{at}/budget"), &row.budget),
                        declared(Cell::value(&format!("{at}/allowed"), &row.allowed)),
                        declared(Cell::value(&format!("{at}/posterior"), &row.posterior)),
                        Cell::words(row.standing.word()),
                        Cell::value(&format!("{at}/checked"), &row.checked),
                    ]
                })
                .collect(),
            empty: "The policy has no control.".to_owned(),
            look: Look::Plain,
        },
    }
}

fn heat(id: &str, base: &str, policy: &PolicyTrend) -> Figure {
    let most = policy
        .heat
        .iter()
        .flat_map(|row| row.asks.iter().filter_map(Known::value))
        .max()
        .copied()
        .unwrap_or_default();
    let busiest = policy
        .heat
        .iter()
        .max_by_key(|row| row.asks.iter().filter_map(Known::value).sum::<u64>());
    let mut columns = vec![words("Control", "control")];
    columns.extend(policy.quarters.iter().map(|q| numbers(q, &text::line(q))));
    Figure {
        id: format!("{id}-quarters"),
        title: busiest.map_or("Asks by control and quarter".to_owned(), |row| {
            format!(
                "Most asks over these quarters: {}",
                text::line(&row.control)
            )
        }),
        reading: String::new(),
        is_table_first: false,
        chart: None,
        table: Table {
            caption:
                "Independent asks by control and quarter. Darker is more; the number says how many."
                    .to_owned(),
            columns,
            rows: policy
                .heat
                .iter()
                .enumerate()
                .map(|(i, row)| {
                    let mut cells = vec![Cell::words(&row.control)];
                    cells.extend(row.asks.iter().enumerate().map(|(j, asks)| {
                        let at = format!("{base}/heat/{i}/asks/{j}");
                        Cell::value(&at, asks).shaded(shade(asks.value().copied(), most))
                    }));
                    cells
                })
                .collect(),
            empty: "There is no quarter of history yet.".to_owned(),
            look: Look::Heat,
        },
    }
}

/// From 1 to 5 by fifths of the greatest; 0 for none.
fn shade(asks: Option<u64>, most: u64) -> u8 {
    let fifths = asks
        .unwrap_or_default()
        .saturating_mul(5)
        .div_ceil(most.max(1));
    u8::try_from(fifths.min(5)).unwrap_or_default()
}
