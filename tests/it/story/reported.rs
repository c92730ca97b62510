//! The trend report beside the register that it is made of: what it says of a time is what held then, in every form the same,
//! and whoever leads a policy gets it though nobody was there when the quarter ended.

use std::{collections::BTreeSet, fs};

use serde_json::{Value, json};

use super::{
    company::stores,
    register::Office,
    signalled::{CONTROL, office, year},
};

/// Of an older register, with an end: two that bridge a while, one that was renewed twice, one that was renewed once, one of
/// those that are a signal; and a team that nobody knows any more.
const HELD: &str = r#"{"id":"HELD-1","day":"2031-03-01","team":"support","department":"digital","control":"lapse","outcome":"approved","decided":"2031-03-03","ends":"2031-07-15","text":"the merger of two tenants"}
{"id":"HELD-2","day":"2031-03-04","team":"onboarding","department":"digital","control":"lapse","outcome":"approved","decided":"2031-03-10","ends":"2031-07-20","text":"an annex is abroad for its seal"}
{"id":"HELD-3","day":"2031-04-01","team":"wealth","department":"markets","control":"papers","outcome":"approved","decided":"2031-04-02","ends":"2031-08-01","renewals":2,"text":"again"}
{"id":"HELD-4","day":"2031-04-01","team":"cards","department":"payments","control":"papers","outcome":"approved","decided":"2031-04-02","ends":"2031-08-01","renewals":1,"text":"once more"}
{"id":"OLD-0107","day":"2031-05-19","team":"wealth","department":"markets","control":"lapse","attributes":{"reason":"vendor_limitation","data_class":"critical"},"outcome":"approved","decided":"2031-05-20","ends":"2031-07-30","text":"Vendor papers come late, case 7 217"}
{"id":"GONE-1","day":"2031-05-01","team":"ghosts","control":"papers","outcome":"denied","decided":"2031-05-02","text":"who were they"}
"#;

const NOW: &str = "2031-12-08T09:01:00Z";

struct Reported {
    office: Office,
}

impl Reported {
    /// A signal of June that its lead has seen in July, and nobody concludes.
    fn new(store: (String, Option<crate::systems::Database>)) -> Self {
        let office = office(store);
        let on = &office.on;
        on.write(
            "controls/lapse.yaml",
            &CONTROL.replacen("severity: high", "severity: high\nexception_budget: 35%", 1),
        );
        on.write("held.ndjson", HELD);
        let at = "2031-06-02T09:00:00Z";
        for file in ["year.ndjson", "held.ndjson"] {
            let file = on.path(file).display().to_string();
            on.run(&["signals", "import", &file, "--as-of", at], None)
                .ends(0);
        }
        let check = |at: &str| {
            let words = ["check", "--control", "lapse", "--as-of", at];
            on.run(&words, None).ends(1);
        };
        check("2031-06-02T08:05:00Z");
        on.run(&["signals", "look", "--as-of", at], None).ends(0);
        office
            .asks(
                "2031-06-28T08:00:00Z",
                &[
                    ("controls", "[lapse]"),
                    ("facets", "{ business_impact: low, legal_exposure: false }"),
                    ("expires_at", "2031-07-05T08:00:00Z"),
                ],
            )
            .ends(0);
        let token = office.token("lee");
        let words = [
            "signals",
            "acknowledge",
            "SIG-2031-0001",
            "--as-of",
            "2031-07-10T09:00:00Z",
        ];
        on.run_with(&words, &[("TRIPLINE_TOKEN_FILE", &token)])
            .ends(0);
        // Later all vendors but one are reviewed.
        on.write(
            "vendors.csv",
            "id,name,tier,owner,review_due\nV-1,Vendor 1,critical,procurement,2032-05-16\nV-2,Vendor 2,critical,procurement,2032-05-15\n\
             V-3,Vendor 3,low,procurement,2031-02-01\nV-10,Vendor 10,low,procurement,2032-05-17\n",
        );
        check("2031-10-20T09:00:00Z");
        Self { office }
    }

    fn says(&self, period: &str, format: &str, at: &str) -> String {
        let words = [
            "report", "trend", "--period", period, "--format", format, "--as-of", at,
        ];
        self.office.on.run(&words, None).ends(0)
    }

    fn trend(&self, period: &str) -> Value {
        serde_json::from_str(&self.says(period, "json", NOW)).unwrap()
    }

    /// What was owed to a policy lead about the reports of quarters.
    fn mails(&self) -> Vec<String> {
        let on = &self.office.on;
        on.list(&["notices", "list", "--recipient", "lee"])
            .iter()
            .map(|n| {
                on.run(&["notices", "show", n["id"].as_str().unwrap()], None)
                    .ends(0)
            })
            .filter(|said| said.contains("Exceptions and policies, "))
            .collect()
    }
}

fn sentences(trend: &Value) -> Vec<&str> {
    let all = trend["sentences"].as_array().unwrap();
    all.iter().map(|s| s.as_str().unwrap()).collect()
}

fn policy(trend: &Value) -> &Value {
    let all = trend["policies"].as_array().unwrap();
    all.iter().find(|p| p["id"] == "third-party-ai").unwrap()
}

/// What is told of a time is what held then: no signal before it was raised, its state of the day, the runs and the version by
/// then, and nothing at all of a time before the register.
#[tokio::test(flavor = "multi_thread")]
async fn a_report_tells_of_a_period_as_it_was_at_its_end() {
    for store in stores().await {
        let r = Reported::new(store);
        let before = r.trend("2029Q4");
        let [said] = sentences(&before)[..] else {
            panic!("{:?}", before["sentences"]);
        };
        assert!(
            said.starts_with("Nothing is known here of 2029Q4: the register begins on "),
            "{said}"
        );
        assert_eq!(
            (&before["signals"], &before["policies"]),
            (&json!([]), &json!([]))
        );

        // It was raised in the second quarter, and seen by its lead in the third.
        let first = r.trend("2031Q1");
        assert_eq!(first["signals"], json!([]));
        assert_eq!(
            (&first["counts"]["open"], &first["counts"]["opened"]),
            (&json!(0), &json!(0))
        );
        assert_eq!(policy(&first)["checked"]["of"], 0, "nothing had run yet");
        let states: Vec<(Value, Value, Value)> = ["2031Q2", "2031Q3", "2031Q4"]
            .iter()
            .map(|q| {
                let trend = r.trend(q);
                let one = &trend["signals"][0];
                (
                    one["state"].clone(),
                    one["is_overdue"].clone(),
                    trend["counts"]["opened"].clone(),
                )
            })
            .collect();
        assert_eq!(
            states,
            [
                (json!("open"), json!(false), json!(1)),
                (json!("acknowledged"), json!(true), json!(0)),
                (json!("acknowledged"), json!(true), json!(0)),
            ]
        );
        // Four failed at the end of the second quarter, one in October.
        let passed = |q: &str| policy(&r.trend(q))["passed"].clone();
        assert_eq!(passed("2031Q2"), json!({ "part": 0, "of": 4 }));
        assert_eq!(passed("2031Q3"), json!({ "part": 0, "of": 4 }));
        assert_eq!(passed("2031Q4"), json!({ "part": 3, "of": 4 }));

        // A quarter that is not over is told of so far, beside as many days of the earlier ones.
        let now = r.trend("2031Q4");
        assert_eq!(now["period"]["is_over"], false);
        let said = sentences(&now).join("\n");
        assert!(
            said.contains("in 2031Q4 so far; as many days of the quarter before: "),
            "{said}"
        );
        assert!(said.contains("stand on 8 Dec 2031"), "{said}");
        let one = r.trend("2031Q2");
        assert!(!sentences(&one).join("\n").contains("so far"));
    }
}

/// R155, R161, R163: exceptions that bridge a while stand apart from those that show that the policy does not fit; places add up
/// to the whole, also for teams that nobody knows any more; accepted risk is a series that adds up to what is active.
/// Shares of teams are those of the register, and a budget is called spent by the rule of the signal alone.
#[tokio::test(flavor = "multi_thread")]
async fn the_figures_of_a_report_are_those_of_the_register() {
    for store in stores().await {
        let r = Reported::new(store);
        let trend = r.trend("2031Q2");
        let register = &trend["register"];
        // R155: at the end of June three bridge a while; a member of the signal and what was renewed twice do not.
        assert_eq!(
            register["variance"],
            json!({ "temporary": 3, "policy_gap": 2, "unclear": 1 }),
            "{register:#}"
        );

        // R163: month by month the ratings are those that are active.
        let months = register["months"].as_array().unwrap();
        let risk = register["risk"].as_array().unwrap();
        let count = |row: &Value, key: &str| row[key].as_u64().unwrap();
        for (month, risk) in months.iter().zip(risk) {
            let rated = count(risk, "high") + count(risk, "moderate") + count(risk, "low");
            assert_eq!(
                rated + count(risk, "unrated"),
                count(month, "active"),
                "{month} {risk}"
            );
        }
        let series: Vec<(u64, u64)> = months
            .iter()
            .zip(risk)
            .map(|(m, r)| (count(m, "active"), count(r, "unrated")))
            .collect();
        assert_eq!(
            series[series.len() - 5..],
            [(0, 0), (2, 2), (4, 4), (5, 5), (6, 5)],
            "from February to June; the one of this register is rated"
        );

        // R161: places add up to the whole.
        let asks = trend["comparisons"][0]["now"]["value"]["count"]
            .as_u64()
            .unwrap();
        for places in ["regions", "departments"] {
            let all = trend[places].as_array().unwrap();
            let sum = |key: &str| all.iter().map(|p| count(p, key)).sum::<u64>();
            assert_eq!(
                (sum("asks"), sum("active")),
                (asks, 6),
                "{places}: {all:#?}"
            );
            let last = all.last().unwrap();
            assert_eq!(
                (&last["name"], &last["asks"], &last["approved"]),
                (
                    &json!("not known"),
                    &json!(1),
                    &json!({ "part": 0, "of": 1 })
                )
            );
        }
        let south = &trend["regions"][1];
        assert_eq!(
            (&south["name"], &south["active"]),
            (&json!("South"), &json!(1)),
            "that of scoring"
        );

        // Teams with an approved ask within 52 weeks, and those whose exception stands on the last day.
        let lines = year() + HELD;
        let teams: BTreeSet<String> = lines
            .lines()
            .map(|l| serde_json::from_str::<Value>(l).unwrap())
            .filter(|a| a["control"] == "lapse" && a["outcome"] == "approved")
            .filter(|a| a["day"].as_str().unwrap() > "2030-07-01")
            .map(|a| a["team"].as_str().unwrap().to_owned())
            .collect();
        let budget = policy(&trend)["budgets"]
            .as_array()
            .unwrap()
            .iter()
            .find(|b| b["control"] == "lapse")
            .unwrap();
        let teams = teams.len() as u64;
        let of = &budget["teams"]["value"]["of"];
        assert_eq!(
            (&budget["teams"]["value"]["part"], of),
            (&json!(teams), &json!(14))
        );
        assert_eq!(
            budget["active"]["value"]["part"], 4,
            "support, onboarding, wealth and scoring"
        );
        let interval = &budget["interval"]["value"];
        let share = teams as f64 / 14.0;
        assert!(
            interval["low"].as_f64().unwrap() < share && share < interval["high"].as_f64().unwrap(),
            "{budget:#}"
        );
        // More than the budget, and not beyond doubt: no signal of it was raised, and none is claimed.
        assert!(share > 0.35, "{budget:#}");
        assert_eq!(budget["standing"], "not_told", "{budget:#}");
        let said = sentences(&trend).join("\n");
        assert!(
            said.contains("No control is above its exception budget")
                && said.contains("Of 1 control it cannot be told."),
            "{said}"
        );
        let kinds: Vec<&Value> = trend["signals"]
            .as_array()
            .unwrap()
            .iter()
            .map(|s| &s["kind"])
            .collect();
        assert_eq!(kinds, ["emergence"]);

        // A wave that was denied is of all teams that asked, and not of those alone whom nobody refused.
        let denied = trend["turned_away"].as_array().unwrap();
        let denied = denied
            .iter()
            .find(|t| t["instead"] == "guidance gap")
            .unwrap();
        assert_eq!(
            (&denied["teams"], &denied["asks"]),
            (&json!(9), &json!(9)),
            "{denied:#}"
        );

        // Decisions of the quarter, also those of the older register, are as many as are compared.
        let routes = register["routes"].as_array().unwrap();
        let decided: u64 = routes.iter().map(|r| count(&r["approved"], "of")).sum();
        assert_eq!(
            &trend["comparisons"][2]["now"]["value"]["share"]["of"],
            &json!(decided),
            "{routes:#?}"
        );
    }
}

/// One report has one digest, whenever it is made and whatever it is written as; what was kept is given back as it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_report_has_one_digest_in_every_form() {
    for store in stores().await {
        let r = Reported::new(store);
        let json = r.trend("2031Q2");
        let digest = json["content_sha256"].as_str().unwrap();
        for (format, at) in [
            ("html", "2031-12-08T10:00:00Z"),
            ("md", "2031-12-09T11:00:00Z"),
            ("json", "2031-12-10T12:00:00Z"),
        ] {
            assert!(r.says("2031Q2", format, at).contains(digest), "{format}");
        }
        // The one of the quarterly mail is the same.
        let kept = r.office.on.list(&["report", "kept"]);
        let of: Vec<&Value> = kept.iter().filter(|k| k["period"] == "2031Q2").collect();
        assert_eq!(of.len(), 1, "{kept:?}");
        assert_eq!(of[0]["content"], digest);
        // By its quarter, by its digest, as it was and as a page.
        for which in ["2031q2", &digest[..9]] {
            let said = r
                .office
                .on
                .run(&["report", "kept", which, "--format", "json"], None)
                .ends(0);
            let mut again: Value = serde_json::from_str(&said).unwrap();
            // It says when it was made first.
            assert_ne!(again["made"], json["made"]);
            again["made"] = json["made"].clone();
            assert_eq!(again, json);
        }
        let page = r
            .office
            .on
            .run(&["report", "kept", digest, "--format", "html"], None)
            .ends(0);
        assert!(page.contains("<svg") && page.contains(digest));
        let none = r.office.on.run(&["report", "kept", "2030Q1"], None);
        assert_eq!(none.code(), Some(2), "{}", none.out());
    }
}

/// After an outage the last quarter that ended is sent, once, and those before it are made, kept and named; without an address
/// the mail says how the page is made, with one it leads there.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_leads_a_policy_gets_the_last_quarter_after_an_outage() {
    for store in stores().await {
        let r = Reported::new(store);
        let on = &r.office.on;
        let check = |at: &str| {
            let code = on.run(&["check", "--as-of", at], None).code();
            assert!([Some(0), Some(1)].contains(&code), "{code:?}");
        };
        // The first turn was in the second quarter, the next one in the fourth.
        let mails = r.mails();
        let [mail] = &mails[..] else {
            panic!("{mails:#?}");
        };
        for said in [
            "Exceptions and policies, 2031Q3",
            "tripline report trend --period 2031Q3 --format html",
            "Nobody was told of 2031Q2",
            "You get this because you lead a policy.",
            "Checkpoint of the audit log",
        ] {
            assert!(mail.contains(said), "{said}: {mail}");
        }
        let kept = on.list(&["report", "kept"]);
        let quarters: BTreeSet<&str> = kept.iter().map(|k| k["period"].as_str().unwrap()).collect();
        assert_eq!(quarters, BTreeSet::from(["2031Q2", "2031Q3"]));

        let settings = fs::read_to_string(on.path("tripline.yaml")).unwrap();
        on.write(
            "tripline.yaml",
            &format!("{settings}\nnotices: {{ url: \"https://tripline.example.test/in/\" }}\n"),
        );
        check("2032-01-12T09:00:00Z");
        check("2032-01-12T09:10:00Z");
        let mails = r.mails();
        assert_eq!(mails.len(), 2, "once");
        let mail = mails.iter().find(|m| m.contains("2031Q4:")).unwrap();
        assert!(
            mail.contains("https://tripline.example.test/in/reports/trend/2031Q4"),
            "{mail}"
        );
        assert!(
            !mail.contains("tripline report trend") && !mail.contains("Nobody was told"),
            "{mail}"
        );
    }
}
