//! The report as it is read: by people, by screen readers, by programs that compare it with its file.

mod drawing;
mod page;
mod written;

use std::collections::BTreeMap;

use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};

use super::{model::Trend, sample};

/// An element of a page, without its place in the tree.
#[derive(Debug, Default)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) attributes: BTreeMap<String, String>,
    /// All text in it.
    pub(super) text: String,
    /// The elements in it.
    pub(super) children: Vec<usize>,
    pub(super) inside: Vec<usize>,
}

impl Element {
    pub(super) fn get(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

/// A page as its elements; fails when it is not well formed.
pub(super) fn parse(page: &str) -> Vec<Element> {
    let mut reader = Reader::from_str(page);
    let mut all: Vec<Element> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let begin = |start: &BytesStart<'_>, all: &mut Vec<Element>, open: &[usize]| {
        let attributes = start
            .attributes()
            .map(|a| {
                let a = a.unwrap();
                let key = a.key.as_ref().to_owned();
                let raw = a.value.to_string();
                (key, quick_xml::escape::unescape(&raw).unwrap().into_owned())
            })
            .collect();
        let name = start.name().as_ref().to_owned();
        all.push(Element {
            name,
            attributes,
            inside: open.to_vec(),
            ..Element::default()
        });
        let at = all.len() - 1;
        if let Some(parent) = open.last() {
            all[*parent].children.push(at);
        }
        at
    };
    let say = |words: &str, all: &mut Vec<Element>, open: &[usize]| {
        for at in open {
            all[*at].text.push_str(words);
        }
    };
    loop {
        match reader.read_event().unwrap() {
            Event::Start(start) => {
                let at = begin(&start, &mut all, &open);
                open.push(at);
            }
            Event::Empty(start) => {
                begin(&start, &mut all, &open);
            }
            Event::End(_) => {
                open.pop();
            }
            Event::Text(text) => say(&text, &mut all, &open),
            Event::GeneralRef(entity) => {
                let written = format!("&{};", &*entity);
                say(
                    &quick_xml::escape::unescape(&written).unwrap(),
                    &mut all,
                    &open,
                );
            }
            Event::Eof => break,
            _ => {}
        }
    }
    assert!(open.is_empty(), "every element is closed");
    all
}

pub(super) fn samples() -> [(&'static str, Trend); 3] {
    [
        ("rich", sample::rich()),
        ("empty", sample::empty()),
        ("edge", sample::edge()),
    ]
}
