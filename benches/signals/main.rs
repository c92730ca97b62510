//! Measures the signal detector and its rivals on worlds whose truth is known.
//!
//! ```text
//! signals table (<folder> | <shape> <first> <last>) [--alarms <folder>]
//! signals try   (<folder> | <shape> <first> <last>) [--show] <options as JSON> …
//! signals score <folder> <alarms.ndjson>     alarms of another detector
//! signals tune  (<folder> | <shape> <first> <last>)
//! signals make  <shape> <first> <last> <folder>
//! signals speed
//! ```
#![expect(clippy::print_stdout, reason = "it is a command")]
#![allow(
    clippy::indexing_slicing,
    clippy::similar_names,
    clippy::many_single_char_names,
    clippy::needless_pass_by_value,
    dead_code,
    clippy::missing_docs_in_private_items,
    clippy::allow_attributes,
    missing_docs,
    unreachable_pub,
    reason = "a bench is read, not depended on"
)]

mod generate;
mod rivals;
mod score;
mod world;

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use generate::{Shape, generate};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use score::{Alarm, Pooled, Score, pooled, quantile, score, thinned};
use tripline::signal::{Ask, Kind, Options, backtest, detect};
use world::{World, run_day, week_of};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// What the product's detector says, week by week.
fn ours(world: &World, options: &Options) -> Vec<Alarm> {
    let history = world.history();
    let (first, last) = (run_day(world.meta.hist), run_day(world.meta.weeks - 1));
    let mut alarms = Vec::new();
    for (today, found) in backtest(&history, options, first, last) {
        for brief in found {
            alarms.push(Alarm {
                week: week_of(today),
                control: brief.control,
                descriptor: Some(brief.descriptor),
                kind: match brief.kind {
                    Kind::ChronicBudget => "budget",
                    _ => "emergence",
                },
                note: format!(
                    "k {} of {:.3}, p {:.1e}",
                    brief.seen, brief.expected, brief.p
                ),
            });
        }
    }
    alarms
}

type Detector = (&'static str, Box<dyn Fn(&World) -> Vec<Alarm>>);

fn detectors() -> Vec<Detector> {
    let only = |kind| Options {
        kinds: vec![kind],
        ..Options::default()
    };
    vec![
        ("breadth scan", Box::new(|w| ours(w, &Options::default()))),
        (
            "gated CUSUM + budget leg",
            Box::new(|w| rivals::gated_cusum_and_budget(w, 8.0, 3.0)),
        ),
        (
            "emergence only",
            Box::new(move |w| ours(w, &only(Kind::Emergence))),
        ),
        (
            "no gates (q .01)",
            Box::new(|w| rivals::without_gates(w, 0.01)),
        ),
        ("requests >= 12", Box::new(|w| rivals::requests(w, 12))),
        ("requests >= 5", Box::new(|w| rivals::requests(w, 5))),
        (
            "distinct teams >= 10",
            Box::new(|w| rivals::distinct_teams(w, 10)),
        ),
        (
            "distinct teams >= 5",
            Box::new(|w| rivals::distinct_teams(w, 5)),
        ),
        (
            "approved teams >= 9",
            Box::new(|w| rivals::approved_teams(w, 9)),
        ),
        ("teams >= 8 and 3x", Box::new(|w| rivals::ratio(w, 8, 3.0))),
        (
            "Poisson CUSUM (12, 3x)",
            Box::new(|w| rivals::cusum(w, 12.0, 3.0, false)),
        ),
    ]
}

fn read(folder: &Path) -> Outcome<Vec<World>> {
    let files = std::fs::read_dir(folder)?.map(|e| Ok(e?.path()));
    let mut files: Vec<PathBuf> = files.collect::<Outcome<_>>()?;
    files.retain(|f| f.extension().is_some_and(|e| e == "ndjson"));
    files.sort();
    files.iter().map(|f| World::read(f)).collect()
}

/// Worlds of a folder, or of seeds; and what is left of the words.
fn worlds(words: &[String]) -> Outcome<(Vec<World>, &[String])> {
    let first = words.first().ok_or("which worlds?")?;
    if let Some(shape) = Shape::named(first) {
        let (from, to) = (words[1].parse()?, words[2].parse::<u64>()?);
        let worlds = (from..=to).map(|seed| generate(seed, &shape)).collect();
        return Ok((worlds, &words[3..]));
    }
    Ok((read(Path::new(first))?, &words[1..]))
}

/// The middle 95 % of a figure when worlds are drawn anew.
fn interval(scores: &[Score], of: impl Fn(&Pooled) -> f64) -> (f64, f64) {
    let mut chance = ChaCha8Rng::seed_from_u64(1);
    let draw = |_| {
        let drawn: Vec<&Score> = (0..scores.len())
            .map(|_| &scores[chance.gen_range(0..scores.len())])
            .collect();
        of(&pooled(drawn.iter().copied()))
    };
    let values: Vec<f64> = (0..1000).map(draw).collect();
    (quantile(values.clone(), 0.025), quantile(values, 0.975))
}

fn row(name: &str, scores: &[Score], seconds: f64) {
    let p = pooled(scores.iter());
    let within = |of: &dyn Fn(&Pooled) -> f64| {
        let (low, high) = interval(scores, of);
        format!("[{low:.2},{high:.2}]")
    };
    let kinds: Vec<String> = p.kinds.iter().map(|(k, v)| format!("{k} {v:.2}")).collect();
    let tripped: Vec<String> = p
        .tripped_by
        .iter()
        .map(|(k, v)| format!("{k} {v}"))
        .collect();
    println!(
        "| {name} | {:.3} {} | {:.3} {} | {:.3} {} | {:.0} / {:.0} | {:.0} | {:.3} | {:.2} / {:.2} | {} | {} | {seconds:.1} |",
        p.precision,
        within(&|p| p.precision),
        p.recall,
        within(&|p| p.recall),
        p.f1,
        within(&|p| p.f1),
        p.delay,
        p.delay_p90,
        p.asks,
        p.per_quarter,
        p.exact,
        p.jaccard,
        kinds.join(", "),
        tripped.join(", "),
    );
}

const HEAD: &str = "| detector | P | R26 | F1 | delay / p90 wk | asks | FA/qtr | exact / Jaccard | by kind | tripped by | s |\n|---|---|---|---|---|---|---|---|---|---|---|";

fn table(words: &[String]) -> Outcome<()> {
    let (worlds, rest) = worlds(words)?;
    println!("{HEAD}");
    for (name, detector) in detectors() {
        let start = Instant::now();
        let alarms: Vec<Vec<Alarm>> = worlds.iter().map(&detector).collect();
        let seconds = start.elapsed().as_secs_f64();
        if let [flag, folder] = rest
            && flag == "--alarms"
        {
            write(Path::new(folder), name, &worlds, &alarms)?;
        }
        let scores: Vec<Score> = worlds
            .iter()
            .zip(alarms)
            .map(|(w, a)| score(w, a))
            .collect();
        row(name, &scores, seconds);
    }
    Ok(())
}

fn write(folder: &Path, name: &str, worlds: &[World], alarms: &[Vec<Alarm>]) -> Outcome<()> {
    std::fs::create_dir_all(folder)?;
    let mut text = String::new();
    for (world, alarms) in worlds.iter().zip(alarms) {
        for alarm in thinned(alarms.clone()) {
            let line = serde_json::json!({
                "seed": world.meta.seed, "week": alarm.week, "control": alarm.control,
                "descriptor": alarm.descriptor,
            });
            text.push_str(&line.to_string());
            text.push('\n');
        }
    }
    let file: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    Ok(std::fs::write(folder.join(file + ".ndjson"), text)?)
}

/// Alarms of another detector, one a line: seed, week, control, descriptor or null.
fn theirs(words: &[String]) -> Outcome<()> {
    #[derive(serde::Deserialize)]
    struct Line {
        seed: u64,
        week: i64,
        control: String,
        #[serde(default)]
        descriptor: Option<std::collections::BTreeMap<String, String>>,
    }
    let (worlds, rest) = worlds(words)?;
    let text = std::fs::read_to_string(rest.first().ok_or("which alarms?")?)?;
    let lines: Vec<Line> = text
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let of = |world: &World| {
        lines
            .iter()
            .filter(|l| l.seed == world.meta.seed)
            .map(|l| Alarm {
                week: l.week,
                control: l.control.clone(),
                descriptor: l.descriptor.clone(),
                kind: "theirs",
                note: String::new(),
            })
            .collect()
    };
    let scores: Vec<Score> = worlds.iter().map(|w| score(w, of(w))).collect();
    println!("{HEAD}");
    row("theirs", &scores, 0.0);
    Ok(())
}

fn attempt(words: &[String]) -> Outcome<()> {
    let (worlds, rest) = worlds(words)?;
    println!("{HEAD}");
    for set in rest.iter().filter(|w| !w.starts_with("--")) {
        let options: Options = serde_json::from_str(set)?;
        let start = Instant::now();
        let alarms: Vec<Vec<Alarm>> = worlds.iter().map(|w| ours(w, &options)).collect();
        let seconds = start.elapsed().as_secs_f64();
        if rest.iter().any(|w| w == "--show") {
            for (world, alarms) in worlds.iter().zip(&alarms) {
                score::show(world, alarms.clone());
            }
        }
        let scores: Vec<Score> = worlds
            .iter()
            .zip(alarms)
            .map(|(w, a)| score(w, a))
            .collect();
        row(set, &scores, seconds);
    }
    Ok(())
}

fn make(words: &[String]) -> Outcome<()> {
    let (worlds, rest) = worlds(words)?;
    let folder = Path::new(rest.first().ok_or("into which folder?")?);
    std::fs::create_dir_all(folder)?;
    for world in worlds {
        world.write(&folder.join(format!("world-{}.ndjson", world.meta.seed)))?;
    }
    Ok(())
}

/// The strongest rival at several of its numbers.
fn tune(words: &[String]) -> Outcome<()> {
    let (worlds, _) = worlds(words)?;
    println!("{HEAD}");
    for (h, times) in [
        (6.0, 3.0),
        (8.0, 3.0),
        (10.0, 3.0),
        (12.0, 3.0),
        (14.0, 3.0),
        (12.0, 2.0),
    ] {
        let scores: Vec<Score> = worlds
            .iter()
            .map(|w| score(w, rivals::gated_cusum_and_budget(w, h, times)))
            .collect();
        row(
            &format!("gated CUSUM ({h}, {times}x) + budget leg"),
            &scores,
            0.0,
        );
    }
    Ok(())
}

/// Three years of weekly runs, and one run over very many asks.
fn speed() -> Outcome<()> {
    for (name, weeks) in [("medium", 208), ("large", 208)] {
        let shape = Shape {
            weeks,
            ..Shape::named(name).ok_or("a shape")?
        };
        let world = generate(7, &shape);
        let history = world.history();
        let start = Instant::now();
        let runs = backtest(
            &history,
            &Options::default(),
            run_day(52),
            run_day(weeks - 1),
        );
        println!(
            "{name}: {} teams, {} controls, {} asks, {} weekly runs: {:.2} s",
            shape.teams,
            shape.controls,
            history.asks.len(),
            runs.len(),
            start.elapsed().as_secs_f64()
        );
    }
    let world = generate(
        7,
        &Shape {
            rate: 5.0,
            ..Shape::default()
        },
    );
    let mut history = world.history();
    let few = history.asks.clone();
    while history.asks.len() < 200_000 {
        let at = history.asks.len();
        let copies = few.iter().enumerate().map(|(n, ask)| Ask {
            id: format!("x{}", at + n),
            request: None,
            text: format!(
                "{} cannot rotate {} within the limit of {}",
                ask.team,
                ask.control,
                n % 97
            ),
            ..ask.clone()
        });
        history.asks.extend(copies);
    }
    let start = Instant::now();
    let detected = detect(&history, &Options::default(), run_day(155));
    println!(
        "{} asks, one run: {:.2} s, {} patterns",
        history.asks.len(),
        start.elapsed().as_secs_f64(),
        detected.patterns.len()
    );
    Ok(())
}

fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let (command, rest) = words
        .split_first()
        .ok_or("table, try, score, make or speed")?;
    match command.as_str() {
        "table" => table(rest),
        "try" => attempt(rest),
        "score" => theirs(rest),
        "make" => make(rest),
        "tune" => tune(rest),
        "speed" => speed(),
        other => Err(format!(
            "{other}: table, try, score, make or speed; shapes: {}",
            Shape::NAMES.join(", ")
        )
        .into()),
    }
}
