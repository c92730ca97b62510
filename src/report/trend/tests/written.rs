//! The report in its other forms, and what it says of little and of nothing.

use std::{collections::BTreeSet, fmt::Write as _};

use super::samples;
use crate::report::trend::{columns, html, json, mail, markdown, model::Trend, sample, sentences};

#[test]
fn the_same_report_is_the_same_bytes() {
    for (_, trend) in samples() {
        let again: Trend = serde_json::from_slice(&json::bytes(&trend).unwrap()).unwrap();
        assert_eq!(html::render(&trend).unwrap(), html::render(&again).unwrap());
        assert_eq!(json::bytes(&trend).unwrap(), json::bytes(&again).unwrap());
        assert_eq!(
            columns::files(&trend).unwrap(),
            columns::files(&again).unwrap()
        );
        assert_eq!(
            markdown::render(&trend).unwrap(),
            markdown::render(&again).unwrap()
        );
    }
}

#[test]
fn of_few_there_is_no_percentage() {
    let trend = sample::edge();
    let texts = [
        html::render(&trend)
            .unwrap()
            .split_once("</style>")
            .unwrap()
            .1
            .to_owned(),
        markdown::render(&trend).unwrap(),
        mail::parts(&trend, &mail::Foot::default()).unwrap().text,
    ];
    // What is no share of cases: the levels of intervals, and a change that names one.
    let levels = [
        "90 % band",
        "90 % interval",
        "95 % band",
        "95 % interval",
        "90 % of what was expected",
        "above 1 % traffic",
    ];
    for text in texts {
        let rest = levels
            .iter()
            .fold(text, |text, level| text.replace(level, ""));
        let at = rest.find(" %");
        assert!(
            at.is_none(),
            "{}",
            &rest[at.unwrap_or(0).saturating_sub(120)..][..160]
        );
    }
}

#[test]
fn a_changed_file_is_seen() {
    let file = json::bytes(&sample::rich()).unwrap();
    assert!(json::is_intact(&file));
    let text = String::from_utf8(file).unwrap();
    assert!(!json::is_intact(
        text.replacen("\"asks\":12", "\"asks\":13", 1).as_bytes()
    ));
    assert!(!json::is_intact(b"{}"));
    let page = html::render(&sample::rich()).unwrap();
    assert!(page.contains(&json::content_sha256(&sample::rich()).unwrap()));
}

#[test]
fn a_report_that_is_made_again_is_the_same_content() {
    let trend = sample::rich();
    let digest = json::content_sha256(&trend).unwrap();
    let mut later = trend.clone();
    later.made.asked_at += chrono::TimeDelta::days(3);
    later.made.link = None;
    assert_eq!(json::content_sha256(&later).unwrap(), digest);
    let file = json::bytes(&later).unwrap();
    assert!(json::is_intact(&file));
    assert_ne!(
        file,
        json::bytes(&trend).unwrap(),
        "it says when it was made"
    );
    let mut body: serde_json::Value = serde_json::from_slice(&file).unwrap();
    assert!(json::is_kept(&body, &digest).unwrap());
    assert_eq!(json::written(body.clone()).unwrap(), file);
    body["counts"]["open"] = 7.into();
    assert!(!json::is_kept(&body, &digest).unwrap());
    // Another outcome is another content.
    later.counts.open += 1;
    assert_ne!(json::content_sha256(&later).unwrap(), digest);
}

#[test]
fn a_time_before_the_register_has_one_sentence() {
    let mut trend = sample::empty();
    trend.period.seen = None;
    trend.period.since = sample::day(2026, 10, 4);
    assert_eq!(
        sentences(&trend),
        ["Nothing is known here of 2026Q3: the register begins on 4 Oct 2026."]
    );
}

#[test]
fn what_is_not_over_is_told_so_far() {
    let mut trend = sample::rich();
    trend.period.is_over = false;
    trend.counts.concluded = 1;
    let said = sentences(&trend);
    assert!(
        said[0].starts_with("2 signals are open, 1 of them overdue; 1 signal is concluded and not over. The most urgent: "),
        "{said:?}"
    );
    assert!(
        said[2].starts_with(
            "Independent asks: 73 in 2026Q3 so far; as many days of the quarter before: 58; "
        ),
        "{said:?}"
    );
    // The most urgent signal that has a change worth it.
    trend.signals[0].candidates.clear();
    assert!(sentences(&trend)[1].starts_with("For SIG-9: "), "{said:?}");
}

#[test]
fn no_signal_is_a_result_only_with_its_power() {
    let mut trend = sample::rich();
    trend.signals.clear();
    assert_eq!(
        sentences(&trend)[0],
        "No signal is open. That is a result: the scan would have caught a pattern of 5 \
            more teams than expected with probability 0.80."
    );
    assert_eq!(
        sentences(&sample::empty())[0],
        "No signal is open. That is no result yet: what the scan would have caught is not \
            known (fewer than 39 weeks of history)."
    );
    for (_, trend) in samples() {
        assert!(
            (3..=6).contains(&sentences(&trend).len()),
            "{:?}",
            sentences(&trend)
        );
    }
}

#[test]
fn the_mail_has_tables_and_no_drawing_and_no_quote() {
    let trend = sample::rich();
    let foot = mail::Foot {
        why: "You get this because you lead a policy.".into(),
        command: None,
        beside: None,
        unsubscribe: Some("https://tripline.example.test/mail/7".into()),
        checkpoint: Some("example.test/tripline\n12\nq83v…".into()),
    };
    let parts = mail::parts(&trend, &foot).unwrap();
    assert!(!parts.html.contains("<svg") && parts.html.contains("<th scope=\"row\""));
    assert!(parts.html.len() < 95_000);
    for text in [&parts.html, &parts.text] {
        assert!(!text.contains(&trend.signals[0].quotes[0].text));
    }
    assert_eq!(
        parts.subject,
        "Exceptions and policies, 2026Q3: 2 signals open"
    );
    insta::assert_snapshot!("mail.txt", parts.text);
}

#[test]
fn markdown_and_columns_read_well() {
    insta::assert_snapshot!("rich.md", markdown::render(&sample::rich()).unwrap());
    insta::assert_snapshot!("empty.md", markdown::render(&sample::empty()).unwrap());
    let files = columns::files(&sample::rich()).unwrap();
    let names: BTreeSet<&String> = files.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), files.len());
    let chosen = [
        "signals-open",
        "s1-what-if",
        "p1-budgets",
        "p1-quarters",
        "effects-ratio",
        "p1-compared",
    ];
    let mut text = String::new();
    for (name, file) in &files {
        let rows: Vec<csv::StringRecord> = csv::Reader::from_reader(&file[..])
            .records()
            .map(Result::unwrap)
            .collect();
        assert!(rows.iter().all(|r| r.len() == rows[0].len()));
        if chosen.iter().any(|c| name.strip_suffix(".csv") == Some(c)) {
            let _ = writeln!(text, "== {name}\n{}", String::from_utf8_lossy(file));
        }
    }
    insta::assert_snapshot!("columns", text);
}
