//! What a change gives against what it costs: one point for each candidate, the best ones joined, the knee named.

use super::{
    canvas::{Anchor, Canvas, Label, Width, span},
    number,
    scale::Scale,
};

/// A scatter of candidates.
#[derive(Debug, Clone, PartialEq)]
pub struct Frontier {
    /// Candidates.
    pub points: Vec<Dot>,
    /// What lies to the right.
    pub x_name: String,
    /// What lies upwards.
    pub y_name: String,
}

/// A candidate.
#[derive(Debug, Clone, PartialEq)]
pub struct Dot {
    /// Its letter, as in the table.
    pub letter: String,
    /// What it costs.
    pub x: f64,
    /// What it gives.
    pub y: f64,
    /// How it stands.
    pub rank: Rank,
}

/// How a candidate stands among the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rank {
    /// The best trade.
    Knee,
    /// None is better in both.
    Frontier,
    /// Another is better in both.
    Inside,
    /// Must not be done as it is.
    Vetoed,
}

impl Frontier {
    /// The drawing.
    pub fn svg(&self, label: &Label, width: Width) -> String {
        let (left, right) = (34.0, width.units() - width.pick(200.0, 18.0));
        let (top, bottom) = (44.0, width.pick(254.0, 224.0));
        let mut canvas = Canvas::new(width, bottom + 44.0);
        let most = |of: fn(&Dot) -> f64| self.points.iter().map(of).fold(0.0, f64::max);
        let x = Scale::new(most(|d| d.x), width.pick(6.0, 4.0), (left, right));
        let y = Scale::counts(most(|d| d.y), 4.0, (bottom, top));
        canvas.text(
            (2.0, 14.0),
            Anchor::Start,
            "lb",
            &format!("↑ {}", self.y_name),
        );
        canvas.text(
            (right, bottom + 38.0),
            Anchor::End,
            "lb",
            &format!("{} →", self.x_name),
        );
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
        for tick in x.ticks() {
            canvas.line((x.at(tick), bottom), (x.at(tick), bottom + 5.0), "base");
            canvas.text(
                (x.at(tick), bottom + 20.0),
                Anchor::Middle,
                "lb",
                &number::brief(tick),
            );
        }
        let mut best: Vec<(f64, f64)> = self
            .points
            .iter()
            .filter(|d| matches!(d.rank, Rank::Knee | Rank::Frontier))
            .map(|d| (x.at(d.x), y.at(d.y)))
            .collect();
        best.sort_by(|a, b| a.0.total_cmp(&b.0));
        canvas.path(&best, false, "frontier");
        let places: Vec<(f64, f64)> = self.points.iter().map(|d| (x.at(d.x), y.at(d.y))).collect();
        for (dot, at) in self.points.iter().zip(&places) {
            draw(&mut canvas, dot, *at);
        }
        self.names(&mut canvas, &places, width);
        canvas.finish(label)
    }

    /// Letters beside their points: where the first of right, above, below and left is free.
    fn names(&self, canvas: &mut Canvas, places: &[(f64, f64)], width: Width) {
        let mut taken: Vec<Area> = places
            .iter()
            .map(|(x, y)| (x - 7.0, y - 7.0, x + 7.0, y + 7.0))
            .collect();
        // The best trade and what is vetoed say more than a letter, so they choose first.
        let mut order: Vec<_> = self.points.iter().zip(places).collect();
        order.sort_by_key(|(dot, _)| !matches!(dot.rank, Rank::Knee | Rank::Vetoed));
        for (dot, (x, y)) in order {
            let words = words(dot);
            let room = span(&words);
            let choices = [
                (x + 11.0, y + 4.5, Anchor::Start, x + 9.0),
                (*x, y - 11.0, Anchor::Middle, x - room / 2.0),
                (*x, y + 20.0, Anchor::Middle, x - room / 2.0),
                (x - 11.0, y + 4.5, Anchor::End, x - 11.0 - room),
                (x + 9.0, y + 22.0, Anchor::Start, x + 9.0),
            ];
            let area = |c: &(f64, f64, Anchor, f64)| (c.3, c.1 - 12.0, c.3 + room, c.1 + 2.0);
            let free = choices.iter().find(|c| {
                let area = area(c);
                area.0 >= 0.0
                    && area.1 >= 18.0
                    && area.2 <= width.units()
                    && !taken.iter().any(|t| overlap(t, &area))
            });
            let Some(choice) = free.or(choices.first()) else {
                continue;
            };
            taken.push(area(choice));
            canvas.text((choice.0, choice.1), choice.2, "lb strong halo", &words);
        }
    }
}

fn draw(canvas: &mut Canvas, dot: &Dot, (x, y): (f64, f64)) {
    match dot.rank {
        Rank::Knee => canvas.path(
            &[(x, y - 8.0), (x + 8.0, y), (x, y + 8.0), (x - 8.0, y)],
            true,
            "dot-full",
        ),
        Rank::Frontier => canvas.circle((x, y), 5.0, "dot-full"),
        Rank::Inside => canvas.circle((x, y), 5.0, "dot-open"),
        Rank::Vetoed => {
            canvas.line((x - 5.0, y - 5.0), (x + 5.0, y + 5.0), "cross");
            canvas.line((x - 5.0, y + 5.0), (x + 5.0, y - 5.0), "cross");
        }
    }
}

fn words(dot: &Dot) -> String {
    match dot.rank {
        Rank::Knee => format!("{} best trade", dot.letter),
        Rank::Vetoed => format!("{} vetoed", dot.letter),
        _ => dot.letter.clone(),
    }
}

/// A rectangle: left, top, right, bottom.
type Area = (f64, f64, f64, f64);

fn overlap(a: &Area, b: &Area) -> bool {
    a.0 < b.2 && b.0 < a.2 && a.1 < b.3 && b.1 < a.3
}
