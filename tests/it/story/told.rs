//! From the outbox to people, when those who listen are busy, gone, slow to trust, or asleep: receivers that
//! answer as we tell them, a real mail server, and days that pass in seconds.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::company::{Company, Post, Receiver, TO_SOC, stores, webhook};
use crate::systems::{mails_to, unique};

/// Standard Webhooks, worked out by hand of its text: an HMAC over `id.timestamp.body`.
fn signed(post: &Post, byte: u8) -> String {
    use hmac::Mac as _;
    let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(&[byte; 32]).unwrap();
    for part in [
        post.header("webhook-id").as_bytes(),
        b".",
        post.header("webhook-timestamp").as_bytes(),
        b".",
        &post.body,
    ] {
        mac.update(part);
    }
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_busy_is_asked_again_when_it_said_under_the_same_id() {
    for (store, _kept) in stores().await {
        let soc = Receiver::open().await;
        let Some(company) = Company::new(&store, &webhook(&soc), TO_SOC) else {
            return;
        };
        company.begins();
        company.lapsed(&[0]);
        soc.then(503, Some("240"));
        soc.then(500, None);
        company.check("2031-06-02T08:00:00Z").ends(1);
        // The first notice of a group waits a minute for others.
        assert_eq!(soc.posts().len(), 0);
        company.check("2031-06-02T08:01:01Z").ends(1);
        assert_eq!(soc.posts().len(), 1);
        assert_eq!(
            company.notices("soc"),
            [("due".to_owned(), "HTTP 503".to_owned())]
        );
        // Its own patience would end after a minute.
        company.check("2031-06-02T08:05:00Z").ends(1);
        assert_eq!(soc.posts().len(), 1);
        company.check("2031-06-02T08:05:02Z").ends(1);
        assert_eq!(soc.posts().len(), 2);
        company.check("2031-06-02T08:07:03Z").ends(1);
        assert_eq!(
            company.notices("soc"),
            [("sent".to_owned(), String::new())],
            "{:?}",
            soc.posts()
        );
        company.check("2031-06-02T12:00:00Z").ends(1);

        let posts = soc.posts();
        assert_eq!(posts.len(), 3);
        let ids: Vec<&str> = posts.iter().map(|p| p.header("webhook-id")).collect();
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        for post in &posts {
            assert_eq!(post.header("webhook-signature"), signed(post, 7));
            let event = post.json();
            assert_eq!(event["specversion"], "1.0");
            assert_eq!(
                event["data"]["findings"][0]["subject"],
                "vendors/vendor/V-0"
            );
        }
        assert_eq!(posts[0].body, posts[2].body);
        assert_eq!(
            posts[2].header("webhook-timestamp"),
            "1938154023",
            "each attempt is signed anew"
        );
        company.verified();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_gone_is_told_of_once_and_tried_again_after_half_a_day() {
    for (store, _kept) in stores().await {
        let soc = Receiver::open().await;
        let Some(company) = Company::new(&store, &webhook(&soc), TO_SOC) else {
            return;
        };
        company.begins();
        company.lapsed(&[0]);
        soc.then(410, None);
        company.check("2031-06-02T08:00:00Z").ends(1);
        company.check("2031-06-02T08:01:01Z").ends(1);
        assert_eq!(
            company.notices("soc"),
            [("dead".to_owned(), "HTTP 410".to_owned())]
        );
        // Who looks after Tripline hears of it, by the other way, once.
        company.check("2031-06-02T08:02:00Z").ends(1);
        company.check("2031-06-02T08:03:00Z").ends(1);
        let told = mails_to(&company.ada).unwrap();
        assert_eq!(told.len(), 1);
        assert!(told[0].text.contains("was given up"), "{}", told[0].text);
        assert!(told[0].text.contains("HTTP 410"), "{}", told[0].text);

        // Something else happens. The receiver is left alone, and nothing is lost.
        company.lapsed(&[0, 1]);
        company.check("2031-06-02T10:00:00Z").ends(1);
        company.check("2031-06-02T10:10:00Z").ends(1);
        company.check("2031-06-02T19:59:00Z").ends(1);
        assert_eq!(soc.posts().len(), 1);
        company.check("2031-06-02T20:02:00Z").ends(1);
        let posts = soc.posts();
        assert_eq!(posts.len(), 2);
        assert_eq!(
            posts[1].json()["data"]["findings"][0]["subject"],
            "vendors/vendor/V-1"
        );
        // It is back; what was given up can be sent again, under its own id.
        let dead = company.on.list(&["notices", "--state", "dead"]);
        let id = dead[0]["id"].as_str().unwrap();
        company.on.run(&["notices", "retry", id], None).ends(0);
        company.check("2031-06-02T20:05:00Z").ends(1);
        let posts = soc.posts();
        assert_eq!(posts.len(), 3);
        assert_eq!(posts[2].header("webhook-id"), id);
        assert_eq!(mails_to(&company.ada).unwrap().len(), 1);
        company.verified();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_mended_before_anybody_was_told_is_never_told() {
    for (store, _kept) in stores().await {
        let soc = Receiver::open().await;
        let Some(company) = Company::new(&store, &webhook(&soc), TO_SOC) else {
            return;
        };
        company.begins();
        company.lapsed(&[0]);
        company.check("2031-06-02T08:01:00Z").ends(1);
        company.lapsed(&[]);
        company.check("2031-06-02T08:01:20Z").ends(0);
        company.check("2031-06-02T09:00:00Z").ends(0);
        assert_eq!(soc.posts().len(), 0);
        let key = company.on.list(&["findings", "--all"])[0]["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let why = company.on.run(&["explain", &key], None).ends(0);
        assert!(why.contains("resolved_meanwhile"), "{why}");
        assert!(why.contains("never_told"), "{why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slack_and_pagerduty_hear_of_the_beginning_and_of_the_end() {
    for (store, _kept) in stores().await {
        let (slack, pager) = (Receiver::open().await, Receiver::open().await);
        let channels = format!(
            "  chat: {{ slack: {{ url: {{ file: chat }} }} }}\n  pager: {{ pagerduty: {{ routing_key: {{ file: routing }}, url: \"{}\" }} }}",
            pager.url
        );
        let routes =
            r#"  - { when: "kind = 'finding'", to: [chat, pager], as: alert, resolved: alert }"#;
        let Some(company) = Company::new(&store, &channels, routes) else {
            return;
        };
        company.on.secret("chat", &slack.url);
        company.on.secret("routing", &"r".repeat(32));
        company.begins();
        company.lapsed(&[0]);
        company.check("2031-06-02T08:00:00Z").ends(1);
        company.check("2031-06-02T08:01:01Z").ends(1);
        company.lapsed(&[]);
        company.check("2031-06-02T09:00:00Z").ends(0);
        company.check("2031-06-02T09:10:00Z").ends(0);

        let events: Vec<Value> = pager.posts().iter().map(Post::json).collect();
        assert_eq!(events[0]["event_action"], "trigger");
        assert_eq!(events[0]["routing_key"], json!("r".repeat(32)));
        assert_eq!(events[0]["payload"]["severity"], "error");
        let summary = events[0]["payload"]["summary"].as_str().unwrap();
        assert!(
            summary.contains("Vendor 0") || summary.contains("V-0"),
            "{summary}"
        );
        assert_eq!(events[1]["dedup_key"], events[0]["dedup_key"]);
        assert!(
            events[1..].iter().all(|e| e["event_action"] == "resolve"),
            "{events:#?}"
        );

        let said: Vec<Value> = slack.posts().iter().map(Post::json).collect();
        assert_eq!(said.len(), 2, "{said:#?}");
        let text = said[0].to_string();
        assert!(
            text.contains("The review of Vendor 0 was due on 2031-01-01"),
            "{text}"
        );
        assert!(said[0]["blocks"].is_array());
        assert_ne!(said[0]["text"], said[1]["text"]);
        let shown = company.on.run(&["notices"], None).ends(0);
        assert!(!shown.contains("rrrr"), "{shown}");
        company.verified();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_that_wants_patience_gets_it_and_one_that_refuses_is_believed() {
    let routes = r#"  - { when: "kind = 'finding'", to: [owner], as: alert, resolved: alert }"#;
    for (store, _kept) in stores().await {
        for (fault, taken) in [("greylist", 1), ("lost", 2), ("bounce", 0)] {
            let who = unique(fault) + "@example.test";
            let Some(company) = Company::of(&store, ("", routes), who) else {
                return;
            };
            company.begins();
            company.lapsed(&[0]);
            company.check("2031-06-02T08:00:00Z").ends(1);
            company.check("2031-06-02T08:01:01Z").ends(1);
            company.check("2031-06-02T08:02:02Z").ends(1);
            let mails = mails_to(&company.procurement).unwrap();
            assert_eq!(mails.len(), taken, "{fault}");
            let told = company.notices("mail");
            match fault {
                "greylist" => assert_eq!(told, [("sent".to_owned(), String::new())]),
                // It took the message each time and said so never: always under the same id.
                "lost" => {
                    assert_eq!(told[0].0, "due");
                    assert!(told[0].1.contains("no answer"), "{told:?}");
                    assert!(!mails[0].message_id.is_empty());
                    assert_eq!(mails[0].message_id, mails[1].message_id);
                }
                _ => {
                    let dead = told.iter().find(|t| t.0 == "dead").unwrap();
                    assert!(dead.1.contains("550"), "{told:?}");
                    company.check("2031-06-02T08:03:00Z").ends(1);
                    let said = mails_to(&company.ada).unwrap();
                    assert_eq!(said.len(), 1);
                    assert!(said[0].text.contains("no such user"), "{}", said[0].text);
                }
            }
            company.verified();
            if store.starts_with("postgres") {
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_comes_at_eight_in_berlin_in_winter_and_in_summer_and_never_for_nothing() {
    let routes = r#"  - { when: "kind = 'finding'", to: [owner], as: digest }"#;
    for (store, _kept) in stores().await {
        let Some(company) = Company::new(&store, "", routes) else {
            return;
        };
        let mails = || mails_to(&company.procurement).unwrap();
        // In 2031 the clocks go forward on 30 March, and back on 26 October.
        company.lapsed(&[]);
        company.check("2031-03-28T12:00:00Z").ends(0);
        company.check("2031-03-29T07:30:00Z").ends(0);
        assert_eq!(mails().len(), 0, "there was nothing to say");

        company.lapsed(&[0]);
        company.check("2031-03-29T12:00:00Z").ends(1);
        company.check("2031-03-30T05:59:00Z").ends(1);
        assert_eq!(mails().len(), 0);
        company.check("2031-03-30T06:00:00Z").ends(1);
        assert_eq!(mails().len(), 1, "eight o'clock in summer time");
        assert!(mails()[0].text.contains("Vendor 0"), "{}", mails()[0].text);
        company.check("2031-03-30T07:01:00Z").ends(1);
        company.check("2031-03-31T06:30:00Z").ends(1);
        assert_eq!(mails().len(), 1, "nothing is new");

        company.lapsed(&[1]);
        company.check("2031-10-25T05:00:00Z").ends(1);
        company.check("2031-10-25T06:01:00Z").ends(1);
        assert_eq!(mails().len(), 2);
        company.lapsed(&[1, 2]);
        company.check("2031-10-25T12:00:00Z").ends(1);
        company.check("2031-10-26T06:59:00Z").ends(1);
        assert_eq!(mails().len(), 2);
        company.check("2031-10-26T07:00:00Z").ends(1);
        let mails = mails();
        assert_eq!(mails.len(), 3, "eight o'clock in winter time");
        assert!(mails[2].text.contains("Vendor 2"), "{}", mails[2].text);
        assert!(
            mails[1].text.contains("V-0 passes again"),
            "{}",
            mails[1].text
        );
        company.verified();
    }
}

/// A refused reload, a channel that nobody can use and a route that never matches are all said where somebody looks.
#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_a_notice_from_going_out_is_said_before_it_has_to() {
    for (store, _kept) in stores().await.into_iter().take(1) {
        let soc = Receiver::open().await;
        let Some(company) = Company::new(&store, &webhook(&soc), TO_SOC) else {
            return;
        };
        company.begins();
        let said = company.on.run(&["doctor"], None).ends(0);
        for wanted in [
            "channel mail: ",
            "lets us in",
            "channel soc: 127.0.0.1 answers",
        ] {
            assert!(said.contains(wanted), "{wanted}: {said}");
        }
        let good = std::fs::read_to_string(company.on.path("tripline.yaml")).unwrap();
        let shut = good.replace("secret: { file: hook }", "secret: { env: NOBODY_SET_THIS }");
        company.on.write("tripline.yaml", &shut);
        let said = company.on.run(&["doctor"], None).ends(3);
        assert!(said.contains("NOBODY_SET_THIS"), "{said}");
        let never = good.replace(
            "kind = 'finding'",
            "kind = 'findings' AND team = 'procurment'",
        );
        company.on.write("tripline.yaml", &never);
        let said = company.on.run(&["validate"], None).ends(2);
        for wanted in ["did you mean `finding`?", "did you mean `procurement`?"] {
            assert!(said.contains(wanted), "{wanted}: {said}");
        }
        let low = good.replace("kind = 'finding'", "kind = 'finding' AND severity = 'low'");
        company.on.write("tripline.yaml", &low);
        let said = company.on.run(&["validate"], None).ends(0);
        assert!(
            said.contains("no route can match a finding of severity `high`, `critical`"),
            "{said}"
        );
        company.lapsed(&[0]);
        company.check("2031-06-02T08:00:00Z").ends(1);
        let finding = &company.on.list(&["findings"])[0]["id"];
        let said = company
            .on
            .run(&["explain", finding.as_str().unwrap()], None)
            .ends(0);
        assert!(
            said.contains("no route of tripline.yaml that matched it"),
            "{said}"
        );
    }
}
