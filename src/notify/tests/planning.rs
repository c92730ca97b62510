//! Who is told, and why not.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::sample::{
    ROUTES, change, control, desk, finding, many, now, opened, planned, planned_by, policy,
    resolved, run,
};
use crate::{
    finding::{Look, gap},
    model::{
        finding::{Change, Effect, Origin, Status},
        id::SourceId,
        notice::{Delivery, Item, Kind, Mode, Word},
        outcome::Unknown,
        policy::Severity,
        span::Span,
    },
    notify::{
        bundle::{Bundle, Entry},
        facts::Told,
        net::{Dropped, Known, Verdict, supersede, verdict},
        options::Medium,
        plan::{self, Earlier, Operation, Planning, Silent, plan},
    },
};

fn told(items: &[Item]) -> String {
    let lines: Vec<String> = items
        .iter()
        .map(|i| {
            let to = i
                .recipient
                .as_ref()
                .map_or_else(String::new, |r| format!(" {r}"));
            format!("{} {} {}{to}: {}", i.word, i.mode, i.channel, i.reason)
        })
        .collect();
    lines.join("\n")
}

#[test]
fn all_routes_that_match_apply_and_each_says_why() {
    insta::assert_snapshot!(told(&planned(&[opened("svc-07")]).items), @r#"
    new digest mail person:ada: route 2: kind = 'finding'
    new digest mail person:ben: route 2: kind = 'finding'
    new alert mail team:platform-security: route 1: kind = 'finding' AND severity IN ('high', 'critical')
    new alert soc: route 1: kind = 'finding' AND severity IN ('high', 'critical')
    "#);
}

#[test]
fn a_key_is_finding_episode_transition_channel_and_recipient() {
    let plan = planned(&[opened("svc-07")]);
    let key = finding("svc-07").key;
    let keys: Vec<&str> = plan.items.iter().map(|i| i.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            format!("{key}:1:2:mail:person:ada"),
            format!("{key}:1:2:mail:person:ben"),
            format!("{key}:1:2:mail:team:platform-security"),
            format!("{key}:1:2:soc:-"),
        ]
    );
    assert_eq!(
        plan,
        planned(&[opened("svc-07")]),
        "planning twice gives the same bytes"
    );
}

#[test]
fn an_alert_waits_for_others_and_a_digest_for_its_hour() {
    for item in planned(&[opened("svc-07")]).items {
        let wait = if item.mode == Mode::Alert { 60 } else { 0 };
        assert_eq!(
            item.due_at,
            now() + TimeDelta::seconds(wait),
            "{}",
            item.key
        );
    }
}

// R004: what is inside the boundary, covered, in shadow or below every route tells nobody, by name.
#[test]
fn what_is_not_told_has_a_named_reason() {
    let silent = |plan: &crate::notify::plan::Plan| {
        assert!(plan.items.is_empty(), "{:?}", plan.items);
        plan.silent.iter().map(|s| s.reason).collect::<Vec<_>>()
    };
    let mut covered = opened("svc-07");
    covered.finding.covered_by = Some("EXC-2026-0001".into());
    assert_eq!(silent(&planned(&[covered])), [Silent::Covered]);
    assert_eq!(
        silent(&planned(&[change(
            finding("svc-07"),
            Effect::OpenedCovered
        )])),
        [Silent::Covered]
    );
    assert_eq!(
        silent(&planned(&[change(finding("svc-07"), Effect::Recheck)])),
        [Silent::Unconfirmed]
    );
    assert_eq!(silent(&planned(&[resolved("svc-07")])), [Silent::NeverTold]);
    let low = desk("\nroutes:\n  - { when: \"severity = 'critical'\", to: [soc] }\n");
    assert_eq!(
        silent(&planned_by(&low, &[opened("svc-07")], &Earlier::new())),
        [Silent::NoRoute]
    );
    let (mut shadow, policy, run) = (control(), policy(), run());
    let changes = [opened("svc-07")];
    let desk = desk(ROUTES);
    let planning = Planning {
        told: Told {
            control: &control(),
            policy: Some(&policy),
            run: &run,
            cause: None,
        },
        changes: &changes,
        desk: &desk,
        earlier: &Earlier::new(),
        now: now(),
    };
    shadow.shadow = true;
    let told = Told {
        control: &shadow,
        ..planning.told
    };
    assert_eq!(
        silent(&plan(&Planning { told, ..planning })),
        [Silent::Shadow]
    );
}

#[test]
fn a_change_without_an_effect_is_nobodys_business() {
    let mut still = opened("svc-07");
    still.effect = None;
    assert_eq!(planned(&[still]), crate::notify::plan::Plan::default());
}

#[test]
fn those_who_heard_that_it_began_hear_that_it_is_over_whoever_owns_it_now() {
    let first = planned(&[opened("svc-07")]);
    let knowing = first
        .items
        .iter()
        .map(|i| (i.channel.clone(), i.recipient.clone()))
        .collect();
    let mut over = resolved("svc-07");
    over.finding.owners = vec!["platform-security".to_owned()];
    let earlier = Earlier::from([((over.finding.key, 1), knowing)]);
    let plan = planned_by(&desk(ROUTES), &[over], &earlier);
    insta::assert_snapshot!(told(&plan.items), @"
    resolved digest mail person:ada: you were told that it began
    resolved digest mail person:ben: you were told that it began
    resolved digest mail team:platform-security: route 1: kind = 'finding' AND severity IN ('high', 'critical')
    resolved alert soc: route 1: kind = 'finding' AND severity IN ('high', 'critical')
    ");
}

#[test]
fn an_owner_whom_nobody_knows_falls_back_and_the_owner_of_the_source_hears_of_it_once() {
    let changes: Vec<Change> = ["svc-1", "svc-2"]
        .map(|name| {
            let mut one = opened(name);
            one.finding.owners = vec!["ml-platfrom".to_owned()];
            one
        })
        .into();
    let plan = planned(&changes);
    let operation: Vec<&Item> = plan
        .items
        .iter()
        .filter(|i| i.kind == Kind::Operation)
        .collect();
    assert_eq!(operation.len(), 1);
    assert_eq!(
        operation[0].recipient.as_ref().unwrap().to_string(),
        "person:omar"
    );
    assert_eq!(operation[0].mode, Mode::Digest);
    insta::assert_snapshot!(operation[0].facts["sentence"].as_str().unwrap(), @"`team` of aws/secret/svc-1 names `ml-platfrom`, who is nobody in `people` or `teams`; platform-security is told instead");
    let findings = plan.items.iter().filter(|i| i.kind == Kind::Finding);
    assert!(findings.clone().all(|i| {
        i.recipient
            .as_ref()
            .is_none_or(|r| r.to_string() == "team:platform-security")
    }));
    assert_eq!(
        findings.count(),
        4,
        "two subjects, told to the fallback and to `soc`"
    );
}

#[test]
fn without_routes_owners_are_told() {
    let desk = desk("");
    let mut low = opened("svc-2");
    low.finding.severity = Severity::Low;
    let plan = planned_by(&desk, &[opened("svc-1"), low], &Earlier::new());
    let modes: BTreeMap<String, Mode> = plan
        .items
        .iter()
        .map(|i| {
            (
                format!("{} {}", i.facts["subject"], i.recipient.as_ref().unwrap()),
                i.mode,
            )
        })
        .collect();
    assert_eq!(modes.len(), 4);
    assert!(
        modes
            .iter()
            .all(|(name, mode)| (*mode == Mode::Alert) == name.contains("svc-1")),
        "{modes:?}"
    );
}

// R005, and the promise that many at once are one notice.
#[test]
fn five_thousand_subjects_at_once_are_one_notice_for_each_reader() {
    for (origin, count) in [
        (Origin::Mass, 5_000),
        (Origin::Baseline, 50),
        (Origin::Single, 50),
    ] {
        let plan = planned(&many(count, origin));
        let mut groups: BTreeMap<&str, usize> = BTreeMap::new();
        for item in &plan.items {
            *groups.entry(&item.group).or_default() += 1;
        }
        assert_eq!(groups.len(), 4, "{groups:?}");
        assert!(groups.values().all(|n| *n == count));
        let detailed = plan
            .items
            .iter()
            .filter(|i| !i.facts["detail"].is_null())
            .count();
        assert_eq!(
            detailed,
            4 * 3,
            "only the first of each group carry every detail"
        );
    }
}

#[test]
fn what_is_mended_or_covered_before_it_is_told_is_not_told() {
    let item = planned(&[opened("svc-07")]).items.remove(0);
    let open = finding("svc-07");
    let judge = |status, episode, covered: bool, known: bool| {
        let mut finding = open.clone();
        finding.state.status = status;
        finding.state.episode = episode;
        finding.covered_by = covered.then(|| "EXC-2026-0001".into());
        verdict(
            &item,
            &Known {
                finding: known.then_some(&finding),
                began: None,
                medium: Some(Medium::Mail),
                reachable: true,
            },
        )
    };
    assert_eq!(judge(Status::Open, 1, false, true), Verdict::Tell);
    assert_eq!(judge(Status::Clearing, 1, false, true), Verdict::Tell);
    assert_eq!(
        judge(Status::Resolved, 1, false, true),
        Verdict::Drop(Dropped::ResolvedMeanwhile)
    );
    assert_eq!(
        judge(Status::Retired, 1, false, true),
        Verdict::Drop(Dropped::RetiredMeanwhile)
    );
    assert_eq!(
        judge(Status::Open, 1, true, true),
        Verdict::Drop(Dropped::CoveredMeanwhile)
    );
    assert_eq!(
        judge(Status::Open, 2, false, true),
        Verdict::Drop(Dropped::LaterEpisode)
    );
    assert_eq!(
        judge(Status::Open, 1, false, false),
        Verdict::Drop(Dropped::FindingGone)
    );
    let gone = Known {
        finding: Some(&open),
        began: None,
        medium: None,
        reachable: true,
    };
    assert_eq!(
        verdict(&item, &gone),
        Verdict::Drop(Dropped::ChannelRemoved)
    );
    let left = Known {
        medium: Some(Medium::Mail),
        reachable: false,
        ..gone
    };
    assert_eq!(verdict(&item, &left), Verdict::Drop(Dropped::RecipientLeft));
}

#[test]
fn an_end_is_told_only_where_the_beginning_arrived() {
    let over = resolved("svc-07");
    let mut item = planned(&[opened("svc-07")]).items.remove(0);
    item.word = Word::Resolved;
    let judge = |began, episode, medium| {
        let mut finding = over.finding.clone();
        if episode > 1 {
            finding.state.status = Status::Open;
            finding.state.episode = episode;
        }
        verdict(
            &item,
            &Known {
                finding: Some(&finding),
                began,
                medium: Some(medium),
                reachable: true,
            },
        )
    };
    assert_eq!(judge(Some(Delivery::Sent), 1, Medium::Mail), Verdict::Tell);
    assert_eq!(judge(Some(Delivery::Due), 1, Medium::Mail), Verdict::Wait);
    for began in [None, Some(Delivery::Dropped), Some(Delivery::Dead)] {
        assert_eq!(
            judge(began, 1, Medium::Mail),
            Verdict::Drop(Dropped::NeverTold)
        );
    }
    assert_eq!(
        judge(Some(Delivery::Sent), 2, Medium::Mail),
        Verdict::Drop(Dropped::OpenAgain)
    );
    assert_eq!(
        judge(Some(Delivery::Sent), 2, Medium::Pagerduty),
        Verdict::Tell,
        "an incident needs its end"
    );
}

#[test]
fn of_one_finding_only_the_newest_goes_out() {
    let mut flapping = change(finding("svc-07"), Effect::Flapping);
    flapping.finding.state.transition = 3;
    let mut items = planned(&[opened("svc-07")]).items;
    items.retain(|i| i.channel.as_str() == "soc");
    let mut later = planned(&[flapping]).items;
    later.retain(|i| i.channel.as_str() == "soc");
    later[0].planned_at += TimeDelta::minutes(1);
    items.append(&mut later);
    let (kept, dropped) = supersede(items);
    assert_eq!(
        kept.iter().map(|i| i.word).collect::<Vec<_>>(),
        [Word::Flapping]
    );
    assert_eq!(dropped.len(), 1);
}

// R017: a source that cannot be read is one notice to its owner.
#[test]
fn a_source_that_cannot_be_read_is_one_notice_to_its_owner() {
    let mut run = run();
    run.evidence
        .iter_mut()
        .for_each(|u| u.objection = Some(Unknown::Auth));
    let source = SourceId::from("aws");
    let look = |known, control: &str, run: &crate::model::run::Run| {
        gap(
            known,
            &Look {
                source: &source,
                owner: "omar",
                severity: Severity::High,
                control: &control.into(),
                max_age: Span::minutes(1),
                evidence: &run.evidence,
                last_good: Some(now() - TimeDelta::hours(3)),
                detail: Some("aws.secrets: HTTP 403 after page 2"),
                run: &run.id,
                now: run.instant,
            },
        )
    };
    let change = look(None, "secret-rotation-overdue", &run).unwrap();
    assert_eq!(change.effect, Some(Effect::Opened));
    let titles = |id: &str| (id == "secret-rotation-overdue").then(|| control().title);
    let plan = plan::gap(&change, &run, &desk(ROUTES), &Earlier::new(), &titles);
    insta::assert_snapshot!(told(&plan.items), @"not_checked alert mail person:omar: you own the source");
    let bundle = Bundle::of(plan.items, now()).unwrap();
    insta::assert_snapshot!(bundle.headline(), @"1 control not checked since 20 Nov 2026 08:05 UTC: source aws cannot be read");
    assert_eq!(bundle.subject_line(), "[NOT CHECKED] Source aws");
}

#[test]
fn what_tripline_says_of_itself_goes_to_administrators_but_not_by_the_way_that_failed() {
    let desk = desk("\nroutes:\n  - { when: \"kind = 'operation'\", to: [soc] }\n");
    let soc = "soc".into();
    let mut about = Operation {
        subject: "dead:ntc-1",
        title: "A notice was given up",
        sentence: "HTTP 404",
        not_by: None,
    };
    assert_eq!(
        told(&plan::operation(&desk, &about, now())),
        "operation alert mail person:omar: you look after Tripline\noperation alert soc: route 1: kind = 'operation'"
    );
    about.not_by = Some((&soc, None));
    assert_eq!(
        told(&plan::operation(&desk, &about, now())),
        "operation alert mail person:omar: you look after Tripline"
    );
}

#[test]
fn the_words_say_what_happened_and_the_values_are_true() {
    let mut again = change(finding("svc-07"), Effect::Reopened);
    again.finding.state.openings = vec![
        now() - TimeDelta::days(20),
        now() - TimeDelta::days(3),
        now(),
    ];
    let first = |changes: &[Change]| Entry::of(planned(changes).items.remove(0)).unwrap().facts;
    assert_eq!(
        first(&[opened("svc-07")]).sentence,
        "svc-07 was last rotated 214 days ago; credit-scorer v3 depends on it"
    );
    assert_eq!(first(&[again]).repeats.unwrap(), "3rd time in 30 days");
    let mut wordless = opened("svc-07");
    wordless.finding.rows.clear();
    let facts = first(&[wordless]);
    assert_eq!(
        facts.sentence,
        "svc-07 fails: Secrets used by production models are rotated within 90 days"
    );
    let mut flapping = opened("svc-07");
    flapping.effect = Some(Effect::Flapping);
    assert!(first(&[flapping]).because.unwrap().contains("too often"));
}
