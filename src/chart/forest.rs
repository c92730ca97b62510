//! Ratios with their intervals on a scale of doublings, against the line of no change.

use super::canvas::{Anchor, Canvas, Label, Width, fit};

/// A chart of ratios.
#[derive(Debug, Clone, PartialEq)]
pub struct Forest {
    /// The ratios, in their order.
    pub rows: Vec<Row>,
    /// What lies to the left of no change.
    pub less: String,
    /// What lies to its right.
    pub more: String,
}

/// A ratio.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What it is of.
    pub label: String,
    /// Its number, as it stands in the table.
    pub text: String,
    /// The estimate; 1 is no change.
    pub value: f64,
    /// Ends of the interval.
    pub interval: (f64, f64),
}

impl Forest {
    /// The drawing.
    pub fn svg(&self, label: &Label, width: Width) -> String {
        let (left, right) = width.pick((14.0, 600.0), (10.0, 318.0));
        let reach = self
            .rows
            .iter()
            .flat_map(|r| [r.interval.0, r.interval.1])
            .filter(|v| *v > 0.0 && v.is_finite())
            .map(|v| v.log2().abs())
            .fold(1.0, f64::max)
            .ceil()
            .min(5.0);
        let x = |value: f64| {
            let at = value.max(1e-9).log2().clamp(-reach, reach);
            left + (right - left) * (at + reach) / (2.0 * reach)
        };
        let row = width.pick(48.0, 60.0);
        let top = 24.0;
        let bottom = top + row * self.rows.len() as f64;
        let mut canvas = Canvas::new(width, bottom + 26.0);
        let mut power = -reach;
        while power <= reach {
            let at = x(power.exp2());
            let class = if power == 0.0 { "limit" } else { "grid" };
            canvas.line((at, top), (at, bottom), class);
            let name = super::number::times(power.exp2());
            canvas.text((at, bottom + 18.0), Anchor::Middle, "lb", &name);
            power += width.pick(1.0, if reach > 3.0 { 2.0 } else { 1.0 });
        }
        canvas.text(
            (x(1.0) - 8.0, 14.0),
            Anchor::End,
            "lb",
            &format!("← {}", self.less),
        );
        canvas.text(
            (x(1.0) + 8.0, 14.0),
            Anchor::Start,
            "lb",
            &format!("{} →", self.more),
        );
        for (i, each) in self.rows.iter().enumerate() {
            let y = top + row * i as f64;
            // A change is named in full, so its name has a line of its own.
            let label = fit(&each.label, width.units() - 4.0);
            canvas.text((2.0, y + 15.0), Anchor::Start, "lb halo", &label);
            let (middle, told) = match width {
                Width::Wide => (y + 33.0, (right + 18.0, y + 37.5)),
                Width::Narrow => (y + 46.0, (2.0, y + 32.0)),
            };
            canvas.text(told, Anchor::Start, "lb strong halo", &each.text);
            canvas.line(
                (x(each.interval.0), middle),
                (x(each.interval.1), middle),
                "whisker",
            );
            for end in [each.interval.0, each.interval.1] {
                canvas.line((x(end), middle - 5.0), (x(end), middle + 5.0), "whisker");
            }
            canvas.rect((x(each.value) - 5.0, middle - 5.0), (10.0, 10.0), "mark");
        }
        canvas.finish(label)
    }
}
