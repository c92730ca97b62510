//! Every mail as it is read: text, HTML, headers.

use chrono::TimeDelta;
use mail_parser::{HeaderValue, MessageParser};

use super::sample::{
    ROUTES, bare_site, change, control, desk, finding, many, now, opened, planned, planned_by,
    resolved, site,
};
use crate::{
    model::{
        finding::{Change, Effect, Origin},
        id::NoticeId,
        notice::{Item, Kind, Mode, Word},
        people::Principal,
        policy::Severity,
    },
    notify::{
        alert,
        bundle::{Bundle, Entry, Site},
        digest::{Ending, Material, Occasion, Open, Unchecked},
        email::{Letter, Mailer, Recipient, is_mailbox},
        options::AllQuiet,
        period::{self, Period},
        plan::Earlier,
        templates::Templates,
    },
};

/// What the sample team is told of some changes.
fn bundle(changes: &[Change], earlier: &Earlier) -> Bundle {
    let mut items = planned_by(&desk(ROUTES), changes, earlier).items;
    items.retain(|i| {
        i.recipient
            .as_ref()
            .is_some_and(|r| r.to_string() == "team:platform-security")
    });
    Bundle::of(items, now() + TimeDelta::minutes(1)).unwrap()
}

fn letter(changes: &[Change], site: &Site) -> Letter {
    alert::letter(&bundle(changes, &Earlier::new()), site, &Templates::ours()).unwrap()
}

fn over(name: &str) -> Letter {
    let over = resolved(name);
    let knowing = planned(&[opened(name)])
        .items
        .iter()
        .map(|i| (i.channel.clone(), i.recipient.clone()))
        .collect();
    let earlier = Earlier::from([((over.finding.key, 1), knowing)]);
    alert::letter(&bundle(&[over], &earlier), &site(), &Templates::ours()).unwrap()
}

fn mailer() -> Mailer {
    let text = "host: localhost\ntls: none\nfrom: Tripline <tripline@example.test>\n";
    let (options, _) = crate::yaml::decode::read(std::path::Path::new("mail.yaml"), text).unwrap();
    Mailer::new(&options).unwrap()
}

fn wire(letter: &Letter, to: &str) -> Vec<u8> {
    let to = Recipient {
        name: Some("Ada".to_owned()),
        address: to.to_owned(),
    };
    mailer()
        .compose(&NoticeId::from("ntc-0123"), letter, &to, now())
        .unwrap()
        .formatted()
}

fn headers(wire: &[u8]) -> String {
    let text = String::from_utf8_lossy(wire);
    text.split("\r\n\r\n").next().unwrap().replace("\r\n", "\n")
}

/// Writes letters where a person wants to look at them.
fn show(name: &str, letter: &Letter) {
    #[expect(
        clippy::disallowed_methods,
        reason = "a person asks for the files of this run"
    )]
    if let Ok(folder) = std::env::var("TRIPLINE_SHOW_MAILS") {
        std::fs::write(
            std::path::Path::new(&folder).join(format!("{name}.html")),
            &letter.html,
        )
        .unwrap();
    }
}

#[test]
fn an_alert_says_what_why_where_evidence_ruled_out_and_what_to_do() {
    let letter = letter(&[opened("svc-07")], &bare_site());
    show("alert", &letter);
    assert_eq!(
        letter.subject,
        "[HIGH] svc-07 fails: Secrets used by production models are rotated within 90 days (secret-rotation-overdue, aws)"
    );
    insta::assert_snapshot!(letter.text, @r#"
    NEW HIGH: svc-07 was last rotated 214 days ago; credit-scorer v3 depends on it

    WHY IT MATTERS
    Credentials of non-human identities, nhi-credentials#rotation, version 3 in force since 1 Oct 2026
    "A secret that a production model uses is rotated at least every 90 days."
    A leaked secret is worth something for as long as it works.

    Subject:       aws/secret/svc-07
    Environment:   production
    Owner:         ml-platform
    Control:       secret-rotation-overdue: Secrets used by production models are rotated within 90 days
    Severity:      high
    Open since:    20 Nov 2026 08:05 UTC (just now)
    First seen:    20 Nov 2026 08:00 UTC (5 minutes ago)
    Confirmed:     20 Nov 2026 08:05 UTC
    Due:           27 Nov 2026 08:05 UTC (in 7 days)
    Finding:       fnd-067f01dbba3d

    EVIDENCE
    last_rotated_at < now() - $rotate_within, with rotate_within = 90d
    name = svc-07 · last_rotated_at = 2026-04-20T00:00:00Z · team = ml-platform · model = credit-scorer · version = 3
    aws.secrets: 1,204 rows, collected 20 Nov 2026 08:03 UTC, snap-1204
      sha256 4410f117de115470bad9546317ed979f1a6724c2b151f52735b4979f1d11d184
    mlflow.model_versions: 86 rows, collected 20 Nov 2026 08:03 UTC, snap-86
      sha256 2de571229c6c1faf1c3220860189e5346f41594b276b2c38c3ca7185394ea3de

    RULED OUT
    A passing fault: it failed 2 times in a row, each time on evidence that was read anew.
    Missing or old evidence: every dataset was complete and younger than 1h.
    An accepted deviation: no active exception covers it.

    WHAT TO DO
    Rotate the secret in its store.
    Then redeploy the model.
    See the evidence and why nothing covers it: tripline explain fnd-067f01dbba3d
    Say that the result is wrong: tripline findings wrong fnd-067f01dbba3d --by YOU --because WHY
    Ask for an exception: tripline exception submit REQUEST.yaml

    --
    Why you get this: route 1: kind = 'finding' AND severity IN ('high', 'critical').
    Notice ntc-460aed3fd92a2b088f4278f3, run run-0001. Example Bank, Tripline.
    "#);
    insta::assert_snapshot!("alert.html", letter.html);
}

#[test]
fn with_pages_an_alert_links_to_them() {
    let letter = letter(&[opened("svc-07")], &site());
    assert!(
        letter
            .text
            .contains("https://tripline.example.test/findings/fnd-")
    );
    assert!(!letter.text.contains("tripline explain"));
}

#[test]
fn many_at_once_are_listed_and_the_rest_is_counted() {
    let letter = letter(&many(241, Origin::Mass), &bare_site());
    show("mass", &letter);
    assert_eq!(
        letter.subject,
        "[HIGH] 241 fail: Secrets used by production models are rotated within 90 days (secret-rotation-overdue, aws)"
    );
    insta::assert_snapshot!(letter.text, @r#"
    NEW HIGH: 241 new findings in secret-rotation-overdue at once; probably the control or its source changed

    WHY IT MATTERS
    Credentials of non-human identities, nhi-credentials#rotation, version 3 in force since 1 Oct 2026
    "A secret that a production model uses is rotated at least every 90 days."
    A leaked secret is worth something for as long as it works.

    - NEW HIGH: svc-0000 was last rotated 214 days ago; credit-scorer v3 depends on it
      aws/secret/svc-0000 · ml-platform · since 20 Nov 2026 08:05 UTC · tripline explain fnd-43bdf7d54dfc
    - NEW HIGH: svc-0001 was last rotated 214 days ago; credit-scorer v3 depends on it
      aws/secret/svc-0001 · ml-platform · since 20 Nov 2026 08:05 UTC · tripline explain fnd-35e3422a30ff
    - NEW HIGH: svc-0002 was last rotated 214 days ago; credit-scorer v3 depends on it
      aws/secret/svc-0002 · ml-platform · since 20 Nov 2026 08:05 UTC · tripline explain fnd-c1b537c51ee1
    - NEW HIGH: svc-0003 was last rotated 214 days ago; credit-scorer v3 depends on it
      aws/secret/svc-0003 · ml-platform · since 20 Nov 2026 08:05 UTC · tripline explain fnd-826e40b6ffbd
    - NEW HIGH: svc-0004 was last rotated 214 days ago; credit-scorer v3 depends on it
      aws/secret/svc-0004 · ml-platform · since 20 Nov 2026 08:05 UTC · tripline explain fnd-dad222bb90b2
    - NEW HIGH: svc-0005 was last rotated 214 days ago; credit-scorer v3 depends on it
      aws/secret/svc-0005 · ml-platform · since 20 Nov 2026 08:05 UTC · tripline explain fnd-f636bf894904
    - NEW HIGH: svc-0006 was last rotated 214 days ago; credit-scorer v3 depends on it
      aws/secret/svc-0006 · ml-platform · since 20 Nov 2026 08:05 UTC · tripline explain fnd-01a3377d3109
    - NEW HIGH: svc-0007 was last rotated 214 days ago; credit-scorer v3 depends on it
      aws/secret/svc-0007 · ml-platform · since 20 Nov 2026 08:05 UTC · tripline explain fnd-f23d3be886d5
    - NEW HIGH: svc-0008 was last rotated 214 days ago; credit-scorer v3 depends on it
      aws/secret/svc-0008 · ml-platform · since 20 Nov 2026 08:05 UTC · tripline explain fnd-e0162f26b41a
    - NEW HIGH: svc-0009 was last rotated 214 days ago; credit-scorer v3 depends on it
      aws/secret/svc-0009 · ml-platform · since 20 Nov 2026 08:05 UTC · tripline explain fnd-58b22269ebec
    - NEW HIGH: svc-0010 was last rotated 214 days ago; credit-scorer v3 depends on it
      aws/secret/svc-0010 · ml-platform · since 20 Nov 2026 08:05 UTC · tripline explain fnd-cf61c12ddf4c
    - NEW HIGH: svc-0011 was last rotated 214 days ago; credit-scorer v3 depends on it
      aws/secret/svc-0011 · ml-platform · since 20 Nov 2026 08:05 UTC · tripline explain fnd-ed57f361260f
    - NEW HIGH: svc-0012 was last rotated 214 days ago; credit-scorer v3 depends on it
      aws/secret/svc-0012 · ml-platform · since 20 Nov 2026 08:05 UTC · tripline explain fnd-290461215f65
    - NEW HIGH: svc-0013 was last rotated 214 days ago; credit-scorer v3 depends on it
      aws/secret/svc-0013 · ml-platform · since 20 Nov 2026 08:05 UTC · tripline explain fnd-1c5de2116cc0
    - NEW HIGH: svc-0014 was last rotated 214 days ago; credit-scorer v3 depends on it
      aws/secret/svc-0014 · ml-platform · since 20 Nov 2026 08:05 UTC · tripline explain fnd-9e4456488d9f
    - NEW HIGH: svc-0015 was last rotated 214 days ago; credit-scorer v3 depends on it
      aws/secret/svc-0015 · ml-platform · since 20 Nov 2026 08:05 UTC · tripline explain fnd-8fa90c7c7b09
    - NEW HIGH: svc-0016 was last rotated 214 days ago; credit-scorer v3 depends on it
      aws/secret/svc-0016 · ml-platform · since 20 Nov 2026 08:05 UTC · tripline explain fnd-92db27088203
    - NEW HIGH: svc-0017 was last rotated 214 days ago; credit-scorer v3 depends on it
      aws/secret/svc-0017 · ml-platform · since 20 Nov 2026 08:05 UTC · tripline explain fnd-fc6d773e645a
    - NEW HIGH: svc-0018 was last rotated 214 days ago; credit-scorer v3 depends on it
      aws/secret/svc-0018 · ml-platform · since 20 Nov 2026 08:05 UTC · tripline explain fnd-8e54e2a55da7
    - NEW HIGH: svc-0019 was last rotated 214 days ago; credit-scorer v3 depends on it
      aws/secret/svc-0019 · ml-platform · since 20 Nov 2026 08:05 UTC · tripline explain fnd-5678d11fbcc6
    and 221 more

    Control:       secret-rotation-overdue: Secrets used by production models are rotated within 90 days
    Findings:      241
    Severity:      high
    Owner:         ml-platform
    Confirmed:     20 Nov 2026 08:05 UTC

    EVIDENCE
    last_rotated_at < now() - $rotate_within, with rotate_within = 90d
    aws.secrets: 1,204 rows, collected 20 Nov 2026 08:03 UTC, snap-1204
      sha256 4410f117de115470bad9546317ed979f1a6724c2b151f52735b4979f1d11d184
    mlflow.model_versions: 86 rows, collected 20 Nov 2026 08:03 UTC, snap-86
      sha256 2de571229c6c1faf1c3220860189e5346f41594b276b2c38c3ca7185394ea3de

    RULED OUT
    A passing fault: it failed 2 times in a row, each time on evidence that was read anew.
    Missing or old evidence: every dataset was complete and younger than 1h.
    An accepted deviation: no active exception covers it.

    WHAT TO DO
    Rotate the secret in its store.
    Then redeploy the model.
    See all of them: tripline findings --control secret-rotation-overdue

    --
    Why you get this: route 1: kind = 'finding' AND severity IN ('high', 'critical').
    Notice ntc-9d2304c6092a0fac101d3f12, run run-0001. Example Bank, Tripline.
    "#);
    assert!(letter.html.len() < 100_000);
    let letter = self::letter(&many(37, Origin::Baseline), &bare_site());
    insta::assert_snapshot!(letter.text.lines().next().unwrap(), @"NEW HIGH: 37 subjects already fail secret-rotation-overdue as it runs for the first time: Secrets used by production models are rotated within 90 days");
}

#[test]
fn the_end_comes_in_the_same_thread_with_its_reason() {
    let (began, ended) = (letter(&[opened("svc-07")], &site()), over("svc-07"));
    show("resolved", &ended);
    assert_eq!(ended.subject, format!("Re: {}", began.subject));
    assert_eq!(ended.thread, began.thread);
    insta::assert_snapshot!(ended.text, @r#"
    RESOLVED: svc-07 passes again: Secrets used by production models are rotated within 90 days
    It passed 3 times in a row on complete evidence, last in evidence of 20 Nov 2026 08:03 UTC.

    WHY IT MATTERS
    Credentials of non-human identities, nhi-credentials#rotation, version 3 in force since 1 Oct 2026
    "A secret that a production model uses is rotated at least every 90 days."
    A leaked secret is worth something for as long as it works.

    Subject:       aws/secret/svc-07
    Environment:   production
    Owner:         ml-platform
    Control:       secret-rotation-overdue: Secrets used by production models are rotated within 90 days
    Severity:      high
    Was open:      2 d, from 18 Nov 2026 08:05 UTC
    First seen:    20 Nov 2026 08:00 UTC (5 minutes ago)
    Confirmed:     20 Nov 2026 08:05 UTC
    Finding:       fnd-067f01dbba3d

    EVIDENCE
    It failed last with these values:
    name = svc-07 · last_rotated_at = 2026-04-20T00:00:00Z · team = ml-platform · model = credit-scorer · version = 3
    aws.secrets: 1,204 rows, collected 20 Nov 2026 08:03 UTC, snap-1204
      sha256 4410f117de115470bad9546317ed979f1a6724c2b151f52735b4979f1d11d184
    mlflow.model_versions: 86 rows, collected 20 Nov 2026 08:03 UTC, snap-86
      sha256 2de571229c6c1faf1c3220860189e5346f41594b276b2c38c3ca7185394ea3de

    WHAT TO DO
    See its evidence and history: https://tripline.example.test/findings/fnd-067f01dbba3d

    --
    Why you get this: route 1: kind = 'finding' AND severity IN ('high', 'critical').
    Notice ntc-3d98a9e9f0672706322edddd, run run-0001. Example Bank, Tripline.
    "#);
    assert!(ended.text.starts_with("RESOLVED: svc-07 passes again"));
}

#[test]
fn lost_cover_and_retirement_say_so() {
    let mut uncovered = opened("svc-07");
    uncovered.effect = Some(Effect::Uncovered);
    let text = letter(&[uncovered], &site()).text;
    assert!(
        text.starts_with("NO LONGER COVERED HIGH: svc-07 was last rotated 214 days ago"),
        "{text}"
    );
    assert!(text.contains("The exception that covered it no longer holds."));
}

#[test]
fn the_headers_are_those_of_a_machine_that_lets_people_sort_and_thread() {
    insta::assert_snapshot!(headers(&wire(
        &letter(&[opened("svc-07")], &site()),
        "ada@example.test"
    )), @r#"
    From: Tripline <tripline@example.test>
    To: Ada <ada@example.test>
    Subject: [HIGH] svc-07 fails: Secrets used by production models are rotated
     within 90 days (secret-rotation-overdue, aws)
    Date: Fri, 20 Nov 2026 08:05:00 +0000
    Message-ID: <ntc-0123@example.test>
    In-Reply-To: <finding.55bdc69cddd0c02d@example.test>
    References: <finding.55bdc69cddd0c02d@example.test>
    List-Id: Tripline alerts <alerts.example.test>
    Auto-Submitted: auto-generated
    X-Auto-Response-Suppress: All
    MIME-Version: 1.0
    Content-Type: multipart/alternative; boundary="=ntc-0123="
    "#);
    insta::assert_snapshot!(headers(&wire(&digest(&material()), "ada@example.test")), @r#"
    From: Tripline <tripline@example.test>
    To: Ada <ada@example.test>
    Subject: [Tripline] 20 Nov: 2 new, 1 resolved, 2 still open (oldest 40 d)
    Date: Fri, 20 Nov 2026 08:05:00 +0000
    Message-ID: <ntc-0123@example.test>
    In-Reply-To: <digest.8a4c01c5ee1d@example.test>
    References: <digest.8a4c01c5ee1d@example.test>
    List-Id: Tripline digests <digest.example.test>
    Auto-Submitted: auto-generated
    X-Auto-Response-Suppress: All
    List-Unsubscribe: <https://tripline.example.test/unsubscribe/token>,
     <mailto:tripline@example.test?subject=unsubscribe%20digest>
    List-Unsubscribe-Post: List-Unsubscribe=One-Click
    MIME-Version: 1.0
    Content-Type: multipart/alternative; boundary="=ntc-0123="
    "#);
}

#[test]
fn both_parts_are_there_and_a_second_attempt_is_the_same_message() {
    let letter = letter(&[opened("svc-07")], &site());
    let first = wire(&letter, "ada@example.test");
    assert_eq!(first, wire(&letter, "ada@example.test"));
    let parsed = MessageParser::default().parse(&first).unwrap();
    assert_eq!(
        parsed.body_text(0).unwrap().replace("\r\n", "\n").trim(),
        letter.text.trim()
    );
    assert_eq!(
        parsed.body_html(0).unwrap().replace("\r\n", "\n").trim(),
        letter.html.trim()
    );
    assert_eq!(parsed.message_id(), Some("ntc-0123@example.test"));
}

#[test]
fn a_name_from_outside_is_neither_a_header_nor_markup() {
    let mut evil = opened("x\r\nBcc: eve@example.test\r\n\r\n<script>alert(1)</script>");
    evil.finding.owners = vec!["ada\r\nCc: eve@example.test".to_owned()];
    evil.finding
        .facts
        .insert("environment".to_owned(), "<b>prod</b>\u{202e}".to_owned());
    let letter = letter(&[evil], &site());
    assert!(!letter.subject.contains(['\r', '\n']));
    assert!(!letter.html.contains("<script>alert"));
    assert!(letter.html.contains("&lt;script&gt;"));
    assert!(!letter.html.contains('\u{202e}') && !letter.text.contains('\u{202e}'));
    let wire = wire(&letter, "ada@example.test");
    let parsed = MessageParser::default().parse(&wire).unwrap();
    assert!(parsed.bcc().is_none() && parsed.cc().is_none());
    let names: Vec<&str> = parsed
        .headers()
        .iter()
        .map(mail_parser::Header::name)
        .collect();
    assert_eq!(names.len(), 12, "{names:?}");
    assert!(matches!(
        parsed.header("To").unwrap(),
        HeaderValue::Address(_)
    ));
}

#[test]
fn an_address_is_one_address() {
    for good in ["ada@example.test", "Ada <ada@example.test>"] {
        assert!(is_mailbox(good), "{good}");
    }
    for bad in [
        "",
        "ada",
        "a@example.test\r\nBcc: b@example.test",
        "a@example.test, b@example.test",
    ] {
        assert!(!is_mailbox(bad), "{bad}");
    }
    let to = Recipient {
        name: None,
        address: "a@example.test\r\nRCPT TO:<b@example.test>".to_owned(),
    };
    let letter = letter(&[opened("svc-07")], &site());
    assert!(
        mailer()
            .compose(&NoticeId::from("ntc-1"), &letter, &to, now())
            .is_err()
    );
}

/// What Ada reads on 20 November.
fn material() -> Material {
    let zone = chrono_tz::Tz::Europe__Dublin;
    let period =
        period::current(&crate::model::people::DigestTime::default(), zone, now()).unwrap();
    let mut critical = opened("payments-db-password");
    critical.finding.severity = Severity::Critical;
    let over = resolved("svc-03");
    let knowing = planned(&[opened("svc-03")])
        .items
        .iter()
        .map(|i| (i.channel.clone(), i.recipient.clone()))
        .collect();
    let earlier = Earlier::from([((over.finding.key, 1), knowing)]);
    let mut items: Vec<Item> =
        planned_by(&desk(ROUTES), &[critical, opened("svc-07"), over], &earlier).items;
    items.retain(|i| {
        i.recipient
            .as_ref()
            .is_some_and(|r| r.to_string() == "person:ada")
    });
    assert!(items.iter().all(|i| i.mode == Mode::Digest));
    Material {
        reader: Principal::Person("ada".into()),
        zone,
        last: Some(period.from),
        period,
        entries: items.into_iter().map(|i| Entry::of(i).unwrap()).collect(),
        open: vec![open("svc-01", 41, Severity::High), open("svc-02", 3, Severity::Critical), open("svc-07", 0, Severity::High)],
        unchecked: vec![Unchecked {
            control: "vendor-review-current".to_owned(),
            title: "Vendors of AI services are reviewed every year".to_owned(),
            source: "registry".to_owned(),
            since: now() - TimeDelta::hours(20),
            why: Some("registry.vendors: page 4 of 6 failed (HTTP 503)".to_owned()),
            last_good: Some(now() - TimeDelta::hours(21)),
        }],
        waiting: vec![],
        ending: vec![Ending {
            exception: "EXC-2026-0042".to_owned(),
            covers: "svc-09, svc-10 in secret-rotation-overdue".to_owned(),
            ends_at: now() + TimeDelta::days(13),
            is_announced_now: true,
        }],
        checkpoint: Some("example.test/tripline\n1204\nMhxDxzManqH91B7ZyeEjIgoMigzFiMjRfr9A5M2kK6A=\n\n— example.test/tripline 9VRqJEbEkTESTTESTTESTTESTTESTTESTTESTTESTTEST\n".to_owned()),
        unsubscribe: Some("https://tripline.example.test/unsubscribe/token".to_owned()),
    }
}

fn open(name: &str, days: i64, severity: Severity) -> Open {
    let since = now() - TimeDelta::days(days);
    let control = control();
    Open {
        finding: finding(name).key.short(),
        subject: format!("aws/secret/{name}"),
        control: control.id.to_string(),
        title: control.title.clone(),
        severity,
        since,
        due_at: since + control.due(severity).to_delta(),
    }
}

fn digest(material: &Material) -> Letter {
    let occasion = material.occasion(AllQuiet::Never);
    assert!(occasion.is_sent(), "{occasion}");
    material
        .letter(occasion, &bare_site(), &Templates::ours())
        .unwrap()
}

#[test]
fn a_digest_begins_with_what_changed() {
    let material = material();
    assert_eq!(
        material.delta(),
        "2 new · 1 resolved · 2 still open (oldest 40 d) · 2 overdue · 1 not checked · 1 exception ends within 14 d"
    );
    let letter = digest(&material);
    show("digest", &letter);
    insta::assert_snapshot!(letter.text, @r#"
    Your controls since Thu 19 Nov 2026
    2 new · 1 resolved · 2 still open (oldest 40 d) · 2 overdue · 1 not checked · 1 exception ends within 14 d

    NEW
    - NEW CRITICAL: payments-db-password was last rotated 214 days ago; credit-scorer v3 depends on it
      secret-rotation-overdue · production · since 20 Nov 2026 08:05 UTC · due 22 Nov 2026 · tripline explain fnd-65678c4622f1
    - NEW HIGH: svc-07 was last rotated 214 days ago; credit-scorer v3 depends on it
      secret-rotation-overdue · production · since 20 Nov 2026 08:05 UTC · due 27 Nov 2026 · tripline explain fnd-067f01dbba3d

    OVERDUE
    - OVERDUE CRITICAL: svc-02: Secrets used by production models are rotated within 90 days
      secret-rotation-overdue · open for 2 d · was due 19 Nov 2026 · tripline explain fnd-db852259a781
    - OVERDUE HIGH: svc-01: Secrets used by production models are rotated within 90 days
      secret-rotation-overdue · open for 40 d · was due 17 Oct 2026 · tripline explain fnd-1284d36f4300

    EXCEPTIONS ENDING
    - ENDS SOON: EXC-2026-0042 covers svc-09, svc-10 in secret-rotation-overdue
      ends 3 Dec 2026, in 13 d

    RESOLVED
    - RESOLVED: svc-03 passes again: Secrets used by production models are rotated within 90 days
      secret-rotation-overdue · production · It passed 3 times in a row on complete evidence, last in evidence of 20 Nov 2026 08:03 UTC. · tripline explain fnd-81c644b63588

    NOT CHECKED
    - NOT CHECKED: Vendors of AI services are reviewed every year: findings keep the state they have
      vendor-review-current · source registry since 19 Nov 2026 12:05 UTC · last good 19 Nov 2026 11:05 UTC · registry.vendors: page 4 of 6 failed (HTTP 503)

    --
    You get this because you answer for what is in it at Example Bank. Findings of yours that are overdue come once a week even if you want no digest.
    Unsubscribe or change how often it comes: https://tripline.example.test/unsubscribe/token

    Checkpoint of the audit log, yours to keep:
    example.test/tripline
    1204
    MhxDxzManqH91B7ZyeEjIgoMigzFiMjRfr9A5M2kK6A=

    — example.test/tripline 9VRqJEbEkTESTTESTTESTTESTTESTTESTTESTTESTTEST
    "#);
    insta::assert_snapshot!("digest.html", letter.html);
    assert_eq!(
        letter.subject,
        "[Tripline] 20 Nov: 2 new, 1 resolved, 2 still open (oldest 40 d)"
    );
}

#[test]
fn a_digest_that_has_nothing_to_say_says_why_it_does_not() {
    let quiet = Material {
        entries: vec![],
        open: vec![],
        unchecked: vec![],
        waiting: vec![],
        ending: vec![],
        ..material()
    };
    assert_eq!(quiet.occasion(AllQuiet::Never), Occasion::NothingToSay);
    assert_eq!(
        quiet.occasion(AllQuiet::Month),
        Occasion::NothingToSay,
        "one came yesterday"
    );
    let long = Material {
        last: Some(now() - TimeDelta::days(30)),
        ..quiet.clone()
    };
    assert_eq!(long.occasion(AllQuiet::Month), Occasion::AllQuiet);
    let letter = long
        .letter(Occasion::AllQuiet, &bare_site(), &Templates::ours())
        .unwrap();
    assert_eq!(letter.subject, "[Tripline] 20 Nov: all quiet");
    insta::assert_snapshot!(letter.text, @r#"
    Your controls since Wed 21 Oct 2026
    all quiet

    Nothing changed since Wed 21 Oct 2026. Your controls run, and this is only to say so.

    --
    You get this because you answer for what is in it at Example Bank. Findings of yours that are overdue come once a week even if you want no digest.
    Unsubscribe or change how often it comes: https://tripline.example.test/unsubscribe/token

    Checkpoint of the audit log, yours to keep:
    example.test/tripline
    1204
    MhxDxzManqH91B7ZyeEjIgoMigzFiMjRfr9A5M2kK6A=

    — example.test/tripline 9VRqJEbEkTESTTESTTESTTESTTESTTESTTESTTESTTEST
    "#);
    let still = Material {
        open: vec![open("svc-07", 1, Severity::High)],
        ..quiet.clone()
    };
    assert_eq!(
        still.occasion(AllQuiet::Never),
        Occasion::NothingToSay,
        "open, known and not due"
    );
    let old = Material {
        unchecked: vec![Unchecked {
            since: now() - TimeDelta::days(3),
            ..material().unchecked.remove(0)
        }],
        ..quiet
    };
    assert_eq!(
        old.occasion(AllQuiet::Never),
        Occasion::NothingToSay,
        "it was told when it began"
    );
}

#[test]
fn what_becomes_overdue_is_said_once_and_again_each_week_even_to_those_who_want_nothing() {
    let overdue = open("svc-01", 8, Severity::High);
    let base = Material {
        entries: vec![],
        unchecked: vec![],
        waiting: vec![],
        ending: vec![],
        open: vec![overdue],
        ..material()
    };
    let with_last = |days: i64| Material {
        last: Some(base.period.at - TimeDelta::days(days)),
        ..base.clone()
    };
    assert_eq!(
        with_last(2).occasion(AllQuiet::Never),
        Occasion::BecameOverdue
    );
    let due = base.open[0].due_at;
    let known = |days: i64| Material {
        last: Some(due + TimeDelta::hours(1)),
        period: Period {
            at: due + TimeDelta::days(days),
            ..base.period.clone()
        },
        ..base.clone()
    };
    assert_eq!(known(3).occasion(AllQuiet::Never), Occasion::NothingToSay);
    assert_eq!(known(8).occasion(AllQuiet::Never), Occasion::StillOverdue);
    let mut unwanted = known(8);
    unwanted.period.duties_only = true;
    assert_eq!(unwanted.occasion(AllQuiet::Never), Occasion::StillOverdue);
    let none = Material {
        open: vec![],
        period: unwanted.period.clone(),
        ..material()
    };
    assert_eq!(none.occasion(AllQuiet::Month), Occasion::Unwanted);
}

#[test]
fn a_long_digest_stays_under_what_mail_programs_show() {
    let mut material = material();
    let name = "n".repeat(300);
    let changes: Vec<Change> = (0..400)
        .map(|n| change(finding(&format!("{name}-{n}")), Effect::Opened))
        .collect();
    let items = planned(&changes).items.into_iter().filter(|i| {
        i.recipient
            .as_ref()
            .is_some_and(|r| r.to_string() == "person:ada")
    });
    material.entries = items.map(|i| Entry::of(i).unwrap()).collect();
    material.open = (0..400)
        .map(|n| open(&format!("{name}-{n}"), 41, Severity::High))
        .collect();
    let letter = digest(&material);
    assert!(letter.html.len() < 100_000, "{}", letter.html.len());
    assert!(letter.text.contains("and 380 more"));
}

#[test]
fn a_users_template_replaces_ours_and_a_broken_one_has_a_place() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("alert.txt"),
        "{{ organisation }}: {{ headline }}\n",
    )
    .unwrap();
    let templates = Templates::load(Some(folder.path())).unwrap();
    let letter = alert::letter(
        &bundle(&[opened("svc-07")], &Earlier::new()),
        &site(),
        &templates,
    )
    .unwrap();
    assert_eq!(
        letter.text,
        "Example Bank: svc-07 was last rotated 214 days ago; credit-scorer v3 depends on it"
    );
    assert!(
        letter.html.contains("Why it matters"),
        "the other half is still ours"
    );
    std::fs::write(folder.path().join("digest.txt"), "a\n{% if %}").unwrap();
    let found = Templates::load(Some(folder.path())).unwrap_err();
    assert_eq!((found[0].code, found[0].place.line), ("TL0651", 2));
    let missing = Templates::load(Some(&folder.path().join("nowhere"))).unwrap_err();
    assert_eq!(missing[0].code, "TL0650");
}

#[test]
fn a_digest_counts_whatever_is_in_it_and_leaves_no_line_empty() {
    let mut material = material();
    material.entries.truncate(1);
    material.entries[0].item.word = Word::CheckedAgain;
    material.entries[0].item.kind = Kind::Gap;
    let facts = &mut material.entries[0].facts;
    (facts.finding, facts.environment, facts.because) = (None, None, None);
    material.open.clear();
    material.unchecked.clear();
    material.ending.clear();
    let letter = digest(&material);
    assert_eq!(letter.subject, "[Tripline] 20 Nov: 1 checked again");
    let (_, rest) = letter.text.split_once("- CHECKED AGAIN").unwrap();
    assert!(
        !rest.starts_with("\n \n") && !rest.contains("\n  \n"),
        "{rest}"
    );
}

#[test]
fn a_mail_about_an_exception_says_in_its_subject_what_is_wanted() {
    let subject = |word: Word| {
        let mut bundle = bundle(&[opened("svc-07")], &Earlier::new());
        bundle.entries.truncate(1);
        let entry = &mut bundle.entries[0];
        (entry.item.kind, entry.item.word) = (Kind::Exception, word);
        entry.facts.subject = Some("EXC-2026-0001".to_owned());
        entry.facts.title = "Later rotation".to_owned();
        entry.facts.due_at = Some(now());
        bundle.subject_line()
    };
    assert_eq!(
        [
            Word::Requested,
            Word::InfoNeeded,
            Word::Decided,
            Word::Ended
        ]
        .map(subject),
        [
            "[DECISION WANTED] EXC-2026-0001 by 20 Nov: Later rotation",
            "[INFORMATION NEEDED] EXC-2026-0001 by 20 Nov: Later rotation",
            "[DECIDED] EXC-2026-0001: Later rotation",
            "[OUT OF FORCE] EXC-2026-0001: Later rotation",
        ]
    );
}
