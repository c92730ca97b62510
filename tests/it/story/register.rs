//! The register from outside: what nobody may do, emergencies, renewals, people who act for others, and what auditors ask.

use std::{fmt::Write as _, fs, process::Command, thread};

use serde_json::Value;

use super::{Installation, Ran, company::stores};
use crate::systems::{Database, required};

/// An installation with vendors in a file, whose reviews have lapsed, and people who decide.
pub(super) struct Office {
    pub(super) on: Installation,
    _database: Option<Database>,
}

const PEOPLE: &str = r"people:
  - { id: eve, name: Eve, email: eve@example.test, team: scoring, roles: [owner] }
  - { id: olaf, name: Olaf, email: olaf@example.test, team: scoring }
  - { id: sam, name: Sam, email: sam@example.test, team: security, roles: [owner, lead], identities: [sam-admin] }
  - { id: pia, name: Pia, email: pia@example.test, team: security, roles: [lead, oncall] }
  - { id: tess, name: Tess, email: tess@example.test, team: risk, roles: [owner, lead, board] }
  - { id: otto, name: Otto, email: otto@example.test, team: risk }
  - { id: lee, name: Lee, email: lee@example.test, team: ai-governance, roles: [policy-lead] }
";

impl Office {
    pub(super) fn new((store, database): (String, Option<Database>)) -> Self {
        let on = Installation::new();
        on.secret("store", &store);
        for file in fs::read_dir(on.path("policies")).unwrap() {
            fs::remove_file(file.unwrap().path()).unwrap();
        }
        on.write(
            "policies/third-party-ai.yaml",
            include_str!("../../cases/exception/vendors/policy.yaml"),
        );
        let control = super::company::CONTROL;
        on.write(
            "controls/review.yaml",
            &control.replacen("severity: high", "severity: high\nfingerprint: [name]", 1),
        );
        let office = Self {
            on,
            _database: database,
        };
        office.people(PEOPLE);
        let mut vendors = "id,name,tier,owner,review_due\n".to_owned();
        for n in [1, 2, 3, 10] {
            writeln!(vendors, "V-{n},Vendor {n},high,procurement,2031-01-01").unwrap();
        }
        office.on.write("vendors.csv", &vendors);
        office.check("2031-06-02T07:00:00Z");
        office
    }

    pub(super) fn people(&self, people: &str) {
        self.on.write(
            "tripline.yaml",
            &format!(
                r#"
organisation: Example Bank
store: {{ file: "{}" }}
evidence: data/evidence
sources:
  vendors: {{ connector: vendors-csv, owner: procurement, refresh: 1s, settings: {{ path: vendors.csv, max_age: 9999d }} }}
teams:
  - {{ id: procurement }}
  - {{ id: security }}
  - {{ id: scoring }}
  - {{ id: risk }}
  - {{ id: ai-governance }}
{people}
routes: []
rehearsal: true
audit: {{ origin: example.test/office, key: {{ file: audit.key }} }}
"#,
                self.on.path("store").display()
            ),
        );
    }

    pub(super) fn check(&self, at: &str) -> Ran {
        self.on.check(at)
    }

    /// The control looks now, whether it is due or not.
    pub(super) fn looks(&self, at: &str) {
        self.on
            .run(&["check", "--control", "review", "--as-of", at], None)
            .ends(1);
    }

    pub(super) fn token(&self, who: &str) -> String {
        let token = self.on.path(&format!("{who}.token"));
        if !token.exists() {
            let made = [
                "token",
                "create",
                who,
                "--for",
                "365d",
                "--as-of",
                "2031-06-01T00:00:00Z",
            ];
            self.on
                .secret(&format!("{who}.token"), &self.on.run(&made, None).ends(0));
        }
        token.display().to_string()
    }

    /// Does something as somebody, at an instant.
    pub(super) fn does(&self, who: &str, at: &str, words: &[&str]) -> Ran {
        let token = self.token(who);
        let all = [&["exception"], words, &["--as-of", at]].concat();
        self.on.run_with(&all, &[("TRIPLINE_TOKEN_FILE", &token)])
    }

    pub(super) fn package(&self, who: &str, at: &str, id: &str) -> String {
        let said = self
            .does(who, at, &["package", id, "--format", "json"])
            .ends(0);
        let package: Value = serde_json::from_str(&said).unwrap();
        package["digest"].as_str().unwrap().to_owned()
    }

    pub(super) fn approves(&self, who: &str, at: &str, id: &str) -> Ran {
        let digest = self.package(who, at, id);
        self.does(who, at, &["approve", id, "--package", &digest])
    }

    /// Hands a request in that differs from a good one in these lines.
    pub(super) fn asks(&self, at: &str, changes: &[(&str, &str)]) -> Ran {
        let mut lines: Vec<(String, String)> = REQUEST
            .lines()
            .filter_map(|l| l.split_once(": "))
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect();
        for (key, value) in changes {
            lines.retain(|(k, _)| k != key);
            if !value.is_empty() {
                lines.push(((*key).to_owned(), (*value).to_owned()));
            }
        }
        let lines: Vec<String> = lines.iter().map(|(k, v)| format!("{k}: {v}")).collect();
        let text = lines.join("\n") + "\n";
        self.on.write("request.yaml", &text);
        let who = if text.contains("requester: sam-admin") {
            "sam"
        } else {
            "eve"
        };
        let file = self.on.path("request.yaml").display().to_string();
        self.does(who, at, &["submit", &file])
    }

    pub(super) fn stands(&self, id: &str, at: &str) -> Value {
        let said = self.on.run(
            &["exception", "show", id, "--as-of", at, "--format", "json"],
            None,
        );
        serde_json::from_str(&said.ends(0)).unwrap()
    }

    /// The vendors on whom something is open that nothing covers.
    pub(super) fn open(&self) -> Vec<String> {
        let all = self.on.list(&["findings"]);
        let open = all.iter().filter(|f| f["covered_by"].is_null());
        let mut names: Vec<String> = open
            .map(|f| {
                f["subject"]
                    .as_str()
                    .unwrap()
                    .rsplit('/')
                    .next()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        names.sort();
        names
    }
}

/// It is refused, with that reason.
#[track_caller]
pub(super) fn refused(ran: &Ran, reason: &str) {
    assert_eq!(ran.code(), Some(2), "{}\n{}", ran.out(), ran.err());
    assert!(ran.err().contains(reason), "{reason}: {}", ran.err());
}

const REQUEST: &str = r"title: A later review of vendor one
kind: waiver
category: late-review
policy: third-party-ai#review
controls: [review]
requester: eve
owner: olaf
beneficiary_team: scoring
monitors: [olaf]
business_purpose: The vendor is being bought and its papers come in July
impact_if_denied: Cards cannot be printed for a week
reason_code: needs_time
alternatives: Another vendor was asked and cannot deliver before August
risk_introduced: A change at the vendor stays unseen for a month
risk: { inherent: { likelihood: low, impact: medium, rating: low }, residual: { likelihood: low, impact: medium, rating: low } }
facets: { business_impact: high, legal_exposure: false }
scope: { subjects: [vendors/vendor/V-1] }
expires_at: 2031-06-30T00:00:00Z
closure_plan: The papers are reviewed by the end of June
";

/// Another product of the same bank, with its own words, limits and people who decide: in Ireland the board is asked.
const AGENTS: &str = r#"
id: agents
version: 1
effective: 2026-10-01
title: Agents
owner: ai-governance
provisions:
  naming: { title: Naming, text: An agent has a name that says what it does. }
exceptions:
  categories:
    pilot: { title: A pilot without a name of its own, provisions: [naming] }
  limits: { max_duration: 10d, max_renewals: 0 }
  tiers: [{ id: any }]
  authority:
    lead: { tiers: [any], max_duration: 10d }
    board: { tiers: [any] }
  steps:
    - { id: lead, approve: lead, sla: 1d }
    - { id: board, approve: board, sla: 3d }
  no_match: board
  routes:
    - { id: here, when: "region <> 'Ireland'", steps: [lead] }
    - { id: abroad, when: "region = 'Ireland'", steps: [board] }
examples:
  - { given: { region: Portugal, team: cards, department: retail }, expect: { tier: any, routes: [here], steps: [lead] } }
  - { given: { region: Ireland }, expect: { tier: any, routes: [abroad], steps: [board] } }
  # Of a team nobody knows the strictest is asked as well.
  - { given: {}, expect: { tier: any, routes: [here, abroad], steps: [lead, board] } }
"#;

const NAMED: &str = r#"
id: named
title: Agents have names
policy: agents#naming
severity: low
owner: procurement
schedule: "0 6 * * *"
confirm: 1
evidence: SELECT id, name FROM vendors.vendors
max_age: 1d
subject: agents/agent/{id}
inventory: vendors.vendors
fails_when: name LIKE 'Vendor%'
examples:
  - { at: 2026-11-20T12:00:00Z, given: { id: v1, name: Vendor 1 }, expect: fail }
  - { at: 2026-11-20T12:00:00Z, given: { id: v2, name: Clerk }, expect: pass }
  - { at: 2026-11-20T12:00:00Z, given: { id: v3, name: null }, expect: unknown }
"#;

/// R018: products and regions with their own categories, limits and deciders, in one register.
#[tokio::test(flavor = "multi_thread")]
async fn each_product_and_region_has_its_own_limits_in_one_register() {
    for store in stores().await {
        let o = Office::new(store);
        o.on.write("policies/agents.yaml", AGENTS);
        o.on.write("controls/named.yaml", NAMED);
        let settings = fs::read_to_string(o.on.path("tripline.yaml")).unwrap();
        let settings = settings.replace(
            "  - { id: scoring }\n",
            "  - { id: scoring, region: Ireland, department: retail }\n  - { id: cards, region: Portugal, department: retail }\n",
        );
        o.on.write("tripline.yaml", &settings);
        o.on.run(&["test"], None).ends(0);
        let at = "2031-06-02T08:00:00Z";
        o.on.run(&["check", "--control", "named", "--as-of", at], None)
            .ends(1);
        let agents = |more: &[(&'static str, &'static str)]| {
            let mut all = vec![
                ("policy", "agents#naming"),
                ("controls", "[named]"),
                ("category", "pilot"),
                ("facets", ""),
                ("scope", "{ subjects: [agents/agent/V-1] }"),
                ("expires_at", "2031-06-10T00:00:00Z"),
            ];
            for (key, value) in more {
                all.retain(|(k, _)| k != key);
                all.push((key, value));
            }
            o.asks(at, &all)
        };
        // The words and the limits of one product are not those of the other.
        let out = agents(&[("category", "late-review")]).ends(1);
        assert!(out.contains("late-review"), "{out}");
        let out = agents(&[("expires_at", "2031-06-20T00:00:00Z")]).ends(1);
        assert!(out.contains("permits at most 10d"), "{out}");
        o.asks(at, &[("expires_at", "2031-06-20T00:00:00Z")])
            .ends(0);
        // The region of a team decides who is asked.
        let steps = |id: &str| -> Vec<String> {
            let stands = o.stands(id, at);
            let steps = stands["record"]["frozen"]["routed"]["steps"].as_array();
            let steps = steps.unwrap_or_else(|| panic!("{stands:#}"));
            steps
                .iter()
                .map(|s| s.as_str().unwrap().to_owned())
                .collect()
        };
        agents(&[]).ends(0);
        agents(&[
            ("beneficiary_team", "cards"),
            ("scope", "{ subjects: [agents/agent/V-2] }"),
        ])
        .ends(0);
        assert_eq!(steps("EXC-2031-0003"), ["owner", "lead"]);
        assert_eq!(steps("EXC-2031-0004"), ["board"]);
        assert_eq!(steps("EXC-2031-0005"), ["lead"]);
        refused(&o.approves("sam", at, "EXC-2031-0004"), "not_asked");
        o.approves("tess", at, "EXC-2031-0004").ends(0);
        o.approves("sam", at, "EXC-2031-0005").ends(0);
        let held = o.on.list(&["exception", "list"]);
        let policies: Vec<&str> = held.iter().map(|e| e["policy"].as_str().unwrap()).collect();
        assert!(
            policies.contains(&"agents#naming") && policies.contains(&"third-party-ai#review"),
            "{held:?}"
        );
    }
}

/// R035, R047, R051, R054, R055, R094, R096, R097, R098, R101, R114, R135, R164, R165, R175, R178, R179: what
/// nobody may do, each refused with its reason, and nothing is covered by it.
#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_may_do_is_refused_with_its_reason() {
    for store in stores().await {
        let o = Office::new(store);
        assert_eq!(o.open(), ["V-1", "V-10", "V-2", "V-3"]);
        // Too large to be read by people; keys that set what only a transition sets.
        o.on.write("large.yaml", &"# x\n".repeat(2_700_000));
        let large = o.on.path("large.yaml").display().to_string();
        refused(
            &o.does("eve", "2031-06-02T08:00:00Z", &["submit", &large]),
            "attach what is larger",
        );
        for key in ["state: approved", "decisions: []", "approved_by: sam"] {
            let (k, v) = key.split_once(": ").unwrap();
            let ran = o.asks("2031-06-02T08:00:01Z", &[(k, v)]);
            assert!(
                ran.code() == Some(2) && ran.err().contains("unknown key"),
                "{}",
                ran.err()
            );
        }
        // What a request may not say; each is named, and it is sent back.
        for (key, value, said) in [
            (
                "business_purpose",
                "\"The vendor is\\u202E being bought now and\"",
                "U+202E",
            ),
            (
                "business_purpose",
                "management request because of business need",
                "could be said of anything",
            ),
            (
                "scope",
                "{ subjects: [\"vendors/vendor/*\"] }",
                "is a pattern",
            ),
            (
                "scope",
                "{ subjects: [vendors/vendor/v-1] }",
                "nothing runs as",
            ),
            (
                "limit",
                "review_due > CAST('2031-02-01' AS DATE)",
                "is not true of",
            ),
            ("limit", "review_due >", "cannot be read"),
            ("expires_at", "2031-09-30T00:00:00Z", "permits at most 60d"),
            ("expires_at", "2031-07-15T00:00:00Z", "it lasts at most 30d"),
            ("expires_at", "", "a question to the policy"),
            ("facets", "{ business_impact: huge }", "is one of low"),
            (
                "facets",
                "{ severity: low }",
                "not for the requester to say",
            ),
            ("owner", "nobody-here", "nobody is called"),
        ] {
            let ran = o.asks("2031-06-02T08:01:00Z", &[(key, value)]);
            let out = ran.ends(1);
            assert!(
                out.contains("needs info") && out.contains(said),
                "{key} {value}: {out}"
            );
        }
        // Somebody by another account of theirs is still the one who asks.
        o.asks(
            "2031-06-02T08:02:00Z",
            &[
                ("requester", "sam-admin"),
                ("scope", "{ subjects: [vendors/vendor/V-2] }"),
            ],
        )
        .ends(0);
        let id = "EXC-2031-0013";
        refused(
            &o.approves("sam", "2031-06-02T08:03:00Z", id),
            "is_requester",
        );
        // Levels are not skipped, and authority binds the last.
        o.asks("2031-06-02T08:04:00Z", &[]).ends(0);
        let id = "EXC-2031-0014";
        refused(&o.approves("pia", "2031-06-02T08:05:00Z", id), "not_asked");
        refused(
            &o.approves("eve", "2031-06-02T08:05:00Z", id),
            "is_requester",
        );
        refused(
            &o.does(
                "sam",
                "2031-06-02T08:05:00Z",
                &["grant", id, "--because", "now"],
            ),
            "no_emergency",
        );
        refused(
            &o.does(
                "otto",
                "2031-06-02T08:05:00Z",
                &["withdraw", id, "--because", "no"],
            ),
            "not_yours",
        );
        let seen = o.package("sam", "2031-06-02T08:06:00Z", id);
        refused(
            &o.does(
                "tess",
                "2031-06-02T08:06:30Z",
                &["approve", id, "--package", &seen],
            ),
            "unknown_package",
        );
        refused(
            &o.does(
                "sam",
                "2031-06-02T08:06:30Z",
                &["deny", id, "--package", &seen, "--because", " "],
            ),
            "no_reason",
        );
        // Sent back and handed in again, what was seen before is stale.
        let other = o.package("tess", "2031-06-02T08:07:00Z", id);
        o.does(
            "sam",
            "2031-06-02T08:07:00Z",
            &["ask", id, "--package", &seen, "--because", "How late?"],
        )
        .ends(0);
        let file = o.on.path("request.yaml").display().to_string();
        let text = fs::read_to_string(&file)
            .unwrap()
            .replace("papers come in July", "papers come on 20 June");
        fs::write(&file, text).unwrap();
        o.does(
            "eve",
            "2031-06-02T08:08:00Z",
            &["submit", &file, "--again", id],
        )
        .ends(0);
        refused(
            &o.does(
                "tess",
                "2031-06-02T08:09:00Z",
                &["approve", id, "--package", &other],
            ),
            "stale_terms",
        );
        // The clock was set back.
        refused(
            &o.approves("tess", "2031-06-02T08:07:30Z", id),
            "clock_set_back",
        );
        // The policy changed while the request was pending.
        let policy = fs::read_to_string(o.on.path("policies/third-party-ai.yaml")).unwrap();
        o.on.write(
            "policies/third-party-ai.yaml",
            &policy.replace("version: 3", "version: 4"),
        );
        refused(
            &o.approves("tess", "2031-06-02T08:10:00Z", id),
            "stale_policy",
        );
        o.on.write("policies/third-party-ai.yaml", &policy);
        // A token that was taken back, or made up, is nobody's.
        let listed: Value = serde_json::from_str(
            &o.on
                .run(&["token", "list", "--format", "json"], None)
                .ends(0),
        )
        .unwrap();
        let tess = listed
            .as_array()
            .unwrap()
            .iter()
            .find(|t| t["person"] == "tess")
            .unwrap();
        o.on.run(&["token", "revoke", tess["id"].as_str().unwrap()], None)
            .ends(0);
        refused(
            &o.does("tess", "2031-06-02T08:11:00Z", &["queue"]),
            "revoked_token",
        );
        let forged = o.on.run_with(
            &["exception", "queue"],
            &[(
                "TRIPLINE_TOKEN",
                "tlp_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            )],
        );
        refused(&forged, "unknown_token");
        o.check("2031-06-02T08:20:00Z").ends(1);
        assert_eq!(
            o.open(),
            ["V-1", "V-10", "V-2", "V-3"],
            "none of that covered anything"
        );
        o.on.run(&["audit", "verify"], None).ends(0);
    }
}

/// R083, R122, R123, R130, R131, R133, R220: in the lowest tier the policy decides and writes it down; one subject is
/// that subject; what ends ends for every caller.
#[tokio::test(flavor = "multi_thread")]
async fn a_small_exception_covers_exactly_what_it_names_until_it_ends() {
    for store in stores().await {
        let o = Office::new(store);
        let low = [
            ("facets", "{ business_impact: low, legal_exposure: false }"),
            ("expires_at", "2031-06-09T08:00:00Z"),
        ];
        let said = o.asks("2031-06-02T08:00:00Z", &low).ends(0);
        assert!(
            said.contains("active until") && said.contains("by the policy itself"),
            "{said}"
        );
        o.check("2031-06-02T08:05:00Z").ends(1);
        assert_eq!(o.open(), ["V-10", "V-2", "V-3"], "V-10 is not V-1");
        // What is excepted already is not silently added to a second exception.
        let said = o.asks("2031-06-02T08:05:30Z", &low).ends(1);
        assert!(
            said.contains("EXC-2031-0001 speaks of the same until"),
            "{said}"
        );
        // Two that overlap, because one says that it renews the other: losing one is not losing all.
        o.asks(
            "2031-06-02T08:06:00Z",
            &[low[0], low[1], ("renewal_of", "EXC-2031-0001")],
        )
        .ends(0);
        o.approves("sam", "2031-06-02T08:06:30Z", "EXC-2031-0003")
            .ends(0);
        o.does(
            "eve",
            "2031-06-02T08:07:00Z",
            &["revoke", "EXC-2031-0001", "--because", "one is enough"],
        )
        .ends(0);
        o.check("2031-06-02T08:10:00Z").ends(1);
        assert_eq!(o.open(), ["V-10", "V-2", "V-3"]);
        // A name that changes is another vendor than the one that was looked at.
        let vendors = fs::read_to_string(o.on.path("vendors.csv")).unwrap();
        o.on.write("vendors.csv", &vendors.replace("Vendor 1,", "Vendor One,"));
        o.looks("2031-06-02T09:00:00Z");
        assert_eq!(
            o.stands("EXC-2031-0003", "2031-06-02T09:01:00Z")["record"]["suspension"],
            "fingerprint_changed"
        );
        o.on.write("vendors.csv", &vendors);
        o.asks(
            "2031-06-02T10:00:00Z",
            &[low[0], low[1], ("beneficiary_team", "procurement")],
        )
        .ends(0);
        o.looks("2031-06-02T10:05:00Z");
        assert_eq!(o.open(), ["V-10", "V-2", "V-3"]);
        // Who answers for it leaves: nobody keeps its promise.
        o.people(&PEOPLE.replace("id: olaf", "id: olga"));
        o.check("2031-06-03T08:00:00Z").ends(1);
        assert_eq!(
            o.stands("EXC-2031-0004", "2031-06-03T08:01:00Z")["record"]["suspension"],
            "owner_gone"
        );
        assert_eq!(o.open(), ["V-1", "V-10", "V-2", "V-3"]);
        o.people(PEOPLE);
        o.asks(
            "2031-06-03T09:00:00Z",
            &[
                low[0],
                ("expires_at", "2031-06-10T08:00:00Z"),
                ("beneficiary_team", "ai-governance"),
            ],
        )
        .ends(0);
        o.check("2031-06-03T09:05:00Z").ends(1);
        // Over for everybody at its instant, before any sweep has written that down.
        let end = "2031-06-10T08:00:00Z";
        let id = "EXC-2031-0005";
        assert_eq!(o.stands(id, "2031-06-10T07:59:59Z")["stands"], "active");
        assert_eq!(o.stands(id, end)["stands"], "expired");
        let listed =
            o.on.list(&["exception", "list", "--state", "active", "--as-of", end]);
        assert!(listed.is_empty(), "{listed:?}");
        let decided = o.on.run(
            &[
                "decide",
                "--control",
                "review",
                "--subject",
                "vendors/vendor/V-1",
                "--as-of",
                end,
                "--format",
                "json",
            ],
            None,
        );
        assert!(decided.ends(1).contains("it is expired"));
        o.check(end).ends(1);
        assert_eq!(o.open(), ["V-1", "V-10", "V-2", "V-3"]);
        let all = o.on.list(&["findings"]);
        let mine = |f: &&Value| f["subject"] == "vendors/vendor/V-1";
        let finding = all.iter().find(mine).unwrap();
        let why =
            o.on.run(&["explain", finding["id"].as_str().unwrap()], None)
                .ends(0);
        assert!(why.contains("does not cover it"), "{why}");
    }
}

/// R090, R091, R139, R174: a grant in an emergency ends by itself unless the chain signs it.
#[tokio::test(flavor = "multi_thread")]
async fn an_emergency_grant_is_ratified_or_unwound() {
    for store in stores().await {
        let o = Office::new(store);
        let pressing = [("facets", "{ business_impact: high, legal_exposure: true }")];
        o.asks("2031-06-02T08:00:00Z", &pressing).ends(0);
        let id = "EXC-2031-0001";
        refused(
            &o.does(
                "sam",
                "2031-06-02T08:01:00Z",
                &["grant", id, "--because", "cards stop"],
            ),
            "not_asked",
        );
        let said = o
            .does(
                "pia",
                "2031-06-02T08:02:00Z",
                &["grant", id, "--because", "Cards stop printing."],
            )
            .ends(0);
        assert!(said.contains("active until 2031-06-02 20:02"), "{said}");
        o.check("2031-06-02T08:05:00Z").ends(1);
        assert_eq!(o.open(), ["V-10", "V-2", "V-3"]);
        // Nobody ratifies: it is unwound, and told.
        o.check("2031-06-02T20:02:00Z").ends(1);
        assert_eq!(o.open(), ["V-1", "V-10", "V-2", "V-3"]);
        let over = o.stands(id, "2031-06-02T20:03:00Z");
        assert!(
            over["stands"] == "expired" || over["stands"] == "revoked",
            "{over}"
        );
        // Ratified through the whole chain, it lasts as long as was asked for.
        o.asks("2031-06-03T08:00:00Z", &pressing).ends(0);
        let id = "EXC-2031-0002";
        o.does(
            "pia",
            "2031-06-03T08:02:00Z",
            &["grant", id, "--because", "Cards stop printing again."],
        )
        .ends(0);
        o.approves("sam", "2031-06-03T08:10:00Z", id).ends(0);
        let said = o.approves("tess", "2031-06-03T08:11:00Z", id).ends(0);
        assert!(said.contains("active until 2031-06-30"), "{said}");
        o.check("2031-06-04T08:00:00Z").ends(1);
        assert_eq!(o.open(), ["V-10", "V-2", "V-3"]);
    }
}

/// R019, R048, R086, R103, R107, R111, R125, R138, R180, R190, R195: a renewal is a new request through the whole chain,
/// counted and limited, one level more at the second.
#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_is_counted_limited_and_goes_one_level_higher() {
    for store in stores().await {
        let o = Office::new(store);
        o.asks("2031-06-02T08:00:00Z", &[]).ends(0);
        o.approves("sam", "2031-06-02T08:01:00Z", "EXC-2031-0001")
            .ends(0);
        o.approves("tess", "2031-06-02T08:02:00Z", "EXC-2031-0001")
            .ends(0);
        // Nobody looks at it again in time, so it is suspended; somebody does, and it goes on.
        o.check("2031-06-16T08:02:00Z").ends(1);
        let state = o.stands("EXC-2031-0001", "2031-06-16T08:03:00Z");
        assert_eq!(state["record"]["suspension"], "review_overdue");
        o.approves("sam", "2031-06-16T09:00:00Z", "EXC-2031-0001")
            .ends(0);
        o.approves("tess", "2031-06-16T09:00:30Z", "EXC-2031-0001")
            .ends(0);
        o.check("2031-06-16T09:05:00Z").ends(1);
        assert_eq!(o.open(), ["V-10", "V-2", "V-3"]);
        let renew =
            |of: &str, at: &str, end: &str| o.asks(at, &[("renewal_of", of), ("expires_at", end)]);
        let first = renew(
            "EXC-2031-0001",
            "2031-06-28T08:00:00Z",
            "2031-07-20T00:00:00Z",
        )
        .ends(0);
        assert!(!first.contains("board"), "{first}");
        o.approves("sam", "2031-06-28T08:01:00Z", "EXC-2031-0002")
            .ends(0);
        o.approves("tess", "2031-06-28T08:02:00Z", "EXC-2031-0002")
            .ends(0);
        let said = o.does(
            "tess",
            "2031-06-29T08:00:00Z",
            &["package", "EXC-2031-0002", "--format", "json"],
        );
        let package: Value = serde_json::from_str(&said.ends(0)).unwrap();
        for past in ["of_subjects", "of_team", "of_requester", "of_clause"] {
            assert_eq!(
                package["package"][past][0]["exception"], "EXC-2031-0001",
                "{past}"
            );
        }
        let second = renew(
            "EXC-2031-0002",
            "2031-07-10T08:00:00Z",
            "2031-08-05T00:00:00Z",
        )
        .ends(0);
        assert!(
            second.contains("renewed-before") && second.contains("step      board"),
            "{second}"
        );
        for (who, at) in [
            ("sam", "2031-07-10T08:01:00Z"),
            ("pia", "2031-07-10T08:02:00Z"),
            ("tess", "2031-07-10T08:03:00Z"),
        ] {
            o.approves(who, at, "EXC-2031-0003").ends(0);
        }
        let record = o.stands("EXC-2031-0003", "2031-07-10T08:05:00Z");
        let terms = &record["record"]["frozen"]["terms"];
        assert_eq!(terms["renewals"], 2);
        assert_eq!(terms["original_expires_at"], "2031-06-30T00:00:00Z");
        let third = renew(
            "EXC-2031-0003",
            "2031-08-01T08:00:00Z",
            "2031-08-25T00:00:00Z",
        );
        assert!(
            third
                .ends(1)
                .contains("the policy itself is what should be asked")
        );
    }
}

/// R092, R142, R219: a role is lent for a time, both names stand in the decision, and who is excluded lends
/// nothing.
#[tokio::test(flavor = "multi_thread")]
async fn somebody_acts_in_anothers_place_for_a_time() {
    for store in stores().await {
        let o = Office::new(store);
        o.asks("2031-06-02T08:00:00Z", &[]).ends(0);
        let id = "EXC-2031-0001";
        let lend = |who: &str, to: &str, role: &str| {
            o.does(
                who,
                "2031-06-02T08:01:00Z",
                &[
                    "delegate",
                    to,
                    "--role",
                    role,
                    "--until",
                    "2031-06-09T00:00:00Z",
                    "--because",
                    "leave",
                ],
            )
        };
        refused(&lend("otto", "sam", "lead"), "do not bear the role");
        refused(&o.approves("otto", "2031-06-02T08:02:00Z", id), "not_asked");
        lend("eve", "otto", "owner").ends(0);
        refused(
            &o.approves("otto", "2031-06-02T08:03:00Z", id),
            "is_requester",
        );
        lend("sam", "otto", "owner").ends(0);
        let queue = o.does("otto", "2031-06-02T08:04:00Z", &["queue"]).ends(0);
        assert!(
            queue.contains(id) || queue.contains("Nothing waits"),
            "{queue}"
        );
        o.does(
            "eve",
            "2031-06-02T08:04:00Z",
            &["undelegate", &first_of(&o, "eve")],
        )
        .ends(0);
        o.approves("otto", "2031-06-02T08:05:00Z", id).ends(0);
        let record = o.stands(id, "2031-06-02T08:06:00Z");
        let role = &record["record"]["decisions"][0]["role"];
        assert_eq!(
            (&role["role"], &role["on_behalf_of"]),
            (&"owner".into(), &"sam".into())
        );
        // Whose place was taken signs no second step.
        refused(
            &o.approves("sam", "2031-06-02T08:07:00Z", id),
            "already_signed",
        );
    }
}

fn first_of(o: &Office, person: &str) -> String {
    let all = o.on.list(&["exception", "delegations"]);
    let mine = all.iter().find(|d| d["person"] == person).unwrap();
    mine["id"].as_str().unwrap().to_owned()
}

/// R094, R148: two who decide at the same instant are both counted, or one is told to look again; never one for two.
#[tokio::test(flavor = "multi_thread")]
async fn two_decisions_at_the_same_instant_are_two_or_one_is_told() {
    for store in stores().await {
        let o = Office::new(store);
        o.asks("2031-06-02T08:00:00Z", &[]).ends(0);
        let id = "EXC-2031-0001";
        let at = "2031-06-02T08:05:00Z";
        let packages = [
            ("sam", o.package("sam", at, id)),
            ("tess", o.package("tess", at, id)),
        ];
        // Both may take the first step, which takes one signature: the other then takes the second, or is refused.
        let ran: Vec<Ran> = thread::scope(|s| {
            let acts = packages.iter().map(|(who, digest)| {
                let o = &o;
                s.spawn(move || o.does(who, at, &["approve", id, "--package", digest]))
            });
            let acts: Vec<_> = acts.collect();
            acts.into_iter().map(|a| a.join().unwrap()).collect()
        });
        let done = ran.iter().filter(|r| r.code() == Some(0)).count();
        let record = o.stands(id, at);
        assert_eq!(
            record["record"]["decisions"].as_array().unwrap().len(),
            done,
            "{record}"
        );
        for ran in &ran {
            assert!(
                ran.code() == Some(0) || ran.code() == Some(2),
                "{}",
                ran.err()
            );
        }
        assert_eq!(
            record["stands"],
            if done == 2 {
                "active"
            } else {
                "pending_decision"
            }
        );
    }
}

/// R126: a word that nobody gives, a policy that says something else, an exception that nobody uses, and a step
/// that nobody may take.
#[tokio::test(flavor = "multi_thread")]
async fn an_exception_lives_under_watch() {
    for store in stores().await {
        let o = Office::new(store);
        let watched = [(
            "conditions",
            "[{ mitigation: closer-watch, responsible: olaf }]",
        )];
        o.asks("2031-06-02T08:00:00Z", &watched).ends(0);
        let id = "EXC-2031-0001";
        o.approves("sam", "2031-06-02T08:01:00Z", id).ends(0);
        o.approves("tess", "2031-06-02T08:02:00Z", id).ends(0);
        // For a week the first word is not due; then it is missing, and nothing is covered any more.
        o.check("2031-06-09T08:01:00Z").ends(1);
        assert_eq!(o.open(), ["V-10", "V-2", "V-3"]);
        o.check("2031-06-09T08:03:00Z").ends(1);
        assert_eq!(o.open(), ["V-1", "V-10", "V-2", "V-3"]);
        let state = o.stands(id, "2031-06-09T08:04:00Z");
        assert_eq!(state["record"]["suspension"], "condition_unknown");
        let says = |who: &str| {
            o.does(
                who,
                "2031-06-09T09:00:00Z",
                &[
                    "attest",
                    id,
                    "closer-watch",
                    "--because",
                    "Nothing new from the vendor.",
                ],
            )
        };
        refused(&says("sam"), "not_yours");
        says("olaf").ends(0);
        assert_eq!(
            o.open(),
            ["V-10", "V-2", "V-3"],
            "what was missing is there again"
        );
        // The text changes: what was approved is not what the policy says now.
        let policy = fs::read_to_string(o.on.path("policies/third-party-ai.yaml")).unwrap();
        o.on.write(
            "policies/third-party-ai.yaml",
            &policy.replace(
                "before its review lapses.",
                "a month before its review lapses.",
            ),
        );
        o.check("2031-06-10T08:00:00Z").ends(1);
        assert_eq!(
            o.stands(id, "2031-06-10T08:01:00Z")["record"]["suspension"],
            "policy_changed"
        );
        assert_eq!(o.open(), ["V-1", "V-10", "V-2", "V-3"]);
        o.approves("sam", "2031-06-10T09:00:00Z", id).ends(0);
        assert_eq!(
            o.open(),
            ["V-1", "V-10", "V-2", "V-3"],
            "half the chain covers nothing"
        );
        o.approves("tess", "2031-06-10T09:01:00Z", id).ends(0);
        assert_eq!(o.open(), ["V-10", "V-2", "V-3"]);
        // Used, and not used: said only of what was looked at.
        let vendors = fs::read_to_string(o.on.path("vendors.csv")).unwrap();
        o.on.write(
            "vendors.csv",
            &vendors.replace(
                "V-2,Vendor 2,high,procurement,2031-01-01",
                "V-2,Vendor 2,high,procurement,2032-01-01",
            ),
        );
        o.looks("2031-06-10T10:00:00Z");
        let small = [
            ("facets", "{ business_impact: low, legal_exposure: false }"),
            ("expires_at", "2031-06-17T08:00:00Z"),
            ("scope", "{ subjects: [vendors/vendor/V-2] }"),
        ];
        o.asks("2031-06-10T10:05:00Z", &small).ends(0);
        let usage = |at: &str, n: usize| {
            let all = o.on.list(&["exception", "list", "--as-of", at]);
            all[n]["usage"].as_str().unwrap().to_owned()
        };
        assert_eq!(usage("2031-06-10T10:06:00Z", 0), "unverified");
        o.looks("2031-06-10T11:00:00Z");
        assert_eq!(
            (
                usage("2031-06-10T11:01:00Z", 0),
                usage("2031-06-10T11:01:00Z", 1)
            ),
            ("unused".to_owned(), "used".to_owned())
        );
        // A step that nobody may take goes to those who stand in for it.
        o.asks(
            "2031-06-10T12:00:00Z",
            &[
                ("owner", "sam"),
                ("beneficiary_team", "risk"),
                ("scope", "{ subjects: [vendors/vendor/V-3] }"),
            ],
        )
        .ends(0);
        let id = "EXC-2031-0003";
        let said = o.stands(id, "2031-06-10T12:01:00Z")["history"].to_string();
        assert!(
            said.contains("nobody_eligible") && said.contains("its stand-ins are asked"),
            "{said}"
        );
        o.approves("pia", "2031-06-10T12:06:00Z", id).ends(0);
    }
}

/// R013, R038, R040, R046, R113, R128, R137, R140, R145, R147, R149, R150, R151, R183, R184, R185, R186, R191,
/// R192, R193, R194, R196, R207, R208, R209, R210, R211, R212, R214, R215, R216, R219, R222: what is asked at
/// request time and by auditors, each in one command.
#[tokio::test(flavor = "multi_thread")]
async fn every_question_of_an_auditor_is_one_command() {
    for store in stores().await {
        let o = Office::new(store);
        let decide = |at: &str, subject: &str, more: &[&str]| {
            let words = [
                &[
                    "decide",
                    "--control",
                    "review",
                    "--subject",
                    subject,
                    "--as-of",
                    at,
                ],
                more,
            ]
            .concat();
            o.on.run(&words, None)
        };
        let json = |ran: &Ran| -> Value { serde_json::from_str(&ran.out()).unwrap() };
        let before = decide(
            "2031-06-02T08:00:00Z",
            "vendors/vendor/V-1",
            &[
                "--facet",
                "business_impact=high",
                "--facet",
                "legal_exposure=false",
                "--format",
                "json",
            ],
        );
        before.ends(1);
        let answer = json(&before);
        assert_eq!(answer["answer"], "exception_required");
        assert_eq!(
            answer["by"][0]["steps"],
            serde_json::json!(["owner", "lead"])
        );
        decide("2031-06-02T08:00:00Z", "vendors/vendor/nobody", &[]).ends(3);
        o.asks("2031-06-02T08:00:00Z", &[]).ends(0);
        let id = "EXC-2031-0001";
        let waits = o.does("sam", "2031-06-02T08:00:30Z", &["queue"]).ends(0);
        assert!(
            waits.contains("decide step `owner`") && waits.contains("2031-06-04"),
            "{waits}"
        );
        o.approves("sam", "2031-06-02T08:01:00Z", id).ends(0);
        o.approves("tess", "2031-06-02T08:02:00Z", id).ends(0);
        o.check("2031-06-02T08:05:00Z").ends(1);
        let record = o.stands(id, "2031-06-02T08:06:00Z");
        let decision = &record["record"]["decisions"][1];
        // What was seen can be produced, and its digest is the one in the decision.
        let digest = decision["package"].as_str().unwrap();
        let seen = o.on.run(&["exception", "seen", id, digest], None).ends(0);
        let seen: Value = serde_json::from_str(&seen).unwrap();
        assert_eq!(tripline::model::id::Sha::of_json(&seen).to_string(), digest);
        assert_eq!(
            (&seen["reader"], &seen["terms_digest"]),
            (&"tess".into(), &decision["terms"])
        );
        assert_eq!(
            decision["options"]["grants"], true,
            "what they were authorised to offer"
        );
        assert!(!record["record"]["times"]["activated_at"].is_null());
        // Its route wants a look every fourteen days; without one it would cover nothing by the end of the month.
        let look = ["review", id, "--because", "Nothing changed at the vendor."];
        o.does("tess", "2031-06-16T08:00:00Z", &look).ends(0);
        // A token that any library can check, and that is over when the exception is.
        let at = "2031-06-29T23:59:00Z";
        let token = decide(at, "vendors/vendor/V-1", &["--token", "1h"]).ends(0);
        o.on.write("token", &token);
        let file = o.on.path("token").display().to_string();
        let believed = o.on.run(
            &["decide", "verify", &file, "--as-of", "2031-06-29T23:59:30Z"],
            None,
        );
        let claims: Value = serde_json::from_str(&believed.ends(0)).unwrap();
        assert_eq!(
            (&claims["answer"], &claims["exception"]),
            (&"covered".into(), &id.into())
        );
        assert_eq!(
            claims["exp"], 1_940_544_000,
            "the end of the exception, not an hour later"
        );
        o.on.run(
            &["decide", "verify", &file, "--as-of", "2031-06-30T00:00:00Z"],
            None,
        )
        .ends(1);
        if let Some(python) = required("TRIPLINE_TEST_PYTHON") {
            let key = o.on.run(&["decide", "key"], None).ends(0);
            let script = "import json, sys\nfrom joserfc import jws\nfrom joserfc.jwk import OKPKey\n\
                found = jws.deserialize_compact(sys.argv[1], OKPKey.import_key(json.loads(sys.argv[2])), algorithms=['EdDSA'])\n\
                print(json.loads(found.payload)['answer'])";
            let ran = Command::new(python)
                .args(["-c", script, token.trim(), &key])
                .output()
                .unwrap();
            assert_eq!(
                String::from_utf8_lossy(&ran.stdout).trim(),
                "covered",
                "{}",
                String::from_utf8_lossy(&ran.stderr)
            );
        }
        // Which are there, who approved each, what holds, why is it open?
        let listed = &o.on.list(&[
            "exception",
            "list",
            "--touching",
            "external_model",
            "--as-of",
            at,
        ])[0];
        assert_eq!(listed["id"], id);
        assert_eq!(listed["decided"].as_array().unwrap().len(), 2);
        assert!(
            listed["because"]
                .as_str()
                .unwrap()
                .contains("Its end is on 2031-06-30"),
            "{listed}"
        );
        // What was authorised at that moment, and which changes were not?
        let then = &o
            .on
            .list(&["report", "at", "vendors/vendor/V-1", "2031-06-10T00:00:00Z"])[0];
        assert_eq!(then["exception"], id);
        let earlier = &o
            .on
            .list(&["report", "at", "vendors/vendor/V-1", "2031-06-02T07:30:00Z"])[0];
        assert!(earlier["exception"].is_null(), "{earlier}");
        let period = [
            "--from",
            "2031-06-01T00:00:00Z",
            "--to",
            "2031-07-01T00:00:00Z",
        ];
        let changes = o.on.list(&[&["report", "changes"][..], &period].concat());
        let of = |verdict: &str| changes.iter().filter(|c| c["verdict"] == verdict).count();
        assert_eq!(
            (of("covered_later"), of("not_authorised")),
            (1, 3),
            "{changes:?}"
        );
        // A sample can be drawn again; a folder answers the question of the whole, signed.
        let sample = |seed: &str| o.on.list(&["report", "sample", "--seed", seed]);
        assert_eq!(sample("2031-Q2"), sample("2031-Q2"));
        assert_eq!(sample("2031-Q2")[0]["approval"], true);
        let process = o.on.run(&["report", "process"], None).ends(0);
        for part in [
            "stateDiagram-v2",
            "flowchart LR",
            "pending_decision --> approved: approve",
            "| oncall | emergencies only",
            "third-party-ai#review",
        ] {
            assert!(process.contains(part), "{part}: {process}");
        }
        let pack = o.on.path("pack").display().to_string();
        o.on.run(
            &[&["report", "pack", &pack, "--seed", "2031-Q2"][..], &period].concat(),
            None,
        )
        .ends(0);
        let manifest = fs::read_to_string(o.on.path("pack/manifest.json")).unwrap();
        let files: Value = serde_json::from_str(&manifest).unwrap();
        for (name, digest) in files["files"].as_object().unwrap() {
            let bytes = fs::read(o.on.path("pack").join(name)).unwrap();
            assert_eq!(
                digest,
                &tripline::model::id::Sha::of(&bytes).to_string(),
                "{name}"
            );
        }
        o.on.run(&["decide", "verify", &format!("{pack}/manifest.jws")], None)
            .ends(0);
        let again = o.on.run(&["report", "pack", &pack, "--seed", "x"], None);
        assert!(
            again.code() == Some(2) && again.err().contains("holds something already"),
            "{}",
            again.err()
        );
        // Drafts out of another tool's file cover nothing until they are complete.
        o.on.write("azure.json", r#"[{"name": "ex-1", "properties": {"displayName": "Vendor two", "exemptionCategory": "Waiver"}}]"#);
        let (file, into) = (
            o.on.path("azure.json").display().to_string(),
            o.on.path("drafts").display().to_string(),
        );
        let said =
            o.on.run(
                &[
                    "exception",
                    "import",
                    "--from",
                    "azure",
                    "--policy",
                    "third-party-ai#review",
                    "--into",
                    &into,
                    &file,
                ],
                None,
            )
            .ends(0);
        assert!(
            said.contains("expires_at") && said.contains("None of them covers anything"),
            "{said}"
        );
    }
}

const HEARD: &str = r"
examples:
  - { given: { business_impact: low, requested_days: 7, renewal_number: 0 }, expect: { tier: low, routes: [thin, small], steps: [facts, board] } }
  - { given: { business_impact: low, requested_days: 8, renewal_number: 0, data_sensitivity: public }, expect: { tier: low, routes: [low], steps: [owner] } }
  - { given: { business_impact: high, data_sensitivity: regulated, sla_due_hours: 4 }, expect: { tier: high, routes: [people, pressing, high], steps: [hear, owner, lead], urgency: pressing, sla: 4h } }
  - { given: { business_impact: high, data_sensitivity: public, legal_exposure: true }, expect: { tier: high, routes: [high, incident], steps: [owner, lead], urgency: incident } }
";

/// R049, R050, R056, R065, R069, R072, R073, R081, R082, R087, R091, R099, R100, R182, R221, R223: what is not known is asked for by name; evidence stands above
/// what a requester says; those whom a rule asks are heard, and nobody else, before anybody signs.
#[tokio::test(flavor = "multi_thread")]
async fn those_whom_it_concerns_are_heard_before_anybody_decides() {
    for store in stores().await {
        let o = Office::new(store);
        o.on.write(
            "connectors/desk.yaml",
            r#"id: desk
title: Tickets
settings: { path: { type: path } }
file: { path: "${path}", max_age: 9999d }
datasets:
  tickets:
    csv: { delimiter: ',', header: true }
    key: [id]
    complete: { reread: 0 }
    columns: { id: text, due_in_hours: int, state: text }
"#,
        );
        let policy = fs::read_to_string(o.on.path("policies/third-party-ai.yaml")).unwrap();
        let policy = policy
            .replace(
                "  limits:",
                r"  facets:
    sla_due_hours: { evidence: SELECT min(due_in_hours) AS sla_due_hours FROM desk.tickets WHERE id = $ticket AND state = 'open', max_age: 1d }
  limits:",
            )
            .replace(
                "    - { id: normal }",
                "    - { id: pressing, when: sla_due_hours <= 8 }\n    - { id: normal }",
            )
            .replace(
                "  steps:\n",
                "  steps:\n    - { id: facts, ask: requester }\n    - { id: hear, assess: [privacy, ethics], sla: 3d, on_breach: { escalate: lead } }\n",
            )
            .replace(
                "  routes:\n",
                r"  routes:
    - { id: thin, when: data_sensitivity IS NULL, steps: [facts] }
    - { id: people, when: data_sensitivity = 'regulated', steps: [hear] }
    - { id: pressing, when: urgency = 'pressing', expedite: { sla: 4h, also: [oncall] } }
",
            );
        let rules = &policy[..policy.find("\nexamples:").unwrap()];
        let policy = &format!("{rules}{HEARD}");
        o.on.write("policies/third-party-ai.yaml", policy);
        o.on.write(
            "desk.csv",
            "id,due_in_hours,state\nT-7,5,open\nT-8,90,open\n",
        );
        o.people(
            &PEOPLE
                .replace("roles: [policy-lead]", "roles: [policy-lead, ethics]")
                .replace("team: risk }", "team: risk, roles: [privacy] }"),
        );
        let settings = fs::read_to_string(o.on.path("tripline.yaml")).unwrap();
        o.on.write(
            "tripline.yaml",
            &settings.replace(
                "sources:\n",
                "channels:\n  mail: { smtp: { host: 127.0.0.1, port: 9, from: tripline@example.test } }\nsources:\n  desk: { connector: desk, owner: security, refresh: 1s, settings: { path: desk.csv } }\n",
            ),
        );
        // What nobody said is asked for by its name, and only that.
        let facets =
            |more: &str| format!("{{ business_impact: high, legal_exposure: false{more} }}");
        let said = o
            .asks("2031-06-02T08:00:00Z", &[("facets", &facets(""))])
            .ends(1);
        assert!(said.contains("`data_sensitivity` is not known"), "{said}");
        // A requester cannot say what evidence answers.
        let said = o
            .asks(
                "2031-06-02T08:01:00Z",
                &[("facets", &facets(", sla_due_hours: 2"))],
            )
            .ends(1);
        assert!(said.contains("not for the requester to say"), "{said}");
        let regulated = facets(
            ", data_sensitivity: regulated, policy_domain: third-party, regulatory: [EU-AI-Act], sets_precedent: false",
        );
        o.asks(
            "2031-06-02T08:02:00Z",
            &[
                ("facets", &regulated),
                ("ticket", "T-8"),
                (
                    "evidence",
                    "[{ kind: vendor_doc, uri: \"https://papers.example.test/review.pdf\", sha256: \"5f1c0e9a5f1c0e9a5f1c0e9a5f1c0e9a5f1c0e9a5f1c0e9a5f1c0e9a5f1c0e9a\", captured_at: 2031-06-01T00:00:00Z }]",
                ),
            ],
        )
        .ends(0);
        o.asks(
            "2031-06-02T08:03:00Z",
            &[("facets", &regulated), ("ticket", "T-7")],
        )
        .ends(0);
        let (calm, id) = ("EXC-2031-0003", "EXC-2031-0004");
        let routes = |id: &str| {
            let stands = o.stands(id, "2031-06-02T08:04:00Z");
            stands["record"]["frozen"]["routed"].to_string()
        };
        assert!(!routes(calm).contains("pressing"), "{}", routes(calm));
        // Exactly those whom a rule asks, and nobody else.
        let steps = r#""steps":["hear","owner","lead"]"#;
        assert!(routes(calm).contains(steps), "{}", routes(calm));
        let stands = o.stands(calm, "2031-06-02T08:04:00Z").to_string();
        for word in ["third-party", "EU-AI-Act", r#""regulated":true"#] {
            assert!(stands.contains(word), "{word}: {stands}");
        }
        assert!(routes(id).contains("pressing"), "{}", routes(id));
        // What is attached and the policy that it is about are on one page.
        let page = o
            .does(
                "otto",
                "2031-06-02T08:04:10Z",
                &["package", calm, "--format", "json"],
            )
            .ends(0);
        for word in [
            "https://papers.example.test/review.pdf",
            "A vendor is reviewed again before its review lapses.",
        ] {
            assert!(page.contains(word), "{word}: {page}");
        }
        // Whoever hears of what is pressing does so at once, with what is left of the time.
        o.check("2031-06-02T08:04:30Z");
        let all = o.on.list(&["notices", "list", "--recipient", "pia"]);
        assert_eq!(all.len(), 1, "of the pressing one only: {all:?}");
        assert_eq!(all[0]["mode"], "alert");
        let notice = all[0]["id"].as_str().unwrap();
        let said = o.on.run(&["notices", "show", notice], None).ends(0);
        for word in [
            id,
            "it is pressing, and your role hears of it",
            "(in 4 hours)",
        ] {
            assert!(said.contains(word), "{word}: {said}");
        }
        // Nobody signs before those who are asked were heard; nobody else is asked.
        refused(&o.approves("sam", "2031-06-02T08:05:00Z", id), "not_asked");
        let hears = |who: &str, at: &str, what: &str| {
            let digest = o.package(who, at, id);
            o.does(
                who,
                at,
                &["approve", id, "--package", &digest, "--because", what],
            )
        };
        hears(
            "otto",
            "2031-06-02T08:06:00Z",
            "No person is named in what the vendor holds.",
        )
        .ends(0);
        refused(&o.approves("sam", "2031-06-02T08:07:00Z", id), "not_asked");
        hears(
            "lee",
            "2031-06-02T08:08:00Z",
            "Fair as long as cards are printed for all.",
        )
        .ends(0);
        o.approves("sam", "2031-06-02T08:09:00Z", id).ends(0);
        let said = o.approves("tess", "2031-06-02T08:10:00Z", id).ends(0);
        assert!(said.contains("active until"), "{said}");
        // What they said stays with it.
        let stands = o.stands(id, "2031-06-02T08:11:00Z").to_string();
        for word in ["No person is named", "Fair as long as"] {
            assert!(stands.contains(word), "{word}: {stands}");
        }
        // A policy whose facet does not come out does not load.
        o.on.write(
            "policies/third-party-ai.yaml",
            &policy.replace("min(due_in_hours) AS sla_due_hours", "id AS sla_due_hours"),
        );
        let ran = o.on.run(&["validate"], None);
        assert!(ran.out().contains("TL0515"), "{}{}", ran.out(), ran.err());
    }
}

/// R152, R176: a policy that stops permitting exceptions to a control, because they stood in for work that was not
/// done, ends what covers it at once; the log holds every version of the rules.
#[tokio::test(flavor = "multi_thread")]
async fn what_may_never_be_waived_is_covered_by_nothing_from_then_on() {
    for store in stores().await {
        let o = Office::new(store);
        let low = [
            ("facets", "{ business_impact: low, legal_exposure: false }"),
            ("expires_at", "2031-06-09T08:00:00Z"),
        ];
        o.asks("2031-06-02T08:00:00Z", &low).ends(0);
        o.looks("2031-06-02T08:05:00Z");
        assert_eq!(o.open(), ["V-10", "V-2", "V-3"]);
        let policy = fs::read_to_string(o.on.path("policies/third-party-ai.yaml")).unwrap();
        o.on.write(
            "policies/third-party-ai.yaml",
            &policy
                .replace("never_waivable: [never]", "never_waivable: [review]")
                .replace("version: 3", "version: 4"),
        );
        o.looks("2031-06-02T08:10:00Z");
        assert_eq!(o.open(), ["V-1", "V-10", "V-2", "V-3"]);
        let said = o.asks("2031-06-02T08:11:00Z", &low).ends(1);
        assert!(
            said.contains("may never be waived") || said.contains("permits no exception"),
            "{said}"
        );
        o.looks("2031-06-03T08:00:00Z");
        let log = o.on.path("log");
        o.on.run(&["audit", "export", &log.display().to_string()], None)
            .ends(0);
        let leaves = fs::read_to_string(log.join("leaves.ndjson")).unwrap();
        let of_policy = leaves.lines().filter(|l| l.contains("third-party-ai"));
        let versions: Vec<bool> = of_policy
            .filter(|l| l.contains("definition"))
            .map(|l| l.contains(r#"\"version\":4"#))
            .collect();
        assert_eq!(versions, [false, true], "{leaves}");
    }
}

/// R117, R121: an exception that rests on an output filter shows for every hour that the filter was in force, and
/// ends with it.
#[tokio::test(flavor = "multi_thread")]
async fn an_output_filter_is_shown_to_have_been_in_force() {
    for store in stores().await {
        let o = Office::new(store);
        o.on.write(
            "connectors/gateway.yaml",
            r#"id: gateway
title: Output filters of the gateway
settings: { path: { type: path } }
file: { path: "${path}", max_age: 9999d }
datasets:
  filters:
    csv: { delimiter: ',', header: true }
    key: [id]
    complete: { reread: 0 }
    columns: { id: text, in_force: bool }
"#,
        );
        let settings = fs::read_to_string(o.on.path("tripline.yaml")).unwrap();
        o.on.write(
            "tripline.yaml",
            &settings.replace(
                "sources:\n",
                "sources:\n  gateway: { connector: gateway, owner: security, refresh: 1s, settings: { path: filters.csv } }\n",
            ),
        );
        o.on.write("filters.csv", "id,in_force\npii-out,true\n");
        o.asks(
            "2031-06-02T08:00:00Z",
            &[
                ("kind", "compensated"),
                ("facets", "{ business_impact: low, legal_exposure: false }"),
                ("expires_at", "2031-06-09T08:00:00Z"),
                (
                    "conditions",
                    "[{ id: filter, text: Answers pass the filter pii-out, evidence: \"SELECT id, in_force FROM gateway.filters WHERE id = 'pii-out'\", subject: id, fails_when: NOT in_force, schedule: 0 * * * *, max_age: 2h, responsible: olaf }]",
                ),
            ],
        )
        .ends(0);
        let id = "EXC-2031-0001";
        let filter = |at: &str| o.stands(id, at)["record"]["conditions"]["filter"].clone();
        for hour in ["09", "10", "11"] {
            o.check(&format!("2031-06-02T{hour}:00:01Z"));
            let looked = filter(&format!("2031-06-02T{hour}:01:00Z"));
            assert_eq!(looked["standing"], "holds", "{looked}");
            // The look is a run with its evidence, and comes out the same when it is judged again.
            let run = looked["run"].as_str().unwrap();
            assert!(
                looked["at"]
                    .as_str()
                    .unwrap()
                    .contains(&format!("T{hour}:00:01")),
                "{looked}"
            );
            o.on.run(&["replay", run], None).ends(0);
        }
        assert_eq!(o.open(), ["V-10", "V-2", "V-3"]);
        o.on.write("filters.csv", "id,in_force\npii-out,false\n");
        o.check("2031-06-02T12:00:01Z");
        assert_eq!(filter("2031-06-02T12:01:00Z")["standing"], "fails");
        assert_eq!(o.open(), ["V-1", "V-10", "V-2", "V-3"]);
    }
}

/// R021: an identity that is given away puts its exceptions to the question, and one that is no more ends them.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_subject_is_the_end_of_its_exceptions() {
    for store in stores().await {
        let o = Office::new(store);
        let low = [
            ("facets", "{ business_impact: low, legal_exposure: false }"),
            ("expires_at", "2031-06-09T08:00:00Z"),
        ];
        let mut vendors = fs::read_to_string(o.on.path("vendors.csv")).unwrap();
        for n in 20..40 {
            writeln!(vendors, "V-{n},Vendor {n},low,procurement,2032-01-01").unwrap();
        }
        o.on.write("vendors.csv", &vendors);
        o.asks("2031-06-02T08:00:00Z", &low).ends(0);
        o.looks("2031-06-02T08:05:00Z");
        assert_eq!(o.open(), ["V-10", "V-2", "V-3"]);
        let without: String = vendors
            .lines()
            .filter(|l| !l.starts_with("V-1,"))
            .fold(String::new(), |all, l| all + l + "\n");
        o.on.write("vendors.csv", &without);
        for day in ["03", "04", "05", "06"] {
            o.looks(&format!("2031-06-{day}T09:00:00Z"));
        }
        let over = o.stands("EXC-2031-0001", "2031-06-06T09:01:00Z");
        assert_eq!(over["stands"], "revoked", "{over:#}");
        assert!(
            over["record"]["end_reason"]
                .as_str()
                .unwrap()
                .contains("is gone"),
            "{over:#}"
        );
    }
}

/// R112, R113: whoever signs may shorten it and ask for more, and all of that holds; it stands in what later
/// approvers see, in the terms, and in each decision.
#[tokio::test(flavor = "multi_thread")]
async fn approvers_shorten_it_and_add_conditions_and_all_of_it_holds() {
    for store in stores().await {
        let o = Office::new(store);
        o.asks("2031-06-02T08:00:00Z", &[]).ends(0);
        let id = "EXC-2031-0001";
        let signs = |who: &str, at: &str, more: &[&str]| {
            let digest = o.package(who, at, id);
            let words = [&["approve", id, "--package", &digest], more].concat();
            o.does(who, at, &words)
        };
        let past = signs(
            "sam",
            "2031-06-02T08:01:00Z",
            &["--ends", "2031-06-01T00:00:00Z"],
        );
        refused(&past, "end_passed");
        for wrong in [
            "{ mitigation: no-such, responsible: olaf }",
            "{ mitigation: closer-watch, responsible: nobody-here }",
            "{ id: hope, text: Nothing happens, evidence: SELECT name FROM vendors.vendors, subject: name, fails_when: 'false', responsible: olaf }",
        ] {
            let ran = signs("sam", "2031-06-02T08:01:10Z", &["--condition", wrong]);
            refused(&ran, "(condition)");
        }
        let early = o.package("tess", "2031-06-02T08:01:30Z", id);
        let watch = "{ mitigation: closer-watch, responsible: olaf }";
        signs(
            "sam",
            "2031-06-02T08:02:00Z",
            &["--ends", "2031-06-20T00:00:00Z", "--condition", watch],
        )
        .ends(0);
        // Whoever looked before that looked at other terms.
        let stale = o.does(
            "tess",
            "2031-06-02T08:03:00Z",
            &["approve", id, "--package", &early],
        );
        refused(&stale, "stale_terms");
        let page = o
            .does("tess", "2031-06-02T08:04:00Z", &["package", id])
            .ends(0);
        for word in [
            "closer-watch",
            "until 2031-06-20 00:00 UTC at the latest",
            "vendors/vendor/V-1",
            "needs time",
            "The papers are reviewed by the end of June",
            "business_impact = \"high\"",
        ] {
            assert!(page.contains(word), "{word}: {page}");
        }
        let twice = signs("tess", "2031-06-02T08:04:30Z", &["--condition", watch]);
        refused(&twice, "is there already");
        // The end that the first named holds, though the last named none.
        let said = signs("tess", "2031-06-02T08:05:00Z", &[]).ends(0);
        assert!(said.contains("active until 2031-06-20"), "{said}");
        let record = &o.stands(id, "2031-06-02T08:06:00Z")["record"];
        let frozen = &record["frozen"];
        assert_eq!(frozen["terms"]["conditions"][0]["id"], "closer-watch");
        assert_eq!(
            record["decisions"][0]["conditions"][0]["id"],
            "closer-watch"
        );
        assert_eq!(record["decisions"][1]["terms"], frozen["digest"]);
        assert_eq!(record["decisions"][0]["terms"], frozen["wider"][0]);
        // It is looked at like any other: nobody gives their word, so nothing is covered.
        o.check("2031-06-08T08:00:00Z").ends(1);
        assert_eq!(o.open(), ["V-10", "V-2", "V-3"]);
        o.check("2031-06-09T08:06:00Z").ends(1);
        assert_eq!(
            o.stands(id, "2031-06-09T08:07:00Z")["record"]["suspension"],
            "condition_unknown"
        );
        o.on.run(&["audit", "verify"], None).ends(0);
    }
}

/// A request is its requester's; who joins it benefits, and stays joined.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_its_requesters_and_who_joins_it_never_signs_it() {
    for store in stores().await {
        let o = Office::new(store);
        o.asks("2031-06-02T08:00:00Z", &[]).ends(0);
        let id = "EXC-2031-0001";
        let join =
            |who: &str, at: &str| o.does(who, at, &["join", id, "--because", "We need the same."]);
        join("otto", "2031-06-02T08:01:00Z").ends(0);
        // Of the team that joined, nobody signs.
        for who in ["tess", "otto"] {
            refused(
                &o.approves(who, "2031-06-02T08:02:00Z", id),
                "is_beneficiary",
            );
        }
        let seen = o.package("sam", "2031-06-02T08:03:00Z", id);
        o.does(
            "sam",
            "2031-06-02T08:03:00Z",
            &["ask", id, "--package", &seen, "--because", "How late?"],
        )
        .ends(0);
        // Another cannot make it theirs.
        let file = o.on.path("request.yaml").display().to_string();
        let text = fs::read_to_string(&file).unwrap();
        o.on.write(
            "theirs.yaml",
            &text.replace("requester: eve", "requester: otto"),
        );
        let theirs = o.on.path("theirs.yaml").display().to_string();
        refused(
            &o.does(
                "otto",
                "2031-06-02T08:04:00Z",
                &["submit", &theirs, "--again", id],
            ),
            "not_yours",
        );
        o.does(
            "eve",
            "2031-06-02T08:05:00Z",
            &["submit", &file, "--again", id],
        )
        .ends(0);
        let record = o.stands(id, "2031-06-02T08:06:00Z");
        assert_eq!(record["record"]["joiners"][0]["team"], "risk", "{record}");
        // A question is no signature: who asked signs what came back; then their team joins no more.
        o.approves("sam", "2031-06-02T08:07:00Z", id).ends(0);
        refused(&join("pia", "2031-06-02T08:08:00Z"), "has_signed");
    }
}

/// R138, R172: how often something was renewed is counted from what was in force, whatever a request says of it.
#[tokio::test(flavor = "multi_thread")]
async fn renewals_are_counted_whatever_a_request_says() {
    for store in stores().await {
        let o = Office::new(store);
        let low = |at: &str, end: &str| {
            o.asks(
                at,
                &[
                    ("facets", "{ business_impact: low, legal_exposure: false }"),
                    ("expires_at", end),
                ],
            )
        };
        low("2031-06-02T08:00:00Z", "2031-06-04T08:00:00Z").ends(0);
        // The first is over. The next says nothing of it, and is its first renewal all the same.
        let said = low("2031-06-05T08:00:00Z", "2031-06-07T08:00:00Z").ends(0);
        assert!(said.contains("step      owner"), "{said}");
        let renewals = |id: &str| {
            o.stands(id, "2031-06-20T08:00:00Z")["record"]["frozen"]["terms"]["renewals"].clone()
        };
        assert_eq!(renewals("EXC-2031-0002"), 1);
        o.approves("sam", "2031-06-05T08:01:00Z", "EXC-2031-0002")
            .ends(0);
        let said = low("2031-06-08T08:00:00Z", "2031-06-10T08:00:00Z").ends(0);
        assert!(said.contains("renewed-before"), "{said}");
        o.approves("sam", "2031-06-08T08:01:00Z", "EXC-2031-0003")
            .ends(0);
        o.approves("tess", "2031-06-08T08:02:00Z", "EXC-2031-0003")
            .ends(0);
        let said = low("2031-06-11T08:00:00Z", "2031-06-13T08:00:00Z").ends(1);
        assert!(
            said.contains("the policy itself is what should be asked"),
            "{said}"
        );
        // What is long over is another matter.
        low("2031-10-11T08:00:00Z", "2031-10-13T08:00:00Z").ends(0);
    }
}

/// R084, R131: what was put out of force goes on when the whole chain has signed it again, by the rules
/// of today; what a machine decided goes on by a person's word; a control that judges otherwise puts it out of force.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_suspended_takes_the_whole_chain_again() {
    for store in stores().await {
        let o = Office::new(store);
        let suspends = |id: &str, at: &str| {
            o.does(
                "olaf",
                at,
                &["suspend", id, "--because", "Something is odd."],
            )
            .ends(0);
        };
        o.asks("2031-06-02T08:00:00Z", &[]).ends(0);
        let id = "EXC-2031-0001";
        o.approves("sam", "2031-06-02T08:01:00Z", id).ends(0);
        o.approves("tess", "2031-06-02T08:02:00Z", id).ends(0);
        suspends(id, "2031-06-03T08:00:00Z");
        // Nothing changed, so the terms are those of before; what was signed under them counts for nothing now.
        let said = o.approves("tess", "2031-06-03T08:01:00Z", id).ends(0);
        assert!(said.contains("is suspended"), "{said}");
        refused(
            &o.approves("tess", "2031-06-03T08:02:00Z", id),
            "already_signed",
        );
        let said = o.approves("sam", "2031-06-03T08:03:00Z", id).ends(0);
        assert!(said.contains("active until"), "{said}");
        // The rules became stricter: they decide, and not those of before.
        suspends(id, "2031-06-04T08:00:00Z");
        let policy = fs::read_to_string(o.on.path("policies/third-party-ai.yaml")).unwrap();
        let stricter = policy
            .replace(
                "steps: [owner, lead], max_duration: 30d",
                "steps: [owner, lead, board], max_duration: 20d",
            )
            .replace("steps: [owner, lead] }", "steps: [owner, lead, board] }")
            .replace(
                "steps: [owner, lead], urgency",
                "steps: [owner, lead, board], urgency",
            );
        o.on.write("policies/third-party-ai.yaml", &stricter);
        o.approves("sam", "2031-06-04T08:01:00Z", id).ends(0);
        o.approves("pia", "2031-06-04T08:02:00Z", id).ends(0);
        let said = o.approves("tess", "2031-06-04T08:03:00Z", id).ends(0);
        assert!(said.contains("active until 2031-06-22"), "{said}");
        o.on.write("policies/third-party-ai.yaml", &policy);
        // What the policy decided by itself is decided by a person.
        let low = [
            ("facets", "{ business_impact: low, legal_exposure: false }"),
            ("expires_at", "2031-06-09T08:00:00Z"),
            ("scope", "{ subjects: [vendors/vendor/V-2] }"),
        ];
        o.asks("2031-06-05T08:00:00Z", &low).ends(0);
        let small = "EXC-2031-0002";
        suspends(small, "2031-06-05T08:01:00Z");
        refused(
            &o.approves("sam", "2031-06-05T08:02:00Z", small),
            "not_asked",
        );
        let said = o.approves("tess", "2031-06-05T08:03:00Z", small).ends(0);
        assert!(said.contains("active until 2031-06-09"), "{said}");
        // Other words in a control change nothing; another condition does, once it has judged.
        let control = fs::read_to_string(o.on.path("controls/review.yaml")).unwrap();
        let worded = control.replacen("title: ", "title: Still, ", 1);
        assert_ne!(worded, control);
        o.on.write("controls/review.yaml", &worded);
        o.looks("2031-06-05T09:00:00Z");
        o.check("2031-06-05T09:01:00Z");
        assert_eq!(o.stands(small, "2031-06-05T09:02:00Z")["stands"], "active");
        let other = control.replacen("fails_when: ", "fails_when: true AND ", 1);
        assert_ne!(other, control);
        o.on.write("controls/review.yaml", &other);
        o.looks("2031-06-05T10:00:00Z");
        o.check("2031-06-05T10:01:00Z");
        assert_eq!(
            o.stands(small, "2031-06-05T10:02:00Z")["record"]["suspension"],
            "control_changed"
        );
    }
}

/// R035, R054, R135: a request without an end is a question to whoever leads the policy: it waits for them, is told once,
/// and is closed by their answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_an_end_asks_the_policy_and_is_answered() {
    for store in stores().await {
        let o = Office::new(store);
        let said = o
            .asks("2031-06-02T08:00:00Z", &[("expires_at", "")])
            .ends(1);
        assert!(said.contains("a question to the policy"), "{said}");
        let id = "EXC-2031-0001";
        let waits = |who: &str, at: &str| o.does(who, at, &["queue"]).ends(0);
        let asked = "answer what that asks of the policy";
        assert!(waits("lee", "2031-06-02T08:01:00Z").contains(asked));
        assert!(!waits("sam", "2031-06-02T08:01:00Z").contains(asked));
        // Handed in again without an end, it is the same question.
        let file = o.on.path("request.yaml").display().to_string();
        o.does(
            "eve",
            "2031-06-02T08:02:00Z",
            &["submit", &file, "--again", id],
        )
        .ends(1);
        let history = o.stands(id, "2031-06-02T08:03:00Z")["history"].clone();
        let asks = history.as_array().unwrap().iter();
        assert_eq!(asks.filter(|e| e["act"] == "question").count(), 1);
        // Nobody decides it within its time, so it lapses; the question stands.
        assert_eq!(o.stands(id, "2031-06-17T08:00:00Z")["stands"], "lapsed");
        o.check("2031-06-17T08:01:00Z").ends(1);
        assert!(waits("lee", "2031-06-17T08:02:00Z").contains(asked));
        let answer = |who: &str, at: &str| {
            o.does(
                who,
                at,
                &[
                    "answer",
                    id,
                    "--because",
                    "The clause is read again in July.",
                ],
            )
        };
        refused(&answer("eve", "2031-06-17T08:03:00Z"), "not_yours");
        answer("lee", "2031-06-17T08:04:00Z").ends(0);
        refused(&answer("lee", "2031-06-17T08:05:00Z"), "no_question");
        assert!(!waits("lee", "2031-06-17T08:06:00Z").contains(asked));
        let shown = o.on.run(&["exception", "show", id], None).ends(0);
        assert!(shown.contains("read again in July"), "{shown}");
        // What was never complete is closed by whoever leads the policy, and by nobody else.
        let close = |who: &str, at: &str| {
            let words = [
                "close",
                id,
                "--outcome",
                "never_active",
                "--because",
                "Answered.",
            ];
            o.does(who, at, &words)
        };
        refused(&close("eve", "2031-06-17T08:07:00Z"), "not_yours");
        close("lee", "2031-06-17T08:08:00Z").ends(0);
    }
}

/// A chain that nobody there can complete is told to whoever leads the policy when it begins; what lists
/// refuses names that nothing bears.
#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_nobody_can_complete_is_told_at_once() {
    for store in stores().await {
        let o = Office::new(store);
        o.asks("2031-06-02T08:00:00Z", &[("beneficiary_team", "security")])
            .ends(0);
        let id = "EXC-2031-0001";
        let history = o.stands(id, "2031-06-02T08:01:00Z")["history"].to_string();
        assert!(
            history.contains("same_people") && history.contains("whoever leads the policy"),
            "{history}"
        );
        let waits = o.does("lee", "2031-06-02T08:01:00Z", &["queue"]).ends(0);
        assert!(waits.contains("nobody can take step `lead`"), "{waits}");
        for (flag, name) in [
            ("--touching", "regulatd"),
            ("--policy", "nope"),
            ("--team", "nope"),
        ] {
            let ran = o.on.run(&["exception", "list", flag, name], None);
            assert_eq!(ran.code(), Some(2), "{flag} {name}: {}", ran.out());
        }
        // A control that does not speak of a subject says nothing of it.
        o.on.write(
            "controls/named.yaml",
            &NAMED
                .replace("agents#naming", "third-party-ai#ownership")
                .replace(
                    "FROM vendors.vendors",
                    "FROM vendors.vendors WHERE id = 'V-2'",
                )
                .replace("agents/agent/{id}", "vendors/vendor/{id}"),
        );
        let decides = |facet: &str| {
            let words = [
                "decide",
                "--policy",
                "third-party-ai",
                "--subject",
                "vendors/vendor/V-1",
                "--facet",
                facet,
                "--as-of",
                "2031-06-02T08:02:00Z",
            ];
            o.on.run(&words, None)
        };
        let said = decides("business_impact=high").ends(1);
        assert!(said.contains("an exception is required"), "{said}");
        assert_eq!(decides("business_impact=sekret").code(), Some(2));
        assert_eq!(decides("nope=1").code(), Some(2));
    }
}
