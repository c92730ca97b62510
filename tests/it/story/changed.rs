//! What was judged, and who was told, when files change and people speak up under a running installation.

use std::fs;

use serde_json::Value;
use tripline::{
    model::remark::Mute,
    store::{Store, mutes},
};

use super::{
    company::{CONTROL, Company, Receiver, TO_SOC, stores, webhook},
    register::Office,
};
use crate::systems::mails_to;

/// A vendor's review lapsed, and the security team was told.
async fn open_finding(store: &str) -> Option<(Company, Receiver)> {
    let soc = Receiver::open().await;
    let company = Company::new(store, &webhook(&soc), TO_SOC)?;
    company.begins();
    company.lapsed(&[0]);
    company.check("2031-06-02T08:00:00Z").ends(1);
    company.check("2031-06-02T08:01:01Z").ends(1);
    assert_eq!(soc.posts().len(), 1);
    Some((company, soc))
}

/// Every run, judged again.
fn replay_all(company: &Company) {
    let runs = company.on.list(&["runs"]);
    assert!(runs.len() >= 3, "{runs:?}");
    for run in runs {
        let id = run["id"].as_str().unwrap_or_else(|| panic!("{run}"));
        let said = company.on.run(&["replay", id], None).ends(0);
        assert!(said.contains("the same outcomes"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_can_be_replayed_when_its_control_was_changed_or_removed() {
    for (store, _kept) in stores().await {
        let Some((company, _soc)) = open_finding(&store).await else {
            return;
        };
        let other = CONTROL.replace(
            "review_due < CAST(now() AS DATE)",
            "review_due < CAST(now() AS DATE) + INTERVAL '900 days'",
        );
        let other = other.replace(
            "id: v2, name: A, review_due: 2026-11-21",
            "id: v2, name: A, review_due: 2036-11-21",
        );
        company.on.write("controls/review.yaml", &other);
        company.check("2031-06-02T09:00:00Z").ends(1);
        let counts: Vec<u64> = company
            .on
            .list(&["runs"])
            .iter()
            .map(|r| r["fail"].as_u64().unwrap())
            .collect();
        assert_eq!(counts, [4, 1, 1, 0], "the changed control judges otherwise");
        replay_all(&company);
        fs::remove_file(company.on.path("controls/review.yaml")).unwrap();
        replay_all(&company);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_told_of_a_finding_hears_when_its_control_is_removed() {
    for (store, _kept) in stores().await {
        let Some((company, soc)) = open_finding(&store).await else {
            return;
        };
        fs::remove_file(company.on.path("controls/review.yaml")).unwrap();
        let pass = |at: &str| company.on.check(at).ends(0);
        let doubted = company.on.check("2031-06-02T09:59:00Z");
        doubted.ends(2);
        assert!(
            doubted
                .err()
                .contains("1 of 1 open findings would be let go"),
            "{}",
            doubted.err()
        );
        assert!(doubted.err().contains("--let-go"), "{}", doubted.err());
        assert_eq!(company.on.list(&["findings"]).len(), 1);
        let meant = ["check", "--let-go", "--as-of", "2031-06-02T10:00:00Z"];
        company.on.run(&meant, None).ends(0);
        pass("2031-06-02T10:01:01Z");
        pass("2031-06-02T10:10:00Z");
        let posts = soc.posts();
        assert_eq!(posts.len(), 2);
        let said: Value = posts[1].json();
        assert_eq!(said["data"]["word"], "retired");
        let text = said.to_string();
        assert!(text.contains("V-0 is no longer watched"), "{text}");
        assert!(
            text.contains("Its control was removed. It was not mended."),
            "{text}"
        );
        company.verified();
    }
}

/// Three vendors lapse in all; the control `other` says so of one, `review` of the other two.
fn two_controls(company: &Company) {
    let of = |id: &str, filter: &str| {
        let named = CONTROL.replace("id: review\n", &format!("id: {id}\n"));
        named.replace(
            "FROM vendors.vendors",
            &format!("FROM vendors.vendors WHERE {filter}"),
        )
    };
    company
        .on
        .write("controls/review.yaml", &of("review", "id <> 'V-0'"));
    company
        .on
        .write("controls/other.yaml", &of("other", "id = 'V-0'"));
}

/// R172: a control whose file is away mends nothing and wins no time.
#[tokio::test(flavor = "multi_thread")]
async fn a_control_that_is_gone_for_a_moment_closes_nothing() {
    for (store, _kept) in stores().await {
        let soc = Receiver::open().await;
        let Some(company) = Company::new(&store, &webhook(&soc), TO_SOC) else {
            return;
        };
        two_controls(&company);
        let both = |minute: &str, code: i32| {
            for id in ["review", "other"] {
                let at = format!("2031-06-02T{minute}Z");
                company
                    .on
                    .run(&["check", "--control", id, "--as-of", &at], None)
                    .ends(code);
            }
        };
        company.lapsed(&[]);
        both("07:00:00", 0);
        company.lapsed(&[0, 1, 2]);
        both("08:00:00", 1);
        both("08:01:01", 1);
        let seen = || {
            let rows = company.on.list(&["findings"]).into_iter();
            let rows = rows.map(|f| {
                let text = |key: &str| f[key].as_str().unwrap_or_default().to_owned();
                (
                    text("subject"),
                    text("state"),
                    text("opened_at"),
                    f["episode"].clone(),
                )
            });
            rows.collect::<Vec<_>>()
        };
        let (before, told) = (seen(), soc.posts().len());
        assert_eq!(before.len(), 3);
        let file = company.on.path("controls/other.yaml");
        let text = fs::read_to_string(&file).unwrap();
        fs::remove_file(&file).unwrap();
        // A daemon or a check meanwhile, twice: the hour counts from the first.
        company.check("2031-06-02T08:10:00Z").ends(1);
        company.check("2031-06-02T09:09:00Z").ends(1);
        assert_eq!(seen(), before);
        fs::write(&file, &text).unwrap();
        both("09:20:00", 1);
        both("09:30:00", 1);
        assert_eq!(
            seen(),
            before,
            "the same episode, open since the same moment"
        );
        assert_eq!(soc.posts().len(), told, "nobody hears of it");

        // Away for longer than an hour, from the first check that misses it.
        fs::remove_file(&file).unwrap();
        company.check("2031-06-02T10:00:00Z").ends(1);
        company.check("2031-06-02T10:59:00Z").ends(1);
        assert_eq!(seen(), before);
        company.check("2031-06-02T11:00:00Z").ends(1);
        assert_eq!(seen().len(), 2);
        company.check("2031-06-02T11:01:01Z").ends(1);
        assert_eq!(
            soc.posts().len(),
            told + 1,
            "who heard of it hears that nobody looks any more"
        );
        // A way round the deadline it is not.
        fs::write(&file, &text).unwrap();
        both("12:00:00", 1);
        both("12:01:01", 1);
        assert_eq!(seen(), before);
        let last = soc.posts().last().unwrap().json();
        assert_eq!(last["data"]["word"], "reopened");
        company.verified();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_would_happen_and_does_none_of_it() {
    for (store, _kept) in stores().await {
        let Some((company, soc)) = open_finding(&store).await else {
            return;
        };
        company.lapsed(&[1]);
        let at = "2031-06-02T09:00:00Z";
        let dry = |more: &[&str]| {
            let asked = [&["check", "--as-of", at], more].concat();
            company.on.run(&asked, None)
        };
        let said = dry(&["--dry-run"]).ends(1);
        for wanted in [
            "vendors/vendor/V-0 would go from open to resolved (cleared)",
            "vendors/vendor/V-1 would go from - to open (confirmed)",
            "nobody was told",
        ] {
            assert!(said.contains(wanted), "{wanted}: {said}");
        }
        let of = |subject: &str| dry(&["--subject", subject]);
        assert!(of("vendors/vendor/V-1").ends(1).contains("fail"));
        assert!(of("vendors/vendor/V-3").ends(0).contains("pass"));
        assert!(
            of("vendors/vendor/V-9")
                .ends(0)
                .contains("not_in_inventory")
        );
        of("aws/secret/a").ends(2);
        let findings = company.on.list(&["findings"]);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0]["subject"], "vendors/vendor/V-0");
        assert_eq!(company.on.list(&["runs"]).len(), 3);
        assert_eq!(soc.posts().len(), 1);
        company.verified();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_is_said_to_be_wrong_goes_to_who_answers_for_the_control_and_silences_nothing()
 {
    for (store, _kept) in stores().await {
        let Some((company, soc)) = open_finding(&store).await else {
            return;
        };
        let id = company.on.list(&["findings"])[0]["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let wrong = |by: &str, why: &str| {
            let asked = ["findings", "wrong", &id, "--by", by, "--because", why];
            company.on.run(&asked, None)
        };
        assert!(wrong("mallory", "no").err().contains("no person"));
        wrong("ada", " ").ends(2);
        wrong("ada", "The vendor was reviewed on paper").ends(0);
        company.check("2031-06-02T09:00:00Z").ends(1);
        company.check("2031-06-02T09:02:00Z").ends(1);
        let told = mails_to(&company.procurement).unwrap();
        assert_eq!(told.len(), 1);
        for wanted in [
            "The vendor was reviewed on paper",
            "vendors/vendor/V-0",
            id.as_str(),
        ] {
            assert!(told[0].text.contains(wanted), "{wanted}: {}", told[0].text);
        }
        assert_eq!(company.on.list(&["findings"]).len(), 1);
        assert_eq!(soc.posts().len(), 1);
        company.verified();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mute_keeps_silent_until_it_ends_and_not_longer_than_it_may() {
    for (store, _kept) in stores().await {
        let soc = Receiver::open().await;
        let Some(company) = Company::new(&store, &webhook(&soc), TO_SOC) else {
            return;
        };
        company.begins();
        let mute = |more: &[&str]| {
            let by = ["--by", "ada", "--because", "The registry is being moved"];
            company.on.run(&[&["mute"], more, &by].concat(), None)
        };
        mute(&["begin", "--for", "4h"]).ends(2);
        mute(&["begin", "--control", "review", "--for", "90d"]).ends(2);
        mute(&["begin", "--control", "reviews", "--for", "4h"]).ends(2);
        mute(&[
            "begin",
            "--control",
            "review",
            "--subject",
            "vendors/vendor/V-0",
            "--for",
            "4h",
        ])
        .ends(0);
        let listed = company.on.list(&["mute"]);
        let id = listed[0]["id"].as_str().unwrap();
        // That one holds now, by the clock on the wall. In the year of the story there is another.
        let store = Store::open(&company.address()).await.unwrap();
        let mut tx = store.begin().await.unwrap();
        let mute_of_then = Mute {
            id: "mut-then".to_owned(),
            control: None,
            subject: Some("vendors/vendor/V-0".into()),
            until: "2031-06-02T12:00:00Z".parse().unwrap(),
            reason: "The registry is being moved".to_owned(),
            by: "ada".into(),
            at: "2031-06-02T07:30:00Z".parse().unwrap(),
        };
        mutes::insert(&mut tx, &mute_of_then).await.unwrap();
        tx.commit().await.unwrap();
        store.close().await;
        company.lapsed(&[0, 1]);
        company.check("2031-06-02T08:00:00Z").ends(1);
        company.check("2031-06-02T08:01:01Z").ends(1);
        let subjects = |n: usize| soc.posts()[n].json()["data"]["findings"].to_string();
        assert!(
            subjects(0).contains("V-1") && !subjects(0).contains("V-0"),
            "{}",
            subjects(0)
        );
        company.check("2031-06-02T11:59:00Z").ends(1);
        assert_eq!(soc.posts().len(), 1);
        company.check("2031-06-02T12:00:01Z").ends(1);
        assert_eq!(
            soc.posts().len(),
            2,
            "what stands open when a mute ends is told"
        );
        assert!(
            subjects(1).contains("V-0") && !subjects(1).contains("V-1"),
            "{}",
            subjects(1)
        );
        assert!(mute(&["end", id]).ends(0).contains("is over"));
        mute(&["end", id]).ends(2);
        assert_eq!(company.on.list(&["mute"]).len(), 0);
        company.verified();
    }
}

/// R021: what a control that is away says of a subject is nothing: no exception of it ends, and when it is back they cover
/// what they covered.
#[tokio::test(flavor = "multi_thread")]
async fn an_exception_outlives_a_control_that_is_away() {
    for store in stores().await {
        let o = Office::new(store);
        let low = [
            ("facets", "{ business_impact: low, legal_exposure: false }"),
            ("expires_at", "2031-06-09T08:00:00Z"),
        ];
        o.asks("2031-06-02T08:00:00Z", &low).ends(0);
        o.looks("2031-06-02T08:05:00Z");
        let open = o.open();
        assert_eq!(open, ["V-10", "V-2", "V-3"]);
        let file = o.on.path("controls/review.yaml");
        let text = fs::read_to_string(&file).unwrap();
        fs::remove_file(&file).unwrap();
        o.check("2031-06-02T08:10:00Z").ends(2);
        let meant = ["check", "--let-go", "--as-of", "2031-06-02T08:20:00Z"];
        o.on.run(&meant, None).ends(0);
        let stands = o.stands("EXC-2031-0001", "2031-06-02T08:21:00Z");
        assert_eq!(stands["stands"], "active", "{stands:#}");
        fs::write(&file, &text).unwrap();
        o.looks("2031-06-02T09:00:00Z");
        assert_eq!(o.open(), open);
    }
}
