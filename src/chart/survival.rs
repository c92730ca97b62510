//! How long things last: a curve in steps, with its band.

use super::{
    canvas::{Anchor, Canvas, Label, Width, span},
    number,
    scale::Scale,
};

/// A survival curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Survival {
    /// Points, youngest first; the first is at 0 days.
    pub points: Vec<Step>,
    /// Days at which the share is written out.
    pub told: Vec<u64>,
}

/// The share that lasts so long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Days.
    pub days: u64,
    /// So many of a hundred.
    pub share: f64,
    /// Ends of the band, of a hundred.
    pub band: (f64, f64),
}

impl Survival {
    /// The drawing.
    pub fn svg(&self, label: &Label, width: Width) -> String {
        let (left, right) = (44.0, width.units() - width.pick(60.0, 14.0));
        let (top, bottom) = (32.0, width.pick(202.0, 182.0));
        let mut canvas = Canvas::new(width, bottom + 42.0);
        let last = self.points.last().map_or(1, |p| p.days);
        let x = |days: u64| left + (right - left) * (days as f64 / last.max(1) as f64);
        let y = Scale::new(100.0, 2.0, (bottom, top));
        for tick in y.ticks() {
            canvas.line(
                (left, y.at(tick)),
                (right, y.at(tick)),
                if tick == 0.0 { "base" } else { "grid" },
            );
            canvas.text(
                (left - 7.0, y.at(tick) + 4.5),
                Anchor::End,
                "lb",
                &number::brief(tick),
            );
        }
        canvas.text((2.0, 14.0), Anchor::Start, "lb", "↑ still active of 100");
        let every = match last {
            0..=40 => 10,
            41..=200 => 30,
            401.. if width == Width::Narrow => 180,
            _ => 90,
        };
        let mut day = 0;
        while day <= last {
            canvas.line((x(day), bottom), (x(day), bottom + 5.0), "base");
            canvas.text(
                (x(day), bottom + 20.0),
                Anchor::Middle,
                "lb",
                &day.to_string(),
            );
            day += every;
        }
        canvas.text(
            (right, bottom + 37.0),
            Anchor::End,
            "lb",
            "days after approval",
        );
        let upper = self.steps(|p| p.band.1, x, y);
        let mut band = upper;
        band.extend(self.steps(|p| p.band.0, x, y).into_iter().rev());
        canvas.path(&band, true, "band");
        canvas.path(&self.steps(|p| p.share, x, y), false, "series");
        for told in self.told.iter().filter(|told| **told <= last) {
            let Some(i) = self.points.iter().rposition(|p| p.days <= *told) else {
                continue;
            };
            let Some(point) = self.points.get(i) else {
                continue;
            };
            let at = (x(*told), y.at(point.share));
            canvas.line(at, (at.0, bottom), "mark-line");
            canvas.circle(at, 4.0, "over");
            let words = format!("{} at {told} d", number::fixed(point.share, 1));
            if at.0 + 8.0 + span(&words) <= width.units() {
                canvas.text(
                    (at.0 + 8.0, at.1 - 9.0),
                    Anchor::Start,
                    "lb strong halo",
                    &words,
                );
            } else {
                let above = y.at(point.band.1) - 7.0;
                canvas.text(
                    (width.units() - 2.0, above),
                    Anchor::End,
                    "lb strong halo",
                    &words,
                );
            }
        }
        canvas.finish(label)
    }

    fn steps(
        &self,
        of: impl Fn(&Step) -> f64,
        x: impl Fn(u64) -> f64,
        y: Scale,
    ) -> Vec<(f64, f64)> {
        let mut out: Vec<(f64, f64)> = Vec::new();
        for point in &self.points {
            let at = (x(point.days), y.at(of(point)));
            if let Some((_, before)) = out.last().copied() {
                out.push((at.0, before));
            }
            out.push(at);
        }
        out
    }
}
