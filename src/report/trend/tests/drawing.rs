//! The drawings in the page: what they say of themselves, where their words lie, and whether they can be seen.

use super::{Element, parse, samples};
use crate::report::trend::html;

#[test]
fn every_drawing_says_its_finding_how_to_read_it_and_where_its_numbers_are() {
    for (name, trend) in samples() {
        let page = parse(&html::render(&trend).unwrap());
        let with_id = |id: &str| page.iter().find(|e| e.get("id") == id);
        let drawings: Vec<&Element> = page.iter().filter(|e| e.name == "svg").collect();
        for svg in &drawings {
            assert_eq!(svg.get("role"), "img");
            let names: Vec<&str> = svg.get("aria-labelledby").split(' ').collect();
            assert_eq!(names.len(), 2);
            for (id, kind) in names.iter().zip(["title", "desc"]) {
                let said = with_id(id).unwrap();
                assert_eq!(said.name, kind);
                assert!(said.text.len() > 12, "{name}: {id} says {:?}", said.text);
            }
            let table = with_id(svg.get("aria-details")).unwrap();
            assert_eq!(table.name, "table");
            let heads: Vec<&Element> = page
                .iter()
                .filter(|e| {
                    e.name == "th"
                        && e.inside
                            .iter()
                            .any(|i| std::ptr::eq(&raw const page[*i], table))
                })
                .collect();
            assert!(heads.iter().any(|h| h.get("scope") == "col"));
            assert!(heads.iter().any(|h| h.get("scope") == "row"));
            assert!(
                table
                    .children
                    .iter()
                    .any(|c| page[*c].name == "caption" && !page[*c].text.is_empty())
            );
            let inner: Vec<&Element> = svg.children.iter().map(|c| &page[*c]).collect();
            assert!(
                inner
                    .iter()
                    .all(|e| ["title", "desc", "defs", "g"].contains(&e.name.as_str()))
            );
            assert!(
                inner
                    .iter()
                    .filter(|e| e.name == "g")
                    .all(|g| g.get("aria-hidden") == "true")
            );
            // What a drawing prints in bold is a number or a letter of its table.
            for text in page
                .iter()
                .filter(|e| e.name == "text" && e.get("class").contains("strong"))
            {
                let is_mine = text
                    .inside
                    .iter()
                    .any(|i| std::ptr::eq(&raw const page[*i], *svg));
                let number = text
                    .text
                    .split(" at ")
                    .next()
                    .unwrap()
                    .split(" best")
                    .next()
                    .unwrap()
                    .split(" vetoed")
                    .next()
                    .unwrap();
                if is_mine && number != "asks a week" {
                    assert!(
                        table.text.contains(number),
                        "{name}: {number:?} is not in {}",
                        table.get("id")
                    );
                }
            }
        }
        assert_eq!(drawings.is_empty(), name == "empty");
    }
}

/// How wide words are in a drawing, at least: letters of 13 units, most of them narrower than high.
fn least(words: &str) -> f64 {
    words.chars().count() as f64 * 13.0 * 0.46
}

#[test]
fn words_of_a_drawing_lie_inside_of_it_and_not_on_each_other() {
    for (name, trend) in samples() {
        let page = parse(&html::render(&trend).unwrap());
        for (at, svg) in page.iter().enumerate().filter(|(_, e)| e.name == "svg") {
            let number = |e: &Element, key: &str| e.get(key).parse::<f64>().unwrap();
            let (width, height) = (number(svg, "width"), number(svg, "height"));
            let areas: Vec<(f64, f64, f64, f64, &str)> = page
                .iter()
                .filter(|e| e.name == "text" && e.inside.contains(&at))
                .map(|e| {
                    let (x, y, wide) = (number(e, "x"), number(e, "y"), least(&e.text));
                    let left = match e.get("class").rsplit(' ').next() {
                        Some("m") => x - wide / 2.0,
                        Some("e") => x - wide,
                        _ => x,
                    };
                    (left, y - 9.0, left + wide, y + 1.0, e.text.as_str())
                })
                .collect();
            let id = svg.get("aria-labelledby");
            for (i, a) in areas.iter().enumerate() {
                let is_inside = a.0 >= -4.0 && a.1 >= 0.0 && a.2 <= width + 4.0 && a.3 <= height;
                assert!(
                    is_inside,
                    "{name}: {:?} leaves {id}: {a:?} of {width} by {height}",
                    a.4
                );
                for b in &areas[i + 1..] {
                    let is_on = a.0 < b.2 && b.0 < a.2 && a.1 < b.3 && b.1 < a.3;
                    assert!(!is_on, "{name}: {:?} lies on {:?} in {id}", a.4, b.4);
                }
            }
        }
    }
}

/// The value of a custom property in a piece of style, as red, green and blue from 0 to 1.
fn colour(style: &str, name: &str) -> [f64; 3] {
    let (_, rest) = style.split_once(&format!("--{name}:#")).unwrap();
    let mut hex: String = rest.chars().take_while(char::is_ascii_hexdigit).collect();
    if hex.len() == 3 {
        hex = hex.chars().flat_map(|c| [c, c]).collect();
    }
    [0, 2, 4].map(|i| f64::from(u8::from_str_radix(&hex[i..i + 2], 16).unwrap()) / 255.0)
}

/// Contrast of two colours (WCAG 2.2, relative luminance).
fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
    let light = |c: [f64; 3]| {
        let [r, g, b] = c.map(|v| {
            if v <= 0.040_45 {
                v / 12.92
            } else {
                ((v + 0.055) / 1.055).powf(2.4)
            }
        });
        0.2126 * r + 0.7152 * g + 0.0722 * b
    };
    let (a, b) = (light(a), light(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[test]
fn words_and_marks_stand_out_on_screen_in_the_dark_and_on_paper() {
    let style = html::style();
    let roots: Vec<&str> = style
        .split(":root{")
        .skip(1)
        .map(|s| s.split_once('}').unwrap().0)
        .collect();
    assert_eq!(roots.len(), 3, "light, dark and paper");
    for root in roots {
        let words = [
            ("ink", "paper"),
            ("muted", "paper"),
            ("link", "paper"),
            ("accent", "paper"),
            ("hot", "paper"),
            ("muted", "sheet"),
            ("ink", "h1"),
            ("ink", "h2"),
            ("ink", "h3"),
            ("ink", "h4"),
            ("h5-ink", "h5"),
            ("muted", "band"),
        ];
        for (front, back) in words {
            let seen = contrast(colour(root, front), colour(root, back));
            assert!(seen >= 4.5, "{front} on {back}: {seen:.2}");
        }
        let marks = [
            ("axis", "paper"),
            ("tone", "paper"),
            ("accent", "band"),
            ("tone", "tone-soft"),
            ("hot", "hot-soft"),
            ("ink", "tone-soft"),
            ("ink", "hot-soft"),
        ];
        for (front, back) in marks {
            let seen = contrast(colour(root, front), colour(root, back));
            assert!(seen >= 3.0, "{front} on {back}: {seen:.2}");
        }
    }
}

#[test]
fn letters_are_never_under_twelve_pixels() {
    let style = html::style();
    for (i, _) in style.match_indices("font-size:") {
        let rest = &style[i + "font-size:".len()..];
        let number: String = rest
            .chars()
            .take_while(|c| c.is_ascii_digit() || *c == '.')
            .collect();
        let size: f64 = number.parse().unwrap();
        let pixels = if rest[number.len()..].starts_with("pt") {
            size * 4.0 / 3.0
        } else {
            size
        };
        assert!(pixels >= 12.0, "{}", &rest[..12]);
    }
}
