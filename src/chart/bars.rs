//! Bars that lie, longest meaning most: each with its number, and with an interval, a limit or a gloss where it has one.
//! Also the Pareto chart: bars from the most frequent down, with a rule where most are reached.

use super::{
    canvas::{Anchor, Canvas, Label, Width, fit, span},
    scale::Scale,
};

/// A chart of bars.
#[derive(Debug, Clone, PartialEq)]
pub struct Bars {
    /// The bars, in their order.
    pub bars: Vec<Bar>,
    /// A rule under so many bars, and what it says.
    pub rule: Option<(usize, String)>,
    /// Whether the scale may not pass 1, because the values are shares.
    pub is_share: bool,
}

/// A bar.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// What it is of.
    pub label: String,
    /// Its length.
    pub value: f64,
    /// Its number, as it stands in the table.
    pub text: String,
    /// A gloss.
    pub note: String,
    /// Its interval.
    pub interval: Option<(f64, f64)>,
    /// Its limit.
    pub limit: Option<f64>,
    /// Whether it is above that beyond doubt; a bar that is longer than its limit may be so by chance.
    pub is_over: bool,
}

impl Bars {
    /// The drawing.
    pub fn svg(&self, label: &Label, width: Width) -> String {
        let max = self
            .bars
            .iter()
            .flat_map(|b| {
                [
                    b.value,
                    b.interval.map_or(0.0, |(_, high)| high),
                    b.limit.map_or(0.0, |limit| limit * 1.05),
                ]
            })
            .fold(0.0, f64::max);
        let (left, right) = match width {
            Width::Wide => (230.0, 530.0),
            Width::Narrow => (2.0, 318.0),
        };
        let top = if self.is_share { max.min(1.0) } else { max };
        let x = Scale::new(top, 4.0, (left, right));
        let row = width.pick(34.0, 60.0);
        let rule = self.rule.as_ref().map_or(0.0, |_| 22.0);
        let mut canvas = Canvas::new(width, row * self.bars.len() as f64 + rule + 4.0);
        let mut y = 2.0;
        for (i, bar) in self.bars.iter().enumerate() {
            if let Some((_, words)) = self.rule.as_ref().filter(|(at, _)| *at == i) {
                canvas.line((0.0, y + 2.0), (width.units(), y + 2.0), "rule");
                canvas.text((width.units() - 2.0, y + 17.0), Anchor::End, "lb", words);
                y += rule;
            }
            self.bar(&mut canvas, bar, x, (y, width));
            y += row;
        }
        canvas.finish(label)
    }

    fn bar(&self, canvas: &mut Canvas, bar: &Bar, x: Scale, (y, width): (f64, Width)) {
        let base = x.at(0.0);
        let thick = 14.0;
        let widest = self.bars.iter().map(|b| span(&b.text)).fold(0.0, f64::max);
        let top = match width {
            Width::Wide => {
                let words = fit(&bar.label, base - 14.0);
                canvas.text((base - 12.0, y + 21.5), Anchor::End, "lb", &words);
                canvas.text((546.0, y + 21.5), Anchor::Start, "lb strong", &bar.text);
                let x = 552.0 + widest;
                canvas.text(
                    (x, y + 21.5),
                    Anchor::Start,
                    "lb",
                    &fit(&bar.note, 798.0 - x),
                );
                y + 10.0
            }
            Width::Narrow => {
                canvas.text(
                    (2.0, y + 14.0),
                    Anchor::Start,
                    "lb",
                    &fit(&bar.label, 324.0),
                );
                canvas.text((2.0, y + 31.0), Anchor::Start, "lb strong", &bar.text);
                let x = 10.0 + widest;
                canvas.text(
                    (x, y + 31.0),
                    Anchor::Start,
                    "lb",
                    &fit(&bar.note, 326.0 - x),
                );
                y + 38.0
            }
        };
        // Under an interval or a limit the bar is light, so that they can be seen on it.
        let class = match (bar.is_over, bar.interval.is_some() || bar.limit.is_some()) {
            (true, _) => "bar soft hot",
            (false, true) => "bar soft",
            (false, false) => "bar",
        };
        canvas.rect((base, top), (x.at(bar.value) - base, thick), class);
        canvas.line((base, top - 4.0), (base, top + thick + 4.0), "base");
        if let Some((low, high)) = bar.interval {
            let middle = top + thick / 2.0;
            canvas.line((x.at(low), middle), (x.at(high), middle), "whisker");
            for end in [low, high] {
                canvas.line(
                    (x.at(end), middle - 4.0),
                    (x.at(end), middle + 4.0),
                    "whisker",
                );
            }
        }
        if let Some(limit) = bar.limit {
            let at = x.at(limit);
            canvas.line((at, top - 6.0), (at, top + thick + 6.0), "limit");
        }
    }
}
