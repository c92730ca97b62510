//! The channels of `tripline.yaml`, ready to write to and to send by. What is written is stored and
//! holds no secret; secrets are read anew for each attempt.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    alert,
    alertmanager::{self, Alert, Alertmanager},
    bundle::{Bundle, Site},
    email::{Letter, Mailer, Recipient},
    error::{Error, Result},
    options::{self, Format, Medium},
    pagerduty::{self, Pagerduty},
    slack::{self, Slack},
    templates::Templates,
    webhook::{self, Webhook},
};
use crate::{
    model::id::{ChannelId, NoticeId},
    yaml::values::Named,
};

/// A message in the form of its channel, as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// A letter.
    Letter(Letter),
    /// The body of a post, with its type.
    Post {
        /// Its type.
        content_type: String,
        /// Its text.
        body: String,
    },
    /// Events for PagerDuty.
    Events(Vec<Value>),
    /// Alerts for Alertmanager.
    Alerts(Vec<Alert>),
}

/// What a message is written from, besides its bundle.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// Where we are.
    pub site: &'a Site,
    /// The frames of messages.
    pub templates: &'a Templates,
    /// Seconds between two runs of the control.
    pub interval: TimeDelta,
    /// Whether nothing of the group is open any longer.
    pub all_closed: bool,
}

/// One channel.
#[derive(Debug)]
pub enum Channel {
    /// Mail.
    Mail(Mailer),
    /// Signed posts, with the form of their body and its template.
    Webhook(Webhook, Format, String),
    /// Slack.
    Slack(Slack),
    /// PagerDuty.
    Pagerduty(Pagerduty),
    /// Alertmanager.
    Alertmanager(Alertmanager),
}

/// All channels by name.
#[derive(Debug, Default)]
pub struct Channels {
    channels: BTreeMap<ChannelId, Channel>,
}

impl Channels {
    /// Prepares every channel without opening one.
    ///
    /// # Errors
    /// The first channel that cannot be prepared, with its name.
    pub fn open(options: &Named<options::Channel>) -> Result<Self, (ChannelId, Error)> {
        let mut channels = BTreeMap::new();
        for (name, options) in options.iter() {
            let id = ChannelId::new(&name.text);
            let channel = Channel::open(options).map_err(|e| (id.clone(), e))?;
            channels.insert(id, channel);
        }
        Ok(Self { channels })
    }

    /// The channel of that name.
    pub fn get(&self, id: &ChannelId) -> Option<&Channel> {
        self.channels.get(id)
    }

    /// Every channel, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&ChannelId, &Channel)> {
        self.channels.iter()
    }
}

impl Channel {
    fn open(options: &options::Channel) -> Result<Self> {
        Ok(match options {
            options::Channel::Smtp(o) => Self::Mail(Mailer::new(o)?),
            options::Channel::Webhook(o) => {
                let template = o
                    .template
                    .as_ref()
                    .map_or("teams.json", |t| t.value.as_str());
                Self::Webhook(Webhook::new(o)?, o.format, template.to_owned())
            }
            options::Channel::Slack(o) => Self::Slack(Slack::new(o)?),
            options::Channel::Pagerduty(o) => Self::Pagerduty(Pagerduty::new(o)?),
            options::Channel::Alertmanager(o) => Self::Alertmanager(Alertmanager::new(o)?),
        })
    }

    /// What it speaks.
    pub const fn medium(&self) -> Medium {
        match self {
            Self::Mail(_) => Medium::Mail,
            Self::Webhook(..) => Medium::Webhook,
            Self::Slack(_) => Medium::Slack,
            Self::Pagerduty(_) => Medium::Pagerduty,
            Self::Alertmanager(_) => Medium::Alertmanager,
        }
    }

    /// Writes a bundle in the form of the channel.
    pub fn write(&self, bundle: &Bundle, frame: &Frame<'_>) -> Result<Message> {
        let site = frame.site;
        Ok(match self {
            Self::Mail(_) => Message::Letter(alert::letter(bundle, site, frame.templates)?),
            Self::Webhook(_, Format::Cloudevents, _) => post(webhook::cloudevent(bundle, site)),
            Self::Webhook(_, Format::Alertmanager, _) => post(webhook::alertmanager(bundle, site)),
            Self::Webhook(_, Format::Template, template) => Message::Post {
                content_type: JSON.to_owned(),
                body: frame
                    .templates
                    .render(template, &alert::context(bundle, site))?,
            },
            Self::Slack(_) => Message::Post {
                content_type: JSON.to_owned(),
                body: slack::payload(bundle, site).to_string(),
            },
            Self::Pagerduty(_) => {
                Message::Events(pagerduty::events(bundle, site, frame.all_closed))
            }
            Self::Alertmanager(_) => {
                Message::Alerts(alertmanager::alerts(bundle, site, frame.interval))
            }
        })
    }

    /// Sends a stored message, once, and gives what the receiver said. `to` is who reads it, on a channel
    /// of letters; `now` is the instant that the message carries as its own.
    ///
    /// # Errors
    /// Why it was not accepted; [`Error::class`] says what follows.
    pub async fn send(
        &self,
        id: &NoticeId,
        message: &Message,
        to: Option<&Recipient>,
        now: DateTime<Utc>,
    ) -> Result<String> {
        match (self, message) {
            (Self::Mail(mailer), Message::Letter(letter)) => {
                let to = to.ok_or_else(|| Error::NoAddress("the reader".to_owned()))?;
                mailer.send(id, letter, to, now).await
            }
            (Self::Webhook(webhook, ..), Message::Post { content_type, body }) => {
                let content_type = if content_type == JSON {
                    JSON
                } else {
                    webhook::CLOUDEVENT
                };
                webhook.send(id, content_type, body, now).await
            }
            (Self::Slack(slack), Message::Post { body, .. }) => slack.send(body, now).await,
            (Self::Pagerduty(pagerduty), Message::Events(events)) => {
                pagerduty.send(events, now).await
            }
            (Self::Alertmanager(alertmanager), Message::Alerts(alerts)) => {
                alertmanager.send(alerts, now).await
            }
            _ => Err(Error::Message(
                "the channel is of another kind by now".to_owned(),
            )),
        }
    }
}

const JSON: &str = "application/json";

fn post(body: webhook::Body) -> Message {
    Message::Post {
        content_type: body.content_type.to_owned(),
        body: body.text,
    }
}
