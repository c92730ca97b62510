//! A line over weeks, the band of what was expected, and marks for what happened.

use chrono::{Datelike, NaiveDate};

use super::{
    canvas::{Anchor, Canvas, Label, Width, span},
    number,
    scale::Scale,
};

/// A line chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Points, oldest first.
    pub points: Vec<Point>,
    /// What happened, oldest first.
    pub marks: Vec<Flag>,
    /// The greatest value of all charts that are compared with this one.
    pub common_top: f64,
    /// What the line is called.
    pub name: String,
}

/// A value at a day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// The day.
    pub on: NaiveDate,
    /// The value.
    pub value: f64,
    /// What was expected: low and high.
    pub band: Option<(f64, f64)>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// When.
    pub on: NaiveDate,
    /// What, in a word or two.
    pub label: String,
    /// Its shape.
    pub shape: Shape,
}

/// Shapes of marks: each kind of event has its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A square.
    Square,
    /// A triangle.
    Triangle,
    /// A diamond.
    Diamond,
}

/// Height of a row of marks.
const LANE: f64 = 18.0;

struct Plot {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    first: NaiveDate,
    days: f64,
}

impl Plot {
    fn x(&self, on: NaiveDate) -> f64 {
        let days = (on - self.first).num_days() as f64;
        self.left + (self.right - self.left) * (days / self.days).clamp(0.0, 1.0)
    }
}

impl Line {
    /// The drawing.
    pub fn svg(&self, label: &Label, width: Width) -> String {
        let (Some(first), Some(last)) = (self.points.first(), self.points.last()) else {
            return Canvas::new(width, 1.0).finish(label);
        };
        let mut plot = Plot {
            left: 30.0,
            right: width.units() - width.pick(118.0, 14.0),
            top: 0.0,
            bottom: 0.0,
            first: first.on,
            days: ((last.on - first.on).num_days() as f64).max(1.0),
        };
        let lanes = self.lanes(&plot, width);
        let rows = lanes.iter().map(|lane| lane.row + 1).max().unwrap_or(0);
        let key = width.pick(0.0, 22.0);
        plot.top = key + 12.0 + LANE * rows as f64;
        plot.bottom = plot.top + width.pick(150.0, 130.0);
        let mut canvas = Canvas::new(width, plot.bottom + 40.0);
        let y = Scale::counts(self.common_top, 4.0, (plot.bottom, plot.top));
        axis(&mut canvas, &plot, y);
        months(&mut canvas, &plot, last.on, width);
        self.band(&mut canvas, &plot, y);
        for (flag, lane) in self.marks.iter().zip(&lanes) {
            mark(&mut canvas, &plot, flag, lane, key);
        }
        self.series(&mut canvas, &plot, y);
        self.names(&mut canvas, &plot, y, width);
        canvas.finish(label)
    }

    /// Which row each mark's words go to, so that none lies on another.
    fn lanes(&self, plot: &Plot, width: Width) -> Vec<Lane> {
        let mut ends: Vec<f64> = Vec::new();
        let mut out = Vec::with_capacity(self.marks.len());
        for flag in &self.marks {
            let x = plot.x(flag.on);
            let room = span(&flag.label) + 12.0;
            let is_left = x + room > width.units();
            let (from, to) = if is_left {
                (x - room, x + 8.0)
            } else {
                (x - 8.0, x + room)
            };
            let row = ends
                .iter()
                .position(|end| *end <= from)
                .unwrap_or(ends.len());
            match ends.get_mut(row) {
                Some(end) => *end = to,
                None => ends.push(to),
            }
            out.push(Lane { row, is_left });
        }
        out
    }

    fn band(&self, canvas: &mut Canvas, plot: &Plot, y: Scale) {
        let runs = self.points.split(|p| p.band.is_none());
        for run in runs.filter(|run| run.len() > 1) {
            let edge = |high: bool| -> Vec<(f64, f64)> {
                run.iter()
                    .filter_map(|p| {
                        p.band
                            .map(|(l, h)| (plot.x(p.on), y.at(if high { h } else { l })))
                    })
                    .collect()
            };
            let upper = edge(true);
            let mut around = upper.clone();
            around.extend(edge(false).into_iter().rev());
            canvas.path(&around, true, "band");
            canvas.path(&upper, false, "band-edge");
        }
    }

    fn series(&self, canvas: &mut Canvas, plot: &Plot, y: Scale) {
        let places: Vec<(f64, f64)> = self
            .points
            .iter()
            .map(|p| (plot.x(p.on), y.at(p.value)))
            .collect();
        canvas.path(&places, false, "series");
        for (point, at) in self.points.iter().zip(&places) {
            if point.band.is_some_and(|(_, high)| point.value > high) {
                canvas.circle(*at, 3.5, "over");
            }
        }
        let greatest = self
            .points
            .iter()
            .zip(&places)
            .rev()
            .max_by(|(a, _), (b, _)| a.value.total_cmp(&b.value));
        if let Some((point, at)) = greatest.filter(|(p, _)| p.value > 0.0) {
            canvas.text(
                (at.0, at.1 - 8.0),
                Anchor::Middle,
                "lb strong halo",
                &number::brief(point.value),
            );
        }
    }

    /// The names at the ends of line and band, apart from each other; above the drawing where it is narrow.
    fn names(&self, canvas: &mut Canvas, plot: &Plot, y: Scale, width: Width) {
        let has_band = self.points.iter().any(|p| p.band.is_some());
        if width == Width::Narrow {
            canvas.line((2.0, 10.0), (20.0, 10.0), "series");
            canvas.text((25.0, 14.0), Anchor::Start, "lb accent", &self.name);
            if has_band {
                let x = 25.0 + span(&self.name) + 14.0;
                canvas.rect((x, 4.0), (18.0, 11.0), "band edged");
                canvas.text(
                    (x + 23.0, 14.0),
                    Anchor::Start,
                    "lb",
                    "90 % of what was expected",
                );
            }
            return;
        }
        let Some(last) = self.points.last() else {
            return;
        };
        let x = plot.right + 8.0;
        let mut at = y.at(last.value) + 4.0;
        if let Some((low, high)) = last.band {
            let mut middle = f64::midpoint(y.at(low), y.at(high)) - 3.0;
            if (middle - at).abs() < 33.0 {
                // The line's name makes way upwards, the band's downwards.
                if last.value >= high {
                    at = at.min(plot.bottom - 34.0);
                    middle = at + 19.0;
                } else {
                    middle = middle.min(plot.bottom - 18.0).max(plot.top + 34.0);
                    at = middle - 19.0;
                }
            }
            canvas.text((x, middle), Anchor::Start, "lb", "expected");
            canvas.text((x, middle + 15.0), Anchor::Start, "lb", "(90 % band)");
        }
        canvas.text((x, at), Anchor::Start, "lb accent strong", &self.name);
    }
}

struct Lane {
    row: usize,
    is_left: bool,
}

fn axis(canvas: &mut Canvas, plot: &Plot, y: Scale) {
    for tick in y.ticks() {
        let at = y.at(tick);
        canvas.line(
            (plot.left, at),
            (plot.right, at),
            if tick == 0.0 { "base" } else { "grid" },
        );
        canvas.text(
            (plot.left - 7.0, at + 4.5),
            Anchor::End,
            "lb",
            &number::brief(tick),
        );
    }
}

/// Names of months, as many as there is room for; the first one and January say their year.
fn months(canvas: &mut Canvas, plot: &Plot, last: NaiveDate, width: Width) {
    let per_month = (plot.right - plot.left) / (plot.days / 30.44);
    let every = [1, 2, 3, 6, 12]
        .into_iter()
        .find(|n| f64::from(*n) * per_month >= width.pick(48.0, 46.0))
        .unwrap_or(12);
    let mut is_first = true;
    let mut on = plot.first.with_day(1);
    while let Some(day) = on.filter(|d| *d <= last) {
        if day >= plot.first && day.month0().is_multiple_of(every) {
            let x = plot.x(day);
            canvas.line((x, plot.bottom), (x, plot.bottom + 5.0), "base");
            let at = (x, plot.bottom + 20.0);
            canvas.text(at, Anchor::Middle, "lb", &day.format("%b").to_string());
            if is_first || day.month() == 1 {
                let at = (x, plot.bottom + 35.0);
                canvas.text(at, Anchor::Middle, "lb", &day.format("%Y").to_string());
            }
            is_first = false;
        }
        on = day.checked_add_months(chrono::Months::new(1));
    }
}

fn mark(canvas: &mut Canvas, plot: &Plot, flag: &Flag, lane: &Lane, key: f64) {
    let x = plot.x(flag.on);
    let y = key + 10.0 + LANE * lane.row as f64;
    canvas.line((x, y + 6.0), (x, plot.bottom), "mark-line");
    match flag.shape {
        Shape::Square => canvas.rect((x - 4.0, y - 4.0), (8.0, 8.0), "mark"),
        Shape::Triangle => canvas.path(
            &[(x - 5.0, y - 4.5), (x + 5.0, y - 4.5), (x, y + 5.0)],
            true,
            "mark",
        ),
        Shape::Diamond => canvas.path(
            &[(x, y - 5.5), (x + 5.5, y), (x, y + 5.5), (x - 5.5, y)],
            true,
            "mark hot",
        ),
    }
    let (at, anchor) = if lane.is_left {
        (x - 9.0, Anchor::End)
    } else {
        (x + 9.0, Anchor::Start)
    };
    canvas.text((at, y + 4.5), anchor, "lb halo", &flag.label);
}
