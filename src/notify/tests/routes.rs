//! Mistakes in channels and routes, each at its place and all at once.

use super::sample::{Company, company};
use crate::yaml::decode;

fn wrong(routes: &str) -> String {
    let found = match company(routes) {
        Ok((_, warnings)) => warnings,
        Err(found) => found,
    };
    found
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

fn wrong_channel(channel: &str) -> String {
    let text = format!("channels:\n  it: {channel}\n");
    let found = match decode::read::<Company>(std::path::Path::new("tripline.yaml"), &text) {
        Ok((_, warnings)) => warnings,
        Err(found) => found,
    };
    found
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn a_route_that_names_nobody_is_refused_with_the_nearest_name() {
    insta::assert_snapshot!(wrong(
        r#"
routes:
  - { when: "kind = 'finding' AND sverity = 'high'", to: [owner] }
  - { when: "severity", to: [socc, "team:platform-securty", mail, "person:nobody"] }
  - { to: [owner], via: soc }
  - { to: [soc], as: digest }
"#
    ), @r#"
    TL0304 tripline.yaml:18:35: unknown column `sverity`; did you mean `severity`?
    TL0308 tripline.yaml:19:14: the condition is text, and must be true or false
    TL0672 tripline.yaml:19:30: `socc` is nobody and no channel; did you mean `soc`?
    TL0672 tripline.yaml:19:36: there is no team `platform-securty`; did you mean `team:platform-security`?
    TL0671 tripline.yaml:19:61: `mail` is a mail channel, and a mail needs somebody to go to; write `owner`, `team:NAME` or `person:NAME`, and `via: mail`
    TL0672 tripline.yaml:19:67: there is no person `nobody`
    TL0673 tripline.yaml:20:25: `soc` is not a mail channel; mail channels: mail
    TL0675 tripline.yaml:21:12: channel `soc` has no digest; it is told at once
    "#);
}

#[test]
fn a_channel_that_would_give_something_away_is_refused() {
    insta::assert_snapshot!([
            "{ smtp: { host: smtp.example.test, tls: none, from: tripline@example.test } }",
            "{ smtp: { host: smtp.example.test, from: not an address, username: tripline } }",
            "{ smtp: { host: smtp.example.test, from: a@example.test, username: u, password: hunter2 } }",
            "{ webhook: { url: \"http://soc.example.test/\", headers: { Authorization: \"Bearer x\", webhook-id: mine } } }",
            "{ webhook: { url: \"https://user:hunter2@soc.example.test/\", template: x.json } }",
            "{ slack: { url: \"https://hooks.example.test/T000/B000/xyz\" } }",
            "{ teams: { url: x } }",
        ]
        .map(wrong_channel)
        .join("\n---\n"), @r#"
    TL0640 tripline.yaml:2:23: mail without TLS goes only to this machine itself; write `tls: starttls` or `tls: tls`
    ---
    TL0641 tripline.yaml:2:23: `username` and `password` come together; write both, or neither for a server that needs none
    TL0642 tripline.yaml:2:48: `not an address` is not a mail address; write `tripline@example.test` or `Tripline <tripline@example.test>`
    ---
    TL0400 tripline.yaml:2:87: a secret is given by reference, never as text; write `{ env: NAME }`, `{ file: PATH }` or `{ credential: NAME }`
    ---
    TL0647 tripline.yaml:2:25: notices go out without TLS; whoever is on the way reads them; use `https`
    TL0645 tripline.yaml:2:64: header `Authorization` identifies us, so its value is a secret; write `{ env: NAME }`, `{ file: PATH }` or `{ credential: NAME }`
    TL0644 tripline.yaml:2:91: `webhook-id` cannot be set as a header
    ---
    TL0648 tripline.yaml:2:25: a password does not belong into an address; use `headers:` or `username` and `password` with a secret
    TL0643 tripline.yaml:2:77: a template is used only with `format: template`; add `format: template`, or remove `template:`
    ---
    TL0400 tripline.yaml:2:23: a secret is given by reference, never as text; write `{ env: NAME }`, `{ file: PATH }` or `{ credential: NAME }`
    ---
    TL0104 tripline.yaml:2:9: `teams` is not one of `smtp`, `webhook`, `slack`, `pagerduty`, `alertmanager`
    "#);
}

#[test]
fn a_route_that_never_matches_is_refused_and_findings_that_none_matches_are_said() {
    insta::assert_snapshot!(wrong(
        r#"
routes:
  - { when: "kind = 'findings' AND severity IN ('hihg', 'critical')", to: [owner] }
  - { when: "'ml-platfrom' = team OR subject = 'anything' OR origin <> 'single'", to: [owner] }
"#
    ), @"
    TL0676 tripline.yaml:18:21: `kind` is never `findings`: this never matches; did you mean `finding`?
    TL0676 tripline.yaml:18:49: `severity` is never `hihg`: this never matches; did you mean `high`?
    TL0676 tripline.yaml:19:14: `team` is never `ml-platfrom`: this never matches; did you mean `ml-platform`?
    ");
    insta::assert_snapshot!(wrong(
        r#"
routes:
  - { when: "kind = 'finding' AND severity = 'critical' AND environment = 'production'", to: [owner] }
"#
    ), @r#"TL0677 tripline.yaml:18:13: no route can match a finding of severity `high`: nobody is told of it; add a route for them, such as `{ when: "kind = 'finding'", to: [owner], as: digest }`"#);
}
