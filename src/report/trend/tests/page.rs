//! The page against its file: every number of one is in the other, links lead somewhere, nothing runs and nothing is
//! loaded, and words stay words.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Element, parse, samples};
use crate::report::trend::{
    columns, html, json, mail, markdown,
    model::{Amount, Band, Days, Interval, Known, Measure, Probability, Proportion, Ratio, Share},
    sample,
    value::Shown,
};

fn shown<T: DeserializeOwned + Shown>(value: &Value) -> (&'static str, String) {
    let value: T = serde_json::from_value(value.clone()).unwrap();
    (T::KIND, value.shown())
}

/// A value of the file as the page has to write it.
fn written(kind: &str, value: &Value) -> String {
    let (name, written) = match kind {
        "count" => shown::<u64>(value),
        "day" => shown::<NaiveDate>(value),
        "share" => shown::<Share>(value),
        "amount" => shown::<Amount>(value),
        "probability" => shown::<Probability>(value),
        "known-count" => shown::<Known<u64>>(value),
        "known-day" => shown::<Known<NaiveDate>>(value),
        "known-share" => shown::<Known<Share>>(value),
        "known-amount" => shown::<Known<Amount>>(value),
        "known-proportion" => shown::<Known<Proportion>>(value),
        "known-probability" => shown::<Known<Probability>>(value),
        "known-days" => shown::<Known<Days>>(value),
        "known-ratio" => shown::<Known<Ratio>>(value),
        "known-interval" => shown::<Known<Interval>>(value),
        "known-band" => shown::<Known<Band>>(value),
        "known-measure" => shown::<Known<Measure>>(value),
        other => panic!("no such kind: {other}"),
    };
    assert_eq!(name, kind);
    written
}

#[test]
fn every_number_of_the_page_is_the_number_of_the_file() {
    for (name, trend) in samples() {
        let file: Value = serde_json::from_slice(&json::bytes(&trend).unwrap()).unwrap();
        let page = parse(&html::render(&trend).unwrap());
        let values: Vec<&Element> = page
            .iter()
            .filter(|e| !e.get("data-at").is_empty())
            .collect();
        for value in &values {
            let at = value.get("data-at");
            let there = file
                .pointer(at)
                .unwrap_or_else(|| panic!("{name}: nothing at {at}"));
            assert_eq!(
                value.text,
                written(value.get("data-as"), there),
                "{name}: {at}"
            );
        }
        assert!(
            values.len() >= if name == "rich" { 900 } else { 12 },
            "{name}: {}",
            values.len()
        );
    }
}

/// Places of all numbers below a value.
fn numbers(at: &str, value: &Value, out: &mut BTreeSet<String>) {
    match value {
        Value::Number(_) => {
            out.insert(at.to_owned());
        }
        Value::Object(map) => map
            .iter()
            .for_each(|(k, v)| numbers(&format!("{at}/{k}"), v, out)),
        Value::Array(items) => {
            for (i, v) in items.iter().enumerate() {
                numbers(&format!("{at}/{i}"), v, out);
            }
        }
        _ => {}
    }
}

#[test]
fn every_number_of_the_file_is_on_the_page() {
    let trend = sample::rich();
    let file: Value = serde_json::from_slice(&json::bytes(&trend).unwrap()).unwrap();
    let page = parse(&html::render(&trend).unwrap());
    let told: BTreeSet<&str> = page
        .iter()
        .map(|e| e.get("data-at"))
        .filter(|at| !at.is_empty())
        .collect();
    let mut all = BTreeSet::new();
    numbers("", &file, &mut all);
    let silent: Vec<&String> = all
        .iter()
        .filter(|at| {
            let mut up = at.as_str();
            loop {
                if told.contains(up) {
                    return false;
                }
                match up.rsplit_once('/') {
                    Some((parent, _)) if !parent.is_empty() => up = parent,
                    _ => return true,
                }
            }
        })
        // In sentences: the power of "no signal", how many wrote alike, and what a policy's head says. A zero of a tier
        // is not said.
        .filter(|at| {
            let is_sentence = at.starts_with("/counts/power/value/more_teams")
                || at.contains("/quotes/")
                || at.contains("/passed/");
            let is_head = at.starts_with("/policies/") && at.split('/').nth(3) == Some("checked");
            let is_tier =
                at.contains("/newly_admitted/") && file.pointer(at) == Some(&Value::from(0));
            !(is_sentence || is_head || is_tier)
        })
        .collect();
    assert!(silent.is_empty(), "not on the page: {silent:#?}");
}

#[test]
fn ids_are_there_once_and_links_lead_somewhere() {
    for (_, trend) in samples() {
        let page = parse(&html::render(&trend).unwrap());
        let mut ids = BTreeSet::new();
        for element in page.iter().filter(|e| !e.get("id").is_empty()) {
            assert!(
                ids.insert(element.get("id")),
                "twice: {}",
                element.get("id")
            );
        }
        for element in &page {
            if let Some(id) = element.get("href").strip_prefix('#') {
                assert!(ids.contains(id), "nowhere: {id}");
            }
            for name in ["aria-labelledby", "aria-details"] {
                for id in element.get(name).split_whitespace() {
                    assert!(ids.contains(id), "nowhere: {id}");
                }
            }
        }
    }
}

#[test]
fn the_page_runs_nothing_and_loads_nothing() {
    for (name, trend) in samples() {
        let page = html::render(&trend).unwrap();
        for word in [
            "<script",
            "javascript:",
            "@import",
            "<link",
            "<img",
            "<iframe",
            "<object",
            "<animate",
        ] {
            assert!(!page.to_lowercase().contains(word), "{name}: {word}");
        }
        assert!(
            page.match_indices("url(")
                .all(|(i, _)| page[i..].starts_with("url(#"))
        );
        for element in parse(&page) {
            for (key, value) in &element.attributes {
                assert!(
                    !key.starts_with("on") && key != "style" && key != "src",
                    "{name}: {key}"
                );
                assert!(key != "href" || value.starts_with('#'), "{name}: {value}");
            }
        }
    }
}

#[test]
fn strange_words_stay_words() {
    let trend = sample::edge();
    let foot = mail::Foot::default();
    let parts = mail::parts(&trend, &foot).unwrap();
    let texts = [
        html::render(&trend).unwrap(),
        markdown::render(&trend).unwrap(),
        parts.html,
        parts.text,
    ];
    for text in &texts {
        assert!(
            !text.contains(['\u{202e}', '\u{2066}']),
            "the direction of writing is not turned"
        );
    }
    for text in &texts[..3] {
        assert!(!text.contains("<script"));
        assert!(text.contains("&lt;script&gt;"));
    }
    assert!(
        texts[1].contains("\\| \\*x\\* \\`y\\`"),
        "no Markdown either"
    );
    let hostile = "=cmd|' /C calc'!A0";
    let mut trend = sample::rich();
    hostile.clone_into(&mut trend.policies[0].conditions[0].condition);
    let files = columns::files(&trend).unwrap();
    let (_, file) = files
        .iter()
        .find(|(n, _)| n == "p1-conditions.csv")
        .unwrap();
    assert!(String::from_utf8_lossy(file).contains("'=cmd"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_words_make_a_page_that_can_be_read(words in "\\PC{0,40}|[<>&\"'|=\u{0}-\u{1f}\u{202a}-\u{202e}]{0,20}", n in 0u64..=u64::MAX) {
        let mut trend = sample::rich();
        trend.signals[0].sentence.clone_from(&words);
        trend.policies[0].title.clone_from(&words);
        trend.policies[0].marks[0].label.clone_from(&words);
        trend.policies[0].reasons[0].reason.clone_from(&words);
        trend.policies[0].weeks[3].asks = n;
        trend.register.months[0].active = n;
        let page = html::render(&trend).unwrap();
        prop_assert!(!page.contains("NaN") && !page.contains("inf\""));
        parse(&page);
        let rows = columns::files(&trend).unwrap();
        prop_assert!(rows.iter().all(|(_, file)| csv::Reader::from_reader(&file[..]).records().all(|r| r.is_ok())));
    }
}
