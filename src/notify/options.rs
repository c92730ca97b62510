//! What a user writes about notices: `channels:`, `routes:` and `notices:` of `tripline.yaml`.
//! Secrets appear only as references; they are read when a channel is opened.

use std::path::PathBuf;

use url::Url;

use super::{bundle::Site, email};
use crate::{
    catalog::secret::Secret,
    choice,
    model::{notice::Mode, span::Span},
    record, tagged,
    yaml::{
        decode::{Cx, Decode, Located},
        diagnostic::Diagnostic,
        tree::{Kind, Node},
        values::Named,
    },
};

tagged! {
    /// Where notices go.
    pub enum Channel {
        ;
        /// Mail to people and teams.
        Smtp(Smtp) = "smtp",
        /// Signed posts to a machine.
        Webhook(Webhook) = "webhook",
        /// A Slack channel, through an incoming webhook.
        Slack(Slack) = "slack",
        /// PagerDuty, through Events v2.
        Pagerduty(Pagerduty) = "pagerduty",
        /// An Alertmanager that groups and routes by itself.
        Alertmanager(Alertmanager) = "alertmanager",
    }
}

choice! {
    /// What a channel speaks.
    pub enum Medium {
        /// Letters to people.
        Mail = "mail",
        /// Signed posts.
        Webhook = "webhook",
        /// Slack.
        Slack = "slack",
        /// PagerDuty.
        Pagerduty = "pagerduty",
        /// Alertmanager.
        Alertmanager = "alertmanager",
    }
}

impl Medium {
    /// What a channel of the file speaks.
    pub const fn of(channel: &Channel) -> Self {
        match channel {
            Channel::Smtp(_) => Self::Mail,
            Channel::Webhook(_) => Self::Webhook,
            Channel::Slack(_) => Self::Slack,
            Channel::Pagerduty(_) => Self::Pagerduty,
            Channel::Alertmanager(_) => Self::Alertmanager,
        }
    }
}

choice! {
    /// How the connection to a mail server is protected.
    pub enum Tls {
        /// Upgraded before anything else is said; without that nothing is sent.
        Starttls = "starttls",
        /// From the first byte.
        Tls = "tls",
        /// Not at all: only to this machine itself.
        None = "none",
    }
}

record! {
    /// A mail server.
    pub struct Smtp {
        /// Its name.
        host: Located<String>,
        /// Its port; 587 for `starttls`, 465 for `tls`, 25 for `none`.
        port: Option<u16>,
        /// How the connection is protected.
        tls: Tls = Tls::Starttls,
        /// The sender, `tripline@example.test` or `Tripline <tripline@example.test>`.
        from: Located<String>,
        /// Who we are for the server.
        username: Option<String>,
        /// The password of that account.
        password: Option<Secret>,
        /// A certificate authority to trust besides those of the system, as PEM.
        ca_file: Option<PathBuf>,
        /// How long one message may take.
        timeout: Span = Span::secs(30),
    }
    check(check_smtp)
}

fn check_smtp(smtp: &Smtp, _: &Node, cx: &mut Cx) {
    if smtp.tls == Tls::None && !is_loopback(&smtp.host.value) {
        cx.out.push(
            Diagnostic::error(
                "TL0640",
                &smtp.host.place,
                "mail without TLS goes only to this machine itself",
            )
            .help("write `tls: starttls` or `tls: tls`"),
        );
    }
    if smtp.username.is_some() != smtp.password.is_some() {
        cx.out.push(
            Diagnostic::error(
                "TL0641",
                &smtp.host.place,
                "`username` and `password` come together",
            )
            .help("write both, or neither for a server that needs none"),
        );
    }
    if !email::is_mailbox(&smtp.from.value) {
        cx.out.push(
            Diagnostic::error(
                "TL0642",
                &smtp.from.place,
                format!("`{}` is not a mail address", smtp.from.value),
            )
            .help("write `tripline@example.test` or `Tripline <tripline@example.test>`"),
        );
    }
}

choice! {
    /// What the body of a webhook looks like.
    pub enum Format {
        /// A CloudEvents 1.0 envelope.
        Cloudevents = "cloudevents",
        /// The body that Alertmanager sends to its own webhooks (version 4).
        Alertmanager = "alertmanager",
        /// A template that writes JSON.
        Template = "template",
    }
}

record! {
    /// A machine that takes signed posts (Standard Webhooks).
    pub struct Webhook {
        /// Where to post.
        url: Located<Url>,
        /// The key of the signature: `whsec_` and 24 to 64 bytes in base64.
        secret: Option<Secret>,
        /// The key before the last change; while it is here, messages carry both signatures.
        previous_secret: Option<Secret>,
        /// What the body looks like.
        format: Format = Format::Cloudevents,
        /// For `format: template`: the template's file name, `teams.json` unless it is your own.
        template: Option<Located<String>>,
        /// More headers; one that identifies us is a secret.
        headers: Named<HeaderValue> = Named::default(),
        /// A certificate authority to trust besides those of the system, as PEM.
        ca_file: Option<PathBuf>,
        /// How long one post may take.
        timeout: Span = Span::secs(15),
    }
    check(check_webhook)
}

fn check_webhook(webhook: &Webhook, _: &Node, cx: &mut Cx) {
    check_url(&webhook.url, cx);
    if let Some(template) = webhook
        .template
        .as_ref()
        .filter(|_| webhook.format != Format::Template)
    {
        cx.out.push(
            Diagnostic::error(
                "TL0643",
                &template.place,
                "a template is used only with `format: template`",
            )
            .help("add `format: template`, or remove `template:`"),
        );
    }
    for (name, value) in webhook.headers.iter() {
        let known = http::HeaderName::try_from(name.text.as_str()).is_ok();
        let ours = name.text.to_ascii_lowercase().starts_with("webhook-");
        if !known || ours {
            cx.out.push(Diagnostic::error(
                "TL0644",
                &name.place,
                format!("`{}` cannot be set as a header", name.text),
            ));
        }
        if matches!(value, HeaderValue::Text(_)) && names_a_secret(&name.text) {
            cx.out.push(
                Diagnostic::error(
                    "TL0645",
                    &name.place,
                    format!(
                        "header `{}` identifies us, so its value is a secret",
                        name.text
                    ),
                )
                .help("write `{ env: NAME }`, `{ file: PATH }` or `{ credential: NAME }`"),
            );
        }
    }
}

/// Whether a header of that name usually carries what must not stand in a file.
fn names_a_secret(header: &str) -> bool {
    let header = header.to_ascii_lowercase();
    [
        "authorization",
        "cookie",
        "token",
        "secret",
        "key",
        "password",
        "signature",
    ]
    .iter()
    .any(|word| header.contains(word))
}

fn check_url(url: &Located<Url>, cx: &mut Cx) {
    if !matches!(url.value.scheme(), "http" | "https") {
        cx.out.push(Diagnostic::error(
            "TL0646",
            &url.place,
            "only `https` and `http` are spoken here",
        ));
    } else if url.value.scheme() == "http" && !url.value.host_str().is_some_and(is_loopback) {
        cx.out.push(
            Diagnostic::warning(
                "TL0647",
                &url.place,
                "notices go out without TLS; whoever is on the way reads them",
            )
            .help("use `https`"),
        );
    }
    if !url.value.username().is_empty() || url.value.password().is_some() {
        cx.out.push(
            Diagnostic::error(
                "TL0648",
                &url.place,
                "a password does not belong into an address",
            )
            .help("use `headers:` or `username` and `password` with a secret"),
        );
    }
}

/// Whether a host is this machine itself.
fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost"
        || bare
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

/// The value of a header: plain, or a secret.
#[derive(Debug, Clone, PartialEq)]
pub enum HeaderValue {
    /// As it stands.
    Text(String),
    /// By reference.
    Secret(Secret),
}

impl Decode for HeaderValue {
    fn decode(node: &Node, cx: &mut Cx) -> Option<Self> {
        match &node.kind {
            Kind::Map(_) => Secret::decode(node, cx).map(Self::Secret),
            _ => String::decode(node, cx).map(Self::Text),
        }
    }

    fn schema(defs: &mut serde_json::Map<String, serde_json::Value>) -> serde_json::Value {
        serde_json::json!({ "anyOf": [{ "type": "string" }, Secret::schema(defs)] })
    }
}

record! {
    /// A Slack channel.
    pub struct Slack {
        /// The address of the incoming webhook; whoever has it can post, so it is a secret.
        url: Secret,
        /// How long one post may take.
        timeout: Span = Span::secs(15),
    }
}

record! {
    /// PagerDuty.
    pub struct Pagerduty {
        /// The integration key of an Events API v2 integration.
        routing_key: Secret,
        /// Where to post, when it is not PagerDuty's own address.
        url: Option<Located<Url>>,
        /// How long one post may take.
        timeout: Span = Span::secs(15),
    }
    check(check_pagerduty)
}

fn check_pagerduty(pagerduty: &Pagerduty, _: &Node, cx: &mut Cx) {
    pagerduty.url.iter().for_each(|url| check_url(url, cx));
}

record! {
    /// An Alertmanager.
    pub struct Alertmanager {
        /// Its address; `/api/v2/alerts` is added.
        url: Located<Url>,
        /// Who we are, for one behind a proxy with basic authentication.
        username: Option<String>,
        /// The password of that account.
        password: Option<Secret>,
        /// How often open findings are pushed again, so that they do not end by themselves.
        refresh: Span = Span::minutes(1),
        /// A certificate authority to trust besides those of the system, as PEM.
        ca_file: Option<PathBuf>,
        /// How long one post may take.
        timeout: Span = Span::secs(15),
    }
    check(check_alertmanager)
}

fn check_alertmanager(alertmanager: &Alertmanager, _: &Node, cx: &mut Cx) {
    check_url(&alertmanager.url, cx);
    if alertmanager.username.is_some() != alertmanager.password.is_some() {
        cx.out.push(
            Diagnostic::error(
                "TL0641",
                &alertmanager.url.place,
                "`username` and `password` come together",
            )
            .help("write both, or neither for a server that needs none"),
        );
    }
}

record! {
    /// One rule of who is told what. All that match apply.
    pub struct Route {
        /// SQL over one notice: kind, word, severity, control, policy, owner, team, department, source, environment and more. Left out, it matches everything.
        when: Option<Located<String>>,
        /// Who: names of channels, `owner`, `policy-lead`, `source-owner`, `team:NAME`, `person:NAME`.
        to: Vec<Located<String>>,
        /// At once, or with the person's next digest. A machine is always told at once.
        r#as: Mode = Mode::Alert,
        /// How people are told that it is mended.
        resolved: Mode = Mode::Digest,
        /// The mail channel for people, when there is more than one.
        via: Option<Located<String>>,
        /// How long the first notice of a group waits for others.
        group_wait: Span = Span::secs(60),
        /// How long later ones of the group wait, unless the group doubles.
        group_interval: Span = Span::minutes(5),
    }
}

choice! {
    /// Whether a person who has nothing to read hears that all is quiet.
    pub enum AllQuiet {
        /// Silence is silence.
        Never = "never",
        /// After four weeks of silence.
        Month = "month",
    }
}

record! {
    /// What all notices have in common.
    pub struct Notices {
        /// Where people reach this Tripline; messages link there. Without it they name the command to run.
        url: Option<Located<Url>>,
        /// A folder with templates of your own, by the names of ours: `alert.html`, `alert.txt`, `digest.html`, `digest.txt`, `teams.json`.
        templates: Option<PathBuf>,
        /// Whether a digest comes now and then although there is nothing to say.
        all_quiet: AllQuiet = AllQuiet::Never,
    }
}

impl Default for Notices {
    fn default() -> Self {
        Self {
            url: None,
            templates: None,
            all_quiet: AllQuiet::Never,
        }
    }
}

/// Everything that a user may write about notices.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Options {
    /// `channels:`.
    pub channels: Named<Channel>,
    /// `routes:`.
    pub routes: Vec<Route>,
    /// `notices:`.
    pub notices: Notices,
}

impl Options {
    /// Where this Tripline is.
    pub fn site(&self, organisation: &str) -> Site {
        Site {
            organisation: organisation.to_owned(),
            url: self.notices.url.as_ref().map(|u| u.value.clone()),
        }
    }
}
