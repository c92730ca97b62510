//! Evidence in a bucket of an S3-compatible store, as replicas on several machines share it.

use std::{fs, process::Command};

use super::company::{Company, stores};
use crate::systems::{Moto, unique};

/// A bucket of its own in moto.
async fn bucket() -> Option<(String, String)> {
    let moto = Moto::open("us-east-1")?;
    let name = unique("evidence");
    moto.bucket(&name).await;
    Some((moto.url, name))
}

fn in_bucket(company: &Company, url: &str, bucket: &str) {
    let key = company.on.secret("s3", "any");
    let path = company.on.path("tripline.yaml");
    let text = fs::read_to_string(&path).unwrap();
    let place = format!(
        "evidence: {{ at: \"s3://{bucket}/tripline\", endpoint: \"{url}\", region: us-east-1, access_key: {{ file: \"{key}\" }}, secret_key: {{ file: \"{key}\" }} }}",
        key = key.display()
    );
    assert!(text.contains("evidence: data/evidence"));
    fs::write(path, text.replace("evidence: data/evidence", &place)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_in_a_bucket_is_collected_judged_queried_and_replayed() {
    for (store, _kept) in stores().await {
        let (Some((url, bucket)), Some(company)) = (
            bucket().await,
            Company::new(&store, "", "  - { to: [owner] }"),
        ) else {
            return;
        };
        in_bucket(&company, &url, &bucket);
        company.begins();
        company.lapsed(&[2]);
        company.check("2031-06-02T08:00:00Z").ends(1);
        assert!(!company.on.path("data/evidence").exists());

        let asked =
            "SELECT count(*) AS n FROM vendors.vendors WHERE review_due < DATE '2031-06-01'";
        let of = |at: &str| {
            let rows = company.on.list(&["query", asked, "--as-of", at]);
            rows[0]["n"].as_u64().unwrap()
        };
        assert_eq!(of("2031-06-02T08:00:30Z"), 1);
        assert_eq!(of("2031-06-02T07:30:00Z"), 0);
        for run in company.on.list(&["runs"]) {
            let id = run["id"].as_str().unwrap();
            let said = company.on.run(&["replay", id], None).ends(0);
            assert!(said.contains("the same outcomes"), "{said}");
        }
        company.verified();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_not_there_is_an_error_that_names_it_and_loses_nothing() {
    let (Some((url, _)), Some(company)) = (
        bucket().await,
        Company::new("sqlite:data/tripline.db", "", "  - { to: [owner] }"),
    ) else {
        return;
    };
    in_bucket(&company, &url, "no-such-bucket");
    company.lapsed(&[1]);
    let ran = company.check("2031-06-02T07:00:00Z");
    assert_eq!(ran.code(), Some(4), "{}{}", ran.out(), ran.err());
    let said = ran.out() + &ran.err();
    assert!(said.contains("no-such-bucket"), "{said}");
    assert_eq!(company.on.list(&["findings", "--all"]).len(), 0);
    company.verified();
}

/// What a bucket holds is what the folder would hold: the same objects under the same names.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_rows_have_the_same_name_in_a_bucket_and_in_a_folder() {
    let (Some((url, bucket)), Some(bucketed), Some(foldered)) = (
        bucket().await,
        Company::new("sqlite:data/tripline.db", "", "  - { to: [owner] }"),
        Company::new("sqlite:data/tripline.db", "", "  - { to: [owner] }"),
    ) else {
        return;
    };
    in_bucket(&bucketed, &url, &bucket);
    let objects = |company: &Company| {
        company.begins();
        let runs = company.on.list(&["runs"]);
        runs[0]["evidence"][0]["object"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let there = objects(&bucketed);
    assert_eq!(there, objects(&foldered));
    let listed = Command::new("curl")
        .args(["--silent", &format!("{url}/{bucket}?list-type=2")])
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(
        listed.contains("tripline/") && listed.contains(&there[2..]),
        "{listed}"
    );
}
