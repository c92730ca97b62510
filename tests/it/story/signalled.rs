//! Repeated exceptions, from the first look at them to a policy that fits: what is a signal and what is none, what a changed
//! limit would have done, the draft in shadow, and what the change did.

use std::{fmt::Write as _, fs};

use chrono::{Days, NaiveDate};
use serde_json::{Value, json};

use super::{
    company::stores,
    register::{Office, refused},
};

/// Teams with their departments.
const TEAMS: &[(&str, &str)] = &[
    ("scoring", "retail"),
    ("lending", "retail"),
    ("cards", "payments"),
    ("fraud", "payments"),
    ("claims", "insurance"),
    ("pricing", "insurance"),
    ("treasury", "markets"),
    ("wealth", "markets"),
    ("support", "digital"),
    ("onboarding", "digital"),
];

pub(super) const CONTROL: &str = r#"
id: lapse
title: Vendors are reviewed again within 10 days
policy: third-party-ai#review
severity: high
owner: procurement
schedule: "0 6 * * *"
confirm: 1
clear: 2
params: { grace: 10d }
evidence: SELECT id, name, tier, review_due FROM vendors.vendors
max_age: 1d
subject: vendors/vendor/{id}
inventory: vendors.vendors
fails_when: CAST(review_due AS TIMESTAMP) < now() - $grace
fingerprint: [name]
facts: { vendor: name, data_class: tier }
examples:
  - { at: 2026-11-20T12:00:00Z, given: { id: v1, name: A, review_due: 2026-11-01 }, expect: fail }
  - { at: 2026-11-20T12:00:00Z, given: { id: v2, name: A, review_due: 2026-11-21 }, expect: pass }
  - { at: 2026-11-20T12:00:00Z, given: { id: v3, name: A, review_due: null }, expect: unknown }
"#;

/// Something else that may be wrong with a vendor.
const SECOND: &str = r#"
id: second-source
title: Critical vendors can be replaced
policy: third-party-ai#review
severity: high
owner: procurement
schedule: "0 6 * * *"
confirm: 1
evidence: SELECT id, name FROM vendors.vendors
max_age: 1d
subject: vendors/vendor/{id}
inventory: vendors.vendors
fails_when: name = 'Vendor 2'
examples:
  - { at: 2026-11-20T12:00:00Z, given: { id: v1, name: Vendor 2 }, expect: fail }
  - { at: 2026-11-20T12:00:00Z, given: { id: v2, name: Vendor 3 }, expect: pass }
  - { at: 2026-11-20T12:00:00Z, given: { id: v3, name: null }, expect: unknown }
"#;

/// What one team says, each time something else.
const WORDS: &[&str] = &[
    "The annex waits for a signature abroad.",
    "Our lawyer is on leave until Friday.",
    "Prices are negotiated anew this month.",
    "A clause on audits is still disputed.",
    "Procurement lost the second copy.",
    "Translation of page nine takes longer.",
    "Their bank changed its details twice.",
    "We merge two tenants before renewing.",
];

fn today() -> NaiveDate {
    "2031-06-02".parse().unwrap()
}

/// An ask so many days ago.
fn ask(n: usize, back: u64, control: &str, more: &Value) -> String {
    let (team, department) = TEAMS[n % TEAMS.len()];
    let reason = ["needs_time", "other", "not_foreseen"][n % 3];
    let tier = ["low", "medium"][n % 2];
    let mut one = json!({
        "id": format!("OLD-{n:04}"),
        "day": today() - Days::new(back),
        "team": team,
        "department": department,
        "control": control,
        "attributes": { "reason": reason, "data_class": tier },
        "text": format!("request number {n} of its own kind {}", n * 7919),
        "outcome": "approved",
    });
    for (key, value) in more.as_object().unwrap() {
        one[key] = value.clone();
    }
    one.to_string()
}

/// A year of an older register: little, everywhere; then eight teams around one vendor, one team again and again, and a
/// wave that was denied.
pub(super) fn year() -> String {
    let mut lines: Vec<String> = (0..30)
        .map(|n| {
            let control = ["lapse", "papers", "contract", "access", "labels"][n % 5];
            ask(n, 365 - 12 * n as u64, control, &json!({}))
        })
        .collect();
    let shared = json!({ "reason": "vendor_limitation", "data_class": "critical" });
    lines.extend((0..8).map(|n| {
        let more = json!({ "attributes": shared, "text": format!("Vendor papers come late, case {n} {}", n * 31) });
        ask(100 + n, 70 - 8 * n as u64, "lapse", &more)
    }));
    lines.extend((0..8).map(|n| {
        let more = json!({
            "team": "wealth",
            "department": "markets",
            "attributes": { "reason": "other", "environment": "lab" },
            "text": WORDS[n],
        });
        ask(200 + n, 60 - 6 * n as u64, "contract", &more)
    }));
    lines.extend((0..9).map(|n| {
        let more = json!({
            "outcome": "denied",
            "attributes": { "reason": "experiment", "model_family": "chat" },
            "text": format!("may we {n} {}", n * 13),
        });
        ask(300 + n, 63 - 6 * n as u64, "access", &more)
    }));
    lines.join("\n") + "\n"
}

pub(super) fn office(store: (String, Option<crate::systems::Database>)) -> Office {
    let o = Office::new(store);
    // Another control than the one that the office began with: it is as old as the register.
    fs::remove_file(o.on.path("controls/review.yaml")).unwrap();
    let let_go = ["check", "--let-go", "--as-of", "2031-06-02T07:00:01Z"];
    o.on.run(&let_go, None).ends(0);
    o.on.write("controls/lapse.yaml", CONTROL);
    let settings = fs::read_to_string(o.on.path("tripline.yaml")).unwrap();
    let mut teams = String::new();
    for (team, department) in TEAMS.iter().filter(|(team, _)| *team != "scoring") {
        writeln!(
            teams,
            "  - {{ id: {team}, department: {department}, region: North }}"
        )
        .unwrap();
    }
    let settings = settings
        .replace(
            "  - { id: scoring }\n",
            &format!("  - {{ id: scoring, department: retail, region: South }}\n{teams}"),
        )
        .replace(
            "teams:\n",
            "channels:\n  mail: { smtp: { host: 127.0.0.1, port: 9, from: tripline@example.test } }\nteams:\n",
        );
    o.on.write("tripline.yaml", &settings);
    // Two are eight days late beyond what is permitted, two are a hundred.
    o.on.write(
        "vendors.csv",
        "id,name,tier,owner,review_due\nV-1,Vendor 1,critical,procurement,2031-05-16\nV-2,Vendor 2,critical,procurement,2031-05-15\n\
         V-3,Vendor 3,low,procurement,2031-02-01\nV-10,Vendor 10,low,procurement,2031-05-17\n",
    );
    o.on.write("year.ndjson", &year());
    o
}

/// R153, R154, R155, R156, R157, R158, R159, R160, R161, R162, R163, R167, R129, R217, R218: the same ask of eight teams questions the
/// policy, one team's and a denied wave do not; a changed limit is tried, drafted, run in shadow, adopted and measured.
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_lead_goes_from_a_signal_to_a_policy_that_fits() {
    for store in stores().await {
        let o = office(store);
        let at = "2031-06-02T09:00:00Z";
        let run = |words: &[&str], code: i32| {
            o.on.run(&[words, &["--as-of", at]].concat(), None)
                .ends(code)
        };
        let json = |words: &[&str], code: i32| -> Value {
            let said = run(&[words, &["--format", "json"]].concat(), code);
            serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {said}"))
        };
        // A line that cannot be read names its place, and nothing of the file is taken in.
        o.on.write("broken.ndjson", "{\"id\": \"x\"}\n");
        let broken = o.on.path("broken.ndjson").display().to_string();
        let ran = o.on.run(&["signals", "import", &broken], None);
        assert!(
            ran.code() == Some(2) && ran.err().contains("broken.ndjson:1:"),
            "{}",
            ran.err()
        );
        let year = o.on.path("year.ndjson").display().to_string();
        run(&["signals", "import", &year], 0);
        // V-1 is excepted here and now.
        o.asks(
            "2031-06-02T08:00:00Z",
            &[
                ("controls", "[lapse]"),
                ("facets", "{ business_impact: low, legal_exposure: false }"),
                ("expires_at", "2031-06-09T08:00:00Z"),
            ],
        )
        .ends(0);
        o.on.run(
            &[
                "check",
                "--control",
                "lapse",
                "--as-of",
                "2031-06-02T08:05:00Z",
            ],
            None,
        )
        .ends(1);
        assert_eq!(
            o.on.run(&["signals", "calibrate", "--rounds", "0"], None)
                .code(),
            Some(2),
            "no rounds are no number"
        );
        run(&["signals", "calibrate", "--rounds", "3"], 0);

        // One signal, told once; the others are none, each with its reason.
        let looked = json(&["signals", "look"], 0);
        let listed = json(&["signals"], 1);
        let signals = listed.as_array().unwrap();
        assert_eq!(signals.len(), 1, "{looked:#}");
        let id = signals[0]["id"].as_str().unwrap();
        assert_eq!(signals[0]["control"], "lapse");
        assert_eq!(signals[0]["owner"], "ai-governance");
        let reasons: Vec<&str> = looked["detected"]["turned_away"]
            .as_array()
            .unwrap()
            .iter()
            .map(|t| t["because"].as_str().unwrap())
            .collect();
        assert!(
            reasons.contains(&"one_team") && reasons.contains(&"denied_wave"),
            "{reasons:?}"
        );
        assert_eq!(json(&["signals", "look"], 0)["owed"], 0, "told once");
        let waiting =
            o.on.run(&["check", "--as-of", "2031-06-02T09:05:00Z"], None);
        assert!(
            [Some(0), Some(1)].contains(&waiting.code()),
            "{}",
            waiting.err()
        );
        let told = o.on.list(&["notices", "list", "--recipient", "lee"]);
        let shown: Vec<String> = told
            .iter()
            .map(|n| {
                o.on.run(&["notices", "show", n["id"].as_str().unwrap()], None)
                    .ends(0)
            })
            .filter(|said| said.contains("Policy questioned"))
            .collect();
        assert_eq!(shown.len(), 1, "{told:?}");

        // What a changed limit would have done; what cannot be tried is said.
        let said = json(&["signals", "show", id], 0);
        assert_eq!(
            said["signal"]["pattern"]["descriptor"]["data_class"], "critical",
            "{said:#}"
        );
        let found = &said["signal"]["pattern"]["findings"];
        assert_eq!(
            (&found["silent"], &found["unasked"]),
            (&json!(1), &json!(0)),
            "{said:#}"
        );
        let tried = json(
            &["what-if", "lapse", "--set", "grace=30d", "--since", "4w"],
            0,
        );
        let last = tried["weeks"].as_array().unwrap().last().unwrap();
        assert_eq!(
            (
                &last["failing"],
                &last["would_fail"],
                &last["cleared"],
                &last["admitted"]
            ),
            (&json!(4), &json!(1), &json!(1), &json!(2)),
            "{tried:#}"
        );
        let first = &tried["weeks"][0];
        assert!(first["missing"].is_string(), "no run of that week is kept");
        assert!(first.get("failing").is_none(), "and it is not told as none");
        let scoped = [
            "what-if",
            "lapse",
            "--set",
            "grace=30d",
            "--where",
            "tier = 'critical'",
            "--since",
            "1w",
        ];
        assert_eq!(json(&scoped, 0)["latest"]["admitted"], json!({ "high": 1 }));
        // The same in the words of the control's facts, and since a day.
        let scoped = [
            "what-if",
            "lapse",
            "--set",
            "grace=30d",
            "--fact",
            "data_class=critical",
            "--since",
            "2031-06-02",
        ];
        let said = json(&scoped, 0);
        assert_eq!(said["latest"]["admitted"], json!({ "high": 1 }));
        assert_eq!(said["weeks"].as_array().unwrap().len(), 1);
        let nobody = ["--set", "grace=30d", "--where", "tier = 'none such'"];
        let nobody = run(&[&["what-if", "lapse"][..], &nobody].concat(), 0);
        assert!(nobody.contains("It moves nobody"), "{nobody}");
        let csv = run(
            &[
                "what-if",
                "lapse",
                "--set",
                "grace=30d",
                "--since",
                "2w",
                "--format",
                "csv",
            ],
            0,
        );
        assert!(
            csv.starts_with("week,population") && csv.lines().count() == 3,
            "{csv}"
        );
        for (words, said) in [
            (
                vec!["what-if", "lapse", "--set", "graze=30d"],
                "no parameter `graze`",
            ),
            (
                vec!["what-if", "lapse", "--set", "grace=soon"],
                "a length of time",
            ),
            (
                vec![
                    "what-if",
                    "lapse",
                    "--set",
                    "grace=30d",
                    "--where",
                    "tier =",
                ],
                "tier =",
            ),
            (
                vec!["what-if", "lapses", "--set", "grace=30d"],
                "no control `lapses`",
            ),
            (
                vec!["what-if", "lapse", "--set", "grace=10d"],
                "nothing would change",
            ),
            (
                vec![
                    "what-if",
                    "lapse",
                    "--set",
                    "grace=20d",
                    "--set",
                    "grace=30d",
                ],
                "more than once",
            ),
            (
                vec![
                    "what-if",
                    "lapse",
                    "--set",
                    "grace=30d",
                    "--fact",
                    "colour=red",
                ],
                "no fact `colour`; it has data_class, vendor",
            ),
            (
                vec!["what-if", "lapse", "--fact", "colour=red"],
                "no fact `colour`",
            ),
            (
                vec!["what-if", "lapse", "--set", "grace=30d", "--since", "3m"],
                "less than a week",
            ),
            (
                vec!["what-if", "lapse", "--set", "grace=30d", "--since", "300w"],
                "at most 260",
            ),
            (
                vec![
                    "what-if",
                    "lapse",
                    "--set",
                    "grace=30d",
                    "--since",
                    "2031-07-01",
                ],
                "not past yet",
            ),
            (
                vec!["what-if", "EXC-2031-0001", "--set", "grace=30d"],
                "change a control",
            ),
            (vec!["what-if", id], "tripline signals show"),
        ] {
            let ran = o.on.run(&[words, vec!["--as-of", at]].concat(), None);
            assert!(
                ran.code() == Some(2) && ran.err().contains(said),
                "{said}: {}",
                ran.err()
            );
        }
        assert!(run(&["what-if", "EXC-2031-0001"], 0).contains("V-1"));
        // Whoever does not lead the policy decides nothing.
        let act = |who: &str, at: &str, words: &[&str]| {
            let token = o.token(who);
            let all = [&["signals"], words, &["--as-of", at]].concat();
            o.on.run_with(&all, &[("TRIPLINE_TOKEN_FILE", &token)])
        };
        refused(&act("eve", at, &["acknowledge", id]), "not_lead");
        act("lee", at, &["acknowledge", id]).ends(0);
        refused(
            &act(
                "lee",
                at,
                &["conclude", id, "--outcome", "keep", "--because", "fine"],
            ),
            "--until",
        );
        for (words, code) in [
            (["keep", "--until", "2031-06-02"], "day_past"),
            (
                ["revise_policy", "--effective", "1999-01-01"],
                "day_before_signal",
            ),
        ] {
            let all = [
                &["conclude", id, "--because", "fine", "--outcome"][..],
                &words,
            ]
            .concat();
            refused(&act("lee", at, &all), code);
        }
        let draft = [
            "--outcome",
            "revise_policy",
            "--effective",
            "2031-06-03",
            "--draft",
        ];
        for (name, code) in [("nowhere", "no_draft"), ("lapse", "not_a_draft")] {
            let all = [&["conclude", id, "--because", "fine"][..], &draft, &[name]].concat();
            refused(&act("lee", at, &all), code);
        }

        // A draft beside the control tells nobody and shows what it would say.
        let diff = run(&["signals", "draft", id, "--set", "grace=30d"], 0);
        assert!(
            diff.contains("-params: { grace: 10d }") && diff.contains("+params: { grace: 30d }"),
            "{diff}"
        );
        let folder = o.on.path("controls").display().to_string();
        run(
            &[
                "signals",
                "draft",
                id,
                "--set",
                "grace=30d",
                "--into",
                &folder,
            ],
            0,
        );
        // What never ran says nothing of anybody.
        let before = json(&["signals", "shadow", "lapse"], 3);
        assert_eq!(
            (&before["draft"], &before["differ"]),
            (&Value::Null, &json!([])),
            "{before:#}"
        );
        // What is not confirmed yet fails all the same.
        let draft = fs::read_to_string(o.on.path("controls/lapse-draft.yaml")).unwrap();
        o.on.write(
            "controls/lapse-draft.yaml",
            &draft.replace("confirm: 1", "confirm: 2"),
        );
        o.on.run(
            &[
                "check",
                "--control",
                "lapse-draft",
                "--as-of",
                "2031-06-02T09:10:00Z",
            ],
            None,
        );
        let compared = json(&["signals", "shadow", "lapse"], 0);
        let all = compared["differ"].as_array().unwrap();
        assert_eq!(all.len(), 3, "{compared}");
        assert!(
            all.iter()
                .all(|r| r["in_force"] == "fails" && r["draft"] == "passes"),
            "{compared}"
        );

        // A day that was given wrong is given again, and what was concluded in error is opened again.
        let conclude = |at: &str, day: &str| {
            let words = [
                "conclude",
                id,
                "--outcome",
                "revise_policy",
                "--because",
                "Papers come late.",
                "--effective",
                day,
            ];
            act("lee", at, &words).ends(0)
        };
        conclude("2031-06-02T09:20:00Z", "2031-09-01");
        conclude("2031-06-02T09:21:00Z", "2031-08-01");
        let linked = json(&["signals", "show", id], 0);
        assert_eq!(linked["signal"]["conclusion"]["effective"], "2031-08-01");
        act(
            "lee",
            "2031-06-02T09:22:00Z",
            &["reopen", id, "--because", "Not decided yet."],
        )
        .ends(0);
        let opened = json(&["signals", "show", id], 0);
        assert_eq!(
            (
                &opened["signal"]["conclusion"],
                &opened["signal"]["raised"]["state"]["state"]
            ),
            (&Value::Null, &json!("open"))
        );

        // Concluded, adopted: the exception that nobody needs any more ends by itself.
        act(
            "lee",
            "2031-06-02T10:00:00Z",
            &[
                "conclude",
                id,
                "--outcome",
                "revise_policy",
                "--effective",
                "2031-06-02",
                "--because",
                "Papers of vendors come a month late.",
                "--draft",
                "lapse-draft",
            ],
        )
        .ends(0);
        fs::remove_file(o.on.path("controls/lapse-draft.yaml")).unwrap();
        o.on.write(
            "controls/lapse.yaml",
            &CONTROL.replace("grace: 10d }", "grace: 30d }"),
        );
        // Before the changed control has run, and while it passes for the first time, nobody is told that cover is lost.
        let cover = |words: &[&str], at: &str| {
            let code =
                o.on.run(&[&["check"], words, &["--as-of", at]].concat(), None)
                    .code();
            assert!([Some(0), Some(1)].contains(&code), "{code:?}");
            let all = o.on.list(&["findings", "--control", "lapse", "--all"]);
            let one = all.iter().find(|f| f["subject"] == "vendors/vendor/V-1");
            one.unwrap_or_else(|| panic!("{all:?}"))["covered_by"].clone()
        };
        assert_eq!(cover(&[], "2031-06-02T10:04:00Z"), "EXC-2031-0001");
        assert_eq!(
            cover(&["--control", "lapse"], "2031-06-02T10:04:30Z"),
            "EXC-2031-0001"
        );
        o.on.run(
            &[
                "check",
                "--control",
                "lapse",
                "--as-of",
                "2031-06-02T10:05:00Z",
            ],
            None,
        );
        o.on.run(
            &[
                "check",
                "--control",
                "lapse",
                "--as-of",
                "2031-06-02T10:06:00Z",
            ],
            None,
        );
        let stands = o.stands("EXC-2031-0001", "2031-06-02T10:07:00Z");
        assert_eq!(stands["stands"], "closed", "{stands:#}");
        assert_eq!(stands["record"]["closure"]["outcome"], "policy_changed");

        // Whom the change let through is remembered, and what is found about them later is told beside it.
        o.on.run(
            &["signals", "look", "--as-of", "2031-06-09T09:00:00Z"],
            None,
        )
        .ends(0);
        o.on.write("controls/second-source.yaml", SECOND);
        o.on.run(
            &[
                "check",
                "--control",
                "second-source",
                "--as-of",
                "2031-07-01T09:00:00Z",
            ],
            None,
        )
        .ends(1);

        // Half a year later nobody asks any more: the report shows what the change did.
        o.on.run(
            &["signals", "look", "--as-of", "2031-12-08T09:00:00Z"],
            None,
        )
        .ends(0);
        let report = |format: &str| {
            let words = [
                "report",
                "trend",
                "--period",
                "2031Q4",
                "--format",
                format,
                "--as-of",
                "2031-12-08T09:01:00Z",
            ];
            o.on.run(&words, None).ends(0)
        };
        let trend: Value = serde_json::from_str(&report("json")).unwrap();
        let effect = &trend["effects"][0];
        assert_eq!(effect["control"], "lapse", "{trend:#}");
        assert_eq!(effect["asks_after"], 1, "that of the day itself");
        assert_eq!(
            (
                &effect["newly_admitted"]["value"],
                &effect["found_since"]["value"]
            ),
            (&json!(2), &json!(1)),
            "{effect:#}"
        );
        let price = &json(&["signals", "show", id], 0)["signal"]["admitted"];
        assert_eq!(
            (
                &price["subjects"],
                &price["later"][0]["subject"],
                &price["later"][0]["control"]
            ),
            (
                &json!(["vendors/vendor/V-10", "vendors/vendor/V-2"]),
                &json!("vendors/vendor/V-2"),
                &json!("second-source")
            ),
            "{price:#}"
        );
        assert!(
            effect["ratio"]["value"]["value"].as_f64().unwrap() < 1.0,
            "{effect}"
        );
        let departments: Vec<&str> = trend["departments"]
            .as_array()
            .unwrap()
            .iter()
            .map(|d| d["name"].as_str().unwrap())
            .collect();
        assert_eq!(
            departments,
            ["digital", "insurance", "markets", "payments", "retail"]
        );
        assert_eq!(trend["regions"].as_array().unwrap().len(), 2);
        // The quarter of the signal, looked at from its end: what is none is named, and temporary is told from structural.
        let words = [
            "report",
            "trend",
            "--period",
            "2031Q2",
            "--format",
            "json",
            "--as-of",
            "2031-06-30T09:00:00Z",
        ];
        let then: Value = serde_json::from_str(&o.on.run(&words, None).ends(0)).unwrap();
        let instead: Vec<&str> = then["turned_away"]
            .as_array()
            .unwrap()
            .iter()
            .map(|t| t["instead"].as_str().unwrap())
            .collect();
        assert!(
            instead.contains(&"help this team") && instead.contains(&"guidance gap"),
            "{instead:?}"
        );
        let policy = &then["policies"][0];
        assert!(
            policy["barriers"]
                .as_array()
                .unwrap()
                .iter()
                .any(|b| b["kind"] == "too_rigid"),
            "{policy:#}"
        );
        assert!(policy["register"]["variance"]["temporary"].is_u64());
        let months = policy["register"]["months"].as_array().unwrap();
        let requested: u64 = months
            .iter()
            .map(|m| m["requested"].as_u64().unwrap())
            .sum();
        assert!(requested >= 9, "{months:?}");
        for (format, word) in [("html", "<svg"), ("md", "## ")] {
            assert!(report(format).contains(word));
        }
        let into = o.on.path("figures").display().to_string();
        let words = [
            "report",
            "trend",
            "--period",
            "2031Q4",
            "--format",
            "csv",
            "--into",
            &into,
            "--as-of",
            "2031-12-08T09:01:00Z",
        ];
        o.on.run(&words, None).ends(0);
        assert!(fs::read_dir(&into).unwrap().count() > 5);
        let kept = o.on.list(&["report", "kept"]);
        assert_eq!(kept.len(), 3, "the same content is kept once: {kept:?}");
        o.on.run(&["check", "--as-of", "2031-12-08T09:10:00Z"], None);
        // The first check of another quarter owes those who lead policies the report of the one before, once.
        let told = o.on.list(&["notices", "list", "--recipient", "lee"]);
        let reports: Vec<String> = told
            .iter()
            .map(|n| {
                let id = n["id"].as_str().unwrap();
                o.on.run(&["notices", "show", id], None).ends(0)
            })
            .filter(|said| said.contains("Exceptions and policies, 2031Q2"))
            .collect();
        assert_eq!(reports.len(), 1, "{told:?}");
        assert!(!reports[0].contains("<svg"), "mail programs do not draw");
        // Where nobody could look, its subjects are named as what cannot be told.
        let blind = [
            "what-if",
            "exc-2031-0001",
            "--format",
            "json",
            "--as-of",
            "2031-12-12T09:00:00Z",
        ];
        fs::rename(o.on.path("vendors.csv"), o.on.path("away.csv")).unwrap();
        let blind: Value = serde_json::from_str(&o.on.run(&blind, None).ends(3)).unwrap();
        fs::rename(o.on.path("away.csv"), o.on.path("vendors.csv")).unwrap();
        assert_eq!(blind[0]["subject"], "vendors/vendor/V-1", "{blind:#}");
        assert_eq!(blind[0]["outcome"], "unknown");
        assert!(
            blind[0]["because"]
                .as_str()
                .unwrap()
                .contains("cannot be told"),
            "{blind:#}"
        );
        o.on.run(&["audit", "verify"], None).ends(0);
    }
}

/// R154: a short history, one team, and nothing at all are answered with what could not be known.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_known_is_said() {
    for store in stores().await {
        let o = office(store);
        let learned = |at: &str| -> Vec<String> {
            let said =
                o.on.run(
                    &["signals", "look", "--format", "json", "--as-of", at],
                    None,
                )
                .ends(0);
            let looked: Value = serde_json::from_str(&said).unwrap();
            assert_eq!(looked["detected"]["patterns"], json!([]), "{looked:#}");
            let all = looked["detected"]["learned"].as_array().unwrap();
            all.iter()
                .map(|l| l["what"].as_str().unwrap().to_owned())
                .collect()
        };
        assert!(learned("2031-06-02T09:00:00Z").contains(&"no_asks".to_owned()));
        let three: String = (0..3)
            .map(|n| ask(n, 20 - n as u64, "lapse", &json!({})) + "\n")
            .collect();
        o.on.write("three.ndjson", &three);
        let file = o.on.path("three.ndjson").display().to_string();
        let take = |file: &str| {
            let words = ["signals", "import", file, "--as-of", "2031-06-02T10:00:00Z"];
            o.on.run(&words, None)
        };
        take(&file).ends(0);
        // What cannot have been is refused with its line, and what lies far from everything else is pointed out.
        for (what, more, said) in [
            (
                "future",
                json!({ "day": "2031-06-03" }),
                "today is 2031-06-02",
            ),
            (
                "decided",
                json!({ "decided": "2031-01-01" }),
                "before `day`",
            ),
            (
                "ends",
                json!({ "ends": "2031-01-01" }),
                "before it was decided",
            ),
            ("team", json!({ "team": " " }), "`team` is empty"),
        ] {
            let name = format!("{what}.ndjson");
            let lines = format!(
                "{}\n{}\n",
                ask(90, 9, "lapse", &json!({})),
                ask(91, 9, "lapse", &more)
            );
            o.on.write(&name, &lines);
            let ran = take(&o.on.path(&name).display().to_string());
            assert_eq!(ran.code(), Some(2), "{what}: {}", ran.out());
            let place = format!("{name}:2:1: ");
            assert!(
                ran.err().contains(&place) && ran.err().contains(said),
                "{}",
                ran.err()
            );
        }
        o.on.write("empty.ndjson", "\n");
        let empty = take(&o.on.path("empty.ndjson").display().to_string());
        assert!(
            empty.code() == Some(2) && empty.err().contains("no request"),
            "{}",
            empty.err()
        );
        o.on.write("stray.ndjson", &ask(92, 9000, "lapse", &json!({})));
        let stray = take(&o.on.path("stray.ndjson").display().to_string()).ends(0);
        assert!(
            stray.contains("1 request before") && stray.contains("check their days"),
            "{stray}"
        );
        // Without a run there is no evidence to try a change on, and that is no answer about the change.
        let untried = o.on.run(&["what-if", "lapse"], None);
        assert!(
            untried.code() == Some(3) && untried.err().contains("no run"),
            "{}",
            untried.err()
        );
        assert!(learned("2031-06-03T09:00:00Z").contains(&"too_little_history".to_owned()));
        let said =
            o.on.run(
                &["signals", "calibrate", "--as-of", "2031-06-03T09:00:00Z"],
                None,
            )
            .ends(0);
        assert!(said.contains("cannot be told"), "{said}");
        let report = o.on.run(
            &[
                "report",
                "trend",
                "--period",
                "2031Q2",
                "--as-of",
                "2031-06-03T09:00:00Z",
            ],
            None,
        );
        assert!(report.ends(0).contains("weeks old"), "{}", report.out());
        for period in ["2031", "2031Q5", "2032Q1"] {
            let ran = o.on.run(
                &[
                    "report",
                    "trend",
                    "--period",
                    period,
                    "--as-of",
                    "2031-06-03T09:00:00Z",
                ],
                None,
            );
            assert_eq!(ran.code(), Some(2), "{period}: {}", ran.out());
        }
    }
}
