//! The register under attack: rows that somebody wrote past it, clocks that somebody set, texts that hide what they say, and
//! one record that stands in the way of all others.

use std::{fs, process::Command};

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};

use super::{
    company::stores,
    register::{Office, refused},
};

const LOW: [(&str, &str); 2] = [
    ("facets", "{ business_impact: low, legal_exposure: false }"),
    ("expires_at", "2031-06-09T08:00:00Z"),
];

/// Does to the rows what somebody could who owns the database.
async fn attack(o: &Office, address: &str, statement: &str) {
    let done = if let Some(file) = address.strip_prefix("sqlite:") {
        let file = format!("sqlite:{}", o.on.path(file).display());
        let mut c = SqliteConnection::connect(&file).await.unwrap();
        // Here a document is a text.
        let sql = statement.replace("::json", "").replace("::text", "");
        let done = sqlx::query(AssertSqlSafe(sql)).execute(&mut c).await;
        done.unwrap().rows_affected()
    } else {
        let mut c = PgConnection::connect(address).await.unwrap();
        let sql = AssertSqlSafe(statement.to_owned());
        let done = sqlx::query(sql).execute(&mut c).await;
        done.unwrap().rows_affected()
    };
    assert!(done > 0, "{statement}");
}

/// How many words administrators are owed of rows that the log does not bear out.
async fn owed(o: &Office, address: &str) -> i64 {
    let sql = "select count(*) from item where key like 'register:%'";
    if let Some(file) = address.strip_prefix("sqlite:") {
        let file = format!("sqlite:{}", o.on.path(file).display());
        let mut c = SqliteConnection::connect(&file).await.unwrap();
        sqlx::query_scalar(sql).fetch_one(&mut c).await.unwrap()
    } else {
        let mut c = PgConnection::connect(address).await.unwrap();
        sqlx::query_scalar(sql).fetch_one(&mut c).await.unwrap()
    }
}

fn body(id: &str, from: &str, to: &str) -> String {
    format!(
        "update exception set body = replace(body::text, '{from}', '{to}')::json where id = '{id}'"
    )
}

/// What `audit verify` names of the register.
fn named(o: &Office) -> Vec<String> {
    let said = o.on.run(&["--format", "json", "audit", "verify"], None);
    let report: Value = serde_json::from_str(&said.out()).unwrap();
    let problems = report["problems"].as_array().unwrap();
    assert_eq!(said.code() == Some(0), problems.is_empty(), "{report:#}");
    problems
        .iter()
        .inspect(|p| assert_eq!(p["fault"], "register", "{report:#}"))
        .map(|p| p["what"].as_str().unwrap().to_owned())
        .collect()
}

/// The same by the verifier that shares no code with us, where it can read the database.
fn named_outside(o: &Office, address: &str) -> Option<Vec<String>> {
    let file = address.strip_prefix("sqlite:")?;
    let export = o.on.path("export-for-key");
    if !export.exists() {
        o.on.run(&["audit", "export", export.to_str().unwrap()], None);
    }
    let header = fs::read_to_string(export.join("export.json")).unwrap();
    let header: Value = serde_json::from_str(&header).unwrap();
    let ran = Command::new("python3")
        .args(["tools/verify_audit.py", "--json", "--key"])
        .arg(header["keys"][0]["key"].as_str().unwrap())
        .arg(o.on.path(file))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    let report: Value = serde_json::from_slice(&ran.stdout).unwrap_or_else(|_| panic!("{said}"));
    let problems = report["problems"].as_array().unwrap();
    let what = |p: &Value| p["what"].as_str().unwrap().to_owned();
    Some(problems.iter().map(what).collect())
}

/// Both verifiers name the same, and these are among it.
#[track_caller]
fn both_name(o: &Office, address: &str, wanted: &[&str]) {
    let ours = named(o);
    for what in wanted {
        assert!(ours.iter().any(|o| o.contains(what)), "{what}: {ours:?}");
    }
    assert_eq!(ours.is_empty(), wanted.is_empty(), "{ours:?}");
    if let Some(theirs) = named_outside(o, address) {
        assert_eq!(theirs, ours);
    }
}

fn decides(o: &Office, subject: &str, at: &str) -> (Option<i32>, String) {
    let asked = [
        "decide",
        "--control",
        "review",
        "--subject",
        subject,
        "--as-of",
        at,
    ];
    let ran = o.on.run(&asked, None);
    (ran.code(), ran.out())
}

/// R148, R164: an end that somebody wrote into a row, a state that nobody gave it, a decision that nobody took. None of it
/// covers anything, and both verifiers name it.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_the_log_does_not_know_covers_nothing() {
    for (address, database) in stores().await {
        let o = Office::new((address.clone(), database));
        let (id, subject) = ("EXC-2031-0001", "vendors/vendor/V-1");
        let settings = fs::read_to_string(o.on.path("tripline.yaml")).unwrap();
        let mail = "channels: { mail: { smtp: { host: 127.0.0.1, port: 1, tls: none, from: \"t@example.test\" } } }\nroutes: []";
        let settings = settings
            .replace(
                "roles: [policy-lead]",
                "roles: [policy-lead, administrator]",
            )
            .replace("routes: []", mail);
        o.on.write("tripline.yaml", &settings);
        o.asks("2031-06-02T08:00:00Z", &LOW).ends(0);
        o.check("2031-06-02T08:05:00Z").ends(1);
        assert_eq!(o.open(), ["V-10", "V-2", "V-3"]);
        assert_eq!(decides(&o, subject, "2031-06-02T08:06:00Z").0, Some(0));
        both_name(&o, &address, &[]);
        // Another end than was approved.
        attack(
            &o,
            &address,
            &body(id, "2031-06-09T08:00:00Z", "2031-07-09T08:00:00Z"),
        )
        .await;
        let (code, said) = decides(&o, subject, "2031-06-02T08:07:00Z");
        assert!(
            code == Some(1) && said.contains("was changed past the register"),
            "{said}"
        );
        o.check("2031-06-02T08:10:00Z").ends(1);
        assert_eq!(o.open(), ["V-1", "V-10", "V-2", "V-3"]);
        let all = o.on.list(&["findings"]);
        let finding = all.iter().find(|f| f["subject"] == subject).unwrap();
        let why =
            o.on.run(&["explain", finding["id"].as_str().unwrap()], None)
                .ends(0);
        assert!(why.contains("does not cover it (register)"), "{why}");
        both_name(&o, &address, &["its terms of EXC-2031-0001"]);
        let listed =
            o.on.list(&["exception", "list", "--as-of", "2031-06-02T08:11:00Z"]);
        assert!(listed[0]["doubt"].is_string(), "{listed:?}");
        // Administrators hear of it, once.
        o.check("2031-06-02T08:12:00Z").ends(1);
        assert_eq!(owed(&o, &address).await, 1);
        // As it was, it covers as it did: nothing else is wrong with it.
        attack(
            &o,
            &address,
            &body(id, "2031-07-09T08:00:00Z", "2031-06-09T08:00:00Z"),
        )
        .await;
        o.check("2031-06-02T08:15:00Z").ends(1);
        assert_eq!(o.open(), ["V-10", "V-2", "V-3"]);
        // What was revoked is not in force because a row says so.
        o.does(
            "eve",
            "2031-06-02T08:20:00Z",
            &["revoke", id, "--because", "it is not needed"],
        )
        .ends(0);
        let states = [("\"state\":\"revoked\"", "\"state\":\"active\"")];
        for (from, to) in states {
            attack(&o, &address, &body(id, from, to)).await;
        }
        let column = format!("update exception set state = 'active' where id = '{id}'");
        attack(&o, &address, &column).await;
        o.check("2031-06-02T08:25:00Z").ends(1);
        assert_eq!(o.open(), ["V-1", "V-10", "V-2", "V-3"]);
        both_name(&o, &address, &["where it stands of EXC-2031-0001"]);
    }
}

/// R148, R145: who decided, why, and that it was decided: each is in the log as a digest that the rows must have, and has a
/// proof that can be taken out of the house.
#[tokio::test(flavor = "multi_thread")]
async fn a_decision_that_was_rewritten_is_named_by_both_verifiers() {
    for (address, database) in stores().await {
        let o = Office::new((address.clone(), database));
        let id = "EXC-2031-0001";
        o.asks("2031-06-02T08:00:00Z", &[]).ends(0);
        o.approves("sam", "2031-06-02T08:01:00Z", id).ends(0);
        o.approves("tess", "2031-06-02T08:02:00Z", id).ends(0);
        o.check("2031-06-02T08:05:00Z").ends(1);
        both_name(&o, &address, &[]);
        // What was authorised then, by whom and under which policy; nothing before anybody had found it.
        let at = |time: &str| o.on.list(&["report", "at", "vendors/vendor/V-1", time]);
        let then = &at("2031-06-02T08:06:00Z")[0];
        assert_eq!(
            (&then["policy"], &then["approved_by"], &then["until"]),
            (
                &"third-party-ai#review (version 3)".into(),
                &serde_json::json!(["Sam as owner", "Tess as lead"]),
                &"2031-06-30T00:00:00Z".into()
            ),
            "{then}"
        );
        assert!(at("2031-06-01").is_empty());
        let backwards = [
            "report",
            "changes",
            "--from",
            "2031-07-01",
            "--to",
            "2031-06-01",
        ];
        refused(&o.on.run(&backwards, None), "ends before it begins");
        let long = [
            "decide",
            "--control",
            "review",
            "--subject",
            "vendors/vendor/V-1",
            "--token",
            "400d",
        ];
        let long = o.on.run(
            &[&long[..], &["--as-of", "2031-06-02T08:06:00Z"]].concat(),
            None,
        );
        assert!(long.err().contains("at most 1h"), "{}", long.err());
        let proof = o.on.run(&["audit", "prove", id], None).ends(0);
        assert!(proof.starts_with("c2sp.org/tlog-proof@v1"), "{proof}");
        let all = o.on.list(&["audit", "prove", id, "--all"]);
        let stands = o.stands(id, "2031-06-02T08:06:00Z");
        assert_eq!(all.len(), stands["history"].as_array().unwrap().len());
        attack(
            &o,
            &address,
            &body(id, "\"approver\":\"tess\"", "\"approver\":\"pia\""),
        )
        .await;
        let by = "update exception_event set actor = 'person:sam' where actor = 'person:tess'";
        attack(&o, &address, by).await;
        both_name(
            &o,
            &address,
            &[
                "the actor of `approve`",
                "what people decided of EXC-2031-0001",
            ],
        );
        o.check("2031-06-02T08:10:00Z").ends(1);
        assert_eq!(o.open(), ["V-1", "V-10", "V-2", "V-3"]);
    }
}

/// R145, R164: who may act as whom, and who joins whom, is in the log like every other act.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_delegations_and_joining_leave_leaves_and_joiners_stay() {
    for (address, database) in stores().await {
        let o = Office::new((address.clone(), database));
        let kinds = |kind: &str| {
            let export = o.on.path(&format!("export-{kind}-{}", uuid()));
            o.on.run(&["check", "--as-of", "2031-06-02T07:10:00Z"], None);
            o.on.run(&["audit", "export", export.to_str().unwrap()], None)
                .ends(0);
            let leaves = fs::read_to_string(export.join("leaves.ndjson")).unwrap();
            leaves
                .matches(&format!("\\\"what\\\":\\\"{kind}\\\""))
                .count()
        };
        o.token("sam");
        o.token("tess");
        assert_eq!(kinds("token_made"), 2);
        let lend = [
            "delegate",
            "otto",
            "--role",
            "lead",
            "--until",
            "2031-06-20T00:00:00Z",
            "--because",
            "I am away",
        ];
        o.does("tess", "2031-06-02T07:05:00Z", &lend).ends(0);
        assert_eq!(kinds("lent"), 1);
        let id = "EXC-2031-0001";
        o.asks("2031-06-02T08:00:00Z", &[]).ends(0);
        o.does(
            "tess",
            "2031-06-02T08:01:00Z",
            &["join", id, "--because", "Risk needs the same"],
        )
        .ends(0);
        let digest = o.package("sam", "2031-06-02T08:02:00Z", id);
        o.does(
            "sam",
            "2031-06-02T08:03:00Z",
            &[
                "ask",
                id,
                "--package",
                &digest,
                "--because",
                "Which contract?",
            ],
        )
        .ends(0);
        let file = o.on.path("request.yaml").display().to_string();
        o.does(
            "eve",
            "2031-06-02T08:04:00Z",
            &["submit", &file, "--again", id],
        )
        .ends(0);
        let stands = o.stands(id, "2031-06-02T08:05:00Z");
        assert_eq!(stands["record"]["joiners"][0]["team"], "risk", "{stands:#}");
        o.check("2031-06-02T08:10:00Z").ends(1);
        both_name(&o, &address, &[]);
    }
}

fn uuid() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// R146, R147: what is done is done now. Outside a rehearsal no instant can be named for an act, a token is good by the real
/// clock, and a question about another instant collects nothing.
#[tokio::test(flavor = "multi_thread")]
async fn an_act_is_done_now_and_a_question_collects_nothing() {
    for (address, database) in stores().await {
        let o = Office::new((address.clone(), database));
        o.token("eve");
        o.asks("2031-06-02T08:00:00Z", &LOW).ends(0);
        let settings = fs::read_to_string(o.on.path("tripline.yaml")).unwrap();
        assert!(settings.contains("rehearsal: true\n"));
        let doctor = o.on.run(&["doctor"], None);
        assert!(
            doctor.out().contains("time is played with"),
            "{}",
            doctor.out()
        );
        o.on.write("tripline.yaml", &settings.replace("rehearsal: true\n", ""));
        let doctor = o.on.run(&["doctor"], None);
        assert!(
            !doctor.out().contains("time is played with"),
            "{}",
            doctor.out()
        );
        let then = "2031-06-02T09:00:00Z";
        for words in [
            &["check", "--as-of", then][..],
            &["token", "create", "eve", "--as-of", then],
            &["signals", "look", "--as-of", then],
            &["report", "trend", "--as-of", then],
            &[
                "decide",
                "--control",
                "review",
                "--subject",
                "vendors/vendor/V-2",
                "--token",
                "5m",
                "--as-of",
                then,
            ],
        ] {
            refused(&o.on.run(words, None), "rehearsal: true");
        }
        let request = o.on.path("request.yaml").display().to_string();
        for words in [
            &["submit", &request][..],
            &["package", "EXC-2031-0001"],
            &["revoke", "EXC-2031-0001", "--because", "now"],
        ] {
            refused(&o.does("eve", then, words), "rehearsal: true");
        }
        // Eve's token was made in 2031, and it is not 2031; an instant that is named does not help.
        for words in [
            &["exception", "queue"][..],
            &["exception", "queue", "--as-of", then],
        ] {
            let token = o.token("eve");
            let ran = o.on.run_with(words, &[("TRIPLINE_TOKEN_FILE", &token)]);
            refused(&ran, "token_not_made_yet");
        }
        // A question leaves nothing behind, wherever its clock stands.
        let size = || {
            let said =
                o.on.run(&["--format", "json", "audit", "verify"], None)
                    .out();
            serde_json::from_str::<Value>(&said).unwrap()["size"].clone()
        };
        let before = size();
        decides(&o, "vendors/vendor/V-2", "2033-01-01T00:00:00Z");
        decides(&o, "vendors/vendor/V-2", then);
        let dry = ["check", "--dry-run", "--as-of", then];
        o.on.run(&dry, None);
        assert_eq!(size(), before);
        // What lies ahead of the clock is replaced by what is collected now, and that is said.
        let ran = o.on.list(&["check", "--control", "review"]);
        assert_eq!(ran[0]["checked"], "yes", "{ran:?}");
        let all = o.on.list(&["sources"]);
        let said = serde_json::to_string(&all).unwrap();
        assert!(said.contains("ahead of the clock"), "{said}");
    }
}

/// R036, R041, R131: a person's word is good until the next is due, also for whoever asks while nobody is there to look; and cover
/// goes on without evidence of the control itself for a day and no longer.
#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_looked_at_again_covers_nothing_for_whoever_asks() {
    for (address, database) in stores().await {
        let o = Office::new((address.clone(), database));
        let watched = [(
            "conditions",
            "[{ mitigation: closer-watch, responsible: olaf }]",
        )];
        o.asks("2031-06-02T08:00:00Z", &watched).ends(0);
        let id = "EXC-2031-0001";
        o.approves("sam", "2031-06-02T08:01:00Z", id).ends(0);
        o.approves("tess", "2031-06-02T08:02:00Z", id).ends(0);
        o.asks(
            "2031-06-02T08:03:00Z",
            &[
                LOW[0],
                LOW[1],
                ("scope", "{ subjects: [vendors/vendor/V-2] }"),
            ],
        )
        .ends(0);
        let looks = |at: &str| {
            o.on.run(&["check", "--control", "review", "--as-of", at], None)
        };
        looks("2031-06-02T08:05:00Z").ends(1);
        assert_eq!(o.open(), ["V-10", "V-3"]);
        // No sweep has been since: the first word was due on the ninth.
        assert_eq!(
            decides(&o, "vendors/vendor/V-1", "2031-06-09T08:01:59Z").0,
            Some(0)
        );
        let (code, said) = decides(&o, "vendors/vendor/V-1", "2031-06-09T08:02:00Z");
        assert!(
            code == Some(1) && said.contains("cannot be shown to hold since"),
            "{said}"
        );
        // The vendors cannot be read any more: a gap of its own, left out here.
        let open = || -> Vec<String> {
            let all = o.open().into_iter();
            all.filter(|subject| subject != "vendors").collect()
        };
        let vendors = fs::read_to_string(o.on.path("vendors.csv")).unwrap();
        fs::remove_file(o.on.path("vendors.csv")).unwrap();
        looks("2031-06-02T09:00:00Z").ends(3);
        looks("2031-06-03T08:59:00Z").ends(3);
        assert_eq!(open(), ["V-10", "V-3"], "missing evidence does not storm");
        looks("2031-06-03T09:00:00Z").ends(3);
        assert_eq!(open(), ["V-1", "V-10", "V-2", "V-3"]);
        o.on.write("vendors.csv", &vendors);
        looks("2031-06-03T10:00:00Z").ends(1);
        assert_eq!(open(), ["V-10", "V-3"], "it is there again");
    }
}

/// R131, R164: one record whose last act lies ahead of the clock keeps nothing else from being done: others are suspended,
/// what lost its cover is told, and `check` says which one it left.
#[tokio::test(flavor = "multi_thread")]
async fn one_record_that_cannot_be_moved_stops_nothing_else() {
    for (address, database) in stores().await {
        let o = Office::new((address.clone(), database));
        o.asks("2031-06-02T08:00:00Z", &LOW).ends(0);
        o.asks(
            "2031-06-02T08:01:00Z",
            &[
                LOW[0],
                LOW[1],
                ("scope", "{ subjects: [vendors/vendor/V-2] }"),
            ],
        )
        .ends(0);
        o.check("2031-06-02T08:05:00Z").ends(1);
        assert_eq!(o.open(), ["V-10", "V-3"]);
        let ahead = ["review", "EXC-2031-0001", "--because", "It may go on."];
        o.does("lee", "2031-06-08T08:00:00Z", &ahead).ends(0);
        let policy = fs::read_to_string(o.on.path("policies/third-party-ai.yaml")).unwrap();
        o.on.write(
            "policies/third-party-ai.yaml",
            &policy.replace(
                "before its review lapses.",
                "a month before its review lapses.",
            ),
        );
        // Whoever asks before any sweep hears of the changed text, too.
        let (code, said) = decides(&o, "vendors/vendor/V-2", "2031-06-03T08:00:00Z");
        assert!(
            code == Some(1) && said.contains("the text of `third-party-ai`"),
            "{said}"
        );
        let ran = o.check("2031-06-03T08:01:00Z");
        ran.ends(3);
        assert!(
            ran.err().contains("EXC-2031-0001 was left as it is") && ran.err().contains("set back"),
            "{}",
            ran.err()
        );
        assert_eq!(
            o.stands("EXC-2031-0002", "2031-06-03T08:02:00Z")["record"]["suspension"],
            "policy_changed"
        );
        assert_eq!(o.open(), ["V-1", "V-10", "V-2", "V-3"]);
    }
}

/// No string of a request and no reason of an act hides what it says from whoever reads it.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_people_hand_in_hides_what_it_says() {
    for store in stores().await {
        let o = Office::new(store);
        for (key, value, said) in [
            (
                "ticket",
                "\"T-1\\e[2J\"",
                "`ticket` holds the character U+001B",
            ),
            (
                "conditions",
                "[{ id: watch, text: \"x \\e]0;pwn\\a \\u202egnihtyna\", attested: { every: 7d }, responsible: olaf }]",
                "`conditions[0].text` holds the character U+001B",
            ),
            (
                "evidence",
                "[{ kind: ticket, uri: \"https://x.test/\\u202e\", sha256: aa, captured_at: 2031-06-01T00:00:00Z }]",
                "U+202E",
            ),
        ] {
            let out = o.asks("2031-06-02T08:00:00Z", &[(key, value)]).ends(1);
            assert!(
                out.contains("needs info") && out.contains(said),
                "{key}: {out}"
            );
            assert!(
                !out.contains('\u{1b}') && !out.contains('\u{202e}'),
                "{out:?}"
            );
        }
        o.asks("2031-06-02T08:01:00Z", &[]).ends(0);
        let id = "EXC-2031-0004";
        for words in [
            &["withdraw", id, "--because", "\u{1b}[2J"][..],
            &["join", id, "--because", "the same \u{202e}gnihtyna"],
        ] {
            refused(&o.does("eve", "2031-06-02T08:02:00Z", words), "(hidden)");
        }
        let digest = o.package("sam", "2031-06-02T08:03:00Z", id);
        let words = [
            "approve",
            id,
            "--package",
            &digest,
            "--because",
            "fine\u{1b}[1A",
        ];
        refused(&o.does("sam", "2031-06-02T08:03:00Z", &words), "(hidden)");
    }
}
