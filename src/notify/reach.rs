//! Whether a channel could be used now: its secrets are there, somebody answers, and lets us in. Nothing is sent.

use reqwest::Url;
use secrecy::ExposeSecret as _;

use super::{
    email::Mailer,
    error::{Error, Result},
    http::Poster,
    options::{Channel, HeaderValue},
};
use crate::{catalog::secret::Secret, model::span::Span};

impl Channel {
    /// Every secret that the channel needs.
    pub fn secrets(&self) -> Vec<&Secret> {
        match self {
            Self::Smtp(o) => o.password.iter().collect(),
            Self::Webhook(o) => {
                let headers = o.headers.iter().filter_map(|(_, value)| match value {
                    HeaderValue::Secret(secret) => Some(secret),
                    HeaderValue::Text(_) => None,
                });
                let keys = o.secret.iter().chain(&o.previous_secret);
                keys.chain(headers).collect()
            }
            Self::Slack(o) => vec![&o.url],
            Self::Pagerduty(o) => vec![&o.routing_key],
            Self::Alertmanager(o) => o.password.iter().collect(),
        }
    }

    /// Knocks. Gives what was found there.
    ///
    /// # Errors
    /// A secret is not there, nobody answers, or we are not let in; no message shows a secret.
    pub async fn reach(&self) -> Result<String> {
        for secret in self.secrets() {
            secret.read()?;
        }
        match self {
            Self::Smtp(o) => Mailer::new(o)?.knock().await,
            Self::Webhook(o) => knock(&o.url, o.ca_file.as_deref(), o.timeout).await,
            Self::Slack(o) => {
                let url = Url::parse(o.url.read()?.expose_secret());
                let url = url.map_err(|_| Error::Key("it is not an address"))?;
                knock(&url, None, o.timeout).await
            }
            Self::Pagerduty(o) => match &o.url {
                Some(url) => knock(url, None, o.timeout).await,
                None => knock(&super::pagerduty::home()?, None, o.timeout).await,
            },
            Self::Alertmanager(o) => knock(&o.url, o.ca_file.as_deref(), o.timeout).await,
        }
    }
}

/// Any answer of the host will do: only a post says whether it takes posts.
async fn knock(url: &Url, ca_file: Option<&std::path::Path>, timeout: Span) -> Result<String> {
    let mut front = url.clone();
    front.set_path("/");
    front.set_query(None);
    front.set_fragment(None);
    let status = Poster::new(ca_file, timeout)?.knock(front).await?;
    let host = url.host_str().unwrap_or_default();
    Ok(format!("{host} answers (HTTP {status})"))
}
