//! The sheet that drawings are made on: it escapes every word, writes every coordinate alike, and puts title and
//! description where screen readers look for them.

use std::fmt::Write as _;

use super::number::place;

/// The two widths in which each drawing is made, so that its words keep their size: a drawing that is scaled down
/// cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// 800 units: screens and paper.
    Wide,
    /// 328 units: telephones.
    Narrow,
}

impl Width {
    /// In units, which are pixels of the page.
    pub fn units(self) -> f64 {
        match self {
            Self::Wide => 800.0,
            Self::Narrow => 328.0,
        }
    }

    /// Which of two values is for this width.
    pub(super) fn pick<T>(self, wide: T, narrow: T) -> T {
        match self {
            Self::Wide => wide,
            Self::Narrow => narrow,
        }
    }

    fn ending(self) -> &'static str {
        self.pick("w", "n")
    }
}

/// What a drawing says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The figure's anchor: letters, digits and hyphens.
    pub id: String,
    /// The finding.
    pub title: String,
    /// How to read it, and its extremes.
    pub desc: String,
    /// The id of the table with its numbers.
    pub table: String,
}

/// Where a text is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A drawing in the making.
#[derive(Debug)]
pub(super) struct Canvas {
    width: Width,
    height: f64,
    body: String,
}

/// Size of letters, in units: 13, and never under 12.
const LETTER: f64 = 13.0;

/// How wide words are at most, in units. Fonts differ, so this errs on the wide side.
pub(super) fn span(words: &str) -> f64 {
    words
        .chars()
        .map(|c| match c {
            'i' | 'l' | 'j' | 't' | 'f' | '.' | ',' | ':' | ';' | '|' | '!' | '\'' | ' ' | '('
            | ')' => 0.36,
            'm' | 'w' | 'M' | 'W' | '%' | '@' => 0.95,
            'A'..='Z' => 0.74,
            c if (c as u32) < 0x2e80 => 0.6,
            _ => 1.05,
        })
        .sum::<f64>()
        * LETTER
}

/// Words that fit into so many units, cut with `…` where they do not.
pub(super) fn fit(words: &str, room: f64) -> String {
    if span(words) <= room {
        return words.to_owned();
    }
    let mut out = String::new();
    for c in words.chars() {
        out.push(c);
        if span(&out) + LETTER > room {
            out.pop();
            break;
        }
    }
    out.truncate(out.trim_end().len());
    out.push('…');
    out
}

/// Text for inside of an element or an attribute.
pub(super) fn escape(words: &str) -> String {
    let mut out = String::with_capacity(words.len());
    for c in words.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

impl Canvas {
    /// An empty one of that height, in units.
    pub(super) fn new(width: Width, height: f64) -> Self {
        Self {
            width,
            height,
            body: String::new(),
        }
    }

    pub(super) fn text(&mut self, (x, y): (f64, f64), anchor: Anchor, class: &str, words: &str) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => " m",
            Anchor::End => " e",
        };
        let _ = write!(
            self.body,
            r#"<text x="{}" y="{}" class="{class}{anchor}">{}</text>"#,
            place(x),
            place(y),
            escape(words)
        );
    }

    pub(super) fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), class: &str) {
        let _ = write!(
            self.body,
            r#"<line x1="{}" y1="{}" x2="{}" y2="{}" class="{class}"/>"#,
            place(x1),
            place(y1),
            place(x2),
            place(y2)
        );
    }

    pub(super) fn rect(&mut self, (x, y): (f64, f64), (w, h): (f64, f64), class: &str) {
        let _ = write!(
            self.body,
            r#"<rect x="{}" y="{}" width="{}" height="{}" class="{class}"/>"#,
            place(x),
            place(y),
            place(w.max(0.0)),
            place(h.max(0.0))
        );
    }

    pub(super) fn circle(&mut self, (x, y): (f64, f64), r: f64, class: &str) {
        let _ = write!(
            self.body,
            r#"<circle cx="{}" cy="{}" r="{}" class="{class}"/>"#,
            place(x),
            place(y),
            place(r)
        );
    }

    /// A path through points; closed when it is an area.
    pub(super) fn path(&mut self, points: &[(f64, f64)], is_closed: bool, class: &str) {
        let mut d = String::new();
        for (i, (x, y)) in points.iter().enumerate() {
            let _ = write!(
                d,
                "{}{} {}",
                if i == 0 { 'M' } else { 'L' },
                place(*x),
                place(*y)
            );
        }
        if is_closed {
            d.push('Z');
        }
        let _ = write!(self.body, r#"<path d="{d}" class="{class}"/>"#);
    }

    /// An area in one of the looks: each differs in more than colour. The patterns are lines of our own, because pattern
    /// fills make files of many megabytes when a page is printed to a file.
    pub(super) fn area(&mut self, at: (f64, f64), size: (f64, f64), tone: Tone) {
        let class = match tone {
            Tone::Full => "tone",
            Tone::Stripes | Tone::Dots | Tone::Lines => "tone light",
            Tone::Empty => "tone empty",
        };
        self.rect(at, size, class);
        let (path, class) = match tone {
            Tone::Full | Tone::Empty => return,
            Tone::Stripes => (stripes(at, size), "hatch"),
            Tone::Dots => (rows(at, size, 5.0), "hatch dots"),
            Tone::Lines => (rows(at, size, 4.0), "hatch"),
        };
        if !path.is_empty() {
            let _ = write!(self.body, r#"<path d="{path}" class="{class}"/>"#);
        }
    }

    /// The finished element.
    pub(super) fn finish(self, label: &Label) -> String {
        let ending = self.width.ending();
        let id = escape(&label.id);
        format!(
            concat!(
                r#"<svg role="img" aria-labelledby="{id}-{e}-t {id}-{e}-d" aria-details="{table}" class="chart {e}" "#,
                r#"viewBox="0 0 {w} {h}" width="{w}" height="{h}" focusable="false">"#,
                r#"<title id="{id}-{e}-t">{title}</title><desc id="{id}-{e}-d">{desc}</desc>"#,
                r#"<g aria-hidden="true">{body}</g></svg>"#
            ),
            id = id,
            e = ending,
            table = escape(&label.table),
            w = place(self.width.units()),
            h = place(self.height),
            title = escape(&label.title),
            desc = escape(&label.desc),
            body = self.body,
        )
    }
}

/// How an area looks: a colour and a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// The main one: full.
    Full,
    /// Stripes that rise.
    Stripes,
    /// Dots.
    Dots,
    /// Lines that lie.
    Lines,
    /// An empty frame.
    Empty,
}

/// Lines that rise from left to right, six apart, cut at the edges of an area.
fn stripes((left, top): (f64, f64), (wide, high): (f64, f64)) -> String {
    let mut path = String::new();
    let mut reach = 4.0;
    while reach < wide + high {
        let _ = write!(
            path,
            "M{} {}L{} {}",
            place(left + (reach - high).max(0.0)),
            place(top + high.min(reach)),
            place(left + wide.min(reach)),
            place(top + (reach - wide).max(0.0)),
        );
        reach += 6.0;
    }
    path
}

/// Lines that lie, so far apart, inside of an area.
fn rows((left, top): (f64, f64), (wide, high): (f64, f64), apart: f64) -> String {
    let mut path = String::new();
    let mut at = apart / 2.0 + 0.5;
    while at < high {
        let _ = write!(
            path,
            "M{} {}h{}",
            place(left + 2.0),
            place(top + at),
            place((wide - 4.0).max(0.0))
        );
        at += apart;
    }
    path
}
