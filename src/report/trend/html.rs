//! The report as one static page: no script, nothing loaded from elsewhere, drawings in the page. Words are escaped by
//! the template; what goes in as it is are the drawings and the style, which are ours.

use minijinja::{AutoEscape, Environment, syntax::SyntaxConfig};
use serde::Serialize;
use serde_json::json;

use super::{
    Error,
    model::Trend,
    outline,
    outline::{Cell, Part, Section, Table},
    section, sentences,
    value::Shown,
};
use crate::{
    catalog::template,
    chart::{self, Label, Width},
    notify::text,
};

const STYLE: &str = include_str!("templates/page.css");

/// Templates of the page, by name.
const TEMPLATES: &[(&str, &str)] = &[
    ("page.html", include_str!("templates/page.html")),
    ("table.html", include_str!("templates/table.html")),
];

/// A piece of a section with its drawings made.
#[derive(Serialize)]
#[serde(tag = "is", rename_all = "snake_case")]
enum Piece<'a> {
    Words {
        text: &'a str,
    },
    List {
        title: &'a str,
        items: &'a [String],
    },
    Figure {
        id: &'a str,
        title: &'a str,
        reading: &'a str,
        is_table_first: bool,
        wide: Option<String>,
        narrow: Option<String>,
        table: &'a Table,
    },
}

#[derive(Serialize)]
struct Block<'a> {
    id: &'a str,
    title: &'a str,
    level: u8,
    pieces: Vec<Piece<'a>>,
}

#[derive(Serialize)]
struct Count {
    what: &'static str,
    cell: Cell,
}

/// The rules of the page, as they stand in its `<style>` element: their hash can go into a content security policy.
pub fn style() -> String {
    format!("{STYLE}{}", chart::STYLE)
}

/// The page.
pub fn render(trend: &Trend) -> Result<String, Error> {
    let trend = &super::json::settled_trend(trend)?;
    let sections = outline(trend);
    let mut blocks = sections.iter().map(block);
    let front = blocks.next();
    let blocks: Vec<Block<'_>> = blocks.collect();
    let period = &trend.period;
    let counts: Vec<Count> = section::front::counts(trend)
        .into_iter()
        .map(|(what, cell)| Count { what, cell })
        .collect();
    let facts = json!({
        "style": style(),
        "organisation": text::line(&trend.organisation),
        "period": text::line(&period.name),
        "from": period.from.shown(),
        "to": period.to.shown(),
        "so_far": !period.is_over,
        "asked_at": text::instant(trend.made.asked_at),
        "sentences": sentences(trend),
        "counts": counts,
        "front": front,
        "blocks": blocks,
        "sha256": super::json::content_sha256(trend)?,
    });
    let page = environment()?
        .get_template("page.html")?
        .render(template::value(&facts))?;
    Ok(page)
}

fn environment() -> Result<Environment<'static>, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_syntax(
        SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()?,
    );
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    for (name, source) in TEMPLATES {
        environment.add_template(name, source)?;
    }
    Ok(environment)
}

fn block(section: &Section) -> Block<'_> {
    Block {
        id: &section.id,
        title: &section.title,
        level: section.level,
        pieces: section.parts.iter().map(piece).collect(),
    }
}

fn piece(part: &Part) -> Piece<'_> {
    match part {
        Part::Words { text } => Piece::Words { text },
        Part::List { title, items } => Piece::List { title, items },
        Part::Figure(figure) => {
            let label = Label {
                id: figure.id.clone(),
                title: figure.title.clone(),
                desc: figure.reading.clone(),
                table: format!("{}-table", figure.id),
            };
            let draw = |width| {
                let chart = figure.chart.as_ref()?;
                Some(chart.svg(&label, width))
            };
            Piece::Figure {
                id: &figure.id,
                title: &figure.title,
                reading: &figure.reading,
                is_table_first: figure.is_table_first,
                wide: draw(Width::Wide),
                narrow: draw(Width::Narrow),
                table: &figure.table,
            }
        }
    }
}
