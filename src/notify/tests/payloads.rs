//! What machines are told, in each form, within each limit.

use serde_json::Value;

use super::sample::{ROUTES, change, desk, finding, many, now, opened, planned_by, resolved, site};
use crate::{
    model::{
        finding::{Change, Effect, Origin},
        notice::Word,
    },
    notify::{
        alert, alertmanager, bundle::Bundle, pagerduty, plan::Earlier, slack, templates::Templates,
        webhook,
    },
};

fn bundle(changes: &[Change], earlier: &Earlier) -> Bundle {
    let mut items = planned_by(&desk(ROUTES), changes, earlier).items;
    items.retain(|i| i.channel.as_str() == "soc");
    Bundle::of(items, now()).unwrap()
}

fn opened_one() -> Bundle {
    bundle(&[opened("svc-07")], &Earlier::new())
}

fn over_one() -> Bundle {
    let over = resolved("svc-07");
    let earlier = Earlier::from([((over.finding.key, 1), [("soc".into(), None)].into())]);
    bundle(&[over], &earlier)
}

fn pretty(text: &str) -> String {
    serde_json::to_string_pretty(&serde_json::from_str::<Value>(text).unwrap()).unwrap()
}

#[test]
fn a_cloudevent_says_it_all_in_one_thin_body() {
    let body = webhook::cloudevent(&opened_one(), &site());
    assert_eq!(body.content_type, "application/cloudevents+json");
    insta::assert_snapshot!(pretty(&body.text), @r#"
    {
      "specversion": "1.0",
      "id": "ntc-0985766b9121ec7be63f5408",
      "source": "https://tripline.example.test/",
      "type": "tripline.finding.new",
      "time": "2026-11-20T08:05:00Z",
      "subject": "secret-rotation-overdue",
      "datacontenttype": "application/json",
      "data": {
        "kind": "finding",
        "word": "new",
        "headline": "svc-07 was last rotated 214 days ago; credit-scorer v3 depends on it",
        "severity": "high",
        "control": "secret-rotation-overdue",
        "title": "Secrets used by production models are rotated within 90 days",
        "policy": {
          "provision": "nhi-credentials#rotation",
          "version": 3
        },
        "because": null,
        "count": 1,
        "findings": [
          {
            "finding": "067f01dbba3d94b7a0f2c77b0cdc262edcfd3a7fb7e71fb3d0bcfb0b958afe55",
            "episode": 1,
            "word": "new",
            "subject": "aws/secret/svc-07",
            "severity": "high",
            "environment": "production",
            "owner": "ml-platform",
            "sentence": "svc-07 was last rotated 214 days ago; credit-scorer v3 depends on it",
            "since": "2026-11-20T08:05:00Z",
            "due": "2026-11-27T08:05:00Z",
            "link": "https://tripline.example.test/findings/fnd-067f01dbba3d"
          }
        ],
        "more": 0,
        "evidence": [
          {
            "dataset": "aws.secrets",
            "snapshot": "snap-1204",
            "sha256": "4410f117de115470bad9546317ed979f1a6724c2b151f52735b4979f1d11d184",
            "collected_at": "2026-11-20T08:03:00Z",
            "rows": 1204
          },
          {
            "dataset": "mlflow.model_versions",
            "snapshot": "snap-86",
            "sha256": "2de571229c6c1faf1c3220860189e5346f41594b276b2c38c3ca7185394ea3de",
            "collected_at": "2026-11-20T08:03:00Z",
            "rows": 86
          }
        ],
        "run": "run-0001",
        "reason": "route 1: kind = 'finding' AND severity IN ('high', 'critical')"
      }
    }
    "#);
    let over = webhook::cloudevent(&over_one(), &site());
    assert!(over.text.contains(r#""type":"tripline.finding.resolved""#));
}

#[test]
fn many_findings_fit_into_twenty_kilobytes_and_the_rest_is_counted() {
    let many = bundle(&many(500, Origin::Mass), &Earlier::new());
    for body in [
        webhook::cloudevent(&many, &site()),
        webhook::alertmanager(&many, &site()),
    ] {
        assert!(body.text.len() < 20_000, "{}", body.text.len());
        let value: Value = serde_json::from_str(&body.text).unwrap();
        let (listed, more) = match value.get("data") {
            Some(data) => (data["findings"].as_array().unwrap().len(), &data["more"]),
            None => (
                value["alerts"].as_array().unwrap().len(),
                &value["truncatedAlerts"],
            ),
        };
        assert!(listed > 5);
        assert_eq!(more.as_u64().unwrap(), 500 - listed as u64);
    }
}

#[test]
fn a_receiver_made_for_alertmanager_reads_our_body() {
    insta::assert_snapshot!(pretty(&webhook::alertmanager(&opened_one(), &site()).text), @r#"
    {
      "version": "4",
      "groupKey": "secret-rotation-overdue|team:ml-platform|soc|-|open",
      "truncatedAlerts": 0,
      "status": "firing",
      "receiver": "soc",
      "groupLabels": {
        "alertname": "secret-rotation-overdue",
        "control": "secret-rotation-overdue"
      },
      "commonLabels": {
        "alertname": "secret-rotation-overdue",
        "control": "secret-rotation-overdue"
      },
      "commonAnnotations": {
        "headline": "svc-07 was last rotated 214 days ago; credit-scorer v3 depends on it"
      },
      "externalURL": "https://tripline.example.test/",
      "alerts": [
        {
          "status": "firing",
          "labels": {
            "alertname": "secret-rotation-overdue",
            "control": "secret-rotation-overdue",
            "subject": "aws/secret/svc-07",
            "severity": "high",
            "owner": "ml-platform"
          },
          "annotations": {
            "summary": "svc-07 was last rotated 214 days ago; credit-scorer v3 depends on it",
            "description": "Secrets used by production models are rotated within 90 days",
            "word": "new"
          },
          "startsAt": "2026-11-20T08:05:00Z",
          "endsAt": "0001-01-01T00:00:00Z",
          "generatorURL": "https://tripline.example.test/findings/fnd-067f01dbba3d",
          "fingerprint": "067f01dbba3d94b7"
        }
      ]
    }
    "#);
    let over: Value =
        serde_json::from_str(&webhook::alertmanager(&over_one(), &site()).text).unwrap();
    assert_eq!(
        (
            over["status"].as_str(),
            over["alerts"][0]["status"].as_str()
        ),
        (Some("resolved"), Some("resolved"))
    );
}

#[test]
fn slack_gets_blocks_in_which_a_name_is_only_a_name() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&slack::payload(&opened_one(), &site())).unwrap(), @r#"
    {
      "text": "[HIGH] New svc-07 was last rotated 214 days ago; credit-scorer v3 depends on it",
      "blocks": [
        {
          "type": "header",
          "text": {
            "type": "plain_text",
            "text": "[HIGH] New svc-07",
            "emoji": false
          }
        },
        {
          "type": "section",
          "text": {
            "type": "plain_text",
            "text": "svc-07 was last rotated 214 days ago; credit-scorer v3 depends on it",
            "emoji": false
          }
        },
        {
          "type": "section",
          "fields": [
            {
              "type": "plain_text",
              "text": "Control: secret-rotation-overdue",
              "emoji": false
            },
            {
              "type": "plain_text",
              "text": "Severity: high",
              "emoji": false
            },
            {
              "type": "plain_text",
              "text": "Owner: ml-platform",
              "emoji": false
            },
            {
              "type": "plain_text",
              "text": "Environment: production",
              "emoji": false
            },
            {
              "type": "plain_text",
              "text": "Open since: 20 Nov 2026 08:05 UTC",
              "emoji": false
            },
            {
              "type": "plain_text",
              "text": "Due: 27 Nov 2026 08:05 UTC",
              "emoji": false
            }
          ]
        },
        {
          "type": "context",
          "elements": [
            {
              "type": "mrkdwn",
              "text": "<https://tripline.example.test/findings/fnd-067f01dbba3d|Open evidence>  Example Bank  ntc-0985766b9121ec7be63f5408"
            }
          ]
        }
      ]
    }
    "#);
    let mut evil = opened("<!channel> *bold* <https://evil.example.test|Open>");
    evil.finding.rows[0].insert("name".to_owned(), "<!channel> & co".into());
    let payload = slack::payload(&bundle(&[evil], &Earlier::new()), &site());
    assert!(
        payload["text"]
            .as_str()
            .unwrap()
            .contains("&lt;!channel&gt; &amp; co")
    );
    for block in payload["blocks"].as_array().unwrap() {
        if block.to_string().contains("<!channel>") {
            assert!(!block.to_string().contains("mrkdwn"), "{block}");
        }
    }
}

#[test]
fn slack_and_pagerduty_stay_within_their_limits() {
    let long: Vec<Change> = (0..60)
        .map(|n| {
            change(
                finding(&format!("{}-{n}", "x".repeat(3_000))),
                Effect::Opened,
            )
        })
        .collect();
    let bundle = bundle(&long, &Earlier::new());
    let payload = slack::payload(&bundle, &site());
    let blocks = payload["blocks"].as_array().unwrap();
    assert!(blocks.len() <= 50);
    for block in blocks {
        let limit = if block["type"] == "header" {
            150
        } else {
            3_000
        };
        assert!(
            block["text"]["text"]
                .as_str()
                .unwrap_or_default()
                .chars()
                .count()
                <= limit
        );
        let fields = block["fields"].as_array().cloned().unwrap_or_default();
        assert!(
            fields.len() <= 10
                && fields
                    .iter()
                    .all(|f| f["text"].as_str().unwrap().chars().count() <= 2_000)
        );
    }
    for event in pagerduty::events(&bundle, &site(), false) {
        assert!(
            event["payload"]["summary"]
                .as_str()
                .unwrap()
                .chars()
                .count()
                <= 1_024
        );
        assert!(event["dedup_key"].as_str().unwrap().len() <= 255);
        assert!(event.to_string().len() < 512_000);
    }
}

#[test]
fn pagerduty_ends_exactly_what_it_began() {
    let (began, ended) = (
        pagerduty::events(&opened_one(), &site(), false),
        pagerduty::events(&over_one(), &site(), false),
    );
    insta::assert_snapshot!(serde_json::to_string_pretty(&began).unwrap(), @r#"
    [
      {
        "event_action": "trigger",
        "dedup_key": "tripline:067f01dbba3d94b7a0f2c77b0cdc262edcfd3a7fb7e71fb3d0bcfb0b958afe55:1",
        "client": "Tripline",
        "payload": {
          "summary": "svc-07 was last rotated 214 days ago; credit-scorer v3 depends on it",
          "source": "aws/secret/svc-07",
          "severity": "error",
          "timestamp": "2026-11-20T08:05:00Z",
          "component": "secret-rotation-overdue",
          "group": "ml-platform",
          "class": "new",
          "custom_details": {
            "title": "Secrets used by production models are rotated within 90 days",
            "because": null,
            "environment": "production",
            "due": "2026-11-27T08:05:00Z",
            "findings": 1,
            "explain": "tripline explain fnd-067f01dbba3d"
          }
        },
        "links": [
          {
            "href": "https://tripline.example.test/findings/fnd-067f01dbba3d",
            "text": "Open evidence"
          }
        ]
      }
    ]
    "#);
    assert_eq!(ended[0]["event_action"], "resolve");
    assert_eq!(ended[0]["dedup_key"], began[0]["dedup_key"]);
    let key = finding("svc-07").key;
    assert_eq!(began[0]["dedup_key"], format!("tripline:{key}:1"));
}

#[test]
fn many_at_once_are_one_incident_that_ends_with_the_last_of_them() {
    let many = bundle(&many(500, Origin::Mass), &Earlier::new());
    let began = pagerduty::events(&many, &site(), false);
    assert_eq!(began.len(), 1);
    let over = over_one();
    assert!(
        pagerduty::events(&over, &site(), false)
            .iter()
            .all(|e| e["dedup_key"] != began[0]["dedup_key"])
    );
    assert!(
        pagerduty::events(&over, &site(), true)
            .iter()
            .any(|e| e["dedup_key"] == began[0]["dedup_key"])
    );
}

#[test]
fn alertmanager_gets_labels_that_never_change_and_an_end_that_lies_ahead() {
    let interval = chrono::TimeDelta::minutes(15);
    let alerts = alertmanager::alerts(&opened_one(), &site(), interval);
    insta::assert_snapshot!(serde_json::to_string_pretty(&alerts[0].at(now())).unwrap(), @r#"
    {
      "labels": {
        "alertname": "secret-rotation-overdue",
        "subject": "aws/secret/svc-07",
        "source": "aws",
        "finding": "fnd-067f01dbba3d",
        "job": "tripline"
      },
      "annotations": {
        "summary": "svc-07 was last rotated 214 days ago; credit-scorer v3 depends on it",
        "description": "Secrets used by production models are rotated within 90 days",
        "severity": "high",
        "owner": "ml-platform",
        "environment": "production"
      },
      "startsAt": "2026-11-20T08:05:00Z",
      "generatorURL": "https://tripline.example.test/findings/fnd-067f01dbba3d",
      "endsAt": "2026-11-20T08:50:00Z"
    }
    "#);
    let mut other = opened("svc-07");
    other.finding.severity = crate::model::policy::Severity::Critical;
    other.finding.owners = vec!["ada".to_owned()];
    other.effect = Some(Effect::Reopened);
    let again = alertmanager::alerts(&bundle(&[other], &Earlier::new()), &site(), interval);
    assert_eq!(again[0].alert["labels"], alerts[0].alert["labels"]);
    let over = alertmanager::alerts(&over_one(), &site(), interval);
    assert_eq!(over[0].at(now())["endsAt"], serde_json::json!(now()));
    assert_eq!(over[0].alert["labels"], alerts[0].alert["labels"]);
}

#[test]
fn a_template_of_json_escapes_what_strangers_wrote() {
    let mut evil = opened("x");
    evil.finding.rows[0].insert(
        "name".to_owned(),
        "\"}, { \"type\": \"evil\" **bold**".into(),
    );
    let facts = alert::context(&bundle(&[evil], &Earlier::new()), &site());
    let text = Templates::ours().render("teams.json", &facts).unwrap();
    let card: Value = serde_json::from_str(&text).unwrap();
    let body = &card["attachments"][0]["content"]["body"];
    assert!(
        body[1]["inlines"][0]["text"]
            .as_str()
            .unwrap()
            .contains("evil")
    );
    assert_eq!(body[0]["inlines"][0]["text"], "NEW HIGH");
    assert_eq!(Word::New.title(), "New");
}
