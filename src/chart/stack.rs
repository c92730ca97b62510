//! Columns over months, stacked: what came above the line, what went below it, and what stood.

use super::{
    canvas::{Anchor, Canvas, Label, Width, span},
    number,
    scale::Scale,
};

pub use super::canvas::Tone;

/// A chart of stacked columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Stack {
    /// Names of the columns, oldest first, as `2026-07`.
    pub columns: Vec<String>,
    /// What is stacked, from the line outwards.
    pub series: Vec<Series>,
}

/// One of the things that are stacked.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// What it is called.
    pub name: String,
    /// One value for each column.
    pub values: Vec<f64>,
    /// Whether it hangs below the line.
    pub is_below: bool,
    /// How it looks.
    pub look: Tone,
}

impl Stack {
    fn total(&self, column: usize, is_below: bool) -> f64 {
        self.series
            .iter()
            .filter(|s| s.is_below == is_below)
            .filter_map(|s| s.values.get(column))
            .sum()
    }

    fn greatest(&self, is_below: bool) -> f64 {
        (0..self.columns.len())
            .map(|i| self.total(i, is_below))
            .fold(0.0, f64::max)
    }

    /// The drawing.
    pub fn svg(&self, label: &Label, width: Width) -> String {
        let key = self.key_height(width);
        let (above, below) = (self.greatest(false), self.greatest(true));
        let tall = width.pick(150.0, 130.0);
        let top = key + 20.0;
        let scale = Scale::counts(above.max(below), 4.0, (0.0, tall));
        let zero = top + scale.at(above);
        let bottom = zero + scale.at(below) + if below > 0.0 { 18.0 } else { 0.0 };
        let mut canvas = Canvas::new(width, bottom + 40.0);
        self.key(&mut canvas, width);
        let room = (width.units() - 4.0) / (self.columns.len().max(1) as f64);
        for (i, name) in self.columns.iter().enumerate() {
            let middle = 2.0 + room * (i as f64 + 0.5);
            for is_below in [false, true] {
                self.column(&mut canvas, (i, is_below), (middle, room, zero), scale);
            }
            let is_named = room >= 30.0 || i.is_multiple_of(if room >= 15.0 { 3 } else { 6 });
            if is_named {
                let (month, year) = named(name);
                canvas.text((middle, bottom + 20.0), Anchor::Middle, "lb", month);
                if i == 0 || month == "Jan" {
                    canvas.text((middle, bottom + 35.0), Anchor::Middle, "lb", year);
                }
            }
        }
        canvas.line((2.0, zero), (width.units() - 2.0, zero), "base");
        canvas.finish(label)
    }

    fn column(
        &self,
        canvas: &mut Canvas,
        (i, is_below): (usize, bool),
        (middle, room, zero): (f64, f64, f64),
        scale: Scale,
    ) {
        let thick = (room * 0.66).min(44.0);
        let mut sum = 0.0;
        for series in self.series.iter().filter(|s| s.is_below == is_below) {
            let value = series.values.get(i).copied().unwrap_or_default();
            if value <= 0.0 {
                continue;
            }
            let (near, far) = (scale.at(sum), scale.at(sum + value));
            let y = if is_below { zero + near } else { zero - far };
            canvas.area((middle - thick / 2.0, y), (thick, far - near), series.look);
            sum += value;
        }
        if sum > 0.0 && self.is_told(i, is_below, room) {
            let y = if is_below {
                zero + scale.at(sum) + 14.0
            } else {
                zero - scale.at(sum) - 5.0
            };
            canvas.text((middle, y), Anchor::Middle, "lb", &number::brief(sum));
        }
    }

    /// Whether a column's sum is written: where there is no room for all, the first, the last and the greatest are.
    fn is_told(&self, column: usize, is_below: bool, room: f64) -> bool {
        let greatest = self.greatest(is_below);
        let is_greatest = |i: usize| self.total(i, is_below) >= greatest;
        span(&number::brief(greatest)) <= room
            || column == 0
            || column + 1 == self.columns.len()
            || (is_greatest(column)
                && !(0..column).any(is_greatest)
                && column + 2 < self.columns.len())
    }

    fn entries(&self, width: Width) -> Vec<(f64, f64)> {
        let (mut x, mut y) = (2.0, 4.0);
        let mut out = Vec::new();
        for series in &self.series {
            let room = 20.0 + span(&series.name) + 16.0;
            if x > 2.0 && x + room > width.units() + 12.0 {
                (x, y) = (2.0, y + 19.0);
            }
            out.push((x, y));
            x += room;
        }
        out
    }

    fn key_height(&self, width: Width) -> f64 {
        self.entries(width).last().map_or(0.0, |(_, y)| y + 19.0)
    }

    fn key(&self, canvas: &mut Canvas, width: Width) {
        // Drawn with its own patterns, so that the key shows what the columns show.
        for (series, (x, y)) in self.series.iter().zip(self.entries(width)) {
            canvas.area((x, y), (14.0, 11.0), series.look);
            canvas.text((x + 20.0, y + 10.0), Anchor::Start, "lb", &series.name);
        }
    }
}

/// `2026-07` as `Jul` and `2026`; what is no month stays as it is.
fn named(name: &str) -> (&str, &str) {
    let names = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    name.split_once('-')
        .and_then(|(year, month)| {
            let n: usize = month.parse().ok()?;
            Some((*names.get(n.checked_sub(1)?)?, year))
        })
        .unwrap_or((name, ""))
}
