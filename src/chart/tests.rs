//! Drawings by themselves: what they escape, and what they do with little.

use chrono::NaiveDate;

use super::{
    Chart, Label, Width,
    bars::{Bar, Bars},
    forest::Forest,
    frontier::Frontier,
    line::{Flag, Line, Point, Shape},
    stack::{Series, Stack, Tone},
    survival::Survival,
};

fn label() -> Label {
    Label {
        id: "p1-asks".into(),
        title: "Asks <tripled> & more".into(),
        desc: "Bars, \"longest\" first.".into(),
        table: "p1-asks-table".into(),
    }
}

fn bar(label: &str, value: f64) -> Bar {
    Bar {
        label: label.into(),
        value,
        text: "20 % (2 of 10)".into(),
        note: String::new(),
        interval: Some((0.1, 0.3)),
        limit: Some(0.1),
        is_over: true,
    }
}

#[test]
fn a_drawing_is_these_bytes() {
    let bars = Bars {
        bars: vec![bar("rotation <late>", 0.2)],
        rule: None,
        is_share: true,
    };
    insta::assert_snapshot!(Chart::Bars(bars).svg(&label(), Width::Narrow));
}

#[test]
fn nothing_to_draw_is_still_a_drawing_that_can_be_read() {
    let charts = [
        Chart::Line(Line {
            points: vec![],
            marks: vec![],
            common_top: 0.0,
            name: "asks".into(),
        }),
        Chart::Bars(Bars {
            bars: vec![],
            rule: None,
            is_share: false,
        }),
        Chart::Stack(Stack {
            columns: vec![],
            series: vec![],
        }),
        Chart::Survival(Survival {
            points: vec![],
            told: vec![90],
        }),
        Chart::Frontier(Frontier {
            points: vec![],
            x_name: "risk".into(),
            y_name: "teams".into(),
        }),
        Chart::Forest(Forest {
            rows: vec![],
            less: "fewer".into(),
            more: "more".into(),
        }),
    ];
    for chart in charts {
        for width in [Width::Wide, Width::Narrow] {
            let svg = chart.svg(&label(), width);
            assert!(
                svg.contains("Asks &lt;tripled&gt; &amp; more</title>"),
                "{svg}"
            );
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}

#[test]
fn marks_on_the_same_day_stand_below_each_other() {
    let day = |d| NaiveDate::from_ymd_opt(2026, 3, d).unwrap();
    let flag = |label: &str| Flag {
        on: day(9),
        label: label.into(),
        shape: Shape::Square,
    };
    let line = Line {
        points: [2, 9, 16]
            .map(|d| Point {
                on: day(d),
                value: 1.0,
                band: None,
            })
            .to_vec(),
        marks: vec![flag("v4"), flag("INC-7"), flag("SIG-1")],
        common_top: 4.0,
        name: "asks".into(),
    };
    let svg = line.svg(&label(), Width::Wide);
    let rows: Vec<&str> = ["v4", "INC-7", "SIG-1"]
        .map(|name| {
            let (before, _) = svg.split_once(&format!(">{name}<")).unwrap();
            let (_, y) = before.rsplit_once(" y=\"").unwrap();
            y.split_once('"').unwrap().0
        })
        .to_vec();
    assert_eq!(rows, ["14.5", "32.5", "50.5"]);
}

#[test]
fn looks_differ_without_colour() {
    let look = |look| {
        let series = Series {
            name: "a".into(),
            values: vec![5.0],
            is_below: false,
            look,
        };
        let stack = Stack {
            columns: vec!["2026-07".into()],
            series: vec![series],
        };
        stack.svg(&label(), Width::Wide)
    };
    let all = [
        Tone::Full,
        Tone::Stripes,
        Tone::Dots,
        Tone::Lines,
        Tone::Empty,
    ]
    .map(look);
    for (i, a) in all.iter().enumerate() {
        assert!(all[i + 1..].iter().all(|b| a != b));
    }
}
