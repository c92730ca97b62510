//! What the asks about one policy have in common, and what stands in the way of teams: where a control is too rigid, where
//! guidance is unclear, where the same obstacle is met again and again.

use crate::{
    chart::{
        Chart,
        bars::{Bar, Bars},
    },
    notify::text,
    report::trend::{
        model::PolicyTrend,
        outline::{Cell, Figure, Look, Section, Table, numbers, words},
        value::Shown,
    },
};

/// The two sections.
pub(super) fn sections(id: &str, base: &str, policy: &PolicyTrend) -> [Section; 2] {
    let mut shared = Section::new(3, &format!("{id}-shared"), "What the asks share");
    shared.figure(descriptors(id, base, policy));
    shared.figure(reasons(id, base, policy));
    shared.figure(conditions(id, base, policy));
    let mut barriers = Section::new(
        3,
        &format!("{id}-barriers"),
        "What stands in the way of teams",
    );
    barriers.figure(obstacles(id, base, policy));
    [shared, barriers]
}

fn descriptors(id: &str, base: &str, policy: &PolicyTrend) -> Figure {
    Figure {
        id: format!("{id}-descriptors"),
        title: policy.descriptors.first().map_or(
            "Nothing that the asks have in common was found".to_owned(),
            |d| format!("Most in common: {}", text::line(&d.descriptor)),
        ),
        reading: String::new(),
        is_table_first: false,
        chart: None,
        table: Table {
            caption: "What the asks of 52 weeks have in common. Lift: how many times as frequent \
                among them as among asks about other controls, with its 90 % interval."
                .to_owned(),
            columns: vec![
                words("In common", "descriptor"),
                numbers("Teams", "teams"),
                numbers("Lift (90 % interval)", "lift"),
            ],
            rows: policy
                .descriptors
                .iter()
                .enumerate()
                .map(|(i, d)| {
                    let at = format!("{base}/descriptors/{i}");
                    vec![
                        Cell::words(&d.descriptor),
                        Cell::value(&format!("{at}/teams"), &d.teams),
                        Cell::value(&format!("{at}/lift"), &d.lift),
                    ]
                })
                .collect(),
            empty: "Nothing that the asks have in common was found.".to_owned(),
            look: Look::Plain,
        },
    }
}

fn reasons(id: &str, base: &str, policy: &PolicyTrend) -> Figure {
    let is_enough = policy.reasons.first().is_some_and(|r| !r.asks.is_few());
    let most = policy
        .reasons
        .iter()
        .position(|r| r.so_far.ratio() >= 0.8)
        .map(|i| i + 1)
        .filter(|n| is_enough && *n < policy.reasons.len());
    let title = match (most, policy.reasons.first()) {
        (Some(n), _) => format!(
            "{n} of {} reasons make up four fifths of the asks",
            policy.reasons.len()
        ),
        (None, Some(first)) => format!("Most frequent reason: {}", text::line(&first.reason)),
        (None, None) => "No reason was given".to_owned(),
    };
    let bars = policy
        .reasons
        .iter()
        .map(|r| Bar {
            label: text::line(&r.reason),
            value: r.asks.part as f64,
            text: r.asks.shown(),
            note: format!("{} so far", r.so_far.short()),
            interval: None,
            limit: None,
            is_over: false,
        })
        .collect();
    let chart = is_enough.then(|| {
        Chart::Bars(Bars {
            bars,
            rule: most.map(|n| (n, "four fifths of the asks are above this line".to_owned())),
            is_share: false,
        })
    });
    Figure {
        id: format!("{id}-reasons"),
        title,
        reading:
            "Bars count asks by reason, the most frequent first; “so far” adds up from the top."
                .to_owned(),
        is_table_first: false,
        chart,
        table: Table {
            caption: "Asks by reason, of those with a reason; so far: with those above.".to_owned(),
            columns: vec![
                words("Reason", "reason"),
                numbers("Asks", "asks"),
                numbers("So far", "so_far"),
            ],
            rows: policy
                .reasons
                .iter()
                .enumerate()
                .map(|(i, r)| {
                    let at = format!("{base}/reasons/{i}");
                    vec![
                        Cell::words(&r.reason),
                        Cell::value(&format!("{at}/asks"), &r.asks),
                        Cell::value(&format!("{at}/so_far"), &r.so_far),
                    ]
                })
                .collect(),
            empty: "No ask of the period gives a reason.".to_owned(),
            look: Look::Plain,
        },
    }
}

fn conditions(id: &str, base: &str, policy: &PolicyTrend) -> Figure {
    Figure {
        id: format!("{id}-conditions"),
        title: "Conditions that approvers attach".to_owned(),
        reading: String::new(),
        is_table_first: false,
        chart: None,
        table: Table {
            caption: "Conditions of approved exceptions. One that is always attached may \
                belong into the control."
                .to_owned(),
            columns: vec![
                words("Condition", "condition"),
                numbers("Exceptions", "exceptions"),
            ],
            rows: policy
                .conditions
                .iter()
                .enumerate()
                .map(|(i, c)| {
                    vec![
                        Cell::words(&c.condition),
                        Cell::value(&format!("{base}/conditions/{i}/exceptions"), &c.exceptions),
                    ]
                })
                .collect(),
            empty: "No approved exception of the period carries a condition.".to_owned(),
            look: Look::Plain,
        },
    }
}

fn obstacles(id: &str, base: &str, policy: &PolicyTrend) -> Figure {
    Figure {
        id: format!("{id}-obstacles"),
        title: "Too rigid, unclear, or the same obstacle".to_owned(),
        reading: String::new(),
        is_table_first: false,
        chart: None,
        table: Table {
            caption: "Where a control is stricter than teams can be, where guidance is \
                unclear, and where several teams meet the same obstacle."
                .to_owned(),
            columns: vec![
                words("What is seen", "seen"),
                words("Kind", "kind"),
                words("Control", "control"),
                numbers("Teams", "teams"),
                numbers("Asks", "asks"),
                words("What would help", "step"),
            ],
            rows: policy
                .barriers
                .iter()
                .enumerate()
                .map(|(i, b)| {
                    let at = format!("{base}/barriers/{i}");
                    vec![
                        Cell::words(&b.sentence),
                        Cell::words(b.kind.word()),
                        Cell::words(&b.control),
                        Cell::value(&format!("{at}/teams"), &b.teams),
                        Cell::value(&format!("{at}/asks"), &b.asks),
                        Cell::words(&b.step),
                    ]
                })
                .collect(),
            empty: "Nothing of the kind is seen in the period.".to_owned(),
            look: Look::Cards,
        },
    }
}
