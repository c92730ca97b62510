//! Drawings as inline SVG, without a library: each is a pure function of its numbers, to the same bytes every time.
//! A drawing never stands alone: it names the table that holds its numbers, says its finding as its title and how to
//! read it as its description. What tells things apart is a label, a dash or a pattern, and colour besides. Colours are
//! custom properties of the page ([`STYLE`]), so that light, dark and paper each have their own. Nothing moves.

pub mod bars;
mod canvas;
pub mod forest;
pub mod frontier;
pub mod line;
pub mod number;
mod scale;
pub mod stack;
pub mod survival;

pub use canvas::{Label, Width};

/// The rules that a page needs for the drawings. The page defines the custom properties.
pub const STYLE: &str = include_str!("chart.css");

/// One of the drawings.
#[derive(Debug, Clone, PartialEq)]
pub enum Chart {
    /// A line with the band of what was expected, and marks.
    Line(line::Line),
    /// Bars that lie, with intervals and limits.
    Bars(bars::Bars),
    /// Columns that are stacked, above and below the line.
    Stack(stack::Stack),
    /// How many last so long.
    Survival(survival::Survival),
    /// What a change gives against what it costs.
    Frontier(frontier::Frontier),
    /// Ratios with their intervals.
    Forest(forest::Forest),
}

impl Chart {
    /// The drawing as an `<svg>` element, which refers to the table of the label.
    pub fn svg(&self, label: &Label, width: Width) -> String {
        match self {
            Self::Line(chart) => chart.svg(label, width),
            Self::Bars(chart) => chart.svg(label, width),
            Self::Stack(chart) => chart.svg(label, width),
            Self::Survival(chart) => chart.svg(label, width),
            Self::Frontier(chart) => chart.svg(label, width),
            Self::Forest(chart) => chart.svg(label, width),
        }
    }
}

#[cfg(test)]
mod tests;
