//! Worlds by the dozen: registers of exceptions of one organisation, with patterns and look-alikes put in. The
//! distributions are described in `docs`; the random stream and the code are this file's own.

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use tripline::signal::Decided;

use super::world::{Control, Event, Label, Meta, World};

/// Attributes and how many values each has.
const ATTRIBUTES: [(&str, usize); 6] = [
    ("reason", 8),
    ("data_class", 4),
    ("vendor", 15),
    ("env", 4),
    ("model_family", 8),
    ("region", 4),
];
/// Those that go with the team.
const OF_TEAM: [usize; 3] = [2, 4, 5];

/// The size of a world and what is missing from it.
#[derive(Debug, Clone)]
pub struct Shape {
    pub weeks: i64,
    pub hist: i64,
    pub teams: usize,
    pub departments: usize,
    pub controls: usize,
    /// Mean asks of a control in a year.
    pub rate: f64,
    pub patterns: usize,
    pub look_alikes: usize,
    /// Growth of all asks in a year.
    pub growth: f64,
    pub links: bool,
    pub outcomes: bool,
    pub budgets: bool,
    /// Teams in scope of each control, when that is less than all.
    pub scope: Option<usize>,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            weeks: 156,
            hist: 52,
            teams: 60,
            departments: 10,
            controls: 40,
            rate: 5.0,
            patterns: 6,
            look_alikes: 12,
            growth: 0.15,
            links: true,
            outcomes: true,
            budgets: true,
            scope: None,
        }
    }
}

impl Shape {
    /// A variant by its name.
    pub fn named(name: &str) -> Option<Self> {
        let medium = Self::default();
        Some(match name {
            "medium" => medium,
            "small" => Self {
                teams: 20,
                departments: 6,
                controls: 24,
                patterns: 4,
                look_alikes: 8,
                ..medium
            },
            "large" => Self {
                teams: 200,
                departments: 25,
                controls: 120,
                ..medium
            },
            "large-scoped" => Self {
                teams: 200,
                departments: 25,
                controls: 120,
                scope: Some(60),
                ..medium
            },
            "growth" => Self {
                growth: 0.6,
                ..medium
            },
            "no-links" => Self {
                links: false,
                ..medium
            },
            "no-outcomes" => Self {
                outcomes: false,
                ..medium
            },
            "no-budgets" => Self {
                budgets: false,
                ..medium
            },
            "background" => Self {
                patterns: 0,
                look_alikes: 0,
                ..medium
            },
            "look-alikes" => Self {
                patterns: 0,
                ..medium
            },
            _ => return None,
        })
    }

    pub const NAMES: [&'static str; 10] = [
        "medium",
        "small",
        "large",
        "large-scoped",
        "growth",
        "no-links",
        "no-outcomes",
        "no-budgets",
        "background",
        "look-alikes",
    ];
}

/// Draws from the distributions that are needed.
struct Chance(ChaCha8Rng);

impl Chance {
    fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.0.r#gen::<f64>()
    }

    fn below(&mut self, n: usize) -> usize {
        self.0.gen_range(0..n.max(1))
    }

    fn weeks(&mut self, low: i64, high: i64) -> i64 {
        self.0.gen_range(low..high.max(low + 1))
    }

    fn happens(&mut self, p: f64) -> bool {
        self.0.r#gen::<f64>() < p
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.0.r#gen::<f64>()).ln()
    }

    fn normal(&mut self) -> f64 {
        let (u, v) = (1.0 - self.0.r#gen::<f64>(), self.0.r#gen::<f64>());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }

    /// Marsaglia and Tsang (2000), for shapes of 1 and more.
    fn gamma(&mut self, shape: f64, scale: f64) -> f64 {
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let v = (1.0 + c * x).powi(3);
            let u = 1.0 - self.0.r#gen::<f64>();
            if v > 0.0 && u.ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                return d * v * scale;
            }
        }
    }

    fn beta(&mut self, a: f64, b: f64) -> f64 {
        let (x, y) = (self.gamma(a, 1.0), self.gamma(b, 1.0));
        x / (x + y)
    }

    /// Knuth (1969): for the small means of this file.
    fn poisson(&mut self, mean: f64) -> u32 {
        let limit = (-mean).exp();
        let (mut k, mut product) = (0, self.0.r#gen::<f64>());
        while product > limit {
            k += 1;
            product *= self.0.r#gen::<f64>();
        }
        k
    }

    /// Zipf weights in random order, summed up.
    fn zipf(&mut self, n: usize, exponent: f64) -> Vec<f64> {
        let mut weights: Vec<f64> = (1..=n).map(|r| (r as f64).powf(-exponent)).collect();
        weights.shuffle(&mut self.0);
        let sum: f64 = weights.iter().sum();
        let mut so_far = 0.0;
        for weight in &mut weights {
            so_far += *weight / sum;
            *weight = so_far;
        }
        weights
    }

    fn weighted(&mut self, sums: &[f64]) -> usize {
        let at = self.0.r#gen::<f64>();
        sums.partition_point(|s| *s < at).min(sums.len() - 1)
    }

    /// So many different numbers below `n`.
    fn some(&mut self, n: usize, many: usize) -> Vec<usize> {
        let mut all: Vec<usize> = (0..n).collect();
        all.shuffle(&mut self.0);
        all.truncate(many);
        all
    }
}

/// How busy a week is: by season, at the end of a quarter, in December.
fn season(week: i64) -> f64 {
    let mut s = 1.0 + 0.25 * (std::f64::consts::TAU * week as f64 / 52.0).sin();
    if week % 13 >= 11 {
        s *= 1.8;
    }
    if week % 52 >= 50 {
        s *= 0.5;
    }
    s
}

struct Maker<'s> {
    shape: &'s Shape,
    chance: Chance,
    department: Vec<usize>,
    values: Vec<Vec<f64>>,
    favourites: Vec<Vec<usize>>,
    approval: Vec<f64>,
    scope: Vec<Vec<usize>>,
    events: Vec<Event>,
}

/// What is fixed of an ask.
#[derive(Clone, Default)]
struct Fixed {
    values: BTreeMap<usize, usize>,
    approved: Option<f64>,
    incident: Option<String>,
    request: Option<String>,
}

impl Maker<'_> {
    fn ask(&mut self, src: &str, (team, control): (usize, usize), week: i64, fixed: &Fixed) {
        let mut attributes = BTreeMap::new();
        for (at, (name, _)) in ATTRIBUTES.iter().enumerate() {
            let own = OF_TEAM.contains(&at) && self.chance.happens(0.5);
            let drawn = if own {
                self.favourites[at][team]
            } else {
                self.chance.weighted(&self.values[at].clone())
            };
            let value = fixed.values.get(&at).copied().unwrap_or(drawn);
            attributes.insert((*name).to_owned(), format!("{name}{value}"));
        }
        let p = fixed.approved.unwrap_or(self.approval[control]);
        let approved = self.chance.happens(p);
        let outcome = match (self.shape.outcomes, approved) {
            (false, _) => Decided::Unknown,
            (true, true) => Decided::Approved,
            (true, false) => Decided::Denied,
        };
        let week = week.min(self.shape.weeks - 1);
        self.events.push(Event {
            id: String::new(),
            day: week * 7 + self.chance.weeks(0, 5),
            team: format!("t{team}"),
            department: format!("d{}", self.department[team]),
            control: format!("c{control}"),
            attributes,
            incident: fixed.incident.clone().filter(|_| self.shape.links),
            request: fixed.request.clone().filter(|_| self.shape.links),
            outcome,
            src: src.to_owned(),
        });
    }

    fn value(&mut self, attribute: usize) -> usize {
        self.chance.weighted(&self.values[attribute].clone())
    }

    fn teams(&mut self, control: usize, many: usize) -> Vec<usize> {
        let scope = self.scope[control].clone();
        let some = self.chance.some(scope.len(), many);
        some.into_iter().map(|at| scope[at]).collect()
    }

    fn pattern(&mut self, at: usize, kind: &str, control: usize) -> Label {
        let (hist, weeks) = (self.shape.hist, self.shape.weeks);
        let many = match self.chance.uniform(0.0, 1.0) {
            u if u < 0.25 => 0,
            u if u < 0.70 => 1,
            _ => 2,
        };
        let shared = self.chance.some(ATTRIBUTES.len(), many);
        let values: BTreeMap<usize, usize> =
            shared.into_iter().map(|a| (a, self.value(a))).collect();
        let chronic = kind == "chronic";
        let from = if chronic {
            0
        } else {
            self.chance.weeks(hist, weeks - 30)
        };
        let rate = if chronic {
            self.chance.uniform(0.45, 0.75)
        } else {
            self.chance.uniform(0.35, 0.95)
        };
        let teams = if chronic {
            20 + self.chance.below(14)
        } else {
            10 + self.chance.below(16)
        };
        let in_scope = self.scope[control].len();
        let teams = self.teams(control, teams.min(in_scope.saturating_sub(2)));
        let fixed = Fixed {
            values: values.clone(),
            approved: Some(self.chance.uniform(0.75, 0.97)),
            ..Fixed::default()
        };
        let mislabelled = Fixed {
            values: BTreeMap::new(),
            ..fixed.clone()
        };
        let id = format!("P{at}");
        for week in from..weeks {
            let mut mean = rate * season(week).sqrt();
            if kind == "ramp" {
                mean *= ((week - from + 1) as f64 / 16.0).min(1.0);
            }
            for _ in 0..self.chance.poisson(mean) {
                let team = teams[self.chance.below(teams.len())];
                let with = if self.chance.happens(0.05) {
                    &mislabelled
                } else {
                    &fixed
                };
                self.ask(&id, (team, control), week, with);
            }
        }
        Label {
            id,
            kind: kind.to_owned(),
            control: format!("c{control}"),
            attrs: named(&values),
            from_week: from.max(if chronic { hist } else { 0 }),
            end_week: weeks,
            real: true,
        }
    }

    fn look_alike(&mut self, at: usize, kind: &str, control: usize) -> Label {
        let (hist, weeks) = (self.shape.hist, self.shape.weeks);
        let from = self.chance.weeks(hist, weeks - 20);
        let attribute = self.chance.below(ATTRIBUTES.len());
        let values = BTreeMap::from([(attribute, self.value(attribute))]);
        let id = format!("L{at}");
        let fixed = Fixed {
            values: values.clone(),
            ..Fixed::default()
        };
        let always = Fixed {
            approved: Some(1.0),
            ..fixed.clone()
        };
        match kind {
            "noisy_team" => {
                let team = self.teams(control, 1)[0];
                for week in from..weeks.min(from + 20) {
                    for _ in 0..self.chance.poisson(0.8) {
                        self.ask(&id, (team, control), week, &fixed);
                    }
                }
            }
            "incident" => {
                let many = 6 + self.chance.below(6);
                for team in self.teams(control, many) {
                    let tagged = self.chance.happens(0.7);
                    let with = Fixed {
                        incident: tagged.then(|| format!("INC-{at}")),
                        ..always.clone()
                    };
                    let week = from + self.chance.weeks(0, 2);
                    self.ask(&id, (team, control), week, &with);
                }
            }
            "bulk" => {
                for team in self.teams(control, 2) {
                    let week = from + self.chance.weeks(0, 3);
                    let with = Fixed {
                        request: Some(format!("D-{at}-{team}")),
                        ..always.clone()
                    };
                    for _ in 0..6 + self.chance.below(6) {
                        self.ask(&id, (team, control), week, &with);
                    }
                }
            }
            "denied_wave" => {
                let many = 8 + self.chance.below(6);
                let with = Fixed {
                    approved: Some(0.1),
                    ..fixed
                };
                for team in self.teams(control, many) {
                    let week = from + self.chance.weeks(0, 16);
                    self.ask(&id, (team, control), week, &with);
                }
            }
            _ => {
                let many = 8 + self.chance.below(6);
                for team in self.teams(control, many) {
                    #[expect(clippy::cast_possible_truncation, reason = "a few weeks")]
                    let week = from + (self.chance.exponential(2.5) as i64).min(8);
                    self.ask(&id, (team, control), week, &Fixed::default());
                }
            }
        }
        Label {
            id,
            kind: kind.to_owned(),
            control: format!("c{control}"),
            attrs: named(&values),
            from_week: from,
            end_week: from + 26,
            real: false,
        }
    }
}

fn named(values: &BTreeMap<usize, usize>) -> BTreeMap<String, String> {
    values
        .iter()
        .map(|(a, v)| {
            (
                ATTRIBUTES[*a].0.to_owned(),
                format!("{}{v}", ATTRIBUTES[*a].0),
            )
        })
        .collect()
}

/// One world. The same seed gives the same world on any machine.
pub fn generate(seed: u64, shape: &Shape) -> World {
    let mut chance = Chance(ChaCha8Rng::seed_from_u64(seed ^ 0x7269_706c_696e_6500));
    let department = (0..shape.teams)
        .map(|_| chance.below(shape.departments))
        .collect();
    let busy = chance.zipf(shape.teams, 0.8);
    let values: Vec<Vec<f64>> = ATTRIBUTES
        .iter()
        .map(|(_, n)| chance.zipf(*n, 0.9))
        .collect();
    let favourites = values
        .iter()
        .map(|v| (0..shape.teams).map(|_| chance.weighted(v)).collect())
        .collect();
    let mut rates: Vec<f64> = (0..shape.controls)
        .map(|_| chance.gamma(1.2, shape.rate / 1.2).min(9.0))
        .collect();
    let mut order = chance.some(shape.controls, shape.controls);
    let busiest: Vec<usize> = order.drain(..3.min(order.len())).collect();
    for control in &busiest {
        rates[*control] = chance.uniform(18.0, 26.0);
    }
    let approval = (0..shape.controls).map(|_| chance.beta(7.0, 3.0)).collect();
    let scope: Vec<Vec<usize>> = (0..shape.controls)
        .map(|_| chance.some(shape.teams, shape.scope.unwrap_or(shape.teams)))
        .collect();
    let mut maker = Maker {
        shape,
        chance,
        department,
        values,
        favourites,
        approval,
        scope,
        events: Vec::new(),
    };
    for week in 0..shape.weeks {
        let grown = (1.0 + shape.growth).powf(week as f64 / 52.0);
        for (control, rate) in rates.iter().enumerate() {
            let mean = rate / 52.0 * season(week) * grown * maker.chance.gamma(3.0, 1.0 / 3.0);
            for _ in 0..maker.chance.poisson(mean) {
                let team = loop {
                    let team = maker.chance.weighted(&busy);
                    if shape.scope.is_none() || maker.scope[control].contains(&team) {
                        break team;
                    }
                };
                maker.ask("bg", (team, control), week, &Fixed::default());
            }
        }
    }
    let mut labels = Vec::new();
    let mut young: BTreeMap<usize, i64> = BTreeMap::new();
    let patterns = ["step", "step", "ramp", "step", "chronic", "ramp"];
    for (at, kind) in patterns.iter().cycle().take(shape.patterns).enumerate() {
        if let Some(control) = order.pop() {
            labels.push(maker.pattern(at, kind, control));
        }
    }
    let kinds = [
        "noisy_team",
        "incident",
        "bulk",
        "denied_wave",
        "rollout",
        "noisy_team",
        "incident",
        "bulk",
        "denied_wave",
        "incident",
        "noisy_team",
        "bulk",
    ];
    for (at, kind) in kinds.iter().cycle().take(shape.look_alikes).enumerate() {
        if let Some(control) = order.pop() {
            let label = maker.look_alike(at, kind, control);
            if *kind == "rollout" {
                young.insert(control, label.from_week);
            }
            labels.push(label);
        }
    }
    let mut events = maker.events;
    events.sort_by(|x, y| (x.day, &x.control).cmp(&(y.day, &y.control)));
    for (at, event) in events.iter_mut().enumerate() {
        event.id = format!("e{at:06}");
    }
    let control = |at: usize| Control {
        id: format!("c{at}"),
        budget: shape
            .budgets
            .then_some(if busiest.contains(&at) { 0.45 } else { 0.15 }),
        effective_week: young.get(&at).copied(),
        teams: shape.scope.and_then(|n| u32::try_from(n).ok()),
    };
    World {
        meta: Meta {
            seed,
            weeks: shape.weeks,
            hist: shape.hist,
            teams: u32::try_from(shape.teams).unwrap_or(u32::MAX),
            controls: (0..shape.controls).map(control).collect(),
            labels,
        },
        events,
    }
}
